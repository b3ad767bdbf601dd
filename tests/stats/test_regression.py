from math import inf, isnan, nan

import numpy as np
import pytest
from sklearn import metrics as oracle

from watchkeeper.stats import regression
from watchkeeper.stats.regression import ErrorSums
from watchkeeper.stats.result import Validity

ALL = (
    regression.mean_absolute_error,
    regression.root_mean_squared_error,
    regression.mean_absolute_percentage_error,
    regression.bias,
    regression.quantile_loss,
    regression.skill_score,
)


def rows(seed: int, n: int = 400):
    rng = np.random.default_rng(seed)
    truth = rng.gamma(3, 2, n) + 1
    return truth, truth + 0.5 + rng.normal(0, 1, n)


def forecast(seed: int, n: int = 400):
    truth, said = rows(seed, n)
    return ErrorSums.of(truth, said, naive=7.0, quantiles={0.1: said - 1.3, 0.9: said + 1.3})


@pytest.mark.parametrize("seed", range(5))
def test_all_metrics_equal_the_oracle(seed):
    y, f = rows(seed)
    parts = (slice(0, 100), slice(100, None))
    first, second = (ErrorSums.of(y[part], f[part], naive=y.mean(), quantiles={0.8: f[part], 0.05: f[part] - 3}) for part in parts)
    sums = first + second

    assert regression.mean_absolute_error(sums).estimate == pytest.approx(oracle.mean_absolute_error(y, f))
    assert regression.root_mean_squared_error(sums).estimate == pytest.approx(oracle.root_mean_squared_error(y, f))
    assert regression.mean_absolute_percentage_error(sums).estimate == pytest.approx(oracle.mean_absolute_percentage_error(y, f))
    assert regression.bias(sums).estimate == pytest.approx((f - y).mean())
    assert regression.quantile_loss(sums).estimate == pytest.approx(
        (oracle.mean_pinball_loss(y, f, alpha=0.8) + oracle.mean_pinball_loss(y, f - 3, alpha=0.05)) / 2
    )
    assert regression.skill_score(sums).estimate == pytest.approx(oracle.r2_score(y, f))


@pytest.mark.parametrize("metric", ALL)
def test_intervals_hold_the_truth_as_often_as_they_say(metric):
    truth = metric(forecast(0, n=400_000)).estimate

    results = [metric(forecast(seed)) for seed in range(1, 200)]

    assert np.mean([result.low <= truth <= result.high for result in results]) >= 0.91


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize(("y", "f"), [([], []), ([1], [2]), ([nan, 1], [1, nan]), ([inf, -inf], [1, 1])])
def test_rows_without_finite_truth_and_prediction_do_not_count(metric, y, f):
    result = metric(ErrorSums.of(y, f, naive=0, quantiles={0.5: f}))

    assert isnan(result.estimate)
    assert result.validity is Validity.TOO_FEW_ROWS


@pytest.mark.parametrize("metric", ALL)
def test_constants_give_a_number_without_a_warning(metric):
    result = metric(ErrorSums.of([2.0] * 50, [2.0] * 50, naive=1, quantiles={0.9: 2.0}))

    assert result.low <= result.estimate <= result.high


def test_truth_of_0_has_no_percentage_error():
    result = regression.mean_absolute_percentage_error(ErrorSums.of([0.0] * 40, [1.0] * 40))

    assert result.validity is Validity.UNDEFINED


@pytest.mark.parametrize("naive", [nan, 1.0])
def test_there_is_no_skill_against_no_baseline_or_a_perfect_one(naive):
    assert regression.skill_score(ErrorSums.of([1.0] * 40, [2.0] * 40, naive=naive)).validity is Validity.UNDEFINED


def test_few_rows_give_a_number_that_may_not_be_judged():
    assert regression.bias(ErrorSums.of([1, 2], [2, 4])).validity is Validity.TOO_FEW_ROWS


def test_sums_that_overflowed_are_undefined():
    assert regression.root_mean_squared_error(ErrorSums(n=50, error_2=inf, error_4=inf)).validity is Validity.UNDEFINED


def test_a_row_counts_the_quantiles_it_has():
    """The mean of each row's losses, by scikit-learn row by row."""
    y = [4.0, 4.0, 4.0, 4.0, nan, inf, 4.0]
    quantiles = {0.1: [3.0, nan, inf, nan, 1.0, 1.0, 5.0], 0.9: [6.0, 3.0, 1.0, -inf, 2.0, 2.0, 4.0]}

    sums = ErrorSums.of(y, nan, quantiles=quantiles)

    kept = [[(share, q[row]) for share, q in quantiles.items() if np.isfinite(q[row])] for row in (0, 1, 2, 6)]
    losses = [np.mean([oracle.mean_pinball_loss([4.0], [q], alpha=share) for share, q in found]) for found in kept]
    assert (sums.n, sums.n_quantile) == (0, 4)
    assert (sums.quantile, sums.quantile_2) == pytest.approx((np.sum(losses), np.square(losses).sum()))


def test_without_quantiles_there_is_no_quantile_loss():
    assert regression.quantile_loss(ErrorSums.of(*rows(0))).validity is Validity.TOO_FEW_ROWS


@pytest.mark.parametrize("metric", ALL)
def test_errors_too_large_to_square_are_undefined_without_a_warning(metric):
    result = metric(ErrorSums.of([1e-300, 1e300] * 30, [1e300, -1e300] * 30, naive=1e300, quantiles={0.5: 1e308}))

    assert isnan(result.estimate)
    assert result.validity is Validity.UNDEFINED
