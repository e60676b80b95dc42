"""The catalogue of measures: one decorator registers a function with its properties.

A measure is written once, over a `TableBatch`, in nats. The decorator makes the public function of
it, which takes one `ContingencyTable` and returns a number, or many tables and returns an array. The
command line, the job file, the report and the property tests read the properties declared here.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from infolake.errors import UnknownMeasureError, UsageError, nearest, printable
from infolake.measures import estimators
from infolake.tables import ContingencyTable, Strata, TableBatch

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]
Tables = TableBatch | Strata
Body = Callable[..., Values]

ESTIMATION = ("support", "seed")  # keywords beside ``entropy=``, of every measure that has it
BASES = {
    "bits": 2.0,
    "shannons": 2.0,
    "nats": math.e,
    "e": math.e,
    "hartleys": 10.0,
    "bans": 10.0,
    "dits": 10.0,
}


class TableMeasure(Protocol):
    """A measure with one value per table."""

    __name__: str

    @overload
    def __call__(self, table: ContingencyTable, **options: Any) -> float: ...
    @overload
    def __call__(self, table: Tables, **options: Any) -> Values: ...


class CellMeasure(Protocol):
    """A measure with one value per cell."""

    __name__: str

    def __call__(self, table: ContingencyTable | TableBatch, **options: Any) -> Values:
        """Return the values: in the table's shape, or one per non-zero cell of a batch."""


@dataclass(frozen=True)
class Measure:
    """A measure and its declared properties.

    Parameters
    ----------
    name : str
        The full name; results carry it as a column.
    aliases : tuple of str
        Short names.
    function : callable
        The public function.
    symmetric : bool
        Whether swapping rows and columns changes nothing.
    bounds : tuple of (float or None)
        Smallest and largest value of the plug-in form in nats; ``None`` is unbounded.
    unit : str
        "information" (depends on the base), "count" or "none".
    best : str
        "high" or "low": which end is the strongest dependence.
    per_cell : bool
        One value per cell rather than per table.
    absent : float or None
        The value of a cell without counts; ``None``: it depends on the margins.
    conditional : bool
        Whether it takes `Strata`: a conditional form.
    needs : str
        "table" (two columns), "joint" (any number of columns) or "strata" (three or more).
    reference : str
        Where it comes from.
    formula : str
        What it is, in plain text: n, a, b, N are a cell, its row and column margin and the total,
        E = a b / N, p = n / N; I and H are mutual information and entropy.
    options : frozenset of str
        The keywords it takes.
    """

    name: str
    aliases: tuple[str, ...]
    function: Any = field(repr=False)
    symmetric: bool
    bounds: tuple[float | None, float | None]
    unit: str
    best: str
    per_cell: bool
    absent: float | None
    conditional: bool
    needs: str
    reference: str
    formula: str
    options: frozenset[str]
    body: Body = field(repr=False)
    joint_body: Callable[..., float] | None = field(default=None, repr=False)

    def evaluate(self, tables: Tables, **options: Any) -> Values:
        """Return one value per table (or per non-zero cell); other measures' options are ignored.

        Examples
        --------
        >>> batch = ContingencyTable([[1, 0], [0, 1]]).batch()
        >>> get("mi").evaluate(batch, base=2, average="max")
        array([1.])
        """
        base, own = self._chosen(options)
        if isinstance(tables, Strata) and not self.conditional:
            raise UsageError(f"{self.name} has no conditional form")
        batch = tables.batch if isinstance(tables, Strata) else tables
        if not (self.per_cell or batch.sums_match):
            raise UsageError(f"{self.name} needs margins that are the sums of the cells")
        values = self.body(tables, **own)
        return values / log_base(base) if self.unit == "information" else values

    def _chosen(self, options: dict[str, Any]) -> tuple[float | str, dict[str, Any]]:
        """Return the base and the measure's own keywords; the estimator's options become part of it."""
        own = {name: value for name, value in options.items() if name in self.options}
        if "entropy" in self.options:
            more = {name: own.pop(name, None) for name in ESTIMATION}
            own["entropy"] = estimators.get(own.get("entropy", "plug_in"), **more)
        return own.pop("base", 2), own

    def of(self, table: ContingencyTable | Tables, options: dict[str, Any]) -> Any:
        """Return the value of one table, or those of many; what the public function does."""
        unknown = sorted(set(options) - self.options)
        if unknown:
            what = f"{self.name} takes no option {printable(unknown[0])!r}"
            raise UsageError(what, next=nearest(unknown[0], sorted(self.options)))
        if isinstance(table, TableBatch | Strata):
            return self.evaluate(table, **options)
        if not isinstance(table, ContingencyTable):
            what = f"{self.name} is a function of a contingency table"
            found = type(table).__name__
            raise UsageError(what, found=found, next="il.ContingencyTable(counts), or .from_labels(x, y)")
        if self.per_cell:
            return self._dense(table, options)
        if self.joint_body is not None and table.ndim != 2:
            return self._joint(table, options)
        return float(self.evaluate(self._tables(table), **options)[0])

    def _joint(self, table: ContingencyTable, options: dict[str, Any]) -> float:
        assert self.joint_body is not None
        if table.ndim < 2:
            raise UsageError(f"{self.name} needs a table of two or more columns", found="1 column")
        if not table.sums_match:
            raise UsageError(f"{self.name} needs margins that are the sums of the cells")
        base, own = self._chosen(options)
        value = self.joint_body(table, **own) if table.total else math.nan
        return float(value / log_base(base) if self.unit == "information" else value)

    def _tables(self, table: ContingencyTable) -> Tables:
        if self.needs == "strata":
            if table.ndim < 3:
                raise UsageError(f"{self.name} needs a table of three or more columns")
            batch = table.strata()
            return Strata(batch, np.zeros(len(batch), dtype=np.int64), 1)
        if self.needs == "joint" and table.ndim != 2:
            return _line(table)
        return table.batch()

    def _dense(self, table: ContingencyTable, options: dict[str, Any]) -> Values:
        batch = table.batch()
        if not table.total:
            return np.full(table.array.shape, np.nan)
        if self.absent is None:
            return self.evaluate(_all_cells(table, batch), **options).reshape(table.shape)
        dense = np.full(table.array.shape, self.absent, dtype=np.float64)
        dense[batch.rows, batch.cols] = self.evaluate(batch, **options)
        return dense


