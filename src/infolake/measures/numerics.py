"""The arithmetic every measure shares, as numba kernels over flat arrays.

n is a cell, a and b are its row and column margin, N is the total of its table; E = a b / N is what
the cell would hold if rows and columns were independent, d = (n - E) / E how far it is from that.

* `n N - a b` is exact: 64-bit integers where N < 2**31, 128-bit ones beyond, so that d is right to
  two ulps however close to 0 it is.
* `excess(d) = (1 + d) ln(1 + d) - d` is never formed by that subtraction near 0.
* Every sum has terms of one sign and a double-double accumulator: its rounding is that of the terms,
  and the order of rows and columns does not show.

Weighted tables use the same formulas in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

kernel = numba.njit(nogil=True, cache=True)

SMALL_TOTAL = 2**31
TINY = 1e-290
TWO_64 = 18446744073709551616.0
HALF = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)
SERIES_FROM = 150.0  # from this expectation on the moment series of `expected_excess` has 1e-14
MOMENTS = 22
BINOMIALS = np.array([[math.comb(m, j) for j in range(MOMENTS)] for m in range(MOMENTS)], dtype=np.float64)


@kernel
def two_sum(high: float, low: float, term: float) -> tuple[float, float]:
    """Add a term to the double-double sum ``high + low``."""
    total = high + term
    part = total - high
    return total, low + ((high - (total - part)) + (term - part))


@kernel
def add_product(high: float, low: float, x: float, y: float) -> tuple[float, float]:
    """Add the exact product of two floats to a double-double sum (Dekker)."""
    product = x * y
    t = 134217729.0 * x
    x1 = t - (t - x)
    x2 = x - x1
    t = 134217729.0 * y
    y1 = t - (t - y)
    y2 = y - y1
    error = ((x1 * y1 - product) + x1 * y2 + x2 * y1) + x2 * y2
    high, low = two_sum(high, low, product)
    return high, low + error


@kernel
def multiply(x: Any, y: Any) -> Any:
    """Return the 128-bit product of two uint64 as its high and low word."""
    x0, x1 = x & HALF, x >> WORD
    y0, y1 = y & HALF, y >> WORD
    middle = x1 * y0 + ((x0 * y0) >> WORD)
    carry = x0 * y1 + (middle & HALF)
    return x1 * y1 + (middle >> WORD) + (carry >> WORD), x * y


@kernel
def difference(n: int, total: int, a: int, b: int) -> float:
    """Return the integer ``n total - a b`` as the nearest float or its neighbour."""
    if total < SMALL_TOTAL:
        return float(n * total - a * b)
    high, low = multiply(np.uint64(n), np.uint64(total))
    high2, low2 = multiply(np.uint64(a), np.uint64(b))
    if high > high2 or (high == high2 and low >= low2):
        borrow = np.uint64(1) if low < low2 else np.uint64(0)
        return float(high - high2 - borrow) * TWO_64 + float(low - low2)
    borrow = np.uint64(1) if low2 < low else np.uint64(0)
    return -(float(high2 - high - borrow) * TWO_64 + float(low2 - low))


@kernel
def excess(d: float, ratio: float) -> float:
    """Return ``(1 + d) ln(1 + d) - d`` for d >= -1; ``ratio`` is 1 + d, computed by itself."""
    if ratio <= 0.0:
        return 1.0
    if d < -0.25 or d > 0.25:
        return ratio * math.log(ratio) - d
    s = d / (2.0 + d)  # ln(1 + d) = 2 (s + s**3 / 3 + s**5 / 5 + ...)
    q = s * s
    tail = 1 / 3 + q * (
        1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13 + q * (1 / 15 + q * (1 / 17 + q / 19))))))
    )
    return 2.0 / (1.0 - s) * (q + (1.0 + s) * s * q * tail)


@kernel
def log_ratio(x: float, y: float, gap: float) -> float:
    """Return ``ln(x / y)`` where ``gap`` is x - y, computed by itself."""
    if 2.0 * x > y and 2.0 * y > x:
        return math.log1p(gap / y)
    return math.log(x / y)


@kernel
def departure(d: float, ratio: float, squared: bool) -> float:
    """Return what a cell adds per share a b / N**2: `excess` for MI, d**2 for chi squared."""
    return d * d if squared else excess(d, ratio)


@kernel
def dependence_of_counts(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    cells, rows, cols, offsets, row_margins, row_offsets, col_margins, col_offsets, totals, squared, out
):
    """Write each table's sum of (a b / N**2) excess(d): its MI in nats; or, squared, its phi squared.

    An absent cell has d = -1 and adds a b / N**2. All of them together hold N**2 less the sum of
    a b over the present cells: an exact integer, so that they need not be visited.
    """
    zero = np.uint64(0)
    for t in range(len(offsets) - 1):
        total = totals[t]
        if total == 0:
            out[t] = np.nan
            continue
        size = float(total)
        high = low = 0.0
        absent_high, absent_low = multiply(np.uint64(total), np.uint64(total))
        for i in range(offsets[t], offsets[t + 1]):
            n = cells[i]
            a = row_margins[row_offsets[t] + rows[i]]
            b = col_margins[col_offsets[t] + cols[i]]
            product = float(a) * float(b)
            d = difference(n, total, a, b) / product
            share = (float(a) / size) * (float(b) / size)
            high, low = two_sum(high, low, share * departure(d, float(n) * size / product, squared))
            upper, lower = multiply(np.uint64(a), np.uint64(b))
            borrow = np.uint64(1) if absent_low < lower else zero
            absent_low -= lower
            absent_high -= upper + borrow
        absent = (float(absent_high) * TWO_64 + float(absent_low)) / size / size
        high, low = two_sum(high, low, absent)
        out[t] = high + low


@kernel
def dependence_of_weights(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    cells, rows, cols, offsets, row_margins, row_offsets, col_margins, col_offsets, totals, squared, out
):
    """Write the same of each weighted table; the absent part is a double-double difference."""
    for t in range(len(offsets) - 1):
        total = totals[t]
        if total == 0.0:
            out[t] = np.nan
            continue
        high = low = gone_high = gone_low = 0.0
        n_rows, a_high, a_low = _segment(row_margins, row_offsets[t], row_offsets[t + 1], total)
        n_cols, b_high, b_low = _segment(col_margins, col_offsets[t], col_offsets[t + 1], total)
        for i in range(offsets[t], offsets[t + 1]):
            a = row_margins[row_offsets[t] + rows[i]] / total
            b = col_margins[col_offsets[t] + cols[i]] / total
            expected = a * b
            if expected < TINY:
                high, low = two_sum(high, low, _underflowing(cells[i] / total, a, b, squared))
                continue
            ratio = cells[i] / total / expected
            d = (cells[i] / total - expected) / expected
            high, low = two_sum(high, low, expected * departure(d, ratio, squared))
            gone_high, gone_low = add_product(gone_high, gone_low, a, b)
        if offsets[t + 1] - offsets[t] < n_rows * n_cols:
            rest, rest_low = add_product(-gone_high, -gone_low, a_high, b_high)
            high, low = two_sum(high, low, rest + (rest_low + a_high * b_low + a_low * b_high))
        out[t] = high + low


@kernel
def _underflowing(p, a, b, squared):  # type: ignore[no-untyped-def]
    """Return a cell's part where a b is below what a float holds."""
    if p == 0.0 or a == 0.0 or b == 0.0:
        return 0.0
    return (p / a) * (p / b) if squared else p * (math.log(p / a) - math.log(b)) - p


