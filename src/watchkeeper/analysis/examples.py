"""Made-up histories for the examples of risks: counts drawn bin by bin, at no cost when a risk's file is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from scipy.stats import norm

from watchkeeper.analysis.columns import ColumnHistory, Floats, Ints
from watchkeeper.telemetry.bins import FINE, FIRST, NUMBER_PLACES, OVER_BINS, UNDER_BINS, ColumnBins, ColumnCounts, Layout

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
AGE = ColumnBins(name="f.age", kind="number", low=-3.0, high=3.0, minimum=-6.0, maximum=6.0)
SCORE = ColumnBins(name="score", kind="number", low=-3.0, high=3.0, minimum=-6.0, maximum=6.0)
REGION = ColumnBins(name="f.region", kind="category", levels=("north", "south", "east"))


def normal(rows: int, *, mean: float = 0.0, sd: float = 1.0, seed: int = 1, nulls: float = 0.0) -> Ints:
    """Counts of normal numbers in the bins of AGE, a share of them null."""
    edges = np.concatenate([[-np.inf], np.linspace(AGE.low, AGE.high, FINE + 1), [np.inf]])
    shares = np.zeros(NUMBER_PLACES)
    shares[UNDER_BINS : OVER_BINS + 1] = np.diff(norm.cdf(edges, mean, sd)) * (1 - nulls)
    shares[-1] = nulls
    return np.random.default_rng(seed).multinomial(rows, shares / shares.sum())


def spread(rows: int, shares: Sequence[float], *, seed: int = 1) -> Ints:
    """Counts of a category in the places of REGION: its three levels, rarer ones, unseen, null."""
    return np.random.default_rng(seed).multinomial(rows, np.array(shares) / sum(shares))


def history(column: ColumnBins, *, reference: Ints | None, days: Sequence[Ints], now: datetime = NOW) -> ColumnHistory:
    """Days that end last midnight, one after the other, with one column."""
    count, layout = len(days), Layout((column,))
    first = date(2026, 11, 22) - timedelta(days=count)
    return ColumnHistory(
        now=now,
        layout=layout,
        reference=None if reference is None else ColumnCounts(int(reference.sum()), reference, _sums(column, reference)[None]),
        days=tuple(first + timedelta(days=day) for day in range(count)),
        ends=tuple(MIDNIGHT - timedelta(days=count - 1 - day) for day in range(count)),
        rows=np.array([counts.sum() for counts in days], dtype=np.int64),
        counts=np.array(days, dtype=np.int64).reshape(count, layout.width),
        sums=np.array([_sums(column, counts) for counts in days]).reshape(count, 1, 2),
    )


def _sums(column: ColumnBins, counts: Ints) -> Floats:
    """Σx and Σx² as the middles of the bins give them."""
    if column.kind != "number":
        return np.zeros(2)
    edges = column.edges
    values = np.zeros(NUMBER_PLACES)
    values[FIRST:OVER_BINS] = (edges[1:] + edges[:-1]) / 2
    values[:FIRST], values[OVER_BINS : OVER_BINS + 2] = column.low, column.high
    return np.array([(counts * values).sum(), (counts * values**2).sum()])
