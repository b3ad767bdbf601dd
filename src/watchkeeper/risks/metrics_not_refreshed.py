"""Metrics not refreshed.

New data came, but nobody measured the model on it: the last metric is older than allowed although predictions or labels arrived after it.
The job that computes the metric has stopped, or its numbers no longer reach Watchkeeper. Quality is then a memory, not a measurement.
It looks at when the metric arrived here (the server's time, so a wrong date in the row hides nothing) and at when the newest rows arrived.
While no new rows came since the last metric there is nothing to measure, and the risk stays quiet. The platform's own outage is taken off.
It is unknown for a model that was registered recently and has no metric yet, and for one that never sent a prediction or label.
A model that works in long pauses needs `older_than` longer than its pause.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from watchkeeper.core.durations import Duration
from watchkeeper.core.evidence import MetricHistory, Point
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, Defaults, Example, RiskParams

NEEDS = MetricHistory

MEASURES = "duration"


class Params(RiskParams):
    older_than: Annotated[Duration, FEWER_WHEN_HIGHER] = Field(
        timedelta(days=7), description=N_("How old the last metric may be once new data came."), gt=timedelta(0)
    )
    metric: str | None = Field(None, description=N_("Only this metric; empty = any metric counts."))
    dataset: str | None = Field(None, description=N_("Only values measured on this dataset; empty = any dataset counts."))


DEFAULTS = Defaults(schedule={"every": "1h"}, criticality=2, in_base_set=True)

PLAN = (
    N_("Look whether the job that computes the metric ran, and what its log says."),
    N_("Look in the quarantine: values that were refused count as not received."),
    N_("Check that labels still arrive: without them many metrics cannot be computed."),
    N_("Compute the metric once by hand and send it, so that the model is not judged on old numbers."),
)


def evaluate(evidence: MetricHistory, params: Params) -> Finding:
    rows_at = evidence.newest_rows_at
    heard_at = max((point.received_at for point in evidence.points if _counts(point, params)), default=None)
    start = heard_at or evidence.registered_at
    outage = evidence.outage_since(start)
    age, limit, deadline = (evidence.now - start - outage).total_seconds(), params.older_than.total_seconds(), start + params.older_than + outage
    facts: dict[str, Argument] = {
        "age": age,
        "limit": limit,
        "metric": params.metric,
        "rows": rows_at.isoformat() if rows_at else None,
        "at": start.isoformat(),
    }
    if heard_at is None and age < limit:
        return Finding.unknown(Text(N_("no metric yet; registered {age:duration} ago, limit {limit:duration}"), facts), recheck_at=deadline)
    if age < limit:
        return Finding.quiet(Text(N_("last metric {age:duration} ago, limit {limit:duration}"), facts), value=age, limit=limit, recheck_at=deadline)
    if rows_at is None:
        return Finding.unknown(Text(N_("the model sends no predictions or labels, so nobody can tell whether new data came"), facts))
    if heard_at and rows_at <= heard_at:
        return Finding.quiet(Text(N_("last metric {age:duration} ago; no new data since, the newest {rows:time}"), facts), value=age, limit=limit)
    template = (
        N_("last metric {age:duration} ago, on {at:time}, limit {limit:duration}; new data came {rows:time}")
        if heard_at
        else N_("no metric since it was registered {age:duration} ago, limit {limit:duration}; new data came {rows:time}")
    )
    return Finding.fired(Text(template, facts), value=age, limit=limit, since=deadline, parts=(params.metric,) if params.metric else ())


def _counts(point: Point, params: Params) -> bool:
    return params.metric in (None, point.name) and params.dataset in (None, point.dataset)


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
_REGISTERED = _NOW - timedelta(days=90)


def _measured(ago: timedelta) -> tuple[Point, ...]:
    return (Point(name="roc_auc", value=0.81, timestamp=_NOW - ago, received_at=_NOW - ago),)


def examples() -> tuple[Example, ...]:
    return (
        Example(
            title=N_("measured yesterday"),
            evidence=MetricHistory(now=_NOW, registered_at=_REGISTERED, points=_measured(timedelta(days=1)), newest_rows_at=_NOW),
            outcome=Outcome.QUIET,
        ),
        Example(
            title=N_("measured a month ago, and no new data came since"),
            evidence=MetricHistory(
                now=_NOW, registered_at=_REGISTERED, points=_measured(timedelta(days=30)), newest_rows_at=_NOW - timedelta(days=31)
            ),
            outcome=Outcome.QUIET,
        ),
        Example(
            title=N_("predictions come every day, the last metric is nine days old"),
            evidence=MetricHistory(now=_NOW, registered_at=_REGISTERED, points=_measured(timedelta(days=9)), newest_rows_at=_NOW),
            outcome=Outcome.FIRED,
        ),
        Example(
            title=N_("predictions come, but in three months nobody measured"),
            evidence=MetricHistory(now=_NOW, registered_at=_REGISTERED, newest_rows_at=_NOW),
            outcome=Outcome.FIRED,
        ),
        Example(
            title=N_("measured eight days ago, and the platform itself was down for two of them"),
            evidence=MetricHistory(
                now=_NOW,
                registered_at=_REGISTERED,
                points=_measured(timedelta(days=8)),
                newest_rows_at=_NOW,
                outages=((_NOW - timedelta(days=5), _NOW - timedelta(days=3)),),
            ),
            outcome=Outcome.QUIET,
        ),
        Example(
            title=N_("registered yesterday, not measured yet"),
            evidence=MetricHistory(now=_NOW, registered_at=_NOW - timedelta(days=1), newest_rows_at=_NOW),
            outcome=Outcome.UNKNOWN,
        ),
    )
