"""Counts that give up large groups: what is kept is exact, and what is given up is so under any split."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import infolake as il
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.partial import Partial, add_partial, without

GROUPS = [("a",), ("a", "b"), ("b", "c"), ("a", "b", "c"), ("c", "d")]


def rows(seed: int, n: int) -> pa.Table:
    """Return columns of few to many levels, with missing values."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.integers(0, k, n) for name, k in zip("abcd", (3, 12, 40, 3), strict=True)}
    return pa.table({c: pa.array(v, mask=rng.random(n) < 0.1) for c, v in columns.items()})


def counted(table: pa.Table, groups: list[tuple[str, ...]]) -> JointCounts:
    """Count groups of all four columns."""
    return il.count(table.select(sorted({c for g in groups for c in g})), groups, bins="exact")


def names(counts: JointCounts, found: Partial) -> set[tuple[str, ...]]:
    """Return the groups given up, by name."""
    return {tuple(counts.columns[c] for c in members) for members in found.dropped}


@given(
    st.integers(0, 99),
    st.integers(0, 300),
    st.integers(0, 150),
    st.lists(st.integers(0, 300), max_size=4),
    st.integers(1, 4),
)
def test_any_split_gives_up_the_same_and_keeps_the_same(
    seed: int, n: int, limit: int, cuts: list[int], width: int
) -> None:
    table = rows(seed, n)
    whole = counted(table, GROUPS)
    bounds = [0, *sorted(min(c, n) for c in cuts), n]
    parts = [Partial.of(counted(table.slice(a, b - a), GROUPS), limit) for a, b in pairwise(bounds)]
    while len(parts) > 1:
        parts = [add_partial(parts[i : i + 1 + width]) for i in range(0, len(parts), 1 + width)]
    sizes = {g: len(whole.group_cells(i).codes) for i, g in enumerate(whole.groups)}
    assert names(whole, parts[0]) == {g for g, size in sizes.items() if size > limit}
    left = [g for g in GROUPS if sizes[g] <= limit]
    assert list(parts[0].counts.groups) == left
    if left:
        alone = counted(table, left)
        for group in left:
            for missing in ("pairwise", "level"):
                one, other = (c.table(*group, missing=missing) for c in (parts[0].counts, alone))
                assert one.levels == other.levels
                assert np.array_equal(one.array, other.array)


def test_sparse_groups_and_levels_of_none() -> None:
    """A group beyond the dense size is counted by its cells; a column of no other group keeps no levels."""
    n = 3000
    table = pa.table({"x": np.arange(n), "y": np.arange(n) * 7 % n, "z": np.arange(n) % 3})
    counts = il.count(table, [("x", "y"), ("x", "z")], bins="exact")
    assert Partial.of(counts, 1 << 16).counts is counts
    found = without(counts, frozenset({(0, 1)}))
    assert found.groups == (("x", "z"),)
    assert [len(s.values) for s in found.level_sets] == [n, 0, 3]
    assert found.table("x", "z").total == n
    found.check()
    assert not without(counts, frozenset({(0, 1), (0, 2)})).groups


def test_dense_groups_are_kept_where_the_limit_is_beyond_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their cells are not even looked at."""
    monkeypatch.setattr(np, "count_nonzero", lambda *_: pytest.fail("counted the cells of dense groups"))
    counts = counted(rows(1, 300), GROUPS)
    assert Partial.of(counts, 1 << 16).counts is counts
