"""Canonical types and their unification over files."""

# ruff: noqa: DTZ001 - naive times are part of what is tested

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake import sources
from infolake.errors import DataError, SchemaError
from infolake.sources import canonical

DAY = dt.date(2020, 1, 2)
MOMENT = dt.datetime(2020, 1, 2, 3, 4, 5)
PRIMITIVES = [
    (pa.int8(), pa.int64(), 5),
    (pa.uint32(), pa.int64(), 5),
    (pa.int64(), pa.int64(), 2**53 + 1),
    (pa.uint64(), pa.uint64(), 2**64 - 1),
    (pa.float32(), pa.float64(), 0.5),
    (pa.float16(), pa.float64(), 0.5),
    (pa.bool_(), pa.bool_(), True),
    (pa.string(), pa.string(), "é"),
    (pa.large_string(), pa.string(), "é"),
    (pa.string_view(), pa.string(), "é"),
    (pa.binary(), pa.binary(), b"\xff"),
    (pa.large_binary(), pa.binary(), b"\xff"),
    (pa.binary(2), pa.binary(), b"\xff\0"),
    (pa.dictionary(pa.int8(), pa.string()), pa.string(), "é"),
    (pa.date32(), pa.date32(), DAY),
    (pa.date64(), pa.date32(), DAY),
    (pa.timestamp("s"), pa.timestamp("us"), MOMENT),
    (pa.timestamp("ms"), pa.timestamp("us"), MOMENT),
    (pa.timestamp("ns"), pa.timestamp("ns"), MOMENT),
    (pa.time32("ms"), pa.time64("us"), MOMENT.time()),
    (pa.decimal128(5, 2), pa.decimal128(5, 2), Decimal("1.25")),
    (pa.decimal256(50, 2), pa.decimal256(50, 2), Decimal("1.25")),
    (pa.null(), pa.null(), None),
]


@pytest.mark.parametrize(("own", "expected", "value"), PRIMITIVES, ids=str)
def test_every_type_becomes_canonical_in_memory(own, expected, value):
    values = pa.array([value, None]) if pa.types.is_null(own) else _array([value, None], own)
    source = sources.open_source(pa.table({"x": values}))
    assert source.schema == {"x": expected}
    (table,) = source.partitions[0].read(["x"])
    assert table["x"].to_pylist() == [value, None]
    found = table["x"].type
    assert (found.value_type if pa.types.is_dictionary(found) else found) == expected


def _array(values, dtype):
    return (
        pa.array([None if v is None else np.float16(v) for v in values], dtype)
        if dtype == pa.float16()
        else pa.array(values, dtype)
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int32(), pa.uint64(), pa.decimal128(20, 0)),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.string()),
        (pa.large_string(), pa.string(), pa.string()),
        (pa.timestamp("ms"), pa.timestamp("ns"), pa.timestamp("ns")),
        (pa.timestamp("us", "Europe/Paris"), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
        (pa.decimal128(10, 2), pa.decimal128(10, 4), pa.decimal128(12, 4)),
        (pa.decimal128(38, 2), pa.decimal128(38, 10), pa.decimal256(46, 10)),
        (pa.null(), pa.string(), pa.string()),
        (pa.null(), pa.bool_(), pa.bool_()),
    ],
    ids=str,
)
@pytest.mark.parametrize("order", [1, -1])
def test_files_unify(write, tmp_path, first, second, expected, order):
    for name, dtype in zip("ab", [first, second][::order], strict=True):
        write(f"d/{name}.parquet", {"x": pa.array([None, None], dtype)})
    source = sources.open_source(tmp_path / "d")
    assert source.schema == {"x": expected}
    types = {t.schema.field(0).type for _, t in sources.read_partitions(source.partitions, ["x"])}
    assert {t.value_type if pa.types.is_dictionary(t) else t for t in types} == {expected}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.int64(), pa.float64()),
        (pa.int64(), pa.string()),
        (pa.bool_(), pa.int8()),
        (pa.timestamp("us", "UTC"), pa.timestamp("us")),
        (pa.date32(), pa.timestamp("us")),
        (pa.string(), pa.binary()),
        (pa.int64(), pa.decimal128(5, 0)),
    ],
    ids=str,
)
def test_conflicts_name_column_types_and_files(write, tmp_path, first, second):
    write("d/a.parquet", {"x": pa.array([None], first)})
    write("d/b.parquet", {"x": pa.array([None], first)})
    write("d/c.parquet", {"x": pa.array([None], second)})
    with pytest.raises(SchemaError, match="column 'x' changes type") as info:
        sources.open_source(tmp_path / "d")
    fields = info.value.fields
    assert "a.parquet" in fields["expected"]
    assert "b.parquet" in fields["expected"]
    assert "c.parquet" in fields["where"]
    assert str(canonical.canonical(second)) in fields["found"]


def test_signed_and_unsigned_values_stay_exact(write, read, tmp_path):
    write("d/a.parquet", {"x": pa.array([-(2**63)], pa.int64())})
    write("d/b.parquet", {"x": pa.array([2**64 - 1], pa.uint64())})
    assert [r["x"] for r in read(tmp_path / "d")] == [Decimal(-(2**63)), Decimal(2**64 - 1)]


