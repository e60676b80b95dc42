"""The exception tree; every error says what, where, expected, found, effect, next, and knows its exit code.

::

    InfolakeError                       1
    ├── UsageError (ValueError)         2    a bad argument or command line
    │   ├── UnknownColumnError (KeyError)
    │   └── UnknownMeasureError (KeyError)
    ├── DataError (ValueError)          65   the input is damaged, drifts, changed or does not fit
    │   ├── CorruptFileError
    │   ├── SchemaError (TypeError)
    │   ├── ChangedInputError
    │   ├── DuplicateInputError
    │   ├── MissingValueError
    │   ├── WeightError
    │   ├── BinRangeError
    │   ├── CountOverflowError (OverflowError)
    │   └── TooManyCellsError (MemoryError)
    ├── NoInputError (FileNotFoundError)        66
    ├── ClusterError (ConnectionError)          69   no scheduler, no workers, a lost cluster
    ├── LedgerError (RuntimeError)              70   rows do not add up: nothing is published
    ├── MemoryLimitError (MemoryError)          71
    ├── OutputError (OSError)                   73   an output cannot be created
    ├── StorageError (OSError)                  74   the disk is full or fails
    ├── LostClusterError (ConnectionError)      75   the scheduler went away: run again
    ├── AccessError (PermissionError)           77
    └── ConfigError (ValueError)                78   a job file, a missing extra, an unsafe setting
        ├── JobError
        └── MissingExtraError (ImportError)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_VALUE = 120
FIELDS = ("where", "expected", "found", "effect", "next")


def printable(value: object, limit: int = MAX_VALUE) -> str:
    r"""Return ``str(value)`` with control characters escaped, cut to ``limit`` characters.

    Examples
    --------
    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    text = "".join(_escaped(c) for c in str(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii", "backslashreplace")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the known name closest to ``name``, or the known names."""
    names = [str(k) for k in known]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {printable(close[0])!r}?"
    shown = ", ".join(printable(n) for n in names[:20])
    return f"known: {shown}{', …' if len(names) > 20 else ''}"


def listed(items: Iterable[str], limit: int = 20) -> str:
    """Return the first ``limit`` sorted items and the number of the others."""
    every = sorted(items)
    text = ", ".join(printable(i, 400) for i in every[:limit])
    return text if len(every) <= limit else f"{text} and {len(every) - limit} more"


class InfolakeError(Exception):
    """Base of all errors infolake raises on purpose.

    Parameters
    ----------
    what : str
        One line: what is wrong.
    where, expected, found, effect, next : str, optional
        The file, row group, column or setting; what was expected and found there; what happened
        to outputs; what to do now.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        expected: str = "",
        found: str = "",
        effect: str = "",
        next: str = "",  # noqa: A002
    ) -> None:
        super().__init__(what)
        self.what = what
        self.fields = {"where": where, "expected": expected, "found": found, "effect": effect, "next": next}

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  {name + ':':<10}{self.fields[name]}" for name in FIELDS if self.fields[name]]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.fields)


def _rebuild(kind: type[InfolakeError], what: str, fields: dict[str, str]) -> InfolakeError:
    return kind(what, **fields)


class UsageError(InfolakeError, ValueError):
    """A bad argument or command line."""

    exit_code = 2


class UnknownColumnError(UsageError, KeyError):
    """A column that the data does not have."""


class UnknownMeasureError(UsageError, KeyError):
    """A measure or estimator that the catalogue does not have."""


class DataError(InfolakeError, ValueError):
    """The input is damaged, drifts, changed, or does not fit."""

    exit_code = 65


class CorruptFileError(DataError):
    """A file that cannot be read as what it claims to be."""


class SchemaError(DataError, TypeError):
    """Files, or values of one column, that disagree about a type."""


class ChangedInputError(DataError):
    """An input that changed between planning and reading."""


class DuplicateInputError(DataError):
    """An input that is listed twice."""


class MissingValueError(DataError):
    """A missing value where the job asked for none."""


class WeightError(DataError):
    """A negative, missing or infinite weight."""


class BinRangeError(DataError):
    """A value outside the given bin edges."""


class CountOverflowError(DataError, OverflowError):
    """A count that would pass 2**63 - 1."""


class TooManyCellsError(DataError, MemoryError):
    """A contingency table beyond the limit."""


class NoInputError(InfolakeError, FileNotFoundError):
    """Nothing matches the given path."""

    exit_code = 66


class ClusterError(InfolakeError, ConnectionError):
    """No scheduler, no workers, or workers that keep dying."""

    exit_code = 69


class LedgerError(InfolakeError, RuntimeError):
    """Rows that do not add up; nothing is published."""

    exit_code = 70


class MemoryLimitError(InfolakeError, MemoryError):
    """A need for more memory than there is."""

    exit_code = 71


class OutputError(InfolakeError, OSError):
    """An output that cannot be created."""

    exit_code = 73


class StorageError(InfolakeError, OSError):
    """A disk that is full or fails."""

    exit_code = 74


class LostClusterError(InfolakeError, ConnectionError):
    """The scheduler went away; running the job again is safe."""

    exit_code = 75


class AccessError(InfolakeError, PermissionError):
    """A file or store that may not be read."""

    exit_code = 77


class ConfigError(InfolakeError, ValueError):
    """A setting that cannot be honoured."""

    exit_code = 78


class JobError(ConfigError):
    """A job file that is wrong."""


class MissingExtraError(ConfigError, ImportError):
    """An optional dependency that is not installed."""

    def __init__(self, what: str = "", *, package: str = "", extra: str = "", **fields: str) -> None:
        text = what or f"{package} is not installed: pip install 'infolake[{extra}]'"
        super().__init__(text, **fields)
