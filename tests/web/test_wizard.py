"""Registration: a name is enough, every step is saved, what is missing is named, and the first event turns the page green."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from tests.platform import Platform
from tests.web.reading import browser, check_policy, said
from watchkeeper.accounts import services as accounts
from watchkeeper.accounts.models import Role, Unit
from watchkeeper.accounts.tokens import read_token
from watchkeeper.registry.models import DataSource, RegisteredModel
from watchkeeper.registry.queries import holder_of
from watchkeeper.registry.services import touch_tokens
from watchkeeper.web.page import now

NAMED = {
    "name": "Propensity",
    "unit": "Travel/Operations",
    "kind": "model",
    "problem_type": "",
    "stage": "production",
    "tier": "2",
    "technical": "",
    "business": "",
}


@pytest.mark.parametrize("tier", ["1", "2", "3"])
def test_every_tier_that_is_offered_can_be_chosen(platform: Platform, tier: str) -> None:
    client = maintainer(platform)
    offered = re.findall(r'<option value="(\d)"', client.get("/models/new/").content.decode().partition('name="tier"')[2].partition("</select>")[0])

    client.post("/models/new/", NAMED | {"tier": tier})

    assert offered == ["1", "2", "3"]
    assert RegisteredModel.objects.get().tier == int(tier)


def maintainer(platform: Platform) -> Client:
    accounts.grant_role(platform.owner, role=Role.MAINTAINER, unit=platform.unit, actor=platform.actor, now=platform.clock.now())
    return browser(platform.owner)


def registered(client: Client, **fields: str) -> RegisteredModel:
    answer = client.post("/models/new/", NAMED | fields)
    assert answer.status_code == 302, said(answer)
    return RegisteredModel.objects.get(name=fields.get("name", "Propensity"))


def posted(client: Client, url: str, **changed: str) -> Any:  # Any: the test client's response
    """Send the form of a page as a browser would, with some fields changed."""
    html = client.get(url).content.decode().partition('<main class="main')[2]
    form = max(re.findall(r"<form[^>]*>.*?</form>", html, re.S), key=len)
    data: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and not ("checkbox" in tag and "checked" not in tag):
            data[name[1]] = value[1] if value else "on" * ("checkbox" in tag)
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        data[name] = chosen[1] if chosen else ""
    for name, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.S):
        data[name] = text.strip()
    return client.post(url, data | changed)


def test_a_name_is_enough_and_the_gaps_are_named(platform: Platform) -> None:
    client = maintainer(platform)
    page = client.get("/models/new/")
    check_policy(page)
    assert 'value="Travel/Operations"' in page.content.decode()

    model = registered(client)
    page = client.get(f"/models/{model.id}/setup/")

    assert model.unit == platform.unit
    assert "Missing: business owner, technical owner. The model starts with this risk fired, criticality 2." in said(page)
    check_policy(page)


def test_owners_are_people_and_teams(platform: Platform) -> None:
    team = accounts.create_team("Ops duty", members=[platform.validator], actor=platform.actor, now=now())
    model = registered(maintainer(platform), technical="owner@example.com, Ops duty", business="business_owner@example.com")

    assert {(entry.side, entry.person or entry.team) for entry in model.ownerships.all()} == {
        ("technical", platform.owner),
        ("technical", team),
        ("business", platform.business_owner),
    }


def test_wrong_input_keeps_what_was_typed(platform: Platform) -> None:
    client = maintainer(platform)

    answer = client.post("/models/new/", NAMED | {"name": "Fresh demand", "technical": "nobody@example.com"})

    assert answer.status_code == 422
    assert "nobody@example.com is neither the e-mail of a person nor the name of a team here" in said(answer)
    assert 'value="Fresh demand"' in answer.content.decode()
    assert not RegisteredModel.objects.exists()


def test_a_taken_name_is_said_on_the_form(platform: Platform) -> None:
    client = maintainer(platform)
    registered(client)

    answer = client.post("/models/new/", NAMED)

    assert answer.status_code == 422
    assert "already has a model" in said(answer)


def test_a_new_unit_is_created_only_where_one_may_edit_above(platform: Platform) -> None:
    client = maintainer(platform)

    refused = client.post("/models/new/", NAMED | {"unit": "Bank/Cards"})
    model = registered(client, unit="Travel/Operations/Delays")

    assert refused.status_code == 422
    assert "You may not register models in" in said(refused)
    assert not Unit.objects.filter(name="Cards").exists()
    assert model.unit.name == "Delays"
    assert model.unit.parent == platform.unit


def test_without_a_role_one_is_told_whom_to_ask(platform: Platform) -> None:
    answer = browser(platform.outsider).get("/models/new/")

    assert answer.status_code == 403
    assert "administrator@example.com" in said(answer)


def test_step_two_saves_metrics_sources_and_people(platform: Platform) -> None:
    client = maintainer(platform)
    model = registered(client)
    url = f"/models/{model.id}/setup/?step=purpose"

    fields = {
        "purpose": "Whom to send a push",
        "data_sources": "Postgres://etl@DWH:5432/crm.pushes\n dwh.sales ",
        "stakeholders": "Ann, head of CRM",
        "m-0-name": "roc_auc",
        "m-0-direction": "higher",
        "m-1-name": "margin",
        "m-1-kind": "business",
        "m-1-unit": "EUR",
    }
    answer = posted(client, url, **fields)

    assert answer.headers["Location"].endswith("?step=risks")
    assert set(model.data_sources.values_list("address", flat=True)) == {"postgresql://dwh/crm.pushes", "dwh.sales"}
    assert {(metric.name, metric.kind, metric.unit) for metric in model.metrics.all()} == {
        ("roc_auc", "technical", ""),
        ("margin", "business", "EUR"),
    }
    assert [(entry.name, entry.role) for entry in model.stakeholders.all()] == [("Ann", "head of CRM")]
    assert 'Ann <span class="faint">head of CRM</span>' in client.get(f"/models/{model.id}/").content.decode()
    posted(client, url, **{"m-1-name": "", "data_sources": "dwh.sales"})
    assert [metric.name for metric in model.metrics.all()] == ["roc_auc"]
    assert list(model.data_sources.values_list("address", flat=True)) == ["dwh.sales"]


def test_wrong_links_and_addresses_keep_what_was_typed(platform: Platform) -> None:
    client = maintainer(platform)
    model = registered(client)

    answer = posted(client, f"/models/{model.id}/setup/?step=purpose", purpose="Pushes", repository_link="git@host", data_sources="x" * 600)

    assert answer.status_code == 422
    assert "This is not a web address" in said(answer)
    assert "is not an address of a data source" in said(answer)
    assert "Pushes" in answer.content.decode()
    assert not DataSource.objects.exists()


def test_a_source_shows_its_canonical_address_and_who_shares_it(platform: Platform) -> None:
    client = maintainer(platform)
    posted(client, f"/models/{registered(client, name='First').id}/setup/?step=purpose", data_sources="postgres://dwh/crm.pushes")

    answer = client.post("/sources/canonical/", {"data_sources": "POSTGRES://DWH:5432/crm.pushes\ns3://new/folder"})

    assert "postgresql://dwh/crm.pushes used by 1 model" in said(answer)
    assert "s3://new/folder new" in said(answer)


def test_step_three_switches_weighs_and_adds_risks(platform: Platform) -> None:
    client = maintainer(platform)
    model = registered(client)
    silent = model.bindings.get(type="no_predictions")
    links = model.bindings.get(type="metadata_unreachable")
    url = f"/models/{model.id}/setup/?step=risks"
    check_policy(client.get(url))

    form = {
        f"{silent.id.hex}-criticality": "2",
        f"{silent.id.hex}-cost_per_day": "310000",
        "metric_out_of_bounds-is_on": "on",
        "metric_out_of_bounds-metric": "roc_auc",
        "metric_out_of_bounds-lower": "0.72",
    }
    off = f"{links.id.hex}-is_on"
    html = client.get(url).content.decode()
    data = {f"{binding.id.hex}-is_on": "on" for binding in model.bindings.all()} | {
        f"{binding.id.hex}-criticality": str(binding.criticality) for binding in model.bindings.all()
    }
    assert off in html
    data.pop(off)
    answer = client.post(url, data | form)

    assert answer.headers["Location"].endswith("?step=connect"), said(answer)
    silent.refresh_from_db()
    links.refresh_from_db()
    assert (silent.criticality, silent.cost_per_day) == (2, 310000)
    assert links.criticality == 0
    assert model.bindings.get(type="metric_out_of_bounds").params == {"metric": "roc_auc", "lower": 0.72}


def test_a_metric_risk_without_limits_is_refused_and_nothing_is_saved(platform: Platform) -> None:
    client = maintainer(platform)
    model = registered(client)

    answer = client.post(f"/models/{model.id}/setup/?step=risks", {"metric_out_of_bounds-is_on": "on", "metric_out_of_bounds-metric": "roc_auc"})

    assert answer.status_code == 422
    assert "give a lower limit, an upper limit or both" in said(answer)
    assert model.bindings.get(type="no_owner").criticality == 2


def test_the_token_is_shown_once_and_a_lost_one_is_replaced(platform: Platform) -> None:
    client = maintainer(platform)
    model = registered(client)
    url = f"/models/{model.id}/setup/?step=connect"

    first = re.search(r"wk_[0-9a-f]{12}_[A-Za-z0-9]+", client.get(url).content.decode())
    again = client.get(url)

    assert first
    assert first[0] not in again.content.decode()
    client.post(f"/models/{model.id}/setup/token/")
    second = re.search(r"wk_[0-9a-f]{12}_[A-Za-z0-9]+", client.get(url).content.decode())
    assert second
    old, new = read_token(first[0]), read_token(second[0])
    assert old
    assert new
    assert holder_of(old) is None
    assert holder_of(new)


def test_the_page_waits_and_turns_green_with_the_first_event(platform: Platform) -> None:
    client = maintainer(platform)
    model = registered(client)
    url = f"/models/{model.id}/setup/waiting/"
    before = client.get(url)
    assert "Waiting for the first event" in said(before)
    assert 'hx-trigger="every 1s"' in before.content.decode()
    check_policy(client.get(f"/models/{model.id}/setup/?step=connect"))

    touch_tokens([token.id for token in model.tokens.all()], now=now())
    platform.predict(model)
    platform.work(seconds=1)
    after = client.get(url)

    assert "The log flows" in said(after)
    assert "First event: predictions" in said(after)
    assert "Schema learned: 1 column" in said(after)
    assert f"/models/{model.id}/" in after.content.decode()
    assert "hx-trigger" not in after.content.decode()


def test_steps_are_reached_again_by_change(platform: Platform) -> None:
    client = maintainer(platform)
    model = registered(client)
    client.get(f"/models/{model.id}/setup/?step=connect")

    page = client.get(f"/models/{model.id}/setup/?step=model")
    answer = posted(client, f"/models/{model.id}/setup/?step=model", name="Propensity, push", business="business_owner@example.com")

    assert "Change" in said(page)
    assert answer.headers["Location"].endswith("?step=connect")
    model.refresh_from_db()
    assert model.name == "Propensity, push"
    assert "Missing: technical owner." in said(client.get(f"/models/{model.id}/setup/"))


def test_the_risk_team_can_be_asked_on_every_step(platform: Platform) -> None:
    accounts.grant_role(platform.outsider, role=Role.RISK_OFFICER, unit=platform.company, actor=platform.actor, now=now())
    client = maintainer(platform)
    model = registered(client)

    pages = [client.get("/models/new/"), *(client.get(f"/models/{model.id}/setup/?step={step}") for step in ("purpose", "risks", "connect"))]

    assert all('href="mailto:outsider@example.com?subject=' in page.content.decode() for page in pages)
    assert f"/models/{model.id}/setup/" in pages[-1].content.decode()


def test_only_those_who_may_edit_set_a_model_up(platform: Platform) -> None:
    model = platform.register()

    assert browser(platform.outsider).get(f"/models/{model.id}/setup/").status_code == 404
    assert browser(platform.validator).get(f"/models/{model.id}/setup/").status_code == 403
    assert browser(platform.validator).post(f"/models/{model.id}/setup/token/").status_code == 403
    assert browser(platform.validator).get(f"/models/{model.id}/setup/waiting/").status_code == 403
    assert browser().get(f"/models/{model.id}/setup/").status_code == 302
