"""The benchmark command: infolake and each peer side by side, in alternation, one table at the end.

Every contender runs in a process of its own with two threads; it warms up once, then all take turns.
Where a peer would take too long it answers a sample of the pairs, and its time is scaled: the table
says so. All contenders must give the same counts.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import multiprocessing as mp
import os
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import contenders, datasets

LIMIT = 1800


@dataclass(frozen=True)
class Entry:
    """One contender of a workload: options, and by how much its time is scaled."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    label: str = ""
    folder: Path | None = None


@dataclass(frozen=True)
class Workload:
    """One line of the table: the first entry is infolake's."""

    name: str
    folder: Path
    entries: list[Entry]


def workloads(root: Path, rows: int, columns: int) -> dict[str, Any]:
    """Return the makers of all workloads, by name."""
    levels = (datasets.LEVELS * (columns // 20 + 1))[:columns]
    pairs = columns * (columns - 1) // 2
    target = f"c{columns - 1:04d}"
    wide, many = max(rows // 10, 10), 1000

    def strings() -> Path:
        return datasets.strings(root, rows, levels)

    def sample(name: str, asked: int, every: int) -> Entry:
        return Entry(name, {"pairs": asked}, every / asked, f"{asked} pairs, scaled")

    def build_pairs() -> Workload:
        entries = [
            Entry("infolake"),
            Entry("decode"),
            Entry("duckdb"),
            Entry("polars"),
            sample("dask_groupby", 3, pairs),
        ]
        name = f"{rows:,} rows x {columns} strings, all {pairs:,} pairs"
        return Workload(name, strings(), [*entries, sample("sklearn", 2, pairs)])

    def build_cluster() -> Workload:
        return Workload(
            "the same on a cluster of 2 workers", strings(), [Entry("infolake_cluster"), Entry("infolake")]
        )

    def build_frame() -> Workload:
        return Workload(
            "the same through a Dask DataFrame", strings(), [Entry("infolake_dask"), Entry("dask_delivers")]
        )

    def build_long() -> Workload:
        folder = datasets.copies(strings(), 10)
        short = Entry("infolake", scale=10, label="10 x the short run", folder=strings())
        return Workload(f"{10 * rows:,} rows x {columns} strings", folder, [Entry("infolake"), short])

    def build_target() -> Workload:
        options = {"target": target}
        return Workload("one target column", strings(),
                        [Entry("infolake", options), Entry("decode"), Entry("duckdb", options)])  # fmt: skip

    def build_floats() -> Workload:
        folder = datasets.floats(root, rows, columns)
        return Workload(f"{rows:,} rows x {columns} floats in 16 bins", folder,
                        [Entry("infolake", {"bins": 16}), Entry("duckdb", {"bins": 16})])  # fmt: skip

    def build_wide() -> Workload:
        folder = datasets.strings(root, wide, (3,) * many)
        return Workload(f"{wide:,} rows x {many:,} columns of 3 levels, counts and MI", folder,
                        [Entry("infolake", {"measures": ["mi"]}), Entry("one_hot")])  # fmt: skip

    def build_sixteen() -> Workload:
        folder = datasets.strings(root, wide, (16,) * 200)
        return Workload(f"{wide:,} rows x 200 columns of 16 levels", folder,
                        [Entry("infolake"), sample("duckdb", 200, 19900)])  # fmt: skip

    def build_given() -> Workload:
        folder = datasets.conditional(root, rows)
        options = {"given": True}
        return Workload("I(x; y given z), 30 columns x", folder,
                        [Entry("infolake", options), Entry("decode"), Entry("duckdb", options)])  # fmt: skip

    return {name.removeprefix("build_"): make for name, make in locals().items() if name.startswith("build_")}


class Running:
    """A contender in its own process."""

    def __init__(self, entry: Entry, folder: Path) -> None:
        self.entry = entry
        self.times: list[float] = []
        self.checked: dict[str, list[int]] = {}
        self.megabytes = 0.0
        context = mp.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(
            target=contenders.serve, args=(entry.name, str(entry.folder or folder), entry.options, other)
        )
        self.process.start()
        other.close()

    def run(self, counted: bool) -> None:
        """Do the work once."""
        self.pipe.send("run")
        if not self.pipe.poll(LIMIT):
            self.process.kill()
            raise TimeoutError(f"{self.entry.name} took more than {LIMIT} s")
        seconds, self.checked, self.megabytes = self.pipe.recv()
        if counted:
            self.times.append(seconds * self.entry.scale)

    def stop(self) -> None:
        """End the process."""
        self.pipe.send("stop")
        self.process.join(60)
        if self.process.is_alive():
            self.process.kill()

    @property
    def median(self) -> float:
        """Median time in seconds."""
        return statistics.median(self.times)


def compare(workload: Workload, runs: int) -> list[Running]:
    """Warm every contender up, then let them take turns."""
    running = [Running(entry, workload.folder) for entry in workload.entries]
    try:
        for number in range(runs + 1):
            for contender in running:
                if contender.entry.scale <= 20 or number < 2:
                    contender.run(counted=number > 0)
    finally:
        for contender in running:
            if contender.process.is_alive():
                contender.stop()
    _check_equal(running)
    return running


def _check_equal(running: list[Running]) -> None:
    for contender in running[1:]:
        if contender.entry.folder is not None:
            continue
        for pair, counts in contender.checked.items():
            if running[0].checked.get(pair, counts) != counts:
                raise SystemExit(f"{contender.entry.name} counts {pair} otherwise than infolake")


def table(results: dict[str, list[Running]]) -> str:
    """Return the Markdown table of all workloads."""
    day = dt.datetime.now(dt.UTC).date()
    lines = [
        f"Medians on {os.cpu_count()} cores, {day}; every contender with 2 threads, in alternation, warm.",
        "",
        "| workload | contender | seconds | times infolake's | peak MiB |",
        "|---|---|---:|---:|---:|",
    ]
    for name, running in results.items():
        for i, contender in enumerate(running):
            ratio = contender.median / running[0].median
            note = f" ({contender.entry.label})" if contender.entry.label else ""
            label = contender.entry.name.replace("_", " ") + note
            start = f"| {name if i == 0 else ''} | {label} | {contender.median:.2f} "
            lines.append(f"{start}| {ratio:.2f} | {contender.megabytes:,.0f} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", help="workloads, separated by commas")
    parser.add_argument(
        "--data", type=Path, default=Path("data/bench"), help="where generated files are kept"
    )
    parser.add_argument("--output", type=Path, help="also write the table (.md) or the times (.json)")
    options = parser.parse_args(arguments)
    makers = workloads(options.data, options.rows, options.columns)
    chosen = options.only.split(",") if options.only else list(makers)
    results = {}
    for name in chosen:
        print(f"{name}: making data", file=sys.stderr)
        workload = makers[name]()
        print(f"{name}: running {len(workload.entries)} contenders", file=sys.stderr)
        results[workload.name] = compare(workload, options.runs)
        print(table({workload.name: results[workload.name]}), file=sys.stderr)
    print(table(results))
    if options.output:
        _save(options.output, results)


def _save(path: Path, results: dict[str, list[Running]]) -> None:
    if path.suffix == ".json":
        path.write_text(
            json.dumps({n: {r.entry.name: r.times for r in rs} for n, rs in results.items()}, indent=1)
        )
    else:
        path.write_text(table(results) + "\n")


if __name__ == "__main__":
    main()
