"""A slow twin in plain Python for every kernel."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake import kernels
from infolake.packing import Groups, Packing, plan

Array = np.ndarray[Any, Any]


def codes(n: int, size: int, dtype: Any = np.int32) -> st.SearchStrategy[Array]:
    """Return arrays of ``n`` codes below ``size``."""
    return st.lists(st.integers(0, size - 1), min_size=n, max_size=n).map(lambda v: np.array(v, dtype))


@st.composite
def looked_up(draw: st.DrawFn) -> tuple[Array, Array]:
    size = draw(st.integers(1, 9))
    indices = draw(codes(draw(st.integers(0, 30)), size))
    return indices, draw(codes(size, 100, draw(st.sampled_from([np.uint8, np.int32]))))


@given(looked_up())
def test_look_up(case: tuple[Array, Array]) -> None:
    indices, table = case
    out = np.full(len(indices), 77, table.dtype)
    kernels.look_up(indices, table, out)
    assert out.tolist() == [table[i] for i in indices.tolist()]


@given(st.lists(st.integers(0, 300) | st.integers(0, 2**32 - 1), max_size=40))
def test_narrow(values: list[int]) -> None:
    out = np.full(len(values), 77, np.uint8)
    assert kernels.narrow(np.array(values, np.uint32), out) == max(values, default=0)
    assert out.tolist() == [v % 256 for v in values]


@st.composite
def batches_of_indices(draw: st.DrawFn) -> tuple[Packing, list[Array], list[Array], int]:
    sizes = tuple(draw(st.lists(st.integers(1, 30) | st.sampled_from([256, 300]), min_size=1, max_size=7)))
    n = draw(st.integers(0, 40))
    kinds = [draw(st.sampled_from([np.uint8, np.int32])) if s <= 256 else np.int32 for s in sizes]
    indices = [draw(codes(n, s, kind)) for s, kind in zip(sizes, kinds, strict=True)]
    tables = [draw(st.permutations(range(s)).map(np.array)) for s in sizes]
    return plan(sizes, Groups(len(sizes), "columns")), indices, tables, n


@given(batches_of_indices(), st.integers(0, 9))
def test_pack(case: tuple[Packing, list[Array], list[Array], int], place: int) -> None:
    packing, indices, tables, n = case
    digits = packing.digits
    held = digits.columns.tolist()
    found = np.zeros((len(held), 256), np.uint8)
    for k, c in enumerate(held):
        found[k, : len(tables[c])] = tables[c]
    out = np.full((len(packing.supercolumns), n + 12), 77, np.uint8)
    largest = np.full(len(held), -5, np.int64)
    addresses = np.array([indices[c].ctypes.data for c in held], np.int64)
    widths = np.array([indices[c].itemsize for c in held], np.int64)
    planned = digits.starts, digits.strides, digits.sizes, found
    kernels.pack(addresses, widths, n, *planned, out, place, largest)
    assert largest.tolist() == [max(indices[c].tolist(), default=0) for c in held]
    for row, members in zip(out.tolist(), packing.supercolumns, strict=True):
        expected = [0] * n
        for c in members:
            expected = [
                e * packing.sizes[c] + int(tables[c][i])
                for e, i in zip(expected, indices[c].tolist(), strict=True)
            ]
        wide = math.prod(packing.sizes[c] for c in members) > 256
        assert row[place : place + n] == ([77] * n if wide else expected)
        assert row[:place] + row[place + n :] == [77] * 12


@pytest.mark.parametrize("kind", [np.uint8, np.int32])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 8191, 8192, 20_001])
def test_pack_of_many_rows(n: int, kind: Any) -> None:
    random = np.random.default_rng(n)
    packing = plan((16, 16), Groups(2, "pairs"))
    indices = random.integers(0, 16, (2, n)).astype(kind)
    table = random.permutation(16).astype(np.uint8)
    found = np.zeros((2, 256), np.uint8)
    found[:, :16] = table
    digits, out, largest = packing.digits, np.zeros((1, n), np.uint8), np.zeros(2, np.int64)
    addresses = np.array([row.ctypes.data for row in indices], np.int64)
    planned = digits.starts, digits.strides, digits.sizes, found
    kernels.pack(addresses, np.full(2, indices.itemsize), n, *planned, out, 0, largest)
    assert out[0].tolist() == (16 * table[indices[0]] + table[indices[1]]).tolist()


@pytest.mark.parametrize(
    ("index", "kind"), [(-1, "i4"), (-(2**31), "i4"), (2**31 - 1, "i4"), (4, "i4"), (4, "u1"), (255, "u1")]
)
def test_an_index_that_is_no_code_is_told(index: int, kind: str) -> None:
    indices = np.array([0, index, 3], kind)
    digits, largest = plan((4,), Groups(1, "columns")).digits, np.zeros(1, np.int64)
    planned = digits.starts, digits.strides, digits.sizes, np.zeros((1, 256), np.uint8)
    described = np.array([indices.ctypes.data]), np.array([indices.itemsize])
    kernels.pack(*described, 3, *planned, np.zeros((1, 3), np.uint8), 0, largest)
    assert largest[0] == index % 2**32


@given(st.integers(0, 40).flatmap(lambda n: codes(n, 12, np.uint8)), st.sampled_from([np.uint32, np.int64]))
def test_scatter_one(found: Array, kind: Any) -> None:
    out = np.full(12, 3, kind)
    kernels.scatter_one(found, out)
    assert out.tolist() == [3 + found.tolist().count(c) for c in range(12)]


@st.composite
def two_columns(
    draw: st.DrawFn, kinds: tuple[Any, ...] = (np.uint8, np.int32)
) -> tuple[Array, Array, int, int]:
    n = draw(st.integers(0, 50))
    rows, radix = draw(st.integers(1, 20)), draw(st.integers(1, 256))
    first = draw(codes(n, rows, draw(st.sampled_from(kinds))))
    return first, draw(codes(n, radix, draw(st.sampled_from(kinds)))), rows, radix


@given(two_columns())
def test_scatter_two(case: tuple[Array, Array, int, int]) -> None:
    first, second, rows, radix = case
    out = np.zeros(rows * radix, np.uint32)
    kernels.scatter_two(first, second, radix, out)
    expected = np.zeros((rows, radix), int)
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        expected[a, b] += 1
    assert out.reshape(rows, radix).tolist() == expected.tolist()


@given(two_columns((np.uint8,)))
def test_scatter_bytes(case: tuple[Array, Array, int, int]) -> None:
    first, second, *_ = case
    out = np.zeros(2 * 65536, np.uint32)
    kernels.scatter_bytes(first, second, out)
    found = out[:65536] + out[65536:]
    expected: dict[int, int] = {}
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        expected[256 * a + b] = expected.get(256 * a + b, 0) + 1
    assert {int(c): int(found[c]) for c in np.flatnonzero(found)} == expected


def test_scatter_bytes_at_the_largest_codes() -> None:
    first, second = np.full(11, 255, np.uint8), np.full(11, 255, np.uint8)
    out = np.zeros(2 * 65536, np.uint32)
    kernels.scatter_bytes(first, second, out)
    assert out[65535] + out[-1] == 11
    assert out.sum() == 11


@given(st.integers(0, 30).flatmap(lambda n: st.tuples(codes(n, 9, np.int64), codes(n, 1000, np.int64))))
def test_scatter_weights(case: tuple[Array, Array]) -> None:
    cells, weights = case
    out = np.full(9, 2**62, np.int64)
    kernels.scatter_weights(cells, weights, out)
    pairs = list(zip(cells.tolist(), weights.tolist(), strict=True))
    assert out.tolist() == [2**62 + sum(w for c, w in pairs if c == cell) for cell in range(9)]


@st.composite
def super_tables(draw: st.DrawFn) -> tuple[list[int], list[int], Array]:
    sizes = [draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)) for _ in range(2)]
    shape = [int(np.prod(s)) for s in sizes]
    return sizes[0], sizes[1], draw(codes(shape[0] * shape[1], 50, np.uint32)).reshape(shape)


def _strides(sizes: list[int]) -> list[int]:
    return [int(np.prod(sizes[i + 1 :])) for i in range(len(sizes))]


@given(super_tables(), st.data())
def test_marginalize(case: tuple[list[int], list[int], Array], data: st.DataObject) -> None:
    first, second, table = case
    offsets = np.full((len(first), len(second)), -1, np.int64)
    swapped = np.zeros(offsets.shape, np.bool_)
    cells = 0
    for p, q in np.ndindex(*offsets.shape):
        if data.draw(st.booleans()):
            offsets[p, q] = cells
            swapped[p, q] = data.draw(st.booleans())
            cells += first[p] * second[q]
    out = np.full(cells, 5, np.int64)
    sizes = [np.array(s, np.int64) for s in (first, second)]
    strides = [np.array(_strides(s), np.int64) for s in (first, second)]
    kernels.marginalize(table, sizes[0], strides[0], sizes[1], strides[1], offsets, swapped, out)
    whole = table.astype(int).reshape([*first, *second])
    for p, q in np.ndindex(*offsets.shape):
        if offsets[p, q] >= 0:
            other = tuple(a for a in range(whole.ndim) if a not in (p, len(first) + q))
            part = whole.sum(axis=other)
            part = part.T if swapped[p, q] else part
            start = offsets[p, q]
            assert out[start : start + part.size].tolist() == (part.ravel() + 5).tolist()


@given(st.data())
def test_count_pairs(data: st.DataObject) -> None:
    sizes = tuple(data.draw(st.lists(st.integers(1, 20), min_size=2, max_size=7)))
    n = data.draw(st.integers(0, 30))
    columns = [data.draw(codes(n, s)) for s in sizes]
    packing = plan(sizes, Groups(len(sizes), "pairs"))
    if packing.narrow is None:
        return
    packed = np.full((len(packing.supercolumns), n + 3), 99, np.uint8)
    for row, members in enumerate(packing.supercolumns):
        codes_of = np.zeros(n, np.int64)
        for column in members:
            codes_of = codes_of * sizes[column] + columns[column]
        packed[row, :n] = codes_of
    out = np.zeros(packing.cells, np.int64)
    kernels.count_pairs(packed, n, *packing.narrow.arguments, out)
    inside = {frozenset(p) for s in packing.supercolumns for p in [(a, b) for a in s for b in s if a < b]}
    for group, (x, y) in enumerate(Groups(len(sizes), "pairs").index.tolist()):
        expected = np.zeros((sizes[x], sizes[y]), int)
        if frozenset((x, y)) not in inside:
            np.add.at(expected, (columns[x], columns[y]), 1)
        start = packing.offsets[group]
        assert out[start : start + expected.size].tolist() == expected.ravel().tolist()


@given(st.data())
def test_realign(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 4), min_size=2, max_size=4))
    n = len(sizes)
    new_sizes = [s + data.draw(st.integers(0, 2)) for s in sizes]
    maps = [data.draw(st.permutations(range(new)))[:old] for old, new in zip(sizes, new_sizes, strict=True)]
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n)).filter(lambda p: p[0] != p[1])
    columns = data.draw(st.lists(pairs, max_size=4))
    shapes = [(sizes[x], 1 if y == n else sizes[y]) for x, y in columns]
    news = [(new_sizes[x], 1 if y == n else new_sizes[y]) for x, y in columns]
    starts = np.cumsum([0, *(a * b for a, b in shapes)])
    new_starts = np.cumsum([0, *(a * b for a, b in news)])
    source = data.draw(codes(int(starts[-1]), 9, np.int64))
    target = np.full(int(new_starts[-1]), 4, np.int64)
    expected = target.tolist()
    for g, (x, y) in enumerate(columns):
        for i, j in np.ndindex(*shapes[g]):
            place = maps[x][i] * news[g][1] + (0 if y == n else maps[y][j])
            expected[new_starts[g] + place] += int(source[starts[g] + i * shapes[g][1] + j])
    flat = np.array([c for m in maps for c in m], np.int64)
    map_offsets = np.cumsum([0, *map(len, maps)]).astype(np.int64)
    moved = (source, starts[:-1].astype(np.int64))
    to = (np.array(new_sizes, np.int64), target, new_starts[:-1].astype(np.int64))
    pairs_of = np.array(columns, np.int64).reshape(-1, 2)
    kernels.realign(*moved, pairs_of, np.array(sizes, np.int64), flat, map_offsets, *to)
    assert target.tolist() == expected


@pytest.mark.parametrize("kind", [np.float64, np.int64])
@given(data=st.data())
def test_bin_codes(kind: Any, data: st.DataObject) -> None:
    numbers = st.integers(-5, 5) | st.sampled_from([2**53 + 1, -(2**63), 2**63 - 1])
    if kind is np.float64:
        numbers = st.floats() | st.sampled_from([0.0, -0.0, np.inf, -np.inf, np.nan])
    values = np.array(data.draw(st.lists(numbers, max_size=20)), kind)
    cuts = np.unique(np.array(data.draw(st.lists(numbers.filter(lambda v: v == v), max_size=4)), kind))
    flags = data.draw(st.just([]) | st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    low, high = sorted(data.draw(st.tuples(*[numbers.filter(lambda v: v == v)] * 2)))
    out = np.full(len(values), -7, np.int32)
    bad = kernels.bin_codes(values, np.array(flags, np.bool_), cuts, kind(low), kind(high), out)
    missing = [v != v or bool(flags and flags[i]) for i, v in enumerate(values.tolist())]
    outside = [i for i, v in enumerate(values.tolist()) if not missing[i] and not low <= v <= high]
    if outside:
        assert bad == outside[0]
        return
    assert bad == -1
    below = [sum(c <= v for c in cuts.tolist()) for v in values.tolist()]
    last = len(cuts) + 1
    assert out.tolist() == [last if gone else code for gone, code in zip(missing, below, strict=True)]


@pytest.mark.parametrize("n_cuts", [0, 1, 32, 33, 500])
def test_bin_codes_of_many_rows_and_cuts(n_cuts: int) -> None:
    random = np.random.default_rng(n_cuts)
    values, cuts = random.normal(size=5000), np.sort(random.normal(size=n_cuts))
    values[::7] = np.nan
    out = np.zeros(5000, np.int32)
    assert kernels.bin_codes(values, np.zeros(0, np.bool_), cuts, -np.inf, np.inf, out) == -1
    expected = np.where(np.isnan(values), n_cuts + 1, np.searchsorted(cuts, values, side="right"))
    assert out.tolist() == expected.tolist()


def key_bits(value: float, shift: int) -> int | None:
    """Return the leading bits of a key that sorts as floats do; None for NaN."""
    if value != value:
        return None
    bits = int(np.float64(value + 0.0).view(np.uint64))
    return ((~bits & (2**64 - 1)) if bits >> 63 else bits | 1 << 63) >> shift


@st.composite
def floats_with_gaps(draw: st.DrawFn) -> tuple[Array, list[bool]]:
    values = draw(
        st.lists(st.floats() | st.sampled_from([0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf]), max_size=25)
    )
    flags = draw(st.just([]) | st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    return np.array(values, np.float64), flags


@given(floats_with_gaps())
def test_count_buckets(case: tuple[Array, list[bool]]) -> None:
    values, flags = case
    out = np.zeros(1 << 20, np.int64)
    kernels.count_buckets(values.view(np.uint64), np.array(flags, np.bool_), 44, out)
    expected: dict[int, int] = {}
    for i, value in enumerate(values.tolist()):
        key = key_bits(value, 44)
        if key is not None and not (flags and flags[i]):
            expected[key] = expected.get(key, 0) + 1
    assert {int(k): int(out[k]) for k in np.flatnonzero(out)} == expected


@given(floats_with_gaps(), st.data())
def test_rows_in_buckets(case: tuple[Array, list[bool]], data: st.DataObject) -> None:
    values, flags = case
    keys = [key_bits(v, 44) for v in values.tolist()]
    known = sorted({k for k in keys if k is not None})
    chosen = set(data.draw(st.lists(st.sampled_from(known), max_size=3))) if known else set()
    wanted = np.zeros(1 << 20, np.bool_)
    wanted[list(chosen)] = True
    out = np.zeros(len(values), np.int64)
    n = kernels.rows_in_buckets(values.view(np.uint64), np.array(flags, np.bool_), 44, wanted, out)
    assert out[:n].tolist() == [i for i, k in enumerate(keys) if k in chosen and not (flags and flags[i])]


def test_every_kernel_has_a_twin_here() -> None:
    compiled = {n for n, f in vars(kernels).items() if hasattr(f, "py_func") and not n.startswith("_")}
    tested = {n.removeprefix("test_") for n in globals() if n.startswith("test_")}
    assert compiled <= tested, compiled - tested


def test_kernels_never_run_in_parallel() -> None:
    for function in vars(kernels).values():
        if hasattr(function, "py_func"):
            assert function.targetoptions.get("nogil")
            assert not function.targetoptions.get("parallel")
    assert "parallel=True" not in inspect.getsource(kernels)
