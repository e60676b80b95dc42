"""Bias corrections and p-values of weighted tables: rows count as Kish's effective number of them."""

import copy
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import infolake as il
from infolake.errors import UsageError
from infolake.measures import estimators
from infolake.tables import ContingencyTable, TableBatch

REAL = [e.name for e in estimators.every() if e.real]
WHOLE = [e.name for e in estimators.every() if not e.real]
arrays = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=2, max_size=4).filter(
    lambda rows: any(any(row) for row in rows)
)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    x, z = rng.integers(0, 4, 90), rng.integers(0, 2, 90)
    y = np.where(rng.random(90) < 0.4, x, rng.integers(0, 3, 90))
    return pd.DataFrame({"x": x, "y": y, "z": z, "w": rng.gamma(1.5, size=90)})


def kish(weights):
    return weights.sum() ** 2 / (weights**2).sum()


def test_every_estimator_says_whether_it_takes_weights():
    assert sorted(WHOLE) == [
        "ansb",
        "chao_shen",
        "chao_wang_jost",
        "grassberger_1988",
        "grassberger_2003",
        "jackknife",
        "quadratic_extrapolation",
    ]


@given(arrays, st.sampled_from([0.1, 3.0, 7e150, 2.0**-600]))
@pytest.mark.parametrize("name", REAL)
@settings(max_examples=15, deadline=None)
def test_equal_weights_are_no_weights(name, array, weight):
    counted = ContingencyTable(array)
    weighted = ContingencyTable(np.array(array) * weight, n_effective=float(counted.total))
    options = {"entropy": name, "base": "e"}
    for measure in (il.mutual_information, il.entropy, il.joint_entropy, il.conditional_entropy):
        assert measure(weighted, **options) == pytest.approx(
            measure(counted, **options), rel=1e-12, abs=1e-13
        )


@pytest.mark.parametrize("weight", [1, 5, 0.3, 1e-300, 1e300])
@pytest.mark.parametrize("given_z", [{}, {"given": "z"}])
def test_equal_weights_are_no_weights_in_scores(frame, weight, given_z):
    weighted = frame.assign(w=weight)
    for name in REAL:
        options = {
            "columns": ["x", "y"],
            "measures": ["mi", "nmi"],
            "entropy": name,
            "p_values": "g",
        } | given_z
        plain, scores = il.score(frame, **options), il.score(weighted, weights="w", **options)
        for column in ("mutual_information", "normalized_mutual_information", "p_value", "bias"):
            assert scores[column].item() == pytest.approx(plain[column].item(), rel=1e-11, abs=1e-13)


def test_miller_madow_counts_effective_rows(frame):
    table = il.count(frame, [("x", "y")], weights="w").table("x", "y")
    n = kish(frame["w"])
    assert table.n_effective == pytest.approx(n, rel=1e-14)
    rows, cols, cells = *table.shape, len(table.cells[1])
    plug_in = il.mutual_information(table, base="e")
    corrected = il.mutual_information(table, base="e", entropy="miller_madow")
    assert corrected == pytest.approx(plug_in + (rows + cols - cells - 1) / (2 * n), rel=1e-12)
    score = il.score(
        frame, columns=["x", "y"], weights="w", measures="mi", base="e", entropy="mm", intervals="bootstrap"
    )
    assert score["mutual_information"].item() == pytest.approx(corrected, rel=1e-12)
    assert score["mutual_information_low"].item() < corrected < score["mutual_information_high"].item()


def test_strata_count_their_own_effective_rows(frame):
    score = il.score(frame, columns=["x", "y"], given="z", weights="w", measures="mi", base="e", entropy="mm")
    parts, sizes = [], []
    for _, rows in frame.groupby("z"):
        table = il.count(rows, [("x", "y")], weights="w").table("x", "y")
        parts.append(il.mutual_information(table, base="e", entropy="mm"))
        sizes.append(rows["w"].sum())
    assert score["mutual_information"].item() == pytest.approx(np.average(parts, weights=sizes), rel=1e-12)


@pytest.mark.parametrize("given_z", [{}, {"given": "z"}])
def test_the_bias_shown_is_what_miller_madow_takes_out_of_full_tables(given_z):
    rng = np.random.default_rng(0)
    x, y, z = (v.ravel() for v in np.meshgrid(range(3), range(4), range(2)))
    rows = rng.integers(0, 24, 400)
    full = pd.DataFrame({"x": [*x, *x[rows]], "y": [*y, *y[rows]], "z": [*z, *z[rows]]})
    full["w"] = rng.gamma(1.0, size=424) * (1 + 9 * full["z"])
    options = {"columns": ["x", "y"], "weights": "w", "measures": "mi"} | given_z
    plain, corrected = (il.score(full, entropy=e, **options) for e in ("plug_in", "miller_madow"))
    removed = plain["mutual_information"] - corrected["mutual_information"]
    assert plain["bias"].item() == pytest.approx(removed.item(), rel=1e-9)


def test_whole_weights_are_weights(frame):
    whole = frame.assign(w=np.arange(90) % 5 + 1)
    table = il.count(whole, [("x", "y")], weights="w").table("x", "y")
    assert table.array.dtype == np.int64
    assert table.n_effective == pytest.approx(kish(whole["w"]), rel=1e-14)
    rows = ContingencyTable(table.array)
    assert rows.n_effective is None
    both = [il.mutual_information(t, entropy="mm") for t in (table, rows)]
    assert both[0] != both[1]
    assert il.mutual_information(rows, entropy="chao_shen") > 0
    with pytest.raises(UsageError, match="rows, not weights"):
        il.mutual_information(table, entropy="chao_shen")


