"""Columns of very many levels as integers, exactly and in the order of their levels.

A **key code** maps every value of a column to an integer below ``size``, equal values to equal ones and
smaller values to smaller ones; missing is ``size - 1``. It is made from a sample and widened, so that it
need not know every value beforehand; whether it fits is checked for each value, and two codes of one
kind add up to one that fits what either did.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infolake.encoding.bins import Edges
from infolake.encoding.columns import BinEncoder, combined, dictionary_indices, normalized
from infolake.encoding.levels import Levels, canonical

Array = np.ndarray[Any, Any]
MAX_BITS = 58  # of a key with a count in one word: the rest of 64 bits holds the count; others are wide
MAX_LENGTH = 48  # bytes of a text that may become an integer
MAX_CODES = 1 << 62
MAX_SIZE = 1 << 64  # of any code: missing is the last number of a word
MAX_LEVELS = 1 << 16
FEW_LEVELS = 1 << 12
CLASSES = tuple(
    frozenset(c.encode()) for c in (string.digits, string.ascii_lowercase, string.ascii_uppercase)
)


@dataclass(frozen=True)
class IntegerKeys:
    """Values that Arrow stores as integers: ``n`` of them from ``low`` on.

    Examples
    --------
    >>> keys = IntegerKeys(pa.int64(), 10, 5)
    >>> keys.codes(pa.array([10, None, 14])).tolist(), keys.codes(pa.array([9]))
    ([0, 5, 4], None)
    >>> keys.levels(np.array([0, 4, 5], np.uint64)).labels
    (10, 14, None)
    """

    kind: pa.DataType
    low: int
    n: int

    @property
    def size(self) -> int:
        """The number of codes, missing included."""
        return self.n + 1

    def codes(self, column: pa.ChunkedArray | pa.Array) -> Array | None:
        """Return uint64 codes, or None where a value does not fit."""
        from infolake.key_kernels import integer_codes

        values, missing = stored_integers(column)
        out = np.empty(len(values), np.uint64)
        return out if integer_codes(values, missing, self._low, np.uint64(self.n), out) else None

    def levels(self, codes: Array) -> Levels:
        """Return the levels of distinct ascending ``codes``."""
        known = (codes[codes < self.n] + self._low).view(np.int64)
        return Levels(from_integers(known, self.kind), len(known) < len(codes))

    @property
    def _low(self) -> np.uint64:
        return np.uint64(self.low % 2**64)

    def widened(self) -> IntegerKeys:
        """Return room for as many values again above, and half as many below (never below 0 for that)."""
        least = 0 if pa.types.is_uint64(self.kind) else -(2**63)
        high = self.low + self.n
        low = max(self.low - self.n // 2, min(self.low, 0), least, high - MAX_SIZE + 1)
        high = min(high + self.n, least + 2**64, low + MAX_SIZE - 1)
        return IntegerKeys(self.kind, low, high - low)

    def __add__(self, other: IntegerKeys) -> IntegerKeys | None:
        if not (self.n and other.n):
            return self if self.n else other
        low = min(self.low, other.low)
        n = max(self.low + self.n, other.low + other.n) - low
        return IntegerKeys(self.kind, low, n) if n < MAX_SIZE else None

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array, kind: pa.DataType) -> IntegerKeys | None:
        """Return the code that fits the values of a column; None where both ends of its type occur."""
        values, missing = stored_integers(column)
        known = values[~missing] if len(missing) else values
        if not len(known):
            return cls(kind, 0, 0)
        low, high = int(known.min()), int(known.max())
        return cls(kind, low, high - low + 1) if high - low < MAX_SIZE - 1 else None


def stored_integers(column: pa.ChunkedArray | pa.Array) -> tuple[Array, Array]:
    """Return a column's stored integers as int64, or uint64, and flags of the missing ones (or none)."""
    array = combined(column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    missing = np.zeros(0, np.bool_)
    if array.null_count:
        missing = array.is_null().to_numpy(zero_copy_only=False)
    kind = array.type
    if pa.types.is_decimal(kind):
        return _decimal_words(array), missing
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif pa.types.is_date32(kind):
        array = array.view(pa.int32())
    elif pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        array = array.view(pa.int64())
    if array.null_count:
        array = array.fill_null(0)
    wanted = pa.uint64() if pa.types.is_uint64(kind) else pa.int64()
    return array.cast(wanted).to_numpy(zero_copy_only=False), missing


def _decimal_words(array: pa.Array) -> Array:
    """Return the low words of 128-bit decimals of at most 18 digits: their whole value."""
    words = np.frombuffer(array.buffers()[1], np.int64) if len(array) else np.zeros(0, np.int64)
    return words[2 * array.offset : 2 * (array.offset + len(array)) : 2]


def from_integers(values: Array, wanted: pa.DataType) -> pa.Array:
    """Return stored int64 ``values`` as an array of a canonical type."""
    if pa.types.is_decimal(wanted):
        words = np.stack([values, values >> 63], axis=1).astype(np.int64)
        return pa.Array.from_buffers(wanted, len(values), [None, pa.py_buffer(words.tobytes())])
    found = pa.array(values)
    if pa.types.is_uint64(wanted):
        return found.view(wanted)
    if pa.types.is_boolean(wanted):
        return found.cast(pa.bool_())
    if pa.types.is_date32(wanted):
        return found.cast(pa.int32()).view(wanted)
    if pa.types.is_timestamp(wanted) or pa.types.is_time64(wanted):
        return found.view(wanted)
    return found.cast(wanted)


def is_stored_integer(kind: pa.DataType) -> bool:
    """Return whether values of a canonical type are stored as integers of 64 bits."""
    is_ = pa.types
    if is_.is_decimal128(kind):
        return bool(kind.precision <= 18)
    plain = is_.is_integer(kind) or is_.is_boolean(kind) or is_.is_date32(kind)
    return bool(plain or is_.is_timestamp(kind) or is_.is_time64(kind))


FLOAT_LOW = (1 << 52) - 1  # orders -infinity
FLOATS = (1 << 64) - 2 * FLOAT_LOW  # of float64, both infinities and both zeros included


@dataclass(frozen=True)
class FloatKeys:
    """Every number of float64: its bits, turned so that they order as the numbers do. NaN is missing.

    Examples
    --------
    >>> keys = FloatKeys()
    >>> codes = keys.codes(pa.array([-float("inf"), -0.0, 0.0, float("nan"), None]))
    >>> (codes[0], codes[1] == codes[2], codes[3] == codes[4] == keys.size - 1)
    (np.uint64(0), np.True_, np.True_)
    >>> keys.levels(np.unique(codes)).labels
    (-inf, 0.0, None)
    """

    @property
    def size(self) -> int:
        """The number of codes, missing included."""
        return FLOATS + 1

    def codes(self, column: pa.ChunkedArray | pa.Array) -> Array:
        """Return uint64 codes."""
        from infolake.wide_kernels import float_codes

        array = combined(column)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        missing = np.zeros(0, np.bool_)
        if array.null_count:
            missing = array.is_null().to_numpy(zero_copy_only=False)
            array = array.fill_null(0)
        values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        out = np.empty(len(values), np.uint64)
        float_codes(values, missing, np.uint64(FLOAT_LOW), np.uint64(FLOATS), out)
        return out

    def levels(self, codes: Array) -> Levels:
        """Return the levels of distinct ascending ``codes``."""
        known = codes[codes < FLOATS] + np.uint64(FLOAT_LOW)
        sign = np.uint64(1 << 63)
        values = np.where(known >= sign, known ^ sign, ~known).view(np.float64)
        return Levels(pa.array(values), len(known) < len(codes))

    def widened(self) -> FloatKeys:
        """Return the code as it is."""
        return self

    def __add__(self, other: FloatKeys) -> FloatKeys:
        return self

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array, kind: pa.DataType) -> FloatKeys:  # noqa: ARG003
        """Return the code, which fits every column of floats."""
        return cls()


