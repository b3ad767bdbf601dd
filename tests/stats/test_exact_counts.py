"""The e-process of counts against the cases of the method, against scipy, and looked at after every step."""

from math import inf, isnan, log

import numpy as np
import pytest
from scipy.stats import dirichlet_multinomial, multinomial

from tests.conftest import Runs
from watchkeeper.stats.exact_counts import anytime_p_value, log_e_value

SHARES = (0.1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize(
    ("counts", "concentration", "expected"),
    [((150, 250, 300, 300), 100, 23.8106), ((150, 250, 300, 300), 4, 21.3401), ((10, 21, 28, 41), 100, -0.99727)],
)
def test_the_cases_of_the_method(counts: tuple[int, ...], concentration: float, expected: float) -> None:
    assert log_e_value(counts, SHARES, concentration=concentration) == pytest.approx(expected, abs=5e-5)


def test_it_is_the_likelihood_ratio_that_scipy_knows() -> None:
    chance = np.random.default_rng(1)
    for _ in range(50):
        bins = int(chance.integers(2, 9))
        p, concentration = chance.dirichlet(np.ones(bins)), float(chance.uniform(1, 500))
        counts = chance.multinomial(int(chance.integers(1, 3000)), chance.dirichlet(np.ones(bins)))
        n = int(counts.sum())

        expected = dirichlet_multinomial.logpmf(counts, concentration * p, n) - multinomial.logpmf(counts, n, p)

        assert log_e_value(counts, p, concentration=concentration) == pytest.approx(expected, rel=1e-8, abs=1e-8)


def looked_at(seeds: int, shares: np.ndarray, *, looks: int = 300, each: int = 30, tolerance: float = 0.0) -> float:
    """Share of runs in which E ever reached 20, looked at after each step; counts come with `shares`."""
    alarms = 0
    for seed in range(seeds):
        counts = np.random.default_rng([3, seed]).multinomial(each, shares, size=looks).cumsum(axis=0)
        alarms += max(log_e_value(row, SHARES, tolerance=tolerance) for row in counts) >= log(20)
    return alarms / seeds


def test_under_the_known_shares_it_alarms_at_most_once_in_twenty_however_often_it_is_looked_at(runs: Runs) -> None:
    assert looked_at(runs(200, 2000), np.array(SHARES)) <= 0.05


def test_within_the_tolerance_it_does_not_alarm_and_beyond_it_does(runs: Runs) -> None:
    boundary = np.array([0.11, 0.22, 0.33, 0.34])  # the largest ratio is 1.1

    assert looked_at(runs(30, 1000), boundary, tolerance=0.1) <= 0.05
    assert looked_at(10, boundary) == 1.0
    assert looked_at(10, np.array([0.3, 0.2, 0.2, 0.3]), tolerance=0.1) == 1.0


def test_nothing_seen_is_no_evidence() -> None:
    assert log_e_value([0, 0, 0, 0], SHARES) == 0.0
    assert anytime_p_value(log_e_value([0, 0, 0, 0], SHARES)) == 1.0


def test_what_cannot_come_is_all_evidence_and_what_may_not_and_did_not_is_none() -> None:
    assert log_e_value([5, 1], [1.0, 0.0]) == inf
    assert anytime_p_value(inf) == 0.0
    assert log_e_value([5, 0], [1.0, 0.0]) == pytest.approx(0.0)


@pytest.mark.parametrize("counts", [(1, 2, 3), (-1, 2, 3, 4), (float("nan"), 1, 1, 1), (inf, 1, 1, 1)])
def test_what_are_no_counts_have_no_evidence(counts: tuple[float, ...]) -> None:
    assert isnan(log_e_value(counts, SHARES))


def test_shares_that_are_none_have_no_evidence() -> None:
    assert isnan(log_e_value([1, 2], [0.0, 0.0]))
    assert isnan(log_e_value([], []))


def test_a_million_rows_are_no_trouble() -> None:
    assert log_e_value([100_000, 200_000, 300_000, 400_000], SHARES) < 0
    assert log_e_value([110_000, 200_000, 300_000, 390_000], SHARES) > 100
