import numpy as np

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.analysis.examples import SCORE, history, normal
from watchkeeper.core.finding import Outcome
from watchkeeper.risks.prediction_drift import Params, evaluate


def test_scores_are_compared_with_the_reference_when_it_has_them() -> None:
    days = [normal(2000, seed=day) for day in range(25)]

    assert evaluate(history(SCORE, reference=normal(5000, seed=50), days=days), Params()).outcome == Outcome.QUIET
    assert evaluate(history(SCORE, reference=normal(5000, mean=1.0), days=days), Params()).outcome == Outcome.FIRED


def test_story_of_scores_that_rise(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "prediction_drift")
    platform.work()
    is_unknown(platform, risk)

    chance = np.random.default_rng(3)

    def day(a: float) -> list[dict[str, float]]:
        return [{"score": score} for score in chance.beta(a, 5, 800)]

    platform.predict_days(model, [day(2)] * 30 + [day(4)])
    fires(platform, risk, says="1 of 1 drifted")

    platform.predict_days(model, [day(2)])
    resolves(platform, risk)
