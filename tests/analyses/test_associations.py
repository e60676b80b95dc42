"""il.associations: one row per cell, by the rules of the public surface."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import infolake as il
from infolake.errors import UnknownColumnError, UnknownMeasureError, UsageError

PMI, NPMI = "pointwise_mutual_information", "normalized_pointwise_mutual_information"


@pytest.fixture(autouse=True)
def sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(4)
    n = 300
    return pd.DataFrame(
        {
            "who": pd.Series(random.choice(list("abcd"), n)).mask(random.random(n) < 0.1),
            "what": random.choice(["p", "q", "r"], n),
            "k": pd.array(random.integers(0, 3, n), "Int64"),
            "w": random.random(n),
        }
    )


def test_columns_stand_in_their_order(frame: pd.DataFrame) -> None:
    found = il.associations(frame, "who", "what")
    assert list(found) == ["who", "what", "count", "count_x", "count_y", PMI, NPMI]
    assert found.attrs["units"] == {PMI: "bits", NPMI: ""}
    other = il.associations(frame, "what", "who", measures=["npmi", "contribution"], base="e")
    assert list(other) == ["what", "who", "count", "count_x", "count_y", NPMI, "contribution"]
    assert other.attrs["units"] == {NPMI: "", "contribution": "nats"}


def test_values_are_those_of_the_formula(frame: pd.DataFrame) -> None:
    kept = frame.dropna(subset=["who"])
    cells = kept.groupby(["who", "what"]).size()
    found = il.associations(frame, "who", "what").set_index(["who", "what"])
    assert len(found) == len(cells)
    for (x, y), n in cells.items():
        a, b = (kept["who"] == x).sum(), (kept["what"] == y).sum()
        pmi = math.log2(n * len(kept) / (a * b))
        row = found.loc[(x, y)]
        assert (row["count"], row["count_x"], row["count_y"]) == (n, a, b)
        assert row[PMI] == pytest.approx(pmi, rel=1e-12, abs=1e-14)
        assert row[NPMI] == pytest.approx(pmi / -math.log2(n / len(kept)), rel=1e-12, abs=1e-14)


def test_contributions_sum_to_mutual_information(frame: pd.DataFrame) -> None:
    found = il.associations(frame, "who", "k", measures=["contribution"])
    mi = il.score(frame, columns=["who", "k"])["mutual_information"][0]
    assert found["contribution"].sum() == pytest.approx(mi, rel=1e-12)


def test_rows_are_sorted_with_ties_in_the_order_of_the_levels(frame: pd.DataFrame) -> None:
    found = il.associations(frame, "who", "what")
    assert found[PMI].is_monotonic_decreasing
    by_count = il.associations(frame, "who", "what", sort_by="count")
    assert by_count["count"].is_monotonic_decreasing
    by_second = il.associations(frame, "who", "what", sort_by="npmi")
    assert by_second[NPMI].is_monotonic_decreasing
    square = pa.table({"x": list("bbaa"), "y": [2, 1, 2, 1]})
    tied = il.associations(square, "x", "y")
    assert tied[["x", "y"]].to_numpy().tolist() == [["a", 1], ["a", 2], ["b", 1], ["b", 2]]


def test_filters_on_output_leave_the_margins_alone(frame: pd.DataFrame) -> None:
    whole = il.associations(frame, "who", "what")
    some = il.associations(frame, "who", "what", min_count=25)
    pd.testing.assert_frame_equal(some, whole[whole["count"] >= 25].reset_index(drop=True), check_exact=True)
    pd.testing.assert_frame_equal(
        il.associations(frame, "who", "what", top=3), whole.head(3), check_exact=True
    )
    assert len(il.associations(frame, "who", "what", top=0)) == 0
    assert len(il.associations(frame, "who", "what", min_count=10**9)) == 0
    assert len(il.associations(frame, "who", "what", top=10**6)) == len(whole)


def test_filters_on_rows_change_the_margins(frame: pd.DataFrame) -> None:
    found = il.associations(frame, "who", "what", filters=[("k", ">", 0)])
    pd.testing.assert_frame_equal(
        found, il.associations(frame[frame["k"] > 0], "who", "what"), check_exact=True
    )


def test_missing_as_a_level(frame: pd.DataFrame) -> None:
    found = il.associations(frame, "who", "what", missing="level")
    assert found["count"].sum() == len(frame)
    assert found["who"].isna().sum() == 3
    numbers = frame.assign(k=frame["k"].mask(frame["w"] < 0.3))
    shown = il.associations(numbers, "k", "what", missing="level")["k"]
    assert str(shown.dtype) == "Int64"
    assert shown.isna().any()


@pytest.mark.parametrize("missing", ["pairwise", "level"])
def test_counts_are_not_counted_again(
    frame: pd.DataFrame, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = il.associations(frame, "who", "what", missing=missing)
    counts = [il.count(frame, bins="exact"), il.count(frame, [("what", "k", "who")])]
    monkeypatch.setattr("infolake.reduction.leaf.read_partitions", lambda *_: pytest.fail("a scan"))
    for one in counts:
        found = il.associations(one, "who", "what", missing=missing)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("kind", ["int64", "uint64"])
def test_integers_beside_missing_stay_exact(kind: str) -> None:
    """Also the least int64, whose absolute value no int64 holds, and uint64 beyond 2**63."""
    low, high = (-(2**63), 2**63 - 1) if kind == "int64" else (2**53 + 1, 2**64 - 1)
    values = [low, low + 1, high - 1, high, None]
    table = pa.table({"x": pa.array(values, kind), "y": pa.array(list("abcde"))})
    found = il.associations(table, "x", "y", missing="level", bins="exact").sort_values("y")
    assert [None if pd.isna(v) else int(v) for v in found["x"]] == values


def test_weights_count_as_rows(frame: pd.DataFrame) -> None:
    whole = frame.assign(w=np.arange(len(frame)) % 3)
    repeated = whole.loc[whole.index.repeat(whole["w"])]
    pd.testing.assert_frame_equal(
        il.associations(whole, "who", "what", weights="w"),
        il.associations(repeated, "who", "what"),
        check_exact=True,
    )
    found = il.associations(frame, "who", "what", weights="w")
    assert found["count"].sum() == pytest.approx(frame.dropna(subset=["who"])["w"].sum(), rel=1e-14)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("count", "b"), ["count_level", "b"]),
        (("count_x", "count_y"), ["count_x_level", "count_y_level"]),
        ((PMI, "b"), [f"{PMI}_level", "b"]),
        (("count", "count_level"), ["count_level_level", "count_level"]),
        (("lift", "b"), ["lift", "b"]),
        (("<b>", "x\ny"), ["<b>", "x\ny"]),
    ],
)
def test_data_columns_with_taken_names_get_a_suffix(names: tuple[str, str], shown: list[str]) -> None:
    table = pa.table([pa.array(["a", "b", "a"]), pa.array(["p", "q", "q"])], names=list(names))
    found = il.associations(table, *names)
    assert list(found) == [*shown, "count", "count_x", "count_y", PMI, NPMI]
    assert set(found[shown[0]]) == {"a", "b"}
    assert set(found[shown[1]]) == {"p", "q"}


def test_bins_show_as_intervals() -> None:
    table = pa.table({"x": np.arange(100) / 10, "y": ["a", "b"] * 50})
    found = il.associations(table, "x", "y", bins={"x": [0, 5, 10]})
    assert set(found["x"]) == {"[0, 5)", "[5, 10]"}


def test_measures_of_cells_win_over_tables_of_the_same_name(frame: pd.DataFrame) -> None:
    found = il.associations(frame, "who", "what", measures=["g"], sort_by="g")
    assert "g" in found


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"measures": ["mi"]}, UnknownMeasureError),
        ({"measures": ["pmii"]}, UnknownMeasureError),
        ({"measures": []}, UsageError),
        ({"sort_by": "lift"}, UsageError),
        ({"sort_by": "nope"}, UnknownMeasureError),
        ({"base": 0}, UsageError),
        ({"top": -1}, UsageError),
        ({"top": 2.5}, UsageError),
        ({"top": True}, UsageError),
        ({"missing": "drop"}, UsageError),
        ({"y": "who"}, UsageError),
        ({"y": "nope"}, UnknownColumnError),
    ],
)
def test_arguments_that_make_no_sense(
    frame: pd.DataFrame, options: dict[str, Any], error: type[Exception]
) -> None:
    given: dict[str, Any] = {"x": "who", "y": "what"} | options
    for data in (frame, il.count(frame, bins="exact")):
        with pytest.raises(error):
            il.associations(data, **given)


def test_no_rows_are_no_associations() -> None:
    table = pa.table({"x": pa.array([], pa.string()), "y": pa.array([], pa.int64())})
    found = il.associations(table, "x", "y")
    assert len(found) == 0
    assert list(found)[:2] == ["x", "y"]
    nothing = pa.table({"x": pa.array([None, None], pa.string()), "y": [1, 2]})
    assert len(il.associations(nothing, "x", "y")) == 0
    assert len(il.associations(nothing, "x", "y", missing="level")) == 2


@pytest.mark.parametrize("large", [False, True])
def test_frames_below_each_other_are_the_whole(
    large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells are given, and written, a few at a time: the same rows, types, units and bytes."""
    from infolake.analyses import associations
    from infolake.jobs import saving
    from infolake.reduction import planning

    if large:
        monkeypatch.setattr(planning, "SAMPLE_ABOVE", 0)
        monkeypatch.setattr(planning, "SHARD_ABOVE", 0)
    x = [f"u_{n % 37}" for n in range(500)]
    table = pa.table({"x": x, "y": [None if n % 11 == 0 else n * n % 53 for n in range(500)]})
    asked = {"measures": ["npmi", "pmi"], "bins": "exact", "missing": "level", "min_count": 2}
    whole = il.associations(table, "x", "y", **asked)
    parts = list(associations.association_frames(table, "x", "y", rows=7, **asked))
    assert len(parts) == -(-len(whole) // 7) > 5
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
    assert all(part.attrs == whole.attrs for part in parts)
    saving.write_frame(whole, tmp_path / "a.parquet")
    saving.write_frames(associations.association_frames(table, "x", "y", **asked), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    saving.write_frames(iter(parts), tmp_path / "c.parquet")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "c.parquet"), pd.read_parquet(tmp_path / "a.parquet")
    )
    empty = asked | {"min_count": 10**6}
    assert [len(f) for f in associations.association_frames(table, "x", "y", **empty)] == [0]
