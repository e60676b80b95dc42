"""Columns become indices and codes; equal values are one level, missing is none of them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake.encoding.columns import (
    BinEncoder,
    ColumnEncoder,
    combined,
    dictionary_indices,
    is_missing,
    normalized,
    pooled,
    short_indices,
)
from infolake.errors import BinRangeError
from infolake.sources import canonical
from strategies import KINDS, columns, values_of


@given(st.integers(0, 20).flatmap(columns))
def test_missing_is_null_nan_and_a_null_of_the_dictionary(array: pa.Array) -> None:
    assert is_missing(array).tolist() == [v is None for v in values_of(array)]
    whole = canonical.convert(pa.chunked_array([array, array]), canonical.canonical(array.type))
    assert is_missing(whole).tolist() == [v is None for v in values_of(array)] * 2


@st.composite
def leaves(draw: st.DrawFn) -> tuple[pa.DataType, list[pa.ChunkedArray]]:
    """Return batches of one column, in canonical types as readers give them."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    batches = [draw(columns(draw(st.integers(0, 12)), kind)) for _ in range(draw(st.integers(1, 4)))]
    target = canonical.canonical(batches[0].type)
    return target, [canonical.convert(pa.chunked_array([b]), target) for b in batches]


@given(leaves())
def test_codes_of_a_leaf_mean_the_same_value_in_every_batch(
    case: tuple[pa.DataType, list[pa.ChunkedArray]],
) -> None:
    kind, batches = case
    encoder = ColumnEncoder(kind)
    seen: list[tuple[list[Any], list[int]]] = []
    for batch in batches:
        indices, table = encoder.encode(batch)
        assert table[-1] == -1
        seen.append((values_of(batch), table[indices].tolist()))
    levels = [*values_of(encoder.values), None]  # missing has code -1
    assert len(levels) == len(set(map(repr, levels)))
    for values, codes in seen:
        assert [levels[c] for c in codes] == values
    missing = any(None in values for values, _ in seen)
    assert encoder.missing or not missing
    assert len(encoder) >= len(levels) - (not missing)


@given(st.integers(0, 20).flatmap(lambda n: columns(n, "large")))
def test_integers_of_a_small_range_are_indexed_by_distance(array: pa.Array) -> None:
    for column in (array, array if pa.types.is_dictionary(array.type) else array.drop_null()):
        values, indices = dictionary_indices(column)
        decoded = [None if i == len(values) else values[i].as_py() for i in indices.tolist()]
        assert decoded == values_of(column)


@pytest.mark.parametrize("low", [-(2**63), 0, 2**53 + 1, 2**63 - 6])
def test_distances_do_not_overflow(low: int) -> None:
    column = pa.array([low + 5, None, low, low + 5])
    values, indices = dictionary_indices(column)
    assert values.to_pylist() == [low, low + 5]
    assert indices.tolist() == [1, 2, 0, 1]
    wide = pa.array([-(2**63), 2**63 - 1])
    values, indices = dictionary_indices(wide)
    assert [values[i].as_py() for i in indices.tolist()] == wide.to_pylist()


@pytest.mark.parametrize("size", [1, 254, 255, 256])
def test_indices_stay_bytes_while_missing_has_one(size: int) -> None:
    rows = [*range(size), None]
    values = pa.array([f"v{i}" for i in range(size)])
    array = pa.DictionaryArray.from_arrays(pa.array(rows, pa.uint8()), values)
    found, indices = short_indices(array)
    assert found.equals(values)
    assert indices.dtype == (np.uint8 if size < 256 else np.int32)
    assert indices.tolist() == [*range(size), size]
    assert dictionary_indices(array)[1].dtype == np.int32
    assert dictionary_indices(array)[1].tolist() == indices.tolist()
    assert is_missing(array).tolist() == [False] * size + [True]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (5,), (2, 3), (2, 1 << 25)])
@pytest.mark.parametrize("kind", [np.uint8, np.int32])
def test_pooled_memory_is_an_array_to_write_to(shape: tuple[int, ...], kind: Any) -> None:
    found = pooled(shape, kind)
    assert found.shape == shape
    assert found.dtype == kind
    assert found.flags.c_contiguous
    found[..., -1:] = 7
    assert (found[..., -1:] == 7).all()


@given(st.lists(st.lists(st.sampled_from("abcdefgh") | st.none(), min_size=1, max_size=9), max_size=5))
def test_few_texts_get_the_codes_of_many(batches: list[list[str | None]]) -> None:
    few, many = ColumnEncoder(pa.string()), ColumnEncoder(pa.string())
    many._text = False
    for batch in batches:
        array = pa.array(batch, pa.string())
        (one, first), (other, second) = few.encode(array), many.encode(array)
        assert first[one].tolist() == second[other].tolist()
        assert few.values.equals(many.values)
    assert few.missing == many.missing