@dataclass(frozen=True)
class TextKeys:
    """Short texts (or binaries) whose bytes come from an alphabet per position.

    Parameters
    ----------
    kind : pyarrow.DataType
        The canonical type.
    alphabets : tuple of bytes
        Per position, the bytes that may stand there, ascending. A text may end before any position.
        Its code is its place among all such texts, so that none is kept for what cannot be.

    Examples
    --------
    >>> keys = TextKeys(pa.string(), (b"u", b"0123456789", b"0123456789"))
    >>> keys.size, keys.codes(pa.array(["u1", "u10", None])).tolist(), keys.codes(pa.array(["v1"]))
    (113, [13, 14, 112], None)
    >>> keys.levels(np.array([13, 14], np.uint64)).labels
    ('u1', 'u10')
    """

    kind: pa.DataType
    alphabets: tuple[bytes, ...]

    @property
    def is_ascii(self) -> bool:
        """Whether texts that fit are ASCII, so that no other check of their encoding is needed."""
        return all(alphabet.isascii() for alphabet in self.alphabets)

    @cached_property
    def endings(self) -> tuple[int, ...]:
        """How many texts go on from each position, and from the end: one stops there, others have a byte."""
        found = [1]
        for alphabet in reversed(self.alphabets):
            found.append(1 + len(alphabet) * found[-1])
        return tuple(reversed(found))

    @property
    def _n(self) -> int:
        return self.endings[0]

    @property
    def size(self) -> int:
        """The number of codes, missing included."""
        return self._n + 1

    @cached_property
    def digits(self) -> Array:
        """What each byte adds at each position, shape (positions, 256); 2**62 where it may not stand.

        Before a text come the shorter one that stops there, and all that go on with a smaller byte.
        """
        table = np.full((len(self.alphabets), 256), np.uint64(1 << 62))
        for position, (alphabet, step) in enumerate(zip(self.alphabets, self.endings[1:], strict=True)):
            found = np.frombuffer(alphabet, np.uint8)
            table[position, found] = np.uint64(1) + np.arange(len(found), dtype=np.uint64) * np.uint64(step)
        return table

    def codes(self, column: pa.ChunkedArray | pa.Array) -> Array | None:
        """Return uint64 codes, or None where a value does not fit."""
        from infolake.key_kernels import text_codes

        array = combined(column)
        if pa.types.is_dictionary(array.type):
            return self._codes_of_dictionary(array)
        out = np.empty(len(array), np.uint64)
        return out if text_codes(*text_buffers(array), self.digits, self._n, out) else None

    def _codes_of_dictionary(self, array: pa.DictionaryArray) -> Array | None:
        values, indices = dictionary_indices(array)
        used = np.unique(indices[indices < len(values)])
        found = self.codes(values.take(pa.array(used)))
        if found is None:
            return None
        table = np.full(len(values) + 1, self._n, np.uint64)
        table[used] = found
        return table[indices]

    def levels(self, codes: Array) -> Levels:
        """Return the levels of distinct ascending ``codes``."""
        known = codes[codes < self._n]
        data = np.zeros((len(known), len(self.alphabets)), np.uint8)
        held = np.zeros(data.shape, np.bool_)
        rest = known.copy()
        for position, (alphabet, step) in enumerate(zip(self.alphabets, self.endings[1:], strict=True)):
            held[:, position] = rest > 0
            going = np.flatnonzero(rest)
            digit, rest[going] = np.divmod(rest[going] - np.uint64(1), np.uint64(step))
            data[going, position] = np.frombuffer(alphabet, np.uint8)[digit.astype(np.int64)]
        offsets = np.concatenate([[0], np.cumsum(held.sum(axis=1))]).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data[held].tobytes())]
        values = pa.Array.from_buffers(self.kind, len(known), buffers)
        return Levels(values, len(known) < len(codes))

    def widened(self) -> TextKeys:
        """Return room for all digits, or letters of a case, where a position has more than one of them."""
        wide = TextKeys(self.kind, tuple(_widened(a) for a in self.alphabets))
        return wide if wide.size < MAX_CODES else self

    def __add__(self, other: TextKeys) -> TextKeys | None:
        n = max(len(self.alphabets), len(other.alphabets))
        mine, theirs = (k.alphabets + (b"",) * (n - len(k.alphabets)) for k in (self, other))
        both = tuple(bytes(sorted({*a, *b})) for a, b in zip(mine, theirs, strict=True))
        found = TextKeys(self.kind, both)
        return found if found.size < MAX_CODES else None

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array, kind: pa.DataType) -> TextKeys | None:
        """Return the code that fits the values of a column; None where one is too long."""
        from infolake.key_kernels import text_bytes

        array = combined(column)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary.take(array.indices.unique().drop_null())
        array.validate(full=True)
        flags = np.zeros((MAX_LENGTH, 256), np.bool_)
        longest = text_bytes(*text_buffers(array), flags)
        if longest > MAX_LENGTH:
            return None
        found = cls(kind, tuple(bytes(np.flatnonzero(row).tolist()) for row in flags[:longest]))
        return found if found.size < MAX_CODES else None


