"""The tables of one pair at a time: shuffled, or drawn again.

Every random number comes from a generator made of a seed and the names of the columns, so that a
result depends neither on the other pairs nor on the order in which they are done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.errors import TooManyCellsError, UsageError, printable
from infolake.measures.catalogue import Tables, Values
from infolake.tables import MAX_DENSE_CELLS, ContingencyTable, Strata, TableBatch, grouped_sum


@dataclass(frozen=True)
class Resampling:
    """How often and from which seed to draw.

    Parameters
    ----------
    times : int
        Permutations or resamples of each table.
    seed : int
        Not negative.
    """

    times: int = 999
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (("permutations", self.times, 1), ("seed", self.seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise UsageError(f"{name} must be a whole number from {least} on", found=printable(value))

    def generator(self, names: Sequence[str] = ()) -> np.random.Generator:
        """Return the generator of a seed and of the names of some columns.

        Examples
        --------
        >>> first, again = (Resampling(seed=7).generator(("x", "y")).random() for _ in range(2))
        >>> first == again
        True
        """
        digest = hashlib.blake2b(json.dumps(list(names)).encode(), digest_size=16).digest()
        words = np.frombuffer(digest, "<u4").tolist()
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(self.seed), *words])))


@dataclass(frozen=True, eq=False)
class Part:
    """The tables of one pair: cells with their stratum, row and column, and the strata's sizes."""

    cells: NDArray[Any]
    stratum: NDArray[np.int64]
    rows_of: NDArray[np.int64]
    cols_of: NDArray[np.int64]
    n_rows: NDArray[np.int64]
    n_cols: NDArray[np.int64]
    stratified: bool

    @property
    def rows(self) -> bool:
        """Whether there are any rows."""
        return len(self.cells) > 0

    def statistic(self, statistic: Any) -> float:
        """Return a statistic of the tables themselves, summed as it is summed of drawn ones."""
        out = np.zeros(1)
        for a, b, cells in self._dense():
            statistic(cells[None], a, b, out)
        return float(out[0])

    @property
    def shuffled_margins(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return the non-empty margins of the strata in which something can change."""
        return [(a, b) for a, b, _ in self._dense()]

    def _dense(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        bounds = np.searchsorted(self.stratum, np.arange(len(self.n_rows) + 1))
        for start, end in pairwise(bounds.tolist()):
            rows, r = np.unique(self.rows_of[start:end], return_inverse=True)
            cols, c = np.unique(self.cols_of[start:end], return_inverse=True)
            if len(rows) < 2 or len(cols) < 2:
                continue
            if len(rows) * len(cols) > MAX_DENSE_CELLS:
                raise TooManyCellsError(
                    "the table is too big to be shuffled",
                    expected=f"at most {MAX_DENSE_CELLS:,} cells",
                    found=f"{len(rows):,} x {len(cols):,}",
                    next="take the G test: p_values='g'",
                )
            cells = np.zeros((len(rows), len(cols)), np.int64)
            cells[r, c] = self.cells[start:end]
            yield cells.sum(axis=1), cells.sum(axis=0), cells

    def replicas(self, draws: NDArray[np.int64]) -> Tables:
        """Return tables of the same levels whose cells are the rows of ``draws``."""
        times, strata = len(draws), len(self.n_rows)
        starts = np.searchsorted(self.stratum, np.arange(strata))
        first = (np.arange(times) * len(self.cells))[:, None] + starts
        batch = TableBatch.from_cells(
            draws.ravel(),
            np.tile(self.rows_of, times),
            np.tile(self.cols_of, times),
            np.append(first.ravel(), draws.size),
            np.tile(self.n_rows, times),
            np.tile(self.n_cols, times),
        )
        return Strata(batch, np.repeat(np.arange(times), strata), times) if self.stratified else batch


def parts(tables: Tables) -> Iterator[Part]:
    """Yield the table, or the strata, of each pair."""
    batch = flat(tables)
    groups = tables.groups if isinstance(tables, Strata) else np.arange(len(batch))
    order = np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[order], np.arange(len(tables) + 1))
    for start, end in pairwise(bounds.tolist()):
        yield _part(batch, order[start:end], isinstance(tables, Strata))


def _part(batch: TableBatch, members: NDArray[np.int64], stratified: bool) -> Part:
    slices = [slice(batch.offsets[t], batch.offsets[t + 1]) for t in members]

    def taken(values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values[:0], *(values[s] for s in slices)])

    return Part(
        taken(batch.cells),
        np.repeat(np.arange(len(members)), batch.offsets[members + 1] - batch.offsets[members]),
        taken(batch.rows),
        taken(batch.cols),
        batch.row_offsets[members + 1] - batch.row_offsets[members],
        batch.col_offsets[members + 1] - batch.col_offsets[members],
        stratified,
    )


def flat(tables: Tables) -> TableBatch:
    """Return the tables as a batch: of strata, one table for each."""
    return tables.batch if isinstance(tables, Strata) else tables


def rows(tables: Tables) -> Values:
    """Return the rows (or weight) of each table or group of strata; NaN for none."""
    batch = flat(tables)
    totals = batch.totals
    if isinstance(tables, Strata):
        totals = grouped_sum(batch.totals, tables.groups, tables.n_groups)
    return np.where(totals > 0, totals, np.nan).astype(np.float64)


def tables_of(table: ContingencyTable) -> Tables:
    """Return a table of two columns as a batch, one of more as the strata of the first two."""
    if table.ndim == 2:
        return table.batch()
    batch = table.strata()
    return Strata(batch, np.zeros(len(batch), dtype=np.int64), 1)
