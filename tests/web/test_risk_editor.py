"""Risks are added, changed and removed on their pages; what is wrong stands beside its field."""

from __future__ import annotations

from django.test import Client

from tests.platform import Platform

NEW = {
    "p-metric": "mape",
    "p-upper": "12",
    "p-mode": "absolute",
    "p-max_age": "35d",
    "criticality": "3",
    "schedule": "every",
    "every": "1h",
    "for_": "0s",
    "n": "1",
    "m": "1",
    "hold": "0s",
    "cost_per_day": "300",
    "action_plan": "Look\nDecide",
}


def test_a_risk_is_added_from_its_schema(owner: Client, platform: Platform) -> None:
    model = platform.register()

    answer = owner.post(f"/models/{model.id}/risks/add/?type=metric_out_of_bounds", NEW)

    assert answer.status_code == 302
    binding = model.bindings.get(type="metric_out_of_bounds")
    assert binding.params == {"metric": "mape", "upper": 12.0}
    assert (binding.criticality, binding.schedule, binding.action_plan) == (3, {"every": "1h"}, ["Look", "Decide"])


def test_a_wrong_parameter_stands_beside_its_field_and_nothing_is_lost(owner: Client, platform: Platform) -> None:
    model = platform.register()

    answer = owner.post(f"/models/{model.id}/risks/add/?type=metric_out_of_bounds", NEW | {"p-max_age": "soon", "every": "3h"})

    html = answer.content.decode()
    assert answer.status_code == 422
    assert 'value="soon"' in html
    assert 'value="3h"' in html
    assert "is not a duration" in html
    assert not model.bindings.filter(type="metric_out_of_bounds").exists()


def test_only_risks_that_fit_are_offered(owner: Client, platform: Platform) -> None:
    model = platform.register(kind="dashboard")

    html = owner.get(f"/models/{model.id}/risks/add/").content.decode()

    assert "?type=metric_out_of_bounds" in html
    assert "?type=no_predictions" not in html


def test_an_edit_keeps_what_is_inherited(owner: Client, platform: Platform) -> None:
    model = platform.register()
    binding = platform.bind(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12})

    answer = owner.post(f"/models/{model.id}/risks/{binding.id}/", NEW | {"p-upper": "14", "reason": "season"})

    binding.refresh_from_db()
    assert answer.status_code == 302
    assert binding.params == {"metric": "mape", "upper": 14.0}
    assert "set here" in owner.get(f"/models/{model.id}/risks/").content.decode()
    assert "season" in owner.get(f"/models/{model.id}/changes/").content.decode()


def test_not_relevant_needs_a_reason(owner: Client, platform: Platform) -> None:
    model = platform.register()
    binding = platform.bind(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12})
    url = f"/models/{model.id}/risks/{binding.id}/"

    assert owner.post(url, NEW | {"criticality": "0"}).status_code == 422
    assert owner.post(url, NEW | {"criticality": "0", "not_relevant_reason": "a test model"}).status_code == 302
    assert "a test model" in owner.get(f"/models/{model.id}/risks/").content.decode()


def test_a_risk_is_evaluated_now_and_removed(owner: Client, platform: Platform) -> None:
    model = platform.register()
    binding = platform.bind(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12})
    platform.work(minutes=1)
    url = f"/models/{model.id}/risks/{binding.id}/"

    owner.post(url + "evaluate/")
    binding.refresh_from_db()
    assert binding.next_due_at == platform.clock.now()

    owner.post(url + "remove/", {"reason": "doubled"})
    binding.refresh_from_db()
    assert binding.removed_at is not None


def test_who_may_not_edit_is_refused(client: Client, platform: Platform) -> None:
    model = platform.register()
    binding = platform.bind(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12})
    client.force_login(platform.validator)

    assert client.post(f"/models/{model.id}/risks/{binding.id}/remove/").status_code == 403
    assert client.post(f"/models/{model.id}/risks/add/?type=no_owner", NEW).status_code == 403
    client.force_login(platform.outsider)
    assert client.post(f"/models/{model.id}/risks/{binding.id}/remove/").status_code == 404
