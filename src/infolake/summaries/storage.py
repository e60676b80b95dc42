"""The stored form of joint counts: a folder of Parquet and JSON, never pickle.

``counts.json``
    version, request, ledger, channels, for each column whether missing is a level, and digests of all files
``levels/0000.parquet`` ...
    one column ``level`` of sorted values (numbers of bins, or of kept levels and the bucket after them)
``kept/0000.parquet`` ...
    of the columns with a bucket of rarer levels: one column ``level`` of the kept ones
``cells.parquet``
    one row per non-zero cell: group, code_0, code_1, ..., and a column per channel
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infolake.encoding.levels import Levels
from infolake.errors import (
    ConfigError,
    CorruptFileError,
    InfolakeError,
    NoInputError,
    OutputError,
    StorageError,
    printable,
)
from infolake.summaries.cells import Array, Channel, Sparse, layout, to_dense
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.ledger import Ledger
from infolake.summaries.request import Request

VERSION = 2
PLAIN = 1  # counts that keep all levels are stored as they were before there were buckets
CELLS = "cells.parquet"
WRITER: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True, "store_schema": True}


def save(counts: JointCounts, path: str | os.PathLike[str]) -> None:
    """Write ``counts`` to the new or empty folder ``path``."""
    folder = Path(path)
    try:
        (folder / "levels").mkdir(parents=True)
    except OSError as error:
        raise OutputError(
            f"cannot create the folder for counts: {error.strerror}",
            where=str(folder),
            next="name a folder that does not exist yet",
        ) from error
    try:
        _write(counts, folder)
    except OSError as error:
        raise StorageError(
            f"cannot write counts: {error.strerror or error}",
            where=str(folder),
            effect="the folder is not complete",
        ) from error


def _write(counts: JointCounts, folder: Path) -> None:
    for name, levels in zip(_level_names(len(counts.level_sets)), counts.level_sets, strict=True):
        pq.write_table(pa.table({"level": levels.values}), folder / name, **WRITER)
    kept = [k.levels for k in counts.request.kept_levels if k is not None]
    for name, values in zip(_kept_names(counts.request.to_json()), kept, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"level": values}), folder / name, **WRITER)
    pq.write_table(_cell_table(counts), folder / CELLS, **WRITER)
    description = {
        "infolake_counts": VERSION if counts.request.kept else PLAIN,
        "request": counts.request.to_json(),
        "ledger": counts.ledger.to_json(),
        "channels": counts.channels,
        "missing": [s.missing for s in counts.level_sets],
    }
    digest = _digest(folder, description)
    text = json.dumps(description | {"digest": digest}, indent=1, ensure_ascii=True)
    (folder / "counts.json").write_text(text + "\n")


def _level_names(n: int) -> list[str]:
    return [f"levels/{number:04d}.parquet" for number in range(n)]


def _kept_names(request: dict[str, Any]) -> list[str]:
    found = enumerate(request.get("kept", ()))
    return [f"kept/{number:04d}.parquet" for number, k in found if k is not None and k["bucket"] is not None]


def _digest(folder: Path, description: dict[str, Any]) -> str:
    """Return a digest of the description and of all files it describes."""
    digest = hashlib.blake2b(json.dumps(description, sort_keys=True).encode(), digest_size=16)
    kept = _kept_names(description["request"])
    for name in [*_level_names(len(description["missing"])), *kept, CELLS]:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _cell_table(counts: JointCounts) -> pa.Table:
    parts = [counts.group_cells(g) for g in range(len(counts.request.groups))]
    width = counts.request.groups.index.shape[1] if parts else 1
    arrays: dict[str, Any] = {
        "group": np.repeat(np.arange(len(parts)), [len(p.codes) for p in parts]).astype(np.int32)
    }
    for axis in range(width):
        codes = [p.codes[:, axis] if p.codes.shape[1] > axis else np.full(len(p.codes), -1) for p in parts]
        arrays[f"code_{axis}"] = np.concatenate([np.zeros(0), *codes]).astype(np.int32)
    for row, (name, exponent) in enumerate(counts.channels):
        values = [p.values[row] for p in parts]
        arrays[f"{name}_{exponent}"] = np.concatenate([np.zeros(0, np.int64), *values])
    return pa.table(arrays)


def load(path: str | os.PathLike[str]) -> JointCounts:
    """Read counts that :meth:`JointCounts.save` wrote.

    Parameters
    ----------
    path : path
        The folder of the counts, or a run's folder that holds ``counts/``.

    Raises
    ------
    NoInputError
        No counts there.
    CorruptFileError
        Files that are damaged or do not belong together.
    ConfigError
        Counts of a newer version.
    """
    folder = Path(path)
    if (folder / "counts" / "counts.json").is_file():
        folder = folder / "counts"
    if not (folder / "counts.json").is_file():
        expected = "a folder with counts.json (a run whose groups were all counted in shards keeps none)"
        raise NoInputError("no counts to load", where=str(folder), expected=expected)
    try:
        return _read(folder)
    except (
        InfolakeError,
        pa.ArrowException,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        if isinstance(error, ConfigError | CorruptFileError):
            raise
        found = printable(str(error).splitlines()[0] if str(error) else type(error).__name__, 200)
        raise CorruptFileError("damaged counts", where=str(folder), found=found) from error


def _read(folder: Path) -> JointCounts:
    stored = json.loads((folder / "counts.json").read_text())
    if stored["infolake_counts"] > VERSION:
        raise ConfigError(
            "counts of a newer version",
            where=str(folder),
            expected=f"version {VERSION} or older",
            found=str(stored["infolake_counts"]),
            next="upgrade infolake",
        )
    digest = stored.pop("digest")
    if digest != _digest(folder, stored):
        raise CorruptFileError(
            "damaged counts", where=str(folder), found="files that are not what was written"
        )
    values = [_array(_table(folder / n)["level"]) for n in _level_names(len(stored["missing"]))]
    kept = _kept_arrays(folder, stored["request"])
    request = Request.from_json(stored["request"], _types(stored["request"], values, kept), kept)
    sets = zip(values, stored["missing"], request.edges, request.kept_levels, strict=True)
    levels = tuple(Levels(v, m, e, k) for v, m, e, k in sets)
    channels = tuple((n, e) for n, e in stored["channels"])
    dense, sparse = _cells(_table(folder / CELLS), request, levels, channels)
    counts = JointCounts(request, levels, channels, dense, sparse, Ledger.from_json(stored["ledger"]))
    counts.check(str(folder))
    return counts


def _kept_arrays(folder: Path, request: dict[str, Any]) -> list[pa.Array | None]:
    """Return the kept levels of each column, None for one without a bucket."""
    arrays = {name: _array(_table(folder / name)["level"]) for name in _kept_names(request)}
    return [arrays.get(f"kept/{number:04d}.parquet") for number in range(len(request.get("kept", ())))]


def _types(
    request: dict[str, Any], values: list[pa.Array], kept: list[pa.Array | None]
) -> tuple[pa.DataType, ...]:
    """Return the types of the counted columns: those of the levels, or the number type of a binned one."""
    values = [v if k is None else k for v, k in zip(values, kept or [None] * len(values), strict=True)]
    numbers = {"double": pa.float64(), "int64": pa.int64()}
    columns = zip(request["types"], request["edges"], values, strict=True)
    return tuple(v.type if edges is None else numbers[name] for name, edges, v in columns)


def _table(path: Path) -> pa.Table:
    return pq.ParquetFile(path, page_checksum_verification=True).read()


def _array(column: pa.ChunkedArray) -> pa.Array:
    merged = column.combine_chunks()
    return merged.chunk(0) if isinstance(merged, pa.ChunkedArray) else merged


def _cells(
    table: pa.Table, request: Request, levels: tuple[Levels, ...], channels: tuple[Channel, ...]
) -> tuple[Array, dict[int, Sparse]]:
    target = layout(tuple(len(s) for s in levels), request.groups)
    group = table["group"].to_numpy()
    bounds = np.searchsorted(group, np.arange(len(request.groups) + 1))
    width = sum(n.startswith("code_") for n in table.column_names)
    codes = np.stack([table[f"code_{a}"].to_numpy().astype(np.int64) for a in range(width)], axis=1)
    rows = [table[f"{n}_{e}"].to_numpy() for n, e in channels]
    values = np.stack(rows) if rows else np.zeros((0, len(group)), np.int64)
    dense = np.zeros((len(channels), target.cells), np.int64)
    sparse = {}
    for g in range(len(request.groups)):
        members = request.groups.index[g]
        arity = int((members < len(levels)).sum())
        chosen = slice(bounds[g], bounds[g + 1])
        part = Sparse(np.ascontiguousarray(codes[chosen, :arity]), np.ascontiguousarray(values[:, chosen]))
        if target.dense[g]:
            start, end = target.offsets[g : g + 2]
            if end > start:
                dense[:, start:end] = to_dense(part, target.sizes[members[:arity]])
        elif len(part.codes):
            sparse[g] = part
    return dense, sparse
