from datetime import UTC, datetime, timedelta

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.core.evidence import Heartbeat, Heartbeats
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks.no_predictions import Params, evaluate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def judge(
    *, heard: datetime | None, registered_at: datetime = NOW - timedelta(days=30), outage: float = 0, expected_at: datetime | None = None
) -> Finding:
    streams = {} if heard is None else {"predictions": Heartbeat(last_received_at=heard, rows=1)}
    evidence = Heartbeats(now=NOW, registered_at=registered_at, streams=streams, outage_seconds={"predictions": outage}, expected_at=expected_at)
    return evaluate(evidence, Params())


def test_it_fires_exactly_at_the_limit() -> None:
    finding = judge(heard=NOW - 60 * MINUTE)

    assert (finding.outcome, finding.since) == (Outcome.FIRED, NOW)


def test_just_before_the_limit_it_is_quiet_and_asks_for_a_recheck_there() -> None:
    finding = judge(heard=NOW - 59 * MINUTE)

    assert (finding.outcome, finding.recheck_at) == (Outcome.QUIET, NOW + MINUTE)


def test_our_own_outage_is_taken_off_the_silence() -> None:
    assert judge(heard=NOW - 90 * MINUTE, outage=31 * 60).outcome == Outcome.QUIET


def test_a_model_that_never_predicted_fires_after_the_same_time() -> None:
    assert judge(heard=None, registered_at=NOW - 59 * MINUTE).outcome == Outcome.UNKNOWN
    assert judge(heard=None, registered_at=NOW - 60 * MINUTE).outcome == Outcome.FIRED


def test_a_run_that_was_due_and_did_not_come_fires() -> None:
    assert judge(heard=NOW - timedelta(days=1), expected_at=NOW - MINUTE).outcome == Outcome.FIRED


def test_a_model_with_a_timetable_may_be_silent_between_its_runs() -> None:
    assert judge(heard=NOW - timedelta(days=1), expected_at=NOW - timedelta(days=2)).outcome == Outcome.QUIET


def test_story_of_a_model_that_falls_silent(platform: Platform) -> None:
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
