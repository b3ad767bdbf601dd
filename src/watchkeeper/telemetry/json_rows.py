"""Rows that came as JSON, by column. They passed `wire.rows` already; what is left is the type each column has in the log."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, tzinfo
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter

from watchkeeper.telemetry.kinds import ARROW_TYPES, FIXED, IF_SENT, MOMENT, PLURALS, TARGET, Reading, Rows
from watchkeeper.telemetry.times import to_micros, wall_to_utc, within_years
from watchkeeper.wire import Stream

Value = Any  # Any: what JSON can hold

_MOMENT = TypeAdapter(datetime)
_SHOWN = 60


class JsonBatch:
    def __init__(self, stream: Stream, rows: Sequence[Mapping[str, Value]], zone: tzinfo) -> None:
        self.sent = rows
        self.count = len(rows)
        self.cells: dict[str, JsonCells] = {}
        for index, row in enumerate(rows):
            for name, value in _columns_of(stream, row):
                if value is None or value != value:  # NaN is the one value that differs from itself
                    continue
                if name not in self.cells:
                    self.cells[name] = JsonCells(self.count, zone)
                self.cells[name].values[index] = value

    def payloads(self, rows: Rows) -> list[dict[str, Value]]:
        return [jsonable(self.sent[row]) for row in rows]


class JsonCells:
    def __init__(self, count: int, zone: tzinfo) -> None:
        self.count, self.zone = count, zone
        self.values: dict[int, Value] = {}

    def rows(self) -> Rows:
        return np.fromiter(self.values, dtype=np.int64, count=len(self.values))

    def usual_kind(self) -> str | None:
        kinds = Counter(map(type, self.values.values()))
        return _KINDS.get(kinds.most_common(1)[0][0], "string") if kinds else None

    def read(self, kind: str) -> Reading:
        convert = _CONVERT[kind]
        values: list[Value] = [None] * self.count
        misfits: dict[int, str] = {}
        for row, value in self.values.items():
            try:
                values[row] = convert(value)
            except (ValueError, OverflowError):  # not of this kind; text that is not Unicode; a number no double can hold
                misfits[row] = f"{_shown(value)} is not among the {PLURALS[kind]} this column holds"
        if kind != "timestamp":
            return Reading(pa.array(values, ARROW_TYPES[kind]), misfits)
        return Reading(self._moments(values, misfits), misfits)

    def _moments(self, values: list[datetime | None], misfits: dict[int, str]) -> pa.Array:
        walls = np.array([to_micros(value) if value else 0 for value in values], dtype=np.int64)
        naive = np.array([value is not None and value.tzinfo is None for value in values], dtype=bool)
        walls[naive] = wall_to_utc(walls[naive], self.zone)
        known = np.array([value is not None for value in values], dtype=bool)
        fits = known & within_years(walls)
        misfits.update({int(row): f"{_shown(self.values[int(row)])} is outside the years the log can hold" for row in np.flatnonzero(known & ~fits)})
        return pa.array(walls, mask=~fits).cast(MOMENT)


def jsonable(value: Value) -> Value:
    """A copy that every JSON store takes: times as text, no NaN or infinity, no NUL or broken characters.

    >>> jsonable({"at": datetime(2026, 1, 1), "x": [float("inf"), 1]})
    {'at': '2026-01-01T00:00:00', 'x': ['inf', 1]}
    """
    if isinstance(value, Mapping):
        return {jsonable(str(name)): jsonable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(inner) for inner in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value.isoformat() if isinstance(value, date) else value


def _columns_of(stream: Stream, row: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    """The log's columns of one wire row."""
    for name, value in row.items():
        if name == "features" and stream is Stream.PREDICTIONS:
            yield from (("f." + feature, inner) for feature, inner in value.items())
        elif name == "score" and isinstance(value, Mapping):
            yield from (("score." + label, inner) for label, inner in value.items())
        elif name in ("score", TARGET[stream]) or name in FIXED[stream] or name in IF_SENT:
            yield name, value
        else:
            yield "s." + name, value


def _double(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return float(value)


def _boolean(value: Value) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _string(value: Value) -> str:
    if not isinstance(value, str):
        raise ValueError
    if not value.isascii():
        value.encode()  # a lone surrogate is no text: UnicodeEncodeError is a ValueError
    return value


def _text(value: Value) -> str:
    """A string; numbers and booleans become one, spelled as Arrow spells them."""
    if isinstance(value, bool | float):
        return str(pa.scalar(value).cast(pa.string()))
    return str(value) if isinstance(value, int) else _string(value)


def _vector(value: Value) -> list[float | None]:
    if not isinstance(value, list):
        raise ValueError
    return [None if inner is None or inner != inner else _double(inner) for inner in value]


def _moment(value: Value) -> datetime:
    if isinstance(value, bool):
        raise ValueError
    return value if isinstance(value, datetime) else _MOMENT.validate_python(value)


def _shown(value: Value) -> str:
    """A value as a refusal quotes it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value}" if value.bit_length() < 64 else "a number beyond all doubles"
    text = str(jsonable(value[:_SHOWN] if isinstance(value, str) else str(value)))
    quoted = f'"{text}"' if isinstance(value, str) else text
    return quoted if len(quoted) <= _SHOWN else quoted[:_SHOWN] + "…"


_KINDS: Mapping[type, str] = {float: "double", int: "double", bool: "boolean", str: "string", list: "vector", datetime: "timestamp"}

_CONVERT: Mapping[str, Callable[[Value], Value]] = {
    "double": _double,
    "boolean": _boolean,
    "string": _string,
    "text": _text,
    "vector": _vector,
    "timestamp": _moment,
}
