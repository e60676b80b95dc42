"""Data of the benchmarks, made from a seed: the same bytes on every machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SEED = 20130101
LEVELS = (2, 2, 2, 3, 4, 4, 5, 6, 7, 8, 8, 10, 12, 12, 16, 20, 24, 32, 50, 64)
FILES = 10
ROW_GROUPS = 4
GROUP_ROWS = 1_000_000
ZIPF = 1.55
ODD = np.uint64(0x9E3779B97F4A7C15)


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


# -- more levels than tables can hold


def key_table(rng: np.random.Generator, n: int, levels: Sequence[int], names: Sequence[str]) -> pa.Table:
    """Return int64 columns of keys below ``levels``: half of the rows Zipf-distributed, half uniform."""
    skewed = rng.random(n) < 0.5
    found = {}
    for name, size in zip(names, levels, strict=True):
        keys = rng.integers(0, size, n)
        keys[skewed] = rng.zipf(ZIPF, int(skewed.sum())) % size
        found[name] = keys
    return pa.table(found)


def text_table(table: pa.Table) -> pa.Table:
    """Return the keys as text: ``u_1234567`` of a column that begins with u."""
    columns = {
        name: pc.binary_join_element_wise(f"{name[0]}_", table[name].cast(pa.string()), "")
        for name in table.column_names
    }
    return pa.table(columns)


def write_groups(folder: Path, number: int, groups: Iterator[pa.Table]) -> None:
    """Write one file, a row group per table."""
    first = next(groups)
    path = folder / f"part-{number:03d}.parquet"
    with pq.ParquetWriter(path, first.schema, compression="snappy") as writer:
        writer.write_table(first, row_group_size=max(first.num_rows, 1))
        for table in groups:
            writer.write_table(table, row_group_size=table.num_rows)


def written(folder: Path, files: Callable[[], Iterator[Iterator[pa.Table]]]) -> Path:
    """Write the files of a folder once; return the folder."""
    if not (folder / "_SUCCESS").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for number, groups in enumerate(files()):
            write_groups(folder, number, groups)
        (folder / "_SUCCESS").touch()
    return folder


def _key_files(n_rows: int, levels: Sequence[int], names: Sequence[str]) -> Iterator[Iterator[pa.Table]]:
    """Yield the row groups of each file; every row group has a seed of its own."""
    per_file = n_rows // FILES
    bounds = [*range(0, per_file, GROUP_ROWS), per_file]
    for number in range(FILES):
        yield (
            key_table(np.random.default_rng([SEED, number, start]), stop - start, levels, names)
            for start, stop in pairwise(bounds)
        )


def sparse(root: Path, n_rows: int = 50_000_000) -> Path:
    """Return columns ``user`` and ``item`` with so many levels that their table stays almost empty.

    50 million rows have 2 million x 0.5 million levels and about 25.6 million distinct pairs.
    """
    levels = (max(n_rows // 25, 4), max(n_rows // 100, 2))
    return written(root / f"sparse-{n_rows}", lambda: _key_files(n_rows, levels, ("user", "item")))


def read_groups(path: Path) -> Iterator[pa.Table]:
    """Yield the row groups of a file."""
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)


def sparse_text(root: Path, n_rows: int = 50_000_000) -> Path:
    """Return the same keys as text."""
    paths = sorted(sparse(root, n_rows).glob("*.parquet"))
    return written(
        root / f"sparse-text-{n_rows}", lambda: (map(text_table, read_groups(path)) for path in paths)
    )


def hashed_table(table: pa.Table) -> pa.Table:
    """Return the keys times an odd number modulo 2**64: the same levels, spread over all of int64."""
    spread = {name: table[name].to_numpy().view(np.uint64) * ODD for name in table.column_names}
    return pa.table({name: keys.view(np.int64) for name, keys in spread.items()})


def sparse_hashed(root: Path, n_rows: int = 50_000_000) -> Path:
    """Return the same keys as ids that look like hashes."""
    paths = sorted(sparse(root, n_rows).glob("*.parquet"))
    return written(
        root / f"sparse-hashed-{n_rows}", lambda: (map(hashed_table, read_groups(path)) for path in paths)
    )


def _shifted(table: pa.Table, steps: Sequence[int], times: int) -> pa.Table:
    columns = zip(table.column_names, steps, strict=True)
    return pa.table({name: pc.add(table[name], pa.scalar(step * times)) for name, step in columns})


def sparse_long(root: Path, n_rows: int = 50_000_000, times: int = 8) -> Path:
    """Return so many copies of the rows of :func:`sparse`, each with keys of its own."""
    paths = sorted(sparse(root, n_rows).glob("*.parquet"))
    steps = (max(n_rows // 25, 4), max(n_rows // 100, 2))

    def files() -> Iterator[Iterator[pa.Table]]:
        for copy in range(times):
            for path in paths:
                yield (_shifted(table, steps, copy) for table in read_groups(path))

    return written(root / f"sparse-{n_rows}-times-{times}", files)


def three_keys(root: Path, n_rows: int = 20_000_000) -> Path:
    """Return columns ``a``, ``b`` and ``c``; 20 million rows have 100,000 levels each."""
    levels = (max(n_rows // 200, 4),) * 3
    return written(root / f"three-{n_rows}", lambda: _key_files(n_rows, levels, ("a", "b", "c")))
