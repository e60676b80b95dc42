"""Groups of very many cells, counted in shards: what a leaf finds, and how a shard is put together.

The levels of a group's columns become one integer, its key (:mod:`infolake.encoding.key_codes`). A leaf
sorts the mixed keys of its rows and keeps an entry for each distinct one; shard s of a group is a range
of mixed keys, so that a shard is the sum of the same range of every leaf, and no cell is in two shards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from infolake.encoding.key_codes import MAX_BITS, AnyCode, added, fitting, key_bits
from infolake.summaries import wide
from infolake.summaries.ledger import Ledger

Array = np.ndarray[Any, Any]
Columns = tuple[int, ...]
BUCKET_BITS = 8
BUCKET_ENTRIES = 1 << 16
MOST_ROWS = 2**32 - 1
TABLE_PIECE = 1 << 19


@dataclass(frozen=True, eq=False)
class Keyed:
    """What is counted in shards.

    Parameters
    ----------
    columns : tuple of str
    types : tuple of pyarrow.DataType
        Canonical types.
    codes : tuple of key codes
        One for each column.
    groups : tuple of tuples of int
        Groups of columns, by position.
    shard_bits : int
        There are ``2**shard_bits`` shards.
    chunk_rows : int
        Rows whose keys are gathered before they are sorted.
    whole : tuple of groups
        Single columns that are counted in a table, whole, instead of in shards.
    level : bool
        Whether missing is one more level; else rows that miss any column are left out.
    """

    columns: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    codes: tuple[AnyCode, ...]
    groups: tuple[Columns, ...]
    shard_bits: int = 3
    chunk_rows: int = 1 << 21
    whole: tuple[Columns, ...] = ()
    level: bool = False

    @property
    def n_shards(self) -> int:
        """The number of shards of each group."""
        return 1 << self.shard_bits

    def sizes(self, group: Columns) -> tuple[int, ...]:
        """Return the number of codes of each column of a group."""
        return tuple(self.codes[c].size for c in group)

    def bits(self, group: Columns) -> int:
        """Return the bits of a group's keys; at least those that tell shards apart."""
        return max(key_bits([self.codes[c] for c in group]), self.shard_bits, BUCKET_BITS)

    def is_wide(self, group: Columns) -> bool:
        """Whether a group's keys are rows of words, being too long to stand beside a count in one."""
        return self.bits(group) > MAX_BITS


def entry_words(sizes: Sequence[int]) -> int:
    """Return how many words an entry of columns of so many codes takes.

    Examples
    --------
    >>> entry_words([1 << 29, 1 << 29]), entry_words([1 << 30, 1 << 30]), entry_words([1 << 64] * 2)
    (1, 2, 3)
    """
    wide_key = math.prod(sizes) > 1 << MAX_BITS
    return len(wide.layout(sizes)) + 1 if wide_key else 1


class Block(Protocol):
    """Entries of one shard of one leaf, in memory or in a file."""

    def load(self) -> Array:
        """Return the entries, ascending."""
        ...


class Store(Protocol):
    """Where a leaf leaves its entries."""

    def put(self, entries: Array, bounds: Array) -> list[Block]:
        """Keep ``entries[bounds[s]:bounds[s + 1]]`` for each shard s."""
        ...


@dataclass(frozen=True, eq=False)
class Held:
    """Entries in memory."""

    entries: Array

    def load(self) -> Array:
        """Return the entries, ascending."""
        return self.entries

    def __sizeof__(self) -> int:
        return 100 + self.entries.nbytes


class Memory:
    """Keeps entries in memory."""

    def put(self, entries: Array, bounds: Array) -> list[Block]:
        """Keep the entries of each shard."""
        return [Held(entries[a:b].copy()) for a, b in pairwise(bounds.tolist())]


