"""Risks look at the newest points of a series, however many there are and whatever they claim about their date."""

from __future__ import annotations

from datetime import timedelta

from tests.platform import Platform
from watchkeeper.ingest.models import MetricPoint
from watchkeeper.ingest.points import recent_points


def test_two_moments_of_each_series_stay_at_hand(platform: Platform) -> None:
    model = platform.register()
    for hours, value in enumerate([9.0, 10.0, 11.0, 12.0]):
        at = platform.clock.now() - timedelta(hours=10 - hours)
        for segment in ("", "JFK"):
            platform.measure(model, "mape", value, timestamp=at.isoformat(), segment=segment)
        platform.work(seconds=1)

    points = recent_points([model.id])[model.id]

    assert [(point.segment, point.value) for point in points if not point.segment] == [("", 11.0), ("", 12.0)]
    assert [point.value for point in points if point.segment == "JFK"] == [11.0, 12.0]
    assert MetricPoint.objects.count() == 8


def test_points_dated_in_the_future_do_not_hide_what_follows(platform: Platform) -> None:
    model = platform.register()
    binding = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12})
    for _ in range(6):
        platform.measure(model, "mape", 9, timestamp="2099-01-01T00:00:00Z")
        platform.work(minutes=1)
    platform.measure(model, "mape", 18)
    platform.work(minutes=10)

    assert platform.condition(binding) == "firing"


def test_a_value_sent_again_is_compared_with_the_moment_before(platform: Platform) -> None:
    model = platform.register()
    binding = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 1.5, "mode": "previous_ratio"})
    yesterday, today = ((platform.clock.now() - timedelta(days=days)).isoformat() for days in (1, 0))
    platform.measure(model, "mape", 10, timestamp=yesterday)
    for value in (11, 12, 13, 14, 20):
        platform.measure(model, "mape", value, timestamp=today)
        platform.work(minutes=10)

    assert platform.explanation(binding).startswith("mape is 20, 2 times the value before, 10")


def test_a_backfill_of_old_values_changes_nothing(platform: Platform) -> None:
    model = platform.register()
    binding = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12})
    platform.measure(model, "mape", 18)
    platform.work(minutes=1)
    for days in range(1, 8):
        platform.measure(model, "mape", 9, timestamp=(platform.clock.now() - timedelta(days=days)).isoformat())
    platform.work(minutes=20)

    assert platform.condition(binding) == "firing"
