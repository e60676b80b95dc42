"""CSV files: fixed types from a bounded sample, then streamed.

An unquoted empty field is missing in every column, ``""`` is an empty string, and everything else is
a value, also ``NA``. A blank line of a file with one column is a missing value, other blank lines are
no rows. Digits with leading zeros are strings.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from infolake.errors import CorruptFileError, DataError, printable
from infolake.sources import canonical, text
from infolake.sources.checks import one_line, reading
from infolake.sources.files import File
from infolake.sources.partitions import Footer, Kind, Partition

TRUE, FALSE = ["true", "True", "TRUE"], ["false", "False", "FALSE"]

_CONVERSION = re.compile(r"In CSV column #(\d+): (?:Row #(\d+): )?(.*)", re.DOTALL)
_RAGGED = re.compile(r"(?:CSV parse error: )?Row #(\d+): (Expected \d+ columns, got \d+)", re.DOTALL)


def _check_last_line(file: File, start: bytes) -> None:
    """Refuse a cut CSV when planning: a small one, or where the store can seek."""
    # a byte order mark is cut off the start
    if len(start) < text.HEAD_BYTES - len(codecs.BOM_UTF8):
        last = start[-1:]
    elif text.head(file, 2) == text.GZIP or not file.size:
        return
    else:
        with file.open() as source:
            source.seek(file.size - 1)
            last = source.read(1)
    if last not in {b"\n", b"\r"}:
        raise CorruptFileError(
            "the last line does not end",
            where=file.shown,
            found="cut in the middle of a line?",
            next="append a newline if the file is complete",
        )


def footer(file: File, columns: Sequence[str] | None) -> Footer:
    """Return names and types from the header and the first MiB of a CSV file."""
    start = text.text_head(file)
    _check_last_line(file, start)
    first = next((line for line in start.splitlines() if line.strip()), b"").decode("utf-8", "replace")
    if not first:
        raise CorruptFileError(
            "a CSV without a header", where=file.shown, found="no header: blank lines only"
        )
    delimiter = sniffed(first, file.shown)
    options = (("delimiter", delimiter), ("single", delimiter not in first))
    types, rows = _sample(file, dict(options), {})
    whole = [f.name for f in types if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
    unique = [n for n in whole if types.names.count(n) == 1]
    if unique and rows:
        _, texts = _sample(file, dict(options), dict.fromkeys(unique, pa.string()))
        for name in unique:
            i = types.get_field_index(name)
            dtype = _refined(types.field(i).type, texts.column(name))
            types = types.set(i, pa.field(name, dtype))
    share = 1.0 if columns is None else len(columns) / max(len(types), 1)
    return Footer(
        types, None, ((None, None, max(1, int(text.decoded_size(file) * share))),), options, inferred=True
    )


def sniffed(header: str, name: str) -> str:
    r"""Return the delimiter of a CSV header.

    Examples
    --------
    >>> [sniffed(header, "x.csv") for header in ("a,b;c", "a;b;c", "a b")], sniffed("a,b", "x.tsv.gz")
    ([',', ';', ','], '\t')
    """
    if name.lower().removesuffix(".gz").endswith(".tsv"):
        return "\t"
    if "," in header:
        return ","
    best = max(";\t|", key=header.count)
    return best if best in header else ","


def _refined(dtype: pa.DataType, texts: pa.ChunkedArray) -> pa.DataType:
    """Return string where numbers would lose leading zeros or digits."""
    present = pc.utf8_trim_whitespace(texts.drop_null())
    if pc.any(pc.match_substring_regex(present, r"^[+-]?0[0-9]")).as_py():
        return pa.string()
    if pa.types.is_floating(dtype) and pc.all(pc.match_substring_regex(present, r"^[+-]?[0-9]+$")).as_py():
        with suppress(pa.ArrowInvalid):
            present.cast(pa.uint64())
            return pa.uint64()
        return pa.string()
    return dtype


def _sample(file: File, options: dict[str, Any], types: dict[str, pa.DataType]) -> tuple[pa.Schema, pa.Table]:
    """Return the types and rows of the first block."""
    for block in (text.SAMPLE_BYTES, text.BLOCK_BYTES):
        try:
            with text.Lines(file, whole_lines=True) as lines, _errors(file.shown, None):
                reader = _reader(lines, options, types, None, block)
                batch = next(iter(reader), None)
                rows = [] if batch is None else [batch]
                return reader.schema, pa.Table.from_batches(rows, reader.schema)
        except DataError as error:
            if "straddl" not in error.fields["found"] or block == text.BLOCK_BYTES:
                raise
    raise AssertionError


def _reader(
    lines: text.Lines,
    options: dict[str, Any],
    types: dict[str, pa.DataType],
    columns: Sequence[str] | None,
    block: int,
) -> arrow_csv.CSVStreamingReader:
    return arrow_csv.open_csv(
        lines,
        arrow_csv.ReadOptions(use_threads=False, block_size=block),
        arrow_csv.ParseOptions(
            delimiter=options["delimiter"], newlines_in_values=True, ignore_empty_lines=not options["single"]
        ),
        arrow_csv.ConvertOptions(
            column_types=types,
            include_columns=None if columns is None else list(columns),
            null_values=[""],
            true_values=TRUE,
            false_values=FALSE,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


@contextmanager
def _errors(where: str, names: Sequence[str] | None) -> Iterator[None]:
    """Name the row and column of what pyarrow's CSV reader complains about."""
    with reading(where):
        try:
            yield
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            raise _typed(str(error), where, names) from None


