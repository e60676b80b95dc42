"""Estimators of the entropy of one column, or of one pair of columns, from its counts.

An estimator takes the distinct counts n_i > 0 (float64), how many levels have each (float64) and the
support K, and returns nats. N is the sum of all counts. K is the number of levels that were observed,
or, for estimators whose formula runs over empty cells, the number of levels of the table
(``support="table"``, declared beside each).

With an estimator other than "plug_in" the mutual information is H(X) + H(Y) - H(X, Y). The exception
is "james_stein", which shrinks the joint table once and takes all three from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from infolake.errors import UnknownMeasureError, nearest, printable
from infolake.measures import numerics

Floats = NDArray[np.float64]
Formula = Callable[..., float]  # (n, m), and K where the support is the table


@dataclass(frozen=True)
class EntropyEstimator:
    """An entropy estimator and its properties.

    Parameters
    ----------
    name : str
        The name that ``entropy=`` takes.
    aliases : tuple of str
        Other names.
    support : str
        "observed" or "table": which levels K counts.
    reference : str
        Where the formula comes from.
    formula : callable
        ``(counts, multiplicities) -> nats``; with ``support="table"`` K is the third argument.
    """

    name: str
    aliases: tuple[str, ...]
    support: str
    reference: str
    formula: Formula = field(repr=False)

    def __call__(self, counts: Any, multiplicities: Any, support: int) -> float:
        """Return the entropy in nats; NaN where there are no counts.

        Parameters
        ----------
        counts : array_like, shape (n,)
            Distinct positive counts.
        multiplicities : array_like, shape (n,)
            How many levels have each.
        support : int
            The number of levels K.
        """
        n, m = np.asarray(counts, dtype=np.float64), np.asarray(multiplicities, dtype=np.float64)
        if not len(n):
            return math.nan
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            return float(self.formula(n, m, support) if self.support == "table" else self.formula(n, m))


_estimators: dict[str, EntropyEstimator] = {}
_aliases: dict[str, str] = {}


def estimator(*aliases: str, support: str = "observed", reference: str) -> Callable[[Formula], Formula]:
    """Register an entropy estimator under the name of its function."""

    def register(formula: Formula) -> Formula:
        name = formula.__name__
        _estimators[name] = EntropyEstimator(name, aliases, support, reference, formula)
        _aliases.update(dict.fromkeys((name, *aliases), name))
        return formula

    return register


def get(name: str) -> EntropyEstimator:
    """Return the estimator of a name or alias.

    Raises
    ------
    UnknownMeasureError
        If there is none; the message gives the nearest name.

    Examples
    --------
    >>> get("laplace").name
    'dirichlet_laplace'
    """
    try:
        return _estimators[_aliases[name]]
    except (KeyError, TypeError):
        what = f"there is no entropy estimator {printable(name)!r}"
        raise UnknownMeasureError(what, next=nearest(name, sorted(_aliases))) from None


def every() -> tuple[EntropyEstimator, ...]:
    """Return all estimators, by name."""
    return tuple(_estimators[name] for name in sorted(_estimators))


def _sum(terms: Floats) -> float:
    return math.fsum(terms.tolist())


@estimator("ml", "maximum_likelihood", "empirical", reference="Shannon 1948")
def plug_in(n: Floats, m: Floats) -> float:
    """Return the entropy of the observed frequencies: sum of n/N ln(N/n)."""
    out = np.empty(1)
    numerics.entropies(n, m, np.array([0, len(n)]), np.array([_sum(n * m)]), out)
    return float(out[0])


@estimator("mm", reference="Miller 1955")
def miller_madow(n: Floats, m: Floats) -> float:
    """Return plug-in + (K - 1) / 2N, K the observed levels."""
    return plug_in(n, m) + (_sum(m) - 1) / (2 * _sum(n * m))


@estimator("cs", reference="Chao & Shen 2003, Environ. Ecol. Stat. 10")
def chao_shen(n: Floats, m: Floats) -> float:
    """Return the coverage-adjusted, Horvitz-Thompson weighted entropy."""
    N, singletons = _sum(n * m), _times(n, m, 1)
    if singletons == N:
        singletons -= 1
    p = (1 - singletons / N) * n / N
    seen = -np.expm1(N * np.log1p(-p))
    return _sum(m * np.where(p > 0, -p * np.log(p) / seen, 0.0))


def _times(n: Floats, m: Floats, count: int) -> float:
    return _sum(m[n == count])


@estimator(reference="Zhang 2012, Neural Comput. 24")
def zhang(n: Floats, m: Floats) -> float:
    """Return the sum of n/N (psi(N) - psi(n))."""
    N = _sum(n * m)
    return _sum(m * (n / N) * (special.digamma(N) - special.digamma(n)))


@estimator("cwj", reference="Chao, Wang & Jost 2013, Methods Ecol. Evol. 4")
def chao_wang_jost(n: Floats, m: Floats) -> float:
    """Return Zhang's estimate and the part of the unseen levels, as a stable integral."""
    N, once, twice = _sum(n * m), _times(n, m, 1), _times(n, m, 2)
    if once == 0 or (once == 1 and twice == 0):
        return zhang(n, m)
    rest = 2 * twice if twice > 0 else 2
    share = rest / ((N - 1) * (once if twice > 0 else once - 1) + rest)
    return zhang(n, m) + once / N * _unseen(N, share)


