from datetime import timedelta

import numpy as np
import pytest

from tests.platform import Platform
from tests.risks.story import Rows, a_bad_day, fires
from watchkeeper.analysis.moment_examples import COLUMNS, day_of, moment_history
from watchkeeper.analysis.multivariate import MomentHistory
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.risks.multivariate_drift import Params, evaluate
from watchkeeper.stats.moments import moments_of


def judge(days: list[np.ndarray], *, has_reference: bool = True, **params: object) -> Finding:
    return evaluate(moment_history(days, has_reference=has_reference), Params.model_validate(params))


def usual(days: int, *, first: int = 0, rows: int = 2000) -> list[np.ndarray]:
    return [day_of(rows, seed=seed) for seed in range(first, first + days)]


def test_it_names_the_features_that_no_longer_go_together() -> None:
    finding = judge([*usual(29), day_of(2000, correlation=-0.8)])

    assert (finding.outcome, sorted(finding.parts)) == (Outcome.FIRED, ["income", "limit"])
    assert finding.value == pytest.approx(1.8, rel=0.1)
    assert finding.limit == pytest.approx(0.2 * 1.2, rel=0.1)
    assert "it changed most for" in finding.explanation.render()


def test_an_error_that_falls_fires_too() -> None:
    finding = judge([*usual(29), day_of(2000, sd=0.5)])

    assert finding.outcome == Outcome.FIRED
    assert finding.value is not None
    assert finding.limit is not None
    assert finding.value < finding.limit < 0.2


def test_a_model_without_a_reference_is_compared_with_its_own_first_weeks() -> None:
    assert judge(usual(28), has_reference=False).outcome == Outcome.UNKNOWN
    assert judge(usual(29), has_reference=False).outcome == Outcome.QUIET
    assert judge([*usual(28), day_of(2000, correlation=-0.8)], has_reference=False).outcome == Outcome.FIRED


def test_what_is_significant_and_small_does_not_fire() -> None:
    days = [*usual(29, rows=200_000), day_of(200_000, correlation=0.78)]

    assert judge(days).outcome == Outcome.QUIET
    assert judge(days, tolerance=0.05).outcome == Outcome.FIRED


def test_days_that_differ_by_themselves_are_no_drift() -> None:
    chance = np.random.default_rng(5)
    restless = [day_of(2000, seed=day, correlation=0.8 + chance.normal(0, 0.05)) for day in range(29)]
    changed = day_of(2000, correlation=0.74)

    assert judge([*usual(29), changed]).outcome == Outcome.FIRED
    finding = judge([*restless, changed])
    assert finding.outcome == Outcome.UNKNOWN
    assert "how much days differ" in finding.explanation.render()


def test_before_twenty_days_only_large_changes_fire() -> None:
    assert judge([*usual(5), day_of(2000, correlation=0.74)]).outcome == Outcome.QUIET
    assert judge([*usual(5), day_of(2000, correlation=0.5)]).outcome == Outcome.FIRED


def test_days_that_had_changed_already_do_not_teach() -> None:
    changed = [day_of(2000, seed=day, correlation=-0.8) for day in range(50, 60)]

    assert judge([*usual(20), *changed]).outcome == Outcome.FIRED


def test_a_week_is_judged_together() -> None:
    days = [*usual(28, rows=300), *(day_of(300, seed=day, correlation=0.76) for day in range(60, 67))]

    assert judge(days).outcome == Outcome.UNKNOWN
    assert judge(days, window=7).outcome == Outcome.FIRED


def test_a_day_of_a_few_rows_is_not_judged_and_teaches_nothing() -> None:
    assert judge([*usual(29), day_of(20)]).outcome == Outcome.UNKNOWN
    tiny = [day_of(10, seed=day, sd=5) for day in range(5)]
    assert judge([*usual(23), *tiny, *usual(1, first=70)]).outcome == Outcome.QUIET


def test_days_of_long_ago_are_stale() -> None:
    finding = judge(usual(30), max_age="30m")

    assert (finding.outcome, finding.data) == (Outcome.UNKNOWN, DataState.STALE)


@pytest.mark.parametrize("rows", [np.zeros((500, 3)), np.column_stack([np.arange(500.0), np.zeros((500, 2))])])
def test_features_that_do_not_vary_say_nothing(rows: np.ndarray) -> None:
    day = moments_of(rows)
    history = moment_history([day] * 30, has_reference=False)

    assert history.columns == COLUMNS
    assert evaluate(history, Params()).outcome == Outcome.UNKNOWN


def test_features_that_are_each_other_fire_when_they_part() -> None:
    assert judge([day_of(2000, seed=day, correlation=1 - 1e-12) for day in range(30)], has_reference=False).outcome == Outcome.QUIET
    together = [day_of(2000, seed=day, correlation=1 - 1e-12) for day in range(29)]
    assert judge([*together, day_of(2000, correlation=0.5)], has_reference=False).outcome == Outcome.FIRED


def test_nothing_counted_yet_is_unknown(platform: Platform) -> None:
    finding = evaluate(MomentHistory(now=platform.clock.now()), Params())

    assert finding.outcome == Outcome.UNKNOWN
    assert "two numeric features" in finding.explanation.render()


def rows_of(count: int, *, sign: int, seed: int) -> Rows:
    """Income and limit are normal whatever the sign; it says whether they rise together or one against the other."""
    chance = np.random.default_rng(seed)
    income, rest, age = chance.normal(50_000, 9000, count), chance.normal(size=count), chance.normal(45, 12, count)
    limit = 1e9 + sign * 0.8 * (income - 50_000) / 9000 + 0.6 * rest
    return [{"income": float(a), "limit": float(b), "age": float(c)} for a, b, c in zip(income, limit, age, strict=True)]


def test_story_of_a_correlation_that_flips(platform: Platform) -> None:
    bad, good, reference = (rows_of(1000, sign=sign, seed=seed) for sign, seed in ((-1, 1), (1, 2), (1, 3)))

    a_bad_day(platform, "multivariate_drift", says="do not go together", bad=bad, good=good, reference=reference)


def test_story_of_features_that_each_look_as_always(platform: Platform) -> None:
    """Feature drift sees nothing; the risk is bound late, and what was there before is counted then."""
    model = platform.register()
    each_alone = platform.only(model, "feature_drift")
    platform.train(model, reference=rows_of(1500, sign=1, seed=3))
    days = [rows_of(250, sign=1, seed=100 + day) for day in range(30)]
    platform.predict_days(model, [[{"features": row} for row in day] for day in [*days, rows_of(1500, sign=-1, seed=99)]])
    platform.clock.advance(timedelta(hours=-1))
    together = platform.bind(model, "multivariate_drift")
    for _ in range(3):
        platform.work(minutes=20)

    fires(platform, together, says="it changed most for")
    assert sorted(platform.incident(together).parts) == ["income", "limit"]
    assert platform.condition(each_alone) == "ok"
    assert "no drift" in platform.explanation(each_alone)
