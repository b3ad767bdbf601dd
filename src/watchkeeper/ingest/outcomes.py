"""Outcome profiles of a model's days: predictions joined with their labels, counted again when either comes, replaced in one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from django.db import transaction
from django.db.models import Q, QuerySet, TextField, Window
from django.db.models.functions import Cast, DenseRank

from watchkeeper.analysis.outcomes import LEARN_DAYS, LOOKED_BACK, OutcomeHistory, SegmentHistory
from watchkeeper.analysis.service_levels import good_and_bad_of
from watchkeeper.core.settings import settings
from watchkeeper.history.bulk import Joined, prepared
from watchkeeper.ingest.columns import has_duplicates
from watchkeeper.ingest.dirty import (
    LATER,
    Of,
    clear_marks,
    days_with_rows,
    due_days,
    mark_all_days,
    mark_days,
    models_with_due_days,
    postpone,
    soon,
    zone_of,
    zones_of,
)
from watchkeeper.ingest.leasing import Follow, StillOurs, under_leases
from watchkeeper.ingest.models import LogColumn, NewLabels, OutcomeProfile, WantedRelations
from watchkeeper.ingest.outcome_tables import SEGMENT_FIELDS, WIDTHS, is_name, pack_table, unpack_table
from watchkeeper.ingest.validation import has_validation, validations_of
from watchkeeper.registry.models import ProblemType, RegisteredModel
from watchkeeper.telemetry.days import DAY, day_starts, local_day
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes, Floats, day_outcomes, days_of_labels
from watchkeeper.wire import Stream

STREAM = "outcomes"
_READ_AT_FIRST = timedelta(days=60)  # of segments: risks seldom look at days of before, but for the first weeks
_DECLARED = {
    ProblemType.BINARY: OutcomeKind.DECISIONS,
    ProblemType.MULTICLASS: OutcomeKind.CLASSES,
    ProblemType.REGRESSION: OutcomeKind.NUMBERS,
    ProblemType.FORECASTING: OutcomeKind.NUMBERS,
    ProblemType.RANKING: OutcomeKind.RANKINGS,
}


def are_outcomes_counted(model: UUID) -> bool:
    """From the first label on, or from the first validation rows: their scores are what an estimate is made of."""
    return has_labels(model) or has_validation(model)


def has_labels(model: UUID) -> bool:
    """Whether any label ever came, of a prediction or not."""
    return LogColumn.objects.filter(model=model, stream=Stream.LABELS, name="label").exists()


def mark_labels(model: UUID, table: pa.Table, zone: ZoneInfo, *, first: int, last: int, now: datetime) -> None:
    """Inside the caller's transaction: labels that tell their prediction's time mark its day; for the others the predictions are looked for."""
    told = table["prediction_timestamp"] if "prediction_timestamp" in table.column_names else pa.chunked_array([pa.nulls(len(table))])
    moments = pc.unique(pc.floor_temporal(told.drop_null().cast(pa.timestamp("us", "UTC")), unit="hour")).to_pylist()
    mark_days(model, {local_day(moment, zone) for moment in moments}, of=Of.OUTCOMES, batch=last, due=soon(now))
    if told.null_count or not OutcomeProfile.objects.filter(model=model).exists():
        mark, is_new = NewLabels.objects.get_or_create(model_id=model, defaults={"since": first, "batch": last, "due_at": soon(now)})
        if not is_new:
            mark.since, mark.batch = min(mark.since, first), last
            mark.save(update_fields=["since", "batch"])


def refresh_outcomes(engine: Engine, telemetry: TelemetryLog, *, holder: str, now: datetime, follow: Follow, models: int = 20) -> int:
    """One round over the models with due labels or days; returns the number of days done. `follow` is told in the transaction that clears them."""

    def work(model: UUID, still_ours: StillOurs) -> int:
        found = _look_for_predictions(engine, telemetry, model, still_ours, now)
        return found + _refresh_model(engine, telemetry, model, still_ours, now, follow)

    labelled = NewLabels.objects.filter(due_at__lte=now).values_list("model_id", flat=True)[:models]
    due = dict.fromkeys([*labelled, *models_with_due_days(Of.OUTCOMES, now=now, models=models)])
    seconds = 10 * settings().lease_seconds
    return under_leases(due, work, of=STREAM, holder=holder, now=now, seconds=seconds, after_failure=partial(_try_later, now=now))


def outcome_histories(models: Collection[UUID], *, now: datetime, back: timedelta = LOOKED_BACK) -> dict[UUID, OutcomeHistory]:
    """The closed days of each model, all rows together: the first 28 and those of the time asked for."""
    return {id: OutcomeHistory(**found) for id, found in _histories(models, now, back).items()}


def segment_histories(models: Collection[UUID], *, now: datetime, back: timedelta = LOOKED_BACK) -> dict[UUID, SegmentHistory]:
    """The same with the days of every segment. For more than the usual time all are read at once: all will be looked at."""
    validations = validations_of(models)
    found = _histories(models, now, back, validated=validations)
    since = date.min if back > LOOKED_BACK else (now - _READ_AT_FIRST).date()
    segments = _segments({id: entry["ends"] for id, entry in found.items()}, since)
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
    cells: bytes
    delays: bytes
    bad: float | None
    valid: float | None

    def outcomes(self) -> DayOutcomes:
        """What was counted, as it was counted."""
        found = StoredOutcomes.__new__(StoredOutcomes)  # __init__ asks for the tables
        vars(found).update(
            version=self.version,
            day=self.day,
            field=self.field,
            segment=self.segment,
            rows=self.rows,
            labelled=self.labelled,
            judged=None if self.bad is None or self.valid is None else (self.bad, self.valid),
            _stored=self,
        )
        return found


class StoredOutcomes(DayOutcomes):
    """A day whose tables are unpacked when they are asked for: of most days of a year they never are."""

    _stored: Stored

    @cached_property
    def cells(self) -> Floats:
        return unpack_table(bytes(self._stored.cells), WIDTHS[OutcomeKind(self._stored.kind)])

    @cached_property
    def delays(self) -> Floats:
        return unpack_table(bytes(self._stored.delays), 3)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return tuple(json.loads(self._stored.classes))


STORED = ("model", "kind", "version", "day", "field", "segment", "rows", "labelled", Cast("classes", TextField()), "cells", "delays", "bad", "valid")


@prepared
def _stored_wholes(models: Collection[UUID], since: date) -> QuerySet[OutcomeProfile, Any]:  # Any: values of columns
    """All rows of a day together: those of each model's first weeks and since a day."""
    counted = OutcomeProfile.objects.filter(model__among=models, field="")
    place = Window(DenseRank(), partition_by="model", order_by="day")
    first = counted.annotate(place=place).filter(place__lte=LEARN_DAYS).values("id")  # ids alone: the window would carry the tables through a sort
    return counted.filter(Q(day__since=since) | Q(id__in=first)).order_by("model_id", "day", "id").values_list(*STORED)


