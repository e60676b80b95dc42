"""il.count on Dask: the same counts whatever the scheduler, cut and tree; the ledger catches faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
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
from dask.base import is_dask_collection

import infolake as il
from infolake.errors import (
    ChangedInputError,
    CorruptFileError,
    LedgerError,
    MissingValueError,
    TooManyCellsError,
    UnknownColumnError,
    UsageError,
)
from infolake.reduction import counting, leaf
from infolake.reduction.counting import lazy_counts, lazy_run
from infolake.reduction.planning import Asked, plan_count
from infolake.sources import Partition

BINS = {"delay": 4, "distance": {"method": "uniform", "bins": 3}}


def make_frame(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    """Return rows of several kinds with missing values."""
    random = np.random.default_rng(seed)
    delay = np.round(random.normal(10, 30, n), 1)
    delay[random.random(n) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "carrier": pd.Series(random.choice(["UA", "AA", "DL", "ä"], n)).mask(random.random(n) < 0.05),
            "late": random.random(n) < 0.3,
            "delay": delay,
            "distance": random.integers(100, 5000, n),
            "day": pd.Timestamp("2013-01-01") + pd.to_timedelta(random.integers(0, 9, n), "D"),
            "weight": random.integers(0, 4, n),
        }
    )


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return make_frame()


@pytest.fixture(scope="module")
def folder(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the frame as files of different sizes and row groups."""
    path = tmp_path_factory.mktemp("flights")
    bounds = [0, 10, 700, 700, 2500, len(frame)]
    for i, (a, b) in enumerate(pairwise(bounds)):
        table = pa.Table.from_pandas(frame.iloc[a:b], preserve_index=False)
        pq.write_table(table, path / f"part-{i}.parquet", row_group_size=100 + 50 * i)
    return path


@pytest.fixture(scope="module")
def whole(frame: pd.DataFrame) -> il.JointCounts:
    with dask.config.set(scheduler="sync"):
        return il.count(frame, bins=BINS)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with dask.config.set(scheduler="sync"):
        yield


def count(data: Any, *args: Any, **options: Any) -> il.JointCounts:
    return il.count(data, *args, **({"bins": BINS} | options))


# -- the same counts


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_every_scheduler_counts_the_same(folder: Path, whole: il.JointCounts, scheduler: str) -> None:
    with dask.config.set({"scheduler": scheduler, "num_workers": 2, "infolake.leaf-bytes": "1KiB"}):
        assert count(folder) == whole


@pytest.mark.parametrize("split_every", [2, 3, 8, 100])
@pytest.mark.parametrize("leaf_bytes", ["1B", "64MiB"])
def test_any_tree_counts_the_same(
    folder: Path, whole: il.JointCounts, split_every: int, leaf_bytes: str
) -> None:
    with dask.config.set({"infolake.split-every": split_every, "infolake.leaf-bytes": leaf_bytes}):
        assert count(folder) == whole


@pytest.mark.parametrize("weights", [None, "weight"])
@pytest.mark.parametrize("missing", ["pairwise", "listwise"])
def test_files_in_any_order_and_cut_count_the_same(
    folder: Path, frame: pd.DataFrame, weights: str | None, missing: str
) -> None:
    options: dict[str, Any] = {"weights": weights, "missing": missing}
    expected = count(frame, **options)
    paths = sorted(map(str, folder.glob("*.parquet")))
    assert count(paths[::-1], **options) == expected
    shuffled = frame.sample(frac=1, random_state=1)
    assert count(shuffled, **options) == expected
    parts = [count(frame.iloc[a:b], **options) for a, b in ((0, 1), (1, 1500), (1500, 3000))]
    exact = {c: sum(count(p, bins="exact", **options) for p in (frame[:100], frame[100:])) for c in ("x",)}
    assert exact["x"] == count(frame, bins="exact", **options)
    assert {p.fingerprint for p in parts}


def test_every_kind_of_frame_counts_the_same(frame: pd.DataFrame, whole: il.JointCounts) -> None:
    assert count(dd.from_pandas(frame, npartitions=3)) == whole
    assert count(
        dd.from_pandas(frame, npartitions=3)[list(frame.columns)[::-1]],
        columns=["carrier", "late"],
        bins=None,
    ).table("carrier", "late") == whole.table("carrier", "late")
    assert count(pa.Table.from_pandas(frame, preserve_index=False)) == whole
    assert count(pl.from_pandas(frame)) == whole
    categories = frame.assign(carrier=frame["carrier"].astype("category"))
    assert count(categories) == whole
    assert count(dd.from_pandas(categories, npartitions=2)) == whole


