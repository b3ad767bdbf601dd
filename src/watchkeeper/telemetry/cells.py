"""Cells of an Arrow column as profiles read them: numbers as doubles, categories as text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def as_text(cells: pa.Array) -> pa.Array:
    """Categories as an engine reads them: booleans are "true" and "false"."""
    return cells.cast(pa.string())


def as_numbers(cells: pa.Array) -> Floats:
    """Numbers as doubles, times as seconds since 1970; null is NaN."""
    if pa.types.is_null(cells.type):
        return np.full(len(cells), np.nan)
    if pa.types.is_timestamp(cells.type):
        micros = cells.cast(pa.timestamp("us", cells.type.tz)).cast(pa.int64())
        return np.asarray(pc.divide(micros.cast(pa.float64(), safe=False), 1e6).to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def column_of(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece; nulls when the table lacks it."""
    if name not in table.column_names:
        return pa.nulls(len(table))
    pieces = table[name]
    return pieces.chunk(0) if pieces.num_chunks == 1 else pieces.combine_chunks()  # which would copy a single one too


def is_number(given: pa.DataType) -> bool:
    return bool(pa.types.is_floating(given) or pa.types.is_integer(given) or pa.types.is_decimal(given))


def is_category(given: pa.DataType) -> bool:
    return bool(pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_boolean(given))
