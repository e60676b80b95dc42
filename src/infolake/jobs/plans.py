"""il.plan: what a job or a count will read, count and hold, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infolake.reduction.planning import Asked, CountPlan, plan_count


def plan(
    data: Any,
    groups: str | Sequence[Sequence[str]] = "pairs",
    *,
    columns: Sequence[str] | None = None,
    target: str | None = None,
    filters: Any = None,
    bins: Any = None,
    missing: str = "pairwise",
    weights: str | None = None,
    max_levels: int | Mapping[str, int] | None = None,
    rest: str = "bucket",
) -> CountPlan:
    """Plan a count, or a job: footers and at most a bounded sample are read, never the data.

    Parameters
    ----------
    data : path of a job file (.yaml or .yml), or anything that ``il.count`` takes
    groups, columns, target, filters, bins, missing, weights, max_levels, rest
        As in ``il.count``; a job file says them itself.

    Returns
    -------
    CountPlan
        Prints what will be read, counted and held.

    Examples
    --------
    >>> import infolake as il, pandas as pd
    >>> plan = il.plan(pd.DataFrame({"x": ["a", "b"], "y": [True, False], "z": [1, 2]}))
    >>> plan.n_leaves, len(plan.request.groups)
    (1, 3)
    """
    if isinstance(data, str | Path) and Path(data).suffix in (".yaml", ".yml"):
        from infolake.jobs import run
        from infolake.jobs.job import load

        return run.plan(load(data))
    asked = Asked(groups, columns, target, filters, bins, missing, weights, max_levels, rest)
    return plan_count(data, asked, in_blocks=True)
