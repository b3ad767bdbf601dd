"""Ranking quality: metrics of one query from its relevances in the order shown, and their mean over queries. Knows no items.

Each metric of one query is in [0, 1]; it is NaN for a query without a relevant item, which no order could serve.
"""

from __future__ import annotations

from math import nan

import numpy as np
from numpy.typing import ArrayLike

from watchkeeper.stats.result import Result, Validity
from watchkeeper.stats.scores import INDEPENDENT, Floats, mean_result


def ndcg_at_k(relevances: ArrayLike, k: int) -> float:
    """Normalised discounted cumulative gain of the first k: Σ rel / log2(1 + rank), over the same of the best order of all given.

    The gain is the relevance itself (Järvelin and Kekäläinen 2002); give 2^rel - 1 for the steeper one. Negative or missing counts as 0.

    >>> round(ndcg_at_k([3, 2, 0, 1], 3), 4)
    0.895
    """
    gains = _gains(relevances)
    best = _discounted(np.sort(gains)[::-1], k)
    return _discounted(gains, k) / best if best > 0 else nan


def average_precision(relevances: ArrayLike, *, relevant: int | None = None) -> float:
    """Mean, over the relevant items, of the share relevant down to each; one not shown counts 0. Its mean over queries is MAP.

    `relevant` is the number of relevant items in all, when some may not be in the list.

    >>> round(average_precision([1, 0, 1]), 4), round(average_precision([1, 0, 1], relevant=4), 4)
    (0.8333, 0.4167)
    """
    hits = _gains(relevances) > 0
    total = max(relevant or 0, int(hits.sum()))
    precisions = np.cumsum(hits) / np.arange(1, hits.size + 1)
    return float(precisions[hits].sum()) / total if total else nan


def hit_rate(relevances: ArrayLike, k: int, *, relevant: int | None = None) -> float:
    """1 when any of the first k is relevant, else 0.

    >>> hit_rate([0, 0, 1], 2), hit_rate([0, 0, 1], 3)
    (0.0, 1.0)
    """
    hits = _gains(relevances) > 0
    return float(hits[: max(k, 0)].any()) if hits.any() or relevant else nan


def mean_over_queries(values: ArrayLike) -> Result:
    """The mean of a metric over queries with its Student interval; queries that have none (NaN) are left out. Rows are queries.

    >>> mean_over_queries([1.0, 0.5, float("nan"), 0.0]).estimate
    0.5
    """
    given = np.asarray(values, dtype=np.float64).ravel()
    known = given[np.isfinite(given)]
    if given.size >= 2 and not known.size:
        return Result.missing(Validity.UNDEFINED, n=given.size, rule="mean over queries", assumptions=INDEPENDENT)
    return mean_result(float(known.sum()), float((known**2).sum()), known.size, low=0.0, high=1.0, rule="mean over queries")


def _discounted(gains: Floats, k: int) -> float:
    first = gains[: max(k, 0)]
    return float((first / np.log2(np.arange(2, first.size + 2))).sum())


def _gains(relevances: ArrayLike) -> Floats:
    gains = np.asarray(relevances, dtype=np.float64).ravel()
    return np.where(np.isfinite(gains), np.maximum(gains, 0.0), 0.0)