def _unseen(N: float, share: float) -> float:
    """Return the integral over t > 0 of z exp(-N t) / (1 - z exp(-t)), z = 1 - share.

    Trapezoids in u = ln(N t): the integrand is analytic for |Im u| < pi/2 and vanishes at both ends.
    """
    step = 0.1
    u = np.arange(math.log(min(share * N, 1.0)) - 42, 7, step)
    s = np.exp(u)
    z = 1 - share
    return step * _sum(np.exp(-s) * s * z / (N * (share - z * np.expm1(-s / N))))


@estimator("grassberger88", reference="Grassberger 1988, Phys. Lett. A 128")
def grassberger_1988(n: Floats, m: Floats) -> float:
    """Return the sum of n/N (ln N - psi(n) - (-1)^n / (n + 1))."""
    N = _sum(n * m)
    return _sum(m * (n / N) * (math.log(N) - special.digamma(n) - _sign(n) / (n + 1)))


@estimator("grassberger", "grassberger03", reference="Grassberger 2003, arXiv physics/0307138")
def grassberger_2003(n: Floats, m: Floats) -> float:
    """Return the sum of n/N (ln N - G(n)), G(n) = psi(n) + (-1)^n/2 (psi((n+1)/2) - psi(n/2))."""
    N = _sum(n * m)
    halves = special.digamma((n + 1) / 2) - special.digamma(n / 2)
    return _sum(m * (n / N) * (math.log(N) - special.digamma(n) - 0.5 * _sign(n) * halves))


def _sign(n: Floats) -> Floats:
    return 1.0 - 2.0 * (n % 2)


@estimator(support="table", reference="Bonachela, Hinrichsen & Muñoz 2008, J. Phys. A 41")
def bonachela(n: Floats, m: Floats, support: int) -> float:
    """Return 1/(N + 2) times the sum of (n + 1)(psi(N + 3) - psi(n + 2)) over all K levels."""
    n, m = _with_empty(n, m, support)
    N = _sum(n * m)
    return _sum(m * (n + 1) * (special.digamma(N + 3) - special.digamma(n + 2))) / (N + 2)


def _with_empty(n: Floats, m: Floats, support: int) -> tuple[Floats, Floats]:
    empty = support - _sum(m)
    return np.concatenate([[0.0], n]), np.concatenate([[max(empty, 0.0)], m])


