"""Performance of a binary model before its labels arrive, from calibrated scores (CBPE). Cannot see that what the features mean has changed.

A label is taken as a coin with the calibrated probability of its score and segment: TP is the sum of it over positive decisions, and so on
(Kivimäki et al. 2025, arXiv 2505.05295). The calibration of each segment is shrunk to that of all; that repairs shifts between segments.
The band has two parts: the coins (Poisson-binomial) and what the reference labels leave open about the calibration (Beta posterior).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, partial
from itertools import pairwise
from math import hypot, inf, isfinite, isnan, nan, sqrt
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
_MOST_CELLS = 1 << 19  # of windows that are calculated together


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

    def variance(self, segments: Iterable[str], weights: Floats) -> Floats:
        """Posterior variance of Σ weight x probability of each window: a segment's own part by group, and the curve's by block, as far as it follows it.

        `weights` are windows x segments x codes.
        """
        prior = self.rows(segments) + self.strength
        size = np.abs(weights) @ self.belongs
        mean = (np.abs(weights) * self.probabilities(segments)) @ self.belongs / np.where(size > 0, size, 1.0)
        own = (weights @ self.belongs) ** 2 * mean * (1 - mean) / (prior + 1)
        follows = (weights * ((self.strength / prior) @ self.belongs.T)).sum(axis=1)
        starts = np.flatnonzero(np.diff(self.blocks, prepend=-1))
        common = np.add.reduceat(follows * np.sqrt(self.curve * (1 - self.curve) / (self.block_rows + 1)), starts, axis=1)
        return np.asarray(own.sum(axis=(1, 2)) + (common**2).sum(axis=1))

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
    """Windows as windows x segments x codes. Most metrics need neither the scores nor their squares: each is made when it is asked for."""

    segments: Sequence[str]
    windows: Sequence[Mapping[str, ScoreTable]]
    calibration: CalibrationMap | None

    @cached_property
    def n(self) -> Floats:
        """Rows."""
        return self._of("n")

    @cached_property
    def decided(self) -> Floats:
        """Rows decided positive."""
        return self._of("predicted_positive")

    @cached_property
    def kept(self) -> Floats:
        """Rows not decided positive."""
        return self.n - self.decided

    @cached_property
    def score(self) -> Floats:
        """Mean score."""
        return np.clip(self._of("mean_score"), 0.0, 1.0)

    @cached_property
    def sum_s2(self) -> Floats:
        """Σs²; scores outside of [0, 1] count as 0 or 1."""
        within = np.where((self.score > 0) & (self.score < 1), self._of("score_variance"), 0.0)
        return np.asarray(self.n * (self.score**2 + within))

    @cached_property
    def p(self) -> Floats:
        """Probability."""
        return self.calibration.probabilities(self.segments) if self.calibration else self.score

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

    def _of(self, name: str) -> Floats:
        return np.array([[getattr(window[segment], name) for segment in self.segments] for window in self.windows])


class _Slope(NamedTuple):
    """A metric of each window, and what it gains when the label of a row becomes 1, by the row's decision: windows x 1 x codes, as many as differ."""

    value: Floats
    if_positive: Floats
    if_negative: Floats


def estimates(window: Mapping[str, ScoreTable], calibration: CalibrationMap | None = None, *, metrics: Collection[str] = ()) -> dict[str, Estimate]:
    """Metrics of a window of unlabelled rows by segment, all when none is named. Without a calibration the scores are believed, results preliminary.

    >>> window = {"": ScoreTable.of([0.9, 0.8, 0.3, 0.2, 0.6])}
    >>> {name: round(estimate.result.estimate, 4) for name, estimate in estimates(window).items() if name in ("f1", "roc_auc")}
    {'f1': 0.7931, 'roc_auc': 0.8084}
    """
    return estimates_of([window], calibration, metrics=metrics)[0]


