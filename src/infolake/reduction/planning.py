"""What will be read, counted and held, before anything runs: a plan is a value."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infolake.encoding.bins import AUTO_LIMIT, BinRule, parse_rule
from infolake.encoding.kept import level_limits
from infolake.errors import (
    TooManyCellsError,
    UnknownColumnError,
    UsageError,
    nearest,
    printable,
)
from infolake.packing import Groups
from infolake.reduction import config
from infolake.reduction.frames import FrameInput, frame_schema, is_frame, open_frame
from infolake.reduction.graph import token
from infolake.reduction.leaf import Selection
from infolake.sources import Partition, Source, open_source
from infolake.sources.filters import columns_of, normalized
from infolake.summaries.quantiles import QuantilePass, first_pass
from infolake.summaries.request import MISSING, Request

CELL_BYTES = 72
SAMPLE_ABOVE = 64 << 20
MANY_DISTINCT = 0.1
LEAF_ROWS = 1 << 18
SHARD_ABOVE = 1 << 22  # estimated cells from which a group is counted in shards
SHARD_LEAST = 1 << 20  # the same where memory is scarce


@dataclass(frozen=True)
class Asked:
    """The arguments of ``il.count`` that say what is counted."""

    groups: str | Sequence[Sequence[str]] = "pairs"
    columns: Sequence[str] | None = None
    target: str | None = None
    filters: Any = None
    bins: Any = None
    missing: str = "pairwise"
    weights: str | None = None
    max_levels: Any = None
    rest: str = "bucket"


@dataclass(frozen=True, eq=False)
class CountPlan:
    """What one count reads and counts.

    Parameters
    ----------
    request : Request
        What is counted; bin edges that must be found from the data are still open.
    first_pass : QuantilePass
        What the first pass for bin edges counts, if any.
    selection : Selection
        Which rows count.
    rules : dict of str to BinRule
        Treatment of the numeric columns.
    source : Source or None
    frame : FrameInput or None
    leaves : tuple of tuples of Partition
        What each task reads.
    levels : dict of str to int
        Estimated (from a bounded sample) or bounded number of levels.
    limits : dict of str to int
        Columns that keep at most so many levels, unless bins leave them none to drop.
    in_blocks : bool
        Whether the groups may be counted in several scans.
    shard_scans : int or None
        Scans in shards, where several questions are asked of large groups; None for one of each group.
    found_large : bool
        Whether a scan has found all groups of a Dask frame to be large: nothing tells before.
    """

    request: Request
    first_pass: QuantilePass
    selection: Selection
    rules: dict[str, BinRule]
    source: Source | None
    frame: FrameInput | None
    leaves: tuple[tuple[Partition, ...], ...]
    levels: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    in_blocks: bool = False
    shard_scans: int | None = None
    found_large: bool = False

    @cached_property
    def token(self) -> str:
        """A deterministic name: what is read and what is counted."""
        keys = [self.frame.name] if self.frame else [p.key for leaf in self.leaves for p in leaf]
        described = [
            self.request.to_json(),
            self.first_pass.fingerprint,
            repr(self.selection),
            list(map(len, self.leaves)),
            *([self.limits] if self.limits else []),
        ]
        return token(json.dumps(described, default=str), *keys)

    @property
    def source_rows(self) -> int | None:
        """Rows by the footers, or of a scan of a Dask frame; None where only reading tells."""
        if self.frame is not None:
            return self.frame.n_rows
        return self.source.n_rows if self.source else None

    @property
    def n_leaves(self) -> int:
        """Reading tasks of one pass."""
        return len(self.frame.keys) if self.frame else len(self.leaves)

    @property
    def passes(self) -> int:
        """Passes over the numeric columns that bin edges need, at most."""
        return 3 if self.first_pass.open else 0

    @property
    def divisible(self) -> bool:
        """Whether the groups can be counted in blocks: each fits alone, and no row depends on all columns."""
        fits = bool((estimated_cells(self) * CELL_BYTES <= memory_limit()).all())
        return fits and self.selection.missing == "pairwise" and len(self.request.groups) > 0

    @cached_property
    def blocks(self) -> tuple[list[tuple[str, ...]], ...]:
        """Groups of each block that fits in memory, as column names; one block where all fit together."""
        bounds = block_bounds(self)
        names = [self.request.group_names(g) for g in range(len(self.request.groups))] if bounds[2:] else []
        return tuple(names[a:b] for a, b in pairwise(bounds)) if bounds[2:] else ([],)

    @property
    def separable(self) -> bool:
        """Whether groups may be counted in shards, those that are large."""
        return self.in_blocks and not self.limits and self.request.weights is None

    @cached_property
    def large(self) -> np.ndarray[Any, Any]:
        """Which groups have so many cells, by estimate, that they are counted in shards; bool, (groups,)."""
        none = np.zeros(len(self.request.groups), np.bool_)
        if self.found_large:
            return ~none
        if self.source is None or not self.separable:
            return none
        several = (self.request.groups.index < len(self.request.columns)).sum(axis=1) > 1
        cells = estimated_cells(self)
        tight = (cells > SHARD_LEAST) & (cells * CELL_BYTES > memory_limit() // 4)
        found: np.ndarray[Any, Any] = several & (tight | (cells > SHARD_ABOVE))
        return found

    @property
    def held(self) -> CountPlan:
        """The plan without its large groups."""
        return self.of_groups(~self.large) if self.large.any() else self

    def of_groups(self, chosen: Any) -> CountPlan:
        """Return the plan for some of the groups (a number, a slice or flags); the same rows are read."""
        n = len(self.request.columns)
        index = np.atleast_2d(self.request.groups.index[chosen])
        listed = [tuple(c for c in row if c < n) for row in index.tolist()]
        return replace(self, request=replace(self.request, groups=Groups(n, "listed", given=tuple(listed))))

    @property
    def narrow(self) -> CountPlan:
        """The plan without the columns that none of its groups holds; the same rows are counted."""
        used = np.unique(self.request.groups.index)
        used = used[used < len(self.request.columns)].tolist()
        place = {number: i for i, number in enumerate(used)}
        rows = self.request.groups.index.tolist()
        listed = tuple(tuple(place[c] for c in row if c in place) for row in rows)
        request = self.request
        columns, types, edges = (
            tuple(found[c] for c in used) for found in (request.columns, request.types, request.edges)
        )
        groups = Groups(len(used), "listed", given=listed)
        return replace(
            self, request=replace(request, columns=columns, types=types, edges=edges, groups=groups)
        )

    def with_edges(self, found: QuantilePass) -> CountPlan:
        """Return the plan with the bin edges that its passes found."""
        return replace(self, request=self.request.with_edges(found.edges), first_pass=found)

    def of_columns(self, columns: Sequence[str]) -> CountPlan:
        """Return the plan that counts some columns alone; the same rows are read."""
        alone = tuple((self.request.number(c),) for c in columns)
        groups = Groups(len(self.request.columns), "listed", given=alone)
        return replace(self, request=replace(self.request, groups=groups))

    def __repr__(self) -> str:
        from infolake.reduction.describing import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from infolake.reduction.describing import as_html

        return as_html(self)


def plan_count(data: Any, asked: Asked, *, in_blocks: bool = False) -> CountPlan:
    """Plan a count: open the footers, settle columns, groups and bins, check the size.

    With ``in_blocks`` a plan is also made where all tables together would not fit but can be counted
    block by block (:attr:`CountPlan.blocks`) or in shards (:attr:`CountPlan.large`), each block and each
    large group in a scan of its own.

    Raises
    ------
    UsageError, UnknownColumnError, NoInputError, SchemaError
        Arguments that make no sense, columns or files that are not there, types that differ.
    TooManyCellsError
        Tables that would not fit in memory.
    """
    clauses = normalized(asked.filters)
    _check_arguments(asked)
    schema, source, frame = _open(data, asked, columns_of(clauses))
    groups, columns = _groups(asked, schema, source)
    types = {c: schema[c] for c in columns}
    rules = bin_rules(types, asked.bins)
    rules, limits = _limits(asked, types, rules)
    request = _request(asked, columns, groups, schema, rules)
    selection = Selection(
        clauses,
        columns_of(clauses),
        asked.missing,
        columns,
        tuple((c, str(t)) for c, t in schema.items()),
    )
    opening = _first_pass(rules, types, request)
    leaves = _leaves(source.partitions, len(groups)) if source else ()
    levels = _estimate(source, request, rules) if source else {}
    plan = CountPlan(request, opening, selection, rules, source, frame, leaves, levels, limits, in_blocks)
    held = plan.held if in_blocks else plan
    if not (in_blocks and held.divisible):
        check_size(held)
    return plan


def _check_arguments(asked: Asked) -> None:
    if asked.missing not in MISSING:
        raise UsageError(
            f"unknown missing={printable(asked.missing)!r}: {nearest(str(asked.missing), MISSING)}",
            expected='"pairwise", "listwise" or "error"',
        )
    if isinstance(asked.groups, str) and asked.groups not in ("pairs", "columns"):
        raise UsageError(
            f"unknown groups={printable(asked.groups)!r}",
            expected='"pairs", "columns", or a list of tuples of column names',
        )
    if not isinstance(asked.groups, str):
        _check_listed(asked.groups)
    if not isinstance(asked.groups, str) and asked.columns is not None:
        raise UsageError("groups=[...] names its columns itself", next="leave columns= out")
    if asked.target is not None and asked.groups != "pairs":
        raise UsageError("a target goes with groups='pairs'", found=f"groups={printable(asked.groups)!r}")
    for name, value in (("target", asked.target), ("weights", asked.weights)):
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{name} is the name of a column", found=printable(repr(value)))
    if isinstance(asked.columns, str):
        raise UsageError("columns is a list of names", found=f"the text {printable(asked.columns)!r}")
    if asked.columns is not None and not list(asked.columns):
        raise UsageError("columns names no column", expected="at least one, or None for all of them")


def _check_listed(groups: object) -> None:
    listed = isinstance(groups, Sequence | set | frozenset)
    if not listed or not all(isinstance(g, str | Sequence | set | frozenset) for g in groups):  # type: ignore[attr-defined]
        raise UsageError(
            "groups make no sense",
            expected='"pairs", "columns", or a list of tuples of column names',
            found=printable(repr(groups)),
        )


def _open(
    data: Any, asked: Asked, filter_columns: tuple[str, ...]
) -> tuple[dict[str, pa.DataType], Source | None, FrameInput | None]:
    wanted = _wanted(asked)
    if is_frame(data):
        schema = frame_schema(data)
        extra = [*filter_columns, *([asked.weights] if asked.weights else [])]
        names = {*(schema if wanted is None else wanted), *extra}
        order = [*(c for c in schema if c in names), *sorted(names - set(schema))]
        frame = open_frame(data, order)
        return frame.schema, None, frame
    source = data if isinstance(data, Source) else open_source(data, columns=wanted, filters=asked.filters)
    return source.schema, source, None


def _wanted(asked: Asked) -> list[str] | None:
    """Return the columns to read, None for all of them."""
    if isinstance(asked.groups, str) and asked.columns is None:
        return None
    return list(dict.fromkeys(_named(asked) + [c for c in (asked.weights,) if c is not None]))


def _named(asked: Asked) -> list[str]:
    """Return the columns that the arguments name to be counted."""
    if not isinstance(asked.groups, str):
        return list(dict.fromkeys(c for g in asked.groups for c in ([g] if isinstance(g, str) else g)))
    target = [] if asked.target is None else [asked.target]
    return list(dict.fromkeys([*(asked.columns or ()), *target]))


def _groups(asked: Asked, schema: Mapping[str, Any], source: Source | None) -> tuple[Groups, tuple[str, ...]]:
    """Return the groups, and the columns they hold in schema order."""
    wanted = _wanted(asked)
    # columns that only filters and weights name are not counted
    counted = set(source.columns if source else schema) if wanted is None else set(wanted)
    if asked.weights not in _named(asked):
        counted.discard(str(asked.weights))
    columns = tuple(c for c in schema if c in counted)
    for name in _named(asked) + [c for c in (asked.weights,) if c is not None]:
        if name not in schema:
            raise UnknownColumnError(f"unknown column {name!r}: {nearest(name, schema)}")
    n = len(columns)
    if not isinstance(asked.groups, str):
        return _listed(asked.groups, columns), columns
    if asked.groups == "columns":
        return Groups(n, "columns"), columns
    if asked.target is not None:
        return Groups(n, "target", columns.index(asked.target)), columns
    return Groups(n, "pairs"), columns


def _listed(given: Sequence[Sequence[str]], columns: tuple[str, ...]) -> Groups:
    number = {c: i for i, c in enumerate(columns)}
    found: dict[frozenset[int], tuple[int, ...]] = {}
    for group in given:
        members = (group,) if isinstance(group, str) else tuple(group)
        if not members or len(set(members)) < len(members):
            raise UsageError("a group names each of its columns once", found=printable(members))
        numbers = tuple(number[c] for c in members)
        found.setdefault(frozenset(numbers), numbers)
    if not found:
        raise UsageError("no groups to count", expected="at least one tuple of column names")
    return Groups.listed(list(found.values()), len(columns))


def is_number(kind: pa.DataType) -> bool:
    """Whether bins concern columns of this type."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def bin_rules(types: Mapping[str, pa.DataType], bins: Any) -> dict[str, BinRule]:
    """Return the rule of each numeric column.

    Examples
    --------
    >>> bin_rules({"x": pa.float64(), "s": pa.string()}, 8)
    {'x': BinRule(method='quantile', bins=8, edges=())}
    """
    numeric = [c for c, t in types.items() if is_number(t)]
    described = (isinstance(bins, Mapping) and not {"method", "bins"} & set(bins)) or bins == {}
    if not described:
        return {c: _default(types[c]) if bins is None else parse_rule(c, bins) for c in numeric}
    for column, rule in bins.items():
        if column not in types:
            raise UnknownColumnError(f"bins name an unknown column {column!r}: {nearest(column, types)}")
        if column not in numeric and rule not in (None, "exact"):
            raise UsageError(
                f"bins concern columns of numbers; {column!r} holds {types[column]}",
                next="leave it out of bins",
            )
    return {c: parse_rule(c, bins[c]) if bins.get(c) is not None else _default(types[c]) for c in numeric}


