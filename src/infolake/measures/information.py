"""Entropies and mutual information of contingency tables, in nats.

n is a cell, a and b are its row and column margin, N is the total. H(X) is the sum of a/N ln(N/a),
H(X,Y) the same over cells, H(Y|X) the sum of n/N ln(a/n): every term is >= 0 and none is a
difference. MI is the sum over all cells, absent ones included, of (a b / N**2) ((1 + d) ln(1 + d) - d)
with d = (n N - a b) / (a b), where the table has at most 2**22 non-zero cells and non-empty margins;
beyond, it is H(X) + H(Y) - H(X,Y), which can be had from frequencies of frequencies alone. The choice
depends on the table, never on how it is held.

Limits: zero rows give NaN. Constant columns have the entropy 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.errors import UsageError
from infolake.measures import estimators, numerics
from infolake.measures.catalogue import Tables, Values, checked, measure
from infolake.tables import ContingencyTable, Strata, TableBatch

RESIDUAL_CELLS = 2**22
ONCE = np.zeros(0, dtype=np.int64)
SIDES = ("x", "y")
SHANNON = "Shannon 1948, Bell Syst. Tech. J. 27"
COVER = "Cover & Thomas 2006, Elements of Information Theory, ch. 2"


@measure("mi", "information_gain", unit="information", conditional=True, reference=SHANNON)
def mutual_information(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return the mutual information I(X;Y): what one column tells about the other.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns. For strata: I(X;Y|Z), the mean over the strata.
    base : float or str
        2 (bits), "e" (nats), 10 (hartleys) or any number above 1.
    entropy : str
        The entropy estimator. Corrected estimates may lie below 0 and are not clipped.

    Returns
    -------
    float or ndarray of shape (B,)
        In units of the base; 0 to min(H(X), H(Y)) for the plug-in. NaN for zero rows.

    Raises
    ------
    UnknownMeasureError
        An unknown estimator.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> mutual_information(ContingencyTable([[3, 0], [0, 1]]), base="e")
    0.5623351446188083
    """
    return mutual(tables, entropy)


@measure(
    "h", symmetric=False, unit="information", conditional=True, best="low", needs="joint", reference=SHANNON
)
def entropy(tables: Tables, *, of: str = "x", entropy: str = "plug_in") -> Values:
    """Return the entropy H of one column.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        One or two columns.
    base : float or str
        The unit.
    of : str
        "x" (the first column, the rows) or "y".
    entropy : str
        The entropy estimator.

    Returns
    -------
    float or ndarray of shape (B,)
        0 to ln of the number of levels, in units of the base.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> entropy(ContingencyTable([2, 1, 1]))
    1.5
    """
    return entropy_of(tables, checked("of", of, SIDES), entropy)


