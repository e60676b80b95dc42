"""Information shared by any number of columns, in nats, as sums of mutual information.

Of two columns, each of these but the O-information is their mutual information. Every part is a mutual
information, conditional or not, in its residual form: what ought to be 0 is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np

from infolake.errors import UsageError
from infolake.measures.catalogue import Tables, Values, joint_measure
from infolake.measures.estimators import EntropyEstimator
from infolake.measures.information import empty, mutual
from infolake.tables import ContingencyTable, Strata

MAX_ORDER = 16  # the co-information of k columns is a sum over 2**(k - 2) conditional ones
MAX_JOINED = 2**22
Estimator = str | EntropyEstimator


def _mutual(tables: Tables, *, entropy: Estimator = "plug_in") -> Values:
    return mutual(tables, entropy)


def _nothing(tables: Tables, *, entropy: Estimator = "plug_in") -> Values:  # noqa: ARG001
    """Return 0 where there are rows: two columns have no higher order."""
    return np.where(empty(tables), np.nan, 0.0)


@joint_measure(
    "interaction",
    pair=_mutual,
    bounds=(None, None),
    reference="McGill 1954, Psychometrika 19; Bell 2003, ICA (sign)",
    formula="I(X;Y) - I(X;Y|Z); minus the sum over subsets S of (-1)^|S| H(S)",
)
def co_information(table: ContingencyTable, *, entropy: Estimator = "plug_in") -> float:
    """Return the co-information of all columns; for three, I(X;Y) - I(X;Y|Z), below 0 for synergy.

    The sign is that of Bell 2003: redundancy of three columns counts as positive. Some texts define
    interaction information with the opposite sign for an odd number of columns.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two to sixteen columns; the MI of two.
    base : float or str
        The unit.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Raises
    ------
    UsageError
        More than sixteen columns.

    Examples
    --------
    >>> co_information(ContingencyTable([[[1, 0], [0, 1]], [[0, 1], [1, 0]]]))
    -1.0
    """
    if table.ndim > MAX_ORDER:
        raise UsageError(f"co_information takes at most {MAX_ORDER} columns", found=f"{table.ndim}")
    first, second, *others = table.columns
    subsets = [given for k in range(len(others) + 1) for given in combinations(others, k)]
    terms = (
        (-1) ** len(given) * _conditional(table, (first,), (second,), given, entropy) for given in subsets
    )
    return math.fsum(terms)


@joint_measure(
    "multiinformation",
    "tc",
    pair=_mutual,
    reference="Watanabe 1960, IBM J. Res. Dev. 4",
    formula="sum of H(X_i) - H(X_1,...,X_k)",
)
def total_correlation(table: ContingencyTable, *, entropy: Estimator = "plug_in") -> float:
    """Return the sum of the columns' entropies less their joint entropy; MI for two columns.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two or more columns.
    base : float or str
        The unit.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Notes
    -----
    The sum of I(X_1..X_k; X_k+1) over k.

    Examples
    --------
    >>> total_correlation(ContingencyTable([[[1, 0], [0, 0]], [[0, 0], [0, 1]]]))
    2.0
    """
    names = table.columns
    return math.fsum(
        _conditional(table, names[:k], names[k : k + 1], (), entropy) for k in range(1, table.ndim)
    )


@joint_measure(
    "dtc",
    "binding_information",
    pair=_mutual,
    reference="Han 1978, Inf. Control 36",
    formula="H(X_1,...,X_k) - sum of H(X_i | all others)",
)
def dual_total_correlation(table: ContingencyTable, *, entropy: Estimator = "plug_in") -> float:
    """Return the joint entropy less what each column alone holds of it; MI for two columns.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two or more columns.
    base : float or str
        The unit.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Notes
    -----
    The sum of I(X_k; X_k+1.. | X_1..X_k-1) over k.

    Examples
    --------
    >>> dual_total_correlation(ContingencyTable([[[1, 0], [0, 1]], [[0, 1], [1, 0]]]))
    2.0
    """
    names = table.columns
    return math.fsum(
        _conditional(table, names[k : k + 1], names[k + 1 :], names[:k], entropy)
        for k in range(table.ndim - 1)
    )


@joint_measure(
    "omega",
    pair=_nothing,
    bounds=(None, None),
    reference="Rosas et al. 2019, Phys. Rev. E 100",
    formula="total correlation - dual total correlation",
)
def o_information(table: ContingencyTable, *, entropy: Estimator = "plug_in") -> float:
    """Return total less dual total correlation: above 0 for redundancy, below for synergy.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two or more columns; 0 for two, the co-information of three.
    base : float or str
        The unit.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> o_information(ContingencyTable([[[1, 0], [0, 1]], [[0, 1], [1, 0]]]))
    -1.0
    """
    total: float = total_correlation.__wrapped__(table, entropy=entropy)  # type: ignore[attr-defined]
    dual: float = dual_total_correlation.__wrapped__(table, entropy=entropy)  # type: ignore[attr-defined]
    return total - dual


def _conditional(
    table: ContingencyTable,
    first: Sequence[str],
    second: Sequence[str],
    given: Sequence[str],
    entropy: Estimator,
) -> float:
    """Return the MI of two groups of columns, given a third, in nats."""
    if not given:
        pair = _joined(table.marginal(*first, *second), (len(first), len(second)))
        return float(mutual(pair.batch(), entropy)[0])
    cube = _joined(table.marginal(*first, *second, *given), (len(first), len(second), len(given)))
    strata = cube.strata()
    groups = np.zeros(len(strata), dtype=np.int64)
    return float(mutual(Strata(strata, groups, 1), entropy)[0])


def _joined(table: ContingencyTable, sizes: Sequence[int]) -> ContingencyTable:
    """Return the table with each run of ``sizes`` columns joined to one."""
    if all(size == 1 for size in sizes):
        return table
    codes, counts = table.cells
    bounds = np.cumsum([0, *sizes]).tolist()
    parts = [_join(codes[a:b], table.shape[a:b]) for a, b in pairwise(bounds)]
    return ContingencyTable.from_cells(
        [part for part, _ in parts],
        counts,
        levels=[range(n) for _, n in parts],
        columns=[f"v{i}" for i in range(len(parts))],
        n_effective=table.n_effective,
    )


def _join(codes: Sequence[np.ndarray], shape: Sequence[int]) -> tuple[np.ndarray, int]:
    """Return one code per combination of levels: of all, or of the present ones where they are many."""
    if math.prod(shape) <= MAX_JOINED:
        return np.ravel_multi_index(tuple(codes), tuple(shape)), math.prod(shape)
    found, joined = np.unique(np.stack(codes), axis=1, return_inverse=True)
    return joined.ravel(), found.shape[1]
