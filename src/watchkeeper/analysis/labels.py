"""Whether labels come as they used to: how many there should be by now, and how many there are. Judges no performance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import sqrt

import numpy as np
from scipy.special import ndtr

from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.analysis.performance import robust_effect
from watchkeeper.telemetry.outcomes import DayOutcomes, delay_bounds

_LEAST_EXPECTED = 5.0  # labels: below, nothing can be told
_LEAST_EARLIER = 7  # days
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, kw_only=True)
class LabelCount:
    """Labels of the days first to last against those expected by their age. `p_value`: how often chance gives as few.

    `design_effect` is by how much more earlier days differed than their rows explain.
    """

    first: date
    last: date
    rows: int
    labelled: int
    expected: float
    p_value: float
    design_effect: float

    @property
    def missing(self) -> float:
        """The part of the expected labels that is not there."""
        return max(0.0, 1 - self.labelled / self.expected)

    def are_late(self, *, alpha: float, tolerance: float) -> bool:
        """More than `tolerance` of them are missing, beyond chance."""
        return self.missing > tolerance and self.p_value < alpha


def recent_labels(history: OutcomeHistory, *, window: int, earlier: int = 28) -> LabelCount | None:
    """The last `window` days that should have labels by now against the `earlier` days before them, both at the same age.

    Days count of which half of the labels that ever come should be there. None while there are too few of either.
    """
    days = tuple(history.by_day)
    due: list[date] = []
    for place in range(len(days) - 1, -1, -1):  # from the youngest: only those that are too young are not due
        if _is_due(history, days[place], days[max(0, place - earlier) : place]):
            due.insert(0, days[place])
        if len(due) == window:
            break
    before = [day for day in days if due and day < due[0]][-earlier:]
    if len(due) < window or len(before) < _LEAST_EARLIER:
        return None
    return _counted(history, due, before)


def share_by(entries: Sequence[DayOutcomes], age: float) -> float:
    """The share of rows whose label came before they were so many days old, of days whose rows were made at any hour."""
    (share,) = shares_by([entries], age)
    return share


def shares_by(windows: Sequence[Sequence[DayOutcomes]], age: float) -> list[float]:
    """The same of each of several windows."""
    delays = np.concatenate([np.zeros((0, 3)), *(entry.delays for entries in windows for entry in entries)])
    window = np.repeat(np.arange(len(windows)), [sum(len(entry.delays) for entry in entries) for entries in windows])
    late = delay_bounds(delays[:, 1])
    sixths = sum(weight * (late <= (age + later) * _DAY_SECONDS) for weight, later in ((1, 0.0), (4, 0.5), (1, 1.0)))  # Simpson's rule
    arrived = np.bincount(window, weights=delays[:, 2] * sixths, minlength=len(windows)) / 6
    rows = [sum(entry.rows for entry in entries) for entries in windows]
    return [float(came) / of if of else 0.0 for came, of in zip(arrived, rows, strict=True)]


def _is_due(history: OutcomeHistory, day: date, before: Sequence[date]) -> bool:
    entries = history.of(before)
    in_the_end = sum(entry.labelled for entry in entries)
    rows = sum(entry.rows for entry in entries)
    return in_the_end > 0 and share_by(entries, history.age(day)) >= 0.5 * in_the_end / rows


def _counted(history: OutcomeHistory, due: Sequence[date], before: Sequence[date]) -> LabelCount | None:
    entries = history.of(before)
    expected = spread = 0.0
    effects = []
    for day in due:
        rows, age = _rows(history, day), history.age(day)
        share = share_by(entries, age)
        expected += rows * share
        spread += rows * share * (1 - share)
        effects.append(_design_effect(history, before, share, age))
    if expected < _LEAST_EXPECTED:
        return None
    labelled, effect = sum(entry.labelled for entry in history.of(due)), max(effects)
    error = sqrt(effect * max(spread, 1.0))
    return LabelCount(
        first=due[0],
        last=due[-1],
        rows=sum(_rows(history, day) for day in due),
        labelled=labelled,
        expected=expected,
        p_value=float(ndtr((labelled - expected) / error)),
        design_effect=effect,
    )


def _design_effect(history: OutcomeHistory, before: Sequence[date], share: float, age: float) -> float:
    """How much more the earlier days differ at this age than their rows explain, at least 1."""
    if not 0 < share < 1:
        return 1.0
    shares = shares_by([history.of([day]) for day in before], age)
    squares = [_rows(history, day) * (of_day - share) ** 2 / (share * (1 - share)) for day, of_day in zip(before, shares, strict=True)]
    return robust_effect(squares)


def _rows(history: OutcomeHistory, day: date) -> int:
    return sum(entry.rows for entry in history.of([day]))
