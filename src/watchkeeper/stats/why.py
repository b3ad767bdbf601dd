"""What changed when a loss changed: the mix or the segments, the inputs or the concept, which feature, and when.

These say where a change sits, not what caused it. Data quality comes first: a broken column explains most of what they would find.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, log, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from watchkeeper.stats.result import Assumption, Result, Validity

FloatArray = NDArray[np.float64]

_Z = 1.959963984540054
_MIN_WINDOWS = 20


@dataclass(frozen=True, kw_only=True)
class MixWithin:
    """What each segment adds to the change: by being more or less of the whole (mix), and by doing better or worse (within)."""

    mix: FloatArray
    within: FloatArray
    change: float
    validity: Validity


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A change of loss in three terms: towards the shared inputs, the concept among these, and away to the new inputs."""

    to_shared: float = nan
    concept: float = nan
    from_shared: float = nan
    change: float = nan
    overlap: float
    validity: Validity = Validity.OK


@dataclass(frozen=True, kw_only=True)
class RankedFeature:
    name: str
    correlation: float = nan
    p: float = nan
    score: float = nan
    validity: Validity


@dataclass(frozen=True, kw_only=True)
class ChangePoint:
    """The first point after a shift of the mean. `gain` is the squared error it saves, in noise variances, beyond the penalty."""

    index: int
    before: float
    after: float
    gain: float


@dataclass(frozen=True, kw_only=True)
class Changes:
    points: tuple[ChangePoint, ...] = ()
    validity: Validity = Validity.OK

    @property
    def strongest(self) -> ChangePoint | None:
        return max(self.points, key=lambda point: point.gain, default=None)


def mix_within(counts_before: ArrayLike, loss_before: ArrayLike, *, counts_after: ArrayLike, loss_after: ArrayLike) -> MixWithin:
    """Kitagawa decomposition of a change of the mean loss, by segment.

    Mix = change of share × (mean loss of the segment − mean of the two totals); within = change of loss × mean share.
    A segment seen on one side only is all mix. Kitagawa 1955.

    >>> terms = mix_within([60, 30, 10], [0.1, 0.2, 0.3], counts_after=[40, 40, 20], loss_after=[0.1, 0.26, 0.3])
    >>> terms.mix.round(4).tolist(), terms.within.round(4).tolist()
    ([0.0154, 0.0053, 0.0123], [0.0, 0.021, 0.0])
    """
    before, after = _shares(counts_before), _shares(counts_after)
    known_before, known_after = _losses(loss_before, before), _losses(loss_after, after)
    old, new = np.where(before > 0, known_before, known_after), np.where(after > 0, known_after, known_before)
    total_before, total_after = float(before @ old), float(after @ new)
    mix = (after - before) * ((old + new) / 2 - (total_before + total_after) / 2)
    within = (new - old) * (before + after) / 2
    if not (before.any() and after.any()):
        return MixWithin(mix=mix * nan, within=within * nan, change=nan, validity=Validity.TOO_FEW_ROWS)
    validity = Validity.OK if isfinite(total_after - total_before) else Validity.UNDEFINED
    return MixWithin(mix=mix, within=within, change=total_after - total_before, validity=validity)


def split_shift(
    counts_before: ArrayLike, loss_before: ArrayLike, *, counts_after: ArrayLike, loss_after: ArrayLike, min_overlap: float = 0.1
) -> Shift:
    """DISDE on strata of the inputs: is it the inputs (outer terms) or what they mean for the target (concept)?

    Shared weight ∝ p q / (p + q) per stratum. The terms are shared − before at the old loss, new − old loss at the shared weights, and
    after − shared at the new loss. The concept term is only as good as the strata. Cai, Namkoong and Yadlowsky, arXiv 2303.02011.

    >>> shift = split_shift([50, 50], [0.1, 0.2], counts_after=[20, 80], loss_after=[0.15, 0.3])
    >>> [round(term, 6) for term in (shift.to_shared, shift.concept, shift.from_shared)]
    [0.018293, 0.084146, 0.017561]
    """
    p, q = _shares(counts_before), _shares(counts_after)
    old, new = _losses(loss_before, p), _losses(loss_after, q)
    overlap = float(np.minimum(p, q).sum())
    if not (p.any() and q.any()):
        return Shift(overlap=overlap, validity=Validity.TOO_FEW_ROWS)
    if overlap < min_overlap:
        return Shift(overlap=overlap, validity=Validity.OUT_OF_SUPPORT)
    shared = _shares(np.divide(p * q, p + q, out=np.zeros_like(p), where=p + q > 0))
    at_old, at_new = float(shared @ old), float(shared @ new)
    before, after = float(p @ old), float(q @ new)
    terms = Shift(to_shared=at_old - before, concept=at_new - at_old, from_shared=after - at_new, change=after - before, overlap=overlap)
    return terms if isfinite(terms.change) else Shift(overlap=overlap, validity=Validity.UNDEFINED)


