"""Measures of vectors counted per version and day. The vectors themselves are read, in batches: engines differ in what they know of lists, and a
matrix product here takes less time than reading them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import ibis.expr.types as ir
import pyarrow as pa

from watchkeeper.telemetry.bins import ColumnCounts, Layout, count_groups
from watchkeeper.telemetry.days import EVERY_ROW, Key, RowsOf, Run, rows_of_days
from watchkeeper.telemetry.derived import VectorMeasure


@dataclass(frozen=True)
class FetchVectors:
    """The vectors of one column, with what tells rows apart; rows that have one."""

    name: str
    of: RowsOf = EVERY_ROW

    def __call__(self, log: ir.Table) -> ir.Table:
        rows = rows_of_days(log, self.of, vector=log[self.name])
        return rows.filter(rows.vector.notnull()).select(*self.of.keys, "vector")


def vector_layouts(layout: Layout) -> Mapping[str, Layout]:
    """The measures of each vector column."""
    names = dict.fromkeys(column.derived.column for column in layout.columns if isinstance(column.derived, VectorMeasure))
    return {
        name: Layout(tuple(column for column in layout.columns if isinstance(column.derived, VectorMeasure) and column.derived.column == name))
        for name in names
    }


def batch_rows(layout: Layout, numbers: int) -> int:
    """How many rows of a vector column hold so many numbers."""
    dimension = max(column.derived.frame.dimension for column in layout.columns if isinstance(column.derived, VectorMeasure))
    return max(1, numbers // dimension)


def count_vectors(layout: Layout, name: str, run: Run, places: Mapping[Key, int], batches: Iterator[pa.RecordBatch]) -> Sequence[ColumnCounts]:
    """The measures in the rows of the batches, for each place."""
    found = [ColumnCounts.empty(layout) for _ in places]
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        counted = count_groups(layout, rows.select(["vector"]).rename_columns([name]), run.places(rows, places), len(places))
        found = [before + more for before, more in zip(found, counted, strict=True)]
    return found
