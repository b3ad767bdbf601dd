"""Kaplan-Meier, adjusted p-values and the bounds of a share beside statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.oracle import Oracle
from watchkeeper.stats.delay import kaplan_meier
from watchkeeper.stats.multiple import benjamini_hochberg
from watchkeeper.stats.scores import wilson_interval

SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_delay_curve_is_kaplan_meier(oracle: Oracle, seed: int) -> None:
    chance = np.random.default_rng([3, seed])
    waits = chance.integers(1, chance.integers(3, 60), chance.integers(5, 2000)).astype(np.float64)
    arrived = chance.random(waits.size) < chance.choice([0.1, 0.6, 0.95])
    arrived[0] = True

    days = np.unique(waits)
    curve = kaplan_meier(days, [(arrived & (waits == day)).sum() for day in days], predictions=[(waits == day).sum() for day in days])
    theirs = oracle("survival", waits=waits, arrived=arrived.astype(int))

    at = np.searchsorted(curve.delays, theirs["times"])
    waiting = np.array(theirs["survival"]) > 0  # where nobody waits any more it knows no error
    assert 1 - curve.share[at] == pytest.approx(theirs["survival"], abs=1e-12)
    assert np.sqrt(curve.variance[at])[waiting] == pytest.approx(np.array(theirs["error"])[waiting], abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_adjusted_p_values(oracle: Oracle, seed: int) -> None:
    chance = np.random.default_rng([4, seed])
    p_values = chance.random(int(chance.integers(1, 200))) ** chance.choice([1, 4])
    p_values[: seed % 4] = 0.0

    assert benjamini_hochberg(p_values) == pytest.approx(oracle("adjusted", p_values=p_values, method="fdr_bh"), abs=1e-12)
    assert benjamini_hochberg(p_values, dependent=True) == pytest.approx(oracle("adjusted", p_values=p_values, method="fdr_by"), abs=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (0, 50), (50, 50), (1, 1000), (37, 100), (123_456, 1_000_000)])
def test_the_bounds_of_a_share_are_wilsons(oracle: Oracle, successes: int, trials: int) -> None:
    theirs = oracle("share_bounds", successes=successes, trials=trials, method="wilson")

    assert list(wilson_interval(successes, trials)) == pytest.approx(theirs, abs=1e-12)
