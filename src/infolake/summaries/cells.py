"""Cells of many groups: dense ones in one flat array, sparse ones as sorted codes.

A count is held in **channels**, a pair of name and exponent: ``("count", 0)`` is a plain int64;
``("weight", e)`` and ``("square", e)`` are base-2**32 digits of exact sums of float weights and of
squared weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from infolake.packing import Groups
from infolake.summaries.exact import BASE_BITS, carried, scaled, to_floats

Array = np.ndarray[Any, Any]
Channel = tuple[str, int]
DENSE_CELLS = 1 << 16
COUNT: tuple[Channel, ...] = (("count", 0),)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each group's cells stand, for given numbers of levels.

    Parameters
    ----------
    sizes : ndarray of int64, shape (columns,)
    dense : ndarray of bool, shape (groups,)
        A group is dense where the product of its levels is at most 65,536.
    offsets : ndarray of int64, shape (groups + 1,)
        Start of each dense group in the flat array.
    """

    sizes: Array
    dense: Array
    offsets: Array

    @property
    def cells(self) -> int:
        """Length of the flat array."""
        return int(self.offsets[-1])


@lru_cache(maxsize=32)
def layout(sizes: tuple[int, ...], groups: Groups) -> Layout:
    """Return the layout of ``groups`` over columns with ``sizes`` levels.

    Examples
    --------
    >>> layout((2, 3, 100000), Groups(3, "pairs")).offsets.tolist()
    [0, 6, 6, 6]
    """
    padded = np.array([*sizes, 1], np.float64)
    products = padded[groups.index].prod(axis=1)
    dense = products <= DENSE_CELLS
    offsets = np.zeros(len(groups) + 1, np.int64)
    np.cumsum(np.where(dense, products, 0).astype(np.int64), out=offsets[1:])
    return Layout(np.array(sizes, np.int64), dense, offsets)


@dataclass(frozen=True, eq=False)
class Sparse:
    """Non-zero cells of one group in row-major order.

    Parameters
    ----------
    codes : ndarray of int64, shape (cells, columns)
    values : ndarray of int64, shape (channels, cells)
    """

    codes: Array
    values: Array

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self.codes.nbytes + self.values.nbytes)

    def equals(self, other: Sparse) -> bool:
        """Return True for the same cells."""
        return np.array_equal(self.codes, other.codes) and np.array_equal(self.values, other.values)


def row_keys(codes: Array, sizes: Array) -> Array:
    """Return one int64 per row of ``codes`` that sorts as the rows do.

    Codes whose packed number would pass 2**63 are ranked column by column first.
    """
    key = np.zeros(len(codes), np.int64)
    span = 1
    for column in range(codes.shape[1]):
        size = int(sizes[column])
        if span * size >= 2**63:
            _, key = np.unique(key, return_inverse=True)
            span = int(key.max(initial=0)) + 1
        key = key * size + codes[:, column]
        span *= size
    return key


def grouped(codes: Array, values: Array, sizes: Array) -> Sparse:
    """Sort rows of codes and add the values of equal ones; cells that are zero vanish."""
    if not len(codes):
        return Sparse(codes.astype(np.int64), values)
    keys = row_keys(codes, sizes)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    summed = np.add.reduceat(values[:, order], starts, axis=1)
    kept = summed.any(axis=0)
    return Sparse(np.ascontiguousarray(codes[order[starts[kept]]]).astype(np.int64), summed[:, kept])


def to_dense(part: Sparse, sizes: Array) -> Array:
    """Return the flat dense table (channels, product of sizes) of sparse cells."""
    out = np.zeros((len(part.values), int(np.prod(sizes))), np.int64)
    out[:, np.ravel_multi_index(tuple(part.codes.T), tuple(sizes))] = part.values
    return out


def to_sparse(values: Array, sizes: Array) -> Sparse:
    """Return the non-zero cells of a flat dense table (channels, product of sizes)."""
    chosen = np.flatnonzero(values.any(axis=0))
    codes = np.stack(np.unravel_index(chosen, tuple(sizes)), axis=1)
    return Sparse(codes.astype(np.int64), values[:, chosen])


