"""Columns of the page's sortable tables, as plain values.

A column has a title and a unit; names are stored once, in the order they sort
by, numbers with the text shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from infolake.reports.drilldowns import label
from infolake.reports.text import aligned, exact, number, visible

LARGEST = 1.7976931348623157e308


def names(title: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return a column of column names, sorted by their text."""
    texts = [visible(v) for v in values]
    return _coded(title, sorted(set(texts)), texts)


def levels(title: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return a column of levels, sortable in the order of the values; the missing level last.

    Examples
    --------
    >>> levels("size", [10, None, 9])["names"]
    ['9', '10', None]
    """
    distinct = {label(v): v for v in values}
    present = [text for text in distinct if text is not None]
    try:
        present.sort(key=lambda text: distinct[text])
    except TypeError:
        present.sort()
    return _coded(title, [*present, *([None] if None in distinct else [])], [label(v) for v in values])


def _coded(title: str, known: Sequence[str | None], texts: Sequence[str | None]) -> dict[str, Any]:
    place = {text: k for k, text in enumerate(known)}
    return {
        "kind": "name",
        "title": visible(title),
        "unit": "",
        "names": known,
        "v": [place[t] for t in texts],
    }


def numbers(
    title: str, unit: str, values: np.ndarray, *, meter: bool, reason: Callable[[int], str]
) -> dict[str, Any]:
    """Return a column of numbers; ``reason(i)`` says why the i-th could not be computed.

    Examples
    --------
    >>> column = numbers("MI", "bits", np.array([0.5, np.nan]), meter=True, reason=lambda i: "no rows")
    >>> column["v"], column["t"]
    ([0.5, None], ['0.5000', 'n/a (no rows)'])
    """
    texts = [f"n/a ({reason(i)})" if math.isnan(v) else number(v) for i, v in enumerate(values)]
    return {
        "kind": "number",
        "title": visible(title),
        "unit": visible(unit),
        "v": [None if math.isnan(v) else _storable(float(v)) for v in values],
        "t": aligned(texts),
        "meter": meter,
    }


def intervals(title: str, unit: str, ends: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """Return a column of intervals, sorted by their low ends.

    Examples
    --------
    >>> column = intervals("95 %", "bits", (np.array([0.5, np.nan]), np.array([0.75, np.nan])))
    >>> column["v"], column["t"], column["full"]
    ([0.5, None], ['0.5000 to 0.7500', 'n/a (not defined)'], ['0.5 to 0.75', 'n/a'])
    """
    low, high = ends
    known = ~(np.isnan(low) | np.isnan(high))
    pairs = list(zip(low, high, known, strict=True))
    return {
        "kind": "number",
        "title": visible(title),
        "unit": visible(unit),
        "v": [_storable(float(a)) if k else None for a, _, k in pairs],
        "t": [f"{number(a)} to {number(b)}" if k else "n/a (not defined)" for a, b, k in pairs],
        "full": [f"{exact(a)} to {exact(b)}" if k else "n/a" for a, b, k in pairs],
        "meter": False,
    }


def flags(title: str, values: np.ndarray) -> dict[str, Any]:
    """Return a column of marks."""
    return {"kind": "flag", "title": title, "unit": "", "v": values.astype(int).tolist()}


def _storable(value: float) -> float | int:
    """Return a number JSON can hold; infinity becomes the largest number, which the page knows."""
    if math.isinf(value):
        return math.copysign(LARGEST, value)
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def finite(values: np.ndarray) -> np.ndarray:
    """Return the values with NaN for infinity."""
    return np.where(np.isfinite(values), values, np.nan)
