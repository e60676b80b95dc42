"""Contenders on columns with so many levels that no table of their pairs is dense.

As in ``contenders``: a function of (folder, options) returns a callable that does the whole work. Options:

* ``groups``: the finest group of columns first, then those whose entropies are also needed
* ``score``: keywords of ``il.score`` that ask for the same
* ``memory``: a bound like "1GiB", with ``spill``: the folder that what does not fit goes to

What is checked is numbers and rows: MI and NMI, rows in order, distinct cells of the finest group (between
peers) and its joint entropy, which two singletons taken for one would change in the ninth digit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Checked = dict[str, Any]
Run = Callable[[], Checked]
THREADS = 2
PAIR = (("user", "item"), ("user",), ("item",))
MIN_COUNT, TOP = 20, 100
GIB, GB = 2**30, 10**9
Told = tuple[int, float]


def answer(groups: Sequence[Sequence[str]], n: int, told: Sequence[Told]) -> Checked:
    """Return what is checked, from ``n`` rows and, per group, its distinct cells and the sum of n ln n."""
    bits = [(math.log(n) - total / n) / math.log(2) for _, total in told]
    found: Checked = {"rows": n, "distinct": told[0][0], "joint": bits[0]}
    if len(groups) == 3:
        joint, x, y = bits
        return found | {"mi": x + y - joint, "nmi": (x + y - joint) / ((x + y) / 2)}
    joint, xz, yz, z = bits
    return found | {"mi": xz + yz - joint - z}


# -- infolake


def infolake_score(folder: str, options: dict[str, Any]) -> Run:
    """``il.score`` on threads; its first run, which is not timed, also tells the joint entropy."""
    return _scored(folder, options, {"scheduler": "threads", "num_workers": THREADS})


def infolake_score_cluster(folder: str, options: dict[str, Any]) -> Run:
    """The same on a local cluster of two workers of one thread, already started."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        memory_limit=options["worker_memory"],
        host="127.0.0.1",
        dashboard_address=None,
    )
    Client(cluster).wait_for_workers(2, timeout=60)
    return _scored(folder, options, {})


def _scored(folder: str, options: dict[str, Any], settings: dict[str, Any]) -> Run:
    import dask

    import infolake as il

    settings = {**settings, **_limits(options)}
    asked = {"bins": "exact", **options["score"]}
    short = {"mutual_information": "mi", "normalized_mutual_information": "nmi"}
    told: Checked = {}

    def run() -> Checked:
        with dask.config.set(settings):
            if not told and "given" not in asked:
                joint = il.score(folder, **asked | {"measures": ["joint_entropy"]})
                told["joint"] = float(joint["joint_entropy"][0])
            frame = il.score(folder, **asked)
        values = {short[c]: float(frame[c][0]) for c in short if c in frame}
        return {"rows": int(frame["n"][0]), **told, **values, "frame": repr(frame.to_dict("list"))}

    return run


def _limits(options: dict[str, Any]) -> dict[str, Any]:
    found = {}
    if "memory" in options:
        found["infolake.memory-limit"] = options["memory"]
    if "spill" in options:
        found["infolake.spill-directory"] = options["spill"]
    return found


def infolake_top(folder: str, options: dict[str, Any]) -> Run:
    """``il.associations``: the best pairs by NPMI."""
    import dask

    import infolake as il

    settings = {"scheduler": "threads", "num_workers": THREADS, **_limits(options)}
    asked = {"measures": ["npmi"], "min_count": MIN_COUNT, "top": TOP, "bins": "exact"}

    def run() -> Checked:
        with dask.config.set(settings):
            return _rows(il.associations(folder, "user", "item", **asked))

    return run


def _rows(frame: pd.DataFrame) -> Checked:
    """Return the keys and counts of the rows, and the values of the last column."""
    keys = zip(*(frame.iloc[:, i].tolist() for i in range(5)), strict=True)
    return {"pairs": [list(k) for k in keys], "npmi": frame.iloc[:, -1].tolist()}


# -- peers


def duckdb_entropies(folder: str, options: dict[str, Any]) -> Run:
    """One GROUP BY over the files, the other groups from its counts: faster than one scan for each."""
    groups = options["groups"]
    query = entropies_query(f"read_parquet('{folder}/*.parquet')", groups)
    connection = _duckdb(options)

    def run() -> Checked:
        n, *told = connection.execute(query).fetchone()
        return answer(groups, n, list(zip(told[::2], told[1::2], strict=True)))

    return run


