"""Associations as the page shows them: the strongest attractions and repulsions, and a table of cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from infolake.reports import charts, columns, meanings
from infolake.reports.drilldowns import Drilldowns, label
from infolake.reports.saved import FIRST, LAST, Association, full_name
from infolake.reports.text import number, visible, with_unit

MAX_BARS = 12
COUNTS = ("count", "count_x", "count_y")


def view(association: Association, drilldowns: Drilldowns, key: str) -> dict[str, Any]:
    """Return the page's view of one association entry.

    Parameters
    ----------
    association : Association
    drilldowns : Drilldowns
        Where the table of the two columns is collected.
    key : str
        An identifier safe in HTML, such as ``a0``.
    """
    kept = _kept(len(association))
    drill = drilldowns.add(association.x, association.y, association.missing)
    return {
        "key": key,
        "name": visible(association.name),
        "x": visible(association.x),
        "y": visible(association.y),
        "cells": number(association.total),
        "facts": [(k.replace("_", " "), visible(v)) for k, v in association.facts.items() if v is not None],
        "drill": drill if isinstance(drill, int) else -1,
        "why": drill if isinstance(drill, str) else "",
        "table": {"columns": _columns(association, kept), "total": association.total, "shown": len(kept)},
        **_extremes(association, key),
    }


def _kept(cells: int) -> np.ndarray:
    """Return the first and the last rows: a list sorted by a score ends with the repulsions."""
    if cells <= FIRST + LAST:
        return np.arange(cells)
    return np.concatenate([np.arange(FIRST), np.arange(cells - LAST, cells)])


def _columns(association: Association, kept: np.ndarray) -> list[dict[str, Any]]:
    sides = zip((association.x, association.y), association.levels, strict=True)
    names = [columns.levels(name, [levels[k] for k in kept]) for name, levels in sides]
    return [*names, *(_numbers(association, c, kept) for c in _number_names(association))]


def _number_names(association: Association) -> list[str]:
    return [*association.measures, *(c for c in COUNTS if c in association.columns)]


def _numbers(association: Association, name: str, kept: np.ndarray) -> dict[str, Any]:
    title, unit = _heading(association, name)
    values = association.columns[name][kept]
    return columns.numbers(
        title, unit, values, meter=name in association.measures, reason=lambda _: "not defined"
    )


def _heading(association: Association, name: str) -> tuple[str, str]:
    if name in association.measures:
        return meanings.title(name), association.units.get(name) or ""
    of = {"count_x": f" of {visible(association.x)}", "count_y": f" of {visible(association.y)}"}
    return f"Count{of.get(name, '')}", "rows"


def _extremes(association: Association, key: str) -> dict[str, Any]:
    """Return the bars of the strongest attractions and repulsions, where a measure tells them apart."""
    measure = next((m for m in sorted(association.measures, key=_rank) if meanings.signed(m)), None)
    if measure is None or not _has_extremes(association, measure):
        return {}
    values = columns.finite(association.columns[measure])
    order = np.argsort(np.where(np.isnan(values), np.inf, -values), kind="stable")
    up = [k for k in order if values[k] > 0][:MAX_BARS]
    down = [k for k in order if values[k] < 0][-MAX_BARS:]
    heading = meanings.heading(measure, association.units)
    said = {"extremes": {"measure": heading, "up": number(len(up)), "down": number(len(down))}}
    rows = np.array([*up, *down], dtype=np.int64)
    if not len(rows):
        return said
    return said | {"bars": charts.item(_bars(association, rows, values[rows]), f"{key}-bars")}


def _has_extremes(association: Association, measure: str) -> bool:
    """Whether the cells that are held hold the extremes: all cells, or the ends of a list in their order."""
    by = association.facts.get("sort_by") or association.measures[0]
    return len(association) == association.total or full_name(by) == measure


def _rank(measure: str) -> bool:
    """Sort the measure that rare levels do not inflate first."""
    return measure != "normalized_pointwise_mutual_information"


def _bars(association: Association, rows: np.ndarray, values: np.ndarray) -> Any:
    pairs = [" × ".join(_shown(levels[k]) for levels in association.levels) for k in rows]
    names = _number_names(association)
    texts = {f"t{i}": [number(association.columns[c][k]) for k in rows] for i, c in enumerate(names)}
    headings = [with_unit(*map(visible, _heading(association, c))) for c in names]
    fields = [("levels", "pair"), *((text, f"t{i}") for i, text in enumerate(headings))]
    return charts.diverging(charts.axis_names(pairs, 44), {**texts, "pair": pairs, "value": values}, fields)


def _shown(level: object) -> str:
    return label(level) or ("(missing)" if level is None else "(empty)")
