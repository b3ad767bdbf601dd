"""Label delay: when labels arrive, whether enough of them have, and what the metric will be when all have.

Delays and ages share one unit, which the caller chooses. Does not know what an SLO is, nor whether "now" is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from watchkeeper.stats.result import Assumption, Result, Validity

FloatArray = NDArray[np.float64]

_Z = 1.959963984540054
_TAIL = 0.025
_MIN_ROWS = 30
_ASSUMES = (Assumption.STABLE_DELAY, Assumption.INDEPENDENT_ROWS)
_ROUNDING = 1e-12  # a share of just q must count as q after a product of floats


@dataclass(frozen=True, kw_only=True)
class DelayCurve:
    """Share of the predictions that have their label, by age, with its 95 % interval. `variance` is Greenwood's, `n` counts predictions."""

    delays: FloatArray
    at_risk: FloatArray
    arrivals: FloatArray
    share: FloatArray
    variance: FloatArray
    low: FloatArray
    high: FloatArray
    n: int


@dataclass(frozen=True, kw_only=True)
class ChainLadder:
    """Growth from one age to the next, the share arrived by each age, and the expected final count of each cohort."""

    factors: FloatArray
    cdf: FloatArray
    ultimates: FloatArray
    validity: Validity


class Maturity(StrEnum):
    """Why a window may be judged, or not yet."""

    MATURE = "mature"
    PRELIMINARY = "preliminary"
    TOO_FEW_LABELS = "too few labels"
    IMMATURE = "immature"
    UNSTABLE = "unstable"

    @property
    def is_mature(self) -> bool:
        return self is Maturity.MATURE


FAST, SLOW = 0.25, 1.0  # of the ratio of latency and half-life: up to the first labels are fast, beyond the second slow


class DelayVerdict(StrEnum):
    FAST = "fast"
    MEDIUM = "medium"
    SLOW = "slow"
    UNKNOWN = "unknown"


def kaplan_meier(delays: ArrayLike, arrivals: ArrayLike, *, predictions: ArrayLike) -> DelayCurve:
    """Kaplan-Meier curve of the label delay: a prediction without label has waited at least as long as it is old.

    `predictions[k]` waited until `delays[k]`: until the label came (`arrivals[k]` of them) or until now. At risk are all that waited as long.
    Share = 1 − product of (1 − arrivals / at risk); Greenwood variance; log-log interval, exact binomial where nothing or everything arrived.

    >>> kaplan_meier([1, 2, 3, 4], [5, 3, 0, 1], predictions=[5, 3, 1, 1]).share.round(6).tolist()
    [0.5, 0.8, 0.8, 1.0]
    """
    times, arrived, ended = _buckets(delays, arrivals, predictions)
    at_risk = np.cumsum(ended[::-1])[::-1]
    survivors = at_risk - arrived
    waiting = np.cumprod(survivors / at_risk, dtype=np.float64)
    hazard = np.divide(arrived, at_risk * survivors, out=np.zeros_like(arrived), where=survivors > 0)
    variance = waiting**2 * np.cumsum(hazard)
    low, high = _waiting_interval(waiting, variance, at_risk)
    n = int(ended.sum())
    return DelayCurve(delays=times, at_risk=at_risk, arrivals=arrived, share=1 - waiting, variance=variance, low=1 - high, high=1 - low, n=n)


def arrived_by(curve: DelayCurve, age: float) -> Result:
    """Share of the labels that have arrived at an age. Beyond the curve the last share is a lower bound, and preliminary."""
    told = replace(Result.missing(Validity.UNDEFINED, n=curve.n, rule="Kaplan-Meier"), assumptions=_ASSUMES)
    if curve.n == 0 or isnan(age):
        return replace(told, validity=Validity.UNDEFINED if curve.n else Validity.TOO_FEW_ROWS)
    validity = Validity.TOO_FEW_ROWS if curve.n < _MIN_ROWS else Validity.OK
    at = int(np.searchsorted(curve.delays, age, side="right")) - 1
    if at < 0:
        return replace(told, estimate=0.0, low=0.0, high=1 - _TAIL ** (1 / curve.n), validity=validity)
    told = replace(told, estimate=float(curve.share[at]), low=float(curve.low[at]), high=float(curve.high[at]), validity=validity)
    is_beyond = age > curve.delays[-1] and told.estimate < 1
    return replace(told, high=1.0, validity=Validity.PRELIMINARY) if is_beyond else told


def delay_quantile(curve: DelayCurve, q: float) -> float:
    """The age by which a share q of the labels has arrived; NaN when the curve does not get there."""
    reached = curve.share >= q - _ROUNDING
    return float(curve.delays[reached.argmax()]) if reached.any() else nan


