from datetime import UTC, datetime

from watchkeeper.core.evidence import Passport
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks.no_data_sources import Params, evaluate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def judge(*sources: str, at_least: int) -> Finding:
    return evaluate(Passport(now=NOW, registered_at=NOW, kind="model", problem_type="", data_sources=sources), Params(at_least=at_least))


def test_it_fires_one_below_what_is_needed() -> None:
    assert judge("clients", at_least=2).outcome == Outcome.FIRED


def test_it_is_quiet_exactly_with_what_is_needed() -> None:
    assert judge("clients", "payments", at_least=2).outcome == Outcome.QUIET
