"""Evaluations per second by kind of evidence: claim, load evidence, evaluate, store, light; one process, SQLite that syncs each commit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench._installation import set_up
from bench._table import Row, at_least

if TYPE_CHECKING:
    from watchkeeper.registry.models import RegisteredModel

MODELS = 2000
ROUNDS = 2
GOAL = 5000
GOALS = {"heartbeats": GOAL, "metrics": GOAL}
RISKS: dict[str, tuple[str, dict[str, Any]]] = {  # Any: parameters
    "heartbeats": ("no_predictions", {}),
    "metrics": ("metric_out_of_bounds", {"metric": "mape", "upper": 12}),
    "passports": ("no_owner", {}),
    "events": ("self_check_failed", {}),
    "volumes": ("prediction_volume", {}),
    "schemas": ("schema_changed", {}),
    "quarantine": ("quarantine_growing", {}),
}


def run() -> Iterator[Row]:
    set_up()
    now = datetime.now(UTC)
    models = _models(now)
    from watchkeeper.core.garbage import collect_seldom

    collect_seldom()  # as the worker does
    for kind, (type, params) in RISKS.items():
        speed = max(_speed(models, type, params, now))
        what = f"evaluations, {kind} ({type}), {MODELS:,} bindings"
        yield at_least(what, speed, GOALS[kind], unit="/s") if kind in GOALS else Row(what, f"{speed:,.0f} /s")


def _speed(models: list[RegisteredModel], type: str, params: dict[str, Any], now: datetime) -> Iterator[float]:  # Any: parameters
    """Each round finds every binding due. The first one makes the conditions and the lights: it is left out."""
    from watchkeeper.core.clock import ManualClock
    from watchkeeper.monitoring.models import RiskBinding
    from watchkeeper.worker.steps import Workshop, evaluate

    _bind(models, type, params, now)
    shop = Workshop(ManualClock(now))
    for number in range(1 + ROUNDS):
        RiskBinding.objects.update(next_due_at=now)
        started = perf_counter()
        done = evaluate(shop)
        if done != len(models):
            raise AssertionError(f"{done} of {len(models)} bindings of {type} were evaluated.")
        if number:
            yield done / (perf_counter() - started)
    RiskBinding.objects.all().delete()


def _bind(models: list[RegisteredModel], type: str, params: dict[str, Any], now: datetime) -> None:  # Any: parameters
    from watchkeeper.monitoring.models import RiskBinding

    RiskBinding.objects.bulk_create(
        RiskBinding(
            model=model,
            type=type,
            params=params,
            schedule={"every": "1h"},
            pending_for=timedelta(0),
            hold=timedelta(0),
            criticality=2,
            created_at=now,
            next_due_at=now,
        )
        for model in models
    )


def _models(now: datetime) -> list[RegisteredModel]:
    """Models in good health: they predict, they report a metric, they have sent events, they know their columns."""
    from watchkeeper.accounts import queries as accounts
    from watchkeeper.accounts.models import Person
    from watchkeeper.core.evidence import Point
    from watchkeeper.ingest.models import Event, LogColumn, StreamTimer
    from watchkeeper.ingest.points import store_points
    from watchkeeper.registry.models import Ownership, RegisteredModel

    before, root = now - timedelta(days=40), accounts.root_unit()
    person = Person.objects.create(email="owner@example.com", name="Owner", created_at=before)
    models = RegisteredModel.objects.bulk_create(RegisteredModel(name=f"Model {n}", unit=root, created_at=before) for n in range(MODELS))
    Ownership.objects.bulk_create(Ownership(model=model, side=side, person=person) for model in models for side in ("business", "technical"))
    StreamTimer.objects.bulk_create(
        StreamTimer(model=model, stream=stream, first_received_at=before, last_received_at=now, rows=1000)
        for model in models
        for stream in ("predictions", "labels", "metrics")
    )
    days = [now - timedelta(days=day) for day in range(10)]
    store_points({model.id: [Point("mape", 9 + day / 10, at, at) for day, at in enumerate(days)] for model in models})
    Event.objects.bulk_create(
        Event(model=model, type="self_check", timestamp=now - timedelta(hours=hour), received_at=now, fields={"name": "columns", "status": "passed"})
        for model in models
        for hour in range(4)
    )
    LogColumn.objects.bulk_create(
        LogColumn(model=model, stream="predictions", name=f"f.x{n}", type="double", last_seen_at=now) for model in models for n in range(10)
    )
    return models
