"""Feather (Arrow IPC) files: groups of record batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from infolake.errors import CorruptFileError
from infolake.sources.checks import reading
from infolake.sources.files import File
from infolake.sources.partitions import Footer, Kind, Partition, sliced

BATCH_GROUP_ROWS = 2**20


def footer(file: File, columns: Sequence[str] | None) -> Footer:
    """Read the footer of an Arrow IPC file and the row counts of its batches."""
    with file.open() as source:
        if source.read(4) == b"FEA1":
            raise CorruptFileError(
                "Feather version 1", where=file.shown, found="Feather version 1, long deprecated"
            )
    with file.open() as source:
        reader = pa.ipc.open_file(source)
        schema, n_batches = reader.schema, reader.num_record_batches
    rows = _batch_rows(file, schema, n_batches)
    width = 8 * len(schema.names if columns is None else columns)
    groups: list[tuple[int, int]] = []
    for i, n in enumerate(rows):
        if groups and groups[-1][1] + n <= BATCH_GROUP_ROWS:
            groups[-1] = (groups[-1][0], groups[-1][1] + n)
        else:
            groups.append((i, n))
    parts = tuple((start, n, width * n) for start, n in groups)
    return Footer(
        schema, sum(rows), parts, (("starts", tuple(s for s, _ in groups)), ("n_batches", n_batches))
    )


def _batch_rows(file: File, schema: pa.Schema, n_batches: int) -> list[int]:
    """Return the rows of every batch, reading no more than the column that costs least."""
    if not schema.names:
        return [0] * n_batches
    widths = [getattr(f.type, "bit_width", 1000) if pa.types.is_primitive(f.type) else 1000 for f in schema]
    options = pa.ipc.IpcReadOptions(included_fields=[widths.index(min(widths))])
    with file.open() as source:
        reader = pa.ipc.open_file(source, options=options)
        return [reader.get_batch(i).num_rows for i in range(n_batches)]


def read(
    partitions: Sequence[Partition], columns: Sequence[str], batch_rows: int | None = None
) -> Iterator[tuple[Partition, pa.Table]]:
    """Yield the record batches of an Arrow IPC file in bounded slices."""
    file = partitions[0].file
    assert file is not None
    with reading(file.shown):
        source = file.open()
    with source:
        with reading(file.shown):
            schema = pa.ipc.open_file(source).schema
            fields = [schema.get_field_index(c) for c in columns] or [0]
            reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=fields))
        for partition in partitions:
            for i in _batches_of(partition):
                with reading(f"{partition.path} (batch {i})"):
                    table = pa.Table.from_batches([reader.get_batch(i)])
                yield from ((partition, t) for t in sliced(table, partition, columns, batch_rows))


def _batches_of(partition: Partition) -> range:
    starts = [*partition.option("starts"), partition.option("n_batches")]
    assert partition.part is not None
    return range(partition.part, starts[starts.index(partition.part) + 1])


KIND = Kind(
    "feather",
    footer,
    read,
    suffixes=(".feather", ".arrow", ".ipc"),
    magic=(b"ARROW1", b"FEA1"),
    untrusted=True,
)
