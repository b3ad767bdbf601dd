"""Calibrated drift of one column: significant beyond the usual difference between windows, and big. Does not know what the column means.

Windows of one source differ more than their rows would (Mondays, campaigns, batches). `learn_spread` measures by how much on the reference
windows, as the design effect φ, and in how many directions; `judge` compares with it (algorithm D1). `SlowDrift` adds small shifts up over
windows (algorithm D2).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, fdtrc

from watchkeeper.stats.distances import Floats, chi_square, noise_floor, psi

LEAST_WINDOWS = 20  # fewer tell no spread
REMEMBERED = 4096  # spreads: the first weeks of a model are the same at each evaluation, and for several risks
LEAST_OF_A_PHASE = 4
LARGE_PSI = 0.25  # what is told without a known spread: at least this, and FLOORS times the noise
FLOORS = 5.0
NOISE_QUANTILE = 0.999
LEAST_A_BIN = 5  # rows on each side: below, chi-square is no guide
HIDDEN = 2.0  # standard errors that a day effect may hide in, when windows are larger than those it was learned of


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
    """How much windows of the reference differ: `phi` times what independent rows would, for windows of `rows` effective rows, nm / (n + m).

    Day effects move the shares in so many `directions`: one when only a mean shifts, as many as there are degrees of freedom when every bin moves
    by itself. Each was seen `degrees` times; 0 times when phi is a guess, which is then taken to hold at any size.
    """

    phi: float
    directions: float
    rows: float
    degrees: float
    windows: int

    @property
    def is_known(self) -> bool:
        return self.windows >= LEAST_WINDOWS and self.degrees > 0


UNKNOWN_SPREAD = Spread(1.0, 1.0, 0.0, 0.0, 0)


class Law(NamedTuple):
    """What chi-square of a window is when nothing changed: base + scale F(freedom, learned), whose mean per degree of freedom is about `phi`.

    One number for each window, or one for all. Freedom is 0 where nothing can be told; learned 0 where phi is a guess.
    """

    phi: Floats
    base: Floats
    scale: Floats
    freedom: Floats
    learned: Floats

    def sf(self, statistic: ArrayLike) -> Floats:
        """P(X² >= statistic); 1 where nothing can be told."""
        ratio = np.maximum((np.asarray(statistic, dtype=np.float64) - self.base) / self.scale, 0.0)
        freedom, learned = np.maximum(self.freedom, 1.0), np.maximum(self.learned, 1e-9)
        p_value = fdtrc(freedom, learned, ratio)
        if not (is_learned := self.learned > 0).all():
            p_value = np.where(is_learned, p_value, chdtrc(freedom, ratio * freedom))
        return np.where((self.freedom > 0) & ~np.isnan(ratio), p_value, 1.0)


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
    With T the variance that the day effects add, the directions are tr(T)² / tr(T²), as Box (1954) has it; tr(T²) is learned of the products of
    different windows, which has no bias (Chen and Qin 2010).

    >>> learn_spread([[50, 50]] * 30).phi
    1.0
    """
    counts = np.asarray(windows, dtype=np.float64)
    return _learned(counts.shape, counts.tobytes(), None if phases is None else tuple(phases))


@lru_cache(maxsize=REMEMBERED)
def _learned(shape: tuple[int, ...], body: bytes, phases: tuple[Hashable, ...] | None) -> Spread:
    deviations, degrees, rows = _left_out(np.frombuffer(body).reshape(shape), phases)
    told = degrees > 0
    if not told.any():
        return UNKNOWN_SPREAD
    statistics, freedom = (deviations[told] ** 2).sum(axis=1), float(degrees[told].mean())
    phi = max(1.0, float((statistics / degrees[told]).mean()))
    groups = len(set(phases)) if phases is not None else 1
    return Spread(phi, _directions(deviations[told], freedom), float(rows[told].mean()), max(int(told.sum()) - groups, 0), int(told.sum()))


