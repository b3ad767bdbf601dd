"""Story: a metric leaves its bounds, the owner is told, the metric comes back."""

from __future__ import annotations

from tests.platform import Platform

from watchkeeper.alerts.models import Notification


def test_it_fires_explains_itself_and_resolves(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, criticality=3)
    platform.work()
    assert platform.light(model) == "grey"

    platform.measure(model, "mape", 18.4)
    platform.work(minutes=10)

    assert platform.condition(risk) == "firing"
    assert platform.light(model) == "red"
    assert "18.4" in platform.explanation(risk)
    incident = platform.incident(risk)
    assert incident is not None
    assert incident.state == "open"
    assert set(Notification.objects.filter(incident=incident).values_list("person__name", flat=True)) == {"owner", "business_owner"}

    platform.measure(model, "mape", 9.0)
    platform.work(minutes=10)

    incident.refresh_from_db()
    assert (incident.state, incident.how) == ("resolved", "auto")
    assert platform.light(model) == "green"
