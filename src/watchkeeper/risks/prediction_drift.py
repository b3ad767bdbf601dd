"""Prediction drift.

The model decides otherwise than it used to: its scores or its classes are spread differently. Either other rows come, or what it learned no
longer holds for them; it is the earliest sign when labels are late.
The prediction and the scores of the last closed days (`window`) are compared with those of the training rows, or with the model's own first four
weeks when the training sent none. A difference must be significant, beyond how much days usually differ, and big: a population stability
index of `least_psi`, or rows that moved by `least_distance` standard deviations on average.
It is unknown while there is no reference or no closed day, and when there are so few rows, or days differ so much, that chance would reach the limit.
"""

from __future__ import annotations

from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.examples import NOW, SCORE, history, normal
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_
from watchkeeper.risks import PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import DriftParams, judge_drift

NEEDS = ColumnHistory


class Params(DriftParams):
    pass


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)

PLAN = (
    N_("Look at the features that drifted the same day: they usually say why."),
    N_("No feature moved: look for another version, another threshold, a changed preparation before the model."),
    N_("Estimate what the business sees: how many more or fewer cases are decided each way?"),
    N_("Collect labels for a random sample of the last days; decide on retraining with them."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    return judge_drift(evidence, [name for name in evidence.columns if name == "prediction" or name.startswith("score")], params)


def _days(days: int, rows: int, *, last: float) -> ColumnHistory:
    """Scores of a model without a reference; on the last day they are higher."""
    usual = [normal(rows, seed=day) for day in range(days - 1)]
    return history(SCORE, reference=None, days=[*usual, normal(rows, mean=last, seed=98)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("a day like the same weekday of the first weeks"), evidence=_days(36, 3000, last=0.0), outcome=Outcome.QUIET),
        Example(title=N_("scores are half a standard deviation higher"), evidence=_days(36, 3000, last=0.5), outcome=Outcome.FIRED),
        Example(title=N_("the first weeks are not over"), evidence=_days(12, 3000, last=0.5), outcome=Outcome.UNKNOWN),
        Example(title=N_("no predictions"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
