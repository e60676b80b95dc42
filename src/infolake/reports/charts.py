"""The page's charts, drawn by Bokeh from plain arrays.

Names from the data go only where Bokeh draws text or escapes it (factors, escaped tooltip fields), never
into axis labels, titles or overrides, which it would read as TeX. Colours of text and surfaces are set in
the browser, which knows whether the reader prefers a dark page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from infolake.errors import MissingExtraError

ATTRACTION, REPULSION, BIAS = "#2f74c0", "#d07a1f", "#f0a030"
INTERVAL = "#8d99a8"  # stands out from the bars and from either background
LIGHT = ("#f4f7fb", "#cfe0f1", "#8fbbe0", "#4a90c9", "#1f63a6", "#0a3a72")
DARK = ("#151c27", "#1d3350", "#245a8d", "#3d8ac4", "#86c1e8", "#e3f4ff")
STEPS = 64
LABEL = 20
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


def bokeh_script() -> str:
    """Return the source of BokehJS, core only, as installed.

    Raises
    ------
    MissingExtraError
        When bokeh is not installed.
    """
    try:
        import bokeh
    except ImportError as error:
        raise MissingExtraError(package="bokeh", extra="report") from error
    return (Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js").read_text("utf-8")


def palette(stops: Sequence[str], steps: int = STEPS) -> list[str]:
    """Return ``steps`` colours, linear between the stops.

    Examples
    --------
    >>> palette(["#000000", "#ffffff"], 3)
    ['#000000', '#808080', '#ffffff']
    """
    channels = np.array([[int(s[i : i + 2], 16) for i in (1, 3, 5)] for s in stops], dtype=float)
    at = np.linspace(0, len(stops) - 1, steps)
    mixed = [np.interp(at, np.arange(len(stops)), channels[:, c]) for c in range(3)]
    return [
        f"#{r:02x}{g:02x}{b:02x}"
        for r, g, b in zip(*np.floor(np.array(mixed) + 0.5).astype(int), strict=True)
    ]


def axis_names(names: Sequence[str], limit: int = LABEL) -> list[str]:
    """Return distinct short names for an axis, in the order given.

    Examples
    --------
    >>> axis_names(["abcdef", "abcdeg"], 5)
    ['abcd…', 'abcd… (2)']
    """
    taken: dict[str, None] = {}
    for name in names:
        short = name if len(name) <= limit else name[: limit - 1] + "…"
        again, unique = 1, short
        while unique in taken:
            again += 1
            unique = f"{short} ({again})"
        taken[unique] = None
    return list(taken)


def heat_map(names: Sequence[str], cells: Mapping[str, Any], fields: Sequence[tuple[str, str]]) -> Any:
    """Draw a square matrix of pairs.

    Parameters
    ----------
    names : sequence of str
        Columns in the order they stand, first at the top left.
    cells : mapping
        ``i``, ``j`` (row and column of each cell) and the arrays the colours and tooltips read; ``shade`` in
        [0, 1] is the colour, NaN where there is no number.
    fields : sequence of (label, name of an array)
        The lines of a tooltip.
    """
    factors = axis_names(names)
    size = _cell(len(factors))
    plot = _figure(
        x_range=factors,
        y_range=factors[::-1],
        x_axis_location="above",
        height=150 + size * len(factors),
        min_width=170 + max(size // 2, 12) * len(factors),
        max_width=200 + (size * 3 // 2) * len(factors),
        min_border_right=50,
    )
    data = {key: value for key, value in cells.items() if key not in {"i", "j"}}
    source = _source(data | {"x": [factors[j] for j in cells["j"]], "y": [factors[i] for i in cells["i"]]})
    _diagonal(plot, factors)
    _shaded(plot, source)
    _hover(plot, fields)
    plot.xaxis.major_label_orientation = math.pi / (4 if size > 20 else 2)
    plot.axis.major_label_text_font_size = "12px" if size > 20 else "10px"
    plot.grid.visible = False
    return plot


def _cell(count: int) -> int:
    return next(size for most, size in ((8, 56), (14, 42), (24, 32), (40, 22), (10**9, 15)) if count <= most)


def _shaded(plot: Any, source: Any) -> None:
    from bokeh.models import LinearColorMapper

    mapper = LinearColorMapper(
        palette=palette(LIGHT), low=0, high=1, nan_color="rgba(128,128,128,0.35)", name="shade"
    )
    shade = {"field": "shade", "transform": mapper}
    cells = plot.rect(
        "x", "y", width=0.96, height=0.96, source=source, fill_color=shade, line_color=None, name="cells"
    )
    cells.selection_glyph = cells.nonselection_glyph = None
    cells.hover_glyph = cells.glyph.clone()
    cells.hover_glyph.line_color, cells.hover_glyph.line_width = REPULSION, 2
    plot.hover.renderers = [cells]


def _diagonal(plot: Any, factors: list[str]) -> None:
    source = _source({"x": factors})
    plot.rect(
        "x",
        "x",
        width=0.96,
        height=0.96,
        source=source,
        fill_color="#808080",
        fill_alpha=0.16,
        line_color=None,
    )


def ranking(
    factors: Sequence[str], bars: Mapping[str, Any], fields: Sequence[tuple[str, str]], shown: int
) -> Any:
    """Draw one horizontal bar per column, the first ``shown`` factors from top to bottom.

    Parameters
    ----------
    factors : sequence of str
        Distinct names of the bars, best first.
    bars : mapping
        ``value`` (length of the bar), ``bias`` (drawn as a short mark, NaN for none), ``low`` and
        ``high`` (a line between them, NaN for none), ``alpha`` and the arrays tooltips read.
    fields : sequence of (label, name of an array)
        The lines of a tooltip.
    shown : int
        How many bars at first.
    """
    plot = _bars(factors[:shown])
    source = _source(dict(bars) | {"factor": list(factors)})
    drawn = plot.hbar(
        "factor",
        right="value",
        left=0,
        height=0.68,
        source=source,
        color=ATTRACTION,
        alpha="alpha",
        name="cells",
    )
    marks = {"marker": "dash", "angle": math.pi / 2, "size": 16, "line_width": 3, "line_color": BIAS}
    noise = plot.scatter("bias", "factor", source=source, **marks)
    line = plot.segment("low", "factor", "high", "factor", source=source, line_color=INTERVAL, line_width=3)
    for renderer in (drawn, noise, line):
        renderer.selection_glyph = renderer.nonselection_glyph = None
    plot.hover.renderers = [drawn]
    _hover(plot, fields)
    return plot


def diverging(factors: Sequence[str], bars: Mapping[str, Any], fields: Sequence[tuple[str, str]]) -> Any:
    """Draw bars to the left (repulsion) and right (attraction) of zero, in the order given."""
    plot = _bars(factors)
    color = [ATTRACTION if v > 0 else REPULSION for v in bars["value"]]
    source = _source(dict(bars) | {"factor": list(factors), "color": color})
    drawn = plot.hbar(
        "factor", right="value", left=0, height=0.68, source=source, color="color", name="cells"
    )
    drawn.selection_glyph = drawn.nonselection_glyph = None
    plot.hover.renderers = [drawn]
    _hover(plot, fields)
    return plot


def item(plot: Any, target: str) -> dict[str, Any]:
    """Return what ``Bokeh.embed.embed_item`` draws into the element ``target``.

    Bokeh numbers models by a counter of the process; they are numbered anew here, so that
    equal results give equal bytes.
    """
    from bokeh.core.types import ID
    from bokeh.embed import json_item

    raw: dict[str, Any] = dict(json_item(plot, ID(target)))
    names: dict[str, str] = {}
    _collect(raw, names, target)
    renamed: dict[str, Any] = _renamed(raw, names)
    renamed["root_id"] = names[str(raw["root_id"])]
    return renamed


def _collect(node: Any, names: dict[str, str], prefix: str) -> None:
    if isinstance(node, dict):
        if node.get("type") == "object" and "id" in node:
            names.setdefault(node["id"], f"{prefix}-{len(names)}")
        for value in node.values():
            _collect(value, names, prefix)
    elif isinstance(node, list):
        for value in node:
            _collect(value, names, prefix)


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            k: names.get(v, v) if k == "id" and isinstance(v, str) else _renamed(v, names)
            for k, v in node.items()
        }
    return [_renamed(value, names) for value in node] if isinstance(node, list) else node


def _figure(**options: Any) -> Any:
    try:
        from bokeh.plotting import figure
    except ImportError as error:
        raise MissingExtraError(package="bokeh", extra="report") from error
    plot = figure(tools="hover,tap", toolbar_location=None, sizing_mode="stretch_width", **options)
    plot.background_fill_color = plot.border_fill_color = plot.outline_line_color = None
    plot.axis.axis_line_color = plot.axis.major_tick_line_color = plot.axis.minor_tick_line_color = None
    plot.axis.major_label_text_font = FONT
    plot.axis.major_label_standoff = 6
    return plot


def _bars(factors: Sequence[str]) -> Any:
    plot = _figure(
        y_range=list(factors)[::-1], height=56 + 24 * len(factors), max_width=980, min_border_right=24
    )
    plot.axis.major_label_text_font_size = "12px"
    plot.ygrid.visible = False
    plot.xaxis.ticker.desired_num_ticks = 5
    return plot


def _source(data: Mapping[str, Any]) -> Any:
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(data=dict(data), name="data")


def _hover(plot: Any, fields: Sequence[tuple[str, str]]) -> None:
    plot.hover.tooltips = [(text, f"@{{{name}}}") for text, name in fields]
    plot.hover.attachment = "horizontal"
