from datetime import UTC, datetime, timedelta

import pytest

from tests.platform import Platform
from tests.risks.story import fires, resolves
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.evidence import Events, LoggedEvent
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks import event_reported, get

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def event(kind: str, *, hours_ago: float, timestamp: datetime | None = None) -> LoggedEvent:
    received_at = NOW - hours_ago * HOUR
    return LoggedEvent(type=kind, timestamp=timestamp or received_at, received_at=received_at)


def judge(*events: LoggedEvent) -> Finding:
    params = event_reported.Params(type="fallback_on", clears_with="fallback_off")
    return event_reported.evaluate(Events(now=NOW, registered_at=NOW, events=events), params)


def test_it_fires_until_the_event_is_too_old_and_asks_for_a_recheck_then() -> None:
    finding = judge(event("fallback_on", hours_ago=23))

    assert (finding.outcome, finding.recheck_at) == (Outcome.FIRED, NOW + HOUR)


def test_it_is_quiet_exactly_when_the_event_is_too_old() -> None:
    assert judge(event("fallback_on", hours_ago=24)).outcome == Outcome.QUIET


def test_the_ending_event_ends_it() -> None:
    assert judge(event("fallback_on", hours_ago=2), event("fallback_off", hours_ago=1)).outcome == Outcome.QUIET


def test_it_fires_again_after_it_was_ended() -> None:
    assert judge(event("fallback_off", hours_ago=2), event("fallback_on", hours_ago=1)).outcome == Outcome.FIRED


def test_what_came_together_keeps_its_order() -> None:
    assert judge(event("fallback_on", hours_ago=1), event("fallback_off", hours_ago=1)).outcome == Outcome.QUIET
    assert judge(event("fallback_off", hours_ago=1), event("fallback_on", hours_ago=1)).outcome == Outcome.FIRED


def test_an_end_dated_2099_does_not_hide_the_next_event() -> None:
    dated_2099 = event("fallback_off", hours_ago=5, timestamp=datetime(2099, 1, 1, tzinfo=UTC))

    assert judge(event("fallback_on", hours_ago=1), dated_2099).outcome == Outcome.FIRED


def test_an_event_reported_late_counts_from_its_receipt() -> None:
    assert judge(event("fallback_on", hours_ago=1, timestamp=NOW - timedelta(days=9))).outcome == Outcome.FIRED


@pytest.mark.parametrize("params", [{}, {"type": ""}, {"type": "a", "clears_with": "a"}, {"type": "a", "within": "31d"}])
def test_parameters_that_make_no_sense_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        get("event_reported").parse_params(params)


def test_story_of_a_reported_event(platform: Platform) -> None:
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
