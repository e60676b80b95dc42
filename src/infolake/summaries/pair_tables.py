"""The contingency tables of many pairs of columns, read off joint counts as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from infolake.summaries.cells import Sparse, amounts, grouped, row_keys, to_sparse
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
    squares : ndarray of float64, shape (pairs,), or None
        Sums of squared weights of the rows in each table.
    """

    batch: TableBatch
    n_missing: Array
    squares: Array | None


@dataclass(frozen=True, eq=False)
class _Listed:
    """Cells of several tables: table number, row, column, values (channels, cells)."""

    table: Array
    rows: Array
    cols: Array
    values: Array


def pair_tables(counts: JointCounts, pairs: Sequence[tuple[str, str]], missing: str) -> PairTables:
    """Read the tables of ``pairs`` off ``counts``."""
    numbers = np.array([[counts.request.number(x), counts.request.number(y)] for x, y in pairs], np.int64)
    numbers = numbers.reshape(-1, 2)
    groups = _groups(counts, numbers)
    cells = _sorted(_gather(counts, numbers, groups))
    sizes = counts.layout.sizes[numbers]
    values = np.array([len(s.values) for s in counts.level_sets], np.int64)[numbers]
    kept = np.ones(len(cells.table), bool)
    if missing == "pairwise":
        kept = (cells.rows < values[cells.table, 0]) & (cells.cols < values[cells.table, 1])
        sizes = values
    offsets = np.concatenate([[0], np.cumsum(np.bincount(cells.table[kept], minlength=len(numbers)))])
    batch = TableBatch.from_cells(
        amounts(counts.channels, cells.values[:, kept]),
        cells.rows[kept],
        cells.cols[kept],
        offsets.astype(np.int64),
        np.ascontiguousarray(sizes[:, 0]),
        np.ascontiguousarray(sizes[:, 1]),
    )
    squares = _sums(counts, cells, kept, len(numbers), "square") if counts.weighted else None
    return PairTables(batch, _sums(counts, cells, ~kept, len(numbers)), squares)


def _groups(counts: JointCounts, numbers: Array) -> Array:
    """Return the counted group of each pair; -1 where only a larger group holds it."""
    index = counts.request.groups.index
    n = len(counts.columns)
    two = np.flatnonzero((index < n).sum(axis=1) == 2)
    held = np.sort(index[two], axis=1)[:, :2]
    keys = held[:, 0] * n + held[:, 1]
    order = np.argsort(keys, kind="stable")
    wanted = np.sort(numbers, axis=1)
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
    rest = np.setdiff1d(np.arange(len(numbers)), dense)
    for table in rest.tolist():
        part = _single(counts, numbers[table].tolist(), int(groups[table]))
        parts.append(
            _Listed(np.full(len(part.codes), table, np.int64), part.codes[:, 0], part.codes[:, 1], part.values)
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
    order = np.lexsort((cells.cols, cells.rows, cells.table))
    if np.array_equal(order, np.arange(len(order))):
        return cells
    return _Listed(cells.table[order], cells.rows[order], cells.cols[order], cells.values[:, order])


def _sums(counts: JointCounts, cells: _Listed, kept: Array, n_tables: int, name: str = "") -> Array:
    """Return the exact total of the kept cells of each table."""
    bounds = np.searchsorted(cells.table[kept], np.arange(n_tables + 1))
    running = np.zeros((len(counts.channels), int(kept.sum()) + 1), np.int64)
    np.cumsum(cells.values[:, kept], axis=1, out=running[:, 1:])
    sums = running[:, bounds[1:]] - running[:, bounds[:-1]]
    return amounts(counts.channels, sums, name)


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
    squares : ndarray of float64, shape (pairs,), or None
    """

    batch: TableBatch
    groups: Array
    n_missing: Array
    squares: Array | None


def strata_tables(
    counts: JointCounts, pairs: Sequence[tuple[str, str]], given: Sequence[str], missing: str
) -> StrataTables:
    """Read the tables of ``pairs`` within the levels of ``given`` off ``counts``."""
    parts = [_strata_of(counts, (x, y, *given)) for x, y in pairs]
    kept = [_complete(counts, p, (x, y, *given), missing) for p, (x, y) in zip(parts, pairs, strict=True)]
    cells = _strata_cells(counts, parts, kept, pairs, given)
    table, first = np.unique(cells.table, return_index=True)
    number = np.searchsorted(table, cells.table)
    pair = np.repeat(np.arange(len(pairs)), [int(k.sum()) for k in kept])[first]
    sizes = np.array([[counts.layout.sizes[counts.request.number(c)] for c in xy] for xy in pairs], np.int64)
    offsets = np.concatenate([first, [len(number)]]).astype(np.int64)
    amount = amounts(counts.channels, cells.values)
    batch = TableBatch.from_cells(amount, cells.rows, cells.cols, offsets, sizes[pair, 0], sizes[pair, 1])
    left = [_total(counts, p, ~k) for p, k in zip(parts, kept, strict=True)]
    squares = [_total(counts, p, k, "square") for p, k in zip(parts, kept, strict=True)] if counts.weighted else None
    return StrataTables(batch, pair, np.array(left), None if squares is None else np.array(squares))


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
    counts: JointCounts, parts: list[Sparse], kept: list[Array], pairs: Sequence[Any], given: Sequence[str]
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
    return _Listed(np.concatenate(tables), np.concatenate(rows), np.concatenate(cols), np.concatenate(values, axis=1))


def _total(counts: JointCounts, part: Sparse, chosen: Array, name: str = "") -> Any:
    summed = part.values[:, chosen].sum(axis=1).reshape(-1, 1)
    return amounts(counts.channels, summed, name)[0]
