"""Counting in shards: the twin's numbers, and the same bytes whatever the scheduler, cut, memory and faults.

The limits from which groups are counted in shards are lowered, so that small data goes that way.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import infolake as il
from benchmarks import datasets
from infolake.analyses.sharded import EVERY
from infolake.errors import InfolakeError, StorageError, TooManyCellsError
from infolake.reduction import cluster, sharded
from infolake.reduction.planning import Asked, plan_count
from sharded_twin import (
    KINDS,
    SKEWS,
    cells_of_rows,
    column,
    entropy,
    marginal,
    npmi,
    rows_of,
    same_frame,
    skewed,
    twin_associations,
    twin_conditional,
    twin_score,
    written,
)

SUMMARY = ["mi", "nmi"]
N = 900


def data(n: int = N, x: str = "near", y: str = "keys", z: str = "int8") -> pa.Table:
    """Return three columns of many levels with missing values."""
    return pa.table({"x": column(x, n, 0), "y": column(y, n, 1), "z": column(z, n, 2)})


CUTS = (1, 200, 200, 555)


def score(source: Any, **options: Any) -> pd.DataFrame:
    """Ask for what needs every entropy of the pair (x, y)."""
    return il.score(source, **{"columns": ["x", "y"], "bins": "exact", "measures": SUMMARY} | options)


def cells(source: Any, **options: Any) -> pd.DataFrame:
    """Ask for the cells of (x, y)."""
    return il.associations(source, "x", "y", **{"bins": "exact", "measures": ["npmi", "pmi"]} | options)


def check_score(frame: pd.DataFrame, table: pa.Table, missing: str = "pairwise") -> None:
    """Hold a score against the twin."""
    for name, expected in twin_score(table, "x", "y", missing).items():
        assert math.isclose(frame[name][0], expected, rel_tol=1e-9, abs_tol=1e-9), name


def check_cells(
    frame: pd.DataFrame,
    table: pa.Table,
    missing: str = "pairwise",
    min_count: int = 1,
    top: int | None = None,
) -> None:
    """Hold associations against the twin: keys, counts, margins, values, order; ties in level order."""
    n = cells_of_rows(table, ("x", "y"), missing).total()
    expected = twin_associations(table, "x", "y", missing, min_count)
    place = {row: i for i, row in enumerate(expected)}
    found, values = rows_of(frame), frame["normalized_pointwise_mutual_information"].tolist()
    assert len(found) == (len(expected) if top is None else min(top, len(expected)))
    assert len(set(found)) == len(found)
    assert set(found) <= set(expected)
    assert all(
        math.isclose(v, npmi(r, n), rel_tol=1e-9, abs_tol=1e-9) for r, v in zip(found, values, strict=True)
    )
    order = [(-v, place[r]) for r, v in zip(found, values, strict=True)]
    assert order == sorted(order)
    if found and len(found) < len(expected):
        left = max(npmi(r, n) for r in set(expected) - set(found))
        assert values[-1] >= left - 1e-9


# -- the twin


@pytest.mark.parametrize("missing", ["pairwise", "level"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key(taken: list[Any], tmp_path: Path, kind: str, missing: str) -> None:
    """Values over the whole range of their type, missing in both columns, in files cut anywhere."""
    table = data(x=kind, y="near" if kind != "near" else "int64")
    folder = written(tmp_path / "data", table, CUTS)
    check_score(score(folder, missing=missing), table, missing)
    check_cells(cells(folder, missing=missing), table, missing)


@pytest.mark.parametrize(
    "kinds", [("near", "keys"), ("date", "decimal"), ("int64", "long_text"), ("text", "instant")]
)
def test_pairs_of_kinds_where_rows_miss(taken: list[Any], tmp_path: Path, kinds: tuple[str, str]) -> None:
    """Listwise leaves rows out for a third column's sake; an error names the column."""
    table = data(x=kinds[0], y=kinds[1])
    folder = written(tmp_path / "data", table, CUTS)
    kept = table.filter(pc.and_kleene(*(pc.is_valid(table[c]) for c in ("x", "y"))))
    found = il.score(folder, columns=["x", "y", "z"], bins="exact", measures=SUMMARY, missing="listwise")
    whole = table.drop_null()
    for x, y in (("x", "y"), ("x", "z"), ("y", "z")):
        row = found[(found["x"] == x) & (found["y"] == y)].iloc[0]
        for name, expected in twin_score(whole, x, y).items():
            if name != "n_missing":
                assert math.isclose(row[name], expected, rel_tol=1e-9, abs_tol=1e-9)
    check_score(score(folder, missing="listwise"), kept)
    with pytest.raises(InfolakeError, match="missing value"):
        score(folder, missing="error")


