"""What changed when a loss changed."""

from __future__ import annotations

from itertools import combinations
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.stats import why
from watchkeeper.stats.result import Validity

SEGMENTS = st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 10), st.integers(0, 1000), st.floats(0, 10)), min_size=1, max_size=12)


def test_it_reproduces_the_mix_and_within_of_the_methods() -> None:
    terms = why.mix_within([0.6, 0.3, 0.1], [0.1, 0.2, 0.3], counts_after=[0.4, 0.4, 0.2], loss_after=[0.1, 0.26, 0.3])

    assert terms.mix.round(4).tolist() == [0.0154, 0.0053, 0.0123]
    assert terms.within.round(4).tolist() == [0, 0.021, 0]
    assert round(terms.change, 6) == 0.054


@given(SEGMENTS)
def test_mix_and_within_add_up_to_the_change(segments: list[tuple[int, float, int, float]]) -> None:
    n0, e0, n1, e1 = np.array(segments, dtype=float).T

    terms = why.mix_within(n0, e0, counts_after=n1, loss_after=e1)

    if n0.any() and n1.any():
        assert terms.change == pytest.approx(np.average(e1, weights=n1) - np.average(e0, weights=n0), abs=1e-9)
        assert (terms.mix + terms.within).sum() == pytest.approx(terms.change, abs=1e-9)
    else:
        assert terms.validity is Validity.TOO_FEW_ROWS
        assert isnan(terms.change)


def test_a_segment_that_is_new_is_all_mix() -> None:
    terms = why.mix_within([100, 0], [0.1, nan], counts_after=[50, 50], loss_after=[0.1, 0.5])

    assert terms.within.tolist() == [0, 0]
    assert terms.mix.sum() == pytest.approx(0.2)


@pytest.mark.parametrize("loss", [nan, inf])
def test_a_loss_that_is_no_number_leaves_the_change_undefined(loss: float) -> None:
    assert why.mix_within([1, 1], [0.1, loss], counts_after=[1, 1], loss_after=[0, 0]).validity is Validity.UNDEFINED
    assert why.split_shift([1, 1], [0.1, loss], counts_after=[1, 1], loss_after=[0, 0]).validity is Validity.UNDEFINED


def test_it_reproduces_the_three_terms_of_the_methods() -> None:
    shift = why.split_shift([0.5, 0.5], [0.1, 0.2], counts_after=[0.2, 0.8], loss_after=[0.15, 0.3])

    assert [round(term, 6) for term in (shift.to_shared, shift.concept, shift.from_shared)] == [0.018293, 0.084146, 0.017561]
    assert round(shift.change, 12) == 0.12
    assert shift.overlap == pytest.approx(0.7)


@given(SEGMENTS)
def test_the_three_terms_add_up_to_the_change(segments: list[tuple[int, float, int, float]]) -> None:
    n0, e0, n1, e1 = np.array(segments, dtype=float).T

    shift = why.split_shift(n0, e0, counts_after=n1, loss_after=e1)

    if shift.validity is Validity.OK:
        assert shift.to_shared + shift.concept + shift.from_shared == pytest.approx(shift.change, abs=1e-9)
    else:
        assert isnan(shift.change)


def test_without_concept_drift_the_concept_term_is_zero() -> None:
    shift = why.split_shift([70, 30, 0], [0.1, 0.4, nan], counts_after=[20, 70, 10], loss_after=[0.1, 0.4, 0.9])

    assert shift.concept == pytest.approx(0)
    assert shift.change == pytest.approx(0.39 - 0.19)


def test_strata_that_do_not_overlap_are_out_of_support() -> None:
    assert why.split_shift([10, 0], [0.1, nan], counts_after=[0, 10], loss_after=[nan, 0.2]).validity is Validity.OUT_OF_SUPPORT
    assert why.split_shift([], [], counts_after=[], loss_after=[]).validity is Validity.TOO_FEW_ROWS


def test_a_feature_that_did_not_move_explains_nothing() -> None:
    swap = why.swap_attribution([30, 70], [300, 700], loss_sums=[30, 140], loss_squares=[30, 140])

    assert swap.estimate == pytest.approx(0)
    assert swap.low < 0 < swap.high


def test_the_swap_is_the_reweighted_reference_loss_and_its_interval_covers_it() -> None:
    rng = np.random.default_rng(2)
    p, q, risk = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.2, 0.4])
    hits = 0
    for _ in range(500):
        known, today = rng.multinomial(400, p), rng.multinomial(300, q)
        bad = rng.binomial(known, risk)
        swap = why.swap_attribution(today, known, loss_sums=bad, loss_squares=bad)
        hits += swap.low <= (q - p) @ risk <= swap.high

    assert 0.92 < hits / 500 < 0.99


@pytest.mark.parametrize(
    ("today", "known", "sums", "validity"),
    [
        ([], [], [], Validity.TOO_FEW_ROWS),
        ([0, 0], [5, 5], [1, 1], Validity.TOO_FEW_ROWS),
        ([5, 5], [0, 0], [0, 0], Validity.TOO_FEW_ROWS),
        ([5, 5], [10, 10], [nan, nan], Validity.TOO_FEW_ROWS),
        ([0, 10], [10, 0], [1, 0], Validity.OUT_OF_SUPPORT),
        ([90, 10], [10, 0], [1, 0], Validity.OUT_OF_SUPPORT),
        ([90, 10], [10, 9], [1, inf], Validity.OUT_OF_SUPPORT),
        ([97, 3], [10, 0], [1, 0], Validity.OK),
        ([nan, 3], [10, 10], [1, 2], Validity.OK),
        ([1, 0], [1, 0], [1, 0], Validity.OK),
    ],
)
def test_a_swap_says_when_the_reference_does_not_know_the_bins(today: list[float], known: list[float], sums: list[float], validity: Validity) -> None:
    assert why.swap_attribution(today, known, loss_sums=sums, loss_squares=sums).validity is validity


