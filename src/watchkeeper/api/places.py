"""Places of the company whose rows are watched where they live: looked at, registered, removed. A password goes in and never comes out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status

from watchkeeper.accounts.rights import Ability
from watchkeeper.api import shapes
from watchkeeper.api.auth import Caller, caller, clock
from watchkeeper.api.given import Given
from watchkeeper.core.durations import parse_duration
from watchkeeper.core.errors import InvalidInput
from watchkeeper.ingest import places
from watchkeeper.ingest.places import Look, Wanted
from watchkeeper.monitoring.services import passport_changed
from watchkeeper.registry import queries

router = Router(tags=["models"])
Json = dict[str, Any]  # Any: JSON


class PlaceColumns(Given):
    """Which column is what. `features`: all others when left out."""

    id: str
    timestamp: str
    version: str = ""
    prediction: str = ""
    score: str = ""
    label: str = ""
    label_timestamp: str = ""
    segments: list[str] = []
    features: list[str] | None = None


class PlaceIn(Given):
    """`kind` is folder, delta or postgres. Columns that are left out are guessed from their names and types."""

    kind: str
    address: str
    password: str = ""
    columns: PlaceColumns | None = None
    every: str = "15m"
    again: str = "3d"


@router.get("/models/{id}/places")
def watched(request: HttpRequest, id: str) -> Json:
    """Where the model's rows are taken from, and how the last look at each went."""
    model = queries.model_for(caller(request).who, id)
    return {"items": [shapes.place(place) for place in places.watched_places(model)]}


@router.post("/models/{id}/places", response={201: Json})
def watch(request: HttpRequest, id: str, payload: PlaceIn) -> Status[Json]:
    """Watch a place, after a look at it."""
    who, now = caller(request), clock.now()
    model = _editable(who, id)
    place = places.watch_place(model, wanted=_wanted(payload), actor=who.actor, now=now)
    passport_changed(model, now=now)
    return Status(201, shapes.place(place))


@router.post("/models/{id}/places/look")
def look(request: HttpRequest, id: str, payload: PlaceIn) -> Json:
    """What is at a place: columns, their types, rows, and what was guessed. Nothing is saved."""
    _editable(caller(request), id)
    return _told(places.look(_wanted(payload)))


@router.post("/models/{id}/places/{place_id}/look")
def look_soon(request: HttpRequest, id: str, place_id: UUID) -> Json:
    """The worker looks in its next round, not only when it is time."""
    place = places.place_of(_editable(caller(request), id), place_id)
    places.look_soon(place, now=clock.now())
    return shapes.place(place)


@router.delete("/models/{id}/places/{place_id}", response={204: None})
def stop(request: HttpRequest, id: str, place_id: UUID) -> Status[None]:
    """Take nothing more from it. What was taken stays."""
    who, now = caller(request), clock.now()
    model = _editable(who, id)
    places.stop_watching(places.place_of(model, place_id), actor=who.actor, now=now)
    passport_changed(model, now=now)
    return Status(204, None)


def _wanted(payload: PlaceIn) -> Wanted:
    try:
        every, again = parse_duration(payload.every), parse_duration(payload.again)
    except ValueError as problem:
        raise InvalidInput(str(problem), remedy="Write e.g. 15m and 3d.", fields={"every": payload.every, "again": payload.again}) from problem
    columns = payload.columns.dict() if payload.columns else None
    return Wanted(kind=payload.kind, address=payload.address, password=payload.password, columns=columns, every=every, again=again)


def _told(seen: Look) -> Json:
    return {
        "address": seen.address,
        "rows": seen.rows,
        "found": [{"name": name, "type": type, "is_taken": is_taken} for name, type, is_taken in seen.found],
        "columns": seen.columns.as_json(),
        "problems": [{"field": meaning, "message": what, "remedy": todo} for meaning, what, todo in seen.problems],
    }


def _editable(who: Caller, id: str) -> Any:  # Any: RegisteredModel
    model = queries.model_for(who.who, id)
    queries.require(who.who, Ability.EDIT, model)
    return model
