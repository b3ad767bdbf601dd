"""Days of a model's own clock: their bounds in UTC, the rows of the log that lie in them, and how an engine is asked about them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from itertools import repeat
from typing import TypeVar
from uuid import UUID

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchkeeper.telemetry.engines import Engine, FilesGone, Query, Reading, Source
from watchkeeper.telemetry.log import PARTITION, TelemetryLog
from watchkeeper.telemetry.times import MICROSECOND
from watchkeeper.wire import Stream

Taken = TypeVar("Taken")
Key = tuple[str, date, str]  # version, day, part of the day (empty: all of it)

DAY = timedelta(days=1)
COLUMNS: Mapping[str, str] = {"id": "string", "timestamp": "timestamp", "batch": "int64", "row": "int32", "version": "string"}

HOUR = timedelta(hours=1)

_DAY_MICROS = 86_400_000_000
_HOUR_MICROS = 3_600_000_000
_READS = 3  # a compaction and a vacuum may take the files away between listing and reading


class Cut(StrEnum):
    """The parts of a day that are counted by themselves: all of it, its hours, or the runs of a batch model."""

    DAY = "day"
    HOUR = "hour"
    RUN = "run"


@dataclass(frozen=True)
class RowsOf:
    """Which rows: of an id only the last received, when asked; and what they are told apart by, beside the day."""

    last_only: bool = False
    by_version: bool = True
    cut: Cut = Cut.DAY

    @property
    def keys(self) -> tuple[str, ...]:
        return (*(("version",) if self.by_version else ()), "day", *(("part",) if self.cut is not Cut.DAY else ()))


EVERY_ROW = RowsOf()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A stream's columns to read besides those that every row has, of the days around the run that are asked for."""

    stream: Stream
    columns: Mapping[str, str]
    before: timedelta = timedelta(0)
    after: timedelta = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Days that follow each other, with the UTC bounds of all: what one query is about."""

    days: tuple[date, ...]
    first: datetime
    end: datetime

    @property
    def is_utc(self) -> bool:
        """Whether its days are dates in UTC."""
        return self.first == day_starts(self.days[0], UTC) and self.end == day_starts(self.days[-1] + DAY, UTC)

    def day(self, index: int) -> date:
        """The day of a row by its whole days since `first`. A day of 25 hours is a run of its own: its late hours are still its."""
        return self.days[min(index, len(self.days) - 1)]

    def groups(self, answer: pa.Table) -> tuple[dict[Key, int], NDArray[np.int64]]:
        """A place for each version, day and part of a query's answer, and the place of each of its rows."""
        codes, names, parts = self._codes(answer, None)
        found, places = np.unique(codes, return_inverse=True)
        keys = (
            (names[code // len(parts) // len(self.days)], self.days[code // len(parts) % len(self.days)], parts[code % len(parts)])
            for code in found.tolist()
        )
        return {key: place for place, key in enumerate(keys)}, np.asarray(places, dtype=np.int64)

    def places(self, answer: pa.Table, of: Mapping[Key, int], version: str | None = None) -> NDArray[np.int64]:
        """The place of each row of another answer about the same rows; `version` is that of all rows of one that names none."""
        codes, names, parts = self._codes(answer, version)
        return np.array([of.get((name, day, part), -1) for name in names for day in self.days for part in parts], dtype=np.int64)[codes]

    def _codes(self, answer: pa.Table, version: str | None) -> tuple[NDArray[np.int64], list[str], list[str]]:
        """Version, day and part of each row as one number, and the names of the versions and parts."""
        versions = (pa.repeat(version, len(answer)) if version is not None else answer["version"].combine_chunks()).dictionary_encode()
        parts = (answer["part"].combine_chunks() if "part" in answer.column_names else pa.repeat("", len(answer))).dictionary_encode()
        days = np.minimum(answer["day"].to_numpy(), len(self.days) - 1)
        codes = versions.indices.to_numpy().astype(np.int64) * len(self.days) + days
        return codes * len(parts.dictionary) + parts.indices.to_numpy(), versions.dictionary.to_pylist(), parts.dictionary.to_pylist()

    def keys(self, answer: pa.Table, version: str | None = None) -> Iterator[tuple[str, date]]:
        """Version and day of each row of a query's answer; `version` is that of all rows of an answer that names none."""
        versions = answer["version"].to_pylist() if version is None else repeat(version, len(answer))
        return zip(versions, map(self.day, answer["day"].to_pylist()), strict=True)


def local_day(at: datetime, zone: tzinfo) -> date:
    return at.astimezone(zone).date()


def day_starts(day: date, zone: tzinfo) -> datetime:
    """The UTC time at which a day begins on the clock of a zone."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def runs_of(days: Collection[date], zone: tzinfo) -> Iterator[Run]:
    """Days that follow each other and have 24 hours, together; each other day by itself."""
    run: list[date] = []
    for day in sorted(days):
        is_usual = day_starts(day + DAY, zone) - day_starts(day, zone) == DAY
        if run and not (is_usual and day == run[-1] + DAY and day_starts(day, zone) - day_starts(run[-1], zone) == DAY):
            yield _run(run, zone)
            run = []
        run.append(day)
        if not is_usual:
            yield _run(run, zone)
            run = []
    if run:
        yield _run(run, zone)


def rows_of_days(log: ir.Table, of: RowsOf, **wanted: ir.Value) -> ir.Table:
    """The rows of [first, end) with what is wanted of them and what tells them apart. The part is the id of the run, or whole hours since `first`.

    Where the days are dates in UTC, as the log's folders are, the time of each row need not be read for them: a third of a count.
    """
    if of.last_only:
        received = log.batch.cast("int64") * 2**31 + log.row
        kept = received == received.max().over(group_by=id_key(log))
        wanted = wanted | {"kept": kept}
    micros = log.timestamp.delta(log["first"], unit="us")  # exact, and three times as fast as seconds since 1970
    at, first, end = log.timestamp, log["first"], log["end"]
    if PARTITION in log.columns:
        at, first, end = log[PARTITION], first.date(), end.date()
    told = {"day": at.delta(first, unit="day").cast("int32") if PARTITION in log.columns else floor(micros / _DAY_MICROS).cast("int32")}
    if of.by_version:
        told["version"] = log.version.fill_null("")
    if of.cut is Cut.HOUR:
        told["part"] = floor(micros / _HOUR_MICROS).cast("int32").cast("string")
    elif of.cut is Cut.RUN:
        told["part"] = log.run_id.fill_null("")
    within = log.select(**told, inside=(at >= first) & (at < end), **wanted)
    within = within.filter(within.inside)
    return within.filter(within.kept) if of.last_only else within


def id_key(rows: ir.Table) -> ir.Value:
    """64 bits of the id, by which rows are joined in less time and memory than by its text (docs/decisions/0016)."""
    return rows.id.hash()


@ibis.udf.scalar.builtin(name="floor", signature=(("float64",), "float64"))  # type: ignore[untyped-decorator]  # Ibis has no types
def floor(x: float) -> float:  # type: ignore[empty-body]  # the engine's own
    """As a double: Ibis' own goes to whole numbers of 64 bits first, which takes a seventh of the time of a count."""


def read(engine: Engine, log: TelemetryLog, model: UUID | str, run: Run, *wanted: Wanted, take: Callable[[Reading], Taken]) -> Taken | None:
    """What `take` makes of the rows of a run; None when the log has no file of the first stream there.

    It begins anew when files were compacted away meanwhile.
    """
    for attempt in range(_READS):
        sources = [_source(log, model, run, stream, by_date=run.is_utc and not place) for place, stream in enumerate(wanted)]
        if not sources[0].files:
            return None
        try:
            with engine.reading(*sources, moments={"first": run.first, "end": run.end}) as rows:
                return take(rows)
        except FilesGone:
            if attempt == _READS - 1:
                raise
    raise AssertionError("unreachable")


def ask(engine: Engine, log: TelemetryLog, model: UUID | str, query: Query, run: Run, *wanted: Wanted) -> pa.Table | None:
    """The answer of one query."""
    return read(engine, log, model, run, *wanted, take=lambda rows: rows.run(query))


def logged_kind(schema: pa.Schema, column: str) -> str:
    """The Ibis type of a column that the log may lack: all null, it is as good as text."""
    return ibis_kind(schema.field(column).type) if column in schema.names else "string"


def ibis_kind(given: pa.DataType) -> str:
    """The Ibis type of a column of the log."""
    if pa.types.is_timestamp(given):
        return "timestamp"
    if pa.types.is_boolean(given):
        return "boolean"
    if pa.types.is_string(given) or pa.types.is_large_string(given):
        return "string"
    if pa.types.is_list(given) or pa.types.is_large_list(given):
        return "array<float64>"
    return "float64"


def _source(log: TelemetryLog, model: UUID | str, run: Run, wanted: Wanted, *, by_date: bool) -> Source:
    first, last = _shifted(run.first, -wanted.before), _shifted(run.end - MICROSECOND, wanted.after)
    return Source(
        files=log.files(model, wanted.stream, first, last), columns={**COLUMNS, **({PARTITION: "date"} if by_date else {}), **wanted.columns}
    )


def _shifted(at: datetime, by: timedelta) -> date:
    try:
        return (at + by).date()
    except OverflowError:
        return date.max if by > timedelta(0) else date.min


def _run(days: list[date], zone: tzinfo) -> Run:
    return Run(days=tuple(days), first=day_starts(days[0], zone), end=day_starts(days[-1] + DAY, zone))
