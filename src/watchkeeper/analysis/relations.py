"""Features against the outcome: mean label, prediction and residual by bins of a feature, compared over time, and where the residual is not the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from math import nan

import numpy as np
from numpy.typing import NDArray

from watchkeeper.stats.anova import FTest, welch_test
from watchkeeper.stats.binscatter import FineBins, assign_bins, dots, rule_of_thumb
from watchkeeper.stats.multiple import benjamini_hochberg
from watchkeeper.stats.result import Result
from watchkeeper.telemetry.bins import INFINITE, OVER_BINS, UNDER_BINS, ColumnBins, Layout
from watchkeeper.telemetry.relations import SUMS

Floats = NDArray[np.float64]
Bins = NDArray[np.intp]

MOST_BINS = 50
MOST_LEVELS = 20  # by themselves, the most frequent ones
LEAST_ROWS = 30
BIASED_BINS = 20
ALPHA = 0.01
LEAST_PART = 0.01  # of the squared error: below that a bias is true but small


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureSums:
    """What is summed of one feature over some days, by the place of its bins: see telemetry.relations.SUMS."""

    column: ColumnBins
    sums: Mapping[str, Floats]

    def __getitem__(self, name: str) -> Floats:
        return self.sums[name]

    @property
    def labelled(self) -> int:
        return int(self["n"].sum())

    def mean(self, of: str) -> float:
        """Of the labelled rows; NaN without any."""
        return float(self[of].sum() / self.labelled) if self.labelled else nan

    def fine(self, of: str) -> FineBins:
        """Of the label ("y") or the residual."""
        return FineBins.of_sums(self["n"], self["x"], sum_y=self[of], sum_y2=self[f"{of}_2"])


@dataclass(frozen=True, kw_only=True, eq=False)
class Relations:
    """Sums of some days, all versions together. `days` are those of the days asked for that are counted; `sums` has shape (len(SUMS), layout.width)."""

    layout: Layout = field(default_factory=lambda: Layout(()))
    days: tuple[date, ...] = ()
    sums: Floats = field(default_factory=lambda: np.zeros((len(SUMS), 0)))

    @cached_property
    def features(self) -> Mapping[str, FeatureSums]:
        slices = self.layout.slices
        return {
            column.name: FeatureSums(column=column, sums=dict(zip(SUMS, self.sums[:, slices[column.name]], strict=True)))
            for column in self.layout.columns
        }

    @property
    def squared_error(self) -> float:
        """Mean squared residual of the labelled rows: every feature has them all. NaN without any."""
        sums = next(iter(self.features.values()), None)
        return float(sums["residual_2"].sum() / sums.labelled) if sums and sums.labelled else nan


@dataclass(frozen=True, kw_only=True, eq=False)
class Related:
    """The days of the reference and the last judged ones, as asked for, and what of them is counted. `since` is when that was first asked for."""

    since: datetime
    reference_days: tuple[date, ...]
    current_days: tuple[date, ...]
    reference: Relations
    current: Relations

    @property
    def waiting(self) -> int:
        """Days that are not counted yet."""
        return len(self.reference_days) + len(self.current_days) - len(self.reference.days) - len(self.current.days)


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a bin holds: numbers from `low` to `high` (None: no end), a level, or one of the words of `Special`."""

    low: float | None = None
    high: float | None = None
    level: str | None = None
    special: str = ""


REST, UNSEEN, NOTHING, ENDLESS, FILLED = "rest", "unseen", "null", "infinite", "filled"


@dataclass(frozen=True, kw_only=True)
class BinMeans:
    """One bin: its number, labelled rows, their share, where it lies (numbers), and its means with 95 % intervals."""

    bin: int
    place: Place
    n: int
    share: float
    x: float | None
    target: Result
    prediction: float
    residual: Result


@dataclass(frozen=True, kw_only=True)
class Bias:
    """A feature by whose bins the mean residual differs from that of all rows. `part` of the squared error would go if each bin were put right by
    that difference; `worst` adds most to it."""

    feature: str
    test: FTest
    adjusted: float
    part: float
    worst: BinMeans

    @property
    def is_found(self) -> bool:
        return self.adjusted < ALPHA and self.part >= LEAST_PART


@dataclass(frozen=True, kw_only=True, eq=False)
class OutcomeBy:
    """Means by the same bins of a feature, of the reference and of the last days."""

    bins: Bins
    reference: list[BinMeans]
    current: list[BinMeans]


def outcome_by(reference: FeatureSums, current: FeatureSums) -> OutcomeBy:
    """Both in the bins that the rule of thumb finds on the reference."""
    bins = bins_of(reference)
    return OutcomeBy(bins=bins, reference=bin_means(reference, bins), current=bin_means(current, bins))


