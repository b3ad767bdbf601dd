"""Writes of incidents by people, and the closing of what lost its risk. What conditions and time do stands in following and timers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from watchkeeper.accounts.models import Person
from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.core.text import N_, Text
from watchkeeper.history.actors import Actor
from watchkeeper.history.services import record
from watchkeeper.incidents.book import Book, timeline_entry
from watchkeeper.incidents.causes import Cause
from watchkeeper.incidents.models import Incident, PlanStep, TimelineEntry
from watchkeeper.incidents.news import Happening, News
from watchkeeper.incidents.queries import is_firing
from watchkeeper.monitoring.models import RiskBinding

REOPEN_MANUAL_AFTER = timedelta(hours=24)
ACKNOWLEDGED_FOR = {3: timedelta(hours=2)}
ACKNOWLEDGED_FOR_ELSE = timedelta(hours=24)
MOST_ACKNOWLEDGED = timedelta(days=90)


def close_open(bindings: Sequence[RiskBinding], *, how: Incident.How, now: datetime) -> list[News]:
    """Close what is open on these bindings, with the reason. What was resolved by hand is not looked at again."""
    Incident.objects.filter(binding__in=bindings, kind=Incident.Kind.RISK, reopen_at__isnull=False).update(reopen_at=None)
    found = Incident.objects.filter(binding__in=bindings).exclude(state=Incident.State.RESOLVED).select_for_update(of=("self",))
    book = Book(now)
    news = [book.resolve(incident, how=how, at=now) for incident in found.select_related("binding__policy_version__policy")]
    book.write()
    return news


@transaction.atomic
def acknowledge(incident: Incident, *, by: Person, now: datetime, until: datetime | None = None) -> None:
    """Somebody works on it: reminders and escalation stop until a time, then resume."""
    _lock_open(incident)
    lasts = ACKNOWLEDGED_FOR.get(incident.criticality, ACKNOWLEDGED_FOR_ELSE)
    incident.state, incident.acknowledged_at, incident.acknowledged_by = Incident.State.ACKNOWLEDGED, now, by
    incident.acknowledged_until = until or now + lasts
    if incident.acknowledged_until <= now:
        raise InvalidInput("The time until which it is acknowledged has passed.", remedy="Give a later time, or none.")
    if incident.acknowledged_until - now > MOST_ACKNOWLEDGED:
        raise InvalidInput("An acknowledgement lasts at most 90 days.", remedy="Give an earlier time; acknowledge it again then.")
    incident.next_reminder_at, incident.escalate_at = incident.acknowledged_until, None
    incident.assignee = incident.assignee or by
    incident.save()
    text = Text(N_("acknowledged; reminders resume {until:time}"), {"until": incident.acknowledged_until.isoformat()})
    _by_person(incident, action="acknowledged", by=by, now=now, after={"until": incident.acknowledged_until}, text=text)


@transaction.atomic
def assign(incident: Incident, *, to: Person, by: Person, now: datetime) -> News:
    _lock_open(incident)
    before, incident.assignee = incident.assignee_id, to
    incident.save(update_fields=["assignee"])
    _by_person(
        incident,
        action="assigned",
        by=by,
        now=now,
        after={"assignee": to.id},
        before={"assignee": before},
        text=Text(N_("assigned to {name}"), {"name": str(to)}),
    )
    return News(incident, Happening.ASSIGNED, incident.timeline.filter(kind="assigned").count())


@transaction.atomic
def comment(incident: Incident, *, text: str, by: Person, now: datetime) -> TimelineEntry:
    if not text.strip():
        raise InvalidInput("The comment is empty.", remedy="Write what others should know.", fields={"text": "required"})
    entry = timeline_entry(incident, "comment", Text(""), at=now, actor=Actor.person(by.id), comment=text.strip()[:10_000])
    entry.save()
    record(
        actor=Actor.person(by.id),
        action="commented",
        on="incident",
        id=incident.number,
        model=incident.model_id,
        now=now,
        after={"comment": entry.comment},
    )
    return entry


@transaction.atomic
def tick_step(step: PlanStep, *, is_done: bool, by: Person, now: datetime, skipped_reason: str = "") -> None:
    """Tick a step off, skip it with a reason, or take the tick back."""
    step.done_at, step.done_by = (now, by) if is_done or skipped_reason else (None, None)
    step.skipped_reason = skipped_reason
    step.save()
    template = (
        N_("skipped step {position}: {reason}") if skipped_reason else N_("ticked step {position}") if is_done else N_("took back step {position}")
    )
    text = Text(template, {"position": step.position, "reason": skipped_reason})
    _by_person(
        step.incident, action="step", by=by, now=now, after={"step": step.position, "is_done": is_done, "skipped_reason": skipped_reason}, text=text
    )


@transaction.atomic
def resolve(incident: Incident, *, cause: str, reason: str, by: Person, now: datetime) -> News:
    """Resolve by hand, with a cause. While it still fires a reason is needed, and it is looked at again after 24 hours."""
    _lock_open(incident)
    if cause not in Cause.values:
        raise InvalidInput(f"{cause!r} is not a cause.", remedy=f"One of: {', '.join(Cause.values)}.", fields={"cause": "required"})
    still_fires = is_firing(incident)
    if still_fires and not reason.strip():
        raise InvalidInput(
            "It still fires: resolving it now needs a reason.",
            remedy="Say why it may be closed; it opens again after 24 hours if it still fires.",
            fields={"reason": "required"},
        )
    incident.state, incident.how, incident.resolved_at = Incident.State.RESOLVED, Incident.How.MANUAL, now
    incident.next_reminder_at = incident.escalate_at = None
    incident.resolved_by, incident.resolution, incident.cause = by, reason.strip(), cause
    incident.reopen_at = now + REOPEN_MANUAL_AFTER if still_fires else None
    incident.save()
    _by_person(incident, action="resolved", by=by, now=now, after={"cause": cause, "reason": reason}, comment=reason.strip())
    return News(incident, Happening.RESOLVED, incident.reopened)


@transaction.atomic
def set_cause(incident: Incident, *, cause: str, by: Person, now: datetime) -> None:
    """The cause may be known before the end, or only after it."""
    if cause not in Cause.values:
        raise InvalidInput(f"{cause!r} is not a cause.", remedy=f"One of: {', '.join(Cause.values)}.", fields={"cause": "required"})
    incident.cause = cause
    incident.save(update_fields=["cause"])
    _by_person(
        incident, action="cause", by=by, now=now, after={"cause": cause}, text=Text(N_("cause: {cause:word}"), {"cause": str(Cause(cause).label)})
    )


def _by_person(
    incident: Incident,
    *,
    action: str,
    by: Person,
    now: datetime,
    after: dict[str, object],
    before: dict[str, object] | None = None,
    text: Text | None = None,
    comment: str = "",
) -> None:
    timeline_entry(incident, action, text or Text(""), at=now, actor=Actor.person(by.id), comment=comment).save()
    record(actor=Actor.person(by.id), action=action, on="incident", id=incident.number, model=incident.model_id, now=now, before=before, after=after)


def _lock_open(incident: Incident) -> None:
    """Read it again and hold it: the page it was read for may be old. Refuses what is resolved."""
    incident.refresh_from_db(from_queryset=Incident.objects.select_for_update())
    if not incident.is_open:
        raise Conflict(f"Incident {incident.number} is resolved already.", remedy="Look at the newest incident of this risk.")
