"""Exact order statistics without sorting: histograms of order-preserving keys that add.

A number becomes a 64-bit key that sorts as the number does. A first pass counts the leading 20 bits
of all keys; further passes count longer prefixes, or whole keys, of those buckets only that hold a
wanted rank. Every histogram is a sum of integers, so the edges are the same under any split.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from infolake.encoding.bins import BinRule, Edges, merged_edges, quantile_ranks, uniform_edges
from infolake.encoding.columns import combined, numbers
from infolake.errors import LedgerError, UsageError
from infolake.summaries.exact import BASE_BITS, MASK, carried, digits
from infolake.summaries.ledger import Ledger

Array = np.ndarray[Any, Any]
Planes = dict[int, Array]
SIGN = np.uint64(1 << 63)
FIRST_SHIFT = 44
SECOND_SHIFT = 24
EXACT_ROWS = 1 << 23
LOWEST_DIGIT = -36


def float_keys(values: Array) -> Array:
    """Return uint64 keys that sort as the floats do (no NaN; -0.0 equals 0.0).

    Examples
    --------
    >>> bool(np.all(np.diff(float_keys(np.array([-np.inf, -2.0, 0.0, 1e-300, 3.5])).astype(float)) > 0))
    True
    """
    bits = (values + 0.0).view(np.uint64)
    return np.where(bits >> np.uint64(63) == 1, ~bits, bits | SIGN)


def from_float_key(key: int) -> float:
    """Return the float of a key."""
    bits = key ^ (1 << 63) if key >> 63 else ~key & (2**64 - 1)
    return float(np.array(bits, np.uint64).view(np.float64))


def int_keys(values: Array) -> Array:
    """Return uint64 keys that sort as the int64 values do."""
    return values.view(np.uint64) ^ SIGN


@dataclass(frozen=True)
class ColumnPass:
    """What one pass asks of one column.

    Parameters
    ----------
    rule : BinRule
        What the edges must become.
    integer : bool
        Whether keys are of int64 values; else of float64.
    limit : int
        A column with at most so many distinct values is counted exactly; 0 bins it always.
    shift : int
        Bits of the key left out; 0 counts whole keys.
    wanted : tuple of int, or None
        Leading-20-bit buckets (of the value as a float) to count; None counts all.
    ranks : tuple of int
        Ranks still wanted (1-based, in rows or in units of weight).
    below : tuple of int
        Rows below each wanted bucket.
    prefixes : tuple of int, or None
        Prefixes at the previous shift to count, where that pass was not the first one.
    done : bool
        Whether ``edges`` are final.
    edges : tuple of numbers, or None
        Final edges; None for a column counted exactly.
    """

    rule: BinRule
    integer: bool
    limit: int = 0
    shift: int = FIRST_SHIFT
    wanted: tuple[int, ...] | None = None
    ranks: tuple[int, ...] = ()
    below: tuple[int, ...] = ()
    prefixes: tuple[int, ...] | None = None
    done: bool = False
    edges: Edges | None = None


@dataclass(frozen=True)
class QuantilePass:
    """One pass over the rows for the columns that need edges; it is what partitions are told."""

    columns: tuple[tuple[str, ColumnPass], ...]
    weights: str | None = None
    integer_weights: bool = True

    @property
    def unit(self) -> int:
        """Exponent of the unit in which ranks are counted: one row, or the smallest float's digit."""
        return 0 if self.weights is None or self.integer_weights else LOWEST_DIGIT

    @property
    def open(self) -> tuple[str, ...]:
        """Columns whose edges are not known yet."""
        return tuple(name for name, column in self.columns if not column.done)

    @property
    def edges(self) -> dict[str, Edges | None]:
        """Edges of the columns that are done."""
        return {name: column.edges for name, column in self.columns if column.done}

    @property
    def fingerprint(self) -> str:
        """What is counted, as text."""
        return json.dumps([(n, repr(c)) for n, c in self.columns] + [self.weights, self.integer_weights])


