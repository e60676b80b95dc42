"""Agreement of two partitions of the same rows, counted over pairs of rows.

S, A, B are the sums of squares of the cells, row margins and column margins: S - N ordered pairs of
rows agree in both columns, A - N in x, B - N in y, and there are N (N - 1). All sums and products are
exact integers of any size. Limits are those of scikit-learn; zero rows, and weighted tables, whose
rows cannot be paired, give NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.measures.catalogue import Values, measure
from infolake.measures.plug_in import counted
from infolake.tables import TableBatch, grouped_sum

SMALL_TOTAL = 2**31  # squares of smaller totals fit 64 bits


@measure(
    "ri",
    bounds=(0.0, 1.0),
    reference="Rand 1971, JASA 66",
    formula="(N(N-1) + 2 S - A - B) / N(N-1), S A B sums of n^2 a^2 b^2",
)
def rand_index(batch: TableBatch) -> Values:
    """Return the share of the pairs of rows that are together, or apart, in both columns.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns of counts; NaN for weights. One row gives 1.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> rand_index(ContingencyTable([[2, 0], [1, 1]]))
    0.5
    """
    return _pairwise(batch, lambda S, A, B, N: _ratio(N * (N - 1) + 2 * S - A - B, N * (N - 1), 1.0))


@measure(
    "ari",
    bounds=(-1.0, 1.0),
    reference="Hubert & Arabie 1985, J. Classif. 2",
    formula="(RI - E[RI]) / (1 - E[RI])",
)
def adjusted_rand_index(batch: TableBatch) -> Values:
    """Return the Rand index adjusted for chance: 0 for chance, 1 for agreement.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns of counts; NaN for weights. Equal partitions give 1, constant or unique ones too.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> adjusted_rand_index(ContingencyTable([[2, 0], [0, 2]]))
    1.0
    """
    return _pairwise(batch, _adjusted)


@measure(
    "fmi",
    bounds=(0.0, 1.0),
    reference="Fowlkes & Mallows 1983, JASA 78",
    formula="(S - N) / sqrt((A - N)(B - N)), S A B sums of n^2 a^2 b^2",
)
def fowlkes_mallows_index(batch: TableBatch) -> Values:
    """Return the geometric mean of the shares of pairs together in x, or y, that are in both.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns of counts; NaN for weights. 0 where no two rows are together in both.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> fowlkes_mallows_index(ContingencyTable([[2, 0], [0, 2]]))
    1.0
    """
    return _pairwise(batch, _fowlkes_mallows)


def _adjusted(S: int, A: int, B: int, N: int) -> float:
    together, x, y, pairs = S - N, A - N, B - N, N * (N - 1)
    if x == together == y:
        return 1.0
    return _ratio(2 * (together * pairs - x * y), x * (pairs - y) + y * (pairs - x), 0.0)


def _fowlkes_mallows(S: int, A: int, B: int, N: int) -> float:
    if S == N:
        return 0.0
    return math.sqrt((S - N) / (A - N)) * math.sqrt((S - N) / (B - N))


def _ratio(numerator: int, denominator: int, limit: float) -> float:
    return numerator / denominator if denominator else limit  # rounded once, whatever their size


def _pairwise(batch: TableBatch, score: Callable[[int, int, int, int], float]) -> Values:
    if batch.weighted:
        return np.full(len(batch), np.nan)
    sums = batch.cached("squares", lambda: [_squares(batch, which) for which in ("xy", "x", "y")])
    lists = zip(*sums, batch.totals.tolist(), strict=True)
    return np.array([score(S, A, B, N) if N else math.nan for S, A, B, N in lists])


def _squares(batch: TableBatch, which: str) -> list[int]:
    """Return the sum of squares of each table, of any size."""
    values, offsets = counted(batch)[which]
    table = np.repeat(np.arange(len(batch)), np.diff(offsets))
    if batch.totals.max(initial=0) < SMALL_TOTAL:
        sums: list[int] = grouped_sum(values * values, table, len(batch)).tolist()
        return sums
    return _long_squares(values, offsets)


def _long_squares(values: NDArray[Any], offsets: NDArray[np.int64]) -> list[int]:
    bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    return [sum(n * n for n in values[a:b].tolist()) for a, b in bounds]
