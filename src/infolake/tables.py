"""Contingency tables: what every measure reads.

A `ContingencyTable` is one table of counts over any number of columns, dense or sparse. `table_batches`
holds many tables of two columns at once.

Counts are int64 with totals below 2**63, weighted counts float64. Sums of weights are correctly
rounded (`math.fsum`), so that they do not depend on the order or the layout of the cells.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from infolake.errors import (
    CountOverflowError,
    SchemaError,
    TooManyCellsError,
    UnknownColumnError,
    UsageError,
    nearest,
    printable,
)
from infolake.table_batches import (
    BATCH_ARRAYS,
    MAX_COUNT,
    Numbers,
    Strata,
    TableBatch,
    checked_counts,
    compact_batch,
    frozen,
    grouped_sum,
    int64s,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BATCH_ARRAYS",
    "MAX_COUNT",
    "MAX_DENSE_CELLS",
    "ContingencyTable",
    "Numbers",
    "Strata",
    "TableBatch",
    "grouped_sum",
]

Codes = tuple[NDArray[np.int64], ...]

MAX_DENSE_CELLS = 2**27
DEFAULT_COLUMNS = ("x", "y", "z", "w")
DENSE_SHARE = 4  # a new table is kept dense where it has at most this many cells per non-zero one


class ContingencyTable:
    """Counts of the level combinations of one or more columns; a frozen value.

    Parameters
    ----------
    array : array_like or pandas.DataFrame, shape (R, C, ...)
        Non-negative counts, one axis per column. Integers (and booleans) become int64; floats are
        weighted counts and stay float64.
    levels : sequence of sequences, optional
        The labels of each axis; ``None`` is the missing level and stands last. Default: a frame's
        own labels, else 0, 1, 2, ...
    columns : sequence of str, optional
        The names of the axes. Default: a frame's own names, else "x", "y", "z", "w", "v4", ...
    n_effective : float, optional
        Where the counts are sums of weights: Kish's effective number of rows behind all of them,
        (sum of weights)**2 / (sum of squared weights). Corrections of bias and p-values count so many
        rows. ``None``: a count is a number of rows. NaN: weights, but this is not known.

    Raises
    ------
    WeightError
        A negative, NaN or infinite count.
    CountOverflowError
        A total of 2**63 or more.
    UsageError
        Levels or columns that do not fit the array.

    Examples
    --------
    >>> table = ContingencyTable([[3, 0], [0, 1]], columns=("att1", "att2"))
    >>> table.total
    4
    >>> table.T.columns
    ('att2', 'att1')
    """

    __slots__ = (
        "_array",
        "_codes",
        "_counts",
        "_given",
        "_margins",
        "columns",
        "levels",
        "n_effective",
        "total",
    )

    columns: tuple[str, ...]
    levels: tuple[tuple[Any, ...], ...]
    n_effective: float | None
    total: int | float
    _array: Numbers | None
    _codes: Codes | None
    _counts: Numbers | None
    _margins: tuple[Numbers, ...]
    _given: bool

    def __init__(
        self,
        array: Any,
        levels: Sequence[Sequence[Any]] | None = None,
        columns: Sequence[str] | None = None,
        n_effective: float | None = None,
    ) -> None:
        values, levels, columns = _from_frame(array, levels, columns)
        given = _rectangular(values)
        if given.ndim == 0:
            raise UsageError("a contingency table has at least one axis", found=printable(values))
        counts = frozen(checked_counts(given))
        self._set("_array", counts)
        self._set("_codes", None)
        self._set("_counts", None)
        self._set("n_effective", _checked_rows(n_effective))
        self._label(counts.shape, levels, columns)
        self._sum(None, None)

    @classmethod
    def from_labels(cls, *labels: Any, columns: Sequence[str] | None = None) -> ContingencyTable:
        """Count the label combinations of equally long sequences.

        Parameters
        ----------
        *labels : array_like, shape (n,)
            One sequence per column. ``None`` and NaN are missing: a level of its own, last.
        columns : sequence of str, optional
            The names of the columns.

        Raises
        ------
        SchemaError
            A sequence whose labels are of different kinds, or sequences of different lengths.

        Examples
        --------
        >>> ContingencyTable.from_labels(["a", "b", "a", None], [1, 2, 1, 1]).array
        array([[2, 0],
               [0, 1],
               [1, 0]])
        """
        encoded = [_encode(values) for values in labels]
        lengths = {len(codes) for codes, _ in encoded}
        if len(lengths) != 1:
            raise SchemaError("label sequences must be equally long", found=f"lengths {sorted(lengths)}")
        levels = [found for _, found in encoded]
        codes, counts = _tally(tuple(c for c, _ in encoded), tuple(len(found) for found in levels))
        return cls.from_cells(codes, counts, levels=levels, columns=columns or _names(len(labels)))._packed()

    @classmethod
    def from_cells(
        cls,
        codes: Sequence[Numbers],
        counts: Numbers,
        *,
        levels: Sequence[Sequence[Any]],
        columns: Sequence[str],
        margins: Sequence[Numbers] | None = None,
        total: float | None = None,
        n_effective: float | None = None,
    ) -> ContingencyTable:
        """Make a sparse table from its non-zero cells.

        Parameters
        ----------
        codes : sequence of ndarray of int, each of shape (n,)
            Per axis, the level of each cell. Any order; each cell once.
        counts : ndarray, shape (n,)
            Counts (int64) or weights (float64).
        levels, columns, n_effective
            As for the class.
        margins : sequence of ndarray, optional
            Where the margins are not the sums of the cells: one array per axis.
        total : int or float, optional
            Where the total is not the sum of the cells.

        Examples
        --------
        >>> import numpy as np
        >>> table = ContingencyTable.from_cells(
        ...     (np.array([0, 1]), np.array([0, 1])),
        ...     np.array([3, 1]),
        ...     levels=("ac", "bd"),
        ...     columns=("x", "y"),
        ... )
        >>> table.dense
        False
        """
        table = cls.__new__(cls)
        shape = tuple(len(axis) for axis in levels)
        cells, values = _canonical(codes, checked_counts(np.asarray(counts)), shape)
        table._set("_array", None)
        table._set("_codes", tuple(frozen(c) for c in cells))
        table._set("_counts", frozen(values))
        table._set("n_effective", _checked_rows(n_effective))
        table._label(shape, levels, columns)
        table._sum(margins, total)
        return table

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a ContingencyTable is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a ContingencyTable is frozen: {name} cannot be deleted")

    def __reduce__(self) -> tuple[Any, ...]:
        given = (self._margins, self.total) if self._given else (None, None)
        cells = (self._array, self._codes, self._counts)
        return _restore, (*cells, self.levels, self.columns, *given, self.n_effective)

    def _label(
        self, shape: tuple[int, ...], levels: Sequence[Sequence[Any]] | None, columns: Sequence[str] | None
    ) -> None:
        axes = [tuple(range(n)) for n in shape] if levels is None else [tuple(axis) for axis in levels]
        names = _names(len(shape)) if columns is None else tuple(columns)
        if tuple(len(axis) for axis in axes) != shape:
            found = f"{tuple(len(axis) for axis in axes)} for an array of shape {shape}"
            raise UsageError("levels must name every row and column of the table", found=found)
        if len(names) != len(shape) or len(set(names)) != len(names):
            raise UsageError("columns must be one name per axis, each once", found=printable(names))
        self._set("levels", tuple(_missing_last(axis) for axis in axes))
        self._set("columns", names)

    def _sum(self, margins: Sequence[Numbers] | None, total: float | None) -> None:
        counts = self._array if self._array is not None else self._counts
        assert counts is not None
        own_total = _total(counts)
        self._set("_given", margins is not None or total is not None)
        self._set("total", own_total if total is None else total)
        if margins is None:
            sums = tuple(self._margin(axis) for axis in range(self.ndim))
        else:
            sums = tuple(checked_counts(np.asarray(m)) for m in margins)
        if tuple(len(m) for m in sums) != self.shape:
            raise UsageError("margins must have one number per level", found=str([len(m) for m in sums]))
        self._set("_margins", tuple(frozen(m) for m in sums))

    def _margin(self, axis: int) -> Numbers:
        if self._array is not None and self._array.dtype.kind == "i":
            others = tuple(a for a in range(self.ndim) if a != axis)
            return np.asarray(self._array.sum(axis=others, dtype=np.int64))
        codes, counts = self.cells
        return grouped_sum(counts, codes[axis], self.shape[axis])

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of levels per column, empty ones included."""
        return tuple(len(axis) for axis in self.levels)

    @property
    def ndim(self) -> int:
        """The number of columns."""
        return len(self.levels)

    @property
    def dense(self) -> bool:
        """Whether zero cells are stored too; changes no result."""
        return self._array is not None

    @property
    def weighted(self) -> bool:
        """Whether the counts are sums of weights (float64)."""
        return bool(self._values.dtype.kind == "f")

    @property
    def sums_match(self) -> bool:
        """Whether margins and total are the sums of the cells (not given)."""
        return not self._given

    @property
    def margins(self) -> tuple[Numbers, ...]:
        """Per column, the counts of its levels."""
        return self._margins

    @property
    def _values(self) -> Numbers:
        values = self._array if self._array is not None else self._counts
        assert values is not None
        return values

    @property
    def cells(self) -> tuple[Codes, Numbers]:
        """The non-zero cells in row-major order: one code array per column, and the counts."""
        if self._codes is not None:
            return self._codes, self._values
        codes = tuple(c.astype(np.int64, copy=False) for c in np.nonzero(self._values))
        return codes, self._values[codes]

    @property
    def array(self) -> Numbers:
        """All cells as a dense array.

        Raises
        ------
        TooManyCellsError
            Beyond 2**27 cells.
        """
        if self._array is not None:
            return self._array
        codes, counts = self.cells
        dense = np.zeros(_dense_shape(self.shape), dtype=counts.dtype)
        dense[codes] = counts
        return frozen(dense)

    def _packed(self) -> ContingencyTable:
        n = len(self.cells[1])
        size = math.prod(self.shape)
        if self._given or self.dense or size > max(4096, DENSE_SHARE * n) or size > MAX_DENSE_CELLS:
            return self
        return ContingencyTable(self.array, self.levels, self.columns, self.n_effective)

    def _axes(self, columns: Iterable[str]) -> tuple[int, ...]:
        wanted = tuple(columns)
        for name in wanted:
            if name not in self.columns:
                what = f"the table has no column {printable(name)!r}"
                raise UnknownColumnError(what, next=nearest(name, self.columns))
        if len(set(wanted)) != len(wanted):
            raise UsageError("a column is named twice", found=printable(wanted))
        return tuple(self.columns.index(name) for name in wanted)

    def transpose(self, *columns: str) -> ContingencyTable:
        """Return the table with its columns in another order; without names, reversed.

        Examples
        --------
        >>> ContingencyTable([[1, 2], [3, 4]]).transpose("y", "x").array
        array([[1, 3],
               [2, 4]])
        """
        order = self._axes(columns) if columns else tuple(reversed(range(self.ndim)))
        if len(order) != self.ndim:
            raise UsageError("transpose needs every column once", expected=printable(self.columns))
        return self._picked(order)

    @property
    def T(self) -> ContingencyTable:  # noqa: N802
        """The table with its columns reversed."""
        return self.transpose()

    def _picked(self, axes: tuple[int, ...]) -> ContingencyTable:
        levels = [self.levels[a] for a in axes]
        columns = [self.columns[a] for a in axes]
        given = [self._margins[a] for a in axes] if self._given else None
        total = self.total if self._given else None
        if self._array is not None and self._array.dtype.kind == "i":
            others = tuple(a for a in range(self.ndim) if a not in axes)
            kept = sorted(axes)
            summed = self._array.sum(axis=others, dtype=np.int64) if others else self._array
            turned = summed.transpose([kept.index(a) for a in axes])
            return ContingencyTable(turned, levels, columns, self.n_effective)
        codes, counts = self.cells
        cells, sums = _tally(tuple(codes[a] for a in axes), tuple(len(x) for x in levels), counts)
        table = ContingencyTable.from_cells(
            cells,
            sums,
            levels=levels,
            columns=columns,
            margins=given,
            total=total,
            n_effective=self.n_effective,
        )
        return table._packed() if self.dense else table

    def marginal(self, *columns: str) -> ContingencyTable:
        """Return the table of some columns, summed over all others.

        Examples
        --------
        >>> ContingencyTable([[1, 2], [3, 4]]).marginal("y").array
        array([4, 6])
        """
        axes = self._axes(columns)
        if not axes:
            raise UsageError("marginal needs at least one column", expected=printable(self.columns))
        if self._given and len(axes) == 1:
            own = self._margins[axes[0]]
            return ContingencyTable(own, [self.levels[axes[0]]], columns, self.n_effective)
        return self._picked(axes)

    def drop_missing(self) -> ContingencyTable:
        """Return the table without the missing level of every column.

        Raises
        ------
        UsageError
            If the margins are given: what the missing level holds of them is not known.

        Examples
        --------
        >>> ContingencyTable.from_labels(["a", "b", None], [1, 2, 2]).drop_missing().total
        2
        """
        keep = [len(axis) - (axis[-1:] == (None,)) for axis in self.levels]
        if keep == list(self.shape):
            return self
        if self._given:
            raise UsageError("a table whose margins are given cannot drop its missing levels")
        levels = [axis[:n] for axis, n in zip(self.levels, keep, strict=True)]
        if self._array is not None:
            held = self._array[tuple(slice(n) for n in keep)]
            return ContingencyTable(held, levels, self.columns, self._of_fewer(_total(held)))
        codes, counts = self.cells
        mask = reduce(np.logical_and, [c < n for c, n in zip(codes, keep, strict=True)])
        kept, left = tuple(c[mask] for c in codes), counts[mask]
        known = self._of_fewer(_total(left))
        return ContingencyTable.from_cells(kept, left, levels=levels, columns=self.columns, n_effective=known)

    def _of_fewer(self, total: float) -> float | None:
        """Return the effective number of rows of a part of the table: known of all of it only."""
        return self.n_effective if self.n_effective is None or total == self.total else math.nan

    def where(self, column: str, levels: Any) -> ContingencyTable:
        """Return the table of the rows at some levels of a column, which keeps these levels only.

        Parameters
        ----------
        column : str
        levels : a level or a list of levels
            In any order; the table keeps its own.

        Raises
        ------
        UsageError
            A level that the column does not have, or a table whose margins are given.

        Examples
        --------
        >>> table = ContingencyTable([[1, 2], [3, 4]], levels=("ab", "cd"))
        >>> table.where("x", "b").array
        array([[3, 4]])
        """
        axis, kept = self._chosen(column, levels)
        return self._recoded(axis, np.where(kept, np.cumsum(kept) - 1, -1), self._taken(axis, kept))

    def drop_levels(self, column: str, levels: Any) -> ContingencyTable:
        """Return the table without some levels of a column; as `where` of all others.

        Examples
        --------
        >>> ContingencyTable([[1, 2], [3, 4]], levels=("ab", "cd")).drop_levels("x", ["b"]).total
        3
        """
        axis, gone = self._chosen(column, levels)
        kept = ~gone
        return self._recoded(axis, np.where(kept, np.cumsum(kept) - 1, -1), self._taken(axis, kept))

    def merge_levels(self, column: str, merged: Mapping[Any, Any]) -> ContingencyTable:
        """Return the table with levels of a column merged.

        Parameters
        ----------
        column : str
        merged : dict
            New level -> the old levels that become it. The merged level stands where the first of them
            stood, the missing level (None) last.

        Examples
        --------
        >>> table = ContingencyTable([[1, 2], [3, 4], [5, 6]], levels=("abc", "de"))
        >>> merged = table.merge_levels("x", {"other": ["a", "c"]})
        >>> merged.levels[0], merged.array.tolist()
        (('other', 'b'), [[6, 8], [3, 4]])
        """
        (axis,) = self._axes([column])
        names = list(self.levels[axis])
        for new, old in merged.items():
            for code in np.flatnonzero(self._chosen(column, old)[1]).tolist():
                names[code] = new
        found = list(dict.fromkeys(names))
        if None in found:
            found.remove(None)
            found.append(None)
        place = {label: code for code, label in enumerate(found)}
        return self._recoded(axis, np.array([place[name] for name in names], dtype=np.int64), tuple(found))

    def _chosen(self, column: str, levels: Any) -> tuple[int, NDArray[np.bool_]]:
        """Return the axis of a column and which of its levels are meant."""
        if self._given:
            raise UsageError("a table whose margins are given cannot change its levels")
        (axis,) = self._axes([column])
        lone = isinstance(levels, str | bytes) or not isinstance(levels, Collection)
        place = {label: code for code, label in enumerate(self.levels[axis])}
        chosen = np.zeros(len(place), dtype=bool)
        for label in [levels] if lone else levels:
            if label not in place:
                what = f"the column {printable(column)!r} has no level {printable(repr(label))}"
                raise UsageError(what, next=nearest(str(label), [str(name) for name in place]))
            chosen[place[label]] = True
        return axis, chosen

    def _taken(self, axis: int, kept: NDArray[np.bool_]) -> tuple[Any, ...]:
        return tuple(label for label, stays in zip(self.levels[axis], kept.tolist(), strict=True) if stays)

    def _recoded(self, axis: int, codes: NDArray[np.int64], names: tuple[Any, ...]) -> ContingencyTable:
        """Return the table under new codes of one axis; -1 leaves a level out."""
        old, counts = self.cells
        moved = tuple(codes[c] if a == axis else c for a, c in enumerate(old))
        kept = moved[axis] >= 0
        levels = [names if a == axis else own for a, own in enumerate(self.levels)]
        cells, sums = _tally(tuple(c[kept] for c in moved), tuple(map(len, levels)), counts[kept])
        known = self._of_fewer(_total(sums))
        table = ContingencyTable.from_cells(
            cells, sums, levels=levels, columns=self.columns, n_effective=known
        )
        return ContingencyTable(table.array, levels, self.columns, known) if self.dense else table

    def frequency_of_frequencies(self) -> tuple[Numbers, NDArray[np.int64]]:
        """Return the distinct non-zero counts, ascending, and how many cells have each.

        Examples
        --------
        >>> counts, multiplicities = ContingencyTable([[2, 2], [0, 5]]).frequency_of_frequencies()
        >>> counts, multiplicities
        (array([2, 5]), array([2, 1]))
        """
        counts, multiplicities = np.unique(self.cells[1], return_counts=True)
        return counts, multiplicities.astype(np.int64)

    def batch(self) -> TableBatch:
        """Return the table, which must have two columns, as a batch of one."""
        if self.ndim != 2:
            raise UsageError(
                f"this needs a table of two columns, this one has {self.ndim}",
                next="take table.marginal(x, y), or table.strata() for one table per level of the others",
            )
        (rows, cols), counts = self.cells
        row_margins, col_margins = self._margins
        return TableBatch(
            cells=counts,
            rows=rows,
            cols=cols,
            offsets=np.array([0, len(counts)]),
            row_margins=row_margins,
            row_offsets=np.array([0, len(row_margins)]),
            col_margins=col_margins,
            col_offsets=np.array([0, len(col_margins)]),
            totals=np.array([self.total], dtype=counts.dtype),
            sums_match=self.sums_match,
            n_effective=None if self.n_effective is None else np.array([self.n_effective]),
        )

    def strata(self, given: str | Sequence[str] | None = None) -> TableBatch:
        """Return one table of the first two other columns per level of the conditioning columns.

        Parameters
        ----------
        given : str or sequence of str, optional
            The conditioning columns. Default: all but the first two.

        Returns
        -------
        TableBatch
            One table per level (per combination of levels, row-major), empty ones included. Each
            lists only its own non-empty rows and columns. Of weights, the effective numbers of
            rows of the strata are not known.

        Examples
        --------
        >>> table = ContingencyTable.from_labels([0, 0, 1], [0, 1, 1], [0, 1, 1])
        >>> table.strata("z").totals
        array([1, 2])
        """
        names = (given,) if isinstance(given, str) else tuple(given or self.columns[2:])
        first = self._axes(names)
        others = tuple(a for a in range(self.ndim) if a not in first)
        if len(others) != 2 or not first:
            found = f"given {printable(names)} of {printable(self.columns)}"
            raise UsageError("strata need two columns beside the conditioning ones", found=found)
        if self._given:
            raise UsageError("a table whose margins are given has no strata")
        shape = tuple(self.shape[a] for a in first)
        _dense_shape(shape)
        ordered = self._picked((*first, *others))
        codes, counts = ordered.cells
        stratum = np.ravel_multi_index(codes[: len(first)], shape)
        batch = compact_batch(stratum, codes[-2], codes[-1], counts, math.prod(shape))
        return batch if self.n_effective is None else replace(batch, n_effective=np.full(len(batch), np.nan))

    def to_frame(self) -> pd.DataFrame:
        """Return the cells as a frame: two columns as a table, else one line per non-zero cell.

        Examples
        --------
        >>> ContingencyTable([[3, 0], [0, 1]], levels=("ac", "bd")).to_frame().loc["a", "b"].item()
        3
        """
        import pandas as pd

        if self.ndim == 2:
            return pd.DataFrame(
                np.array(self.array),
                index=pd.Index(list(self.levels[0]), name=self.columns[0], dtype=object),
                columns=pd.Index(list(self.levels[1]), name=self.columns[1], dtype=object),
            )
        codes, counts = self.cells
        labels = zip(self.columns, self.levels, codes, strict=True)
        frame = pd.DataFrame({name: _labels_of(axis, code) for name, axis, code in labels})
        frame["count"] = counts
        return frame

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ContingencyTable):
            return NotImplemented
        if (self.columns, self.levels, self.total) != (other.columns, other.levels, other.total):
            return False
        if repr(self.n_effective) != repr(other.n_effective):  # NaN is NaN
            return False
        (codes, counts), (their_codes, their_counts) = self.cells, other.cells
        pairs = [*zip(codes, their_codes, strict=True), (counts, their_counts)]
        pairs += zip(self.margins, other.margins, strict=True)
        return counts.dtype == their_counts.dtype and all(np.array_equal(a, b) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]

    def __sizeof__(self) -> int:
        arrays = [self._array, *(self._codes or ()), self._counts, *self._margins]
        return 200 + sum(a.nbytes for a in arrays if a is not None) + 64 * sum(self.shape)

    def __repr__(self) -> str:
        from infolake import table_views

        return table_views.text(self)

    def _repr_html_(self) -> str:
        from infolake import table_views

        return table_views.html_table(self)


