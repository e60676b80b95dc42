"""Many contingency tables of two columns in flat arrays, so that half a million are scored by one loop.

`Strata` groups the tables of a batch: the tables of one group are the same two columns at the levels
of a third.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.errors import CountOverflowError, WeightError

Numbers = NDArray[Any]

BATCH_ARRAYS = (
    "cells",
    "rows",
    "cols",
    "offsets",
    "row_margins",
    "row_offsets",
    "col_margins",
    "col_offsets",
    "totals",
)
MAX_COUNT = 2**63 - 1


@dataclass(frozen=True, eq=False)
class TableBatch:
    """Many tables of two columns in flat arrays; only non-zero cells are listed.

    The cells of table ``t`` are ``cells[offsets[t]:offsets[t + 1]]``, in row-major order; its row
    margins ``row_margins[row_offsets[t]:row_offsets[t + 1]]``, and so on. Margins may hold zeros.

    Parameters
    ----------
    cells : ndarray, shape (n,), int64 or float64
        Non-zero counts or weights.
    rows, cols : ndarray of int64, shape (n,)
        Each cell's row and column within its own table.
    offsets, row_offsets, col_offsets : ndarray of int64, shape (B + 1,)
        Where each table starts.
    row_margins, col_margins : ndarray
        Margins of all tables, of the type of the cells.
    totals : ndarray, shape (B,)
        Totals, of the type of the cells.
    sums_match : bool
        Whether margins and totals are the sums of the cells.
    n_effective : ndarray of float64, shape (B,), optional
        Where rows carry weights: Kish's effective number of rows of each table; NaN if not known.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> batch = ContingencyTable([[3, 0], [0, 1]]).batch()
    >>> len(batch), batch.cells
    (1, array([3, 1]))
    """

    cells: Numbers
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    offsets: NDArray[np.int64]
    row_margins: Numbers
    row_offsets: NDArray[np.int64]
    col_margins: Numbers
    col_offsets: NDArray[np.int64]
    totals: Numbers
    sums_match: bool = True
    n_effective: NDArray[np.float64] | None = None
    _memo: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # read-only and contiguous, whatever comes in: a kernel is compiled for one kind of array only
        for name in BATCH_ARRAYS:
            object.__setattr__(self, name, frozen(np.ascontiguousarray(getattr(self, name))))

    @classmethod
    def from_cells(  # noqa: PLR0917
        cls,
        cells: Numbers,
        rows: NDArray[np.int64],
        cols: NDArray[np.int64],
        offsets: NDArray[np.int64],
        n_rows: NDArray[np.int64],
        n_cols: NDArray[np.int64],
        n_effective: NDArray[np.float64] | None = None,
    ) -> TableBatch:
        """Make a batch from its cells; margins and totals are their sums.

        Parameters
        ----------
        cells : ndarray, shape (n,)
            Counts in row-major order, table after table. Zeros are left out.
        rows, cols : ndarray of int64, shape (n,)
            Each cell's row and column within its table.
        offsets : ndarray of int64, shape (B + 1,)
            Where each table's cells start.
        n_rows, n_cols : ndarray of int64, shape (B,)
            The numbers of rows and columns of each table, empty ones included.
        n_effective : ndarray of float64, shape (B,), optional
            As for the class.

        Raises
        ------
        CountOverflowError
            A total of 2**63 or more.
        WeightError
            A negative, NaN or infinite cell.

        Examples
        --------
        >>> import numpy as np
        >>> cells, rows, cols = np.array([3, 0, 0, 1]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
        >>> TableBatch.from_cells(cells, rows, cols, np.array([0, 4]), np.array([2]), np.array([2])).totals
        array([4])
        """
        counts = checked_counts(np.asarray(cells))
        rows, cols, offsets = int64s(rows), int64s(cols), int64s(offsets)
        if not counts.all():
            keep = counts != 0
            offsets = np.concatenate([[0], np.cumsum(keep)])[offsets]
            counts, rows, cols = counts[keep], rows[keep], cols[keep]
        table = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        row_offsets, col_offsets = _starts(int64s(n_rows)), _starts(int64s(n_cols))
        return cls(
            cells=counts,
            rows=rows,
            cols=cols,
            offsets=offsets,
            row_margins=grouped_sum(counts, row_offsets[table] + rows, int(row_offsets[-1])),
            row_offsets=row_offsets,
            col_margins=grouped_sum(counts, col_offsets[table] + cols, int(col_offsets[-1])),
            col_offsets=col_offsets,
            totals=_batch_totals(counts, table, len(offsets) - 1),
            n_effective=n_effective,
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def weighted(self) -> bool:
        """Whether the counts are sums of weights (float64)."""
        return bool(self.cells.dtype.kind == "f")

    @property
    def n_cells(self) -> NDArray[np.int64]:
        """Per table, the number of non-zero cells."""
        return np.diff(self.offsets)

    @property
    def n_rows_nonempty(self) -> NDArray[np.int64]:
        """Per table, the number of rows that hold a count."""
        found: NDArray[np.int64] = self.cached(
            "n_rows_nonempty", lambda: _nonempty(self.row_margins, self.row_offsets)
        )
        return found

    @property
    def n_cols_nonempty(self) -> NDArray[np.int64]:
        """Per table, the number of columns that hold a count."""
        found: NDArray[np.int64] = self.cached(
            "n_cols_nonempty", lambda: _nonempty(self.col_margins, self.col_offsets)
        )
        return found

    @property
    def table_of_cell(self) -> NDArray[np.int64]:
        """Per cell, the index of its table; shape (n,)."""
        return np.repeat(np.arange(len(self)), self.n_cells)

    @property
    def cell_margins(self) -> tuple[Numbers, Numbers, Numbers]:
        """Per cell, its row margin, its column margin and its table's total; each of shape (n,)."""
        table = self.table_of_cell
        row = self.row_margins[self.row_offsets[table] + self.rows]
        col = self.col_margins[self.col_offsets[table] + self.cols]
        return row, col, self.totals[table]

    def transpose(self) -> TableBatch:
        """Return the batch with rows and columns of every table swapped, cells in row-major order."""
        table = self.table_of_cell
        order = np.lexsort((self.rows, self.col_offsets[table] + self.cols))
        return TableBatch(
            cells=self.cells[order],
            rows=self.cols[order],
            cols=self.rows[order],
            offsets=self.offsets,
            row_margins=self.col_margins,
            row_offsets=self.col_offsets,
            col_margins=self.row_margins,
            col_offsets=self.row_offsets,
            totals=self.totals,
            sums_match=self.sums_match,
            n_effective=self.n_effective,
        )

    @property
    def sizes(self) -> NDArray[np.float64]:
        """Per table, the number of rows: Kish's effective one where rows carry weights."""
        return self.totals.astype(np.float64) if self.n_effective is None else self.n_effective

    def cached(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return ``compute()``, computed once for this batch: several measures share their parts."""
        if name not in self._memo:
            self._memo[name] = compute()
        return self._memo[name]

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.cells, self.rows, self.cols, self.offsets, self.row_margins, self.row_offsets)
        more = (self.col_margins, self.col_offsets, self.totals, self.sums_match, self.n_effective)
        return TableBatch, (*fields, *more)


@dataclass(frozen=True, eq=False)
class Strata:
    """The tables of a batch in groups: one score per group, conditional on the stratum.

    Parameters
    ----------
    batch : TableBatch
        One table per stratum.
    groups : ndarray of int64, shape (B,)
        The group of each table, 0 to ``n_groups - 1``.
    n_groups : int
        The number of groups.

    Examples
    --------
    >>> import numpy as np
    >>> from infolake.tables import ContingencyTable
    >>> table = ContingencyTable.from_labels([0, 0, 1], [0, 1, 1], [0, 1, 1])
    >>> len(Strata(table.strata(), np.zeros(2, dtype=np.int64), 1))
    1
    """

    batch: TableBatch
    groups: NDArray[np.int64]
    n_groups: int

    def __len__(self) -> int:
        return self.n_groups


def grouped_sum(values: Numbers, group: NDArray[np.int64], n_groups: int) -> Numbers:
    """Return the sum of the values of each group; exact for integers, correctly rounded for floats.

    Examples
    --------
    >>> import numpy as np
    >>> grouped_sum(np.array([1, 2, 3]), np.array([0, 1, 0]), 3)
    array([4, 2, 0])
    """
    if values.dtype.kind != "f":
        sums = np.zeros(n_groups, dtype=np.int64)
        np.add.at(sums, group, values)
        return sums
    ordered = values[np.argsort(group, kind="stable")].tolist()
    stops = np.cumsum(np.bincount(group, minlength=n_groups)).tolist()
    return np.array([math.fsum(ordered[a:b]) for a, b in pairwise([0, *stops])], dtype=np.float64)


def _batch_totals(counts: Numbers, table: NDArray[np.int64], n_tables: int) -> Numbers:
    if counts.dtype.kind != "f":
        halves = [grouped_sum(part, table, n_tables) for part in (counts >> 32, counts & 0xFFFFFFFF)]
        if len(counts) and (halves[0] + (halves[1] >> 32)).max(initial=0) >= 2**31:
            raise CountOverflowError("the total of a table passes 2**63 - 1")
    return grouped_sum(counts, table, n_tables)


def compact_batch(
    stratum: Numbers, rows: Numbers, cols: Numbers, counts: Numbers, n_strata: int
) -> TableBatch:
    """Return one table per stratum, of cells in the order of the strata; each lists its own levels only."""
    local_rows, n_rows = _renumbered(stratum, rows, n_strata)
    local_cols, n_cols = _renumbered(stratum, cols, n_strata)
    offsets = np.searchsorted(stratum, np.arange(n_strata + 1))
    return TableBatch.from_cells(counts, local_rows, local_cols, offsets, n_rows, n_cols)


def _renumbered(
    stratum: Numbers, codes: Numbers, n_strata: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.lexsort((codes, stratum))
    s, c = stratum[order], codes[order]
    new = np.ones(len(s), dtype=bool)
    new[1:] = (s[1:] != s[:-1]) | (c[1:] != c[:-1])
    sizes = np.bincount(s[new], minlength=n_strata).astype(np.int64)
    rank = np.cumsum(new) - 1 - _starts(sizes)[s]
    local = np.empty(len(s), dtype=np.int64)
    local[order] = rank
    return local, sizes


def _nonempty(margins: Numbers, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    before = np.concatenate([[0], np.cumsum(margins != 0)])
    return np.asarray(before[offsets[1:]] - before[offsets[:-1]], dtype=np.int64)


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def int64s(values: Any) -> NDArray[np.int64]:
    """Return a contiguous array of int64."""
    return np.ascontiguousarray(values, dtype=np.int64)


def frozen(array: Numbers) -> Numbers:
    """Return a view that cannot be written."""
    view = array.view()
    view.flags.writeable = False
    return view


def checked_counts(values: Numbers) -> Numbers:
    """Return counts as int64 or weights as float64; raise what is wrong with them."""
    if values.dtype.kind == "b" or (values.size == 0 and values.dtype.kind == "f"):
        return values.astype(np.int64) if values.dtype.kind == "b" else values
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise WeightError("weights must be finite and not negative")
        return np.ascontiguousarray(values, dtype=np.float64)
    if values.dtype.kind == "O" and all(isinstance(v, int) for v in values.flat):
        if max(values.flat) > MAX_COUNT:
            raise CountOverflowError("a count passes 2**63 - 1")
    elif values.dtype.kind not in "iu":
        raise WeightError("counts must be numbers", found=f"values of type {values.dtype}")
    return _checked_integers(values)


def _checked_integers(values: Numbers) -> Numbers:
    if values.size and values.min() < 0:
        raise WeightError("counts must not be negative", found=str(values.min()))
    if values.dtype.kind == "u" and values.size and values.max() > MAX_COUNT:
        raise CountOverflowError("a count passes 2**63 - 1", found=str(values.max()))
    return np.ascontiguousarray(values, dtype=np.int64)
