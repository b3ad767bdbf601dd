"""When a binding is due. Pure: a schedule and a moment in, the next moment out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from watchkeeper.core.durations import parse_duration
from watchkeeper.core.errors import InvalidInput

Schedule = Mapping[str, str]
SHORTEST = timedelta(seconds=10)
LONGEST = timedelta(days=366)
REMEDY = 'Write {"every": "10m"}, {"cron": "0 7 * * 1", "timezone": "Europe/Berlin"} or {"on": "event"}.'
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_schedule(schedule: Schedule) -> Schedule:
    """The schedule, or InvalidInput that says what is possible."""
    match sorted(schedule):
        case ["every"]:
            _interval(schedule)
        case ["cron"] | ["cron", "timezone"]:
            _cron(schedule, _EPOCH)
        case ["on"] if schedule["on"] == "event":
            pass
        case _:
            raise InvalidInput(f"{dict(schedule)} is not a schedule.", remedy=REMEDY, fields={"schedule": "every, cron or on"})
    return schedule


def next_due(schedule: Schedule, *, after: datetime, spread_by: UUID) -> datetime | None:
    """The first moment after `after`; None for a binding that waits for events. Intervals are spread over time by a hash: of the
    model, so that its risks share one reading of the evidence."""
    if "every" in schedule:
        interval = _interval(schedule)
        first = _EPOCH + _offset(spread_by, interval)
        return first + ((after - first) // interval + 1) * interval
    if "cron" in schedule:
        return next(_cron(schedule, after)).astimezone(UTC)
    return None


@lru_cache(maxsize=100_000)
def _offset(spread_by: UUID, interval: timedelta) -> timedelta:
    return timedelta(seconds=int.from_bytes(hashlib.sha256(spread_by.bytes).digest()[:8]) % int(interval.total_seconds()))


def missed_since(schedule: Schedule, *, due: datetime, now: datetime, spread_by: UUID) -> int:
    """How many later due times have passed as well: evaluated once, counted and shown."""
    if "every" in schedule:
        return max(0, (now - due) // _interval(schedule))
    missed, at = 0, next_due(schedule, after=due, spread_by=spread_by)
    while at and at <= now and missed < 1000:
        missed, at = missed + 1, next_due(schedule, after=at, spread_by=spread_by)
    return missed


def _interval(schedule: Schedule) -> timedelta:
    try:
        interval = parse_duration(schedule["every"])
    except ValueError as problem:
        raise InvalidInput(str(problem), remedy=REMEDY, fields={"schedule": "every"}) from problem
    if not SHORTEST <= interval <= LONGEST:
        raise InvalidInput(f"Every {schedule['every']} is not possible.", remedy="Choose between 10s and 366d.", fields={"schedule": "every"})
    return interval


def _cron(schedule: Schedule, after: datetime) -> CronSim:
    try:
        return CronSim(schedule["cron"], after.astimezone(ZoneInfo(schedule.get("timezone", "UTC"))))
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as problem:
        raise InvalidInput(f"{dict(schedule)} is not a schedule: {problem}", remedy=REMEDY, fields={"schedule": "cron"}) from problem
