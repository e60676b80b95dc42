"""Filters: exact comparisons, missing never passes, Hive keys prune."""

# ruff: noqa: DTZ001 - naive times are part of what is tested

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake import sources
from infolake.errors import UnknownColumnError, UsageError
from infolake.sources.filters import OPERATORS, filter_mask

NAN = float("nan")
MOMENT = dt.datetime(2020, 1, 2, 3)


def mask(values, op, value, dtype=None):
    return filter_mask(pa.table({"x": pa.array(values, dtype)}), [("x", op, value)]).to_pylist()


@pytest.mark.parametrize(
    ("values", "dtype", "op", "value", "expected"),
    [
        ([1, 2, None], None, ">", 1, [False, True, False]),
        ([1, 2, None], None, "!=", 1, [False, True, False]),
        ([1, 2, None], None, "not in", [1], [False, True, False]),
        ([1, 2, None], None, "in", [1, 7], [True, False, False]),
        ([1, 2], None, ">", 1.5, [False, True]),
        ([1, 2], None, ">=", 1.5, [False, True]),
        ([1, 2], None, "<", 1.5, [True, False]),
        ([1, 2], None, "==", 1.5, [False, False]),
        ([1, 2], None, "!=", 1.5, [True, True]),
        ([1, 2], None, "<", float("inf"), [True, True]),
        ([-1, 2], None, "<", 10**30, [True, True]),
        ([2**53, 2**53 + 1], None, "==", 2**53 + 1, [False, True]),
        ([2**63, 1], pa.uint64(), ">", -5, [True, True]),
        ([2**63, 1], pa.uint64(), "==", 2**63, [True, False]),
        ([0.5, NAN, None], None, "!=", 0.5, [False, False, False]),
        ([0.5, NAN, 1.0], None, "not in", [0.5], [False, False, True]),
        ([True, False, None], None, "==", True, [True, False, False]),
        (["a", "b", None], None, ">=", "b", [False, True, False]),
        ([b"a", b"b"], None, "==", b"a", [True, False]),
        ([Decimal("0.10"), Decimal("0.20")], None, "==", 0.1, [True, False]),
        ([Decimal("0.10"), Decimal("0.20")], None, ">", Decimal("0.101"), [False, True]),
        ([dt.date(2020, 1, 1), dt.date(2020, 1, 2)], None, ">", "2020-01-01", [False, True]),
        ([dt.date(2020, 1, 2)], None, "<", MOMENT, [True]),
        ([MOMENT, None], None, "==", "2020-01-02 03:00:00", [True, False]),
        ([MOMENT], None, ">", dt.date(2020, 1, 2), [True]),
        ([MOMENT], pa.timestamp("us", "UTC"), "==", "2020-01-02T04:00:00+01:00", [True]),
        ([MOMENT], pa.timestamp("ns"), "==", np.datetime64("2020-01-02T03"), [True]),
        ([MOMENT], pa.timestamp("us"), "<", pd.Timestamp(MOMENT) + pd.Timedelta(1, "ns"), [True]),
        ([MOMENT], pa.timestamp("us"), "==", pd.Timestamp(MOMENT) + pd.Timedelta(1, "ns"), [False]),
        ([dt.time(1, 2)], None, "<", "01:03", [True]),
        ([None], pa.null(), "!=", 5, [False]),
        ([5], None, "==", np.int64(5), [True]),
    ],
)
def test_comparisons(values, dtype, op, value, expected):
    assert mask(values, op, value, dtype) == expected


