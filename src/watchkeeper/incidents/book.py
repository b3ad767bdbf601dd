"""What one transaction writes about incidents: gathered first, then written in a few statements. Thousands of risks may fire in one second.

Does not decide anything: following, timers and services do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from watchkeeper.core.text import N_, Text
from watchkeeper.history.actors import PLATFORM, Actor
from watchkeeper.history.bulk import insert_rows, insert_values, save_rows
from watchkeeper.history.models import Change
from watchkeeper.history.services import change, record_all
from watchkeeper.incidents.models import Incident, PlanStep, TimelineEntry
from watchkeeper.incidents.news import ESCALATE_AFTER, REMIND_EVERY, REMIND_EVERY_ELSE, Happening, News

# Everything that conditions and time move; what people write (assignee, cause, resolution) is theirs.
_MOVING = (
    "state",
    "how",
    "criticality",
    "acknowledged_at",
    "acknowledged_by",
    "acknowledged_until",
    "resolved_at",
    "resolved_by",
    "reopen_at",
    "reopened",
    "value",
    "limit",
    "peak",
    "parts",
    "explanation",
    "no_data_since",
    "next_reminder_at",
    "reminders",
    "escalate_at",
)


class Book:
    """Incidents opened and moved, their plans, timelines and Changes, until `write`."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._opened: list[Incident] = []
        self._moved: dict[int, Incident] = {}
        self._plans: list[tuple[Incident, Sequence[str]]] = []
        self._said: list[tuple[Incident, str, Text, datetime]] = []
        self._changes: list[tuple[Incident, str, Mapping[str, Any]]] = []  # Any: values of fields

    def open(self, incident: Incident, *, plan: Sequence[str], after: Mapping[str, Any]) -> None:  # Any: values of fields
        self._opened.append(incident)
        self._plans.append((incident, plan))
        self.say(incident, "opened", Text.from_json(incident.explanation), at=self.now)
        self._changes.append((incident, "opened", after))

    def move(self, incident: Incident) -> None:
        """Save what conditions and time move."""
        self._moved[incident.number] = incident

    def reopen(self, incident: Incident) -> News:
        """Open again, as if nobody had looked at it yet."""
        incident.state, incident.how, incident.resolved_at, incident.resolved_by, incident.reopen_at = Incident.State.OPEN, "", None, None, None
        incident.reopened += 1
        incident.acknowledged_at = incident.acknowledged_by = incident.acknowledged_until = None
        incident.criticality = incident.binding.criticality or incident.criticality
        set_timers(incident, self.now)
        self.move(incident)
        self.say(incident, "reopened", Text.from_json(incident.explanation), at=self.now)
        self._changes.append((incident, "reopened", {"reopened": incident.reopened}))
        return News(incident, Happening.REOPENED, incident.reopened)

    def resolve(self, incident: Incident, *, how: Incident.How, at: datetime) -> News:
        """Close an incident because its condition ended, its rule changed or its risk or model went away."""
        incident.state, incident.how, incident.resolved_at = Incident.State.RESOLVED, how, at if at > incident.opened_at else self.now
        incident.next_reminder_at = incident.escalate_at = None
        self.move(incident)
        self.say(incident, "resolved", Text(N_("resolved: {how:word}"), {"how": str(Incident.How(how).label)}), at=self.now)
        self._changes.append((incident, "resolved", {"how": how}))
        return News(incident, Happening.RESOLVED, incident.reopened)

    def say(self, incident: Incident, kind: str, text: Text, *, at: datetime) -> None:
        self._said.append((incident, kind, text, at))

    def write(self) -> None:
        """In an order that never has two open incidents of one risk."""
        save_rows(list(self._moved.values()), _MOVING)
        Incident.objects.bulk_create(self._opened)  # what follows needs their numbers
        steps = [(incident.number, n, text, "") for incident, plan in self._plans for n, text in enumerate(plan, start=1)]
        insert_values(PlanStep, ("incident", "position", "text", "skipped_reason"), steps)
        insert_rows([timeline_entry(incident, kind, text, at=at) for incident, kind, text, at in self._said])
        record_all([self._change(*entry) for entry in self._changes])

    def _change(self, incident: Incident, action: str, after: Mapping[str, Any]) -> Change:  # Any: values of fields
        return change(actor=PLATFORM, action=action, on="incident", id=incident.number, model=incident.model_id, now=self.now, after=after)


def set_timers(incident: Incident, now: datetime) -> None:
    """When to remind and to escalate, from now on."""
    incident.next_reminder_at = now + REMIND_EVERY.get(incident.criticality, REMIND_EVERY_ELSE)
    incident.escalate_at = now + ESCALATE_AFTER[incident.criticality] if incident.criticality in ESCALATE_AFTER else None


def timeline_entry(incident: Incident, kind: str, text: Text, *, at: datetime, actor: Actor = PLATFORM, comment: str = "") -> TimelineEntry:
    stored = text.as_json()
    return TimelineEntry(incident_id=incident.number, at=at, kind=kind, actor_kind=actor.kind, actor_id=actor.id, text=stored, comment=comment)


def who_was_told(news: News, *, names: list[str], at: datetime) -> TimelineEntry:
    """A line of the delivery log in the timeline, not saved yet."""
    text = Text(N_("{happening:word}: told {names:list}"), {"happening": str(news.happening), "names": names})
    return timeline_entry(news.incident, "told", text, at=at)
