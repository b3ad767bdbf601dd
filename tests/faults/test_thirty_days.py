"""Thirty days of a company in one process, on a clock that is moved: the engine keeps up, and the end is right."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.conftest import Runs
from tests.platform import Platform
from watchkeeper.alerts import services as alerts
from watchkeeper.core.clock import ManualClock
from watchkeeper.core.evidence import Point
from watchkeeper.incidents.models import Incident
from watchkeeper.ingest.points import store_points
from watchkeeper.monitoring import services as monitoring
from watchkeeper.monitoring.models import ConditionRow, FindingCount, ModelLight, RiskBinding
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.worker import steps

DAYS, METRICS = 30, 8
STEPS = (steps.evaluate, steps.remind, steps.deliver, steps.seal)


@pytest.fixture
def platform(db: None, clock: ManualClock, tmp_path: Path) -> Platform:
    return Platform(clock, tmp_path)


def a_company(platform: Platform, count: int) -> list[RegisteredModel]:
    """Models with eight metric risks each, evaluated once a day."""
    now = platform.clock.now()
    models = RegisteredModel.objects.bulk_create(RegisteredModel(name=f"model {i}", unit=platform.unit, created_at=now) for i in range(count))
    ModelLight.objects.bulk_create(ModelLight(model=model, since=now) for model in models)
    RiskBinding.objects.bulk_create(
        RiskBinding(
            model=model,
            type="metric_out_of_bounds",
            params={"metric": f"metric {i}", "upper": 12, "max_age": "3d"},
            schedule={"every": "1d"},
            pending_for=timedelta(0),
            hold=timedelta(0),
            criticality=1,
            created_at=now,
            next_due_at=now,
        )
        for model in models
        for i in range(METRICS)
    )
    return models


def test_thirty_days_of_a_company_run_in_seconds(platform: Platform, runs: Runs) -> None:
    count, chance = runs(6, 200), random.Random(3)  # noqa: S311 - a seed, not a secret
    models = a_company(platform, count)
    values: dict[tuple[object, str], float] = {}

    start, busy = time.perf_counter(), time.process_time()
    for _ in range(DAYS):
        now = platform.clock.now()
        points = {model.id: [Point(f"metric {i}", 18.0 if chance.random() < 0.03 else 9.0, now, now) for i in range(METRICS)] for model in models}
        values |= {(model, point.name): point.value for model, of_model in points.items() for point in of_model}
        store_points(points)
        for _ in range(4):
            platform.clock.advance(timedelta(hours=6))
            for step in STEPS:
                step(platform.shop)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy

    evaluations = sum(quiet + fired for quiet, fired in FindingCount.objects.values_list("quiet", "fired"))
    print(
        f"{count} models x {METRICS} risks x {DAYS} days: {seconds:.1f} s ({busy:.1f} s busy), {evaluations} evaluations, {Incident.objects.count()} incidents"
    )
    firing = {(row.binding.model_id, row.binding.params["metric"]) for row in ConditionRow.objects.filter(state="firing").select_related("binding")}
    assert firing == {key for key, value in values.items() if value > 12}
    assert Incident.objects.exclude(state="resolved").count() == len(firing)
    assert evaluations >= count * METRICS * DAYS
    scores = dict(ModelLight.objects.filter(model__in=models).values_list("model_id", "score"))
    assert scores == {model.id: sum(owner == model.id for owner, _ in firing) for model in models}


def test_a_thousand_risks_that_fire_at_once_are_told_in_a_few_messages(platform: Platform, runs: Runs) -> None:
    models = a_company(platform, runs(10, 250))
    channel = platform.webhook("http://127.0.0.1:9/")
    now = platform.clock.now()
    store_points({model.id: [Point(f"metric {i}", 18.0, now, now) for i in range(METRICS)] for model in models})

    start = time.perf_counter()
    steps.evaluate(platform.shop)
    evaluated = time.perf_counter() - start
    alerts.seal_messages(now=now)
    seconds = time.perf_counter() - start

    print(f"{len(models) * METRICS} risks fired: {evaluated:.1f} s, sealed after {seconds:.1f} s in {channel.messages.count()} messages")
    assert Incident.objects.count() == len(models) * METRICS
    assert channel.messages.count() == -(-len(models) * METRICS // 500)


def test_monitoring_a_model_more_costs_no_more_queries(platform: Platform) -> None:
    """A hundred bindings share every query; none is asked once per binding."""
    a_company(platform, 5)
    with CaptureQueriesContext(connection) as few:
        steps.evaluate(platform.shop)
    monitoring.make_due(RiskBinding.objects.filter(model__name="model 0"), now=platform.clock.now())
    with CaptureQueriesContext(connection) as one:
        steps.evaluate(platform.shop)

    assert len(few) <= len(one) + 5
