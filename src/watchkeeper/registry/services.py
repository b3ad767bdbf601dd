"""Writes of the registry. Each call is one transaction and leaves a Change with its actor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from django.db import transaction

from watchkeeper.accounts.models import Person, Team, Unit
from watchkeeper.accounts.tokens import Token, make_token
from watchkeeper.core.durations import parse_duration
from watchkeeper.core.errors import Conflict, Gone, InvalidInput
from watchkeeper.history.actors import Actor
from watchkeeper.history.services import difference, record
from watchkeeper.registry import queries
from watchkeeper.registry.addresses import canonical_address
from watchkeeper.registry.models import (
    ApiReply,
    Baseline,
    DataSource,
    IntegrationToken,
    Kind,
    LinkCheck,
    Metric,
    ModelVersion,
    Ownership,
    ProblemType,
    RegisteredModel,
    Stage,
    Stakeholder,
    Tier,
    Window,
)

SCOPES = ("ingest", "status:read", "controls:read")
EDITABLE = (
    "name",
    "kind",
    "purpose",
    "stage",
    "problem_type",
    "tier",
    "repository_link",
    "documentation_link",
    "tags",
    "custom_fields",
    "timezone",
    "window",
    "expected",
)
Fields = Mapping[str, Any]  # Any: values of different fields, checked by `_check_fields`


@dataclass(frozen=True)
class Owners:
    """Owners to set: people and teams of both sides."""

    business: tuple[Person | Team, ...] = ()
    technical: tuple[Person | Team, ...] = ()


@dataclass(frozen=True)
class Registration:
    """A new model and its first token, whose text is seen only now."""

    model: RegisteredModel
    token: Token


@transaction.atomic
def register_model(name: str, *, unit: Unit, actor: Actor, now: datetime, fields: Fields | None = None, owners: Owners | None = None) -> Registration:
    """Register with a name only; what is missing becomes a visible gap, never a refusal."""
    wanted = dict(fields or {}) | {"name": name.strip()}
    _check_fields(wanted)
    _refuse_same_name(unit, wanted["name"])
    model = RegisteredModel.objects.create(unit=unit, created_at=now, **wanted)
    record(actor=actor, action="registered", on="model", id=model.id, model=model.id, now=now, after=wanted | {"unit": unit.id})
    if owners and (owners.business or owners.technical):
        set_owners(model, owners=owners, actor=actor, now=now)
    return Registration(model, _issue_token(model, actor=actor, now=now))


@transaction.atomic
def register_model_once(
    key: str, *, person: Person, request_digest: str, name: str, unit: Unit, actor: Actor, now: datetime, fields: Fields, owners: Owners
) -> tuple[Registration, bool]:
    """Registration with an idempotency key: a repeat gives the same model and, as the first token's text is not kept, a fresh token in its place."""
    earlier = ApiReply.objects.select_related("model").filter(person=person, key=key).first()
    if earlier is None:
        made = register_model(name, unit=unit, actor=actor, now=now, fields=fields, owners=owners)
        ApiReply.objects.create(person=person, key=key, request_digest=request_digest, model=made.model, created_at=now)
        return made, True
    if earlier.request_digest != request_digest:
        raise Conflict("This Idempotency-Key was used with another content.", remedy="Send a new key with a new request.")
    unused = earlier.model.tokens.filter(last_used_at=None, revoked_at=None).order_by("created_at").first()
    if unused:
        revoke_token(unused, actor=actor, now=now, reason="its text was lost with the first answer")
    return Registration(earlier.model, rotate_token(earlier.model, actor=actor, now=now)), False


@transaction.atomic
def edit_model(model: RegisteredModel, *, fields: Fields, actor: Actor, now: datetime, reason: str = "") -> RegisteredModel:
    """Change any of the base fields, and move to another unit with `unit`."""
    _refuse_retired(model)
    wanted = dict(fields)
    unit = wanted.pop("unit", model.unit)
    _check_fields(wanted)
    if unit != model.unit or wanted.get("name", model.name) != model.name:
        _refuse_same_name(unit, wanted.get("name", model.name))
    before = {name: getattr(model, name) for name in wanted} | {"unit": model.unit_id}
    for name, value in wanted.items():
        setattr(model, name, value)
    model.unit = unit
    model.save()
    was, became = difference(before, wanted | {"unit": unit.id})
    if became:
        record(actor=actor, action="edited", on="model", id=model.id, model=model.id, now=now, before=was, after=became, reason=reason)
    return model