def never_labelled(curve: DelayCurve, *, flat: float = 0.25, min_waiting: int = _MIN_ROWS) -> Result:
    """Share of predictions that never get a label: the height of the plateau of the waiting curve.

    Told only when no label came in the last `flat` part of the observed span while at least `min_waiting` predictions waited there.
    """
    if curve.n == 0:
        return replace(arrived_by(curve, 0), rule="Kaplan-Meier plateau")
    start = int(np.searchsorted(curve.delays, curve.delays[-1] * (1 - flat)))
    is_flat = curve.at_risk[start] >= min_waiting and not curve.arrivals[start:].any() and curve.arrivals.any()
    if curve.share[-1] < 1 and not is_flat:
        return Result.missing(Validity.IMMATURE_LABELS, n=curve.n, rule="Kaplan-Meier plateau")
    last = arrived_by(curve, curve.delays[-1])
    return replace(last, estimate=1 - last.estimate, low=1 - last.high, high=1 - last.low, rule="Kaplan-Meier plateau")


def chain_ladder(triangle: Sequence[Sequence[float]]) -> ChainLadder:
    """Final label counts of cohorts when only labelled rows are stored: one row of counts by age per cohort, the oldest cohort complete.

    Factor = all labels by the next age / all labels by this age, over cohorts seen at both. What follows a missing count is ignored.

    >>> chain_ladder([[50, 30, 15, 5], [60, 36, 18], [40, 24], [55]]).ultimates.round(6).tolist()
    [100.0, 120.0, 80.0, 110.0]
    """
    width = max((len(row) for row in triangle), default=0)
    cumulative = np.full((len(triangle), width), nan)
    for row, counts in zip(cumulative, triangle, strict=True):
        row[: len(counts)] = np.cumsum(np.maximum(np.asarray(counts, dtype=float), 0))
    seen = np.isfinite(cumulative)
    before, after = (np.where(seen[:, 1:], part, 0).sum(axis=0) for part in (cumulative[:, :-1], cumulative[:, 1:]))
    factors = np.divide(after, before, out=np.full_like(before, nan), where=before > 0)
    cdf = 1 / np.append(np.cumprod(factors[::-1])[::-1], np.ones(min(width, 1)))
    latest = [row[known][-1:] / cdf[known][-1:] for row, known in zip(cumulative, seen, strict=True)]
    ultimates = np.array([final[0] if final.size else nan for final in latest], dtype=float)
    validity = Validity.TOO_FEW_ROWS if not seen.any() else Validity.UNDEFINED if np.isnan(cdf).any() else Validity.OK
    return ChainLadder(factors=factors, cdf=cdf, ultimates=ultimates, validity=validity)


def nowcast(loss_sums: ArrayLike, counts: ArrayLike, *, loss_squares: ArrayLike, shares: ArrayLike, floor: float = 0.05) -> Result:
    """Mean loss as it will be: each labelled row stands for 1 / F rows, F the share of its age and stratum that has labels by now.

    One entry per age and stratum: sums of the labelled rows' losses and squares, their number, and F. Entries with F < floor are left out,
    because few rows would speak for very many: then the result is preliminary. The interval is that of a weighted ratio and takes F as known.

    >>> round(nowcast([0.3, 0.2, 0.1, 0.4], [1, 1, 1, 1], loss_squares=[0.09, 0.04, 0.01, 0.16], shares=[0.4, 0.6, 0.8, 1.0]).estimate, 6)
    0.250649
    """
    columns = np.broadcast_arrays(*(np.asarray(column, dtype=float) for column in (loss_sums, counts, loss_squares, shares)))
    has_labels = columns[1] > 0
    kept = has_labels & np.isfinite(columns).all(axis=0) & (columns[3] >= floor)
    total, n, squares, share = (column[kept] for column in columns)
    weight = 1 / np.minimum(share, 1)
    if not n.size:
        return Result.missing(Validity.IMMATURE_LABELS, n=0, rule="inverse probability of a label", assumptions=_ASSUMES)
    stands_for = float(weight @ n)
    mean = float(weight @ total) / stands_for
    spread = np.maximum(squares - 2 * mean * total + n * mean**2, 0)
    half = _Z * sqrt(float(weight**2 @ spread)) / stands_for
    effective = stands_for**2 / float(weight**2 @ n)
    validity = Validity.TOO_FEW_ROWS if n.sum() < _MIN_ROWS else Validity.OK if kept[has_labels].all() else Validity.PRELIMINARY
    told = Result(estimate=mean, low=mean - half, high=mean + half, n=int(n.sum()), n_effective=effective, validity=validity)
    return replace(told, assumptions=_ASSUMES, rule="inverse probability of a label")


