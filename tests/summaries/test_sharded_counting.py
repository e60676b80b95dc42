"""A leaf's counter of keys, given batches directly."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from infolake.encoding.key_codes import IntegerKeys, LevelKeys
from infolake.summaries.ledger import Ledger
from infolake.summaries.sharded import KeyCounter, Keyed, Memory, Tables, merged


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
