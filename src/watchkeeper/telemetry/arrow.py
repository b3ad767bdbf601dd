"""Arrow bodies from outside: opened with suspicion, checked by schema, read by column. Does not decide which rows are kept: `decode` does."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.telemetry.json_rows import jsonable
from watchkeeper.telemetry.kinds import (
    ARROW_TYPES,
    FIXED,
    IF_SENT,
    MAX_COLUMNS,
    MOMENT,
    PLURALS,
    REQUIRED,
    TARGET,
    Reading,
    Rows,
    fixed_kind,
    is_column,
    name_problem,
)
from watchkeeper.telemetry.times import END_MICRO, FIRST_MICRO, wall_to_utc, within_years
from watchkeeper.wire import FIRST_YEAR, LAST_YEAR, Stream

MAX_BYTES = 1 << 30  # in memory, after decompression
MAX_ROWS = 2_000_000

_LIES = (pa.ArrowException, OSError, ValueError, struct.error, MemoryError, OverflowError)  # what reading dishonest bytes raises
_DICTIONARY, _RECORDS = 2, 3  # message types of the Arrow format
_DAY_MICROS = 86_400_000_000


class UnreadableArrow(ValueError):
    """The body is not an Arrow stream that can be read."""


class OversizedArrow(UnreadableArrow):
    """The body would need more memory, or hold more rows, than is allowed."""


@dataclass(frozen=True)
class ArrowHead:
    """What a body says of itself: read without decompressing or looking at a row."""

    schema: pa.Schema
    rows: int
    bytes: int


def open_arrow(body: bytes, *, max_bytes: int = MAX_BYTES, max_rows: int = MAX_ROWS) -> ArrowHead:
    """Schema and size of an Arrow IPC stream. What the body claims is checked before anything is allocated for it."""
    try:
        schema = pa.ipc.open_stream(body).schema
        _ = [
            (name, str(given), getattr(given, "tz", "")) for field in schema for name, given in _columns_of(field)
        ]  # text that is not UTF-8 shows here
        claims = [claim for message in pa.ipc.MessageReader.open_stream(body) for claim in _claims(message)]
    except _LIES as problem:
        raise UnreadableArrow(f"The body is not an Arrow IPC stream: {_first_line(problem)}. Send what pyarrow.ipc.new_stream writes.") from problem
    head = ArrowHead(schema, sum(rows for rows, _ in claims), sum(size for _, size in claims))
    if head.bytes > max_bytes:
        raise OversizedArrow(f"The body unpacks to {head.bytes:,} bytes; at most {max_bytes:,} are possible. Send smaller batches.")
    if head.rows > max_rows:
        raise OversizedArrow(f"The body has {head.rows:,} rows; at most {max_rows:,} are possible. Send smaller batches.")
    return head


def check_arrow_schema(stream: Stream, schema: pa.Schema) -> list[str]:
    """What is wrong with a schema, one sentence each; empty when rows of it can be decoded."""
    columns = [column for field in schema for column in _columns_of(field)]
    if len(columns) > MAX_COLUMNS:
        return [f"The stream has {len(columns)} columns; at most {MAX_COLUMNS} are possible."]
    names = [name for name, _ in columns]
    missing = [f"Column {name} is missing. Add it." for name in REQUIRED[stream] if name not in names]
    folded = Counter(name.casefold() for name in names)
    twice = [f"Column {name!r} is there more than once, upper and lower case being one. Rename it." for name in names if folded[name.casefold()] > 1]
    return missing + twice + [problem for name, given in columns for problem in _column_problems(stream, name, given)]


def read_arrow(stream: Stream, body: bytes, *, max_bytes: int = MAX_BYTES, max_rows: int = MAX_ROWS) -> pa.Table:
    """All rows of a body, validated to the last offset."""
    head = open_arrow(body, max_bytes=max_bytes, max_rows=max_rows)
    if problems := check_arrow_schema(stream, head.schema):
        raise UnreadableArrow(" ".join(problems))
    try:
        table = pa.ipc.open_stream(body).read_all()
        table.validate(full=True)
        needed = sum(_bytes_in_log(chunk) for column in table.columns for chunk in column.chunks)
    except _LIES as problem:
        raise UnreadableArrow(f"The Arrow stream is damaged: {_first_line(problem)}. Send it again.") from problem
    if needed > max_bytes:
        raise OversizedArrow(f"The rows need {needed:,} bytes; at most {max_bytes:,} are possible. Send smaller batches.")
    return _without_views(table)


class ArrowBatch:
    def __init__(self, table: pa.Table, zone: tzinfo) -> None:
        self.table, self.count = table, table.num_rows
        self.cells = {name: ArrowCells(array, zone) for field in table.schema for name, array in _arrays_of(field, table.column(field.name))}

    def payloads(self, rows: Rows) -> list[dict[str, Any]]:  # Any: JSON
        taken = self.table.take(pa.array(rows))
        for index, field in enumerate(taken.schema):
            if pa.types.is_temporal(field.type):  # Python's datetime cannot hold every time that Arrow can
                taken = taken.set_column(index, field.name, _without_zone(taken.column(index)).cast(pa.string()))
        return [jsonable(row) for row in taken.to_pylist()]


class ArrowCells:
    def __init__(self, array: pa.Array, zone: tzinfo) -> None:
        self.kind = kind_of(array.type)
        self.array = _double(array) if self.kind == "double" else array
        self.zone = zone

    def rows(self) -> Rows:
        return np.flatnonzero(self.array.is_valid())

    def usual_kind(self) -> str | None:
        return self.kind if self.array.null_count < len(self.array) else None

    def read(self, kind: str) -> Reading:
        if kind == "text" and self.kind in ("double", "boolean"):
            return Reading(self.array.cast(pa.string()), {})
        if kind != self.kind and not (kind == "text" and self.kind == "string"):
            sentence = f"the column came as {PLURALS.get(self.kind or '', 'nulls')}, but it holds {PLURALS[kind]}"
            return Reading(pa.nulls(len(self.array), ARROW_TYPES[kind]), dict.fromkeys(self.rows().tolist(), sentence))
        if kind == "timestamp":
            return _moments(self.array, self.zone)
        if kind == "vector":
            return Reading(_vectors(self.array), {})
        return Reading(self.array.cast(ARROW_TYPES[kind]), {})


def _claims(message: pa.ipc.Message) -> Iterator[tuple[int, int]]:
    """Rows and unpacked bytes that a message announces. pyarrow checked the flatbuffer; it would allocate what a compressed buffer claims."""
    metadata = message.metadata.to_pybytes()
    (root,) = struct.unpack_from("<I", metadata)
    (kind,) = struct.unpack_from("<B", metadata, _field(metadata, root, 1) or 0)
    header = _pointer(metadata, _field(metadata, root, 2))
    if kind == _DICTIONARY:
        header = _pointer(metadata, _field(metadata, header, 1))
    if kind not in (_DICTIONARY, _RECORDS):
        return
    length = _field(metadata, header, 0)
    rows = struct.unpack_from("<q", metadata, length)[0] if length else 0
    is_compressed = _field(metadata, header, 3) is not None
    buffers = _pointer(metadata, _field(metadata, header, 2))
    (count,) = struct.unpack_from("<I", metadata, buffers)
    places = (struct.unpack_from("<qq", metadata, buffers + 4 + 16 * n) for n in range(count))
    size = sum(_unpacked(message.body, offset, length, is_compressed=is_compressed) for offset, length in places)
    if rows < 0:
        raise ValueError(f"a message claims {rows} rows")
    yield (rows if kind == _RECORDS else 0), size


def _unpacked(body: pa.Buffer, offset: int, length: int, *, is_compressed: bool) -> int:
    if length < 0 or offset < 0 or offset + length > body.size:
        raise ValueError("a buffer lies outside its message")
    if not is_compressed or length < 8:
        return length
    (claimed,) = struct.unpack("<q", body.slice(offset, 8).to_pybytes())
    if claimed < -1:
        raise ValueError(f"a buffer claims {claimed} bytes")
    return length - 8 if claimed == -1 else int(claimed)


def _field(metadata: bytes, table: int, number: int) -> int | None:
    """Where a flatbuffer table keeps a field; None when it leaves it out."""
    (back,) = struct.unpack_from("<i", metadata, table)
    (size,) = struct.unpack_from("<H", metadata, table - back)
    slot = 4 + 2 * number
    (offset,) = struct.unpack_from("<H", metadata, table - back + slot) if slot < size else (0,)
    return table + offset if offset else None


def _pointer(metadata: bytes, place: int | None) -> int:
    if place is None:
        raise ValueError("a message lacks its header")
    return int(place + struct.unpack_from("<I", metadata, place)[0])


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0][:200].rstrip(".")


def _columns_of(field: pa.Field) -> list[tuple[str, pa.DataType]]:
    """The log's columns of one Arrow column: a struct `score` is one per class."""
    if field.name == "score" and pa.types.is_struct(field.type):
        return [(f"score.{inner.name}", inner.type) for inner in field.type]
    return [(field.name, field.type)]


