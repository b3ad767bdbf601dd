"""Calibrated drift of one column: significant beyond the usual difference between windows, and big. Does not know what the column means.

Windows of one source differ more than their rows would (Mondays, campaigns, batches). `learn_spread` measures by how much on the reference
windows, as the design effect φ; `judge` divides by it (algorithm D1). `SlowDrift` adds small shifts up over windows (algorithm D2).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from watchkeeper.stats.distances import Floats, chi_square, noise_floor, psi

LEAST_WINDOWS = 20  # fewer tell no spread
LEAST_OF_A_PHASE = 4
LARGE_PSI = 0.25  # what is told without a known spread: at least this, and FLOORS times the noise
FLOORS = 5.0
NOISE_QUANTILE = 0.999
LEAST_A_BIN = 5  # rows on each side: below, chi-square is no guide


class Verdict(StrEnum):
    NONE = "no drift"
    DRIFT = "drift"
    INSUFFICIENT = "too few rows"
    PRELIMINARY = "preliminary"
    PRELIMINARY_DRIFT = "preliminary drift"

    @property
    def fires(self) -> bool:
        return self in (Verdict.DRIFT, Verdict.PRELIMINARY_DRIFT)


class Spread(NamedTuple):
    """How much windows of the reference differ: `phi` times what independent rows would. `degrees` of freedom of that estimate; 0 when a guess."""

    phi: float
    degrees: float
    windows: int

    @property
    def is_known(self) -> bool:
        return self.windows >= LEAST_WINDOWS and self.degrees > 0


UNKNOWN_SPREAD = Spread(1.0, 0.0, 0)


@dataclass(frozen=True, kw_only=True)
class DriftTest:
    """One window against its reference. `p_value` knows the spread of windows; `noise_floor` is the PSI that rows and
    the usual difference of days give on average."""

    verdict: Verdict
    p_value: float
    statistic: float
    psi: float
    distance: float
    noise_floor: float
    phi: float
    n_reference: int
    n: int


def learn_spread(windows: ArrayLike, *, phases: Sequence[Hashable] | None = None) -> Spread:
    """The design effect of reference windows (windows x bins): the mean over windows of chi-square per degree of freedom against the others.

    With `phases` (the weekday of each window, say) a window is compared with the others of its phase, so that what returns every week is no spread.

    >>> learn_spread([[50, 50]] * 30).phi
    1.0
    """
    counts = np.asarray(windows, dtype=np.float64)
    statistics, degrees = _left_out(counts, phases)
    told = ~np.isnan(statistics) & (degrees > 0)
    if not told.any():
        return UNKNOWN_SPREAD
    freedom = float(degrees[told].mean())
    groups = len(set(phases)) if phases is not None else 1
    phi = float((statistics[told] / degrees[told]).mean())
    return Spread(max(1.0, phi), freedom * max(int(told.sum()) - groups, 0), int(told.sum()))


def judge(
    reference: ArrayLike,
    current: ArrayLike,
    spread: Spread,
    *,
    distance: float = nan,
    multiplicity: float = 1.0,
    alpha: float = 0.001,
    least_psi: float = 0.1,
    least_distance: float = 0.1,
) -> DriftTest:
    """Algorithm D1. Drift when F = X²/((B-1) φ) is significant at alpha and PSI or the distance (in standard deviations) is at least the tolerance.

    `multiplicity` multiplies the p-value (see `multiple` for what many columns at once ask for). What chance alone could give may be above
    the tolerance, for too few rows or days that differ much: then not to find drift is no verdict. Without a known spread only large effects are told.
    """
    test = chi_square(reference, current)
    freedom, statistic = float(test.degrees), float(test.statistic)
    p_value = f_sf(statistic, freedom, spread)
    n, m = int(np.sum(reference)), int(np.sum(current))
    moved = float(psi(reference, current))
    effect = spread.phi if spread.is_known else 1.0
    floor = float(noise_floor(freedom + 1, n, m, design_effect=effect))
    noise = float(noise_floor(max(freedom, 1.0) + 1, n, m, quantile=NOISE_QUANTILE, design_effect=effect))
    is_big = moved >= least_psi or distance >= least_distance
    if min(n, m) < LEAST_A_BIN * (freedom + 1):
        verdict = Verdict.INSUFFICIENT
    elif not spread.is_known:
        is_large = moved >= max(LARGE_PSI, FLOORS * floor)
        verdict = Verdict.PRELIMINARY_DRIFT if is_large else Verdict.INSUFFICIENT if noise > least_psi else Verdict.PRELIMINARY
    elif is_big and p_value * multiplicity < alpha:
        verdict = Verdict.DRIFT
    else:
        verdict = Verdict.INSUFFICIENT if noise > least_psi else Verdict.NONE
    return DriftTest(
        verdict=verdict,
        p_value=p_value,
        statistic=statistic,
        psi=moved,
        distance=distance,
        noise_floor=floor,
        phi=spread.phi,
        n_reference=n,
        n=m,
    )


def f_sf(statistic: float, degrees: float, spread: Spread) -> float:
    """P(F >= X²/(degrees φ)), or of chi-square when φ is a guess; 1 where nothing can be told."""
    if degrees <= 0 or np.isnan(statistic):
        return 1.0
    if spread.degrees <= 0:
        return float(chi2.sf(statistic / spread.phi, degrees))
    return float(f_distribution.sf(statistic / (degrees * spread.phi), degrees, spread.degrees))


def _left_out(counts: Floats, phases: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Chi-square of each window against the others of its phase, and its degrees of freedom."""
    statistics, degrees = np.full(len(counts), np.nan), np.zeros(len(counts))
    for chosen in _groups(len(counts), phases):
        part = counts[chosen]
        test = chi_square(part.sum(axis=0) - part, part)
        statistics[chosen], degrees[chosen] = test.statistic, test.degrees
    return statistics, degrees


