"""Reads of what models sent, for evidence and pages. Many models at once, in a fixed number of queries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, Sum

from watchkeeper.core.evidence import Heartbeat, LoggedEvent, WindowCount
from watchkeeper.history.bulk import prepared, prepared_objects
from watchkeeper.history.services import plain
from watchkeeper.ingest.models import Batch, Event, LogColumn, MetricPoint, QuarantinedRow, StreamTimer, WindowProfile
from watchkeeper.registry.models import RegisteredModel


def heartbeats(models: Collection[UUID]) -> dict[UUID, dict[str, Heartbeat]]:
    beats: dict[UUID, dict[str, Heartbeat]] = defaultdict(dict)
    for model_id, stream, at, rows in _timers(models):
        beats[model_id][stream] = Heartbeat(last_received_at=at, rows=rows)
    return beats


def newest_rows(models: Collection[UUID]) -> dict[UUID, datetime]:
    """When predictions or labels last arrived."""
    return dict(_newest(models))


@prepared
def _timers(models: Collection[UUID]) -> QuerySet[StreamTimer, Any]:  # Any: values of columns
    return StreamTimer.objects.filter(model__among=models).values_list("model_id", "stream", "last_received_at", "rows")


@prepared
def _newest(models: Collection[UUID]) -> QuerySet[StreamTimer, Any]:  # Any: values of columns
    found = StreamTimer.objects.filter(model__among=models, stream__in=("predictions", "labels"))
    return found.values_list("model_id", "last_received_at").order_by("last_received_at")


def series(model: UUID, *, name: str, since: datetime) -> QuerySet[MetricPoint]:
    """Points of one metric for a chart, oldest first."""
    return MetricPoint.objects.filter(model=model, name=name, timestamp__gte=since).order_by("timestamp", "id")


def metric_names(model: UUID) -> list[str]:
    return sorted(set(MetricPoint.objects.filter(model=model).values_list("name", flat=True).distinct()))


def recent_events(models: Collection[UUID], *, since: datetime) -> dict[UUID, list[LoggedEvent]]:
    events: dict[UUID, list[LoggedEvent]] = defaultdict(list)
    for event in _events(models, since):
        events[event.model_id].append(LoggedEvent(type=event.type, timestamp=event.timestamp, received_at=event.received_at, fields=event.fields))
    return events


@prepared_objects
def _events(models: Collection[UUID], since: datetime) -> QuerySet[Event]:
    return Event.objects.filter(model__among=models, timestamp__since=since).order_by("timestamp", "id")


def events_of(model: UUID, *, since: datetime) -> QuerySet[Event]:
    return Event.objects.filter(model=model, timestamp__gte=since).exclude(type="heartbeat").order_by("-timestamp")


def volumes(models: Collection[UUID], *, since: datetime) -> dict[UUID, list[WindowCount]]:
    """Hourly counts over all versions, pooled, oldest first."""
    counts: dict[UUID, list[WindowCount]] = defaultdict(list)
    for model_id, start, rows, duplicates in _hours(models, since):
        counts[model_id].append(WindowCount(start=start, rows=rows, duplicates=duplicates))
    return counts


@prepared
def _hours(models: Collection[UUID], since: datetime) -> QuerySet[WindowProfile, Any]:  # Any: values of columns
    found = WindowProfile.objects.filter(model__among=models, start__since=since, segment="").values("model_id", "start")
    summed = found.annotate(all_rows=Sum("rows"), all_duplicates=Sum("duplicates")).order_by("start")
    return summed.values_list("model_id", "start", "all_rows", "all_duplicates")


def first_predictions(models: Collection[UUID]) -> dict[UUID, datetime]:
    return dict(_first_predictions(models))


@prepared
def _first_predictions(models: Collection[UUID]) -> QuerySet[StreamTimer, Any]:  # Any: values of columns
    return StreamTimer.objects.filter(model__among=models, stream="predictions").values_list("model_id", "first_received_at")


def seen_columns(models: Collection[UUID], *, within: timedelta) -> dict[UUID, tuple[dict[str, str], datetime]]:
    """Feature columns seen within the given time before the newest prediction, and that moment."""
    columns: dict[UUID, list[tuple[str, str, datetime]]] = defaultdict(list)
    for model_id, name, kind, at in _features(models):
        columns[model_id].append((name.removeprefix("f."), kind, at))
    newest = {model_id: max(at for _, _, at in entries) for model_id, entries in columns.items()}
    return {
        model_id: ({name: kind for name, kind, at in entries if at >= newest[model_id] - within}, newest[model_id])
        for model_id, entries in columns.items()
    }


@prepared
def _features(models: Collection[UUID]) -> QuerySet[LogColumn, Any]:  # Any: values of columns
    found = LogColumn.objects.filter(model__among=models, stream="predictions", name__startswith="f.")
    return found.values_list("model_id", "name", "type", "last_seen_at")


def quarantine_counts(models: Collection[UUID], *, since: datetime) -> dict[UUID, tuple[int, int, tuple[str, ...]]]:
    """Rejected rows, accepted rows, and the most frequent reasons, per model."""
    reasons: dict[UUID, Counter[str]] = defaultdict(Counter)
    for model_id, field, message in _refused(models, since):
        reasons[model_id][f"{field}: {message}" if field else message] += 1
    return {
        model_id: (bad, rows - bad, tuple(reason for reason, _ in reasons[model_id].most_common(3)))
        for model_id, rows, bad in _received(models, since)
    }


@prepared
def _received(models: Collection[UUID], since: datetime) -> QuerySet[Batch, Any]:  # Any: values of columns
    found = Batch.objects.filter(model__among=models, received_at__since=since).values("model_id")
    return found.annotate(all=Sum("rows"), bad=Sum("rejected")).values_list("model_id", "all", "bad")


@prepared
def _refused(models: Collection[UUID], since: datetime) -> QuerySet[QuarantinedRow, Any]:  # Any: values of columns
    found = QuarantinedRow.objects.filter(model__among=models, received_at__since=since)
    return found.values_list("model_id", "field", "message")[:5000]


def quarantine(model: UUID) -> QuerySet[QuarantinedRow]:
    """Refused rows of a model, newest first."""
    return QuarantinedRow.objects.filter(model=model).select_related("batch").order_by("-received_at", "row")


def batch_by_key(model: UUID, key: str) -> Batch | None:
    return Batch.objects.filter(model=model, key=key).defer("payload").first()


def pending_batches() -> int:
    return Batch.objects.filter(state=Batch.State.PENDING).count()


def timers(model: UUID) -> list[StreamTimer]:
    return list(StreamTimer.objects.filter(model=model).order_by("stream"))


def profiles(model: UUID, *, since: datetime) -> QuerySet[WindowProfile]:
    return WindowProfile.objects.filter(model=model, start__gte=since).order_by("start")


def whoami(model: UUID) -> dict[str, Any]:  # Any: JSON
    """The model a token belongs to, and when each stream was last received."""
    found = RegisteredModel.objects.get(id=model)
    return {
        "model": str(model),
        "name": found.name,
        "stage": found.stage,
        "streams": {timer.stream: plain(timer.last_received_at) for timer in timers(model)},
    }


def batch_document(batch: Batch) -> dict[str, Any]:  # Any: JSON
    """What became of a batch: the final counts are known once it is applied."""
    return {
        "batch_id": batch.key,
        "stream": batch.stream,
        "state": batch.state,
        "rows": batch.rows,
        "accepted": batch.accepted,
        "rejected": batch.rejected,
        "received_at": plain(batch.received_at),
        "applied_at": plain(batch.applied_at),
        "errors": [
            {"row": row.row, "field": row.field, "message": row.message, "remedy": row.remedy} for row in batch.quarantine.order_by("row")[:100]
        ],
    }


def pooled_points(model: UUID, *, name: str, since: datetime) -> list[tuple[datetime, float, str]]:
    """Time, value and dataset of one metric without segments, oldest first: what a chart draws."""
    return list(series(model, name=name, since=since).filter(segment="").values_list("timestamp", "value", "dataset"))


def quarantine_size(model: UUID) -> int:
    return QuarantinedRow.objects.filter(model=model).count()
