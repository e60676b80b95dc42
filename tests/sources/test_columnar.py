"""ORC and Feather."""

# ruff: noqa: DTZ001 - naive times are part of what is tested

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from pyarrow import feather, orc

from infolake import sources
from infolake.errors import CorruptFileError

TABLE = pa.table(
    {
        "n": pa.array([1, None, 3] * 1000, pa.int16()),
        "s": ["x", "y", None] * 1000,
        "t": pa.array([dt.datetime(2020, 1, 1)] * 3000, pa.timestamp("ns")),
        "f": pa.array([0.5] * 3000, pa.float32()),
    }
)


def write(path, table=TABLE, **options):
    if path.suffix == ".orc":
        orc.write_table(table, path, **options)
    else:
        feather.write_feather(table, str(path), **options)
    return path


@pytest.mark.parametrize("name", ["a.orc", "a.feather"])
def test_round_trip(tmp_path, name):
    options = {"stripe_size": 4096} if name == "a.orc" else {"chunksize": 100}
    source = sources.open_source(write(tmp_path / name, **options), columns=["s", "n", "f"])
    assert source.n_rows == 3000
    assert {k: str(v) for k, v in source.schema.items()} == {"n": "int64", "s": "string", "f": "double"}
    tables = [t for _, t in sources.read_partitions(source.partitions, ["f", "s", "n"])]
    assert pa.concat_tables(tables).to_pydict() == {k: TABLE[k].to_pylist() for k in ("f", "s", "n")}
    assert source.sample(max_rows=10).num_rows == 10


@pytest.mark.parametrize("name", ["a.orc", "a.feather"])
def test_damage_is_one_typed_error(tmp_path, name):
    path = write(tmp_path / name)
    content = path.read_bytes()
    for length in range(0, len(content), len(content) // 50):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptFileError):
            sources.open_source(path)


def test_feather_batches_form_partitions(tmp_path, monkeypatch):
    from infolake.sources import feather_files

    monkeypatch.setattr(feather_files, "BATCH_GROUP_ROWS", 1000)
    source = sources.open_source(write(tmp_path / "a.feather", chunksize=300))
    assert [(p.part, p.n_rows) for p in source.partitions] == [(0, 900), (3, 900), (6, 900), (9, 300)]
    (last,) = source.partitions[3].read(["n"])
    assert last["n"].to_pylist() == TABLE["n"].to_pylist()[2700:]


def test_feather_dictionaries(tmp_path):
    table = pa.table(
        {"s": pa.array(["x", None, "y"]).dictionary_encode(), "c": pa.array([7, 8, 7]).dictionary_encode()}
    )
    source = sources.open_source(write(tmp_path / "a.arrow", table))
    (found,) = source.partitions[0].read(["s", "c"])
    assert found.to_pydict() == {"s": ["x", None, "y"], "c": [7, 8, 7]}
    assert found["s"].type == pa.dictionary(pa.int32(), pa.string())
    assert found["c"].type == pa.int64()


def test_feather_with_bad_offsets_is_refused(tmp_path):
    path = write(tmp_path / "a.arrow", pa.table({"s": ["xxxxxxx"]}), compression="uncompressed")
    good, bad = b"\0\0\0\0\x07\0\0\0", b"\0\0\0\0\x7f\0\0\0"
    assert path.read_bytes().count(good + b"xxxxxxx") == 1
    path.write_bytes(path.read_bytes().replace(good + b"x", bad + b"x"))
    with pytest.raises(CorruptFileError):
        list(sources.open_source(path).partitions[0].read(["s"]))


def test_feather_version_1_says_so(tmp_path):
    (tmp_path / "a.feather").write_bytes(b"FEA1" + b"\0" * 100)
    with pytest.raises(CorruptFileError, match="Feather version 1"):
        sources.open_source(tmp_path / "a.feather")


def test_hive_only_columns(tmp_path):
    for name in ("a.orc", "a.feather"):
        (tmp_path / name / "k=1").mkdir(parents=True)
        write(tmp_path / name / "k=1" / name)
        source = sources.open_source(tmp_path / name, columns=["k"])
        assert sum(t.num_rows for p in source.partitions for t in p.read(["k"])) == 3000