def test_many_texts_after_few_ones_are_known_by_both_ways() -> None:
    encoder = ColumnEncoder(pa.string())
    for values in (["a", "b"], ["b", *map(str, range(250))], ["x", *map(str, range(300))], ["y", "x", "a"]):
        indices, table = encoder.encode(pa.array(values))
        assert encoder.values.take(pa.array(table[indices])).to_pylist() == values
    assert len(encoder.values) == len(set(encoder.values.to_pylist())) == 304


def test_nan_of_every_payload_is_missing_and_zeros_are_equal() -> None:
    payloads = np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001, 0, 1 << 63], np.uint64)
    array = pa.array(payloads.view(np.float64))
    assert is_missing(array).tolist() == [True, True, True, False, False]
    found = normalized(array).to_pylist()
    assert found == [None, None, None, 0.0, 0.0]
    assert math.copysign(1, found[4]) == 1
    encoder = ColumnEncoder(pa.float64())
    indices, table = encoder.encode(array)
    assert table[indices].tolist() == [-1, -1, -1, 0, 0]


def test_garbage_under_missing_slots_means_nothing() -> None:
    indices = pa.Array.from_buffers(
        pa.int32(), 3, [pa.py_buffer(bytes([0b101])), pa.py_buffer(np.array([0, 10**6, 1], np.int32))]
    )
    array = pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"]), safe=False)
    assert is_missing(array).tolist() == [False, True, False]
    encoder = ColumnEncoder(pa.string())
    found, table = encoder.encode(array)
    assert table[found].tolist() == [0, -1, 1]


def test_dictionaries_that_differ_by_chunk_are_one() -> None:
    chunks = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", None, "a"]).dictionary_encode()]
    column = pa.chunked_array(chunks)
    encoder = ColumnEncoder(pa.string())
    indices, table = encoder.encode(column)
    assert [[*encoder.values.to_pylist(), None][c] for c in table[indices]] == ["a", "b", "c", None, "a"]
    assert combined(pa.chunked_array([], pa.string())).to_pylist() == []


@pytest.mark.parametrize(
    ("kind", "edges", "values", "codes"),
    [
        (
            pa.float64(),
            (0.0, 1.0, 2.0),
            [0.0, -0.0, 0.999, 1.0, 2.0, None, math.nan],
            [0, 0, 0, 1, 1, -1, -1],
        ),
        (pa.float64(), (-math.inf, 0.0, math.inf), [-math.inf, -1e300, 0.0, math.inf], [0, 0, 1, 1]),
        (pa.int64(), (0, 2, 4), [0, 1, 2, 3, 4, None], [0, 0, 1, 1, 1, -1]),
        (pa.int64(), (0.5, 1.5, 2.5), [1, 2], [0, 1]),
        (pa.int64(), (2**53, 2**53 + 1, 2**53 + 2), [2**53, 2**53 + 1, 2**53 + 2], [0, 1, 1]),
        (pa.int64(), (-math.inf, 2.0**63, math.inf), [2**63 - 1, -(2**63)], [0, 0]),
        (pa.int64(), (-math.inf, -(2.0**64), 0, math.inf), [-(2**63), 0], [1, 2]),
        (pa.float64(), (7.0, 7.0), [7.0, None], [0, -1]),
    ],
)
def test_bins_are_closed_below_and_the_last_one_above(
    kind: pa.DataType, edges: Any, values: list[Any], codes: list[int]
) -> None:
    encoder = BinEncoder("x", kind, edges)
    indices, table = encoder.encode(pa.array(values, kind))
    assert table[indices].tolist() == codes
    assert len(encoder) == len(edges) - 1 + (-1 in codes)
    if not any(isinstance(v, float) and math.isnan(v) for v in values):
        found, table = encoder.encode(pa.array(values, kind).dictionary_encode())
        assert table[found].tolist() == codes


@pytest.mark.parametrize(
    ("kind", "edges", "value"),
    [
        (pa.float64(), (0.0, 1.0), 1.0000000000000002),
        (pa.float64(), (0.0, 1.0), -5e-324),
        (pa.float64(), (0.0, 1.0), math.inf),
        (pa.int64(), (0, 1), 2),
        (pa.int64(), (0.5, 1.5), 0),
        (pa.int64(), (0.5, 1.5), 2),
        (pa.int64(), (0, 2**53), 2**53 + 1),
        (pa.int64(), (2.0**63, math.inf), 2**63 - 1),
        (pa.int64(), (-math.inf, -(2.0**65)), -(2**63)),
    ],
)
def test_values_outside_the_edges_are_errors(kind: pa.DataType, edges: Any, value: Any) -> None:
    with pytest.raises(BinRangeError, match="outside the given bin edges") as caught:
        BinEncoder("x", kind, edges).encode(pa.array([value], kind))
    assert str(value) in caught.value.fields["found"]


def test_other_numbers_are_binned_as_floats() -> None:
    for column in (
        pa.array([Decimal("1.5"), None, Decimal("2.5")], pa.decimal128(5, 1)),
        pa.array([1, None, 3], pa.uint64()),
    ):
        indices, table = BinEncoder("x", pa.float64(), (0.0, 2.0, 4.0)).encode(column)
        assert table[indices].tolist() == [0, -1, 1]
