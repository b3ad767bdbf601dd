"""New categories.

A feature has levels that the training never showed: a new product, a code that was recoded, another spelling. The model has no idea what they
mean and treats them as its encoder happens to.
Each category's last closed days (`window`) are compared with the levels of the training, or of the model's own first weeks when none were sent.
It fires when the share of rows with an unseen level has grown by at least `increase`, and by more than chance and the usual difference between
days explain. Features with more than a thousand levels are left out.
It is unknown while there is no reference or no closed day, and when the last predictions are too old.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.examples import NOW, REGION, history, spread
from watchkeeper.analysis.shares import unseen
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import FeatureParams, judge_shares

NEEDS = ColumnHistory
MEASURES = "share"


class Params(FeatureParams):
    increase: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.01, description=N_("By how much the share of rows with an unseen level must have grown (0.01 = one point)."), gt=0, le=1
    )


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)

PLAN = (
    N_("See which levels are new, and whether they are new things or old ones under another name."),
    N_("Another name: have the source recoded back, or map it before the model."),
    N_("New things: look at the performance on these rows; decide whether the model may decide on them at all."),
    N_("Train on the new levels when there are enough labels."),
)

KINDS = PREDICTING_KINDS

TEMPLATE = N_(
    "{grown:integer} features have new levels, {days}; most {feature}: {share:share} of the rows unseen, usual {usual:share}, limit {limit:share}"
)


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    return judge_shares(
        evidence,
        params,
        places=unseen,
        increase=params.increase,
        template=TEMPLATE,
        nothing=N_("no feature is a category whose levels are all known, or the first four weeks are not over"),
    )


def _days(days: int, rows: int, *, last: float) -> ColumnHistory:
    """Three regions; on the last day a share of the rows has another."""
    usual = [spread(rows, (0.5, 0.3, 0.2, 0, 0, 0), seed=day) for day in range(days - 1)]
    today = spread(rows, (0.5, 0.3, 0.2, 0, last, 0), seed=98)
    return history(REGION, reference=spread(10_000, (0.5, 0.3, 0.2, 0, 0, 0), seed=99), days=[*usual, today])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("the regions of the training"), evidence=_days(30, 2000, last=0.0), outcome=Outcome.QUIET),
        Example(title=N_("a tenth of the rows has a region that nobody knows"), evidence=_days(30, 2000, last=0.1), outcome=Outcome.FIRED),
        Example(title=N_("one row of two thousand"), evidence=_days(30, 2000, last=0.0005), outcome=Outcome.QUIET),
        Example(title=N_("no reference and no predictions"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
