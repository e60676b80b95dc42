"""What a run saved, read back as frozen values."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infolake.errors import CorruptFileError, NoInputError, UnknownMeasureError
from infolake.measures import catalogue

FACTS = ("question", "x", "y", "n", "n_missing", "n_effective", "p_value", "p_corrected", "bias", "thin")
OPTIONAL = ("n_effective", "p_value", "p_corrected")
ENDS = ("_low", "_high", "_se")
METADATA = b"infolake"
FIRST, LAST = 1500, 500  # cells of a long list that a page shows


@dataclass(frozen=True)
class Question:
    """One entry of a job's ``scores``: pairs of columns and what was measured between them.

    Attributes
    ----------
    columns : Mapping[str, np.ndarray]
        ``x``, ``y`` (object), ``n``, ``n_missing``, ``bias``, ``thin`` and one float array per measure, all
        of one length; NaN where a number could not be computed. If asked for: ``p_value``,
        ``p_corrected`` and the ends of intervals.
    """

    name: str
    columns: Mapping[str, np.ndarray]
    measures: tuple[str, ...]
    units: Mapping[str, str]
    target: str | None = None
    given: tuple[str, ...] = ()
    missing: str = "pairwise"
    entropy: str = "plug_in"
    p_values: str | None = None
    correction: str | None = None
    intervals: str | None = None
    level: float = 0.95

    def __len__(self) -> int:
        return len(self.columns["x"])

    def interval(self, measure: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the low and high ends of a measure's intervals, if it has any."""
        low, high = (self.columns.get(f"{measure}_{end}") for end in ("low", "high"))
        return None if self.intervals is None or low is None or high is None else (low, high)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of all columns that take part, in the order of their first pair."""
        return tuple(dict.fromkeys([*self.columns["x"], *self.columns["y"]]))


@dataclass(frozen=True)
class Association:
    """One entry of a job's ``associations``: cells of a table of two columns and their measures.

    Of a pair that was counted in shards the first and the last cells are held only, ``n_cells`` of them being
    saved.
    """

    name: str
    x: str
    y: str
    levels: tuple[list[Any], list[Any]]
    columns: Mapping[str, np.ndarray]
    measures: tuple[str, ...]
    units: Mapping[str, str]
    missing: str = "pairwise"
    facts: Mapping[str, Any] = field(default_factory=dict)
    n_cells: int | None = None

    def __len__(self) -> int:
        return len(self.levels[0])

    @property
    def total(self) -> int:
        """How many cells were saved; more than are held, where only the first and the last are."""
        return len(self) if self.n_cells is None else self.n_cells


@dataclass(frozen=True)
class Run:
    """A run's folder: its facts (``run.json``), questions and associations."""

    folder: Path
    title: str
    facts: Mapping[str, Any]
    questions: tuple[Question, ...]
    associations: tuple[Association, ...]

    @property
    def in_shards(self) -> tuple[tuple[str, ...], ...]:
        """The groups of columns that were counted in shards."""
        return _shards(self.facts)


def read_run(folder: Path) -> Run:
    """Read the saved results of a run.

    Parameters
    ----------
    folder : Path
        Where the run wrote ``run.json``, ``scores.parquet`` and ``associations/``.

    Raises
    ------
    NoInputError
        When the folder holds no ``run.json``.
    CorruptFileError
        When a file is not what a run writes.
    """
    facts = _facts(folder / "run.json")
    metadata, questions = _questions(folder / "scores.parquet")
    paths = sorted((folder / "associations").glob("*.parquet"))
    large = {frozenset(group) for group in _shards(facts)}
    associations = sorted((_association(p, large) for p in paths), key=_in_job_order(facts))
    title = str(facts.get("title") or metadata.get("title") or facts.get("name") or folder.name)
    return Run(folder, title, facts, questions, tuple(associations))


def _shards(facts: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(map(str, group)) for group in facts.get("in_shards") or ())


def _in_job_order(facts: Mapping[str, Any]) -> Callable[[Association], int]:
    entries = (facts.get("job") or {}).get("associations") or []
    place = {str(entry.get("name")): k for k, entry in enumerate(entries)}
    return lambda association: place.get(association.name, len(place))


