"""Residual bias.

The predictions of a regression or a forecast are too high or too low on average, and no longer cancel out: a total made of them, a budget, a
stock or a reserve, is off by the same. Prices rose, a source changed, the newest rows are unlike those of the training.
The mean error (prediction minus true value) of the last `window` mature days is compared with that of the reference days: the first 28 mature
days of the version in use, or the days before it while it has not had so many. Both are measured in standard deviations of the true values of
the reference days, so that one tolerance fits any unit.
It fires when the predictions lie further off than in the reference by `tolerance` of a standard deviation, beyond chance (`alpha`) and beyond how
much days differ anyway. An error that was always there does not fire.
It is unknown while there are no numbers predicted and labelled, no seven days to compare with, or too few labelled rows.
"""

from __future__ import annotations

from math import sqrt
from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.metrics import METRICS, number_sums
from watchkeeper.analysis.outcome_examples import numbers, outcome_history, scored
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.analysis.performance import Comparison, compare
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import days_of
from watchkeeper.risks._outcomes import PROBLEMS_WITH_NUMBERS, OutcomeParams, obstacle
from watchkeeper.telemetry.outcome_queries import OutcomeKind

NEEDS = OutcomeHistory
MEASURES = "share"


class Params(OutcomeParams):
    tolerance: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.1,
        description=N_("How far off predictions may be on average, beyond the reference, in standard deviations of the true values."),
        gt=0,
        le=10,
    )
    alpha: float = Field(0.001, description=N_("How often chance alone may look like a difference, per window."), gt=0, lt=0.5)


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=1)

PLAN = (
    N_("Look at the mean error over time and by segment: since when, all rows or those of one source?"),
    N_("Compare the true values with those of the training: did prices, volumes or units change? Are the labels themselves complete?"),
    N_("Until it is repaired, correct the predictions by the mean error where totals are made of them, and say so to whoever uses them."),
    N_("Retrain on recent rows; if the level keeps moving, give the model a feature that follows it."),
)

KINDS = PREDICTING_KINDS
PROBLEM_TYPES = PROBLEMS_WITH_NUMBERS
_BIAS = next(metric for metric in METRICS[OutcomeKind.NUMBERS] if metric.name == "bias")
_ROUNDING = 1e-12  # of the mean square: a smaller variance may be what the rounding of long sums leaves


def evaluate(evidence: OutcomeHistory, params: Params) -> Finding:
    if problem := obstacle(evidence, params.max_age):
        return problem
    if evidence.kind is not OutcomeKind.NUMBERS:
        return Finding.unknown(Text(N_("a mean error needs predicted numbers and labels that are numbers")))
    found = compare(evidence, _BIAS, window=params.window)
    if found is None or not (found.current.is_ok and found.reference.is_ok):
        return Finding.unknown(Text(N_("{rows:integer} labelled rows are too few to tell a mean error"), {"rows": found.current.n if found else 0}))
    spread = _spread(evidence)
    if not spread:
        return Finding.unknown(Text(N_("the true values of the reference days are all the same: nothing tells how large an error is")))
    return _judge(evidence, found, spread, params)


def _spread(history: OutcomeHistory) -> float:
    """Standard deviation of the true values of the reference days; 0 when none can be told."""
    sums = number_sums(history.of(history.periods.reference))
    squares = sums["observed_2"] - sums["observed"] ** 2 / sums["n"]
    return sqrt(squares / (sums["n"] - 1)) if squares > _ROUNDING * sums["observed_2"] else 0.0


def _judge(evidence: OutcomeHistory, found: Comparison, spread: float, params: Params) -> Finding:
    current, is_high = found.current, found.current.estimate > 0
    value, reference = abs(current.estimate) / spread, abs(found.reference.estimate) / spread
    limit = reference + params.tolerance
    facts: dict[str, Argument] = {
        "error": current.estimate,
        "value": value,
        "reference": reference,
        "limit": limit,
        "days": days_of(found.first, found.last),
        "labels": current.n,
    }
    if not (found.worse >= params.tolerance * spread and found.p_value < params.alpha):
        text = N_(
            "mean error {error:number}: {value:share} of a standard deviation of the true values, reference {reference:share}, limit {limit:share}, {days}"
        )
        return Finding.quiet(Text(text, facts), value=value, limit=limit)
    low, high = (current.low, current.high) if is_high else (-current.high, -current.low)
    facts |= {"error": abs(current.estimate), "low": low, "high": high}
    text = N_(
        "predictions are {error:number} too low on average ({low:number} to {high:number}): {value:share} of a standard deviation of the true values, "
        "was {reference:share}, limit {limit:share}, {days}, {labels:integer} labels"
    )
    if is_high:
        text = N_(
            "predictions are {error:number} too high on average ({low:number} to {high:number}): {value:share} of a standard deviation of the true "
            "values, was {reference:share}, limit {limit:share}, {days}, {labels:integer} labels"
        )
    return Finding.fired(Text(text, facts), value=value, limit=limit, since=evidence.ends[found.last])


def _days(off: float = 0.0, *, always: float = 0.0, rows: int = 500, days: int = 60) -> OutcomeHistory:
    """True values differ by 10 (standard deviation). On the last eight days predictions are so much higher than they always were."""
    entries = [numbers(back, rows, error=always + (off if back <= 8 else 0.0), sd=5.0) for back in range(1, days + 1)]
    return outcome_history(entries, kind=OutcomeKind.NUMBERS)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("errors that cancel out"), evidence=_days(), outcome=Outcome.QUIET),
        Example(title=N_("a week of predictions that are two units too high"), evidence=_days(2.0), outcome=Outcome.FIRED),
        Example(title=N_("a week of predictions that are two units too low"), evidence=_days(-2.0), outcome=Outcome.FIRED),
        Example(title=N_("predictions that were always two units too high"), evidence=_days(always=2.0), outcome=Outcome.QUIET),
        Example(title=N_("half a unit, of which many rows are sure"), evidence=_days(0.5, rows=5000), outcome=Outcome.QUIET),
        Example(title=N_("two labels a day"), evidence=_days(2.0, rows=2), outcome=Outcome.UNKNOWN),
        Example(title=N_("decisions instead of numbers"), evidence=outcome_history([scored(back) for back in range(1, 61)]), outcome=Outcome.UNKNOWN),
        Example(title=N_("five days with labels"), evidence=_days(days=5), outcome=Outcome.UNKNOWN),
        Example(title=N_("no labels"), evidence=outcome_history([]), outcome=Outcome.UNKNOWN),
    )
