"""Drift too small for any single day, added up over the days since the model's first weeks (stats.drift.SlowDrift)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import isnan

import numpy as np

from watchkeeper.analysis.columns import ColumnDays, ColumnHistory
from watchkeeper.stats.distances import psi
from watchkeeper.stats.drift import LEAST_WINDOWS, SlowDrift, rank_p_values, unlikeness


@dataclass(frozen=True, kw_only=True)
class ColumnSlowDrift:
    """How much evidence the days of a column have gathered against "as in the first weeks": it is above A once in A days by chance.

    `since` is the day from which it last grew from nothing; `psi` the difference of the days since then.
    """

    column: str
    evidence: float
    since: str
    last: str
    psi: float


def slow_drifts(history: ColumnHistory, columns: Collection[str], *, days: int) -> list[ColumnSlowDrift]:
    """Of each column with at least twenty first days and one after them, most evidence first. Only the last `days` count: evidence that was
    gathered does not go away by itself."""
    chosen = [history.of(history.columns[name]) for name in columns]
    found = [entry for column in chosen if (entry := _gathered(column, days)) is not None]
    return sorted(found, key=lambda entry: (-entry.evidence, entry.column))


def _gathered(column: ColumnDays, days: int) -> ColumnSlowDrift | None:
    learned = min(column.first, len(column.days))
    if column.bins.kind == "presence" or learned < LEAST_WINDOWS or len(column.days) == learned:
        return None
    counts = column.coarse(column.counts)
    total = counts[:learned].sum(axis=0)
    first = max(learned, len(column.days) - days * len(column.days) // len(set(column.days)))
    usual, seen = unlikeness(counts[:learned], counts[first:])
    coins = [_coin(column.bins.name, window) for window in column.names[first:]]
    p_values = np.where(np.isnan(seen), np.nan, rank_p_values(usual, seen, u=coins))
    state, begun = SlowDrift.of_larger_differences(), first
    for place, p_value in enumerate(p_values.tolist(), start=first):
        if isnan(p_value):
            continue
        state = state.after(p_value)
        if state.shiryaev_roberts < 1:
            begun = place
    moved = float(psi(total, counts[begun:].sum(axis=0)))
    return ColumnSlowDrift(column=column.bins.name, evidence=state.shiryaev_roberts, since=column.names[begun], last=column.names[-1], psi=moved)


@lru_cache(maxsize=100_000)
def _coin(column: str, window: str) -> float:
    """Uniform in [0, 1): breaks ties of ranks, the same each time a window is looked at."""
    return int.from_bytes(blake2b(f"{window} {column}".encode(), digest_size=7).digest()) / 2**56
