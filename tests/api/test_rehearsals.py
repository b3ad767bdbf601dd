"""Rehearsals and the starter set over the REST interface."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from tests.platform import Platform
from watchkeeper.core.clock import ManualClock
from watchkeeper.core.text import Text
from watchkeeper.history.models import Change
from watchkeeper.registry import services as registry
from watchkeeper.registry.models import RegisteredModel

RISK = {"type": "metric_out_of_bounds", "params": {"metric": "mape", "upper": 12}, "schedule": {"every": "1d"}}


@pytest.fixture
def clock() -> ManualClock:
    """Begins so long ago that the days pass until now: REST reads the real clock."""
    return ManualClock(datetime.now(UTC) - timedelta(days=61))


@pytest.fixture
def api(client: Client, platform: Platform) -> Client:
    client.force_login(platform.owner)
    return client


@pytest.fixture
def measured(platform: Platform) -> RegisteredModel:
    """Sixty days of a metric, too high on every tenth; no incident."""
    model = platform.register()
    platform.only(model, "stale_model")
    registry.declare_metric(model, name="mape", direction="lower", actor=platform.actor, now=platform.clock.now())
    for day in range(60):
        platform.measure(model, "mape", 14.0 if day % 10 == 5 else 9.0 + day % 3)
        platform.work(days=1)
    return model


def post(api: Client, model: RegisteredModel, path: str, body: dict[str, Any]) -> Any:  # Any: the test client's response
    return api.post(f"/api/v1/models/{model.id}/{path}", body, content_type="application/json")


def test_a_rehearsal_is_answered_in_numbers_and_proved_by_its_receipt(api: Client, measured: RegisteredModel) -> None:
    found = post(api, measured, "risks/rehearsal", RISK | {"days": 90}).json()

    assert found["can_be_replayed"]
    assert (found["fired"], found["not_confirmed"], found["caught"], found["missed"]) == (6, 6, [], [])
    assert found["suggested"]["upper"] > 14
    assert post(api, measured, "risks", RISK | {"rehearsal": found["receipt"], "n": 2, "m": 2}).status_code == 422
    made = post(api, measured, "risks", RISK | {"rehearsal": found["receipt"]})
    assert made.status_code == 201
    change = Change.objects.get(action="bound", object_id=made.json()["id"])
    assert "alarms: 6" in Text.from_json(change.after["rehearsed"]).render()


def test_a_bound_risk_is_rehearsed_as_it_is_or_with_changes(api: Client, measured: RegisteredModel) -> None:
    id = post(api, measured, "risks", RISK).json()["id"]

    as_it_is = post(api, measured, f"risks/{id}/rehearsal", {}).json()
    changed = post(api, measured, f"risks/{id}/rehearsal", {"params": {"metric": "mape", "upper": 20}}).json()

    assert (as_it_is["fired"], changed["fired"]) == (6, 0)


def test_what_cannot_be_replayed_says_why(api: Client, measured: RegisteredModel) -> None:
    found = post(api, measured, "risks/rehearsal", {"type": "no_owner"}).json()

    assert found["can_be_replayed"] is False
    assert "present state" in found["why_not"]
    assert post(api, measured, "risks/rehearsal", RISK | {"days": 4000}).status_code == 422


def test_the_starter_set_proposes_bounds_of_a_metric_and_binds_them(api: Client, measured: RegisteredModel) -> None:
    proposals = api.get(f"/api/v1/models/{measured.id}/starter-set").json()["items"]
    (bounds,) = [proposal for proposal in proposals if proposal["type"] == "metric_out_of_bounds"]
    assert bounds["params"]["metric"] == "mape"
    assert bounds["params"]["upper"] >= 14
    assert bounds["is_recommended"]

    made = post(api, measured, "starter-set", {"receipts": [bounds["receipt"]]})

    assert made.status_code == 201
    assert [risk["type"] for risk in made.json()["items"]] == ["metric_out_of_bounds"]
    left = api.get(f"/api/v1/models/{measured.id}/starter-set").json()["items"]
    assert "metric_out_of_bounds" not in [proposal["type"] for proposal in left]
    assert post(api, measured, "starter-set", {"receipts": [bounds["receipt"]]}).status_code == 409
