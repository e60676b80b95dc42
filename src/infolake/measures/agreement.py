"""Normalized and adjusted mutual information, and their relatives: scores without a unit.

Limits are those of scikit-learn: two constant columns agree perfectly (1), a share of an entropy that
is 0 is 1, and a normalized score whose MI is 0 is 0. Zero rows give NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infolake.errors import UsageError
from infolake.measures import numerics
from infolake.measures.catalogue import Tables, Values, checked, measure
from infolake.measures.information import constant, empty, entropy_of, equivocation, mutual
from infolake.tables import TableBatch

AVERAGES = ("arithmetic", "geometric", "min", "max", "joint")
GROUP_FROM = 32  # margins of so many levels are grouped by value before the pairs are formed
VINH = "Vinh, Epps & Bailey 2010, JMLR 11"
THEIL = "Theil 1970, Am. J. Sociol. 76"
ROSENBERG = "Rosenberg & Hirschberg 2007, EMNLP"


@measure(
    "nmi",
    bounds=(0.0, 1.0),
    conditional=True,
    reference="Strehl & Ghosh 2002, JMLR 3",
    formula="I / average(H(X), H(Y))",
)
def normalized_mutual_information(
    tables: Tables, *, average: str = "arithmetic", entropy: str = "plug_in"
) -> Values:
    """Return I(X;Y) over an average of H(X) and H(Y).

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns.
    average : str
        "arithmetic", "geometric", "min", "max", or "joint" for I / H(X,Y).
    entropy : str
        The entropy estimator of both parts.

    Returns
    -------
    float or ndarray of shape (B,)
        0 to 1 for the plug-in. Two constant columns give 1; otherwise MI = 0 gives 0.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> normalized_mutual_information(ContingencyTable([[2, 0], [0, 2]]))
    1.0
    """
    return _normalized(tables, average, entropy)


@measure(
    "emi",
    unit="information",
    best="low",
    reference=VINH,
    formula="mean of I over all tables of the same margins",
)
def expected_mutual_information(batch: TableBatch) -> Values:
    """Return the mean MI of all tables with the same margins: what chance alone gives.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns of counts; NaN for weighted tables, whose margins are not numbers of rows.
    base : float or str
        The unit.

    Notes
    -----
    The cell of margins a and b is hypergeometric. The mean of n ln(n N / (a b)) equals that of
    E excess(d), whose terms are all >= 0. Equal margins are summed once.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(expected_mutual_information(ContingencyTable([[2, 0], [0, 2]]), base="e"), 6)
    0.231049
    """
    return _expected(batch)


@measure("ami", bounds=(None, 1.0), reference=VINH, formula="(I - E[I]) / (average(H(X), H(Y)) - E[I])")
def adjusted_mutual_information(batch: TableBatch, *, average: str = "arithmetic") -> Values:
    """Return (I - E[I]) / (average of H(X) and H(Y) - E[I]): 0 for chance, 1 for agreement.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns of counts; NaN for weighted tables.
    average : str
        "arithmetic", "geometric", "min", "max" or "joint".

    Returns
    -------
    float or ndarray of shape (B,)
        At most 1; may lie below 0. Two constant columns give 1, one gives 0. If every row is a level
        of its own in a column, every table with these margins has the same MI: then 0, or 1 where
        the average leaves no room either.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(adjusted_mutual_information(ContingencyTable([[5, 1, 0], [1, 4, 1], [0, 2, 3]])), 5)
    0.27821
    """
    expected = _expected(batch)
    room = averaged(batch, average) - expected
    scores = _over(mutual(batch) - expected, room, 1.0)
    unique_x, unique_y = _unique(batch, "x"), _unique(batch, "y")
    perfect = unique_x & unique_y | (unique_x | unique_y) & (average == "min")
    scores = np.where(unique_x | unique_y, np.where(perfect, 1.0, 0.0), scores)
    single_x, single_y = constant(batch, "x"), constant(batch, "y")
    scores = np.where(single_x | single_y, np.where(single_x & single_y, 1.0, 0.0), scores)
    return np.where(np.isnan(expected), np.nan, scores)


@measure(
    "theils_u",
    symmetric=False,
    bounds=(0.0, 1.0),
    conditional=True,
    reference=THEIL,
    formula="U(Y|X) = I / H(Y)",
)
def uncertainty_coefficient(tables: Tables, *, given: str = "x", entropy: str = "plug_in") -> Values:
    """Return U(Y|X) = I / H(Y): the share of Y's entropy that X explains.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns.
    given : str
        "x" for U(Y|X), "y" for U(X|Y) = I / H(X), "symmetric" for 2 I / (H(X) + H(Y)).
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Returns
    -------
    float or ndarray of shape (B,)
        0 to 1 for the plug-in; 1 where the explained entropy is 0.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> uncertainty_coefficient(ContingencyTable([[1, 0], [1, 0], [0, 2]]))
    1.0
    """
    if checked("given", given, ("x", "y", "symmetric")) == "symmetric":
        return _normalized(tables, "arithmetic", entropy)
    return _share(tables, "y" if given == "x" else "x", entropy, 1.0)


@measure(symmetric=False, bounds=(0.0, 1.0), conditional=True, reference=ROSENBERG, formula="I / H(X)")
def homogeneity(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return I / H(X), with the rows as true classes: 1 if each column level holds one class only.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Classes (rows) by clusters (columns).
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> homogeneity(ContingencyTable([[1, 1, 0], [0, 0, 2]]))
    1.0
    """
    return _share(tables, "x", entropy, 1.0)


