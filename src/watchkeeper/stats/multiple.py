"""Many tests at once: adjusted p-values and e-values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def benjamini_hochberg(p_values: ArrayLike, *, dependent: bool = False) -> NDArray[np.float64]:
    """Adjusted p-values: those below a level are a set whose expected share of false alarms is below it. NaN stays NaN and counts for nothing.

    `dependent` makes it hold under any dependence, at the price of the harmonic sum (Benjamini and Yekutieli 2001).

    >>> benjamini_hochberg([0.001, 0.008, 0.039, 0.2]).tolist()
    [0.004, 0.016, 0.052, 0.2]
    """
    p = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    adjusted = np.full(p.shape, np.nan)
    if known.size == 0:
        return adjusted
    ranks = np.arange(1, known.size + 1)
    order = known[np.argsort(p[known], kind="stable")]
    penalty = float((1 / ranks).sum()) if dependent else 1.0
    scaled = p[order] * known.size * penalty / ranks
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def e_benjamini_hochberg(e_values: ArrayLike, *, level: float) -> NDArray[np.bool_]:
    """Which e-values are rejected at the level, under any dependence (Wang and Ramdas 2022).

    >>> e_benjamini_hochberg([60, 30, 12, 5, 1], level=0.1).tolist()
    [True, True, False, False, False]
    """
    e = np.nan_to_num(np.asarray(e_values, dtype=np.float64), nan=0.0, posinf=np.inf)
    order = np.argsort(-e, kind="stable")
    ranks = np.arange(1, e.size + 1)
    passing = np.flatnonzero(e[order] * ranks * level >= e.size)
    rejected = np.zeros(e.shape, dtype=bool)
    if passing.size:
        rejected[order[: passing[-1] + 1]] = True
    return rejected
