"""Numba loops over bit planes: pairs of columns of few levels counted by AND and popcount.

A **plane** holds one bit per row: whether a column has a level. Level 0 has none, since what the other
levels leave is its own. Planes are rows of uint64 words, four to a group; every kernel has a slow twin in
``tests/test_plane_kernels.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.extending import intrinsic

from infolake.kernels import bytes_at, words_at

Array = np.ndarray[Any, Any]
BLOCK = 256  # words of a plane that are counted at a time, so that many planes stay in a cache


def _popcount_of(context: Any, value: Any) -> Any:  # noqa: ARG001
    signature = types.uint64(types.uint64)

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.ctpop(arguments[0])

    return signature, generate


_popcount: Any = intrinsic(_popcount_of)  # the number of bits set in a uint64


@njit(nogil=True, cache=True)
def set_planes(
    addresses: Array, widths: Array, n: int, codes: Array, starts: Array, out: Array, place: int
) -> None:
    """Write the planes of columns, a row of ``out`` each, from indices and look-up tables.

    Column k has ``n`` indices of ``widths[k]`` bytes (1: uint8, 4: int32) at ``addresses[k]``; its row of
    level c >= 1 is ``starts[k] + c - 1``, and ``codes[k, index]`` is the level of an index (0 beyond the
    table). Words are written from ``place`` on; the rows that fill up the last one have no bits.
    """
    for k in range(len(addresses)):
        rows = out[starts[k] : starts[k + 1], place : place + (n + 63) // 64]
        rows[:] = 0
        if widths[k] == 1:
            _set_column(carray(bytes_at(addresses[k]), n), codes[k], rows)  # type: ignore[call-arg]
        else:
            _set_column(carray(words_at(addresses[k]), n), codes[k], rows)  # type: ignore[call-arg]


@njit(nogil=True, cache=True)
def _set_column(indices: Array, codes: Array, out: Array) -> None:
    """Set the bits of every index whose level has a row in ``out``."""
    full = len(indices) // 64
    for index in range(len(codes)):
        if codes[index]:
            row = out[np.int64(codes[index]) - 1]
            wanted = indices.dtype.type(index)
            for w in range(full):
                row[w] |= _bits(indices[64 * w : 64 * w + 64], wanted, 64)
            if full < len(row):
                row[full] |= _bits(indices[64 * full :], wanted, len(indices) - 64 * full)


@njit(nogil=True, cache=True, inline="always")
def _bits(indices: Array, wanted: Any, n: int) -> Any:
    """Return a word with the bits of those of ``n`` indices that are ``wanted``."""
    word = np.uint64(0)
    for b in range(n):
        word |= np.uint64(indices[b] == wanted) << np.uint64(b)
    return word


@njit(nogil=True, cache=True)
def count_planes(planes: Array, n_words: int, tiles: Array, counts: Array, margins: Array) -> None:
    """Add the rows that each pair of planes shares, and the rows of each plane.

    ``counts[t]``, of shape (4, 4), is about the groups of four planes ``tiles[t]``.
    """
    for p in range(len(planes)):
        found = np.uint64(0)
        for w in range(n_words):
            found += _popcount(planes[p, w])
        margins[p] += np.int64(found)
    for low in range(0, n_words, BLOCK):
        high = min(n_words, low + BLOCK)
        for t in range(len(tiles)):
            _count_tile(planes, 4 * tiles[t, 0], 4 * tiles[t, 1], low, high, counts[t])


@njit(nogil=True, cache=True)
def _count_tile(planes: Array, i: int, j: int, low: int, high: int, out: Array) -> None:
    """Add the bits that planes i to i + 3 share with planes j to j + 3: each word is loaded once."""
    a0, a1, a2, a3 = (
        planes[i, low:high],
        planes[i + 1, low:high],
        planes[i + 2, low:high],
        planes[i + 3, low:high],
    )
    b0, b1, b2, b3 = (
        planes[j, low:high],
        planes[j + 1, low:high],
        planes[j + 2, low:high],
        planes[j + 3, low:high],
    )
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = np.uint64(0)
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = np.uint64(0)
    for w in range(high - low):
        x0, x1, x2, x3 = a0[w], a1[w], a2[w], a3[w]
        y = b0[w]
        s00 += _popcount(x0 & y)
        s10 += _popcount(x1 & y)
        s20 += _popcount(x2 & y)
        s30 += _popcount(x3 & y)
        y = b1[w]
        s01 += _popcount(x0 & y)
        s11 += _popcount(x1 & y)
        s21 += _popcount(x2 & y)
        s31 += _popcount(x3 & y)
        y = b2[w]
        s02 += _popcount(x0 & y)
        s12 += _popcount(x1 & y)
        s22 += _popcount(x2 & y)
        s32 += _popcount(x3 & y)
        y = b3[w]
        s03 += _popcount(x0 & y)
        s13 += _popcount(x1 & y)
        s23 += _popcount(x2 & y)
        s33 += _popcount(x3 & y)
    sums = (s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33)
    for k in range(16):
        out[k >> 2, k & 3] += np.int64(sums[k])


@njit(nogil=True, cache=True)
def fill_tables(
    pairs: Array,
    sizes: Array,
    starts: Array,
    tile_of: Array,
    counts: Array,
    margins: Array,
    n: int,
    offsets: Array,
    out: Array,
) -> None:
    """Add the table of each pair of columns into ``out``, laid flat from ``offsets`` on.

    ``tile_of[i, j]``, i <= j, is the tile of groups i and j of four planes; level 0 of a column is what
    the others leave of the ``n`` rows.
    """
    for g in range(len(pairs)):
        x, y = pairs[g]
        width = sizes[y]
        table = out[offsets[g] : offsets[g] + sizes[x] * width]
        table[0] += n
        for b in range(1, width):
            rows = margins[starts[y] + b - 1]
            table[b] += rows
            table[0] -= rows
        for a in range(1, sizes[x]):
            p = starts[x] + a - 1
            table[a * width] += margins[p]
            table[0] -= margins[p]
            for b in range(1, width):
                q = starts[y] + b - 1
                i, j = min(p, q), max(p, q)
                shared = counts[tile_of[i >> 2, j >> 2], i & 3, j & 3]
                table[a * width + b] += shared
                table[a * width] -= shared
                table[b] -= shared
                table[0] += shared
