from math import inf, isnan, nan

import numpy as np
import pytest

from watchkeeper.stats.audit import Sampling, labels_needed, prediction_powered_mean, rows_to_label
from watchkeeper.stats.result import Assumption, Validity


def test_two_audited_rows_put_the_estimate_right():
    result = prediction_powered_mean([1, 0], [0.9, 0.7], mean=0.8, variance=0.0, n=1000)

    assert result.estimate == pytest.approx(0.5)
    assert result.validity is Validity.TOO_FEW_ROWS
    assert Assumption.RANDOM_SAMPLE in result.assumptions


def test_the_interval_has_the_variance_of_both_samples():
    truths, predicted = np.tile([1.0, 0.0], 50), np.full(100, 0.6)

    result = prediction_powered_mean(truths, predicted, mean=0.6, variance=0.04, n=400)

    assert result.high - result.estimate == pytest.approx(1.959964 * np.sqrt(0.04 / 400 + np.var(truths, ddof=1) / 100))


def test_500_random_labels_see_a_drift_that_the_estimate_does_not():
    rng = np.random.default_rng(1)
    right = rng.uniform(0.5, 0.9, 50_000)
    truth = rng.random(50_000) < right - 0.15
    audited = rows_to_label(right, 500, rng=rng)

    result = prediction_powered_mean(truth[audited], right[audited], mean=right.mean(), variance=right.var(), n=right.size)

    assert result.low <= truth.mean() <= result.high < right.mean()
    assert result.high - result.estimate == pytest.approx(0.043, abs=0.003)


def test_its_interval_holds_the_truth_as_often_as_it_says():
    rng, hits = np.random.default_rng(2), []
    for _ in range(300):
        predicted = rng.uniform(0.2, 0.8, 2000)
        truth = (rng.random(2000) < predicted**2).astype(float)
        audited = rows_to_label(predicted, 200, rng=rng)
        result = prediction_powered_mean(truth[audited], predicted[audited], mean=predicted.mean(), variance=predicted.var(), n=2000)
        hits.append(result.low <= 0.28 <= result.high)

    assert np.mean(hits) >= 0.92


@pytest.mark.parametrize(
    ("truths", "n", "mean", "validity"),
    [
        ([], 100, 0.5, Validity.IMMATURE_LABELS),
        ([nan, nan], 100, 0.5, Validity.IMMATURE_LABELS),
        ([1], 100, 0.5, Validity.TOO_FEW_ROWS),
        ([], 0, nan, Validity.TOO_FEW_ROWS),
        ([1, 0], 100, nan, Validity.UNDEFINED),
        ([1, inf], 100, 0.5, Validity.TOO_FEW_ROWS),
    ],
)
def test_it_says_why_it_cannot_tell(truths, n, mean, validity):
    result = prediction_powered_mean(truths, [0.5] * len(truths), mean=mean, variance=0.1, n=n)

    assert isnan(result.estimate)
    assert result.validity is validity


@pytest.mark.parametrize(("drop", "labels", "rounding"), [(0.01, 5567, 2), (0.02, 1392, 0), (0.05, 223, 0)])
def test_the_plan_needs_the_labels_of_the_methods_page(drop, labels, rounding):
    """5567 there comes from z rounded to 1.645 + 0.842; exact ones give 5565."""
    assert abs(labels_needed(drop) - labels) <= rounding


def test_the_plan_keeps_its_power():
    n = labels_needed(0.05)
    drops = np.random.default_rng(3).binomial(n, 0.85, 20_000) / n

    assert np.mean(drops < 0.9 - 1.645 * np.sqrt(0.09 / n)) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("drop", [0, -0.1, 0.95, nan])
def test_a_drop_that_cannot_be_is_refused(drop):
    with pytest.raises(ValueError, match="drop="):
        labels_needed(drop)


@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize("count", [-1, 0, 1, 7, 99, 100, 1000])
def test_each_row_is_asked_for_once_and_the_seed_decides_which(sampling, count):
    scores = np.concatenate([np.random.default_rng(4).uniform(size=96), [nan, inf, 0, 1]])

    found = rows_to_label(scores, count, rng=np.random.default_rng(5), sampling=sampling)

    assert len(set(found.tolist())) == found.size == min(max(count, 0), 100)
    assert found.tolist() == rows_to_label(scores, count, rng=np.random.default_rng(5), sampling=sampling).tolist()


@pytest.mark.parametrize("sampling", Sampling)
def test_no_rows_give_no_indices(sampling):
    assert rows_to_label([], 5, rng=np.random.default_rng(0), sampling=sampling).size == 0


def test_uncertain_sampling_prefers_scores_near_a_half_and_forgets_none():
    scores = np.random.default_rng(6).beta(0.3, 0.3, 10_000)

    uniform, uncertain = (np.abs(scores[rows_to_label(scores, 1000, rng=np.random.default_rng(7), sampling=how)] - 0.5) for how in Sampling)

    assert uncertain.mean() < uniform.mean() - 0.05
    assert (uncertain > 0.49).any()
