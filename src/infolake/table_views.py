"""Contingency tables as people see them: plain text, and HTML lightly coloured by PMI."""

from __future__ import annotations

import html
import math
from collections.abc import Callable

import numpy as np

from infolake.errors import printable
from infolake.tables import ContingencyTable

SHOWN_ROWS, SHOWN_COLUMNS = 12, 8


def text(table: ContingencyTable) -> str:
    """Return the table as lines of text: one or two columns with their margins, more in one line."""
    kind = "weights" if table.weighted else "counts"
    sizes = " × ".join(f"{printable(c)} ({n})" for c, n in zip(table.columns, table.shape, strict=True))
    head = f"ContingencyTable: {sizes}, total {_shown(table.total)}, {kind}"
    if table.ndim > 2:
        return f"{head}, {len(table.cells[1])} non-zero cells"
    lines = _grid(table, lambda label: printable(label, 16))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(t.rjust(w) for t, w in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([head, *rows])


def html_table(table: ContingencyTable) -> str:
    """Return the table as HTML, every label escaped."""
    if table.ndim > 2:
        return f"<pre>{html.escape(text(table))}</pre>"
    lines = _grid(table, lambda label: printable(label, 40))
    tints = _tints(table)
    head = "".join(f"<th>{html.escape(t)}</th>" for t in lines[0])
    body = "".join(_html_row(line, tints.get(i, {})) for i, line in enumerate(lines[1:]))
    caption = html.escape(text(table).split("\n", maxsplit=1)[0])
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _cut(n: int, limit: int) -> list[int | None]:
    """Return the shown indices of ``n``, with ``None`` where some are left out."""
    if n <= limit:
        return list(range(n))
    return [*range(limit - 2), None, n - 1]


def _grid(table: ContingencyTable, text: Callable[[object], str]) -> list[list[str]]:
    """Return the lines of a shown table of one or two columns: labels, counts, margins."""
    rows = _cut(table.shape[0], SHOWN_ROWS)
    row_levels = table.levels[0]
    total = _shown(table.total)
    labels = ["…" if r is None else text(_label(row_levels[r])) for r in rows]
    sums = ["…" if r is None else _shown(table.margins[0][r].item()) for r in rows]
    if table.ndim == 1:
        lines = [[label, n] for label, n in zip(labels, sums, strict=True)]
        return [[text(table.columns[0]), "count"], *lines, ["total", total]]
    cols = _cut(table.shape[1], SHOWN_COLUMNS)
    head = ["…" if c is None else text(_label(table.levels[1][c])) for c in cols]
    lines = [
        [label, *(_cell(table, r, c) for c in cols), n]
        for label, r, n in zip(labels, rows, sums, strict=True)
    ]
    foot = ["…" if c is None else _shown(table.margins[1][c].item()) for c in cols]
    corner = text(f"{table.columns[0]} \\ {table.columns[1]}")
    return [[corner, *head, "total"], *lines, ["total", *foot, total]]


def _label(level: object) -> object:
    return "(missing)" if level is None else level


def _count_at(table: ContingencyTable, row: int, col: int) -> float:
    if table.dense:
        return table.array[row, col].item()  # type: ignore[no-any-return]
    (rows, cols), counts = table.cells
    start, stop = np.searchsorted(rows, [row, row + 1])
    at = start + int(np.searchsorted(cols[start:stop], col))
    return float(counts[at]) if at < stop and cols[at] == col else 0


def _cell(table: ContingencyTable, row: int | None, col: int | None) -> str:
    return "…" if row is None or col is None else _shown(_count_at(table, row, col))


def _tints(table: ContingencyTable) -> dict[int, dict[int, str]]:
    """Return background colours by shown row and column: PMI, blue above 0, red below."""
    if table.ndim != 2 or not table.total:
        return {}
    rows, cols = _cut(table.shape[0], SHOWN_ROWS), _cut(table.shape[1], SHOWN_COLUMNS)
    return {
        i: {j: _tint(table, r, c) for j, c in enumerate(cols) if c is not None}
        for i, r in enumerate(rows)
        if r is not None
    }


def _tint(table: ContingencyTable, row: int, col: int) -> str:
    expected = float(table.margins[0][row]) * (float(table.margins[1][col]) / float(table.total))
    if expected == 0:
        return ""
    n = _count_at(table, row, col)
    pmi = max(-2.0, min(2.0, math.log2(n / expected))) if n else -2.0
    return f"rgba({'38,99,196' if pmi > 0 else '200,60,50'},{abs(pmi) / 4:.2f})"


def _html_row(line: list[str], tints: dict[int, str]) -> str:
    def cell(j: int, text: str) -> str:
        style = f' style="background:{tints[j]}"' if tints.get(j) else ""
        return f"<td{style}>{html.escape(text)}</td>"

    return f"<tr><th>{html.escape(line[0])}</th>{''.join(cell(j, t) for j, t in enumerate(line[1:]))}</tr>"
