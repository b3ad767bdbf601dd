"""Geometry of the small drawings: strips of days and gauges. Larger charts are in charts.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

HEIGHTS = {"green": 6, "yellow": 12, "red": 18, "grey": 2}
WORST_FIRST = ("red", "yellow", "grey", "green")
RANK = {light: place for place, light in enumerate(WORST_FIRST)}
DAY = timedelta(days=1)
STEP = 4
GAUGE_FROM, GAUGE_TO = 4.0, 128.0


def strip_paths(days: Sequence[str]) -> list[tuple[str, str]]:
    """One path per light over the days, oldest first: a line through each run of days; the style makes it as high as its light and cuts it into days.

    >>> strip_paths(["green", "green", "red"])
    [('red', 'M8.5 9h3'), ('green', 'M.5 15h7')]
    """
    paths: dict[str, str] = {}
    for light, run in groupby(enumerate(days), key=itemgetter(1)):
        places = [index for index, _light in run]
        start = f"{STEP * places[0] + 0.5}".lstrip("0")
        paths[light] = paths.get(light, "") + f"M{start} {18 - HEIGHTS[light] // 2}h{STEP * len(places) - 1}"
    return [(light, paths[light]) for light in WORST_FIRST if light in paths]


def worst_of_days(changes: Sequence[tuple[datetime, str]], *, now: datetime, days: int) -> tuple[str, ...]:
    """The worst light of each of the last days (24 hours each, the last ends now); grey before anything was known.

    `changes` are in order of time. A light holds until the next one, so each touches the days from its own to that of its successor.
    """
    start = now - timedelta(days=days)
    worst: list[str | None] = [None] * days
    ends = [at for at, _light in changes[1:]] + [now]
    for (at, light), end in zip(changes, ends, strict=True):
        for index in range(max(0, -((start - at) // DAY) - 1), min(days, -((start - end) // DAY))):
            held = worst[index]
            worst[index] = light if held is None or RANK[light] < RANK[held] else held
    return tuple(light or "grey" for light in worst)


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
