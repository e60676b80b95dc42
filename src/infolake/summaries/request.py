"""What a count counts: columns, groups, bins, missing policy, weights and filters, as one value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import pyarrow as pa

from infolake.encoding.bins import Edges
from infolake.encoding.kept import Kept
from infolake.errors import UnknownColumnError, nearest
from infolake.packing import Groups

MISSING = ("pairwise", "listwise", "error")
NOT_KEPT = "of a run, run.json lists under in_shards what was too large to be kept"


@dataclass(frozen=True)
class Request:
    """What is counted; two counts add only when their requests are equal.

    Parameters
    ----------
    columns : tuple of str
        Counted columns, in schema order.
    types : tuple of pyarrow.DataType
        Canonical type of each column.
    groups : Groups
    edges : tuple of (tuple of numbers or None)
        Bin edges of each column; None where its values are counted exactly.
    missing : {"pairwise", "listwise", "error"}
    weights : str, optional
        Column of weights, and whether they are integers.
    integer_weights : bool
    filters : str
        The row filters, as canonical JSON.
    slices : tuple of tuples
        Levels chosen or merged after counting, in the order it was done.
    kept : tuple of (Kept or None), optional
        Of each column, the levels that ``max_levels`` kept; None where it does not concern the column.
    """

    columns: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    groups: Groups
    edges: tuple[Edges | None, ...] = ()
    missing: str = "pairwise"
    weights: str | None = None
    integer_weights: bool = True
    filters: str = ""
    slices: tuple[tuple[Any, ...], ...] = ()
    kept: tuple[Kept | None, ...] = ()

    @property
    def kept_levels(self) -> tuple[Kept | None, ...]:
        """Of each column, what stands for its levels where rarer ones are in a bucket."""
        kept = self.kept or (None,) * len(self.columns)
        return tuple(k if k is not None and k.levels is not None else None for k in kept)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the request, the same in every process."""
        return hashlib.blake2b(
            json.dumps(self.to_json(), sort_keys=True).encode(), digest_size=16
        ).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON (floats in hexadecimal, so that edges return exactly)."""
        groups = {"kind": self.groups.kind, "target": self.groups.target, "given": self.groups.given}
        # counts that are no slice are stored as they were before there were slices
        slices = {"slices": self.slices} if self.slices else {}
        kept = {"kept": [None if k is None else k.to_json() for k in self.kept]} if any(self.kept) else {}
        return (
            slices
            | kept
            | {
                "columns": self.columns,
                "types": [str(t) for t in self.types],
                "groups": groups,
                "edges": [None if e is None else [_stored(v) for v in e] for e in self.edges],
                "missing": self.missing,
                "weights": self.weights,
                "integer_weights": self.integer_weights,
                "filters": self.filters,
            }
        )

    @classmethod
    def from_json(
        cls, stored: dict[str, Any], types: tuple[pa.DataType, ...], kept: Sequence[pa.Array | None] = ()
    ) -> Request:
        """Rebuild from :meth:`to_json`, the types of the stored levels, and the kept levels."""
        groups = stored["groups"]
        given = tuple(tuple(g) for g in groups["given"])
        return cls(
            tuple(stored["columns"]),
            types,
            Groups(len(types), groups["kind"], groups["target"], given),
            tuple(None if e is None else tuple(_loaded(v) for v in e) for e in stored["edges"]),
            stored["missing"],
            stored["weights"],
            stored["integer_weights"],
            stored["filters"],
            _nested(stored.get("slices", ())),
            tuple(
                None if k is None else Kept.from_json(k, levels)
                for k, levels in zip(stored.get("kept", ()), kept, strict=True)
            ),
        )

    def with_edges(self, edges: Mapping[str, Edges | None]) -> Request:
        """Return the request with bin edges of some columns; binned columns are numbers."""
        known = dict(zip(self.columns, self.edges, strict=True)) | dict(edges)
        found = tuple(known[c] for c in self.columns)
        pairs = zip(self.types, found, strict=True)
        return replace(self, edges=found, types=tuple(t if e is None else _number(t) for t, e in pairs))

    def number(self, column: str) -> int:
        """Return the position of a column; UnknownColumnError with the nearest name."""
        found = _numbers(self.columns).get(column) if isinstance(column, str) else None
        if found is None:
            hint = nearest(str(column), self.columns)
            raise UnknownColumnError(f"no counted column {column!r}: {hint}", next=NOT_KEPT)
        return found

    def group_names(self, group: int) -> tuple[str, ...]:
        """Return the names of the columns of a group."""
        return tuple(self.columns[c] for c in self.group_numbers(group))

    def group_numbers(self, group: int) -> tuple[int, ...]:
        """Return the numbers of the columns of a group."""
        return tuple(c for c in self.groups.index[group].tolist() if c < len(self.columns))


def _number(kind: pa.DataType) -> pa.DataType:
    return pa.int64() if pa.types.is_int64(kind) else pa.float64()


@lru_cache(maxsize=64)
def _numbers(columns: tuple[str, ...]) -> dict[str, int]:
    return {c: i for i, c in enumerate(columns)}


def _nested(values: Any) -> Any:
    """Return tuples for the lists that JSON gives back."""
    return tuple(map(_nested, values)) if isinstance(values, list | tuple) else values


def _stored(value: float) -> int | str:
    return value if isinstance(value, int) else value.hex()


def _loaded(value: int | str) -> int | float:
    return value if isinstance(value, int) else float.fromhex(value)
