"""Performance estimated before labels arrive (CBPE), with the record of how earlier estimates turned out. Binary decisions with scores only: of
regressions see expected_errors.

Calibration is learned from the reference days of the version in use; until there are some, from the validation rows that came with its training. It is
learned by the segment field in which segments differ most, if any does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import date
from enum import StrEnum
from math import inf, isfinite, nan, sqrt

import numpy as np
from scipy.special import chdtrc

from watchkeeper.analysis.metrics import Days, score_table, score_tables
from watchkeeper.analysis.outcomes import Periods, SegmentHistory, of_days
from watchkeeper.analysis.performance import robust_effect, windows_of
from watchkeeper.stats.estimated import ESTIMATORS, CalibrationMap, Estimate, TrackRecord, Trust, estimates_of, track_record, trust_after
from watchkeeper.stats.performance import METRICS
from watchkeeper.stats.result import Result, Validity
from watchkeeper.stats.scores import Z_95, Floats, ScoreTable, pooled, score_codes
from watchkeeper.telemetry.audits import DrawnRow
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

Tables = Mapping[str, ScoreTable]
_DIFFER = 0.001  # p-value from which segments are calibrated each by itself
_LEAST_LABELS = 200
LEAST_TESTED = 7  # days: the truth of fewer says little


class NotEstimated(StrEnum):
    """Why nothing is estimated."""

    NOT_BINARY = "not binary"
    NOT_TOLD_BY_SCORES = "not told by scores"
    NOT_TOLD_BY_PREDICTIONS = "not told by predictions"
    NOT_LEARNED = "not learned yet"
    NO_BETTER = "no better than a constant"


@dataclass(frozen=True, kw_only=True)
class Tested:
    """An estimate and the truth of the same mature days."""

    first: date
    last: date
    estimate: Result
    truth: Result

    @property
    def is_hit(self) -> bool:
        return self.estimate.low <= self.truth.estimate <= self.estimate.high


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """What estimates a model's performance. `field` names the segments that have a calibration of their own; empty: all rows together.
    `is_of_validation`: what it knows it has from validation rows, and every mature day tests it.

    Bands are widened by how much more the truth of reference days lies off their estimate than the band says.
    """

    history: SegmentHistory
    periods: Periods
    learned: Sequence[DayOutcomes]
    calibration: CalibrationMap
    field: str
    is_of_validation: bool = False
    _spreads: dict[str, float] = dataclass_field(default_factory=dict)

    def reference(self, metric: str) -> Result:
        """The metric of the rows it learned from."""
        return METRICS[metric].compute(score_table(self.learned))

    def estimate(self, metric: str, days: Sequence[date]) -> Result:
        """The metric of these days as far as their scores tell."""
        return self.parts(metric, days).result

    def parts(self, metric: str, days: Sequence[date]) -> Estimate:
        """The same with the two parts of its band. The band is `spread` times as wide as they are."""
        return self._parts(metric, [days])[0]

    def _parts(self, metric: str, windows: Sequence[Sequence[date]]) -> list[Estimate]:
        spread = self.spread(metric)
        return [replace(found, result=_widened(found, spread)) for found in self._estimates(metric, windows)]

    def _estimates(self, metric: str, windows: Sequence[Sequence[date]]) -> list[Estimate]:
        of_field = self.history.segments.get(self.field, {})
        tables = _tables(
            [self.history.of(days) for days in windows], {name: [of_days(entries, days) for days in windows] for name, entries in of_field.items()}
        )
        return [found[metric] for found in estimates_of(tables, self.calibration, metrics=(metric,))]

    def probability(self, rows: Sequence[DrawnRow]) -> Floats:
        """How likely each row is positive, as its score and segment say. A decision without score stands for a score of 0 or 1."""
        names = [row.segments.get(self.field, "") if self.field else "" for row in rows]
        scores = [float(row.said or 0) if row.score is None else row.score for row in rows]
        by_segment = dict(zip(unique := sorted({*names}), self.calibration.probabilities(unique), strict=True)) if names else {}
        return np.array([by_segment[name][code] for name, code in zip(names, score_codes(scores).tolist(), strict=True)])

    def latest(self, metric: str, *, window: int) -> Estimated:
        """Of the last `window` days; estimates are tested a week at a time at least."""
        days = tuple(self.history.by_day)[-window:]
        tested = self.tested(metric, window=max(window, LEAST_TESTED))
        return Estimated(
            result=self.estimate(metric, days),
            first=days[0],
            last=days[-1],
            tested=tuple(tested),
            record=record_of(tested),
            reference=self.reference(metric),
            labels=int(score_table(self.learned).labelled),
            spread=self.spread(metric),
            field=self.field,
            is_of_validation=self.is_of_validation,
        )

    def tested(self, metric: str, *, window: int) -> list[Tested]:
        """Every window of mature days since the reference: what would have been estimated, and what came out."""
        return self._tested(metric, list(windows_of(self.periods, window)))

    def _tested(self, metric: str, windows: Sequence[Sequence[date]]) -> list[Tested]:
        return [
            Tested(first=days[0], last=days[-1], estimate=found.result, truth=truth)
            for days, found, truth in zip(windows, self._parts(metric, windows), self._truths(metric, windows), strict=True)
        ]

    def _truths(self, metric: str, windows: Iterable[Sequence[date]]) -> list[Result]:
        return [METRICS[metric].compute(table) for table in score_tables(self.history.of(days) for days in windows)]

    def trust(self, metric: str, *, window: int) -> Trust:
        windows = list(windows_of(self.periods, window))[::-1]
        pairs = (windows[place : place + 2] for place in range(0, len(windows), 2))  # the last two mostly decide
        return trust_of(tested for pair in pairs for tested in self._tested(metric, pair))

    def spread(self, metric: str) -> float:
        """By how much bands are widened, at least 1; freak days do not count."""
        if metric not in self._spreads:
            self._spreads[metric] = self._learned_spread(metric)
        return self._spreads[metric]

    def _learned_spread(self, metric: str) -> float:
        squares, days = [], [[day] for day in self.periods.reference]
        for found, truth in zip(self._estimates(metric, days), self._truths(metric, days), strict=True):
            if found.result.is_ok and truth.validity is Validity.OK and found.sd > 0:
                squares.append(((truth.estimate - found.result.estimate) / found.sd) ** 2)
        return sqrt(robust_effect(squares)) if squares else 1.0


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """What is estimated for the last closed days, and how such estimates turned out. Of an error `r_squared` tells how much better than a constant."""

    result: Result
    first: date
    last: date
    tested: tuple[Tested, ...]
    record: TrackRecord
    reference: Result
    labels: int
    spread: float = 1.0
    field: str = ""
    is_of_validation: bool = False
    r_squared: float = nan

    @property
    def is_told(self) -> bool:
        return isfinite(self.result.estimate)

    @property
    def is_distrusted(self) -> bool:
        return self.record.trust is Trust.DISTRUSTED


def estimator_for(history: SegmentHistory, metric: str) -> Estimator | NotEstimated:
    """What estimates this metric, or why nothing does."""
    if history.kind is None:
        return NotEstimated.NOT_LEARNED
    if history.kind is not OutcomeKind.DECISIONS:
        return NotEstimated.NOT_BINARY
    if metric not in ESTIMATORS:
        return NotEstimated.NOT_TOLD_BY_SCORES
    return estimator_of(history) or NotEstimated.NOT_LEARNED


def estimator_of(history: SegmentHistory) -> Estimator | None:
    """Learned from the reference days of the version in use, or its validation rows; None while they are too few, or have too few labels, and for a
    model that does not decide."""
    if history.kind is not OutcomeKind.DECISIONS:
        return None
    periods, validation = history.periods, history.validations.get(history.version)
    is_of_validation = validation is not None and not (periods.is_learned and periods.own)
    if validation is not None and is_of_validation:
        periods = Periods(judged=tuple(day for day in history.mature if history.main_version(day) == history.version))
        whole: Sequence[DayOutcomes] = [validation.whole]
        segments = validation.segments
    elif periods.is_learned:
        whole = history.of(periods.reference)
        segments = {
            field: {name: of_days(entries, periods.reference) for name, entries in of_field.items()} for field, of_field in history.segments.items()
        }
    else:
        return None
    learned = score_table(whole)
    if learned.labelled < _LEAST_LABELS or learned.positives in (0, learned.labelled):
        return None
    field = _field(learned, segments)
    calibration = CalibrationMap.of(_tables([whole], {name: [entries] for name, entries in segments.get(field, {}).items()})[0])
    return Estimator(history=history, periods=periods, learned=whole, calibration=calibration, field=field, is_of_validation=is_of_validation)


def record_of(tested: Sequence[Tested]) -> TrackRecord:
    return track_record([entry.estimate for entry in tested], [entry.truth.estimate for entry in tested])


def trust_of(newest_first: Iterable[Tested]) -> Trust:
    """The same trust at the cost of the last windows: two alike in a row decide."""
    hits: list[bool] = []
    for tested in newest_first:
        if isfinite(tested.estimate.estimate) and isfinite(tested.truth.estimate):
            hits.append(tested.is_hit)
            if hits[-2:-1] == hits[-1:]:
                break
    return trust_after(hits[::-1])


def _tables(wholes: Sequence[Days], segments: Mapping[str, Sequence[Days]]) -> list[dict[str, ScoreTable]]:
    """Scores of each window by segment; rows of no segment are under the empty one."""
    of_segments = zip(*(score_tables(windows) for windows in segments.values()), strict=True) if segments else [()] * len(wholes)
    return [_split(whole, dict(zip(segments, tables, strict=True))) for whole, tables in zip(score_tables(wholes), of_segments, strict=True)]


def _split(whole: ScoreTable, segments: Mapping[str, ScoreTable]) -> dict[str, ScoreTable]:
    tables = {name: table for name, table in segments.items() if table.rows}
    if tables and sum(table.rows for table in tables.values()) == whole.rows:
        return tables
    return {**tables, "": whole - pooled(tables.values()) if tables else whole}


def _field(learned: ScoreTable, segments: Mapping[str, Mapping[str, Sequence[DayOutcomes]]]) -> str:
    """The field whose segments depart most surely from one calibration for all; empty when none does."""
    common = CalibrationMap.of({"": learned})
    best = ("", _DIFFER)
    for field, of_field in segments.items():
        departures = [found for table in score_tables(of_field.values()) if (found := _departure(common, table)) is not None]
        p_value = float(chdtrc(len(departures), sum(departures))) if len(departures) > 1 else 1.0
        best = min(best, (field, p_value), key=lambda entry: entry[1])
    return best[0]


def _departure(common: CalibrationMap, table: ScoreTable) -> float | None:
    """(positives - expected)² / Σp(1-p) of a segment; None when too little is expected for it to be a chi-square."""
    p = common.probabilities([""])[0]
    variance = float((table.n_labelled * p * (1 - p)).sum())
    return (table.positives - float(table.n_labelled @ p)) ** 2 / variance if variance >= 5 else None


def _widened(found: Estimate, spread: float) -> Result:
    result = found.result
    if not isfinite(result.estimate) or not 0 < found.sd < inf:
        return result
    half = Z_95 * found.sd * spread
    return replace(result, low=max(0.0, result.estimate - half), high=min(1.0, result.estimate + half))