def _limits(
    asked: Asked, types: Mapping[str, pa.DataType], rules: dict[str, BinRule]
) -> tuple[dict[str, BinRule], dict[str, int]]:
    """Return the rules, named columns of numbers being exact, and the limits of columns without bins."""
    found = level_limits(asked.max_levels, asked.rest, types)
    named = found if isinstance(asked.max_levels, Mapping) else ()
    for column in named:
        if column not in types:
            hint = nearest(column, types)
            raise UnknownColumnError(f"max_levels name an unknown column {printable(column)!r}: {hint}")
        if column in rules and rules[column].method not in ("auto", "exact"):
            raise UsageError(
                f"the column {printable(column)!r} is binned: none of its levels can go to a bucket",
                next="leave it out of max_levels, or out of bins",
            )
    rules = {c: BinRule("exact") if c in named else rule for c, rule in rules.items()}
    binned = {c for c, rule in rules.items() if rule.method not in ("auto", "exact")}
    return rules, {c: limit for c, limit in found.items() if c not in binned}


def _default(kind: pa.DataType) -> BinRule:
    return BinRule("exact") if pa.types.is_decimal(kind) else BinRule()


def _request(
    asked: Asked,
    columns: tuple[str, ...],
    groups: Groups,
    schema: Mapping[str, pa.DataType],
    rules: Mapping[str, BinRule],
) -> Request:
    weights = None if asked.weights is None else schema[asked.weights]
    if weights is not None and not is_number(weights):
        raise UsageError(f"weights are numbers; column {asked.weights!r} holds {weights}")
    types = tuple(schema[c] for c in columns)
    edges = {c: rules[c].edges if c in rules and rules[c].method == "edges" else None for c in columns}
    integer = weights is None or bool(pa.types.is_integer(weights))
    clauses = normalized(asked.filters)
    filters = json.dumps(clauses, default=str, sort_keys=True) if clauses else ""
    request = Request(
        columns, types, groups, (None,) * len(columns), asked.missing, asked.weights, integer, filters
    )
    return request.with_edges(edges)


