"""Places of a company that are watched: registered, looked at before they are saved, removed. Their rows are taken by `taking`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pyarrow as pa
from django.db import transaction
from django.db.models import QuerySet

from watchkeeper.channels import OutgoingPolicy, permitted_addresses
from watchkeeper.core.errors import Conflict, Gone, InvalidInput, NotFound
from watchkeeper.core.evidence import Link
from watchkeeper.core.secrets import decrypt, encrypt
from watchkeeper.core.settings import settings
from watchkeeper.history.actors import Actor
from watchkeeper.history.bulk import prepared_objects
from watchkeeper.history.services import record
from watchkeeper.ingest.models import WatchedPlace
from watchkeeper.registry.models import RegisteredModel, Stage
from watchkeeper.telemetry import mapping, places
from watchkeeper.telemetry.arrow import kind_of
from watchkeeper.telemetry.mapping import Columns
from watchkeeper.telemetry.places import Access, CannotWatch, Place

EVERY, AGAIN = timedelta(minutes=15), timedelta(days=3)
LEAST_EVERY, MOST_AGAIN = timedelta(minutes=1), timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a person asks to be watched. Without `columns` they are guessed."""

    kind: str
    address: str
    password: str = ""
    columns: dict[str, Any] | None = None  # Any: JSON of Columns
    every: timedelta = EVERY
    again: timedelta = AGAIN


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was found at a place. `found` has name, type as it is there, and whether it can be taken. `problems`: meaning, what is wrong, what to do."""

    address: str
    rows: int
    found: tuple[tuple[str, str, bool], ...]
    columns: Columns
    problems: tuple[tuple[str, str, str], ...]


def look(wanted: Wanted) -> Look:
    """Open the place and say what is there; writes nothing. Raises CannotWatch, InvalidInput."""
    address = places.get(wanted.kind).canonical(wanted.address)
    place = _open(wanted.kind, address, wanted.password)
    try:
        schema = place.schema()
        columns = _columns(wanted.columns) if wanted.columns else mapping.guess(schema)
        return Look(address=address, rows=place.count(), found=_found(schema), columns=columns, problems=tuple(mapping.problems(columns, schema)))
    finally:
        place.close()


def watch_place(model: RegisteredModel, *, wanted: Wanted, actor: Actor, now: datetime) -> WatchedPlace:
    """Register a place after a look at it. Its rows are taken from the next round of the worker on."""
    if model.stage == Stage.RETIRED:
        raise Gone(f"{model.name} is retired.", remedy="Restore it first, if it came back to life.")
    _check_times(wanted)
    seen = look(wanted)
    if seen.problems:
        raise InvalidInput(
            " ".join(what for _, what, _ in seen.problems), remedy=" ".join(dict.fromkeys(todo for *_, todo in seen.problems)),
            fields={meaning: what for meaning, what, _ in seen.problems},
        )  # fmt: skip
    with transaction.atomic():
        if WatchedPlace.objects.filter(model=model, kind=wanted.kind, address=seen.address).exists():
            raise Conflict(f"{seen.address} is watched for this model already.", remedy="Stop watching it first, to name other columns.")
        place = WatchedPlace.objects.create(
            model=model,
            kind=wanted.kind,
            address=seen.address,
            password=encrypt({"password": wanted.password}) if wanted.password else "",
            columns=seen.columns.as_json(),
            every=wanted.every,
            again=wanted.again,
            created_at=now,
            next_look_at=now,
        )
        record(actor=actor, action="place watched", on="model", id=model.id, model=model.id, now=now, after=_told(place))
    return place


@transaction.atomic
def stop_watching(place: WatchedPlace, *, actor: Actor, now: datetime, reason: str = "") -> None:
    """Nothing more is taken; what was taken stays."""
    told, model = _told(place), place.model
    place.delete()
    record(actor=actor, action="place no longer watched", on="model", id=model.id, model=model.id, now=now, before=told, reason=reason)


def look_soon(place: WatchedPlace, *, now: datetime) -> None:
    """In the next round of the worker."""
    WatchedPlace.objects.filter(id=place.id).update(next_look_at=now)


def watched_places(model: RegisteredModel) -> QuerySet[WatchedPlace]:
    return WatchedPlace.objects.filter(model=model).order_by("created_at")


def place_of(model: RegisteredModel, id: UUID) -> WatchedPlace:
    found = WatchedPlace.objects.filter(model=model, id=id).select_related("model").first()
    if found is None:
        raise NotFound("This model watches no such place.", remedy="GET /api/v1/models/{id}/places lists them.")
    return found


def place_links(models: Collection[UUID]) -> dict[UUID, list[Link]]:
    """Watched places as links of the passport, for the risk that says when one is gone. Named by address: a model may have several."""
    found: dict[UUID, list[Link]] = {}
    for place in _watched(models):
        link = Link(name=place.kind, url=place.address, checked_at=place.looked_at, failing_since=place.failing_since, failure=place.failure)
        found.setdefault(place.model_id, []).append(link)
    return found


@prepared_objects
def _watched(models: Collection[UUID]) -> QuerySet[WatchedPlace]:
    return WatchedPlace.objects.filter(model__among=models).order_by("created_at")


def open_watched(place: WatchedPlace) -> Place:
    return _open(place.kind, place.address, str(decrypt(place.password)["password"]) if place.password else "")


def _open(kind: str, address: str, password: str) -> Place:
    roots = [root.strip() for root in settings().watch_roots.split(",") if root.strip()]
    parts = urlsplit(address)
    hostaddr = _checked(parts.hostname, parts.port or 5432) if parts.hostname else ""
    return places.get(kind).open_place(address, Access(roots=roots, password=password, hostaddr=hostaddr))


def _checked(host: str, port: int) -> str:
    """The address that is called is the one that was checked: no second look-up."""
    try:
        permitted = permitted_addresses(host, port, OutgoingPolicy.parse(settings().outgoing_allow))
    except OSError as problem:
        raise CannotWatch(f"The host {host} is not known.", remedy="Look at its name.") from problem
    if not permitted:
        raise CannotWatch(f"{host} is not on the internet.", remedy="Ask the administrator to add it to WATCHKEEPER_OUTGOING_ALLOW.")
    return permitted[0]


def _columns(given: dict[str, Any]) -> Columns:  # Any: JSON
    try:
        return Columns.from_json(given)
    except TypeError as problem:
        raise InvalidInput("The columns lack the id.", remedy='Write {"id": …, "timestamp": …, "score": …}.', fields={"columns": "id"}) from problem


def _check_times(wanted: Wanted) -> None:
    if wanted.every < LEAST_EVERY or not timedelta(0) <= wanted.again <= MOST_AGAIN:
        raise InvalidInput(
            "Once a minute at most, and at most 90 days back.", remedy="Write e.g. 15m and 3d.", fields={"every": "1m", "again": "90d"}
        )


def _found(schema: pa.Schema) -> tuple[tuple[str, str, bool], ...]:
    return tuple((field.name, str(field.type), kind_of(field.type) in mapping.TAKEN) for field in schema)


def _told(place: WatchedPlace) -> dict[str, Any]:  # Any: JSON
    """All but the password."""
    named = {name: value for name, value in place.columns.items() if value}
    return {"kind": place.kind, "address": place.address, "columns": named, "every": place.every, "again": place.again}
