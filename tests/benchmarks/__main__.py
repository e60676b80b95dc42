"""The benchmark command: infolake and each peer side by side, in alternation, one table at the end.

Every contender runs in a process of its own with two threads; it warms up once, then all take turns.
Where a peer would take too long it answers a sample of the pairs, and its time is scaled: the table
says so. All contenders must give the same counts, or the same numbers to 1e-10.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import multiprocessing as mp
import os
import shutil
import statistics
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import contenders, datasets, sparse, stages

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
    transient: bool = False
    """Whether the data is removed after the run."""


def workloads(root: Path, rows: int, columns: int) -> dict[str, Any]:
    """Return the makers of all workloads, by name."""
    return {**dense_workloads(root, rows, columns), **sparse_workloads(root, 5 * rows)}


def dense_workloads(root: Path, rows: int, columns: int) -> dict[str, Any]:
    """Return the makers of the workloads whose tables are small."""
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

    def build_compile() -> Workload:
        entries = [Entry("infolake_first"), Entry("infolake_again")]
        return Workload("every kernel, compiled first", datasets.strings(root, wide, (3,)), entries)

    def build_given() -> Workload:
        folder = datasets.conditional(root, rows)
        options = {"given": True}
        return Workload("I(x; y given z), 30 columns x", folder,
                        [Entry("infolake", options), Entry("decode"), Entry("duckdb", options)])  # fmt: skip

    return {name.removeprefix("build_"): make for name, make in locals().items() if name.startswith("build_")}


PAIR = {"groups": sparse.PAIR, "score": {"columns": ["user", "item"], "measures": ["mi", "nmi"]}}
THREE = {
    "groups": (("a", "b", "c"), ("a", "c"), ("b", "c"), ("c",)),
    "score": {"columns": ["a"], "target": "b", "given": "c", "measures": ["mi"]},
}


def sparse_workloads(root: Path, rows: int) -> dict[str, Any]:
    """Return the makers of the workloads whose tables stay almost empty: rows / 25 by rows / 100 levels."""
    size = f"{rows:,} rows, {rows // 25:,} x {rows // 100:,} levels"

    def peers(options: dict[str, Any]) -> list[Entry]:
        names = ("infolake_score", "duckdb_entropies", "polars_entropies", "decode")
        return [Entry(name, options) for name in names]

    def spilling(name: str, options: dict[str, Any]) -> Entry:
        return Entry(name, options | {"spill": str(root / "spill" / name)})

    def build_sparse() -> Workload:
        return Workload(f"{size}, MI and NMI", datasets.sparse(root, rows), peers(PAIR))

    def build_sparse_text() -> Workload:
        entries = [*peers(PAIR), Entry("decode", {"plain": True}, label="without dictionaries")]
        return Workload("the same keys as text", datasets.sparse_text(root, rows), entries)

    def build_sparse_hashed() -> Workload:
        return Workload("the same keys as hashes of 64 bits", datasets.sparse_hashed(root, rows), peers(PAIR))

    def build_top_pairs() -> Workload:
        entries = [Entry("infolake_top"), Entry("duckdb_top")]
        return Workload(f"{size}, best {sparse.TOP} pairs by NPMI", datasets.sparse(root, rows), entries)

    def build_sparse_1gib() -> Workload:
        options = PAIR | {"memory": "1GiB"}
        entries = [spilling("infolake_score", options), spilling("duckdb_entropies", options)]
        return Workload(
            f"{size}, MI and NMI within 1 GiB (DuckDB: 1 GB)", datasets.sparse(root, rows), entries
        )

    def build_sparse_long() -> Workload:
        short, options = datasets.sparse(root, rows), PAIR | {"memory": "2GiB"}
        within = spilling("infolake_score", options)
        entries = [
            within,
            Entry("infolake_score", within.options, 8, "8 x the short run within 2 GiB", short),
            Entry("infolake_score", PAIR, 8, "8 x the short run", short),
        ]
        name = f"{8 * rows:,} rows, {8 * (rows // 25):,} x {8 * (rows // 100):,} levels, within 2 GiB"
        return Workload(name, datasets.sparse_long(root, rows), entries, transient=True)

    def build_sparse_cluster() -> Workload:
        options = PAIR | {"worker_memory": "1GiB"}
        entries = [Entry("infolake_score_cluster", options), Entry("infolake_score", PAIR)]
        return Workload(f"{size}, 2 workers of 1 GiB", datasets.sparse(root, rows), entries)

    def build_three() -> Workload:
        n = rows * 2 // 5
        name = f"{n:,} rows, 3 columns of {n // 200:,} levels, I(a; b given c)"
        return Workload(name, datasets.three_keys(root, n), peers(THREE))

    return {name.removeprefix("build_"): make for name, make in locals().items() if name.startswith("build_")}


class Running:
    """A contender in its own process."""

    def __init__(self, entry: Entry, folder: Path) -> None:
        self.entry = entry
        self.times: list[float] = []
        self.checked: contenders.Checked = {}
        self.megabytes = 0.0
        self.spilled = 0.0
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
        try:
            seconds, self.checked, self.megabytes, spilled = self.pipe.recv()
        except EOFError:
            raise SystemExit(f"{self.entry.name} failed: its error stands above") from None
        self.spilled = max(self.spilled, spilled)
        if counted:
            self.times.append(seconds * self.entry.scale)

    def stop(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):
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
    check_equal([(r.entry.name, r.checked) for r in running if r.entry.folder is None])


def check_equal(answers: list[tuple[str, contenders.Checked]]) -> None:
    """Stop unless all contenders agree on everything that two of them tell."""
    first: dict[str, tuple[str, Any]] = {}
    for name, checked in answers:
        for what, value in checked.items():
            other, expected = first.setdefault(what, (name, value))
            if not agree(expected, value):
                raise SystemExit(f"{name} has another {what} than {other}: {value!r:.200}, {expected!r:.200}")


def agree(one: Any, other: Any) -> bool:
    """Whether two answers are equal, numbers with a fraction to 1e-10."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-10, abs_tol=1e-12)
    return bool(one == other)


