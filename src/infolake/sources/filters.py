"""Filters in pyarrow's list form: Hive keys prune files, all else is decided on decoded rows.

Column statistics are never trusted. A comparison with a missing value (NaN included) is false, also
for ``!=`` and ``not in``. Integers, dates and times compare exactly with any number or instant.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infolake.errors import UnknownColumnError, UsageError, nearest, printable

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Clause = tuple[str, str, Any]
Filters = tuple[tuple[Clause, ...], ...]

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ARROW = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
MEMBERSHIP = ("in", "not in")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
TICKS = {"us": 10**6, "ns": 10**9}


def normalized(filters: object) -> Filters:
    """Return filters as any-of all-of clauses.

    Raises
    ------
    UsageError
        Another form, an unknown operator, or a comparison with a missing value.

    Examples
    --------
    >>> normalized([("year", ">", 2012), ["month", "in", [1, 2]]])
    ((('year', '>', 2012), ('month', 'in', (1, 2))),)
    >>> normalized([[("a", "=", 1)], [("b", "<", 2)]])
    ((('a', '==', 1),), (('b', '<', 2),))
    """
    if filters is None:
        return ()
    if not isinstance(filters, list | tuple):
        raise _bad_form(filters)
    items = [filters] if _looks_like_clause(filters) else list(filters)
    if not items:
        return ()
    if all(_looks_like_clause(item) for item in items):
        items = [items]
    return tuple(tuple(_clause(c) for c in _conjunction(item)) for item in items)


def _looks_like_clause(item: object) -> bool:
    return isinstance(item, list | tuple) and len(item) == 3 and all(isinstance(i, str) for i in item[:2])


def _conjunction(item: object) -> Sequence[object]:
    if not isinstance(item, list | tuple) or not item:
        raise _bad_form(item)
    return item


def _bad_form(found: object) -> UsageError:
    return UsageError(
        "filters have another form",
        expected="[(column, operator, value), ...] that all hold, or a list of such lists of which one holds",
        found=printable(found),
    )


def _clause(item: object) -> Clause:
    if not (isinstance(item, list | tuple) and len(item) == 3 and isinstance(item[0], str)):
        raise _bad_form(item)
    column, op, value = item
    op = "==" if op == "=" else op
    if op not in OPERATORS and op not in MEMBERSHIP:
        raise UsageError(
            f"unknown operator {printable(op)!r} in a filter of {printable(column)!r}",
            expected=", ".join([*OPERATORS, *MEMBERSHIP]),
        )
    if op in MEMBERSHIP:
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            raise UsageError(
                f"{op!r} in a filter of {printable(column)!r} needs a list", found=printable(value)
            )
        return column, op, tuple(_present(column, v) for v in value)
    return column, op, _present(column, value)


def _present(column: str, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if value is None or value != value:  # noqa: PLR0124
        raise UsageError(
            f"a filter compares {printable(column)!r} with a missing value, which is never true",
            next="missing rows are left out by missing='listwise'",
        )
    return value


def columns_of(filters: Filters) -> tuple[str, ...]:
    """Return the columns that filters name, each once."""
    return tuple(dict.fromkeys(clause[0] for group in filters for clause in group))


def check(filters: Filters, schema: Mapping[str, pa.DataType]) -> None:
    """Raise UnknownColumnError or UsageError where filters do not fit a schema of canonical types."""
    for group in filters:
        for column, op, value in group:
            if column not in schema:
                raise UnknownColumnError(
                    f"unknown column {printable(column)!r} in a filter", next=nearest(column, schema)
                )
            empty = pa.chunked_array([], schema[column])
            _clause_mask(empty, (column, op, value))


def may_hold(filters: Filters, constants: Mapping[str, Any]) -> bool:
    """Return whether rows of a file with these Hive keys may pass; other columns are not known yet."""
    return not filters or any(all(_may_hold(c, constants) for c in group) for group in filters)


def _may_hold(clause: Clause, constants: Mapping[str, Any]) -> bool:
    name = clause[0]
    if name not in constants:
        return True
    value = constants[name]
    if value is None:
        return False
    array = pa.chunked_array([pa.array([value], pa.int64() if isinstance(value, int) else pa.string())])
    return bool(_clause_mask(array, clause)[0])


def filter_mask(table: pa.Table, filters: object) -> pa.BooleanArray:
    """Return for every row whether it passes; never missing.

    Parameters
    ----------
    table
        Rows in canonical types.
    filters
        pyarrow's list form: ``[(column, op, value), ...]``, or a list of such lists of which one must hold.

    Raises
    ------
    UsageError
        A value cannot be compared with its column.

    Examples
    --------
    >>> table = pa.table({"a": [1, 2, None], "b": ["x", "y", "z"]})
    >>> filter_mask(table, [("a", ">", 0), ("b", "!=", "y")]).to_pylist()
    [True, False, False]
    """
    groups = normalized(filters)
    if not groups:
        return pa.array(np.ones(table.num_rows, bool))
    keep = np.zeros(table.num_rows, bool)
    for group in groups:
        every = np.ones(table.num_rows, bool)
        for clause in group:
            every &= _clause_mask(table.column(clause[0]), clause)
        keep |= every
    return pa.array(keep)


def _clause_mask(column: pa.ChunkedArray, clause: Clause) -> Mask:
    if pa.types.is_dictionary(column.type):
        masks = [_dictionary_mask(chunk, clause) for chunk in column.chunks]
        return np.concatenate(masks) if masks else np.zeros(0, bool)
    name, op, value = clause
    if op in MEMBERSHIP:
        hits = np.zeros(len(column), bool)
        for one in value:
            hits = hits | _compare(column, name, "==", one)
        return np.asarray(hits if op == "in" else _valid(column) & ~hits)
    return _compare(column, name, op, value)


def _dictionary_mask(chunk: pa.DictionaryArray, clause: Clause) -> Mask:
    of_values = _clause_mask(pa.chunked_array([chunk.dictionary]), clause)
    if not len(of_values):
        return np.zeros(len(chunk), bool)
    codes = np.asarray(chunk.indices.fill_null(0))
    return np.asarray(of_values[codes] & np.asarray(chunk.is_valid()))


def _valid(column: pa.ChunkedArray) -> Mask:
    return ~np.asarray(pc.is_null(column, nan_is_null=True).to_numpy(), dtype=bool)


def _compare(column: pa.ChunkedArray, name: str, op: str, value: Any) -> Mask:
    """Return the rows that are present and for which ``column op value``."""
    dtype = column.type
    if pa.types.is_null(dtype):
        return np.zeros(len(column), bool)
    if pa.types.is_integer(dtype) or pa.types.is_temporal(dtype):
        exact = _number_for_integers(value) if pa.types.is_integer(dtype) else _ticks(dtype, value)
        if exact is None:
            raise _incomparable(name, dtype, value)
        return _compare_exactly(column, op, exact)
    scalar = _scalar_for(dtype, value, op)
    if scalar is None:
        raise _incomparable(name, dtype, value)
    if pa.types.is_decimal(dtype):
        column, scalar = _same_scale(column, scalar)
    hits = ARROW[op](column, scalar)
    return np.asarray(hits.fill_null(fill_value=False).to_numpy(), dtype=bool) & _valid(column)


def _incomparable(name: str, dtype: pa.DataType, value: object) -> UsageError:
    return UsageError(
        f"a filter compares column {printable(name)!r} with a value of another kind",
        expected=f"a value that compares with {dtype}",
        found=f"{printable(repr(value))} ({type(value).__name__})",
    )


def _number_for_integers(value: object) -> Fraction | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | Fraction):
        return None
    return float(value) if math.isinf(value) else Fraction(value)


def _compare_exactly(column: pa.ChunkedArray, op: str, value: Fraction | float) -> Mask:
    """Compare whole numbers with any number, without rounding either."""
    valid = _valid(column)
    numbers = _whole_numbers(column)
    if isinstance(value, float):
        return np.asarray(valid & bool(OPERATORS[op](0.0, value)))
    limits = np.iinfo(numbers.dtype)
    if not limits.min <= value <= limits.max:
        return valid & bool(OPERATORS[op](0, value))
    if value.denominator != 1:
        if op in {"==", "!="}:
            return valid & (op == "!=")
        op = "<=" if op in {"<", "<="} else ">"
    hits: Mask = OPERATORS[op](numbers, numbers.dtype.type(math.floor(value)))
    return valid & hits


def _whole_numbers(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    unsigned = pa.types.is_uint64(column.type)
    storage = pa.uint64() if unsigned else pa.int64()
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    plain = column.cast(storage)
    return np.asarray(plain.fill_null(0).to_numpy())


def _ticks(dtype: pa.DataType, value: object) -> Fraction | None:
    """Return an instant as days (dates) or ticks of the column's unit since its origin."""
    if pa.types.is_time(dtype):
        return _time_ticks(dtype, value)
    moment = _instant(value)
    if moment is None:
        return None
    seconds, aware = moment
    if pa.types.is_date(dtype):
        return None if aware else seconds / 86400
    if aware and dtype.tz is None:
        return None
    return seconds * TICKS[dtype.unit]