@pytest.mark.parametrize("name", SKEWS)
def test_skew(taken: list[Any], tmp_path: Path, name: str) -> None:
    table = skewed(name, N)
    folder = written(tmp_path / "data", table, CUTS)
    check_score(score(folder), table)
    check_cells(cells(folder), table)
    check_cells(cells(folder, top=7, min_count=2), table, min_count=2, top=7)
    assert taken
    assert all(isinstance(f, sharded.Answers) for f in taken[-2:])


@pytest.mark.parametrize("name", SKEWS)
def test_skew_spilled(spilling: Path, taken: list[Any], tmp_path: Path, name: str) -> None:
    table = skewed(name, 4000)
    folder = written(tmp_path / "data", table, CUTS)
    check_score(score(folder), table)
    check_cells(cells(folder, top=20), table, top=20)
    assert taken[-1].spilled > 0
    assert list(spilling.iterdir()) == []


def test_groups_of_three_and_more(taken: list[Any], tmp_path: Path) -> None:
    """Conditional information, and keys of many columns whose bits pass 64."""
    table = data(y="int8", z="near")
    folder = written(tmp_path / "data", table, CUTS)
    found = il.score(folder, columns=["x"], target="y", given="z", bins="exact", measures=["mi"])
    expected = twin_conditional(table, "x", "y", "z")
    assert math.isclose(found["mutual_information"][0], expected, rel_tol=1e-9)
    wide = pa.table({f"c{i}": column("int64", N, i, missing=0.02) for i in range(4)})
    path = written(tmp_path / "wide", wide, CUTS)
    found = il.score(path, columns=["c0"], target="c1", given=["c2", "c3"], bins="exact", measures=["mi"])
    names = [f"c{i}" for i in range(4)]
    counted = cells_of_rows(wide, names, "pairwise")
    assert found["n"][0] == counted.total()
    assert math.isclose(found["mutual_information"][0], _conditional(counted), rel_tol=1e-9, abs_tol=1e-9)


def _conditional(found: Counter[Any]) -> float:
    h = {axes: entropy(marginal(found, axes)) for axes in ((0, 2, 3), (1, 2, 3), (2, 3))}
    return h[0, 2, 3] + h[1, 2, 3] - entropy(found) - h[2, 3]


@pytest.mark.parametrize("min_count", [1, 2, 5, 10**6])
@pytest.mark.parametrize("top", [None, 0, 1, 13, 10**6])
def test_top_and_min_count_leave_marginals_alone(
    taken: list[Any], tmp_path: Path, min_count: int, top: int | None
) -> None:
    table = data(600)
    folder = written(tmp_path / "data", table, (100, 300))
    check_cells(cells(folder, min_count=min_count, top=top), table, min_count=min_count, top=top)
    by_count = cells(folder, min_count=min_count, top=top, sort_by="count")
    expected = sorted(twin_associations(table, "x", "y", min_count=min_count), key=lambda r: -r[2])
    assert rows_of(by_count) == expected[:top]


def test_a_top_of_the_whole_is_the_head_of_it(taken: list[Any], tmp_path: Path) -> None:
    folder = written(tmp_path / "data", data(), CUTS)
    whole = cells(folder)
    for top in (1, 10, 100):
        assert same_frame(cells(folder, top=top), whole.head(top))


