"""Scores and associations of groups whose tables are too large to hold, counted in shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from infolake.analyses.inference import Pairs
from infolake.encoding.key_codes import AnyCode
from infolake.errors import TooManyCellsError
from infolake.large_tables import FrequencyTable
from infolake.measures import catalogue
from infolake.measures.plug_in import RESIDUAL_CELLS
from infolake.reduction import sharded
from infolake.reduction.planning import CountPlan, check_size
from infolake.reduction.sharded import Count, Counted
from infolake.summaries.ledger import Ledger
from infolake.summaries.sharded import Columns, Shard
from infolake.table_batches import grouped_sum
from infolake.tables import ContingencyTable, Strata, TableBatch

Array = np.ndarray[Any, Any]
PAIR: tuple[Columns, ...] = ((0, 1), (0,), (1,))
EVERY = 1 << 62
COUNTS = ("count", "count_x", "count_y")


@dataclass(frozen=True, eq=False)
class LargePair:
    """The table of a pair of columns, or its strata, as much of them as a score needs.

    Parameters
    ----------
    columns : tuple of str
        All counted columns, in schema order.
    names : tuple of str
        x, y, and the columns that are given.
    tables : TableBatch, Strata or FrequencyTable
        The cells where there are few, else the frequencies of their counts.
    n_missing : int
        Rows that miss one of the columns.
    cells, freedom : int
        The sums over the strata of R C and of (R - 1)(C - 1).
    ledger : Ledger
        Of the scan.
    scans : int
        How often the rows were read.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    tables: TableBatch | Strata | FrequencyTable
    total: int
    n_missing: int
    cells: int
    freedom: int
    ledger: Ledger
    scans: int = 1

    @property
    def pairs(self) -> Pairs:
        """The pair as the analyses know it."""
        numbers = [[self.columns.index(name) for name in self.names[:2]]]
        return Pairs(self.columns, np.array(numbers), self.names[2:])

    @property
    def turned(self) -> LargePair:
        """The pair (y, x), given the same columns: what another scan would have found of it."""
        x, y, *given = self.names
        tables = self.tables
        if isinstance(tables, FrequencyTable):
            tables = FrequencyTable(tables.xy, tables.y, tables.x, tables.z)
        elif isinstance(tables, Strata):
            tables = replace(tables, batch=tables.batch.transpose())
        else:
            tables = tables.transpose()
        return replace(self, names=(y, x, *given), tables=tables)


def large_pair(plan: CountPlan, names: tuple[str, ...], *, level: bool, whole: bool = False) -> LargePair:
    """Count a pair of columns, and those given, in shards.

    With ``whole`` all cells are kept, however many there are.

    Raises
    ------
    TooManyCellsError
        All cells are wanted, or all levels of a column must be held, and by estimate they would not fit in
        memory.
    """
    if whole:
        check_whole(plan)
    first, *groups = sharded.scored_groups(len(names))
    z = groups[2] if groups[2:] else None
    questions = {first: Count(keep=EVERY if whole else RESIDUAL_CELLS)}
    questions |= {group: Count(per=bool(z) and group != z) for group in groups}
    found = sharded.ask(plan, names, questions, level=level)
    xy, x, y = (found.of[group] for group in (first, *groups[:2]))
    held = xy.frequencies.cells + x.frequencies.cells + y.frequencies.cells
    tables: TableBatch | Strata | FrequencyTable
    if whole or held <= RESIDUAL_CELLS:
        if xy.cells is None:
            return large_pair(plan, names, level=level, whole=True)
        tables = small_strata(xy.cells) if z else small_table(xy.cells)
    else:
        strata = found.of[z].frequencies.pair if z else None
        tables = FrequencyTable(xy.frequencies.pair, x.frequencies.pair, y.frequencies.pair, strata)
    sizes = _sizes(x, y, strata=bool(z))
    numbers = (xy.frequencies.total, found.tables.n_missing, *sizes)
    return LargePair(plan.request.columns, names, tables, *numbers, found.tables.ledger, found.scans)


def check_whole(plan: CountPlan) -> None:
    """Raise TooManyCellsError where all cells of a large pair are wanted, and would not fit in memory."""
    check_size(plan, "ask for measures of entropies and margins only")


def _sizes(x: Counted, y: Counted, *, strata: bool) -> tuple[int, int]:
    """Return the sums over the strata of R C and of (R - 1)(C - 1)."""
    if not strata:
        rows, cols = x.frequencies.cells, y.frequencies.cells
        return rows * cols, max(rows - 1, 0) * max(cols - 1, 0)
    assert x.numbers is not None and y.numbers is not None  # noqa: PT018
    R, C = x.numbers.summed().values, y.numbers.summed().values
    return int((R * C).sum()), int(((R - 1) * (C - 1)).sum())


