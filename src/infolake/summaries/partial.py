"""Counts that give up the groups of too many cells, and say which: they add, and stay small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from infolake.packing import Groups
from infolake.summaries.cells import DENSE_CELLS
from infolake.summaries.joint_counts import JointCounts, add

Group = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Partial:
    """Counts of the groups of at most ``limit`` cells; the others are named.

    Cells never vanish when counts are added, so that a group is given up in the end if and only if all rows
    give it more than ``limit`` cells, whatever the order of the additions.

    Parameters
    ----------
    counts : JointCounts
    dropped : frozenset of tuples of int
        The groups given up, by the numbers of their columns.
    limit : int
    """

    counts: JointCounts
    dropped: frozenset[Group]
    limit: int

    @classmethod
    def of(cls, counts: JointCounts, limit: int, dropped: frozenset[Group] = frozenset()) -> Partial:
        """Return counts without the groups of more than ``limit`` cells."""
        large = frozenset(counts.request.group_numbers(g) for g in _numbers_above(counts, limit))
        return cls(without(counts, large), dropped | large, limit)

    def __sizeof__(self) -> int:
        return 100 + self.counts.__sizeof__()


def add_partial(parts: Sequence[Partial]) -> Partial:
    """Add counts; what one of them gave up, all give up."""
    dropped = frozenset[Group]().union(*(p.dropped for p in parts))
    found = add([without(p.counts, dropped) for p in parts])
    found.check("a merge")
    return Partial.of(found, parts[0].limit, dropped)


def without(counts: JointCounts, dropped: frozenset[Group]) -> JointCounts:
    """Return counts without some groups; a column of no other group keeps no levels."""
    n, groups = len(counts.columns), range(len(counts.request.groups))
    kept = [g for g in groups if counts.request.group_numbers(g) not in dropped] if dropped else groups
    if len(kept) == len(groups):
        return counts
    given = tuple(counts.request.group_numbers(g) for g in kept)
    used = {c for members in given for c in members}
    nothing = np.zeros(0, np.int64)
    starts = counts.layout.offsets
    tables = [counts.dense[:, starts[g] : starts[g + 1]] for g in kept]
    return replace(
        counts,
        request=replace(counts.request, groups=Groups(n, "listed", given=given)),
        level_sets=tuple(s if c in used else s.take(nothing) for c, s in enumerate(counts.level_sets)),
        dense=np.concatenate([counts.dense[:, :0], *tables], axis=1),
        sparse={i: counts.sparse[g] for i, g in enumerate(kept) if g in counts.sparse},
    )


def _numbers_above(counts: JointCounts, limit: int) -> list[int]:
    found = [g for g, cells in counts.sparse.items() if len(cells.codes) > limit]
    if limit >= DENSE_CELLS:
        return found
    starts = counts.layout.offsets
    dense = np.flatnonzero(counts.layout.dense).tolist()
    return found + [g for g in dense if np.count_nonzero(counts.dense[0, starts[g] : starts[g + 1]]) > limit]
