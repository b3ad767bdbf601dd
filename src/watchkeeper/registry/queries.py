"""Reads of the registry, as typed values for the layers above. Models a person may not see are not found here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from watchkeeper.accounts import rights
from watchkeeper.accounts.models import Person, Team, Unit
from watchkeeper.accounts.rights import Ability
from watchkeeper.accounts.tokens import Token, same_digest
from watchkeeper.core.errors import NotAllowed, NotFound
from watchkeeper.core.evidence import CurrentVersion, DeclaredMetric, Link, Passport
from watchkeeper.history.bulk import prepared, prepared_objects
from watchkeeper.registry.models import (
    Baseline,
    DataSource,
    IntegrationToken,
    Kind,
    LinkCheck,
    Metric,
    ModelVersion,
    Ownership,
    ProblemType,
    RegisteredModel,
    Stage,
    Stakeholder,
    Tier,
    Window,
)


def model_for(person: Person, id: UUID | str) -> RegisteredModel:
    """The model, if the person may see it; otherwise it does not exist for them."""
    try:
        return RegisteredModel.objects.visible_to(person).select_related("unit").get(id=UUID(str(id)))
    except (ValueError, RegisteredModel.DoesNotExist):
        raise NotFound("No such model.", remedy="GET /api/v1/models lists the models you may see.") from None


def model_by(reference: str) -> RegisteredModel:
    """A model by id or name, for whoever runs the installation."""
    by_id = RegisteredModel.objects.filter(id=UUID(reference)).first() if _is_uuid(reference) else None
    found = by_id or RegisteredModel.objects.filter(name=reference).first()
    if found is None:
        raise NotFound(f"No model {reference!r}.", remedy="Give its id or its name.")
    return found


def may(person: Person, ability: Ability, model: RegisteredModel) -> bool:
    """Rights on one model: the unit's roles, and ownership, which makes a maintainer."""
    if ability in (Ability.VIEW, Ability.WORK, Ability.EDIT) and RegisteredModel.objects.editable_by(person).filter(id=model.id).exists():
        return True
    return rights.may(person, ability, model.unit)


def require(person: Person, ability: Ability, model: RegisteredModel) -> None:
    if not may(person, ability, model):
        raise NotAllowed(f"You may not {ability} on {model.name}.", remedy="Ask an owner of the model, or an administrator of its unit.")


@dataclass(frozen=True)
class TokenHolder:
    """Who an integration token speaks for."""

    token_id: str
    model_id: UUID
    is_retired: bool
    scopes: frozenset[str]


def holder_of(token: Token) -> TokenHolder | None:
    found = IntegrationToken.objects.select_related("model").filter(id=token.id, revoked_at=None).first()
    if found is None or not same_digest(token, found.digest):
        return None
    return TokenHolder(found.id, found.model_id, found.model.retired_at is not None, frozenset(found.scopes))


def models_owned_alone(person: Person) -> list[RegisteredModel]:
    """Models where one side has only this person: without a successor nobody would be told."""
    owned = Ownership.objects.filter(person=person)
    return [entry.model for entry in owned.select_related("model") if not _active_others(entry)]


def _active_others(entry: Ownership) -> bool:
    others = Ownership.objects.filter(model=entry.model_id).exclude(id=entry.id).exclude(person=entry.person)
    return others.filter(Q(person__is_active=True) | Q(team__members__is_active=True)).exists()


def owners_by_side(models: Collection[UUID]) -> dict[str, dict[UUID, list[Person]]]:
    """Active people behind the technical and the business owners, team members included, per model."""
    found = _ownerships(models)
    members = _members({entry.team_id for entry in found if entry.team_id})
    owners: dict[str, dict[UUID, dict[UUID, Person]]] = {side: defaultdict(dict) for side in ("technical", "business")}
    for entry in found:
        for person in [entry.person] if entry.person else members.get(entry.team_id, []):
            if person.is_active:
                owners[entry.side][entry.model_id][person.id] = person
    return {side: {model: list(people.values()) for model, people in of_models.items()} for side, of_models in owners.items()}


@prepared_objects
def _ownerships(models: Collection[UUID]) -> QuerySet[Ownership]:
    return Ownership.objects.filter(model__among=models).select_related("person").order_by("id")


