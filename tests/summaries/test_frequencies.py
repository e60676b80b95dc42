"""Frequencies of frequencies: the laws of a summary of cells, and the table that stands on them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import infolake as il
from infolake.errors import TooManyCellsError
from infolake.large_tables import FrequencyTable
from infolake.measures import catalogue, plug_in
from infolake.summaries.frequencies import SMALL, Frequencies

MEASURES = ["mi", "nmi", "ami", "vi", "h", "h_xy", "equivocation", "homogeneity", "v_measure", "g", "g_p"]
COUNTS = st.lists(
    st.one_of(st.integers(0, 9), st.integers(SMALL - 2, SMALL + 2), st.integers(2**40, 2**41)), max_size=30
)


def of(values: list[int]) -> Frequencies:
    return Frequencies.of(np.array(values, np.int64))


@given(COUNTS, COUNTS, COUNTS)
def test_laws(a: list[int], b: list[int], c: list[int]) -> None:
    """The frequencies of all cells are the sum of those of any split."""
    assert of(a) + of(b) == of(b) + of(a)
    assert (of(a) + of(b)) + of(c) == of(a) + (of(b) + of(c))
    assert of([]) + of(a) == of(a)
    assert of(a) + of(b) == of(a + b)


@given(COUNTS)
def test_what_is_held(values: list[int]) -> None:
    """Each distinct count above 0, and how often it occurs."""
    found = of(values)
    expected = Counter(v for v in values if v)
    assert dict(zip(found.counts.tolist(), found.multiplicities.tolist(), strict=True)) == expected
    assert found.counts.tolist() == sorted(expected)
    assert (found.cells, found.total) == (expected.total(), sum(values))
    assert found.values().tolist() == sorted(v for v in values if v)


def test_a_table_of_frequencies_scores_as_the_table_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, for every measure that takes it; the others say what they need."""
    monkeypatch.setattr(plug_in, "RESIDUAL_CELLS", 0)
    rng = np.random.default_rng(7)
    table = il.ContingencyTable(rng.poisson(1.0, (30, 40)) + np.eye(30, 40, dtype=int))
    rows, cols = table.margins
    parts = [Frequencies.of(v).pair for v in (table.cells[1], rows, cols)]
    large = FrequencyTable(*parts)
    for name in MEASURES:
        measure = catalogue.get(name)
        assert measure.evaluate(large)[0] == measure.evaluate(table.batch())[0], name
    with pytest.raises(TooManyCellsError, match="every cell"):
        catalogue.get("chi2").evaluate(large)
