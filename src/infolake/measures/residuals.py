"""How far cells are from independence: d = (n N - a b) / (a b), and what absent cells would hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.measures import numerics
from infolake.tables import TableBatch, grouped_sum

Values = NDArray[np.float64]


def deviations(batch: TableBatch) -> Values:
    """Return d per cell, the numerator exact; NaN where a margin is 0."""
    kernel = numerics.deviations_of_weights if batch.weighted else numerics.deviations_of_counts
    row, col, total = batch.cached("cell margins", lambda: batch.cell_margins)
    out = np.empty(len(batch.cells))
    kernel(batch.cells, row, col, total, out)
    return out


def absent_products(batch: TableBatch, *, squared: bool = False) -> Values:
    """Return per table the sum of a b / N**2 over absent cells; squared, of a b**2 / N**3.

    Exactly 0 where every cell of non-empty rows and columns is present; for counts the sum over the
    absent is an integer.
    """
    full = batch.n_cells == batch.n_rows_nonempty * batch.n_cols_nonempty
    out = np.zeros(len(batch))
    for t in np.flatnonzero(~full & (batch.totals > 0)).tolist():
        out[t] = _absent(batch, t, squared)
    return out


def _absent(batch: TableBatch, t: int, squared: bool) -> float:
    part = slice(int(batch.offsets[t]), int(batch.offsets[t + 1]))
    rows = batch.row_margins[int(batch.row_offsets[t]) : int(batch.row_offsets[t + 1])]
    cols = batch.col_margins[int(batch.col_offsets[t]) : int(batch.col_offsets[t + 1])]
    seen = grouped_sum(rows[batch.rows[part]], batch.cols[part], len(cols))  # per column, rows it meets
    total = batch.totals[t].item()
    if batch.weighted and not squared:  # the same in either orientation
        shares = rows[batch.rows[part]] / total * (cols[batch.cols[part]] / total)
        return max(0.0, math.fsum([1.0, *(-shares).tolist()]))
    terms = [b ** (2 if squared else 1) * (total - s) for b, s in _pairs(cols, seen) if s < total]
    return float(sum(terms) / total ** (3 if squared else 2))  # integers of any size, rounded once


def _pairs(*arrays: NDArray[Any]) -> Any:
    return zip(*(array.tolist() for array in arrays), strict=True)
