"""Binscatter: the mean of one column by quantile bins of another, and how many bins the data ask for.

Reads pre-aggregated fine bins; a row is a fine bin of one. The bins are found once, on the reference, and then used in every window.
After Cattaneo, Crump, Farrell and Feng, "On Binscatter", AER 114(5) 2024. Controls belong inside the regression; none are taken here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, inf, nan, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from watchkeeper.stats.result import Assumption, Result, Validity

FloatArray = NDArray[np.float64]

_Z = 1.959963984540054
_MIN_ROWS = 30
_MAX_BINS = 50
_TAIL_DENSITY = exp(-(float(ndtri(0.975)) ** 2) / 2) / sqrt(2 * pi)


@dataclass(frozen=True, kw_only=True)
class FineBins:
    """Sums over the rows of each fine bin, in order of x. Rows or bins with a value that is no number count as none."""

    n: FloatArray
    sum_x: FloatArray
    sum_y: FloatArray
    sum_y2: FloatArray

    @classmethod
    def of_sums(cls, n: ArrayLike, sum_x: ArrayLike, *, sum_y: ArrayLike, sum_y2: ArrayLike) -> FineBins:
        table = np.array([np.asarray(column, dtype=float) for column in (n, sum_x, sum_y, sum_y2)])
        known = np.isfinite(table).all(axis=0) & (table[0] > 0)
        return cls(**dict(zip(("n", "sum_x", "sum_y", "sum_y2"), np.where(known, table, 0.0), strict=True)))

    @classmethod
    def of_rows(cls, x: ArrayLike, y: ArrayLike) -> FineBins:
        across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        known = np.isfinite(across) & np.isfinite(up)
        order = np.argsort(across[known], kind="stable")
        across, up = across[known][order], up[known][order]
        return cls(n=np.ones_like(across), sum_x=across, sum_y=up, sum_y2=up**2)


@dataclass(frozen=True, kw_only=True)
class BinCount:
    """The number of bins the rule of thumb asks for, uncapped, with its bias and variance constants (NaN when there is nothing to fit)."""

    bins: int
    bias: float
    variance: float
    validity: Validity


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One bin of the chart: where it lies, and the mean of y with its interval."""

    x: float
    y: Result


def rule_of_thumb(fine: FineBins) -> BinCount:
    """How many quantile bins minimise the error of the dots: J = ⌈(2 B n / V)^(1/3)⌉, by quadratic fits of y and y² on x in [0, 1].

    V = mean of (fitted y² − fitted y squared). B = mean of (slope / density)² / 12, the density normal and floored at its 97.5 % point.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(size=5000)
    >>> rule_of_thumb(FineBins.of_rows(x, np.sin(2 * np.pi * x) + 0.5 * rng.normal(size=5000))).bins
    25
    """
    some = fine.n > 0
    n, x = fine.n[some], fine.sum_x[some] / fine.n[some]
    rows = float(n.sum())
    if rows < _MIN_ROWS:
        return BinCount(bins=min(int(rows), 1), bias=nan, variance=nan, validity=Validity.TOO_FEW_ROWS)
    distinct = np.unique(x).size
    if distinct < 3:
        return BinCount(bins=distinct, bias=nan, variance=nan, validity=Validity.UNDEFINED)
    bias, variance = _constants(n, (x - x.min()) / np.ptp(x), fine.sum_y[some] / n, fine.sum_y2[some] / n)
    wanted = ceil((2 * bias / variance * rows) ** (1 / 3)) if variance > 0 else distinct
    return BinCount(bins=min(max(wanted, 1), distinct), bias=bias, variance=variance, validity=Validity.OK)


def assign_bins(counts: ArrayLike, *, bins: int, min_rows: int = _MIN_ROWS, max_bins: int = _MAX_BINS) -> NDArray[np.intp]:
    """The bin of each fine bin, 0 first: as equal in rows as whole fine bins allow, none below `min_rows` unless there is only one.

    >>> assign_bins([20, 20, 20, 20, 5], bins=2).tolist()
    [0, 0, 1, 1, 1]
    """
    n: FloatArray = np.maximum(np.nan_to_num(np.asarray(counts, dtype=float), posinf=0), 0)
    total, wanted = n.sum(), max(min(bins, max_bins), 1)
    if not total:
        return np.zeros(n.size, dtype=np.intp)
    middle = (n.cumsum() - n / 2) / total
    quantile: NDArray[np.intp] = np.minimum((middle * wanted).astype(np.intp), wanted - 1)
    return _merged(_sums(quantile, n, wanted), min_rows).take(quantile)


def dots(fine: FineBins, assigned: NDArray[np.intp]) -> tuple[Dot, ...]:
    """One dot per bin: mean x, and mean y ± 1.96 SD / √n. A bin without rows is no dot; one below 30 rows says so.

    >>> fine = FineBins.of_rows(range(60), [0.0] * 30 + [1.0] * 30)
    >>> [(dot.x, dot.y.estimate) for dot in dots(fine, assign_bins(fine.n, bins=2))]
    [(14.5, 0.0), (44.5, 1.0)]
    """
    size = int(assigned.max(initial=-1)) + 1
    n, x, y, y2 = (_sums(assigned, column, size) for column in (fine.n, fine.sum_x, fine.sum_y, fine.sum_y2))
    return tuple(Dot(x=float(x[i] / n[i]), y=_mean(float(n[i]), float(y[i]), float(y2[i]))) for i in np.flatnonzero(n > 0))


def _constants(n: FloatArray, x: FloatArray, y: FloatArray, y2: FloatArray) -> tuple[float, float]:
    """Bias and variance constants of the rule of thumb; `n` weighs the fine bins."""
    weight, root, rows = n / n.sum(), np.sqrt(n)[:, None], float(n.sum())
    powers = np.stack([np.ones_like(x), x, x**2], axis=1)
    fit = np.linalg.lstsq(powers * root, np.stack([y, y2], axis=1) * root, rcond=None)[0]
    centre = float(weight @ x)
    sd = sqrt(float(weight @ (x - centre) ** 2) * rows / (rows - 1))
    density = np.maximum(np.exp(-(((x - centre) / sd) ** 2) / 2) / sqrt(2 * pi), _TAIL_DENSITY) / sd
    slope = fit[1, 0] + 2 * fit[2, 0] * x
    fitted = powers @ fit
    return float(weight @ (slope / density) ** 2) / 12, float(weight @ (fitted[:, 1] - fitted[:, 0] ** 2))


def _merged(rows: FloatArray, min_rows: int) -> NDArray[np.intp]:
    """The merged bin of each bin: closed as soon as it has enough rows; what is left at the end joins the last one."""
    place, merged, held = 0, np.zeros(rows.size, dtype=np.intp), 0.0
    for i, count in enumerate(rows):
        merged[i] = place
        held += count
        if held >= min_rows:
            place, held = place + 1, 0.0
    return np.minimum(merged, max(place - 1, 0))


def _sums(assigned: NDArray[np.intp], column: FloatArray, size: int) -> FloatArray:
    sums = np.zeros(size)
    np.add.at(sums, assigned, column)
    return sums


def _mean(n: float, total: float, squares: float) -> Result:
    mean = total / n
    half = _Z * sqrt(max(squares - total * mean, 0.0) / (n - 1) / n) if n > 1 else inf
    validity = Validity.TOO_FEW_ROWS if n < _MIN_ROWS else Validity.OK
    return Result(
        estimate=mean, low=mean - half, high=mean + half, n=int(n), validity=validity, assumptions=(Assumption.INDEPENDENT_ROWS,), rule="binscatter"
    )
