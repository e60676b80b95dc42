r"""Certified intervals: what a score over all levels can be, read off a table with buckets.

Exact counting would know columns X and Y. Counts with ``max_levels`` know X' and Y', where the levels of
a bucket B are one level. a_B is the row total of X's bucket, b_B the column total of Y's, d the cell where
both meet, N the total; alpha = a_B / N, beta = b_B / N. The pass that chose the kept levels saw every
level, and left **caps** c_1 >= c_2 >= ...: the counts of the levels in the bucket over all rows. A cell of
m rows (a_B, d, or one cell of the bucket's row) holds some of each level, at most its cap.

**Entropy of m rows in a bucket.** Of all vectors 0 <= c' <= c with sum m, the one that fills the largest
caps first majorizes all others, and min(c, t) with sum m (filled like water) is majorized by all. Entropy
is Schur-concave (Marshall, Olkin & Arnold 2011, Inequalities, ch. 3), so that

    lo(m) = H(largest first) <= H(X | the cell) <= hi(m) = min(H(water), ln m)

with ln m for counts only: m rows show at most m levels. Where no row of the bucket is left out for a
missing value on the other side, m is the sum of the caps and lo = hi: H(X) is known exactly.

**Entropies.** By the chain rule (Cover & Thomas 2006, th. 2.2.1), X' being a function of X:

    H(X) = H(X') + alpha H(X|B)        H(X,Y) = H(X',Y') + D

D is the sum of n/N H(X,Y | the cell) over the cells of either bucket; each lies between lo and hi of the
side that is merged there, in the cell d between the larger lo and the sum of both hi. Also
D <= alpha H(X|B) + beta H(Y|B).

**MI from below.** Merging levels cannot raise it (data processing, th. 2.8.1): I(X';Y') <= I(X;Y). More
exactly, I(X;Y) = I(X';Y') + beta I(X';Y|Y in B) + alpha I(X;Y|X in B), and the same with X and Y
swapped. Within a bucket, a level seen c times shows at most c levels of the other side (counts only), of
K that the bucket shows: H(Y|X, X in B) <= sum of c'/a_B ln min(c, K), at most with the largest caps
filled first. So I(X;Y|X in B) is at least H(Y|X in B) less that: all of H(Y|B) where every rare level
was seen once. And I(X;Y) = H(X) + H(Y) - H(X,Y), with the largest D.

**MI from above.** In the same chain, I(X';Y|Y in B) <= min(H(Y|B), H(X'|Y in B)) and
I(X;Y|X in B) <= min(H(X|B), H(Y|X in B)): it adds the bucket's share times what it hides, nothing where
the share is 0. Also H(X) + H(Y) - H(X,Y) with the smallest D, H(X), and H(Y).

**Given other columns**, all this holds within each stratum, and the strata are averaged as the scores
are. In the stratum that is a bucket of the conditioning column, conditioning on what is hidden can only
lower entropies: H(X|Z) lies between 0 and the stratum's own upper bound, and I between 0 and the smaller
of those of H(X) and H(Y).

**The measures** that are functions of these grow or fall in each of them, so that their ends are those of
the ends. With every marginal known exactly, so is E[I], and AMI is bounded too. The others (chi squared,
p-values, pair counts, ...) and the other estimators of entropy have no certificate: NaN. A table
without a bucket is exact: its ends are the score.

**Rounding.** Entropies and MI are taken to be right to 2**-47 (1 + ln(N / the smallest count)), and their
intervals are widened by this; the last quotient by 2**-50 of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.encoding.kept import Kept
from infolake.measures import estimators, numerics
from infolake.measures.catalogue import Measure, Tables, Values, log_base
from infolake.measures.information import empty, entropy_of, equivocation, mutual, pooled
from infolake.measures.intervals import _average
from infolake.tables import Strata, TableBatch

ERROR = 2.0**-47
ROUNDING = 2.0**-50
EXPECTED_ERROR = 2.0**-40  # of E[I], whose sum over hypergeometric cells is long
Array = NDArray[Any]
Ends = tuple[Values, Values]


class Caps:
    """How many rows the levels of a bucket can have at most, in classes of equal caps.

    Parameters
    ----------
    kept : Kept

    Examples
    --------
    >>> caps = Caps(Kept(1, "", None, np.array([2, 1]), np.array([1, 2])))
    >>> caps.lowest(np.array([2.0, 4.0])).round(4), caps.highest(np.array([2.0, 4.0])).round(4)
    (array([0.    , 1.0397]), array([0.6931, 1.0397]))
    """

    def __init__(self, kept: Kept) -> None:
        self.whole = kept.counts.dtype.kind == "i"
        self.caps = kept.counts.astype(np.float64)
        self.times = kept.times.astype(np.float64)
        self.n_levels = int(kept.times.sum())
        self.total = float(kept.total)
        rows, logs = self.caps * self.times, _x_log_x(self.caps) * self.times
        self.rows_above, self.logs_above = (_running(v) for v in (rows, logs))
        self.levels_above = np.cumsum(self.times)
        self.rows_below, self.logs_below = (_running(v[::-1])[-2::-1] for v in (rows, logs))

    def lowest(self, rows: Values) -> Values:
        """Return the least entropy of so many rows: the largest caps are filled first; 0 for no rows."""
        place, left = self._filled(rows)
        full = np.minimum(np.floor(left / self.caps[place]), self.times[place])
        rest = np.maximum(left - full * self.caps[place], 0.0)
        logs = self.logs_above[place] + full * _x_log_x(self.caps[place]) + _x_log_x(rest)
        return self._entropy(rows, logs)

    def highest(self, rows: Values) -> Values:
        """Return the largest entropy of so many rows: the caps are filled like water; 0 for no rows."""
        full = self.levels_above * self.caps + self.rows_below  # falls from class to class
        place = np.maximum(np.searchsorted(-full, -rows, side="right") - 1, 0)
        level = np.clip((rows - self.rows_below[place]) / self.levels_above[place], 0.0, self.caps[place])
        logs = self.levels_above[place] * _x_log_x(level) + self.logs_below[place]
        found = self._entropy(rows, logs)
        return np.minimum(found, np.log(np.maximum(rows, 1.0))) if self.whole else found

    def spread(self, rows: Values, levels: Values) -> Values:
        """Return the most that the sum of c ln min(cap, ``levels``) can be: what rare levels leave open."""
        if not self.whole:
            return np.full(len(rows), np.inf)
        large = np.searchsorted(-self.caps, -levels, side="right")
        head = self.rows_above[large]
        place, left = self._filled(rows)
        tail = self.logs_above[place] + left * np.log(self.caps[place]) - self.logs_above[large]
        within = np.minimum(rows, head) * np.log(np.maximum(levels, 1.0))
        found: Values = within + np.where(rows > head, np.maximum(tail, 0.0), 0.0)
        return found

    def _filled(self, rows: Values) -> tuple[Array, Values]:
        """Return the first class that is not filled, and the rows left for it."""
        place = np.searchsorted(self.rows_above[1:], rows, side="left")
        place = np.minimum(place, len(self.caps) - 1)
        return place, np.maximum(np.minimum(rows, self.total) - self.rows_above[place], 0.0)

    def _entropy(self, rows: Values, logs: Values) -> Values:
        if self.n_levels <= 1:
            return np.zeros(len(rows))
        safe = np.where(rows > 0, rows, 1.0)
        found = np.clip(np.log(safe) - logs / safe, 0.0, np.log(self.n_levels))
        return np.where(rows > 0, found, 0.0)


def _running(values: Values) -> Values:
    """Return 0 and the compensated sums of the first values."""
    high = low = 0.0
    sums = [0.0]
    for value in values.tolist():
        total = high + value
        part = total - high
        low += (high - (total - part)) + (value - part)
        high = total
        sums.append(high + low)
    return np.array(sums)


def _x_log_x(values: Values) -> Values:
    return values * np.log(np.where(values > 0, values, 1.0))


@dataclass(frozen=True, eq=False)
class Side:
    """The bucket of X, or of Y, in each table of a batch.

    Parameters
    ----------
    place : ndarray of int64, shape (B,)
        Row (or column) of the bucket in the table; -1 without one.
    caps : sequence of Caps
    which : ndarray of int64, shape (B,)
        The caps of each table's bucket.
    """

    place: Array
    caps: Sequence[Caps]
    which: Array

    def each(self, tables: Array) -> Iterator[tuple[Caps, Array]]:
        """Yield caps and the positions in ``tables`` (numbers of tables) that they concern."""
        which = np.where(self.place[tables] >= 0, self.which[tables], -1)
        order = np.argsort(which, kind="stable")
        bounds = np.searchsorted(which[order], np.arange(len(self.caps) + 1))
        for caps, start, stop in zip(self.caps, bounds[:-1], bounds[1:], strict=True):
            if stop > start:
                yield caps, order[start:stop]

    def hidden(self, tables: Array, rows: Values) -> Ends:
        """Return the least and the largest entropy of ``rows`` in the bucket of ``tables``; 0 without one."""
        low, high = np.zeros(len(rows)), np.zeros(len(rows))
        for caps, chosen in self.each(tables):
            low[chosen], high[chosen] = caps.lowest(rows[chosen]), caps.highest(rows[chosen])
        return low, high

    def spread(self, rows: Values, levels: Values) -> Values:
        """Return :meth:`Caps.spread` of the bucket of every table."""
        out = np.full(len(rows), np.inf)
        for caps, chosen in self.each(np.arange(len(rows))):
            out[chosen] = caps.spread(rows[chosen], levels[chosen])
        return out

    def n_levels(self) -> Values:
        """Return how many levels the bucket of each table holds."""
        out = np.zeros(len(self.place))
        for caps, chosen in self.each(np.arange(len(self.place))):
            out[chosen] = caps.n_levels
        return out

    def totals(self) -> Values:
        """Return the sum of the caps of each table's bucket."""
        out = np.zeros(len(self.place))
        for caps, chosen in self.each(np.arange(len(self.place))):
            out[chosen] = caps.total
        return out


