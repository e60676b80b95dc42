"""Which columns and groups of columns a job's questions need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from infolake.jobs.document import Place
from infolake.jobs.job import Job, Score


def named_columns(job: Job) -> Iterator[tuple[Place, str]]:
    """Yield every column a job names, with the place in the file."""
    for i, name in enumerate(job.source.columns or ()):
        yield ("source", "columns", i), name
    for i, clause in enumerate(job.source.filters):
        yield ("source", "filters", i, 0), clause[0]
    if isinstance(job.bins, dict):
        yield from ((("bins", name), name) for name in job.bins)
    if isinstance(job.max_levels, dict):
        yield from ((("max_levels", name), name) for name in job.max_levels)
    if job.weights is not None:
        yield ("weights",), job.weights
    for i, score in enumerate(job.scores):
        yield from (((*("scores", i), *place), name) for place, name in _named_in(score))
    for i, entry in enumerate(job.associations):
        yield ("associations", i, "x"), entry.x
        yield ("associations", i, "y"), entry.y


def _named_in(score: Score) -> Iterator[tuple[Place, str]]:
    for i, name in enumerate(score.columns or ()):
        yield ("columns", i), name
    if score.target is not None:
        yield ("target",), score.target
    if isinstance(score.given, str):
        yield ("given",), score.given
    for i, name in enumerate(given_columns(score) if isinstance(score.given, tuple) else ()):
        yield ("given", i), name


def given_columns(score: Score) -> tuple[str, ...]:
    """Return the conditioning columns of a question."""
    if score.given is None:
        return ()
    return (score.given,) if isinstance(score.given, str) else score.given


def wanted_columns(job: Job) -> list[str] | None:
    """Return the columns to read; None for all."""
    asked: dict[str, None] = dict.fromkeys(job.source.columns or ())
    if not asked and any(score.columns is None for score in job.scores):
        return None
    for place, name in named_columns(job):
        if place[0] in ("scores", "associations", "weights"):
            asked[name] = None
    return list(asked)


def default_columns(job: Job, columns: Sequence[str]) -> list[str]:
    """Return the columns of a question that names none, in the order of the schema."""
    chosen = job.source.columns or columns
    return [name for name in columns if name in chosen and name != job.weights]


def groups(job: Job, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every group of columns that answers a question, each once, in the order of the schema.

    Parameters
    ----------
    job : Job
    columns : sequence of str
        The columns that are read, in the order of the schema.
    """
    order = {name: i for i, name in enumerate(columns)}
    found: dict[tuple[str, ...], None] = {}
    for score in job.scores:
        for group in _groups_of(score, score.columns or default_columns(job, columns)):
            found[tuple(sorted(set(group), key=order.__getitem__))] = None
    for entry in job.associations:
        found[tuple(sorted({entry.x, entry.y}, key=order.__getitem__))] = None
    return list(found)


def _groups_of(score: Score, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    given = given_columns(score)
    names = [n for n in columns if n not in given]
    if score.target is None:
        yield from ((x, y, *given) for x, y in combinations(names, 2))
    else:
        yield from ((x, score.target, *given) for x in names if x != score.target)