def small_strata(cells: Shard) -> Strata:
    """Return the cells of x, y and what is given as one table per stratum."""
    ordered = cells.sorted()
    codes, sizes = zip(*map(_numbered, ordered.columns, (c.size for c in ordered.codes)), strict=True)
    names = [f"c{i}" for i in range(len(codes))]
    levels = [range(n) for n in sizes]
    table = ContingencyTable.from_cells(codes, ordered.counts, levels=levels, columns=names)
    batch = table.strata(names[2:])
    return Strata(batch, np.zeros(len(batch), np.int64), 1)


def needs_cells(measure: catalogue.Measure, options: Mapping[str, Any]) -> bool:
    """Return whether a measure of tables needs every cell, not only how often each count occurs."""
    once = (np.array([1]), np.array([2]))
    table: Any = FrequencyTable(once, once, once, once if measure.needs == "strata" else None)
    try:
        measure.evaluate(table, **options)
    except TooManyCellsError:
        return True
    return False


def small_table(cells: Shard) -> TableBatch:
    """Return the cells of a pair as a batch of one table, rows and columns numbered in order."""
    (x, y), counts = cells.in_order()
    rows, n_rows = _numbered(x, cells.codes[0].size)
    del x
    cols, n_cols = _numbered(y, cells.codes[1].size)
    return TableBatch(
        cells=counts,
        rows=rows,
        cols=cols,
        offsets=np.array([0, len(counts)]),
        row_margins=grouped_sum(counts, rows, n_rows),
        row_offsets=np.array([0, n_rows]),
        col_margins=grouped_sum(counts, cols, n_cols),
        col_offsets=np.array([0, n_cols]),
        totals=np.array([counts.sum()]),
    )


def _numbered(codes: Array, size: int) -> tuple[Array, int]:
    """Return each code's place among the distinct ones, and how many these are."""
    if size <= len(codes):
        held = np.zeros(size, np.bool_)
        held[codes] = True
        places = np.cumsum(held, dtype=np.int64)
        return places[codes] - 1, int(places[-1])
    found, numbers = np.unique(codes, return_inverse=True)
    return numbers.ravel(), len(found)


@dataclass(frozen=True, eq=False)
class Margin:
    """The counts of one column's levels, in the order of the levels.

    Parameters
    ----------
    code : key code
    codes : ndarray of uint64, ascending, shape (levels,)
    counts : ndarray of int64, shape (levels,)
    """

    code: AnyCode
    codes: Array
    counts: Array

    @classmethod
    def of(cls, cells: Shard) -> Margin:
        """Return the margin that the cells of a single column are."""
        (codes,) = cells.columns
        order = np.argsort(codes, kind="stable")
        return cls(cells.codes[0], codes[order], cells.counts[order])

    def places(self, codes: Array) -> Array:
        """Return where codes, which the margin must have, stand among the margin's."""
        from infolake.wide_kernels import find_places

        table, shift = self._table
        found = np.empty(len(codes), np.int64)
        known = find_places(table, self.codes, shift, np.ascontiguousarray(codes), found)
        assert known
        return found

    @cached_property
    def _table(self) -> tuple[Array, np.uint64]:
        """What :func:`infolake.wide_kernels.find_places` looks codes up in."""
        from infolake.wide_kernels import put_places

        bits = len(self.codes).bit_length() + 1
        table, shift = np.zeros(1 << bits, np.int32), np.uint64(64 - bits)
        put_places(self.codes, shift, table)
        return table, shift

    @cached_property
    def has_missing(self) -> bool:
        """Whether missing is a level that occurs."""
        return bool(len(self.codes)) and int(self.codes[-1]) == self.code.size - 1

    def labels(self, places: Array) -> tuple[Any, ...]:
        """Return the labels of distinct ascending places, and of levels that decide the type of all labels.

        They are missing (None), if any level is, and the highest one, where integers are not signed.
        """
        labels = self.code.levels(self.codes[places]).labels
        if self.has_missing and (not labels or labels[-1] is not None):
            labels = (*labels, None)
        return (*labels, *self._highest)

    @cached_property
    def _highest(self) -> tuple[Any, ...]:
        known = self.codes[: len(self.codes) - self.has_missing]
        highest = self.code.levels(known[-1:])
        return highest.labels if pa.types.is_uint64(highest.values.type) else ()


