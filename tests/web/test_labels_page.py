"""The Labels page: how late labels come, and whether they come as they used to."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from tests.platform import Platform
from tests.risks.story import LabelledModel, scored_row
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.wire import Stream


def read(client: Client, model: RegisteredModel) -> str:
    answer = client.get(f"/models/{model.id}/labels/")
    assert answer.status_code == 200
    return answer.content.decode().replace("\u00a0", " ")


def test_without_labels_it_says_what_to_send(owner: Client, platform: Platform) -> None:
    assert "No label has come yet" in read(owner, platform.register())


@pytest.mark.parametrize("tab", ["labels", "performance"])
def test_labels_that_no_prediction_has_an_id_for_are_said_to_have_come(owner: Client, platform: Platform, tab: str) -> None:
    model = platform.register()
    platform.send(model, Stream.PREDICTIONS, [{"id": "1", "timestamp": platform.clock.now().isoformat(), "score": 0.5}])
    platform.send(model, Stream.LABELS, [{"id": "another", "label": 1}])
    platform.work(minutes=5)
    platform.work(minutes=5)

    html = owner.get(f"/models/{model.id}/{tab}/").content.decode()

    assert "Labels have come, none is counted yet" in html
    assert "compare the ids" in html
    assert "No label has come yet" not in html


def test_the_delay_is_told_with_the_days_that_wait(owner: Client, platform: Platform) -> None:
    model = platform.register()
    LabelledModel(platform, model, delay=timedelta(days=5)).days(20, row=lambda rng: scored_row(rng) | {"region": "north"})

    html = read(owner, model)

    assert "Nine of ten labels come within 5 d" in html
    assert "<dt>Mature days</dt><dd>15</dd>" in html
    assert "<dt>50 % of them within</dt>" in html
    assert "<dt>Days still waiting</dt><dd>5</dd>" in html
    assert "north" in html
    drawn = [(label, width) for width, label in re.findall(r'<svg class="plot[^"]*" viewBox="0 0 (\d+) [^>]*aria-label="([^"]*)"', html)]
    of_curve, of_days = "Share of predictions with a label, by age", "Predictions with and without a label, by day"
    assert drawn == [(of_curve, "540"), (of_curve, "340"), (of_days, "800"), (of_days, "340")]


def test_labels_that_stay_away_are_said_first(owner: Client, platform: Platform) -> None:
    model = platform.register()
    labelled = LabelledModel(platform, model)
    labelled.days(12)
    labelled.delay = timedelta(days=300)
    labelled.days(3)

    assert "<b>Labels are late</b>" in read(owner, model)


def test_whether_labels_are_soon_enough_depends_on_how_fast_the_model_ages(owner: Client, platform: Platform) -> None:
    """Twelve days and half a window make fifteen and a half."""
    model = platform.register()
    LabelledModel(platform, model, delay=timedelta(days=12)).days(30)

    html = read(owner, model)
    soon_enough = html[html.index("Are they soon enough?") :]

    verdicts = re.findall(r"<dt>([^<]+)</dt><dd><b>(\w+)</b>", soon_enough)
    assert [(re.findall(r"(\d+) d", span), verdict) for span, verdict in verdicts] == [(["62"], "fast"), (["15", "62"], "medium"), (["15"], "slow")]
