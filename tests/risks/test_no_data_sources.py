from datetime import UTC, datetime

from tests.platform import Platform
from tests.risks.story import fires, resolves
from watchkeeper.core.evidence import Passport
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.registry import services as registry
from watchkeeper.risks.no_data_sources import Params, evaluate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def judge(*sources: str, at_least: int) -> Finding:
    return evaluate(Passport(now=NOW, registered_at=NOW, kind="model", problem_type="", data_sources=sources), Params(at_least=at_least))


def test_it_fires_one_below_what_is_needed() -> None:
    assert judge("clients", at_least=2).outcome == Outcome.FIRED


def test_it_is_quiet_exactly_with_what_is_needed() -> None:
    assert judge("clients", "payments", at_least=2).outcome == Outcome.QUIET


def test_story_of_a_model_without_data_sources(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_data_sources")
    platform.work()
    fires(platform, risk, says="source")

    registry.link_sources(model, addresses=["postgres://dwh/sales.orders"], actor=platform.actor, now=platform.clock.now())
    platform.work(minutes=10)
    resolves(platform, risk)
