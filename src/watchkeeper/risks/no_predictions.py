"""No predictions arrived.

The model has sent no predictions for longer than it should: the caller stopped, the service is down, or the log is cut off.
The time is the server's time of receipt, so an event dated in the future cannot hide the silence. A model with a timetable (`expected`) is
judged by it: it fires when the run that was due has not come within its grace. The platform's own outage is taken off the silence.
A model that never sent anything is silent since it was registered.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from watchkeeper.core.durations import Duration
from watchkeeper.core.evidence import Heartbeat, Heartbeats
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example, RiskParams

NEEDS = Heartbeats

MEASURES = "duration"


class Params(RiskParams):
    silent_for: Annotated[Duration, FEWER_WHEN_HIGHER] = Field(
        timedelta(hours=1), description=N_("How long the model may be silent."), gt=timedelta(0)
    )


DEFAULTS = Defaults(schedule={"every": "5m"}, criticality=3, in_base_set=True)

PLAN = (
    N_("Look whether the service that calls the model is up and whether it still calls the model."),
    N_("Look at the client's log: a refused token or a full disk spool is reported there."),
    N_("Send one prediction by hand with curl; if it arrives, the fault is before the client."),
    N_("Decide with the business owner what stands in for the model until it is back."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: Heartbeats, params: Params) -> Finding:
    beat = evidence.streams.get("predictions")
    heard_at = beat.last_received_at if beat else evidence.registered_at
    limit = params.silent_for.total_seconds()
    if evidence.expected_at:
        return _by_timetable(evidence, heard_at)
    outage = evidence.outage_seconds.get("predictions", 0.0)
    silence = (evidence.now - heard_at).total_seconds() - outage
    deadline = heard_at + params.silent_for + timedelta(seconds=outage)
    facts: dict[str, Argument] = {"silence": silence, "limit": limit, "since": heard_at.isoformat()}
    if silence < limit:
        if beat is None:
            return Finding.unknown(
                Text(N_("no prediction yet; registered {silence:duration} ago, limit {limit:duration}"), facts), recheck_at=deadline
            )
        return Finding.quiet(
            Text(N_("last prediction {silence:duration} ago, limit {limit:duration}"), facts), value=silence, limit=limit, recheck_at=deadline
        )
    template = (
        N_("silent for {silence:duration}, limit {limit:duration}; last prediction {since:time}")
        if beat
        else N_("no prediction since it was registered {silence:duration} ago, limit {limit:duration}")
    )
    return Finding.fired(Text(template, facts), value=silence, limit=limit, since=deadline)


def _by_timetable(evidence: Heartbeats, heard_at: datetime) -> Finding:
    assert evidence.expected_at
    facts: dict[str, Argument] = {"expected": evidence.expected_at.isoformat(), "since": heard_at.isoformat()}
    if heard_at >= evidence.expected_at:
        return Finding.quiet(Text(N_("the run due {expected:time} arrived; last prediction {since:time}"), facts))
    return Finding.fired(Text(N_("the run due {expected:time} has not arrived; last prediction {since:time}"), facts), since=evidence.expected_at)


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
_REGISTERED = _NOW - timedelta(days=30)


def examples() -> tuple[Example, ...]:
    return (
        Example(
            title=N_("a prediction came two minutes ago"),
            evidence=Heartbeats(
                now=_NOW, registered_at=_REGISTERED, streams={"predictions": Heartbeat(last_received_at=_NOW - timedelta(minutes=2), rows=1200)}
            ),
            outcome=Outcome.QUIET,
        ),
        Example(
            title=N_("silent for three hours, half an hour allowed"),
            evidence=Heartbeats(
                now=_NOW, registered_at=_REGISTERED, streams={"predictions": Heartbeat(last_received_at=_NOW - timedelta(hours=3), rows=1200)}
            ),
            params={"silent_for": "30m"},
            outcome=Outcome.FIRED,
        ),
        Example(
            title=N_("registered ten minutes ago, nothing sent yet"),
            evidence=Heartbeats(now=_NOW, registered_at=_NOW - timedelta(minutes=10)),
            outcome=Outcome.UNKNOWN,
        ),
    )
