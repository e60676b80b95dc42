"""Cell measures against their formulas in Fractions and 50 digits, and their limits."""

import math
from fractions import Fraction

import exact_measures as ref
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import infolake.measures as il
from infolake.tables import ContingencyTable

counts = st.one_of(st.integers(0, 9), st.integers(0, 10**6), st.integers(0, 10**14))
squares = st.lists(st.lists(counts, min_size=3, max_size=3), min_size=2, max_size=4)


def quarters(array, i, j):
    rows, cols = ref.margins(array)
    n, a, b, N = array[i][j], rows[i], cols[j], sum(rows)
    return n, a, b, N


@given(squares)
@settings(max_examples=120, deadline=None)
def test_pmi_family_to_1e_13(array):
    table = ContingencyTable(array)
    if not table.total:
        return
    pmi, npmi = (
        il.pointwise_mutual_information(table, base="e"),
        il.normalized_pointwise_mutual_information(table),
    )
    powered, part = (
        il.powered_pointwise_mutual_information(table, base="e", k=3),
        il.contribution(table, base="e"),
    )
    for (i, j), cell in np.ndenumerate(table.array):
        n, a, b, N = quarters(array, i, j)
        if not cell:
            assert (pmi[i, j], npmi[i, j], part[i, j], powered[i, j]) == (-math.inf, -1, 0, -math.inf)
            continue
        truth, share = ref.log(Fraction(n * N, a * b)), ref.log(Fraction(n, N))
        assert ref.close(pmi[i, j], truth)
        assert ref.close(npmi[i, j], truth / -share if share else ref.exact(1))
        assert ref.close(part[i, j], truth * n / N)
        assert abs(powered[i, j] - float(truth + 2 * share)) <= 1e-13 * float(abs(truth) - 2 * share)


@given(squares)
@settings(max_examples=120, deadline=None)
def test_collapsed_statistics_to_1e_13(array):
    table = ContingencyTable(array)
    if not table.total:
        return
    llr, chi, root = il.g(table), il.collapsed_chi_squared(table), il.root_log_likelihood_ratio(table)
    for i, row in enumerate(array):
        for j, _ in enumerate(row):
            n, a, b, N = quarters(array, i, j)
            collapsed = [[n, a - n], [b - n, N - a - b + n]]
            assert (
                ref.close(llr[i, j], 2 * N * ref.mutual_information(collapsed), 1e-13)
                or abs(llr[i, j]) < 1e-40
            )
            assert ref.close(chi[i, j], ref.exact(ref.chi_squared(collapsed)))
            sign = n * N - a * b
            assert root[i, j] * sign >= 0
            assert root[i, j] ** 2 == pytest.approx(llr[i, j])


def test_the_pmi_of_a_ten_billion_row_cell():
    table = ContingencyTable([[4 * 10**9, 10**9], [10**9, 4 * 10**9]])
    assert il.lift(table).tolist() == [[1.6, 0.4], [0.4, 1.6]]
    assert il.pointwise_mutual_information(table)[0, 0] == math.log2(1.6)


def test_npmi_of_the_only_cell_is_1():
    assert il.normalized_pointwise_mutual_information(ContingencyTable([[5]])).tolist() == [[1.0]]
    padded = il.normalized_pointwise_mutual_information(ContingencyTable([[5, 0], [0, 0]]))
    assert padded.tolist() == [[1.0, -1.0], [-1.0, -1.0]]


def test_positive_and_shifted():
    table = ContingencyTable([[8, 2], [2, 8]])
    pmi = il.pointwise_mutual_information(table)
    assert np.array_equal(il.positive_pointwise_mutual_information(table), np.maximum(pmi, 0))
    shifted = il.shifted_positive_pointwise_mutual_information(table, shift=1.5)
    assert shifted == pytest.approx(np.maximum(pmi - math.log2(1.5), 0))


def test_smoothing_of_contexts():
    array = np.array([[8, 2, 1], [2, 8, 40]])
    table = ContingencyTable(array)
    p = array / array.sum()
    context = array.sum(axis=0) ** 0.75
    truth = np.log2(p / p.sum(axis=1, keepdims=True) / (context / context.sum()))
    assert il.pointwise_mutual_information(table, smoothing=0.75) == pytest.approx(truth, rel=1e-12)
    assert il.pointwise_mutual_information(table, smoothing=1.0) == pytest.approx(
        np.log2(p / np.outer(p.sum(axis=1), p.sum(axis=0))), rel=1e-12
    )


def test_log_dice_and_scores_of_expectation():
    table = ContingencyTable([[8, 2], [2, 8]])
    assert il.log_dice(table)[0, 1] == pytest.approx(14 + math.log2(0.2))
    assert il.expected_count(table).tolist() == [[5, 5], [5, 5]]
    assert il.z_score(table)[0] == pytest.approx([3 / math.sqrt(5), -3 / math.sqrt(5)])
    assert il.t_score(table)[0, 0] == pytest.approx(3 / math.sqrt(8))


def test_absent_cells_have_a_g_of_their_own():
    """A cell without rows where many were expected is strong evidence: its collapsed table is not."""
    table = ContingencyTable([[0, 50], [50, 0]])
    assert il.g(table)[0, 0] == il.g(table)[0, 1] == pytest.approx(200 * math.log(2))
    assert il.chi_squared_contribution(table)[0, 0] == 25
