"""Each risk type's story on a whole platform: unknown while nothing is known, it fires and explains itself, it resolves.

A story for every risk type: the last test fails when one is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.platform import Platform
from watchkeeper import risks
from watchkeeper.accounts import services as accounts
from watchkeeper.alerts import flow
from watchkeeper.alerts.models import Notification
from watchkeeper.history.actors import PLATFORM
from watchkeeper.monitoring.models import RiskBinding
from watchkeeper.registry import services as registry
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.registry.services import Owners
from watchkeeper.wire import Stream


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


def is_unknown(platform: Platform, risk: RiskBinding) -> None:
    """Never green by absence of data."""
    assert platform.condition(risk) == "ok"
    assert platform.light(risk.model) == "grey"
    assert platform.incident(risk) is None


def metric_out_of_bounds(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12, "clear_upper": 11}, criticality=3)
    platform.work()
    is_unknown(platform, risk)

    platform.measure(model, "mape", 18.4)
    platform.work(minutes=10)
    fires(platform, risk, says="18.4")
    assert platform.light(model) == "red"

    platform.measure(model, "mape", 11.5)
    platform.work(minutes=10)
    assert platform.condition(risk) == "firing"  # not beyond the clear limit

    platform.measure(model, "mape", 9.0)
    platform.work(minutes=10)
    resolves(platform, risk)


def no_predictions(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_predictions", params={"silent_for": "30m"})
    platform.work()
    is_unknown(platform, risk)

    platform.predict(model)
    platform.work(minutes=1)
    assert platform.light(model) == "green"
    platform.say(model, "heartbeat")  # a heartbeat must not hide missing predictions
    platform.run(every=timedelta(minutes=1), minutes=40)
    fires(platform, risk, says="silent for")
    incident = platform.incident(risk)
    assert incident is not None
    assert incident.true_since == platform.clock.now() - timedelta(minutes=11)

    platform.predict(model, at=platform.clock.now() + timedelta(days=30_000))  # dated 2109: the server's time counts
    platform.work(minutes=1)
    resolves(platform, risk)


def metrics_not_refreshed(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "metrics_not_refreshed", params={"older_than": "2d"})
    platform.work()
    is_unknown(platform, risk)

    platform.measure(model, "roc_auc", 0.8)
    platform.work(hours=1)
    for _ in range(4):
        platform.predict(model)
        platform.work(days=1)
    fires(platform, risk, says="2 d")

    platform.measure(model, "roc_auc", 0.79)
    platform.work(hours=1)
    resolves(platform, risk)


def metadata_unreachable(platform: Platform) -> None:
    model = platform.register(documentation_link="http://127.0.0.1:9/gone")  # nobody listens on the discard port
    risk = platform.only(model, "metadata_unreachable", params={"grace": "2h"})
    flow.edit_model(model, fields={"documentation_link": ""}, actor=platform.actor, now=platform.clock.now())
    platform.work()
    is_unknown(platform, risk)

    flow.edit_model(model, fields={"documentation_link": "http://127.0.0.1:9/gone"}, actor=platform.actor, now=platform.clock.now())
    platform.run(every=timedelta(minutes=61), hours=6)
    fires(platform, risk, says="documentation")

    flow.edit_model(model, fields={"documentation_link": platform.reachable()}, actor=platform.actor, now=platform.clock.now())
    platform.run(every=timedelta(minutes=61), hours=3)
    resolves(platform, risk)


def no_owner(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_owner")
    flow.set_owners(model, owners=Owners(technical=(platform.owner,)), actor=platform.actor, now=platform.clock.now())
    platform.work(minutes=1)
    fires(platform, risk, says="business")

    flow.set_owners(
        model, owners=Owners(business=(platform.business_owner,), technical=(platform.owner,)), actor=platform.actor, now=platform.clock.now()
    )
    platform.work(minutes=1)
    resolves(platform, risk)


def no_metrics(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_metrics")
    platform.work()
    fires(platform, risk, says="metric")

    registry.declare_metric(model, name="roc_auc", actor=platform.actor, now=platform.clock.now())
    platform.work(minutes=10)
    resolves(platform, risk)


def no_data_sources(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_data_sources")
    platform.work()
    fires(platform, risk, says="source")

    registry.link_sources(model, addresses=["postgres://dwh/sales.orders"], actor=platform.actor, now=platform.clock.now())
    platform.work(minutes=10)
    resolves(platform, risk)


def schema_changed(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "schema_changed")
    train(platform, model, {"x": "double", "region": "string"})
    platform.work()
    is_unknown(platform, risk)

    platform.predict(model, features={"x": 1.0})
    platform.work(hours=1)
    fires(platform, risk, says="region")

    platform.predict(model, features={"x": 1.0, "region": "North"})
    platform.work(hours=1)
    resolves(platform, risk)


def stale_model(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "stale_model", params={"max_age": "90d"})
    platform.work()
    is_unknown(platform, risk)

    train(platform, model, {"x": "double"}, version="old", days_ago=100)
    platform.say(model, "deployed", version="old")
    platform.work(days=1)
    fires(platform, risk, says="old")

    train(platform, model, {"x": "double"}, version="new", days_ago=1)
    platform.say(model, "deployed", version="new")
    platform.work(days=1)
    resolves(platform, risk)


def prediction_volume(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "prediction_volume")
    platform.work()
    is_unknown(platform, risk)

    for _ in range(22):
        platform.predict(model, 60)
        platform.work(days=1)
    assert platform.light(model) == "green"
    platform.predict(model, 10)
    platform.work(days=1)
    platform.predict(model, 10)
    platform.work(days=1)
    fires(platform, risk, says="60")

    for _ in range(2):
        platform.predict(model, 60)
        platform.work(days=1)
    resolves(platform, risk)


def self_check_failed(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "self_check_failed")
    platform.work()
    is_unknown(platform, risk)

    platform.say(model, "self_check", name="known cases", cases=3, passed=2, failed=1, failures=[{"case": 2, "expected": 1, "got": 0}])
    platform.work(minutes=1)
    fires(platform, risk, says="1")

    platform.say(model, "self_check", name="known cases", cases=3, passed=3, failed=0, failures=[])
    platform.work(minutes=1)
    resolves(platform, risk)


def event_reported(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "event_reported", params={"type": "process_changed", "within": "1d", "clears_with": "reviewed"})
    platform.work()
    assert platform.light(model) == "green"  # no event is the expected state

    platform.say(model, "process_changed", what="new tariff codes")
    platform.work(minutes=1)
    fires(platform, risk, says="process_changed")

    platform.say(model, "reviewed")
    platform.work(minutes=1)
    resolves(platform, risk)


def quarantine_growing(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "quarantine_growing", params={"min_rows": 5})
    platform.work()
    is_unknown(platform, risk)

    good = [{"id": str(n), "timestamp": platform.clock.now().isoformat()} for n in range(50)]
    platform.send(model, Stream.PREDICTIONS, [*good, *({"id": f"bad {n}", "timestamp": "yesterday"} for n in range(10))])
    platform.work(hours=1)
    fires(platform, risk, says="10")

    platform.work(hours=25)
    platform.predict(model, 50)
    platform.work(hours=1)
    resolves(platform, risk)


def train(platform: Platform, model: RegisteredModel, schema: dict[str, str], *, version: str = "1", days_ago: int = 1) -> None:
    at = (platform.clock.now() - timedelta(days=days_ago)).isoformat()
    row: dict[str, Any] = {"version": version, "trained_at": at, "schema": schema}  # Any: JSON
    platform.send(model, Stream.TRAINING, [row])


STORIES: dict[str, Callable[[Platform], None]] = {
    story.__name__: story
    for story in (
        event_reported,
        metadata_unreachable,
        metric_out_of_bounds,
        metrics_not_refreshed,
        no_data_sources,
        no_metrics,
        no_owner,
        no_predictions,
        prediction_volume,
        quarantine_growing,
        schema_changed,
        self_check_failed,
        stale_model,
    )
}


@pytest.mark.parametrize("key", sorted(STORIES))
def test_it_fires_explains_itself_and_resolves(key: str, platform: Platform) -> None:
    STORIES[key](platform)


def test_every_risk_type_has_a_story() -> None:
    assert set(STORIES) == set(risks.catalogue())


def test_an_inactive_owner_is_no_owner(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_owner")
    successor = accounts.create_person(email="new@example.com", actor=PLATFORM, now=platform.clock.now())
    registry.deactivate_person(platform.owner, successor=successor, actor=platform.actor, now=platform.clock.now())
    platform.work(minutes=10)

    assert platform.condition(risk) == "ok"
    assert list(model.ownerships.filter(side="technical").values_list("person__email", flat=True)) == ["new@example.com"]
