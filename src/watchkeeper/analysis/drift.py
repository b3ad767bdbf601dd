"""Drift of a model's columns: the calibrated test of each (stats.drift), told for all of them together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from math import isnan

import numpy as np

from watchkeeper.analysis.columns import ColumnDays, ColumnHistory, Floats, Ints
from watchkeeper.stats.distances import psi, wasserstein
from watchkeeper.stats.drift import DriftTest, Spread, Verdict, change_of, judge_all, learn_spread
from watchkeeper.stats.multiple import benjamini_hochberg


@dataclass(frozen=True, kw_only=True)
class DriftLimits:
    """When a difference is drift: significant at `alpha` (after adjusting for the number of columns) and at least this big."""

    alpha: float = 0.001
    least_psi: float = 0.1
    least_distance: float = 0.1


@dataclass(frozen=True, kw_only=True)
class ColumnDrift:
    """The verdict on one column in the windows `first` to `last`. `adjusted` is the p-value after adjusting for the number of columns.

    `importance` is how much the column matters to the model, of the most important one; 1 where it is unknown.
    """

    column: str
    first: str
    last: str
    test: DriftTest
    adjusted: float
    importance: float = 1.0

    @property
    def weighted(self) -> float:
        """PSI × importance: how much it moved, by how much it matters. 0 where PSI is not known."""
        return 0.0 if isnan(self.test.psi) else self.test.psi * self.importance


def column_drifts(history: ColumnHistory, columns: Collection[str], limits: DriftLimits, *, window: int = 1) -> list[ColumnDrift]:
    """The last `window` days of each column against its reference, those first that moved most by what matters. Empty when no day can be judged."""
    chosen = [history.of(history.columns[name]) for name in columns]
    judged = [column for column in chosen if column.bins.kind != "presence" and column.is_judged(window)]
    tests = drifts_of(judged, limits, window=window)
    adjusted = benjamini_hochberg([np.nan if isnan(test.psi) else test.p_value for test in tests])
    windows = history.names[-window:]
    found = [
        ColumnDrift(
            column=column.bins.name,
            first=windows[0],
            last=windows[-1],
            test=_final(test, p, limits),
            adjusted=float(p),
            importance=history.importance_of(column.bins.name),
        )
        for column, test, p in zip(judged, tests, adjusted, strict=True)
    ]
    return sorted(found, key=lambda drift: (not drift.test.verdict.fires, -drift.weighted, drift.column))


def weighted_drift(drifts: Iterable[ColumnDrift]) -> float:
    """PSI of all columns together, each by what it matters: Σ importance · PSI / Σ importance. NaN where nothing is known."""
    told = [drift for drift in drifts if not np.isnan(drift.test.psi)]
    weight = sum(drift.importance for drift in told)
    return sum(drift.weighted for drift in told) / weight if weight else float("nan")


def drift_of(column: ColumnDays, limits: DriftLimits, *, window: int = 1) -> DriftTest | None:
    """One column by itself; None when it has no day to judge."""
    return drifts_of([column], limits, window=window)[0] if column.is_judged(window) else None


def drifts_of(columns: Sequence[ColumnDays], limits: DriftLimits, *, window: int = 1) -> list[DriftTest]:
    """Columns of one history that have days to judge."""
    references = [column.compared(window)[0] for column in columns]
    return judge_all(
        [column.coarse(reference) for column, reference in zip(columns, references, strict=True)],
        [column.coarse_counts[-window:].sum(axis=0) for column in columns],
        [usual_spread(column, column.coarse_counts[: column.learned(window)], window) for column in columns],
        distances=_distances(columns, references, window),
        alpha=limits.alpha,
        least_psi=limits.least_psi,
        least_distance=limits.least_distance,
    )


def _final(test: DriftTest, adjusted: float, limits: DriftLimits) -> DriftTest:
    """What is significant by itself and not among so many columns is no drift."""
    return replace(test, verdict=Verdict.NONE) if test.verdict is Verdict.DRIFT and not adjusted < limits.alpha else test


def usual_spread(column: ColumnDays, usual: Ints, window: int) -> Spread:
    """That of single days: where days follow each other by chance it is that of longer windows too. Where those differ more, theirs.

    Days differ from those on their own side of a lasting change: drift is not usual. Without reference rows the days are the reference, all of them, or
    where seasons are told apart each differs from those of its own.
    """
    if window == 1 and column.seasons:
        return learn_spread(usual, phases=column.seasons)
    begun = change_of(usual) if column.has_reference else 0
    daily = learn_spread(usual, phases=[day >= begun for day in range(len(usual))])
    if window == 1:
        return daily
    sides = [side[: len(side) // window * window].reshape(-1, window, side.shape[1]) for side in np.split(usual, [begun])]
    longer = learn_spread(np.concatenate(sides).sum(axis=1), phases=[place >= len(sides[0]) for place in range(sum(map(len, sides)))])
    return daily._replace(phi=max(daily.phi, longer.phi), rows=daily.rows * window)


def _distances(columns: Sequence[ColumnDays], references: Sequence[Ints], window: int) -> list[float]:
    """Wasserstein-1 in standard deviations of the reference; NaN for categories and for numbers on a logarithmic scale."""
    numbers = [
        place for place, column in enumerate(columns) if column.bins.kind == "number" and not column.bins.is_log and column.reference_spread > 0
    ]
    distances = [float("nan")] * len(columns)
    if numbers:
        before = np.array([columns[place].ordered(references[place]) for place in numbers])
        after = np.array([columns[place].ordered(columns[place].counts[-window:].sum(axis=0)) for place in numbers])
        widths = [columns[place].bin_width / columns[place].reference_spread for place in numbers]
        for place, distance in zip(numbers, wasserstein(before, after, width=widths).tolist(), strict=True):
            distances[place] = distance
    return distances


def psi_by_day(column: ColumnDays) -> Floats:
    """How far each window is from what it is compared with, for charts; NaN for one without rows."""
    return psi(column.coarse(column.reference_by_window), column.coarse_counts) if len(column.days) else np.zeros(0)
