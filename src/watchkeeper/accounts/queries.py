"""Reads of people, teams and units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from watchkeeper.accounts.models import ApiKey, Person, Role, RoleGrant, Team, Unit
from watchkeeper.accounts.rights import Ability, units_where
from watchkeeper.accounts.tokens import Token, same_digest
from watchkeeper.core.errors import InvalidInput, NotFound
from watchkeeper.history.bulk import prepared_objects

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


def has_anybody_signed_in() -> bool:
    return Person.objects.filter(is_service=False, last_login__isnull=False).exists()


def people_with(role: Role, *, on: Unit) -> list[Person]:
    """Active people who hold the role exactly on this unit."""
    return list(Person.objects.filter(is_active=True, is_service=False, grants__role=role, grants__unit=on).distinct())


def holders(roles: Collection[Role]) -> dict[tuple[UUID, str], list[Person]]:
    """Active people by unit and role, for every unit."""
    found: dict[tuple[UUID, str], list[Person]] = defaultdict(list)
    for grant in _grants():
        if grant.role in roles:
            found[grant.unit_id, grant.role].append(grant.person)
    return found


@prepared_objects
def _grants() -> QuerySet[RoleGrant]:
    grants = RoleGrant.objects.filter(person__is_active=True, person__is_service=False)
    return grants.select_related("person").order_by("person__created_at", "person_id")


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


def nearest_unit(reference: str) -> tuple[Unit, list[str]]:
    """The deepest existing unit on a path of names, and the whole path from below the root."""
    names = names_of(reference)
    for depth in range(len(names), -1, -1):
        unit = unit_at(names[:depth])
        if unit:
            return unit, names
    return root_unit(), names


def people(text: str = "") -> QuerySet[Person]:
    """Active people by name or e-mail."""
    found = Person.objects.filter(is_active=True).order_by("name", "email")
    return found.filter(Q(name__icontains=text) | Q(email__icontains=text)) if text else found


def teams() -> QuerySet[Team]:
    return Team.objects.prefetch_related("members").order_by("name")


def grants_for(person: Person) -> QuerySet[RoleGrant]:
    """Roles on the units the person administers."""
    return (
        RoleGrant.objects.filter(unit__in=units_where(person, Ability.ADMINISTER))
        .select_related("person", "unit")
        .order_by("unit__path", "person__name")
    )


def role_by(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise InvalidInput(f"{name!r} is not a role.", remedy=f"One of: {', '.join(Role.values)}.", fields={"role": name}) from None


def api_key(id: str) -> ApiKey | None:
    return ApiKey.objects.select_related("person").filter(id=id).first()


def unit_for(person: Person, id: UUID | str) -> Unit:
    """The unit, if the person may see it; otherwise it does not exist for them."""
    try:
        return visible_units(person).get(id=UUID(str(id)))
    except (ValueError, Unit.DoesNotExist):
        raise NotFound("No such unit.", remedy="The page of units lists those you may see.") from None


def unit_titles(units: Iterable[Unit]) -> dict[UUID, str]:
    """Names from below the root down, joined by slashes; the root's own name. One query for any number of units."""
    units = list(units)
    ids = {UUID(hex=part) for unit in units for part in unit.path.split("/") if part}
    names = dict(Unit.objects.filter(id__in=ids).values_list("id", "name"))
    parts = {unit.id: [names[UUID(hex=part)] for part in unit.path.split("/") if part] for unit in units}
    return {id: "/".join(path[1:]) or path[0] for id, path in parts.items()}


def role_choices() -> list[tuple[str, str]]:
    return list(Role.choices)


def theme_choices() -> list[tuple[str, str]]:
    return list(Person.Theme.choices)


def grants_on(unit: Unit) -> QuerySet[RoleGrant]:
    """Roles held exactly on this unit, of people who are still here."""
    return RoleGrant.objects.filter(unit=unit, person__is_active=True).select_related("person").order_by("role", "person__name")


def grants_of(people: Iterable[Person]) -> QuerySet[RoleGrant]:
    return RoleGrant.objects.filter(person__in=list(people)).select_related("unit", "person").order_by("unit__path", "role")


def grant_for(person: Person, id: UUID) -> RoleGrant:
    """A role on a unit the person may see; elsewhere it does not exist for them."""
    found = RoleGrant.objects.filter(unit__in=visible_units(person), id=id).select_related("unit", "person").first()
    if found is None:
        raise NotFound("No such role.", remedy="It was revoked already.")
    return found


def risk_team(unit: Unit) -> list[Person]:
    """Whom to ask about risks in a unit: its risk officers, else those of the units above, else the administrators."""
    above: Unit | None = unit
    while above:
        found = people_with(Role.RISK_OFFICER, on=above)
        if found:
            return found
        above = above.parent
    return people_with(Role.ADMINISTRATOR, on=root_unit())


def api_keys_of(person: Person) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(person=person, revoked_at=None).order_by("created_at")


def api_key_of(person: Person, id: str) -> ApiKey:
    found = api_keys_of(person).filter(id=id).first()
    if found is None:
        raise NotFound("No such key.", remedy="It was revoked already.")
    return found


def all_units() -> list[Unit]:
    """The whole tree, parents first."""
    return list(Unit.objects.order_by("depth", "name"))