def change_of(windows: ArrayLike, *, alpha: float = 0.001) -> int:
    """The window with which a lasting change began; 0 without one. Windows of both sides are no guide to how much windows usually differ.

    Chi-square of all before against all after, at the place where it is largest, is judged with the spread of windows within the two sides, and
    the p-value multiplied by the number of places. Sums of windows differ by φ as windows do.
    """
    counts = np.asarray(windows, dtype=np.float64)
    return _change(counts.shape, counts.tobytes(), alpha)


@lru_cache(maxsize=REMEMBERED)
def _change(shape: tuple[int, ...], body: bytes, alpha: float) -> int:
    counts = np.frombuffer(body).reshape(shape)
    before = counts.cumsum(axis=0)[:-1]
    test = chi_square(before, counts.sum(axis=0) - before)
    if not (test.statistic > 0).any():
        return 0
    place = int(np.nanargmax(test.statistic))
    within = learn_spread(counts, phases=(np.arange(len(counts)) > place).tolist())
    if not within.degrees:
        return 0
    p_value = float(law_of(float(test.degrees[place]), within, rows=within.rows).sf(test.statistic[place]))
    return place + 1 if p_value * len(before) < alpha else 0


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
    """Algorithm D1. Drift when X² is significant at alpha beside how much windows usually differ (`law_of`: F = X²/((B-1) φ) when every bin moves
    by itself), and PSI or the distance (in standard deviations) is at least the tolerance.

    `multiplicity` multiplies the p-value (see `multiple` for what many columns at once ask for). What chance alone could give may be above
    the tolerance, for too few rows or days that differ much: then not to find drift is no verdict. Without a known spread only large effects are told.
    """
    (test,) = judge_all(
        [reference],
        [current],
        [spread],
        distances=[distance],
        multiplicity=multiplicity,
        alpha=alpha,
        least_psi=least_psi,
        least_distance=least_distance,
    )
    return test


def judge_all(
    references: Sequence[ArrayLike],
    currents: Sequence[ArrayLike],
    spreads: Sequence[Spread],
    *,
    distances: Sequence[float],
    multiplicity: float = 1.0,
    alpha: float = 0.001,
    least_psi: float = 0.1,
    least_distance: float = 0.1,
) -> list[DriftTest]:
    """The same of many columns in one go, each with bins of its own."""
    if not references:
        return []
    before, after = side_by_side(references), side_by_side(currents)
    test = chi_square(before, after)
    n, m = before.sum(axis=-1), after.sum(axis=-1)
    law = law_of(test.degrees, spreads, rows=effective_rows(n, m))
    effect = np.where([spread.is_known for spread in spreads], law.phi, 1.0)
    floor = noise_floor(test.degrees + 1, n, m, design_effect=effect)
    is_noisy = noise_floor(np.maximum(test.degrees, 1.0) + 1, n, m, quantile=NOISE_QUANTILE, design_effect=effect) > least_psi
    has_rows = np.minimum(n, m) >= LEAST_A_BIN * (test.degrees + 1)
    p_values, moved = law.sf(test.statistic), psi(before, after)

    def verdict(place: int) -> Verdict:
        if not has_rows[place]:
            return Verdict.INSUFFICIENT
        if not spreads[place].is_known:
            is_large = moved[place] >= max(LARGE_PSI, FLOORS * floor[place])
            return Verdict.PRELIMINARY_DRIFT if is_large else Verdict.INSUFFICIENT if is_noisy[place] else Verdict.PRELIMINARY
        is_big = moved[place] >= least_psi or distances[place] >= least_distance
        if is_big and p_values[place] * multiplicity < alpha:
            return Verdict.DRIFT
        return Verdict.INSUFFICIENT if is_noisy[place] else Verdict.NONE

    return [
        DriftTest(
            verdict=verdict(place),
            p_value=float(p_values[place]),
            statistic=float(test.statistic[place]),
            psi=float(moved[place]),
            distance=float(distances[place]),
            noise_floor=float(floor[place]),
            phi=float(law.phi[place]),
            n_reference=int(n[place]),
            n=int(m[place]),
        )
        for place in range(len(spreads))
    ]


