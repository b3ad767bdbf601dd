from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.analysis.examples import history, spread
from watchkeeper.core.finding import Outcome
from watchkeeper.risks.constant_prediction import Params, evaluate
from watchkeeper.telemetry.bins import ColumnBins

DECISION = ColumnBins(name="prediction", kind="category", levels=("no", "yes", "maybe"))


def test_a_rare_event_is_usually_denied() -> None:
    rare = history(DECISION, reference=spread(5000, (0.99, 0.01, 0, 0, 0, 0)), days=[spread(1000, (0.99, 0.01, 0, 0, 0, 0), seed=5)])
    never = history(DECISION, reference=spread(5000, (0.99, 0.01, 0, 0, 0, 0)), days=[spread(1000, (1, 0, 0, 0, 0, 0))])

    assert evaluate(rare, Params()).outcome == Outcome.QUIET
    assert evaluate(never, Params()).outcome == Outcome.FIRED


def test_story_of_a_service_that_answers_from_its_default(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "constant_prediction")
    platform.work()
    is_unknown(platform, risk)

    usual = [{"score": n / 100} for n in range(100)]
    platform.predict_days(model, [usual] * 8 + [[{"score": 0.5}] * 100])  # a week for the bins
    fires(platform, risk, says="100 % of 100 rows")

    platform.predict_days(model, [usual])
    resolves(platform, risk)
