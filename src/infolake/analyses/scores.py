"""il.score: one row per pair of columns, with what a reader needs to judge it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from infolake.analyses.inference import Inference, Pairs, Scored, inferred
from infolake.analyses.inference import units as inference_units
from infolake.analyses.sharded import LargePair, large_pair, needs_cells
from infolake.encoding.kept import level_limits
from infolake.errors import UsageError, nearest, printable
from infolake.measures import catalogue, estimators
from infolake.measures.certified import Certificate
from infolake.measures.inference import corrected_p_values
from infolake.summaries.buckets import pair_buckets, strata_buckets
from infolake.summaries.joint_counts import JointCounts
from infolake.tables import Strata, TableBatch, grouped_sum

if TYPE_CHECKING:
    import pandas as pd

    from infolake.reduction.planning import CountPlan

MEASURES = ("mutual_information", "normalized_mutual_information", "adjusted_mutual_information")
MISSING = ("pairwise", "level", "listwise", "error")
THIN = 5
CERTIFIED = ("certified_low", "certified_high")
Array = np.ndarray[Any, Any]


def score(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    target: str | None = None,
    given: str | Sequence[str] | None = None,
    measures: str | Sequence[str] = MEASURES,
    base: float | str = 2,
    missing: str = "pairwise",
    entropy: str = "plug_in",
    filters: Any = None,
    bins: Any = None,
    weights: str | None = None,
    max_levels: int | Mapping[str, int] | None = None,
    rest: str = "bucket",
    support: str | int | None = None,
    p_values: str | None = None,
    intervals: str | None = None,
    level: float = 0.95,
    correction: str | None = None,
    permutations: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Score every pair of columns, or every column against a target.

    Parameters
    ----------
    data : JointCounts, or anything that ``il.count`` takes
        Joint counts are not counted again. A pair of very many cells (about 4 million) is counted in shards,
        in a scan of its own, so that its table need not fit in memory; not where rows carry weights, nor
        with ``max_levels``. Of a Dask DataFrame only a scan tells which pairs those are.
    columns : list of str, optional
        Columns to score; default all that were counted.
    target : str, optional
        Only the pairs (x, target).
    given : str or list of str, optional
        Score conditionally on these columns (measures that have a conditional form).
    measures : list of str
        Names or short names from ``il.measures()``.
    base : 2, "e" or 10
        Bits, nats or hartleys.
    missing : {"pairwise", "level", "listwise", "error"}
        Leave out rows that miss x or y; missing as a level of its own; decided when counting.
    entropy : str
        Estimator, such as "plug_in" or "miller_madow". Of weighted rows, those count as ``n_effective``;
        estimators that need whole counts refuse them.
    filters, bins, weights, max_levels, rest
        As in ``il.count``.
    support : {"observed", "table"} or int, optional
        For estimators that know the number of possible levels: the observed ones, those of the table
        (empty ones too), or so many of each column. Default: the estimator's own.
    p_values : {"g", "g_williams", "chi_squared", "permutation"}, optional
        Add ``p_value``: how often independent columns (given the conditions) would depend as much.
        Weighted rows count as ``n_effective``. "g" wants expected counts of 10 and more; "g_williams"
        (Williams' correction) of 5; "permutation" holds for all.
    intervals : {"delta", "bootstrap"}, optional
        Add, per measure, the ends of an interval (suffixes ``_low``, ``_high``) and the standard error
        (``_se``). Away from independence, and for many more rows than cells.
    level : float
        How often the intervals hold the truth.
    correction : {"bh", "by", "bonferroni", "holm"}, optional
        Add ``p_corrected``: p-values corrected for the number of pairs.
    permutations, seed : int
        Permutations (or resamples of the bootstrap) of each pair, and their seed. A permutation test
        stops early where p is above 0.1.

    Returns
    -------
    pandas.DataFrame
        ``x``, ``y``, ``n`` (rows used, or their weight), ``n_missing``, ``n_effective`` (weighted only), a
        column per measure, ``bias`` (about how much plug-in MI is too high, (R-1)(C-1)/2N) and ``thin``
        (fewer than 5 rows per cell). Best first by the first measure; ``attrs["units"]`` holds the units.
        Counts made with ``max_levels`` add, per measure, ``_certified_low`` and ``_certified_high``: the
        score over all levels lies between them for certain (:mod:`infolake.measures.certified`); equal to
        the score where no level is in a bucket, NaN for measures that are not functions of entropies.
        All other columns are of the table with its buckets.

    Examples
    --------
    >>> import infolake as il, pandas as pd
    >>> frame = pd.DataFrame({"x": [0, 0, 1, 1] * 9, "y": [0, 0, 1, 1] * 9, "z": [0, 1] * 18})
    >>> il.score(frame)[["x", "y", "n", "mutual_information", "thin"]]
       x  y   n  mutual_information   thin
    0  x  y  36                 1.0  False
    1  x  z  36                 0.0  False
    2  y  z  36                 0.0  False
    """
    asked = Inference(p_values, intervals, level, correction, permutations, seed)
    weighted = weights is not None or (isinstance(data, JointCounts) and data.weighted)
    scoring = Scoring.of(
        asked,
        given=given,
        measures=measures,
        base=base,
        missing=missing,
        entropy=entropy,
        support=support,
        weighted=weighted,
    )
    conditions = scoring.conditions
    level_limits(None, rest, {})
    details = {"filters": filters, "bins": bins, "weights": weights, "max_levels": max_levels}
    frames = []
    for counts, scope in _counted(data, columns, target, conditions, missing, details, whole=scoring.whole):
        known = counts.columns
        pairs = None
        if isinstance(counts, JointCounts):
            pairs = Pairs(counts.columns, pair_numbers(counts, scope, target, conditions), conditions)
        frames.append(scoring.frame(counts, pairs, limited=max_levels is not None))
    return scoring.joined(frames, known)


