"""What il.score adds on request: p-values, corrected p-values, standard errors and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from infolake.errors import UsageError, nearest, printable
from infolake.measures import inference, intervals
from infolake.measures.catalogue import Measure
from infolake.measures.intervals import Interval
from infolake.measures.resampling import Resampling
from infolake.tables import Strata, TableBatch

Array = np.ndarray[Any, Any]
SUFFIXES = ("low", "high", "se")
CHOICES = {
    "p_values": inference.TESTS,
    "intervals": intervals.INTERVALS,
    "correction": inference.CORRECTIONS,
}


@dataclass(frozen=True)
class Inference:
    """Which p-values and intervals are asked for.

    Parameters
    ----------
    p_values : {"g", "g_williams", "chi_squared", "permutation"}, optional
    intervals : {"delta", "bootstrap"}, optional
    level : float
        Between 0 and 1.
    correction : {"bh", "by", "bonferroni", "holm"}, optional
    permutations : int
        Permutations, and resamples of the bootstrap.
    seed : int

    Raises
    ------
    UsageError
        Anything else, or a correction without p-values.
    """

    p_values: str | None = None
    intervals: str | None = None
    level: float = 0.95
    correction: str | None = None
    permutations: int = 999
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            _check(name, getattr(self, name), allowed)
        intervals.checked_level(self.level)
        Resampling(self.permutations, self.seed)
        if self.correction is not None and self.p_values is None:
            raise UsageError("a correction needs p-values", next='p_values="g" or "permutation"')

    @property
    def needs_cells(self) -> bool:
        """Whether every cell of a table is needed, not only how often each count occurs."""
        return self.intervals is not None or self.p_values not in (None, "g")

    def check(self, measures: Sequence[Measure]) -> None:
        """Raise UsageError for a measure that has no interval of the kind asked for."""
        if self.intervals == "delta":
            for measure in measures:
                intervals.form_of(measure)


def _check(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise UsageError(
            f"unknown {name}={printable(value)!r}",
            expected=f"{', '.join(allowed)}, or nothing",
            next=nearest(str(value), allowed),
        )


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of columns, as numbers of columns (n, 2), and the columns that are given."""

    columns: Sequence[str]
    numbers: Array
    given: tuple[str, ...] = ()

    @cached_property
    def names(self) -> list[tuple[str, ...]]:
        """The names of each pair, then of what is given."""
        return [(self.columns[x], self.columns[y], *self.given) for x, y in self.numbers.tolist()]

    @property
    def sides(self) -> list[tuple[str, str]]:
        """The names of each pair alone."""
        return [(self.columns[x], self.columns[y]) for x, y in self.numbers.tolist()]


@dataclass(frozen=True, eq=False)
class Scored:
    """Tables with the pairs that seed them, their effective numbers of rows, and their scores."""

    tables: TableBatch | Strata
    pairs: Pairs
    n_effective: Array | None
    values: dict[str, Array]


def inferred(
    asked: Inference, scored: Scored, measures: Sequence[Measure], options: dict[str, Any]
) -> dict[str, Array]:
    """Return the columns p_value, p_corrected and, per measure, its low end, high end and error."""
    columns: dict[str, Array] = {}
    if asked.p_values is not None:
        columns["p_value"] = _p_values(asked, scored)
        if asked.correction is not None:
            columns["p_corrected"] = inference.corrected_p_values(columns["p_value"], asked.correction)
    if asked.intervals is not None:
        for measure, found in zip(measures, _intervals(asked, scored, measures, options), strict=True):
            columns |= {f"{measure.name}_{end}": v for end, v in zip(SUFFIXES, found, strict=True)}
    return columns


def _p_values(asked: Inference, scored: Scored) -> Array:
    if asked.p_values != "permutation":
        return inference.asymptotic_p_values(scored.tables, str(asked.p_values))
    if scored.n_effective is not None:
        raise UsageError("rows that carry weights cannot be shuffled", next='p_values="g"')
    return inference.permutation_p_values(scored.tables, scored.pairs.names, _resampling(asked))


def _resampling(asked: Inference) -> Resampling:
    return Resampling(asked.permutations, asked.seed)


def _intervals(
    asked: Inference, scored: Scored, measures: Sequence[Measure], options: dict[str, Any]
) -> list[Interval]:
    tables, n = scored.tables, scored.n_effective
    if asked.intervals == "bootstrap":
        draws = _resampling(asked)
        return intervals.bootstrap_intervals(
            tables, measures, options, scored.pairs.names, draws, level=asked.level, n_effective=n
        )
    errors = [intervals.standard_errors(tables, m, options, n) for m in measures]
    return [
        intervals.delta_interval(scored.values[m.name], error, asked.level)
        for m, error in zip(measures, errors, strict=True)
    ]


def units(asked: Inference, measures: Sequence[Measure], own: dict[str, str]) -> dict[str, str]:
    """Return the units of the added columns: an interval has that of its measure."""
    if asked.intervals is None:
        return {}
    return {f"{m.name}_{end}": own[m.name] for m in measures for end in SUFFIXES}
