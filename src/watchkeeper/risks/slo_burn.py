"""SLO burn.

More predictions turn out wrong than was agreed: the budget of bad ones is spent too fast, or gone.
A prediction is good when its decision or class was right; of a regression when the truth lay inside the interval predicted with it. The
service-level objective `target` is the share of good ones over `budget` (28 days); what may be bad is the budget. Only mature days count.
It fires as the burn-rate alerts of the SRE Workbook do, on a model's clock: when one day spends the budget 5.6 times too fast, three days 2.8
times, or seven days 1.6 times, the last mature day still does, and with few rows only when chance is ruled out (95 %, Jeffreys); and when the
whole budget is spent.
A target that the model never reached burns from the first day: without a `target` the one that only one day in a hundred missed so far is taken.
It is unknown while there are no mature days, or neither a target nor eight days to take one from.
"""

from __future__ import annotations

from datetime import timedelta
from math import isnan

from pydantic import Field

from watchkeeper.analysis.outcome_examples import outcome_history, scored
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.analysis.service_levels import ServiceLevel, service_level, target_of
from watchkeeper.core.durations import Duration
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import PREDICTING_KINDS, Defaults, Example, RiskParams
from watchkeeper.risks._features import days_of
from watchkeeper.telemetry.outcomes import DayOutcomes

NEEDS = OutcomeHistory


class Params(RiskParams):
    target: float | None = Field(
        None, description=N_("The share of good predictions agreed on, such as 0.95; empty: what was usual so far."), gt=0, lt=1
    )
    budget: Duration = Field(
        timedelta(days=28), description=N_("The time over which the share is agreed."), ge=timedelta(days=7), le=timedelta(days=366)
    )
    max_age: Duration = Field(
        timedelta(days=7),
        description=N_("Mature days that ended longer ago than this, beside the usual delay of labels, say nothing any more."),
        gt=timedelta(0),
    )


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)
MEASURES = "share"

PLAN = (
    N_("Look at the performance: since when are more predictions wrong, in all segments or in one?"),
    N_("Budget spent: stop releases that are not repairs, as agreed with the business owner."),
    N_("Decide between rollback, retraining and fallback by what each costs; tell those who were promised the share."),
    N_("A target that is missed on usual days is no target: agree on another."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: OutcomeHistory, params: Params) -> Finding:
    if not evidence.labelled:
        return Finding.unknown(Text(N_("no label has come yet")))
    target = target_of(evidence, params.target)
    if isnan(target):
        return Finding.unknown(Text(N_("no target was set, and fewer than eight mature days tell what is usual")))
    level = service_level(evidence, target=target, budget=params.budget)
    if level is None or not level.counts.valid:
        return Finding.unknown(Text(N_("no mature day has predictions that can be called good or bad")))
    delay = 0.0 if isnan(evidence.usual_delay) else evidence.usual_delay
    if evidence.age(level.last) > delay + params.max_age / timedelta(days=1):
        return Finding.unknown(Text(N_("the last day with enough labels is {day}"), {"day": str(level.last)}), data=DataState.STALE)
    return _judge(evidence, level)


def _judge(evidence: OutcomeHistory, level: ServiceLevel) -> Finding:
    burning = [burn for burn in level.burns if burn.reason.is_firing]
    facts: dict[str, Argument] = {
        "share": level.good_share,
        "limit": level.target,
        "left": max(0.0, level.budget.left),
        "spent": level.budget.spent,
        "days": days_of(level.first, level.last),
    }
    end = evidence.ends[level.last]
    if burning:
        burn = burning[0]
        facts |= {"burn": burn.long, "allowed": burn.window.burn, "span": int(burn.window.long / timedelta(days=1))}
        text = N_(
            "the budget of bad predictions burns {burn:number} times too fast over {span:integer} d, limit {allowed:number}; {left:share} of it is left"
        )
        return Finding.fired(Text(text, facts), value=level.good_share, limit=level.target, since=end)
    if level.budget.left <= 0:
        text = N_("{share:share} of predictions were good, {limit:share} agreed: the budget of bad ones is spent, {days}")
        return Finding.fired(Text(text, facts), value=level.good_share, limit=level.target, since=end)
    text = N_("{share:share} of predictions were good, {limit:share} agreed; {left:share} of the budget of bad ones is left, {days}")
    return Finding.quiet(Text(text, facts), value=level.good_share, limit=level.target)


def _days(*, part: float = 1.0, since: int = 0, rows: int = 1000, days: int = 60) -> OutcomeHistory:
    """Decisions of which three quarters are right; in the last days only a part of what the scores said is true."""

    def day(back: int) -> DayOutcomes:
        told = part if back <= since else 1.0
        return scored(back, rows, truth=lambda s: 0.5 + (s - 0.5) * told)

    return outcome_history([day(back) for back in range(1, days + 1)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("as many good predictions as agreed"), evidence=_days(), outcome=Outcome.QUIET, params={"target": 0.7}),
        Example(title=N_("a week in which far more are bad"), evidence=_days(part=-0.6, since=7), outcome=Outcome.FIRED, params={"target": 0.7}),
        Example(title=N_("a target that is missed a little every day"), evidence=_days(), outcome=Outcome.FIRED, params={"target": 0.8}),
        Example(title=N_("no target: what was usual so far"), evidence=_days(), outcome=Outcome.QUIET),
        Example(title=N_("no target and five days"), evidence=_days(days=5), outcome=Outcome.UNKNOWN),
        Example(title=N_("no labels"), evidence=outcome_history([]), outcome=Outcome.UNKNOWN),
    )
