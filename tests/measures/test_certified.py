"""Certified intervals hold what counting all levels gives: caps by brute force, thousands of tables."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infolake.encoding.kept import Kept, frequencies, most_frequent
from infolake.measures import catalogue, certified
from infolake.measures.certified import Buckets, Caps, Certificate, Side
from infolake.tables import ContingencyTable, Strata, TableBatch

TABLES = 400
COVERED = [m for m in catalogue.every() if m.name in certified.FORMS]
OPTIONS = {
    "normalized_mutual_information": [{"average": a} for a in ("geometric", "min", "max", "joint")],
    "adjusted_mutual_information": [{"average": a} for a in ("geometric", "min", "max", "joint")],
    "uncertainty_coefficient": [{"given": "y"}, {"given": "symmetric"}],
    "conditional_entropy": [{"given": "y"}],
    "entropy": [{"of": "y"}],
    "v_measure": [{"beta": 0.3}],
}
ADJUSTED = ("adjusted_mutual_information", "expected_mutual_information")


# -- caps against every vector that they allow


def caps_of(counts, kind=np.int64):
    values, times = frequencies(np.array(counts, kind))
    return Caps(Kept(1, "", None, values, times))


def entropy(counts):
    total = sum(counts)
    return sum(c / total * math.log(total / c) for c in counts if c)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
@settings(max_examples=150, deadline=None)
def test_caps_hold_every_way_to_fill_them(counts, data):
    caps, rows = caps_of(counts), data.draw(st.integers(1, sum(counts)))
    levels = data.draw(st.integers(1, 6))
    ways = [c for c in itertools.product(*(range(n + 1) for n in counts)) if sum(c) == rows]
    entropies = [entropy(c) for c in ways]
    low, high = (f(np.array([float(rows)]))[0] for f in (caps.lowest, caps.highest))
    assert low == pytest.approx(min(entropies), abs=1e-12)  # a way that counts can take
    assert max(entropies) <= high + 1e-12
    assert high <= math.log(min(len(counts), rows)) + 1e-12
    most = max(sum(n * math.log(min(n, levels)) for n in way if n) for way in ways)
    assert caps.spread(np.array([float(rows)]), np.array([float(levels)]))[0] >= most - 1e-12
    if rows == sum(counts):
        assert low == pytest.approx(high, abs=1e-12)


def test_water_is_the_most_even_filling_of_weights():
    caps = caps_of([5.0, 1.0, 0.25], np.float64)
    found = caps.highest(np.array([0.3, 2.0, 6.25]))
    assert found[0] == pytest.approx(math.log(3))
    assert found[1] == pytest.approx(entropy([0.875, 0.875, 0.25]))
    assert found[2] == pytest.approx(entropy([5, 1, 0.25]))
    assert caps.spread(np.array([2.0]), np.array([2.0]))[0] == math.inf  # a weight is no number of rows


def test_caps_that_are_rounded_up_still_hold():
    counts = np.random.default_rng(0).integers(1, 10**6, 3000)
    exact, rounded = (Caps(Kept(1, "", None, *frequencies(counts, most))) for most in (10**4, 100))
    assert len(rounded.caps) <= 100 < len(exact.caps)
    rows = np.geomspace(10, counts.sum(), 50)
    assert (rounded.lowest(rows) <= exact.lowest(rows) + 1e-12).all()
    assert (rounded.highest(rows) >= exact.highest(rows) - 1e-12).all()
    assert rounded.n_levels == exact.n_levels
    assert exact.total == counts.sum() <= rounded.total


@given(st.lists(st.integers(1, 2**62), min_size=1, max_size=30), st.integers(1, 8))
def test_frequencies_are_never_rounded_down(counts, most):
    values, times = frequencies(np.array(counts), most)
    assert (values > 0).all()
    assert (np.diff(values) < 0).all()
    assert times.sum() == len(counts)
    shown = np.repeat(values, times)
    assert (shown >= np.sort(counts)[::-1]).all()


def test_the_most_frequent_are_kept_and_ties_stand_in_order():
    kept = most_frequent(pa.array(["a", "b", "c", "d", "e"]), np.array([2, 9, 2, 2, 1]), 2)
    assert kept.levels.to_pylist() == ["a", "b"]
    assert (kept.counts.tolist(), kept.times.tolist()) == ([2, 1], [2, 1])
    assert kept.labels == ("a", "b", "(3 other levels)")
    assert most_frequent(pa.array(["a", "b"]), np.array([1, 2]), 2) == Kept(2)


def test_the_label_of_a_bucket_is_no_level():
    levels = pa.array(["((1 other level))", "(1 other level)", "x"])
    kept = most_frequent(levels, np.array([3, 3, 1]), 2)
    assert kept.labels == ("((1 other level))", "(1 other level)", "(((1 other level)))")
    assert len(set(kept.labels)) == 3


# -- thousands of tables


def skewed(random, shape):
    return random.poisson(np.outer(random.pareto(1, shape[0]) + 0.05, random.pareto(1, shape[1]) + 0.05))


def independent(random, shape):
    return np.outer(random.integers(1, 9, shape[0]), random.integers(1, 9, shape[1]))


def deterministic(random, shape):
    table = np.zeros(shape, np.int64)
    table[np.arange(shape[0]), random.integers(0, shape[1], shape[0])] = random.zipf(1.6, shape[0]) % 1000 + 1
    return table


def ones(random, shape):
    """Return mostly levels that occur once."""
    table = np.zeros(shape, np.int64)
    n = 2 * shape[0]
    np.add.at(table, (random.integers(0, shape[0], n), random.integers(0, shape[1], n)), 1)
    return table


def huge(random, shape):
    return skewed(random, shape).astype(np.int64) * 10**11 + random.integers(0, 2, shape)


def identity(random, shape):
    return np.diag(random.zipf(1.5, min(shape)) % 50 + 1)


def few_rows(random, shape):
    table = np.zeros(shape, np.int64)
    np.add.at(table, (random.integers(0, shape[0], 3), random.integers(0, shape[1], 3)), 1)
    return table


def weighted(random, shape):
    return skewed(random, shape) * random.lognormal(0, 5, shape)


STYLES = [skewed, independent, deterministic, ones, huge, identity, few_rows, weighted]


def bucketed(table, outside, limit, axis):
    """Return the table with the rarest levels of an axis merged, and what is known of them.

    ``outside`` holds the rows of each level that the table leaves out.
    """
    if limit is None:
        return table, -1, None
    margin = table.sum(axis=1 - axis) + outside
    present = np.flatnonzero(margin)
    order = present[np.argsort(-margin[present], kind="stable")]
    if len(order) <= limit:
        return table, -1, None
    rest = order[limit:]
    kept = np.delete(np.arange(table.shape[axis]), rest)
    merged = table.take(rest, axis=axis).sum(axis=axis, keepdims=True)
    caps = Caps(Kept(limit, "", None, *frequencies(margin[rest])))
    place = len(kept) if merged.sum() else -1
    return np.concatenate([table.take(kept, axis=axis), merged], axis=axis), place, caps


def batch_of(tables):
    offsets = np.concatenate([[0], np.cumsum([t.size for t in tables])])
    shapes = np.array([t.shape for t in tables]).reshape(-1, 2)
    codes = [np.indices(t.shape).reshape(2, -1) for t in tables]
    rows, cols = np.concatenate(codes, axis=1)
    cells = np.concatenate([t.ravel() for t in tables])
    return TableBatch.from_cells(cells, rows, cols, offsets, shapes[:, 0], shapes[:, 1])


def side(found):
    caps = [c for _, c in found if c is not None]
    which = np.cumsum([c is not None for _, c in found]) - 1
    return Side(np.array([place for place, _ in found]), caps, which)


def make(style, missing, seed, n=TABLES):
    """Return n exact tables and, merged, their certificate; with ``missing``, rows that tables leave out."""
    random = np.random.default_rng(seed)
    exact, merged, xs, ys = [], [], [], []
    for _ in range(n):
        shape = tuple(random.integers(1, 13, 2))
        table = style(random, shape)
        outside = [random.poisson(missing * table.sum(axis=a) / 2) for a in (1, 0)]
        limits = [None if random.random() < 0.25 else random.integers(1, 8) for _ in range(2)]
        first, x, x_caps = bucketed(table, outside[0], limits[0], 0)
        second, y, y_caps = bucketed(first, outside[1], limits[1], 1)
        exact.append(table)
        merged.append(second)
        xs.append((x, x_caps))
        ys.append((y, y_caps))
    return batch_of(exact), batch_of(merged), Buckets(side(xs), side(ys), np.zeros(n, bool))


def check(measure, exact, merged, certificate, options):
    truth = measure.evaluate(exact, **options)
    low, high = certificate.interval(measure, measure.evaluate(merged, **options), options)
    known = ~np.isnan(low)
    assert np.array_equal(known, ~np.isnan(high))
    if measure.name not in ADJUSTED:
        assert np.array_equal(known, ~np.isnan(truth))
    bad = known & ~((low <= truth) & (truth <= high))
    assert not bad.any(), (options, low[bad][:3], truth[bad][:3], high[bad][:3])
    untouched = ~certificate.touched & known
    assert np.array_equal(low[untouched], high[untouched])
    return low, truth, high


@pytest.mark.parametrize("missing", [0, 1], ids=["complete", "missing"])
@pytest.mark.parametrize("style", STYLES)
def test_the_exact_value_lies_in_every_interval(style, missing):
    exact, merged, buckets = make(style, missing, seed=STYLES.index(style))
    certificate = Certificate(merged, buckets)
    assert certificate.touched.sum() > TABLES / (8 if style is few_rows else 3)
    for measure in COVERED:
        if measure.needs == "strata":
            continue
        for options in [{}, {"base": "e"}, *OPTIONS.get(measure.name, [])]:
            check(measure, exact, merged, certificate, options)


@pytest.mark.parametrize("style", STYLES)
def test_given_others_the_exact_value_lies_in_every_interval(style):
    exact, merged, buckets = make(style, missing=1, seed=7)
    groups = np.random.default_rng(1).integers(0, 60, TABLES)
    certificate = Certificate(Strata(merged, groups, 60), buckets)
    for measure in COVERED:
        if measure.conditional:
            check(measure, Strata(exact, groups, 60), Strata(merged, groups, 60), certificate, {})


@pytest.mark.parametrize("style", [s for s in STYLES if s is not weighted])
def test_buckets_of_the_condition_hold_what_they_hide(style):
    """A stratum that is a bucket of Z: several exact tables of one shape, added."""
    random = np.random.default_rng(3)
    n, strata = 40, 300
    exact, merged, xs, ys, groups, exact_groups, hidden = [], [], [], [], [], [], []
    for number in range(strata):
        shape, several = tuple(random.integers(2, 9, 2)), random.integers(1, 4)
        parts = [style(random, shape) for _ in range(several)]
        whole = sum(parts)
        first, x, x_caps = bucketed(whole, np.zeros(len(whole), int), random.integers(1, 8), 0)
        second, y, y_caps = bucketed(first, np.zeros(first.shape[1], int), None, 1)
        exact += parts
        exact_groups += [number % n] * several
        merged.append(second)
        groups.append(number % n)
        hidden.append(several > 1)
        xs.append((x, x_caps))
        ys.append((y, y_caps))
    buckets = Buckets(side(xs), side(ys), np.array(hidden))
    told = Strata(batch_of(merged), np.array(groups), n)
    certificate = Certificate(told, buckets)
    truth = Strata(batch_of(exact), np.array(exact_groups), n)
    for measure in COVERED:
        if measure.conditional:
            check(measure, truth, told, certificate, {})


def test_the_interval_is_as_wide_as_the_bucket_hides():
    """Its share times what it hides bounds the width; an empty bucket hides nothing."""
    _, merged, buckets = make(skewed, 0, seed=11)
    low, high = Certificate(merged, buckets).parts
    share = np.zeros(len(merged))
    for place, margins, offsets in (
        (buckets.x.place, merged.row_margins, merged.row_offsets),
        (buckets.y.place, merged.col_margins, merged.col_offsets),
    ):
        held = place >= 0
        share[held] += margins[offsets[:-1][held] + place[held]] / merged.totals[held]
    seen = ~np.isnan(low.i)
    assert (high.i - low.i <= share * math.log(13) + 1e-9)[seen].all()
    assert np.array_equal(low.x[seen & (share == 0)], high.x[seen & (share == 0)])


def test_levels_seen_once_tell_all():
    """Rare levels of one row each: the interval closes on a value that the merged table is far from."""
    table = np.zeros((50, 4), np.int64)
    table[0] = [100, 80, 60, 40]
    table[np.arange(1, 50), np.arange(49) % 4] = 1
    merged, place, caps = bucketed(table, np.zeros(50, int), 1, 0)
    batch, measure = ContingencyTable(merged).batch(), catalogue.get("mi")
    none = Side(np.array([-1]), [], np.array([-1]))
    certificate = Certificate(
        batch, Buckets(Side(np.array([place]), [caps], np.array([0])), none, np.zeros(1, bool))
    )
    value = measure.evaluate(batch)
    low, high = certificate.interval(measure, value, {})
    truth = measure.evaluate(ContingencyTable(table).batch())
    assert value < 0.02 < 0.3 < low
    assert low <= truth <= high
    assert high - low < 1e-11


def test_what_has_no_certificate_is_nan():
    _, merged, buckets = make(skewed, 0, seed=5, n=30)
    certificate = Certificate(merged, buckets)
    touched = certificate.touched
    for name, options in (("chi2", {}), ("rand_index", {}), ("mi", {"entropy": "miller_madow"})):
        measure = catalogue.get(name)
        values = measure.evaluate(merged, **options)
        low, high = certificate.interval(measure, values, options)
        assert np.isnan(low[touched]).all()
        assert np.isnan(high[touched]).all()
        assert np.array_equal(low[~touched], values[~touched], equal_nan=True)


def test_every_form_is_a_measure_of_tables():
    assert set(certified.FORMS) <= {m.name for m in catalogue.every() if not m.per_cell}
