"""Groups of very many cells on Dask: leaves, shards, and what is asked of each shard.

Every leaf sorts its rows' keys and splits them into shards; shard s of all leaves is added by one task,
which answers at once and keeps no more than its answer. A sample tells how values become keys; where a
value does not fit, the leaves say what would, and the rows are read once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, Protocol

import dask
import numpy as np
import psutil
import pyarrow as pa
from dask.task_spec import List, Task, TaskRef

from infolake.encoding.key_codes import (
    AnyCode,
    BinKeys,
    LevelKeys,
    TextKeys,
    fitting_all,
    guessed,
)
from infolake.errors import ChangedInputError, LedgerError
from infolake.reduction import cluster, config, counting
from infolake.reduction.graph import Graph, Key, Lazy, token
from infolake.reduction.leaf import Selection, counted, frame_table, where_of
from infolake.reduction.planning import CountPlan, check_size, estimated_levels, memory_limit
from infolake.reduction.spilling import Spill, spill_folder
from infolake.sources import Partition
from infolake.summaries.frequencies import Frequencies
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.request import Request
from infolake.summaries.sharded import (
    Block,
    Columns,
    Found,
    KeyCounter,
    Keyed,
    Memory,
    Misfit,
    Numbers,
    Shard,
    Store,
    Tables,
    entry_words,
    merged,
)

ENTRY_BYTES = 8
READING_BYTES = 64 << 20  # of a thread, for the rows it has just decoded
MERGE_BYTES = 40  # what an entry takes while its shard is added
CHUNK_ROWS, SPILLED_CHUNK = 1 << 21, 1 << 22  # what is spilled is worth combining more of before
LEAST_CHUNK = 1 << 18
RANKED = 1 << 24  # codes of a column whose levels are yet to be counted
TABLE_CODES, MOST_TABLE_CODES = 1 << 23, 1 << 25
CODE_BYTES = 4  # of a table
ATTEMPTS = 3
SAMPLE_ROWS = 1 << 16
EVERY_TABLES = 2
SHARE, LEAST_SHARE = 2, 1 << 10  # times the mean that a shard may hold, and cells beside


class Question(Protocol):
    """What is asked of the pieces of each shard of a group; the answers add."""

    def prepared(self, margins: Sequence[Shard]) -> Any:
        """Return the margins as :meth:`__call__` wants them; once for all shards."""
        ...

    def __call__(self, shard: Shard, margins: Any) -> Any:
        """Return the answer of a piece."""
        ...

    def finished(self, answer: Any, margins: Any) -> Any:
        """Return what a shard need tell of the sum of its pieces' answers."""
        ...


