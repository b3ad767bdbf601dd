"""Performance of a binary model before its labels arrive, from calibrated scores (CBPE). Cannot see that what the features mean has changed.

A label is taken as a coin with the calibrated probability of its score and segment: TP is the sum of it over positive decisions, and so on
(Kivimäki et al. 2025, arXiv 2505.05295). The calibration of each segment is shrunk to that of all; that repairs shifts between segments.
The band has two parts: the coins (Poisson-binomial) and what the reference labels leave open about the calibration (Beta posterior).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, partial
from itertools import pairwise
from math import hypot, inf, isfinite, nan, sqrt
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from watchkeeper.stats.result import Assumption, Result, Validity
from watchkeeper.stats.scores import CODES, Z_95, Floats, ScoreTable, isotonic_curve

ASSUMPTIONS = (Assumption.CALIBRATED, Assumption.INSIDE_SUPPORT, Assumption.NO_CONCEPT_DRIFT, Assumption.INDEPENDENT_ROWS)

_MIN_ROWS = 100  # the band is a normal approximation
_LEAST_EFFECTIVE = 200.0
_LEAST_EFFECTIVE_SHARE = 0.1
_MOST_UNSUPPORTED = 0.05
_NOTHING = 1e-9  # expected rows
_NEAR = 5  # codes, 0.025 of score


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrationMap:
    """Probability by segment and score code. `curve` is the isotonic one of all rows, with its blocks of equal value and their rows.

    `belongs` (codes x groups) makes groups of about equally many rows. In each, a segment is shifted by (positives - expected) /
    (rows + strength): the posterior mean under a Beta prior worth `strength` rows. Codes far from all reference rows belong to none.
    """

    curve: Floats
    blocks: NDArray[np.int64]
    block_rows: Floats
    belongs: NDArray[np.bool_]
    rows_of: Mapping[str, Floats]
    shift_of: Mapping[str, Floats]
    strength: float
    _probabilities: dict[tuple[str, ...], Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, reference: Mapping[str, ScoreTable], *, strength: float = 30.0, groups: int = 20) -> CalibrationMap:
        """Learned from the labelled rows of a reference, by segment.

        >>> reference = {"": ScoreTable.of([0.2] * 500 + [0.8] * 500, labels=[1] * 50 + [0] * 450 + [1] * 450 + [0] * 50)}
        >>> window = {"": ScoreTable.of([0.2] * 60 + [0.8] * 40)}
        >>> round(estimates(window, CalibrationMap.of(reference))["accuracy"].result.estimate, 3)
        0.9
        """
        n, k = (_stacked(reference, name) for name in ("n_labelled", "sum_y"))
        curve, blocks, block_rows = isotonic_curve(n.sum(axis=0), k.sum(axis=0))
        belongs, strength = _groups(n.sum(axis=0), groups), max(strength, 1e-6)
        shift = (k - n * curve) @ belongs / (n @ belongs + strength)
        rows_of, shift_of = (dict(zip(reference, table, strict=True)) for table in (n @ belongs, shift))
        return cls(curve=curve, blocks=blocks, block_rows=block_rows, belongs=belongs, rows_of=rows_of, shift_of=shift_of, strength=strength)

    def probabilities(self, segments: Iterable[str]) -> Floats:
        """Segments x codes. A segment that the reference does not have follows the curve. Kept: every window of a model has the same segments."""
        names = tuple(segments)
        if names not in self._probabilities:
            self._probabilities[names] = np.clip(self.curve + self._of_segments(self.shift_of, names) @ self.belongs.T, 0.0, 1.0)
        return self._probabilities[names]

    def rows(self, segments: Iterable[str]) -> Floats:
        """Segments x groups: labelled reference rows."""
        return self._of_segments(self.rows_of, segments)

    def variance(self, segments: Iterable[str], weights: Floats) -> float:
        """Posterior variance of Σ weight x probability: a segment's own part by group, and the curve's by block, as far as it follows it."""
        prior = self.rows(segments) + self.strength
        size = np.abs(weights) @ self.belongs
        mean = (np.abs(weights) * self.probabilities(segments)) @ self.belongs / np.where(size > 0, size, 1.0)
        own = (weights @ self.belongs) ** 2 * mean * (1 - mean) / (prior + 1)
        follows = (weights * ((self.strength / prior) @ self.belongs.T)).sum(axis=0)
        common = np.bincount(self.blocks, weights=follows * np.sqrt(self.curve * (1 - self.curve) / (self.block_rows + 1)))
        return float(own.sum() + (common**2).sum())

    def _of_segments(self, tables: Mapping[str, Floats], segments: Iterable[str]) -> Floats:
        nothing = np.zeros(self.belongs.shape[1])
        return np.stack([tables.get(segment, nothing) for segment in segments])


class Support(NamedTuple):
    """How well the reference covers a window: rows it is worth after weighting, of how many, and the share of the window it does not cover."""

    effective: float
    n: float
    unsupported: float

    @property
    def is_enough(self) -> bool:
        return self.effective >= max(_LEAST_EFFECTIVE, _LEAST_EFFECTIVE_SHARE * self.n) and self.unsupported <= _MOST_UNSUPPORTED


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimated metric. `label_sd` is the chance of the labels, `map_sd` what is open about the calibration; `sd` and the result have both."""

    result: Result
    label_sd: float = nan
    map_sd: float = nan

    @property
    def sd(self) -> float:
        return hypot(self.label_sd, self.map_sd)


