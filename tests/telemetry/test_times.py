"""Hours of a zone's own clock, also where days have 23 or 25 of them and where offsets end in half hours."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from watchkeeper.telemetry.times import window_of


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("America/New_York", "2026-07-01", 24),
        ("Asia/Kolkata", "2026-07-01", 24),
        ("Asia/Kathmandu", "2026-07-01", 24),
    ],
)
def test_a_day_has_as_many_windows_as_its_clock_has_hours(zone, day, hours):
    place = ZoneInfo(zone)
    start = datetime.fromisoformat(day).replace(tzinfo=place).astimezone(UTC)
    end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=place).astimezone(UTC)

    windows = {window_of(start + timedelta(minutes=minute), place) for minute in range(int((end - start).total_seconds() // 60))}

    assert len(windows) == hours
    assert min(windows) == start
    assert all(window.astimezone(place).minute == 0 for window in windows)


def test_a_window_starts_at_its_own_start_and_ends_before_the_next():
    kolkata = ZoneInfo("Asia/Kolkata")
    start = datetime(2026, 11, 22, 13, 30, tzinfo=UTC)

    assert window_of(start, kolkata) == start
    assert window_of(start + timedelta(minutes=59, seconds=59, microseconds=999_999), kolkata) == start
    assert window_of(start - timedelta(microseconds=1), kolkata) == start - timedelta(hours=1)
