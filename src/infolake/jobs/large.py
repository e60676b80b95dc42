"""The large groups of a job: which scans count them in shards, and what each scan answers.

A scan answers all entries of ``scores`` that ask about one pair, either way round (and the same given
columns), under one reading of missing, so that only one large table is at work at a time; each entry of
``associations`` has a scan of its own, whose cells go to their file as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from infolake.analyses.associations import FRAME_ROWS, check_listed, frames_of, listed
from infolake.analyses.associations import Asked as Listed
from infolake.analyses.counts import computed, settled
from infolake.analyses.inference import Inference, Pairs
from infolake.analyses.scores import Scoring, pair_numbers, pairs_of
from infolake.analyses.sharded import LargeListing, check_whole, large_pair
from infolake.errors import ChangedInputError, TooManyCellsError, UsageError, printable
from infolake.jobs.job import Association, Job, Score
from infolake.jobs.questions import default_columns, given_columns
from infolake.reduction import cluster, counting
from infolake.reduction.planning import CountPlan
from infolake.reduction.sharded import planned_shape
from infolake.reduction.spilling import spill_folder
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.ledger import Ledger

if TYPE_CHECKING:
    import pandas as pd

Names = tuple[str, ...]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Question:
    """An entry of ``scores``, what it says of a pair, and the columns it asks about, in schema order."""

    entry: Score
    scoring: Scoring
    columns: tuple[str, ...]

    @classmethod
    def of(cls, job: Job, entry: Score, columns: Sequence[str]) -> Question:
        """Return the question of an entry about data with some columns, in the order of the schema."""
        wanted = {*(entry.columns or default_columns(job, columns)), entry.target}
        return cls(entry, scoring(job, entry), tuple(c for c in columns if c in wanted))

    @cached_property
    def names(self) -> list[Names]:
        """The pairs (x, y, given columns)."""
        entry, given = self.entry, given_columns(self.entry)
        wanted = [c for c in self.columns if c not in given or c == entry.target]
        return [(*pair, *given) for pair in pairs_of(wanted, entry.target)]

    def pairs(self, counts: JointCounts, names: Sequence[Names] | None = None) -> Pairs:
        """Return all pairs, or some, as the analyses know them."""
        given = self.scoring.conditions
        if names is None:
            return Pairs(counts.columns, pair_numbers(counts, self.columns, self.entry.target, given), given)
        numbers = [[counts.request.number(c) for c in pair[:2]] for pair in names]
        return Pairs(counts.columns, np.array(numbers), given)


def scoring(job: Job, entry: Score) -> Scoring:
    """Return what an entry says of each pair."""
    asked = Inference(
        entry.p_values, entry.intervals, entry.level, entry.correction, entry.permutations, entry.seed
    )
    return Scoring.of(
        asked,
        given=entry.given,
        measures=entry.measures,
        base=job.base_of(entry),
        missing=job.reading(entry),
        entropy=entry.entropy,
        support=entry.support,
        weighted=job.weights is not None,
    )


def listing(job: Job, entry: Association) -> Listed:
    """Return which cells an entry of ``associations`` lists."""
    return Listed(
        (entry.x, entry.y), entry.measures, job.base_of(entry), entry.min_count, entry.top, entry.sort_by
    )


@dataclass(frozen=True)
class Questions:
    """All questions of a job, beside the plan that tells which of their groups are large."""

    job: Job
    plan: CountPlan

    @cached_property
    def scores(self) -> list[Question]:
        """One for each entry of ``scores``."""
        columns = self.plan.request.columns
        return [Question.of(self.job, entry, columns) for entry in self.job.scores]

    @cached_property
    def numbers(self) -> dict[frozenset[str], int]:
        """The number of each large group."""
        found = np.flatnonzero(self.plan.large).tolist()
        return {frozenset(self.plan.request.group_names(g)): g for g in found}

    @property
    def groups(self) -> list[Names]:
        """The large groups, as run.json lists them."""
        return [self.plan.request.group_names(g) for g in self.numbers.values()]

    def is_large(self, names: Names) -> bool:
        """Whether a group is counted in shards."""
        return frozenset(names) in self.numbers

    def held_of(self, question: Question) -> list[Names] | None:
        """Return the pairs of a question that are not large; None where none of the job's groups is."""
        return [n for n in question.names if not self.is_large(n)] if self.numbers else None

    def plan_of(self, names: Names) -> CountPlan:
        """Return the plan of one large group alone."""
        return self.plan.of_groups(self.numbers[frozenset(names)]).narrow

    @cached_property
    def scans(self) -> dict[tuple[Names, str], list[tuple[Question, Names]]]:
        """What each scan of a large pair answers, by pair (x first in the schema) and reading of missing.

        Questions, and each with the pair as it names it.
        """
        found: dict[tuple[Names, str], list[tuple[Question, Names]]] = {}
        place = {name: i for i, name in enumerate(self.plan.request.columns)}
        if not self.numbers:
            return found
        for question in self.scores:
            if not question.names:
                where = f"scores: {printable(question.entry.name)}"
                raise UsageError("there is no pair of columns to score", where=where)
            for names in filter(self.is_large, question.names):
                pair = (*sorted(names[:2], key=place.__getitem__), *names[2:])
                found.setdefault((pair, question.scoring.missing), []).append((question, names))
        return found

    @property
    def listings(self) -> list[Association]:
        """The entries of ``associations`` about large pairs."""
        return [entry for entry in self.job.associations if self.is_large((entry.x, entry.y))]

    @property
    def n_scans(self) -> int:
        """Scans in shards."""
        return len(self.scans) + len(self.listings)

    def check(self) -> None:
        """Refuse what cannot be answered, before anything is read in full.

        Raises
        ------
        TooManyCellsError
            A question needs every cell of a large table, and by estimate they would not fit in memory.
        """
        for (names, _), asking in self.scans.items():
            whole = [question.entry.name for question, _ in asking if question.scoring.whole]
            with _told(f"scores: {', '.join(whole)}"):
                if whole:
                    check_whole(self.plan_of(names))
        for entry in self.listings:
            with _told(f"associations: {entry.name}"):
                check_listed(self.plan_of((entry.x, entry.y)), listing(self.job, entry))


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Say in a refusal which entries ask for what cannot be."""
    try:
        yield
    except TooManyCellsError as error:
        error.fields["where"] = f"{printable(where, 400)}; {error.fields['where']}"
        raise


@dataclass
class Scans:
    """What the scans of a run say together: one ledger, and how many there were in shards."""

    ledger: Ledger | None = None
    in_shards: int = 0

    def add(self, ledger: Ledger, scans: int = 0) -> None:
        """Take in a scan.

        Raises
        ------
        ChangedInputError
            Another scan counted other rows.
        """
        if self.ledger is not None and ledger != self.ledger:
            raise ChangedInputError(
                "the data changed between two scans of the run",
                expected=f"{self.ledger.rows_read:,} rows read, {self.ledger.rows_counted:,} counted",
                found=f"{ledger.rows_read:,} rows read, {ledger.rows_counted:,} counted",
                effect="nothing published",
                next="run again",
            )
        self.ledger = ledger
        self.in_shards += scans


def held_counts(plan: CountPlan) -> tuple[CountPlan, JointCounts | None, dict[str, int]]:
    """Count the groups that are not large in one scan; return the plan with bin edges, counts and reads.

    There are no counts, and no such scan, where all groups are large.
    """
    if not plan.large.any():
        counts, reads = cluster.compute(counting.lazy_run(plan))
        return plan, counts, reads
    plan, passes = settled(plan)
    reads = {"count": int(not plan.large.all()), "bins": passes}
    return plan, (None if plan.large.all() else computed(plan.held.narrow)), reads


def check_room(plan: CountPlan) -> None:
    """Refuse a run whose shards could not be spilled, before anything is read in full."""
    need = planned_shape(plan).spill_bytes if plan.large.any() else 0
    if need:
        with spill_folder(need):
            pass


def large_scores(questions: Questions, scans: Scans, say: Say) -> dict[str, list[pd.DataFrame]]:
    """Score the large pairs, scan by scan; return the rows of each entry."""
    frames: dict[str, list[pd.DataFrame]] = {}
    for (names, missing), asking in questions.scans.items():
        say(f"counting in shards: {' x '.join(map(printable, names))}")
        whole = any(question.scoring.whole for question, _ in asking)
        found = large_pair(questions.plan_of(names), names, level=missing == "level", whole=whole)
        scans.add(found.ledger, found.scans)
        for question, pair in asking:
            frame = question.scoring.frame(found if found.names == pair else found.turned)
            frames.setdefault(question.entry.name, []).append(frame)
    return frames


def scores(
    questions: Questions, counts: JointCounts | None, large: Mapping[str, list[pd.DataFrame]]
) -> dict[str, pd.DataFrame]:
    """Return the scores of each entry: those of its large pairs, and of the others from the counts."""
    found = {}
    for question in questions.scores:
        frames = list(large.get(question.entry.name, []))
        names = questions.held_of(question)
        if counts is not None and names != []:
            frames.append(question.scoring.frame(counts, question.pairs(counts, names)))
        found[question.entry.name] = question.scoring.joined(frames, questions.plan.request.columns)
    return found


def large_listings(
    questions: Questions, scans: Scans, say: Say
) -> Iterator[tuple[Association, Iterator[pd.DataFrame]]]:
    """Yield each entry about a large pair with its cells, in frames of at most a million rows."""
    for entry in questions.listings:
        pair = (entry.x, entry.y)
        say(f"listing in shards: {printable(entry.x)} x {printable(entry.y)}")
        asked = listing(questions.job, entry)
        found = listed(questions.plan_of(pair), asked, questions.job.reading(entry))
        scans.add(found.ledger, found.scans if isinstance(found, LargeListing) else 0)
        yield entry, frames_of(found, asked, FRAME_ROWS)
