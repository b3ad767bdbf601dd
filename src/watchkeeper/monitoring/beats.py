"""The platform's own pulse: when workers last finished a cycle, and when none did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Sum

from watchkeeper.monitoring.models import Outage, RiskBinding, WorkerBeat

BEAT_EVERY = timedelta(seconds=5)
LAGS_AFTER = timedelta(seconds=60)


@dataclass(frozen=True)
class Pulse:
    """How the platform is: `lag` is how late the oldest due evaluation is; `beat_at` when a worker last finished a cycle."""

    beat_at: datetime | None
    lag: timedelta
    is_well: bool
    is_idle: bool = False


def beat(worker: str, *, now: datetime, seconds: float, is_idle: bool) -> bool:
    """Write the beat, at most every few seconds. True when it was written."""
    last = WorkerBeat.objects.filter(worker=worker).first()
    if last and timedelta(0) <= now - last.at < BEAT_EVERY and not (is_idle and not last.is_idle):
        return False
    WorkerBeat.objects.update_or_create(worker=worker, defaults={"at": now, "cycle_ms": seconds * 1000, "is_idle": is_idle})
    if last is None:
        WorkerBeat.objects.filter(at__lt=now - timedelta(days=1)).delete()
    return True


def notice_outage(*, now: datetime, longer_than: timedelta) -> tuple[datetime, datetime] | None:
    """Called by a worker that starts: when no worker ran for longer than this, the gap is written down, and held against no model."""
    last = WorkerBeat.objects.aggregate(at=Max("at"))["at"]
    if last is None or now - last < longer_than:
        return None
    Outage.objects.update_or_create(start=last, defaults={"end": now})  # noticed again until the first beat after it
    return last, now


def pulse(*, now: datetime) -> Pulse:
    last = WorkerBeat.objects.order_by("-at").first()
    oldest = RiskBinding.objects.filter(next_due_at__lte=now).order_by("next_due_at").values_list("next_due_at", flat=True).first()
    lag = now - oldest if oldest else timedelta(0)
    is_well = last is not None and now - last.at < LAGS_AFTER and lag < LAGS_AFTER * 5
    return Pulse(last.at if last else None, lag, is_well, is_idle=last is not None and last.is_idle)


def missed() -> int:
    """Evaluations that were due and skipped, of all bindings that exist."""
    return RiskBinding.objects.filter(removed_at=None).aggregate(missed=Sum("missed"))["missed"] or 0
