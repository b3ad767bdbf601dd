"""Which columns of a table are the id, the time, the score …: guessed, checked, and rows brought into the form in which they are sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from watchkeeper.telemetry.arrow import kind_of
from watchkeeper.wire import Stream

Digests = NDArray[np.uint64]

NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "prediction_id", "request_id", "row_id", "uuid", "key"),
    "timestamp": ("timestamp", "ts", "predicted_at", "scored_at", "created_at", "event_time", "time", "datetime", "at", "date"),
    "version": ("version", "model_version"),
    "prediction": ("prediction", "predicted", "pred", "y_pred", "decision"),
    "score": ("score", "proba", "probability", "y_score", "p"),
    "label": ("label", "target", "y_true", "actual", "outcome", "y"),
    "label_timestamp": ("label_timestamp", "labelled_at", "labeled_at", "label_time"),
}
TAKEN = ("double", "string", "boolean", "timestamp", "vector")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of columns by what they are; empty where there is none. `features` None: all that are nothing else."""

    id: str
    timestamp: str = ""
    version: str = ""
    prediction: str = ""
    score: str = ""
    label: str = ""
    label_timestamp: str = ""
    segments: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Columns:  # Any: JSON
        known = {field.name for field in fields(cls)}
        lists: dict[str, Any] = {name: tuple(given[name]) for name in ("segments", "features") if given.get(name) is not None}
        return cls(**{name: value for name, value in given.items() if name in known and name not in ("segments", "features")}, **lists)

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return asdict(self)

    @property
    def has_predictions(self) -> bool:
        return bool(self.prediction or self.score or self.features or (self.features is None and not self.label))

    def streams(self) -> tuple[Stream, ...]:
        """Labels come after the predictions that they belong to."""
        given = ((Stream.PREDICTIONS, self.has_predictions), (Stream.LABELS, bool(self.label)))
        return tuple(stream for stream, is_there in given if is_there)

    def named(self) -> dict[str, str]:
        """The columns that were given a meaning by name: meaning and column."""
        single = {name: getattr(self, name) for name in NAMES if getattr(self, name)}
        many = {f"{meaning} {name}": name for meaning in ("segments", "features") for name in getattr(self, meaning) or ()}
        return single | many

    def read(self, schema: pa.Schema) -> list[str]:
        """The columns to read of a table."""
        return list(dict.fromkeys([*self.named().values(), *self.features_of(schema.names, schema)]))

    def features_of(self, names: Collection[str], schema: pa.Schema) -> list[str]:
        if self.features is not None:
            return list(self.features)
        if not self.has_predictions:
            return []
        taken = set(self.named().values())
        return [name for name in names if name not in taken and kind_of(schema.field(name).type) in TAKEN]


def guess(schema: pa.Schema) -> Columns:
    """What the names and types of the columns say."""
    lower = {name.casefold(): name for name in reversed(schema.names)}
    found: dict[str, Any] = {meaning: next((lower[name] for name in names if name in lower), "") for meaning, names in NAMES.items()}
    times = [field.name for field in schema if kind_of(field.type) == "timestamp"]
    if found["timestamp"] not in times:
        found["timestamp"] = times[0] if len(times) == 1 else ""
    return Columns(**found)


def problems(columns: Columns, schema: pa.Schema) -> list[tuple[str, str, str]]:
    """What speaks against taking rows by these columns: meaning, what is wrong, what to do. Empty when nothing does."""
    kinds = {field.name: kind_of(field.type) for field in schema}
    wrong = [
        (meaning, f"There is no column {name}.", f"There are: {', '.join(schema.names[:50])}.")
        for meaning, name in columns.named().items()
        if name not in kinds
    ]
    needed = ("id", "timestamp")
    wrong += [
        (name, f"No column is named as {name}.", f"Name one of: {', '.join(schema.names[:50])}.") for name in needed if not getattr(columns, name)
    ]
    for meaning in ("timestamp", "label_timestamp"):
        name = getattr(columns, meaning)
        if name in kinds and kinds[name] != "timestamp":
            told = "text" if kinds[name] == "string" else str(schema.field(name).type)
            wrong.append(
                (
                    meaning,
                    f"The column {name} is {told}, not a time.",
                    "Write it as a timestamp; one without a zone is read in the model's time zone.",
                )
            )
    if columns.score in kinds and kinds[columns.score] != "double":
        wrong.append(("score", f"The column {columns.score} is {schema.field(columns.score).type}, not a number.", "Name it as the prediction."))
    if not columns.streams():
        wrong.append(("prediction", "Neither a prediction, a score, features nor a label is named.", "Name at least one of them."))
    return wrong


def sent_form(table: pa.Table, columns: Columns, stream: Stream) -> pa.Table:
    """Rows as `stream` takes them. A label that is null is not known yet: its row is left out."""
    if stream is Stream.LABELS:
        table = table.filter(table[columns.label].is_valid())
        single = {"id": columns.id, "label": columns.label, "timestamp": columns.label_timestamp}
        single |= (
            {"prediction_timestamp": columns.timestamp} if columns.has_predictions else {"timestamp": columns.label_timestamp or columns.timestamp}
        )
        return pa.table({field: _plain(table[name], field) for field, name in single.items() if name})
    single = {field: getattr(columns, field) for field in ("id", "timestamp", "version", "prediction", "score")}
    sent = {field: _plain(table[name], field) for field, name in single.items() if name}
    sent |= {f"s.{name}": _plain(table[name], "s") for name in columns.segments}
    return pa.table(sent | {f"f.{name}": _plain(table[name], "") for name in columns.features_of(table.column_names, table.schema)})


def row_digests(table: pa.Table) -> Digests:
    """A number for each row that says what is in it: equal rows have equal numbers, others hardly ever."""
    if not len(table):
        return np.zeros(0, dtype=np.uint64)
    with duckdb.connect() as connection:
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in table.column_names)
        connection.register("rows", table)
        return np.asarray(connection.sql(f"SELECT hash({names}) AS digest FROM rows").to_arrow_table()["digest"].to_numpy(), dtype=np.uint64)  # noqa: S608 - quoted names


def _plain(column: pa.ChunkedArray, field: str) -> pa.ChunkedArray:
    """Ids, versions and segments as text, times in microseconds, dates as their midnight; dictionaries and other strings as plain ones."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = kind_of(column.type)
    if kind == "timestamp":
        return pc.cast(column, pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
    if field in ("id", "version", "s"):
        return column.cast(pa.string())
    return column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column.cast(pa.string()) if kind == "string" else column
