"""Parquet partitions: row groups, identity, checks, bounded batches."""

# ruff: noqa: DTZ001 - naive times are part of what is tested

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infolake import sources
from infolake.errors import AccessError, ChangedInputError, CorruptFileError, UnknownColumnError
from infolake.sources import parquet_files
from infolake.sources.checks import check_column


def test_row_groups_are_partitions_and_strings_come_as_dictionaries(write):
    path = write("a.parquet", {"s": ["x", "y", None] * 4, "n": list(range(12))}, row_group_size=5)
    source = sources.open_source(path)
    assert [(p.kind, p.part, p.n_rows) for p in source.partitions] == [
        ("parquet", 0, 5),
        ("parquet", 1, 5),
        ("parquet", 2, 2),
    ]
    assert source.n_rows == 12
    (table,) = source.partitions[0].read(["n", "s"])
    assert table.column_names == ["n", "s"]
    assert table.schema.field("s").type == pa.dictionary(pa.int32(), pa.string())
    assert table.to_pydict() == {"n": [0, 1, 2, 3, 4], "s": ["x", "y", None, "x", "y"]}


def test_inputs_are_json_able_and_pin_the_file(write):
    path = write("a.parquet", {"n": [1, 2]})
    (entry,) = sources.open_source(path).inputs
    assert entry == {
        "path": str(path),
        "size": path.stat().st_size,
        "mtime": path.stat().st_mtime_ns / 1e9,
        "rows": 2,
    }


def test_partitions_pickle_small_and_keys_agree_between_processes(write):
    path = write("a.parquet", {f"c{i}": ["x"] for i in range(20)})
    partition = sources.open_source(path).partitions[0]
    content = pickle.dumps(partition)
    assert len(content) < 2000
    assert pickle.loads(content) == partition
    code = f"from infolake import sources; print(sources.open_source({str(path)!r}).partitions[0].key)"
    seeds = [dict(os.environ, PYTHONHASHSEED=str(i)) for i in (1, 2)]
    keys = {
        subprocess.run(
            [sys.executable, "-c", code], env=e, check=True, capture_output=True, text=True
        ).stdout.strip()
        for e in seeds
    }
    assert keys == {partition.key}


def test_keys_differ_between_parts_and_after_a_change(write):
    path = write("a.parquet", {"n": list(range(10))}, row_group_size=5)
    before = [p.key for p in sources.open_source(path).partitions]
    write("a.parquet", {"n": list(range(11))}, row_group_size=5)
    assert not set(before) & {p.key for p in sources.open_source(path).partitions}
    assert len(set(before)) == 2


def test_a_file_is_opened_once_for_neighbours(write, monkeypatch):
    a = write("a.parquet", {"n": list(range(10))}, row_group_size=2)
    source = sources.open_source(a)
    opened = []
    original = sources.files.File.open
    monkeypatch.setattr(sources.files.File, "open", lambda self: opened.append(self.path) or original(self))
    assert sum(t.num_rows for _, t in sources.read_partitions(source.partitions, ["n"])) == 10
    assert opened == [str(a)]


def test_a_file_changed_after_listing_is_an_error(write):
    path = write("a.parquet", {"n": [1, 2, 3]})
    source = sources.open_source(path)
    write("a.parquet", {"n": [1, 2, 3, 4]})
    with pytest.raises(ChangedInputError, match="changed") as info:
        list(source.partitions[0].read(["n"]))
    assert "listed at" in info.value.fields["expected"]


def test_a_file_changed_while_reading_is_an_error(write):
    path = write("a.parquet", {"n": list(range(100))}, row_group_size=50)
    source = sources.open_source(path)
    reader = sources.read_partitions(source.partitions, ["n"])
    next(reader)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ChangedInputError):
        list(reader)


def test_a_file_deleted_after_listing_is_an_error(write):
    path = write("a.parquet", {"n": [1]})
    source = sources.open_source(path)
    path.unlink()
    with pytest.raises(ChangedInputError, match="gone"):
        list(source.partitions[0].read(["n"]))


def test_all_damaged_files_are_named_with_their_sizes(write, tmp_path):
    good = write("d/a.parquet", {"n": [1]})
    (tmp_path / "d/b.parquet").write_bytes(b"")
    (tmp_path / "d/c.parquet").write_bytes(good.read_bytes()[:-20])
    (tmp_path / "d/d.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(CorruptFileError, match="3 of 4 files") as info:
        sources.open_source(tmp_path / "d")
    where = info.value.fields["where"]
    assert all(text in where for text in ("b.parquet (0 bytes", "c.parquet", "d.parquet (18 bytes"))
    assert "a.parquet" not in where


def test_truncation_at_every_length_is_an_error(write):
    path = write("a.parquet", {"s": ["x", "y"]})
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptFileError):
            sources.open_source(path)