@dataclass(frozen=True, eq=False)
class Tables:
    """What leaves hold beside entries; they add.

    Parameters
    ----------
    counts : dict of group to ndarray of uint32, or of int64 where rows may pass that
        The counts of each code, up to the largest that occurs, of the columns that are counted whole.
    n_missing : int
        Rows left out because a column of them is missing.
    ledger : Ledger
    """

    counts: dict[Columns, Array]
    n_missing: int
    ledger: Ledger

    def __add__(self, other: Tables) -> Tables:
        ledger = self.ledger + other.ledger
        kind = np.uint32 if ledger.rows_counted <= MOST_ROWS else np.int64
        counts = {g: _sum(v, other.counts[g], kind) for g, v in self.counts.items()}
        return Tables(counts, self.n_missing + other.n_missing, ledger)

    def __sizeof__(self) -> int:
        return 200 + sum(v.nbytes for v in self.counts.values())


def _sum(one: Array, other: Array, kind: Any) -> Array:
    """Add counts of codes from 0 on."""
    short, long = sorted((one, other), key=len)
    out = long.astype(kind)
    out[: len(short)] += short.astype(kind, copy=False)
    return out


@dataclass(frozen=True)
class Misfit:
    """Values that the codes do not fit; ``codes`` would fit those of this leaf. They add."""

    codes: tuple[AnyCode | None, ...]

    def __add__(self, other: Misfit) -> Misfit:
        return Misfit(tuple(added(pair) for pair in zip(self.codes, other.codes, strict=True)))


@dataclass(frozen=True, eq=False)
class Found:
    """What one leaf found: tables, or what does not fit; and for each group and shard, its blocks."""

    tables: Tables | Misfit
    blocks: dict[Columns, list[list[Block]]]

    def __sizeof__(self) -> int:
        held = (b for shards in self.blocks.values() for blocks in shards for b in blocks)
        return self.tables.__sizeof__() + sum(b.__sizeof__() for b in held)


class KeyCounter:
    """A leaf's work: batches of rows in, entries and tables out."""

    def __init__(self, asked: Keyed, store: Store) -> None:
        self.asked = asked
        self.n_missing = 0
        self.misfit: list[AnyCode | None] | None = None
        self.chunks: dict[Columns, _Chunk | wide.WideChunk] = {
            g: (wide.WideChunk if asked.is_wide(g) else _Chunk)(asked, g, store)
            for g in asked.groups
            if g not in asked.whole
        }
        self.tables = {g: _Table(asked.codes[g[0]].size) for g in asked.whole}

    def update(self, batch: pa.Table) -> None:
        """Count the rows of ``batch``, which holds at least the columns."""
        if self.misfit is None:
            codes = self._codes(batch)
            if codes is not None:
                self._count(codes)
                return
            self.misfit = list(self.asked.codes)
        self._learn(batch)

    def result(self, ledger: Ledger) -> Found:
        """Return what was found."""
        if self.misfit is not None:
            none: list[list[Block]] = [[] for _ in range(self.asked.n_shards)]
            return Found(Misfit(tuple(self.misfit)), dict.fromkeys(self.chunks, none))
        blocks = {group: chunk.finished() for group, chunk in self.chunks.items()}
        counts = {group: table.finished() for group, table in self.tables.items()}
        return Found(Tables(counts, self.n_missing, ledger), blocks)

    def _codes(self, batch: pa.Table) -> list[Array] | None:
        """Return the codes of every column, rows that miss one left out; None where a value does not fit."""
        found = []
        for name, code in zip(self.asked.columns, self.asked.codes, strict=True):
            codes = code.codes(batch[name])
            if codes is None:
                return None
            found.append(codes)
        may_miss = any(_may_miss(batch[c]) for c in self.asked.columns)
        return self._complete(found) if may_miss and not self.asked.level else found

    def _complete(self, found: list[Array]) -> list[Array]:
        missing = np.zeros(len(found[0]), np.bool_)
        for codes, code in zip(found, self.asked.codes, strict=True):
            missing |= codes == np.uint64(code.size - 1)
        if not missing.any():
            return found
        self.n_missing += int(missing.sum())
        return [codes[~missing] for codes in found]

    def _learn(self, batch: pa.Table) -> None:
        """Make the codes wider, so that they fit this batch too."""
        assert self.misfit is not None
        for i, (name, kind) in enumerate(zip(self.asked.columns, self.asked.types, strict=True)):
            known = self.misfit[i]
            if known is not None:
                self.misfit[i] = added([known, fitting(known, batch[name], kind)])

    def _count(self, codes: list[Array]) -> None:
        for (column,), table in self.tables.items():
            table.add(codes[column])
        for group, chunk in self.chunks.items():
            chunk.add([codes[c] for c in group])