def test_dask_frames_know_filters_weights_and_missing(frame: pd.DataFrame) -> None:
    lazy = dd.from_pandas(frame, npartitions=4)
    for options in (
        {"filters": [("distance", ">", 1000)], "columns": ["carrier", "late"]},
        {"weights": "weight", "target": "late"},
        {"missing": "listwise", "groups": [("carrier", "delay", "late"), ("day",)]},
    ):
        given = dict(options)
        groups = given.pop("groups", "pairs")
        assert count(lazy, groups, **given, bins="exact") == count(frame, groups, **given, bins="exact")
    with pytest.raises(UnknownColumnError, match="'carrier'"):
        count(lazy, columns=["carier", "late"], bins=None)


def test_dask_frames_keep_the_most_frequent_levels(frame: pd.DataFrame) -> None:
    options = {"bins": BINS, "max_levels": {"carrier": 2, "day": 4}}
    found = il.count(dd.from_pandas(frame, npartitions=5), **options)
    whole = il.count(frame, **options)
    assert found.levels["carrier"][2] == "(2 other levels)"
    assert found.level_sets == whole.level_sets
    assert found.table("carrier", "day") == whole.table("carrier", "day")


def test_data_that_changes_between_the_passes_is_found(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = counting.keeping.keep

    def fewer(*arguments: Any) -> Any:
        found = kept(*arguments)
        for known in found.kept_levels:
            if known is not None:
                known.counts[:] = 1
        return found

    monkeypatch.setattr(counting.keeping, "keep", fewer)
    with pytest.raises(ChangedInputError, match="changed between the pass"):
        il.count(frame, bins=BINS, max_levels={"carrier": 2})


def test_dask_frames_of_numbered_columns_count() -> None:
    frame = pd.DataFrame({0: ["a", "b"], 1: ["p", "q"]})
    assert il.count(dd.from_pandas(frame, npartitions=2)) == il.count(frame)


def test_a_persisted_dask_frame_counts(frame: pd.DataFrame, whole: il.JointCounts) -> None:
    assert count(dd.from_pandas(frame, npartitions=2).persist()) == whole


# -- Dask's protocol


def test_a_lazy_count_is_a_dask_collection(folder: Path, whole: il.JointCounts) -> None:
    lazy = count(folder, compute=False)
    assert is_dask_collection(lazy)
    assert lazy.compute() == whole
    assert lazy.persist().compute() == whole
    other = count(folder, columns=["carrier", "late"], bins=None, compute=False)
    both = dask.compute(lazy, other, {"here": lazy})
    assert both[0] == whole == both[2]["here"]
    assert both[1].groups == (("carrier", "late"),)
    assert dask.persist(lazy, other)[0].compute() == whole
    assert dask.optimize(lazy)[0].compute() == whole
    assert dask.delayed(lambda c: c.n_rows)(lazy).compute() == whole.n_rows
    assert "tasks" in repr(lazy)


def test_building_a_graph_computes_and_reads_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[Any] = []

    def counting_scheduler(graph: Any, keys: Any, **options: Any) -> Any:
        computed.append(keys)
        return dask.get(graph, keys, **options)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("rows were read")

    reader = leaf.read_partitions
    monkeypatch.setattr(leaf, "read_partitions", never)
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", never)
    with dask.config.set(scheduler=counting_scheduler):
        lazy = count(folder, compute=False)
        il.plan(folder, bins=BINS)
        assert computed == []
        monkeypatch.undo()
        assert leaf.read_partitions is reader
        lazy.compute()
        assert len(computed) == 1


def test_names_are_readable_and_every_layer_is_known(folder: Path) -> None:
    lazy = count(folder, compute=False)
    graph = lazy.__dask_graph__()
    graph.validate()
    assert all(name.startswith("infolake-") for name in graph.layers)
    assert lazy.__dask_keys__()[0] in graph


SCRIPT = """
import sys, infolake as il
options = {"bins": 4, "weights": "weight", "missing": "listwise", "filters": [("distance", ">", 5)]}
lazy = il.count(sys.argv[1], **options, compute=False)
print(sorted(map(str, lazy.__dask_graph__().keys())))
"""


def test_keys_are_the_same_in_every_process(folder: Path) -> None:
    found = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT, str(folder)]
        found.add(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert len(found) == 1
    assert "infolake-count" in found.pop()


def test_different_counts_have_different_keys(folder: Path, frame: pd.DataFrame) -> None:
    options: list[dict[str, Any]] = [
        {},
        {"bins": 4},
        {"bins": {"delay": [-1000, 0, 1000]}},
        {"missing": "listwise"},
        {"filters": [("distance", ">", 5)]},
        {"filters": [("distance", ">", 6)]},
        {"weights": "weight"},
        {"target": "late"},
        {"columns": ["late", "carrier"], "bins": None},
    ]
    names = [count(folder, **o, compute=False).__dask_tokenize__() for o in options]
    names.append(count(frame, compute=False).__dask_tokenize__())
    names.append(count(frame[1:], compute=False).__dask_tokenize__())
    assert len(set(names)) == len(names)
    assert count(folder, compute=False).__dask_tokenize__() == names[0]


def test_a_large_graph_is_built_quickly(frame: pd.DataFrame) -> None:
    partition = il.plan(frame).leaves[0][0]
    plan = il.plan(frame)
    object.__setattr__(plan, "leaves", tuple((partition,) for _ in range(10_000)))
    object.__setattr__(plan, "__dict__", {**plan.__dict__, "token": "made-up"})
    best = min(_seconds(lambda: lazy_counts(plan)) for _ in range(3))
    assert best < 2


def _seconds(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# -- passes over the rows


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, ...], int]]:
    """Note every reading of partitions: the columns, and the rows that came."""
    noted: list[tuple[tuple[str, ...], int]] = []
    reader = leaf.read_partitions

    def noting(
        pieces: list[Partition], columns: list[str], **options: Any
    ) -> Iterator[tuple[Partition, pa.Table]]:
        for partition, table in reader(pieces, columns, **options):
            noted.append((tuple(columns), table.num_rows))
            yield partition, table

    monkeypatch.setattr(leaf, "read_partitions", noting)
    return noted


