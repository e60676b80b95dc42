"""il.associations: which levels of two columns belong together, one row per cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from infolake.analyses.scores import check_missing, names_of, refuse_options
from infolake.analyses.sharded import COUNTS, Best, LargeListing, large_listing
from infolake.encoding.kept import level_limits
from infolake.errors import UsageError, nearest
from infolake.measures import catalogue
from infolake.summaries.joint_counts import JointCounts

if TYPE_CHECKING:
    import pandas as pd

    from infolake.reduction.planning import CountPlan
    from infolake.summaries.ledger import Ledger
    from infolake.tables import TableBatch

MEASURES = ("pointwise_mutual_information", "normalized_pointwise_mutual_information")
FRAME_ROWS = 1 << 20
Array = np.ndarray[Any, Any]
Levels = list[tuple[Sequence[Any], Array]]  # per column: labels, and the label of each cell


def associations(
    data: Any,
    x: str,
    y: str,
    *,
    measures: str | Sequence[str] = MEASURES,
    base: float | str = 2,
    min_count: float = 1,
    top: int | None = None,
    sort_by: str | None = None,
    missing: str = "pairwise",
    filters: Any = None,
    bins: Any = None,
    weights: str | None = None,
    max_levels: int | Mapping[str, int] | None = None,
    rest: str = "bucket",
) -> pd.DataFrame:
    """Return how strongly each level of ``x`` goes with each level of ``y``.

    Parameters
    ----------
    data : JointCounts, or anything that ``il.count`` takes
        Joint counts are not counted again. Very many cells are counted in shards, as in ``il.score``.
    x, y : str
        Two columns.
    measures : list of str
        Measures of cells, by name or short name.
    base : 2, "e" or 10
        Bits, nats or hartleys.
    min_count : number
        Leave out cells with a smaller count; marginals stay those of the whole table.
    top : int, optional
        Only the first so many rows.
    sort_by : str, optional
        A measure, or "count"; default the first measure. Best first, ties in the order of the levels.
    missing, filters, bins, weights, max_levels, rest
        As in ``il.score``. Cells of kept levels are those of all levels; a bucket of rarer ones is listed as
        one level, under a label that tells how many it holds.

    Returns
    -------
    pandas.DataFrame
        A row per cell that holds rows: ``x``'s level, ``y``'s level, ``count``, ``count_x``, ``count_y``
        and a column per measure. A data column that bears one of these names gets the suffix ``_level``.

    Examples
    --------
    >>> import infolake as il, pandas as pd
    >>> frame = pd.DataFrame({"who": ["a", "a", "b", "b"], "what": ["p", "p", "p", "q"]})
    >>> il.associations(frame, "who", "what", measures=["pmi"])
      who what  count  count_x  count_y  pointwise_mutual_information
    0   b    q      1        2        1                      1.000000
    1   a    p      2        2        3                      0.415037
    2   b    p      1        2        3                     -0.584963
    """
    asked = Asked(pair=(x, y), measures=measures, base=base, min_count=min_count, top=top, sort_by=sort_by)
    level_limits(None, rest, {})
    options = {"filters": filters, "bins": bins, "weights": weights, "max_levels": max_levels}
    return next(frames_of(_listing(data, asked, missing, options), asked))


def association_frames(
    data: Any, x: str, y: str, *, rows: int = FRAME_ROWS, missing: str = "pairwise", **options: Any
) -> Iterator[pd.DataFrame]:
    """Yield what ``il.associations`` returns in frames of at most ``rows`` rows, one at least.

    No frame of all cells is made, so that many millions of them can be written one after another.
    """
    counting = {name: options.pop(name, None) for name in ("filters", "bins", "weights", "max_levels")}
    level_limits(None, options.pop("rest", "bucket"), {})
    asked = Asked(pair=(x, y), **options)
    return frames_of(_listing(data, asked, missing, counting), asked, rows)


@dataclass(frozen=True)
class Asked:
    """Which cells of which pair are listed, and what is said of each; see :func:`associations`."""

    pair: tuple[str, str]
    measures: str | Sequence[str] = MEASURES
    base: float | str = 2
    min_count: float = 1
    top: int | None = None
    sort_by: str | None = None

    def __post_init__(self) -> None:
        catalogue.log_base(self.base)
        if isinstance(self.min_count, bool) or not isinstance(self.min_count, (int, float, np.number)):
            raise UsageError("min_count is a number", found=repr(self.min_count)[:120])
        x, y = self.pair
        if x == y:
            raise UsageError("associations need two different columns", found=f"{x!r} twice")

    @property
    def chosen(self) -> list[catalogue.Measure]:
        """The measures."""
        return cell_measures(self.measures)

    @property
    def best(self) -> Best:
        """Which cells are shown, and in which order."""
        top = None if self.top is None else _positive(self.top)
        return Best(self.min_count, top, _ranking(self.sort_by, self.chosen))

    @property
    def units(self) -> dict[str, str]:
        """The unit of each measure."""
        unit = catalogue.unit_name(self.base)
        return {m.name: unit if m.unit == "information" else "" for m in self.chosen}


def frames_of(
    listing: Listing | LargeListing, asked: Asked, rows: int | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the cells of a listing in frames of at most ``rows`` rows, one at least; by default in one."""
    values = {m.name: m.evaluate(listing.batch, base=asked.base) for m in asked.chosen}
    n = len(listing.shown)
    for start in range(0, max(n, 1), rows or max(n, 1)):
        frame = _frame(listing, asked.pair, values, slice(start, start + (rows or n)))
        frame.attrs["units"] = asked.units
        yield frame


