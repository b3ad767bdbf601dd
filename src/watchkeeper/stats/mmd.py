"""Maximum mean discrepancy of two samples of rows: every difference that a smooth function can see, at a cost that grows with the square of the rows.

Memory is 8 bytes x (n + m)²: give a sample of some thousand rows. Distances mean something only where columns have one scale: standardise first.
"""

from __future__ import annotations

from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist, pdist

Floats = NDArray[np.float64]


def mmd_squared(reference: ArrayLike, current: ArrayLike, *, bandwidth: float | None = None) -> float:
    """MMD², biased, of rows of shape (n, d) and (m, d) with the kernel exp(-|x - y|² / (2 bandwidth²)): 0 when alike (Gretton et al. 2012).

    Without a bandwidth the median distance between rows of both. A row with a number that is not finite is left out; NaN when a side has none.

    >>> round(mmd_squared([[0.0], [1.0]], [[1.0], [2.0]], bandwidth=1.0), 6)
    0.432332
    """
    x, y = _finite(reference), _finite(current)
    if not len(x) or not len(y):
        return nan
    return float(_discrepancy(_kernel(x, y, bandwidth), np.arange(len(x) + len(y)) < len(x)))


def mmd_p_value(
    reference: ArrayLike, current: ArrayLike, *, rng: np.random.Generator, bandwidth: float | None = None, permutations: int = 200
) -> float:
    """How often rows dealt to the two sides at random are as far apart, (1 + #) / (1 + permutations). Rows must be independent."""
    x, y = _finite(reference), _finite(current)
    if not len(x) or not len(y):
        return nan
    kernel, side = _kernel(x, y, bandwidth), np.arange(len(x) + len(y)) < len(x)
    found = _discrepancy(kernel, side)
    by_chance = [_discrepancy(kernel, rng.permutation(side)) for _ in range(permutations)]
    return (1 + sum(value >= found - 1e-12 for value in by_chance)) / (1 + permutations)


def median_distance(rows: ArrayLike) -> float:
    """The median distance between rows; 1 when most are the same, so that a kernel is always defined."""
    given = np.asarray(rows, dtype=np.float64)
    median = float(np.median(pdist(given))) if len(given) > 1 else 0.0
    return median or 1.0


def _kernel(x: Floats, y: Floats, bandwidth: float | None) -> Floats:
    rows = np.concatenate([x, y])
    width = median_distance(rows) if bandwidth is None else bandwidth
    return np.asarray(np.exp(-cdist(rows, rows, "sqeuclidean") / (2 * width**2)))


def _discrepancy(kernel: Floats, side: NDArray[np.bool_]) -> float:
    weights = np.where(side, 1 / side.sum(), -1 / (~side).sum())
    return max(float(weights @ kernel @ weights), 0.0)


def _finite(rows: ArrayLike) -> Floats:
    given = np.asarray(rows, dtype=np.float64)
    if given.ndim != 2:
        raise ValueError(f"Rows have the shape {given.shape}; (rows, columns) is needed.")
    return np.asarray(given[np.isfinite(given).all(axis=1)])
