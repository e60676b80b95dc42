"""Frames as aligned text."""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING, Any

from infolake.errors import printable

if TYPE_CHECKING:
    import pandas as pd

WIDEST = 40
WIDEST_NAME = 80


def text(frame: pd.DataFrame, *, rows: int | None = None, of: int | None = None) -> str:
    """Return a frame as a table for people: numbers with 4 significant digits, units below the names.

    Parameters
    ----------
    frame : pandas.DataFrame
        Units stand in ``frame.attrs["units"]``.
    rows : int, optional
        Show at most so many rows; the last line says how many are left out.
    of : int, optional
        How many rows there are, where the frame holds the first of them only.
    """
    shown = frame if rows is None else frame.head(rows)
    units = frame.attrs.get("units", {})
    columns = [_column(str(name), units.get(name, ""), _values(shown, i)) for i, name in enumerate(frame)]
    lines = [line.rstrip() for line in map("  ".join, zip(*columns, strict=True))]
    if lines and not any(units.get(name) for name in frame):
        del lines[1]
    left_out = (len(frame) if of is None else of) - len(shown)
    return "\n".join([*lines, f"… and {left_out:,} more rows"] if left_out else lines)


def _values(frame: pd.DataFrame, position: int) -> list[Any]:
    """Return a column's values; None where one is missing, but NaN where a number could not be computed."""
    series = frame.iloc[:, position]
    if getattr(series.dtype, "kind", "O") == "f":
        return list(series)
    return [None if missing else value for value, missing in zip(series, series.isna(), strict=True)]


def _column(name: str, unit: str, values: list[Any]) -> list[str]:
    right = all(isinstance(v, int | float) and not isinstance(v, bool) for v in map(_item, values)) and bool(
        values
    )
    cells = [printable(name, WIDEST_NAME), printable(unit, WIDEST), *(cell(v) for v in values)]
    width = max(map(_width, cells))
    return [_padded(c, width, right=right) for c in cells]


def _item(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def cell(value: Any) -> str:
    """Return one value as text.

    Examples
    --------
    >>> cell(0.123456), cell(1234567), cell(True), cell(None), cell(float("nan"))
    ('0.1235', '1,234,567', 'yes', '(missing)', 'nan')
    """
    value = _item(value)
    if value is None:
        return "(missing)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else printable(value, WIDEST)


def number(value: float) -> str:
    """Return a number with 4 significant digits.

    Examples
    --------
    >>> number(0.00012345), number(2.0), number(123456.0), number(1e-9)
    ('0.0001234', '2.000', '123,456', '1.000e-09')
    """
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size and (size < 1e-4 or size >= 1e9):
        return f"{value:.3e}"
    if size >= 1000:
        return f"{value:,.0f}"
    digits = 3 if size == 0 else 3 - math.floor(math.log10(size))
    return f"{value:.{max(0, digits)}f}"


def _width(value: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in value
    )


def _padded(value: str, width: int, *, right: bool) -> str:
    gap = " " * (width - _width(value))
    return gap + value if right else value + gap
