import numpy as np
import pyarrow as pa

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.analysis.examples import CONFIDENCE, history, sure
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks.confidence_drop import Params, evaluate
from watchkeeper.telemetry.derived_bins import derived_bins


def judge(mean: float, *, days: int = 30, rows: int = 2000, **params: object) -> Finding:
    usual = [sure(rows, seed=day) for day in range(days - 1)]
    found = history(CONFIDENCE, reference=sure(10_000, seed=99), days=[*usual, sure(rows, mean=mean, seed=98)])
    return evaluate(found, Params.model_validate(params))


def test_it_says_how_sure_the_model_is_and_how_many_rows_are_undecided() -> None:
    finding = judge(0.7)
    facts = finding.explanation.args

    assert finding.outcome == Outcome.FIRED
    assert finding.value is not None
    assert abs(finding.value - 0.7) < 0.01
    assert float(facts["undecided"]) > float(facts["usually"]) + 0.1


def test_a_fall_below_the_limit_is_quiet_however_significant() -> None:
    assert judge(0.77, rows=100_000).outcome == Outcome.QUIET
    assert judge(0.77, rows=100_000, least_drop=0.02).outcome == Outcome.FIRED


def test_a_model_that_becomes_surer_does_not_fire() -> None:
    assert judge(0.95).outcome == Outcome.QUIET


def test_only_a_large_fall_is_told_while_it_is_unknown_how_much_days_differ() -> None:
    assert judge(0.76, days=30, least_drop=0.02).outcome == Outcome.FIRED
    assert judge(0.76, days=3, least_drop=0.02).outcome == Outcome.QUIET
    assert judge(0.65, days=3, least_drop=0.02).outcome == Outcome.FIRED


def test_quantiles_and_intervals_of_shares_are_no_probabilities() -> None:
    beside = pa.table({"score.q10": [0.1, 0.2], "score.q50": [0.3, 0.4], "score.low": [0.0, 0.1], "score.naive": [0.2, 0.2]})

    assert list(derived_bins(beside)) == []


def test_story_of_a_model_that_does_not_know_what_to_say(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "confidence_drop")
    platform.work()
    is_unknown(platform, risk)

    chance = np.random.default_rng(3)

    def day(spread: float) -> list[dict[str, float]]:
        return [{"score": score} for score in chance.beta(spread, spread, 800)]

    platform.predict_days(model, [day(0.5)] * 30 + [day(3)])
    fires(platform, risk, says="less sure than usual")

    platform.predict_days(model, [day(0.5)])
    resolves(platform, risk)


def test_story_of_classes_that_all_seem_possible(platform: Platform) -> None:
    model = platform.register(problem_type="multiclass")
    risk = platform.only(model, "confidence_drop")
    chance = np.random.default_rng(3)

    def day(spread: float) -> list[dict[str, object]]:
        return [{"score": dict(zip("abc", row, strict=True))} for row in chance.dirichlet([spread] * 3, 400).tolist()]

    platform.train(model, reference=[{f"score.{name}": p for name, p in row["score"].items()} for row in day(0.3)])
    platform.predict_days(model, [*(day(0.3) for _ in range(22)), day(5)])

    fires(platform, risk, says="less sure than usual")
