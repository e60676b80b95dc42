"""Numba loops over plain arrays: no Python objects, no locks (``nogil``), compiled once per machine.

Codes are non-negative integers below a size ("radix"); a table of two columns is laid flat, row by
row. Every kernel has a slow twin in ``tests/test_kernels.py`` that says what it computes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]


@njit(nogil=True, cache=True)
def pack_first(indices: Array, table: Array, out: Array) -> None:
    """``out[i] = table[indices[i]]``: the first column of a supercolumn."""
    for i in range(len(indices)):
        out[i] = table[indices[i]]


@njit(nogil=True, cache=True)
def pack_add(indices: Array, table: Array, out: Array) -> None:
    """``out[i] += table[indices[i]]``: a further column, its stride already in ``table``."""
    for i in range(len(indices)):
        out[i] += table[indices[i]]


@njit(nogil=True, cache=True)
def scatter_one(codes: Array, out: Array) -> None:
    """Count ``codes`` into ``out``."""
    for i in range(len(codes)):
        out[codes[i]] += 1


@njit(nogil=True, cache=True)
def scatter_two(first: Array, second: Array, radix: int, out: Array) -> None:
    """Count pairs into the flat table ``out``, of shape (rows, ``radix``)."""
    for i in range(len(first)):
        out[np.int64(first[i]) * radix + second[i]] += 1


@njit(nogil=True, cache=True)
def scatter_weights(cells: Array, weights: Array, out: Array) -> None:
    """Add integer ``weights`` into ``out`` at the flat indices ``cells``."""
    for i in range(len(cells)):
        out[cells[i]] += weights[i]


@njit(nogil=True, cache=True)
def marginalize(
    table: Array,
    sizes_1: Array,
    strides_1: Array,
    sizes_2: Array,
    strides_2: Array,
    offsets: Array,
    swapped: Array,
    out: Array,
) -> None:
    """Add a table over two supercolumns into the table of each pair of columns they hold.

    ``offsets[p, q]`` is where the pair (column p of the first, column q of the second) starts in
    ``out``, or -1; ``swapped[p, q]`` says that the second column indexes its rows.
    """
    n_1, n_2 = table.shape
    for p in range(len(sizes_1)):
        size, stride = sizes_1[p], strides_1[p]
        part = np.zeros((size, n_2), np.int64)
        for r in range(n_1):
            digit = (r // stride) % size
            for c in range(n_2):
                part[digit, c] += table[r, c]
        for q in range(len(sizes_2)):
            start = offsets[p, q]
            if start >= 0:
                down, across = (1, size) if swapped[p, q] else (sizes_2[q], 1)
                for d in range(size):
                    for c in range(n_2):
                        e = (c // strides_2[q]) % sizes_2[q]
                        out[start + d * down + e * across] += part[d, c]


@njit(nogil=True, cache=True)
def realign(
    source: Array,
    source_offsets: Array,
    columns: Array,
    sizes: Array,
    maps: Array,
    map_offsets: Array,
    new_sizes: Array,
    target: Array,
    target_offsets: Array,
) -> None:
    """Move dense tables of one or two columns to new levels, adding into ``target``.

    Group g has the columns ``columns[g]`` (the number of columns where there is no second one) of ``sizes`` levels each;
    ``maps[map_offsets[c] + code]`` is the new code of a level of column c, -1 where it is dropped.
    """
    for g in range(len(columns)):
        x, y = columns[g, 0], columns[g, 1]
        alone = y >= len(sizes)
        width = 1 if alone else sizes[y]
        new_width = 1 if alone else new_sizes[y]
        for i in range(sizes[x]):
            row = maps[map_offsets[x] + i]
            for j in range(width):
                value = source[source_offsets[g] + i * width + j]
                if value != 0:
                    column = 0 if alone else maps[map_offsets[y] + j]
                    target[target_offsets[g] + row * new_width + column] += value


@njit(nogil=True, cache=True)
def bin_codes(values: Array, missing: Array, cuts: Array, low: float, high: float, out: Array) -> int:
    """Write 1 + the number of ``cuts`` at or below each value, 0 where missing; return a bad row or -1.

    A value is missing where it is NaN or ``missing`` (empty, or one flag per row) is set. The row
    returned is the first one whose value lies outside [``low``, ``high``].
    """
    flagged = len(missing) > 0
    n_cuts = len(cuts)
    for i in range(len(values)):
        value = values[i]
        if value != value or (flagged and missing[i]):
            out[i] = 0
            continue
        if value < low or value > high:
            return i
        first, length = 0, n_cuts
        while length > 0:
            half = length // 2
            if cuts[first + half] <= value:
                first += half + 1
                length -= half + 1
            else:
                length = half
        out[i] = first + 1
    return -1

