"""Reads of lights, bindings and conditions, as typed values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum, Value, Window
from django.db.models.functions import Coalesce, RowNumber

from watchkeeper import risks
from watchkeeper.accounts.models import Person, Unit
from watchkeeper.core.errors import NotFound
from watchkeeper.core.text import Text
from watchkeeper.monitoring.conditions import State
from watchkeeper.monitoring.effective import effective_of, plan_of
from watchkeeper.monitoring.light import Light
from watchkeeper.monitoring.models import ConditionRow, FindingCount, LightChange, ModelLight, Policy, PolicyVersion, RiskBinding
from watchkeeper.registry.models import RegisteredModel, Stage
from watchkeeper.risks import RiskParams, RiskType

TURNED_BACK = 4  # how many are looked at for each that is shown: some lights turned and turned back
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
    """Changes since a moment, oldest first, preceded by the light that held at that moment (if any). Two queries for any number of models."""
    changes: dict[UUID, list[tuple[datetime, str]]] = defaultdict(list)
    rank = Window(RowNumber(), partition_by=[F("model")], order_by=[F("at").desc(), F("id").desc()])
    before = LightChange.objects.filter(model__in=models, at__lt=since).annotate(rank=rank).filter(rank=1)
    for model_id, light in before.values_list("model_id", "light"):
        changes[model_id].append((since, light))
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


BOARD_ORDER = ("-light__score", "-light__light", "name")  # grey before green: it cannot be judged


def board(person: Person, chosen: BoardFilter) -> QuerySet[RegisteredModel]:
    """Models a person may see, worst light first. `light_now`, `score` and `light_since` are annotated."""
    found = _lit(board_of(RegisteredModel.objects.visible_to(person), chosen)).select_related("unit", "light")
    return found.annotate(light_now=F("light__light"), score=F("light__score"), light_since=F("light__since")).order_by(*BOARD_ORDER)


def board_of(visible: QuerySet[RegisteredModel], chosen: BoardFilter) -> QuerySet[RegisteredModel]:
    """Those of the visible models that a board shows, in no order."""
    found = _chosen(visible, chosen)
    found = found.filter(stage=chosen.stage) if chosen.stage else found.exclude(stage=Stage.RETIRED)
    return found.filter(light__light=chosen.light) if chosen.light else found


def _lit(models: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    """Every model has a light from its registration on: joined, not looked up, the lights' index gives the order of a board."""
    return models.filter(light__isnull=False)


def _chosen(visible: QuerySet[RegisteredModel], chosen: BoardFilter) -> QuerySet[RegisteredModel]:
    """What the filter asks for, whatever its light and stage."""
    found = visible
    if chosen.unit:
        found = found.filter(unit__path__startswith=chosen.unit.path)
    if chosen.owner:
        owned = Q(ownerships__person=chosen.owner) | Q(ownerships__team__members=chosen.owner)
        found = found.filter(id__in=RegisteredModel.objects.filter(owned).values("id"))
    if chosen.tier:
        found = found.filter(tier=chosen.tier)
    if chosen.text:
        found = found.filter(
            Q(name__icontains=chosen.text)
            | Q(unit__name__icontains=chosen.text)
            | Q(purpose__icontains=chosen.text)
            | Q(id__in=RegisteredModel.objects.filter(data_sources__address__icontains=chosen.text).values("id"))
            | Q(id__in=RegisteredModel.objects.filter(ownerships__person__name__icontains=chosen.text).values("id"))
        )
    return found


class BoardLine(NamedTuple):
    """A model on the board: what its row shows of the model itself and its light."""

    id: UUID
    name: str
    stage: str
    unit_id: UUID
    light: str
    score: int
    since: datetime
    known: int
    total: int


def board_lines(models: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel, tuple[Any, ...]]:  # Any: the fields of a BoardLine
    """The board as plain rows, worst first, for a page of it: no objects of which a row shows a few fields."""
    found = _lit(models).order_by(*BOARD_ORDER)
    return found.values_list("id", "name", "stage", "unit_id", "light__light", "light__score", "light__since", "light__known", "light__total")


def tallies(models: QuerySet[RegisteredModel]) -> dict[str, int]:
    """Number of models per light, in one query."""
    found = _lit(models).values_list("light__light").annotate(number=Count("id"))
    return dict.fromkeys((light.value for light in Light), 0) | dict(found)


def unit_tallies(visible: QuerySet[RegisteredModel]) -> dict[UUID, dict[str, int]]:
    """Number of models per unit and light, retired ones left out.

    All models are counted from an index alone and only lights that are not green are looked at: what is left is green.
    """
    visible = visible.exclude(stage=Stage.RETIRED).order_by()
    counts: dict[UUID, dict[str, int]] = defaultdict(dict)
    for unit, number in visible.values_list("unit_id").annotate(number=Count("id")):
        counts[unit][Light.GREEN.value] = number
    found = visible.filter(light__light__in=[light for light in Light if light is not Light.GREEN])
    for unit, light, number in found.values_list("unit_id", "light__light").annotate(number=Count("id")):
        counts[unit][light] = number
        counts[unit][Light.GREEN.value] -= number
    return counts


@dataclass(frozen=True)
class Turn:
    """A model whose light is another one than at an earlier moment. `before` is empty for a model that is new since."""

    model_id: UUID
    name: str
    before: str
    after: str
    at: datetime


def turned_since(visible: QuerySet[RegisteredModel], chosen: BoardFilter, *, since: datetime) -> QuerySet[RegisteredModel]:
    """Models of a board whose light turned after a moment, even back to what it was; those retired since among them."""
    return _chosen(visible, chosen).filter(light__since__gt=since)


