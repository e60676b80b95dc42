"""A plan in words: what will be read, counted and held."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from infolake.errors import printable
from infolake.packing import Planes
from infolake.packing import plan as packing_plan
from infolake.summaries.cells import DENSE_CELLS

if TYPE_CHECKING:
    from infolake.reduction.planning import CountPlan

MOST_COLUMNS = 60
MOST_GROUPS = 12


def size(n: float) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> size(3 * 2**20), size(5 * 2**30)
    ('3.0 MiB', '5.0 GiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:,.1f} GiB"


def facts(plan: CountPlan) -> list[tuple[str, str]]:
    """Return the plan as (name, words)."""
    n_bytes = sum(p.n_bytes for leaf in plan.leaves for p in leaf)
    rows = "known when read" if plan.source_rows is None else f"{plan.source_rows:,}"
    source = plan.source
    read = [("rows", rows)]
    if source is not None:
        files = f"{len(source.inputs):,} {source.kind}"
        pruned = (
            f", {source.pruned_files:,} left out by filters on folder names" if source.pruned_files else ""
        )
        read = [("inputs", files + pruned), *read, ("decoded", f"about {size(n_bytes)}")]
    return [
        *read,
        ("tasks", f"{plan.n_leaves:,} per pass"),
        ("passes", passes(plan)),
        ("groups", groups(plan)),
        *in_shards(plan),
        *held(plan),
    ]


def in_shards(plan: CountPlan) -> list[tuple[str, str]]:
    """Return how scores and associations of groups that are too large to be held are counted."""
    from infolake.reduction.planning import SHARD_ABOVE
    from infolake.reduction.sharded import planned_shape

    n = int(plan.large.sum())
    if not n and plan.frame is not None and plan.separable:
        return [
            (
                "in shards",
                f"groups of more than {SHARD_ABOVE:,} cells, if the scan finds any; one scan more each",
            )
        ]
    if not n:
        return []
    found = planned_shape(plan)
    where = f"spilled to disk, up to {size(found.spill_bytes)}" if found.spill_bytes else "in memory"
    how = f"{1 << found.shard_bits} shards, {found.chunk_rows:,} rows sorted at a time, {where}"
    large = [plan.request.group_names(g) for g in np.flatnonzero(plan.large)[:MOST_GROUPS].tolist()]
    named = [" x ".join(printable(c, 40) for c in names) for names in large]
    more = [f"and {n - len(named):,} more"] if n > len(named) else []
    scans = shard_scans(plan)
    count = "a scan each" if scans == n else f"{scans:,} scan{'s' * (scans != 1)}, one after another"
    return [
        ("in shards", f"{n:,} of more than {SHARD_ABOVE:,} cells (estimated), {count}: {how}"),
        ("", ", ".join(named + more)),
    ]


def shard_scans(plan: CountPlan) -> int:
    """Return how often rows are read to count in shards; where a sample misleads, once more."""
    return int(plan.large.sum()) if plan.shard_scans is None else plan.shard_scans


def passes(plan: CountPlan) -> str:
    """Return how often the rows are read."""
    n_open, n_blocks = len(plan.first_pass.open), len(plan.held.blocks)
    scans = shard_scans(plan) + (0 if plan.large.all() and len(plan.large) else n_blocks)
    count = f"{scans:,} to count"
    if n_blocks > 1:
        count += ": il.score takes the pairs in blocks that fit the memory limit"
    if plan.limits:
        count += f", and 1 over {len(plan.limits):,} columns for their most frequent levels"
    if n_open == 0:
        return count
    return f"{count}, and 2 (at most {plan.passes}) over {n_open:,} columns of numbers for bin edges"


def groups(plan: CountPlan) -> str:
    """Return what is counted together."""
    index = plan.request.groups.index
    arities = np.bincount((index < len(plan.request.columns)).sum(axis=1), minlength=4)
    words = {1: "single columns", 2: "pairs", 3: "triples"}
    parts = [f"{n:,} {words.get(k, f'groups of {k} columns')}" for k, n in enumerate(arities.tolist()) if n]
    return ", ".join(parts) or "none"


def held(plan: CountPlan) -> list[tuple[str, str]]:
    """Return how counting packs the columns, where a sample says how many levels they have."""
    from infolake.reduction.planning import CELL_BYTES, estimated_cells, held_levels, memory_limit

    limit = ("memory limit", size(memory_limit()))
    plan = plan.held
    if not plan.levels or not len(plan.request.groups):
        return [limit]
    cells = estimated_cells(plan)
    known = tuple(max(1, held_levels(plan, c) + 1) for c in plan.request.columns)
    packed = packing_plan(known, plan.request.groups)
    dense = int((cells <= DENSE_CELLS).sum())
    tables = (
        f"{dense:,} dense, {len(cells) - dense:,} sparse, about {cells.sum():,.0f} cells, "
        f"at most {size(float(cells.sum()) * CELL_BYTES)} while merging (estimated from a sample)"
    )
    packing = (
        f"{len(known):,} columns in {len(packed.supercolumns):,} supercolumns, "
        f"{len(packed.scatters):,} scatters, {_by_planes(packed.planes)}"
        f"{len(packed.sorted_groups):,} groups by sorting, "
        f"about {size(packed.leaf_bytes(_leaf_rows(plan)))} in a leaf beside the rows it reads"
    )
    return [("tables", tables), ("packing", packing), limit]


def _by_planes(planes: Planes | None) -> str:
    if planes is None:
        return ""
    return f"{len(planes.pairs):,} pairs by {int(planes.starts[-1]):,} bit planes, "


def _leaf_rows(plan: CountPlan) -> int:
    """Return the rows of the largest leaf, as footers tell them; without a footer, no bound."""
    rows = [[p.n_rows for p in leaf] for leaf in plan.leaves]
    known = [sum(n for n in leaf if n is not None) if None not in leaf else 2**31 for leaf in rows]
    return max(known, default=0)


def columns(plan: CountPlan) -> list[tuple[str, str, str, str]]:
    """Return name, type, estimated levels and treatment of each column."""
    from infolake.reduction.planning import treatment

    kinds = dict(zip(plan.request.columns, plan.request.types, strict=True))
    return [
        (printable(c, 40), str(k), f"~{plan.levels[c]:,}" if c in plan.levels else "", treatment(plan, c))
        for c, k in kinds.items()
    ]


def as_text(plan: CountPlan) -> str:
    """Return the plan as aligned text."""
    lines = [f"{name + ':' if name else '':<14}{words}" for name, words in facts(plan)]
    rows = columns(plan)
    table = [("column", "type", "levels", "treatment"), *rows[:MOST_COLUMNS]]
    widths = [max(len(r[i]) for r in table) for i in range(4)]
    lines += ["", *("  ".join(v.ljust(w) for v, w in zip(r, widths, strict=True)).rstrip() for r in table)]
    if len(rows) > MOST_COLUMNS:
        lines.append(f"… and {len(rows) - MOST_COLUMNS:,} more columns")
    return "\n".join(lines)


def as_html(plan: CountPlan) -> str:
    """Return the plan as two HTML tables."""
    top = "".join(f"<tr><th>{escape(n)}</th><td>{escape(w)}</td></tr>" for n, w in facts(plan))
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(v)}</td>" for v in row) + "</tr>"
        for row in columns(plan)[:MOST_COLUMNS]
    )
    head = "<tr><th>column</th><th>type</th><th>levels</th><th>treatment</th></tr>"
    return f"<table>{top}</table><table>{head}{body}</table>"