@dataclass(frozen=True, eq=False)
class Buckets:
    """Where the buckets of a batch are.

    Parameters
    ----------
    x, y : Side
    hidden : ndarray of bool, shape (B,)
        Tables that are themselves the bucket of a conditioning column.
    """

    x: Side
    y: Side
    hidden: Array

    @property
    def touched(self) -> Array:
        """Tables that are not exact."""
        return (self.x.place >= 0) | (self.y.place >= 0) | self.hidden


@dataclass(frozen=True, eq=False)
class Parts:
    """Lower (or upper) ends in nats of what the measures are made of, shape (B,) each.

    Parameters
    ----------
    x, y, xy, i, y_given_x, x_given_y : ndarray of float64
        H(X), H(Y), H(X,Y), I(X;Y), H(Y|X), H(X|Y).
    """

    x: Values
    y: Values
    xy: Values
    i: Values
    y_given_x: Values
    x_given_y: Values


@dataclass(frozen=True, eq=False)
class Certificate:
    """What is certain of the tables, or groups of strata, of which some have a bucket.

    Parameters
    ----------
    tables : TableBatch or Strata
    buckets : Buckets
    """

    tables: Tables
    buckets: Buckets
    _memo: dict[str, Any] = field(default_factory=dict, repr=False)

    def interval(self, measure: Measure, values: Values, options: Mapping[str, Any]) -> Ends:
        """Return the ends between which exact counting puts a measure; NaN without a certificate.

        Parameters
        ----------
        measure : Measure
        values : ndarray of float64, shape (B,)
            The measure of the tables as they are: exact where there is no bucket.
        options : mapping
            Keywords of the measure, ``base`` and ``entropy`` among them.

        Returns
        -------
        tuple of ndarray
            Lower and upper ends, in the unit of the measure.
        """
        low, high = self._ends(measure, options)
        if measure.unit == "information":
            low, high = (v / log_base(options.get("base", 2)) for v in (low, high))
        low, high = low - ROUNDING * np.abs(low), high + ROUNDING * np.abs(high)
        touched = self.touched
        return np.where(touched, low, values), np.where(touched, high, values)

    def _ends(self, measure: Measure, options: Mapping[str, Any]) -> Ends:
        form = FORMS.get(measure.name)
        none = np.full(len(self.tables), np.nan)
        if form is None or estimators.get(options.get("entropy", "plug_in")).name != "plug_in":
            return none, none
        own = {k: v for k, v in options.items() if k in measure.options and k not in ("base", "entropy")}
        with np.errstate(invalid="ignore", divide="ignore"):
            low, high = form(self, **own)
        nothing = empty(self.tables)
        return np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)

    @property
    def touched(self) -> Array:
        """Tables, or groups with a table, that are not exact."""
        if not isinstance(self.tables, Strata):
            return self.buckets.touched
        groups, n = self.tables.groups, self.tables.n_groups
        return np.asarray(np.bincount(groups, weights=self.buckets.touched, minlength=n) > 0)

    @property
    def parts(self) -> tuple[Parts, Parts]:
        """The lower and the upper ends."""
        if "parts" not in self._memo:
            batch = self.tables.batch if isinstance(self.tables, Strata) else self.tables
            self._memo["parts"] = tuple(map(self._pooled, _bounded(batch, self.buckets)))
        found: tuple[Parts, Parts] = self._memo["parts"]
        return found

    def _pooled(self, parts: Parts) -> Parts:
        if not isinstance(self.tables, Strata):
            return parts
        return Parts(**{name: pooled(self.tables, values) for name, values in vars(parts).items()})

    @property
    def slack(self) -> Values:
        """What rounding may have cost an entropy or MI."""
        if not isinstance(self.tables, Strata):
            return _error(self.tables, self.buckets)
        return pooled(self.tables, _error(self.tables.batch, self.buckets))

    @property
    def rows(self) -> Values:
        """Rows (or weight) of each table or group."""
        if not isinstance(self.tables, Strata):
            return np.asarray(self.tables.totals, dtype=np.float64)
        totals = self.tables.batch.totals.astype(np.float64)
        return _added(self.tables.groups, totals, self.tables.n_groups)

    @property
    def expected(self) -> Values:
        """E[I] of each table over all levels; NaN where not every marginal is known, and for weights."""
        if "expected" not in self._memo:
            none = np.full(len(self.tables), np.nan)
            batch = self.tables
            usable = isinstance(batch, TableBatch) and not batch.weighted
            self._memo["expected"] = _expected(batch, self.buckets) if usable else none  # type: ignore[arg-type]
        values: Values = self._memo["expected"]
        return values


