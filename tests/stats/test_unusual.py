"""Whether a day's mean is unusual: how often it is told when nothing happened, and that it is told when something did."""

from collections.abc import Callable
from math import exp

import numpy as np
import pytest
from scipy.stats import beta, ttest_1samp

from tests.conftest import Runs
from watchkeeper.stats.drift import Verdict
from watchkeeper.stats.moments import moments_of
from watchkeeper.stats.reconstruction import components_of
from watchkeeper.stats.unusual import judge_mean, learn_days

LEARNED, CLEAN, COLUMNS, ALPHA = 28, 60, 5, 0.001
Shifts = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray, np.ndarray]]  # mean, scale and mixing of each day


def effects(*, mean: float = 0.0, scale: float = 0.0, mixing: float = 0.0) -> Shifts:
    """Days whose columns shift, are scaled and mix by themselves, by so much."""

    def of_days(chance: np.random.Generator, days: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shape = (days, 1, COLUMNS)
        return chance.normal(0, mean, shape), np.exp(chance.normal(0, scale, shape)), chance.normal(0, mixing, (days, COLUMNS, COLUMNS))

    return of_days


EFFECTS = {
    "none": effects(),
    "means, SD 0.1": effects(mean=0.1),
    "means, SD 0.2": effects(mean=0.2),
    "scales, SD 0.1": effects(scale=0.1),
    "mixing, SD 0.05": effects(mixing=0.05),
    "all of them": effects(mean=0.2, scale=0.15, mixing=0.05),
}


def errors_of(
    chance: np.random.Generator, days: int, rows: int, effect: Shifts, weights: np.ndarray, residual: np.ndarray, *, heavy: bool
) -> np.ndarray:
    """Reconstruction errors of days of five columns that two hidden numbers make; `heavy` tails are t with five degrees of freedom."""
    hidden = chance.standard_t(5, (days, rows, 2 + COLUMNS)) if heavy else chance.normal(size=(days, rows, 2 + COLUMNS))
    mean, scale, mixing = effect(chance, days)
    values = (hidden[..., :2] @ weights + 0.5 * hidden[..., 2:]) @ (np.eye(COLUMNS) + mixing)
    return ((np.clip(values * scale + mean, -10, 10) @ residual) ** 2).sum(axis=2).mean(axis=1)


@pytest.mark.parametrize("rows", [300, 100, 1500], ids=["as many rows", "a third of the rows", "five times the rows"])
@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy tails"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_clean_days_alarm_as_rarely_as_promised(effect: str, heavy: bool, rows: int, runs: Runs) -> None:
    """Learned from 28 days of 300 rows, judged against 8,400 rows of days like them. An alarm must be significant and big.

    Means that shift by 0.2 make the error skewed, logarithm or not: four times as many are told as promised.
    """
    seeds, significant, told = runs(8, 300), 0, 0
    for seed in range(seeds):
        chance = np.random.default_rng([6, seed])
        weights = chance.normal(size=(2, COLUMNS)) / 1.5
        components = components_of(moments_of(chance.normal(size=(20_000, 2)) @ weights + 0.5 * chance.normal(size=(20_000, COLUMNS))))
        assert components is not None
        learned = errors_of(chance, LEARNED, 300, EFFECTS[effect], weights, components.residual, heavy=heavy)
        clean = errors_of(chance, CLEAN, rows, EFFECTS[effect], weights, components.residual, heavy=heavy)
        spread, usual = learn_days(learned, [300] * LEARNED), exp(np.log(learned).mean())
        judged = [judge_mean(value, rows, usual, 300 * LEARNED, spread, row_spread=1.0) for value in clean]
        significant += sum(entry.p_value < ALPHA for entry in judged)
        told += sum(entry.verdict.fires for entry in judged)

    days, tails = seeds * CLEAN, "heavy tails" if heavy else "normal"
    low, high = interval(told, days)
    print(f"{effect}, {tails}, {rows} rows: {significant / days:.4f} of clean days significant, {told / days:.4f} [{low:.4f}, {high:.4f}] told")
    assert low <= 4 * ALPHA
    assert seeds < 300 or high <= 6 * ALPHA


def interval(alarms: int, days: int) -> tuple[float, float]:
    """95 % of alarms per day (Clopper-Pearson)."""
    return float(beta.ppf(0.025, alarms, days - alarms + 1)) if alarms else 0.0, float(beta.ppf(0.975, alarms + 1, days - alarms))


def usual_days(seed: int = 1, *, days: int = LEARNED, sd: float = 0.05) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, sd, days))


