"""The project's own hypothesis strategies: columns, tables, groups of columns, ways to cut rows.

Also the plain Python meaning of a table, which counts are held against.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from infolake.reduction.leaf import count_leaf
from infolake.reduction.planning import Asked, CountPlan, plan_count
from infolake.sources import canonical, open_source
from infolake.summaries.joint_counts import JointCounts

LARGE = [2**53, 2**53 + 1, 2**53 + 2, -(2**53) - 1, 2**63 - 1, -(2**63), 0]
FLOATS = [0.0, -0.0, 1.5, -1.5, 1e300, 5e-324, math.inf, -math.inf, math.nan]
TEXTS = ["", "a", "b", "A", "ä", "a\u0308", "NULL", "nan", "\x00", "\U0001f600", "\ufeff", "'; drop", "<b>"]
INSTANTS = [0, 1, -1, 10**15, 253402300799 * 10**6]

KINDS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "text": (pa.string(), TEXTS),
    "large_text": (pa.large_string(), TEXTS),
    "bytes": (pa.binary(), [b"", b"\x00", b"\xff\xfe", b"a", b"b"]),
    "bool": (pa.bool_(), [True, False]),
    "small": (pa.int8(), [-128, -1, 0, 1, 2, 127]),
    "large": (pa.int64(), LARGE),
    "unsigned": (pa.uint64(), [0, 1, 2**53 + 1, 2**63, 2**64 - 1]),
    "float": (pa.float64(), FLOATS),
    "single": (pa.float32(), [0.0, -0.0, 0.1, math.nan, math.inf]),
    "decimal": (pa.decimal128(20, 3), [Decimal("0.000"), Decimal("-1.5"), Decimal("12345678901234567.125")]),
    "date": (pa.date32(), [dt.date(1970, 1, 1), dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
    "instant": (pa.timestamp("us"), INSTANTS),
    "zoned": (pa.timestamp("ms", "Europe/Berlin"), [0, 1, -1, 10**12]),
    "time": (pa.time64("us"), [dt.time(0), dt.time(23, 59, 59, 999999), dt.time(12)]),
    "nothing": (pa.null(), [None]),
}


@st.composite
def columns(draw: st.DrawFn, n: int, kind: str | None = None) -> pa.Array:
    """A column of ``n`` rows of some kind, with missing values, perhaps as a dictionary."""
    name = kind or draw(st.sampled_from(sorted(KINDS)))
    dtype, values = KINDS[name]
    chosen = draw(st.lists(st.sampled_from([*values, None]), min_size=n, max_size=n))
    array = pa.array(chosen, dtype)
    if name != "nothing" and draw(st.booleans()):
        return draw(dictionaries(array))
    return array


@st.composite
def dictionaries(draw: st.DrawFn, array: pa.Array) -> pa.DictionaryArray:
    """The same values as a dictionary that may hold null, repeated and unused values."""
    distinct = array.unique()
    extra = pa.concat_arrays([distinct, distinct, pa.nulls(1, array.type)])
    order = draw(st.permutations(range(len(extra))))
    extra = extra.take(pa.array(order, pa.int64()))
    places: dict[str, list[int]] = {}
    for place, value in enumerate(extra.to_pylist()):
        places.setdefault(repr(value), []).append(place)
    nulls = [*places["None"], None]
    indices = [draw(st.sampled_from(nulls if v is None else places[repr(v)])) for v in array.to_pylist()]
    kind = draw(st.sampled_from([pa.int8(), pa.uint8(), pa.int32(), pa.int64()]))
    return pa.DictionaryArray.from_arrays(pa.array(indices, kind), extra)


@st.composite
def tables(draw: st.DrawFn, min_columns: int = 2, max_columns: int = 4, max_rows: int = 30) -> pa.Table:
    """A table of columns of mixed kinds."""
    n = draw(st.integers(0, max_rows))
    width = draw(st.integers(min_columns, max_columns))
    return pa.table({f"c{i}": draw(columns(n)) for i in range(width)})


@st.composite
def groups(draw: st.DrawFn, names: Sequence[str]) -> list[tuple[str, ...]]:
    """A list of groups of 1, 2, 3, ... columns, in any order."""
    one = st.permutations(list(names)).flatmap(lambda p: st.integers(1, len(p)).map(lambda k: tuple(p[:k])))
    return draw(st.lists(one, min_size=1, max_size=5, unique_by=frozenset))


@st.composite
def splits(draw: st.DrawFn, table: pa.Table) -> list[pa.Table]:
    """The rows of a table cut anywhere, in any order; pieces may be empty."""
    cuts = sorted(draw(st.lists(st.integers(0, table.num_rows), max_size=4)))
    bounds = [0, *cuts, table.num_rows]
    pieces = [table.slice(a, b - a) for a, b in pairwise(bounds)]
    return draw(st.permutations(pieces))


def values_of(array: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return the Python values of a column as counts show them: None for missing, no -0.0."""
    if isinstance(array, pa.ChunkedArray):
        return [v for chunk in array.chunks for v in values_of(chunk)]
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = canonical.canonical(array.type)
    return [_value(v) for v in array.cast(kind).to_pylist()]


def _value(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value + 0.0
    return value


def tallied(table: pa.Table, group: Sequence[str], weights: Sequence[Any] | None = None) -> Counter[Any]:
    """Count the rows of a table the slow way."""
    found: Counter[Any] = Counter()
    rows = zip(*(values_of(table[c]) for c in group), strict=True)
    for number, row in enumerate(rows):
        found[row] += 1 if weights is None else weights[number]
    return Counter({k: v for k, v in found.items() if v})


def cells_of(counts: JointCounts, group: Sequence[str]) -> Counter[Any]:
    """Return the non-zero cells of a counted group by the values of its columns."""
    table = counts.table(*group, missing="level")
    codes, values = table.cells
    labels = [[levels[c] for c in axis.tolist()] for levels, axis in zip(table.levels, codes, strict=True)]
    return Counter(dict(zip(zip(*labels, strict=True), values.tolist(), strict=True)))


def planned(table: pa.Table, groups: Any = "pairs", **asked: Any) -> CountPlan:
    """Plan a count of exact values."""
    return plan_count(table, Asked(groups, **{"bins": "exact"} | asked))


def count_piece(plan: CountPlan, piece: pa.Table) -> JointCounts:
    """Count one piece of a planned table, as a task would."""
    return count_leaf(plan.request, plan.selection, open_source(piece).partitions)