def swap_attribution(counts_after: ArrayLike, counts_before: ArrayLike, *, loss_sums: ArrayLike, loss_squares: ArrayLike) -> Result:
    """What the reference loss would change by if one feature had today's distribution and everything else stayed: Σ q · loss − mean loss.

    Per bin of the feature: today's rows, the reference's rows, and the reference's sums of losses and their squares. Bins the reference does
    not know are left out; beyond 5 % of today's rows the result is out of support. Terms of several features need not add up to the total.

    >>> round(swap_attribution([20, 80], [50, 50], loss_sums=[5, 10], loss_squares=[5, 10]).estimate, 6)
    0.03
    """
    rule, assumes = "swap attribution", (Assumption.INSIDE_SUPPORT, Assumption.NO_CONCEPT_DRIFT, Assumption.INDEPENDENT_ROWS)
    today, known, sums, squares = _counts(counts_after), _counts(counts_before), _finite(loss_sums), _finite(loss_squares)
    n, inside = int(today.sum()), (known > 0) & np.isfinite(sums + squares)
    if not today[inside].any():
        return Result.missing(Validity.OUT_OF_SUPPORT if n and inside.any() else Validity.TOO_FEW_ROWS, n=n, rule=rule, assumptions=assumes)
    q, p = _shares(today[inside]), _shares(known[inside])
    rows, loss = known[inside], sums[inside] / known[inside]
    noise = np.maximum(squares[inside] / rows - loss**2, 0) / rows
    sampling = sum(float(w @ loss**2 - (w @ loss) ** 2) / m for w, m in ((q, today[inside].sum()), (p, rows.sum())))
    half = _Z * sqrt(max(float((q - p) ** 2 @ noise) + sampling, 0.0))
    change, validity = float((q - p) @ loss), Validity.OUT_OF_SUPPORT if today[~inside].sum() > 0.05 * n else Validity.OK
    return Result(estimate=change, low=change - half, high=change + half, n=n, validity=validity, assumptions=assumes, rule=rule)


def rank_features(
    drift: Mapping[str, ArrayLike],
    loss: ArrayLike,
    *,
    rng: np.random.Generator,
    importance: Mapping[str, float] | None = None,
    permutations: int = 999,
) -> tuple[RankedFeature, ...]:
    """Features by |correlation| of their drift with the loss × importance, the strongest first.

    First differences, because two trends always correlate; p by permutation of the loss's differences; preliminary below 20 of them. p is
    right for series that wander; where windows do not remember each other it is too small (.10 of them fall below .05).

    >>> [feature.name for feature in rank_features({"age": [1, 2, 1, 2, 4], "income": [1, 1, 1, 2, 1]}, [1, 2, 1, 2, 4], rng=np.random.default_rng(0))]
    ['age', 'income']
    """
    steps = np.diff(_finite(loss))
    ranked = [_rank(name, np.diff(_finite(series)), steps, (importance or {}).get(name, 1.0), rng, permutations) for name, series in drift.items()]
    return tuple(sorted(ranked, key=lambda feature: (-feature.score if isfinite(feature.score) else 1.0, feature.p, feature.name)))


def change_points(series: ArrayLike, *, penalty: float | None = None, min_size: int = 2, max_points: int = 1000) -> Changes:
    """Where the mean of a series shifted: the segmentation with the least squared error plus a penalty per change, found exactly.

    Noise variance from first differences, so that a shift is no noise; penalty 3 ln n (Zhang and Siegmund 2007) in units of it. Windows that
    are no number are skipped; of a longer series the newest `max_points` are read. Autocorrelated series show more changes than there are.

    >>> change_points([1, 2, 1, 2, 1, 2, 8, 9, 8, 9, 8, 9]).points[0].index
    6
    """
    values = _finite(series)
    places = np.flatnonzero(np.isfinite(values))[-max_points:]
    known = values[places]
    if known.size < 2 * min_size or known.size < 4:
        return Changes(validity=Validity.TOO_FEW_ROWS)
    noise = _noise(known)
    cost = penalty if penalty is not None else 3 * log(known.size)
    edges = [0, *_segment((known - np.median(known)) / noise, cost, min_size), known.size]
    means = [float(part.mean()) for part in np.split(known, edges[1:-1])]
    return Changes(points=tuple(_point(i, edges, means, places, noise, cost) for i in range(1, len(means))))


