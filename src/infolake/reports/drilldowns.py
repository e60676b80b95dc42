"""Contingency tables small enough to travel inside the page.

A table keeps the levels with the most rows, in their own order; all others are added into one last row and
column, so that every margin of the page is the margin of the whole table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from infolake.errors import InfolakeError
from infolake.reports.text import number, visible
from infolake.tables import ContingencyTable

MAX_LEVELS = 30
MAX_TABLES = 60
MAX_BYTES = 3_000_000
IN_SHARDS = "it is too large to be kept: it was counted in shards, for its scores and listed cells only"


class Counts(Protocol):
    """The part of ``JointCounts`` the page needs."""

    def table(self, *columns: str, missing: str = "pairwise") -> ContingencyTable:
        """Return the contingency table of some columns."""


Load = Callable[[Path], Counts]


@dataclass
class Drilldowns:
    """Tables collected for the page, each once, until their number or bytes run out.

    Attributes
    ----------
    in_shards : sequence of groups of columns
        Groups that were counted in shards: their tables are not kept.
    tables : list of dict
        What the page embeds.
    spent : int
        Bytes of JSON so far.
    """

    counts: Counts | None
    why_none: str = ""
    in_shards: Sequence[Sequence[str]] = ()
    tables: list[dict[str, Any]] = field(default_factory=list)
    spent: int = 0
    _known: dict[tuple[str, str, str], int | str] = field(default_factory=dict)

    def add(self, x: str, y: str, missing: str) -> int | str:
        """Return the index of the table of two columns, or the reason why the page has none."""
        key = (x, y, missing)
        if key not in self._known:
            self._known[key] = self._build(*key)
        return self._known[key]

    def add_all(self, pairs: Iterable[tuple[str, str]], missing: str) -> list[int | str]:
        """Return one index or reason per pair; the first ``MAX_TABLES`` pairs are tried."""
        beyond = f"only the first {MAX_TABLES} pairs of a question carry their table in this page"
        return [self.add(x, y, missing) if i < MAX_TABLES else beyond for i, (x, y) in enumerate(pairs)]

    def _build(self, x: str, y: str, missing: str) -> int | str:
        if self.counts is None:
            return IN_SHARDS if self._is_large(x, y) else self.why_none
        if self.spent >= MAX_BYTES:
            return (
                f"the tables above this pair fill the {MAX_BYTES / 1e6:.0f} MB kept for tables in this page"
            )
        try:
            table = embedded(self.counts.table(x, y, missing="level" if missing == "level" else "pairwise"))
        except InfolakeError as error:
            if self._is_large(x, y):
                return IN_SHARDS
            return f"the saved counts give no table for this pair: {visible(error.what, 160)}"
        size = len(json.dumps(table))
        if self.spent + size > MAX_BYTES:
            return f"its table would pass the {MAX_BYTES / 1e6:.0f} MB kept for tables in this page"
        self.spent += size
        self.tables.append({"x": visible(x), "y": visible(y), **table})
        return len(self.tables) - 1

    def _is_large(self, x: str, y: str) -> bool:
        return any({x, y} <= {*group} for group in self.in_shards)


def embedded(table: ContingencyTable, limit: int = MAX_LEVELS) -> dict[str, Any]:
    """Return a two-column table as plain values: levels, margins, and counts in rows.

    Parameters
    ----------
    table : ContingencyTable
        Of two columns.
    limit : int, optional
        The most levels kept per column.

    Returns
    -------
    dict
        ``rows``, ``columns`` (labels, None for missing), ``others`` (how many levels stand in the last row
        and column, 0 for none), ``cells`` (list of rows), ``margins``, ``total``.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> embedded(ContingencyTable([[3, 1], [0, 2]]))["cells"]
    [[3, 1], [0, 2]]
    """
    kept = [_largest(margin, limit) for margin in table.margins]
    codes, counts = table.cells
    places = [_places(k, len(m)) for k, m in zip(kept, table.margins, strict=True)]
    shape = tuple(len(k) + (len(k) < len(m)) for k, m in zip(kept, table.margins, strict=True))
    cells = np.zeros(shape, dtype=counts.dtype)
    np.add.at(cells, tuple(p[c] for p, c in zip(places, codes, strict=True)), counts)
    margins = [_folded(m, p, n) for m, p, n in zip(table.margins, places, shape, strict=True)]
    return {
        "rows": labels(table.levels[0], kept[0]),
        "columns": labels(table.levels[1], kept[1]),
        "others": [len(m) - len(k) for k, m in zip(kept, table.margins, strict=True)],
        "shape": [int(np.count_nonzero(m)) for m in table.margins],
        "cells": cells.tolist(),
        "margins": [m.tolist() for m in margins],
        "total": float(table.total) if counts.dtype.kind == "f" else int(table.total),
    }


def _largest(margin: np.ndarray, limit: int) -> np.ndarray:
    """Codes of the levels that have rows, at most ``limit`` of the largest, in code order."""
    used = np.flatnonzero(margin)
    if len(used) <= limit:
        return used
    return np.sort(used[np.argsort(-margin[used], kind="stable")[:limit]])


def _places(kept: np.ndarray, levels: int) -> np.ndarray:
    places = np.full(levels, len(kept), dtype=np.int64)
    places[kept] = np.arange(len(kept))
    return places


def _folded(margin: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    folded = np.zeros(size + 1, dtype=margin.dtype)
    np.add.at(folded, places, margin)
    return folded[:size]


def labels(levels: Any, codes: Iterable[int]) -> list[str | None]:
    """Return what the page shows for the given codes: visible text, None for the missing level."""
    return [label(levels[int(code)]) for code in codes]


def label(level: object) -> str | None:
    """Return one level as visible text; floats get up to six significant digits, None stays None.

    Examples
    --------
    >>> label(None), label(True), label(0.1), label(2013)
    (None, 'true', '0.1', '2013')
    """
    if level is None:
        return None
    if isinstance(level, bool | np.bool_):
        return "true" if level else "false"
    if isinstance(level, float):
        return f"{level:.15g}"
    return visible(level)


def described(table: Mapping[str, Any]) -> str:
    """Return one line on the size of an embedded table."""
    rows, columns = table["shape"]
    return f"{number(rows)} × {number(columns)} levels, {number(table['total'])} rows"