def test_filters_and_folder_keys(taken: list[Any], tmp_path: Path) -> None:
    """Rows that a filter leaves out, and a column that stands in the names of folders."""
    table = data(y="int8")
    folder = written(tmp_path / "data", table, CUTS)
    chosen = table.filter(pc.greater(table["z"], 0))
    check_score(score(folder, filters=[("z", ">", 0)]), chosen)
    check_cells(cells(folder, filters=[("z", ">", 0)]), chosen)
    parts = []
    for key in (1, 20, 300):
        part = table.slice(key, 250).select(["x"])
        written(tmp_path / f"lake/y={key}", part)
        parts.append(part.append_column("y", pa.array([key] * len(part), pa.int64())))
    whole = pa.concat_tables(parts)
    lake = str(tmp_path / "lake")
    check_score(score(lake), whole)
    check_cells(cells(lake), whole)
    check_cells(cells(lake, filters=[("y", "in", [1, 300])]), whole.filter(pc.not_equal(whole["y"], 20)))


def test_no_rows(taken: list[Any], tmp_path: Path) -> None:
    """Nothing at all, and nothing that is complete."""
    empty = written(tmp_path / "empty", data(10).slice(0, 0))
    assert math.isnan(score(empty)["mutual_information"][0])
    assert len(cells(empty)) == 0
    missing = pa.table({"x": pa.nulls(50, pa.int64()), "y": column("near", 50, 0)})
    folder = written(tmp_path / "missing", missing)
    found = score(folder)
    assert (found["n"][0], found["n_missing"][0]) == (0, 50)
    assert len(cells(folder)) == 0


def test_later_files_hold_values_that_no_sample_shows(taken: list[Any], tmp_path: Path) -> None:
    """The last row of the last file is far from all others: longer, of other letters, beyond every range."""
    table = data(x="near", y="keys", n=2000)
    odd = pa.table(
        {
            "x": pa.array([2**62], pa.int64()),
            "y": pa.array(["Ünlike\x00" * 30]),
            "z": pa.array([1], pa.int8()),
        }
    )
    whole = pa.concat_tables([table, odd])
    folder = written(tmp_path / "data", whole, (1999, 2000))
    check_score(score(folder), whole)
    check_cells(cells(folder), whole)


@pytest.mark.parametrize("kind", ["keys", "date", "float", "decimal"])
def test_files_with_and_without_dictionaries(taken: list[Any], tmp_path: Path, kind: str) -> None:
    """The same values plain and as dictionaries, with other dictionaries in each file, in one folder."""
    table = data(x=kind)
    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(table.slice(0, 300), folder / "a.parquet", use_dictionary=False)
    pq.write_table(table.slice(300, 300), folder / "b.parquet", use_dictionary=True, row_group_size=50)
    rest = table.slice(600)
    if kind != "float":
        rest = rest.set_column(0, "x", rest["x"].dictionary_encode())
    pq.write_table(rest, folder / "c.parquet", store_schema=True)
    check_score(score(str(folder)), table)
    check_cells(cells(str(folder)), table)


# -- the same bytes


@pytest.fixture
def expected(taken: list[Any], tmp_path: Path) -> list[pd.DataFrame]:
    """What one file gives on the synchronous scheduler."""
    return answers(written(tmp_path / "whole", data(3000, "near", "keys")))


def answers(source: Any) -> list[pd.DataFrame]:
    """Ask every question whose answer must be the same."""
    return [
        score(source),
        score(source, missing="level"),
        cells(source),
        cells(source, top=40, min_count=2),
        il.score(source, columns=["x"], target="y", given="z", bins="exact", measures=["mi"]),
    ]


