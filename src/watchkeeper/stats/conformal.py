"""Prediction intervals and sets: do they cover what they promise, how wide are they, and which level keeps the promise.

Reads only windows with mature labels for coverage; the width needs none. Does not make the intervals: models bring them.
"""

from __future__ import annotations

from enum import StrEnum
from math import ceil, inf, isfinite, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainccinv, betaincinv

from watchkeeper.stats.result import Assumption, Result, Validity

_TAIL = 0.025
_Z = 1.959963984540054
_MIN_ROWS = 30
_ROUNDING = 1e-9  # 20 × 0.9 must not become rank 19 because floats say 18.000000000000004


class Coverage(StrEnum):
    """What the interval of the coverage says of the promise."""

    AS_PROMISED = "as promised"
    UNDER = "under-covers"
    OVER = "over-covers"
    UNKNOWN = "unknown"


def quantile_rank(n: int, *, alpha: float) -> int:
    """Rank of the calibration score that is the threshold: ⌈(n + 1)(1 − α)⌉; above n no finite threshold keeps the promise.

    Angelopoulos and Bates 2021, arXiv 2107.07511.

    >>> quantile_rank(19, alpha=0.1)
    18
    """
    return ceil((n + 1) * (1 - alpha) - _ROUNDING)


def threshold(scores: ArrayLike, *, alpha: float) -> float:
    """The split-conformal threshold of calibration scores; infinite if there are too few of them, NaN if one is no number.

    >>> threshold(range(1, 20), alpha=0.1)
    18.0
    """
    values = np.sort(np.asarray(scores, dtype=float))
    if np.isnan(values).any() or not isfinite(alpha):
        return nan
    rank = quantile_rank(values.size, alpha=alpha)
    if rank > values.size:
        return inf
    return float(values[rank - 1]) if rank > 0 else -inf


def clopper_pearson(hits: float, n: float) -> tuple[float, float]:
    """Exact 95 % interval of a share, from the Beta quantiles; everything is possible without rows.

    >>> low, high = clopper_pearson(170, 200)
    >>> round(low, 5), round(high, 5)
    (0.79284, 0.89645)
    """
    if not 0 <= hits <= n < inf or n == 0:
        return 0.0, 1.0
    low = float(betaincinv(hits, n - hits + 1, _TAIL)) if hits else 0.0
    high = float(betainccinv(hits + 1, n - hits, _TAIL)) if hits < n else 1.0
    return low, high


def coverage(covered: float, n: float) -> Result:
    """Share of labels inside their interval or set, with its Clopper-Pearson interval."""
    rule, assumes = "coverage", (Assumption.INDEPENDENT_ROWS,)
    if not 0 < n < inf:
        return Result.missing(Validity.TOO_FEW_ROWS, n=0, rule=rule, assumptions=assumes)
    if not 0 <= covered <= n:
        return Result.missing(Validity.UNDEFINED, n=int(n), rule=rule, assumptions=assumes)
    low, high = clopper_pearson(covered, n)
    validity = Validity.TOO_FEW_ROWS if n < _MIN_ROWS else Validity.OK
    return Result(estimate=covered / n, low=low, high=high, n=int(n), validity=validity, assumptions=assumes, rule=rule)


def judge_coverage(result: Result, *, nominal: float) -> Coverage:
    """Whether the interval of the coverage leaves room for the promise. Over-covering is waste, not danger.

    >>> judge_coverage(coverage(170, 200), nominal=0.9).value
    'under-covers'
    """
    if not (result.is_ok and isfinite(nominal)):
        return Coverage.UNKNOWN
    if result.high < nominal:
        return Coverage.UNDER
    return Coverage.OVER if result.low > nominal else Coverage.AS_PROMISED


def next_alpha(alpha: float, *, is_missed: bool, nominal_alpha: float, rate: float = 0.005) -> float:
    """The level for the next interval: α + rate × (nominal α − 1 if the last one missed). Gibbs and Candès 2021, arXiv 2106.00170.

    It may leave [0, 1]: at 0 and below every interval is infinite, at 1 and above empty, which is what brings it back.

    >>> round(next_alpha(0.1, is_missed=False, nominal_alpha=0.1), 6), round(next_alpha(0.1, is_missed=True, nominal_alpha=0.1), 6)
    (0.1005, 0.0955)
    """
    return alpha + rate * (nominal_alpha - is_missed)


def mean_width(widths: ArrayLike) -> Result:
    """Mean width of intervals, or mean size of sets: the early sign that needs no labels. Missing widths are skipped.

    An infinite width makes the mean infinite and undefined; a negative one (bounds the wrong way round) leaves nothing to tell.

    >>> mean_width([1.0, 2.0, 3.0]).estimate
    2.0
    """
    rule, assumes = "mean width", (Assumption.INDEPENDENT_ROWS,)
    values = np.asarray(widths, dtype=float)
    values = values[~np.isnan(values)]
    n = values.size
    if not n:
        return Result.missing(Validity.TOO_FEW_ROWS, n=0, rule=rule, assumptions=assumes)
    if values.min() < 0:
        return Result.missing(Validity.UNDEFINED, n=n, rule=rule, assumptions=assumes)
    if np.isinf(values).any():
        return Result(estimate=inf, n=n, validity=Validity.UNDEFINED, assumptions=assumes, rule=rule)
    mean = float(values.mean())
    half = _Z * float(values.std(ddof=1)) / sqrt(n) if n > 1 else inf
    validity = Validity.TOO_FEW_ROWS if n < _MIN_ROWS else Validity.OK
    return Result(estimate=mean, low=mean - half, high=mean + half, n=n, validity=validity, assumptions=assumes, rule=rule)