def table(results: dict[str, list[Running]]) -> str:
    """Return the Markdown table of all workloads."""
    day = dt.datetime.now(dt.UTC).date()
    lines = [
        f"Medians on {os.cpu_count()} cores, {day}; every contender with 2 threads, in alternation, warm.",
        "",
        "| workload | contender | seconds | times infolake's | peak MiB | spilled MiB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, running in results.items():
        for i, contender in enumerate(running):
            ratio = contender.median / running[0].median
            note = f" ({contender.entry.label})" if contender.entry.label else ""
            label = contender.entry.name.replace("_", " ") + note
            start = f"| {name if i == 0 else ''} | {label} | {contender.median:.2f} "
            spilled = f"{contender.spilled:,.0f}" if "spill" in contender.entry.options else ""
            lines.append(f"{start}| {ratio:.2f} | {contender.megabytes:,.0f} | {spilled} |")
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
    parser.add_argument(
        "--profile", action="store_true", help="instead: processor time of each stage of infolake's answer"
    )
    parser.add_argument("--output", type=Path, help="also write the table (.md) or the times (.json)")
    options = parser.parse_args(arguments)
    makers = workloads(options.data, options.rows, options.columns)
    chosen = options.only.split(",") if options.only else list(makers)
    if options.profile:
        print(stages.table({name: _profile(makers[name]()) for name in chosen}))
        return
    results = {}
    for name in chosen:
        print(f"{name}: making data", file=sys.stderr)
        workload = makers[name]()
        print(f"{name}: running {len(workload.entries)} contenders", file=sys.stderr)
        try:
            results[workload.name] = compare(workload, options.runs)
        finally:
            if workload.transient:
                shutil.rmtree(workload.folder)
        print(table({workload.name: results[workload.name]}), file=sys.stderr)
    print(table(results))
    if options.output:
        _save(options.output, results)


def _profile(workload: Workload) -> dict[str, float]:
    first = workload.entries[0]
    if first.name != "infolake":
        raise SystemExit(f"{workload.name}: only workloads that infolake answers by counting are profiled")
    return stages.profile(str(workload.folder), first.options)


def _save(path: Path, results: dict[str, list[Running]]) -> None:
    if path.suffix == ".json":
        path.write_text(
            json.dumps({n: {r.entry.name: r.times for r in rs} for n, rs in results.items()}, indent=1)
        )
    else:
        path.write_text(table(results) + "\n")


if __name__ == "__main__":
    main()
