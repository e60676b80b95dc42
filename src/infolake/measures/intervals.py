"""Standard errors and confidence intervals of measures, from the table alone.

n is a cell, a and b its margins, N the total, p = n / N. A weighted table counts as Kish's effective
number of rows, (sum of weights)**2 / (sum of squared weights), where it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from infolake.errors import UsageError, printable
from infolake.measures import catalogue, sampling
from infolake.measures.catalogue import Measure, Tables, Values, checked, log_base
from infolake.measures.resampling import Part, Resampling, flat, parts, rows, tables_of
from infolake.tables import ContingencyTable, Strata

INTERVALS = ("delta", "bootstrap")
DRAWN_CELLS = 2**22  # cells drawn at a time


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


SHAPING = {"average", "beta", "given", "of"}  # options that change the form; estimators do not
FORMS: dict[str, Form] = {  # measures as functions of H(X), H(Y) and I
    "mutual_information": lambda _x, _y, i: i,
    "conditional_mutual_information": lambda _x, _y, i: i,
    "normalized_mutual_information": lambda x, y, i, average="arithmetic": i / _average(x, y, i, average),
    "adjusted_mutual_information": _adjusted,
    "uncertainty_coefficient": _share,
    "homogeneity": lambda x, _y, i: i / x,
    "information_gain_ratio": lambda x, _y, i: i / x,
    "completeness": lambda _x, y, i: i / y,
    "v_measure": lambda x, y, i, beta=1.0: (1 + beta) * i / (beta * y + x),
    "variation_of_information": lambda x, y, i: x + y - 2 * i,
    "normalized_variation_of_information": lambda x, y, i: (x + y - 2 * i) / (x + y - i),
    "normalized_information_distance": lambda x, y, i: 1 - i / _average(x, y, i, "max"),
    "entropy": lambda x, y, _i, of="x": x if of == "x" else y,
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
    array([0.076732])
    """
    form = form_of(measure)
    own = {k: v for k, v in options.items() if k in measure.options & SHAPING}
    if measure.name == "adjusted_mutual_information":
        own["expected"] = catalogue.get("emi").evaluate(tables, base="e")
    means, products = _moments(tables)
    n = rows(tables) if n_effective is None else np.asarray(n_effective, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = _slopes(form, means, own)
        variance = np.einsum("kt,klt,lt->t", slopes, products, slopes) / n
        errors = np.sqrt(np.maximum(variance, 0.0))
    errors = np.where(np.isfinite(errors), errors, np.nan)
    return errors / log_base(options.get("base", 2)) if measure.unit == "information" else errors


def form_of(measure: Measure) -> Form:
    """Return a measure as a function of H(X), H(Y) and I; UsageError where it is none."""
    form = FORMS.get(measure.name)
    if form is None:
        raise UsageError(
            f"the delta method does not know {measure.name}",
            expected=", ".join(sorted(FORMS)),
            next='intervals="bootstrap" serves every measure',
        )
    return form


def _moments(tables: Tables) -> tuple[Values, Values]:
    """Return per table H(X), H(Y), I (3, B) and the covariances of their pointwise parts (3, 3, B)."""
    batch = flat(tables)

    def compute() -> tuple[Values, Values]:
        groups = tables.groups if isinstance(tables, Strata) else np.arange(len(batch))
        means, products = np.zeros((3, len(tables))), np.zeros((3, 3, len(tables)))
        row, col, total = batch.cell_margins
        group, sizes = groups[batch.table_of_cell], rows(tables)
        sampling.moments(batch.cells, row, col, total, group, sizes, means, products)
        return means, products

    if isinstance(tables, Strata):
        return compute()
    found: tuple[Values, Values] = batch.cached("moments", compute)
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
    size = rows(tables) if n_effective is None else n_effective
    observed = [m.evaluate(tables, **options) for m in measures]
    for number, (part, name) in enumerate(zip(parts(tables), names, strict=True)):
        if not part.rows:
            continue
        drawn = _resampled(part, round(float(size[number])), measures, options, resampling, name)
        for k, replicates in enumerate(drawn):
            known = replicates[~np.isnan(replicates)]
            if len(known) > 1:
                low, high = 2 * observed[k][number] - np.quantile(known, tails, method="weibull")[::-1]
                out[k, :, number] = low, high, known.std(ddof=1)
    return [Interval(*found) for found in out]


def _resampled(  # noqa: PLR0917
    part: Part,
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
        Kish's number of rows of a weighted table; default that of the table, if it knows it.
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
    chosen, tables = catalogue.get(measure, per_cell=False), tables_of(table)
    known = table.n_effective if n_effective is None else n_effective
    size = None if known is None else np.array([float(known)])
    if checked("method", method, INTERVALS) == "delta":
        errors = standard_errors(tables, chosen, options, size)
        found = delta_interval(chosen.evaluate(tables, **options), errors, level)
    else:
        resampling = Resampling(permutations, seed)
        (found,) = bootstrap_intervals(
            tables, [chosen], options, [table.columns], resampling, level=level, n_effective=size
        )
    return Interval(*(float(v[0]) for v in found))
