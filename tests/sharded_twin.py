"""Small data of every kind and skew, and what must come out: a plain Python twin of sharded counting."""

from __future__ import annotations

import datetime as dt
import math
import random
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from strategies import tallied

LONG = "x" * 9_990
SHORT = ["", "a", "b", "aa", "ab", "A", "ä", "a\u0308", "\x00", "\x00\x00", "a\x00", "€", "\U0001f600"]

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001


def _instants(*seconds: int) -> list[dt.datetime]:
    return [EPOCH + dt.timedelta(seconds=s, microseconds=s % 7) for s in seconds]


def _dates(*days: int) -> list[dt.date]:
    return [dt.date.fromordinal(d) for d in days]


KINDS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "int64": (pa.int64(), [-(2**63), 2**63 - 1, -(2**63) + 1, -1, 0, 1, 2**53, 2**53 + 1, *range(40, 90)]),
    "near": (pa.int64(), list(range(1_000_000, 1_000_060))),
    "int8": (pa.int8(), list(range(-128, 128, 5))),
    "uint64": (pa.uint64(), [0, 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, *range(50, 90)]),
    "keys": (pa.string(), [f"u_{n}" for n in range(0, 5000, 97)]),
    "text": (
        pa.string(),
        [*SHORT, "nan", "NULL", "u_1", "u_10", "u_01"],
    ),
    "long_text": (pa.string(), [LONG, LONG + "a", LONG + "b", LONG + "\x00", LONG[:-1], "x", ""]),
    "large_text": (pa.large_string(), ["b", "ab", "", "ä"]),
    "bytes": (pa.binary(), [b"", b"\x00", b"\x00\x00", b"\xff\xfe", b"a", b"a\x00"]),
    "date": (pa.date32(), _dates(1, 719_162, 719_163, 719_164, 3_652_059, *range(737_000, 737_040))),
    "instant": (pa.timestamp("us"), _instants(-(2**32), -1, 0, 1, 2**33, *range(10**9, 10**9 + 40))),
    "decimal": (
        pa.decimal128(18, 3),
        [Decimal(n) / 1000 for n in (-(10**18) + 1, 10**18 - 1, 0, -1, 1, *range(0, 80_000, 2_000))],
    ),
    "wide_decimal": (pa.decimal128(38, 0), [Decimal(n) for n in (-(10**27), 10**27, 0, -1, 1, 2**63)]),
    "bool": (pa.bool_(), [True, False]),
    "float": (pa.float64(), [0.0, -0.0, 1.5, -1.5, 1e300, 5e-324, math.inf, -math.inf, math.nan]),
    "single": (pa.float32(), [0.0, -0.0, 0.5, math.nan, math.inf, -2.5]),
}


def column(kind: str, n: int, seed: int, missing: float = 0.1) -> pa.Array:
    """Return ``n`` values of a kind, the first ones more frequent, some missing."""
    dtype, values = KINDS[kind]
    rng = random.Random(f"{kind} {seed}")
    places = [min(int(rng.expovariate(3 / len(values))), len(values) - 1) for _ in range(n)]
    drawn = [None if rng.random() < missing else values[(7 * p + seed) % len(values)] for p in places]
    return pa.array(drawn, dtype)


def skewed(name: str, n: int) -> pa.Table:
    """Return columns ``x`` and ``y`` of int64 with one kind of skew."""
    rng = random.Random(name)
    every = range(n)
    half = [(rng.randrange(n), rng.randrange(n)) for _ in every]
    pairs = {
        "one key with half of all rows": [(5, 5) if i % 2 else half[i] for i in every],
        "one level paired with everything": [(7, i) if i % 2 else (half[i][0] % 50, 3) for i in every],
        "all rows distinct": [(i, n - i) for i in rng.sample(every, n)],
        "all rows equal": [(2**40, -3)] * n,
        "one column constant": [(1, y) for _, y in half],
    }
    xs, ys = zip(*pairs[name], strict=True)
    return pa.table({"x": pa.array(xs, pa.int64()), "y": pa.array(ys, pa.int64())})


SKEWS = (
    "one key with half of all rows",
    "one level paired with everything",
    "all rows distinct",
    "all rows equal",
    "one column constant",
)