def owner_names(models: Collection[UUID]) -> dict[UUID, list[str]]:
    """Names of the active technical owners of many models, team members included; of the business owners where there are none."""
    sides: dict[str, dict[UUID, dict[UUID, str]]] = {side: defaultdict(dict) for side in ("technical", "business")}
    wanted = ("model_id", "side", "team_id", "person_id", "person__name", "person__email", "person__is_active")
    found = list(Ownership.objects.filter(model__in=models).order_by("id").values_list(*wanted))
    members = _members({row[2] for row in found if row[2]})
    for model, side, team, person, name, email, is_active in found:
        behind = (
            {member.id: str(member) for member in members.get(team, []) if member.is_active} if team else {person: name or email} if is_active else {}
        )
        sides[side][model].update(behind)
    return {model: list((sides["technical"].get(model) or sides["business"].get(model) or {}).values()) for model in models}


def _members(teams: set[UUID | None]) -> dict[UUID | None, list[Person]]:
    members: dict[UUID | None, list[Person]] = defaultdict(list)
    for team in Team.objects.filter(id__in=[id for id in teams if id]).prefetch_related("members") if teams else ():
        members[team.id] = list(team.members.all())
    return members


def passports(models: Collection[UUID], *, now: datetime) -> dict[UUID, Passport]:
    """The passports of many models in a fixed number of queries."""
    owners = owners_by_side(models)
    business, technical = owners["business"], owners["technical"]
    metrics = declared_metrics(models)
    sources: dict[UUID, list[str]] = defaultdict(list)
    for model_id, address in _sources(models):
        sources[model_id].append(address)
    versions: dict[UUID, list[CurrentVersion]] = defaultdict(list)
    for model_id, name, trained_at, deployed_at in _current_versions(models):
        versions[model_id].append(CurrentVersion(name=name, trained_at=trained_at, deployed_at=deployed_at))
    checks = {(check.model_id, check.field): check for check in _checks(models)}
    return {
        model.id: Passport(
            now=now,
            registered_at=model.created_at,
            kind=model.kind,
            problem_type=model.problem_type,
            business_owners=len(business.get(model.id, [])),
            technical_owners=len(technical.get(model.id, [])),
            metrics=tuple(metrics.get(model.id, [])),
            data_sources=tuple(sources.get(model.id, [])),
            links=tuple(_links(model, checks)),
            versions=tuple(versions.get(model.id, [])),
        )
        for model in _registered(models)
    }


@prepared_objects
def _registered(models: Collection[UUID]) -> QuerySet[RegisteredModel]:
    return RegisteredModel.objects.filter(id__among=models)


@prepared
def _sources(models: Collection[UUID]) -> QuerySet[DataSource, Any]:  # Any: values of columns
    return DataSource.objects.filter(used_by__id__among=models).values_list("used_by", "address").order_by("address")


@prepared
def _current_versions(models: Collection[UUID]) -> QuerySet[ModelVersion, Any]:  # Any: values of columns
    found = ModelVersion.objects.filter(model__among=models, is_current=True).order_by("name")
    return found.values_list("model_id", "name", "trained_at", "deployed_at")


@prepared_objects
def _checks(models: Collection[UUID]) -> QuerySet[LinkCheck]:
    return LinkCheck.objects.filter(model__among=models)


def _links(model: RegisteredModel, checks: dict[tuple[UUID, str], LinkCheck]) -> list[Link]:
    links = []
    for name, url in links_of(model):
        check = checks.get((model.id, name))
        if check and check.url == url:
            links.append(Link(name=name, url=url, checked_at=check.checked_at, failing_since=check.failing_since, failure=check.failure))
        else:
            links.append(Link(name=name, url=url))
    return links


def links_of(model: RegisteredModel) -> list[tuple[str, str]]:
    return [(name, url) for name, url in (("repository", model.repository_link), ("documentation", model.documentation_link)) if url]


def links_to_check(*, before: datetime, limit: int) -> list[tuple[UUID, str, str]]:
    """Links (model, name, url) never checked, changed since, or checked before the moment."""
    due = []
    checks = {(check.model_id, check.field): check for check in LinkCheck.objects.filter(checked_at__gte=before)}
    for model in RegisteredModel.objects.filter(retired_at=None).exclude(repository_link="", documentation_link=""):
        for name, url in links_of(model):
            check = checks.get((model.id, name))
            if check is None or check.url != url:
                due.append((model.id, name, url))
                if len(due) >= limit:
                    return due
    return due


def declared_metrics(models: Collection[UUID]) -> dict[UUID, list[DeclaredMetric]]:
    declared: dict[UUID, list[DeclaredMetric]] = defaultdict(list)
    for model, name, kind, direction, unit in _metrics(models):
        declared[model].append(DeclaredMetric(name=name, kind=kind, direction=direction, unit=unit))
    return declared


class Trained(NamedTuple):
    """What is known of the training of a version: its metrics, and column name to type when they were sent."""

    metrics: Mapping[str, float]
    schema: Mapping[str, str] | None


