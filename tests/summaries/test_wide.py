"""Rows of words: packed in the order of the levels, counted exactly, equal first words or not."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake.summaries import wide
from infolake.summaries.sharded import Numbers
from infolake.wide_kernels import mix_words, unmix_words

SIZES = st.lists(
    st.one_of(st.integers(1, 100), st.sampled_from([2**32, 2**58, 2**64 - 1, 2**64])), min_size=1, max_size=5
)


@given(SIZES, st.randoms(use_true_random=False))
def test_words_pack_columns_in_order(sizes: list[int], random: st.Random) -> None:
    """Unpacking undoes packing; the order of the words is that of the codes; each word holds its columns."""
    words = wide.layout(sizes)
    assert [c for word in words for c in word] == list(range(len(sizes)))
    assert all(prod(sizes[c] for c in word) <= 2**64 for word in words)
    rows = [[random.choice([0, size - 1, random.randrange(size)]) for size in sizes] for _ in range(20)]
    columns = [np.array(column, np.uint64) for column in zip(*rows, strict=True)]
    found = wide.packed(columns, sizes)
    assert found.shape == (20, len(words))
    assert [rows[i] for i in wide.order(found)] == sorted(rows)
    assert [c.tolist() for c in wide.unpacked(found, sizes)] == [c.tolist() for c in columns]


@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), max_size=30), st.integers(1, 3))
def test_numbers_of_rows(rows: list[list[int]], width: int) -> None:
    """Rows are told apart by all their words; their numbers add, and stand in one order for the same rows."""
    words = np.array(rows, np.uint64).reshape(-1, 3)[:, :width].copy()
    numbers = Numbers.of(words)
    expected = Counter(map(tuple, words.tolist()))
    assert sorted(numbers.values.tolist()) == sorted(expected.values())
    (part,) = numbers.parts
    keys = part[:, :width].copy()
    unmix_words(keys)
    assert dict(zip(map(tuple, keys.tolist()), numbers.values.tolist(), strict=True)) == expected
    turned = (numbers + Numbers.of(words[::-1].copy()) + numbers).summed()
    assert turned.values.tolist() == [3 * n for n in numbers.values.tolist()]


def keys_of(width: int, alike: str, n: int = 300) -> np.ndarray:
    """Return mixed rows, of which many differ only where ``alike`` does not say they are the same."""
    rng = np.random.default_rng([width, len(alike)])
    found = rng.integers(0, 2**64, (n, width), np.uint64)
    if alike == "first words":
        found[: n // 2, 0] = found[0, 0]
    elif alike == "upper bits":
        found[: n // 2, 0] = found[0, 0] - found[0, 0] % np.uint64(8) + rng.integers(0, 8, n // 2, np.uint64)
    elif alike == "whole keys":
        found[: n // 2] = found[0]
    return found[rng.integers(0, n, 3 * n)]


@pytest.mark.parametrize("alike", ["nothing", "first words", "upper bits", "whole keys"])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_leaf_and_a_shard_count_every_key_apart(width: int, alike: str) -> None:
    """Keys whose mixed first words are the same, or tell no order, are counted apart."""
    shard_bits = 2
    every, counts = [], Counter[tuple[int, ...]]()
    for part in np.array_split(keys_of(width, alike), 4):
        counts.update(map(tuple, part.tolist()))
        buffer = np.empty(part.shape[0] * (width + 1), np.uint64)
        words = buffer[: part.size].reshape(part.shape)
        words[:] = part
        out = buffer.reshape(-1, width + 1)
        entries, bounds = wide.distinct(words, 8, np.empty_like(words), out)
        expected = Counter(map(tuple, part.tolist()))
        assert entries.tolist() == [[*key, expected[key]] for key in sorted(expected)]
        every.append([entries[a:b].copy() for a, b in pairwise(bounds[:: 1 << 6].tolist())])
    found = [
        piece
        for shard in range(1 << shard_bits)
        for piece in wide.merged_entries([e[shard] for e in every], width, shard_bits, shard)
    ]
    assert np.concatenate(found).tolist() == [[*key, counts[key]] for key in sorted(counts)]


def test_pieces_of_a_shard_keep_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pieces hold together what one would."""
    rows = np.unique(keys_of(2, "first words", 4000), axis=0)
    entries = np.column_stack([rows, np.ones(len(rows), np.uint64)])
    (whole,) = wide.merged_entries([entries, entries[:9]], 2, 0, 0)
    monkeypatch.setattr(wide, "BUCKET_ENTRIES", 50)
    pieces = list(wide.merged_entries([entries, entries[:9]], 2, 0, 0))
    assert len(pieces) > 50
    assert (np.concatenate(pieces) == whole).all()
    assert whole[:, 2].sum() == len(rows) + 9


def test_keys_of_the_same_mixed_word_can_be_made() -> None:
    """The mixing can be undone, so that the tests above meet keys which a run may meet."""
    rows = np.zeros((50, 2), np.uint64)
    rows[:, 0], rows[:, 1] = 12345, np.arange(50)
    plain = rows.copy()
    unmix_words(plain)
    assert len(np.unique(plain[:, 0])) == 50
    mix_words(plain)
    assert (plain == rows).all()
