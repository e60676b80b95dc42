"""A job as a value: what is read, counted and asked; and the YAML it is written in.

Every wrong thing in a file is reported at once, with its line and column.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from infolake.errors import JobError, UnknownMeasureError, UsageError, nearest, printable
from infolake.jobs.document import Document, Place, parse, read, shown_place

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", re.ASCII)
OPERATORS = ("=", "==", "!=", "<", "<=", ">", ">=", "in", "not in")
POLICIES = ("pairwise", "level", "listwise", "error")
COUNT_POLICIES = ("listwise", "error")
SCORE_MEASURES = ("mutual_information", "normalized_mutual_information", "adjusted_mutual_information")
CELL_MEASURES = ("pointwise_mutual_information", "normalized_pointwise_mutual_information")

Scalar: TypeAlias = str | int | float | bool
Filter: TypeAlias = tuple[str, str, Scalar | tuple[Scalar, ...]]
Bins: TypeAlias = int | str | Mapping[str, Any] | None


def _wrong(what: str, *, expected: str = "", found: str = "", next: str = "", at: Place = ()) -> Exception:  # noqa: A002
    context = {"what": what, "expected": expected, "found": found, "next": next, "at": list(at)}
    return PydanticCustomError("job", "{what}", context)


def _name(value: object) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    expected = "1 to 100 of A-Z a-z 0-9 _ . - and a letter or digit first (it names files)"
    raise _wrong("the name is not safe", expected=expected, found=described(value))


def _measure(value: object, *, per_cell: bool) -> str:
    from infolake.measures import catalogue

    if not isinstance(value, str):
        raise _wrong("not a measure", expected="the name of a measure", found=described(value))
    try:
        measure = catalogue.get(value)
    except UnknownMeasureError:
        known = [m for m in measure_names() if catalogue.get(m).per_cell == per_cell]
        raise _wrong(f"unknown measure {printable(value)!r}", next=nearest(value, known)) from None
    if measure.per_cell != per_cell:
        kind, place = ("one value per cell", "associations") if measure.per_cell else ("one value", "scores")
        raise _wrong(f"{value!r} gives {kind} of a table", next=f"ask for it under {place}")
    return value


def measure_names() -> list[str]:
    """Return every name and alias of a measure."""
    from infolake.measures import catalogue

    return [name for m in catalogue.every() for name in (m.name, *m.aliases)]


def _estimator(value: object) -> str:
    from infolake.measures import estimators

    if not isinstance(value, str):
        raise _wrong("not an estimator", expected="the name of an estimator", found=described(value))
    try:
        estimators.get(value)
    except UsageError:
        hint = nearest(value, estimator_names())
        raise _wrong(f"unknown entropy estimator {printable(value)!r}", next=hint) from None
    return value


def _support(value: object) -> str | int:
    if value in ("observed", "table") or _is_count(value):
        return value  # type: ignore[return-value]
    expected = "observed, table, or a number of levels"
    raise _wrong("not a support", expected=expected, found=described(value))


def estimator_names() -> list[str]:
    """Return the names of the entropy estimators."""
    from infolake.measures import estimators

    return [name for e in estimators.every() for name in (e.name, *e.aliases)]


def _base(value: object) -> int | float | str:
    from infolake.measures.catalogue import unit_name

    try:
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            unit_name(value)
            return value
    except ValueError:
        pass
    raise _wrong(
        "not a base", expected="2, e, 10, bits, nats, hartleys or a number above 1", found=described(value)
    )


def _policy(value: object) -> str:
    if isinstance(value, str) and value in POLICIES:
        return value
    hint = nearest(value, POLICIES) if isinstance(value, str) else ""
    raise _wrong(f"unknown missing policy {described(value)}", expected=", ".join(POLICIES), next=hint)


def _filter(value: object) -> Filter:
    expected = "[column, operator, value], like [year, '>', 2012]"
    if not (isinstance(value, list | tuple) and len(value) == 3 and isinstance(value[0], str)):
        raise _wrong("not a filter", expected=expected, found=described(value))
    column, operator, operand = value
    if operator not in OPERATORS:
        raise _wrong("unknown operator", expected=", ".join(OPERATORS), found=described(operator), at=(1,))
    if operator in ("in", "not in"):
        if not (isinstance(operand, list | tuple) and all(_is_scalar(v) for v in operand)):
            raise _wrong(f"{operator!r} needs a list", expected=expected, found=described(operand), at=(2,))
        return column, operator, tuple(operand)
    if not _is_scalar(operand):
        raise _wrong("a filter compares with one value", expected=expected, found=described(operand), at=(2,))
    return column, operator, operand


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _path(value: object) -> str | tuple[str, ...]:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) and v for v in value):
        return tuple(value)
    raise _wrong("not a path", expected="a path, a URL, a glob or a list of them", found=described(value))


def _columns(value: object) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise _wrong("not a column", expected="the name of a column or a list of names", found=described(value))


def _bins(value: object) -> Bins:
    if isinstance(value, Mapping) and _is_method(value):
        return dict(value)
    if isinstance(value, Mapping):
        return {str(column): _column_bins(rule, (str(column),)) for column, rule in value.items()}
    if value == "exact" or _is_count(value):
        return value  # type: ignore[return-value]
    expected = "a number of bins, exact, {method: quantile | uniform, bins: 16}, or a rule for each column"
    raise _wrong("not a rule for bins", expected=expected, found=described(value))


def _column_bins(value: object, at: Place) -> Any:
    if value == "exact" or _is_count(value):
        return value
    if isinstance(value, list | tuple) and _are_edges(value):
        return tuple(value)
    if isinstance(value, Mapping) and _is_method(value):
        return dict(value)
    expected = "a number of bins, exact, rising edges, or {method: quantile | uniform, bins: 16}"
    raise _wrong("not a rule for bins", expected=expected, found=described(value), at=at)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _are_edges(value: Sequence[object]) -> bool:
    numbers = [v for v in value if isinstance(v, int | float) and not isinstance(v, bool)]
    rising = all(a < b for a, b in pairwise(numbers))
    return len(numbers) == len(value) >= 2 and rising


def _is_method(value: Mapping[str, object]) -> bool:
    known = set(value) <= {"method", "bins"} and value.get("method") in ("quantile", "uniform")
    return bool(value) and known and _is_count(value.get("bins", 16))


def _level_limits(value: object) -> int | dict[str, int]:
    if isinstance(value, Mapping):
        return {str(column): _one_limit(limit, (str(column),)) for column, limit in value.items()}
    return _one_limit(value)


def _one_limit(value: object, at: Place = ()) -> int:
    if _is_count(value):
        return value  # type: ignore[return-value]
    expected = "how many levels to keep, or a number for each column" if not at else "how many levels to keep"
    raise _wrong("not a number of levels", expected=expected, found=described(value), at=at)


def _rest(value: object) -> str:
    from infolake.encoding.kept import RESTS

    if isinstance(value, str) and value in RESTS:
        return value
    raise _wrong("unknown rest", expected=", ".join(RESTS), found=described(value))


def choices(keyword: str) -> tuple[str, ...]:
    """Return the words that p_values, intervals or correction takes."""
    from infolake.analyses.inference import CHOICES

    return CHOICES[keyword]


def _chosen(keyword: str) -> PlainValidator:
    def check(value: object) -> str:
        if isinstance(value, str) and value in choices(keyword):
            return value
        hint = nearest(value, choices(keyword)) if isinstance(value, str) else ""
        expected = ", ".join(choices(keyword))
        raise _wrong(f"unknown {keyword}", expected=expected, found=described(value), next=hint)

    return _or_none(check)


def _score_measure(value: object) -> str:
    return _measure(value, per_cell=False)


def _cell_measure(value: object) -> str:
    return _measure(value, per_cell=True)


def _or_none(check: Callable[[object], Any]) -> PlainValidator:
    return PlainValidator(lambda value: None if value is None else check(value))


Name = Annotated[str, PlainValidator(_name)]
Base = Annotated[int | float | str, PlainValidator(_base)]
Policy = Annotated[str, PlainValidator(_policy)]
ScoreMeasures = Annotated[tuple[Annotated[str, PlainValidator(_score_measure)], ...], Field(min_length=1)]
CellMeasures = Annotated[tuple[Annotated[str, PlainValidator(_cell_measure)], ...], Field(min_length=1)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]

_STRICT = ConfigDict(extra="forbid", strict=True)
_frozen = dataclass(frozen=True, kw_only=True, config=_STRICT)


@_frozen
class Source:
    """Where rows come from, which columns and which rows."""

    path: Annotated[str | tuple[str, ...], PlainValidator(_path)]
    columns: Names | None = None
    filters: tuple[Annotated[Filter, PlainValidator(_filter)], ...] = ()


@_frozen
class Score:
    """One entry of ``scores``: the keywords of :func:`infolake.score`, under a name."""

    name: Name
    columns: Names | None = None
    target: str | None = None
    given: Annotated[str | tuple[str, ...] | None, _or_none(_columns)] = None
    measures: ScoreMeasures = SCORE_MEASURES
    base: Annotated[int | float | str | None, _or_none(_base)] = None
    missing: Annotated[str | None, _or_none(_policy)] = None
    entropy: Annotated[str, PlainValidator(_estimator)] = "plug_in"
    support: Annotated[str | int | None, _or_none(_support)] = None
    p_values: Annotated[str | None, _chosen("p_values")] = None
    intervals: Annotated[str | None, _chosen("intervals")] = None
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    correction: Annotated[str | None, _chosen("correction")] = None
    permutations: Annotated[int, Field(ge=1)] = 999
    seed: Annotated[int, Field(ge=0)] = 0


@_frozen
class Association:
    """One entry of ``associations``: the keywords of :func:`infolake.associations`, under a name."""

    name: Name
    x: str
    y: str
    measures: CellMeasures = CELL_MEASURES
    base: Annotated[int | float | str | None, _or_none(_base)] = None
    missing: Annotated[str | None, _or_none(_policy)] = None
    min_count: Annotated[int, Field(ge=1)] = 1
    top: Annotated[int, Field(ge=1)] | None = None
    sort_by: str | None = None


@_frozen
class Report:
    """What the report says about itself."""

    title: str | None = None


@_frozen
class Job:
    """Everything that defines the results of a run."""

    name: Name
    source: Source
    bins: Annotated[Any, _or_none(_bins)] = None
    base: Base = 2
    missing: Policy = "pairwise"
    weights: str | None = None
    max_levels: Annotated[Any, _or_none(_level_limits)] = None
    rest: Annotated[str | None, _or_none(_rest)] = None
    scores: tuple[Score, ...] = ()
    associations: tuple[Association, ...] = ()
    report: Report = dataclasses.field(default_factory=Report)

    @property
    def count_missing(self) -> str:
        """The policy that counting follows; pairwise and level are read off the counts."""
        return self.missing if self.missing in COUNT_POLICIES else "pairwise"

    def reading(self, entry: Score | Association) -> str:
        """Return the policy by which an entry's tables are read."""
        policy = entry.missing or self.missing
        return policy if policy not in COUNT_POLICIES else "pairwise"

    def base_of(self, entry: Score | Association) -> int | float | str:
        """Return the base of the logarithm an entry asks for."""
        return self.base if entry.base is None else entry.base

    @property
    def title(self) -> str:
        """The report's title."""
        return self.report.title or self.name


