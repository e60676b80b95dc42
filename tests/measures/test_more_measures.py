"""Measures of many columns, of pairs of rows, of prediction, and tests of cells."""

import itertools
import math
from fractions import Fraction

import exact_measures as ref
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

import infolake.measures as il
from infolake.errors import UsageError
from infolake.measures import association, catalogue
from infolake.tables import ContingencyTable, Strata

GROWING = ("fisher", "g_p", "chi_squared_p", "z_", "t_", "adjusted_res", "root", "poisson", "expected")
HUGE = ContingencyTable([[4 * 10**18, 3 * 10**17], [2 * 10**17, 4 * 10**18]])
labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)
small = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=2, max_size=4).map(np.array)


def cube(seed=0, shape=(2, 3, 2, 3)):
    return ContingencyTable(np.random.default_rng(seed).integers(0, 6, shape))


def subset_entropies(table):
    names = table.columns
    return {
        s: il.joint_entropy(table.marginal(*s))
        for k in range(1, len(names) + 1)
        for s in itertools.combinations(names, k)
    }


@pytest.mark.parametrize("shape", [(3, 2, 4), (2, 3, 2, 3), (2, 2, 2, 2, 2)])
def test_many_columns_by_their_entropies(shape):
    table = cube(len(shape), shape)
    h = subset_entropies(table)
    names, whole = table.columns, h[table.columns]
    singles = sum(h[n,] for n in names)
    alone = sum(whole - h[tuple(c for c in names if c != n)] for n in names)
    total, dual = singles - whole, whole - alone
    assert il.total_correlation(table) == pytest.approx(total, abs=1e-13)
    assert il.dual_total_correlation(table) == pytest.approx(dual, abs=1e-13)
    assert il.o_information(table) == pytest.approx(total - dual, abs=1e-13)
    shared = -sum((-1) ** len(s) * value for s, value in h.items())
    assert il.co_information(table) == pytest.approx(shared, abs=1e-13)
    if len(names) == 3:
        assert il.o_information(table) == pytest.approx(il.co_information(table), abs=1e-13)


def test_two_columns_share_their_mutual_information():
    table = ContingencyTable([[5, 1, 2], [1, 4, 2]])
    for function in (il.total_correlation, il.dual_total_correlation, il.co_information):
        assert function(table) == il.mutual_information(table)
        assert function(table, entropy="mm") == il.mutual_information(table, entropy="mm")
    assert il.o_information(table) == 0
    given_z = Strata(cube(1, (2, 3, 2)).strata(), np.zeros(2, dtype=np.int64), 1)
    assert il.total_correlation(given_z)[0] == il.conditional_mutual_information(cube(1, (2, 3, 2)))


def test_many_columns_without_rows_or_of_a_huge_total():
    for m in catalogue.every():
        if m.joint_body is not None:
            assert math.isnan(m.function(ContingencyTable(np.zeros((2, 2, 2), dtype=np.int64))))
            assert m.function(ContingencyTable(np.full((2, 2, 2), 2**59))) == 0
            assert m.function(cube(), entropy="mm") == pytest.approx(m.function(cube()), abs=2)
            assert m.needs == "joint"


@given(labels)
@settings(deadline=None)
def test_pairs_of_rows_as_scikit_learn(data):
    x, y = zip(*data, strict=True)
    table = ContingencyTable.from_labels(x, y)
    assert il.rand_index(table) == pytest.approx(sk.rand_score(x, y), rel=1e-13)
    assert il.adjusted_rand_index(table) == pytest.approx(sk.adjusted_rand_score(x, y), rel=1e-13, abs=1e-15)
    assert il.fowlkes_mallows_index(table) == pytest.approx(sk.fowlkes_mallows_score(x, y), rel=1e-13)
    sure = il.homogeneity(table), il.completeness(table), il.v_measure(table, beta=2.0)
    assert sure == pytest.approx(sk.homogeneity_completeness_v_measure(x, y, beta=2.0), rel=1e-11, abs=1e-14)


