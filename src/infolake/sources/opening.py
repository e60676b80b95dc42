"""open_source: anything that holds rows becomes a Source."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from infolake.errors import (
    AccessError,
    CorruptFileError,
    InfolakeError,
    MissingExtraError,
    SchemaError,
    UnknownColumnError,
    UsageError,
    listed,
    nearest,
    printable,
)
from infolake.sources import canonical, memory
from infolake.sources import filters as filtering
from infolake.sources.checks import reading
from infolake.sources.files import LOCAL, File, find_files, identity, refuse_duplicates
from infolake.sources.partitions import Footer, Partition, Source, kinds

LISTED = 20
FOOTER_THREADS = 8


def open_source(data: object, *, columns: Iterable[str] | None = None, filters: object = None) -> Source:
    """Plan the reading of an input: list its files, read their footers, unify their types.

    No rows are read, but for a bounded sample of each CSV and JSON file that gives its types.

    Parameters
    ----------
    data
        A path, URL, glob or a list of these (Parquet, CSV, JSON lines, ORC, Feather; folders with
        Hive keys ``key=value``); a pandas or Polars frame; a pyarrow Table, RecordBatch, list of
        RecordBatches or Dataset.
    columns
        Wanted columns, in any order; all by default.
    filters
        pyarrow's list form. Hive keys prune files; the rest is for `filter_mask`.

    Raises
    ------
    NoInputError, AccessError
        Nothing matches, or it may not be read.
    CorruptFileError, DuplicateInputError, SchemaError
        Files are damaged, listed twice, or disagree about a type; all of them are named.
    UnknownColumnError, UsageError
        A column, filter or kind of data that does not exist.

    Examples
    --------
    >>> source = open_source(pa.table({"a": pa.array([1, 2], pa.int8()), "b": ["x", None]}))
    >>> source.schema
    {'a': DataType(int64), 'b': DataType(string)}
    >>> [table.num_rows for partition in source.partitions for table in partition.read(["a"])]
    [2]
    """
    wanted = _wanted(columns)
    clauses = filtering.normalized(filters)
    found = memory.to_table(data, lambda names: _chosen(names, wanted, clauses))
    if found is None and _is_dataset(data):
        return _open_dataset(data, wanted, clauses)
    if found is not None:
        return _open_table(*found, wanted, clauses)
    return _open_files(find_files(_paths(data)), wanted, clauses)


def _wanted(columns: Iterable[str] | None) -> list[str] | None:
    if columns is None:
        return None
    if isinstance(columns, str):
        raise UsageError("columns is a string", expected="a list of column names", found=printable(columns))
    names = list(columns)
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise UsageError(f"columns are listed twice: {listed(map(str, twice))}")
    return names


def _paths(data: object) -> list[str]:
    if isinstance(data, str | os.PathLike):
        return [os.fspath(data)]
    if isinstance(data, list | tuple | set | frozenset) and all(
        isinstance(p, str | os.PathLike) for p in data
    ):
        return [os.fspath(p) for p in data]
    raise UsageError(
        "this kind of data cannot be read",
        expected="a path, URL, glob or list of these, a pandas, Polars or Dask frame, a Table or Dataset",
        found=f"{type(data).__module__}.{type(data).__name__}",
    )


def _open_table(kind: str, table: pa.Table, wanted: list[str] | None, clauses: filtering.Filters) -> Source:
    where = f"({kind} frame)" if kind != "arrow" else "(pyarrow table)"
    names = _chosen(table.schema.names, wanted, clauses)
    schema = {n: _canonical_field(table.schema, n, where) for n in names}
    filtering.check(clauses, schema)
    types = tuple((n, str(t)) for n, t in schema.items())
    partitions = memory.slices(table.select(names), types)
    inputs = [{"path": where, "rows": table.num_rows}]
    return Source(kind, schema, _asked(names, wanted), partitions, table.num_rows, inputs, clauses)


def _asked(names: Sequence[str], wanted: list[str] | None) -> tuple[str, ...]:
    return tuple(n for n in names if wanted is None or n in wanted)


def _chosen(known: Sequence[str], wanted: list[str] | None, clauses: filtering.Filters) -> list[str]:
    """Return the wanted columns and those filters name, in schema order."""
    needed = filtering.columns_of(clauses)
    for name in [*(wanted or []), *needed]:
        if name not in known:
            role = "" if wanted and name in wanted else " in a filter"
            raise UnknownColumnError(
                f"unknown column {printable(name)!r}{role}", next=nearest(str(name), known)
            )
    keep = set(known) if wanted is None else {*wanted, *needed}
    chosen = [n for n in known if n in keep]
    twice = [n for n, count in Counter(chosen).items() if count > 1]
    if twice:
        raise SchemaError(
            f"several columns are named {listed(map(repr, twice))}",
            next="rename them, or name others in columns=[...]",
        )
    return chosen


def _canonical_field(schema: pa.Schema, name: str, where: str) -> pa.DataType:
    dtype = schema.field(name).type
    found = canonical.canonical(dtype)
    if found is None:
        kind = "nested" if pa.types.is_nested(dtype) else "of a type that is not counted"
        raise SchemaError(
            f"column {printable(name)!r} is {kind}",
            where=where,
            expected="a boolean, number, string, binary, date, time or timestamp",
            found=printable(dtype),
            next=f"leave it out: columns=[...] without {printable(name)!r}, or flatten it",
        )
    return found


def _open_files(files: Sequence[File], wanted: list[str] | None, clauses: filtering.Filters) -> Source:
    kept = [f for f in files if filtering.may_hold(clauses, dict(f.constants))]
    looked_at = kept or list(files[:1])
    kinds, footers = _footers(looked_at, _needed(wanted, clauses))
    footers = _filled(footers)
    constants = [name for name, _ in files[0].constants]
    own = [n for n in footers[0].schema.names if n not in constants]
    names = _chosen([*own, *constants], wanted, clauses)
    schema = _unified(looked_at, footers, [n for n in names if n not in constants])
    schema |= {n: _constant_type(files, n) for n in names if n in constants}
    filtering.check(clauses, schema)
    types = tuple((n, str(t)) for n, t in schema.items())
    planned = list(zip(looked_at, kinds, footers, strict=True)) if kept else []
    rows = [f.n_rows for _, _, f in planned]
    return Source(
        kind=kinds[0] if len(set(kinds)) == 1 else "mixed",
        schema=schema,
        columns=_asked(names, wanted),
        partitions=tuple(p for file, kind, foot in planned for p in _partitions(file, kind, foot, types)),
        n_rows=None if None in rows else sum(r for r in rows if r is not None),
        inputs=[_input(file, foot) for file, _, foot in planned],
        filters=clauses,
        pruned_files=len(files) - len(kept),
    )


def _filled(footers: Sequence[Footer]) -> list[Footer]:
    """Give sparse files (JSON) the columns that only others of them name, as missing ones."""
    known = dict.fromkeys(n for f in footers if f.sparse for n in f.schema.names)
    return [_with_nulls(f, [n for n in known if n not in f.schema.names]) if f.sparse else f for f in footers]


def _with_nulls(foot: Footer, names: Sequence[str]) -> Footer:
    fields = [*foot.schema, *(pa.field(n, pa.null()) for n in names)]
    return replace(foot, schema=pa.schema(fields)) if names else foot


def _needed(wanted: list[str] | None, clauses: filtering.Filters) -> list[str] | None:
    return None if wanted is None else list(dict.fromkeys([*wanted, *filtering.columns_of(clauses)]))


def _constant_type(files: Sequence[File], name: str) -> pa.DataType:
    values = [dict(f.constants)[name] for f in files]
    return pa.int64() if any(isinstance(v, int) for v in values) else pa.string()


def _partitions(file: File, kind: str, foot: Footer, types: tuple[tuple[str, str], ...]) -> list[Partition]:
    return [Partition(kind, file, part, types, rows, size, foot.options) for part, rows, size in foot.parts]


def _input(file: File, foot: Footer) -> dict[str, Any]:
    tag = "mtime" if file.tag.isdigit() else "etag"
    value: object = int(file.tag) / 1e9 if file.tag.isdigit() else file.tag
    return {"path": file.shown, "size": file.size, tag: value, "rows": foot.n_rows}


def _footers(files: Sequence[File], needed: list[str] | None) -> tuple[list[str], list[Footer]]:
    """Read what every file says of itself; report all that cannot be read at once."""
    with ThreadPoolExecutor(FOOTER_THREADS if len(files) > 1 else 1) as pool:
        results = list(pool.map(lambda f: _footer(f, needed), files))
    bad = [(f, r) for f, r in zip(files, results, strict=True) if isinstance(r, InfolakeError)]
    if bad:
        raise _all_bad(bad, len(files))
    good = [r for r in results if not isinstance(r, InfolakeError)]
    return [kind for kind, _ in good], [foot for _, foot in good]


def _footer(file: File, needed: list[str] | None) -> tuple[str, Footer] | InfolakeError:
    try:
        with reading(file.shown):
            kind = _kind(file)
            read_footer = kinds()[kind].footer
            assert read_footer is not None
            return kind, read_footer(file, needed)
    except InfolakeError as error:
        return error


def _all_bad(bad: Sequence[tuple[File, InfolakeError]], n_files: int) -> InfolakeError:
    if len(bad) == 1:
        return _with_size(*bad[0])
    kind = next((type(e) for _, e in bad if isinstance(e, AccessError | MissingExtraError)), CorruptFileError)
    what = f"{len(bad)} of {n_files} files cannot be read"
    shown = [f"{f.shown} ({_size(f)}: {e.fields['found'] or e.what})" for f, e in bad]
    steps = (
        "check permissions" if kind is AccessError else "restore these files, or leave them out of the input"
    )
    return kind(what, where=listed(shown, LISTED), next=steps)


def _with_size(file: File, error: InfolakeError) -> InfolakeError:
    where = error.fields["where"].replace(file.shown, f"{file.shown} ({_size(file)})", 1)
    return type(error)(error.what, **(error.fields | {"where": where}))


def _size(file: File) -> str:
    return "size unknown" if file.size is None else f"{file.size} bytes"


def _kind(file: File) -> str:
    """Return the format of a file, by its name or else by its first bytes."""
    if file.size == 0:
        raise CorruptFileError("an empty file", where=file.shown, found="a zero-byte file")
    name = PurePath(file.shown).name.lower()
    suffix = PurePath(name.removesuffix(".gz")).suffix
    found = next((k.name for k in kinds().values() if suffix in k.suffixes), None) or _kind_by_content(file)
    if found is None:
        known = ", ".join(s for k in kinds().values() for s in k.suffixes)
        raise CorruptFileError(
            "an unknown format", where=file.shown, expected=known, found="not a known file format"
        )
    return found


def _kind_by_content(file: File) -> str | None:
    with file.stream() as stream:
        head = stream.read(2**16)
    if head[:2] == b"\x1f\x8b":
        head = _gunzipped(head)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return "json"
    return next((k.name for k in kinds().values() if k.magic and head.startswith(k.magic)), None)


def _gunzipped(head: bytes) -> bytes:
    import zlib

    try:
        return zlib.decompressobj(wbits=31).decompress(head, 2**16)
    except zlib.error as error:
        raise gzip.BadGzipFile(str(error)) from None


def _unified(
    files: Sequence[File], footers: Sequence[Footer], names: Sequence[str]
) -> dict[str, pa.DataType]:
    """Return the canonical type of each column over all files, or say which files disagree."""
    by_schema: dict[tuple[pa.Schema, bool], list[File]] = {}
    for file, foot in zip(files, footers, strict=True):
        by_schema.setdefault((foot.schema.remove_metadata(), foot.inferred), []).append(file)
    for (schema, _), members in by_schema.items():
        _refuse_absent(schema, names, members, by_schema)
    return {name: _unified_type(name, by_schema) for name in names}


def _refuse_absent(
    schema: pa.Schema, names: Sequence[str], members: Sequence[File], by_schema: Mapping[Any, Sequence[File]]
) -> None:
    counts = Counter(schema.names)
    n_files = sum(map(len, by_schema.values()))
    for name in names:
        if counts[name] > 1:
            raise SchemaError(f"several columns are named {printable(name)!r}", where=_listed(members))
        if counts[name] == 0:
            lacking = [f for (s, _), fs in by_schema.items() for f in fs if name not in s.names]
            other = next((n for n in schema.names if n.lower() == name.lower()), None)
            raise SchemaError(
                f"column {printable(name)!r} is missing in {len(lacking)} of {n_files} files",
                where=_listed(lacking),
                found=f"a column {printable(other)!r}: names differ by case" if other else "",
                next=f"leave the files out, or read columns=[...] without {printable(name)!r}",
            )


def _listed(files: Sequence[File]) -> str:
    return listed((f.shown for f in files), LISTED)


def _unified_type(name: str, by_schema: Mapping[tuple[pa.Schema, bool], Sequence[File]]) -> pa.DataType:
    files: dict[pa.DataType, list[File]] = {}
    inferred = True
    for (schema, guessed), members in by_schema.items():
        dtype = _canonical_field(schema, name, members[0].shown)
        files.setdefault(dtype, []).extend(members)
        inferred &= guessed or pa.types.is_null(dtype)
    found = canonical.unify(files, inferred=inferred)
    if found is None:
        raise _conflict(name, files)
    if pa.types.is_null(found) and any(guessed for _, guessed in by_schema):
        # the sample holds no value; later ones are taken as they are written
        return pa.string()
    return found


def _conflict(name: str, files: Mapping[pa.DataType, Sequence[File]]) -> SchemaError:
    ordered = sorted(
        ((t, fs) for t, fs in files.items() if not pa.types.is_null(t)), key=lambda i: -len(i[1])
    )
    (most, usual), *others = ordered
    return SchemaError(
        f"column {printable(name)!r} changes type between files",
        where="; ".join(f"{t} in {_listed(fs)}" for t, fs in others),
        expected=f"{most}, as in {_listed(usual)}",
        found=", ".join(str(t) for t, _ in others),
        next=f"rewrite the files with one type, or read columns=[...] without {printable(name)!r}",
    )


def _is_dataset(data: object) -> bool:
    return type(data).__module__.startswith("pyarrow.") and hasattr(data, "get_fragments")


def _open_dataset(data: Any, wanted: list[str] | None, clauses: filtering.Filters) -> Source:
    if (getattr(data, "_scan_options", None) or {}).get("filter") is not None:
        raise UsageError("the dataset has a filter of its own", next="pass it as filters=[...] instead")
    if type(data).__name__ == "InMemoryDataset":
        return _open_table("arrow", data.to_table(), wanted, clauses)
    fragments = [f for d in _children(data) for f in d.get_fragments()]
    files = [_fragment_file(f) for f in fragments]
    if not files:
        return _open_table("arrow", data.schema.empty_table(), wanted, clauses)
    files.sort(key=lambda f: f.path)
    refuse_duplicates(files)
    return _open_files(files, wanted, clauses)


def _children(data: Any) -> list[Any]:
    children = getattr(data, "children", None)
    return [leaf for child in children for leaf in _children(child)] if children else [data]


def _fragment_file(fragment: Any) -> File:
    import pyarrow.dataset as pads

    spec = LOCAL if isinstance(fragment.filesystem, pafs.LocalFileSystem) else fragment.filesystem
    path = str(Path(fragment.path).resolve()) if spec == LOCAL else fragment.path
    with reading(path, planning=True):
        size, tag = identity(spec, path)
    keys = pads.get_partition_keys(fragment.partition_expression)
    for name, value in keys.items():
        if not (value is None or (isinstance(value, str | int) and not isinstance(value, bool))):
            kind = type(value).__name__
            raise SchemaError(
                f"partition key {printable(name)!r} is neither text nor an integer", where=path, found=kind
            )
    return File(path, spec, size, tag, tuple(keys.items()))