def _may_miss(column: pa.ChunkedArray) -> bool:
    """Whether a row may be missing: NaN is, and a null among the values of a dictionary, beside nulls."""
    kind = column.type
    odd = pa.types.is_floating(kind) or pa.types.is_null(kind) or pa.types.is_dictionary(kind)
    return bool(column.null_count) or bool(odd)


class _Table:
    """The counts of one column, in 32 bits until so many rows have been counted."""

    def __init__(self, size: int) -> None:
        self.recent = np.zeros(size, np.uint32)
        self.total: Array | None = None
        self.rows = self.largest = 0

    def add(self, codes: Array) -> None:
        from infolake.key_kernels import count_codes

        if self.rows + len(codes) > MOST_ROWS:
            self.total = self.finished().astype(np.int64)
            self.recent[:] = 0
            self.rows = 0
        self.largest = max(self.largest, count_codes(codes, self.recent))
        self.rows += len(codes)

    def finished(self) -> Array:
        recent = self.recent[: self.largest + 1]
        return recent if self.total is None else _sum(self.total, recent, np.int64)


class _Chunk:
    """The keys of one group, gathered, sorted and put into the store chunk by chunk."""

    def __init__(self, asked: Keyed, group: Columns, store: Store) -> None:
        self.sizes = asked.sizes(group)
        self.bits = asked.bits(group)
        self.bucket_bits = max(BUCKET_BITS, asked.shard_bits)
        self.n_shards = asked.n_shards
        self.rows = asked.chunk_rows
        self.store = store
        self.buffer = np.zeros(0, np.uint64)
        self.scratch = self.buffer
        self.held = 0
        self.blocks: list[list[Block]] = [[] for _ in range(self.n_shards)]

    def add(self, codes: list[Array]) -> None:
        from infolake.key_kernels import append_codes, mix

        n, start = len(codes[0]), 0
        if not len(self.buffer):
            self.buffer, self.scratch = np.empty(self.rows, np.uint64), np.empty(self.rows, np.uint64)
        while start < n:
            stop = min(n, start + self.rows - self.held)
            keys = self.buffer[self.held : self.held + stop - start]
            keys[:] = codes[0][start:stop]
            for own, size in zip(codes[1:], self.sizes[1:], strict=True):
                append_codes(keys, own[start:stop], size)
            mix(keys, self.bits, keys)
            self.held += stop - start
            start = stop
            if self.held == self.rows:
                self._flush()

    def finished(self) -> list[list[Block]]:
        self._flush()
        self.buffer = self.scratch = np.zeros(0, np.uint64)
        return self.blocks

    def _flush(self) -> None:
        if not self.held:
            return
        scratch = self.scratch[: self.held]
        entries, bounds = distinct(self.buffer[: self.held], self.bits, self.bucket_bits, scratch)
        step = 1 << (self.bucket_bits - (self.n_shards.bit_length() - 1))
        for shard, block in enumerate(self.store.put(entries, bounds[::step])):
            self.blocks[shard].append(block)
        self.held = 0


