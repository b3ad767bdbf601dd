from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.platform import Platform
from tests.risks.story import a_bad_day, normal_rows
from watchkeeper import risks
from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.drift import DriftLimits, column_drifts, weighted_drift
from watchkeeper.analysis.examples import AGE, INCOME, NOW, REGION, history, normal, side_by_side, spread
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.risks.feature_drift import Params, evaluate


def judge(days: list[np.ndarray], *, reference: np.ndarray | None = None, now=NOW, **params: object) -> Finding:
    column = AGE if len(days[0]) > 10 else REGION
    return evaluate(history(column, reference=reference, days=days, now=now), Params.model_validate(params))


def test_a_shift_names_the_feature_and_what_chance_gives() -> None:
    finding = judge([*(normal(2000, seed=day) for day in range(29)), normal(2000, mean=0.5)], reference=normal(10_000, seed=99))

    assert (finding.outcome, finding.parts) == (Outcome.FIRED, ("age",))
    assert "1 of 1 drifted" in finding.explanation.render()
    assert finding.value is not None
    assert finding.value > 0.1


def test_a_small_shift_of_all_rows_is_told_by_how_far_they_moved() -> None:
    finding = judge([*(normal(20_000, seed=day) for day in range(29)), normal(20_000, mean=0.2)], reference=normal(10_000, seed=99))

    assert finding.outcome == Outcome.FIRED
    assert "rows moved by 0.2" in finding.explanation.render()
    assert finding.value is not None
    assert finding.limit is not None
    assert finding.value > finding.limit


def test_a_model_without_a_reference_is_compared_with_its_own_first_weeks() -> None:
    usual = [normal(3000, seed=day) for day in range(28)]

    assert judge(usual).outcome == Outcome.UNKNOWN
    assert judge([*usual, normal(3000, seed=77)]).outcome == Outcome.QUIET
    assert judge([*usual, normal(3000, seed=77, mean=0.5)]).outcome == Outcome.FIRED


def test_what_returns_every_week_is_no_drift() -> None:
    days = [normal(3000, seed=day, mean=0.6 if day % 7 == 6 else 0.0) for day in range(35)]

    assert judge(days).outcome == Outcome.QUIET  # a day like the same day of the weeks before
    assert judge([*days[:-1], normal(3000, seed=50)]).outcome == Outcome.FIRED  # an ordinary day where a weekend is usual


def test_days_that_differ_by_themselves_are_no_drift() -> None:
    """The spread between days is learned: the same shift fires where days are alike, and not where each is another."""
    chance = np.random.default_rng(5)
    restless = [normal(3000, seed=day, mean=chance.normal(0, 0.35)) for day in range(29)]

    finding = judge([*restless, normal(3000, mean=0.4)], reference=normal(10_000, seed=99))

    assert finding.outcome == Outcome.UNKNOWN
    assert "how much days differ" in finding.explanation.render()


def test_a_category_whose_levels_changed_places_drifts() -> None:
    usual = [spread(3000, (5, 3, 2, 0, 0, 0), seed=day) for day in range(29)]

    assert judge([*usual, spread(3000, (2, 3, 5, 0, 0, 0))], reference=spread(9000, (5, 3, 2, 0, 0, 0))).outcome == Outcome.FIRED


def test_days_of_long_ago_are_stale() -> None:
    finding = judge([normal(2000, seed=day) for day in range(30)], reference=normal(10_000), now=NOW + timedelta(days=4))

    assert (finding.outcome, finding.data) == (Outcome.UNKNOWN, DataState.STALE)


def test_an_ignored_feature_may_change() -> None:
    assert judge([normal(2000, mean=3)] * 30, reference=normal(10_000), ignore=["age"]).outcome == Outcome.UNKNOWN


def two_features(importances: Mapping[str, float], *, age: float = 0.0, income: float = 0.0) -> ColumnHistory:
    """On the last day so many standard deviations higher."""
    days = [normal(2000, seed=day) for day in range(29)]
    parts = [
        history(column, reference=normal(10_000, seed=99), days=[*days, normal(2000, mean=mean, seed=98)])
        for column, mean in ((AGE, age), (INCOME, income))
    ]
    return side_by_side(parts, importances={f"f.{name}": value for name, value in importances.items()})


def test_what_matters_more_is_named_first_with_its_importance() -> None:
    finding = evaluate(two_features({"age": 0.123456, "income": 1.0}, age=0.8, income=0.5), Params())

    assert finding.parts == ("income", "age")
    assert "most income (importance 1): PSI" in finding.explanation.render()


def test_features_that_matter_less_are_not_looked_at_nor_adjusted_for() -> None:
    evidence = two_features({"age": 0.1, "income": 1.0}, age=0.8)

    assert evaluate(evidence, Params()).outcome == Outcome.FIRED
    found = evaluate(evidence, Params(least_importance=0.2))
    assert found.outcome == Outcome.QUIET
    assert "most income (importance 1)" in found.explanation.render()
    assert "most age (importance 0.1)" in evaluate(evidence, Params(ignore=("income",))).explanation.render()
    assert evaluate(evidence, Params(least_importance=0.2, ignore=("income",))).outcome == Outcome.UNKNOWN


def test_a_feature_of_unknown_importance_is_always_looked_at() -> None:
    evidence = two_features({"income": 1.0}, age=0.5)

    finding = evaluate(evidence, Params(least_importance=1))

    assert (finding.outcome, finding.parts) == (Outcome.FIRED, ("age",))
    assert "most age: PSI" in finding.explanation.render()


def test_all_features_together_drift_by_what_matters() -> None:
    evidence = two_features({}, age=0.5)
    age, income = column_drifts(evidence, list(evidence.columns), DriftLimits())

    assert weighted_drift([age, income]) == pytest.approx((age.test.psi + income.test.psi) / 2)
    assert weighted_drift([replace(age, importance=0.0), income]) == pytest.approx(income.test.psi)
    assert np.isnan(weighted_drift([]))


def test_a_rehearsal_tries_other_importances() -> None:
    assert risks.get("feature_drift").limits["least_importance"].fewer_when_higher


def test_story_of_a_feature_that_moves(platform: Platform) -> None:
    a_bad_day(platform, "feature_drift", says="1 of 1 drifted", bad=normal_rows(2.0), good=normal_rows(seed=3), reference=normal_rows(seed=4))
