"""Rows of which several values at once are unusual: their share against the reference, and the columns that are to blame. Judges no limit."""

from __future__ import annotations

from collections.abc import Collection

from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.shares import ColumnShare, column_shares
from watchkeeper.telemetry.bins import FIRST, INFINITE, OVER_BINS, OVER_MAXIMUM, UNDER_BINS, UNDER_MINIMUM, ColumnBins
from watchkeeper.telemetry.derived import UnusualValues
from watchkeeper.telemetry.derived_bins import UNUSUAL

MOST_NAMED = 5


def counted_columns(history: ColumnHistory) -> tuple[str, ...]:
    """The columns of which values can be unusual; none where they are not counted."""
    column = history.columns.get(UNUSUAL)
    return column.reads if column else ()


def unusual_rows(history: ColumnHistory, *, least_values: int, window: int) -> ColumnShare | None:
    """The share of rows with so many unusual values in the last `window` days and in the reference; None when no day can be judged."""

    def places(column: ColumnBins) -> Collection[int]:
        return range(FIRST + least_values, OVER_MAXIMUM + 1)

    return next(iter(column_shares(history, [UNUSUAL], places, window=window)), None)


def most_unusual(history: ColumnHistory, *, alpha: float, window: int) -> tuple[str, ...]:
    """The columns whose own unusual values became more beyond chance: those that grew at least half as much as the one that grew most."""
    usual_levels = {name: frozenset(levels) for column in history.layout.columns for name, levels in _levels(column)}

    def places(column: ColumnBins) -> Collection[int]:
        if column.kind == "number":
            return UNDER_MINIMUM, UNDER_BINS, OVER_BINS, OVER_MAXIMUM, INFINITE
        rare = [place for place, level in enumerate(column.levels) if level not in usual_levels[column.name]]
        return *rare, len(column.levels) + 1

    names = [name for name in counted_columns(history) if name in history.columns]
    grown = [share for share in column_shares(history, names, places, window=window) if share.increase > 0 and share.p_value < alpha]
    return tuple(share.column for share in grown[:MOST_NAMED] if share.increase >= grown[0].increase / 2)


def _levels(column: ColumnBins) -> Collection[tuple[str, tuple[str, ...]]]:
    return column.derived.levels if isinstance(column.derived, UnusualValues) else ()
