"""The walk of a run, read top to bottom: a job file in, one scan, files and a report out."""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infolake.analyses.associations import Listing, frames_of
from infolake.errors import (
    InfolakeError,
    JobError,
    MissingExtraError,
    UnknownColumnError,
    UsageError,
    nearest,
    printable,
)
from infolake.jobs import large, saving
from infolake.jobs.job import Association, Job, JobFile, Problem, load, to_mapping
from infolake.jobs.questions import groups, named_columns, wanted_columns
from infolake.reduction import cluster
from infolake.reduction.planning import Asked, CountPlan, check_size, plan_count
from infolake.sources import open_source
from infolake.sources.checks import without_secrets
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.ledger import Ledger

if TYPE_CHECKING:
    import pandas as pd

PACKAGES = ("infolake", "dask", "distributed", "numba", "numpy", "pandas", "pyarrow")
LEADING = ("question", "x", "y", "n", "n_missing", "n_effective")
TRAILING = ("bias", "thin")
HEAD_ROWS = 1000
STOPPED = {KeyboardInterrupt: 130, SystemExit: 143}

Say = Callable[[str], None]


@dataclass
class Record:
    """What ``run.json`` will say; filled in as the run goes on."""

    facts: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Note how long a stage takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = round(time.perf_counter() - start, 3)

    def to_json(self, **ending: Any) -> dict[str, Any]:
        """Return the content of ``run.json``."""
        timings = self.timings | {"total": round(time.perf_counter() - self.start, 3)}
        told = {"timings": timings, "warnings": self.warnings, "versions": versions()}
        return {**self.facts, **ending, **told}


@dataclass(frozen=True)
class Finished:
    """A run that ended well: its folder and its answers.

    Of associations counted in shards ``associations`` holds the first rows only; ``n_rows`` tells how many
    there are in the file.
    """

    folder: Path
    job: Job
    scores: Mapping[str, pd.DataFrame]
    associations: Mapping[str, pd.DataFrame]
    ledger: Ledger
    n_rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.folder / "report.html"


def run(path: str | Path, output: str | Path | None = None, *, say: Say = lambda _: None) -> Finished:
    """Run a job file: count once, answer every question, publish all files or none.

    Groups of too many cells to be held (:attr:`CountPlan.large`) are counted in shards, in scans of their
    own; their scores and cells are saved, their tables are not.

    Parameters
    ----------
    path : str or Path
        The job file.
    output : str or Path, optional
        Where results go; default ``out/NAME`` below the current folder.
    say : callable, optional
        Told in a few words what goes on.

    Returns
    -------
    Finished

    Raises
    ------
    InfolakeError
        Whatever stops the run. Earlier results are left as they were; ``run.json`` tells why.
    """
    record = Record()
    with _recorded(record, output):
        job_file = load(path)
        folder = Path(output) if output is not None else Path("out") / job_file.job.name
        with _failures_told(folder, record, job_file.job):
            return _run(job_file, folder, record, say)


def _run(job_file: JobFile, folder: Path, record: Record, say: Say) -> Finished:
    job = job_file.job
    with saving.staged(folder) as stage:
        _check_extras()
        with record.timed("plan"):
            planned = plan(job_file)
            inputs = planned.source.inputs if planned.source else []
            record.facts |= {"inputs": inputs, **cluster.description()}
            workers = cluster.workers()
        say(f"{job.name}: {_size(planned)}")
        large.check_room(planned)
        with record.timed("count"):
            planned, counts, reads = large.held_counts(planned)
        questions, scans = (
            large.Questions(job, planned),
            large.Scans(None if counts is None else counts.ledger),
        )
        with _timed_if(record, "shards", questions.n_scans):
            frames = large.large_scores(questions, scans, say)
            listings = _large_listings(stage, questions, scans, say)
        assert scans.ledger is not None
        scans.ledger.check("before publishing")
        record.facts |= _facts_of(questions, counts, scans, reads) | cluster.description(workers)
        with record.timed("score"):
            scores = large.scores(questions, counts, frames)
            associations = _associations(questions, counts)
        with record.timed("write"):
            _write(stage, job, counts, scores, associations)
        _write_report(stage, record)
    shown = associations | {name: listing.head for name, listing in listings.items()}
    shown = {entry.name: shown[entry.name] for entry in job.associations}
    n_rows = {name: listing.n_rows for name, listing in listings.items()}
    return Finished(folder, job, scores, shown, scans.ledger, n_rows)


