"""JointCounts: the laws, the counts themselves, dense and sparse cells, limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake import packing
from infolake.errors import CountOverflowError, LedgerError, UnknownColumnError, UsageError, WeightError
from infolake.packing import Groups
from infolake.summaries import cells, pair_tables, tally
from infolake.summaries.counting import LeafCounter
from infolake.summaries.joint_counts import JointCounts, add
from infolake.summaries.ledger import Ledger
from infolake.summaries.request import Request
from infolake.tables import BATCH_ARRAYS
from strategies import cells_of, columns, count_piece, groups, planned, splits, tables, tallied, values_of

WEIGHTS = {
    "rows": None,
    "integers": st.sampled_from([0, 1, 2, 3, 2**32, 2**40 + 1]),
    "floats": st.sampled_from([0.0, 1e-300, 1e300, 0.1, 1.0, 3.5, 5e-324, 2.0**53 + 2]),
}


@st.composite
def cut_tables(draw: st.DrawFn, weights: str) -> tuple[pa.Table, list[pa.Table], list[tuple[str, ...]]]:
    """Return a table, its pieces and the groups to count."""
    table = draw(tables())
    wanted = draw(groups(table.column_names))
    if weights != "rows":
        given = draw(st.lists(WEIGHTS[weights], min_size=table.num_rows, max_size=table.num_rows))
        table = table.append_column(
            "w", pa.array(given, pa.int64() if weights == "integers" else pa.float64())
        )
    return table, draw(splits(table)), wanted


def _weights(kind: str) -> str | None:
    return None if kind == "rows" else "w"


@pytest.fixture(params=["as it is", "tiny tables", "all sparse", "all direct", "bit planes"])
def layouts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Move the borders between dense, scattered, direct, sorted and sparse."""
    small = {
        "as it is": {},
        "tiny tables": {"DENSE_CELLS": 6, "DIRECT_CELLS": 12, "SCATTER_CELLS": 5, "KEPT_BYTES": 0},
        "all sparse": {"DENSE_CELLS": 0, "DIRECT_CELLS": 0},
        "all direct": {"SCATTER_CELLS": 0},
        "bit planes": {"WORTH_ANDS": -(10**9)},
    }[request.param]
    for name, value in small.items():
        monkeypatch.setattr(cells if name == "DENSE_CELLS" else packing, name, value)
    if "SCATTER_CELLS" in small:
        monkeypatch.setattr(packing.plan.__wrapped__, "__defaults__", (small["SCATTER_CELLS"],))
    _forget()
    yield
    _forget()


def _forget() -> None:
    cells.layout.cache_clear()
    packing.plan.cache_clear()


@pytest.mark.usefixtures("layouts")
@pytest.mark.parametrize("kind", WEIGHTS)
def test_counts_obey_the_laws(kind: str) -> None:
    @given(cut_tables(kind))
    def laws(case: tuple[pa.Table, list[pa.Table], list[tuple[str, ...]]]) -> None:
        table, pieces, wanted = case
        plan = planned(table, wanted, weights=_weights(kind))
        whole = count_piece(plan, table)
        parts = [count_piece(plan, p) for p in pieces]
        zero = JointCounts.zero(plan.request)
        assert add([zero, *parts]) == whole
        assert add(parts[::-1]) == whole
        a, b, c = (*parts, zero, zero)[:3]
        assert a + b == b + a
        assert (a + b) + c == a + (b + c)
        assert zero + a == a == a + zero
        assert (a + b) - b == a
        assert whole - whole == zero
        whole.check()

    laws()


@pytest.mark.usefixtures("layouts")
@pytest.mark.parametrize("kind", WEIGHTS)
def test_counts_equal_counting_row_by_row(kind: str) -> None:
    @given(cut_tables(kind))
    def equal(case: tuple[pa.Table, list[pa.Table], list[tuple[str, ...]]]) -> None:
        table, _, wanted = case
        found = count_piece(planned(table, wanted, weights=_weights(kind)), table)
        weights = None
        if kind != "rows":
            weights = [Fraction(w) if kind == "floats" else w for w in table["w"].to_pylist()]
        for group in wanted:
            expected = tallied(table, group, weights)
            assert cells_of(found, group) == {
                k: float(v) if kind == "floats" else v for k, v in expected.items()
            }

    equal()


