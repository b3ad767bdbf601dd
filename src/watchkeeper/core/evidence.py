"""What risks look at, as plain values. Does not load itself: monitoring has one bulk loader per kind of evidence.

Every evidence carries `now`, the moment of the evaluation; a risk never asks a clock.
All times are aware and in UTC. `None` means not known, never zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class Evidence:
    now: datetime


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
    """

    registered_at: datetime
    streams: Mapping[str, Heartbeat] = field(default_factory=dict)
    outage_seconds: Mapping[str, float] = field(default_factory=dict)
    expected_at: datetime | None = None


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
    """

    registered_at: datetime
    declared: tuple[DeclaredMetric, ...] = ()
    points: tuple[Point, ...] = ()
    baseline: Mapping[str, float] = field(default_factory=dict)
    newest_rows_at: datetime | None = None
    outages: tuple[tuple[datetime, datetime], ...] = ()

    @cached_property
    def points_by_metric(self) -> Mapping[str, Sequence[Point]]:
        found: dict[str, list[Point]] = defaultdict(list)
        for point in self.points:
            found[point.name].append(point)
        return found

    def outage_since(self, at: datetime) -> timedelta:
        """How long the platform was down from `at` until now."""
        return sum((max(min(end, self.now) - max(start, at), timedelta(0)) for start, end in self.outages), timedelta(0))


@dataclass(frozen=True, kw_only=True)
class WindowCount:
    """Predictions of one closed hour. `score_counts` has 202 entries when the model sends scores: below 0, 200 equal bins of [0, 1], above 1."""

    start: datetime
    rows: int
    duplicates: int = 0


@dataclass(frozen=True, kw_only=True)
class Volumes(Evidence):
    """Hourly prediction counts of the last weeks, oldest first; an hour without predictions is absent. `first_at` is the model's first prediction."""

    windows: tuple[WindowCount, ...] = ()
    first_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Schemas(Evidence):
    """Column name to type ("double", "string", "boolean", "timestamp", "vector"), as trained and as seen in the last day of the log.

    `trained` is None while no training was logged, `seen` while no predictions arrived.
    """

    trained: Mapping[str, str] | None = None
    seen: Mapping[str, str] | None = None
    seen_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class LoggedEvent:
    type: str
    timestamp: datetime
    received_at: datetime
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Events(Evidence):
    """Events of the last 30 days, oldest first, self-checks among them (type "self_check")."""

    registered_at: datetime
    events: tuple[LoggedEvent, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Quarantine(Evidence):
    """Rows refused and rows accepted in the last `hours`, and the most frequent reasons."""

    hours: float = 24
    rejected: int = 0
    accepted: int = 0
    reasons: tuple[str, ...] = ()
