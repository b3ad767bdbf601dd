"""From a call's copy to what is sent: wire rows, or an Arrow table when there are many. Runs in the writer's thread, never in the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from watchkeeper.client._arrow import pyarrow, wire_table
from watchkeeper.client._columns import Layout, Naming, lay_out, wire_row
from watchkeeper.client._frames import Frame
from watchkeeper.client._inbox import ArrowTable, Content, Row
from watchkeeper.client._json import encode, plain
from watchkeeper.client._wire import MAX_BATCH_BYTES

VALIDATION_COLUMNS = ("label", "score", "prediction")
JSON_ROWS = 200  # from here on Arrow is smaller and faster, at both ends


def frame_content(frame: Frame, naming: Naming, defaults: Mapping[str, object], note: Callable[[str], None]) -> Content:
    """The frame in wire form. What Arrow cannot hold (a column of mixed types) goes as JSON rows of any number."""
    layout = lay_out(naming, frame.columns(), defaults=defaults, note=note)
    if len(frame) > JSON_ROWS and (table := _as_table(frame, layout)) is not None:
        return table
    with_features = naming.features is None or bool(naming.features)
    return [wire_row(row, layout, with_features=with_features) for row in frame.records()]


def training_content(
    frame: Frame | None, fields: Row, schema: Mapping[str, str] | None, validation: Frame | None = None, segments: Sequence[str] = ()
) -> list[Row]:
    """One training row. Its schema is read off the reference, the caller's word counts more."""
    if validation:
        wanted = (*VALIDATION_COLUMNS, *segments)
        fields = fields | {"validation": [plain({name: row[name] for name in wanted if name in row}) for row in validation.records()]}
    reference = [plain(row) for row in frame.records()] if frame else None
    derived = _schema(frame) if frame else {}
    row = fields | {"schema": derived | dict(schema or {}) or None, "reference": reference}
    while reference and len(encode(row)) > MAX_BATCH_BYTES // 2:  # a very wide frame: fewer rows tell the same
        row["reference"] = reference = reference[::2]
    return [row]


def _as_table(frame: Frame, layout: Layout) -> ArrowTable | None:
    arrow = pyarrow()
    if arrow is None or "features" in layout.features:  # a column of ready-made `features` mappings is a matter of rows
        return None
    try:
        return wire_table(arrow, frame.table(arrow), layout)
    except arrow.ArrowException:
        return None


def _schema(frame: Frame) -> dict[str, str]:
    rows = frame.records()
    return {name: _kind(row.get(name) for row in rows) for name in frame.columns()}


def _kind(values: Iterable[object]) -> str:
    """The wire's word for a column; mixed and empty columns are texts."""
    kinds = {kind for value in values if (kind := _kind_of(value))}
    return kinds.pop() if len(kinds) == 1 else "string"


def _kind_of(value: object) -> str | None:
    told = plain(value)
    if told is None:
        return "double" if isinstance(value, float) else None  # NaN tells the type, though not a value
    if isinstance(told, bool):
        return "boolean"
    if isinstance(told, int | float):
        return "double"
    if isinstance(told, list):
        return "vector"
    return "timestamp" if isinstance(value, datetime) or type(value).__name__ == "datetime64" else "string"
