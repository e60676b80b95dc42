"""Questions as the page shows them: a heat map or a ranking, a table, and one sentence.

Everything here is plain values: texts that went through :func:`~infolake.reports.text.visible`, numbers, and
what Bokeh draws. Nothing is markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from infolake.reports import charts, columns, meanings
from infolake.reports.drilldowns import Drilldowns
from infolake.reports.ordering import related, strongest
from infolake.reports.saved import Question
from infolake.reports.text import number, visible, with_unit

MAX_COLUMNS = 80
MAX_ROWS = 2000
MAX_BARS = 30
COUNTS = ("n", "n_missing", "n_effective")
SMALL = 0.05
TESTS = {
    "g": "G test",
    "g_williams": "G test with Williams' correction",
    "chi_squared": "chi-squared test",
    "permutation": "permutations",
}
CORRECTED = {
    "bh": "Benjamini–Hochberg",
    "by": "Benjamini–Yekutieli",
    "bonferroni": "Bonferroni",
    "holm": "Holm",
}
INTERVALS = {"delta": "delta method", "bootstrap": "bootstrap"}
NORMALIZED = ("adjusted_mutual_information", "normalized_mutual_information")


@dataclass(frozen=True)
class Heat:
    """The columns of a heat map, in order, and the pairs among them (positions in the question)."""

    names: tuple[str, ...]
    pairs: np.ndarray
    left_out: int


def view(question: Question, drilldowns: Drilldowns, key: str) -> dict[str, Any]:
    """Return the page's view of one question.

    Parameters
    ----------
    question : Question
    drilldowns : Drilldowns
        Where the tables of the strongest pairs are collected.
    key : str
        An identifier safe in HTML, such as ``q0``.
    """
    heat = None if question.target is not None or not len(question) else _heat(question)
    kept = _kept(question, heat)
    drills = _drills(question, kept, drilldowns)
    shown = {
        "key": key,
        "name": visible(question.name),
        "target": None if question.target is None else visible(question.target),
        "given": [visible(g) for g in question.given],
        "missing": visible(question.missing),
        "entropy": visible(question.entropy.replace("_", "-")),
        "pairs": number(len(question)),
        "measures": [meanings.heading(m, question.units) for m in question.measures],
        "finding": finding(question),
        "thin": number(int(np.sum(_thin(question)))),
        "chance": _chance(question),
        "interval": None if question.intervals is None else _level(question),
        "table": {"columns": _columns(question, kept), **drills, "total": len(question), "shown": len(kept)},
    }
    if heat is not None and question.measures:
        shown["heat"] = _heat_view(question, heat, kept, key)
    if question.target is not None and len(question) and question.measures:
        shown["rank"] = _rank_view(question, kept, key)
    return shown


def _chance(question: Question) -> list[str]:
    """Return how p-values and intervals were made, and how many pairs chance does not explain."""
    said = []
    if question.p_values is not None and "p_value" in question.columns:
        made = TESTS.get(question.p_values, question.p_values)
        if question.correction is not None:
            correction = CORRECTED.get(question.correction, question.correction)
            made += f", corrected for the number of pairs ({correction})"
        column = "p_corrected" if "p_corrected" in question.columns else "p_value"
        small = int(np.sum(question.columns[column] <= SMALL))
        said.append(f"p-values: {made}; at most {SMALL} for {number(small)} of {number(len(question))} pairs")
    if question.intervals is not None:
        said.append(f"{_level(question)}s: {INTERVALS.get(question.intervals, question.intervals)}")
    return [visible(words, 400) for words in said]


def _thin(question: Question) -> np.ndarray:
    thin = question.columns.get("thin")
    return np.zeros(len(question), dtype=bool) if thin is None else thin


def _column(question: Question, name: str) -> np.ndarray:
    values = question.columns.get(name)
    return np.full(len(question), np.nan) if values is None else values


# ---- which pairs ----------------------------------------------------------------------------------------


def shade_measure(question: Question) -> int:
    """Return the position of the measure that compares pairs of unlike size best, or of the first."""
    return next((question.measures.index(m) for m in NORMALIZED if m in question.measures), 0)


def _strength(question: Question, measure: str) -> np.ndarray:
    """Return a measure turned so that high is strong and 0 the least, NaN kept."""
    values = columns.finite(_column(question, measure))
    if not meanings.best_is_low(measure) or np.isnan(values).all():
        return values
    turned: np.ndarray = np.nanmax(values) - values
    return turned


def _heat(question: Question) -> Heat:
    names = question.variables
    place = {name: i for i, name in enumerate(names)}
    i, j = (np.array([place[v] for v in question.columns[axis]]) for axis in "xy")
    similarity = np.full((len(names), len(names)), np.nan)
    if question.measures:
        similarity[i, j] = _strength(question, question.measures[shade_measure(question)])
    similarity = np.fmax(similarity, similarity.T)
    kept = strongest(similarity, MAX_COLUMNS)
    order = kept[related(similarity[np.ix_(kept, kept)])]
    among = np.isin(i, kept) & np.isin(j, kept) & (i != j)
    return Heat(tuple(names[k] for k in order), np.flatnonzero(among), len(names) - len(kept))


def _kept(question: Question, heat: Heat | None) -> np.ndarray:
    """Return the positions of the pairs the page lists: the best ones, and all that a chart draws."""
    first = np.arange(min(len(question), MAX_ROWS))
    drawn = [_best(question, m) for m in question.measures] if heat is None else [heat.pairs]
    return np.unique(np.concatenate([first, *drawn]))


def _drills(question: Question, kept: np.ndarray, drilldowns: Drilldowns) -> dict[str, Any]:
    pairs = [(question.columns["x"][k], question.columns["y"][k]) for k in kept]
    found = drilldowns.add_all(pairs, question.missing)
    reasons = sorted({r for r in found if isinstance(r, str)})
    return {
        "drill": [r if isinstance(r, int) else -1 for r in found],
        "why": [reasons.index(r) if isinstance(r, str) else -1 for r in found],
        "reasons": reasons,
    }


# ---- tables ---------------------------------------------------------------------------------------------


def _columns(question: Question, kept: np.ndarray) -> list[dict[str, Any]]:
    axes = ["x"] if question.target is not None else ["x", "y"]
    titles = {"x": "Column"} if question.target is not None else {"x": "Column x", "y": "Column y"}
    names = [columns.names(titles[a], list(question.columns[a][kept])) for a in axes]
    scores = [column for m in question.measures for column in _scores(question, m, kept)]
    facts = [_numbers(question, name, kept) for name in _facts(question)]
    return [*names, *scores, *facts, columns.flags("Thin", _thin(question)[kept])]


def _scores(question: Question, measure: str, kept: np.ndarray) -> list[dict[str, Any]]:
    """Return the column of a measure, and those of its intervals and certified ends if it has any."""
    scores = [_numbers(question, name, kept) for name in _certified(question, measure)]
    ends = question.interval(measure)
    if ends is not None:
        low, high = ends
        scores.append(columns.intervals(_level(question), _unit(question, measure), (low[kept], high[kept])))
    return scores


def _level(question: Question) -> str:
    return f"{100 * question.level:g} % interval"


def _certified(question: Question, measure: str) -> list[str]:
    """Return a measure, followed by its certified ends where the scores have them."""
    ends = (f"{measure}_certified_low", f"{measure}_certified_high")
    return [measure, *(name for name in ends if name in question.columns)]


def _facts(question: Question) -> list[str]:
    wanted = ("p_value", "p_corrected", "bias", "n", "n_missing", "n_effective")
    return [name for name in wanted if name in question.columns]


def _numbers(question: Question, name: str, kept: np.ndarray) -> dict[str, Any]:
    n = _column(question, "n")[kept]
    undefined = "no certificate" if "_certified_" in name else "not defined"
    return columns.numbers(
        meanings.title(name),
        _unit(question, name),
        _column(question, name)[kept],
        meter=name in question.measures,
        reason=lambda i: "no rows" if n[i] == 0 else undefined,
    )


# ---- heat map and ranking -------------------------------------------------------------------------------


def _tooltip(question: Question, rows: np.ndarray) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Return the lines of a tooltip (label, field) and the texts of the fields."""
    shown = [column for m in question.measures for column in _scores(question, m, rows)]
    shown += [_numbers(question, name, rows) for name in _facts(question)]
    texts = {f"t{k}": [t.strip() for t in column["t"]] for k, column in enumerate(shown)}
    texts["pair"] = [
        f"{visible(question.columns['x'][r])} × {visible(question.columns['y'][r])}" for r in rows
    ]
    texts["thin"] = [
        "thin: fewer than 5 rows per cell" if t else "enough rows per cell" for t in _thin(question)[rows]
    ]
    labels = [with_unit(column["title"], column["unit"]) for column in shown]
    fields = [("pair", "pair"), *((text, f"t{k}") for k, text in enumerate(labels)), ("counts", "thin")]
    return fields, texts


