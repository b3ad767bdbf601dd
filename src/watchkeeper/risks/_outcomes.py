"""What the risks that look at predictions and their labels share: their parameters, and what keeps any of them from judging. Not a risk itself."""

from __future__ import annotations

from datetime import date, timedelta
from math import isnan

from pydantic import Field

from watchkeeper.analysis.metrics import OutcomeMetric, metric_named, metrics_of
from watchkeeper.analysis.outcomes import LEAST_LEARNED, OutcomeHistory
from watchkeeper.core.durations import Duration
from watchkeeper.core.finding import DataState, Finding
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import RiskParams

PROBLEMS = ("", "binary", "multiclass", "regression", "forecasting")
PROBLEMS_WITH_NUMBERS = ("", "regression", "forecasting")

_NO_LABEL = N_("no label has come yet")
_NOT_MATURE = N_("no day has enough of its labels yet to be judged")


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
        return Finding.unknown(Text(_NO_LABEL))
    if not history.mature:
        return Finding.unknown(Text(_NOT_MATURE))
    if not history.periods.is_learned:
        facts: dict[str, Argument] = {"days": len(history.periods.reference), "needed": LEAST_LEARNED}
        return Finding.unknown(Text(N_("{days:integer} of the {needed:integer} days with labels that later ones are compared with are there"), facts))
    if not history.periods.judged:
        return Finding.unknown(Text(N_("the first four weeks, with which later days are compared, are not over")))
    return _too_old(history, history.periods.judged[-1], max_age)


def days_by_themselves(history: OutcomeHistory, *, window: int, max_age: timedelta) -> tuple[date, ...] | Finding:
    """The last mature days of the version in use, for what compares them with no others; or why nothing can be judged."""
    if not history.labelled:
        return Finding.unknown(Text(_NO_LABEL))
    days = tuple(day for day in history.mature if history.main_version(day) == history.version)[-window:]
    if not days:
        return Finding.unknown(Text(_NOT_MATURE))
    return _too_old(history, days[-1], max_age) or days


def _too_old(history: OutcomeHistory, last: date, max_age: timedelta) -> Finding | None:
    delay = 0.0 if isnan(history.usual_delay) else history.usual_delay
    if history.age(last) > delay + max_age / timedelta(days=1):
        return Finding.unknown(Text(N_("the last day with enough labels is {day}"), {"day": str(last)}), data=DataState.STALE)
    return None
