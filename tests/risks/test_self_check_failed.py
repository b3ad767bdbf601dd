from datetime import UTC, datetime, timedelta

import pytest

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.client._self_check import Failure, SelfCheck
from watchkeeper.core.evidence import Events, LoggedEvent
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.risks.self_check_failed import Params, evaluate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def check(*, hours_ago: float = 1, timestamp: datetime | None = None, **fields: object) -> LoggedEvent:
    received_at = NOW - hours_ago * HOUR
    return LoggedEvent(type="self_check", timestamp=timestamp or received_at, received_at=received_at, fields=fields)


def judge(*events: LoggedEvent) -> Finding:
    return evaluate(Events(now=NOW, registered_at=NOW, events=events), Params())


def test_only_the_newest_check_counts() -> None:
    assert judge(check(hours_ago=2, failed=3), check(hours_ago=1, failed=0)).outcome == Outcome.QUIET


def test_a_check_dated_2099_does_not_hide_those_that_follow() -> None:
    dated_2099 = check(hours_ago=2, timestamp=datetime(2099, 1, 1, tzinfo=UTC), failed=0)

    assert judge(dated_2099, check(hours_ago=1, failed=1)).outcome == Outcome.FIRED


def test_a_check_that_arrives_late_does_not_replace_a_newer_one() -> None:
    late = check(hours_ago=0, timestamp=NOW - 9 * HOUR, failed=0)

    assert judge(check(hours_ago=1, failed=1), late).outcome == Outcome.FIRED


def test_a_check_that_could_not_run_is_a_failed_one() -> None:
    finding = judge(check(failed=0, error="no such file: {model}"))

    assert finding.outcome == Outcome.FIRED
    assert "no such file: {model}" in finding.explanation.render()


def test_each_named_check_counts_by_itself() -> None:
    finding = judge(check(hours_ago=2, name="edge cases", failed=3), check(hours_ago=1, name="smoke", failed=0))

    assert (finding.outcome, finding.parts) == (Outcome.FIRED, ("edge cases",))


def test_a_check_that_no_longer_comes_is_not_covered_by_another() -> None:
    finding = judge(check(hours_ago=99, name="edge cases", failed=3), check(hours_ago=1, name="smoke", failed=0))

    assert (finding.outcome, finding.data) == (Outcome.UNKNOWN, DataState.STALE)
    assert "edge cases" in finding.explanation.render()


def test_it_names_the_wrong_answers_that_the_client_sends() -> None:
    result = SelfCheck("smoke", cases=12, passed=11, failures=(Failure(case=3, expected=0.2, got=0.9),))

    finding = judge(check(**result.as_fields()))

    assert finding.value == 1
    assert "smoke (#3: 0.2 ≠ 0.9)" in finding.explanation.render()


def test_a_check_that_tried_nothing_is_unknown() -> None:
    assert judge(check(passed=0, failed=0)).outcome == Outcome.UNKNOWN


@pytest.mark.parametrize("failed", [None, "two", True, float("nan"), [1]])
def test_what_is_no_count_is_unknown(failed: object) -> None:
    assert judge(check(failed=failed)).outcome == Outcome.UNKNOWN


def test_an_old_check_is_stale() -> None:
    finding = judge(check(hours_ago=48.1, failed=0))

    assert (finding.outcome, finding.data) == (Outcome.UNKNOWN, DataState.STALE)


def test_it_asks_for_a_recheck_when_the_check_grows_too_old() -> None:
    assert judge(check(hours_ago=1, failed=0)).recheck_at == NOW + 47 * HOUR


def test_other_events_are_no_checks() -> None:
    assert judge(LoggedEvent(type="deployed", timestamp=NOW, received_at=NOW, fields={"failed": 0})).outcome == Outcome.UNKNOWN


def test_story_of_a_known_case_that_is_answered_wrongly(platform: Platform) -> None:
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