@kernel
def _segment(values, start, stop, total):  # type: ignore[no-untyped-def]
    high = low = 0.0
    n = 0
    for i in range(start, stop):
        if values[i] > 0.0:
            n += 1
            high, low = two_sum(high, low, values[i] / total)
    return n, high, low


@kernel
def entropies(values, multiplicities, offsets, totals, out):  # type: ignore[no-untyped-def]
    """Write the plug-in entropy (nats) of each segment of counts or weights; zeros add nothing.

    ``multiplicities`` is empty (each value once) or says how often each value occurs.
    """
    repeated = len(multiplicities) > 0
    for t in range(len(offsets) - 1):
        total = totals[t]
        if total == 0:
            out[t] = np.nan
            continue
        high = low = 0.0
        for i in range(offsets[t], offsets[t + 1]):
            if values[i] > 0:
                n = float(values[i])
                term = n / float(total) * log_ratio(float(total), n, float(total - values[i]))
                times = float(multiplicities[i]) if repeated else 1.0
                high, low = add_product(high, low, term, times)
        out[t] = high + low


@kernel
def equivocations(cells, margins, offsets, totals, out):  # type: ignore[no-untyped-def]
    """Write the sum of n/N ln(a/n) over each table's cells: the entropy that ``a`` leaves open."""
    for t in range(len(offsets) - 1):
        total = totals[t]
        if total == 0:
            out[t] = np.nan
            continue
        high = low = 0.0
        for i in range(offsets[t], offsets[t + 1]):
            n, a = float(cells[i]), float(margins[i])
            term = n / float(total) * log_ratio(a, n, float(margins[i] - cells[i]))
            high, low = two_sum(high, low, term)
        out[t] = high + low


