"""Dask DataFrames: their graph is taken over, and leaves count the partitions it delivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from dask.base import is_dask_collection
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

from infolake.errors import SchemaError, UnknownColumnError, nearest
from infolake.sources import canonical, memory


@dataclass(frozen=True, eq=False)
class FrameInput:
    """A Dask DataFrame reduced to the columns that are read.

    Parameters
    ----------
    name : str
        Its deterministic name.
    schema : dict of str to pyarrow.DataType
    graph : HighLevelGraph
    keys : tuple
        One key per partition.
    n_rows : int or None
        Rows, once a scan has told.
    """

    name: str
    schema: dict[str, pa.DataType]
    graph: HighLevelGraph
    keys: tuple[Any, ...]
    n_rows: int | None = None


def is_frame(data: object) -> bool:
    """Return True for a Dask DataFrame."""
    return is_dask_collection(data) and hasattr(data, "npartitions") and hasattr(data, "columns")


def frame_schema(frame: Any) -> dict[str, pa.DataType]:
    """Return the canonical types that a Dask DataFrame promises; object columns hold strings."""
    found = memory.to_table(frame._meta, list)
    assert found is not None
    return {str(f.name): _type(f.name, f.type) for f in found[1].schema}


def _type(name: str, found: pa.DataType) -> pa.DataType:
    kind = pa.string() if pa.types.is_null(found) else canonical.canonical(found)
    if kind is None:
        raise SchemaError(f"column {name!r} is nested or of a kind that is not counted", found=str(found))
    return kind


def open_frame(frame: Any, columns: Sequence[str]) -> FrameInput:
    """Return the input that delivers ``columns`` of a Dask DataFrame."""
    schema = frame_schema(frame)
    for column in columns:
        if column not in schema:
            raise UnknownColumnError(
                f"unknown column {column!r}: {nearest(column, schema)}", where="the Dask frame"
            )
    labels = {str(label): label for label in frame.columns}
    chosen = frame[[labels[c] for c in columns]].optimize()
    graph, keys = chosen.__dask_graph__(), _flat(chosen.__dask_keys__())
    if not isinstance(graph, HighLevelGraph):
        graph = HighLevelGraph(
            {f"frame-{chosen._name}": MaterializedLayer(dict(graph))}, {f"frame-{chosen._name}": set()}
        )
    return FrameInput(str(chosen._name), {c: schema[c] for c in columns}, graph, keys)


def _flat(keys: Any) -> tuple[Any, ...]:
    return tuple(k for key in keys for k in (_flat(key) if isinstance(key, list) else (key,)))
