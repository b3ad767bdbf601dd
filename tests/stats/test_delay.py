"""Label delay: the curve, the nowcast and what makes a window mature."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from watchkeeper.stats import delay
from watchkeeper.stats.delay import DelayVerdict, Maturity
from watchkeeper.stats.result import Result, Validity

CHECK = delay.kaplan_meier([1, 2, 3, 4, 5, 6], [1, 2, 1, 0, 1, 0], predictions=[1, 2, 1, 1, 1, 1])
ALL_IN = Result(estimate=0.99, low=0.97, high=1.0, n=500)
STILL = Result(estimate=1.0, low=0.99, high=1.01, n=12)


def test_it_reproduces_the_curve_of_the_methods() -> None:
    assert (1 - CHECK.share).round(6).tolist() == [0.857143, 0.571429, 0.428571, 0.428571, 0.214286, 0.214286]
    assert round(float(np.sqrt(CHECK.variance[2])), 6) == 0.187044
    assert delay.delay_quantile(CHECK, 0.5) == 3
    assert CHECK.at_risk.tolist() == [7, 6, 4, 3, 2, 1]


def test_it_is_the_curve_of_scipy_with_its_log_log_interval() -> None:
    rng = np.random.default_rng(3)
    waits, ages = rng.integers(1, 40, 300), rng.integers(1, 60, 300)
    seen, has_label = np.minimum(waits, ages), waits <= ages
    days = np.arange(1, 60)

    curve = delay.kaplan_meier(days, [(has_label & (seen == d)).sum() for d in days], predictions=[(seen == d).sum() for d in days])

    oracle = stats.ecdf(stats.CensoredData(uncensored=seen[has_label], right=seen[~has_label])).sf
    with pytest.warns(RuntimeWarning, match="undefined at some"):  # at shares of 0 and 1, where ours is the binomial one
        interval = oracle.confidence_interval(method="log-log")
    np.testing.assert_allclose([delay.arrived_by(curve, d).estimate for d in oracle.quantiles], 1 - oracle.probabilities, atol=1e-12)
    inside = (oracle.probabilities > 0) & (oracle.probabilities < 1)
    lows = np.array([delay.arrived_by(curve, d).low for d in oracle.quantiles])
    np.testing.assert_allclose(lows[inside], 1 - interval.high.probabilities[inside], atol=1e-9)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200))
def test_it_is_the_empirical_distribution_when_every_label_is_there(waits: list[int]) -> None:
    days, counts = np.unique(waits, return_counts=True)

    curve = delay.kaplan_meier(days, counts, predictions=counts)

    np.testing.assert_allclose(curve.share, counts.cumsum() / counts.sum(), atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40))
def test_its_bounds_hold_the_share_and_the_share_never_falls(counts: list[tuple[int, int]]) -> None:
    arrivals = [arrived for arrived, _ in counts]
    curve = delay.kaplan_meier(range(len(counts)), arrivals, predictions=[arrived + waiting for arrived, waiting in counts])

    assert (np.diff(curve.share) >= -1e-12).all()
    assert (curve.low <= curve.share + 1e-9).all()
    assert (curve.share <= curve.high + 1e-9).all()
    assert ((curve.low >= 0) & (curve.high <= 1)).all()


def test_it_sorts_and_merges_delays_that_come_twice_and_drops_what_is_no_number() -> None:
    mixed = delay.kaplan_meier([3, 1, 2, 2, nan, inf, 4], [1, 1, 1, 1, 5, 5, nan], predictions=[4, 1, 1, 1, 5, 5, 3])
    plain = delay.kaplan_meier([1, 2, 3], [1, 2, 1], predictions=[1, 2, 4])

    np.testing.assert_array_equal(mixed.share, plain.share)


@pytest.mark.parametrize("nothing", [([], [], []), ([1, 2], [0, 0], [0, 0]), ([nan], [1], [1]), ([1], [-3], [-1])])
def test_it_says_so_when_there_are_no_predictions(nothing: tuple[list[float], list[float], list[float]]) -> None:
    curve = delay.kaplan_meier(nothing[0], nothing[1], predictions=nothing[2])

    assert curve.n == 0
    assert delay.arrived_by(curve, 3).validity is Validity.TOO_FEW_ROWS
    assert delay.never_labelled(curve).validity is Validity.TOO_FEW_ROWS
    assert isnan(delay.delay_quantile(curve, 0.5))


def test_one_labelled_row_does_not_make_a_window_look_complete() -> None:
    share = delay.arrived_by(delay.kaplan_meier([1], [1], predictions=[1]), 1)

    assert (share.estimate, share.validity) == (1.0, Validity.TOO_FEW_ROWS)
    assert share.low == pytest.approx(stats.binomtest(1, 1).proportion_ci().low)


def test_a_thousand_labelled_rows_have_the_exact_binomial_bound() -> None:
    share = delay.arrived_by(delay.kaplan_meier([1], [1000], predictions=[1000]), 1)

    assert share.low == pytest.approx(stats.binomtest(1000, 1000).proportion_ci().low)
    assert share.is_ok


def test_before_the_first_label_the_upper_bound_is_the_exact_binomial_one() -> None:
    waiting = delay.arrived_by(delay.kaplan_meier([1, 5], [0, 0], predictions=[0, 50]), 1)

    assert (waiting.estimate, waiting.low) == (0.0, 0.0)
    assert waiting.high == pytest.approx(stats.binomtest(0, 50).proportion_ci().high)
    assert delay.arrived_by(CHECK, 0.5).estimate == 0


def test_beyond_the_curve_the_share_is_preliminary() -> None:
    beyond = delay.arrived_by(CHECK, 100)

    assert (beyond.validity, beyond.high) == (Validity.PRELIMINARY, 1.0)
    assert delay.arrived_by(CHECK, nan).validity is Validity.UNDEFINED
    assert delay.arrived_by(CHECK, inf).validity is Validity.PRELIMINARY


def test_a_quantile_that_is_not_reached_is_nan() -> None:
    assert isnan(delay.delay_quantile(CHECK, 0.9))


def test_it_finds_the_share_that_never_gets_a_label() -> None:
    curve = delay.kaplan_meier([1, 2, 3, 20], [400, 200, 100, 0], predictions=[400, 200, 100, 300])

    never = delay.never_labelled(curve)

    assert never.is_ok
    assert never.estimate == pytest.approx(0.3)
    assert never.low < 0.3 < never.high


@pytest.mark.parametrize(
    ("arrivals", "waiting"),
    [([400, 200, 100, 10], 290), ([400, 200, 100, 0], 20), ([0, 0, 0, 0], 300)],
    ids=["labels still come", "too few wait", "none came yet"],
)
def test_it_tells_no_plateau_before_the_curve_is_flat(arrivals: list[int], waiting: int) -> None:
    predictions = [*arrivals[:3], arrivals[3] + waiting]

    never = delay.never_labelled(delay.kaplan_meier([1, 2, 3, 20], arrivals, predictions=predictions))

    assert never.validity is Validity.IMMATURE_LABELS
    assert isnan(never.estimate)


def test_no_row_stays_without_label_when_all_have_one() -> None:
    assert delay.never_labelled(delay.kaplan_meier([1, 2], [50, 50], predictions=[50, 50])).estimate == 0


def test_it_reproduces_the_chain_ladder_of_the_methods() -> None:
    ladder = delay.chain_ladder([[50, 30, 15, 5], [60, 36, 18], [40, 24], [55]])

    assert ladder.factors.round(6).tolist() == [1.6, 1.1875, 1.052632]
    assert ladder.cdf.round(6).tolist() == [0.5, 0.8, 0.95, 1.0]
    assert ladder.ultimates.round(6).tolist() == [100, 120, 80, 110]
    assert ladder.validity is Validity.OK


@pytest.mark.parametrize("triangle", [[], [[]], [[nan, nan]], [[inf]]])
def test_an_empty_triangle_has_too_few_rows(triangle: list[list[float]]) -> None:
    assert delay.chain_ladder(triangle).validity is Validity.TOO_FEW_ROWS


def test_a_factor_of_no_labels_is_undefined() -> None:
    ladder = delay.chain_ladder([[0, 3, 1], [0, 2], [4]])

    assert ladder.validity is Validity.UNDEFINED
    assert ladder.ultimates[:2].round(6).tolist() == [4.0, 2.666667]
    assert isnan(ladder.ultimates[2])


def test_a_triangle_padded_with_nan_is_the_ragged_one() -> None:
    padded = delay.chain_ladder([[50, 30, 15], [60, 36, nan], [40, nan, nan]])
    ragged = delay.chain_ladder([[50, 30, 15], [60, 36], [40]])

    np.testing.assert_array_equal(padded.ultimates, ragged.ultimates)


def test_it_reproduces_the_nowcast_of_the_methods() -> None:
    losses = np.array([0.0, 0.3, 0.2, 0.1, 0.4])

    result = delay.nowcast(losses, [0, 1, 1, 1, 1], loss_squares=losses**2, shares=[0.2, 0.4, 0.6, 0.8, 1.0])

    assert round(result.estimate, 6) == 0.250649
    assert (result.n, result.validity) == (4, Validity.TOO_FEW_ROWS)
    assert result.low < result.estimate < result.high
    assert result.n_effective < 4


def test_the_nowcast_of_complete_labels_is_their_mean() -> None:
    losses = np.random.default_rng(1).exponential(size=400)

    result = delay.nowcast(losses, np.ones(400), loss_squares=losses**2, shares=np.ones(400))

    assert result.is_ok
    assert result.estimate == pytest.approx(losses.mean())
    assert result.n_effective == pytest.approx(400)
    assert result.high - result.estimate == pytest.approx(1.959964 * losses.std() / 20, rel=1e-6)


def test_the_interval_of_the_nowcast_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    shares = np.array([0.2, 0.5, 0.9])
    hits = 0
    for _ in range(400):
        is_bad, arrived = rng.random((3, 300)) < [[0.4], [0.2], [0.1]], rng.random((3, 300)) < shares[:, None]
        bad = (is_bad & arrived).sum(axis=1)
        result = delay.nowcast(bad, arrived.sum(axis=1), loss_squares=bad, shares=shares)
        hits += result.low <= 0.7 / 3 <= result.high

    assert hits / 400 > 0.93


def test_a_nowcast_without_labels_is_immature() -> None:
    assert delay.nowcast([], [], loss_squares=[], shares=[]).validity is Validity.IMMATURE_LABELS
    assert delay.nowcast([0.0], [0], loss_squares=[0.0], shares=[0.0]).validity is Validity.IMMATURE_LABELS


@pytest.mark.parametrize(("loss", "share"), [(5.0, 0.0), (5.0, nan), (nan, 1.0), (inf, 1.0), (5.0, 0.01)])
def test_a_nowcast_that_leaves_rows_out_is_preliminary(loss: float, share: float) -> None:
    result = delay.nowcast([20.0, loss], [40, 10], loss_squares=[20.0, loss], shares=[0.8, share])

    assert (result.estimate, result.n, result.validity) == (0.5, 40, Validity.PRELIMINARY)


def test_the_development_of_a_metric_has_a_spread() -> None:
    early, final = delay.development_factors([[0.8, 1.0], [0.9, 1.0], [1.0, 2.0], [1.0, nan], [1.0, 0.0]])

    assert early.estimate == pytest.approx((0.8 + 0.9 + 0.5) / 3)
    assert early.n == 3
    assert early.low < 0.5
    assert (final.estimate, final.low, final.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("cohorts", [[], [[nan, nan]], [[0.5, 1.0]], [[0.5, 0.0], [0.5, inf]]])
def test_a_development_of_less_than_two_cohorts_is_not_told(cohorts: list[list[float]]) -> None:
    for factor in delay.development_factors(cohorts):
        assert factor.validity is Validity.TOO_FEW_ROWS
        assert isnan(factor.estimate)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (Maturity.MATURE, {}),
        (Maturity.PRELIMINARY, {"arrived": replace(ALL_IN, low=0.93)}),
        (Maturity.IMMATURE, {"arrived": replace(ALL_IN, low=0.89)}),
        (Maturity.IMMATURE, {"arrived": Result.missing(Validity.TOO_FEW_ROWS, n=0)}),
        (Maturity.TOO_FEW_LABELS, {"n_labelled": 99}),
        (Maturity.UNSTABLE, {"development": replace(STILL, high=1.03)}),
        (Maturity.PRELIMINARY, {"development": Result.missing(Validity.TOO_FEW_ROWS, n=1)}),
        (Maturity.PRELIMINARY, {"margin": nan}),
    ],
)
def test_a_window_is_mature_only_if_all_three_hold(reason: Maturity, changes: dict[str, object]) -> None:
    given_: dict[str, object] = {"arrived": ALL_IN, "development": STILL, "n_labelled": 100, "min_labels": 100, "margin": 0.05}

    assert delay.maturity(**(given_ | changes)) is reason  # type: ignore[arg-type]  # one table of arguments of different types
    assert reason.is_mature == (reason == "mature")


def test_it_reproduces_the_delay_ratio_of_the_methods() -> None:
    ratio = delay.delay_ratio(45, 180, window=14)

    assert round(ratio, 3) == 0.289
    assert delay.delay_verdict(ratio) is DelayVerdict.MEDIUM


@pytest.mark.parametrize(
    ("q90", "half_life", "verdict"),
    [(0, 28, "fast"), (1, inf, "fast"), (20, 10, "slow"), (1, 0, "slow"), (inf, 10, "slow"), (nan, 10, "unknown"), (inf, inf, "unknown")],
)
def test_it_calls_labels_fast_or_slow_by_how_soon_the_model_ages(q90: float, half_life: float, verdict: str) -> None:
    assert delay.delay_verdict(delay.delay_ratio(q90, half_life, window=14)) == verdict
