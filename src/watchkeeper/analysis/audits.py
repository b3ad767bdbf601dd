"""What an audit sample says of accuracy: the estimate of all rows, put right by the rows that people labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from math import hypot

import numpy as np

from watchkeeper.analysis.estimates import Estimator
from watchkeeper.stats.audit import prediction_powered_mean
from watchkeeper.stats.result import Result
from watchkeeper.stats.scores import share_result
from watchkeeper.telemetry.audits import DrawnRow


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Rows drawn at random from `population` predictions of the days, and the labels (1 or 0) that have come for them, by id."""

    first: date
    last: date
    population: int
    rows: tuple[DrawnRow, ...]
    labels: Mapping[str, int]

    @property
    def labelled(self) -> tuple[DrawnRow, ...]:
        """Rows with a decision and a label."""
        return tuple(row for row in self.rows if row.said is not None and row.id in self.labels)

    @property
    def waiting(self) -> int:
        return sum(row.id not in self.labels for row in self.rows)


@dataclass(frozen=True, kw_only=True)
class Audited:
    """Accuracy of the days as the audit tells it; `estimated` is what the scores alone said, None where nothing could be estimated."""

    audit: Audit
    accuracy: Result
    estimated: Result | None

    @property
    def is_refuted(self) -> bool:
        """Whether the two differ by more than both intervals explain: scores have come to mean something else."""
        if not (self.estimated and self.estimated.is_ok and self.accuracy.is_ok):
            return False
        explained = hypot(*((result.high - result.low) / 2 for result in (self.accuracy, self.estimated)))
        return abs(self.accuracy.estimate - self.estimated.estimate) > explained


def audited(audit: Audit, estimator: Estimator | None) -> Audited:
    """By prediction-powered inference where the days can be estimated, else the share of right decisions of the labelled rows alone."""
    rows = audit.labelled
    right = np.array([row.said == audit.labels[row.id] for row in rows], dtype=np.float64)
    days = [day for day in estimator.history.by_day if audit.first <= day <= audit.last] if estimator else []
    estimated = estimator.estimate("accuracy", days) if estimator and days else None
    if estimator is None or estimated is None or not estimated.is_ok:
        return Audited(audit=audit, accuracy=share_result(right.sum(), len(right), n=len(right)), estimated=estimated)
    p = estimator.probability(rows)
    expected = np.where([row.said == 1 for row in rows], p, 1 - p)
    mean = estimated.estimate
    accuracy = prediction_powered_mean(right, expected, mean=mean, variance=mean * (1 - mean), n=audit.population)
    return Audited(audit=audit, accuracy=accuracy, estimated=estimated)
