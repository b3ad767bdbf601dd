"""What REST adds to a passport is seen by the risks at once, not at their next interval."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from tests.platform import Platform
from watchkeeper.core.clock import ManualClock

METRIC, SOURCES = {"name": "roc_auc"}, {"addresses": ["postgres://dwh/sales.orders"]}


@pytest.fixture
def clock() -> ManualClock:
    """Begins now: REST reads the real clock."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def client(client: Client, platform: Platform) -> Client:
    client.force_login(platform.owner)
    return client


@pytest.mark.parametrize(("risk", "part", "body"), [("no_metrics", "metrics", METRIC), ("no_data_sources", "sources", SOURCES)])
def test_a_gap_closes_and_opens_at_once(client: Client, platform: Platform, risk: str, part: str, body: dict[str, Any]) -> None:
    model = platform.register()
    binding = platform.only(model, risk, schedule={"on": "event"})
    platform.work()
    assert platform.condition(binding) == "firing"

    added = client.post(f"/api/v1/models/{model.id}/{part}", body, content_type="application/json")
    platform.work(minutes=1)
    assert (added.status_code, platform.condition(binding)) == (201, "ok")

    name = "roc_auc" if part == "metrics" else model.data_sources.get().id
    removed = client.delete(f"/api/v1/models/{model.id}/{part}/{name}")
    platform.work(minutes=1)
    assert (removed.status_code, platform.condition(binding)) == (204, "firing")


@pytest.mark.parametrize("tier", [0, 4, -1, 10**6])
def test_a_tier_that_is_none_is_refused_in_words(client: Client, platform: Platform, tier: int) -> None:
    model = platform.register()
    client.force_login(platform.administrator)

    answers = [
        client.post("/api/v1/models", {"name": "another", "unit": str(platform.unit.id), "tier": tier}, content_type="application/json"),
        client.patch(f"/api/v1/models/{model.id}", {"tier": tier}, content_type="application/json"),
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[1].json()["fields"] == {"tier": "1-3"}


def test_a_field_without_a_value_is_left_out_at_first_and_refused_later(client: Client, platform: Platform) -> None:
    client.force_login(platform.administrator)
    made = client.post("/api/v1/models", {"name": "another", "tier": None, "tags": None}, content_type="application/json")
    assert made.status_code == 201

    refused = client.patch(f"/api/v1/models/{made.json()['id']}", {"tier": None}, content_type="application/json")
    assert (refused.status_code, refused.json().get("fields")) == (422, {"tier": "required"}), refused.json()