@dataclass(frozen=True)
class Count:
    """How often each count occurs; and the cells themselves, where there are at most ``keep`` of them.

    With ``per`` also how many cells there are per combination of all columns but the first. A shard of
    many keeps no more than ``share`` cells: mixed keys give every shard about as many, so that one that
    has more tells of a table with more than ``keep``, but for a freak, whose cells are asked for again.
    """

    keep: int = 0
    per: bool = False
    share: int | None = None

    def of_shard(self, n_shards: int) -> Count:
        """Return what is asked of one shard of so many."""
        return replace(self, share=self.keep * SHARE // n_shards + LEAST_SHARE) if self.keep else self

    def prepared(self, margins: Sequence[Shard]) -> None:
        """No margins are wanted."""

    def __call__(self, shard: Shard, margins: None) -> Counted:  # noqa: ARG002
        """Return the answer of a piece."""
        keep = self.keep if self.share is None else self.share
        kept = shard if len(shard) <= keep else None
        numbers = shard.numbers() if self.per else None
        return Counted(Frequencies.of(shard.counts), kept, keep, numbers)

    def finished(self, answer: Counted, margins: None) -> Counted:  # noqa: ARG002
        """Return the answer, put together."""
        cells = None if answer.cells is None else answer.cells.joined()
        numbers = None if answer.numbers is None else answer.numbers.summed()
        return Counted(answer.frequencies, cells, self.keep, numbers)


@dataclass(frozen=True, eq=False)
class Counted:
    """Frequencies of a group's counts, its cells where they are at most ``keep``, and how many there are."""

    frequencies: Frequencies
    cells: Shard | None
    keep: int
    numbers: Numbers | None = None

    def __add__(self, other: Counted) -> Counted:
        cells = None
        if self.cells is not None and other.cells is not None:
            cells = self.cells + other.cells
            cells = cells if len(cells) <= self.keep else None
        numbers = self.numbers
        if numbers is not None and other.numbers is not None:
            numbers = numbers + other.numbers
        return Counted(self.frequencies + other.frequencies, cells, self.keep, numbers)

    def __sizeof__(self) -> int:
        return 100 + self.frequencies.__sizeof__() + (self.cells.__sizeof__() if self.cells else 0)


@dataclass(frozen=True, eq=False)
class Answers:
    """What one scan found.

    Parameters
    ----------
    keyed : Keyed
        How values became keys, in the end.
    tables : Tables
        Columns counted whole, rows left out, ledger.
    of : dict of group to answer
    spilled : int
        Bytes that were meant to be spilled at most; 0 where nothing was.
    scans : int
        How often the rows were read: once more where a sample did not tell how values become keys.
    """

    keyed: Keyed
    tables: Tables
    of: dict[Columns, Any]
    spilled: int = 0
    scans: int = 1


@dataclass(frozen=True)
class Shape:
    """How much a scan holds at once.

    Parameters
    ----------
    shard_bits, chunk_rows : int
        As in :class:`Keyed`.
    table_codes : int
        A single column of at most so many codes is counted in a table.
    spill_bytes : int
        Room that spilled entries need at most; 0 where they stay in memory.
    """

    shard_bits: int
    chunk_rows: int
    table_codes: int
    spill_bytes: int


def key_codes(plan: CountPlan, columns: Sequence[str]) -> tuple[AnyCode, ...]:
    """Return how the values of columns become keys.

    A sample tells. Columns that it cannot tell are counted alone first: a value's code is then its rank
    among the levels, all of which are held.
    """
    return _known(plan, guesses(plan, columns))


def guesses(plan: CountPlan, columns: Sequence[str]) -> dict[str, AnyCode | None]:
    """Return what a sample tells of how the values of columns become keys; None where it does not."""
    sample = sampled(plan, columns)
    kinds = dict(zip(plan.request.columns, plan.request.types, strict=True))
    return {c: _guess(plan, c, sample[c], kinds[c]) for c in columns}


def _known(plan: CountPlan, codes: Mapping[str, AnyCode | None]) -> tuple[AnyCode, ...]:
    """Return the codes, those that are not known being ranks."""
    unknown = [c for c, code in codes.items() if code is None]
    found = ranks(plan, unknown) if unknown else {}
    return tuple(code or found[c] for c, code in codes.items())


def found_large(plan: CountPlan, found: JointCounts) -> CountPlan:
    """Return the plan of a Dask frame after a scan that gave up groups as too large.

    Rows and bin edges are known now; the head of the first partition tells about how many levels there are.
    """
    assert plan.frame is not None
    n_rows = found.ledger.rows_read
    frame = replace(plan.frame, n_rows=n_rows)
    request = plan.request.with_edges(dict(zip(found.request.columns, found.request.edges, strict=True)))
    plan = replace(plan, request=request, first_pass=replace(plan.first_pass, columns=()))
    sample = sampled(plan, request.columns)
    levels = {c: estimated_levels(sample[c], n_rows, plan.rules.get(c)) for c in request.columns}
    return replace(plan, frame=frame, levels=levels, found_large=True)


def sampled(plan: CountPlan, columns: Sequence[str]) -> pa.Table:
    """Return a bounded sample of some columns: of a Dask frame, the head of its first partition."""
    if plan.source is not None:
        return plan.source.sample(columns)
    graph = Graph()
    (piece, *_), below = counting.pieces_of(plan, graph)
    name = f"infolake-sample-{token(plan.token, *columns)}"
    key = graph.one(name, _head, piece, dict(plan.selection.types), list(columns), below=below)
    found: pa.Table = cluster.compute(Lazy(graph.finished(), key))
    return found


def _head(pieces: Sequence[Any], types: dict[str, str], columns: list[str]) -> pa.Table:
    return frame_table(pieces[0].head(SAMPLE_ROWS), types, columns)


def _guess(plan: CountPlan, column: str, sample: Any, kind: Any) -> AnyCode | None:
    edges = plan.request.edges[plan.request.number(column)]
    return guessed(sample, kind) if edges is None else BinKeys(column, kind, edges)


def ranks(plan: CountPlan, columns: Sequence[str]) -> dict[str, AnyCode]:
    """Count columns alone; return the ranks of their levels as codes.

    Raises
    ------
    TooManyCellsError
        Not even the levels would fit in memory.
    """
    alone = plan.of_columns(columns)
    check_size(alone)
    counts = cluster.compute(counting.lazy_counts(alone))
    found: dict[str, AnyCode] = {}
    for column in columns:
        number = counts.request.number(column)
        edges, kind = counts.request.edges[number], counts.request.types[number]
        levels = LevelKeys(counts.level_sets[number].values)
        found[column] = levels if edges is None else BinKeys(column, kind, edges)
    return found


def shape(n_entries: int, widths: Sequence[int]) -> Shape:
    """Return how a scan keeps within its memory: of groups of up to ``n_entries`` of so many words each."""
    threads, budget, may_spill = _resources()
    held = n_entries * sum(widths) * ENTRY_BYTES
    spills = may_spill and held > budget // 4
    chunk = SPILLED_CHUNK if spills else CHUNK_ROWS
    # a table is counted, and added, faster than so many rows are sorted
    table = max(TABLE_CODES, min(MOST_TABLE_CODES, n_entries // 8))
    while chunk > LEAST_CHUNK and threads * chunk * 3 * ENTRY_BYTES * sum(widths) > budget // 4:
        chunk //= 2
    while table > 1 << 16 and (threads + 2 * EVERY_TABLES) * table * CODE_BYTES > budget // 2:
        table //= 2
    shard_bits = max(2, (2 * threads - 1).bit_length())
    while shard_bits < 16 and threads * (n_entries >> shard_bits) * MERGE_BYTES * max(widths) > budget // 3:
        shard_bits += 1
    return Shape(shard_bits, chunk, table, held if spills else 0)


def planned_shape(plan: CountPlan) -> Shape:
    """Return the shape of the scan of that large group of a plan whose entries are the longest."""
    groups = [plan.request.group_names(g) for g in np.flatnonzero(plan.large).tolist()]
    codes = guesses(plan, sorted({c for group in groups for c in group}))
    widths = [_widths([codes[c] for c in group], scored_groups(len(group))) for group in groups]
    return shape(_most_rows(plan), max(widths, key=sum, default=(1,)))


def scored_groups(n: int) -> tuple[Columns, ...]:
    """Return the groups that are counted to score x and y given all others of ``n`` columns.

    Examples
    --------
    >>> scored_groups(2), scored_groups(4)
    (((0, 1), (0,), (1,)), ((0, 1, 2, 3), (0, 2, 3), (1, 2, 3), (2, 3)))
    """
    z = tuple(range(2, n))
    return ((0, 1, *z), (0, *z), (1, *z), *((z,) if z else ()))


def _widths(codes: Sequence[AnyCode | None], groups: Iterable[Columns]) -> tuple[int, ...]:
    """Return how many words an entry of each group takes; none of columns counted in a table."""
    sizes = [RANKED if code is None else code.size for code in codes]
    found = [[sizes[c] for c in group] for group in groups]
    return tuple(entry_words(g) for g in found if len(g) > 1 or g[0] > TABLE_CODES) or (1,)


def _most_rows(plan: CountPlan) -> int:
    return plan.source_rows or sum(p.n_bytes for leaf in plan.leaves for p in leaf) // 8


def _resources() -> tuple[int, int, bool]:
    """Return the threads that share one memory, how much of it is free, and whether spilling is ours."""
    client = cluster.active_client()
    if client is not None:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        threads = max((w["nthreads"] for w in workers), default=1)
        limit = min((w["memory_limit"] or 2**62 for w in workers), default=2**62)
        return threads, min(limit, psutil.virtual_memory().total) // 2, False
    threads = dask.config.get("num_workers", None) or psutil.cpu_count() or 1
    if config.size("memory-limit") is None:
        return threads, memory_limit(), True
    free = memory_limit() - psutil.Process().memory_info().rss - threads * READING_BYTES
    return threads, max(free, 1 << 26), True


def ask(
    plan: CountPlan,
    columns: Sequence[str],
    questions: Mapping[Columns, Question],
    *,
    margins: Mapping[Columns, tuple[Columns, ...]] | None = None,
    level: bool = False,
) -> Answers:
    """Count groups of ``columns`` in shards, in one scan, and ask each shard.

    Parameters
    ----------
    plan : CountPlan
        What is read, and which rows count.
    columns : sequence of str
    questions : dict of group to question
        Groups of positions in ``columns``.
    margins : dict of group to groups, optional
        Other groups whose cells, whole, are given to the question of a group.
    level : bool
        Whether missing is one more level.

    Returns
    -------
    Answers

    Raises
    ------
    TooManyCellsError
        Not even the levels of a column, all of which must be held, would fit in memory.
    StorageError, OutputError
        There is no room to spill.
    """
    codes = key_codes(plan, columns)
    for scan in range(1, ATTEMPTS + 1):
        found = _attempt(plan, tuple(columns), codes, questions, margins or {}, level)
        if isinstance(found, Answers):
            return replace(found, scans=scan)
        codes = _mended(plan, columns, found)
    raise ChangedInputError(
        "the values of a column changed while they were counted", effect="nothing published"
    )


def _mended(plan: CountPlan, columns: Sequence[str], found: Misfit) -> tuple[AnyCode, ...]:
    """Return codes that fit what the first ones did not."""
    kinds = dict(zip(plan.request.columns, plan.request.types, strict=True))
    codes = zip(columns, found.codes, strict=True)
    return _known(plan, {c: code or fitting_all(kinds[c]) for c, code in codes})


def _attempt(  # noqa: PLR0917
    plan: CountPlan,
    columns: tuple[str, ...],
    codes: tuple[AnyCode, ...],
    questions: Mapping[Columns, Question],
    margins: Mapping[Columns, tuple[Columns, ...]],
    level: bool,
) -> Answers | Misfit:
    kinds = dict(zip(plan.request.columns, plan.request.types, strict=True))
    chosen = shape(_most_rows(plan), _widths(codes, questions))
    types = tuple(kinds[c] for c in columns)
    whole = tuple(g for g in questions if len(g) == 1 and codes[g[0]].size <= chosen.table_codes)
    shards, rows = chosen.shard_bits, chosen.chunk_rows
    keyed = Keyed(columns, types, codes, tuple(questions), shards, rows, whole, level)
    with _store(chosen.spill_bytes) as store:
        lazy = _lazy(plan, keyed, store, questions, margins)
        found: Answers | Misfit = cluster.compute(lazy)
    return replace(found, spilled=chosen.spill_bytes) if isinstance(found, Answers) else found


@contextmanager
def _store(spill_bytes: int) -> Iterator[Store]:
    if not spill_bytes:
        yield Memory()
        return
    with spill_folder(spill_bytes) as folder:
        yield Spill(str(folder))


def _lazy(
    plan: CountPlan,
    keyed: Keyed,
    store: Store,
    questions: Mapping[Columns, Question],
    margins: Mapping[Columns, tuple[Columns, ...]],
) -> Lazy:
    graph = Graph()
    request, pieces, below, steps = counting.settled(plan, graph)
    # what one attempt, or question, left on a cluster must not be taken for the answer of another
    unique = token(plan.token, repr(keyed), repr(questions), repr(margins))
    asked: Any = keyed
    if steps:
        name = f"infolake-keyed-{unique}"
        asked = TaskRef(graph.one(name, _with_bins, keyed, request, below=below))
        below = {*below, name}
    texts = {c: k for c, k in zip(keyed.columns, keyed.codes, strict=True) if isinstance(k, TextKeys)}
    options = (("plain", tuple(texts)), ("ascii", tuple(c for c, code in texts.items() if code.is_ascii)))
    name = f"infolake-keys-{unique}"
    given = [(asked, store, plan.selection, _plainly(piece, options)) for piece in pieces]
    leaves = graph.leaves(name, keys_leaf, given, below)
    building = _Building(graph, unique, asked, leaves, {*below, name})
    tables = building.tables()
    answers: dict[Columns, Key] = {}
    for group in sorted(questions, key=len):
        whole = [answers[g] for g in margins.get(group, ())]
        answers[group] = building.answer(keyed, group, questions[group], tables, whole)
    groups = tuple(answers)
    references = List(*(TaskRef(answers[g]) for g in groups))
    layers = {_layer(k) for k in (tables, *answers.values())} | below
    key = graph.one(f"infolake-answers-{unique}", _finished, asked, TaskRef(tables), groups, references,
                    plan.source_rows, below=layers)  # fmt: skip
    return Lazy(graph.finished(), key)


def _layer(key: Key) -> str:
    return str(key[0] if isinstance(key, tuple) else key)


def _with_bins(keyed: Keyed, request: Request) -> Keyed:
    """Return the keys of the bins that the passes found."""
    edges = dict(zip(request.columns, request.edges, strict=True))
    known = zip(keyed.columns, keyed.codes, keyed.types, strict=True)
    codes = tuple(code if edges[c] is None else BinKeys(c, kind, edges[c]) for c, code, kind in known)  # type: ignore[arg-type]
    return replace(keyed, codes=codes)


def _plainly(piece: Any, options: tuple[tuple[str, tuple[str, ...]], ...]) -> Any:
    """Return partitions whose texts are read as they stand, not as dictionaries."""
    if not options[0][1] or not isinstance(piece, list):
        return piece
    return [replace(p, options=(*p.options, *options)) if isinstance(p, Partition) else p for p in piece]


@dataclass
class _Building:
    """The graph under construction: one split and one sum for each shard of each group."""

    graph: Graph
    token: str
    keyed: Any
    leaves: list[Key]
    below: set[str]

    def tables(self) -> Key:
        """Add what the leaves hold beside entries."""
        name = f"infolake-tables-{self.token}"
        tasks = [Task((name, i), _tables_of, TaskRef(leaf)) for i, leaf in enumerate(self.leaves)]
        keys = self.graph.add_layer(name, tasks, self.below)
        return self.graph.tree(f"infolake-add-tables-{self.token}", add_tables, keys, name, EVERY_TABLES)

    def answer(
        self, keyed: Keyed, group: Columns, question: Question, tables: Key, margins: list[Key]
    ) -> Key:
        """Add every shard of a group, and the answers of all shards."""
        label = "-".join(map(str, group))
        name = f"infolake-answer-{label}-{self.token}"
        below = self.below | {_layer(k) for k in (tables, *margins)}
        given: Any = None
        if margins:
            ready = f"infolake-margins-{label}-{self.token}"
            references = List(*map(TaskRef, margins))
            given = TaskRef(self.graph.one(ready, _prepared, question, references, below=below))
            below = {*below, ready}
        if group in keyed.whole:
            return self.graph.one(
                name, _whole_answer, self.keyed, group, question, given, TaskRef(tables), below=below
            )
        split = f"infolake-split-{label}-{self.token}"
        n = keyed.n_shards
        tasks = [
            Task((split, i, s), _blocks_of, TaskRef(leaf), group, s)
            for i, leaf in enumerate(self.leaves)
            for s in range(n)
        ]
        self.graph.add_layer(split, tasks, self.below)
        blocks = [List(*(TaskRef((split, i, s)) for i in range(len(self.leaves)))) for s in range(n)]
        asked = (self.keyed, group, question, given)
        shards = [Task((name, s), _shard_answer, *asked, s, blocks[s]) for s in range(n)]
        keys = self.graph.add_layer(name, shards, {split, *below})
        return self.graph.tree(f"infolake-add-answers-{label}-{self.token}", add_answers, keys, name)


def keys_leaf(keyed: Keyed, store: Store, selection: Selection, pieces: Sequence[Any]) -> Found:
    """Find the entries of some partitions."""
    counter = KeyCounter(keyed, store)
    ledger = counted(pieces, keyed.columns, selection, counter.update)
    ledger.check(where_of(pieces))
    return counter.result(ledger)


def _tables_of(found: Found) -> Tables | Misfit:
    return found.tables


def _blocks_of(found: Found, group: Columns, shard: int) -> list[Block]:
    return found.blocks[group][shard]


def add_tables(parts: Sequence[Tables | Misfit]) -> Tables | Misfit:
    """Add tables; where a leaf has a misfit, the misfits."""
    misfits = [p for p in parts if isinstance(p, Misfit)]
    return reduce(add, misfits or parts)


def add_answers(parts: Sequence[Any]) -> Any:
    """Add the answers of shards."""
    return reduce(add, parts)


def _prepared(question: Question, margins: Sequence[Any]) -> Any:
    misfits = [m for m in margins if isinstance(m, Misfit)]
    return misfits[0] if misfits else question.prepared([m.cells for m in margins])


def _shard_answer(  # noqa: PLR0917
    keyed: Keyed, group: Columns, question: Question, margins: Any, shard: int, blocks: Sequence[Any]
) -> Any:
    if isinstance(margins, Misfit):
        return margins
    if isinstance(question, Count):
        question = question.of_shard(keyed.n_shards)
    pieces = merged(keyed, group, shard, [b for part in blocks for b in part])
    return question.finished(reduce(add, (question(piece, margins) for piece in pieces)), margins)


def _whole_answer(
    keyed: Keyed, group: Columns, question: Question, margins: Any, tables: Tables | Misfit
) -> Any:
    """Answer from a table of one column."""
    if isinstance(tables, Misfit):
        return tables
    pieces = Shard.of_table(keyed.codes[group[0]], tables.counts[group])
    return question.finished(reduce(add, (question(piece, margins) for piece in pieces)), margins)


def _finished(
    keyed: Keyed,
    tables: Tables | Misfit,
    groups: tuple[Columns, ...],
    answers: Sequence[Any],
    planned: int | None,
) -> Answers | Misfit:
    """Hold what was found against the rows that were read, before anybody sees it."""
    if isinstance(tables, Misfit):
        return tables
    counting.check_planned(tables.ledger, planned)
    expected = tables.ledger.rows_counted - tables.n_missing
    for group, answer in zip(groups, answers, strict=True):
        if isinstance(answer, Counted) and answer.frequencies.total != expected:
            raise LedgerError(
                "internal: the cells of a group do not sum to the rows counted",
                where=", ".join(keyed.columns[c] for c in group),
                expected=str(expected),
                found=str(answer.frequencies.total),
                effect="nothing published",
            )
    return Answers(keyed, replace(tables, counts={}), dict(zip(groups, answers, strict=True)))
