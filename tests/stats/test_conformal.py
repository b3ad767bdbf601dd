"""Whether prediction intervals keep their promise."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from watchkeeper.stats import conformal
from watchkeeper.stats.conformal import Coverage
from watchkeeper.stats.result import Result, Validity


def test_it_takes_the_eighteenth_of_nineteen_scores() -> None:
    assert conformal.quantile_rank(19, alpha=0.1) == 18
    assert conformal.threshold(range(1, 20), alpha=0.1) == 18


@given(st.integers(0, 5000), st.integers(1, 999))
def test_the_rank_is_that_of_exact_arithmetic(n: int, thousandths: int) -> None:
    exact = ceil((n + 1) * (1 - Fraction(thousandths, 1000)))

    assert conformal.quantile_rank(n, alpha=thousandths / 1000) == exact


def test_the_threshold_covers_new_scores_as_promised() -> None:
    rng = np.random.default_rng(1)
    covered = [rng.normal() <= conformal.threshold(rng.normal(size=50), alpha=0.1) for _ in range(4000)]

    assert conformal.judge_coverage(conformal.coverage(sum(covered), 4000), nominal=0.9) is not Coverage.UNDER
    assert np.mean(covered) < 0.93


@pytest.mark.parametrize(
    ("scores", "alpha", "expected"), [([], 0.1, inf), ([1.0] * 5, 0.1, inf), ([3.0] * 30, 0.1, 3.0), ([1.0, inf], 0.5, inf), ([1.0], 1.0, -inf)]
)
def test_too_few_scores_have_an_infinite_threshold(scores: list[float], alpha: float, expected: float) -> None:
    assert conformal.threshold(scores, alpha=alpha) == expected


def test_a_score_that_is_no_number_has_no_threshold() -> None:
    assert isnan(conformal.threshold([1.0, nan], alpha=0.1))
    assert isnan(conformal.threshold([1.0], alpha=nan))


def test_it_reproduces_the_coverage_of_the_methods() -> None:
    result = conformal.coverage(170, 200)

    assert (round(result.low, 5), round(result.high, 5)) == (0.79284, 0.89645)
    assert result.estimate == 0.85
    assert conformal.judge_coverage(result, nominal=0.9) is Coverage.UNDER


@given(st.integers(0, 400), st.integers(1, 400))
def test_the_interval_is_that_of_scipy(hits: int, n: int) -> None:
    hits = min(hits, n)
    oracle = stats.binomtest(hits, n).proportion_ci(method="exact")

    assert conformal.clopper_pearson(hits, n) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


@pytest.mark.parametrize(("covered", "nominal", "verdict"), [(180, 0.9, "as promised"), (200, 0.9, "over-covers"), (0, 0.9, "under-covers")])
def test_it_says_on_which_side_the_promise_is_broken(covered: int, nominal: float, verdict: str) -> None:
    assert conformal.judge_coverage(conformal.coverage(covered, 200), nominal=nominal) == verdict


@pytest.mark.parametrize(
    ("covered", "n", "validity"),
    [
        (0, 0, "too few rows"),
        (nan, nan, "too few rows"),
        (1, inf, "too few rows"),
        (5, 4, "undefined"),
        (nan, 9, "undefined"),
        (1, 1, "too few rows"),
    ],
)
def test_a_coverage_that_cannot_be_told_is_unknown(covered: float, n: float, validity: str) -> None:
    result = conformal.coverage(covered, n)

    assert result.validity == validity
    assert conformal.judge_coverage(result, nominal=0.9) is Coverage.UNKNOWN


def test_everything_is_possible_without_rows() -> None:
    assert conformal.clopper_pearson(0, 0) == (0, 1)
    assert conformal.clopper_pearson(nan, 5) == (0, 1)


def test_it_reproduces_the_two_next_levels_of_the_methods() -> None:
    assert round(conformal.next_alpha(0.1, is_missed=False, nominal_alpha=0.1), 12) == 0.1005
    assert round(conformal.next_alpha(0.1, is_missed=True, nominal_alpha=0.1), 12) == 0.0955


def test_the_level_adapts_until_a_shifted_model_covers_again() -> None:
    rng, scores = np.random.default_rng(2), np.sort(np.random.default_rng(3).normal(size=2000))
    alpha, missed = 0.1, []
    for _ in range(6000):
        missed.append(bool(abs(rng.normal(scale=1.5)) > conformal.threshold(np.abs(scores), alpha=alpha)))
        alpha = conformal.next_alpha(alpha, is_missed=missed[-1], nominal_alpha=0.1)

    assert np.mean(missed) == pytest.approx(0.1, abs=0.01)


def test_the_mean_width_has_an_interval() -> None:
    widths = np.random.default_rng(4).exponential(size=100)

    result = conformal.mean_width([*widths, nan])

    assert result.is_ok
    assert result.n == 100
    assert result.high - result.estimate == pytest.approx(1.959964 * stats.sem(widths), rel=1e-6)


@pytest.mark.parametrize("widths", [[], [nan, nan]])
def test_there_is_no_width_without_rows(widths: list[float]) -> None:
    assert conformal.mean_width(widths) == Result.missing(
        Validity.TOO_FEW_ROWS, n=0, rule="mean width", assumptions=conformal.mean_width([]).assumptions
    )


def test_an_infinite_or_negative_width_is_undefined() -> None:
    assert conformal.mean_width([1, inf]).estimate == inf
    assert conformal.mean_width([1, inf]).validity is Validity.UNDEFINED
    assert conformal.mean_width([1, -1]).validity is Validity.UNDEFINED


def test_one_width_has_an_infinite_interval() -> None:
    result = conformal.mean_width([2.0])

    assert (result.estimate, result.high, result.validity) == (2, inf, Validity.TOO_FEW_ROWS)