@dataclass(frozen=True, eq=False)
class KeyCounts:
    """How often keys (or their prefixes) occur, and the few distinct values seen, if few.

    Parameters
    ----------
    keys : ndarray of uint64, ascending
    planes : dict of int to ndarray of int64
        Counts of the keys, as base-2**32 digits when rows carry float weights.
    distinct : tuple of int, or None
        Distinct whole keys; None where there are more than the rule's limit.
    """

    keys: Array
    planes: Planes
    distinct: tuple[int, ...] | None = ()

    def exact(self, unit: int) -> Array:
        """Return the counts in units of 2**(32 * ``unit``): int64 where digits fit, else Python integers."""
        if unit == 0 and set(self.planes) <= {0}:
            return self.planes.get(0, np.zeros(len(self.keys), np.int64))
        total = np.zeros(len(self.keys), object)
        for exponent, plane in self.planes.items():
            total = total + (plane.astype(object) << 32 * (exponent - unit))
        return total


@dataclass(frozen=True, eq=False)
class QuantileHistogram:
    """Histograms of the keys of several columns; it adds."""

    step: QuantilePass
    columns: Mapping[str, KeyCounts]
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def fingerprint(self) -> str:
        """Digest of what was counted, not of the data."""
        return self.step.fingerprint

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(c.keys.nbytes * (1 + len(c.planes)) for c in self.columns.values())

    def __sizeof__(self) -> int:
        return 1000 + self.nbytes

    @property
    def values(self) -> dict[str, tuple[list[int], list[int], tuple[int, ...] | None]]:
        """Keys, exact counts and distinct values of each column."""
        return {
            n: (c.keys.tolist(), c.exact(self.step.unit).tolist(), c.distinct)
            for n, c in self.columns.items()
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QuantileHistogram):
            return NotImplemented
        same = self.fingerprint == other.fingerprint and self.ledger == other.ledger
        return same and self.values == other.values

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: QuantileHistogram) -> QuantileHistogram:
        if not isinstance(other, QuantileHistogram):
            return NotImplemented
        return add([self, other])

    def check(self, where: str = "bins") -> None:
        """Raise LedgerError unless every row is accounted for."""
        self.ledger.check(where)


def zero(step: QuantilePass) -> QuantileHistogram:
    """Return the histogram of no rows."""
    empty = KeyCounts(np.zeros(0, np.uint64), {})
    return QuantileHistogram(step, dict.fromkeys(step.open, empty))


def add(parts: Sequence[QuantileHistogram]) -> QuantileHistogram:
    """Add any number of histograms of the same pass."""
    step = parts[0].step
    if any(p.fingerprint != step.fingerprint for p in parts):
        raise UsageError("histograms of different passes do not add")
    columns = {n: joined([p.columns[n] for p in parts], dict(step.columns)[n]) for n in step.open}
    return QuantileHistogram(step, columns, sum((p.ledger for p in parts), Ledger()))


def joined(parts: Sequence[KeyCounts], column: ColumnPass) -> KeyCounts:
    """Add the counts of one column."""
    if not parts:
        return KeyCounts(np.zeros(0, np.uint64), {})
    keys = np.concatenate([p.keys for p in parts])
    exponents = sorted({e for p in parts for e in p.planes})
    planes = {
        e: np.concatenate([p.planes.get(e, np.zeros(len(p.keys), np.int64)) for p in parts])
        for e in exponents
    }
    joined = _run_lengths(keys, planes)
    known = [p.distinct for p in parts if p.distinct is not None]
    distinct = _few({k for d in known for k in d}, column) if len(known) == len(parts) else None
    return replace(joined, distinct=distinct)


def _few(keys: set[int], column: ColumnPass) -> tuple[int, ...] | None:
    return tuple(sorted(keys)) if len(keys) <= column.limit else None


def _run_lengths(keys: Array, planes: Planes) -> KeyCounts:
    """Sort keys and add the counts of equal ones."""
    if not len(keys):
        return KeyCounts(keys, {})
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    summed = {e: np.add.reduceat(p[order], starts) for e, p in planes.items()}
    settled = carried(summed) if set(summed) - {0} else summed
    kept = np.any([p != 0 for p in settled.values()], axis=0) if settled else np.zeros(len(starts), bool)
    return KeyCounts(keys[starts[kept]], {e: p[kept] for e, p in settled.items()})


def count_batch(step: QuantilePass, batch: pa.Table) -> QuantileHistogram:
    """Return the histograms of the rows of one batch (with an empty ledger)."""
    weights = _weights(step, batch)
    passes = dict(step.columns)
    found = {n: _count_column(passes[n], combined(batch[n]), weights) for n in step.open}
    return QuantileHistogram(step, found)