def test_exact_counts_read_the_rows_once(
    frame: pd.DataFrame, reads: list[tuple[tuple[str, ...], int]]
) -> None:
    il.count(frame, bins="exact")
    assert sum(n for _, n in reads) == len(frame)


def test_bin_edges_cost_two_more_passes_over_their_columns(
    frame: pd.DataFrame, reads: list[tuple[tuple[str, ...], int]]
) -> None:
    plan = plan_count(frame, Asked(bins={**BINS, "weight": "exact"}))
    _, found = lazy_run(plan).compute()
    assert found == {"count": 1, "bins": 2}
    assert [columns for columns, _ in reads] == [("delay", "distance")] * 2 + [tuple(frame.columns)]
    assert sum(n for _, n in reads) == 3 * len(frame)


def test_few_distinct_numbers_cost_one_pass(
    frame: pd.DataFrame, reads: list[tuple[tuple[str, ...], int]]
) -> None:
    plan = plan_count(frame[["late", "weight"]], Asked())
    _, found = lazy_run(plan).compute()
    assert found == {"count": 1, "bins": 1}
    assert len(reads) == 2


# -- the ledger


def _wrapped(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    reader = leaf.read_partitions

    def faulty(*args: Any, **options: Any) -> Iterator[tuple[Partition, pa.Table]]:
        yield from change(reader(*args, **options))

    monkeypatch.setattr(leaf, "read_partitions", faulty)


def _without(number: int) -> Any:
    return lambda batches: (b for i, b in enumerate(batches) if i != number)


FAULTS = {
    "the first batch is lost": _without(0),
    "the last batch is lost": lambda batches: iter(list(batches)[:-1]),
    "all batches are lost": lambda batches: iter(list(batches)[:0]),
    "a batch comes twice": lambda batches: (b for i, x in enumerate(batches) for b in [x] * (1 + (i == 1))),
    "a row is lost": lambda batches: ((p, t.slice(0, max(t.num_rows - 1, 0))) for p, t in batches),
    "a row comes twice": lambda batches: ((p, pa.concat_tables([t, t.slice(0, 1)])) for p, t in batches),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("bins", ["exact", 4])
def test_the_ledger_catches_readers_that_lose_or_repeat(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, bins: Any
) -> None:
    _wrapped(monkeypatch, FAULTS[fault])
    with pytest.raises((LedgerError, CorruptFileError, ChangedInputError)) as caught:
        il.count(folder, bins=bins)
    assert caught.value.exit_code in (65, 70)


def test_the_ledger_catches_a_leaf_that_is_merged_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = counting.joint_counts.add
    monkeypatch.setattr(counting.joint_counts, "add", lambda parts: add([*parts, parts[0]]))
    with dask.config.set({"infolake.leaf-bytes": "1B"}), pytest.raises((LedgerError, ChangedInputError)):
        il.count(folder, bins="exact")


def test_the_ledger_says_what_was_left_out(frame: pd.DataFrame, folder: Path) -> None:
    found = count(folder, missing="listwise", filters=[("late", "==", True)], bins="exact").ledger
    kept = frame[frame["late"]]
    complete = kept.dropna()
    assert found.rows_footer == found.rows_read == len(frame)
    assert found.rows_counted == len(complete)
    assert found.left_out == {"filtered": len(frame) - len(kept), "listwise": len(kept) - len(complete)}


# -- filters, missing values, bins


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ([("distance", ">", 2000)], "distance > 2000"),
        ([("distance", ">", 2000), ("late", "==", True)], "distance > 2000 and late"),
        ([[("carrier", "==", "UA")], [("distance", "<", 500)]], "carrier == 'UA' or distance < 500"),
        ([("carrier", "in", ["UA", "ä"])], "carrier in ['UA', 'ä']"),
        ([("day", ">=", "2013-01-05")], "day >= '2013-01-05'"),
        ([("delay", "<", 0)], "delay < 0"),
        ([("distance", ">", 10**6)], "distance > 1000000"),
    ],
)
def test_filters_choose_rows_before_anything_is_counted(
    folder: Path, frame: pd.DataFrame, filters: Any, query: str
) -> None:
    kept = frame.query(query)
    found = count(folder, columns=["carrier", "late"], filters=filters, bins=None)
    assert found.n_rows == len(kept)
    if len(kept):
        assert found.table("carrier", "late") == il.count(kept[["carrier", "late"]]).table("carrier", "late")
    edges = il.count(folder, columns=["delay", "late"], filters=filters, bins=4).edges
    assert edges == il.count(kept[["delay", "late"]], bins=4).edges


