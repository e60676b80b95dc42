"""ORC files: one partition each, read stripe by stripe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from infolake.sources.checks import reading
from infolake.sources.files import File
from infolake.sources.partitions import Footer, Kind, Partition, sliced


def footer(file: File, columns: Sequence[str] | None) -> Footer:
    """Read the footer of an ORC file; it is one partition, as it does not tell the rows of its stripes."""
    from pyarrow import orc

    with file.open() as source:
        data = orc.ORCFile(source)
        width = 8 * len(data.schema.names if columns is None else columns)
        return Footer(data.schema, data.nrows, ((None, data.nrows, max(width * data.nrows, 1)),))


def read(
    partitions: Sequence[Partition], columns: Sequence[str], batch_rows: int | None = None
) -> Iterator[tuple[Partition, pa.Table]]:
    """Yield the stripes of an ORC file in bounded slices."""
    from pyarrow import orc

    (partition,) = partitions
    assert partition.file is not None
    with reading(partition.where):
        source = partition.file.open()
    with source:
        with reading(partition.where):
            data = orc.ORCFile(source)
            names = list(columns) or data.schema.names[:1]
            n_stripes = data.nstripes
        for i in range(n_stripes):
            with reading(f"{partition.where} (stripe {i})"):
                table = pa.Table.from_batches([data.read_stripe(i, columns=names)])
            yield from ((partition, t) for t in sliced(table, partition, columns, batch_rows))


KIND = Kind("orc", footer, read, suffixes=(".orc",), magic=(b"ORC",))
