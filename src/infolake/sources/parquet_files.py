"""Parquet files: row groups, read with page checksums verified and strings as dictionaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infolake.errors import ChangedInputError, CorruptFileError
from infolake.sources import canonical
from infolake.sources.checks import reading, translated
from infolake.sources.files import File
from infolake.sources.partitions import Footer, Kind, Partition, rows_per_batch

SHORT = 256


def footer(file: File, columns: Sequence[str] | None) -> Footer:
    """Read the footer of a Parquet file."""
    with file.open() as source:
        parquet = _parquet(source)
        metadata, schema = parquet.metadata, parquet.schema_arrow
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        rows = [g.num_rows for g in groups]
        if sum(rows) != metadata.num_rows or min(rows, default=0) < 0:
            raise CorruptFileError(
                "the footer disagrees with its row groups",
                where=file.shown,
                expected=f"{metadata.num_rows} rows",
                found=f"{sum(rows)} rows in {len(rows)} row groups",
            )
        width, share = _row_width(schema, columns)
        parts = tuple(
            (i, g.num_rows, max(width * g.num_rows, int(share * g.total_byte_size)))
            for i, g in enumerate(groups)
        )
    return Footer(schema, metadata.num_rows, parts)


def _row_width(schema: pa.Schema, columns: Sequence[str] | None) -> tuple[int, float]:
    """Return decoded bytes of a row of the wanted columns, and their share of all columns."""
    names = set(schema.names)
    wanted = schema.names if columns is None else [c for c in columns if c in names]
    width = sum(4 if canonical.is_text(_type(schema, c)) else 8 for c in wanted)
    return width, len(wanted) / max(len(schema.names), 1)


def _type(schema: pa.Schema, name: str) -> pa.DataType:
    found = schema.get_all_field_indices(name)
    return (canonical.canonical(schema.field(found[0]).type) if found else None) or pa.null()


def _parquet(
    source: pa.NativeFile, dictionaries: Sequence[str] = (), *, remote: bool = False
) -> pq.ParquetFile:
    return pq.ParquetFile(
        source,
        read_dictionary=list(dictionaries),
        page_checksum_verification=True,
        pre_buffer=remote,
        # nanoseconds would wrap silently before 1678 and after 2262, which Spark's INT96 reaches
        coerce_int96_timestamp_unit="us",
    )


def read(
    partitions: Sequence[Partition], columns: Sequence[str], batch_rows: int | None = None
) -> Iterator[tuple[Partition, pa.Table]]:
    """Yield batches of row groups of one file, opened once."""
    file = partitions[0].file
    assert file is not None
    wanted = set(columns)
    wanted -= set(partitions[0].option("plain", ()))
    texts = [n for n, t in partitions[0].types if n in wanted and canonical.is_text(canonical.from_name(t))]
    with reading(file.shown):
        source = file.open()
    with source:
        opened = _Opened(source, file, texts)
        for partition in partitions:
            opened.check_footer(partition)
            yield from ((partition, t) for t in opened.row_group(partition, columns, batch_rows))


class _Opened:
    """An open Parquet file whose strings come as dictionaries where pyarrow can read them so."""

    def __init__(self, source: pa.NativeFile, file: File, texts: Sequence[str]) -> None:
        self.source, self.file, self.texts = source, file, list(texts)
        with reading(file.shown):
            self.parquet = _parquet(source, self.texts, remote=not file.is_local)

    def row_group(
        self, partition: Partition, columns: Sequence[str], batch_rows: int | None
    ) -> Iterator[pa.Table]:
        names = list(columns) or [_cheapest(self.parquet.schema_arrow)]
        rows = min(batch_rows or 2**31, rows_per_batch(partition, columns))
        done = 0
        try:
            for table in self._batches(partition, names, rows):
                done += table.num_rows
                yield table
        except Exception as error:
            plain = self._plain_texts(partition) if _not_as_dictionary(error) else set()
            if not plain:
                raise self._blamed(error, partition, names) from None
            # strings in delta encodings cannot be read as dictionaries: these columns are read plain
            self.texts = [t for t in self.texts if t not in plain]
            self.parquet = _parquet(self.source, self.texts, remote=not self.file.is_local)
            yield from _without_first(self.row_group(partition, columns, batch_rows), done)

    def _batches(self, partition: Partition, names: Sequence[str], rows: int) -> Iterator[pa.Table]:
        if self.file.is_local and 0 < (partition.n_rows or 0) <= rows:
            yield self._one_by_one(partition, names)
            return
        batches = self.parquet.iter_batches(
            rows, row_groups=[partition.part], columns=list(names), use_threads=False
        )
        for batch in batches:
            yield pa.Table.from_batches([batch])

    def _one_by_one(self, partition: Partition, names: Sequence[str]) -> pa.Table:
        """Decode a column at a time, so that what one leaves in the cache serves the next."""
        read = partial(self.parquet.read_row_group, partition.part, use_threads=False)
        return pa.table([short(read(columns=[n]).column(n)) for n in names], names=list(names))

    def _plain_texts(self, partition: Partition) -> set[str]:
        """Return the columns that cannot be read as dictionaries."""
        return {t for t in self.texts if _not_as_dictionary(self._failure(partition, t))}

    def _failure(self, partition: Partition, name: str) -> Exception | None:
        try:
            for _ in self._batches(partition, [name], 2**16):
                pass
        except Exception as error:
            return error
        return None

    def _blamed(self, error: Exception, partition: Partition, names: Sequence[str]) -> Exception:
        """Return the typed error, with the first column that fails on its own."""
        for name in names:
            own = self._failure(partition, name)
            if own is not None:
                return translated(own, f"{partition.where}, column {name!r}")
        return translated(error, partition.where)

    def check_footer(self, partition: Partition) -> None:
        metadata = self.parquet.metadata
        assert partition.part is not None
        if partition.part < metadata.num_row_groups:
            found = metadata.row_group(partition.part).num_rows
            if found == partition.n_rows:
                return
        raise ChangedInputError(
            "a file changed while it was being read",
            where=partition.where,
            expected=f"listed at {partition.n_rows} rows in this row group",
            found=f"{metadata.num_row_groups} row groups, {metadata.num_rows} rows",
        )


def short(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of few values with uint8 indices, a quarter of the memory; others as they are.

    An index that is no byte leaves the column as it is, for the check to find.
    """
    kind = column.type
    if not pa.types.is_dictionary(kind) or kind.index_type != pa.int32():
        return column
    chunks = [_short(c) for c in column.chunks]
    return column if None in chunks else pa.chunked_array(chunks, pa.dictionary(pa.uint8(), kind.value_type))


