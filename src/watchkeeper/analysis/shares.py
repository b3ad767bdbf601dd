"""How large a part of a column's rows is null, unseen or out of range, against its reference."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from watchkeeper.analysis.columns import ColumnDays, ColumnHistory, Ints
from watchkeeper.analysis.drift import usual_spread
from watchkeeper.stats.distances import chi_square
from watchkeeper.stats.drift import LEAST_A_BIN, effective_rows, law_of
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
    chosen = [history.of(history.columns[name]) for name in columns]
    found = [share for column in chosen if (share := _share(column, places(column.bins), window)) is not None]
    return sorted(found, key=lambda share: (-np.nan_to_num(share.increase, nan=-1.0), share.column))


def _share(column: ColumnDays, places: Collection[int], window: int) -> ColumnShare | None:
    windows = column.names[-window:]
    if not places or not column.is_judged(window):
        return None
    reference, current = _split(column.compared(window)[0], places), _split(column.counts[-window:].sum(axis=0), places)
    spread = usual_spread(column, _split(column.counts[: column.learned(window)], places), window)
    test = chi_square(reference, current)
    known = spread if spread.is_known else spread._replace(phi=max(spread.phi, GUESSED_PHI), degrees=0.0)
    law = law_of(float(test.degrees), known, rows=float(effective_rows(reference.sum(), current.sum())))
    return ColumnShare(
        column=column.bins.name,
        first=windows[0],
        last=windows[-1],
        share=_part(current),
        usual=_part(reference),
        n=int(current.sum()),
        p_value=float(law.sf(test.statistic)) if current[0] >= LEAST_A_BIN else 1.0,
    )


def _split(counts: Ints, places: Collection[int]) -> Ints:
    inside = counts[..., list(places)].sum(axis=-1)
    return np.stack([inside, counts.sum(axis=-1) - inside], axis=-1)


def _part(split: Ints) -> float:
    return float(split[0] / split.sum()) if split.sum() else float("nan")
