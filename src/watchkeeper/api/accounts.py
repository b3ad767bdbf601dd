"""Units, people, teams, roles, API keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from watchkeeper.accounts import queries, services
from watchkeeper.accounts.rights import Ability, is_administrator, require, require_administrator
from watchkeeper.api import shapes
from watchkeeper.api.auth import caller, clock
from watchkeeper.api.given import Given
from watchkeeper.api.paging import Paging, page
from watchkeeper.core.errors import InvalidInput, NotFound
from watchkeeper.registry.services import deactivate_person

router = Router(tags=["people"])
Json = dict[str, Any]  # Any: JSON


class UnitIn(Given):
    name: str
    parent: str = ""


@router.get("/units")
def units(request: HttpRequest) -> Json:
    return {"items": [shapes.unit(unit) for unit in queries.visible_units(caller(request).who)]}


@router.post("/units", response={201: Json})
def create_unit(request: HttpRequest, payload: UnitIn) -> Status[Json]:
    who = caller(request)
    parent = queries.unit_by(payload.parent) if payload.parent else queries.root_unit()
    require(who.who, Ability.ADMINISTER, parent)
    return Status(201, shapes.unit(services.create_unit(payload.name, parent=parent, actor=who.actor, now=clock.now())))


class PersonIn(Given):
    email: str
    name: str = ""
    is_service: bool = False


@router.get("/people")
def people(request: HttpRequest, paging: Query[Paging], q: str = "") -> Json:
    """People by name or e-mail: whom one can make an owner."""
    caller(request).who  # noqa: B018 - people and services only
    return page(queries.people(q), paging, shapes.person)


@router.post("/people", response={201: Json})
def create_person(request: HttpRequest, payload: PersonIn) -> Status[Json]:
    who = caller(request)
    require_administrator(who.who)
    person = services.create_person(email=payload.email, name=payload.name, is_service=payload.is_service, actor=who.actor, now=clock.now())
    return Status(201, shapes.person(person))


class Successor(Given):
    successor: str = ""
    reason: str = ""


@router.post("/people/{id}/deactivate")
def deactivate(request: HttpRequest, id: str, payload: Successor | None = None) -> Json:
    """Deactivate somebody who left; their models move to the successor."""
    who = caller(request)
    require_administrator(who.who)
    person = queries.person_by(id)
    given = payload or Successor()
    successor = queries.person_by(given.successor) if given.successor else None
    moved = deactivate_person(person, successor=successor, actor=who.actor, now=clock.now(), reason=given.reason)
    return shapes.person(person) | {"models_moved": moved}


@router.get("/teams")
def teams(request: HttpRequest) -> Json:
    caller(request).who  # noqa: B018 - people and services only
    return {"items": [shapes.team(team) for team in queries.teams()]}


class TeamIn(Given):
    name: str
    members: list[str] = []


@router.post("/teams", response={201: Json})
def create_team(request: HttpRequest, payload: TeamIn) -> Status[Json]:
    who = caller(request)
    require_administrator(who.who)
    members = [queries.person_by(reference) for reference in payload.members]
    return Status(201, shapes.team(services.create_team(payload.name, members=members, actor=who.actor, now=clock.now())))


class RoleIn(Given):
    person: str
    unit: str
    role: str


@router.get("/roles")
def roles(request: HttpRequest) -> Json:
    """Roles granted on the units one administers."""
    return {"items": [_role(grant) for grant in queries.grants_for(caller(request).who)]}


@router.post("/roles", response={201: Json})
def grant_role(request: HttpRequest, payload: RoleIn) -> Status[Json]:
    who = caller(request)
    unit = queries.unit_by(payload.unit)
    require(who.who, Ability.ADMINISTER, unit)
    role = queries.role_by(payload.role)
    return Status(201, _role(services.grant_role(queries.person_by(payload.person), role=role, unit=unit, actor=who.actor, now=clock.now())))


@router.delete("/roles/{id}", response={204: None})
def revoke_role(request: HttpRequest, id: UUID) -> Status[None]:
    who = caller(request)
    grant = queries.grants_for(who.who).filter(id=id).first()
    if grant is None:
        raise NotFound("No such role.", remedy="GET /api/v1/roles lists those you may change.")
    services.revoke_role(grant, actor=who.actor, now=clock.now())
    return Status(204, None)


def _role(grant: Any) -> Json:  # Any: RoleGrant
    return shapes.fields_of(grant, "id", "role") | {"person": str(grant.person_id), "unit": str(grant.unit_id)}


class KeyIn(Given):
    name: str
    person: str = ""


@router.get("/api-keys")
def keys(request: HttpRequest) -> Json:
    person = caller(request).who
    return {
        "items": [shapes.fields_of(key, "id", "name", "created_at", "revoked_at", "last_used_at") for key in person.api_keys.order_by("created_at")]
    }


@router.post("/api-keys", response={201: Json})
def create_key(request: HttpRequest, payload: KeyIn) -> Status[Json]:
    """A key of one's own, or for a service account by an administrator. Its text is shown once."""
    who = caller(request)
    person = queries.person_by(payload.person) if payload.person else who.who
    if person != who.who:
        require_administrator(who.who)
        if not person.is_service:
            raise InvalidInput(
                "A key for another person would let you act in their name.", remedy="They make their own; keys for service accounts are possible."
            )
    token = services.create_api_key(person, name=payload.name, actor=who.actor, now=clock.now())
    return Status(201, {"id": token.id, "key": token.text})


@router.delete("/api-keys/{id}", response={204: None})
def revoke_key(request: HttpRequest, id: str) -> Status[None]:
    who = caller(request)
    person = who.who
    key = queries.api_key(id)
    if key is None or (key.person != person and not is_administrator(person)):
        raise NotFound("No such key.", remedy="GET /api/v1/api-keys lists yours.")
    services.revoke_api_key(key, actor=who.actor, now=clock.now())
    return Status(204, None)