def _widened(alphabet: bytes) -> bytes:
    found = set(alphabet)
    for letters in CLASSES:
        if len(found & letters) > 1:
            found |= letters
    return bytes(sorted(found))


def text_buffers(array: pa.Array) -> tuple[Array, Array, Array]:
    """Return the offsets and bytes of an array of strings or binaries, and flags of its missing values."""
    missing = np.zeros(0, np.bool_)
    if array.null_count:
        missing = array.is_null().to_numpy(zero_copy_only=False)
    _, offsets, data = array.buffers()
    places = (
        np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1] if offsets else None
    )
    if places is None or not len(places):
        places = np.zeros(len(array) + 1, np.int32)
    return places, np.frombuffer(data or b"", np.uint8), missing


@dataclass(frozen=True, eq=False)
class LevelKeys:
    """Few levels of any type, in canonical order.

    Examples
    --------
    >>> keys = LevelKeys.of(pa.array(["b", "a", "b", None]), pa.string())
    >>> keys.size, keys.codes(pa.array(["b", None])).tolist(), keys.codes(pa.array(["c"]))
    (3, [1, 2], None)
    """

    values: pa.Array

    def __repr__(self) -> str:
        content = hashlib.blake2b(digest_size=16)
        for buffer in self.values.buffers():
            content.update(buffer or b"")
        return f"LevelKeys({len(self.values)} levels, {content.hexdigest()})"

    @property
    def size(self) -> int:
        """The number of codes, missing included."""
        return len(self.values) + 1

    def codes(self, column: pa.ChunkedArray | pa.Array) -> Array | None:
        """Return uint64 codes, or None where a value does not fit."""
        values, indices = dictionary_indices(combined(column))
        found = pc.index_in(normalized(values.cast(self.values.type)), value_set=self.values, skip_nulls=True)
        valid = normalized(values).is_valid().to_numpy(zero_copy_only=False)
        table = found.fill_null(len(self.values)).to_numpy(zero_copy_only=False).astype(np.uint64)
        table = np.append(table, np.uint64(len(self.values)))
        codes: Array = table[indices]
        strange = np.append(valid & found.is_null().to_numpy(zero_copy_only=False), False)
        return None if strange.any() and strange[indices].any() else codes

    def levels(self, codes: Array) -> Levels:
        """Return the levels of distinct ascending ``codes``."""
        known = codes[codes < len(self.values)].astype(np.int64)
        return Levels(self.values.take(pa.array(known)), len(known) < len(codes))

    def widened(self) -> LevelKeys:
        """Return the code as it is: what other levels there are cannot be guessed."""
        return self

    def __add__(self, other: LevelKeys) -> LevelKeys | None:
        values = pc.unique(pa.chunked_array([self.values, other.values]))
        return None if len(values) > MAX_LEVELS else LevelKeys(canonical(values, False)[0].values)

    @classmethod
    def of(
        cls, column: pa.ChunkedArray | pa.Array, kind: pa.DataType, most: int = MAX_LEVELS
    ) -> LevelKeys | None:
        """Return the code that fits the values of a column; None where they are more than ``most``."""
        values, indices = dictionary_indices(combined(column))
        used = np.unique(indices[indices < len(values)])
        found = pc.unique(normalized(values.take(pa.array(used)).cast(kind)).drop_null())
        return None if len(found) > most else cls(canonical(found, False)[0].values)


