"""Stored counts: every type returns, equal counts are equal bytes, damage is found."""

from __future__ import annotations

import datetime as dt
import json
import math
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import infolake as il
from infolake.errors import ConfigError, CorruptFileError, NoInputError, OutputError, StorageError
from infolake.summaries import storage
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.ledger import Ledger
from strategies import count_piece, groups, planned, tables

GOLDEN = Path(__file__).parents[1] / "golden"


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below ``folder``."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def golden_table() -> pa.Table:
    """Return the rows of the golden counts: one column of every type, missing values, weights."""
    n = 6
    return pa.table(
        {
            "text": pa.array(["b", "a", None, "ä", "", "b"]),
            "yes": pa.array([True, False, None, True, True, False]),
            "int": pa.array([2**53 + 1, -5, 0, None, 7, 7]),
            "unsigned": pa.array([2**64 - 1, 0, 1, 1, None, 0], pa.uint64()),
            "decimal": pa.array([1, None, 3, 1, 2, 2], pa.decimal128(12, 2)),
            "date": pa.array([dt.date(2013, 1, i + 1) for i in range(n)]),
            "instant": pa.array(range(n), pa.timestamp("us", "UTC")),
            "clock": pa.array([0, 1, 2, None, 4, 5], pa.time64("us")),
            "raw": pa.array([b"\xff", b"", None, b"a", b"a", b"b"]),
            "nothing": pa.nulls(n),
            "binned": pa.array([0.5, 1.5, math.nan, 2.0, 3.25, 0.5]),
            "weight": pa.array([1.0, 0.1, 2.5, 1e-9, 3e10, 0.0]),
        }
    )


def golden_counts() -> JointCounts:
    """Return the counts that tests/golden/counts-1 stores."""
    table = golden_table()
    named = [(n,) for n in table.column_names if n != "weight"]
    plan = planned(
        table,
        [*named, ("text", "int"), ("yes", "binned", "date")],
        bins={"binned": [0.5, 2, math.inf], "int": "exact", "unsigned": "exact"},
        weights="weight",
        filters=[("date", ">=", "2013-01-01")],
    )
    return count_piece(plan, table)


def golden_buckets() -> JointCounts:
    """Return the counts that tests/golden/counts-2 stores: buckets of several types, one exact column."""
    names = ["text", "int", "unsigned", "decimal", "date", "instant", "clock", "raw", "yes"]
    limits = dict.fromkeys(names, 2) | {"text": 1}
    return il.count(golden_table(), columns=names, bins="exact", weights="weight", max_levels=limits)


STORES = {"counts-1": golden_counts, "counts-2": golden_buckets}


@pytest.mark.parametrize("store", STORES)
def test_the_golden_stores_of_every_version_still_load(store: str) -> None:
    assert il.load(GOLDEN / store) == STORES[store]()


def test_a_golden_bucket_still_knows_what_it_holds() -> None:
    found, counts = il.load(GOLDEN / "counts-2"), golden_buckets()
    assert found.levels["text"] == counts.levels["text"] == ("", "(3 other levels)", None)
    for column, kept in counts.kept.items():
        assert found.kept[column].counts.tolist() == kept.counts.tolist()
        assert found.kept[column].times.tolist() == kept.times.tolist()
        assert found.levels[column] == counts.levels[column]
    assert found.kept["yes"].levels is None


@pytest.mark.parametrize("store", STORES)
def test_the_golden_stores_are_what_is_written_today(tmp_path: Path, store: str) -> None:
    STORES[store]().save(tmp_path / "counts")
    today, golden = files(tmp_path / "counts"), files(GOLDEN / store)
    assert today.keys() == golden.keys()
    stored = [json.loads(f["counts.json"]) for f in (today, golden)]
    for description in stored:
        description.pop("digest")  # other versions of pyarrow write other bytes
    assert stored[0] == stored[1]
    for name in today:
        if name.endswith(".parquet"):
            assert pq.read_table(tmp_path / "counts" / name).equals(pq.read_table(GOLDEN / store / name))


@given(table=tables(min_columns=1), data=st.data())
def test_counts_of_all_kinds_return(
    tmp_path_factory: pytest.TempPathFactory, table: pa.Table, data: st.DataObject
) -> None:
    counts = count_piece(planned(table, data.draw(groups(table.column_names))), table)
    folder = tmp_path_factory.mktemp("counts")
    for name in ("first", "second"):
        counts.save(folder / name)
    found = il.load(folder / "first")
    assert found == counts
    assert found.fingerprint == counts.fingerprint
    assert found + counts == counts + counts
    assert files(folder / "first") == files(folder / "second")


