"""Distances against the cases of the method, against scipy, and on odd input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import euclidean, jensenshannon

from watchkeeper.stats.distances import (
    chi_square,
    hellinger,
    js_distance,
    ks_distance,
    largest_difference,
    noise_floor,
    psi,
    shares,
    wasserstein,
)

REFERENCE, CURRENT = (100, 200, 300, 400), (150, 250, 300, 300)
COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=30)


def test_the_case_of_four_bins() -> None:
    assert float(psi(REFERENCE, CURRENT, smoothing=0)) == pytest.approx(0.0601986, abs=5e-8)
    assert float(js_distance(REFERENCE, CURRENT)) == pytest.approx(0.1039674, abs=5e-8)
    assert float(hellinger(REFERENCE, CURRENT)) == pytest.approx(0.0866519, abs=5e-8)
    assert float(largest_difference(REFERENCE, CURRENT)) == pytest.approx(0.10)
    assert float(ks_distance(REFERENCE, CURRENT)) == pytest.approx(0.10)
    assert float(wasserstein(REFERENCE, CURRENT)) == pytest.approx(0.25)
    test = chi_square(REFERENCE, CURRENT)
    assert (float(test.statistic), float(test.degrees)) == (pytest.approx(29.84127, abs=5e-6), 3)
    assert float(test.p_value) == pytest.approx(1.4903e-6, rel=1e-4)
    assert float(test.statistic) * (1 / 1000 + 1 / 1000) == pytest.approx(0.0596825, abs=5e-8)


def test_the_noise_floor_of_the_method() -> None:
    assert float(noise_floor(10, 1000, 500)) == pytest.approx(0.0270, abs=5e-5)
    assert float(noise_floor(10, 1000, 500, quantile=0.95)) == pytest.approx(0.0508, abs=5e-5)
    assert float(noise_floor(10, 1000, 500, quantile=0.999)) == pytest.approx(0.0836, abs=5e-5)


@pytest.mark.parametrize(("bins", "cut_off", "least"), [(10, 0.1, 339), (10, 0.25, 136), (20, 0.1, 603), (20, 0.25, 242)])
def test_the_least_rows_for_the_folk_cut_offs(bins: int, cut_off: float, least: int) -> None:
    assert float(noise_floor(bins, least, least, quantile=0.95)) <= cut_off < float(noise_floor(bins, least - 1, least - 1, quantile=0.95))


def test_noise_is_as_large_as_the_floor_says() -> None:
    chance = np.random.default_rng(1)
    p = np.full(10, 0.1)

    noise = psi(chance.multinomial(1000, p, 4000), chance.multinomial(500, p, 4000), smoothing=0.5)

    assert noise.mean() == pytest.approx(float(noise_floor(10, 1000, 500)), rel=0.03)
    assert np.quantile(noise, 0.95) == pytest.approx(float(noise_floor(10, 1000, 500, quantile=0.95)), rel=0.05)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=2, max_size=20))
def test_they_agree_with_scipy(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    if not a.sum() or not b.sum():
        return
    places = np.arange(a.size)
    p, q = a / a.sum(), b / b.sum()

    assert float(js_distance(a, b)) == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)
    assert float(wasserstein(a, b)) == pytest.approx(stats.wasserstein_distance(places, places, p, q), abs=1e-9)
    used = (a + b) > 0
    if used.sum() > 1:
        expected = stats.chi2_contingency(np.array([a[used], b[used]]), correction=False)
        test = chi_square(a, b)
        assert (float(test.statistic), float(test.degrees)) == (pytest.approx(expected.statistic, abs=1e-7), expected.dof)
        assert float(test.p_value) == pytest.approx(expected.pvalue, abs=1e-9)


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=2, max_size=20))
def test_those_that_scipy_has_under_another_name_agree_too(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    places = np.arange(a.size)
    p, q = a / a.sum(), b / b.sum()

    assert float(psi(a, b, smoothing=0)) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-12)
    assert float(hellinger(a, b)) == pytest.approx(euclidean(np.sqrt(p), np.sqrt(q)) / np.sqrt(2), abs=1e-12)
    exact = stats.ks_2samp(np.repeat(places, a), np.repeat(places, b), method="asymp")
    assert float(ks_distance(a, b)) == pytest.approx(exact.statistic, abs=1e-12)


@given(COUNTS)
def test_nothing_is_apart_from_itself(counts: list[int]) -> None:
    if not sum(counts):
        return
    for distance in (psi, js_distance, hellinger, largest_difference, ks_distance, wasserstein):
        assert float(distance(counts, counts)) == pytest.approx(0, abs=1e-7)
    assert float(chi_square(counts, counts).statistic) == pytest.approx(0, abs=1e-7)


def test_all_divergences_are_one_statistic_near_the_null() -> None:
    chance = np.random.default_rng(2)
    a, b = chance.multinomial(50_000, np.full(12, 1 / 12)), chance.multinomial(30_000, np.full(12, 1 / 12))
    one = float(chi_square(a, b).statistic) * (1 / 50_000 + 1 / 30_000)

    assert float(psi(a, b)) == pytest.approx(one, rel=0.01)
    assert float(hellinger(a, b)) ** 2 == pytest.approx(one / 8, rel=0.01)
    assert float(js_distance(a, b)) ** 2 == pytest.approx(one / (8 * np.log(2)), rel=0.01)


def test_a_side_without_rows_gives_no_distance() -> None:
    for distance in (psi, js_distance, hellinger, largest_difference, ks_distance, wasserstein):
        assert np.isnan(float(distance([0, 0, 0], [1, 2, 3])))
        assert np.isnan(float(distance([1, 2, 3], [0, 0, 0])))
    assert np.isnan(float(chi_square([0, 0], [1, 2]).statistic))
    assert float(noise_floor(10, 0, 5)) == np.inf


def test_one_used_bin_is_no_difference() -> None:
    assert float(psi([5, 0, 0], [9, 0, 0])) == 0
    assert np.isnan(float(chi_square([5, 0], [9, 0]).p_value))


def test_bins_that_nobody_fills_change_nothing() -> None:
    assert float(psi([5, 3, 0], [2, 8, 0])) == pytest.approx(float(psi([5, 3], [2, 8])))


def test_many_windows_are_compared_at_once() -> None:
    windows = np.random.default_rng(3).multinomial(1000, np.full(6, 1 / 6), (4, 5))
    together = psi(windows[0, 0], windows)

    assert together.shape == (4, 5)
    assert together[2, 3] == pytest.approx(float(psi(windows[0, 0], windows[2, 3])))


def test_shares_of_nothing_are_unknown() -> None:
    assert np.isnan(shares([0, 0])).all()


def test_binned_distances_come_close_to_exact_ones() -> None:
    chance = np.random.default_rng(42)
    a, b = chance.normal(0, 1, 20_000), chance.normal(0.12, 1.05, 10_000)
    edges = np.linspace(-5, 5, 1001)
    binned = np.histogram(a, edges)[0], np.histogram(b, edges)[0]

    exact = stats.ks_2samp(a, b).statistic
    assert exact - 0.003 <= float(ks_distance(*binned)) <= exact + 1e-9
    assert float(wasserstein(*binned, width=0.01)) == pytest.approx(stats.wasserstein_distance(a, b), abs=0.01)
