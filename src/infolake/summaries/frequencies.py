"""Frequencies of frequencies: how many cells hold each count. They add over shards of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SMALL = 1 << 14


@dataclass(frozen=True, eq=False)
class Frequencies:
    """The distinct counts of a table's non-zero cells, ascending, and how many cells have each.

    Adding those of two parts of the cells gives those of both: unlike counts of rows, frequencies of
    parts of the *rows* do not add.

    Parameters
    ----------
    counts, multiplicities : ndarray of int64, shape (distinct counts,)

    Examples
    --------
    >>> found = Frequencies.of(np.array([2, 2, 5])) + Frequencies.of(np.array([5, 0]))
    >>> found.counts.tolist(), found.multiplicities.tolist(), found.cells, found.total
    ([2, 5], [2, 2], 4, 14)
    """

    counts: Array
    multiplicities: Array

    @classmethod
    def of(cls, values: Array) -> Frequencies:
        """Return the frequencies of counts; zeros are no cells."""
        from infolake.key_kernels import count_small

        small = np.zeros(SMALL, np.int64)
        larger = count_small(values, small)
        small[0] = 0
        counts = np.flatnonzero(small)
        multiplicities = small[counts]
        if larger:
            more, times = np.unique(values[values >= SMALL], return_counts=True)
            counts = np.concatenate([counts, more.astype(np.int64)])
            multiplicities = np.concatenate([multiplicities, times.astype(np.int64)])
        return cls(counts.astype(np.int64), multiplicities)

    @property
    def pair(self) -> tuple[Array, Array]:
        """The counts and their multiplicities."""
        return self.counts, self.multiplicities

    @property
    def cells(self) -> int:
        """The number of non-zero cells."""
        return int(self.multiplicities.sum())

    @property
    def total(self) -> int:
        """The sum of all counts."""
        return sum(n * m for n, m in zip(self.counts.tolist(), self.multiplicities.tolist(), strict=True))

    def values(self) -> Array:
        """Return every count as often as it occurs, ascending; shape (cells,)."""
        found: Array = np.repeat(self.counts, self.multiplicities)
        return found

    def __add__(self, other: Frequencies) -> Frequencies:
        counts = np.union1d(self.counts, other.counts)
        found = np.zeros(len(counts), np.int64)
        for part in (self, other):
            found[np.searchsorted(counts, part.counts)] += part.multiplicities
        return Frequencies(counts, found)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frequencies):
            return NotImplemented
        same = np.array_equal(self.counts, other.counts)
        return same and np.array_equal(self.multiplicities, other.multiplicities)

    __hash__ = None  # type: ignore[assignment]

    def __sizeof__(self) -> int:
        return 200 + self.counts.nbytes + self.multiplicities.nbytes
