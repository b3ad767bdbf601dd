"""How sure a binary model is of its scores, and whether its residuals keep one sign: what can be seen in sums and score histograms.

Confidence needs no labels and says nothing about being right; the residuals need mature ones. Calibration is another module's.
"""

from __future__ import annotations

from math import inf, isfinite, log, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from watchkeeper.stats.result import Assumption, Result, Validity

FloatArray = NDArray[np.float64]

_Z = 1.959963984540054
_MIN_ROWS = 30
_ASSUMES = (Assumption.INDEPENDENT_ROWS,)


def mean_confidence(scores: ArrayLike, counts: ArrayLike) -> Result:
    """Mean of the larger of score and 1 − score, over a histogram: one score per bin (its mean) and its rows.

    >>> mean_confidence([0.1, 0.5, 0.8], [10, 10, 20]).estimate
    0.75
    """
    sure, n = _histogram(scores, counts)
    return _mean(np.maximum(sure, 1 - sure), n, rule="mean confidence")


def mean_entropy(scores: ArrayLike, counts: ArrayLike) -> Result:
    """Mean entropy of the scores in bits: 0 when every score is 0 or 1, 1 when every score is ½.

    >>> mean_entropy([0.5, 1.0], [10, 10]).estimate
    0.5
    """
    score, n = _histogram(scores, counts)
    return _mean((special.entr(score) + special.entr(1 - score)) / log(2), n, rule="mean entropy")


def band_share(scores: ArrayLike, counts: ArrayLike, *, low: float, high: float) -> Result:
    """Share of rows whose score lies in the rejection band [low, high], with Wilson's interval. A bin lies where its mean score does.

    >>> band_share([0.1, 0.5, 0.8], [10, 10, 20], low=0.4, high=0.6).estimate
    0.25
    """
    score, rows = _histogram(scores, counts)
    n, hits = float(rows.sum()), float(rows[(score >= low) & (score <= high)].sum())
    if not n:
        return Result.missing(Validity.TOO_FEW_ROWS, n=0, rule="share in band", assumptions=_ASSUMES)
    share, scale = hits / n, 1 + _Z**2 / n
    centre, half = (share + _Z**2 / (2 * n)) / scale, _Z * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / scale
    validity = Validity.TOO_FEW_ROWS if n < _MIN_ROWS else Validity.OK
    low_bound, high_bound = max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0)
    return Result(estimate=share, low=low_bound, high=high_bound, n=int(n), validity=validity, assumptions=_ASSUMES, rule="share in band")


def mixing_scale(rows: float, *, alpha: float = 0.05) -> float:
    """The ρ that makes the confidence sequence narrowest after so many rows: √((−2 ln α + ln(1 − 2 ln α)) / rows).

    >>> round(mixing_scale(1000), 7)
    0.0890851
    """
    return sqrt((-2 * log(alpha) + log(1 - 2 * log(alpha))) / rows) if 0 < rows < inf and 0 < alpha < 1 else nan


def sequence_half_width(n: float, sd: float, *, rho: float, alpha: float = 0.05) -> float:
    """Half width of the asymptotic confidence sequence of a mean: it may be looked at after every row.

    sd × √(2 (n ρ² + 1) / (n² ρ²) × ln(√(n ρ² + 1) / α)). Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, arXiv 2103.06476.

    >>> round(sequence_half_width(1000, 1.0, rho=mixing_scale(1000)), 7)
    0.0959817
    """
    if not (0 < n < inf and isfinite(sd) and sd >= 0 and rho > 0 and 0 < alpha < 1):
        return inf
    grown = n * rho**2 + 1
    return sd * sqrt(2 * grown / (n * rho) ** 2 * log(sqrt(grown) / alpha))


def mean_residual(n: float, total: float, *, squares: float, best_at: float = 1000.0) -> Result:
    """Mean residual since the model went live, with bounds that hold at all times: once they leave 0 out, the model errs to one side.

    From the number, sum and sum of squares of the residuals; the bounds are narrowest after `best_at` rows.

    >>> round(mean_residual(1000, 100.0, squares=1010.0).low, 3)
    0.004
    """
    rule = "asymptotic confidence sequence"
    if not 0 < n < inf:
        return Result.missing(Validity.TOO_FEW_ROWS, n=0, rule=rule, assumptions=_ASSUMES)
    if not (isfinite(total) and isfinite(squares)):
        return Result.missing(Validity.UNDEFINED, n=int(n), rule=rule, assumptions=_ASSUMES)
    mean = total / n
    sd = sqrt(max(squares / n - mean**2, 0.0))
    half = sequence_half_width(n, sd, rho=mixing_scale(best_at)) if n > 1 else inf
    validity = Validity.TOO_FEW_ROWS if n < _MIN_ROWS else Validity.OK
    return Result(estimate=mean, low=mean - half, high=mean + half, n=int(n), validity=validity, assumptions=_ASSUMES, rule=rule)


def _histogram(scores: ArrayLike, counts: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The bins that hold rows and have a score; scores a rounding error outside [0, 1] are brought back, others dropped."""
    score, n = np.broadcast_arrays(np.asarray(scores, dtype=float), np.asarray(counts, dtype=float))
    known = np.isfinite(score) & np.isfinite(n) & (n > 0) & (np.abs(score - 0.5) <= 0.5 + 1e-9)
    return np.clip(score[known], 0, 1), n[known]


def _mean(values: FloatArray, counts: FloatArray, *, rule: str) -> Result:
    n = float(counts.sum())
    if not n:
        return Result.missing(Validity.TOO_FEW_ROWS, n=0, rule=rule, assumptions=_ASSUMES)
    mean = float(values @ counts) / n
    half = _Z * sqrt(float((values - mean) ** 2 @ counts) / (n - 1) / n) if n > 1 else inf
    validity = Validity.TOO_FEW_ROWS if n < _MIN_ROWS else Validity.OK
    return Result(estimate=mean, low=mean - half, high=mean + half, n=int(n), validity=validity, assumptions=_ASSUMES, rule=rule)
