"""Which levels stay: an exact first pass over the columns that have a limit, each counted alone.

The pass is a count like any other: it adds, it balances its ledger, and which levels it keeps depends on the
rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from infolake.encoding.kept import Kept, most_frequent
from infolake.packing import Groups
from infolake.summaries.cells import amounts
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.request import Request


def first_request(request: Request, limits: Mapping[str, int]) -> Request:
    """Return what the first pass counts: each limited column alone; binned ones have no rare levels."""
    chosen = [i for i, c in enumerate(request.columns) if c in limits and request.edges[i] is None]
    return replace(
        request,
        columns=tuple(request.columns[i] for i in chosen),
        types=tuple(request.types[i] for i in chosen),
        edges=(None,) * len(chosen),
        groups=Groups(len(chosen), "columns"),
    )


def keep(request: Request, first: JointCounts, limits: Mapping[str, int]) -> Request:
    """Return the request with the levels that are kept, by the counts of :func:`first_request`."""
    found = {c: _kept(first, i, limits[c]) for i, c in enumerate(first.columns)}
    return replace(request, kept=tuple(found.get(c) for c in request.columns))


def _kept(first: JointCounts, column: int, limit: int) -> Kept:
    levels = first.level_sets[column].values
    part = first.group_cells(column)
    counts = amounts(first.channels, part.values)[: len(levels)]
    return most_frequent(levels, counts, limit)
