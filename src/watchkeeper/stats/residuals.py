"""Expected loss of a window before its labels arrive, from the reference's mean loss by cell (prediction bin x segment). Fits no model of rows.

It is published only when it has foretold past windows better than a constant, and its interval is how far it was off there, as a share of what it told:
where more is lost, losses scatter more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf, nan

import numpy as np
from numpy.typing import ArrayLike

from watchkeeper.stats.conformal import threshold
from watchkeeper.stats.result import Assumption, Result, Validity
from watchkeeper.stats.scores import Floats

ASSUMPTIONS = (Assumption.INSIDE_SUPPORT, Assumption.NO_CONCEPT_DRIFT)

_RULE = "mean loss by prediction bin and segment"
_MIN_ROWS = 30
_MOST_UNSUPPORTED = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class LossModel:
    """Reference windows x cells, oldest first: rows, and sums of the loss. Cells are shrunk to the mean of all with `strength` rows.

    The first `history` windows only teach; each later one is foretold from those before it.
    """

    n: Floats
    loss: Floats
    strength: float = 30.0
    history: int = 5

    @classmethod
    def of(cls, n: ArrayLike, loss: ArrayLike, *, strength: float = 30.0, history: int = 5) -> LossModel:
        """From counts and sums of loss of shape windows x cells. Cells without finite sums count as empty."""
        rows, total = (np.array(side, dtype=np.float64, ndmin=2) for side in (n, loss))
        if rows.shape != total.shape:
            raise ValueError(f"Rows and losses are both windows x cells; got shapes {rows.shape} and {total.shape}.")
        known = np.isfinite(rows) & np.isfinite(total) & (rows > 0)
        return cls(n=np.where(known, rows, 0.0), loss=np.where(known, total, 0.0), strength=strength, history=max(history, 1))

    @cached_property
    def cells(self) -> Floats:
        """Mean loss of each cell: (Σ loss + strength x mean of all) / (rows + strength)."""
        return _shrunk(self.n.sum(axis=0), self.loss.sum(axis=0), self.strength)

    @cached_property
    def foretold(self) -> tuple[Floats, Floats, Floats]:
        """Of the windows after the history: actual mean loss, that expected from the windows before, and the constant one from those."""
        before_n, before_loss = (np.cumsum(side, axis=0)[self.history - 1 : -1] for side in (self.n, self.loss))
        n, loss = self.n[self.history :], self.loss[self.history :]
        has = (n.sum(axis=1) > 0) & (before_n.sum(axis=1) > 0)
        n, loss, before_n, before_loss = n[has], loss[has], before_n[has], before_loss[has]
        constant = before_loss.sum(axis=1) / before_n.sum(axis=1)
        expected = (n * _shrunk(before_n, before_loss, self.strength)).sum(axis=1) / n.sum(axis=1)
        return loss.sum(axis=1) / n.sum(axis=1), expected, constant

    @property
    def r_squared(self) -> float:
        """Out of time, against the constant: 1 - Σ(actual - expected)² / Σ(actual - constant)². NaN when the constant is never wrong."""
        actual, expected, constant = self.foretold
        worst = float(((actual - constant) ** 2).sum())
        return 1 - float(((actual - expected) ** 2).sum()) / worst if worst > 0 else nan

    @property
    def residuals(self) -> Floats:
        actual, expected, _ = self.foretold
        return np.asarray(actual - expected)

    @property
    def departures(self) -> Floats:
        """Residuals as a share of what was expected, without sign; infinite where nothing was and something came."""
        _, expected, _ = self.foretold
        far = np.where(self.residuals == 0, 0.0, inf)
        return np.divide(np.abs(self.residuals), expected, out=far, where=expected > 0)


def expected_loss(model: LossModel, counts: ArrayLike, *, least_r_squared: float = 0.0, coverage: float = 0.95) -> Result:
    """Mean loss of a window with these rows by cell: Σ rows x mean loss of the cell / rows, with the rank interval of past departures.

    Undefined unless the out-of-time R² is above `least_r_squared`; out of support when over 5 % of the rows lie in cells without reference.
    Preliminary, without bounds, below the 19 foretold windows that a 95 % interval needs.

    >>> rows = [[100 + 40 * (week % 5), 200] for week in range(40)]
    >>> model = LossModel.of(rows, [[5.0 * small, 1.0 * large + week % 3] for week, (small, large) in enumerate(rows)])
    >>> round(expected_loss(model, [100, 100]).estimate, 2)
    3.0
    """
    window = np.asarray(counts, dtype=np.float64).ravel()
    window = np.where(np.isfinite(window), np.maximum(window, 0.0), 0.0)
    n = int(window.sum())
    refused = _refused(model, window, least_r_squared)
    if refused:
        return Result.missing(refused, n=n, rule=_RULE, assumptions=ASSUMPTIONS)
    estimate, departure = float(window @ model.cells) / n, threshold(model.departures, alpha=1 - coverage)
    known, half = (Validity.OK, estimate * departure) if departure < inf else (Validity.PRELIMINARY, inf)
    return Result(
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        n=n,
        n_effective=model.residuals.size,
        validity=Validity.TOO_FEW_ROWS if n < _MIN_ROWS else known,
        assumptions=ASSUMPTIONS,
        rule=_RULE,
    )


def _refused(model: LossModel, window: Floats, least_r_squared: float) -> Validity | None:
    if window.sum() < 2 or model.n.sum() < 2:
        return Validity.TOO_FEW_ROWS
    if window[model.n.sum(axis=0) == 0].sum() > _MOST_UNSUPPORTED * window.sum():
        return Validity.OUT_OF_SUPPORT
    if not model.r_squared > least_r_squared:
        return Validity.UNDEFINED
    return None


def _shrunk(n: Floats, loss: Floats, strength: float) -> Floats:
    rows, total = n.sum(axis=-1, keepdims=True), loss.sum(axis=-1, keepdims=True)
    mean = total / np.maximum(rows, 1)
    return np.asarray((loss + strength * mean) / np.maximum(n + strength, 1e-9))
