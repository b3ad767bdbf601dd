"""What risks look at, as plain values. Does not load itself: monitoring has one bulk loader per kind of evidence.

Every evidence carries `now`, the moment of the evaluation; a risk never asks a clock.
All times are aware and in UTC. `None` means not known, never zero.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import ClassVar, NamedTuple, Self

from watchkeeper.core.text import N_

HOUR = timedelta(hours=1)
MOMENTS = 2  # kept of each series of a metric: the one its newest value speaks of, and the one before


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """`at` is the same evidence as a risk would have seen it at an earlier moment: what a rehearsal replays.

    `forgets` says why there is no such view; a class that has one empties it, and says in `assumes` what the view takes for granted.
    Without new arrivals a view says the same for `same_for`: then it need not be judged again. `next_at` is when time alone brings news, if that is known.
    """

    forgets: ClassVar[str] = N_("only its present state is stored, not what it was earlier")
    assumes: ClassVar[tuple[str, ...]] = ()
    same_for: ClassVar[timedelta] = timedelta(0)
    tells_of_data: ClassVar[bool] = True  # and not only of what people wrote about the model
    is_large: ClassVar[bool] = False  # megabytes a model: read of a few models at a time

    now: datetime
    next_at: datetime | None = None

    @property
    def arrivals(self) -> Sequence[datetime]:
        """Moments at which something new was known, oldest first."""
        return ()

    def at(self, moment: datetime) -> Self:
        """Raises LookupError where `forgets` says why not."""
        raise LookupError(self.forgets)


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link of the passport and what the last check of it said. `failing_since` is None while it answers or was never checked."""

    name: str
    url: str
    checked_at: datetime | None = None
    failing_since: datetime | None = None
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class DeclaredMetric:
    """`direction` is "higher" or "lower" (which is better) or "none"; `kind` technical, proxy or business."""

    name: str
    kind: str
    direction: str
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class CurrentVersion:
    name: str
    trained_at: datetime | None
    deployed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Passport(Evidence):
    """Facts of the registry about one model. Owners count only when active; a team counts with at least one active member."""

    tells_of_data: ClassVar[bool] = False

    registered_at: datetime
    kind: str
    problem_type: str
    business_owners: int = 0
    technical_owners: int = 0
    metrics: tuple[DeclaredMetric, ...] = ()
    data_sources: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    versions: tuple[CurrentVersion, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """One stream of one model. `last_received_at` is the server's time; `expected_at` the moment a batch model was due, if it has a timetable."""

    last_received_at: datetime
    rows: int


@dataclass(frozen=True, kw_only=True)
class Heartbeats(Evidence):
    """Streams: predictions, labels, metrics, events, training, heartbeat. A stream never heard from is absent.

    `outage_seconds` is how long the platform itself was down since the model was last heard: silence it cannot hold against the model.
    `expected_at` is the last time a batch model was due (with its grace passed), None without a timetable.
    `hours` are the hours with predictions, `outages` and `expected` (with their `grace`) those times themselves: given when the past is looked at.
    """

    forgets: ClassVar[str] = ""
    assumes: ClassVar[tuple[str, ...]] = (
        N_("predictions are taken to have come in the hour that they speak of: of earlier ones only that is stored"),
    )

    registered_at: datetime
    streams: Mapping[str, Heartbeat] = field(default_factory=dict)
    outage_seconds: Mapping[str, float] = field(default_factory=dict)
    expected_at: datetime | None = None
    hours: tuple[datetime, ...] = ()
    outages: tuple[tuple[datetime, datetime], ...] = ()
    expected: tuple[datetime, ...] = ()
    grace: timedelta = timedelta(0)

    @property
    def arrivals(self) -> Sequence[datetime]:
        return [hour + HOUR for hour in self.hours]

    def at(self, moment: datetime) -> Self:
        heard_at = last_row_at(self.hours, moment)
        since = heard_at or self.registered_at
        down = sum(max((min(end, moment) - max(start, since)).total_seconds(), 0.0) for start, end in self.outages)
        due = bisect_left(self.expected, moment - self.grace)
        return replace(
            self,
            now=moment,
            streams={"predictions": Heartbeat(last_received_at=heard_at, rows=0)} if heard_at else {},
            outage_seconds={"predictions": down},
            expected_at=self.expected[due - 1] if due else None,
        )


def last_row_at(hours: Sequence[datetime], moment: datetime) -> datetime | None:
    """When the last prediction before a moment came, as far as the hours with predictions tell."""
    begun = bisect_left(hours, moment)
    return min(hours[begun - 1] + HOUR, moment) if begun else None


class Point(NamedTuple):
    """One reported value of one metric. `timestamp` is what it speaks of, `received_at` when it arrived."""

    name: str
    value: float
    timestamp: datetime
    received_at: datetime
    dataset: str = ""
    version: str = ""
    segment: str = ""


@dataclass(frozen=True, kw_only=True)
class MetricHistory(Evidence):
    """Recent points, oldest first; `baseline` holds the metrics the current version was accepted with.

    `newest_rows_at` is when the model last received predictions or labels: the new data that metrics should be refreshed on.
    `outages` are the times when the platform itself was down, apart from each other: silence then is not the model's.
    `hours` are those with predictions, and `points` all that came, when the past is looked at.
    """

    forgets: ClassVar[str] = ""
    assumes: ClassVar[tuple[str, ...]] = (N_("the declared metrics and the baseline are those of today"),)

    registered_at: datetime
    declared: tuple[DeclaredMetric, ...] = ()
    points: tuple[Point, ...] = ()
    baseline: Mapping[str, float] = field(default_factory=dict)
    newest_rows_at: datetime | None = None
    outages: tuple[tuple[datetime, datetime], ...] = ()
    hours: tuple[datetime, ...] = ()

    @property
    def arrivals(self) -> Sequence[datetime]:
        return sorted({point.received_at for point in self.points})

    def at(self, moment: datetime) -> Self:
        kept = [point for series in self._series for point in series.at(moment)]
        points = tuple(sorted(kept, key=lambda point: point.timestamp))
        return replace(self, now=moment, points=points, newest_rows_at=last_row_at(self.hours, moment))

    @cached_property
    def _series(self) -> Sequence[_Series]:
        found: dict[tuple[str, ...], list[Point]] = defaultdict(list)
        for point in sorted(self.points, key=lambda point: point.received_at):
            found[point.name, point.dataset, point.version, point.segment].append(point)
        return [_Series.of(points) for points in found.values()]

    @cached_property
    def points_by_metric(self) -> Mapping[str, Sequence[Point]]:
        found: dict[str, list[Point]] = defaultdict(list)
        for point in self.points:
            found[point.name].append(point)
        return found

    def outage_since(self, at: datetime) -> timedelta:
        """How long the platform was down from `at` until now."""
        return sum((max(min(end, self.now) - max(start, at), timedelta(0)) for start, end in self.outages), timedelta(0))


class _Series(NamedTuple):
    """What was recent of one series after each receipt: the last value of each of its two newest moments, as the store keeps them."""

    received: Sequence[datetime]
    recent: Sequence[tuple[Point, ...]]

    @classmethod
    def of(cls, points: Iterable[Point]) -> _Series:
        received: list[datetime] = []
        recent: list[tuple[Point, ...]] = []
        newest: dict[datetime, Point] = {}
        for point in points:
            newest[min(point.timestamp, point.received_at)] = point
            newest = {moment: newest[moment] for moment in sorted(newest)[-MOMENTS:]}
            received.append(point.received_at)
            recent.append(tuple(newest.values()))
        return cls(received, recent)

    def at(self, moment: datetime) -> tuple[Point, ...]:
        known = bisect_right(self.received, moment)
        return self.recent[known - 1] if known else ()


@dataclass(frozen=True, kw_only=True)
class WindowCount:
    """Predictions of one closed hour. `score_counts` has 202 entries when the model sends scores: below 0, 200 equal bins of [0, 1], above 1."""

    start: datetime
    rows: int
    duplicates: int = 0


@dataclass(frozen=True, kw_only=True)
class Volumes(Evidence):
    """Hourly prediction counts of the last weeks, oldest first; an hour without predictions is absent. `first_at` is the model's first prediction."""

    forgets: ClassVar[str] = ""
    assumes: ClassVar[tuple[str, ...]] = (N_("predictions that were sent late are counted in the hour they speak of, as if they had been there"),)
    reach: ClassVar[timedelta] = timedelta(days=43)  # the last six weeks and the running one

    windows: tuple[WindowCount, ...] = ()
    first_at: datetime | None = None

    @property
    def arrivals(self) -> Sequence[datetime]:
        return [hour + HOUR for hour in self._hours]

    def at(self, moment: datetime) -> Self:
        windows = self.windows[bisect_left(self._hours, moment - self.reach) : bisect_right(self._hours, moment - HOUR)]
        return replace(self, now=moment, windows=windows, first_at=self.first_at if self.first_at and self.first_at <= moment else None)

    @cached_property
    def _hours(self) -> Sequence[datetime]:
        return [window.start for window in self.windows]


class FilledDay(NamedTuple):
    """Which columns had a value in some row of a day that was over at `end`."""

    end: datetime
    columns: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Schemas(Evidence):
    """Column name to type ("double", "string", "boolean", "timestamp", "vector"), as trained and as seen in the last day of the log.

    `trained` is None while no training was logged, `seen` while no predictions arrived. `days` are those that are over, oldest first, and `counted`
    the columns whose values are counted on them: given when the past is looked at, and all that is known of it.
    """

    forgets: ClassVar[str] = ""
    assumes: ClassVar[tuple[str, ...]] = (
        N_("of the past only missing columns are known, once the day is over: new columns and other types are not"),
        N_("a column without any value on a day is taken to have been missing; the training is the one of today"),
    )

    trained: Mapping[str, str] | None = None
    seen: Mapping[str, str] | None = None
    seen_at: datetime | None = None
    counted: frozenset[str] = frozenset()
    days: tuple[FilledDay, ...] = ()

    @property
    def arrivals(self) -> Sequence[datetime]:
        return [day.end for day in self.days]

    def at(self, moment: datetime) -> Self:
        over = bisect_right(self.arrivals, moment)
        if not over:
            return replace(self, now=moment, seen=None, seen_at=None)
        last = self.days[over - 1]
        seen = {name: kind for name, kind in (self.trained or {}).items() if name not in self.counted or name in last.columns}
        return replace(self, now=moment, seen=seen, seen_at=last.end)


@dataclass(frozen=True, kw_only=True)
class LoggedEvent:
    type: str
    timestamp: datetime
    received_at: datetime
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Events(Evidence):
    """Events of the last 30 days, oldest first, self-checks among them (type "self_check")."""

    forgets: ClassVar[str] = ""
    reach: ClassVar[timedelta] = timedelta(days=30)

    registered_at: datetime
    events: tuple[LoggedEvent, ...] = ()

    @property
    def arrivals(self) -> Sequence[datetime]:
        return sorted({event.received_at for event in self.events})

    def at(self, moment: datetime) -> Self:
        known = (event for event in self.events if event.received_at <= moment and event.timestamp >= moment - self.reach)
        return replace(self, now=moment, events=tuple(known))


@dataclass(frozen=True, kw_only=True)
class Quarantine(Evidence):
    """Rows refused and rows accepted in the last `hours`, and the most frequent reasons."""

    forgets: ClassVar[str] = N_("refused rows are kept for 30 days only")

    hours: float = 24
    rejected: int = 0
    accepted: int = 0
    reasons: tuple[str, ...] = ()