def trainings(models: Collection[UUID]) -> dict[UUID, Trained]:
    """The training of the current version (or of the newest when none is current), per model."""
    return {model: Trained(metrics, schema) for model, metrics, schema in _trainings(models)}


def given_importances(models: Collection[UUID]) -> dict[UUID, Mapping[str, float]]:
    """How much features matter, as that training said; empty when it did not."""
    return dict(_importances(models))


@prepared
def _importances(models: Collection[UUID]) -> QuerySet[Baseline, Any]:  # Any: values of columns
    found = Baseline.objects.filter(version__model__among=models, role=Baseline.Role.TRAINING).order_by("version__is_current", "created_at")
    return found.values_list("version__model_id", "importances")


@prepared
def _metrics(models: Collection[UUID]) -> QuerySet[Metric, Any]:  # Any: values of columns
    return Metric.objects.filter(model__among=models).values_list("model_id", "name", "kind", "direction", "unit")


@prepared
def _trainings(models: Collection[UUID]) -> QuerySet[Baseline, Any]:  # Any: values of columns
    found = Baseline.objects.filter(version__model__among=models, role=Baseline.Role.TRAINING)
    return found.order_by("version__is_current", "created_at").values_list("version__model_id", "metrics", "schema")


def data_sources_visible_to(person: Person) -> QuerySet[DataSource]:
    visible = RegisteredModel.objects.visible_to(person)
    return DataSource.objects.annotate(users=Count("used_by", filter=Q(used_by__in=visible))).filter(users__gt=0).order_by("address")


def model_of_token(id: UUID) -> RegisteredModel:
    """The model whose own token asks."""
    return RegisteredModel.objects.select_related("unit").get(id=id)


def visible_ids(person: Person) -> QuerySet[RegisteredModel, Any]:  # Any: one id each, for a subquery
    return RegisteredModel.objects.visible_to(person).values("id")


def choices() -> dict[str, list[tuple[Any, str]]]:  # Any: texts, and the numbers of tiers
    """What forms offer: values with their untranslated words. A model that is set up is not retired."""
    return {
        "kind": list(Kind.choices),
        "tier": list(Tier.choices),
        "stage": [choice for choice in Stage.choices if choice[0] != Stage.RETIRED],
        "problem_type": list(ProblemType.choices),
        "window": list(Window.choices),
        "metric_kind": list(Metric.Kind.choices),
        "direction": list(Metric.Direction.choices),
    }


def models_visible_to(person: Person) -> QuerySet[RegisteredModel]:
    return RegisteredModel.objects.visible_to(person).order_by("name")


def models_editable_by(person: Person) -> QuerySet[RegisteredModel]:
    return RegisteredModel.objects.editable_by(person).filter(retired_at=None).order_by("name")


def people_visible_to(person: Person) -> QuerySet[Person]:
    """Oneself, team mates, and whoever holds a role or owns a model where the person may look; everybody for those who hand out roles."""
    if rights.paths_where(person, Ability.ADMINISTER):
        return Person.objects.order_by("-is_active", "name", "email")
    owners = Ownership.objects.filter(model__in=RegisteredModel.objects.visible_to(person).values("id"))
    teams = Team.objects.filter(Q(members=person) | Q(id__in=owners.filter(team__isnull=False).values("team"))).values("id")
    met = (
        Q(id=person.id)
        | Q(grants__unit__in=rights.units_where(person, Ability.VIEW))
        | Q(id__in=owners.filter(person__isnull=False).values("person"))
        | Q(teams__in=teams)
    )
    return Person.objects.filter(id__in=Person.objects.filter(met).values("id"), is_active=True).order_by("name", "email")


def person_for(person: Person, id: UUID | str) -> Person:
    found = people_visible_to(person).filter(id=UUID(str(id))).first()
    if found is None:
        raise NotFound("No such person.", remedy="The page of people lists those you may see.")
    return found


def teams_visible_to(person: Person) -> QuerySet[Team]:
    """Own teams, and those that own a visible model; all for those who hand out roles."""
    if rights.paths_where(person, Ability.ADMINISTER):
        return Team.objects.order_by("name")
    owning = Ownership.objects.filter(model__in=RegisteredModel.objects.visible_to(person), team__isnull=False).values("team")
    return Team.objects.filter(id__in=Team.objects.filter(Q(members=person) | Q(id__in=owning)).values("id")).order_by("name")


def team_for(person: Person, id: UUID | str) -> Team:
    found = teams_visible_to(person).filter(id=UUID(str(id))).first()
    if found is None:
        raise NotFound("No such team.", remedy="The page of people lists the teams you may see.")
    return found


