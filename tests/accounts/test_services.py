"""Units and passwords: what is refused, and what a change is left of."""

from __future__ import annotations

import pytest

from tests.platform import Platform
from tests.web.reading import browser
from watchkeeper.accounts import services
from watchkeeper.accounts.models import Person, RoleGrant, Unit
from watchkeeper.cli.founding import service_key, sign_in_link
from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.history.models import Change

LONG = "correct horse battery"


def rename(platform: Platform, name: str) -> Unit:
    return services.rename_unit(platform.unit, name=name, actor=platform.actor, now=platform.clock.now())


def test_a_unit_is_renamed_without_the_spaces_around_its_name(platform: Platform) -> None:
    rename(platform, " Support ")

    assert Unit.objects.get(id=platform.unit.id).name == "Support"
    assert Change.objects.filter(object_type="unit", action="edited").latest("at").after == {"name": "Support"}


@pytest.mark.parametrize("name", ["", "  ", "Oper/ations"])
def test_a_unit_keeps_its_name_when_the_new_one_is_no_part_of_a_path(platform: Platform, name: str) -> None:
    with pytest.raises(InvalidInput, match="without a slash"):
        rename(platform, name)

    assert Unit.objects.get(id=platform.unit.id).name == "Operations"


def test_a_unit_does_not_take_the_name_of_its_sibling_but_may_keep_its_own(platform: Platform) -> None:
    services.create_unit("Support", parent=platform.unit.parent, actor=platform.actor, now=platform.clock.now())
    changes = Change.objects.count()

    with pytest.raises(Conflict, match="already has a unit 'Support'"):
        rename(platform, "Support")
    assert rename(platform, "Operations").name == "Operations"

    assert Change.objects.count() == changes


@pytest.mark.parametrize("way", ["/account/welcome/", "/account/password/set/", "/account/password/change/"])
def test_a_password_leaves_a_change_without_the_password(platform: Platform, way: str) -> None:
    client = browser(platform.owner)
    if way == "/account/password/change/":
        services.set_password(platform.owner, "the old password", actor=platform.actor, now=platform.clock.now())
        client = browser(Person.objects.get(id=platform.owner.id))
    given = {"name": "Olga", "password": LONG, "password1": LONG, "password2": LONG, "oldpassword": "the old password"}

    answer = client.post(way, given)

    assert answer.status_code == 302
    assert Person.objects.get(id=platform.owner.id).check_password(LONG)
    left = Change.objects.get(action="password set", actor_id=platform.owner.id)
    assert (left.object_id, left.before, left.after) == (str(platform.owner.id), None, None)


def test_the_command_line_makes_administrators_and_services_with_changes(platform: Platform) -> None:
    link, again = sign_in_link("http://localhost"), sign_in_link("http://localhost")
    key = service_key(role="admin", name="export", unit="Travel")

    assert link != again
    assert Person.objects.filter(email="administrator@watchkeeper.localhost").count() == 1
    service = Person.objects.get(is_service=True)
    assert (service.name, key[:4]) == ("export", "wkk_")
    assert RoleGrant.objects.get(person=service).unit.name == "Travel"
    assert {"created", "granted"} <= set(Change.objects.filter(object_type__in=("person", "role")).values_list("action", flat=True))
