"""What is timed: each contender answers one question from Parquet files, with two threads.

A contender is a function of (folder, options) that returns a callable; calling it does the whole work
and returns the counts of a few checked pairs, sorted, so that all contenders can be compared. The
contenders on columns of very many levels stand in ``sparse`` and return numbers and rows.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import numpy as np

Checked = dict[str, Any]
Run = Callable[[], Checked]
Contender = Callable[[str, dict[str, Any]], Run]
THREADS = 2


def names(folder: str) -> list[str]:
    import pyarrow.parquet as pq

    first = min(Path(folder).glob("*.parquet"))
    return list(pq.read_schema(first).names)


def checked_pairs(folder: str) -> list[tuple[str, str]]:
    columns = names(folder)
    return [(columns[0], columns[-1]), (columns[1], columns[2])]


def _read_counts(counts: Any, folder: str) -> Checked:
    found = {}
    for x, y in checked_pairs(folder):
        held = any({x, y} <= set(g) for g in counts.groups[:100_000])
        if held:
            found[f"{x}, {y}"] = sorted(counts.table(x, y).cells[1].tolist())
    return found


# -- infolake


def infolake(folder: str, options: dict[str, Any]) -> Run:
    """``il.count`` and ``il.score``; options: target, given, bins, measures."""
    import infolake as il
    from infolake.analyses import scores

    asked = {k: options[k] for k in ("target", "bins") if k in options}
    measures = options.get("measures", scores.MEASURES)
    data = folder

    def run() -> Checked:
        if "given" in options:
            columns = names(folder)
            y, z = columns[-2:]
            counts = il.count(data, [(x, y, z) for x in columns[:-2]])
            il.score(counts, target=y, given=z, measures=["mi"])
        else:
            counts = il.count(data, **asked)
            il.score(counts, measures=measures, target=options.get("target"))
        return {} if "bins" in options else _read_counts(counts, folder)

    return run


def infolake_cluster(folder: str, options: dict[str, Any]) -> Run:
    """The same on a local cluster of two workers of one thread, already started."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    )
    client = Client(cluster)
    client.wait_for_workers(2, timeout=60)
    return infolake(folder, options)


def infolake_dask(folder: str, options: dict[str, Any]) -> Run:
    """The same through a Dask DataFrame."""
    import dask.dataframe as dd

    import infolake as il

    def run() -> Checked:
        counts = il.count(dd.read_parquet(f"{folder}/*.parquet"))
        il.score(counts)
        return _read_counts(counts, folder)

    return run


def infolake_first(folder: str, options: dict[str, Any]) -> Run:
    """A process that uses every kind of kernel once, with an empty cache: all are compiled."""

    def run() -> Checked:
        with TemporaryDirectory() as cache:
            _in_new_process(cache)
        return {}

    return run


def infolake_again(folder: str, options: dict[str, Any]) -> Run:
    """The same with the cache that an earlier process filled."""
    cache = TemporaryDirectory()

    def run() -> Checked:
        _in_new_process(cache.name)
        return {}

    return run


def _in_new_process(cache: str) -> None:
    code = "from benchmarks.kernels_used import use_all; use_all()"
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": cache,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=300)


# -- the limit, and peers


