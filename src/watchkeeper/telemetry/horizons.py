"""How far ahead a forecast looks: in words for its rows, and as a length that puts such words in order."""

from __future__ import annotations

from math import inf, isnan

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.core.durations import parse_duration

FIELD = "horizon"

_MINUTE = 60_000_000  # microseconds
_HOUR, _DAY = 60, 1440  # minutes
_LONG, _WEEK = 6 * _HOUR, 7 * _DAY


def horizons(issued: pa.Array, target: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Of two columns of times: the horizon of each row in words, null where a time is missing, and whether the target lies before the issue.

    Told to the minute, from six hours on to the hour, from a week on to the day: forecasts for a time are made when their data is there.
    """
    ahead = pc.subtract(target.cast(pa.int64()), issued.cast(pa.int64()))
    exact = pc.fill_null(ahead, 0).to_numpy() / _MINUTE
    step = np.select([exact >= _WEEK, exact >= _LONG], [_DAY, _HOUR], 1)
    minutes, places = np.unique((np.rint(exact / step) * step).astype(np.int64), return_inverse=True)
    words = pa.array([horizon_words(each) for each in minutes.tolist()], pa.string()).take(pa.array(places))
    return pc.if_else(pc.is_valid(ahead), words, None), pc.fill_null(pc.less(ahead, 0), False)


def horizon_words(minutes: int) -> str:
    """A horizon in whole days, else in whole hours, else in minutes.

    >>> horizon_words(4320), horizon_words(360), horizon_words(90)
    ('3 d', '6 h', '90 min')
    """
    if minutes % _HOUR:
        return f"{minutes} min"
    return f"{minutes // _HOUR} h" if minutes % _DAY else f"{minutes // _DAY} d"


def horizon_length(words: str) -> float:
    """By what horizons are put in order: the seconds of a duration, a plain number as it is; infinite for other words.

    >>> sorted(["10 d", "3 d", "soon", "90 min", "6 h"], key=horizon_length), sorted(["10", "9"], key=horizon_length)
    (['90 min', '6 h', '3 d', '10 d', 'soon'], ['9', '10'])
    """
    try:
        number = float(words)
    except ValueError:
        return _seconds(words)
    return inf if isnan(number) else number


def _seconds(words: str) -> float:
    try:
        return parse_duration("".join(words.split()).replace("min", "m")).total_seconds()
    except (ValueError, OverflowError):
        return inf
