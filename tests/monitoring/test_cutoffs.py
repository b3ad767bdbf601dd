"""From which score a model is yellow or red may depend on its tier."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platform import Platform
from watchkeeper.alerts import flow
from watchkeeper.core.settings import settings


@pytest.fixture(autouse=True)
def strict_for_tier_one(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WATCHKEEPER_TIER_CUTOFFS", '{"1": [1, 2]}')
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(("tier", "light"), [(1, "red"), (2, "yellow"), (3, "yellow")])
def test_a_score_of_two_is_red_for_the_tier_that_says_so(platform: Platform, tier: int, light: str) -> None:
    model = platform.register(tier=tier)
    platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, criticality=2)
    platform.measure(model, "mape", 18)
    platform.work(minutes=1)

    assert platform.light(model) == light


def test_a_model_that_moves_to_another_tier_has_its_light_at_once(platform: Platform) -> None:
    model = platform.register(tier=2)
    platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, criticality=2)
    platform.measure(model, "mape", 18)
    platform.work(minutes=1)

    flow.edit_model(model, fields={"tier": 1}, actor=platform.actor, now=platform.clock.now())

    assert platform.light(model) == "red"
