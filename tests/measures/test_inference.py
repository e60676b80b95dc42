"""p-values, corrections, standard errors and intervals: oracles, calibration, coverage, limits."""

import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import infolake as il
from infolake.errors import UsageError
from infolake.measures import catalogue, inference, intervals
from infolake.measures.agreement import AVERAGES
from infolake.measures.inference import (
    asymptotic_p_values,
    corrected_p_values,
    exact_p_value,
    permutation_p_value,
    permutation_p_values,
)
from infolake.measures.intervals import (
    bootstrap_intervals,
    confidence_interval,
    delta_interval,
    standard_errors,
)
from infolake.measures.resampling import Resampling
from infolake.tables import ContingencyTable, Strata, TableBatch

MARGINS = np.outer([0.2, 0.3, 0.5], [0.25, 0.25, 0.5])
DEPENDENT = np.array([[0.3, 0.05, 0.05], [0.05, 0.2, 0.05], [0.05, 0.05, 0.2]])
SMALL = st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=2, max_size=4)
FORMS = [catalogue.get(name) for name in intervals.FORMS if name in {m.name for m in catalogue.every()}]


def batch_of(tables):
    n, rows, cols = tables.shape
    return TableBatch.from_cells(
        tables.ravel(),
        np.tile(np.repeat(np.arange(rows), cols), n),
        np.tile(np.arange(cols), rows * n),
        np.arange(n + 1) * rows * cols,
        np.full(n, rows),
        np.full(n, cols),
    )


def simulated(n_tables, n_rows, shares, seed):
    draws = np.random.default_rng(seed).multinomial(n_rows, shares.ravel() / shares.sum(), size=n_tables)
    return draws.reshape(n_tables, *shares.shape)


def pairs(n):
    return [("x", f"y{i}") for i in range(n)]


def uniform(p_values):
    return stats.kstest(p_values, "uniform").pvalue


# -- p-values


@given(SMALL)
@pytest.mark.parametrize(("test", "power"), [("g", "log-likelihood"), ("chi_squared", "pearson")])
def test_p_values_are_those_of_scipy_on_the_non_empty_part(test, power, table):
    array = np.array(table)
    held = array[array.any(axis=1)][:, array.any(axis=0)]
    found = asymptotic_p_values(ContingencyTable(array).batch(), test)[0]
    if not held.size:
        assert math.isnan(found)
    elif min(held.shape) < 2:
        assert found == 1.0
    else:
        oracle = stats.chi2_contingency(held, correction=False, lambda_=power)
        assert found == pytest.approx(oracle.pvalue, rel=1e-9)


@given(SMALL, SMALL)
def test_strata_add_their_statistics_and_their_degrees_of_freedom(first, second):
    tables = [ContingencyTable(first).batch(), ContingencyTable(second).batch()]
    statistics = [float(np.nan_to_num(catalogue.get("g").evaluate(t)[0])) for t in tables]
    freedom = [float(np.nan_to_num(catalogue.get("dof").evaluate(t)[0])) for t in tables]
    rows = max(len(first), len(second))
    padded = [np.pad(np.array(t), ((0, rows - len(t)), (0, 0))) for t in (first, second)]
    joint = ContingencyTable(np.stack(padded, axis=2))
    strata = joint.strata()
    found = asymptotic_p_values(Strata(strata, np.zeros(len(strata), np.int64), 1))[0]
    if not joint.total:
        assert math.isnan(found)
    elif not sum(freedom):
        assert found == 1.0
    else:
        assert found == pytest.approx(stats.chi2.sf(sum(statistics), sum(freedom)), rel=1e-9)


def test_weighted_tables_count_as_their_effective_number_of_rows():
    table = ContingencyTable([[30, 10], [10, 30]])
    heavy = ContingencyTable(np.array([[30.0, 10.0], [10.0, 30.0]]) * 7.5)
    for test in ("g", "chi_squared"):
        found = asymptotic_p_values(heavy.batch(), test, np.array([80.0]))
        assert found == pytest.approx(asymptotic_p_values(table.batch(), test), rel=1e-12)
    one, other = confidence_interval(table, "mi"), confidence_interval(heavy, "mi", n_effective=80)
    assert other == pytest.approx(one, rel=1e-12)
    with pytest.raises(UsageError, match="weighted"):
        permutation_p_value(heavy)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("test", "n_rows"), [("g", 400), ("g_williams", 100), ("g_williams", 200), ("chi_squared", 200)]
)
def test_asymptotic_p_values_are_uniform_under_independence(test, n_rows, seed):
    """The smallest expected cell is a twentieth of the rows: 20 for G, 5 with Williams' correction.

    Of 100 seeds the Kolmogorov-Smirnov p is below 0.01 for 1 (G at 20), 1 (Williams at 5), 2 (Williams
    at 10) and 3 (chi squared at 10); but for 7 (G at 10) and 37 (G at 5), which the next test is about.
    """
    found = asymptotic_p_values(batch_of(simulated(2000, n_rows, MARGINS, seed)), test)
    assert uniform(found) > 0.001


