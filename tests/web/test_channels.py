"""Channels, deliveries and silences in the pages."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.platform import Platform
from tests.web.reading import browser, check_policy, said
from watchkeeper import channels
from watchkeeper.accounts import services as accounts
from watchkeeper.accounts.models import Role
from watchkeeper.alerts.models import Channel, Message, Notification, Silence
from watchkeeper.core.secrets import decrypt
from watchkeeper.web.page import now

WEBHOOK = {
    "kind": "webhook",
    "name": "duty",
    "of": "me",
    "c-url": "https://hooks.example.com/x",
    "c-secret": "",
    "c-headers": "Authorization: Bearer 1f0e",
}


@pytest.mark.parametrize("key", channels.catalogue())
def test_every_kind_of_channel_has_a_page(platform: Platform, key: str) -> None:
    kind = channels.get(key)

    answer = browser(platform.outsider).get(f"/channels/kinds/{key}/")

    check_policy(answer)
    assert kind.title in said(answer)
    assert [name for name in kind.config.model_fields if name not in said(answer)] == []
    assert [example.title for example in kind.examples if example.title not in said(answer)] == []
    assert f"/channels/kinds/{key}/" in browser(platform.outsider).get(f"/channels/new/?kind={key}").content.decode()


def test_a_webhook_shows_its_secret_once_and_then_stars(platform: Platform) -> None:
    client = browser(platform.owner)
    assert "Signed webhook" in said(client.get("/channels/new/"))
    check_policy(client.get("/channels/new/?kind=webhook"))

    made = client.post("/channels/new/", WEBHOOK)
    channel = Channel.objects.get()
    first, second = client.get(made.headers["Location"]), client.get(made.headers["Location"])

    secret = decrypt(channel.config)["secret"]
    assert channel.person == platform.owner
    assert decrypt(channel.config)["headers"] == {"Authorization": "Bearer 1f0e"}
    assert secret in first.content.decode()
    assert secret not in second.content.decode()
    assert "1f0e" not in second.content.decode()
    check_policy(second)


def test_stars_keep_the_secrets_unless_the_address_changes(platform: Platform) -> None:
    client = browser(platform.owner)
    url = client.post("/channels/new/", WEBHOOK).headers["Location"]
    before = decrypt(Channel.objects.get().config)
    stars = {"name": "night duty", "c-url": WEBHOOK["c-url"], "c-secret": "**********", "c-headers": "Authorization: **********"}

    kept = client.post(url, stars)
    moved = client.post(url, stars | {"c-url": "https://thief.example.com/"})

    channel = Channel.objects.get()
    assert kept.status_code == 302
    assert (channel.name, decrypt(channel.config)) == ("night duty", before)
    assert moved.status_code == 422
    assert "give it again" in said(moved)


def test_wrong_settings_stand_beside_their_field_and_keep_what_was_typed(platform: Platform) -> None:
    answer = browser(platform.owner).post("/channels/new/", WEBHOOK | {"c-url": "ftp://host", "name": "night duty"})

    assert answer.status_code == 422
    assert "must begin with https://" in said(answer)
    assert 'value="night duty"' in answer.content.decode()
    assert not Channel.objects.exists()


def test_an_e_mail_form_has_numbers_choices_and_lists(platform: Platform) -> None:
    form = {
        "kind": "email",
        "name": "team",
        "of": "me",
        "c-host": "relay.example.com",
        "c-port": "25",
        "c-security": "none",
        "c-from_address": "ml@example.com",
    }

    browser(platform.owner).post("/channels/new/", form | {"c-to": "a@example.com\nb@example.com", "c-username": "", "c-password": ""})

    config = decrypt(Channel.objects.get().config)
    assert (config["port"], config["security"], config["to"]) == (25, "none", ["a@example.com", "b@example.com"])


def test_channels_of_models_and_units_need_the_right_to_edit(platform: Platform) -> None:
    model = platform.register()
    owner, validator, outsider = browser(platform.owner), browser(platform.validator), browser(platform.outsider)

    owner.post("/channels/new/", WEBHOOK | {"of": f"model:{model.id}"})
    refused = [
        client.post("/channels/new/", WEBHOOK | {"of": of})
        for client in (validator, outsider)
        for of in (f"model:{model.id}", f"unit:{platform.unit.id}")
    ]

    channel = Channel.objects.get()
    assert channel.model == model
    assert {answer.status_code for answer in refused} == {422}
    url = f"/channels/{channel.id}/"
    assert {client.get(url).status_code for client in (validator, outsider)} == {404}
    assert {client.post(f"{url}remove/").status_code for client in (validator, outsider)} == {404}
    assert {client.post(f"{url}test/").status_code for client in (validator, outsider)} == {404}
    assert "duty" in said(owner.get("/channels/"))
    assert "duty" not in said(validator.get("/channels/"))
    owner.post(f"{url}remove/")
    assert "No channels yet" in said(owner.get("/channels/"))


def test_a_test_says_what_came_of_it_and_a_failing_channel_says_since_when(platform: Platform) -> None:
    client = browser(platform.owner)
    client.post("/channels/new/", WEBHOOK | {"c-url": "http://10.0.0.1/hook", "c-headers": ""})
    channel = Channel.objects.get()

    answer = client.post(f"/channels/{channel.id}/test/", follow=True)

    assert "The test did not arrive through duty" in said(answer)
    assert "fails for" in said(client.get("/channels/"))


def fired(platform: Platform) -> tuple[Any, Any]:  # Any: model and incident
    model = platform.register()
    risk = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, criticality=3)
    platform.measure(model, "mape", 18.4)
    platform.work(minutes=10)
    return model, platform.incident(risk)


def test_the_delivery_log_says_who_was_told_and_why(platform: Platform) -> None:
    _model, incident = fired(platform)
    client = browser(platform.owner)

    page = client.get(f"/deliveries/?incident={incident.number}")

    check_policy(page)
    assert re.search(r"Late flights opened · Metric out of bounds · # ?\d+ owner technical owner inbox", said(page))
    assert "business owner" in said(page)
    assert "Late flights" not in said(client.get("/deliveries/?state=suppressed"))
    assert "Late flights" not in said(browser(platform.outsider).get("/deliveries/"))
    assert browser(platform.outsider).get(f"/deliveries/?incident={incident.number}").status_code == 404


def test_a_dead_letter_is_sent_again_by_those_who_may_edit_its_channel(platform: Platform) -> None:
    model = platform.register()
    platform.webhook("http://10.0.0.1/hook", model=model)
    risk = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, criticality=3)
    platform.measure(model, "mape", 18.4)
    platform.work(minutes=10)
    platform.work(minutes=1)
    letter = Message.objects.get(state="dead")
    client = browser(platform.owner)

    assert platform.incident(risk)
    assert "Dead letters" in said(client.get("/deliveries/"))
    assert browser(platform.validator).post(f"/deliveries/{letter.key}/again/").status_code == 404
    client.post(f"/deliveries/{letter.key}/again/")

    letter.refresh_from_db()
    assert letter.state == "waiting"


def test_a_silence_is_declared_and_ended(platform: Platform) -> None:
    model = platform.register()
    client = browser(platform.owner)
    check_policy(client.get("/silences/"))
    form = {
        "about": f"model:{model.id}",
        "risk_type": "no_predictions",
        "hours": "4",
        "until": "",
        "reason": "moving the service",
        "is_maintenance": "on",
    }

    wrong = client.post("/silences/", form | {"reason": "", "until": "2020-01-01T00:00"})
    client.post("/silences/", form)

    silence = Silence.objects.get()
    assert wrong.status_code == 422
    assert 'value="2020-01-01T00:00"' in wrong.content.decode()
    assert (silence.model, silence.risk_type, silence.is_maintenance, silence.created_by) == (model, "no_predictions", True, platform.owner)
    assert "moving the service" in said(browser(platform.validator).get("/silences/"))
    assert browser(platform.validator).post(f"/silences/{silence.id}/end/").status_code == 403
    assert browser(platform.outsider).post(f"/silences/{silence.id}/end/").status_code == 404
    client.post(f"/silences/{silence.id}/end/")
    assert "Nothing is silenced" in said(client.get("/silences/"))


def test_a_silence_in_the_past_is_refused(platform: Platform) -> None:
    model = platform.register()

    answer = browser(platform.owner).post(
        "/silences/", {"about": f"model:{model.id}", "risk_type": "", "hours": "4", "until": "2020-01-01T00:00", "reason": "late"}
    )

    assert answer.status_code == 422
    assert "ends in the future" in said(answer)
    assert 'value="late"' in answer.content.decode()


def test_whoever_may_not_edit_declares_no_silence(platform: Platform) -> None:
    model = platform.register()

    for who in (platform.validator, platform.outsider):
        client = browser(who)
        client.post("/silences/", {"about": f"model:{model.id}", "risk_type": "", "hours": "4", "until": "", "reason": "quiet"})
        assert "New silence" not in said(client.get("/silences/"))

    assert not Silence.objects.exists()


def test_a_maintainer_silences_the_unit(platform: Platform) -> None:
    accounts.grant_role(platform.outsider, role=Role.MAINTAINER, unit=platform.unit, actor=platform.actor, now=now())

    browser(platform.outsider).post(
        "/silences/", {"about": f"unit:{platform.unit.id}", "risk_type": "", "hours": "1", "until": "", "reason": "release"}
    )

    assert Silence.objects.get().unit == platform.unit


def test_suppressed_messages_are_listed_with_the_reason(platform: Platform) -> None:
    model, _incident = fired(platform)
    Notification.objects.filter(person=platform.owner).update(suppressed="silenced")

    page = said(browser(platform.owner).get("/deliveries/?state=suppressed"))

    assert model.name in page
    assert "silenced" in page