def _facts(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise NoInputError("no run.json: not the folder of a run", where=str(path))
    try:
        facts = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise CorruptFileError("run.json cannot be read", where=str(path), found=str(error)) from error
    if not isinstance(facts, dict):
        raise CorruptFileError("run.json holds no object", where=str(path), found=type(facts).__name__)
    return facts


def _read(path: Path, large: Collection[frozenset[str]] = ()) -> tuple[pa.Table, dict[str, Any], int]:
    """Return a table, of a large pair only its ends, what is told of it, and how many rows it has."""
    try:
        with pq.ParquetFile(path) as file:
            told = json.loads((file.schema_arrow.metadata or {}).get(METADATA, b"{}"))
            is_large = frozenset((told.get("x"), told.get("y"))) in large
            return (_ends(file) if is_large else file.read()), told, file.metadata.num_rows
    except (pa.ArrowInvalid, ValueError, OSError) as error:
        raise CorruptFileError("a saved result cannot be read", where=str(path), found=str(error)) from error


def _ends(file: pq.ParquetFile) -> pa.Table:
    """Return the first and the last rows; no more than a row group is held."""
    if file.metadata.num_rows <= FIRST + LAST:
        return file.read()
    last = file.num_row_groups - 1
    sizes = [file.metadata.row_group(g).num_rows for g in (0, last)]
    head = next(file.iter_batches(FIRST, row_groups=[0]))
    tail = file.read_row_group(last).slice(max(sizes[1] - LAST, FIRST if last == 0 else 0))
    return pa.concat_tables([pa.Table.from_batches([head]), tail])


def _questions(path: Path) -> tuple[dict[str, Any], tuple[Question, ...]]:
    if not path.is_file():
        return {}, ()
    table, metadata, _ = _read(path)
    arrays = {name: _array(table, name) for name in table.column_names}
    entries = metadata.get("questions") or {}
    names = dict.fromkeys([*arrays["question"], *entries])
    return metadata, tuple(_question(name, entries.get(name, {}), arrays, metadata) for name in names)


def _array(table: pa.Table, name: str) -> np.ndarray:
    if name in {"question", "x", "y"}:
        return np.array([str(v) for v in table[name].to_pylist()], dtype=object)
    values = table[name].to_pylist()
    if name == "thin":
        return np.array([bool(v) for v in values], dtype=bool)
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _question(
    name: str, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> Question:
    rows = arrays["question"] == name
    columns = {key: values[rows] for key, values in arrays.items() if key != "question"}
    measures = _measures(entry.get("measures") or (), columns)
    for optional in OPTIONAL:
        if not len(columns.get(optional, ())) or np.isnan(columns[optional]).all():
            columns.pop(optional, None)
    return Question(
        name=name,
        columns=columns,
        measures=measures,
        units={**metadata.get("units", {}), **entry.get("units", {})},
        target=entry.get("target"),
        given=_names(entry.get("given")),
        missing=str(entry.get("missing") or "pairwise"),
        entropy=str(entry.get("entropy") or "plug_in"),
        p_values=entry.get("p_values"),
        correction=entry.get("correction"),
        intervals=entry.get("intervals"),
        level=float(entry.get("level") or 0.95),
    )


def _names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(v) for v in value)


def _measures(asked: Any, columns: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Full names of the measures asked for that the file holds; without a list, those with a number."""
    full = [full_name(str(name)) for name in asked]
    found = tuple(dict.fromkeys(name for name in full if name in columns))
    if found:
        return found
    return tuple(
        name for name, v in columns.items() if not (name in FACTS or name.endswith(ENDS) or np.isnan(v).all())
    )


def full_name(name: str) -> str:
    """Return the full name of a measure, or the name itself where no measure bears it."""
    try:
        return str(catalogue.get(name).name)
    except UnknownMeasureError:
        return name


def _association(path: Path, large: Collection[frozenset[str]]) -> Association:
    table, metadata, n_cells = _read(path, large)
    fields = metadata.get("columns") or {}
    x_field, y_field = (fields.get(axis) or table.column_names[i] for i, axis in enumerate("xy"))
    numbers = [name for name in table.column_names if name not in {x_field, y_field}]
    columns = {name: _array(table, name) for name in numbers}
    known = {"count", "count_x", "count_y"}
    return Association(
        name=str(metadata.get("name") or path.stem),
        x=str(metadata.get("x") or x_field),
        y=str(metadata.get("y") or y_field),
        levels=(table[x_field].to_pylist(), table[y_field].to_pylist()),
        columns=columns,
        measures=tuple(name for name in numbers if name not in known),
        units=metadata.get("units") or {},
        missing=str(metadata.get("missing") or "pairwise"),
        facts={key: metadata.get(key) for key in ("min_count", "top", "sort_by")},
        n_cells=n_cells,
    )