def test_flipped_bits_are_found_where_the_file_has_checksums(write):
    path = write("a.parquet", {"s": ["x", "y", "z"] * 100, "n": list(range(300))}, write_page_checksum=True)
    content = path.read_bytes()
    truth = [t.to_pydict() for t in sources.open_source(path).partitions[0].read(["s", "n"])]
    for position in range(4, len(content), 13):
        damaged = bytearray(content)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        try:
            source = sources.open_source(path, columns=["s", "n"])
            found = [t.to_pydict() for p in source.partitions for t in p.read(["s", "n"])]
        except (CorruptFileError, UnknownColumnError):
            continue
        # flips in the footer's statistics, versions or names of encodings change no value
        assert (
            found == truth
            or position > len(content) - pq.read_metadata(_copy(path, content)).serialized_size - 8
        )


def _copy(path: Path, content: bytes) -> Path:
    copy = path.with_suffix(".copy")
    copy.write_bytes(content)
    return copy


def test_a_damaged_page_names_row_group_and_column(write):
    path = write(
        "a.parquet",
        {"a": [7] * 1000, "b": list(range(1000))},
        compression="none",
        use_dictionary=False,
        write_page_checksum=True,
    )
    content = bytearray(path.read_bytes())
    offset = pq.read_metadata(path).row_group(0).column(1).data_page_offset
    content[offset + 500] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptFileError) as info:
        list(sources.open_source(path).partitions[0].read(["a", "b"]))
    assert "row group 0), column 'b'" in info.value.fields["where"]


def test_invalid_utf8_in_a_dictionary_is_an_error(tmp_path):
    bad = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    )
    pq.write_table(pa.table({"s": bad}), tmp_path / "a.parquet")
    with pytest.raises(CorruptFileError, match="cannot be read") as info:
        list(sources.open_source(tmp_path / "a.parquet").partitions[0].read(["s"]))
    assert "column 's'" in info.value.fields["where"]


def test_indices_outside_the_dictionary_are_an_error():
    indices = pa.array([0, 1, 5], pa.int32())
    bad = pa.DictionaryArray.from_arrays(indices, pa.array(["x", "y"]), safe=False)
    with pytest.raises(pa.ArrowInvalid, match="index 5"):
        check_column(pa.chunked_array([bad]))
    with pytest.raises(pa.ArrowInvalid, match="index -1"):
        check_column(
            pa.chunked_array(
                [
                    pa.DictionaryArray.from_arrays(
                        pa.array([-1, None], pa.int32()), pa.array(["x"]), safe=False
                    )
                ]
            )
        )


@pytest.mark.parametrize("size", [1, 255, 256])
@pytest.mark.parametrize("missing", [[], [None]])
def test_dictionaries_of_few_values_may_have_bytes_as_indices(write, size, missing):
    values = [f"v{i}" for i in range(size)]
    rows = [*missing, *values, *reversed(values), *missing]
    path = write("a.parquet", {"s": pa.array(rows, pa.string()), "n": list(range(len(rows)))})
    (partition,) = sources.open_source(path).partitions
    for short, kind in ((False, pa.int32()), (True, pa.uint8() if size < 256 else pa.int32())):
        ((_, table),) = sources.read_partitions([partition], ["s", "n"], short=short)
        table.validate(full=True)
        assert table["s"].type == pa.dictionary(kind, pa.string())
        assert table.to_pydict() == {"s": rows, "n": list(range(len(rows)))}


@pytest.mark.parametrize("index", [2, 255, 256, 2**31 - 1, -1, -256])
def test_indices_outside_a_short_dictionary_are_an_error(index):
    indices = pa.array([0, None, index], pa.int32())
    bad = pa.chunked_array([pa.DictionaryArray.from_arrays(indices, pa.array(["x", "y"]), safe=False)])
    with pytest.raises(pa.ArrowInvalid, match=f"index {index} "):
        check_column(parquet_files.short(bad))


