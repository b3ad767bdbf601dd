"""A table in the columns of the wire: fields by name, features as `f.<name>`, segments as `s.<name>`. Works only where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from watchkeeper.client._columns import Layout
from watchkeeper.client._inbox import ArrowTable
from watchkeeper.client._wire import MAX_BATCH_BYTES

Library = Any  # Any: pyarrow brings no types
Column = Any  # Any: the same
TARGET_BYTES = MAX_BATCH_BYTES // 4  # an estimate before encoding: stay far from the limit
_TEXTS = frozenset({"id", "version", "run_id", "instance"})
_TIMES = frozenset({"timestamp", "prediction_timestamp", "issued_at", "target_time"})


@cache
def pyarrow() -> Library | None:
    """Loaded at the first big frame, in the background: the SDK itself needs httpx alone."""
    try:
        import_module("pyarrow.compute")
        return import_module("pyarrow")
    except ImportError:
        return None


def wire_table(arrow: Library, table: ArrowTable, layout: Layout) -> ArrowTable:
    columns = {field: _field(arrow, field, table.column(name)) for field, name in layout.fields.items()}
    columns |= {field: arrow.repeat(value, table.num_rows) for field, value in layout.values.items()}
    columns |= {f"f.{name}": _value(arrow, table.column(name)) for name in layout.features}
    columns |= {f"s.{name}": _value(arrow, table.column(name)) for name in layout.segments}
    return arrow.table(columns)


def stream_bodies(table: ArrowTable) -> Iterator[tuple[int, bytes]]:
    """The table as IPC streams small enough to be accepted, with their row counts."""
    arrow = import_module("pyarrow")
    step = max(1, table.num_rows * TARGET_BYTES // max(table.nbytes, TARGET_BYTES))
    for start in range(0, table.num_rows, step):
        part = table.slice(start, step)
        sink = arrow.BufferOutputStream()
        with arrow.ipc.new_stream(sink, part.schema) as stream:
            stream.write_table(part)
        yield part.num_rows, sink.getvalue().to_pybytes()


def _field(arrow: Library, field: str, column: Column) -> Column:
    column = _value(arrow, column)
    kind = column.type
    if field in _TEXTS and arrow.types.is_integer(kind):
        return column.cast(arrow.string())
    if field in _TIMES:
        return _as_time(arrow, column)
    if field == "score" and arrow.types.is_integer(kind):
        return column.cast(arrow.float64())
    return column


def _value(arrow: Library, column: Column) -> Column:
    """What JSON would say too: plain texts, and null for what is not a finite number."""
    kinds = arrow.types
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kinds.is_large_string(column.type) or kinds.is_string_view(column.type):
        return column.cast(arrow.string())
    if kinds.is_floating(column.type) or kinds.is_decimal(column.type):
        column = column.cast(arrow.float64())
        return arrow.compute.if_else(arrow.compute.is_finite(column), column, None)
    return column


def _as_time(arrow: Library, column: Column) -> Column:
    kinds = arrow.types
    if kinds.is_timestamp(column.type):
        return column.cast(arrow.timestamp("us", column.type.tz), safe=False)
    if kinds.is_date(column.type):
        return column.cast(arrow.timestamp("us"))
    if kinds.is_string(column.type):
        return _parsed_time(arrow, column)
    return column


def _parsed_time(arrow: Library, column: Column) -> Column:
    """ISO 8601 with a zone, or else without; ArrowInvalid when a text is no time at all."""
    try:
        return column.cast(arrow.timestamp("us", "UTC"))
    except arrow.ArrowInvalid:
        return column.cast(arrow.timestamp("us"))