@dataclasses.dataclass(frozen=True)
class Problem:
    """One wrong thing in a job file."""

    place: Place
    what: str
    expected: str = ""
    found: str = ""
    next: str = ""
    key: bool = False

    def line(self, document: Document) -> str:
        """Return the problem in one line."""
        told = [f"expected {self.expected}"] if self.expected else []
        told += [f"found {self.found}"] if self.found else []
        told += [self.next] if self.next else []
        text = f"{document.where(self.place, key=self.key)}: {shown_place(self.place)}: {self.what}"
        return f"{text} ({'; '.join(told)})" if told else text


@dataclasses.dataclass(frozen=True)
class JobFile:
    """A job, the file it came from, and the folder its paths are relative to."""

    job: Job
    document: Document
    folder: Path

    @property
    def data(self) -> str | list[str]:
        """The source's path or paths, made independent of the current folder."""
        path = self.job.source.path
        return self._resolved(path) if isinstance(path, str) else [self._resolved(p) for p in path]

    def _resolved(self, path: str) -> str:
        return path if "://" in path else os.path.normpath(self.folder / path)

    def error(self, problems: Sequence[Problem]) -> JobError:
        """Return the error that lists problems with their places."""
        return job_error(self.document, problems)


def load(path: str | Path) -> JobFile:
    """Read and check a job file.

    Raises
    ------
    JobError
        Lists everything that is wrong, with file, line and column.
    """
    document = read(path)
    return JobFile(from_document(document), document, Path(path).absolute().parent.resolve())