def test_hive_keys_prune_files_even_all_of_them(tmp_path: Path) -> None:
    for year in (2012, 2013):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(pa.table({"a": ["p", "q"], "b": [1, 2]}), tmp_path / f"year={year}" / "x.parquet")
    kept = il.count(tmp_path, filters=[("year", ">", 2012)])
    assert (kept.n_rows, kept.ledger.rows_read) == (2, 2)
    none = il.count(tmp_path, filters=[("year", ">", 3000)], bins=4)
    assert none.n_rows == 0
    assert il.score(none)["mutual_information"].isna().all()


def test_missing_values_are_refused_where_none_are_wanted(folder: Path) -> None:
    with pytest.raises(MissingValueError, match="has a missing value") as caught:
        count(folder, missing="error")
    assert caught.value.exit_code == 65
    assert count(folder, columns=["late", "day"], missing="error", bins=None).n_rows == 3000


def test_missing_anywhere_leaves_out_listwise(frame: pd.DataFrame) -> None:
    found = count(frame, [("carrier", "late"), ("delay",)], missing="listwise", bins="exact")
    assert found.n_rows == len(frame.dropna(subset=["carrier", "delay"]))
    assert None not in found.levels["carrier"]


def test_values_outside_given_edges_are_errors(frame: pd.DataFrame) -> None:
    from infolake.errors import BinRangeError

    with pytest.raises(BinRangeError, match="outside the given bin edges"):
        il.count(frame, bins={"distance": [0, 1000]})
    found = il.count(frame, bins={"distance": [-np.inf, 1000, np.inf]}, columns=["distance", "late"])
    assert found.levels["distance"] == ("[-inf, 1000)", "[1000, inf]")


def test_edges_are_those_of_all_rows(folder: Path, frame: pd.DataFrame) -> None:
    found = count(folder).edges
    delays = frame["delay"].dropna().to_numpy()
    assert found["delay"] == tuple(
        np.quantile(delays, [0, 0.25, 0.5, 0.75, 1], method="inverted_cdf").tolist()
    )
    low, high = frame["distance"].min(), frame["distance"].max()
    assert (found["distance"][0], found["distance"][-1]) == (low, high)


