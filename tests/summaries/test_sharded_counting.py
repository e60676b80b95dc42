"""A leaf's counter of keys, given batches directly."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from infolake.encoding.key_codes import IntegerKeys, LevelKeys
from infolake.summaries import sharded
from infolake.summaries.ledger import Ledger
from infolake.summaries.sharded import KeyCounter, Keyed, Memory, Shard, Tables, merged


def test_a_null_among_the_values_of_a_dictionary_is_missing() -> None:
    """Such a column counts no null of its own: its indices are all there."""
    x = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 1, 0] * 9, pa.int32()), pa.array(["a", None, "c"]))
    assert x.null_count == 0
    codes = (LevelKeys(pa.array(["a", "c"])), IntegerKeys(pa.int64(), 0, 7))
    asked = Keyed(("x", "y"), (pa.string(), pa.int64()), codes, ((0, 1), (1,)), whole=((1,),))
    counter = KeyCounter(asked, Memory())
    counter.update(pa.table({"x": x, "y": [n % 7 for n in range(45)]}))
    found = counter.result(Ledger(45, 45, 45))
    assert isinstance(found.tables, Tables)
    assert found.tables.n_missing == 18
    assert int(found.tables.counts[1,].sum()) == 27
    shards = [merged(asked, (0, 1), s, found.blocks[0, 1][s]) for s in range(asked.n_shards)]
    assert sum(int(np.sum(piece.counts)) for shard in shards for piece in shard) == 27


@pytest.mark.parametrize("most", [10, 45, 100])
def test_counts_of_more_rows_than_32_bits_tell_are_wider(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Within a leaf, and where leaves are added, the counts are those of all rows."""
    monkeypatch.setattr(sharded, "MOST_ROWS", most)
    asked = Keyed(("x",), (pa.int64(),), (IntegerKeys(pa.int64(), 0, 3),), ((0,),), whole=((0,),))
    tables = []
    for _ in range(2):
        counter = KeyCounter(asked, Memory())
        for _ in range(5):
            counter.update(pa.table({"x": [0, 1, 2] * 2 + [0] * 3}))
        found = counter.result(Ledger(45, 45, 45)).tables
        assert isinstance(found, Tables)
        tables.append(found)
    both = tables[0] + tables[1]
    assert both.counts[0,].tolist() == [50, 20, 20]
    assert both.counts[0,].dtype == (np.uint32 if most >= 90 else np.int64)
    assert [t.counts[0,].tolist() for t in tables] == [[25, 10, 10]] * 2
    monkeypatch.setattr(sharded, "TABLE_PIECE", 2)
    pieces = list(Shard.of_table(asked.codes[0], both.counts[0,]))
    assert [(p.keys.tolist(), p.counts.tolist()) for p in pieces] == [([0, 1], [50, 20]), ([2], [20])]
    assert {p.counts.dtype for p in pieces} == {np.dtype(np.int64)}