@given(st.data())
def test_levels_are_sorted_by_value_with_missing_last(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 20))
    array = data.draw(columns(n))
    found = count_piece(planned(pa.table({"x": array}), "columns"), pa.table({"x": array})).levels["x"]
    present = {v for v in values_of(array) if v is not None}
    order = sorted(present, key=lambda v: v.encode() if isinstance(v, str) else v)
    assert found == (*order, *([None] if None in values_of(array) else []))


def _frame(n: int, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": random.choice(["u", "v", "w", None], n),
            "b": random.integers(0, 300, n),
            "c": pd.array(random.integers(0, 5, n), "Int64"),
            "d": random.choice([0.5, -0.0, 0.0, np.nan], n),
            "e": random.integers(0, 2, n).astype(bool),
        }
    )
    frame.loc[random.random(n) < 0.1, "c"] = pd.NA
    frame["d"] = frame["d"] + 0.0
    return frame


GROUPS = [("a",), ("b", "a"), ("a", "c", "d"), ("e", "d", "c", "a"), ("b", "c", "e")]


@pytest.mark.usefixtures("layouts")
def test_counts_equal_pandas_and_duckdb() -> None:
    frame = _frame(4000)
    table = pa.Table.from_pandas(frame)
    found = count_piece(planned(table, GROUPS), table)
    filled = frame.astype(object).where(frame.notna(), None)
    database = duckdb.connect()
    database.register("t", table)
    for group in GROUPS:
        expected = {
            tuple(None if pd.isna(v) else v for v in (k if isinstance(k, tuple) else (k,))): n
            for k, n in filled.groupby(list(group), dropna=False).size().items()
        }
        assert cells_of(found, group) == expected
        names = ", ".join(f"CASE WHEN isnan({c}) THEN NULL ELSE {c} END" if c == "d" else c for c in group)
        rows = database.sql(f"SELECT {names}, count(*) FROM t GROUP BY ALL").fetchall()
        assert {r[:-1]: r[-1] for r in rows} == expected


def test_a_column_that_turns_wide_in_the_middle_is_counted_anew() -> None:
    random = np.random.default_rng(3)
    narrow = pa.table({"x": random.integers(0, 3, 500), "y": random.integers(0, 3, 500)})
    wide = pa.table({"x": random.integers(0, 3000, 5000), "y": random.integers(0, 900, 5000)})
    table = pa.concat_tables([narrow, wide, narrow])
    plan = planned(table, [("x", "y"), ("x",), ("y",)])
    found = count_piece(plan, table)
    assert found.sparse
    assert found == add([count_piece(plan, p) for p in (narrow, wide, narrow)])
    assert cells_of(found, ("y", "x")) == tallied(table, ("y", "x"))
    assert (found - count_piece(plan, wide)).sparse == {}


@pytest.mark.parametrize("flush_rows", [1, 7, 2**32 - 1])
@pytest.mark.parametrize("weights", [None, "w"])
def test_flushing_changes_nothing(flush_rows: int, weights: str | None) -> None:
    table = pa.Table.from_pandas(_frame(500)).append_column("w", pa.array(range(500)))
    request = planned(table, GROUPS, weights=weights).request
    counter = LeafCounter(request, flush_rows=flush_rows)
    for batch in [table.slice(i, 90) for i in range(0, 500, 90)]:
        counter.update(batch)
    whole = LeafCounter(request)
    whole.update(table)
    assert counter.result() == whole.result()


def test_uint32_tables_are_emptied_before_they_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    blank = tally.Tally._blank
    preset = 2**32 - 1 - 10
    monkeypatch.setattr(tally.Tally, "_blank", lambda self, s: blank(self, s) + np.uint32(preset))
    table = pa.table({"x": ["a"] * 10, "y": ["b"] * 10})
    request = planned(table).request
    counter = LeafCounter(request, flush_rows=10)
    counter.update(table)
    monkeypatch.setattr(tally.Tally, "_blank", blank)
    counter.update(table)
    found = counter.result()
    assert cells_of(found, ("x", "y"))["a", "b"] == preset + 20


# -- what does not add


