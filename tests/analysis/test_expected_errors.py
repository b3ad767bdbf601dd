"""The error of a regression told before its labels: against the labels revealed later, against trees fitted on the same rows, and where nothing is told."""

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from watchkeeper.analysis.error_examples import error_history, errors_of_day
from watchkeeper.analysis.estimates import NotEstimated
from watchkeeper.analysis.expected_errors import LOSSES, ErrorDays, ErrorEstimator, ErrorHistory, error_estimator_for, error_estimator_of
from watchkeeper.analysis.metrics import METRICS
from watchkeeper.analysis.outcome_examples import bucket_of, day_back, outcome_history
from watchkeeper.stats.estimated import Trust
from watchkeeper.stats.result import Validity
from watchkeeper.stats.scores import Floats
from watchkeeper.telemetry.bins import ColumnBins, make_bins
from watchkeeper.telemetry.outcome_queries import NUMBER_SUMS, UNKNOWN, OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes
from watchkeeper.telemetry.relations import pack_relations, sum_errors, unpack_errors

RMSE, MAE = "root_mean_squared_error", "mean_absolute_error"
DELAY = 10.0
Day = tuple[Floats, Floats]  # predictions and labels


def day_of(seed: int, *, rows: int = 800, shift: float = 0.0, noise: float = 0.1) -> Day:
    """The spread of errors grows with the prediction; the mean prediction moves from day to day."""
    rng = np.random.default_rng(seed)
    said = rng.normal(50 + shift + rng.normal(0, 2), 10, rows)
    return said, said + noise * np.abs(said) * rng.normal(size=rows)


def counted(column: ColumnBins, day: Day, *, labelled: bool) -> Floats:
    said, y = day
    table = pa.table({"said": said, "y": y if labelled else np.full(len(said), math.nan)})
    (sums,) = sum_errors(column, table, np.zeros(len(said), dtype=np.int64), 1)
    return unpack_errors(column, pack_relations(sums))


def outcomes_of(back: int, day: Day, *, labelled: bool) -> DayOutcomes:
    said, y = day
    known = np.isfinite(said) & np.isfinite(y) & labelled
    e = said[known] - y[known]
    sums = {"n": e.size, "error": e.sum(), "error_2": (e**2).sum(), "error_4": (e**4).sum(), "absolute": np.abs(e).sum()}
    return DayOutcomes(
        version="1",
        day=day_back(back),
        field="",
        segment="",
        rows=len(said),
        labelled=len(said) if labelled else 0,
        cells=np.array([[sums.get(name, 0.0) for name in NUMBER_SUMS]]),
        delays=np.array([[UNKNOWN, bucket_of(DELAY), len(said)]] if labelled else np.zeros((0, 3))),
    )


def history_of(days: Sequence[Day], column: ColumnBins | None = None) -> ErrorHistory:
    """Days up to yesterday, the oldest first; the labels of the last nine are not there yet."""
    backs = range(len(days), 0, -1)
    column = column or make_bins(pa.table({"prediction": np.concatenate([said for said, _ in days[:28]])})).columns[0]
    outcomes = outcome_history(
        [outcomes_of(back, day, labelled=back >= DELAY) for back, day in zip(backs, days, strict=True)], kind=OutcomeKind.NUMBERS
    )
    sums = {day_back(back): counted(column, day, labelled=back >= DELAY) for back, day in zip(backs, days, strict=True)}
    return ErrorHistory(now=outcomes.now, kind=outcomes.kind, days=outcomes.days, ends=outcomes.ends, errors=ErrorDays(column=column, sums=sums))


def estimator_of(days: Sequence[Day], column: ColumnBins | None = None) -> ErrorEstimator:
    history = history_of(days, column)
    estimator = error_estimator_of(history, history.errors)
    assert estimator
    return estimator


def realised(days: Sequence[Day], metric: str) -> float:
    e = np.concatenate([said - y for said, y in days])
    return float(np.sqrt((e**2).mean()) if metric == RMSE else np.abs(e).mean())


@pytest.mark.parametrize("metric", [RMSE, MAE])
def test_the_labels_revealed_later_lie_within_the_band_of_shifted_days(metric):
    held, ours, trees = [], [], []
    for seed in range(8):
        usual = [day_of(1000 * seed + n) for n in range(40)]
        shifted = [day_of(1000 * seed + 500 + n, shift=10) for n in range(5)]
        estimator = estimator_of([*usual, *shifted])
        learned = usual[:28]
        losses = np.concatenate([(said - y) ** 2 if metric == RMSE else np.abs(said - y) for said, y in learned])
        fitted = HistGradientBoostingRegressor(random_state=0).fit(np.concatenate([said for said, _ in learned])[:, None], losses)

        for back, day in zip(range(5, 0, -1), shifted, strict=True):
            told, truth = estimator.estimate(metric, [day_back(back)]), realised([day], metric)
            by_trees = float(fitted.predict(day[0][:, None]).mean())
            held.append(told.low <= truth <= told.high)
            ours.append(told.estimate / truth - 1)
            trees.append((math.sqrt(by_trees) if metric == RMSE else by_trees) / truth - 1)

    assert realised(shifted, metric) > 1.15 * realised(usual, metric)
    assert np.mean(held) >= 0.85  # of 95 % where days are like those of the reference
    assert abs(np.mean(ours)) < 0.02
    assert np.sqrt(np.mean(np.square(ours))) < 1.1 * np.sqrt(np.mean(np.square(trees)))