def test_pairs_of_rows_of_a_huge_table():
    rows, cols = HUGE.margins
    S, A, B = (sum(n * n for n in v.ravel().tolist()) for v in (HUGE.array, rows, cols))
    N = HUGE.total
    assert il.rand_index(HUGE) == float(Fraction(N * (N - 1) + 2 * S - A - B, N * (N - 1)))
    top = (S - N) * N * (N - 1) - (A - N) * (B - N)
    bottom = Fraction((A - N) + (B - N), 2) * N * (N - 1) - (A - N) * (B - N)
    assert il.adjusted_rand_index(HUGE) == pytest.approx(float(Fraction(top) / bottom), rel=1e-15)
    assert math.isnan(il.rand_index(ContingencyTable([[0.5, 1.0]])))


def test_lambda_and_tau_by_hand():
    """Goodman and Kruskal's definitions, in Fractions."""
    array = np.array([[10, 5, 2], [3, 9, 1]])
    table = ContingencyTable(array)
    errors = 30 - array.sum(axis=0).max()
    assert il.goodman_kruskal_lambda(table) == pytest.approx((errors - (30 - 19)) / errors)
    other = 30 - array.sum(axis=1).max()
    known = array.max(axis=0).sum()
    assert il.goodman_kruskal_lambda(table, given="y") == pytest.approx((other - (30 - known)) / other)
    both = (19 + known - 14 - 17) / (60 - 14 - 17)
    assert il.goodman_kruskal_lambda(table, given="symmetric") == pytest.approx(both)
    rows, cols = ref.margins(array.tolist())
    gini = 1 - sum(Fraction(b, 30) ** 2 for b in cols)
    within = sum(Fraction(int(n) ** 2, a * 30) for row, a in zip(array, rows, strict=True) for n in row)
    truth = (within - (1 - gini)) / gini
    assert il.goodman_kruskal_tau(table) == pytest.approx(float(truth), rel=1e-14)
    assert il.goodman_kruskal_tau(table.T, given="y") == il.goodman_kruskal_tau(table)


@given(small)
@settings(deadline=None)
def test_tau_is_chi_squared_for_two_columns(array):
    pair = ContingencyTable(array[:, :2])
    if pair.total and all((m > 0).sum() > 1 for m in pair.margins):
        phi = il.chi_squared(pair) / pair.total
        assert il.goodman_kruskal_tau(pair) == pytest.approx(phi, rel=1e-12, abs=1e-18)
        assert il.phi_coefficient(pair) == pytest.approx(math.sqrt(phi))
    assert math.isnan(il.goodman_kruskal_tau(ContingencyTable([[3], [4]])))
    assert math.isnan(il.goodman_kruskal_lambda(ContingencyTable([[3], [4]])))


def test_tau_of_a_nearly_independent_huge_table():
    n = 10**15 // 4
    d = Fraction(1, 4) / (4 * n + 1)
    value = il.goodman_kruskal_tau(ContingencyTable([[n + 1, n], [n, n]]))
    assert value == pytest.approx(float((4 * d) ** 2), rel=1e-6)


@pytest.mark.parametrize("power", association.POWERS)
def test_power_divergence_as_scipy(power):
    array = np.random.default_rng(4).integers(1, 40, (3, 4))
    truth = scipy.stats.chi2_contingency(array, lambda_=power, correction=False).statistic
    table = ContingencyTable(array)
    assert il.power_divergence(table, lambda_=power) == pytest.approx(truth, rel=1e-12)
    assert il.power_divergence(ContingencyTable(array / 3.0), lambda_=power) == pytest.approx(truth / 3)
    with pytest.raises(UsageError, match="lambda_"):
        il.power_divergence(table, lambda_="person")


def test_power_divergence_of_absent_cells_and_near_independence():
    holes = ContingencyTable([[5, 0, 3], [1, 4, 2]])
    for power in (0.5, 2, 2 / 3):
        truth = scipy.stats.chi2_contingency(holes.array, lambda_=power, correction=False).statistic
        assert il.power_divergence(holes, lambda_=power) == pytest.approx(truth, rel=1e-12)
    assert il.power_divergence(holes, lambda_=-1) == math.inf
    near = ContingencyTable([[10**12 + 5, 10**12], [10**12, 10**12]])
    assert il.power_divergence(near) == pytest.approx(il.chi_squared(near), rel=1e-9)


