"""Performance and objectives over the REST interface."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.test import Client

from tests.platform import Platform
from tests.risks.story import LabelledModel, scored_row, sized_row
from watchkeeper.analysis.estimates import estimator_of
from watchkeeper.core.clock import ManualClock
from watchkeeper.ingest.outcome_histories import segment_histories
from watchkeeper.ingest.relations import want_relations
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.wire import Stream

START_DAYS = 60


@pytest.fixture
def clock() -> ManualClock:
    """Begins so long ago that the days pass until now: REST reads the real clock."""
    return ManualClock(datetime.now(UTC) - timedelta(days=START_DAYS))


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


def _watched(platform: Platform, clock: ManualClock, *, good: int, flat: int = 0) -> RegisteredModel:
    """Days with labels until now; in the last `flat` of them scores say nothing any more."""
    clock.advance(timedelta(days=START_DAYS - good - flat - 2))
    model = platform.register()
    labelled = LabelledModel(platform, model)
    labelled.days(good)
    if flat:
        labelled.days(flat, truth=lambda _score: 0.5)
    return model


def test_estimates_are_told_beside_what_came_out(platform: Platform, api: Client, clock: ManualClock) -> None:
    model = _watched(platform, clock, good=42)
    history = segment_histories([model.id], now=datetime.now(UTC))[model.id]
    estimator = estimator_of(history)
    assert estimator

    answer = api.get(f"/api/v1/models/{model.id}/estimates?metric=accuracy").json()

    days = tuple(history.by_day)[-7:]
    expected = estimator.parts("accuracy", days)
    last = answer["items"][-1]
    assert (answer["metric"], answer["window"], answer["reason"], answer["is_distrusted"]) == ("accuracy", 7, None, False)
    assert [len(answer["items"]), last["first_day"], last["last_day"]] == [6, days[0].isoformat(), days[-1].isoformat()]
    assert last["estimated"] == {
        "estimate": expected.result.estimate,
        "low": expected.result.low,
        "high": expected.result.high,
        "n": 840,
        "validity": "ok",
        "label_sd": expected.label_sd,
        "calibration_sd": expected.map_sd,
    }
    assert {entry["is_mature"] for entry in answer["items"]} == {True}
    assert last["realised"] == answer["record"]["tested"][-1]["realised"]
    assert [entry["is_hit"] for entry in answer["record"]["tested"]] == [True, True]
    assert {"first_day": last["first_day"], "last_day": last["last_day"], **last["estimated"]} == {
        **answer["last"],
        "label_sd": expected.label_sd,
        "calibration_sd": expected.map_sd,
    }
    assert answer["learned"]["from"] == "reference days"
    assert answer["learned"]["spread"] >= 1
    assert answer["learned"]["reference"]["estimate"] == estimator.reference("accuracy").estimate


def test_an_estimate_that_the_truth_missed_twice_is_distrusted(platform: Platform, api: Client, clock: ManualClock) -> None:
    model = _watched(platform, clock, good=28, flat=14)

    answer = api.get(f"/api/v1/models/{model.id}/estimates").json()

    record = answer["record"]
    assert (answer["metric"], answer["is_distrusted"], record["trust"]) == ("roc_auc", True, "distrusted")
    assert [entry["is_hit"] for entry in record["tested"]] == [False, False]
    assert (record["windows"], record["coverage"]) == (2, 0.0)
    assert all(entry["realised"]["estimate"] < entry["estimated"]["low"] for entry in record["tested"])


def test_before_any_label_estimates_are_made_of_validation_rows(platform: Platform, api: Client) -> None:
    model = platform.register()
    rng = np.random.default_rng(1)
    platform.send(model, Stream.TRAINING, [{"version": "1", "validation": [scored_row(rng) for _ in range(1000)]}])
    LabelledModel(platform, model, delay=timedelta(days=400)).days(2, row=lambda rng: {**scored_row(rng), "version": "1"})

    answer = api.get(f"/api/v1/models/{model.id}/estimates?window=1").json()

    assert (answer["learned"]["from"], answer["learned"]["labelled"], answer["record"]["trust"]) == ("validation rows", 1000, "untested")
    assert [entry["is_mature"] for entry in answer["items"]] == [False, False]
    assert [entry["realised"]["estimate"] for entry in answer["items"]] == [None, None]
    assert all(entry["estimated"]["low"] < 0.83 < entry["estimated"]["high"] for entry in answer["items"])


@pytest.mark.parametrize(
    ("days", "query", "reason"),
    [(0, "", "not learned yet"), (3, "", "not learned yet"), (10, "?metric=log_loss", "not told by scores")],
)
def test_why_nothing_is_estimated(platform: Platform, api: Client, days: int, query: str, reason: str) -> None:
    model = platform.register()
    if days:
        LabelledModel(platform, model).days(days)

    answer = api.get(f"/api/v1/models/{model.id}/estimates{query}").json()

    assert (answer["reason"], answer["items"], answer["record"]) == (reason, [], None)


def test_the_errors_of_a_regression_are_estimated_in_the_same_shape(platform: Platform, api: Client, clock: ManualClock) -> None:
    clock.advance(timedelta(days=START_DAYS - 46))
    model = platform.register(problem_type="regression")
    labelled = LabelledModel(platform, model, delay=timedelta(days=4))
    labelled.days(34, row=sized_row())
    want_relations(model, now=clock.now())  # as the first call does, by the real clock
    first = api.get(f"/api/v1/models/{model.id}/estimates").json()
    labelled.days(10, row=sized_row())

    answer, other = (api.get(f"/api/v1/models/{model.id}/estimates?window=1{query}").json() for query in ("", "&metric=bias"))

    assert (first["metric"], first["reason"]) == ("mean_absolute_error", "not learned yet")
    assert (answer["metric"], answer["reason"], answer["is_distrusted"]) == ("mean_absolute_error", None, False)
    assert [entry["is_hit"] for entry in answer["record"]["tested"]] == [True]
    assert answer["learned"]["r_squared"] > 0.1
    assert answer["learned"]["reference"]["validity"] == "ok"
    last = answer["items"][-1]
    assert (last["is_mature"], last["realised"]["estimate"]) == (False, None)
    assert last["estimated"]["low"] < last["estimated"]["estimate"] < last["estimated"]["high"]
    assert (last["estimated"]["validity"], last["estimated"]["label_sd"], last["estimated"]["n"]) == ("ok", None, 120)
    assert (other["reason"], other["items"]) == ("not told by predictions", [])


def test_a_constant_has_no_estimate_and_its_audits_can_be_listed(platform: Platform, api: Client, clock: ManualClock) -> None:
    model = platform.register(problem_type="regression")
    labelled = LabelledModel(platform, model)
    labelled.days(28, row=lambda rng: {"prediction": 1.0, "label": float(rng.normal(1, 1))})
    want_relations(model, now=clock.now())
    platform.work(minutes=2)

    answer = api.get(f"/api/v1/models/{model.id}/estimates").json()

    assert (answer["metric"], answer["reason"]) == ("mean_absolute_error", "no better than a constant")
    assert api.get(f"/api/v1/models/{model.id}/audits").json() == {"items": []}


def test_a_metric_that_there_is_not_is_named_with_those_there_are(platform: Platform, api: Client) -> None:
    model = platform.register()
    LabelledModel(platform, model).days(2)

    answer = api.get(f"/api/v1/models/{model.id}/estimates?metric=mape")

    assert answer.status_code == 404
    assert "roc_auc" in answer.json()["remedy"]
    assert api.get(f"/api/v1/models/{model.id}/estimates?window=2").status_code == 422


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
