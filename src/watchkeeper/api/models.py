"""Registered models and what belongs to them."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Header, Query, Router, Status

from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts.rights import Ability, may
from watchkeeper.accounts.services import ensure_unit
from watchkeeper.alerts import flow
from watchkeeper.api import shapes
from watchkeeper.api.auth import Caller, caller, clock
from watchkeeper.api.given import Given
from watchkeeper.api.paging import Paging, page
from watchkeeper.core.errors import NotAllowed, NotFound
from watchkeeper.history.queries import changes
from watchkeeper.ingest import queries as ingest
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.monitoring.queries import BoardFilter
from watchkeeper.monitoring.services import passport_changed
from watchkeeper.registry import queries, services
from watchkeeper.registry.services import Owners, Registration

router = Router(tags=["models"])
Json = dict[str, Any]  # Any: JSON


class OwnersIn(Given):
    """Owners by id, e-mail, or `team:NAME`."""

    business: list[str] = []
    technical: list[str] = []


class MetricIn(Given):
    name: str
    kind: str = "technical"
    direction: str = "none"
    unit: str = ""
    description: str = ""


class Passport(Given):
    """Everything of a passport that may be left out."""

    kind: str | None = None
    purpose: str | None = None
    stage: str | None = None
    problem_type: str | None = None
    tier: int | None = None
    repository_link: str | None = None
    documentation_link: str | None = None
    tags: list[str] | None = None
    custom_fields: dict[str, Any] | None = None  # Any: a company's own fields
    timezone: str | None = None
    window: str | None = None
    expected: dict[str, str] | None = None


class ModelIn(Passport):
    name: str
    unit: str | None = None
    owners: OwnersIn = OwnersIn()
    metrics: list[MetricIn] = []
    data_sources: list[str] = []


class ModelPatch(Passport):
    name: str | None = None
    unit: str | None = None
    reason: str = ""


@router.post("/models", response={201: Json, 200: Json})
def register(request: HttpRequest, payload: ModelIn, idempotency_key: Header[str] = "") -> Status[Json]:
    """Register a model. Only the name is required; the token in the answer is shown once."""
    who, now = caller(request), clock.now()
    person = who.who
    unit = _unit_for(payload.unit, who)
    fields = payload.dict(exclude_none=True, exclude={"name", "unit", "owners", "metrics", "data_sources"})
    owners = _owners(payload.owners)
    if not idempotency_key:
        made, is_new = flow.connect_model(payload.name, unit=unit, actor=who.actor, now=now, fields=fields, owners=owners), True
    else:
        digest = hashlib.sha256(payload.model_dump_json().encode()).hexdigest()
        made, is_new = flow.connect_model_once(
            idempotency_key[:200],
            person=person,
            request_digest=digest,
            name=payload.name,
            unit=unit,
            actor=who.actor,
            now=now,
            fields=fields,
            owners=owners,
        )
    if is_new:
        _add_parts(made, payload, who, now)
    return Status(201 if is_new else 200, shapes.model(made.model) | {"token": made.token.text})


def _unit_for(reference: str | None, who: Caller) -> Any:  # Any: Unit
    """The unit, created where the caller may edit above it; the company when none is given."""
    if not reference:
        unit = accounts.root_unit()
    else:
        try:
            unit = accounts.unit_by(reference)
        except NotFound:
            nearest, missing = accounts.nearest_unit(reference)
            if not may(who.who, Ability.EDIT, nearest):
                raise
            return ensure_unit(missing, actor=who.actor, now=clock.now())
    if not may(who.who, Ability.EDIT, unit):
        raise NotAllowed(f"You may not register models in {unit.name}.", remedy="Ask an administrator of the unit for the role of maintainer.")
    return unit


def _owners(given: OwnersIn) -> Owners:
    return Owners(tuple(map(_owner, given.business)), tuple(map(_owner, given.technical)))


def _owner(reference: str) -> Any:  # Any: Person or Team
    return accounts.team_by(reference.removeprefix("team:")) if reference.startswith("team:") else accounts.person_by(reference)


def _add_parts(made: Registration, payload: ModelIn, who: Caller, now: datetime) -> None:
    for metric in payload.metrics:
        services.declare_metric(made.model, actor=who.actor, now=now, **metric.dict())
    services.link_sources(made.model, addresses=payload.data_sources, actor=who.actor, now=now)
    passport_changed(made.model, now=now)


@router.get("/models")
def list_models(
    request: HttpRequest, paging: Query[Paging], unit: str = "", status: str = "", owner: str = "", q: str = "", stage: str = ""
) -> Json:  # Any: JSON
    chosen = BoardFilter(
        unit=accounts.unit_by(unit) if unit else None,
        light=status,
        owner=accounts.person_by(owner).id if owner else None,
        text=q,
        stage=stage,
    )
    return page(monitoring.board(caller(request).who, chosen), paging, shapes.model_line)


@router.get("/models/{id}")
def show(request: HttpRequest, id: str) -> Json:
    return shapes.model(queries.model_for(caller(request).who, id))


@router.patch("/models/{id}")
def edit(request: HttpRequest, id: str, payload: ModelPatch) -> Json:
    who = caller(request)
    model = _editable(who, id)
    fields = payload.dict(exclude_unset=True, exclude={"reason", "unit"})
    if payload.unit:
        fields["unit"] = _unit_for(payload.unit, who)
    return shapes.model(flow.edit_model(model, fields=fields, actor=who.actor, now=clock.now(), reason=payload.reason))


class Reason(Given):
    reason: str = ""


@router.post("/models/{id}/retire")
def retire(request: HttpRequest, id: str, payload: Reason | None = None) -> Json:
    who = caller(request)
    model = _editable(who, id)
    flow.retire_model(model, actor=who.actor, now=clock.now(), reason=payload.reason if payload else "")
    return shapes.model(model)


@router.post("/models/{id}/restore")
def restore(request: HttpRequest, id: str) -> Json:
    who = caller(request)
    model = _editable(who, id)
    flow.restore_model(model, actor=who.actor, now=clock.now())
    return shapes.model(model)


@router.get("/models/{id}/owners")
def owners(request: HttpRequest, id: str) -> Json:
    return shapes.owners(queries.model_for(caller(request).who, id))


@router.put("/models/{id}/owners")
def replace_owners(request: HttpRequest, id: str, payload: OwnersIn) -> Json:
    """Replace all owners of both sides."""
    who = caller(request)
    model = _editable(who, id)
    flow.set_owners(model, owners=_owners(payload), actor=who.actor, now=clock.now())
    return shapes.owners(model)


@router.get("/models/{id}/versions")
def versions(request: HttpRequest, id: str) -> Json:
    model = queries.model_for(caller(request).who, id)
    return {"items": [shapes.version(version) for version in model.versions.prefetch_related("baselines").order_by("-created_at")]}


@router.get("/models/{id}/metrics")
def metrics(request: HttpRequest, id: str) -> Json:
    model = queries.model_for(caller(request).who, id)
    return {"items": [shapes.metric(metric) for metric in model.metrics.all()]}


@router.post("/models/{id}/metrics", response={201: Json})
def declare_metric(request: HttpRequest, id: str, payload: MetricIn) -> Status[Json]:
    """Declare a metric, or change its declaration."""
    who, now = caller(request), clock.now()
    model = _editable(who, id)
    metric = services.declare_metric(model, actor=who.actor, now=now, **payload.dict())
    passport_changed(model, now=now)
    return Status(201, shapes.metric(metric))


@router.delete("/models/{id}/metrics/{name}", response={204: None})
def remove_metric(request: HttpRequest, id: str, name: str) -> Status[None]:
    who, now = caller(request), clock.now()
    model = _editable(who, id)
    metric = model.metrics.filter(name=name).first()
    if metric is None:
        raise NotFound("No such metric on this model.", remedy="GET /api/v1/models/{id}/metrics lists them.")
    services.remove_metric(metric, actor=who.actor, now=now)
    passport_changed(model, now=now)
    return Status(204, None)


@router.get("/models/{id}/points")
def points(request: HttpRequest, paging: Query[Paging], id: str, name: str, since: datetime) -> Json:
    """Reported values of one metric, oldest first."""
    model = queries.model_for(caller(request).who, id)
    return page(ingest.series(model.id, name=name, since=since), paging, shapes.point)


class SourcesIn(Given):
    addresses: list[str]


@router.get("/models/{id}/sources")
def sources(request: HttpRequest, id: str) -> Json:
    model = queries.model_for(caller(request).who, id)
    return {"items": [shapes.source(source) for source in model.data_sources.order_by("address")]}


@router.post("/models/{id}/sources", response={201: Json})
def link_sources(request: HttpRequest, id: str, payload: SourcesIn) -> Status[Json]:
    who, now = caller(request), clock.now()
    model = _editable(who, id)
    services.link_sources(model, addresses=payload.addresses, actor=who.actor, now=now)
    passport_changed(model, now=now)
    return Status(201, {"items": [shapes.source(source) for source in model.data_sources.order_by("address")]})


@router.delete("/models/{id}/sources/{source_id}", response={204: None})
def unlink_source(request: HttpRequest, id: str, source_id: UUID) -> Status[None]:
    who, now = caller(request), clock.now()
    model = _editable(who, id)
    source = model.data_sources.filter(id=source_id).first()
    if source is None:
        raise NotFound("This model does not use such a source.", remedy="GET /api/v1/models/{id}/sources lists them.")
    services.unlink_source(model, source=source, actor=who.actor, now=now)
    passport_changed(model, now=now)
    return Status(204, None)


@router.get("/models/{id}/quarantine")
def quarantine(request: HttpRequest, paging: Query[Paging], id: str) -> Json:
    """Refused rows with reason and remedy: for those who may edit the model, since rows may hold personal data."""
    model = _editable(caller(request), id)
    return page(ingest.quarantine(model.id), paging, shapes.quarantined)


@router.get("/models/{id}/history")
def history(request: HttpRequest, paging: Query[Paging], id: str) -> Json:
    model = queries.model_for(caller(request).who, id)
    return page(changes(model=model.id), paging, shapes.change)


@router.get("/models/{id}/tokens")
def tokens(request: HttpRequest, id: str) -> Json:
    model = _editable(caller(request), id)
    return {"items": [shapes.token(token) for token in model.tokens.order_by("created_at")]}


@router.post("/models/{id}/tokens", response={201: Json})
def rotate_token(request: HttpRequest, id: str) -> Status[Json]:
    """A second token; the first keeps working until it is revoked."""
    who = caller(request)
    token = services.rotate_token(_editable(who, id), actor=who.actor, now=clock.now())
    return Status(201, {"id": token.id, "token": token.text})


@router.delete("/models/{id}/tokens/{token_id}", response={204: None})
def revoke_token(request: HttpRequest, id: str, token_id: str) -> Status[None]:
    who = caller(request)
    token = _editable(who, id).tokens.filter(id=token_id).first()
    if token is None:
        raise NotFound("No such token on this model.", remedy="GET /api/v1/models/{id}/tokens lists them.")
    services.revoke_token(token, actor=who.actor, now=clock.now())
    return Status(204, None)


@router.get("/sources")
def all_sources(request: HttpRequest, paging: Query[Paging]) -> Json:
    """Data sources of the models one may see, with the number of those that use each."""
    found = queries.data_sources_visible_to(caller(request).who)
    return page(found, paging, lambda source: shapes.source(source) | {"models": getattr(source, "users", 0)})


def _editable(who: Caller, id: str) -> Any:  # Any: RegisteredModel
    model = queries.model_for(who.who, id)
    queries.require(who.who, Ability.EDIT, model)
    return model
