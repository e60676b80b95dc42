"""Estimators of the entropy of one column, or of one pair of columns, from its counts.

An estimator takes the distinct counts n_i > 0 (float64), how many levels have each (float64) and,
where its formula has one, the support K, and returns nats. N is the sum of all counts. K is the number
of levels that were observed or, for estimators whose formula runs over empty cells, of the levels of
the table; `EntropyEstimator.support` says which, and ``support=`` changes it.

With an estimator other than "plug_in" the mutual information is H(X) + H(Y) - H(X, Y). Three see the
whole joint table (`joint_estimators`): "james_stein" shrinks it once and takes all three from it,
"panzeri_treves" counts the relevant bins of each row, "quadratic_extrapolation" splits it.

Of weighted tables "plug_in" takes the weights as they are. The others count as many rows as the weights
are worth: n_i are the weights scaled to sum to Kish's effective number of rows N. That is right where a
formula knows the rows by their number N alone (and K), and the natural extension where it is smooth in
the n_i: psi and ln Gamma, the likelihood of a prior, the variance of a share. `EntropyEstimator.real`
says so. Formulas that need whole n_i refuse weights: levels seen once or twice, (-1)**n, rows left out
or drawn one by one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from infolake.errors import UsageError
from infolake.measures import numerics
from infolake.measures.entropy_estimator import (
    EntropyEstimator,
    Floats,
    Prior,
    check_weights,
    estimator,
    every,
    get,
    names,
)

__all__ = [
    "EntropyEstimator",
    "check_weights",
    "every",
    "extrapolated",
    "get",
    "names",
    "plug_in",
    "relevant_levels",
    "shrinkage",
    "shrunk_entropy",
    "splits",
]

SPLITS = (slice(0, 1), slice(1, 3), slice(3, 7))  # all rows, two halves, four quarters
MAX_SPLIT = 10**9 - 1  # numpy draws hypergeometric numbers below 1e9 only


def _sum(terms: Floats) -> float:
    return math.fsum(terms.tolist())


@estimator("ml", "maximum_likelihood", "empirical", reference="Shannon 1948", real=True)
def plug_in(n: Floats, m: Floats) -> float:
    """Return the entropy of the observed frequencies: sum of n/N ln(N/n)."""
    out = np.empty(1)
    numerics.entropies(n, m, np.array([0, len(n)]), np.array([_sum(n * m)]), out)
    return float(out[0])


@estimator("mm", support="observed", reference="Miller 1955", real=True)
def miller_madow(n: Floats, m: Floats, support: int) -> float:
    """Return plug-in + (K - 1) / 2N. Weighted: N is the effective number of rows."""
    return plug_in(n, m) + (support - 1) / (2 * _sum(n * m))


@estimator("pt", support="table", reference="Panzeri & Treves 1996, Network 7", real=True)
def panzeri_treves(n: Floats, m: Floats, support: int) -> float:
    """Return plug-in + (R - 1) / 2N, R the relevant levels by Bayesian counting, at most K.

    For two columns, the rows are the stimuli s: I - (sum over s of (R_s - 1) - (R - 1)) / 2N, R_s and
    R the relevant columns within row s and over all rows. Weighted: N is the effective number of rows,
    of which each s has its share of the weight.
    """
    return plug_in(n, m) + (relevant_levels(n, m, support) - 1) / (2 * _sum(n * m))


def relevant_levels(n: Floats, m: Floats, support: int) -> int:
    """Return how many levels can occur: the observed ones and the unseen ones that explain them best.

    Unseen levels are added one by one as long as the number of levels that N rows are expected to
    show comes nearer to the number observed.
    """
    return int(numerics.relevant_levels(n, m, float(support)))


@estimator("qe", seed=0, reference="Strong et al. 1998, Phys. Rev. Lett. 80")
def quadratic_extrapolation(n: Floats, m: Floats, seed: int) -> float:
    """Return (8 H - 6 H_2 + H_4) / 3: the plug-in of all rows, of halves and of quarters of them.

    H_2 and H_4 are means over two halves and four quarters, split at random without replacement: the
    limit for N without end of H + a/N + b/N**2. Not for weights: rows are drawn one by one.
    """
    parts = splits(np.repeat(n, m.astype(np.int64)).astype(np.int64), seed)
    sizes = np.array([part.sum() for part in parts], dtype=np.float64)
    entropies = np.array([plug_in(*_grouped(part)) if part.any() else 0.0 for part in parts])
    shares = sizes * entropies / sizes[0]
    return float(extrapolated(*(_sum(shares[part]) for part in SPLITS)))


def _grouped(counts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    n, m = np.unique(counts[counts > 0], return_counts=True)
    return n.astype(np.float64), m.astype(np.float64)


@estimator("cs", reference="Chao & Shen 2003, Environ. Ecol. Stat. 10")
def chao_shen(n: Floats, m: Floats) -> float:
    """Return the coverage-adjusted, Horvitz-Thompson weighted entropy.

    Not for weights: the coverage comes from the levels that one row has.
    """
    N, singletons = _sum(n * m), _times(n, m, 1)
    if singletons == N:
        singletons -= 1
    p = (1 - singletons / N) * n / N
    seen = -np.expm1(N * np.log1p(-p))
    return _sum(m * np.where(p > 0, -p * np.log(p) / seen, 0.0))


def _times(n: Floats, m: Floats, count: int) -> float:
    return _sum(m[n == count])


@estimator(reference="Zhang 2012, Neural Comput. 24", real=True)
def zhang(n: Floats, m: Floats) -> float:
    """Return the sum of n/N (psi(N) - psi(n)). Weighted: psi of the scaled weights."""
    N = _sum(n * m)
    return _sum(m * (n / N) * (special.digamma(N) - special.digamma(n)))


@estimator("cwj", reference="Chao, Wang & Jost 2013, Methods Ecol. Evol. 4")
def chao_wang_jost(n: Floats, m: Floats) -> float:
    """Return Zhang's estimate and the part of the unseen levels, as a stable integral.

    Not for weights: the unseen levels are told from those that one row has, or two.
    """
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
    """Return the sum of n/N (ln N - psi(n) - (-1)^n / (n + 1)). Not for weights, for (-1)^n."""
    N = _sum(n * m)
    return _sum(m * (n / N) * (math.log(N) - special.digamma(n) - _sign(n) / (n + 1)))


@estimator("grassberger", "grassberger03", reference="Grassberger 2003, arXiv physics/0307138")
def grassberger_2003(n: Floats, m: Floats) -> float:
    """Return the sum of n/N (ln N - G(n)), G(n) = psi(n) + (-1)^n/2 (psi((n+1)/2) - psi(n/2)).

    Not for weights, for (-1)^n.
    """
    N = _sum(n * m)
    halves = special.digamma((n + 1) / 2) - special.digamma(n / 2)
    return _sum(m * (n / N) * (math.log(N) - special.digamma(n) - 0.5 * _sign(n) * halves))


def _sign(n: Floats) -> Floats:
    return 1.0 - 2.0 * (n % 2)


@estimator(support="table", reference="Bonachela, Hinrichsen & Muñoz 2008, J. Phys. A 41", real=True)
def bonachela(n: Floats, m: Floats, support: int) -> float:
    """Return 1/(N + 2) times the sum of (n + 1)(psi(N + 3) - psi(n + 2)) over all K levels.

    Weighted: psi of the scaled weights.
    """
    n, m = _with_empty(n, m, support)
    N = _sum(n * m)
    return _sum(m * (n + 1) * (special.digamma(N + 3) - special.digamma(n + 2))) / (N + 2)


def _with_empty(n: Floats, m: Floats, support: int) -> tuple[Floats, Floats]:
    empty = support - _sum(m)
    return np.concatenate([[0.0], n]), np.concatenate([[max(empty, 0.0)], m])


@estimator("js_marginal", support="table", reference="Hausser & Strimmer 2009, JMLR 10", real=True)
def james_stein_marginal(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of the frequencies shrunk towards 1/K, each entropy by itself.

    Weighted: the variance of a share is that of the effective number of rows.
    """
    return shrunk_entropy(n, m, support, shrinkage(n, m, support))


