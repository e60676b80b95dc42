"""JSON lines: fixed types from a bounded sample, then streamed; an absent field is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pyarrow as pa
from pyarrow import json as arrow_json

from infolake.errors import CorruptFileError, DataError, printable
from infolake.sources import canonical, text
from infolake.sources.checks import one_line, reading
from infolake.sources.files import File
from infolake.sources.partitions import Footer, Kind, Partition

_COLUMN = re.compile(r"Column\(/?([^)]*)\) changed from (\w+) to (\w+)")


def footer(file: File, columns: Sequence[str] | None) -> Footer:
    """Return names and types from the first MiB of a JSON lines file."""
    if text.text_head(file).lstrip()[:1] == b"[":
        raise CorruptFileError(
            "a JSON array, not JSON lines",
            where=file.shown,
            found="a JSON array, not one object for each line",
            next="write one JSON object for each line",
        )
    schema, table = _sample(file, None)
    floats = [f.name for f in schema if pa.types.is_floating(f.type)]
    for name in floats:
        # pyarrow reads integers beyond int64 as floats
        with suppress(DataError):
            _sample(file, pa.schema([(name, pa.uint64())]))
            if table.column(name).null_count < len(table):
                schema = schema.set(schema.get_field_index(name), pa.field(name, pa.uint64()))
    own = tuple((f.name, str(t)) for f in schema if (t := canonical.canonical(f.type)) is not None)
    share = 1.0 if columns is None else len(columns) / max(len(schema), 1)
    parts = ((None, None, max(1, int(text.decoded_size(file) * share))),)
    return Footer(schema, None, parts, (("types", own),), inferred=True, sparse=True)


def _sample(file: File, schema: pa.Schema | None) -> tuple[pa.Schema, pa.Table]:
    for block in (text.SAMPLE_BYTES, text.BLOCK_BYTES):
        try:
            with text.Lines(file, whole_lines=False) as lines, _errors(file.shown):
                reader = _reader(lines, schema, block)
                batch = next(iter(reader), None)
                rows = [] if batch is None else [batch]
                return reader.schema, pa.Table.from_batches(rows, reader.schema)
        except DataError as error:
            if "straddl" not in error.fields["found"] or block == text.BLOCK_BYTES:
                raise
    raise AssertionError


def _reader(lines: text.Lines, schema: pa.Schema | None, block: int) -> arrow_json.JSONStreamingReader:
    return arrow_json.open_json(
        lines,
        arrow_json.ReadOptions(use_threads=False, block_size=block),
        arrow_json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "ignore"
        ),
    )


@contextmanager
def _errors(where: str, first_row: int = 0) -> Iterator[None]:
    with reading(where):
        try:
            yield
        except pa.ArrowInvalid as error:
            raise _typed(str(error), where, first_row) from None


def _typed(message: str, where: str, first_row: int) -> DataError:
    mixed = _COLUMN.search(message)
    after = f" (after row {first_row})" if first_row else ""
    if mixed or "Failed to convert" in message:
        column = f"column {printable(mixed[1])!r}" if mixed else "a column"
        return DataError(
            f"a value of {column} is of another kind than its others",
            where=where + after,
            found=one_line(ValueError(message)),
            next=text.FIX_TYPES,
        )
    found = one_line(ValueError(message))
    return CorruptFileError(
        "not JSON lines", where=where + after, found=found, next="repair the file: was it cut?"
    )


def read(
    partitions: Sequence[Partition], columns: Sequence[str], batch_rows: int | None = None
) -> Iterator[tuple[Partition, pa.Table]]:
    """Yield the rows of JSON lines files block by block."""
    for partition in partitions:
        yield from ((partition, t) for t in _tables(partition, columns, batch_rows))


def _tables(partition: Partition, columns: Sequence[str], batch_rows: int | None) -> Iterator[pa.Table]:
    file = partition.file
    assert file is not None
    own, targets = dict(partition.option("types")), dict(partition.types)
    schema = pa.schema([(c, _parsed_as(own.get(c), targets[c])) for c in columns])
    done = 0
    with reading(file.shown):
        lines = text.Lines(file, whole_lines=False)
    with lines:
        with _errors(file.shown):
            reader = _reader(lines, schema, text.block_bytes(batch_rows))
        while True:
            with _errors(file.shown, done):
                batch = next(reader, None)
            if batch is None:
                return
            done += batch.num_rows
            yield pa.Table.from_batches([batch])


def _parsed_as(own: str | None, target: str) -> pa.DataType:
    """Return the type to parse as: numbers in a column of strings are parsed as themselves, then cast."""
    if target == "string" and own in {"int64", "uint64", "double", "bool"}:
        return canonical.from_name(own)
    return canonical.from_name(target)


KIND = Kind("json", footer, read, suffixes=(".jsonl", ".ndjson", ".json"))
