"""Any value a model may meet as valid JSON: no NaN, no numpy, times as ISO 8601. Does not know rows or fields."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

Plain = Any  # Any: JSON
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False)


def encode(value: object) -> bytes:
    """Half a surrogate pair becomes a question mark: one broken text must not make a whole batch unreadable."""
    return _encoder.encode(plain(value)).encode("utf-8", "replace")


def plain(value: Any) -> Plain:  # Any: whatever the caller logs
    """The value in JSON's own types; TypeError for what has no meaning as a feature.

    >>> plain({"x": float("nan"), "at": datetime(2026, 11, 22), "who": (1, Decimal("0.5"))})
    {'x': None, 'at': '2026-11-22T00:00:00.000000', 'who': [1, 0.5]}
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if kind.__name__ in ("NAType", "NaTType"):  # pandas: the first is neither equal to itself nor different, the second claims to be a datetime
        return None
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Plain:  # Any: as above
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return plain(float(value))
    if isinstance(value, str | int | float):  # subclasses, numpy.float64 and numpy.str_ among them
        return plain(_base_value(value))
    return _plain_array(value)


def _base_value(value: str | int | float) -> str | int | float:
    return str(value) if isinstance(value, str) else int(value) if isinstance(value, int) else float(value)


def _plain_array(value: Any) -> Plain:  # Any: as above
    """numpy, torch and the like, told by what they can do: importing them to ask would be heavy."""
    if type(value).__name__ == "datetime64":  # in nanoseconds its own conversion gives a number
        return plain(value.astype("datetime64[us]").item())
    convert = getattr(value, "tolist", None) or getattr(value, "to_list", None)
    if convert is None:
        raise TypeError(f"a {type(value).__name__} cannot be sent; send text, a number, a truth value, a time or a list of numbers")
    return plain(convert())
