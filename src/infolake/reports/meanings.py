"""What each number of the page means, in plain words.

A measure without words here is described by the first line of its own docstring, so a new measure needs
no entry; the catalogue gives the rest (range, direction).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping

from infolake.errors import UnknownMeasureError
from infolake.measures import catalogue
from infolake.reports.text import visible

COLUMNS = {
    "n": "Rows in which neither column is missing: the rows the score is computed from. With weights, the "
    "sum of their weights.",
    "n_missing": "Rows left out of this score because one of the two columns, or both, are missing there.",
    "n_effective": "Kish's effective number of rows: how many unweighted rows would carry the same "
    "information. Bias and tests depend on it.",
    "certified low and high": "Some columns keep only their most frequent levels, as the job asked; all "
    "others are counted as one level. The score that all levels would give lies between these two for "
    "certain. They are equal where every level was kept.",
    "bias": "What mutual information would show between two unrelated columns of this size, on average: "
    "(R − 1)(C − 1) / 2N for R and C levels and N rows. A score near its bias says nothing; a column of "
    "identifiers has a high score and a high bias.",
    "p_value": "How often a table of two unrelated columns with the same totals would show at least as much "
    "dependence. Small means that chance is no likely explanation; it does not say that the dependence is "
    "strong. Of many pairs some have a small value by chance: read the corrected one. 0 stands for less "
    "than the smallest number a computer holds.",
    "p_corrected": "The p-value after correction for the number of pairs. Taking every pair below 0.05 for "
    "related keeps the share of false finds (Benjamini–Hochberg, Benjamini–Yekutieli), or the chance of "
    "even one (Bonferroni, Holm), below 5 %.",
    "interval": "An interval that, for so many of a hundred samples like these rows, holds the score of all "
    "the data they are a sample of. True away from 0, and for many more rows than cells. It is not cut to "
    "the range of the score.",
    "thin": "Set where a table holds fewer than 5 rows per cell on average. Such a score is mostly noise: "
    "read it together with its bias, or use adjusted mutual information.",
}
SHORT = {"p_value": "p-value", "p_corrected": "p corrected"}
MEASURES = {
    "mutual_information": "How much knowing one column tells about the other, in units of information: the "
    "amount by which it shortens the description of the other. 0 means unrelated. It is never more than "
    "what either column holds by itself, so columns with many levels can reach higher values.",
    "normalized_mutual_information": "Mutual information divided by the average information of the two "
    "columns: 0 for unrelated, 1 for columns that determine each other. Pairs of different size become "
    "comparable, but columns with many levels still look better than they are.",
    "adjusted_mutual_information": "Normalized mutual information with the part that chance alone would give "
    "taken out: 0 is what unrelated columns of this shape show on average, 1 is complete agreement. Small "
    "negative values occur and mean unrelated. The fairest score for comparing columns of unlike size.",
    "entropy": "How much information a column holds: the average number of yes/no questions (in bits) needed "
    "to learn its value. 0 for a constant column.",
    "conditional_entropy": "What is still unknown about one column once the other is known.",
    "pointwise_mutual_information": "How much more (above 0) or less (below 0) often two levels meet than "
    "they would if the columns were unrelated. In bits, +1 means twice as often, −1 half as often. Rare "
    "levels reach extreme values easily: look at the count as well.",
    "normalized_pointwise_mutual_information": "Pointwise mutual information on a scale from −1 (the levels "
    "never meet) over 0 (they meet as often as chance says) to 1 (they only ever occur together).",
}


def title(measure: str) -> str:
    """Return a measure's name as a reader would write it.

    Examples
    --------
    >>> title("adjusted_mutual_information"), title("n_missing")
    ('Adjusted mutual information', 'n missing')
    """
    if measure in SHORT:
        return SHORT[measure]
    words = measure.replace("_", " ").strip()
    return words if measure in {"n", "n_missing", "n_effective"} else words[:1].upper() + words[1:]


def meaning(measure: str) -> str:
    """Return the paragraph on a column of the page: plain words, then range and direction."""
    if measure in COLUMNS:
        return COLUMNS[measure]
    return f"{MEASURES.get(measure) or _summary(measure)} {_properties(measure)}".strip()


def paragraphs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return (title, paragraph) for each name, once."""
    return [(title(name), meaning(name)) for name in dict.fromkeys(names)]


def heading(measure: str, units: Mapping[str, str]) -> dict[str, str]:
    """Return a measure's title and unit as visible text."""
    return {"title": visible(title(measure)), "unit": visible(units.get(measure) or "")}


def signed(measure: str) -> bool:
    """Return whether a measure tells attraction (above 0) from repulsion; an unknown one does not.

    Examples
    --------
    >>> signed("pointwise_mutual_information"), signed("not_a_measure")
    (True, False)
    """
    try:
        known = catalogue.get(measure)
    except UnknownMeasureError:
        return False
    low = known.bounds[0]
    return bool(known.per_cell) and (low is None or low < 0)


def symmetric(measure: str) -> bool:
    """Return whether a measure is the same in both directions; an unknown one counts as symmetric."""
    try:
        return bool(catalogue.get(measure).symmetric)
    except UnknownMeasureError:
        return True


def best_is_low(measure: str) -> bool:
    """Return whether a low value of a measure means a strong dependence."""
    try:
        return bool(catalogue.get(measure).best == "low")
    except UnknownMeasureError:
        return False


def _summary(measure: str) -> str:
    try:
        function = catalogue.get(measure).function
    except UnknownMeasureError:
        return "A measure this version of infolake has no description for."
    line = (inspect.getdoc(function) or "No description.").partition("\n\n")[0].replace("\n", " ")
    words = line.removeprefix("Return ").replace("``", "")
    return words[:1].upper() + words[1:]


def _properties(measure: str) -> str:
    try:
        known = catalogue.get(measure)
    except UnknownMeasureError:
        return ""
    low, high = known.bounds
    range_ = f"Range {_bound(low, 'no lower limit')} to {_bound(high, 'no upper limit')}."
    if low is None and high is None:
        range_ = "It has no limits."
    return range_ if known.symmetric else f"{range_} The two columns play different roles."


def _bound(value: float | None, none: str) -> str:
    return none if value is None or math.isinf(value) else f"{value:g}".replace("-", "−")
