"""Exact sums of floating-point numbers, as integer digits that add in any order.

A non-negative float is an integer times a power of two. Written in base 2**32 it has at most three
digits; digits of equal exponent add as int64, and carries are settled afterwards, so the sum is the
same under any split and any order of merging.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BASE_BITS = 32
LARGEST = 128
MASK = np.int64((1 << BASE_BITS) - 1)


def digits(values: Array) -> dict[int, Array]:
    """Split non-negative finite floats into base-2**32 digits; exponent -> int64 array.

    Examples
    --------
    >>> {e: d.tolist() for e, d in digits(np.array([3.0, 0.5])).items()}
    {-1: [0, 2147483648], 0: [3, 0]}
    """
    return _placed(*np.frexp(values))


def square_digits(values: Array) -> dict[int, Array]:
    """Split the squares of non-negative finite floats into digits; none overflows or vanishes.

    Examples
    --------
    >>> {e: d.tolist() for e, d in square_digits(np.array([3.0, 2.0**600])).items()}
    {0: [9, 0], 37: [0, 65536]}
    """
    fraction, exponent = np.frexp(values)
    square, shift = np.frexp(fraction * fraction)
    return _placed(square, 2 * exponent + shift)


def _placed(fraction: Array, exponent: Array) -> dict[int, Array]:
    """Return the digits of ``fraction * 2**exponent``, fractions from 0.5 to 1 or 0."""
    mantissa = np.ldexp(fraction, 53).astype(np.int64)
    place, shift = np.divmod(exponent.astype(np.int64) - 53, BASE_BITS)
    low = (mantissa & MASK) << shift
    middle = ((mantissa >> BASE_BITS) << shift) + (low >> BASE_BITS)
    parts = (low & MASK, middle & MASK, middle >> BASE_BITS)
    found: dict[int, Array] = {}
    for start in np.unique(place[mantissa > 0]).tolist():
        chosen = place == start
        for k, part in enumerate(parts):
            row = np.where(chosen, part, 0)
            if row.any():
                found[start + k] = found.get(start + k, 0) + row
    return dict(sorted(found.items()))


def carried(planes: dict[int, Array]) -> dict[int, Array]:
    """Settle carries: every digit below 2**32, all-zero planes dropped; exponents ascend.

    Examples
    --------
    >>> {e: d.tolist() for e, d in carried({0: np.array([2**32 + 1])}).items()}
    {0: [1], 1: [1]}
    """
    settled: dict[int, Array] = {}
    todo = dict(planes)
    while todo:
        exponent = min(todo)
        plane = todo.pop(exponent)
        carry = plane >> BASE_BITS
        if carry.any() and exponent > LARGEST:
            settled[exponent] = plane  # negative: the caller sees it
            break
        if carry.any():
            todo[exponent + 1] = todo.get(exponent + 1, 0) + carry
        low = plane & MASK
        if low.any():
            settled[exponent] = low
    return settled


def to_floats(planes: dict[int, Array], length: int) -> Array:
    """Return the float64 nearest to each sum of digits.

    Examples
    --------
    >>> to_floats(digits(np.array([0.1, 1e300])), 2).tolist()
    [0.1, 1e+300]
    """
    settled = carried(planes)
    top = _top(settled, length)
    first, second, third = (_digit(settled, top - k) for k in range(3))
    below = np.zeros(length, np.bool_)
    for exponent, plane in settled.items():
        below |= (plane != 0) & (exponent < top - 2)
    # 64 leading bits; whatever lies below them only decides ties, so one odd bit stands for it
    shift = np.uint64(BASE_BITS) - np.frexp(first.astype(np.float64))[1].astype(np.uint64)
    head = ((first << np.uint64(BASE_BITS)) | second) << shift | third >> (np.uint64(BASE_BITS) - shift)
    rest = (third << shift & np.uint64(MASK)) != 0
    head |= (below | rest).astype(np.uint64)
    nearest: Array = np.ldexp(head.astype(np.float64), BASE_BITS * (top - 1) - shift.astype(np.int64))
    return nearest


def _top(planes: dict[int, Array], length: int) -> Array:
    """Return the exponent of the leading digit of each sum (0 where it is zero)."""
    top = np.zeros(length, np.int64)
    for exponent in sorted(planes):
        top = np.where(planes[exponent] != 0, exponent, top)
    return top


def _digit(planes: dict[int, Array], exponents: Array) -> Array:
    found = np.zeros(len(exponents), np.uint64)
    for exponent, plane in planes.items():
        found = np.where(exponents == exponent, plane.astype(np.uint64), found)
    return found


def scaled(planes: dict[int, Array], length: int) -> tuple[Array, Array]:
    """Return each sum of digits as (value, exponent of 2**32): sums may pass the largest float."""
    top = _top(planes, length)
    total = np.zeros(length)
    for exponent, plane in sorted(planes.items()):
        total += np.ldexp(plane.astype(np.float64), BASE_BITS * (exponent - top))
    return total, top
