"""Test statistics of independence and the coefficients made of them; none has a unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from infolake.errors import UsageError, printable
from infolake.measures.catalogue import Tables, Values, measure
from infolake.measures.information import empty, mutual, summed
from infolake.measures.plug_in import dependence
from infolake.measures.residuals import absent_products, deviations
from infolake.tables import Strata, TableBatch, grouped_sum

POWERS = {
    "pearson": 1.0,
    "log-likelihood": 0.0,
    "freeman-tukey": -0.5,
    "mod-log-likelihood": -1.0,
    "neyman": -2.0,
    "cressie-read": 2 / 3,
}
CRAMER = "Cramér 1946, Mathematical Methods of Statistics"


@measure(
    "g",
    "log_likelihood_ratio",
    unit="count",
    conditional=True,
    reference="Wilks 1935, Ann. Math. Stat. 6",
    formula="2 * sum of n ln(n/E) = 2 N I",
)
def g_statistic(tables: Tables, *, williams: bool = False) -> Values:
    """Return G = 2 N I, I in nats: the log-likelihood ratio against independence.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns; strata add.
    williams : bool
        Whether to divide by Williams' q = 1 + (N sum of 1/a - 1)(N sum of 1/b - 1) / (6 N (R-1)(C-1)),
        which brings the mean of G to that of chi squared where N is not large (Williams 1976,
        Biometrika 63). Each stratum has its own; weighted rows count as ``n_effective`` in it.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(g_statistic(ContingencyTable([[10, 10, 20], [20, 20, 20]])), 10)
    2.7688587617
    """
    if isinstance(tables, Strata):
        return summed(tables, _williams(tables.batch) if williams else _g(tables.batch))
    return _williams(tables) if williams else _g(tables)


@measure(
    "chi2",
    unit="count",
    conditional=True,
    reference="Pearson 1900, Phil. Mag. 50",
    formula="sum of (n - E)^2 / E",
)
def chi_squared(tables: Tables) -> Values:
    """Return Pearson's statistic: the sum of (n - E)**2 / E, without continuity correction.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns; strata add.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(chi_squared(ContingencyTable([[10, 10, 20], [20, 20, 20]])), 10)
    2.7777777778
    """
    if isinstance(tables, Strata):
        return summed(tables, _chi(tables.batch))
    return _chi(tables)


@measure(
    "dof",
    unit="count",
    best="low",
    conditional=True,
    reference="Fisher 1922, J. R. Stat. Soc. 85",
    formula="(R - 1)(C - 1), R and C non-empty levels",
)
def degrees_of_freedom(tables: Tables) -> Values:
    """Return (R - 1)(C - 1) of the non-empty rows and columns, added over strata.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> degrees_of_freedom(ContingencyTable([[10, 10, 20], [20, 20, 20], [0, 0, 0]]))
    2.0
    """
    if isinstance(tables, Strata):
        return summed(tables, _freedom(tables.batch))
    return np.where(empty(tables), np.nan, _freedom(tables))


@measure(
    "g_p",
    bounds=(0.0, 1.0),
    best="low",
    conditional=True,
    reference="Wilks 1938, Ann. Math. Stat. 9",
    formula="P(chi squared of (R - 1)(C - 1) degrees >= G)",
)
def g_p_value(tables: Tables, *, williams: bool = False) -> Values:
    """Return the p-value of G against the chi-squared distribution; 1 without degrees of freedom.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns; statistics and degrees of freedom of strata add. Weighted rows count as
        ``n_effective``, where it is known.
    williams : bool
        Whether to take Williams' correction of G, see `g_statistic`.

    Notes
    -----
    The law is that of many rows. Where expected counts are small, plain G is too large: of 3 x 3
    independent tables whose smallest expected count is 20, 10 and 5, p is at most 0.05 in 5.1, 5.4 and
    5.9 % (100,000 simulations). With Williams' correction it is in 5.0, 5.0 and 5.2 %, and in 5.6 %
    where all nine are 5. Below that, take permutations; where a level has only a few of very many rows, q
    is far above 1 and the corrected p too high.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(g_p_value(ContingencyTable([[10, 10, 20], [20, 20, 20]])), 10)
    0.2504666801
    """
    return _p_value(tables, _williams if williams else _g)


@measure(
    "chi2_p",
    bounds=(0.0, 1.0),
    best="low",
    conditional=True,
    reference="Pearson 1900, Phil. Mag. 50",
    formula="P(chi squared of (R - 1)(C - 1) degrees >= the statistic)",
)
def chi_squared_p_value(tables: Tables) -> Values:
    """Return the p-value of Pearson's statistic; 1 without degrees of freedom.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns; statistics and degrees of freedom of strata add. Weighted rows count as
        ``n_effective``, where it is known.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(chi_squared_p_value(ContingencyTable([[10, 10, 20], [20, 20, 20]])), 10)
    0.2493522088
    """
    return _p_value(tables, _chi)


@measure("v", bounds=(0.0, 1.0), reference=CRAMER, formula="sqrt(chi squared / (N (min(R, C) - 1)))")
def cramers_v(batch: TableBatch, *, bias_corrected: bool = False) -> Values:
    """Return the square root of phi squared / (min(R, C) - 1), R and C counting non-empty levels.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.
    bias_corrected : bool
        Whether to correct phi squared, R and C for chance (Bergsma 2013, J. Korean Stat. Soc. 42).
        Weighted rows count as ``n_effective``.

    Returns
    -------
    float or ndarray of shape (B,)
        0 to 1; NaN where a column is constant.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> cramers_v(ContingencyTable([[2, 0], [0, 2]]))
    1.0
    """
    return _bergsma(batch) if bias_corrected else _cramer(_phi(batch), *_sides(batch))


@measure(
    "v_corrected",
    "bergsma_v",
    bounds=(0.0, 1.0),
    reference="Bergsma 2013, J. Korean Stat. Soc. 42",
    formula="V of max(0, chi squared / N - dof / (N - 1)), R - (R - 1)^2 / (N - 1) and C likewise",
)
def bias_corrected_cramers_v(batch: TableBatch) -> Values:
    """Return Cramér's V with what chance alone would give taken out: about 0 for unrelated columns.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns. Weighted rows count as ``n_effective``.

    Returns
    -------
    float or ndarray of shape (B,)
        0 to 1; NaN where a column is constant, or where there is hardly more than one row per level.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(bias_corrected_cramers_v(ContingencyTable([[12, 5], [4, 9]])), 6)
    0.355393
    """
    return _bergsma(batch)


def _bergsma(batch: TableBatch) -> Values:
    rows, cols = _sides(batch)
    freedom = _nan_unless(batch.sizes - 1)
    phi = np.maximum(0.0, _phi(batch) - (rows - 1) * (cols - 1) / freedom)
    return _cramer(phi, rows - (rows - 1) ** 2 / freedom, cols - (cols - 1) ** 2 / freedom)


def _cramer(phi: Values, rows: Values, cols: Values) -> Values:
    return np.sqrt(phi / _nan_unless(np.minimum(rows, cols) - 1))


def _sides(batch: TableBatch) -> tuple[Values, Values]:
    return _levels(batch, "x"), _levels(batch, "y")


@measure(
    "t",
    bounds=(0.0, 1.0),
    reference="Tschuprow 1939, Mathematical Theory of Correlation",
    formula="sqrt(chi squared / (N sqrt((R - 1)(C - 1))))",
)
def tschuprows_t(batch: TableBatch) -> Values:
    """Return the square root of phi squared / sqrt((R - 1)(C - 1)); NaN where a column is constant.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> tschuprows_t(ContingencyTable([[2, 0], [0, 2]]))
    1.0
    """
    return np.sqrt(_phi(batch) / _nan_unless(np.sqrt(_freedom(batch))))


@measure(
    bounds=(0.0, 1.0),
    reference="Pearson 1904, Drapers' Company Research Memoirs 1",
    formula="sqrt(chi squared / (N + chi squared))",
)
def contingency_coefficient(batch: TableBatch) -> Values:
    """Return the square root of phi squared / (1 + phi squared).

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(contingency_coefficient(ContingencyTable([[2, 0], [0, 2]])), 6)
    0.707107
    """
    phi = _phi(batch)
    return np.sqrt(phi / (1 + phi))


@measure(
    "phi",
    bounds=(0.0, None),
    reference="Pearson 1904, Drapers' Company Research Memoirs 1",
    formula="sqrt(chi squared / N)",
)
def phi_coefficient(batch: TableBatch) -> Values:
    """Return the square root of chi squared / N; for a 2 x 2 table the absolute correlation.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns; up to 1 for 2 x 2, to sqrt(min(R, C) - 1) else.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> phi_coefficient(ContingencyTable([[2, 0], [0, 2]]))
    1.0
    """
    return np.sqrt(_phi(batch))


@measure(
    "cressie_read",
    unit="count",
    conditional=True,
    reference="Cressie & Read 1984, J. R. Stat. Soc. B 46",
    formula="2 / (lambda (lambda + 1)) * sum of n ((n/E)^lambda - 1)",
)
def power_divergence(tables: Tables, *, lambda_: float | str = 2 / 3) -> Values:
    """Return the Cressie-Read power divergence from independence.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns; strata add.
    lambda_ : float or str
        The power, or scipy's name of one: "pearson" (1), "log-likelihood" (0), "freeman-tukey" (-1/2),
        "mod-log-likelihood" (-1), "neyman" (-2), "cressie-read" (2/3).

    Returns
    -------
    float or ndarray of shape (B,)
        0 and more; infinite for absent cells where ``lambda_`` is -1 or less.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(power_divergence(ContingencyTable([[10, 10, 20], [20, 20, 20]])), 6)
    2.772964
    """
    power = _power(lambda_)
    if isinstance(tables, Strata):
        return summed(tables, _divergence(tables.batch, power))
    return _divergence(tables, power)


def _power(lambda_: float | str) -> float:
    power = POWERS.get(lambda_) if isinstance(lambda_, str) else lambda_
    if power is None or not np.isfinite(power):
        expected = f"a number or {', '.join(POWERS)}"
        raise UsageError("lambda_ is unknown", expected=expected, found=printable(lambda_))
    return float(power)


def _divergence(batch: TableBatch, power: float) -> Values:
    """Return 2 sum of E f(d) over all cells; an absent one has d = -1."""
    if power in {0.0, 1.0}:
        return _g(batch) if power == 0.0 else _chi(batch)
    row, col, total = (part.astype(np.float64) for part in batch.cell_margins)
    share = (row / total) * (col / total)
    terms = share * total * _generator(deviations(batch), batch.cells / total / share, power)
    present = grouped_sum(terms, batch.table_of_cell, len(batch))
    holes = batch.n_cells < batch.n_rows_nonempty * batch.n_cols_nonempty
    unseen = absent_products(batch) * batch.totals / (power + 1) if power > -1 else np.inf
    return np.where(batch.totals > 0, 2 * (present + np.where(holes, unseen, 0.0)), np.nan)


def _generator(d: Values, ratio: Values, power: float) -> Values:
    """Return (r**(power + 1) - r - power d) / (power (power + 1)), r = 1 + d: >= 0, 0 at d = 0."""
    near = np.abs(d) < 0.05
    with np.errstate(divide="ignore", over="ignore"):
        if power == -1:
            far = d - np.log(ratio)
        else:
            far = (ratio * np.expm1(power * np.log(ratio)) - power * d) / (power * (power + 1))
    return np.where(near, _series(np.where(near, d, 0.0), power), far)


def _series(d: Values, power: float) -> Values:
    """Return the generator near 0: the binomial series of r**(power + 1) from d**2 on."""
    term = d * d / 2
    value = term.copy()
    for k in range(2, 16):
        term = term * d * ((power + 1 - k) / (k + 1))
        value += term
    return value


def _g(batch: TableBatch) -> Values:
    return 2 * batch.totals.astype(np.float64) * mutual(batch)


def _chi(batch: TableBatch) -> Values:
    return batch.totals.astype(np.float64) * _phi(batch)


def _phi(batch: TableBatch) -> Values:
    values: Values = batch.cached("phi", lambda: dependence(batch, squared=True))
    return values


def _levels(batch: TableBatch, side: str) -> Values:
    return (batch.n_rows_nonempty if side == "x" else batch.n_cols_nonempty).astype(np.float64)


def _freedom(batch: TableBatch) -> Values:
    return np.maximum(_levels(batch, "x") - 1, 0) * np.maximum(_levels(batch, "y") - 1, 0)


def _nan_unless(positive: NDArray[np.float64]) -> Values:
    return np.where(positive > 0, positive, np.nan)


def _williams(batch: TableBatch) -> Values:
    """Return G over Williams' q; where nothing can vary G is 0, and q is left out."""
    rows = _inverse_shares(batch.row_margins, batch.row_offsets, batch.totals)
    cols = _inverse_shares(batch.col_margins, batch.col_offsets, batch.totals)
    bound = 6 * _nan_unless(batch.sizes) * _nan_unless(_freedom(batch))
    return _g(batch) / (1 + np.nan_to_num((rows - 1) * (cols - 1) / bound))