def assert_same(found: list[pd.DataFrame], wanted: list[pd.DataFrame]) -> None:
    """Compare frames to the last bit."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert same_frame(one, other)


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
@pytest.mark.parametrize("cuts", [(1, 1500), tuple(range(100, 3000, 100))])
def test_any_cut_gives_the_same_bytes(
    expected: list[pd.DataFrame], tmp_path: Path, scheduler: str, cuts: tuple[int, ...]
) -> None:
    with dask.config.set(scheduler=scheduler):
        assert_same(answers(written(tmp_path / "cut", data(3000, "near", "keys"), cuts, 31)), expected)


def test_any_order_of_rows_gives_the_same_bytes(expected: list[pd.DataFrame], tmp_path: Path) -> None:
    table = data(3000, "near", "keys")
    turned = table.take(pa.array(range(table.num_rows - 1, -1, -1)))
    assert_same(answers(written(tmp_path / "turned", turned, CUTS)), expected)


@pytest.mark.parametrize("bits", [1, 2, 4, pytest.param(8, marks=pytest.mark.slow)])
def test_any_number_of_shards_gives_the_same_bytes(
    expected: list[pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    monkeypatch.setattr(sharded, "shape", lambda *_: sharded.Shape(bits, 64 * bits, 1 << 2 * bits, 0))
    assert_same(answers(written(tmp_path / "cut", data(3000, "near", "keys"), CUTS)), expected)


def test_spilled_or_not_gives_the_same_bytes(
    expected: list[pd.DataFrame], spilling: Path, taken: list[Any], tmp_path: Path
) -> None:
    with dask.config.set(scheduler="threads", num_workers=2):
        assert_same(answers(written(tmp_path / "cut", data(3000, "near", "keys"), CUTS)), expected)
    assert taken[-1].spilled > 0
    assert list(spilling.iterdir()) == []


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_processes_give_the_same_bytes(
    expected: list[pd.DataFrame], request: pytest.FixtureRequest, tmp_path: Path, where: str
) -> None:
    """Blocks travel between processes, or their files are read by another one than wrote them."""
    if where == "disk":
        request.getfixturevalue("spilling")
    source = written(tmp_path / "cut", data(3000, "near", "keys"), CUTS)
    with dask.config.set({"scheduler": "processes", "num_workers": 2, "infolake.leaf-bytes": "16KiB"}):
        assert_same([score(source)], expected[:1])


@pytest.mark.cluster
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_cluster_gives_the_same_bytes(expected: list[pd.DataFrame], tmp_path: Path, workers: int) -> None:
    source = written(tmp_path / "cut", data(3000, "near", "keys"), CUTS)
    with cluster.connect(workers=workers, memory_limit="1GiB"), dask.config.set(scheduler=None):
        assert_same(answers(source), expected)


@pytest.mark.cluster
@pytest.mark.parametrize(
    "layer",
    [
        pytest.param("infolake-keys", marks=pytest.mark.slow),
        "infolake-split",
        pytest.param("infolake-answer", marks=pytest.mark.slow),
    ],
)
def test_a_worker_killed_amid_the_merge_changes_nothing(
    expected: list[pd.DataFrame], taken: list[Any], tmp_path: Path, layer: str
) -> None:
    """SIGKILL for a worker that holds leaves, splits or shards, while others are still to come."""
    source = written(tmp_path / "cut", data(3000, "near", "keys"), tuple(range(50, 3000, 50)))
    killed: list[str] = []
    with cluster.connect(workers=2, memory_limit="1GiB") as client, dask.config.set(scheduler=None):
        stop = threading.Event()
        killer = threading.Thread(target=_kill_holder, args=(client, layer, killed, stop))
        killer.start()
        try:
            assert_same(answers(source), expected)
        finally:
            stop.set()
            killer.join(60)
    assert killed


def _kill_holder(client: Any, layer: str, killed: list[str], stop: threading.Event) -> None:
    """Kill the worker that first holds a result of ``layer``."""
    pids = client.run(os.getpid)
    while not stop.wait(0.002):
        for address, held in client.has_what().items():
            if address in pids and any(layer in str(key) for key in held):
                os.kill(pids[address], signal.SIGKILL)
                killed.append(address)
                return


# -- faults


def _breaking(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> list[Path]:
    """Raise ``error`` when the third block is spilled; tell what folder it was for."""
    from infolake.reduction.spilling import Spill

    put, seen = Spill.put, []

    def third(self: Any, *arguments: Any) -> Any:
        seen.append(Path(self.folder))
        if len(seen) == 3:
            raise error
        return put(self, *arguments)

    monkeypatch.setattr(Spill, "put", third)
    return seen


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
@pytest.mark.parametrize("error", [RuntimeError("amid"), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_an_error_amid_the_run_leaves_no_spilled_files(
    spilling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str, error: BaseException
) -> None:
    source = written(tmp_path / "data", data(3000), tuple(range(100, 3000, 100)))
    seen = _breaking(monkeypatch, error)
    with dask.config.set(scheduler=scheduler, num_workers=2), pytest.raises(BaseException) as caught:
        score(source)
    assert isinstance(caught.value, type(error) | InfolakeError)
    assert len(seen) >= 3
    _gone(spilling)


def _gone(folder: Path, seconds: float = 5) -> None:
    """Wait until tasks that were under way have ended, then hold the folder to be empty."""
    deadline = time.monotonic() + seconds
    while list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(folder.iterdir()) == []


def test_too_little_room_stops_before_anything_is_read(
    spilling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(tmp_path / "data", data(3000), CUTS)
    usage = type("Usage", (), {"total": 10**9, "used": 10**9 - 10, "free": 10})
    monkeypatch.setattr("infolake.reduction.spilling.shutil.disk_usage", lambda _: usage)
    monkeypatch.setattr(
        "infolake.reduction.sharded.keys_leaf", lambda *_, **__: pytest.fail("rows were read")
    )
    with pytest.raises(StorageError) as caught:
        score(source)
    assert caught.value.exit_code == 74
    assert all(caught.value.fields[f] for f in ("where", "expected", "found", "effect", "next"))
    assert list(spilling.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_output_error(spilling: Path, tmp_path: Path) -> None:
    source = written(tmp_path / "data", data(3000), CUTS)
    (tmp_path / "file").write_text("no folder")
    with (
        dask.config.set({"infolake.spill-directory": str(tmp_path / "file" / "below")}),
        pytest.raises(InfolakeError) as caught,
    ):
        score(source)
    assert caught.value.exit_code == 73
    assert "infolake.spill-directory" in str(caught.value)


def test_a_truncated_spilled_file_is_no_result(
    spilling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spilled file that lost its end, or a block of it, stops the run."""
    from infolake.reduction.spilling import Spill

    put: Callable[..., Any] = Spill.put

    def cut(self: Any, *arguments: Any) -> Any:
        blocks = put(self, *arguments)
        path = blocks[-1].path
        os.truncate(path, Path(path).stat().st_size - 8)
        return blocks

    monkeypatch.setattr(Spill, "put", cut)
    with pytest.raises(InfolakeError) as caught:
        score(written(tmp_path / "data", data(3000), CUTS))
    assert caught.value.exit_code in (70, 74)
    assert list(spilling.iterdir()) == []


