"""The most frequent levels of a column, and one bucket for all the others.

Nothing is put into a bucket without being asked for (``max_levels=``). Which levels are kept comes from an
exact first pass over the column; what that pass saw of the others (how many levels have which count) stays
with the counts, for the certified intervals of :mod:`infolake.measures.certified`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infolake.encoding.columns import combined, has_missing, normalized, short_indices
from infolake.errors import UsageError, nearest, printable

Array = np.ndarray[Any, Any]
RESTS = ("bucket",)
MOST_FREQUENCIES = 1 << 16
HASHED = 1 << 16


class Rest(str):
    """The label of a bucket: text that no kept level of its column is equal to."""

    __slots__ = ()


@dataclass(frozen=True, eq=False)
class Kept:
    """Which levels of a column are kept, and what the first pass saw of the others.

    Parameters
    ----------
    limit : int
        How many levels were asked for.
    digest : str
        Of all levels of the column and how often each occurs; empty where none is put into the bucket.
    levels : pyarrow.Array, optional
        The kept levels in canonical order; None where the column has at most ``limit`` levels and is exact.
    counts : ndarray, int64 or float64
        The distinct counts of the levels in the bucket over all rows (or their weight), descending. Where
        there are more than 65,536 of them, neighbours are rounded up together.
    times : ndarray of int64
        How many levels have each count.

    Examples
    --------
    >>> kept = most_frequent(pa.array(["a", "b", "c", "d"]), np.array([5, 1, 7, 1]), limit=2)
    >>> kept.labels, kept.counts.tolist(), kept.times.tolist()
    (('a', 'c', '(2 other levels)'), [1], [2])
    """

    limit: int
    digest: str = ""
    levels: pa.Array | None = None
    counts: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    times: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Kept):
            return NotImplemented
        return (self.limit, self.digest) == (other.limit, other.digest)

    def __hash__(self) -> int:
        return hash((self.limit, self.digest))

    @property
    def n_kept(self) -> int:
        """Kept levels; the number of the bucket among the levels."""
        return 0 if self.levels is None else len(self.levels)

    @property
    def n_rest(self) -> int:
        """Levels in the bucket."""
        return int(self.times.sum())

    @property
    def total(self) -> int | float:
        """Rows (or weight) in the bucket, or a little more where counts were rounded up."""
        pairs = zip(self.counts.tolist(), self.times.tolist(), strict=True)
        total: int | float = sum(c * t for c, t in pairs)
        return total

    @cached_property
    def labels(self) -> tuple[Any, ...]:
        """The kept levels and, last, the label of the bucket."""
        known = [] if self.levels is None else self.levels.to_pylist()
        text = f"({self.n_rest:,} other level{'s' * (self.n_rest != 1)})"
        taken = {v for v in known if isinstance(v, str)}
        while text in taken:
            text = f"({text})"
        return (*known, Rest(text))

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; the kept levels are stored beside."""
        counts = [v if isinstance(v, int) else v.hex() for v in self.counts.tolist()]
        bucket = {"counts": counts, "times": self.times.tolist()}
        return {
            "limit": self.limit,
            "digest": self.digest,
            "bucket": bucket if self.levels is not None else None,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any], levels: pa.Array | None) -> Kept:
        """Rebuild from :meth:`to_json` and the stored levels."""
        if stored["bucket"] is None:
            return cls(stored["limit"])
        counts = [v if isinstance(v, int) else float.fromhex(v) for v in stored["bucket"]["counts"]]
        kind = np.float64 if any(isinstance(v, float) for v in counts) else np.int64
        times = np.array(stored["bucket"]["times"], np.int64)
        return cls(stored["limit"], stored["digest"], levels, np.array(counts, kind), times)


def most_frequent(levels: pa.Array, counts: Array, limit: int) -> Kept:
    """Return the ``limit`` most frequent of a column's levels, ties in the order of the levels.

    Parameters
    ----------
    levels : pyarrow.Array
        All levels of the column but missing, in canonical order.
    counts : ndarray, int64 or float64
        The rows of each, or their weight.
    limit : int
    """
    if len(levels) <= limit:
        return Kept(limit)
    order = np.argsort(-counts, kind="stable")
    chosen = np.sort(order[:limit])
    values, times = frequencies(counts[order[limit:]])
    return Kept(limit, _digest(levels, counts), levels.take(pa.array(chosen)), values, times)