# -- arguments


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"groups": "triples"}, UsageError, "unknown groups"),
        ({"groups": 5}, UsageError, "groups make no sense"),
        ({"groups": [5]}, UsageError, "groups make no sense"),
        ({"groups": []}, UsageError, "no groups"),
        ({"groups": [()]}, UsageError, "names each"),
        ({"groups": [("a", "a")]}, UsageError, "once"),
        ({"groups": [("a", "nope")]}, UnknownColumnError, "nope"),
        ({"columns": "a"}, UsageError, "list of names"),
        ({"columns": ["a", "nope"]}, UnknownColumnError, "nope"),
        ({"columns": []}, UsageError, "names no column"),
        ({"target": "nope"}, UnknownColumnError, "nope"),
        ({"target": "a", "groups": "columns"}, UsageError, "target"),
        ({"missing": "level"}, UsageError, "unknown missing"),
        ({"weights": "nope"}, UnknownColumnError, "nope"),
        ({"weights": "a"}, UsageError, "weights are numbers"),
        ({"bins": {"nope": 3}}, UnknownColumnError, "nope"),
        ({"bins": {"a": 3}}, UsageError, "concern columns of numbers"),
        ({"bins": {"n": 0}}, UsageError, "make no sense"),
        ({"bins": {"n": [3, 1]}}, UsageError, "ascend"),
        ({"bins": {"n": "exactly"}}, UsageError, "make no sense"),
        ({"bins": {"n": {"method": "kmeans"}}}, UsageError, "unknown method"),
        ({"bins": {"n": {"methods": 3}}}, UsageError, "unknown key"),
        ({"filters": [("nope", ">", 3)]}, UnknownColumnError, "nope"),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_arguments_that_make_no_sense(options: dict[str, Any], error: Any, message: str, lazy: bool) -> None:
    frame: Any = pd.DataFrame({"a": ["x", "y"], "n": [1, 2]})
    data = dd.from_pandas(frame, npartitions=1) if lazy else frame
    with pytest.raises(error, match=message) as caught:
        il.count(data, **options)
    assert caught.value.exit_code == 2


def test_the_column_of_weights_is_counted_where_it_is_named(frame: pd.DataFrame) -> None:
    assert "weight" not in il.count(frame, weights="weight", bins="exact").columns
    named = il.count(frame, [("late", "weight")], weights="weight", bins="exact")
    assert named.columns == ("late", "weight")
    assert il.count(frame, target="weight", weights="weight", bins="exact").groups[0] == ("carrier", "weight")
    assert il.count(frame, columns=["late", "weight"], weights="weight", bins="exact").groups == (
        ("late", "weight"),
    )


def test_a_column_without_a_name_is_counted() -> None:
    assert il.count(pa.table({"": ["a", "b"], "y": [1, 2]})).groups == (("", "y"),)


def test_groups_are_counted_once_in_the_order_given(frame: pd.DataFrame) -> None:
    found = il.count(frame, [("late", "carrier"), ("carrier", "late"), "day", ("day",)])
    assert found.groups == (("late", "carrier"), ("day",))


# -- size


def test_too_many_cells_are_refused_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 20_000
    table = pa.table(
        {"a": [f"a{i}" for i in range(n)], "b": [f"b{i}" for i in range(n)], "c": np.arange(n) % 3}
    )
    for i in range(3):
        pq.write_table(table.slice(i * 7000, 7000), tmp_path / f"{i}.parquet", row_group_size=1000)
    monkeypatch.setattr(leaf, "read_partitions", lambda *_, **__: pytest.fail("rows were read"))
    monkeypatch.setattr("infolake.reduction.planning.SAMPLE_ABOVE", 0)
    with dask.config.set({"infolake.memory-limit": "1MiB"}), pytest.raises(TooManyCellsError) as caught:
        il.count(tmp_path, bins="exact")
    text = str(caught.value)
    assert caught.value.exit_code == 65
    assert "1.0 MiB" in text
    assert all(word in text for word in ("a (about", "columns=", "target=", "bins="))


# -- plans


