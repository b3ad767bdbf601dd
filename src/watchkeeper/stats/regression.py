"""Realised performance of a regression or forecast from sums that add up over windows. e = predicted - observed. Knows no rows.

Intervals take rows as independent: errors of overlapping forecasts are not, so their intervals are too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite, nan, sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from watchkeeper.stats.result import Result, Validity
from watchkeeper.stats.scores import INDEPENDENT, Z_95, Floats, Interval, mean_result, told


@dataclass(frozen=True, kw_only=True)
class ErrorSums:
    """Sums over labelled rows: Σe, Σe², Σ|e|, Σe⁴; |e/y| where y is not 0; the loss of the quantiles where a row has some; errors b of the naive baseline.

    >>> sums = ErrorSums.of([1, 2], [2, 4]) + ErrorSums.of([3], [3])
    >>> sums.n, sums.error, sums.error_2, sums.relative
    (3, 3.0, 5.0, 2.0)
    """

    n: int = 0
    error: float = 0.0
    error_2: float = 0.0
    error_4: float = 0.0
    absolute: float = 0.0
    n_relative: int = 0
    relative: float = 0.0
    relative_2: float = 0.0
    n_quantile: int = 0
    quantile: float = 0.0
    quantile_2: float = 0.0
    naive_2: float = 0.0
    naive_4: float = 0.0
    error_2_naive_2: float = 0.0

    @classmethod
    def of(
        cls, observed: ArrayLike, predicted: ArrayLike, *, naive: ArrayLike = nan, quantiles: Mapping[float, ArrayLike] = MappingProxyType({})
    ) -> ErrorSums:
        """The sums of raw rows; those without a finite truth and prediction are left out, of the quantile loss those without a finite truth and quantile.

        `naive` is the baseline's prediction, `quantiles` are the predicted ones by the share that is to lie below each.
        """
        given = (np.asarray(column, dtype=np.float64) for column in (observed, predicted, naive, *quantiles.values()))
        y, f, b, *q = np.broadcast_arrays(*given)
        known = np.isfinite(y) & np.isfinite(f)
        with np.errstate(over="ignore", invalid="ignore"):  # sums that overflow make the results undefined
            p = _pinball(y, dict(zip(quantiles, q, strict=True)))
            return _sums(y[known], f[known] - y[known], b[known] - y[known], p)

    def __add__(self, other: ErrorSums) -> ErrorSums:
        return ErrorSums(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})


def mean_absolute_error(sums: ErrorSums) -> Result:
    """Mean of |e|.

    >>> mean_absolute_error(ErrorSums.of([1, 2, 3], [2, 4, 3])).estimate
    1.0
    """
    return mean_result(sums.absolute, sums.error_2, sums.n, low=0.0, rule="mean |e|")


def root_mean_squared_error(sums: ErrorSums) -> Result:
    """Square root of the mean of e²; so are the bounds of its interval.

    >>> round(root_mean_squared_error(ErrorSums.of([1, 2, 3], [2, 4, 3])).estimate, 4)
    1.291
    """
    squared = mean_result(sums.error_2, sums.error_4, sums.n, low=0.0, rule="root of mean e²")
    estimate, low, high = (sqrt(max(value, 0.0)) if value == value else value for value in (squared.estimate, squared.low, squared.high))
    return replace(squared, estimate=estimate, low=low, high=high)


def mean_absolute_percentage_error(sums: ErrorSums) -> Result:
    """Mean of |e / y| over the rows whose y is not 0, as a share (0.1 is 10 %). Undefined when all are.

    >>> round(mean_absolute_percentage_error(ErrorSums.of([1, 2, 0], [2, 3, 7])).estimate, 4)
    0.75
    """
    rule = "mean |e / y|"
    if sums.n >= 2 and not sums.n_relative:
        return Result.missing(Validity.UNDEFINED, n=sums.n, rule=rule, assumptions=INDEPENDENT)
    return mean_result(sums.relative, sums.relative_2, sums.n_relative, low=0.0, rule=rule)


def bias(sums: ErrorSums) -> Result:
    """Mean of e: positive when the model predicts too much.

    >>> bias(ErrorSums.of([1, 2, 3], [2, 4, 3])).estimate
    1.0
    """
    return mean_result(sums.error, sums.error_2, sums.n, rule="mean e")


def quantile_loss(sums: ErrorSums) -> Result:
    """Mean pinball loss of the predicted quantiles: of the quantile t, t per unit predicted too little and 1 - t per unit too much.

    A row's loss is the mean over the quantiles it has. Koenker and Bassett, Regression Quantiles, Econometrica 46 (1978).

    >>> round(quantile_loss(ErrorSums.of([10, 10], 10, quantiles={0.9: [8, 12]})).estimate, 4)
    1.0
    """
    return mean_result(sums.quantile, sums.quantile_2, sums.n_quantile, low=0.0, rule="mean pinball loss")


def skill_score(sums: ErrorSums) -> Result:
    """R² against the naive baseline, 1 - Σe² / Σb²: 0 when no better than it, below 0 when worse. Delta method.

    With the mean of the truth as baseline it is the usual R². Undefined for a baseline without errors, or none.

    >>> round(skill_score(ErrorSums.of([1, 2, 3], [1, 2, 4], naive=2)).estimate, 2)
    0.5
    """
    rule = "1 - Σe² / Σb²"
    if sums.n < 2:
        return Result.missing(Validity.TOO_FEW_ROWS, n=sums.n, rule=rule, assumptions=INDEPENDENT)
    if not (isfinite(sums.naive_4) and isfinite(sums.error_4) and sums.naive_2 > 0):
        return Result.missing(Validity.UNDEFINED, n=sums.n, rule=rule, assumptions=INDEPENDENT)
    ratio = sums.error_2 / sums.naive_2
    spread = sums.error_4 - 2 * ratio * sums.error_2_naive_2 + ratio**2 * sums.naive_4
    half = Z_95 * sqrt(max(spread, 0.0) * sums.n / (sums.n - 1)) / sums.naive_2
    return told(1 - ratio, Interval(1 - ratio - half, min(1 - ratio + half, 1.0)), n=sums.n, rule=rule)


def _sums(y: Floats, e: Floats, b: Floats, p: Floats) -> ErrorSums:
    relative = np.abs(e[y != 0] / y[y != 0])
    return ErrorSums(
        n=e.size,
        error=_sum(e),
        error_2=_sum(e**2),
        error_4=_sum(e**4),
        absolute=_sum(np.abs(e)),
        n_relative=relative.size,
        relative=_sum(relative),
        relative_2=_sum(relative**2),
        n_quantile=p.size,
        quantile=_sum(p),
        quantile_2=_sum(p**2),
        naive_2=_sum(b**2),
        naive_4=_sum(b**4),
        error_2_naive_2=_sum(e**2 * b**2),
    )


def _pinball(y: Floats, quantiles: Mapping[float, Floats]) -> Floats:
    """The mean loss of each row that has a finite truth and a finite quantile."""
    losses = [np.where(y >= q, share * (y - q), (1 - share) * (q - y)) for share, q in quantiles.items()]
    known = [np.isfinite(y) & np.isfinite(q) for q in quantiles.values()]
    count = np.sum(known, axis=0)
    total = np.sum([np.where(has, loss, 0.0) for has, loss in zip(known, losses, strict=True)], axis=0)
    return np.asarray(total[count > 0] / count[count > 0])


def _sum(values: Floats) -> float:
    return float(values.sum())
