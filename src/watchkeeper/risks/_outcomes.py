"""What the risks that look at predictions and their labels share: their parameters, and what keeps any of them from judging. Not a risk itself."""

from __future__ import annotations

from datetime import timedelta
from math import isnan

from pydantic import Field

from watchkeeper.analysis.metrics import OutcomeMetric, metric_named, metrics_of
from watchkeeper.analysis.outcomes import LEAST_LEARNED, OutcomeHistory
from watchkeeper.core.durations import Duration
from watchkeeper.core.finding import DataState, Finding
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import RiskParams

PROBLEMS = ("", "binary", "multiclass", "regression", "forecasting")


class OutcomeParams(RiskParams):
    """Parameters of what looks at mature days: those of which 95 % of the labels are expected to be there."""

    window: int = Field(7, description=N_("How many mature days are looked at together."), ge=1, le=92)
    max_age: Duration = Field(
        timedelta(days=7),
        description=N_("Mature days that ended longer ago than this, beside the usual delay of labels, say nothing any more."),
        gt=timedelta(0),
    )


def wanted_metric(history: OutcomeHistory, name: str) -> OutcomeMetric | Finding:
    """The metric asked for, or why there is none."""
    assert history.kind is not None
    metric = metric_named(name, history.kind, history.days)
    if metric:
        return metric
    known = ", ".join(metric.name for metric in metrics_of(history.kind, history.days))
    return Finding.unknown(Text(N_("{name} cannot be told from what is logged; possible: {known}"), {"name": name, "known": known}))


def obstacle(history: OutcomeHistory, max_age: timedelta) -> Finding | None:
    """Why nothing can be judged; None when something can."""
    if not history.labelled:
        return Finding.unknown(Text(N_("no label has come yet")))
    if not history.mature:
        return Finding.unknown(Text(N_("no day has enough of its labels yet to be judged")))
    if not history.periods.is_learned:
        facts: dict[str, Argument] = {"days": len(history.periods.reference), "needed": LEAST_LEARNED}
        return Finding.unknown(Text(N_("{days:integer} of the {needed:integer} days with labels that later ones are compared with are there"), facts))
    if not history.periods.judged:
        return Finding.unknown(Text(N_("the first four weeks, with which later days are compared, are not over")))
    delay = 0.0 if isnan(history.usual_delay) else history.usual_delay
    last = history.periods.judged[-1]
    if history.age(last) > delay + max_age / timedelta(days=1):
        return Finding.unknown(Text(N_("the last day with enough labels is {day}"), {"day": str(last)}), data=DataState.STALE)
    return None
