"""What the page says of a rehearsal: its days as strips, its alarms with the incidents they caught, and limits to take over."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import formats

from watchkeeper.core.finding import Outcome
from watchkeeper.incidents.rehearsing import Rehearsed
from watchkeeper.monitoring import queries
from watchkeeper.monitoring.rehearsal import Rehearsal, Tried
from watchkeeper.monitoring.replay import Alarm

SHOWN = 12
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True)
class AlarmLine:
    """An alarm, how long it lasted, and the incident it caught with by how much it was earlier (negative: later)."""

    alarm: Alarm
    lasted: timedelta
    incident: int | None = None
    earlier: timedelta | None = None

    @property
    def is_at_once(self) -> bool:
        return self.earlier is not None and abs(self.earlier) < MINUTE

    @property
    def later(self) -> timedelta | None:
        return -self.earlier if self.earlier is not None and self.earlier <= -MINUTE else None


@dataclass(frozen=True)
class LimitLine:
    """Limits in words and as the values of the form's fields, their receipt among them, and what they would have done."""

    words: str
    takes: str
    rehearsal: Rehearsal
    is_suggested: bool


def context_of(found: Rehearsed) -> dict[str, Any]:  # Any: template context
    rehearsal = found.rehearsal
    if rehearsal is None:
        return {"why_not": found.why_not}
    limits = [
        _limit_line(other, receipt, is_suggested=other is rehearsal.suggested)
        for other, receipt in zip(rehearsal.others, found.receipts, strict=True)
    ]
    return {
        "found": rehearsal,
        "seen": rehearsal.replay,
        "receipt": found.receipt,
        "days": tuple(_days(rehearsal)),
        "incident_days": tuple(_incident_days(rehearsal)),
        "alarms": list(_alarm_lines(rehearsal))[-SHOWN:],
        "left_out": max(0, len(rehearsal.replay.alarms) - SHOWN),
        "missed": [(trouble.number, queries.title_of(trouble.type)) for trouble in rehearsal.missed],
        "limits": limits,
        "suggested": next((line for line in limits if line.is_suggested), None),
    }


def _days(found: Rehearsal) -> Iterator[str]:
    """Each day (24 hours, the last ends now) as a light: red when an incident would have been open, grey when nothing was known.

    A day without a moment is as the last one before it.
    """
    seen, light = found.replay, "grey"
    for start in _starts(found):
        outcomes = {moment.outcome for moment in seen.moments if start <= moment.at < start + DAY}
        if outcomes:
            light = "grey" if outcomes == {Outcome.UNKNOWN} else "green"
        yield "red" if any(_touches(alarm.start, alarm.end, start) for alarm in seen.alarms) else light


def _incident_days(found: Rehearsal) -> Iterator[str]:
    for start in _starts(found):
        yield "yellow" if any(_touches(trouble.start, trouble.end, start) for trouble in found.troubles) else "grey"


def _starts(found: Rehearsal) -> list[datetime]:
    return [found.replay.end - back * DAY for back in range(found.replay.days, 0, -1)]


def _touches(start: datetime, end: datetime | None, day: datetime) -> bool:
    return start < day + DAY and (end is None or end > day)


def _alarm_lines(found: Rehearsal) -> Iterator[AlarmLine]:
    """How much earlier is said of the first alarm of an incident."""
    for alarm in found.replay.alarms:
        first = next((entry for entry in found.caught if entry.alarm is alarm), None)
        troubles = [first.trouble] if first else found.caught_by(alarm)
        lasted = alarm.lasted(found.replay.end)
        yield AlarmLine(alarm, lasted, troubles[0].number if troubles else None, first.earlier if first else None)


def _limit_line(other: Tried, receipt: str, *, is_suggested: bool) -> LimitLine:
    words = ", ".join(f"{name} {_written(value)}" for name, value in other.params.items())
    return LimitLine(words, json.dumps(_fields(other.params) | {"rehearsal": receipt}), other.rehearsal, is_suggested)


def _fields(params: Mapping[str, Any]) -> dict[str, str]:  # Any: JSON of the parameters
    return {f"p-{name}": _written(value) for name, value in params.items()}


def _written(value: Any) -> str:  # Any: JSON of a parameter
    """As the form shows it in the reader's language."""
    return str(formats.localize_input(value)) if isinstance(value, float) else str(value)