def _names(n: int) -> tuple[str, ...]:
    return tuple(DEFAULT_COLUMNS[i] if i < len(DEFAULT_COLUMNS) else f"v{i}" for i in range(n))


def _restore(  # noqa: PLR0917
    array: Any, codes: Any, counts: Any, levels: Any, columns: Any, margins: Any, total: Any, n_effective: Any
) -> ContingencyTable:
    if array is not None:
        return ContingencyTable(array, levels, columns, n_effective)
    more = {"margins": margins, "total": total, "n_effective": n_effective}
    return ContingencyTable.from_cells(codes, counts, levels=levels, columns=columns, **more)


def _checked_rows(n_effective: float | None) -> float | None:
    if n_effective is None:
        return None
    if isinstance(n_effective, bool) or (not n_effective >= 0 and not math.isnan(n_effective)):
        raise UsageError("n_effective is a number of rows", found=printable(n_effective))
    return float(n_effective)


def _from_frame(
    array: Any, levels: Sequence[Sequence[Any]] | None, columns: Sequence[str] | None
) -> tuple[Any, Sequence[Sequence[Any]] | None, Sequence[str] | None]:
    if not (hasattr(array, "index") and hasattr(array, "columns") and hasattr(array, "to_numpy")):
        return array, levels, columns
    axes = (array.index, array.columns)
    names = [
        str(default if axis.name is None else axis.name) for axis, default in zip(axes, "xy", strict=True)
    ]
    own = [[None if _is_missing(label) else label for label in axis.tolist()] for axis in axes]
    return array.to_numpy(), own if levels is None else levels, names if columns is None else columns