@prepared
def _stored_segments(models: Collection[UUID], days: Collection[date]) -> QuerySet[OutcomeProfile, Any]:  # Any: values of columns
    return OutcomeProfile.objects.filter(model__among=models, day__among=days).exclude(field="").values_list(*STORED)


@prepared
def _segment_days(models: Collection[UUID]) -> QuerySet[OutcomeProfile, Any]:  # Any: values of columns
    """Which segments have which days, as one text: a row of each day would cost more than all else that is read."""
    counted = OutcomeProfile.objects.filter(model__among=models).exclude(field="")
    return counted.values_list("model", "field", "segment").annotate(days=Joined(Cast("day", TextField()))).order_by("model_id")


class _SegmentRows:
    """The rows of all segments of a model, tables still packed. Those of the days `unread` are read together when the first is asked for."""

    def __init__(self, model: UUID, unread: Collection[date]) -> None:
        self._model, self._unread = model, unread
        self._read: dict[tuple[date, str, str], list[Stored]] = {}

    def add(self, stored: Stored) -> None:
        self._read.setdefault((stored.day, stored.field, stored.segment), []).append(stored)

    def of(self, day: date, field: str, segment: str) -> Sequence[Stored]:
        if day in self._unread:
            unread, self._unread = self._unread, ()
            for row in _stored_segments([self._model], unread):
                self.add(Stored(*row))
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


