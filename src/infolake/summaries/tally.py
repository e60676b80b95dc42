"""Counts of a leaf under one packing, before they become canonical."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from infolake.encoding.columns import pooled
from infolake.encoding.levels import Levels, canonical
from infolake.packing import SUPER_SIZE, Packing, Scatter
from infolake.summaries.byte_packing import BytePacker, Encoded
from infolake.summaries.cells import (
    COUNT,
    Array,
    Channel,
    Sparse,
    grouped,
    layout,
    realigned,
    settle,
    to_dense,
)
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.ledger import Ledger
from infolake.summaries.plane_counting import PlaneCounter
from infolake.summaries.request import Request

PENDING_CELLS = 1 << 22


@dataclass(frozen=True, eq=False)
class _Piece:
    """Cells of a sorted group: codes (cells, columns) and the values of each channel."""

    codes: Array
    values: dict[Channel, Array]


class _Codes:
    """Codes of the columns of a batch, made when first asked for."""

    def __init__(self, encoded: Encoded, shifts: tuple[int, ...]) -> None:
        self.encoded = encoded
        self.shifts = shifts
        self.made: dict[int, Array] = {}

    def __getitem__(self, column: int) -> Array:
        if column not in self.made:
            indices, table = self.encoded[column]
            self.made[column] = (table + self.shifts[column])[indices]
        return self.made[column]


class Tally:
    """Counts batches of encoded columns under one packing.

    Parameters
    ----------
    packing : Packing
    request : Request
    shifts : tuple of int
        1 for a column with missing values, which then have code 0; else 0.
    flush_rows : int
        Rows after which the uint32 tables are emptied into int64, before any cell can wrap.
    """

    def __init__(self, packing: Packing, request: Request, shifts: tuple[int, ...], flush_rows: int) -> None:
        self.packing = packing
        self.request = request
        self.shifts = shifts
        self.flush_rows = flush_rows
        self.flat: dict[Channel, Array] = {}
        self.tables: list[Array] | None = None
        self.scattered = 0
        self.buffer: Array | None = None
        self.held = 0
        self.packer = BytePacker(packing, shifts)
        self.planes = PlaneCounter(packing.planes, shifts) if packing.planes is not None else None
        self.pending: dict[int, list[_Piece]] = {g: [] for g in packing.sorted_groups}

    def holds(self, sizes: tuple[int, ...], shifts: tuple[int, ...]) -> bool:
        """Whether every code fits the packing."""
        return shifts == self.shifts and all(s <= c for s, c in zip(sizes, self.packing.sizes, strict=True))

    def update(self, encoded: Encoded, weights: dict[Channel, Array], n: int) -> None:
        """Count one batch of ``n`` rows; ``weights`` holds an array per channel, or nothing."""
        from infolake.kernels import scatter_one

        codes = _Codes(encoded, self.shifts)
        if self.request.weights is not None:
            for channel, values in weights.items():
                self._weigh(codes, channel, values)
        else:
            self._scatter_all(encoded, n)
            if self.planes is not None:
                self.planes.update(encoded, n)
            for group, offset in self.packing.direct:
                cells, size = self._flat_index(codes, group)
                scatter_one(cells, self._channel(COUNT[0])[offset : offset + size])
        for group in self.packing.sorted_groups:
            self._sort(codes, group, weights)

    # -- one cell increment per row and table

    def _scatter_all(self, encoded: Encoded, n: int) -> None:
        """Pack the rows into a buffer; narrow tables are counted when it is full, wide ones at once."""
        room = min(self.packing.buffer_rows, self.flush_rows)
        for start in range(0, n if self.packing.scatters else 0, room):
            rows = range(start, min(start + room, n))
            packed = self._gathered(encoded, rows, room)
            if self.packing.wide:
                self._scatter_wide(encoded, rows, packed)

    def _gathered(self, encoded: Encoded, rows: range, room: int) -> Array:
        """Append supercolumns of bytes to the buffer and return them, a row each."""
        keeps, n = self.packing.narrow is not None, len(rows)
        if self.buffer is None or self.held + n > self.buffer.shape[1]:
            self._count_buffer()
            self.buffer = pooled((len(self.packing.supercolumns), room if keeps else n), np.uint8)
        place = self.held
        self.packer.pack(encoded, rows, self.buffer, place)
        self.held += n if keeps else 0
        return self.buffer[:, place : place + n]

    def _count_buffer(self) -> None:
        from infolake.kernels import count_pairs

        if self.held and self.packing.narrow is not None:
            arguments = (*self.packing.narrow.arguments, self._channel(COUNT[0]))
            count_pairs(self.buffer, self.held, *arguments)  # type: ignore[arg-type]
        self.buffer, self.held = None, 0

    def _scatter_wide(self, encoded: Encoded, rows: range, packed: Array) -> None:
        if self.scattered + len(rows) > self.flush_rows:
            self._flush_tables()
        needed = sorted({s for scatter in self.packing.wide for s in scatter.supers})
        codes = {s: self._codes(encoded, rows, s, packed) for s in needed}
        if not self.packing.keeps_tables:
            for scatter in self.packing.wide:
                self._spread(scatter, self._count(scatter, codes, self._blank(scatter)))
            return
        if self.tables is None:
            self.tables = [self._blank(s) for s in self.packing.wide]
        self.scattered += len(rows)
        for scatter, table in zip(self.packing.wide, self.tables, strict=True):
            self._count(scatter, codes, table)

    def _codes(self, encoded: Encoded, rows: range, number: int, packed: Array) -> Array:
        """Return the codes of a supercolumn; a wide one holds a single column."""
        from infolake.kernels import look_up

        if self.packing.super_size(number) <= SUPER_SIZE:
            codes: Array = packed[number]
            return codes
        column = self.packing.supercolumns[number][0]
        indices, table = encoded[column]
        codes = np.empty(len(rows), np.int32)
        look_up(indices[rows.start : rows.stop], table + np.int32(self.shifts[column]), codes)
        return codes

    def _blank(self, scatter: Scatter) -> Array:
        return np.zeros(self.packing.table_cells(scatter), np.uint32)

    def _count(self, scatter: Scatter, packed: dict[int, Array], table: Array) -> Array:
        from infolake.kernels import scatter_one, scatter_two

        if len(scatter.supers) == 1:
            scatter_one(packed[scatter.supers[0]], table)
        else:
            first, second = scatter.supers
            scatter_two(packed[first], packed[second], self.packing.super_size(second), table)
        return table

    def _flush(self) -> None:
        """Empty buffer, planes and tables into the flat counts."""
        self._count_buffer()
        if self.planes is not None and self.planes.rows:
            self.planes.add_to(self._channel(COUNT[0]))
        self._flush_tables()

    def _flush_tables(self) -> None:
        for scatter, table in zip(self.packing.wide, self.tables or [], strict=False):
            self._spread(scatter, table)
            table[:] = 0
        self.scattered = 0

    def _spread(self, scatter: Scatter, table: Array) -> None:
        """Marginalize a table into the groups it holds."""
        from infolake.kernels import marginalize

        out = self._channel(COUNT[0])
        if (scatter.offsets >= 0).any():
            first, second = (self._digits(s) for s in scatter.supers)
            shape = [self.packing.super_size(s) for s in scatter.supers]
            marginalize(table.reshape(shape), *first, *second, scatter.offsets, scatter.swapped, out)
        if scatter.others:
            columns = [c for s in scatter.supers for c in self.packing.supercolumns[s]]
            whole = table.reshape([self.packing.sizes[c] for c in columns])
            for offset, axes in scatter.others:
                part = _marginal(whole, axes).ravel()
                out[offset : offset + len(part)] += part

    def _digits(self, number: int) -> tuple[Array, Array]:
        """Return the sizes and strides of the columns of a supercolumn."""
        digits, own = self.packing.digits, self.packing.digits.of(number)
        if own.start == own.stop:
            return np.array([self.packing.super_size(number)], np.int64), np.ones(1, np.int64)
        return digits.sizes[own], digits.strides[own]

    def _channel(self, channel: Channel) -> Array:
        if channel not in self.flat:
            self.flat[channel] = np.zeros(self.packing.cells, np.int64)
        return self.flat[channel]

    # -- weights, and tables too large for a scatter

    def _weigh(self, codes: _Codes, channel: Channel, values: Array) -> None:
        from infolake.kernels import scatter_weights

        out = self._channel(channel)
        for group in np.flatnonzero(self.packing.offsets >= 0).tolist():
            cells, size = self._flat_index(codes, group)
            start = int(self.packing.offsets[group])
            scatter_weights(cells, values, out[start : start + size])

    def _members(self, group: int) -> list[int]:
        return [c for c in self.request.groups.index[group].tolist() if c < len(self.packing.sizes)]

    def _sizes(self, group: int) -> Array:
        return np.array([self.packing.sizes[c] for c in self._members(group)], np.int64)

    def _flat_index(self, codes: _Codes, group: int) -> tuple[Array, int]:
        """Return each row's cell in a group's own table, and the table's size."""
        members = self._members(group)
        cells = codes[members[0]].astype(np.int64)
        for column in members[1:]:
            cells = cells * self.packing.sizes[column] + codes[column]
        return cells, math.prod(self.packing.sizes[c] for c in members)

    def _sort(self, codes: _Codes, group: int, weights: dict[Channel, Array]) -> None:
        sizes = self._sizes(group)
        if self.request.weights is None and math.prod(sizes.tolist()) < 2**63:
            piece = _distinct(self._flat_keys(codes, group), sizes)
        else:
            rows = np.stack([codes[c] for c in self._members(group)], axis=1)
            ones = {COUNT[0]: np.ones(len(rows), np.int64)}
            piece = _combined([_Piece(rows, ones if self.request.weights is None else weights)], sizes)
        self.pending[group].append(piece)
        if sum(len(p.codes) for p in self.pending[group]) > 2 * PENDING_CELLS:
            self.pending[group] = [_combined(self.pending[group], sizes)]

    def _flat_keys(self, codes: _Codes, group: int) -> Array:
        return self._flat_index(codes, group)[0]

    # -- the end

    def counts(self, encoders: list[Any]) -> JointCounts:
        """Return what was counted in canonical form, with an empty ledger."""
        self._flush()
        maps, levels = self._canonical_codes(encoders)
        target = layout(tuple(len(s) for s in levels), self.request.groups)
        joined = {g: _combined(p, self._sizes(g)) for g, p in self.pending.items() if p}
        channels = tuple(sorted({*self.flat, *(c for p in joined.values() for c in p.values)}))
        if self.request.weights is None:
            channels = COUNT
        dense = np.zeros((len(channels), target.cells), np.int64)
        flat = [self.flat.get(c, np.zeros(self.packing.cells, np.int64)) for c in channels]
        source = np.stack(flat) if flat else np.zeros((0, self.packing.cells), np.int64)
        sparse = self._place(source, maps, (dense, target.offsets[:-1], target.sizes), target.dense)
        for group, piece in joined.items():
            moved = self._moved(piece, group, channels, maps, target.sizes)
            if target.dense[group]:
                start, end = target.offsets[group : group + 2]
                dense[:, start:end] = to_dense(moved, target.sizes[self._members(group)])
            else:
                sparse[group] = moved
        kept = {g: sparse[g] for g in sorted(sparse) if len(sparse[g].codes)}
        return JointCounts(self.request, levels, *settle(channels, dense, kept), Ledger())

    def _place(
        self, source: Array, maps: list[Array], target: tuple[Array, Array, Array], dense: Array
    ) -> dict[int, Sparse]:
        """Move the flat groups to canonical codes; those too large to stay dense are returned."""
        index, offsets = self.request.groups.index, self.packing.offsets
        chosen = np.flatnonzero((offsets >= 0) & dense)
        sizes = np.array(self.packing.sizes, np.int64)
        realigned(
            (source, offsets[chosen], sizes), index[chosen], maps, (target[0], target[1][chosen], target[2])
        )
        sparse = {}
        for group in np.flatnonzero((offsets >= 0) & ~dense).tolist():
            start, shape = int(offsets[group]), self._sizes(group)
            part = source[:, start : start + int(shape.prod())]
            cells = np.flatnonzero(part.any(axis=0))
            codes = np.stack(np.unravel_index(cells, tuple(shape)), axis=1)
            moved = np.stack([maps[c][codes[:, i]] for i, c in enumerate(self._members(group))], axis=1)
            sparse[group] = grouped(moved, part[:, cells], target[2][self._members(group)])
        return sparse

    def _moved(
        self, piece: _Piece, group: int, channels: tuple[Channel, ...], maps: list[Array], sizes: Array
    ) -> Sparse:
        members = self._members(group)
        codes = np.stack([maps[c][piece.codes[:, i]] for i, c in enumerate(members)], axis=1)
        blank = np.zeros(len(codes), np.int64)
        rows = [piece.values.get(c, blank) for c in channels]
        values = np.stack(rows) if rows else np.zeros((0, len(codes)), np.int64)
        return grouped(codes, values, sizes[members])

    def _canonical_codes(self, encoders: list[Any]) -> tuple[list[Array], tuple[Levels, ...]]:
        """Return, for each column, leaf code -> canonical code, and the levels that occur."""
        columns, first = np.unique(self.request.groups.index, return_index=True)
        group_of = dict(
            zip(columns.tolist(), (first // self.request.groups.index.shape[1]).tolist(), strict=True)
        )
        maps, levels = [], []
        for column, encoder in enumerate(encoders):
            used = self._used(column, group_of.get(column))
            found, table = _canonical(encoder, used, self.shifts[column])
            maps.append(table)
            levels.append(found)
        return maps, tuple(levels)

    def _used(self, column: int, group: int | None) -> Array:
        """Return which codes of a column were counted."""
        used = np.zeros(self.packing.sizes[column], bool)
        if group is None:
            return used
        axis = self._members(group).index(column)
        start = int(self.packing.offsets[group])
        if start < 0:
            for piece in self.pending[group]:
                for value in piece.values.values():
                    used[piece.codes[value != 0, axis]] = True
            return used
        sizes = self._sizes(group)
        for flat in self.flat.values():
            part = flat[start : start + int(sizes.prod())].reshape(tuple(sizes))
            used |= part.any(axis=tuple(a for a in range(len(sizes)) if a != axis))
        return used


def _canonical(encoder: Any, used: Array, shift: int) -> tuple[Levels, Array]:
    """Sort the used levels; return them and the map from a leaf's shifted codes to canonical codes."""
    values = encoder.values
    occurs = np.flatnonzero(used[shift : len(values) + shift])
    missing = bool(shift and used[0])
    levels, codes = canonical(values.take(pa.array(occurs)), missing, encoder.edges, encoder.kept)
    table = np.zeros(len(used), np.int64)
    table[occurs + shift] = codes
    if missing:
        table[0] = len(levels) - 1
    return levels, table


def _marginal(table: Array, axes: tuple[int, ...]) -> Array:
    """Sum a table over all axes but ``axes``, in their order."""
    rest = tuple(a for a in range(table.ndim) if a not in axes)
    summed = table.sum(axis=rest, dtype=np.int64)
    kept = sorted(axes)
    return np.transpose(summed, [kept.index(a) for a in axes])


def _distinct(keys: Array, sizes: Array) -> _Piece:
    """Return the distinct keys of a batch and how often each occurs."""
    keys = np.sort(keys)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    counts = np.diff(np.append(starts, len(keys)))
    codes = np.stack(np.unravel_index(keys[starts], tuple(sizes)), axis=1)
    return _Piece(codes, {COUNT[0]: counts.astype(np.int64)})


def _combined(pieces: list[_Piece], sizes: Array) -> _Piece:
    """Add pieces of one group."""
    channels = sorted({c for p in pieces for c in p.values})
    codes = np.concatenate([p.codes for p in pieces])
    rows = [
        np.concatenate([p.values.get(c, np.zeros(len(p.codes), np.int64)) for p in pieces]) for c in channels
    ]
    values = np.stack(rows) if rows else np.zeros((0, len(codes)), np.int64)
    found = grouped(codes, values, sizes)
    return _Piece(found.codes, dict(zip(channels, found.values, strict=True)))