def _weights(step: QuantilePass, batch: pa.Table) -> Planes | None:
    if step.weights is None:
        return None
    from infolake.summaries.counting import checked_weights, whole_weights

    column = combined(batch[step.weights])
    checked = checked_weights(step.weights, column)
    if not step.integer_weights:
        return digits(checked)
    whole = whole_weights(step.weights, column)
    # digits, so that sums beyond 2**63 stay exact until the count refuses them
    return {0: whole & MASK, 1: whole >> BASE_BITS}


def _count_column(column: ColumnPass, array: pa.Array, weights: Planes | None) -> KeyCounts:
    values, missing = numbers(array, column.integer)
    present = ~missing if len(missing) else np.ones(len(values), bool)
    if not column.integer:
        present &= ~np.isnan(values)
    if weights is not None:
        weighty = np.zeros(len(values), bool)
        for plane in weights.values():
            weighty |= plane != 0
        present &= weighty
    keys, buckets = _keys(values[present], column.integer)
    planes = None if weights is None else {e: p[present] for e, p in weights.items()}
    distinct = _distinct(keys, column) if column.wanted is None else ()
    if column.wanted is None:
        return replace(_histogram(buckets, planes, 1 << (64 - FIRST_SHIFT)), distinct=distinct)
    chosen = np.isin(buckets, np.array(column.wanted, np.uint64))
    within = _within(column, values[present][chosen])
    prefix = _prefix(column, values[present][chosen][within])
    rows = np.flatnonzero(chosen)[within]
    ones = {0: np.ones(len(prefix), np.int64)}
    return _run_lengths(prefix, ones if planes is None else {e: p[rows] for e, p in planes.items()})


def prefixes(column: ColumnPass, values: Array) -> Array:
    """Return what a later pass counts of the values of wanted buckets: keys, or leading parts of them."""
    return _prefix(column, values[_within(column, values)])


def _within(column: ColumnPass, values: Array) -> Array:
    """Return which values of wanted buckets also have a wanted prefix."""
    if column.prefixes is None:
        return np.ones(len(values), bool)
    return np.isin(_float_prefix(values, SECOND_SHIFT), np.array(column.prefixes, np.uint64))


def _prefix(column: ColumnPass, values: Array) -> Array:
    return whole_keys(values, column.integer) if column.shift == 0 else _float_prefix(values, column.shift)


def whole_keys(values: Array, integer: bool) -> Array:
    """Return uint64 keys that sort as the values do; NaN is left out."""
    return int_keys(values) if integer else float_keys(values[values == values])  # noqa: PLR0124


def _keys(values: Array, integer: bool) -> tuple[Array, Array]:
    """Return whole keys and leading-20-bit buckets (of the value as a float)."""
    if not integer:
        keys = float_keys(values)
        return keys, keys >> np.uint64(FIRST_SHIFT)
    return int_keys(values), float_keys(values.astype(np.float64)) >> np.uint64(FIRST_SHIFT)


def _float_prefix(values: Array, shift: int) -> Array:
    return float_keys(values.astype(np.float64)) >> np.uint64(shift)


def _distinct(keys: Array, column: ColumnPass) -> tuple[int, ...] | None:
    """Return the distinct keys of a batch, or None beyond the limit; most columns show it early."""
    head = _few(set(np.unique(keys[:4096]).tolist()), column)
    return None if head is None else _few(set(np.unique(keys).tolist()), column)


def _histogram(buckets: Array, planes: Planes | None, size: int) -> KeyCounts:
    small = buckets.astype(np.int64)
    if planes is not None:
        return _run_lengths(buckets, planes)
    counts = np.bincount(small, minlength=size)
    keys = np.flatnonzero(counts)
    return KeyCounts(keys.astype(np.uint64), {0: counts[keys].astype(np.int64)})


def next_pass(histogram: QuantileHistogram) -> QuantilePass:
    """Return what the next pass must count, with the edges that this one settled."""
    step = histogram.step
    columns = tuple(
        (n, c if c.done else _advance(n, c, histogram.columns[n], step.unit)) for n, c in step.columns
    )
    return replace(step, columns=columns)


