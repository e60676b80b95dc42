"""Bit planes: each kernel against a slow twin, and where the planner chooses them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake import packing, plane_kernels
from infolake.packing import PLANE_WORDS, Groups, plan
from infolake.summaries.counting import LeafCounter
from infolake.summaries.plane_counting import MOST_INDICES, PlaneCounter
from strategies import cells_of, planned, tallied

Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(8)


def _flags(planes: Array, n: int) -> Array:
    """Return planes as a flag per row, shape (planes, n)."""
    return np.unpackbits(planes.view(np.uint8), axis=1, bitorder="little")[:, :n].astype(np.bool_)


def _words(flags: Array) -> Array:
    """Return flags, shape (planes, a multiple of 64), as planes."""
    return np.packbits(flags, axis=1, bitorder="little").view(np.uint64)


@given(st.data())
def test_set_planes(data: st.DataObject) -> None:
    n, place = data.draw(st.integers(0, 200)), data.draw(st.integers(0, 2))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    starts = np.cumsum([0, *(s - 1 for s in sizes)]).astype(np.int64)
    tables = [data.draw(st.lists(st.integers(0, s - 1), min_size=1, max_size=7)) for s in sizes]
    codes = np.zeros((len(sizes), 8), np.uint8)
    indices = []
    for k, table in enumerate(tables):
        codes[k, : len(table)] = table
        kind = data.draw(st.sampled_from([np.uint8, np.int32]))
        indices.append(RANDOM.integers(0, len(table), n).astype(kind))
    out = np.full((starts[-1] + 1, 6), np.uint64(2**64 - 1))
    addresses = np.array([i.ctypes.data for i in indices], np.int64)
    widths = np.array([i.itemsize for i in indices], np.int64)
    plane_kernels.set_planes(addresses, widths, n, codes, starts, out, place)
    words = -(-n // 64)
    for k, size in enumerate(sizes):
        levels = np.array(tables[k])[indices[k]]
        for level in range(1, size):
            row = out[starts[k] + level - 1]
            found = _flags(row[None, place : place + words], 64 * words)[0]
            assert found[:n].tolist() == (levels == level).tolist()
            assert not found[n:].any()
    untouched = np.delete(out, np.s_[place : place + words], axis=1)
    assert (untouched == np.uint64(2**64 - 1)).all()
    assert (out[-1] == np.uint64(2**64 - 1)).all()


@pytest.mark.parametrize("n_words", [0, 1, 255, 256, 700])
def test_count_planes(n_words: int) -> None:
    flags = RANDOM.random((12, 64 * 700)) < 0.3
    tiles = np.array([[0, 0], [0, 2], [1, 2]], np.int64)
    counts, margins = np.full((3, 4, 4), 7, np.int64), np.full(12, 3, np.int64)
    plane_kernels.count_planes(_words(flags), n_words, tiles, counts, margins)
    seen = flags[:, : 64 * n_words].astype(int)
    assert margins.tolist() == (seen.sum(axis=1) + 3).tolist()
    for number, (i, j) in enumerate(tiles.tolist()):
        shared = seen[4 * i : 4 * i + 4] @ seen[4 * j : 4 * j + 4].T
        assert counts[number].tolist() == (shared + 7).tolist()


@st.composite
def few_levels(draw: st.DrawFn) -> tuple[tuple[int, ...], Groups]:
    sizes = tuple(draw(st.lists(st.integers(1, 6), min_size=2, max_size=12)))
    pairs = list(itertools.permutations(range(len(sizes)), 2))
    if draw(st.booleans()):
        return sizes, Groups(len(sizes), "pairs")
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=9, unique_by=frozenset))
    return sizes, Groups.listed(chosen, len(sizes))


@given(few_levels(), st.lists(st.integers(0, 90), min_size=1, max_size=4))
def test_tables_by_planes(case: tuple[tuple[int, ...], Groups], batches: list[int]) -> None:
    sizes, groups = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "WORTH_ANDS", -(10**9))
        found = plan.__wrapped__(sizes, groups)
    assert found.planes is not None
    counter = PlaneCounter(found.planes, (0,) * len(sizes))
    rows = [[RANDOM.integers(0, s, n).astype(np.int32) for s in sizes] for n in batches]
    for columns in rows:
        encoded = [(c, np.arange(s, dtype=np.int32)) for c, s in zip(columns, sizes, strict=True)]
        counter.update(encoded, len(columns[0]))
    out = np.full(found.cells, 5, np.int64)
    counter.add_to(out)
    counter.add_to(out)  # what was added is not added again
    whole = [np.concatenate([columns[c] for columns in rows]) for c in range(len(sizes))]
    by_planes = set(found.planes.offsets.tolist())
    for (x, y), offset in zip(groups.index.tolist(), found.offsets.tolist(), strict=True):
        expected = np.full((sizes[x], sizes[y]), 5)
        if offset in by_planes:
            np.add.at(expected, (whole[x], whole[y]), 1)
        assert out[offset : offset + expected.size].tolist() == expected.ravel().tolist()


def test_many_rows_and_large_dictionaries_by_planes() -> None:
    sizes, n = (3, 2, 5), 64 * PLANE_WORDS * 2 + 77
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "WORTH_ANDS", -(10**9))
        found = plan.__wrapped__(sizes, Groups(3, "pairs"))
    counter = PlaneCounter(found.planes, (0, 1, 0))
    tables = [
        np.array([2, 0, 1], np.int32),
        np.array([0, -1], np.int32),
        RANDOM.integers(0, 5, MOST_INDICES + 9).astype(np.int32),
    ]
    indices = [RANDOM.integers(0, len(t), n).astype(np.int32) for t in tables]
    counter.update(list(zip(indices, tables, strict=True)), n)
    out = np.zeros(found.cells, np.int64)
    counter.add_to(out)
    columns = [t[i] + shift for t, i, shift in zip(tables, indices, (0, 1, 0), strict=True)]
    for (x, y), offset in zip(((0, 1), (0, 2), (1, 2)), found.offsets.tolist(), strict=True):
        expected = np.zeros((sizes[x], sizes[y]), int)
        np.add.at(expected, (columns[x], columns[y]), 1)
        assert out[offset : offset + expected.size].tolist() == expected.ravel().tolist()


def test_planes_are_chosen_where_columns_are_many_and_their_levels_few() -> None:
    assert plan((3,) * 200, Groups(200, "pairs")).planes is not None
    assert plan((2,) * 200, Groups(200, "pairs")).planes is not None
    assert plan((3,) * 20, Groups(20, "pairs")).planes is None
    assert plan((16,) * 200, Groups(200, "pairs")).planes is None
    assert plan((3,) * 200, Groups(200, "target", target=5)).planes is None
    mixed = plan((3,) * 200 + (50,) * 10, Groups(210, "pairs"))
    assert mixed.planes is not None
    assert mixed.planes.columns.max() < 200
    assert mixed.narrow is not None
    assert len(mixed.planes.pairs) <= 200 * 199 / 2
    bytes_held = mixed.leaf_bytes(1000) - mixed.planes.held_bytes
    assert bytes_held > 8 * mixed.cells


def test_a_mixed_request_by_planes_and_bytes_equals_plain_counting() -> None:
    n = 500
    columns = {f"c{i}": RANDOM.integers(0, 3, n).tolist() for i in range(60)}
    for i in range(0, 60, 7):
        columns[f"c{i}"][i] = None
    table = pa.table(columns | {"wide": [f"w{v}" for v in RANDOM.integers(0, 50, n)]})
    request = planned(table, "pairs").request
    counter = LeafCounter(request)
    for start in range(0, n, 130):
        counter.update(table.slice(start, 130))
    assert counter._tally.packing.planes is not None
    found = counter.result()
    for pair in (("c0", "c1"), ("c7", "c59"), ("c58", "wide"), ("c3", "c14")):
        assert cells_of(found, pair) == tallied(table, pair)