def test_plain_g_is_too_large_where_expected_counts_are_small_and_williams_corrects_it():
    for n_rows, plain, corrected in ((100, 0.0594, 0.0517), (200, 0.0535, 0.0498), (400, 0.0513, 0.0495)):
        batch = batch_of(simulated(100_000, n_rows, MARGINS, seed=7))
        shares = [(asymptotic_p_values(batch, test) <= 0.05).mean() for test in ("g", "g_williams")]
        assert shares == pytest.approx([plain, corrected], abs=0.0001)
        assert abs(shares[1] - 0.05) < abs(shares[0] - 0.05)
        means = [il.g_statistic(batch, williams=w).mean() for w in (False, True)]
        assert abs(means[1] - 4) < 0.02 < abs(means[0] - 4)


def test_williams_correction_by_its_formula():
    """Williams 1976, as printed in Sokal & Rohlf, Biometry, box 17.6; a 2 x 2 table has 1 / 6N in front."""
    array = np.array([[12, 22, 0], [16, 50, 0], [0, 0, 0]])
    table = ContingencyTable(array)
    rows, cols, n = (34, 66), (28, 72), 100
    q = 1 + (n * sum(1 / a for a in rows) - 1) * (n * sum(1 / b for b in cols) - 1) / (6 * n)
    g = il.g_statistic(table)
    assert il.g_statistic(table, williams=True) == pytest.approx(g / q, rel=1e-14)
    assert il.g_p_value(table, williams=True) == pytest.approx(stats.chi2.sf(g / q, 1), rel=1e-12)
    assert asymptotic_p_values(table.batch(), "g_williams")[0] == il.g_p_value(table, williams=True)


def test_williams_correction_is_that_of_each_stratum():
    cube = ContingencyTable(np.random.default_rng(0).integers(1, 9, (2, 3, 4)))
    strata = Strata(cube.strata(), np.zeros(4, np.int64), 1)
    parts = [il.g_statistic(cube.where("z", k).marginal("x", "y"), williams=True) for k in range(4)]
    assert il.g_statistic(strata, williams=True)[0] == pytest.approx(sum(parts), rel=1e-13)
    assert il.g_p_value(strata, williams=True)[0] == pytest.approx(stats.chi2.sf(sum(parts), 8), rel=1e-12)


@pytest.mark.parametrize("array", [[[3, 4]], [[3], [4]], [[5, 0], [0, 0]], [[0, 0], [0, 0]]])
def test_williams_correction_of_a_constant_column(array):
    table = ContingencyTable(array)
    found = il.g_statistic(table, williams=True), il.g_p_value(table, williams=True)
    assert found == ((0.0, 1.0) if table.total else pytest.approx((math.nan, math.nan), nan_ok=True))


@pytest.mark.parametrize("stop", [True, False])
def test_permutation_p_values_are_uniform_under_independence(stop):
    batch = batch_of(simulated(2000, 100, MARGINS, seed=2))  # the smallest expected cell is 5
    found = permutation_p_values(batch, pairs(2000), Resampling(999, seed=2), stop=stop)
    assert uniform(found) > 0.01
    for level in (0.01, 0.05, 0.1):
        assert (found <= level).mean() == pytest.approx(level, abs=3 * math.sqrt(level / 2000))


