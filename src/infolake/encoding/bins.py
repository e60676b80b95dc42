"""Bins: the rule, the edges and the labels that turn a number into an interval.

Intervals are ``[a, b)``, the last one closed. Edges are exact order statistics (inverted CDF:
the smallest value whose cumulative share reaches k / bins), with equal ones merged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np

from infolake.errors import BinRangeError, UsageError, nearest

Edges = tuple[int | float, ...]
DEFAULT_BINS = 16
AUTO_LIMIT = {"float": 16, "int": 256}
METHODS = ("quantile", "uniform")


@dataclass(frozen=True)
class BinRule:
    """How one numeric column is treated.

    A column asked into quantiles that has no more distinct values than bins is counted exactly.

    Parameters
    ----------
    method : {"auto", "exact", "quantile", "uniform", "edges"}
        "auto" (the default) becomes 16 equal-frequency bins for a float column of more than 16 distinct
        values and for an integer column of more than 256, else "exact".
    bins : int
        Number of bins asked for.
    edges : tuple of numbers
        Given edges, ascending.
    """

    method: str = "auto"
    bins: int = DEFAULT_BINS
    edges: Edges = ()


def parse_rule(column: str, given: Any) -> BinRule:
    """Read one bin rule: None, "exact", an int, edges, or ``{"method": ..., "bins": ...}``.

    Examples
    --------
    >>> parse_rule("x", 8)
    BinRule(method='quantile', bins=8, edges=())
    >>> parse_rule("x", [0, 1.5, 3]).edges
    (0, 1.5, 3)
    """
    if given is None:
        return BinRule()
    if isinstance(given, BinRule):
        return given
    if isinstance(given, str):
        return _named(column, given)
    if isinstance(given, Mapping):
        return _described(column, given)
    if isinstance(given, (int, np.integer)):
        return BinRule("quantile", _number(column, given))
    if isinstance(given, (Sequence, np.ndarray)) and not isinstance(given, bytes):
        return BinRule("edges", max(len(given) - 1, 0), _edges(column, given))
    raise _bad(column, given)


def _named(column: str, given: str) -> BinRule:
    if given in ("exact", "auto"):
        return BinRule(given)
    raise _bad(column, given)


def _described(column: str, given: Mapping[str, Any]) -> BinRule:
    unknown = set(given) - {"method", "bins"}
    if unknown:
        name = min(map(str, unknown))
        raise UsageError(f"bins of {column!r}: unknown key {name!r}, {nearest(name, ('method', 'bins'))}")
    method = given.get("method", "quantile")
    if method not in METHODS:
        raise UsageError(f"bins of {column!r}: unknown method {method!r}, {nearest(str(method), METHODS)}")
    return BinRule(method, _number(column, given.get("bins", DEFAULT_BINS)))


def _number(column: str, bins: Any) -> int:
    if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or not 1 <= bins <= 65536:
        raise _bad(column, bins)
    return int(bins)


def _edges(column: str, given: Sequence[Any] | np.ndarray[Any, Any]) -> Edges:
    edges = tuple(_plain(column, e) for e in given)
    if len(edges) < 2 or any(not a < b for a, b in pairwise(edges)):
        raise UsageError(
            f"bins of {column!r}: edges must ascend",
            expected="at least two numbers, each above the one before",
            found=str(list(edges)[:20]),
        )
    return edges


def _plain(column: str, edge: Any) -> int | float:
    if isinstance(edge, np.generic):
        edge = edge.item()
    if isinstance(edge, Decimal):
        edge = float(edge)
    if isinstance(edge, bool) or not isinstance(edge, (int, float)) or math.isnan(edge):
        raise _bad(column, edge)
    return edge


def _bad(column: str, found: Any) -> UsageError:
    return UsageError(
        f"bins of {column!r} make no sense",
        expected='a number of bins from 1 to 65536, "exact", ascending edges, or '
        '{"method": "quantile", "bins": 16}',
        found=repr(found)[:120],
    )


def quantile_ranks(total: int, bins: int) -> list[int]:
    """Return the 1-based ranks of the edges of ``bins`` equal-frequency bins of ``total`` rows.

    Examples
    --------
    >>> quantile_ranks(10, 4)
    [1, 3, 5, 8, 10]
    """
    return [1, *(-(-total * k // bins) for k in range(1, bins)), total]


def merged_edges(values: Sequence[int | float]) -> Edges:
    """Return ascending edges without repetition; a single value v becomes the interval [v, v].

    Examples
    --------
    >>> merged_edges([0, 0, 3, 3, 9])
    (0, 3, 9)
    """
    edges = tuple(sorted(set(values)))
    return edges if len(edges) > 1 else (*edges, *edges)


def uniform_edges(column: str, low: float, high: float, bins: int) -> Edges:
    """Return the edges of ``bins`` intervals of equal width from ``low`` to ``high``."""
    if math.isinf(low) or math.isinf(high):
        raise BinRangeError(
            f"column {column!r} has infinite values: intervals of equal width do not exist",
            next='use {"method": "quantile"} or give edges',
        )
    inner = [_between(low, high, k / bins) for k in range(1, bins)]
    return merged_edges([low, *(e for e in inner if low < e < high), high])


def _between(low: float, high: float, share: float) -> float:
    width = high - low
    return low * (1 - share) + high * share if math.isinf(width) else low + width * share


def interval_labels(edges: Edges) -> list[str]:
    """Return ``"[a, b)"`` for each bin, the last one closed.

    Examples
    --------
    >>> interval_labels((0.5, 2.0, 3.25))
    ['[0.5, 2)', '[2, 3.25]']
    """
    names = [_number_text(e) for e in edges]
    pairs = list(pairwise(names))
    last = len(pairs) - 1
    return [f"[{a}, {b}{']' if i == last else ')'}" for i, (a, b) in enumerate(pairs)]


def _number_text(edge: float) -> str:
    text = repr(edge)
    return text.removesuffix(".0")


def cuts(edges: Edges, integer: bool) -> np.ndarray[Any, Any]:
    """Return inner edges in the column's own type: a value belongs above a cut when value >= cut."""
    inner = edges[1:-1]
    if not integer:
        return np.array(inner, np.float64)
    # no int64 reaches a cut beyond 2**63 - 1
    return np.array([_clipped(math.ceil(e)) for e in inner if e <= 2**63 - 1], np.int64)


def _clipped(value: int) -> int:
    return min(max(value, -(2**63)), 2**63 - 1)


def limits(edges: Edges, integer: bool) -> tuple[int | float, int | float]:
    """Return the smallest and the largest value that the edges admit, in the column's own type."""
    low, high = edges[0], edges[-1]
    if not integer:
        return float(low), float(high)
    lowest = -(2**63) if low == -math.inf else math.ceil(low)
    highest = 2**63 - 1 if high == math.inf else math.floor(high)
    if lowest > 2**63 - 1 or highest < -(2**63):
        return 1, 0  # no integer of 64 bits lies inside
    return _clipped(lowest), _clipped(highest)
