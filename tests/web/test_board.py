"""The board: worst first, filtered by its address, in a bounded number of queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import Client

from tests.platform import Platform
from watchkeeper.monitoring.lights import update_lights
from watchkeeper.registry.models import RegisteredModel


def red(platform: Platform, name: str) -> RegisteredModel:
    model = platform.register(name)
    platform.bind(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, criticality=3, cost_per_day=300)
    platform.measure(model, "mape", 18.4)
    return model


def board(client: Client, **query: str) -> str:
    return client.get("/", query).content.decode()


def test_the_worst_comes_first_with_its_reason(owner: Client, platform: Platform) -> None:
    platform.register("A calm model")
    red(platform, "Late flights")
    platform.work(minutes=10)

    html = board(owner)

    table = html[html.index("<table") :]
    assert table.index(">Late flights<") < table.index(">A calm model<")
    assert "Metric out of bounds" in html
    assert "18.4" in html


def test_filters_narrow_it_and_say_so_when_nothing_is_left(owner: Client, platform: Platform) -> None:
    red(platform, "Late flights")
    platform.work(minutes=10)

    assert "Late flights" in board(owner, light="red", owner="me", unit=str(platform.unit.id), q="late", tier="2")
    assert "Nothing matches these filters" in board(owner, light="green")
    assert "Nothing matches these filters" in board(owner, q="trains")
    assert owner.get("/?page=x&tier=many&light=blue").status_code == 200


def test_without_models_it_says_how_they_come(client: Client, platform: Platform) -> None:
    client.force_login(platform.administrator)

    html = board(client)

    assert "No models yet" in html
    assert "Register a model" in html


def test_it_tells_what_changed_until_it_is_seen(owner: Client, platform: Platform) -> None:
    red(platform, "Late flights")
    platform.work(minutes=10)
    assert "Changed since you last looked" in board(owner)

    owner.post("/seen/")

    assert "Changed since you last looked" not in board(owner)


def test_counts_of_lights_are_told_against_yesterday(owner: Client, platform: Platform) -> None:
    platform.register("An old acquaintance")
    for _ in range(2):
        platform.work(minutes=10)
        platform.clock.advance(timedelta(days=2))
    assert "since yesterday" not in board(owner)
    red(platform, "Late flights")
    platform.work(minutes=10)

    html = board(owner)

    tally = html[html.index('id="tally"') :]
    assert "+1 since yesterday" in tally[: tally.index("Yellow")]
    assert "0.0\xa0% of models" in tally


def test_a_row_shows_its_last_ninety_days(owner: Client, platform: Platform) -> None:
    red(platform, "Late flights")
    platform.work(minutes=10)

    html = board(owner)

    row = html[html.index(">Late flights<") :]
    assert 'viewBox="0 0 360 18"' in row
    assert '<path class="x-red" d="M356.5 9h3"/>' in row


def test_a_refresh_brings_the_table_alone(owner: Client, platform: Platform) -> None:
    red(platform, "Late flights")

    html = owner.get("/", headers={"HX-Request": "true"}).content.decode()

    assert "Late flights" in html
    assert "<html" not in html


def test_three_hundred_models_cost_no_more_queries_than_three(
    owner: Client,
    platform: Platform,
    django_assert_max_num_queries: Any,  # Any: pytest-django's fixture
) -> None:
    models = [RegisteredModel(name=f"model {index}", unit=platform.unit, created_at=platform.clock.now()) for index in range(300)]
    update_lights([model.id for model in RegisteredModel.objects.bulk_create(models)], now=platform.clock.now())
    platform.validator.grants.update(unit=platform.company)
    owner.force_login(platform.validator)

    with django_assert_max_num_queries(25):
        html = board(owner)

    assert "1 to 50 of 300" in html


def test_language_and_theme_are_chosen_and_kept(owner: Client, platform: Platform) -> None:
    owner.post("/preferences/", {"theme": "dark", "next": "/incidents/"})
    owner.post("/preferences/", {"language": "ru", "next": "https://elsewhere.example/"})

    platform.owner.refresh_from_db()
    assert (platform.owner.theme, platform.owner.language) == ("dark", "ru")
    assert 'data-theme="dark"' in board(owner)


def test_a_silent_worker_is_said_on_every_page(owner: Client, platform: Platform) -> None:
    platform.register()
    platform.work(minutes=1)
    assert "The platform itself is behind" not in board(owner)

    platform.clock.advance(timedelta(minutes=10))

    assert "The platform itself is behind" in board(owner)
