"""How well the principal components of a reference rebuild other rows, from second moments alone: it sees that columns no longer go together.

The error is the mean square over rows (NannyML averages the norm, so its values differ). What changes within the components kept is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from watchkeeper.stats.moments import Floats, Standard, rows_in, standard_of, standardised

KEPT = 0.65


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """The `kept` principal components of a reference in its own standardisation; `residual` = I - VVᵀ of shape (d, d) takes them out."""

    standard: Standard
    kept: int
    residual: Floats

    def left(self, moments: ArrayLike) -> Floats:
        """Mean products of what the components do not rebuild, of moments of shape (..., d + 1, d + 1): shape (..., d, d). NaN without rows."""
        return np.asarray(self.residual @ standardised(moments, self.standard) @ self.residual)

    def parts(self, moments: ArrayLike) -> Floats:
        """The part of each column in the error, shape (..., d), in variances of the reference."""
        return np.asarray(np.maximum(np.diagonal(self.left(moments), axis1=-2, axis2=-1), 0.0))

    def error(self, moments: ArrayLike) -> Floats:
        """Mean squared reconstruction error, trace(C (I - VVᵀ))."""
        return np.asarray(self.parts(moments).sum(axis=-1))

    def row_spread(self, moments: ArrayLike) -> Floats:
        """Standard deviation of the error of one row, if rows were normal: √(2 tr(R²)) for what is left, R."""
        return np.asarray(np.sqrt(2 * (self.left(moments) ** 2).sum(axis=(-2, -1))))


def components_of(moments: Floats, *, kept: float = KEPT) -> Components | None:
    """The fewest components with a share `kept` of the variance, at least one and not all. None when fewer than two columns vary.

    Reference correlation 0.8 of two columns: one component, error 0.2; 1.8 when the sign is flipped.

    >>> two = components_of(np.array([[1, 0, 0], [0, 1, 0.8], [0, 0.8, 1]]))
    >>> [round(float(two.error(np.array([[1, 0, 0], [0, 1, r], [0, r, 1]]))), 6) for r in (0.8, -0.8)]
    [0.2, 1.8]
    """
    standard = standard_of(moments)
    varying = standard.varying
    if varying < 2:
        return None
    values, vectors = np.linalg.eigh(standardised(moments, standard))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    enough = int(np.searchsorted(values.cumsum(), kept * values.sum() * (1 - 1e-12))) + 1
    count = min(enough, varying - 1)
    chosen = vectors[:, :count]
    return Components(standard=standard, kept=count, residual=np.eye(len(values)) - chosen @ chosen.T)


def errors_of_unseen(parts: Floats, *, kept: float = KEPT) -> Floats:
    """The error of each part (parts, d + 1, d + 1) by the components of all others: its own rows do not flatter it. NaN where none can be told."""
    total, errors = parts.sum(axis=0), np.full(len(parts), np.nan)
    for place, part in enumerate(parts):
        components = components_of(total - part, kept=kept)
        if components is not None and rows_in(part) > 0:
            errors[place] = float(components.error(part))
    return errors