def may_set_members(person: Person, team: Team) -> bool:
    """Membership makes maintainers of what the team owns: all of that must lie where the person administers."""
    administered = rights.paths_where(person, Ability.ADMINISTER)
    owned = RegisteredModel.objects.filter(ownerships__team=team)
    return bool(administered) and not owned.exclude(rights.below(administered, field="unit__path")).exists()


def models_of(owner: Person | Team, *, seen_by: Person) -> QuerySet[RegisteredModel]:
    """Models a person (by name) or a team owns, as far as the reader may see them."""
    owned = Q(ownerships__person=owner) if isinstance(owner, Person) else Q(ownerships__team=owner)
    return RegisteredModel.objects.visible_to(seen_by).filter(owned).select_related("unit").distinct().order_by("name")


def model_counts(units: Iterable[Unit]) -> dict[UUID, int]:
    """Models in each unit and below it, without retired ones."""
    paths = list(RegisteredModel.objects.filter(retired_at=None).values_list("unit__path", flat=True))
    return {unit.id: sum(path.startswith(unit.path) for path in paths) for unit in units}


def source_for(person: Person, id: UUID | str) -> DataSource:
    try:
        return data_sources_visible_to(person).get(id=UUID(str(id)))
    except (ValueError, DataSource.DoesNotExist):
        raise NotFound("No such data source.", remedy="The page of data sources lists those of the models you may see.") from None


def source_uses(person: Person, addresses: Collection[str]) -> dict[str, int]:
    """How many of the visible models use each of the canonical addresses."""
    return dict(data_sources_visible_to(person).filter(address__in=addresses).values_list("address", "users"))  # type: ignore[misc]  # annotated above


def names_of(ids: Collection[str], *, seen_by: Person) -> dict[str, str]:
    """Names that stand beside ids in the change log: people, teams, units, sources, and the models the reader may see."""
    wanted = {UUID(id) for id in ids if _is_uuid(id)}
    named: list[QuerySet[Any]] = [Person.objects.filter(id__in=wanted), Team.objects.filter(id__in=wanted), Unit.objects.filter(id__in=wanted)]
    names = {str(found.id): str(found) for kind in named for found in kind}
    sources = {str(source.id): source.address for source in data_sources_visible_to(seen_by).filter(id__in=wanted)}
    visible = RegisteredModel.objects.visible_to(seen_by).filter(id__in=wanted)
    return names | sources | {str(model.id): model.name for model in visible}


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def versions_of(model: RegisteredModel) -> list[ModelVersion]:
    """Newest first, with their baselines."""
    return list(
        ModelVersion.objects.filter(model=model).prefetch_related("baselines__inherited_from__version").order_by("-is_current", "-created_at")
    )


def ownerships_of(model: RegisteredModel) -> list[Ownership]:
    return list(Ownership.objects.filter(model=model).select_related("person", "team").order_by("side", "id"))


def stakeholders_of(model: RegisteredModel) -> list[Stakeholder]:
    return list(Stakeholder.objects.filter(model=model).select_related("person").order_by("id"))


def tokens_of(model: RegisteredModel) -> list[IntegrationToken]:
    """Active ones first, newest first."""
    return list(IntegrationToken.objects.filter(model=model).order_by("revoked_at", "-created_at"))


def sources_of(model: RegisteredModel) -> list[DataSource]:
    return list(model.data_sources.order_by("address"))


def token_of(model: RegisteredModel, id: str) -> IntegrationToken:
    found = IntegrationToken.objects.filter(model=model, id=id).first()
    if found is None:
        raise NotFound("No such token on this model.", remedy="The tab Tokens lists them.")
    return found


def metric_of(model: RegisteredModel, name: str) -> Metric:
    found = Metric.objects.filter(model=model, name=name).first()
    if found is None:
        raise NotFound(f"{model.name} declares no metric {name!r}.", remedy="The passport lists its metrics.")
    return found


def link_checks_of(model: RegisteredModel) -> dict[str, LinkCheck]:
    """What the last check of each link said."""
    return {check.field: check for check in LinkCheck.objects.filter(model=model)}


def people_who_see(model: RegisteredModel) -> list[Person]:
    """Active people who may see a model: those with a role on its unit or above it, and its owners."""
    above = [UUID(hex=part) for part in model.unit.path.split("/") if part]
    owners = Q(ownerships__model=model) | Q(teams__ownerships__model=model)
    found = Person.objects.filter(Q(grants__unit__in=above) | owners, is_active=True, is_service=False)
    return list(found.distinct().order_by("name", "email"))
