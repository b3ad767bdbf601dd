"""Channels, deliveries, silences."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from watchkeeper import channels
from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts.rights import Ability, require, require_administrator
from watchkeeper.alerts import queries, services
from watchkeeper.alerts.services import ChannelOf
from watchkeeper.api import shapes
from watchkeeper.api.auth import caller, clock
from watchkeeper.api.given import Given
from watchkeeper.api.paging import Paging, page
from watchkeeper.core.errors import NotAllowed, NotFound
from watchkeeper.incidents import queries as incidents
from watchkeeper.registry import queries as registry

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person

router = Router(tags=["alerts"])
Json = dict[str, Any]  # Any: JSON


class ChannelIn(Given):
    """A channel of exactly one of unit, model, user."""

    kind: str
    name: str
    config: dict[str, Any]  # Any: the settings of the kind
    unit: str = ""
    model: str = ""
    user: str = ""


class ChannelPatch(Given):
    name: str
    config: dict[str, Any]  # Any: the settings of the kind


@router.get("/channel-kinds")
def kinds(request: HttpRequest) -> Json:
    caller(request).who  # noqa: B018 - people and services only
    return {"items": [shapes.channel_kind(kind) for kind in channels.catalogue().values()]}


@router.get("/channels")
def list_channels(request: HttpRequest, paging: Query[Paging]) -> Json:
    return page(queries.channels_for(caller(request).who), paging, shapes.channel)


@router.post("/channels", response={201: Json})
def create(request: HttpRequest, payload: ChannelIn) -> Status[Json]:
    """Create a channel. The answer shows its secrets once; later they are stars."""
    who = caller(request)
    of = _of(who.who, payload)
    channel = services.create_channel(kind=payload.kind, name=payload.name, config=payload.config, of=of, actor=who.actor, now=clock.now())
    return Status(201, shapes.channel(channel) | {"config": services.revealed_config(channel)})


def _of(person: Person, payload: ChannelIn) -> ChannelOf:
    model = registry.model_for(person, payload.model) if payload.model else None
    unit = accounts.unit_by(payload.unit) if payload.unit else None
    user = accounts.person_by(payload.user) if payload.user else None
    of = ChannelOf(person=user, model=model, unit=unit)
    if model:
        registry.require(person, Ability.EDIT, model)
    if unit:
        require(person, Ability.EDIT, unit)
    if user and user != person:
        require_administrator(person)
    return of


@router.get("/channels/{id}")
def show(request: HttpRequest, id: str) -> Json:
    return shapes.channel(queries.channel_for(caller(request).who, id))


@router.patch("/channels/{id}")
def edit(request: HttpRequest, id: str, payload: ChannelPatch) -> Json:
    """Change a channel: the whole configuration, with the stars left where a secret stays."""
    who = caller(request)
    channel = queries.channel_for(who.who, id)
    return shapes.channel(services.edit_channel(channel, name=payload.name, config=payload.config, actor=who.actor, now=clock.now()))


@router.delete("/channels/{id}", response={204: None})
def remove(request: HttpRequest, id: str) -> Status[None]:
    who = caller(request)
    services.remove_channel(queries.channel_for(who.who, id), actor=who.actor, now=clock.now())
    return Status(204, None)


@router.post("/channels/{id}/test")
def test(request: HttpRequest, id: str) -> Json:
    """Send a test message now and say what came back."""
    who = caller(request)
    receipt = services.test_channel(queries.channel_for(who.who, id), to=who.who, now=clock.now())
    return {"result": receipt.result, "detail": receipt.detail.render()}


@router.get("/deliveries")
def deliveries(request: HttpRequest, paging: Query[Paging], incident: int | None = None, state: str = "") -> Json:
    """Who was told what, through which channel, and what became of it."""
    person = caller(request).who
    chosen = incidents.incident_for(person, incident) if incident is not None else None
    return page(queries.deliveries(person, incident=chosen, state=state), paging, shapes.delivery)


class SilenceIn(Given):
    model: str = ""
    unit: str = ""
    risk_type: str = ""
    starts_at: datetime | None = None
    ends_at: datetime
    reason: str
    is_maintenance: bool = False


@router.get("/silences")
def silences(request: HttpRequest) -> Json:
    return {"items": [shapes.silence(silence) for silence in queries.silences(caller(request).who, now=clock.now())]}


@router.post("/silences", response={201: Json})
def create_silence(request: HttpRequest, payload: SilenceIn) -> Status[Json]:
    """No messages about a model or a unit for a time. Conditions, incidents and lights go on."""
    person, now = caller(request).who, clock.now()
    model = registry.model_for(person, payload.model) if payload.model else None
    unit = accounts.unit_by(payload.unit) if payload.unit else None
    if model:
        registry.require(person, Ability.EDIT, model)
    else:
        require(person, Ability.EDIT, unit or accounts.root_unit())
    silence = services.create_silence(
        model=model,
        unit=unit,
        risk_type=payload.risk_type,
        starts_at=payload.starts_at or now,
        ends_at=payload.ends_at,
        reason=payload.reason,
        is_maintenance=payload.is_maintenance,
        by=person,
        now=now,
    )
    return Status(201, shapes.silence(silence))


@router.delete("/silences/{id}", response={204: None})
def end_silence(request: HttpRequest, id: UUID) -> Status[None]:
    person = caller(request).who
    silence = queries.silences(person, now=clock.now()).filter(id=id).first()
    if silence is None:
        raise NotFound("No such silence.", remedy="GET /api/v1/silences lists those that hold.")
    if silence.created_by_id != person.id:
        _require_edit(person, silence)
    services.end_silence(silence, by=person, now=clock.now())
    return Status(204, None)


def _require_edit(person: Person, silence: Any) -> None:  # Any: Silence
    if silence.model:
        registry.require(person, Ability.EDIT, silence.model)
    elif silence.unit:
        require(person, Ability.EDIT, silence.unit)
    else:
        raise NotAllowed("You may not end this silence.", remedy="Ask whoever began it.")