def test_days_like_those_of_the_reference_are_held_as_often_as_the_band_says():
    held = []
    for seed in range(12):
        estimator = estimator_of(days := [day_of(1000 * seed + n, rows=300) for n in range(60)])
        for back in range(32, 0, -1):
            told = estimator.estimate(RMSE, [day_back(back)])
            held.append(told.low <= realised([days[-back]], RMSE) <= told.high)

    assert 0.93 <= np.mean(held) <= 0.99


def test_the_band_of_a_week_is_wide_enough():
    estimator = estimator_of([day_of(n) for n in range(80)])

    assert estimator.latest(RMSE, window=7).record.coverage == 1.0
    assert estimator.trust(RMSE, window=7) is Trust.TRUSTED
    assert estimator.latest(RMSE, window=7).labels == 28 * 800


def test_after_the_errors_changed_by_themselves_two_misses_make_it_distrusted():
    usual, changed = [day_of(n) for n in range(42)], [day_of(100 + n, noise=0.2) for n in range(30)]
    estimator = estimator_of([*usual, *changed])

    tested = estimator.tested(RMSE, window=7)

    assert [entry.is_hit for entry in tested] == [True, True, False, False]
    assert estimator.trust(RMSE, window=7) is estimator.latest(RMSE, window=1).record.trust is Trust.DISTRUSTED
    assert estimator_of([*usual, *changed, *usual]).trust(RMSE, window=7) is Trust.TRUSTED


def test_the_truth_it_is_tested_by_is_the_metric_itself():
    estimator = estimator_of([day_of(n) for n in range(60)])
    metrics = {metric.name: metric for metric in METRICS[OutcomeKind.NUMBERS]}

    for name in LOSSES:
        for entry in estimator.tested(name, window=7):
            days = [day for day in estimator.history.by_day if entry.first <= day <= entry.last]
            assert entry.truth == metrics[name].compute(estimator.history.of(days))


def test_predictions_beyond_the_reference_are_out_of_its_support():
    usual = [day_of(n) for n in range(40)]

    assert estimator_of([*usual, day_of(99, shift=60)]).estimate(RMSE, [day_back(1)]).validity is Validity.OUT_OF_SUPPORT
    assert estimator_of([*usual, day_of(99, shift=10)]).estimate(RMSE, [day_back(1)]).is_ok


@pytest.mark.parametrize(
    ("said", "validity", "n"),
    [
        ([], Validity.TOO_FEW_ROWS, 0),
        ([50.0], Validity.TOO_FEW_ROWS, 1),
        ([math.nan] * 50, Validity.TOO_FEW_ROWS, 0),
        ([math.inf, -math.inf, 1e300] * 50, Validity.TOO_FEW_ROWS, 0),
        ([50.0] * 100, Validity.OK, 100),
        ([*[50.0] * 100, math.inf, math.nan], Validity.OK, 100),
    ],
    ids=["no rows", "one row", "all null", "infinite", "constant", "some are no numbers"],
)
def test_a_day_of_odd_predictions(said, validity, n):
    odd = np.array(said, dtype=float)
    estimator = estimator_of([*(day_of(n) for n in range(40)), (odd, odd)])

    told = estimator.estimate(RMSE, [day_back(1)])

    assert (told.validity, told.n) == (validity, n)
    assert math.isfinite(told.estimate) == (n > 1)


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        ([], NotEstimated.NOT_LEARNED),
        ([day_of(n) for n in range(32)], NotEstimated.NOT_LEARNED),
        ([(np.full(300, 7.0), np.random.default_rng(n).normal(7, 1, 300)) for n in range(50)], NotEstimated.NO_BETTER),
        ([(np.full(300, 7.0), np.full(300, 7.0)) for _ in range(50)], NotEstimated.NO_BETTER),
        ([(np.full(300, math.nan), np.full(300, 7.0)) for _ in range(50)], NotEstimated.NO_BETTER),
        ([(np.full(300, math.inf), np.full(300, 7.0)) for _ in range(50)], NotEstimated.NO_BETTER),
        ([(np.full(1, float(n)), np.full(1, 7.0)) for n in range(50)], NotEstimated.NO_BETTER),
    ],
    ids=["no days", "22 mature days", "constant", "never wrong", "all null", "infinite", "one row a day"],
)
def test_why_nothing_is_estimated(days, reason):
    column = make_bins(pa.table({"prediction": np.linspace(0, 100, 1000)})).columns[0]
    history = history_of(days, column) if days else error_history([])

    assert error_estimator_for(history, history.errors, RMSE) is reason


def test_a_metric_that_predictions_do_not_tell_and_days_that_are_not_counted_have_no_estimate():
    history = error_history([errors_of_day(back, mean=50 + back % 7) for back in range(1, 60)])

    assert error_estimator_for(history, history.errors, "bias") is NotEstimated.NOT_TOLD_BY_PREDICTIONS
    assert error_estimator_for(history, ErrorDays(), RMSE) is NotEstimated.NOT_LEARNED
    assert error_estimator_for(outcome_history([], kind=OutcomeKind.CLASSES), ErrorDays(), "accuracy") is NotEstimated.NOT_BINARY


def test_days_not_counted_yet_are_left_out():
    history = history_of([day_of(n) for n in range(50)])
    counted_days = {day: sums for day, sums in history.errors.sums.items() if day != day_back(1)}
    estimator = error_estimator_of(history, ErrorDays(column=history.errors.column, sums=counted_days))
    assert estimator

    assert estimator.estimate(RMSE, [day_back(1)]).validity is Validity.TOO_FEW_ROWS
    assert estimator.estimate(RMSE, [day_back(2), day_back(1)]) == estimator.estimate(RMSE, [day_back(2)])
