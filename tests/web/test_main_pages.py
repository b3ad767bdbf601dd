"""Every page of models and incidents: shown to those who may see, hidden from the outsider, without inline style or script."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from django.test import Client

from tests.platform import Platform
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.wire import Stream

TABS = (
    "",
    "metrics/",
    "risks/",
    "incidents/",
    "data/",
    "columns/",
    "performance/",
    "versions/",
    "passport/",
    "places/",
    "tokens/",
    "changes/",
    "chart/?metric=mape",
    "volume/",
)
EDITS = ("passport/edit/", "owners/", "risks/add/", "risks/add/?type=metric_out_of_bounds")


class Inline(HTMLParser):
    """Collects what a strict content security policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if tag == "style" or (tag == "script" and "src" not in names) or "style" in names or any(name.startswith("on") for name in names):
            self.found.append(f"<{tag} {attrs}>")


def blocked(html: str) -> list[str]:
    parser = Inline()
    parser.feed(html)
    return parser.found


@pytest.fixture
def model(platform: Platform) -> RegisteredModel:
    """A model with an open incident, an event, a version, refused rows and a dangerous name."""
    model = platform.register("Late <b>flights</b>", purpose="Which crews to hold back")
    platform.bind(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, criticality=3)
    platform.send(model, Stream.TRAINING, [{"version": "v1", "trained_at": platform.clock.now().isoformat(), "metrics": {"mape": 9.0}}])
    platform.say(model, "deployed", version="v1")
    good = {"id": "a", "timestamp": platform.clock.now().isoformat(), "score": 0.4}
    platform.send(model, Stream.PREDICTIONS, [good, {**good, "id": "b", "score": "high"}])
    platform.measure(model, "mape", 9.0)
    platform.work(minutes=10)
    platform.measure(model, "mape", 18.4)
    platform.work(minutes=10)
    return model


def pages(model: RegisteredModel) -> list[str]:
    number = model.incidents.get(binding__type="metric_out_of_bounds").number
    own = [f"/models/{model.id}/{tab}" for tab in TABS]
    return [*own, "/incidents/", "/incidents/?state=all", f"/incidents/{number}/", f"/incidents/{number}/chart/", "/"]


def test_every_page_is_shown_to_its_owner(owner: Client, model: RegisteredModel) -> None:
    answers = {url: owner.get(url).status_code for url in [*pages(model), *(f"/models/{model.id}/{edit}" for edit in EDITS)]}

    assert {url: status for url, status in answers.items() if status != 200} == {}


def test_a_validator_looks_and_works_but_does_not_edit(client: Client, platform: Platform, model: RegisteredModel) -> None:
    client.force_login(platform.validator)

    assert {client.get(url).status_code for url in pages(model)} == {200}
    assert {client.get(f"/models/{model.id}/{edit}").status_code for edit in EDITS} == {403}
    assert "risks/add" not in client.get(f"/models/{model.id}/risks/").content.decode()
    assert "Ask an owner of the model" in client.get(f"/models/{model.id}/passport/edit/").content.decode()


def test_to_an_outsider_the_model_and_its_incident_do_not_exist(client: Client, platform: Platform, model: RegisteredModel) -> None:
    client.force_login(platform.outsider)
    hidden = [url for url in pages(model) if url not in ("/", "/incidents/", "/incidents/?state=all")]

    assert {client.get(url).status_code for url in hidden} == {404}
    assert "flights" not in client.get("/").content.decode()
    assert "flights" not in client.get("/incidents/?state=all").content.decode()


def test_nobody_sees_anything_without_signing_in(client: Client, model: RegisteredModel) -> None:
    assert {client.get(url).status_code for url in pages(model)} == {302}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_no_page_carries_inline_style_or_script(owner: Client, model: RegisteredModel, language: str) -> None:
    owner.cookies["language"] = language

    for url in [*pages(model), *(f"/models/{model.id}/{edit}" for edit in EDITS)]:
        html = owner.get(url).content.decode()
        assert blocked(html) == [], url
        assert "<b>flights</b>" not in html, url


def test_the_chart_is_svg_with_the_limit_and_the_event(owner: Client, model: RegisteredModel) -> None:
    html = owner.get(f"/models/{model.id}/chart/?metric=mape").content.decode()

    assert html.count('<svg class="plot') == 2
    assert "limit 12" in html
    assert "var(--c-now)" in html
    assert "version v1" in html


def test_a_past_moment_explains_itself(owner: Client, model: RegisteredModel) -> None:
    html = owner.get(f"/models/{model.id}/?at=2026-11-22T12:15").content.decode()

    assert "As of 22 Nov 2026, 12:15" in html
