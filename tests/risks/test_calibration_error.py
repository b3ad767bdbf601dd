"""The story of calibration_error: unknown until days can be compared, positives become rarer and it fires, labels as before resolve it."""

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel
from watchkeeper.analysis.outcome_examples import outcome_history, scored
from watchkeeper.core.finding import Outcome
from watchkeeper.risks.calibration_error import Params, evaluate


def test_story_positives_become_rarer(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "calibration_error", params={"tolerance": 0.1})
    labelled = LabelledModel(platform, model)
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(31)
    assert platform.light(model) == "green"

    labelled.days(2, truth=lambda score: score * 0.4)
    story.fires(platform, risk, says="too high")

    labelled.days(2)
    story.resolves(platform, risk)


def test_a_model_that_was_always_off_is_compared_with_itself() -> None:
    history = outcome_history([scored(back, truth=lambda s: s * 0.8) for back in range(1, 60)])

    finding = evaluate(history, Params())

    assert finding.outcome is Outcome.QUIET
    assert finding.limit > 0.1


def test_decisions_without_scores_have_no_calibration(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "calibration_error")
    LabelledModel(platform, model).days(31, row=lambda rng: {"prediction": bool(rng.uniform() < 0.5), "label": bool(rng.uniform() < 0.5)})

    assert platform.explanation(risk) == "a calibration needs scores beside binary labels"
