"""Whether groups have the same mean, from their counts, sums and sums of squares."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtrc

from watchkeeper.stats.result import Validity


@dataclass(frozen=True, kw_only=True)
class FTest:
    """F of `groups` - 1 and `freedom` degrees of freedom; `p_value` that all means are the same."""

    statistic: float = nan
    groups: int = 0
    freedom: float = nan
    p_value: float = nan
    validity: Validity


def welch_test(n: ArrayLike, sums: ArrayLike, squares: ArrayLike) -> FTest:
    """Welch's F-test of equal means: the groups may have different variances, as residuals of probabilities do.

    Per group: rows, sum and sum of squares. Groups below two rows are left out; one whose rows are all alike is taken to vary as little as the
    least varying other one, at least. Welch, Biometrika 38, 1951.

    >>> test = welch_test([3, 3, 3], [6, 9, 15], [14, 29, 77])
    >>> round(test.statistic, 4), round(test.p_value, 4)
    (6.0, 0.0625)
    """
    table = np.array([np.asarray(side, dtype=np.float64) for side in (n, sums, squares)])
    rows, total, square = table[:, (table[0] >= 2) & np.isfinite(table).all(axis=0)]
    k = rows.size
    if k < 2:
        return FTest(groups=k, validity=Validity.TOO_FEW_ROWS)
    mean = total / rows
    variance = np.maximum(square - total * mean, 0) / (rows - 1)
    floor = 1e-8 * (square / rows).max()
    if not (variance > floor).any():
        alike = np.ptp(mean) ** 2 <= floor
        return FTest(groups=k, statistic=nan if alike else inf, p_value=1.0 if alike else 0.0, validity=Validity.UNDEFINED)
    variance = np.maximum(variance, variance[variance > floor].min())
    weight = rows / variance
    centre = float(weight @ mean / weight.sum())
    spread = float((((1 - weight / weight.sum()) ** 2) / (rows - 1)).sum())
    statistic = float(weight @ (mean - centre) ** 2) / (k - 1) / (1 + 2 * (k - 2) / (k**2 - 1) * spread)
    freedom = (k**2 - 1) / (3 * spread)
    p_value = float(fdtrc(k - 1, freedom, statistic))
    return FTest(statistic=statistic, groups=k, freedom=freedom, p_value=p_value, validity=Validity.OK)
