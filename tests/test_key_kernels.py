"""Kernels over keys against slow twins in plain Python."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from infolake import key_kernels

WORDS = st.lists(st.integers(0, 2**58 - 1), max_size=60)
BITS = st.integers(1, 58)


def array(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint64)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=30), st.integers(-5, 5))
def test_integer_codes(values: list[int | None], low: int) -> None:
    """A code is the distance from the lowest value; anything else does not fit."""
    n = 10
    missing = np.array([v is None for v in values], np.bool_)
    stored = np.array([v or 0 for v in values], np.int64)
    out = np.empty(len(values), np.uint64)
    fits = key_kernels.integer_codes(stored, missing, low, n, out)
    assert fits == all(v is None or low <= v < low + n for v in values)
    if fits:
        assert out.tolist() == [n if v is None else v - low for v in values]


@given(st.lists(st.one_of(st.none(), st.binary(max_size=5)), max_size=20))
def test_text_codes_and_bytes(texts: list[bytes | None]) -> None:
    """A text is the sum of its bytes' digits; too long ones and strange bytes do not fit."""
    missing = np.array([t is None for t in texts], np.bool_)
    plain = [t or b"" for t in texts]
    offsets = np.cumsum([0, *map(len, plain)]).astype(np.int32)
    data = np.frombuffer(b"".join(plain), np.uint8)
    flags = np.zeros((4, 256), np.bool_)
    longest = key_kernels.text_bytes(offsets, data, missing, flags)
    assert longest == max((len(t) for t in plain), default=0)
    assert {(p, b) for p, b in np.argwhere(flags).tolist()} == {
        (p, b) for t in plain for p, b in enumerate(t[:4])
    }
    digits = np.full((3, 256), np.uint64(1 << 62))
    digits[:, :200] = np.arange(1, 201, dtype=np.uint64) * array([40401, 201, 1])[:, None]
    out = np.empty(len(texts), np.uint64)
    fits = key_kernels.text_codes(offsets, data, missing, digits, 7, out)
    assert fits == all(len(t) <= 3 and max(t, default=0) < 200 for t in plain)
    if fits:
        expected = [7 if t is None else sum(int(digits[p, b]) for p, b in enumerate(t)) for t in texts]
        assert out.tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(0, 8)), max_size=30))
def test_codes_are_appended_and_split(rows: list[tuple[int, int, int]]) -> None:
    """Splitting takes off what appending put on."""
    columns = [array([r[k] for r in rows]) for k in range(3)]
    keys = columns[0].copy()
    for codes, size in zip(columns[1:], (5, 9), strict=True):
        key_kernels.append_codes(keys, codes, size)
    assert keys.tolist() == [(a * 5 + b) * 9 + c for a, b, c in rows]
    for codes, size in ((columns[2], 9), (columns[1], 5)):
        out = np.empty_like(keys)
        key_kernels.split_codes(keys, size, out)
        assert out.tolist() == codes.tolist()
    assert keys.tolist() == columns[0].tolist()


@given(WORDS, BITS)
def test_mixing_is_a_bijection_of_its_bits(values: list[int], bits: int) -> None:
    """What is mixed stays below 2**bits, and unmixing gives it back."""
    keys = array([v % (1 << bits) for v in values])
    mixed, back = np.empty_like(keys), np.empty_like(keys)
    key_kernels.mix(keys, bits, mixed)
    key_kernels.unmix(mixed, bits, back)
    assert (mixed < 1 << bits).all()
    assert back.tolist() == keys.tolist()
    assert len(set(mixed.tolist())) == len(set(keys.tolist()))


def test_mixing_spreads_neighbours_and_multiples() -> None:
    """Ranges of mixed keys hold about equally many, whatever pattern the keys follow."""
    for step in (1, 2, 1 << 10, 1000, 4096 * 3):
        keys = np.arange(1 << 12, dtype=np.uint64) * np.uint64(step)
        mixed = np.empty_like(keys)
        key_kernels.mix(keys, 42, mixed)
        found = np.bincount((mixed >> np.uint64(42 - 4)).astype(np.int64), minlength=16)
        assert found.max() < 2 * found.mean(), step


@given(st.lists(st.integers(0, 2**12 - 1), max_size=60), st.integers(0, 4))
def test_partition(values: list[int], bucket_bits: int) -> None:
    """Buckets hold their keys in the order they came."""
    keys = array(values)
    starts, out = np.zeros((1 << bucket_bits) + 1, np.int64), np.empty_like(keys)
    key_kernels.partition(keys, 12 - bucket_bits, starts, out)
    assert starts[0] == 0
    assert starts[-1] == len(values)
    for bucket in range(1 << bucket_bits):
        own = [v for v in values if v >> (12 - bucket_bits) == bucket]
        assert out[starts[bucket] : starts[bucket + 1]].tolist() == own


@given(st.lists(st.integers(0, 9), max_size=80), st.integers(2, 6))
def test_run_lengths_and_their_sums(values: list[int], room: int) -> None:
    """Entries hold at most 2**room - 1 rows each, and add up to the counts."""
    keys = np.sort(array(values))
    out = np.empty_like(keys)
    n = key_kernels.run_lengths(keys, room, out)
    most = (1 << room) - 1
    assert n == sum(-(-m // most) for m in Counter(values).values())
    entries = np.sort(out[:n])
    found, counts = np.empty(n, np.uint64), np.empty(n, np.int64)
    distinct = key_kernels.sum_entries(entries, room, found, counts)
    assert dict(zip(found[:distinct].tolist(), counts[:distinct].tolist(), strict=True)) == Counter(values)


@given(st.lists(st.integers(0, 30), max_size=60))
def test_counting_codes_and_small_values(values: list[int]) -> None:
    """Codes are counted; of values, the small ones, and how many are larger."""
    out = np.zeros(31, np.uint32)
    assert key_kernels.count_codes(array(values), out) == max(values, default=0)
    assert {v: n for v, n in enumerate(out.tolist()) if n} == Counter(values)
    small = np.zeros(10, np.int64)
    larger = key_kernels.count_small(np.array(values, np.int64), small)
    assert larger == sum(v >= 10 for v in values)
    assert {v: n for v, n in enumerate(small.tolist()) if n} == Counter(v for v in values if v < 10)
