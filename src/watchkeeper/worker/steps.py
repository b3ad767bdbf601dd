"""The platform's day as one list of steps. Each step is a small transaction of its own, safe to repeat and to run in several workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import structlog
from django.db import transaction

from watchkeeper import channels
from watchkeeper.alerts import flow
from watchkeeper.alerts import services as alerts
from watchkeeper.channels import OutgoingPolicy, Receipt
from watchkeeper.core.clock import Clock
from watchkeeper.core.faults import crash_point
from watchkeeper.core.settings import settings
from watchkeeper.core.text import N_, Text
from watchkeeper.history import services as history
from watchkeeper.ingest.applying import apply_batches, telemetry_log
from watchkeeper.ingest.audits import refresh_audits
from watchkeeper.ingest.columns import refresh_columns
from watchkeeper.ingest.moments import refresh_moments
from watchkeeper.ingest.outcomes import refresh_outcomes
from watchkeeper.ingest.profiling import refresh_profiles
from watchkeeper.ingest.relations import refresh_relations
from watchkeeper.ingest.taking import look_at_places
from watchkeeper.monitoring import evaluation
from watchkeeper.monitoring import services as monitoring
from watchkeeper.monitoring.due import claimed
from watchkeeper.monitoring.evaluation import Evaluation
from watchkeeper.registry import queries as registry
from watchkeeper.registry.services import save_link_check
from watchkeeper.telemetry import engines
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.worker import upkeep

if TYPE_CHECKING:
    from watchkeeper.alerts.models import Message

log = structlog.get_logger()
CHECK_LINKS_EVERY = timedelta(hours=1)
CLAIMS = 10  # of due bindings, before the other steps have their turn
SHARE_SECONDS = 5.0  # of evaluations, before they are stored
ROUNDS = 50
DELIVER_SECONDS = 20.0  # of one round of deliveries


def _worker_name() -> str:
    return f"{socket.gethostname()[:30]}-{os.getpid()}-{uuid4().hex[:6]}"


@dataclass
class Workshop:
    """What the steps work with. `name` tells workers apart in leases."""

    clock: Clock
    telemetry: TelemetryLog = field(default_factory=telemetry_log)
    engine: Engine = field(default_factory=lambda: engines.get("duckdb").connect(memory_mb=settings().profile_memory_mb))
    name: str = field(default_factory=_worker_name)

    def now(self) -> datetime:
        return self.clock.now()


def watch(shop: Workshop) -> int:
    """0 Rows of watched places into batches."""
    return look_at_places(holder=shop.name, now=shop.now())


def apply(shop: Workshop) -> int:
    """1 Batches into the log and the control store, then the profiles of what became dirty."""

    def follow(model: UUID, stream: str) -> None:
        monitoring.evaluate_soon({model: frozenset({str(stream)})}, now=shop.now())

    applied = apply_batches(shop.telemetry, holder=shop.name, now=shop.now(), follow=follow)
    windows = refresh_profiles(shop.engine, shop.telemetry, holder=shop.name, now=shop.now(), follow=follow)
    days = refresh_columns(shop.engine, shop.telemetry, holder=shop.name, now=shop.now(), follow=follow)
    outcomes = refresh_outcomes(shop.engine, shop.telemetry, holder=shop.name, now=shop.now(), follow=follow)
    audits = refresh_audits(shop.engine, shop.telemetry, holder=shop.name, now=shop.now(), follow=follow)
    moments = refresh_moments(shop.engine, shop.telemetry, holder=shop.name, now=shop.now(), follow=follow)
    relations = refresh_relations(shop.engine, shop.telemetry, holder=shop.name, now=shop.now(), follow=follow)
    return applied.batches + windows + days + outcomes + audits + moments + relations


def evaluate(shop: Workshop) -> int:
    """2 and 3 Due bindings: evidence, finding, then condition, incident, light and notifications in one transaction."""
    done = 0
    for _ in range(CLAIMS):
        now = shop.now()
        claim = evaluation.claim_due(now=now)
        if not claim:
            break
        crash_point("evaluate: claimed, not evaluated")
        for share in _shares(evaluation.evaluate(claimed(claim), now=now)):
            done += flow.settle(claim, share, now=now)
    return done


def _shares(evaluations: Iterable[Evaluation]) -> Iterator[list[Evaluation]]:
    """What is stored in one transaction: as much as came within a few seconds, so that slow ones do not outlast their claim."""
    share: list[Evaluation] = []
    begun = perf_counter()
    for entry in evaluations:
        share.append(entry)
        if perf_counter() - begun > SHARE_SECONDS:
            yield share
            share, begun = [], perf_counter()
    if share:
        yield share


def remind(shop: Workshop) -> int:
    """4 Reminders, escalations, reopenings."""
    return flow.tell_due(now=shop.now())


def deliver(shop: Workshop) -> int:
    """5 Seal what is due into messages, then send them: claimed, sent, acknowledged one by one."""
    alerts.seal_messages(now=shop.now())
    crash_point("seal: after commit")
    sent, started = 0, perf_counter()
    for _ in range(ROUNDS):
        messages = alerts.claim_messages(now=shop.now())
        if not messages:
            break
        crash_point("deliver: claimed, not sent")
        for index, message in enumerate(messages):
            if perf_counter() - started > DELIVER_SECONDS:  # slow receivers must not keep risks from being evaluated
                alerts.release_messages(messages[index:])
                return sent
            if not alerts.keep_claim(message, now=shop.now()):
                continue
            receipt = _send(message)
            crash_point("deliver: sent, not acknowledged")
            alerts.acknowledge_delivery(message, receipt, now=shop.now())
            crash_point("deliver: acknowledged, after commit")
            sent += 1
    return sent


def _send(message: Message) -> Receipt:
    try:
        return alerts.send(message)
    except Exception as problem:  # a channel may be a third party's: whatever it raises is a failed try, not the end of the outbox
        log.exception("channel failed", channel=message.channel.kind, message=message.key)
        return Receipt.retry(Text(N_("the channel failed: {error}"), {"error": type(problem).__name__}))


def seal(shop: Workshop) -> int:
    """Chain the newest Changes; one worker at a time."""
    if not history.has_unsealed():
        return 0
    fence = history.take_lease("sealer", holder=shop.name, now=shop.now(), seconds=settings().lease_seconds / 2)
    return history.seal_changes(now=shop.now()) if fence else 0


def check_links(shop: Workshop) -> int:
    """Links of passports, each about once an hour."""
    due = registry.links_to_check(before=shop.now() - CHECK_LINKS_EVERY, limit=5)
    policy = OutgoingPolicy.parse(settings().outgoing_allow)
    for model_id, name, url in due:
        result = channels.check_link(url, policy)
        if result.is_blocked:  # not allowed to look is not the same as dead
            continue
        with transaction.atomic():
            save_link_check(model_id, link=name, url=url, failure="" if result.ok else result.detail.render(), now=shop.now())
    return len(due)


def keep_house(shop: Workshop) -> int:
    """7 Compact, expire, verify."""
    return upkeep.run_due(shop.telemetry, holder=shop.name, now=shop.now())


STEPS: tuple[Callable[[Workshop], int], ...] = (watch, apply, evaluate, remind, deliver, seal, check_links, keep_house)
