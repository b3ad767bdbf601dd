"""Who may do what: roles grant abilities on a unit and everything below it. The one table of rights, and the one question asked of it.

Model rights add ownership: a model's owners are its maintainers (registry.rights). Nothing here raises 404: what a person may not see, the
queries do not return.
"""

from __future__ import annotations

from enum import StrEnum

from django.db.models import Q, QuerySet

from watchkeeper.accounts.models import Person, Role, Unit
from watchkeeper.core.errors import NotAllowed


class Ability(StrEnum):
    VIEW = "view"
    WORK = "work on incidents"
    EDIT = "edit"
    GOVERN = "set policies"
    ADMINISTER = "administer"


ROLE_ABILITIES: dict[str, frozenset[Ability]] = {
    Role.VIEWER: frozenset({Ability.VIEW}),
    Role.VALIDATOR: frozenset({Ability.VIEW, Ability.WORK}),
    Role.MAINTAINER: frozenset({Ability.VIEW, Ability.WORK, Ability.EDIT}),
    Role.RISK_OFFICER: frozenset({Ability.VIEW, Ability.WORK, Ability.EDIT, Ability.GOVERN}),
    Role.ADMINISTRATOR: frozenset(Ability),
}


def roles_with(ability: Ability) -> list[str]:
    return [role for role, abilities in ROLE_ABILITIES.items() if ability in abilities]


def paths_where(person: Person, ability: Ability) -> list[str]:
    """Paths of the units on which a role gives the person the ability; it holds for everything below them."""
    if not person.is_active:
        return []
    return list(person.grants.filter(role__in=roles_with(ability)).values_list("unit__path", flat=True).distinct())


def below(paths: list[str], *, field: str = "path") -> Q:
    """A filter for units (or what hangs on them, through `field`) at or below any of the paths; nothing when there are none."""
    found = Q(pk__in=[])
    for path in paths:
        found |= Q(**{f"{field}__startswith": path})
    return found


def hold_everywhere(paths: list[str]) -> bool:
    """Whether one of the paths is that of the company, the only root: everything lies below it, and a filter would find the same, slower."""
    return any(path.count("/") == 2 for path in paths)


def units_where(person: Person, ability: Ability) -> QuerySet[Unit]:
    return Unit.objects.filter(below(paths_where(person, ability)))


def may(person: Person, ability: Ability, unit: Unit) -> bool:
    return any(unit.path.startswith(path) for path in paths_where(person, ability))


def require(person: Person, ability: Ability, unit: Unit) -> None:
    if not may(person, ability, unit):
        raise NotAllowed(
            f"You may not {ability} in {unit.name}.",
            remedy=f"Ask an administrator of {unit.name} for one of the roles: {', '.join(roles_with(ability))}.",
        )


def is_administrator(person: Person) -> bool:
    """Administrator of the whole installation: of the root unit."""
    return person.is_active and person.grants.filter(role=Role.ADMINISTRATOR, unit__depth=0).exists()


def require_administrator(person: Person) -> None:
    if not is_administrator(person):
        raise NotAllowed("Only an administrator of the company may do this.", remedy="Ask an administrator; they are listed under People.")
