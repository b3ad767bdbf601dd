"""Segment gap.

The model is worse in one segment than in the others, more than it was before: one region's source broke, a campaign brought other customers to one
channel, the customers of one branch changed. In the metric of all rows a small segment disappears.
Segments are the values of the further fields that are logged with each prediction, such as a region. Of each one with `least_rows` labelled rows
the metric (`metric`; empty: accuracy, or the mean absolute error) of the last `window` mature days is compared with that of all other rows.
The gap is by how much it is worse.
It fires when a gap reaches `tolerance`, a share of the metric of all rows, and has grown since the reference days by at least half of that: the
first 28 mature days of the version in use, or the days before it. Both must be beyond chance after adjusting for the number of segments (Benjamini
and Hochberg, `alpha`), where chance counts how much the gap differs between days anyway. With `known_gaps` a gap also fires that was there in the
reference, or in a segment too small then to tell.
It is unknown while there are no segments or labels, no seven days to compare with, or too few labelled rows in every segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.metrics import OutcomeMetric
from watchkeeper.analysis.outcome_examples import numbers, scored, segment_history
from watchkeeper.analysis.outcomes import SegmentHistory
from watchkeeper.analysis.segments import SegmentGap, segment_gaps
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import days_of
from watchkeeper.risks._outcomes import PROBLEMS, OutcomeParams, obstacle, wanted_metric
from watchkeeper.stats.multiple import benjamini_hochberg
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

NEEDS = SegmentHistory


class Params(OutcomeParams):
    window: int = Field(14, description=N_("How many mature days are looked at together."), ge=1, le=92)
    metric: str = Field("", description=N_("The metric, such as f1 or mean_absolute_error; empty means accuracy, or the mean absolute error."))
    tolerance: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.1, description=N_("How much worse a segment may be than the rest, as a share of the metric of all rows."), ge=0, le=10
    )
    alpha: float = Field(0.01, description=N_("How often chance alone may look like a gap, per window, all segments together."), gt=0, lt=0.5)
    fields: tuple[str, ...] = Field((), description=N_("Segment fields to look at; empty means all."))
    least_rows: int = Field(100, description=N_("Segments with fewer labelled rows than this are not judged."), ge=30)
    known_gaps: bool = Field(False, description=N_("Whether gaps that were there in the reference fire as well."))


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=1)

PLAN = (
    N_("Look at the metric of the segment over time: since when, suddenly or slowly? Did the segment grow, is it another population now?"),
    N_("Compare the segment's inputs with those of the rest: a feature that is null, constant or in another unit only there?"),
    N_("Input broken: have the source repaired. Population changed: use the fallback for this segment until there are labels to retrain on."),
    N_("Tell the business owner which decisions are concerned; check whether people are treated unfairly by it."),
)

KINDS = PREDICTING_KINDS
PROBLEM_TYPES = PROBLEMS
_USUAL = {
    OutcomeKind.DECISIONS: "accuracy",
    OutcomeKind.CLASSES: "accuracy",
    OutcomeKind.NUMBERS: "mean_absolute_error",
    OutcomeKind.RANKINGS: "ndcg_at_10",
}


def evaluate(evidence: SegmentHistory, params: Params) -> Finding:
    if problem := obstacle(evidence, params.max_age):
        return problem
    assert evidence.kind is not None
    metric = wanted_metric(evidence, params.metric or _USUAL[evidence.kind])
    if isinstance(metric, Finding):
        return metric
    if not evidence.segments:
        return Finding.unknown(Text(N_("no segment is logged with the predictions")))
    if absent := [field for field in params.fields if field not in evidence.segments]:
        return Finding.unknown(Text(N_("these segment fields are not logged with the predictions: {absent:list}"), {"absent": absent}))
    days = evidence.periods.judged[-params.window :]
    whole = metric.compute(evidence.of(days))
    gaps = segment_gaps(
        evidence,
        metric,
        days,
        fields=params.fields or tuple(evidence.segments),
        least_rows=params.least_rows,
        alpha=params.alpha,
        known_gaps=params.known_gaps,
    )
    if not (gaps and whole.is_ok):
        text = N_(
            "{metric:word} cannot be told of any segment and of the rest, {days}: it takes {needed:integer} labelled rows, in the reference too"
        )
        if params.known_gaps:
            text = N_("{metric:word} cannot be told of any segment and of the rest, {days}: it takes {needed:integer} labelled rows")
        return Finding.unknown(Text(text, {"needed": params.least_rows, "metric": metric.title, "days": days_of(days[0], days[-1])}))
    return _judge(evidence, metric, gaps, days, allowed=params.tolerance * abs(whole.estimate), params=params)


def _judge(
    evidence: SegmentHistory, metric: OutcomeMetric, gaps: Sequence[SegmentGap], days: Sequence[date], *, allowed: float, params: Params
) -> Finding:
    big = [gap for gap in gaps if gap.size >= allowed and (params.known_gaps or not gap.is_known(allowed))]
    sure = {gap.part for gap, p in zip(gaps, benjamini_hochberg([gap.p_value for gap in gaps]), strict=True) if p < params.alpha}
    fired = sorted((gap for gap in big if gap.part in sure), key=lambda gap: -gap.size)
    most = fired[0] if fired else max(gaps, key=lambda gap: gap.size)
    facts: dict[str, Argument] = {
        "metric": metric.title,
        "worse": len(fired),
        "judged": len(gaps),
        "part": most.part,
        "inside": most.now.inside.estimate,
        "rest": most.now.rest.estimate,
        "value": most.size,
        "before": most.before.gap.estimate if most.before.gap.is_ok else None,
        "limit": allowed,
        "days": days_of(days[0], days[-1]),
        "labels": most.now.inside.n,
    }
    if not fired:
        return Finding.quiet(Text(_why_quiet(most, allowed, params), facts), value=most.size, limit=allowed)
    text = N_(
        "{metric:word} worse in {worse:integer} of {judged:integer} segments, {days}; most {part}: {inside:number}, elsewhere {rest:number}, "
        "gap {value:number}, in the reference {before:number}, limit {limit:number}, {labels:integer} labels"
    )
    return Finding.fired(Text(text, facts), value=most.size, limit=allowed, since=evidence.ends[days[-1]], parts=tuple(gap.part for gap in fired))


def _why_quiet(most: SegmentGap, allowed: float, params: Params) -> str:
    if most.size < allowed:
        return N_(
            "{metric:word} not much worse in any of {judged:integer} segments, {days}; most {part}: {inside:number}, elsewhere {rest:number}, "
            "gap {value:number}, limit {limit:number}"
        )
    if most.is_known(allowed) and not params.known_gaps:
        return N_(
            "{metric:word} worse in {part}, as in the reference: {inside:number}, elsewhere {rest:number}, gap {value:number}, "
            "in the reference {before:number}, limit {limit:number}, {days}; {judged:integer} segments"
        )
    return N_(
        "{metric:word} worse in {part}, which may be chance: {inside:number}, elsewhere {rest:number}, gap {value:number}, limit {limit:number}, "
        "{days}, {labels:integer} labels; {judged:integer} segments"
    )


def _days(bad: float = 0.6, *, always: float = 0.6, rows: int = 300, days: int = 60) -> SegmentHistory:
    """In the north decisions follow the scores as far as `always` says, on the last 15 days as far as `bad` does; elsewhere as far as 0.6."""

    def entry(back: int, seed: int, name: str) -> DayOutcomes:
        slope = 0.6 if name != "north" else bad if back <= 15 else always
        return scored(back, rows, truth=lambda s: 0.5 + (s - 0.5) * slope, field="region", segment=name, seed=seed)

    entries = [entry(back, seed, name) for back in range(1, days + 1) for seed, name in enumerate(("north", "south", "east"))]
    return _with_all_rows(entries, OutcomeKind.DECISIONS)


def _errors(bad: float) -> SegmentHistory:
    """Numbers whose errors are so much larger in the north on the last 15 days."""
    entries = [
        replace(numbers(back, 100, sd=bad if back <= 15 and name == "north" else 1.0, seed=seed), field="region", segment=name)
        for back in range(1, 61)
        for seed, name in enumerate(("north", "south"))
    ]
    return _with_all_rows(entries, OutcomeKind.NUMBERS)


def _with_all_rows(entries: Sequence[DayOutcomes], kind: OutcomeKind) -> SegmentHistory:
    """All rows of a day are those of its segments: one entry each adds up to them."""
    return replace(segment_history([replace(entry, field="", segment="") for entry in entries], entries), kind=kind)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("segments that are as good as each other"), evidence=_days(), outcome=Outcome.QUIET),
        Example(title=N_("two weeks in which the model knows little of one region"), evidence=_days(0.1), outcome=Outcome.FIRED),
        Example(title=N_("a region of which it always knew little"), evidence=_days(0.1, always=0.1), outcome=Outcome.QUIET),
        Example(
            title=N_("a region of which it always knew little, where known gaps fire as well"),
            evidence=_days(0.1, always=0.1),
            outcome=Outcome.FIRED,
            params={"known_gaps": True},
        ),
        Example(title=N_("a gap that is sure among so many rows, and small"), evidence=_days(0.5, rows=10_000), outcome=Outcome.QUIET),
        Example(title=N_("errors of one region twice as large"), evidence=_errors(2.0), outcome=Outcome.FIRED),
        Example(title=N_("three labels a day in each segment"), evidence=_days(0.1, rows=3), outcome=Outcome.UNKNOWN),
        Example(title=N_("a field that is not logged"), evidence=_days(), outcome=Outcome.UNKNOWN, params={"fields": ["channel"]}),
        Example(title=N_("no segments"), evidence=segment_history([scored(back) for back in range(1, 61)]), outcome=Outcome.UNKNOWN),
        Example(title=N_("five days with labels"), evidence=_days(days=5), outcome=Outcome.UNKNOWN),
    )
