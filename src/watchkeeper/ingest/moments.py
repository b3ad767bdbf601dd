"""Second moments of a model's numeric features: counted only for models somebody asked about, from then on as dirty days come.

What they are measured by is frozen with the bins of the columns (ProfileBins), from the same rows: those of the training, or of the first weeks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from django.db import transaction
from django.db.models import Q, QuerySet, Window
from django.db.models.functions import DenseRank

from watchkeeper.analysis.columns import LEARN_DAYS
from watchkeeper.analysis.multivariate import LOOKED_BACK, MomentHistory
from watchkeeper.core.settings import settings
from watchkeeper.history.bulk import prepared, prepared_objects
from watchkeeper.ingest.columns import closed_days, first_rows, has_duplicates, reference_rows
from watchkeeper.ingest.dirty import Of, clear_marks, due_days, mark_all_days, postpone, refresh_days, zone_of, zones_of
from watchkeeper.ingest.leasing import Follow, StillOurs
from watchkeeper.ingest.models import LogColumn, MomentProfile, MomentScale, ProfileBins, WantedMoments
from watchkeeper.telemetry.bins import Layout
from watchkeeper.telemetry.days import DAY, day_starts, local_day
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.moments import MomentColumn, day_moments, moment_columns, pack_moments, row_moments, unpack_moments
from watchkeeper.wire import Stream

STREAM = "moments"
FILLED = LOOKED_BACK  # how far back days are counted when moments become wanted
PARTS = 5  # the reference rows are dealt to: the error of each by the components of the others is that of unseen rows
LEAST_REFERENCE = 100  # rows


def want_moments(models: Collection[UUID], *, now: datetime) -> None:
    """Count the moments of these models from now on, and of the days with rows of the last 60. Those that are counted already stay as they are."""
    for model in set(models) - {known for (known,) in _wanted(models)}:
        zone = zone_of(model)
        with transaction.atomic():
            _, is_new = WantedMoments.objects.get_or_create(model_id=model, defaults={"since": now})
            if is_new:
                mark_all_days(model, of=Of.MOMENTS, begin=local_day(now, zone) - FILLED, zone=zone, now=now)


@prepared
def _wanted(models: Collection[UUID]) -> QuerySet[WantedMoments, Any]:  # Any: values of columns
    return WantedMoments.objects.filter(model__among=models).values_list("model_id")


def are_wanted(model: UUID) -> bool:
    return WantedMoments.objects.filter(model=model).exists()


def refresh_moments(engine: Engine, telemetry: TelemetryLog, *, holder: str, now: datetime, follow: Follow, models: int = 20) -> int:
    """One round over the models with due days; returns the number of days done. `follow` is told in the transaction that clears them."""

    def work(model: UUID, still_ours: StillOurs) -> int:
        return _refresh_model(engine, telemetry, model, still_ours, now, follow)

    return refresh_days(Of.MOMENTS, work, holder=holder, now=now, models=models)


def moment_histories(models: Collection[UUID], *, now: datetime, back: timedelta = FILLED) -> dict[UUID, MomentHistory]:
    """What is known of each model's features together: the reference, the days it learned from, and the closed days of the time asked for."""
    scales = {entry.bins.model_id: entry for entry in _scales(models)}
    zones = zones_of(models)
    found: dict[int, list[tuple[date, bytes]]] = defaultdict(list)
    for scale, day, moments in _stored_moments([scale.pk for scale in scales.values()], (now - back).date()):
        found[scale].append((day, bytes(moments)))
    return {id: _history(scales[id], found[scales[id].pk], zones[id], now) if id in scales else MomentHistory(now=now) for id in models}


@prepared
def _stored_moments(scales: Collection[int], since: date) -> QuerySet[MomentProfile, Any]:  # Any: values of columns
    """Of each scale the first weeks and the days since one."""
    place = Window(DenseRank(), partition_by="scale", order_by="day")
    counted = MomentProfile.objects.filter(scale__among=scales).annotate(place=place)
    return counted.filter(Q(place__lte=LEARN_DAYS) | Q(day__since=since)).order_by("day").values_list("scale_id", "day", "moments")


@prepared_objects
def _scales(models: Collection[UUID]) -> QuerySet[MomentScale]:
    """Those of each model, the newest last."""
    return MomentScale.objects.filter(bins__model__among=models).select_related("bins").order_by("bins__number")


