"""Incidents: look, acknowledge, assign, comment, tick, resolve."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Status

from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts.rights import Ability
from watchkeeper.alerts import flow
from watchkeeper.api import shapes
from watchkeeper.api.auth import Caller, caller, clock
from watchkeeper.api.given import Given
from watchkeeper.api.paging import Paging, page
from watchkeeper.core.errors import NotFound
from watchkeeper.incidents import queries, services
from watchkeeper.registry import queries as registry

router = Router(tags=["incidents"])
Json = dict[str, Any]  # Any: JSON
State = Literal["", "open", "acknowledged", "resolved"]


@router.get("/incidents")
def list_incidents(request: HttpRequest, paging: Query[Paging], state: State = "", model: str = "", assignee: str = "") -> Json:
    """Newest first; `state=open` are all that are not resolved."""
    person = caller(request).who
    found = queries.incidents_for(
        person,
        state=state,
        model=registry.model_for(person, model).id if model else None,
        assignee=accounts.person_by(assignee).id if assignee else None,
    )
    return page(found, paging, shapes.incident_line)


@router.get("/incidents/{number}")
def show(request: HttpRequest, number: int) -> Json:
    return shapes.incident(queries.incident_for(caller(request).who, number))


class Acknowledgement(Given):
    until: datetime | None = None


@router.post("/incidents/{number}/acknowledge")
def acknowledge(request: HttpRequest, number: int, payload: Acknowledgement | None = None) -> Json:
    who, incident = _workable(request, number)
    services.acknowledge(incident, by=who.who, now=clock.now(), until=payload.until if payload else None)
    return shapes.incident(incident)


class Assignment(Given):
    to: str


@router.post("/incidents/{number}/assign")
def assign(request: HttpRequest, number: int, payload: Assignment) -> Json:
    """Assign to a person by id or e-mail; they are told."""
    who, incident = _workable(request, number)
    flow.assign_incident(incident, to=accounts.person_by(payload.to), by=who.who, now=clock.now())
    return shapes.incident(incident)


class Comment(Given):
    text: str


@router.post("/incidents/{number}/comment", response={201: Json})
def comment(request: HttpRequest, number: int, payload: Comment) -> Status[Json]:
    who, incident = _workable(request, number)
    services.comment(incident, text=payload.text, by=who.who, now=clock.now())
    return Status(201, shapes.incident(incident))


class Resolution(Given):
    cause: str
    reason: str = ""


@router.post("/incidents/{number}/resolve")
def resolve(request: HttpRequest, number: int, payload: Resolution) -> Json:
    """Resolve by hand, with a cause; while it still fires, with a reason too."""
    who, incident = _workable(request, number)
    flow.resolve_incident(incident, cause=payload.cause, reason=payload.reason, by=who.who, now=clock.now())
    return shapes.incident(incident)


class Tick(Given):
    is_done: bool = True
    skipped_reason: str = ""


@router.post("/incidents/{number}/steps/{position}")
def tick(request: HttpRequest, number: int, position: int, payload: Tick) -> Json:
    """Tick a step of the plan off, skip it with a reason, or take the tick back."""
    who, incident = _workable(request, number)
    step = incident.steps.filter(position=position).first()
    if step is None:
        raise NotFound(f"Incident {number} has no step {position}.", remedy="GET /api/v1/incidents/{number} lists its plan.")
    services.tick_step(step, is_done=payload.is_done, by=who.who, now=clock.now(), skipped_reason=payload.skipped_reason)
    return shapes.incident(incident)


def _workable(request: HttpRequest, number: int) -> tuple[Caller, Any]:  # Any: Incident
    who = caller(request)
    incident = queries.incident_for(who.who, number)
    registry.require(who.who, Ability.WORK, incident.model)
    return who, incident