def _missing_last(axis: tuple[Any, ...]) -> tuple[Any, ...]:
    if any(label is None for label in axis[:-1]):
        raise UsageError("the missing level (None) must be the last of its axis", found=printable(axis))
    return axis


def _rectangular(values: Any) -> Numbers:
    try:
        return np.array(values)
    except ValueError as error:
        raise UsageError("a contingency table has rows of one length", found=str(error)[:120]) from None


def _total(counts: Numbers) -> int | float:
    if counts.dtype.kind == "f":
        return math.fsum(counts.ravel().tolist())
    total = (int((counts >> 32).sum()) << 32) + int((counts & 0xFFFFFFFF).sum())
    if total > MAX_COUNT:
        raise CountOverflowError("the total of a table passes 2**63 - 1", found=str(total))
    return total


def _dense_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    if math.prod(shape) > MAX_DENSE_CELLS:
        raise TooManyCellsError(
            "the table is too big to be held dense",
            expected=f"at most {MAX_DENSE_CELLS:,} cells",
            found=f"{' x '.join(map(str, shape))} = {math.prod(shape):,} cells",
            next="read table.cells, the non-zero cells, or bin the columns",
        )
    return shape


def _canonical(codes: Sequence[Numbers], counts: Numbers, shape: tuple[int, ...]) -> tuple[Codes, Numbers]:
    cells = tuple(int64s(c) for c in codes)
    if len(cells) != len(shape) or any(len(c) != len(counts) for c in cells):
        raise UsageError("codes must be one array per axis, each as long as the counts")
    if any(len(c) and (c.min() < 0 or c.max() >= n) for c, n in zip(cells, shape, strict=True)):
        raise UsageError("a code lies outside the levels of its axis")
    if not counts.all():
        keep = counts != 0
        cells, counts = tuple(c[keep] for c in cells), counts[keep]
    if not _increasing(cells):
        order = np.lexsort(cells[::-1])
        cells, counts = tuple(c[order] for c in cells), counts[order]
        if not _increasing(cells):
            raise UsageError("a cell is listed twice")
    return cells, counts


