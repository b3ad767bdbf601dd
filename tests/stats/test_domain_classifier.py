"""The domain classifier against theory, scikit-learn and the bootstrap, and on nasty rows."""

from math import isnan, sqrt

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from tests.conftest import Runs
from watchkeeper.stats.domain_classifier import auc_with_error, tell_apart


def test_a_shift_of_half_a_standard_deviation_is_told_as_well_as_theory_allows() -> None:
    chance = np.random.default_rng(1)
    best = float(norm.cdf(0.5 / sqrt(2)))
    assert best == pytest.approx(0.638163, abs=5e-7)

    found = tell_apart(chance.normal(0, 1, (4000, 1)), chance.normal(0.5, 1, (4000, 1)), ["x"], rng=chance)

    assert found.is_apart
    assert best - 0.03 < found.auc < best + 3 * found.error


def test_it_sees_a_correlation_that_flips_and_names_its_features() -> None:
    chance = np.random.default_rng(2)
    before, after = (chance.normal(size=(1500, 4)) for _ in range(2))
    for rows, sign in ((before, 1), (after, -1)):
        rows[:, 2] = sign * 0.8 * rows[:, 0] + 0.6 * rows[:, 2]

    found = tell_apart(before, after, ["a", "b", "c", "d"], rng=chance)

    assert found.is_apart
    assert {name for name, _ in found.features[:2]} == {"a", "c"}
    assert found.features[0][1] > 0.1


def test_samples_of_one_source_are_not_told_apart(runs: Runs) -> None:
    told = 0
    for seed in range(runs(10, 200)):
        chance = np.random.default_rng([5, seed])
        told += tell_apart(chance.normal(size=(300, 3)), chance.normal(size=(300, 3)), ["a", "b", "c"], rng=chance).is_apart

    assert told <= runs(0, 2)


def test_the_area_is_that_of_scikit_learn_ties_and_all() -> None:
    chance = np.random.default_rng(3)
    for _ in range(30):
        high, low = chance.integers(2, 9, int(chance.integers(1, 60))), chance.integers(0, 7, int(chance.integers(1, 60)))
        side = np.concatenate([np.ones(high.size), np.zeros(low.size)])

        assert auc_with_error(high, low)[0] == pytest.approx(roc_auc_score(side, np.concatenate([high, low])))


def test_its_standard_error_is_that_of_new_samples() -> None:
    chance = np.random.default_rng(4)
    found = np.array([auc_with_error(chance.normal(0.7, 1, 80), chance.normal(0, 1, 50)) for _ in range(3000)])

    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.05)


def test_empty_sets_have_no_area() -> None:
    assert all(isnan(value) for value in auc_with_error([], [1.0]))
    assert auc_with_error([1.0], [0.0])[0] == 1.0
    assert isnan(auc_with_error([1.0], [0.0])[1])


def test_empty_constant_and_infinite_columns_tell_nothing_where_both_sides_have_them() -> None:
    chance = np.random.default_rng(6)

    def side() -> np.ndarray:
        rows = chance.normal(size=(200, 4))
        rows[:, 0], rows[:, 1] = np.nan, 7.0
        rows[::9, 2], rows[::11, 3] = np.inf, -np.inf
        return rows

    assert not tell_apart(side(), side(), ["a", "b", "c", "d"], rng=chance).is_apart


def test_a_column_that_is_empty_on_one_side_only_tells_all() -> None:
    chance = np.random.default_rng(7)
    before, after = chance.normal(size=(200, 2)), chance.normal(size=(200, 2))
    after[:, 1] = np.nan

    found = tell_apart(before, after, ["a", "b"], rng=chance)

    assert found.auc > 0.99
    assert [name for name, _ in found.features] == ["b"]


@pytest.mark.parametrize("rows", [0, 1, 49])
def test_few_rows_tell_nothing(rows: int) -> None:
    found = tell_apart(np.zeros((rows, 2)), np.ones((500, 2)), ["a", "b"], rng=np.random.default_rng(1))

    assert isnan(found.auc)
    assert not found.is_apart


def test_more_columns_than_rows_are_no_trouble() -> None:
    chance = np.random.default_rng(8)

    assert not tell_apart(chance.normal(size=(50, 80)), chance.normal(size=(50, 80)), [f"{n}" for n in range(80)], rng=chance).is_apart


def test_columns_without_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="2 columns are named"):
        tell_apart(np.zeros((99, 3)), np.zeros((99, 3)), ["a", "b"], rng=np.random.default_rng(1))
