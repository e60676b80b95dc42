"""Numba loops over wide keys, which one word cannot hold beside a count: a row of words (uint64) per key.

The first word is mixed with all others, by a bijection as long as the others stand, so that equal ranges
of it hold about equally many keys, and rows in the order of their words are in the order of their first
word. Keys are compared word by word: nothing stands for a key.
Here too: the look-up of a column's codes, of any bits. Every kernel has a slow twin in
``tests/test_wide_kernels.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]
Word = np.uint64

FIRST = np.uint64(0x9E3779B97F4A7C15)
SECOND = np.uint64(0xD6E8FEB86659FD93)
FIRST_INVERSE = np.uint64(pow(int(FIRST), -1, 1 << 64))
SECOND_INVERSE = np.uint64(pow(int(SECOND), -1, 1 << 64))
ONE, HALF = np.uint64(1), np.uint64(32)
SIGN = np.uint64(1 << 63)


@njit(nogil=True, cache=True)
def float_codes(values: Array, missing: Array, low: Word, n: Word, out: Array) -> None:
    """Write what orders floats as numbers, less ``low``; ``n`` where NaN or ``missing`` (may be empty).

    Parameters
    ----------
    values : ndarray of float64
    low : uint64
        What orders -infinity.
    """
    flagged = len(missing) > 0
    stored = (values + 0.0).view(np.uint64)  # of -0.0 and 0.0, 0.0
    for i in range(len(values)):
        if values[i] != values[i] or (flagged and missing[i]):
            out[i] = n
        elif stored[i] >= SIGN:
            out[i] = ~stored[i] - low
        else:
            out[i] = (stored[i] | SIGN) - low


@njit(nogil=True, cache=True)
def put_codes(words: Array, w: int, codes: Array, size: Word) -> None:
    """``words[i, w] = words[i, w] * size + codes[i]``: one more column of ``size`` (uint64) codes."""
    for i in range(len(words)):
        words[i, w] = words[i, w] * size + codes[i]


@njit(nogil=True, cache=True)
def take_codes(words: Array, w: int, size: Word, out: Array) -> None:
    """Take the last column off a word: ``out[i], words[i, w] = words[i, w] % size, words[i, w] // size``."""
    for i in range(len(words)):
        rest = words[i, w] // size
        out[i] = words[i, w] - rest * size
        words[i, w] = rest


@njit(nogil=True, cache=True)
def _others(words: Array, i: int) -> Word:
    """Return a number that all words but the first of a row make."""
    found = np.uint64(0)
    for w in range(1, words.shape[1]):
        found = (found ^ words[i, w]) * FIRST
        found = (found ^ (found >> HALF)) * SECOND
    return found ^ (found >> HALF)


@njit(nogil=True, cache=True)
def mix_words(words: Array) -> None:
    """Mix the first word of each row with the others."""
    alone = words.shape[1] == 1
    for i in range(len(words)):
        key = words[i, 0] if alone else words[i, 0] ^ _others(words, i)
        key *= FIRST
        words[i, 0] = (key ^ (key >> HALF)) * SECOND


@njit(nogil=True, cache=True)
def unmix_words(words: Array) -> None:
    """Undo :func:`mix_words`."""
    for i in range(len(words)):
        key = words[i, 0] * SECOND_INVERSE
        key = (key ^ (key >> HALF)) * FIRST_INVERSE
        words[i, 0] = key ^ _others(words, i)


@njit(nogil=True, cache=True)
def partition_rows(words: Array, shift: Word, starts: Array, out: Array) -> None:
    """Write rows to ``out`` grouped by ``first word >> shift`` (uint64); group g starts at ``starts[g]``."""
    width = words.shape[1]
    starts[:] = 0
    for i in range(len(words)):
        starts[np.int64(words[i, 0] >> shift) + 1] += 1
    for group in range(1, len(starts)):
        starts[group] += starts[group - 1]
    place = starts[:-1].copy()
    for i in range(len(words)):
        g = np.int64(words[i, 0] >> shift)
        p = place[g]
        place[g] = p + 1
        out[p, 0] = words[i, 0]
        if width > 1:
            out[p, 1] = words[i, 1]
        for w in range(2, width):
            out[p, w] = words[i, w]


