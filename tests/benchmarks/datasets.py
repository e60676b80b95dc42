"""Data of the benchmarks, made from a seed: the same bytes on every machine."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20130101
LEVELS = (2, 2, 2, 3, 4, 4, 5, 6, 7, 8, 8, 10, 12, 12, 16, 20, 24, 32, 50, 64)
FILES = 10
ROW_GROUPS = 4


def skewed(rng: np.random.Generator, n: int, levels: int) -> np.ndarray:
    """Return ``n`` codes below ``levels``, the first ones more frequent."""
    shares = 1 / np.arange(1, levels + 1) ** 0.7
    edges = np.cumsum(shares / shares.sum())[:-1]
    return np.searchsorted(edges, rng.random(n), side="right").astype(np.int32)


def dependent(rng: np.random.Generator, codes: np.ndarray, other: np.ndarray, levels: int) -> np.ndarray:
    """Return ``codes`` with a fifth of them replaced by a function of ``other``."""
    chosen = rng.random(len(codes)) < 0.2
    return np.where(chosen, (other * 7 + 1) % levels, codes).astype(np.int32)


def string_table(rng: np.random.Generator, n: int, levels: Sequence[int]) -> pa.Table:
    """Return dictionary-encoded string columns, each one depending on the column before."""
    columns, before = {}, np.zeros(n, np.int32)
    for number, size in enumerate(levels):
        codes = dependent(rng, skewed(rng, n, size), before, size)
        names = pa.array([f"c{number}_level_{i}" for i in range(size)])
        columns[f"c{number:04d}"] = pa.DictionaryArray.from_arrays(pa.array(codes), names).cast(pa.string())
        before = codes
    return pa.table(columns)


def float_table(rng: np.random.Generator, n: int, columns: int) -> pa.Table:
    """Return float64 columns of several shapes, each depending on the one before."""
    found, before = {}, rng.normal(size=n)
    for number in range(columns):
        fresh = rng.normal(size=n) if number % 2 else rng.exponential(size=n)
        before = 0.4 * before + fresh * 10.0 ** (number % 5 - 2)
        found[f"f{number:04d}"] = before
    return pa.table(found)


def write(folder: Path, n_rows: int, make: object, *arguments: object) -> Path:
    """Write ``FILES`` Parquet files of ``ROW_GROUPS`` row groups, once; return the folder."""
    if (folder / "_SUCCESS").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    per_file = n_rows // FILES
    for number in range(FILES):
        rng = np.random.default_rng([SEED, number])
        table = make(rng, per_file, *arguments)  # type: ignore[operator]
        path = folder / f"part-{number:02d}.parquet"
        pq.write_table(table, path, compression="snappy", row_group_size=-(-per_file // ROW_GROUPS))
    (folder / "_SUCCESS").touch()
    return folder


def strings(root: Path, n_rows: int = 10_000_000, levels: Sequence[int] = LEVELS) -> Path:
    """Return a folder of string columns."""
    return write(root / f"strings-{n_rows}-{len(levels)}-{max(levels)}", n_rows, string_table, levels)


def floats(root: Path, n_rows: int = 10_000_000, columns: int = 20) -> Path:
    """Return a folder of float64 columns."""
    return write(root / f"floats-{n_rows}-{columns}", n_rows, float_table, columns)


def conditional(root: Path, n_rows: int = 10_000_000) -> Path:
    """Return 30 columns of 8 levels, then one of 8 (the last but one) and one of 10 (the last)."""
    return write(root / f"conditional-{n_rows}", n_rows, string_table, (*[8] * 31, 10))


def copies(folder: Path, times: int) -> Path:
    """Return a folder with so many copies of the files of another one."""
    target = folder.with_name(f"{folder.name}-times-{times}")
    if not (target / "_SUCCESS").exists():
        target.mkdir(exist_ok=True)
        for path in sorted(folder.glob("*.parquet")):
            for number in range(times):
                shutil.copyfile(path, target / f"{path.stem}-{number:02d}.parquet")
        (target / "_SUCCESS").touch()
    return target
