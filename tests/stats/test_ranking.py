from math import inf, isnan, nan

import numpy as np
import pytest
from sklearn import metrics as oracle

from watchkeeper.stats.ranking import average_precision, hit_rate, mean_over_queries, ndcg_at_k
from watchkeeper.stats.result import Validity

NOTHING = ([], [0, 0, 0], [nan, -1], [-inf])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 3, 20, 50])
def test_ndcg_equals_the_oracle(seed, k):
    relevances = np.random.default_rng(seed).integers(0, 4, 20)

    assert ndcg_at_k(relevances, k) == pytest.approx(oracle.ndcg_score([relevances], [np.arange(20)[::-1]], k=k))


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_equals_the_oracle(seed):
    relevances = np.random.default_rng(seed).integers(0, 2, 20)

    assert average_precision(relevances) == pytest.approx(oracle.average_precision_score(relevances, np.arange(20)[::-1]))


@pytest.mark.parametrize("relevances", NOTHING)
def test_a_query_without_relevant_items_has_no_quality(relevances):
    assert isnan(ndcg_at_k(relevances, 3))
    assert isnan(average_precision(relevances))
    assert isnan(hit_rate(relevances, 3))


def test_relevant_items_that_were_not_shown_count_against_it():
    assert average_precision([0, 0], relevant=3) == 0
    assert hit_rate([0, 0], 2, relevant=3) == 0
    assert average_precision([1, 1], relevant=4) == 0.5


def test_the_mean_leaves_out_queries_without_quality():
    values = np.array([0.2, 0.8, nan] * 30)

    result = mean_over_queries(values)

    assert (result.estimate, result.n) == (pytest.approx(0.5), 60)
    assert result.high - result.estimate == pytest.approx(2.001 * 0.3 * np.sqrt(60 / 59) / np.sqrt(60), rel=1e-3)


def test_the_mean_says_why_it_cannot_tell():
    assert mean_over_queries([]).validity is Validity.TOO_FEW_ROWS
    assert mean_over_queries([0.5]).validity is Validity.TOO_FEW_ROWS
    assert mean_over_queries([nan, nan]).validity is Validity.UNDEFINED


def test_hits_on_every_query_keep_room_below():
    result = mean_over_queries([1.0] * 40)

    assert (result.estimate, result.high) == (1, 1)
    assert result.low == pytest.approx(0.912, abs=0.001)
