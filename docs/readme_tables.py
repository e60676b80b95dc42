"""Write the tables of README.md that are made from the code: ``python docs/readme_tables.py``.

A table stands between ``<!-- NAME:begin ... -->`` and ``<!-- NAME:end -->``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from infolake.measures import catalogue

README = Path(__file__).parents[1] / "README.md"
UNITS = {"information": "bits", "count": "count", "none": ""}


def main() -> None:
    """Bring the table of measures in README.md up to date."""
    text = README.read_text("utf-8")
    README.write_text(replaced(text, "measures", measures()), "utf-8")


def replaced(text: str, name: str, table: str) -> str:
    """Return the text with another table between the markers of a name."""
    pattern = re.compile(rf"(<!-- {name}:begin[^>]*-->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"there is no one pair of markers <!-- {name}:begin --> and <!-- {name}:end -->")
    return pattern.sub(lambda found: f"{found[1]}{table}{found[2]}", text)


def between(text: str, name: str) -> str:
    """Return the table between the markers of a name."""
    found: list[str] = re.findall(rf"<!-- {name}:begin[^>]*-->\n(.*?)<!-- {name}:end -->", text, re.DOTALL)
    (table,) = found
    return table


def measures() -> str:
    """Return the catalogue of measures as a Markdown table: those of tables, then those of cells."""
    frame = catalogue.measures().reset_index()
    rows = [row for per_cell in (False, True) for row in _rows(frame[frame["per_cell"] == per_cell])]
    return _table(("measure", "short", "of a", "unit", "range", "best", "`given`", "what it is"), rows)


def _rows(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    return [
        (
            f"`{row.name}`",
            ", ".join(f"`{alias}`" for alias in row.aliases.split(", ") if alias),
            "cell" if row.per_cell else "table",
            UNITS[row.unit],
            _range(row.lowest, row.highest),
            row.best,
            "yes" if row.conditional else "",
            _sentence(row.summary),
        )
        for _, row in frame.set_index("name", drop=False).rename_axis(None).iterrows()
    ]


def _range(low: float, high: float) -> str:
    """Return bounds in words; NaN is no bound."""
    if low == low:  # noqa: PLR0124
        return f"{low:g} to {high:g}" if high == high else f"{low:g} and more"  # noqa: PLR0124
    return f"up to {high:g}" if high == high else ""  # noqa: PLR0124


def _sentence(summary: str) -> str:
    text = summary.removeprefix("Return ").removesuffix(".").replace("``", "`").replace("*", "\\*")
    return text[:1].upper() + text[1:] if re.match("[a-z]{3,} ", text) else text


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("|".join(["", *map(_cell, line), ""]) + "\n" for line in lines)


def _cell(text: str) -> str:
    return f" {text} ".replace("|", "\\|") if text else " "


if __name__ == "__main__":
    main()
