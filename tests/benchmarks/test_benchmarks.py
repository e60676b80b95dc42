"""The benchmark command runs, checks equal counts, and prints its table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_command_prints_a_table(tmp_path: Path) -> None:
    """A tiny run of two workloads: infolake, the bare decode and DuckDB agree."""
    pytest.importorskip("duckdb")
    asked = ["--only", "target,given", "--rows", "2000", "--runs", "1", "--data", str(tmp_path)]
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks", *asked],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    rows = [line for line in found.stdout.splitlines() if line.startswith("|")]
    assert [r.split("|")[2].strip() for r in rows[2:]] == ["infolake", "decode", "duckdb"] * 2