@kernel
def segment_sums(terms, offsets, out):  # type: ignore[no-untyped-def]
    """Write the compensated sum of each segment of float64 terms."""
    for t in range(len(offsets) - 1):
        high = low = 0.0
        for i in range(offsets[t], offsets[t + 1]):
            high, low = two_sum(high, low, terms[i])
        out[t] = high + low


@kernel
def group_sums(terms, groups, high, low):  # type: ignore[no-untyped-def]
    """Add the terms, in their order, to the double-double sums ``high + low`` of their groups."""
    for i in range(len(terms)):
        g = groups[i]
        high[g], low[g] = two_sum(high[g], low[g], terms[i])


@kernel
def deviations_of_counts(cells, rows, cols, totals, out):  # type: ignore[no-untyped-def]
    """Write d = (n N - a b) / (a b) per cell; ``rows``, ``cols``, ``totals`` are a, b, N per cell."""
    for i in range(len(cells)):
        product = float(rows[i]) * float(cols[i])
        out[i] = difference(cells[i], totals[i], rows[i], cols[i]) / product if product > 0.0 else np.nan


@kernel
def deviations_of_weights(cells, rows, cols, totals, out):  # type: ignore[no-untyped-def]
    """Write d = (n N - a b) / (a b) per weighted cell."""
    for i in range(len(cells)):
        expected = rows[i] / totals[i] * (cols[i] / totals[i])
        out[i] = (cells[i] / totals[i] - expected) / expected if expected > 0.0 else np.nan


@kernel
def log1p_ratios(d, ratios, out):  # type: ignore[no-untyped-def]
    """Write ln(1 + d), from ``ratios`` = 1 + d where d is far from 0."""
    for i in range(len(d)):
        if ratios[i] <= 0.0:
            out[i] = -np.inf
        else:
            out[i] = math.log1p(d[i]) if -0.5 < d[i] < 1.0 else math.log(ratios[i])


@kernel
def log_ratios(x, y, out):  # type: ignore[no-untyped-def]
    """Write ln(x / y) of two arrays of one type."""
    for i in range(len(x)):
        if x[i] > 0:
            out[i] = log_ratio(float(x[i]), float(y[i]), float(x[i] - y[i]))
        else:
            out[i] = -np.inf


@kernel
def excesses(d, ratios, out):  # type: ignore[no-untyped-def]
    """Write (1 + d) ln(1 + d) - d."""
    for i in range(len(d)):
        out[i] = excess(d[i], ratios[i])


@kernel
def expected_excess(a: int, b: int, total: int) -> Any:
    """Return the mean of E excess(d) for a hypergeometric cell with margins a <= b.

    Equals the mean of n ln(n N / (a b)), since d has the mean 0; but every term is >= 0. From
    E = 150 on by central moments, else by the sum outward from the mean, renormalised by its own
    weights, until they vanish.
    """
    expected = float(a) * (float(b) / float(total))
    if expected >= SERIES_FROM:
        return _excess_by_moments(
            expected, float(a), float(b), float(total - a), float(total - b), float(total)
        )
    return _excess_by_sum(a, b, total, expected)


