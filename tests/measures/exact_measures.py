"""Slow twins of the kernels: Fractions and 50-digit logarithms, written from the definitions."""

from fractions import Fraction
from math import comb

from mpmath import mp, mpf

mp.dps = 50


def log(value):
    value = Fraction(value)
    return mp.log(mpf(value.numerator) / value.denominator)


def exact(value):
    value = Fraction(value)
    return mpf(value.numerator) / value.denominator


def margins(table):
    return [sum(row) for row in table], [sum(col) for col in zip(*table, strict=True)]


def entropy(counts):
    total = sum(counts)
    return sum((exact(Fraction(n, total)) * log(Fraction(total, n)) for n in counts if n), mpf(0))


def joint(table):
    return entropy([n for row in table for n in row])


def mutual_information(table):
    """Return the sum of n/N ln(n N / (a b)) with enough digits to survive its cancellation."""
    rows, cols = margins(table)
    total = sum(rows)
    with mp.workdps(90):
        return +sum(
            (
                exact(Fraction(n, total)) * log(Fraction(n * total, rows[i] * cols[j]))
                for i, row in enumerate(table)
                for j, n in enumerate(row)
                if n
            ),
            mpf(0),
        )


def chi_squared(table):
    rows, cols = margins(table)
    total = sum(rows)
    parts = (
        (Fraction(n) - Fraction(rows[i] * cols[j], total)) ** 2 * total / (rows[i] * cols[j])
        for i, row in enumerate(table)
        for j, n in enumerate(row)
        if rows[i] and cols[j]
    )
    return sum(parts, Fraction(0))


def expected_cell(a, b, total):
    """Return the mean of n ln(n N / (a b)) of a hypergeometric n, by all terms."""
    every = comb(total, b)
    ks = range(max(1, a + b - total), min(a, b) + 1)
    parts = (Fraction(comb(a, k) * comb(total - a, b - k), every) * k for k in ks)
    return sum((exact(w) * log(Fraction(k * total, a * b)) for w, k in zip(parts, ks, strict=True)), mpf(0))


def expected_mutual_information(table):
    rows, cols = margins(table)
    total = sum(rows)
    with mp.workdps(80):
        return +sum((expected_cell(a, b, total) for a in rows for b in cols if a and b), mpf(0)) / total


def close(value, truth, rtol=1e-13):
    """Return whether a float equals a 50-digit number to ``rtol`` relative (or both are 0)."""
    return abs(mpf(float(value)) - truth) <= mpf(rtol) * abs(truth)
