"""Measures against 50-digit numbers, scikit-learn, scipy, NLTK, R and published tables."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import exact_measures as ref
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf
from nltk.metrics import BigramAssocMeasures as Nltk

import infolake.measures as il
from infolake.tables import ContingencyTable

ORACLES = Path(__file__).parents[1] / "oracles"
sys.path.insert(0, str(ORACLES))

import compare_certified  # noqa: E402

CERTIFIED = json.loads((ORACLES / "certified.json").read_text(encoding="utf-8"))
TINY = mpf(10) ** -40


def equal(value, truth, rtol=1e-13):
    return abs(value) < 1e-40 if abs(truth) < TINY else ref.close(value, truth, rtol)


@pytest.mark.parametrize("entry", CERTIFIED, ids=lambda e: e["name"])
def test_certified_tables_to_1e_13_relative(entry):
    table = ContingencyTable(compare_certified.array_of(entry))
    computed = {
        "mutual_information": il.mutual_information(table, base="e"),
        "entropy": il.entropy(table, base="e"),
        "entropy_y": il.entropy(table, base="e", of="y"),
        "joint_entropy": il.joint_entropy(table, base="e"),
        "conditional_entropy": il.conditional_entropy(table, base="e"),
        "chi_squared": il.chi_squared(table),
        "expected_mutual_information": il.expected_mutual_information(table, base="e"),
        "normalized_mutual_information": il.normalized_mutual_information(table),
    }
    for name in computed.keys() & entry.keys():
        assert equal(computed[name], mpf(entry[name])), (name, computed[name], entry[name])
    if "adjusted_mutual_information" in entry:
        value = il.adjusted_mutual_information(table)
        assert equal(value, mpf(entry["adjusted_mutual_information"]), 1e-12)
    pmi = il.pointwise_mutual_information(table, base="e") if "pmi" in entry else None
    for row, col, truth in entry.get("pmi", []):
        assert equal(pmi[row, col], mpf(truth)), (row, col)


@pytest.mark.parametrize("entry", CERTIFIED, ids=lambda e: e["name"])
def test_fourteen_digits_of_every_certified_mi_and_nmi(entry):
    for (library, measure), digits in compare_certified.compared(entry).items():
        if library == "infolake":
            assert digits >= 14, (measure, digits)


def test_the_comparison_prints_every_table(capsys, monkeypatch):
    monkeypatch.setattr(compare_certified, "entries", lambda: CERTIFIED[:9])
    compare_certified.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["table", "MI", "infolake"]
    assert len(lines) == 10


def test_the_stored_certified_set_is_what_its_program_makes(tmp_path):
    copy = tmp_path / "oracles" / "make_certified.py"
    copy.parent.mkdir()
    copy.write_text((ORACLES / "make_certified.py").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "measures").symlink_to(Path(__file__).parent)
    subprocess.run([sys.executable, str(copy)], check=True)
    assert (copy.parent / "certified.json").read_text() == (ORACLES / "certified.json").read_text()


counts = st.one_of(st.integers(0, 30), st.integers(0, 10**6), st.integers(0, 10**15))
arrays = st.integers(1, 5).flatmap(
    lambda c: st.lists(st.lists(counts, min_size=c, max_size=c), min_size=1, max_size=5)
)


@settings(max_examples=150, deadline=None)
@given(arrays)
def test_any_table_to_1e_13_relative(array):
    if not sum(map(sum, array)):
        return
    table = ContingencyTable(array)
    rows, cols = ref.margins(array)
    h_x, h_y, mi = ref.entropy(rows), ref.entropy(cols), ref.mutual_information(array)
    assert equal(il.mutual_information(table, base="e"), mi)
    assert equal(il.entropy(table, base="e"), h_x)
    assert equal(il.joint_entropy(table, base="e"), ref.joint(array))
    assert equal(il.chi_squared(table), ref.exact(ref.chi_squared(array)))
    if h_x + h_y > TINY:
        assert equal(il.normalized_mutual_information(table), 2 * mi / (h_x + h_y))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 60), min_size=2, max_size=4), min_size=2, max_size=4))
def test_expected_mutual_information_equals_the_full_sum(array):
    width = min(map(len, array))
    array = [row[:width] for row in array]
    if sum(map(sum, array)):
        truth = ref.expected_mutual_information(array)
        assert equal(il.expected_mutual_information(ContingencyTable(array), base="e"), truth, 2e-13)


@pytest.mark.parametrize("seed", range(6))
def test_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 2 + seed, 400), rng.integers(0, 5, 400)
    y = np.where(rng.random(400) < 0.4, x, y)
    table = ContingencyTable.from_labels(x, y)
    bound = 1e-13 * max(1.0, il.joint_entropy(table, base="e"))
    assert abs(il.mutual_information(table, base="e") - sk.mutual_info_score(x, y)) <= bound
    for average in ("arithmetic", "geometric", "min", "max"):
        options = {"average_method": average}
        nmi = sk.normalized_mutual_info_score(x, y, **options)
        ami = sk.adjusted_mutual_info_score(x, y, **options)
        assert abs(il.normalized_mutual_information(table, average=average) - nmi) <= bound
        assert abs(il.adjusted_mutual_information(table, average=average) - ami) <= 1e-9
    for beta in (1.0, 0.5):
        ours = (il.homogeneity(table), il.completeness(table), il.v_measure(table, beta=beta))
        assert np.allclose(ours, sk.homogeneity_completeness_v_measure(x, y, beta=beta), rtol=0, atol=bound)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([0, 0, 0], [1, 1, 1]),
        ([0, 0, 0], [0, 1, 2]),
        ([0, 1, 2], [0, 0, 0]),
        ([0, 1, 2], [2, 0, 1]),
        ([0], [0]),
    ],
)
def test_limits_are_those_of_scikit_learn(x, y):
    table = ContingencyTable.from_labels(x, y)
    assert il.adjusted_mutual_information(table) == sk.adjusted_mutual_info_score(x, y)
    assert il.normalized_mutual_information(table) == sk.normalized_mutual_info_score(x, y)
    assert il.homogeneity(table) == sk.homogeneity_score(x, y)
    assert il.completeness(table) == sk.completeness_score(x, y)


def test_where_scikit_learn_overflows():
    """scikit-learn 1.9 returns 1.53 nats for this table of 1e10 rows."""
    small, large = [[4, 1], [1, 4]], [[4 * 10**9, 10**9], [10**9, 4 * 10**9]]
    assert il.mutual_information(ContingencyTable(large)) == il.mutual_information(ContingencyTable(small))
    assert ref.close(il.mutual_information(ContingencyTable(large), base="e"), ref.mutual_information(small))


@pytest.mark.parametrize("total", [10**6, 10**9, 10**12, 10**15])
def test_expected_mutual_information_of_full_tables_nears_its_asymptote(total):
    """E[I] = (R - 1)(C - 1) / 2N (1 + O(1/N)) where every cell is full."""
    n = total // 12
    emi = il.expected_mutual_information(ContingencyTable(np.full((3, 4), n)), base="e")
    assert emi == pytest.approx(6 / (2 * 12 * n), rel=max(30 / n, 1e-13))


def test_expected_mutual_information_against_scipy_hypergeom():
    rows, cols = [300_000, 699_000, 1000], [5, 999_995]
    total = sum(rows)
    truth = 0.0
    for a in rows:
        for b in cols:
            law = scipy.stats.hypergeom(total, a, b)
            k = np.arange(
                max(1, int(law.mean() - 15 * law.std()) - 40),
                min(a, b, int(law.mean() + 15 * law.std()) + 40),
            )
            k = np.append(k, min(a, b)) if min(a, b) - k.max(initial=0) == 1 else k
            truth += float(np.sum(law.pmf(k) * k / total * np.log(k * total / a / b)))
    array = [[1, 299_999], [3, 698_997], [1, 999]]
    assert il.expected_mutual_information(ContingencyTable(array), base="e") == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_scipy(seed):
    rng = np.random.default_rng(seed)
    array = rng.integers(1, 40, (3, 2 + seed))
    table = ContingencyTable(array)
    for kind, statistic, p_value in (
        (None, il.chi_squared, il.chi_squared_p_value),
        ("log-likelihood", il.g_statistic, il.g_p_value),
    ):
        truth = scipy.stats.chi2_contingency(array, lambda_=kind, correction=False)
        assert statistic(table) == pytest.approx(truth.statistic, rel=1e-11)
        assert p_value(table) == pytest.approx(truth.pvalue, rel=1e-10)
        assert il.degrees_of_freedom(table) == truth.dof
    for name, function in (
        ("cramer", il.cramers_v),
        ("tschuprow", il.tschuprows_t),
        ("pearson", il.contingency_coefficient),
    ):
        truth = scipy.stats.contingency.association(array, method=name, correction=False)
        assert function(table) == pytest.approx(truth, rel=1e-12)
    assert il.entropy(table) == pytest.approx(scipy.stats.entropy(array.sum(axis=1), base=2), rel=1e-13)


NLTK = {
    il.pointwise_mutual_information: Nltk.pmi,
    il.g: Nltk.likelihood_ratio,
    il.collapsed_chi_squared: Nltk.chi_sq,
    il.phi_squared: Nltk.phi_sq,
    il.dice: Nltk.dice,
    il.jaccard: Nltk.jaccard,
    il.t_score: Nltk.student_t,
    il.mi_like: Nltk.mi_like,
    il.poisson_stirling: Nltk.poisson_stirling,
}


@pytest.mark.parametrize("ours", NLTK, ids=lambda f: f.__name__)
def test_nltk(ours):
    rng = np.random.default_rng(5)
    table = ContingencyTable(rng.integers(1, 50, (4, 5)))
    rows, cols = table.margins
    for (i, j), n in np.ndenumerate(table.array):
        truth = NLTK[ours](int(n), (int(rows[i]), int(cols[j])), int(table.total))
        assert ours(table)[i, j] == pytest.approx(truth, rel=1e-9, abs=1e-9)


@pytest.mark.shared
def test_published_joint_tables(shared):
    measures = {
        "hx_bits": il.entropy,
        "hy_bits": lambda t: il.entropy(t, of="y"),
        "hxy_bits": il.joint_entropy,
        "hx_given_y_bits": lambda t: il.conditional_entropy(t, given="y"),
        "hy_given_x_bits": il.conditional_entropy,
        "mi_bits": il.mutual_information,
        "mi_nats": lambda t: il.mutual_information(t, base="e"),
        "chi2": il.chi_squared,
        "g2": il.g_statistic,
        "cramers_v": il.cramers_v,
        "tschuprow_t": il.tschuprows_t,
        "nmi_arith": il.normalized_mutual_information,
        "info_gain_bits": il.mutual_information,
        "gain_ratio": il.information_gain_ratio,
    }
    for entry in json.loads((shared / "oracles/joint_tables_published.json").read_text()):
        table = ContingencyTable(entry["table"])
        for name, expected in entry["expected"].items():
            value, atol = (
                (expected["value"], expected["atol"]) if isinstance(expected, dict) else (expected, 1e-3)
            )
            assert measures[name](table) == pytest.approx(value, abs=atol), (entry["name"], name)
        for name, value in entry["recomputed"].items():
            assert measures[name](table) == pytest.approx(value, rel=1e-12, abs=1e-14), (entry["name"], name)


@pytest.mark.shared
def test_published_word_associations(shared):
    rows = json.loads((shared / "oracles/word_association_tables.json").read_text())["rows"]
    checked = 0
    for row in rows:
        if "k" in row:
            (n, b), (c, d) = row["k"][:2], row["k"][2:]
        elif "n1" in row and "N" in row:
            n = row["n11"]
            b, c = row["n1"] - n, row["n2"] - n
            d = row["N"] - n - b - c
        else:
            continue
        table = ContingencyTable([[n, b], [c, d]])
        if "recomputed" in row and "llr" in row:
            assert il.g(table)[0, 0] == pytest.approx(row["recomputed"], rel=1e-9), row
            checked += 1
        if row.get("verified_pmi"):
            assert il.pointwise_mutual_information(table)[0, 0] == pytest.approx(
                row["pmi_bits"], abs=0.006
            ), row
            checked += 1
        if row.get("verified_t"):
            assert il.t_score(table)[0, 0] == pytest.approx(row["t"], abs=6e-4), row
            checked += 1
    assert checked > 40


@pytest.mark.shared
def test_scikit_learn_published_ami(shared):
    entry = json.loads((shared / "oracles/sklearn_ami.json").read_text())
    x, y = entry["labels_a"], entry["labels_b"]
    table = ContingencyTable.from_labels(x, y)
    large = ContingencyTable.from_labels(x * 110, y * 110)
    assert il.mutual_information(table, base="e") == pytest.approx(entry["mi_nats"], abs=5e-6)
    assert il.expected_mutual_information(table, base="e") == pytest.approx(entry["emi_nats"], abs=5e-6)
    for average, value in entry["recomputed"].items():
        assert il.adjusted_mutual_information(table, average=average) == pytest.approx(value, abs=1e-9)
    for average, value in entry["recomputed_x110"].items():
        assert il.adjusted_mutual_information(large, average=average) == pytest.approx(value, abs=1e-9)


@pytest.mark.slow
def test_ami_of_3000_by_3000_labels_is_a_thousand_times_faster_than_scikit_learn():
    x, y = np.random.default_rng(0).integers(0, 3000, (2, 100_000))
    table = ContingencyTable.from_labels(x, y)
    ours = min(timed(lambda: il.adjusted_mutual_information(table))[0] for _ in range(5))
    theirs, truth = timed(lambda: sk.adjusted_mutual_info_score(x, y))
    assert il.adjusted_mutual_information(table) == pytest.approx(truth, abs=1e-9)
    assert theirs > 1000 * ours


def test_ami_of_a_billion_rows_within_a_tenth_of_a_second():
    rng = np.random.default_rng(0)
    shares = np.outer(rng.dirichlet(np.ones(50)), rng.dirichlet(np.ones(50)))
    cells = rng.multinomial(10**9, shares.ravel()).reshape(50, 50)
    seconds = min(timed(lambda: il.adjusted_mutual_information(ContingencyTable(cells)))[0] for _ in range(5))
    assert seconds < 0.1


@pytest.mark.slow
def test_ami_of_zipf_clusters_within_ten_seconds():
    """100,000 x 100,000 clusters, 10 million rows: about 5 million cells, E[I] by distinct margins."""
    size = 100_000
    shares = 1 / np.arange(1, size + 1)
    x, y = np.random.default_rng(0).choice(size, (2, 10**7), p=shares / shares.sum())
    keys, counts = np.unique(x * size + y, return_counts=True)
    table = ContingencyTable.from_cells(
        (keys // size, keys % size), counts, levels=(range(size),) * 2, columns=("x", "y")
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, value = timed(lambda: il.adjusted_mutual_information(table))
    assert seconds < 10
    assert abs(value) < 1e-4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * 2**20


def timed(function):
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value
