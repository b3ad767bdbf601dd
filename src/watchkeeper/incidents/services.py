"""Writes of incidents: opened and closed by conditions, worked on by people. Does not send anything: it says what happened, alerts tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import QuerySet

from watchkeeper.accounts.models import Person
from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.core.text import N_, Text
from watchkeeper.history.actors import PLATFORM, Actor
from watchkeeper.history.services import record
from watchkeeper.incidents.causes import Cause
from watchkeeper.incidents.models import Incident, PlanStep, TimelineEntry
from watchkeeper.monitoring.conditions import COUNTS_IN_LIGHT, ERRORS_UNTIL_TOLD, State, Step
from watchkeeper.monitoring.effective import plan_of
from watchkeeper.monitoring.evaluation import Transition
from watchkeeper.monitoring.models import ConditionRow, RiskBinding

REOPEN_WITHIN = timedelta(minutes=30)
REOPEN_MANUAL_AFTER = timedelta(hours=24)
HIGH = 3
ACKNOWLEDGED_FOR = {3: timedelta(hours=2)}
ACKNOWLEDGED_FOR_ELSE = timedelta(hours=24)
REMIND_EVERY = {3: timedelta(hours=4), 2: timedelta(days=1)}
REMIND_EVERY_ELSE = timedelta(days=3)
ESCALATE_AFTER = {3: timedelta(hours=2), 2: timedelta(days=1)}


class Happening(StrEnum):
    """What people are told about; the closed set of notification kinds."""

    OPENED = "opened"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    REMINDED = "reminder"
    ESCALATED = "escalated"
    ASSIGNED = "assigned"
    FLAPPING = "flapping"
    SETTLED = "settled"


@dataclass(frozen=True)
class News:
    """One thing that happened to one incident. `occurrence` tells the first reminder from the second."""

    incident: Incident
    happening: Happening
    occurrence: int = 0


def follow(transitions: Sequence[Transition], *, now: datetime) -> list[News]:
    """Open, update, reopen and resolve incidents as their conditions moved. Runs in the transaction that moved them."""
    relevant = [t for t in transitions if t.step is not Step.NOTHING or t.condition.is_counted or t.is_flapping_start or t.is_flapping_stop]
    open_now = _open_incidents({t.binding.id for t in transitions})
    news: list[News] = []
    for transition in relevant:
        incident = open_now.get((transition.binding.id, transition.segment, Incident.Kind.RISK))
        followed = _follow_one(transition, incident, now)
        news += [*followed, *_follow_flapping(transition, followed[0].incident if followed else incident)]
    for transition in transitions:
        news += _follow_errors(transition, open_now.get((transition.binding.id, transition.segment, Incident.Kind.PLATFORM)), now)
    return news


def _open_incidents(bindings: Iterable[object]) -> dict[tuple[object, str, str], Incident]:
    found = Incident.objects.filter(binding__in=list(bindings)).exclude(state=Incident.State.RESOLVED)
    return {(incident.binding_id, incident.segment, incident.kind): incident for incident in found}


def _follow_one(transition: Transition, incident: Incident | None, now: datetime) -> list[News]:
    match transition.step:
        case Step.FIRED:
            return [_open(transition, now)] if incident is None else []
        case Step.STILL_FIRING | Step.FIRED_AGAIN:
            if incident is None:
                return [] if _was_resolved_by_hand(transition) else [_open(transition, now)]
            _update(incident, transition)
        case Step.RESOLVED:
            forget_reopening([transition.binding], segment=transition.segment)
            return [resolve_automatically(incident, how=Incident.How.AUTO, now=now, at=transition.at)] if incident else []
        case Step.STARTED_RECOVERING if incident:
            _say(incident, "recovering", transition.explanation, at=transition.at)
        case Step.LOST_SIGHT if incident:
            incident.no_data_since = transition.at
            incident.save(update_fields=["no_data_since"])
            _say(incident, "no data", transition.explanation, at=transition.at)
    if incident and incident.no_data_since and transition.condition.no_data_since is None:
        incident.no_data_since = None
        incident.save(update_fields=["no_data_since"])
    return []


def _follow_flapping(transition: Transition, incident: Incident | None) -> list[News]:
    """One message when it starts and one when it ends; the end mostly comes when nothing is open any more: then it is told of the last incident."""
    if not transition.is_flapping_start and not transition.is_flapping_stop:
        return []
    incident = incident or _last(transition)
    if incident is None:
        return []
    happening = Happening.FLAPPING if transition.is_flapping_start else Happening.SETTLED
    text = N_("It keeps changing: no message is sent until it settles.") if transition.is_flapping_start else N_("It has settled.")
    _say(incident, str(happening), Text(text), at=transition.at)
    return [News(incident, happening, _count(incident, happening))]


def _count(incident: Incident, kind: str) -> int:
    """How often this has happened to the incident: tells the second message of a kind from the first."""
    return incident.timeline.filter(kind=kind).count()


def _last(transition: Transition) -> Incident | None:
    found = Incident.objects.filter(binding=transition.binding, segment=transition.segment, kind=Incident.Kind.RISK)
    return found.order_by("-opened_at", "-number").first()


def _open(transition: Transition, now: datetime) -> News:
    """Open a new incident, or reopen the last one: within 30 minutes, or when it never was ok since its rule was changed."""
    last = _last(transition)
    fires_still = last is not None and last.how == Incident.How.RULE_CHANGED and State.OK not in transition.condition.past
    if last and (fires_still or (last.resolved_at and transition.at - last.resolved_at <= REOPEN_WITHIN)):
        return reopen(last, explanation=transition.explanation, transition=transition, now=now)
    incident = _create(transition, kind=Incident.Kind.RISK, previous=last, now=now)
    PlanStep.objects.bulk_create(PlanStep(incident=incident, position=i, text=text) for i, text in enumerate(plan_of(transition.binding), start=1))
    return News(incident, Happening.OPENED)


def _create(transition: Transition, *, kind: Incident.Kind, previous: Incident | None, now: datetime) -> Incident:
    binding, condition = transition.binding, transition.condition
    criticality = binding.criticality if kind is Incident.Kind.RISK else HIGH
    incident = Incident.objects.create(
        kind=kind,
        binding=binding,
        model_id=binding.model_id,
        segment=transition.segment,
        criticality=criticality,
        true_since=condition.true_since or transition.at,
        opened_at=now,
        previous=previous,
        value=condition.value,
        limit=condition.limit,
        peak=condition.peak,
        parts=list(condition.parts),
        explanation=transition.explanation.as_json(),
        cost_per_day=binding.cost_per_day,
        next_reminder_at=now + REMIND_EVERY.get(criticality, REMIND_EVERY_ELSE),
        escalate_at=now + ESCALATE_AFTER[criticality] if criticality in ESCALATE_AFTER else None,
    )
    _say(incident, "opened", transition.explanation, at=now)
    record(
        actor=PLATFORM,
        action="opened",
        on="incident",
        id=incident.number,
        model=binding.model_id,
        now=now,
        after={"risk": binding.id, "type": binding.type, "explanation": transition.explanation.as_json(), "criticality": criticality},
    )
    return incident


def reopen(incident: Incident, *, explanation: Text, transition: Transition | None, now: datetime) -> News:
    incident.state, incident.how, incident.resolved_at, incident.resolved_by, incident.reopen_at = Incident.State.OPEN, "", None, None, None
    incident.reopened += 1
    incident.acknowledged_at = incident.acknowledged_by = incident.acknowledged_until = None
    incident.criticality = incident.binding.criticality or incident.criticality
    incident.next_reminder_at = now + REMIND_EVERY.get(incident.criticality, REMIND_EVERY_ELSE)
    incident.escalate_at = now + ESCALATE_AFTER[incident.criticality] if incident.criticality in ESCALATE_AFTER else None
    if transition:
        condition = transition.condition
        incident.value, incident.limit, incident.explanation = condition.value, condition.limit, explanation.as_json()
        incident.peak, incident.parts, incident.no_data_since = condition.peak, list(condition.parts), None
    incident.save()
    _say(incident, "reopened", explanation, at=now)
    record(
        actor=PLATFORM, action="reopened", on="incident", id=incident.number, model=incident.model_id, now=now, after={"reopened": incident.reopened}
    )
    return News(incident, Happening.REOPENED, incident.reopened)


def _update(incident: Incident, transition: Transition) -> None:
    condition = transition.condition
    if list(condition.parts) != incident.parts:
        _say(incident, "parts changed", Text(N_("now concerned: {parts:list}"), {"parts": list(condition.parts)}), at=transition.at)
    if transition.step is Step.FIRED_AGAIN:
        _say(incident, "fired again", transition.explanation, at=transition.at)
    incident.value, incident.limit, incident.peak, incident.parts = condition.value, condition.limit, condition.peak, list(condition.parts)
    incident.explanation, incident.no_data_since = transition.explanation.as_json(), None
    incident.save(update_fields=["value", "limit", "peak", "parts", "explanation", "no_data_since"])


def _was_resolved_by_hand(transition: Transition) -> bool:
    return Incident.objects.filter(
        binding=transition.binding, segment=transition.segment, kind=Incident.Kind.RISK, how=Incident.How.MANUAL, reopen_at__isnull=False
    ).exists()


def forget_reopening(bindings: Sequence[RiskBinding], *, segment: str | None = None) -> None:
    """What was resolved by hand while it fired is not looked at again: its condition ended, or began anew."""
    waiting = Incident.objects.filter(binding__in=bindings, kind=Incident.Kind.RISK, reopen_at__isnull=False)
    (waiting if segment is None else waiting.filter(segment=segment)).update(reopen_at=None)


def _follow_errors(transition: Transition, incident: Incident | None, now: datetime) -> list[News]:
    """An evaluation that keeps failing is the platform's trouble, never "the model is silent"."""
    if transition.step is Step.ERRED and incident is None:
        return [News(_create(transition, kind=Incident.Kind.PLATFORM, previous=None, now=now), Happening.OPENED)]
    if incident and transition.condition.errors == 0:
        return [resolve_automatically(incident, how=Incident.How.AUTO, now=now, at=transition.at)]
    return []


