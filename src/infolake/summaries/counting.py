"""A leaf's work: batches of rows in, joint counts out.

Each column of a batch becomes dictionary indices and a look-up table to the leaf's codes; the codes
of small columns are packed into supercolumns; each pair of supercolumns is one scatter, whose table
is marginalized into the pairs it holds. When a column shows a level beyond the packing's capacity,
what was counted so far is put aside and the packing is planned anew.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from infolake.encoding.columns import BinEncoder, ColumnEncoder, combined
from infolake.encoding.kept import Kept, KeptEncoder
from infolake.errors import CountOverflowError, WeightError
from infolake.packing import plan
from infolake.summaries.cells import Array, Channel
from infolake.summaries.exact import BASE_BITS, MASK, digits, square_digits
from infolake.summaries.joint_counts import LIMIT, JointCounts, add
from infolake.summaries.ledger import Ledger
from infolake.summaries.request import Request
from infolake.summaries.tally import Tally

FLUSH_ROWS = 2**32 - 1
Encoder = ColumnEncoder | BinEncoder | KeptEncoder


class LeafCounter:
    """Counts batches of rows; ``result()`` gives their joint counts.

    Parameters
    ----------
    request : Request
    flush_rows : int
        Rows after which the uint32 tables are emptied into int64, before any cell can wrap.
    """

    def __init__(self, request: Request, *, flush_rows: int = FLUSH_ROWS) -> None:
        self.request = request
        self.flush_rows = flush_rows
        described = zip(request.columns, request.types, request.edges, request.kept_levels, strict=True)
        self.encoders = [_encoder(*column) for column in described]
        self.done: list[JointCounts] = []
        self.rows = 0
        self.weight = 0
        self._tally: Tally | None = None

    def update(self, batch: pa.Table) -> None:
        """Count the rows of ``batch``, which holds at least the request's columns."""
        self.rows += batch.num_rows
        weights = self._weights(batch)
        if self.request.weights is not None:
            batch, weights = _weighty(batch, weights)
        if batch.num_rows == 0:
            return
        encoded = [e.encode(batch[c]) for c, e in zip(self.request.columns, self.encoders, strict=True)]
        sizes = tuple(len(e) for e in self.encoders)
        shifts = tuple(int(e.missing) for e in self.encoders)
        if self._tally is None or not self._tally.holds(sizes, shifts):
            self._put_aside()
            packing = plan(_capacities(sizes), self.request.groups)
            self._tally = Tally(packing, self.request, shifts, self.flush_rows)
        self._tally.update(encoded, weights, batch.num_rows)

    def result(self, ledger: Ledger | None = None) -> JointCounts:
        """Return the counts of all batches, with ``ledger`` or one that says only rows counted."""
        self._put_aside()
        own = ledger or Ledger(self.rows, self.rows, self.rows)
        if len(self.done) == 1 and self.request.weights is None:
            return replace(self.done[0], ledger=own)
        return add([replace(JointCounts.zero(self.request), ledger=own), *self.done])

    def _put_aside(self) -> None:
        if self._tally is not None:
            self.done.append(self._tally.counts(self.encoders))
            self._tally = None

    def _weights(self, batch: pa.Table) -> dict[Channel, Array]:
        """Return an int64 array per channel; empty where rows count one each."""
        if self.request.weights is None:
            return {}
        column = combined(batch[self.request.weights])
        checked = checked_weights(self.request.weights, column)
        squares = {("square", e): d for e, d in square_digits(checked).items()}
        if not self.request.integer_weights:
            return squares | {("weight", e): d for e, d in digits(checked).items()}
        values = whole_weights(self.request.weights, column)
        self.weight += int((values & MASK).sum()) + (int((values >> BASE_BITS).sum()) << BASE_BITS)
        if self.weight > LIMIT:
            raise CountOverflowError("the weights sum to more than 2**63 - 1", found=str(self.weight))
        return squares | {("count", 0): values}


def _encoder(column: str, kind: pa.DataType, edges: Any, kept: Kept | None) -> Encoder:
    if kept is not None:
        return KeptEncoder(kept)
    return ColumnEncoder(kind) if edges is None else BinEncoder(column, kind, edges)


def checked_weights(name: str, column: pa.Array) -> Array:
    """Return weights as float64; WeightError for a missing, negative or infinite one."""
    floats = column.cast(pa.float64(), safe=False).fill_null(math.nan)
    values: Array = floats.to_numpy(zero_copy_only=False)
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        raise WeightError(
            f"column {name!r} holds a weight that is not a number of rows",
            where=f"row {int(bad[0])} of the batch",
            expected="finite weights of 0 and more",
            found=str(column[int(bad[0])].as_py()),
            effect="nothing counted",
            next="filter those rows or mend the weights",
        )
    return values


def _weighty(batch: pa.Table, weights: dict[Channel, Array]) -> tuple[pa.Table, dict[Channel, Array]]:
    """Leave out rows of weight 0, which count as no rows: bin edges need not hold them either."""
    kept = np.zeros(batch.num_rows, np.bool_)
    for values in weights.values():
        kept |= values != 0
    if kept.all():
        return batch, weights
    return batch.filter(pa.array(kept)), {channel: values[kept] for channel, values in weights.items()}


def whole_weights(name: str, column: pa.Array) -> Array:
    """Return checked integer weights as int64; CountOverflowError for one beyond 2**63 - 1."""
    import pyarrow.compute as pc

    largest = pc.max(column).as_py()
    if largest is not None and largest > LIMIT:
        raise CountOverflowError(f"column {name!r} holds a weight above 2**63 - 1", found=str(largest))
    values: Array = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return values


def _capacities(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Leave room for new levels in columns that have many, so that they do not force a new plan."""
    return tuple(s if s <= 64 else 1 << s.bit_length() for s in sizes)