def _line(table: ContingencyTable) -> TableBatch:
    """Return the non-zero cells as the rows of a table of one column."""
    counts = table.cells[1]
    n = len(counts)
    total = np.array([table.total], dtype=counts.dtype)
    return TableBatch(
        cells=counts,
        rows=np.arange(n),
        cols=np.zeros(n, dtype=np.int64),
        offsets=np.array([0, n]),
        row_margins=counts,
        row_offsets=np.array([0, n]),
        col_margins=total,
        col_offsets=np.array([0, 1]),
        totals=total,
        sums_match=table.sums_match,
        n_effective=None if table.n_effective is None else np.array([table.n_effective]),
    )


def _all_cells(table: ContingencyTable, batch: TableBatch) -> TableBatch:
    """Return the batch with zero cells listed too."""
    n_rows, n_cols = table.shape
    return TableBatch(
        cells=np.ascontiguousarray(table.array).ravel(),
        rows=np.repeat(np.arange(n_rows), n_cols),
        cols=np.tile(np.arange(n_cols), n_rows),
        offsets=np.array([0, n_rows * n_cols]),
        row_margins=batch.row_margins,
        row_offsets=batch.row_offsets,
        col_margins=batch.col_margins,
        col_offsets=batch.col_offsets,
        totals=batch.totals,
        sums_match=batch.sums_match,
        n_effective=batch.n_effective,
    )


_measures: dict[tuple[bool, str], Measure] = {}  # by (per cell, name or alias)


