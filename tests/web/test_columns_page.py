"""The Data page: every column against its reference, the worst first, one of them in full."""

import re

import numpy as np
import pytest
from django.test import Client

from tests.platform import Platform
from tests.risks.story import normal_rows
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.registry.services import edit_model


@pytest.fixture
def model(platform: Platform) -> RegisteredModel:
    """Trained on a number, a category and a number that will be multiplied; then a day of predictions."""
    model = platform.register()
    chance = np.random.default_rng(1)

    def rows(mean: float, factor: float, south: float) -> list[dict[str, object]]:
        return [
            {"age": float(age), "price": float(price) * factor, "region": "south" if chance.random() < south else "north"}
            for age, price in zip(chance.normal(mean, 10, 1500), chance.normal(50, 5, 1500), strict=True)
        ]

    platform.train(model, reference=rows(40, 1, 0.3))
    platform.predict_features(model, rows(41, 100, 0.35), score=0.3)
    platform.work(days=1)
    platform.work(hours=1)
    return model


def read(client: Client, model: RegisteredModel, query: str = "") -> str:
    answer = client.get(f"/models/{model.id}/columns/{query}")
    assert answer.status_code == 200
    return answer.content.decode().replace("\u00a0", " ")


def test_what_drifted_stands_first_with_its_unit(owner: Client, model: RegisteredModel) -> None:
    html = read(owner, model)

    assert "<b>1 of 3 columns drifted</b>" in html
    assert "another unit: × 100" in html
    assert html.index(">price<") < html.index(">age<")
    assert "category, 2 values" in html
    assert "Compared with the rows of the training." in html


def test_a_column_opens_in_full(owner: Client, model: RegisteredModel) -> None:
    html = read(owner, model, "?column=f.price")

    assert "1,500 → 1,500" in html
    mean = re.search(r"<dt>Mean</dt><dd>([\d.,]+) → ([\d.,]+)</dd>", html)
    assert mean
    before, after = (float(text.replace(",", "")) for text in mean.groups())
    assert after / before == pytest.approx(100, rel=0.01)
    assert "<dd>p &lt; 0.0001, adjusted for all columns</dd>" in html  # never 0
    assert 'class="bins"' in html


def test_a_category_opens_with_its_levels(owner: Client, model: RegisteredModel) -> None:
    html = read(owner, model, "?column=f.region&window=7")

    assert "<td>north</td>" in html
    assert "<td>south</td>" in html


def test_columns_are_sorted_and_found(owner: Client, model: RegisteredModel) -> None:
    by_name = read(owner, model, "?sort=name")

    assert by_name.index(">age<") < by_name.index(">region<")
    assert ">price<" not in read(owner, model, "?q=REG")


@pytest.mark.parametrize("query", ["?window=x", "?window=0", "?column=f.none", "?sort=none", "?q=%00", "?column=%00&window=99999999999"])
def test_a_made_up_address_is_answered(owner: Client, model: RegisteredModel, query: str) -> None:
    assert "price" in read(owner, model, query)


def test_a_model_without_predictions_is_told_what_to_do(owner: Client, platform: Platform) -> None:
    assert "log_training(reference=…)" in read(owner, platform.register("Empty"))


def test_the_first_weeks_of_a_model_without_reference_are_not_judged(owner: Client, platform: Platform) -> None:
    model = platform.register("No reference")
    for day in range(9):
        platform.predict_features(model, normal_rows(seed=day, count=100))
        platform.work(days=1)
    platform.work(hours=2)
    html = read(owner, model)

    assert "without a reference they are judged after 28 days" in html
    assert "No training rows were sent" in html
    assert "Not judged 1" in html


