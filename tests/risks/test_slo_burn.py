"""The story of slo_burn: unknown without labels, a budget that burns fires, and it resolves when days are good again and budget is left."""

from datetime import timedelta

import pytest

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel
from watchkeeper.analysis.outcome_examples import numbers, outcome_history, scored
from watchkeeper.analysis.service_levels import good_and_bad, service_level, usual_target
from watchkeeper.core.finding import Outcome
from watchkeeper.risks.slo_burn import Params, evaluate
from watchkeeper.telemetry.outcome_queries import OutcomeKind


def decided(share_good):
    def row(rng):
        truth = bool(rng.uniform() < 0.5)
        return {"score": 0.9 if truth else 0.1, "prediction": truth if rng.uniform() < share_good else not truth, "label": truth}

    return row


def test_story_a_budget_burns_and_recovers(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "slo_burn", params={"target": 0.8, "budget": "28d"})
    labelled = LabelledModel(platform, model)
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(30, row=decided(0.95))
    assert platform.light(model) == "green"

    labelled.days(3, row=decided(0.2))
    story.fires(platform, risk, says="times too fast")

    labelled.days(8, row=decided(0.97))
    story.resolves(platform, risk)


def test_bad_are_wrong_decisions_and_truths_outside_the_interval() -> None:
    decisions = good_and_bad(OutcomeKind.DECISIONS, [scored(1, 4000, truth=lambda s: s * 0)])
    assert decisions.valid == 4000
    assert decisions.bad == pytest.approx(2000, abs=150)

    interval = good_and_bad(OutcomeKind.NUMBERS, [numbers(1, 4000, width=2 * 1.645)])
    assert interval.bad / interval.valid == pytest.approx(0.1, abs=0.02)


def test_days_that_are_not_mature_do_not_count() -> None:
    history = outcome_history([scored(back, delay=10.0, truth=(lambda s: 1 - s) if back < 10 else (lambda s: s)) for back in range(1, 60)])

    level = service_level(history, target=0.7, budget=timedelta(days=28))

    assert history.age(level.last) > 10
    assert level.good_share == pytest.approx(0.75, abs=0.02)


def test_a_target_from_the_past_is_missed_by_one_day_in_a_hundred() -> None:
    history = outcome_history([scored(back) for back in range(1, 120)])
    target = usual_target(history)

    shares = [1 - day.bad / day.valid for day in (good_and_bad(OutcomeKind.DECISIONS, [entry]) for entry in history.days)]
    assert sum(share < target for share in shares) <= 4
    assert evaluate(history, Params()).outcome is Outcome.QUIET


def test_two_errors_of_ten_rows_wake_nobody() -> None:
    history = outcome_history([scored(back, 10) for back in range(1, 40)])

    burning = service_level(history, target=0.72, budget=timedelta(days=28)).burns

    assert not any(burn.reason.is_firing for burn in burning)
