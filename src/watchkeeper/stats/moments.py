"""Second moments of rows of d numbers, as one matrix (d + 1, d + 1): Σ [1, x] [1, x]ᵀ. It holds n, Σ x_i and Σ x_i x_j; matrices of disjoint rows add up.

Sums of numbers far from 0 beside their spread lose it: give numbers that were shifted and scaled (telemetry.moments does).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
ROUNDING = 1e-9  # of the mean square: a smaller variance may be what the rounding of long sums leaves


class Standard(NamedTuple):
    """What columns are measured by: each less its `mean`, times `weight` = 1 / standard deviation; 0 for a column that does not vary."""

    mean: Floats
    weight: Floats

    @property
    def varying(self) -> int:
        return int((self.weight > 0).sum())


def moments_of(rows: ArrayLike) -> Floats:
    """The moments of rows of shape (n, d), all finite.

    >>> moments_of([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[2.0, 4.0, 6.0], [4.0, 10.0, 14.0], [6.0, 14.0, 20.0]]
    """
    values = np.asarray(rows, dtype=np.float64)
    extended = np.column_stack([np.ones(len(values)), values])
    return np.asarray(extended.T @ extended)


def rows_in(moments: ArrayLike) -> Floats:
    """How many rows there are in moments of shape (..., d + 1, d + 1)."""
    return np.asarray(np.asarray(moments, dtype=np.float64)[..., 0, 0])


def standard_of(moments: Floats) -> Standard:
    """Mean and standard deviation (of the population) of each column. Without rows nothing varies."""
    n = max(float(moments[0, 0]), 1.0)
    mean, square = moments[0, 1:] / n, np.diag(moments)[1:] / n
    variance = square - mean**2
    weight = np.zeros_like(mean)
    np.divide(1.0, np.sqrt(np.maximum(variance, 0.0)), out=weight, where=variance > ROUNDING * square)
    return Standard(mean, weight)


def standardised(moments: ArrayLike, standard: Standard) -> Floats:
    """Mean products of the columns as `standard` measures them, about its mean: shape (..., d, d). NaN without rows."""
    given = np.asarray(moments, dtype=np.float64)
    n = rows_in(given)[..., None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        products, mean = given[..., 1:, 1:] / n, given[..., :1, 1:] / n
    about = standard.mean
    shifted = products - np.swapaxes(mean, -1, -2) * about - about[:, None] * mean + np.outer(about, about)
    return np.asarray(shifted * np.outer(standard.weight, standard.weight))
