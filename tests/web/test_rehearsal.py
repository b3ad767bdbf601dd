"""A risk is rehearsed beside its form, and a starter set is bound with one click; the history of changes says what was shown."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.test import Client

from tests.platform import Platform
from tests.web.test_risk_editor import NEW
from watchkeeper.core.text import Text
from watchkeeper.history.models import Change
from watchkeeper.incidents import rehearsing
from watchkeeper.monitoring.models import RiskBinding
from watchkeeper.registry.models import RegisteredModel

LOUD = NEW | {"schedule": "cron", "cron": "0 13 * * *"}


@pytest.fixture
def measured(platform: Platform) -> RegisteredModel:
    """Sixty days of a metric, too high on every tenth; no incident."""
    model = platform.register()
    platform.only(model, "stale_model")
    for day in range(60):
        platform.measure(model, "mape", 14.0 if day % 10 == 5 else 9.0 + day % 3)
        platform.work(days=1)
    return model


def test_a_rehearsal_tells_what_the_form_would_have_fired_and_writes_nothing(owner: Client, measured: RegisteredModel) -> None:
    changes, bindings = Change.objects.count(), RiskBinding.objects.count()

    page = owner.post(f"/models/{measured.id}/risks/rehearse/?type=metric_out_of_bounds", LOUD).content.decode()

    assert "6 times" in page
    assert "not confirmed by an incident" in page
    assert (Change.objects.count(), RiskBinding.objects.count()) == (changes, bindings)


def test_the_suggested_limit_goes_into_the_form_and_its_numbers_into_the_change(owner: Client, measured: RegisteredModel) -> None:
    page = owner.post(f"/models/{measured.id}/risks/rehearse/?type=metric_out_of_bounds", LOUD).content.decode()
    takes = taken(page, "Take this limit")
    assert 14 <= float(takes["p-upper"]) < 20

    owner.post(f"/models/{measured.id}/risks/add/?type=metric_out_of_bounds", LOUD | takes)

    change = Change.objects.get(action="bound", after__type="metric_out_of_bounds")
    assert "alarms: 0" in said_of(change)
    assert "alarms: 0" in owner.get(f"/models/{measured.id}/changes/").content.decode()


def taken(page: str, button: str) -> dict[str, str]:
    found = re.search(rf'data-takes="([^"]+)">{button}<', page)
    assert found
    read: dict[str, str] = json.loads(html.unescape(found[1]))
    return read


def said_of(change: Change) -> str:
    return Text.from_json(change.after["rehearsed"]).render()


def test_numbers_of_another_rule_or_made_up_ones_are_not_written_down(owner: Client, measured: RegisteredModel) -> None:
    page = owner.post(f"/models/{measured.id}/risks/rehearse/?type=metric_out_of_bounds", LOUD).content.decode()
    receipt = re.search(r'name="rehearsal" value="([^"]+)"', page)
    assert receipt

    for upper, proof in (("13", receipt[1]), ("12", receipt[1][:-1] + "x"), ("12", "alarms: 0")):
        owner.post(f"/models/{measured.id}/risks/add/?type=metric_out_of_bounds", LOUD | {"p-upper": upper, "rehearsal": proof})

    changes = Change.objects.filter(action="bound", after__type="metric_out_of_bounds")
    assert [("rehearsed" in change.after) for change in changes] == [False, False, False]


def test_a_risk_that_exists_is_rehearsed_as_the_form_would_change_it(owner: Client, platform: Platform, measured: RegisteredModel) -> None:
    binding = platform.bind(measured, "metric_out_of_bounds", params={"metric": "mape", "upper": 20}, schedule={"cron": "0 13 * * *"})
    url = f"/models/{measured.id}/risks/rehearse/?binding={binding.id}"

    page = owner.post(url, LOUD).content.decode()
    receipt = re.search(r'name="rehearsal" value="([^"]+)"', page)
    assert receipt
    owner.post(f"/models/{measured.id}/risks/{binding.id}/", LOUD | {"rehearsal": receipt[1]})

    assert "6 times" in page
    assert "alarms: 6" in said_of(Change.objects.get(action="edited", object_id=str(binding.id)))


def test_what_cannot_be_replayed_says_why(owner: Client, platform: Platform) -> None:
    model = platform.register()

    page = owner.post(f"/models/{model.id}/risks/rehearse/?type=quarantine_growing", {**NEW, "p-max_share": "0.1", "p-min_rows": "20"}).content

    assert "kept for 30 days" in page.decode()


def test_fields_that_are_wrong_are_named(owner: Client, measured: RegisteredModel) -> None:
    page = owner.post(f"/models/{measured.id}/risks/rehearse/?type=metric_out_of_bounds", LOUD | {"n": "3", "m": "1"}).content.decode()

    assert "cannot be rehearsed yet" in page
    assert "and in n" in page


@pytest.fixture
def sending(platform: Platform) -> RegisteredModel:
    """Forty days of predictions with a feature that is often null on some of them."""
    model = platform.register()
    platform.train(model, reference=rows(0.0, seed=99))
    for day in range(12):
        platform.predict_features(model, rows(0.5 if day == 8 else 0.0, seed=day))
        platform.work(days=1)
    return model


def rows(nulls: float, *, seed: int) -> list[dict[str, Any]]:  # Any: values of features
    rng = np.random.default_rng(seed)
    return [{"x": None if rng.uniform() < nulls else float(rng.normal())} for _ in range(200)]


def test_a_starter_set_is_bound_with_one_click(owner: Client, platform: Platform, sending: RegisteredModel) -> None:
    url = f"/models/{sending.id}/risks/starter/"
    page = owner.get(f"{url}proposals/").content.decode()
    receipts = re.findall(r'name="receipt" value="([^"]+)" id="s-\d+" checked', page)
    assert "Missing values" in page
    assert "Performance drop" not in page  # no labels
    assert "Rehearsing each" in owner.get(url).content.decode()

    answer = owner.post(url, {"receipt": receipts})

    assert answer.status_code == 302
    assert len(receipts) > 2
    changes = Change.objects.filter(action="bound", model_id=sending.id, after__has_key="rehearsed")
    assert {change.after["type"] for change in changes} >= {"missing_values", "feature_drift"}
    assert len(changes) == len(receipts)
    assert "Missing values" not in owner.get(f"{url}proposals/").content.decode()


def test_a_starter_set_is_bound_whole_or_not_at_all(owner: Client, platform: Platform, sending: RegisteredModel) -> None:
    url = f"/models/{sending.id}/risks/starter/"
    receipts = re.findall(r'name="receipt" value="([^"]+)"', owner.get(f"{url}proposals/").content.decode())
    platform.bind(sending, "missing_values")
    bound = sending.bindings.count()

    for chosen in (receipts, [*receipts[:1], "made up"], []):
        owner.post(url, {"receipt": chosen})

        assert sending.bindings.count() == bound


def test_proposals_of_one_model_bind_nothing_on_another(owner: Client, platform: Platform, sending: RegisteredModel) -> None:
    receipts = re.findall(r'name="receipt" value="([^"]+)"', owner.get(f"/models/{sending.id}/risks/starter/proposals/").content.decode())
    other = platform.register("Other")
    bound = other.bindings.count()

    owner.post(f"/models/{other.id}/risks/starter/", {"receipt": receipts})

    assert other.bindings.count() == bound


def test_incidents_that_people_called_a_wrong_rule_are_not_to_be_caught(platform: Platform) -> None:
    model = platform.register()
    binding = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, schedule={"cron": "0 13 * * *"})
    numbers = []
    for cause in ("rule_wrong", "data_gaps"):
        platform.measure(model, "mape", 15.0)
        platform.work(days=1, hours=2)
        incident = platform.incident(binding)
        assert incident
        numbers.append(incident.number)
        incident.cause = cause
        incident.save(update_fields=["cause"])
        platform.measure(model, "mape", 9.0)
        platform.work(days=1, hours=2)

    found = rehearsing.rehearse_risk(model, wanted=rehearsing.wanted_as(binding), now=platform.clock.now() + timedelta(hours=1)).rehearsal

    assert found
    assert found.numbers == {numbers[1]}
    assert len(found.unconfirmed) == 1
