from datetime import UTC, datetime

from watchkeeper.core.evidence import DeclaredMetric, Passport
from watchkeeper.core.finding import Finding, Outcome
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
