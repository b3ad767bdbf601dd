"""Which models one may see and edit, against a plain oracle: every role on every unit of a tree, owners, teams, and nobody."""

from __future__ import annotations

from itertools import product

import pytest

from tests.platform import Platform
from watchkeeper.accounts import services as accounts
from watchkeeper.accounts.models import Person, Role, Unit
from watchkeeper.accounts.rights import ROLE_ABILITIES, Ability, below, paths_where
from watchkeeper.history.actors import PLATFORM
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.registry.services import Owners, set_owners

PLACES: tuple[tuple[str, ...], ...] = ((), ("Bread",), ("Bread", "Demand"), ("Bread", "Demand", "Rye"), ("Breadth",), ("Money",))
ABILITIES = (Ability.VIEW, Ability.EDIT)


@pytest.fixture
def tree(platform: Platform) -> dict[tuple[str, ...], Unit]:
    """A unit per place, with a model in it."""
    now = platform.clock.now()
    units = {place: accounts.ensure_unit(place, actor=PLATFORM, now=now) for place in PLACES}
    RegisteredModel.objects.bulk_create(RegisteredModel(name="/".join(place), unit=unit, created_at=now) for place, unit in units.items())
    return units


def somebody(platform: Platform, name: str) -> Person:
    return accounts.create_person(email=f"{name}@example.com", actor=PLATFORM, now=platform.clock.now())


def found(person: Person, ability: Ability) -> set[str]:
    models = RegisteredModel.objects
    chosen = models.visible_to(person) if ability == Ability.VIEW else models.editable_by(person)
    names = list(chosen.values_list("name", flat=True))
    assert len(names) == len(set(names))  # a model that is seen for two reasons is seen once
    return set(names)


def expected(role: Role, place: tuple[str, ...], ability: Ability) -> set[str]:
    return {"/".join(each) for each in PLACES if ability in ROLE_ABILITIES[role] and each[: len(place)] == place}


def test_a_role_holds_in_its_unit_and_below_it_and_on_the_company_everywhere(platform: Platform, tree: dict[tuple[str, ...], Unit]) -> None:
    for role, place in product(Role, PLACES):
        person = somebody(platform, f"{role}-{len(place)}-{'-'.join(place)}")
        accounts.grant_role(person, role=role, unit=tree[place], actor=PLATFORM, now=platform.clock.now())

        for ability in ABILITIES:
            assert found(person, ability) == expected(role, place, ability), (role, place, ability)


def test_the_short_way_of_a_role_on_the_company_finds_what_the_filter_finds(platform: Platform, tree: dict[tuple[str, ...], Unit]) -> None:
    """A role on the company skips the filter by path: it must never be taken for a role below it, nor give an ability the role has not."""
    for role, place, lower in product(Role, ((), ("Bread",)), Role):
        person = somebody(platform, f"{role}-{len(place)}-{lower}")
        accounts.grant_role(person, role=role, unit=tree[place], actor=PLATFORM, now=platform.clock.now())
        accounts.grant_role(person, role=lower, unit=tree[("Money",)], actor=PLATFORM, now=platform.clock.now())

        for ability in ABILITIES:
            filtered = RegisteredModel.objects.filter(below(paths_where(person, ability), field="unit__path"))
            assert found(person, ability) == set(filtered.values_list("name", flat=True)), (role, place, lower, ability)


def test_owners_and_members_of_owning_teams_see_and_edit_their_models_alone(platform: Platform, tree: dict[tuple[str, ...], Unit]) -> None:
    now = platform.clock.now()
    alone, member = somebody(platform, "alone"), somebody(platform, "member")
    team = accounts.create_team("Bakers", members=[alone, member], actor=PLATFORM, now=now)
    set_owners(RegisteredModel.objects.get(name="Money"), owners=Owners(business=(alone, team)), actor=PLATFORM, now=now)
    set_owners(RegisteredModel.objects.get(name="Bread"), owners=Owners(technical=(team,)), actor=PLATFORM, now=now)

    for ability in ABILITIES:
        assert found(alone, ability) == found(member, ability) == {"Money", "Bread"}


def test_whoever_left_sees_nothing_whatever_the_roles(platform: Platform, tree: dict[tuple[str, ...], Unit]) -> None:
    person = somebody(platform, "leaver")
    accounts.grant_role(person, role=Role.ADMINISTRATOR, unit=tree[()], actor=PLATFORM, now=platform.clock.now())
    Person.objects.filter(id=person.id).update(is_active=False)
    person.refresh_from_db()

    assert found(person, Ability.VIEW) == found(person, Ability.EDIT) == set()
    assert found(somebody(platform, "stranger"), Ability.VIEW) == set()
