"""Reads of lights, bindings and conditions, as typed values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from watchkeeper import risks
from watchkeeper.accounts.models import Person, Unit
from watchkeeper.core.errors import NotFound
from watchkeeper.core.text import Text
from watchkeeper.monitoring.conditions import State
from watchkeeper.monitoring.effective import effective_of, plan_of
from watchkeeper.monitoring.light import Light
from watchkeeper.monitoring.models import ConditionRow, LightChange, ModelLight, Policy, RiskBinding
from watchkeeper.registry.models import RegisteredModel, Stage
from watchkeeper.risks import RiskType

WORST_FIRST = {State.FIRING: 0, State.RECOVERING: 1, State.PENDING: 2, State.OK: 3}


@dataclass(frozen=True)
class BoundRisk:
    """A binding with its type and conditions, worst segment first."""

    binding: RiskBinding
    type: RiskType
    conditions: tuple[ConditionRow, ...]

    @property
    def worst(self) -> ConditionRow | None:
        return self.conditions[0] if self.conditions else None

    @property
    def state(self) -> str:
        return self.worst.state if self.worst else State.OK

    @property
    def data(self) -> str:
        return self.worst.data if self.worst else "insufficient"

    @property
    def is_counted(self) -> bool:
        return self.state in (State.FIRING, State.RECOVERING)

    @property
    def is_known(self) -> bool:
        return self.data == "fresh"

    @property
    def explanation(self) -> Text:
        return Text.from_json(self.worst.explanation if self.worst else None)

    @property
    def plan(self) -> list[str]:
        return plan_of(self.binding)

    @property
    def effective(self) -> Mapping[str, Any]:  # Any: JSON
        return effective_of(self.binding).as_json()

    @property
    def sources(self) -> Mapping[str, str]:
        return effective_of(self.binding).sources


def bound_risks(model: UUID) -> list[BoundRisk]:
    """All risks of a model: what fires first, then by criticality; the ones switched off (criticality 0) last."""
    bindings = list(RiskBinding.objects.filter(model=model, removed_at=None).select_related("policy_version__policy"))
    rows: dict[UUID, list[ConditionRow]] = defaultdict(list)
    for row in ConditionRow.objects.filter(binding__in=bindings).order_by("segment"):
        rows[row.binding_id].append(row)
    bound = [
        BoundRisk(binding, risks.get(binding.type), tuple(sorted(rows[binding.id], key=lambda row: WORST_FIRST[State(row.state)])))
        for binding in bindings
        if binding.type in risks.catalogue()
    ]
    return sorted(bound, key=lambda risk: (risk.binding.criticality == 0, WORST_FIRST[State(risk.state)], -risk.binding.criticality, risk.type.title))


def binding_of(model: RegisteredModel, id: UUID | str) -> RiskBinding:
    try:
        return RiskBinding.objects.select_related("policy_version__policy", "model").get(model=model, id=UUID(str(id)), removed_at=None)
    except (ValueError, RiskBinding.DoesNotExist):
        raise NotFound("No such risk on this model.", remedy="GET /api/v1/models/{id}/status lists its risks.") from None


def light_of(model: UUID) -> ModelLight | None:
    return ModelLight.objects.filter(model=model).first()


def light_at(model: UUID, at: datetime) -> LightChange | None:
    """The light of a past moment, with the causes it had then."""
    return LightChange.objects.filter(model=model, at__lte=at).order_by("-at", "-id").first()


def light_changes(models: Collection[UUID], *, since: datetime) -> dict[UUID, list[tuple[datetime, str]]]:
    """Changes since a moment, oldest first, preceded by the light that held at that moment (if any)."""
    changes: dict[UUID, list[tuple[datetime, str]]] = defaultdict(list)
    for model_id in models:
        before = LightChange.objects.filter(model=model_id, at__lt=since).order_by("-at", "-id").values_list("light", flat=True).first()
        if before:
            changes[model_id].append((since, before))
    found = LightChange.objects.filter(model__in=models, at__gte=since).order_by("at", "id").values_list("model_id", "at", "light")
    for model_id, at, light in found:
        changes[model_id].append((at, light))
    return changes


@dataclass(frozen=True)
class BoardFilter:
    """What the board shows. Empty means all; retired models only when asked for by stage."""

    unit: Unit | None = None
    light: str = ""
    owner: UUID | None = None
    tier: int | None = None
    text: str = ""
    stage: str = ""


def board(person: Person, chosen: BoardFilter) -> QuerySet[RegisteredModel]:
    """Models a person may see, worst light first. `light_now`, `score` and `light_since` are annotated."""
    found = RegisteredModel.objects.visible_to(person).select_related("unit", "light")
    found = found.filter(stage=chosen.stage) if chosen.stage else found.exclude(stage=Stage.RETIRED)
    if chosen.unit:
        found = found.filter(unit__path__startswith=chosen.unit.path)
    if chosen.owner:
        found = found.filter(Q(ownerships__person=chosen.owner) | Q(ownerships__team__members=chosen.owner)).distinct()
    if chosen.tier:
        found = found.filter(tier=chosen.tier)
    if chosen.text:
        found = found.filter(
            Q(name__icontains=chosen.text) | Q(unit__name__icontains=chosen.text) | Q(purpose__icontains=chosen.text)
            | Q(id__in=RegisteredModel.objects.filter(data_sources__address__icontains=chosen.text).values("id"))
            | Q(id__in=RegisteredModel.objects.filter(ownerships__person__name__icontains=chosen.text).values("id"))
        )
    found = found.annotate(light_now=Coalesce("light__light", Value(Light.GREY.value)), score=Coalesce("light__score", Value(0)), light_since=F("light__since"))
    if chosen.light:
        found = found.filter(light_now=chosen.light)
    return found.order_by("-score", "light_now", "name")


def tallies(models: QuerySet[RegisteredModel]) -> dict[str, int]:
    """Number of models per light."""
    counts = dict.fromkeys((light.value for light in Light), 0)
    lights = dict(ModelLight.objects.filter(model__in=models.values("id")).values_list("model_id", "light"))
    for model_id in models.values_list("id", flat=True):
        counts[lights.get(model_id, Light.GREY.value)] += 1
    return counts


def firing(models: Collection[UUID]) -> dict[UUID, list[BoundRisk]]:
    """What fires on many models, highest criticality first: the board's reasons."""
    rows = ConditionRow.objects.filter(binding__model__in=models, state__in=(State.FIRING, State.RECOVERING), binding__removed_at=None)
    found: dict[UUID, dict[UUID, BoundRisk]] = defaultdict(dict)
    for row in rows.select_related("binding__policy_version__policy").order_by("-binding__criticality", "segment"):
        if row.binding.criticality and row.binding.type in risks.catalogue():
            found[row.binding.model_id].setdefault(row.binding_id, BoundRisk(row.binding, risks.get(row.binding.type), (row,)))
    return {model: list(entries.values()) for model, entries in found.items()}


def policies(person: Person) -> QuerySet[Policy]:
    """All policies: names and limits are no secret inside a company."""
    return Policy.objects.select_related("unit").prefetch_related("versions").order_by("name")


def policy_version(reference: str) -> Any:  # Any: PolicyVersion; kept short for callers
    """A policy by "name@version", or its newest version by name."""
    name, _, number = reference.partition("@")
    policy = Policy.objects.filter(name=name).first()
    versions = policy.versions.order_by("-number") if policy else None
    found = versions.filter(number=number).first() if versions and number.isdigit() else versions.first() if versions and not number else None
    if found is None:
        raise NotFound(f"No policy {reference!r}.", remedy="Write name or name@version; GET /api/v1/policies lists them.")
    return found
