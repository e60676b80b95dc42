"""Entropies and mutual information of contingency tables, in nats.

`plug_in` says how they are summed. Limits: zero rows give NaN, constant columns have the entropy 0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from infolake.large_tables import FrequencyTable
from infolake.measures import estimators, joint_estimators, numerics, plug_in
from infolake.measures.catalogue import Tables, Values, checked, measure
from infolake.measures.estimators import EntropyEstimator
from infolake.tables import Strata

Estimator = str | EntropyEstimator
SIDES = ("x", "y")
SHANNON = "Shannon 1948, Bell Syst. Tech. J. 27"
COVER = "Cover & Thomas 2006, Elements of Information Theory, ch. 2"


@measure(
    "mi",
    "information_gain",
    unit="information",
    conditional=True,
    reference=SHANNON,
    formula="sum of p log(n N / (a b)) = H(X) + H(Y) - H(X,Y)",
)
def mutual_information(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return the mutual information I(X;Y): what one column tells about the other.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns. For strata: I(X;Y|Z), the mean over the strata.
    base : float or str
        2 (bits), "e" (nats), 10 (hartleys) or any number above 1.
    entropy : str
        The entropy estimator. Corrected estimates may lie below 0 and are not clipped. Weighted
        rows count as ``n_effective``; estimators that need whole counts refuse them.
    support : str or int, optional
        The possible levels of each column: "observed", "table" (empty ones too) or a number.
        Default: the estimator's own, "table" where its formula runs over empty levels.
    seed : int, optional
        For estimators that draw rows; default 0.

    Returns
    -------
    float or ndarray of shape (B,)
        In units of the base; 0 to min(H(X), H(Y)) for the plug-in. NaN for zero rows.

    Raises
    ------
    UnknownMeasureError
        An unknown estimator.
    UsageError
        An option that the estimator does not have; weights, with an estimator that needs whole
        counts or where it is not known how many rows they are worth.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> mutual_information(ContingencyTable([[3, 0], [0, 1]]), base="e")
    0.5623351446188083
    """
    return mutual(tables, entropy)


@measure(
    "h",
    symmetric=False,
    unit="information",
    conditional=True,
    best="low",
    needs="joint",
    reference=SHANNON,
    formula="sum of (a/N) log(N/a)",
)
def entropy(tables: Tables, *, of: str = "x", entropy: str = "plug_in") -> Values:
    """Return the entropy H of one column.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        One or two columns.
    base : float or str
        The unit.
    of : str
        "x" (the first column, the rows) or "y".
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Returns
    -------
    float or ndarray of shape (B,)
        0 to ln of the number of levels, in units of the base.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> entropy(ContingencyTable([2, 1, 1]))
    1.5
    """
    return entropy_of(tables, checked("of", of, SIDES), entropy)


