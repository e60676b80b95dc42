"""A leaf's work in a pass for bin edges: batches of rows in, a quantile histogram out.

Rows that count one each go through kernels: the first pass counts buckets into one table per column,
the later ones look at the few rows of wanted buckets only. Weighted rows take the general way of
:func:`infolake.summaries.quantiles.count_batch`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from infolake.encoding.columns import combined, numbers
from infolake.summaries import quantiles
from infolake.summaries.ledger import Ledger
from infolake.summaries.quantiles import (
    FIRST_SHIFT,
    Array,
    ColumnPass,
    KeyCounts,
    QuantileHistogram,
    QuantilePass,
)

BUCKETS = 1 << (64 - FIRST_SHIFT)


class PassCounter:
    """Counts the keys of batches for one pass; ``result()`` gives their histogram.

    Parameters
    ----------
    step : QuantilePass
    """

    def __init__(self, step: QuantilePass) -> None:
        self.step = step
        self.total = quantiles.zero(step)
        passes = dict(step.columns)
        self.columns = {} if step.weights is not None else {n: _Column(passes[n]) for n in step.open}

    def update(self, batch: pa.Table) -> None:
        """Count the rows of ``batch``, which holds at least the columns whose edges are open."""
        if self.step.weights is not None:
            self.total = self.total + quantiles.count_batch(self.step, batch)
        for name, column in self.columns.items():
            column.update(combined(batch[name]))

    def result(self, ledger: Ledger) -> QuantileHistogram:
        """Return the histogram of all batches."""
        columns = {**self.total.columns, **{n: c.result() for n, c in self.columns.items()}}
        return replace(self.total, columns=columns, ledger=ledger)


class _Column:
    """The keys of one column, rows counting one each."""

    def __init__(self, asked: ColumnPass) -> None:
        self.asked = asked
        self.first = asked.wanted is None
        self.table: Array = np.zeros(BUCKETS, np.uint32 if self.first else np.bool_)
        if asked.wanted is not None:
            self.table[list(asked.wanted)] = True
        self.total = np.zeros(BUCKETS, np.int64) if self.first else None
        self.rows = 0
        self.few: set[int] | None = set() if asked.limit and self.first else None
        self.parts: list[KeyCounts] = []

    def update(self, array: pa.Array) -> None:
        values, missing = numbers(array, self.asked.integer)
        bits = values.astype(np.float64, copy=False).view(np.uint64)
        if self.first:
            self._count(bits, missing)
            self._note_distinct(values, missing)
        else:
            self._choose(values, bits, missing)

    def _count(self, bits: Array, missing: Array) -> None:
        from infolake.kernels import count_buckets

        if self.rows + len(bits) > np.iinfo(np.uint32).max:
            self._flush()
        count_buckets(bits, missing, FIRST_SHIFT, self.table)
        self.rows += len(bits)

    def _flush(self) -> None:
        assert self.total is not None
        self.total += self.table
        self.table[:] = 0
        self.rows = 0

    def _note_distinct(self, values: Array, missing: Array) -> None:
        """Collect distinct values until there are too many; most columns show it in their first rows."""
        for part in (slice(0, 4096), slice(None)):
            if self.few is None:
                return
            found = values[part] if not len(missing) else values[part][~missing[part]]
            keys = quantiles.whole_keys(found, self.asked.integer)
            self.few |= set(np.unique(keys).tolist())
            if len(self.few) > self.asked.limit:
                self.few = None

    def _choose(self, values: Array, bits: Array, missing: Array) -> None:
        from infolake.kernels import rows_in_buckets

        rows = np.empty(len(bits), np.int64)
        n = rows_in_buckets(bits, missing, FIRST_SHIFT, self.table, rows)
        prefixes = quantiles.prefixes(self.asked, values[rows[:n]])
        self.parts.append(KeyCounts(prefixes, {0: np.ones(len(prefixes), np.int64)}))
        if sum(len(p.keys) for p in self.parts) > 2 * len(bits):
            self.parts = [quantiles.joined(self.parts, self.asked)]

    def result(self) -> KeyCounts:
        if not self.first:
            return quantiles.joined(self.parts, self.asked)
        counts = self.table if self.total is None or not self.total.any() else self.total + self.table
        keys = np.flatnonzero(counts)
        distinct = None if self.few is None else tuple(sorted(self.few))
        found = KeyCounts(keys.astype(np.uint64), {0: counts[keys].astype(np.int64)})
        return replace(found, distinct=distinct)
