"""Burn rates, error budgets and the rules that read them."""

from __future__ import annotations

from datetime import timedelta
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.stats import slo
from watchkeeper.stats.result import Validity
from watchkeeper.stats.slo import BurnReason, Counts

HOUR, DAY, MODEL_WEEK = slo.GOOGLE_WINDOWS[0], slo.MODEL_WINDOWS[0], slo.MODEL_WINDOWS[2]
BROKEN = [Counts(bad=0, valid=0), Counts(bad=nan, valid=10), Counts(bad=1, valid=inf), Counts(bad=-3, valid=-1), Counts(bad=1, valid=nan)]


@pytest.mark.parametrize(("bad", "valid", "probability"), [(2, 10, 0.7206), (20, 100, 0.9398)])
def test_it_reproduces_the_low_traffic_probabilities_of_the_methods(bad: int, valid: int, probability: float) -> None:
    assert round(slo.burn_probability(Counts(bad=bad, valid=valid), target=0.99, burn=14.4), 4) == probability


def test_it_is_sure_of_two_hundred_errors_in_a_thousand() -> None:
    assert round(slo.burn_probability(Counts(bad=200, valid=1000), target=0.99, burn=14.4), 7) == 0.9999993


def test_the_windows_of_google_spend_the_shares_of_the_workbook() -> None:
    shares = [window.budget_share(slo.GOOGLE_BUDGET) for window in slo.GOOGLE_WINDOWS]

    assert [round(share, 12) for share in shares] == [0.02, 0.05, 0.10]
    assert [window.short for window in slo.GOOGLE_WINDOWS] == [timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=6)]


def test_the_windows_of_models_spend_a_fifth_and_thirty_and_forty_percent() -> None:
    assert [round(window.budget_share(slo.MODEL_BUDGET), 12) for window in slo.MODEL_WINDOWS] == [0.2, 0.3, 0.4]


def test_burning_the_whole_budget_in_its_window_is_a_burn_rate_of_one() -> None:
    rate = slo.burn_rate(Counts(bad=50, valid=1000), target=0.95)

    assert rate.estimate == pytest.approx(1)
    assert rate.low < 1 < rate.high
    assert rate.is_ok


@given(st.integers(0, 500), st.integers(1, 500), st.floats(0.5, 0.999))
def test_the_interval_of_the_burn_rate_holds_it(bad: int, valid: int, target: float) -> None:
    rate = slo.burn_rate(Counts(bad=bad, valid=valid), target=target)

    assert 0 <= rate.low <= rate.estimate <= rate.high <= 1 / (1 - target) + 1e-9


@pytest.mark.parametrize("counts", BROKEN)
def test_a_window_without_rows_has_no_burn_rate(counts: Counts) -> None:
    assert slo.burn_rate(counts, target=0.99).validity is Validity.TOO_FEW_ROWS
    assert isnan(slo.burn_probability(counts, target=0.99, burn=2))
    assert slo.error_budget(counts, target=0.99).validity is Validity.TOO_FEW_ROWS
    assert slo.judge_burn(counts, counts, window=DAY, target=0.99) is BurnReason.NO_ROWS


@pytest.mark.parametrize("target", [1.0, 1.2, nan])
def test_a_target_that_allows_no_error_has_no_burn_rate(target: float) -> None:
    counts = Counts(bad=1, valid=100)

    assert slo.burn_rate(counts, target=target).validity is Validity.UNDEFINED
    assert slo.error_budget(counts, target=target).validity is Validity.UNDEFINED
    assert slo.judge_burn(counts, counts, window=DAY, target=target) is BurnReason.NO_BUDGET


@pytest.mark.parametrize(
    ("long", "short", "reason"),
    [
        ((200, 1000), (20, 90), BurnReason.BURNING),
        ((100, 1000), (20, 90), BurnReason.LONG_WINDOW_BELOW),
        ((200, 1000), (5, 90), BurnReason.SHORT_WINDOW_BELOW),
        ((2, 10), (1, 2), BurnReason.NOT_SURE),
        ((20, 100), (2, 8), BurnReason.NOT_SURE),
        ((200, 1000), (0, 0), BurnReason.NO_ROWS),
        ((0, 1000), (0, 90), BurnReason.LONG_WINDOW_BELOW),
    ],
)
def test_it_fires_only_if_both_windows_exceed_and_the_long_one_surely(long: tuple[int, int], short: tuple[int, int], reason: BurnReason) -> None:
    told = slo.judge_burn(Counts(bad=long[0], valid=long[1]), Counts(bad=short[0], valid=short[1]), window=HOUR, target=0.99)

    assert told is reason
    assert told.is_firing == (reason == "burning")


def test_a_rate_of_exactly_the_limit_does_not_fire() -> None:
    at_limit = Counts(bad=160_000, valid=1_000_000)

    assert not slo.judge_burn(at_limit, at_limit, window=MODEL_WEEK, target=0.9).is_firing


def test_a_burn_rate_that_the_target_cannot_reach_never_fires() -> None:
    all_bad = Counts(bad=100, valid=100)

    assert slo.judge_burn(all_bad, all_bad, window=DAY, target=0.8) is BurnReason.LONG_WINDOW_BELOW


def test_an_overdrawn_budget_is_below_zero() -> None:
    budget = slo.error_budget(Counts(bad=15, valid=1000), target=0.99)

    assert (round(budget.allowed, 9), round(budget.spent, 9), round(budget.left, 9)) == (10, 1.5, -0.5)


def test_the_budget_is_that_of_the_whole_window_and_never_of_less_than_has_come() -> None:
    assert slo.error_budget(Counts(bad=5, valid=1000), target=0.99, expected=5000).spent == pytest.approx(0.1)
    assert slo.error_budget(Counts(bad=5, valid=1000), target=0.99, expected=100).spent == pytest.approx(0.5)
    assert slo.error_budget(Counts(bad=5, valid=1000), target=0.99, expected=inf).spent == pytest.approx(0.5)


def test_the_suggested_target_is_missed_by_one_clean_window_in_a_hundred() -> None:
    rng = np.random.default_rng(11)
    missed = []
    for _ in range(2000):
        bad = rng.binomial(2000, rng.normal(0.1, 0.01, 13))
        missed.append(1 - bad[12] / 2000 < slo.suggest_target(bad[:12], [2000] * 12).estimate)

    assert 0.003 < np.mean(missed) < 0.02


def test_windows_that_are_all_alike_suggest_themselves() -> None:
    target = slo.suggest_target([10] * 8, [100] * 8)

    assert (round(target.estimate, 12), target.low, target.high) == (0.9, target.estimate, target.estimate)


@pytest.mark.parametrize(("bad", "valid"), [([], []), ([1] * 7, [10] * 7), ([nan] * 20, [10] * 20), ([0] * 20, [0] * 20), ([1] * 20, [inf] * 20)])
def test_it_suggests_nothing_from_too_few_windows(bad: list[float], valid: list[float]) -> None:
    assert slo.suggest_target(bad, valid).validity is Validity.TOO_FEW_ROWS


def test_windows_without_rows_do_not_count() -> None:
    padded = slo.suggest_target([8, 10, 12, 9, 11, 10, 9, 11, 0, nan], [1000] * 8 + [0, 7])

    assert padded == slo.suggest_target([8, 10, 12, 9, 11, 10, 9, 11], [1000] * 8)
