"""The outcome by a feature, on the detail of the feature: what is missing, being counted, and shown."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from numpy.random import Generator

from tests.platform import Platform
from tests.risks.story import LabelledModel
from tests.web.reading import said
from watchkeeper.ingest.models import WantedRelations
from watchkeeper.registry.models import RegisteredModel


def off_in_old_age(rng: Generator) -> dict[str, Any]:  # Any: JSON
    """A model that says the same of old people as of others, who are positive far more often."""
    age, score = float(rng.normal(50, 15)), float(rng.uniform())
    truth = min(1.0, score + 0.4 * (age > 65))
    features = {"age": age if rng.uniform() < 0.95 else None, "region": "north" if rng.uniform() < 0.6 else "south"}
    return {"score": score, "prediction": score >= 0.5, "label": bool(rng.uniform() < truth), "features": features}


@pytest.fixture
def model(platform: Platform) -> RegisteredModel:
    model = platform.register()
    LabelledModel(platform, model).days(40, row=off_in_old_age)
    return model


def read(client: Client, model: RegisteredModel, query: str = "?column=f.age") -> str:
    answer = client.get(f"/models/{model.id}/columns/{query}")
    assert answer.status_code == 200
    return said(answer)


def test_without_labels_it_says_what_to_send(owner: Client, platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=[{"age": float(n)} for n in range(200)])
    platform.predict_features(model, [{"age": 30.0}] * 50, score=0.4)
    platform.work(days=1)
    platform.work(hours=1)

    assert "send them with the ids of their predictions" in read(owner, model)
    assert not WantedRelations.objects.exists()


def test_the_first_look_makes_it_counted_and_says_so(owner: Client, platform: Platform, model: RegisteredModel) -> None:
    first = read(owner, model)
    platform.work(minutes=1)
    second = read(owner, model)

    assert "when somebody first looked: 40 days are still to come" in first
    assert "Being counted" not in second


def test_it_shows_means_of_both_periods_and_where_the_model_is_off(owner: Client, platform: Platform, model: RegisteredModel) -> None:
    read(owner, model)
    platform.work(minutes=1)

    html = read(owner, model, "?column=f.age&days=7")
    drawn = owner.get(f"/models/{model.id}/columns/?column=f.age&days=7").content.decode()

    rows = re.search(r"Rows with a label ([\d,]+) → ([\d,]+)", html)
    assert rows
    assert [int(text.replace(",", "")) for text in rows.groups()] == [28 * 120, 7 * 120]
    assert "The model is off by this feature." in html
    assert re.search(r"labels differ from predictions by \+0\.[234]", html)
    assert drawn.count('<svg class="plot') >= 6
    assert 'days=90#outcome">90 d' in drawn
    assert "style=" not in drawn


def test_a_feature_that_the_model_is_right_about_is_said_to_be_so(owner: Client, platform: Platform, model: RegisteredModel) -> None:
    read(owner, model)
    platform.work(minutes=1)

    html = read(owner, model, "?column=f.region&days=nonsense")

    assert "The residual does not depend on this feature" in html


def test_scores_and_unknown_columns_have_no_outcome(owner: Client, model: RegisteredModel) -> None:
    assert "Outcome by this feature" not in read(owner, model, "?column=score")
    assert "Outcome by this feature" not in read(owner, model, "?column=f.nothing")
