"""The graph of a count: passes for bin edges and kept levels where asked, leaves, a tree, one last check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dask.task_spec import List, TaskRef

from infolake.errors import ChangedInputError, UsageError
from infolake.reduction.graph import Graph, Key, Lazy, LazyCounts
from infolake.reduction.leaf import bins_leaf, count_leaf, levels_leaf, partial_leaf
from infolake.reduction.planning import CountPlan
from infolake.summaries import joint_counts, keeping, quantiles
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.ledger import Ledger
from infolake.summaries.partial import Partial, add_partial
from infolake.summaries.quantiles import QuantileHistogram, QuantilePass
from infolake.summaries.request import Request

PASSES = 3


def lazy_counts(plan: CountPlan, *, split_every: int | None = None) -> LazyCounts:
    """Return the collection that counts what ``plan`` says."""
    graph, counts, _ = _build(plan, split_every)
    return LazyCounts(graph.finished(), counts)


def lazy_run(plan: CountPlan, *, split_every: int | None = None) -> Lazy:
    """Return the collection of (counts, reads).

    ``reads`` is {"count": 1, "bins": passes over the rows}, and "levels" where ``max_levels`` asks a pass.
    """
    graph, counts, steps = _build(plan, split_every)
    name = f"infolake-run-{plan.token}"
    below = {_layer(counts), *(_layer(s) for s in steps)}
    references = List(*map(TaskRef, steps))
    key = graph.one(name, _with_reads, TaskRef(counts), references, len(plan.limits), below=below)
    return Lazy(graph.finished(), key)


def lazy_partial(plan: CountPlan, limit: int, *, split_every: int | None = None) -> Lazy:
    """Return the collection of the counts of groups of at most ``limit`` cells; the others are named."""
    graph = Graph()
    request, pieces, below, _ = settled(plan, graph, split_every)
    name = f"infolake-partial-{limit}-{plan.token}"
    given = [(request, plan.selection, limit, piece) for piece in pieces]
    leaves = graph.leaves(name, partial_leaf, given, below)
    total = graph.tree(f"infolake-add-{name}", add_partial, leaves, name, split_every)
    key = graph.one(f"infolake-check-{name}", _checked_partial, TaskRef(total), below={_layer(total)})
    return Lazy(graph.finished(), key)


def _checked_partial(found: Partial) -> Partial:
    _checked(found.counts, None)
    return found


def lazy_edges(plan: CountPlan) -> Lazy:
    """Return the collection of (bin edges, passes over the rows that they took)."""
    graph = Graph()
    pieces, below = pieces_of(plan, graph)
    steps = _edge_steps(plan, graph, pieces, below, None) or [
        graph.one(f"infolake-pass-0-{plan.token}", _same, plan.first_pass)
    ]
    references = List(*map(TaskRef, steps))
    key = graph.one(f"infolake-edges-{plan.token}", _edges_of, references, below=set(map(_layer, steps)))
    return Lazy(graph.finished(), key)


def _edges_of(steps: Sequence[QuantilePass]) -> tuple[QuantilePass, int]:
    return steps[-1], sum(bool(s.open) for s in steps[:-1])


def _with_reads(
    counts: JointCounts, steps: Sequence[QuantilePass], limits: int
) -> tuple[JointCounts, dict[str, int]]:
    reads = {"count": 1, "bins": sum(bool(s.open) for s in steps)}
    return counts, reads | ({"levels": int(any(counts.request.kept))} if limits else {})


def _layer(key: Key) -> str:
    return str(key[0] if isinstance(key, tuple) else key)


def _build(plan: CountPlan, split_every: int | None) -> tuple[Graph, Key, list[Key]]:
    graph = Graph()
    request, pieces, below, steps = settled(plan, graph, split_every)
    leaves = graph.leaves(
        f"infolake-count-{plan.token}",
        count_leaf,
        [(request, plan.selection, piece) for piece in pieces],
        below,
    )
    total = graph.tree(
        f"infolake-add-{plan.token}", add_counts, leaves, f"infolake-count-{plan.token}", split_every
    )
    checked = f"infolake-check-{plan.token}"
    key = graph.one(checked, _checked, TaskRef(total), plan.source_rows, below={_layer(total)})
    return graph, key, steps[:-1]


def settled(
    plan: CountPlan, graph: Graph, split_every: int | None = None
) -> tuple[Any, list[Any], set[str], list[Key]]:
    """Add the passes that settle the request; return it, what leaves read, their layers, and the passes."""
    pieces, below = pieces_of(plan, graph)
    steps = _edge_steps(plan, graph, pieces, below, split_every)
    request: Any = plan.request
    if steps:
        name = f"infolake-request-{plan.token}"
        last = steps[-1]
        request = TaskRef(graph.one(name, _resolved, plan.request, TaskRef(last), below={_layer(last)}))
        below = {*below, name}
    if plan.limits:
        name = _kept_step(plan, graph, request, pieces, below, split_every)
        request, below = TaskRef(name), {*below, name}
    return request, pieces, below, steps


def pieces_of(plan: CountPlan, graph: Graph) -> tuple[list[Any], set[str]]:
    """Return what each leaf reads: partitions, or references to the partitions of a Dask frame."""
    if plan.frame is None:
        return [list(leaf) for leaf in plan.leaves], set()
    graph.layers.update(plan.frame.graph.layers)
    graph.dependencies.update(plan.frame.graph.dependencies)
    return [List(TaskRef(key)) for key in plan.frame.keys], set(plan.frame.graph.layers)


def _edge_steps(
    plan: CountPlan, graph: Graph, pieces: list[Any], below: set[str], split_every: int | None
) -> list[Key]:
    """Add the passes that find bin edges; return the keys of what each is told, and of the last answer."""
    if not plan.first_pass.open:
        return []
    step = graph.one(f"infolake-pass-0-{plan.token}", _same, plan.first_pass)
    steps = [step]
    for number in range(PASSES):
        name = f"infolake-bins-{number}-{plan.token}"
        given = [(TaskRef(step), plan.selection, piece) for piece in pieces]
        leaves = graph.leaves(name, bins_leaf, given, {*below, _layer(step)})
        total = graph.tree(f"infolake-add-bins-{number}-{plan.token}", add_bins, leaves, name, split_every)
        following = f"infolake-pass-{number + 1}-{plan.token}"
        step = graph.one(following, quantiles.next_pass, TaskRef(total), below={_layer(total)})
        steps.append(step)
    return steps


def _kept_step(  # noqa: PLR0917
    plan: CountPlan, graph: Graph, request: Any, pieces: list[Any], below: set[str], split_every: int | None
) -> str:
    """Add the pass that counts limited columns alone; return the key of the request with what is kept."""
    name = f"infolake-levels-{plan.token}"
    given = [(request, plan.limits, plan.selection, piece) for piece in pieces]
    leaves = graph.leaves(name, levels_leaf, given, below)
    total = graph.tree(f"infolake-add-levels-{plan.token}", add_counts, leaves, name, split_every)
    kept, layers = f"infolake-kept-{plan.token}", {_layer(total), *below}
    graph.one(kept, _keeping, request, TaskRef(total), plan.limits, plan.source_rows, below=layers)
    return kept


def _same(value: Any) -> Any:
    return value


def _resolved(request: Request, step: QuantilePass) -> Request:
    """Return the request with the bin edges that the passes found."""
    return request.with_edges(step.edges)


def _keeping(request: Request, first: JointCounts, limits: Mapping[str, int], planned: int | None) -> Request:
    """Return the request with the levels that the first pass found to be the most frequent."""
    if first.columns:
        _checked(first, planned)
    return keeping.keep(request, first, limits)


def add_counts(parts: Sequence[JointCounts]) -> JointCounts:
    """Add counts and balance their ledger."""
    found = joint_counts.add(parts)
    found.check("a merge")
    return found


def add_bins(parts: Sequence[QuantileHistogram]) -> QuantileHistogram:
    """Add histograms and balance their ledger."""
    found = quantiles.add(parts)
    found.check("a merge")
    return found


def _checked(counts: JointCounts, planned: int | None) -> JointCounts:
    """Hold the counts against the rows that were planned, before anything is published."""
    counts.check("the total")
    check_planned(counts.ledger, planned)
    try:
        joint_counts.check_buckets(counts)
    except UsageError as error:
        what = "the data changed between the pass for the most frequent levels and the count"
        told = {name: error.fields[name] for name in ("expected", "found")}
        raise ChangedInputError(what, effect="nothing published", next="run again", **told) from None
    return counts


def check_planned(ledger: Ledger, planned: int | None) -> None:
    """Raise unless the ledger balances and holds the rows that were planned."""
    ledger.check("the total")
    if planned is not None and ledger.rows_footer != planned:
        raise ChangedInputError(
            "other rows were read than were planned",
            expected=f"{planned} rows",
            found=f"{ledger.rows_footer} rows",
            effect="nothing published",
        )
