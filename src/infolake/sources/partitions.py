"""Partition: what one task reads. Source: all partitions of an input, with the schema they share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, cached_property, lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from infolake.errors import CorruptFileError, DataError, LedgerError, UnknownColumnError, nearest
from infolake.sources import canonical
from infolake.sources.checks import check_column, one_line, reading
from infolake.sources.files import Constant, File

if TYPE_CHECKING:
    import pyarrow.fs as pafs

BATCH_BYTES = 2**27
SAMPLE_FILES = 4
NEVER_MORE_ROWS = 2**20
FIXED_WIDTHS = {"bool": 1, "date32[day]": 4, "null": 1, "string": 4, "binary": 4}


@dataclass(frozen=True)
class Partition:
    """The finest unit of reading: a row group, a file, a slice of a frame.

    Frozen, small and picklable: it names what to read and holds no open file. A slice of a frame
    holds its rows, and pickles no more than these.

    Parameters
    ----------
    kind
        ``"parquet"``, ``"csv"``, ``"json"``, ``"orc"``, ``"feather"`` or ``"memory"``.
    file
        The file with its identity when listed; None for a frame.
    part
        Number of the row group, of the first batch or of the slice; None for a whole file.
    types
        Canonical type of every wanted column, by name, as text.
    n_rows
        Rows by the footer, None where only reading tells.
    n_bytes
        Estimate of the decoded bytes of the wanted columns.
    options
        What a kind has to remember, such as a delimiter.
    data
        The rows of a slice of a frame.
    """

    kind: str
    file: File | None
    part: int | None
    types: tuple[tuple[str, str], ...] = field(repr=False)
    n_rows: int | None
    n_bytes: int
    options: tuple[tuple[str, Any], ...] = field(default=(), repr=False)
    data: pa.Table | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        """The file as messages show it."""
        return self.file.shown if self.file else "(in memory)"

    @property
    def filesystem(self) -> str | pafs.FileSystem:
        """What gives the filesystem in any process."""
        return self.file.filesystem if self.file else "memory"

    @property
    def constants(self) -> tuple[tuple[str, Constant], ...]:
        """Hive keys and their values."""
        return self.file.constants if self.file else ()

    @property
    def identity(self) -> tuple[int | None, str, int | None]:
        """Size, modification time or etag, and rows by the footer."""
        return (self.file.size, self.file.tag, self.n_rows) if self.file else (None, self.key, self.n_rows)

    @cached_property
    def key(self) -> str:
        """A name of path, identity and part that is the same in every process."""
        if self.data is not None:
            return content_key(self.data, self.types)
        assert self.file is not None
        parts = [self.kind, self.file.shown, self.file.path, self.file.size, self.file.tag, self.part]
        shared = _digest((self.types, self.options))
        return _digest((*parts, self.file.constants, self.n_rows, shared))

    @property
    def where(self) -> str:
        """File and part, for messages."""
        name = {"parquet": "row group", "feather": "batch", "memory": "slice"}.get(self.kind)
        return self.path if name is None or self.part is None else f"{self.path} ({name} {self.part})"

    def option(self, name: str, default: Any = None) -> Any:
        """Return an option of the kind."""
        return dict(self.options).get(name, default)

    def read(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows in bounded batches; see `read_partitions`."""
        for _, table in read_partitions([self], columns):
            yield table

    def __reduce__(self) -> tuple[object, ...]:
        # pickling a slice of a table would ship the whole table
        data = None if self.data is None else _to_ipc(self.data)
        state = (self.kind, self.file, self.part, self.types, self.n_rows, self.n_bytes, self.options, data)
        return _from_state, state

    def __sizeof__(self) -> int:
        return 500 + (self.data.nbytes if self.data is not None else 0)


@lru_cache(maxsize=256)
def _digest(parts: tuple[object, ...]) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _from_state(*state: Any) -> Partition:
    values = dict(zip((f.name for f in fields(Partition)), state, strict=True))
    if values["data"] is not None:
        values["data"] = pa.ipc.open_stream(values["data"]).read_all()
    return Partition(**values)


def _to_ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


class _Hashing:
    """A file that only hashes what is written to it."""

    closed = False

    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=16)

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing to close."""


def content_key(table: pa.Table, types: object = ()) -> str:
    """Return a name of a table's content."""
    sink = _Hashing()
    sink.write(repr(types).encode())
    with pa.PythonFile(sink, "w") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return sink.hash.hexdigest()


@dataclass(frozen=True)
class Footer:
    """What a file says of itself.

    Parameters
    ----------
    schema
        The file's own columns and types.
    n_rows
        Rows, None where the format does not say.
    parts
        Number, rows and estimated decoded bytes of the wanted columns of each part.
    options
        What the reader has to remember.
    inferred
        The types were guessed from a sample.
    sparse
        A column the file does not name is missing in all its rows, not an error.
    """

    schema: pa.Schema
    n_rows: int | None
    parts: tuple[tuple[int | None, int | None, int], ...]
    options: tuple[tuple[str, object], ...] = ()
    inferred: bool = False
    sparse: bool = False