@given(small)
@settings(deadline=None)
def test_distance_and_uncertainty(array):
    table = ContingencyTable(array)
    if not table.total:
        return
    h = max(il.entropy(table), il.entropy(table, of="y"))
    distance = 1 - il.mutual_information(table) / h if h else 0.0
    assert il.normalized_information_distance(table) == pytest.approx(distance, abs=1e-13)
    assert il.symmetric_uncertainty(table) == il.normalized_mutual_information(table)


@given(small, st.sampled_from(["two-sided", "greater", "less"]))
@settings(deadline=None)
def test_fisher_as_scipy(array, alternative):
    table = ContingencyTable(array)
    if not table.total:
        return
    p = il.fisher_exact_p(table, alternative=alternative)
    rows, cols = table.margins
    for (i, j), n in np.ndenumerate(array):
        collapsed = [[n, rows[i] - n], [cols[j] - n, table.total - rows[i] - cols[j] + n]]
        truth = scipy.stats.fisher_exact(collapsed, alternative=alternative).pvalue
        assert p[i, j] == pytest.approx(truth, rel=1e-11)


def log_tail(n, a, b, total, terms):
    """Return ln P(K >= n) in 40 digits."""
    with mp.workdps(40):
        weight = whole = mpf(1)
        for k in range(n, n + terms):
            weight *= mpf((a - k) * (b - k)) / ((k + 1) * (total - a - b + k + 1))
            whole += weight
        plus = (a, total - a, b, total - b)
        minus = (total, n, a - n, b - n, total - a - b + n)
        first = sum(mp.loggamma(v + 1) for v in plus) - sum(mp.loggamma(v + 1) for v in minus)
        return first + mp.log(whole)


@pytest.mark.parametrize(
    ("array", "terms"),
    [
        ([[5000, 6000], [7000, 8123]], 1500),
        ([[330_000, 10**6], [10**6, 3 * 10**6]], 9000),
        ([[250_000_000, 249_700_000], [249_700_000, 250_600_000]], 12_000),
        ([[4000, 10**6], [10**6, 10**9]], 500),
    ],
)
def test_fisher_in_logs_at_a_billion_rows(array, terms):
    (n, b), (c, d) = array
    truth = log_tail(n, n + b, n + c, n + b + c + d, terms)
    value = il.fisher_exact_log_p(ContingencyTable(array), base="e", alternative="greater")[0, 0]
    assert abs(mpf(float(value)) - truth) <= 1e-12 * max(abs(truth), mpf(1))


def test_fisher_refuses_weights_and_knows_certainty():
    with pytest.raises(UsageError, match="weights"):
        il.fisher_exact_p(ContingencyTable([[0.5, 1.0]]))
    assert (il.fisher_exact_p(ContingencyTable([[3, 2]])) == 1).all()
    assert il.fisher_exact_log_p(HUGE)[0, 0] < -1e17


def test_bias_corrected_cramers_v_by_its_formula_and_by_chance():
    """Bergsma 2013: under independence phi squared has the mean (R - 1)(C - 1) / (N - 1)."""
    table = ContingencyTable([[12, 5, 0], [4, 9, 3]])
    n, rows, cols = 33, 2, 3
    phi = il.chi_squared(table) / n - (rows - 1) * (cols - 1) / (n - 1)
    r, c = rows - (rows - 1) ** 2 / (n - 1), cols - (cols - 1) ** 2 / (n - 1)
    truth = math.sqrt(phi / (min(r, c) - 1))
    assert il.bias_corrected_cramers_v(table) == pytest.approx(truth, rel=1e-12)
    assert il.bias_corrected_cramers_v(table) == il.cramers_v(table, bias_corrected=True)
    shares = np.outer([0.2, 0.8], [0.3, 0.3, 0.4])
    draws = np.random.default_rng(0).multinomial(60, shares.ravel(), size=500).reshape(-1, 2, 3)
    plain, corrected = (
        np.array([f(ContingencyTable(t)) for t in draws]) for f in (il.cramers_v, il.bias_corrected_cramers_v)
    )
    assert corrected.mean() < plain.mean() / 2
    squared = plain**2 - corrected**2
    assert (squared >= 0).all()