# -- the entropies and MI of tables


@dataclass(frozen=True, eq=False)
class _Margin:
    """A side's bucket against the whole other side: its row (or column) of cells.

    ``total`` is a_B and ``both`` is d; ``low``, ``high`` bound H(X|B), ``both_low``, ``both_high`` the same
    in the cell d; ``cells_low``, ``cells_high`` are the sums of n/N lo and n/N hi over the bucket's other
    cells; ``entropy`` is H(Y'|X in B), ``levels`` how many levels of Y' it shows.
    """

    side: Side
    total: Values
    both: Values
    low: Values
    high: Values
    both_low: Values
    both_high: Values
    cells_low: Values
    cells_high: Values
    entropy: Values
    levels: Values


def _bounded(batch: TableBatch, buckets: Buckets) -> tuple[Parts, Parts]:
    """Return the ends of each table's entropies and MI."""
    x, y, xy = (entropy_of(batch, which) for which in ("x", "y", "xy"))
    exact = Parts(x, y, xy, mutual(batch), equivocation(batch, "x"), equivocation(batch, "y"))
    touched = buckets.touched & (batch.totals > 0)
    if not touched.any():
        return exact, exact
    low, high = _widened(batch, buckets, *_merged(batch, buckets, exact))
    pairs = {name: (getattr(low, name), getattr(high, name), v) for name, v in vars(exact).items()}
    return (
        Parts(**{name: np.where(touched, a, v) for name, (a, _, v) in pairs.items()}),
        Parts(**{name: np.where(touched, b, v) for name, (_, b, v) in pairs.items()}),
    )


