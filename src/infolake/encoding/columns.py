"""From an Arrow column to dictionary indices, and from dictionaries to codes of a whole leaf.

Missing means null, NaN (any float column) and NaT. ``-0.0`` equals ``0.0``. Within a leaf, levels are
numbered from 0 in order of appearance and missing is -1; canonical order comes last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infolake.encoding.bins import Edges, cuts, limits
from infolake.errors import BinRangeError, printable

Array = np.ndarray[Any, Any]
OFFSET_RANGE = 1 << 16
LAST_BYTE = 255
FEW = 256
POOLED = 48 << 20


def pooled(shape: tuple[int, ...], kind: Any) -> Array:
    """Return an array like ``numpy.empty``, in memory of Arrow's pool.

    Decoding used and freed that memory just before: its pages need not be made anew. Much memory comes
    in huge pages from the system.

    Examples
    --------
    >>> pooled((2, 3), np.uint8).shape
    (2, 3)
    """
    size = np.dtype(kind).itemsize * math.prod(shape)
    if not 0 < size <= POOLED:
        return np.empty(shape, kind)
    return np.frombuffer(pa.allocate_buffer(size), kind).reshape(shape)


def combined(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return one array (unified dictionary) for a column of a batch."""
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks == 1:
            return column.chunk(0)
        if pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries()
        merged = column.combine_chunks()
        if isinstance(merged, pa.ChunkedArray):
            return merged.chunk(0) if merged.num_chunks else pa.array([], merged.type)
        return merged
    return column


def is_missing(column: pa.ChunkedArray | pa.Array) -> Array:
    """Return a boolean mask of the rows whose value is missing.

    Examples
    --------
    >>> is_missing(pa.array([1.0, None, float("nan")])).tolist()
    [False, True, True]
    """
    array = combined(column)
    if pa.types.is_dictionary(array.type):
        bad: Array = pc.is_null(array.dictionary, nan_is_null=True).to_numpy(zero_copy_only=False)
        null: Array = pc.is_null(array.indices).to_numpy(zero_copy_only=False)
        if not bad.any():
            return null
        indices = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
        missing: Array = null | bad[indices]
        return missing
    if pa.types.is_null(array.type):
        return np.ones(len(array), bool)
    found: Array = pc.is_null(array, nan_is_null=pa.types.is_floating(array.type)).to_numpy(
        zero_copy_only=False
    )
    return found


def normalized(array: pa.Array) -> pa.Array:
    """Return floats with NaN as null and -0.0 as 0.0; other types as they are."""
    if not pa.types.is_floating(array.type):
        return array
    positive = pc.add(array, pa.scalar(0.0, array.type))
    return pc.if_else(pc.is_nan(positive), pa.scalar(None, array.type), positive)


def dictionary_indices(array: pa.Array) -> tuple[pa.Array, Array]:
    """Return the dictionary of an array and int32 indices into it; its length stands for missing.

    Examples
    --------
    >>> values, indices = dictionary_indices(pa.array(["b", None, "a", "b"]))
    >>> values.to_pylist(), indices.tolist()
    (['b', 'a'], [0, 2, 1, 0])
    """
    values, indices = short_indices(array)
    return values, indices.astype(np.int32, copy=False)


def short_indices(array: pa.Array) -> tuple[pa.Array, Array]:
    """Return what :func:`dictionary_indices` does, but uint8 indices where the array has such."""
    if pa.types.is_null(array.type):
        return array.slice(0, 0), np.zeros(len(array), np.int32)
    if pa.types.is_int64(array.type):
        found = _offsets(array)
        if found is not None:
            return found
    if not pa.types.is_dictionary(array.type):
        array = pc.dictionary_encode(normalized(array))
    indices, missing = array.indices, len(array.dictionary)
    kind = indices.type
    if not pa.types.is_uint8(kind) or missing > LAST_BYTE:
        kind = pa.int32()
    if indices.null_count:
        indices = indices.cast(kind).fill_null(missing)
    values: Array = indices.to_numpy(zero_copy_only=False)
    return array.dictionary, values.astype(kind.to_pandas_dtype(), copy=False)


def _offsets(array: pa.Array) -> tuple[pa.Array, Array] | None:
    """Index integers of a small range by their distance from the smallest one."""
    bounds = pc.min_max(array)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is None or high - low >= OFFSET_RANGE:
        return None
    size = high - low + 1
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    values = array.fill_null(low).to_numpy(zero_copy_only=False)
    indices = (values - low).astype(np.int32)
    present, rank = _ranks(indices if missing is None else indices[~missing], size)
    indices = rank[indices]
    if missing is not None:
        indices[missing] = len(present)
    return pa.array(low + present), indices


def _ranks(indices: Array, size: int) -> tuple[Array, Array]:
    """Return the offsets that occur, ascending, and the rank of every offset among them."""
    occurs = np.bincount(indices, minlength=size) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1).astype(np.int32)


