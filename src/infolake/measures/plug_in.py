"""The plug-in entropies and mutual information of batches of tables, in nats.

n is a cell, a and b are its row and column margin, N is the total. H(X) is the sum of a/N ln(N/a),
H(X,Y) the same over cells, H(Y|X) the sum of n/N ln(a/n): every term is >= 0 and none is a
difference. MI is the sum over all cells, absent ones included, of (a b / N**2) ((1 + d) ln(1 + d) - d)
with d = (n N - a b) / (a b), where the table has at most 2**22 non-zero cells and non-empty margins;
beyond, it is H(X) + H(Y) - H(X,Y), which can be had from frequencies of frequencies alone. The choice
depends on the table, never on how it is held.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.measures import numerics
from infolake.tables import TableBatch

Values = NDArray[np.float64]

RESIDUAL_CELLS = 2**22
ONCE = np.zeros(0, dtype=np.int64)


def mutual(batch: TableBatch) -> Values:
    """Return the MI of each table."""
    values = dependence(batch, squared=False)
    large = batch.n_cells + batch.n_rows_nonempty + batch.n_cols_nonempty > RESIDUAL_CELLS
    if not large.any():
        return values
    x, y, xy = (entropy(batch, which) for which in ("x", "y", "xy"))
    return np.where(large, (x + y) - xy, values)


def entropy(batch: TableBatch, which: str) -> Values:
    """Return H(X), H(Y) or H(X,Y) of each table: ``which`` is "x", "y" or "xy"."""
    values, offsets = counted(batch)[which]
    out = np.empty(len(batch))
    numerics.entropies(values, ONCE, offsets, batch.totals, out)
    return out


def equivocation(batch: TableBatch, given: str) -> Values:
    """Return H(Y|X) of each table for "x", H(X|Y) for "y"."""
    row, col, _ = batch.cell_margins
    out = np.empty(len(batch))
    numerics.equivocations(batch.cells, row if given == "x" else col, batch.offsets, batch.totals, out)
    return out


def dependence(batch: TableBatch, *, squared: bool) -> Values:
    """Return per table the sum of (a b / N**2) excess(d): MI in nats; squared, phi squared."""
    kernel = numerics.dependence_of_weights if batch.weighted else numerics.dependence_of_counts
    out = np.empty(len(batch))
    kernel(
        batch.cells,
        batch.rows,
        batch.cols,
        batch.offsets,
        batch.row_margins,
        batch.row_offsets,
        batch.col_margins,
        batch.col_offsets,
        batch.totals,
        squared,
        out,
    )
    return out


def counted(batch: TableBatch) -> dict[str, tuple[NDArray[Any], NDArray[np.int64]]]:
    """Return the counts of all tables, and where each table starts, of "x", "y" and "xy"."""
    return {
        "x": (batch.row_margins, batch.row_offsets),
        "y": (batch.col_margins, batch.col_offsets),
        "xy": (batch.cells, batch.offsets),
    }