def test_a_plan_says_what_will_happen(folder: Path) -> None:
    text = repr(il.plan(folder, bins=BINS))
    for words in (
        "inputs:       5 parquet",
        "rows:         3,000",
        "passes:       1 to count, and 2 (at most 3) over",
        "groups:       15 pairs",
        "memory limit:",
        "delay     double",
        "4 equal-frequency bins",
        "3 equal-width bins",
    ):
        assert words in text, text
    assert "<script>" not in il.plan(pa.table({"<script>": [1], "b": [1]}))._repr_html_()


def test_a_plan_of_groups_names_them() -> None:
    table = pa.table({c: ["a"] for c in "abcd"})
    text = repr(il.plan(table, [("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")]))
    assert "1 single columns, 1 pairs, 1 triples, 1 groups of 4 columns" in text


def test_a_plan_tells_levels_where_it_samples(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infolake.reduction.planning.SAMPLE_ABOVE", 0)
    plan = il.plan(folder, bins=BINS)
    assert plan.levels["late"] == 2
    text = repr(plan)
    assert "tables:" in text
    assert "supercolumns" in text
    assert "~2" in text


# -- distributed


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    from distributed import Client, LocalCluster

    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options, host="127.0.0.1", silence_logs=50) as cluster, Client(cluster) as found:
        yield found


@pytest.mark.cluster
@pytest.mark.timeout(120)
def test_a_cluster_counts_the_same(
    client: Any, folder: Path, frame: pd.DataFrame, whole: il.JointCounts
) -> None:
    with dask.config.set({"scheduler": None, "infolake.leaf-bytes": "1KiB"}):
        assert count(folder) == whole
        lazy = count(folder, compute=False)
        assert client.compute(lazy).result() == whole
        assert lazy.persist().compute() == whole
        assert client.persist(lazy).compute() == whole
        assert count(frame) == whole
        assert count(dd.from_pandas(frame, npartitions=3)) == whole


@pytest.mark.cluster
@pytest.mark.timeout(120)
def test_errors_come_home_from_a_cluster(client: Any, folder: Path) -> None:
    with dask.config.set({"scheduler": None}), pytest.raises(MissingValueError, match="missing value"):
        count(folder, missing="error")


KILLED = """
import json, os, signal, sys, threading, time
import dask, infolake as il
from distributed import Client, LocalCluster
from infolake.reduction import leaf

class Plugin:
    pass

def slow():
    import time
    from infolake.reduction import leaf
    reader = leaf.read_partitions
    def reading(*args, **options):
        for found in reader(*args, **options):
            time.sleep(0.05)
            yield found
    leaf.read_partitions = reading

if __name__ == "__main__":
    dask.config.set({"infolake.leaf-bytes": "1B", "logging.distributed": "critical"})
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1",
                      silence_logs=50) as cluster, Client(cluster) as client:
        client.run(slow)
        victim = client.run(os.getpid)
        pid = next(iter(victim.values()))
        threading.Timer(0.4, os.kill, (pid, signal.SIGKILL)).start()
        found = il.count(sys.argv[1], bins={"delay": 4, "distance": {"method": "uniform", "bins": 3}})
        found.save(sys.argv[2])
"""


@pytest.mark.cluster
@pytest.mark.timeout(120)
def test_a_worker_killed_in_the_middle_changes_nothing(
    folder: Path, whole: il.JointCounts, tmp_path: Path
) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(folder), str(tmp_path / "counts")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert il.load(tmp_path / "counts") == whole
    whole.save(tmp_path / "whole")
    for name in ("counts.json", "cells.parquet"):
        assert (tmp_path / "counts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    json.loads((tmp_path / "counts" / "counts.json").read_text())


def test_a_plan_says_how_large_groups_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards, rows sorted at a time, and whether they are spilled; other groups as before."""
    from infolake.reduction import planning

    monkeypatch.setattr(planning, "SAMPLE_ABOVE", 0)
    monkeypatch.setattr(planning, "SHARD_ABOVE", 5000)
    frame = pd.DataFrame({"a": np.arange(9000), "b": np.arange(9000)[::-1], "c": np.arange(9000) % 3})
    text = str(il.plan(frame, bins="exact"))
    assert "passes:       3 to count" in text
    assert "in shards:    3 of more than 5,000 cells (estimated), a scan each:" in text
    assert "in memory" in text
    with dask.config.set({"infolake.memory-limit": "300MiB"}):
        assert "rows sorted at a time" in str(il.plan(frame, bins="exact"))
    assert "in shards" not in str(il.plan(frame, bins={"a": 4, "b": 4}))
