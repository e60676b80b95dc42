"""max_levels: what is kept, what a bucket shows, and the certified intervals of scores."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import infolake as il
from infolake.encoding.kept import Rest
from infolake.errors import TooManyCellsError, UnknownColumnError, UsageError
from infolake.measures import catalogue, certified
from infolake.reduction.counting import lazy_counts, lazy_run
from infolake.reduction.planning import Asked, plan_count
from strategies import KINDS, columns, values_of

COVERED = [m.name for m in catalogue.every() if m.name in certified.FORMS and m.needs != "strata"]
CONDITIONAL = [m.name for m in catalogue.every() if m.name in certified.FORMS and m.conditional]


def make_frame(n: int = 4000, seed: int = 0, missing: float = 0.1) -> pd.DataFrame:
    """Return skewed columns that depend on each other, with missing values."""
    random = np.random.default_rng(seed)
    user = random.zipf(1.4, n) % 400
    item = np.where(random.random(n) < 0.5, user % 37, random.zipf(1.6, n) % 90)
    frame = pd.DataFrame(
        {
            "user": pd.Series([f"u{i}" for i in user]).mask(random.random(n) < missing),
            "item": pd.array(item, "Int64"),
            "copy": [f"c{i}" for i in item],
            "kind": random.integers(0, 3, n),
            "same": 1,
            "row": [f"r{i}" for i in range(n)],
            "weight": np.round(random.lognormal(0, 2, n), 6),
        }
    )
    frame.loc[random.random(n) < missing, "item"] = pd.NA
    return frame


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return make_frame()


@pytest.fixture(scope="module")
def folder(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts")
    for i, start in enumerate(range(0, len(frame), 700)):
        table = pa.Table.from_pandas(frame.iloc[start : start + 700], preserve_index=False)
        pq.write_table(table, path / f"{i}.parquet", row_group_size=150)
    return path


# -- what is kept


@given(
    data=st.data(), kind=st.sampled_from(sorted(k for k in KINDS if k != "nothing")), limit=st.integers(1, 4)
)
@settings(max_examples=150)
def test_every_type_keeps_its_most_frequent_levels(data: st.DataObject, kind: str, limit: int) -> None:
    n = data.draw(st.integers(0, 40))
    table = pa.table({"x": data.draw(columns(n, kind)), "y": pa.array(np.arange(n) % 3)})
    counts = il.count(table, max_levels={"x": limit})
    plain = il.count(table, bins="exact")
    tallied = plain.table("x", missing="level")
    levels = [v for v in plain.levels["x"] if v is not None]
    often = dict(zip(tallied.levels[0], tallied.margins[0].tolist(), strict=True))
    expected = sorted(levels, key=lambda v: (-often[v], levels.index(v)))[:limit]
    found = list(counts.levels["x"])
    if len(levels) <= limit:
        assert counts.kept["x"].levels is None
        assert found == list(plain.levels["x"])
        assert counts.table("x", "y") == plain.table("x", "y")
        return
    assert found[:limit] == [v for v in levels if v in expected]
    assert isinstance(found[limit], Rest)
    assert (None in found) == (None in values_of(table["x"]))
    assert counts.kept["x"].n_rest == len(levels) - limit
    inside = sum(often[v] for v in levels if v not in expected)
    table_x = counts.table("x", missing="level")
    assert table_x.margins[0][limit] == inside == counts.kept["x"].total
    for level in expected:
        assert table_x.where("x", level).total == often[level]


@pytest.mark.parametrize("weights", [None, "weight", "kind"])
def test_a_bucketed_table_is_the_exact_one_merged(frame: pd.DataFrame, weights: str | None) -> None:
    options: dict[str, Any] = {"weights": weights, "bins": "exact", "columns": ["user", "item", "copy"]}
    plain = il.count(frame, **options)
    counts = il.count(frame, max_levels={"user": 9, "item": 5}, **options)
    for pair in combinations(("user", "item", "copy"), 2):
        for missing in ("pairwise", "level"):
            merged = plain.table(*pair, missing=missing)
            found = counts.table(*pair, missing=missing)
            for column in set(pair) & {"user", "item"}:
                axis = merged.levels[merged.columns.index(column)]
                own = found.levels[found.columns.index(column)]
                merged = merged.merge_levels(
                    column, {own[-2 if None in own else -1]: [v for v in axis if v not in own]}
                )
                assert set(merged.levels[merged.columns.index(column)]) == set(own)
            for (i, a), (j, b) in (
                (x, y) for x in enumerate(found.levels[0]) for y in enumerate(found.levels[1])
            ):
                expected = merged.array[merged.levels[0].index(a), merged.levels[1].index(b)]
                assert found.array[i, j] == pytest.approx(expected, rel=1e-12)


def test_missing_is_never_in_the_bucket(frame: pd.DataFrame) -> None:
    counts = il.count(frame, columns=["user", "kind"], max_levels=1)
    assert counts.levels["user"][0] == frame["user"].mode()[0]
    assert counts.levels["user"][2] is None
    assert counts.table("user", missing="level").margins[0][2] == frame["user"].isna().sum()


def test_nothing_is_bucketed_without_being_asked(frame: pd.DataFrame) -> None:
    counts = il.count(frame, columns=["user", "kind"])
    assert counts.kept == {}
    assert not any(isinstance(v, Rest) for v in counts.levels["user"])
    assert "certified" not in " ".join(il.score(counts).columns)


def test_counts_that_are_made_keep_what_they_keep(frame: pd.DataFrame) -> None:
    counts = il.count(frame, columns=["user", "kind"])
    for ask in (
        lambda: il.score(counts, max_levels=5),
        lambda: il.associations(counts, "user", "kind", max_levels=5),
    ):
        with pytest.raises(UsageError, match="max_levels cannot change counts"):
            ask()


def test_a_column_that_is_binned_is_left_alone() -> None:
    frame = pd.DataFrame(
        {"x": np.arange(1000), "y": np.arange(1000) % 7, "s": [str(i % 30) for i in range(1000)]}
    )
    counts = il.count(frame, max_levels=4)
    assert set(counts.kept) == {"y", "s"}  # x has more than 256 values: 16 bins
    assert len(counts.levels["x"]) == 16
    named = il.count(frame, max_levels={"x": 4})
    assert named.levels["x"] == (0, 1, 2, 3, "(996 other levels)")
    assert set(named.kept) == {"x"}
    with pytest.raises(UsageError, match="binned"):
        il.count(frame, max_levels={"x": 4}, bins={"x": 8})
    assert len(il.count(frame, max_levels=4, bins={"x": 8}).levels["x"]) == 8


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"max_levels": 0}, UsageError, "max_levels makes no sense"),
        ({"max_levels": 2.5}, UsageError, "max_levels makes no sense"),
        ({"max_levels": True}, UsageError, "max_levels makes no sense"),
        ({"max_levels": {"user": "9"}}, UsageError, "max_levels of 'user'"),
        ({"max_levels": {"usr": 9}}, UnknownColumnError, "'usr'"),
        ({"max_levels": 9, "rest": "drop"}, UsageError, "unknown rest"),
    ],
)
def test_limits_that_make_no_sense(
    frame: pd.DataFrame, options: dict[str, Any], error: Any, words: str
) -> None:
    for ask in (il.count, il.plan, il.score):
        with pytest.raises(error, match=words):
            ask(frame, columns=["user", "kind"], **options)


# -- the same whatever the cut


@pytest.mark.parametrize("weights", [None, "weight"])
@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_any_cut_keeps_the_same(
    frame: pd.DataFrame, folder: Path, tmp_path: Path, scheduler: str, weights: str | None
) -> None:
    names = ["user", "item", "row"]
    asked = {
        "columns": names,
        "bins": "exact",
        "weights": weights,
        "max_levels": {"user": 20, "item": 4, "row": 3},
    }
    whole = il.count(frame, **asked)
    with dask.config.set({"scheduler": scheduler, "infolake.leaf-bytes": "4KiB"}):
        plan = plan_count(str(folder), Asked("pairs", **asked))
        found = lazy_counts(plan, split_every=2).compute()
    assert found.level_sets == whole.level_sets
    assert il.score(found).equals(il.score(whole))
    again = il.count([str(p) for p in sorted(folder.iterdir(), reverse=True)], **asked)
    for name, counts in (("a", found), ("b", again)):
        counts.save(tmp_path / name)
    files = [
        {str(p.relative_to(f)): p.read_bytes() for p in f.rglob("*") if p.is_file()}
        for f in (tmp_path / "a", tmp_path / "b")
    ]
    assert files[0] == files[1]


def test_ties_are_kept_in_the_order_of_the_levels() -> None:
    rows = pd.DataFrame({"x": list("dcbaabcd"), "y": range(8)})
    for order in ([0, 1, 2, 3, 4, 5, 6, 7], [7, 3, 1, 0, 2, 4, 6, 5]):
        assert il.count(rows.iloc[order], max_levels={"x": 2}).levels["x"] == ("a", "b", "(2 other levels)")


def test_the_pass_reads_limited_columns_once(folder: Path) -> None:
    plan = plan_count(str(folder), Asked([("user", "kind")], bins="exact", max_levels={"user": 5}))
    counts, reads = lazy_run(plan).compute()
    assert reads == {"count": 1, "bins": 0, "levels": 1}
    assert counts.levels["user"][5].startswith("(")


@pytest.mark.parametrize("missing", ["pairwise", "listwise"])
def test_the_pass_follows_filters_and_missing(frame: pd.DataFrame, missing: str) -> None:
    chosen = {"filters": [("kind", ">", 0)], "missing": missing, "bins": "exact", "columns": ["user", "item"]}
    counts = il.count(frame, max_levels=3, **chosen)
    plain = il.count(frame, **chosen)
    for column in ("user", "item"):
        margin = plain.table(column).margins[0]
        top = set(np.array(plain.table(column).levels[0], object)[np.argsort(-margin, kind="stable")[:3]])
        assert set(counts.levels[column][:3]) == top


# -- counts with buckets as values


def test_stored_counts_return(frame: pd.DataFrame, tmp_path: Path) -> None:
    limits = {"user": 7, "item": 5, "kind": 9}
    for i, weights in enumerate((None, "weight")):
        counts = il.count(frame, columns=["user", "item", "kind"], max_levels=limits, weights=weights)
        counts.save(tmp_path / str(i))
        found = il.load(tmp_path / str(i))
        assert found == counts
        assert found.fingerprint == counts.fingerprint
        assert found.levels == counts.levels
        assert found.kept["user"].counts.tolist() == counts.kept["user"].counts.tolist()
        assert il.score(found).equals(il.score(counts))
        assert json.loads((tmp_path / str(i) / "counts.json").read_text())["infolake_counts"] == 2


def test_unlike_counts_refuse_to_add(frame: pd.DataFrame) -> None:
    first, second = (
        il.count(part, columns=["user", "kind"], max_levels={"user": 5})
        for part in (frame[:2000], frame[2000:])
    )
    with pytest.raises(UsageError, match="do not add"):
        first + second
    with pytest.raises(UsageError, match="would hold rows of another count"):
        first + first
    with pytest.raises(UsageError, match="do not add"):
        first + il.count(frame[:2000], columns=["user", "kind"])


def test_parts_of_one_count_add(frame: pd.DataFrame) -> None:
    counts = il.count(frame, columns=["user", "kind"], max_levels={"user": 5})
    zero = il.JointCounts.zero(counts.request)
    assert zero + counts == counts
    assert (counts - counts) == zero
    exact = [il.count(p, columns=["kind", "same"], max_levels=9) for p in (frame[:50], frame[50:])]
    assert exact[0] + exact[1] == il.count(frame, columns=["kind", "same"], max_levels=9)


def test_slices_know_their_bucket(frame: pd.DataFrame) -> None:
    counts = il.count(
        frame, columns=["user", "item", "kind"], bins="exact", max_levels={"user": 5, "item": 6}
    )
    bucket = counts.levels["user"][5]
    assert counts.marginal(["user", "kind"]).levels["user"] == counts.levels["user"]
    assert counts.marginal(["item", "kind"]).kept == {"item": counts.kept["item"]}
    chosen = counts.where("user", ["u1", bucket])
    assert chosen.levels["user"] == ("u1", bucket)
    assert counts.drop_levels("user", [bucket, None]).levels["user"] == counts.levels["user"][:5]
    with pytest.raises(UsageError, match="in a bucket"):
        counts.merge_levels("user", {"v": ["u1", "u2"]})
    part = counts.where("kind", [0, 1])
    plain = il.count(frame[frame["kind"] < 2], columns=["user", "kind"], bins="exact")
    inside(
        il.score(part, columns=["user", "kind"], measures=COVERED), il.score(plain, measures=COVERED), COVERED
    )


def test_drift_between_unlike_buckets_is_refused(frame: pd.DataFrame) -> None:
    from infolake.analyses.drift import jensen_shannon_divergence

    first, second = (
        il.count(p, columns=["user", "kind"], max_levels={"user": 5}) for p in (frame[:2000], frame)
    )
    with pytest.raises(UsageError, match="keeps other levels"):
        jensen_shannon_divergence(first, second, "user")
    assert jensen_shannon_divergence(first, first, "user") == 0
    assert jensen_shannon_divergence(first, second, "kind") >= 0


# -- certified intervals


def inside(scores: pd.DataFrame, exact: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Hold the certified ends of scores against exact scores."""
    both = scores.merge(exact, on=["x", "y"], suffixes=("", "_exact"))
    assert len(both) == len(scores) == len(exact)
    for name in names:
        low, high = both[f"{name}_certified_low"], both[f"{name}_certified_high"]
        known = low.notna()
        truth = both[f"{name}_exact"]
        assert ((low <= truth) & (truth <= high))[known].all(), (
            name,
            both[~((low <= truth) & (truth <= high))],
        )
        if name not in ("adjusted_mutual_information", "expected_mutual_information"):
            assert (known == truth.notna()).all(), name
    return both