@transaction.atomic
def retire_model(model: RegisteredModel, *, actor: Actor, now: datetime, reason: str = "") -> None:
    _refuse_retired(model)
    before, model.stage, model.retired_at = model.stage, Stage.RETIRED, now
    model.save(update_fields=["stage", "retired_at"])
    record(
        actor=actor,
        action="retired",
        on="model",
        id=model.id,
        model=model.id,
        now=now,
        before={"stage": before},
        after={"stage": "retired"},
        reason=reason,
    )


@transaction.atomic
def restore_model(model: RegisteredModel, *, stage: Stage, actor: Actor, now: datetime) -> None:
    model.stage, model.retired_at = stage, None
    model.save(update_fields=["stage", "retired_at"])
    record(actor=actor, action="restored", on="model", id=model.id, model=model.id, now=now, before={"stage": "retired"}, after={"stage": stage})


# owners


@transaction.atomic
def set_owners(model: RegisteredModel, *, owners: Owners, actor: Actor, now: datetime, reason: str = "") -> None:
    """Replace all owners of both sides in one call."""
    inactive = [str(owner) for owner in owners.business + owners.technical if isinstance(owner, Person) and not owner.is_active]
    if inactive:
        raise InvalidInput(f"{', '.join(inactive)} no longer works here.", remedy="Name active people or teams.")
    before = _owners_json(model)
    model.ownerships.all().delete()
    Ownership.objects.bulk_create(
        Ownership(model=model, side=side, person=owner if isinstance(owner, Person) else None, team=owner if isinstance(owner, Team) else None)
        for side, chosen in ((Ownership.Side.BUSINESS, owners.business), (Ownership.Side.TECHNICAL, owners.technical))
        for owner in dict.fromkeys(chosen)
    )
    was, became = difference(before, _owners_json(model))
    if became:
        record(actor=actor, action="owners set", on="model", id=model.id, model=model.id, now=now, before=was, after=became, reason=reason)


def _owners_json(model: RegisteredModel) -> dict[str, list[str]]:
    sides: dict[str, list[str]] = {"business": [], "technical": []}
    for ownership in model.ownerships.order_by("id"):
        sides[ownership.side].append(f"person:{ownership.person_id}" if ownership.person_id else f"team:{ownership.team_id}")
    return sides


@transaction.atomic
def deactivate_person(person: Person, *, successor: Person | None, actor: Actor, now: datetime, reason: str = "") -> int:
    """Deactivate somebody who left. Their ownerships move to the successor; a sole owner cannot go without one. Returns the number of models moved."""
    alone = queries.models_owned_alone(person)
    if alone and successor is None:
        names = ", ".join(model.name for model in alone[:5])
        raise Conflict(
            f"{person} is the only owner of {len(alone)} models: {names}{' …' if len(alone) > 5 else ''}.",
            remedy="Name a successor: their models move over in the same step.",
            extra={"models": [str(model.id) for model in alone]},
        )
    if successor and (not successor.is_active or successor == person):
        raise InvalidInput("The successor must be another, active person.", remedy="Choose somebody who works here.")
    owned = list(RegisteredModel.objects.filter(ownerships__person=person).distinct())
    for model in owned:
        _replace_owner(model, person, successor, actor=actor, now=now, reason=reason or "left")
    person.is_active = False
    person.save(update_fields=["is_active"])
    record(actor=actor, action="deactivated", on="person", id=person.id, now=now, after={"successor": successor and successor.id}, reason=reason)
    return len(owned)


