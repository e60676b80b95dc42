"""Quantile histograms: edges are exact order statistics, whatever the split; they add."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake.encoding.bins import BinRule, Edges
from infolake.errors import BinRangeError, CountOverflowError, LedgerError, UsageError, WeightError
from infolake.summaries import quantiles
from infolake.summaries.ledger import Ledger
from infolake.summaries.quantiles import ColumnPass, QuantileHistogram, QuantilePass
from strategies import splits

INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 2, 3, 2**53, 2**53 + 1, 2**53 + 2])
FLOATS = st.floats(allow_nan=False) | st.sampled_from(
    [0.0, -0.0, 1.0, 1 + 2**-52, math.inf, -math.inf, 5e-324]
)


def edges_of(
    pieces: Sequence[pa.Table], rule: BinRule, *, integer: bool, limit: int = 0, weights: str | None = None
) -> Edges | None:
    """Run all passes over ``pieces`` and return the edges."""
    whole = weights is not None and pa.types.is_integer(pieces[0].schema.field(weights).type)
    step = quantiles.first_pass({"x": (rule, integer, limit)}, weights, weights is None or whole)
    for _ in range(3):
        if step.open:
            found = [quantiles.zero(step), *(quantiles.count_batch(step, p) for p in pieces)]
            step = quantiles.next_pass(quantiles.add(found))
    assert not step.open
    return step.edges["x"]


def expected_edges(values: Sequence[Any], bins: int, weights: Sequence[int] | None = None) -> Edges | None:
    """Return edges by sorting: numpy's inverted CDF, which knows exact ranks."""
    rows = sorted(np.repeat(np.array(values, object), 1 if weights is None else weights).tolist())
    if not rows:
        return None
    n = len(rows)
    ranks = [1, *(max(1, -(-n * k // bins)) for k in range(1, bins)), n]
    edges = tuple(sorted({rows[r - 1] + 0 for r in ranks}))
    return edges if len(edges) > 1 else edges * 2


def _table(values: Sequence[Any], kind: pa.DataType, weights: Sequence[Any] | None = None) -> pa.Table:
    columns = {"x": pa.array(values, kind)}
    if weights is not None:
        columns["w"] = pa.array(weights)
    return pa.table(columns)


@pytest.fixture(params=["whole keys at once", "by prefix"])
def rounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the second and the third pass too."""
    if request.param == "by prefix":
        monkeypatch.setattr(quantiles, "EXACT_ROWS", 0)


@pytest.mark.usefixtures("rounds")
@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_edges_are_order_statistics_under_any_split(kind: str) -> None:
    integer = kind == "int64"

    @given(st.lists((INTEGERS if integer else FLOATS) | st.none(), max_size=40), st.integers(1, 9), st.data())
    def equal(values: list[Any], bins: int, data: st.DataObject) -> None:
        table = _table(values, pa.type_for_alias(kind))
        pieces = data.draw(splits(table))
        found = edges_of(pieces, BinRule("quantile", bins), integer=integer)
        present = [v for v in values if v is not None]
        assert found == expected_edges(present, bins)
        assert edges_of([table], BinRule("quantile", bins), integer=integer) == found
        assert found is None or all(isinstance(e, int) == integer for e in found)

    equal()


@pytest.mark.usefixtures("rounds")
@given(
    st.lists(st.tuples(st.floats(-100, 100), st.integers(0, 5)), max_size=30), st.integers(1, 6), st.data()
)
def test_integer_weights_count_as_rows(rows: list[tuple[float, int]], bins: int, data: st.DataObject) -> None:
    values, weights = [v for v, _ in rows], [w for _, w in rows]
    table = _table(values, pa.float64(), pa.array(weights, pa.int64()))
    found = edges_of(data.draw(splits(table)), BinRule("quantile", bins), integer=False, weights="w")
    assert found == expected_edges(values, bins, weights)


@pytest.mark.usefixtures("rounds")
@pytest.mark.parametrize("scale", [1.0, 0.5, 2.0**-1074, 2.0**1000])
@given(rows=st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 5)), max_size=30), data=st.data())
def test_float_weights_count_in_proportion(
    scale: float, rows: list[tuple[int, int]], data: st.DataObject
) -> None:
    values, weights = [float(v) for v, _ in rows], [w for _, w in rows]
    table = _table(values, pa.float64(), pa.array([w * scale for w in weights], pa.float64()))
    pieces = data.draw(splits(table))
    found = edges_of(pieces, BinRule("quantile", 2), integer=False, weights="w")
    assert found is None or set(found) <= set(values)
    if scale != 1.0:
        return
    expected = expected_edges(values, 2, weights)
    assert (found is None) == (expected is None)
    assert found is None or (found[0], found[-1]) == (expected[0], expected[-1])  # type: ignore[index]


@pytest.mark.parametrize("n", [1, 10, 1001, 50_000])
@pytest.mark.parametrize("bins", [1, 4, 16, 257])
def test_edges_equal_numpys_inverted_cdf(n: int, bins: int) -> None:
    random = np.random.default_rng(n * bins)
    values = np.concatenate(
        [random.normal(size=n), np.round(random.normal(size=n // 2), 1), [0.0] * (n // 3)]
    )
    expected = np.quantile(values, np.arange(bins + 1) / bins, method="inverted_cdf")
    found = edges_of([_table(values, pa.float64())], BinRule("quantile", bins), integer=False)
    assert found is not None
    assert set(found) >= set(expected.tolist()) - set(_off_by_rounding(values, bins, expected))
    assert found == expected_edges(values.tolist(), bins)


def _off_by_rounding(values: np.ndarray, bins: int, expected: np.ndarray) -> list[float]:
    """Return numpy's edges whose rank n * k / bins is a rounding error above a whole number."""
    n = len(values)
    return [e for k, e in enumerate(expected.tolist()) if (n * (k / bins)) % 1 < 1e-9 or (n * k) % bins == 0]


@pytest.mark.parametrize("integer", [True, False])
def test_few_distinct_values_are_counted_exactly(integer: bool) -> None:
    kind = pa.int64() if integer else pa.float64()
    table = _table([1, 2, 3, None] * 5, kind)
    assert edges_of([table], BinRule("auto", 16), integer=integer, limit=3) is None
    assert edges_of([table.slice(0, 2), table.slice(2)], BinRule("auto", 2), integer=integer, limit=2) == (
        1,
        2,
        3,
    )


@given(st.data())
def test_whether_values_are_few_does_not_depend_on_the_split(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 20))
    values = data.draw(
        st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, math.nan, -0.0, 0.0]), min_size=n, max_size=n)
    )
    weights = data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n))
    table = _table(values, pa.float64(), pa.array(weights, pa.float64()))
    found = edges_of(data.draw(splits(table)), BinRule("auto", 2), integer=False, limit=2, weights="w")
    present = {v + 0.0 for v, w in zip(values, weights, strict=True) if w and not math.isnan(v)}
    assert (found is None) == (len(present) <= 2)