@pytest.mark.parametrize("missing", ["pairwise", "level", "listwise"])
@pytest.mark.parametrize("limit", [1, 7, 60, {"user": 3}, {"item": 12, "copy": 1}, {"row": 5, "same": 1}])
def test_scores_of_all_levels_lie_inside(frame: pd.DataFrame, limit: Any, missing: str) -> None:
    options: dict[str, Any] = {"missing": missing, "bins": "exact", "measures": COVERED}
    names = ["user", "item", "copy", "kind", "same", "row"]
    exact = il.score(frame, columns=names, **options)
    inside(il.score(frame, columns=names, max_levels=limit, **options), exact, COVERED)


@pytest.mark.parametrize("weights", ["weight", "kind"])
def test_weighted_scores_of_all_levels_lie_inside(frame: pd.DataFrame, weights: str) -> None:
    options: dict[str, Any] = {"weights": weights, "bins": "exact", "measures": COVERED}
    names = ["user", "item", "copy", "same"]
    exact = il.score(frame, columns=names, **options)
    inside(il.score(frame, columns=names, max_levels=8, **options), exact, COVERED)


@pytest.mark.parametrize("limit", [2, 25, {"kind": 1}, {"kind": 2, "user": 4}])
@pytest.mark.parametrize("missing", ["pairwise", "level"])
def test_conditional_scores_of_all_levels_lie_inside(frame: pd.DataFrame, limit: Any, missing: str) -> None:
    options: dict[str, Any] = {"given": "kind", "bins": "exact", "measures": CONDITIONAL, "missing": missing}
    names = ["user", "item", "copy"]
    exact = il.score(frame, columns=names, **options)
    inside(il.score(frame, columns=names, max_levels=limit, **options), exact, CONDITIONAL)