@kernel
def _excess_by_moments(e, a, b, not_a, not_b, total):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    e01, e10, e11 = a * (not_b / total), b * (not_a / total), not_a * (not_b / total)
    product, across, along = e01 * e10, e01 + e10, e + e11
    moments = np.zeros(MOMENTS)
    moments[0] = 1.0
    scale = 1.0
    result = 0.0
    for m in range(1, MOMENTS - 1):
        value = 0.0
        for j in range(m):
            value += BINOMIALS[m, j] * (product * moments[j] - across * moments[j + 1])
            if j < m - 1:
                value += BINOMIALS[m, j] * moments[j + 2]
        order = m + 1
        moments[order] = value / (across + along - m)
        scale /= e
        sign = 1.0 if order % 2 == 0 else -1.0
        term = sign * moments[order] * scale / (order * (order - 1))
        result += term
        if order % 2 == 0 and abs(term) < 1e-18 * result:
            break
    return result


@kernel
def _excess_by_sum(a, b, total, expected):  # type: ignore[no-untyped-def]
    lowest, highest = max(0, b - (total - a)), a
    start = min(max(int(expected), lowest), highest)
    rest = (total - a) - b
    gap = difference(start, total, a, b) / float(total)
    weights, weights_low, high, low = 1.0, 0.0, 0.0, 0.0
    high, low = two_sum(high, low, excess(gap / expected, float(start) / expected))
    weight = 1.0
    for k in range(start, highest):
        weight *= float(a - k) * float(b - k) / (float(k + 1) * float(rest + k + 1))
        term = weight * excess((gap + float(k + 1 - start)) / expected, float(k + 1) / expected)
        weights, weights_low = two_sum(weights, weights_low, weight)
        high, low = two_sum(high, low, term)
        if weight < 1e-3 and term <= 1e-19 * high:
            break
    weight = 1.0
    for k in range(start, lowest, -1):
        weight *= float(k) * float(rest + k) / (float(a - k + 1) * float(b - k + 1))
        term = weight * excess((gap + float(k - 1 - start)) / expected, float(k - 1) / expected)
        weights, weights_low = two_sum(weights, weights_low, weight)
        high, low = two_sum(high, low, term)
        if weight < 1e-3 and term <= 1e-19 * high:
            break
    return expected * (high + low) / (weights + weights_low)


@kernel
def expected_mi(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    row_margins, row_times, row_offsets, col_margins, col_times, col_offsets, totals, out
):
    """Write the mean MI (nats) of all tables with the given margins; ``times``: how often each occurs."""
    for t in range(len(totals)):
        total = totals[t]
        if total == 0:
            out[t] = np.nan
            continue
        high = low = 0.0
        for i in range(row_offsets[t], row_offsets[t + 1]):
            for j in range(col_offsets[t], col_offsets[t + 1]):
                a, b = row_margins[i], col_margins[j]
                if min(a, b) == 0 or max(a, b) == total:
                    continue
                mean = expected_excess(min(a, b), max(a, b), total) / float(total)
                high, low = add_product(high, low, mean, float(row_times[i]) * float(col_times[j]))
        out[t] = high + low


@kernel
def relevant_levels(n, m, support):  # type: ignore[no-untyped-def]
    """Return the Bayesian count of relevant levels: observed ones and unseen ones, ``support`` at most.

    With R levels seen in N rows and u unseen ones, each unseen one has the probability
    q = 1 - (N / (N + R))**(1/N) and the seen ones share the rest as n + 1.
    """
    total = observed = 0.0
    for i in range(len(n)):
        total += n[i] * m[i]
        observed += m[i]
    gap = 0.0
    for i in range(len(n)):
        gap += m[i] * _missed(n[i] / total, total)
    q = -math.expm1(-math.log1p(observed / total) / total)
    unseen = 0.0
    while observed + unseen < support:
        more = unseen + 1.0
        rest = 1.0 - more * q
        if rest <= 0.0:
            break
        shown = more * observed / (total + observed)
        for i in range(len(n)):
            shown += m[i] * (1.0 - _missed(rest * (n[i] + 1.0) / (total + observed), total))
        if abs(observed - shown) >= gap:
            break
        unseen, gap = more, abs(observed - shown)
    return observed + unseen


@kernel
def _missed(p: float, total: float) -> float:
    return math.exp(total * math.log1p(-p)) if p < 1.0 else 0.0
