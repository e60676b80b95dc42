"""Where the buckets of ``max_levels`` stand in the tables that are read off joint counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from infolake.measures.certified import Buckets, Caps, Side
from infolake.summaries.cells import Array, row_keys
from infolake.summaries.pair_tables import StrataTables, _complete, _numbers, _strata_of
from infolake.tables import TableBatch

if TYPE_CHECKING:
    from infolake.summaries.joint_counts import JointCounts


def pair_buckets(counts: JointCounts, pairs: Sequence[tuple[str, str]], batch: TableBatch) -> Buckets:
    """Return the buckets in the tables of :meth:`JointCounts.batch`."""
    x, y = _sides(counts, pairs, batch, np.arange(len(pairs)))
    return Buckets(x, y, np.zeros(len(pairs), bool))


def strata_buckets(
    counts: JointCounts,
    pairs: Sequence[tuple[str, str]],
    given: Sequence[str],
    missing: str,
    found: StrataTables,
) -> Buckets:
    """Return the buckets in the tables of :meth:`JointCounts.strata`; some tables are buckets themselves."""
    x, y = _sides(counts, pairs, found.batch, found.groups)
    rests = np.array([counts.level_sets[counts.request.number(c)].rest for c in given])
    hidden = np.zeros(len(found.batch), bool)
    if (rests >= 0).any():
        parts = [_strata_codes(counts, (*pair, *given), missing) for pair in pairs]
        hidden = (np.concatenate(parts) == rests).any(axis=1)
    return Buckets(x, y, hidden)


def _strata_codes(counts: JointCounts, columns: tuple[str, ...], missing: str) -> Array:
    """Return the codes of the conditioning columns in each stratum of a pair, in the order of its tables."""
    part = _strata_of(counts, columns)
    codes = part.codes[_complete(counts, part, columns, missing)][:, 2:]
    sizes = counts.layout.sizes[[counts.request.number(c) for c in columns[2:]]]
    _, first = np.unique(row_keys(codes, sizes), return_index=True)
    return codes[first]


def _sides(
    counts: JointCounts, pairs: Sequence[tuple[str, str]], batch: TableBatch, pair: Array
) -> tuple[Side, Side]:
    """Return the side of X and of Y of each table; ``pair`` is the pair that the table is of."""
    sets = counts.level_sets
    holding = [i for i, s in enumerate(sets) if s.rest >= 0]
    caps = [Caps(sets[i].kept) for i in holding]  # type: ignore[arg-type]
    rest = np.array([s.rest for s in sets], np.int64)
    which = np.full(len(sets), -1, np.int64)
    which[holding] = np.arange(len(holding))
    numbers = _numbers(counts, pairs)[pair]
    margins = ((batch.row_margins, batch.row_offsets), (batch.col_margins, batch.col_offsets))
    sides = []
    for column, (margin, offsets) in zip(numbers.T, margins, strict=True):
        place = rest[column]
        # a bucket without rows in a table hides nothing there
        held = place >= 0
        held[held] = margin[offsets[:-1][held] + place[held]] > 0
        sides.append(Side(np.where(held, place, -1), caps, which[column]))
    return sides[0], sides[1]
