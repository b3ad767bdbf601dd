"""Error budgets of model quality: how fast bad predictions burn the budget, and when that is worth waking somebody.

Counts must be of mature windows by event time. Does not decide what a bad prediction is, nor what to do once the budget is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import isfinite, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincc, betainccinv, betaincinv, ndtri, stdtrit

from watchkeeper.stats.result import Assumption, Result, Validity

_TAIL = 0.025
_ASSUMES = (Assumption.INDEPENDENT_ROWS,)


class Severity(StrEnum):
    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, kw_only=True)
class BurnWindow:
    """Alert when the long window burns the budget `burn` times too fast and the short one shows that it still does."""

    long: timedelta
    burn: float
    severity: Severity

    @property
    def short(self) -> timedelta:
        return self.long / 12

    def budget_share(self, budget: timedelta) -> float:
        """Share of the whole budget that is gone when the long window burns at just this rate."""
        return self.burn * (self.long / budget)


MODEL_BUDGET = timedelta(days=28)
MODEL_WINDOWS = (
    BurnWindow(long=timedelta(days=1), burn=5.6, severity=Severity.PAGE),
    BurnWindow(long=timedelta(days=3), burn=2.8, severity=Severity.PAGE),
    BurnWindow(long=timedelta(days=7), burn=1.6, severity=Severity.TICKET),
)
GOOGLE_BUDGET = timedelta(days=30)
GOOGLE_WINDOWS = (
    BurnWindow(long=timedelta(hours=1), burn=14.4, severity=Severity.PAGE),
    BurnWindow(long=timedelta(hours=6), burn=6.0, severity=Severity.PAGE),
    BurnWindow(long=timedelta(days=3), burn=1.0, severity=Severity.TICKET),
)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Bad predictions among the valid ones of some window."""

    bad: float
    valid: float


class BurnReason(StrEnum):
    """Why a rule fires, or does not."""

    BURNING = "burning"
    LONG_WINDOW_BELOW = "the long window burns slowly enough"
    SHORT_WINDOW_BELOW = "the short window has calmed down"
    NOT_SURE = "too few rows to be sure"
    NO_ROWS = "no rows"
    NO_BUDGET = "the target leaves no budget"

    @property
    def is_firing(self) -> bool:
        return self is BurnReason.BURNING


@dataclass(frozen=True, kw_only=True)
class ErrorBudget:
    """Bad predictions the target allows over the budget window, and the shares of them that are spent and left (below 0: overdrawn)."""

    allowed: float
    spent: float
    left: float
    validity: Validity


def burn_rate(counts: Counts, *, target: float) -> Result:
    """How many times faster than allowed the budget is spent: the bad rate over 1 − target, with its Jeffreys interval.

    >>> round(burn_rate(Counts(bad=30, valid=1000), target=0.99).estimate, 6)
    3.0
    """
    rule, budget = "burn rate", 1 - target
    bad, valid = _clean(counts)
    if not valid or not budget > 0:
        return Result.missing(Validity.UNDEFINED if valid else Validity.TOO_FEW_ROWS, n=int(valid), rule=rule, assumptions=_ASSUMES)
    posterior = _posterior(bad, valid)
    low = float(betaincinv(*posterior, _TAIL)) / budget if bad else 0.0
    high = (float(betainccinv(*posterior, _TAIL)) if bad < valid else 1.0) / budget
    return Result(estimate=bad / valid / budget, low=low, high=high, n=int(valid), rule=rule, assumptions=_ASSUMES)


def burn_probability(counts: Counts, *, target: float, burn: float) -> float:
    """Probability that the true bad rate exceeds burn × (1 − target), under Jeffreys' prior Beta(½, ½); NaN without rows.

    >>> round(burn_probability(Counts(bad=2, valid=10), target=0.99, burn=14.4), 4)
    0.7206
    """
    bad, valid = _clean(counts)
    if not valid or not isfinite(burn * (1 - target)):
        return nan
    return float(betaincc(*_posterior(bad, valid), min(max(burn * (1 - target), 0.0), 1.0)))


