"""Names and kinds of the log's columns, and what a source of rows must offer to be decoded.

Kinds that a column can learn: double, string, boolean, timestamp, vector. Kind "text" is for columns that are strings whatever is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchkeeper.wire import Stream

Rows = NDArray[np.int64]

MAX_COLUMNS = 2000
MAX_NAME = 200

MOMENT = pa.timestamp("us", tz="UTC")

ARROW_TYPES: Mapping[str, pa.DataType] = {
    "double": pa.float64(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": MOMENT,
    "vector": pa.list_(pa.float64()),
    "text": pa.string(),
}

PLURALS: Mapping[str, str] = {
    "double": "numbers",
    "string": "strings",
    "boolean": "booleans",
    "timestamp": "times",
    "vector": "lists of numbers",
    "text": "strings",
}

# Columns that every table of a stream has, whatever was sent.
FIXED: Mapping[Stream, Mapping[str, str]] = {
    Stream.PREDICTIONS: {"id": "text", "timestamp": "timestamp", "version": "text", "run_id": "text", "instance": "text"},
    Stream.LABELS: {"id": "text", "timestamp": "timestamp", "prediction_timestamp": "timestamp"},
}
# Columns of predictions that are there when they were sent: of a ranking, whose rows are the items shown, and of a forecast.
IF_SENT: Mapping[str, str] = {"query_id": "text", "rank": "double", "item": "text", "issued_at": "timestamp", "target_time": "timestamp"}
REQUIRED: Mapping[Stream, tuple[str, ...]] = {Stream.PREDICTIONS: ("id", "timestamp"), Stream.LABELS: ("id",)}
TARGET: Mapping[Stream, str] = {Stream.PREDICTIONS: "prediction", Stream.LABELS: "label"}
_QUANTILE = re.compile(r"score\.q([0-9]{2})")


def fixed_kind(stream: Stream, name: str) -> str | None:
    """The kind of a column that is not learned: what the stream always has, scores and segments."""
    if name == "score" or name.startswith("score."):
        return "double"
    if stream is Stream.PREDICTIONS and name in IF_SENT:
        return IF_SENT[name]
    return "text" if name.startswith("s.") else FIXED[stream].get(name)


def is_column(stream: Stream, name: str) -> bool:
    """Whether a log of this stream may have a column of this name."""
    if name in FIXED[stream] or name == TARGET[stream]:
        return True
    return stream is Stream.PREDICTIONS and (name == "score" or name in IF_SENT or name.startswith(("score.", "f.", "s.")))


def is_output(column: str) -> bool:
    """Whether it is what the model says, among the columns of reference rows: the others are features.

    >>> is_output("score.fraud"), is_output("scores")
    (True, False)
    """
    return column in ("prediction", "score") or column.startswith("score.")


def quantile_of(column: str) -> float | None:
    """The share that a column of quantiles is to lie above; None of another column.

    >>> quantile_of("score.q05"), quantile_of("score.q00"), quantile_of("score.low")
    (0.05, None, None)
    """
    found = _QUANTILE.fullmatch(column)
    return int(found[1]) / 100 or None if found else None


def wire_name(column: str) -> str:
    """The name a sender knows a column by.

    >>> wire_name("f.age"), wire_name("s.region"), wire_name("score.cat"), wire_name("id")
    ('features.age', 'region', 'score.cat', 'id')
    """
    if column.startswith("f."):
        return "features." + column.removeprefix("f.")
    return column.removeprefix("s.")


def name_problem(column: str) -> str:
    """What is wrong with a column's name; empty when nothing is."""
    name = wire_name(column)
    if not name or column in ("f.", "score."):
        return "The name is empty"
    if len(column) > MAX_NAME:
        return f"The name has {len(column)} characters; at most {MAX_NAME} are possible"
    return "" if name.isprintable() else "The name has characters that cannot be printed"


@dataclass(frozen=True)
class Reading:
    """Cells as one Arrow array, null where nothing fits; `misfits` are the rows that hold something else, and what it is."""

    array: pa.Array
    misfits: Mapping[int, str]


class Cells(Protocol):
    """One column of a batch as it was sent. NaN and null are not cells."""

    def rows(self) -> Rows:
        """The rows that hold something."""

    def usual_kind(self) -> str | None:
        """The kind most cells have; None without cells."""

    def read(self, kind: str) -> Reading: ...


class Batch(Protocol):
    """The rows of one payload, by column."""

    count: int

    @property
    def cells(self) -> Mapping[str, Cells]: ...

    def payloads(self, rows: Rows) -> list[dict[str, Any]]:  # Any: JSON
        """Rows as they were sent, in a form that JSON can hold."""
