"""The benchmark command runs, checks equal counts, and prints its table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import contenders, sparse
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
    "name", ["sparse", "sparse_text", "top_pairs", "sparse_1gib", "sparse_long", "three"]
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