def test_unlike_requests_refuse_to_add() -> None:
    table = pa.table({"x": ["a", "b"], "y": [1, 2], "w": [1, 2]})
    kinds = [
        planned(table),
        planned(table, columns=["x", "y"]),
        planned(table, [("x", "y")]),
        planned(table, missing="listwise"),
        planned(table, weights="w"),
        planned(table, filters=[("y", ">", 0)]),
        planned(table, filters=[("y", ">", 1)]),
        planned(table, bins={"y": [0, 5]}),
        planned(table, bins={"y": [0, 6]}),
        planned(table.set_column(1, "y", pa.array([1.0, 2.0]))),
    ]
    found = [JointCounts.zero(p.request) for p in kinds]
    assert len({c.fingerprint for c in found}) == len(kinds)
    for other in found[1:]:
        with pytest.raises(UsageError, match="different things do not add"):
            found[0] + other
        with pytest.raises(UsageError, match="different things do not add"):
            found[0] - other


def test_adding_something_else_is_a_type_error() -> None:
    counts = JointCounts.zero(planned(pa.table({"x": [1], "y": [1]})).request)
    with pytest.raises(TypeError):
        counts + 1
    with pytest.raises(TypeError):
        counts - 0
    assert sum([counts, counts]) == counts


@given(st.data())
def test_more_cannot_be_taken_away_than_there_is(data: st.DataObject) -> None:
    table = pa.table({"x": ["a", "b", "b"], "y": [1, 1, 2], "w": [0.5, 1e-9, 3.0]})
    weights = data.draw(st.sampled_from([None, "w"]))
    plan = planned(table, [("x", "y")], weights=weights)
    part = count_piece(plan, table.slice(1))
    with pytest.raises(UsageError, match="hold rows that these counts do not"):
        part - count_piece(plan, table)


def test_rows_left_out_cannot_be_taken_away_either() -> None:
    table = pa.table({"x": ["a", "b"], "y": [1, 2]})
    plan = planned(table, filters=[("y", ">", 1)])
    kept, left = count_piece(plan, table.slice(1)), count_piece(plan, table.slice(0, 1))
    with pytest.raises(UsageError, match="rows that these counts do not"):
        kept - left


# -- the ledger inside


def test_cells_must_sum_to_the_rows_counted() -> None:
    table = pa.table({"x": ["a", "b"], "y": [1, 2], "z": [1, 1]})
    counts = count_piece(planned(table), table)
    dense = counts.dense.copy()
    dense[0, np.flatnonzero(dense[0])[0]] += 1
    with pytest.raises(LedgerError, match="do not sum") as caught:
        replace(counts, dense=dense).check("here")
    assert caught.value.exit_code == 70
    with pytest.raises(LedgerError, match="does not balance"):
        replace(counts, ledger=Ledger(2, 3, 2)).check()


# -- sizes


def _made_up(count: int, n: int = 2) -> JointCounts:
    """Return counts of two columns whose one cell holds ``count`` rows."""
    table = pa.table({"x": ["a"], "y": ["b"]})
    one = count_piece(planned(table, [("x", "y"), ("x",)][:n]), table)
    return replace(one, dense=one.dense * count, ledger=Ledger(count, count, count))


@pytest.mark.parametrize("size", [2**31, 2**32, 2**53 + 1, 2**62])
def test_large_counts_are_exact(size: int) -> None:
    counts = _made_up(size)
    counts.check()
    assert cells_of(counts + _made_up(1), ("x", "y"))["a", "b"] == size + 1
    assert (counts + _made_up(5)) - _made_up(5) == counts
    found = counts.batch([("x", "y")])
    assert found.batch.totals.tolist() == [size]


def test_counts_stop_clearly_at_2_to_the_63() -> None:
    most = _made_up(2**62) + _made_up(2**62 - 1)
    most.check()
    assert most.table("x").total == 2**63 - 1
    with pytest.raises(CountOverflowError, match=r"2\*\*63") as caught:
        most + _made_up(1)
    assert caught.value.exit_code == 65
    assert str(2**63) in str(caught.value)


@pytest.mark.parametrize("weights", [[2**62, 2**62], [2**63 - 1, 1], [2**63], [2**64 - 1]])
def test_weights_beyond_2_to_the_63_stop_clearly(weights: list[int]) -> None:
    n = len(weights)
    table = pa.table({"x": ["a"] * n, "y": ["b"] * n, "w": pa.array(weights, pa.uint64())})
    plan = planned(table, [("x", "y")], weights="w")
    with pytest.raises(CountOverflowError, match=r"2\*\*63"):
        count_piece(plan, table)
    single = [count_piece(plan, table.slice(i, 1)) for i in range(n) if weights[i] < 2**63]
    if len(single) == n:
        with pytest.raises(CountOverflowError, match=r"2\*\*63"):
            add(single)