def _arrays_of(field: pa.Field, column: pa.ChunkedArray) -> Iterator[tuple[str, pa.Array]]:
    array = column.combine_chunks()
    parts = array.flatten() if pa.types.is_struct(field.type) else [array]
    return zip((name for name, _ in _columns_of(field)), parts, strict=True)


def _column_problems(stream: Stream, name: str, given: pa.DataType) -> Iterator[str]:
    if not is_column(stream, name):
        known = ", ".join(
            (*FIXED[stream], TARGET[stream], *(("score", *IF_SENT, "f.<feature>", "s.<segment>") if stream is Stream.PREDICTIONS else ()))
        )
        yield f"Column {name!r} is not known. Known: {known}."
        return
    if problem := name_problem(name):
        yield f"Column {name[:60]!r}: {problem}. Rename it."
    kind, fixed = kind_of(given), fixed_kind(stream, name)
    if kind is None:
        yield f"Column {name!r} has type {given}. Send {', '.join(PLURALS[kind] for kind in ARROW_TYPES if kind != 'text')}."
    elif kind == "null" or fixed is None:
        return
    elif kind != fixed and not (fixed == "text" and _becomes_text(name, given)):
        yield f"Column {name!r} has type {given}. Send {PLURALS[fixed]}."


def _becomes_text(name: str, given: pa.DataType) -> bool:
    if name == "id":
        return bool(pa.types.is_integer(given)) or kind_of(given) == "string"
    return kind_of(given) in ("string", "double", "boolean")


