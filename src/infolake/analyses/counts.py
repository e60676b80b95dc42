"""il.count: joint counts of groups of columns, computed at once or left to Dask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infolake.reduction import cluster, planning, sharded
from infolake.reduction.counting import lazy_counts, lazy_edges, lazy_partial
from infolake.reduction.planning import Asked, CountPlan, plan_count
from infolake.summaries.joint_counts import JointCounts

if TYPE_CHECKING:
    from infolake.reduction.graph import LazyCounts
    from infolake.summaries.partial import Partial


def count(
    data: Any,
    groups: str | Sequence[Sequence[str]] = "pairs",
    *,
    columns: Sequence[str] | None = None,
    target: str | None = None,
    filters: Any = None,
    bins: Any = None,
    missing: str = "pairwise",
    weights: str | None = None,
    compute: bool = True,
    max_levels: int | Mapping[str, int] | None = None,
    rest: str = "bucket",
) -> JointCounts | LazyCounts:
    """Count how often the levels of groups of columns occur together.

    Parameters
    ----------
    data : path, URL, glob, list of them, frame, table, dataset
        Parquet, CSV, JSON lines, ORC or Feather files; a pandas, Polars or Dask frame; a pyarrow Table or
        Dataset. Hive folders (``year=2013/``) give columns.
    groups : "pairs", "columns" or list of tuples of column names
        What is counted together; tuples may hold 1, 2, 3 or more columns.
    columns : list of str, optional
        Columns to count; default all.
    target : str, optional
        With "pairs": only the pairs (x, target).
    filters : list of tuples, optional
        ``[("year", ">", 2012), ...]`` (all must hold), or a list of such lists (any). Hive keys prune files;
        all else filters decoded rows.
    bins : None, int, "exact" or dict
        Treatment of columns of numbers; see the README. ``None``: floats with more than 16 and integers with
        more than 256 distinct values get 16 equal-frequency bins; all else is exact.
    missing : {"pairwise", "listwise", "error"}
        Keep missing as a level; leave out rows with any missing value among the counted columns; or
        refuse it.
    weights : str, optional
        Column of non-negative weights; a row of weight w counts as w rows.
    max_levels : int or dict, optional
        Keep only so many levels of every column that is not binned, or {column: number}: the most frequent
        ones by an exact first pass, ties in the order of the levels. Missing is no level here: it always
        stays. A column that is named is not binned; one with no more levels is exact.
    rest : {"bucket"}
        Where the rows of all other levels of such a column go: one level more, whose label tells how many
        levels it holds. Scores then come with certified bounds; see ``il.score``.
    compute : bool
        False gives a lazy Dask collection.

    Returns
    -------
    JointCounts, or LazyCounts with ``compute=False``

    Raises
    ------
    InfolakeError
        What is wrong, where, and what to do; see :mod:`infolake.errors`.

    Examples
    --------
    >>> import infolake as il, pandas as pd
    >>> frame = pd.DataFrame({"x": ["a", "a", "b", None], "y": [1, 1, 2, 2]})
    >>> counts = il.count(frame)
    >>> counts.table("x", "y").array.tolist()
    [[2, 0], [0, 1]]
    >>> il.count(frame, compute=False).compute() == counts
    True
    >>> il.count(pd.DataFrame({"x": list("aabbcd"), "y": [1, 2] * 3}), max_levels={"x": 2}).levels["x"]
    ('a', 'b', '(2 other levels)')
    """
    plan = plan_count(data, Asked(groups, columns, target, filters, bins, missing, weights, max_levels, rest))
    return computed(plan) if compute else lazy_counts(plan)


def held_or_large(plan: CountPlan) -> tuple[JointCounts | None, list[CountPlan]]:
    """Count a Dask frame, of whose levels nothing is known before: in one scan, as long as tables stay small.

    Returns
    -------
    counts : JointCounts or None
        Of the groups of few cells; None where there is none.
    large : list of CountPlan
        One for each other group, which the scan gave up: rows and bin edges are known now.
    """
    found: Partial = cluster.compute(lazy_partial(plan, planning.SHARD_ABOVE))
    if not found.dropped:
        return found.counts, []
    settled = sharded.found_large(plan, found.counts)
    numbers = [settled.request.group_numbers(g) for g in range(len(settled.request.groups))]
    large = [g for g, members in enumerate(numbers) if members in found.dropped]
    counts = found.counts if len(found.counts.request.groups) else None
    return counts, [settled.of_groups(g) for g in large]


def settled(plan: CountPlan) -> tuple[CountPlan, int]:
    """Return a plan whose bin edges are known, and the passes that this took."""
    if not plan.first_pass.open:
        return plan, 0
    found, passes = cluster.compute(lazy_edges(plan))
    return plan.with_edges(found), passes


def computed(plan: CountPlan) -> JointCounts:
    """Return the counts of a plan, on the scheduler that Dask would choose."""
    found: JointCounts = cluster.compute(lazy_counts(plan))
    return found
