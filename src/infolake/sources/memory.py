"""Frames and tables in memory: pandas, Polars, pyarrow; each a few slices of one Arrow table."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from infolake.errors import SchemaError
from infolake.sources.checks import one_line
from infolake.sources.partitions import Kind, Partition, sliced

if TYPE_CHECKING:
    import pandas as pd

SLICE_ROWS = 2**18
MIXED = frozenset(
    {"mixed", "mixed-integer", "mixed-integer-float", "unknown-array", "complex", "period", "interval"}
)


def to_table(data: object, choose: Callable[[Sequence[str]], list[str]]) -> tuple[str, pa.Table] | None:
    """Return kind and Arrow table of a frame or table, None for anything else.

    Of a frame only the columns are converted that ``choose`` picks from its names.
    """
    table = _from_arrow(data)
    if table is not None:
        return "arrow", table
    package = type(data).__module__.partition(".")[0]
    if package == "pandas" and type(data).__name__ == "DataFrame":
        return "pandas", _from_pandas(data, choose)  # type: ignore[arg-type]
    if package == "polars" and type(data).__name__ in {"DataFrame", "LazyFrame"}:
        return "polars", _from_polars(data, choose)
    return None


def _from_arrow(data: object) -> pa.Table | None:
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, pa.RecordBatchReader):
        return data.read_all()
    if isinstance(data, list | tuple) and data and all(isinstance(b, pa.RecordBatch) for b in data):
        return _from_batches(data)
    return None


def _from_batches(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    try:
        return pa.Table.from_batches(batches)
    except pa.ArrowInvalid as error:
        raise SchemaError("record batches have different schemas", found=one_line(error)) from None


def _from_polars(data: Any, choose: Callable[[Sequence[str]], list[str]]) -> pa.Table:
    lazy = data.lazy()
    return lazy.select(choose(lazy.collect_schema().names())).collect().to_arrow()


def _from_pandas(frame: pd.DataFrame, choose: Callable[[Sequence[str]], list[str]]) -> pa.Table:
    names = [str(name) for name in frame.columns]
    chosen = choose(names)
    columns = [_from_series(name, frame.iloc[:, names.index(name)]) for name in chosen]
    return pa.table(columns, names=chosen) if columns else pa.table({})


def _from_series(name: str, series: pd.Series[Any]) -> pa.Array | pa.ChunkedArray | pa.Scalar:
    from pandas.api import types as pdt

    if isinstance(series.dtype, object) and pdt.is_object_dtype(series.dtype):
        _refuse_mixed(name, series)
    if str(series.dtype).startswith("Sparse"):
        series = series.astype(series.dtype.subtype)  # type: ignore[union-attr]
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        large = _large_integers(series)
        if large is not None:
            return large
        raise SchemaError(
            f"column {name!r} has no single type",
            found=f"{series.dtype}: {one_line(error)}",
            next=f"convert it, or leave it out with columns=[...] without {name!r}",
        ) from None


def _refuse_mixed(name: str, series: pd.Series[Any]) -> None:
    from pandas.api import types as pdt

    kind = pdt.infer_dtype(series, skipna=True)
    # a datetime is a date for Python, an aware time and a naive one are both times
    traits = {(isinstance(v, dt.datetime), getattr(v, "tzinfo", None) is None) for v in series.dropna()}
    clash = kind in {"date", "datetime"} and len(traits) > 1
    nested = kind == "mixed" and {type(v) for v in series.dropna()} <= {list, dict}
    if clash or (kind in MIXED and not nested):
        kinds = sorted({type(v).__name__ for v in series.dropna().iloc[:100_000]})
        raise SchemaError(
            f"column {name!r} mixes kinds of values",
            expected="values of one kind, and missing ones",
            found=", ".join(kinds) if len(kinds) > 1 else "times with and without a time zone",
            next="convert the column, for instance with .astype(str)",
        )


def _large_integers(series: pd.Series[Any]) -> pa.Array | None:
    """Return Python integers beyond int64 exactly, as uint64 or decimals."""
    values = [None if v is None or v != v else v for v in series.tolist()]  # noqa: PLR0124
    if not all(v is None or (isinstance(v, int) and not isinstance(v, bool)) for v in values):
        return None
    try:
        return pa.array(values, pa.uint64())
    except (OverflowError, pa.ArrowInvalid):
        digits = max(len(str(abs(v))) for v in values if v is not None)
        if digits > 76:
            return None
        exact = [None if v is None else decimal.Decimal(v) for v in values]
        return pa.array(exact, pa.decimal128(digits, 0) if digits <= 38 else pa.decimal256(digits, 0))


def slices(table: pa.Table, types: tuple[tuple[str, str], ...]) -> tuple[Partition, ...]:
    """Return a table's partitions: slices of 262144 rows that share its memory."""
    starts = range(0, max(table.num_rows, 1), SLICE_ROWS)
    pieces = [table.slice(start, SLICE_ROWS) for start in starts]
    return tuple(
        Partition("memory", None, i, types, p.num_rows, p.nbytes, data=p.replace_schema_metadata())
        for i, p in enumerate(pieces)
    )


def read(
    partitions: Sequence[Partition], columns: Sequence[str], batch_rows: int | None = None
) -> Iterator[tuple[Partition, pa.Table]]:
    """Yield the rows of slices."""
    for partition in partitions:
        assert partition.data is not None
        table = partition.data.select(list(columns))
        yield from ((partition, t) for t in sliced(table, partition, columns, batch_rows))


KIND = Kind("memory", None, read, untrusted=True)