@given(
    data=st.data(),
    limit=st.integers(1, 4),
    missing=st.sampled_from(["pairwise", "level"]),
)
@settings(max_examples=100, deadline=None)
def test_small_data_of_any_kind_lies_inside(data: st.DataObject, limit: int, missing: str) -> None:
    n = data.draw(st.integers(1, 40))
    levels = st.lists(st.sampled_from([*"abcdefgh", None]), min_size=n, max_size=n)
    table = pa.table({c: pa.array(data.draw(levels), pa.string()) for c in "xyz"})
    options: dict[str, Any] = {"missing": missing, "measures": COVERED}
    inside(il.score(table, max_levels=limit, **options), il.score(table, **options), COVERED)


def test_pairs_without_a_bucket_are_exact(frame: pd.DataFrame) -> None:
    scores = il.score(frame, columns=["kind", "same", "user"], max_levels=5, measures=["mi", "chi2"])
    exact = scores[(scores["x"] == "kind") & (scores["y"] == "same")].iloc[0]
    for name in ("mutual_information", "chi_squared"):
        assert exact[f"{name}_certified_low"] == exact[name] == exact[f"{name}_certified_high"]
    other = scores[scores["x"] == "user"]
    assert other["chi_squared_certified_low"].isna().all()
    assert other["mutual_information_certified_low"].notna().all()


