"""Key codes: exact, in the order of the levels, and additive."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake.encoding import key_codes
from infolake.encoding.key_codes import (
    BinKeys,
    FloatKeys,
    IntegerKeys,
    LevelKeys,
    TextKeys,
    added,
    fitting,
    guessed,
)

DAY = dt.date(2020, 1, 1)
COLUMNS = {
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 2)),
    "uint64": (pa.uint64(), st.integers(1, 2**64 - 1)),
    "bool": (pa.bool_(), st.booleans()),
    "date": (pa.date32(), st.dates(DAY, DAY + dt.timedelta(9999))),
    "instant": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(dt.UTC))),
    "time": (pa.time64("us"), st.times()),
    "decimal": (pa.decimal128(18, 3), st.decimals(-(10**14), 10**14, places=3)),
    "text": (pa.string(), st.text("abcäxyz019_", max_size=7)),
    "binary": (pa.binary(), st.binary(max_size=5)),
    "float": (pa.float64(), st.floats(allow_nan=False)),
    "wide decimal": (pa.decimal128(30, 2), st.decimals(-(10**20), 10**20, places=2)),
}


def code_of(array: pa.Array, kind: pa.DataType) -> Any:
    if key_codes.is_stored_integer(kind):
        return IntegerKeys.of(array, kind)
    if pa.types.is_floating(kind):
        return FloatKeys.of(array, kind)
    return (
        TextKeys.of(array, kind)
        if pa.types.is_string(kind) or pa.types.is_binary(kind)
        else LevelKeys.of(array, kind)
    )


@pytest.mark.parametrize("name", COLUMNS)
@given(data=st.data())
def test_codes_are_levels_in_order(name: str, data: st.DataObject) -> None:
    """Equal values have equal codes, smaller ones smaller codes, missing the last; decoding inverts."""
    kind, values = COLUMNS[name]
    array = pa.array(data.draw(st.lists(st.one_of(st.none(), values), max_size=20)), kind)
    code = code_of(array, kind)
    found = code.codes(pa.chunked_array([array]))
    assert found is not None
    assert [c == code.size - 1 for c in found.tolist()] == [v is None for v in array.to_pylist()]
    distinct = np.unique(found)
    levels = code.levels(distinct)
    expected = pc.unique(array.drop_null())
    if pa.types.is_floating(kind):
        expected = pc.unique(pc.add(expected, 0.0))
    expected = expected.take(pc.sort_indices(expected))
    assert levels.values.equals(expected)
    assert levels.missing == bool(array.null_count)


@pytest.mark.parametrize("name", ["int64", "uint64", "date", "decimal", "text", "binary"])
@given(data=st.data())
def test_codes_add_up_to_one_that_fits_both(name: str, data: st.DataObject) -> None:
    """The sum fits what either fitted, and so does a wider one; what does not fit is refused."""
    kind, values = COLUMNS[name]
    a, b = (pa.array(data.draw(st.lists(values, max_size=8)), kind) for _ in range(2))
    first, second = code_of(a, kind), code_of(b, kind)
    both = first + second
    assert both is not None
    for code in (both, second + first, both.widened()):
        assert code.codes(a) is not None
        assert code.codes(b) is not None
    assert both == second + first
    if first.codes(b) is None:
        assert first != both


def test_dictionaries_have_the_codes_of_their_values() -> None:
    """Unused and repeated dictionary values, and nulls, do not matter."""
    array = pa.DictionaryArray.from_arrays(
        pa.array([2, None, 0, 1], pa.int32()), pa.array(["b", "a", "b", "long unused value"])
    )
    plain = array.dictionary_decode()
    for code in (TextKeys.of(plain, pa.string()), LevelKeys.of(array, pa.string())):
        assert code is not None
        assert code.codes(array).tolist() == code.codes(plain).tolist()


def test_a_code_is_guessed_from_a_sample() -> None:
    """Few levels are listed, numbers become a range, texts alphabets; the rest must be ranked."""
    many = [f"key {n:05d}" for n in range(5000)]
    assert isinstance(guessed(pa.array(["a", "b"]), pa.string()), LevelKeys)
    assert isinstance(guessed(pa.array(many), pa.string()), TextKeys)
    assert isinstance(guessed(pa.array(range(10)), pa.int64()), IntegerKeys)
    assert guessed(pa.array(np.arange(5000) / 7), pa.float64()) == FloatKeys()
    wide = pa.decimal128(30, 2)
    assert guessed(pa.array([Decimal(n) for n in range(5000)], wide), wide) is None
    assert guessed(pa.array([text + "x" * 60 for text in many]), pa.string()) is None
    found = guessed(pa.array(many), pa.string())
    assert found is not None
    assert found.codes(pa.array(["key 09999"])) is not None


def test_bins_are_known_beforehand() -> None:
    """Missing is the last code; the edges stand in the levels."""
    code = BinKeys("x", pa.float64(), (0.0, 1.0, 5.0))
    array = pa.array([0.5, 5.0, None, float("nan")])
    assert code.codes(pa.chunked_array([array])).tolist() == [0, 1, 2, 2]
    assert code.levels(np.array([0, 1, 2], np.uint64)).labels == ("[0, 1)", "[1, 5]", None)
    assert fitting(code, array, pa.float64()) is code
    assert added([code, code]) == code
    assert added([code, None]) is None


def test_invalid_utf8_is_refused_where_a_text_code_is_made() -> None:
    """Nobody else looks at the bytes of such a column."""
    bad = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], np.int32).tobytes()), pa.py_buffer(b"\xff")]
    )
    with pytest.raises(pa.ArrowInvalid):
        TextKeys.of(bad, pa.string())


@pytest.mark.parametrize(("kind", "least"), [(pa.int64(), -(2**63)), (pa.uint64(), 0)])
def test_all_integers_of_a_type_but_one_have_a_code(kind: pa.DataType, least: int) -> None:
    """Both ends of a type leave missing no code: such a column is ranked; nothing wraps."""
    top = least + 2**64 - 1
    ends = pa.array([least, top], kind)
    assert IntegerKeys.of(ends, kind) is None
    low, high = (IntegerKeys.of(ends.slice(i, 1), kind) for i in (0, 1))
    assert low is not None
    assert high is not None
    assert low + high is None
    assert low.widened().codes(ends.slice(0, 1)).tolist() == [0]
    assert high.widened().codes(ends.slice(1, 1)) is not None
    assert high.codes(ends) is None
    for values in ([least, None, top - 1], [least + 1, None, top], [least + 9, None, top - 9]):
        array = pa.array(values, kind)
        code = IntegerKeys.of(array, kind)
        assert code is not None
        for wide in (code, code.widened()):
            found = wide.codes(array)
            assert found is not None
            assert found.tolist() == [values[0] - wide.low, wide.size - 1, values[2] - wide.low]
            assert wide.levels(np.sort(found)).labels == (values[0], values[2], None)
    assert IntegerKeys.of(pa.array([least, top - 1], kind), kind).size == 2**64


def test_every_float_has_a_code() -> None:
    """Also where a dictionary holds it, and the ends of the range; of a single's type too."""
    values = [-np.inf, -1.5, -5e-324, -0.0, 0.0, 5e-324, 1.5, np.inf]
    array = pa.array([*values, None, np.nan], from_pandas=False)
    codes = FloatKeys().codes(array)
    assert codes[0] == 0
    assert codes[7] == FloatKeys().size - 2
    assert codes[8:].tolist() == [FloatKeys().size - 1] * 2
    assert codes[3] == codes[4] == codes[2] + 2 == codes[5] - 1
    assert FloatKeys().codes(array.dictionary_encode()).tolist() == codes.tolist()
    assert repr(FloatKeys().levels(np.unique(codes)).labels[2:4]) == "(-5e-324, 0.0)"
    single = pa.array([1.5, np.nan], pa.float32(), from_pandas=False)
    assert FloatKeys().codes(single).tolist() == codes[[6, 9]].tolist()


def test_alphabets_too_wide_for_a_number_are_no_codes() -> None:
    """They are ranked instead; nothing wraps."""
    many = pa.array(["".join(chr(97 + (i * 7 + j) % 26) for j in range(20)) for i in range(40)])
    assert TextKeys.of(many, pa.string()) is None


@given(st.lists(st.binary(max_size=3), max_size=4))
def test_texts_are_numbered_without_a_gap(alphabets: list[bytes]) -> None:
    """All texts of some alphabets, in order, have the codes from 0 on: none is kept for what cannot be."""
    code = TextKeys(pa.binary(), tuple(bytes(sorted({*a})) for a in alphabets))
    texts = [b""]
    for length in range(1, len(alphabets) + 1):
        texts += [bytes(t) for t in itertools.product(*code.alphabets[:length])]
    found = code.codes(pa.array(sorted(texts), pa.binary()))
    assert found.tolist() == list(range(code.size - 1))