def from_mapping(value: Mapping[str, Any]) -> Job:
    """Return the job a mapping describes; the inverse of :func:`to_mapping`.

    Examples
    --------
    >>> job = from_mapping({"name": "a", "source": {"path": "x"}, "scores": [{"name": "pairs"}]})
    >>> from_mapping(to_mapping(job)) == job
    True
    """
    return from_document(Document(value))


def from_text(text: str, name: str = "job") -> Job:
    """Return the job that YAML text describes."""
    return from_document(parse(text, name))


def to_mapping(job: Job) -> dict[str, Any]:
    """Return a job as mappings, lists and scalars, as JSON and YAML know them."""
    value: dict[str, Any] = _plain(job)
    return value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def from_document(document: Document) -> Job:
    """Return the job a document describes.

    Raises
    ------
    JobError
        Lists everything that is wrong.
    """
    if not isinstance(document.value, Mapping):
        found = described(document.value)
        raise job_error(
            document, [Problem((), "not a job", "keys and values: name, source, scores, ...", found)]
        )
    try:
        # JSON keeps strictness (no "1" for 1) and still lets a list be a tuple.
        job = TypeAdapter(Job).validate_json(json.dumps(document.value))
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise job_error(document, [_problem(d, document.value) for d in details if _tells(d)]) from None
    problems = list(_contradictions(job))
    if problems:
        raise job_error(document, problems)
    return job