@measure(
    "h_xy",
    unit="information",
    conditional=True,
    best="low",
    needs="joint",
    reference=SHANNON,
    formula="sum of p log(1/p)",
)
def joint_entropy(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return the joint entropy of all columns of the table.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Any number of columns.
    base : float or str
        The unit.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> joint_entropy(ContingencyTable([[1, 1], [1, 1]]))
    2.0
    """
    return entropy_of(tables, "xy", entropy)


@measure(
    "equivocation",
    symmetric=False,
    unit="information",
    conditional=True,
    best="low",
    reference=SHANNON,
    formula="H(Y|X) = sum of p log(a/n)",
)
def conditional_entropy(tables: Tables, *, given: str = "x", entropy: str = "plug_in") -> Values:
    """Return H(Y|X), or with ``given="y"`` H(X|Y): what stays open once the other is known.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns.
    base : float or str
        The unit.
    given : str
        "x" or "y": the column that is known.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> conditional_entropy(ContingencyTable([[1, 1], [2, 0]]))
    0.5
    """
    return equivocation(tables, checked("given", given, SIDES), entropy)


@measure(
    "vi",
    unit="information",
    conditional=True,
    best="low",
    reference="Meilă 2003, COLT",
    formula="H(X|Y) + H(Y|X)",
)
def variation_of_information(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return H(X|Y) + H(Y|X), a metric on partitions of the rows: 0 where each tells the other.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns.
    base : float or str
        The unit.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> variation_of_information(ContingencyTable([[1, 1], [1, 1]]))
    2.0
    """
    return equivocation(tables, "x", entropy) + equivocation(tables, "y", entropy)


@measure(
    "cmi",
    unit="information",
    conditional=True,
    needs="strata",
    reference=COVER,
    formula="sum over z of p(z) I(X;Y|Z=z)",
)
def conditional_mutual_information(
    tables: Tables, *, groups: NDArray[np.int64] | None = None, entropy: str = "plug_in"
) -> Values:
    """Return I(X;Y|Z): the MI within the strata of Z, averaged over the rows.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Three or more columns: the first two, given all others. Or one table per stratum.
    base : float or str
        The unit.
    groups : ndarray of int, shape (B,), optional
        For a batch: the group of each stratum; one value per group. Default: one group.
    entropy : str
        The entropy estimator, within each stratum.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> conditional_mutual_information(ContingencyTable([[[1, 0], [0, 1]], [[0, 1], [1, 0]]]))
    1.0
    """
    if isinstance(tables, Strata):
        return mutual(tables, entropy)
    ids = np.zeros(len(tables), dtype=np.int64) if groups is None else np.asarray(groups, dtype=np.int64)
    return mutual(Strata(tables, ids, int(ids.max(initial=0)) + 1), entropy)


def mutual(tables: Tables, entropy: Estimator = "plug_in") -> Values:
    """Return the MI in nats of each table, or of each group of strata."""
    if isinstance(tables, Strata):
        return _of_strata(tables, entropy, mutual(tables.batch, entropy), plug_in.mutual)
    estimate = estimators.get(entropy)
    compute = functools.partial(joint_estimators.mutual, tables, estimate)
    values: Values = tables.cached(f"mutual {estimate.key}", compute)
    return values


def entropy_of(tables: Tables, which: str, entropy: Estimator = "plug_in") -> Values:
    """Return the entropy in nats of "x", "y" or "xy" of each table, or of each group of strata."""
    if isinstance(tables, Strata):
        entropies = entropy_of(tables.batch, which, entropy)
        return _of_strata(tables, entropy, entropies, functools.partial(plug_in.entropy, which=which))
    estimate = estimators.get(entropy)
    compute = functools.partial(joint_estimators.entropy, tables, which, estimate)
    values: Values = tables.cached(f"entropy {which} {estimate.key}", compute)
    return values


def equivocation(tables: Tables, given: str, entropy: Estimator = "plug_in") -> Values:
    """Return the conditional entropy in nats given "x" or "y" of each table or group of strata."""
    if isinstance(tables, Strata):
        open_ends = equivocation(tables.batch, given, entropy)
        return _of_strata(tables, entropy, open_ends, functools.partial(plug_in.equivocation, given=given))
    if estimators.get(entropy).name != "plug_in":
        return entropy_of(tables, "xy", entropy) - entropy_of(tables, given, entropy)
    return plug_in.equivocation(tables, given)


def _of_strata(
    strata: Strata, entropy: Estimator, values: Values, joint: Callable[[FrequencyTable], Values]
) -> Values:
    """Return the strata's mean per group; of large groups by the plug-in, what ``joint`` says of them."""
    found = pooled(strata, values)
    if estimators.get(entropy).name == "plug_in" and not strata.batch.weighted:
        for group, table in strata.batch.cached("large", lambda: plug_in.large_strata(strata)):
            found[group] = joint(table)[0]
    return found


def pooled(strata: Strata, values: Values) -> Values:
    """Return the mean of the strata's values, weighted by their rows, per group; NaN without rows."""
    totals = strata.batch.totals.astype(np.float64)
    held = totals > 0
    groups = np.ascontiguousarray(strata.groups[held])
    return _group_sum(values[held] * totals[held], groups, strata.n_groups) / _nan_if_zero(
        _group_sum(totals[held], groups, strata.n_groups)
    )


def summed(strata: Strata, values: Values) -> Values:
    """Return the sum of the strata's values per group; NaN for groups without rows."""
    totals = strata.batch.totals.astype(np.float64)
    held = totals > 0
    groups = np.ascontiguousarray(strata.groups[held])
    rows = _group_sum(totals[held], groups, strata.n_groups)
    return np.where(rows > 0, _group_sum(values[held], groups, strata.n_groups), np.nan)


def constant(tables: Tables, side: str) -> NDArray[np.bool_]:
    """Return whether "x" or "y" has one level only, in each table or in all strata of each group."""
    if isinstance(tables, FrequencyTable) and tables.z is not None:
        own = tables.x if side == "x" else tables.y
        return np.array([own[1].sum() == tables.z[1].sum()])
    batch = tables.batch if isinstance(tables, Strata) else tables
    single = (batch.n_rows_nonempty if side == "x" else batch.n_cols_nonempty) <= 1
    if isinstance(tables, Strata):
        varied = np.bincount(tables.groups, weights=~single, minlength=tables.n_groups)
        return np.asarray(varied == 0)
    return np.asarray(single)


def empty(tables: Tables) -> NDArray[np.bool_]:
    """Return which tables, or groups of strata, hold no rows."""
    if isinstance(tables, Strata):
        return np.isnan(summed(tables, np.zeros(len(tables.batch))))
    return np.asarray(tables.totals == 0)


def _group_sum(terms: Values, groups: NDArray[np.int64], n_groups: int) -> Values:
    high, low = np.zeros(n_groups), np.zeros(n_groups)
    numerics.group_sums(terms, groups, high, low)
    return high + low


def _nan_if_zero(values: Values) -> Values:
    return np.where(values > 0, values, np.nan)
