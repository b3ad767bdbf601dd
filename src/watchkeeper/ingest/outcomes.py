"""Outcome profiles of a model's days: predictions joined with their labels, counted again when either comes, replaced in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from django.db import transaction

from watchkeeper.analysis.service_levels import good_and_bad_of
from watchkeeper.core.settings import settings
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
)
from watchkeeper.ingest.leasing import Follow, StillOurs, under_leases
from watchkeeper.ingest.models import LogColumn, NewLabels, OutcomeProfile, WantedRelations
from watchkeeper.ingest.outcome_tables import SEGMENT_FIELDS, is_name, pack_table
from watchkeeper.ingest.validation import has_validation
from watchkeeper.registry.models import ProblemType, RegisteredModel
from watchkeeper.telemetry.days import DAY, local_day
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes, day_outcomes, days_of_labels
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