def test_equal_counts_are_equal_bytes_however_they_came(tmp_path: Path) -> None:
    table = golden_table()
    plan = planned(table, [("text", "yes"), ("date",)], weights="weight")
    whole = count_piece(plan, table)
    parts = [count_piece(plan, table.slice(i, 1)) for i in (3, 1, 5, 0, 2, 4)]
    whole.save(tmp_path / "a")
    sum(parts[1:], parts[0]).save(tmp_path / "b")
    ((whole + parts[0]) - parts[0]).save(tmp_path / "c")
    assert files(tmp_path / "a") == files(tmp_path / "b") == files(tmp_path / "c")


@pytest.mark.parametrize("n_rows", [0, 1])
@pytest.mark.parametrize("wanted", ["pairs", "columns"])
def test_empty_counts_return(tmp_path: Path, n_rows: int, wanted: str) -> None:
    table = golden_table().select(["text"]).slice(0, n_rows)
    counts = count_piece(planned(table, wanted), table)
    counts.save(tmp_path / "counts")
    assert il.load(tmp_path / "counts") == counts


def test_edges_return_to_the_last_bit(tmp_path: Path) -> None:
    table = pa.table({"x": [0.1, 0.7], "k": [2**62, 5]})
    plan = planned(table, [("x", "k")], bins="exact")
    request = plan.request.with_edges({"x": (-math.inf, 0.1 + 0.2, 1e300), "k": (0, 2**62 + 1)})
    counts = JointCounts.zero(request)
    counts.save(tmp_path / "counts")
    assert il.load(tmp_path / "counts").edges == {"x": (-math.inf, 0.1 + 0.2, 1e300), "k": (0, 2**62 + 1)}


def test_a_runs_folder_is_found_too(tmp_path: Path) -> None:
    golden_counts().save(tmp_path / "run" / "counts")
    assert il.load(tmp_path / "run") == golden_counts()


# -- damage


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    shutil.copytree(GOLDEN / "counts-1", tmp_path / "counts")
    return tmp_path / "counts"


def _names() -> list[str]:
    return [
        str(p.relative_to(GOLDEN / "counts-1"))
        for p in sorted((GOLDEN / "counts-1").rglob("*"))
        if p.is_file()
    ]


@pytest.mark.parametrize("name", _names())
def test_every_damaged_file_is_found(stored: Path, name: str) -> None:
    path = stored / name
    content = path.read_bytes()
    step = max(1, len(content) // 40)
    for place in range(0, len(content), step):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x15]) + content[place + 1 :])
        with pytest.raises((CorruptFileError, ConfigError)) as caught:
            il.load(stored)
        assert caught.value.exit_code in (65, 78)
    for length in (0, 1, len(content) // 2, len(content) - 2):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptFileError):
            il.load(stored)
    path.unlink()
    with pytest.raises((CorruptFileError, NoInputError)):
        il.load(stored)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '"a"', '{"infolake_counts": 1}', '{"infolake_counts": "x"}', "\udcff"]
)
def test_descriptions_that_are_none_are_damage(stored: Path, text: str) -> None:
    (stored / "counts.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CorruptFileError, match="damaged counts"):
        il.load(stored)


def test_files_of_two_stores_do_not_mix(stored: Path, tmp_path: Path) -> None:
    table = golden_table().select(["text", "yes"])
    count_piece(planned(table), table).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "cells.parquet", stored / "cells.parquet")
    with pytest.raises(CorruptFileError, match="not what was written"):
        il.load(stored)


def test_newer_versions_are_named(stored: Path) -> None:
    text = (stored / "counts.json").read_text()
    newer = text.replace('"infolake_counts": 1', f'"infolake_counts": {storage.VERSION + 1}')
    assert newer != text
    (stored / "counts.json").write_text(newer)
    with pytest.raises(ConfigError, match="newer version") as caught:
        il.load(stored)
    assert caught.value.exit_code == 78


def test_no_counts_and_no_room_are_errors(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoInputError):
        il.load(tmp_path / "nowhere")
    with pytest.raises(OutputError) as caught:
        golden_counts().save(stored)
    assert caught.value.exit_code == 73
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        golden_counts().save(tmp_path / "file")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.pq, "write_table", full)
    with pytest.raises(StorageError, match="No space left") as lost:
        golden_counts().save(tmp_path / "new")
    assert lost.value.exit_code == 74


def test_ledgers_return() -> None:
    ledger = Ledger(10, 10, 7, 2, 1)
    assert Ledger.from_json(json.loads(json.dumps(ledger.to_json()))) == ledger
    assert ledger - ledger == Ledger()
    ledger.check("here")
