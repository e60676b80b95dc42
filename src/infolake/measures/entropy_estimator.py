"""What an entropy estimator is: its options, and the register of all of them; `estimators` has the formulas.

An estimator takes the distinct counts n_i > 0 (float64), how many levels have each (float64) and,
where its formula has one, the support K, and returns nats.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.errors import UnknownMeasureError, UsageError, nearest, printable

Floats = NDArray[np.float64]
Formula = Callable[..., float]  # (n, m), then K, prior and seed where the estimator has them
Support = str | int | tuple[int, int]
Prior = str | float

PRIORS = ("jeffreys", "laplace", "perks", "minimax")


@dataclass(frozen=True)
class EntropyEstimator:
    """An entropy estimator and its properties; what ``entropy=`` takes, beside its name.

    Parameters
    ----------
    name : str
        The name that ``entropy=`` takes.
    aliases : tuple of str
        Other names.
    support : str, int or tuple of int
        The levels that K counts: "none" (the formula has no K), "observed", "table" (empty levels
        too), a number of levels for each column, or one number for each of two columns.
    reference : str
        Where the formula comes from.
    formula : callable
        ``(counts, multiplicities) -> nats``; K, prior and seed follow where there are any.
    prior : str or float, optional
        "jeffreys" (1/2), "laplace" (1), "perks" (1/K), "minimax" (sqrt(N)/K) or a number: what a
        level counts before any row.
    seed : int, optional
        Where rows are drawn.
    real : bool
        Whether the formula takes counts that are not whole, so that it serves weighted tables.
    """

    name: str
    aliases: tuple[str, ...]
    support: Support
    reference: str
    formula: Formula = field(repr=False)
    prior: Prior | None = None
    seed: int | None = None
    real: bool = False

    def __call__(self, counts: Any, multiplicities: Any, support: int) -> float:
        """Return the entropy in nats; NaN where there are no counts.

        Parameters
        ----------
        counts : array_like, shape (n,)
            Distinct positive counts.
        multiplicities : array_like, shape (n,)
            How many levels have each.
        support : int
            The number of levels, empty ones included; not used where `support` is "observed".

        Raises
        ------
        UsageError
            If more levels were observed than there are.
        """
        n, m = np.asarray(counts, dtype=np.float64), np.asarray(multiplicities, dtype=np.float64)
        if not len(n):
            return math.nan
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            return float(self.formula(n, m, *self._more(m, support)))

    def _more(self, m: Floats, support: int) -> list[Any]:
        observed = round(math.fsum(m.tolist()))
        levels = [] if self.support == "none" else [observed if self.support == "observed" else support]
        if levels and levels[0] < observed:
            raise UsageError("the support is less than the levels observed", found=f"{support} < {observed}")
        return [*levels, *(v for v in (self.prior, self.seed) if v is not None)]

    @property
    def key(self) -> str:
        """The estimator with all its options, as `get` takes it."""
        options = {"support": self.support, "prior": self.prior, "seed": self.seed}
        own = _estimators[self.name]
        changed = [f"{k}={_worded(v)}" for k, v in options.items() if v != getattr(own, k)]
        return self.name + ":" * bool(changed) + ",".join(changed)

    def levels(self, sizes: tuple[int, int], observed: tuple[int, int]) -> tuple[int, int]:
        """Return the numbers of levels of the two columns of a table, given all and observed ones.

        A number applies to columns of which the table lists more than one level.
        """
        if isinstance(self.support, str):
            return observed if self.support == "observed" else sizes
        wanted = self.support if isinstance(self.support, tuple) else (self.support, self.support)
        return wanted[0] if sizes[0] > 1 else sizes[0], wanted[1] if sizes[1] > 1 else sizes[1]


_estimators: dict[str, EntropyEstimator] = {}
_aliases: dict[str, str] = {}


def estimator(
    *aliases: str,
    support: str = "none",
    reference: str,
    prior: Prior | None = None,
    seed: int | None = None,
    real: bool = False,
) -> Callable[[Formula], Formula]:
    """Register an entropy estimator under the name of its function, with its own defaults."""

    def register(formula: Formula) -> Formula:
        name = formula.__name__
        _estimators[name] = EntropyEstimator(name, aliases, support, reference, formula, prior, seed, real)
        _aliases.update(dict.fromkeys((name, *aliases), name))
        return formula

    return register


def get(name: str | EntropyEstimator, **options: Any) -> EntropyEstimator:
    """Return the estimator of a name or alias, with options if wanted.

    Parameters
    ----------
    name : str or EntropyEstimator
        A name; or a name, a colon and options with commas: "nsb:support=table", "dirichlet:0.5" (a
        prior), "quadratic_extrapolation:seed=3".
    **options
        ``support``, ``prior`` or ``seed``; ``None`` leaves the estimator's own.

    Raises
    ------
    UnknownMeasureError
        If there is none; the message gives the nearest name.
    UsageError
        An option that the estimator does not have, or a value that it cannot take.

    Examples
    --------
    >>> get("laplace").name
    'dirichlet_laplace'
    >>> get("dirichlet:0.5").prior, get("nsb").support, get("nsb", support=20).support
    (0.5, 'table', 20)
    """
    if not isinstance(name, EntropyEstimator):
        name, spelled = _found(name)
        options = spelled | {k: v for k, v in options.items() if v is not None}
    changes = {k: _checked(name, k, v) for k, v in options.items() if v is not None}
    return dataclasses.replace(name, **changes) if changes else name


def _found(text: str) -> tuple[EntropyEstimator, dict[str, Any]]:
    name, _, rest = text.partition(":") if isinstance(text, str) else (text, "", "")
    try:
        entry = _estimators[_aliases[name]]
    except (KeyError, TypeError):
        what = f"there is no entropy estimator {printable(name)!r}"
        raise UnknownMeasureError(what, next=nearest(name, sorted(_aliases))) from None
    parts = [part.partition("=") for part in rest.split(",") if part]
    return entry, {k.strip() if eq else "prior": _number(v if eq else k) for k, eq, v in parts}


def _number(text: str) -> Support | Prior:
    """Return what an option says: a number, two numbers ("3x4") or a word."""
    text = text.strip()
    if "x" in text and all(part.isdigit() for part in text.split("x")):
        return tuple(int(part) for part in text.split("x"))  # type: ignore[return-value]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _worded(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _checked(entry: EntropyEstimator, option: str, value: Any) -> Any:
    """Return the value of an option of an estimator that has it."""
    absent = {"support": "none", "prior": None, "seed": None}
    if option not in absent or (getattr(entry, option) == absent[option] and not _harmless(option, value)):
        own = [name for name, none in absent.items() if getattr(entry, name) != none]
        what = f"the entropy estimator {entry.name} has no option {printable(option)!r}"
        having = [e.name for e in every() if option in absent and getattr(e, option) != absent[option]]
        hint = "estimators that have it: " + ", ".join(having) if having else ""
        raise UsageError(what, expected=" or ".join(own) or "no options", next=hint)
    right = {"support": _is_support, "prior": _is_prior, "seed": _is_whole}[option]
    if not right(value):
        expected = {
            "support": "observed, table, or a number of levels above 0",
            "prior": f"{', '.join(PRIORS)}, or a number above 0",
            "seed": "a whole number from 0 on",
        }[option]
        raise UsageError(f"{option} cannot be this", expected=expected, found=printable(value))
    return getattr(entry, option) if getattr(entry, option) == absent[option] else value


def _harmless(option: str, value: Any) -> bool:
    """Whether a value changes nothing of an estimator that does not have the option."""
    return option == "seed" and _is_whole(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)


def _is_support(value: Any) -> bool:
    if isinstance(value, tuple):
        return len(value) == 2 and all(_is_whole(v) and v > 0 for v in value)
    return value in {"observed", "table"} if isinstance(value, str) else _is_whole(value) and value > 0


def _is_prior(value: Any) -> bool:
    if isinstance(value, str):
        return value in PRIORS
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 < value < math.inf


def check_weights(estimate: EntropyEstimator) -> None:
    """Raise UsageError for an estimator that needs whole counts: weights are none."""
    if not estimate.real:
        raise UsageError(
            f"the entropy estimator {estimate.name} needs numbers of rows, not weights",
            expected="one of " + ", ".join(e.name for e in every() if e.real),
            next="entropy='miller_madow'; where each weight is a number of rows, a table of its own: "
            "il.ContingencyTable(table.array)",
        )


def every() -> tuple[EntropyEstimator, ...]:
    """Return all estimators, by name."""
    return tuple(_estimators[name] for name in sorted(_estimators))


@cache
def names() -> tuple[str, ...]:
    """Return every name and alias that ``entropy=`` takes."""
    return tuple(sorted(_aliases))
