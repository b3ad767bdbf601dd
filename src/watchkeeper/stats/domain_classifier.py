"""Whether a classifier can tell rows of two samples apart, how well, and by which features: drift of any kind in all columns together.

Needs rows, not sums. Rows must be independent: on a day of its own kind every day can be told apart. scikit-learn and scipy.stats are imported when they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
FOLDS = 5
MOST_ROWS = 20_000  # of each side
LEAST_ROWS = 50
LEAST_AUC = 0.55
SURE = 3.0  # standard errors


@dataclass(frozen=True, kw_only=True)
class Apart:
    """`auc` with its standard error, of rows the classifier had not seen; NaN with fewer than 50 rows on a side.

    `features` are those that tell the sides apart, with how much AUC is lost when their values are dealt at random; the first tells most.
    Empty unless the sides are apart.
    """

    auc: float
    error: float
    features: tuple[tuple[str, float], ...] = ()

    @property
    def is_apart(self) -> bool:
        return self.auc > 0.5 + SURE * self.error and self.auc >= LEAST_AUC


def tell_apart(reference: ArrayLike, current: ArrayLike, names: Sequence[str], *, rng: np.random.Generator, most_rows: int = MOST_ROWS) -> Apart:
    """Five-fold cross-validated AUC of gradient boosted trees between rows (n, d) and (m, d). NaN is a value like any other.

    Of longer samples `most_rows` are drawn. Raises ValueError when the columns and their names are not as many.
    """
    x, y = (_sample(np.asarray(rows, dtype=np.float64), most_rows, rng) for rows in (reference, current))
    if not x.ndim == y.ndim == 2 or not x.shape[1] == y.shape[1] == len(names):
        raise ValueError(f"Rows have the shapes {x.shape} and {y.shape}; {len(names)} columns are named.")
    if min(len(x), len(y)) < LEAST_ROWS or not names:
        return Apart(auc=nan, error=nan)
    rows = _ranks(np.concatenate([x, y]))
    is_current = np.arange(len(rows)) >= len(x)
    folds = _folds(is_current, rng)
    with _one_thread():
        models = [_fitted(rows[folds != fold], is_current[folds != fold]) for fold in range(FOLDS)]
        auc, error = _auc_over(models, rows, is_current, folds)
        found = Apart(auc=auc, error=error)
        return replace(found, features=_tellers(found, models, rows, is_current, folds, names, rng)) if found.is_apart else found


def auc_with_error(positives: ArrayLike, negatives: ArrayLike) -> tuple[float, float]:
    """Area under the ROC curve of two sets of scores, and its standard error by DeLong, DeLong and Clarke-Pearson (1988), by ranks (Sun and Xu 2014).

    NaN for an empty set; the error of a set of one is NaN.

    >>> auc_with_error([0.9, 0.4], [0.1, 0.6])
    (0.75, 0.3535533905932738)
    """
    from scipy.stats import rankdata

    high, low = np.asarray(positives, dtype=np.float64), np.asarray(negatives, dtype=np.float64)
    if not high.size or not low.size:
        return nan, nan
    ranks = rankdata(np.concatenate([high, low]))
    above = (ranks[: high.size] - rankdata(high)) / low.size  # of each positive: the share of negatives below it
    below = 1 - (ranks[high.size :] - rankdata(low)) / high.size
    if min(high.size, low.size) < 2:
        return float(above.mean()), nan
    return float(above.mean()), sqrt(float(above.var(ddof=1)) / high.size + float(below.var(ddof=1)) / low.size)


def _auc_over(models: Sequence[object], rows: Floats, is_current: NDArray[np.bool_], folds: NDArray[np.int64]) -> tuple[float, float]:
    """Mean over the folds, each by the model that has not seen it: scores of different models have no common scale."""
    found = []
    for fold, model in enumerate(models):
        scores, side = _scores(model, rows[folds == fold]), is_current[folds == fold]
        found.append(auc_with_error(scores[side], scores[~side]))
    aucs, errors = zip(*found, strict=True)
    return float(np.mean(aucs)), float(np.sqrt(np.square(errors).sum()) / FOLDS)


def _tellers(
    found: Apart,
    models: Sequence[object],
    rows: Floats,
    is_current: NDArray[np.bool_],
    folds: NDArray[np.int64],
    names: Sequence[str],
    rng: np.random.Generator,
) -> tuple[tuple[str, float], ...]:
    """Permutation importance on unseen rows; those without which more than the standard error is lost."""
    lost = []
    for column, name in enumerate(names):
        dealt = rows.copy()
        dealt[:, column] = rng.permutation(dealt[:, column])
        lost.append((name, found.auc - _auc_over(models, dealt, is_current, folds)[0]))
    return tuple(sorted(((name, loss) for name, loss in lost if loss > found.error), key=lambda entry: -entry[1]))


def _folds(is_current: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """As many rows of either side in each."""
    folds = np.zeros(is_current.size, dtype=np.int64)
    for side in (is_current, ~is_current):
        folds[side] = rng.permutation(int(side.sum())) % FOLDS
    return folds


def _one_thread() -> AbstractContextManager[object]:
    """OpenMP's threads wait for each other by spinning: on a busy machine two are thirty times as slow as one."""
    import sklearn.ensemble  # noqa: F401 - only a library that is loaded can be limited
    from threadpoolctl import threadpool_limits

    limited: AbstractContextManager[object] = threadpool_limits(1, user_api="openmp")
    return limited


def _fitted(rows: Floats, is_current: NDArray[np.bool_]) -> object:
    from sklearn.ensemble import HistGradientBoostingClassifier  # a second of imports, and only here

    return HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0).fit(rows, is_current)


def _scores(model: object, rows: Floats) -> Floats:
    return np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)  # type: ignore[attr-defined] # scikit-learn has no types


def _ranks(rows: Floats) -> Floats:
    """Trees see the order of values alone; so infinite ones, and NaN as the lowest, are numbers too."""
    from scipy.stats import rankdata

    return np.asarray(np.nan_to_num(rankdata(rows, method="dense", axis=0, nan_policy="omit"), nan=0.0), dtype=np.float64)


def _sample(rows: Floats, most: int, rng: np.random.Generator) -> Floats:
    return rows if len(rows) <= most else rows[rng.choice(len(rows), most, replace=False)]
