"""Durations as people write them: 90s, 10m, 2h, 7d, 2w, and sums such as 1h30m. Nothing about calendars."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def parse_duration(text: str | int | float | timedelta) -> timedelta:
    """A duration from its short form; a bare number is seconds.

    >>> parse_duration("1h30m"), parse_duration(90)
    (datetime.timedelta(seconds=5400), datetime.timedelta(seconds=90))
    """
    if isinstance(text, timedelta):
        return text
    if isinstance(text, int | float) and not isinstance(text, bool):
        return timedelta(seconds=text)
    return _read(str(text))


@lru_cache(maxsize=10_000)
def _read(text: str) -> timedelta:
    parts = _PART.findall(text)
    if not parts or "".join(a + u for a, u in parts) != text.replace(" ", ""):
        raise ValueError(f"{text!r} is not a duration. Write a number and a unit, e.g. 90s, 10m, 2h, 7d, 1h30m.")
    return timedelta(seconds=sum(float(amount) * _UNITS[unit] for amount, unit in parts))


def format_duration(span: timedelta) -> str:
    """The short form that `parse_duration` reads back.

    >>> format_duration(timedelta(seconds=5400)), format_duration(timedelta(0))
    ('1h30m', '0s')
    """
    rest = int(span.total_seconds())
    out = ""
    for unit in ("d", "h", "m", "s"):
        amount, rest = divmod(rest, _UNITS[unit])
        out += f"{amount}{unit}" if amount else ""
    return out or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?[smhdw])+$", "examples": ["10m", "2h", "7d"]}),
]