def distinct(keys: Array, bits: int, bucket_bits: int, scratch: Array) -> tuple[Array, Array]:
    """Return the entries of mixed keys, ascending, and where each of ``2**bucket_bits`` buckets starts.

    ``keys`` and ``scratch``, of the same length, are overwritten, and the entries lie in ``keys``.
    """
    from infolake.key_kernels import partition, run_lengths

    starts = np.zeros((1 << bucket_bits) + 1, np.int64)
    partition(keys, bits - bucket_bits, starts, scratch)
    bounds, n = np.zeros_like(starts), 0
    for bucket in range(1 << bucket_bits):
        part = scratch[starts[bucket] : starts[bucket + 1]]
        part.sort()
        n += run_lengths(part, 64 - bits, keys[n:])
        bounds[bucket + 1] = n
    return keys[:n], bounds


@dataclass(frozen=True, eq=False)
class Shard:
    """Distinct keys of a group and their counts, in pieces that add by standing side by side.

    Parameters
    ----------
    codes : tuple of key codes
        Of the group's columns.
    bits : int
        Bits of the mixed keys.
    pieces : tuple of (mixed keys, counts)
        uint64 and int64, each of shape (cells,); wide keys of shape (cells, words).
    """

    codes: tuple[AnyCode, ...]
    bits: int
    pieces: tuple[tuple[Array, Array], ...]

    @classmethod
    def of_table(cls, code: AnyCode, counts: Array) -> Iterator[Shard]:
        """Yield the cells of a column that was counted whole, in pieces."""
        from infolake.key_kernels import mix

        bits = key_bits([code])
        for start in range(0, len(counts), TABLE_PIECE):
            part = counts[start : start + TABLE_PIECE]
            keys = np.flatnonzero(part)
            mixed = keys.astype(np.uint64) + np.uint64(start)
            mix(mixed, bits, mixed)
            yield cls((code,), bits, ((mixed, part[keys].astype(np.int64)),))

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self.pieces)

    @cached_property
    def counts(self) -> Array:
        """The counts, int64, shape (cells,)."""
        return _concatenated([counts for _, counts in self.pieces], np.int64)

    @property
    def is_wide(self) -> bool:
        """Whether keys are rows of words."""
        return self.bits > MAX_BITS

    @property
    def sizes(self) -> list[int]:
        """The number of codes of each column."""
        return [code.size for code in self.codes]

    @cached_property
    def keys(self) -> Array:
        """Mixed-radix numbers of the columns' codes, the first column slowest; uint64, shape (cells,).

        Wide keys are several such numbers, each of some columns; shape (cells, words).
        """
        from infolake.key_kernels import unmix
        from infolake.wide_kernels import unmix_words

        keys = _concatenated([keys for keys, _ in self.pieces], np.uint64).copy()
        if self.is_wide:
            unmix_words(keys)
        else:
            unmix(keys, self.bits, keys)
        return keys

    @cached_property
    def columns(self) -> list[Array]:
        """The codes of each column, uint64, each of shape (cells,)."""
        if self.is_wide:
            return wide.unpacked(self.keys, self.sizes)
        return split_columns(self.keys.copy(), self.codes)

    def numbers(self) -> Numbers:
        """Return how many cells there are per combination of all columns but the first."""
        sizes = self.sizes[1:]
        if self.is_wide:
            return Numbers.of(wide.packed(self.columns[1:], sizes))
        return Numbers.of((self.keys % np.uint64(math.prod(sizes)))[:, None])

    def in_order(self) -> tuple[list[Array], Array]:
        """Return the codes of each column and the counts, in the order of the levels, in little memory."""
        from infolake.key_kernels import unmix

        if self.is_wide:
            ordered = self.sorted()
            return ordered.columns, ordered.counts
        keys = np.concatenate([keys for keys, _ in self.pieces])
        unmix(keys, self.bits, keys)
        order = np.argsort(keys)
        counts = np.concatenate([counts for _, counts in self.pieces])[order]
        del order
        keys.sort()
        return split_columns(keys, self.codes), counts

    def joined(self) -> Shard:
        """Return the cells in one piece, with no room beside."""
        mixed = np.concatenate([keys for keys, _ in self.pieces])
        return Shard(self.codes, self.bits, ((mixed, np.concatenate([n for _, n in self.pieces])),))

    def chosen(self, rows: Any) -> Shard:
        """Return some of the cells."""
        mixed = _concatenated([keys for keys, _ in self.pieces], np.uint64)
        return Shard(self.codes, self.bits, ((mixed[rows], self.counts[rows]),))

    def sorted(self) -> Shard:
        """Return the cells in the order of their levels."""
        return self.chosen(wide.order(self.keys) if self.is_wide else np.argsort(self.keys, kind="stable"))

    def __add__(self, other: Shard) -> Shard:
        return Shard(self.codes, self.bits, self.pieces + other.pieces)

    def __sizeof__(self) -> int:
        return 200 + sum(keys.nbytes + counts.nbytes for keys, counts in self.pieces)


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers of cells per key; those of parts of the cells add by standing side by side.

    Parameters
    ----------
    parts : tuple of ndarray of uint64, each of shape (keys, words + 1)
        The mixed words of keys and, last, their numbers.
    """

    parts: tuple[Array, ...]

    @classmethod
    def of(cls, words: Array) -> Numbers:
        """Return how often each row of words occurs."""
        from infolake.wide_kernels import mix_words

        mixed = words.copy()
        mix_words(mixed)
        return cls((np.column_stack([mixed, np.ones(len(mixed), np.uint64)]),)).summed()

    @property
    def values(self) -> Array:
        """The numbers as they stand, int64; in the same order for the same keys, if they are summed."""
        return _concatenated([part[:, -1] for part in self.parts], np.uint64).astype(np.int64)

    def __add__(self, other: Numbers) -> Numbers:
        return Numbers(self.parts + other.parts)

    def summed(self) -> Numbers:
        """Return each key once."""
        rows = np.concatenate(self.parts)
        out = np.empty_like(rows)
        return Numbers((out[: wide.add_equal(rows, rows.shape[1] - 1, 0, out)],))

    def __sizeof__(self) -> int:
        return 100 + sum(part.nbytes for part in self.parts)


def split_columns(keys: Array, codes: Sequence[AnyCode]) -> list[Array]:
    """Return the codes of each column of ``keys``, whose room the first column's take."""
    from infolake.key_kernels import split_codes

    found = []
    for code in reversed(codes[1:]):
        out = np.empty_like(keys)
        split_codes(keys, code.size, out)
        found.append(out)
    return [keys, *reversed(found)]