def _replace_owner(model: RegisteredModel, old: Person, new: Person | None, *, actor: Actor, now: datetime, reason: str) -> None:
    sides: dict[str, list[Person | Team]] = {"business": [], "technical": []}
    for ownership in model.ownerships.select_related("person", "team").order_by("id"):
        owner = ownership.person or ownership.team
        owner = new if owner == old else owner
        if owner and not (isinstance(owner, Person) and not owner.is_active):
            sides[ownership.side].append(owner)
    set_owners(model, owners=Owners(tuple(sides["business"]), tuple(sides["technical"])), actor=actor, now=now, reason=reason)


@transaction.atomic
def set_stakeholders(model: RegisteredModel, *, stakeholders: Sequence[Mapping[str, str]], actor: Actor, now: datetime) -> None:
    before = [f"{entry.name}: {entry.role}" for entry in model.stakeholders.order_by("id")]
    model.stakeholders.all().delete()
    Stakeholder.objects.bulk_create(Stakeholder(model=model, name=entry["name"], role=entry.get("role", "")) for entry in stakeholders)
    after = [f"{entry['name']}: {entry.get('role', '')}" for entry in stakeholders]
    if before != after:
        record(
            actor=actor,
            action="edited",
            on="model",
            id=model.id,
            model=model.id,
            now=now,
            before={"stakeholders": before},
            after={"stakeholders": after},
        )


# metrics, sources


@transaction.atomic
def declare_metric(model: RegisteredModel, *, actor: Actor, now: datetime, name: str, **fields: str) -> Metric:
    """Declare a metric, or change its declaration."""
    _check_choices({"kind": (fields.get("kind", "technical"), Metric.Kind), "direction": (fields.get("direction", "none"), Metric.Direction)})
    metric = Metric.objects.filter(model=model, name=name).first() or Metric(model=model, name=name, position=model.metrics.count())
    before = {key: getattr(metric, key) for key in fields} if metric.pk else None
    for key, value in fields.items():
        setattr(metric, key, value)
    metric.save()
    if before is None:
        record(actor=actor, action="added", on="metric", id=metric.id, model=model.id, now=now, after={"name": name, **fields})
    elif before != fields:
        was, became = difference(before, fields)
        record(actor=actor, action="edited", on="metric", id=metric.id, model=model.id, now=now, before=was, after=became)
    return metric


@transaction.atomic
def remove_metric(metric: Metric, *, actor: Actor, now: datetime, reason: str = "") -> None:
    record(
        actor=actor,
        action="removed",
        on="metric",
        id=metric.id,
        model=metric.model_id,
        now=now,
        before={"name": metric.name, "kind": metric.kind},
        reason=reason,
    )
    metric.delete()


@transaction.atomic
def link_sources(model: RegisteredModel, *, addresses: Iterable[str], actor: Actor, now: datetime) -> list[DataSource]:
    """Add data sources by address; one that exists under any spelling is shared, not duplicated."""
    linked = set(model.data_sources.values_list("address", flat=True))
    added = []
    for address in dict.fromkeys(canonical_address(given) for given in addresses):
        if address in linked:
            continue
        source, is_new = DataSource.objects.get_or_create(address=address, defaults={"created_at": now})
        if is_new:
            record(actor=actor, action="created", on="source", id=source.id, now=now, after={"address": address})
        model.data_sources.add(source)
        record(actor=actor, action="source added", on="model", id=model.id, model=model.id, now=now, after={"source": address})
        added.append(source)
    return added


@transaction.atomic
def unlink_source(model: RegisteredModel, *, source: DataSource, actor: Actor, now: datetime, reason: str = "") -> None:
    model.data_sources.remove(source)
    record(actor=actor, action="source removed", on="model", id=model.id, model=model.id, now=now, before={"source": source.address}, reason=reason)


# tokens


@transaction.atomic
def rotate_token(model: RegisteredModel, *, actor: Actor, now: datetime) -> Token:
    """A second token beside the first, so that clients change over without a gap. At most two are active."""
    _refuse_retired(model)
    if model.tokens.filter(revoked_at=None).count() >= 2:
        raise Conflict("This model has two active tokens already.", remedy="Revoke the old one when no client uses it any more, then rotate again.")
    return _issue_token(model, actor=actor, now=now)


