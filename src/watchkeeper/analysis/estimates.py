"""Performance estimated before labels arrive (CBPE), with the record of how earlier estimates turned out. Binary decisions with scores only.

Calibration is learned from the reference days, by the segment field in which segments differ most, if any does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import inf, isfinite, sqrt

from scipy.stats import chi2

from watchkeeper.analysis.metrics import score_table
from watchkeeper.analysis.outcomes import Periods, SegmentHistory
from watchkeeper.analysis.performance import robust_effect, windows_of
from watchkeeper.stats.estimated import ESTIMATORS, CalibrationMap, Estimate, TrackRecord, estimates, track_record
from watchkeeper.stats.performance import METRICS
from watchkeeper.stats.result import Result, Validity
from watchkeeper.stats.scores import Z_95, ScoreTable, pooled
from watchkeeper.telemetry.outcomes import DayOutcomes

Tables = Mapping[str, ScoreTable]
_DIFFER = 0.001  # p-value from which segments are calibrated each by itself
_LEAST_LABELS = 200


@dataclass(frozen=True, kw_only=True)
class Tested:
    """An estimate and the truth of the same mature days, which ended with `last`."""

    last: date
    estimate: Result
    truth: Result

    @property
    def is_hit(self) -> bool:
        return self.estimate.low <= self.truth.estimate <= self.estimate.high


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """What estimates a model's performance. `field` names the segments that have a calibration of their own; empty: all rows together.

    `spread` is by how much more the truth of a reference day lies off its estimate than the band says; bands are widened by it.
    """

    history: SegmentHistory
    periods: Periods
    calibration: CalibrationMap
    field: str
    spread: Mapping[str, float]

    def estimate(self, metric: str, days: Sequence[date]) -> Result:
        """The metric of these days as far as their scores tell."""
        found = estimates(_tables(self.history, self.field, days), self.calibration)[metric]
        return _widened(found, self.spread.get(metric, 1.0))

    def tested(self, metric: str, *, window: int) -> list[Tested]:
        """Every window of mature days since the reference: what would have been estimated, and what came out."""
        compute = METRICS[metric].compute
        return [
            Tested(last=days[-1], estimate=self.estimate(metric, days), truth=compute(score_table(self.history.of(days))))
            for days in windows_of(self.periods, window)
        ]

    def record(self, metric: str, *, window: int) -> TrackRecord:
        tested = self.tested(metric, window=window)
        return track_record([entry.estimate for entry in tested], [entry.truth.estimate for entry in tested])


def estimator_of(history: SegmentHistory) -> Estimator | None:
    """Learned from the reference days of the version in use; None while they are too few, or have too few labels."""
    periods = history.periods
    if not periods.is_learned:
        return None
    learned = score_table(history.of(periods.reference))
    if learned.labelled < _LEAST_LABELS or learned.positives in (0, learned.labelled):
        return None
    field = _field(history, periods.reference)
    calibration = CalibrationMap.of(_tables(history, field, periods.reference))
    unscaled = Estimator(history=history, periods=periods, calibration=calibration, field=field, spread={})
    return replace(unscaled, spread={metric: _spread(unscaled, metric) for metric in ESTIMATORS})


def _tables(history: SegmentHistory, field: str, days: Sequence[date]) -> dict[str, ScoreTable]:
    """Scores by segment of the field; rows of no segment are under the empty one."""
    whole = score_table(history.of(days))
    if not field:
        return {"": whole}
    wanted = set(days)
    tables = {name: score_table([entry for entry in entries if entry.day in wanted]) for name, entries in history.segments[field].items()}
    tables = {name: table for name, table in tables.items() if table.rows}
    rest = whole - pooled(tables.values())
    return {**tables, "": rest} if rest.rows else tables or {"": whole}


def _field(history: SegmentHistory, days: Sequence[date]) -> str:
    """The field whose segments depart most surely from one calibration for all; empty when none does."""
    common = CalibrationMap.of({"": score_table(history.of(days))})
    wanted, best = set(days), ("", _DIFFER)
    for field, segments in history.segments.items():
        statistic, freedom = 0.0, 0
        for entries in segments.values():
            departure = _departure(common, [entry for entry in entries if entry.day in wanted])
            if departure is not None:
                statistic, freedom = statistic + departure, freedom + 1
        p_value = float(chi2.sf(statistic, freedom)) if freedom > 1 else 1.0
        best = min(best, (field, p_value), key=lambda entry: entry[1])
    return best[0]


def _departure(common: CalibrationMap, entries: Sequence[DayOutcomes]) -> float | None:
    """(positives - expected)² / Σp(1-p) of a segment; None when too little is expected for it to be a chi-square."""
    table = score_table(entries)
    p = common.probabilities([""])[0]
    variance = float((table.n_labelled * p * (1 - p)).sum())
    return (table.positives - float(table.n_labelled @ p)) ** 2 / variance if variance >= 5 else None


def _spread(estimator: Estimator, metric: str) -> float:
    """By how much more reference days lie off their estimate than the band says, at least 1; freak days do not count."""
    squares = []
    for day in estimator.periods.reference:
        estimate = estimates(_tables(estimator.history, estimator.field, [day]), estimator.calibration)[metric]
        truth = METRICS[metric].compute(score_table(estimator.history.of([day])))
        if estimate.result.is_ok and truth.validity is Validity.OK and estimate.sd > 0:
            squares.append(((truth.estimate - estimate.result.estimate) / estimate.sd) ** 2)
    return sqrt(robust_effect(squares)) if squares else 1.0


def _widened(found: Estimate, spread: float) -> Result:
    result = found.result
    if not isfinite(result.estimate) or not 0 < found.sd < inf:
        return result
    half = Z_95 * found.sd * spread
    return replace(result, low=max(0.0, result.estimate - half), high=min(1.0, result.estimate + half))
