"""The contingency tables of many pairs of columns, read off joint counts as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from infolake.summaries.cells import COUNT, Sparse, amounts, effective_numbers, grouped, row_keys, to_sparse
from infolake.tables import TableBatch

if TYPE_CHECKING:
    from infolake.summaries.joint_counts import JointCounts

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class PairTables:
    """Tables of pairs (x, y), in the order asked for.

    Parameters
    ----------
    batch : TableBatch
        One table per pair.
    n_missing : ndarray, shape (pairs,)
        What the tables leave out for a missing value (rows, or weight).
    n_effective : ndarray of float64, shape (pairs,), or None
        Kish's effective number of rows of each table, where rows carry weights.
    """

    batch: TableBatch
    n_missing: Array
    n_effective: Array | None


@dataclass(frozen=True, eq=False)
class _Listed:
    """Cells of several tables: table number, row, column, values (channels, cells)."""

    table: Array
    rows: Array
    cols: Array
    values: Array


def pair_tables(counts: JointCounts, pairs: Sequence[tuple[str, str]] | Array, missing: str) -> PairTables:
    """Read the tables of ``pairs`` (names, or numbers of columns) off ``counts``."""
    numbers = pairs if isinstance(pairs, np.ndarray) else _numbers(counts, pairs)
    groups = _groups(counts, numbers)
    if counts.channels == COUNT and (groups >= 0).all() and counts.layout.dense[groups].all():
        return _dense_tables(counts, numbers, groups, missing)
    return _listed_tables(counts, numbers, groups, missing)


def _dense_tables(counts: JointCounts, numbers: Array, groups: Array, missing: str) -> PairTables:
    """Read tables that are all dense, and count rows."""
    from infolake.summaries.dense_pairs import count_cells, list_cells

    index = counts.request.groups.index[groups, :2]
    levels = counts.layout.sizes
    if missing == "pairwise":
        levels = np.array([len(s.values) for s in counts.level_sets], np.int64)
    source = (counts.dense[0], counts.layout.offsets[groups], counts.layout.sizes[index], levels[index])
    n_cells, left, totals = (np.zeros(len(numbers), np.int64) for _ in range(3))
    count_cells(*source, n_cells, left)
    offsets, *starts = (_starts(sizes) for sizes in (n_cells, *levels[numbers].T))
    cells, rows, cols = (np.empty(int(offsets[-1]), np.int64) for _ in range(3))
    margins = tuple(np.zeros(int(s[-1]), np.int64) for s in starts)
    turned = index[:, 0] != numbers[:, 0]
    list_cells(*source, turned, offsets, cells, rows, cols, margins, tuple(starts), totals)
    batch = TableBatch(cells, rows, cols, offsets, margins[0], starts[0], margins[1], starts[1], totals)
    return PairTables(batch, left, None)


def _starts(sizes: Array) -> Array:
    return np.concatenate([[0], np.cumsum(sizes)])


def _listed_tables(counts: JointCounts, numbers: Array, groups: Array, missing: str) -> PairTables:
    """Read tables of any kind."""
    cells = _sorted(_gather(counts, numbers, groups))
    sizes = counts.layout.sizes[numbers]
    values = np.array([len(s.values) for s in counts.level_sets], np.int64)[numbers]
    kept = np.ones(len(cells.table), bool)
    if missing == "pairwise":
        kept = (cells.rows < values[cells.table, 0]) & (cells.cols < values[cells.table, 1])
        sizes = values
    offsets = np.concatenate([[0], np.cumsum(np.bincount(cells.table[kept], minlength=len(numbers)))])
    used, left = (_sums(counts, cells, chosen, len(numbers)) for chosen in (kept, ~kept))
    effective = effective_numbers(counts.channels, used) if counts.weighted else None
    batch = TableBatch.from_cells(
        amounts(counts.channels, cells.values[:, kept]),
        cells.rows[kept],
        cells.cols[kept],
        offsets.astype(np.int64),
        np.ascontiguousarray(sizes[:, 0]),
        np.ascontiguousarray(sizes[:, 1]),
        effective,
    )
    return PairTables(batch, amounts(counts.channels, left), effective)


def _numbers(counts: JointCounts, pairs: Sequence[tuple[str, str]]) -> Array:
    """Return the positions of the columns of each pair."""
    place = {c: i for i, c in enumerate(counts.columns)}
    try:
        found = np.fromiter(map(place.__getitem__, chain.from_iterable(pairs)), np.int64, 2 * len(pairs))
    except KeyError as error:
        counts.request.number(error.args[0])
        raise
    return found.reshape(-1, 2)


def _groups(counts: JointCounts, numbers: Array) -> Array:
    """Return the counted group of each pair; -1 where only a larger group holds it."""
    index = counts.request.groups.index
    n = len(counts.columns)
    wanted = np.sort(numbers, axis=1)
    if counts.request.groups.kind == "pairs":
        first, second = wanted.T
        return np.asarray(first * (2 * n - first - 1) // 2 + second - first - 1)
    two = np.flatnonzero((index < n).sum(axis=1) == 2)
    held = np.sort(index[two], axis=1)[:, :2]
    keys = held[:, 0] * n + held[:, 1]
    order = np.argsort(keys, kind="stable")
    wanted_keys = wanted[:, 0] * n + wanted[:, 1]
    if not len(keys):
        return np.full(len(numbers), -1, np.int64)
    place = np.minimum(np.searchsorted(keys[order], wanted_keys), len(keys) - 1)
    found = two[order[place]]
    return np.where(keys[order[place]] == wanted_keys, found, -1)


def _gather(counts: JointCounts, numbers: Array, groups: Array) -> _Listed:
    """List the non-zero cells of all tables, dense groups first."""
    own = counts.layout
    dense = np.flatnonzero((groups >= 0) & own.dense[groups])
    parts = [_dense_cells(counts, dense, groups[dense])] if len(dense) else []
    swapped = np.zeros(len(numbers), bool)
    swapped[dense] = counts.request.groups.index[groups[dense], 0] != numbers[dense, 0]
    rest = np.ones(len(numbers), bool)
    rest[dense] = False
    for number in np.flatnonzero(rest).tolist():
        part = _single(counts, numbers[number].tolist(), int(groups[number]))
        parts.append(
            _Listed(
                np.full(len(part.codes), number, np.int64), part.codes[:, 0], part.codes[:, 1], part.values
            )
        )
    if not parts:
        none = np.zeros(0, np.int64)
        return _Listed(none, none, none, np.zeros((len(counts.channels), 0), np.int64))
    table = np.concatenate([p.table for p in parts])
    rows = np.concatenate([p.rows for p in parts])
    cols = np.concatenate([p.cols for p in parts])
    turned = swapped[table]
    values = np.concatenate([p.values for p in parts], axis=1)
    return _Listed(table, np.where(turned, cols, rows), np.where(turned, rows, cols), values)


def _dense_cells(counts: JointCounts, tables: Array, groups: Array) -> _Listed:
    own, index = counts.layout, counts.request.groups.index
    if np.array_equal(groups, np.arange(len(own.dense))):
        flat, lengths = counts.dense, np.diff(own.offsets)
    else:
        lengths = np.diff(own.offsets)[groups]
        shift = np.repeat(own.offsets[groups] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        flat = counts.dense[:, np.arange(len(shift)) + shift]
    part = to_sparse(flat, np.array([flat.shape[1]])) if flat.shape[1] else None
    if part is None:
        none = np.zeros(0, np.int64)
        return _Listed(none, none, none, flat)
    position = part.codes[:, 0]
    ends = np.cumsum(lengths)
    which = np.searchsorted(ends, position, side="right")
    local = position - (ends - lengths)[which]
    rows, cols = np.divmod(local, own.sizes[index[groups, 1]][which])
    return _Listed(tables[which], rows, cols, part.values)


def _single(counts: JointCounts, numbers: list[int], group: int) -> Sparse:
    """Return the cells of one pair, marginalized from the smallest group that holds it."""
    found = counts._marginal(numbers)
    if group >= 0 and counts.request.groups.index[group, 0] == numbers[0]:
        return found
    return grouped(found.codes, found.values, counts.layout.sizes[numbers])


def _sorted(cells: _Listed) -> _Listed:
    """Order cells by table, row and column."""
    width = int(cells.cols.max(initial=0)) + 1
    within = cells.rows * width + cells.cols
    step = np.diff(cells.table)
    if ((step > 0) | ((step == 0) & (np.diff(within) > 0))).all():
        return cells
    order = np.lexsort((cells.cols, cells.rows, cells.table))
    return _Listed(cells.table[order], cells.rows[order], cells.cols[order], cells.values[:, order])


def _sums(counts: JointCounts, cells: _Listed, kept: Array, n_tables: int) -> Array:
    """Return the exact total of the kept cells of each table, (channels, tables)."""
    bounds = np.searchsorted(cells.table[kept], np.arange(n_tables + 1))
    running = np.zeros((len(counts.channels), int(kept.sum()) + 1), np.int64)
    np.cumsum(cells.values[:, kept], axis=1, out=running[:, 1:])
    return running[:, bounds[1:]] - running[:, bounds[:-1]]


@dataclass(frozen=True, eq=False)
class StrataTables:
    """Tables of pairs (x, y) within each level of the conditioning columns.

    Parameters
    ----------
    batch : TableBatch
        One table per pair and non-empty stratum.
    groups : ndarray of int64, shape (tables,)
        The pair of each table.
    n_missing : ndarray, shape (pairs,)
    n_effective : ndarray of float64, shape (pairs,), or None
        Kish's effective number of rows in each pair's tables, where rows carry weights.
    """

    batch: TableBatch
    groups: Array
    n_missing: Array
    n_effective: Array | None


def strata_tables(
    counts: JointCounts, pairs: Sequence[tuple[str, str]], given: Sequence[str], missing: str
) -> StrataTables:
    """Read the tables of ``pairs`` within the levels of ``given`` off ``counts``."""
    parts = [_strata_of(counts, (x, y, *given)) for x, y in pairs]
    kept = [_complete(counts, p, (x, y, *given), missing) for p, (x, y) in zip(parts, pairs, strict=True)]
    cells = _strata_cells(counts, parts, kept, given)
    table, first = np.unique(cells.table, return_index=True)
    number = np.searchsorted(table, cells.table)
    pair = np.repeat(np.arange(len(pairs)), [int(k.sum()) for k in kept])[first]
    sizes = np.array([[counts.layout.sizes[counts.request.number(c)] for c in xy] for xy in pairs], np.int64)
    offsets = np.concatenate([first, [len(number)]]).astype(np.int64)
    amount = amounts(counts.channels, cells.values)
    own = effective_numbers(counts.channels, _runs(cells.values, first)) if counts.weighted else None
    batch = TableBatch.from_cells(
        amount, cells.rows, cells.cols, offsets, sizes[pair, 0], sizes[pair, 1], own
    )
    left = _totals(parts, [~k for k in kept])
    effective = effective_numbers(counts.channels, _totals(parts, kept)) if counts.weighted else None
    return StrataTables(batch, pair, amounts(counts.channels, left), effective)


def _strata_of(counts: JointCounts, columns: tuple[str, ...]) -> Sparse:
    numbers = [counts.request.number(c) for c in columns]
    found = counts._marginal(numbers)
    return grouped(found.codes, found.values, counts.layout.sizes[numbers])


def _complete(counts: JointCounts, part: Sparse, columns: tuple[str, ...], missing: str) -> Array:
    kept = np.ones(len(part.codes), bool)
    if missing == "level":
        return kept
    for axis, column in enumerate(columns):
        levels = counts.level_sets[counts.request.number(column)]
        kept &= part.codes[:, axis] < len(levels.values)
    return kept


def _strata_cells(
    counts: JointCounts, parts: list[Sparse], kept: list[Array], given: Sequence[str]
) -> _Listed:
    """List the kept cells of all pairs by stratum; table numbers ascend but may skip."""
    sizes = counts.layout.sizes[[counts.request.number(c) for c in given]]
    tables, rows, cols, values = [], [], [], []
    start = 0
    for part, keep in zip(parts, kept, strict=True):
        codes = part.codes[keep]
        _, stratum = np.unique(row_keys(codes[:, 2:], sizes), return_inverse=True)
        order = np.lexsort((codes[:, 1], codes[:, 0], stratum))
        tables.append(start + stratum[order])
        rows.append(codes[order, 0])
        cols.append(codes[order, 1])
        values.append(part.values[:, keep][:, order])
        start += int(stratum.max(initial=-1)) + 1
    return _Listed(
        np.concatenate(tables), np.concatenate(rows), np.concatenate(cols), np.concatenate(values, axis=1)
    )


def _runs(values: Array, starts: Array) -> Array:
    """Return the exact sum of the values of each run of cells, (channels, runs)."""
    return np.add.reduceat(values, starts, axis=1) if len(starts) else values


def _totals(parts: list[Sparse], chosen: list[Array]) -> Array:
    """Return the exact total of the chosen cells of each pair, (channels, pairs)."""
    return np.stack([p.values[:, c].sum(axis=1) for p, c in zip(parts, chosen, strict=True)], axis=1)
