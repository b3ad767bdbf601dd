"""Realised performance of mature days against the reference days, beyond how much days usually differ. Knows no finding and no page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from math import hypot, inf, isfinite, nan, sqrt
from statistics import median

from scipy.special import stdtr

from watchkeeper.analysis.metrics import OutcomeMetric, of_each
from watchkeeper.analysis.outcomes import OutcomeHistory, Periods
from watchkeeper.stats.performance import Direction
from watchkeeper.stats.result import Result, Validity
from watchkeeper.stats.scores import Z_95

_LEAST_DAYS = 5  # to tell how much days differ
_CHI2_MEDIAN = 0.45493642311957283  # of one degree of freedom


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A metric of days first to last beside its reference; of `usual_days`, those of the reference, how much days differ is learned when it matters."""

    metric: OutcomeMetric
    current: Result
    reference: Result
    first: date
    last: date
    history: OutcomeHistory
    usual_days: tuple[date, ...]

    @property
    def worse(self) -> float:
        """By how much it is worse (negative: better), in the metric's own units."""
        return worse_by(self.metric, self.current.estimate, self.reference.estimate)

    @cached_property
    def design_effect(self) -> float:
        """How much more days differ than their rows explain, 1 when no more."""
        return design_effect(of_each(self.metric, (self.history.of([day]) for day in self.usual_days)))

    @cached_property
    def p_value(self) -> float:
        """How often days that are no worse look so, beside how much days differ."""
        error = sqrt(self.design_effect) * hypot(standard_error(self.current), standard_error(self.reference))
        freedom = max(1, len(self.usual_days) - 1)
        return float(1 - stdtr(freedom, self.worse / error)) if isfinite(self.worse) and 0 < error < inf else nan


def standard_error(result: Result) -> float:
    """As the 95 % interval says; infinite when nothing is known."""
    return (result.high - result.low) / (2 * Z_95) if isfinite(result.low) and isfinite(result.high) else inf


def compare(history: OutcomeHistory, metric: OutcomeMetric, *, window: int) -> Comparison | None:
    """The last `window` judged days against the reference; None while either is missing."""
    periods = history.periods
    days = periods.judged[-window:]
    if not days or not periods.is_learned:
        return None
    return Comparison(
        metric=metric,
        current=metric.compute(history.of(days)),
        reference=metric.compute(history.of(periods.reference)),
        first=days[0],
        last=days[-1],
        history=history,
        usual_days=periods.reference,
    )


def worse_by(metric: OutcomeMetric, current: float, reference: float) -> float:
    """How much worse one value is than another, in the metric's units.

    >>> from watchkeeper.analysis.metrics import METRICS
    >>> from watchkeeper.telemetry.outcome_queries import OutcomeKind
    >>> gap = next(metric for metric in METRICS[OutcomeKind.DECISIONS] if metric.name == "calibration_gap")
    >>> round(worse_by(gap, -0.08, 0.03), 3)
    0.05
    """
    if metric.direction is Direction.NEAREST:
        return abs(current - metric.ideal) - abs(reference - metric.ideal)
    return reference - current if metric.direction is Direction.HIGHER else current - reference


def design_effect(of_days: Sequence[Result]) -> float:
    """How much more days differ than the chance of their rows: the median of ((day - middle day) / standard error)² over that of chi-square.

    At least 1. Medians, because a freak day of the reference (a storm, an outage) is no measure of usual ones.
    """
    judged = [day for day in of_days if day.validity is Validity.OK and isfinite(day.estimate) and 0 < standard_error(day) < inf]
    if len(judged) < _LEAST_DAYS:
        return 1.0
    middle = median(day.estimate for day in judged)
    return robust_effect(((day.estimate - middle) / standard_error(day)) ** 2 for day in judged)


def robust_effect(squares: Iterable[float]) -> float:
    """The factor by which squared standardised departures are too large, at least 1."""
    return max(1.0, median(squares) / _CHI2_MEDIAN)


def drawn_windows(history: OutcomeHistory, *, window: int, since: datetime) -> list[tuple[date, ...]]:
    """The days that ended since then, in windows that do not overlap and end with the last day, oldest first; incomplete ones where there are no others."""
    days = [day for day in history.by_day if history.ends[day] >= since]
    windows = [tuple(days[max(0, end - window) : end]) for end in range(len(days), 0, -window)][::-1]
    return [part for part in windows if len(part) == window] or windows


def windows_of(periods: Periods, window: int) -> Iterator[tuple[date, ...]]:
    """The judged days in windows that do not overlap, oldest first, each complete. A new day never moves the windows before it."""
    for start in range(0, len(periods.judged) - window + 1, window):
        yield periods.judged[start : start + window]
