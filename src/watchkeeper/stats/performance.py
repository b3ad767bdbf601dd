"""Realised performance of a binary model from its score table: metrics of the labelled rows with 95 % intervals. Judges nothing.

Intervals take rows as independent. Scores come in bins of width 1/200; each function says what that costs. Metrics that read the score as a
probability leave out the rows whose score is none and refuse when these are over 1 %.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from math import exp, isfinite, log, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, expit, logit, ndtr

from watchkeeper.stats.result import Result, Validity
from watchkeeper.stats.scores import INDEPENDENT, PROBABILITIES, Z_95, Floats, Interval, ScoreTable, mean_result, share_result, told, wilson_interval

_MOST_OUTSIDE = 0.01
_WIDEST_BOUNDS = 0.05  # when the order of rows within bins could move a ranking metric by this much, the bins are too coarse for the scores
_ROUNDING = 1e-12
_CERTAIN = 1e-6  # a bin mean nearer to 0 or 1 has a leverage in a regression that no label can justify
_STEPS = 50


class Direction(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"
    NEAREST = "nearest"


class Metric(NamedTuple):
    """A metric of a score table, and which of its values are better; `ideal` is the best."""

    compute: Callable[[ScoreTable], Result]
    direction: Direction
    ideal: float


def roc_auc(table: ScoreTable) -> Result:
    """Area under the ROC curve: how often a positive scores above a negative, ties half. DeLong 1988 on bins, logit interval.

    The interval also spans `roc_auc_bounds`. Where these are over 0.05 apart the bins hide the ranking, and the result is not ok.

    >>> round(roc_auc(ScoreTable.of([0.9, 0.8, 0.7, 0.3], labels=[1, 0, 1, 0])).estimate, 2)
    0.75
    """
    rule = "DeLong on bins"
    refused = _refused_ranking(table, rule)
    if refused:
        return refused
    positive, negative = table.sum_y, table.n_labelled - table.sum_y
    p, n = float(positive.sum()), float(negative.sum())
    beaten = (np.cumsum(negative) - negative / 2) / n
    beats = (p - np.cumsum(positive) + positive / 2) / p
    auc = min(float(positive @ beaten) / p, 1.0)
    variance = float(positive @ (beaten - auc) ** 2) / max(p - 1, 1) / p + float(negative @ (beats - auc) ** 2) / max(n - 1, 1) / n
    sampling = _logit_interval(auc, sqrt(variance)) if variance > _ROUNDING else wilson_interval(auc * min(p, n), min(p, n))
    return _ranking(auc, sampling, roc_auc_bounds(table), table, rule)


def roc_auc_bounds(table: ScoreTable) -> Interval:
    """The lowest and highest AUC that any order of the rows within bins could give. Rows of a bin that all have one score are true ties.

    Half width = ½ Σ positives x negatives of a bin / (positives x negatives).
    """
    positive, negative = table.sum_y, table.n_labelled - table.sum_y
    pairs = float(positive.sum() * negative.sum())
    if not pairs:
        return Interval(0.0, 1.0)
    auc = float(positive @ (np.cumsum(negative) - negative / 2)) / pairs
    half = float((positive * negative)[table.score_variance > 0].sum()) / pairs / 2
    return Interval(max(auc - half, 0.0), min(auc + half, 1.0))


def pr_auc(table: ScoreTable) -> Result:
    """Average precision: mean over positives of the precision among rows at least as high. Logit interval of Boyd et al. 2013.

    Exact for bins of one score; elsewhere a bin's precision is taken at its middle, as in a random order. The interval spans `pr_auc_bounds`.

    >>> round(pr_auc(ScoreTable.of([0.9, 0.8, 0.7, 0.3], labels=[1, 0, 1, 0])).estimate, 4)
    0.8333
    """
    rule = "average precision on bins"
    refused = _refused_ranking(table, rule)
    if refused:
        return refused
    low, estimate, high = _average_precision(table)
    p = float(table.positives)
    sampling = _logit_interval(estimate, sqrt(estimate * (1 - estimate) / p)) if estimate < 1 else wilson_interval(p, p)
    return _ranking(estimate, sampling, Interval(low, high), table, rule)


def pr_auc_bounds(table: ScoreTable) -> Interval:
    """The lowest and highest average precision that any order of the rows within bins could give: negatives first, negatives last."""
    low, _, high = _average_precision(table)
    return Interval(low, high) if table.positives else Interval(0.0, 1.0)


def accuracy(table: ScoreTable) -> Result:
    """Share of right decisions, (tp + tn) / n."""
    return _decisions(table, table.tp + table.tn, table.decided)


def precision(table: ScoreTable) -> Result:
    """Share of positives among positive decisions, tp / (tp + fp). Undefined when there are none."""
    return _decisions(table, table.tp, table.tp + table.fp)


def recall(table: ScoreTable) -> Result:
    """Share of positives that are found, tp / (tp + fn)."""
    return _decisions(table, table.tp, table.tp + table.fn)


def specificity(table: ScoreTable) -> Result:
    """Share of negatives that are left alone, tn / (tn + fp)."""
    return _decisions(table, table.tn, table.tn + table.fp)


def f1(table: ScoreTable) -> Result:
    """Harmonic mean of precision and recall: 2J / (1 + J) of J = tp / (tp + fp + fn), whose Wilson interval it takes.

    >>> result = f1(ScoreTable.of([0.9] * 40 + [0.1] * 20, labels=[1] * 30 + [0] * 20 + [1] * 10))
    >>> round(result.estimate, 2)
    0.75
    """
    found = _decisions(table, table.tp, table.tp + table.fp + table.fn)
    estimate, low, high = (2 * share / (1 + share) if isfinite(share) else share for share in (found.estimate, found.low, found.high))
    return replace(found, estimate=estimate, low=low, high=high, rule="Wilson of tp / (tp + fp + fn)")


def brier(table: ScoreTable) -> Result:
    """Mean squared error of the probability, Σ(s - y)² / n. Brier 1950.

    Per bin n(m² + v) - 2mk + k of the mean m and variance v of its scores and k positives. The error is 2|cov(s, y)| within bins: at most
    0.0025, and below 1e-5 where the share of positives rises as the score does.

    >>> round(brier(ScoreTable.of([0.8, 0.6], labels=[1, 0])).estimate, 2)
    0.2
    """
    rule = "Brier score on bins"
    refused = _refused_probability(table, rule)
    if refused:
        return refused
    m, n, k, v = table.probabilities
    total = float((n * (m**2 + v) - 2 * m * k + k).sum())
    return mean_result(total, float((k * (1 - m) ** 4 + (n - k) * m**4).sum()), int(n.sum()), low=0.0, high=1.0, rule=rule)


def log_loss(table: ScoreTable, *, floor: float = 1e-15) -> Result:
    """Mean of -ln of the probability given to what happened, taken at the mean score of each bin, which is kept `floor` away from 0 and 1.

    The error is v/2m² per positive and v/2(1-m)² per negative of a bin: below 1e-4 except in the outermost bins, where the result is too low:
    by 0.31 for each positive in the first bin when its scores are uniform, without limit when they reach 0.

    >>> round(log_loss(ScoreTable.of([0.8, 0.6], labels=[1, 0])).estimate, 4)
    0.5697
    """
    rule = "log loss on bins"
    refused = _refused_probability(table, rule)
    if refused:
        return refused
    m, n, k, _ = table.probabilities
    safe = np.clip(m, floor, 1 - floor)
    of_positive, of_negative = -np.log(safe), -np.log1p(-safe)
    total, squares = (float((k * of_positive**power + (n - k) * of_negative**power).sum()) for power in (1, 2))
    return mean_result(total, squares, int(n.sum()), low=0.0, rule=rule)


def calibration_gap(table: ScoreTable) -> Result:
    """Observed minus predicted share of positives, mean of y - s: positive when the model promises too little. No binning error.

    >>> round(calibration_gap(ScoreTable.of([0.8, 0.6], labels=[1, 0])).estimate, 2)
    -0.2
    """
    rule = "observed minus predicted"
    refused = _refused_probability(table, rule)
    if refused:
        return refused
    m, n, k, v = table.probabilities
    squares = float((k * (1 - m) ** 2 + (n - k) * m**2 + n * v).sum())
    return mean_result(float((k - n * m).sum()), squares, int(n.sum()), low=-1.0, high=1.0, rule=rule)


def calibration_error(table: ScoreTable, *, bins: int = 15, least: int = 10) -> Result:
    """Expected calibration error: mean |observed - predicted| over bins of equal mass, less what noise alone adds (Kumar et al. 2019).

    Noise adds E|N(gap, σ)| - |gap| per bin, with σ² = ȳ(1-ȳ)/n. The lower bound takes off the most that noise can add, σ√(2/π), so that it
    is 0 for a calibrated model. Gaps that cancel within a bin are not seen. `bins` are fewer when they would hold under `least` rows.
    """
    rule = "debiased ECE, equal mass"
    refused = _refused_probability(table, rule)
    if refused:
        return refused
    n, expected, observed = table.equal_mass(bins, least=least)
    weight, gap = n / n.sum(), np.abs(observed - expected) / n
    share = (observed + 0.5) / (n + 1)
    sigma = np.sqrt(share * (1 - share) / n)
    with_noise = sigma * sqrt(2 / np.pi) * np.exp(-((gap / sigma) ** 2) / 2) + gap * (2 * ndtr(gap / sigma) - 1)
    half = Z_95 * sqrt(float((weight**2 * np.maximum(gap**2 + sigma**2 - with_noise**2, 0)).sum()))
    plain, most = float(weight @ gap), float(weight @ sigma) * sqrt(2 / np.pi)
    estimate = max(2 * plain - float(weight @ with_noise), 0.0)
    return told(estimate, Interval(max(plain - most - half, 0.0), min(max(estimate, plain - most) + half, 1.0)), n=int(n.sum()), rule=rule)


def calibration_slope(table: ScoreTable) -> Result:
    """Slope b of logit P(y) = a + b logit(s): 1 when calibrated, below 1 when scores are too extreme. Cox 1958; IRLS on bin means."""
    return _of_line(table, "calibration slope", 1)


def calibration_intercept(table: ScoreTable) -> Result:
    """Intercept a of logit P(y) = a + b logit(s): 0 when calibrated. Cox 1958; IRLS on bin means."""
    return _of_line(table, "calibration intercept", 0)


METRICS: Mapping[str, Metric] = {
    **{compute.__name__: Metric(compute, Direction.HIGHER, 1.0) for compute in (roc_auc, pr_auc, accuracy, precision, recall, f1, specificity)},
    **{compute.__name__: Metric(compute, Direction.LOWER, 0.0) for compute in (brier, log_loss, calibration_error)},
    **{compute.__name__: Metric(compute, Direction.NEAREST, 0.0) for compute in (calibration_gap, calibration_intercept)},
    calibration_slope.__name__: Metric(calibration_slope, Direction.NEAREST, 1.0),
}


def _refused(table: ScoreTable, rule: str) -> Result | None:
    if table.labelled >= 2:
        return None
    return _missing(table, Validity.IMMATURE_LABELS if table.rows >= 2 else Validity.TOO_FEW_ROWS, rule)


def _refused_ranking(table: ScoreTable, rule: str) -> Result | None:
    is_one_class = table.positives in (0, table.labelled)
    return _refused(table, rule) or (_missing(table, Validity.UNDEFINED, rule) if is_one_class else None)


def _refused_probability(table: ScoreTable, rule: str) -> Result | None:
    outside = table.labelled - float(table.n_labelled[PROBABILITIES].sum())
    is_outside = outside > _MOST_OUTSIDE * table.labelled
    return _refused(table, rule) or (_missing(table, Validity.OUT_OF_SUPPORT, rule) if is_outside else None)


def _missing(table: ScoreTable, validity: Validity, rule: str) -> Result:
    return Result.missing(validity, n=table.labelled, rule=rule, assumptions=INDEPENDENT)


def _ranking(estimate: float, sampling: Interval, bounds: Interval, table: ScoreTable, rule: str) -> Result:
    spanned = Interval(min(sampling.low, bounds.low), max(sampling.high, bounds.high))
    validity = Validity.UNDEFINED if bounds.high - bounds.low > _WIDEST_BOUNDS else Validity.OK
    return told(estimate, spanned, n=table.labelled, rule=rule, validity=validity)


def _decisions(table: ScoreTable, successes: int, trials: int) -> Result:
    return _refused(table, "Wilson") or share_result(successes, trials, n=table.labelled)


def _logit_interval(estimate: float, error: float) -> Interval:
    middle, half = log(estimate / (1 - estimate)), Z_95 * error / (estimate * (1 - estimate))
    return Interval(*(1 / (1 + exp(min(-bound, 700.0))) for bound in (middle - half, middle + half)))


def _average_precision(table: ScoreTable) -> tuple[float, float, float]:
    """With the negatives of each bin first, in the middle, last. A bin of one score has one precision, that at its end."""
    k, rows = table.sum_y[::-1], table.n_labelled[::-1]
    found, seen = np.cumsum(k), np.cumsum(rows)
    tied = k * found / np.maximum(seen, 1)
    mixed = k * (found - (k - 1) / 2) / (seen - (rows - 1) / 2)
    negatives_first = k - (seen - found) * (digamma(seen + 1) - digamma(seen - k + 1))
    negatives_last = k * found / np.maximum(seen - rows + k, 1)
    is_tied, p = table.score_variance[::-1] == 0, max(float(k.sum()), 1.0)
    low, middle, high = (float(np.where(is_tied, tied, sums).sum()) / p for sums in (negatives_first, mixed, negatives_last))
    return low, min(max(middle, low), high), high


def _of_line(table: ScoreTable, rule: str, part: int) -> Result:
    refused = _refused_probability(table, rule) or _refused_ranking(table, rule)
    if refused:
        return refused
    m, n, k, _ = table.probabilities
    line = _logistic_line(np.asarray(logit(np.clip(m, _CERTAIN, 1 - _CERTAIN)))[n > 0], n[n > 0], k[n > 0])
    if line is None:
        return _missing(table, Validity.UNDEFINED, rule)
    estimate, half = float(line[0][part]), Z_95 * float(line[1][part])
    return told(estimate, Interval(estimate - half, estimate + half), n=table.labelled, rule=rule)


def _logistic_line(x: Floats, n: Floats, k: Floats) -> tuple[Floats, Floats] | None:
    """Intercept and slope, and their errors. Newton steps of at most 2, so that they do not overshoot; None where they find no maximum."""
    line = np.array([0.0, 1.0])
    design = np.stack([np.ones_like(x), x])
    for _ in range(_STEPS):
        p = expit(np.clip(line @ design, -30, 30))
        (a, b), (_, d) = information = (design * (n * p * (1 - p))) @ design.T
        if a * d - b * b <= _ROUNDING * a * d:
            return None
        step = np.linalg.solve(information, design @ (k - n * p))
        line = line + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-9:
            return line, np.sqrt(np.array([d, a]) / (a * d - b * b))
    return None
