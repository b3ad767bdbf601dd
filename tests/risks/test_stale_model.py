from datetime import UTC, datetime, timedelta

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.core.evidence import CurrentVersion, Passport
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks.stale_model import Params, evaluate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def judge(**trained: datetime | None) -> Finding:
    """Versions by name and when each was trained."""
    versions = tuple(CurrentVersion(name=name, trained_at=at, deployed_at=None) for name, at in trained.items())
    return evaluate(Passport(now=NOW, registered_at=NOW, kind="model", problem_type="", versions=versions), Params())


def test_it_fires_exactly_at_the_limit() -> None:
    finding = judge(v1=NOW - 180 * DAY)

    assert (finding.outcome, finding.since) == (Outcome.FIRED, NOW)


def test_just_before_the_limit_it_is_quiet_and_asks_for_a_recheck_there() -> None:
    finding = judge(v1=NOW - 179 * DAY)

    assert (finding.outcome, finding.recheck_at) == (Outcome.QUIET, NOW + DAY)


def test_one_old_version_among_several_is_enough() -> None:
    assert judge(v1=NOW - 200 * DAY, v2=NOW - DAY, v3=None).parts == ("v1",)


def test_one_version_without_a_date_makes_it_unknown() -> None:
    assert judge(v1=NOW - DAY, v2=None).outcome == Outcome.UNKNOWN


def test_a_training_in_the_future_is_not_believed() -> None:
    assert judge(v1=datetime(2099, 1, 1, tzinfo=UTC)).outcome == Outcome.UNKNOWN


def test_it_is_unknown_without_a_version() -> None:
    assert judge().outcome == Outcome.UNKNOWN


def test_story_of_an_old_version(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "stale_model", params={"max_age": "90d"})
    platform.work()
    is_unknown(platform, risk)

    platform.train(model, {"x": "double"}, version="old", days_ago=100)
    platform.say(model, "deployed", version="old")
    platform.work(days=1)
    fires(platform, risk, says="old")

    platform.train(model, {"x": "double"}, version="new", days_ago=1)
    platform.say(model, "deployed", version="new")
    platform.work(days=1)
    resolves(platform, risk)