def _increasing(cells: Codes) -> bool:
    later = np.zeros(max(len(cells[0]) - 1, 0), dtype=bool)
    for codes in reversed(cells):
        later = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & later)
    return bool(later.all())


def _tally(codes: Codes, shape: tuple[int, ...], counts: Numbers | None = None) -> tuple[Codes, Numbers]:
    if not len(codes[0]):
        return codes, np.zeros(0, dtype=np.int64 if counts is None else counts.dtype)
    if math.prod(shape) > MAX_COUNT:
        unique, group = np.unique(np.stack(codes), axis=1, return_inverse=True)
        cells: Codes = tuple(unique)
    else:
        keys, group = np.unique(np.ravel_multi_index(codes, shape), return_inverse=True)
        cells = tuple(c.astype(np.int64, copy=False) for c in np.unravel_index(keys, shape))
    if counts is None:
        return cells, np.bincount(group).astype(np.int64)
    return cells, grouped_sum(counts, group.ravel(), len(cells[0]))


def _is_missing(value: object) -> bool:
    return value is None or value is _pandas_na() or bool(value != value)  # noqa: PLR0124


def _pandas_na() -> object:
    import sys

    pandas = sys.modules.get("pandas")
    return pandas.NA if pandas else None


def _encode(values: Any) -> tuple[NDArray[np.int64], list[Any]]:
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuU":
        unique, codes = np.unique(values, return_inverse=True)
        return codes.ravel().astype(np.int64), unique.tolist()
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        values = values.astype("datetime64[us]")
    labels = [
        None if _is_missing(v) else v for v in (values.tolist() if hasattr(values, "tolist") else values)
    ]
    seen = set(labels)
    found = _sorted_levels(seen - {None})
    levels = [*found, None] if None in seen else found
    index = {label: i for i, label in enumerate(levels)}
    return np.array([index[label] for label in labels], dtype=np.int64), levels


def _sorted_levels(labels: Iterable[Any]) -> list[Any]:
    every = [0.0 if isinstance(v, float) and v == 0 else v for v in labels]
    kinds = {_kind(v) for v in every}
    if len(kinds) > 1:
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise SchemaError("the labels of one column must be of one kind", found=found)
    return sorted(every)


def _kind(value: object) -> type:
    if isinstance(value, bool | np.bool_):
        return bool
    return float if isinstance(value, int | float | np.number) else type(value)


def _labels_of(axis: tuple[Any, ...], codes: NDArray[np.int64]) -> list[Any]:
    return [axis[c] for c in codes.tolist()]
