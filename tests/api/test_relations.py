"""Features against the outcome over the REST interface: the same numbers as the page."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.test import Client

from tests.platform import Platform
from tests.risks.story import LabelledModel
from tests.web.test_relation import off_in_old_age
from watchkeeper.core.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Begins so long ago that the days pass until now: REST reads the real clock."""
    return ManualClock(datetime.now(UTC) - timedelta(days=42))


@pytest.fixture
def api(client: Client, platform: Platform) -> Client:
    client.force_login(platform.owner)
    return client


def test_means_are_told_by_bins_once_they_are_counted(platform: Platform, api: Client) -> None:
    model = platform.register()
    LabelledModel(platform, model).days(40, rows=60, row=off_in_old_age)
    address = f"/api/v1/models/{model.id}/relations?feature=age&days=7"
    asked = api.get(address).json()
    platform.work(days=2)

    told = api.get(address).json()

    assert (asked["waiting"], told["waiting"]) == (35, 0)
    assert (told["reference"]["labelled"], told["current"]["labelled"]) == (28 * 60, 7 * 60)
    bins = told["reference"]["bins"]
    assert sum(entry["labelled"] for entry in bins) == 28 * 60
    assert [entry["special"] for entry in bins if entry["special"]] == ["null"]
    assert all(before["high"] == after["low"] for before, after in pairwise(bins[:-1]))
    for entry in bins:
        residual = entry["mean_label"]["estimate"] - entry["mean_prediction"]
        assert entry["mean_residual"]["estimate"] == pytest.approx(residual, abs=1e-6)


def test_an_unknown_feature_is_not_found_and_without_labels_there_is_nothing(platform: Platform, api: Client) -> None:
    model, other = platform.register(), platform.register("Another")
    LabelledModel(platform, model).days(10, rows=30, row=off_in_old_age)
    platform.predict(other)
    platform.work(minutes=2)

    assert api.get(f"/api/v1/models/{model.id}/relations?feature=nothing").status_code == 404
    assert api.get(f"/api/v1/models/{model.id}/relations?feature=age&days=8").status_code == 422
    assert api.get(f"/api/v1/models/{other.id}/relations?feature=age").json()["since"] is None
