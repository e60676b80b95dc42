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
LARGEST = 64
MASK = np.int64((1 << BASE_BITS) - 1)


def digits(values: Array) -> dict[int, Array]:
    """Split non-negative finite floats into base-2**32 digits; exponent -> int64 array.

    Examples
    --------
    >>> {e: d.tolist() for e, d in digits(np.array([3.0, 0.5])).items()}
    {-1: [0, 2147483648], 0: [3, 0]}
    """
    fraction, exponent = np.frexp(values)
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
    """Return the float64 nearest to each sum of settled digits (compensated, lowest digit first)."""
    total, error = np.zeros(length), np.zeros(length)
    for exponent in sorted(planes):
        term = np.ldexp(planes[exponent].astype(np.float64), BASE_BITS * exponent)
        added = total + term
        back = added - total
        error += (total - (added - back)) + (term - back)
        total = added
    return total + error