def _unit(question: Question, name: str) -> str:
    return question.units.get(name) or ("rows" if name in COUNTS and name not in question.measures else "")


def _heat_view(question: Question, heat: Heat, kept: np.ndarray, key: str) -> dict[str, Any]:
    place = {name: k for k, name in enumerate(heat.names)}
    i, j = ([place[question.columns[a][p]] for p in heat.pairs] for a in "xy")
    fields, texts = _tooltip(question, heat.pairs)
    scales = [_scale(question, m, heat.pairs) for m in question.measures]
    cells: dict[str, Any] = {name: values + values for name, values in texts.items()}
    cells |= {"i": i + j, "j": j + i, "row": np.tile(np.searchsorted(kept, heat.pairs), 2)}
    for k, (measure, (shade, _)) in enumerate(zip(question.measures, scales, strict=True)):
        mirrored = shade if meanings.symmetric(measure) else np.full_like(shade, np.nan)
        cells[f"s{k}"] = np.concatenate([shade, mirrored])
    chosen = shade_measure(question)
    plot = charts.heat_map([visible(n) for n in heat.names], {**cells, "shade": cells[f"s{chosen}"]}, fields)
    return {
        "item": charts.item(plot, f"{key}-heat"),
        "ticks": [ticks for _, ticks in scales],
        "chosen": chosen,
        "columns": number(len(heat.names)),
        "left_out": number(heat.left_out) if heat.left_out else "",
        "directed": [not meanings.symmetric(m) for m in question.measures],
    }


