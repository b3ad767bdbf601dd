"""Made-up histories for the examples of risks: counts drawn bin by bin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
from scipy.special import betainc, ndtr

from watchkeeper.analysis.columns import ColumnHistory, Floats, Ints
from watchkeeper.telemetry import derived_bins
from watchkeeper.telemetry.bins import FINE, FIRST, NUMBER_PLACES, OVER_BINS, UNDER_BINS, ColumnBins, ColumnCounts, Layout
from watchkeeper.telemetry.derived import Confidence, UnusualValues, VectorMeasure
from watchkeeper.telemetry.vectors import LENGTH, VectorFrame

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
AGE = ColumnBins(name="f.age", kind="number", low=-3.0, high=3.0, minimum=-6.0, maximum=6.0)
INCOME = replace(AGE, name="f.income")
SCORE = ColumnBins(name="score", kind="number", low=-3.0, high=3.0, minimum=-6.0, maximum=6.0)
CONFIDENCE = ColumnBins(name=derived_bins.CONFIDENCE, kind="number", low=0.5, minimum=0.5, derived=Confidence(("score",)))
UNUSUAL = ColumnBins(
    name=derived_bins.UNUSUAL,
    kind="number",
    high=256.0,
    maximum=256.0,
    derived=UnusualValues((("f.age", 18.0, 90.0),), (("f.region", ("north", "south")),)),
)
EMBEDDING = ColumnBins(
    name="d.f.embedding.length",
    kind="number",
    low=-3.0,
    high=3.0,
    minimum=-6.0,
    maximum=6.0,
    derived=VectorMeasure("f.embedding", LENGTH, VectorFrame(1, "AACAPw==")),
)
REGION = ColumnBins(name="f.region", kind="category", levels=("north", "south", "east"))


def normal(rows: int, *, mean: float = 0.0, sd: float = 1.0, seed: int = 1, nulls: float = 0.0) -> Ints:
    """Counts of normal numbers in the bins of AGE, a share of them null."""
    edges = np.concatenate([[-np.inf], np.linspace(AGE.low, AGE.high, FINE + 1), [np.inf]])
    shares = np.zeros(NUMBER_PLACES)
    shares[UNDER_BINS : OVER_BINS + 1] = np.diff(ndtr((edges - mean) / sd)) * (1 - nulls)
    shares[-1] = nulls
    return np.random.default_rng(seed).multinomial(rows, shares / shares.sum())


def sure(rows: int, *, mean: float = 0.8, seed: int = 1) -> Ints:
    """Counts of confidences with that mean in the bins of CONFIDENCE: 0.5 and half of a beta distribution."""
    part = 2 * mean - 1
    shares = np.zeros(NUMBER_PLACES)
    shares[FIRST:OVER_BINS] = np.diff(betainc(4 * part, 4 * (1 - part), np.linspace(0, 1, FINE + 1)))
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


def side_by_side(parts: Sequence[ColumnHistory], *, importances: Mapping[str, float]) -> ColumnHistory:
    """One history of the columns of several, all with the same days and with a reference."""
    references = [part.reference for part in parts if part.reference]
    return replace(
        parts[0],
        layout=Layout(tuple(column for part in parts for column in part.layout.columns)),
        reference=ColumnCounts(
            references[0].rows, np.concatenate([one.counts for one in references]), np.concatenate([one.sums for one in references])
        ),
        counts=np.concatenate([part.counts for part in parts], axis=1),
        sums=np.concatenate([part.sums for part in parts], axis=1),
        importances=importances,
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
