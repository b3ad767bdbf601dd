"""Made-up days of features that go together, for the examples of risks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from watchkeeper.analysis.columns import Floats
from watchkeeper.analysis.examples import MIDNIGHT, NOW
from watchkeeper.analysis.multivariate import MomentHistory

COLUMNS = ("f.income", "f.limit", "f.age")


def day_of(rows: int, *, correlation: float = 0.8, sd: float = 1.0, seed: int = 1) -> Floats:
    """The moments of normal rows, drawn as a Wishart matrix (Bartlett 1933): income and limit are correlated, age goes by itself."""
    chance = np.random.default_rng(seed)
    root = sd * np.linalg.cholesky([[1.0, correlation, 0.0], [correlation, 1.0, 0.0], [0.0, 0.0, 1.0]])
    scatter = root @ (np.tril(chance.normal(size=(3, 3)), -1) + np.diag(np.sqrt(chance.chisquare(rows - 1 - np.arange(3)))))
    mean = root @ chance.normal(size=3) / np.sqrt(rows)
    moments = np.full((4, 4), float(rows))
    moments[0, 1:] = moments[1:, 0] = rows * mean
    moments[1:, 1:] = scatter @ scatter.T + rows * np.outer(mean, mean)
    return moments


def moment_history(days: Sequence[Floats], *, has_reference: bool = True) -> MomentHistory:
    """Days that end last midnight, one after the other; the reference is as usual days are."""
    count = len(days)
    first = date(2026, 11, 22) - timedelta(days=count)
    size = len(COLUMNS) + 1
    return MomentHistory(
        now=NOW,
        columns=COLUMNS,
        reference=np.stack([day_of(1000, seed=900 + part) for part in range(5)]) if has_reference else np.zeros((0, size, size)),
        days=tuple(first + timedelta(days=day) for day in range(count)),
        ends=tuple(MIDNIGHT - timedelta(days=count - 1 - day) for day in range(count)),
        moments=np.array(days).reshape(count, size, size),
    )
