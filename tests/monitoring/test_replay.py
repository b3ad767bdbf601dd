"""A replay of what is stored gives what the worker did when it happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.platform import Platform
from tests.risks.story import scored_row
from watchkeeper import risks
from watchkeeper.core.evidence import Events, LoggedEvent, MetricHistory, Point, Quarantine
from watchkeeper.incidents.models import Incident
from watchkeeper.ingest.points import recent_points
from watchkeeper.monitoring.due import due_of
from watchkeeper.monitoring.evidence import load_evidence
from watchkeeper.monitoring.models import RiskBinding
from watchkeeper.monitoring.replay import Past, Replay, past_of, replay
from watchkeeper.wire import Stream

QUARTERS = {"cron": "0 */6 * * *"}
STEP, BEFORE = timedelta(hours=6), timedelta(minutes=30)  # rows come half an hour before a due moment
Rows = Sequence[Mapping[str, Any]]  # Any: JSON


def replayed(platform: Platform, binding: RiskBinding, *, days: int = 60) -> Replay:
    now = platform.clock.now()
    evidence = load_evidence(risks.get(binding.type).needs, [binding.model_id], now=now, back=timedelta(days=days))
    past = past_of(evidence[binding.model_id], days=days)
    assert past
    return replay(due_of(binding.id), past)


def lived(platform: Platform, binding: RiskBinding, *, steps: int, step: timedelta, send: Callable[[int], None]) -> list[tuple[datetime, bool]]:
    """Whether an incident was open after each step of the worker."""
    seen = []
    for number in range(steps):
        work_until(platform, binding, platform.clock.now() + step - BEFORE)
        send(number)
        platform.work(seconds=0)
        work_until(platform, binding, platform.clock.now() + BEFORE)
        seen.append((platform.clock.now(), platform.condition(binding) in ("firing", "recovering")))
    return seen


def work_until(platform: Platform, binding: RiskBinding, end: datetime) -> None:
    """The worker is there at each moment for which the risk asked."""
    while platform.clock.now() < end:
        due = RiskBinding.objects.get(id=binding.id).next_due_at
        following = min(due, end) if due and due > platform.clock.now() else end
        platform.work(seconds=(following - platform.clock.now()).total_seconds())


def counted_at(found: Replay, at: datetime) -> bool:
    before = [moment for moment in found.moments if moment.at <= at]
    return before[-1].is_counted if before else False


def assert_same(platform: Platform, binding: RiskBinding, found: Replay, seen: Sequence[tuple[datetime, bool]]) -> None:
    assert [(at, counted_at(found, at)) for at, _ in seen] == list(seen)
    incidents = Incident.objects.filter(binding=binding).order_by("number")
    assert [(alarm.start, alarm.end) for alarm in found.alarms] == [(incident.opened_at, incident.resolved_at) for incident in incidents]
    assert found.alarms


@pytest.mark.parametrize("rule", [{}, {"n": 2, "m": 3}, {"for_": "12h", "hold": "18h"}], ids=["at once", "2 of 3", "for and hold"])
def test_metrics_are_judged_as_they_were_live(platform: Platform, rule: dict[str, Any]) -> None:
    model, rng = platform.register(), Random(1)  # noqa: S311 - no secret
    wanted = {"metric": "mape", "upper": 12, "clear_upper": 10, "max_age": "36h"}
    binding = platform.only(model, "metric_out_of_bounds", params=wanted, schedule=QUARTERS, **rule)

    def send(number: int) -> None:
        if rng.random() < 0.4:
            bad = (number // 15) % 2
            late = timedelta(hours=rng.choice([0, 1, 30]), minutes=7)
            platform.measure(model, "mape", rng.gauss(14 if bad else 9, 1.5), timestamp=(platform.clock.now() - late).isoformat())

    seen = lived(platform, binding, steps=80, step=STEP, send=send)

    assert_same(platform, binding, replayed(platform, binding), seen)


def test_events_are_judged_as_they_were_live(platform: Platform) -> None:
    model, rng = platform.register(), Random(3)  # noqa: S311 - the same
    binding = platform.only(model, "event_reported", params={"type": "fallback_on", "clears_with": "fallback_off", "within": "36h"})

    def send(number: int) -> None:
        if rng.random() < 0.2:
            platform.say(model, rng.choice(["fallback_on", "fallback_off"]))

    seen = lived(platform, binding, steps=80, step=STEP, send=send)

    assert_same(platform, binding, replayed(platform, binding), seen)


def test_days_of_features_are_judged_as_they_were_live(platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=features(0.0, seed=99))
    binding = platform.only(model, "missing_values", schedule=QUARTERS, hold="1d")

    def send(number: int) -> None:
        if number % 4 == 0:
            day = number // 4
            platform.predict_features(model, features(0.5 if day in (4, 5, 9) else 0.0, seed=day))

    seen = lived(platform, binding, steps=60, step=STEP, send=send)

    assert_same(platform, binding, replayed(platform, binding), seen)


def features(nulls: float, *, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    return [{"x": None if rng.uniform() < nulls else float(rng.normal())} for _ in range(300)]


def test_days_of_labels_are_judged_as_they_were_live_to_the_day(platform: Platform) -> None:
    model = platform.register()
    binding = platform.only(model, "performance_drop", schedule={"cron": "0 */12 * * *"}, params={"window": 2})
    waiting: list[dict[str, Any]] = []

    def send(number: int) -> None:
        if number % 2 == 1:
            rng, at = np.random.default_rng(number), platform.clock.now()
            labels = list(waiting)
            waiting.clear()
            rows = [scored_row(rng, lambda score: 1 - score if 32 <= number // 2 < 36 else score) for _ in range(150)]
            made = [{"id": f"{number}-{place}", "timestamp": at.isoformat(), **row} for place, row in enumerate(rows)]
            waiting.extend(
                {"id": row["id"], "label": row.pop("label"), "prediction_timestamp": row["timestamp"], "timestamp": (at + 4 * STEP).isoformat()}
                for row in made
            )
            platform.predict_rows(model, made)
            if labels:
                platform.send(model, Stream.LABELS, labels)

    lived(platform, binding, steps=2 * 46, step=2 * STEP, send=send)

    found = replayed(platform, binding)
    (incident,), (alarm,) = Incident.objects.filter(binding=binding), found.alarms
    assert incident.resolved_at
    assert alarm.end
    assert abs(alarm.start - incident.opened_at) <= timedelta(days=1)
    assert abs(alarm.end - incident.resolved_at) <= timedelta(days=1)


def test_recent_points_of_any_moment_are_those_that_were_stored_then(platform: Platform) -> None:
    model, rng = platform.register(), Random(5)  # noqa: S311 - the same
    stored: dict[datetime, list[Point]] = {}
    for _ in range(30):
        platform.clock.advance(timedelta(hours=1))
        late = timedelta(hours=rng.choice([-3, 0, 0, 1, 5]))
        at = (platform.clock.now() - late).isoformat()
        platform.measure(model, rng.choice(["mape", "auc"]), rng.random(), timestamp=at, dataset=rng.choice(["", "validation"]))
        platform.work(seconds=1)
        stored[platform.clock.now()] = recent_points([model.id])[model.id]

    for back in (timedelta(hours=10), timedelta(days=5)):
        now = platform.clock.now()
        found = load_evidence(MetricHistory, [model.id], now=now, back=back)[model.id]
        for moment, points in stored.items():
            if moment >= now - back:
                view = found.at(moment)
                assert isinstance(view, MetricHistory)
                assert sorted(view.points) == sorted(points)


def test_evidence_that_forgets_says_so_and_is_not_replayed(platform: Platform) -> None:
    quarantine = Quarantine(now=platform.clock.now())

    assert "30 days" in quarantine.forgets
    assert past_of(quarantine, days=92) is None
    with pytest.raises(LookupError, match="30 days"):
        quarantine.at(platform.clock.now())


def test_more_due_moments_than_can_be_judged_are_spread(platform: Platform) -> None:
    model, now = platform.register(), platform.clock.now()
    binding = platform.only(model, "event_reported", params={"type": "halt"}, schedule={"every": "1m"})
    events = tuple(LoggedEvent(type="halt", timestamp=at, received_at=at) for at in (now - timedelta(days=90), now - timedelta(days=2)))

    found = replay(due_of(binding.id), Past(Events(now=now, registered_at=now, events=events), now - timedelta(days=90)))

    assert len(found.moments) <= 400
    assert found.gap > timedelta(hours=5)
    assert len(found.alarms) == 2
