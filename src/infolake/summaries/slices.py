"""Slices of joint counts after the fact: fewer groups, chosen levels, merged levels, coarser bins.

A slice of a sum is the sum of the slices, and a slice equals the counts of the data so changed. What
no request for counting could say (chosen and merged levels) is noted in the request, so that only
counts sliced alike add.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from infolake.encoding.bins import Edges
from infolake.encoding.levels import Levels, canonical
from infolake.errors import UnknownColumnError, UsageError, nearest, printable
from infolake.packing import Groups
from infolake.summaries.cells import Array, Sparse, grouped, layout, realigned, settle, to_dense
from infolake.summaries.request import Request

if TYPE_CHECKING:
    from infolake.summaries.joint_counts import JointCounts
    from infolake.summaries.ledger import Ledger

MISSING = -1


def marginal(counts: JointCounts, wanted: str | Sequence[str] | Sequence[Sequence[str]]) -> JointCounts:
    """Return the counts of fewer columns or groups; see :meth:`JointCounts.marginal`."""
    given: list[Any] = [wanted] if isinstance(wanted, str) else list(wanted)
    if not given:
        raise UsageError(
            "a marginal needs columns or groups", expected="some of " + printable(counts.columns)
        )
    if all(isinstance(name, str) for name in given):
        kept = _kept(counts, given)
        groups = _groups_within(counts.request.groups, kept)
    else:
        listed = [(g,) if isinstance(g, str) else tuple(g) for g in given]
        kept = _kept(counts, [name for group in listed for name in group])
        groups = _listed([[counts.request.number(c) for c in group] for group in listed], kept)
    _refuse_listwise(counts, kept)
    request = _restricted(counts.request, kept, groups)
    return _picked(counts, request, kept)


def _kept(counts: JointCounts, names: Iterable[str]) -> list[int]:
    return sorted({counts.request.number(name) for name in names})


def _refuse_listwise(counts: JointCounts, kept: list[int]) -> None:
    if counts.request.missing == "listwise" and len(kept) < len(counts.columns):
        raise UsageError(
            "rows were left out for a missing value in columns that would go",
            expected='all columns, where counting was missing="listwise"',
            next="ask for groups that hold every column, or count again",
        )


def _groups_within(groups: Groups, kept: list[int]) -> Groups:
    """Return the part of each group within the kept columns, each part once."""
    if groups.kind == "pairs" and len(kept) > 1:
        return Groups(len(kept), "pairs")
    if groups.kind == "target" and groups.target in kept and len(kept) > 1:
        return Groups(len(kept), "target", kept.index(groups.target))
    if groups.kind != "listed":
        return Groups(len(kept), "columns")
    parts = [[c for c in group if c in kept] for group in groups.given]
    return _listed([p for p in parts if p], kept)


def _listed(groups: Sequence[Sequence[int]], kept: list[int]) -> Groups:
    place = {column: i for i, column in enumerate(kept)}
    found = {frozenset(g): tuple(place[c] for c in g) for g in reversed(groups)}
    return Groups.listed(list(reversed(found.values())), len(kept))


def _restricted(request: Request, kept: list[int], groups: Groups) -> Request:
    return replace(
        request,
        columns=tuple(request.columns[c] for c in kept),
        types=tuple(request.types[c] for c in kept),
        edges=tuple(request.edges[c] for c in kept),
        kept=tuple(request.kept[c] for c in kept) if request.kept else (),
        groups=groups,
    )


def _picked(counts: JointCounts, request: Request, kept: list[int]) -> JointCounts:
    """Return the groups of ``request``, each marginalized from the smallest group that holds it."""
    index = request.groups.index
    own = counts.request.groups.index
    place = {tuple(g): i for i, g in enumerate(own.tolist())}
    n, width = len(kept), own.shape[1]
    numbers = [[kept[c] for c in group if c < n] for group in index.tolist()]
    same = [place.get((*g, *[len(counts.columns)] * (width - len(g))), -1) for g in numbers]
    parts = (
        counts.group_cells(source) if source >= 0 else _narrowed(counts, group)
        for group, source in zip(numbers, same, strict=True)
    )
    sets = tuple(counts.level_sets[c] for c in kept)
    return _built(counts, request, sets, parts, counts.ledger)


def _narrowed(counts: JointCounts, numbers: list[int]) -> Sparse:
    found = counts._marginal(numbers)
    return grouped(found.codes, found.values, counts.layout.sizes[numbers])


def _built(
    counts: JointCounts, request: Request, sets: tuple[Levels, ...], parts: Iterable[Sparse], ledger: Ledger
) -> JointCounts:
    """Return canonical counts of the given cells, one part for each group."""
    from infolake.summaries.joint_counts import JointCounts, trimmed

    target = layout(tuple(len(s) for s in sets), request.groups)
    dense = np.zeros((len(counts.channels), target.cells), np.int64)
    sparse = {}
    for group, part in enumerate(parts):
        if not len(part.codes):
            continue
        if target.dense[group]:
            start, end = target.offsets[group : group + 2]
            members = request.groups.index[group]
            dense[:, start:end] = to_dense(part, target.sizes[members[members < len(sets)]])
        else:
            sparse[group] = part
    channels, dense, sparse = settle(counts.channels, dense, sparse)
    return trimmed(JointCounts(request, sets, channels, dense, sparse, ledger))


def where(counts: JointCounts, column: str, levels: Any, *, strict: bool = True) -> JointCounts:
    """Return the counts of the rows at some levels; see :meth:`JointCounts.where`."""
    chosen = _listed_levels(levels)
    number = counts.request.number(column)
    codes = _codes(counts.level_sets[number], column, chosen, strict)
    kept = np.zeros(len(counts.level_sets[number]), bool)
    kept[codes] = True
    return _chosen(counts, number, kept, ["where", column, sorted(map(repr, set(chosen)))])


def drop_levels(counts: JointCounts, column: str, levels: Any, *, strict: bool = True) -> JointCounts:
    """Return the counts of the rows at all other levels; see :meth:`JointCounts.drop_levels`."""
    chosen = _listed_levels(levels)
    number = counts.request.number(column)
    codes = _codes(counts.level_sets[number], column, chosen, strict)
    kept = np.ones(len(counts.level_sets[number]), bool)
    kept[codes] = False
    return _chosen(counts, number, kept, ["drop", column, sorted(map(repr, set(chosen)))])


def _listed_levels(levels: Any) -> list[Any]:
    """Return levels as a list: a lone value, text and bytes are one level."""
    lone = isinstance(levels, str | bytes) or not isinstance(levels, Collection)
    return [levels] if lone else list(levels)


def _codes(levels: Levels, column: str, wanted: Iterable[Any], strict: bool) -> list[int]:
    """Return the codes of levels given by their labels; those that do not occur are left out."""
    place = {label: code for code, label in enumerate(levels.labels)}
    absent = [label for label in wanted if label not in place]
    if absent and strict:
        raise UsageError(
            f"the column {column!r} has no level {printable(repr(absent[0]))}",
            found=f"{len(place)} levels such as {printable(levels.labels[:5])}",
            next=nearest(str(absent[0]), [str(label) for label in place]) or "strict=False passes over it",
        )
    return [place[label] for label in wanted if label in place]


def _chosen(counts: JointCounts, number: int, kept: Array, note: list[Any]) -> JointCounts:
    """Return the counts of the rows whose level of a column is kept; only groups that hold it remain."""
    name = counts.columns[number]
    if counts.weighted:
        raise UsageError(
            "weighted counts do not say how many rows a level has",
            next=f"take a table: counts.table({name!r}, ...).where({name!r}, ...)",
        )
    index = counts.request.groups.index
    holding = np.flatnonzero((index == number).any(axis=1)).tolist()
    if not holding:
        raise UnknownColumnError(f"no counted group holds the column {name!r}")
    n = len(counts.columns)
    groups = [[c for c in index[g].tolist() if c < n] for g in holding]
    columns = sorted({c for group in groups for c in group})
    _refuse_listwise(counts, columns)
    request = _restricted(counts.request, columns, _listed(groups, columns))
    parts = [
        _filtered(counts.group_cells(g), m.index(number), kept) for g, m in zip(holding, groups, strict=True)
    ]
    left = counts.n_rows - int(parts[0].values.sum())
    own = counts.ledger
    ledger = replace(own, rows_counted=own.rows_counted - left, filtered=own.filtered + left)
    sets = tuple(counts.level_sets[c] for c in columns)
    return _built(counts, _noted(request, note), sets, parts, ledger)


def _filtered(part: Sparse, axis: int, kept: Array) -> Sparse:
    chosen = kept[part.codes[:, axis]]
    return Sparse(part.codes[chosen], part.values[:, chosen])


def _noted(request: Request, note: list[Any]) -> Request:
    return replace(request, slices=(*request.slices, tuple(note)))


def merge_levels(
    counts: JointCounts, column: str, merged: Mapping[Any, Any], *, strict: bool = True
) -> JointCounts:
    """Return the counts with some levels of a column made one; see :meth:`JointCounts.merge_levels`."""
    number = counts.request.number(column)
    own = counts.level_sets[number]
    if own.edges is not None:
        raise UsageError(f"the levels of {column!r} are bins", next=f"counts.coarsen({column!r}, ...)")
    if own.kept is not None:
        raise UsageError(
            f"rarer levels of {column!r} are in a bucket",
            next="merge levels of counts made without max_levels",
        )
    names = {new: _listed_levels(old) for new, old in merged.items()}
    every = [label for old in names.values() for label in old]
    if len(set(every)) < len(every):
        raise UsageError(f"a level of {column!r} goes to two places", found=printable(every))
    levels, codes = _merged(own, column, names, strict)
    note = ["merge", column, sorted([repr(new), sorted(map(repr, old))] for new, old in names.items())]
    return _recoded(counts, number, levels, codes, _noted(counts.request, note))


def _merged(own: Levels, column: str, names: Mapping[Any, list[Any]], strict: bool) -> tuple[Levels, Array]:
    """Return the levels that remain, and the new code of each old one."""
    place = {label: code for code, label in enumerate(own.labels)}
    goal = np.arange(len(own))
    if own.missing:
        goal[-1] = MISSING
    fresh = [new for new in names if new is not None and new not in place]
    for new, old in names.items():
        codes = _codes(own, column, old, strict)
        goal[codes] = MISSING if new is None else place[new] if new in place else len(own) + fresh.index(new)
    pool = pa.concat_arrays(
        [own.values, pa.nulls(int(own.missing), own.values.type), _labels(own, column, fresh)]
    )
    used = np.unique(goal[goal != MISSING])
    levels, order = canonical(pool.take(pa.array(used, pa.int64())), bool((goal == MISSING).any()))
    new_codes = np.append(order, len(levels) - 1)
    return levels, new_codes[np.where(goal == MISSING, len(used), np.searchsorted(used, goal))]


def _labels(own: Levels, column: str, fresh: list[Any]) -> pa.Array:
    try:
        return pa.array(fresh, own.values.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"the new levels of {column!r} are not of its type",
            expected=f"values of {own.values.type}",
            found=printable(fresh),
        ) from error


def coarsen(
    counts: JointCounts, column: str, bins: int | Sequence[float] | None = None, *, every: int | None = None
) -> JointCounts:
    """Return the counts with wider bins of a column; see :meth:`JointCounts.coarsen`."""
    number = counts.request.number(column)
    own = counts.level_sets[number]
    if own.edges is None:
        raise UsageError(f"the column {column!r} is not binned", next="counts.merge_levels(...)")
    kept = _kept_edges(column, own.edges, bins, every)
    edges = tuple(own.edges[i] for i in kept)
    moved = np.searchsorted(kept, own.values.to_numpy(zero_copy_only=False), side="right") - 1
    used, codes = np.unique(moved, return_inverse=True)
    levels = Levels(pa.array(used, pa.int32()), own.missing, edges)
    request = replace(
        counts.request, edges=tuple(edges if c == number else e for c, e in enumerate(counts.request.edges))
    )
    return _recoded(counts, number, levels, np.append(codes, len(used))[: len(own)], request)


def _kept_edges(
    column: str, edges: Edges, bins: int | Sequence[float] | None, every: int | None
) -> list[int]:
    """Return the positions of the edges that stay."""
    n = len(edges) - 1
    if (bins is None) == (every is None):
        raise UsageError("coarsen takes bins or every", expected="a number of bins, some edges, or every=k")
    if isinstance(bins, Sequence | np.ndarray):
        return _given_edges(column, edges, bins)
    number = every if bins is None else bins
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= n:
        raise UsageError(f"the column {column!r} has {n} bins", expected=f"1 to {n}", found=printable(number))
    if bins is None:
        return [*range(0, n, number), n]
    return [-(-n * k // number) for k in range(number + 1)]


def _given_edges(column: str, edges: Edges, wanted: Sequence[float]) -> list[int]:
    place = {edge: i for i, edge in enumerate(edges)}
    absent = [edge for edge in wanted if edge not in place]
    found = sorted({place[edge] for edge in wanted if edge in place})
    if absent or found[:1] != [0] or found[-1:] != [len(edges) - 1]:
        raise UsageError(
            f"the edges of {column!r} cannot be these",
            expected=f"some of {printable(edges)}, the first and the last among them",
            found=printable(list(wanted)),
        )
    return found


def _recoded(counts: JointCounts, number: int, levels: Levels, codes: Array, request: Request) -> JointCounts:
    """Return the counts under new levels of one column; ``codes`` is the new code of each old one."""
    from infolake.summaries.joint_counts import JointCounts, trimmed

    sets = tuple(levels if c == number else s for c, s in enumerate(counts.level_sets))
    maps = [codes if c == number else np.arange(len(s)) for c, s in enumerate(counts.level_sets)]
    target, own, index = (
        layout(tuple(len(s) for s in sets), request.groups),
        counts.layout,
        request.groups.index,
    )
    dense = np.zeros((len(counts.channels), target.cells), np.int64)
    quick = own.dense & target.dense & ((index < len(sets)).sum(axis=1) <= 2) & (np.diff(own.offsets) > 0)
    realigned(
        (counts.dense, own.offsets[:-1][quick], own.sizes),
        index[quick],
        maps,
        (dense, target.offsets[:-1][quick], target.sizes),
    )
    sparse = {}
    for group in np.flatnonzero(~quick).tolist():
        members = index[group][index[group] < len(sets)]
        part = counts.group_cells(group)
        moved = np.stack([maps[c][part.codes[:, i]] for i, c in enumerate(members.tolist())], axis=1)
        part = grouped(moved, part.values, target.sizes[members])
        if target.dense[group]:
            start, end = target.offsets[group : group + 2]
            dense[:, start:end] = to_dense(part, target.sizes[members])
        elif len(part.codes):
            sparse[group] = part
    channels, dense, sparse = settle(counts.channels, dense, sparse)
    return trimmed(JointCounts(request, sets, channels, dense, sparse, counts.ledger))
