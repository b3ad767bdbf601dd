"""Drift of the numeric features together: what the principal components of the reference do not rebuild, day by day. Does not look at any one alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from math import exp
from typing import ClassVar, Self

import numpy as np

from watchkeeper.analysis.columns import DAYS_AS_COUNTED, LEARN_DAYS, Floats
from watchkeeper.core.evidence import Evidence
from watchkeeper.stats.drift import Verdict
from watchkeeper.stats.moments import rows_in
from watchkeeper.stats.reconstruction import Components, components_of, errors_of_unseen
from watchkeeper.stats.unusual import Judged, judge_mean, learn_days

LOOKED_BACK = timedelta(days=60)
LEAST_ROWS = 30  # of a day that teaches or is judged
MOST_NAMED = 5
LEAST_ERROR = 0.01  # of a varying feature's variance: errors are told apart down to that


def _no_moments() -> Floats:
    return np.zeros((0, 1, 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class MomentHistory(Evidence):
    """Second moments (stats.moments) of the numeric features on closed days with rows, oldest first, and of the reference they are compared with.

    `moments` has shape (days, columns + 1, columns + 1), `ends` are the UTC moments at which the days were over. `reference` holds the training rows
    in some random parts; empty when the model sent none and is compared with its own first weeks. The first 28 days tell how much days usually differ.
    """

    forgets: ClassVar[str] = ""
    is_large: ClassVar[bool] = True
    assumes: ClassVar[tuple[str, ...]] = DAYS_AS_COUNTED
    same_for: ClassVar[timedelta] = timedelta(days=1)

    columns: tuple[str, ...] = ()
    reference: Floats = field(default_factory=_no_moments)
    days: tuple[date, ...] = ()
    ends: tuple[datetime, ...] = ()
    moments: Floats = field(default_factory=_no_moments)

    @property
    def arrivals(self) -> Sequence[datetime]:
        return self.ends

    def at(self, moment: datetime) -> Self:
        over = bisect_right(self.ends, moment)
        since = (moment - LOOKED_BACK).date()
        kept = [place for place in range(over) if place < LEARN_DAYS or self.days[place] >= since]
        days, ends = tuple(self.days[place] for place in kept), tuple(self.ends[place] for place in kept)
        return replace(self, now=moment, days=days, ends=ends, moments=self.moments[kept])

    @property
    def has_reference(self) -> bool:
        return len(self.reference) > 1

    @property
    def parts(self) -> Floats:
        """What the components are made of."""
        return self.reference if self.has_reference else self.moments[:LEARN_DAYS]

    @cached_property
    def components(self) -> Components | None:
        """None where fewer than two features vary."""
        return components_of(self.parts.sum(axis=0)) if len(self.parts) else None

    def rows_of_last(self, window: int) -> int:
        return int(rows_in(self.moments[-window:]).sum())

    def is_judged(self, window: int) -> bool:
        """The first weeks of a model without reference rows are its reference, and are not judged."""
        return len(self.days) >= window + (0 if self.has_reference else LEARN_DAYS)


@dataclass(frozen=True, kw_only=True)
class Together:
    """The window of days `first` to `last`: its reconstruction `error` in variances of the reference, what is `usual`, and when it is big: from `high`
    or below `low`.

    `columns` are those whose part of the error changed most, in the direction of the whole.
    """

    first: date
    last: date
    rows: int
    error: float
    usual: float
    high: float
    low: float
    judged: Judged
    columns: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        return self.judged.verdict


def drift_together(history: MomentHistory, *, window: int = 1, alpha: float = 0.001, tolerance: float = 0.2) -> Together | None:
    """The last `window` days against the reference. None when there are no components, or no days to judge or too few rows in them."""
    components = history.components
    current = history.moments[-window:].sum(axis=0)
    if components is None or not history.is_judged(window) or rows_in(current) < LEAST_ROWS:
        return None
    least = LEAST_ERROR * components.standard.varying
    learned = history.moments[: min(LEARN_DAYS, len(history.days) - window)]
    rows = np.where(rows_in(learned) >= LEAST_ROWS, rows_in(learned), 0.0)
    means = components.error(learned) if history.has_reference else errors_of_unseen(learned)
    spread = learn_days(means + least, rows, window=window, may_change=history.has_reference)
    usual = _usual(history, means, rows, least)
    error, reference = float(components.error(current)), history.parts.sum(axis=0)
    judged = judge_mean(
        error + least,
        float(rows_in(current)),
        usual,
        float(rows_in(reference)),
        spread,
        row_spread=max(float(components.row_spread(moments) / (components.error(moments) + least)) for moments in (current, reference)),
        alpha=alpha,
        tolerance=tolerance,
    )
    return Together(
        first=history.days[-window],
        last=history.days[-1],
        rows=int(rows_in(current)),
        error=error,
        usual=usual - least,
        high=usual * judged.least - least,
        low=max(usual / judged.least - least, 0.0),
        judged=judged,
        columns=_changed(history, components.parts(current) - components.parts(reference)),
    )


def error_by_day(history: MomentHistory) -> Floats:
    """The error of each day, for charts; NaN for a day without rows."""
    return history.components.error(history.moments) if history.components else np.full(len(history.days), np.nan)


def _usual(history: MomentHistory, means: Floats, rows: Floats, least: float) -> float:
    """Of rows that the components were not made of: those they were made of are rebuilt better than any others."""
    if not history.has_reference:
        return exp(float(np.log(means[rows > 0] + least).mean()))
    unseen, counts = errors_of_unseen(history.reference), rows_in(history.reference)
    known = np.isfinite(unseen)
    return float(np.average(unseen[known], weights=counts[known])) + least


def _changed(history: MomentHistory, difference: Floats) -> tuple[str, ...]:
    """Those that changed at least half as much as the one that changed most."""
    along = difference if difference.sum() >= 0 else -difference
    order = [int(place) for place in np.argsort(-along, kind="stable")[:MOST_NAMED]]
    return tuple(history.columns[place] for place in order if along[place] > 0 and along[place] >= along[order[0]] / 2)