class Reader(Protocol):
    """Give the rows of partitions of one file."""

    def __call__(
        self, partitions: Sequence[Partition], columns: Sequence[str], batch_rows: int | None = None, /
    ) -> Iterator[tuple[Partition, pa.Table]]:
        """Yield batches of the file's own columns in its own types."""


@dataclass(frozen=True)
class Kind:
    """A kind of input, and all that tells it from others.

    Parameters
    ----------
    name
        What partitions and sources are called by.
    footer
        ``(file, wanted columns or None) -> Footer``; None for what is in memory.
    read
        The reader of its partitions.
    suffixes
        Endings of file names, lower case, without ``.gz``.
    magic
        First bytes of files whose name tells nothing.
    untrusted
        Buffers are used as they stand in the file, and need every check.
    """

    name: str
    footer: Callable[[File, Sequence[str] | None], Footer] | None
    read: Reader
    suffixes: tuple[str, ...] = ()
    magic: tuple[bytes, ...] = ()
    untrusted: bool = False


@cache
def kinds() -> dict[str, Kind]:
    """Return every kind of input by name."""
    from infolake.sources import csv_files, feather_files, json_files, memory, orc_files, parquet_files

    modules = (parquet_files, csv_files, json_files, orc_files, feather_files, memory)
    return {module.KIND.name: module.KIND for module in modules}


def read_partitions(
    partitions: Iterable[Partition],
    columns: Sequence[str],
    *,
    batch_rows: int | None = None,
    short: bool = False,
) -> Iterator[tuple[Partition, pa.Table]]:
    """Yield the rows of partitions in bounded batches, opening a file once for neighbours.

    Parameters
    ----------
    partitions
        What to read; those of one file should stand together.
    columns
        Names of the columns of every table, in this order, each in its canonical type: strings and
        binaries plain or as dictionaries with int32 indices, all else plain. Indices in missing
        slots mean nothing.
    batch_rows
        Rows of a batch at most; by default what fits in 128 MiB.
    short
        Indices into dictionaries of few values may be uint8.

    Raises
    ------
    CorruptFileError
        A file is damaged, or gives other than the rows its footer promises.
    ChangedInputError
        A file is not what it was when listed: checked before and after its rows are read.
    AccessError
        A file may not be read.
    DataError
        A value does not fit the type of its column.
    """
    names = list(columns)
    for _, group in groupby(partitions, key=lambda p: (p.kind, p.file)):
        members = list(group)
        _refuse_unknown(names, members[0])
        if members[0].file:
            members[0].file.check_unchanged()
        yield from _counted(members, names, batch_rows, short=short)
        if members[0].file:
            members[0].file.check_unchanged()


def _refuse_unknown(names: Sequence[str], partition: Partition) -> None:
    known = [name for name, _ in partition.types]
    for name in names:
        if name not in known:
            raise UnknownColumnError(
                f"unknown column {name!r}", where=partition.path, next=nearest(name, known)
            )


def _counted(
    members: Sequence[Partition], names: Sequence[str], batch_rows: int | None, *, short: bool
) -> Iterator[tuple[Partition, pa.Table]]:
    """Yield canonical tables; hold the rows of each partition against its footer."""
    read = dict.fromkeys(range(len(members)), 0)
    position = {id(p): i for i, p in enumerate(members)}
    constants = dict(members[0].constants)
    own = [n for n in names if n not in constants]
    for partition, table in kinds()[members[0].kind].read(members, own, batch_rows):
        read[position[id(partition)]] += table.num_rows
        yield partition, canonical_table(partition, table, names, short=short)
    for i, partition in enumerate(members):
        _check_rows(partition, read[i])


def _check_rows(partition: Partition, read: int) -> None:
    if partition.n_rows is None or read == partition.n_rows:
        return
    if partition.file is None:
        raise LedgerError("rows of a frame were lost", expected=str(partition.n_rows), found=str(read))
    raise CorruptFileError(
        "the footer promises other rows than can be read",
        where=partition.where,
        expected=f"{partition.n_rows} rows",
        found=f"{read} rows",
        next="restore the file, or leave it out of the input",
    )


def canonical_table(
    partition: Partition, table: pa.Table, names: Sequence[str], *, short: bool = False
) -> pa.Table:
    """Return the named columns of a batch, checked, in canonical types, Hive keys added."""
    types, constants = dict(partition.types), dict(partition.constants)
    checked, columns = _checks(partition), []
    for name in names:
        target = canonical.from_name(types[name])
        if name in constants:
            columns.append(_constant(constants[name], target, table.num_rows))
        else:
            column = checked(name, table.column(name))
            columns.append(_converted(partition, name, column, target, short=short))
    return pa.table(columns, names=list(names)) if columns else table.select([])