def _first_pass(
    rules: Mapping[str, BinRule], types: Mapping[str, pa.DataType], request: Request
) -> QuantilePass:
    described = {c: (r, bool(pa.types.is_int64(types[c])), _limit(r, types[c])) for c, r in rules.items()}
    return first_pass(described, request.weights, request.integer_weights)


def _limit(rule: BinRule, kind: pa.DataType) -> int:
    if rule.method == "auto":
        return AUTO_LIMIT["float" if pa.types.is_floating(kind) else "int"]
    return rule.bins if rule.method == "quantile" else 0


def _leaves(partitions: Sequence[Partition], n_groups: int) -> tuple[tuple[Partition, ...], ...]:
    """Batch neighbouring partitions by bytes: enough work for a task, enough tasks for the workers.

    A leaf's cost beside reading grows with the groups, so many groups ask for more rows a leaf.
    """
    import os

    total = sum(p.n_bytes for p in partitions)
    most = config.size("leaf-bytes") or 1
    share = max(1 << 20, total // (4 * (os.cpu_count() or 1)))
    n_rows = sum(p.n_rows or 0 for p in partitions)
    enough = total * min(LEAF_ROWS, 16 * n_groups) // max(n_rows, 1) if n_rows else 0
    limit = max(min(most, share), enough, total // config.number("max-leaves"))
    leaves: list[list[Partition]] = []
    held = math.inf
    for partition in partitions:
        if held + partition.n_bytes > limit:
            leaves.append([])
            held = 0
        leaves[-1].append(partition)
        held += partition.n_bytes
    # filters on folder names may leave nothing to read: that counts as zero rows
    return tuple(tuple(leaf) for leaf in leaves) or ((),)


def _estimate(source: Source, request: Request, rules: Mapping[str, BinRule]) -> dict[str, int]:
    """Estimate the levels of each column from a bounded sample; only large requests need one."""
    n_rows = source.n_rows if source.n_rows is not None else sum(p.n_bytes for p in source.partitions) // 16
    if n_rows * len(request.groups) * CELL_BYTES < SAMPLE_ABOVE:
        return {}
    sample = source.sample(request.columns)
    keys = _folder_keys(source)
    return {c: keys.get(c) or estimated_levels(sample[c], n_rows, rules.get(c)) for c in request.columns}


def _folder_keys(source: Source) -> dict[str, int]:
    """Return the number of values of each Hive key, which the listing tells exactly."""
    found: dict[str, set[Any]] = {}
    for partition in source.partitions:
        for name, value in partition.constants:
            found.setdefault(name, set()).add(value)
    return {name: len(values) for name, values in found.items()}


def estimated_levels(column: pa.ChunkedArray, n_rows: int, rule: BinRule | None) -> int:
    """Return about how many levels a column of ``n_rows`` rows has, from a sample of it."""
    distinct = len(pc.unique(column))
    if rule is not None and rule.method not in ("exact", "auto"):
        return rule.bins + 1
    if rule is not None and rule.method == "auto" and distinct > AUTO_LIMIT["int"]:
        return rule.bins + 1
    if distinct > MANY_DISTINCT * len(column):
        return max(distinct, round(distinct / max(len(column), 1) * n_rows))
    return distinct


def estimated_cells(plan: CountPlan) -> np.ndarray[Any, Any]:
    """Return an upper estimate of the cells of each group (0 where nothing was sampled)."""
    sizes = np.array([*(held_levels(plan, c) for c in plan.request.columns), 1], np.float64)
    rows = plan.source_rows
    products: np.ndarray[Any, Any] = sizes[plan.request.groups.index].prod(axis=1)
    return products if rows is None else np.minimum(products, rows)


def held_levels(plan: CountPlan, column: str) -> int:
    """Return the estimated levels of a column in the tables: at most the kept ones and their bucket."""
    levels = plan.levels.get(column, 0)
    return min(levels, plan.limits[column] + 1) if column in plan.limits else levels


def memory_limit() -> int:
    """Return the bytes that counts may take: the setting, else half of what this machine has free."""
    import psutil

    given = config.size("memory-limit")
    return given if given is not None else psutil.virtual_memory().available // 2


def block_bounds(plan: CountPlan) -> list[int]:
    """Return where blocks of neighbouring groups start, and the end, so that each block fits in memory."""
    need, limit = estimated_cells(plan) * CELL_BYTES, memory_limit()
    bounds, held = [0], 0.0
    for group, size in enumerate(need.tolist()):
        if held and held + size > limit:
            bounds.append(group)
            held = 0.0
        held += size
    return [*bounds, len(need)]


def parts(plan: CountPlan) -> Iterator[CountPlan]:
    """Yield plans for blocks of groups that each fit in memory; TooManyCellsError where one does not."""
    if not plan.divisible:
        check_size(plan)
    bounds = block_bounds(plan)
    for start, stop in pairwise(bounds):
        yield plan if len(bounds) == 2 else plan.of_groups(slice(start, stop))


def check_size(plan: CountPlan, advice: str = "") -> None:
    """Refuse tables that would not fit, before anything is read in full; ``advice`` is what helps most."""
    cells = estimated_cells(plan)
    from infolake.reduction.describing import size

    alone = sum(plan.levels.get(c, 0) for c in plan.limits)
    need, limit = max(float(cells.sum()), alone) * CELL_BYTES, memory_limit()
    if need <= limit:
        return
    columns = sorted(plan.request.columns, key=lambda c: -plan.levels.get(c, 0))[:3]
    named = ", ".join(f"{printable(c)} (about {plan.levels.get(c, 0):,} levels)" for c in columns)
    raise TooManyCellsError(
        "the contingency tables would not fit in memory",
        where=f"columns with the most levels: {named}",
        expected=f"at most {size(limit)} (half of the free memory, or --memory-limit)",
        found=f"about {need / CELL_BYTES:,.0f} cells, {size(need)}, estimated from a sample",
        effect="nothing was read in full, nothing published",
        next=(f"{advice}, or " if advice else "")
        + "leave those columns out (columns=...), or count fewer pairs (target=..., groups=[...]), "
        "or bin them (bins={...}), or keep their most frequent levels only, the rest in one bucket "
        "(max_levels=...), or raise the memory limit",
    )


def treatment(plan: CountPlan, column: str) -> str:
    """Return in words how a column is treated."""
    rule = plan.rules.get(column)
    if rule is None or rule.method == "exact":
        if column not in plan.limits:
            return "exact"
        return f"the {plan.limits[column]:,} most frequent levels, the rest in one bucket"
    if rule.method == "edges":
        return f"{rule.bins} given intervals"
    if rule.method == "auto":
        kind = plan.request.types[plan.request.columns.index(column)]
        limit = AUTO_LIMIT["float" if pa.types.is_floating(kind) else "int"]
        few = f"exact up to {limit} distinct values, else {rule.bins} equal-frequency bins"
        kept = plan.limits.get(column, limit)
        return (
            few
            if kept >= limit
            else f"{few}; the {kept:,} most frequent of exact levels, the rest in one bucket"
        )
    word = "equal-frequency" if rule.method == "quantile" else "equal-width"
    return f"{rule.bins} {word} bins"
