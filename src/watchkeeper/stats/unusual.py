"""Whether the mean of a window of rows is another than usual, beyond how much days differ: a t-test of logarithms, learned of the first days.

For positive means whose day effects multiply, such as errors. Logarithms make doubling and halving alike, and skewed days less so.
"""

from __future__ import annotations

from math import exp, log, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from watchkeeper.stats.drift import FLOORS, LEAST_WINDOWS, NOISE_QUANTILE, Verdict

Floats = NDArray[np.float64]
LARGE = 2.0  # the ratio that is told without a known spread, when it is FLOORS times what chance gives too
CHANGE_ALPHA = 0.001
ROUNDING = 1e-9
MOST_LOGARITHM = 50.0  # of a ratio: more is no number to tell people
LEAST_LONGER = 4  # windows of several days that tell their own spread


class Spread(NamedTuple):
    """Standard deviation of the logarithms of windows, of `rows` rows each (harmonic mean), with `degrees` of freedom from `days` days."""

    sd: float
    rows: float
    degrees: float
    days: int

    @property
    def is_known(self) -> bool:
        return self.days >= LEAST_WINDOWS and self.sd > ROUNDING


class Judged(NamedTuple):
    """`ratio` is window over usual, big from `least` or its inverse; chance and the usual difference of days stay within `noise` but for once in a
    thousand times."""

    verdict: Verdict
    p_value: float
    ratio: float
    least: float
    noise: float


def learn_days(means: ArrayLike, rows: ArrayLike, *, window: int = 1, may_change: bool = False) -> Spread:
    """How much windows of so many days differ, of the means of single days and their rows.

    Where days follow each other by chance the variance of windows is that of days over `window`; where longer windows differ more, theirs.
    With `may_change` days differ from those on their own side of a lasting change: drift is not usual. A day without a mean is left out.

    >>> round(learn_days([1.0, 2.0, 1.0, 2.0], [100] * 4).sd, 4)
    0.4002
    """
    values, counts = np.asarray(means, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    told = (values > 0) & (counts > 0)
    values, counts = values[told], counts[told]
    if values.size < 2:
        return Spread(nan, nan, 0.0, values.size)
    sides = np.split(np.arange(values.size), [_change_of(np.log(values))] if may_change else [])
    daily, degrees = _within([np.log(values[side]) for side in sides])
    longer, of_longer = _within([np.log(_joined(values[side], counts[side], window)) for side in sides]) if window > 1 else (0.0, 0)
    variance = max(daily / window, longer if of_longer >= LEAST_LONGER - 1 else 0.0)
    return Spread(sqrt(variance), window * float(counts.size / (1 / counts).sum()), float(degrees), values.size)


def judge_mean(
    mean: float, rows: float, usual: float, usual_rows: float, spread: Spread, *, row_spread: float, alpha: float = 0.001, tolerance: float = 0.2
) -> Judged:
    """A change when the ratio to what is usual is significant at alpha, and at least 1 + tolerance or at most 1 / (1 + tolerance).

    Smaller windows than those it was learned of are taken to differ as if chance among rows were all, larger ones as much as those: both err to
    the side of silence. What is usual is known as well as so many rows tell. `row_spread` is the standard deviation of one row
    over the mean, if rows were independent: it alone counts until twenty days are known, when only a ratio of 2 is told.
    """
    difference = log(mean / usual)
    if spread.is_known:
        error = spread.sd * sqrt(max(spread.rows / rows, 1.0) + spread.rows / usual_rows)
        degrees = float(spread.degrees)
    else:
        error, degrees = row_spread * sqrt(1 / rows + 1 / usual_rows), 1e9
    p_value = float(2 * stdtr(degrees, -abs(difference) / error)) if error > 0 else float(difference == 0)
    noise = exp(min(float(stdtrit(degrees, (1 + NOISE_QUANTILE) / 2)) * error, MOST_LOGARITHM))
    least = 1 + tolerance if spread.is_known else max(1 + tolerance, LARGE, exp(min(FLOORS * error, MOST_LOGARITHM)))
    is_big, is_silent = abs(difference) >= log(least), noise > 1 + tolerance
    if not spread.is_known:
        verdict = Verdict.PRELIMINARY_DRIFT if is_big else Verdict.INSUFFICIENT if is_silent else Verdict.PRELIMINARY
    else:
        verdict = Verdict.DRIFT if is_big and p_value < alpha else Verdict.INSUFFICIENT if is_silent else Verdict.NONE
    return Judged(verdict, p_value, mean / usual, least, noise)


def _within(groups: list[Floats]) -> tuple[float, int]:
    """Variance within groups and its degrees of freedom; groups of one say nothing."""
    degrees = sum(max(group.size - 1, 0) for group in groups)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups if group.size)
    return (squares / degrees if degrees else 0.0), degrees


def _joined(means: Floats, rows: Floats, window: int) -> Floats:
    whole = means.size // window * window
    total, counts = (values[:whole].reshape(-1, window).sum(axis=1) for values in (means * rows, rows))
    return np.asarray(total / counts)


def _change_of(values: Floats) -> int:
    """Where a lasting change began; 0 without one. The largest t of all before against all after, its p-value times the number of places."""
    best, place = 1.0, 0
    for split in range(2, values.size - 1):
        before, after = values[:split], values[split:]
        variance, degrees = _within([before, after])
        apart = abs(after.mean() - before.mean())
        error = sqrt(variance * (1 / before.size + 1 / after.size))
        p_value = float(2 * stdtr(degrees, -apart / error)) if error > 0 else float(apart == 0)
        if p_value < best:
            best, place = p_value, split
    return place if best * max(values.size - 3, 1) < CHANGE_ALPHA else 0
