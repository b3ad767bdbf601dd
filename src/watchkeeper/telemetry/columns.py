"""Column profiles: additive counts of every column per version and day of the model's own clock (its hours, or the runs of a batch model), computed from
the log. Does not store them.

One grouped count per column: as fast as one scan for all of them, and its memory does not grow with rows or columns (TELEMETRY.md §1).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
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
from watchkeeper.telemetry.days import EVERY_ROW, HOUR, Cut, Key, RowsOf, Run, Wanted, floor, ibis_kind, read, rows_of_days, runs_of
from watchkeeper.telemetry.derived import VectorMeasure, as_double
from watchkeeper.telemetry.engines import Engine, Query, Reading
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.vector_counts import FetchVectors, batch_rows, count_vectors, vector_layouts
from watchkeeper.wire import Stream

_INFINITE = -5
_OUTSIDE = (NULL, INFINITE, OVER_MAXIMUM, OVER_BINS, UNDER_BINS, UNDER_MINIMUM)  # codes -6 to -1
_PLACES = np.array([*range(FIRST, FIRST + FINE), FIRST + FINE - 1, *_OUTSIDE], dtype=np.int64)  # by code: x = high is in the last bin

Ints = NDArray[np.int64]
Places = dict[Key, int]
FETCH_AT_MOST = 12_000_000  # values: 96 MB of numbers
ROWS_AT_MOST = 500_000  # of those that are read: texts may be long
NUMBERS_AT_ONCE = 4_000_000  # of vectors: 32 MB
LAST = datetime.max.replace(tzinfo=UTC)
MOST_PARTS = 100  # of a day; one of more runs is counted as a whole


@dataclass(frozen=True, kw_only=True, eq=False)
class DayProfile:
    """What the rows of one version on one day look like, or in a part of it: the start of an hour or the id of a run, and when it was over."""

    version: str
    day: date
    counts: ColumnCounts
    part: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True)
class CountRows:
    """Rows of [first, end) of the first table, by what tells them apart; of runs also the last moment, in microseconds since `first`,
    and no more of them than tell that they are too many."""

    of: RowsOf = EVERY_ROW

    def __call__(self, log: ir.Table, *_: ir.Table) -> ir.Table:
        if self.of.cut is not Cut.RUN:
            return rows_of_days(log, self.of).group_by(*self.of.keys).agg(n=ibis._.count())
        rows = rows_of_days(log, self.of, at=log.timestamp.delta(log["first"], unit="us"))
        return rows.group_by(*self.of.keys).agg(n=rows.count(), last=rows["at"].max()).limit(MOST_PARTS + 1)


@dataclass(frozen=True)
class FetchRows:
    """The rows themselves, with what tells them apart: few are counted faster here than by a query for each column.

    Of `flags` only whether they are filled: true, or null.
    """

    names: tuple[str, ...]
    of: RowsOf = EVERY_ROW
    flags: tuple[str, ...] = ()

    def __call__(self, log: ir.Table) -> ir.Table:
        flags = {name: ibis.ifelse(log[name].isnull(), None, True) for name in self.flags}
        rows = rows_of_days(log, self.of, **{name: log[name] for name in self.names}, **flags)
        return rows.select(*self.of.keys, *self.names, *self.flags)


@dataclass(frozen=True)
class CountNumbers:
    """The same by the code of a number, with Σx and Σx²: 0 to 256 from `low` to `high`, negative outside the bins (`_OUTSIDE`)."""

    column: ColumnBins
    of: RowsOf = EVERY_ROW

    def __call__(self, log: ir.Table) -> ir.Table:
        derived = self.column.derived
        assert not isinstance(derived, VectorMeasure)
        x = derived.expression(log) if derived else as_double(log[self.column.name])
        rows = rows_of_days(log, self.of, x=x)
        coded = rows.mutate(code=_code(rows.x, self.column))
        return coded.group_by(*self.of.keys, "code").agg(n=coded.count(), s=coded.x.sum(), ss=(coded.x * coded.x).sum())


@dataclass(frozen=True)
class CountLevels:
    """The same by the level of a category."""

    name: str
    of: RowsOf = EVERY_ROW

    def __call__(self, log: ir.Table) -> ir.Table:
        rows = rows_of_days(log, self.of, level=log[self.name].cast("string"))
        return rows.group_by(*self.of.keys, "level").agg(n=rows.count())


@dataclass(frozen=True)
class CountFilled:
    """The same by whether the column is null."""

    name: str
    of: RowsOf = EVERY_ROW

    def __call__(self, log: ir.Table) -> ir.Table:
        rows = rows_of_days(log, self.of, code=log[self.name].isnull().cast("int16"))
        return rows.group_by(*self.of.keys, "code").agg(n=rows.count())


def column_profiles(
    engine: Engine,
    log: TelemetryLog,
    model: UUID | str,
    layout: Layout,
    days: Collection[date],
    zone: tzinfo,
    *,
    last_only: bool,
    cut: Cut = Cut.DAY,
    fetch_at_most: int = FETCH_AT_MOST,
    numbers_at_once: int = NUMBERS_AT_ONCE,
) -> list[DayProfile]:
    """Profiles of the days that have rows, by version and day, or by its parts. `last_only` counts each id once, as it was last received.

    Up to `fetch_at_most` values (and half a million rows) are read and counted here, more by a query for each column; of vectors `numbers_at_once`.
    """
    kinds = {field.name: ibis_kind(field.type) for field in log.schema(model, Stream.PREDICTIONS)}
    vectors = {name: part for name, part in vector_layouts(layout).items() if kinds.get(name, "").startswith("array")}
    columns = {name: kinds.get(name, "float64") for name in layout.reads} | ({"run_id": "string"} if cut is Cut.RUN else {})
    wanted = Wanted(stream=Stream.PREDICTIONS, columns=columns)
    logged = [name for name in layout.reads if name in kinds]
    profiles: list[DayProfile] = []
    for run in runs_of(days, zone) if cut is Cut.DAY else (run for day in sorted(days) for run in runs_of([day], zone)):

        def count(rows: Reading, run: Run = run) -> tuple[_Told, list[ColumnCounts]]:
            told = _told(run, rows, RowsOf(last_only, cut=cut))
            counted = _counted(layout, run, rows, told, logged, fetch_at_most)
            for name, part in vectors.items() if told.places else ():
                with closing(rows.batches(FetchVectors(name, told.of), rows=batch_rows(part, numbers_at_once))) as batches:
                    found = count_vectors(part, name, run, told.places, batches)
                for whole, more in zip(counted, found, strict=True):
                    _put(layout, whole, part, more)
            return told, counted

        if found := read(engine, log, model, run, wanted, take=count):
            told, counted = found
            profiles += [_profile(key, counted[place], told, run, zone) for key, place in told.places.items()]
    return sorted(profiles, key=lambda profile: (profile.day, profile.version, profile.ended_at or LAST, profile.part))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Told:
    """Which rows there are: a place for each version, day and part, the rows of each place, and when its last one was made (of runs)."""

    of: RowsOf
    places: Places
    totals: Ints
    last: Ints


def _told(run: Run, rows: Reading, of: RowsOf) -> _Told:
    table = rows.run(CountRows(of))
    places, groups = run.groups(table)
    if of.cut is Cut.RUN and len(places) > MOST_PARTS:
        return _told(run, rows, replace(of, cut=Cut.DAY))
    totals, last = np.zeros(len(places), dtype=np.int64), np.zeros(len(places), dtype=np.int64)
    np.add.at(totals, groups, table["n"].to_numpy())
    if "last" in table.column_names:
        np.maximum.at(last, groups, table["last"].to_numpy())
    return _Told(of=of, places=places, totals=totals, last=last)


def _profile(key: Key, counts: ColumnCounts, told: _Told, run: Run, zone: tzinfo) -> DayProfile:
    version, day, part = key
    if told.of.cut is Cut.DAY:
        return DayProfile(version=version, day=day, counts=counts)
    if told.of.cut is Cut.RUN:
        ended_at = run.first + timedelta(microseconds=int(told.last[told.places[key]]))
        return DayProfile(version=version, day=day, counts=counts, part=part, ended_at=ended_at)
    start = run.first + int(part) * HOUR
    return DayProfile(version=version, day=day, counts=counts, part=_clock(start.astimezone(zone)), ended_at=start + HOUR)


def _clock(start: datetime) -> str:
    """An hour as its day names it; one that comes twice has a mark.

    >>> _clock(datetime(2026, 10, 25, 2)), _clock(datetime(2026, 10, 25, 2, fold=1))
    ('02:00', '02:00 (2)')
    """
    return f"{start:%H:%M}{' (2)' if start.fold else ''}"


def _counted(layout: Layout, run: Run, rows: Reading, told: _Told, logged: Collection[str], fetch_at_most: int) -> list[ColumnCounts]:
    """The counts at each place. Of vectors only whether they are there."""
    flags = [column.name for column in layout.columns if column.kind == "presence" and column.name in logged]
    lists = [column.derived.column for column in layout.columns if isinstance(column.derived, VectorMeasure)]
    names = [name for name in logged if name not in (*flags, *lists)]
    total = int(told.totals.sum())
    if total <= ROWS_AT_MOST and total * (len(names) + 1) <= fetch_at_most:
        fetched = rows.run(FetchRows(tuple(names), told.of, tuple(flags)))
        return count_groups(layout, fetched, run.places(fetched, told.places), len(told.places))
    return _count_each(layout, run, rows, told, logged)


def _put(layout: Layout, counts: ColumnCounts, part: Layout, counted: ColumnCounts) -> None:
    """Counts of some columns in their places among all; rows that are not among them are null."""
    for index, column in enumerate(layout.columns):
        if column.name in part.slices:
            places = counts.counts[layout.slices[column.name]]
            places[:] = counted.counts[part.slices[column.name]]
            places[column.null_place] += counts.rows - counted.rows
            counts.sums[index] = counted.sums[part.columns.index(column)]


def _count_each(layout: Layout, run: Run, rows: Reading, told: _Told, logged: Collection[str]) -> list[ColumnCounts]:
    """One grouped count per column: any number of rows in the same memory."""
    counts = np.zeros((len(told.places), layout.width), dtype=np.int64)
    sums = np.zeros((len(told.places), len(layout.columns), 2))
    versions = {version for version, _, _ in told.places}
    only = versions.pop() if len(versions) == 1 else None
    of = replace(told.of, by_version=only is None)
    for index, column in enumerate(layout.columns):
        part = counts[:, layout.slices[column.name]]
        is_counted = any(name in logged for name in column.reads) and not isinstance(column.derived, VectorMeasure)
        table = rows.run(_query(column, of)) if is_counted else None
        if table is None:
            part[:, column.null_place] = told.totals
            continue
        groups = run.places(table, told.places, only)
        np.add.at(part, (groups, _table_places(column, table)), table["n"].to_numpy())
        if column.kind == "number":
            finite = table["code"].to_numpy() > _INFINITE
            for which, name in enumerate(("s", "ss")):
                np.add.at(sums[:, index, which], groups[finite], table[name].to_numpy(zero_copy_only=False)[finite].astype(np.float64))
    return [ColumnCounts(int(told.totals[place]), counts[place], sums[place]) for place in range(len(told.places))]


def _query(column: ColumnBins, of: RowsOf) -> Query:
    match column.kind:
        case "number":
            return CountNumbers(column, of)
        case "category":
            return CountLevels(column.name, of)
    return CountFilled(column.name, of)


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