def plan(job_file: JobFile) -> CountPlan:
    """Plan the one count that answers every question of a job.

    Raises
    ------
    JobError
        The job names columns that the data does not have, or asks what cannot be; with the line.
    InfolakeError
        The data cannot be read, or would not fit.
    """
    job = job_file.job
    filters = [_filter(f) for f in job.source.filters] or None
    try:
        source = open_source(job_file.data, columns=wanted_columns(job), filters=filters)
        _check_rules(job_file, source.columns)
        asked = Asked(
            groups=groups(job, source.columns),
            filters=filters,
            bins=job.bins,
            missing=job.count_missing,
            weights=job.weights,
            max_levels=job.max_levels,
            rest=job.rest or "bucket",
        )
        return _planned(job, plan_count(job_file.data, asked, in_blocks=True))
    except UnknownColumnError as error:
        problems = list(_unknown_columns(job_file))
        raise (job_file.error(problems) if problems else _in_file(error, job_file)) from None
    except UsageError as error:
        raise _in_file(error, job_file) from None


def _planned(job: Job, planned: CountPlan) -> CountPlan:
    """Return the plan of a job: what is held is held at once, all else is counted in shards."""
    check_size(planned.held.narrow if planned.large.any() else planned)
    questions = large.Questions(job, planned)
    questions.check()
    return replace(planned, shard_scans=questions.n_scans)


def _unknown_columns(job_file: JobFile) -> Iterator[Problem]:
    hints: dict[str, str | None] = {}
    for place, name in named_columns(job_file.job):
        if name not in hints:
            hints[name] = _unknown(job_file.data, name)
        if hints[name] is not None:
            what = f"unknown column {printable(name)!r}"
            yield Problem(place, what, "a column of the data", next=hints[name] or "")


def _unknown(data: str | list[str], name: str) -> str | None:
    """Return a hint for a column that the data does not have, None where it has it."""
    try:
        open_source(data, columns=[name])
    except UnknownColumnError as error:
        return error.fields["next"]
    except InfolakeError:
        return None
    return None


def _check_rules(job_file: JobFile, columns: Sequence[str]) -> None:
    """Refuse a rule for a column that no question asks about: it would be forgotten in silence."""
    rules = {"bins": job_file.job.bins, "max_levels": job_file.job.max_levels}
    problems = [
        Problem((key, name), "no question asks about this column", next=nearest(name, columns), key=True)
        for key, given in rules.items()
        for name in (given if isinstance(given, Mapping) else ())
        if name not in columns
    ]
    if problems:
        raise job_file.error(problems)


def _in_file(error: UsageError, job_file: JobFile) -> JobError:
    """Return what is wrong with an argument as what is wrong with the file that holds it."""
    return JobError(
        error.what, **{**error.fields, "where": error.fields["where"] or printable(job_file.document.name)}
    )


def _size(planned: CountPlan) -> str:
    rows = "" if planned.source_rows is None else f"{planned.source_rows:,} rows, "
    return f"{rows}{len(planned.request.columns)} columns, {len(planned.request.groups):,} groups of columns"


def _filter(clause: Any) -> tuple[str, str, Any]:
    column, operator, value = clause
    return column, operator, list(value) if isinstance(value, tuple) else value


def _associations(questions: large.Questions, counts: JointCounts | None) -> dict[str, pd.DataFrame]:
    """Return the cells of every entry about a pair that is held."""
    job, found = questions.job, {}
    for entry in job.associations:
        if counts is not None and not questions.is_large((entry.x, entry.y)):
            asked, missing = large.listing(job, entry), job.reading(entry)
            found[entry.name] = next(frames_of(Listing.of(counts, asked, missing), asked))
    return found