def _register(
    described: Callable[..., Any], name: str, aliases: tuple[str, ...], unit: str, **properties: Any
) -> Any:
    """Register a measure; signature and docstring are those of ``described``."""
    body = properties.pop("body", described)
    keywords = [p for p in inspect.signature(described).parameters.values() if p.kind is p.KEYWORD_ONLY]
    if any(p.name == "entropy" for p in keywords):
        kind = inspect.Parameter.KEYWORD_ONLY
        keywords += [inspect.Parameter(option, kind, default=None) for option in ESTIMATION]
    names = {p.name for p in keywords} | ({"base"} if unit == "information" else set())

    @functools.wraps(described)
    def public(table: ContingencyTable | Tables, **options: Any) -> Any:
        return entry.of(table, options)

    public.__signature__ = _signature(keywords, unit)  # type: ignore[attr-defined]
    entry = Measure(
        name=name,
        aliases=aliases,
        function=public,
        unit=unit,
        options=frozenset(names),
        body=body,
        **properties,
    )
    keys = [(entry.per_cell, word) for word in (name, *aliases)]
    taken = [word for kind, word in keys if (kind, word) in _measures]
    if taken:
        raise ValueError(f"the measure name {taken[0]} is taken twice")
    _measures.update(dict.fromkeys(keys, entry))
    return public