class Trust(StrEnum):
    UNTESTED = "untested"
    TRUSTED = "trusted"
    DISTRUSTED = "distrusted"


@dataclass(frozen=True, kw_only=True)
class TrackRecord:
    """Estimates against the truth of the windows that have matured: root mean squared error and the share that the bands held."""

    windows: int = 0
    rmse: float = nan
    coverage: float = nan
    trust: Trust = Trust.UNTESTED


@dataclass(frozen=True, eq=False)
class _Cells:
    """A window as segments x codes. Most metrics need neither the scores nor their squares: each is made when it is asked for."""

    window: Mapping[str, ScoreTable]
    calibration: CalibrationMap | None

    @cached_property
    def n(self) -> Floats:
        """Rows."""
        return _stacked(self.window, "n")

    @cached_property
    def decided(self) -> Floats:
        """Rows decided positive."""
        return _stacked(self.window, "predicted_positive")

    @cached_property
    def score(self) -> Floats:
        """Mean score."""
        return np.clip(_stacked(self.window, "mean_score"), 0.0, 1.0)

    @cached_property
    def sum_s2(self) -> Floats:
        """Σs²; scores outside of [0, 1] count as 0 or 1."""
        within = np.where((self.score > 0) & (self.score < 1), _stacked(self.window, "score_variance"), 0.0)
        return np.asarray(self.n * (self.score**2 + within))

    @cached_property
    def p(self) -> Floats:
        """Probability."""
        return self.calibration.probabilities(self.window) if self.calibration else self.score

    @cached_property
    def chance(self) -> Floats:
        """Σp(1-p)."""
        if self.calibration is None:
            return np.maximum(self.n * self.score - self.sum_s2, 0.0)
        return np.asarray(self.n * self.p * (1 - self.p))

    @cached_property
    def squared_error(self) -> Floats:
        """Expected Σ(s - y)²."""
        if self.calibration is None:
            return np.asarray(self.n * self.score - self.sum_s2)
        return np.asarray(self.sum_s2 - 2 * self.n * self.score * self.p + self.n * self.p)


class _Slope(NamedTuple):
    """A metric, and what it gains when the label of a row becomes 1, by the row's decision."""

    value: float = nan
    if_positive: Floats | float = nan
    if_negative: Floats | float = nan


