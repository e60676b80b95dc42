"""Kernels over rows of words against slow twins in plain Python."""

from __future__ import annotations

import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake import wide_kernels

FULL = 2**64 - 1
WORDS = st.integers(0, FULL)


def rows_of(width: int, most: int = 40) -> st.SearchStrategy[np.ndarray]:
    """Return rows of words, many of them alike."""
    word = st.one_of(st.sampled_from([0, 1, FULL]), WORDS)
    rows = st.lists(st.lists(word, min_size=width, max_size=width), max_size=most)
    return rows.map(lambda found: np.array(found, np.uint64).reshape(-1, width))


def word(n: int) -> np.uint64:
    return np.uint64(n)


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=40), st.integers(0, 5))
def test_float_codes(values: list[float | None], low: int) -> None:
    """The bits of a number order it; NaN is missing; -0.0 is 0.0."""
    missing = np.array([v is None for v in values], np.bool_)
    out = np.empty(len(values), np.uint64)
    wide_kernels.float_codes(np.array([v or 0.0 for v in values]), missing, word(low), word(FULL), out)

    def twin(value: float) -> int:
        (bits,) = struct.unpack("<Q", struct.pack("<d", value + 0.0))
        return (FULL - bits if bits >> 63 else bits + 2**63) - low

    assert out.tolist() == [FULL if v is None or v != v else twin(v) for v in values]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=30), st.integers(2**63, 2**64 - 10))
def test_codes_are_put_and_taken(rows: list[tuple[int, int]], first: int) -> None:
    """Taking off a word's last column undoes what putting it did; other words stand."""
    codes = np.array([r[1] for r in rows], np.uint64)
    words = np.array([[first, r[0], 9] for r in rows], np.uint64).reshape(-1, 3)
    wide_kernels.put_codes(words, 1, codes, word(5))
    assert words.tolist() == [[first, a * 5 + b, 9] for a, b in rows]
    out = np.empty_like(codes)
    wide_kernels.take_codes(words, 1, word(5), out)
    assert out.tolist() == codes.tolist()
    assert words.tolist() == [[first, a, 9] for a, _ in rows]


def mixed_twin(row: list[int]) -> list[int]:
    first, second = int(wide_kernels.FIRST), int(wide_kernels.SECOND)
    found = 0
    for other in row[1:]:
        found = ((found ^ other) * first) & FULL
        found = ((found ^ (found >> 32)) * second) & FULL
    key = ((row[0] ^ found ^ (found >> 32)) * first) & FULL
    return [((key ^ (key >> 32)) * second) & FULL, *row[1:]]


@pytest.mark.parametrize("width", [1, 2, 4])
@given(data=st.data())
def test_mixing_is_a_bijection(width: int, data: st.DataObject) -> None:
    """Only the first word changes, and unmixing gives it back."""
    rows = data.draw(rows_of(width))
    mixed = rows.copy()
    wide_kernels.mix_words(mixed)
    assert mixed.tolist() == [mixed_twin(r) for r in rows.tolist()]
    assert len(np.unique(mixed, axis=0)) == len(np.unique(rows, axis=0))
    wide_kernels.unmix_words(mixed)
    assert mixed.tolist() == rows.tolist()


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("step", [1, 2, 1 << 10, 1 << 32, 1 << 51])
def test_mixing_spreads_patterns(width: int, step: int) -> None:
    """Ranges of mixed words hold about equally many, whichever column a pattern stands in."""
    for column in range(width):
        rows = np.zeros((1 << 12, width), np.uint64)
        rows[:, column] = np.arange(1 << 12, dtype=np.uint64) * word(step)
        wide_kernels.mix_words(rows)
        found = np.bincount((rows[:, 0] >> word(60)).astype(np.int64), minlength=16)
        assert found.max() < 2 * found.mean()


@pytest.mark.parametrize("width", [1, 3])
@given(data=st.data(), bits=st.integers(1, 4))
def test_partition(width: int, data: st.DataObject, bits: int) -> None:
    """Buckets hold their rows in the order they came."""
    rows = data.draw(rows_of(width))
    starts, out = np.zeros((1 << bits) + 1, np.int64), np.empty_like(rows)
    wide_kernels.partition_rows(rows, word(64 - bits), starts, out)
    for bucket in range(1 << bits):
        own = [r for r in rows.tolist() if r[0] >> (64 - bits) == bucket]
        assert out[starts[bucket] : starts[bucket + 1]].tolist() == own


@given(rows_of(2), st.integers(0, 20))
def test_marks(rows: np.ndarray, known: int) -> None:
    """A mark tells the row, and above that what is left of the first word."""
    out = np.empty(len(rows), np.uint64)
    wide_kernels.marks(rows, word(known), word(6), out)
    twin = [((r[0] << known) & FULL) >> 6 << 6 | i for i, r in enumerate(rows.tolist())]
    assert out.tolist() == twin


@pytest.mark.parametrize("counted", [False, True])
@given(data=st.data())
def test_rows_are_added(counted: bool, data: st.DataObject) -> None:
    """Each distinct key stands once with the sum of its counts; marks that tell no order are refused."""
    rows = data.draw(rows_of(2 + counted, 30))
    if counted:
        rows[:, 2] %= word(1000)
    expected: Counter[tuple[int, ...]] = Counter()
    for row in rows.tolist():
        expected[tuple(row[:2])] += row[2] if counted else 1
    out = np.zeros((len(rows), 3), np.uint64)
    by_words = np.lexsort((rows[:, 1], rows[:, 0])).astype(np.uint64)
    n = wide_kernels.add_rows(rows, 2, by_words, word(64), out)
    assert out[:n].tolist() == [[*key, expected[key]] for key in sorted(expected)]
    found = np.empty(len(rows), np.uint64)
    wide_kernels.marks(rows, word(0), word(5), found)
    found.sort()
    n = wide_kernels.add_rows(rows, 2, found, word(5), out)
    keys = Counter(first >> 5 for first, _ in expected)
    assert n == (len(expected) if all(m == 1 for m in keys.values()) else -1)
    if n >= 0:
        assert out[:n].tolist() == [[*key, expected[key]] for key in sorted(expected)]


@given(st.lists(st.one_of(st.integers(0, 3), WORDS), max_size=60))
def test_runs(values: list[int]) -> None:
    """Sorted keys of one word become rows of the key and its count."""
    out = np.zeros((len(values), 2), np.uint64)
    n = wide_kernels.run_rows(np.sort(np.array(values, np.uint64)), out)
    assert out[:n].tolist() == [list(found) for found in sorted(Counter(values).items())]


@given(st.sets(st.one_of(st.integers(0, 9), WORDS), max_size=40), st.lists(st.integers(0, 60), max_size=60))
def test_places_are_found(codes: set[int], numbers: list[int]) -> None:
    """Every code is found where it stands, also in a table that is nearly full; others are not."""
    known = np.array(sorted(codes), np.uint64)
    places = [n % len(known) for n in numbers] if codes else []
    strange = np.array([next(n for n in range(50) if n not in codes)], np.uint64)
    for bits in (len(known).bit_length() + 1, max(1, len(known).bit_length())):
        table, shift = np.zeros(1 << bits, np.int32), word(64 - bits)
        wide_kernels.put_places(known, shift, table)
        out = np.empty(len(places), np.int64)
        assert wide_kernels.find_places(table, known, shift, known[places], out)
        assert out.tolist() == places
        assert not wide_kernels.find_places(table, known, shift, strange, np.empty(1, np.int64))