def development_factors(metric_by_age: ArrayLike, *, band: float = 0.90) -> tuple[Result, ...]:
    """How much the metric still moves after each age: a row per mature cohort, a column per age, the last column final.

    Factor = mean over cohorts of metric(labels up to this age) / metric(final). Its bounds are not the usual 95 % interval but the `band`
    in which one more cohort is expected (Student prediction interval); n counts cohorts.

    >>> [round(age.high, 3) for age in development_factors([[0.9, 1.0], [1.1, 1.0], [2.0, 2.0]])]
    [1.337, 1.0]
    """
    table = np.array(metric_by_age, dtype=float, ndmin=2)
    final = table[:, -1:]
    known = np.isfinite(table) & np.isfinite(final) & (final != 0)
    ratios = np.divide(table, final, out=np.full_like(table, nan), where=known)
    return tuple(_development(column[~np.isnan(column)], band) for column in ratios.T)


def maturity(
    arrived: Result, development: Result, *, n_labelled: int, min_labels: int, margin: float, mature: float = 0.95, preliminary: float = 0.90
) -> Maturity:
    """Whether a window may be judged, and if not, why: labels in, enough of them, and the metric stays where it is.

    `arrived` and `development` are those at the age of the youngest row; the lower bound of `arrived` decides. `margin` is the distance to the
    target as a share of the metric; the development band may use half of it. A development nobody knows yet leaves the window preliminary.
    """
    if arrived.low < preliminary:
        return Maturity.IMMATURE
    if n_labelled < min_labels:
        return Maturity.TOO_FEW_LABELS
    if isnan(development.estimate) or isnan(margin):
        return Maturity.PRELIMINARY
    if max(abs(development.low - 1), abs(development.high - 1)) > abs(margin) / 2:
        return Maturity.UNSTABLE
    return Maturity.PRELIMINARY if arrived.low < mature else Maturity.MATURE


def label_latency(q90_delay: float, *, window: float, pipeline_lag: float = 0.0) -> float:
    """When labels tell of a change: the delay of late ones, half a window and the pipeline together."""
    return q90_delay + window / 2 + pipeline_lag


def delay_ratio(q90_delay: float, half_life: float, *, window: float, pipeline_lag: float = 0.0) -> float:
    """Label latency over the age at which half of the tolerated extra error is used up.

    >>> round(delay_ratio(45, 180, window=14), 3)
    0.289
    """
    latency = label_latency(q90_delay, window=window, pipeline_lag=pipeline_lag)
    if isnan(latency) or isnan(half_life) or min(latency, half_life) < 0 or latency == half_life == inf:
        return nan
    return latency / half_life if half_life else inf


def delay_verdict(ratio: float, *, fast: float = FAST, slow: float = SLOW) -> DelayVerdict:
    """Whether labels come soon enough to track quality (fast), with proxies beside (medium), or so late that proxies lead (slow)."""
    if isnan(ratio):
        return DelayVerdict.UNKNOWN
    if ratio <= fast:
        return DelayVerdict.FAST
    return DelayVerdict.MEDIUM if ratio <= slow else DelayVerdict.SLOW


def _buckets(delays: ArrayLike, arrivals: ArrayLike, predictions: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distinct delays in order with their counts. Rows with a count or delay that is no number are dropped, empty ones at the end too."""
    table = np.array([np.asarray(column, dtype=float) for column in (delays, arrivals, predictions)])
    table = table[:, np.isfinite(table).all(axis=0)]
    times, place = np.unique(table[0], return_inverse=True)
    ended, arrived = np.zeros_like(times), np.zeros_like(times)
    np.add.at(ended, place, np.maximum(table[2], 0))
    np.add.at(arrived, place, np.clip(table[1], 0, np.maximum(table[2], 0)))
    end = int(ended.nonzero()[0][-1]) + 1 if ended.any() else 0
    return times[:end], arrived[:end], ended[:end]


def _waiting_interval(waiting: FloatArray, variance: FloatArray, at_risk: FloatArray) -> tuple[FloatArray, FloatArray]:
    inside = (waiting > 0) & (waiting < 1)
    log = np.log(waiting, out=np.full_like(waiting, -1.0), where=inside)
    spread = _Z * np.sqrt(variance) / np.where(inside, -waiting * log, 1.0)
    power = np.exp(np.minimum(spread, 50.0))
    low, high = waiting**power, waiting ** (1 / power)
    low[waiting == 1] = _TAIL ** (1 / at_risk[waiting == 1])
    if waiting.size and waiting[-1] == 0:
        high[-1] = (high[-2] if high.size > 1 else 1.0) * (1 - _TAIL ** (1 / at_risk[-1]))
    return low, high


def _development(ratios: FloatArray, band: float) -> Result:
    k, rule = ratios.size, f"development factor, {band:.0%} band"
    if k < 2:
        return Result.missing(Validity.TOO_FEW_ROWS, n=k, rule=rule)
    centre = float(ratios.mean())
    half = float(stdtrit(k - 1, (1 + band) / 2)) * float(ratios.std(ddof=1)) * sqrt(1 + 1 / k)
    return Result(estimate=centre, low=centre - half, high=centre + half, n=k, rule=rule)