@transaction.atomic
def revoke_token(token: IntegrationToken, *, actor: Actor, now: datetime, reason: str = "") -> None:
    if IntegrationToken.objects.filter(id=token.id, revoked_at=None).update(revoked_at=now):
        record(actor=actor, action="revoked", on="token", id=token.id, model=token.model_id, now=now, reason=reason)


def _issue_token(model: RegisteredModel, *, actor: Actor, now: datetime) -> Token:
    token = make_token("wk")
    IntegrationToken.objects.create(id=token.id, model=model, digest=token.digest, scopes=list(SCOPES), created_at=now)
    record(actor=actor, action="issued", on="token", id=token.id, model=model.id, now=now, after={"scopes": list(SCOPES)})
    return token


def touch_tokens(ids: Iterable[str], *, now: datetime) -> None:
    """Remember the last use. A reading mark, not a change of configuration."""
    IntegrationToken.objects.filter(id__in=list(ids)).update(last_used_at=now)


# versions


@dataclass(frozen=True)
class Training:
    """What a training said about itself."""

    version: str
    trained_at: datetime
    schema: Mapping[str, str] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    importances: Mapping[str, float] = field(default_factory=dict)
    data_sources: tuple[str, ...] = ()
    reference_rows: int = 0
    reference_path: str = ""
    validation_rows: int = 0


@transaction.atomic
def log_training(model: RegisteredModel, *, training: Training, actor: Actor, now: datetime) -> ModelVersion:
    """A training makes a candidate version with its training baseline; a repeat updates both."""
    version, is_new = ModelVersion.objects.get_or_create(model=model, name=training.version, defaults={"created_at": now})
    version.trained_at = training.trained_at
    version.save(update_fields=["trained_at"])
    last = Baseline.objects.filter(version__model=model, role=Baseline.Role.TRAINING).exclude(version=version).order_by("-created_at").first()
    inherits = training.schema is None and last is not None
    Baseline.objects.update_or_create(
        version=version,
        role=Baseline.Role.TRAINING,
        defaults={
            "schema": last.schema if inherits and last else training.schema,
            "metrics": dict(training.metrics),
            "importances": dict(training.importances),
            "reference_rows": training.reference_rows,
            "reference_path": training.reference_path,
            "inherited_from": last if inherits else None,
            "created_at": now,
        },
    )
    if not training.validation_rows:
        version.baselines.filter(role=Baseline.Role.VALIDATION).delete()  # they were those of the training before
    else:
        Baseline.objects.update_or_create(
            version=version, role=Baseline.Role.VALIDATION, defaults={"reference_rows": training.validation_rows, "created_at": now}
        )
    record(
        actor=actor,
        action="trained" if is_new else "trained again",
        on="version",
        id=version.id,
        model=model.id,
        now=now,
        after={
            "name": version.name,
            "trained_at": training.trained_at,
            "metrics": dict(training.metrics),
            "reference_rows": training.reference_rows,
            "validation_rows": training.validation_rows,
        },
    )
    link_sources(model, addresses=training.data_sources, actor=actor, now=now)
    return version


@transaction.atomic
def deploy_version(model: RegisteredModel, *, name: str, actor: Actor, now: datetime, alone: bool = True) -> ModelVersion:
    """Make a version current: by a `deployed` event (alone), or by its first prediction when none is current."""
    version, _ = ModelVersion.objects.get_or_create(model=model, name=name, defaults={"created_at": now})
    before = list(model.versions.filter(is_current=True).values_list("name", flat=True))
    if alone:
        model.versions.exclude(id=version.id).update(is_current=False)
    version.is_current, version.deployed_at = True, now
    version.save(update_fields=["is_current", "deployed_at"])
    record(actor=actor, action="deployed", on="version", id=version.id, model=model.id, now=now, before={"current": before}, after={"current": name})
    return version