def _merged(batch: TableBatch, buckets: Buckets, seen: Parts) -> tuple[Parts, Parts]:
    """Return the ends by the inequalities of the module's head; ``seen`` is of the merged table."""
    size = np.where(batch.totals > 0, batch.totals, 1).astype(np.float64)
    table = batch.table_of_cell
    in_x, in_y = batch.rows == buckets.x.place[table], batch.cols == buckets.y.place[table]
    x, y = _margin(batch, buckets.x, in_x, in_y), _margin(batch, buckets.y, in_y, in_x)
    x_low, x_high = seen.x + x.total / size * x.low, seen.x + x.total / size * x.high
    y_low, y_high = seen.y + y.total / size * y.low, seen.y + y.total / size * y.high
    added_low, added_high = _added_entropy(batch, size, x, y)
    i_high = _least(_from_above(seen.i, size, x, y), x_high + y_high - seen.xy - added_low, x_high, y_high)
    i_low = _most(_from_below(seen.i, size, x, y), seen.i, x_low + y_low - seen.xy - added_high)
    xy_low = _most(seen.xy + added_low, x_low + y_low - i_high, x_low, y_low)
    xy_high = _least(seen.xy + added_high, x_high + y_high - i_low)
    y_open = seen.y_given_x + y.cells_high + y.both / size * y.both_high
    x_open = seen.x_given_y + x.cells_high + x.both / size * x.both_high
    least = _most(y_low - i_high, xy_low - x_high), _most(x_low - i_high, xy_low - y_high)
    most = _least(y_high - i_low, xy_high - x_low, y_open), _least(x_high - i_low, xy_high - y_low, x_open)
    return Parts(x_low, y_low, xy_low, i_low, *least), Parts(x_high, y_high, xy_high, i_high, *most)


