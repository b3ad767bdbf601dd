"""The calibrated test on the cases of the method, and how often it is wrong when nothing happened."""

from math import nan

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as f_distribution
from scipy.stats import norm

from watchkeeper.stats.distances import chi_square
from watchkeeper.stats.drift import (
    UNKNOWN_SPREAD,
    SlowDrift,
    Spread,
    Verdict,
    change_of,
    effective_rows,
    judge,
    judge_all,
    law_of,
    learn_spread,
    rank_p_values,
    same_phase,
    side_by_side,
    unlikeness,
)

KNOWN = Spread(1.0, 9.0, 5000.0, 55.0, 56)
INNER = norm.ppf(np.arange(1, 10) / 10)


def days(count: int, *, rows: int = 5000, concentration: float = 2000, seed: int = 1, bins: int = 10) -> NDArray[np.int64]:
    """Days whose shares differ by themselves: Dirichlet day effects."""
    chance = np.random.default_rng(seed)
    return np.array([chance.multinomial(rows, chance.dirichlet(np.full(bins, concentration / bins))) for _ in range(count)])


def shifted(by: ArrayLike, *, rows: int = 2000, seed: int = 1) -> NDArray[np.int64]:
    """Days whose mean has shifted by so many standard deviations each, in ten bins."""
    chance, edges = np.random.default_rng(seed), norm.cdf(INNER - np.asarray(by)[:, None])
    return chance.multinomial(rows, np.diff(edges, prepend=0.0, append=1.0, axis=1))


def test_the_martingale_of_the_case() -> None:
    state, seen = SlowDrift(), []
    for p in (0.1, 0.05, 0.2, 0.9, 0.01):
        state = state.after(p)
        seen.append(round(float(state.martingale), 6))

    assert seen == [1.0, 1.1188, 1.286308, 0.971931, 1.168538]


def test_the_design_effect_is_learned() -> None:
    """Rows n with Dirichlet(A p) days: φ = 1 + (n - 1) / (A + 1) = 3.5."""
    learned = [learn_spread(days(56, seed=seed)).phi for seed in range(30)]

    assert np.mean(learned) == pytest.approx(3.5, rel=0.03)
    assert learn_spread(days(56, concentration=1e9)).phi == pytest.approx(1.0, abs=0.15)


def test_with_every_bin_moving_by_itself_it_is_the_f_test() -> None:
    """F = X²/((B-1) φ) with (B-1) (windows - 1) degrees of freedom, for windows as large as those learned from."""
    spread = Spread(3.5, 9.0, 5000.0, 55.0, 56)
    law = law_of(9.0, spread, rows=5000.0)

    assert law.phi == pytest.approx(3.5)
    assert float(law.sf(100.0)) == pytest.approx(f_distribution.sf(100 / (9 * 3.5), 9, 9 * 55))


def test_larger_windows_are_expected_to_differ_more() -> None:
    """What days add grows with the rows: φ = 1 + (n - 1) / (A + 1) for any n, learned at 500 rows and at 5,000."""
    small, large = (np.mean([learn_spread(days(56, rows=rows, seed=seed)).phi for seed in range(30)]) for rows in (500, 5000))
    law = law_of(9.0, Spread(float(small), 9.0, 500.0, 55.0, 56), rows=5000.0)

    assert small == pytest.approx(1.25, rel=0.03)
    assert law.phi == pytest.approx(large, rel=0.05)
    assert law.learned < 9 * 55 / 10  # a tenth was seen, the rest is extrapolated
    assert law_of(9.0, KNOWN._replace(phi=3.5), rows=500.0).phi == pytest.approx(1.25)


def test_what_could_not_be_seen_in_small_windows_may_show_in_large_ones() -> None:
    """No day effect was seen at 5,000 rows; at a hundred times as many one may show, and a shift of the shares by a tenth is drift all the same."""
    law = law_of(9.0, KNOWN, rows=500_000.0)
    reference, moved = np.full(10, 10_000_000), np.array([58_000, 42_000] * 5) * 10

    assert (law_of(9.0, KNOWN, rows=5000.0).phi, law.phi > 5) == (1.0, True)
    assert judge(reference, moved, KNOWN, least_psi=0.02).verdict is Verdict.DRIFT


def test_the_directions_in_which_days_move_are_learned() -> None:
    """Nine when each of ten bins moves by itself, one when only the mean shifts."""
    chance = np.random.default_rng(2)
    free = [learn_spread(days(28, seed=seed)).directions for seed in range(20)]
    shifts = [learn_spread(shifted(chance.normal(0, 0.2, 28), seed=seed)).directions for seed in range(20)]

    assert np.mean(free) == pytest.approx(9, abs=0.7)
    assert np.mean(shifts) == pytest.approx(1, abs=0.2)


def test_a_change_for_good_is_found_and_is_no_spread() -> None:
    """A step of 0.6 standard deviations after so many of 28 days, whose means shift by 0.1 from day to day."""
    chance, found = np.random.default_rng(3), []
    for begun in (5, 14, 20, 27):
        windows = shifted(chance.normal(0, 0.1, 28) + 0.6 * (np.arange(28) >= begun), seed=begun)
        found.append(change_of(windows))
        sides = learn_spread(windows, phases=[day >= begun for day in range(28)])
        assert learn_spread(windows).phi > 1.3 * sides.phi

    assert found == [5, 14, 20, 27]