def judge_burn(long: Counts, short: Counts, *, window: BurnWindow, target: float, certainty: float = 0.95) -> BurnReason:
    """Whether a multi-window rule fires, and if not, why.

    Both windows must exceed the burn rate, and the long one with at least `certainty`, so that two errors of ten rows wake nobody.
    A short window without rows confirms nothing: for models that score in batches, pass the last batch. SRE Workbook, chapter 5.

    >>> judge_burn(Counts(bad=200, valid=1000), Counts(bad=20, valid=90), window=GOOGLE_WINDOWS[0], target=0.99).value
    'burning'
    """
    slow, fast = burn_rate(long, target=target).estimate, burn_rate(short, target=target).estimate
    if not 1 - target > 0:
        return BurnReason.NO_BUDGET
    if not (isfinite(slow) and isfinite(fast)):
        return BurnReason.NO_ROWS
    if slow <= window.burn:
        return BurnReason.LONG_WINDOW_BELOW
    if fast <= window.burn:
        return BurnReason.SHORT_WINDOW_BELOW
    if burn_probability(long, target=target, burn=window.burn) < certainty:
        return BurnReason.NOT_SURE
    return BurnReason.BURNING


def error_budget(counts: Counts, *, target: float, expected: float = nan) -> ErrorBudget:
    """What is left of the budget. `expected` is the number of predictions in the whole budget window, if not all are there yet.

    >>> round(error_budget(Counts(bad=30, valid=1000), target=0.99, expected=10_000).left, 6)
    0.7
    """
    bad, valid = _clean(counts)
    allowed = max(expected if isfinite(expected) else valid, valid) * (1 - target)
    if not (valid and allowed > 0):
        return ErrorBudget(allowed=allowed, spent=nan, left=nan, validity=Validity.UNDEFINED if valid else Validity.TOO_FEW_ROWS)
    return ErrorBudget(allowed=allowed, spent=bad / allowed, left=1 - bad / allowed, validity=Validity.OK)


def suggest_target(bad: ArrayLike, valid: ArrayLike, *, tail: float = 0.01, min_windows: int = 8) -> Result:
    """A target that only one window in 1 / tail should miss, from the mature windows of the past.

    Lower prediction bound of the good share: mean − Student quantile × SD × √(1 + 1/k). The interval says how well k windows know that
    quantile (normal approximation). A spread between windows is part of the target, so it needs no independent rows.

    >>> round(suggest_target([8, 10, 12, 9, 11, 10, 9, 11], [1000] * 8).estimate, 4)
    0.9858
    """
    rule = f"lower {tail:.0%} bound of past windows"
    counts = np.array(np.broadcast_arrays(np.asarray(bad, dtype=float), np.asarray(valid, dtype=float))).reshape(2, -1)
    usable = np.isfinite(counts).all(axis=0) & (counts[1] > 0)
    good = 1 - np.clip(counts[0, usable] / counts[1, usable], 0, 1)
    k = good.size
    if k < max(min_windows, 2):
        return Result.missing(Validity.TOO_FEW_ROWS, n=k, rule=rule)
    mean, sd, z = float(good.mean()), float(good.std(ddof=1)), -float(ndtri(tail))
    bound = mean - -float(stdtrit(k - 1, tail)) * sd * sqrt(1 + 1 / k)
    half = -float(ndtri(_TAIL)) * sd * sqrt(1 / k + z**2 / (2 * (k - 1)))
    low, estimate, high = (min(max(value, 0.0), 1.0) for value in (bound - half, bound, bound + half))
    return Result(estimate=estimate, low=low, high=high, n=k, rule=rule)


def _clean(counts: Counts) -> tuple[float, float]:
    """Bad and valid as counts; a count that is none (negative, NaN, infinite) means that the window has no rows."""
    if not (isfinite(counts.bad) and isfinite(counts.valid)) or counts.valid <= 0:
        return 0.0, 0.0
    return min(max(counts.bad, 0.0), counts.valid), counts.valid


def _posterior(bad: float, valid: float) -> tuple[float, float]:
    """The parameters of its beta distribution."""
    return bad + 0.5, valid - bad + 0.5
