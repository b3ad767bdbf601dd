"""The story of worse_than_simple_model: unknown without labels, errors larger than the simple model's fire, smaller ones resolve."""

from dataclasses import replace

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel
from watchkeeper.analysis.outcome_examples import numbers, outcome_history
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.core.finding import DataState, Outcome
from watchkeeper.risks.worse_than_simple_model import Params, evaluate
from watchkeeper.telemetry.outcome_queries import NUMBER_SUMS, OutcomeKind


def demand(sd: float = 1.0, *, has_naive: bool = True):
    """Errors of the model are so large, those of the simple one 2 (standard deviation)."""

    def row(rng):
        truth = float(rng.normal(100, 10))
        score = {"score": {"naive": truth + float(rng.normal(0, 2))}} if has_naive else {}
        return {"prediction": truth + float(rng.normal(0, sd)), "label": truth, **score}

    return row


def history(sd: float, *, days: int = 40, first: int = 1) -> OutcomeHistory:
    return outcome_history([numbers(back, sd=sd) for back in range(first, days + 1)], kind=OutcomeKind.NUMBERS)


def test_story_the_simple_model_comes_closer(platform: Platform) -> None:
    model = platform.register(problem_type="forecasting")
    risk = platform.only(model, "worse_than_simple_model", params={"window": 2})
    labelled = LabelledModel(platform, model)
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(5, row=demand())
    assert platform.light(model) == "green"

    labelled.days(3, row=demand(sd=4.0))
    story.fires(platform, risk, says="skill score against the simple model -")

    labelled.days(3, row=demand())
    story.resolves(platform, risk)


def test_without_a_simple_prediction_nothing_can_be_told(platform: Platform) -> None:
    model = platform.register(problem_type="regression")
    risk = platform.only(model, "worse_than_simple_model")

    LabelledModel(platform, model).days(5, row=demand(has_naive=False))

    story.is_unknown(platform, risk)
    assert "0 of 600 labelled rows have a simple prediction beside" in platform.explanation(risk)


def test_decisions_are_not_compared_yet(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "worse_than_simple_model")

    LabelledModel(platform, model).days(5)

    story.is_unknown(platform, risk)
    assert "not decisions or classes" in platform.explanation(risk)


def test_one_row_without_a_simple_prediction_is_one_too_few() -> None:
    whole = history(4.0)
    without = whole.days[-2].cells.copy()
    without[0, NUMBER_SUMS.index("n_naive")] -= 1
    days = tuple(replace(entry, cells=without) if entry is whole.days[-2] else entry for entry in whole.days)

    found = evaluate(replace(whole, days=days), Params())

    assert found.outcome is Outcome.UNKNOWN
    assert "3,499 of 3,500" in found.explanation.render()


def test_it_fires_only_when_the_whole_interval_is_below() -> None:
    slightly_worse = history(2.05)

    few = evaluate(slightly_worse, Params(window=1))
    many = evaluate(slightly_worse, Params(window=38))

    assert few.outcome is Outcome.QUIET
    assert many.outcome is Outcome.FIRED
    assert many.explanation.args["error"] > many.explanation.args["simple"]


def test_more_than_no_worse_can_be_asked_for() -> None:
    somewhat_better = history(1.8)

    assert evaluate(somewhat_better, Params()).outcome is Outcome.QUIET
    assert evaluate(somewhat_better, Params(least_skill=0.4)).outcome is Outcome.FIRED


def test_a_new_version_is_judged_by_its_own_days() -> None:
    old = [numbers(back, sd=4.0) for back in range(6, 40)]
    new = [replace(numbers(back), version="2") for back in range(1, 6)]

    found = evaluate(outcome_history([*old, *new], kind=OutcomeKind.NUMBERS), Params())

    assert found.outcome is Outcome.QUIET
    assert found.explanation.args["labels"] == 2000


def test_old_days_say_nothing_any_more() -> None:
    found = evaluate(history(4.0, first=20, days=60), Params())

    assert found.outcome is Outcome.UNKNOWN
    assert found.data is DataState.STALE
