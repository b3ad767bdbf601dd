"""Reminders, escalations and reopenings that are due. Each re-reads its incident when its time has come, and cancels itself if it moved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from watchkeeper.core.text import N_, Text
from watchkeeper.history.bulk import prepared
from watchkeeper.incidents.book import Book, set_timers
from watchkeeper.incidents.models import Incident
from watchkeeper.incidents.news import Happening, News
from watchkeeper.incidents.queries import is_firing


def due_news(*, now: datetime, limit: int = 200) -> list[News]:
    news: list[News] = []
    if not _is_any_due(now):
        return news
    for step in (_reopen_due, _remind_due, _escalate_due):
        book = Book(now)
        news += step(now, limit, book)
        book.write()
    return news


@prepared
def _is_any_due(now: datetime) -> QuerySet[Incident, Any]:  # Any: values of columns
    """Asked every second; mostly nothing is."""
    due = Q(reopen_at__until=now) | Q(next_reminder_at__until=now) | Q(escalate_at__until=now)
    return Incident.objects.filter(due).values_list("number")[:1]


def _due(field: str, now: datetime, limit: int) -> QuerySet[Incident]:
    """What is due, locked: a person who acts on it at this moment is before or after, never in between."""
    found = (
        Incident.objects.filter(**{f"{field}__lte": now}).select_related("binding__policy_version__policy", "model__unit").order_by(field, "number")
    )
    return found.select_for_update(of=("self",), skip_locked=True)[:limit]


def _reopen_due(now: datetime, limit: int, book: Book) -> list[News]:
    news = []
    for incident in _due("reopen_at", now, limit):
        if is_firing(incident) and not incident.is_open and not _is_open_again(incident):
            news.append(book.reopen(incident))
        else:
            incident.reopen_at = None
            book.move(incident)
    return news


def _is_open_again(incident: Incident) -> bool:
    same = Incident.objects.filter(binding=incident.binding_id, segment=incident.segment, kind=incident.kind)
    return same.exclude(state=Incident.State.RESOLVED).exists()


def _remind_due(now: datetime, limit: int, book: Book) -> list[News]:
    news = []
    for incident in _due("next_reminder_at", now, limit):
        book.move(incident)
        if not incident.is_open:
            incident.next_reminder_at = None
            continue
        escalate_at = incident.escalate_at
        set_timers(incident, now)
        if incident.state == Incident.State.ACKNOWLEDGED:
            incident.state = Incident.State.OPEN  # the acknowledgement has run out: escalation starts anew
            book.say(incident, "acknowledgement ended", Text(N_("The acknowledgement ran out; reminders resume.")), at=now)
        else:
            incident.escalate_at = escalate_at
        incident.reminders += 1
        news.append(News(incident, Happening.REMINDED, incident.reminders))
    return news


def _escalate_due(now: datetime, limit: int, book: Book) -> list[News]:
    news = []
    for incident in _due("escalate_at", now, limit):
        incident.escalate_at = None
        book.move(incident)
        if incident.state == Incident.State.OPEN:
            book.say(incident, "escalated", Text(N_("Nobody acknowledged it in time: the next circle was told.")), at=now)
            news.append(News(incident, Happening.ESCALATED, 1 + incident.timeline.filter(kind="escalated").count()))
    return news
