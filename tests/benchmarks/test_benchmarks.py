"""The benchmark command runs, checks equal counts, and prints its table."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import contenders, sparse, stages
from benchmarks.__main__ import agree, check_equal, sparse_workloads


def test_the_command_prints_a_table(tmp_path: Path) -> None:
    """A tiny run of three workloads: infolake, the bare decode and DuckDB agree."""
    pytest.importorskip("duckdb")
    asked = ["--only", "target,given,sparse_1gib", "--rows", "2000", "--runs", "1", "--data", str(tmp_path)]
    found = _command(asked)
    assert found.returncode == 0, found.stderr
    rows = [line for line in found.stdout.splitlines() if line.startswith("|")]
    asked_of = [r.split("|")[2].strip() for r in rows[2:]]
    assert asked_of == [*["infolake", "decode", "duckdb"] * 2, "infolake score", "duckdb entropies"]
    assert [r.split("|")[6].strip() for r in rows[2:]] == [""] * 6 + ["0", "0"]


@pytest.mark.parametrize(
    "name", ["sparse", "sparse_text", "sparse_hashed", "top_pairs", "sparse_1gib", "sparse_long", "three"]
)
def test_contenders_agree_on_many_levels(tmp_path: Path, name: str) -> None:
    """All contenders of a tiny workload tell the same numbers and rows."""
    pytest.importorskip("duckdb")
    workload = sparse_workloads(tmp_path, 20_000)[name]()
    answers = []
    for entry in workload.entries:
        make = {**contenders.ALL, **sparse.ALL}[entry.name]
        answers.append((entry.name, make(str(entry.folder or workload.folder), entry.options)()))
    if name == "sparse_long":
        long, *short = (checked for _, checked in answers)
        assert all(agree(s["joint"] + 3, long["joint"]) for s in short)
    else:
        check_equal(answers)
    assert all(checked for entry, checked in answers if entry != "decode")


def test_the_profile_tells_every_stage(tmp_path: Path) -> None:
    """The stages of a tiny run add up, and reading is one of them."""
    asked = [
        "--only",
        "pairs,floats",
        "--rows",
        "20000",
        "--columns",
        "4",
        "--profile",
        "--data",
        str(tmp_path),
    ]
    found = _command(asked)
    assert found.returncode == 0, found.stderr
    rows = [line.split("|")[1:-1] for line in found.stdout.splitlines() if line.startswith("| ")]
    assert [cell.strip() for cell in rows[0]] == ["stage", "pairs", "floats"]
    times = {row[0].strip(): [int(cell.replace(",", "")) for cell in row[1:]] for row in rows[1:]}
    assert set(times) == {*stages.STAGES, "the rest", "all"}
    for number in range(2):
        total = sum(found[number] for stage, found in times.items() if stage != "all")
        assert abs(times["all"][number] - total) <= len(stages.STAGES)
        assert times["open and decode"][number] > 0


def test_time_within_a_stage_is_counted_once() -> None:
    """A stage inside another one, and a generator's steps, are told apart."""
    watch = stages.Stopwatch()

    def busy(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    def steps() -> Iterator[int]:
        for i in range(3):
            busy(0.01)
            yield i

    inner = watch.wrapped("inner", busy)
    outer = watch.wrapped("outer", lambda: (busy(0.02), inner(0.03)))
    assert list(watch.wrapped("steps", steps)()) == [0, 1, 2]
    outer()
    assert 0.02 <= watch.seconds["outer"] < 0.03 <= watch.seconds["inner"] < 0.045
    assert 0.03 <= watch.seconds["steps"] < 0.045


def test_every_kernel_is_compiled_by_the_run_that_times_it(tmp_path: Path) -> None:
    """With an empty cache, a small use of everything leaves no kernel out."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks.kernels_used"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert found.stdout.strip() == "every kernel was used", found.stdout + found.stderr


def test_answers_that_differ_stop_the_run() -> None:
    """Numbers agree to 1e-10, counts and rows exactly."""
    assert agree([1.0, 2], [1.0 + 1e-12, 2])
    assert not agree([1.0, 2], [1.0 + 1e-8, 2])
    assert not agree([1], [1, 1])
    with pytest.raises(SystemExit, match="peer has another mi than infolake"):
        check_equal([("infolake", {"mi": 1.0}), ("peer", {"mi": 1.1})])


@pytest.mark.cluster
def test_the_cluster_gives_the_same_bytes(tmp_path: Path) -> None:
    """The workload on a cluster runs by command and compares the frames."""
    asked = ["--only", "sparse_cluster", "--rows", "2000", "--runs", "1", "--data", str(tmp_path)]
    found = _command(asked)
    assert found.returncode == 0, found.stderr


def _command(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
