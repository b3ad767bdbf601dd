"""The Performance page: how right the model was and probably is, by metric and segment, and why it fell."""

import re
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest
from django.test import Client
from numpy.random import Generator

from tests.platform import Platform
from tests.risks.story import LabelledModel, scored_row, sized_row
from tests.web.reading import said
from tests.web.test_relation import off_in_old_age
from watchkeeper.ingest.models import OutcomeProfile
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.wire import Stream


def read(client: Client, model: RegisteredModel, query: str = "") -> str:
    answer = client.get(f"/models/{model.id}/performance/{query}")
    assert answer.status_code == 200
    return answer.content.decode().replace("\u00a0", " ")


@pytest.fixture
def flattened(platform: Platform) -> RegisteredModel:
    """A month as it should be, then two weeks in which the scores of the south say nothing any more."""
    model = platform.register()
    labelled = LabelledModel(platform, model)

    def row(rng, *, is_flat):
        region = "south" if rng.uniform() < 0.5 else "north"
        return {**scored_row(rng, (lambda _score: 0.5) if is_flat and region == "south" else float), "region": region}

    labelled.days(30, row=lambda rng: row(rng, is_flat=False))
    labelled.days(14, row=lambda rng: row(rng, is_flat=True))
    return model


def test_without_labels_it_says_what_to_send(owner: Client, platform: Platform) -> None:
    model = platform.register()

    assert "No label has come yet" in read(owner, model)


def test_with_validation_rows_it_is_estimated_before_any_label(owner: Client, platform: Platform) -> None:
    model = platform.register()
    rng = np.random.default_rng(1)
    rows = [{**scored_row(rng), "region": "north"} for _ in range(1000)]
    platform.send(model, Stream.TRAINING, [{"version": "1", "validation": rows}])
    LabelledModel(platform, model, delay=timedelta(days=400)).days(2, row=lambda rng: {**scored_row(rng), "version": "1", "region": "north"})

    html = read(owner, model)

    assert re.search(r"Estimated ROC AUC 0\.[78]\d", html)
    assert re.search(r"No label is counted yet; on the validation rows it was 0\.[78]\d", html)
    assert "This metric cannot be estimated from scores" in read(owner, model, "?metric=calibration_gap")
    assert "1,000 labels of the validation rows" in html


def test_the_first_weeks_are_the_reference(owner: Client, platform: Platform) -> None:
    model = platform.register()
    LabelledModel(platform, model).days(10)

    html = read(owner, model)

    assert "No reference yet" in html
    assert "ROC AUC" in html


def test_a_fall_is_shown_with_its_reason(owner: Client, flattened: RegisteredModel) -> None:
    html = read(owner, flattened)

    assert re.search(r"ROC AUC 0\.[67]\d", html)
    assert "It was 0.8" in html
    assert "The same inputs have come to mean something else" in html
    assert "Retrain on labels since then" in html
    assert re.search(r"<dt>From another meaning</dt><dd>\+0\.0[789]", html)
    assert "Do not rely on it: the truth missed the last two estimates." in html
    assert html.count('class="plot') == 2


def test_segments_stand_with_the_worst_first(owner: Client, flattened: RegisteredModel) -> None:
    html = read(owner, flattened, "?metric=accuracy&window=7")
    segments = html[html.index("<h2>Segments</h2>") :]

    assert segments.index("south") < segments.index("north")


def test_any_metric_can_be_asked_for_and_odd_ones_give_the_usual(owner: Client, flattened: RegisteredModel) -> None:
    assert "<b>log loss 0." in read(owner, flattened, "?metric=log_loss&window=28")
    assert "<b>ROC AUC 0." in read(owner, flattened, "?metric=nonsense&window=x")


def test_a_regression_shows_its_errors(owner: Client, platform: Platform) -> None:
    model = platform.register(problem_type="regression")
    LabelledModel(platform, model).days(40, rows=40, row=lambda rng: {"prediction": 100.0, "label": 100.0 + float(rng.normal())})

    html = read(owner, model, "?metric=bias")

    assert "<b>bias " in html
    assert "estimated from the scores" not in html


def regression(platform: Platform) -> LabelledModel:
    """A month of predictions and labels that come after four days, and are all there."""
    labelled = LabelledModel(platform, platform.register(problem_type="regression"), delay=timedelta(days=4))
    labelled.days(34, row=sized_row())
    return labelled


def test_the_errors_of_a_regression_are_estimated_before_labels_arrive(owner: Client, platform: Platform) -> None:
    labelled = regression(platform)
    assert "is not learned yet: it takes 24 mature days" in read(owner, labelled.model)
    labelled.days(10, row=sized_row())
    labelled.days(3, row=sized_row(large=0.9))

    html = read(owner, labelled.model, "?metric=root_mean_squared_error&window=1")
    weekly = read(owner, labelled.model)

    assert re.search(r"Estimated 8\.[4-9]\d* \(\d\.\d+ to \d+\.?\d*\)", html)
    assert "2 times against labels" in html
    assert "100.0 % of them" in html
    assert "3,360 labels of the reference days" in html
    assert "Beats a constant" in html
    assert "Calibrated" not in html
    assert "estimated from the predictions alone" in html
    assert "It cannot see that the same inputs have come to mean something else." in html
    assert re.search(r"<b>mean absolute error .*Estimated \d", weekly, re.DOTALL)
    assert "Before labels arrive" not in read(owner, labelled.model, "?metric=bias")

    labelled.days(1, row=lambda _rng: {"prediction": 500.0, "label": 500.0})

    html = read(owner, labelled.model, "?metric=root_mean_squared_error&window=1")
    assert "too many rows are unlike those of the reference." in html
    assert "no: predictions unlike those of the reference" in html