@dataclass
class Written:
    """What is remembered of cells that went to a file: the first rows, and how many there were."""

    head: pd.DataFrame
    n_rows: int = 0

    def passed(self, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Yield the frames, counting their rows."""
        for frame in frames:
            self.n_rows += len(frame)
            yield frame


def _large_listings(
    stage: Path, questions: large.Questions, scans: large.Scans, say: Say
) -> dict[str, Written]:
    """Write the cells of every entry about a large pair; no frame of all of them is made."""
    found = {}
    for entry, frames in large.large_listings(questions, scans, say):
        first = next(frames)
        head = first.head(HEAD_ROWS).copy()
        head.attrs = dict(first.attrs)
        details = _association_details(questions.job, entry, first)
        written = found[entry.name] = Written(head)
        saving.write_frames(written.passed(chain([first], frames)), _path(stage, entry), details)
        del first
    return found


def _path(stage: Path, entry: Association) -> Path:
    folder = stage / "associations"
    with saving.storing(stage):
        folder.mkdir(exist_ok=True)
    return folder / f"{entry.name}.parquet"


def _write(
    stage: Path,
    job: Job,
    counts: JointCounts | None,
    scores: Mapping[str, pd.DataFrame],
    associations: Mapping[str, pd.DataFrame],
) -> None:
    with saving.storing(stage):
        if counts is not None:
            counts.save(stage / "counts")
        (stage / "associations").mkdir(exist_ok=True)
    saving.write_frame(joined(scores), stage / "scores.parquet", _score_details(job, scores))
    for entry in job.associations:
        if entry.name in associations:
            frame = associations[entry.name]
            saving.write_frame(frame, _path(stage, entry), _association_details(job, entry, frame))


def joined(scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return all questions' scores below each other, with the question's name in front."""
    import pandas as pd

    frames = [frame.assign(question=name) for name, frame in scores.items()]
    if not frames:
        empty: dict[str, Any] = {
            "question": str,
            "x": str,
            "y": str,
            "n": "int64",
            "n_missing": "int64",
            "bias": float,
            "thin": bool,
        }
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in empty.items()})
    found = list(dict.fromkeys(str(c) for frame in frames for c in frame.columns))
    middle = [c for c in found if c not in LEADING + TRAILING]
    order = [c for c in LEADING if c in found] + middle + [c for c in TRAILING if c in found]
    # Column by column: frames that lack a measure must not decide its type.
    columns = {c: [v for f in frames for v in (f[c] if c in f else [None] * len(f))] for c in order}
    whole = pd.DataFrame({c: pd.Series(v, dtype=_kind(c, frames)) for c, v in columns.items()})
    whole.attrs["units"] = _common_units(frames)
    return whole


def _kind(column: str, frames: Sequence[pd.DataFrame]) -> Any:
    kinds = [f[column].dtype for f in frames if column in f]
    everywhere = len(kinds) == len(frames) and all(k == kinds[0] for k in kinds)
    return kinds[0] if everywhere or column in ("question", "x", "y") else float


def _common_units(frames: Sequence[pd.DataFrame]) -> dict[str, str]:
    every = [frame.attrs.get("units", {}) for frame in frames]
    found: dict[str, set[str]] = {}
    for units in every:
        for column, unit in units.items():
            found.setdefault(column, set()).add(unit)
    return {column: units.pop() for column, units in found.items() if len(units) == 1}


