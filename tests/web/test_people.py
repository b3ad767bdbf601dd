"""People, teams and units: invitations, roles, leaving; each change only by those who administer the unit."""

from __future__ import annotations

import re

import pytest

from tests.platform import Platform
from tests.web.reading import browser, check_policy, said
from watchkeeper.accounts import services
from watchkeeper.accounts.models import Person, Role, RoleGrant, Team, Unit
from watchkeeper.registry.models import Ownership
from watchkeeper.web.page import now


def test_an_invitation_makes_a_person_with_a_role_and_a_link_shown_once(platform: Platform) -> None:
    client = browser(platform.administrator)
    check_policy(client.get("/people/invite/"))

    answer = client.post("/people/invite/", {"email": "new@example.com", "name": "Nina", "role": "maintainer", "unit": str(platform.unit.id)})
    page = client.get(answer.headers["Location"])

    person = Person.objects.get(email="new@example.com")
    assert RoleGrant.objects.filter(person=person, role="maintainer", unit=platform.unit).exists()
    link = re.search(r"/sign-in/[\w-]+/", page.content.decode())
    assert link
    assert "/sign-in/" not in client.get(answer.headers["Location"]).content.decode()
    assert browser().post(link[0]).headers["Location"] == "/account/welcome/"


def test_a_wrong_invitation_keeps_what_was_typed(platform: Platform) -> None:
    answer = browser(platform.administrator).post(
        "/people/invite/", {"email": "owner@example.com", "name": "Nina", "role": "viewer", "unit": str(platform.unit.id)}
    )

    assert answer.status_code == 422
    assert "is registered already" in said(answer)
    assert 'value="Nina"' in answer.content.decode()


def test_roles_are_granted_and_revoked_but_not_the_last_administrator(platform: Platform) -> None:
    client = browser(platform.administrator)

    client.post(f"/people/{platform.outsider.id}/roles/", {"role": "viewer", "unit": str(platform.unit.id)})
    grant = RoleGrant.objects.get(person=platform.outsider)
    assert "Operations" in said(client.get(f"/people/{platform.outsider.id}/"))
    client.post(f"/roles/{grant.id}/revoke/")
    last = RoleGrant.objects.get(person=platform.administrator)
    answer = client.post(f"/roles/{last.id}/revoke/", HTTP_REFERER=f"http://testserver/people/{platform.administrator.id}/", follow=True)

    assert not RoleGrant.objects.filter(person=platform.outsider).exists()
    assert RoleGrant.objects.filter(id=last.id).exists()
    assert "last administrator" in said(answer)


@pytest.mark.parametrize("who", ["validator", "owner", "outsider"])
def test_nobody_else_changes_people(platform: Platform, who: str) -> None:
    client = browser(getattr(platform, who))
    grant = RoleGrant.objects.get(person=platform.validator)

    answers = [
        client.get("/people/invite/"),
        client.post(f"/people/{platform.validator.id}/roles/", {"role": "administrator", "unit": str(platform.unit.id)}),
        client.post(f"/people/{platform.validator.id}/link/"),
        client.post(f"/roles/{grant.id}/revoke/"),
        client.get(f"/people/{platform.owner.id}/leave/"),
        client.get("/teams/new/"),
        client.post(f"/units/{platform.unit.id}/", {"name": "Mine"}),
        client.post(f"/units/{platform.unit.id}/rename/", {"new-name": "Mine"}),
    ]

    assert {answer.status_code for answer in answers} <= {403, 404}
    assert RoleGrant.objects.count() == 2
    assert not Unit.objects.filter(name="Mine").exists()


def test_an_administrator_of_a_unit_cannot_reach_above_it(platform: Platform) -> None:
    services.grant_role(platform.validator, role=Role.ADMINISTRATOR, unit=platform.unit, actor=platform.actor, now=now())
    client = browser(platform.validator)

    up = client.post(f"/people/{platform.outsider.id}/roles/", {"role": "administrator", "unit": str(platform.company.id)})
    here = client.post(f"/people/{platform.outsider.id}/roles/", {"role": "maintainer", "unit": str(platform.unit.id)})
    link = client.post(f"/people/{platform.administrator.id}/link/")

    assert up.status_code == 404  # the company is not theirs to see
    assert here.status_code == 302
    assert link.status_code == 403


