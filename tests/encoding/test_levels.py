"""Levels: sorted by value, missing last; they merge whatever the order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from infolake.encoding.levels import Levels, canonical, sort_indices, union
from infolake.sources import canonical as types
from strategies import KINDS, columns, values_of


@st.composite
def level_sets(draw: st.DrawFn) -> list[Levels]:
    kind = draw(st.sampled_from(sorted(KINDS)))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        array = draw(columns(draw(st.integers(0, 6)), kind))
        target = types.canonical(array.type)
        present = sorted({v for v in values_of(array) if v is not None}, key=_key)
        found.append(Levels(pa.array(present, target), draw(st.booleans())))
    return found


def _key(value: object) -> object:
    return value.encode() if isinstance(value, str) else value


@given(level_sets())
def test_levels_merge_to_the_sorted_union(parts: list[Levels]) -> None:
    merged, maps = union(parts)
    present = {v for p in parts for v in p.labels if v is not None}
    missing = any(p.missing for p in parts)
    assert merged.labels == (*sorted(present, key=_key), *([None] if missing else []))
    for part, codes in zip(parts, maps, strict=True):
        assert [merged.labels[c] for c in codes.tolist()] == list(part.labels)
    other, _ = union(parts[::-1])
    assert other == merged
    assert len(merged) == len(merged.labels)


@given(level_sets(), st.randoms(use_true_random=False))
def test_canonical_sorts_and_tells_where_each_value_went(parts: list[Levels], random: object) -> None:
    values = parts[0].values
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = values.take(pa.array(order, pa.int64()))
    levels, codes = canonical(shuffled, missing=False)
    assert levels.values.equals(values)
    assert [levels.values[c].as_py() for c in codes.tolist()] == shuffled.to_pylist()


def test_strings_sort_by_their_bytes() -> None:
    values = pa.array(["é", "z", "Z", "a\u0308", "ä", "\U0001f600", "\uffff", ""])
    ordered = values.take(pa.array(sort_indices(values))).to_pylist()
    assert all(a.encode() < b.encode() for a, b in pairwise(ordered))
    flags = pa.array([True, False])
    assert sort_indices(flags).tolist() == [1, 0]


def test_levels_are_taken_with_their_missing_one() -> None:
    levels = Levels(pa.array(["a", "b", "c"]), missing=True)
    assert levels.take(np.array([0, 2, 3])).labels == ("a", "c", None)
    assert levels.take(np.array([1])).labels == ("b",)
    assert levels.take(np.array([], np.int64)).labels == ()
    assert levels != Levels(pa.array(["a", "b", "c"]))
    assert Levels(pa.array([1])) != Levels(pa.array([1.0]))
    assert levels.nbytes > 0


def test_bins_show_as_intervals() -> None:
    levels = Levels(pa.array([0, 2], pa.int32()), missing=True, edges=(0.0, 1.0, 2.0, 3.0))
    assert levels.labels == ("[0, 1)", "[2, 3]", None)
    assert levels.take(np.array([1])).labels == ("[2, 3]",)
