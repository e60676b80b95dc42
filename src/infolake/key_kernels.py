"""Numba loops over keys: one uint64 per row, or per distinct combination of levels and its count.

A **key** is the mixed-radix number of the codes of a row's columns. It is mixed by a bijection of its
own ``bits``, so that equal ranges of mixed keys hold about equally many. An **entry** is a mixed key
above ``room`` bits of a count, so that one sort of plain integers orders both. Every kernel has a slow
twin in ``tests/test_key_kernels.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]
Word = int | np.uint64

FIRST = np.uint64(0x9E3779B97F4A7C15)
SECOND = np.uint64(0xD6E8FEB86659FD93)
FIRST_INVERSE = np.uint64(pow(int(FIRST), -1, 1 << 64))
SECOND_INVERSE = np.uint64(pow(int(SECOND), -1, 1 << 64))
ONE = np.uint64(1)


@njit(nogil=True, cache=True)
def integer_codes(values: Array, missing: Array, low: Word, n: Word, out: Array) -> bool:
    """Write ``value - low``, and ``n`` where ``missing`` (empty, or one flag per row) is set.

    Returns
    -------
    bool
        Whether every value lies within the ``n`` integers from ``low`` on.
    """
    flagged, fits = len(missing) > 0, True
    limit = np.uint64(n)
    for i in range(len(values)):
        code = np.uint64(values[i]) - np.uint64(low)
        if flagged and missing[i]:
            out[i] = limit
        else:
            fits = fits and bool(code < limit)
            out[i] = code
    return fits


@njit(nogil=True, cache=True)
def text_codes(offsets: Array, data: Array, missing: Array, digits: Array, n: int, out: Array) -> bool:
    """Write the sum of ``digits[position, byte]`` over the bytes of each text; ``n`` where missing.

    Returns
    -------
    bool
        Whether every text is short enough, and all its bytes have a digit (below 2**62).
    """
    flagged, longest = len(missing) > 0, len(digits)
    seen = np.uint64(0)
    for i in range(len(out)):
        if flagged and missing[i]:
            out[i] = np.uint64(n)
            continue
        start, stop = offsets[i], offsets[i + 1]
        if stop - start > longest:
            return False
        code = np.uint64(0)
        for j in range(np.uint64(stop - start)):
            digit = digits[j, data[np.uint64(start) + j]]
            seen |= digit
            code += digit
        out[i] = code
    return bool(seen < np.uint64(1 << 62))


@njit(nogil=True, cache=True)
def text_bytes(offsets: Array, data: Array, missing: Array, out: Array) -> int:
    """Flag ``out[position, byte]`` for every byte of every text; return the longest length."""
    flagged, longest = len(missing) > 0, 0
    for i in range(len(offsets) - 1):
        if flagged and missing[i]:
            continue
        start, stop = offsets[i], offsets[i + 1]
        longest = max(longest, stop - start)
        for j in range(start, min(stop, start + len(out))):
            out[j - start, data[j]] = True
    return longest


@njit(nogil=True, cache=True)
def append_codes(keys: Array, codes: Array, size: int) -> None:
    """``keys[i] = keys[i] * size + codes[i]``: one more column of ``size`` codes."""
    step = np.uint64(size)
    for i in range(len(keys)):
        keys[i] = keys[i] * step + codes[i]


@njit(nogil=True, cache=True)
def split_codes(keys: Array, size: int, out: Array) -> None:
    """Take the last column off: ``out[i], keys[i] = keys[i] % size, keys[i] // size``."""
    step = np.uint64(size)
    for i in range(len(keys)):
        rest = keys[i] // step
        out[i] = keys[i] - rest * step
        keys[i] = rest


@njit(nogil=True, cache=True)
def mix(keys: Array, bits: int, out: Array) -> None:
    """Write the mixed keys: a bijection of the integers below ``2**bits``."""
    mask = (ONE << np.uint64(bits)) - ONE
    half = np.uint64((bits + 1) // 2)
    for i in range(len(keys)):
        key = (keys[i] * FIRST) & mask
        key ^= key >> half
        out[i] = (key * SECOND) & mask


@njit(nogil=True, cache=True)
def unmix(keys: Array, bits: int, out: Array) -> None:
    """Write the keys that :func:`mix` mixed."""
    mask = (ONE << np.uint64(bits)) - ONE
    half = np.uint64((bits + 1) // 2)
    for i in range(len(keys)):
        key = (keys[i] * SECOND_INVERSE) & mask
        key ^= key >> half
        out[i] = (key * FIRST_INVERSE) & mask


@njit(nogil=True, cache=True)
def partition(keys: Array, shift: int, starts: Array, out: Array) -> None:
    """Write ``keys`` to ``out`` grouped by ``key >> shift``; group g starts at ``starts[g]``."""
    move = np.uint64(shift)
    starts[:] = 0
    for i in range(len(keys)):
        starts[np.int64(keys[i] >> move) + 1] += 1
    for group in range(1, len(starts)):
        starts[group] += starts[group - 1]
    place = starts[:-1].copy()
    for i in range(len(keys)):
        g = np.int64(keys[i] >> move)
        out[place[g]] = keys[i]
        place[g] += 1


@njit(nogil=True, cache=True)
def run_lengths(keys: Array, room: int, out: Array) -> int:
    """Write an entry per distinct key of sorted ``keys``; return how many.

    A key that occurs ``2**room`` times or more takes several entries.
    """
    most, move, n, i = (1 << room) - 1, np.uint64(room), 0, 0
    while i < len(keys):
        key, j = keys[i], i + 1
        while j < len(keys) and keys[j] == key and j - i < most:
            j += 1
        out[n] = (key << move) | np.uint64(j - i)
        n += 1
        i = j
    return n


@njit(nogil=True, cache=True)
def sum_entries(entries: Array, room: int, keys: Array, counts: Array) -> int:
    """Write the distinct keys of sorted ``entries`` and their counts; return how many."""
    move = np.uint64(room)
    mask = (ONE << move) - ONE
    n = -1
    last = np.uint64(0)
    for i in range(len(entries)):
        key = entries[i] >> move
        if n < 0 or key != last:
            n += 1
            keys[n] = last = key
            counts[n] = 0
        counts[n] += np.int64(entries[i] & mask)
    return n + 1


@njit(nogil=True, cache=True)
def count_codes(codes: Array, out: Array) -> int:
    """Count ``codes`` into ``out``; return the largest of them, 0 where there are none."""
    largest = np.int64(0)
    for i in range(len(codes)):
        code = np.int64(codes[i])
        out[code] += 1
        largest = max(largest, code)
    return int(largest)


@njit(nogil=True, cache=True)
def count_small(values: Array, out: Array) -> int:
    """Count the positive values below ``len(out)``; return how many values are larger."""
    n, larger = len(out), 0
    for i in range(len(values)):
        if values[i] < n:
            out[values[i]] += 1
        else:
            larger += 1
    return larger
