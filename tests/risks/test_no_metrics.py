from datetime import UTC, datetime

from tests.platform import Platform
from tests.risks.story import fires, resolves
from watchkeeper.core.evidence import DeclaredMetric, Passport
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.registry import services as registry
from watchkeeper.risks.no_metrics import Params, evaluate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def judge(*kinds: str, **params: object) -> Finding:
    metrics = tuple(DeclaredMetric(name=kind, kind=kind, direction="higher") for kind in kinds)
    return evaluate(Passport(now=NOW, registered_at=NOW, kind="model", problem_type="", metrics=metrics), Params.model_validate(params))


def test_it_fires_one_below_what_is_needed() -> None:
    assert judge("technical", at_least=2).outcome == Outcome.FIRED


def test_it_is_quiet_exactly_with_what_is_needed() -> None:
    assert judge("technical", "proxy", at_least=2).outcome == Outcome.QUIET


def test_only_the_kind_asked_for_counts() -> None:
    assert judge("technical", "proxy", kind="business").outcome == Outcome.FIRED


def test_story_of_a_model_without_metrics(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "no_metrics")
    platform.work()
    fires(platform, risk, says="metric")

    registry.declare_metric(model, name="roc_auc", actor=platform.actor, now=platform.clock.now())
    platform.work(minutes=10)
    resolves(platform, risk)
