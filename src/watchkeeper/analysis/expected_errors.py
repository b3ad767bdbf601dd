"""The error of a regression estimated before its labels arrive (DLE), with the record of how earlier estimates turned out. Fits no model of rows.

How wrong predictions of each size are is learned from the reference days; the predictions of a day then tell what is to be expected, labelled or not.
It is told only where reference days, foretold like that from those before them, came nearer than a constant would have. The band is how far they lay
off: that of a day, and for a longer window, whose chance is smaller, no narrower. Later days do not teach: what they test would widen its own band.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from watchkeeper.analysis.estimates import LEAST_TESTED, Estimated, NotEstimated, Tested, record_of, trust_of
from watchkeeper.analysis.metrics import METRICS, OutcomeMetric
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.analysis.performance import windows_of
from watchkeeper.stats.binscatter import assign_bins
from watchkeeper.stats.estimated import Estimate, Trust
from watchkeeper.stats.residuals import LossModel, expected_loss
from watchkeeper.stats.result import Result
from watchkeeper.stats.scores import Floats
from watchkeeper.telemetry.bins import OVER_BINS, UNDER_BINS, ColumnBins
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.relations import ERRORS

CELLS = 50
STRENGTH = 5.0  # rows: a cell has hundreds, and those that a shift fills are the ones unlike the mean of all
LEAST_DAYS = 24  # five that only teach, and 19 foretold: fewer give no band
LEAST_R_SQUARED = 0.05  # chance alone reaches it in one case of twenty
LOSSES = {"mean_absolute_error": "absolute", "root_mean_squared_error": "residual_2"}
_METRICS: Mapping[str, OutcomeMetric] = {metric.name: metric for metric in METRICS[OutcomeKind.NUMBERS] if metric.name in LOSSES}


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorDays:
    """Errors by the places of the prediction's bins, each day of shape (len(ERRORS), column.places). Without a column nothing is counted."""

    column: ColumnBins | None = None
    sums: Mapping[date, Floats] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorHistory(OutcomeHistory):
    """The days of a regression with their errors by prediction."""

    errors: ErrorDays = field(default_factory=ErrorDays)


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorEstimator:
    """What estimates the errors of a regression. `cells` is the cell of each place: bins of the predictions of the reference, and what lies beyond
    its minimum or maximum by itself."""

    history: OutcomeHistory
    errors: ErrorDays
    learned: tuple[date, ...]
    cells: NDArray[np.intp]

    @property
    def labels(self) -> int:
        return int(self._by_cell(self.learned, "n").sum())

    def r_squared(self, metric: str) -> float:
        """Of the days it learned from, each foretold from those before it, against a constant; NaN where a constant is never wrong."""
        return self._models[metric].r_squared

    def reference(self, metric: str) -> Result:
        """The metric of the days it learned from."""
        return _METRICS[metric].compute(self.history.of(self.learned))

    def estimate(self, metric: str, days: Sequence[date]) -> Result:
        """The metric of these days as far as their predictions tell."""
        counts = self._by_cell([day for day in days if day in self.errors.sums], "n_predicted").sum(axis=0)
        found = expected_loss(self._models[metric], counts, least_r_squared=-inf)
        return _root(found) if LOSSES[metric] == "residual_2" else replace(found, low=max(found.low, 0.0))

    def parts(self, metric: str, days: Sequence[date]) -> Estimate:
        """The same; its band has no parts."""
        return Estimate(result=self.estimate(metric, days))

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
            labels=self.labels,
            r_squared=self.r_squared(metric),
        )

    def tested(self, metric: str, *, window: int) -> list[Tested]:
        """Every window of mature days since the reference: what would have been estimated, and what came out."""
        return [self._tested(metric, days) for days in windows_of(self.history.periods, window)]

    def trust(self, metric: str, *, window: int) -> Trust:
        return trust_of(self._tested(metric, days) for days in reversed(list(windows_of(self.history.periods, window))))

    def _tested(self, metric: str, days: Sequence[date]) -> Tested:
        truth = _METRICS[metric].compute(self.history.of(days))
        return Tested(first=days[0], last=days[-1], estimate=self.estimate(metric, days), truth=truth)

    @cached_property
    def _models(self) -> Mapping[str, LossModel]:
        n = self._by_cell(self.learned, "n")
        return {metric: LossModel.of(n, self._by_cell(self.learned, loss), strength=STRENGTH) for metric, loss in LOSSES.items()}

    def _by_cell(self, days: Sequence[date], name: str) -> Floats:
        """Days x cells."""
        count = int(self.cells.max()) + 1
        found = [np.bincount(self.cells, weights=self.errors.sums[day][ERRORS.index(name)], minlength=count) for day in days]
        return np.array(found, dtype=np.float64).reshape(len(days), count)


def error_estimator_of(history: OutcomeHistory, errors: ErrorDays) -> ErrorEstimator | None:
    """Learned from the reference days of the version in use; None while fewer than 24 of them are there and counted."""
    learned = tuple(day for day in history.periods.reference if day in errors.sums)
    if errors.column is None or len(learned) < LEAST_DAYS:
        return None
    n = np.sum([errors.sums[day][ERRORS.index("n")] for day in learned], axis=0)
    return ErrorEstimator(history=history, errors=errors, learned=learned, cells=_cells(n))


def error_estimator_for(history: OutcomeHistory, errors: ErrorDays, metric: str) -> ErrorEstimator | NotEstimated:
    """What estimates this metric, or why nothing does."""
    if history.kind is not OutcomeKind.NUMBERS:
        return NotEstimated.NOT_LEARNED if history.kind is None else NotEstimated.NOT_BINARY
    if metric not in LOSSES:
        return NotEstimated.NOT_TOLD_BY_PREDICTIONS
    estimator = error_estimator_of(history, errors)
    if estimator is None:
        return NotEstimated.NOT_LEARNED
    return estimator if estimator.r_squared(metric) > LEAST_R_SQUARED else NotEstimated.NO_BETTER


def _cells(n: Floats) -> NDArray[np.intp]:
    """What lies below the minimum comes first, what lies above the maximum (or is no number) last."""
    inner = assign_bins(n[UNDER_BINS : OVER_BINS + 1], bins=CELLS, max_bins=CELLS) + 1
    beyond = np.full(n.size - OVER_BINS - 1, inner[-1] + 1)
    return np.concatenate([[0], inner, beyond])


def _root(squared: Result) -> Result:
    return replace(squared, estimate=sqrt(squared.estimate), low=sqrt(max(squared.low, 0.0)), high=sqrt(squared.high))
