"""Keys of more bits than one word holds beside a count: rows of words, sorted and added exactly.

The columns of a group are packed into as few words as hold them one after the other, so that the order
of the words is the order of the columns' codes. A leaf and a shard sort by the first, mixed word, and
add where all words are equal. Entries are rows of the words and a count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from infolake.summaries.sharded import Block, Columns, Keyed, Store

Array = np.ndarray[Any, Any]
Words = tuple[tuple[int, ...], ...]
FULL = (1 << 64) - 1
WORD = np.uint64(64)
BUCKET_ROWS = 1 << 14
BUCKET_ENTRIES = 1 << 16


def layout(sizes: Sequence[int]) -> Words:
    """Return the columns that each word packs, from their numbers of codes.

    Parameters
    ----------
    sizes : sequence of int
        At most 2**64.

    Examples
    --------
    >>> layout([1 << 40, 1 << 23, 1 << 30]), layout([1 << 64, 3])
    (((0, 1), (2,)), ((0,), (1,)))
    """
    words: list[tuple[int, ...]] = []
    held = FULL
    for column, size in enumerate(sizes):
        if words and held * size <= FULL:
            words[-1] = (*words[-1], column)
            held *= size
        else:
            words.append((column,))
            held = size
    return tuple(words)


def packed(columns: Sequence[Array], sizes: Sequence[int], out: Array | None = None) -> Array:
    """Return the words of some columns' codes, not yet mixed; uint64, shape (rows, words).

    Examples
    --------
    >>> codes = [np.array([5, 2], np.uint64) for _ in range(3)]
    >>> packed(codes, [1 << 62, 10, 10]).tolist()
    [[5, 55], [2, 22]]
    """
    from infolake.wide_kernels import put_codes

    words = layout(sizes)
    found = np.empty((len(columns[0]), len(words)), np.uint64) if out is None else out
    for w, (first, *rest) in enumerate(words):
        found[:, w] = columns[first]
        for column in rest:
            put_codes(found, w, columns[column], np.uint64(sizes[column]))
    return found


def unpacked(words: Array, sizes: Sequence[int]) -> list[Array]:
    """Return the codes of each column, uint64.

    Examples
    --------
    >>> [c.tolist() for c in unpacked(np.array([[5, 55], [2, 22]], np.uint64), [1 << 62, 10, 10])]
    [[5, 2], [5, 2], [5, 2]]
    """
    from infolake.wide_kernels import take_codes

    found: list[Array] = []
    rest = words.copy()
    for w, (_, *others) in enumerate(layout(sizes)):
        taken = [np.empty(len(rest), np.uint64) for _ in others]
        for column, out in zip(reversed(others), reversed(taken), strict=True):
            take_codes(rest, w, np.uint64(sizes[column]), out)
        found += [rest[:, w].copy(), *taken]
    return found


def order(words: Array) -> Array:
    """Return the positions that sort rows of words."""
    found: Array = np.lexsort(words.T[::-1])
    return found


def distinct(words: Array, bucket_bits: int, scratch: Array, out: Array) -> tuple[Array, Array]:
    """Return the entries of mixed words, ascending, and where each of ``2**bucket_bits`` buckets starts.

    ``scratch``, of the same shape as ``words``, is overwritten; the entries lie in ``out``, which may share
    memory with ``words``.
    """
    from infolake.wide_kernels import partition_rows

    starts = np.zeros((1 << bucket_bits) + 1, np.int64)
    partition_rows(words, WORD - np.uint64(bucket_bits), starts, scratch)
    bounds, n = np.zeros_like(starts), 0
    for bucket, (start, stop) in enumerate(pairwise(starts.tolist())):
        n += add_equal(scratch[start:stop], words.shape[1], bucket_bits, out[n:])
        bounds[bucket + 1] = n
    return out[:n], bounds


def add_equal(rows: Array, width: int, known: int, out: Array) -> int:
    """Write the entries of rows whose first words share their ``known`` upper bits; return how many.

    Rows of one word and no count are sorted where they stand.
    """
    from infolake.wide_kernels import add_rows, marks, run_rows

    if not len(rows):
        return 0
    if rows.shape[1] == 1:
        keys = rows[:, 0]
        keys.sort()
        return int(run_rows(keys, out))
    low = np.uint64((len(rows) - 1).bit_length())
    found = np.empty(len(rows), np.uint64)
    marks(rows, np.uint64(known), low, found)
    found.sort()
    n = int(add_rows(rows, width, found, low, out))
    if n < 0:
        by_words = order(rows[:, :width]).astype(np.uint64)
        n = int(add_rows(rows, width, by_words, WORD, out))
    return n


class WideChunk:
    """The keys of one group, gathered, sorted and put into the store chunk by chunk."""

    def __init__(self, asked: Keyed, group: Columns, store: Store) -> None:
        self.sizes = asked.sizes(group)
        self.width = len(layout(self.sizes))
        self.shard_bits = asked.shard_bits
        self.rows = asked.chunk_rows
        self.store = store
        self.buffer = np.zeros(0, np.uint64)
        self.scratch = np.zeros((0, self.width), np.uint64)
        self.held = 0
        self.blocks: list[list[Block]] = [[] for _ in range(asked.n_shards)]

    def add(self, codes: list[Array]) -> None:
        """Gather the keys of rows."""
        from infolake.wide_kernels import mix_words

        if not len(self.buffer):
            self.buffer = np.empty(self.rows * (self.width + 1), np.uint64)
            self.scratch = np.empty((self.rows, self.width), np.uint64)
        n, start = len(codes[0]), 0
        while start < n:
            stop = min(n, start + self.rows - self.held)
            held = self.held + stop - start
            mix_words(packed([c[start:stop] for c in codes], self.sizes, self._words[self.held : held]))
            self.held, start = held, stop
            if held == self.rows:
                self._flush()

    def finished(self) -> list[list[Block]]:
        """Return the blocks of each shard."""
        self._flush()
        self.buffer, self.scratch = np.zeros(0, np.uint64), np.zeros((0, self.width), np.uint64)
        return self.blocks

    @property
    def _words(self) -> Array:
        return self.buffer[: self.rows * self.width].reshape(self.rows, self.width)

    def _flush(self) -> None:
        if not self.held:
            return
        words = self._words[: self.held]
        bits = max((self.rows // BUCKET_ROWS - 1).bit_length(), self.shard_bits)
        out = self.buffer.reshape(self.rows, self.width + 1)
        entries, bounds = distinct(words, bits, self.scratch[: self.held], out)
        for shard, block in enumerate(self.store.put(entries, bounds[:: 1 << (bits - self.shard_bits)])):
            self.blocks[shard].append(block)
        self.held = 0


def merged_entries(parts: Sequence[Array], width: int, shard_bits: int, shard: int) -> Iterator[Array]:
    """Add the entries of one shard of all leaves; yield them ascending, in pieces that fit a cache."""
    fine = (sum(map(len, parts)) // BUCKET_ENTRIES).bit_length()
    known = shard_bits + fine
    edges = ((shard << fine) + np.arange(1, 1 << fine)).astype(np.uint64) << (WORD - np.uint64(known))
    cuts = [[0, *np.searchsorted(p[:, 0], edges).tolist(), len(p)] for p in parts]
    for bucket in range(1 << fine):
        own = [p[c[bucket] : c[bucket + 1]] for p, c in zip(parts, cuts, strict=True)]
        rows = np.concatenate(own) if own else np.zeros((0, width + 1), np.uint64)
        out = np.empty_like(rows)
        yield out[: add_equal(rows, width, known, out)]