def test_certified_ends_have_units_and_stand_beside_confidence_intervals(frame: pd.DataFrame) -> None:
    scores = il.score(
        frame, columns=["user", "kind"], max_levels=5, measures=["mi", "nmi"], intervals="delta", base="e"
    )
    units = scores.attrs["units"]
    for end in ("certified_low", "certified_high", "low", "high", "se"):
        assert f"mutual_information_{end}" in scores
        assert units[f"mutual_information_{end}"] == "nats"
        assert units[f"normalized_mutual_information_{end}"] == ""
    bits = il.score(frame, columns=["user", "kind"], max_levels=5, measures=["mi"])
    ratio = bits["mutual_information_certified_high"] / scores["mutual_information_certified_high"]
    assert ratio.to_numpy() == pytest.approx(1 / np.log(2))


def test_a_pair_has_the_same_ends_whatever_stands_beside(frame: pd.DataFrame) -> None:
    ends = ["mutual_information_certified_low", "mutual_information_certified_high"]
    every = il.score(
        frame, max_levels=5, measures=["mi"], bins="exact", columns=["user", "item", "row", "kind"]
    )
    alone = il.score(frame, max_levels=5, measures=["mi"], bins="exact", columns=["user", "item"])
    row = every[(every["x"] == "user") & (every["y"] == "item")]
    assert row[ends].to_numpy().tolist() == alone[ends].to_numpy().tolist()


