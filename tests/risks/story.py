"""The turns of a risk's story: `test_story_…` in the risk's own test file goes through them on a whole platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.platform import Platform
from watchkeeper.alerts.models import Notification
from watchkeeper.monitoring.models import RiskBinding

Rows = Sequence[Mapping[str, Any]]  # Any: values of features


def is_unknown(platform: Platform, risk: RiskBinding) -> None:
    """Never green by absence of data."""
    assert platform.condition(risk) == "ok"
    assert platform.light(risk.model) == "grey"
    assert platform.incident(risk) is None


def fires(platform: Platform, risk: RiskBinding, *, says: str) -> None:
    """It fired, the light shows it, an incident is open with a plan, somebody was told in words."""
    assert platform.condition(risk) == "firing"
    assert says in platform.explanation(risk)
    assert platform.light(risk.model) in ("yellow", "red")
    incident = platform.incident(risk)
    assert incident is not None
    assert incident.state == "open"
    assert incident.steps.count() >= 3
    assert Notification.objects.filter(incident=incident, kind="opened").exists()


def resolves(platform: Platform, risk: RiskBinding) -> None:
    assert platform.condition(risk) == "ok"
    incident = platform.incident(risk)
    assert incident is not None
    assert (incident.state, incident.how) == ("resolved", "auto")
    assert platform.light(risk.model) == "green"


def a_bad_day(
    platform: Platform,
    type: str,
    *,
    says: str,
    bad: Rows,
    good: Rows,
    reference: Rows | None = None,
    **wanted: Any,  # Any: fields of a binding
) -> None:
    """A model is compared with its training rows: unknown without a day, a bad day fires, a good one resolves."""
    model = platform.register()
    risk = platform.only(model, type, **wanted)
    platform.work()
    is_unknown(platform, risk)

    platform.train(model, reference=reference or good)
    for rows in (bad, good):
        platform.predict_features(model, rows)
        platform.work(days=1)
        platform.work(hours=7)
        if rows is bad:
            fires(platform, risk, says=says)
    resolves(platform, risk)


def normal_rows(mean: float = 0.0, *, sd: float = 1.0, count: int = 1500, seed: int = 2) -> Rows:
    """Rows with one feature x, normal."""
    return [{"x": value} for value in np.random.default_rng(seed).normal(mean, sd, count)]
