"""Exact sums of floats: digits add in any order, and return the nearest float."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake.summaries.exact import BASE_BITS, carried, digits, scaled, square_digits, to_floats

WEIGHTS = st.floats(0, 1e306, allow_nan=False) | st.sampled_from(
    [5e-324, 1e-300, 1e300, 2.0**53, 2.0**53 + 2, 0.1]
)


def exact(planes: dict[int, np.ndarray]) -> Fraction:
    """Return the sum of all digits."""
    return sum((int(p.sum()) * Fraction(2) ** (BASE_BITS * e) for e, p in planes.items()), Fraction())


@given(st.lists(WEIGHTS, max_size=12))
def test_digits_hold_the_exact_sum(values: list[float]) -> None:
    array = np.array(values, np.float64)
    assert exact(digits(array)) == sum(map(Fraction, values), Fraction())
    assert exact(carried(digits(array))) == exact(digits(array))
    for plane in digits(array).values():
        assert plane.min(initial=0) >= 0
        assert plane.max(initial=0) < 2**32


@given(st.lists(WEIGHTS, min_size=1, max_size=12))
def test_sums_return_the_nearest_float(values: list[float]) -> None:
    planes = {e: np.array([p.sum()]) for e, p in digits(np.array(values)).items()}
    assert to_floats(planes, 1).tolist() == [float(sum(map(Fraction, values)))]


@pytest.mark.parametrize(
    ("values", "nearest"),
    [
        ([2.0**53, 1.0], 2.0**53),
        ([2.0**53, 1.0, 5e-324], 2.0**53 + 2),
        ([2.0**53 + 2, 1.0], 2.0**53 + 4),
        ([], 0.0),
        ([5e-324, 5e-324], 1e-323),
        ([1.7976931348623157e308], 1.7976931348623157e308),
    ],
)
def test_ties_are_decided_by_what_lies_below(values: list[float], nearest: float) -> None:
    planes = {e: np.array([p.sum()]) for e, p in digits(np.array(values, np.float64)).items()}
    assert to_floats(planes, 1).tolist() == [nearest]


@given(st.lists(st.floats(0, allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_squares_neither_overflow_nor_vanish(values: list[float]) -> None:
    planes = {e: np.array([p.sum()]) for e, p in square_digits(np.array(values)).items()}
    total, exponent = scaled(planes, 1)
    expected = sum(Fraction(v) ** 2 for v in values)
    found = Fraction(total[0]) * Fraction(2) ** (BASE_BITS * int(exponent[0]))
    assert abs(found - expected) <= expected * Fraction(1, 2**50)
    assert expected == 0 or found > 0


def test_what_is_taken_away_settles() -> None:
    planes = {0: np.array([5, 0, 1]), 1: np.array([1, 0, 0])}
    less = {
        e: p - q for (e, p), q in zip(planes.items(), [np.array([6, 0, 2]), np.array([0, 0, 0])], strict=True)
    }
    settled = carried(less)
    assert settled[0].tolist() == [2**32 - 1, 0, 2**32 - 1]
    assert min(p.min() for p in settled.values()) < 0
