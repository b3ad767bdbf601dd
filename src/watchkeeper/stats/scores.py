"""The binned score table of a binary model: what one window and segment keeps of its scores, decisions and labels. Computes no metric.

There are 202 score codes: 0 below 0, 1 to 200 equal bins of [0, 1] (exactly 1 is in the last), 201 above 1. Tables add up over windows.
At the end are the intervals that all metrics made of counts and sums share.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from math import inf, isfinite, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from watchkeeper.stats.result import Assumption, Result, Validity

Floats = NDArray[np.float64]

BINS = 200
CODES = BINS + 2
BIN_WIDTH = 1 / BINS
PROBABILITIES = slice(1, BINS + 1)  # the codes whose scores can be probabilities
_MIDDLE = np.clip((np.arange(CODES) - 0.5) * BIN_WIDTH, 0.0, 1.0)  # of each code

Z_95 = 1.959963984540054
INDEPENDENT = (Assumption.INDEPENDENT_ROWS,)

_LEVEL = 0.975
_TOO_LARGE = 1e100
_MIN_ROWS = 30
_ROUNDING = 1e-12
_SAME_SCORE = 1e-11  # of the mean score: the variance that the rounding of a long sum can leave where all scores of a bin are equal


class Interval(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreTable:
    """Sums by score code, each of 202: rows `n`, Σs, Σs(1-s), labelled rows, labels that are 1, Σs of labelled rows, positive decisions.

    `tp`, `fp`, `fn`, `tn` count labelled rows by the logged decision, which need not follow a bin edge.

    >>> table = ScoreTable.of([0.9, 0.2, 1.0], labels=[1, 0, 1]) + ScoreTable.of([0.4], labels=[1])
    >>> table.rows, table.positives, (table.tp, table.fp, table.fn, table.tn)
    (4, 3, (2, 0, 1, 1))
    """

    n: Floats
    sum_s: Floats
    sum_s1ms: Floats
    n_labelled: Floats
    sum_y: Floats
    sum_s_labelled: Floats
    predicted_positive: Floats
    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @classmethod
    def empty(cls) -> ScoreTable:
        return cls.of([])

    @classmethod
    def of(cls, scores: ArrayLike, labels: ArrayLike | None = None, predictions: ArrayLike | None = None, *, threshold: float = 0.5) -> ScoreTable:
        """The table of raw rows. A label that is NaN is missing; decisions default to score >= threshold.

        A row whose score is NaN is left out. An infinite score, or one too large to square, has its code and adds nothing to the sums.
        """
        s = np.asarray(scores, dtype=np.float64).ravel()
        y = np.full_like(s, np.nan) if labels is None else np.asarray(labels, dtype=np.float64).ravel()
        said = (s >= threshold) if predictions is None else np.asarray(predictions, dtype=np.float64).ravel() == 1
        known = ~np.isnan(s)
        s, y, said = s[known], y[known], said[known]
        code, finite, labelled = score_codes(s), np.where(np.abs(s) < _TOO_LARGE, s, 0.0), ~np.isnan(y)
        is_one = labelled & (y == 1)
        is_zero = labelled & ~is_one
        return cls(
            n=_by_code(code, np.ones_like(s)),
            sum_s=_by_code(code, finite),
            sum_s1ms=_by_code(code, finite * (1 - finite)),
            n_labelled=_by_code(code, labelled),
            sum_y=_by_code(code, is_one),
            sum_s_labelled=_by_code(code, finite * labelled),
            predicted_positive=_by_code(code, said),
            tp=int((said & is_one).sum()),
            fp=int((said & is_zero).sum()),
            fn=int((~said & is_one).sum()),
            tn=int((~said & is_zero).sum()),
        )

    def __add__(self, other: ScoreTable) -> ScoreTable:
        return ScoreTable(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})

    def __sub__(self, part: ScoreTable) -> ScoreTable:
        """The table without the rows of a part of it."""
        return ScoreTable(**{field.name: getattr(self, field.name) - getattr(part, field.name) for field in fields(self)})

    @cached_property
    def rows(self) -> int:
        return int(self.n.sum())

    @cached_property
    def labelled(self) -> int:
        return int(self.n_labelled.sum())

    @cached_property
    def positives(self) -> int:
        return int(self.sum_y.sum())

    @property
    def decided(self) -> int:
        """Labelled rows with a decision."""
        return self.tp + self.fp + self.fn + self.tn

    @cached_property
    def outside(self) -> int:
        """Rows whose score cannot be a probability."""
        return self.rows - int(self.n[PROBABILITIES].sum())

    @cached_property
    def mean_score(self) -> Floats:
        """Mean score of the rows of each code; the middle of the bin where there are none."""
        return _means(self.sum_s, self.n)

    @cached_property
    def mean_labelled_score(self) -> Floats:
        """Mean score of the labelled rows of each code; the middle of the bin where there are none."""
        return _means(self.sum_s_labelled, self.n_labelled)

    @property
    def probabilities(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Of the codes inside [0, 1]: mean score of the labelled rows, their number, their positives, variance of the scores."""
        inside = PROBABILITIES
        return self.mean_labelled_score[inside], self.n_labelled[inside], self.sum_y[inside], self.score_variance[inside]

    def equal_mass(self, bins: int, *, least: int) -> tuple[Floats, Floats, Floats]:
        """Labelled rows, expected and observed positives in merged bins of about equal size, fewer when they would hold under `least` rows."""
        m, n, k, _ = self.probabilities
        merged = max(min(bins, int(n.sum() // least)), 1)
        place = np.minimum((merged * (np.cumsum(n) - n / 2) / max(n.sum(), 1)).astype(np.int64), merged - 1)
        sums = np.stack([np.asarray(np.bincount(place, weights=weights), dtype=np.float64) for weights in (n, n * m, k)])
        rows, expected, observed = sums[:, sums[0] > 0]
        return rows, expected, observed

    @cached_property
    def score_variance(self) -> Floats:
        """Variance of the scores within each code, from Σs² = Σs - Σs(1-s). Exactly 0 where all are equal."""
        squares = _means(self.sum_s - self.sum_s1ms, self.n, empty=0.0)
        mean = np.where(self.n > 0, self.mean_score, 0.0)
        variance = np.maximum(squares - mean**2, 0.0)
        return np.where(variance <= _SAME_SCORE * np.abs(mean), 0.0, variance)


def score_codes(scores: ArrayLike) -> NDArray[np.int64]:
    """The code of each score. A score that is NaN has none: leave it out before.

    >>> score_codes([-0.1, 0.0, 0.005, 1.0, 1.1]).tolist()
    [0, 1, 2, 200, 201]
    """
    s = np.asarray(scores, dtype=np.float64)
    inside = np.minimum(np.floor(np.clip(s, 0.0, 1.0) * BINS).astype(np.int64) + 1, BINS)
    return np.where(s < 0, 0, np.where(s > 1, CODES - 1, inside))


def pooled(tables: Iterable[ScoreTable]) -> ScoreTable:
    """The sum of tables, of none too."""
    return sum(tables, ScoreTable.empty())


def isotonic_curve(n: Floats, k: Floats) -> tuple[Floats, NDArray[np.int64], Floats]:
    """The rising curve of k / n by code, the block of each code, and the rows of that block. Codes without rows lie between their neighbours.

    Pool adjacent violators. One row with the share of all is added to each block, so that a block without positives is not certain.

    >>> table = ScoreTable.of([0.1] * 9 + [0.2] * 9 + [0.3] * 9, labels=[0] * 6 + [1] * 3 + [0] * 7 + [1] * 2 + [0] * 1 + [1] * 8)
    >>> isotonic_curve(table.n_labelled, table.sum_y)[0][[21, 41, 61]].round(2).tolist()
    [0.29, 0.29, 0.85]
    """
    from scipy.optimize import isotonic_regression  # most of a second of imports, and only here

    seen = np.flatnonzero(n)
    if not seen.size:
        return np.full(CODES, 0.5), np.zeros(CODES, dtype=np.int64), np.zeros(CODES)
    edges = isotonic_regression(k[seen] / n[seen], weights=n[seen]).blocks
    block = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    rows, positives = (np.asarray(np.bincount(block, weights=counts[seen]), dtype=np.float64) for counts in (n, k))
    values = (positives + (k.sum() + 0.5) / (n.sum() + 1)) / (rows + 1)
    nearest = np.clip(np.searchsorted(seen, np.arange(CODES), side="right") - 1, 0, None)
    return np.asarray(np.interp(np.arange(CODES), seen, values[block])), block[nearest], rows[block[nearest]]


def wilson_interval(successes: float, trials: float) -> Interval:
    """Score interval of a share: (s + z²/2 ± z √(s(n-s)/n + z²/4)) / (n + z²). Wilson 1927.

    >>> [round(bound, 4) for bound in wilson_interval(8, 10)]
    [0.4902, 0.9433]
    """
    if trials <= 0:
        return Interval(0.0, 1.0)
    middle = successes + Z_95**2 / 2
    half = Z_95 * sqrt(max(successes * (trials - successes), 0.0) / trials + Z_95**2 / 4)
    low, high = (middle - half) / (trials + Z_95**2), (middle + half) / (trials + Z_95**2)
    return Interval(low if successes > 0 else 0.0, high if successes < trials else 1.0)


def share_result(successes: float, trials: float, *, n: int, rule: str = "Wilson") -> Result:
    """A share with its Wilson interval. Undefined without trials, missing with a single one."""
    if trials < 2:
        return Result.missing(Validity.TOO_FEW_ROWS if trials else Validity.UNDEFINED, n=n, rule=rule, assumptions=INDEPENDENT)
    return told(successes / trials, wilson_interval(successes, trials), n=n, n_effective=trials, rule=rule)


def mean_result(total: float, squares: float, n: int, *, low: float = -inf, high: float = inf, rule: str = "mean") -> Result:
    """A mean with its Student interval, from Σx and Σx². Values that cannot leave `low` to `high` give bounds that do not either.

    Where all values of such a bounded mean are equal there is no spread to learn from; the interval is then Wilson's, the widest there is.

    >>> result = mean_result(6, 14, 3)
    >>> result.estimate, round(result.low, 3), round(result.high, 3)
    (2.0, -0.484, 4.484)
    """
    if n < 2:
        return Result.missing(Validity.TOO_FEW_ROWS, n=n, rule=rule, assumptions=INDEPENDENT)
    if not (isfinite(total) and isfinite(squares)):
        return Result.missing(Validity.UNDEFINED, n=n, rule=rule, assumptions=INDEPENDENT)
    mean = total / n
    variance = max(squares - total * mean, 0.0) / (n - 1)
    if variance <= _ROUNDING * mean**2 and isfinite(high - low):
        share = min(max((mean - low) / (high - low), 0.0), 1.0)
        return told(mean, Interval(*(low + bound * (high - low) for bound in wilson_interval(share * n, n))), n=n, rule=rule)
    half = float(stdtrit(n - 1, _LEVEL)) * sqrt(variance / n)
    return told(mean, Interval(max(mean - half, low), min(mean + half, high)), n=n, rule=rule)


def told(estimate: float, interval: Interval, *, n: int, rule: str, n_effective: float = nan, validity: Validity = Validity.OK) -> Result:
    """An estimate with its interval, which always holds it. Under 30 effective rows it may not be judged."""
    effective = n if np.isnan(n_effective) else n_effective
    return Result(
        estimate=estimate,
        low=min(interval.low, estimate),
        high=max(interval.high, estimate),
        n=n,
        n_effective=effective,
        validity=Validity.TOO_FEW_ROWS if effective < _MIN_ROWS else validity,
        assumptions=INDEPENDENT,
        rule=rule,
    )


def _by_code(code: NDArray[np.int64], weights: ArrayLike) -> Floats:
    return np.asarray(np.bincount(code, weights=np.asarray(weights, dtype=np.float64), minlength=CODES), dtype=np.float64)


def _means(total: Floats, n: Floats, *, empty: float | None = None) -> Floats:
    means: Floats = np.divide(total, n, out=_MIDDLE.copy() if empty is None else np.full(CODES, empty), where=(n > 0) & np.isfinite(total))
    return means