@dataclass(frozen=True)
class BinKeys:
    """The bins of a column of numbers; see :class:`infolake.encoding.columns.BinEncoder`."""

    column: str
    kind: pa.DataType
    edges: Edges

    @property
    def size(self) -> int:
        """The number of codes, missing included."""
        return len(self.edges)

    @cached_property
    def _encoder(self) -> BinEncoder:
        return BinEncoder(self.column, self.kind, self.edges)

    def codes(self, column: pa.ChunkedArray | pa.Array) -> Array | None:
        """Return uint64 codes; BinRangeError for a value outside the edges."""
        indices, table = self._encoder.encode(column)
        return np.where(table < 0, len(self.edges) - 1, table).astype(np.uint64)[indices]

    def levels(self, codes: Array) -> Levels:
        """Return the levels of distinct ascending ``codes``."""
        known = codes[codes < len(self.edges) - 1].astype(np.int32)
        return Levels(pa.array(known), len(known) < len(codes), self.edges)

    def widened(self) -> BinKeys:
        """Return the code as it is."""
        return self

    def __add__(self, other: BinKeys) -> BinKeys | None:
        return self


AnyCode = IntegerKeys | FloatKeys | TextKeys | LevelKeys | BinKeys


def guessed(sample: pa.ChunkedArray | pa.Array, kind: pa.DataType) -> AnyCode | None:
    """Return a widened code for a column of a canonical type, from a sample; None where none may fit.

    Examples
    --------
    >>> guessed(pa.array([3, 5]), pa.int64())
    IntegerKeys(kind=DataType(int64), low=2, n=7)
    """
    made: AnyCode | None = None
    if is_stored_integer(kind):
        made = IntegerKeys.of(sample, kind)
    else:
        array = combined(sample)
        made = LevelKeys.of(array, kind, FEW_LEVELS)
        if made is None and (pa.types.is_string(kind) or pa.types.is_binary(kind)):
            made = TextKeys.of(array, kind)
        if made is None:
            made = fitting_all(kind)
    return None if made is None else made.widened()


def fitting_all(kind: pa.DataType) -> AnyCode | None:
    """Return the code that fits every value of a type, if there is one.

    Examples
    --------
    >>> fitting_all(pa.float64()), fitting_all(pa.string())
    (FloatKeys(), None)
    """
    return FloatKeys() if pa.types.is_floating(kind) else None


def fitting(code: AnyCode, column: pa.ChunkedArray | pa.Array, kind: pa.DataType) -> AnyCode | None:
    """Return a code of the same kind for the values of a column."""
    return code if isinstance(code, BinKeys) else type(code).of(column, kind)


def added(codes: Iterable[AnyCode | None]) -> AnyCode | None:
    """Return one code for all that several ones fit; None where there is none."""
    return reduce(lambda a, b: None if a is None or b is None else a + b, codes)  # type: ignore[operator]


def key_bits(codes: Sequence[AnyCode]) -> int:
    """Return the bits of the key of several columns.

    Examples
    --------
    >>> key_bits([IntegerKeys(pa.int64(), 0, 1000), IntegerKeys(pa.int64(), 0, 3)])
    12
    """
    size = 1
    for code in codes:
        size *= code.size
    return max(1, (size - 1).bit_length())
