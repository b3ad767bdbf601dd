"""Recompute the profiles of dirty windows and replace them, in the transaction that clears the marks: idempotent by construction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from watchkeeper.core.settings import settings
from watchkeeper.ingest.dirty import clear_marks, zone_of
from watchkeeper.ingest.leasing import Follow, StillOurs, under_leases
from watchkeeper.ingest.models import DirtyWindow, WindowProfile
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.profiles import pack, window_profiles
from watchkeeper.wire import Stream

WINDOWS_AT_ONCE = 24 * 31


def refresh_profiles(engine: Engine, telemetry: TelemetryLog, *, holder: str, now: datetime, follow: Follow, models: int = 50) -> int:
    """One round over the models with dirty windows; returns the number of windows done. `follow` is told in the transaction that clears them."""

    def work(model: UUID, still_ours: StillOurs) -> int:
        return _refresh_model(engine, telemetry, model, still_ours, follow)

    dirty = list(DirtyWindow.objects.values_list("model_id", flat=True).distinct()[:models])
    return under_leases(dirty, work, of="profiles", holder=holder, now=now, seconds=2 * settings().lease_seconds)


def _refresh_model(engine: Engine, telemetry: TelemetryLog, model_id: UUID, still_ours: StillOurs, follow: Follow) -> int:
    dirty = list(DirtyWindow.objects.filter(model=model_id).order_by("start")[:WINDOWS_AT_ONCE])
    zone = zone_of(model_id)
    profiles = window_profiles(engine, telemetry, model_id, [window.start for window in dirty], zone)
    with transaction.atomic():
        if not still_ours():
            return 0
        WindowProfile.objects.filter(model=model_id, segment="", start__in=[window.start for window in dirty]).delete()
        WindowProfile.objects.bulk_create(
            WindowProfile(
                model_id=model_id,
                version=profile.version[:200],
                start=profile.start,
                rows=profile.counts.rows,
                duplicates=profile.counts.duplicates,
                counts=pack(profile.counts),
            )
            for profile in profiles
        )
        clear_marks(dirty)
        follow(model_id, Stream.PREDICTIONS)
    return len(dirty)