def test_the_largest_weight_counts() -> None:
    table = pa.table({"x": ["a"], "y": ["b"], "w": [2**63 - 1]})
    found = count_piece(planned(table, [("x", "y")], weights="w"), table)
    assert found.table("x", "y").total == 2**63 - 1


def test_float_weights_beyond_the_largest_float_stop_clearly() -> None:
    table = pa.table({"x": ["a", "b"], "y": ["b", "a"], "w": [1.7e308, 1.7e308]})
    plan = planned(table, [("x", "y")], weights="w")
    with pytest.raises(CountOverflowError, match="largest float"):
        count_piece(plan, table)
    assert count_piece(plan, table.slice(1)).table("x").total == 1.7e308


@pytest.mark.parametrize(
    "bad", [[-1.0], [math.nan], [math.inf], [None], [-math.inf], [-1e-300]], ids=lambda b: str(b[0])
)
def test_bad_weights_are_errors(bad: list[float | None]) -> None:
    table = pa.table({"x": ["a"], "y": ["b"], "w": pa.array(bad, pa.float64())})
    with pytest.raises(WeightError, match="'w'") as caught:
        count_piece(planned(table, [("x", "y")], weights="w"), table)
    assert caught.value.exit_code == 65


@pytest.mark.parametrize("bad", [[-1], [None], [-(2**63)]])
def test_bad_integer_weights_are_errors(bad: list[int | None]) -> None:
    table = pa.table({"x": ["a"], "y": ["b"], "w": pa.array(bad, pa.int64())})
    with pytest.raises(WeightError):
        count_piece(planned(table, [("x", "y")], weights="w"), table)


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300, 5e-324])
def test_the_effective_number_of_rows_knows_no_scale(scale: float) -> None:
    table = pa.table({"x": ["a", "b", "a"], "y": ["p", "q", "q"], "w": [scale] * 3})
    found = count_piece(planned(table, [("x", "y")], weights="w"), table).batch([("x", "y")])
    assert found.n_effective is not None
    assert found.n_effective[0] == pytest.approx(3, rel=1e-15)


def test_the_effective_number_of_rows_is_kishs() -> None:
    weights = [1, 2, 3, 0, 5]
    table = pa.table({"x": list("aabba"), "y": list("ppqqq"), "w": weights})
    found = count_piece(planned(table, [("x", "y")], weights="w"), table).batch([("y", "x")])
    assert found.n_effective is not None
    assert found.n_effective[0] == sum(weights) ** 2 / sum(w * w for w in weights)


# -- tables


def test_tables_are_views() -> None:
    table = pa.table({"x": ["a", "b", None, "a"], "y": [1, None, None, 2], "z": [True, True, False, True]})
    counts = count_piece(planned(table, [("x", "y", "z")]), table)
    assert counts.table("x", "y").array.tolist() == [[1, 1], [0, 0]]
    assert counts.table("y", "x").array.tolist() == [[1, 0], [1, 0]]
    assert counts.table("x", "y", missing="level").levels == (("a", "b", None), (1, 2, None))
    assert counts.table("z").array.tolist() == [1, 3]
    assert counts.table("x").total == 3
    assert counts.table("x", missing="level").total == 4
    assert counts.table("z", "y", "x", missing="level").shape == (2, 3, 3)


def test_tables_that_were_not_counted_are_errors() -> None:
    table = pa.table({"x": ["a"], "y": [1], "z": [1]})
    counts = count_piece(planned(table, [("x", "y"), ("z",)]), table)
    with pytest.raises(UnknownColumnError, match="not counted together"):
        counts.table("x", "z")
    with pytest.raises(UnknownColumnError, match="did you mean 'x'"):
        counts.table("xx")
    with pytest.raises(UnknownColumnError, match="distinct columns"):
        counts.table("x", "x")
    with pytest.raises(UsageError, match="needs columns"):
        counts.table()
    with pytest.raises(UsageError, match="cannot be read off"):
        counts.table("x", missing="listwise")