def resolve_automatically(incident: Incident, *, how: Incident.How, now: datetime, at: datetime) -> News:
    """Close an incident because its condition ended, its rule changed or its risk or model went away."""
    _close(incident, how=how, now=at if at > incident.opened_at else now)
    _say(incident, "resolved", Text(N_("resolved: {how:word}"), {"how": str(Incident.How(how).label)}), at=now)
    record(actor=PLATFORM, action="resolved", on="incident", id=incident.number, model=incident.model_id, now=now, after={"how": how})
    return News(incident, Happening.RESOLVED, incident.reopened)


def _close(incident: Incident, *, how: Incident.How, now: datetime) -> None:
    incident.state, incident.how, incident.resolved_at = Incident.State.RESOLVED, how, now
    incident.next_reminder_at = incident.escalate_at = None
    incident.save()


def close_open(bindings: Sequence[RiskBinding], *, how: Incident.How, now: datetime) -> list[News]:
    """Close what is open on these bindings, with the reason."""
    forget_reopening(bindings)
    found = Incident.objects.filter(binding__in=bindings).exclude(state=Incident.State.RESOLVED).select_related("binding")
    return [resolve_automatically(incident, how=how, now=now, at=now) for incident in found]


# people


@transaction.atomic
def acknowledge(incident: Incident, *, by: Person, now: datetime, until: datetime | None = None) -> None:
    """Somebody works on it: reminders and escalation stop until a time, then resume."""
    _lock_open(incident)
    lasts = ACKNOWLEDGED_FOR.get(incident.criticality, ACKNOWLEDGED_FOR_ELSE)
    incident.state, incident.acknowledged_at, incident.acknowledged_by = Incident.State.ACKNOWLEDGED, now, by
    incident.acknowledged_until = until or now + lasts
    if incident.acknowledged_until <= now:
        raise InvalidInput("The time until which it is acknowledged has passed.", remedy="Give a later time, or none.")
    incident.next_reminder_at, incident.escalate_at = incident.acknowledged_until, None
    incident.assignee = incident.assignee or by
    incident.save()
    _by_person(incident, "acknowledged", by, now, {"until": incident.acknowledged_until})


