"""Bins of a file's columns, and of what is reckoned from whole rows: how many of their values are unusual, what vectors measure. Judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watchkeeper.analysis.files import RowSource, sample
from watchkeeper.telemetry.bins import ColumnCounts, Layout, make_bins
from watchkeeper.telemetry.derived_bins import count_reference, unusual_bins, vector_bins

SAMPLE_ROWS = 50_000
VECTOR_ROWS = 10_000  # as many as a training sends: 50,000 long ones would take gigabytes


@dataclass(frozen=True, kw_only=True, eq=False)
class FileBins:
    """`derived` are counts of the derived columns that hold for other rows than those the bins were made of, each with its own layout."""

    layout: Layout
    derived: tuple[tuple[Layout, ColumnCounts], ...]

    def as_reference(self, counted: ColumnCounts) -> ColumnCounts:
        """The counts of all rows, of which the derived columns are not told by the rows that made them."""
        counts, sums = counted.counts.copy(), counted.sums.copy()
        index = {column.name: place for place, column in enumerate(self.layout.columns)}
        for layout, found in self.derived:
            for place, column in enumerate(layout.columns):
                counts[self.layout.slices[column.name]] = found.counts[layout.slices[column.name]]
                sums[index[column.name]] = found.sums[place]
        return ColumnCounts(counted.rows, counts, sums)


def file_bins(baseline: RowSource, kinds: Mapping[str, str]) -> FileBins:
    """Of the columns in `kinds`. A derived column whose name the file has for one of its own is left out."""
    vectors = {name: kind for name, kind in kinds.items() if kind == "vector"}
    rows = sample(baseline, {**kinds, **dict.fromkeys(vectors, "filled")}, limit=SAMPLE_ROWS)
    given = [(rows, unusual_bins(rows, rows.column_names))]
    if vectors:
        drawn = sample(baseline, vectors, limit=VECTOR_ROWS)
        given.append((drawn, vector_bins(drawn)))
    layouts = [(table, Layout(tuple(column for column in found if column.name not in kinds))) for table, found in given]
    return FileBins(
        layout=Layout((*make_bins(rows).columns, *(column for _, layout in layouts for column in layout.columns))),
        derived=tuple((layout, count_reference(layout, table)) for table, layout in layouts),
    )