def test_weights_beyond_2_to_the_63_do_not_wrap() -> None:
    table = _table([float(i) for i in range(40)], pa.float64(), pa.array([2**62] * 40, pa.int64()))
    assert edges_of([table], BinRule("quantile", 2), integer=False, weights="w") == (0.0, 19.0, 39.0)
    huge = _table([1.0], pa.float64(), pa.array([2**64 - 1], pa.uint64()))
    with pytest.raises(CountOverflowError):
        edges_of([huge], BinRule("quantile", 2), integer=False, weights="w")


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_bad_weights_are_errors(bad: float) -> None:
    with pytest.raises(WeightError):
        edges_of([_table([1.0], pa.float64(), [bad])], BinRule("quantile", 2), integer=False, weights="w")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([None, None], None),
        ([math.nan], None),
        ([7.0], (7.0, 7.0)),
        ([7.0] * 5, (7.0, 7.0)),
        ([-math.inf, math.inf], (-math.inf, math.inf)),
        ([-math.inf, 0.0, math.inf], (-math.inf, 0.0, math.inf)),
        ([math.inf, math.inf], (math.inf, math.inf)),
        ([-0.0, 0.0], (0.0, 0.0)),
    ],
)
def test_columns_at_the_border(values: list[Any], expected: Edges | None) -> None:
    found = edges_of([_table(values, pa.float64())], BinRule("quantile", 2), integer=False)
    assert found == expected
    if found == (0.0, 0.0):
        assert math.copysign(1, found[0]) == 1


