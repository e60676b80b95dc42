"""Keys longer than a word: the bits of a table in memory, whatever the scheduler, cut, memory and faults."""

from __future__ import annotations

import math
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import infolake as il
from infolake.encoding import key_codes
from infolake.encoding.key_codes import FloatKeys, IntegerKeys, LevelKeys
from infolake.reduction import cluster, planning, sharded
from infolake.reduction.planning import Asked, plan_count
from infolake.summaries import wide
from infolake.wide_kernels import mix_words, unmix_words
from sharded_twin import column, rows_of, same_frame, twin_associations, twin_conditional, twin_score, written

N = 1500
CUTS = (1, 400, 400, 1111)
EVERY_CUT = tuple(range(50, N, 50))
TOP = 2**63 - 1
ODD = [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, -5e-324, 1.5, -1.5, 1e300]


@pytest.fixture
def taken(taken: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Send every group through the shards, floats as such; the list tells what each scan found."""
    monkeypatch.setattr(key_codes, "FEW_LEVELS", 0)
    return taken


def hashed(n: int, seed: int, levels: int = 90, ends: tuple[int, ...] = (-TOP - 1, TOP - 1)) -> pa.Array:
    """Return ids over the whole range of int64, the ends that are given among them, some missing."""
    rng = random.Random(f"hashed {seed}")
    values = [*ends, *(rng.randrange(-TOP - 1, TOP) for _ in range(levels))]
    drawn = [values[min(int(rng.expovariate(4 / levels)), len(values) - 1)] for _ in range(n)]
    return pa.array([None if rng.random() < 0.05 else v for v in drawn], pa.int64())


def floats(n: int, seed: int) -> pa.Array:
    """Return numbers of every kind: NaN, zeros of both signs, infinities, the smallest ones."""
    rng = random.Random(f"floats {seed}")
    values = [*ODD, *(rng.uniform(-1, 1) * 10.0 ** rng.randrange(-300, 300) for _ in range(60))]
    drawn = [values[min(int(rng.expovariate(0.06)), len(values) - 1)] for _ in range(n)]
    return pa.array([None if rng.random() < 0.05 else v for v in drawn], pa.float64(), from_pandas=False)


KINDS = {
    "ids": hashed,
    "floats": floats,
    "uint64": lambda n, seed: column("uint64", n, seed).fill_null(7),
    "both ends": lambda n, seed: hashed(n, seed, ends=(-TOP - 1, TOP)),
    "the top": lambda n, seed: hashed(n, seed, ends=(TOP,)),
    "small": lambda n, seed: column("int8", n, seed),
    "keys": lambda n, seed: column("keys", n, seed),
    "wide decimal": lambda n, seed: column("wide_decimal", n, seed),
}


def data(*kinds: str, n: int = N) -> pa.Table:
    """Return columns ``c0``, ``c1``, ... of some kinds."""
    return pa.table({f"c{i}": KINDS[kind](n, i) for i, kind in enumerate(kinds)})


def score(source: Any, n: int = 2, **options: Any) -> pd.DataFrame:
    """Ask for the information between the first two of ``n`` columns, all others given."""
    given = [f"c{i}" for i in range(2, n)] or None
    asked = {"columns": ["c0"], "target": "c1", "given": given, "bins": "exact"} | options
    return il.score(source, **{"measures": ["mi"] if given else ["mi", "nmi"]} | asked)


def cells(source: Any, **options: Any) -> pd.DataFrame:
    return il.associations(source, "c0", "c1", **{"bins": "exact", "measures": ["npmi", "pmi"]} | options)


def answers(source: Any, n: int = 2) -> list[pd.DataFrame]:
    """Ask every question whose answer must be the same."""
    found = [score(source, n), score(source, n, missing="level")]
    if n == 2:
        found += [cells(source), cells(source, missing="level"), cells(source, top=40, min_count=2)]
    return found


def in_memory(source: Any, n: int = 2) -> list[pd.DataFrame]:
    """Return the same from tables in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "SHARD_ABOVE", 1 << 62)
        return answers(source, n)