def first_turns(turned: QuerySet[RegisteredModel], *, since: datetime, limit: int) -> list[Turn]:
    """Some of those that are not back where they were, worst first: of very many the first by score are looked at."""
    found = turned.exclude(stage=Stage.RETIRED).order_by("-light__score", "name").values_list("id", "name", "light__light", "light__since")
    first = list(found[: limit * TURNED_BACK])
    changes = light_changes([row[0] for row in first], since=since)
    before = {model: entries[0][1] if entries[0][0] == since else "" for model, entries in changes.items()}
    return [Turn(id, name, before.get(id, ""), after, at) for id, name, after, at in first if before.get(id, "") != after][:limit]


@dataclass(frozen=True)
class Moves:
    """How many models turned since a moment, and how many more or fewer there are of each light."""

    turned: int
    by_light: Mapping[str, int]


def moves(turned: QuerySet[RegisteredModel], *, since: datetime) -> Moves:
    then = LightChange.objects.filter(model=OuterRef("pk"), at__lt=since).order_by("-at", "-id").values("light")[:1]
    found = turned.annotate(before=Coalesce(Subquery(then), Value(""))).values_list("before", "light__light", "stage")
    by_light: Counter[str] = Counter()
    count = 0
    for (before, after, stage), number in Counter(found).items():
        by_light[before] -= number
        if stage != Stage.RETIRED:
            by_light[after] += number
            count += number if before != after else 0
    return Moves(count, by_light)


@dataclass(frozen=True)
class Reason:
    """Why a light is what it is, for the row of a board: the worst of what fires, how many more there are, and what they are known to cost."""

    title: str
    explanation: Text
    more: int
    cost_per_day: Decimal | None


def reasons(models: Collection[UUID]) -> dict[UUID, Reason]:
    """The reasons of many models. A risk is counted once, however many of its segments fire."""
    rows = ConditionRow.objects.filter(
        binding__model__in=models, state__in=(State.FIRING, State.RECOVERING), binding__removed_at=None, binding__criticality__gt=0
    )
    wanted = ("binding__model_id", "binding_id", "binding__type", "explanation", "binding__cost_per_day")
    fires: dict[UUID, dict[UUID, tuple[str, Any, Decimal | None]]] = defaultdict(dict)  # Any: a stored Text
    for model, binding, type, explanation, cost in rows.order_by("-binding__criticality", "segment").values_list(*wanted):
        if type in risks.catalogue():
            fires[model].setdefault(binding, (type, explanation, cost))
    return {model: _reason(list(found.values())) for model, found in fires.items()}


def _reason(fires: Sequence[tuple[str, Any, Decimal | None]]) -> Reason:  # Any: a stored Text
    type, explanation, _cost = fires[0]
    costs = [cost for _type, _explanation, cost in fires if cost is not None]
    return Reason(title_of(type), Text.from_json(explanation), len(fires) - 1, sum(costs, Decimal(0)) if costs else None)


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


def policy_by(id: UUID | str) -> Policy:
    found = Policy.objects.select_related("unit").prefetch_related("versions").filter(id=UUID(str(id))).first()
    if found is None:
        raise NotFound("No such policy.", remedy="The page of policies lists them.")
    return found


def versions_of(policy: Policy) -> list[PolicyVersion]:
    """Newest first."""
    return list(policy.versions.order_by("-number"))


def pins(policy: Policy, *, seen_by: Person) -> dict[int, list[RiskBinding]]:
    """Which bindings of visible models pin which version of a policy."""
    pinned: dict[int, list[RiskBinding]] = defaultdict(list)
    visible = RegisteredModel.objects.visible_to(seen_by)
    found = RiskBinding.objects.filter(policy_version__policy=policy, removed_at=None, model__in=visible).select_related("model", "policy_version")
    for binding in found.order_by("model__name"):
        if binding.policy_version:
            pinned[binding.policy_version.number].append(binding)
    return dict(pinned)


def usual_costs(person: Person) -> dict[str, Decimal]:
    """The middle of the costs per day that visible models give to each type of risk: a hint where nobody knows yet."""
    costs: dict[str, list[Decimal]] = defaultdict(list)
    visible = RegisteredModel.objects.visible_to(person)
    found = RiskBinding.objects.filter(model__in=visible, removed_at=None, cost_per_day__isnull=False).values_list("type", "cost_per_day")
    for type, cost in found:
        if cost is not None:
            costs[type].append(cost)
    return {type: median(entries) for type, entries in costs.items()}


def evaluation_totals(day: date) -> dict[str, int]:
    """Evaluations of a day by outcome, over all models."""
    sums = FindingCount.objects.filter(day=day).aggregate(**{name: Sum(name) for name in ("quiet", "fired", "unknown", "failed")})
    return {name: count or 0 for name, count in sums.items()}


def lights_by_model() -> list[tuple[UUID, str, str]]:
    found = ModelLight.objects.filter(model__retired_at=None).order_by("model__name")
    return list(found.values_list("model_id", "model__name", "light"))


def title_of(type: str) -> str:
    """The title of a risk type; its key when the plugin is gone."""
    return risks.catalogue()[type].title if type in risks.catalogue() else type


def light_log(model: UUID, *, since: datetime) -> list[tuple[datetime, str, list[Text]]]:
    """Changes of light with the explanations of what fired then, newest first."""
    found = LightChange.objects.filter(model=model, at__gte=since).order_by("-at", "-id")
    return [(change.at, change.light, [Text.from_json(cause["explanation"]) for cause in change.causes]) for change in found]


def params_of(bound: Iterable[BoundRisk], key: str) -> RiskParams:
    """How a model's own risk of this type judges, else its defaults: what a page says is what the risk says."""
    risk = next((risk for risk in bound if risk.binding.type == key), None)
    kind = risks.get(key)
    return kind.parse_params(risk.effective) if risk else kind.params()