def test_days_that_differ_by_chance_or_by_the_week_have_not_changed() -> None:
    chance, weekend = np.random.default_rng(4), 0.5 * (np.arange(28) % 7 > 4)
    by_chance = [change_of(shifted(chance.normal(0, 0.1, 28), seed=seed)) > 0 for seed in range(200)]
    by_week = [change_of(shifted(weekend + chance.normal(0, 0.05, 28), seed=seed)) > 0 for seed in range(50)]

    assert (sum(by_chance) <= 4, sum(by_week)) == (True, 0)
    assert [change_of(np.array(odd).reshape(-1, 2)) for odd in ([], [[5, 5]], [[0, 0]] * 5, [[5, 0]] * 5, [[9, 1], [1, 9]])] == [0] * 5


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
        law = law_of(9.0, spread, rows=float(effective_rows(reference.sum(), 5000)))
        alarms += (law.sf(test.statistic) < 0.001).any()

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
    found = judge(reference, moved, KNOWN._replace(rows=5_000_000.0))

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


def odd_columns() -> list[tuple[list[int], list[int], Spread, float]]:
    """Columns with bins of their own: usual, moved, without rows on a side, constant, of two bins, with a spread that is a guess or unknown."""
    return [
        ([100] * 10, [100, 120, 90, *[100] * 7], KNOWN, 0.01),
        ([1000] * 10, [1600, 1400, *[1000] * 6, 600, 400], KNOWN._replace(phi=3.5, directions=1.0), nan),
        ([0] * 10, [5] * 10, KNOWN, 0.5),
        ([500, 0, 3], [0, 0, 0], UNKNOWN_SPREAD, nan),
        ([5000, 0, 0], [4000, 0, 0], learn_spread([[100, 0, 0]] * 30), nan),
        ([10, 990], [30, 970], UNKNOWN_SPREAD._replace(phi=5.0), nan),
        ([50] * 20, [70] * 10 + [30] * 10, UNKNOWN_SPREAD, 0.2),
        ([3], [4], KNOWN, nan),
    ]


def test_columns_judged_together_get_the_verdict_that_each_gets_alone() -> None:
    columns = odd_columns()
    references, currents, spreads, distances = (list(part) for part in zip(*columns, strict=True))

    together = judge_all(references, currents, spreads, distances=distances)

    for test, (reference, current, spread, distance) in zip(together, columns, strict=True):
        alone = judge(reference, current, spread, distance=distance)
        assert (test.verdict, test.n_reference, test.n) == (alone.verdict, alone.n_reference, alone.n)
        numbers = [(entry.p_value, entry.statistic, entry.psi, entry.distance, entry.noise_floor, entry.phi) for entry in (test, alone)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-12, nan_ok=True)
    assert judge_all([], [], [], distances=[]) == []


def test_slow_drift_of_columns_together_is_that_of_each_alone() -> None:
    """Empty bins at the end say nothing, and a window without rows adds nothing."""
    chance = np.random.default_rng(9)
    wide, narrow = chance.multinomial(500, [0.1] * 10, size=60), chance.multinomial(500, [0.3, 0.7], size=60)
    narrow[45] = 0
    counts = side_by_side([wide, narrow])

    usual, seen = unlikeness(counts[:, :28], counts[:, 28:])

    together = SlowDrift.of_larger_differences()
    for p_value in np.where(np.isnan(seen), np.nan, 0.2).T:
        together = together.after(p_value)
    for place, column in enumerate((wide, narrow)):
        alone = unlikeness(column[:28], column[28:])
        assert usual[place] == pytest.approx(alone[0], rel=1e-12, nan_ok=True)
        assert seen[place] == pytest.approx(alone[1], rel=1e-12, nan_ok=True)
        state = SlowDrift.of_larger_differences()
        for unlike in alone[1]:
            state = state if np.isnan(unlike) else state.after(0.2)
        assert np.asarray(together.shiryaev_roberts)[place] == pytest.approx(float(state.shiryaev_roberts), rel=1e-12)


def test_conformal_p_values_are_uniform_when_nothing_changed() -> None:
    chance = np.random.default_rng(5)
    p = [float(rank_p_values(chance.normal(size=40), chance.normal(), u=chance.random())) for _ in range(4000)]

    assert np.histogram(p, np.linspace(0, 1, 11))[0] == pytest.approx(400, abs=80)
    assert rank_p_values([], 3.0, u=0.25) == 0.25


def test_slow_drift_is_found_though_no_day_stands_out() -> None:
    """A shift too small for any single day adds up."""
    chance, state, alarms = np.random.default_rng(6), SlowDrift(), 0
    reference = chance.normal(size=56)
    for _ in range(120):
        state = state.after(float(rank_p_values(reference, chance.normal(1.2), u=chance.random())))
        alarms += state.shiryaev_roberts >= 1000

    assert alarms > 0
