"""Worse than a simple model.

The model is no longer worth what it costs: a simple prediction, such as the value of a week ago, the mean of the last month or the estimate of
a rule, would have been closer to what came out. Log it beside every prediction as `score: {"naive": …}`.
The skill score of the last `window` mature days is 1 minus the mean squared error of the model divided by that of the simple model: 1 is a model
without errors, 0 one that is no better than the simple one, below 0 one that is worse. Both are taken of the same rows.
It fires when the whole 95 % interval of the skill score lies below `least_skill`. There is nothing to learn first: the first mature days count.
It is unknown while there are no labels, while a labelled row has no simple prediction beside it, and with too few labelled rows. Models that
decide or choose a class cannot be compared like this yet.
"""

from __future__ import annotations

from datetime import date

from pydantic import Field

from watchkeeper.analysis.metrics import METRICS, error_sums, number_sums
from watchkeeper.analysis.outcome_examples import numbers, outcome_history, scored
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import days_of
from watchkeeper.risks._outcomes import PROBLEMS_WITH_NUMBERS, OutcomeParams, days_by_themselves
from watchkeeper.stats.regression import ErrorSums, skill_score
from watchkeeper.stats.result import Result
from watchkeeper.telemetry.outcome_queries import OutcomeKind

NEEDS = OutcomeHistory


class Params(OutcomeParams):
    least_skill: float = Field(
        0.0,
        description=N_("The part of the simple model's squared error by which the model's must be smaller: 0.1 is a tenth."),
        lt=1,
        allow_inf_nan=False,
    )


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)

PLAN = (
    N_("Look at the skill score over time: since when, suddenly or slowly? Did the model become worse, or the simple one better?"),
    N_("Look at a few rows with large errors: is an input missing or late, is the simple prediction made with knowledge it could not have?"),
    N_("Use the simple prediction until the model is repaired: it is closer, and cheaper."),
    N_("Retrain with the simple prediction as a feature; if that does not help either, ask whether the model is needed."),
)

KINDS = PREDICTING_KINDS
PROBLEM_TYPES = PROBLEMS_WITH_NUMBERS
_SKILL = next(metric for metric in METRICS[OutcomeKind.NUMBERS] if metric.name == "skill_score")


def evaluate(evidence: OutcomeHistory, params: Params) -> Finding:
    days = days_by_themselves(evidence, window=params.window, max_age=params.max_age)
    if isinstance(days, Finding):
        return days
    if evidence.kind is not OutcomeKind.NUMBERS:
        return Finding.unknown(Text(N_("only predicted numbers can be compared with a simple model yet, not decisions or classes")))
    entries = evidence.of(days)
    counts, sums = number_sums(entries), error_sums(entries)
    if counts["n_naive"] < counts["n"]:
        text = N_("{beside:integer} of {rows:integer} labelled rows have a simple prediction beside (score: naive), all must have one, {days}")
        return Finding.unknown(Text(text, {"beside": counts["n_naive"], "rows": counts["n"], "days": days_of(days[0], days[-1])}))
    skill = skill_score(sums)
    if not skill.is_ok:
        return Finding.unknown(Text(N_("{metric:word} cannot be told from {rows:integer} labelled rows"), {"metric": _SKILL.title, "rows": sums.n}))
    return _judge(evidence, days, sums, skill, params.least_skill)


def _judge(evidence: OutcomeHistory, days: tuple[date, ...], sums: ErrorSums, skill: Result, limit: float) -> Finding:
    facts: dict[str, Argument] = {
        "metric": _SKILL.title,
        "value": skill.estimate,
        "low": skill.low,
        "high": skill.high,
        "limit": limit,
        "error": sums.error_2 / sums.n,
        "simple": sums.naive_2 / sums.n,
        "days": days_of(days[0], days[-1]),
        "labels": skill.n,
    }
    if skill.high < limit:
        text = N_(
            "{metric:word} {value:number} ({low:number} to {high:number}), limit {limit:number}: mean squared error {error:number}, "
            "that of the simple model {simple:number}, {days}, {labels:integer} labels"
        )
        return Finding.fired(Text(text, facts), value=skill.estimate, limit=limit, since=evidence.ends[days[-1]])
    text = N_("{metric:word} {value:number} ({low:number} to {high:number}), fires when all of it is below {limit:number}, {days}")
    return Finding.quiet(Text(text, facts), value=skill.estimate, limit=limit)


def _days(sd: float = 1.0, *, naive_sd: float = 2.0, rows: int = 500, days: int = 60) -> OutcomeHistory:
    """On the last eight days the model's errors are so large; those of the simple model are 2 (standard deviation)."""
    entries = [numbers(back, rows, sd=sd if back <= 8 else 1.0, naive_sd=naive_sd) for back in range(1, days + 1)]
    return outcome_history(entries, kind=OutcomeKind.NUMBERS)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("errors half as large as those of the simple model"), evidence=_days(), outcome=Outcome.QUIET),
        Example(title=N_("a week with errors twice as large as those of the simple model"), evidence=_days(4.0), outcome=Outcome.FIRED),
        Example(title=N_("errors as large as those of the simple model: chance decides which is closer"), evidence=_days(2.0), outcome=Outcome.QUIET),
        Example(title=N_("better, and not by as much as was asked"), evidence=_days(1.8), outcome=Outcome.FIRED, params={"least_skill": 0.5}),
        Example(title=N_("the first days after a release"), evidence=_days(4.0, days=3), outcome=Outcome.FIRED),
        Example(title=N_("two labels a day"), evidence=_days(4.0, rows=2), outcome=Outcome.UNKNOWN),
        Example(title=N_("decisions instead of numbers"), evidence=outcome_history([scored(back) for back in range(1, 61)]), outcome=Outcome.UNKNOWN),
        Example(title=N_("no labels"), evidence=outcome_history([]), outcome=Outcome.UNKNOWN),
    )