def _signature(keywords: list[inspect.Parameter], unit: str) -> inspect.Signature:
    table = inspect.Parameter("table", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    base = inspect.Parameter("base", inspect.Parameter.KEYWORD_ONLY, default=2)
    return inspect.Signature([table, *([base] if unit == "information" else []), *keywords])


def measure(
    *aliases: str,
    symmetric: bool = True,
    bounds: tuple[float | None, float | None] = (0.0, None),
    unit: str = "none",
    best: str = "high",
    conditional: bool = False,
    needs: str = "table",
    reference: str = "",
    formula: str = "",
) -> Callable[[Body], TableMeasure]:
    """Register a measure with one value per table.

    The decorated function takes a `TableBatch` (or `Strata`, if ``conditional``) and keywords, and
    returns one value in nats, or without unit, per table.
    """

    def register(body: Body) -> TableMeasure:
        public: TableMeasure = _register(
            body,
            body.__name__,
            aliases,
            unit,
            symmetric=symmetric,
            bounds=bounds,
            best=best,
            per_cell=False,
            absent=None,
            conditional=conditional,
            needs=needs,
            reference=reference,
            formula=formula,
        )
        return public

    return register


def joint_measure(
    *aliases: str,
    pair: Body,
    bounds: tuple[float | None, float | None] = (0.0, None),
    unit: str = "information",
    reference: str = "",
    formula: str = "",
) -> Callable[[Callable[..., float]], TableMeasure]:
    """Register a symmetric measure of any number of columns, two at least.

    The decorated function takes a `ContingencyTable` of three or more columns that holds rows, and
    keywords, and returns nats. ``pair`` is what it is for two columns: it takes a `TableBatch`, or
    `Strata` for the conditional form, and the same keywords.
    """

    def register(body: Callable[..., float]) -> TableMeasure:
        public: TableMeasure = _register(
            body,
            body.__name__,
            aliases,
            unit,
            body=pair,
            joint_body=body,
            symmetric=True,
            bounds=bounds,
            best="high",
            per_cell=False,
            absent=None,
            conditional=True,
            needs="joint",
            reference=reference,
            formula=formula,
        )
        return public

    return register


def cell_measure(
    *aliases: str,
    absent: float | None,
    name: str = "",
    symmetric: bool = True,
    bounds: tuple[float | None, float | None] = (None, None),
    unit: str = "none",
    best: str = "high",
    reference: str = "",
    formula: str = "",
) -> Callable[[Body], CellMeasure]:
    """Register a measure with one value per cell of a `TableBatch`.

    ``absent`` is the value of a cell without counts; with ``None`` the function is asked for it, and
    must take cells that are 0. ``name`` is the name in the catalogue, where that of the function is
    taken by a measure of tables.
    """

    def register(body: Body) -> CellMeasure:
        public: CellMeasure = _register(
            body,
            name or body.__name__,
            aliases,
            unit,
            symmetric=symmetric,
            bounds=bounds,
            best=best,
            per_cell=True,
            absent=absent,
            conditional=False,
            needs="table",
            reference=reference,
            formula=formula,
        )
        return public

    return register


def get(name: str, *, per_cell: bool | None = None) -> Measure:
    """Return the measure of a name or alias.

    Parameters
    ----------
    name : str
        A full name or an alias.
    per_cell : bool, optional
        Whether a measure of cells or of tables is wanted: "g" and "chi_squared" name one of each.
        Default: of tables if there is one.

    Raises
    ------
    UnknownMeasureError
        If there is none; the message gives the nearest name.

    Examples
    --------
    >>> get("nmi").name
    'normalized_mutual_information'
    >>> get("g").name, get("g", per_cell=True).name
    ('g_statistic', 'g')
    """
    kinds = (False, True) if per_cell is None else (per_cell,)
    for kind in kinds:
        if isinstance(name, str) and (kind, name) in _measures:
            return _measures[kind, name]
    what = f"there is no measure {printable(name)!r}"
    if per_cell is not None and isinstance(name, str) and (not per_cell, name) in _measures:
        what = f"{printable(name)} has one value per {'table' if per_cell else 'cell'}"
    known = sorted({word for kind, word in _measures if kind in kinds})
    raise UnknownMeasureError(what, next=nearest(name, known))


def every() -> tuple[Measure, ...]:
    """Return all measures, by name."""
    return tuple(measure for (_, word), measure in sorted(_measures.items()) if word == measure.name)


def measures() -> pd.DataFrame:
    """Return the catalogue: one row per measure, indexed by name.

    Examples
    --------
    >>> measures().loc["mutual_information", "aliases"]
    'mi, information_gain'
    """
    import pandas as pd

    rows = [
        {
            "name": m.name,
            "aliases": ", ".join(m.aliases),
            "formula": m.formula,
            "summary": (m.function.__doc__ or "").strip().split("\n")[0],
            "unit": m.unit,
            "symmetric": m.symmetric,
            "lowest": m.bounds[0],
            "highest": m.bounds[1],
            "best": m.best,
            "per_cell": m.per_cell,
            "conditional": m.conditional,
            "needs": m.needs,
            "options": ", ".join(sorted(m.options)),
            "reference": m.reference,
        }
        for m in every()
    ]
    return pd.DataFrame(rows).set_index("name")


def log_base(base: float | str) -> float:
    """Return the nats in one unit of information.

    Raises
    ------
    UsageError
        A base that is no known unit and no number above 1.

    Examples
    --------
    >>> log_base("e"), log_base("nats")
    (1.0, 1.0)
    """
    number = BASES.get(base) if isinstance(base, str) else base
    if number is None or isinstance(number, bool) or not (math.isfinite(number) and number > 1):
        expected = "a number above 1, 'e', 'bits', 'nats' or 'hartleys'"
        raise UsageError("the base of the unit is unknown", expected=expected, found=printable(base))
    return 1.0 if number == math.e else math.log(number)


def unit_name(base: float | str) -> str:
    """Return the name of the unit of a base.

    Examples
    --------
    >>> unit_name(2), unit_name("e"), unit_name(10), unit_name(3)
    ('bits', 'nats', 'hartleys', 'base 3')
    """
    log_base(base)
    number = BASES[base] if isinstance(base, str) else float(base)
    known = {2.0: "bits", math.e: "nats", 10.0: "hartleys"}
    return known.get(number, f"base {number:g}")


def checked(option: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return the value of an option, which must be one of the allowed words."""
    if value not in allowed:
        found = printable(value)
        raise UsageError(
            f"{option} must be one of {', '.join(allowed)}", found=found, next=nearest(found, allowed)
        )
    return str(value)