def job_error(document: Document, problems: Sequence[Problem]) -> JobError:
    """Return one error for all problems, in the order of the file."""
    if len(problems) == 1:
        p = problems[0]
        what = f"{shown_place(p.place)}: {p.what}" if p.place else p.what
        where = document.where(p.place, key=p.key)
        return JobError(what, where=where, expected=p.expected, found=p.found, next=p.next)
    lines = sorted(dict.fromkeys((_order(p, document), p.line(document)) for p in problems))
    text = "".join(f"\n  {line}" for _, line in lines)
    return JobError(f"the job file has {len(lines)} errors{text}", effect="nothing was read")


def _order(problem: Problem, document: Document) -> tuple[int, int]:
    return document.keys.get(problem.place) or document.marks.get(problem.place) or (0, 0)


def _tells(detail: Any) -> bool:
    # A list of wrong things only seems too short.
    return not (detail["type"] == "too_short" and detail["input"])


def _problem(detail: Any, value: Any) -> Problem:
    place, kind = tuple(detail["loc"]), detail["type"]
    context = detail.get("ctx", {})
    if kind == "job":
        told = {k: context[k] for k in ("what", "expected", "found", "next")}
        return Problem(place + tuple(context["at"]), **told)
    if kind == "unexpected_keyword_argument":
        hint = nearest(str(place[-1]), _fields_at(place[:-1]))
        return Problem(place, "unknown key", next=hint, key=True)
    if kind in ("missing", "missing_argument"):
        return Problem(place[:-1], f"the key {place[-1]!r} is missing")
    expected = _EXPECTED.get(kind) or detail["msg"].removeprefix("Input should be ")
    return Problem(
        place,
        "wrong type" if kind.endswith("_type") else "wrong value",
        expected,
        described(_at(value, place)),
    )


_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "tuple_type": "a list",
    "dataclass_type": "keys and values",
    "dataclass_exact_type": "keys and values",
    "too_short": "at least one",
}

_ENTRIES: dict[str, type] = {"source": Source, "scores": Score, "associations": Association, "report": Report}


def _fields_at(place: Place) -> list[str]:
    kind = _ENTRIES[str(place[0])] if place else Job
    return [f.name for f in dataclasses.fields(kind)]


def _at(value: Any, place: Place) -> Any:
    for step in place:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return value
    return value