@estimator("js_marginal", support="table", reference="Hausser & Strimmer 2009, JMLR 10")
def james_stein_marginal(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of the frequencies shrunk towards 1/K, each entropy by itself."""
    n, m = _with_empty(n, m, support)
    weight = shrinkage(n, m, support)
    return _entropy_of(weight / support + (1 - weight) * n / _sum(n * m), m)


def _entropy_of(p: Floats, m: Floats) -> float:
    logs = np.where(p > 0.5, np.log1p(p - 1), np.log(np.where(p > 0, p, 1.0)))
    return -_sum(m * p * logs)


def shrinkage(n: Floats, m: Floats, support: int) -> float:
    """Return the James-Stein weight of the uniform target, 0 to 1; all K levels are listed."""
    N = _sum(n * m)
    p = n / N
    distance = _sum(m * (p - 1 / support) ** 2)
    if N <= 1 or distance == 0:
        return 1.0
    return min(1.0, max(0.0, _sum(m * p * (1 - p)) / (N - 1) / distance))


@estimator("shrink", "js", support="table", reference="Hausser & Strimmer 2009, JMLR 10 (R: mi.shrink)")
def james_stein(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of the frequencies shrunk towards 1/K.

    For two columns the joint table is shrunk once, and every entropy is that of the shrunk table.
    """
    return james_stein_marginal(n, m, support)


def _dirichlet(n: Floats, m: Floats, support: int, alpha: float) -> float:
    n, m = _with_empty(n, m, support)
    return _entropy_of((n + alpha) / (_sum(n * m) + support * alpha), m)


@estimator(
    "dirichlet",
    "jeffreys",
    support="table",
    reference="Krichevsky & Trofimov 1981, IEEE Trans. Inf. Theory 27",
)
def dirichlet_jeffreys(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of n + 1/2."""
    return _dirichlet(n, m, support, 0.5)


@estimator("laplace", support="table", reference="Holste, Große & Herzel 1998, J. Phys. A 31")
def dirichlet_laplace(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of n + 1."""
    return _dirichlet(n, m, support, 1.0)


@estimator(
    "schurmann_grassberger", "perks", support="table", reference="Schürmann & Grassberger 1996, Chaos 6"
)
def dirichlet_schurmann_grassberger(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of n + 1/K."""
    return _dirichlet(n, m, support, 1.0 / support)


@estimator("minimax", support="table", reference="Trybula 1958, Ann. Math. Stat. 29")
def dirichlet_minimax(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of n + sqrt(N)/K."""
    return _dirichlet(n, m, support, math.sqrt(_sum(n * m)) / support)


@estimator(support="table", reference="Wolpert & Wolf 1995, Phys. Rev. E 52")
def dirichlet_posterior_mean(n: Floats, m: Floats, support: int) -> float:
    """Return the mean entropy of the Dirichlet posterior with the prior 1/2 for every level."""
    return _posterior_mean(n, m, support, 0.5)


def _posterior_mean(n: Floats, m: Floats, support: int, alpha: float) -> float:
    n, m = _with_empty(n, m, support)
    total = _sum(n * m) + support * alpha
    return float(special.digamma(total + 1) - _sum(m * (n + alpha) / total * special.digamma(n + alpha + 1)))


@estimator(reference="Zahl 1977, Ecology 58")
def jackknife(n: Floats, m: Floats) -> float:
    """Return N H - (N - 1)/N times the sum of n H(without one row of that level).

    Equal to g(N) minus the mean of g(n) over the rows, g(n) = n ln n - (n - 1) ln(n - 1).
    """
    N = _sum(n * m)
    return _sum(m * (n / N) * (_step(np.array([N])) - _step(n)))


def _step(n: Floats) -> Floats:
    lower = np.where(n > 1, (n - 1) * np.log1p(-1 / np.where(n > 1, n, 2.0)), 0.0)
    return np.asarray(np.log(n) - lower)


@estimator(reference="Nemenman, Bialek & de Ruyter van Steveninck 2004, Phys. Rev. E 69 (asymptotic)")
def ansb(n: Floats, m: Floats) -> float:
    """Return (gamma - ln 2) + 2 ln N - psi(N - K), for N much smaller than the alphabet; NaN if N = K."""
    N, K = _sum(n * m), _sum(m)
    if N == K:
        return math.nan
    return float(np.euler_gamma - math.log(2) + 2 * math.log(N) - special.digamma(N - K))


@estimator(support="table", reference="Nemenman, Shafee & Bialek 2002, NIPS 14")
def nsb(n: Floats, m: Floats, support: int) -> float:
    """Return the posterior mean entropy under a prior that is nearly flat in the entropy."""
    if support <= 1:
        return 0.0
    grid = np.linspace(-60.0, 60.0, 1201)
    for _ in range(2):
        weights = _log_evidence(grid, n, m, support)
        near = grid[weights > weights.max() - 45]
        grid = np.linspace(near[0] - 0.1, near[-1] + 0.1, 1201)
    weights = _log_evidence(grid, n, m, support)
    weights = np.exp(weights - weights.max())
    means = np.array([_posterior_mean(n, m, support, math.exp(u)) for u in grid])
    return _sum(weights * means) / _sum(weights)


def _log_evidence(u: Floats, n: Floats, m: Floats, support: int) -> Floats:
    """Return ln of (likelihood of beta times the prior of beta times beta) at beta = exp(u)."""
    beta = np.exp(u)
    value = u + np.log(_nsb_prior(beta, support)) - _log_rising(support * beta, _sum(n * m))
    for count, times in zip(n.tolist(), m.tolist(), strict=True):
        value = value + times * _log_rising(beta, count)
    return np.asarray(value)


def _nsb_prior(beta: Floats, K: int) -> Floats:
    """Return K psi'(K beta + 1) - psi'(beta + 1), which cancels for large beta: there, its series."""
    near = np.minimum(beta, 100.0)
    exact = K * special.polygamma(1, K * near + 1) - special.polygamma(1, near + 1)
    x = np.maximum(beta, 100.0)
    bernoulli = ((2, 1 / 2), (3, -1 / 6), (5, 1 / 30), (7, -1 / 42), (9, 1 / 30))
    series = [c * (1 - float(K) ** (1 - power)) * x**-power for power, c in bernoulli]
    return np.asarray(np.where(beta < 100, exact, np.sum(series, axis=0)))


def _log_rising(x: Floats, n: float) -> Floats:
    """Return ln Gamma(x + n) - ln Gamma(x), by Stirling's series where x is large."""
    big = np.maximum(x, 100.0)
    stirling = (big + n - 0.5) * np.log1p(n / big) + n * (np.log(big) - 1)
    for power, c in ((1, 1 / 12), (3, -1 / 360), (5, 1 / 1260)):
        stirling = stirling + c * ((big + n) ** -power - big**-power)
    near = np.minimum(x, 100.0)
    return np.asarray(np.where(x < 100, special.gammaln(near + n) - special.gammaln(near), stirling))


@cache
def names() -> tuple[str, ...]:
    """Return every name and alias that ``entropy=`` takes."""
    return tuple(sorted(_aliases))
