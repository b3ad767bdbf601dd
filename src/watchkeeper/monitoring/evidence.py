"""One loader per kind of evidence, each for many models at once: a thousand "no predictions" checks are a handful of queries.

A loader returns an entry for every model it was asked for: nothing known is an empty evidence, which risks answer with unknown.
With `back` it reads as much more of the past as `Evidence.at` needs to look at moments up to so long before now.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cronsim import CronSim
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from watchkeeper.analysis.columns import LOOKED_BACK as COLUMNS_BACK
from watchkeeper.analysis.columns import ColumnDays, ColumnHistory, short_name
from watchkeeper.analysis.expected_errors import ErrorHistory
from watchkeeper.analysis.multivariate import LOOKED_BACK as MOMENTS_BACK
from watchkeeper.analysis.multivariate import MomentHistory
from watchkeeper.analysis.outcomes import LOOKED_BACK as OUTCOMES_BACK
from watchkeeper.analysis.outcomes import OutcomeHistory, SegmentHistory
from watchkeeper.core.durations import parse_duration
from watchkeeper.core.evidence import Events, Evidence, FilledDay, Heartbeats, MetricHistory, Passport, Quarantine, Schemas, Volumes
from watchkeeper.history.bulk import prepared
from watchkeeper.ingest import queries as ingest
from watchkeeper.ingest.columns import column_histories
from watchkeeper.ingest.moments import moment_histories, want_moments
from watchkeeper.ingest.outcome_histories import outcome_histories, segment_histories
from watchkeeper.ingest.places import place_links
from watchkeeper.ingest.points import past_points, recent_points
from watchkeeper.ingest.relations import errors_of, want_errors
from watchkeeper.monitoring.models import Outage
from watchkeeper.registry import queries as registry
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.telemetry.kinds import is_output

Loader = Callable[[Collection[UUID], datetime, timedelta], Mapping[UUID, Evidence]]
NOW_ONLY = timedelta(0)
QUARANTINE_HOURS = timedelta(hours=24)
SEEN_WITHIN = timedelta(days=1)


def load_evidence(kind: type[Evidence], models: Collection[UUID], *, now: datetime, back: timedelta = NOW_ONLY) -> Mapping[UUID, Evidence]:
    return LOADERS[kind](models, now, back)


def _passports(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    places = place_links(models)
    return {id: replace(passport, links=(*passport.links, *places.get(id, ()))) for id, passport in registry.passports(models, now=now).items()}


def _heartbeats(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    beats = ingest.heartbeats(models)
    found = _timetables(models)
    earliest = min((beat.last_received_at for streams in beats.values() for beat in streams.values()), default=now)
    earliest = min([earliest, *(created for _, created, _ in found)], default=now)
    outages = _outages(since=earliest)
    hours = _hours(models, now, back)
    return {
        id: Heartbeats(
            now=now,
            registered_at=created_at,
            streams=beats.get(id, {}),
            outage_seconds=_outage_seconds({s: b.last_received_at for s, b in beats.get(id, {}).items()}, created_at, outages, now),
            expected_at=_expected_at(json.loads(expected) if expected else None, now),
            hours=hours.get(id, ()),
            outages=tuple(outages) if back else (),
            expected=_expected(json.loads(expected), now, back) if expected and back else (),
            grace=_grace(json.loads(expected)) if expected else NOW_ONLY,
        )
        for id, created_at, expected in found
    }


def _hours(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, tuple[datetime, ...]]:
    """The hours with predictions, when the past is looked at."""
    if not back:
        return {}
    return {id: tuple(hour.start for hour in hours) for id, hours in ingest.volumes(models, since=now - back - Volumes.reach).items()}


def _outage_seconds(
    heard: Mapping[str, datetime], created_at: datetime, outages: Collection[tuple[datetime, datetime]], now: datetime
) -> dict[str, float]:
    """How much of each silence was our own outage."""
    if not outages:
        return {}
    return {
        stream: sum(max((min(end, now) - max(start, at)).total_seconds(), 0.0) for start, end in outages)
        for stream, at in {"predictions": created_at, **heard}.items()
    }


def _outages(*, since: datetime) -> list[tuple[datetime, datetime]]:
    """Apart from each other: several workers that start together note the same outage, it counts once."""
    apart: list[tuple[datetime, datetime]] = []
    for start, end in _noted(since):
        if apart and start <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(apart[-1][1], end)
        else:
            apart.append((start, end))
    return apart


@prepared
def _noted(since: datetime) -> QuerySet[Outage, Any]:  # Any: values of columns
    return Outage.objects.filter(end__since=since).order_by("start", "end").values_list("start", "end")


def _expected_at(expected: Mapping[str, str] | None, now: datetime) -> datetime | None:
    """The last due time of a timetable whose grace has passed."""
    if not expected:
        return None
    zone = ZoneInfo(expected.get("timezone", "UTC"))
    before = now - _grace(expected)
    return next(CronSim(expected["cron"], before.astimezone(zone), reverse=True)).astimezone(now.tzinfo)


def _grace(expected: Mapping[str, str]) -> timedelta:
    return parse_duration(expected.get("grace", "1h"))


def _expected(expected: Mapping[str, str], now: datetime, back: timedelta) -> tuple[datetime, ...]:
    """The due times since the last one before `back`, oldest first."""
    grace = _grace(expected)
    zone = ZoneInfo(expected.get("timezone", "UTC"))
    times: list[datetime] = []
    for at in CronSim(expected["cron"], (now - grace).astimezone(zone), reverse=True):
        times.insert(0, at.astimezone(now.tzinfo))
        if times[0] < now - back - grace:
            break
    return tuple(times)


def _metric_history(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    declared, points = registry.declared_metrics(models), past_points(models, since=now - back) if back else recent_points(models)
    hours = _hours(models, now, back)
    newest, trainings = ingest.newest_rows(models), registry.trainings(models)
    registered = _registered(models)
    starts = [created_at for _, created_at in registered] + [point.received_at for of_model in points.values() for point in of_model]
    outages = tuple(_outages(since=min(starts, default=now)))
    return {
        id: MetricHistory(
            now=now,
            registered_at=created_at,
            declared=tuple(declared.get(id, ())),
            points=tuple(points.get(id, ())),
            baseline=trainings[id].metrics if id in trainings else {},
            newest_rows_at=newest.get(id),
            outages=outages,
            hours=hours.get(id, ()),
        )
        for id, created_at in registered
    }


def _volumes(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    counts, first = ingest.volumes(models, since=now - Volumes.reach - back), ingest.first_predictions(models)
    return {id: Volumes(now=now, windows=tuple(counts.get(id, ())), first_at=first.get(id)) for id in models}


def _schemas(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    trainings, seen = registry.trainings(models), ingest.seen_columns(models, within=SEEN_WITHIN)
    past = column_histories(models, now=now, back=back) if back else {}
    return {
        id: Schemas(
            now=now,
            trained=_features_of(trainings[id].schema) if id in trainings else None,
            seen=seen[id][0] if id in seen else None,
            seen_at=seen[id][1] if id in seen else None,
            counted=frozenset(_features(past[id])) if id in past else frozenset(),
            days=_filled_days(past[id]) if id in past else (),
        )
        for id in models
    }


def _features_of(schema: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Of a training's columns: what the model says, if its rows had it, is no feature that predictions could lack."""
    return schema and {name: kind for name, kind in schema.items() if not is_output(name)}