def judged(mean: float, means: np.ndarray, *, rows: float = 1000, **given: float) -> Verdict:
    spread = learn_days(means, [1000] * means.size)
    return judge_mean(mean, rows, exp(np.log(means).mean()), 1000 * means.size, spread, row_spread=1.0, **given).verdict


def test_of_days_of_one_size_it_is_the_t_test_of_a_new_value() -> None:
    means = usual_days()
    spread = learn_days(means, [1000] * LEARNED)

    found = judge_mean(1.1, 1000, exp(np.log(means).mean()), 1000 * LEARNED, spread, row_spread=1.0)

    widened = (np.log(means) - np.log(means).mean()) * np.sqrt(LEARNED + 1) + np.log(means).mean()  # the spread of a new value, not of the mean
    assert found.p_value == pytest.approx(ttest_1samp(widened, np.log(1.1)).pvalue)


def test_it_fires_in_both_directions_when_significant_and_big() -> None:
    assert judged(1.5, usual_days()) is Verdict.DRIFT
    assert judged(1 / 1.5, usual_days()) is Verdict.DRIFT
    assert judged(1.02, usual_days()) is Verdict.NONE
    assert judged(1.15, usual_days(sd=0.001)) is Verdict.NONE  # significant, and small
    assert judged(1.15, usual_days(sd=0.001), tolerance=0.1) is Verdict.DRIFT


def test_days_that_differ_much_tell_nothing_of_small_differences() -> None:
    assert judged(1.3, usual_days(sd=0.3)) is Verdict.INSUFFICIENT


def test_a_small_window_must_differ_more() -> None:
    assert judged(1.4, usual_days(), rows=1000) is Verdict.DRIFT
    assert judged(1.4, usual_days(), rows=50) is Verdict.INSUFFICIENT


def test_before_twenty_days_only_large_differences_are_told() -> None:
    few = usual_days(days=5)

    assert judged(1.8, few) is Verdict.PRELIMINARY
    assert judged(2.2, few) is Verdict.PRELIMINARY_DRIFT
    assert judged(2.2, few, rows=20) is Verdict.INSUFFICIENT


def test_a_lasting_change_among_the_first_days_does_not_teach() -> None:
    means = usual_days()
    means[20:] *= 2

    assert learn_days(means, [100] * LEARNED, may_change=True).sd == pytest.approx(0.05, rel=0.3)
    assert learn_days(means, [100] * LEARNED).sd > 0.3
    assert learn_days(usual_days(), [100] * LEARNED, may_change=True).sd == learn_days(usual_days(), [100] * LEARNED).sd


def test_windows_of_a_week_differ_less_than_days_unless_weeks_differ_by_themselves() -> None:
    alike = usual_days()
    weeks = alike * np.repeat([1.0, 1.5, 0.8, 1.3], 7)

    assert learn_days(alike, [100] * 28, window=7).sd <= learn_days(alike, [100] * 28).sd / 2
    assert learn_days(weeks, [100] * 28, window=7).sd == pytest.approx(np.log([1.0, 1.5, 0.8, 1.3]).std(ddof=1), rel=0.2)
    assert learn_days(alike, [100] * 28, window=7).rows == pytest.approx(700)


@pytest.mark.parametrize("means", [[], [1.0], [0.0, 0.0, 0.0], [float("nan")] * 30])
def test_without_days_there_is_no_spread(means: list[float]) -> None:
    assert not learn_days(means, [10] * len(means)).is_known


def test_days_that_are_all_the_same_are_no_known_spread() -> None:
    assert not learn_days([2.0] * 28, [10] * 28).is_known
