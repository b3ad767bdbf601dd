"""How much of the spread of a number goes with groups of rows, beyond what chance gives. Tells no cause."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan

import numpy as np
from numpy.typing import ArrayLike

_ALIKE = 1e-12  # of the largest value: what differs less differs by rounding


def epsilon_squared(groups: ArrayLike, values: ArrayLike) -> float:
    """Correlation ratio corrected for chance: the share of the variance of `values` between the groups, from 0 (none) to 1 (all of it).

    1 - (1 - eta²)(n - 1)/(n - k) of n rows in k groups, at least 0; Kelley, PNAS 21, 1935. `groups` names each row's group, `values` has as
    many numbers; rows whose value is not finite are left out. NaN where nothing can go together: fewer than two groups, no group with a second
    row, values that are all alike.

    >>> round(epsilon_squared([0, 0, 0, 1, 1, 1], [1, 2, 3, 4, 5, 6]), 3), epsilon_squared([0, 0, 1, 1], [1, 2, 1, 2])
    (0.714, 0.0)
    """
    numbers = np.asarray(values, dtype=np.float64)
    known = np.isfinite(numbers)
    names, place = np.unique(np.asarray(groups)[known], return_inverse=True)
    y, n, k = numbers[known], int(known.sum()), names.size
    largest = np.abs(y).max(initial=0.0)
    if k < 2 or n <= k or not largest > 0:
        return nan
    y = y / largest  # no square of it can overflow
    if y.max() - y.min() <= _ALIKE:
        return nan
    y = y - y.mean()
    between = np.bincount(place, weights=y) ** 2 / np.bincount(place)
    return max(0.0, 1.0 - (1.0 - float(between.sum() / (y @ y))) * (n - 1) / (n - k))


def scaled(importances: Mapping[str, float | None]) -> dict[str, float]:
    """Of the largest one, which is 1; empty when none is above 0. Below 0, as permutation importances are by chance, is 0; what is no finite number is
    left out.

    >>> scaled({"age": 0.5, "income": 0.25, "shoe": -0.01}), scaled({"age": 0.0})
    ({'age': 1.0, 'income': 0.5, 'shoe': 0.0}, {})
    """
    told = {name: value for name, value in importances.items() if value is not None and isfinite(value)}
    largest = max(told.values(), default=0.0)
    return {name: max(value, 0.0) / largest for name, value in told.items()} if largest > 0 else {}