def realigned(
    source: tuple[Array, Array, Array], columns: Array, maps: list[Array], target: tuple[Array, Array, Array]
) -> None:
    """Move dense tables to new levels, adding into the target.

    ``source`` and ``target`` hold values (channels, cells), offsets (groups,) and sizes (columns,);
    ``columns`` lists the columns of each group, filled with the number of columns; ``maps`` gives the
    new code of each old one.
    """
    from infolake.kernels import realign

    n = len(maps)
    small = (columns < n).sum(axis=1) <= 2
    starts = np.cumsum([0, *(len(m) for m in maps)]).astype(np.int64)
    flat = np.concatenate([*maps, np.zeros(0, np.int64)])
    pairs = np.full((int(small.sum()), 2), n, np.int64)
    pairs[:, : columns.shape[1]] = columns[small][:, :2]
    for own, out in zip(source[0], target[0], strict=True):
        realign(own, source[1][small], pairs, source[2], flat, starts, target[2], out, target[1][small])
    for group in np.flatnonzero(~small).tolist():
        members = columns[group][columns[group] < n]
        shape, new = source[2][members], target[2][members]
        start = int(source[1][group])
        part = to_sparse(source[0][:, start : start + int(shape.prod())], shape)
        codes = np.stack([maps[c][part.codes[:, i]] for i, c in enumerate(members.tolist())], axis=1)
        first = int(target[1][group])
        target[0][:, first : first + int(new.prod())] += to_dense(Sparse(codes, part.values), new)


def aligned(values: Array, own: tuple[Channel, ...], channels: tuple[Channel, ...]) -> Array:
    """Return ``values`` with one row per channel of ``channels``, zeros where it has none."""
    if own == channels:
        return values
    out = np.zeros((len(channels), values.shape[1]), np.int64)
    for i, channel in enumerate(own):
        out[channels.index(channel)] = values[i]
    return out


def settle(
    channels: tuple[Channel, ...], dense: Array, sparse: dict[int, Sparse]
) -> tuple[tuple[Channel, ...], Array, dict[int, Sparse]]:
    """Settle the carries of digit channels over all cells; empty channels vanish."""
    if channels == COUNT:
        return channels, dense, sparse
    blocks = [dense, *(s.values for s in sparse.values())]
    joined = np.concatenate(blocks, axis=1)
    rows: dict[Channel, Array] = {}
    for name in sorted({n for n, _ in channels}):
        planes = {e: joined[i] for i, (n, e) in enumerate(channels) if n == name}
        settled = planes if name == "count" else carried(planes)
        rows |= {(name, e): p for e, p in settled.items()}
    values = np.stack(list(rows.values())) if rows else np.zeros((0, joined.shape[1]), np.int64)
    parts = np.split(values, np.cumsum([b.shape[1] for b in blocks])[:-1], axis=1)
    kept = {g: Sparse(s.codes, parts[i + 1]) for i, (g, s) in enumerate(sparse.items())}
    return tuple(rows), parts[0], kept


def amounts(channels: tuple[Channel, ...], values: Array) -> Array:
    """Return what cells count: int64 for rows and integer weights, float64 for float weights."""
    if COUNT[0] in channels:
        counts: Array = values[channels.index(COUNT[0])]
        return counts
    return to_floats(_planes(channels, values, "weight"), values.shape[1])


def effective_numbers(channels: tuple[Channel, ...], values: Array) -> Array:
    """Return Kish's effective number of rows of each cell: (sum of weights)**2 / sum of squared weights."""
    squares, exponent = scaled(_planes(channels, values, "square"), values.shape[1])
    weights = np.ldexp(amounts(channels, values).astype(np.float64), -BASE_BITS // 2 * exponent)
    with np.errstate(invalid="ignore"):
        effective: Array = weights**2 / squares
    return effective


def _planes(channels: tuple[Channel, ...], values: Array, name: str) -> dict[int, Array]:
    return {e: values[i] for i, (n, e) in enumerate(channels) if n == name}
