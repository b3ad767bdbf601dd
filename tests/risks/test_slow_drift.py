from typing import Any

import numpy as np

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, normal_rows, resolves
from watchkeeper.analysis.examples import AGE, history, normal
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks.slow_drift import Params, evaluate


def judge(means: list[float], **params: object) -> Finding:
    days = [normal(3000, seed=day) for day in range(28)]
    later = [normal(3000, mean=mean, seed=500 + day) for day, mean in enumerate(means)]
    return evaluate(history(AGE, reference=normal(9000), days=[*days, *later]), Params.model_validate(params))


def test_a_shift_that_no_single_day_shows_is_found() -> None:
    finding = judge([0.1] * 50)

    assert (finding.outcome, finding.parts) == (Outcome.FIRED, ("age",))
    assert "lasting drift of age" in finding.explanation.render()


def test_a_few_odd_days_do_not_last() -> None:
    assert judge([0.0] * 20 + [0.2] * 3 + [0.0] * 20).outcome == Outcome.QUIET


def test_the_same_days_always_give_the_same_answer() -> None:
    assert judge([0.05] * 40) == judge([0.05] * 40)


def test_more_features_ask_for_more_evidence() -> None:
    assert judge([0.1] * 50, days_between_alarms=10**12).outcome == Outcome.QUIET


def test_a_difference_too_small_to_matter_is_left_alone() -> None:
    assert judge([0.1] * 50, least_psi=0.5).outcome == Outcome.QUIET


def test_ten_times_the_rows_are_no_drift() -> None:
    """Days differ by a tenth of a standard deviation; with more rows that shows more clearly, and is as usual as before."""
    means = np.random.default_rng(5).normal(0, 0.1, 88)
    days = [normal(2000 if day < 28 else 20_000, mean=float(mean), seed=day) for day, mean in enumerate(means)]

    assert evaluate(history(AGE, reference=normal(9000), days=days), Params()).outcome == Outcome.QUIET


def test_story_of_a_world_that_moves_on(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "slow_drift", params={"days_between_alarms": 50, "days": 14})
    platform.train(model, reference=normal_rows(seed=1))
    platform.work()
    is_unknown(platform, risk)

    platform.predict_days(model, [rows_of(0.0 if day < 28 else 0.4, seed=10 + day) for day in range(28 + 16)])
    fires(platform, risk, says="lasting drift of x")

    platform.work(days=13)
    platform.predict_days(model, [rows_of(0.0, seed=900 + day) for day in range(14)])
    resolves(platform, risk)


def rows_of(mean: float, *, seed: int) -> list[dict[str, Any]]:
    return [{"features": row} for row in normal_rows(mean, count=800, seed=seed)]
