"""Slow drift.

A feature moves a little every week, and no single day stands out: prices rise, customers grow older, a sensor wears. After months the model works
on another world.
Each closed day's difference from the first four weeks is ranked among the differences those weeks had from each other, and the ranks of the
last `days` are added up (a conformal martingale; Vovk et al. 2021). It fires when the evidence passes `days_between_alarms` times the number of features: about so many days
pass between two alarms by chance. A lasting shift of two points of mass is found in about three weeks, of one point in six or seven.
Small drift that lasts is a reason to look, not to act at once: `least_psi` says from which difference on it counts.
It is unknown while fewer than twenty days tell what is usual, while no later day is over, and when the last predictions are too old.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.columns import ColumnHistory, short_name
from watchkeeper.analysis.examples import AGE, NOW, history, normal
from watchkeeper.analysis.slow import slow_drifts
from watchkeeper.core.durations import Duration
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import ChosenFeatures, days_of, obstacle, wanted

NEEDS = ColumnHistory


class Params(ChosenFeatures):
    days: int = Field(60, description=N_("How many of the last days are added up."), ge=5, le=92)
    days_between_alarms: Annotated[int, FEWER_WHEN_HIGHER] = Field(
        1000, description=N_("How many days pass on average between two alarms by chance."), ge=20
    )
    least_psi: float = Field(0.002, description=N_("Differences below this stability index are left alone."), ge=0, allow_inf_nan=False)
    max_age: Duration = Field(timedelta(days=3), description=N_("Days that ended longer ago than this say nothing any more."), gt=timedelta(0))


DEFAULTS = Defaults(schedule={"every": "1d"}, criticality=1)

PLAN = (
    N_("Look at the feature over months: a trend, a step that was overlooked, a season that returns?"),
    N_("Look at performance over the same time; note when it would leave what was agreed."),
    N_("Plan the next training with recent rows, and send them as its reference."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    names = wanted(evidence, params)
    if problem := obstacle(evidence, names, params.max_age):
        return problem
    drifts = slow_drifts(evidence, names, days=params.days)
    if not drifts:
        return Finding.unknown(Text(N_("too few days tell what is usual: twenty are needed, and one after the first four weeks")))
    limit = float(params.days_between_alarms * len(drifts))
    slow = [drift for drift in drifts if drift.evidence >= limit and drift.psi >= params.least_psi]
    most = slow[0] if slow else drifts[0]
    facts: dict[str, Argument] = {
        "columns": len(drifts),
        "column": short_name(most.column),
        "evidence": most.evidence,
        "limit": limit,
        "psi": most.psi,
        "days": days_of(most.since, most.last),
    }
    if not slow:
        text = N_("nothing lasts among {columns:integer} features; most {column}: evidence {evidence:number}, limit {limit:number}")
        return Finding.quiet(Text(text, facts), value=most.evidence, limit=limit)
    parts = tuple(short_name(drift.column) for drift in slow)
    facts["features"] = list(parts)
    text = N_("lasting drift of {features:list}; {column}, {days}: PSI {psi:number}, evidence {evidence:number}, limit {limit:number}")
    return Finding.fired(Text(text, facts), value=most.evidence, limit=limit, since=evidence.ends[-1], parts=parts)


def _days(later: int, *, mean: float) -> ColumnHistory:
    """Four weeks, and then days that are so many standard deviations higher."""
    usual = [normal(5000, seed=day) for day in range(28)]
    return history(AGE, reference=normal(10_000, seed=99), days=[*usual, *(normal(5000, mean=mean, seed=100 + day) for day in range(later))])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("sixty days like the first weeks"), evidence=_days(60, mean=0.0), outcome=Outcome.QUIET),
        Example(title=N_("sixty days a fifteenth of a standard deviation higher"), evidence=_days(60, mean=0.07), outcome=Outcome.FIRED),
        Example(title=N_("the first four weeks"), evidence=_days(0, mean=0.0), outcome=Outcome.UNKNOWN),
        Example(title=N_("no reference and no predictions"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