def test_conditional_permutation_p_values_are_uniform_where_the_strata_differ():
    shares = [np.outer([0.8, 0.2], [0.7, 0.3]), np.outer([0.2, 0.8], [0.3, 0.7])]
    tables = np.stack([simulated(1000, 150, s, seed=k) for k, s in enumerate(shares)], axis=1)
    strata = Strata(batch_of(tables.reshape(2000, 2, 2)), np.repeat(np.arange(1000), 2), 1000)
    assert uniform(permutation_p_values(strata, pairs(1000), Resampling(499, seed=3))) > 0.01
    assert uniform(asymptotic_p_values(strata)) > 0.01
    assert asymptotic_p_values(batch_of(tables.sum(axis=1))).mean() < 0.01  # without the condition


@pytest.mark.slow
def test_permutation_p_values_are_uniform_for_many_seeds():
    found = []
    for seed in range(40):
        batch = batch_of(simulated(2000, 100, MARGINS, seed=100 + seed))
        found.append(uniform(permutation_p_values(batch, pairs(2000), Resampling(999, seed=seed))))
    assert uniform(found) > 0.001


def test_permutation_p_values_agree_with_those_of_shuffled_rows():
    table = np.array([[12, 7, 3], [6, 9, 9]])
    x, y = np.repeat(np.arange(2), table.sum(axis=1)), np.repeat(np.tile(np.arange(3), 2), table.ravel())
    rng = np.random.default_rng(0)
    observed = il.mutual_information(ContingencyTable(table))
    null = [il.mutual_information(ContingencyTable.from_labels(x, rng.permutation(y))) for _ in range(4000)]
    slow = (1 + sum(v >= observed - 1e-12 for v in null)) / 4001
    assert permutation_p_value(ContingencyTable(table), permutations=20000) == pytest.approx(slow, abs=0.02)


def test_early_stopping_changes_no_small_p_value_and_no_verdict():
    batch = batch_of(simulated(300, 120, DEPENDENT + 0.3, seed=5))
    names, resampling = pairs(300), Resampling(999, seed=1)
    full = permutation_p_values(batch, names, resampling, stop=False)
    stopped = permutation_p_values(batch, names, resampling)
    assert np.array_equal(full[full < 0.1], stopped[full < 0.1])
    assert np.abs(full - stopped).max() < 0.15
    assert (stopped[full > 0.1] >= 0.1).all()


def test_p_values_depend_on_the_pair_and_the_seed_and_nothing_else():
    tables = simulated(6, 100, MARGINS, seed=9)
    names = pairs(6)
    first = permutation_p_values(batch_of(tables), names, Resampling(199, seed=4))
    turned = permutation_p_values(batch_of(tables[::-1]), names[::-1], Resampling(199, seed=4))
    alone = permutation_p_values(batch_of(tables[3:4]), names[3:4], Resampling(199, seed=4))
    assert np.array_equal(first, turned[::-1])
    assert alone[0] == first[3]
    assert not np.array_equal(first, permutation_p_values(batch_of(tables), names, Resampling(199, seed=5)))