def _scale(question: Question, measure: str, pairs: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return shades in [0, 1] and the values at five of them; the shade grows as the square root."""
    strength = _strength(question, measure)[pairs]
    top = float(np.nanmax(strength, initial=0.0))
    shades = np.sqrt(np.clip(strength / top, 0, 1)) if top > 0 else np.clip(strength, 0, 0)
    at = [top * q * q for q in (0, 0.25, 0.5, 0.75, 1)]
    worst = float(np.nanmax(columns.finite(_column(question, measure)), initial=0.0))
    return shades, [number(worst - v if meanings.best_is_low(measure) else v, 3) for v in at]


def _rank_view(question: Question, kept: np.ndarray, key: str) -> dict[str, Any]:
    orders = [_best(question, m) for m in question.measures]
    rows = np.array(list(dict.fromkeys(int(r) for order in orders for r in order)))
    fields, texts = _tooltip(question, rows)
    factors = charts.axis_names([visible(question.columns["x"][r]) for r in rows], 28)
    bars = {**texts, "row": np.searchsorted(kept, rows), "alpha": np.where(_thin(question)[rows], 0.45, 1.0)}
    bars |= _lengths(question, rows)
    first = {name: bars[f"{name[0]}0"] for name in ("value", "bias", "low", "high")}
    plot = charts.ranking(factors, bars | first, fields, len(orders[0]))
    names = dict(zip(rows.tolist(), factors, strict=True))
    return {
        "item": charts.item(plot, f"{key}-rank"),
        "orders": [[names[int(r)] for r in order][::-1] for order in orders],
        "biased": [_biased(question, m) for m in question.measures],
        "shown": number(len(orders[0])),
        "left_out": number(len(question) - len(orders[0])) if len(question) > len(orders[0]) else "",
    }


def _lengths(question: Question, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the bars' lengths, bias marks and intervals for each measure."""
    none, bias = np.full(len(rows), np.nan), _column(question, "bias")[rows]
    out = {}
    for k, measure in enumerate(question.measures):
        out[f"v{k}"] = columns.finite(_column(question, measure)[rows])
        out[f"b{k}"] = bias if _biased(question, measure) else none
        ends = question.interval(measure)
        out[f"l{k}"], out[f"h{k}"] = (none, none) if ends is None else (ends[0][rows], ends[1][rows])
    return out


def _biased(question: Question, measure: str) -> bool:
    return measure == "mutual_information" and "bias" in question.columns


def _best(question: Question, measure: str) -> np.ndarray:
    strength = np.nan_to_num(_strength(question, measure), nan=-np.inf)
    return np.argsort(-strength, kind="stable")[:MAX_BARS]


def finding(question: Question) -> list[tuple[str, str]]:
    """Return one or two sentences on a question's result as parts: ("text" | "value", words)."""
    if not len(question) or not question.measures:
        return [("text", "No pair was scored.")]
    first = question.measures[0]
    parts = _strongest(question, first, "Strongest")
    fair = question.measures[shade_measure(question)]
    if fair != first and _top(question, fair) != _top(question, first):
        parts += [("text", " "), *_strongest(question, fair, "Taking the number of levels into account")]
    return parts


def _top(question: Question, measure: str) -> int | None:
    strength = _strength(question, measure)
    return None if np.isnan(strength).all() else int(np.nanargmax(strength))


def _strongest(question: Question, measure: str, opening: str) -> list[tuple[str, str]]:
    row = _top(question, measure)
    about = meanings.title(measure).lower()
    if row is None:
        return [("text", f"No pair has a value of {visible(about)}.")]
    score = with_unit("", question.units.get(measure)).strip(" []")
    value = f"{number(_column(question, measure)[row])} {score}".strip()
    thin = " — its counts are thin" if _thin(question)[row] else ""
    pair = [("value", visible(question.columns["x"][row]))]
    if question.target is None:
        pair += [("text", " and "), ("value", visible(question.columns["y"][row]))]
    n = number(_column(question, "n")[row])
    return [
        ("text", f"{opening}: "),
        *pair,
        ("text", f", {visible(about)} {visible(value)} (n = {n} rows){thin}."),
    ]
