"""The corrected correlation ratio equals that of scipy's analysis of variance, and says nothing where nothing can go together."""

import math

import numpy as np
import pytest
from scipy import stats

from watchkeeper.stats.importance import epsilon_squared, scaled


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_the_one_of_an_analysis_of_variance(seed):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(rng.normal(), rng.uniform(0.5, 2), rng.integers(2, 60)) for _ in range(rng.integers(2, 20))]
    groups, values = np.repeat(np.arange(len(parts)), [len(part) for part in parts]), np.concatenate(parts)
    k, n, f = len(parts), len(values), stats.f_oneway(*parts).statistic

    expected = max(0.0, (f - 1) * (k - 1) / (f * (k - 1) + n - k))  # (SSB - (k - 1) MSW) / SST

    assert epsilon_squared(groups, values) == pytest.approx(expected)


def test_chance_gives_none_on_average_however_many_groups():
    rng = np.random.default_rng(1)
    found = [epsilon_squared(rng.integers(0, 50, 400), rng.normal(size=400)) for _ in range(300)]

    assert np.mean(found) < 0.02  # eta² alone would be 0.12


def test_what_groups_tell_wholly_is_one():
    assert epsilon_squared([0, 0, 1, 1, 2, 2], [5, 5, 7, 7, 1, 1]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("groups", "values"),
    [
        ([], []),
        ([1], [2.0]),
        ([0, 1], [1.0, 2.0]),
        ([0, 0, 0], [1.0, 2.0, 3.0]),
        ([0, 0, 1, 1], [3.3, 3.3, 3.3, 3.3]),
        ([0, 0, 1, 1], [0.0, 0.0, 0.0, 0.0]),
        ([0, 0, 1, 1], [math.nan] * 4),
        ([0, 0, 1, 1], [math.inf, -math.inf, math.inf, math.nan]),
        ([0, 0, 1, 1], [1.0, 2.0, math.inf, math.nan]),
    ],
    ids=["no row", "one row", "a row in each group", "one group", "constant", "all zero", "all null", "infinite", "one group left"],
)
def test_where_nothing_can_go_together_nothing_is_told(groups, values):
    assert math.isnan(epsilon_squared(groups, values))


def test_infinite_values_are_left_out_and_huge_ones_are_not():
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 3, 200)
    values = groups + rng.normal(size=200)

    assert epsilon_squared([*groups, 0, 1], [*values, math.inf, math.nan]) == epsilon_squared(groups, values)
    assert epsilon_squared(groups, values * 1e307) == pytest.approx(epsilon_squared(groups, values))


def test_importances_are_of_the_largest():
    assert scaled({"a": 4.0, "b": 1.0, "c": 0.0}) == {"a": 1.0, "b": 0.25, "c": 0.0}
    assert scaled({}) == scaled({"a": 0.0}) == {}
