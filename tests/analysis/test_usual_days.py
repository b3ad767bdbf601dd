"""How much days usually differ is learned of days that have not drifted, and holds for windows of any size."""

import numpy as np
import pytest

from watchkeeper.analysis.columns import ColumnHistory, Ints
from watchkeeper.analysis.drift import DriftLimits, column_drifts, usual_spread
from watchkeeper.analysis.examples import AGE, history, normal
from watchkeeper.analysis.shares import column_shares, nulls, out_of_range
from watchkeeper.telemetry.bins import OVER_MAXIMUM

COLUMN = AGE.name


def restless(days: int, *, rows: int = 2000, spread: float = 0.1, seed: int = 0, missing: float = 0.0) -> list[Ints]:
    """Days whose mean shifts by chance."""
    means = np.random.default_rng(seed).normal(0, spread, days)
    return [normal(rows, mean=float(mean), seed=1000 * seed + day, nulls=missing) for day, mean in enumerate(means)]


def released(*days: Ints) -> ColumnHistory:
    """A model that sent reference rows, and its days since."""
    return history(AGE, reference=normal(10_000, seed=99_999), days=list(days))


@pytest.mark.parametrize("quiet", [20, 22, 27])
@pytest.mark.parametrize("drifted", [1, 5, 9])
def test_drift_that_begins_weeks_after_release_is_told_every_day(quiet: int, drifted: int) -> None:
    later = [normal(20_000, mean=0.6, seed=500 + day) for day in range(drifted)]
    (drift,) = column_drifts(released(*restless(quiet, rows=20_000), *later), [COLUMN], DriftLimits())

    assert drift.test.verdict.fires


def test_drift_that_begins_in_the_second_week_is_told_once_it_is_known_how_much_days_differ() -> None:
    later = [normal(2000, mean=0.6, seed=500 + day) for day in range(14)]
    (drift,) = column_drifts(released(*restless(10), *later), [COLUMN], DriftLimits())

    assert drift.test.verdict.fires


def test_nulls_that_begin_weeks_after_release_are_told_every_day() -> None:
    later = [normal(2000, seed=500 + day, nulls=0.1) for day in range(8)]
    (share,) = column_shares(released(*restless(20, missing=0.01), *later), [COLUMN], nulls)

    assert share.p_value < 0.001


def test_days_without_reference_rows_are_the_reference_whatever_they_are() -> None:
    """A change among them is in the reference too: a day like either side is usual."""
    first = [*restless(14), *[normal(2000, mean=0.6, seed=500 + day) for day in range(14)]]
    (drift,) = column_drifts(history(AGE, reference=None, days=[*first, normal(2000, mean=0.6, seed=700)]), [COLUMN], DriftLimits())

    assert not drift.test.verdict.fires


def test_a_week_differs_as_much_as_its_days_though_it_has_more_rows() -> None:
    """The day effects of a week cancel as its rows add up: the same φ at seven times the rows."""
    column = released(*restless(29)).of(AGE)
    usual = column.coarse(column.counts[:28])
    day, week = usual_spread(column, usual, 1), usual_spread(column, usual, 7)

    assert week.rows == 7 * day.rows
    assert day.phi <= week.phi < 3 * day.phi


def test_one_outlier_among_forty_rows_says_nothing() -> None:
    usual, outlier = [normal(40, seed=day) for day in range(28)], np.arange(AGE.places) == OVER_MAXIMUM
    few, enough = (column_shares(released(*usual, normal(40 - count, seed=1000) + count * outlier), [COLUMN], out_of_range)[0] for count in (1, 5))

    assert (few.share, few.p_value) == (0.025, 1.0)
    assert enough.p_value < 0.001