@dataclass(frozen=True)
class Scoring:
    """What is said of each pair: the arguments of :func:`score` that concern no counting.

    Parameters
    ----------
    measures : list of Measure
    base : 2, "e" or 10
    entropy : EntropyEstimator
    conditions : tuple of str
        The columns that are given.
    missing : {"pairwise", "level"}
        How the tables are read.
    inference : Inference
    """

    measures: list[catalogue.Measure]
    base: float | str
    entropy: estimators.EntropyEstimator
    conditions: tuple[str, ...]
    missing: str
    inference: Inference

    @classmethod
    def of(
        cls,
        inference: Inference,
        *,
        given: str | Sequence[str] | None,
        measures: str | Sequence[str],
        base: float | str,
        missing: str,
        entropy: str,
        support: str | int | None,
        weighted: bool,
    ) -> Scoring:
        """Return what the arguments of :func:`score` mean; UsageError where they make no sense."""
        chosen = table_measures(measures, conditional=given is not None)
        inference.check(chosen)
        catalogue.log_base(base)
        estimate = estimators.get(entropy, support=support)
        if weighted:
            _check_weights(estimate, chosen)
        check_missing(missing)
        policy = missing if missing in ("pairwise", "level") else "pairwise"
        return cls(chosen, base, estimate, _conditions(given), policy, inference)

    @property
    def options(self) -> dict[str, Any]:
        """The options of measures."""
        return {"base": self.base, "entropy": self.entropy}

    @cached_property
    def whole(self) -> bool:
        """Whether every cell of a table is needed, not only how often each count occurs."""
        return self.inference.needs_cells or any(needs_cells(m, self.options) for m in self.measures)

    def frame(
        self, counts: JointCounts | LargePair, pairs: Pairs | None = None, *, limited: bool = False
    ) -> pd.DataFrame:
        """Return a row per pair of some counts, best first; a large pair knows its own pair."""
        if isinstance(counts, LargePair):
            _check_support(self.entropy, counts)
            return _frame(counts.pairs, _large_tables(counts), self.measures, self.options, self.inference)
        assert pairs is not None
        tables = _tables(counts, pairs, self.missing, certified=limited or bool(counts.kept))
        return _frame(pairs, tables, self.measures, self.options, self.inference)

    def joined(self, frames: list[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
        """Return the rows of all frames as one frame would have held them; columns in schema order."""
        if len(frames) == 1:
            return frames[0]
        return _joined(frames, columns, self.measures[0], self.inference)


def _check_weights(estimate: estimators.EntropyEstimator, measures: Sequence[catalogue.Measure]) -> None:
    if any("entropy" in measure.options for measure in measures):
        estimators.check_weights(estimate)


def table_measures(names: str | Sequence[str], *, conditional: bool = False) -> list[catalogue.Measure]:
    """Return measures of whole tables by name; UsageError for others.

    The default measures, asked conditionally, are those of them that have a conditional form.
    """
    names = names_of(names)
    if conditional and tuple(names) == MEASURES:
        names = [n for n in names if catalogue.get(n).conditional]
    found = list({m.name: m for m in map(catalogue.get, names)}.values())
    if not found:
        raise UsageError("no measures to compute", next="see il.measures()")
    for measure in found:
        if measure.per_cell:
            raise UsageError(f"{measure.name} has a value per cell", next="ask il.associations for it")
        if conditional and not measure.conditional:
            advice = "choose measures=[...] that have one, or leave given= out"
            raise UsageError(f"{measure.name} has no conditional form", next=advice)
        if not conditional and measure.needs == "strata":
            raise UsageError(f"{measure.name} needs given=...", next="name the conditioning columns")
    return found


def names_of(names: object) -> list[str]:
    """Return names as a list; UsageError for what holds none."""
    found = list(names) if isinstance(names, Iterable) and not isinstance(names, str) else [names]
    texts = [n for n in found if isinstance(n, str)]
    if len(texts) < len(found):
        raise UsageError("names are text", found=repr(names)[:120], next='such as measures=["mi", "nmi"]')
    return texts


def _conditions(given: str | Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def _counted(  # noqa: PLR0917
    data: Any,
    columns: Sequence[str] | None,
    target: str | None,
    conditions: tuple[str, ...],
    missing: str,
    details: dict[str, Any],
    *,
    whole: bool,
) -> Iterator[tuple[JointCounts | LargePair, Sequence[str] | None]]:
    """Yield counts and the columns to score: once, or in blocks where one scan's counts would not fit.

    Pairs that are counted in shards come first, one by one.
    """
    if isinstance(data, JointCounts):
        refuse_options(data, missing, details)
        yield data, columns
        return
    from infolake.analyses.counts import computed, settled
    from infolake.reduction.planning import Asked, parts, plan_count

    groups: str | list[tuple[str, ...]] = "pairs"
    if conditions:
        data = opened(data, columns, target, conditions, details)
        groups = _conditional_groups(data, columns, target, conditions, details["weights"])
    counting = "pairwise" if missing == "level" else missing
    scope = (None, None) if conditions else (columns, target)
    plan = plan_count(data, Asked(groups, *scope, missing=counting, **details), in_blocks=True)
    if plan.frame is not None and plan.separable:
        yield from _of_frame(plan, columns, target, missing, whole=whole)
        return
    if plan.large.any():
        plan, _ = settled(plan)  # bin edges are found once for all scans
    held = ~plan.large
    for group in np.flatnonzero(plan.large).tolist():
        names = _turned(plan.request.group_names(group), target)
        yield large_pair(plan.of_groups(group), names, level=missing == "level", whole=whole), None
    if held.any() or not len(held):
        for part in parts(plan if held.all() else plan.of_groups(held)):
            yield computed(part), columns if part is plan else None


def _of_frame(
    plan: CountPlan, columns: Sequence[str] | None, target: str | None, missing: str, *, whole: bool
) -> Iterator[tuple[JointCounts | LargePair, Sequence[str] | None]]:
    """Yield what one scan of a Dask frame counts, after the pairs that it finds to be too large."""
    from infolake.analyses.counts import held_or_large

    counts, large = held_or_large(plan)
    for part in large:
        names = _turned(part.request.group_names(0), target)
        yield large_pair(part, names, level=missing == "level", whole=whole), None
    if counts is not None:
        yield counts, None if large else columns


def _check_support(estimate: estimators.EntropyEstimator, found: LargePair) -> None:
    """Raise UsageError where empty levels matter but are not known: those that only meet missing values."""
    if found.n_missing and estimate.support == "table":
        raise UsageError(
            f"the entropy estimator {estimate.name} needs to know the levels that only meet missing values, "
            "which are not counted for a table too large to be held",
            where=", ".join(map(printable, found.names)),
            next='give support="observed", or the number of levels',
        )


def _turned(names: tuple[str, ...], target: str | None) -> tuple[str, ...]:
    """Return a pair with the target last, and then what is given."""
    x, y, *given = names
    return (y, x, *given) if x == target else (x, y, *given)


def _joined(
    frames: list[pd.DataFrame], columns: Sequence[str], first: catalogue.Measure, asked: Inference
) -> pd.DataFrame:
    """Return the scores of all blocks, corrected over all of them and in order."""
    import pandas as pd

    whole = pd.concat(frames, ignore_index=True)
    place = {column: i for i, column in enumerate(columns)}
    schema = np.lexsort((whole["y"].map(place), whole["x"].map(place)))
    whole = whole.iloc[schema].reset_index(drop=True)
    if asked.correction is not None:
        whole["p_corrected"] = corrected_p_values(whole["p_value"].to_numpy(), asked.correction)
    whole = whole.iloc[_order(whole[first.name].to_numpy(), first.best)].reset_index(drop=True)
    whole.attrs = dict(frames[0].attrs)
    return whole


def refuse_options(counts: JointCounts, missing: str, options: dict[str, Any]) -> None:
    """Raise UsageError for options that only counting can honour."""
    given = [name for name, value in options.items() if value is not None]
    if missing in ("listwise", "error") and counts.request.missing != missing:
        given.append("missing")
    if given:
        raise UsageError(
            f"{', '.join(given)} cannot change counts that are already made",
            next="pass them to il.count instead",
        )


def check_missing(missing: str) -> None:
    """Raise UsageError for a policy that does not exist."""
    if missing not in MISSING:
        raise UsageError(f"unknown missing={printable(missing)!r}: {nearest(str(missing), MISSING)}")


def opened(
    data: Any,
    columns: Sequence[str] | None,
    target: str | None,
    conditions: tuple[str, ...],
    options: dict[str, Any],
) -> Any:
    """Return an opened source (a stream is read once), or the Dask frame itself."""
    from infolake.reduction.frames import is_frame
    from infolake.sources import open_source

    if is_frame(data):
        return data
    extra = [c for c in (target, options["weights"]) if c is not None]
    wanted = None if columns is None else list(dict.fromkeys([*columns, *conditions, *extra]))
    return open_source(data, columns=wanted, filters=options["filters"])


def _conditional_groups(
    data: Any,
    columns: Sequence[str] | None,
    target: str | None,
    conditions: tuple[str, ...],
    weights: str | None,
) -> list[tuple[str, ...]]:
    """Return the groups (x, y, *given) of data that is not counted yet."""
    from infolake.reduction.frames import frame_schema, is_frame

    known = list(frame_schema(data)) if is_frame(data) else list(data.columns)
    wanted = {*(known if columns is None else columns), *([target] if target else [])}
    if columns is None or weights not in columns:
        wanted.discard(str(weights))
    names = [c for c in known if c in wanted and c not in conditions]
    return [(*pair, *conditions) for pair in pairs_of(names, target)]


def pairs_of(names: Sequence[str], target: str | None) -> list[tuple[str, str]]:
    """Return the pairs of columns, x before y; or all others with the target, one of them, as y."""
    last = None if target is None else names.index(target)
    return [(names[x], names[y]) for x, y in _all_pairs(len(names), last).tolist()]


def _all_pairs(n: int, target: int | None) -> Array:
    """Return the pairs of n columns, x before y; or all others with the target as y."""
    if target is None:
        return np.stack(np.triu_indices(n, 1), axis=1)
    others = np.delete(np.arange(n), target)
    return np.stack([others, np.full(len(others), target)], axis=1)


def pair_numbers(
    counts: JointCounts, columns: Sequence[str] | None, target: str | None, conditions: tuple[str, ...]
) -> Array:
    """Return the pairs to score as numbers of columns, x before y in schema order, the target last."""
    for name in (*(columns or ()), *([target] if target else []), *conditions):
        counts.request.number(name)
    wanted = set(counts.columns if columns is None else columns) - set(conditions)
    names = [c for c in counts.columns if c in wanted or c == target]
    chosen = np.array([counts.request.number(c) for c in names], np.int64)
    pairs = chosen[_all_pairs(len(names), None if target is None else names.index(target))]
    if columns is None and counts.request.groups.kind != "pairs":
        held = _held(counts, conditions)
        pairs = pairs[[frozenset(pair) in held for pair in pairs.tolist()]]
    if not len(pairs):
        raise UsageError("there is no pair of columns to score", found=f"columns: {printable(names)}")
    return pairs


def _held(counts: JointCounts, conditions: tuple[str, ...]) -> set[frozenset[int]]:
    """Return the pairs that some counted group holds, together with the conditions."""
    needed = {counts.request.number(c) for c in conditions}
    rows = counts.request.groups.index.tolist()
    every = [{c for c in row if c < len(counts.columns)} for row in rows]
    groups = [g for g in every if needed <= g]
    return {frozenset((x, y)) for g in groups for x in g - needed for y in g - needed if x != y}


@dataclass(frozen=True)
class _Tables:
    """Tables to score, and per pair: n, n_missing, n_effective (weighted only), cells, bias in nats.

    The certificate is there where ``max_levels`` was asked for.
    """

    tables: TableBatch | Strata
    n: Array
    n_missing: Array
    n_effective: Array | None
    cells: Array
    bias: Array
    certificate: Certificate | None


def _tables(counts: JointCounts, pairs: Pairs, missing: str, *, certified: bool) -> _Tables:
    if pairs.given:
        return _conditional_tables(counts, pairs, missing, certified=certified)
    found = counts.batch(pairs.numbers, missing)
    rows, cols = (v.astype(np.float64) for v in (found.batch.n_rows_nonempty, found.batch.n_cols_nonempty))
    with np.errstate(invalid="ignore", divide="ignore"):
        bias = np.maximum(rows - 1, 0) * np.maximum(cols - 1, 0) / (2 * found.batch.sizes)
    certificate = (
        Certificate(found.batch, pair_buckets(counts, pairs.sides, found.batch)) if certified else None
    )
    totals = found.batch.totals
    return _Tables(found.batch, totals, found.n_missing, found.n_effective, rows * cols, bias, certificate)


def _large_tables(found: LargePair) -> _Tables:
    n, missing, cells = (np.array([v]) for v in (found.total, found.n_missing, float(found.cells)))
    with np.errstate(invalid="ignore", divide="ignore"):
        bias = np.array([float(found.freedom)]) / (2 * n)
    return _Tables(found.tables, n, missing, None, cells, bias, None)  # type: ignore[arg-type]


def _conditional_tables(counts: JointCounts, pairs: Pairs, missing: str, *, certified: bool) -> _Tables:
    found = counts.strata(pairs.sides, pairs.given, missing)
    batch, group, n = found.batch, found.groups, len(pairs.numbers)
    rows, cols = batch.n_rows_nonempty, batch.n_cols_nonempty
    freedom = np.maximum(rows - 1, 0) * np.maximum(cols - 1, 0)
    totals = grouped_sum(batch.totals, group, n)
    cells = grouped_sum(rows * cols, group, n).astype(float)
    if batch.n_effective is not None:  # a stratum counts by its weight, its rows by their effective number
        freedom = freedom * (batch.totals / batch.n_effective)
    with np.errstate(invalid="ignore", divide="ignore"):
        bias = grouped_sum(freedom, group, n) / (2 * totals.astype(np.float64))
    strata = Strata(batch, group, n)
    certificate = None
    if certified:
        certificate = Certificate(strata, strata_buckets(counts, pairs.sides, pairs.given, missing, found))
    return _Tables(strata, totals, found.n_missing, found.n_effective, cells, bias, certificate)


def _frame(
    pairs: Pairs,
    found: _Tables,
    measures: list[catalogue.Measure],
    options: dict[str, Any],
    asked: Inference,
) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {"n": found.n, "n_missing": found.n_missing}
    with np.errstate(invalid="ignore", divide="ignore"):
        effective = found.n.astype(np.float64)
        if found.n_effective is not None:
            effective = columns["n_effective"] = found.n_effective
        for measure in measures:
            columns[measure.name] = measure.evaluate(found.tables, **options)
            if found.certificate is not None:
                ends = found.certificate.interval(measure, columns[measure.name], options)
                columns |= {f"{measure.name}_{end}": v for end, v in zip(CERTIFIED, ends, strict=True)}
        columns["bias"] = found.bias / catalogue.log_base(options["base"])
        columns["thin"] = ~(effective / found.cells >= THIN)
        scored = Scored(found.tables, pairs, found.n_effective, columns)
        columns |= inferred(asked, scored, measures, options)
    order = _order(columns[measures[0].name], measures[0].best)
    names = pd.Series(list(pairs.columns))
    sides = {side: names.array.take(pairs.numbers[order, k]) for k, side in enumerate("xy")}
    frame = pd.DataFrame(sides | {name: values[order] for name, values in columns.items()}, copy=False)
    unit = catalogue.unit_name(options["base"])
    units = {m.name: unit if m.unit == "information" else "" for m in measures}
    if found.certificate is not None:
        units |= {f"{name}_{end}": u for name, u in list(units.items()) for end in CERTIFIED}
    frame.attrs["units"] = units | {"bias": unit} | inference_units(asked, measures, units)
    return frame


def _order(values: Array, best: str) -> Array:
    """Return positions best first, NaN last, ties as they stand."""
    return np.argsort(-values if best == "high" else values, kind="stable")


def matrix(scores: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return a square frame of one measure, from the rows of ``il.score``.

    Parameters
    ----------
    scores : pandas.DataFrame
        One question's scores.
    measure : str
        A measure among its columns, by name or short name.

    Returns
    -------
    pandas.DataFrame
        Columns in schema order on both sides; NaN on the diagonal and where there is no score. A measure that
        is not symmetric fills (x, y) only.

    Examples
    --------
    >>> import infolake as il, pandas as pd
    >>> frame = pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 0, 1, 1], "c": [0, 1, 0, 1]})
    >>> il.matrix(il.score(frame), "mi").loc["b", "a"]
    np.float64(1.0)
    """
    import pandas as pd

    found = catalogue.get(measure)
    if found.name not in scores:
        raise UsageError(
            f"the scores do not hold {found.name}", next=f"il.score(..., measures=[{measure!r}])"
        )
    if scores.duplicated(["x", "y"]).any():
        raise UsageError(
            "the scores hold several rows for a pair", next="choose the rows of one question first"
        )
    names = list(dict.fromkeys([*scores["x"], *scores["y"]]))
    lead = scores["x"].value_counts().to_dict()
    names.sort(key=lambda c: -lead.get(c, 0))
    square = pd.DataFrame(np.nan, index=names, columns=names)
    place = {c: i for i, c in enumerate(names)}
    rows, cols = (scores[c].map(place).to_numpy() for c in ("x", "y"))
    values = square.to_numpy(copy=True)
    values[rows, cols] = scores[found.name].to_numpy()
    if found.symmetric:
        values[cols, rows] = scores[found.name].to_numpy()
    return pd.DataFrame(values, index=names, columns=names)