def shrunk_entropy(n: Floats, m: Floats, support: int, weight: float) -> float:
    """Return the plug-in entropy of the frequencies shrunk by a weight towards 1/K."""
    n, m = _with_empty(n, m, support)
    return _entropy_of(weight / support + (1 - weight) * n / _sum(n * m), m)


def _entropy_of(p: Floats, m: Floats) -> float:
    held = np.where(p > 0, p, 1.0)
    logs = np.where(p > 0.5, np.log1p(held - 1), np.log(held))
    return -_sum(m * p * logs)


def shrinkage(n: Floats, m: Floats, support: int) -> float:
    """Return the James-Stein weight of the uniform target over K levels, 0 to 1."""
    n, m = _with_empty(n, m, support)
    N = _sum(n * m)
    p = n / N
    distance = _sum(m * (p - 1 / support) ** 2)
    if N <= 1 or distance == 0:
        return 1.0
    return min(1.0, max(0.0, _sum(m * p * (1 - p)) / (N - 1) / distance))


@estimator(
    "shrink",
    "js",
    support="table",
    reference="Hausser & Strimmer 2009, JMLR 10 (R: mi.shrink)",
    real=True,
)
def james_stein(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of the frequencies shrunk towards 1/K.

    For two columns the joint table is shrunk once, and every entropy is that of the shrunk table.
    Weighted: as `james_stein_marginal`.
    """
    return james_stein_marginal(n, m, support)


def _dirichlet(n: Floats, m: Floats, support: int, prior: Prior) -> float:
    n, m = _with_empty(n, m, support)
    alpha = _alpha(prior, _sum(n * m), support)
    return _entropy_of((n + alpha) / (_sum(n * m) + support * alpha), m)


def _alpha(prior: Prior, N: float, support: int) -> float:
    """Return what a level counts before any row."""
    named = {"jeffreys": 0.5, "laplace": 1.0, "perks": 1.0 / support, "minimax": math.sqrt(N) / support}
    return named[prior] if isinstance(prior, str) else float(prior)


@estimator(
    "jeffreys",
    "dirichlet_jeffreys",
    support="table",
    prior="jeffreys",
    reference="Krichevsky & Trofimov 1981, IEEE Trans. Inf. Theory 27",
    real=True,
)
def dirichlet(n: Floats, m: Floats, support: int, prior: Prior) -> float:
    """Return the plug-in entropy of n + alpha, alpha the prior count of every level.

    Weighted: n are the scaled weights, so that they stand against the prior as the effective rows do.
    """
    return _dirichlet(n, m, support, prior)


@estimator("laplace", support="table", reference="Holste, Große & Herzel 1998, J. Phys. A 31", real=True)
def dirichlet_laplace(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of n + 1."""
    return _dirichlet(n, m, support, "laplace")


@estimator(
    "schurmann_grassberger",
    "perks",
    "dirichlet_perks",
    support="table",
    reference="Schürmann & Grassberger 1996, Chaos 6",
    real=True,
)
def dirichlet_schurmann_grassberger(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of n + 1/K."""
    return _dirichlet(n, m, support, "perks")


@estimator("minimax", support="table", reference="Trybula 1958, Ann. Math. Stat. 29", real=True)
def dirichlet_minimax(n: Floats, m: Floats, support: int) -> float:
    """Return the plug-in entropy of n + sqrt(N)/K."""
    return _dirichlet(n, m, support, "minimax")


@estimator(support="table", prior="jeffreys", reference="Wolpert & Wolf 1995, Phys. Rev. E 52", real=True)
def dirichlet_posterior_mean(n: Floats, m: Floats, support: int, prior: Prior) -> float:
    """Return the mean entropy of the Dirichlet posterior with the prior count alpha of every level.

    Weighted: the likelihood is that of the scaled weights, worth the effective number of rows.
    """
    return _posterior_mean(n, m, support, _alpha(prior, _sum(n * m), support))


def _posterior_mean(n: Floats, m: Floats, support: int, alpha: float) -> float:
    n, m = _with_empty(n, m, support)
    total = _sum(n * m) + support * alpha
    return float(special.digamma(total + 1) - _sum(m * (n + alpha) / total * special.digamma(n + alpha + 1)))


@estimator(reference="Zahl 1977, Ecology 58")
def jackknife(n: Floats, m: Floats) -> float:
    """Return N H - (N - 1)/N times the sum of n H(without one row of that level).

    Equal to g(N) minus the mean of g(n) over the rows, g(n) = n ln n - (n - 1) ln(n - 1). Not for
    weights: those of the rows left out are not known.
    """
    N = _sum(n * m)
    return _sum(m * (n / N) * (_step(np.array([N])) - _step(n)))


def _step(n: Floats) -> Floats:
    lower = np.where(n > 1, (n - 1) * np.log1p(-1 / np.where(n > 1, n, 2.0)), 0.0)
    return np.asarray(np.log(n) - lower)


@estimator(reference="Nemenman, Bialek & de Ruyter van Steveninck 2004, Phys. Rev. E 69 (asymptotic)")
def ansb(n: Floats, m: Floats) -> float:
    """Return (gamma - ln 2) + 2 ln N - psi(N - K), for N much smaller than the alphabet; NaN if N = K.

    Not for weights: N - K are the rows that met a level again.
    """
    N, K = _sum(n * m), _sum(m)
    if N == K:
        return math.nan
    return float(np.euler_gamma - math.log(2) + 2 * math.log(N) - special.digamma(N - K))


@estimator(support="table", reference="Nemenman, Shafee & Bialek 2002, NIPS 14", real=True)
def nsb(n: Floats, m: Floats, support: int) -> float:
    """Return the posterior mean entropy under a prior that is nearly flat in the entropy.

    Weighted: the likelihood is that of the scaled weights, worth the effective number of rows.
    """
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


def splits(counts: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    """Return counts of all rows, of two halves and of the four quarters that make them up.

    Parameters
    ----------
    counts : ndarray of int64, shape (n,)
        Fewer than 1e9 rows.
    seed : int
        The same counts and seed give the same parts.

    Raises
    ------
    UsageError
        1e9 rows or more.
    """
    total = int(counts.sum())
    if total > MAX_SPLIT:
        what = "quadratic_extrapolation draws from fewer than 1e9 rows"
        raise UsageError(what, found=f"{total:,} rows", next="entropy='miller_madow'")
    rng = np.random.Generator(np.random.PCG64(seed))
    halves = _halves(counts, rng)
    return [counts, *halves, *(quarter for half in halves for quarter in _halves(half, rng))]


def _halves(counts: NDArray[np.int64], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    one = rng.multivariate_hypergeometric(counts, int(counts.sum()) // 2, method="marginals")
    return [one, counts - one]


def extrapolated(whole: Any, halves: Any, quarters: Any) -> Any:
    """Return the value without end of rows of a quadratic in 1/N through three values."""
    return (8 * whole - 6 * halves + quarters) / 3
