"""What is known of a model's columns over time, and the views of it that methods take."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import repeat
from typing import ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from watchkeeper.core.evidence import Evidence
from watchkeeper.core.text import N_
from watchkeeper.stats.drift import LEAST_OF_A_PHASE, same_phase
from watchkeeper.telemetry.bins import FIRST, NUMBER_PLACES, OVER_BINS, ColumnBins, ColumnCounts, Layout
from watchkeeper.telemetry.days import Cut

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Kept = TypeVar("Kept")

LEARN_DAYS = 28
LEARN_PARTS = 168  # hours of a week; of runs at most as many
LOOKED_BACK = timedelta(days=92)  # beside the windows it learned from
PARTS_BACK = 336  # of them, where a window is a part of a day
OWN_AFTER = 31  # hours after the first week it is the reference: so many may be looked at together
COARSE = 10
COARSE_LEVELS = 20


DAYS_AS_COUNTED = (  # what a view of past days takes for granted
    N_("the reference is the one in use today"),
    N_("days are taken as they are counted now: rows that were sent late are in them"),
)


def short_name(column: str) -> str:
    """The name that people know a column by.

    >>> short_name("f.age"), short_name("score")
    ('age', 'score')
    """
    return column.removeprefix("f.")


def moments(n: int, total: float, squares: float) -> tuple[float, float]:
    """Mean and standard deviation from Σx and Σx². The deviation is NaN where there is no spread, or one that no float can hold."""
    if not n:
        return float("nan"), float("nan")
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.float64(total) / n
        variance = np.float64(squares) / n - mean**2
    return float(mean), float(np.sqrt(variance)) if 0 < variance < np.inf else float("nan")


def kept_windows(closed: Sequence[Kept], cut: Cut) -> list[Kept]:
    """Of parts of days only the first ones and the last ones are looked at: there are many."""
    return [*closed] if cut is Cut.DAY else [*closed[:LEARN_PARTS], *closed[LEARN_PARTS:][-PARTS_BACK:]]


def _no_counts() -> Ints:
    return np.zeros((0, 0), dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnHistory(Evidence):
    """Closed windows of a model that have rows, oldest first, and the reference they are compared with: days of its own clock, or as `cut` says parts
    of them. `parts` has the name of each part within its day, nothing for whole days.

    `counts` has shape (windows, layout.width), `sums` (windows, columns, 2), `ends` the UTC moment at which each window was over.
    `reference` counts the training rows; None when the model sent none and is compared with its own first weeks. The first 28 days tell how
    much days usually differ. An hour is compared with the same hour of the first week once that is over: hours differ more than models drift.
    `importances` says from 0 to 1 how much a feature matters to the model, of those of which it is known: as given with the
    training (`has_given_importances`), or as learned from the log.
    """

    forgets: ClassVar[str] = ""
    is_large: ClassVar[bool] = True
    assumes: ClassVar[tuple[str, ...]] = DAYS_AS_COUNTED
    same_for: ClassVar[timedelta] = timedelta(days=1)

    layout: Layout = field(default_factory=lambda: Layout(()))
    reference: ColumnCounts | None = None
    cut: Cut = Cut.DAY
    days: tuple[date, ...] = ()
    parts: tuple[str, ...] = ()
    ends: tuple[datetime, ...] = ()
    rows: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    counts: Ints = field(default_factory=_no_counts)
    sums: Floats = field(default_factory=lambda: np.zeros((0, 0, 2)))
    importances: Mapping[str, float] = field(default_factory=dict)
    has_given_importances: bool = False
    _columns: dict[str, ColumnDays] = field(default_factory=dict, init=False, repr=False)

    @property
    def arrivals(self) -> Sequence[datetime]:
        return self.ends

    def at(self, moment: datetime) -> Self:
        over = bisect_right(self.ends, moment)
        since = (moment - LOOKED_BACK).date()
        closed = [place for place in range(over) if place < self.learned or self.days[place] >= since]
        kept = kept_windows(closed, self.cut)
        return replace(
            self,
            now=moment,
            parts=tuple(self.parts[place] for place in kept) if self.parts else (),
            days=tuple(self.days[place] for place in kept),
            ends=tuple(self.ends[place] for place in kept),
            rows=self.rows[kept],
            counts=self.counts[kept],
            sums=self.sums[kept],
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What people call each window."""
        return tuple(f"{day} {part}".strip() for day, part in zip(self.days, self.parts or repeat(""), strict=bool(self.parts)))

    @cached_property
    def learned(self) -> int:
        """How many of the first windows tell what is usual, when they are over."""
        if self.cut is Cut.DAY:
            return LEARN_DAYS
        days = list(dict.fromkeys(self.days))[:LEARN_DAYS]
        return min(LEARN_PARTS, bisect_right(self.days, days[-1])) if len(days) == LEARN_DAYS else LEARN_PARTS

    @cached_property
    def columns(self) -> dict[str, ColumnBins]:
        return {column.name: column for column in self.layout.columns}

    def importance_of(self, column: str) -> float:
        """1 where it is unknown: what may matter is never hidden."""
        return self.importances.get(column, 1.0)

    def of(self, column: ColumnBins) -> ColumnDays:
        """One column of it, made once."""
        if column.name not in self._columns:
            self._columns[column.name] = self._of(column)
        return self._columns[column.name]

    def _of(self, column: ColumnBins) -> ColumnDays:
        places, index = self.layout.slices[column.name], self.layout.places[column.name]
        is_sent = self.reference is not None and not (self.cut is Cut.HOUR and len(self.days) >= self.learned + OWN_AFTER)
        reference = self.reference.counts[places] if self.reference and is_sent else np.zeros(column.places, dtype=np.int64)
        sums = self.reference.sums[index] if self.reference and is_sent else np.zeros(2)
        return ColumnDays(
            bins=column,
            days=self.days,
            names=self.names,
            phases=self.phases,
            first=self.learned,
            counts=self.counts[:, places],
            sums=self.sums[:, index],
            sent=reference,
            sent_sums=sums,
        )

    @cached_property
    def phases(self) -> tuple[Hashable, ...]:
        """The season of each window: its weekday, or its hour. Runs have none."""
        if self.cut is Cut.DAY:
            return tuple(day.weekday() for day in self.days)
        return tuple(part[:5] for part in self.parts) if self.cut is Cut.HOUR else ()


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnDays:
    """One column: `counts` of shape (windows, places). `sent` are the counts of the reference rows, all zero when there are none; of the windows the
    `first` tell what is usual."""

    bins: ColumnBins
    days: tuple[date, ...]
    counts: Ints
    sums: Floats
    sent: Ints
    sent_sums: Floats
    names: tuple[str, ...] = ()
    phases: tuple[Hashable, ...] = ()
    first: int = LEARN_DAYS

    @property
    def has_reference(self) -> bool:
        return bool(self.sent.any())

    def learned(self, window: int) -> int:
        """How many of the first windows tell what is usual when the last `window` are judged: one never tells about itself."""
        return min(self.first, max(0, len(self.days) - window))

    def is_judged(self, window: int) -> bool:
        """The first weeks of a model without reference rows are its reference, and are not judged."""
        return len(self.days) >= window + (0 if self.has_reference else self.first)

    @cached_property
    def reference(self) -> Ints:
        """Counts of the reference by place."""
        return self.sent if self.has_reference else self.counts[: self.first].sum(axis=0)

    @cached_property
    def reference_sums(self) -> Floats:
        return self.sent_sums if self.has_reference else self.sums[: self.first].sum(axis=0)

    @cached_property
    def seasons(self) -> tuple[Hashable, ...]:
        """Of a model without reference rows: the weekday or hour of each of its first windows, when that of the last window came four times; else
        nothing."""
        known = self.phases[: self.learned(1)]
        is_told = known and not self.has_reference and known.count(self.phases[-1]) >= LEAST_OF_A_PHASE
        return known if is_told else ()

    def compared(self, window: int) -> tuple[Ints, Floats]:
        """Counts and sums of what the last `window` are compared with: a single one with those of its season."""
        if window > 1 or not self.seasons:
            return self.reference, self.reference_sums
        counts, sums = (same_phase(part[: len(self.seasons)], self.seasons, self.phases[-1]) for part in (self.counts, self.sums))
        return counts.astype(np.int64), sums

    @cached_property
    def reference_by_window(self) -> Ints:
        """What each window by itself is compared with: of shape (windows, places), or (places,) when all are with the same."""
        if not self.seasons:
            return self.reference
        usual = self.counts[: len(self.seasons)]
        of_season = {phase: same_phase(usual, self.seasons, phase) for phase in set(self.phases)}
        return np.array([of_season[phase] for phase in self.phases], dtype=np.int64)

    @cached_property
    def reference_spread(self) -> float:
        """Standard deviation of the reference's finite numbers; NaN without any."""
        return moments(self.numbers(self.reference), *self.reference_sums)[1]

    def numbers(self, counts: Ints) -> int:
        """How many of the counted rows are finite numbers."""
        return int(counts[..., : OVER_BINS + 2].sum()) if self.bins.kind == "number" else 0

    def quantile(self, counts: Ints, share: float) -> float | None:
        """The value below which a share of the numbers lies, even within a fine bin; None without numbers."""
        ordered = self.ordered(counts)
        total = ordered.sum()
        if not total:
            return None
        edges = np.concatenate([[self.bins.minimum, self.bins.low], self.bins.edges[1:], [self.bins.maximum, self.bins.maximum]])
        reached = np.concatenate([[0], ordered.cumsum()]) / total
        values = np.concatenate([[self.bins.minimum], edges])[: reached.size]
        return float(np.interp(share, reached, values))

    @cached_property
    def groups(self) -> Ints:
        """Where each coarse bin begins: ten bins of a number with as many reference rows each, infinite and null by themselves; the twenty most
        frequent levels of a category, the rarer ones, unseen, null. Bins of a number that hold one frequent value stay by themselves.
        """
        if self.bins.kind == "category":
            last = len(self.bins.levels)  # its place: the rarer ones
            return np.array([*range(min(COARSE_LEVELS, last) + 1), last + 1, last + 2])
        if self.bins.kind == "presence":
            return np.arange(self.bins.places)
        ordered = self.reference[: OVER_BINS + 2]
        below = np.concatenate([[0], ordered.cumsum()[:-1]]) / max(1, ordered.sum())
        starts = np.unique(np.searchsorted(below, np.arange(COARSE) / COARSE, side="left"))
        starts = starts[starts < OVER_BINS + 2]
        return np.unique(np.concatenate([[0], starts, [OVER_BINS + 2, OVER_BINS + 3]]))

    def coarse(self, counts: Ints) -> Ints:
        """Counts of shape (..., places) in the bins that drift is told by."""
        return np.asarray(np.add.reduceat(counts, self.groups, axis=-1))

    @cached_property
    def coarse_counts(self) -> Ints:
        """Of all windows."""
        return self.coarse(self.counts)

    @cached_property
    def totals(self) -> Ints:
        """The rows of each window."""
        return np.asarray(self.coarse_counts.sum(axis=-1))

    def ordered(self, counts: Ints) -> Ints:
        """The finite numbers alone, below the bins to above them: what distances along the scale are taken of."""
        return np.asarray(counts[..., : OVER_BINS + 2])

    @property
    def bin_width(self) -> float:
        """Of the equal bins, on their own scale."""
        low, high = self.bins.span
        return (high - low) / (NUMBER_PLACES - FIRST - 4)
