"""Frames and tables in memory."""

# ruff: noqa: DTZ001 - naive times are part of what is tested

from __future__ import annotations

import datetime as dt
import decimal
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from infolake import sources
from infolake.errors import SchemaError
from infolake.sources import memory

BIG = 2**53 + 1
DAY = dt.date(2020, 1, 1)
MOMENT = dt.datetime(2020, 1, 1, 5)


def values(frame):
    source = sources.open_source(frame)
    found = [v for p in source.partitions for t in p.read(["x"]) for v in t["x"].to_pylist()]
    return source.schema["x"], [None if v != v else v for v in found]


@pytest.mark.parametrize(
    ("series", "dtype", "expected"),
    [
        (pd.Series(["a", None, np.nan, pd.NA], dtype=object), pa.string(), ["a", None, None, None]),
        (pd.Series(["a", None]), pa.string(), ["a", None]),
        (pd.Series([1.5, np.nan]), pa.float64(), [1.5, None]),
        (pd.Series([BIG, BIG + 1]), pa.int64(), [BIG, BIG + 1]),
        (pd.Series([BIG, None], dtype="Int64"), pa.int64(), [BIG, None]),
        (pd.Series([BIG, None], dtype=object), pa.int64(), [BIG, None]),
        (pd.Series([BIG, np.nan], dtype=object), pa.int64(), [BIG, None]),
        (pd.Series([2**64 - 1, None], dtype=object), pa.uint64(), [2**64 - 1, None]),
        (
            pd.Series([2**70, -1], dtype=object),
            pa.decimal128(22, 0),
            [decimal.Decimal(2**70), decimal.Decimal(-1)],
        ),
        (pd.Series([True, None], dtype="boolean"), pa.bool_(), [True, None]),
        (pd.Series([True, None], dtype=object), pa.bool_(), [True, None]),
        (pd.Series([0.5, None], dtype="Float64"), pa.float64(), [0.5, None]),
        (pd.Series(["a", None, "b"], dtype="category"), pa.string(), ["a", None, "b"]),
        (pd.Series([3, 1], dtype="category"), pa.int64(), [3, 1]),
        (pd.Series(pd.Categorical(["a"], ["b", "a"], ordered=True)), pa.string(), ["a"]),
        (pd.Series([MOMENT, pd.NaT]), pa.timestamp("us"), [MOMENT, None]),
        (pd.Series([MOMENT]).dt.tz_localize("Europe/Paris"), pa.timestamp("us", "UTC"), None),
        (pd.Series([DAY, None], dtype=object), pa.date32(), [DAY, None]),
        (pd.Series([b"a", None], dtype=object), pa.binary(), [b"a", None]),
        (
            pd.Series([decimal.Decimal("1.25"), None], dtype=object),
            pa.decimal128(3, 2),
            [decimal.Decimal("1.25"), None],
        ),
        (pd.Series([1, None], dtype="int8[pyarrow]"), pa.int64(), [1, None]),
        (pd.Series(["a", None], dtype="large_string[pyarrow]"), pa.string(), ["a", None]),
        (pd.Series([0, 5], dtype=pd.SparseDtype("int64", 0)), pa.int64(), [0, 5]),
        (pd.Series([None, None], dtype=object), pa.null(), [None, None]),
        (pd.Series([], dtype=object), pa.null(), []),
        (pd.Series([np.float16(0.5)]), pa.float64(), [0.5]),
    ],
)
def test_pandas_columns(series, dtype, expected):
    found, content = values(pd.DataFrame({"x": series}))
    assert str(found) == str(dtype) or (pa.types.is_timestamp(found) and found.tz == dtype.tz)
    assert expected is None or content == expected


