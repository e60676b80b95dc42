"""p-values and intervals of il.score: columns, units, conditions, weights, reproducibility, speed."""

import math
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

import infolake as il
from infolake.encoding.levels import Levels
from infolake.errors import UsageError
from infolake.measures.inference import corrected_p_values
from infolake.packing import Groups
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.ledger import Ledger
from infolake.summaries.request import Request

ENDS = ("low", "high", "se")


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    z = rng.integers(0, 2, 600)
    y = np.where(rng.random(600) < 0.7, z, rng.integers(0, 2, 600))
    return pd.DataFrame(
        {
            "x": np.where(rng.random(600) < 0.6, y, rng.integers(0, 3, 600)),
            "y": y,
            "z": z,
            "u": rng.integers(0, 4, 600),
            "w": rng.integers(1, 5, 600) / 4,
        }
    )


@pytest.fixture(scope="module")
def counts(frame):
    return il.count(frame, columns=["x", "y", "z", "u"])


def test_nothing_is_added_unless_asked(counts):
    assert list(il.score(counts, measures="mi")) == [
        "x",
        "y",
        "n",
        "n_missing",
        "mutual_information",
        "bias",
        "thin",
    ]


def test_p_values_are_those_of_the_tables(counts):
    scores = il.score(counts, measures="mi", p_values="g", correction="holm")
    for row in scores.itertuples():
        oracle = stats.chi2_contingency(
            counts.table(row.x, row.y).array, correction=False, lambda_="log-likelihood"
        )
        assert row.p_value == pytest.approx(oracle.pvalue, rel=1e-9)
    assert np.array_equal(scores["p_corrected"], corrected_p_values(scores["p_value"], "holm"))


def test_permutation_p_values_are_those_of_one_table(counts):
    scores = il.score(counts, measures="mi", p_values="permutation", permutations=499, seed=3)
    for row in scores.itertuples():
        table = counts.table(row.x, row.y)
        assert row.p_value == il.permutation_p_value(table, permutations=499, seed=3)
    some = il.score(
        counts, columns=["u", "x"], measures="mi", p_values="permutation", permutations=499, seed=3
    )
    pair = scores[(scores["x"] == "x") & (scores["y"] == "u")]
    assert some["p_value"].item() == pair["p_value"].item()


@pytest.mark.parametrize("kind", ["delta", "bootstrap"])
def test_intervals_are_those_of_one_table(counts, kind):
    scores = il.score(
        counts, measures=["nmi", "mi", "vi"], intervals=kind, level=0.9, permutations=99, base="e"
    )
    for row in scores.to_dict("records"):
        for name in ("normalized_mutual_information", "mutual_information", "variation_of_information"):
            table = counts.table(row["x"], row["y"])
            options = {} if name.startswith("norm") else {"base": "e"}
            found = il.confidence_interval(table, name, method=kind, level=0.9, permutations=99, **options)
            assert [row[f"{name}_{end}"] for end in ENDS] == pytest.approx(list(found), rel=1e-12)
    units = scores.attrs["units"]
    assert [units[f"mutual_information_{end}"] for end in ENDS] == ["nats"] * 3
    assert units["normalized_mutual_information_low"] == ""


def test_conditional_scores_have_p_values_and_intervals(frame):
    counts = il.count(frame, [("x", "y", "z"), ("x", "u", "z")])
    options = {"given": "z", "measures": ["mi", "nmi"]}
    g = il.score(counts, p_values="g", intervals="delta", **options)
    found = {(r.x, r.y): r for r in g.itertuples()}
    row = found["x", "y"]
    table = counts.table("x", "y", "z")
    parts = [stats.chi2_contingency(table.array[:, :, k], False, "log-likelihood") for k in range(2)]
    assert row.p_value == pytest.approx(
        stats.chi2.sf(sum(p[0] for p in parts), sum(p[2] for p in parts)), rel=1e-9
    )
    interval = il.confidence_interval(table, "cmi")
    assert row.mutual_information_se == pytest.approx(interval.se, rel=1e-12)
    shuffled = il.score(counts, p_values="permutation", intervals="bootstrap", permutations=199, **options)
    by_pair = {(r.x, r.y): r for r in shuffled.itertuples()}
    assert by_pair["x", "y"].p_value == il.permutation_p_value(table, permutations=199)
    assert by_pair["x", "y"].mutual_information_se == pytest.approx(interval.se, rel=0.3)
    alone = (
        il.score(counts, columns=["x", "y"], measures="mi", p_values="g")
        if ("x", "y") in counts.groups
        else None
    )
    assert alone is None