def estimates_of(
    windows: Sequence[Mapping[str, ScoreTable]], calibration: CalibrationMap | None = None, *, metrics: Collection[str] = ()
) -> list[dict[str, Estimate]]:
    """The same of each of many windows. Those that have the same segments are calculated together."""
    wanted = metrics or tuple(ESTIMATORS)
    found, alike = list[dict[str, Estimate]](), defaultdict[frozenset[str], list[tuple[int, Result]]](list)
    for place, window in enumerate(windows):
        n, rule = sum(table.rows for table in window.values()), "CBPE, calibrated by segment" if calibration else "CBPE on raw scores"
        covered = support(window, calibration) if calibration else _believed(window)
        if n < 2 or not covered.is_enough:
            found.append(dict.fromkeys(wanted, _missing(Validity.TOO_FEW_ROWS if n < 2 else Validity.OUT_OF_SUPPORT, n, rule)))
            continue
        validity = Validity.TOO_FEW_ROWS if n < _MIN_ROWS else Validity.OK if calibration else Validity.PRELIMINARY
        effective = covered.effective if calibration else n
        blank = Result(estimate=nan, n=n, n_effective=effective, validity=validity, assumptions=ASSUMPTIONS, rule=rule)
        found.append({})
        alike[frozenset(window)].append((place, blank))
    for segments, judged in alike.items():
        together = max(_MOST_CELLS // (len(segments) * CODES), 1)
        for first in range(0, len(judged), together):
            places, blanks = zip(*judged[first : first + together], strict=True)
            cells = _Cells(sorted(segments), [windows[place] for place in places], calibration)
            for name in wanted:
                for place, estimate in zip(places, _estimated(ESTIMATORS[name](cells), cells, blanks), strict=True):
                    found[place][name] = estimate
    return found


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
    expected = np.stack([_total(rows * chance) for rows in (cells.decided, cells.kept) for chance in (cells.p, 1 - cells.p)])
    total = np.array(under) @ expected
    is_told = total >= _NOTHING
    total = np.where(is_told, total, 1.0)
    ratio = np.where(is_told, np.array(over) @ expected / total, nan)
    pull = ((np.array(over)[:, None] - ratio * np.array(under)[:, None]) / total)[:, :, None, None]
    return _Slope(ratio, pull[0] - pull[1], pull[2] - pull[3])


def _roc_auc(cells: _Cells) -> _Slope:
    positive, negative = ((cells.n * chance).sum(axis=1, keepdims=True) for chance in (cells.p, 1 - cells.p))
    p, n = (side.sum(axis=2, keepdims=True) for side in (positive, negative))
    is_told = np.minimum(p, n) >= _NOTHING
    pairs = np.where(is_told, p * n, 1.0)
    beaten, beating = np.cumsum(negative, axis=2) - negative / 2, p - np.cumsum(positive, axis=2) + positive / 2
    auc = np.where(is_told, (positive * beaten).sum(axis=2, keepdims=True) / pairs, nan)
    gain = (beaten - beating - auc * (n - p)) / pairs
    return _Slope(auc[:, 0, 0], gain, gain)


def _brier(cells: _Cells) -> _Slope:
    n, gain = _total(cells.n), 1 - 2 * cells.score
    gain = gain / n[:, None, None]
    return _Slope(_total(cells.squared_error) / n, gain, gain)


ESTIMATORS: Mapping[str, Callable[[_Cells], _Slope]] = {
    "accuracy": partial(_decisions, over=(1, 0, 0, 1), under=(1, 1, 1, 1)),
    "precision": partial(_decisions, over=(1, 0, 0, 0), under=(1, 1, 0, 0)),
    "recall": partial(_decisions, over=(1, 0, 0, 0), under=(1, 0, 1, 0)),
    "specificity": partial(_decisions, over=(0, 0, 0, 1), under=(0, 1, 0, 1)),
    "f1": partial(_decisions, over=(2, 0, 0, 0), under=(2, 1, 1, 0)),
    "roc_auc": _roc_auc,
    "brier": _brier,
}


def _estimated(slope: _Slope, cells: _Cells, blanks: Sequence[Result]) -> list[Estimate]:
    share = cells.decided / np.maximum(cells.n, 1)
    label_sd = np.sqrt(_total(cells.chance * (share * slope.if_positive**2 + (1 - share) * slope.if_negative**2)))
    weights = cells.decided * slope.if_positive + cells.kept * slope.if_negative
    map_sd = np.sqrt(cells.calibration.variance(cells.segments, weights)) if cells.calibration else np.zeros(len(blanks))
    return [
        _missing(Validity.UNDEFINED, blank.n, blank.rule) if isnan(value) else _banded(blank, value, of_labels, of_map)
        for blank, value, of_labels, of_map in zip(blanks, slope.value.tolist(), label_sd.tolist(), map_sd.tolist(), strict=True)
    ]


def _banded(blank: Result, value: float, label_sd: float, map_sd: float) -> Estimate:
    half = Z_95 * hypot(label_sd, map_sd)
    result = replace(blank, estimate=value, low=max(value - half, 0.0), high=min(value + half, 1.0))
    return Estimate(result=result, label_sd=label_sd, map_sd=map_sd)


def _total(cells: Floats) -> Floats:
    """Of each window."""
    return np.asarray(cells.sum(axis=(1, 2)))


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
