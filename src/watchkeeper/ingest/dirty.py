"""Marks of what must be counted again. A mark is set with the rows that made it necessary, and cleared with the result, each in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Max, Q, QuerySet

from watchkeeper.core.settings import settings
from watchkeeper.history.bulk import prepared
from watchkeeper.ingest.leasing import StillOurs, under_leases
from watchkeeper.ingest.models import DirtyDay, DirtyWindow, WindowProfile
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.telemetry.days import day_starts, local_day

Of = DirtyDay.Of

DAYS_AT_ONCE = 31
LATER = timedelta(hours=1)


def zone_of(model: UUID) -> ZoneInfo:
    """The model's own clock."""
    return ZoneInfo(RegisteredModel.objects.values_list("timezone", flat=True).get(id=model))


def zones_of(models: Collection[UUID]) -> dict[UUID, ZoneInfo]:
    """The clocks of many."""
    return {id: ZoneInfo(zone) for id, zone in _timezones(models)}


@prepared
def _timezones(models: Collection[UUID]) -> QuerySet[RegisteredModel, Any]:  # Any: values of columns
    return RegisteredModel.objects.filter(id__among=models).values_list("id", "timezone")


def soon(now: datetime) -> datetime:
    """When what came now is counted: it waits a minute for more."""
    return now + timedelta(seconds=settings().profile_refresh_seconds)


def mark_days(model: UUID, days: Collection[date], *, of: DirtyDay.Of, batch: int, due: datetime) -> None:
    """A day that is marked already keeps its time."""
    DirtyDay.objects.bulk_create(
        (DirtyDay(model_id=model, of=of, day=day, batch=batch, due_at=due) for day in sorted(days)),
        update_conflicts=True,
        unique_fields=["model", "of", "day"],
        update_fields=["batch"],
    )


def mark_all_days(model: UUID, *, of: DirtyDay.Of, begin: date, zone: ZoneInfo, now: datetime) -> None:
    """Every day with rows since `begin` is counted again, at once."""
    mark_again(model, days_with_rows(model, zone, since=begin), of=of, now=now)


def mark_again(model: UUID, days: Collection[date], *, of: DirtyDay.Of, now: datetime) -> None:
    """These days are counted again though no row came, and those that are marked already, at once."""
    batch = DirtyDay.objects.filter(model=model).aggregate(last=Max("batch"))["last"] or 0
    marks = DirtyDay.objects.filter(model=model, of=of)
    known = set(marks.values_list("day", flat=True))
    DirtyDay.objects.bulk_create(DirtyDay(model_id=model, of=of, day=day, batch=batch, due_at=now) for day in sorted(set(days) - known))
    marks.update(due_at=now)


def days_with_rows(model: UUID, zone: ZoneInfo, *, since: date | None = None) -> set[date]:
    """Days of the model's own clock with counted predictions."""
    windows = WindowProfile.objects.filter(model=model, segment="")
    windows = windows.filter(start__gte=day_starts(since, zone)) if since else windows
    return {local_day(start, zone) for start in windows.values_list("start", flat=True).distinct()}


def models_with_due_days(of: DirtyDay.Of, *, now: datetime, models: int) -> list[UUID]:
    return list(DirtyDay.objects.filter(of=of, due_at__lte=now).values_list("model_id", flat=True).distinct()[:models])


def refresh_days(of: DirtyDay.Of, work: Callable[[UUID, StillOurs], int], *, holder: str, now: datetime, models: int) -> int:
    """One round over the models with due days; returns the number of days done."""
    dirty = models_with_due_days(of, now=now, models=models)
    seconds = 10 * settings().lease_seconds
    return under_leases(dirty, work, of=of.value, holder=holder, now=now, seconds=seconds, after_failure=partial(postpone, of=of, now=now))


def due_days(model: UUID, of: DirtyDay.Of, *, now: datetime) -> list[DirtyDay]:
    """The oldest ones, as many as are counted together."""
    return list(DirtyDay.objects.filter(model=model, of=of, due_at__lte=now).order_by("day")[:DAYS_AT_ONCE])


def postpone(model: UUID, of: DirtyDay.Of, *, now: datetime) -> None:
    """What could not be counted is tried again in an hour."""
    DirtyDay.objects.filter(model=model, of=of, due_at__lte=now).update(due_at=now + LATER)


def clear_marks(dirty: Sequence[DirtyWindow] | Sequence[DirtyDay]) -> None:
    """Only marks no newer than what was read: rows that came meanwhile keep theirs."""
    by_batch: dict[int, list[int]] = defaultdict(list)
    for mark in dirty:
        by_batch[mark.batch].append(mark.pk)
    marks = Q(pk__in=[])
    for batch, ids in by_batch.items():
        marks |= Q(pk__in=ids, batch=batch)
    if dirty:
        type(dirty[0]).objects.filter(marks).delete()
