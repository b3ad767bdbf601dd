"""Windows of an hour: each is compared with the same hour of the first week, as often by chance as promised."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tests.conftest import Runs
from watchkeeper.analysis.columns import LEARN_PARTS, OWN_AFTER, PARTS_BACK, ColumnHistory
from watchkeeper.analysis.drift import DriftLimits, column_drifts, drift_of, psi_by_day
from watchkeeper.telemetry.bins import ColumnBins, ColumnCounts, Layout
from watchkeeper.telemetry.days import Cut

LEVELS = ColumnBins(name="f.shop", kind="category", levels=tuple("abcdefghij"))
FIRST, START = date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)
ALPHA = 0.001


def hours(counts, *, reference=None):
    """Hours one after the other from midnight on."""
    total = len(counts)
    return ColumnHistory(
        now=START + timedelta(hours=total),
        layout=Layout((LEVELS,)),
        reference=reference,
        cut=Cut.HOUR,
        days=tuple(FIRST + timedelta(days=n // 24) for n in range(total)),
        parts=tuple(f"{n % 24:02}:00" for n in range(total)),
        ends=tuple(START + timedelta(hours=n + 1) for n in range(total)),
        rows=counts.sum(axis=1),
        counts=counts,
        sums=np.zeros((total, 1, 2)),
    )


def some_hours(chance, total, rows, concentration=None):
    """Each hour of the day has shares of its own; with a concentration, hours differ beyond that."""
    usual = chance.dirichlet(np.full(10, 5.0), size=24)
    counts = np.zeros((total, LEVELS.places), dtype=np.int64)
    for place in range(total):
        shares = usual[place % 24] if concentration is None else chance.dirichlet(concentration * usual[place % 24])
        counts[place, :10] = chance.multinomial(rows, shares)
    return counts


@pytest.mark.parametrize(("rows", "concentration"), [(200, None), (200, 500), (1000, 500), (1000, 2000)])
def test_clean_hours_are_significant_as_often_as_promised(rows, concentration, runs: Runs):
    seeds, found, judged = runs(1, 40), 0, 0
    for seed in range(seeds):
        whole = hours(some_hours(np.random.default_rng(seed), LEARN_PARTS + PARTS_BACK, rows, concentration))
        for end in whole.ends[LEARN_PARTS :: 1 if seeds > 1 else 7]:
            test = drift_of(whole.at(end).of(LEVELS), DriftLimits(alpha=ALPHA))
            found, judged = found + (test.p_value < ALPHA), judged + 1

    print(f"{rows} rows an hour, concentration {concentration}: {found} of {judged} clean hours significant, {found / judged:.4f}; promised {ALPHA}")
    assert found <= max(3, 3 * ALPHA * judged)


def test_training_rows_are_the_reference_until_a_week_is_known():
    chance = np.random.default_rng(1)
    counts = some_hours(chance, LEARN_PARTS + OWN_AFTER, 500)
    everywhere = ColumnCounts(50_000, chance.multinomial(50_000, np.r_[np.full(10, 0.1), 0, 0, 0]), np.zeros((1, 2)))

    early, later = (hours(counts[:total], reference=everywhere) for total in (LEARN_PARTS + OWN_AFTER - 1, LEARN_PARTS + OWN_AFTER))

    assert early.of(LEVELS).has_reference
    assert not later.of(LEVELS).has_reference
    assert [drift.test.verdict.fires for drift in column_drifts(later, ["f.shop"], DriftLimits())] == [False]


def test_a_view_of_the_past_keeps_the_first_week_and_the_last_two():
    counts = some_hours(np.random.default_rng(2), 800, 50)

    seen = hours(counts).at(START + timedelta(hours=700))

    assert len(seen.days) == LEARN_PARTS + PARTS_BACK
    assert seen.names[0] == "2026-01-01 00:00"
    assert seen.ends[-1] == START + timedelta(hours=700)
    assert seen.names[-1] == "2026-01-30 03:00"


def test_charts_compare_each_hour_with_what_it_is_judged_by():
    counts = some_hours(np.random.default_rng(3), LEARN_PARTS + 30, 2000)
    column = hours(counts).of(LEVELS)

    drawn, judged = psi_by_day(column), drift_of(column, DriftLimits())

    assert drawn[-1] == pytest.approx(judged.psi)
    assert drawn.max() < 0.05
    assert column.compared(1)[0].sum() == 7 * 2000
    assert column.compared(2)[0].sum() == LEARN_PARTS * 2000


def test_a_clock_that_was_put_back_in_the_first_week_changes_nothing():
    counts = some_hours(np.random.default_rng(5), LEARN_PARTS + 30, 500)
    usual = hours(counts)
    marked = replace(usual, parts=tuple("02:00 (2)" if place == 51 else part for place, part in enumerate(usual.parts)))

    one, other = (drift_of(history.of(LEVELS), DriftLimits()) for history in (usual, marked))

    assert min(one.p_value, other.p_value) > ALPHA
    assert max(one.psi, other.psi) < 0.05
