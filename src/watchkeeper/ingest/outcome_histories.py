"""Stored outcomes of models, read as the history that risks judge. Most of a year is never looked at, and is read only when it is."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import groupby, starmap
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet, TextField, Window
from django.db.models.functions import Cast, DenseRank

from watchkeeper.analysis.outcomes import LEARN_DAYS, LOOKED_BACK, OutcomeHistory, SegmentHistory
from watchkeeper.history.bulk import Joined, prepared
from watchkeeper.ingest.dirty import zones_of
from watchkeeper.ingest.models import OutcomeProfile
from watchkeeper.ingest.outcome_tables import EMPTY, WIDTHS, unpack_table
from watchkeeper.ingest.validation import validations_of
from watchkeeper.telemetry.days import DAY, day_starts, local_day
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes, Floats

_READ_AT_FIRST = timedelta(days=21)  # of a model: risks seldom look at days of before, but for the first weeks
_TOGETHER = 30  # days


def outcome_histories(models: Collection[UUID], *, now: datetime, back: timedelta = LOOKED_BACK) -> dict[UUID, OutcomeHistory]:
    """The closed days of each model, all rows together: the first 28 and those of the time asked for."""
    return {id: OutcomeHistory(**found) for id, found in _histories(models, now, back).items()}


def segment_histories(models: Collection[UUID], *, now: datetime, back: timedelta = LOOKED_BACK) -> dict[UUID, SegmentHistory]:
    """The same with the days of every segment."""
    validations = validations_of(models)
    found = _histories(models, now, back, validated=validations)
    segments = _segments({id: entry["ends"] for id, entry in found.items()}, _looked_at_since(now, back))
    return {id: SegmentHistory(**entry, segments=segments[id], validations=validations.get(id, {})) for id, entry in found.items()}


class Stored(NamedTuple):
    """A row of OutcomeProfile, its tables still packed."""

    model: UUID
    kind: str
    version: str
    day: date
    field: str
    segment: str
    rows: int
    labelled: int
    classes: str  # JSON
    delays: bytes
    bad: float | None
    valid: float | None
    cells: bytes = EMPTY

    def outcomes(self, packed: _Cells | None = None) -> DayOutcomes:
        """What was counted, as it was counted. `packed` has the cells when they are not among what was read."""
        found = StoredOutcomes.__new__(StoredOutcomes)  # __init__ asks for the tables
        found.__dict__ = {
            "version": self.version,
            "day": self.day,
            "field": self.field,
            "segment": self.segment,
            "rows": self.rows,
            "labelled": self.labelled,
            "judged": None if self.bad is None or self.valid is None else (self.bad, self.valid),
            "_stored": self,
            "_packed": packed,
        }
        return found


class StoredOutcomes(DayOutcomes):
    """A day whose tables are unpacked when they are asked for: of most days of a year they never are."""

    _stored: Stored
    _packed: _Cells | None

    @cached_property
    def cells(self) -> Floats:
        packed = self._packed.of(self.day, self.version) if self._packed else self._stored.cells
        return unpack_table(bytes(packed), WIDTHS[OutcomeKind(self._stored.kind)])

    @cached_property
    def delays(self) -> Floats:
        return unpack_table(bytes(self._stored.delays), 3)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return tuple(json.loads(self._stored.classes))


_WITHOUT_CELLS = ("model", "kind", "version", "day", "field", "segment", "rows", "labelled", Cast("classes", TextField()), "delays", "bad", "valid")
STORED = (*_WITHOUT_CELLS, "cells")


@prepared
def _stored_wholes(models: Collection[UUID], since: date) -> QuerySet[OutcomeProfile, Any]:  # Any: values of columns
    """All rows of a day together. Not in order: a database would carry the tables through a sort."""
    return OutcomeProfile.objects.filter(model__among=models, field="", day__since=since).values_list(*_WITHOUT_CELLS)


@prepared
def _stored_first(models: Collection[UUID], until: date) -> QuerySet[OutcomeProfile, Any]:  # Any: values of columns
    """Those of each model's first weeks. Asked for with the others in one query, SQLite would look at the rows of all models."""
    counted = OutcomeProfile.objects.filter(model__among=models, field="", day__until=until)
    place = Window(DenseRank(), partition_by="model", order_by="day")
    first = counted.annotate(place=place).filter(place__lte=LEARN_DAYS).values("id")  # ids alone: the window would carry the tables through a sort
    return OutcomeProfile.objects.filter(id__in=first).values_list(*_WITHOUT_CELLS)


@prepared
def _stored_cells(models: Collection[UUID], days: Collection[date]) -> QuerySet[OutcomeProfile, Any]:  # Any: values of columns
    return OutcomeProfile.objects.filter(model__among=models, field="", day__among=days).values_list("model", "day", "version", "cells")


@prepared
def _stored_segments(models: Collection[UUID], days: Collection[date]) -> QuerySet[OutcomeProfile, Any]:  # Any: values of columns
    return OutcomeProfile.objects.filter(model__among=models, day__among=days).exclude(field="").values_list(*STORED)


@prepared
def _segment_days(models: Collection[UUID]) -> QuerySet[OutcomeProfile, Any]:  # Any: values of columns
    """Which segments have which days, as one text: a row of each day would cost more than all else that is read."""
    counted = OutcomeProfile.objects.filter(model__among=models).exclude(field="")
    return counted.values_list("model", "field", "segment").annotate(days=Joined(Cast("day", TextField()))).order_by("model_id")


