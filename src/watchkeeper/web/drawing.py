"""Geometry of the small drawings: strips of days and gauges. Larger charts are in charts.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HEIGHTS = {"green": 6, "yellow": 12, "red": 18, "grey": 2}
WORST_FIRST = ("red", "yellow", "grey", "green")
STEP = 4
GAUGE_FROM, GAUGE_TO = 4.0, 128.0


def strip_paths(days: Sequence[str]) -> list[tuple[str, str]]:
    """One path per light over the days, oldest first.

    >>> strip_paths(["green", "red"])
    [('red', 'M6 18v-18'), ('green', 'M2 18v-6')]
    """
    return [
        (light, "".join(f"M{STEP * i + 2} 18v-{HEIGHTS[light]}" for i, day in enumerate(days) if day == light))
        for light in WORST_FIRST
        if light in days
    ]


def worst_of_days(changes: Sequence[tuple[datetime, str]], *, now: datetime, days: int) -> list[str]:
    """The worst light of each of the last days (24 hours each, the last ends now); grey before anything was known."""
    start = now - timedelta(days=days)
    lights: list[str] = []
    for index in range(days):
        begin, end = start + timedelta(days=index), start + timedelta(days=index + 1)
        before = [light for at, light in changes if at <= begin][-1:]
        held = {*before, *(light for at, light in changes if begin < at <= end)}
        lights.append(min(held, key=WORST_FIRST.index, default="grey"))
    return lights


@dataclass(frozen=True)
class Gauge:
    """Places on a line 132 wide: where the limit and the value stand, and the part beyond the limit."""

    limit_at: float
    value_at: float
    over_from: float
    over_width: float


def gauge(value: float, limit: float) -> Gauge:
    """The limit at 58 % of the line when the value is above it, at 42 % when it is below; the value by its distance.

    >>> gauge(18.0, 12.0)
    Gauge(limit_at=75.9, value_at=101.0, over_from=75.9, over_width=52.1)
    """
    is_above = value >= limit
    limit_at = GAUGE_FROM + (0.58 if is_above else 0.42) * (GAUGE_TO - GAUGE_FROM)
    distance = abs(value - limit) / (abs(value) + abs(limit) or 1) * 2
    room = (GAUGE_TO - 5 - limit_at) if is_above else (limit_at - GAUGE_FROM - 5)
    shift = room * min(1.0, distance / (distance + 0.35)) if distance else 0.0
    value_at = limit_at + shift if is_above else limit_at - shift
    over_from, over_width = (limit_at, GAUGE_TO - limit_at) if is_above else (GAUGE_FROM, limit_at - GAUGE_FROM)
    return Gauge(round(limit_at, 1), round(value_at, 1), round(over_from, 1), round(over_width, 1))