def test_dictionaries_compare_by_value():
    column = pa.chunked_array(
        [pa.array(["a", None, "b"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()]
    )
    table = pa.table({"x": column})
    assert filter_mask(table, [("x", "!=", "a")]).to_pylist() == [False, False, True, True]
    assert filter_mask(table, [("x", "in", ["a"])]).to_pylist() == [True, False, False, False]


def test_lists_of_lists_are_any_of_all():
    table = pa.table({"a": [1, 2, 3], "b": ["x", "y", "x"]})
    assert filter_mask(table, [[("a", ">", 1), ("b", "==", "x")], [("a", "==", 1)]]).to_pylist() == [
        True,
        False,
        True,
    ]
    assert filter_mask(table, None).to_pylist() == [True] * 3
    assert filter_mask(table, []).to_pylist() == [True] * 3


@pytest.mark.parametrize(
    ("values", "value"),
    [
        ([1], "1"),
        ([1], True),
        (["a"], 1),
        ([True], 1),
        ([0.5], "x"),
        ([dt.date(2020, 1, 1)], "yesterday"),
        ([MOMENT], 5),
        ([b"a"], "a"),
    ],
)
def test_values_of_another_kind_are_errors(values, value):
    with pytest.raises(UsageError, match="another kind"):
        mask(values, "==", value)


def test_aware_and_naive_do_not_compare():
    with pytest.raises(UsageError):
        mask([MOMENT], "==", MOMENT.replace(tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ([("a", "~", 1)], "unknown operator"),
        ([("a", ">", None)], "missing value"),
        ([("a", ">", NAN)], "missing value"),
        ([("a", "in", 5)], "needs a list"),
        ([("a", "in", "xyz")], "needs a list"),
        ("a > 1", "another form"),
        ([5], "another form"),
        ([[]], "another form"),
        ([("a", ">")], "another form"),
    ],
)
def test_bad_filters_are_usage_errors(bad, match):
    with pytest.raises(UsageError, match=match):
        sources.open_source(pa.table({"a": [1]}), filters=bad)


def test_filters_are_checked_when_opening(write):
    path = write("a.parquet", {"carrier": ["AA"], "n": [1]})
    with pytest.raises(UnknownColumnError, match="did you mean 'carrier'"):
        sources.open_source(path, filters=[("carrer", "==", "AA")])
    with pytest.raises(UsageError, match="another kind"):
        sources.open_source(path, filters=[("n", "==", "AA")])


def test_filter_columns_are_read_but_not_wanted(write):
    path = write("a.parquet", {"a": [1], "b": [2], "c": [3]})
    source = sources.open_source(path, columns=["c"], filters=[("a", ">", 0)])
    assert list(source.schema) == ["a", "c"]
    assert source.columns == ("c",)
    assert source.filters == ((("a", ">", 0),),)


def test_hive_keys_prune_files_before_their_footers_are_read(write, tmp_path):
    for year in (2012, 2013, 2014):
        write(f"d/year={year}/a.parquet", {"x": [year % 10]})
    (tmp_path / "d/year=2012/a.parquet").write_bytes(b"damaged, and never looked at")
    source = sources.open_source(tmp_path / "d", filters=[("year", ">", 2012), ("x", "!=", 3)])
    assert (source.pruned_files, len(source.inputs), source.n_rows) == (1, 2, 2)
    source = sources.open_source(
        tmp_path / "d", filters=[[("year", "==", 2014)], [("year", "==", 2013), ("x", "==", 3)]]
    )
    assert source.pruned_files == 1


def test_pruning_everything_leaves_zero_rows(write, tmp_path):
    write("d/k=a/a.parquet", {"x": [1]})
    write("d/k=__HIVE_DEFAULT_PARTITION__/a.parquet", {"x": [1]})
    source = sources.open_source(tmp_path / "d", filters=[("k", "!=", "a")])
    assert (source.pruned_files, source.partitions, source.n_rows) == (2, (), 0)
    assert source.schema == {"x": pa.int64(), "k": pa.string()}
    assert source.sample().num_rows == 0


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-5, max_value=5),
)


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=5),
    st.sampled_from(list(OPERATORS)),
    NUMBERS,
)
def test_integers_compare_exactly_with_any_number(values, op, number):
    expected = [v is not None and OPERATORS[op](v, number) for v in values]
    assert mask(values, op, number, pa.int64()) == expected
