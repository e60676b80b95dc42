"""Canonical column types: what every file's own types become, so that equal values are equal everywhere.

===========================================  =====================================================
in the files                                 canonical
===========================================  =====================================================
bool                                         bool
int8 ... int64, uint8 ... uint32             int64
uint64                                       uint64; beside signed integers decimal128(20, 0)
float16, float32, float64                    float64
decimals                                     the decimal that holds all of them
string, large_string, string_view            string (may come as a dictionary)
binary, large, view, fixed size              binary (may come as a dictionary)
date32, date64                               date32
timestamps                                   us, or ns where a file has ns; time zones become UTC
time32, time64                               time64 in us, or ns where a file has ns
null                                         whatever the other files have, else null
dictionary, run-end encoded                  the type of its values
===========================================  =====================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

KNOWN_EXTENSIONS = frozenset({"arrow.uuid", "arrow.json", "arrow.opaque"})
MAX_CHUNK_BYTES = 2**31 - 1
UINT64_BESIDE_SIGNED = pa.decimal128(20, 0)
_PARAMETRIC = re.compile(r"(decimal128|decimal256|timestamp|time64)[(\[](\w+)(?:, (?:tz=)?(\w+))?[)\]]")


def canonical(dtype: pa.DataType) -> pa.DataType | None:
    """Return the canonical type of an Arrow type, None for nested and unsupported ones.

    Examples
    --------
    >>> str(canonical(pa.int16())), str(canonical(pa.dictionary(pa.int8(), pa.large_string())))
    ('int64', 'string')
    >>> canonical(pa.list_(pa.int64())) is None
    True
    """
    if isinstance(dtype, pa.BaseExtensionType):
        known = dtype.extension_name in KNOWN_EXTENSIONS
        return canonical(dtype.storage_type) if known else None
    if pa.types.is_dictionary(dtype) or pa.types.is_run_end_encoded(dtype):
        return canonical(dtype.value_type)
    return _number(dtype) or _text(dtype) or _instant(dtype)


def _number(dtype: pa.DataType) -> pa.DataType | None:
    is_ = pa.types
    if is_.is_boolean(dtype) or is_.is_null(dtype) or is_.is_uint64(dtype):
        return dtype
    if is_.is_integer(dtype):
        return pa.int64()
    if is_.is_floating(dtype):
        return pa.float64()
    return _decimal(dtype.precision, dtype.scale) if is_.is_decimal(dtype) else None


def _text(dtype: pa.DataType) -> pa.DataType | None:
    is_ = pa.types
    if is_.is_string(dtype) or is_.is_large_string(dtype) or is_.is_string_view(dtype):
        return pa.string()
    if is_.is_binary(dtype) or is_.is_large_binary(dtype) or is_.is_binary_view(dtype):
        return pa.binary()
    return pa.binary() if is_.is_fixed_size_binary(dtype) else None


def _instant(dtype: pa.DataType) -> pa.DataType | None:
    is_ = pa.types
    if is_.is_date(dtype):
        return pa.date32()
    if is_.is_timestamp(dtype):
        return pa.timestamp(_unit(dtype), "UTC" if dtype.tz else None)
    return pa.time64(_unit(dtype)) if is_.is_time(dtype) else None


def _unit(dtype: pa.DataType) -> str:
    return "ns" if dtype.unit == "ns" else "us"


def _decimal(precision: int, scale: int) -> pa.DataType | None:
    precision, scale = max(precision, scale), max(scale, 0)
    if precision > 76:
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def unify(types: Iterable[pa.DataType], *, inferred: bool = False) -> pa.DataType | None:
    """Return the canonical type that holds values of all ``types`` exactly, None where they conflict.

    Parameters
    ----------
    types
        Canonical types, in any order.
    inferred
        The types were guessed from text: integer and float give float, all else that conflicts gives string.

    Examples
    --------
    >>> str(unify([pa.int64(), pa.uint64()])), unify([pa.int64(), pa.float64()])
    ('decimal128(20, 0)', None)
    >>> str(unify([pa.int64(), pa.float64()], inferred=True))
    'double'
    """
    found = sorted({t for t in types if not pa.types.is_null(t)}, key=str)
    if not found:
        return pa.null()
    if len(found) == 1:
        return found[0]
    same = _unify_integers(found) or _unify_decimals(found) or _unify_units(found)
    if same is not None or not inferred:
        return same
    numbers = all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in found)
    return pa.float64() if numbers else pa.string()


def _unify_integers(found: list[pa.DataType]) -> pa.DataType | None:
    return UINT64_BESIDE_SIGNED if all(pa.types.is_integer(t) for t in found) else None


def _unify_decimals(found: list[pa.DataType]) -> pa.DataType | None:
    if not all(pa.types.is_decimal(t) for t in found):
        return None
    scale = max(t.scale for t in found)
    return _decimal(max(t.precision - t.scale for t in found) + scale, scale)


def _unify_units(found: list[pa.DataType]) -> pa.DataType | None:
    if all(pa.types.is_timestamp(t) for t in found) and len({t.tz for t in found}) == 1:
        return pa.timestamp("ns", found[0].tz)
    return pa.time64("ns") if all(pa.types.is_time(t) for t in found) else None


@lru_cache(maxsize=1024)
def from_name(name: str) -> pa.DataType:
    """Return the canonical type whose ``str`` is ``name``.

    Examples
    --------
    >>> all(from_name(str(t)) == t for t in [pa.float64(), pa.decimal128(20, 0), pa.timestamp("us", "UTC")])
    True
    """
    match = _PARAMETRIC.fullmatch(name)
    if match is None:
        return {"double": pa.float64(), "date32[day]": pa.date32()}.get(name) or pa.type_for_alias(name)
    kind, first, second = match.groups()
    if kind.startswith("decimal"):
        return getattr(pa, kind)(int(first), int(second))
    return pa.timestamp(first, second) if kind == "timestamp" else pa.time64(first)


def is_text(dtype: pa.DataType) -> bool:
    """Return whether columns of a canonical type may come as dictionaries."""
    return bool(pa.types.is_string(dtype) or pa.types.is_binary(dtype))


def convert(column: pa.ChunkedArray, target: pa.DataType, *, short: bool = False) -> pa.ChunkedArray:
    """Return a column in its canonical type; strings and binaries keep their dictionaries (int32 indices).

    Parameters
    ----------
    column
        Values in any type whose canonical type ``target`` unifies.
    target
        The canonical type over all files.
    short
        Keep also dictionaries with uint8 indices.

    Raises
    ------
    pyarrow.ArrowInvalid
        A value does not fit, such as a timestamp of the year 9999 in nanoseconds.
    """
    if column.type == target or _is_canonical(column, target, short=short):
        return column
    chunks = [part for chunk in column.chunks for part in _convert(chunk, target)]
    return pa.chunked_array(chunks) if chunks else pa.chunked_array([], target)


def _is_canonical(column: pa.ChunkedArray, target: pa.DataType, *, short: bool) -> bool:
    """Whether a column is a dictionary of canonical text without a missing value in it."""
    kind = column.type
    if not is_text(target) or not pa.types.is_dictionary(kind) or kind.value_type != target:
        return False
    if kind.index_type != pa.int32() and not (short and kind.index_type == pa.uint8()):
        return False
    return not any(chunk.dictionary.null_count for chunk in column.chunks)


def _convert(chunk: pa.Array, target: pa.DataType) -> Iterator[pa.Array]:
    if isinstance(chunk, pa.ExtensionArray):
        chunk = chunk.storage
    if pa.types.is_run_end_encoded(chunk.type):
        chunk = pc.run_end_decode(chunk)
    if pa.types.is_dictionary(chunk.type):
        yield _dictionary(chunk, target) if is_text(target) else chunk.dictionary_decode().cast(target)
    elif pa.types.is_null(chunk.type):
        yield pa.nulls(len(chunk), target)
    elif chunk.nbytes > MAX_CHUNK_BYTES and len(chunk) > 1:
        # a plain string array holds at most 2 GiB
        middle = len(chunk) // 2
        yield from _convert(chunk[:middle], target)
        yield from _convert(chunk[middle:], target)
    else:
        yield chunk.cast(target)


def _dictionary(chunk: pa.DictionaryArray, target: pa.DataType) -> pa.Array:
    values = chunk.dictionary
    if values.null_count:
        return chunk.dictionary_decode().cast(target).dictionary_encode()
    if values.type == target and chunk.type.index_type == pa.int32():
        return chunk
    if values.type != target and not is_text(canonical(values.type) or values.type):
        return chunk.dictionary_decode().cast(target)
    return pa.DictionaryArray.from_arrays(chunk.indices.cast(pa.int32()), values.cast(target))
