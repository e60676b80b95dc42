"""Numba loops that list the non-zero cells of many dense tables at once, with their margins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]


@njit(nogil=True, cache=True)
def count_cells(dense, starts, shapes, kept, n_cells, left):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Write per table its non-zero kept cells, and what its other cells hold.

    ``dense`` holds the tables as (R, C) blocks from ``starts`` on, ``shapes`` (B, 2) is R and C, ``kept``
    (B, 2) how many rows and columns are kept.
    """
    for t in range(len(starts)):
        position = starts[t]
        for i in range(shapes[t, 0]):
            for j in range(shapes[t, 1]):
                n = dense[position]
                position += 1
                if n != 0:
                    if i < kept[t, 0] and j < kept[t, 1]:
                        n_cells[t] += 1
                    else:
                        left[t] += n


@njit(nogil=True, cache=True)
def list_cells(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    dense, starts, shapes, kept, turned, offsets, cells, rows, cols, margins, margin_offsets, totals
):
    """Write the kept cells of every table in row-major order, and add up its margins and total.

    A ``turned`` table is stored with its columns first. ``margins`` and ``margin_offsets`` are a pair
    each: of rows and of columns.
    """
    row_margins, col_margins = margins
    row_offsets, col_offsets = margin_offsets
    for t in range(len(starts)):
        k = offsets[t]
        width = shapes[t, 1]
        down, right = (1, width) if turned[t] else (width, 1)
        n_rows, n_cols = (kept[t, 1], kept[t, 0]) if turned[t] else (kept[t, 0], kept[t, 1])
        for i in range(n_rows):
            for j in range(n_cols):
                n = dense[starts[t] + i * down + j * right]
                if n != 0:
                    cells[k], rows[k], cols[k] = n, i, j
                    k += 1
                    row_margins[row_offsets[t] + i] += n
                    col_margins[col_offsets[t] + j] += n
                    totals[t] += n
