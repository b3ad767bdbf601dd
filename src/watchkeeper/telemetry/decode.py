"""A stored payload becomes a table in log form and the rows that were refused. Keeps no state: the caller holds the register of column types.

Log form: id, timestamp, received_at, batch, row, version, run_id, instance, prediction | label, score, score.<class>, f.<feature>,
s.<segment>, date; of a ranking query_id, rank and item, of a forecast issued_at and target_time. Every number is a double, every category a string,
every time UTC; NaN is null, infinities stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.telemetry.arrow import ArrowBatch, read_arrow
from watchkeeper.telemetry.horizons import FIELD, horizons
from watchkeeper.telemetry.json_rows import JsonBatch
from watchkeeper.telemetry.kinds import (
    ARROW_TYPES,
    FIXED,
    MAX_COLUMNS,
    MAX_NAME,
    MOMENT,
    PLURALS,
    REQUIRED,
    TARGET,
    Batch,
    Reading,
    fixed_kind,
    name_problem,
    wire_name,
)
from watchkeeper.telemetry.times import to_micros
from watchkeeper.wire import Stream

MAX_CELLS = 1 << 27  # a sparse batch must not become a huge table
HORIZON = f"s.{FIELD}"

Payload = bytes | Sequence[Mapping[str, Any]]  # Any: JSON


@dataclass(frozen=True)
class Refused:
    """A row that goes to quarantine: which (0-based), its first wrong field, what is wrong, what to do, and the row itself as JSON."""

    row: int
    field: str
    message: str
    remedy: str
    payload: dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Decoded:
    """`table` goes to the log; `learned` are the kinds of columns that `known` did not have."""

    table: pa.Table
    refused: tuple[Refused, ...]
    learned: dict[str, str]


@dataclass(frozen=True)
class _Reason:
    field: str
    message: str
    remedy: str


_BACKWARDS = _Reason(
    "target_time", "The target lies before the issue.", "Send the time the forecast is about as target_time, that at which it was made as issued_at."
)


def decode(stream: Stream, payload: Payload, *, known: Mapping[str, str], zone: tzinfo, batch: int, received_at: datetime) -> Decoded:
    """Rows in log form.

    `known` maps columns to their kind (double, string, boolean, timestamp, vector); `zone` reads naive times; `batch` is the batch's
    sequence number. Raises UnreadableArrow for bytes that are not an Arrow stream of this stream's columns.
    """
    sent: Batch = ArrowBatch(read_arrow(stream, payload), zone) if isinstance(payload, bytes) else JsonBatch(stream, payload, zone)
    reasons: dict[int, _Reason] = {}
    arrays: dict[str, pa.Array] = {}
    for name, reading in _readings(stream, sent, known, reasons):
        arrays[name] = reading.array
        for row, message in reading.misfits.items():
            reasons.setdefault(row, _Reason(wire_name(name), _sentence(message), _remedy(name, reading.array.type)))
    _require(stream, arrays, sent.count, reasons)
    _add_horizon(stream, arrays, known, reasons)
    table = _log_form(stream, arrays, sent.count, batch=batch, received_at=received_at)
    table = table.filter(_kept(sent.count, reasons)) if reasons else table
    table = table.drop_columns([name for name in arrays if name not in FIXED[stream] and table.column(name).null_count == len(table)])
    new = [name for name in table.column_names if name in arrays and name not in FIXED[stream] and name not in known]
    learned = {name: _kind(arrays[name].type) for name in new}
    return Decoded(table, _refusals(sent, reasons), learned)


def _readings(stream: Stream, sent: Batch, known: Mapping[str, str], reasons: dict[int, _Reason]) -> Iterator[tuple[str, Reading]]:
    """Every column that may enter the log, read as its kind. Rows with a column that may not are refused."""
    spelled = {name.casefold(): name for name in (*FIXED[stream], *known)}
    room = MAX_CELLS // max(1, sent.count)
    for name, cells in sent.cells.items():
        kind = fixed_kind(stream, name) or known.get(name) or cells.usual_kind()
        if kind is None or kind == "null":
            continue
        problem = _name_refusal(name, spelled, room)
        if problem is None:
            spelled[name.casefold()] = name
            room -= 1
            yield name, cells.read(kind)
            continue
        for row in cells.rows().tolist():
            reasons.setdefault(row, problem)


def _name_refusal(name: str, spelled: Mapping[str, str], room: int) -> _Reason | None:
    """Why a column cannot enter; `room` is how many more the batch may bring."""
    field = wire_name(name)[:MAX_NAME]
    if problem := name_problem(name):
        return _Reason(field, f"{problem}.", "Rename the field.")
    twin = spelled.get(name.casefold())
    if room <= 0 or (twin is None and len(spelled) >= MAX_COLUMNS):
        return _Reason(field, f"There are too many different fields; a log has at most {MAX_COLUMNS}.", "Send one list of numbers, or fewer fields.")
    if twin in (None, name):
        return None
    return _Reason(field, f"The name differs from {wire_name(twin)!r} only in upper and lower case.", f"Call it {wire_name(twin)!r}.")


def _require(stream: Stream, arrays: Mapping[str, pa.Array], count: int, reasons: dict[int, _Reason]) -> None:
    for name in REQUIRED[stream]:
        array = arrays.get(name, pa.nulls(count))
        for row in np.flatnonzero(array.is_null()).tolist():
            reasons.setdefault(row, _Reason(name, f"The {name} is missing.", "Add the field."))
    for name, array in arrays.items():
        if name != "id" and FIXED[stream].get(name) == "text":
            lengths = pc.fill_null(pc.utf8_length(array), 0)
            for row in np.flatnonzero(pc.greater(lengths, MAX_NAME)).tolist():
                reasons.setdefault(row, _Reason(name, f"The {name} has {lengths[row]} characters.", f"Send at most {MAX_NAME} characters."))
    if (ids := arrays.get("id")) is not None:
        lengths = pc.fill_null(pc.utf8_length(ids), 1)
        for row in np.flatnonzero(pc.or_(pc.equal(lengths, 0), pc.greater(lengths, MAX_NAME))).tolist():
            reasons.setdefault(row, _Reason("id", f"The id has {lengths[row]} characters.", f"Send an id of 1 to {MAX_NAME} characters."))


def _add_horizon(stream: Stream, arrays: dict[str, pa.Array], known: Mapping[str, str], reasons: dict[int, _Reason]) -> None:
    """Of rows that say when they were made and for what time, and not how far ahead that is. Not where the log has no room for it or a "Horizon"."""
    spelled = {name.casefold(): name for name in (*FIXED[stream], *known, *arrays)}
    if not {"issued_at", "target_time"} <= arrays.keys() or _name_refusal(HORIZON, spelled, 1):
        return
    told, is_before = horizons(arrays["issued_at"], arrays["target_time"])
    sent = arrays.get(HORIZON, pa.nulls(len(told), pa.string()))
    for row in np.flatnonzero(pc.and_(is_before, sent.is_null())).tolist():
        reasons.setdefault(row, _BACKWARDS)
    arrays[HORIZON] = pc.coalesce(sent, told)


def _log_form(stream: Stream, arrays: Mapping[str, pa.Array], count: int, *, batch: int, received_at: datetime) -> pa.Table:
    received = pa.scalar(to_micros(received_at), pa.int64()).cast(MOMENT)
    columns = {name: arrays.get(name, pa.nulls(count, ARROW_TYPES[kind])) for name, kind in FIXED[stream].items()}
    columns["timestamp"] = pc.fill_null(columns["timestamp"], received)  # a label became known when it came; a prediction without time is refused
    about = pc.coalesce(columns.get("prediction_timestamp", pa.nulls(count, MOMENT)), columns["timestamp"])
    columns["received_at"] = pa.repeat(received, count)
    columns["batch"] = pa.repeat(pa.scalar(batch, pa.int64()), count)
    columns["row"] = pa.array(np.arange(count, dtype=np.int32))
    columns |= {name: arrays[name] for name in sorted(arrays, key=lambda name: (name != TARGET[stream], name)) if name not in columns}
    columns["date"] = about.cast(pa.timestamp("us")).cast(pa.date32())
    return pa.table(columns)


def _kept(count: int, reasons: Mapping[int, _Reason]) -> pa.Array:
    kept = np.ones(count, dtype=bool)
    kept[list(reasons)] = False
    return pa.array(kept)


def _refusals(sent: Batch, reasons: Mapping[int, _Reason]) -> tuple[Refused, ...]:
    rows = sorted(reasons)
    payloads = sent.payloads(np.array(rows, dtype=np.int64)) if rows else []
    return tuple(
        Refused(row, reasons[row].field, reasons[row].message, reasons[row].remedy, payload) for row, payload in zip(rows, payloads, strict=True)
    )


def _kind(given: pa.DataType) -> str:
    return next(kind for kind, stored in ARROW_TYPES.items() if stored == given)


def _remedy(name: str, given: pa.DataType) -> str:
    plural = PLURALS[_kind(given)]
    return f"Send {plural}, or give the new type a name of its own." if name.startswith("f.") else f"Send {plural}."


def _sentence(message: str) -> str:
    return message[0].upper() + message[1:] + "."