def frequencies(counts: Array, most: int = MOST_FREQUENCIES) -> tuple[Array, Array]:
    """Return distinct counts, descending, and how often each occurs; too many are rounded up together.

    Examples
    --------
    >>> [a.tolist() for a in frequencies(np.array([3, 1, 1, 2]))]
    [[3, 2, 1], [1, 1, 2]]
    >>> [a.tolist() for a in frequencies(np.array([1001, 1000, 7]), most=2)]
    [[1024, 7], [2, 1]]
    """
    values, times = np.unique(counts, return_counts=True)
    bits = 40
    while len(values) > most and bits > 0:
        values, place = np.unique(_rounded_up(values, bits), return_inverse=True)
        times = np.bincount(place, weights=times).astype(np.int64)
        bits -= 4
    return values[::-1].copy(), times[::-1].astype(np.int64)


def _rounded_up(values: Array, bits: int) -> Array:
    """Return values of at most ``bits`` significant bits, none below what it was."""
    wide = values.astype(np.float64)
    if values.dtype.kind == "i":
        wide = np.where(wide >= 2.0**53, np.nextafter(wide, np.inf), wide)
    share, exponent = np.frexp(wide)
    up: Array = np.ldexp(np.ceil(np.ldexp(share, bits)), exponent - bits)
    return np.ceil(up).astype(values.dtype)


def _digest(levels: pa.Array, counts: Array) -> str:
    digest = hashlib.blake2b(f"{levels.type}".encode(), digest_size=16)
    if pa.types.is_temporal(levels.type):  # how Python shows instants depends on versions
        levels = levels.view(pa.int32() if levels.type.bit_width == 32 else pa.int64())
    for start in range(0, len(levels), HASHED):
        part = levels.slice(start, HASHED).to_pylist()
        digest.update(repr(part).encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(counts).tobytes())
    return digest.hexdigest()


class KeptEncoder:
    """Turns the values of one column into numbers of kept levels; all others are the bucket.

    Kept level i has code i, the bucket the next one, missing -1.
    """

    edges = None

    def __init__(self, kept: Kept) -> None:
        assert kept.levels is not None
        self.kept: Kept | None = kept
        self.levels = kept.levels
        self.values = pa.array(np.arange(kept.n_kept + 1, dtype=np.int32))
        self.missing = False

    def __len__(self) -> int:
        return len(self.values) + self.missing

    def encode(self, column: pa.ChunkedArray | pa.Array) -> tuple[Array, Array]:
        """Return int32 (or uint8) indices of the rows and the look-up table from index to code."""
        array = combined(column)
        dictionary, indices = short_indices(array)
        table = np.full(len(dictionary) + 1, -1, np.int32)
        levels = normalized(dictionary.cast(self.levels.type))
        codes = pc.index_in(levels, value_set=self.levels, skip_nulls=True).fill_null(len(self.levels))
        table[:-1] = pc.if_else(levels.is_valid(), codes, -1).to_numpy(zero_copy_only=False)
        self.missing = self.missing or bool((table[:-1] < 0).any()) or has_missing(array)
        return indices, table


def level_limits(asked: Any, rest: Any, columns: Mapping[str, Any]) -> dict[str, int]:
    """Return how many levels each column may keep: one number for all columns, or one for each named.

    Raises
    ------
    UsageError
        A limit that is no number above 0, or another ``rest``.

    Examples
    --------
    >>> level_limits({"a": 100}, "bucket", {"a": 0, "b": 0}), level_limits(None, "bucket", {"a": 0})
    ({'a': 100}, {})
    """
    if rest not in RESTS:
        found = printable(repr(rest))
        raise UsageError("unknown rest", expected='"bucket"', found=found, next=nearest(str(rest), RESTS))
    if asked is None:
        return {}
    if not isinstance(asked, Mapping):
        return dict.fromkeys(columns, _limit("max_levels", asked))
    return {c: _limit(f"max_levels of {printable(c)!r}", k) for c, k in asked.items() if k is not None}


def _limit(what: str, given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
        raise UsageError(
            f"{what} makes no sense",
            expected="a number of levels of 1 and more, or {column: number}",
            found=printable(repr(given)),
        )
    return int(given)