def estimates(window: Mapping[str, ScoreTable], calibration: CalibrationMap | None = None, *, metrics: Collection[str] = ()) -> dict[str, Estimate]:
    """Metrics of a window of unlabelled rows by segment, all when none is named. Without a calibration the scores are believed, results preliminary.

    >>> window = {"": ScoreTable.of([0.9, 0.8, 0.3, 0.2, 0.6])}
    >>> {name: round(estimate.result.estimate, 4) for name, estimate in estimates(window).items() if name in ("f1", "roc_auc")}
    {'f1': 0.7931, 'roc_auc': 0.8084}
    """
    n, wanted = sum(table.rows for table in window.values()), metrics or tuple(ESTIMATORS)
    rule = "CBPE, calibrated by segment" if calibration else "CBPE on raw scores"
    covered = support(window, calibration) if calibration else _believed(window)
    if n < 2 or not covered.is_enough:
        return dict.fromkeys(wanted, _missing(Validity.TOO_FEW_ROWS if n < 2 else Validity.OUT_OF_SUPPORT, n, rule))
    validity = Validity.TOO_FEW_ROWS if n < _MIN_ROWS else Validity.OK if calibration else Validity.PRELIMINARY
    blank = Result(estimate=nan, n=n, n_effective=covered.effective if calibration else n, validity=validity, assumptions=ASSUMPTIONS, rule=rule)
    cells = _Cells(window, calibration)
    return {name: _estimate(ESTIMATORS[name](cells), cells, calibration, window, blank) for name in wanted}


def support(window: Mapping[str, ScoreTable], calibration: CalibrationMap) -> Support:
    """Effective sample size (Σw)² / Σw² of the reference, weighted so that its segments and score groups have the window's shares.

    Only the segments of the window count. Rows are unsupported whose segment has no reference in their group, or whose score is far from all.
    """
    if not window:
        return Support(0.0, 0.0, 1.0)
    rows, n = calibration.rows(window), _stacked(window, "n")
    asked, has = n @ calibration.belongs, rows > 0
    squares = float((asked[has] ** 2 / rows[has]).sum())
    covered, total = float(asked[has].sum()), float(n.sum())
    return Support(covered**2 / squares if squares else 0.0, float(rows.sum()), 1 - covered / total if total else 1.0)


def track_record(results: Sequence[Result], truths: ArrayLike) -> TrackRecord:
    """Estimates against realised values, oldest first; windows without either are left out. A miss is a truth outside of the band.

    Two misses in a row make the estimator distrusted, two hits in a row trusted again.

    >>> track_record([Result(estimate=0.8, low=0.7, high=0.9, n=500)] * 3, [0.75, 0.65, 0.6]).trust.value
    'distrusted'
    """
    pairs = [(result, float(truth)) for result, truth in zip(results, np.asarray(truths, dtype=np.float64), strict=True)]
    matured = [(result, truth) for result, truth in pairs if isfinite(result.estimate) and isfinite(truth)]
    if not matured:
        return TrackRecord()
    hits = [result.low <= truth <= result.high for result, truth in matured]
    rmse = sqrt(fmean((result.estimate - truth) ** 2 for result, truth in matured))
    return TrackRecord(windows=len(hits), rmse=rmse, coverage=fmean(hits), trust=trust_after(hits))


def trust_after(hits: Sequence[bool]) -> Trust:
    """What hits and misses, oldest first, say of an estimator."""
    trust = Trust.TRUSTED if hits else Trust.UNTESTED
    for before, latest in pairwise(hits):
        trust = trust if before != latest else Trust.TRUSTED if latest else Trust.DISTRUSTED
    return trust


def scenario_bound(accuracy: Result, delta: float) -> Result:
    """The band of an accuracy if P(y|x) has moved by at most `delta` in total variation on average: wider by delta on each side.

    >>> bound = scenario_bound(Result(estimate=0.8, low=0.75, high=0.85, n=500), 0.1)
    >>> round(bound.low, 2), round(bound.high, 2)
    (0.65, 0.95)
    """
    assumptions = tuple(assumption for assumption in accuracy.assumptions if assumption is not Assumption.NO_CONCEPT_DRIFT)
    return replace(accuracy, low=max(accuracy.low - delta, 0.0), high=min(accuracy.high + delta, 1.0), assumptions=assumptions)