def _segments(ends: Mapping[UUID, Mapping[date, datetime]], since: date) -> dict[UUID, dict[str, dict[str, _StoredDays]]]:
    """Of each model and its days: the segments by field, those first that came first. Read are the first weeks and what is since a day."""
    near = {day for days in ends.values() for place, day in enumerate(days) if place < LEARN_DAYS or day >= since}
    rows = {id: _SegmentRows(id, days.keys() - near) for id, days in ends.items()}
    for row in map(Stored._make, _stored_segments(ends, near)):
        rows[row.model].add(row)
    found: dict[UUID, dict[str, dict[str, _StoredDays]]] = {id: {} for id in ends}
    for model, places in groupby(_segment_days(ends), key=itemgetter(0)):
        known, days = {day.isoformat(): day for day in ends[model]}, {}
        for _, field, segment, joined in places:
            if of_segment := [known[text] for text in sorted(set(joined.split(","))) if text in known]:
                days[field, segment] = of_segment
        for field, segment in sorted(days, key=lambda name: (days[name][0], name)):
            found[model].setdefault(field, {})[segment] = _StoredDays(rows[model], field, segment, dict.fromkeys(days[field, segment]))
    return found


def _histories(
    models: Collection[UUID], now: datetime, back: timedelta, *, validated: Collection[UUID] = ()
) -> dict[UUID, dict[str, Any]]:  # Any: the fields of OutcomeHistory
    """Of `validated` models the kind is told though no label came: they have scores to estimate from."""
    zones = zones_of(models)
    found: dict[UUID, dict[str, Any]] = {id: {"now": now, "kind": None, "days": (), "ends": {}} for id in models}  # Any: as above
    for model, stored in groupby(map(Stored._make, _stored_wholes(models, (now - back).date())), key=attrgetter("model")):
        zone = zones[model]
        today = local_day(now, zone)
        closed = [row for row in stored if row.day < today]
        kinds = [row.kind for row in closed if row.labelled or model in validated]
        found[model] = {
            "now": now,
            "kind": OutcomeKind(kinds[-1]) if kinds else None,
            "days": tuple(row.outcomes() for row in closed),
            "ends": {day: day_starts(day + DAY, zone) for day in dict.fromkeys(row.day for row in closed)},
        }
    return found


def _look_for_predictions(engine: Engine, telemetry: TelemetryLog, model_id: UUID, still_ours: StillOurs, now: datetime) -> int:
    """Mark the days whose predictions got new labels; with a model's first labels all days."""
    mark = NewLabels.objects.filter(model=model_id, due_at__lte=now).first()
    if mark is None:
        return 0
    zone = zone_of(model_id)
    begin = local_day(now, zone) - settings().label_days * DAY
    is_first = not OutcomeProfile.objects.filter(model=model_id).exists()
    days: set[date] = set()
    if not is_first:
        candidates = days_with_rows(model_id, zone, since=begin)
        days = days_of_labels(engine, telemetry, model_id, mark.since, candidates, zone, label_days=settings().label_days)
    with transaction.atomic():
        if not still_ours():
            return 0
        if is_first:
            mark_all_days(model_id, of=Of.OUTCOMES, begin=begin, zone=zone, now=now)
        else:
            mark_days(model_id, days, of=Of.OUTCOMES, batch=mark.batch, due=now)
        NewLabels.objects.filter(model=model_id, batch=mark.batch).delete()
    return 1


