"""The story of estimated_error_rise: large predictions come, of which the model is less sure; errors that changed by themselves make it distrusted."""

from datetime import timedelta
from typing import Any

import pytest

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel, sized_row
from watchkeeper.analysis.error_examples import ErrorDay, error_history, errors_of_day
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.incidents.rehearsing import rehearse_risk
from watchkeeper.ingest.models import WantedRelations
from watchkeeper.monitoring.services import Binding
from watchkeeper.risks.estimated_error_rise import Params, evaluate


def judge(days: list[ErrorDay], **params: object) -> Finding:
    return evaluate(error_history(days), Params.model_validate(params))


def usual(days: int, *, first: int = 1, delay: float = 10.0, **wanted: Any) -> list[ErrorDay]:  # Any: as in errors_of_day
    return [errors_of_day(back, delay=delay, **{"mean": 50 + back % 7} | wanted) for back in range(first, first + days)]


def test_story_a_population_comes_that_the_model_knows_less_exactly(platform: Platform) -> None:
    model = platform.register(problem_type="regression")
    risk = platform.only(model, "estimated_error_rise")
    labelled = LabelledModel(platform, model, delay=timedelta(days=4))
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(36, row=sized_row())
    platform.work(hours=7)
    assert "as before" in platform.explanation(risk)
    assert platform.light(model) == "green"

    labelled.days(1, row=sized_row(large=0.9))
    story.fires(platform, risk, says="estimated root mean squared error 8")

    labelled.days(1, row=sized_row(large=0.2))
    story.resolves(platform, risk)


def test_errors_that_grew_by_themselves_make_the_estimate_distrusted() -> None:
    before = usual(50, first=20, delay=0.5)

    finding = judge([*before, *usual(19, delay=0.5, louder=2.0)])

    assert (finding.outcome, "distrusted" in finding.explanation.render()) == (Outcome.UNKNOWN, True)
    assert judge([*before, *usual(19, delay=0.5)]).outcome is Outcome.QUIET


def test_it_fires_only_when_the_whole_band_is_above_the_reference() -> None:
    slightly = usual(1, mean=55)

    assert judge([*usual(60, first=2), *slightly], tolerance=0.01).outcome is Outcome.QUIET
    assert judge([*usual(60, first=2), *usual(1, mean=70)], tolerance=0.05).outcome is Outcome.FIRED
    assert judge([*usual(60, first=2), *usual(1, mean=70)], tolerance=0.5).outcome is Outcome.QUIET


@pytest.mark.parametrize("metric", ["root_mean_squared_error", "mean_absolute_error"])
def test_several_days_are_judged_together(metric: str) -> None:
    days = [*usual(60, first=4), *usual(3, mean=70)]

    assert judge(days, metric=metric, window=3).outcome is Outcome.FIRED
    assert judge(days, metric=metric, window=31).outcome is Outcome.QUIET


def test_a_day_of_one_row_is_too_few() -> None:
    assert "too few" in judge([*usual(60, first=2), *usual(1, rows=1)]).explanation.render()


def test_days_of_long_ago_are_stale() -> None:
    finding = judge(usual(60, first=9, delay=0.5))

    assert (finding.outcome, finding.data) == (Outcome.UNKNOWN, DataState.STALE)


def test_a_view_of_an_earlier_day_knows_nothing_of_later_ones() -> None:
    history = error_history([*usual(60, first=2, delay=0.5), *usual(1, mean=70, delay=0.5)])
    moment = history.ends[history.days[-2].day]

    assert evaluate(history, Params()).outcome is Outcome.FIRED
    assert evaluate(history.at(moment), Params()).outcome is Outcome.QUIET


def test_a_rehearsal_reads_what_is_counted_and_asks_for_nothing(platform: Platform) -> None:
    model = platform.register(problem_type="regression")
    LabelledModel(platform, model).days(5, row=sized_row())

    assert rehearse_risk(model, wanted=Binding(type="estimated_error_rise"), now=platform.clock.now()).rehearsal
    assert not WantedRelations.objects.exists()


def test_models_that_are_no_regression_are_not_counted(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "estimated_error_rise")
    LabelledModel(platform, model).days(3)

    assert "needs numbers" in platform.explanation(risk)
    assert not WantedRelations.objects.exists()
