"""Pairs of columns of few levels, counted by bit planes."""

from __future__ import annotations

from typing import Any

import numpy as np

from infolake.packing import PLANE_WORDS, TILE, Planes
from infolake.summaries.byte_packing import Encoded, addresses_of

Array = np.ndarray[Any, Any]
MOST_INDICES = 32  # a dictionary of more entries is looked up before planes are made


class PlaneCounter:
    """Counts batches of encoded columns by bit planes.

    Parameters
    ----------
    planes : Planes
    shifts : tuple of int
        1 for a column with missing values, which then have code 0; else 0.
    """

    def __init__(self, planes: Planes, shifts: tuple[int, ...]) -> None:
        self.planes = planes
        self.shifts = shifts
        self.codes = np.zeros((len(planes.columns), MOST_INDICES), np.uint8)
        self.tables: list[Array | None] = [None] * len(planes.columns)
        self.buffer = np.zeros((TILE * planes.n_tiles, PLANE_WORDS), np.uint64)
        self.held = 0
        self._clear()

    def _clear(self) -> None:
        self.counts = np.zeros((len(self.planes.tiles), TILE, TILE), np.int64)
        self.margins = np.zeros(len(self.buffer), np.int64)
        self.rows = 0

    def update(self, encoded: Encoded, n: int) -> None:
        """Count ``n`` rows."""
        from infolake.plane_kernels import set_planes

        chosen = [self._few(encoded[c], c) for c in self.planes.columns.tolist()]
        self._look_up_by([table for _, table in chosen])
        for start in range(0, n, 64 * PLANE_WORDS):
            rows = range(start, min(n, start + 64 * PLANE_WORDS))
            n_words = -(-len(rows) // 64)
            if self.held + n_words > PLANE_WORDS:
                self._count()
            memory = addresses_of(chosen, rows)
            set_planes(*memory, len(rows), self.codes, self.planes.starts, self.buffer, self.held)
            self.held += n_words
        self.rows += n

    def add_to(self, out: Array) -> None:
        """Add the tables of what was counted into a leaf's flat counts, and begin again."""
        from infolake.plane_kernels import fill_tables

        self._count()
        planes, found = self.planes, (self.counts, self.margins, self.rows)
        fill_tables(planes.pairs, planes.sizes, planes.starts, planes.tile_of, *found, planes.offsets, out)
        self._clear()

    def _count(self) -> None:
        from infolake.plane_kernels import count_planes

        count_planes(self.buffer, self.held, self.planes.tiles, self.counts, self.margins)
        self.held = 0

    def _few(self, encoded: tuple[Array, Array], column: int) -> tuple[Array, Array]:
        """Return a column's codes as indices if its dictionary has many entries; else the column."""
        indices, table = encoded
        if len(table) <= MOST_INDICES:
            return encoded
        shift = np.int32(self.shifts[column])
        return (table + shift)[indices], np.arange(MOST_INDICES, dtype=np.int32) - shift

    def _look_up_by(self, tables: list[Array]) -> None:
        """Set the codes of columns whose dictionary is not that of the batch before."""
        for place, table in enumerate(tables):
            if table is not self.tables[place]:
                self.codes[place] = 0
                codes = table + self.shifts[self.planes.columns[place]]
                self.codes[place, : len(table)] = np.where(codes < self.planes.sizes[place], codes, 0).clip(0)
                self.tables[place] = table
