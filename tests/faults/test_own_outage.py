"""The platform itself was down: its return blames no model, and evaluates once what it missed many times."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from tests.platform import Platform
from watchkeeper.core.clock import ManualClock
from watchkeeper.incidents.models import Incident
from watchkeeper.monitoring.models import FindingCount, Outage
from watchkeeper.worker import loop


@pytest.fixture
def platform(db: None, clock: ManualClock, tmp_path: Path) -> Platform:
    return Platform(clock, tmp_path)


def run_for_a_moment(platform: Platform) -> None:
    """The loop of a real worker process, stopped when it has nothing left to do."""
    stop = threading.Event()
    idle = stop.wait
    stop.wait = lambda timeout=None: stop.set() or idle(0)  # type: ignore[method-assign]  # idle for the first time: enough
    loop.run(platform.shop, stop=stop)


def test_hours_without_a_worker_raise_no_silence(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_predictions", params={"silent_for": "1h"})
    platform.predict(model)
    run_for_a_moment(platform)

    platform.clock.advance(timedelta(hours=9))
    run_for_a_moment(platform)

    assert platform.condition(risk) == "ok"
    assert not Incident.objects.filter(binding=risk).exists()
    assert Outage.objects.count() == 1
    assert sum(FindingCount.objects.filter(binding=risk).values_list("quiet", flat=True)) == 2, "evaluated once, not once per missed time"
    risk.refresh_from_db()
    assert risk.missed > 0


def test_a_model_that_stays_silent_after_it_is_found_out(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_predictions", params={"silent_for": "30m"})
    platform.predict(model)
    run_for_a_moment(platform)
    platform.clock.advance(timedelta(hours=9))
    run_for_a_moment(platform)

    for _ in range(35):
        platform.clock.advance(timedelta(seconds=59))
        run_for_a_moment(platform)

    assert platform.condition(risk) == "firing"


def test_two_workers_that_start_together_count_one_outage_once(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_predictions", params={"silent_for": "1h"})
    platform.predict(model)
    run_for_a_moment(platform)
    start, end = platform.clock.now(), platform.clock.advance(timedelta(hours=3))
    Outage.objects.create(start=start, end=end)
    Outage.objects.create(start=start + timedelta(seconds=1), end=end)

    platform.clock.advance(timedelta(minutes=61))
    platform.work()

    assert platform.condition(risk) == "firing"


def test_days_without_a_worker_make_no_metric_old(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "metrics_not_refreshed", params={"older_than": "2d"})
    platform.measure(model, "mape", 9)
    run_for_a_moment(platform)

    platform.clock.advance(timedelta(days=3))
    platform.predict(model)
    run_for_a_moment(platform)

    assert platform.condition(risk) == "ok"