def bins_of(reference: FeatureSums, *, most: int = MOST_BINS, rule: bool = True) -> Bins:
    """The bin of each place, frozen on the reference: quantile bins of a number, as many as the rule of thumb asks for (or `most`), each special
    value by itself; the most frequent levels of a category, the rarer ones together."""
    column = reference.column
    if column.kind != "number":
        return _level_bins(reference, most)
    n = reference["n"][:INFINITE]
    wanted = min(most, rule_of_thumb(inner(reference)).bins) if rule else most
    assigned = assign_bins(n, bins=wanted, min_rows=LEAST_ROWS, max_bins=most)
    after = int(assigned.max(initial=-1)) + 1
    return np.concatenate([assigned, [after, after + 1]])  # infinite, null


def inner(sums: FeatureSums) -> FineBins:
    """What the rule of thumb reads: the numbers between minimum and maximum of the reference, on the scale of the bins, those far beyond the bins no
    further than a quarter of their width. One absurd number must not make one bin of all others."""
    column, inside = sums.column, slice(UNDER_BINS, OVER_BINS + 1)
    low, high = column.span
    n, beyond = sums["n"][inside], (high - low) / 4
    with np.errstate(invalid="ignore", divide="ignore"):
        x = sums["x"][inside] / n
        scaled = np.clip(np.log(np.maximum(x, 0)) if column.is_log else x, low - beyond, high + beyond)
    return FineBins.of_sums(n, n * scaled, sum_y=sums["y"][inside], sum_y2=sums["y_2"][inside])


def bin_means(sums: FeatureSums, bins: Bins) -> list[BinMeans]:
    """The bins that have labelled rows, in their order."""
    target, residual = sums.fine("y"), sums.fine("residual")
    n = np.bincount(bins, weights=target.n)
    used = np.flatnonzero(n)
    prediction = np.bincount(bins, weights=np.where(target.n > 0, sums["prediction"], 0.0))
    is_number = sums.column.kind == "number"
    return [
        BinMeans(
            bin=int(index),
            place=place_of(sums.column, np.flatnonzero(bins == index)),
            n=int(n[index]),
            share=float(n[index] / n.sum()),
            x=of_target.x if is_number and np.flatnonzero(bins == index)[0] < INFINITE else None,
            target=of_target.y,
            prediction=float(prediction[index] / n[index]),
            residual=of_residual.y,
        )
        for index, of_target, of_residual in zip(used, dots(target, bins), dots(residual, bins), strict=True)
    ]


def place_of(column: ColumnBins, places: NDArray[np.intp]) -> Place:
    """What a bin of these places of a column holds."""
    first, last = int(places[0]), int(places[-1])
    if last == column.null_place:
        return Place(special=NOTHING)
    if column.kind == "presence":
        return Place(special=FILLED)
    if column.kind == "category":
        if len(places) == 1 and first < len(column.levels):
            return Place(level=column.levels[first])
        return Place(special=UNSEEN if first > len(column.levels) else REST)
    if first == INFINITE:
        return Place(special=ENDLESS)
    starts = [None, column.minimum, *column.edges.tolist(), column.maximum, None]
    return Place(low=starts[first], high=starts[last + 1])


def biases(relations: Relations) -> list[Bias]:
    """Every feature with its test over bins, adjusted for their number (Benjamini and Hochberg), those that explain most of the error first."""
    found = [entry for sums in relations.features.values() if (entry := _bias(sums))]
    adjusted = benjamini_hochberg([test.p_value for _, test, _, _ in found])
    made = [
        Bias(feature=name, test=test, adjusted=float(p), part=part, worst=worst) for (name, test, part, worst), p in zip(found, adjusted, strict=True)
    ]
    return sorted(made, key=lambda bias: (not bias.is_found, -bias.part, bias.feature))


def _bias(sums: FeatureSums) -> tuple[str, FTest, float, BinMeans] | None:
    """None for a feature with one bin."""
    bins = bins_of(sums, most=BIASED_BINS, rule=False)
    means = [entry for entry in bin_means(sums, bins) if entry.n >= LEAST_ROWS]
    if len(means) < 2:
        return None
    n, total, squares = (np.bincount(bins, weights=weights) for weights in (sums.fine("residual").n, sums["residual"], sums["residual_2"]))
    large = n >= LEAST_ROWS
    n, total, squares = n[large], total[large], squares[large]
    whole, mean = float(squares.sum()), float(total.sum() / n.sum())
    noise = np.maximum(squares - total**2 / n, 0) / (n - 1)  # what a bin's mean of chance would explain
    part = float((n * (total / n - mean) ** 2 - noise).sum()) / whole if whole > 0 else nan
    worst = max(means, key=lambda entry: entry.n * (entry.residual.estimate - mean) ** 2)
    return sums.column.name, welch_test(n, total, squares), part, worst


def _level_bins(reference: FeatureSums, most: int) -> Bins:
    column = reference.column
    if column.kind == "presence":
        return np.arange(2)
    rest = len(column.levels)
    kept = [place for place in range(rest) if reference["n"][place] >= LEAST_ROWS][: min(most, MOST_LEVELS)]
    bins = np.full(column.places, len(kept), dtype=np.intp)
    bins[kept] = np.arange(len(kept))
    bins[rest + 1 :] = len(kept) + 1, len(kept) + 2  # unseen, null
    return bins