def test_an_outsider_sees_only_himself(platform: Platform) -> None:
    platform.register()
    page = said(browser(platform.outsider).get("/people/"))

    assert "outsider@example.com" in page
    assert not [name for name in ("owner", "validator", "administrator") if f"{name}@example.com" in page]
    assert browser(platform.outsider).get(f"/people/{platform.owner.id}/").status_code == 404
    assert "You have no role in any unit yet" in said(browser(platform.outsider).get("/units/"))


def test_a_validator_sees_owners_of_the_models_and_the_own_unit(platform: Platform) -> None:
    platform.register()
    client = browser(platform.validator)

    assert "owner@example.com" in said(client.get("/people/"))
    assert "Late flights" in said(client.get(f"/people/{platform.owner.id}/"))
    assert "outsider@example.com" not in said(client.get("/people/"))
    page = client.get(f"/units/{platform.unit.id}/")
    check_policy(page)
    assert "Create a unit below" not in said(page)
    assert client.get(f"/units/{platform.company.id}/").status_code == 404


def test_a_leaver_needs_a_successor_for_what_they_own_alone(platform: Platform) -> None:
    model = platform.register()
    Ownership.objects.filter(model=model, side="business").delete()
    client = browser(platform.administrator)
    url = f"/people/{platform.owner.id}/leave/"

    page = client.get(url)
    refused = client.post(url, {"successor": "", "reason": "new job"})
    done = client.post(url, {"successor": str(platform.business_owner.id), "reason": "new job"})

    assert "Late flights" in said(page)
    assert refused.status_code == 422
    assert "is the only owner of 1 models" in said(refused)
    assert 'value="new job"' in refused.content.decode()
    assert done.status_code == 302
    platform.owner.refresh_from_db()
    assert not platform.owner.is_active
    assert [entry.person for entry in model.ownerships.all()] == [platform.business_owner]


def test_a_team_is_created_and_its_members_change(platform: Platform) -> None:
    client = browser(platform.administrator)

    made = client.post("/teams/new/", {"name": "Ops duty", "members": [str(platform.owner.id)]})
    team = Team.objects.get(name="Ops duty")
    client.post(made.headers["Location"], {"members": [str(platform.owner.id), str(platform.validator.id)]})
    again = client.post("/teams/new/", {"name": "Ops duty", "members": []})

    assert set(team.members.all()) == {platform.owner, platform.validator}
    assert again.status_code == 422
    assert "There is a team" in said(again)
    assert "Save the members" not in said(browser(platform.validator).get(f"/teams/{team.id}/"))
    assert browser(platform.validator).post(f"/teams/{team.id}/", {"members": []}).status_code == 403
    assert browser(platform.outsider).get(f"/teams/{team.id}/").status_code == 404


def test_members_of_a_team_that_owns_elsewhere_are_not_a_unit_administrators_business(platform: Platform) -> None:
    travel = platform.unit.parent
    assert travel
    bank = services.ensure_unit(["Bank"], actor=platform.actor, now=now())
    services.grant_role(platform.validator, role=Role.ADMINISTRATOR, unit=bank, actor=platform.actor, now=now())
    team = services.create_team("Ops duty", members=[], actor=platform.actor, now=now())
    Ownership.objects.create(model=platform.register(), side="technical", team=team)

    answer = browser(platform.validator).post(f"/teams/{team.id}/", {"members": [str(platform.validator.id)]})

    assert answer.status_code == 403
    assert not team.members.exists()


def test_units_are_created_and_renamed(platform: Platform) -> None:
    client = browser(platform.administrator)
    url = f"/units/{platform.unit.id}/"

    client.post(url, {"name": "Delays"})
    taken, slash = client.post(url, {"name": "Delays"}), client.post(url, {"name": "a/b"})
    renamed = client.post(f"{url}rename/", {"new-name": "Flight operations"})

    assert Unit.objects.get(name="Delays").parent == platform.unit
    assert taken.status_code == slash.status_code == 422
    assert "There is a unit of this name" in said(taken)
    assert renamed.status_code == 302
    page = client.get("/units/")
    check_policy(page)
    assert "Flight operations" in said(page)


def test_a_unit_cannot_take_its_sisters_name(platform: Platform) -> None:
    services.ensure_unit(["Travel", "Sales"], actor=platform.actor, now=now())
    client = browser(platform.administrator)

    answer = client.post(f"/units/{platform.unit.id}/rename/", {"new-name": "Sales"}, follow=True)

    assert "There is a unit of this name" in said(answer)
    platform.unit.refresh_from_db()
    assert platform.unit.name == "Operations"