def _checks(partition: Partition) -> Callable[[str, pa.ChunkedArray], pa.ChunkedArray]:
    """Return what checks a column of a partition and returns it."""
    full, ascii_only = kinds()[partition.kind].untrusted, partition.option("ascii", ())

    def checked(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        try:
            check_column(column, full=full, texts=name not in ascii_only)
        except Exception:
            with reading(f"{partition.where}, column {name!r}"):
                raise
        return column

    return checked


def _converted(
    partition: Partition, name: str, column: pa.ChunkedArray, target: pa.DataType, *, short: bool
) -> pa.ChunkedArray:
    try:
        return canonical.convert(column, target, short=short)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"a value of column {name!r} does not fit its type over all files",
            where=partition.where,
            expected=str(target),
            found=one_line(error),
        ) from None


def _constant(value: Constant, target: pa.DataType, n_rows: int) -> pa.Array:
    if value is None:
        return pa.nulls(n_rows, target)
    if not pa.types.is_string(target):
        return pa.repeat(pa.scalar(value, target), n_rows)
    return pa.DictionaryArray.from_arrays(
        pa.repeat(pa.scalar(0, pa.int32()), n_rows), pa.array([value], target)
    )


def rows_per_batch(partition: Partition, columns: Sequence[str]) -> int:
    """Return how many rows of these columns fit in a batch of 128 MiB."""
    types = dict(partition.types)
    width = sum(FIXED_WIDTHS.get(types[c], 16 if types[c].startswith("decimal") else 8) for c in columns)
    return max(1024, min(NEVER_MORE_ROWS, BATCH_BYTES // max(width, 1)))


def sliced(
    table: pa.Table, partition: Partition, columns: Sequence[str], batch_rows: int | None
) -> Iterator[pa.Table]:
    """Yield a table in slices that fit in a batch; one slice at least."""
    rows = min(batch_rows or 2**31, rows_per_batch(partition, columns))
    yield from (table.slice(start, rows) for start in range(0, max(table.num_rows, 1), rows))


@dataclass(frozen=True)
class Source:
    """An input: its schema and its partitions. Building one reads footers and a bounded sample.

    Parameters
    ----------
    kind
        Kind of the partitions; ``"mixed"`` where files of several formats were listed.
    schema
        Canonical type of every wanted column and of those that filters name, in the order of the
        first file, Hive keys last.
    columns
        The wanted columns, without those that only filters name.
    partitions
        The finest units, sorted by path.
    n_rows
        Rows by the footers, None where a file has none (CSV, JSON).
    inputs
        For each file or frame: path, size, mtime or etag, rows.
    filters
        The filters as a list of lists of ``(column, op, value)``: any of the lists, all of its members.
    pruned_files
        Files that Hive keys and filters left out.
    """

    kind: str
    schema: dict[str, pa.DataType]
    columns: tuple[str, ...]
    partitions: tuple[Partition, ...]
    n_rows: int | None
    inputs: list[dict[str, Any]]
    filters: tuple[tuple[tuple[str, str, Any], ...], ...] = ()
    pruned_files: int = 0

    def sample(self, columns: Sequence[str] | None = None, max_rows: int = 2**16) -> pa.Table:
        """Return rows of a few partitions spread over the input; strings come as dictionaries.

        At most the first batch of each of four partitions is read, of `max_rows` / 4 rows.
        """
        names = list(self.schema) if columns is None else list(columns)
        chosen = _spread(self.partitions, SAMPLE_FILES)
        share = -(-max_rows // max(len(chosen), 1))
        tables = [_first_rows(p, names, share) for p in chosen]
        tables = [t for t in tables if t is not None]
        if not tables:
            return pa.schema([(n, _sampled_type(self.schema[n])) for n in names]).empty_table()
        return pa.concat_tables(tables)


def _spread(partitions: Sequence[Partition], n: int) -> list[Partition]:
    if len(partitions) <= n:
        return list(partitions)
    return [partitions[i * (len(partitions) - 1) // (n - 1)] for i in range(n)]


def _first_rows(partition: Partition, names: Sequence[str], n_rows: int) -> pa.Table | None:
    reader = read_partitions([partition], names, batch_rows=n_rows)
    first = next(reader, None)
    reader.close()  # type: ignore[attr-defined]
    if first is None:
        return None
    table = first[1].slice(0, n_rows)
    return pa.table([_as_dictionary(c) for c in table.columns], names=list(names))


def _as_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.dictionary_encode() if canonical.is_text(column.type) else column


def _sampled_type(dtype: pa.DataType) -> pa.DataType:
    return pa.dictionary(pa.int32(), dtype) if canonical.is_text(dtype) else dtype
