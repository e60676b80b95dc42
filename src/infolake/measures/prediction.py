"""How much better one column is predicted once the other is known: lambda and tau.

The rows are x, the columns y. Without a direction each table has two values, as for Theil's U.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infolake.measures.catalogue import Values, checked, measure
from infolake.measures.plug_in import counted
from infolake.measures.residuals import absent_products, deviations
from infolake.tables import Numbers, TableBatch, grouped_sum

GOODMAN = "Goodman & Kruskal 1954, JASA 49"


@measure(
    "lambda",
    symmetric=False,
    bounds=(0.0, 1.0),
    reference=GOODMAN,
    formula="(sum over x of max n - max b) / (N - max b)",
)
def goodman_kruskal_lambda(batch: TableBatch, *, given: str = "x") -> Values:
    """Return by which share knowing x lessens the errors of guessing the commonest y.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.
    given : str
        "x": y is guessed; "y": x is guessed; "symmetric": each half of the time.

    Returns
    -------
    float or ndarray of shape (B,)
        0 to 1; NaN where the guessed column is constant.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> goodman_kruskal_lambda(ContingencyTable([[3, 1], [1, 3]]))
    0.5
    """
    sides = {"x": ("x",), "y": ("y",), "symmetric": ("x", "y")}
    chosen = sides[checked("given", given, tuple(sides))]
    parts = [_guesses(batch, side) for side in chosen]
    gained = np.sum([known - blind for known, blind in parts], axis=0)
    open_ = np.sum([batch.totals - blind for _, blind in parts], axis=0)
    return np.asarray(gained / np.where(open_ > 0, open_, np.nan))


def _guesses(batch: TableBatch, given: str) -> tuple[Numbers, Numbers]:
    """Return the right guesses per table, knowing one column and knowing nothing."""
    tables = batch if given == "x" else batch.transpose()
    row = tables.row_offsets[tables.table_of_cell] + tables.rows
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    best = np.maximum.reduceat(tables.cells, starts) if len(starts) else tables.cells
    known = grouped_sum(best, tables.table_of_cell[starts], len(tables))
    return known, _largest(*counted(tables)["y"], tables.totals)


def _largest(values: Numbers, offsets: NDArray[np.int64], totals: Numbers) -> Numbers:
    out = np.zeros_like(totals)
    held = np.flatnonzero(np.diff(offsets))
    if len(held):
        out[held] = np.maximum.reduceat(values, offsets[held])
    return out


@measure(
    "tau",
    symmetric=False,
    bounds=(0.0, 1.0),
    reference=GOODMAN,
    formula="sum of (n - E)^2 / (a N) / (1 - sum of (b/N)^2)",
)
def goodman_kruskal_tau(batch: TableBatch, *, given: str = "x") -> Values:
    """Return by which share knowing x lessens the Gini impurity of y.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.
    given : str
        "x": y is explained; "y": x is explained.

    Returns
    -------
    float or ndarray of shape (B,)
        0 to 1; NaN where the explained column is constant.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> goodman_kruskal_tau(ContingencyTable([[3, 1], [1, 3]]))
    0.25
    """
    tables = batch if checked("given", given, ("x", "y")) == "x" else batch.transpose()
    values, offsets = counted(tables)["y"]
    table = np.repeat(np.arange(len(tables)), np.diff(offsets))
    size = np.where(tables.totals > 0, tables.totals, np.nan).astype(np.float64)
    impurity = grouped_sum(
        values / size[table] * ((tables.totals[table] - values) / size[table]), table, len(tables)
    )
    return _explained(tables) / np.where(impurity > 0, impurity, np.nan)


def _explained(tables: TableBatch) -> Values:
    """Return the sum of (n - E)**2 / (a N) = a b**2 d**2 / N**3; an absent cell has d = -1."""
    row, col, total = (part.astype(np.float64) for part in tables.cell_margins)
    share = row / total * (col / total) ** 2
    present = grouped_sum(share * deviations(tables) ** 2, tables.table_of_cell, len(tables))
    return np.asarray(present + absent_products(tables, squared=True))
