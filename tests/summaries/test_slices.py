"""Slices of counts: they commute with adding, and equal counting the data so changed."""

import datetime as dt
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import infolake as il
from infolake.errors import UnknownColumnError, UsageError
from infolake.summaries import cells as cells_module
from infolake.summaries.joint_counts import JointCounts, add
from strategies import cells_of, count_piece, groups, planned, splits, tables

FRAME = pd.DataFrame(
    {
        "x": ["a", "b", "c", "a", None, "b", "c", "a"],
        "y": [1, 2, 2, 1, 1, None, 2, 3],
        "z": [True, False, True, True, False, False, True, True],
        "v": [0.5, 1.5, 2.5, 3.5, 4.5, 0.0, 5.0, None],
    }
)
EDGES = [0, 1, 2, 3, 4, 5]


@st.composite
def counted(draw, min_columns=2):
    """Return a table, its counts, and those of its pieces."""
    table = draw(tables(min_columns=min_columns))
    wanted = draw(st.one_of(st.sampled_from(["pairs", "columns"]), groups(table.column_names)))
    plan = planned(table, wanted)
    pieces = [count_piece(plan, piece) for piece in draw(splits(table))]
    return count_piece(plan, table), pieces


@pytest.fixture(params=["as it is", "sparse"])
def layouts(request, monkeypatch):
    if request.param == "sparse":
        monkeypatch.setattr(cells_module, "DENSE_CELLS", 4)
    cells_module.layout.cache_clear()
    yield
    cells_module.layout.cache_clear()


def cells(counts, group):
    return cells_of(counts, group)


def summed(found, axes):
    out = Counter()
    for key, n in found.items():
        out[tuple(key[a] for a in axes)] += n
    return out


# -- laws


@pytest.mark.usefixtures("layouts")
def test_marginals_add_and_sum_the_groups():
    @given(counted(), st.data())
    def law(case, data):
        whole, pieces = case
        held = sorted({c for group in whole.groups for c in group})
        assume(held)
        names = data.draw(st.lists(st.sampled_from(held), min_size=1, unique=True))
        found = whole.marginal(names)
        found.check()
        assert add([p.marginal(names) for p in pieces]) == found
        for group in found.groups:
            source = next(g for g in whole.groups if set(group) <= set(g))
            assert cells(found, group) == summed(cells(whole, source), [source.index(c) for c in group])

    law()


@pytest.mark.usefixtures("layouts")
@pytest.mark.parametrize("method", ["where", "drop_levels"])
def test_chosen_levels_add_and_leave_the_other_rows_out(method):
    @given(counted(), st.data())
    def law(case, data):
        whole, pieces = case
        held = sorted({c for group in whole.groups for c in group if whole.levels[c]})
        assume(held)
        column = data.draw(st.sampled_from(held))
        levels = data.draw(st.lists(st.sampled_from(whole.levels[column]), min_size=1, unique=True))
        found = getattr(whole, method)(column, levels)
        found.check()
        assert add([getattr(p, method)(column, levels, strict=False) for p in pieces]) == found
        assert found.ledger.rows_read == whole.ledger.rows_read
        for group in whole.groups:
            if column in group:
                at = group.index(column)
                kept = {
                    k: n for k, n in cells(whole, group).items() if (k[at] in levels) == (method == "where")
                }
                assert cells(found, group) == kept
        assert all(column in group for group in found.groups)

    law()


@pytest.mark.usefixtures("layouts")
def test_merged_levels_add_and_equal_counting_the_merged_data():
    @given(counted(), st.data())
    def law(case, data):
        whole, pieces = case
        held = [c for c in whole.columns if len(whole.levels[c]) > 1]
        assume(held)
        column = data.draw(st.sampled_from(held))
        old = data.draw(st.lists(st.sampled_from(whole.levels[column]), min_size=1, unique=True))
        new = data.draw(st.sampled_from([*whole.levels[column], None]))
        found = whole.merge_levels(column, {new: old})
        found.check()
        assert add([p.merge_levels(column, {new: old}, strict=False) for p in pieces]) == found
        for group in whole.groups:
            moved = Counter()
            for key, n in cells(whole, group).items():
                changed = (new if c == column and v in old else v for c, v in zip(group, key, strict=True))
                moved[tuple(changed)] += n
            assert cells(found, group) == moved

    law()


@pytest.mark.usefixtures("layouts")
@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(0, 5)), st.sampled_from("ab")), min_size=1, max_size=30
    ),
    st.lists(st.sampled_from(EDGES[1:-1]), unique=True),
    st.integers(0, 30),
)
def test_coarser_bins_equal_counting_with_them(rows, inner, cut):
    frame = pd.DataFrame(rows, columns=["v", "x"]).astype({"v": float})
    kept = [0, *sorted(inner), 5]
    fine = il.count(frame, bins={"v": EDGES})
    coarse = il.count(frame, bins={"v": kept})
    assert fine.coarsen("v", kept) == coarse
    parts = [il.count(part, bins={"v": EDGES}) for part in (frame[:cut], frame[cut:]) if len(part)]
    assert add([p.coarsen("v", kept) for p in parts]) == coarse