def decode(folder: str, options: dict[str, Any]) -> Run:
    """Decode the files, strings as dictionaries (options: plain, as they are), and do nothing with them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = sorted(Path(folder).glob("*.parquet"))
    schema = pq.read_schema(paths[0])
    strings = [f.name for f in schema if pa.types.is_string(f.type) and "plain" not in options]

    def one(path: Path) -> None:
        file = pq.ParquetFile(path, read_dictionary=strings)
        for group in range(file.num_row_groups):
            file.read_row_group(group, use_threads=False)

    def run() -> Checked:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, paths))
        return {}

    return run


def dask_delivers(folder: str, options: dict[str, Any]) -> Run:
    """What Dask needs to deliver the partitions of its DataFrame."""
    import dask.dataframe as dd

    def run() -> Checked:
        dd.read_parquet(f"{folder}/*.parquet").map_partitions(len, meta=("n", int)).compute()
        return {}

    return run


def duckdb(folder: str, options: dict[str, Any]) -> Run:
    """One GROUP BY per pair (or triple), over a table view of the files; options: pairs (a sample)."""
    import duckdb as db

    connection = db.connect(config={"threads": THREADS})
    connection.execute("SET enable_progress_bar = false")
    source = f"read_parquet('{folder}/*.parquet')"
    columns = names(folder)
    given = ", " + columns[-1] if "given" in options else ""
    pairs = _asked_pairs(folder, options)

    def run() -> Checked:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE t AS SELECT * FROM {source}")
        if "bins" in options:
            _duckdb_bins(connection, columns, options["bins"])
        found = {}
        for x, y in pairs:
            rows = connection.execute(f"SELECT count(*) FROM t GROUP BY {x}, {y}{given}").fetchnumpy()
            if (x, y) in checked_pairs(folder) and not given:
                found[f"{x}, {y}"] = sorted(next(iter(rows.values())).tolist())
        return found

    return run


def _duckdb_bins(connection: Any, columns: list[str], bins: int) -> None:
    shares = [k / bins for k in range(1, bins)]
    asked = ", ".join(f"quantile_disc({c}, {shares}) AS {c}" for c in columns)
    edges = connection.execute(f"SELECT {asked} FROM t").fetchone()
    codes = ", ".join(
        " + ".join(f"({c} >= {e!r})::UTINYINT" for e in sorted(set(found))) + f" AS {c}"
        for c, found in zip(columns, edges, strict=True)
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE t AS SELECT {codes} FROM t")


def polars(folder: str, options: dict[str, Any]) -> Run:
    """One group_by per pair over one lazy frame; options: pairs (a sample)."""
    import polars as pl

    pairs = _asked_pairs(folder, options)

    def run() -> Checked:
        frame = pl.read_parquet(f"{folder}/*.parquet")
        found = {}
        for x, y in pairs:
            counted = frame.group_by(x, y).len()
            if (x, y) in checked_pairs(folder):
                found[f"{x}, {y}"] = sorted(counted["len"].to_list())
        return found

    return run


def dask_groupby(folder: str, options: dict[str, Any]) -> Run:
    """One Dask groupby per pair; options: pairs (a sample)."""
    import dask
    import dask.dataframe as dd

    pairs = _asked_pairs(folder, options)

    def run() -> Checked:
        frame = dd.read_parquet(f"{folder}/*.parquet")
        found = {}
        with dask.config.set(scheduler="threads", num_workers=THREADS):
            for x, y in pairs:
                counted = frame.groupby([x, y], observed=True).size().compute()
                if (x, y) in checked_pairs(folder):
                    found[f"{x}, {y}"] = sorted(counted.tolist())
        return found

    return run


def sklearn(folder: str, options: dict[str, Any]) -> Run:
    """``mutual_info_score`` of the sampled pairs, from columns already in memory as codes."""
    import pyarrow.parquet as pq
    from sklearn.metrics import mutual_info_score

    pairs = _asked_pairs(folder, options)
    table = pq.read_table(folder, columns=sorted({c for p in pairs for c in p}))
    codes = {c: table[c].combine_chunks().dictionary_encode().indices.to_numpy() for c in table.column_names}

    def run() -> Checked:
        for x, y in pairs:
            mutual_info_score(codes[x], codes[y])
        return {}

    return run


def one_hot(folder: str, options: dict[str, Any]) -> Run:
    """The counts of all pairs as one float32 matrix product over indicator columns (NumPy's BLAS)."""
    import pyarrow.parquet as pq

    columns = names(folder)

    def run() -> Checked:
        codes = _all_codes(pq.read_table(folder, read_dictionary=columns), columns)
        levels = [int(c.max()) + 1 for c in codes]
        starts = np.cumsum([0, *levels])
        product = np.zeros((starts[-1], starts[-1]), np.float32)
        for begin in range(0, len(codes[0]), 100_000):
            block = np.zeros((min(100_000, len(codes[0]) - begin), starts[-1]), np.float32)
            rows = np.arange(len(block))
            for code, start in zip(codes, starts[:-1], strict=True):
                block[rows, start + code[begin : begin + 100_000]] = 1
            product += block.T @ block
        found = {}
        for x, y in checked_pairs(folder):
            i, j = columns.index(x), columns.index(y)
            part = product[starts[i] : starts[i + 1], starts[j] : starts[j + 1]]
            found[f"{x}, {y}"] = sorted(int(v) for v in part.ravel() if v)
        return found

    return run


def _all_codes(table: Any, columns: list[str]) -> list[np.ndarray]:
    return [table[c].unify_dictionaries().combine_chunks().indices.to_numpy() for c in columns]


def _asked_pairs(folder: str, options: dict[str, Any]) -> list[tuple[str, str]]:
    columns = names(folder)
    if "given" in options:
        return [(x, columns[-2]) for x in columns[:-2]]
    if "target" in options:
        return [(x, options["target"]) for x in columns if x != options["target"]]
    every = list(combinations(columns, 2))
    if "pairs" not in options:
        return every
    checked = checked_pairs(folder)
    others = [p for p in every[:: max(1, len(every) // options["pairs"])] if p not in checked]
    return [*checked, *others][: options["pairs"]]


PEERS = (decode, dask_delivers, duckdb, polars, dask_groupby, sklearn, one_hot)
ALL: dict[str, Contender] = {
    f.__name__: f for f in (infolake, infolake_cluster, infolake_dask, infolake_first, infolake_again, *PEERS)
}


def serve(name: str, folder: str, options: dict[str, Any], pipe: Any) -> None:
    """Let one contender work whenever the pipe says so; answer seconds, checked, peak MiB and spilled MiB."""
    from benchmarks import sparse

    os.environ.setdefault("POLARS_MAX_THREADS", str(THREADS))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(THREADS))
    work = {**ALL, **sparse.ALL}[name](folder, options)
    while pipe.recv() == "run":
        with watched(options.get("spill")) as spilled:
            start = time.perf_counter()
            checked = work()
            seconds = time.perf_counter() - start
        pipe.send((seconds, checked, peak_mebibytes(), max(spilled, default=0) / 2**20))


@contextmanager
def watched(folder: str | None) -> Iterator[list[int]]:
    """Gather the bytes below a folder every 20 ms until the block ends; nothing without a folder."""
    from benchmarks.sparse import folder_bytes

    found: list[int] = []
    stop = Event()

    def watch(path: Path) -> None:
        while not stop.wait(0.02):
            found.append(folder_bytes(path))

    if folder is None:
        yield found
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    thread = Thread(target=watch, args=(Path(folder),))
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def peak_mebibytes() -> float:
    """Return the largest resident memory that this process, or one of its children, has had.

    It is what the kernel says of the process itself (VmHWM): ``ru_maxrss`` may be inherited.
    """
    import psutil

    processes = [os.getpid(), *(p.pid for p in psutil.Process().children(recursive=True))]
    found = [peak for pid in processes if (peak := _high_water(pid))]
    return max(found, default=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _high_water(pid: int) -> float | None:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    lines = [line for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) / 1024 if lines else None