def kind_of(given: pa.DataType) -> str | None:
    """The kind of an Arrow type; "null" for a column without type, None for what the log cannot hold."""
    if pa.types.is_dictionary(given):
        return "string" if _is_string(given.value_type) and not pa.types.is_string_view(given.value_type) else None
    if pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given):
        return "double"
    if pa.types.is_list(given) or pa.types.is_large_list(given) or pa.types.is_fixed_size_list(given):
        return "vector" if pa.types.is_integer(given.value_type) or pa.types.is_floating(given.value_type) else None
    if pa.types.is_timestamp(given) or pa.types.is_date(given):
        return "timestamp"
    if pa.types.is_boolean(given):
        return "boolean"
    if pa.types.is_null(given):
        return "null"
    return "string" if _is_string(given) else None


def _is_string(given: pa.DataType) -> bool:
    return bool(pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given))


def _bytes_in_log(array: pa.Array) -> int:
    """Memory that a column needs once it is plain: short codes, shared strings and small numbers grow."""
    if pa.types.is_null(array.type):
        return 0
    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary.cast(pa.large_string())).cast(pa.int64())
        return int(pc.sum(lengths.take(array.indices)).as_py() or 0)
    if pa.types.is_string_view(array.type):
        views = np.frombuffer(array.buffers()[1] or b"", dtype=np.int32)[::4]
        return int(views[array.offset : array.offset + len(array)].sum(dtype=np.int64))
    if pa.types.is_nested(array.type) and not pa.types.is_struct(array.type):
        return 8 * len(array.flatten())
    return int(max(array.nbytes, 8 * len(array)))


def _without_views(table: pa.Table) -> pa.Table:
    """Much of pyarrow cannot handle string views."""
    for index, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.string()))
    return table


def _double(array: pa.Array) -> pa.Array:
    numbers = array.cast(pa.float64(), safe=False)  # integers above 2**53 lose their last digits
    return pc.if_else(pc.is_nan(numbers), None, numbers) if pc.any(pc.is_nan(numbers)).as_py() else numbers


def _vectors(array: pa.Array) -> pa.Array:
    lists = array.cast(pa.list_(pa.float64()), safe=False)
    if not pc.any(pc.is_nan(lists.flatten())).as_py():
        return lists
    plain = pa.concat_arrays([lists])
    return pa.ListArray.from_arrays(plain.offsets, _double(plain.values), mask=plain.is_null())


def _without_zone(array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return array.cast(pa.timestamp(array.type.unit)) if pa.types.is_timestamp(array.type) else array


def _moments(array: pa.Array, zone: tzinfo) -> Reading:
    """Times as UTC microseconds. Years are looked at in the unit they came in, where no conversion can overflow."""
    is_naive = not pa.types.is_timestamp(array.type) or array.type.tz is None
    plain = array.cast(pa.timestamp("s")) if pa.types.is_date32(array.type) else _without_zone(array)
    plain = plain.cast(pa.timestamp("ms")) if pa.types.is_date64(plain.type) else plain
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[plain.type.unit]
    ticks = plain.cast(pa.int64())
    first, end = (edge // 10**6 * per_second for edge in (FIRST_MICRO - _DAY_MICROS, END_MICRO + _DAY_MICROS))  # zones move less than a day
    near = pc.and_(pc.greater_equal(ticks, first), pc.less(ticks, end))
    rough = pc.fill_null(pc.if_else(near, ticks, 0), 0).to_numpy(zero_copy_only=False)
    walls = rough * (10**6 // per_second) if per_second <= 10**6 else rough // 10**3
    moments = wall_to_utc(walls, zone) if is_naive and zone is not UTC else walls
    known = array.is_valid().to_numpy(zero_copy_only=False)
    fits = known & pc.fill_null(near, False).to_numpy(zero_copy_only=False) & within_years(moments)
    sentence = f"the time is outside the years {FIRST_YEAR}-{LAST_YEAR}"
    return Reading(pa.array(moments, mask=~fits).cast(MOMENT), dict.fromkeys(np.flatnonzero(known & ~fits).tolist(), sentence))
