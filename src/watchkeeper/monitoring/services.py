"""Writes of monitoring by people: bind, edit and remove risks, and policies. Each call is one transaction and one Change.

What follows for incidents and alerts is done by alerts.flow, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from watchkeeper import risks
from watchkeeper.accounts.models import Unit
from watchkeeper.core.durations import parse_duration
from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.core.text import Text
from watchkeeper.history.actors import Actor
from watchkeeper.history.services import difference, record
from watchkeeper.monitoring.effective import effective_params
from watchkeeper.monitoring.lights import update_lights
from watchkeeper.monitoring.models import ConditionRow, Policy, PolicyVersion, RiskBinding
from watchkeeper.monitoring.schedules import check_schedule
from watchkeeper.registry.models import EVALUATED_STAGES, RegisteredModel

MOST_BINDINGS = 200
LONGEST_WAIT = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class Binding:
    """What somebody wants bound; None means the default of the policy or the RiskType."""

    type: str = ""
    policy: PolicyVersion | None = None
    params: Mapping[str, Any] | None = None  # Any: JSON
    schedule: Mapping[str, str] | None = None
    for_: timedelta | None = None
    n: int | None = None
    m: int | None = None
    hold: timedelta | None = None
    criticality: int | None = None
    action_plan: Sequence[str] | None = None
    cost_per_day: Decimal | None = None
    not_relevant_reason: str = ""


@transaction.atomic
def bind_risk(model: RegisteredModel, *, wanted: Binding, actor: Actor, now: datetime, rehearsed: Text | None = None) -> RiskBinding:
    """Bind a RiskType or a Policy to a model; it is evaluated at once. The Change says how it was `rehearsed`."""
    fields = checked(model, wanted)
    if model.bindings.filter(removed_at=None).count() >= MOST_BINDINGS:
        raise Conflict(f"{model.name} has {MOST_BINDINGS} risks already.", remedy="Remove one first.")
    due = now if fields["criticality"] and model.stage in EVALUATED_STAGES else None
    binding = RiskBinding.objects.create(model=model, policy_version=wanted.policy, created_at=now, next_due_at=due, **fields)
    after = {"type": binding.type, **_described(binding), **_rehearsed(rehearsed)}
    record(actor=actor, action="bound", on="risk", id=binding.id, model=model.id, now=now, after=after)
    update_lights([model.id], now=now)
    return binding


def checked(model: RegisteredModel, wanted: Binding) -> dict[str, Any]:  # Any: values of fields
    """All fields of what is wanted, its type among them, when it may be bound to the model; otherwise it says why not."""
    kind = risks.get(wanted.policy.policy.type if wanted.policy else wanted.type)
    if not kind.fits(kind=model.kind, problem_type=model.problem_type):
        raise InvalidInput(f"{kind.key} does not fit a {model.kind}.", remedy=f"It fits: {', '.join(sorted(kind.kinds | kind.problem_types))}.")
    effective_params(kind, wanted.policy, wanted.params or {})
    fields = _fields(wanted, kind.key)
    _check_fields(fields)
    return {"type": kind.key, **fields}


def _rehearsed(summary: Text | None) -> dict[str, Any]:  # Any: JSON of the Change
    return {"rehearsed": summary.as_json()} if summary else {}


@transaction.atomic
def bind_base_set(model: RegisteredModel, *, actor: Actor, now: datetime) -> list[RiskBinding]:
    """The base risks that fit the kind of model and are not bound yet."""
    bound = set(model.bindings.filter(removed_at=None).values_list("type", flat=True))
    wanted = [
        kind
        for kind in risks.catalogue().values()
        if kind.defaults.in_base_set and kind.key not in bound and kind.fits(kind=model.kind, problem_type=model.problem_type)
    ]
    return [bind_risk(model, wanted=Binding(type=kind.key), actor=actor, now=now) for kind in wanted]


CLOSING = {"params", "policy_version"}  # editing these closes what is open as "rule changed"; a plan, schedule or channel closes nothing


@transaction.atomic
def edit_binding(
    binding: RiskBinding,
    *,
    fields: Mapping[str, Any],  # Any: values of fields
    actor: Actor,
    now: datetime,
    reason: str = "",
    rehearsed: Text | None = None,
) -> bool:
    """Change a binding; it is evaluated at once. True when the rule itself changed, so that what is open must be closed as "rule changed"."""
    binding.refresh_from_db(from_queryset=RiskBinding.objects.select_for_update())  # another edit, or a worker, may have been faster
    if binding.removed_at:
        raise Conflict("This risk was removed from the model.", remedy="Bind it again.")
    wanted = dict(fields)
    if "params" in wanted or "policy_version" in wanted:
        effective_params(risks.get(binding.type), wanted.get("policy_version", binding.policy_version), wanted.get("params", binding.params))
    merged = {name: wanted.get(name, getattr(binding, name)) for name in ("schedule", "pending_for", "n", "m", "hold", "criticality", "cost_per_day")}
    _check_fields(merged)
    before = _described(binding)
    changed = {name for name, value in wanted.items() if getattr(binding, name) != value}
    for name, value in wanted.items():
        setattr(binding, name, value)
    binding.next_due_at = now if binding.criticality and binding.model.stage in EVALUATED_STAGES else None
    binding.claim, binding.claimed_until = "", None
    binding.save()
    was, became = difference(before, _described(binding))
    if became:
        after = became | _rehearsed(rehearsed)
        record(actor=actor, action="edited", on="risk", id=binding.id, model=binding.model_id, now=now, before=was, after=after, reason=reason)
    return bool(changed & CLOSING) or (binding.criticality == 0 and "criticality" in changed)


@transaction.atomic
def remove_binding(binding: RiskBinding, *, actor: Actor, now: datetime, reason: str = "") -> None:
    binding.removed_at, binding.next_due_at, binding.claim, binding.claimed_until = now, None, "", None
    binding.save(update_fields=["removed_at", "next_due_at", "claim", "claimed_until"])
    record(actor=actor, action="removed", on="risk", id=binding.id, model=binding.model_id, now=now, before=_described(binding), reason=reason)


def _evaluated() -> QuerySet[RiskBinding]:
    """Bindings that are evaluated at all: not removed, not switched off, of a model that is neither paused nor retired."""
    return RiskBinding.objects.filter(removed_at=None, criticality__gt=0, model__stage__in=EVALUATED_STAGES)


def make_due(bindings: QuerySet[RiskBinding], *, now: datetime) -> None:
    """Due now, unless they are overdue already. What a worker is evaluating just now may have read too early: it stays due after that."""
    overdue = Q(next_due_at__lt=now, claimed_until=None)
    RiskBinding.objects.filter(id__in=list(_evaluated().filter(id__in=bindings).exclude(overdue).values_list("id", flat=True))).update(
        next_due_at=now
    )


def reset_conditions(bindings: Sequence[RiskBinding]) -> None:
    """Forget the conditions of bindings whose rule changed or that were closed: the next evaluation starts anew."""
    ConditionRow.objects.filter(binding__in=bindings).delete()


def suspend_bindings(model: RegisteredModel) -> None:
    """A paused or retired model is not evaluated."""
    model.bindings.update(next_due_at=None, claim="", claimed_until=None)


def resume_bindings(model: RegisteredModel, *, now: datetime) -> None:
    make_due(model.bindings.all(), now=now)


def forget_missed() -> None:
    """After a clock was moved: the evaluations it jumped over were not late."""
    RiskBinding.objects.update(missed=0)


def evaluate_soon(models: Mapping[UUID, frozenset[str]], *, now: datetime) -> None:
    """New rows of these streams came: what waits for events, and what is not settled, is due now."""
    for model_id, streams in models.items():
        kinds = [kind.key for kind in risks.catalogue().values() if streams & STREAMS_OF.get(kind.needs.__name__, frozenset())]
        unsettled = ~Q(conditions__state="ok") | Q(conditions__isnull=True) | ~Q(conditions__data="fresh")
        waiting = Q(schedule={"on": "event"}) | (unsettled & Q(m=1))  # n of m counts evaluations: none may be slipped in between
        make_due(RiskBinding.objects.filter(waiting, model=model_id, type__in=kinds), now=now)


ALL_STREAMS = frozenset({"predictions", "labels", "metrics", "events", "training", "heartbeat"})
STREAMS_OF: Mapping[str, frozenset[str]] = {
    "Heartbeats": ALL_STREAMS,
    "MetricHistory": frozenset({"metrics", "training", "predictions"}),
    "Passport": frozenset({"training", "events", "predictions"}),
    "Volumes": frozenset({"predictions"}),
    "Schemas": frozenset({"predictions", "training"}),
    "Events": frozenset({"events"}),
    "Quarantine": ALL_STREAMS,
    "ColumnHistory": frozenset({"profiles"}),
    "MomentHistory": frozenset({"moments"}),
    "OutcomeHistory": frozenset({"outcomes"}),
    "SegmentHistory": frozenset({"outcomes"}),
    "ErrorHistory": frozenset({"outcomes", "relations"}),
}


def passport_changed(model: RegisteredModel, *, now: datetime) -> None:
    """Risks that look at the passport are due at once: an owner added clears its risk within a second."""
    kinds = [kind.key for kind in risks.catalogue().values() if kind.needs.__name__ in ("Passport", "MetricHistory")]
    make_due(model.bindings.filter(type__in=kinds), now=now)


# policies


@transaction.atomic
def create_policy(name: str, *, type: str, unit: Unit, version: Binding, actor: Actor, now: datetime) -> PolicyVersion:
    if Policy.objects.filter(name=name).exists() or "@" in name or not name.strip():
        raise Conflict(f"The policy name {name!r} is taken or not possible.", remedy="Choose another name, without @.")
    kind = risks.get(type)
    policy = Policy.objects.create(name=name, unit=unit, type=kind.key)
    record(actor=actor, action="created", on="policy", id=policy.id, now=now, after={"name": name, "type": kind.key, "unit": unit.id})
    return add_policy_version(policy, version=version, actor=actor, now=now)


@transaction.atomic
def add_policy_version(policy: Policy, *, version: Binding, actor: Actor, now: datetime) -> PolicyVersion:
    """A new version. Bindings stay on the one they pinned."""
    risks.get(policy.type).check_some(version.params or {})
    if version.schedule:
        check_schedule(version.schedule)
    number = policy.versions.count() + 1
    made = PolicyVersion.objects.create(
        policy=policy,
        number=number,
        params=dict(version.params or {}),
        schedule=version.schedule,
        criticality=version.criticality,
        action_plan=version.action_plan,
        created_at=now,
    )
    record(
        actor=actor,
        action="version added",
        on="policy",
        id=policy.id,
        now=now,
        after={"number": number, "params": made.params, "schedule": made.schedule},
    )
    return made


# checks


def _fields(wanted: Binding, key: str) -> dict[str, Any]:  # Any: values of fields
    """All fields of a new binding: its own, else the policy's, else the RiskType's defaults."""
    defaults, policy = risks.get(key).defaults, wanted.policy
    schedule = wanted.schedule or (policy.schedule if policy else None) or dict(defaults.schedule)
    criticality = wanted.criticality
    if criticality is None:
        criticality = policy.criticality if policy and policy.criticality is not None else defaults.criticality
    return {
        "params": dict(wanted.params or {}),
        "schedule": schedule,
        "pending_for": wanted.for_ if wanted.for_ is not None else parse_duration(defaults.for_),
        "n": wanted.n or defaults.n,
        "m": wanted.m or max(defaults.m, wanted.n or 1),
        "hold": wanted.hold if wanted.hold is not None else parse_duration(defaults.hold),
        "criticality": criticality,
        "action_plan": list(wanted.action_plan) if wanted.action_plan is not None else None,
        "cost_per_day": wanted.cost_per_day,
        "not_relevant_reason": wanted.not_relevant_reason,
    }


def _check_fields(fields: Mapping[str, Any]) -> None:  # Any: values of fields
    check_schedule(fields["schedule"])
    if fields["criticality"] not in (0, 1, 2, 3):
        raise InvalidInput(f"Criticality {fields['criticality']} is not possible.", remedy="0 not relevant, 1 low, 2 medium, 3 high.")
    if not 1 <= fields["n"] <= fields["m"] <= 100:
        raise InvalidInput(f"{fields['n']} of {fields['m']} is not possible.", remedy="Write 1 ≤ n ≤ m ≤ 100.")
    for name in ("pending_for", "hold"):
        if not timedelta(0) <= fields[name] <= LONGEST_WAIT:
            raise InvalidInput(f"{fields[name]} is not possible here.", remedy="Write between 0s and 90d.", fields={name: str(fields[name])})
    if fields["cost_per_day"] is not None and not 0 <= fields["cost_per_day"] < 10**12:
        raise InvalidInput("The cost per day is not a sensible amount.", remedy="Write 0 or more, or leave it empty: unknown is an answer too.")


def _described(binding: RiskBinding) -> dict[str, Any]:  # Any: JSON of the Change
    return {
        "params": binding.params,
        "policy": str(binding.policy_version) if binding.policy_version else None,
        "schedule": dict(binding.schedule),
        "for": binding.pending_for,
        "n": binding.n,
        "m": binding.m,
        "hold": binding.hold,
        "criticality": binding.criticality,
        "not_relevant_reason": binding.not_relevant_reason,
        "action_plan": binding.action_plan,
        "cost_per_day": binding.cost_per_day,
    }
