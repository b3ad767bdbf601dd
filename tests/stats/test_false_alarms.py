"""How often drift is told when nothing happened, and how soon when something did. Long: `pytest tests/stats/test_false_alarms.py --long -s`."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta, norm

from tests.conftest import Runs
from watchkeeper.stats.distances import chi_square, psi
from watchkeeper.stats.drift import SlowDrift, effective_rows, law_of, learn_spread, rank_p_values, unlikeness

REFERENCE, CLEAN, ROWS, BINS, FEATURES = 56, 90, 5000, 10, 50
LEARNED, SHOWN = 28, 10_000  # days that tell how much days differ, and reference rows that were sent
ALPHA = 0.001
DAYS_BETWEEN = 1000
Counts = NDArray[np.int64]
Effect = Callable[[np.random.Generator, int], NDArray[np.float64]]  # shares of so many days


def a_feature(chance: np.random.Generator, *, days: int, shift: float = 0.0, since: int = 0) -> Counts:
    """Days with day effects, Dirichlet(2000 p); from `since` on so much of the mass has moved from one bin to another."""
    p = np.full(BINS, 1 / BINS)
    moved = p + shift * np.array([1, -1, *[0] * (BINS - 2)])
    return np.array([chance.multinomial(ROWS, chance.dirichlet(2000 * (moved if day >= since else p))) for day in range(days)])


def alarms_of(counts: Counts) -> tuple[int, int]:
    """Alarm days of the calibrated test, and of mean + 3 SD of the reference days' PSI, on the same clean days."""
    reference, clean = counts[:REFERENCE], counts[REFERENCE:]
    total = reference.sum(axis=0)
    usual = psi(total - reference, reference)
    return _significant(total, reference, clean), int((psi(total, clean) > usual.mean() + 3 * usual.std(ddof=1)).sum())


def _significant(reference: Counts, learned: Counts, clean: Counts) -> int:
    """How many of the clean days, all of one size, are significantly unlike the reference."""
    test, spread = chi_square(reference, clean), learn_spread(learned)
    law = law_of(float(test.degrees[0]), spread, rows=float(effective_rows(reference.sum(), clean[0].sum())))
    return int((law.sf(test.statistic) < ALPHA).sum())


def by_itself(concentration: float) -> Effect:
    """Every bin moves by itself: Dirichlet day effects."""
    return lambda chance, days: chance.dirichlet(np.full(BINS, concentration / BINS), days)


def shifts(spread: float) -> Effect:
    """The mean of a normal feature moves from day to day, by so many of its standard deviations."""
    edges = norm.ppf(np.arange(1, BINS) / BINS)
    return lambda chance, days: np.diff(norm.cdf(edges - chance.normal(0, spread, (days, 1))), prepend=0.0, append=1.0, axis=1)


EFFECTS = {
    "none": by_itself(1e9),
    "bins by themselves, φ 1.2 at 2,000 rows": by_itself(10_000),
    "bins by themselves, φ 2.0": by_itself(2000),
    "mean shifts, SD 0.05": shifts(0.05),
    "mean shifts, SD 0.1": shifts(0.1),
    "mean shifts, SD 0.2": shifts(0.2),
}


