"""The loops of `inference` over cells and over drawn tables, as numba kernels."""

from __future__ import annotations

import math

import numpy as np

from infolake.measures.numerics import difference, excess, kernel, two_sum


@kernel
def residual(tables, rows, cols, out):  # type: ignore[no-untyped-def]
    """Add each table's N times MI (nats) to ``out``: the sum of E excess(d), E = a b / N.

    Of tables (B, R, C) of the non-empty margins ``rows`` and ``cols``. Terms are >= 0, so that equal
    tables are equal to rounding and nearly independent ones keep their order.
    """
    total = rows.sum()
    for t in range(len(tables)):
        high = low = 0.0
        for i in range(len(rows)):
            for j in range(len(cols)):
                expected = float(rows[i]) * float(cols[j]) / float(total)
                n = tables[t, i, j]
                d = difference(n, total, rows[i], cols[j]) / float(total) / expected
                high, low = two_sum(high, low, expected * excess(d, float(n) / expected))
        out[t] += high + low


@kernel
def improbability(tables, rows, cols, out):  # type: ignore[no-untyped-def]
    """Add minus the log probability of each table, given its margins, to ``out``."""
    known = math.lgamma(float(rows.sum()) + 1)
    for i in range(len(rows)):
        known -= math.lgamma(float(rows[i]) + 1)
    for j in range(len(cols)):
        known -= math.lgamma(float(cols[j]) + 1)
    for t in range(len(tables)):
        sum_of_logs = 0.0
        for i in range(len(rows)):
            for j in range(len(cols)):
                sum_of_logs += math.lgamma(float(tables[t, i, j]) + 1)
        out[t] += known + sum_of_logs


@kernel
def moments(cells, rows, cols, totals, groups, sizes, means, products):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Write means (3, G) and covariances (3, 3, G) of ln N/a, ln N/b and ln nN/(ab) over the rows.

    ``rows``, ``cols``, ``totals`` are a, b, N of each cell, ``groups`` its group, ``sizes`` the rows
    of each group. Two passes: the covariances are of centred parts.
    """
    rest = np.zeros(means.shape)
    part = np.zeros(3)
    for i in range(len(cells)):
        g = groups[i]
        share = float(cells[i]) / sizes[g]
        _parts(cells[i], rows[i], cols[i], totals[i], part)
        for k in range(3):
            means[k, g], rest[k, g] = two_sum(means[k, g], rest[k, g], share * part[k])
    means += rest
    remainders = np.zeros(products.shape)
    for i in range(len(cells)):
        g = groups[i]
        share = float(cells[i]) / sizes[g]
        _parts(cells[i], rows[i], cols[i], totals[i], part)
        for k in range(3):
            for m in range(3):
                term = share * ((part[k] - means[k, g]) * (part[m] - means[m, g]))
                high, low = two_sum(products[k, m, g], remainders[k, m, g], term)
                products[k, m, g], remainders[k, m, g] = high, low
    products += remainders


@kernel
def _parts(n, a, b, total, out):  # type: ignore[no-untyped-def]
    out[0] = math.log(float(total) / float(a))
    out[1] = math.log(float(total) / float(b))
    expected = float(a) / float(total) * float(b)
    out[2] = math.log(float(n) / expected)
