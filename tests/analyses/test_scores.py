"""il.score and il.matrix: one row per pair, by the rules of the public surface."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics

import infolake as il
from infolake.errors import UnknownColumnError, UnknownMeasureError, UsageError

MI, NMI, AMI = "mutual_information", "normalized_mutual_information", "adjusted_mutual_information"


@pytest.fixture(autouse=True)
def sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(5)
    n = 800
    a = random.integers(0, 4, n)
    return pd.DataFrame(
        {
            "a": a,
            "b": np.where(random.random(n) < 0.7, a, random.integers(0, 4, n)),
            "c": pd.Series(random.choice(["x", "y", "z"], n)).mask(random.random(n) < 0.2),
            "d": pd.array(np.where(random.random(n) < 0.3, a, 9), "Int64"),
            "w": random.integers(0, 5, n),
            "constant": ["k"] * n,
            "id": [f"id{i}" for i in range(n)],
        }
    )


def test_columns_stand_in_their_order(frame: pd.DataFrame) -> None:
    found = il.score(frame, columns=["a", "b", "c"])
    assert list(found) == ["x", "y", "n", "n_missing", MI, NMI, AMI, "bias", "thin"]
    assert found.attrs["units"] == {MI: "bits", NMI: "", AMI: "", "bias": "bits"}
    weighted = il.score(frame, columns=["a", "b", "c"], weights="w", measures=["nmi", "mi", "nmi"], base="e")
    assert list(weighted) == ["x", "y", "n", "n_missing", "n_effective", NMI, MI, "bias", "thin"]
    assert weighted.attrs["units"] == {NMI: "", MI: "nats", "bias": "nats"}


def test_rows_are_sorted_by_the_first_measure_nan_last(frame: pd.DataFrame) -> None:
    found = il.score(frame)
    assert found[MI].is_monotonic_decreasing
    low = il.score(frame, measures=["variation_of_information"])
    assert low["variation_of_information"].is_monotonic_increasing
    gone = frame.assign(gone=pd.array([None] * len(frame), "Int64"))
    found = il.score(gone, columns=["gone", "a", "b"])
    assert found[["x", "y"]].iloc[0].tolist() == ["a", "b"]
    assert found[MI].isna().tolist() == [False, True, True]
    assert found.iloc[1:][["x", "y"]].to_numpy().tolist() == [["a", "gone"], ["b", "gone"]]
    assert found["n"].tolist() == [800, 0, 0]
    assert found["n_missing"].tolist() == [0, 800, 800]
    assert found["thin"].tolist()[1:] == [True, True]


def test_ties_stand_in_the_order_of_the_columns() -> None:
    table = pa.table({name: [0, 0, 1, 1] for name in ("z", "y", "x", "a")})
    found = il.score(table)
    assert list(zip(found["x"], found["y"], strict=True)) == [
        ("z", "y"), ("z", "x"), ("z", "a"), ("y", "x"), ("y", "a"), ("x", "a")]  # fmt: skip
    assert (found[MI] == 1.0).all()


def test_the_target_is_always_y(frame: pd.DataFrame) -> None:
    found = il.score(frame, target="b", bins="exact")
    assert set(found["y"]) == {"b"}
    assert set(found["x"]) == set(frame) - {"b"}
    from_pairs = il.score(il.count(frame, bins="exact"), target="b")
    pd.testing.assert_frame_equal(found, from_pairs)
    some = il.score(frame, columns=["c", "a"], target="b")
    assert sorted(some["x"]) == ["a", "c"]
    one_way = il.score(frame, columns=["a"], target="d", measures=["uncertainty_coefficient"])
    assert one_way["uncertainty_coefficient"][0] == il.uncertainty_coefficient(
        il.count(frame).table("a", "d")
    )


def test_counts_are_scored_without_a_scan(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = il.score(frame)
    counts = il.count(frame)
    monkeypatch.setattr("infolake.reduction.leaf.read_partitions", lambda *_: pytest.fail("a scan"))
    pd.testing.assert_frame_equal(il.score(counts), expected)
    assert len(il.score(counts, columns=["a", "b", "c"])) == 3


def test_only_counted_pairs_are_scored(frame: pd.DataFrame) -> None:
    counts = il.count(frame, [("a", "b"), ("c", "d", "a"), ("w",)])
    pairs = set(zip(il.score(counts)["x"], il.score(counts)["y"], strict=True))
    assert pairs == {("a", "b"), ("a", "c"), ("a", "d"), ("c", "d")}
    with pytest.raises(UnknownColumnError, match="not counted together"):
        il.score(counts, columns=["b", "c"])


@pytest.mark.parametrize("missing", ["pairwise", "level", "listwise"])
def test_missing_values_by_each_policy(frame: pd.DataFrame, missing: str) -> None:
    found = il.score(frame, columns=["a", "c", "b"], missing=missing).set_index(["x", "y"]).loc[("a", "c")]
    rows = frame if missing == "level" else frame.dropna(subset=["c"])
    labels = rows["c"].astype(object).where(rows["c"].notna(), "(missing)")
    assert found[MI] * math.log(2) == pytest.approx(metrics.mutual_info_score(rows["a"], labels), rel=1e-12)
    assert found["n"] == len(rows)
    left = {"pairwise": len(frame) - len(rows), "level": 0, "listwise": 0}
    assert found["n_missing"] == left[missing]


def test_bias_and_thin_tell_what_a_reader_must_know(frame: pd.DataFrame) -> None:
    found = il.score(frame).set_index(["x", "y"])
    assert found.index[0] in {("a", "id"), ("id", "a"), ("b", "id"), ("w", "id")}
    assert found.loc[("a", "id"), "bias"] == pytest.approx((4 - 1) * (800 - 1) / (2 * 800) / math.log(2))
    assert found.loc[("a", "b"), "bias"] == pytest.approx(9 / 1600 / math.log(2))
    assert found.loc[("a", "constant"), "bias"] == 0
    assert bool(found.loc[("a", "id"), "thin"])
    assert not found.loc[("a", "b"), "thin"]
    in_hartleys = il.score(frame, base=10).set_index(["x", "y"])
    assert in_hartleys.loc[("a", "b"), "bias"] == pytest.approx(9 / 1600 / math.log(10))


def test_thin_means_fewer_than_five_rows_per_cell() -> None:
    for n, thin in ((20, False), (19, True)):
        table = pa.table({"x": ([0, 1] * 10)[:n], "y": ([0, 0, 1, 1] * 5)[:n]})
        assert il.score(table)["thin"].tolist() == [thin]


def test_constant_columns_and_one_row_are_values() -> None:
    found = il.score(pa.table({"x": ["a"], "y": ["b"]})).iloc[0]
    assert (found[MI], found[NMI], found[AMI], found["n"]) == (0, 1, 1, 1)
    found = il.score(pa.table({"x": ["a"] * 9, "y": list("bcdbcdbcd")})).iloc[0]
    assert (found[MI], found[NMI], found[AMI]) == (0, 0, 0)
    empty = il.score(pa.table({"x": pa.array([], pa.string()), "y": pa.array([], pa.int64())}))
    assert empty[[MI, NMI, AMI, "bias"]].isna().all(axis=None)
    assert (empty["n"].tolist(), empty["thin"].tolist()) == ([0], [True])


def test_weights_count_as_rows(frame: pd.DataFrame) -> None:
    repeated = frame.loc[frame.index.repeat(frame["w"])]
    by_rows = il.score(repeated, columns=["a", "b", "c", "id"])
    by_weight = il.score(frame, columns=["a", "b", "c", "id"], weights="w")
    same = ["x", "y", "n", "n_missing", MI, NMI, AMI]
    pd.testing.assert_frame_equal(by_rows[same], by_weight[same], check_exact=True)
    assert (by_weight["n_effective"] < by_weight["n"]).all()
    as_floats = il.score(
        frame.assign(w=frame["w"] / 2), columns=["a", "b", "c", "id"], weights="w", measures=["mi"]
    )
    np.testing.assert_allclose(as_floats[MI], by_weight[MI], rtol=1e-12)
    np.testing.assert_allclose(as_floats["n"] * 2, by_weight["n"], rtol=1e-15)
    np.testing.assert_allclose(as_floats["n_effective"], by_weight["n_effective"], rtol=1e-15)


def test_given_scores_within_each_level(frame: pd.DataFrame) -> None:
    found = il.score(frame, columns=["a", "b"], given="c", measures=["mi", "g"]).iloc[0]
    complete = frame.dropna(subset=["c"])
    parts = [(len(g), metrics.mutual_info_score(g["a"], g["b"])) for _, g in complete.groupby("c")]
    n = sum(k for k, _ in parts)
    assert found[MI] * math.log(2) == pytest.approx(sum(k * v for k, v in parts) / n, rel=1e-12)
    assert (found["n"], found["n_missing"]) == (n, len(frame) - n)
    assert found["g_statistic"] == pytest.approx(2 * n * found[MI] * math.log(2), rel=1e-12)
    freedom = sum((g["a"].nunique() - 1) * (g["b"].nunique() - 1) for _, g in complete.groupby("c"))
    assert found["bias"] == pytest.approx(freedom / (2 * n) / math.log(2))
    counts = il.count(frame, [("a", "b", "c")])
    pd.testing.assert_frame_equal(
        il.score(counts, given="c", measures=["mi", "g"]),
        il.score(frame, columns=["a", "b"], given=["c"], measures=["mi", "g"]),
    )
    level = il.score(frame, columns=["a", "b"], given="c", measures=["mi"], missing="level").iloc[0]
    assert (level["n"], level["n_missing"]) == (len(frame), 0)


def test_given_with_a_target_weights_filters_and_frames(frame: pd.DataFrame) -> None:
    options: dict[str, Any] = {"measures": ["mi"], "target": "b", "given": "c", "filters": [("a", ">", 0)]}
    options |= {"columns": ["a", "d"], "weights": "w"}
    expected = il.score(frame, **options)
    assert expected[["x", "y"]].to_numpy().tolist() in ([["a", "b"], ["d", "b"]], [["d", "b"], ["a", "b"]])
    pd.testing.assert_frame_equal(il.score(dd.from_pandas(frame, npartitions=2), **options), expected)
    repeated = frame.loc[frame.index.repeat(frame["w"])]
    del options["weights"]
    assert il.score(repeated, **options)[MI].tolist() == expected[MI].tolist()
    both = il.score(frame, columns=["a", "b"], given=["c", "d"], measures=["mi"])
    assert len(both) == 1


def test_a_stream_is_read_once(frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for options in ({"measures": ["mi"]}, {"given": "c", "columns": ["a", "b"], "measures": ["mi"]}):
        stream = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(100))
        pd.testing.assert_frame_equal(il.score(stream, **options), il.score(table, **options))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"measures": ["pmi"]}, UsageError),
        ({"measures": []}, UsageError),
        ({"measures": ["mutual_info"]}, UnknownMeasureError),
        ({"base": 1}, UsageError),
        ({"base": "nits"}, UsageError),
        ({"missing": "drop"}, UsageError),
        ({"entropy": "chao"}, UnknownMeasureError),
        ({"target": "nope"}, UnknownColumnError),
        ({"columns": ["a", "nope"]}, UnknownColumnError),
        ({"columns": ["a"]}, UsageError),
        ({"given": "nope", "measures": ["mi"]}, UnknownColumnError),
        ({"given": "c", "measures": ["cramers_v"]}, UsageError),
        ({"measures": ["cmi"]}, UsageError),
        ({"support": "table"}, UsageError),
        ({"entropy": "nsb", "support": "all"}, UsageError),
        ({"entropy": "zhang", "support": 3}, UsageError),
    ],
)
def test_arguments_that_make_no_sense(
    frame: pd.DataFrame, options: dict[str, Any], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(error):
        il.score(frame, **options)
    counts = il.count(frame)
    with pytest.raises((error, UnknownColumnError)):
        il.score(counts, **options)
    if "measures" in options or "base" in options or "entropy" in options or "missing" in options:
        # nothing is read before the arguments are known to make sense
        monkeypatch.setattr(
            "infolake.reduction.leaf.read_partitions", lambda *_: pytest.fail("rows were read")
        )
        with pytest.raises(error):
            il.score(frame, **options)


def test_the_support_is_that_of_the_estimator(frame: pd.DataFrame) -> None:
    counts = il.count(frame)
    for support in ("observed", "table", 1000):
        scores = il.score(counts, measures="mi", entropy="nsb", support=support)
        spelled = il.score(counts, measures="mi", entropy=f"nsb:support={support}")
        pd.testing.assert_frame_equal(scores, spelled, check_exact=True)
        row = scores.iloc[0]
        table = counts.table(row["x"], row["y"])
        assert row["mutual_information"] == il.mutual_information(table, entropy="nsb", support=support)


def test_counts_cannot_be_changed_afterwards(frame: pd.DataFrame) -> None:
    counts = il.count(frame, columns=["a", "b"])
    for options in ({"bins": 3}, {"weights": "w"}, {"filters": [("a", ">", 1)]}, {"missing": "listwise"}):
        with pytest.raises(UsageError, match="cannot change counts"):
            il.score(counts, **options)
    assert len(il.score(il.count(frame, columns=["a", "c"], missing="listwise"), missing="listwise")) == 1


def test_filters_choose_rows(frame: pd.DataFrame) -> None:
    found = il.score(frame, columns=["b", "c"], filters=[("a", ">=", 2)])
    pd.testing.assert_frame_equal(found, il.score(frame[frame["a"] >= 2], columns=["b", "c"]))


def test_scores_are_the_same_bytes_whichever_the_storage(frame: pd.DataFrame, tmp_path: Path) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=77)
    (tmp_path / "cut").mkdir()
    for i in range(5):
        pq.write_table(
            table.slice(i * 200, 200), tmp_path / "cut" / f"{i}.parquet", use_dictionary=bool(i % 2)
        )
    expected = il.score(frame)
    data: list[Any] = [
        table,
        pl.from_pandas(frame),
        dd.from_pandas(frame, npartitions=3),
        tmp_path / "a.parquet",
    ]
    data += [
        tmp_path / "cut",
        frame.sample(frac=1, random_state=2),
        frame.astype({"c": "category"}),
        il.count(frame),
    ]
    for other in data:
        pd.testing.assert_frame_equal(il.score(other), expected, check_exact=True)


# -- matrix


def test_a_matrix_is_square_and_in_column_order(frame: pd.DataFrame) -> None:
    scores = il.score(frame, columns=["a", "b", "c", "d"])
    square = il.matrix(scores, "mi")
    assert list(square) == list(square.index) == ["a", "b", "c", "d"]
    assert np.isnan(np.diag(square)).all()
    np.testing.assert_array_equal(square, square.T)
    assert square.loc["b", "c"] == scores.set_index(["x", "y"]).loc[("b", "c"), MI]
    one_way = il.matrix(il.score(frame, columns=["a", "b", "c"], measures=["theils_u"]), "theils_u")
    assert np.isnan(one_way.loc["b", "a"])
    assert not np.isnan(one_way.loc["a", "b"])
    with pytest.raises(UsageError, match="do not hold"):
        il.matrix(scores, "cramers_v")
    with pytest.raises(UsageError, match="several rows"):
        il.matrix(pd.concat([scores, scores]), "mi")


# -- oracles


def test_scores_equal_scikit_learn(frame: pd.DataFrame) -> None:
    found = il.score(frame, base="e").set_index(["x", "y"])
    for (x, y), row in found.iterrows():
        both = frame[[x, y]].dropna().astype(str)
        assert row[MI] == pytest.approx(metrics.mutual_info_score(both[x], both[y]), rel=1e-12, abs=1e-13)
        for name, oracle in (
            (NMI, metrics.normalized_mutual_info_score),
            (AMI, metrics.adjusted_mutual_info_score),
        ):
            assert row[name] == pytest.approx(oracle(both[x], both[y]), rel=1e-9, abs=1e-11)


def _real(shared: Path, name: str) -> Path:
    stem = name.removeprefix("bn_")
    found = sorted((shared / "data").glob(f"*/{stem}.parquet"))
    if not found:
        pytest.skip(f"no {stem}.parquet in the shared data")
    return found[0]


@pytest.mark.shared
@pytest.mark.parametrize("name", ["mushroom", "nursery", "vote", "bn_asia", "adult"])
def test_scores_equal_recomputed_numbers_on_real_tables(shared: Path, name: str) -> None:
    with (shared / "oracles" / "reference_mi" / f"{name}.csv").open() as stream:
        expected = {(r["a"], r["b"]): r for r in csv.DictReader(stream)}
    counts = il.count(str(_real(shared, name)), bins="exact")
    found = il.score(counts, base="e", missing="level", measures=["mi"]).set_index(["x", "y"])
    held = 0
    for (a, b), row in expected.items():
        pair = (a, b) if (a, b) in found.index else (b, a)
        if pair not in found.index:
            continue
        held += 1
        table = counts.table(a, b, missing="level")
        assert table.total == int(row["n"])
        assert table.shape == (int(row["levels_a"]), int(row["levels_b"]))
        assert len(table.cells[1]) == int(row["nonzero_cells"])
        scale = max(1.0, float(row["H_ab"]))
        assert found.loc[pair, MI] == pytest.approx(float(row["mi_nats"]), rel=1e-11, abs=1e-13 * scale)
    assert held >= len(expected) * 0.9


@pytest.mark.shared
@pytest.mark.parametrize("name", ["vote", "bn_asia"])
def test_scores_equal_scikit_learn_on_real_tables(shared: Path, name: str) -> None:
    path = _real(shared, name)
    data = pd.read_parquet(path).astype(object)
    data = data.where(data.notna(), "(missing)").astype(str)
    found = il.score(str(path), missing="level", base="e", bins="exact")
    for _, row in found.iterrows():
        x, y = data[row["x"]], data[row["y"]]
        assert row[MI] == pytest.approx(metrics.mutual_info_score(x, y), rel=1e-11, abs=1e-13)
        assert row[NMI] == pytest.approx(metrics.normalized_mutual_info_score(x, y), rel=1e-9, abs=1e-11)
        assert row[AMI] == pytest.approx(metrics.adjusted_mutual_info_score(x, y), rel=1e-9, abs=1e-11)


@pytest.mark.shared
def test_weights_on_babynames(shared: Path) -> None:
    with (shared / "oracles" / "reference_mi" / "babynames_weighted_by_count.csv").open() as stream:
        expected = {(r["a"], r["b"]): r for r in csv.DictReader(stream)}
    path = str(_real(shared, "babynames"))
    with dask.config.set(scheduler="threads"):
        counts = il.count(path, weights="count", bins="exact")
    found = il.score(counts, base="e", measures=["mi"]).set_index(["x", "y"])
    for pair, row in expected.items():
        assert found.loc[pair, "n"] == int(row["n"]) == 322_402_727
        assert found.loc[pair, MI] == pytest.approx(float(row["mi_nats"]), rel=1e-10)
        assert len(counts.table(*pair).cells[1]) == int(row["nonzero_cells"])


def test_pairs_that_do_not_fit_together_are_scored_in_blocks(tmp_path, monkeypatch):
    """Each block is counted in a scan of its own; the answer is that of one scan."""
    from infolake.reduction import planning

    rng = np.random.default_rng(3)
    columns = {f"c{i}": rng.integers(0, 40 + 10 * i, 30_000).astype(str) for i in range(6)}
    path = tmp_path / "data.parquet"
    pd.DataFrame(columns).to_parquet(path)
    asked = {"measures": ["mi", "ami"], "p_values": "g", "correction": "bh"}
    expected = il.score(path, **asked)
    monkeypatch.setattr(planning, "SAMPLE_ABOVE", 0)
    with dask.config.set({"infolake.memory-limit": "800KiB"}):
        monkeypatch.setattr("infolake.reduction.cluster._check_memory", lambda limit: None)
        plan = il.plan(path)
        assert len(plan.blocks) > 2
        assert "blocks" in repr(plan)
        pd.testing.assert_frame_equal(il.score(path, **asked), expected)
        with pytest.raises(il.InfolakeError, match="would not fit"):
            il.count(path)


def test_blocks_know_the_rules_of_their_own_columns(tmp_path, monkeypatch):
    """Bins and limits that name columns are those of the blocks that hold them."""
    from infolake.reduction import planning

    rng = np.random.default_rng(4)
    columns = {f"c{i}": rng.integers(0, 50, 30_000).astype(str) for i in range(5)}
    path = tmp_path / "data.parquet"
    pd.DataFrame(columns | {"n": rng.normal(size=30_000)}).to_parquet(path)
    asked = {"measures": ["mi"], "bins": {"n": 5}, "max_levels": {"c0": 20, "c3": 30}}
    expected = il.score(path, **asked)
    monkeypatch.setattr(planning, "SAMPLE_ABOVE", 0)
    monkeypatch.setattr("infolake.reduction.cluster._check_memory", lambda limit: None)
    with dask.config.set({"infolake.memory-limit": "300KiB"}):
        assert len(il.plan(path, **{k: v for k, v in asked.items() if k != "measures"}).blocks) > 2
        pd.testing.assert_frame_equal(il.score(path, **asked), expected)
