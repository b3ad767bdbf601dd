"""Whether the rows of two files can be told apart by all columns together: what no column shows by itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchkeeper.analysis.files import CannotCheck, RowSource, sample
from watchkeeper.stats.domain_classifier import MOST_ROWS, Apart, tell_apart
from watchkeeper.telemetry.bins import ColumnBins, Layout

Floats = NDArray[np.float64]


def files_apart(current: RowSource, baseline: RowSource, layout: Layout) -> Apart:
    """Tell 20,000 rows of each side apart, chosen by chance, by the numbers and categories that have bins.

    A category stands for its place in the bins, so that all unseen ones are alike. Of times, vectors and texts that hardly repeat nothing is
    used: they would tell any two files apart. Raises CannotCheck when scikit-learn is not installed.
    """
    columns = [column for column in layout.columns if column.kind != "presence" and not column.derived]
    kinds = {column.name: "double" if column.kind == "number" else "string" for column in columns}
    kinds |= {name: "boolean" for name in kinds if "boolean" in (baseline.kinds[name], current.kinds[name])}
    before, after = (_matrix(sample(rows, kinds, limit=MOST_ROWS), columns) for rows in (baseline, current))
    try:
        return tell_apart(before, after, [column.name for column in columns], rng=np.random.default_rng(0))
    except ImportError as problem:
        raise CannotCheck("To tell rows apart takes scikit-learn.", remedy="Install watchkeeper[server], or leave out --together.") from problem


def _matrix(rows: pa.Table, columns: list[ColumnBins]) -> Floats:
    """Rows as numbers, of shape (rows, columns). Null is NaN."""
    return np.column_stack([_numbers(rows[column.name], column) for column in columns]) if columns else np.zeros((len(rows), 0))


def _numbers(cells: pa.ChunkedArray, column: ColumnBins) -> Floats:
    if column.kind == "number":
        return np.asarray(cells.cast(pa.float64()).to_numpy(), dtype=np.float64)
    places = column.place_of(cells.cast(pa.string())).astype(np.float64)
    return np.where(places == column.null_place, np.nan, places)
