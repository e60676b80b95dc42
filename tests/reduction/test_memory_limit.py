"""A run in this process stays within its memory limit, from the first byte to the last."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import datasets

SCRIPT = """
import sys
from pathlib import Path
from infolake import cli
try:
    cli.main()
finally:
    print(Path("/proc/self/status").read_text(), file=sys.stderr)
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def peak(folder: Path, *options: str) -> tuple[str, float]:
    """Score a pair in a process of its own; return what it shows, and its peak resident memory in MiB."""
    asked = ["score", str(folder), "--bins", "exact", "--measure", "mi", "--scheduler", "threads"]
    command = [sys.executable, "-c", SCRIPT, *asked, "--workers", "2", *options]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert found.returncode == 0, found.stderr[-2000:]
    kibibytes = re.search(r"VmHWM:\s+(\d+) kB", found.stderr)
    assert kibibytes is not None
    return found.stdout, int(kibibytes[1]) / 1024


@pytest.mark.parametrize("rows", [12_000_000, pytest.param(40_000_000, marks=pytest.mark.slow)])
def test_the_peak_stays_within_the_limit(tmp_path: Path, rows: int) -> None:
    """The same result within 1.2 times the limit, which a long run without one passes."""
    limit = 500
    folder = datasets.sparse(tmp_path, rows)
    shown, within = peak(folder, "--memory-limit", f"{limit}MiB")
    free, without = peak(folder)
    assert shown == free
    assert within <= 1.2 * limit
    if rows > 12_000_000:
        assert without > 1.2 * limit


@pytest.mark.slow
def test_a_table_of_nearly_as_many_cells_as_are_held_stays_within_the_limit(tmp_path: Path) -> None:
    """A few cells less than 2**22: the largest table whose MI is a sum over all cells."""
    folder = datasets.sparse(tmp_path, 4_000_000)
    shown, within = peak(folder, "--memory-limit", "500MiB")
    free, without = peak(folder)
    assert shown == free
    assert within <= 1.2 * 500 < without
