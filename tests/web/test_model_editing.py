"""The passport, owners, metrics, sources and tokens are changed on the model's pages, with a reason that stays."""

from __future__ import annotations

from typing import Any

from django.test import Client

from tests.platform import Platform
from watchkeeper.registry.models import RegisteredModel


def passport(model: RegisteredModel, **changed: str) -> dict[str, str]:
    fields: dict[str, Any] = {  # Any: values of a form
        "name": model.name,
        "unit": str(model.unit_id),
        "kind": model.kind,
        "problem_type": "",
        "stage": model.stage,
        "tier": "2",
        "purpose": "",
        "repository_link": "",
        "documentation_link": "",
        "tags": "",
        "custom_fields": "",
        "timezone": "UTC",
        "cron": "",
        "grace": "",
        "reason": "",
    }
    return fields | changed


def test_the_passport_is_changed_with_a_reason(owner: Client, platform: Platform) -> None:
    model = platform.register()
    changed = passport(model, purpose="Crews", tags="a, b", custom_fields="Exposure: 38 M", cron="0 6 * * *", grace="2h", reason="asked by audit")

    answer = owner.post(f"/models/{model.id}/passport/edit/", changed)

    model.refresh_from_db()
    assert answer.status_code == 302
    assert (model.purpose, model.tags, model.custom_fields) == ("Crews", ["a", "b"], {"Exposure": "38 M"})
    assert model.expected == {"cron": "0 6 * * *", "timezone": "UTC", "grace": "2h"}
    assert "asked by audit" in owner.get(f"/models/{model.id}/changes/").content.decode()


def test_a_wrong_field_is_said_beside_it(owner: Client, platform: Platform) -> None:
    model = platform.register()

    answer = owner.post(f"/models/{model.id}/passport/edit/", passport(model, timezone="Mars/North", purpose="kept"))

    assert answer.status_code == 422
    assert "kept" in answer.content.decode()
    assert "Mars/North" in answer.content.decode()


def test_a_gap_is_shown_as_missing(owner: Client, platform: Platform) -> None:
    model = platform.register()

    html = owner.get(f"/models/{model.id}/").content.decode()

    assert html.count(">missing<") >= 3


def test_owners_are_replaced_in_one_call(owner: Client, platform: Platform) -> None:
    model = platform.register()

    owner.post(f"/models/{model.id}/owners/", {"technical": [f"person:{platform.owner.id}", f"person:{platform.validator.id}"], "business": []})

    assert sorted(str(entry) for entry in model.ownerships.all()) == ["owner", "validator"]


def test_metrics_and_sources_come_and_go(owner: Client, platform: Platform) -> None:
    model = platform.register()

    owner.post(f"/models/{model.id}/metrics/declare/", {"name": "mape", "kind": "technical", "direction": "lower", "unit": "%"})
    owner.post(f"/models/{model.id}/sources/", {"addresses": "dwh.sales.receipts"})
    assert model.metrics.get().direction == "lower"
    source = model.data_sources.get()

    owner.post(f"/models/{model.id}/metrics/remove/", {"name": "mape"})
    owner.post(f"/models/{model.id}/sources/remove/", {"source": str(source.id)})
    assert (model.metrics.count(), model.data_sources.count()) == (0, 0)


def test_a_new_token_is_shown_once(owner: Client, platform: Platform) -> None:
    model = platform.register()
    url = f"/models/{model.id}/tokens/"

    shown = owner.post(url + "rotate/", follow=True).content.decode()

    assert "shown only now" in shown
    assert "shown only now" not in owner.get(url).content.decode()


def test_a_token_is_revoked(owner: Client, platform: Platform) -> None:
    model = platform.register()
    token = model.tokens.get()

    owner.post(f"/models/{model.id}/tokens/{token.id}/revoke/")

    token.refresh_from_db()
    assert token.revoked_at is not None


def test_a_model_is_retired_and_restored(owner: Client, platform: Platform) -> None:
    model = platform.register()

    owner.post(f"/models/{model.id}/retire/", {"reason": "replaced"})
    model.refresh_from_db()
    assert model.stage == "retired"
    assert model.name not in owner.get("/").content.decode()

    owner.post(f"/models/{model.id}/restore/")
    model.refresh_from_db()
    assert model.stage == "production"


def test_who_may_not_edit_is_refused(client: Client, platform: Platform) -> None:
    model = platform.register()
    client.force_login(platform.validator)

    for action in ("passport/edit", "owners", "metrics/declare", "metrics/remove", "sources", "tokens/rotate", "retire", "restore"):
        assert client.post(f"/models/{model.id}/{action}/", {"name": "x"}).status_code == 403, action