def _refresh_model(engine: Engine, telemetry: TelemetryLog, model_id: UUID, still_ours: StillOurs, now: datetime, follow: Follow) -> int:
    model = RegisteredModel.objects.only("timezone", "problem_type").get(id=model_id)
    kind, zone = outcome_kind(model), ZoneInfo(model.timezone)
    dirty = due_days(model_id, Of.OUTCOMES, now=now)
    if kind is None or not dirty:
        clear_marks(dirty)
        return 0
    days = [mark.day for mark in dirty]
    counted = day_outcomes(
        engine,
        telemetry,
        model_id,
        kind,
        segment_fields(model_id),
        days,
        zone,
        label_days=settings().label_days,
        last_only=has_duplicates(model_id, days, zone),
    )
    with transaction.atomic():
        if not still_ours():
            return 0
        replace_outcomes(model_id, kind, days, counted)
        clear_marks(dirty)
        if WantedRelations.objects.filter(model=model_id).exists():
            mark_days(model_id, days, of=Of.RELATIONS, batch=max(mark.batch for mark in dirty), due=now)
        if OutcomeProfile.objects.filter(model=model_id).exclude(kind=kind).exists():  # the problem is another one now
            OutcomeProfile.objects.filter(model=model_id).exclude(kind=kind).delete()
            mark_all_days(model_id, of=Of.OUTCOMES, begin=date.min + DAY, zone=zone, now=now)
        follow(model_id, STREAM)
    return len(dirty)


def replace_outcomes(model_id: UUID, kind: OutcomeKind, days: Sequence[date], counted: Sequence[DayOutcomes]) -> None:
    """What was counted of these days, in place of what is stored of them."""
    OutcomeProfile.objects.filter(model=model_id, day__in=days).delete()
    judged = good_and_bad_of(kind, [[entry] for entry in counted])
    OutcomeProfile.objects.bulk_create(
        OutcomeProfile(
            model_id=model_id,
            kind=kind,
            version=entry.version[:200],
            field=entry.field,
            segment=entry.segment,
            day=entry.day,
            rows=entry.rows,
            labelled=entry.labelled,
            classes=list(entry.classes),
            cells=pack_table(entry.cells),
            delays=pack_table(entry.delays),
            bad=of_day.bad,
            valid=of_day.valid,
        )
        for entry, of_day in zip(counted, judged, strict=True)
        if is_name(entry.field) and is_name(entry.segment)
    )


def outcome_kind(model: RegisteredModel) -> OutcomeKind | None:
    """As declared, else as the log looks; None without labels and validation rows, which only decisions have.

    Rows with query and rank are a ranking, numbers predicted and labelled are a regression unless scores are logged beside.
    """
    types = {(stream, name): kind for stream, name, kind in LogColumn.objects.filter(model=model).values_list("stream", "name", "type")}
    label, prediction = types.get((Stream.LABELS, "label")), types.get((Stream.PREDICTIONS, "prediction"))
    if label is None:
        may_decide = model.problem_type in ("", ProblemType.BINARY) and has_validation(model.id)
        return OutcomeKind.DECISIONS if may_decide else None
    is_ranked = label != "string" and {(Stream.PREDICTIONS, name) for name in ("query_id", "rank")} <= types.keys()
    has_score = (Stream.PREDICTIONS, "score") in types
    are_numbers = label == "double" and prediction == "double"
    declared = _DECLARED.get(ProblemType(model.problem_type))
    if declared is OutcomeKind.NUMBERS and not are_numbers:
        return OutcomeKind.CLASSES
    if declared is OutcomeKind.RANKINGS and not is_ranked:
        declared = None
    if declared:
        return declared
    if is_ranked:
        return OutcomeKind.RANKINGS
    if label == "boolean" or has_score:
        return OutcomeKind.DECISIONS
    return OutcomeKind.NUMBERS if are_numbers else OutcomeKind.CLASSES


def segment_fields(model_id: UUID) -> list[str]:
    names = LogColumn.objects.filter(model=model_id, stream=Stream.PREDICTIONS, name__startswith="s.").order_by("id")
    return [name.removeprefix("s.") for name in names.values_list("name", flat=True)[:SEGMENT_FIELDS]]


def _try_later(model_id: UUID, *, now: datetime) -> None:
    postpone(model_id, Of.OUTCOMES, now=now)
    NewLabels.objects.filter(model=model_id, due_at__lte=now).update(due_at=now + LATER)