def _concatenated(parts: Sequence[Array], kind: Any) -> Array:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, kind)


def merged(asked: Keyed, group: Columns, shard: int, blocks: Sequence[Block]) -> Iterator[Shard]:
    """Add the blocks of all leaves into one shard of a group; yield it in pieces that fit a cache."""
    from infolake.key_kernels import sum_entries

    bits, codes = asked.bits(group), tuple(asked.codes[c] for c in group)
    parts = [p for p in (b.load() for b in blocks) if len(p)]
    if asked.is_wide(group):
        width = len(wide.layout(asked.sizes(group)))
        for found in wide.merged_entries(parts, width, asked.shard_bits, shard):
            yield Shard(codes, bits, ((found[:, :width], found[:, width].astype(np.int64)),))
        return
    n_entries = sum(map(len, parts))
    fine = min((n_entries // BUCKET_ENTRIES).bit_length(), bits - asked.shard_bits)
    edges = ((shard << fine) + np.arange(1, 1 << fine)).astype(np.uint64)
    limits = edges << np.uint64(64 - asked.shard_bits - fine)
    cuts = [[0, *np.searchsorted(p, limits).tolist(), len(p)] for p in parts]
    for bucket in range(1 << fine):
        own = [p[c[bucket] : c[bucket + 1]] for p, c in zip(parts, cuts, strict=True)]
        entries = np.sort(_concatenated(own, np.uint64))
        keys, counts = np.empty(len(entries), np.uint64), np.empty(len(entries), np.int64)
        n = sum_entries(entries, 64 - bits, keys, counts)
        yield Shard(codes, bits, ((keys[:n], counts[:n]),))