def _advance(name: str, column: ColumnPass, found: KeyCounts, unit: int) -> ColumnPass:
    counts = found.exact(unit)
    if column.wanted is None:
        return _after_first(column, found, counts, unit)
    if column.shift > 0:
        return _after_second(name, column, found, counts)
    return replace(column, done=True, edges=_edges(name, column, found, counts))


def _after_first(column: ColumnPass, found: KeyCounts, counts: Array, unit: int) -> ColumnPass:
    total = int(counts.sum()) if len(counts) else 0
    if total == 0 or (column.limit and found.distinct is not None):
        return replace(column, done=True, edges=None)
    ranks = tuple(_ranks(column.rule, total))
    ends = np.cumsum(counts)
    places = np.unique(np.searchsorted(ends, np.array(ranks, counts.dtype)))
    below = tuple(int(v) for v in (ends - counts)[places])
    wanted = tuple(int(k) for k in found.keys[places])
    rows = int(counts[places].sum()) >> -32 * unit
    shift = 0 if rows <= EXACT_ROWS else SECOND_SHIFT
    return replace(column, shift=shift, wanted=wanted, ranks=ranks, below=below)


def _after_second(name: str, column: ColumnPass, found: KeyCounts, counts: Array) -> ColumnPass:
    starts = _starts(column, found.keys >> np.uint64(FIRST_SHIFT - SECOND_SHIFT), counts)
    places = np.unique(_places(name, column, starts, counts))
    below = tuple(int(v) for v in starts[places])
    return replace(column, shift=0, prefixes=tuple(int(k) for k in found.keys[places]), below=below)


def _ranks(rule: BinRule, total: int) -> list[int]:
    if rule.method == "uniform":
        return [1, total]
    return sorted(set(quantile_ranks(total, rule.bins)))


def _starts(column: ColumnPass, buckets: Array, counts: Array) -> Array:
    """Return the rows below each counted key, given the rows below the bucket it belongs to."""
    known = column.wanted if column.prefixes is None else column.prefixes
    below = dict(zip(known or (), column.below, strict=True))
    found, first, inverse = np.unique(buckets, return_index=True, return_inverse=True)
    running = np.cumsum(counts) - counts
    base = np.array([below[b] for b in found.tolist()], counts.dtype) - running[first]
    starts: Array = running + base[inverse]
    return starts


def _places(name: str, column: ColumnPass, starts: Array, counts: Array) -> Array:
    """Return where each wanted rank stands among the counted keys."""
    ranks = np.array(column.ranks, counts.dtype)
    places = np.searchsorted(starts + counts, ranks)
    if len(starts) == 0 or (places == len(starts)).any() or (starts[places] >= ranks).any():
        raise LedgerError(f"internal: a rank of column {name!r} was not found", effect="nothing published")
    return places


def _edges(name: str, column: ColumnPass, found: KeyCounts, counts: Array) -> Edges:
    starts = _starts(column, _home(column, found.keys), counts)
    places = _places(name, column, starts, counts)
    edges = [_value(column, int(k)) for k in found.keys[places]]
    if column.rule.method == "uniform":
        return uniform_edges(name, edges[0], edges[-1], column.rule.bins)
    return merged_edges(edges)


def _home(column: ColumnPass, keys: Array) -> Array:
    """Return the bucket or prefix that each whole key was counted under."""
    shift = FIRST_SHIFT if column.prefixes is None else SECOND_SHIFT
    if not column.integer:
        return keys >> np.uint64(shift)
    return _float_prefix((keys ^ SIGN).view(np.int64), shift)


def _value(column: ColumnPass, key: int) -> int | float:
    return key - (1 << 63) if column.integer else from_float_key(key)


def first_pass(
    rules: Mapping[str, tuple[BinRule, bool, int]], weights: str | None = None, integer_weights: bool = True
) -> QuantilePass:
    """Return the first pass for columns given as name -> (rule, whether integers, distinct limit)."""
    columns = tuple((n, _opening(*described)) for n, described in rules.items())
    return QuantilePass(columns, weights, integer_weights)


def _opening(rule: BinRule, integer: bool, limit: int) -> ColumnPass:
    if rule.method == "exact":
        return ColumnPass(rule, integer, done=True)
    if rule.method == "edges":
        return ColumnPass(rule, integer, done=True, edges=rule.edges)
    return ColumnPass(rule, integer, limit)
