"""What keeps the stores small and honest: retention, compaction, the daily verification of the history. Each job runs at most so often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import structlog
from django.db import transaction

from watchkeeper.core.settings import settings
from watchkeeper.history import services as history
from watchkeeper.history.anchors import Anchor, keep_anchor, kept_anchors, newest_anchor
from watchkeeper.ingest import retention
from watchkeeper.monitoring import retention as monitoring_retention
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.wire import Stream

log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """A job and how often it runs. Its lease is its timer: taken for the whole interval, by one worker."""

    name: str
    every: timedelta
    run: Callable[[TelemetryLog, datetime], int]


def run_due(telemetry: TelemetryLog, *, holder: str, now: datetime) -> int:
    done = 0
    for job in JOBS:
        if history.take_timer(f"upkeep:{job.name}", holder=holder, now=now, seconds=job.every.total_seconds()):
            done += job.run(telemetry, now)
    return done


def _expire(telemetry: TelemetryLog, now: datetime) -> int:
    kept = settings()
    with transaction.atomic():
        paths = retention.expire_payloads(before=now - timedelta(days=kept.keep_payload_days))
        gone = len(paths)
        gone += retention.expire_quarantine(before=now - timedelta(days=kept.keep_quarantine_days))
        gone += retention.expire_points(before=now - timedelta(days=kept.keep_points_days))
        gone += monitoring_retention.expire_findings(before=now - timedelta(days=kept.keep_points_days))
    for path in paths:  # after the commit: a row never points to a file that is gone
        Path(kept.data / path).unlink(missing_ok=True)
    return gone


def _expire_log(telemetry: TelemetryLog, now: datetime) -> int:
    day = (now - timedelta(days=settings().keep_rows_days)).date()
    return sum(telemetry.erase_before(model, stream, day) for model in retention.models_with_log() for stream in _LOGGED)


def _compact(telemetry: TelemetryLog, now: datetime) -> int:
    done = 0
    for model in retention.models_with_log():
        fence = history.take_lease(f"log:{model}", holder="compaction", now=now, seconds=300)
        if fence is None:
            continue
        for stream in _LOGGED:
            done += sum(telemetry.compact_day(model, stream, day) for day in telemetry.compact_due(model, stream))
            telemetry.vacuum(model, stream)
        history.release_lease(f"log:{model}", fence=fence, now=now)
    return done


def _seal_stragglers(telemetry: TelemetryLog, now: datetime) -> int:
    return history.seal_stragglers(now=now)


def _verify(telemetry: TelemetryLog, now: datetime) -> int:
    """The history against its anchors; only a whole one gets the next."""
    result = history.verify_history(kept_anchors(settings().data))
    if result.bad_number is not None:
        log.error("history is not intact", record=result.bad_number, what=result.what)
        return result.sealed
    anchor = newest_anchor(now=now)
    if anchor:
        keep_anchor(anchor, folder=settings().data)
        log.info("anchor of the history", **anchor.as_json())
        _send(anchor)
    return result.sealed


def _send(anchor: Anchor) -> None:
    if not settings().anchor_url:
        return
    try:
        httpx.post(settings().anchor_url, json=anchor.as_json(), timeout=10).raise_for_status()
    except httpx.HTTPError as problem:
        log.warning("anchor not delivered", problem=str(problem))


_LOGGED = (Stream.PREDICTIONS, Stream.LABELS)

JOBS = (
    Job("expire", timedelta(hours=1), _expire),
    Job("expire log", timedelta(days=1), _expire_log),
    Job("compact", timedelta(minutes=30), _compact),
    Job("seal stragglers", timedelta(hours=1), _seal_stragglers),
    Job("verify history", timedelta(days=1), _verify),
)