def test_errors_that_changed_by_themselves_make_the_estimate_distrusted(owner: Client, platform: Platform) -> None:
    labelled = regression(platform)
    read(owner, labelled.model)
    labelled.days(20, row=sized_row(louder=3.0))

    html = read(owner, labelled.model)

    assert "Do not rely on it: the truth missed the last two estimates." in html
    assert "no longer as wrong as those of their size were" in html


def test_predictions_that_do_not_tell_how_wrong_they_are_give_no_estimate(owner: Client, platform: Platform) -> None:
    model = platform.register(problem_type="regression")
    labelled = LabelledModel(platform, model)
    labelled.days(30, row=lambda rng: {"prediction": 100.0, "label": 100.0 + float(rng.normal())})
    read(owner, model)
    labelled.days(1, row=lambda rng: {"prediction": 100.0, "label": 100.0 + float(rng.normal())})

    html = read(owner, model)

    assert "does not tell how wrong it will be: the estimate did no better than a constant" in html
    assert "estimated from the" not in html


def test_a_ranking_shows_how_well_its_queries_were_served(owner: Client, platform: Platform) -> None:
    """Ten items a query; from the 31st day on what is relevant stands at the end."""
    model = platform.register(problem_type="ranking")
    labelled = LabelledModel(platform, model)

    def items(*, relevant: int) -> Callable[[Generator], dict[str, Any]]:
        places = count()

        def item(_rng: Generator) -> dict[str, Any]:
            query, place = divmod(next(places), 10)
            return {"query_id": f"{relevant}-{query}", "rank": place + 1, "label": float(place + 1 == relevant)}

        return item

    labelled.days(30, rows=60, row=items(relevant=1))
    labelled.days(8, rows=60, row=items(relevant=10))

    html = read(owner, model)

    assert "NDCG of the first ten 0.289" in html
    assert "42 queries" in html
    assert "It was 1" in html
    assert "mean average precision" in html
    assert set(OutcomeProfile.objects.filter(model=model).values_list("kind", "field")) == {("rankings", "")}, "query and rank are no segments"


def test_a_forecast_is_judged_by_how_far_ahead_it_looks(owner: Client, platform: Platform) -> None:
    """Four horizons of forty rows a day, told by two times; their order is not that of their letters. Each row has its quantiles."""
    model = platform.register(problem_type="forecasting")
    labelled, turns, issued = LabelledModel(platform, model), count(), platform.clock.now()

    def forecast(rng: Generator) -> dict[str, Any]:
        days = (10, 1, 3, 0)[next(turns) % 4]
        truth = float(rng.normal(100, 10))
        said = truth + float(rng.normal(0, 1 + days))
        times = {"issued_at": issued.isoformat(), "target_time": (issued + timedelta(days=days, hours=0 if days else 6)).isoformat()}
        return {"prediction": said, "label": truth, "score": {"q10": said - 2, "q50": said, "q90": None}, **times}

    labelled.days(3, rows=160, row=forecast)
    html = read(owner, model, "?metric=quantile_loss")
    text = said(owner.get(f"/models/{model.id}/performance/?metric=quantile_loss"))

    assert re.findall(r"horizon</span> ([^<]+)</td>", html) == ["6 h", "1 d", "3 d", "10 d"]
    assert "quantile loss" in text
    assert set(OutcomeProfile.objects.filter(model=model).values_list("field", flat=True)) == {"", "horizon"}, "times are no segments"


def old_people(rng: Generator, mean: float) -> dict[str, Any]:  # Any: JSON
    """A regression that is four times as wrong about people over 65."""
    age, height = float(rng.normal(mean, 10)), float(rng.normal(170, 10))
    return {"prediction": height, "label": height + float(rng.normal(0, 4 if age > 65 else 1)), "features": {"age": age, "height": height}}


def test_the_feature_that_moved_to_where_the_model_is_bad_is_named_once_it_is_counted(owner: Client, platform: Platform) -> None:
    model = platform.register(problem_type="regression")
    people = LabelledModel(platform, model)
    people.days(32, row=lambda rng: old_people(rng, 50))
    people.days(8, row=lambda rng: old_people(rng, 65))

    first = said(owner.get(f"/models/{model.id}/performance/?window=7"))
    platform.work(minutes=1)
    second = said(owner.get(f"/models/{model.id}/performance/?window=7"))

    assert "What features explain is being counted since" in first
    part = re.search(r"Other values of age than in the reference explain (\d+\.\d) % of the rise", second)
    assert part
    assert 75 < float(part[1]) < 125
    assert "Other values of height" not in second


def test_the_feature_by_which_the_model_is_off_is_named_with_the_place(owner: Client, platform: Platform) -> None:
    model = platform.register()
    LabelledModel(platform, model).days(40, row=off_in_old_age)
    owner.get(f"/models/{model.id}/performance/")
    platform.work(minutes=1)

    page = said(owner.get(f"/models/{model.id}/performance/"))

    part = page[page.index("Where the model is off") :]
    assert re.search(r"age (above )?\d\d\.\d+( – [\d.]+)? \d+ \+0\.[2-4]", part), part[:300]
    assert "region" not in part