# -- associations, and what would not fit


def test_associations_show_the_bucket_and_keep_the_other_cells(frame: pd.DataFrame) -> None:
    options: dict[str, Any] = {"bins": "exact", "measures": ["pmi", "npmi"]}
    exact = il.associations(frame, "user", "item", **options)
    found = il.associations(frame, "user", "item", max_levels={"user": 6, "item": 4}, **options)
    bucket = found["user"].map(lambda v: str(v).startswith("(")) | found["item"].map(
        lambda v: isinstance(v, Rest)
    )
    assert found["item"].map(lambda v: isinstance(v, Rest)).any()
    kept = found[~bucket]
    both = kept.merge(exact, on=["user", "item"], suffixes=("", "_exact"))
    assert len(both) == len(kept)
    for name in ("count", "count_x", "count_y", "pointwise_mutual_information"):
        assert (both[name] == both[f"{name}_exact"]).all()
    assert found["count"].sum() == exact["count"].sum()


def test_what_would_not_fit_names_max_levels_and_fits_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infolake.reduction import planning

    n = 3000
    frame = pd.DataFrame({"a": [f"a{i}" for i in range(n)], "b": [f"b{i * 7 % n}" for i in range(n)]})
    frame.to_parquet(tmp_path / "x.parquet")
    monkeypatch.setattr(planning, "SAMPLE_ABOVE", 0)
    monkeypatch.setattr(planning, "LEAF_ROWS", 1)
    wide, kept = Asked(), Asked(max_levels=5)
    with dask.config.set({"infolake.memory-limit": "500KiB"}):
        assert plan_count(str(tmp_path), kept).levels == {"a": n, "b": n}
    with dask.config.set({"infolake.memory-limit": "200KiB"}), pytest.raises(TooManyCellsError) as caught:
        plan_count(str(tmp_path), wide)
    assert "max_levels" in caught.value.fields["next"]
    # the pass itself counts every level
    with dask.config.set({"infolake.memory-limit": "200KiB"}), pytest.raises(TooManyCellsError, match="fit"):
        plan_count(str(tmp_path), kept)


def test_a_plan_says_what_is_kept(frame: pd.DataFrame) -> None:
    text = repr(il.plan(frame, columns=["user", "item", "same"], max_levels=1000))
    assert "the 1,000 most frequent levels, the rest in one bucket" in text
    assert "1 over 3 columns for their most frequent levels" in text
