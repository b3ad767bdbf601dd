"""Estimated error rise.

A regression or a forecast will turn out to be further off, as far as its own predictions tell before any label is there. A population came for which
it is less exact: large orders, say, are missed by more than small ones.
From the reference days, whose labels are known, it is learned how wrong predictions of each size are. The predictions of the last `window` closed
days, labelled or not, then give the error that is to be expected. The band is how far reference days, each foretold from those before it, lay off.
It fires when the expected error lies above the realised one of the reference by `tolerance`, a share of it, and the whole band does.
It cannot see that the same features have come to mean something else: only labels show that. Every estimate is compared with the truth when
labels come; after two misses in a row it is distrusted, and this risk unknown until two hits.
It is unknown, too, while fewer than 24 mature days are there to learn from, where what the model predicts does not tell how wrong it will be (the
estimate did no better than a constant), and when more than 5 % of the predictions lie where the reference had none. Errors are counted by
prediction from when this risk is first bound or somebody opens the page Performance, with the reference and the last 120 days.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.error_examples import error_history, errors_of_day
from watchkeeper.analysis.estimates import NotEstimated
from watchkeeper.analysis.expected_errors import ErrorEstimator, ErrorHistory, error_estimator_for
from watchkeeper.analysis.metrics import OutcomeMetric
from watchkeeper.core.durations import Duration
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example, RiskParams
from watchkeeper.risks._features import days_of
from watchkeeper.risks._outcomes import PROBLEMS_WITH_NUMBERS, wanted_metric
from watchkeeper.stats.estimated import Trust
from watchkeeper.stats.result import Validity

NEEDS = ErrorHistory


class Params(RiskParams):
    metric: str = Field(
        "root_mean_squared_error",
        description=N_("root_mean_squared_error or mean_absolute_error."),
        pattern="^(root_mean_squared_error|mean_absolute_error)$",
    )
    window: int = Field(1, description=N_("How many closed days are looked at together."), ge=1, le=31)
    tolerance: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.1, description=N_("How much higher it may become, as a share of the reference."), ge=0, le=10
    )
    tested_window: int = Field(7, description=N_("How many mature days are compared with their estimate together."), ge=1, le=92)
    max_age: Duration = Field(timedelta(days=3), description=N_("Days that ended longer ago than this say nothing any more."), gt=timedelta(0))


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)

PLAN = (
    N_("Look at the predictions on the page Data: which sizes became more frequent, and in which segments?"),
    N_("Have a random sample of the last days labelled: it tells whether the estimate is right."),
    N_("Warn the business owner; widen the reserves or the safety stock that are made of the predictions by as much until labels are there."),
    N_("Collect labels of the new population and retrain, or weight the training rows by it."),
)

KINDS = PREDICTING_KINDS
PROBLEM_TYPES = PROBLEMS_WITH_NUMBERS

_WHY = {
    NotEstimated.NOT_BINARY: N_("this estimate needs numbers predicted and labelled"),
    NotEstimated.NOT_LEARNED: N_("how wrong predictions are is not learned yet: it takes 24 mature days to compare with, counted by prediction"),
    NotEstimated.NO_BETTER: N_("what the model predicts does not tell how wrong it will be: the estimate did no better than a constant"),
}


def evaluate(evidence: ErrorHistory, params: Params) -> Finding:
    estimator = error_estimator_for(evidence, evidence.errors, params.metric)
    if isinstance(estimator, NotEstimated):
        return Finding.unknown(Text(_WHY[estimator]))
    metric = wanted_metric(evidence, params.metric)
    if isinstance(metric, Finding):
        return metric
    last = evidence.days[-1].day
    if evidence.age(last) > params.max_age / timedelta(days=1):
        return Finding.unknown(Text(N_("the last predictions are of {day}"), {"day": str(last)}), data=DataState.STALE)
    if estimator.trust(params.metric, window=params.tested_window) is Trust.DISTRUSTED:
        text = N_("the estimate is distrusted: the last two times labels came it was wrong, so features have come to mean something else")
        return Finding.unknown(Text(text))
    return _judge(evidence, estimator, metric, params)


def _judge(evidence: ErrorHistory, estimator: ErrorEstimator, metric: OutcomeMetric, params: Params) -> Finding:
    days = tuple(evidence.by_day)[-params.window :]
    estimate, reference = estimator.estimate(params.metric, days), estimator.reference(params.metric)
    if estimate.validity is Validity.OUT_OF_SUPPORT:
        return Finding.unknown(Text(N_("the predictions of {days} are unlike those of the reference"), {"days": days_of(days[0], days[-1])}))
    if not (estimate.is_ok and reference.is_ok):
        return Finding.unknown(Text(N_("{rows:integer} rows are too few for an estimate"), {"rows": estimate.n}))
    limit = reference.estimate * (1 + params.tolerance)
    facts: dict[str, Argument] = {
        "metric": metric.title,
        "value": estimate.estimate,
        "low": estimate.low,
        "high": estimate.high,
        "reference": reference.estimate,
        "limit": limit,
        "days": days_of(days[0], days[-1]),
    }
    if estimate.estimate >= limit and estimate.low > reference.estimate:
        text = N_(
            "estimated {metric:word} {value:number} ({low:number} to {high:number}), reference {reference:number}, limit {limit:number}, {days}"
        )
        return Finding.fired(Text(text, facts), value=estimate.estimate, limit=limit, since=evidence.ends[days[-1]])
    text = N_("estimated {metric:word} {value:number} ({low:number} to {high:number}), as before: {reference:number}, limit {limit:number}, {days}")
    return Finding.quiet(Text(text, facts), value=estimate.estimate, limit=limit)


def _days(*, days: int = 60, large_days: int = 0, beyond: bool = False, grows: bool = True, louder: float = 1.0) -> ErrorHistory:
    """Labels of the last ten days are not there yet. The last `large_days` have larger predictions, the last 31 labelled ones errors `louder` times as large."""

    def mean(back: int) -> float:
        return 50 + back % 7 + ((60 if beyond else 15) if back <= large_days else 0)

    made = [
        errors_of_day(back, mean=mean(back), grows=grows, louder=louder if back <= 41 else 1.0, delay=10.0, seed=2) for back in range(1, days + 1)
    ]
    return error_history(made)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("a day like the reference"), evidence=_days(), outcome=Outcome.QUIET),
        Example(title=N_("a day of large predictions, of which the model is less sure"), evidence=_days(large_days=2), outcome=Outcome.FIRED),
        Example(title=N_("predictions larger than any of the reference"), evidence=_days(large_days=2, beyond=True), outcome=Outcome.UNKNOWN),
        Example(title=N_("errors that are the same whatever is predicted"), evidence=_days(grows=False), outcome=Outcome.UNKNOWN),
        Example(
            title=N_("errors that have doubled: the truth missed the estimate twice"), evidence=_days(days=80, louder=2.0), outcome=Outcome.UNKNOWN
        ),
        Example(title=N_("twenty days with labels"), evidence=_days(days=30), outcome=Outcome.UNKNOWN),
        Example(title=N_("no labels"), evidence=error_history([]), outcome=Outcome.UNKNOWN),
    )
