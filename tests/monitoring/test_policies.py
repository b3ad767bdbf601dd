"""A policy may leave to each model what only the model knows; what it does say must be possible."""

from __future__ import annotations

import pytest

from tests.platform import Platform
from watchkeeper.core.errors import InvalidInput
from watchkeeper.monitoring import services as monitoring
from watchkeeper.monitoring.effective import effective_of
from watchkeeper.monitoring.models import PolicyVersion
from watchkeeper.monitoring.services import Binding


def policy(platform: Platform, **params: object) -> PolicyVersion:
    return monitoring.create_policy(
        "errors stay small",
        type="metric_out_of_bounds",
        unit=platform.company,
        version=Binding(params=params),
        actor=platform.actor,
        now=platform.clock.now(),
    )


def test_a_policy_sets_the_limit_and_the_model_names_its_metric(platform: Platform) -> None:
    made = policy(platform, upper=12)

    effective = effective_of(platform.bind(platform.register(), "", policy=made, params={"metric": "mape"}))

    assert (effective.params.metric, effective.params.upper) == ("mape", 12)  # type: ignore[attr-defined]  # of this risk
    assert (effective.sources["metric"], effective.sources["upper"]) == ("binding", "policy errors stay small@1")


def test_a_model_that_leaves_it_out_as_well_is_told_what_is_missing(platform: Platform) -> None:
    made = policy(platform, upper=12)

    with pytest.raises(InvalidInput, match="metric: Field required"):
        platform.bind(platform.register(), "", policy=made)


def test_what_a_policy_says_must_be_possible(platform: Platform) -> None:
    with pytest.raises(InvalidInput, match="uper: Extra inputs are not permitted"):
        policy(platform, uper=12)
