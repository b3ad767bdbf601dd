"""How large a part of a column's rows is null, unseen or out of range, against its reference."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from watchkeeper.analysis.columns import ColumnDays, ColumnHistory, Ints
from watchkeeper.analysis.drift import usual_spread
from watchkeeper.stats.distances import chi_square
from watchkeeper.stats.drift import LEAST_A_BIN, Spread, effective_rows, law_of
from watchkeeper.telemetry.bins import INFINITE, OVER_MAXIMUM, UNDER_MINIMUM, ColumnBins

Places = Callable[[ColumnBins], Collection[int]]
GUESSED_PHI = 5.0  # while it is not known how much days differ


@dataclass(frozen=True, kw_only=True)
class ColumnShare:
    """The part of a column's rows in some places, in a window of days and in the reference. `usual` is NaN when the reference has no rows.

    `p_value` is of the difference, knowing how much days usually differ; 1 where fewer than five rows are in the places: of those chi-square
    knows nothing.
    """

    column: str
    first: str
    last: str
    share: float
    usual: float
    n: int
    p_value: float

    @property
    def increase(self) -> float:
        return self.share - self.usual


def nulls(column: ColumnBins) -> Collection[int]:
    return (column.null_place,)


def unseen(column: ColumnBins) -> Collection[int]:
    return (len(column.levels) + 1,) if column.kind == "category" and not column.has_rest else ()


def out_of_range(column: ColumnBins) -> Collection[int]:
    return (UNDER_MINIMUM, OVER_MAXIMUM, INFINITE) if column.kind == "number" else ()


def column_shares(history: ColumnHistory, columns: Collection[str], places: Places, *, window: int = 1) -> list[ColumnShare]:
    """Of each column that has such places, those that grew most first. Empty when no day can be judged."""
    chosen = [column for name in columns if places((column := history.of(history.columns[name])).bins) and column.is_judged(window)]
    if not chosen:
        return []
    by_window = _split([(column.counts, column.totals, places(column.bins)) for column in chosen])
    reference = _split([(usual := column.compared(window)[0], usual.sum(), places(column.bins)) for column in chosen])
    current = by_window[:, -window:].sum(axis=1)
    spreads = [_spread(column, split, window) for column, split in zip(chosen, by_window, strict=True)]
    test = chi_square(reference, current)
    law = law_of(test.degrees, spreads, rows=effective_rows(reference.sum(axis=-1), current.sum(axis=-1)))
    p_values = np.where(current[:, 0] >= LEAST_A_BIN, law.sf(test.statistic), 1.0)
    windows = history.names[-window:]
    found = [
        ColumnShare(
            column=column.bins.name,
            first=windows[0],
            last=windows[-1],
            share=_part(current[place]),
            usual=_part(reference[place]),
            n=int(current[place].sum()),
            p_value=float(p_values[place]),
        )
        for place, column in enumerate(chosen)
    ]
    return sorted(found, key=lambda share: (1.0 if isnan(share.increase) else -share.increase, share.column))


def _spread(column: ColumnDays, split: Ints, window: int) -> Spread:
    spread = usual_spread(column, split[: column.learned(window)], window)
    return spread if spread.is_known else spread._replace(phi=max(spread.phi, GUESSED_PHI), degrees=0.0)


def _split(counted: Iterable[tuple[Ints, Ints, Collection[int]]]) -> Ints:
    """Rows in the places and elsewhere, of each column's counts of shape (..., places) and their totals: columns first."""
    parts = [(counts[..., list(places)].sum(axis=-1), totals) for counts, totals, places in counted]
    inside, totals = (np.array(part) for part in zip(*parts, strict=True))
    return np.stack([inside, totals - inside], axis=-1)


def _part(split: Ints) -> float:
    inside, elsewhere = split.tolist()
    return inside / (inside + elsewhere) if inside + elsewhere else nan