def in_order(cells: Shard, margins: Sequence[Margin]) -> tuple[Shard, Array, Array]:
    """Return the cells in the order of their levels, and where those stand in the margins."""
    rows, cols = (m.places(c) for m, c in zip(margins, cells.columns, strict=True))
    order = np.argsort(rows * len(margins[1].codes) + cols)
    return cells.chosen(order), rows[order], cols[order]


def cells_batch(counts: Array, rows: Array, cols: Array, margins: Sequence[Margin]) -> TableBatch:
    """Return some cells of a table with the margins of the whole."""
    x, y = margins
    return TableBatch(
        cells=counts,
        rows=rows,
        cols=cols,
        offsets=np.array([0, len(rows)]),
        row_margins=x.counts,
        row_offsets=np.array([0, len(x.counts)]),
        col_margins=y.counts,
        col_offsets=np.array([0, len(y.counts)]),
        totals=np.array([x.counts.sum()]),
        sums_match=False,
    )


@dataclass(frozen=True)
class Best:
    """The cells that a listing shows: those of at least ``min_count``, and of them the ``top`` best.

    Parameters
    ----------
    min_count : number
    top : int or None
    measure : str
        The measure of cells that ranks, or "count", "count_x", "count_y".
    """

    min_count: float
    top: int | None
    measure: str

    def prepared(self, margins: Sequence[Shard]) -> tuple[Margin, ...]:
        """Return the margins as lookups need them."""
        return tuple(Margin.of(m) for m in margins)

    def __call__(self, shard: Shard, margins: Sequence[Margin]) -> Shard:
        """Return the cells of a piece of a shard that may be shown."""
        return self.finished(shard.chosen(shard.counts >= self.min_count), margins)

    def finished(self, answer: Shard, margins: Sequence[Margin]) -> Shard:
        """Return the best cells of a shard, or of all of them."""
        if self.top is None or len(answer) <= self.top:
            return answer
        ordered, rows, cols = in_order(answer, margins)
        return ordered.chosen(self.order(cells_batch(ordered.counts, rows, cols, margins))[: self.top])

    def order(self, batch: TableBatch) -> Array:
        """Return positions of cells that stand in the order of their levels, best first, NaN last."""
        if self.measure in COUNTS:
            values = dict(zip(COUNTS, (batch.cells, *batch.cell_margins[:2]), strict=True))[self.measure]
            return np.argsort(-values, kind="stable")
        measure = catalogue.get(self.measure, per_cell=True)
        sign = -1 if measure.best == "high" else 1
        return np.argsort(sign * measure.evaluate(batch), kind="stable")


@dataclass(frozen=True, eq=False)
class LargeListing:
    """Cells to be listed, best first, with the margins of the whole table; and of the scan, its ledger."""

    batch: TableBatch
    margins: tuple[Margin, Margin]
    ledger: Ledger
    scans: int = 1

    @property
    def shown(self) -> Array:
        """All of its cells."""
        return np.arange(len(self.batch.cells))

    @cached_property
    def _levels(self) -> list[tuple[tuple[Any, ...], Array]]:
        """Per column, the labels of all cells, and which of them each cell has."""
        found = []
        for margin, places in zip(self.margins, (self.batch.rows, self.batch.cols), strict=True):
            shown, codes = np.unique(places, return_inverse=True)
            found.append((margin.labels(shown), codes.ravel()))
        return found

    def levels_of(self, cells: Array) -> list[tuple[Sequence[Any], Array]]:
        """Return per column its labels, and which of them each of some cells has."""
        return [(labels, codes[cells]) for labels, codes in self._levels]


def large_listing(plan: CountPlan, names: tuple[str, str], best: Best, *, level: bool) -> LargeListing:
    """Find the cells to list in shards."""
    whole = Count(keep=EVERY)
    questions: dict[Columns, sharded.Question] = {(0, 1): best, (0,): whole, (1,): whole}
    found = sharded.ask(plan, names, questions, margins={(0, 1): ((0,), (1,))}, level=level)
    x, y = (Margin.of(found.of[group].cells) for group in PAIR[1:])
    ordered, rows, cols = in_order(found.of[0, 1], (x, y))
    order = best.order(cells_batch(ordered.counts, rows, cols, (x, y)))[: best.top]
    batch = cells_batch(ordered.counts[order], rows[order], cols[order], (x, y))
    return LargeListing(batch, (x, y), found.tables.ledger, found.scans)