def cell_measures(names: str | Sequence[str]) -> list[catalogue.Measure]:
    """Return measures of cells by name; UsageError for others."""
    names = names_of(names)
    found = list({m.name: m for m in (catalogue.get(n, per_cell=True) for n in names)}.values())
    if not found:
        raise UsageError("no measures to compute", next="see il.measures()")
    return found


def _positive(top: int) -> int:
    if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or top < 0:
        raise UsageError("top is a number of rows", found=repr(top))
    return int(top)


@dataclass(frozen=True, eq=False)
class Listing:
    """Cells of a table, in the order of their levels, and which of them are shown, best first."""

    batch: TableBatch
    levels: tuple[tuple[Any, ...], ...]
    shown: Array
    ledger: Ledger

    @classmethod
    def of(cls, counts: JointCounts, asked: Asked, missing: str) -> Listing:
        """Return the listing of a pair that was counted; missing is read as "pairwise" or "level"."""
        table = counts.table(*asked.pair, missing=missing if missing == "level" else "pairwise")
        batch, best = table.batch(), asked.best
        order = best.order(batch)
        shown = order[batch.cells[order] >= best.min_count][: best.top]
        return cls(batch, table.levels, shown, counts.ledger)

    def levels_of(self, cells: Array) -> Levels:
        """Return per column its labels, and which of them each of some cells has."""
        codes = (self.batch.rows[cells], self.batch.cols[cells])
        return list(zip(self.levels, codes, strict=True))


def _listing(data: Any, asked: Asked, missing: str, options: dict[str, Any]) -> Listing | LargeListing:
    """Return the cells to list of what is counted already, or not yet."""
    _ = asked.best  # what makes no sense is refused before anything is read
    check_missing(missing)
    if isinstance(data, JointCounts):
        refuse_options(data, missing, options)
        return Listing.of(data, asked, missing)
    from infolake.reduction import planning

    counting = "pairwise" if missing == "level" else missing
    plan = planning.plan_count(
        data, planning.Asked([asked.pair], missing=counting, **options), in_blocks=True
    )
    if plan.frame is not None and plan.separable:
        return _of_frame(plan, asked, missing)
    check_listed(plan, asked)
    return listed(plan, asked, missing)


def _of_frame(plan: CountPlan, asked: Asked, missing: str) -> Listing | LargeListing:
    """List the cells that one scan of a Dask frame counts, or, where there are too many, another one."""
    from infolake.analyses.counts import held_or_large

    counts, large = held_or_large(plan)
    if counts is not None:
        return Listing.of(counts, asked, missing)
    check_listed(large[0], asked)
    return listed(large[0], asked, missing)


def check_listed(plan: CountPlan, asked: Asked) -> None:
    """Raise TooManyCellsError where all cells of a large table are wanted, and would not fit in memory."""
    from infolake.reduction.planning import check_size

    if plan.large.any() and asked.best.top is None and asked.min_count <= 1:
        check_size(plan, "set top or min_count")


def listed(plan: CountPlan, asked: Asked, missing: str) -> Listing | LargeListing:
    """Count the pair of a plan and list its cells; in shards, where its table would be too large."""
    from infolake.analyses.counts import computed

    if plan.large.any():
        return large_listing(plan, asked.pair, asked.best, level=missing == "level")
    return Listing.of(computed(plan), asked, missing)


def _frame(
    listing: Listing | LargeListing, pair: tuple[str, str], values: dict[str, Array], rows: slice
) -> pd.DataFrame:
    import pandas as pd

    batch, shown = listing.batch, listing.shown[rows]
    names = _level_names(pair, {*COUNTS, *values})
    sides = zip(names, listing.levels_of(shown), strict=True)
    columns: dict[str, Any] = {name: _labels(labels, codes) for name, (labels, codes) in sides}
    columns |= {
        "count": batch.cells[shown],
        "count_x": batch.row_margins[batch.rows[shown]],
        "count_y": batch.col_margins[batch.cols[shown]],
    }
    return pd.DataFrame(columns | {name: found[shown] for name, found in values.items()})


def _level_names(columns: Sequence[str], taken: set[str]) -> list[str]:
    """Return the columns' names, with the suffix ``_level`` (more than one, if need be) where taken."""
    free = {c for c in columns if c not in taken}
    names = []
    for column in columns:
        name = column
        while name in taken or (name != column and name in free):
            name += "_level"
        names.append(name)
    return names


def _labels(levels: Sequence[Any], codes: Array) -> Any:
    """Return a column of levels; integers beside missing stay integers."""
    import pandas as pd

    known = [v for v in levels if v is not None]
    whole = known and all(isinstance(v, int) and not isinstance(v, bool) for v in known)
    kind = _integers(min(known), max(known)) if whole and len(known) < len(levels) else None
    return pd.Series(list(levels), dtype=kind).take(codes).reset_index(drop=True)


def _integers(low: int, high: int) -> Any:
    """Return the pandas type that holds integers from ``low`` to ``high`` beside missing, exactly."""
    if low >= -(2**63) and high < 2**63:
        return "Int64"
    return "UInt64" if low >= 0 and high < 2**64 else object


def _ranking(sort_by: str | None, measures: list[catalogue.Measure]) -> str:
    """Return what ranks the cells: a measure that is asked for, or a count."""
    if sort_by in COUNTS:
        return str(sort_by)
    measure = measures[0] if sort_by is None else catalogue.get(sort_by, per_cell=True)
    if measure not in measures:
        known = [*COUNTS, *(m.name for m in measures)]
        raise UsageError(
            f"cannot sort by {sort_by!r}: {nearest(str(sort_by), known)}", next="add it to measures"
        )
    return measure.name