def _features(history: ColumnHistory) -> dict[str, ColumnDays]:
    return {short_name(name): history.of(column) for name, column in history.columns.items() if name.startswith("f.")}


def _filled_days(history: ColumnHistory) -> tuple[FilledDay, ...]:
    filled = {name: column.counts[:, : column.bins.null_place].sum(axis=1) > 0 for name, column in _features(history).items()}
    days: dict[date, list[int]] = defaultdict(list)
    for place, day in enumerate(history.days):
        days[day].append(place)
    return tuple(FilledDay(history.ends[places[-1]], frozenset(name for name in filled if filled[name][places].any())) for places in days.values())


def _events(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    events = ingest.recent_events(models, since=now - Events.reach - back)
    return {id: Events(now=now, registered_at=created_at, events=tuple(events.get(id, ()))) for id, created_at in _registered(models)}


def _quarantine(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    counts = ingest.quarantine_counts(models, since=now - QUARANTINE_HOURS)
    nothing: tuple[int, int, tuple[str, ...]] = (0, 0, ())
    hours = QUARANTINE_HOURS.total_seconds() / 3600
    return {
        id: Quarantine(now=now, hours=hours, rejected=bad, accepted=good, reasons=reasons)
        for id in models
        for bad, good, reasons in [counts.get(id, nothing)]
    }


def _column_histories(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    return column_histories(models, now=now, back=COLUMNS_BACK + back)


def _moment_histories(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    """The first evaluation makes them wanted: they are counted from then on, and unknown until they are. A rehearsal (`back`) only reads."""
    if not back:
        want_moments(models, now=now)
    return moment_histories(models, now=now, back=MOMENTS_BACK + back)


def _outcome_histories(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    return outcome_histories(models, now=now, back=OUTCOMES_BACK + back)


def _segment_histories(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    return segment_histories(models, now=now, back=OUTCOMES_BACK + back)


def _error_histories(models: Collection[UUID], now: datetime, back: timedelta) -> Mapping[UUID, Evidence]:
    """Wanted, counted and read as moments are."""
    histories = outcome_histories(models, now=now, back=OUTCOMES_BACK + back)
    if not back:
        want_errors(histories, now=now)
    errors = errors_of(histories)
    return {
        id: ErrorHistory(now=now, kind=history.kind, days=history.days, ends=history.ends, errors=errors[id]) for id, history in histories.items()
    }


@prepared
def _registered(models: Collection[UUID]) -> QuerySet[RegisteredModel, Any]:  # Any: values of columns
    return RegisteredModel.objects.filter(id__among=models).values_list("id", "created_at")


@prepared
def _timetables(models: Collection[UUID]) -> QuerySet[RegisteredModel, Any]:  # Any: values of columns
    return RegisteredModel.objects.filter(id__among=models).values_list("id", "created_at", Cast("expected", TextField()))


LOADERS: Mapping[type[Evidence], Loader] = {
    Passport: _passports,
    Heartbeats: _heartbeats,
    MetricHistory: _metric_history,
    Volumes: _volumes,
    Schemas: _schemas,
    Events: _events,
    Quarantine: _quarantine,
    ColumnHistory: _column_histories,
    MomentHistory: _moment_histories,
    OutcomeHistory: _outcome_histories,
    SegmentHistory: _segment_histories,
    ErrorHistory: _error_histories,
}