def test_garbage_in_missing_slots_is_no_index():
    buffers = [pa.py_buffer(bytes([0b101])), pa.py_buffer(struct.pack("3i", 1, 10**6, 0))]
    indices = pa.Array.from_buffers(pa.int32(), 3, buffers)
    column = pa.chunked_array([pa.DictionaryArray.from_arrays(indices, pa.array(["x", "y"]), safe=False)])
    found = parquet_files.short(column)
    assert found.type == pa.dictionary(pa.uint8(), pa.string())
    check_column(found)
    assert found.to_pylist() == ["y", None, "x"]


def test_a_footer_that_promises_more_rows_is_an_error(write):
    from dataclasses import replace

    path = write("a.parquet", {"n": [1, 2, 3]})
    partition = sources.open_source(path).partitions[0]
    with pytest.raises((CorruptFileError, ChangedInputError)):
        list(replace(partition, n_rows=4).read(["n"]))


def test_large_row_groups_come_in_bounded_batches(write, monkeypatch):
    from infolake.sources import partitions

    monkeypatch.setattr(partitions, "BATCH_BYTES", 8 * 2000)
    path = write("a.parquet", {"n": list(range(10_000))})
    tables = list(sources.open_source(path).partitions[0].read(["n"]))
    assert [t.num_rows for t in tables] == [2000] * 5
    assert [v for t in tables for v in t["n"].to_pylist()] == list(range(10_000))


def test_a_dictionary_bomb_stays_small(tmp_path):
    # a megabyte string in 5000 rows: 5 GB as plain strings
    value = pa.array(["x" * 2**20])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), value)
    pq.write_table(pa.table({"s": column}), tmp_path / "a.parquet", compression="zstd")
    (table,) = sources.open_source(tmp_path / "a.parquet").partitions[0].read(["s"])
    assert table.num_rows == 5000
    assert table.nbytes < 3 * 2**20


def test_delta_encoded_strings_are_read_plain(write, read):
    path = write(
        "a.parquet",
        {"s": ["ab", "ac", None]},
        use_dictionary=False,
        column_encoding={"s": "DELTA_BYTE_ARRAY"},
    )
    assert read(path) == [{"s": "ab"}, {"s": "ac"}, {"s": None}]


def test_zero_rows_and_zero_row_groups(write, read, tmp_path):
    assert read(write("a.parquet", {"n": pa.array([], pa.int64())})) == []
    schema = pa.schema([("n", pa.int64())])
    pq.ParquetWriter(tmp_path / "b.parquet", schema).close()
    source = sources.open_source(tmp_path / "b.parquet")
    assert (source.n_rows, source.schema) == (0, {"n": pa.int64()})


def test_column_names_with_dots_and_prefixes(write, read):
    path = write("a.parquet", {"a": [1], "a.b": [2], "a b": [3]})
    assert read(path) == [{"a": 1, "a.b": 2, "a b": 3}]
    assert read(path, columns=["a"]) == [{"a": 1}]


def test_only_hive_keys_wanted_still_counts_rows(write, read):
    path = write("k=5/a.parquet", {"s": ["x", "y"], "n": [1, 2]})
    assert read(path.parent, columns=["k"]) == [{"k": 5}, {"k": 5}]


def test_sample_is_bounded_and_spread(write, tmp_path):
    for i in range(10):
        write(f"d/{i}.parquet", {"f": [str(i)] * 50}, row_group_size=10)
    source = sources.open_source(tmp_path / "d")
    sample = source.sample(["f"], max_rows=20)
    assert sample.num_rows == 20
    assert set(sample["f"].to_pylist()) == {"0", "3", "6", "9"}
    assert source.sample(max_rows=10**6).num_rows == 40


def test_unreadable_files_are_access_errors(write, monkeypatch):
    path = write("a.parquet", {"n": [1]})

    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(sources.files.File, "open", refuse)
    with pytest.raises(AccessError, match="access denied"):
        sources.open_source(path)


def test_unknown_columns_name_the_nearest(write):
    path = write("a.parquet", {"carrier": ["AA"]})
    with pytest.raises(UnknownColumnError, match="did you mean 'carrier'"):
        sources.open_source(path, columns=["carier"])
    with pytest.raises(UnknownColumnError):
        list(sources.open_source(path).partitions[0].read(["nope"]))


def test_int96_far_instants_do_not_wrap(tmp_path, read):
    import datetime as dt

    moment = dt.datetime(9999, 12, 31)
    pq.write_table(
        pa.table({"t": pa.array([moment], pa.timestamp("us"))}),
        tmp_path / "a.parquet",
        use_deprecated_int96_timestamps=True,
    )
    assert read(tmp_path / "a.parquet") == [{"t": moment}]
