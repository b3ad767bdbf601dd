from datetime import UTC, datetime

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.core.evidence import Quarantine
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks.quarantine_growing import Params, evaluate
from watchkeeper.wire import Stream

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def judge(*, rejected: int, accepted: int, reasons: tuple[str, ...] = ()) -> Finding:
    return evaluate(Quarantine(now=NOW, rejected=rejected, accepted=accepted, reasons=reasons), Params())


def test_a_share_exactly_at_the_limit_is_quiet() -> None:
    assert judge(rejected=100, accepted=9900).outcome == Outcome.QUIET


def test_a_share_above_the_limit_fires() -> None:
    assert judge(rejected=101, accepted=9899).outcome == Outcome.FIRED


def test_exactly_enough_refused_rows_are_enough() -> None:
    assert judge(rejected=20, accepted=0).outcome == Outcome.FIRED


def test_too_few_refused_rows_are_unknown_and_not_quiet() -> None:
    assert judge(rejected=19, accepted=0).outcome == Outcome.UNKNOWN


def test_it_names_the_reasons() -> None:
    finding = judge(rejected=50, accepted=50, reasons=("age is text", "no id"))

    assert finding.parts == ("age is text", "no id")
    assert "age is text, no id" in finding.explanation.render()


def test_refused_rows_without_a_reason_still_fire() -> None:
    assert judge(rejected=50, accepted=50).explanation.render().endswith(": –")


def test_story_of_refused_rows(platform: Platform) -> None:
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
