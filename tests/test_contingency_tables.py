"""Contingency tables, batches of them, and strata."""

import math
import pickle
import subprocess
import sys
from collections import Counter

import html5lib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infolake.errors import (
    CountOverflowError,
    SchemaError,
    TooManyCellsError,
    UnknownColumnError,
    UsageError,
    WeightError,
)
from infolake.tables import ContingencyTable, TableBatch, grouped_sum

label = st.one_of(st.none(), st.integers(-3, 3))
rows = st.lists(st.tuples(label, label, label), min_size=1, max_size=60)


def sparse(table):
    codes, counts = table.cells
    return ContingencyTable.from_cells(codes, counts, levels=table.levels, columns=table.columns)


@given(rows)
@settings(max_examples=100, deadline=None)
def test_from_labels_counts_like_a_counter(data):
    table = ContingencyTable.from_labels(*zip(*data, strict=True))
    codes, counts = table.cells
    labels = zip(
        *([axis[c] for c in code] for axis, code in zip(table.levels, codes, strict=True)), strict=True
    )
    assert dict(zip(labels, counts.tolist(), strict=True)) == Counter(data)
    assert table.total == len(data)
    for axis in table.levels:
        known = [v for v in axis if v is not None]
        assert known == sorted(known)
        assert None not in axis[:-1]


@given(rows)
@settings(max_examples=60, deadline=None)
def test_dense_and_sparse_are_one_value(data):
    table = ContingencyTable.from_labels(*zip(*data, strict=True))
    thin = sparse(table)
    dense = ContingencyTable(table.array, table.levels, table.columns)
    assert dense.dense
    assert not thin.dense
    assert thin == dense == table
    for view in (
        lambda t: t.T,
        lambda t: t.transpose("y", "z", "x"),
        lambda t: t.marginal("z", "x"),
        lambda t: t.marginal("y"),
        lambda t: t.drop_missing(),
    ):
        assert view(thin) == view(dense)
        assert np.array_equal(view(thin).array, view(dense).array)
    assert [a.tolist() for a in thin.frequency_of_frequencies()] == [
        a.tolist() for a in dense.frequency_of_frequencies()
    ]
    assert thin.to_frame().equals(dense.to_frame())


@given(rows)
@settings(max_examples=60, deadline=None)
def test_views_are_those_of_numpy(data):
    table = ContingencyTable.from_labels(*zip(*data, strict=True))
    array = table.array
    assert np.array_equal(table.T.array, array.T)
    assert table == table.T.T
    assert np.array_equal(table.transpose("y", "z", "x").array, array.transpose(1, 2, 0))
    assert np.array_equal(table.marginal("z", "x").array, array.sum(axis=1).T)
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        assert np.array_equal(table.margins[axis], array.sum(axis=others))
    kept = table.drop_missing()
    assert kept.total == sum(None not in row for row in data)
    assert all(None not in axis for axis in kept.levels)


@given(rows)
@settings(max_examples=60, deadline=None)
def test_strata_are_the_slices(data):
    table = ContingencyTable.from_labels(*zip(*data, strict=True))
    batch = table.strata()
    assert len(batch) == table.shape[2]
    assert batch.totals.tolist() == table.margins[2].tolist()
    for z in range(len(batch)):
        slab = table.array[:, :, z]
        slab = slab[slab.any(axis=1)][:, slab.any(axis=0)]
        assert np.array_equal(dense(batch, z), slab)
    assert [len(table.strata(given=c)) for c in "xyz"] == list(table.shape)


def dense(batch, t):
    part = slice(batch.offsets[t], batch.offsets[t + 1])
    n_rows = batch.row_offsets[t + 1] - batch.row_offsets[t]
    n_cols = batch.col_offsets[t + 1] - batch.col_offsets[t]
    array = np.zeros((n_rows, n_cols), dtype=batch.cells.dtype)
    array[batch.rows[part], batch.cols[part]] = batch.cells[part]
    return array


arrays = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 999)), min_size=1, max_size=6
).map(lambda specs: [np.random.default_rng(s).integers(0, 3, (r, c)) for r, c, s in specs])


def batch_of(several, dtype=np.int64):
    return TableBatch.from_cells(
        np.concatenate([a.ravel() for a in several]).astype(dtype),
        np.concatenate([np.repeat(np.arange(len(a)), a.shape[1]) for a in several]),
        np.concatenate([np.tile(np.arange(a.shape[1]), len(a)) for a in several]),
        np.cumsum([0, *(a.size for a in several)]),
        np.array([a.shape[0] for a in several]),
        np.array([a.shape[1] for a in several]),
    )


