"""Performance and objectives over the REST interface."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from tests.platform import Platform
from tests.risks.story import LabelledModel
from watchkeeper.core.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Begins so long ago that the days pass until now: REST reads the real clock."""
    return ManualClock(datetime.now(UTC) - timedelta(days=11))


@pytest.fixture
def api(client: Client, platform: Platform) -> Client:
    client.force_login(platform.owner)
    return client


def test_performance_is_told_by_day_with_its_maturity(platform: Platform, api: Client) -> None:
    model = platform.register()
    LabelledModel(platform, model).days(10)

    answer = api.get(f"/api/v1/models/{model.id}/performance").json()

    assert answer["kind"] == "decisions"
    assert [item["is_mature"] for item in answer["items"]] == [True] * 10
    assert {item["labelled"] for item in answer["items"]} == {120}
    auc = answer["items"][0]["metrics"]["roc_auc"]
    assert auc["low"] < auc["estimate"] < auc["high"]
    assert len(api.get(f"/api/v1/models/{model.id}/performance?days=7").json()["items"]) == 7
    assert api.get(f"/api/v1/models/{model.id}/performance?days=week").status_code == 422


def test_an_objective_tells_its_budget(platform: Platform, api: Client) -> None:
    model = platform.register()
    binding = platform.bind(model, "slo_burn", params={"target": 0.7})
    assert api.get(f"/api/v1/models/{model.id}/slo").json()["items"][0]["labelled"] is None

    LabelledModel(platform, model).days(10)
    item = api.get(f"/api/v1/models/{model.id}/slo").json()["items"][0]

    assert item["risk_id"] == str(binding.id)
    assert item["labelled"] == 1200
    assert 0 < item["good"] < 1200
    assert item["target"] == 0.7


def test_a_model_without_labels_has_no_days(platform: Platform, api: Client) -> None:
    model = platform.register()

    assert api.get(f"/api/v1/models/{model.id}/performance").json() == {"kind": None, "items": []}
