"""Numba loops over plain arrays: no Python objects, no locks (``nogil``), compiled once per machine.

Codes are non-negative integers below a size ("radix"); a table of two columns is laid flat, row by
row. Every kernel has a slow twin in ``tests/test_kernels.py`` that says what it computes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.extending import intrinsic

Array = np.ndarray[Any, Any]


@njit(nogil=True, cache=True)
def look_up(indices: Array, table: Array, out: Array) -> None:
    """``out[i] = table[indices[i]]``; ``out`` may be ``indices``."""
    for i in range(len(indices)):
        out[i] = table[indices[i]]


@njit(nogil=True, cache=True)
def narrow(indices: Array, out: Array) -> int:
    """``out[i] = indices[i]`` modulo 256, from uint32 to uint8; return the largest index."""
    largest = np.uint32(0)
    for i in range(len(indices)):
        largest = max(largest, indices[i])
        out[i] = indices[i]
    return np.int64(largest)  # type: ignore[return-value]


def _to_pointer(kind: Any) -> Any:
    signature = types.CPointer(kind)(types.int64)  # type: ignore[no-untyped-call]

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], target.get_value_type(signature.return_type))

    return signature, generate


@intrinsic
def words_at(context: Any, address: Any) -> Any:  # noqa: ARG001
    """Return the memory at an address as a pointer to uint32."""
    return _to_pointer(types.uint32)


@intrinsic
def bytes_at(context: Any, address: Any) -> Any:  # noqa: ARG001
    """Return the memory at an address as a pointer to uint8."""
    return _to_pointer(types.uint8)


@njit(nogil=True, cache=True)
def pack(
    addresses: Array,
    widths: Array,
    n: int,
    starts: Array,
    strides: Array,
    sizes: Array,
    codes: Array,
    out: Array,
    place: int,
    largest: Array,
) -> None:
    """Write the codes of supercolumns of bytes, a row of ``out`` each, from indices and look-up tables.

    One call serves all columns of a batch, so that threads seldom wait for Python. Supercolumn s holds
    columns ``starts[s]`` to ``starts[s + 1]``; the row of one without columns is left alone. Column k has
    ``n`` indices of ``widths[k]`` bytes (1: uint8, 4: int32) at ``addresses[k]``, written from ``place``
    on; ``codes[k, index]``, below ``sizes[k]``, is the code of an index and weighs ``strides[k]``.
    ``largest[k]`` becomes the largest index, read as unsigned: where that is not below the column's size,
    its supercolumn means nothing.
    """
    largest[:] = 0
    table = np.empty(256, np.uint8)
    for s in range(len(starts) - 1):
        start, stop = starts[s], starts[s + 1]
        if start == stop:
            continue
        same = _recoding(strides[start:stop], sizes[start:stop], codes[start:stop], table)
        row = out[s][place : place + n]
        for first in range(0, n, 8192):
            block = row[first : first + 8192]
            block[:] = 0
            for k in range(start, stop):
                at = addresses[k] + widths[k] * first
                if widths[k] == 1:
                    found = _add_bytes(carray(bytes_at(at), len(block)), strides[k], block)  # type: ignore[call-arg]
                else:
                    found = _add(carray(words_at(at), len(block)), strides[k], block)  # type: ignore[call-arg]
                largest[k] = max(largest[k], found)
            if not same:
                _look_up_bytes(block, table)


@njit(nogil=True, cache=True)
def _recoding(strides: Array, sizes: Array, codes: Array, table: Array) -> bool:
    """Fill the table from packed indices to packed codes; return whether they are the same."""
    same = True
    for packed in range(strides[0] * sizes[0]):
        code = 0
        for k in range(len(strides)):
            code += np.int64(codes[k, (packed // strides[k]) % sizes[k]]) * strides[k]
        table[packed] = code
        same &= code == packed
    return same


@njit(nogil=True, cache=True)
def _add(indices: Array, stride: int, out: Array) -> Any:
    """``out[i] += indices[i] * stride`` modulo 256; return the largest of the uint32 indices."""
    step, largest = np.uint32(stride), np.uint32(0)
    for i in range(len(out)):
        largest = max(largest, indices[i])
        out[i] = np.uint8(np.uint32(out[i]) + np.uint32(indices[i] * step))
    return np.int64(largest)


@njit(nogil=True, cache=True)
def _add_bytes(indices: Array, stride: int, out: Array) -> Any:
    """``out[i] += indices[i] * stride`` modulo 256; return the largest of the uint8 indices."""
    step, largest = np.uint8(stride), np.uint8(0)
    for i in range(len(out)):
        largest = max(largest, indices[i])
        out[i] = np.uint8(out[i] + np.uint8(indices[i] * step))
    return np.int64(largest)


@njit(nogil=True, cache=True)
def _look_up_bytes(codes: Array, table: Array) -> None:
    """``codes[i] = table[codes[i]]``, eight at a time: one load and one store of a word."""
    words, byte = codes[: len(codes) // 8 * 8].view(np.uint64), np.uint64(0xFF)
    for i in range(len(words)):
        old, new = words[i], np.uint64(0)
        for shift in (0, 8, 16, 24, 32, 40, 48, 56):
            new |= np.uint64(table[(old >> np.uint64(shift)) & byte]) << np.uint64(shift)
        words[i] = new
    for i in range(8 * len(words), len(codes)):
        codes[i] = table[codes[i]]


@njit(nogil=True, cache=True)
def scatter_one(codes: Array, out: Array) -> None:
    """Count ``codes`` into ``out``."""
    for i in range(len(codes)):
        out[codes[i]] += 1


@njit(nogil=True, cache=True)
def scatter_two(first: Array, second: Array, radix: int, out: Array) -> None:
    """Count pairs into the flat table ``out``, of shape (rows, ``radix``)."""
    for i in range(len(first)):
        out[np.int64(first[i]) * radix + second[i]] += 1


@njit(nogil=True, cache=True)
def scatter_bytes(first: Array, second: Array, out: Array) -> None:
    """Count pairs of uint8 codes into the flat table ``out`` of shape (256, 256).

    Four rows are loaded as one word, and counted alternately in two halves of ``out`` (65,536 cells
    each), so that equal neighbours do not wait for each other.
    """
    words = len(first) // 4
    a, b = first[: 4 * words].view(np.uint32), second[: 4 * words].view(np.uint32)
    even, odd = out[:65536], out[65536:]
    for i in range(words):
        x, y = np.int64(a[i]), np.int64(b[i])
        even[((x & 0xFF) << 8) | (y & 0xFF)] += 1
        odd[(x & 0xFF00) | ((y >> 8) & 0xFF)] += 1
        even[((x >> 8) & 0xFF00) | ((y >> 16) & 0xFF)] += 1
        odd[((x >> 16) & 0xFF00) | (y >> 24)] += 1
    for i in range(4 * words, len(first)):
        even[(np.int64(first[i]) << 8) | second[i]] += 1


@njit(nogil=True, cache=True)
def count_pairs(
    packed: Array,
    n: int,
    supers: Array,
    super_sizes: Array,
    starts: Array,
    sizes: Array,
    strides: Array,
    offsets: Array,
    offset_starts: Array,
    swapped: Array,
    out: Array,
) -> None:
    """Count every pair of supercolumns and marginalize it at once into the pairs of columns it holds.

    ``packed`` begins with ``n`` uint8 codes in the row of each supercolumn; table t is over
    ``supers[t]``; the columns of supercolumn s are ``starts[s]`` to ``starts[s + 1]`` in ``sizes`` and
    ``strides``; ``offsets`` holds, for each table from ``offset_starts[t]`` on, where each pair of its
    columns starts in ``out`` (-1: not asked), and ``swapped`` whether the second column indexes the rows.
    """
    table = np.zeros(2 * 65536, np.uint32)
    for t in range(len(supers)):
        s, r = supers[t]
        n_1, n_2 = super_sizes[s], super_sizes[r]
        for i in range(n_1):
            table[i * 256 : i * 256 + n_2] = 0
            table[65536 + i * 256 : 65536 + i * 256 + n_2] = 0
        scatter_bytes(packed[s][:n], packed[r][:n], table)
        for i in range(n_1):
            even = table[i * 256 : i * 256 + n_2]
            odd = table[65536 + i * 256 : 65536 + i * 256 + n_2]
            for j in range(n_2):
                even[j] += odd[j]
        place = offset_starts[t]
        width = starts[r + 1] - starts[r]
        for p in range(starts[s], starts[s + 1]):
            _spread(table, n_1, n_2, sizes[p], strides[p], sizes[starts[r] : starts[r + 1]],
                    strides[starts[r] : starts[r + 1]], offsets[place : place + width],
                    swapped[place : place + width], out)  # fmt: skip
            place += width


@njit(nogil=True, cache=True)
def _spread(
    table: Array,
    n_1: int,
    n_2: int,
    size: int,
    stride: int,
    sizes: Array,
    strides: Array,
    offsets: Array,
    swapped: Array,
    out: Array,
) -> None:
    """Add the rows of ``table`` (of length 256) by one digit, then their cells by digits of the other."""
    part = np.zeros((size, n_2), np.uint32)
    for r in range(n_1):
        digit = (r // stride) % size
        row, source = part[digit], table[r * 256 : r * 256 + n_2]
        for c in range(n_2):
            row[c] += source[c]
    for q in range(len(sizes)):
        start = offsets[q]
        if start < 0:
            continue
        down, across = (1, size) if swapped[q] else (sizes[q], 1)
        run, step = strides[q], strides[q] * sizes[q]
        for d in range(size):
            for e in range(sizes[q]):
                total = np.int64(0)
                for high in range(e * run, n_2, step):
                    for c in range(high, high + run):
                        total += part[d, c]
                out[start + d * down + e * across] += total


@njit(nogil=True, cache=True)
def scatter_weights(cells: Array, weights: Array, out: Array) -> None:
    """Add integer ``weights`` into ``out`` at the flat indices ``cells``."""
    for i in range(len(cells)):
        out[cells[i]] += weights[i]


@njit(nogil=True, cache=True)
def marginalize(
    table: Array,
    sizes_1: Array,
    strides_1: Array,
    sizes_2: Array,
    strides_2: Array,
    offsets: Array,
    swapped: Array,
    out: Array,
) -> None:
    """Add a table over two supercolumns into the table of each pair of columns they hold.

    ``offsets[p, q]`` is where the pair (column p of the first, column q of the second) starts in
    ``out``, or -1; ``swapped[p, q]`` says that the second column indexes its rows.
    """
    n_1, n_2 = table.shape
    for p in range(len(sizes_1)):
        size, stride = sizes_1[p], strides_1[p]
        part = np.zeros((size, n_2), np.int64)
        for r in range(n_1):
            digit = (r // stride) % size
            for c in range(n_2):
                part[digit, c] += table[r, c]
        for q in range(len(sizes_2)):
            start = offsets[p, q]
            if start >= 0:
                down, across = (1, size) if swapped[p, q] else (sizes_2[q], 1)
                for d in range(size):
                    for c in range(n_2):
                        e = (c // strides_2[q]) % sizes_2[q]
                        out[start + d * down + e * across] += part[d, c]


@njit(nogil=True, cache=True)
def realign(
    source: Array,
    source_offsets: Array,
    columns: Array,
    sizes: Array,
    maps: Array,
    map_offsets: Array,
    new_sizes: Array,
    target: Array,
    target_offsets: Array,
) -> None:
    """Move dense tables of one or two columns to new levels, adding into ``target``.

    Group g has the columns ``columns[g]`` (the number of columns for none) of ``sizes`` levels each;
    ``maps[map_offsets[c] + code]`` is the new code of a level of column c, -1 where it is dropped.
    """
    for g in range(len(columns)):
        x, y = columns[g, 0], columns[g, 1]
        alone = y >= len(sizes)
        width = 1 if alone else sizes[y]
        new_width = 1 if alone else new_sizes[y]
        for i in range(sizes[x]):
            row = maps[map_offsets[x] + i]
            for j in range(width):
                value = source[source_offsets[g] + i * width + j]
                if value != 0:
                    column = 0 if alone else maps[map_offsets[y] + j]
                    target[target_offsets[g] + row * new_width + column] += value


@njit(nogil=True, cache=True, inline="always")
def _bucket(bits: Any, shift: int) -> Any:
    """Return the leading bits of the order-preserving key of a float's bits; -1 for NaN."""
    if (bits & np.uint64(0x7FFFFFFFFFFFFFFF)) > np.uint64(0x7FF0000000000000):
        return np.int64(-1)
    sign = np.uint64(0x8000000000000000)
    key = bits | sign if bits < sign or bits == sign else ~bits
    return np.int64(key >> np.uint64(shift))


