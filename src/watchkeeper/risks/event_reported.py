"""Event reported.

Something happened that somebody should look at: a process was changed, a fallback was switched on, a complaint came in. Whoever sees it sends
an event, and this risk turns it into an incident.
It looks for events of one type. It fires when one arrives and stays until the event is older than `within`, or until an event of the type
`clears_with` arrives after it. Age is counted from the receipt, so neither a wrong clock nor a late report hides an event.
No event is what one expects: then the risk is quiet. It cannot know about events that nobody sends, and is never unknown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Self

from pydantic import Field, model_validator

from watchkeeper.core.durations import Duration
from watchkeeper.core.evidence import Events, LoggedEvent
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import Defaults, Example, RiskParams

NEEDS = Events

_MEMORY = timedelta(days=30)  # the evidence holds no older events


class Params(RiskParams):
    type: str = Field(description=N_("Type of the event, as it is sent."), min_length=1)
    within: Duration = Field(timedelta(days=1), description=N_("How long the event counts, at most 30d."), gt=timedelta(0), le=_MEMORY)
    clears_with: str | None = Field(None, description=N_("Type of the event that ends it; empty = it only ends by age."), min_length=1)

    @model_validator(mode="after")
    def _does_not_clear_itself(self) -> Self:
        if self.clears_with == self.type:
            raise ValueError(f"clears_with must be another type than {self.type!r}, or the event would end itself")
        return self


DEFAULTS = Defaults(schedule={"on": "event"}, criticality=2)

PLAN = (
    N_("Read the event's fields: who sent it, and about what?"),
    N_("Look whether the metrics or the volume moved since."),
    N_("Tell the people who rely on the predictions, if it concerns them."),
    N_("When it is dealt with, send the event that ends it, or resolve the incident with a reason."),
)

# No event is the expected state, not missing evidence: a model without events is a model to which nothing happened.
QUIET_WITHOUT_EVIDENCE = True
ALWAYS_KNOWN = True


def evaluate(evidence: Events, params: Params) -> Finding:
    # By receipt; what came together keeps its order, so that an event and its end in one batch are read rightly.
    by_receipt = sorted(evidence.events, key=lambda event: event.received_at)
    newest = next((event for event in reversed(by_receipt) if event.type in (params.type, params.clears_with)), None)
    facts: dict[str, Argument] = {"type": params.type, "within": params.within.total_seconds()}
    if newest is None:
        return Finding.quiet(Text(N_("no event {type} in the last {within:duration}"), facts))
    ends_at = newest.received_at + params.within
    facts |= {"at": newest.received_at.isoformat(), "cleared": newest.type}
    if newest.type != params.type:
        return Finding.quiet(Text(N_("{type} was ended by {cleared}, {at:time}"), facts))
    if ends_at <= evidence.now:
        return Finding.quiet(Text(N_("last event {type} came {at:time}; it counted for {within:duration}"), facts))
    fired = Finding.fired(
        Text(N_("event {type} came {at:time}; it counts for {within:duration}"), facts), since=newest.received_at, parts=(params.type,)
    )
    return fired._replace(recheck_at=ends_at)


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _events(**hours_ago: float) -> Events:
    """Events by type and how many hours ago they came, oldest first."""
    times = {kind: _NOW - timedelta(hours=hours) for kind, hours in hours_ago.items()}
    logged = tuple(LoggedEvent(type=kind, timestamp=at, received_at=at) for kind, at in times.items())
    return Events(now=_NOW, registered_at=_NOW - timedelta(days=30), events=logged)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("nothing happened"), evidence=_events(), params={"type": "process_changed"}, outcome=Outcome.QUIET),
        Example(
            title=N_("the process was changed three hours ago"),
            evidence=_events(process_changed=3),
            params={"type": "process_changed"},
            outcome=Outcome.FIRED,
        ),
        Example(
            title=N_("the fallback was switched on, and off again"),
            evidence=_events(fallback_on=3, fallback_off=1),
            params={"type": "fallback_on", "clears_with": "fallback_off"},
            outcome=Outcome.QUIET,
        ),
        Example(
            title=N_("the process was changed two days ago"),
            evidence=_events(process_changed=48),
            params={"type": "process_changed"},
            outcome=Outcome.QUIET,
        ),
    )
