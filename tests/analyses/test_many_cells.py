"""Millions of cells go to Parquet in frames of bounded size; the process stays within its memory limit."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SCRIPT = """
import sys
from pathlib import Path
from infolake import cli
from infolake.analyses import associations
from infolake.jobs import large
from infolake.reduction import planning
rows, largest = int(sys.argv.pop(1)), 0
made = associations._frame
def frame(*arguments):
    global largest
    found = made(*arguments)
    largest = max(largest, len(found))
    return found
associations._frame = frame
planning.SHARD_ABOVE = 1 << 18
associations.association_frames.__kwdefaults__["rows"] = large.FRAME_ROWS = rows
try:
    cli.main()
finally:
    print(Path("/proc/self/status").read_text(), f"largest: {largest}", file=sys.stderr)
"""
JOB = """
name: many
source: {path: DATA}
bins: exact
associations: [{name: cells, x: x, y: y}]
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def written(folder: Path, n: int) -> Path:
    """Write ``n`` distinct pairs of n / 10 levels each."""
    folder.mkdir()
    for file in range(5):
        rows = np.arange(file * n // 5, (file + 1) * n // 5)
        table = pa.table({"x": rows // 10, "y": rows * 7919 % (n // 10)})
        pq.write_table(table, folder / f"{file}.parquet", row_group_size=250_000)
    return folder


def listed(data: Path) -> tuple[list[str], Path]:
    """Return the command that lists all cells, and the file they go to."""
    output = data.parent / "cells.parquet"
    return ["associations", str(data), "x", "y", "--bins", "exact", "--output", str(output)], output


def ran(data: Path) -> tuple[list[str], Path]:
    """Return the command that runs a job for all cells, and the file they go to."""
    job, output = data.parent / "job.yaml", data.parent / "out"
    job.write_text(JOB.replace("DATA", str(data)))
    return ["run", str(job), "--output", str(output)], output / "associations" / "cells.parquet"


@pytest.mark.parametrize("asked", [listed, ran])
@pytest.mark.parametrize(
    ("n", "rows", "limit"),
    [(1_000_000, 1 << 17, 700), pytest.param(10_000_000, 1 << 20, 2048, marks=pytest.mark.slow)],
)
def test_no_frame_holds_all_cells(
    tmp_path: Path, asked: Callable[[Path], tuple[list[str], Path]], n: int, rows: int, limit: int
) -> None:
    """Ten million cells in one frame would take 2.8 GiB here, and pass the limit."""
    command, output = asked(written(tmp_path / "data", n))
    options = ["--scheduler", "threads", "--workers", "2", "--memory-limit", f"{limit}MiB"]
    script = [sys.executable, "-c", SCRIPT, str(rows), *command, *options]
    found = subprocess.run(script, capture_output=True, text=True, check=False, timeout=240)
    assert found.returncode == 0, found.stderr[-2000:]
    peak, largest = (int(re.search(p, found.stderr)[1]) for p in (r"VmHWM:\s+(\d+) kB", r"largest: (\d+)"))  # type: ignore[index]
    assert largest == rows
    assert peak / 1024 <= 1.2 * limit
    file = pq.ParquetFile(output)
    assert file.metadata.num_rows == n
    assert file.num_row_groups == -(-n // rows)
    assert file.read(["count"])["count"].unique().to_pylist() == [1]
