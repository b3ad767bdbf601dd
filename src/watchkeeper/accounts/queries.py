"""Reads of people, teams and units."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from watchkeeper.accounts.models import ApiKey, Person, Role, Team, Unit
from watchkeeper.accounts.rights import Ability, units_where
from watchkeeper.accounts.tokens import Token, same_digest
from watchkeeper.core.errors import NotFound

TOUCH_EVERY = timedelta(minutes=1)


def root_unit() -> Unit:
    return Unit.objects.get(depth=0)


def unit_by(reference: str) -> Unit:
    """A unit by id or by its path of names ("Travel/Operations", with or without the company's name in front)."""
    try:
        return Unit.objects.get(id=UUID(reference))
    except (ValueError, Unit.DoesNotExist):
        found = unit_at(names_of(reference))
    if found is None:
        raise NotFound(f"No unit {reference!r}.", remedy="Give its id or its path of names, e.g. Travel/Operations. GET /api/v1/units lists them.")
    return found


def names_of(reference: str) -> list[str]:
    names = [name.strip() for name in reference.split("/") if name.strip()]
    root = root_unit()
    return names[1:] if names and names[0] == root.name else names


def unit_at(names: list[str]) -> Unit | None:
    """Walk down from the root by names."""
    unit: Unit | None = root_unit()
    for name in names:
        unit = Unit.objects.filter(parent=unit, name=name).first()
        if unit is None:
            return None
    return unit


def unit_names(unit: Unit) -> list[str]:
    """Names from below the root down to the unit; the root itself alone."""
    ids = [part for part in unit.path.split("/") if part]
    names = {str(found.id.hex): found.name for found in Unit.objects.filter(id__in=[UUID(hex=part) for part in ids])}
    return [names[part] for part in ids[1:]] or [unit.name]


def visible_units(person: Person) -> QuerySet[Unit]:
    return units_where(person, Ability.VIEW).order_by("path")


def person_by(reference: str) -> Person:
    """A person by id or e-mail."""
    try:
        return Person.objects.get(Q(id=UUID(reference)))
    except (ValueError, Person.DoesNotExist):
        found = Person.objects.filter(email=reference.lower()).first()
    if found is None:
        raise NotFound(f"No person {reference!r}.", remedy="Give the id or the e-mail of somebody listed by GET /api/v1/people.")
    return found


def team_by(reference: str) -> Team:
    try:
        return Team.objects.get(id=UUID(reference))
    except (ValueError, Team.DoesNotExist):
        found = Team.objects.filter(name=reference).first()
    if found is None:
        raise NotFound(f"No team {reference!r}.", remedy="Give the id or the name of a team listed by GET /api/v1/people.")
    return found


def people_with(role: Role, *, on: Unit) -> list[Person]:
    """Active people who hold the role exactly on this unit."""
    return list(Person.objects.filter(is_active=True, is_service=False, grants__role=role, grants__unit=on).distinct())


def person_of_key(token: Token | None, *, now: datetime) -> Person | None:
    """The person an API key acts as, if the key is alive and its person active."""
    if token is None or token.prefix != "wkk":
        return None
    key = ApiKey.objects.select_related("person").filter(id=token.id, revoked_at=None, person__is_active=True).first()
    if key is None or not same_digest(token, key.digest):
        return None
    if key.last_used_at is None or now - key.last_used_at > TOUCH_EVERY:
        ApiKey.objects.filter(id=key.id).update(last_used_at=now)
    return key.person