def _least(*values: Values) -> Values:
    found: Values = np.minimum.reduce(values)
    return found


def _most(*values: Values) -> Values:
    found: Values = np.maximum.reduce([np.zeros_like(values[0]), *values])
    return found


def _added(group: Array, values: Values, n: int) -> Values:
    """Return the compensated sum of each group: a bucket may have a million cells."""
    high, low = np.zeros(n), np.zeros(n)
    numerics.group_sums(np.ascontiguousarray(values), np.ascontiguousarray(group), high, low)
    return high + low


def _margin(batch: TableBatch, side: Side, own: Array, other: Array) -> _Margin:
    table, cells = batch.table_of_cell[own], batch.cells[own].astype(np.float64)

    def summed(values: Values, chosen: Array | slice = slice(None)) -> Values:
        return _added(table[chosen], values[chosen], len(batch))

    total, every = summed(cells), np.arange(len(batch))
    meeting = other[own]
    both = summed(cells, meeting)
    shares = cells / batch.totals[table].astype(np.float64)
    cells_low, cells_high = side.hidden(table, cells)
    part = cells / total[table]
    return _Margin(
        side,
        total,
        both,
        *side.hidden(every, total),
        *side.hidden(every, both),
        summed(shares * cells_low, ~meeting),
        summed(shares * cells_high, ~meeting),
        summed(-part * np.log(part)),
        summed(np.ones(len(cells))),
    )