def test_weighted_scores_count_effective_rows(frame):
    scores = il.score(
        frame, columns=["x", "y", "z"], weights="w", measures=["mi", "nmi"], p_values="g", intervals="delta"
    )
    shares = scores["n_effective"] / scores["n"]
    row = scores.iloc[0]
    table = il.count(frame, [(row["x"], row["y"])], weights="w").table(row["x"], row["y"])
    g = il.g_statistic(table) * shares.iloc[0]
    assert row["p_value"] == pytest.approx(stats.chi2.sf(g, il.degrees_of_freedom(table)), rel=1e-9)
    found = il.confidence_interval(table, "mi", n_effective=row["n_effective"])
    assert row["mutual_information_se"] == pytest.approx(found.se, rel=1e-12)
    boot = il.score(frame, columns=["x", "y"], weights="w", measures="mi", intervals="bootstrap")
    assert boot["mutual_information_se"].item() == pytest.approx(
        il.score(frame, columns=["x", "y"], weights="w", measures="mi", intervals="delta")[
            "mutual_information_se"
        ].item(),
        rel=0.2,
    )
    with pytest.raises(UsageError, match="shuffled"):
        il.score(frame, columns=["x", "y"], weights="w", p_values="permutation")


def test_integer_weights_are_no_rows(frame):
    whole = frame.assign(w=(frame["w"] * 4).astype(int))
    row = il.score(whole, columns=["x", "y"], weights="w", measures="mi", p_values="g").iloc[0]
    table = il.count(whole, [("x", "y")], weights="w").table("x", "y")
    g = il.g_statistic(table) * row["n_effective"] / row["n"]
    assert row["p_value"] == pytest.approx(stats.chi2.sf(g, il.degrees_of_freedom(table)), rel=1e-9)
    with pytest.raises(UsageError, match="shuffled"):
        il.score(whole, columns=["x", "y"], weights="w", p_values="permutation")


def test_a_constant_column_and_no_rows_are_values():
    frame = pd.DataFrame({"x": [1, 1, 1], "y": [1, 2, 3], "z": [None, None, None]})
    for kind in ("g", "permutation", "chi_squared"):
        scores = il.score(frame, measures="mi", p_values=kind, intervals="delta", correction="bh")
        by_pair = {(r.x, r.y): r for r in scores.itertuples()}
        assert by_pair["x", "y"].p_value == 1.0 == by_pair["x", "y"].p_corrected
        assert math.isnan(by_pair["x", "z"].p_value)
        assert by_pair["x", "y"].mutual_information_se == 0.0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"p_values": "gee"}, "p_values"),
        ({"intervals": "jackknife"}, "intervals"),
        ({"p_values": "g", "correction": "bonferoni"}, "bonferroni"),
        ({"correction": "bh"}, "needs p-values"),
        ({"level": 95, "intervals": "delta"}, "level"),
        ({"permutations": 0, "p_values": "permutation"}, "permutations"),
        ({"seed": -1}, "seed"),
        ({"measures": "cramers_v", "intervals": "delta"}, "bootstrap"),
    ],
)
def test_wrong_questions_are_refused_before_anything_is_read(asked, message):
    with pytest.raises(UsageError, match=message):
        il.score("nowhere/at/all.parquet", **asked)


def test_the_scheduler_changes_nothing(frame):
    import dask

    results = []
    for scheduler in ("sync", "threads"):
        with dask.config.set(scheduler=scheduler):
            results.append(
                il.score(
                    frame,
                    columns=["x", "y", "u"],
                    measures="mi",
                    p_values="permutation",
                    intervals="bootstrap",
                )
            )
    pd.testing.assert_frame_equal(*results, check_exact=True)


