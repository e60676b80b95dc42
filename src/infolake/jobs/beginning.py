"""A first job file for some data: every column with its type and treatment, ready to run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import yaml

from infolake.errors import TooManyCellsError, UsageError, printable
from infolake.jobs.job import NAME
from infolake.reduction.planning import Asked, CountPlan, plan_count, treatment
from infolake.sources import Source, canonical, open_source, opening
from infolake.sources.files import find_files

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
WORDS = ("true", "false", "null")
TARGETS = ("target", "label", "class", "y", "outcome", "income")
UNIQUE = 0.9
ENOUGH = 100


@dataclass(frozen=True)
class Column:
    """A column and, if it is left out, the reason."""

    name: str
    kind: str
    note: str = ""
    left_out: str = ""

    @property
    def line(self) -> str:
        """The column as a line of the job file."""
        dash = "# - " if self.left_out else "- "
        told = f"{printable(self.kind, 60)}; {self.left_out or self.note}"
        return f"    {dash + quoted(self.name):<28}  # {told}"


def job_text(data: str | Sequence[str], output: Path | None = None) -> str:
    """Return a commented job file for data.

    Parameters
    ----------
    data : str or sequence of str
        Paths, globs or URLs.
    output : Path, optional
        Where the file will stand: paths in it are relative to that folder, else to the current one.

    Raises
    ------
    UsageError
        Fewer than two columns can be counted.
    InfolakeError
        The data cannot be read.
    """
    paths = [data] if isinstance(data, str) else list(data)
    types = _types(paths)
    countable = [name for name, kind in types.items() if canonical.canonical(kind) is not None]
    source = open_source(paths, columns=countable)
    reasons = {name: "nested or of a kind that is not counted" for name in types if name not in countable}
    reasons |= _useless(source, countable)
    plan, reasons = _fitting(paths, countable, reasons)
    columns = [_column(name, kind, plan, reasons) for name, kind in types.items()]
    return "\n".join(_lines(paths, output, source, columns)) + "\n"


def quoted(text: str) -> str:
    r"""Return text as YAML writes it.

    Examples
    --------
    >>> quoted("dest"), quoted("no: \x1b"), quoted("null")
    ('dest', '"no: \\e"', '"null"')
    """
    if PLAIN.fullmatch(text) and text.lower() not in WORDS:
        return text
    return str(yaml.safe_dump(text, default_style='"', width=10**9, allow_unicode=True)).strip()


def _types(paths: Sequence[str]) -> dict[str, pa.DataType]:
    """Return every column of the first file, also those that cannot be counted, and the Hive keys."""
    first = find_files(paths)[0]
    _, footers = opening._footers([first], None)
    own = {field.name: field.type for field in footers[0].schema}
    return own | {name: pa.string() for name, _ in first.constants}


def _useless(source: Source, countable: Sequence[str]) -> dict[str, str]:
    """Return the columns of names that differ in nearly every row of a bounded sample."""
    sample = source.sample(countable)
    found = {}
    for name in countable:
        values = sample.column(name)
        distinct = len(values.unique())
        numeric = pa.types.is_floating(values.type) or pa.types.is_integer(values.type)
        if len(values) >= ENOUGH and distinct > UNIQUE * len(values) and not numeric:
            found[name] = f"left out, a name for each row: {distinct:,} values in {len(values):,} rows"
    return found


def _fitting(
    paths: Sequence[str], countable: Sequence[str], reasons: dict[str, str]
) -> tuple[CountPlan, dict[str, str]]:
    """Plan all pairs; leave out the last columns named as too large until the tables fit."""
    names = [name for name in countable if name not in reasons]
    if len(names) < 2:
        names, reasons = list(countable), {k: v for k, v in reasons.items() if k not in countable}
    while len(names) >= 2:
        try:
            return plan_count(list(paths), Asked(groups=list(combinations(names, 2)))), reasons
        except TooManyCellsError as error:
            where = error.fields["where"]
            # The message names the columns with the most levels, the largest first.
            largest = min(names, key=lambda n: where.find(printable(n)) % (len(where) + 1))
            names.remove(largest)
            reasons = {**reasons, largest: "left out, too many values to pair with all other columns"}
    raise UsageError(
        "fewer than two columns can be counted", found=", ".join(map(printable, countable)) or "none"
    )


def _column(name: str, kind: pa.DataType, plan: CountPlan, reasons: Mapping[str, str]) -> Column:
    if name in reasons:
        return Column(name, str(kind), left_out=reasons[name])
    counted = plan.request.types[plan.request.columns.index(name)]
    return Column(name, str(counted), note=treatment(plan, name))


def _lines(
    paths: Sequence[str], output: Path | None, source: Source, columns: Sequence[Column]
) -> Iterator[str]:
    rows = "" if source.n_rows is None else f"{source.n_rows:,} rows in "
    shown = [quoted(_relative(p, output)) for p in paths]
    kept = [c for c in columns if not c.left_out]
    yield f"# {rows}{len(source.inputs):,} file(s). Run it: infolake run THIS-FILE"
    yield f"name: {_name(paths[0])}"
    yield ""
    yield "source:"
    yield f"  path: {shown[0] if len(shown) == 1 else '[' + ', '.join(shown) + ']'}"
    yield "  columns:"
    yield from (c.line for c in columns)
    yield '  # filters: [[column, ">", 0]]      # rows that count; Hive keys skip whole files'
    yield ""
    yield "# bins: 16                             # for columns of numbers: one rule, or one for each column:"
    yield "# bins: {a: 16, b: exact, c: [0, 10, 100], d: {method: uniform, bins: 8}}"
    yield "# max_levels: {a: 1000}                # keep the most frequent levels, the rest in one bucket"
    yield "base: 2                                # bits; e: nats; 10: hartleys"
    yield "missing: pairwise                      # or level, listwise, error"
    yield ""
    yield "scores:"
    yield "  - name: pairs                        # every pair of the columns above"
    yield "    measures: [mi, nmi, ami]"
    yield from _target(kept)
    x, y = (quoted(c.name) for c in kept[:2])
    yield ""
    yield "# associations:                        # which values occur together"
    yield f"#   - {{name: values, x: {x}, y: {y}, measures: [pmi, npmi], min_count: 10, top: 50}}"
    yield ""
    yield "report:"
    yield f"  title: {quoted(_name(paths[0]))}"


def _target(columns: Sequence[Column]) -> Iterator[str]:
    likely = [c for c in columns if c.name.lower() in TARGETS] + [c for c in columns if c.kind == "bool"]
    if likely:
        name = quoted(likely[0].name)
        yield "  # A likely target; leave out the columns that are only known after it:"
        yield f"  # - {{name: target, target: {name}, measures: [mi, ami]}}"


def _relative(path: str, output: Path | None) -> str:
    if "://" in path or Path(path).is_absolute():
        return path
    return os.path.relpath(path, output.parent) if output is not None else path


def _name(path: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(path.rstrip("/")).name.split(".")[0]).strip("-._")
    return stem[:100] if NAME.fullmatch(stem[:100]) else "job"
