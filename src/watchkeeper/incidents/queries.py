"""Reads of incidents. An incident is visible where its model is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from watchkeeper import risks
from watchkeeper.accounts.models import Person
from watchkeeper.core.errors import NotFound
from watchkeeper.incidents.causes import Cause
from watchkeeper.incidents.models import MANY_SEGMENTS, Incident, PlanStep, TimelineEntry
from watchkeeper.monitoring.conditions import COUNTS_IN_LIGHT, ERRORS_UNTIL_TOLD
from watchkeeper.monitoring.models import ConditionRow
from watchkeeper.monitoring.rehearsal import Trouble
from watchkeeper.registry.models import RegisteredModel


def incidents_for(person: Person, *, state: str = "", model: UUID | None = None, assignee: UUID | None = None, text: str = "") -> QuerySet[Incident]:
    """Newest first. `state` "open" means not resolved, as people mean it."""
    found = Incident.objects.filter(model__in=RegisteredModel.objects.visible_to(person)).select_related("model__unit", "binding", "assignee")
    if state == "open":
        found = found.exclude(state=Incident.State.RESOLVED)
    elif state:
        found = found.filter(state=state)
    if model:
        found = found.filter(model=model)
    if assignee:
        found = found.filter(assignee=assignee)
    if text:
        found = found.filter(model__name__icontains=text)
    return found.order_by("-opened_at", "-number")


def incident_for(person: Person, number: int) -> Incident:
    """The incident, if the person may see its model; otherwise it does not exist for them."""
    found = (
        incidents_for(person)
        .select_related("binding__policy_version__policy", "acknowledged_by", "resolved_by", "previous")
        .filter(number=number)
        .first()
    )
    if found is None:
        raise NotFound("No such incident.", remedy="GET /api/v1/incidents lists the incidents you may see.")
    return found


def open_incidents(models: Collection[UUID]) -> dict[UUID, list[Incident]]:
    """What is open on many models, most critical first."""
    found: dict[UUID, list[Incident]] = {}
    ordered = Incident.objects.filter(model__in=models, kind=Incident.Kind.RISK).exclude(state=Incident.State.RESOLVED)
    for incident in ordered.select_related("binding").order_by("-criticality", "opened_at"):
        found.setdefault(incident.model_id, []).append(incident)
    return found


def is_firing(incident: Incident) -> bool:
    conditions = ConditionRow.objects.filter(binding=incident.binding_id)
    if incident.kind == Incident.Kind.PLATFORM:
        return conditions.filter(errors__gte=ERRORS_UNTIL_TOLD).exists()
    segments = incident.parts if incident.segment == MANY_SEGMENTS else [incident.segment]
    return conditions.filter(segment__in=segments, state__in=COUNTS_IN_LIGHT).exists()


class Opened(NamedTuple):
    """An open incident in the row of a board; its state in untranslated words."""

    number: int
    state: str


def first_open(models: Collection[UUID]) -> dict[UUID, Opened]:
    """The most critical open incident of many models."""
    ordered = Incident.objects.filter(model__in=models, kind=Incident.Kind.RISK).exclude(state=Incident.State.RESOLVED)
    found: dict[UUID, Opened] = {}
    for model, number, state in ordered.order_by("-criticality", "opened_at").values_list("model_id", "number", "state"):
        found.setdefault(model, Opened(number, Incident.State(state).label))
    return found


def open_number(visible: QuerySet[RegisteredModel]) -> int:
    """How many incidents are not resolved: the count in the navigation."""
    shown = Exists(visible.order_by().filter(id=OuterRef("model_id")))
    return Incident.objects.filter(shown).exclude(state=Incident.State.RESOLVED).count()


@dataclass(frozen=True)
class Seen:
    """How often this risk had an incident before, in all segments."""

    times: int


def seen_before(incident: Incident) -> Seen:
    earlier = Incident.objects.filter(binding=incident.binding_id, kind=incident.kind, opened_at__lt=incident.opened_at)
    return Seen(earlier.aggregate(times=Count("number"))["times"])


def models_hit(person: Person, *, since: datetime) -> dict[str, int]:
    """How many of the visible models each type of risk hit since a moment."""
    found = Incident.objects.filter(model__in=RegisteredModel.objects.visible_to(person), kind=Incident.Kind.RISK, opened_at__gte=since)
    return dict(found.values_list("binding__type").annotate(models=Count("model", distinct=True)))


def troubles(model: UUID, *, since: datetime) -> list[Trouble]:
    """Incidents that were open after a moment and that nobody called a false alarm, oldest first; only those of what the model did."""
    found = Incident.objects.filter(Q(resolved_at=None) | Q(resolved_at__gt=since), model=model, kind=Incident.Kind.RISK)
    found = found.exclude(cause=Cause.RULE_WRONG).exclude(how=Incident.How.NOT_RELEVANT).order_by("true_since", "number")
    rows = found.values_list("number", "binding__type", "true_since", "opened_at", "resolved_at")
    return [
        Trouble(number=number, type=type, start=start, opened_at=opened_at, end=end)
        for number, type, start, opened_at, end in rows
        if type not in risks.catalogue() or risks.get(type).needs.tells_of_data
    ]


@dataclass(frozen=True)
class Standing:
    """What is open over many models. `cost_per_day` sums what is known; None when nothing is."""

    open: int
    not_acknowledged: int
    without_cost: int
    cost_per_day: Decimal | None


def standing(models: QuerySet[RegisteredModel]) -> Standing:
    # EXISTS looks at the models of open incidents; IN would list all models first, ten thousand for a handful of incidents
    shown = Exists(models.order_by().filter(id=OuterRef("model_id")))
    found = Incident.objects.filter(shown, kind=Incident.Kind.RISK).exclude(state=Incident.State.RESOLVED)
    sums = found.aggregate(
        open=Count("number"),
        not_acknowledged=Count("number", filter=Q(state=Incident.State.OPEN)),
        without_cost=Count("number", filter=Q(cost_per_day=None)),
        cost_per_day=Sum("cost_per_day"),
    )
    return Standing(**sums)


def steps_of(numbers: Collection[int]) -> dict[int, list[PlanStep]]:
    """The plans of many incidents, in order."""
    found: dict[int, list[PlanStep]] = {}
    for step in PlanStep.objects.filter(incident__in=numbers).select_related("done_by").order_by("position"):
        found.setdefault(step.incident_id, []).append(step)
    return found


def step_of(incident: Incident, position: int) -> PlanStep:
    found = PlanStep.objects.select_related("incident__model").filter(incident=incident, position=position).first()
    if found is None:
        raise NotFound(f"The plan of incident {incident.number} has no step {position}.", remedy="Reload the page: the plan may have changed.")
    return found


def timeline_of(incident: Incident) -> list[TimelineEntry]:
    """Newest first."""
    return list(incident.timeline.order_by("-at", "-id"))


def choices() -> dict[str, list[tuple[str, str]]]:
    """Stored values of an incident with their untranslated words."""
    return {"how": list(Incident.How.choices), "cause": list(Cause.choices)}
