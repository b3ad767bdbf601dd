import inspect
from functools import cache
from math import inf, isnan, nan

import numpy as np
import pytest
from sklearn import metrics as oracle
from sklearn.linear_model import LogisticRegression

from watchkeeper.stats import performance
from watchkeeper.stats.performance import METRICS, Direction, pr_auc_bounds, roc_auc_bounds
from watchkeeper.stats.result import Validity
from watchkeeper.stats.scores import BIN_WIDTH, ScoreTable, mean_result, share_result, wilson_interval

SEEDS = range(6)
RANKING = ("roc_auc", "pr_auc", "calibration_slope", "calibration_intercept")
EDGES = {
    "empty": ([], []),
    "one row": ([0.4], [1]),
    "no labels": ([0.1, 0.9, 0.5], [nan] * 3),
    "one class": ([0.1, 0.9, 0.5] * 20, [1] * 60),
    "constant": ([0.5] * 60, [0, 1] * 30),
    "exactly 0 and 1": ([0.0, 1.0] * 30, [0, 1] * 30),
    "always wrong": ([0.0, 1.0] * 30, [1, 0] * 30),
    "infinite": ([inf, -inf, 0.5] * 20, [1, 0, 1] * 20),
    "not a number": ([nan, 0.2, 0.8] * 20, [1, 0, 1] * 20),
    "all not a number": ([nan] * 40, [1] * 40),
    "logits": (list(np.linspace(-5, 5, 60)), [0, 1] * 30),
}


def sample(seed: int, n: int = 3000, ties: bool = False):
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.7, 1.5, n)
    if ties:
        scores = np.round(scores, 1)
    return scores, (rng.random(n) < scores**1.2).astype(int)


@cache
def table_of(seed: int, n: int) -> ScoreTable:
    return ScoreTable.of(*sample(seed, n=n))


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("case", EDGES)
def test_it_never_warns_and_says_why_it_cannot_tell(name, case):
    result = METRICS[name].compute(ScoreTable.of(*EDGES[case]))

    assert isnan(result.estimate) != (result.low <= result.estimate <= result.high)
    assert not (isnan(result.estimate) and result.validity is Validity.OK)
    assert result.rule


@pytest.mark.parametrize("seed", range(60))
def test_nasty_mixtures_of_scores_give_an_interval_or_a_reason(seed):
    rng = np.random.default_rng(seed)
    kinds = rng.choice([0, 1, 0.5, 1e-9, 1e-300, 1 - 1e-16, nan, inf, -inf, -1e-9, 1 + 1e-9, 1e300, 0.3, -5], rng.integers(1, 6))
    table = ScoreTable.of(rng.choice(kinds, 200), rng.choice([0, 1, nan], 200, p=rng.dirichlet([1, 1, 0.2])))

    results = [metric.compute(table) for metric in METRICS.values()]

    assert all(result.low <= result.estimate <= result.high or not result.is_ok for result in results)


@pytest.mark.parametrize("name", METRICS)
def test_without_labels_it_waits_and_without_rows_it_has_too_few(name):
    compute = METRICS[name].compute

    assert compute(ScoreTable.of(*EDGES["no labels"])).validity is Validity.IMMATURE_LABELS
    assert compute(ScoreTable.of(*EDGES["empty"])).validity is Validity.TOO_FEW_ROWS
    assert compute(ScoreTable.of(*EDGES["one row"])).validity is Validity.TOO_FEW_ROWS


@pytest.mark.parametrize("name", RANKING)
def test_one_class_has_no_ranking(name):
    assert METRICS[name].compute(ScoreTable.of(*EDGES["one class"])).validity is Validity.UNDEFINED


@pytest.mark.parametrize("name", ["brier", "log_loss", "calibration_gap", "calibration_error", "calibration_slope", "calibration_intercept"])
def test_scores_that_are_no_probabilities_are_not_judged_as_such(name):
    assert METRICS[name].compute(ScoreTable.of(*EDGES["logits"])).validity is Validity.OUT_OF_SUPPORT