class ColumnEncoder:
    """Collects the levels of one column over the batches of a leaf.

    Attributes
    ----------
    values : pyarrow.Array
        Levels in order of appearance; level i has code i.
    missing : bool
        Whether a missing value, of code -1, was seen.
    """

    edges = None
    kept = None

    def __init__(self, kind: pa.DataType) -> None:
        self.values = pa.array([], kind)
        self.missing = False
        self._dictionary = pa.array([], kind)
        self._table = np.full(1, -1, np.int32)
        self._text = pa.types.is_string(kind) or pa.types.is_binary(kind)
        self._known: dict[Any, int] = {}

    def __len__(self) -> int:
        return max(1, len(self.values) + self.missing)

    def encode(self, column: pa.ChunkedArray | pa.Array) -> tuple[Array, Array]:
        """Return int32 (or uint8) indices of the rows and the look-up table from index to code.

        The table is the same object as long as batches come with an equal dictionary.
        """
        array = combined(column)
        dictionary, indices = short_indices(array)
        if not dictionary.equals(self._dictionary):
            self._dictionary, self._table = dictionary, self._codes(dictionary)
            self.missing = self.missing or bool((self._table[:-1] < 0).any())
        self.missing = self.missing or has_missing(array)
        return indices, self._table

    def _codes(self, dictionary: pa.Array) -> Array:
        same = dictionary.type == self.values.type
        if self._text and same and len(dictionary) <= FEW and len(self.values) <= FEW:
            return self._codes_of_few(dictionary)
        table = np.full(len(dictionary) + 1, -1, np.int32)
        levels = normalized(dictionary if same else dictionary.cast(self.values.type))
        codes = pc.index_in(levels, value_set=self.values, skip_nulls=True)
        if codes.null_count > levels.null_count:
            self._learn(levels.filter(pc.and_(codes.is_null(), levels.is_valid())))
            codes = pc.index_in(levels, value_set=self.values, skip_nulls=True)
        found = codes.fill_null(-1) if codes.null_count else codes
        table[:-1] = found.to_numpy(zero_copy_only=False)
        return table

    def _codes_of_few(self, dictionary: pa.Array) -> Array:
        """Look a few texts up in Python, which takes less than to set Arrow's search up."""
        if len(self._known) < len(self.values):
            self._known = {value: code for code, value in enumerate(self.values.to_pylist())}
        values, before = dictionary.to_pylist(), len(self._known)
        for value in values:
            if value is not None:
                self._known.setdefault(value, len(self._known))
        fresh = list(self._known)[before:]
        if fresh:
            self.values = pa.concat_arrays([self.values, pa.array(fresh, self.values.type)])
        return np.array([*(self._known.get(v, -1) for v in values), -1], np.int32)

    def _learn(self, fresh: pa.Array) -> None:
        self.values = pa.concat_arrays([self.values, pc.unique(fresh)])


def has_missing(array: pa.Array) -> bool:
    """Return whether some value is missing."""
    if pa.types.is_floating(array.type):
        return bool(is_missing(array).any())
    return bool(array.null_count) or pa.types.is_null(array.type)


class BinEncoder:
    """Turns the numbers of one column into bin codes: bin i has code i, missing has code -1."""

    kept = None

    def __init__(self, column: str, kind: pa.DataType, edges: Edges) -> None:
        self.column = column
        self.integer = pa.types.is_int64(kind)
        self.edges = edges
        self.cuts = cuts(edges, self.integer)
        self.low, self.high = limits(edges, self.integer)
        self.values = pa.array(np.arange(len(edges) - 1, dtype=np.int32))
        self.table = np.array([*range(len(self.cuts) + 1), -1], np.int32)
        self.missing = False

    def __len__(self) -> int:
        return len(self.values) + self.missing

    def encode(self, column: pa.ChunkedArray | pa.Array) -> tuple[Array, Array]:
        """Return int32 bin codes (the last stands for missing) and the look-up table to the leaf's codes."""
        from infolake.kernels import bin_codes

        values, missing = numbers(combined(column), self.integer)
        codes = pooled((len(values),), np.int32)
        bad = bin_codes(values, missing, self.cuts, self.low, self.high, codes)
        if bad >= 0:
            raise self._outside(values[bad])
        self.missing = self.missing or bool((codes == len(self.table) - 1).any())
        return codes, self.table

    def _outside(self, value: Any) -> BinRangeError:
        return BinRangeError(
            f"column {self.column!r} has a value outside the given bin edges",
            expected=f"{self.edges[0]} <= value <= {self.edges[-1]}",
            found=printable(value),
            next="widen the edges (they may be -inf and inf), or filter the rows",
        )


def numbers(array: pa.Array, integer: bool) -> tuple[Array, Array]:
    """Return the values of a numeric column (int64 or float64) and a mask of the missing ones."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    array = array.cast(pa.int64() if integer else pa.float64(), safe=False)
    if array.null_count == 0:
        return array.to_numpy(zero_copy_only=False), np.zeros(0, np.bool_)
    missing = pc.is_null(array).to_numpy(zero_copy_only=False)
    return array.fill_null(0).to_numpy(zero_copy_only=False), missing
