"""What is known of a model's predictions and their labels over time: its days, how late labels come, and which days may be judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from watchkeeper.core.evidence import Evidence
from watchkeeper.core.text import N_
from watchkeeper.stats.delay import DelayCurve, delay_quantile, kaplan_meier
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes, delay_bounds

ByDay = Mapping[date, Sequence[DayOutcomes]]

LEARN_DAYS = 28
LEAST_LEARNED = 7
LOOKED_BACK = timedelta(days=400)
MATURE = 0.95
_DAY_SECONDS = 86_400.0
_STILL_GROWS = 0.02  # of the labels, in the last quarter of the time: then more are expected


@dataclass(frozen=True, kw_only=True)
class Periods:
    """Mature days to compare with, and mature days to judge; `own` when both are of the version in use."""

    reference: tuple[date, ...] = ()
    judged: tuple[date, ...] = ()
    own: bool = True

    @property
    def is_learned(self) -> bool:
        return len(self.reference) >= LEAST_LEARNED


@dataclass(frozen=True, kw_only=True, eq=False)
class OutcomeHistory(Evidence):
    """Closed days of a model's own clock with their outcomes, oldest first, one entry for each version. `ends` is when each day was over, in UTC.

    `kind` is None while no label ever came.
    """

    forgets: ClassVar[str] = ""
    is_large: ClassVar[bool] = True
    assumes: ClassVar[tuple[str, ...]] = (
        N_("labels are taken to have come when they say, those of predictions spread evenly over their day"),
        N_("of a day that had most of its labels by then, all labels known today are counted"),
        N_("labels are looked at once a day"),
    )
    same_for: ClassVar[timedelta] = timedelta(days=1)

    kind: OutcomeKind | None = None
    days: tuple[DayOutcomes, ...] = ()
    ends: Mapping[date, datetime] = field(default_factory=dict)

    @property
    def arrivals(self) -> Sequence[datetime]:
        return sorted(self.ends.values())

    def at(self, moment: datetime) -> Self:
        over = [day for day, end in self.ends.items() if end <= moment]
        since = (moment - LOOKED_BACK).date()
        ends = {day: self.ends[day] for place, day in enumerate(over) if place < LEARN_DAYS or day >= since}
        days = _known_by(self.days, ends, moment)
        return replace(self, now=moment, days=days, ends=ends, kind=self.kind if any(entry.labelled for entry in days) else None)

    @cached_property
    def by_day(self) -> ByDay:
        return by_day(self.days)

    def of(self, days: Iterable[date]) -> list[DayOutcomes]:
        return of_days(self.by_day, days)

    @property
    def labelled(self) -> int:
        return sum(entry.labelled for entry in self.days)

    def age(self, day: date) -> float:
        """Days since it was over: how old its youngest prediction is."""
        return (self.now - self.ends[day]) / timedelta(days=1)

    @cached_property
    def delays(self) -> DelayCurve:
        """Share of the predictions that have their label, by age in days."""
        return delay_curve(self.days, self.ends, self.now)

    @cached_property
    def final_share(self) -> float:
        """The share of predictions that get a label at all, as far as can be told: 1 while labels still come in numbers at the highest ages."""
        curve = self.delays
        if not curve.n or not curve.arrivals.any():
            return 1.0
        last = float(curve.share[-1])
        before = float(curve.share[max(0, int(np.searchsorted(curve.delays, 0.75 * curve.delays[-1], side="right")) - 1)])
        return last if last - before <= _STILL_GROWS * last else 1.0

    @cached_property
    def maturity(self) -> Mapping[date, float]:
        """The share of each day's labels that are expected to have come by now, of those that will ever come."""
        ages = np.array([self.age(day) for day in self.by_day])
        known = np.concatenate([[0.0], self.delays.share])[np.searchsorted(self.delays.delays, ages, side="right")]
        return dict(zip(self.by_day, np.minimum(known / self.final_share, 1.0).tolist(), strict=True))

    @cached_property
    def mature(self) -> tuple[date, ...]:
        """Days that may be judged: 95 % of their labels are expected to be there."""
        return tuple(day for day, share in self.maturity.items() if share >= MATURE)

    @property
    def usual_delay(self) -> float:
        """Days by which nine of ten labels have come, of those that come; NaN when not known."""
        return delay_quantile(self.delays, 0.9 * self.final_share) if self.delays.n else float("nan")

    @cached_property
    def version(self) -> str:
        """The version that made most of the last day's predictions."""
        return self.main_version(self.days[-1].day) if self.days else ""

    def main_version(self, day: date) -> str:
        return max(self.by_day[day], key=lambda entry: entry.rows).version

    @cached_property
    def periods(self) -> Periods:
        """The first 28 mature days of the version in use are the reference for its later ones; until there are more, the days before it."""
        own = [day for day in self.mature if self.main_version(day) == self.version]
        others = [day for day in self.mature if not own or day < own[0]]
        if len(own) > LEARN_DAYS or not others:
            return Periods(reference=tuple(own[:LEARN_DAYS]), judged=tuple(own[LEARN_DAYS:]))
        return Periods(reference=tuple(others[-LEARN_DAYS:]), judged=tuple(own), own=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """Labelled rows that a version was tried on: all of them, and those of each segment by field. Their day is that on which they came."""

    since: datetime
    whole: DayOutcomes
    segments: Mapping[str, Mapping[str, Sequence[DayOutcomes]]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentHistory(OutcomeHistory):
    """The same with the days of each segment, by field ("region"), segment ("north") and day, and the validation rows of versions that have some."""

    segments: Mapping[str, Mapping[str, ByDay]] = field(default_factory=dict)
    validations: Mapping[str, Validation] = field(default_factory=dict)

    def at(self, moment: datetime) -> Self:
        whole = super().at(moment)
        segments = {
            name: {
                segment: by_day(known)
                for segment, entries in of_field.items()
                if (known := _known_by(of_days(entries, whole.ends), whole.ends, moment))
            }
            for name, of_field in self.segments.items()
        }
        validations = {version: entry for version, entry in self.validations.items() if entry.since <= moment}
        kind = self.kind if validations and whole.days else whole.kind
        return replace(whole, kind=kind, segments={name: of_field for name, of_field in segments.items() if of_field}, validations=validations)


def by_day(entries: Iterable[DayOutcomes]) -> ByDay:
    found: dict[date, list[DayOutcomes]] = defaultdict(list)
    for entry in entries:
        found[entry.day].append(entry)
    return found


def of_days(entries: ByDay, days: Iterable[date]) -> list[DayOutcomes]:
    """Those of the days that have any, in the order of the days."""
    return [entry for day in days for entry in entries.get(day, ())]


def _known_by(entries: Iterable[DayOutcomes], ends: Mapping[date, datetime], moment: datetime) -> tuple[DayOutcomes, ...]:
    """Those of these days with the labels that had come by a moment. `cells` stay whole: they do not say when a label came."""
    return tuple(_aged(entry, (moment - ends[entry.day]) / timedelta(days=1)) for entry in entries if entry.day in ends)


def _aged(entry: DayOutcomes, age: float) -> DayOutcomes:
    """A day that was over `age` days ago. Its predictions are between `age` and a day older."""
    late = delay_bounds(entry.delays[:, 1]) / _DAY_SECONDS
    if not late.size or late.max() <= age:
        return entry
    delays = entry.delays.copy()
    delays[:, 2] = np.round(delays[:, 2] * np.clip(age + 1 - late, 0, 1))
    return replace(entry, labelled=int(delays[:, 2].sum()), delays=delays[delays[:, 2] > 0])


def delay_curve(days: Iterable[DayOutcomes], ends: Mapping[date, datetime], now: datetime) -> DelayCurve:
    """Kaplan-Meier over the days: labels by their delay, predictions without one by their age. In days."""
    entries = list(days)
    arrived = np.concatenate([np.zeros((0, 3)), *(entry.delays for entry in entries)])
    buckets, places = np.unique(arrived[:, 1], return_inverse=True)
    counts = np.bincount(places, weights=arrived[:, 2], minlength=len(buckets))
    ages, places = np.unique([(now - ends[entry.day]) / timedelta(days=1) for entry in entries], return_inverse=True)
    pending = np.bincount(places, weights=[entry.rows - entry.labelled for entry in entries], minlength=len(ages))
    return kaplan_meier(
        np.concatenate([delay_bounds(buckets) / _DAY_SECONDS, ages]),
        np.concatenate([counts, np.zeros(len(ages))]),
        predictions=np.concatenate([counts, pending]),
    )
