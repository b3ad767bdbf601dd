"""Reads of channels, deliveries and inboxes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from watchkeeper.accounts.models import Person
from watchkeeper.accounts.rights import Ability, is_administrator, units_where
from watchkeeper.alerts.models import Channel, Message, Notification, Silence
from watchkeeper.core.errors import NotFound
from watchkeeper.incidents.models import Incident
from watchkeeper.registry.models import RegisteredModel


def channels_for(person: Person) -> QuerySet[Channel]:
    """A person's own channels, and those of models and units they may edit."""
    mine = Q(person=person) | Q(model__in=RegisteredModel.objects.editable_by(person)) | Q(unit__in=units_where(person, Ability.EDIT))
    return Channel.objects.filter(mine, removed_at=None).select_related("person", "model", "unit").order_by("name")


def channel_for(person: Person, id: UUID | str) -> Channel:
    try:
        return channels_for(person).get(id=UUID(str(id)))
    except (ValueError, Channel.DoesNotExist):
        raise NotFound("No such channel.", remedy="GET /api/v1/channels lists the channels you may edit.") from None


def deliveries(person: Person, *, incident: Incident | None = None, state: str = "") -> QuerySet[Notification]:
    """Who was told what, newest first: of incidents the person may see."""
    found = Notification.objects.filter(incident__model__in=RegisteredModel.objects.visible_to(person)).select_related(
        "incident__model", "incident__binding", "person", "channel", "message"
    )
    if incident:
        found = found.filter(incident=incident)
    if state == "suppressed":
        found = found.exclude(suppressed="")
    elif state:
        found = found.filter(message__state=state)
    return found.order_by("-created_at", "-id")


def dead_letters(person: Person) -> QuerySet[Message]:
    """Messages that could not be delivered: for administrators, and for those who may edit the channel."""
    found = Message.objects.filter(state=Message.State.DEAD).select_related("channel").order_by("-sealed_at")
    return found if is_administrator(person) else found.filter(channel__in=channels_for(person))


def inbox(person: Person) -> QuerySet[Notification]:
    return Notification.objects.filter(person=person, channel=None).select_related("incident__model", "incident__binding").order_by("-created_at", "-id")


def unread(person: Person) -> int:
    return Notification.objects.filter(person=person, channel=None, read_at=None).count()


def silences(person: Person, *, now: datetime) -> QuerySet[Silence]:
    """Silences that hold or are still to come, on models and units the person may see."""
    visible = Q(model__in=RegisteredModel.objects.visible_to(person)) | Q(unit__in=units_where(person, Ability.VIEW)) | Q(model=None, unit=None)
    return Silence.objects.filter(visible, ends_at__gt=now).select_related("model", "unit", "created_by").order_by("ends_at")


def outbox_age(*, now: datetime) -> float:
    """Seconds the oldest undelivered message has been waiting; 0 when there is none."""
    oldest = Message.objects.filter(state=Message.State.WAITING).order_by("sealed_at").values_list("sealed_at", flat=True).first()
    due = Notification.objects.filter(due_at__lte=now).order_by("due_at").values_list("due_at", flat=True).first()
    waits = [(now - at).total_seconds() for at in (oldest, due) if at]
    return max(waits, default=0.0)
