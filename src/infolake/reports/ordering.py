"""Order columns so that related ones stand together."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform


def related(similarity: np.ndarray) -> np.ndarray:
    """Return an order of columns in which neighbours are similar.

    Average-linkage clustering, its leaves put in the order that keeps neighbours closest
    (Bar-Joseph, Gifford and Jaakkola 2001).

    Parameters
    ----------
    similarity : np.ndarray
        Symmetric, shape (k, k); NaN and negative values count as 0; the diagonal is ignored.

    Returns
    -------
    np.ndarray
        The k positions, in order.

    Examples
    --------
    >>> s = np.array([[1, 0, 0.9], [0, 1, 0.1], [0.9, 0.1, 1]])
    >>> related(s).tolist() in ([0, 2, 1], [1, 2, 0])
    True
    """
    if len(similarity) < 3:
        return np.arange(len(similarity))
    weights = np.clip(np.nan_to_num(similarity, posinf=0.0), 0.0, None)
    top = weights[~np.eye(len(weights), dtype=bool)].max() or 1.0
    distance = 1.0 - np.minimum(weights / top, 1.0)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(
        squareform(np.maximum(distance, distance.T), checks=False), "average", optimal_ordering=True
    )
    return leaves_list(tree).astype(np.int64)


def strongest(similarity: np.ndarray, limit: int) -> np.ndarray:
    """Return the positions of the ``limit`` columns with the highest score in any pair, in column order.

    Examples
    --------
    >>> strongest(np.array([[0, 1, 5.0], [1, 0, 2], [5, 2, 0]]), 2).tolist()
    [0, 2]
    """
    if len(similarity) <= limit:
        return np.arange(len(similarity))
    weights = np.nan_to_num(similarity, nan=-np.inf, posinf=np.inf)
    off_diagonal = np.where(np.eye(len(weights), dtype=bool), -np.inf, weights)
    best = off_diagonal.max(axis=1)
    return np.sort(np.argsort(-best, kind="stable")[:limit])
