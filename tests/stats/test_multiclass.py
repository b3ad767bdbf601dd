from math import inf, isnan, nan

import numpy as np
import pytest
from sklearn import metrics as oracle

from watchkeeper.stats import multiclass
from watchkeeper.stats.result import Validity

AVERAGES = (multiclass.accuracy, multiclass.macro_f1, multiclass.weighted_f1)


def rows(seed: int, n: int = 500, classes: int = 4):
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, n, p=[0.5, 0.3, 0.15, 0.05])
    return truth, np.where(rng.random(n) < 0.7, truth, rng.integers(0, classes, n))


def confusion_of(seed: int, n: int = 500):
    truth, said = rows(seed, n)
    return np.bincount(truth * 4 + said, minlength=16).reshape(4, 4)


@pytest.mark.parametrize("seed", range(5))
def test_all_metrics_equal_the_oracle(seed):
    truth, said = rows(seed)
    confusion = oracle.confusion_matrix(truth, said)

    assert multiclass.accuracy(confusion).estimate == pytest.approx(oracle.accuracy_score(truth, said))
    assert multiclass.macro_f1(confusion).estimate == pytest.approx(oracle.f1_score(truth, said, average="macro"))
    assert multiclass.weighted_f1(confusion).estimate == pytest.approx(oracle.f1_score(truth, said, average="weighted"))
    assert [result.estimate for result in multiclass.precision(confusion)] == pytest.approx(oracle.precision_score(truth, said, average=None))
    assert [result.estimate for result in multiclass.recall(confusion)] == pytest.approx(oracle.recall_score(truth, said, average=None))


@pytest.mark.parametrize("metric", AVERAGES)
def test_intervals_hold_the_truth_as_often_as_they_say(metric):
    truth = metric(confusion_of(0, n=400_000)).estimate

    results = [metric(confusion_of(seed)) for seed in range(1, 200)]

    assert np.mean([result.low <= truth <= result.high for result in results]) >= 0.92


@pytest.mark.parametrize("metric", AVERAGES)
@pytest.mark.parametrize("confusion", [[], [[0, 0], [0, 0]], [[1, 0], [0, 0]], [[nan, 0], [inf, 0]]])
def test_too_few_rows_give_no_number(metric, confusion):
    result = metric(confusion)

    assert isnan(result.estimate)
    assert result.validity is Validity.TOO_FEW_ROWS


@pytest.mark.parametrize("metric", AVERAGES)
def test_a_perfect_matrix_keeps_room_below(metric):
    result = metric([[20, 0, 0], [0, 20, 0], [0, 0, 20]])

    assert result.estimate == result.high == 1
    assert result.low < 1


def test_a_class_neither_seen_nor_predicted_does_not_count():
    assert multiclass.macro_f1([[30, 0, 0], [0, 0, 0], [0, 0, 30]]).estimate == 1
    assert multiclass.recall([[30, 0, 0], [0, 0, 0], [0, 0, 30]])[1].validity is Validity.UNDEFINED


def test_a_class_never_predicted_has_no_precision():
    assert multiclass.precision([[30, 0], [30, 0]])[1].validity is Validity.UNDEFINED


def test_a_matrix_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        multiclass.accuracy([[1, 2]])
