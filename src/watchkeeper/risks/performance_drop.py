"""Performance drop.

The model is wrong more often than when it was accepted, as its labels say. The world changed, a source means something else, a release was
worse than the one before.
The metric (`metric`; empty: ROC AUC where scores are logged, accuracy, or the mean absolute error) of the last `window` mature days is compared
with the first 28 mature days of the version in use, or with the days before it while it has not had so many. Mature are days of which 95 % of
the labels are expected to be there, as the delays of all labels so far tell (Kaplan-Meier).
It fires when the metric is worse by `tolerance`, a share of the reference, and beyond chance (`alpha`), where chance counts how much days differ
anyway. With a `limit` it also fires when the 95 % interval lies beyond that value, whatever the reference.
It is unknown while there are no labels, no seven days to compare with, or too few labelled rows.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.outcome_examples import numbers, outcome_history, scored
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.analysis.performance import Comparison, compare
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import days_of
from watchkeeper.risks._outcomes import PROBLEMS, OutcomeParams, obstacle, wanted_metric
from watchkeeper.stats.performance import Direction
from watchkeeper.telemetry.outcome_queries import OutcomeKind

NEEDS = OutcomeHistory


class Params(OutcomeParams):
    metric: str = Field("", description=N_("The metric, such as roc_auc, f1 or mean_absolute_error; empty means the usual one."))
    tolerance: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.05, description=N_("How much worse it may become, as a share of the reference."), ge=0, le=10
    )
    alpha: float = Field(0.001, description=N_("How often chance alone may look like a drop, per window."), gt=0, lt=0.5)
    limit: float | None = Field(None, description=N_("A value beyond which it is too bad whatever it was before."), allow_inf_nan=False)


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)

PLAN = (
    N_("Look at the metric over time: since when, suddenly or slowly, in all segments or in one?"),
    N_("Look at what happened then: a release, a changed source, a campaign. Are the labels themselves right?"),
    N_("Inputs broken: have the source repaired. A segment new: exclude it or fall back. The meaning of features changed: retrain on new labels."),
    N_("Warn the business owner of what wrong decisions cost meanwhile; roll back if the release before was better."),
)

KINDS = PREDICTING_KINDS
PROBLEM_TYPES = PROBLEMS


def evaluate(evidence: OutcomeHistory, params: Params) -> Finding:
    if problem := obstacle(evidence, params.max_age):
        return problem
    metric = wanted_metric(evidence, params.metric)
    if isinstance(metric, Finding):
        return metric
    found = compare(evidence, metric, window=params.window)
    if found is None or not (found.current.is_ok and found.reference.is_ok):
        rows = found.current.n if found else 0
        text = N_("{metric:word} cannot be told from {rows:integer} labelled rows")
        return Finding.unknown(Text(text, {"metric": metric.title, "rows": rows}))
    return _judge(evidence, found, params)


def _judge(evidence: OutcomeHistory, found: Comparison, params: Params) -> Finding:
    allowed = params.tolerance * abs(found.reference.estimate)
    sign = -1 if found.metric.direction is Direction.HIGHER else 1
    facts: dict[str, Argument] = {
        "metric": found.metric.title,
        "value": found.current.estimate,
        "low": found.current.low,
        "high": found.current.high,
        "reference": found.reference.estimate,
        "limit": found.reference.estimate + sign * allowed,
        "days": days_of(found.first, found.last),
        "labels": found.current.n,
    }
    end = evidence.ends[found.last]
    beyond = params.limit is not None and (found.current.high < params.limit if sign < 0 else found.current.low > params.limit)
    if beyond:
        facts["limit"] = params.limit
        text = N_("{metric:word} {value:number} ({low:number} to {high:number}), beyond the limit {limit:number}, {days}, {labels:integer} labels")
        return Finding.fired(Text(text, facts), value=found.current.estimate, limit=params.limit, since=end)
    limit = found.reference.estimate + sign * allowed
    if found.worse >= allowed and found.p_value < params.alpha:
        text = N_(
            "{metric:word} {value:number} ({low:number} to {high:number}), was {reference:number}, limit {limit:number}, {days}, {labels:integer} labels"
        )
        return Finding.fired(Text(text, facts), value=found.current.estimate, limit=limit, since=end)
    text = N_("{metric:word} {value:number} ({low:number} to {high:number}), reference {reference:number}, limit {limit:number}, {days}")
    return Finding.quiet(Text(text, facts), value=found.current.estimate, limit=limit)


def _decisions(bad_days: int, *, truth: float = 0.6, rows: int = 1000, days: int = 60) -> OutcomeHistory:
    """Scores that are right on average; on the last days they say only a part of what they said."""
    flat = [scored(back, rows, truth=lambda s: 0.5 + (s - 0.5) * truth) for back in range(1, bad_days + 1)]
    return outcome_history([*flat, *(scored(back, rows) for back in range(bad_days + 1, days + 1))])


def _errors(error: float) -> OutcomeHistory:
    return outcome_history([numbers(back, error=error if back <= 8 else 0.0) for back in range(1, 60)], kind=OutcomeKind.NUMBERS)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("a week as good as the reference"), evidence=_decisions(0), outcome=Outcome.QUIET),
        Example(title=N_("a week whose scores say less"), evidence=_decisions(8), outcome=Outcome.FIRED),
        Example(
            title=N_("a fall that is sure among so many rows, and small"), evidence=_decisions(8, truth=0.95, rows=50_000), outcome=Outcome.QUIET
        ),
        Example(title=N_("a limit that is passed"), evidence=_decisions(0), outcome=Outcome.FIRED, params={"limit": 0.9}),
        Example(title=N_("predictions one unit too high"), evidence=_errors(1.0), outcome=Outcome.FIRED, params={"metric": "mean_absolute_error"}),
        Example(title=N_("a metric that these labels do not give"), evidence=_errors(0.0), outcome=Outcome.UNKNOWN, params={"metric": "f1"}),
        Example(title=N_("five days with labels"), evidence=_decisions(0, days=6), outcome=Outcome.UNKNOWN),
        Example(
            title=N_("labels that come after two months"),
            evidence=outcome_history([scored(back, delay=60.0) for back in range(1, 60)]),
            outcome=Outcome.UNKNOWN,
        ),
        Example(title=N_("no labels"), evidence=outcome_history([]), outcome=Outcome.UNKNOWN),
    )