@measure(symmetric=False, bounds=(0.0, 1.0), conditional=True, reference=ROSENBERG, formula="I / H(Y)")
def completeness(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return I / H(Y), with the rows as true classes: 1 if each class lies in one cluster.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Classes (rows) by clusters (columns).
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> completeness(ContingencyTable([[1, 0], [1, 0], [0, 2]]))
    1.0
    """
    return _share(tables, "y", entropy, 1.0)


@measure(
    symmetric=False,
    bounds=(0.0, 1.0),
    conditional=True,
    reference=ROSENBERG,
    formula="(1 + beta) h c / (beta h + c), h homogeneity, c completeness",
)
def v_measure(tables: Tables, *, beta: float = 1.0, entropy: str = "plug_in") -> Values:
    """Return the weighted harmonic mean of homogeneity and completeness; NMI for ``beta=1``.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Classes (rows) by clusters (columns).
    beta : float
        Above 1, completeness weighs more.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> v_measure(ContingencyTable([[2, 0], [0, 2]]))
    1.0
    """
    if not beta > 0:
        raise UsageError("beta must be above 0", found=str(beta))
    h, c = _share(tables, "x", entropy, 1.0), _share(tables, "y", entropy, 1.0)
    return _over((1 + beta) * h * c, beta * h + c, 0.0)


@measure(
    "gain_ratio",
    symmetric=False,
    bounds=(0.0, 1.0),
    conditional=True,
    reference="Quinlan 1986, Mach. Learn. 1",
    formula="I / H(X)",
)
def information_gain_ratio(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return I / H(X), with the rows as the attribute; 0 for a constant attribute.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Attribute (rows) by class (columns).
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(information_gain_ratio(ContingencyTable([[2, 3], [4, 0], [3, 2]])), 3)
    0.156
    """
    return _share(tables, "x", entropy, 0.0)


@measure(
    "nvi",
    bounds=(0.0, 1.0),
    conditional=True,
    best="low",
    reference=VINH,
    formula="(H(X|Y) + H(Y|X)) / H(X,Y)",
)
def normalized_variation_of_information(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return (H(X|Y) + H(Y|X)) / H(X,Y); 0 for two constant columns.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> normalized_variation_of_information(ContingencyTable([[1, 1], [1, 1]]))
    1.0
    """
    variation = equivocation(tables, "x", entropy) + equivocation(tables, "y", entropy)
    return _over(variation, entropy_of(tables, "xy", entropy), 0.0)


@measure(
    "nid",
    bounds=(0.0, 1.0),
    conditional=True,
    best="low",
    reference="Li et al. 2004, IEEE Trans. Inf. Theory 50; Vinh, Epps & Bailey 2010, JMLR 11",
    formula="1 - I / max(H(X), H(Y))",
)
def normalized_information_distance(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return max(H(X|Y), H(Y|X)) / max(H(X), H(Y)), a metric; 0 for two constant columns.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> normalized_information_distance(ContingencyTable([[1, 1], [1, 1]]))
    1.0
    """
    x, y = entropy_of(tables, "x", entropy), entropy_of(tables, "y", entropy)
    left = np.maximum(equivocation(tables, "x", entropy), equivocation(tables, "y", entropy))
    return _over(left, np.maximum(x, y), 0.0)


@measure(
    "su",
    bounds=(0.0, 1.0),
    conditional=True,
    reference="Witten & Frank 2005, Data Mining, ch. 7",
    formula="2 I / (H(X) + H(Y))",
)
def symmetric_uncertainty(tables: Tables, *, entropy: str = "plug_in") -> Values:
    """Return 2 I / (H(X) + H(Y)): the normalized mutual information with the arithmetic mean.

    Parameters
    ----------
    table : ContingencyTable, TableBatch or Strata
        Two columns.
    entropy : str
        The entropy estimator; its options are those of `mutual_information`.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> symmetric_uncertainty(ContingencyTable([[2, 0], [0, 2]]))
    1.0
    """
    return _normalized(tables, "arithmetic", entropy)


def averaged(tables: Tables, average: str, entropy: str = "plug_in") -> Values:
    """Return the chosen average of H(X) and H(Y) in nats; "joint" is H(X,Y)."""
    if checked("average", average, AVERAGES) == "joint":
        return entropy_of(tables, "xy", entropy)
    x, y = entropy_of(tables, "x", entropy), entropy_of(tables, "y", entropy)
    if average == "arithmetic":
        return (x + y) / 2
    if average == "geometric":
        with np.errstate(invalid="ignore"):  # a corrected entropy may be below 0
            return np.asarray(np.sqrt(x) * np.sqrt(y))
    return np.minimum(x, y) if average == "min" else np.maximum(x, y)


def _normalized(tables: Tables, average: str, entropy: str) -> Values:
    information = mutual(tables, entropy)
    scores = _over(information, averaged(tables, average, entropy), 0.0)
    both = constant(tables, "x") & constant(tables, "y") & ~empty(tables)
    return np.where(both, 1.0, np.where(information == 0, 0.0, scores))


def _share(tables: Tables, side: str, entropy: str, limit: float) -> Values:
    """Return I over the entropy of a side; ``limit`` where that is 0."""
    return _over(mutual(tables, entropy), entropy_of(tables, side, entropy), limit)


def _over(numerator: Values, denominator: Values, limit: float) -> Values:
    """Return the quotient; ``limit`` where the denominator is 0, NaN where a part is."""
    safe = np.where(denominator == 0, 1.0, denominator)
    return np.where(denominator == 0, np.where(np.isnan(numerator), np.nan, limit), numerator / safe)


def _expected(batch: TableBatch) -> Values:
    values: Values = batch.cached("expected", lambda: _expect(batch))
    return values


def _expect(batch: TableBatch) -> Values:
    if batch.weighted:
        return np.full(len(batch), np.nan)
    rows = _grouped(batch.row_margins, batch.row_offsets)
    cols = _grouped(batch.col_margins, batch.col_offsets)
    out = np.empty(len(batch))
    numerics.expected_mi(*rows, *cols, batch.totals, out)
    return out


def _grouped(
    margins: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the margins of all tables, their multiplicities and offsets; long ones by distinct value."""
    sizes = np.diff(offsets)
    if not (sizes > GROUP_FROM).any():
        return margins.copy(), np.ones(len(margins), dtype=np.int64), offsets.copy()
    parts = [
        _distinct(margins[a:b]) for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ]
    lengths = np.array([len(values) for values, _ in parts])
    values, times = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return values, times, np.concatenate([[0], np.cumsum(lengths)])


def _distinct(margins: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if len(margins) <= GROUP_FROM:
        return margins, np.ones(len(margins), dtype=np.int64)
    return np.unique(margins, return_counts=True)


def _unique(batch: TableBatch, side: str) -> NDArray[np.bool_]:
    """Return where every row of a table has a level of its own: as many levels as rows."""
    levels = batch.n_rows_nonempty if side == "x" else batch.n_cols_nonempty
    return np.asarray((levels == batch.totals) & (batch.totals > 0))
