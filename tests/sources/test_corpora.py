"""Malformed and odd files of the Apache corpora: one typed error, or what DuckDB reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infolake import sources
from infolake.errors import CorruptFileError, DataError, InfolakeError
from infolake.sources import canonical

pytestmark = pytest.mark.shared
FOLDERS = ("parquet-testing/bad_data", "parquet-testing/data", "arrow-testing/parquet", "arrow-testing/csv")


def corpus(shared: Path) -> list[Path]:
    found = [p for folder in FOLDERS for p in (shared / "corpora" / folder).rglob("*") if p.is_file()]
    return sorted(
        p for p in found if p.suffix not in {".md", ".proto", ".json"} and not p.name.startswith(".")
    )


def flat_columns(path: Path) -> list[str] | None:
    """The columns that can be counted, None where the file cannot be opened."""
    try:
        schema = pq.ParquetFile(path).schema_arrow
    except Exception:
        return None
    return [
        f.name for f in schema if canonical.canonical(f.type) is not None and schema.names.count(f.name) == 1
    ]


def read_all(path: Path) -> tuple[sources.Source, list[pa.Table]]:
    source = sources.open_source(path, columns=flat_columns(path) or None)
    return source, [t for _, t in sources.read_partitions(source.partitions, list(source.schema))]


def test_every_file_gives_a_typed_error_or_as_many_rows_as_its_footer_and_duckdb(shared):
    outcomes = {"rows": 0, "error": 0}
    connection = duckdb.connect()
    for path in corpus(shared):
        try:
            source, tables = read_all(path)
        except DataError:
            outcomes["error"] += 1
            continue
        n_rows = sum(t.num_rows for t in tables)
        function = "read_csv" if "csv" in path.parts else "read_parquet"
        (expected,) = connection.execute(f"select count(*) from {function}('{path}')").fetchone()
        assert n_rows == expected, path
        assert source.n_rows in {None, n_rows}
        outcomes["rows"] += 1
    assert outcomes["rows"] > 50
    assert outcomes["error"] > 100


# DuckDB reads these columns as other kinds of values
OTHER_TYPES = {
    "int96_from_spark.parquet",
    "float16_nonzeros_and_nans.parquet",
    "float16_zeros_and_nans.parquet",
}


def test_values_agree_with_duckdb(shared):
    compared = 0
    connection = duckdb.connect()
    for path in corpus(shared):
        if path.suffix != ".parquet" or path.name in OTHER_TYPES:
            continue
        try:
            _, tables = read_all(path)
            names = tables[0].column_names if tables else []
            listed = ", ".join('"' + n.replace('"', '""') + '"' for n in names)
            theirs = (
                connection.execute(f"select {listed} from read_parquet('{path}')").fetchall() if names else []
            )
        except (InfolakeError, duckdb.Error):
            continue
        ours = [tuple(row.values()) for t in tables for row in t.to_pylist()]
        assert sorted(map(comparable, ours)) == sorted(map(comparable, theirs)), path
        compared += 1
    assert compared > 30


def comparable(row: tuple[Any, ...]) -> str:
    return repr([_plain(v) for v in row])


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, float) and value != value:
        return "NaN"
    return (
        str(value.replace(tzinfo=None))
        if hasattr(value, "tzinfo")
        else value
        if value is None
        else str(value)
    )


@pytest.mark.parametrize(
    "name",
    [
        "data/datapage_v1-corrupt-checksum.parquet",
        "data/rle-dict-uncompressed-corrupt-checksum.parquet",
        "bad_data/PARQUET-1481.parquet",
    ],
)
def test_known_damage_is_found(shared, name):
    with pytest.raises(CorruptFileError):
        read_all(shared / "corpora/parquet-testing" / name)


def test_footers_that_promise_more_rows_than_there_are(shared):
    promising = []
    for path in corpus(shared):
        if "parquet" not in path.parts:
            continue
        try:
            read_all(path)
        except CorruptFileError as error:
            if error.fields["found"] == "0 rows":
                promising.append(path.name)
        except InfolakeError:
            continue
    assert len(promising) >= 1