def _inverse_shares(margins: NDArray[Any], offsets: NDArray[np.int64], totals: NDArray[Any]) -> Values:
    """Return the sum of N / a over the non-empty margins of each table."""
    table = np.repeat(np.arange(len(totals)), np.diff(offsets))
    held = margins > 0
    shares = totals[table[held]] / margins[held]
    return np.asarray(grouped_sum(shares.astype(np.float64), table[held], len(totals)))


def _p_value(tables: Tables, statistic: Callable[[TableBatch], Values]) -> Values:
    """Return the chance of a statistic as large, of weighted tables in effective rows."""
    batch = tables.batch if isinstance(tables, Strata) else tables
    values, freedom = statistic(batch), _freedom(batch)
    if batch.n_effective is not None:
        values = values * (batch.n_effective / np.where(batch.totals > 0, batch.totals, 1))
    if isinstance(tables, Strata):
        values, freedom = summed(tables, values), summed(tables, freedom)
    return chance(np.where(empty(tables), np.nan, values), freedom)


def chance(statistic: Values, freedom: Values) -> Values:
    """Return P(chi squared >= statistic); 1 without degrees of freedom."""
    tail = special.chdtrc(np.where(freedom > 0, freedom, 1.0), statistic)
    return np.where((freedom == 0) & ~np.isnan(statistic), 1.0, tail)
