"""Files that are there whole or not at all: frames as Parquet, CSV and JSON, and the swap of a folder."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from infolake.encoding.kept import Rest
from infolake.errors import InfolakeError, OutputError, StorageError, UsageError, printable

if TYPE_CHECKING:
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r")
STAGE = ".infolake-"
ENDINGS = (".csv", ".json", ".parquet")
PARQUET: dict[str, Any] = {
    "version": "2.6",
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": True,
    "write_statistics": True,
    "write_page_checksum": True,
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def storing(path: Path, effect: str = "earlier results are as they were") -> Iterator[None]:
    """Turn what a file system refuses into one error with the path in it."""
    try:
        yield
    except InfolakeError:
        raise
    except OSError as error:
        reason = f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')})"
        where = printable(error.filename or path, 400)
        if error.errno in _FULL:
            what = "no space is left" if error.errno != errno.EIO else "the disk fails"
            raise StorageError(
                what, where=where, found=reason, effect=effect, next="free space, run again"
            ) from error
        if isinstance(error, PermissionError):
            advice = "choose another folder with --output"
            raise OutputError(
                "an output may not be written", where=where, found=reason, effect=effect, next=advice
            ) from error
        raise OutputError("an output cannot be written", where=where, found=reason, effect=effect) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file: under a temporary name, to the disk, then under its own."""
    with _replacing(path) as stream:
        stream.write(data)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    with storing(path):
        handle, name = tempfile.mkstemp(prefix=STAGE, dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    # Some file systems cannot sync a folder; the files themselves are safe by then.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that people can read."""
    write_bytes(
        path, (json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    )


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: no NaN, no infinity, no dates.

    Examples
    --------
    >>> plain({"a": float("nan"), "b": (1, float("-inf"))})
    {'a': None, 'b': [1, '-Infinity']}
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    if value is None or isinstance(value, str | int | bool):
        return _whole(value)
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _whole(value: Any) -> Any:
    """Return text that UTF-8 can hold."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def write_frame(frame: pd.DataFrame, path: Path, details: Mapping[str, Any] | None = None) -> None:
    """Write a frame as CSV, JSON or Parquet, by the ending of the name.

    Parameters
    ----------
    frame : pandas.DataFrame
        Units in ``frame.attrs["units"]`` go into Parquet and JSON.
    path : Path
        Ends in ``.csv``, ``.json`` or ``.parquet``.
    details : mapping, optional
        More than the units, for Parquet's metadata key ``infolake``.

    Raises
    ------
    UsageError
        Another ending.
    OutputError, StorageError
        The file cannot be written; an earlier one is left as it was.
    """
    makers: dict[str, Callable[[pd.DataFrame], bytes]]
    makers = {".csv": csv_bytes, ".json": json_bytes, ".parquet": lambda f: parquet_bytes(f, details)}
    if path.suffix.lower() not in makers:
        found = printable(path.name)
        raise UsageError("the output has no known ending", expected=", ".join(ENDINGS), found=found)
    write_bytes(path, makers[path.suffix.lower()](frame))


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Return a frame as CSV that no spreadsheet runs: formulas get a leading quote."""
    safe = frame.map(_no_formula).rename(columns=_no_formula)
    return safe.to_csv(index=False, lineterminator="\n").encode("utf-8", "backslashreplace")


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def json_bytes(frame: pd.DataFrame) -> bytes:
    """Return a frame as JSON: its units, then one object per row."""
    names = [str(c) for c in frame.columns]
    columns = [_values(frame, i) for i in range(len(names))]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    value = plain({"units": frame.attrs.get("units", {}), "rows": rows})
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _values(frame: pd.DataFrame, position: int) -> list[Any]:
    import pandas as pd

    series = frame.iloc[:, position]
    if series.dtype == object:
        return list(series)
    return [None if missing else v for v, missing in zip(series, pd.isna(series), strict=True)]


def parquet_bytes(frame: pd.DataFrame, details: Mapping[str, Any] | None = None) -> bytes:
    """Return a frame as Parquet, the same bytes for the same frame."""
    sink = io.BytesIO()
    _write_parquet([frame], sink, details)
    return sink.getvalue()


def write_frames(
    frames: Iterable[pd.DataFrame], path: Path, details: Mapping[str, Any] | None = None
) -> None:
    """Write frames of the same columns below each other as Parquet; no more than one is held.

    ``details`` as in :func:`write_frame`.

    Raises
    ------
    OutputError, StorageError
        The file cannot be written; an earlier one is left as it was.
    """
    with _replacing(path) as stream:
        _write_parquet(frames, stream, details)


def _write_parquet(frames: Iterable[pd.DataFrame], sink: Any, details: Mapping[str, Any] | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        writer = None
        for frame in frames:
            schema = None if writer is None else writer.schema
            table = pa.Table.from_pandas(_one_kind(frame), schema=schema, preserve_index=False)
            told = {"units": frame.attrs.get("units", {}), **(details or {})}
            # pandas' own metadata names versions.
            table = table.replace_schema_metadata({"infolake": json.dumps(plain(told), sort_keys=True)})
            writer = writer or stack.enter_context(pq.ParquetWriter(sink, table.schema, **PARQUET))
            writer.write_table(table, row_group_size=2**20)


def _one_kind(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with levels as text where a bucket's label stands among them."""
    objects = [c for c in frame if frame[c].dtype.kind == "O"]
    mixed = [c for c in objects if any(isinstance(v, Rest) for v in frame[c])]
    texts = {c: [_text(v) for v in frame[c]] for c in mixed}
    if not texts:
        return frame
    whole = frame.copy()
    for column, values in texts.items():
        whole[column] = values
    return whole


def _text(value: Any) -> str | None:
    value = plain(value)
    return value if value is None or isinstance(value, str) else str(value)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside the results; what it holds at the end replaces them, file by file.

    A block that fails changes nothing. ``run.json`` moves last: it tells that a run is complete.
    """
    with storing(folder, "nothing was read"):
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=folder))
    try:
        yield stage
        with storing(folder):
            _publish(stage, folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _publish(stage: Path, folder: Path) -> None:
    files = sorted((p for p in stage.rglob("*") if p.is_file()), key=lambda p: (p.name == "run.json", p))
    for file in files:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    names = [f.relative_to(stage) for f in files]
    # a run killed between two renames must not look like the earlier run that ended well
    write_json(folder / "run.json", {"status": "publishing", "exit_code": None})
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).replace(folder / name)
    _remove_stale(folder, set(names))
    for parent in {(folder / n).parent for n in names}:
        _sync_folder(parent)


def _remove_stale(folder: Path, kept: set[Path]) -> None:
    """Remove what earlier runs left and this one does not make, in the folders that only runs write."""
    for part in ("associations", "counts"):
        for file in (folder / part).rglob("*"):
            if file.is_file() and file.relative_to(folder) not in kept:
                file.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what runs that were killed left behind, once an hour has passed."""
    import time as clock

    for leftover in folder.glob(f"{STAGE}*"):
        with suppress(OSError):
            if clock.time() - leftover.stat().st_mtime > timedelta(hours=1).total_seconds():
                shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink()


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written, before anything is read.

    Raises
    ------
    OutputError, StorageError
        It cannot be created or written.
    """
    with storing(folder, "nothing was read"):
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=STAGE, dir=folder)
        os.close(handle)
        Path(name).unlink()