@given(arrays, st.sampled_from([np.int64, np.float64]))
@settings(max_examples=60, deadline=None)
def test_a_batch_is_its_tables(several, dtype):
    batch, turned = batch_of(several, dtype), batch_of(several, dtype).transpose()
    assert len(batch) == len(several)
    assert batch.weighted == (dtype is np.float64)
    for t, array in enumerate(several):
        assert np.array_equal(dense(batch, t), array)
        assert np.array_equal(dense(turned, t), array.T)
        one = ContingencyTable(array.astype(dtype)).batch()
        assert batch.totals[t] == one.totals[0] == array.sum()
        assert batch.n_cells[t] == np.count_nonzero(array)
        assert batch.n_rows_nonempty[t] == array.any(axis=1).sum() == one.n_rows_nonempty[0]
        assert batch.n_cols_nonempty[t] == array.any(axis=0).sum()
    assert np.array_equal(batch.row_margins, np.concatenate([a.sum(axis=1) for a in several]))
    assert np.array_equal(batch.col_margins, np.concatenate([a.sum(axis=0) for a in several]))
    again = turned.transpose()
    assert np.array_equal(again.cells, batch.cells)
    assert np.array_equal(again.rows, batch.rows)


def test_sums_of_weights_are_correctly_rounded_in_any_order():
    rng = np.random.default_rng(1)
    values = 10.0 ** rng.uniform(-9, 9, 2000)
    group = rng.integers(0, 5, 2000)
    order = rng.permutation(2000)
    truth = [math.fsum(values[group == g]) for g in range(5)]
    assert grouped_sum(values, group, 5).tolist() == truth
    assert grouped_sum(values[order], group[order], 5).tolist() == truth
    array = values.reshape(40, 50)
    assert ContingencyTable(array).total == ContingencyTable(array.T).total == math.fsum(values)


def test_labels_of_many_kinds():
    table = ContingencyTable.from_labels(["b", "a", None, "é", "z"], [True, False, True, True, None])
    assert table.levels == (("a", "b", "z", "é", None), (False, True, None))
    floats = ContingencyTable.from_labels([0.0, -0.0, math.nan, 1.5], np.array([2, 1, 1, 2]))
    assert floats.levels == ((0.0, 1.5, None), (1, 2))
    assert math.copysign(1, floats.levels[0][0]) == 1
    series = ContingencyTable.from_labels(pd.Series(["u", pd.NA, "v"]), pd.Series([1.0, None, 2.0]))
    assert series.levels == (("u", "v", None), (1.0, 2.0, None))
    days = np.array(["2020-01-02", "NaT", "2020-01-01"], dtype="datetime64[ns]")
    assert [str(v)[:10] for v in ContingencyTable.from_labels(days).levels[0]] == [
        "2020-01-01",
        "2020-01-02",
        "None",
    ]
    with pytest.raises(SchemaError, match="one kind"):
        ContingencyTable.from_labels(["a", 1])
    with pytest.raises(SchemaError, match="equally long"):
        ContingencyTable.from_labels([1, 2], [1])


def test_large_labels_stay_apart():
    table = ContingencyTable.from_labels([2**53, 2**53 + 1, None])
    assert table.levels == ((2**53, 2**53 + 1, None),)


def test_no_rows():
    table = ContingencyTable.from_labels([], [])
    assert table.total == 0
    assert table.shape == (0, 0)
    assert "total 0" in repr(table)
    assert ContingencyTable(np.zeros((2, 0), dtype=int)).T.shape == (0, 2)


def test_frames_bring_their_labels():
    frame = pd.DataFrame([[1, 2], [3, 4]], index=pd.Index(["a", None], name="dest"), columns=["u", "v"])
    table = ContingencyTable(frame)
    assert table.columns == ("dest", "y")
    assert table.levels == (("a", None), ("u", "v"))
    assert table.to_frame().to_numpy().tolist() == [[1, 2], [3, 4]]


def test_counts_that_are_no_counts():
    for bad in ([[-1]], [[-0.5]], [[math.nan]], [[math.inf]], [["a"]], [[1j]]):
        with pytest.raises(WeightError):
            ContingencyTable(bad)
    for big in ([[2**62, 2**62]], [[2**64]], np.array([[2**63]], dtype=np.uint64)):
        with pytest.raises(CountOverflowError):
            ContingencyTable(big)
    assert ContingencyTable([[2**62, 2**62 - 1]]).total == 2**63 - 1
    assert ContingencyTable([[True, False]]).array.tolist() == [[1, 0]]
    batch = [np.array([[2**62, 2**62]])]
    with pytest.raises(CountOverflowError):
        batch_of(batch)
    assert batch_of([np.array([[2**62, 2**62 - 1]])]).totals[0] == 2**63 - 1


def test_levels_and_columns_must_fit():
    with pytest.raises(UsageError, match="levels"):
        ContingencyTable([[1, 2]], levels=("a", "b"))
    with pytest.raises(UsageError, match="columns"):
        ContingencyTable([[1, 2]], columns=("x", "x"))
    with pytest.raises(UsageError, match="last"):
        ContingencyTable([1, 2], levels=[(None, "a")])
    with pytest.raises(UsageError, match="axis"):
        ContingencyTable(3)
    with pytest.raises(UnknownColumnError, match="carrier"):
        ContingencyTable([[1]], columns=("carrier", "dest")).marginal("carier")
    with pytest.raises(UsageError, match="twice"):
        ContingencyTable([[1]]).transpose("x", "x")
    with pytest.raises(UsageError, match="every column"):
        ContingencyTable([[1]]).transpose("x")
    with pytest.raises(UsageError, match="at least one"):
        ContingencyTable([[1]]).marginal()
    with pytest.raises(UsageError, match="two columns"):
        ContingencyTable([[[1]]]).batch()
    with pytest.raises(UsageError, match="strata need"):
        ContingencyTable([[1]]).strata()