def test_few_rows_give_a_number_that_may_not_be_judged():
    result = performance.accuracy(ScoreTable.of([0.9, 0.1, 0.8], labels=[1, 0, 0]))

    assert result.estimate == pytest.approx(2 / 3)
    assert result.validity is Validity.TOO_FEW_ROWS


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["roc_auc", "pr_auc"])
@pytest.mark.parametrize("ties", [False, True])
def test_ranking_equals_the_oracle_exactly_with_ties_and_within_its_bounds_without(seed, name, ties):
    scores, labels = sample(seed, ties=ties)
    compare = {"roc_auc": oracle.roc_auc_score, "pr_auc": oracle.average_precision_score}[name]
    bounds = {"roc_auc": roc_auc_bounds, "pr_auc": pr_auc_bounds}[name](ScoreTable.of(scores, labels))

    estimate = METRICS[name].compute(ScoreTable.of(scores, labels)).estimate

    assert bounds.low - 1e-12 <= compare(labels, scores) <= bounds.high + 1e-12
    assert estimate == pytest.approx(compare(labels, scores), abs=1e-12 if ties else 0.001)


@pytest.mark.parametrize("seed", SEEDS)
def test_bounds_hold_for_partly_tied_scores_in_few_bins(seed):
    rng = np.random.default_rng(seed)
    scores = rng.choice([0.0, 0.001, 0.0011, 0.004, 0.0051, 0.9], 60)
    labels = rng.integers(0, 2, 60)
    table = ScoreTable.of(scores, labels)

    for bounds, compare in ((roc_auc_bounds, oracle.roc_auc_score), (pr_auc_bounds, oracle.average_precision_score)):
        assert bounds(table).low <= compare(labels, scores) <= bounds(table).high


