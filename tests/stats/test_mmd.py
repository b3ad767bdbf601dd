"""Maximum mean discrepancy against the case of the method, against scikit-learn's kernel, and on nasty rows."""

from math import isnan

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from watchkeeper.stats.mmd import median_distance, mmd_p_value, mmd_squared


def test_the_case_of_the_method() -> None:
    assert mmd_squared([[0.0], [1.0]], [[1.0], [2.0]], bandwidth=1.0) == pytest.approx(0.432332, abs=5e-7)


def test_it_agrees_with_the_kernel_of_scikit_learn() -> None:
    chance = np.random.default_rng(1)
    for columns in (1, 3, 12):
        x, y = chance.normal(size=(60, columns)), chance.normal(0.5, 2, size=(35, columns))
        gamma = 1 / (2 * median_distance(np.concatenate([x, y])) ** 2)

        expected = rbf_kernel(x, x, gamma).mean() + rbf_kernel(y, y, gamma).mean() - 2 * rbf_kernel(x, y, gamma).mean()

        assert mmd_squared(x, y) == pytest.approx(expected, abs=1e-12)


def test_the_same_rows_are_not_apart_and_others_are() -> None:
    chance = np.random.default_rng(2)
    x = chance.normal(size=(150, 2))
    flipped = x * [1, -1] + [0, 0]
    x[:, 1], flipped[:, 1] = x[:, 0] + 0.1 * x[:, 1], -x[:, 0] + 0.1 * x[:, 1]

    assert mmd_squared(x, x) == pytest.approx(0.0, abs=1e-12)
    assert mmd_p_value(x, flipped, rng=chance) == pytest.approx(1 / 201)


def test_by_chance_it_is_significant_as_often_as_promised() -> None:
    found = []
    for seed in range(200):
        chance = np.random.default_rng([4, seed])
        found.append(mmd_p_value(chance.normal(size=(25, 2)), chance.normal(size=(25, 2)), rng=chance, permutations=39))

    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.06)


def test_rows_that_are_no_numbers_are_left_out() -> None:
    x, y = [[0.0], [float("nan")], [1.0]], [[1.0], [float("inf")], [2.0]]

    assert mmd_squared(x, y, bandwidth=1.0) == pytest.approx(0.432332, abs=5e-7)


def test_without_rows_there_is_no_distance() -> None:
    assert isnan(mmd_squared(np.zeros((0, 2)), np.zeros((5, 2))))
    assert isnan(mmd_p_value([[float("nan")]], [[1.0]], rng=np.random.default_rng(1)))


def test_one_row_a_side_and_constant_columns_are_measured() -> None:
    assert mmd_squared([[3.0]], [[3.0]]) == pytest.approx(0.0)
    assert mmd_squared(np.ones((9, 2)), np.ones((4, 2))) == pytest.approx(0.0)
    assert mmd_squared([[0.0]], [[50.0]], bandwidth=1.0) == pytest.approx(2.0)


def test_what_are_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        mmd_squared([1.0, 2.0], [[1.0]])
