"""Tails of the hypergeometric distribution at any size, as numba kernels.

A cell n of the margins a, b and N is one of four: n, a - n, b - n and N - a - b + n. The logarithm of
its probability is minus half the G of these four, and corrections of Stirling's formula: nothing of
the size of N ln N is ever subtracted. A tail is the sum of its terms over the first of them where it
ends within some thousand terms, else the integral over half a cell more, with its midpoint correction.
"""

from __future__ import annotations

import math

import numpy as np

from infolake.measures.numerics import difference, excess, kernel

TAIL_TERMS = 2000.0  # decay lengths from this one on are integrated
MAX_TERMS = 200_000
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
NEARLY = 1 + 1e-7  # as scipy: probabilities this close are equal
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


@kernel
def stirling(x: float) -> float:
    """Return ln x! - (x ln x - x) of a number x >= 0."""
    if x < 16.0:
        return math.lgamma(x + 1.0) - (x * math.log(x) - x if x > 0.0 else 0.0)
    y = 1.0 / (x * x)
    tail = (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y / 1188)))) / x
    return HALF_LOG_TAU + 0.5 * math.log(x) + tail


@kernel
def deviance(x: float, expected: float, gap: float) -> float:
    """Return x ln(x / E) - (x - E), of x - E computed by itself."""
    return expected * excess(gap / expected, x / expected) if expected > 0.0 else 0.0


@kernel
def log_probability(n, a, b, total, gap):  # type: ignore[no-untyped-def]
    """Return ln P(n) of a hypergeometric cell, of floats; ``gap`` is n - a b / N."""
    rest = total - a
    not_b = total - b
    g = deviance(n, a / total * b, gap) + deviance(a - n, a / total * not_b, -gap)
    g += deviance(b - n, rest / total * b, -gap) + deviance(rest - (b - n), rest / total * not_b, gap)
    margins = stirling(a) + stirling(rest) + stirling(b) + stirling(not_b) - stirling(total)
    return margins - stirling(n) - stirling(a - n) - stirling(b - n) - stirling(rest - (b - n)) - g


@kernel
def log_tail(n, a, b, total, gap, up):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Return ln of P(n) + P(n + 1) + ... (``up`` = 1), or of P(n) + P(n - 1) + ... (-1)."""
    first = log_probability(n, a, b, total, gap)
    spread = math.sqrt(a / total * b * ((total - a) / total) * ((total - b) / total))
    away = up * gap
    decay = spread if away <= spread else spread * spread / away
    if away < -12.0 * spread - 60.0:
        return 0.0  # all but less than 1e-30 of it
    if decay < TAIL_TERMS:
        return first + math.log(_sum(n, a, b, total, up))
    return _integral(n, a, b, total, gap, up, first, decay)


@kernel
def _sum(n, a, b, total, up):  # type: ignore[no-untyped-def]
    rest = total - a - b
    weights = weight = 1.0
    k = n
    for _ in range(MAX_TERMS):  # none needs so many but cells beyond 2**53, which floats cannot step
        if weight <= 1e-18 * weights:
            break
        if up > 0.0:
            weight *= (a - k) / (k + 1.0) * ((b - k) / (rest + k + 1.0))
        else:
            weight *= k / (a - k + 1.0) * ((rest + k) / (b - k + 1.0))
        weights += weight
        k += up
    return weights


@kernel
def _integral(n, a, b, total, gap, up, first, decay):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    start = n - 0.5 * up
    low, high = max(0.0, a + b - total), min(a, b)
    width = decay / 2.0
    sums, part, left = 0.0, 1.0, start
    while part > 1e-18 * sums and low <= left <= high:
        right = min(max(left + up * width, low), high)
        part = 0.0
        for i in range(len(NODES)):
            k = left + (right - left) * (NODES[i] + 1.0) / 2.0
            log = log_probability(k, a, b, total, gap + (k - n))
            part += WEIGHTS[i] * math.exp(log - first)
        part *= abs(right - left) / 2.0
        sums += part
        if right in {low, high}:
            break
        left = right
    rest = total - a - b
    slope = math.log((a - start + 0.5) / (start + 0.5) * ((b - start + 0.5) / (rest + start + 0.5)))
    edge = math.exp(log_probability(start, a, b, total, gap - 0.5 * up) - first)
    return first + math.log(sums + up * edge * slope / 24.0)


@kernel
def _mode(a: float, b: float, total: float) -> float:
    """Return the most probable cell; the lower one of two."""
    rest = total - a - b
    low, high = max(0.0, -rest), min(a, b)
    k = min(max(math.floor((a + 1.0) / (total + 2.0) * (b + 1.0)), low), high)
    for _ in range(2):  # floats may miss it by one; beyond 2**53 one is less than they can tell
        if k > low and k / (a - k + 1.0) * ((rest + k) / (b - k + 1.0)) >= 1.0:
            k -= 1.0
        elif k < high and (a - k) / (k + 1.0) * ((b - k) / (rest + k + 1.0)) > 1.0:
            k += 1.0
    return k


@kernel
def _opposite(n, a, b, total, gap, mode):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Return the cell nearest the mode, beyond it, that is at most as probable as n; -1 if none is."""
    most = log_probability(n, a, b, total, gap) + math.log(NEARLY)
    near, far = mode, (max(0.0, a + b - total) if n > mode else min(a, b))
    if log_probability(far, a, b, total, gap + (far - n)) > most:
        return -1.0
    while abs(far - near) > 1.0:
        middle = math.floor((far + near) / 2.0)
        if middle in (near, far):
            break
        if log_probability(middle, a, b, total, gap + (middle - n)) > most:
            near = middle
        else:
            far = middle
    return far


@kernel
def _log_two_sided(n, a, b, total, gap):  # type: ignore[no-untyped-def]
    mode = _mode(a, b, total)
    most = log_probability(mode, a, b, total, gap + (mode - n))
    if most <= log_probability(n, a, b, total, gap) + math.log(NEARLY):
        return 0.0
    up = 1.0 if n > mode else -1.0
    tail = log_tail(n, a, b, total, gap, up)
    other = _opposite(n, a, b, total, gap, mode)
    if other < 0.0:
        return tail
    rest = log_tail(other, a, b, total, gap + (other - n), -up)
    return max(tail, rest) + math.log1p(math.exp(-abs(tail - rest)))


@kernel
def log_p_values(cells, rows, cols, totals, alternative, out):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Write ln of Fisher's exact p per cell: alternative 1 greater, -1 less, 0 two-sided."""
    for i in range(len(cells)):
        a, b = float(min(rows[i], cols[i])), float(max(rows[i], cols[i]))
        total = float(totals[i])
        if a == 0.0 or b == 0.0 or a >= total or b >= total:
            out[i] = 0.0
            continue
        n = float(cells[i])
        gap = difference(cells[i], totals[i], rows[i], cols[i]) / total
        if alternative == 0:
            log = _log_two_sided(n, a, b, total, gap)
        else:
            log = log_tail(n, a, b, total, gap, float(alternative))
        out[i] = min(log, 0.0)