@njit(nogil=True, cache=True)
def marks(words: Array, known: Word, low: Word, out: Array) -> None:
    """Write the first words without their ``known`` upper bits, the ``low`` lowest bits telling the row."""
    mask = (ONE << low) - ONE
    for i in range(len(words)):
        out[i] = ((words[i, 0] << known) & ~mask) | np.uint64(i)


@njit(nogil=True, cache=True)
def add_rows(rows: Array, width: int, order: Array, low: Word, out: Array) -> int:
    """Write ``width`` words and the count of each distinct key; return how many, or -1.

    Parameters
    ----------
    rows : ndarray of uint64
        ``width`` words a row, and a count, which is 1 where it is left out.
    order : ndarray of uint64
        Sorted marks; or, with a ``low`` of 64, numbers of rows in an order that has equal keys side by side.
    out : ndarray of uint64, shape (at least the distinct keys, width + 1)

    Returns
    -------
    int
        -1 where two keys have the same mark but for the row, so that they may stand in any order.
    """
    counted, n = rows.shape[1] > width, -1
    numbered = low < np.uint64(64)
    mask = (ONE << low) - ONE if numbered else ~np.uint64(0)
    last, total = np.uint64(0), np.uint64(0)
    for place in range(len(order)):
        i = np.int64(order[place] & mask)
        alike = n >= 0 and (not numbered or (order[place] ^ last) <= mask)
        last = order[place]
        same = alike
        for w in range(width):
            same = same and rows[i, w] == out[n, w]
        if not same:
            if alike and numbered:
                return -1
            if n >= 0:
                out[n, width] = total
            n, total = n + 1, np.uint64(0)
            for w in range(width):
                out[n, w] = rows[i, w]
        total += rows[i, width] if counted else ONE
    if n >= 0:
        out[n, width] = total
    return n + 1


@njit(nogil=True, cache=True)
def run_rows(keys: Array, out: Array) -> int:
    """Write each distinct key of one word, of sorted ``keys``, and its count; return how many."""
    n, i = 0, 0
    while i < len(keys):
        key, j = keys[i], i + 1
        while j < len(keys) and keys[j] == key:
            j += 1
        out[n, 0], out[n, 1] = key, np.uint64(j - i)
        n += 1
        i = j
    return n


@njit(nogil=True, cache=True)
def _slot(code: Word, shift: Word) -> np.int64:
    key = code * FIRST
    return np.int64(((key ^ (key >> HALF)) * SECOND) >> shift)


@njit(nogil=True, cache=True)
def put_places(codes: Array, shift: Word, table: Array) -> None:
    """Fill a ``table`` of ``2**(64 - shift)`` zeros, more than there are ``codes``, for :func:`find_places`.

    Each distinct code's place, plus one, stands in the slot of its mixed bits, or in the next free one.
    """
    last = len(table) - 1
    for place in range(len(codes)):
        slot = _slot(codes[place], shift)
        while table[slot]:
            slot = (slot + 1) & last
        table[slot] = place + 1


@njit(nogil=True, cache=True)
def find_places(table: Array, codes: Array, shift: Word, wanted: Array, out: Array) -> bool:
    """Write where ``wanted`` stand among ``codes``; return whether all of them do."""
    last = len(table) - 1
    for i in range(len(wanted)):
        slot = _slot(wanted[i], shift)
        while table[slot] and codes[table[slot] - 1] != wanted[i]:
            slot = (slot + 1) & last
        if not table[slot]:
            return False
        out[i] = table[slot] - 1
    return True