def _duckdb(options: dict[str, Any]) -> Any:
    import duckdb

    settings: dict[str, Any] = {"threads": THREADS}
    if "memory" in options:
        settings["memory_limit"] = f"{int(options['memory'].removesuffix('GiB'))}GB"
    if "spill" in options:
        settings["temp_directory"] = options["spill"]
    connection = duckdb.connect(config=settings)
    connection.execute("SET enable_progress_bar = false")
    return connection


def entropies_query(source: str, groups: Sequence[Sequence[str]]) -> str:
    """Return the query of the rows and, per group, of the distinct cells and the sum of n ln n.

    Examples
    --------
    >>> print(entropies_query("t", [("x", "y"), ("x",)]))
    WITH g0 AS MATERIALIZED (SELECT "x", "y", count(*) AS n FROM t GROUP BY "x", "y"),
    g1 AS (SELECT sum(n)::BIGINT AS n FROM g0 GROUP BY "x")
    SELECT (SELECT sum(n)::BIGINT FROM g0),
    (SELECT count(*) FROM g0), (SELECT fsum(n * ln(n)) FROM g0),
    (SELECT count(*) FROM g1), (SELECT fsum(n * ln(n)) FROM g1)
    """
    names = [", ".join(f'"{c}"' for c in group) for group in groups]
    first = f"g0 AS MATERIALIZED (SELECT {names[0]}, count(*) AS n FROM {source} GROUP BY {names[0]})"
    others = [
        f"g{i} AS (SELECT sum(n)::BIGINT AS n FROM g0 GROUP BY {name})" for i, name in enumerate(names) if i
    ]
    asked = [f"(SELECT count(*) FROM g{i}), (SELECT fsum(n * ln(n)) FROM g{i})" for i in range(len(groups))]
    head = ",\n".join([first, *others])
    return f"WITH {head}\nSELECT (SELECT sum(n)::BIGINT FROM g0),\n" + ",\n".join(asked)


def duckdb_top(folder: str, options: dict[str, Any]) -> Run:
    """The counts of the pairs, marginals from them, and the best of the pairs that are frequent enough."""
    query = f"""
        WITH c AS MATERIALIZED (
            SELECT "user", item, count(*) AS n FROM read_parquet('{folder}/*.parquet') GROUP BY "user", item
        ),
        kept AS MATERIALIZED (SELECT * FROM c WHERE n >= {MIN_COUNT}),
        x AS (SELECT "user", sum(n)::BIGINT AS a FROM c GROUP BY "user"),
        y AS (SELECT item, sum(n)::BIGINT AS b FROM c GROUP BY item),
        t AS (SELECT sum(n)::DOUBLE AS total FROM c)
        SELECT "user", item, n, a, b,
            CASE WHEN n = total THEN 1 ELSE ln(n / a * total / b) / -ln(n / total) END AS npmi
        FROM kept JOIN x USING ("user") JOIN y USING (item), t
        ORDER BY npmi DESC, "user", item LIMIT {TOP}
    """
    connection = _duckdb(options)

    def run() -> Checked:
        return _rows(connection.execute(query).df())

    return run


def polars_entropies(folder: str, options: dict[str, Any]) -> Run:
    """One group_by per group over one lazy scan, all at once on the streaming engine: its fastest way."""
    import polars as pl

    groups = options["groups"]

    def run() -> Checked:
        scan, n = pl.scan_parquet(f"{folder}/*.parquet"), pl.col("n").cast(pl.Float64)
        told = (pl.col("n").sum(), pl.len().alias("cells"), (n * n.log()).sum().alias("total"))
        asked = [scan.group_by(g).agg(pl.len().alias("n").cast(pl.Int64)).select(told) for g in groups]
        found = [frame.row(0) for frame in pl.collect_all(asked, engine="streaming")]
        return answer(groups, found[0][0], [row[1:] for row in found])

    return run


ALL = {
    f.__name__: f
    for f in (
        infolake_score,
        infolake_score_cluster,
        infolake_top,
        duckdb_entropies,
        duckdb_top,
        polars_entropies,
    )
}


def folder_bytes(path: Path) -> int:
    """Return the bytes of the files below a folder, some of which may vanish meanwhile."""
    total = 0
    for found in path.rglob("*"):
        try:
            total += found.stat().st_size if found.is_file() else 0
        except FileNotFoundError:
            continue
    return total
