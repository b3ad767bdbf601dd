"""An incident belongs to a segment; more than five that fire at once share one, and nobody gets a message for each."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.platform import Platform
from watchkeeper.alerts import flow
from watchkeeper.alerts.models import Notification
from watchkeeper.core.finding import Finding
from watchkeeper.core.text import Text
from watchkeeper.incidents import services as incidents
from watchkeeper.incidents.causes import Cause
from watchkeeper.incidents.models import MANY_SEGMENTS, Incident
from watchkeeper.monitoring import evaluation
from watchkeeper.monitoring import services as monitoring
from watchkeeper.monitoring.due import claimed
from watchkeeper.monitoring.evaluation import Evaluation
from watchkeeper.monitoring.models import RiskBinding

SEGMENTS = [f"country={name}" for name in ("at", "be", "cz", "de", "es", "fr", "gr", "hu")]


@pytest.fixture
def binding(platform: Platform) -> RiskBinding:
    return platform.only(platform.register(), "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, hold="0s")


def found(platform: Platform, binding: RiskBinding, *, firing: int, error: str = "") -> None:
    """An evaluation in which the first segments fire and the others are quiet; an hour later than the one before."""
    platform.clock.advance(timedelta(hours=1))
    monitoring.make_due(RiskBinding.objects.filter(id=binding.id), now=platform.clock.now())
    claim = evaluation.claim_due(now=platform.clock.now())
    assert claim
    (due,) = claimed(claim)
    findings = tuple(
        (Finding.fired if place < firing else Finding.quiet)(Text("the value is {value}", {"value": 18}), value=18, limit=12).in_segment(segment)
        for place, segment in enumerate(SEGMENTS)
    )
    flow.settle(claim, [Evaluation(due, () if error else findings, error)], now=platform.clock.now())


def incidents_now(**wanted: object) -> list[tuple[str, str]]:
    return list(Incident.objects.filter(**wanted).order_by("number").values_list("segment", "state"))


def test_five_segments_are_five_incidents(platform: Platform, binding: RiskBinding) -> None:
    found(platform, binding, firing=5)

    assert incidents_now() == [(segment, "open") for segment in SEGMENTS[:5]]


def test_six_that_fire_at_once_share_one_with_a_list(platform: Platform, binding: RiskBinding) -> None:
    found(platform, binding, firing=6)

    (shared,) = Incident.objects.all()
    assert (shared.segment, shared.parts) == (MANY_SEGMENTS, SEGMENTS[:6])
    assert Text.from_json(shared.explanation).render().startswith("6 segments fire at once: country=at, country=be")
    assert Notification.objects.filter(incident=shared, recipient=f"inbox:{platform.owner.id}").count() == 1
    assert platform.light(binding.model) == "yellow"


def test_those_that_had_one_of_their_own_keep_it(platform: Platform, binding: RiskBinding) -> None:
    found(platform, binding, firing=2)
    found(platform, binding, firing=8)

    assert incidents_now() == [(SEGMENTS[0], "open"), (SEGMENTS[1], "open"), (MANY_SEGMENTS, "open")]
    assert Incident.objects.get(segment=MANY_SEGMENTS).parts == SEGMENTS[2:]


def test_the_list_follows_without_a_message_and_ends_with_the_last(platform: Platform, binding: RiskBinding) -> None:
    found(platform, binding, firing=8)
    told = Notification.objects.count()
    found(platform, binding, firing=3)

    shared = Incident.objects.get()
    assert (shared.state, shared.parts) == ("open", SEGMENTS[:3])
    assert shared.timeline.filter(kind="parts changed").count() == 1
    assert Notification.objects.count() == told

    found(platform, binding, firing=0)
    assert incidents_now() == [(MANY_SEGMENTS, "resolved")]
    assert Notification.objects.filter(kind="resolved", recipient=f"inbox:{platform.owner.id}").count() == 1


def test_resolved_by_hand_while_it_fires_it_stays_closed_for_a_day(platform: Platform, binding: RiskBinding) -> None:
    found(platform, binding, firing=7)
    shared = Incident.objects.select_related("binding").get()
    incidents.resolve(shared, cause=Cause.values[0], reason="We know.", by=platform.owner, now=platform.clock.now())

    found(platform, binding, firing=7)
    found(platform, binding, firing=4)
    assert incidents_now() == [(MANY_SEGMENTS, "resolved")]

    platform.clock.advance(timedelta(hours=23))
    flow.tell_due(now=platform.clock.now())
    assert incidents_now() == [(MANY_SEGMENTS, "open")]


def test_an_evaluation_that_keeps_failing_is_one_incident_of_the_platform(platform: Platform, binding: RiskBinding) -> None:
    found(platform, binding, firing=3)
    for _ in range(3):
        found(platform, binding, firing=0, error="ValueError: broken")

    assert incidents_now(kind=Incident.Kind.PLATFORM) == [("", "open")]
    found(platform, binding, firing=3)
    assert incidents_now(kind=Incident.Kind.PLATFORM) == [("", "resolved")]
    assert incidents_now(kind=Incident.Kind.RISK) == [(segment, "open") for segment in SEGMENTS[:3]]
