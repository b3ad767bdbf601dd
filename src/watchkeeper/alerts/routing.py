"""Who is told: a search outwards from the model until somebody active is found. Each answer names the step that found it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from watchkeeper.accounts.models import Person, Role, Unit
from watchkeeper.accounts.queries import people_with, root_unit
from watchkeeper.alerts.models import Channel
from watchkeeper.incidents.models import Incident
from watchkeeper.incidents.services import HIGH, Happening, News
from watchkeeper.monitoring.light import Light
from watchkeeper.monitoring.models import ModelLight
from watchkeeper.registry.queries import owners_of


class Why(StrEnum):
    """Which step of the search found the recipient; the same word is in the delivery log."""

    TECHNICAL_OWNER = "technical owner"
    BUSINESS_OWNER = "business owner"
    UNIT_MAINTAINER = "maintainer of the unit"
    RISK_OFFICER = "risk officer"
    ADMINISTRATOR = "administrator"
    ASSIGNEE = "assignee"
    MODEL_CHANNEL = "channel of the model"
    UNIT_CHANNEL = "channel of the unit"
    TOLD_BEFORE = "was told when it opened"


@dataclass(frozen=True)
class Recipient:
    """A person's inbox (no channel), a person through a channel, or a channel of a model or unit (no person)."""

    why: Why
    person: Person | None = None
    channel: Channel | None = None

    @property
    def key(self) -> str:
        if self.channel is None:
            return f"inbox:{self.person.id if self.person else ''}"
        return f"channel:{self.channel.id}:{self.person.id}" if self.person else f"channel:{self.channel.id}"


def recipients(news: News) -> list[Recipient]:
    """Everybody to be told of this news, each once."""
    incident = news.incident
    if incident.kind == Incident.Kind.PLATFORM:
        return _of_people([(person, Why.ADMINISTRATOR) for person in administrators()])
    if news.happening in (Happening.RESOLVED, Happening.SETTLED):
        return _told_before(incident)
    if news.happening is Happening.ASSIGNED:
        return _of_people([(incident.assignee, Why.ASSIGNEE)]) if incident.assignee else []
    people = list(_next_circle(incident)) if news.happening is Happening.ESCALATED else _owners(incident)
    return [*_of_people(people), *_shared_channels(incident)]


def _owners(incident: Incident) -> list[tuple[Person, Why]]:
    model = incident.model_id
    people = [(person, Why.TECHNICAL_OWNER) for person in owners_of([model], side="technical").get(model, [])]
    if incident.criticality >= HIGH or ModelLight.objects.filter(model=model, light=Light.RED).exists() or not people:
        people += [(person, Why.BUSINESS_OWNER) for person in owners_of([model], side="business").get(model, [])]
    return people or list(_next_circle(incident))


def _next_circle(incident: Incident) -> Iterator[tuple[Person, Why]]:
    """Maintainers of the unit, then of the units above, then risk officers, then administrators: the first that has somebody active."""
    for role, why in ((Role.MAINTAINER, Why.UNIT_MAINTAINER), (Role.RISK_OFFICER, Why.RISK_OFFICER)):
        unit: Unit | None = incident.model.unit
        while unit:
            found = people_with(role, on=unit)
            if found:
                yield from ((person, why) for person in found)
                return
            unit = unit.parent
    yield from ((person, Why.ADMINISTRATOR) for person in administrators())


def administrators() -> list[Person]:
    return people_with(Role.ADMINISTRATOR, on=root_unit())


def _of_people(people: list[tuple[Person, Why]]) -> list[Recipient]:
    chosen: dict[str, Recipient] = {}
    for person, why in people:
        for recipient in (Recipient(why, person), *(Recipient(why, person, channel) for channel in person.channels.filter(removed_at=None))):
            chosen.setdefault(recipient.key, recipient)
    return list(chosen.values())


def _shared_channels(incident: Incident) -> list[Recipient]:
    """Channels of the model, and of its unit and those above, add up."""
    model = incident.model
    ids = [UUID(hex=part) for part in model.unit.path.split("/") if part]
    return [
        *(Recipient(Why.MODEL_CHANNEL, channel=channel) for channel in model.channels.filter(removed_at=None)),
        *(Recipient(Why.UNIT_CHANNEL, channel=channel) for channel in Channel.objects.filter(unit__in=ids, removed_at=None)),
    ]


def _told_before(incident: Incident) -> list[Recipient]:
    """The end is told to those who heard of the beginning, and to nobody else."""
    told = incident.notifications.filter(kind__in=(Happening.OPENED, Happening.REOPENED, Happening.ESCALATED)).select_related("person", "channel")
    chosen = {entry.recipient: Recipient(Why.TOLD_BEFORE, entry.person, entry.channel) for entry in told}
    return [
        recipient
        for recipient in chosen.values()
        if not (recipient.channel and recipient.channel.removed_at) and not (recipient.person and not recipient.person.is_active)
    ]