class _Unread:
    """Days of a model that were not read yet, and the few to read together when one of them is asked for."""

    def __init__(self, days: Iterable[date]) -> None:
        self._days = set(days)

    def take_with(self, day: date) -> Collection[date]:
        if day not in self._days:
            return ()
        together = {other for other in self._days if other.toordinal() // _TOGETHER == day.toordinal() // _TOGETHER}
        self._days -= together
        return together


class _Cells:
    """The cells of a model's days, all rows together, still packed."""

    def __init__(self, model: UUID, unread: Iterable[date]) -> None:
        self._model, self._unread = model, _Unread(unread)
        self._read: dict[tuple[date, str], bytes] = {}

    def add(self, day: date, version: str, packed: bytes) -> None:
        self._read[day, version] = packed

    def of(self, day: date, version: str) -> bytes:
        """Those of no rows when the day was counted again meanwhile, and the version is no more."""
        if together := self._unread.take_with(day):
            for _, *row in _stored_cells([self._model], together):
                self.add(*row)
        return self._read.get((day, version), EMPTY)


class _SegmentRows:
    """The rows of all segments of a model, tables still packed."""

    def __init__(self, model: UUID, unread: Iterable[date]) -> None:
        self._model, self._unread = model, _Unread(unread)
        self._read: dict[tuple[date, str, str], list[Stored]] = {}

    def add(self, stored: Stored) -> None:
        self._read.setdefault((stored.day, stored.field, stored.segment), []).append(stored)

    def of(self, day: date, field: str, segment: str) -> Sequence[Stored]:
        if together := self._unread.take_with(day):
            for row in starmap(Stored, _stored_segments([self._model], together)):
                self.add(row)
        return self._read.get((day, field, segment), ())


class _StoredDays(Mapping[date, Sequence[DayOutcomes]]):
    """The days of a segment, each unpacked when it is asked for: of a year most never are."""

    def __init__(self, rows: _SegmentRows, field: str, segment: str, days: Collection[date]) -> None:
        self._rows, self._field, self._segment, self._days = rows, field, segment, days
        self._unpacked: dict[date, Sequence[DayOutcomes]] = {}

    def __getitem__(self, day: date) -> Sequence[DayOutcomes]:
        if day not in self._unpacked:
            if day not in self._days:
                raise KeyError(day)
            self._unpacked[day] = [stored.outcomes() for stored in self._rows.of(day, self._field, self._segment)]
        return self._unpacked[day]

    def __contains__(self, day: object) -> bool:
        return day in self._days

    def __iter__(self) -> Iterator[date]:
        return iter(self._days)

    def __len__(self) -> int:
        return len(self._days)


def _looked_at_since(now: datetime, back: timedelta) -> date:
    """For more than the usual time all is read at once: all will be looked at."""
    return date.min if back > LOOKED_BACK else (now - _READ_AT_FIRST).date()


def _near(ends: Mapping[UUID, Collection[date]], since: date) -> set[date]:
    """The first weeks of each model and what is since a day."""
    return {day for days in ends.values() for place, day in enumerate(days) if place < LEARN_DAYS or day >= since}


def _cells(ends: Mapping[UUID, Collection[date]], since: date) -> dict[UUID, _Cells]:
    near = _near(ends, since)
    cells = {id: _Cells(id, set(days) - near) for id, days in ends.items()}
    for id, day, version, packed in _stored_cells(ends, near):
        cells[id].add(day, version, packed)
    return cells


def _segments(ends: Mapping[UUID, Mapping[date, datetime]], since: date) -> dict[UUID, dict[str, dict[str, _StoredDays]]]:
    """Of each model and its days: the segments by field, those first that came first."""
    near = _near(ends, since)
    rows = {id: _SegmentRows(id, days.keys() - near) for id, days in ends.items()}
    for row in starmap(Stored, _stored_segments(ends, near)):
        rows[row.model].add(row)
    found: dict[UUID, dict[str, dict[str, _StoredDays]]] = {id: {} for id in ends}
    for model, places in groupby(_segment_days(ends), key=itemgetter(0)):
        known, days = {day.isoformat(): day for day in ends[model]}, {}
        alike: dict[str, list[date]] = {}  # most segments are there on the same days
        for _, field, segment, joined in places:
            if joined not in alike:
                alike[joined] = [known[text] for text in sorted(set(joined.split(","))) if text in known]
            if of_segment := alike[joined]:
                days[field, segment] = of_segment
        for field, segment in sorted(days, key=lambda name: (days[name][0], name)):
            found[model].setdefault(field, {})[segment] = _StoredDays(rows[model], field, segment, dict.fromkeys(days[field, segment]))
    return found


def _histories(
    models: Collection[UUID], now: datetime, back: timedelta, *, validated: Collection[UUID] = ()
) -> dict[UUID, dict[str, Any]]:  # Any: the fields of OutcomeHistory
    """Of `validated` models the kind is told though no label came: they have scores to estimate from."""
    zones = zones_of(models)
    today = {id: local_day(now, zone) for id, zone in zones.items()}
    since = (now - back).date()
    read = starmap(Stored, (*_stored_first(models, since - DAY), *_stored_wholes(models, since)))
    stored = sorted(read, key=attrgetter("model", "day", "version"))
    closed = {id: [row for row in rows if row.day < today[id]] for id, rows in groupby(stored, key=attrgetter("model"))}
    ends = {id: {day: day_starts(day + DAY, zones[id]) for day in dict.fromkeys(row.day for row in rows)} for id, rows in closed.items()}
    cells = _cells(ends, _looked_at_since(now, back))
    found: dict[UUID, dict[str, Any]] = {id: {"now": now, "kind": None, "days": (), "ends": {}} for id in models}  # Any: as above
    for id, rows in closed.items():
        kinds = [row.kind for row in rows if row.labelled or id in validated]
        found[id] = {
            "now": now,
            "kind": OutcomeKind(kinds[-1]) if kinds else None,
            "days": tuple(row.outcomes(cells[id]) for row in rows),
            "ends": ends[id],
        }
    return found
