"""The parts of a page: text, order, drill-downs, views of wide data."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payloads import STORABLE
from report_runs import FrameCounts

from infolake.reports import charts, drilldowns, meanings, ordering, questions, text
from infolake.reports.drilldowns import Drilldowns, embedded
from infolake.reports.saved import Question
from infolake.tables import ContingencyTable


@given(st.text())
def test_visible_text_has_nothing_invisible_and_is_short(value: str) -> None:
    shown = text.visible(value)
    assert shown.isprintable()
    assert "\u202e" not in shown
    assert len(shown) <= 1000


def test_hostile_words_stay_apart() -> None:
    distinct = set(STORABLE)
    assert len({text.visible(w) for w in distinct}) == len(distinct)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (0.000123456, "0.000123"),
        (-0.5, "−0.5000"),
        (12345.678, "12,346"),
        (1e-9, "1.000×10⁻⁹"),
        (math.inf, "∞"),
        (3.0, "3"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    assert text.number(value) == shown


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_exact_gives_the_number_back(value: float) -> None:
    assert float(text.exact(value)) == value


def test_related_columns_stand_together() -> None:
    blocks = np.array([0, 1, 0, 1, 0, 1])
    order = ordering.related((blocks[:, None] == blocks).astype(float))
    assert np.count_nonzero(np.diff(blocks[order])) == 1


@pytest.mark.parametrize("k", [0, 1, 2, 5])
def test_order_of_unknown_scores_is_still_an_order(k: int) -> None:
    assert sorted(ordering.related(np.full((k, k), np.nan))) == list(range(k))


def test_a_big_table_is_cut_to_its_largest_levels_and_the_rest() -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 9, (50, 40))
    table = embedded(ContingencyTable(counts, levels=(range(50), range(40))), limit=30)
    cells = np.array(table["cells"])
    assert cells.shape == (31, 31)
    assert table["others"] == [20, 10]
    assert cells.sum(axis=1).tolist() == table["margins"][0]
    assert cells.sum(axis=0).tolist() == table["margins"][1]
    assert cells.sum() == table["total"] == counts.sum()
    kept = [int(r) for r in table["rows"]]
    assert kept == sorted(kept)
    assert min(counts.sum(axis=1)[kept]) >= max(np.delete(counts.sum(axis=1), kept))
    assert np.array_equal(cells[:30, :30], counts[np.ix_(kept, [int(c) for c in table["columns"]])])


def test_missing_and_empty_levels_keep_their_own_marks() -> None:
    table = embedded(ContingencyTable([[1, 2], [3, 4]], levels=(["", None], [True, 0.1])))
    assert table["rows"] == ["", None]
    assert table["columns"] == ["true", "0.1"]


def test_tables_are_embedded_once_and_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"c{k}" for k in range(20)]
    frame = pd.DataFrame(np.random.default_rng(0).integers(0, 5, (100, 20)), columns=names).astype(object)
    found = Drilldowns(FrameCounts(frame))
    pairs = [("c0", n) for n in names[1:]]
    assert found.add_all(pairs, "pairwise") == found.add_all(pairs, "listwise")[:0] + list(range(19))
    monkeypatch.setattr(drilldowns, "MAX_BYTES", found.spent + 10)
    assert "MB kept for tables" in found.add("c1", "c2", "pairwise")
    assert "no table for this pair: no column" in found.add("c1", "absent", "pairwise")
    assert found.add("c0", "c1", "pairwise") == 0
    monkeypatch.setattr(drilldowns, "MAX_TABLES", 2)
    assert isinstance(found.add_all(pairs, "pairwise")[2], str)
    assert len(json.dumps(found.tables)) >= found.spent


def wide(columns: int) -> Question:
    rng = np.random.default_rng(1)
    x, y = np.triu_indices(columns, 1)
    names = np.array([f"column {k:03d}" for k in range(columns)], dtype=object)
    mi = np.sort(rng.random(len(x)))[::-1]
    facts = {"x": names[x], "y": names[y], "n": np.full(len(x), 10.0), "n_missing": np.zeros(len(x))}
    facts |= {"mutual_information": mi, "bias": np.full(len(x), 0.1), "thin": np.zeros(len(x), dtype=bool)}
    return Question("wide", facts, ("mutual_information",), {"mutual_information": "bits", "bias": "bits"})


def test_wide_data_shows_the_strongest_columns_and_says_so() -> None:
    question = wide(200)
    view = questions.view(question, Drilldowns(None, "none"), "q0")
    assert (view["heat"]["columns"], view["heat"]["left_out"]) == ("80", "120")
    assert view["table"]["total"] == 19900
    assert view["table"]["shown"] <= questions.MAX_ROWS + 80 * 79 // 2
    assert len(json.dumps(view)) < 6_000_000


def test_every_drawn_cell_points_at_its_row() -> None:
    question = wide(100)
    heat = questions._heat(question)
    kept = questions._kept(question, heat)
    rows = np.searchsorted(kept, heat.pairs)
    assert np.array_equal(kept[rows], heat.pairs)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_question_of_no_or_one_pair(rows: int) -> None:
    question = wide(2)
    question = Question(
        "q", {k: v[:rows] for k, v in question.columns.items()}, question.measures, question.units
    )
    assert questions.view(question, Drilldowns(None, "none"), "q0")["table"]["total"] == rows


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -0.2])
def test_a_question_without_an_ordinary_number(value: float) -> None:
    question = wide(4)
    columns = {**question.columns, "mutual_information": np.full(6, value)}
    view = questions.view(
        Question("q", columns, question.measures, question.units), Drilldowns(None, "none"), "q0"
    )
    json.dumps(view, allow_nan=False)


def test_p_values_and_intervals_stand_beside_the_scores() -> None:
    plain = wide(4)
    ends = {f"mutual_information_{end}": np.full(6, v) for end, v in (("low", 0.25), ("high", 0.75))}
    ends["mutual_information_low"][2] = np.nan
    p = {"p_value": np.array([0.0, 0.01, 0.04, 0.2, 0.5, 1.0]), "p_corrected": np.linspace(0.04, 1, 6)}
    asked = {"p_values": "g_williams", "correction": "holm", "intervals": "delta", "level": 0.9}
    for target in (None, "column 003"):
        options = {**asked, "target": target}
        question = Question("q", {**plain.columns, **ends, **p}, plain.measures, plain.units, **options)
        view = questions.view(question, Drilldowns(None, "none"), "q0")
        json.dumps(view, allow_nan=False)
        shown = {column["title"]: column for column in view["table"]["columns"]}
        assert list(shown)[-8:-3] == ["Mutual information", "90 % interval", "p-value", "p corrected", "Bias"]
        assert shown["90 % interval"]["unit"] == "bits"
        assert shown["90 % interval"]["t"][1:3] == ["0.2500 to 0.7500", "n/a (not defined)"]
        assert shown["p-value"]["t"][0].strip() == "0"
        test, interval = view["chance"]
        assert test.endswith(
            "correction, corrected for the number of pairs (Holm); at most 0.05 for 1 of 6 pairs"
        )
        assert interval == "90 % intervals: delta method"
    assert '"l0"' in json.dumps(view["rank"])
    without = questions.view(plain, Drilldowns(None, "none"), "q0")
    assert (without["chance"], without["interval"]) == ([], None)
    assert len(without["table"]["columns"]) == len(shown) - 3 + 1


def test_axis_names_are_distinct() -> None:
    names = ["a" * 50 + str(k) for k in range(30)] + ["", ""]
    assert len(set(charts.axis_names(names))) == 32


def test_a_measure_without_words_is_described_by_its_docstring() -> None:
    assert "no description" in meanings.meaning("not_a_measure")
    assert meanings.meaning("cramers_v")
    assert not meanings.best_is_low("not_a_measure")
    assert meanings.best_is_low("variation_of_information")
