"""Conformal coverage.

The model promises an interval with each number, "between 80 and 120 in nine of ten cases", and the promise no longer holds: fewer true values lie
inside. Whoever plans by the upper end, a stock, a deadline or a reserve, is surprised more often than was agreed. Log the interval beside the
prediction as `score: {"low": …, "high": …}`; conformal prediction is one way to make such intervals, any other is judged alike.
The share of true values inside their interval over the last `window` mature days is compared with what was promised (`nominal`). It fires when it is
lower by `tolerance` and its whole exact 95 % interval (Clopper and Pearson) lies below the promise; with `over` also when intervals hold more than
promised by as much: they are then wider than needed. The mean width stands beside it: widths that grow while the share holds say that the
model has become less sure. There is nothing to learn first: the first mature days count.
It is unknown while there are no labels, no intervals, or fewer than 30 labelled rows with one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.metrics import interval_width, number_sums
from watchkeeper.analysis.outcome_examples import numbers, outcome_history, scored
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import days_of
from watchkeeper.risks._outcomes import PROBLEMS_WITH_NUMBERS, OutcomeParams, days_by_themselves
from watchkeeper.stats.conformal import Coverage, coverage, judge_coverage
from watchkeeper.stats.result import Result
from watchkeeper.telemetry.outcome_queries import OutcomeKind

NEEDS = OutcomeHistory
MEASURES = "share"


class Params(OutcomeParams):
    window: int = Field(14, description=N_("How many mature days are looked at together."), ge=1, le=92)
    nominal: float = Field(0.9, description=N_("The share of true values that the intervals promise to hold."), gt=0, lt=1)
    tolerance: Annotated[float, FEWER_WHEN_HIGHER] = Field(0.02, description=N_("How far the share may lie off the promise."), ge=0, lt=1)
    over: bool = Field(False, description=N_("Whether intervals that hold more than promised fire as well."))


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=1)

PLAN = (
    N_("Look at the share and the width over time: did errors grow, or did the intervals become narrower?"),
    N_("Look at the true values outside: above or below, in one segment or in all?"),
    N_("Calibrate the intervals again on the newest mature labels; errors larger as well: look at performance, and retrain."),
    N_("Until then use wider intervals, and tell whoever plans by them."),
)

KINDS = PREDICTING_KINDS
PROBLEM_TYPES = PROBLEMS_WITH_NUMBERS


def evaluate(evidence: OutcomeHistory, params: Params) -> Finding:
    days = days_by_themselves(evidence, window=params.window, max_age=params.max_age)
    if isinstance(days, Finding):
        return days
    if evidence.kind is not OutcomeKind.NUMBERS:
        return Finding.unknown(Text(N_("intervals are of predicted numbers, not of decisions or classes")))
    sums = number_sums(evidence.of(days))
    if not sums["n_interval"]:
        text = N_("no interval is logged beside the labelled predictions (score: low and high), {days}")
        return Finding.unknown(Text(text, {"days": days_of(days[0], days[-1])}))
    share = coverage(sums["covered"], sums["n_interval"])
    if not share.is_ok:
        return Finding.unknown(Text(N_("{rows:integer} labelled rows with an interval are too few"), {"rows": share.n}))
    return _judge(evidence, days, share, params)


def _judge(evidence: OutcomeHistory, days: tuple[date, ...], share: Result, params: Params) -> Finding:
    verdict, value = judge_coverage(share, nominal=params.nominal), share.estimate
    is_over = params.over and verdict is Coverage.OVER
    limit = params.nominal + (params.tolerance if is_over else -params.tolerance)
    facts: dict[str, Argument] = {
        "value": value,
        "low": share.low,
        "high": share.high,
        "nominal": params.nominal,
        "limit": limit,
        "width": _width(evidence, days),
        "before": _width(evidence, [day for day in evidence.periods.reference if day not in days]),
        "days": days_of(days[0], days[-1]),
        "labels": share.n,
    }
    end = evidence.ends[days[-1]]
    if verdict is Coverage.UNDER and value <= limit:
        text = N_(
            "intervals hold only {value:share} of the true values ({low:share} to {high:share}), promised {nominal:share}, limit {limit:share}; "
            "mean width {width:number}, reference {before:number}; {days}, {labels:integer} labels"
        )
        return Finding.fired(Text(text, facts), value=value, limit=limit, since=end)
    if is_over and value >= limit:
        text = N_(
            "intervals are wider than needed: they hold {value:share} of the true values ({low:share} to {high:share}), promised {nominal:share}, "
            "limit {limit:share}; mean width {width:number}, reference {before:number}; {days}, {labels:integer} labels"
        )
        return Finding.fired(Text(text, facts), value=value, limit=limit, since=end)
    text = N_(
        "intervals hold {value:share} of the true values ({low:share} to {high:share}), promised {nominal:share}, limit {limit:share}; "
        "mean width {width:number}, reference {before:number}; {days}"
    )
    return Finding.quiet(Text(text, facts), value=value, limit=limit)


def _width(history: OutcomeHistory, days: Iterable[date]) -> float | None:
    """The mean width; None, shown as a dash, when there is none."""
    width = interval_width(history.of(days))
    return width.estimate if width.is_ok else None


def _days(*, sd: float = 1.0, width: float = 3.29, rows: int = 200, days: int = 60) -> OutcomeHistory:
    """Intervals of width 3.29 hold nine of ten errors of 1 (standard deviation). On the last 15 days errors and widths are as given."""
    entries = [numbers(back, rows, sd=sd, width=width) if back <= 15 else numbers(back, rows, width=3.29) for back in range(1, days + 1)]
    return outcome_history(entries, kind=OutcomeKind.NUMBERS)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("intervals that hold what they promise"), evidence=_days(), outcome=Outcome.QUIET),
        Example(title=N_("errors half as large again, intervals as before"), evidence=_days(sd=1.5), outcome=Outcome.FIRED),
        Example(title=N_("one point less than promised, of which many rows are sure"), evidence=_days(sd=1.03, rows=5000), outcome=Outcome.QUIET),
        Example(title=N_("intervals wider than needed"), evidence=_days(width=5.0), outcome=Outcome.QUIET),
        Example(
            title=N_("intervals wider than needed, where that fires as well"), evidence=_days(width=5.0), outcome=Outcome.FIRED, params={"over": True}
        ),
        Example(title=N_("the first days after a release"), evidence=_days(sd=1.5, days=3), outcome=Outcome.FIRED),
        Example(title=N_("two labels a day"), evidence=_days(sd=1.5, rows=2), outcome=Outcome.UNKNOWN),
        Example(title=N_("decisions instead of numbers"), evidence=outcome_history([scored(back) for back in range(1, 61)]), outcome=Outcome.UNKNOWN),
        Example(title=N_("no labels"), evidence=outcome_history([]), outcome=Outcome.UNKNOWN),
    )
