"""Run the steps for ever: quickly while there is work, once a second when there is none. A failing step never stops the others."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from time import perf_counter

import httpx
import structlog
from django.db import DatabaseError, close_old_connections, connection

from watchkeeper.core.garbage import collect_seldom
from watchkeeper.core.settings import settings
from watchkeeper.monitoring import beats
from watchkeeper.worker.steps import STEPS, Workshop

log = structlog.get_logger()
IDLE_SECONDS = 0.5
DATABASE_GONE_SECONDS = 2.0
OUTAGE = timedelta(seconds=60)


def run(shop: Workshop, *, stop: threading.Event) -> None:
    """Until `stop` is set. Notes the platform's own outage first, so that no model is blamed for it: after a start, and after each pause in which
    the machine slept or the database was gone."""
    collect_seldom()
    while not stop.is_set():
        _notice_outage(shop)
        did = cycle(shop)
        if not did:
            stop.wait(IDLE_SECONDS)


def cycle(shop: Workshop) -> int:
    """All steps once. Returns how much was done."""
    close_old_connections()
    start, did, is_whole = perf_counter(), 0, True
    for step in STEPS:
        try:
            did += step(shop)
            if is_whole and perf_counter() - start > beats.BEAT_EVERY.total_seconds():  # a long cycle is no outage
                beats.beat(shop.name, now=shop.now(), seconds=perf_counter() - start, is_idle=False)
        except DatabaseError:
            log.exception("the database refused", step=step.__name__)
            connection.close()
            threading.Event().wait(DATABASE_GONE_SECONDS)
            is_whole = False
        except Exception:  # one failing step must not hold up the rest
            log.exception("step failed", step=step.__name__)
            is_whole = False
    if is_whole:
        _beat(shop, perf_counter() - start, is_idle=did == 0)
    return did


def _beat(shop: Workshop, seconds: float, *, is_idle: bool) -> None:
    if beats.beat(shop.name, now=shop.now(), seconds=seconds, is_idle=is_idle) and settings().heartbeat_url:
        try:
            httpx.get(settings().heartbeat_url, timeout=5)
        except httpx.HTTPError as problem:
            log.warning("heartbeat not delivered", problem=str(problem))


def _notice_outage(shop: Workshop) -> None:
    try:
        gap: tuple[datetime, datetime] | None = beats.notice_outage(now=shop.now(), longer_than=OUTAGE)
    except DatabaseError:
        log.exception("the database refused", step="outage")
        return
    if gap:
        log.warning("the platform was down", start=str(gap[0]), end=str(gap[1]))
