"""The turns of a risk's story: `test_story_…` in the risk's own test file goes through them on a whole platform."""

from __future__ import annotations

from tests.platform import Platform
from watchkeeper.alerts.models import Notification
from watchkeeper.monitoring.models import RiskBinding


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