@pytest.mark.parametrize("order", [1, -1])
def test_the_bounds_of_one_bin_are_reached_by_its_extreme_orders(order):
    scores = np.linspace(0.001, 0.004, 10)
    labels = np.array([0] * 5 + [1] * 5)[::order]

    bounds = roc_auc_bounds(ScoreTable.of(scores, labels)), pr_auc_bounds(ScoreTable.of(scores, labels))

    reached = [found[(1 + order) // 2] for found in bounds]
    assert reached == pytest.approx([oracle.roc_auc_score(labels, scores), oracle.average_precision_score(labels, scores)])


def test_200_bins_cost_almost_nothing_of_the_auc_and_bound_it_by_a_few_thousandths():
    rng = np.random.default_rng(8)
    x = rng.normal(0, 1, 100_000)
    scores = 1 / (1 + np.exp(0.5 - 1.1 * x))
    labels = rng.random(100_000) < scores
    table = ScoreTable.of(scores, labels)

    bounds = roc_auc_bounds(table)

    assert performance.roc_auc(table).estimate == pytest.approx(oracle.roc_auc_score(labels, scores), abs=3e-5)
    assert bounds.high - bounds.low == pytest.approx(0.7413 - 0.7354, abs=0.001)


def test_scores_crowded_into_one_bin_hide_their_ranking():
    scores = np.linspace(1e-6, 1e-3, 1000)
    result = performance.roc_auc(ScoreTable.of(scores, (np.arange(1000) > 900).astype(int)))

    assert result.validity is Validity.UNDEFINED
    assert (result.low, result.high) == (0, 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_decision_metrics_equal_the_oracle(seed):
    scores, labels = sample(seed)
    said = (scores >= 0.37).astype(int)
    table = ScoreTable.of(scores, labels, threshold=0.37)
    expected = {
        "accuracy": oracle.accuracy_score(labels, said),
        "precision": oracle.precision_score(labels, said),
        "recall": oracle.recall_score(labels, said),
        "f1": oracle.f1_score(labels, said),
        "specificity": oracle.recall_score(1 - labels, 1 - said),
    }

    assert {name: METRICS[name].compute(table).estimate for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_probability_metrics_equal_the_oracle_within_the_binning_error(seed):
    scores, labels = sample(seed)
    table = ScoreTable.of(scores, labels)

    assert performance.brier(table).estimate == pytest.approx(oracle.brier_score_loss(labels, scores), abs=5e-5)
    assert performance.calibration_gap(table).estimate == pytest.approx((labels - scores).mean(), abs=1e-12)
    inner = np.clip(scores, BIN_WIDTH, 1 - BIN_WIDTH)
    assert performance.log_loss(ScoreTable.of(inner, labels)).estimate == pytest.approx(oracle.log_loss(labels, inner), abs=5e-4)


def test_the_brier_score_stays_within_its_bound_at_the_worst_ordering():
    scores = np.concatenate([np.full(500, 0.50001), np.full(500, 0.50499)])
    labels = np.repeat([1, 0], 500)

    error = performance.brier(ScoreTable.of(scores, labels)).estimate - oracle.brier_score_loss(labels, scores)

    assert 0.002 < abs(error) <= BIN_WIDTH / 2


def test_a_certain_mistake_costs_as_much_as_the_floor_says():
    table = ScoreTable.of([0.0] * 30 + [1.0] * 30, labels=[0] * 29 + [1] + [1] * 30)

    assert performance.log_loss(table, floor=1e-6).estimate == pytest.approx(-np.log(1e-6) / 60, rel=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_line_equals_unpenalised_logistic_regression(seed):
    scores, labels = sample(seed)
    scores = np.clip(scores, 0.01, 0.99)
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(np.log(scores / (1 - scores))[:, None], labels)

    slope, intercept = performance.calibration_slope(ScoreTable.of(scores, labels)), performance.calibration_intercept(ScoreTable.of(scores, labels))

    assert slope.estimate == pytest.approx(fitted.coef_[0, 0], abs=0.005)
    assert intercept.estimate == pytest.approx(fitted.intercept_[0], abs=0.005)


@pytest.mark.parametrize("case", ["constant", "exactly 0 and 1"])
def test_no_calibration_line_goes_through_one_score_or_a_perfect_separation(case):
    assert performance.calibration_slope(ScoreTable.of(*EDGES[case])).validity is Validity.UNDEFINED


def test_calibration_error_of_a_calibrated_model_is_near_0_and_its_interval_reaches_it():
    rng = np.random.default_rng(5)
    reached, found = 0, []
    for _ in range(200):
        scores = rng.uniform(size=2000)
        result = performance.calibration_error(ScoreTable.of(scores, rng.random(2000) < scores))
        reached += result.low == 0
        found.append(result.estimate)

    assert reached >= 190
    assert np.mean(found) < 0.02


def test_calibration_error_of_a_shifted_model_is_the_shift():
    rng = np.random.default_rng(6)
    scores = rng.uniform(0, 0.8, 20_000)

    result = performance.calibration_error(ScoreTable.of(scores, rng.random(20_000) < scores + 0.1))

    assert result.estimate == pytest.approx(0.1, abs=0.01)
    assert result.low <= 0.1 <= result.high


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1", "brier", "log_loss", "calibration_gap"])
def test_intervals_hold_the_truth_as_often_as_they_say(name):
    truth = METRICS[name].compute(ScoreTable.of(*sample(99, n=400_000))).estimate

    results = [METRICS[name].compute(ScoreTable.of(*sample(1000 + seed, n=400))) for seed in range(300)]

    assert np.mean([result.low <= truth <= result.high for result in results]) >= 0.92


def test_perfect_metrics_keep_room_below():
    table = ScoreTable.of([0.1] * 20 + [0.9] * 20, labels=[0] * 20 + [1] * 20)

    for name in ("roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1"):
        result = METRICS[name].compute(table)
        assert result.estimate == result.high == 1
        assert 0.7 < result.low < 0.95


def test_precision_is_undefined_without_positive_decisions():
    assert performance.precision(ScoreTable.of([0.1] * 50, labels=[0, 1] * 25)).validity is Validity.UNDEFINED


def test_every_public_metric_is_in_the_registry():
    found = {
        name
        for name, function in inspect.getmembers(performance, inspect.isfunction)
        if function.__module__ == performance.__name__ and not name.startswith("_") and not name.endswith("_bounds")
    }

    assert found == set(METRICS)


def test_losses_and_errors_are_better_when_lower():
    assert all(metric.direction is Direction.LOWER for name, metric in METRICS.items() if name.endswith(("_loss", "_error", "brier")))


def test_wilson_equals_its_textbook_values():
    assert [round(bound, 4) for bound in wilson_interval(0, 10)] == [0.0, 0.2775]
    assert wilson_interval(0, 0) == (0, 1)
    assert share_result(0, 0, n=5).validity is Validity.UNDEFINED


def test_a_mean_of_equal_bounded_values_is_not_certain():
    result = mean_result(0, 0, 40, low=0, high=1)

    assert (result.estimate, result.low) == (0, 0)
    assert result.high == pytest.approx(wilson_interval(0, 40).high)


def test_a_mean_of_infinite_values_is_undefined():
    assert mean_result(inf, inf, 40).validity is Validity.UNDEFINED