# -- a slice equals counting the data so changed


def test_marginals_equal_counting_fewer_columns():
    counts = il.count(FRAME, bins="exact")
    assert counts.marginal(["z", "x", "y"]) == il.count(FRAME[["x", "y", "z"]], bins="exact")
    assert counts.marginal("x") == il.count(FRAME, "columns", columns=["x"], bins="exact")
    target = il.count(FRAME, target="y", bins="exact")
    assert target.marginal(["x", "y"]) == il.count(FRAME[["x", "y"]], target="y", bins="exact")
    assert target.marginal(["x", "z"]) == il.count(FRAME, "columns", columns=["x", "z"], bins="exact")
    triples = il.count(FRAME, [("z", "x", "y"), ("x", "v")], bins="exact")
    wanted = [("y", "z"), ("v",)]
    assert triples.marginal(wanted) == il.count(FRAME, wanted, bins="exact")
    assert triples.marginal(["x", "y"]).groups == (("x", "y"), ("x",))


def test_conditions_equal_counting_the_chosen_rows():
    counts = il.count(FRAME, [("x", "y", "z"), ("x", "v")], bins="exact")
    found = counts.where("z", True)
    rows = il.count(FRAME[FRAME["z"]], [("x", "y", "z")], bins="exact")
    assert found.levels == rows.levels
    assert found.table("x", "y", "z") == rows.table("x", "y", "z")
    assert found.ledger.left_out == {"filtered": 3, "listwise": 0}
    assert found.n_rows == 5
    assert il.score(found, given="z", measures="cmi")["n"].tolist() == [5]
    assert counts.where("x", None).n_rows == 1
    assert counts.where("x", ["a", "b"]).n_rows == 5


def test_merging_keeps_the_type_and_the_order():
    counts = il.count(FRAME, bins="exact")
    assert counts.merge_levels("x", {"other": ["b", "c"]}).levels["x"] == ("a", "other", None)
    assert counts.merge_levels("x", {"a": "b", "b": "c"}).levels["x"] == ("a", "b", None)
    assert counts.merge_levels("x", {None: "a"}).levels["x"] == ("b", "c", None)
    assert counts.merge_levels("x", {"z": None}).levels["x"] == ("a", "b", "c", "z")
    assert counts.merge_levels("y", {0: [2.0, 3.0]}).levels["y"] == (0.0, 1.0, None)
    days = il.count(pd.DataFrame({"d": [dt.date(2020, 1, 1), dt.date(2020, 1, 2)], "x": [0, 1]}))
    merged = days.merge_levels("d", {dt.date(2020, 1, 1): [dt.date(2020, 1, 2)]})
    assert merged.table("d", "x").array.tolist() == [[1, 1]]


def test_weighted_counts_merge_and_marginalize_exactly():
    frame = FRAME.assign(w=[0.1, 0.2, 0.3, 1e-300, 1e300, 3.5, 2.0**53 + 2, 0.7])
    counts = il.count(frame, [("x", "y", "z")], weights="w", bins="exact")
    assert counts.marginal([("x", "y")]) == il.count(frame, [("x", "y")], weights="w", bins="exact")
    merged = frame.assign(x=frame["x"].replace({"b": "c"}))
    found = counts.merge_levels("x", {"c": "b"})
    assert found.table("x", "y", "z") == il.count(merged, [("x", "y", "z")], weights="w").table("x", "y", "z")
    with pytest.raises(UsageError, match=r"table.*where"):
        counts.where("x", "a")


def test_coarsening_by_number():
    counts = il.count(FRAME, columns=["v", "x"], bins={"v": EDGES})
    assert counts.coarsen("v", every=2).edges["v"] == (0, 2, 4, 5)
    assert counts.coarsen("v", 2).edges["v"] == (0, 3, 5)
    assert counts.coarsen("v", 5) == counts
    assert counts.coarsen("v", 1).levels["v"] == ("[0, 5]", None)


def test_slices_are_saved_and_loaded(tmp_path):
    counts = il.count(FRAME, [("x", "y", "z"), ("x", "z")], bins="exact")
    found = counts.where("z", True).merge_levels("x", {"d": ["a"]})
    found.save(tmp_path / "slice")
    loaded = il.load(tmp_path / "slice")
    assert loaded == found
    assert loaded + found == found + found
    counts.save(tmp_path / "whole")
    assert '"slices"' not in (tmp_path / "whole" / "counts.json").read_text()


def test_slices_of_slices_commute():
    counts = il.count(FRAME, [("x", "y", "z")], bins="exact")
    assert counts.where("z", True).where("x", "a").table("y") == counts.where("x", "a").where(
        "z", True
    ).table("y")
    one = counts.where("z", True).marginal([("x", "y")])
    assert one.table("x", "y") == counts.where("z", True).table("x", "y")


# -- nothing that does not belong together adds