def test_instants_are_equal_over_zones_and_units(write, read, tmp_path):
    moment = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)
    write("d/a.parquet", {"x": pa.array([moment], pa.timestamp("ms", "America/New_York"))})
    write("d/b.parquet", {"x": pa.array([moment], pa.timestamp("us", "UTC"))})
    assert len({r["x"] for r in read(tmp_path / "d")}) == 1


def test_a_value_that_does_not_fit_the_common_type_is_an_error(write, read, tmp_path):
    write("d/a.parquet", {"x": pa.array([dt.datetime(9999, 1, 1)], pa.timestamp("us"))})
    write("d/b.parquet", {"x": pa.array([MOMENT], pa.timestamp("ns"))})
    with pytest.raises(DataError, match="does not fit"):
        read(tmp_path / "d")


def test_extra_and_reordered_columns_are_ignored(write, read, tmp_path):
    write("d/a.parquet", {"x": [1], "y": ["a"]})
    write("d/b.parquet", {"z": [0.5], "y": ["b"], "x": [2]})
    assert read(tmp_path / "d") == [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]


@pytest.mark.parametrize("lacking", ["a", "b"])
def test_a_missing_column_names_the_files(write, tmp_path, lacking):
    for name in "abc":
        write(f"d/{name}.parquet", {"x": [1]} if name == lacking else {"x": [1], "y": [2]})
    with pytest.raises((SchemaError, ValueError), match="'y'") as info:
        sources.open_source(tmp_path / "d", columns=["x", "y"])
    assert lacking == "a" or f"{lacking}.parquet" in info.value.fields["where"]


def test_names_that_differ_by_case_are_an_error(write, tmp_path):
    write("d/a.parquet", {"x": [1]})
    write("d/b.parquet", {"X": [1]})
    with pytest.raises(SchemaError, match="missing in 1 of 2 files") as info:
        sources.open_source(tmp_path / "d")
    assert "differ by case" in info.value.fields["found"]


def test_nested_columns_are_an_error_unless_left_out(write, read):
    path = write("a.parquet", {"x": [1], "deep": [[1, 2]]})
    for columns in (None, ["deep"]):
        with pytest.raises(SchemaError, match="'deep' is nested") as info:
            sources.open_source(path, columns=columns)
        assert "columns=[...]" in info.value.fields["next"]
    assert read(path, columns=["x"]) == [{"x": 1}]


def test_duplicate_names_are_an_error_unless_left_out():
    table = pa.table([[1], [2], [3]], names=["a", "a", "b"])
    with pytest.raises(SchemaError, match="several columns are named 'a'"):
        sources.open_source(table)
    assert list(sources.open_source(table, columns=["b"]).schema) == ["b"]


def test_durations_are_refused_by_name():
    with pytest.raises(SchemaError, match="'wait' is of a type that is not counted"):
        sources.open_source(pa.table({"wait": pa.array([1], pa.duration("s"))}))


def test_dictionaries_with_missing_values_keep_their_rows():
    column = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, None, 0], pa.int8()), pa.array(["x", None, "x"])
    )
    (table,) = sources.open_source(pa.table({"s": column})).partitions[0].read(["s"])
    assert table["s"].to_pylist() == ["x", None, "x", None, "x"]
    assert table["s"].chunk(0).dictionary.null_count == 0
    assert table["s"].type == pa.dictionary(pa.int32(), pa.string())


CANONICAL = [
    pa.null(), pa.bool_(), pa.int64(), pa.uint64(), pa.float64(), pa.string(), pa.binary(), pa.date32(),
    pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.time64("us"), pa.time64("ns"),
    pa.decimal128(10, 2), pa.decimal256(60, 3),
]  # fmt: skip


@given(st.lists(st.sampled_from(CANONICAL), min_size=1, max_size=4), st.booleans(), st.randoms())
def test_unify_is_free_of_order_and_idempotent(types, inferred, random):
    found = canonical.unify(types, inferred=inferred)
    shuffled = random.sample(types, len(types))
    assert canonical.unify(shuffled, inferred=inferred) == found
    if found is not None:
        assert canonical.canonical(found) == found
        assert canonical.from_name(str(found)) == found
    assert found is not None or not inferred


def test_extension_and_run_end_encoded_columns_are_their_values():
    uuids = pa.array([b"0123456789abcdef", None], pa.uuid())
    runs = pa.RunEndEncodedArray.from_arrays([2], pa.array(["x"]))
    source = sources.open_source(pa.table({"u": uuids, "r": runs}))
    assert source.schema == {"u": pa.binary(), "r": pa.string()}
    (table,) = source.partitions[0].read(["u", "r"])
    assert table.to_pydict() == {"u": [b"0123456789abcdef", None], "r": ["x", "x"]}


def test_decimals_beyond_76_digits_conflict(write, tmp_path):
    write("d/a.parquet", {"x": pa.array([None], pa.decimal256(76, 0))})
    write("d/b.parquet", {"x": pa.array([None], pa.decimal256(76, 70))})
    with pytest.raises(SchemaError, match="changes type"):
        sources.open_source(tmp_path / "d")
