"""The Performance page: how right the model was and probably is, by metric and segment, and why it fell."""

import re

import pytest
from django.test import Client

from tests.platform import Platform
from tests.risks.story import LabelledModel, scored_row
from watchkeeper.registry.models import RegisteredModel


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