def _instant(value: object) -> tuple[Fraction, bool] | None:
    """Return seconds since 1970 and whether the value has a time zone; naive ones are taken as UTC."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001
    if not isinstance(value, dt.datetime):
        return None
    aware = value.tzinfo is not None
    moment = value if aware else value.replace(tzinfo=dt.UTC)
    delta = moment - EPOCH
    seconds = Fraction(delta.days * 86400 + delta.seconds) + Fraction(delta.microseconds, 10**6)
    return seconds + Fraction(int(getattr(value, "nanosecond", 0)), 10**9), aware


def _time_ticks(dtype: pa.DataType, value: object) -> Fraction | None:
    if isinstance(value, str):
        try:
            value = dt.time.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, dt.time) or value.tzinfo is not None:
        return None
    micros = ((value.hour * 60 + value.minute) * 60 + value.second) * 10**6 + value.microsecond
    return Fraction(micros) * TICKS[dtype.unit] / 10**6


def _scalar_for(dtype: pa.DataType, value: Any, op: str) -> pa.Scalar | None:
    is_ = pa.types
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if is_.is_boolean(dtype) and isinstance(value, bool) and op in {"==", "!="}:
        return pa.scalar(value)
    if (is_.is_string(dtype) and isinstance(value, str)) or (
        is_.is_binary(dtype) and isinstance(value, bytes)
    ):
        return pa.scalar(value, dtype)
    if is_.is_floating(dtype) and number:
        return pa.scalar(float(value), dtype)
    if is_.is_decimal(dtype) and number and math.isfinite(value):
        return pa.scalar(Decimal(repr(value)) if isinstance(value, float) else Decimal(value))
    return None


def _same_scale(column: pa.ChunkedArray, scalar: pa.Scalar) -> tuple[pa.ChunkedArray, pa.Scalar]:
    scale = max(column.type.scale, scalar.type.scale)
    wide = pa.decimal256(76, scale)
    return column.cast(wide), scalar.cast(wide)
