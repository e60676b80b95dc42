"""Options of estimators, and those that see the joint table."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import infolake.measures as il
from infolake.errors import UsageError
from infolake.measures import estimators
from infolake.tables import ContingencyTable, Strata, TableBatch

SAMPLE = [4, 2, 3, 2, 4, 2, 1, 1]
small = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=2, max_size=4).map(np.array)


def test_options_are_spelled_or_given():
    table = ContingencyTable([[4, 2, 0], [1, 0, 0]])
    assert il.entropy(table, of="y", entropy="dirichlet:0.5") == il.entropy(table, of="y", entropy="jeffreys")
    assert il.entropy(table, entropy="dirichlet:perks") == il.entropy(table, entropy="perks")
    assert il.entropy(table, entropy="dirichlet:prior=1") == il.entropy(table, entropy="laplace")
    spelled = il.mutual_information(table, entropy="nsb:support=20")
    assert spelled == il.mutual_information(table, entropy="nsb", support=20)
    assert spelled == il.mutual_information(table, entropy=estimators.get("nsb", support=20))
    assert spelled != il.mutual_information(table, entropy="nsb")
    assert estimators.get("dirichlet_posterior_mean:laplace,support=3x4").key == (
        "dirichlet_posterior_mean:support=3x4,prior=laplace"
    )
    for e in estimators.every():
        assert estimators.get(e.key) == e


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("zhang", {"support": "table"}),
        ("nsb", {"support": "all"}),
        ("nsb", {"support": 0}),
        ("nsb", {"support": (2, 3, 4)}),
        ("nsb", {"prior": 0.5}),
        ("dirichlet", {"prior": "flat"}),
        ("dirichlet", {"prior": -1}),
        ("quadratic_extrapolation", {"seed": -1}),
        ("nsb:deepness=3", {}),
    ],
)
def test_options_that_cannot_be(name, options):
    with pytest.raises(UsageError):
        estimators.get(name, **options)


def test_the_support_counts_empty_levels_or_not():
    table = ContingencyTable([[4, 2, 0], [1, 0, 0], [0, 0, 0]])
    full = ContingencyTable([[4, 2], [1, 0]])
    for name in ("bonachela", "laplace", "james_stein", "nsb"):
        padded, bare = il.mutual_information(table, entropy=name), il.mutual_information(full, entropy=name)
        assert padded != bare
        assert il.mutual_information(full, entropy=name, support=3) == pytest.approx(padded, rel=1e-12)
    padded = il.mutual_information(table, entropy="james_stein", support="observed")
    assert padded == il.mutual_information(full, entropy="james_stein")
    plain = il.entropy(table, entropy="mm")
    assert il.entropy(table, entropy="mm", support="table") == pytest.approx(plain + 1 / 14 / math.log(2))
    with pytest.raises(UsageError, match="less than the levels observed"):
        il.entropy(table, entropy="nsb", support=1)


def test_a_posterior_mean_by_its_definition():
    """Wolpert and Wolf: the mean of -sum p ln p under the Dirichlet of n + alpha, here by sampling."""
    counts = np.array(SAMPLE)
    draws = np.random.default_rng(0).dirichlet(counts + 0.3, 200_000)
    truth = -(draws * np.log(draws)).sum(axis=1).mean()
    value = il.entropy(ContingencyTable(counts), base="e", entropy="dirichlet_posterior_mean:0.3")
    assert value == pytest.approx(truth, abs=2e-3)


def relevant(counts, support):
    """Return the Bayesian count as its description says, in plain Python."""
    seen = [n for n in counts if n]
    N, R = sum(seen), len(seen)

    def shown(unseen):
        if not unseen:
            return sum(1 - (1 - n / N) ** N for n in seen)
        gamma = unseen * (1 - (N / (N + R)) ** (1 / N))
        old = sum(1 - (1 - (1 - gamma) * (n + 1) / (N + R)) ** N for n in seen)
        return old + unseen * (1 - (1 - gamma / unseen) ** N)

    unseen = 0
    while R + unseen < support and abs(R - shown(unseen + 1)) < abs(R - shown(unseen)):
        unseen += 1
    return R + unseen


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(0, 20))
@settings(deadline=None)
def test_the_bayesian_count_of_relevant_levels(counts, empty):
    n, m = (v.astype(float) for v in np.unique(counts, return_counts=True))
    K = len(counts) + empty
    assert estimators.relevant_levels(n, m, K) == relevant(counts, K)


@given(small)
@settings(deadline=None)
def test_panzeri_treves_with_naive_counts_is_miller_madow(array):
    """Where every level occurs in every row, no more can be relevant."""
    table = ContingencyTable(array + 1)
    pt, mm = (il.mutual_information(table, entropy=e) for e in ("panzeri_treves", "miller_madow"))
    assert pt == pytest.approx(mm, abs=1e-13)


def test_panzeri_treves_by_hand():
    array = np.array([[5, 3, 0, 0], [0, 1, 4, 1], [2, 2, 0, 0]])
    rows = sum(relevant(row, 4) - 1 for row in array.tolist())
    bias = (rows - (relevant(array.sum(axis=0).tolist(), 4) - 1)) / (2 * array.sum())
    table = ContingencyTable(array)
    plug_in = il.mutual_information(table, base="e")
    assert bias > 0
    assert il.mutual_information(table, base="e", entropy="pt") == pytest.approx(plug_in - bias, rel=1e-13)


def test_quadratic_extrapolation_is_that_of_its_parts():
    array = np.random.default_rng(2).integers(0, 9, (4, 5))
    table = ContingencyTable(array)
    whole, *parts = (
        ContingencyTable.from_cells(table.cells[0], part, levels=table.levels, columns=("x", "y"))
        for part in estimators.splits(table.cells[1], 3)
    )
    assert sum(p.total for p in parts[:2]) == sum(p.total for p in parts[2:]) == table.total
    halves, quarters = (
        np.average([il.mutual_information(p) for p in some], weights=[p.total for p in some])
        for some in (parts[:2], parts[2:])
    )
    truth = (8 * il.mutual_information(whole) - 6 * halves + quarters) / 3
    options = {"entropy": "quadratic_extrapolation"}
    assert il.mutual_information(table, seed=3, **options) == pytest.approx(truth, rel=1e-13)
    assert il.mutual_information(table, seed=3, **options) == il.mutual_information(table, seed=3, **options)
    assert il.mutual_information(table, seed=3, **options) != il.mutual_information(table, **options)
    with pytest.raises(UsageError, match="fewer than 1e9"):
        il.mutual_information(ContingencyTable([[10**9, 1]]), **options)


def test_corrections_help_an_undersampled_table():
    """40 rows of 4 x 4 independent levels: the plug-in says 0.17 nats and more, the truth is 0."""
    rng = np.random.default_rng(1)
    tables = [ContingencyTable(rng.multinomial(40, [1 / 16] * 16).reshape(4, 4)) for _ in range(200)]
    bias = {
        name: abs(np.mean([il.mutual_information(t, base="e", entropy=name) for t in tables]))
        for name in ("plug_in", "panzeri_treves", "quadratic_extrapolation", "james_stein", "nsb")
    }
    assert bias.pop("plug_in") > 0.1
    assert max(bias.values()) < 0.06


@pytest.mark.parametrize("name", [e.name for e in estimators.every()])
@given(several=st.lists(small, min_size=1, max_size=4))
@settings(max_examples=8, deadline=None)
def test_alone_and_in_a_batch_are_the_same_to_the_bit(name, several):
    tables = [ContingencyTable(a) for a in several]
    batches = [t.batch() for t in tables]
    together = TableBatch.from_cells(
        np.concatenate([b.cells for b in batches]),
        np.concatenate([b.rows for b in batches]),
        np.concatenate([b.cols for b in batches]),
        np.cumsum([0, *(len(b.cells) for b in batches)]),
        np.array([t.shape[0] for t in tables]),
        np.array([t.shape[1] for t in tables]),
    )
    values = il.mutual_information(together, entropy=name)
    assert np.array_equal(values, [il.mutual_information(t, entropy=name) for t in tables], equal_nan=True)


@pytest.mark.parametrize("name", [e.name for e in estimators.every() if e.name != "plug_in"])
def test_estimators_refuse_weights_and_take_strata_and_no_rows(name):
    with pytest.raises(UsageError, match="weights"):
        il.mutual_information(ContingencyTable([[1.5, 2.0], [1.0, 1.0]]), entropy=name)
    assert math.isnan(il.mutual_information(ContingencyTable([[0, 0], [0, 0]]), entropy=name))
    cube = ContingencyTable(np.arange(1, 13).reshape(2, 3, 2))
    one = il.mutual_information(cube.strata(), entropy=name)
    pooled = il.mutual_information(Strata(cube.strata(), np.zeros(2, dtype=np.int64), 1), entropy=name)
    assert pooled[0] == pytest.approx(np.average(one, weights=cube.strata().totals))


def test_infomeasure():
    """infomeasure is AGPL: installed by hand, used here only, and not right about NSB."""
    reason = "NO INFOMEASURE: pip install infomeasure to run the tests against it"
    infomeasure = pytest.importorskip("infomeasure", reason=reason)
    data = np.repeat(np.arange(len(SAMPLE)), SAMPLE)
    names = {
        "discrete": "plug_in",
        "miller_madow": "miller_madow",
        "chao_shen": "chao_shen",
        "chao_wang_jost": "chao_wang_jost",
        "zhang": "zhang",
        "grassberger": "grassberger_1988",
        "bonachela": "bonachela:support=observed",
        "shrink": "james_stein_marginal:support=observed",
        "ansb": "ansb",
    }
    for theirs, ours in names.items():
        truth = infomeasure.entropy(data, approach=theirs, base="e")
        value = il.entropy(ContingencyTable(SAMPLE), base="e", entropy=ours)
        assert value == pytest.approx(truth, rel=1e-10), theirs
    for prior, alpha in (("jeffreys", "jeffrey"), ("laplace", "laplace"), ("minimax", "min-max")):
        truth = infomeasure.entropy(data, approach="bayes", alpha=alpha, base="e")
        value = il.entropy(ContingencyTable(SAMPLE), base="e", entropy=f"dirichlet:{prior},support=observed")
        assert value == pytest.approx(truth, rel=1e-10), prior
