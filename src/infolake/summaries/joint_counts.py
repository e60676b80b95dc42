"""JointCounts: how often the levels of groups of columns occur together. It adds and subtracts."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from infolake.encoding.kept import Kept
from infolake.encoding.levels import Levels, union
from infolake.errors import CountOverflowError, LedgerError, UnknownColumnError, UsageError
from infolake.summaries.cells import (
    COUNT,
    Array,
    Channel,
    Layout,
    Sparse,
    aligned,
    amounts,
    effective_numbers,
    grouped,
    layout,
    realigned,
    settle,
    to_dense,
    to_sparse,
)
from infolake.summaries.exact import BASE_BITS
from infolake.summaries.ledger import Ledger
from infolake.summaries.request import NOT_KEPT, Request

if TYPE_CHECKING:
    from os import PathLike

    from infolake.summaries.pair_tables import PairTables, StrataTables
    from infolake.tables import ContingencyTable

LIMIT = 2**63 - 1
BUCKET_SLACK = 2**-32  # sums of weights are rounded in another order


@dataclass(frozen=True, eq=False)
class JointCounts:
    """Counts of groups of columns over any number of partitions.

    ``a + b`` counts the rows of both; ``(a + b) - b == a``; splitting the data anyhow and adding gives
    the same value. Canonical form holds only levels with a non-zero count. Neither operand of ``+``
    is changed.

    Parameters
    ----------
    request : Request
        What was counted.
    level_sets : tuple of Levels
        Levels of each column.
    channels : tuple of (name, exponent)
        What the rows of the value arrays hold.
    dense : ndarray of int64, shape (channels, cells)
        The cells of all dense groups, one group after another.
    sparse : dict of int to Sparse
        The cells of the other groups.
    ledger : Ledger

    Examples
    --------
    >>> import infolake as il, pandas as pd
    >>> counts = il.count(pd.DataFrame({"x": ["a", "a", "b"], "y": [1, 2, 2]}))
    >>> counts.groups, counts.levels["x"], counts.n_rows
    ((('x', 'y'),), ('a', 'b'), 3)
    >>> (counts + counts - counts) == counts
    True
    """

    request: Request
    level_sets: tuple[Levels, ...]
    channels: tuple[Channel, ...]
    dense: Array
    sparse: dict[int, Sparse]
    ledger: Ledger

    @classmethod
    def zero(cls, request: Request) -> JointCounts:
        """Return the counts of no rows."""
        import pyarrow as pa

        columns = zip(request.types, request.edges, request.kept_levels, strict=True)
        levels = tuple(
            Levels(pa.array([], t if e is None and k is None else pa.int32()), edges=e, kept=k)
            for t, e, k in columns
        )
        channels = COUNT if request.integer_weights else ()
        return cls(request, levels, channels, np.zeros((len(channels), 0), np.int64), {}, Ledger())

    # -- what it holds

    @property
    def fingerprint(self) -> str:
        """Digest of what was counted, not of the data."""
        return self.request.fingerprint

    @property
    def columns(self) -> tuple[str, ...]:
        """Counted columns, in schema order."""
        return self.request.columns

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Counted groups, as tuples of column names."""
        return tuple(self.request.group_names(g) for g in range(len(self.request.groups)))

    @cached_property
    def levels(self) -> dict[str, tuple[Any, ...]]:
        """Levels of each column, missing (None) last; intervals and the bucket of rarer levels as text."""
        return {c: s.labels for c, s in zip(self.columns, self.level_sets, strict=True)}

    @property
    def edges(self) -> dict[str, tuple[int | float, ...]]:
        """Bin edges of the binned columns."""
        return {c: e for c, e in zip(self.columns, self.request.edges, strict=True) if e is not None}

    @property
    def kept(self) -> dict[str, Kept]:
        """What ``max_levels`` kept of the columns it concerns; one without rarer levels is exact."""
        found = zip(self.columns, self.request.kept, strict=False)
        return {c: k for c, k in found if k is not None}

    @property
    def n_rows(self) -> int:
        """Rows counted."""
        return self.ledger.rows_counted

    @property
    def weighted(self) -> bool:
        """Whether rows carry weights."""
        return self.request.weights is not None

    @cached_property
    def layout(self) -> Layout:
        """Where each group's cells stand."""
        return layout(tuple(len(s) for s in self.level_sets), self.request.groups)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        cells = self.dense.nbytes + sum(s.nbytes for s in self.sparse.values())
        return int(cells + sum(s.nbytes for s in self.level_sets))

    def __sizeof__(self) -> int:
        return 1000 + self.nbytes

    def group_cells(self, group: int) -> Sparse:
        """Return the non-zero cells of a group, in row-major order."""
        if group in self.sparse:
            return self.sparse[group]
        sizes = self._sizes(group)
        if not self.layout.dense[group]:
            return Sparse(np.zeros((0, len(sizes)), np.int64), np.zeros((len(self.channels), 0), np.int64))
        start, end = self.layout.offsets[group : group + 2]
        return to_sparse(self.dense[:, start:end], sizes)

    def _sizes(self, group: int) -> Array:
        members = self.request.groups.index[group]
        sizes: Array = self.layout.sizes[members[members < len(self.columns)]]
        return sizes

    # -- laws

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, JointCounts):
            return NotImplemented
        return (
            self.fingerprint == other.fingerprint
            and self.level_sets == other.level_sets
            and self.channels == other.channels
            and self.ledger == other.ledger
            and np.array_equal(self.dense, other.dense)
            and self.sparse.keys() == other.sparse.keys()
            and all(s.equals(other.sparse[g]) for g, s in self.sparse.items())
        )

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: JointCounts) -> JointCounts:
        if not isinstance(other, JointCounts):
            return NotImplemented
        found = add([self, other])
        check_buckets(found)
        return found

    def __radd__(self, other: object) -> JointCounts:
        return self if other == 0 else NotImplemented

    def __sub__(self, other: JointCounts) -> JointCounts:
        if not isinstance(other, JointCounts):
            return NotImplemented
        _same_request([self, other])
        negative = replace(
            other, dense=-other.dense, sparse=_negated(other.sparse), ledger=Ledger() - other.ledger
        )
        found = trimmed(_merged([self, negative]))
        _check_not_negative(found)
        return found

    def check(self, where: str = "counts") -> None:
        """Raise LedgerError unless every row is accounted for and every group counts every row."""
        self.ledger.check(where)
        totals = self._group_totals()
        bad = [g for g, found in enumerate(totals) if found != self.total]
        if bad:
            raise LedgerError(
                "internal: the cells of a group do not sum to the rows counted",
                where=f"{where}, group {self.request.group_names(bad[0])}",
                expected=str(self.total),
                found=str(totals[bad[0]]),
                effect="nothing published",
            )

    @cached_property
    def total(self) -> int:
        """What every group's cells sum to: rows, or the sum of weights in units of the lowest digit."""
        if not self.weighted:
            return self.ledger.rows_counted
        return self._group_totals()[0] if len(self.request.groups) else 0

    @property
    def unit(self) -> int:
        """Exponent of the lowest digit of the counts: 0 for rows and integer weights."""
        return min((e for n, e in self.channels if n != "square"), default=0)

    def _group_totals(self) -> list[int]:
        """Return the exact sum of each group's cells, in units of the lowest exponent of its channel."""
        names = [i for i, (n, _) in enumerate(self.channels) if n != "square"]
        totals = [0] * len(self.request.groups)
        for i in names:
            shift = BASE_BITS * (self.channels[i][1] - self.unit)
            for group, value in enumerate(self._channel_totals(i)):
                totals[group] += value << shift
        return totals

    def _channel_totals(self, channel: int) -> list[int]:
        running = np.concatenate([[0], np.cumsum(self.dense[channel])])
        sums: list[int] = np.diff(running[self.layout.offsets]).tolist()
        for group, part in self.sparse.items():
            sums[group] = int(part.values[channel].sum())
        return sums

    # -- tables

    def table(self, *columns: str, missing: str = "pairwise") -> ContingencyTable:
        """Return the contingency table of ``columns``, in the order given.

        Parameters
        ----------
        *columns : str
            Columns that stand together in a counted group; fewer columns marginalize it.
        missing : {"pairwise", "level"}
            Leave out the rows that miss any of ``columns``, or show missing as a level (None, last).

        Raises
        ------
        UnknownColumnError
            A column that was not counted, or columns that were not counted together.
        """
        from infolake.tables import ContingencyTable

        check_policy(missing)
        if not columns:
            raise UsageError("a table needs columns", expected=f"one or more of {list(self.columns)}"[:300])
        numbers = [self.request.number(c) for c in columns]
        part = self._marginal(numbers)
        sizes = self.layout.sizes[numbers]
        levels = [self.level_sets[c] for c in numbers]
        labels = [s.labels for s in levels]
        if missing == "pairwise":
            part = _without_missing(part, levels)
            labels = [label[: len(s.values)] for label, s in zip(labels, levels, strict=True)]
        part = grouped(part.codes, part.values, sizes)
        counts = amounts(self.channels, part.values)
        return ContingencyTable.from_cells(
            tuple(part.codes.T), counts, levels=labels, columns=columns, n_effective=self._effective(part)
        )

    def _effective(self, part: Sparse) -> float | None:
        """Return Kish's effective number of rows of all cells together, where rows carry weights."""
        if not self.weighted:
            return None
        sums = part.values.sum(axis=1, keepdims=True)
        return float(effective_numbers(self.channels, sums)[0])

    def _marginal(self, numbers: list[int]) -> Sparse:
        group = self.group_of(numbers)
        members = self.request.groups.index[group].tolist()
        part = self.group_cells(group)
        return Sparse(part.codes[:, [members.index(c) for c in numbers]], part.values)

    def group_of(self, numbers: Sequence[int]) -> int:
        """Return the smallest counted group that holds all the columns ``numbers``."""
        index = self.request.groups.index
        holds = np.ones(len(index), bool)
        for number in numbers:
            holds &= (index == number).any(axis=1)
        found = np.flatnonzero(holds)
        if len(found) == 0 or len(set(numbers)) < len(numbers):
            names = ", ".join(repr(self.columns[n]) for n in numbers)
            raise UnknownColumnError(
                f"the columns {names} were not counted together",
                expected="distinct columns of one counted group",
                found=f"{len(index)} groups such as {self.groups[:3]}" if len(index) else "no groups",
                next=f"count again with groups=[(...)] that holds them; {NOT_KEPT}",
            )
        lengths = (index[found] < len(self.columns)).sum(axis=1)
        return int(found[np.argmin(lengths)])

    def batch(self, pairs: Sequence[tuple[str, str]] | Array, missing: str = "pairwise") -> PairTables:
        """Return the tables of many pairs of columns (names or numbers); see :class:`PairTables`."""
        from infolake.summaries.pair_tables import pair_tables

        check_policy(missing)
        return pair_tables(self, pairs, missing)

    def strata(
        self, pairs: Sequence[tuple[str, str]], given: Sequence[str], missing: str = "pairwise"
    ) -> StrataTables:
        """Return the tables of pairs within each level of ``given``; see :class:`StrataTables`."""
        from infolake.summaries.pair_tables import strata_tables

        check_policy(missing)
        return strata_tables(self, pairs, given, missing)

    # -- slices

    def marginal(self, wanted: str | Sequence[str] | Sequence[Sequence[str]]) -> JointCounts:
        """Return the counts of fewer columns, or of fewer or narrower groups, without a scan.

        Parameters
        ----------
        wanted : str, list of str, or list of tuples of str
            Names: the columns that stay; every group is summed over the others. Tuples: the groups, each
            within a counted one.

        Raises
        ------
        UnknownColumnError
            Columns that were not counted (together).
        UsageError
            Counts made with ``missing="listwise"``, whose left-out rows depend on the columns that go.

        Examples
        --------
        >>> import infolake as il, pandas as pd
        >>> frame = pd.DataFrame({"x": [0, 0, 1], "y": [0, 1, 1], "z": [0, 0, 1]})
        >>> il.count(frame).marginal(["x", "y"]) == il.count(frame[["x", "y"]])
        True
        """
        from infolake.summaries import slices

        return slices.marginal(self, wanted)

    def where(self, column: str, levels: Any, *, strict: bool = True) -> JointCounts:
        """Return the counts of the rows at some levels of a column, without a scan.

        Only the groups that hold the column remain: the others do not know its levels.

        Parameters
        ----------
        column : str
        levels : a level or a list of levels
            As in ``counts.levels``; None is missing.
        strict : bool
            Whether a level that does not occur is an error; else it has no rows.

        Raises
        ------
        UsageError
            Weighted counts (they do not say how many rows a level has), or unknown levels.

        Examples
        --------
        >>> import infolake as il, pandas as pd
        >>> frame = pd.DataFrame({"x": [0, 0, 1], "y": [0, 1, 1]})
        >>> il.count(frame).where("y", 1).table("x").array
        array([1, 1])
        """
        from infolake.summaries import slices

        return slices.where(self, column, levels, strict=strict)

    def drop_levels(self, column: str, levels: Any, *, strict: bool = True) -> JointCounts:
        """Return the counts of the rows at all other levels; as :meth:`where`.

        Examples
        --------
        >>> import infolake as il, pandas as pd
        >>> il.count(pd.DataFrame({"x": [0, 0, 1], "y": [0, 1, 2]})).drop_levels("y", [0]).n_rows
        2
        """
        from infolake.summaries import slices

        return slices.drop_levels(self, column, levels, strict=strict)

    def merge_levels(self, column: str, merged: Mapping[Any, Any], *, strict: bool = True) -> JointCounts:
        """Return the counts with levels of a column merged, without a scan.

        Parameters
        ----------
        column : str
            A column that is not binned.
        merged : dict
            New level -> the old levels that become it. A new level is of the column's type, or None
            (missing), or an old level, which then stays.
        strict : bool
            Whether an old level that does not occur is an error.

        Examples
        --------
        >>> import infolake as il, pandas as pd
        >>> counts = il.count(pd.DataFrame({"x": ["a", "b", "c"], "y": [0, 1, 1]}))
        >>> counts.merge_levels("x", {"other": ["b", "c"]}).table("x", "y").to_frame().loc["other", 1].item()
        2
        """
        from infolake.summaries import slices

        return slices.merge_levels(self, column, merged, strict=strict)

    def coarsen(
        self, column: str, bins: int | Sequence[float] | None = None, *, every: int | None = None
    ) -> JointCounts:
        """Return the counts with wider bins of a binned column, without a scan.

        Parameters
        ----------
        column : str
        bins : int or list of numbers, optional
            How many bins remain (as even in number of old bins as can be), or which edges.
        every : int, optional
            Join so many neighbours; the last bin may hold fewer.

        Examples
        --------
        >>> import infolake as il, pandas as pd
        >>> frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "y": [0, 1, 1, 0]})
        >>> counts = il.count(frame, bins={"x": [0, 1, 2, 4]})
        >>> counts.coarsen("x", every=2).levels["x"]
        ('[0, 2)', '[2, 4]')
        """
        from infolake.summaries import slices

        return slices.coarsen(self, column, bins, every=every)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the counts to a new folder (Parquet and JSON); equal counts are equal bytes."""
        from infolake.summaries.storage import save

        save(self, path)

    def __repr__(self) -> str:
        groups = self.request.groups
        shown = ", ".join(
            f"{c} ({len(s)})" for c, s in list(zip(self.columns, self.level_sets, strict=True))[:8]
        )
        more = f", and {len(self.columns) - 8} more" if len(self.columns) > 8 else ""
        return (
            f"<JointCounts of {self.n_rows:,} rows: {len(groups):,} groups of {len(self.columns):,} columns"
            f" (levels): {shown}{more}>"
        )

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(c)}</td><td>{len(s):,}</td><td>{'yes' if s.missing else 'no'}</td></tr>"
            for c, s in list(zip(self.columns, self.level_sets, strict=True))[:30]
        )
        head = f"<p>JointCounts: {self.n_rows:,} rows, {len(self.request.groups):,} groups</p>"
        return f"{head}<table><tr><th>column</th><th>levels</th><th>missing</th></tr>{rows}</table>"


def check_policy(missing: str) -> None:
    """Raise UsageError unless ``missing`` is a policy that can be read off counts."""
    if missing not in ("pairwise", "level"):
        raise UsageError(
            f"missing={missing!r} cannot be read off counts",
            expected='"pairwise" or "level"; "listwise" and "error" are decided when counting',
        )


def add(parts: Sequence[JointCounts]) -> JointCounts:
    """Add any number of counts of the same request.

    Raises
    ------
    UsageError
        Counts of different requests.
    CountOverflowError
        A total beyond 2**63 - 1.
    """
    _same_request(parts)
    _check_total(parts)
    return _merged(parts)


def check_buckets(counts: JointCounts) -> None:
    """Raise UsageError where a bucket holds more than the first pass saw of its levels in all rows.

    What stands in a bucket is known of the rows of one count only. Parts of them add; other rows, or the
    same ones twice, do not.
    """
    for column, levels in enumerate(counts.level_sets):
        if levels.rest < 0 or not (counts.request.groups.index == column).any():
            continue
        part = counts._marginal([column])
        held = part.values[:, part.codes[:, 0] == levels.rest]
        found = sum(amounts(counts.channels, held).tolist())
        assert levels.kept is not None
        if found > levels.kept.total * (1 + BUCKET_SLACK * counts.weighted):
            raise UsageError(
                f"the bucket of {counts.columns[column]!r} would hold rows of another count",
                expected=f"at most {levels.kept.total}, as the pass over this column saw",
                found=str(found),
                next="count all rows in one il.count(..., max_levels=...), or add counts without max_levels",
            )


def _same_request(parts: Sequence[JointCounts]) -> None:
    first = parts[0].request
    for part in parts[1:]:
        if part.fingerprint != first.fingerprint:
            mine, other = first.to_json(), part.request.to_json()
            differ = [k for k in mine | other if mine.get(k) != other.get(k)]
            raise UsageError(
                "counts of different things do not add",
                expected="equal " + ", ".join(differ),
                found="; ".join(f"{k}: {mine.get(k)!r} and {other.get(k)!r}"[:200] for k in differ),
            )


def _check_total(parts: Sequence[JointCounts]) -> None:
    limit = LIMIT if parts[0].request.integer_weights else sys.float_info.max
    total = sum((p.total * Fraction(2) ** (BASE_BITS * p.unit) for p in parts), Fraction())
    if total > limit:
        raise CountOverflowError(
            "a count would pass 2**63 - 1"
            if limit == LIMIT
            else "the weights sum to more than the largest float",
            expected=f"a total of at most {limit}",
            found=str(math.floor(total)),
        )


def _merged(parts: Sequence[JointCounts]) -> JointCounts:
    request = parts[0].request
    merges = [union([p.level_sets[c] for p in parts]) for c in range(len(request.columns))]
    levels = tuple(m[0] for m in merges)
    channels = _all_channels(parts)
    target = layout(tuple(len(s) for s in levels), request.groups)
    maps = [[m[1][i] for m in merges] for i in range(len(parts))]
    dense = np.zeros((len(channels), target.cells), np.int64)
    pieces: dict[int, list[Sparse]] = {}
    for part, codes in zip(parts, maps, strict=True):
        _add_dense(part, codes, channels, target, dense)
        for group, moved in _turned(part, codes, channels, target):
            if target.dense[group]:
                _place(moved, group, part, target, dense)
            elif len(moved.codes):
                pieces.setdefault(group, []).append(moved)
    sparse = {g: _joined(pieces[g], target, request, g) for g in sorted(pieces)}
    ledger = sum((p.ledger for p in parts), Ledger())
    channels, dense, sparse = settle(channels, dense, sparse)
    return JointCounts(
        request, levels, channels, dense, {g: s for g, s in sparse.items() if len(s.codes)}, ledger
    )


def _all_channels(parts: Sequence[JointCounts]) -> tuple[Channel, ...]:
    return tuple(sorted({c for p in parts for c in p.channels}))


def _add_dense(
    part: JointCounts, maps: list[Array], channels: tuple[Channel, ...], target: Layout, out: Array
) -> None:
    """Add the dense groups of ``part`` that stay dense."""
    own = part.layout
    if own is target or np.array_equal(own.sizes, target.sizes):
        out += aligned(part.dense, part.channels, channels)
        return
    _realign(part, maps, channels, target, out)


def _realign(
    part: JointCounts, maps: list[Array], channels: tuple[Channel, ...], target: Layout, out: Array
) -> None:
    own = part.layout
    chosen = np.flatnonzero(own.dense & target.dense & (np.diff(own.offsets) > 0))
    values = aligned(part.dense, part.channels, channels)
    realigned(
        (values, own.offsets[chosen], own.sizes),
        part.request.groups.index[chosen],
        maps,
        (out, target.offsets[chosen], target.sizes),
    )


def _moved(part: JointCounts, group: int, maps: list[Array], channels: tuple[Channel, ...]) -> Sparse:
    """Return the cells of a group under new codes."""
    found = part.group_cells(group)
    members = [c for c in part.request.groups.index[group].tolist() if c < len(maps)]
    codes = np.stack([maps[c][found.codes[:, i]] for i, c in enumerate(members)], axis=1)
    return Sparse(codes, aligned(found.values, part.channels, channels))


def _place(moved: Sparse, group: int, part: JointCounts, target: Layout, out: Array) -> None:
    members = part.request.groups.index[group]
    sizes = target.sizes[members[members < len(part.columns)]]
    start, end = target.offsets[group : group + 2]
    out[:, start:end] += to_dense(moved, sizes)


def _turned(
    part: JointCounts, maps: list[Array], channels: tuple[Channel, ...], target: Layout
) -> Iterator[tuple[int, Sparse]]:
    """Yield the sparse groups, and the dense ones that turn sparse, under new codes."""
    turned = np.flatnonzero(part.layout.dense & ~target.dense).tolist()
    for group in sorted({*part.sparse, *turned}):
        yield group, _moved(part, group, maps, channels)


def _joined(pieces: list[Sparse], target: Layout, request: Request, group: int) -> Sparse:
    members = request.groups.index[group]
    sizes = target.sizes[members[members < len(request.columns)]]
    codes = np.concatenate([p.codes for p in pieces])
    return grouped(codes, np.concatenate([p.values for p in pieces], axis=1), sizes)


def _negated(sparse: dict[int, Sparse]) -> dict[int, Sparse]:
    return {g: Sparse(s.codes, -s.values) for g, s in sparse.items()}


def _check_not_negative(counts: JointCounts) -> None:
    lowest = min([counts.dense.min(initial=0), *(s.values.min(initial=0) for s in counts.sparse.values())])
    if lowest < 0 or min(counts.ledger.values) < 0:
        raise UsageError(
            "the counts to subtract hold rows that these counts do not",
            expected="counts of a part of the same rows",
        )


def _without_missing(part: Sparse, levels: Sequence[Levels]) -> Sparse:
    kept = np.ones(len(part.codes), bool)
    for axis, column in enumerate(levels):
        if column.missing:
            kept &= part.codes[:, axis] < len(column.values)
    return Sparse(part.codes[kept], part.values[:, kept])


def trimmed(counts: JointCounts) -> JointCounts:
    """Return canonical counts: levels without a count are dropped."""
    used = [_used(counts, c) for c in range(len(counts.columns))]
    if all(u.all() for u in used):
        return counts
    maps = [np.where(u, np.cumsum(u) - 1, 0) for u in used]
    levels = tuple(s.take(np.flatnonzero(u)) for s, u in zip(counts.level_sets, used, strict=True))
    target = layout(tuple(len(s) for s in levels), counts.request.groups)
    dense = np.zeros((len(counts.channels), target.cells), np.int64)
    sparse = {}
    for group in range(len(counts.request.groups)):
        moved = _moved(counts, group, maps, counts.channels)
        if target.dense[group]:
            _place(moved, group, counts, target, dense)
        elif len(moved.codes):
            sparse[group] = moved
    return replace(counts, level_sets=levels, dense=dense, sparse=sparse)


def _used(counts: JointCounts, column: int) -> Array:
    """Return which levels of a column occur, read off its smallest group."""
    if not (counts.request.groups.index == column).any():
        return np.ones(len(counts.level_sets[column]), bool)
    part = counts._marginal([column])
    used = np.zeros(len(counts.level_sets[column]), bool)
    used[part.codes[:, 0]] = True
    return used