@pytest.mark.usefixtures("layouts")
@given(table=tables(min_columns=3, max_columns=4), data=st.data())
def test_batches_of_tables_equal_tables(table: pa.Table, data: st.DataObject) -> None:
    wanted = data.draw(groups(table.column_names))
    counts = count_piece(planned(table, wanted), table)
    pairs = [(x, y) for g in wanted for x in g for y in g if x != y]
    for missing in ("pairwise", "level"):
        if not pairs:
            continue
        found = counts.batch(pairs, missing)
        for number, (x, y) in enumerate(pairs):
            one = counts.table(x, y, missing=missing)
            chosen = slice(*found.batch.offsets[number : number + 2])
            codes, values = one.cells
            assert found.batch.rows[chosen].tolist() == codes[0].tolist()
            assert found.batch.cols[chosen].tolist() == codes[1].tolist()
            assert found.batch.cells[chosen].tolist() == values.tolist()
            assert found.batch.totals[number] == one.total
            assert found.n_missing[number] == table.num_rows - one.total


@given(table=tables(min_columns=3, max_columns=4), data=st.data())
def test_dense_tables_are_read_as_any_others(table: pa.Table, data: st.DataObject) -> None:
    """The quick way through dense counts has its twin: the way through all cells as a list."""
    wanted = data.draw(st.sampled_from(["pairs", [("c0", "c1"), ("c2", "c0")]]))
    counts = count_piece(planned(table, wanted), table)
    known = [pair for x, y in counts.groups for pair in ((x, y), (y, x))]
    pairs = data.draw(st.lists(st.sampled_from(known), min_size=1))
    numbers = np.array([[counts.request.number(c) for c in pair] for pair in pairs])
    where = pair_tables._groups(counts, numbers)
    for missing in ("pairwise", "level"):
        quick = pair_tables._dense_tables(counts, numbers, where, missing)
        slow = pair_tables._listed_tables(counts, numbers, where, missing)
        for name in BATCH_ARRAYS:
            one, other = getattr(quick.batch, name), getattr(slow.batch, name)
            assert one.dtype == other.dtype
            assert np.array_equal(one, other), name
        assert np.array_equal(quick.n_missing, slow.n_missing)
        assert quick.n_effective is None is slow.n_effective


@given(table=tables(min_columns=3, max_columns=3))
def test_strata_equal_counting_each_stratum(table: pa.Table) -> None:
    counts = count_piece(planned(table, [("c0", "c1", "c2")]), table)
    found = counts.strata([("c1", "c0")], ["c2"], "level")
    expected = {}
    for (z, y, x), n in tallied(table, ("c2", "c1", "c0")).items():
        expected.setdefault(z, {})[y, x] = n
    assert len(found.batch) == len(expected)
    assert found.batch.cells.sum() == table.num_rows
    sizes = [int(t) for t in found.batch.totals]
    assert sorted(sizes) == sorted(sum(cells.values()) for cells in expected.values())
    complete = counts.strata([("c1", "c0")], ["c2"])
    rows = sum(n for k, n in tallied(table, ("c2", "c1", "c0")).items() if None not in k)
    assert complete.batch.totals.sum() == rows
    assert complete.n_missing.tolist() == [table.num_rows - rows]


# -- shapes at the border


@pytest.mark.parametrize("n_rows", [0, 1])
def test_no_rows_and_one_row_are_values(n_rows: int) -> None:
    table = pa.table({"x": ["a"], "y": pa.array([None], pa.int64())}).slice(0, n_rows)
    counts = count_piece(planned(table), table)
    counts.check()
    assert counts.n_rows == n_rows
    assert counts.table("x", "y").total == 0
    assert counts.table("x", "y", missing="level").total == n_rows
    assert (counts + counts).n_rows == 2 * n_rows


def test_no_groups_count_rows_only() -> None:
    table = pa.table({"x": ["a", "b"]})
    counts = count_piece(planned(table), table)
    assert counts.groups == ()
    assert (counts.n_rows, (counts + counts).n_rows) == (2, 4)
    assert counts - counts == JointCounts.zero(counts.request)


def test_repr_and_html_show_hostile_names_escaped() -> None:
    table = pa.table({"<script>": ["a"], "b": [1]})
    counts = count_piece(planned(table), table)
    assert "2 columns" in repr(counts)
    assert "<script>" not in counts._repr_html_()
    assert counts.__sizeof__() > counts.nbytes > 0


def test_requests_are_told_apart_by_content() -> None:
    kinds = (pa.string(), pa.string())
    a = Request(("x", "y"), kinds, Groups(2, "pairs"), (None, None))
    b = Request(("x", "y"), kinds, Groups(2, "target", 1), (None, None))
    assert a.fingerprint != b.fingerprint
    assert Request.from_json(b.to_json(), kinds) == b
