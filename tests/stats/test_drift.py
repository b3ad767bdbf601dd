"""The calibrated test on the cases of the method, and how often it is wrong when nothing happened."""

from math import nan

import numpy as np
import pytest

from watchkeeper.stats.distances import chi_square
from watchkeeper.stats.drift import UNKNOWN_SPREAD, SlowDrift, Spread, Verdict, f_sf, judge, learn_spread, rank_p_value, same_phase

KNOWN = Spread(1.0, 500.0, 56)


def days(count: int, *, rows: int = 5000, concentration: float = 2000, seed: int = 1, bins: int = 10) -> np.ndarray:
    """Days whose shares differ by themselves: Dirichlet day effects."""
    chance = np.random.default_rng(seed)
    return np.array([chance.multinomial(rows, chance.dirichlet(np.full(bins, concentration / bins))) for _ in range(count)])


def test_the_martingale_of_the_case() -> None:
    state, seen = SlowDrift(), []
    for p in (0.1, 0.05, 0.2, 0.9, 0.01):
        state = state.after(p)
        seen.append(round(state.martingale, 6))

    assert seen == [1.0, 1.1188, 1.286308, 0.971931, 1.168538]


def test_the_design_effect_is_learned() -> None:
    """Rows n with Dirichlet(A p) days: φ = 1 + (n - 1) / (A + 1) = 3.5."""
    learned = [learn_spread(days(56, seed=seed)).phi for seed in range(30)]

    assert np.mean(learned) == pytest.approx(3.5, rel=0.03)
    assert learn_spread(days(56, concentration=1e9)).phi == pytest.approx(1.0, abs=0.15)


def test_what_returns_every_week_is_no_spread() -> None:
    chance, p = np.random.default_rng(4), np.full(10, 0.1)
    weekend = np.roll(np.linspace(0.05, 0.15, 10), 3)
    windows = [chance.multinomial(5000, weekend if day % 7 > 4 else p) for day in range(56)]
    phases = [day % 7 for day in range(56)]

    assert learn_spread(windows).phi > 10
    assert learn_spread(windows, phases=phases).phi < 1.3
    assert same_phase(windows, phases, 6).sum() == 8 * 5000
    assert same_phase(windows, phases, 9).sum() == 56 * 5000


def test_false_alarms_over_ninety_clean_days_are_as_often_as_promised() -> None:
    """Nominal 90 × 0.001 = 0.09 a run; mean + 3 SD and the row-level test alarm in most runs (tests/faults/test_false_alarms.py prints them)."""
    alarms = 0
    for seed in range(100):
        reference, clean = np.split(days(146, seed=1000 + seed), [56])
        spread = learn_spread(reference)
        test = chi_square(reference.sum(axis=0), clean)
        alarms += any(f_sf(float(x), 9.0, spread) < 0.001 for x in test.statistic)

    assert alarms <= 20


def test_a_shift_that_is_big_and_significant_is_drift() -> None:
    reference = np.full(10, 1000)
    moved = np.array([1600, 1400, 1000, 1000, 1000, 1000, 1000, 1000, 600, 400])

    assert judge(reference, moved, KNOWN).verdict is Verdict.DRIFT
    assert judge(reference, moved, KNOWN, least_psi=0.5).verdict is Verdict.NONE
    assert judge(reference, moved, KNOWN, least_psi=0.5, distance=0.3).verdict is Verdict.DRIFT
    assert judge(reference, moved, KNOWN._replace(phi=200.0)).verdict is Verdict.INSUFFICIENT  # days that differ so much hide it
    assert judge(reference, moved, KNOWN, multiplicity=1e300).verdict is Verdict.NONE


def test_significant_and_small_is_no_drift() -> None:
    reference = np.full(10, 1_000_000)
    moved = reference + np.linspace(-20_000, 20_000, 10).astype(int)
    found = judge(reference, moved, KNOWN)

    assert (found.verdict, found.p_value < 1e-6) == (Verdict.NONE, True)


def test_what_stands_out_among_restless_days_is_told() -> None:
    """Days differ so much that a shift at the limit could hide; one far beyond them cannot."""
    far = judge(np.full(10, 1000), np.array([*[0] * 9, 5000]), KNOWN._replace(phi=100.0))

    assert (far.verdict, far.psi > 5) == (Verdict.DRIFT, True)


def test_too_few_rows_are_not_judged() -> None:
    assert judge(np.full(10, 1000), np.array([20, *[0] * 9]), KNOWN).verdict is Verdict.INSUFFICIENT
    assert judge(np.zeros(10), np.full(10, 5), KNOWN).verdict is Verdict.INSUFFICIENT
    assert judge(np.full(10, 5), np.zeros(10), KNOWN).verdict is Verdict.INSUFFICIENT


def test_before_the_spread_is_known_only_large_effects_are_told() -> None:
    reference = np.full(10, 1000)
    small, large = np.array([1500, *[1000] * 8, 500]), np.array([5000, 3000, *[1000] * 4, *[100] * 4])

    assert judge(reference, small, UNKNOWN_SPREAD).verdict is Verdict.PRELIMINARY
    assert judge(reference, large, UNKNOWN_SPREAD).verdict is Verdict.PRELIMINARY_DRIFT


@pytest.mark.parametrize("windows", [[], [[0, 0]], [[5, 0]], [[0, 0]] * 30, [[5, 5]]])
def test_odd_references_teach_nothing_and_break_nothing(windows: list[list[int]]) -> None:
    spread = learn_spread(np.array(windows).reshape(len(windows), 2))

    assert not spread.is_known
    assert spread.phi >= 1


def test_a_column_that_is_constant_on_both_sides_has_not_drifted() -> None:
    found = judge([5000, 0, 0], [4000, 0, 0], learn_spread([[100, 0, 0]] * 30), distance=nan)

    assert (found.verdict.fires, found.p_value, found.psi) == (False, 1.0, 0.0)


def test_conformal_p_values_are_uniform_when_nothing_changed() -> None:
    chance = np.random.default_rng(5)
    p = [rank_p_value(chance.normal(size=40), chance.normal(), u=chance.random()) for _ in range(4000)]

    assert np.histogram(p, np.linspace(0, 1, 11))[0] == pytest.approx(400, abs=80)
    assert rank_p_value([], 3.0, u=0.25) == 0.25


def test_slow_drift_is_found_though_no_day_stands_out() -> None:
    """A shift too small for any single day adds up."""
    chance, state, alarms = np.random.default_rng(6), SlowDrift(), 0
    reference = chance.normal(size=56)
    for _ in range(120):
        state = state.after(rank_p_value(reference, chance.normal(1.2), u=chance.random()))
        alarms += state.shiryaev_roberts >= 1000

    assert alarms > 0
