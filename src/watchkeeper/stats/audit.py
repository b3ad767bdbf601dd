"""Audit samples: how many rows to label, which ones, and what they say of a window whose other rows have estimates only. Asks nobody for labels."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import ceil, isfinite, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from watchkeeper.stats.result import Assumption, Result, Validity
from watchkeeper.stats.scores import Z_95, Floats

ASSUMPTIONS = (Assumption.RANDOM_SAMPLE, Assumption.INDEPENDENT_ROWS)

_RULE = "prediction-powered inference"
_MIN_AUDITED = 30
_STRATA = 10
_LEAST_WEIGHT = 0.05  # no row is without a chance, however sure its score


class Sampling(StrEnum):
    UNIFORM = "uniform"
    UNCERTAIN = "uncertain"


def prediction_powered_mean(truths: ArrayLike, predicted: ArrayLike, *, mean: float, variance: float, n: int) -> Result:
    """Mean of a loss over a window: that of its prediction f over all rows, put right by the audited ones; mean(f) + mean(L - f).

    `truths` are the losses L of rows drawn at random and `predicted` their f; `mean` and `variance` are of f over all `n` rows.
    SE² = var(f) / n + var(L - f) / audited. Angelopoulos et al. 2023, Science. Other samples than uniform ones make it wrong.

    >>> prediction_powered_mean([1, 0], [0.9, 0.7], mean=0.8, variance=0.01, n=1000).estimate.__round__(6)
    0.5
    """
    correction = np.asarray(truths, dtype=np.float64) - np.asarray(predicted, dtype=np.float64)
    correction = correction[np.isfinite(correction)]
    if n < 2 or correction.size < 2:
        validity = Validity.IMMATURE_LABELS if n >= 2 and not correction.size else Validity.TOO_FEW_ROWS
        return Result.missing(validity, n=correction.size, rule=_RULE, assumptions=ASSUMPTIONS)
    if not (isfinite(mean) and isfinite(variance)):
        return Result.missing(Validity.UNDEFINED, n=correction.size, rule=_RULE, assumptions=ASSUMPTIONS)
    estimate = mean + float(correction.mean())
    half = Z_95 * sqrt(max(variance, 0.0) / n + float(correction.var(ddof=1)) / correction.size)
    validity = Validity.TOO_FEW_ROWS if correction.size < _MIN_AUDITED else Validity.OK
    return Result(
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        n=n,
        n_effective=correction.size,
        validity=validity,
        assumptions=ASSUMPTIONS,
        rule=_RULE,
    )


def labels_needed(drop: float, *, baseline: float = 0.9, alpha: float = 0.05, power: float = 0.8) -> int:
    """Labels that show, one-sided at alpha, that a share has dropped by `drop` below its baseline: p(1-p) ((z_α + z_β) / drop)².

    >>> labels_needed(0.02), labels_needed(0.05)
    (1392, 223)
    """
    if not (0 < drop <= baseline <= 1 and 0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"Needs 0 < drop <= baseline <= 1 and alpha, power inside (0, 1); got {drop=}, {baseline=}, {alpha=}, {power=}.")
    z = max(float(-ndtri(alpha) + ndtri(power)), 0.0)
    return max(ceil(baseline * (1 - baseline) * (z / drop) ** 2), 1)


def rows_to_label(scores: ArrayLike, count: int, *, rng: Generator, sampling: Sampling = Sampling.UNIFORM) -> NDArray[np.int64]:
    """Indices of the rows to label, ascending, none twice: all of them when `count` is more.

    Uniform is what `prediction_powered_mean` needs. Uncertain draws more where scores are near ½, to teach a model or see hard rows: ten strata
    of the uncertainty √(s(1-s)), each with a number of rows in proportion to its rows times its mean uncertainty (Neyman 1934).

    >>> rows_to_label([0.1, 0.5, 0.9], 5, rng=np.random.default_rng(0)).tolist()
    [0, 1, 2]
    """
    s = np.asarray(scores, dtype=np.float64).ravel()
    wanted = min(max(count, 0), s.size)
    if sampling is Sampling.UNIFORM or wanted in (0, s.size):
        return np.sort(rng.choice(s.size, wanted, replace=False)) if s.size else np.zeros(0, dtype=np.int64)
    unsure = _uncertainty(s)
    strata = [part for part in np.array_split(np.argsort(unsure, kind="stable"), min(_STRATA, s.size)) if part.size]
    shares = _allotted(wanted, [part.size for part in strata], [float(unsure[part].mean()) for part in strata])
    return np.sort(np.concatenate([rng.choice(part, share, replace=False) for part, share in zip(strata, shares, strict=True)]))


def _uncertainty(scores: Floats) -> Floats:
    """Standard deviation of the label; a score that is no number is as unsure as ½."""
    s = np.clip(np.nan_to_num(scores, nan=0.5), 0.0, 1.0)
    return np.maximum(np.sqrt(s * (1 - s)), _LEAST_WEIGHT)


def _allotted(wanted: int, sizes: Sequence[int], weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to size times weight that add up to what is wanted; what a full stratum cannot take goes to the others."""
    size, pull = np.array(sizes), np.array(sizes) * np.array(weights)
    given = np.minimum(np.floor(wanted * pull / pull.sum()).astype(np.int64), size)
    while (left := wanted - int(given.sum())) > 0:
        room = given < size
        most = np.argsort(np.where(room, given / pull, np.inf), kind="stable")[: min(left, int(room.sum()))]
        given[most] += 1
    return [int(number) for number in given]