def save_link_check(model_id: UUID, *, link: str, url: str, failure: str, now: datetime) -> None:
    """The outcome of one link check; `failure` empty when it answered. Evidence, not a Change."""
    earlier = LinkCheck.objects.filter(model_id=model_id, field=link).first()
    failing_since = None
    if failure:
        failing_since = earlier.failing_since if earlier and earlier.url == url and earlier.failing_since else now
    LinkCheck.objects.update_or_create(
        model_id=model_id, field=link, defaults={"url": url, "checked_at": now, "failing_since": failing_since, "failure": failure[:300]}
    )


# checks


def _refuse_retired(model: RegisteredModel) -> None:
    if model.stage == Stage.RETIRED:
        raise Gone(f"{model.name} is retired.", remedy="Restore it first, if it came back to life.")


def _refuse_same_name(unit: Unit, name: str) -> None:
    existing = RegisteredModel.objects.filter(unit=unit, name=name).first()
    if existing:
        raise Conflict(
            f"{unit.name} already has a model {name!r}.", remedy="Use the existing model, or choose another name.", extra={"id": str(existing.id)}
        )


def _check_fields(fields: Fields) -> None:
    unknown = sorted(set(fields) - set(EDITABLE))
    if unknown:
        raise InvalidInput(f"Unknown fields: {', '.join(unknown)}.", remedy=f"Known: {', '.join(EDITABLE)}.")
    empty = sorted(name for name, value in fields.items() if value is None and name != "expected")
    if empty:
        raise InvalidInput(
            f"Without a value: {', '.join(empty)}.", remedy="Leave the field out, or give a value.", fields=dict.fromkeys(empty, "required")
        )
    if fields.get("tier", Tier.FIRST) not in Tier.values:
        raise InvalidInput(f"Tier {fields['tier']} is not possible.", remedy="1 is the most important, 3 the least.", fields={"tier": "1-3"})
    if "name" in fields and not 0 < len(fields["name"]) <= 200:
        raise InvalidInput("A model needs a name of 1 to 200 characters.", remedy="Give it a name people will recognise.", fields={"name": "1-200"})
    choices = {"kind": Kind, "stage": Stage, "problem_type": ProblemType, "window": Window}
    _check_choices({name: (fields[name], choices[name]) for name in choices if name in fields})
    for name in ("repository_link", "documentation_link"):
        _check_link(name, fields.get(name, ""))
    if "timezone" in fields:
        _check_zone(fields["timezone"])
    if fields.get("expected"):
        check_timetable(fields["expected"])


def _check_choices(chosen: Mapping[str, tuple[str, Any]]) -> None:  # Any: one of the TextChoices classes
    for name, (value, choices) in chosen.items():
        if value not in choices.values:
            raise InvalidInput(
                f"{name} {value!r} is not possible.", remedy=f"One of: {', '.join(filter(None, choices.values))}.", fields={name: value}
            )


def _check_link(name: str, link: str) -> None:
    if link and (urlsplit(link).scheme not in ("http", "https") or not urlsplit(link).hostname or len(link) > 1000):
        raise InvalidInput(f"{name} {link!r} is not a web address.", remedy="Write it with http:// or https://.", fields={name: link})


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as problem:
        raise InvalidInput(f"No time zone {name!r}.", remedy="Write an IANA name, e.g. Europe/Berlin.", fields={"timezone": name}) from problem


def check_timetable(expected: Fields) -> None:
    """`{"cron": "0 6 * * *", "timezone": "Europe/Berlin", "grace": "2h"}`."""
    try:
        CronSim(str(expected.get("cron", "")), datetime(2026, 1, 1, tzinfo=UTC))
        grace = parse_duration(expected.get("grace", "1h"))
    except (CronSimError, ValueError) as problem:
        raise InvalidInput(
            f"The timetable {dict(expected)} is wrong: {problem}",
            remedy='Write e.g. {"cron": "0 6 * * *", "timezone": "Europe/Berlin", "grace": "2h"}.',
        ) from problem
    if grace < timedelta(0):
        raise InvalidInput("The grace is negative.", remedy="Write how late a run may be, e.g. 2h.")
    _check_zone(expected.get("timezone", "UTC"))
