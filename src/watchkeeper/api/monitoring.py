"""The status of a model and its risks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Router, Status

from watchkeeper.accounts.rights import Ability
from watchkeeper.alerts import flow
from watchkeeper.api import shapes
from watchkeeper.api.auth import Caller, caller, clock
from watchkeeper.api.given import Given
from watchkeeper.core.durations import parse_duration
from watchkeeper.core.errors import InvalidInput, NotFound
from watchkeeper.core.text import Text
from watchkeeper.history.services import plain
from watchkeeper.incidents.rehearsing import proven, wanted_as
from watchkeeper.monitoring import evaluation, queries, services
from watchkeeper.registry import queries as registry

router = Router(tags=["risks"])
Json = dict[str, Any]  # Any: JSON


class RiskIn(Given):
    """A risk to bind: a type, or a policy as name@version. What is left out is the default."""

    type: str = ""
    policy: str = ""
    params: dict[str, Any] | None = None  # Any: the parameters of the type
    schedule: dict[str, str] | None = None
    for_: str | int | None = Field(None, alias="for")
    n: int | None = None
    m: int | None = None
    hold: str | int | None = None
    criticality: int | None = None
    not_relevant_reason: str = ""
    action_plan: list[str] | None = None
    cost_per_day: Decimal | None = None
    rehearsal: str = Field("", description="The receipt of a rehearsal of just this: its numbers go into the history of changes.")


class RiskPatch(RiskIn):
    reason: str = ""


@router.get("/models/{id}/status", response=Json)
def status(request: HttpRequest, id: str, at: datetime | None = None) -> Json:
    """The light with its causes; with `at`, as it was then."""
    model = _readable(caller(request), id)
    if at is not None:
        return _past_status(model, at)
    light = queries.light_of(model.id)
    bound = queries.bound_risks(model.id)
    return {
        "status": light.light if light else "grey",
        "score": light.score if light else 0,
        "since": plain(light.since) if light else None,
        "known": light.known if light else 0,
        "total": light.total if light else 0,
        "risks": [shapes.risk(risk) for risk in bound],
    }


def _past_status(model: Any, at: datetime) -> Json:  # Any: RegisteredModel
    if at.tzinfo is None:
        raise InvalidInput("The time has no zone.", remedy="Write e.g. 2026-05-03T12:00:00Z.", fields={"at": "zone"})
    change = queries.light_at(model.id, at)
    if change is None:
        raise NotFound(f"{model.name} had no light yet at {at.isoformat()}.", remedy="Ask for a time after it was registered.")
    causes = [cause | {"explanation": shapes.text(cause["explanation"])} for cause in change.causes]
    return {"status": change.light, "score": change.score, "since": plain(change.at), "risks": causes}


def _readable(who: Caller, id: str) -> Any:  # Any: RegisteredModel
    """A person's model, or a token's own: `authenticate` let no other through."""
    return registry.model_of_token(who.model) if who.model else registry.model_for(who.who, id)


@router.post("/models/{id}/risks", response={201: Json})
def bind(request: HttpRequest, id: str, payload: RiskIn) -> Status[Json]:
    who = caller(request)
    model = editable(who, id)
    wanted = wanted_of(payload)
    rehearsed = _proven(payload.rehearsal, model, wanted)
    binding = services.bind_risk(model, wanted=wanted, actor=who.actor, now=clock.now(), rehearsed=rehearsed)
    return Status(201, _shown(model.id, binding.id))


def wanted_of(payload: RiskIn) -> services.Binding:
    if bool(payload.type) == bool(payload.policy):
        raise InvalidInput("Give a type or a policy.", remedy="GET /api/v1/risk-types and /api/v1/policies list them.")
    return services.Binding(
        type=payload.type,
        policy=queries.policy_version(payload.policy) if payload.policy else None,
        params=payload.params,
        schedule=payload.schedule,
        for_=_duration("for", payload.for_),
        n=payload.n,
        m=payload.m,
        hold=_duration("hold", payload.hold),
        criticality=payload.criticality,
        action_plan=payload.action_plan,
        cost_per_day=payload.cost_per_day,
        not_relevant_reason=payload.not_relevant_reason,
    )


def _proven(receipt: str, model: Any, wanted: services.Binding) -> Text | None:  # Any: RegisteredModel
    found = proven(receipt, model, wanted) if receipt else None
    if receipt and found is None:
        raise InvalidInput(
            "This receipt is not of a rehearsal of just this rule.",
            remedy="Rehearse what you save, within four hours, or leave the receipt out.",
            fields={"rehearsal": "another rule"},
        )
    return found


@router.get("/models/{id}/risks/{risk_id}")
def show(request: HttpRequest, id: str, risk_id: str) -> Json:
    model = registry.model_for(caller(request).who, id)
    return _shown(model.id, queries.binding_of(model, risk_id).id)


@router.patch("/models/{id}/risks/{risk_id}")
def edit(request: HttpRequest, id: str, risk_id: str, payload: RiskPatch) -> Json:
    who = caller(request)
    model = editable(who, id)
    binding = queries.binding_of(model, risk_id)
    fields = _changed(payload)
    rehearsed = _proven(payload.rehearsal, model, changed_to(binding, payload))
    flow.edit_risk(binding, fields=fields, actor=who.actor, now=clock.now(), reason=payload.reason, rehearsed=rehearsed)
    return _shown(model.id, binding.id)


def changed_to(binding: Any, payload: RiskIn) -> services.Binding:  # Any: RiskBinding
    """The binding as it would be with the changes given."""
    names = {"policy_version": "policy", "pending_for": "for_"}
    return wanted_as(binding, **{names.get(name, name): value for name, value in _changed(payload).items()})


def _changed(payload: RiskIn) -> Mapping[str, Any]:  # Any: values of fields
    given = payload.dict(exclude_unset=True, exclude={"reason", "type", "policy", "for_", "hold", "rehearsal", "days"})
    nulls = sorted(name for name, value in given.items() if value is None and name not in ("action_plan", "cost_per_day"))
    if nulls or payload.type:
        raise InvalidInput(
            f"{', '.join(nulls) or 'type'} cannot be changed to this.", remedy="Leave a field out to keep it; bind another risk for another type."
        )
    if payload.policy:
        given["policy_version"] = queries.policy_version(payload.policy)
    if payload.for_ is not None:
        given["pending_for"] = _duration("for", payload.for_)
    if payload.hold is not None:
        given["hold"] = _duration("hold", payload.hold)
    return given


@router.delete("/models/{id}/risks/{risk_id}", response={204: None})
def remove(request: HttpRequest, id: str, risk_id: str, reason: str = "") -> Status[None]:
    who = caller(request)
    flow.remove_risk(queries.binding_of(editable(who, id), risk_id), actor=who.actor, now=clock.now(), reason=reason)
    return Status(204, None)


@router.post("/models/{id}/risks/{risk_id}/evaluate", response={202: Json})
def evaluate(request: HttpRequest, id: str, risk_id: str, dry_run: bool = False) -> Status[Json]:
    """Evaluate now. With `dry_run` the finding is in the answer and nothing is written; else a worker does it within a second."""
    binding = queries.binding_of(editable(caller(request), id), risk_id)
    if not dry_run:
        flow.evaluate_now([binding.id], now=clock.now())
        return Status(202, {"due": plain(clock.now())})
    found = evaluation.dry_run(binding.id, now=clock.now())
    findings = [
        {"segment": f.segment, "outcome": f.outcome, "value": f.value, "limit": f.limit, "explanation": f.explanation.render()}
        for f in found.findings
    ]
    return Status(202, {"findings": findings, "error": found.error})


def editable(who: Caller, id: str) -> Any:  # Any: RegisteredModel
    model = registry.model_for(who.who, id)
    registry.require(who.who, Ability.EDIT, model)
    return model


def _shown(model: UUID, binding: UUID) -> Json:
    return next(shapes.risk(risk) for risk in queries.bound_risks(model) if risk.binding.id == binding)


def _duration(name: str, given: str | int | None) -> Any:  # Any: timedelta or None
    if given is None:
        return None
    try:
        return parse_duration(given)
    except (ValueError, OverflowError) as problem:
        raise InvalidInput(str(problem), remedy="Write e.g. 90s, 10m, 2h, 7d.", fields={name: "duration"}) from problem
