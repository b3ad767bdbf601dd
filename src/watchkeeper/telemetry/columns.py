"""Column profiles: additive counts of every column per version and day of the model's own clock, computed from the log. Does not store them.

One grouped count per column: as fast as one scan for all of them, and its memory does not grow with rows or columns (TELEMETRY.md §1).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import date, tzinfo
from uuid import UUID

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchkeeper.telemetry.bins import (
    FINE,
    FIRST,
    INFINITE,
    NULL,
    OVER_BINS,
    OVER_MAXIMUM,
    UNDER_BINS,
    UNDER_MINIMUM,
    ColumnBins,
    ColumnCounts,
    Layout,
    count_groups,
)
from watchkeeper.telemetry.days import Run, Wanted, floor, ibis_kind, read, rows_of_days, runs_of
from watchkeeper.telemetry.derived import VectorMeasure, as_double
from watchkeeper.telemetry.engines import Engine, Query, Reading
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.vector_counts import FetchVectors, batch_rows, count_vectors, vector_layouts
from watchkeeper.wire import Stream

_INFINITE = -5
_OUTSIDE = (NULL, INFINITE, OVER_MAXIMUM, OVER_BINS, UNDER_BINS, UNDER_MINIMUM)  # codes -6 to -1
_PLACES = np.array([*range(FIRST, FIRST + FINE), FIRST + FINE - 1, *_OUTSIDE], dtype=np.int64)  # by code: x = high is in the last bin

Ints = NDArray[np.int64]
Places = dict[tuple[str, date], int]
FETCH_AT_MOST = 12_000_000  # values: 96 MB of numbers
ROWS_AT_MOST = 500_000  # of those that are read: texts may be long
NUMBERS_AT_ONCE = 4_000_000  # of vectors: 32 MB


@dataclass(frozen=True, kw_only=True, eq=False)
class DayProfile:
    """What the rows of one version on one day look like."""

    version: str
    day: date
    counts: ColumnCounts


@dataclass(frozen=True)
class CountRows:
    """Rows of [first, end) of the first table, by version and day since `first`."""

    last_only: bool = False

    def __call__(self, log: ir.Table, *_: ir.Table) -> ir.Table:
        return rows_of_days(log, self.last_only).group_by("version", "day").agg(n=ibis._.count())


@dataclass(frozen=True)
class FetchRows:
    """The rows themselves, with version and day: few are counted faster here than by a query for each column.

    Of `flags` only whether they are filled: true, or null.
    """

    names: tuple[str, ...]
    last_only: bool = False
    flags: tuple[str, ...] = ()

    def __call__(self, log: ir.Table) -> ir.Table:
        flags = {name: ibis.ifelse(log[name].isnull(), None, True) for name in self.flags}
        rows = rows_of_days(log, self.last_only, **{name: log[name] for name in self.names}, **flags)
        return rows.select("version", "day", *self.names, *self.flags)


@dataclass(frozen=True)
class CountNumbers:
    """The same by the code of a number, with Σx and Σx²: 0 to 256 from `low` to `high`, negative outside the bins (`_OUTSIDE`)."""

    column: ColumnBins
    last_only: bool = False
    by_version: bool = True

    def __call__(self, log: ir.Table) -> ir.Table:
        derived = self.column.derived
        assert not isinstance(derived, VectorMeasure)
        x = derived.expression(log) if derived else as_double(log[self.column.name])
        rows = rows_of_days(log, self.last_only, by_version=self.by_version, x=x)
        coded = rows.mutate(code=_code(rows.x, self.column))
        return coded.group_by(*_keys(self), "code").agg(n=coded.count(), s=coded.x.sum(), ss=(coded.x * coded.x).sum())


@dataclass(frozen=True)
class CountLevels:
    """The same by the level of a category."""

    name: str
    last_only: bool = False
    by_version: bool = True

    def __call__(self, log: ir.Table) -> ir.Table:
        rows = rows_of_days(log, self.last_only, by_version=self.by_version, level=log[self.name].cast("string"))
        return rows.group_by(*_keys(self), "level").agg(n=rows.count())


@dataclass(frozen=True)
class CountFilled:
    """The same by whether the column is null."""

    name: str
    last_only: bool = False
    by_version: bool = True

    def __call__(self, log: ir.Table) -> ir.Table:
        rows = rows_of_days(log, self.last_only, by_version=self.by_version, code=log[self.name].isnull().cast("int16"))
        return rows.group_by(*_keys(self), "code").agg(n=rows.count())


def column_profiles(
    engine: Engine,
    log: TelemetryLog,
    model: UUID | str,
    layout: Layout,
    days: Collection[date],
    zone: tzinfo,
    *,
    last_only: bool,
    fetch_at_most: int = FETCH_AT_MOST,
    numbers_at_once: int = NUMBERS_AT_ONCE,
) -> list[DayProfile]:
    """Profiles of the days that have rows, by version and day. `last_only` counts each id once, as it was last received.

    Up to `fetch_at_most` values (and half a million rows) are read and counted here, more by a query for each column; of vectors `numbers_at_once`.
    """
    kinds = {field.name: ibis_kind(field.type) for field in log.schema(model, Stream.PREDICTIONS)}
    vectors = {name: part for name, part in vector_layouts(layout).items() if kinds.get(name, "").startswith("array")}
    wanted = Wanted(stream=Stream.PREDICTIONS, columns={name: kinds.get(name, "float64") for name in layout.reads})
    logged = [name for name in layout.reads if name in kinds]
    profiles: list[DayProfile] = []
    for run in runs_of(days, zone):

        def count(rows: Reading, run: Run = run) -> tuple[Places, list[ColumnCounts]]:
            places, counted = _counted(layout, run, rows, logged, last_only, fetch_at_most)
            for name, part in vectors.items() if places else ():
                with closing(rows.batches(FetchVectors(name, last_only), rows=batch_rows(part, numbers_at_once))) as batches:
                    found = count_vectors(part, name, run, places, batches)
                for whole, more in zip(counted, found, strict=True):
                    _put(layout, whole, part, more)
            return places, counted

        places, counted = read(engine, log, model, run, wanted, take=count) or ({}, [])
        profiles += [DayProfile(version=version, day=day, counts=counted[place]) for (version, day), place in sorted(places.items())]
    return profiles


def _counted(
    layout: Layout, run: Run, rows: Reading, logged: Collection[str], last_only: bool, fetch_at_most: int
) -> tuple[Places, list[ColumnCounts]]:
    """The counts of each version and day, and their places among them. Of vectors only whether they are there."""
    flags = [column.name for column in layout.columns if column.kind == "presence" and column.name in logged]
    lists = [column.derived.column for column in layout.columns if isinstance(column.derived, VectorMeasure)]
    names = [name for name in logged if name not in (*flags, *lists)]
    told = rows.run(CountRows(last_only))
    places, groups = run.groups(told)
    total = int(told["n"].to_numpy().sum())
    if total <= ROWS_AT_MOST and total * (len(names) + 1) <= fetch_at_most:
        fetched = rows.run(FetchRows(tuple(names), last_only, tuple(flags)))
        return places, count_groups(layout, fetched, run.places(fetched, places), len(places))
    totals = np.bincount(groups, weights=told["n"].to_numpy(), minlength=len(places)).astype(np.int64)
    return places, _count_each(layout, run, rows, logged, last_only, places, totals)


def _put(layout: Layout, counts: ColumnCounts, part: Layout, counted: ColumnCounts) -> None:
    """Counts of some columns in their places among all; rows that are not among them are null."""
    for index, column in enumerate(layout.columns):
        if column.name in part.slices:
            places = counts.counts[layout.slices[column.name]]
            places[:] = counted.counts[part.slices[column.name]]
            places[column.null_place] += counts.rows - counted.rows
            counts.sums[index] = counted.sums[part.columns.index(column)]


def _count_each(
    layout: Layout, run: Run, rows: Reading, logged: Collection[str], last_only: bool, places: Places, totals: Ints
) -> list[ColumnCounts]:
    """One grouped count per column: any number of rows in the same memory."""
    counts = np.zeros((len(places), layout.width), dtype=np.int64)
    sums = np.zeros((len(places), len(layout.columns), 2))
    versions = {version for version, _ in places}
    only = versions.pop() if len(versions) == 1 else None
    for index, column in enumerate(layout.columns):
        part = counts[:, layout.slices[column.name]]
        is_counted = any(name in logged for name in column.reads) and not isinstance(column.derived, VectorMeasure)
        table = rows.run(_query(column, last_only, by_version=only is None)) if is_counted else None
        if table is None:
            part[:, column.null_place] = totals
            continue
        groups = run.places(table, places, only)
        np.add.at(part, (groups, _table_places(column, table)), table["n"].to_numpy())
        if column.kind == "number":
            finite = table["code"].to_numpy() > _INFINITE
            for which, name in enumerate(("s", "ss")):
                np.add.at(sums[:, index, which], groups[finite], table[name].to_numpy(zero_copy_only=False)[finite].astype(np.float64))
    return [ColumnCounts(int(totals[place]), counts[place], sums[place]) for place in range(len(places))]


def _query(column: ColumnBins, last_only: bool, *, by_version: bool) -> Query:
    match column.kind:
        case "number":
            return CountNumbers(column, last_only, by_version)
        case "category":
            return CountLevels(column.name, last_only, by_version)
    return CountFilled(column.name, last_only, by_version)


def _keys(query: CountNumbers | CountLevels | CountFilled) -> tuple[str, ...]:
    return ("version", "day") if query.by_version else ("day",)


def _table_places(column: ColumnBins, table: pa.Table) -> Ints:
    if column.kind == "category":
        return column.place_of(table["level"])
    codes = table["code"].to_numpy().astype(np.int64)
    return np.asarray(_PLACES[codes] if column.kind == "number" else codes, dtype=np.int64)


def _code(x: ir.Value, column: ColumnBins) -> ir.Value:
    """Between first, then the rest: no clip and no masks, in the form that DuckDB runs fastest."""
    low, high = column.span
    scaled = ibis.greatest(x, column.low).ln() if column.is_log else x
    return ibis.cases(
        (x.between(column.low, column.high), floor((scaled - low) * (FINE / (high - low))).cast("int16")),
        (x.isinf(), -5),
        (x.isnan(), -6),
        (x < column.minimum, -1),
        (x < column.low, -2),
        (x > column.maximum, -4),
        (x > column.high, -3),
        else_=-6,
    ).cast("int16")