def assert_same(found: list[pd.DataFrame], wanted: list[pd.DataFrame]) -> None:
    """Compare frames to the last bit."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert same_frame(one, other)


def widths(taken: list[Any]) -> dict[Any, int]:
    """Return how many words an entry of each group took at last."""
    keyed = taken[-1].keyed
    return {g: sharded.entry_words(keyed.sizes(g)) for g in keyed.groups}


PAIRS = [
    ("ids", "ids"),
    ("ids", "floats"),
    ("floats", "small"),
    ("floats", "floats"),
    ("uint64", "ids"),
    ("small", "ids"),
    ("keys", "floats"),
    ("both ends", "ids"),
    ("the top", "ids"),
    ("wide decimal", "ids"),
]


# -- a table in memory


@pytest.mark.parametrize("kinds", PAIRS, ids="-".join)
def test_pairs(taken: list[Any], tmp_path: Path, kinds: tuple[str, ...]) -> None:
    """Every answer has the bits of a table in memory, and the twin's numbers."""
    table = data(*kinds)
    source = written(tmp_path / "data", table, CUTS)
    wanted = in_memory(source)
    assert not taken
    found = answers(source)
    assert_same(found, wanted)
    assert widths(taken)[0, 1] > 1
    for name, expected in twin_score(table, "c0", "c1").items():
        assert math.isclose(found[0][name][0], expected, rel_tol=1e-9, abs_tol=1e-9), name
    assert sorted(map(repr, rows_of(found[2]))) == sorted(map(repr, twin_associations(table, "c0", "c1")))


GROUPS = [
    ("ids", "ids", "small"),
    ("small", "ids", "small"),
    ("small", "floats", "ids"),
    ("small", "keys", "ids"),
    ("ids", "floats", "small", "keys"),
    ("small", "ids", "small", "ids", "floats"),
]


@pytest.mark.parametrize("kinds", GROUPS, ids="-".join)
def test_groups_of_three_and_more(taken: list[Any], tmp_path: Path, kinds: tuple[str, ...]) -> None:
    """Strata of wide keys, where only some of the groups of a scan are wide too."""
    table = data(*kinds)
    source = written(tmp_path / "data", table, CUTS)
    wanted = in_memory(source, len(kinds))
    found = answers(source, len(kinds))
    assert_same(found, wanted)
    if len(kinds) == 3:
        expected = twin_conditional(table, "c0", "c1", "c2")
        assert math.isclose(found[0]["mutual_information"][0], expected, rel_tol=1e-9)


@pytest.mark.parametrize("kinds", [("ids", "floats"), ("ids", "floats", "small", "ids")], ids="-".join)
def test_tables_known_by_frequencies_only(
    taken: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...]
) -> None:
    """What holds for few cells holds where no cell is kept."""
    monkeypatch.setattr("infolake.measures.plug_in.RESIDUAL_CELLS", 10)
    monkeypatch.setattr("infolake.analyses.sharded.RESIDUAL_CELLS", 10)
    source = written(tmp_path / "data", data(*kinds), CUTS)
    assert_same(answers(source, len(kinds)), in_memory(source, len(kinds)))