def _added_entropy(batch: TableBatch, size: Values, x: _Margin, y: _Margin) -> Ends:
    """Return the ends of D, what the buckets hide of H(X,Y)."""
    most = x.both_high + y.both_high
    if not batch.weighted:
        most = np.minimum(most, np.log(np.maximum(x.both, 1.0)))
    low = x.cells_low + y.cells_low + x.both / size * np.maximum(x.both_low, y.both_low)
    high = x.cells_high + y.cells_high + x.both / size * most
    return low, np.minimum(high, (x.total * x.high + y.total * y.high) / size)


def _from_above(merged: Values, size: Values, x: _Margin, y: _Margin) -> Values:
    """Return the upper end of I by the chain rule, in both orders."""

    def chain(first: _Margin, second: _Margin) -> Values:
        inner = first.entropy + _share(first.both, first.total) * second.both_high
        added = second.total * np.minimum(second.high, second.entropy)
        return merged + (added + first.total * np.minimum(first.high, inner)) / size

    return np.minimum(chain(x, y), chain(y, x))


def _from_below(merged: Values, size: Values, x: _Margin, y: _Margin) -> Values:
    """Return the lower end of I by the chain rule, in both orders: rare levels tell much."""

    def told(of: _Margin, entropy: Values, levels: Values) -> Values:
        left_open = of.side.spread(of.total, np.maximum(levels, 1.0))
        return np.maximum(of.total * entropy - left_open, 0.0)

    def chain(first: _Margin, second: _Margin) -> Values:
        more = np.where(first.both > 0, np.minimum(second.side.n_levels(), first.both) - 1, 0.0)
        entropy = first.entropy + _share(first.both, first.total) * second.both_low
        inner = told(first, entropy, first.levels + more)
        return merged + (told(second, second.entropy, second.levels) + inner) / size

    return np.maximum(chain(x, y), chain(y, x))


def _share(part: Values, whole: Values) -> Values:
    return part / np.where(whole > 0, whole, 1.0)


def _widened(batch: TableBatch, buckets: Buckets, low: Parts, high: Parts) -> tuple[Parts, Parts]:
    """Widen by what rounding may have cost; what is hidden by a bucket of the condition starts at 0."""
    error = _error(batch, buckets)
    lows = {name: np.where(buckets.hidden, 0.0, np.maximum(v - error, 0.0)) for name, v in vars(low).items()}
    highs = {name: np.where(v > 0, v + error, 0.0) for name, v in vars(high).items()}
    highs["i"] = _least(np.where(buckets.hidden, np.inf, high.i + error), highs["x"], highs["y"])
    for name, whole in (("y_given_x", "y"), ("x_given_y", "x")):
        highs[name] = np.minimum(getattr(high, name) + error, highs[whole])
    return Parts(**lows), Parts(**highs)


def _error(batch: TableBatch, buckets: Buckets) -> Values:
    """Return what rounding may have cost the entropies and the MI of each table."""
    return ERROR * (1 + _span(batch, buckets))


def _span(batch: TableBatch, buckets: Buckets) -> Values:
    """Return per table the log of its total over its smallest count: the largest logarithm in its sums."""
    totals = np.where(batch.totals > 0, batch.totals, 1).astype(np.float64)
    if not batch.weighted:
        return np.log(totals)
    least = np.full(len(batch), np.inf)
    np.minimum.at(least, batch.table_of_cell, batch.cells)
    for side in (buckets.x, buckets.y):
        for caps, chosen in side.each(np.arange(len(batch))):
            least[chosen] = np.minimum(least[chosen], caps.caps.min())
    return np.where(np.isfinite(least), np.abs(np.log(totals)) + np.abs(np.log(least)), 0.0)


