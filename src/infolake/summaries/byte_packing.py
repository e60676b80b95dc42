"""Rows of a batch as supercolumns of bytes: what the kernels count."""

from __future__ import annotations

from typing import Any

import numpy as np

from infolake.packing import SUPER_SIZE, Packing

Array = np.ndarray[Any, Any]
Encoded = list[tuple[Array, Array]]
INDICES = (np.dtype(np.uint8), np.dtype(np.int32))


class BytePacker:
    """Packs columns into supercolumns of at most 256 codes.

    Parameters
    ----------
    packing : Packing
    shifts : tuple of int
        1 for a column with missing values, which then have code 0; else 0.
    """

    def __init__(self, packing: Packing, shifts: tuple[int, ...]) -> None:
        self.digits = packing.digits
        self.shifts = shifts
        self.codes = np.zeros((len(self.digits.columns), SUPER_SIZE), np.uint8)
        self.tables: list[Array | None] = [None] * len(self.digits.columns)

    def pack(self, encoded: Encoded, rows: range, out: Array, place: int) -> None:
        """Write the codes of some rows to ``out``, uint8 of shape (supercolumns, room), from ``place`` on."""
        from infolake.kernels import pack

        digits = self.digits
        chosen = [encoded[c] for c in digits.columns.tolist()]
        self._look_up_by([table for _, table in chosen])
        addresses, widths = addresses_of(chosen, rows)
        largest = np.zeros(len(chosen), np.int64)
        planned = digits.starts, digits.strides, digits.sizes
        pack(addresses, widths, len(rows), *planned, self.codes, out, place, largest)
        if (largest >= digits.sizes).any():
            self.pack(self._recoded(encoded, largest), rows, out, place)

    def _look_up_by(self, tables: list[Array]) -> None:
        """Set the codes of columns whose dictionary is not that of the batch before."""
        for place, table in enumerate(tables):
            if table is not self.tables[place]:
                used = min(len(table), SUPER_SIZE)
                self.codes[place, :used] = table[:used] + self.shifts[self.digits.columns[place]]
                self.tables[place] = table

    def _recoded(self, encoded: Encoded, largest: Array) -> Encoded:
        """Return codes as indices for columns whose dictionaries have more entries than they have levels."""
        found = list(encoded)
        for column, size in zip(self.digits.columns.tolist(), self.digits.sizes.tolist(), strict=True):
            indices, table = encoded[column]
            shift = np.int32(self.shifts[column])
            if largest[self.digits.columns == column] >= size:
                found[column] = (table + shift)[indices], np.arange(size, dtype=np.int32) - shift
        return found


def addresses_of(encoded: Encoded, rows: range) -> tuple[Array, Array]:
    """Return where the indices of some rows of columns start in memory, and how many bytes each is wide."""
    addresses = [_address(indices, rows) for indices, _ in encoded]
    return np.array(addresses, np.int64), np.array([indices.itemsize for indices, _ in encoded], np.int64)


def _address(indices: Array, rows: range) -> int:
    """Return where the first of some rows stands in memory; the kernel reads them without a check."""
    if indices.dtype not in INDICES or not indices.flags.c_contiguous or len(indices) < rows.stop:
        raise ValueError(f"{len(indices)} indices as {indices.dtype}, not {rows.stop} in a row as int32")
    address: int = indices.__array_interface__["data"][0]
    return address + indices.itemsize * rows.start