@pytest.mark.parametrize(
    "mixed",
    [
        [1, "a"],
        [1, 0.5],
        ["a", b"a"],
        [True, "x"],
        [True, 1],
        [DAY, "x"],
        [DAY, MOMENT],
        [1, decimal.Decimal(1)],
        [object(), 1],
    ],
)
def test_pandas_columns_of_mixed_kinds_are_errors(mixed):
    with pytest.raises(SchemaError, match="'x'"):
        sources.open_source(pd.DataFrame({"x": pd.Series(mixed, dtype=object)}))


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([1j]),
        pd.Series(pd.period_range("2020", periods=1, freq="D")),
        pd.Series(pd.interval_range(0, 1)),
        pd.Series([[1, 2]]),
        pd.Series([{"a": 1}]),
        pd.Series([pd.Timedelta(1)]),
        pd.Series([MOMENT, MOMENT.replace(tzinfo=dt.UTC)], dtype=object),
        pd.Series([2**300], dtype=object),
        pd.Series(pd.Categorical([1, "a"])),
    ],
)
def test_pandas_columns_that_cannot_be_counted(series):
    with pytest.raises(SchemaError, match="'x'"):
        sources.open_source(pd.DataFrame({"x": series}))


def test_pandas_index_is_ignored_and_names_become_text():
    frame = pd.DataFrame({0: [1], "b": [2]}, index=pd.Index(["i"], name="index"))
    assert list(sources.open_source(frame).schema) == ["0", "b"]
    with pytest.raises(SchemaError, match="several columns"):
        sources.open_source(pd.DataFrame([[1, 2]], columns=[0, "0"]))


def test_pandas_columns_left_out_may_be_anything():
    frame = pd.DataFrame({"x": [1], "bad": pd.Series([1j])})
    assert list(sources.open_source(frame, columns=["x"]).schema) == ["x"]


def test_polars_frames():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {"s": ["a", None, "a"], "n": [BIG, None, 1], "c": pl.Series(["p", "q", None], dtype=pl.Categorical)}
    )
    for data in (frame, frame.lazy()):
        source = sources.open_source(data)
        assert source.kind == "polars"
        assert {k: str(v) for k, v in source.schema.items()} == {"s": "string", "n": "int64", "c": "string"}
        (table,) = source.partitions[0].read(["c", "n", "s"])
        assert table.to_pydict() == {"c": ["p", "q", None], "n": [BIG, None, 1], "s": ["a", None, "a"]}


def test_arrow_data():
    table = pa.table({"s": ["a", "b"]})
    batches = table.to_batches()
    for data in (table, batches[0], batches, table.to_reader()):
        assert sources.open_source(data).n_rows == 2
    with pytest.raises(SchemaError, match="different schemas"):
        sources.open_source([*batches, pa.record_batch({"z": [1]})])


def test_slices_pickle_only_their_rows_and_keep_their_key(monkeypatch):
    monkeypatch.setattr(memory, "SLICE_ROWS", 1000)
    table = pa.table({"n": list(range(100_000)), "s": ["x"] * 100_000})
    source = sources.open_source(table, columns=["n"])
    assert len(source.partitions) == 100
    partition = source.partitions[7]
    content = pickle.dumps(partition)
    assert len(content) < 15_000
    copy = pickle.loads(content)
    assert copy.key == partition.key
    assert next(copy.read(["n"]))["n"].to_pylist() == list(range(7000, 8000))


def test_keys_tell_content_apart():
    keys = [
        sources.open_source(pa.table({"n": v})).partitions[0].key
        for v in ([1, 2], [1, 2], [1, 3], [1.0, 2.0])
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_zero_rows_are_one_partition():
    source = sources.open_source(pd.DataFrame({"x": pd.Series([], dtype="int64")}))
    assert (source.n_rows, len(source.partitions)) == (0, 1)
    assert sum(t.num_rows for t in source.partitions[0].read(["x"])) == 0


def test_invalid_strings_in_memory_are_errors():
    bad = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    )
    source = sources.open_source(pa.table({"s": bad}))
    with pytest.raises(ValueError, match="cannot be read"):
        list(source.partitions[0].read(["s"]))


def test_sample_of_a_frame():
    source = sources.open_source(pa.table({"s": ["a", "b"] * 500_000}))
    sample = source.sample(["s"], max_rows=1000)
    assert sample.num_rows == 1000
    assert sample["s"].type == pa.dictionary(pa.int32(), pa.string())
