"""The plug-in entropies and mutual information of batches of tables, in nats.

n is a cell, a and b are its row and column margin, N is the total. H(X) is the sum of a/N ln(N/a),
H(X,Y) the same over cells, H(Y|X) the sum of n/N ln(a/n): every term is >= 0 and none is a
difference. MI is the sum over all cells, absent ones included, of (a b / N**2) ((1 + d) ln(1 + d) - d)
with d = (n N - a b) / (a b), where the table has at most 2**22 non-zero cells and non-empty margins;
beyond, it is H(X) + H(Y) - H(X,Y), and H(Y|X) is H(X,Y) - H(X), which can be had from frequencies of
frequencies alone; strata together likewise. The choice depends on the table, never on how it is held.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.large_tables import FrequencyTable
from infolake.measures import numerics
from infolake.tables import Strata, TableBatch

Values = NDArray[np.float64]

RESIDUAL_CELLS = 2**22
ONCE = np.zeros(0, dtype=np.int64)


def mutual(batch: TableBatch | FrequencyTable) -> Values:
    """Return the MI of each table."""
    large = is_large(batch)
    if isinstance(batch, TableBatch) and not large.all():
        values = dependence(batch, squared=False)
        if not large.any():
            return values
    else:
        values = np.zeros(len(batch))
    x, y, xy, z = (_joint(batch, which) for which in ("x", "y", "xy", "z"))
    return np.where(large, (x + y) - (xy + z), values)


def is_large(batch: TableBatch | FrequencyTable) -> NDArray[np.bool_]:
    """Return which tables have more cells and margins than are visited one by one."""
    return np.asarray(batch.n_cells + batch.n_rows_nonempty + batch.n_cols_nonempty > RESIDUAL_CELLS)


def entropy(batch: TableBatch | FrequencyTable, which: str) -> Values:
    """Return H(X), H(Y) or H(X,Y) of each table, given Z for strata: ``which`` is "x", "y" or "xy"."""
    return _joint(batch, which) - _joint(batch, "z")


def _joint(batch: TableBatch | FrequencyTable, which: str) -> Values:
    """Return the entropy of "x", "y" or "xy", jointly with Z for strata; or of "z"."""
    out = np.zeros(len(batch))
    if isinstance(batch, FrequencyTable):
        found = {"x": batch.x, "y": batch.y, "xy": batch.xy, "z": batch.z}[which]
        if found is not None:
            numerics.entropies(*found, np.array([0, len(found[0])]), batch.totals, out)
    elif which != "z":
        values, offsets = counted(batch)[which]
        numerics.entropies(values, ONCE, offsets, batch.totals, out)
    return out


def large_strata(strata: Strata) -> list[tuple[int, FrequencyTable]]:
    """Return the groups of strata that together have more than 2**22 cells and margins, as one table each."""
    batch = strata.batch
    sizes = batch.n_cells + batch.n_rows_nonempty + batch.n_cols_nonempty
    held = np.bincount(strata.groups, weights=sizes, minlength=strata.n_groups)
    return [(group, _stacked(strata, group)) for group in np.flatnonzero(held > RESIDUAL_CELLS).tolist()]


def _stacked(strata: Strata, group: int) -> FrequencyTable:
    batch, own = strata.batch, strata.groups == group
    counts = {k: values[np.repeat(own, np.diff(offsets))] for k, (values, offsets) in counted(batch).items()}
    xy, x, y, z = map(_frequencies, (counts["xy"], counts["x"], counts["y"], batch.totals[own]))
    return FrequencyTable(xy, x, y, z)


def _frequencies(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.unique(values[values > 0], return_counts=True)


def equivocation(batch: TableBatch | FrequencyTable, given: str) -> Values:
    """Return H(Y|X) of each table for "x", H(X|Y) for "y"."""
    large = is_large(batch)
    out = np.zeros(len(batch))
    if isinstance(batch, TableBatch) and not large.all():
        row, col, _ = batch.cell_margins
        numerics.equivocations(batch.cells, row if given == "x" else col, batch.offsets, batch.totals, out)
    return np.where(large, _joint(batch, "xy") - _joint(batch, given), out) if large.any() else out


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