def _short(chunk: pa.DictionaryArray) -> pa.DictionaryArray | None:
    from infolake.kernels import narrow

    dictionary, indices, n = chunk.dictionary, chunk.indices, len(chunk)
    if len(dictionary) >= SHORT or chunk.offset or not n:
        return None
    known = indices.fill_null(0) if indices.null_count else indices
    # memory of Arrow's pool was mostly used before: its pages need not be made anew
    memory = pa.allocate_buffer(n)
    if narrow(np.frombuffer(known.buffers()[1], np.uint32, n), np.frombuffer(memory, np.uint8)) >= SHORT:
        return None
    found = pa.Array.from_buffers(pa.uint8(), n, [indices.buffers()[0], memory], indices.null_count)
    return pa.DictionaryArray.from_arrays(found, dictionary, safe=False)


def _not_as_dictionary(error: Exception | None) -> bool:
    return error is not None and "Not yet implemented" in str(error)


def _without_first(tables: Iterator[pa.Table], n_rows: int) -> Iterator[pa.Table]:
    for table in tables:
        skipped = min(n_rows, table.num_rows)
        n_rows -= skipped
        if skipped < table.num_rows:
            yield table.slice(skipped)


def _cheapest(schema: pa.Schema) -> str:
    """Return a column that is cheap to read, to count rows where only Hive keys are wanted."""
    # column chunk metadata would tell sizes, but pyarrow aborts on damaged ones
    flat = [f.name for f in schema if not pa.types.is_nested(f.type)]
    fixed = [f.name for f in schema if pa.types.is_primitive(f.type)]
    return str([*fixed, *flat, *schema.names][0])


KIND = Kind("parquet", footer, read, suffixes=(".parquet", ".parq", ".pq"), magic=(b"PAR1",))