def _expected(batch: TableBatch, buckets: Buckets) -> Values:
    """Return E[I] from the kept margins and the caps of buckets that miss no row."""
    rows = _known_margins(batch.row_margins, batch.row_offsets, buckets.x)
    cols = _known_margins(batch.col_margins, batch.col_offsets, buckets.y)
    out = np.empty(len(batch))
    numerics.expected_mi(*rows[:3], *cols[:3], batch.totals, out)
    return np.where(rows[3] & cols[3] & ~buckets.hidden, out, np.nan)


def _known_margins(margins: Array, offsets: Array, side: Side) -> tuple[Array, Array, Array, Array]:
    """Return the margins of all levels, their multiplicities, offsets, and whether they are known."""
    values, times, known = [], [], np.ones(len(side.place), bool)
    for t, place in enumerate(side.place.tolist()):
        own = margins[offsets[t] : offsets[t + 1]]
        if place >= 0:
            caps = side.caps[side.which[t]]
            known[t] = own[place] == caps.total
            own = np.delete(own, place)
        found, often = np.unique(own[own > 0], return_counts=True)
        more = (caps.caps, caps.times) if place >= 0 and known[t] else (np.zeros(0), np.zeros(0))
        values.append(np.concatenate([found, more[0].astype(np.int64)]))
        times.append(np.concatenate([often, more[1].astype(np.int64)]))
    starts = np.concatenate([[0], np.cumsum([len(v) for v in values])]).astype(np.int64)
    return np.concatenate(values), np.concatenate(times), starts, known


# -- the measures as functions of the ends


def _of(name: str) -> Callable[[Certificate], Ends]:
    def form(found: Certificate) -> Ends:
        low, high = found.parts
        return getattr(low, name), getattr(high, name)

    return form


def _quotient(found: Certificate, under: Ends, limit: float) -> Ends:
    """Return the ends of I over an entropy that is at least I; ``limit`` where that is 0."""
    low, high = found.parts
    least = np.where(under[1] > 0, low.i / under[1], limit)
    top = 1 + found.slack / under[0]  # a score of weights may pass 1 by its rounding
    most = np.where(under[0] > 0, np.minimum(high.i / under[0], top), 1.0)
    return least, np.where(under[1] > 0, most, limit)


def _averaged(found: Certificate, average: str) -> Ends:
    if average == "joint":
        return _of("xy")(found)
    low, high = found.parts
    return tuple(np.asarray(_average(p.x, p.y, p.i, average)) for p in (low, high))  # type: ignore[return-value]


def _normalized(found: Certificate, *, average: str = "arithmetic") -> Ends:
    low, high = found.parts
    least, most = _quotient(found, _averaged(found, average), 0.0)
    constant = (high.x == 0) & (high.y == 0)  # both for certain: they agree
    maybe = (low.x == 0) & (low.y == 0)
    return np.where(constant, 1.0, least), np.where(maybe, 1.0, most)


def _coefficient(found: Certificate, *, given: str = "x") -> Ends:
    if given == "symmetric":
        return _normalized(found)
    return _quotient(found, _of("y" if given == "x" else "x")(found), 1.0)


def _share_of_x(found: Certificate) -> Ends:
    return _quotient(found, _of("x")(found), 1.0)


def _gain_ratio(found: Certificate) -> Ends:
    return _quotient(found, _of("x")(found), 0.0)


def _share_of_y(found: Certificate) -> Ends:
    return _quotient(found, _of("y")(found), 1.0)


def _v_measure(found: Certificate, *, beta: float = 1.0) -> Ends:
    ends = zip(_share_of_x(found), _share_of_y(found), strict=True)
    values = [np.where(beta * h + c > 0, (1 + beta) * h * c / (beta * h + c), 0.0) for h, c in ends]
    return values[0], values[1]