def _contradictions(job: Job) -> Iterator[Problem]:
    if not job.scores and not job.associations:
        yield Problem((), "the job asks nothing", "an entry under scores or associations")
    if job.rest is not None and job.max_levels is None:
        yield Problem(("rest",), "rest says where levels beyond max_levels go", next="add `max_levels: 1000`")
    sections: dict[str, Sequence[Score | Association]] = {
        "scores": job.scores,
        "associations": job.associations,
    }
    for section, entries in sections.items():
        yield from _duplicates(section, entries)
        for i, entry in enumerate(entries):
            yield from _policies(job, entry, (section, i, "missing"))
    for i, score in enumerate(job.scores):
        yield from _conditional(score, ("scores", i))
        yield from _inferred(job, score, ("scores", i))
        yield from _estimated(job, score, ("scores", i))
    for i, association in enumerate(job.associations):
        if association.x == association.y:
            yield Problem(("associations", i, "y"), "x and y are the same column")
        yield from _sorting(association, ("associations", i, "sort_by"))


def _duplicates(section: str, entries: Sequence[Score | Association]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for i, entry in enumerate(entries):
        # Some file systems do not tell A from a.
        first = seen.setdefault(entry.name.casefold(), i)
        if first != i:
            yield Problem(
                (section, i, "name"),
                f"the name {entry.name!r} is taken",
                found=f"first at {section}[{first}]",
            )


def _policies(job: Job, entry: Score | Association, place: Place) -> Iterator[Problem]:
    if entry.missing is None or entry.missing == job.missing:
        return
    if entry.missing in COUNT_POLICIES:
        hint = f"set `missing: {entry.missing}` for the job, or make this question a job of its own"
        yield Problem(place, f"{entry.missing!r} is decided when counting, so for the whole job", next=hint)
    elif job.missing in COUNT_POLICIES:
        yield Problem(place, f"the job says `missing: {job.missing}`, which holds for every question")


def _inferred(job: Job, entry: Score, place: Place) -> Iterator[Problem]:
    from infolake.measures import catalogue, intervals

    if entry.correction is not None and entry.p_values is None:
        yield Problem((*place, "correction"), "a correction needs p-values", next="add `p_values: g`")
    if entry.p_values == "permutation" and job.weights is not None:
        what = "rows that carry weights cannot be shuffled"
        yield Problem((*place, "p_values"), what, next="`p_values: g`")
    for k, name in enumerate(entry.measures if entry.intervals == "delta" else ()):
        try:
            intervals.form_of(catalogue.get(name))
        except UsageError as error:
            yield Problem((*place, "measures", k), error.what, next="`intervals: bootstrap`")


def _estimated(job: Job, entry: Score, place: Place) -> Iterator[Problem]:
    from infolake.measures import catalogue, estimators

    try:
        estimate = estimators.get(entry.entropy, support=entry.support)
    except UsageError as error:
        yield Problem((*place, "support"), error.what, next=error.fields["next"])
        return
    if job.weights is None or not any("entropy" in catalogue.get(m).options for m in entry.measures):
        return
    try:
        estimators.check_weights(estimate)
    except UsageError as error:
        yield Problem((*place, "entropy"), error.what, error.fields["expected"])


def _conditional(entry: Score, place: Place) -> Iterator[Problem]:
    from infolake.measures import catalogue

    for k, name in enumerate(entry.measures):
        measure, here = catalogue.get(name), (*place, "measures", k)
        if entry.given is None and measure.needs == "strata":
            yield Problem(here, f"{name!r} needs conditioning columns", next="add given: [...]")
        if entry.given is not None and not measure.conditional:
            yield Problem(here, f"{name!r} has no conditional form", next="leave given out")


def _sorting(entry: Association, place: Place) -> Iterator[Problem]:
    from infolake.measures import catalogue

    if entry.sort_by is None or entry.sort_by in ("count", "count_x", "count_y"):
        return
    known = [n for m in entry.measures for n in (m, catalogue.get(m).name, *catalogue.get(m).aliases)]
    if entry.sort_by not in known:
        hint = nearest(entry.sort_by, [*known, "count", "count_x", "count_y"])
        yield Problem(
            place, f"unknown column {printable(entry.sort_by)!r}", "one of the entry's measures", next=hint
        )


def described(value: object) -> str:
    """Return a value of a job file with its type.

    Examples
    --------
    >>> described("no"), described(True)
    ("'no' (a string)", 'true (a boolean)')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"{str(value).lower()} (a boolean)"
    if isinstance(value, str):
        return f"{printable(value, 60)!r} (a string)"
    if isinstance(value, Mapping):
        return "keys and values"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return f"{value} ({'an integer' if isinstance(value, int) else 'a number'})"