def written(folder: Path, table: pa.Table, cuts: Sequence[int] = (), row_group_size: int = 97) -> str:
    """Write a table as Parquet files cut at ``cuts``; return the folder."""
    folder.mkdir(parents=True)
    for i, (start, stop) in enumerate(zip([0, *cuts], [*cuts, table.num_rows], strict=True)):
        pq.write_table(
            table.slice(start, stop - start), folder / f"part-{i:03d}.parquet", row_group_size=row_group_size
        )
    return str(folder)


def entropy(counts: Counter[Any]) -> float:
    """Return the entropy of counts in bits."""
    n = counts.total()
    return math.fsum(-c / n * math.log2(c / n) for c in counts.values())


def marginal(cells: Counter[Any], axes: Sequence[int]) -> Counter[Any]:
    """Return the counts of some of the columns of cells."""
    found: Counter[Any] = Counter()
    for key, count in cells.items():
        found[tuple(key[a] for a in axes)] += count
    return found


def cells_of_rows(table: pa.Table, columns: Sequence[str], missing: str) -> Counter[Any]:
    """Return the cells of the rows that count: ``pairwise`` leaves out those that miss one of ``columns``."""
    cells = tallied(table, columns)
    return cells if missing == "level" else Counter({k: v for k, v in cells.items() if None not in k})


def twin_score(table: pa.Table, x: str, y: str, missing: str = "pairwise") -> dict[str, float]:
    """Return n, n_missing, MI and NMI of a pair, from cells in a Counter."""
    cells = cells_of_rows(table, (x, y), missing)
    h_x, h_y, joint = entropy(marginal(cells, [0])), entropy(marginal(cells, [1])), entropy(cells)
    mi = max(h_x + h_y - joint, 0.0)
    nmi = mi / ((h_x + h_y) / 2) if h_x + h_y else 1.0
    dropped = 0 if missing == "level" else table.num_rows - cells.total()
    return {
        "n": cells.total(),
        "n_missing": dropped,
        "mutual_information": mi,
        "normalized_mutual_information": nmi,
    }


def twin_conditional(table: pa.Table, x: str, y: str, z: str) -> float:
    """Return I(x; y given z) in bits over the rows that miss none."""
    cells = cells_of_rows(table, (x, y, z), "pairwise")
    h = {axes: entropy(marginal(cells, axes)) for axes in ((0, 2), (1, 2), (2,))}
    return h[0, 2] + h[1, 2] - entropy(cells) - h[2,]


Row = tuple[Any, Any, int, int, int]


def twin_associations(
    table: pa.Table, x: str, y: str, missing: str = "pairwise", min_count: int = 1
) -> list[Row]:
    """Return (x, y, count, count_x, count_y) of the cells, in the order of the levels."""
    cells = cells_of_rows(table, (x, y), missing)
    xs, ys = marginal(cells, [0]), marginal(cells, [1])
    rows = [(a, b, c, xs[a,], ys[b,]) for (a, b), c in cells.items() if c >= min_count]
    return sorted(rows, key=cmp_to_key(_compared))


def _compared(one: Row, other: Row) -> int:
    for a, b in zip(one[:2], other[:2], strict=True):
        if a != b:
            return 1 if a is None or (b is not None and _later(a, b)) else -1
    return 0


def _later(a: Any, b: Any) -> bool:
    """Whether level ``a`` stands after ``b``: text by its bytes."""
    if isinstance(a, str):
        return bool(a.encode() > b.encode())
    return bool(a > b)


def npmi(row: Row, n: int) -> float:
    """Return the NPMI of a row of associations."""
    _, _, count, a, b = row
    return 1.0 if count == n else math.log(count * n / (a * b)) / -math.log(count / n)


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Return the keys and counts of il.associations as Python values, None for missing."""
    keys = [[None if pd.isna(v) else _plain(v) for v in frame.iloc[:, i]] for i in (0, 1)]
    counts = [frame[c].tolist() for c in ("count", "count_x", "count_y")]
    return list(zip(*keys, *counts, strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def same_frame(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two frames are the same to the last bit: types, order, values, units."""
    return (
        list(one.dtypes) == list(other.dtypes)
        and one.attrs == other.attrs
        and repr(one.to_dict("list")) == repr(other.to_dict("list"))
    )
