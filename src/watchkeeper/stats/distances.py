"""How far two histograms are apart. Counts of shape (..., bins) in, one number for each leading index out.

A bin that is empty on both sides says nothing and changes nothing. Where one side has no rows at all there is no distance: NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, chdtri

Floats = NDArray[np.float64]
JEFFREYS = 0.5


class ChiSquare(NamedTuple):
    """`statistic` with `degrees` of freedom; the p-value holds for independent rows only (see `drift`)."""

    statistic: Floats
    degrees: Floats

    @property
    def p_value(self) -> Floats:
        known = self.degrees > 0
        return np.where(known, chdtrc(np.where(known, self.degrees, 1.0), self.statistic), np.nan)


def shares(counts: ArrayLike, *, smoothing: float = 0.0) -> Floats:
    """Counts as shares, (c + smoothing) / (n + smoothing * bins); NaN without rows.

    >>> shares([1, 3]).tolist()
    [0.25, 0.75]
    """
    smooth = np.asarray(counts, dtype=np.float64) + smoothing
    rows = np.asarray(counts, dtype=np.float64).sum(axis=-1, keepdims=True)
    return _ratio(smooth, smooth.sum(axis=-1, keepdims=True), empty=np.nan, where=rows > 0)


def psi(reference: ArrayLike, current: ArrayLike, *, smoothing: float = JEFFREYS) -> Floats:
    """Population stability index, sum of (q - p) ln(q / p); 0 when identical. Smoothed over the bins that have rows on either side.

    >>> round(float(psi([100, 200, 300, 400], [150, 250, 300, 300], smoothing=0)), 7)
    0.0601986
    """
    p, q = _smoothed(reference, current, smoothing)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = (q - p) * (np.log(q) - np.log(p))
    return _total(np.where(q == p, 0.0, terms), p, q)


def js_distance(reference: ArrayLike, current: ArrayLike) -> Floats:
    """Jensen-Shannon distance to base 2: 0 when identical, 1 when nothing is shared.

    >>> float(js_distance([1, 0], [0, 5]))
    1.0
    """
    p, q = shares(reference), shares(current)
    middle = (p + q) / 2
    return np.sqrt(np.maximum((_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2, 0.0))


def hellinger(reference: ArrayLike, current: ArrayLike) -> Floats:
    """Hellinger distance, sqrt(½ sum of (√p - √q)²), in [0, 1]."""
    return np.asarray(np.sqrt(((np.sqrt(shares(reference)) - np.sqrt(shares(current))) ** 2).sum(axis=-1) / 2))


def largest_difference(reference: ArrayLike, current: ArrayLike) -> Floats:
    """L∞: the largest difference of a share."""
    return np.asarray(np.abs(shares(reference) - shares(current)).max(axis=-1))


def ks_distance(reference: ArrayLike, current: ArrayLike) -> Floats:
    """Kolmogorov-Smirnov distance of ordered bins: the largest difference of the shares up to a bin. Never above the exact one."""
    return np.asarray(np.abs(_steps(reference, current)).max(axis=-1))


def wasserstein(reference: ArrayLike, current: ArrayLike, *, width: ArrayLike = 1.0) -> Floats:
    """Wasserstein-1 of ordered bins of one width, in the unit of `width`: how far the average row has moved.

    Give the bin width divided by the reference's standard deviation and it has no unit.

    >>> round(float(wasserstein([100, 200, 300, 400], [150, 250, 300, 300])), 2)
    0.25
    """
    return np.asarray(np.abs(_steps(reference, current)).sum(axis=-1) * np.asarray(width, dtype=np.float64))


def chi_square(reference: ArrayLike, current: ArrayLike) -> ChiSquare:
    """Homogeneity: nm/(n+m) times the sum of (p - q)² over the pooled share.

    >>> test = chi_square([100, 200, 300, 400], [150, 250, 300, 300])
    >>> round(float(test.statistic), 5), float(test.degrees)
    (29.84127, 3.0)
    """
    a, b = np.broadcast_arrays(np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64))
    n, m = a.sum(axis=-1, keepdims=True), b.sum(axis=-1, keepdims=True)
    pooled = a + b
    apart = np.sqrt(_ratio(m, n)) * a - np.sqrt(_ratio(n, m)) * b
    statistic = np.divide(apart**2, pooled, out=np.zeros_like(pooled), where=pooled > 0).sum(axis=-1)
    has_rows = (n.sum(axis=-1) > 0) & (m.sum(axis=-1) > 0)
    return ChiSquare(np.where(has_rows, statistic, np.nan), np.where(has_rows, (pooled > 0).sum(axis=-1) - 1.0, 0.0))


def noise_floor(bins: ArrayLike, n: ArrayLike, m: ArrayLike, *, quantile: float = 0.0, design_effect: ArrayLike = 1.0) -> Floats:
    """The PSI that two samples of one distribution show: its mean, or its `quantile`. Times the design effect when rows hang together.

    PSI is chi-square times (1/n + 1/m) near the null: Yurdakul and Naranjo 2020.

    >>> float(noise_floor(10, 1000, 500).round(4)), float(noise_floor(10, 1000, 500, quantile=0.95).round(4))
    (0.027, 0.0508)
    """
    degrees = np.maximum(np.asarray(bins, dtype=np.float64) - 1, 0.0)
    scale = chdtri(np.maximum(degrees, 1e-9), 1 - quantile) if quantile else degrees
    rows = np.asarray(n, dtype=np.float64), np.asarray(m, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # of one bin without rows there is none: NaN
        return np.asarray(np.where(degrees > 0, scale, 0.0) * design_effect * sum(_ratio(np.ones_like(side), side, empty=np.inf) for side in rows))


def _smoothed(reference: ArrayLike, current: ArrayLike, smoothing: float) -> tuple[Floats, Floats]:
    a, b = np.broadcast_arrays(np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64))
    used = (a + b) > 0
    sides = [np.where(used, side + smoothing, 0.0) for side in (a, b)]
    rows = [side.sum(axis=-1, keepdims=True) for side in (a, b)]
    p, q = (_ratio(side, side.sum(axis=-1, keepdims=True), empty=np.nan, where=count > 0) for side, count in zip(sides, rows, strict=True))
    return p, q


def _total(terms: Floats, p: Floats, q: Floats) -> Floats:
    known = np.asarray(~(np.isnan(p).any(axis=-1) | np.isnan(q).any(axis=-1)))
    return np.where(known, np.where(known[..., None], terms, 0.0).sum(axis=-1), np.nan)


def _relative_entropy(p: Floats, q: Floats) -> Floats:
    ratio = np.divide(p, q, out=np.ones(np.broadcast(p, q).shape), where=(p > 0) & (q > 0))
    return np.asarray((p * np.log2(ratio)).sum(axis=-1))


def _steps(reference: ArrayLike, current: ArrayLike) -> Floats:
    return np.asarray((shares(reference) - shares(current)).cumsum(axis=-1)[..., :-1])


def _ratio(a: Floats, b: Floats, *, empty: float = 0.0, where: NDArray[np.bool_] | None = None) -> Floats:
    quotient = np.full(np.broadcast(a, b).shape, empty)
    np.divide(a, b, out=quotient, where=(b > 0) if where is None else where)
    return quotient
