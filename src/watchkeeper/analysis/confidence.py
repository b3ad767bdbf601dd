"""How sure a model is of its predictions, in a window of days and in the reference. Of a calibrated model the mean is the share it expects to get right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.analysis.columns import ColumnDays, ColumnHistory, Floats, Ints
from watchkeeper.analysis.drift import DriftLimits, drift_of
from watchkeeper.stats.drift import DriftTest
from watchkeeper.telemetry.bins import FIRST, OVER_BINS
from watchkeeper.telemetry.derived_bins import CONFIDENCE


@dataclass(frozen=True, kw_only=True)
class ConfidenceChange:
    """Mean confidence in the window of days `first` to `last` and in the reference; `undecided` are the shares of rows below a confidence."""

    first: str
    last: str
    mean: float
    usual: float
    undecided: float
    usual_undecided: float
    test: DriftTest

    @property
    def fall(self) -> float:
        return self.usual - self.mean


def has_confidence(history: ColumnHistory) -> bool:
    return CONFIDENCE in history.columns


def confidence_change(history: ColumnHistory, *, window: int, alpha: float, least_drop: float, undecided_below: float) -> ConfidenceChange | None:
    """The last `window` days against the reference; None when no day can be judged or a side has no scores.

    Its distribution is tested as that of any column (algorithm D1). Rows moved by no less than their mean fell, so that a fall by `least_drop` is big.
    """
    column = history.of(history.columns[CONFIDENCE])
    spread = column.reference_spread
    limits = DriftLimits(alpha=alpha, least_distance=least_drop / spread if spread > 0 else float("inf"))
    test = drift_of(column, limits, window=window)
    current, (reference, sums) = column.counts[-window:].sum(axis=0), column.compared(window)
    if test is None or not column.numbers(current) or not column.numbers(reference):
        return None
    return ConfidenceChange(
        first=history.names[-window:][0],
        last=history.names[-1],
        mean=_mean(column, current, column.sums[-window:].sum(axis=0)),
        usual=_mean(column, reference, sums),
        undecided=share_below(column, current, undecided_below),
        usual_undecided=share_below(column, reference, undecided_below),
        test=test,
    )


def share_below(column: ColumnDays, counts: Ints, value: float) -> float:
    """The part of the numbers below a value within the bins, even within a bin."""
    inside = counts[FIRST:OVER_BINS]
    below = np.concatenate([[0], inside.cumsum()])
    return float(np.interp(value, column.bins.edges, below) / inside.sum())


def _mean(column: ColumnDays, counts: Ints, sums: Floats) -> float:
    return float(sums[0] / column.numbers(counts))
