"""How much worse a model is in one segment than in the others, now and in the reference. Judges no limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import date
from math import hypot, inf, sqrt

from scipy.special import stdtr

from watchkeeper.analysis.metrics import OutcomeMetric, score_table
from watchkeeper.analysis.outcomes import ByDay, SegmentHistory, of_days
from watchkeeper.analysis.performance import design_effect, standard_error, worse_by
from watchkeeper.stats.performance import METRICS
from watchkeeper.stats.result import Result, Validity
from watchkeeper.stats.scores import Z_95, ScoreTable
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

_NO_GAP = Result(estimate=0.0, low=0.0, high=0.0, n=0)
_COUNTED_FROM = {
    OutcomeKind.CLASSES: 2,
    OutcomeKind.NUMBERS: 0,
    OutcomeKind.RANKINGS: 0,
}  # the first column of cells that adds up


@dataclass(frozen=True, kw_only=True)
class Sides:
    """A metric of a segment and of all other rows. `gap` is by how much the segment is worse (negative: better)."""

    inside: Result
    rest: Result
    gap: Result


@dataclass(frozen=True, kw_only=True, eq=False)
class Whole:
    """All rows of a model, and a metric of them."""

    history: SegmentHistory
    metric: OutcomeMetric
    _tables: dict[tuple[date, ...], ScoreTable] = dataclass_field(default_factory=dict)

    def sides(self, days: Sequence[date], part: Sequence[DayOutcomes]) -> tuple[Result, Result]:
        """The metric of a part of the rows of these days, and of all others: counts add up, so the part's are taken off."""
        if self.metric.kind is not OutcomeKind.DECISIONS:
            others = [*self.history.of(days), *(_negative(entry, self.metric.kind) for entry in part)]
            return self.metric.compute(part), self.metric.compute(others)
        inside, compute = score_table(part), METRICS[self.metric.name].compute
        return compute(inside), compute(self._table(tuple(days)) - inside)

    def _table(self, days: tuple[date, ...]) -> ScoreTable:
        if days not in self._tables:
            self._tables[days] = score_table(self.history.of(days))
        return self._tables[days]


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """A segment ("region: north") with its days beside those of all rows."""

    part: str
    by_day: ByDay
    whole: Whole

    def of(self, days: Iterable[date]) -> list[DayOutcomes]:
        return of_days(self.by_day, days)

    def has_labels(self, days: Iterable[date], least: int) -> bool:
        return sum(entry.labelled for entry in self.of(days)) >= least

    def sides(self, days: Sequence[date]) -> Sides:
        inside, rest = self.whole.sides(days, self.of(days))
        size = worse_by(self.whole.metric, inside.estimate, rest.estimate)
        half = Z_95 * hypot(standard_error(inside), standard_error(rest))
        validity = Validity.OK if inside.is_ok and rest.is_ok else Validity.TOO_FEW_ROWS
        return Sides(inside=inside, rest=rest, gap=Result(estimate=size, low=size - half, high=size + half, n=inside.n, validity=validity))


@dataclass(frozen=True, kw_only=True)
class SegmentGap:
    """A segment now and in the reference. `p_value` is how often chance gives such a gap, and such a growth of it."""

    part: str
    now: Sides
    before: Sides
    p_value: float

    @property
    def size(self) -> float:
        return self.now.gap.estimate

    def is_known(self, allowed: float) -> bool:
        """Whether it was there in the reference: since then it has not grown by half of what is allowed."""
        return self.before.gap.is_ok and self.size - self.before.gap.estimate < allowed / 2


def segment_gaps(
    history: SegmentHistory,
    metric: OutcomeMetric,
    days: Sequence[date],
    *,
    fields: Sequence[str],
    least_rows: int,
    alpha: float,
    known_gaps: bool,
) -> list[SegmentGap]:
    """Of the segments that can be judged, on the days on which their field was logged. `known_gaps`: those too that had no reference.

    Where a p-value is not below `alpha` even when days do not differ, how much they do is not computed.
    """
    found: list[SegmentGap] = []
    whole = Whole(history=history, metric=metric)
    for field in fields:
        segments = [Segment(part=f"{field}: {name}", by_day=entries, whole=whole) for name, entries in history.segments[field].items()]
        logged = {day for segment in segments for day in segment.by_day}
        now, reference = ([day for day in period if day in logged] for period in (days, history.periods.reference))
        for segment in segments:
            if segment.has_labels(now, least_rows):
                before = reference if segment.has_labels(reference, least_rows) else ()
                found.append(_gap(segment, now, reference=before, alpha=alpha, known_gaps=known_gaps))
    return [gap for gap in found if gap.now.gap.is_ok and (known_gaps or gap.before.gap.is_ok)]


def _gap(segment: Segment, days: Sequence[date], *, reference: Sequence[date], alpha: float, known_gaps: bool) -> SegmentGap:
    """The reference's days tell how much the gap differs between days; where it has too few rows, those of now."""
    now, before = segment.sides(days), segment.sides(reference)
    usual_days = reference if before.gap.is_ok else days
    others = (_NO_GAP,) if known_gaps else (_NO_GAP, before.gap)

    def p_value(effect: float) -> float:
        return max(_chance(now.gap, other, effect=effect, freedom=max(1, len(usual_days) - 1)) for other in others)

    chance = p_value(1.0)
    if chance < alpha:  # days that differ can only make it less sure: they are counted where that matters
        chance = p_value(design_effect([segment.sides([day]).gap for day in usual_days]))
    return SegmentGap(part=segment.part, now=now, before=before, p_value=chance)


def _chance(gap: Result, other: Result, *, effect: float, freedom: int) -> float:
    """How often chance makes a gap so much larger than another one, by Student's distribution; 1 where that cannot be told."""
    error = sqrt(effect) * hypot(standard_error(gap), standard_error(other))
    return float(stdtr(freedom, (other.estimate - gap.estimate) / error)) if 0 < error < inf else 1.0


def _negative(entry: DayOutcomes, kind: OutcomeKind) -> DayOutcomes:
    cells = entry.cells.copy()
    cells[:, _COUNTED_FROM[kind] :] *= -1
    return replace(entry, rows=-entry.rows, labelled=-entry.labelled, cells=cells)
