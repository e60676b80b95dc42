"""Entropy and MI estimates of batches of tables of two columns, by any estimator, in nats.

Most estimators see one column, or one pair of columns, at a time. Three see the joint table: what they
return for "x", "y" and "xy" belongs together, and MI is H(X) + H(Y) - H(X,Y) of these.

Weights are scaled to sum to the table's effective number of rows, by one factor for cells and margins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.errors import UsageError
from infolake.large_tables import FrequencyTable
from infolake.measures import estimators, plug_in
from infolake.measures.estimators import EntropyEstimator
from infolake.tables import TableBatch

Values = NDArray[np.float64]
Parts = dict[str, Values]  # "x", "y", "xy"; and "mutual" where it is not their difference
Grouped = tuple[NDArray[Any], NDArray[Any]]  # distinct counts and how often each occurs

NEARLY_WHOLE = 1e-12  # scaled weights this close to a whole number are equal weights, but for rounding


def mutual(batch: TableBatch, estimate: EntropyEstimator) -> Values:
    """Return the estimated MI of each table."""
    if estimate.name == "plug_in":
        return plug_in.mutual(batch)
    parts = _parts(batch, estimate)
    return parts["mutual"] if "mutual" in parts else (parts["x"] + parts["y"]) - parts["xy"]


def entropy(batch: TableBatch, which: str, estimate: EntropyEstimator) -> Values:
    """Return the estimated entropy of "x", "y" or "xy" of each table."""
    if estimate.name == "plug_in":
        return plug_in.entropy(batch, which)
    if estimate.name in JOINT:
        return _parts(batch, estimate)[which]
    values: Values = batch.cached(f"estimate {which} {estimate.key}", lambda: _alone(batch, which, estimate))
    return values


def _parts(batch: TableBatch, estimate: EntropyEstimator) -> Parts:
    if estimate.name not in JOINT:
        return {which: entropy(batch, which, estimate) for which in ("x", "y", "xy")}
    parts: Parts = batch.cached(f"parts {estimate.key}", lambda: JOINT[estimate.name](batch, estimate))
    return parts


def _effective(batch: TableBatch, which: str, estimate: EntropyEstimator) -> tuple[NDArray[Any], Any]:
    """Return the counts of "x", "y" or "xy" in (effective) rows, and where each table starts."""
    values, offsets = plug_in.counted(batch)[which]
    factors = _factors(batch, estimate)
    if factors is None:
        return values, offsets
    rows = values * np.repeat(factors, np.diff(offsets))
    whole = np.rint(rows)
    return np.where(np.abs(rows - whole) <= NEARLY_WHOLE * rows, whole, rows), offsets


def _factors(batch: TableBatch, estimate: EntropyEstimator) -> Values | None:
    """Return per table the rows that a weight of 1 is worth; None where counts are numbers of rows."""
    if batch.n_effective is None and not batch.weighted:
        return None
    estimators.check_weights(estimate)
    held = batch.totals > 0
    if batch.n_effective is None or np.isnan(batch.n_effective[held]).any():
        raise UsageError(
            f"the entropy estimator {estimate.name} must know how many rows the weights are worth",
            next="il.ContingencyTable(..., n_effective=...); tables of counts made with weights=... know it, "
            "parts of them do not: condition with il.score(..., given=...)",
        )
    return np.divide(batch.n_effective, batch.totals, where=held, out=np.ones(len(batch)))


def _alone(batch: TableBatch | FrequencyTable, which: str, estimate: EntropyEstimator) -> Values:
    known: dict[Any, float] = {}
    if isinstance(batch, FrequencyTable):
        support = next(_supports(batch, estimate))[which]
        return np.array([_estimated(estimate, batch.frequencies(which), support, known)])
    values, offsets = _effective(batch, which, estimate)
    segments = zip(offsets[:-1].tolist(), offsets[1:].tolist(), _supports(batch, estimate), strict=True)
    return np.array([_estimated(estimate, _grouped(values[a:b]), K[which], known) for a, b, K in segments])


def _supports(batch: TableBatch | FrequencyTable, estimate: EntropyEstimator) -> Iterator[dict[str, int]]:
    """Yield per table the number of levels of "x", "y" and "xy"."""
    sizes = np.diff(batch.row_offsets).tolist(), np.diff(batch.col_offsets).tolist()
    held = batch.n_rows_nonempty.tolist(), batch.n_cols_nonempty.tolist()
    for size, observed in zip(zip(*sizes, strict=True), zip(*held, strict=True), strict=True):
        x, y = estimate.levels(size, observed)
        yield {"x": x, "y": y, "xy": x * y}


def _grouped(values: NDArray[Any]) -> Grouped:
    return np.unique(values[values > 0], return_counts=True)


def _estimated(estimate: EntropyEstimator, counts: Grouped, support: int, known: dict[Any, float]) -> float:
    """Return the estimate for one column; ``known`` are those of the columns before."""
    key = (counts[0].tobytes(), counts[1].tobytes(), support)
    if key not in known:
        known[key] = estimate(*counts, support)
    return known[key]


def _per_table(batch: TableBatch, estimate: EntropyEstimator) -> Iterator[dict[str, NDArray[Any]]]:
    parts = {which: _effective(batch, which, estimate) for which in ("x", "y", "xy")}
    for t in range(len(batch)):
        yield {which: values[offsets[t] : offsets[t + 1]] for which, (values, offsets) in parts.items()}


def _james_stein(batch: TableBatch, estimate: EntropyEstimator) -> Parts:
    found = [
        _shrunk({which: _grouped(v) for which, v in counts.items()}, support)
        for counts, support in zip(_per_table(batch, estimate), _supports(batch, estimate), strict=True)
    ]
    return {which: np.array([parts[which] for parts in found]) for which in ("x", "y", "xy")}


def _shrunk(counts: dict[str, Grouped], support: dict[str, int]) -> dict[str, float]:
    """Return the entropies of one table whose cells are shrunk towards 1/K."""
    if not len(counts["xy"][0]):
        return dict.fromkeys(counts, math.nan)
    weight = estimators.shrinkage(*counts["xy"], support["xy"])
    return {which: estimators.shrunk_entropy(*counts[which], support[which], weight) for which in counts}


def _panzeri_treves(batch: TableBatch, estimate: EntropyEstimator) -> Parts:
    """Return H(X) and H(Y) with their bias, and H(X,Y) as H(X) + H(Y|X): I = H(Y) - H(Y|X)."""
    x, y = (_alone(batch, which, estimate) for which in ("x", "y"))
    cells = _effective(batch, "xy", estimate)[0]
    excess = _relevant(batch, cells, [K["y"] for K in _supports(batch, estimate)])
    size = np.where(batch.totals > 0, batch.sizes, np.nan)
    return {"x": x, "y": y, "xy": x + (plug_in.equivocation(batch, "x") + excess / (2 * size))}


def _relevant(batch: TableBatch, cells: NDArray[Any], supports: list[int]) -> Values:
    """Return per table the sum over its rows of the relevant columns less one."""
    row = batch.row_offsets[batch.table_of_cell] + batch.rows
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    tables = batch.table_of_cell[starts]
    ends = np.append(starts, len(row))[1:]
    out = np.zeros(len(batch))
    for t, a, b in zip(tables.tolist(), starts.tolist(), ends.tolist(), strict=True):
        n, m = (v.astype(np.float64) for v in _grouped(cells[a:b]))
        out[t] += estimators.relevant_levels(n, m, supports[t]) - 1 if len(n) else 0
    return out


def _quadratic(batch: TableBatch, estimate: EntropyEstimator) -> Parts:
    seed = int(estimate.seed or 0)
    counts = _per_table(batch, estimate)
    drawn = [part for own in counts for part in estimators.splits(own["xy"], seed)]
    parts = _replicas(batch, drawn, 7)
    shares = parts.totals / np.repeat(np.where(batch.totals > 0, batch.totals, np.nan), 7)

    def limit(values: Values) -> Values:
        weighed = (np.where(parts.totals > 0, values, 0.0) * shares).reshape(len(batch), 7)
        sums = [np.array([math.fsum(row) for row in weighed[:, part].tolist()]) for part in estimators.SPLITS]
        return np.asarray(estimators.extrapolated(*sums))

    entropies = {which: limit(plug_in.entropy(parts, which)) for which in ("x", "y", "xy")}
    return {**entropies, "mutual": limit(plug_in.mutual(parts))}


def _replicas(batch: TableBatch, drawn: list[NDArray[np.int64]], times: int) -> TableBatch:
    """Return each table ``times`` times, with other counts in its cells."""
    bounds = zip(batch.offsets[:-1].tolist(), batch.offsets[1:].tolist(), strict=True)
    index = np.concatenate([np.tile(np.arange(a, b), times) for a, b in bounds] or [plug_in.ONCE])
    lengths = np.repeat(batch.n_cells, times)
    return TableBatch.from_cells(
        np.concatenate(drawn or [plug_in.ONCE]),
        batch.rows[index],
        batch.cols[index],
        np.concatenate([[0], np.cumsum(lengths)]),
        np.repeat(np.diff(batch.row_offsets), times),
        np.repeat(np.diff(batch.col_offsets), times),
    )


JOINT: dict[str, Callable[[TableBatch, EntropyEstimator], Parts]] = {
    "james_stein": _james_stein,
    "panzeri_treves": _panzeri_treves,
    "quadratic_extrapolation": _quadratic,
}
