"""The story of conformal_coverage: unknown without labels, errors outgrow the intervals and it fires, errors as before resolve it."""

from dataclasses import replace

import pytest

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel
from watchkeeper.analysis.outcome_examples import numbers, outcome_history
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks.conformal_coverage import Params, evaluate
from watchkeeper.telemetry.outcome_queries import NUMBER_SUMS, OutcomeKind


def delays(sd: float = 1.0, *, has_interval: bool = True):
    """Intervals 3.6 wide hold 93 % of errors of 1 (standard deviation)."""

    def row(rng):
        truth = float(rng.normal(30, 10))
        said = truth + float(rng.normal(0, sd))
        score = {"score": {"low": said - 1.8, "high": said + 1.8}} if has_interval else {}
        return {"prediction": said, "label": truth, **score}

    return row


def covering(covered: int, rows: int = 100, *, width: float = 3.0, days: int = 40) -> OutcomeHistory:
    """So many of each day's rows lie inside; before the last 14 mature days intervals were 2 wide."""
    entries = []
    for back in range(1, days + 1):
        day = numbers(back, rows)
        sums = dict(zip(NUMBER_SUMS, day.cells[0], strict=True)) | {"covered": covered, "width": (width if back <= 15 else 2.0) * rows}
        entries.append(replace(day, cells=day.cells * 0 + [list(sums.values())]))
    return outcome_history(entries, kind=OutcomeKind.NUMBERS)


def judged(history: OutcomeHistory, **params: object) -> Finding:
    return evaluate(history, Params.model_validate(params))


def test_story_errors_outgrow_the_intervals(platform: Platform) -> None:
    model = platform.register(problem_type="regression")
    risk = platform.only(model, "conformal_coverage", params={"window": 2})
    labelled = LabelledModel(platform, model)
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(5, row=delays())
    assert platform.light(model) == "green"

    labelled.days(3, row=delays(sd=2.0))
    story.fires(platform, risk, says="promised 90")

    labelled.days(3, row=delays())
    story.resolves(platform, risk)


def test_without_intervals_nothing_can_be_told(platform: Platform) -> None:
    model = platform.register(problem_type="regression")
    risk = platform.only(model, "conformal_coverage")

    LabelledModel(platform, model).days(5, row=delays(has_interval=False))

    story.is_unknown(platform, risk)
    assert "no interval is logged" in platform.explanation(risk)


@pytest.mark.parametrize(
    ("covered", "outcome"),
    [(85, Outcome.FIRED), (88, Outcome.FIRED), (89, Outcome.QUIET), (90, Outcome.QUIET), (97, Outcome.QUIET)],
)
def test_it_fires_from_the_tolerance_on(covered: int, outcome: Outcome) -> None:
    assert judged(covering(covered, rows=100)).outcome is outcome


def test_few_rows_may_miss_by_chance() -> None:
    assert judged(covering(17, rows=20), window=2).outcome is Outcome.QUIET
    assert judged(covering(17, rows=20), window=14).outcome is Outcome.FIRED


def test_it_says_how_wide_intervals_are_and_were() -> None:
    text = judged(covering(80)).explanation.render()

    assert "mean width 3, reference 2" in text
    assert "limit 88" in text


def test_covering_too_much_fires_when_asked() -> None:
    found = judged(covering(98), over=True)

    assert judged(covering(98)).outcome is Outcome.QUIET
    assert found.outcome is Outcome.FIRED
    assert "wider than needed" in found.explanation.render()
    assert found.limit == pytest.approx(0.92)
    assert judged(covering(91), over=True).outcome is Outcome.QUIET


def test_covering_too_little_fires_whether_or_not_too_much_does() -> None:
    found = judged(covering(80), over=True)

    assert found.outcome is Outcome.FIRED
    assert found.limit == pytest.approx(0.88)


def test_another_promise_can_be_kept() -> None:
    assert judged(covering(80), nominal=0.8).outcome is Outcome.QUIET


def test_before_there_are_other_days_the_width_has_no_reference() -> None:
    found = judged(covering(80, days=6))

    assert found.outcome is Outcome.FIRED
    assert "reference –" in found.explanation.render()
