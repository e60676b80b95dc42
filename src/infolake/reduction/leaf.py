"""What one task does: read partitions, choose rows, count them, and balance the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from infolake.encoding.columns import is_missing
from infolake.errors import DataError, MissingValueError, SchemaError
from infolake.sources import Partition, canonical, filter_mask, memory, read_partitions
from infolake.summaries import keeping
from infolake.summaries.counting import LeafCounter
from infolake.summaries.joint_counts import JointCounts
from infolake.summaries.key_counting import PassCounter
from infolake.summaries.ledger import Ledger
from infolake.summaries.partial import Partial
from infolake.summaries.quantiles import QuantileHistogram, QuantilePass
from infolake.summaries.request import Request


@dataclass(frozen=True)
class Selection:
    """Which rows count.

    Parameters
    ----------
    filters : tuple
        Any of the lists, all of its (column, op, value).
    filter_columns : tuple of str
    missing : {"pairwise", "listwise", "error"}
    counted : tuple of str
        Columns whose missing values matter.
    types : tuple of (column, type)
        Canonical types, for the partitions of a Dask frame.
    """

    filters: tuple[Any, ...]
    filter_columns: tuple[str, ...]
    missing: str
    counted: tuple[str, ...]
    types: tuple[tuple[str, str], ...] = ()

    def columns(self, wanted: Iterable[str]) -> list[str]:
        """Return all columns that must be read when ``wanted`` are counted."""
        rows = self.counted if self.missing != "pairwise" else ()
        return list(dict.fromkeys([*wanted, *self.filter_columns, *rows]))


def rows(
    pieces: Sequence[Any], columns: list[str], selection: Selection
) -> Iterator[tuple[str, int | None, pa.Table]]:
    """Yield where rows come from, the rows its footer promises (told once, None if none), and a batch.

    ``pieces`` are partitions, or the frames that the tasks of a Dask frame deliver.
    """
    if pieces and not isinstance(pieces[0], Partition):
        for frame in pieces:
            yield "a partition of the Dask frame", None, frame_table(frame, dict(selection.types), columns)
        return
    told: set[int] = set()
    for partition, table in read_partitions(pieces, columns, short=True):
        first = id(partition) not in told
        told.add(id(partition))
        promised = partition.n_rows if first or partition.n_rows is None else 0
        yield partition.where, promised, table


def frame_table(frame: Any, types: dict[str, str], columns: list[str]) -> pa.Table:
    """Return the columns of a pandas frame in their canonical types."""
    found = memory.to_table(frame, lambda _: columns)
    assert found is not None
    try:
        arrays = [canonical.convert(found[1][c], canonical.from_name(types[c])) for c in columns]
    except pa.ArrowException as error:
        raise SchemaError(
            "a partition of the Dask frame has other types than the frame says",
            found=str(error).splitlines()[0],
            next="convert the columns with .astype(...)",
        ) from None
    return pa.table(arrays, names=columns)


def selected(
    pieces: Sequence[Any], wanted: Iterable[str], selection: Selection
) -> Iterator[tuple[str, pa.Table, Ledger]]:
    """Yield where rows come from, those that count, batch by batch, and the ledger of the batch."""
    columns = selection.columns(wanted)
    for where, promised, table in rows(pieces, columns, selection):
        kept, ledger = _choose(table, selection, where)
        yield where, kept, replace(ledger, rows_footer=ledger.rows_read if promised is None else promised)


def _choose(table: pa.Table, selection: Selection, where: str) -> tuple[pa.Table, Ledger]:
    read, filtered, listwise = table.num_rows, 0, 0
    if selection.filters:
        table = table.filter(filter_mask(table, selection.filters))
        filtered = read - table.num_rows
    if selection.missing != "pairwise":
        table, listwise = _without_missing(table, selection, where)
    return table, Ledger(0, read, table.num_rows, filtered, listwise)


def _without_missing(table: pa.Table, selection: Selection, where: str) -> tuple[pa.Table, int]:
    bad = np.zeros(table.num_rows, bool)
    for column in selection.counted:
        mask = is_missing(table[column])
        if selection.missing == "error" and mask.any():
            raise MissingValueError(
                f"column {column!r} has a missing value",
                where=where,
                expected='none, because missing="error"',
                found=f"{int(mask.sum())} of {len(mask)} rows of a batch",
                effect="nothing counted",
                next='use missing="pairwise" or "listwise"',
            )
        bad |= mask
    return (table.filter(pa.array(~bad)), int(bad.sum())) if bad.any() else (table, 0)


def count_leaf(request: Request, selection: Selection, pieces: Sequence[Any]) -> JointCounts:
    """Count the rows of some partitions."""
    counter = LeafCounter(request)
    wanted = request.columns if request.weights is None else (*request.columns, request.weights)
    ledger = counted(pieces, wanted, selection, counter.update)
    found = counter.result(ledger)
    found.check(where_of(pieces))
    return found


def partial_leaf(request: Request, selection: Selection, limit: int, pieces: Sequence[Any]) -> Partial:
    """Count the rows of some partitions, but for groups of more than ``limit`` cells."""
    return Partial.of(count_leaf(request, selection, pieces), limit)


def levels_leaf(
    request: Request, limits: Mapping[str, int], selection: Selection, pieces: Sequence[Any]
) -> JointCounts:
    """Count each limited column of some partitions alone; nothing is read where bins leave none."""
    alone = keeping.first_request(request, limits)
    return count_leaf(alone, selection, pieces) if alone.columns else JointCounts.zero(alone)


def bins_leaf(step: QuantilePass, selection: Selection, pieces: Sequence[Any]) -> QuantileHistogram:
    """Count the keys of some partitions; nothing is read when all edges are known."""
    counter = PassCounter(step)
    if not step.open:
        return counter.total
    wanted = step.open if step.weights is None else (*step.open, step.weights)
    found = counter.result(counted(pieces, wanted, selection, counter.update))
    found.check(where_of(pieces))
    return found


def counted(
    pieces: Sequence[Any], wanted: Iterable[str], selection: Selection, update: Callable[[pa.Table], None]
) -> Ledger:
    """Give the chosen rows of some partitions to ``update``, batch by batch; return their ledger."""
    total = Ledger()
    for where, table, ledger in selected(pieces, wanted, selection):
        with _told(where):
            update(table)
        total += ledger
    return total


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Say in an error about values where the rows come from, and that nothing came of it."""
    try:
        yield
    except DataError as error:
        place = error.fields["where"]
        error.fields["where"] = f"{where}, {place}" if place else where
        error.fields["effect"] = error.fields["effect"] or "nothing counted, nothing published"
        raise


def where_of(pieces: Sequence[Any]) -> str:
    """Return where the rows of a leaf come from, for messages."""
    first = pieces[0] if pieces else None
    return first.path if isinstance(first, Partition) else "a partition of the Dask frame"
