"""Tests of single cells against independence, and their residuals."""

from __future__ import annotations

import numpy as np

from infolake.errors import UsageError
from infolake.measures import hypergeometric
from infolake.measures.catalogue import Values, cell_measure, checked
from infolake.measures.residuals import deviations
from infolake.tables import TableBatch

ALTERNATIVES = {"two-sided": 0, "greater": 1, "less": -1}


@cell_measure(
    "fisher",
    absent=None,
    bounds=(0.0, 1.0),
    best="low",
    reference="Fisher 1922, J. R. Stat. Soc. 85",
    formula="sum of hypergeometric probabilities, given a, b and N",
)
def fisher_exact_p(batch: TableBatch, *, alternative: str = "two-sided") -> Values:
    """Return Fisher's exact p-value of the collapsed 2 x 2 table of each cell.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns of counts.
    alternative : str
        "greater": the levels meet more often than by chance; "less" (as NLTK); "two-sided": all
        counts that are at most as probable.

    Returns
    -------
    ndarray
        0 to 1; 0 where the p-value is below 1e-308 (`fisher_exact_log_p` tells how far). 1 where a
        margin holds all rows.

    Raises
    ------
    UsageError
        Weighted tables.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> fisher_exact_p(ContingencyTable([[3, 1], [1, 3]])).round(6)
    array([[0.485714, 0.485714],
           [0.485714, 0.485714]])
    """
    return np.exp(_log_p(batch, alternative))


@cell_measure(
    "fisher_log",
    absent=None,
    bounds=(None, 0.0),
    best="low",
    unit="information",
    reference="Fisher 1922, J. R. Stat. Soc. 85",
    formula="log of Fisher's exact p",
)
def fisher_exact_log_p(batch: TableBatch, *, alternative: str = "two-sided") -> Values:
    """Return the logarithm of Fisher's exact p-value of each cell, which cannot underflow.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns of counts.
    base : float or str
        The base of the logarithm.
    alternative : str
        "two-sided", "greater" or "less".

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(float(fisher_exact_log_p(ContingencyTable([[5000, 0], [0, 5000]]), base=10)[0, 0]))
    -3008
    """
    return _log_p(batch, alternative)


def _log_p(batch: TableBatch, alternative: str) -> Values:
    sign = ALTERNATIVES[checked("alternative", alternative, tuple(ALTERNATIVES))]
    if batch.weighted:
        raise UsageError("Fisher's exact test is defined for counts, not for weights")
    row, col, total = batch.cached("cell margins", lambda: batch.cell_margins)
    out = np.empty(len(batch.cells))
    hypergeometric.log_p_values(batch.cells, row, col, total, sign, out)
    return out


@cell_measure(
    "haberman_residual",
    absent=None,
    reference="Haberman 1973, Biometrics 29",
    formula="(n - E) / sqrt(E (1 - a/N) (1 - b/N))",
)
def adjusted_residual(batch: TableBatch) -> Values:
    """Return (n - E) over its standard error under independence: normal in large tables.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns. 0 where a margin holds all rows.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> adjusted_residual(ContingencyTable([[2, 0], [0, 2]]))
    array([[ 2., -2.],
           [-2.,  2.]])
    """
    row, col, total = batch.cached("cell margins", lambda: batch.cell_margins)
    size = total.astype(np.float64)
    others = (total - row) / size * ((total - col) / size)
    expected = row / size * col
    held = (others > 0) & (expected > 0)
    scale = np.sqrt(expected / np.where(held, others, 1.0))
    return np.where(held, np.where(held, deviations(batch), 0.0) * scale, 0.0)