@pytest.mark.parametrize("name", WHOLE)
def test_formulas_of_whole_counts_refuse_weights_before_anything_is_read(name):
    with pytest.raises(UsageError, match=f"{name} needs numbers of rows") as told:
        il.score("nowhere/at/all.parquet", weights="w", measures="mi", entropy=name)
    assert "miller_madow" in told.value.fields["next"]
    with pytest.raises(UsageError, match="rows, not weights"):
        il.mutual_information(ContingencyTable([[0.5, 2.0]], n_effective=2.0), entropy=name)


def test_measures_without_an_estimator_do_not_mind(frame):
    score = il.score(frame, columns=["x", "y"], weights="w", measures="cramers_v", entropy="chao_shen")
    assert score["cramers_v"].item() > 0


def test_weights_of_an_unknown_number_of_rows_are_refused(frame):
    with pytest.raises(UsageError, match="how many rows"):
        il.mutual_information(ContingencyTable([[0.5, 2.0], [1.0, 0.0]]), entropy="miller_madow")
    table = il.count(frame, [("x", "y", "z")], weights="w").table("x", "y", "z")
    for part in (table.where("z", 0).marginal("x", "y"), table.drop_levels("z", [0]).marginal("x", "y")):
        assert math.isnan(part.n_effective)
        assert math.isnan(il.g_p_value(part))
        with pytest.raises(UsageError, match="how many rows"):
            il.mutual_information(part, entropy="miller_madow")
    with pytest.raises(UsageError, match="how many rows"):
        il.conditional_mutual_information(table, entropy="miller_madow")


def test_a_table_knows_its_effective_rows_as_long_as_it_holds_all_of_them(frame):
    table = il.count(frame, [("x", "y", "z")], weights="w").table("x", "y", "z")
    n = table.n_effective
    kept = [
        table.marginal("z", "x"),
        table.marginal("x"),
        table.T,
        table.merge_levels("x", {7: [0, 1]}),
        table.drop_missing(),
        pickle.loads(pickle.dumps(table)),
        copy.copy(table),
    ]
    assert {t.n_effective for t in kept} == {n}
    assert kept[-1] == table
    assert ContingencyTable(table.array, table.levels, table.columns) != table
    assert table.marginal("x", "y").batch().transpose().n_effective.tolist() == [n]
    total = il.total_correlation(table, entropy="miller_madow")
    joint = il.total_correlation(table)
    assert total != joint


@pytest.mark.parametrize("n_effective", [-1, True, "many"])
def test_a_number_of_rows_is_one(n_effective):
    with pytest.raises((UsageError, TypeError)):
        ContingencyTable([[1.0]], n_effective=n_effective)


def weighted_tables(n_tables, n_rows, shares, seed):
    """Return tables of rows with gamma weights that know nothing of the columns, as a batch."""
    rng = np.random.default_rng(seed)
    rows, cols = shares.shape
    cells = np.arange(n_tables)[:, None] * shares.size + rng.choice(
        shares.size, p=shares.ravel(), size=(n_tables, n_rows)
    )
    weights = rng.gamma(1.0, size=cells.shape)
    sums = np.bincount(cells.ravel(), weights.ravel(), n_tables * shares.size)
    return TableBatch.from_cells(
        sums,
        np.tile(np.repeat(np.arange(rows), cols), n_tables),
        np.tile(np.arange(cols), rows * n_tables),
        np.arange(n_tables + 1) * shares.size,
        np.full(n_tables, rows),
        np.full(n_tables, cols),
        weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1),
    )


def test_corrections_help_a_weighted_table():
    shares = np.outer([0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.5])
    batch = weighted_tables(400, 120, shares, seed=1)
    n = round(batch.n_effective.mean())
    counts = np.random.default_rng(1).multinomial(n, shares.ravel(), size=400)
    grid = (np.tile(np.repeat(np.arange(4), 3), 400), np.tile(np.arange(3), 1600), np.arange(401) * 12)
    rows = TableBatch.from_cells(counts.ravel(), *grid, np.full(400, 4), np.full(400, 3))
    weighted, plain = (
        {e: il.mutual_information(b, base="e", entropy=e).mean() for e in REAL} for b in (batch, rows)
    )
    assert weighted["plug_in"] > 0.04
    for name in ("miller_madow", "panzeri_treves", "zhang", "nsb"):
        assert abs(weighted[name]) < weighted["plug_in"] / 3, name
    for name in REAL:  # about as that of so many rows without weights
        assert abs(weighted[name] - plain[name]) < weighted["plug_in"] / 3, name


def test_p_values_of_weighted_tables_are_uniform_under_independence():
    shares = np.outer([0.2, 0.3, 0.5], [0.25, 0.25, 0.5])
    batch = weighted_tables(2000, 1000, shares, seed=2)
    for p_values in (il.g_p_value(batch), il.g_p_value(batch, williams=True), il.chi_squared_p_value(batch)):
        assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_the_bias_correction_of_cramers_v_counts_effective_rows():
    array = np.array([[5.0, 2.0], [1.0, 7.0]])
    plain = il.cramers_v(ContingencyTable(array.astype(int)), bias_corrected=True)
    assert il.cramers_v(ContingencyTable(array * 9, n_effective=15), bias_corrected=True) == pytest.approx(
        plain
    )