@measure("h_xy", unit="information", conditional=True, best="low", needs="joint", reference=SHANNON)
def joint_entropy(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return the joint entropy of all columns of the table.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Any number of columns.
    base : float or str
        The unit.
    entropy : str
        The entropy estimator.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> joint_entropy(ContingencyTable([[1, 1], [1, 1]]))
    2.0
    """
    return entropy_of(tables, "xy", entropy)


@measure("equivocation", symmetric=False, unit="information", conditional=True, best="low", reference=SHANNON)
def conditional_entropy(tables: Tables, *, given: str = "x", entropy: str = "plug_in") -> Values:
    """Return H(Y|X), or with ``given="y"`` H(X|Y): what stays open once the other is known.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns.
    base : float or str
        The unit.
    given : str
        "x" or "y": the column that is known.
    entropy : str
        The entropy estimator.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> conditional_entropy(ContingencyTable([[1, 1], [2, 0]]))
    0.5
    """
    return equivocation(tables, checked("given", given, SIDES), entropy)


@measure("vi", unit="information", conditional=True, best="low", reference="Meilă 2003, COLT")
def variation_of_information(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return H(X|Y) + H(Y|X), a metric on partitions of the rows: 0 where each tells the other.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns.
    base : float or str
        The unit.
    entropy : str
        The entropy estimator.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> variation_of_information(ContingencyTable([[1, 1], [1, 1]]))
    2.0
    """
    return equivocation(tables, "x", entropy) + equivocation(tables, "y", entropy)


@measure("cmi", unit="information", conditional=True, needs="strata", reference=COVER)
def conditional_mutual_information(
    tables: Tables, *, groups: NDArray[np.int64] | None = None, entropy: str = "plug_in"
) -> Values:
    """Return I(X;Y|Z): the MI within the strata of Z, averaged over the rows.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Three or more columns: the first two, given all others. Or one table per stratum.
    base : float or str
        The unit.
    groups : ndarray of int, shape (B,), optional
        For a batch: the group of each stratum; one value per group. Default: one group.
    entropy : str
        The entropy estimator, within each stratum.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> conditional_mutual_information(ContingencyTable([[[1, 0], [0, 1]], [[0, 1], [1, 0]]]))
    1.0
    """
    if isinstance(tables, Strata):
        return mutual(tables, entropy)
    ids = np.zeros(len(tables), dtype=np.int64) if groups is None else np.asarray(groups, dtype=np.int64)
    return mutual(Strata(tables, ids, int(ids.max(initial=0)) + 1), entropy)


def co_information(table: ContingencyTable, *, base: float | str = 2, entropy: str = "plug_in") -> float:
    """Return the co-information I(X;Y) - I(X;Y|Z) of three columns; below 0 for synergy.

    The sign is that of Bell 2003: redundancy counts as positive. Some texts define interaction
    information with the opposite sign for three columns.

    Parameters
    ----------
    table : ContingencyTable
        Three columns.
    base : float or str
        The unit.
    entropy : str
        The entropy estimator.

    Examples
    --------
    >>> co_information(ContingencyTable([[[1, 0], [0, 1]], [[0, 1], [1, 0]]]))
    -1.0
    """
    if table.ndim != 3:
        raise UsageError("co_information needs a table of three columns", found=f"{table.ndim} columns")
    options = {"base": base, "entropy": entropy}
    pair = table.marginal(*table.columns[:2])
    return mutual_information(pair, **options) - conditional_mutual_information(table, **options)


def total_correlation(table: ContingencyTable, *, base: float | str = 2, entropy: str = "plug_in") -> float:
    """Return the sum of the columns' entropies less their joint entropy; MI for two columns.

    Parameters
    ----------
    table : ContingencyTable
        Two or more columns.
    base : float or str
        The unit.
    entropy : str
        The entropy estimator.

    Notes
    -----
    The sum of I(X1..Xk; Xk+1) over k (Watanabe 1960), so that it does not cancel.

    Examples
    --------
    >>> total_correlation(ContingencyTable([[[1, 0], [0, 0]], [[0, 0], [0, 1]]]))
    2.0
    """
    if table.ndim < 2:
        raise UsageError("total_correlation needs a table of two or more columns", found="1 column")
    parts = [_joined(table.marginal(*table.columns[: k + 1])) for k in range(1, table.ndim)]
    return math.fsum(mutual_information(part, base=base, entropy=entropy) for part in parts)


def _joined(table: ContingencyTable) -> ContingencyTable:
    """Return the table of two columns: all but the last joined to one, and the last."""
    codes, counts = table.cells
    if table.ndim == 2:
        return table
    combos, rows = np.unique(np.stack(codes[:-1]), axis=1, return_inverse=True)
    levels = (range(combos.shape[1]), table.levels[-1])
    return ContingencyTable.from_cells((rows, codes[-1]), counts, levels=levels, columns=("x", "y"))


def mutual(tables: Tables, entropy: str = "plug_in") -> Values:
    """Return the MI in nats of each table, or of each group of strata."""
    if isinstance(tables, Strata):
        return pooled(tables, mutual(tables.batch, entropy))
    name = estimators.get(entropy).name
    key = f"mutual {name}"
    compute = (lambda: _plug_in_mutual(tables)) if name == "plug_in" else (lambda: _difference(tables, name))
    values: Values = tables.cached(key, compute)
    return values


def entropy_of(tables: Tables, which: str, entropy: str = "plug_in") -> Values:
    """Return the entropy in nats of "x", "y" or "xy" of each table, or of each group of strata."""
    if isinstance(tables, Strata):
        return pooled(tables, entropy_of(tables.batch, which, entropy))
    name = estimators.get(entropy).name
    values: Values = tables.cached(f"entropy {which} {name}", lambda: _entropy_of(tables, which, name))
    return values


def equivocation(tables: Tables, given: str, entropy: str = "plug_in") -> Values:
    """Return the conditional entropy in nats given "x" or "y" of each table or group of strata."""
    if isinstance(tables, Strata):
        return pooled(tables, equivocation(tables.batch, given, entropy))
    if estimators.get(entropy).name != "plug_in":
        return entropy_of(tables, "xy", entropy) - entropy_of(tables, given, entropy)
    row, col, _ = tables.cell_margins
    out = np.empty(len(tables))
    numerics.equivocations(tables.cells, row if given == "x" else col, tables.offsets, tables.totals, out)
    return out


def pooled(strata: Strata, values: Values) -> Values:
    """Return the mean of the strata's values, weighted by their rows, per group; NaN without rows."""
    totals = strata.batch.totals.astype(np.float64)
    held = totals > 0
    groups = np.ascontiguousarray(strata.groups[held])
    return _group_sum(values[held] * totals[held], groups, strata.n_groups) / _nan_if_zero(
        _group_sum(totals[held], groups, strata.n_groups)
    )


def summed(strata: Strata, values: Values) -> Values:
    """Return the sum of the strata's values per group; NaN for groups without rows."""
    totals = strata.batch.totals.astype(np.float64)
    held = totals > 0
    groups = np.ascontiguousarray(strata.groups[held])
    rows = _group_sum(totals[held], groups, strata.n_groups)
    return np.where(rows > 0, _group_sum(values[held], groups, strata.n_groups), np.nan)


def constant(tables: Tables, side: str) -> NDArray[np.bool_]:
    """Return whether "x" or "y" has one level only, in each table or in all strata of each group."""
    batch = tables.batch if isinstance(tables, Strata) else tables
    single = (batch.n_rows_nonempty if side == "x" else batch.n_cols_nonempty) <= 1
    if isinstance(tables, Strata):
        varied = np.bincount(tables.groups, weights=~single, minlength=tables.n_groups)
        return np.asarray(varied == 0)
    return np.asarray(single)


def empty(tables: Tables) -> NDArray[np.bool_]:
    """Return which tables, or groups of strata, hold no rows."""
    if isinstance(tables, Strata):
        return np.isnan(summed(tables, np.zeros(len(tables.batch))))
    return np.asarray(tables.totals == 0)


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


def _group_sum(terms: Values, groups: NDArray[np.int64], n_groups: int) -> Values:
    high, low = np.zeros(n_groups), np.zeros(n_groups)
    numerics.group_sums(terms, groups, high, low)
    return high + low


def _nan_if_zero(values: Values) -> Values:
    return np.where(values > 0, values, np.nan)


def _plug_in_mutual(batch: TableBatch) -> Values:
    values = dependence(batch, squared=False)
    large = batch.n_cells + batch.n_rows_nonempty + batch.n_cols_nonempty > RESIDUAL_CELLS
    if not large.any():
        return values
    return np.where(large, _difference(batch, "plug_in"), values)


def _difference(batch: TableBatch, entropy: str) -> Values:
    if entropy == "james_stein":
        return mutual(_shrunk(batch))
    x, y, xy = (entropy_of(batch, which, entropy) for which in ("x", "y", "xy"))
    return (x + y) - xy


def _entropy_of(batch: TableBatch, which: str, entropy: str) -> Values:
    if entropy == "james_stein":
        return entropy_of(_shrunk(batch), which)
    values, offsets = _parts(batch)[which]
    if entropy == "plug_in":
        out = np.empty(len(batch))
        numerics.entropies(values, ONCE, offsets, batch.totals, out)
        return out
    if batch.weighted:
        what = f"the entropy estimator {entropy} is defined for counts, not for weights"
        raise UsageError(what, next="entropy='plug_in'")
    estimate = estimators.get(entropy)
    supports = _supports(batch, which) if estimate.support == "table" else [0] * len(batch)
    segments = zip(offsets[:-1].tolist(), offsets[1:].tolist(), supports, strict=True)
    known: dict[Any, float] = {}
    return np.array([_estimate(estimate, values[a:b], K, known) for a, b, K in segments])


def _estimate(
    estimate: estimators.EntropyEstimator, values: NDArray[Any], support: int, known: dict[Any, float]
) -> float:
    counts, times = np.unique(values[values > 0], return_counts=True)
    key = (counts.tobytes(), times.tobytes(), support)
    if key not in known:
        known[key] = estimate(counts, times, support or int(times.sum()))
    return known[key]


def _parts(batch: TableBatch) -> dict[str, tuple[NDArray[Any], NDArray[np.int64]]]:
    return {
        "x": (batch.row_margins, batch.row_offsets),
        "y": (batch.col_margins, batch.col_offsets),
        "xy": (batch.cells, batch.offsets),
    }


def _supports(batch: TableBatch, which: str) -> list[int]:
    """Return the number of levels of the table, empty ones included."""
    rows, cols = np.diff(batch.row_offsets), np.diff(batch.col_offsets)
    sizes: list[int] = {"x": rows, "y": cols, "xy": rows * cols}[which].tolist()
    return sizes


def _shrunk(batch: TableBatch) -> TableBatch:
    """Return the weighted batch of the James-Stein frequencies of each whole joint table."""
    shrunk: TableBatch = batch.cached("shrunk", lambda: _shrink(batch))
    return shrunk


def _shrink(batch: TableBatch) -> TableBatch:
    if batch.weighted:
        raise UsageError("the entropy estimator james_stein is defined for counts, not for weights")
    n_rows, n_cols = np.diff(batch.row_offsets), np.diff(batch.col_offsets)
    dense = [
        _shrunk_cells(batch, t, r, c) if batch.totals[t] else np.zeros(r * c)
        for t, (r, c) in enumerate(zip(n_rows.tolist(), n_cols.tolist(), strict=True))
    ]
    rows = [np.repeat(np.arange(r), c) for r, c in zip(n_rows, n_cols, strict=True)]
    cols = [np.tile(np.arange(c), r) for r, c in zip(n_rows, n_cols, strict=True)]
    offsets = np.concatenate([[0], np.cumsum(n_rows * n_cols)])
    cells, row, col = (np.concatenate(part) for part in (dense, rows, cols))
    return TableBatch.from_cells(cells, row, col, offsets, n_rows, n_cols)


def _shrunk_cells(batch: TableBatch, t: int, n_rows: int, n_cols: int) -> Values:
    part = slice(batch.offsets[t], batch.offsets[t + 1])
    cells = np.zeros(n_rows * n_cols)
    cells[batch.rows[part] * n_cols + batch.cols[part]] = batch.cells[part]
    weight = estimators.shrinkage(cells, np.ones(len(cells)), len(cells))
    return weight / len(cells) + (1 - weight) * cells / float(batch.totals[t])
