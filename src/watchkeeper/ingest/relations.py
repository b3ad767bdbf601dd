"""Relations of a model's features with its labels: counted only for models whose pages somebody opened, from then on whenever outcomes are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from django.db import transaction

from watchkeeper.analysis.expected_errors import ErrorDays
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.analysis.relations import Related, Relations
from watchkeeper.core.settings import settings
from watchkeeper.ingest.columns import has_duplicates
from watchkeeper.ingest.dirty import Of, clear_marks, days_with_rows, due_days, mark_again, postpone, refresh_days
from watchkeeper.ingest.leasing import Follow, StillOurs
from watchkeeper.ingest.models import ProfileBins, RelationProfile, WantedRelations
from watchkeeper.ingest.outcome_histories import outcome_histories
from watchkeeper.ingest.outcomes import outcome_kind
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.telemetry.bins import Layout
from watchkeeper.telemetry.days import DAY, local_day
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.relations import (
    KINDS,
    SUMS,
    day_relations,
    pack_relations,
    prediction_bins,
    relation_layout,
    unpack_errors,
    unpack_relations,
)

STREAM = "relations"
FILLED = 120 * DAY  # how far back days are counted when relations become wanted, beside those of the reference


def want_relations(model: RegisteredModel, *, now: datetime) -> datetime | None:
    """Count the relations of this model from now on, and of the days that its pages show; since when. None where they cannot be: no numbers to relate."""
    if outcome_kind(model) not in KINDS:
        return None
    with transaction.atomic():
        wanted, is_new = WantedRelations.objects.get_or_create(model=model, defaults={"since": now, "bins": _bins(model.id)})
        if is_new:
            mark_again(model.id, _shown_days(model, now), of=Of.RELATIONS, now=now)
    return wanted.since


def refresh_relations(engine: Engine, telemetry: TelemetryLog, *, holder: str, now: datetime, follow: Follow, models: int = 20) -> int:
    """One round over the models with due days; returns the number of days done. `follow` is told in the transaction that clears them."""

    def work(model: UUID, still_ours: StillOurs) -> int:
        return _refresh_model(engine, telemetry, model, still_ours, now, follow)

    return refresh_days(Of.RELATIONS, work, holder=holder, now=now, models=models)


def related(model: RegisteredModel, history: OutcomeHistory, *, window: int, feature: str = "", now: datetime) -> Related | None:
    """The reference days of the history against its last `window` judged days, asked for with the first look. None where they cannot be related."""
    since = want_relations(model, now=now)
    if since is None:
        return None
    reference, current = history.periods.reference, history.periods.judged[-window:]
    return Related(
        since=since,
        reference_days=reference,
        current_days=current,
        reference=relations_of(model.id, reference, feature=feature),
        current=relations_of(model.id, current, feature=feature),
    )


def relations_of(model: UUID, days: Collection[date], *, feature: str = "") -> Relations:
    """What is counted of these days, all versions together: of one feature ("f.age") or of all."""
    bins = _bins(model)
    layout = _layout(bins) if bins else Layout(())
    chosen = Layout(tuple(column for column in layout.columns if feature in ("", column.name)))
    sums, found = np.zeros((len(SUMS), chosen.width)), set()
    if chosen.columns:
        stored = RelationProfile.objects.filter(bins=bins, day__in=days)
        for day, blob in stored.values_list("day", "sums").iterator():
            sums += unpack_relations(layout, bytes(blob), only=feature)
            found.add(day)
    return Relations(layout=chosen, days=tuple(sorted(found)), sums=sums)


def want_errors(histories: Mapping[UUID, OutcomeHistory], *, now: datetime) -> None:
    """The same for those of these models that are regressions. Those that are counted already stay as they are."""
    numbers = [id for id, history in histories.items() if history.kind is OutcomeKind.NUMBERS]
    known = WantedRelations.objects.filter(model__in=numbers).values("model")
    for model in RegisteredModel.objects.filter(id__in=numbers).exclude(id__in=known):
        want_relations(model, now=now)


def errors_of(histories: Mapping[UUID, OutcomeHistory]) -> dict[UUID, ErrorDays]:
    """What is counted of the days of these models by prediction, all versions together."""
    numbers = [id for id, history in histories.items() if history.kind is OutcomeKind.NUMBERS]
    newest = {bins.model_id: bins for bins in ProfileBins.objects.filter(model__in=numbers).order_by("number")}
    columns = {bins.pk: column for bins in newest.values() if (column := prediction_bins(Layout.from_json(bins.columns)))}
    sums: dict[int, dict[date, np.ndarray]] = {bins: {} for bins in columns}
    days = {day for id in numbers for day in histories[id].ends}
    stored = RelationProfile.objects.filter(bins__in=columns, day__in=days)
    for bins_id, day, blob in stored.values_list("bins", "day", "errors").iterator():
        if blob is not None:
            counted, of_bins = unpack_errors(columns[bins_id], bytes(blob)), sums[bins_id]
            of_bins[day] = of_bins[day] + counted if day in of_bins else counted
    return {id: ErrorDays(column=columns.get(newest[id].pk), sums=sums.get(newest[id].pk, {})) if id in newest else ErrorDays() for id in histories}


def _refresh_model(engine: Engine, telemetry: TelemetryLog, model_id: UUID, still_ours: StillOurs, now: datetime, follow: Follow) -> int:
    model, bins = RegisteredModel.objects.only("timezone", "problem_type").get(id=model_id), _bins(model_id)
    if bins is None:
        postpone(model_id, Of.RELATIONS, now=now)
        return 0
    _follow_bins(model, bins, now)
    kind, zone, dirty = outcome_kind(model), ZoneInfo(model.timezone), due_days(model_id, Of.RELATIONS, now=now)
    days, counted = [mark.day for mark in dirty], []
    said = prediction_bins(Layout.from_json(bins.columns)) if kind is OutcomeKind.NUMBERS else None
    if kind in KINDS and days:
        counted = day_relations(
            engine,
            telemetry,
            model_id,
            _layout(bins),
            OutcomeKind(kind),
            days,
            zone,
            label_days=settings().label_days,
            last_only=has_duplicates(model_id, days, zone),
            said=said,
        )
    with transaction.atomic():
        if not still_ours():
            return 0
        RelationProfile.objects.filter(bins=bins, day__in=days).delete()
        RelationProfile.objects.bulk_create(
            RelationProfile(
                bins=bins,
                version=entry.version[:200],
                day=entry.day,
                sums=pack_relations(entry.sums),
                errors=pack_relations(entry.errors) if said else None,
            )
            for entry in counted
        )
        clear_marks(dirty)
        follow(model_id, STREAM)
    return len(dirty)


def _follow_bins(model: RegisteredModel, bins: ProfileBins, now: datetime) -> None:
    """With new bins the days that pages show are counted again."""
    with transaction.atomic():
        if WantedRelations.objects.filter(model=model).exclude(bins=bins).update(bins=bins):
            mark_again(model.id, _shown_days(model, now), of=Of.RELATIONS, now=now)


def _shown_days(model: RegisteredModel, now: datetime) -> set[date]:
    zone = ZoneInfo(model.timezone)
    recent = days_with_rows(model.id, zone, since=local_day(now, zone) - FILLED)
    return recent | set(outcome_histories([model.id], now=now)[model.id].periods.reference)


def _bins(model: UUID) -> ProfileBins | None:
    """Those in force."""
    return ProfileBins.objects.filter(model=model).order_by("-number").first()


def _layout(bins: ProfileBins) -> Layout:
    return relation_layout(Layout.from_json(bins.columns))