@njit(nogil=True, cache=True)
def count_buckets(bits: Array, missing: Array, shift: int, out: Array) -> None:
    """Count the leading bits of the keys of floats (uint64 ``bits``) that are neither NaN nor ``missing``."""
    flagged = len(missing) > 0
    for i in range(len(bits)):
        bucket = _bucket(bits[i], shift)
        if bucket >= 0 and not (flagged and missing[i]):
            out[bucket] += 1


@njit(nogil=True, cache=True)
def rows_in_buckets(bits: Array, missing: Array, shift: int, wanted: Array, out: Array) -> int:
    """Write the rows whose bucket is ``wanted`` (one flag per bucket) to ``out``; return how many."""
    flagged, n = len(missing) > 0, 0
    for i in range(len(bits)):
        bucket = _bucket(bits[i], shift)
        if bucket >= 0 and wanted[bucket] and not (flagged and missing[i]):
            out[n] = i
            n += 1
    return n


@njit(nogil=True, cache=True)
def bin_codes(values: Array, missing: Array, cuts: Array, low: float, high: float, out: Array) -> int:
    """Write the number of ``cuts`` at or below each value; return a bad row or -1.

    Missing values get ``len(cuts) + 1``. A value is missing where it is NaN or ``missing`` (empty, or one
    flag per row) is set. The row returned is the first one whose value lies outside [``low``, ``high``].
    """
    outside = False
    for i in range(len(values)):
        outside |= (values[i] < low) | (values[i] > high)
    if outside:
        for i in range(len(values)):
            if (values[i] < low or values[i] > high) and not (len(missing) and missing[i]):
                return i
    if len(cuts) <= 32:
        _bins_by_comparison(values, cuts, out)
    else:
        _bins_by_search(values, cuts, out)
    gone = np.int32(len(cuts) + 1)
    for i in range(len(values)):
        out[i] = gone if values[i] != values[i] else out[i]
    for i in range(len(missing)):
        out[i] = gone if missing[i] else out[i]
    return -1


@njit(nogil=True, cache=True)
def _bins_by_comparison(values: Array, cuts: Array, out: Array) -> None:
    """Compare blocks of rows with every cut: one vector instruction serves several rows."""
    for start in range(0, len(values), 1024):
        block, codes = values[start : start + 1024], out[start : start + 1024]
        codes[:] = 0
        for k in range(len(cuts)):
            cut = cuts[k]
            for i in range(len(block)):
                codes[i] += np.int32(block[i] >= cut)


@njit(nogil=True, cache=True)
def _bins_by_search(values: Array, cuts: Array, out: Array) -> None:
    """Bisect many cuts."""
    for i in range(len(values)):
        out[i] = np.searchsorted(cuts, values[i], side="right")