def test_equal_widths_come_from_exact_ends() -> None:
    rule = BinRule("uniform", 4)
    values = [2**53 + 1, 2**53 + 9, 2**53 + 3]
    found = edges_of([_table(values, pa.int64())], rule, integer=True)
    assert found is not None
    assert (found[0], found[-1], len(found)) == (2**53 + 1, 2**53 + 9, 5)
    assert edges_of([_table([0.0, 1.0], pa.float64())], rule, integer=False) == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert edges_of([_table([5, 5], pa.int64())], rule, integer=True) == (5, 5)
    wide = edges_of([_table([-1.7e308, 1.7e308], pa.float64())], rule, integer=False)
    assert wide is not None
    assert len(wide) == 5
    with pytest.raises(BinRangeError, match="infinite"):
        edges_of([_table([0.0, math.inf], pa.float64())], rule, integer=False)


@given(st.lists(FLOATS | st.none() | st.just(math.nan), max_size=30), st.data())
def test_histograms_obey_the_laws(values: list[Any], data: st.DataObject) -> None:
    step = quantiles.first_pass({"x": (BinRule("quantile", 3), False, 2)})
    pieces = data.draw(splits(_table(values, pa.float64())))
    parts = [quantiles.count_batch(step, p) for p in pieces]
    zero = quantiles.zero(step)
    a, b, c = (*parts, zero, zero)[:3]
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert zero + a == a
    assert quantiles.add([zero, *parts]) == quantiles.count_batch(step, _table(values, pa.float64()))


def test_histograms_of_unlike_passes_do_not_add() -> None:
    steps = [QuantilePass((("x", ColumnPass(BinRule("quantile", n), integer=False)),)) for n in (2, 3)]
    with pytest.raises(UsageError, match="different passes"):
        quantiles.zero(steps[0]) + quantiles.zero(steps[1])
    with pytest.raises(TypeError):
        quantiles.zero(steps[0]) + 1  # type: ignore[operator]


def test_histograms_carry_a_ledger() -> None:
    step = quantiles.first_pass({"x": (BinRule("quantile", 2), False, 0)})
    found = replace(quantiles.zero(step), ledger=Ledger(1, 1, 1))
    assert (found + found).ledger == Ledger(2, 2, 2)
    found.check()
    with pytest.raises(LedgerError):
        replace(found, ledger=Ledger(1, 2, 2)).check()
    assert found.nbytes >= 0
    assert found.__sizeof__() > 0


def test_a_rank_that_is_nowhere_is_a_bug_not_an_edge() -> None:
    step = quantiles.first_pass({"x": (BinRule("quantile", 2), False, 0)})
    whole = quantiles.count_batch(step, _table([1.0, 2.0, 3.0], pa.float64()))
    second = quantiles.next_pass(whole)
    lost = quantiles.count_batch(second, _table([1.0], pa.float64()))
    with pytest.raises(LedgerError, match="rank"):
        quantiles.next_pass(lost)


@given(st.lists(FLOATS, min_size=2, max_size=20))
def test_keys_sort_as_the_numbers_do(values: list[float]) -> None:
    keys = quantiles.float_keys(np.array(values))
    ordered = [values[i] for i in np.argsort(keys, kind="stable")]
    assert ordered == sorted(values)
    assert [quantiles.from_float_key(int(k)) for k in keys] == values


def test_histograms_refuse_what_is_no_histogram() -> None:
    step = quantiles.first_pass({"x": (BinRule("exact"), False, 0)})
    assert quantiles.zero(step).values == {}
    assert (quantiles.zero(step) == 1) is False
    assert isinstance(quantiles.zero(step), QuantileHistogram)