def _history(scale: MomentScale, stored: list[tuple[date, bytes]], zone: ZoneInfo, now: datetime) -> MomentHistory:
    names, today = tuple(column["name"] for column in scale.columns), local_day(now, zone)
    size = len(names) + 1
    by_day: dict[date, np.ndarray] = {}
    for day, blob in stored:
        if day < today:
            (moments,) = unpack_moments(blob, len(names))
            by_day[day] = by_day[day] + moments if day in by_day else moments
    return MomentHistory(
        now=now,
        columns=names,
        reference=unpack_moments(bytes(scale.moments), len(names), parts=scale.parts) if scale.moments else np.zeros((0, size, size)),
        days=tuple(by_day),
        ends=tuple(day_starts(day + DAY, zone) for day in by_day),
        moments=np.array(list(by_day.values())).reshape(len(by_day), size, size),
    )


def _refresh_model(engine: Engine, telemetry: TelemetryLog, model_id: UUID, still_ours: StillOurs, now: datetime, follow: Follow) -> int:
    zone = zone_of(model_id)
    scale = _scale(telemetry, model_id, zone, now)
    if scale is None:
        postpone(model_id, Of.MOMENTS, now=now)
        return 0
    dirty = due_days(model_id, Of.MOMENTS, now=now)
    days = [mark.day for mark in dirty]
    columns = [MomentColumn.from_json(column) for column in scale.columns]
    counted = day_moments(engine, telemetry, model_id, columns, days, zone, last_only=has_duplicates(model_id, days, zone))
    with transaction.atomic():
        if not still_ours():
            return 0
        MomentProfile.objects.filter(scale=scale, day__in=days).delete()
        MomentProfile.objects.bulk_create(
            MomentProfile(scale=scale, version=entry.version[:200], day=entry.day, rows=int(entry.moments[0, 0]), moments=pack_moments(entry.moments))
            for entry in counted
        )
        clear_marks(dirty)
        follow(model_id, STREAM)
    return len(dirty)


def _scale(telemetry: TelemetryLog, model_id: UUID, zone: ZoneInfo, now: datetime) -> MomentScale | None:
    """That of the bins in force, made once. None while there are none."""
    bins = ProfileBins.objects.filter(model=model_id).select_related("baseline").order_by("-number").first()
    if bins is None:
        return None
    known = MomentScale.objects.filter(bins=bins).first()
    if known:
        return known
    columns, reference = _measured(telemetry, bins, zone, now)
    with transaction.atomic():
        made = MomentScale.objects.create(
            bins=bins,
            columns=[column.as_json() for column in columns],
            parts=PARTS if reference is not None else 0,
            moments=pack_moments(_dealt(reference, columns)) if reference is not None else None,
        )
        mark_all_days(model_id, of=Of.MOMENTS, begin=local_day(now, zone) - FILLED, zone=zone, now=now)
    return made


def _measured(telemetry: TelemetryLog, bins: ProfileBins, zone: ZoneInfo, now: datetime) -> tuple[tuple[MomentColumn, ...], pa.Table | None]:
    """The numeric features among the bins as the reference has them, and its rows; as the first weeks have them when it has too few."""
    kinds = LogColumn.objects.filter(model=bins.model_id, stream=Stream.PREDICTIONS, type="double", name__startswith="f.")
    logged = set(kinds.values_list("name", flat=True))
    chosen = [column for column in Layout.from_json(bins.columns).columns if column.name in logged]
    reference = reference_rows(telemetry, bins.model_id, bins.baseline, zone) if bins.baseline else None
    if reference is not None and len(reference) >= LEAST_REFERENCE:
        columns = moment_columns(reference, chosen, most=settings().moment_columns)
        if len(columns) > 1:
            return columns, reference
    today = local_day(now, zone)
    first, _ = closed_days(bins.model_id, zone, today)
    return moment_columns(first_rows(telemetry, bins.model_id, first, today), chosen, most=settings().moment_columns), None


def _dealt(reference: pa.Table, columns: Collection[MomentColumn]) -> np.ndarray:
    """The moments of parts that rows are dealt to by chance: training rows often come in an order."""
    dealt = np.random.default_rng(0).permutation(len(reference)) % PARTS
    return np.stack([row_moments(reference.filter(pa.array(dealt == part)), tuple(columns)) for part in range(PARTS)])
