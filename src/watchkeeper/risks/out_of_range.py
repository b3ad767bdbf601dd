"""Out of range.

A number lies outside everything the training showed: below its smallest value, above its largest, or infinite. The model extrapolates, and most
models extrapolate badly.
Each number's last closed days (`window`) are compared with the smallest and largest value of the training, or of the model's own first weeks
when none were sent. It fires when the share of rows outside has grown by at least `increase`, and by more than chance and the usual difference
between days explain.
It is unknown while there is no reference or no closed day, and when the last predictions are too old.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.columns import ColumnHistory, Ints
from watchkeeper.analysis.examples import AGE, NOW, history, normal
from watchkeeper.analysis.shares import out_of_range
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import FeatureParams, judge_shares
from watchkeeper.telemetry.bins import OVER_MAXIMUM

NEEDS = ColumnHistory
MEASURES = "share"


class Params(FeatureParams):
    increase: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.01, description=N_("By how much the share of rows outside must have grown (0.01 = one point)."), gt=0, le=1
    )


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)

PLAN = (
    N_("Look at the values: impossible ones (an age of 999) or merely new ones?"),
    N_("Impossible: find the source of the default or the broken sensor, have it send nulls."),
    N_("A whole feature moved: check its unit and scale."),
    N_("New but true: look at the performance there, bound what the model may decide, train on them."),
)

KINDS = PREDICTING_KINDS

TEMPLATE = N_(
    "{grown:integer} features are out of range, {days}; most {feature}: {share:share} of the rows outside, usual {usual:share}, limit {limit:share}"
)


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    return judge_shares(
        evidence,
        params,
        places=out_of_range,
        increase=params.increase,
        template=TEMPLATE,
        nothing=N_("no feature is a number, or the first four weeks are not over"),
    )


def _outside(rows: int, share: float, *, seed: int = 1) -> Ints:
    counts = normal(rows, seed=seed)
    counts[OVER_MAXIMUM] = round(rows * share)
    return counts


def _days(days: int, rows: int, *, last: float) -> ColumnHistory:
    """On the last day a share of the values is above the largest of the training."""
    usual = [normal(rows, seed=day) for day in range(days - 1)]
    return history(AGE, reference=normal(10_000, seed=99), days=[*usual, _outside(rows, last, seed=98)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("everything lies inside"), evidence=_days(30, 2000, last=0.0), outcome=Outcome.QUIET),
        Example(title=N_("a twentieth lies above the largest value of the training"), evidence=_days(30, 2000, last=0.05), outcome=Outcome.FIRED),
        Example(title=N_("one row of two thousand"), evidence=_days(30, 2000, last=0.0005), outcome=Outcome.QUIET),
        Example(title=N_("no reference and no predictions"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