def _decisions(cells: _Cells, *, over: Sequence[int], under: Sequence[int]) -> _Slope:
    """A ratio of two sums of the expected (tp, fp, fn, tn), each with its factors."""
    kept = cells.n - cells.decided
    expected = [float((rows * chance).sum()) for rows in (cells.decided, kept) for chance in (cells.p, 1 - cells.p)]
    total = float(np.dot(under, expected))
    if total < _NOTHING:
        return _Slope()
    ratio = float(np.dot(over, expected)) / total
    pull = (np.asarray(over) - ratio * np.asarray(under)) / total
    return _Slope(ratio, float(pull[0] - pull[1]), float(pull[2] - pull[3]))


def _roc_auc(cells: _Cells) -> _Slope:
    positive, negative = (cells.n * cells.p).sum(axis=0), (cells.n * (1 - cells.p)).sum(axis=0)
    p, n = float(positive.sum()), float(negative.sum())
    if min(p, n) < _NOTHING:
        return _Slope()
    beaten, beating = np.cumsum(negative) - negative / 2, p - np.cumsum(positive) + positive / 2
    auc = float(positive @ beaten) / (p * n)
    gain = (beaten - beating - auc * (n - p)) / (p * n)
    return _Slope(auc, gain, gain)


def _brier(cells: _Cells) -> _Slope:
    n, gain = float(cells.n.sum()), 1 - 2 * cells.score
    return _Slope(float(cells.squared_error.sum()) / n, gain / n, gain / n)


ESTIMATORS: Mapping[str, Callable[[_Cells], _Slope]] = {
    "accuracy": partial(_decisions, over=(1, 0, 0, 1), under=(1, 1, 1, 1)),
    "precision": partial(_decisions, over=(1, 0, 0, 0), under=(1, 1, 0, 0)),
    "recall": partial(_decisions, over=(1, 0, 0, 0), under=(1, 0, 1, 0)),
    "specificity": partial(_decisions, over=(0, 0, 0, 1), under=(0, 1, 0, 1)),
    "f1": partial(_decisions, over=(2, 0, 0, 0), under=(2, 1, 1, 0)),
    "roc_auc": _roc_auc,
    "brier": _brier,
}


def _estimate(slope: _Slope, cells: _Cells, calibration: CalibrationMap | None, segments: Iterable[str], blank: Result) -> Estimate:
    if np.isnan(slope.value):
        return _missing(Validity.UNDEFINED, blank.n, blank.rule)
    share = cells.decided / np.maximum(cells.n, 1)
    label_sd = sqrt(float((cells.chance * (share * slope.if_positive**2 + (1 - share) * slope.if_negative**2)).sum()))
    weights = cells.decided * slope.if_positive + (cells.n - cells.decided) * slope.if_negative
    map_sd = sqrt(calibration.variance(segments, weights)) if calibration else 0.0
    half = Z_95 * hypot(label_sd, map_sd)
    low, high = max(slope.value - half, 0.0), min(slope.value + half, 1.0)
    return Estimate(result=replace(blank, estimate=slope.value, low=low, high=high), label_sd=label_sd, map_sd=map_sd)


def _missing(validity: Validity, n: int, rule: str) -> Estimate:
    return Estimate(result=Result.missing(validity, n=n, rule=rule, assumptions=ASSUMPTIONS))


def _believed(window: Mapping[str, ScoreTable]) -> Support:
    """Of scores taken as they are: those outside of [0, 1] are no probabilities."""
    outside, n = (sum(getattr(table, name) for table in window.values()) for name in ("outside", "rows"))
    return Support(inf, n, outside / max(n, 1))


def _groups(n: Floats, count: int) -> NDArray[np.bool_]:
    """Codes x groups of about equally many rows. Codes outside of [0, 1] belong to one only where they have rows themselves."""
    place = (count * (np.cumsum(n) - n / 2) / max(n.sum(), 1)).astype(np.int64)
    reach = np.cumsum(np.pad(n, (_NEAR + 1, _NEAR)))
    is_near = reach[2 * _NEAR + 1 :] > reach[: -2 * _NEAR - 1]
    is_near[[0, -1]] = n[[0, -1]] > 0
    return np.asarray(is_near[:, None] & (np.minimum(place, count - 1)[:, None] == np.arange(count)))


def _stacked(tables: Mapping[str, ScoreTable], name: str) -> Floats:
    return np.stack([getattr(table, name) for table in tables.values()]) if tables else np.zeros((0, CODES))
