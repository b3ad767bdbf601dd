"""Reads of channels, deliveries and inboxes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from watchkeeper import channels
from watchkeeper.accounts.models import Person
from watchkeeper.accounts.rights import Ability, is_administrator, units_where
from watchkeeper.alerts.models import Channel, Message, Notification, Silence
from watchkeeper.core.errors import NotFound
from watchkeeper.core.secrets import decrypt
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
    return (
        Notification.objects.filter(person=person, channel=None).select_related("incident__model", "incident__binding").order_by("-created_at", "-id")
    )


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


def inbox_unread_first(person: Person) -> QuerySet[Notification]:
    return inbox(person).order_by(F("read_at").asc(nulls_first=True), "-created_at", "-id")


def dead_letter(person: Person, key: str) -> Message:
    found = dead_letters(person).filter(key=key).first()
    if found is None:
        raise NotFound("No such dead letter.", remedy="It was sent again already, or it is not yours to send.")
    return found


def silence_for(person: Person, id: UUID | str, *, now: datetime) -> Silence:
    found = silences(person, now=now).filter(id=UUID(str(id))).first()
    if found is None:
        raise NotFound("No such silence.", remedy="It has ended already.")
    return found


def secrets_made(channel: Channel, given: Mapping[str, Any]) -> dict[str, str]:  # Any: JSON
    """Secrets that were made by us because none was given: to be shown once, right after the channel was created."""
    stored = decrypt(channel.config)
    secret = channels.get(channel.kind).secret_fields
    return {name: stored[name] for name in sorted(secret) if not given.get(name) and isinstance(stored.get(name), str) and stored[name]}


def broken_channels() -> QuerySet[Channel]:
    return Channel.objects.filter(removed_at=None, failing_since__isnull=False).order_by("name")


def people_without_channel() -> int:
    """Owners that no channel reaches: neither their own, nor their model's, nor that of a unit above it."""
    if Channel.objects.filter(removed_at=None, unit__depth=0).exists():
        return 0
    reached = Channel.objects.filter(removed_at=None, person__isnull=False).values("person")
    return Person.objects.filter(is_active=True, ownerships__model__retired_at=None).exclude(id__in=reached).distinct().count()
