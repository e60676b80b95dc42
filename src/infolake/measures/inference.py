"""p-values, standard errors and intervals, from the table alone.

n is a cell, a and b its margins, N the total, p = n / N. Tables come one at a time, in batches, or in
strata; of strata, statistics and degrees of freedom add. A weighted table counts as Kish's effective
number of rows, (sum of weights)**2 / (sum of squared weights), where it is given.

Every random number comes from a generator made of a seed and the names of the columns, so that a
result depends neither on the other pairs nor on the order in which they are done.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from infolake.errors import TooManyCellsError, UsageError, printable
from infolake.measures import association, catalogue, sampling
from infolake.measures.catalogue import Measure, Tables, Values, checked, log_base
from infolake.tables import MAX_DENSE_CELLS, ContingencyTable, Strata, TableBatch, grouped_sum

TESTS = ("g", "chi_squared", "permutation")
INTERVALS = ("delta", "bootstrap")
CORRECTIONS = ("bh", "by", "bonferroni", "holm")
MAX_SHUFFLED = 10**10
DRAWN_CELLS = 2**22  # cells drawn at a time
STOP_SHARE = 0.1
NEARLY = 1 - 1e-11  # a null statistic this close to the observed one is equal to it but for rounding


class Interval(NamedTuple):
    """An interval and its standard error, in the unit of the measure.

    Parameters
    ----------
    low, high : float or ndarray
        Ends of the interval; not cut to the range of the measure.
    se : float or ndarray
        Standard error.
    """

    low: Any
    high: Any
    se: Any


@dataclass(frozen=True)
class Resampling:
    """How often and from which seed to draw.

    Parameters
    ----------
    times : int
        Permutations or resamples of each table.
    seed : int
        Not negative.
    """

    times: int = 999
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (("permutations", self.times, 1), ("seed", self.seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise UsageError(f"{name} must be a whole number from {least} on", found=printable(value))

    def generator(self, names: Sequence[str] = ()) -> np.random.Generator:
        """Return the generator of a seed and of the names of some columns.

        Examples
        --------
        >>> first, again = (Resampling(seed=7).generator(("x", "y")).random() for _ in range(2))
        >>> first == again
        True
        """
        digest = hashlib.blake2b(json.dumps(list(names)).encode(), digest_size=16).digest()
        words = np.frombuffer(digest, "<u4").tolist()
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(self.seed), *words])))


# -- tests of independence


def test_p_values(tables: Tables, test: str = "g", n_effective: Values | None = None) -> Values:
    """Return the p-value of each table's G or chi-squared statistic; 1 without degrees of freedom.

    Parameters
    ----------
    tables : TableBatch or Strata
        Degrees of freedom count non-empty rows and columns, per stratum.
    test : {"g", "chi_squared"}
    n_effective : ndarray of float, shape (B,), optional
        Kish's number of rows of weighted tables: the statistic is scaled to it.

    References
    ----------
    Wilks 1935; Pearson 1900.

    Examples
    --------
    >>> batch = ContingencyTable([[10, 10, 20], [20, 20, 20]]).batch()
    >>> test_p_values(batch).round(6), test_p_values(batch, "chi_squared").round(6)
    (array([0.250467]), array([0.249352]))
    """
    name = {"g": "g_statistic", "chi_squared": "chi_squared"}[checked("test", test, ("g", "chi_squared"))]
    if n_effective is None:
        return catalogue.get(f"{'g' if test == 'g' else test}_p_value").evaluate(tables)
    scale = np.asarray(n_effective, dtype=np.float64) / _rows(tables)
    statistic = catalogue.get(name).evaluate(tables) * scale
    freedom = catalogue.get("degrees_of_freedom").evaluate(tables)
    tail = special.chdtrc(np.where(freedom > 0, freedom, 1.0), statistic)
    return np.where(freedom == 0, 1.0, tail)


test_p_values.__test__ = False  # type: ignore[attr-defined]  # no test of pytest's


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
    for number, (strata, name) in enumerate(zip(_parts(tables), names, strict=True)):
        if not strata.rows:
            out[number] = math.nan
            continue
        margins = strata.shuffled_margins
        rng = resampling.generator(name)
        out[number] = _permuted(margins, strata.statistic(statistic), rng, resampling.times, needed, statistic)
    return out


def _refuse_shuffling(tables: Tables) -> None:
    batch = _batch(tables)
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
    if not margins:
        return 1.0
    cells = max(len(a) * len(b) for a, b in margins)
    if cells > MAX_DENSE_CELLS:
        raise TooManyCellsError("the table is too big to be shuffled", found=f"{cells:,} cells", next="p_values='g'")
    laws = [stats.random_table(a, b) for a, b in margins]
    reached = drawn = 0
    while drawn < times:
        size = min(times - drawn, max(1, DRAWN_CELLS // cells), needed if needed < times else times)
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
    return float(permutation_p_values(_tables(table), [table.columns], resampling, stop=stop)[0])


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
    if table.ndim != 2:
        raise UsageError("the exact test needs a table of two columns", found=f"{table.ndim} columns")
    batch = table.batch()
    _refuse_shuffling(batch)
    resampling = Resampling(permutations, seed)
    part = next(_parts(batch))
    if part.rows and [(len(a), len(b)) for a, b in part.shuffled_margins] == [(2, 2)]:
        (a, b), n = part.shuffled_margins[0], _corner(table)
        return float(stats.fisher_exact([[n, a[0] - n], [b[0] - n, a[1] - b[0] + n]]).pvalue)
    return float(_shuffled(batch, [table.columns], resampling, permutations + 1, sampling.improbability)[0])


def _corner(table: ContingencyTable) -> int:
    (rows, cols), counts = table.cells
    first = (rows == rows.min()) & (cols == cols.min())
    return int(counts[first].sum())


def corrected(p_values: Any, method: str = "bh") -> Values:
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
    >>> corrected([0.01, 0.02, 0.5], "bonferroni").round(3).tolist()
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
    if method in ("bh", "by"):
        return np.asarray(stats.false_discovery_control(p, method=method))
    if method == "bonferroni":
        return np.minimum(1.0, p * len(p))
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(1.0, stepped)
    return out


# -- standard errors and intervals


Form = Callable[..., NDArray[Any]]


def _average(x: Any, y: Any, i: Any, average: str) -> Any:
    if average == "joint":
        return x + y - i
    if average == "arithmetic":
        return (x + y) / 2
    if average == "geometric":
        return np.sqrt(x) * np.sqrt(y)
    smaller = np.real(x) <= np.real(y)
    return np.where(smaller == (average == "min"), x, y)


def _adjusted(x: Any, y: Any, i: Any, *, average: str = "arithmetic", expected: Any) -> Any:
    """Hold E[I] fixed: it is of the order 1 / N, and so is what its change adds to the variance."""
    return (i - expected) / (_average(x, y, i, average) - expected)


def _share(x: Any, y: Any, i: Any, *, given: str = "x") -> Any:
    return 2 * i / (x + y) if given == "symmetric" else i / (y if given == "x" else x)


FORMS: dict[str, Form] = {  # measures as functions of H(X), H(Y) and I
    "mutual_information": lambda x, y, i: i,
    "conditional_mutual_information": lambda x, y, i: i,
    "normalized_mutual_information": lambda x, y, i, average="arithmetic": i / _average(x, y, i, average),
    "adjusted_mutual_information": _adjusted,
    "uncertainty_coefficient": _share,
    "homogeneity": lambda x, y, i: i / x,
    "information_gain_ratio": lambda x, y, i: i / x,
    "completeness": lambda x, y, i: i / y,
    "v_measure": lambda x, y, i, beta=1.0: (1 + beta) * i / (beta * y + x),
    "variation_of_information": lambda x, y, i: x + y - 2 * i,
    "normalized_variation_of_information": lambda x, y, i: (x + y - 2 * i) / (x + y - i),
    "normalized_information_distance": lambda x, y, i: 1 - i / _average(x, y, i, "max"),
    "entropy": lambda x, y, i, of="x": x if of == "x" else y,
    "joint_entropy": lambda x, y, i: x + y - i,
    "conditional_entropy": lambda x, y, i, given="x": (y if given == "x" else x) - i,
}


def standard_errors(
    tables: Tables, measure: Measure, options: dict[str, Any], n_effective: Values | None = None
) -> Values:
    """Return the delta-method standard error of a measure made of H(X), H(Y) and I.

    The variance is that of sum_k (dm/dh_k) of the pointwise parts ln N/a, ln N/b, ln nN/(ab) over
    the rows, over N. For MI: sqrt((sum p ln(p / p_x p_y)**2 - I**2) / N). For strata, the parts are
    taken within each.

    Parameters
    ----------
    tables : TableBatch or Strata
    measure : Measure
    options : dict
        Keywords of the measure, ``base`` among them. Estimators of entropy differ by terms of the
        order 1 / N, so that the error is that of the plug-in whatever ``entropy`` says.
    n_effective : ndarray of float, shape (B,), optional
        Kish's number of rows of weighted tables.

    Returns
    -------
    ndarray of float, shape (B,)
        NaN where the measure is not a smooth function of the table (a constant column).

    Raises
    ------
    UsageError
        A measure that is not made of entropies.

    References
    ----------
    Basharin 1959, Theory Probab. Appl. 4; Moddemeijer 1989, Signal Process. 16.

    Examples
    --------
    >>> batch = ContingencyTable([[30, 10], [10, 30]]).batch()
    >>> standard_errors(batch, catalogue.get("mi"), {"base": 2}).round(6)
    array([0.076729])
    """
    form = FORMS.get(measure.name)
    if form is None:
        raise UsageError(
            f"the delta method does not know {measure.name}",
            expected=", ".join(sorted(FORMS)),
            next='intervals="bootstrap" serves every measure',
        )
    own = {k: v for k, v in options.items() if k in measure.options - {"base", "entropy"}}
    if measure.name == "adjusted_mutual_information":
        own["expected"] = catalogue.get("emi").evaluate(tables, base="e")
    means, products = _moments(tables)
    n = _rows(tables) if n_effective is None else np.asarray(n_effective, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = _slopes(form, means, own)
        variance = np.einsum("kt,klt,lt->t", slopes, products, slopes) / n
        errors = np.sqrt(np.maximum(variance, 0.0))
    errors = np.where(np.isfinite(errors), errors, np.nan)
    return errors / log_base(options.get("base", 2)) if measure.unit == "information" else errors


def _moments(tables: Tables) -> tuple[Values, Values]:
    """Return per table H(X), H(Y), I (3, B) and the covariances of their pointwise parts (3, 3, B)."""
    batch = _batch(tables)

    def compute() -> tuple[Values, Values]:
        groups = tables.groups if isinstance(tables, Strata) else np.arange(len(batch))
        means, products = np.zeros((3, len(tables))), np.zeros((3, 3, len(tables)))
        row, col, total = batch.cell_margins
        group, rows = groups[batch.table_of_cell], _rows(tables)
        sampling.moments(batch.cells, row, col, total, group, rows, means, products)
        return means, products

    found: tuple[Values, Values] = compute() if isinstance(tables, Strata) else batch.cached("moments", compute)
    return found


def _slopes(form: Form, means: Values, own: dict[str, Any]) -> Values:
    """Return the derivatives by H(X), H(Y) and I: those of a complex step are exact."""
    step = 1e-100
    parts = []
    for k in range(3):
        moved = means.astype(np.complex128)
        moved[k] += 1j * step
        parts.append(np.broadcast_to(np.imag(form(*moved, **own)) / step, means[k].shape))
    return np.stack(parts)


def delta_interval(values: Values, errors: Values, level: float = 0.95) -> Interval:
    """Return ``values`` plus and minus the normal quantile times the standard errors.

    Examples
    --------
    >>> low, high, _ = delta_interval(np.array([1.0]), np.array([0.1]))
    >>> low.round(3), high.round(3)
    (array([0.804]), array([1.196]))
    """
    width = special.ndtri((1 + checked_level(level)) / 2) * errors
    return Interval(values - width, values + width, errors)


def checked_level(level: float) -> float:
    """Return a level between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise UsageError("the level of an interval lies between 0 and 1", found=printable(level))
    return float(level)


