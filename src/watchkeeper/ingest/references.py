"""The reference of a model's columns: which one is in force, and periods of the log that people accept as one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet

from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.history.actors import Actor
from watchkeeper.history.services import record
from watchkeeper.ingest.columns import COUNTED_AGAIN, are_made_of, reference_baseline
from watchkeeper.ingest.dirty import Of, days_with_rows, mark_all_days
from watchkeeper.ingest.models import ProfileBins
from watchkeeper.registry.models import Baseline, RegisteredModel
from watchkeeper.telemetry.days import DAY, local_day

MOST_DAYS = 366


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What columns are compared with: `None` stands for the model's own first weeks. `is_waiting`: another one was chosen and is being counted."""

    baseline: Baseline | None
    is_waiting: bool


@transaction.atomic
def accept_period(model: RegisteredModel, *, first: date, last: date, actor: Actor, now: datetime) -> Baseline:
    """The rows of these days become the reference of the version in use, until another period is accepted or a training sends reference rows."""
    zone = ZoneInfo(model.timezone)
    if not first <= last < local_day(now, zone):
        raise InvalidInput(f"{first} to {last} is no period that is over.", remedy="Give a first day, and a last day not before it and before today.")
    if last - first >= timedelta(days=MOST_DAYS):
        raise InvalidInput(f"A period of {(last - first).days + 1} days is too long.", remedy=f"Give at most {MOST_DAYS} days.")
    if not any(first <= day <= last for day in days_with_rows(model.id, zone, since=first)):
        raise Conflict(f"{model.name} has no predictions from {first} to {last}.", remedy="Give days that the log has.")
    version = model.versions.order_by("-is_current", "-deployed_at", "-created_at").first()
    if version is None:
        raise Conflict(f"{model.name} has no version yet.", remedy="Send a training, or name the version in predictions.")
    before = _accepted(model).filter(version=version).first()
    baseline, _ = Baseline.objects.update_or_create(
        version=version, role=Baseline.Role.ACCEPTED, defaults={"first_day": first, "last_day": last, "created_at": now}
    )
    mark_all_days(model.id, of=Of.COLUMNS, begin=local_day(now, zone) - COUNTED_AGAIN, zone=zone, now=now)
    record(
        actor=actor,
        action="accepted a period",
        on="version",
        id=version.id,
        model=model.id,
        now=now,
        before=_period(before) if before else None,
        after=_period(baseline),
    )
    return baseline


@transaction.atomic
def take_back_period(model: RegisteredModel, *, actor: Actor, now: datetime) -> None:
    """The reference is again what it was before a period was accepted."""
    baseline = _accepted(model).order_by("-created_at").first()
    if baseline is None:
        raise Conflict(f"No period of {model.name} is accepted.", remedy="There is nothing to take back.")
    before, version, zone = _period(baseline), baseline.version, ZoneInfo(model.timezone)
    baseline.delete()
    mark_all_days(model.id, of=Of.COLUMNS, begin=local_day(now, zone) - COUNTED_AGAIN, zone=zone, now=now)
    record(actor=actor, action="took a period back", on="version", id=version.id, model=model.id, now=now, before=before)


def reference_of(model: RegisteredModel) -> Reference:
    bins = ProfileBins.objects.filter(model=model).select_related("baseline__version").order_by("-number").first()
    is_waiting = bins is not None and not are_made_of(bins, reference_baseline(model.id))
    return Reference(baseline=bins.baseline if bins else None, is_waiting=is_waiting)


def usual_period(model: RegisteredModel, *, now: datetime) -> tuple[date, date]:
    """The last four weeks that are over, which a form proposes."""
    last = local_day(now, ZoneInfo(model.timezone)) - DAY
    return last - 27 * DAY, last


def _accepted(model: RegisteredModel) -> QuerySet[Baseline]:
    return Baseline.objects.filter(version__model=model, role=Baseline.Role.ACCEPTED)


def _period(baseline: Baseline) -> dict[str, str]:
    return {"first": str(baseline.first_day), "last": str(baseline.last_day)}