def test_what_is_derived_stands_at_the_end_and_counts_for_no_columns_drift(owner: Client, platform: Platform) -> None:
    model = platform.register()
    chance = np.random.default_rng(1)
    rows = [{"x": x, "text": vector} for x, vector in zip(chance.normal(size=600), chance.normal(size=(600, 3)).tolist(), strict=True)]
    platform.train(model, reference=[{**row, "score": 0.3 + n % 3 / 10} for n, row in enumerate(rows)])
    platform.predict_rows(model, [{"features": {**row, "text": [9.0, 9.0, 9.0]}, "score": 0.3 + n % 3 / 10} for n, row in enumerate(rows)])
    platform.work(days=1)
    platform.work(hours=1)

    html = read(owner, model)
    titles = re.findall(r'<a class="name plain"[^>]*>([^<]+)</a>', html)

    assert "<b>0 of 2 columns drifted</b>" in html
    assert "<b>Derived 7</b>" in html
    assert titles[-7:] == [
        "confidence",
        "unusual values per row",
        "text: length",
        "text: similarity to the mean",
        *(f"text: along direction {n}" for n in (1, 2, 3)),
    ]
    assert "text: length" in read(owner, model, "?column=d.f.text.length")
    assert ">x<" not in read(owner, model, "?q=similarity")


@pytest.fixture
def weighed(platform: Platform) -> RegisteredModel:
    """Its score goes with x and not with y; on the last day both have moved, y further."""
    model = platform.register()
    chance = np.random.default_rng(1)

    def rows(x: float, y: float) -> list[dict[str, object]]:
        return [{"score": float(a), "features": {"x": float(a), "y": float(b)}} for a, b in chance.normal((x, y), 1, (300, 2))]

    platform.train(model, reference=[row["features"] for row in rows(0, 0)])
    platform.predict_days(model, [*(rows(0, 0) for _ in range(8)), rows(1.5, 2)])
    return model


def test_what_matters_stands_first_and_says_how_that_is_known(owner: Client, weighed: RegisteredModel) -> None:
    html = read(owner, weighed)

    assert html.index(">x</a>") < html.index(">y</a>")
    assert '<option value="importance" selected>' in html
    assert "learned from the log; 1 is the most important feature." in html
    assert re.search(r"weighted by their importance: \d", html)
    assert '<span class="fig">1.000</span><svg class="gauge imp"' in html
    assert "<dt>Importance</dt><dd>1.000, learned from the log</dd>" in read(owner, weighed, "?column=f.x")

    by_drift = read(owner, weighed, "?sort=drift")
    assert by_drift.index(">y</a>") < by_drift.index(">x</a>")


def test_importances_of_the_training_are_shown_as_given(owner: Client, platform: Platform, weighed: RegisteredModel) -> None:
    platform.train(weighed, importances={"y": 0.5, "x": 0.1})
    platform.work(seconds=1)
    html = read(owner, weighed, "?column=f.x")

    assert html.index(">y</a>") < html.index(">x</a>")
    assert "Importance was given with the training" in html
    assert "<dt>Importance</dt><dd>0.200, given with the training</dd>" in html


def test_where_no_importance_is_known_nothing_is_said_of_it(owner: Client, model: RegisteredModel) -> None:
    html = read(owner, model)

    assert '<option value="drift" selected>' in html
    assert "mportance" not in html
    assert 'class="c-imp"' not in html


def test_a_model_of_hours_speaks_of_hours(owner: Client, platform: Platform) -> None:
    model = platform.register("Hourly")
    edit_model(model, fields={"window": "hour"}, actor=platform.actor, now=platform.clock.now())
    platform.train(model, reference=normal_rows(seed=1, count=2000))
    for hour in range(6):
        platform.predict_features(model, normal_rows(seed=10 + hour, count=200))
        platform.work(hours=1)
    platform.work(hours=1)
    html = read(owner, model, "?column=f.x&window=24")

    assert '<option value="24" selected>last 24 hours</option>' in html
    assert "PSI per hour" in html
    assert "30 hours" in html
    assert "Compared with the rows of the training." in html
    assert "day" not in html.split('<form class="filters controls"')[1].split("</form>")[0]
