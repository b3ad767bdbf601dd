"""Estimated performance drop.

The model will turn out to be wrong more often, as far as its own scores tell before any label is there. A population came for which it is less sure.
From the reference days, whose labels are known, it is learned what share of positives stands behind each score, in each segment where segments
differ; until there are such days, from the validation rows that came with the training. The scores of the last `window` days, labelled or not, then
give the metric that is to be expected (CBPE). The band counts the chance of the labels, what the reference leaves open, and how far reference days
lay off their estimate.
It fires when the expected metric lies below the realised one of the reference by `tolerance`, a share of it, and the whole band does.
It cannot see that the same features have come to mean something else: only labels show that. Every estimate is compared with the truth when
labels come; after two misses in a row it is distrusted, and this risk unknown until two hits.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.estimates import Estimator, estimator_of
from watchkeeper.analysis.metrics import OutcomeMetric
from watchkeeper.analysis.outcome_examples import scored, segment_history
from watchkeeper.analysis.outcomes import SegmentHistory
from watchkeeper.core.durations import Duration
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example, RiskParams
from watchkeeper.risks._features import days_of
from watchkeeper.risks._outcomes import wanted_metric
from watchkeeper.stats.estimated import Trust
from watchkeeper.stats.result import Validity
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

NEEDS = SegmentHistory


class Params(RiskParams):
    metric: str = Field("roc_auc", description=N_("roc_auc, accuracy, f1, precision or recall."), pattern="^(roc_auc|accuracy|f1|precision|recall)$")
    window: int = Field(1, description=N_("How many closed days are looked at together."), ge=1, le=31)
    tolerance: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.05, description=N_("How much lower it may become, as a share of the reference."), ge=0, le=1
    )
    tested_window: int = Field(7, description=N_("How many mature days are compared with their estimate together."), ge=1, le=92)
    max_age: Duration = Field(timedelta(days=3), description=N_("Days that ended longer ago than this say nothing any more."), gt=timedelta(0))


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)

PLAN = (
    N_("Look at which scores became more frequent, in which segments: is a population there for which the model is less sure?"),
    N_("Have a random sample of the last days labelled: it tells whether the estimate is right."),
    N_("Warn the business owner; use the fallback for the segments concerned until labels are there."),
    N_("Collect labels of the new population and retrain, or weight the training rows by it."),
)

KINDS = PREDICTING_KINDS
PROBLEM_TYPES = ("", "binary")


def evaluate(evidence: SegmentHistory, params: Params) -> Finding:
    if evidence.kind is not OutcomeKind.DECISIONS:
        return Finding.unknown(Text(N_("estimates need a binary model that logs its scores, and some labels to learn from")))
    metric = wanted_metric(evidence, params.metric)
    if isinstance(metric, Finding):
        return metric
    estimator = estimator_of(evidence)
    if estimator is None:
        return Finding.unknown(
            Text(N_("what scores mean is not learned yet: it takes seven mature days with 200 labels, or validation rows sent with the training"))
        )
    last = evidence.days[-1].day
    if evidence.age(last) > params.max_age / timedelta(days=1):
        return Finding.unknown(Text(N_("the last predictions are of {day}"), {"day": str(last)}), data=DataState.STALE)
    if estimator.trust(params.metric, window=params.tested_window) is Trust.DISTRUSTED:
        text = N_("the estimate is distrusted: the last two times labels came it was wrong, so features have come to mean something else")
        return Finding.unknown(Text(text))
    return _judge(evidence, estimator, metric, params)


def _judge(evidence: SegmentHistory, estimator: Estimator, metric: OutcomeMetric, params: Params) -> Finding:
    days = tuple(evidence.by_day)[-params.window :]
    estimate = estimator.estimate(params.metric, days)
    reference = estimator.reference(params.metric)
    if estimate.validity is Validity.OUT_OF_SUPPORT:
        return Finding.unknown(Text(N_("the scores of {days} are unlike those of the reference"), {"days": days_of(days[0], days[-1])}))
    if not (estimate.is_ok and reference.is_ok):
        return Finding.unknown(Text(N_("{rows:integer} rows are too few for an estimate"), {"rows": estimate.n}))
    limit = reference.estimate * (1 - params.tolerance)
    facts: dict[str, Argument] = {
        "metric": metric.title,
        "value": estimate.estimate,
        "low": estimate.low,
        "high": estimate.high,
        "reference": reference.estimate,
        "limit": limit,
        "days": days_of(days[0], days[-1]),
    }
    if estimate.estimate <= limit and estimate.high < reference.estimate:
        text = N_(
            "estimated {metric:word} {value:number} ({low:number} to {high:number}), reference {reference:number}, limit {limit:number}, {days}"
        )
        return Finding.fired(Text(text, facts), value=estimate.estimate, limit=limit, since=evidence.ends[days[-1]])
    text = N_("estimated {metric:word} {value:number} ({low:number} to {high:number}), as before: {reference:number}, limit {limit:number}, {days}")
    return Finding.quiet(Text(text, facts), value=estimate.estimate, limit=limit)


def _days(*, unsure_days: int = 0, flat: float = 1.0, days: int = 80) -> SegmentHistory:
    """Labels of the last ten days are not there yet. `unsure_days` have scores near the middle, the last 35 labelled days mean less."""

    def day(back: int) -> DayOutcomes:
        middle, part = (6.0 if back <= unsure_days else 1.0), (flat if back <= 45 else 1.0)
        return scored(back, 2000, truth=lambda s: 0.5 + (s - 0.5) * part, middle=middle, delay=10.0)

    return segment_history([day(back) for back in range(1, days + 1)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("a day like the reference"), evidence=_days(), outcome=Outcome.QUIET),
        Example(title=N_("a day of which the model is less sure"), evidence=_days(unsure_days=2), outcome=Outcome.FIRED),
        Example(
            title=N_("scores that have come to mean less: the truth missed the estimate twice"), evidence=_days(flat=0.5), outcome=Outcome.UNKNOWN
        ),
        Example(title=N_("five days with labels"), evidence=_days(days=15), outcome=Outcome.UNKNOWN),
        Example(title=N_("no labels"), evidence=segment_history([]), outcome=Outcome.UNKNOWN),
    )
