"""Reads of the registry, as typed values for the layers above. Models a person may not see are not found here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from watchkeeper.accounts import rights
from watchkeeper.accounts.models import Person, Team
from watchkeeper.accounts.rights import Ability
from watchkeeper.accounts.tokens import Token, same_digest
from watchkeeper.core.errors import NotAllowed, NotFound
from watchkeeper.core.evidence import CurrentVersion, DeclaredMetric, Link, Passport
from watchkeeper.registry.models import Baseline, DataSource, IntegrationToken, LinkCheck, Metric, ModelVersion, Ownership, RegisteredModel


def model_for(person: Person, id: UUID | str) -> RegisteredModel:
    """The model, if the person may see it; otherwise it does not exist for them."""
    try:
        return RegisteredModel.objects.visible_to(person).select_related("unit").get(id=UUID(str(id)))
    except (ValueError, RegisteredModel.DoesNotExist):
        raise NotFound("No such model.", remedy="GET /api/v1/models lists the models you may see.") from None


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


def owners_of(models: Collection[UUID], *, side: str | None = None) -> dict[UUID, list[Person]]:
    """Active people behind the owners, team members included, per model."""
    found = Ownership.objects.filter(model__in=models).select_related("person", "team").order_by("id")
    if side:
        found = found.filter(side=side)
    members = _members({entry.team_id for entry in found if entry.team_id})
    owners: dict[UUID, dict[UUID, Person]] = defaultdict(dict)
    for entry in found:
        for person in [entry.person] if entry.person else members.get(entry.team_id, []):
            if person.is_active:
                owners[entry.model_id][person.id] = person
    return {model: list(people.values()) for model, people in owners.items()}


def _members(teams: set[UUID | None]) -> dict[UUID | None, list[Person]]:
    members: dict[UUID | None, list[Person]] = defaultdict(list)
    for team in Team.objects.filter(id__in=[id for id in teams if id]).prefetch_related("members"):
        members[team.id] = list(team.members.all())
    return members


def passports(models: Collection[UUID], *, now: datetime) -> dict[UUID, Passport]:
    """The passports of many models in a fixed number of queries."""
    found = RegisteredModel.objects.filter(id__in=models)
    business, technical = owners_of(models, side="business"), owners_of(models, side="technical")
    metrics = declared_metrics(models)
    sources: dict[UUID, list[str]] = defaultdict(list)
    for model_id, address in DataSource.objects.filter(used_by__in=models).values_list("used_by", "address").order_by("address"):
        sources[model_id].append(address)
    versions: dict[UUID, list[CurrentVersion]] = defaultdict(list)
    for version in ModelVersion.objects.filter(model__in=models, is_current=True).order_by("name"):
        versions[version.model_id].append(CurrentVersion(name=version.name, trained_at=version.trained_at, deployed_at=version.deployed_at))
    checks = {(check.model_id, check.field): check for check in LinkCheck.objects.filter(model__in=models)}
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
        for model in found
    }


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
    for metric in Metric.objects.filter(model__in=models):
        declared[metric.model_id].append(DeclaredMetric(name=metric.name, kind=metric.kind, direction=metric.direction, unit=metric.unit))
    return declared


def baselines(models: Collection[UUID], *, role: str = "training") -> dict[UUID, Baseline]:
    """The baseline of the current version (or of the newest when none is current), per model."""
    found: dict[UUID, Baseline] = {}
    ordered = Baseline.objects.filter(version__model__in=models, role=role).select_related("version")
    for baseline in ordered.order_by("version__is_current", "created_at"):
        found[baseline.version.model_id] = baseline
    return found


def data_sources_visible_to(person: Person) -> QuerySet[DataSource]:
    visible = RegisteredModel.objects.visible_to(person)
    return DataSource.objects.annotate(users=Count("used_by", filter=Q(used_by__in=visible))).filter(users__gt=0).order_by("address")