def test_values_that_no_sample_shows(
    taken: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few levels in the sample, then many floats and ids: the codes are mended, not the levels counted."""
    monkeypatch.setattr(key_codes, "FEW_LEVELS", 1 << 12)
    monkeypatch.setattr(key_codes, "MAX_LEVELS", 1 << 5)
    monkeypatch.setattr(sharded, "ranks", lambda *_: pytest.fail("levels were counted"))
    head = pa.table({"c0": pa.array([3, 4] * N, pa.int64()), "c1": pa.array([0.5, math.nan] * N)})
    whole = pa.concat_tables([head, data("ids", "floats")])
    source = written(tmp_path / "data", whole, (2 * N,))
    monkeypatch.setattr("infolake.sources.partitions._spread", lambda partitions, _: partitions[:1])
    found = answers(source)
    assert_same(found, in_memory(source))
    assert [type(code) for code in taken[-1].keyed.codes] == [IntegerKeys, FloatKeys]
    assert isinstance(taken[0], sharded.Misfit)


def test_large_unsigned_values_that_no_sample_shows(taken: list[Any], tmp_path: Path) -> None:
    """The upper half of uint64 comes late."""
    head = pa.table({"c0": pa.array([3, 4] * N, pa.uint64()), "c1": pa.array([1, 2, 3, 4] * (N // 2))})
    late = pa.table({"c0": pa.array([None, 2**64 - 1], pa.uint64()), "c1": pa.array([2**62, -(2**62)])})
    source = written(tmp_path / "data", pa.concat_tables([head, late]), (N, 2 * N), row_group_size=10**6)
    found = answers(source)
    assert_same(found, in_memory(source))
    assert max(found[2]["c0"]) == 2**64 - 1


def test_bins_that_the_data_tell(taken: list[Any], tmp_path: Path) -> None:
    """Floats whose bins a first pass finds have a code of their own until then; none is counted alone."""
    source = written(tmp_path / "data", data("ids", "floats"), CUTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharded, "ranks", lambda *_: pytest.fail("levels were counted"))
        found = score(source, bins={"c0": "exact", "c1": 8})
    assert [code.size for code in taken[-1].keyed.codes][1] <= 9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "SHARD_ABOVE", 1 << 62)
        assert same_frame(found, score(source, bins={"c0": "exact", "c1": 8}))


def test_only_columns_without_a_code_are_ranked(taken: list[Any], tmp_path: Path) -> None:
    """Long texts, decimals and columns with both ends of a type; never ids, floats or short texts."""
    kinds = ("ids", "floats", "keys", "both ends", "wide decimal")
    source = written(tmp_path / "data", data(*kinds), CUTS)
    score(source, len(kinds))
    ranked = [isinstance(code, LevelKeys) for code in taken[-1].keyed.codes]
    assert ranked == [False, False, False, True, True]


# -- keys that the mixing cannot tell apart


def test_keys_of_one_mixed_word_are_counted_apart(taken: list[Any], tmp_path: Path) -> None:
    """Pairs that differ, made so that their mixed first words, by which rows are sent and sorted, agree."""
    ys = np.array([-TOP - 1, TOP - 1, *np.random.default_rng(3).integers(-TOP, TOP, 60)], np.int64)
    words = np.empty((len(ys), 2), np.uint64)
    words[:, 0], words[:, 1] = 0x123456789ABCDEF, ys.view(np.uint64) + np.uint64(2**63)
    unmix_words(words)
    xs = (words[:, 0] + np.uint64(2**63)).view(np.int64)
    times = np.arange(1, len(ys) + 1)
    table = pa.table({"c0": np.repeat(xs, times), "c1": np.repeat(ys, times)})
    rest = pa.table({"c0": hashed(N, 5), "c1": hashed(N, 6)})
    whole = pa.concat_tables([table, rest]).take(np.random.default_rng(4).permutation(len(table) + N))
    source = written(tmp_path / "data", whole, CUTS)
    found = answers(source)
    assert_same(found, in_memory(source))
    keyed = taken[0].keyed
    codes = [code.codes(table[c]) for c, code in zip(keyed.columns, keyed.codes, strict=True)]
    mixed = wide.packed(codes, keyed.sizes((0, 1)))
    mix_words(mixed)
    assert mixed.shape[1] == 2
    assert len(np.unique(mixed[:, 0])) == 1
    made = {(x, y, n) for x, y, n in zip(xs.tolist(), ys.tolist(), times.tolist(), strict=True)}
    assert made <= {row[:3] for row in rows_of(found[2])}


# -- the same bytes


@pytest.fixture
def expected(taken: list[Any], tmp_path: Path) -> list[pd.DataFrame]:
    """What tables in memory give, for a pair and for four columns."""
    return [
        *in_memory(written(tmp_path / "whole", data("ids", "floats"))),
        *in_memory(written(tmp_path / "four", data("ids", "floats", "small", "ids")), 4),
    ]


def everything(folder: Path, cuts: tuple[int, ...], row_group_size: int = 97) -> list[pd.DataFrame]:
    """Ask for the same of data in other pieces."""
    pair = written(folder / "pair", data("ids", "floats"), cuts, row_group_size)
    four = written(folder / "four", data("ids", "floats", "small", "ids"), cuts, row_group_size)
    return [*answers(pair), *answers(four, 4)]


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
@pytest.mark.parametrize("cuts", [(1, 700), EVERY_CUT], ids=len)
def test_any_cut_gives_the_same_bytes(
    expected: list[pd.DataFrame], tmp_path: Path, scheduler: str, cuts: tuple[int, ...]
) -> None:
    with dask.config.set(scheduler=scheduler):
        assert_same(everything(tmp_path / "cut", cuts, 31), expected)


@pytest.mark.parametrize("bits", [1, 4, pytest.param(9, marks=pytest.mark.slow)])
def test_any_number_of_shards_gives_the_same_bytes(
    expected: list[pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    monkeypatch.setattr(sharded, "shape", lambda *_: sharded.Shape(bits, 64 * bits, 1 << 2 * bits, 0))
    assert_same(everything(tmp_path / "cut", CUTS), expected)


def test_spilled_or_not_gives_the_same_bytes(
    expected: list[pd.DataFrame], spilling: Path, taken: list[Any], tmp_path: Path
) -> None:
    with dask.config.set(scheduler="threads", num_workers=2):
        assert_same(everything(tmp_path / "cut", CUTS), expected)
    assert taken[-1].spilled > 0
    assert list(spilling.iterdir()) == []


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_processes_give_the_same_bytes(
    expected: list[pd.DataFrame], request: pytest.FixtureRequest, tmp_path: Path, where: str
) -> None:
    """Blocks of several words travel between processes, or through files."""
    if where == "disk":
        request.getfixturevalue("spilling")
    source = written(tmp_path / "cut", data("ids", "floats"), CUTS)
    with dask.config.set({"scheduler": "processes", "num_workers": 2, "infolake.leaf-bytes": "16KiB"}):
        assert_same([score(source)], expected[:1])


@pytest.mark.cluster
def test_a_cluster_gives_the_same_bytes(expected: list[pd.DataFrame], tmp_path: Path) -> None:
    with cluster.connect(workers=2, memory_limit="1GiB"), dask.config.set(scheduler=None):
        assert_same(everything(tmp_path / "cut", CUTS), expected)


@pytest.mark.cluster
def test_a_worker_killed_amid_the_merge_changes_nothing(expected: list[pd.DataFrame], tmp_path: Path) -> None:
    """SIGKILL for a worker that holds blocks of several words, while others are still to come."""
    killed: list[str] = []
    with cluster.connect(workers=2, memory_limit="1GiB") as client, dask.config.set(scheduler=None):
        stop = threading.Event()
        killer = threading.Thread(target=_kill_holder, args=(client, killed, stop))
        killer.start()
        try:
            assert_same(everything(tmp_path / "cut", EVERY_CUT), expected)
        finally:
            stop.set()
            killer.join(60)
    assert killed


def _kill_holder(client: Any, killed: list[str], stop: threading.Event) -> None:
    """Kill the worker that first holds a block of a split leaf."""
    pids = client.run(os.getpid)
    while not stop.wait(0.002):
        for address, held in client.has_what().items():
            if address in pids and any("infolake-split" in str(key) for key in held):
                os.kill(pids[address], signal.SIGKILL)
                killed.append(address)
                return


# -- memory and disk


def test_longer_entries_need_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shape of a scan goes by words: three groups of one are one group of three."""
    monkeypatch.setattr(sharded, "_resources", lambda: (2, 1 << 28, True))
    one, three, long = (sharded.shape(10_000_000, widths) for widths in ((1,), (1, 1, 1), (3,)))
    assert three.spill_bytes == long.spill_bytes == 3 * one.spill_bytes == 240_000_000
    assert three.chunk_rows == long.chunk_rows < one.chunk_rows
    assert long.shard_bits > three.shard_bits == one.shard_bits


def test_a_plan_tells_the_room_that_wide_keys_need(taken: list[Any], spilling: Path, tmp_path: Path) -> None:
    """What is planned is what is used; ids and floats take three words an entry, their margins two each."""
    source = written(tmp_path / "data", data("ids", "floats"), CUTS)
    plan = plan_count(source, Asked([("c0", "c1")], bins="exact"), in_blocks=True)
    planned = sharded.planned_shape(plan)
    score(source)
    assert taken[-1].spilled == planned.spill_bytes == N * 8 * (3 + 2 + 2)
    assert widths(taken) == {(0, 1): 3, (0,): 2, (1,): 2}
    assert "spilled to disk, up to 82.0 KiB" in str(plan)
