"""Which column is which field of the wire. Does not touch values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from watchkeeper.client._inbox import Row

VALUES_ALLOWED = frozenset({"version", "run_id", "instance"})  # one value for all rows is as common as a column


class Naming(NamedTuple):
    """As the caller named them. None: the column called like the field, if there is one. `features=None`: every column that is left."""

    fields: Mapping[str, str | None]
    features: Sequence[str] | None = ()
    segments: Sequence[str] = ()


@dataclass(frozen=True)
class Layout:
    """A naming that met a frame: wire field -> column, and values that hold for all rows."""

    fields: Mapping[str, str]
    values: Mapping[str, object]
    features: tuple[str, ...]
    segments: tuple[str, ...]


def lay_out(naming: Naming, columns: Iterable[str], *, defaults: Mapping[str, object], note: Callable[[str], None]) -> Layout:
    """Match names and columns. A named column that is missing is noted; its rows go without it, for the server to judge."""
    present = dict.fromkeys(columns)
    fields = {field: given or field for field, given in naming.fields.items() if (given or field) in present}
    absent = {field: given for field, given in naming.fields.items() if given and given not in present}
    values = {field: given for field, given in absent.items() if field in VALUES_ALLOWED}
    taken = {*fields.values(), *naming.segments}
    features = [name for name in present if name not in taken] if naming.features is None else naming.features
    required = [given for field, given in absent.items() if field not in values]
    if missing := [name for name in (*required, *features, *naming.segments) if name not in present]:
        note(f"No column {', '.join(map(repr, missing))} in the frame. It has: {', '.join(present) or 'none'}.")
    return Layout(
        fields=fields,
        values={field: value for field, value in defaults.items() if field not in fields and field not in absent} | values,
        features=tuple(name for name in features if name in present),
        segments=tuple(name for name in naming.segments if name in present),
    )


def wire_row(row: Row, layout: Layout, *, with_features: bool) -> Row:
    """One row as the server reads it. A row that brings its own `features` mapping is in wire form already: only its fields are renamed."""
    named = {field: row.get(column) for field, column in layout.fields.items()} | dict(layout.values)
    if isinstance(row.get("features"), Mapping):
        renamed = set(layout.fields.values())
        return {name: value for name, value in row.items() if name not in renamed} | named
    segments = {name: row.get(name) for name in layout.segments}
    if not with_features:
        return segments | named
    return segments | named | {"features": {name: row.get(name) for name in layout.features}}