def test_sparse_cells_are_put_in_order_and_checked():
    options = {"levels": (range(3), range(3)), "columns": ("x", "y")}
    table = ContingencyTable.from_cells(([2, 0, 1], [0, 1, 1]), np.array([5, 7, 0]), **options)
    (x, y), counts = table.cells
    assert (x.tolist(), y.tolist(), counts.tolist()) == ([0, 2], [1, 0], [7, 5])
    with pytest.raises(UsageError, match="twice"):
        ContingencyTable.from_cells(([0, 0], [1, 1]), np.array([1, 1]), **options)
    with pytest.raises(UsageError, match="outside"):
        ContingencyTable.from_cells(([3], [0]), np.array([1]), **options)
    with pytest.raises(UsageError, match="as long as"):
        ContingencyTable.from_cells(([0],), np.array([1]), **options)


def test_dense_arrays_have_a_limit():
    levels = (range(2**14), range(2**14))
    table = ContingencyTable.from_cells(([3], [5]), np.array([1]), levels=levels, columns=("x", "y"))
    with pytest.raises(TooManyCellsError, match="16384 x 16384"):
        table.array
    assert table.T.cells[0][0].tolist() == [5]
    assert "total 1" in repr(table)


def test_given_margins_stay():
    table = ContingencyTable.from_cells(
        ([0], [1]), np.array([2]), levels=("ab", "cd"), columns=("x", "y"), margins=([3, 1], [2, 5]), total=9
    )
    assert not table.sums_match
    assert table.total == 9
    assert [m.tolist() for m in table.T.margins] == [[2, 5], [3, 1]]
    assert table.marginal("y").array.tolist() == [2, 5]
    assert table.batch().totals.tolist() == [9]
    assert pickle.loads(pickle.dumps(table)) == table
    with pytest.raises(UsageError, match="one number per level"):
        ContingencyTable.from_cells(
            ([0], [1]), np.array([2]), levels=("ab", "cd"), columns=("x", "y"), margins=([3], [2, 5])
        )


def test_tables_are_frozen_values():
    array = np.array([[1, 2], [3, 4]])
    table = ContingencyTable(array)
    array[0, 0] = 9
    assert table.array[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        table.array[0, 0] = 5
    with pytest.raises(AttributeError, match="frozen"):
        table.columns = ("a", "b")
    with pytest.raises(AttributeError, match="frozen"):
        del table.levels
    with pytest.raises(TypeError):
        hash(table)
    assert table != ContingencyTable([[1, 2], [3, 5]])
    assert table != "table"
    for value in (table, sparse(table)):
        again = pickle.loads(pickle.dumps(value))
        assert again == table
        assert again.dense == value.dense
    batch = pickle.loads(pickle.dumps(table.batch()))
    assert batch.cells.tolist() == [1, 2, 3, 4]


def test_size_is_that_of_the_arrays():
    table = ContingencyTable(np.ones((100, 100), dtype=int))
    assert 80_000 < table.__sizeof__() < 120_000


def test_repr_shows_margins_and_cuts():
    assert repr(ContingencyTable([[3, 0], [0, 1]], levels=("ac", ["b", None]))).splitlines() == [
        "ContingencyTable: x (2) × y (2), total 4, counts",
        "x \\ y  b  (missing)  total",
        "    a  3          0      3",
        "    c  0          1      1",
        "total  3          1      4",
    ]
    big = ContingencyTable(np.arange(10_000).reshape(100, 100))
    assert len(repr(big).splitlines()) == 3 + 12
    assert max(map(len, repr(big).splitlines())) < 120
    assert repr(sparse(big)) == repr(big)
    assert "8 non-zero" in repr(ContingencyTable(np.ones((2, 2, 2))))
    assert "weights" in repr(ContingencyTable([0.5, 1.25]))


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "a\x1b[31m", '"><img src=x>', "a&b"])
def test_html_is_escaped(hostile):
    text = ContingencyTable(
        [[1, 2], [3, 4]], levels=((hostile, "b"), ("c", hostile)), columns=(hostile, "y")
    )._repr_html_()
    page = html5lib.parse(text, namespaceHTMLElements=False)
    assert {e.tag for e in page.iter()} <= {
        "html",
        "head",
        "body",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert "\x1b" not in text
    cube = ContingencyTable([[[1]]], columns=(hostile, "b", "c"))._repr_html_()
    assert "<script" not in cube


def test_importing_tables_is_light():
    code = (
        "import sys, infolake.tables; sys.exit(bool({'numba', 'pandas', 'scipy', 'dask'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
