"""Drift too small for any single day, added up over the days since the model's first weeks (stats.drift.SlowDrift)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from watchkeeper.analysis.columns import ColumnHistory, Floats, Ints
from watchkeeper.stats.distances import psi
from watchkeeper.stats.drift import LEAST_WINDOWS, SlowDrift, rank_p_values, side_by_side, unlikeness


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
    learned = min(history.learned, len(history.days))
    chosen = [column for name in columns if (column := history.of(history.columns[name])).bins.kind != "presence"]
    if not chosen or learned < LEAST_WINDOWS or len(history.days) == learned:
        return []
    counts = side_by_side([column.coarse_counts for column in chosen])
    first = max(learned, len(history.days) - days * len(history.days) // len(set(history.days)))
    usual, seen = unlikeness(counts[:, :learned], counts[:, first:])
    coins = [_coins(column.bins.name, history.names[first:]) for column in chosen]
    ranked = [rank_p_values(of_usual, scores, u=u) for of_usual, scores, u in zip(usual, seen, coins, strict=True)]
    evidence, begun = _added_up(np.where(np.isnan(seen), np.nan, ranked))
    since = np.array([of_column[first + place :].sum(axis=0) for of_column, place in zip(counts, begun, strict=True)])
    moved = psi(counts[:, :learned].sum(axis=1), since)
    found = [
        ColumnSlowDrift(
            column=column.bins.name,
            evidence=float(evidence[place]),
            since=history.names[first + begun[place]],
            last=history.names[-1],
            psi=float(moved[place]),
        )
        for place, column in enumerate(chosen)
    ]
    return sorted(found, key=lambda entry: (-entry.evidence, entry.column))


def _added_up(p_values: Floats) -> tuple[Floats, Ints]:
    """Evidence of p-values of shape (columns, windows), and the window from which it last grew from nothing. A window without one adds nothing."""
    state, begun = SlowDrift.of_larger_differences(), np.zeros(len(p_values), dtype=np.int64)
    for place, p_value in enumerate(p_values.T):
        state = state.after(p_value)
        begun[~np.isnan(p_value) & (state.shiryaev_roberts < 1)] = place
    return np.asarray(state.shiryaev_roberts), begun


@lru_cache(maxsize=10_000)
def _coins(column: str, windows: tuple[str, ...]) -> tuple[float, ...]:
    """Uniform in [0, 1), for each window: breaks ties of ranks, the same each time a window is looked at."""
    return tuple(int.from_bytes(blake2b(f"{window} {column}".encode(), digest_size=7).digest()) / 2**56 for window in windows)