def test_it_finds_the_feature_that_moves_with_the_loss() -> None:
    rng = np.random.default_rng(4)
    culprit = rng.normal(size=40).cumsum()
    drift = {"culprit": culprit, "bystander": rng.normal(size=40).cumsum(), "constant": np.ones(40)}

    ranked = why.rank_features(drift, culprit + rng.normal(scale=0.5, size=40), rng=rng)

    assert [feature.name for feature in ranked] == ["culprit", "bystander", "constant"]
    assert ranked[0].p == 0.001
    assert ranked[1].p > 0.05
    assert (ranked[0].validity, ranked[2].validity) == (Validity.OK, Validity.UNDEFINED)


def test_two_trends_alone_do_not_correlate() -> None:
    rng = np.random.default_rng(6)
    days = np.arange(60.0)
    trends = [(days + rng.normal(size=60).cumsum(), 2 * days + rng.normal(size=60).cumsum()) for _ in range(200)]

    ranked = [why.rank_features({"a": drift}, loss, rng=rng, permutations=199)[0].p for drift, loss in trends]

    assert np.mean(np.array(ranked) <= 0.05) < 0.1


def test_the_same_generator_gives_the_same_ranks_and_importance_counts() -> None:
    drift = {"a": [1.0, 3, 2, 5, 1, 4], "b": [2.0, 1, 4, 2, 6, 1]}
    ranks = [why.rank_features(drift, [1, 2, 2, 4, 1, 3], rng=np.random.default_rng(0), importance={"b": 100.0}) for _ in range(2)]

    assert ranks[0] == ranks[1]
    assert ranks[0][0].name == "b"
    assert ranks[0][0].validity is Validity.PRELIMINARY


@pytest.mark.parametrize("series", [[], [1], [1, 2, 3], [nan] * 30, [inf] * 30])
def test_a_feature_with_too_few_windows_has_no_rank(series: list[float]) -> None:
    (feature,) = why.rank_features({"a": series}, np.arange(len(series)) ** 2, rng=np.random.default_rng(0))

    assert feature.validity is Validity.TOO_FEW_ROWS
    assert isnan(feature.p)


def test_it_finds_a_shift_of_the_mean_where_it_is() -> None:
    rng = np.random.default_rng(8)
    series = rng.normal(0.1, 0.01, 60)
    series[37:] += 0.05

    changes = why.change_points(series)

    assert [point.index for point in changes.points] == [37]
    assert changes.strongest is not None
    assert changes.strongest.before == pytest.approx(series[:37].mean())
    assert changes.strongest.after == pytest.approx(series[37:].mean())
    assert changes.strongest.gain > 0


def test_it_finds_several_shifts_and_skips_windows_that_are_no_number() -> None:
    series = np.repeat([1.0, 4.0, 2.0], 20) + np.random.default_rng(9).normal(0, 0.3, 60)
    holes = np.insert(series, [5, 30], [nan, inf])

    assert [point.index for point in why.change_points(series).points] == [20, 40]
    assert [point.index for point in why.change_points(holes).points] == [21, 42]


def test_noise_alone_seldom_has_a_shift() -> None:
    rng = np.random.default_rng(10)

    assert np.mean([bool(why.change_points(rng.normal(size=100)).points) for _ in range(300)]) < 0.1


@settings(deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=4, max_size=9), st.floats(0.5, 20))
def test_it_is_the_best_of_all_segmentations(values: list[int], penalty: float) -> None:
    series = np.array(values, dtype=float)
    changes = why.change_points(series, penalty=penalty, min_size=1)
    noise = why._noise(series)

    def cost(edges: tuple[int, ...]) -> float:
        parts = np.split(series, edges)
        return sum(float(((part - part.mean()) ** 2).sum()) for part in parts) / noise**2 + penalty * len(edges)

    every = [edges for k in range(len(values)) for edges in combinations(range(1, len(values)), k)]
    assert cost(tuple(point.index for point in changes.points)) == pytest.approx(min(map(cost, every)), abs=1e-6)


@pytest.mark.parametrize("series", [[], [1.0], [nan] * 50, [1.0, 9.0, inf, -inf]])
def test_too_few_points_have_no_change(series: list[float]) -> None:
    changes = why.change_points(series)

    assert (changes.points, changes.strongest, changes.validity) == ((), None, Validity.TOO_FEW_ROWS)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_a_constant_has_no_change_even_with_rounding_errors(constant: float) -> None:
    series = np.full(30, constant)
    series[::7] *= 1 + 2e-16

    assert why.change_points(series) == why.Changes()


def test_it_reads_the_newest_thousand_points_and_counts_from_the_first() -> None:
    series = np.r_[np.zeros(1200), np.ones(300)] + np.random.default_rng(1).normal(0, 0.1, 1500)

    assert [point.index for point in why.change_points(series).points] == [1200]


def test_it_reproduces_the_slice_score_of_the_methods() -> None:
    assert round(why.slice_score(0.3, 0.1, n=1000, size=100), 12) == 1.45


def test_the_whole_scores_zero_and_an_empty_slice_nothing() -> None:
    assert why.slice_score(0.1, 0.1, n=1000, size=1000) == 0
    assert isnan(why.slice_score(0.1, 0.1, n=1000, size=0))
    assert isnan(why.slice_score(0.1, 0.0, n=1000, size=10))
    assert isnan(why.slice_score(nan, 0.1, n=1000, size=10))