def _variation(found: Certificate) -> Ends:
    low, high = found.parts
    least = np.maximum(low.y_given_x + low.x_given_y, low.x + low.y - 2 * high.i)
    return least, np.minimum(high.y_given_x + high.x_given_y, high.x + high.y - 2 * low.i)


def _complement(average: str) -> Callable[[Certificate], Ends]:
    def form(found: Certificate) -> Ends:
        low, high = _normalized(found, average=average)
        return 1 - high, 1 - low

    return form


def _g(found: Certificate) -> Ends:
    low, high = found.parts
    return 2 * found.rows * low.i, 2 * found.rows * high.i


def _nothing(found: Certificate) -> Ends:
    zeros = np.zeros(len(found.tables))
    return zeros, zeros


def _expected_ends(found: Certificate) -> Ends:
    return found.expected * (1 - EXPECTED_ERROR), found.expected * (1 + EXPECTED_ERROR)


def _adjusted(found: Certificate, *, average: str = "arithmetic") -> Ends:
    """Return the ends of AMI, which falls as E[I] and rises as I; the limits are those of the measure."""
    low, high = found.parts
    expected, under = _expected_ends(found), _averaged(found, average)
    corners = [(i - e) / (h - e) for i in (low.i, high.i) for e in expected for h in under]
    certain = under[0] > expected[1]
    least = np.where(certain, np.minimum.reduce(corners), np.nan)
    top = 1 + found.slack / (under[0] - expected[1])
    most = np.where(certain, np.minimum(np.maximum.reduce(corners), top), np.nan)
    limit = _adjusted_limit(found, average)
    return np.where(np.isnan(limit), least, limit), np.where(np.isnan(limit), most, limit)


def _adjusted_limit(found: Certificate, average: str) -> Values:
    """Return the AMI that constant columns, or columns of all different rows, are given; else NaN."""
    batch = found.tables
    assert isinstance(batch, TableBatch)
    n_x = _levels(batch.n_rows_nonempty, found.buckets.x)
    n_y = _levels(batch.n_cols_nonempty, found.buckets.y)
    rows = np.asarray(batch.totals, dtype=np.float64)
    unique_x, unique_y = n_x == rows, n_y == rows
    perfect = (unique_x & unique_y) | ((unique_x | unique_y) & (average == "min"))
    limit = np.where(unique_x | unique_y, np.where(perfect, 1.0, 0.0), np.nan)
    limit = np.where((n_x == 1) | (n_y == 1), np.where((n_x == 1) & (n_y == 1), 1.0, 0.0), limit)
    return np.where(np.isnan(found.expected), np.nan, limit)


def _levels(shown: Array, side: Side) -> Values:
    """Return the levels of a side over all rows: those that a table shows, its bucket taken apart."""
    return np.where(side.place >= 0, shown - 1 + side.n_levels(), shown).astype(np.float64)


FORMS: dict[str, Callable[..., Ends]] = {
    "mutual_information": _of("i"),
    "conditional_mutual_information": _of("i"),
    "co_information": _of("i"),
    "total_correlation": _of("i"),
    "dual_total_correlation": _of("i"),
    "o_information": _nothing,
    "entropy": lambda found, of="x": _of(of)(found),
    "joint_entropy": _of("xy"),
    "conditional_entropy": lambda found, given="x": _of("y_given_x" if given == "x" else "x_given_y")(found),
    "variation_of_information": _variation,
    "normalized_mutual_information": _normalized,
    "symmetric_uncertainty": _normalized,
    "uncertainty_coefficient": _coefficient,
    "homogeneity": _share_of_x,
    "completeness": _share_of_y,
    "v_measure": _v_measure,
    "information_gain_ratio": _gain_ratio,
    "normalized_variation_of_information": _complement("joint"),
    "normalized_information_distance": _complement("max"),
    "g_statistic": _g,
    "expected_mutual_information": _expected_ends,
    "adjusted_mutual_information": _adjusted,
}
