"""Every kernel against a slow twin in Fractions, Python integers or 50 digits."""

import math
from fractions import Fraction

import exact_measures as ref
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

import infolake as il
from infolake.errors import UsageError
from infolake.measures import numerics
from infolake.tables import ContingencyTable

words = st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 100), st.integers(2**63 - 100, 2**63 - 1))
floats = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(words, words)
@settings(deadline=None)
def test_multiply_is_128_bits_exact(x, y):
    high, low = numerics.multiply(np.uint64(x), np.uint64(y))
    assert (int(high) << 64) + int(low) == x * y


@given(words, words, words, words)
@example(2**62, 2**62, 2**62, 2**62)
@settings(deadline=None)
def test_difference_is_the_nearest_float_or_its_neighbour(n, total, a, b):
    if total < 2**31:
        n, a, b = n % (total + 1), a % (total + 1), b % (total + 1)
    truth = n * total - a * b
    value = numerics.difference(n, total, a, b)
    assert abs(Fraction(value) - truth) <= Fraction(abs(truth), 2**51)


@given(st.lists(floats, max_size=40))
@settings(deadline=None)
def test_two_sum_adds_like_fractions(terms):
    high = low = 0.0
    for term in terms:
        high, low = numerics.two_sum(high, low, term)
    assert high + low == pytest.approx(math.fsum(terms), rel=1e-15, abs=1e-20)


@given(floats, floats)
@settings(deadline=None)
def test_add_product_is_exact(x, y):
    high, low = numerics.add_product(0.0, 0.0, x, y)
    assert float(Fraction(high) + Fraction(low) - Fraction(x) * Fraction(y)) == pytest.approx(
        0, abs=1e-30 + 1e-300
    )


@given(st.one_of(st.floats(-1, 1), st.floats(-1e-8, 1e-8), st.floats(0.24, 0.26), st.floats(1, 1e12)))
@example(-1.0)
@example(0.25)
@example(-0.25)
@example(-0.2500001)
@example(0.0)
@settings(max_examples=300, deadline=None)
def test_excess_to_1e_14(d):
    assume(d == 0 or abs(d) > 1e-45)
    with mp.workdps(160):
        x = 1 + mpf(d)
        truth = x * mp.log(x) - mpf(d) if x else mpf(1)
    value = numerics.excess(d, float(x))
    assert ref.close(value, truth, 1e-14)


@given(st.integers(1, 10**15), st.integers(1, 10**15))
@settings(deadline=None)
def test_log_ratio_to_1e_15(x, y):
    assert ref.close(numerics.log_ratio(float(x), float(y), float(x - y)), ref.log(Fraction(x, y)), 1e-15)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 500))
@settings(max_examples=120, deadline=None)
def test_expected_excess_equals_all_terms(a, b, more):
    a, b = min(a, b), max(a, b)
    total = b + more
    assert (
        ref.close(numerics.expected_excess(a, b, total), ref.expected_cell(a, b, total), 1e-13) or more == 0
    )


@pytest.mark.parametrize(
    ("a", "b", "total"),
    [
        (10_000, 15_000, 10**6),  # E = 150: where the series takes over
        (10_000, 14_999, 10**6),
        (1, 1, 10**15),
        (999, 10**15, 10**15 + 5),
        (10**6, 10**6, 10**10),
        (10**9 - 10, 10**9 - 5, 10**9),
        (155, 999_999, 10**6),
        (2_000, 2_050, 4_100),
        (10**12, 3 * 10**12, 10**15),
    ],
)
def test_expected_excess_outward_from_the_mean(a, b, total):
    assert ref.close(numerics.expected_excess(a, b, total), outward(a, b, total), 5e-14)


def outward(a, b, total):
    """Return the mean of n ln(n/E) by recurrence in 50 digits, on a stride where sigma is large."""
    E = mpf(a) * b / total
    spread = mp.sqrt(E * (total - a) / total * (total - b) / total)
    stride = max(1, int(spread / 8))
    start = int(E)
    low, high = max(0, a + b - total), min(a, b)
    reach = int(16 * spread) + 60
    ks = range(max(low, start - reach // stride * stride), min(high, start + reach) + 1, stride)
    weights = [mp.exp(-log_weight(a, b, total, k) + log_weight(a, b, total, start)) for k in ks]
    terms = (w * (k * mp.log(k / E) - (k - E)) if k else w * E for w, k in zip(weights, ks, strict=True))
    return sum(terms) / sum(weights)


def log_weight(a, b, total, k):
    return sum(mp.loggamma(c + 1) for c in (k, a - k, b - k, total - a - b + k))


def test_weights_far_apart_do_not_divide_by_zero():
    """Margins whose product no float can hold add what they are worth."""
    table = ContingencyTable(np.array([[1e300, 0.0], [0.0, 1e-300]]))
    assert il.mutual_information(table) == 0.0
    tiny = ContingencyTable(np.array([[1.0, 0.0], [0.0, 1e-200]]))
    assert math.isclose(il.mutual_information(tiny, base="e"), 1e-200 * 200 * math.log(10), rel_tol=1e-2)


def test_a_ragged_table_is_refused():
    """One clear error, not NumPy's."""
    with pytest.raises(UsageError, match="rows of one length"):
        ContingencyTable([[1], [0, 1]])