def side_by_side(counts: Sequence[ArrayLike]) -> Floats:
    """Counts of shape (..., bins) of several columns as one array, columns first: empty bins at the end say nothing."""
    arrays = [np.asarray(column, dtype=np.float64) for column in counts]
    together = np.zeros((len(arrays), *arrays[0].shape[:-1], max(column.shape[-1] for column in arrays)))
    for place, column in zip(together, arrays, strict=True):
        place[..., : column.shape[-1]] = column
    return together


def law_of(degrees: ArrayLike, spread: Spread | Sequence[Spread], *, rows: ArrayLike) -> Law:
    """The variance is 1 in most directions, and `weight` in those of the day effects, whose part grows with the rows: w = 1 + (w_learned - 1) growth.

    The sum of chi-squares with these weights has the mean, variance and skewness of base + scale χ²(freedom) (Pearson 1959), F in place of χ² as the
    weight is learned: the more of it is extrapolated the less is known, by Satterthwaite (1946). Equal weights give F = X²/((B-1) φ).
    Degrees of freedom and effective rows of each window, or one number for all; of several columns, each with its spread, columns first.
    """
    given = np.asarray(degrees, dtype=np.float64)
    one, told = np.maximum(given, 1.0), given > 0
    of = np.asarray(spread, dtype=np.float64)
    phi, directions, seen_rows, seen, _ = np.moveaxis(of.reshape(*of.shape[:-1], *(1,) * (given.ndim - of.ndim + 1), of.shape[-1]), -1, 0)
    is_learned = seen > 0
    moved = np.minimum(directions, one)
    known = 1 + (phi - 1) * one / moved
    growth = np.asarray(rows, dtype=np.float64) / np.where(is_learned, seen_rows, 1.0)
    hidden = HIDDEN * known * np.sqrt(2 / (_three_moments(one, moved, known)[2] * np.where(is_learned, seen, 1.0)))
    weight = 1 + np.minimum(growth, 1.0) * (known - 1) + np.maximum(growth - 1, 0.0) * np.maximum(known - 1, hidden)
    base, scale, freedom = _three_moments(one, moved, weight)
    learned = freedom * seen * (weight / (np.maximum(growth, 1e-9) * known)) ** 2
    return Law(
        np.where(is_learned, 1 + (weight - 1) * moved / one, phi),
        np.where(is_learned, base, 0.0),
        np.where(is_learned, scale * freedom, one * phi),
        np.where(told, np.where(is_learned, freedom, one), 0.0),
        np.where(is_learned, learned, 0.0),
    )


