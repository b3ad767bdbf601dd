"""Welch's F-test equals scipy's, and what varies in nothing is no difference."""

import math

import numpy as np
import pytest
from scipy import stats

from watchkeeper.stats.anova import welch_test
from watchkeeper.stats.result import Validity


def sums(groups):
    return ([len(group) for group in groups], [sum(group) for group in groups], [sum(np.square(group)) for group in groups])


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_scipy(seed):
    rng = np.random.default_rng(seed)
    groups = [rng.normal(rng.normal(), rng.uniform(0.1, 9), rng.integers(2, 60)) for _ in range(rng.integers(2, 20))]

    ours, theirs = welch_test(*sums(groups)), stats.f_oneway(*groups, equal_var=False)

    assert (ours.statistic, ours.p_value) == (pytest.approx(theirs.statistic), pytest.approx(theirs.pvalue))
    assert (ours.groups, ours.validity) == (len(groups), Validity.OK)


def test_under_equal_means_small_p_values_are_as_rare_as_they_say():
    rng = np.random.default_rng(1)
    found = [welch_test(*sums([rng.normal(0, spread, 40) for spread in (1, 1, 5, 20)])).p_value for _ in range(2000)]

    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_groups_of_one_row_and_what_is_no_number_are_left_out():
    usual = sums([[1.0, 2.0, 3.0], [2.0, 4.0, 7.0]])
    more = ([*usual[0], 1, 5, 0], [*usual[1], 9.0, math.nan, 0.0], [*usual[2], 81.0, 3.0, 0.0])

    assert welch_test(*more) == welch_test(*usual)
    assert welch_test([5], [1.0], [3.0]).validity is Validity.TOO_FEW_ROWS


def test_rows_that_are_all_alike_differ_surely_or_not_at_all():
    assert welch_test(*sums([[2.0] * 9, [2.0] * 5])).p_value == 1
    assert welch_test(*sums([[2.0] * 9, [3.0] * 5])).p_value == 0


def test_one_group_that_does_not_vary_does_not_decide_by_itself():
    rng = np.random.default_rng(2)

    found = welch_test(*sums([rng.normal(0, 1, 50), rng.normal(0, 1, 50), [0.1] * 50]))

    assert found.p_value > 0.05
