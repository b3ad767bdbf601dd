"""Realised performance of a model with several classes from its confusion matrix: counts of (class, predicted). Knows no scores.

Intervals take rows as independent. Those of F1 averages are from the delta method over the cells of the matrix (Takahashi et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from watchkeeper.stats.result import Result, Validity
from watchkeeper.stats.scores import INDEPENDENT, Z_95, Floats, Interval, share_result, told


def accuracy(confusion: ArrayLike) -> Result:
    """Share of rows on the diagonal, Wilson interval.

    >>> accuracy([[40, 10], [5, 45]]).estimate
    0.85
    """
    counts = _matrix(confusion)
    return _refused(counts, "Wilson") or share_result(float(np.trace(counts)), float(counts.sum()), n=int(counts.sum()))


def precision(confusion: ArrayLike) -> tuple[Result, ...]:
    """Of each class: share right among the rows predicted as it. Undefined for a class that is never predicted.

    >>> [round(result.estimate, 3) for result in precision([[40, 10], [5, 45]])]
    [0.889, 0.818]
    """
    counts = _matrix(confusion)
    return tuple(share_result(float(hit), float(total), n=int(counts.sum())) for hit, total in zip(np.diag(counts), counts.sum(axis=0), strict=True))


def recall(confusion: ArrayLike) -> tuple[Result, ...]:
    """Of each class: share of its rows that are predicted as it. Undefined for a class without rows.

    >>> [result.estimate for result in recall([[40, 10], [5, 45]])]
    [0.8, 0.9]
    """
    return precision(_matrix(confusion).T)


def macro_f1(confusion: ArrayLike) -> Result:
    """Mean of the classes' F1 = 2 tp / (rows + predictions). A class neither seen nor predicted does not count.

    >>> round(macro_f1([[40, 10], [5, 45]]).estimate, 4)
    0.8496
    """
    return _averaged(confusion, "macro F1, delta method", lambda support: np.ones_like(support))


def weighted_f1(confusion: ArrayLike) -> Result:
    """Mean of the classes' F1 = 2 tp / (rows + predictions), weighted by rows of the class; the weights count as known.

    >>> round(weighted_f1([[40, 10], [5, 45]]).estimate, 4)
    0.8496
    """
    return _averaged(confusion, "weighted F1, delta method", lambda support: support)


def _averaged(confusion: ArrayLike, rule: str, weigh: Callable[[Floats], Floats]) -> Result:
    counts = _matrix(confusion)
    refused = _refused(counts, rule)
    if refused:
        return refused
    support, hit = counts.sum(axis=1), np.diag(counts)
    either = support + counts.sum(axis=0)
    weight = np.where(either > 0, weigh(support), 0.0)
    weight = weight / weight.sum()
    f1 = 2 * hit / np.maximum(either, 1)
    estimate = float(weight @ f1)
    return told(estimate, _delta_interval(counts, weight / np.maximum(either, 1), f1, estimate), n=int(counts.sum()), rule=rule)


def _delta_interval(counts: Floats, pull: Floats, f1: Floats, estimate: float) -> Interval:
    """One more row in cell (i, j) moves the average by `2 pull_i [i = j] - pull_i f1_i - pull_j f1_j`. Half a row is added to each cell."""
    gradient = 2 * np.diag(pull) - (pull * f1)[:, None] - (pull * f1)[None, :]
    smooth = counts + 0.5 / counts.size
    total, squares = float((smooth * gradient).sum()), float((smooth * gradient**2).sum())
    half = Z_95 * sqrt(max(squares - total**2 / float(smooth.sum()), 0.0))
    return Interval(max(estimate - half, 0.0), min(estimate + half, 1.0))


def _refused(counts: Floats, rule: str) -> Result | None:
    n = int(counts.sum())
    return Result.missing(Validity.TOO_FEW_ROWS, n=n, rule=rule, assumptions=INDEPENDENT) if n < 2 else None


def _matrix(confusion: ArrayLike) -> Floats:
    counts = np.asarray(confusion, dtype=np.float64)
    counts = counts if counts.size else np.zeros((0, 0))
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"A confusion matrix is square (class x predicted), this one has shape {counts.shape}.")
    return np.where(np.isfinite(counts), np.maximum(counts, 0.0), 0.0)
