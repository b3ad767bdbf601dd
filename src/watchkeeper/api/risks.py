"""The catalogue of risk types, and policies."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from watchkeeper import risks
from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts.rights import Ability, require
from watchkeeper.api import shapes
from watchkeeper.api.auth import caller, clock
from watchkeeper.api.given import Given
from watchkeeper.monitoring import queries, services
from watchkeeper.risks import RiskType

router = Router(tags=["catalogue"])
Json = dict[str, Any]  # Any: JSON


@router.get("/risk-types")
def risk_types(request: HttpRequest) -> Json:
    caller(request).who  # noqa: B018 - people and services only
    return {"items": [_shown(kind) for kind in risks.catalogue().values()]}


def _shown(kind: RiskType) -> Json:
    return {
        "type": kind.key,
        "title": kind.title,
        "page": kind.page,
        "needs": kind.needs.__name__,
        "kinds": sorted(kind.kinds),
        "problem_types": sorted(kind.problem_types),
        "params": kind.params.model_json_schema(),
        "schedule": dict(kind.defaults.schedule),
        "for": kind.defaults.for_,
        "hold": kind.defaults.hold,
        "criticality": kind.defaults.criticality,
        "in_base_set": kind.defaults.in_base_set,
        "action_plan": list(kind.plan),
    }


class PolicyVersionIn(Given):
    params: dict[str, Any] = {}  # Any: the parameters of the type
    schedule: dict[str, str] | None = None
    criticality: int | None = None
    action_plan: list[str] | None = None


class PolicyIn(PolicyVersionIn):
    name: str
    type: str
    unit: str = ""


@router.get("/policies")
def policies(request: HttpRequest) -> Json:
    return {"items": [shapes.policy(policy) for policy in queries.policies(caller(request).who)]}


@router.post("/policies", response={201: Json})
def create_policy(request: HttpRequest, payload: PolicyIn) -> Status[Json]:
    who = caller(request)
    unit = accounts.unit_by(payload.unit) if payload.unit else accounts.root_unit()
    require(who.who, Ability.GOVERN, unit)
    version = services.create_policy(payload.name, type=payload.type, unit=unit, version=_version(payload), actor=who.actor, now=clock.now())
    return Status(201, shapes.policy(version.policy))


@router.post("/policies/{name}/versions", response={201: Json})
def add_version(request: HttpRequest, name: str, payload: PolicyVersionIn) -> Status[Json]:
    """A new version. Bindings stay on the version they pinned."""
    who = caller(request)
    policy = queries.policy_version(name).policy
    require(who.who, Ability.GOVERN, policy.unit)
    services.add_policy_version(policy, version=_version(payload), actor=who.actor, now=clock.now())
    return Status(201, shapes.policy(policy))


def _version(payload: PolicyVersionIn) -> services.Binding:
    return services.Binding(params=payload.params, schedule=payload.schedule, criticality=payload.criticality, action_plan=payload.action_plan)
