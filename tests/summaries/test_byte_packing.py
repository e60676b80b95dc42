"""Columns packed into bytes: whatever the dictionaries, the codes are those of the leaf."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake.packing import Groups, plan
from infolake.summaries.byte_packing import BytePacker

Array = np.ndarray[Any, Any]


@st.composite
def encoded_batches(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], list[Any]]:
    """Return sizes, shifts, and batches of (indices, table) per column; dictionaries may repeat levels."""
    sizes = tuple(draw(st.lists(st.integers(2, 20), min_size=1, max_size=5)))
    shifts = tuple(draw(st.integers(0, 1)) for _ in sizes)
    batches = []
    for _ in range(draw(st.integers(1, 3))):
        n, batch = draw(st.integers(0, 15)), []
        for size, shift in zip(sizes, shifts, strict=True):
            entries = draw(st.lists(st.integers(-shift, size - 1 - shift), min_size=1, max_size=30))
            table = np.array([*entries, -1], np.int32)
            rows = st.integers(0, len(entries) - (not shift))
            kind = draw(st.sampled_from([np.uint8, np.int32]))
            batch.append((np.array(draw(st.lists(rows, min_size=n, max_size=n)), kind), table))
        batches.append(batch)
    return sizes, shifts, batches


@given(encoded_batches())
def test_packed_codes_are_the_codes_of_the_leaf(case: tuple[Any, Any, list[Any]]) -> None:
    sizes, shifts, batches = case
    packing = plan(sizes, Groups(len(sizes), "columns"))
    packer = BytePacker(packing, shifts)
    for batch in [*batches, *batches]:
        n = len(batch[0][0])
        out = np.zeros((len(packing.supercolumns), n + 5), np.uint8)
        packer.pack(batch, range(n), out, 5)
        for row, members in zip(out, packing.supercolumns, strict=True):
            expected = np.zeros(n, np.int64)
            for c in members:
                indices, table = batch[c]
                expected = expected * sizes[c] + table[indices] + shifts[c]
            assert row[5:].tolist() == expected.tolist()


def test_a_part_of_a_batch() -> None:
    packer = BytePacker(plan((4,), Groups(1, "columns")), (0,))
    out = np.zeros((1, 3), np.uint8)
    packer.pack(
        [(np.array([0, 1, 2, 1, 0], np.int32), np.array([3, 2, 1, -1], np.int32))], range(1, 4), out, 0
    )
    assert out.tolist() == [[2, 1, 2]]


@pytest.mark.parametrize(
    "indices",
    [np.zeros(4, np.int64), np.zeros(8, np.int32)[::2], np.zeros(3, np.int32), np.zeros(3, np.uint8)],
    ids=["int64", "strided", "short", "short bytes"],
)
def test_memory_that_is_no_row_of_indices_is_refused(indices: Array) -> None:
    packer = BytePacker(plan((4,), Groups(1, "columns")), (0,))
    with pytest.raises(ValueError, match="not 4 in a row as int32"):
        packer.pack([(indices, np.array([0, -1], np.int32))], range(4), np.zeros((1, 4), np.uint8), 0)
