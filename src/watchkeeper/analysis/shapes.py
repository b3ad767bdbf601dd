"""Distributions small enough to be drawn beside each other. Does not draw."""

from __future__ import annotations

import numpy as np

from watchkeeper.analysis.columns import ColumnDays, Ints
from watchkeeper.telemetry.bins import FIRST, INFINITE, OVER_BINS


def shape(column: ColumnDays, counts: Ints, *, bins: int = 16) -> tuple[float, ...]:
    """Shares of the filled rows: bins of equal width with the tails in the outer ones, or the most frequent levels and the others together.

    `bins` divides 256. All zero without rows.
    """
    filled = counts[: column.bins.null_place].astype(float)
    if column.bins.kind == "number":
        inside = filled[FIRST:OVER_BINS].reshape(bins, -1).sum(axis=1)
        inside[0] += filled[:FIRST].sum()
        inside[-1] += filled[OVER_BINS:INFINITE].sum()
    else:
        ordered = filled[np.argsort(-column.reference[: column.bins.null_place], kind="stable")]
        inside = np.append(ordered[: bins - 1], ordered[bins - 1 :].sum()) if len(ordered) > bins else ordered
    rows = filled.sum()
    return tuple((inside / rows).tolist()) if rows else (0.0,) * len(inside)