def bootstrap_intervals(
    tables: Tables,
    measures: Sequence[Measure],
    options: dict[str, Any],
    names: Sequence[Sequence[str]],
    resampling: Resampling,
    *,
    level: float = 0.95,
    n_effective: Values | None = None,
) -> list[Interval]:
    """Return the basic bootstrap interval of each measure: multinomial resamples of each table.

    The interval is [2 m - q_high, 2 m - q_low], q the quantiles of the resamples: what the estimate
    is too high (or low) by, resamples are too high by again, so that it cancels.

    Parameters
    ----------
    tables : TableBatch or Strata
    measures : sequence of Measure
        Any measures; a resample serves all of them.
    options : dict
        Keywords of the measures.
    names : sequence of sequences of str, length B
        What seeds each table.
    resampling : Resampling
    level : float
    n_effective : ndarray of float, shape (B,), optional
        Weighted tables are resampled at this number of rows.

    Returns
    -------
    list of Interval
        One per measure, arrays of shape (B,); NaN for tables without rows.

    References
    ----------
    Davison & Hinkley 1997, Bootstrap Methods and their Application, ch. 5.

    Examples
    --------
    >>> batch = ContingencyTable([[30, 10], [10, 30]]).batch()
    >>> found = bootstrap_intervals(batch, [catalogue.get("mi")], {}, [("x", "y")], Resampling(199))
    >>> bool(found[0].low[0] < 0.188 < found[0].high[0])
    True
    """
    tails = [(1 - checked_level(level)) / 2, (1 + level) / 2]
    out = np.full((len(measures), 3, len(tables)), np.nan)
    size = _rows(tables) if n_effective is None else n_effective
    observed = [m.evaluate(tables, **options) for m in measures]
    for number, (part, name) in enumerate(zip(_parts(tables), names, strict=True)):
        if not part.rows:
            continue
        drawn = _resampled(part, round(float(size[number])), measures, options, resampling, name)
        for k, replicates in enumerate(drawn):
            known = replicates[~np.isnan(replicates)]
            if len(known) > 1:
                low, high = 2 * observed[k][number] - np.quantile(known, tails)[::-1]
                out[k, :, number] = low, high, known.std(ddof=1)
    return [Interval(*found) for found in out]