def _score_details(job: Job, scores: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    from infolake.measures import catalogue, estimators

    questions = {
        entry.name: {
            "target": entry.target,
            "given": entry.given,
            "measures": list(dict.fromkeys(catalogue.get(name).name for name in entry.measures)),
            "missing": entry.missing or job.missing,
            "base": job.base_of(entry),
            "entropy": estimators.get(entry.entropy, support=entry.support).key,
            "p_values": entry.p_values,
            "correction": entry.correction,
            "intervals": entry.intervals,
            "level": entry.level,
            "units": scores[entry.name].attrs.get("units", {}),
        }
        for entry in job.scores
    }
    return {"questions": questions, "title": job.title}


def _association_details(job: Job, entry: Association, frame: pd.DataFrame) -> dict[str, Any]:
    x, y, *others = (str(c) for c in frame.columns)
    return {
        "name": entry.name,
        "x": entry.x,
        "y": entry.y,
        "columns": {"x": x, "y": y},
        "measures": [c for c in others if c not in ("count", "count_x", "count_y")],
        "missing": entry.missing or job.missing,
        "base": job.base_of(entry),
        "min_count": entry.min_count,
        "top": entry.top,
        "sort_by": entry.sort_by,
    }


def _write_report(stage: Path, record: Record) -> None:
    """Write the page, which reads run.json, and then run.json with the time that took."""
    from infolake import reports

    _write_record(stage, record)
    with record.timed("report"), saving.storing(stage):
        reports.write(stage)
    _write_record(stage, record)


def _write_record(stage: Path, record: Record) -> None:
    saving.write_json(stage / "run.json", record.to_json(status="ok", exit_code=0))


def _check_extras() -> None:
    """Refuse before reading what could not be reported after."""
    for package in ("jinja2", "bokeh"):
        try:
            version(package)
        except PackageNotFoundError:
            raise MissingExtraError(package=package, extra="report", effect="nothing was read") from None


def _facts_of(
    questions: large.Questions, counts: JointCounts | None, scans: large.Scans, reads: Mapping[str, int]
) -> dict[str, Any]:
    assert scans.ledger is not None
    request = questions.plan.request if counts is None or questions.numbers else counts.request
    edges = {c: list(e) for c, e in zip(request.columns, request.edges, strict=True) if e is not None}
    found: dict[str, Any] = {"ledger": scans.ledger.to_json(), "reads": dict(reads), "bins": edges}
    if questions.numbers:
        found["reads"] = dict(reads) | {"shards": scans.in_shards}
        found["in_shards"] = [list(names) for names in questions.groups]
    return found | _kept(counts)


def _kept(counts: JointCounts | None) -> dict[str, Any]:
    """Return what became of the columns with a limit of levels."""
    kept = {
        column: {"limit": k.limit, "kept": k.n_kept, "rest_levels": k.n_rest, "rest_rows": k.total}
        for column, k in (counts.kept if counts is not None else {}).items()
    }
    return {"max_levels": kept} if kept else {}


@contextmanager
def _timed_if(record: Record, stage: str, done: object) -> Iterator[None]:
    with record.timed(stage) if done else nullcontext():
        yield


def versions() -> dict[str, str]:
    """Return the versions that could change a number."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


@contextmanager
def _recorded(record: Record, output: str | Path | None) -> Iterator[None]:
    """Note every warning, and tell a wrong job file in the folder it was meant for."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
        if str(message) not in record.warnings:
            record.warnings.append(str(message))
        shown(message, category, *rest, **options)

    with warnings.catch_warnings():
        warnings.showwarning = show
        try:
            yield
        except InfolakeError as error:
            if output is not None and "name" not in record.facts:
                _tell_failure(Path(output), record, error)
            raise


@contextmanager
def _failures_told(folder: Path, record: Record, job: Job) -> Iterator[None]:
    record.facts |= {"name": job.name, "title": job.title, "job": _shown(to_mapping(job))}
    try:
        yield
    except BaseException as error:
        _tell_failure(folder, record, error)
        raise


def _shown(value: Any) -> Any:
    """Return a job's content with user names, passwords and queries cut out of its URLs."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {key: _shown(item) for key, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, list | tuple) else value


def _tell_failure(folder: Path, record: Record, error: BaseException) -> None:
    """Write a run.json that says why; what the last good run said stays in it."""
    with suppress(Exception):
        told = {"type": type(error).__name__, "message": printable(error, 400)}
        if isinstance(error, InfolakeError):
            told = {
                "type": type(error).__name__,
                "message": error.what,
                **{k: v for k, v in error.fields.items() if v},
            }
        failed = record.to_json(status="failed", exit_code=exit_code(error), error=told)
        folder.mkdir(parents=True, exist_ok=True)
        saving.write_json(folder / "run.json", failed | _earlier(folder / "run.json"))


def _earlier(path: Path) -> dict[str, Any]:
    import json

    with suppress(OSError, ValueError):
        last = json.loads(path.read_text("utf-8"))
        return {"earlier": last if last.get("status") == "ok" else last.get("earlier")}
    return {}


def exit_code(error: BaseException) -> int:
    """Return the exit code of RELIABILITY: an error's own, 130 and 143 for signals, else 1.

    Examples
    --------
    >>> exit_code(ValueError()), exit_code(KeyboardInterrupt())
    (1, 130)
    """
    if isinstance(error, InfolakeError):
        return error.exit_code
    return next((code for kind, code in STOPPED.items() if isinstance(error, kind)), 1)