def _typed(message: str, where: str, names: Sequence[str] | None) -> DataError:
    ragged, conversion = _RAGGED.match(message), _CONVERSION.match(message)
    if ragged:
        return DataError(
            "a row with another number of fields than the header",
            where=f"{where}, row {ragged[1]}",
            found=ragged[2],
            next="quote fields that hold the delimiter, or repair the row",
        )
    if conversion:
        column = int(conversion[1])
        name = names[column] if names and column < len(names) else f"number {column + 1}"
        row = f", row {conversion[2]}" if conversion[2] else ""
        return DataError(
            f"a value of column {printable(name)!r} does not parse",
            where=f"{where}{row}",
            found=one_line(ValueError(conversion[3])),
            next=text.FIX_TYPES,
        )
    found = one_line(ValueError(message))
    if "straddl" in message:
        found += f" (a row longer than {text.BLOCK_BYTES} bytes, or a quote that is not closed)"
    return CorruptFileError("a CSV file cannot be parsed", where=where, found=found, next="repair the file")


def read(
    partitions: Sequence[Partition], columns: Sequence[str], batch_rows: int | None = None
) -> Iterator[tuple[Partition, pa.Table]]:
    """Yield the rows of CSV files block by block."""
    for partition in partitions:
        yield from ((partition, t) for t in _tables(partition, columns, batch_rows))


def _tables(partition: Partition, columns: Sequence[str], batch_rows: int | None) -> Iterator[pa.Table]:
    file = partition.file
    assert file is not None
    types = {n: _type(t) for n, t in partition.types if n in set(columns)}
    options = dict(partition.options)
    header = list(columns) or None
    with reading(file.shown):
        names = _header(file, options)
        lines = text.Lines(file, whole_lines=True)
    with lines:
        with _errors(file.shown, names):
            reader = _reader(lines, options, types, header, text.block_bytes(batch_rows))
        while True:
            with _errors(file.shown, names):
                batch = next(reader, None)
            if batch is None:
                break
            yield pa.Table.from_batches([batch])
        if lines.quotes % 2:
            _check_quotes(file, options["delimiter"])


def _type(name: str) -> pa.DataType:
    dtype = canonical.from_name(name)
    if pa.types.is_null(dtype):
        return pa.null()
    return pa.dictionary(pa.int32(), dtype) if pa.types.is_string(dtype) else dtype


def _header(file: File, options: dict[str, Any]) -> list[str]:
    lines = io.StringIO(text.text_head(file).decode("utf-8", "replace"), newline="")
    with suppress(csv.Error):
        return next((row for row in csv.reader(lines, delimiter=options["delimiter"]) if row), [])
    return []


def _check_quotes(file: File, delimiter: str) -> None:
    """Refuse a file whose last quoted field is never closed, which swallows all rows after it."""
    last: list[str] = []
    try:
        with text.Lines(file, whole_lines=True) as lines:
            unpacked = io.TextIOWrapper(io.BufferedReader(_Raw(lines)), "utf-8", newline="")
            for row in csv.reader(unpacked, delimiter=delimiter):
                last = row
    except csv.Error:
        last = ["\n"]
    if last and last[-1].endswith(("\n", "\r")):
        raise CorruptFileError(
            "a quote is not closed",
            where=file.shown,
            found="the file ends inside a quoted field",
            next="repair the file: was it cut?",
        )


class _Raw(io.RawIOBase):
    def __init__(self, lines: text.Lines) -> None:
        super().__init__()
        self.lines = lines

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.lines.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


KIND = Kind("csv", footer, read, suffixes=(".csv", ".tsv"))