def _resampled(  # noqa: PLR0917
    part: _Part,
    rows: int,
    measures: Sequence[Measure],
    options: dict[str, Any],
    resampling: Resampling,
    name: Sequence[str],
) -> list[Values]:
    rng = resampling.generator(("bootstrap", *name))
    shares = part.cells / part.cells.sum(dtype=np.float64)
    step = max(1, DRAWN_CELLS // len(shares))
    found: list[list[Values]] = [[] for _ in measures]
    for start in range(0, resampling.times, step):
        draws = rng.multinomial(rows, shares, size=min(step, resampling.times - start))
        tables = part.replicas(draws)
        for values, measure in zip(found, measures, strict=True):
            values.append(measure.evaluate(tables, **options))
    return [np.concatenate(values) for values in found]


def confidence_interval(
    table: ContingencyTable,
    measure: str = "mutual_information",
    *,
    method: str = "delta",
    level: float = 0.95,
    permutations: int = 999,
    seed: int = 0,
    n_effective: float | None = None,
    **options: Any,
) -> Interval:
    """Return a confidence interval of a measure of one table, and its standard error.

    Parameters
    ----------
    table : ContingencyTable
        Two columns; or more, for a measure with a conditional form.
    measure : str
        Name or short name of a measure of whole tables.
    method : {"delta", "bootstrap"}
        See :func:`standard_errors` and :func:`bootstrap_intervals`. Both hold away from independence
        and for many more rows than cells.
    level : float
        0.95 covers the truth 19 times in 20.
    permutations, seed : int
        Resamples and seed of the bootstrap.
    n_effective : float, optional
        Kish's number of rows of a weighted table.
    **options
        Keywords of the measure: ``base``, ``average``, ``entropy``, ...

    Returns
    -------
    Interval
        ``low``, ``high`` and ``se``, in the unit of the measure.

    Examples
    --------
    >>> low, high, se = confidence_interval(ContingencyTable([[300, 100], [100, 300]]), "mi")
    >>> round(low, 4), round(high, 4), round(se, 4)
    (0.1412, 0.2363, 0.0243)
    """
    chosen, tables = catalogue.get(measure, per_cell=False), _tables(table)
    size = None if n_effective is None else np.array([float(n_effective)])
    if checked("method", method, INTERVALS) == "delta":
        errors = standard_errors(tables, chosen, options, size)
        found = delta_interval(chosen.evaluate(tables, **options), errors, level)
    else:
        resampling = Resampling(permutations, seed)
        (found,) = bootstrap_intervals(
            tables, [chosen], options, [table.columns], resampling, level=level, n_effective=size
        )
    return Interval(*(float(v[0]) for v in found))


# -- one table, or the strata of one pair


@dataclass(frozen=True, eq=False)
class _Part:
    """The tables of one pair: cells with their stratum, row and column, and the strata's sizes."""

    cells: NDArray[Any]
    stratum: NDArray[np.int64]
    rows_of: NDArray[np.int64]
    cols_of: NDArray[np.int64]
    n_rows: NDArray[np.int64]
    n_cols: NDArray[np.int64]
    stratified: bool

    @property
    def rows(self) -> bool:
        """Whether there are any rows."""
        return len(self.cells) > 0

    def statistic(self, statistic: Any) -> float:
        """Return a statistic of the tables themselves, summed as it is summed of drawn ones."""
        out = np.zeros(1)
        for a, b, cells in self._dense():
            statistic(cells[None], a, b, out)
        return float(out[0])

    @property
    def shuffled_margins(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return the non-empty margins of the strata in which something can change."""
        return [(a, b) for a, b, _ in self._dense()]

    def _dense(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        bounds = np.searchsorted(self.stratum, np.arange(len(self.n_rows) + 1))
        for start, end in zip(bounds[:-1], bounds[1:], strict=True):
            rows, r = np.unique(self.rows_of[start:end], return_inverse=True)
            cols, c = np.unique(self.cols_of[start:end], return_inverse=True)
            if len(rows) < 2 or len(cols) < 2:
                continue
            if len(rows) * len(cols) > MAX_DENSE_CELLS:
                raise TooManyCellsError(
                    "the table is too big to be shuffled",
                    expected=f"at most {MAX_DENSE_CELLS:,} cells",
                    found=f"{len(rows):,} x {len(cols):,}",
                    next="take the G test: p_values='g'",
                )
            cells = np.zeros((len(rows), len(cols)), np.int64)
            cells[r, c] = self.cells[start:end]
            yield cells.sum(axis=1), cells.sum(axis=0), cells

    def replicas(self, draws: NDArray[np.int64]) -> Tables:
        """Return tables of the same levels whose cells are the rows of ``draws``."""
        times, strata = len(draws), len(self.n_rows)
        starts = np.searchsorted(self.stratum, np.arange(strata))
        first = (np.arange(times) * len(self.cells))[:, None] + starts
        batch = TableBatch.from_cells(
            draws.ravel(),
            np.tile(self.rows_of, times),
            np.tile(self.cols_of, times),
            np.append(first.ravel(), draws.size),
            np.tile(self.n_rows, times),
            np.tile(self.n_cols, times),
        )
        return Strata(batch, np.repeat(np.arange(times), strata), times) if self.stratified else batch


def _parts(tables: Tables) -> Iterator[_Part]:
    """Yield the table, or the strata, of each pair."""
    batch = _batch(tables)
    groups = tables.groups if isinstance(tables, Strata) else np.arange(len(batch))
    order = np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[order], np.arange(len(tables) + 1))
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield _part(batch, order[start:end], isinstance(tables, Strata))


def _part(batch: TableBatch, members: NDArray[np.int64], stratified: bool) -> _Part:
    slices = [slice(batch.offsets[t], batch.offsets[t + 1]) for t in members]

    def taken(values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values[:0], *(values[s] for s in slices)])

    return _Part(
        taken(batch.cells),
        np.repeat(np.arange(len(members)), batch.offsets[members + 1] - batch.offsets[members]),
        taken(batch.rows),
        taken(batch.cols),
        batch.row_offsets[members + 1] - batch.row_offsets[members],
        batch.col_offsets[members + 1] - batch.col_offsets[members],
        stratified,
    )


def _batch(tables: Tables) -> TableBatch:
    return tables.batch if isinstance(tables, Strata) else tables


def _rows(tables: Tables) -> Values:
    """Return the rows (or weight) of each table or group of strata; NaN for none."""
    batch = _batch(tables)
    totals = batch.totals
    if isinstance(tables, Strata):
        totals = grouped_sum(batch.totals, tables.groups, tables.n_groups)
    return np.where(totals > 0, totals, np.nan).astype(np.float64)


def _tables(table: ContingencyTable) -> Tables:
    if table.ndim == 2:
        return table.batch()
    batch = table.strata()
    return Strata(batch, np.zeros(len(batch), dtype=np.int64), 1)
