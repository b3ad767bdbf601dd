"""Missing values.

A feature is null more often than in the training. A source is down or late, a join finds nothing, a field was renamed and is filled with
nothing; the model predicts on its default for it and nobody notices.
Each feature's last closed days (`window`) are compared with the rows of the training, or with the model's own first four weeks when none were
sent. It fires when the share of nulls has grown by at least `increase`, and by more than chance and the usual difference between days explain.
It is unknown while there is no reference or no closed day, and when the last predictions are too old.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.examples import AGE, NOW, history, normal
from watchkeeper.analysis.shares import nulls
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import NOT_OVER, FeatureParams, judge_shares

NEEDS = ColumnHistory
MEASURES = "share"


class Params(FeatureParams):
    increase: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.05, description=N_("By how much the share of nulls must have grown (0.05 = five points)."), gt=0, le=1
    )


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)

PLAN = (
    N_("Look at the source of the feature: is it down, late, or renamed?"),
    N_("Compare by segment and by hour: does the whole feature lack, or what one caller sends?"),
    N_("Find out what the model does with the gap: a default that hides it makes the prediction worse in silence."),
    N_("Have the source repaired; send the missing days again if decisions can still be changed."),
)

KINDS = PREDICTING_KINDS

TEMPLATE = N_(
    "{grown:integer} features lack more values than usual, {days}; most {feature}: {share:share} null, usual {usual:share}, limit {limit:share}"
)


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    return judge_shares(evidence, params, places=nulls, increase=params.increase, template=TEMPLATE, nothing=NOT_OVER)


def _days(days: int, rows: int, *, last: float) -> ColumnHistory:
    """Two of a hundred values are null; on the last day another share."""
    usual = [normal(rows, seed=day, nulls=0.02) for day in range(days - 1)]
    return history(AGE, reference=normal(10_000, seed=99, nulls=0.02), days=[*usual, normal(rows, seed=98, nulls=last)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("as many nulls as in the training"), evidence=_days(30, 2000, last=0.02), outcome=Outcome.QUIET),
        Example(title=N_("a fifth is null"), evidence=_days(30, 2000, last=0.2), outcome=Outcome.FIRED),
        Example(title=N_("everything is null on the third day after release"), evidence=_days(3, 2000, last=1.0), outcome=Outcome.FIRED),
        Example(title=N_("four nulls among thirty rows: chance"), evidence=_days(30, 30, last=0.13), outcome=Outcome.QUIET),
        Example(title=N_("no reference and no predictions"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
