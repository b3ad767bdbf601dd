"""Audit samples: asked for by a person, drawn from the log and followed up by the worker. What they say is analysis."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from django.db import transaction
from django.db.models import F, Max, OuterRef, Q, Subquery

from watchkeeper.analysis.audits import Audit
from watchkeeper.core.errors import Conflict, InvalidInput, NotFound
from watchkeeper.core.settings import settings
from watchkeeper.history.actors import Actor
from watchkeeper.history.services import record
from watchkeeper.ingest.columns import has_duplicates
from watchkeeper.ingest.dirty import days_with_rows
from watchkeeper.ingest.leasing import Follow, StillOurs, under_leases
from watchkeeper.ingest.models import AuditSample, LogCursor
from watchkeeper.ingest.outcomes import segment_fields
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.telemetry.audits import DrawnRow, draw_rows, labels_of
from watchkeeper.telemetry.days import DAY, local_day
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.wire import Stream

LEAST_SIZE, MOST_SIZE, USUAL_SIZE = 30, 2000, 500
MOST_DAYS = 92
MOST_SHOWN = 20
WRITTEN_WITHIN = timedelta(minutes=1)


@transaction.atomic
def ask_for_sample(model: RegisteredModel, *, days: int, size: int, actor: Actor, now: datetime, before: date | None = None) -> AuditSample:
    """A random sample of `size` predictions of the last closed days, or of those before a day. A worker draws it within seconds."""
    if not LEAST_SIZE <= size <= MOST_SIZE:
        raise InvalidInput(f"A sample of {size} rows cannot be drawn.", remedy=f"Ask for {LEAST_SIZE} to {MOST_SIZE} rows; {USUAL_SIZE} are usual.")
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput(f"A sample cannot be drawn from {days} days.", remedy=f"Ask for 1 to {MOST_DAYS} days.")
    RegisteredModel.objects.select_for_update().get(id=model.id)  # samples of a model are numbered one after the other
    zone = ZoneInfo(model.timezone)
    end = min(before or date.max, local_day(now, zone))
    first = end - days * DAY
    if not any(first <= day < end for day in days_with_rows(model.id, zone, since=first)):
        raise Conflict(f"{model.name} has no predictions from {first} to {end - DAY}.", remedy="Ask for more days, or for earlier ones.")
    asked = AuditSample.objects.filter(model=model)
    if asked.filter(rows__isnull=True).exists():
        raise Conflict("The last sample is still being drawn.", remedy="Wait until it is there.")
    number = (asked.aggregate(last=Max("number"))["last"] or 0) + 1
    sample = AuditSample.objects.create(model=model, number=number, made_at=now, first=first, last=end - DAY, size=size)
    after = {"first": str(sample.first), "last": str(sample.last), "size": size}
    record(actor=actor, action="asked for", on="audit sample", id=sample.pk, model=model.id, now=now, after=after)
    return sample


def samples(model: UUID) -> list[AuditSample]:
    """The newest first."""
    return list(AuditSample.objects.filter(model=model).order_by("-number")[:MOST_SHOWN])


def sample_numbered(model: UUID, number: int) -> AuditSample:
    found = AuditSample.objects.filter(model=model, number=number).first()
    if found is None:
        raise NotFound(f"No audit sample {number}.", remedy="The list of samples has their numbers.")
    return found


def drawn(sample: AuditSample) -> list[DrawnRow]:
    return [DrawnRow(**{**row, "day": date.fromisoformat(row["day"])}) for row in sample.rows or ()]


def audit_of(sample: AuditSample) -> Audit:
    return Audit(first=sample.first, last=sample.last, population=sample.population, rows=tuple(drawn(sample)), labels=sample.labels)


def refresh_audits(engine: Engine, telemetry: TelemetryLog, *, holder: str, now: datetime, follow: Follow) -> int:
    """Draw what was asked for, and look for the labels of rows where labels came since the last look."""

    def work(model: UUID, still_ours: StillOurs) -> int:
        return sum(_refresh(engine, telemetry, sample, still_ours, now, follow) for sample in _due(now) if sample.model_id == model)

    due = dict.fromkeys(sample.model_id for sample in _due(now))
    return under_leases(due, work, of="audits", holder=holder, now=now, seconds=10 * settings().lease_seconds)


def _due(now: datetime) -> list[AuditSample]:
    written = LogCursor.objects.filter(model=OuterRef("model"), stream=Stream.LABELS).values("group")[:1]
    waiting = AuditSample.objects.annotate(written=Subquery(written)).order_by("id")
    rested = now - timedelta(seconds=settings().profile_refresh_seconds)
    return list(waiting.filter(Q(rows__isnull=True) | Q(written__gt=F("looked_to"), looked_at__lte=rested))[:MOST_SHOWN])


def _written(model: UUID, now: datetime) -> int:
    """The group of labels up to which the log surely has them: another worker may still be writing a new one."""
    cursor = LogCursor.objects.filter(model=model, stream=Stream.LABELS).first()
    if cursor is None:
        return 0
    return cursor.group if cursor.committed_at <= now - WRITTEN_WITHIN else max(cursor.group - 1, 0)


def _refresh(engine: Engine, telemetry: TelemetryLog, sample: AuditSample, still_ours: StillOurs, now: datetime, follow: Follow) -> int:
    zone = ZoneInfo(RegisteredModel.objects.values_list("timezone", flat=True).get(id=sample.model_id))
    looked_to = _written(sample.model_id, now)
    days = [sample.first + n * DAY for n in range((sample.last - sample.first).days + 1)]
    if sample.rows is None:
        rows, sample.population = draw_rows(
            engine,
            telemetry,
            sample.model_id,
            days,
            zone,
            size=sample.size,
            fields=segment_fields(sample.model_id),
            last_only=has_duplicates(sample.model_id, days, zone),
            chance=np.random.default_rng(),
        )
        sample.rows = [asdict(row) | {"day": str(row.day)} for row in rows]
    ids = [row["id"] for row in sample.rows]
    if ids:
        sample.labels = labels_of(engine, telemetry, sample.model_id, ids, days, zone, label_days=settings().label_days)
    sample.looked_at, sample.looked_to = now, looked_to
    with transaction.atomic():
        if not still_ours():
            return 0
        sample.save(update_fields=["rows", "population", "labels", "looked_at", "looked_to"])
        follow(sample.model_id, "audits")
    return 1