def _three_moments(degrees: Floats, moved: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Base, scale and freedom of weight χ²(moved) + χ²(degrees - moved)."""
    one, two, three = (degrees - moved + moved * weight**power for power in (1, 2, 3))
    return one - two**2 / three, three / two, two**3 / three**2


def effective_rows(n: ArrayLike, m: ArrayLike) -> Floats:
    """nm / (n + m): as many rows as differ by chance as n and m do together; 0 when a side has none."""
    one, other = np.asarray(n, dtype=np.float64), np.asarray(m, dtype=np.float64)
    return np.asarray(one * other / np.maximum(one + other, 1.0))


def _directions(deviations: Floats, freedom: float) -> float:
    products = deviations @ deviations.T
    first, windows = float(np.trace(products)) / len(products), len(products)
    second = float((products**2).sum() - (np.diag(products) ** 2).sum()) / max(windows * (windows - 1), 1)
    added, added_squares = first - freedom, second - 2 * first + freedom
    return float(np.clip(added**2 / added_squares, 1.0, freedom)) if added > 0 and added_squares > 0 else freedom


def _left_out(counts: Floats, phases: Sequence[Hashable] | None) -> tuple[Floats, Floats, Floats]:
    """Of each window against the others of its phase: deviations by bin whose squares add up to chi-square, its degrees of freedom, effective rows."""
    others = np.zeros_like(counts)
    for chosen in _groups(len(counts), phases):
        others[chosen] = counts[chosen].sum(axis=0) - counts[chosen]
    n, m = others.sum(axis=1, keepdims=True), counts.sum(axis=1, keepdims=True)
    pooled, has_rows = np.maximum(others + counts, 1.0), ((n > 0) & (m > 0))[:, 0]
    apart = others * np.sqrt(m / np.maximum(n, 1.0)) - counts * np.sqrt(n / np.maximum(m, 1.0))
    degrees = np.where(has_rows, (others + counts > 0).sum(axis=1) - 1.0, 0.0)
    return apart / np.sqrt(pooled), degrees, effective_rows(n, m)[:, 0]


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


def unlikeness(windows: ArrayLike, later: ArrayLike) -> tuple[Floats, Floats]:
    """How unlike the others each of the windows is, and how unlike all of them each later one: ranks of these are alike when nothing changed.

    Counts of shape (..., windows, bins). It is minus the p-value of chi-square beside how much the windows differ, for their rows, so that windows of
    any size can be ranked together (chi-square itself grows with the rows). NaN for a window without rows.
    """
    counts, following = np.asarray(windows, dtype=np.float64), np.asarray(later, dtype=np.float64)
    total = counts.sum(axis=-2, keepdims=True)
    spread = learn_spread(counts) if counts.ndim == 2 else [learn_spread(column) for column in counts]
    return _surprise(total - counts, counts, spread), _surprise(total, following, spread)


def _surprise(reference: Floats, current: Floats, spread: Spread | Sequence[Spread]) -> Floats:
    test = chi_square(reference, current)
    law = law_of(test.degrees, spread, rows=effective_rows(reference.sum(axis=-1), current.sum(axis=-1)))
    return np.where(np.isnan(test.statistic), np.nan, -law.sf(test.statistic))


def rank_p_values(usual: ArrayLike, scores: ArrayLike, *, u: ArrayLike) -> Floats:
    """Conformal p-value of each score among the usual ones: (#greater + u (1 + #equal)) / (n + 1), with u uniform in [0, 1].

    >>> rank_p_values([0.1, 0.2, 0.3], [0.25], u=0.5).tolist()
    [0.375]
    """
    known, asked = np.sort(np.asarray(usual, dtype=np.float64)), np.asarray(scores, dtype=np.float64)
    above, below = np.searchsorted(known, asked, side="right"), np.searchsorted(known, asked, side="left")
    return np.asarray((known.size - above + np.asarray(u) * (1 + above - below)) / (known.size + 1))


@dataclass(frozen=True)
class SlowDrift:
    """Algorithm D2: the simple-jumper martingale of conformal p-values and the Shiryaev-Roberts sum of its growth.

    `martingale` exceeds c with probability at most 1/c when nothing changes (Vovk et al. 2021); an alarm when the sum reaches A comes on average
    not before A windows (Shin, Ramdas and Rinaldo 2022). Capital is laid on each of the `bets`: -1 on small p-values, +1 on large ones.
    Of one column, or with an array of p-values at each window of many columns. A p-value that is NaN says nothing.

    >>> state = SlowDrift()
    >>> for p in (0.1, 0.05, 0.2, 0.9, 0.01):
    ...     state = state.after(p)
    >>> round(float(state.martingale), 6)
    1.168538
    """

    capital: tuple[Floats | float, ...] = (1 / 3, 1 / 3, 1 / 3)
    bets: tuple[float, ...] = (-1, 0, 1)
    shiryaev_roberts: Floats | float = 0.0

    @classmethod
    def of_larger_differences(cls) -> SlowDrift:
        """Without the bet on large p-values: windows that are more alike than usual have not drifted."""
        return cls(capital=(1 / 2, 1 / 2), bets=(-1, 0))

    @property
    def martingale(self) -> Floats | float:
        return sum(self.capital)

    def after(self, p_value: ArrayLike, *, jump: float = 0.01) -> SlowDrift:
        p = np.asarray(p_value, dtype=np.float64)
        total, equal, is_told = self.martingale, self.martingale / len(self.bets), ~np.isnan(p)
        laid = [((1 - jump) * part + jump * equal) * (1 + bet * (p - 0.5)) for part, bet in zip(self.capital, self.bets, strict=True)]
        capital = tuple([np.where(is_told, after, part) for after, part in zip(laid, self.capital, strict=True)])
        evidence = np.where(is_told, (1 + self.shiryaev_roberts) * sum(laid) / total, self.shiryaev_roberts)
        return SlowDrift(capital, self.bets, evidence)
