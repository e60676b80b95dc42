"""Measures of single cells: the PMI family and word association.

n is a cell, a and b are its row and column margin, N is the total, E = a b / N, and the collapsed
2 x 2 table of a cell is (n, a - n; b - n, N - a - b + n). Margins are those of the whole table (or the
given ones), never of the cells that are shown.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.errors import UsageError
from infolake.measures import numerics
from infolake.measures.catalogue import Values, cell_measure
from infolake.measures.residuals import deviations
from infolake.tables import TableBatch

CHURCH = "Church & Hanks 1990, Comput. Linguist. 16"
BOUMA = "Bouma 2009, GSCL"
LEVY = "Levy, Goldberg & Dagan 2015, TACL 3"
DAILLE = "Daille 1994, PhD thesis, Paris 7"
DUNNING = "Dunning 1993, Comput. Linguist. 19"
MANNING = "Manning & Schütze 1999, Foundations of Statistical NLP, ch. 5"
EVERT = "Evert 2005, PhD thesis, Stuttgart"


@cell_measure("pmi", absent=-math.inf, unit="information", reference=CHURCH, formula="log(n N / (a b))")
def pointwise_mutual_information(batch: TableBatch, *, smoothing: float = 1.0) -> Values:
    """Return ln(n N / (a b)): how much more often the levels meet than independent ones would.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.
    base : float or str
        The unit.
    smoothing : float
        The power of the column margins (context distribution smoothing); 0.75 is usual for words.

    Returns
    -------
    ndarray
        The table's shape, -inf where no rows are; for a batch, one value per non-zero cell.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> pointwise_mutual_information(ContingencyTable([[2, 0], [0, 2]]))
    array([[  1., -inf],
           [-inf,   1.]])
    """
    return _pmi(batch, smoothing)


@cell_measure(
    "pmi_alpha",
    "smoothed_pmi",
    absent=-math.inf,
    symmetric=False,
    unit="information",
    reference=LEVY,
    formula="log(n / a / (b^alpha / sum of b^alpha))",
)
def context_smoothed_pointwise_mutual_information(batch: TableBatch, *, alpha: float = 0.75) -> Values:
    """Return PMI with the column margins to a power, which makes rare columns seem less surprising.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Words (rows) by contexts (columns).
    base : float or str
        The unit.
    alpha : float
        The power; 1 gives PMI.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> context_smoothed_pointwise_mutual_information(ContingencyTable([[4, 1], [12, 0]])).round(3)
    array([[-0.152,  0.848],
           [ 0.17 ,   -inf]])
    """
    return _pmi(batch, alpha)


@cell_measure("npmi", absent=-1.0, bounds=(-1.0, 1.0), reference=BOUMA, formula="PMI / -log(p)")
def normalized_pointwise_mutual_information(batch: TableBatch) -> Values:
    """Return PMI / -ln(n/N): 1 if the levels only meet each other, 0 if independent, -1 if never.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns. A cell that holds all rows gives 1.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> normalized_pointwise_mutual_information(ContingencyTable([[2, 0], [0, 2]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    information = -_log_share(batch)
    sure = information == 0
    return np.where(sure, 1.0, _pmi(batch) / np.where(sure, 1.0, information))


@cell_measure(
    "ppmi", absent=0.0, bounds=(0.0, None), unit="information", reference=LEVY, formula="max(0, PMI)"
)
def positive_pointwise_mutual_information(batch: TableBatch, *, smoothing: float = 1.0) -> Values:
    """Return max(0, PMI).

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.
    base : float or str
        The unit.
    smoothing : float
        The power of the column margins.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> positive_pointwise_mutual_information(ContingencyTable([[2, 0], [0, 2]]))
    array([[1., 0.],
           [0., 1.]])
    """
    return np.maximum(0.0, _pmi(batch, smoothing))


@cell_measure(
    "sppmi",
    absent=0.0,
    bounds=(0.0, None),
    unit="information",
    reference=LEVY,
    formula="max(0, PMI - log(shift))",
)
def shifted_positive_pointwise_mutual_information(
    batch: TableBatch, *, shift: float = 1.0, smoothing: float = 1.0
) -> Values:
    """Return max(0, PMI - ln(shift)).

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.
    base : float or str
        The unit.
    shift : float
        The number of negative samples k; above 0.
    smoothing : float
        The power of the column margins.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> shifted_positive_pointwise_mutual_information(ContingencyTable([[1, 0], [0, 3]]), shift=2)
    array([[1., 0.],
           [0., 0.]])
    """
    if not shift > 0:
        raise UsageError("shift must be above 0", found=str(shift))
    return np.maximum(0.0, _pmi(batch, smoothing) - math.log(shift))


@cell_measure("pmi_k", absent=-math.inf, unit="information", reference=DAILLE, formula="log(p^k N^2 / (a b))")
def powered_pointwise_mutual_information(batch: TableBatch, *, k: float = 2) -> Values:
    """Return PMI^k = ln(p**k / (p_x p_y)): PMI with less weight on rare cells.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.
    base : float or str
        The unit.
    k : float
        The power; 2 is mutual dependency, 3 the log-frequency biased one.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> powered_pointwise_mutual_information(ContingencyTable([[2, 0], [0, 2]]))
    array([[  0., -inf],
           [-inf,   0.]])
    """
    return _pmi(batch) + (k - 1) * _log_share(batch)


@cell_measure("pmi_contribution", absent=0.0, unit="information", reference=CHURCH, formula="p PMI")
def contribution(batch: TableBatch) -> Values:
    """Return n/N PMI, the cell's part of the mutual information: they sum to it.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.
    base : float or str
        The unit.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> contribution(ContingencyTable([[2, 0], [0, 2]]))
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    _, _, _, N = _floats(batch)
    return batch.cells / N * _pmi(batch)


@cell_measure(
    "llr",
    "likelihood_ratio",
    absent=None,
    bounds=(0.0, None),
    unit="count",
    reference=DUNNING,
    formula="2 * sum of n ln(n/E) over the collapsed 2 x 2 table",
)
def g(batch: TableBatch) -> Values:
    """Return G of the collapsed 2 x 2 table: Dunning's log-likelihood ratio.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(float(g(ContingencyTable([[110, 2442], [111, 29114]]))[0, 0]), 2)
    270.72
    """
    n, a, b, N = _exact(batch)
    gap = _gap(batch)
    total = np.zeros(len(batch.cells))
    corners = (
        (n, a, b, gap),
        (a - n, a, N - b, -gap),
        (b - n, N - a, b, -gap),
        ((N - a) - (b - n), N - a, N - b, gap),
    )
    for cell, row, col, change in corners:
        E = _float(row) * (_float(col) / _float(N))
        safe = np.where(E > 0, E, 1.0)
        part = np.empty(len(E))
        numerics.excesses(change / safe, _float(cell) / safe, part)
        total += np.where(E > 0, E * part, 0.0)
    return 2 * total


@cell_measure(
    "chi2",
    name="chi_squared",
    absent=None,
    bounds=(0.0, None),
    unit="count",
    reference=MANNING,
    formula="sum of (n - E)^2 / E over the collapsed 2 x 2 table",
)
def collapsed_chi_squared(batch: TableBatch) -> Values:
    """Return Pearson's statistic of the collapsed 2 x 2 table; 0 where a margin holds all rows.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> float(collapsed_chi_squared(ContingencyTable([[2, 0], [0, 2]]))[0, 0])
    4.0
    """
    return _collapsed_phi(batch) * _floats(batch)[3]


@cell_measure(
    "phi2",
    absent=None,
    bounds=(0.0, 1.0),
    reference="Gale & Church 1991, DARPA workshop",
    formula="chi squared of the collapsed 2 x 2 table / N",
)
def phi_squared(batch: TableBatch) -> Values:
    """Return the squared correlation of the two levels: chi squared of the collapsed table over N.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> float(phi_squared(ContingencyTable([[2, 0], [0, 2]]))[0, 0])
    1.0
    """
    return _collapsed_phi(batch)


@cell_measure(
    "root_llr",
    absent=None,
    reference="Apache Mahout, LogLikelihood.rootLogLikelihoodRatio",
    formula="sign(n - E) sqrt(G)",
)
def root_log_likelihood_ratio(batch: TableBatch) -> Values:
    """Return the square root of `g`, negative where the levels meet less often than by chance.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> bool(root_log_likelihood_ratio(ContingencyTable([[1, 2], [2, 1]]))[0, 0] < 0)
    True
    """
    collapsed: Values = g.__wrapped__(batch)  # type: ignore[attr-defined]
    return np.copysign(np.sqrt(collapsed), _gap(batch))


@cell_measure(absent=0.0, unit="count", reference=DUNNING, formula="2 n ln(n/E)")
def g_contribution(batch: TableBatch) -> Values:
    """Return 2 n ln(n/E), the cell's term of the table's G: they sum to it.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> round(float(g_contribution(ContingencyTable([[2, 0], [0, 2]])).sum()), 6)
    5.545177
    """
    return 2 * _float(batch.cells) * _pmi(batch)


@cell_measure(
    "chi2_contribution",
    absent=None,
    bounds=(0.0, None),
    unit="count",
    reference="Pearson 1900",
    formula="(n - E)^2 / E",
)
def chi_squared_contribution(batch: TableBatch) -> Values:
    """Return (n - E)**2 / E, the cell's term of the table's chi squared: they sum to it.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> chi_squared_contribution(ContingencyTable([[2, 0], [0, 2]]))
    array([[1., 1.],
           [1., 1.]])
    """
    return np.where(_expected(batch) > 0, _expected(batch) * deviations(batch) ** 2, 0.0)


@cell_measure(
    absent=0.0, bounds=(0.0, None), reference="Brin et al. 1997, SIGMOD (interest)", formula="n / E"
)
def lift(batch: TableBatch) -> Values:
    """Return n N / (a b): 1 if independent.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> lift(ContingencyTable([[2, 0], [0, 2]]))
    array([[2., 0.],
           [0., 2.]])
    """
    return _ratio(batch)


@cell_measure(
    absent=None, bounds=(0.0, None), unit="count", reference="Pearson 1900, Phil. Mag. 50", formula="a b / N"
)
def expected_count(batch: TableBatch) -> Values:
    """Return E = a b / N, what the cell would hold if the columns were independent.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> expected_count(ContingencyTable([[2, 0], [0, 2]]))
    array([[1., 1.],
           [1., 1.]])
    """
    return _expected(batch)


@cell_measure(
    "pearson_residual", "standardized_residual", absent=None, reference=EVERT, formula="(n - E) / sqrt(E)"
)
def z_score(batch: TableBatch) -> Values:
    """Return (n - E) / sqrt(E).

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> z_score(ContingencyTable([[2, 0], [0, 2]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    return np.where(_expected(batch) > 0, _gap(batch) / np.sqrt(_safe(_expected(batch))), 0.0)


@cell_measure("student_t", absent=-math.inf, reference=MANNING, formula="(n - E) / sqrt(n)")
def t_score(batch: TableBatch) -> Values:
    """Return (n - E) / sqrt(n).

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> t_score(ContingencyTable([[4, 0], [0, 4]]))
    array([[  1., -inf],
           [-inf,   1.]])
    """
    return _gap(batch) / np.sqrt(_float(batch.cells))


@cell_measure(absent=0.0, bounds=(0.0, 1.0), reference="Dice 1945, Ecology 26", formula="2 n / (a + b)")
def dice(batch: TableBatch) -> Values:
    """Return 2 n / (a + b).

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> dice(ContingencyTable([[2, 0], [0, 2]]))
    array([[1., 0.],
           [0., 1.]])
    """
    n, a, b, _ = _floats(batch)
    return 2 * n / (a + b)


@cell_measure(
    absent=-math.inf, bounds=(None, 14.0), reference="Rychlý 2008, RASLAN", formula="14 + log2(2 n / (a + b))"
)
def log_dice(batch: TableBatch) -> Values:
    """Return 14 + log2(2 n / (a + b)).

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> log_dice(ContingencyTable([[2, 0], [0, 2]]))
    array([[ 14., -inf],
           [-inf,  14.]])
    """
    n, a, b, _ = _floats(batch)
    out = np.empty(len(n))
    numerics.log_ratios(2 * n, a + b, out)
    return 14 + out / math.log(2)


@cell_measure(
    absent=0.0, bounds=(0.0, 1.0), reference="Jaccard 1912, New Phytol. 11", formula="n / (a + b - n)"
)
def jaccard(batch: TableBatch) -> Values:
    """Return n / (a + b - n).

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> jaccard(ContingencyTable([[2, 0], [0, 2]]))
    array([[1., 0.],
           [0., 1.]])
    """
    n, a, b, _ = _exact(batch)
    return np.asarray(_float(n) / (_float(a) + _float(b - n)))


@cell_measure(
    absent=0.0,
    bounds=(0.0, None),
    reference="Bird, Klein & Loper, NLTK: BigramAssocMeasures.mi_like",
    formula="n^power / (a b)",
)
def mi_like(batch: TableBatch, *, power: float = 3) -> Values:
    """Return n**power / (a b), as NLTK.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.
    power : float
        The power of n.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> mi_like(ContingencyTable([[2, 0], [0, 2]]))
    array([[2., 0.],
           [0., 2.]])
    """
    n, a, b, _ = _floats(batch)
    return n**power / (a * b)


@cell_measure(
    "phrase",
    "mikolov",
    absent=0.0,
    reference="Mikolov et al. 2013, NIPS 26",
    formula="(n - min_count) V / (a b)",
)
def phrase_score(batch: TableBatch, *, min_count: float = 5, vocabulary_size: float | None = None) -> Values:
    """Return (n - min_count) V / (a b), as word2vec and gensim score phrases.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns: first and second words.
    min_count : float
        What is taken off each count. Cells of at most so many rows score 0 or less; absent cells 0.
    vocabulary_size : float, optional
        V, which scales all scores. Default: the non-empty levels of the longer axis. gensim counts
        distinct words and distinct pairs.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> phrase_score(ContingencyTable([[9, 1], [1, 9]]), min_count=4)
    array([[ 0.1 , -0.06],
           [-0.06,  0.1 ]])
    """
    n, a, b, _ = _floats(batch)
    size: Any = vocabulary_size
    if size is None:
        size = np.maximum(batch.n_rows_nonempty, batch.n_cols_nonempty)[batch.table_of_cell]
    return np.asarray((n - min_count) / a * (size / b))


@cell_measure(
    absent=0.0,
    unit="none",
    reference="Quasthoff & Wolff 2002 (NLTK: poisson_stirling)",
    formula="n (log2(n/E) - 1)",
)
def poisson_stirling(batch: TableBatch) -> Values:
    """Return n (log2(n/E) - 1), as NLTK.

    Parameters
    ----------
    table : ContingencyTable or TableBatch
        Two columns.

    Examples
    --------
    >>> from infolake.tables import ContingencyTable
    >>> poisson_stirling(ContingencyTable([[2, 0], [0, 2]]))
    array([[0., 0.],
           [0., 0.]])
    """
    return _float(batch.cells) * (_pmi(batch) / math.log(2) - 1)


def _exact(batch: TableBatch) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    return (batch.cells, *batch.cached("cell margins", lambda: batch.cell_margins))


def _floats(batch: TableBatch) -> tuple[Values, Values, Values, Values]:
    n, a, b, N = _exact(batch)
    return _float(n), _float(a), _float(b), _float(N)


def _float(values: NDArray[Any]) -> Values:
    return values.astype(np.float64)


def _safe(values: Values) -> Values:
    return np.where(values > 0, values, 1.0)


def _expected(batch: TableBatch) -> Values:
    _, a, b, N = _floats(batch)
    return a * b / _safe(N)


def _gap(batch: TableBatch) -> Values:
    """Return n - E, from the exact numerator; 0 where a margin is 0."""
    return np.where(_expected(batch) > 0, deviations(batch) * _expected(batch), 0.0)


def _ratio(batch: TableBatch) -> Values:
    n, a, b, N = _floats(batch)
    return n * N / (a * b)


def _pmi(batch: TableBatch, smoothing: float = 1.0) -> Values:
    out = np.empty(len(batch.cells))
    numerics.log1p_ratios(deviations(batch), _ratio(batch), out)
    if smoothing == 1.0:
        return out
    return out + _smoothed(batch, smoothing)


def _smoothed(batch: TableBatch, power: float) -> Values:
    """Return ln(p_y / p_y,smoothed) per cell, p_y,smoothed = b**power / sum of b**power."""
    powers = np.where(batch.col_margins > 0, batch.col_margins.astype(np.float64) ** power, 0.0)
    sums = np.empty(len(batch))
    numerics.segment_sums(powers, batch.col_offsets, sums)
    table = batch.table_of_cell
    _, _, b, N = _floats(batch)
    return np.asarray(np.log(b / N) - np.log(b**power / sums[table]))


def _log_share(batch: TableBatch) -> Values:
    n, _, _, N = _exact(batch)
    out = np.empty(len(n))
    numerics.log_ratios(n, N, out)
    return out


def _collapsed_phi(batch: TableBatch) -> Values:
    _, a, b, N = _exact(batch)
    others = _float(N - a) * _float(N - b)
    product = _float(a) * _float(b)
    d = np.where(others > 0, np.nan_to_num(deviations(batch)), 0.0)
    return np.asarray(d * d * (product / _safe(others)))
