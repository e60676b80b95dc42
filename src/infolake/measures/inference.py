"""p-values of independence, from the table alone, and their corrections for many pairs.

Tables come one at a time, in batches, or in strata; of strata, statistics and degrees of freedom add.
A weighted table, or stratum, counts as Kish's effective number of rows, (sum of weights)**2 / (sum of
squared weights), where it knows it or it is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.errors import UsageError
from infolake.measures import catalogue, sampling
from infolake.measures.association import chance
from infolake.measures.catalogue import Tables, Values, checked
from infolake.measures.resampling import Resampling, flat, parts, rows, tables_of
from infolake.tables import ContingencyTable

TESTS = ("g", "g_williams", "chi_squared", "permutation")
ASYMPTOTIC = TESTS[:-1]
CORRECTIONS = ("bh", "by", "bonferroni", "holm")
MAX_SHUFFLED = 10**10
DRAWN_CELLS = 2**22  # cells drawn at a time
STOP_SHARE = 0.1
NEARLY = 1 - 1e-11  # a null statistic this close to the observed one is equal to it but for rounding


def asymptotic_p_values(tables: Tables, test: str = "g", n_effective: Values | None = None) -> Values:
    """Return the p-value of each table's G or chi-squared statistic; 1 without degrees of freedom.

    Parameters
    ----------
    tables : TableBatch or Strata
        Degrees of freedom count non-empty rows and columns, per stratum.
    test : {"g", "g_williams", "chi_squared"}
        "g_williams" is G with Williams' correction, for expected counts of about 5 to 10: see
        `g_p_value`.
    n_effective : ndarray of float, shape (B,), optional
        Kish's number of rows of weighted tables that do not know it: the statistic is scaled to it.

    References
    ----------
    Wilks 1935; Williams 1976; Pearson 1900.

    Examples
    --------
    >>> batch = ContingencyTable([[10, 10, 20], [20, 20, 20]]).batch()
    >>> asymptotic_p_values(batch).round(6), asymptotic_p_values(batch, "chi_squared").round(6)
    (array([0.250467]), array([0.249352]))
    """
    chi = checked("test", test, ASYMPTOTIC) == "chi_squared"
    options = {"williams": test == "g_williams"}
    if n_effective is None:
        return catalogue.get("chi_squared_p_value" if chi else "g_p_value").evaluate(tables, **options)
    scale = np.asarray(n_effective, dtype=np.float64) / rows(tables)
    statistic = catalogue.get("chi_squared" if chi else "g_statistic").evaluate(tables, **options) * scale
    return chance(statistic, catalogue.get("degrees_of_freedom").evaluate(tables))


def permutation_p_values(
    tables: Tables,
    names: Sequence[Sequence[str]],
    resampling: Resampling,
    *,
    stop: bool = True,
) -> Values:
    """Return the permutation p-value of each table's MI (or CMI): rows shuffled within their stratum.

    Shuffling the rows keeps the margins, so that tables with fixed margins are drawn; the time does
    not depend on the number of rows permuted one by one. p = (1 + #{null >= observed}) / (B + 1).

    Parameters
    ----------
    tables : TableBatch or Strata
        Counts, at most 1e10 rows in each table.
    names : sequence of sequences of str, length B
        What seeds each table: the names of its columns.
    resampling : Resampling
        Number of permutations B, and seed.
    stop : bool
        Stop drawing for a pair once a tenth of ``B + 1`` draws reached the observed value: then p is
        that number over the draws made (Besag & Clifford 1991), which is at least 0.1. Both kinds
        are exact: P(p <= t) <= t under independence.

    Raises
    ------
    UsageError
        Weighted tables, or more than 1e10 rows.

    References
    ----------
    Phipson & Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9; Besag & Clifford 1991, Biometrika 78.

    Examples
    --------
    >>> batch = ContingencyTable([[30, 10], [10, 30]]).batch()
    >>> permutation_p_values(batch, [("x", "y")], Resampling(999, seed=0))
    array([0.001])
    """
    needed = math.ceil(STOP_SHARE * (resampling.times + 1)) if stop else resampling.times + 1
    return _shuffled(tables, names, resampling, needed, sampling.residual)


def _shuffled(
    tables: Tables, names: Sequence[Sequence[str]], resampling: Resampling, needed: int, statistic: Any
) -> Values:
    _refuse_shuffling(tables)
    out = np.empty(len(tables))
    for number, (strata, name) in enumerate(zip(parts(tables), names, strict=True)):
        if not strata.rows:
            out[number] = math.nan
            continue
        margins = strata.shuffled_margins
        rng = resampling.generator(name)
        out[number] = _permuted(
            margins, strata.statistic(statistic), rng, resampling.times, needed, statistic
        )
    return out


def _refuse_shuffling(tables: Tables) -> None:
    batch = flat(tables)
    instead = "take the G test: p_values='g'"
    if batch.weighted:
        raise UsageError("the rows of weighted tables cannot be shuffled", next=instead)
    if not batch.sums_match:
        raise UsageError("a permutation test needs margins that are the sums of the cells")
    most = batch.totals.max(initial=0)
    if most > MAX_SHUFFLED:
        raise UsageError(
            "the table has too many rows to be shuffled",
            expected=f"at most {MAX_SHUFFLED:,} rows",
            found=f"{most:,}",
            next=instead,
        )


def _permuted(  # noqa: PLR0917
    margins: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    observed: float,
    rng: np.random.Generator,
    times: int,
    needed: int,
    statistic: Any,
) -> float:
    """Draw until ``times`` tables are drawn or ``needed`` of them reached the observed statistic."""
    from scipy import stats

    if not margins:
        return 1.0
    cells = max(len(a) * len(b) for a, b in margins)
    laws = [stats.random_table(a, b) for a, b in margins]
    reached = drawn = 0
    while drawn < times:
        size = min(times - drawn, max(1, DRAWN_CELLS // cells), needed)
        null = np.zeros(size)
        for law, (a, b) in zip(laws, margins, strict=True):
            statistic(np.ascontiguousarray(law.rvs(size, random_state=rng), dtype=np.int64), a, b, null)
        hits = np.cumsum(null >= observed * NEARLY)
        if reached + hits[-1] >= needed:
            return float(needed / (drawn + 1 + np.searchsorted(hits, needed - reached)))
        reached, drawn = reached + int(hits[-1]), drawn + size
    return (1 + reached) / (times + 1)


def permutation_p_value(
    table: ContingencyTable, *, permutations: int = 999, seed: int = 0, stop: bool = True
) -> float:
    """Return the permutation p-value of a table's MI; of three or more columns, of the conditional MI.

    Parameters
    ----------
    table : ContingencyTable
        Two columns; or more: the first two within the levels of the others.
    permutations : int
        B. The smallest p-value is 1 / (B + 1).
    seed : int
        Equal seeds and column names give equal results.
    stop : bool
        Whether to stop early for p above 0.1; see :func:`permutation_p_values`.

    Examples
    --------
    >>> permutation_p_value(ContingencyTable([[30, 10], [10, 30]]))
    0.001
    """
    resampling = Resampling(permutations, seed)
    return float(permutation_p_values(tables_of(table), [table.columns], resampling, stop=stop)[0])


def exact_p_value(table: ContingencyTable, *, permutations: int = 9999, seed: int = 0) -> float:
    """Return the p-value of Fisher's test: the share of tables that are no more probable than this one.

    Parameters
    ----------
    table : ContingencyTable
        Two columns. 2 x 2 (without empty rows and columns) is computed exactly, others are sampled.
    permutations, seed : int
        Draws and seed, for others than 2 x 2: (1 + #{as improbable}) / (B + 1).

    References
    ----------
    Fisher 1922, J. R. Stat. Soc. 85; Freeman & Halton 1951, Biometrika 38.

    Examples
    --------
    >>> round(exact_p_value(ContingencyTable([[3, 1], [1, 3]])), 6)
    0.485714
    """
    from scipy import stats

    if table.ndim != 2:
        raise UsageError("the exact test needs a table of two columns", found=f"{table.ndim} columns")
    batch = table.batch()
    _refuse_shuffling(batch)
    resampling = Resampling(permutations, seed)
    part = next(parts(batch))
    if part.rows and [(len(a), len(b)) for a, b in part.shuffled_margins] == [(2, 2)]:
        (a, b), n = part.shuffled_margins[0], _corner(table)
        square = np.array([[n, a[0] - n], [b[0] - n, a[1] - b[0] + n]])
        return float(stats.fisher_exact(square).pvalue)
    return float(_shuffled(batch, [table.columns], resampling, permutations + 1, sampling.improbability)[0])


def _corner(table: ContingencyTable) -> int:
    (rows, cols), counts = table.cells
    first = (rows == rows.min()) & (cols == cols.min())
    return int(counts[first].sum())


def corrected_p_values(p_values: Any, method: str = "bh") -> Values:
    """Return p-values corrected for being many; NaN are left out of the number and stay NaN.

    Parameters
    ----------
    p_values : array_like, shape (n,)
    method : {"bh", "by", "bonferroni", "holm"}
        Benjamini-Hochberg and Benjamini-Yekutieli control the false discovery rate (the latter
        under any dependence), Bonferroni and Holm the chance of any false discovery.

    References
    ----------
    Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57; Benjamini & Yekutieli 2001, Ann. Stat. 29;
    Holm 1979, Scand. J. Stat. 6.

    Examples
    --------
    >>> corrected_p_values([0.01, 0.02, 0.5], "bonferroni").round(3).tolist()
    [0.03, 0.06, 1.0]
    """
    checked("correction", method, CORRECTIONS)
    values = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(values)
    out = np.full(values.shape, np.nan)
    if known.any():
        out[known] = _corrected(values[known], method)
    return out


def _corrected(p: Values, method: str) -> Values:
    from scipy import stats

    if method == "bh":
        return np.asarray(stats.false_discovery_control(p, method="bh"))
    if method == "by":
        return np.asarray(stats.false_discovery_control(p, method="by"))
    if method == "bonferroni":
        return np.minimum(1.0, p * len(p))
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(1.0, stepped)
    return out
