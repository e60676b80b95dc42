"""Equal data gives equal bytes, whatever the scheduler, workers, tree, order and cut of the files."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from pathlib import Path

import dask
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infolake.jobs.run import run
from infolake.reduction import cluster

JOB = """
name: bytes
source: {path: PATH, filters: [[kept, "==", true]]}
bins: {size: 8, speed: {method: uniform, bins: 5}}
max_levels: {word: 7}
scores:
  - {name: pairs, measures: [mi, nmi, ami]}
  - {name: aim, target: colour, measures: [mi, cramers_v], missing: level}
  - {name: within, columns: [colour, number], given: kept, measures: [mi]}
associations:
  - {name: cells, x: colour, y: number, measures: [pmi, npmi], min_count: 2}
"""


def rows(n: int = 6000) -> pa.Table:
    """Return a table with strings, numbers to bin, many levels, rare ones, and missing values."""
    rng = np.random.default_rng(5)
    number = rng.integers(0, 300, n)
    colour = np.array(["red", "green", "blue", "käse", ""])[(number % 5 + rng.integers(0, 2, n)) % 5]
    return pa.table(
        {
            "colour": pa.array(colour, mask=rng.random(n) < 0.05),
            "number": pa.array(number, pa.int64()),
            "size": pa.array(rng.normal(size=n) + number, mask=rng.random(n) < 0.1),
            "speed": rng.exponential(size=n),
            "kept": rng.random(n) < 0.9,
            "word": pa.array([f"w{w}" for w in rng.zipf(1.5, n) % 200], mask=rng.random(n) < 0.05),
        }
    )


def written(folder: Path, cuts: list[int], *, backwards: bool = False, row_group_size: int = 700) -> Path:
    """Write the rows as Parquet files cut at ``cuts``, named in order or against it."""
    folder.mkdir()
    table = rows()
    parts = list(zip([0, *cuts], [*cuts, table.num_rows], strict=True))
    for i, (start, stop) in enumerate(parts):
        number = len(parts) - i if backwards else i
        part = table.slice(start, stop - start)
        pq.write_table(part, folder / f"part-{number:02d}.parquet", row_group_size=row_group_size)
    return folder


def digest(folder: Path) -> dict[str, str]:
    """Return a digest of every result that must be the same."""
    files = [folder / "scores.parquet", *folder.glob("associations/*"), *folder.rglob("counts/**/*.*")]
    return {
        str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()
    }


def results(tmp_path: Path, data: Path, name: str) -> dict[str, str]:
    """Run the job on ``data`` and return the digests of its results."""
    job = tmp_path / f"{name}.yaml"
    job.write_text(JOB.replace("PATH", str(data)))
    return digest(run(job, tmp_path / name).folder)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Results of one file on the synchronous scheduler."""
    folder = tmp_path_factory.mktemp("expected")
    with dask.config.set(scheduler="sync"):
        found = results(folder, written(folder / "data", []), "whole")
    assert len(found) >= 9
    assert any("kept/" in name for name in found)
    return found


@pytest.mark.parametrize("split_every", [2, 3, 8])
@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_any_tree(tmp_path: Path, expected: dict[str, str], scheduler: str, split_every: int) -> None:
    """Cut anywhere, in any order, merged by any tree."""
    data = written(
        tmp_path / "data", [1, 333, 2000, 2001, 5999], backwards=split_every == 3, row_group_size=97
    )
    with dask.config.set(
        {"scheduler": scheduler, "infolake.split-every": split_every, "infolake.leaf-bytes": "1KiB"}
    ):
        assert results(tmp_path, data, "cut") == expected


def test_processes(tmp_path: Path, expected: dict[str, str]) -> None:
    """A pool of processes."""
    with dask.config.set(scheduler="processes", num_workers=2):
        assert results(tmp_path, written(tmp_path / "data", [1000, 4000]), "pool") == expected


@pytest.mark.cluster
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_cluster(tmp_path: Path, expected: dict[str, str], workers: int) -> None:
    """A local cluster of any number of workers."""
    data = written(tmp_path / "data", [500, 1500, 2500, 4500])
    with (
        cluster.connect(workers=workers, memory_limit="1GiB"),
        dask.config.set({"infolake.leaf-bytes": "1KiB"}),
    ):
        assert results(tmp_path, data, "cluster") == expected


@pytest.mark.cluster
def test_a_killed_worker(tmp_path: Path, expected: dict[str, str]) -> None:
    """A worker dies by SIGKILL while it holds results; the run goes on and gives the same bytes."""
    data = written(tmp_path / "data", list(range(100, 6000, 100)), row_group_size=50)
    killed: list[int] = []
    with cluster.connect(workers=2, memory_limit="1GiB") as client:
        assert client is not None
        pids = client.run(os.getpid)
        victim = threading.Thread(target=_kill_when_busy, args=(client, min(pids.items()), killed))
        victim.start()
        with dask.config.set({"infolake.leaf-bytes": "1B"}):
            found = results(tmp_path, data, "killed")
        victim.join(60)
    assert killed
    assert found == expected


def _kill_when_busy(client: object, worker: tuple[str, int], killed: list[int]) -> None:
    address, pid = worker
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if len(client.has_what().get(address, ())) > 2:  # type: ignore[attr-defined]
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return
        time.sleep(0.005)
