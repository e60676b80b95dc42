"""Levels: the distinct values of one column, sorted by value, missing last.

Order: by value; strings and bytes by their UTF-8 bytes; ``False`` before ``True``; instants in
UTC; a missing level, where there is one, comes last. Only levels with a non-zero count are held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infolake.encoding.bins import Edges, interval_labels
from infolake.encoding.kept import Kept

Codes = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class Levels:
    """Sorted distinct values of a column, and whether missing is a level.

    Parameters
    ----------
    values : pyarrow.Array
        Distinct values, ascending; numbers (int32) of bins, or of kept levels and the bucket after them.
    missing : bool
        True where some counted row misses the value; its code is the last one.
    edges : tuple of numbers, optional
        Bin edges of a binned column.
    kept : Kept, optional
        What the numbers stand for where rarer levels are in a bucket.
    """

    values: pa.Array
    missing: bool = False
    edges: Edges | None = None
    kept: Kept | None = None

    def __len__(self) -> int:
        return len(self.values) + self.missing

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Levels):
            return NotImplemented
        named = self.edges == other.edges and self.kept == other.kept
        same = self.missing == other.missing and named
        return same and self.values.type == other.values.type and self.values.equals(other.values)

    __hash__ = None  # type: ignore[assignment]

    @property
    def nbytes(self) -> int:
        """Bytes held by the values."""
        return int(self.values.nbytes)

    @cached_property
    def labels(self) -> tuple[Any, ...]:
        """Python values of the levels; intervals as text; ``None`` for missing."""
        found = self.values.to_pylist()
        if self.edges is not None:
            names = interval_labels(self.edges)
            found = [names[i] for i in found]
        if self.kept is not None:
            found = [self.kept.labels[i] for i in found]
        return (*found, None) if self.missing else tuple(found)

    @property
    def rest(self) -> int:
        """Code of the bucket; -1 without one."""
        bucket = -1 if self.kept is None else self.kept.n_kept
        last = len(self.values) - 1
        return last if last >= 0 and bucket >= 0 and self.values[last].as_py() == bucket else -1

    def take(self, codes: Codes) -> Levels:
        """Return the levels at ascending ``codes``."""
        n = len(self.values)
        kept = codes[codes < n]
        return Levels(self.values.take(pa.array(kept)), bool(len(kept) < len(codes)), self.edges, self.kept)


def canonical(
    values: pa.Array, missing: bool, edges: Edges | None = None, kept: Kept | None = None
) -> tuple[Levels, Codes]:
    """Sort distinct ``values``; return the levels and the new code of each old position.

    Examples
    --------
    >>> levels, codes = canonical(pa.array(["b", "a"]), missing=True)
    >>> levels.labels, codes.tolist()
    (('a', 'b', None), [1, 0])
    """
    order = sort_indices(values)
    codes = np.empty(len(values), np.int64)
    codes[order] = np.arange(len(values))
    return Levels(values.take(pa.array(order)), missing, edges, kept), codes


def sort_indices(values: pa.Array) -> Codes:
    """Return positions that sort ``values`` by value (bytewise for strings)."""
    if len(values) == 0 or pa.types.is_null(values.type):
        return np.arange(len(values), dtype=np.int64)
    order: Codes = pc.sort_indices(values).to_numpy().astype(np.int64)
    return order


def union(parts: Sequence[Levels]) -> tuple[Levels, list[Codes]]:
    """Merge levels of one column; return them and, for each part, old code -> new code.

    Examples
    --------
    >>> a, b = Levels(pa.array([1, 3])), Levels(pa.array([2, 3]), missing=True)
    >>> merged, (from_a, from_b) = union([a, b])
    >>> merged.labels, from_a.tolist(), from_b.tolist()
    ((1, 2, 3, None), [0, 2], [1, 2, 3])
    """
    first = parts[0]
    if all(part == first for part in parts[1:]):
        return first, [np.arange(len(first), dtype=np.int64) for _ in parts]
    values = pc.unique(pa.chunked_array([p.values for p in parts], first.values.type))
    merged, _ = canonical(values, any(p.missing for p in parts), first.edges, first.kept)
    return merged, [_positions(part, merged) for part in parts]


def _positions(part: Levels, merged: Levels) -> Codes:
    found = pc.index_in(part.values, value_set=merged.values).to_numpy(zero_copy_only=False)
    tail = [len(merged) - 1] if part.missing else []
    return np.concatenate([found.astype(np.int64), np.array(tail, np.int64)])