def slice_score(slice_loss: float, mean_loss: float, *, n: float, size: float, alpha: float = 0.95) -> float:
    """SliceLine's score of a slice of `size` of `n` rows: α (slice loss / mean loss − 1) − (1 − α)(n / size − 1); NaN for an empty slice.

    Above 0 the slice is worse than its smallness excuses. Sagadeeva and Boehm, SIGMOD 2021.

    >>> round(slice_score(0.3, 0.1, n=1000, size=100), 6)
    1.45
    """
    if not (mean_loss > 0 and size > 0 and isfinite(slice_loss)):
        return nan
    return alpha * (slice_loss / mean_loss - 1) - (1 - alpha) * (n / size - 1)


def _finite(column: ArrayLike) -> FloatArray:
    values = np.asarray(column, dtype=float)
    return np.where(np.isfinite(values), values, nan)


def _counts(column: ArrayLike) -> FloatArray:
    return np.maximum(np.nan_to_num(_finite(column)), 0)


def _shares(column: ArrayLike) -> FloatArray:
    counts = _counts(column)
    return counts / (counts.sum() or 1)


def _losses(column: ArrayLike, shares: FloatArray) -> FloatArray:
    return np.where(shares > 0, _finite(column), 0.0)


def _rank(name: str, moves: FloatArray, steps: FloatArray, importance: float, rng: np.random.Generator, permutations: int) -> RankedFeature:
    both = np.isfinite(moves) & np.isfinite(steps)
    if both.sum() < 3:
        return RankedFeature(name=name, validity=Validity.TOO_FEW_ROWS)
    x, y = moves[both] - moves[both].mean(), steps[both] - steps[both].mean()
    norm, product = sqrt(float(x @ x) * float(y @ y)), float(x @ y)
    if not norm:
        return RankedFeature(name=name, validity=Validity.UNDEFINED)
    shuffled = rng.permuted(np.tile(y, (permutations, 1)), axis=1) @ x
    p = (1 + int((np.abs(shuffled) >= abs(product) - 1e-12 * norm).sum())) / (1 + permutations)
    validity = Validity.PRELIMINARY if both.sum() < _MIN_WINDOWS else Validity.OK
    return RankedFeature(name=name, correlation=product / norm, p=p, score=abs(product / norm) * importance, validity=validity)


def _noise(values: FloatArray) -> float:
    """Standard deviation from first differences (von Neumann); the floor keeps rounding errors from counting as shifts."""
    spread = sqrt(float((np.diff(values) ** 2).mean()) / 2)
    return max(spread, 1e-9 * float(np.abs(values).max()), 1e-6 * float(np.ptp(values))) or 1.0


def _segment(values: FloatArray, penalty: float, min_size: int) -> list[int]:
    """Inner edges of the best segmentation, by dynamic programming over the start of the last segment."""
    n = values.size
    sums, squares = np.append(0, values.cumsum()), np.append(0, (values**2).cumsum())
    best, start = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=int)
    best[0] = -penalty
    for end in range(min_size, n + 1):
        begin = slice(0, end - min_size + 1)
        cost = best[begin] + penalty + squares[end] - squares[begin] - (sums[end] - sums[begin]) ** 2 / (end - np.arange(begin.stop))
        start[end] = cost.argmin()
        best[end] = cost[start[end]]
    edges = []
    while n := int(start[n]):
        edges.append(n)
    return edges[::-1]


def _point(i: int, edges: list[int], means: list[float], places: NDArray[np.int64], noise: float, penalty: float) -> ChangePoint:
    left, right = edges[i] - edges[i - 1], edges[i + 1] - edges[i]
    saved = left * right / (left + right) * ((means[i] - means[i - 1]) / noise) ** 2
    return ChangePoint(index=int(places[edges[i]]), before=means[i - 1], after=means[i], gain=saved - penalty)
