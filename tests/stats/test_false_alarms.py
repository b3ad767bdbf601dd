"""How often drift is told when nothing happened, and how soon when something did. Long: `pytest tests/stats/test_false_alarms.py --long -s`."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from scipy.stats import f as f_distribution

from tests.conftest import Runs
from watchkeeper.stats.distances import chi_square, psi
from watchkeeper.stats.drift import SlowDrift, learn_spread, rank_p_value

REFERENCE, CLEAN, ROWS, BINS, FEATURES = 56, 90, 5000, 10, 50
ALPHA = 0.001
Counts = NDArray[np.int64]


def a_feature(chance: np.random.Generator, *, days: int, shift: float = 0.0, since: int = 0) -> Counts:
    """Days with day effects, Dirichlet(2000 p); from `since` on so much of the mass has moved from one bin to another."""
    p = np.full(BINS, 1 / BINS)
    moved = p + shift * np.array([1, -1, *[0] * (BINS - 2)])
    return np.array([chance.multinomial(ROWS, chance.dirichlet(2000 * (moved if day >= since else p))) for day in range(days)])


def alarms_of(counts: Counts) -> tuple[int, int]:
    """Alarm days of the calibrated test, and of mean + 3 SD of the reference days' PSI, on the same clean days."""
    reference, clean = counts[:REFERENCE], counts[REFERENCE:]
    total, spread = reference.sum(axis=0), learn_spread(reference)
    test = chi_square(total, clean)
    p = f_distribution.sf(test.statistic / (test.degrees * spread.phi), test.degrees, spread.degrees)
    usual = psi(total - reference, reference)
    return int((p < ALPHA).sum()), int((psi(total, clean) > usual.mean() + 3 * usual.std(ddof=1)).sum())


def rate_interval(alarms: int, days: int) -> tuple[float, float]:
    """95 % of alarms per feature-year (Clopper-Pearson)."""
    low, high = beta.ppf(0.025, alarms, days - alarms + 1) if alarms else 0.0, beta.ppf(0.975, alarms + 1, days - alarms)
    return 365 * float(low), 365 * float(high)


def test_clean_features_alarm_as_rarely_as_promised(runs: Runs) -> None:
    seeds = runs(4, 200)
    ours = theirs = 0
    for seed in range(seeds):
        chance = np.random.default_rng([7, seed])
        for _ in range(FEATURES):
            calibrated, three_sigma = alarms_of(a_feature(chance, days=REFERENCE + CLEAN))
            ours, theirs = ours + calibrated, theirs + three_sigma

    days = seeds * FEATURES * CLEAN
    (low, high), nominal = rate_interval(ours, days), 365 * ALPHA
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
    reference, later = counts[:REFERENCE], counts[REFERENCE:]
    total = reference.sum(axis=0)
    usual, seen = chi_square(total - reference, reference).statistic, chi_square(total, later).statistic
    state = SlowDrift()
    for day, statistic in enumerate(seen, start=1):
        state = state.after(rank_p_value(usual, float(statistic), u=chance.random()))
        if state.shiryaev_roberts >= 1000:
            return day
    return len(seen)
