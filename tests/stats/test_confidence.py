"""How sure a model is, and whether it errs to one side."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isnan, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from watchkeeper.stats import confidence
from watchkeeper.stats.result import Result, Validity

MONITORS: dict[str, Callable[[list[float], list[float]], Result]] = {
    "mean confidence": confidence.mean_confidence,
    "mean entropy": confidence.mean_entropy,
    "share in band": lambda scores, counts: confidence.band_share(scores, counts, low=0.4, high=0.6),
}


def test_it_reproduces_the_confidence_sequence_of_the_methods() -> None:
    rho = confidence.mixing_scale(1000, alpha=0.05)

    assert round(rho, 7) == 0.0890851
    assert round(confidence.sequence_half_width(1000, 1.0, rho=rho), 7) == 0.0959817
    assert round(confidence.sequence_half_width(10_000, 1.0, rho=rho), 7) == 0.0324172


def test_looking_always_costs_half_the_width_again() -> None:
    once, always = 1.96 / sqrt(1000), confidence.sequence_half_width(1000, 1.0, rho=confidence.mixing_scale(1000))

    assert round(once, 7) == 0.0619806
    assert round(always / once, 2) == 1.55


@given(st.integers(10, 100_000), st.floats(0.001, 0.2))
def test_no_other_scale_is_narrower_after_the_rows_it_is_meant_for(rows: int, alpha: float) -> None:
    best = confidence.mixing_scale(rows, alpha=alpha)
    widths = [confidence.sequence_half_width(rows, 1.0, rho=best * factor, alpha=alpha) for factor in (0.6, 1.0, 1.7)]

    assert widths[1] <= min(widths) * 1.01


def test_a_clean_model_seldom_leaves_zero_out_however_often_one_looks() -> None:
    rng = np.random.default_rng(1)
    residuals = rng.normal(size=(400, 2000))
    sums, squares = residuals.cumsum(axis=1), (residuals**2).cumsum(axis=1)

    is_wrong = [
        any(not result.low <= 0 <= result.high for result in looks)
        for looks in (
            [confidence.mean_residual(n, float(total[n - 1]), squares=float(square[n - 1])) for n in range(50, 2000, 50)]
            for total, square in zip(sums, squares, strict=True)
        )
    ]

    assert np.mean(is_wrong) <= 0.06


def test_a_model_that_errs_to_one_side_is_found() -> None:
    residuals = np.random.default_rng(2).normal(0.2, 1, 1000)

    result = confidence.mean_residual(1000, residuals.sum(), squares=(residuals**2).sum())

    assert result.is_ok
    assert result.low > 0


@pytest.mark.parametrize(
    ("n", "total", "squares", "validity"),
    [(0, 0, 0, "too few rows"), (nan, 0, 0, "too few rows"), (inf, 0, 0, "too few rows"), (50, nan, 1, "undefined"), (50, 1, inf, "undefined")],
)
def test_residuals_that_are_no_numbers_say_so(n: float, total: float, squares: float, validity: str) -> None:
    result = confidence.mean_residual(n, total, squares=squares)

    assert result.validity == validity
    assert isnan(result.estimate)


def test_one_residual_has_infinite_bounds_and_constant_ones_none() -> None:
    one, constant = confidence.mean_residual(1, 3, squares=9), confidence.mean_residual(100, 10, squares=1)

    assert (one.estimate, one.high, one.validity) == (3, inf, Validity.TOO_FEW_ROWS)
    assert constant.low == pytest.approx(constant.estimate, abs=1e-8)


@pytest.mark.parametrize(("n", "sd", "rho"), [(0, 1, 1), (10, nan, 1), (10, inf, 1), (10, 1, 0), (10, 1, nan), (10, -1, 1), (inf, 1, 1)])
def test_a_sequence_that_cannot_be_told_is_infinitely_wide(n: float, sd: float, rho: float) -> None:
    assert confidence.sequence_half_width(n, sd, rho=rho) == inf


def test_a_scale_for_no_rows_is_nan() -> None:
    assert isnan(confidence.mixing_scale(0))
    assert isnan(confidence.mixing_scale(1000, alpha=0))


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1000)), max_size=30))
def test_the_histogram_says_what_the_rows_would(bins: list[tuple[float, int]]) -> None:
    scores, counts = [score for score, _ in bins], [count for _, count in bins]
    rows = np.repeat(scores, counts)
    sure, entropy = confidence.mean_confidence(scores, counts), confidence.mean_entropy(scores, counts)

    if rows.size:
        assert sure.estimate == pytest.approx(np.maximum(rows, 1 - rows).mean())
        assert entropy.estimate == pytest.approx(np.mean(stats.entropy([rows, 1 - rows], base=2)), abs=1e-9)
        assert sure.n == rows.size
    else:
        assert sure.validity is Validity.TOO_FEW_ROWS


def test_the_share_in_the_band_has_the_interval_of_wilson() -> None:
    share = confidence.band_share([0.2, 0.4, 0.5, 0.6, 0.7], [100, 10, 20, 10, 60], low=0.4, high=0.6)

    oracle = stats.binomtest(40, 200).proportion_ci(method="wilson")
    assert (share.estimate, share.low, share.high) == pytest.approx((0.2, oracle.low, oracle.high))
    assert share.is_ok


@pytest.mark.parametrize("monitor", MONITORS)
@pytest.mark.parametrize("bins", [([], []), ([0.5], [0]), ([nan], [50]), ([0.5], [nan]), ([inf], [50]), ([7.0], [50]), ([0.5], [-3])])
def test_without_scores_every_monitor_has_too_few_rows(monitor: str, bins: tuple[list[float], list[float]]) -> None:
    result = MONITORS[monitor](*bins)

    assert (result.validity, result.n, result.rule) == (Validity.TOO_FEW_ROWS, 0, monitor)


@pytest.mark.parametrize("monitor", MONITORS)
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0, 1 + 1e-12])
def test_a_constant_score_has_a_result_and_one_row_is_too_few(monitor: str, score: float) -> None:
    assert MONITORS[monitor]([score], [100]).is_ok
    assert MONITORS[monitor]([score], [1]).validity is Validity.TOO_FEW_ROWS


def test_a_band_the_wrong_way_round_holds_nothing() -> None:
    assert confidence.band_share([0.5], [100], low=0.6, high=0.4).estimate == 0
