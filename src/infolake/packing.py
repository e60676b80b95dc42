"""Which columns are counted together: pure planning, no data.

Small columns share a **supercolumn**, a mixed-radix number below 256, so that one scatter over two
supercolumns counts every pair of the columns they hold; a pair inside one supercolumn comes for
free. Pairs of many columns of few levels are counted by bit planes instead, where that is cheaper.
Groups too large for a table are counted by a flat index of their own, or by sorting.

One scatter costs about 0.45 ns a row. An AND with its popcount costs 0.0005 ns with AVX-512 (VPOPCNTDQ),
0.0024 ns with AVX2: a pair of three-level columns 0.002 (0.01) ns instead of 0.018, its share of a scatter
over two supercolumns of five columns each. The planner reckons with AVX2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SUPER_SIZE = 256
SCATTER_CELLS = 1 << 21
DIRECT_CELLS = 1 << 22
LEAF_CELLS = 1 << 25
KEPT_BYTES = 64 << 20
BUFFER_BYTES = 64 << 20
SCATTER_ANDS = 200  # ANDs of planes that cost as much as one scatter
PLANE_ANDS = 40  # and as making one plane
WORTH_ANDS = 20 * SCATTER_ANDS  # what planes save at least, where they are used
PLANE_WORDS = 512  # of the rows that are made planes before they are counted
TILE = 4  # planes on a side of what is counted at a time
TILES_BESIDE = 8  # tiles side by side that are counted before the next rows of tiles


@dataclass(frozen=True, eq=False)
class Scatter:
    """One pass over the rows: a table over one or two supercolumns and what is read off it.

    Parameters
    ----------
    supers : tuple of int
        The supercolumns that index the table.
    offsets, swapped : ndarray of shape (columns of the first, columns of the second)
        Where each pair starts in the leaf's counts (-1: not asked), and whether its columns are swapped.
    others : tuple of (offset, axes)
        Groups of other arities: where they start, and the axes of the unpacked table they keep.
    """

    supers: tuple[int, ...]
    offsets: Array
    swapped: Array
    others: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class Packing:
    """How a leaf counts its groups.

    Parameters
    ----------
    sizes : tuple of int
        Levels of each column, missing included.
    supercolumns : tuple of tuples of int
        Columns of each supercolumn; the first one varies slowest.
    scatters : tuple of Scatter
    planes : Planes or None
        The pairs counted by bit planes.
    direct : tuple of (group, offset)
        Groups counted by a flat index of their own columns.
    sorted_groups : tuple of int
        Groups counted by sorting packed keys.
    cells : int
        Length of the leaf's flat counts.
    """

    sizes: tuple[int, ...]
    supercolumns: tuple[tuple[int, ...], ...]
    scatters: tuple[Scatter, ...]
    planes: Planes | None
    direct: tuple[tuple[int, int], ...]
    sorted_groups: tuple[int, ...]
    cells: int
    offsets: Array = field(repr=False)

    def super_size(self, number: int) -> int:
        """Return the number of codes of a supercolumn."""
        return math.prod(self.sizes[c] for c in self.supercolumns[number])

    def table_cells(self, scatter: Scatter) -> int:
        """Return the number of cells of a scatter's table."""
        return math.prod(self.super_size(s) for s in scatter.supers)

    @property
    def keeps_tables(self) -> bool:
        """Whether all wide tables of a leaf are held between batches, or one is used again and again."""
        return 4 * sum(self.table_cells(s) for s in self.wide) <= KEPT_BYTES

    @cached_property
    def digits(self) -> Digits:
        """The columns of the supercolumns of bytes, as the arrays that one kernel packs by."""
        return _digits(self)

    @cached_property
    def narrow(self) -> Narrow | None:
        """The scatters over two supercolumns of bytes, as the arrays that one kernel walks through."""
        chosen = [s for s in self.scatters if self._is_narrow(s)]
        return _narrow(self, chosen) if chosen else None

    @cached_property
    def wide(self) -> tuple[Scatter, ...]:
        """The other scatters."""
        return tuple(s for s in self.scatters if not self._is_narrow(s))

    def _is_narrow(self, scatter: Scatter) -> bool:
        small = all(self.super_size(s) <= SUPER_SIZE for s in scatter.supers)
        return len(scatter.supers) == 2 and small and not scatter.others

    def leaf_bytes(self, rows: int) -> int:
        """Return the bytes a leaf of so many rows holds while it counts, beside the batch it reads."""
        tables = 4 * sum(self.table_cells(s) for s in self.wide) if self.keeps_tables else KEPT_BYTES
        buffer = len(self.supercolumns) * min(rows, self.buffer_rows) if self.scatters else 0
        pairs = 8 * SUPER_SIZE**2 if self.narrow else 0
        planes = self.planes.held_bytes if self.planes else 0
        return 8 * self.cells + tables + buffer + pairs + planes

    @property
    def buffer_rows(self) -> int:
        """Rows whose supercolumns of bytes are gathered before they are counted."""
        narrow = sum(self.super_size(s) <= SUPER_SIZE for s in range(len(self.supercolumns)))
        return max(1 << 16, min(BUFFER_BYTES // max(narrow, 1), 1 << 22))


@dataclass(frozen=True, eq=False)
class Planes:
    """Pairs counted by bit planes: see :mod:`infolake.plane_kernels`.

    Parameters
    ----------
    columns : ndarray of int64, shape (P,)
        The columns that have planes: one for each level but the first.
    sizes, starts : ndarray of int64, shapes (P,) and (P + 1,)
        Their levels, and where the planes of each start.
    pairs : ndarray of int64, shape (G, 2)
        Places of the columns of each pair among ``columns``, rows first.
    offsets : ndarray of int64, shape (G,)
        Where the table of each pair starts in the leaf's counts.
    tiles : ndarray of int64, shape (T, 2)
        The blocks of four by four planes that hold all pairs, in the order of counting.
    """

    columns: Array
    sizes: Array
    starts: Array
    pairs: Array
    offsets: Array
    tiles: Array

    @property
    def n_tiles(self) -> int:
        """The groups of four planes."""
        return -(-int(self.starts[-1]) // TILE)

    @property
    def held_bytes(self) -> int:
        """The bytes of the planes of some rows, and of what their pairs share."""
        return 8 * (TILE * self.n_tiles * PLANE_WORDS + TILE**2 * len(self.tiles)) + 4 * self.n_tiles**2

    @property
    def tile_of(self) -> Array:
        """The number of the tile over groups i <= j of four planes (0 where there is none); int32."""
        found = np.zeros((self.n_tiles, self.n_tiles), np.int32)
        found[self.tiles[:, 0], self.tiles[:, 1]] = np.arange(len(self.tiles))
        return found


def _planes(sizes: tuple[int, ...], pairs: Array, offsets: Array) -> Planes:
    """Return the planes of the columns of ``pairs``, and which of them are compared."""
    columns, placed = np.unique(pairs, return_inverse=True)
    placed = placed.reshape(pairs.shape)
    own = np.array(sizes, np.int64)[columns]
    starts = np.concatenate([[0], np.cumsum(own - 1)]).astype(np.int64)
    tiles = _tiles(starts[placed] // TILE, (starts[placed + 1] - 1) // TILE, -(-int(starts[-1]) // TILE))
    return Planes(columns, own, starts, placed, offsets, tiles)


def _tiles(first: Array, last: Array, n: int) -> Array:
    """Return the tiles that hold pairs of columns with planes in the groups ``first`` to ``last``."""
    marked = np.zeros((n, n), np.bool_)
    spans = last - first
    for x in range(1 + int(spans.max(initial=-1))):
        for y in range(1 + int(spans.max(initial=-1))):
            chosen = (spans[:, 0] >= x) & (spans[:, 1] >= y)
            i, j = first[chosen, 0] + x, first[chosen, 1] + y
            marked[np.minimum(i, j), np.maximum(i, j)] = True
    i, j = np.nonzero(marked)
    order = np.lexsort((j, i, j // TILES_BESIDE))
    return np.stack([i[order], j[order]], axis=1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Narrow:
    """The arguments of ``kernels.count_pairs`` that do not depend on the rows; see there."""

    supers: Array
    super_sizes: Array
    starts: Array
    sizes: Array
    strides: Array
    offsets: Array
    offset_starts: Array
    swapped: Array

    @property
    def arguments(self) -> tuple[Array, ...]:
        """The arrays in the kernel's order."""
        found = (self.supers, self.super_sizes, self.starts, self.sizes, self.strides)
        return (*found, self.offsets, self.offset_starts, self.swapped)


@dataclass(frozen=True, eq=False)
class Digits:
    """The columns of all supercolumns of bytes, one after another.

    Parameters
    ----------
    starts : ndarray of int64, shape (supercolumns + 1,)
        Where the columns of each supercolumn start; wide ones, and those no scatter needs, have none here.
    columns, sizes, strides : ndarray of int64
        Number, levels and weight of each column: a packed code is the sum of codes times strides.
    """

    starts: Array
    columns: Array
    sizes: Array
    strides: Array

    def of(self, number: int) -> slice:
        """Return where the columns of a supercolumn stand."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))


def _digits(packing: Packing) -> Digits:
    used = {s for scatter in packing.scatters for s in scatter.supers}
    held = [
        s if i in used and packing.super_size(i) <= SUPER_SIZE else ()
        for i, s in enumerate(packing.supercolumns)
    ]
    strides = [math.prod(packing.sizes[c] for c in s[i + 1 :]) for s in held for i in range(len(s))]
    columns = np.array([c for s in held for c in s], np.int64)
    sizes = np.array(packing.sizes, np.int64)[columns]
    starts = np.cumsum([0, *map(len, held)]).astype(np.int64)
    return Digits(starts, columns, sizes, np.array(strides, np.int64))


def _narrow(packing: Packing, scatters: list[Scatter]) -> Narrow:
    n = len(packing.supercolumns)
    places = np.cumsum([0, *(s.offsets.size for s in scatters)])
    return Narrow(
        np.array([s.supers for s in scatters], np.int64),
        np.array([packing.super_size(s) for s in range(n)], np.int64),
        packing.digits.starts,
        packing.digits.sizes,
        packing.digits.strides,
        np.concatenate([s.offsets.ravel() for s in scatters]).astype(np.int64),
        places[:-1].astype(np.int64),
        np.concatenate([s.swapped.ravel() for s in scatters]),
    )


def supercolumns(sizes: tuple[int, ...], together: tuple[int, ...] = ()) -> tuple[tuple[int, ...], ...]:
    """Pack columns, largest first, into supercolumns of at most 256 codes; wide ones stay alone.

    Columns ``together`` (those of every group) are packed first, side by side.

    Examples
    --------
    >>> supercolumns((2, 300, 16, 16, 3))
    ((1,), (2, 3), (4, 0))
    """
    rest = sorted((c for c in range(len(sizes)) if c not in together), key=lambda c: (-sizes[c], c))
    found: list[list[int]] = []
    room: list[int] = []
    for column in (*together, *rest):
        place = next((i for i, free in enumerate(room) if sizes[column] <= free), None)
        if place is None:
            found.append([column])
            room.append(SUPER_SIZE // max(sizes[column], 1))
        else:
            found[place].append(column)
            room[place] //= max(sizes[column], 1)
    return tuple(tuple(s) for s in found)


@lru_cache(maxsize=32)
def plan(sizes: tuple[int, ...], groups: Groups, scatter_cells: int = SCATTER_CELLS) -> Packing:
    """Plan how a leaf whose columns have ``sizes`` codes counts ``groups``.

    Examples
    --------
    >>> packing = plan((3, 4, 300), Groups.listed([(0, 1), (0, 2), (1, 2)]))
    >>> packing.supercolumns, len(packing.scatters)
    (((2,), (1, 0)), 2)
    """
    index = groups.index
    packed = supercolumns(sizes, groups.common)
    super_of, position = _places(packed, len(sizes))
    products = _products(np.array(sizes, np.float64), index)
    offsets = np.full(len(index), -1, np.int64)
    dense = _within_budget(products)
    ends = np.cumsum(np.where(dense, products, 0)).astype(np.int64)
    offsets[dense] = (ends - np.where(dense, products, 0).astype(np.int64))[dense]
    keys, by_table = _tables(super_of, index, dense)
    capacity = [math.prod(sizes[c] for c in s) for s in packed]
    places = _Places(packed, index, super_of, position, offsets)
    is_pair = (index < len(sizes)).sum(axis=1) == 2
    flat = _flat_tables(sizes, packed, keys, [bool(is_pair[members].all()) for members in by_table])
    scatters, direct, by_planes = [], [], set(flat)
    for number, (supers, members) in enumerate(zip(keys, by_table, strict=True)):
        if number in by_planes:
            continue
        if len(supers) <= 2 and math.prod(capacity[s] for s in supers) <= scatter_cells:
            scatters.append(_scatter(supers, members, places))
        else:
            direct += [(int(g), int(offsets[g])) for g in members]
    members = np.sort(np.concatenate([np.zeros(0, np.int64), *(by_table[t] for t in flat)]))
    planes = _planes(sizes, index[members, :2], offsets[members]) if flat else None
    cells = int(ends[-1]) if len(ends) else 0
    by_sort = tuple(np.flatnonzero(~dense).tolist())
    return Packing(sizes, packed, tuple(scatters), planes, tuple(direct), by_sort, cells, offsets)


def _flat_tables(
    sizes: tuple[int, ...],
    packed: tuple[tuple[int, ...], ...],
    keys: list[tuple[int, ...]],
    pairs: list[bool],
) -> list[int]:
    """Return the tables to count by bit planes: those that cost less so, if that pays for making planes.

    ``pairs`` tells the tables that only pairs are read off.
    """
    n_planes = [sum(sizes[c] - 1 for c in s) if all(sizes[c] for c in s) else SCATTER_ANDS for s in packed]
    chosen, saved = [], 0
    for number, (supers, only_pairs) in enumerate(zip(keys, pairs, strict=True)):
        most = max(n_planes[s] for s in supers)
        if only_pairs and len(supers) <= 2 and most**2 <= SCATTER_ANDS:
            chosen.append(number)
            saved += SCATTER_ANDS - math.prod(n_planes[s] for s in supers)
    used = {s for t in chosen for s in keys[t]}
    return chosen if saved >= WORTH_ANDS + PLANE_ANDS * sum(n_planes[s] for s in used) else []


def _within_budget(products: Array) -> Array:
    """Return which groups get a table: the small ones first, as long as all of them fit a leaf."""
    order = np.argsort(products, kind="stable")
    fits = (products[order] <= DIRECT_CELLS) & (np.cumsum(products[order]) <= LEAF_CELLS)
    dense = np.empty(len(products), np.bool_)
    dense[order] = fits
    return dense


def _places(packed: tuple[tuple[int, ...], ...], n: int) -> tuple[Array, Array]:
    super_of, position = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    for number, columns in enumerate(packed):
        for place, column in enumerate(columns):
            super_of[column], position[column] = number, place
    super_of[n] = -1
    return super_of, position


def _products(sizes: Array, index: Array) -> Array:
    padded = np.append(sizes, 1.0)
    found: Array = padded[index].prod(axis=1)
    return found


def _tables(super_of: Array, index: Array, dense: Array) -> tuple[list[tuple[int, ...]], list[Array]]:
    """Group the dense groups by the set of supercolumns they need."""
    chosen = np.flatnonzero(dense)
    if not len(chosen):
        return [], []
    supers = np.sort(super_of[index[chosen]], axis=1)
    repeated = np.zeros_like(supers, bool)
    repeated[:, 1:] = supers[:, 1:] == supers[:, :-1]
    supers = np.sort(np.where(repeated, -1, supers), axis=1)
    unique, inverse = _distinct(supers)
    order = np.argsort(inverse.ravel(), kind="stable")
    parts = np.split(chosen[order], np.cumsum(np.bincount(inverse.ravel()))[:-1])
    return [tuple(int(s) for s in row if s >= 0) for row in unique], parts


def _distinct(rows: Array) -> tuple[Array, Array]:
    """Return the distinct rows of numbers from -1 on, in order, and which of them each row is."""
    size = int(rows.max()) + 2
    if size ** rows.shape[1] >= 2**63:
        return np.unique(rows, axis=0, return_inverse=True)
    keys = np.zeros(len(rows), np.int64)
    for column in rows.T:
        keys = keys * size + column + 1
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], inverse


@dataclass(frozen=True, eq=False)
class _Places:
    """Where columns and groups stand: columns of groups, supercolumn and position of each column, offsets."""

    packed: tuple[tuple[int, ...], ...]
    index: Array
    super_of: Array
    position: Array
    offsets: Array


def _scatter(supers: tuple[int, ...], members: Array, places: _Places) -> Scatter:
    """Return the scatter over ``supers`` that answers the groups ``members``."""
    index, n = places.index, len(places.position) - 1
    shape = tuple(len(places.packed[s]) for s in supers) if len(supers) == 2 else (0, 0)
    starts, swapped = np.full(shape, -1, np.int64), np.zeros(shape, np.bool_)
    if len(supers) == 2:
        pairs = (index[members] < n).sum(axis=1) == 2
        x, y = index[members[pairs], 0], index[members[pairs], 1]
        turned = places.super_of[x] == supers[1]
        first, second = np.where(turned, y, x), np.where(turned, x, y)
        starts[places.position[first], places.position[second]] = places.offsets[members[pairs]]
        swapped[places.position[first], places.position[second]] = turned
        members = members[~pairs]
    axis = {c: a for a, c in enumerate(c for s in supers for c in places.packed[s])}
    others = tuple(
        (int(places.offsets[g]), tuple(axis[c] for c in index[g].tolist() if c < n)) for g in members
    )
    return Scatter(supers, starts, swapped, others)


@dataclass(frozen=True)
class Groups:
    """The groups of columns to count, by column number.

    Parameters
    ----------
    n_columns : int
    kind : {"pairs", "target", "columns", "listed"}
        All pairs; the pairs with column ``target``; each column alone; or ``given``.

    Examples
    --------
    >>> Groups(3, "pairs").index.tolist()
    [[0, 1], [0, 2], [1, 2]]
    >>> Groups(3, "target", target=1).index.tolist()
    [[0, 1], [1, 2]]
    """

    n_columns: int
    kind: str
    target: int = -1
    given: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def listed(cls, given: list[tuple[int, ...]], n_columns: int | None = None) -> Groups:
        """Return the groups ``given`` as tuples of column numbers."""
        n = 1 + max(c for g in given for c in g) if n_columns is None else n_columns
        return cls(n, "listed", given=tuple(given))

    def __len__(self) -> int:
        return len(self.index)

    @property
    def index(self) -> Array:
        """Column numbers, one row per group, shorter groups filled with ``n_columns``; int64."""
        return _index(self)

    @property
    def common(self) -> tuple[int, ...]:
        """Columns that every group of three and more columns holds."""
        large = [set(g) for g in self.given if len(g) > 2]
        return tuple(sorted(set.intersection(*large))) if large else ()


@lru_cache(maxsize=32)
def _index(groups: Groups) -> Array:
    n = groups.n_columns
    if groups.kind == "pairs":
        found = np.stack(np.triu_indices(n, 1), axis=1)
    elif groups.kind == "target":
        others = [c for c in range(n) if c != groups.target]
        found = np.array([sorted((c, groups.target)) for c in others], np.int64).reshape(-1, 2)
    elif groups.kind == "columns":
        found = np.arange(n).reshape(-1, 1)
    else:
        width = max((len(g) for g in groups.given), default=1)
        found = np.array([[*g, *[n] * (width - len(g))] for g in groups.given], np.int64).reshape(-1, width)
    found = found.astype(np.int64)
    found.setflags(write=False)
    return found
