"""Entropy estimators against R, closed forms, direct integration, and one another."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

import infolake.measures as il
from infolake.errors import UnknownMeasureError, UsageError
from infolake.measures import estimators
from infolake.tables import ContingencyTable, Strata

SAMPLE = [4, 2, 3, 0, 2, 4, 0, 0, 2, 1, 1]
R_CALLS = {
    "entropy.empirical": "plug_in",
    "entropy.MillerMadow": "miller_madow",
    "entropy.ChaoShen": "chao_shen",
    "entropy.Dirichlet a=0.5 (Jeffreys)": "dirichlet_jeffreys",
    "entropy.Dirichlet a=1 (Laplace)": "dirichlet_laplace",
    "entropy.Dirichlet a=1/length(y) (SG)": "dirichlet_schurmann_grassberger",
    "entropy.Dirichlet a=sqrt(sum(y))/length(y) (minimax)": "dirichlet_minimax",
    "entropy.shrink": "james_stein_marginal",
}
samples = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def estimate(name, cells):
    cells = np.array(cells)
    counts, times = np.unique(cells[cells > 0], return_counts=True)
    return estimators.get(name)(counts, times, len(cells))


@pytest.mark.shared
def test_r_package_entropy(shared):
    cases = json.loads((shared / "oracles/r_entropy_pkg.json").read_text())["cases"]
    checked = 0
    for case in cases:
        if case["call"] in R_CALLS:
            assert estimate(R_CALLS[case["call"]], case["input"]) == pytest.approx(case["nats"][0], rel=1e-13)
            checked += 1
    assert checked == 48
    by_call = {case["call"]: case for case in cases}
    for call, options in (("mi.empirical", {}), ("mi.shrink", {"entropy": "james_stein"})):
        table = ContingencyTable(by_call[call]["input"])
        value = il.mutual_information(table, base="e", **options)
        assert value == pytest.approx(by_call[call]["nats"][0], abs=1e-14)


@pytest.mark.shared
def test_r_dirichlet_mutual_information_is_the_plug_in_of_smoothed_cells(shared):
    cases = json.loads((shared / "oracles/r_entropy_pkg.json").read_text())["cases"]
    case = next(c for c in cases if c["call"] == "mi.Dirichlet a=0.5")
    table = ContingencyTable(np.array(case["input"]) + 0.5)
    assert il.mutual_information(table, base="e") == pytest.approx(case["nats"][0], rel=1e-13)


@given(samples)
@settings(max_examples=60, deadline=None)
def test_frequencies_of_frequencies_give_the_same_bits(cells):
    table = ContingencyTable(cells)
    plug_in = estimators.get("plug_in")(*table.frequency_of_frequencies(), len(cells))
    assert plug_in == il.entropy(table, base="e")


def test_nsb_is_that_of_the_r_manual():
    """R entropy manual: entropy.NSB(c(4,2,3,0,2,4,0,0,2,1,1)) = 2.187774."""
    assert estimate("nsb", SAMPLE) == pytest.approx(2.187774, abs=5e-7)


@pytest.mark.parametrize(("cells", "support"), [([2, 2, 1, 1, 1], 5), ([9, 5, 1], 6)])
def test_nsb_equals_direct_integration(cells, support):
    cells = cells + [0] * (support - len(cells))
    N = sum(cells)

    def weight(u):
        b = mp.exp(u)
        log = mp.loggamma(support * b) - mp.loggamma(N + support * b)
        log += sum(mp.loggamma(n + b) - mp.loggamma(b) for n in cells) + N * mp.log(support)
        return mp.exp(log) * (support * mp.psi(1, support * b + 1) - mp.psi(1, b + 1)) * b

    def mean(u):
        b = mp.exp(u)
        total = N + support * b
        return mp.psi(0, total + 1) - sum((n + b) / total * mp.psi(0, n + b + 1) for n in cells)

    with mp.workdps(25):
        edges = [-40, -20, -10, -5, -2, 0, 1, 2, 3, 5, 8, 12, 20, 30, 45]
        truth = mp.quad(lambda u: weight(u) * mean(u), edges) / mp.quad(weight, edges)
    assert estimate("nsb", cells) == pytest.approx(float(truth), rel=1e-10)


@given(samples)
@settings(max_examples=60, deadline=None)
def test_jackknife_is_its_definition(cells):
    def plug_in(counts):
        total = sum(counts)
        return -sum(n / total * math.log(n / total) for n in counts if n)

    N = sum(cells)
    left_out = sum(
        n * plug_in([m - (i == j) for j, m in enumerate(cells)]) for i, n in enumerate(cells) if N > 1
    )
    truth = N * plug_in(cells) - (N - 1) / N * left_out
    assert estimate("jackknife", cells) == pytest.approx(truth, abs=1e-10)


@pytest.mark.parametrize("cells", [[5, 3, 1, 1, 2, 2, 1], [1, 1, 1, 5], [30, 2, 1, 1, 1, 1], [1, 1, 2]])
def test_chao_wang_jost_equals_its_printed_tail(cells):
    N, once, twice = sum(cells), cells.count(1), cells.count(2)
    with mp.workdps(60):
        rest = (mpf(2) * twice) if twice else mpf(2)
        A = rest / ((N - 1) * (once if twice else once - 1) + rest)
        tail = -mp.log(A) - sum((1 - A) ** r / r for r in range(1, N))
        truth = sum(mpf(n) / N * (mp.psi(0, N) - mp.psi(0, n)) for n in cells)
        truth += mpf(once) / N * (1 - A) ** (1 - N) * tail
    assert estimate("chao_wang_jost", cells) == pytest.approx(float(truth), rel=1e-13)


def test_grassberger_1988_and_2003_differ():
    """G(n) of 2003 obeys G(1) = -gamma - ln 2 and G(2) = 2 - gamma - ln 2."""
    once, twice = -np.euler_gamma - math.log(2), 2 - np.euler_gamma - math.log(2)
    assert estimate("grassberger_2003", [1]) == pytest.approx(-once)
    assert estimate("grassberger_2003", [2]) == pytest.approx(math.log(2) - twice)
    assert estimate("grassberger_1988", SAMPLE) != estimate("grassberger_2003", SAMPLE)


def test_ansb_is_undefined_when_every_cell_is_1():
    assert math.isnan(estimate("ansb", [1, 1, 1]))


@given(samples, st.sampled_from([e.name for e in estimators.every() if e.name != "ansb"]))
@settings(max_examples=150, deadline=None)
def test_every_estimator_is_finite_and_needs_only_frequencies(cells, name):
    value = estimate(name, cells)
    assert math.isfinite(value)
    assert value == estimate(name, cells[::-1])


@pytest.mark.parametrize("name", [e.name for e in estimators.every() if e.name != "ansb"])
def test_every_estimator_nears_the_plug_in(name):
    cells = [3_000_000, 5_000_001, 2_000_010]
    assert estimate(name, cells) == pytest.approx(estimate("plug_in", cells), abs=1e-4)


@pytest.mark.parametrize("name", [e.name for e in estimators.every()])
def test_the_mutual_information_of_an_estimator_is_a_sum_of_three_entropies(name):
    table = ContingencyTable([[5, 1, 2], [1, 4, 2]])
    options = {"base": "e", "entropy": name}
    parts = (
        il.entropy(table, **options)
        + il.entropy(table, of="y", **options)
        - il.joint_entropy(table, **options)
    )
    assert il.mutual_information(table, **options) == pytest.approx(parts, abs=1e-13)


def test_miller_madow_mutual_information():
    table = ContingencyTable([[5, 1, 2], [1, 4, 0]])
    plug_in = il.mutual_information(table, base="e")
    assert il.mutual_information(table, base="e", entropy="mm") == pytest.approx(
        plug_in + (2 + 3 - 5 - 1) / 26
    )


def test_james_stein_has_two_forms():
    table = ContingencyTable([[5, 1, 2], [1, 4, 0]])
    joint, marginal = (
        il.mutual_information(table, entropy=e) for e in ("james_stein", "james_stein_marginal")
    )
    assert joint != marginal
    assert joint >= 0


def test_unknown_estimators_name_the_nearest():
    with pytest.raises(UnknownMeasureError, match="miller_madow"):
        il.mutual_information(ContingencyTable([[1]]), entropy="miler_madow")


def test_estimators_refuse_weights():
    with pytest.raises(UsageError, match="weights"):
        il.mutual_information(ContingencyTable([[1.5, 2]]), entropy="chao_shen")


def test_estimators_take_strata():
    table = ContingencyTable(np.arange(1, 13).reshape(2, 3, 2))
    strata = Strata(table.strata(), np.zeros(2, dtype=np.int64), 1)
    values = il.mutual_information(strata.batch, entropy="mm")
    weights = strata.batch.totals
    truth = np.dot(values, weights) / weights.sum()
    assert il.conditional_mutual_information(table, entropy="mm") == pytest.approx(truth)
