"""Writes of alerts: the intent to tell (in the transaction of the incident), sealing, delivery; channels and silences by people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from watchkeeper import channels
from watchkeeper.accounts.models import Person, Unit
from watchkeeper.alerts.models import Attempt, Channel, Message, Notification, Silence
from watchkeeper.alerts.rendering import render
from watchkeeper.alerts.routing import BEGINNINGS, ENDS, Recipient, Search, Why, administrators
from watchkeeper.channels import Outgoing, OutgoingPolicy, Receipt, Result
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.faults import crash_point
from watchkeeper.core.secrets import decrypt, encrypt
from watchkeeper.core.settings import settings
from watchkeeper.history.actors import Actor
from watchkeeper.history.bulk import insert_rows, prepared
from watchkeeper.history.services import record
from watchkeeper.incidents.book import who_was_told
from watchkeeper.incidents.models import Incident, TimelineEntry
from watchkeeper.incidents.news import Happening, News
from watchkeeper.monitoring.effective import plan_of
from watchkeeper.monitoring.models import ConditionRow, ModelLight
from watchkeeper.registry.models import RegisteredModel

RETRY_AFTER = tuple(map(timedelta, (0,) * 5, (10, 30, 120, 600, 1800)))
RETRY_LATER = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=24)
MOST_IN_A_MESSAGE = 500
SEALED_AT_ONCE = 2000
CLAIMED_AT_ONCE = 20


def notify(news: Sequence[News], *, now: datetime) -> list[Notification]:
    """Write down whom to tell of what, inside the transaction that made it so."""
    if not news:
        return []
    intents: list[Notification] = []
    lights: dict[UUID, str] = dict(_lights({entry.incident.model_id for entry in news}))
    search = Search(news, lights)
    said: list[TimelineEntry] = []
    for entry in news:
        snapshot = _snapshot(entry.incident, lights.get(entry.incident.model_id, ""))
        told = search.recipients(entry)
        intents += [_intent(entry, recipient, snapshot, now) for recipient in told]
        said += [who_was_told(entry, names=_names(told), at=now)] if told else []
    insert_rows(said)
    insert_rows(intents, ignore_conflicts=True)
    return intents


@prepared
def _lights(models: Collection[UUID]) -> QuerySet[ModelLight, Any]:  # Any: values of columns
    return ModelLight.objects.filter(model__among=models).values_list("model_id", "light")


def _snapshot(incident: Incident, light: str) -> dict[str, Any]:  # Any: JSON
    plan = plan_of(incident.binding) if incident.kind == Incident.Kind.RISK else []
    return {
        "value": incident.value,
        "limit": incident.limit,
        "explanation": incident.explanation,
        "light": light,
        "plan": plan,
        "how": str(incident.how),
        "resolution": incident.resolution if incident.how == Incident.How.MANUAL else "",
    }


def _intent(news: News, recipient: Recipient, snapshot: dict[str, Any], now: datetime) -> Notification:  # Any: JSON
    due = None
    if recipient.channel:
        waits = recipient.person is not None or channels.get(recipient.channel.kind).is_for_people
        due = now + timedelta(seconds=settings().group_wait_seconds) if waits else now
    return Notification(
        incident=news.incident,
        recipient=recipient.key,
        person=recipient.person,
        channel=recipient.channel,
        kind=news.happening,
        occurrence=news.occurrence,
        why=recipient.why,
        snapshot=snapshot,
        created_at=now,
        due_at=due,
    )


def _names(told: Sequence[Recipient]) -> list[str]:
    return list(dict.fromkeys(f"{recipient.person}" if recipient.channel is None else f"{recipient.channel.name}" for recipient in told))


# sealing


def seal_messages(*, now: datetime) -> int:
    """Group due notifications into messages, rendered once and immutable from then on."""
    waiting = [id for (id,) in _waiting(now)]
    if not waiting:
        return 0
    wanted = ("incident__model__unit", "incident__binding__policy_version__policy", "channel", "person")
    due = Notification.objects.filter(id__among=waiting).select_related(*wanted).order_by("id")
    groups: dict[tuple[UUID, UUID | None, UUID | None], list[Notification]] = defaultdict(list)
    for notification in due:
        assert notification.channel
        is_for_people = channels.get(notification.channel.kind).is_for_people
        group_model = notification.incident.model_id if is_for_people else None
        groups[notification.channel.id, notification.person_id, group_model].append(notification)
    return sum(_seal_group(group, now) for group in groups.values())


@prepared
def _waiting(now: datetime) -> QuerySet[Notification, Any]:  # Any: values of columns
    return Notification.objects.filter(due_at__until=now).order_by("id").values_list("id")[:SEALED_AT_ONCE]


def _seal_group(group: list[Notification], now: datetime) -> int:
    channel, person = group[0].channel, group[0].person
    assert channel
    kind = channels.get(channel.kind)
    with transaction.atomic():
        locked = Notification.objects.filter(id__in=[n.id for n in group], due_at__isnull=False).order_by("id").select_for_update()
        still_due = set(locked.values_list("id", flat=True))
        group = [notification for notification in group if notification.id in still_due]
        if not group:
            return 0
        wait_until = _rate_limited_until(channel, person, group[0].incident.model_id, now) if kind.is_for_people else None
        if wait_until:
            Notification.objects.filter(id__in=still_due).update(due_at=wait_until)
            return 0
        wanted = _without_suppressed(group, now)
        for chunk in (wanted[i : i + MOST_IN_A_MESSAGE] for i in range(0, len(wanted), MOST_IN_A_MESSAGE)):
            _seal(chunk, channel, person, now)
    return 1


def _rate_limited_until(channel: Channel, person: Person | None, model: UUID, now: datetime) -> datetime | None:
    interval = timedelta(seconds=settings().group_interval_seconds)
    last = (
        Message.objects.filter(channel=channel, model=model, to=person.email if person else "", sealed_at__gt=now - interval)
        .order_by("-sealed_at")
        .first()
    )
    return last.sealed_at + interval if last else None


def _without_suppressed(group: list[Notification], now: datetime) -> list[Notification]:
    """Suppression is decided when sending, named, and changes neither condition nor incident. Who heard no beginning hears no end."""
    silences = list(Silence.objects.filter(starts_at__lte=now, ends_at__gt=now))
    bindings = {notification.incident.binding_id for notification in group}
    flapping = set(ConditionRow.objects.filter(binding__in=bindings, is_flapping=True).values_list("binding_id", "segment"))
    heard, unheard = _beginnings(group)
    wanted: list[Notification] = []
    suppressed: dict[str, list[int]] = defaultdict(list)
    for notification in group:
        number = notification.incident_id
        reason = _silenced(notification.incident, silences) or _flaps(notification, flapping)
        if notification.kind in ENDS and number not in heard:
            reason = reason or unheard.get(number, "")
        if reason:
            suppressed[reason].append(notification.id)
        else:
            wanted.append(notification)
        if notification.kind in BEGINNINGS and reason:
            unheard[number] = reason
        elif notification.kind in BEGINNINGS:
            heard.add(number)
    for reason, ids in suppressed.items():
        Notification.objects.filter(id__in=ids).update(suppressed=reason, due_at=None)
    return wanted


def _beginnings(group: Sequence[Notification]) -> tuple[set[int], dict[int, str]]:
    """Of the incidents whose end is in the group: those this recipient heard of, and why it did not hear of the others."""
    ended = {notification.incident_id for notification in group if notification.kind in ENDS}
    told = Notification.objects.filter(incident__in=ended, recipient=group[0].recipient, kind__in=BEGINNINGS, due_at=None).order_by("id")
    entries = list(told.values_list("incident_id", "suppressed"))
    return {number for number, reason in entries if not reason}, {number: reason for number, reason in entries if reason}


def _silenced(incident: Incident, silences: Sequence[Silence]) -> str:
    silence = silence_of(incident.model, incident.binding.type, among=silences)
    return "" if silence is None else "maintenance" if silence.is_maintenance else "silenced"


def _flaps(notification: Notification, flapping: Collection[tuple[UUID, str]]) -> str:
    if notification.kind in (Happening.FLAPPING, Happening.SETTLED):
        return ""
    return "flapping" if (notification.incident.binding_id, notification.incident.segment) in flapping else ""


def silence_of(model: RegisteredModel, risk_type: str, *, among: Sequence[Silence]) -> Silence | None:
    units = {UUID(hex=part) for part in model.unit.path.split("/") if part}
    for silence in among:
        covers = silence.model_id == model.id if silence.model_id else silence.unit_id is None or silence.unit_id in units
        if covers and silence.risk_type in ("", risk_type):
            return silence
    return None


def _seal(notifications: Sequence[Notification], channel: Channel, person: Person | None, now: datetime) -> None:
    if not notifications:
        return
    key = f"wk-{uuid4().hex}"
    rendered = render(notifications, channel=channel, person=person, key=key, now=now)
    models = {notification.incident.model_id for notification in notifications}
    message = Message.objects.create(
        key=key,
        channel=channel,
        model_id=models.pop() if len(models) == 1 else None,
        to=person.email if person else "",
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        body=rendered.body,
        sealed_at=now,
        next_attempt_at=now,
    )
    Notification.objects.filter(id__in=[n.id for n in notifications]).update(message=message, due_at=None)
    crash_point("seal: before commit")


# delivery


def claim_messages(*, now: datetime) -> list[Message]:
    """Claim messages that are due, in order per channel: a "resolved" never overtakes an undelivered "opened"."""
    due = [id for (id,) in _due(now)]
    if not due:
        return []
    claim = uuid4().hex
    _free(now).filter(id__among=due).update(claim=claim, claimed_until=_leased(now))
    return list(Message.objects.filter(claim=claim, id__among=due).select_related("channel").order_by("id"))


@prepared
def _due(now: datetime) -> QuerySet[Message, Any]:  # Any: values of columns
    return _free(now).filter(~Exists(_waiting_before())).order_by("next_attempt_at", "id").values_list("id")[:CLAIMED_AT_ONCE]


def _free(now: datetime) -> QuerySet[Message]:
    """Due, and claimed by nobody."""
    unclaimed = Q(claimed_until=None) | Q(claimed_until__until=now)
    return Message.objects.filter(unclaimed, state=Message.State.WAITING, next_attempt_at__until=now)


def _leased(now: datetime) -> datetime:
    return now + timedelta(seconds=settings().lease_seconds)


def keep_claim(message: Message, *, now: datetime) -> bool:
    """Renew the claim right before sending; False when it is not ours any more: the messages before it took too long, or we were frozen."""
    mine = Message.objects.filter(id=message.id, claim=message.claim, state=Message.State.WAITING)
    return bool(mine.update(claimed_until=_leased(now)))


def release_messages(messages: Collection[Message]) -> None:
    """Give back what was claimed and will not be sent now."""
    Message.objects.filter(id__in=[message.id for message in messages], claim__in={message.claim for message in messages}).update(
        claim="", claimed_until=None
    )


def _waiting_before() -> QuerySet[Notification]:
    """Notifications of a message whose incident has an earlier, undelivered message for the same recipient."""
    earlier = Notification.objects.filter(
        incident=OuterRef("incident"), recipient=OuterRef("recipient"), message__state=Message.State.WAITING, message__lt=OuterRef("message")
    )
    return Notification.objects.filter(Exists(earlier), message=OuterRef("id"))


def send(message: Message) -> Receipt:
    """One try. Never raises for trouble at the other end; a channel that cannot even be read is trouble too."""
    kind = channels.get(message.channel.kind)
    config = kind.parse_config(decrypt(message.channel.config))
    outgoing = Outgoing(
        key=message.key,
        subject=message.subject,
        text=message.text,
        html=message.html or None,
        body=bytes(message.body),
        sent_at=message.sealed_at,
        to=message.to or None,
    )
    return kind.send(outgoing, config, OutgoingPolicy.parse(settings().outgoing_allow))


@transaction.atomic
def acknowledge_delivery(message: Message, receipt: Receipt, *, now: datetime) -> None:
    """Write down what came of one try, of one message, if its claim is still ours."""
    fields: dict[str, Any] = {"attempts": message.attempts + 1, "claim": "", "claimed_until": None}  # Any: values of fields
    if receipt.result is Result.DELIVERED:
        fields |= {"state": Message.State.DELIVERED, "delivered_at": now, "next_attempt_at": None, "last_error": {}}
    elif receipt.result is Result.REFUSED or now - message.sealed_at >= GIVE_UP_AFTER:
        fields |= {"state": Message.State.DEAD, "next_attempt_at": None, "last_error": receipt.detail.as_json()}
    else:
        fields |= {"next_attempt_at": now + _wait(message.attempts, receipt), "last_error": receipt.detail.as_json()}
    if not Message.objects.filter(id=message.id, claim=message.claim, state=Message.State.WAITING).update(**fields):
        return
    Attempt.objects.create(message=message, at=now, result=receipt.result, detail=receipt.detail.as_json())
    works = receipt.result is Result.DELIVERED
    Channel.objects.filter(id=message.channel_id, failing_since__isnull=not works).update(failing_since=None if works else now)
    if fields.get("state") == Message.State.DEAD:
        _tell_administrators(message, now)
    crash_point("deliver: acknowledged, before commit")


def _wait(attempts: int, receipt: Receipt) -> timedelta:
    planned = RETRY_AFTER[attempts] if attempts < len(RETRY_AFTER) else RETRY_LATER
    return max(planned, receipt.after or timedelta(0))


def _tell_administrators(message: Message, now: datetime) -> None:
    """A dead letter goes another way: into the inboxes of the administrators."""
    entries = [
        Notification(
            incident_id=notification.incident_id,
            recipient=f"inbox:{person.id}:dead:{message.id}",
            person=person,
            kind=notification.kind,
            occurrence=notification.occurrence,
            why=Why.ADMINISTRATOR,
            snapshot=notification.snapshot | {"undeliverable": message.channel.name},
            created_at=now,
        )
        for notification in message.notifications.all()
        for person in administrators()
    ]
    Notification.objects.bulk_create(entries, ignore_conflicts=True)


@transaction.atomic
def retry_message(message: Message, *, actor: Actor, now: datetime) -> None:
    """Send a dead letter again, with the same bytes and key."""
    Message.objects.filter(id=message.id, state=Message.State.DEAD).update(state=Message.State.WAITING, next_attempt_at=now, attempts=0)
    record(actor=actor, action="retried", on="message", id=message.key, now=now)


# channels


@dataclass(frozen=True)
class ChannelOf:
    """What a channel belongs to: exactly one of them."""

    person: Person | None = None
    model: RegisteredModel | None = None
    unit: Unit | None = None

    def __post_init__(self) -> None:
        if [self.person, self.model, self.unit].count(None) != 2:
            raise InvalidInput("A channel belongs to one unit, one model or one person.", remedy="Give exactly one of unit, model, user.")


@transaction.atomic
def create_channel(*, kind: str, name: str, config: Mapping[str, Any], of: ChannelOf, actor: Actor, now: datetime) -> Channel:  # Any: JSON
    parsed = channels.get(kind).parse_config(config)
    if not name.strip():
        raise InvalidInput("A channel needs a name.", remedy="Name it as people call it, e.g. #model-alerts.", fields={"name": "required"})
    channel = Channel.objects.create(
        kind=kind, name=name.strip(), config=encrypt(parsed.revealed()), person=of.person, model=of.model, unit=of.unit, created_at=now
    )
    record(
        actor=actor,
        action="created",
        on="channel",
        id=channel.id,
        model=of.model.id if of.model else None,
        now=now,
        after={"kind": kind, "name": channel.name, "config": parsed.masked(), "person": channel.person_id, "unit": channel.unit_id},
    )
    return channel


@transaction.atomic
def edit_channel(channel: Channel, *, name: str, config: Mapping[str, Any], actor: Actor, now: datetime) -> Channel:  # Any: JSON
    kind = channels.get(channel.kind)
    previous = kind.parse_config(decrypt(channel.config))
    parsed = kind.parse_config(config, previous=previous)
    before = {"name": channel.name, "config": previous.masked()}
    channel.name, channel.config = name.strip() or channel.name, encrypt(parsed.revealed())
    channel.save(update_fields=["name", "config"])
    after = {"name": channel.name, "config": parsed.masked()}
    record(actor=actor, action="edited", on="channel", id=channel.id, model=channel.model_id, now=now, before=before, after=after)
    return channel


@transaction.atomic
def remove_channel(channel: Channel, *, actor: Actor, now: datetime) -> None:
    channel.removed_at = now
    channel.save(update_fields=["removed_at"])
    record(actor=actor, action="removed", on="channel", id=channel.id, model=channel.model_id, now=now, before={"name": channel.name})


def masked_config(channel: Channel) -> dict[str, Any]:  # Any: JSON
    return channels.get(channel.kind).parse_config(decrypt(channel.config)).masked()


def test_channel(channel: Channel, *, to: Person, now: datetime) -> Receipt:
    """Send a test message at once, outside the outbox: the answer is for the person who pressed the button."""
    kind = channels.get(channel.kind)
    config = kind.parse_config(decrypt(channel.config))
    text = f"Watchkeeper test message for {channel.name}. If you read this, the channel works."
    outgoing = Outgoing(
        key=f"wk-test-{uuid4().hex}", subject="Watchkeeper test message", text=text, body=b'{"type": "test", "data": {}}', sent_at=now, to=to.email
    )
    receipt = kind.send(outgoing, config, OutgoingPolicy.parse(settings().outgoing_allow))
    Channel.objects.filter(id=channel.id).update(failing_since=None if receipt.result is Result.DELIVERED else now)
    return receipt


# inbox, silences


def mark_read(person: Person, *, ids: Collection[int] | None, now: datetime) -> None:
    entries = Notification.objects.filter(person=person, channel=None, read_at=None)
    (entries.filter(id__in=ids) if ids is not None else entries).update(read_at=now)


@transaction.atomic
def create_silence(
    *,
    model: RegisteredModel | None,
    unit: Unit | None,
    risk_type: str,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    is_maintenance: bool,
    by: Person,
    now: datetime,
) -> Silence:
    if ends_at <= max(starts_at, now) or ends_at - starts_at > timedelta(days=90):
        raise InvalidInput("A silence ends in the future and lasts at most 90 days.", remedy="Choose another end.", fields={"ends_at": "future"})
    if not reason.strip():
        raise InvalidInput("A silence needs a reason.", remedy="Say why nobody needs to be told.", fields={"reason": "required"})
    silence = Silence.objects.create(
        model=model, unit=unit, risk_type=risk_type, starts_at=starts_at, ends_at=ends_at, reason=reason, is_maintenance=is_maintenance, created_by=by
    )
    record(
        actor=Actor.person(by.id),
        action="silenced",
        on="silence",
        id=silence.id,
        model=model.id if model else None,
        now=now,
        after={"model": model and model.id, "unit": unit and unit.id, "risk_type": risk_type, "until": ends_at},
        reason=reason,
    )
    return silence


@transaction.atomic
def end_silence(silence: Silence, *, by: Person, now: datetime) -> None:
    Silence.objects.filter(id=silence.id).update(ends_at=now)
    record(actor=Actor.person(by.id), action="ended", on="silence", id=silence.id, model=silence.model_id, now=now)


def revealed_config(channel: Channel) -> dict[str, Any]:  # Any: JSON
    """The configuration in clear: shown once, to whoever created it."""
    return channels.get(channel.kind).parse_config(decrypt(channel.config)).revealed()
