"""Who is told: a search outwards from the model until somebody active is found. Each answer names the step that found it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from watchkeeper.accounts.models import Person, Role, Unit
from watchkeeper.accounts.queries import holders, people_with, root_unit
from watchkeeper.alerts.models import Channel, Notification
from watchkeeper.history.bulk import prepared, prepared_objects
from watchkeeper.incidents.models import Incident
from watchkeeper.incidents.news import HIGH, Happening, News
from watchkeeper.monitoring.light import Light
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.registry.queries import owners_by_side


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


class Search:
    """Who is told of each piece of news, each person and channel once. What is looked up for one serves all the others."""

    def __init__(self, news: Sequence[News], lights: Mapping[UUID, str]) -> None:
        models = {entry.incident.model_id for entry in news}
        self._red = {model for model, light in lights.items() if light == Light.RED}
        self._told = _told_before([entry.incident.number for entry in news if entry.happening in ENDS])
        if all(entry.happening in ENDS and entry.incident.kind == Incident.Kind.RISK for entry in news):
            return  # the end is told to those who heard of the beginning: nobody is searched
        self._owners_of = owners_by_side(models)
        self._unit_of: dict[UUID, UUID] = dict(_units_of(models))
        self._units = {unit.id: unit for unit in _units()}
        self._circles = holders((Role.MAINTAINER, Role.RISK_OFFICER, Role.ADMINISTRATOR))
        self._find_channels(models, {entry.incident.assignee_id for entry in news if entry.incident.assignee_id})

    def _find_channels(self, models: Collection[UUID], people: set[UUID]) -> None:
        groups = (*self._circles.values(), *(owners for side in self._owners_of.values() for owners in side.values()))
        people = people | {person.id for group in groups for person in group}
        self._of_person: dict[UUID, list[Channel]] = defaultdict(list)
        self._of_model: dict[UUID, list[Channel]] = defaultdict(list)
        self._of_unit: dict[UUID, list[Channel]] = defaultdict(list)
        for channel in _channels(models, people):
            if channel.model_id:
                self._of_model[channel.model_id].append(channel)
            elif channel.unit_id:
                self._of_unit[channel.unit_id].append(channel)
            elif channel.person_id:
                self._of_person[channel.person_id].append(channel)

    def recipients(self, news: News) -> list[Recipient]:
        incident = news.incident
        if incident.kind == Incident.Kind.PLATFORM:
            return self._reach(self._administrators())
        if news.happening in ENDS:
            return self._told.get(incident.number, [])
        if news.happening is Happening.ASSIGNED:
            return self._reach([(incident.assignee, Why.ASSIGNEE)]) if incident.assignee else []
        people = self._next_circle(incident) if news.happening is Happening.ESCALATED else self._owners(incident)
        return [*self._reach(people), *self._shared(incident)]

    def _owners(self, incident: Incident) -> list[tuple[Person, Why]]:
        model = incident.model_id
        people = [(person, Why.TECHNICAL_OWNER) for person in self._owners_of["technical"].get(model, [])]
        if incident.criticality >= HIGH or model in self._red or not people:
            people += [(person, Why.BUSINESS_OWNER) for person in self._owners_of["business"].get(model, [])]
        return people or self._next_circle(incident)

    def _next_circle(self, incident: Incident) -> list[tuple[Person, Why]]:
        """Maintainers of the unit, then of the units above, then risk officers, then administrators: the first that has somebody active."""
        for role, why in ((Role.MAINTAINER, Why.UNIT_MAINTAINER), (Role.RISK_OFFICER, Why.RISK_OFFICER)):
            for unit in reversed(self._path(incident)):
                found = self._circles[unit.id, role]
                if found:
                    return [(person, why) for person in found]
        return self._administrators()

    def _administrators(self) -> list[tuple[Person, Why]]:
        root = next(unit for unit in self._units.values() if unit.depth == 0)
        return [(person, Why.ADMINISTRATOR) for person in self._circles[root.id, Role.ADMINISTRATOR]]

    def _path(self, incident: Incident) -> list[Unit]:
        """The units of the model, from the company down."""
        unit = self._units[self._unit_of[incident.model_id]]
        return [self._units[UUID(hex=part)] for part in unit.path.split("/") if part]

    def _reach(self, people: Sequence[tuple[Person, Why]]) -> list[Recipient]:
        chosen: dict[str, Recipient] = {}
        for person, why in people:
            for recipient in (Recipient(why, person), *(Recipient(why, person, channel) for channel in self._of_person[person.id])):
                chosen.setdefault(recipient.key, recipient)
        return list(chosen.values())

    def _shared(self, incident: Incident) -> list[Recipient]:
        """Channels of the model, and of its unit and those above, add up."""
        return [
            *(Recipient(Why.MODEL_CHANNEL, channel=channel) for channel in self._of_model[incident.model_id]),
            *(Recipient(Why.UNIT_CHANNEL, channel=channel) for unit in self._path(incident) for channel in self._of_unit[unit.id]),
        ]


@prepared
def _units_of(models: Collection[UUID]) -> QuerySet[RegisteredModel, Any]:  # Any: values of columns
    return RegisteredModel.objects.filter(id__among=models).values_list("id", "unit_id")


@prepared_objects
def _units() -> QuerySet[Unit]:
    return Unit.objects.all()


@prepared_objects
def _channels(models: Collection[UUID], people: Collection[UUID]) -> QuerySet[Channel]:
    wanted = Q(model__among=models) | Q(unit__isnull=False) | Q(person__among=people)
    return Channel.objects.filter(wanted, removed_at=None).order_by("created_at", "id")


ENDS = (Happening.RESOLVED, Happening.SETTLED)
BEGINNINGS = (Happening.OPENED, Happening.REOPENED, Happening.ESCALATED, Happening.FLAPPING)


@prepared_objects
def _beginnings_of(incidents: Collection[int]) -> QuerySet[Notification]:
    heard = Notification.objects.filter(incident__among=incidents, kind__in=BEGINNINGS, suppressed="")
    return heard.select_related("person", "channel").order_by("id")


def administrators() -> list[Person]:
    return people_with(Role.ADMINISTRATOR, on=root_unit())


def _told_before(incidents: Collection[int]) -> dict[int, list[Recipient]]:
    """The end is told to those who heard of the beginning, and to nobody else: what was suppressed was not heard."""
    chosen: dict[int, dict[str, Recipient]] = defaultdict(dict)
    for entry in _beginnings_of(incidents) if incidents else ():
        if not (entry.channel and entry.channel.removed_at) and not (entry.person and not entry.person.is_active):
            chosen[entry.incident_id].setdefault(entry.recipient, Recipient(Why.TOLD_BEFORE, entry.person, entry.channel))
    return {incident: list(found.values()) for incident, found in chosen.items()}
