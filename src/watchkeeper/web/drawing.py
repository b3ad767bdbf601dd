"""Geometry of the small drawings: strips of days and gauges. Larger charts are in charts.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from math import isfinite
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


def along(value: float, limit: float) -> float:
    """A place from 0 to 1 on a line without end, the limit at 0.43 of it: large values stay on the line, small ones apart.

    >>> round(along(0.2, 0.2), 2), round(along(3.0, 0.2), 2), along(0.0, 0.2)
    (0.43, 0.92, 0.0)
    """
    known = max(0.0, value) if isfinite(value) else 0.0
    return known / (known + 1.3 * limit) if known else 0.0


@dataclass(frozen=True)
class NoisyGauge:
    """Places on a line 132 wide: limit, value, the part beyond the limit, and how far chance alone reaches."""

    limit_at: float
    value_at: float
    over: float
    noise: float


def noisy_gauge(value: float, limit: float, noise: float) -> NoisyGauge:
    """The limit always at the same place, so that rows can be compared down a column."""
    limit_at, value_at, noise_to = (GAUGE_FROM + 126 * along(number, limit) for number in (limit, value, noise))
    return NoisyGauge(round(limit_at, 1), round(value_at, 1), round(130 - limit_at, 1), round(noise_to - GAUGE_FROM, 1))


def step_path(shares: Sequence[float], *, top: float, width: float, height: float, base: float, closed: bool = False) -> str:
    """A histogram as a path, as high as `height` where a share is `top`.

    >>> step_path([0.5, 1.0], top=1.0, width=10, height=4, base=5, closed=True)
    'M0 3H5L5 1H10V5H0Z'
    """
    if not shares or top <= 0:
        return ""
    step = width / len(shares)
    steps = [(index * step, base - height * share / top) for index, share in enumerate(shares)]
    line = "L".join(f"{x:.4g} {y:.4g}H{x + step:.4g}" for x, y in steps)
    return f"M{line}V{base:.4g}H0Z" if closed else f"M{line}"


def line_path(places: Sequence[float], *, width: float, height: float, base: float) -> str:
    """A line through places from 0 to 1, evenly apart; empty for fewer than two.

    >>> line_path([0.0, 1.0], width=10, height=4, base=5)
    'M0 5L10 1'
    """
    if len(places) < 2:
        return ""
    step = width / (len(places) - 1)
    return "M" + "L".join(f"{index * step:.4g} {base - height * place:.4g}" for index, place in enumerate(places))
