"""What one transaction does across slices: conditions, incidents, lights and notifications are never split.

Workers call `settle`, people's edits of risks and models come through the other functions. Each leaves all four in step or nothing at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from watchkeeper.accounts.models import Person, Unit
from watchkeeper.alerts.services import notify
from watchkeeper.core.faults import crash_point
from watchkeeper.core.text import Text
from watchkeeper.history.actors import Actor
from watchkeeper.incidents import services as incidents
from watchkeeper.incidents.following import follow
from watchkeeper.incidents.models import Incident
from watchkeeper.incidents.news import News
from watchkeeper.incidents.timers import due_news
from watchkeeper.monitoring import evaluation, services
from watchkeeper.monitoring.due import Claim
from watchkeeper.monitoring.evaluation import Evaluation
from watchkeeper.monitoring.lights import update_lights
from watchkeeper.monitoring.models import RiskBinding
from watchkeeper.registry import services as registry
from watchkeeper.registry.models import EVALUATED_STAGES, RegisteredModel, Stage
from watchkeeper.registry.services import Owners, Registration

SUSPENDED = frozenset(Stage) - frozenset(EVALUATED_STAGES)


def settle(claim: Claim, evaluations: Sequence[Evaluation], *, now: datetime) -> int:
    """Store evaluations whose claim is still ours, with everything that follows from them. Returns how many were stored."""
    with transaction.atomic():
        still_ours = evaluation.still_claimed(claim, [e.binding.id for e in evaluations])
        kept = [e for e in evaluations if e.binding.id in still_ours]
        if not kept:  # another worker took over while this one was frozen
            return 0
        transitions = evaluation.store(kept, now=now, due=still_ours)
        news = follow(transitions, now=now)
        update_lights(evaluation.models_to_light(transitions), now=now)
        notify(news, now=now)
        crash_point("evaluate: stored, before commit")
    crash_point("evaluate: stored, after commit")
    return len(kept)


@transaction.atomic
def tell_due(*, now: datetime) -> int:
    """Reminders, escalations and reopenings that are due."""
    return len(notify(due_news(now=now), now=now))


@transaction.atomic
def connect_model(
    name: str,
    *,
    unit: Unit,
    actor: Actor,
    now: datetime,
    fields: Mapping[str, Any],
    owners: Owners,  # Any: values of fields
) -> Registration:
    """Register a model with its base risks: it has a light from the first second."""
    made = registry.register_model(name, unit=unit, actor=actor, now=now, fields=fields, owners=owners)
    services.bind_base_set(made.model, actor=actor, now=now)
    update_lights([made.model.id], now=now)
    return made


@transaction.atomic
def connect_model_once(
    key: str, *, person: Person, request_digest: str, name: str, unit: Unit, actor: Actor, now: datetime, fields: Mapping[str, Any], owners: Owners
) -> tuple[Registration, bool]:
    made, is_new = registry.register_model_once(
        key, person=person, request_digest=request_digest, name=name, unit=unit, actor=actor, now=now, fields=fields, owners=owners
    )
    if is_new:
        services.bind_base_set(made.model, actor=actor, now=now)
        update_lights([made.model.id], now=now)
    return made, is_new


@transaction.atomic
def edit_model(model: RegisteredModel, *, fields: Mapping[str, Any], actor: Actor, now: datetime, reason: str = "") -> RegisteredModel:  # Any: fields
    """Change the passport; pausing suspends its risks, coming back resumes them."""
    was_suspended = model.stage in SUSPENDED
    model = registry.edit_model(model, fields=fields, actor=actor, now=now, reason=reason)
    if model.stage in SUSPENDED and not was_suspended:
        services.suspend_bindings(model)
    elif was_suspended and model.stage not in SUSPENDED:
        services.resume_bindings(model, now=now)
    services.passport_changed(model, now=now)
    update_lights([model.id], now=now)  # its tier may have other cut-offs
    return model


@transaction.atomic
def set_owners(model: RegisteredModel, *, owners: Owners, actor: Actor, now: datetime, reason: str = "") -> None:
    """Replace the owners; the risk that somebody is missing is looked at again at once."""
    registry.set_owners(model, owners=owners, actor=actor, now=now, reason=reason)
    services.passport_changed(model, now=now)


@transaction.atomic
def retire_model(model: RegisteredModel, *, actor: Actor, now: datetime, reason: str = "") -> None:
    registry.retire_model(model, actor=actor, now=now, reason=reason)
    services.suspend_bindings(model)
    _close(list(model.bindings.all()), how=Incident.How.RETIRED, now=now)


@transaction.atomic
def restore_model(model: RegisteredModel, *, actor: Actor, now: datetime) -> None:
    registry.restore_model(model, stage=Stage.PRODUCTION, actor=actor, now=now)
    services.resume_bindings(model, now=now)
    update_lights([model.id], now=now)


@transaction.atomic
def edit_risk(
    binding: RiskBinding,
    *,
    fields: Mapping[str, Any],  # Any: values of fields
    actor: Actor,
    now: datetime,
    reason: str = "",
    rehearsed: Text | None = None,
) -> None:
    """Change a binding. A changed rule closes what is open as "rule changed"; if it still fires, the same incident reopens."""
    if services.edit_binding(binding, fields=fields, actor=actor, now=now, reason=reason, rehearsed=rehearsed):
        _close([binding], how=Incident.How.NOT_RELEVANT if binding.criticality == 0 else Incident.How.RULE_CHANGED, now=now)
    update_lights([binding.model_id], now=now)


@transaction.atomic
def remove_risk(binding: RiskBinding, *, actor: Actor, now: datetime, reason: str = "") -> None:
    services.remove_binding(binding, actor=actor, now=now, reason=reason)
    _close([binding], how=Incident.How.DELETED, now=now)
    update_lights([binding.model_id], now=now)


def _close(bindings: Sequence[RiskBinding], *, how: Incident.How, now: datetime) -> None:
    notify(incidents.close_open(bindings, how=how, now=now), now=now)
    services.reset_conditions(bindings)
    update_lights({binding.model_id for binding in bindings}, now=now)


@transaction.atomic
def resolve_incident(incident: Incident, *, cause: str, reason: str, by: Person, now: datetime) -> News:
    news = incidents.resolve(incident, cause=cause, reason=reason, by=by, now=now)
    notify([news], now=now)
    return news


@transaction.atomic
def assign_incident(incident: Incident, *, to: Person, by: Person, now: datetime) -> News:
    news = incidents.assign(incident, to=to, by=by, now=now)
    notify([news], now=now)
    return news


@transaction.atomic
def evaluate_now(bindings: Collection[UUID], *, now: datetime) -> None:
    """Make bindings due at once: the button "evaluate"."""
    services.make_due(RiskBinding.objects.filter(id__in=bindings), now=now)