# -- early refusal


def test_a_table_beyond_the_limit_is_refused_but_its_scores_are_not(
    taken: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the columns, the estimate, the limit and what to do; nothing is read in full."""
    table = skewed("all rows distinct", 20_000)
    folder = written(tmp_path / "data", table, (5000,), row_group_size=2500)
    with dask.config.set({"infolake.leaf-bytes": "64KiB"}):
        check_score(score(folder), table)
    monkeypatch.setattr(
        "infolake.reduction.leaf.read_partitions", lambda *_, **__: pytest.fail("rows were read")
    )
    with dask.config.set({"infolake.memory-limit": "1MiB"}), pytest.raises(TooManyCellsError) as caught:
        il.count(folder, [("x", "y")], bins="exact").table("x", "y")
    text = str(caught.value)
    assert caught.value.exit_code == 65
    assert all(word in text for word in ("x (about", "y (about", "cells", "1.0 MiB", "memory limit", "bin"))


@pytest.mark.usefixtures("taken")
@pytest.mark.parametrize(
    ("ask", "advice"),
    [
        (lambda data: il.score(data, measures=["chi2"], bins="exact"), "entropies and margins only"),
        (lambda data: il.associations(data, "x", "y", bins="exact"), "set top or min_count"),
    ],
)
def test_a_refusal_says_first_what_helps_that_question(
    ask: Any, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever needs every cell of a large table hears what to ask instead."""
    folder = written(tmp_path / "data", skewed("all rows distinct", 20_000), (5000,), row_group_size=2500)
    monkeypatch.setattr(
        "infolake.reduction.leaf.read_partitions", lambda *_, **__: pytest.fail("rows were read")
    )
    with dask.config.set({"infolake.memory-limit": "1MiB"}), pytest.raises(TooManyCellsError) as caught:
        ask(folder)
    assert advice in caught.value.fields["next"].split(", or ")[0]


def test_a_shard_that_holds_more_than_its_share_is_asked_again(
    taken: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of few cells is scored from them, however they are spread over the shards."""
    table = data(x="near", y="int8")
    expected = score(table)
    assert len(taken) == 1
    assert taken[0].of[0, 1].cells is not None
    spread = sharded.Count.of_shard
    monkeypatch.setattr(sharded, "LEAST_SHARE", 0)
    monkeypatch.setattr(
        sharded.Count, "of_shard", lambda self, n: spread(self, n if self.keep == EVERY else 1 << 40)
    )
    pd.testing.assert_frame_equal(score(table), expected, check_exact=True)
    assert len(taken) == 3
    assert taken[1].of[0, 1].cells is None
    assert len(taken[2].of[0, 1].cells) == len(taken[0].of[0, 1].cells)


def test_where_memory_is_scarce_fewer_cells_go_to_shards(tmp_path: Path) -> None:
    """From a million estimated cells on, if they would take more than a quarter of the limit."""
    asked = Asked([("user", "item")], bins="exact")
    with dask.config.set({"infolake.memory-limit": "4GiB"}):
        assert not plan_count(datasets.sparse(tmp_path, 2_000_000), asked, in_blocks=True).large.any()
    with dask.config.set({"infolake.memory-limit": "500MiB"}):
        assert plan_count(datasets.sparse(tmp_path, 2_000_000), asked, in_blocks=True).large.all()
        assert not plan_count(datasets.sparse(tmp_path, 500_000), asked, in_blocks=True).large.any()


# -- what the shards hold, without a question


@pytest.mark.parametrize("kind", KINDS)
def test_shards_hold_every_cell_once(taken: list[Any], tmp_path: Path, kind: str) -> None:
    """The cells of all shards, decoded, are the twin's."""
    table = data(x=kind, y="near", n=700).select(["x", "y"])
    folder = written(tmp_path / "data", table, CUTS)
    plan = plan_count(folder, Asked([("x", "y")], bins="exact"))
    found = sharded.ask(plan, ["x", "y"], {(0, 1): sharded.Count(keep=10**9)}, level=True)
    shard = found.of[0, 1].cells.sorted()
    labels = [
        code.levels(codes[first]).labels
        for code, codes, first in (
            (c, v, _firsts(v)) for c, v in zip(shard.codes, shard.columns, strict=True)
        )
    ]
    places = [_ranks(v) for v in shard.columns]
    keys = [(labels[0][i], labels[1][j]) for i, j in zip(*places, strict=True)]
    assert Counter(dict(zip(keys, shard.counts.tolist(), strict=True))) == cells_of_rows(
        table, ("x", "y"), "level"
    )
    assert found.of[0, 1].frequencies.total == table.num_rows


def _firsts(codes: Any) -> list[int]:
    """Return a position of every distinct code, ascending by code."""
    first: dict[int, int] = {}
    for i, code in enumerate(codes.tolist()):
        first.setdefault(code, i)
    return [first[c] for c in sorted(first)]


def _ranks(codes: Any) -> list[int]:
    rank = {c: i for i, c in enumerate(sorted(set(codes.tolist())))}
    return [rank[c] for c in codes.tolist()]


def test_bin_edges_are_found_once_for_all_scans(taken: list[Any], tmp_path: Path, monkeypatch: Any) -> None:
    """Several pairs with a binned column, one scan each: none of them looks for edges again."""
    folder = written(tmp_path / "data", data(x="float", y="keys"), CUTS)
    bins = {"x": 8, "z": 5}
    wanted = [il.score(folder, columns=[c], target="y", bins={c: bins[c]}) for c in bins]
    found, attempt = [], sharded._attempt
    monkeypatch.setattr(sharded, "_attempt", lambda plan, *a: found.append(plan) or attempt(plan, *a))
    both = il.score(folder, columns=["x", "z"], target="y", bins=bins)
    assert len(found) >= 2
    assert not any(plan.first_pass.open for plan in found)
    for frame in wanted:
        row = both[both["x"] == frame["x"][0]].reset_index(drop=True)
        row.attrs = frame.attrs
        assert same_frame(row, frame)
