"""Why a model became worse: other inputs or another meaning of the same ones, which segments and features, and since when. Needs labels; judges nothing.

The loss is the squared error of the probabilities where scores are logged, else the share of wrong decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import inf, nan

import numpy as np
from scipy.special import ndtr

from watchkeeper.analysis.metrics import has_scores, score_table
from watchkeeper.analysis.outcomes import SegmentHistory, of_days
from watchkeeper.analysis.performance import standard_error
from watchkeeper.analysis.relations import FeatureSums, Relations, bins_of
from watchkeeper.core.text import N_
from watchkeeper.stats.multiple import benjamini_hochberg
from watchkeeper.stats.result import Result, Validity
from watchkeeper.stats.scores import Floats, ScoreTable
from watchkeeper.stats.why import MixWithin, Shift, change_points, mix_within, split_shift, swap_attribution
from watchkeeper.telemetry.bins import INFINITE
from watchkeeper.telemetry.outcome_queries import OutcomeKind

_STRATA = 20
_LEAST_LABELS = 100
_ALPHA = 0.01
_LEAST_SHARE = 0.05
_MOST = 0.6  # of the change: then it is named as the cause


class Cause(StrEnum):
    """What a rise of the loss comes from, mostly."""

    CONCEPT = N_("the same inputs have come to mean something else")
    INPUTS = N_("other inputs came, for which the model is worse")
    BOTH = N_("other inputs came, and the same ones mean something else")
    NONE = N_("the loss has not risen")


@dataclass(frozen=True, kw_only=True)
class SegmentShare:
    """What one segment adds to the change of the loss: by being more or less of the whole, and by doing better or worse."""

    field: str
    segment: str
    rows: int
    share_before: float
    share_after: float
    loss_before: float
    loss_after: float
    mix: float
    within: float


@dataclass(frozen=True, kw_only=True)
class FeatureShift:
    """What the mean loss of the reference would rise by if this feature alone had the values of the judged days; `share` of the whole rise."""

    feature: str
    rise: Result
    share: float


@dataclass(frozen=True, kw_only=True)
class Why:
    """The change of the mean loss from the reference to the judged days, in parts that add up to it."""

    before: float
    after: float
    shift: Shift
    segments: tuple[SegmentShare, ...]
    since: date | None
    by_decisions: bool

    @property
    def change(self) -> float:
        return self.after - self.before

    @property
    def inputs(self) -> float:
        return self.shift.to_shared + self.shift.from_shared

    @property
    def cause(self) -> Cause:
        if not self.change > 0 or self.shift.validity is not Validity.OK:
            return Cause.NONE
        if self.shift.concept >= _MOST * self.change:
            return Cause.CONCEPT
        return Cause.INPUTS if self.inputs >= _MOST * self.change else Cause.BOTH


def why(history: SegmentHistory, days: Sequence[date], reference: Sequence[date]) -> Why | None:
    """None where it cannot be told: no binary decisions, or too few labels on a side."""
    if history.kind is not OutcomeKind.DECISIONS:
        return None
    before, after = score_table(history.of(reference)), score_table(history.of(days))
    if min(before.labelled, after.labelled) < _LEAST_LABELS:
        return None
    by_decisions = not has_scores(history.of(days))
    counts, losses = _strata(before, after, by_decisions)
    shift = split_shift(*_strata(before, before, by_decisions), counts_after=counts, loss_after=losses)
    return Why(
        before=_loss(before, by_decisions),
        after=_loss(after, by_decisions),
        shift=shift,
        segments=tuple(_segments(history, days, reference, by_decisions)),
        since=_since(history, by_decisions),
        by_decisions=by_decisions,
    )


def feature_shifts(reference: Relations, current: Relations) -> tuple[FeatureShift, ...]:
    """Features whose other values explain a rise of the mean squared error, beyond noise and by 5 % of it at least; the first explains most.

    Stratified swap attribution: Σ share today · loss of the reference by bin, less its mean loss (stats.why.swap_attribution). What goes together
    explains the same, so the shares need not add up; values that the reference never had explain nothing.
    """
    rise = current.squared_error - reference.squared_error
    if not rise > 0:
        return ()
    found = [(name, _swapped(sums, current.features[name])) for name, sums in reference.features.items() if name in current.features]
    adjusted = benjamini_hochberg([_p_value(result) for _, result in found])
    shifts = [
        FeatureShift(feature=name, rise=result, share=result.estimate / rise)
        for (name, result), p in zip(found, adjusted, strict=True)
        if p < _ALPHA and result.estimate >= _LEAST_SHARE * rise
    ]
    return tuple(sorted(shifts, key=lambda shift: -shift.rise.estimate))


def _swapped(reference: FeatureSums, current: FeatureSums) -> Result:
    """In quantile bins of the reference; what lies beyond its first and last number is in none of them."""
    bins = bins_of(reference, rule=False)
    outside, last = np.zeros(bins.size, dtype=bool), int(bins.max(initial=0)) + 1
    if reference.column.kind == "number":
        known = np.flatnonzero(reference["n"][:INFINITE])
        outside[:INFINITE] = True
        outside[slice(known[0], known[-1] + 1) if known.size else slice(0)] = False
    today = np.bincount(np.where(outside, last, bins), weights=current["n"], minlength=last + 1)
    before, losses, squares = (np.bincount(bins, weights=reference[name], minlength=last + 1) for name in ("n", "residual_2", "residual_4"))
    return swap_attribution(today, before, loss_sums=losses, loss_squares=squares)


def _p_value(result: Result) -> float:
    """That nothing is explained, one-sided; NaN where it cannot be told."""
    error = standard_error(result)
    return float(ndtr(-result.estimate / error)) if result.validity is Validity.OK and 0 < error < inf else nan


def _strata(learned: ScoreTable, table: ScoreTable, by_decisions: bool) -> tuple[Floats, Floats]:
    """Labelled rows and mean loss in strata of the score that hold equally many reference rows."""
    n = learned.n_labelled
    place = np.minimum((_STRATA * (np.cumsum(n) - n / 2) / max(n.sum(), 1)).astype(np.int64), _STRATA - 1)
    rows, loss = (
        np.asarray(np.bincount(place, weights=weights, minlength=_STRATA), dtype=np.float64)
        for weights in (table.n_labelled, _losses(table, by_decisions))
    )
    return rows, np.divide(loss, rows, out=np.full(_STRATA, np.nan), where=rows > 0)


def _losses(table: ScoreTable, by_decisions: bool) -> Floats:
    """Sum of the loss by score code: (s - y)² of the labelled rows, or wrong decisions where a score is the decision itself."""
    s = table.mean_labelled_score
    n, k = table.n_labelled, table.sum_y
    spread = 0.0 if by_decisions else table.score_variance
    return np.asarray(k * (1 - s) ** 2 + (n - k) * s**2 + n * spread)


def _loss(table: ScoreTable, by_decisions: bool) -> float:
    return float(_losses(table, by_decisions).sum() / table.labelled) if table.labelled else float("nan")


def _segments(history: SegmentHistory, days: Sequence[date], reference: Sequence[date], by_decisions: bool) -> list[SegmentShare]:
    """Of each field the segments, those that add most first."""
    found: list[SegmentShare] = []
    for field, segments in history.segments.items():
        tables = [[score_table(of_days(entries, part)) for part in (reference, days)] for entries in segments.values()]
        rows = np.array([[table.labelled for table in pair] for pair in tables], dtype=np.float64).reshape(-1, 2)
        losses = np.array([[_loss(table, by_decisions) for table in pair] for pair in tables]).reshape(-1, 2)
        parts = mix_within(rows[:, 0], losses[:, 0], counts_after=rows[:, 1], loss_after=losses[:, 1])
        if parts.validity is Validity.OK:
            found += _shares(field, list(segments), rows, losses, parts)
    return sorted(found, key=lambda part: -abs(part.mix + part.within))


def _shares(field: str, names: Sequence[str], rows: Floats, losses: Floats, parts: MixWithin) -> list[SegmentShare]:
    totals = rows.sum(axis=0)
    return [
        SegmentShare(
            field=field,
            segment=name,
            rows=int(rows[place, 1]),
            share_before=float(rows[place, 0] / totals[0]),
            share_after=float(rows[place, 1] / totals[1]),
            loss_before=float(losses[place, 0]),
            loss_after=float(losses[place, 1]),
            mix=float(parts.mix[place]),
            within=float(parts.within[place]),
        )
        for place, name in enumerate(names)
    ]


def _since(history: SegmentHistory, by_decisions: bool) -> date | None:
    """The first day after the last lasting rise of the daily loss."""
    days = history.mature
    losses = [_loss(score_table(history.of([day])), by_decisions) for day in days]
    rises = [point for point in change_points(losses, min_size=3).points if point.after > point.before]
    return days[rises[-1].index] if rises else None
