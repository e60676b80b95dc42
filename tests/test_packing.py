"""Packing: which columns are counted together."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake import packing
from infolake.packing import DIRECT_CELLS, SUPER_SIZE, Groups, plan, supercolumns

SIZES = st.lists(
    st.integers(1, 300) | st.sampled_from([1, 2, 3, 256, 257, 3000, 10**6]), min_size=1, max_size=12
)


@given(SIZES)
def test_every_column_stands_in_one_supercolumn(sizes: list[int]) -> None:
    packed = supercolumns(tuple(sizes))
    assert sorted(c for s in packed for c in s) == list(range(len(sizes)))
    for columns in packed:
        assert len(columns) == 1 or math.prod(sizes[c] for c in columns) <= SUPER_SIZE


def test_small_columns_are_packed() -> None:
    packed = supercolumns((3,) * 1000)
    assert len(packed) == 200
    assert supercolumns(()) == ()


@st.composite
def requests(draw: st.DrawFn) -> tuple[tuple[int, ...], Groups]:
    sizes = tuple(draw(SIZES.filter(lambda s: len(s) >= 2)))
    n = len(sizes)
    kind = draw(st.sampled_from(["pairs", "target", "columns", "listed"]))
    if kind != "listed":
        return sizes, Groups(n, kind, draw(st.integers(0, n - 1)) if kind == "target" else -1)
    one = st.permutations(range(n)).flatmap(lambda p: st.integers(1, min(n, 4)).map(lambda k: tuple(p[:k])))
    return sizes, Groups.listed(draw(st.lists(one, min_size=1, max_size=6, unique_by=frozenset)), n)


@given(requests())
def test_every_group_is_counted_in_exactly_one_way(case: tuple[tuple[int, ...], Groups]) -> None:
    sizes, groups = case
    found = plan(sizes, groups)
    n = len(sizes)
    products = [math.prod(sizes[c] for c in g if c < n) for g in groups.index.tolist()]
    placed: list[int] = []
    for scatter in found.scatters:
        placed += [int(o) for o in scatter.offsets.ravel() if o >= 0]
        placed += [o for o, _ in scatter.others]
    placed += [o for _, o in found.direct]
    dense = [int(o) for o in found.offsets if o >= 0]
    assert sorted(placed) == sorted(dense)
    assert [g for g, o in enumerate(found.offsets) if o < 0] == list(found.sorted_groups)
    assert all(products[g] > DIRECT_CELLS for g in found.sorted_groups)
    spans = sorted((int(o), int(o) + p) for o, p in zip(found.offsets, products, strict=True) if o >= 0)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert found.cells == sum(p for o, p in zip(found.offsets, products, strict=True) if o >= 0)


@given(requests())
def test_scatters_read_off_the_right_columns(case: tuple[tuple[int, ...], Groups]) -> None:
    sizes, groups = case
    found = plan(sizes, groups)
    by_offset = {int(o): g for g, o in enumerate(found.offsets) if o >= 0}
    for scatter in found.scatters:
        members = [found.supercolumns[s] for s in scatter.supers]
        assert found.table_cells(scatter) <= packing.SCATTER_CELLS
        for p, q in np.ndindex(*scatter.offsets.shape):
            if scatter.offsets[p, q] >= 0:
                pair = (members[0][p], members[1][q])
                group = groups.index[by_offset[int(scatter.offsets[p, q])]].tolist()
                assert tuple(group[:2]) == (pair[::-1] if scatter.swapped[p, q] else pair)
        every = [c for m in members for c in m]
        for offset, axes in scatter.others:
            group = [c for c in groups.index[by_offset[offset]].tolist() if c < len(sizes)]
            assert [every[a] for a in axes] == group


def test_the_groups_of_a_count() -> None:
    assert Groups(4, "pairs").index.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    assert Groups(3, "target", 0).index.tolist() == [[0, 1], [0, 2]]
    assert Groups(3, "columns").index.tolist() == [[0], [1], [2]]
    assert Groups.listed([(2, 0), (1,)], 3).index.tolist() == [[2, 0], [1, 3]]
    for n in (0, 1):
        assert Groups(n, "pairs").index.shape == (0, 2)
    assert Groups(1, "target", 0).index.shape == (0, 2)
    with pytest.raises(ValueError, match="read-only"):
        Groups(3, "pairs").index[0, 0] = 5


def test_common_columns_are_packed_side_by_side() -> None:
    groups = Groups.listed([(0, 1, 5), (0, 2, 5), (0, 3, 5)], 6)
    assert groups.common == (0, 5)
    found = plan((2, 100, 100, 100, 7, 3), groups)
    assert {0, 5} <= set(found.supercolumns[0])


def test_the_bytes_a_leaf_holds() -> None:
    found = plan((4, 8, 300), Groups(3, "pairs"))
    wide = 4 * 32 * 300 + 4 * 32  # (4, 8) share a supercolumn: one table with the wide one, one of its own
    assert found.cells == 32 + 1200 + 2400
    assert found.leaf_bytes(1000) == 8 * found.cells + wide + 2 * 1000
    two = plan((200, 100), Groups(2, "pairs"))
    assert two.leaf_bytes(1000) == 8 * 20_000 + 2 * 1000 + 2 * 4 * 65536
    assert two.leaf_bytes(2**40) == 8 * 20_000 + 2 * two.buffer_rows + 2 * 4 * 65536
