"""Incidents follow their conditions: opened, updated, reopened and resolved, many at once, in the transaction that moved the conditions.

An incident belongs to a binding and a segment. When more than five segments of a binding fire at once, those that have no incident yet share
one with a list (segment `*`), until none of them fires. An evaluation that keeps failing is one incident of the platform per binding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Max, QuerySet

from watchkeeper.core.text import N_, Text
from watchkeeper.history.bulk import prepared, prepared_objects
from watchkeeper.incidents.book import Book, set_timers
from watchkeeper.incidents.models import MANY_SEGMENTS, Incident
from watchkeeper.incidents.news import HIGH, Happening, News
from watchkeeper.monitoring.conditions import State, Step
from watchkeeper.monitoring.effective import plan_of
from watchkeeper.monitoring.evaluation import Transition
from watchkeeper.monitoring.models import RiskBinding

REOPEN_WITHIN = timedelta(minutes=30)
MOST_SEGMENTS = 5  # more of them firing at once share one incident
Key = tuple[UUID, str]  # binding and segment
_FIRING = (Step.FIRED, Step.STILL_FIRING, Step.FIRED_AGAIN)


@dataclass
class _Known:
    """What is known of the incidents of these bindings, read at once. `by_hand` was resolved by hand while it fired, and waits to be reopened."""

    open: dict[Key, Incident]
    platform: dict[UUID, Incident]
    last: dict[Key, Incident] = field(default_factory=dict)
    by_hand: dict[Key, int] = field(default_factory=dict)
    bindings: dict[UUID, RiskBinding] = field(default_factory=dict)


def follow(transitions: Sequence[Transition], *, now: datetime) -> list[News]:
    """Open, update, reopen and resolve incidents as their conditions moved."""
    moved = {t.binding.id for t in transitions if _matters(t)}
    if not moved:
        return []
    by_binding: dict[UUID, list[Transition]] = defaultdict(list)
    for transition in transitions:
        if transition.binding.id in moved:
            by_binding[transition.binding.id].append(transition)
    known, book = _known(by_binding), Book(now)
    news = [entry for group in by_binding.values() for entry in _follow_binding(group, known, book)]
    book.write()
    return news


def _matters(transition: Transition) -> bool:
    return (
        transition.step is not Step.NOTHING
        or transition.condition.is_counted
        or transition.is_flapping_start
        or transition.is_flapping_stop
        or bool(transition.before.errors or transition.condition.errors)
    )


def _known(by_binding: dict[UUID, list[Transition]]) -> _Known:
    known = _Known({}, {})
    for incident in _open_now(list(by_binding)):
        if incident.kind == Incident.Kind.PLATFORM:
            known.platform[incident.binding_id] = incident
        else:
            known.open[incident.binding_id, incident.segment] = incident
    tellable = [transition for group in by_binding.values() for transition in group if _may_be_told(transition, known)]
    tellable_ids = {transition.binding.id for transition in tellable}
    known.bindings = {binding.id: binding for binding in _bindings(tellable_ids)} if tellable_ids else {}
    for incident in (*known.open.values(), *known.platform.values()):
        if incident.binding_id in known.bindings:
            incident.binding = known.bindings[incident.binding_id]
    _learn_past(known, {transition.binding.id for transition in tellable if (transition.binding.id, transition.segment) not in known.open})
    return known


def _may_be_told(transition: Transition, known: _Known) -> bool:
    """What goes on as it was is told to nobody: it needs neither its rule nor what was before."""
    if transition.step in (Step.RESOLVED, Step.ERRED) or transition.is_flapping_start or transition.is_flapping_stop:
        return True
    has_none = (transition.binding.id, transition.segment) not in known.open
    return (has_none and transition.step in _FIRING) or bool(transition.before.errors and not transition.condition.errors)


@prepared_objects
def _open_now(bindings: Collection[UUID]) -> QuerySet[Incident]:
    return Incident.objects.filter(binding__among=bindings).exclude(state=Incident.State.RESOLVED).select_for_update()


@prepared_objects
def _bindings(ids: Collection[UUID]) -> QuerySet[RiskBinding]:
    return RiskBinding.objects.filter(id__among=ids).select_related("policy_version__policy")


def _learn_past(known: _Known, bindings: Collection[UUID]) -> None:
    if not bindings:
        return
    for incident in _newest(bindings):
        incident.binding = known.bindings[incident.binding_id]
        known.last[incident.binding_id, incident.segment] = incident
    for number, binding, segment in _waiting_to_reopen(bindings):
        known.by_hand[binding, segment] = number


@prepared
def _waiting_to_reopen(bindings: Collection[UUID]) -> QuerySet[Incident, Any]:  # Any: values of columns
    waiting = Incident.objects.filter(binding__among=bindings, kind=Incident.Kind.RISK, reopen_at__isnull=False)
    return waiting.values_list("number", "binding_id", "segment")


@prepared_objects
def _newest(bindings: Collection[UUID]) -> QuerySet[Incident]:
    """The last of each binding and segment."""
    past = Incident.objects.filter(binding__among=bindings, kind=Incident.Kind.RISK)
    return Incident.objects.filter(number__in=past.values("binding", "segment").annotate(last=Max("number")).values("last"))


def _follow_binding(group: list[Transition], known: _Known, book: Book) -> list[News]:
    news = _follow_errors(group, known.platform.get(group[0].binding.id), known, book)
    if _share_one(group, known):
        group = _with_one_for_many(group, known)
    for transition in group:
        if not _matters(transition):
            continue
        incident = known.open.get((transition.binding.id, transition.segment))
        followed = _follow_one(transition, incident, known, book)
        news += [*followed, *_follow_flapping(transition, followed[0].incident if followed else incident, known, book)]
    return news


def _share_one(group: Sequence[Transition], known: _Known) -> bool:
    return (group[0].binding.id, MANY_SEGMENTS) in known.open or sum(t.condition.is_counted for t in group) > MOST_SEGMENTS


def _with_one_for_many(group: Sequence[Transition], known: _Known) -> list[Transition]:
    """Segments with an incident of their own go on by themselves; one transition stands for all the others."""
    alone = [t for t in group if (t.binding.id, t.segment) in known.open]
    others = [t for t in group if t not in alone]
    firing = [t for t in others if t.condition.is_counted]
    shared = known.open.get((group[0].binding.id, MANY_SEGMENTS))
    if not firing:
        ended = [others[0]._replace(segment=MANY_SEGMENTS, step=Step.RESOLVED, at=max(t.at for t in others))] if shared and others else []
        return [*alone, *ended]
    names = sorted(t.segment for t in firing)
    first = next((t for t in firing if t.step is Step.FIRED), firing[0])
    step = first.step if first.step is Step.FIRED and shared is None else Step.STILL_FIRING
    text = Text(N_("{count:integer} segments fire at once: {segments:list}"), {"count": len(names), "segments": names})
    return [*alone, first._replace(segment=MANY_SEGMENTS, step=step, condition=first.condition._replace(parts=tuple(names)), explanation=text)]


def _follow_one(transition: Transition, incident: Incident | None, known: _Known, book: Book) -> list[News]:
    match transition.step:
        case Step.FIRED:
            return [_open(transition, known, book)] if incident is None else []
        case Step.STILL_FIRING | Step.FIRED_AGAIN:
            if incident is None:
                return [] if _was_resolved_by_hand(transition, known) else [_open(transition, known, book)]
            _update(incident, transition, book)
        case Step.RESOLVED:
            _forget_reopening(transition, known)
            return [book.resolve(incident, how=Incident.How.AUTO, at=transition.at)] if incident else []
        case Step.STARTED_RECOVERING if incident:
            book.say(incident, "recovering", transition.explanation, at=transition.at)
        case Step.LOST_SIGHT if incident:
            incident.no_data_since = transition.at
            book.move(incident)
            book.say(incident, "no data", transition.explanation, at=transition.at)
    if incident and incident.no_data_since and transition.condition.no_data_since is None:
        incident.no_data_since = None
        book.move(incident)
    return []


def _open(transition: Transition, known: _Known, book: Book) -> News:
    """Open a new incident, or reopen the last one: within 30 minutes, or when it never was ok since its rule was changed."""
    last = known.last.get((transition.binding.id, transition.segment))
    fires_still = last is not None and last.how == Incident.How.RULE_CHANGED and State.OK not in transition.condition.past
    if last and (fires_still or (last.resolved_at and transition.at - last.resolved_at <= REOPEN_WITHIN)):
        _take_over(last, transition)
        return book.reopen(last)
    binding = known.bindings[transition.binding.id]
    incident = _incident(transition, binding, kind=Incident.Kind.RISK, criticality=binding.criticality, previous=last, now=book.now)
    book.open(incident, plan=plan_of(binding), after=_as_change(incident))
    return News(incident, Happening.OPENED)


def _incident(
    transition: Transition, binding: RiskBinding, *, kind: Incident.Kind, criticality: int, previous: Incident | None, now: datetime
) -> Incident:
    incident = Incident(
        kind=kind,
        binding=binding,
        model_id=binding.model_id,
        segment=transition.segment,
        criticality=criticality,
        true_since=transition.condition.true_since or transition.at,
        opened_at=now,
        previous=previous,
        cost_per_day=binding.cost_per_day,
    )
    _take_over(incident, transition)
    set_timers(incident, now)
    return incident


def _as_change(incident: Incident) -> dict[str, object]:
    binding = incident.binding
    return {"risk": binding.id, "type": binding.type, "explanation": incident.explanation, "criticality": incident.criticality}


def _take_over(incident: Incident, transition: Transition) -> None:
    """What the condition says now."""
    condition = transition.condition
    incident.value, incident.limit, incident.peak, incident.parts = condition.value, condition.limit, condition.peak, list(condition.parts)
    incident.explanation, incident.no_data_since = transition.explanation.as_json(), None


def _update(incident: Incident, transition: Transition, book: Book) -> None:
    if list(transition.condition.parts) != incident.parts:
        book.say(incident, "parts changed", Text(N_("now concerned: {parts:list}"), {"parts": list(transition.condition.parts)}), at=transition.at)
    if transition.step is Step.FIRED_AGAIN:
        book.say(incident, "fired again", transition.explanation, at=transition.at)
    _take_over(incident, transition)
    book.move(incident)


def _was_resolved_by_hand(transition: Transition, known: _Known) -> bool:
    return any((transition.binding.id, segment) in known.by_hand for segment in (transition.segment, MANY_SEGMENTS))


def _forget_reopening(transition: Transition, known: _Known) -> None:
    """What was resolved by hand while it fired is not looked at again: its condition ended, or began anew."""
    number = known.by_hand.pop((transition.binding.id, transition.segment), None)
    if number is not None:
        Incident.objects.filter(number=number).update(reopen_at=None)


def _follow_flapping(transition: Transition, incident: Incident | None, known: _Known, book: Book) -> list[News]:
    """One message when it starts and one when it ends; the end mostly comes when nothing is open any more: then it is told of the last incident."""
    if not transition.is_flapping_start and not transition.is_flapping_stop:
        return []
    incident = incident or known.last.get((transition.binding.id, transition.segment))
    if incident is None:
        return []
    happening = Happening.FLAPPING if transition.is_flapping_start else Happening.SETTLED
    text = N_("It keeps changing: no message is sent until it settles.") if transition.is_flapping_start else N_("It has settled.")
    times = 1 + (incident.timeline.filter(kind=happening).count() if incident.pk else 0)
    book.say(incident, str(happening), Text(text), at=transition.at)
    return [News(incident, happening, times)]


def _follow_errors(group: Sequence[Transition], incident: Incident | None, known: _Known, book: Book) -> list[News]:
    """An evaluation that keeps failing is the platform's trouble, never "the model is silent". It fails in all segments at once."""
    failed = next((t for t in group if t.step is Step.ERRED), None)
    if failed and incident is None:
        whole = failed._replace(segment="")
        opened = _incident(whole, known.bindings[failed.binding.id], kind=Incident.Kind.PLATFORM, criticality=HIGH, previous=None, now=book.now)
        book.open(opened, plan=(), after=_as_change(opened))
        return [News(opened, Happening.OPENED)]
    if incident and all(t.condition.errors == 0 for t in group):
        return [book.resolve(incident, how=Incident.How.AUTO, at=group[0].at)]
    return []