@pytest.mark.parametrize("array", [[[3, 4]], [[1]], [[1, 0], [0, 0]]])
def test_bias_corrected_cramers_v_of_a_constant_column(array):
    assert math.isnan(il.bias_corrected_cramers_v(ContingencyTable(array)))


def test_smoothed_contexts():
    array = np.array([[4, 1, 3], [12, 2, 0]])
    table = ContingencyTable(array)
    for alpha in (0.75, 0.5, 1.0):
        contexts = array.sum(axis=0) ** alpha
        rows, share = array.sum(axis=1, keepdims=True), array / array.sum()
        held = array > 0
        truth = share[held] / (rows / array.sum() * contexts / contexts.sum())[held]
        found = il.context_smoothed_pointwise_mutual_information(table, alpha=alpha)[held]
        assert found == pytest.approx(np.log2(truth), rel=1e-12, abs=1e-14)
    assert np.array_equal(
        il.context_smoothed_pointwise_mutual_information(table, alpha=1.0),
        il.pointwise_mutual_information(table),
    )


def test_residuals():
    """scipy and statsmodels call (n - E) / sqrt(E (1 - a/N) (1 - b/N)) the standardized residual."""
    array = np.array([[10, 10, 20], [20, 20, 20]])
    E = scipy.stats.contingency.expected_freq(array)
    shares = np.outer(1 - array.sum(axis=1) / 100, 1 - array.sum(axis=0) / 100)
    table = ContingencyTable(array)
    assert il.adjusted_residual(table) == pytest.approx((array - E) / np.sqrt(E * shares), rel=1e-13)
    assert il.get("standardized_residual").function is il.z_score
    assert il.adjusted_residual(table) ** 2 == pytest.approx(il.collapsed_chi_squared(table))


def test_every_measure_has_a_formula_and_shows_it():
    frame = il.measures()
    assert frame["formula"].str.len().between(3, 90).all()
    assert frame.loc["mutual_information", "formula"].startswith("sum of p log")


@pytest.mark.parametrize("m", catalogue.every(), ids=lambda m: f"{m.name}{'-cell' * m.per_cell}")
def test_totals_close_to_2_to_the_63(m):
    """Nothing overflows: a huge table scores as its like of a millionth of the rows."""
    if m.needs == "strata" or m.unit == "count" or m.name in {"phrase_score", "mi_like"}:
        return
    small = ContingencyTable(HUGE.array // 10**9)
    options = {"vocabulary_size": 1} if m.name == "phrase_score" else {}
    huge, less = m.of(HUGE, options), m.of(small, options)
    if m.name.startswith(GROWING):
        assert np.isfinite(huge).all()
    else:
        assert huge == pytest.approx(less, rel=1e-6)


@pytest.mark.parametrize("m", catalogue.every(), ids=lambda m: f"{m.name}{'-cell' * m.per_cell}")
@pytest.mark.parametrize("array", [[[1]], [[7, 0], [0, 0]], [[3, 4]], [[3], [4]], [[1, 0], [0, 1]]])
def test_limits_give_values_or_nan_never_errors(m, array):
    """One row, constant columns, unique columns: RELIABILITY N1 to N3."""
    if m.needs == "strata":
        return
    values = np.atleast_1d(m.of(ContingencyTable(array), {}))
    if m.unit == "information" and not m.per_cell and m.name != "expected_mutual_information":
        assert (values >= 0).all()
    if m.name == "pointwise_mutual_information" and array != [[1, 0], [0, 1]]:
        assert set(values.ravel()) <= {0.0, -math.inf}
