"""Feature drift.

What the model is asked about is no longer what it was trained on: the values of a feature are spread differently. The population changed, a
campaign brought other customers, a season began, or a source is broken.
Each feature's last closed days (`window`) are compared with the rows of the training, or with the model's own first four weeks when none were
sent. A difference must be significant, beyond how much days usually differ, and big: a population stability index of `least_psi`, or rows
that moved by `least_distance` standard deviations on average. Many features at once are adjusted for (Benjamini and Hochberg).
Each feature has an importance, of the most important one: as given with the training, or else how much of the spread of the score goes with it.
Those that moved most by what matters are named first; features below `least_importance` are not looked at, those of unknown importance always are.
Until 20 days have shown how much they usually differ the verdict is preliminary, and only large differences fire (a PSI of 0.25 that is also five times
what chance gives). Drift alone does not say that the model is worse: see its performance.
It is unknown while there is no reference or no closed day, and when there are so few rows, or days differ so much, that chance would reach the limit.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.examples import AGE, INCOME, NOW, history, normal, side_by_side
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import ChosenFeatures, DriftParams, judge_drift, wanted
from watchkeeper.telemetry.bins import ColumnBins

NEEDS = ColumnHistory


class Params(ChosenFeatures, DriftParams):
    least_importance: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.0, description=N_("Features that matter less to the model are not looked at: 0 means all, 1 only the most important one."), ge=0, le=1
    )


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=1)

PLAN = (
    N_("Look at the feature over time: since when, suddenly or slowly, in all segments or in one?"),
    N_("Ask the owner of its source: was it rebuilt, renamed, filled differently, given another unit?"),
    N_("Look at performance, realised or estimated: drift that the model can bear needs no action."),
    N_("Source broken: have it repaired. Population changed: warn the business owner, collect labels, consider retraining."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    names = wanted(evidence, params)
    chosen = [name for name in names if evidence.importance_of(name) >= params.least_importance]
    if names and not chosen:
        text = N_("no feature that is looked at has an importance of {least:number}")
        return Finding.unknown(Text(text, {"least": params.least_importance}))
    return judge_drift(evidence, chosen, params)


def _days(days: int, rows: int, *, last: float, column: ColumnBins = AGE) -> ColumnHistory:
    """A feature of normal numbers, on the last day so many standard deviations higher."""
    usual = [normal(rows, seed=day) for day in range(days - 1)]
    return history(column, reference=normal(10_000, seed=99), days=[*usual, normal(rows, mean=last, seed=98)])


def _weighed(*, age: float, income: float) -> ColumnHistory:
    """Two features, on the last day so much higher; the age hardly matters."""
    parts = [_days(30, 2000, last=age), _days(30, 2000, last=income, column=INCOME)]
    return side_by_side(parts, importances={AGE.name: 0.02, INCOME.name: 1.0})


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("a day like the training"), evidence=_days(30, 2000, last=0.0), outcome=Outcome.QUIET),
        Example(title=N_("half a standard deviation higher"), evidence=_days(30, 2000, last=0.5), outcome=Outcome.FIRED),
        Example(
            title=N_("a difference that is significant among so many rows, and small"), evidence=_days(30, 200_000, last=0.05), outcome=Outcome.QUIET
        ),
        Example(
            title=N_("a third of a standard deviation higher on the third day after release"),
            evidence=_days(3, 2000, last=0.33),
            outcome=Outcome.QUIET,
        ),
        Example(title=N_("two standard deviations higher on the third day after release"), evidence=_days(3, 2000, last=2.0), outcome=Outcome.FIRED),
        Example(
            title=N_("half a standard deviation higher, of the feature that matters most"),
            evidence=_weighed(age=0.0, income=0.5),
            params={"least_importance": 0.1},
            outcome=Outcome.FIRED,
        ),
        Example(
            title=N_("the same of a feature that hardly matters"),
            evidence=_weighed(age=0.5, income=0.0),
            params={"least_importance": 0.1},
            outcome=Outcome.QUIET,
        ),
        Example(title=N_("forty rows a day"), evidence=_days(30, 40, last=0.5), outcome=Outcome.UNKNOWN),
        Example(title=N_("no reference and no predictions"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