@pytest.mark.parametrize("rows", [2000, 20_000, 200], ids=["as many rows", "ten times the rows", "a tenth of the rows"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_clean_days_are_significant_as_rarely_as_promised(effect: str, rows: int, runs: Runs) -> None:
    """Whatever days differ by, and when traffic changes: learned from 28 days of 2,000 rows, judged against 10,000 rows that were sent."""
    seeds, shares, found = runs(40, 2000), EFFECTS[effect], 0
    for seed in range(seeds):
        chance = np.random.default_rng([9, seed])
        sent = chance.multinomial(SHOWN, shares(chance, 365).mean(axis=0))
        found += _significant(sent, chance.multinomial(2000, shares(chance, LEARNED)), chance.multinomial(rows, shares(chance, CLEAN)))

    rate, (low, high) = found / (seeds * CLEAN), interval(found, seeds * CLEAN)
    print(f"day effect: {effect}; judged at {rows} rows: {rate:.4f} of clean days are significant [{low:.4f}, {high:.4f}], nominal {ALPHA}")
    assert low <= 3 * ALPHA
    assert seeds < 2000 or high <= 5 * ALPHA


def interval(alarms: int, days: int) -> tuple[float, float]:
    """95 % of alarms per day (Clopper-Pearson)."""
    return float(beta.ppf(0.025, alarms, days - alarms + 1)) if alarms else 0.0, float(beta.ppf(0.975, alarms + 1, days - alarms))


def test_clean_features_alarm_as_rarely_as_promised(runs: Runs) -> None:
    seeds = runs(4, 200)
    ours = theirs = 0
    for seed in range(seeds):
        chance = np.random.default_rng([7, seed])
        for _ in range(FEATURES):
            calibrated, three_sigma = alarms_of(a_feature(chance, days=REFERENCE + CLEAN))
            ours, theirs = ours + calibrated, theirs + three_sigma

    days = seeds * FEATURES * CLEAN
    low, high = (365 * bound for bound in interval(ours, days))
    nominal = 365 * ALPHA
    print(
        f"{seeds} seeds x {FEATURES} features x {CLEAN} clean days: {ours * 365 / days:.3f} alarms per feature-year [{low:.3f}, {high:.3f}], "
        f"nominal {nominal:.3f}; mean + 3 SD {theirs * 365 / days:.2f}"
    )
    assert low <= 1.5 * nominal
    assert seeds < 200 or high <= 1.5 * nominal
    assert theirs > 3 * ours


def test_small_lasting_shifts_are_found_in_weeks(runs: Runs) -> None:
    """A shift of one or two points of mass is too small for any single day; the sequential test adds the days up."""
    seeds, median = runs(15, 200), {}
    for shift in (0.01, 0.02):
        delays = []
        for seed in range(seeds):
            chance = np.random.default_rng([8, seed])
            counts = a_feature(chance, days=REFERENCE + 365, shift=shift, since=REFERENCE)
            delays.append(_delay(counts, chance))
        median[shift] = float(np.median(delays))
        print(
            f"{100 * shift:.0f} point(s) of mass: found after {median[shift]:.0f} days in the median, {np.quantile(delays, 0.9):.0f} in nine of ten"
        )

    assert median[0.02] <= 30
    assert median[0.01] <= 90


def _delay(counts: Counts, chance: np.random.Generator) -> int:
    return _found(counts[:REFERENCE], counts[REFERENCE:], chance) or len(counts) - REFERENCE


def _found(usual: Counts, later: Counts, chance: np.random.Generator) -> int:
    """The day on which slow drift is told; 0 if never."""
    known, seen = unlikeness(usual, later)
    state = SlowDrift.of_larger_differences()
    for day, unlike in enumerate(seen, start=1):
        state = state.after(float(rank_p_values(known, unlike, u=chance.random())))
        if state.shiryaev_roberts >= DAYS_BETWEEN:
            return day
    return 0


@pytest.mark.parametrize("rows", [2000, 20_000, 200], ids=["as many rows", "ten times the rows", "a tenth of the rows"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_slow_drift_is_not_told_because_traffic_changed(effect: str, rows: int, runs: Runs) -> None:
    """Learned from 28 days of 2,000 rows. By chance an alarm comes once in a thousand days, so to nine of a hundred columns in ninety.

    Ten times the rows and every bin moving by itself: what the first days were off by counts each day anew, a quarter to a third alarm.
    """
    seeds, shares, found = runs(40, 1000), EFFECTS[effect], 0
    for seed in range(seeds):
        chance = np.random.default_rng([11, seed])
        usual, later = (chance.multinomial(size, shares(chance, days)) for size, days in ((2000, LEARNED), (rows, CLEAN)))
        found += bool(_found(usual, later, chance))

    low, high = interval(found, seeds)
    print(f"day effect: {effect}; judged at {rows} rows: {found / seeds:.3f} of clean columns alarm in {CLEAN} days [{low:.3f}, {high:.3f}]")
    is_hard = rows > 2000 and "by themselves" in effect
    assert low <= (0.35 if is_hard else 1.5 * CLEAN / DAYS_BETWEEN)