@transaction.atomic
def assign(incident: Incident, *, to: Person, by: Person, now: datetime) -> News:
    _lock_open(incident)
    before, incident.assignee = incident.assignee_id, to
    incident.save(update_fields=["assignee"])
    _by_person(incident, "assigned", by, now, {"assignee": to.id, "before": before}, text=Text(N_("assigned to {name}"), {"name": str(to)}))
    return News(incident, Happening.ASSIGNED, _count(incident, "assigned"))


@transaction.atomic
def comment(incident: Incident, *, text: str, by: Person, now: datetime) -> TimelineEntry:
    if not text.strip():
        raise InvalidInput("The comment is empty.", remedy="Write what others should know.", fields={"text": "required"})
    entry = _say(incident, "comment", Text(""), at=now, actor=Actor.person(by.id), comment=text.strip()[:10_000])
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
    _by_person(step.incident, "step", by, now, {"step": step.position, "is_done": is_done, "skipped_reason": skipped_reason}, text=text)


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
    _close(incident, how=Incident.How.MANUAL, now=now)
    incident.resolved_by, incident.resolution, incident.cause = by, reason.strip(), cause
    incident.reopen_at = now + REOPEN_MANUAL_AFTER if still_fires else None
    incident.save()
    _by_person(incident, "resolved", by, now, {"cause": cause, "reason": reason}, comment=reason.strip())
    return News(incident, Happening.RESOLVED, incident.reopened)


@transaction.atomic
def set_cause(incident: Incident, *, cause: str, by: Person, now: datetime) -> None:
    """The cause may be known before the end, or only after it."""
    if cause not in Cause.values:
        raise InvalidInput(f"{cause!r} is not a cause.", remedy=f"One of: {', '.join(Cause.values)}.", fields={"cause": "required"})
    incident.cause = cause
    incident.save(update_fields=["cause"])
    _by_person(incident, "cause", by, now, {"cause": cause}, text=Text(N_("cause: {cause:word}"), {"cause": str(Cause(cause).label)}))


