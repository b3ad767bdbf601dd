"""Wall times to UTC, and the local hour a moment belongs to. Works on int64 microseconds since 1970; knows no tables.

Every zone's offset has been a multiple of a quarter of an hour since 1972, so one look-up per distinct quarter serves any number of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from watchkeeper.wire import FIRST_YEAR, LAST_YEAR

Micros = NDArray[np.int64]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)


def to_micros(at: datetime) -> int:
    """Microseconds since 1970: of an aware time in UTC, of a naive one as it stands on the wall."""
    return ((at.replace(tzinfo=UTC) if at.tzinfo is None else at) - EPOCH) // MICROSECOND


FIRST_MICRO = to_micros(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC))
END_MICRO = to_micros(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC))


def within_years(moments: Micros) -> NDArray[np.bool_]:
    """Which moments lie in the years that every engine reads alike."""
    return (moments >= FIRST_MICRO) & (moments < END_MICRO)


def wall_to_utc(walls: Micros, zone: tzinfo) -> Micros:
    """UTC of naive times. A time that occurs twice is the first; one that a DST gap leaves out counts on from before the gap."""

    def shift(wall: datetime) -> timedelta:
        return -(wall.replace(tzinfo=zone).utcoffset() or timedelta(0))

    return walls + _per_quarter(walls, shift)


def window_starts(moments: Micros, zone: tzinfo) -> Micros:
    """The start of the local hour of each UTC moment."""
    quarters = moments - moments % (QUARTER // MICROSECOND)
    return quarters - _per_quarter(moments, lambda quarter: _into_hour(quarter, zone))


def window_of(at: datetime, zone: tzinfo) -> datetime:
    """The hour window of a moment: the UTC time at which the zone's clock last showed a full hour.

    >>> from zoneinfo import ZoneInfo
    >>> window_of(datetime(2026, 11, 22, 14, 10, tzinfo=UTC), ZoneInfo("Asia/Kolkata")).isoformat()
    '2026-11-22T13:30:00+00:00'
    """
    return at_micros(int(window_starts(np.array([to_micros(at)]), zone)[0]))


def at_micros(moment: int) -> datetime:
    return EPOCH + timedelta(microseconds=moment)


def _into_hour(quarter: datetime, zone: tzinfo) -> timedelta:
    offset = quarter.astimezone(zone).utcoffset() or timedelta(0)
    return (quarter - EPOCH + offset) % HOUR


def _per_quarter(moments: Micros, value: Callable[[datetime], timedelta]) -> Micros:
    """`value` of each moment's quarter of an hour, asked once per distinct quarter."""
    quarters, positions = np.unique(moments // (QUARTER // MICROSECOND), return_inverse=True)
    values = [value(EPOCH + int(quarter) * QUARTER) // MICROSECOND for quarter in quarters]
    return np.array(values, dtype=np.int64)[positions]
