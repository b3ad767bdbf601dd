"""The number of bins, the bins and the dots of a binscatter."""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from watchkeeper.stats import binscatter
from watchkeeper.stats.binscatter import FineBins
from watchkeeper.stats.result import Validity

Floats = NDArray[np.float64]


def check_rows() -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """The two samples of the methods, drawn one after the other from one stream."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=5000)
    wave = x, np.sin(2 * np.pi * x) + 0.5 * rng.normal(size=5000)
    x = rng.normal(size=5000)
    return wave, (x, x + 0.5 * x**2 + rng.normal(size=5000))


def aggregated(x: Floats, y: Floats, *, bins: int = 512) -> FineBins:
    place = np.minimum((x * bins).astype(int), bins - 1)
    n, sum_x, sum_y, sum_y2 = (np.bincount(place, weights=column, minlength=bins) for column in (np.ones_like(x), x, y, y**2))
    return FineBins.of_sums(n, sum_x, sum_y=sum_y, sum_y2=sum_y2)


def test_it_reproduces_the_numbers_of_bins_of_the_methods() -> None:
    wave, parabola = (binscatter.rule_of_thumb(FineBins.of_rows(*rows)) for rows in check_rows())

    assert (wave.bins, round(wave.bias, 7), round(wave.variance, 7)) == (25, 0.6785412, 0.4496980)
    assert (parabola.bins, round(parabola.bias, 6), round(parabola.variance, 7)) == (52, 13.427372, 0.9766647)


def test_it_finds_the_same_number_from_512_fine_bins() -> None:
    count = binscatter.rule_of_thumb(aggregated(*check_rows()[0]))

    assert (count.bins, round(count.bias, 7), count.validity) == (25, 0.6785666, Validity.OK)


def test_more_rows_ask_for_more_bins_and_more_noise_for_fewer() -> None:
    rng = np.random.default_rng(3)
    x, noise = rng.uniform(size=8000), rng.normal(size=8000)

    few, many, noisy = (
        binscatter.rule_of_thumb(FineBins.of_rows(x[:k], 3 * x[:k] + scale * noise[:k])).bins for k, scale in ((1000, 1), (8000, 1), (8000, 5))
    )

    assert noisy < many
    assert few < many


@pytest.mark.parametrize(
    ("x", "bins", "validity"),
    [
        ([], 0, "too few rows"),
        ([1.0], 1, "too few rows"),
        ([nan] * 50, 0, "too few rows"),
        ([inf] * 50, 0, "too few rows"),
        ([2.0] * 50, 1, "undefined"),
        ([0.0, 1.0] * 50, 2, "undefined"),
        ([0.0, 1.0, 2.0] * 50, 3, "ok"),
    ],
)
def test_it_asks_for_no_more_bins_than_there_are_values(x: list[float], bins: int, validity: str) -> None:
    count = binscatter.rule_of_thumb(FineBins.of_rows(x, 10 * np.nan_to_num(x, posinf=0) + np.arange(len(x)) % 5))

    assert (count.bins, count.validity) == (bins, validity)
    assert isnan(count.bias) == (validity != "ok")


def test_a_flat_line_without_noise_is_at_least_one_bin() -> None:
    count = binscatter.rule_of_thumb(FineBins.of_rows(range(100), [3.0] * 100))

    assert 1 <= count.bins <= 100


@given(st.lists(st.integers(0, 200), max_size=80), st.integers(1, 100))
def test_the_bins_are_in_order_without_gaps_and_large_enough(counts: list[int], bins: int) -> None:
    assigned = binscatter.assign_bins(counts, bins=bins)

    assert (np.diff(assigned) >= 0).all()
    if sum(counts):
        rows = np.bincount(assigned, weights=counts)
        assert rows.size == 1 or rows.min() >= 30
        assert rows.size <= min(bins, 50)
        assert rows.sum() == sum(counts)


def test_rows_of_their_own_make_bins_of_equal_size() -> None:
    assigned = binscatter.assign_bins(np.ones(1000), bins=10)

    assert np.bincount(assigned).tolist() == [100] * 10


def test_it_draws_no_more_than_fifty_dots() -> None:
    assert binscatter.assign_bins(np.ones(100_000), bins=108).max() == 49


def test_a_large_fine_bin_stays_whole() -> None:
    assert binscatter.assign_bins([10, 1000, 10], bins=5).max() == 0


@pytest.mark.parametrize("counts", [[], [0, 0], [nan, nan], [-5.0, inf]])
def test_bins_without_rows_are_one_and_without_dots(counts: list[float]) -> None:
    assigned = binscatter.assign_bins(counts, bins=5)
    zeros = np.zeros(len(counts))

    assert not assigned.any()
    assert binscatter.dots(FineBins.of_sums(zeros, zeros, sum_y=zeros, sum_y2=zeros), assigned) == ()


def test_a_dot_is_the_mean_of_its_rows_with_its_interval() -> None:
    x, y = check_rows()[0]
    fine = FineBins.of_rows(x, y)

    drawn = binscatter.dots(fine, binscatter.assign_bins(fine.n, bins=25))

    first = np.argsort(x)[:200]
    assert len(drawn) == 25
    assert drawn[0].x == pytest.approx(x[first].mean())
    assert drawn[0].y.estimate == pytest.approx(y[first].mean())
    assert drawn[0].y.high - drawn[0].y.estimate == pytest.approx(1.959964 * y[first].std(ddof=1) / np.sqrt(200), rel=1e-6)
    assert all(dot.y.is_ok for dot in drawn)


def test_a_window_keeps_the_bins_of_the_reference() -> None:
    reference = aggregated(*check_rows()[0])
    assigned = binscatter.assign_bins(reference.n, bins=10)
    few = FineBins.of_sums(np.eye(512)[5] * 3, np.eye(512)[5] * 0.03, sum_y=np.eye(512)[5] * 6, sum_y2=np.eye(512)[5] * 12)

    drawn = binscatter.dots(few, assigned)

    assert [(dot.y.n, dot.y.estimate, dot.y.validity) for dot in drawn] == [(3, 2.0, Validity.TOO_FEW_ROWS)]


def test_one_row_has_an_infinite_interval() -> None:
    fine = FineBins.of_rows([1.0], [2.0])

    (dot,) = binscatter.dots(fine, binscatter.assign_bins(fine.n, bins=3))

    assert (dot.x, dot.y.estimate, dot.y.high) == (1, 2, inf)


def test_rows_and_bins_that_are_no_number_are_left_out() -> None:
    rows = FineBins.of_rows([1, nan, 3, inf], [1, 2, nan, 4])
    bins = FineBins.of_sums([2, 3, -1], [1, nan, 1], sum_y=[1, 1, 1], sum_y2=[1, 1, 1])

    assert rows.sum_x.tolist() == [1]
    assert bins.n.tolist() == [2, 0, 0]