def many_counts(n, rows=10**6):
    """Return the counts of all pairs of ``n`` columns of three levels, without any rows behind them."""
    names = tuple(f"c{i:04d}" for i in range(n))
    request = Request(names, (pa.int64(),) * n, Groups(n, "pairs"), (None,) * n)
    levels = tuple(Levels(pa.array([0, 1, 2])) for _ in range(n))
    draws = np.random.default_rng(0).multinomial(rows, np.full(9, 1 / 9), size=n * (n - 1) // 2)
    return JointCounts(
        request, levels, (("count", 0),), draws.ravel()[None].astype(np.int64), {}, Ledger(rows, rows, rows)
    )


def test_many_pairs_are_scored_quickly():
    options = {"measures": ["mi", "nmi"], "p_values": "g"}
    il.score(many_counts(3), **options)
    counts = many_counts(300)
    start = time.perf_counter()
    scores = il.score(counts, **options)
    assert time.perf_counter() - start < 0.5  # 44,850 pairs; half a million take 0.2 s on an idle core
    assert stats.kstest(scores["p_value"], "uniform").pvalue > 0.001


@pytest.mark.slow
def test_half_a_million_pairs_are_scored_in_a_second():
    options = {"measures": ["mi", "nmi"], "p_values": "g"}
    counts = many_counts(1000)
    il.score(counts, **options)
    times = []
    for _ in range(5):
        start = time.process_time()
        il.score(counts, **options)
        times.append(time.process_time() - start)
    assert min(times) < 1  # processor seconds; 0.2 on an idle core


# -- drift


def test_divergences_are_those_of_scipy():
    rng = np.random.default_rng(1)
    first = pd.DataFrame({"x": rng.choice(list("abcd"), 500, p=[0.1, 0.2, 0.3, 0.4]), "y": 0})
    second = pd.DataFrame({"x": rng.choice(list("abcde"), 700), "y": 0})
    a, b = il.count(first), il.count(second)
    p = np.array([*a.table("x").array, 0]) / 500
    q = b.table("x").array / 700
    assert il.kullback_leibler_divergence(a, b, "x") == pytest.approx(stats.entropy(p, q, base=2), rel=1e-12)
    assert il.kullback_leibler_divergence(b, a, "x") == math.inf
    for base, number in ((2, 2), ("e", math.e), (10, 10)):
        found = il.jensen_shannon_divergence(a, b, "x", base=base)
        assert found == pytest.approx(jensenshannon(p, q, base=number) ** 2, rel=1e-12)
    assert il.jensen_shannon_divergence(b, a, "x") == pytest.approx(
        il.jensen_shannon_divergence(a, b, "x"), rel=1e-14
    )


def test_a_small_drift_keeps_its_digits():
    a = il.ContingencyTable([10**12 + 1, 10**12 - 1], columns=["x"])
    b = il.ContingencyTable([10**12, 10**12], columns=["x"])
    assert il.kullback_leibler_divergence(a, b, "x", base="e") == pytest.approx(0.5e-24, rel=1e-3)
    assert il.kullback_leibler_divergence(a, a, "x") == 0.0


def test_missing_values_drift_too():
    a = il.count(pd.DataFrame({"x": ["a", "b", None, None]}), "columns")
    b = il.count(pd.DataFrame({"x": ["a", "b"]}), "columns")
    assert il.kullback_leibler_divergence(b, a, "x") == 1.0
    assert il.kullback_leibler_divergence(a, b, "x") == math.inf
    assert il.kullback_leibler_divergence(a, b, "x", missing="pairwise") == 0.0
    assert math.isnan(il.jensen_shannon_divergence(a - a, b, "x"))


def test_other_levels_are_refused():
    frame = pd.DataFrame({"x": [0.5, 1.5, 2.5], "y": ["a", "b", "c"]})
    fine, coarse = (il.count(frame, bins={"x": edges}) for edges in ([0, 1, 2, 3], [0, 1, 3]))
    with pytest.raises(UsageError, match="other bins"):
        il.jensen_shannon_divergence(fine, coarse, "x")
    assert il.jensen_shannon_divergence(fine.coarsen("x", [0, 1, 3]), coarse, "x") == 0.0
    renamed = il.count(frame.rename(columns={"x": "y", "y": "x"}))
    with pytest.raises(UsageError, match="type"):
        il.jensen_shannon_divergence(il.count(frame, bins="exact"), renamed, "x")
    with pytest.raises(UsageError, match="counts or tables"):
        il.jensen_shannon_divergence(frame, frame, "x")