def _groups(windows: int, phases: Sequence[Hashable] | None) -> Iterator[NDArray[np.int64]]:
    if phases is None:
        yield np.arange(windows)
        return
    places: dict[Hashable, list[int]] = {}
    for place, phase in enumerate(phases):
        places.setdefault(phase, []).append(place)
    for chosen in places.values():
        yield np.array(chosen)


def same_phase(windows: ArrayLike, phases: Sequence[Hashable], phase: Hashable) -> Floats:
    """The reference matched on a season: the sum of the windows of this phase, or of all when fewer than four are of it."""
    counts = np.asarray(windows, dtype=np.float64)
    chosen = [place for place, other in enumerate(phases) if other == phase]
    return np.asarray(counts[chosen].sum(axis=0) if len(chosen) >= LEAST_OF_A_PHASE else counts.sum(axis=0))


def rank_p_value(scores: ArrayLike, score: float, *, u: float) -> float:
    """Conformal p-value of a score among those of the reference: (#greater + u (1 + #equal)) / (n + 1), with u uniform in [0, 1].

    >>> rank_p_value([0.1, 0.2, 0.3], 0.25, u=0.5)
    0.375
    """
    known = np.asarray(scores, dtype=np.float64)
    return float(((known > score).sum() + u * (1 + (known == score).sum())) / (known.size + 1))


@dataclass(frozen=True)
class SlowDrift:
    """Algorithm D2: the simple-jumper martingale of conformal p-values and the Shiryaev-Roberts sum of its growth.

    `martingale` exceeds c with probability at most 1/c when nothing changes (Vovk et al. 2021); an alarm at `alarm_at` A comes on average
    not before A windows (Shin, Ramdas and Rinaldo 2022).

    >>> state = SlowDrift()
    >>> for p in (0.1, 0.05, 0.2, 0.9, 0.01):
    ...     state = state.after(p)
    >>> round(state.martingale, 6)
    1.168538
    """

    capital: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    shiryaev_roberts: float = 0.0

    @property
    def martingale(self) -> float:
        return sum(self.capital)

    def after(self, p_value: float, *, jump: float = 0.01) -> SlowDrift:
        total = self.martingale
        capital = tuple(
            ((1 - jump) * part + jump / 3 * total) * (1 + epsilon * (p_value - 0.5)) for part, epsilon in zip(self.capital, (-1, 0, 1), strict=True)
        )
        one, two, three = capital
        grown = (1 + self.shiryaev_roberts) * (one + two + three) / total
        return SlowDrift((one, two, three), grown)