def test_results_are_the_same_in_another_process():
    code = (
        "import infolake as il; t = il.ContingencyTable([[12, 7, 3], [6, 9, 9]]);"
        "print(il.permutation_p_value(t, seed=3), end=' ');"
        "print(il.confidence_interval(t, 'ami', method='bootstrap', seed=3))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    table = ContingencyTable([[12, 7, 3], [6, 9, 9]])
    here = (permutation_p_value(table, seed=3), confidence_interval(table, "ami", method="bootstrap", seed=3))
    assert done.stdout.split() == f"{here[0]} {here[1]}".split()


def test_limits_of_permutation_p_values():
    assert permutation_p_value(ContingencyTable([[3, 4]])) == 1.0
    assert permutation_p_value(ContingencyTable([[1, 0], [0, 0]])) == 1.0
    assert math.isnan(permutation_p_value(ContingencyTable([[0, 0], [0, 0]])))
    assert permutation_p_value(ContingencyTable([[1, 0], [0, 1]])) == 1.0  # every table is as extreme
    assert permutation_p_value(ContingencyTable([[10**9, 1], [1, 10**9]])) == 0.001
    with pytest.raises(UsageError, match="G test"):
        permutation_p_value(ContingencyTable([[10**10, 1], [1, 1]]))
    with pytest.raises(UsageError, match="permutations"):
        permutation_p_value(ContingencyTable([[1, 2], [2, 1]]), permutations=0)
    with pytest.raises(UsageError, match="seed"):
        permutation_p_value(ContingencyTable([[1, 2], [2, 1]]), seed=-1)


def test_a_thousand_permutations_of_a_billion_rows_are_quick():
    table = ContingencyTable(simulated(1, 10**9, np.full((20, 20), 1 / 400), seed=3)[0])
    permutation_p_value(table, permutations=1)
    start = time.perf_counter()
    permutation_p_value(table, permutations=1000, stop=False)
    assert time.perf_counter() - start < 4  # below 1 s on an idle core


# -- exact p-values


def test_fishers_own_table():
    assert exact_p_value(ContingencyTable([[3, 1], [1, 3]])) == pytest.approx(34 / 70, rel=1e-12)


@given(st.lists(st.integers(0, 12), min_size=4, max_size=4).filter(sum))
def test_two_by_two_is_exact(cells):
    array = np.array(cells).reshape(2, 2)
    found = exact_p_value(ContingencyTable(array))
    oracle = stats.fisher_exact(array).pvalue if array.any(axis=0).all() and array.any(axis=1).all() else 1.0
    assert found == pytest.approx(oracle, rel=1e-9)


def test_larger_tables_are_sampled_by_their_probability():
    # all 3 x 2 tables with margins (2, 2, 2) and (3, 3), by hand: 20 row assignments
    # probabilities 2/5 for (1,1,1 | 1,1,1) and 1/10 for each of the six others
    table = ContingencyTable([[2, 0], [1, 1], [0, 2]])
    assert exact_p_value(table, permutations=20000) == pytest.approx(0.6, abs=0.01)
    assert exact_p_value(ContingencyTable([[1, 1], [1, 1], [1, 1]])) == 1.0


# -- many pairs

BENJAMINI_HOCHBERG_1995 = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459,
    0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


def test_the_published_example_of_benjamini_and_hochberg():
    rejected = {
        m: int((corrected_p_values(BENJAMINI_HOCHBERG_1995, m) <= 0.05).sum()) for m in inference.CORRECTIONS
    }
    assert rejected == {"bh": 4, "by": 3, "bonferroni": 3, "holm": 3}


@given(
    st.lists(st.one_of(st.just(math.nan), st.floats(0, 1)), max_size=20),
    st.sampled_from(inference.CORRECTIONS),
)
def test_corrections_keep_the_order_and_pass_over_nan(p_values, method):
    found = corrected_p_values(p_values, method)
    values = np.array(p_values, dtype=float)
    known = ~np.isnan(values)
    assert np.array_equal(np.isnan(found), ~known)
    assert ((found[known] >= values[known] - 1e-15) & (found[known] <= 1)).all()
    order = np.argsort(values[known], kind="stable")
    assert (np.diff(found[known][order]) >= -1e-15).all()
    assert np.array_equal(found[known], corrected_p_values(values[known], method))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_by_its_definition(p_values):
    ordered, n = sorted(p_values), len(p_values)
    slow = {p: min(1.0, max((n - k) * ordered[k] for k in range(i + 1))) for i, p in enumerate(ordered)}
    found = corrected_p_values(p_values, "holm")
    assert found == pytest.approx([slow[p] for p in p_values])


# -- standard errors and intervals


def test_the_error_of_mi_is_the_textbook_formula():
    counts = np.array([[30, 10, 5], [10, 30, 20]])
    p = counts / counts.sum()
    logs = np.log(p / np.outer(p.sum(axis=1), p.sum(axis=0)))
    slow = math.sqrt(((p * logs**2).sum() - (p * logs).sum() ** 2) / counts.sum())
    assert confidence_interval(ContingencyTable(counts), "mi", base="e").se == pytest.approx(slow, rel=1e-12)


@pytest.mark.parametrize(
    ("measure", "average"),
    [(m, a) for m in FORMS for a in (AVERAGES if "average" in m.options else AVERAGES[:1])],
    ids=lambda value: getattr(value, "name", value),
)
def test_delta_errors_are_the_derivatives_of_the_measure(measure, average):
    """Move each cell a little: the variance of the derivatives is the delta method by its definition."""
    conditional = measure.needs == "strata"
    counts = np.array([[[300.0, 50], [70, 240]], [[90, 160], [210, 40]], [[10, 80], [30, 120]]])
    counts = counts if conditional else counts[:, :, 0]
    options = {"average": average} if "average" in measure.options else {}
    scale = 1e7 if measure.name == "adjusted_mutual_information" else 1.0
    total, step = counts.sum(), 1e-5

    def value(cells):
        if measure.name == "adjusted_mutual_information":  # it is NMI where E[I] is nothing
            return il.normalized_mutual_information(ContingencyTable(cells), **options)
        return measure.function(ContingencyTable(cells), **options)

    slopes = np.empty(counts.shape)
    for cell in np.ndindex(counts.shape):
        moved = np.zeros(counts.shape)
        moved[cell] = step * total
        slopes[cell] = (value(counts + moved) - value(counts - moved)) / (2 * step)
    p = counts / total
    variance = (p * slopes**2).sum() - (p * slopes).sum() ** 2
    table = ContingencyTable((counts * scale).astype(np.int64))
    found = confidence_interval(table, measure.name, **options).se
    assert found * math.sqrt(scale) == pytest.approx(math.sqrt(variance / total), rel=1e-6)


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("name", ["mi", "nmi", "ami", "vi", "theils_u", "equivocation"])
def test_delta_intervals_cover_at_their_level(name, level):
    batch = batch_of(simulated(2000, 2000, DEPENDENT, seed=5))
    truth_table = ContingencyTable(DEPENDENT)
    measure = catalogue.get(name)
    truth = il.normalized_mutual_information(truth_table) if name == "ami" else measure.of(truth_table, {})
    low, high, _ = delta_interval(measure.evaluate(batch), standard_errors(batch, measure, {}), level)
    assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(level, abs=0.02)


def test_conditional_delta_intervals_cover_at_their_level():
    shares = np.stack([DEPENDENT, DEPENDENT[::-1]], axis=2)
    truth = il.conditional_mutual_information(ContingencyTable(shares))
    hits = 0
    for table in simulated(1000, 3000, shares, seed=6):
        low, high, _ = confidence_interval(ContingencyTable(table), "cmi")
        hits += low <= truth <= high
    assert hits / 1000 == pytest.approx(0.95, abs=0.02)


def test_bootstrap_intervals_cover_at_their_level():
    batch = batch_of(simulated(2000, 2000, DEPENDENT, seed=7))
    measures = [catalogue.get(name) for name in ("mi", "nmi", "cramers_v")]
    truths = [m.of(ContingencyTable(DEPENDENT), {}) for m in measures]
    found = bootstrap_intervals(batch, measures, {}, pairs(2000), Resampling(499, seed=1))
    for truth, (low, high, _) in zip(truths, found, strict=True):
        assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
def test_bootstrap_intervals_cover_at_their_level_with_all_resamples():
    batch = batch_of(simulated(2000, 5000, DEPENDENT, seed=8))
    measures = [catalogue.get(name) for name in ("mi", "nmi", "ami", "vi")]
    found = bootstrap_intervals(batch, measures, {}, pairs(2000), Resampling(999, seed=2))
    for measure, (low, high, _) in zip(measures, found, strict=True):
        name = "nmi" if measure.name == "adjusted_mutual_information" else measure.name  # E[I] is 0 there
        truth = catalogue.get(name).of(ContingencyTable(DEPENDENT), {})
        assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(0.95, abs=0.02), measure.name
    se = found[0].se
    assert se.mean() == pytest.approx(standard_errors(batch, measures[0], {}).mean(), rel=0.02)


@pytest.mark.parametrize("method", ["delta", "bootstrap"])
@pytest.mark.parametrize("array", [[[0, 0], [0, 0]], [[1, 0], [0, 0]], [[5, 5]], [[5], [5]]])
def test_intervals_of_next_to_nothing_are_values(method, array):
    low, high, se = confidence_interval(ContingencyTable(array), "mi", method=method)
    expected = math.nan if not np.sum(array) else 0.0
    assert [low, high, se] == pytest.approx([expected] * 3, nan_ok=True)


def test_wrong_questions_are_refused():
    table = ContingencyTable([[3, 1], [1, 3]])
    with pytest.raises(UsageError, match="bootstrap"):
        confidence_interval(table, "cramers_v")
    with pytest.raises(UsageError, match="level"):
        confidence_interval(table, "mi", level=95)
    with pytest.raises(UsageError, match="method"):
        confidence_interval(table, "mi", method="jackknife")
    with pytest.raises(UsageError, match="correction"):
        corrected_p_values([0.1], "bonferoni")
    with pytest.raises(UsageError, match="two columns"):
        exact_p_value(ContingencyTable([[[1]]]))