def is_firing(incident: Incident) -> bool:
    condition = ConditionRow.objects.filter(binding=incident.binding_id, segment=incident.segment)
    if incident.kind == Incident.Kind.PLATFORM:
        return condition.filter(errors__gte=ERRORS_UNTIL_TOLD).exists()
    return condition.filter(state__in=COUNTS_IN_LIGHT).exists()


# time


def due_news(*, now: datetime, limit: int = 200) -> list[News]:
    """Reminders, escalations and reopenings that are due. Each re-reads its incident and cancels itself if it moved."""
    return [*_reopen_due(now, limit), *_remind_due(now, limit), *_escalate_due(now, limit)]


def _reopen_due(now: datetime, limit: int) -> list[News]:
    news = []
    for incident in _due("reopen_at", now, limit):
        if is_firing(incident) and not incident.is_open and not _is_open_again(incident):
            news.append(reopen(incident, explanation=Text.from_json(incident.explanation), transition=None, now=now))
        else:
            Incident.objects.filter(number=incident.number).update(reopen_at=None)
    return news


def _due(field: str, now: datetime, limit: int) -> QuerySet[Incident]:
    """What is due, locked: a person who acts on it at this moment is before or after, never in between."""
    found = Incident.objects.filter(**{f"{field}__lte": now}).select_related("binding__policy_version", "model__unit").order_by(field, "number")
    return found.select_for_update(of=("self",), skip_locked=True)[:limit]


def _is_open_again(incident: Incident) -> bool:
    same = Incident.objects.filter(binding=incident.binding_id, segment=incident.segment, kind=incident.kind)
    return same.exclude(state=Incident.State.RESOLVED).exists()


def _remind_due(now: datetime, limit: int) -> list[News]:
    news = []
    for incident in _due("next_reminder_at", now, limit):
        if not incident.is_open:
            Incident.objects.filter(number=incident.number).update(next_reminder_at=None)
            continue
        if incident.state == Incident.State.ACKNOWLEDGED:
            incident.state = Incident.State.OPEN  # the acknowledgement has run out
            incident.escalate_at = now + ESCALATE_AFTER[incident.criticality] if incident.criticality in ESCALATE_AFTER else None
            _say(incident, "acknowledgement ended", Text(N_("The acknowledgement ran out; reminders resume.")), at=now)
        incident.reminders += 1
        incident.next_reminder_at = now + REMIND_EVERY.get(incident.criticality, REMIND_EVERY_ELSE)
        incident.save(update_fields=["state", "reminders", "next_reminder_at", "escalate_at"])
        news.append(News(incident, Happening.REMINDED, incident.reminders))
    return news


def _escalate_due(now: datetime, limit: int) -> list[News]:
    news = []
    for incident in _due("escalate_at", now, limit):
        Incident.objects.filter(number=incident.number).update(escalate_at=None)
        if incident.state == Incident.State.OPEN:
            _say(incident, "escalated", Text(N_("Nobody acknowledged it in time: the next circle was told.")), at=now)
            news.append(News(incident, Happening.ESCALATED, _count(incident, "escalated")))
    return news


# timeline


def _say(incident: Incident, kind: str, text: Text, *, at: datetime, actor: Actor = PLATFORM, comment: str = "") -> TimelineEntry:
    return TimelineEntry.objects.create(
        incident=incident, at=at, kind=kind, actor_kind=actor.kind, actor_id=actor.id, text=text.as_json(), comment=comment
    )


def who_was_told(news: News, *, names: list[str], at: datetime) -> TimelineEntry:
    """A line of the delivery log in the timeline, not saved yet."""
    text = Text(N_("{happening:word}: told {names:list}"), {"happening": str(news.happening), "names": names})
    return TimelineEntry(incident=news.incident, at=at, kind="told", actor_kind=PLATFORM.kind, actor_id=PLATFORM.id, text=text.as_json())


def _by_person(
    incident: Incident, action: str, by: Person, now: datetime, after: dict[str, object], *, text: Text | None = None, comment: str = ""
) -> None:
    _say(incident, action, text or Text(""), at=now, actor=Actor.person(by.id), comment=comment)
    record(actor=Actor.person(by.id), action=action, on="incident", id=incident.number, model=incident.model_id, now=now, after=after)


def _lock_open(incident: Incident) -> None:
    """Read it again and hold it: the page it was read for may be old. Refuses what is resolved."""
    incident.refresh_from_db(from_queryset=Incident.objects.select_for_update())
    if not incident.is_open:
        raise Conflict(f"Incident {incident.number} is resolved already.", remedy="Look at the newest incident of this risk.")
