"""The story of residual_bias: unknown until days can be compared, predictions come out too high and it fires, errors that cancel out resolve it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel
from watchkeeper.analysis.outcome_examples import numbers, outcome_history
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.core.finding import Outcome
from watchkeeper.risks.residual_bias import Params, evaluate
from watchkeeper.telemetry.outcome_queries import NUMBER_SUMS, OutcomeKind


def arrivals(off: float = 0.0):
    """True values differ by 10 (standard deviation), predictions lie so much off on average."""

    def row(rng):
        truth = float(rng.normal(100, 10))
        return {"prediction": truth + off + float(rng.normal(0, 4)), "label": truth}

    return row


def history(*errors: float, before: float = 0.0, days: int = 60, **of_day: float) -> OutcomeHistory:
    """The last days with mean errors as told, newest first."""
    entries = [numbers(back, error=errors[back - 1] if back <= len(errors) else before, **of_day) for back in range(1, days + 1)]
    return outcome_history(entries, kind=OutcomeKind.NUMBERS)


def test_story_predictions_come_out_too_high(platform: Platform) -> None:
    model = platform.register(problem_type="regression")
    risk = platform.only(model, "residual_bias", params={"window": 2})
    labelled = LabelledModel(platform, model)
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(10, row=arrivals())
    assert "with which later days are compared" in platform.explanation(risk)
    labelled.days(21, row=arrivals())
    assert platform.light(model) == "green"

    labelled.days(3, row=arrivals(off=4.0))
    story.fires(platform, risk, says="too high on average")

    labelled.days(3, row=arrivals())
    story.resolves(platform, risk)


@pytest.mark.parametrize(("off", "said"), [(3.0, "too high"), (-3.0, "too low")])
def test_it_says_in_which_direction_and_how_far(off: float, said: str) -> None:
    found = evaluate(history(*[off] * 8), Params())

    assert found.outcome is Outcome.FIRED
    assert said in found.explanation.render()
    assert found.value == pytest.approx(0.3, abs=0.02)
    assert 0 < found.explanation.args["low"] < found.explanation.args["error"] < found.explanation.args["high"]


def test_the_limit_starts_from_the_reference() -> None:
    found = evaluate(history(*[3.0] * 8, before=2.5), Params())

    assert found.outcome is Outcome.QUIET
    assert found.limit == pytest.approx(0.35, abs=0.02)


def test_an_error_that_turns_round_by_less_than_the_tolerance_does_not_fire() -> None:
    assert evaluate(history(*[-2.0] * 8, before=2.0), Params()).outcome is Outcome.QUIET


def test_the_unit_does_not_matter() -> None:
    usual = history(*[3.0] * 8)
    powers = np.array([2.0 if name.endswith("_2") else 4.0 if name.endswith("_4") else 1.0 for name in NUMBER_SUMS])
    powers[[name.startswith("n") and name != "naive_2" and name != "naive_4" for name in NUMBER_SUMS]] = 0.0
    cents = replace(usual, days=tuple(replace(entry, cells=entry.cells * 100**powers) for entry in usual.days))

    assert evaluate(cents, Params()).value == pytest.approx(evaluate(usual, Params()).value)


def test_days_that_always_differed_much_take_more() -> None:
    rng = np.random.default_rng(3)
    restless = [float(error) for error in rng.normal(0, 4, 60)]

    assert evaluate(history(*[2.5] * 3), Params(window=2)).outcome is Outcome.FIRED
    assert evaluate(history(*[2.5] * 3, *restless[3:]), Params(window=2)).outcome is Outcome.QUIET


def test_true_values_that_are_all_the_same_tell_no_size() -> None:
    usual = history(*[3.0] * 8)
    observed, squares = NUMBER_SUMS.index("observed"), NUMBER_SUMS.index("observed_2")

    def constant(cells):
        flat = cells.copy()
        flat[0, observed], flat[0, squares] = 1e6 * cells[0, 0], 1e12 * cells[0, 0]
        return flat

    found = evaluate(replace(usual, days=tuple(replace(entry, cells=constant(entry.cells)) for entry in usual.days)), Params())

    assert found.outcome is Outcome.UNKNOWN
    assert "all the same" in found.explanation.render()
