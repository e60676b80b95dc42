"""How far the distribution of a column in one set of counts is from that in another.

p and q are the shares of the levels in the first and in the second counts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from infolake.errors import UsageError, printable
from infolake.measures.catalogue import log_base
from infolake.summaries.joint_counts import JointCounts
from infolake.tables import ContingencyTable

Array = np.ndarray[Any, Any]


def kullback_leibler_divergence(
    counts: JointCounts | ContingencyTable,
    reference: JointCounts | ContingencyTable,
    column: str,
    *,
    base: float | str = 2,
    missing: str = "level",
) -> float:
    """Return the sum of p log(p / q): what coding rows by the reference costs beyond their entropy.

    Parameters
    ----------
    counts, reference : JointCounts or ContingencyTable
        The distributions p and q.
    column : str
        A column of both, with the same bins if it is binned.
    base : 2, "e" or 10
        Bits, nats or hartleys.
    missing : {"level", "pairwise"}
        Missing as a level of its own (a share of missing values that changes is drift), or left out.

    Returns
    -------
    float
        0 for equal distributions; infinite where a level has rows in ``counts`` and none in the
        reference; NaN where either has no rows.

    Raises
    ------
    UsageError
        Levels that cannot be compared: other bins, or another type.

    References
    ----------
    Kullback & Leibler 1951, Ann. Math. Stat. 22.

    Examples
    --------
    >>> before, after = ContingencyTable([2, 2], columns=["x"]), ContingencyTable([1, 3], columns=["x"])
    >>> round(kullback_leibler_divergence(after, before, "x"), 6)
    0.188722
    >>> kullback_leibler_divergence(before, ContingencyTable([1], columns=["x"]), "x")
    inf
    """
    p, q = _shares(counts, reference, column, missing)
    if not (len(p) and p.sum() > 0 and q.sum() > 0):
        return math.nan
    if (q[p > 0] == 0).any():
        return math.inf
    return _divergence(p, q) / log_base(base)


def jensen_shannon_divergence(
    counts: JointCounts | ContingencyTable,
    reference: JointCounts | ContingencyTable,
    column: str,
    *,
    base: float | str = 2,
    missing: str = "level",
) -> float:
    """Return the mean divergence of p and q from their mean: H((p + q) / 2) - (H(p) + H(q)) / 2.

    The mutual information of a row's level and of which of the two it comes from, were both equally
    likely. Its square root is a metric (scipy's ``jensenshannon``).

    Parameters
    ----------
    counts, reference : JointCounts or ContingencyTable
    column : str
    base : 2, "e" or 10
    missing : {"level", "pairwise"}
        See :func:`kullback_leibler_divergence`.

    Returns
    -------
    float
        0 to 1 bit; NaN where either has no rows.

    References
    ----------
    Lin 1991, IEEE Trans. Inf. Theory 37.

    Examples
    --------
    >>> old, new = ContingencyTable([4, 0], columns=["x"]), ContingencyTable([0, 4], columns=["x"])
    >>> jensen_shannon_divergence(new, old, "x")
    1.0
    """
    p, q = _shares(counts, reference, column, missing)
    if not (len(p) and p.sum() > 0 and q.sum() > 0):
        return math.nan
    middle = p / 2 + q / 2
    return (_divergence(p, middle) + _divergence(q, middle)) / 2 / log_base(base)


def _divergence(p: Array, q: Array) -> float:
    """Return the sum of q ((1 + d) ln(1 + d) - d), d = (p - q) / q, in nats: no term is below 0."""
    held = q > 0
    d = (p[held] - q[held]) / q[held]
    return math.fsum((q[held] * _excess(d)).tolist())


def _excess(d: Array) -> Array:
    near = np.abs(d) < 0.05
    small = np.where(near, d, 0.0)
    series = sum((-1) ** k * small**k / (k * (k - 1)) for k in range(2, 16))
    ratio = np.where(d > -1, 1 + d, 1.0)
    return np.where(near, series, np.where(d > -1, ratio * np.log(ratio), 0.0) - d)


def _shares(first: Any, second: Any, column: str, missing: str) -> tuple[Array, Array]:
    """Return the shares of the levels of both, in one order."""
    tables = [_table(data, column, missing) for data in (first, second)]
    _refuse_other_kinds(first, second, column, tables)
    codes: dict[Any, int] = {}
    for level in (level for table in tables for level in table.levels[0]):
        codes.setdefault(level, len(codes))
    shares = np.zeros((2, len(codes)))
    for row, table in zip(shares, tables, strict=True):
        total = float(table.total)
        if total:
            row[[codes[level] for level in table.levels[0]]] = table.margins[0] / total
    return shares[0], shares[1]


def _table(data: Any, column: str, missing: str) -> ContingencyTable:
    if isinstance(data, JointCounts):
        return data.table(column, missing=missing)
    if not isinstance(data, ContingencyTable):
        raise UsageError("drift is read off counts or tables", found=type(data).__name__)
    table = data.marginal(column)
    return table.drop_missing() if missing == "pairwise" else table


def _refuse_other_kinds(first: Any, second: Any, column: str, tables: list[ContingencyTable]) -> None:
    if isinstance(first, JointCounts) and isinstance(second, JointCounts):
        edges = [data.edges.get(column) for data in (first, second)]
        if edges[0] != edges[1]:
            raise UsageError(
                f"the column {column!r} has other bins in the reference",
                expected=printable(edges[0]),
                found=printable(edges[1]),
                next="count both with bins={...: the same edges}, or coarsen to common edges",
            )
        kept = [data.request.kept_levels[data.request.number(column)] for data in (first, second)]
        if kept[0] != kept[1]:
            raise UsageError(
                f"the column {column!r} keeps other levels in the reference",
                next="count both without max_levels: what is in a bucket cannot be compared",
            )
    kinds = [{type(level) for level in table.levels[0] if level is not None} for table in tables]
    texts = [any(issubclass(kind, str | bytes) for kind in found) for found in kinds]
    if all(kinds) and texts[0] != texts[1]:
        raise UsageError(f"the column {column!r} has another type in the reference")