def test_slices_add_only_to_like_slices():
    counts = il.count(FRAME, [("x", "y", "z")], bins="exact")
    some = counts.where("z", True)
    assert (some + some).n_rows == 2 * some.n_rows
    for other in (
        counts,
        counts.where("z", False),
        counts.drop_levels("z", False),
        counts.merge_levels("x", {"a": "b"}),
    ):
        with pytest.raises(UsageError, match="do not add"):
            some + other


def test_listwise_counts_keep_their_columns():
    frame = pd.DataFrame({"x": ["a", "b", "a"], "y": [1, 2, 2], "z": [0, None, 1]})
    counts = il.count(frame, [("x", "y", "z"), ("x", "y")], missing="listwise", bins="exact")
    with pytest.raises(UsageError, match="left out"):
        counts.marginal(["x", "y"])
    assert counts.marginal([("x", "z"), ("y",)]).n_rows == 2


def test_wrong_slices_are_refused():
    counts = il.count(FRAME, columns=["x", "y", "v"], bins={"v": EDGES})
    with pytest.raises(UsageError, match="no level 'q'"):
        counts.where("x", "q")
    assert counts.where("x", "q", strict=False).n_rows == 0
    with pytest.raises(UnknownColumnError):
        counts.where("w", 1)
    with pytest.raises(UnknownColumnError):
        counts.marginal(["x", "w"])
    with pytest.raises(UnknownColumnError, match="not counted together"):
        counts.marginal([("x", "y", "v")])
    with pytest.raises(UsageError):
        counts.marginal([])
    with pytest.raises(UsageError, match="type"):
        counts.merge_levels("y", {"many": [1.0]})
    with pytest.raises(UsageError, match="two places"):
        counts.merge_levels("x", {"p": ["a"], "q": ["a", "b"]})
    with pytest.raises(UsageError, match="coarsen"):
        counts.merge_levels("v", {"low": ["[0, 1)"]})
    for wrong in (
        {"bins": 6},
        {"every": 0},
        {"bins": [0, 2.5, 5]},
        {"bins": [0, 2]},
        {},
        {"bins": 2, "every": 2},
    ):
        with pytest.raises(UsageError):
            counts.coarsen("v", **wrong)
    with pytest.raises(UsageError, match="not binned"):
        counts.coarsen("x", 2)


def test_bins_are_conditioned_on_by_their_labels():
    counts = il.count(FRAME, columns=["x", "v"], bins={"v": EDGES})
    assert counts.where("v", ["[0, 1)", "[4, 5]"]).table("x").array.tolist() == [1, 1, 1]


# -- what never needed a slice


def test_base_missing_policy_and_estimator_change_without_a_scan():
    counts = il.count(FRAME, bins="exact")
    bits = il.score(counts, measures="mi")
    nats = il.score(counts, measures="mi", base="e")
    assert nats["mutual_information"].to_numpy() == pytest.approx(
        bits["mutual_information"].to_numpy() * np.log(2)
    )
    for options in ({"missing": "level"}, {"entropy": "miller_madow"}):
        again = il.score(FRAME, measures="mi", bins="exact", **options)
        pd.testing.assert_frame_equal(il.score(counts, measures="mi", **options), again)


def test_many_pairs_are_sliced_quickly():
    rng = np.random.default_rng(0)
    table = pa.table({f"c{i:03d}": rng.integers(0, 4, 200) for i in range(120)})
    counts = il.count(table, bins="exact")
    assert isinstance(counts, JointCounts)
    half = counts.marginal(list(counts.columns[:60]))
    assert half == il.count(table.select(counts.columns[:60]), bins="exact")
    merged = counts.merge_levels("c000", {0: [1, 2]})
    assert merged.table("c000", "c001").array.sum() == 200


# -- tables


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=2, max_size=4), st.data())
def test_tables_are_sliced_like_arrays(rows, data):
    array = np.array(rows)
    chosen = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1)))
    dense = il.ContingencyTable(array)
    sparse = il.ContingencyTable.from_cells(
        np.nonzero(array), array[np.nonzero(array)], levels=dense.levels, columns=dense.columns
    )
    for table in (dense, sparse):
        assert np.array_equal(table.where("x", chosen).array, array[chosen])
        assert table.where("x", chosen) == table.drop_levels(
            "x", [i for i in range(len(rows)) if i not in chosen]
        )
        merged = table.merge_levels("x", {"new": chosen})
        assert merged.dense == table.dense
        assert merged.array[merged.levels[0].index("new")].tolist() == array[chosen].sum(axis=0).tolist()
        assert merged.total == table.total


def test_tables_refuse_levels_they_do_not_have():
    table = il.ContingencyTable.from_labels(["a", "b", None], [1, 1, 2])
    assert table.merge_levels("x", {None: "a"}).levels[0] == ("b", None)
    with pytest.raises(UsageError, match="no level"):
        table.where("x", "q")
    with pytest.raises(UnknownColumnError):
        table.where("q", "a")
