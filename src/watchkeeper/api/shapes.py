"""What the REST interface answers: one function per kind of object. The fields are public: extend, do not rename."""

from __future__ import annotations

from math import isfinite
from typing import Any

from watchkeeper import channels
from watchkeeper.accounts import queries as accounts
from watchkeeper.alerts.services import masked_config
from watchkeeper.core.durations import format_duration
from watchkeeper.core.text import Text
from watchkeeper.history.services import plain
from watchkeeper.monitoring.queries import BoundRisk, light_of
from watchkeeper.stats.estimated import Estimate
from watchkeeper.stats.result import Result

Json = dict[str, Any]  # Any: JSON
Row = Any  # Any: a row of a slice; edges do not import models


def fields_of(row: Row, *names: str) -> Json:
    return {name: plain(getattr(row, name)) for name in names}


def model(row: Row) -> Json:
    return {
        **fields_of(
            row, "id", "name", "kind", "purpose", "stage", "problem_type", "tier", "repository_link", "documentation_link", "tags", "custom_fields",
            "timezone", "window", "expected", "created_at", "retired_at",
        ),
        "unit": {"id": str(row.unit_id), "path": "/".join(accounts.unit_names(row.unit))},
        "owners": owners(row),
        "status": _light(row),
    }  # fmt: skip


def model_line(row: Row) -> Json:
    """A model in a list: what the board shows."""
    return {
        **fields_of(row, "id", "name", "kind", "stage", "tier"),
        "unit": {"id": str(row.unit_id), "name": row.unit.name},
        "status": row.light_now,
        "score": row.score,
        "since": plain(row.light_since),
    }


def _light(row: Row) -> str:
    light = light_of(row.id)
    return light.light if light else "grey"


def owners(row: Row) -> Json:
    sides: Json = {"business": [], "technical": []}
    for ownership in row.ownerships.select_related("person", "team").order_by("id"):
        owner = ownership.person or ownership.team
        kind = "person" if ownership.person else "team"
        entry = {"kind": kind, "id": str(owner.id), "name": str(owner)} | ({"is_active": owner.is_active} if ownership.person else {})
        sides[ownership.side].append(entry)
    return sides


def version(row: Row) -> Json:
    baselines = [fields_of(entry, "role", "schema", "metrics", "reference_rows", "created_at") for entry in row.baselines.all()]
    return {**fields_of(row, "name", "trained_at", "created_at", "deployed_at", "is_current"), "baselines": baselines}


def metric(row: Row) -> Json:
    return fields_of(row, "name", "kind", "direction", "unit", "description")


def place(row: Row) -> Json:
    """A watched place; its password is never told."""
    told = fields_of(row, "id", "kind", "address", "columns", "every", "again", "created_at", "looked_at", "rows", "failing_since", "failure")
    return told | {"has_password": bool(row.password)}


def point(row: Row) -> Json:
    return fields_of(row, "name", "value", "timestamp", "received_at", "dataset", "version", "segment")


def source(row: Row) -> Json:
    return fields_of(row, "id", "address", "title")


def quarantined(row: Row) -> Json:
    return {**fields_of(row, "stream", "row", "field", "message", "remedy", "content", "received_at"), "batch_id": row.batch.key}


def token(row: Row) -> Json:
    return fields_of(row, "id", "scopes", "created_at", "revoked_at", "last_used_at")


def change(row: Row) -> Json:
    seal = getattr(row, "seal", None)
    return {
        **fields_of(row, "id", "at", "action", "object_type", "object_id", "model_id", "reason", "before", "after"),
        "actor": {"kind": row.actor_kind, "id": row.actor_id},
        "parent": plain(row.parent_id),
        "seal": {"number": seal.number, "hash": seal.hash} if seal else None,
    }


def risk(bound: BoundRisk) -> Json:
    """A binding with its condition, as `GET /models/{id}/status` lists it."""
    binding, worst = bound.binding, bound.worst
    return {
        "id": str(binding.id),
        "type": binding.type,
        "title": bound.type.title,
        "policy": str(binding.policy_version) if binding.policy_version else None,
        "criticality": binding.criticality,
        "not_relevant_reason": binding.not_relevant_reason,
        "condition": bound.state,
        "data": bound.data,
        "since": plain(worst.since) if worst else None,
        "value": worst.value if worst else None,
        "limit": worst.limit if worst else None,
        "explanation": text(bound.explanation),
        "segments": [
            {**fields_of(row, "segment", "value", "limit", "since"), "condition": row.state, "data": row.data, "explanation": text(row.explanation)}
            for row in bound.conditions
            if row.segment
        ],
        "action_plan": bound.plan,
        "params": plain(binding.params),
        "effective": plain(bound.effective),
        "sources": dict(bound.sources),
        "schedule": dict(binding.schedule),
        "for": format_duration(binding.pending_for),
        "n": binding.n,
        "m": binding.m,
        "hold": format_duration(binding.hold),
        "cost_per_day": plain(binding.cost_per_day),
        "evaluated_at": plain(binding.evaluated_at),
        "next_due_at": plain(binding.next_due_at),
        "missed": binding.missed,
    }


def text(stored: Text | Json | None) -> str:
    """A sentence in English: the language of the interface."""
    return (stored if isinstance(stored, Text) else Text.from_json(stored)).render()


def incident_line(row: Row) -> Json:
    return {
        **fields_of(
            row, "number", "kind", "state", "how", "segment", "criticality", "true_since", "opened_at", "acknowledged_at", "resolved_at", "reopened",
            "value", "limit", "peak", "cost_per_day", "cause",
        ),
        "id": row.number,
        "model": {"id": str(row.model_id), "name": row.model.name},
        "risk": {"id": str(row.binding_id), "type": row.binding.type},
        "explanation": text(row.explanation),
        "assignee": str(row.assignee_id) if row.assignee_id else None,
    }  # fmt: skip


def incident(row: Row) -> Json:
    return {
        **incident_line(row),
        **fields_of(row, "parts", "acknowledged_until", "resolution", "no_data_since"),
        "previous": row.previous_id,
        "plan": [fields_of(step, "position", "text", "done_at", "skipped_reason") for step in row.steps.all()],
        "timeline": [
            {**fields_of(entry, "at", "kind", "comment"), "actor": {"kind": entry.actor_kind, "id": entry.actor_id}, "text": text(entry.text)}
            for entry in row.timeline.order_by("at", "id")
        ],
    }


def channel(row: Row) -> Json:
    of = {"user": plain(row.person_id), "model": plain(row.model_id), "unit": plain(row.unit_id)}
    return {**fields_of(row, "id", "kind", "name", "created_at", "failing_since"), **of, "config": masked_config(row)}


def channel_kind(kind: channels.ChannelKind) -> Json:
    return {"kind": kind.key, "title": kind.title, "config": kind.config.model_json_schema(), "is_for_people": kind.is_for_people}


def delivery(row: Row) -> Json:
    message = row.message
    return {
        "incident": row.incident_id,
        "kind": row.kind,
        "occurrence": row.occurrence,
        "recipient": {"person": plain(row.person_id), "channel": plain(row.channel_id), "why": row.why},
        "at": plain(row.created_at),
        "suppressed": row.suppressed,
        "state": message.state if message else "inbox" if row.channel_id is None else "suppressed" if row.suppressed else "grouping",
        "key": message.key if message else None,
        "attempts": message.attempts if message else 0,
        "delivered_at": plain(message.delivered_at) if message else None,
        "last_error": text(message.last_error) if message and message.last_error else "",
    }


def silence(row: Row) -> Json:
    return fields_of(row, "id", "model_id", "unit_id", "risk_type", "is_maintenance", "starts_at", "ends_at", "reason")


def unit(row: Row) -> Json:
    return {**fields_of(row, "id", "name", "depth"), "parent": plain(row.parent_id)}


def person(row: Row) -> Json:
    return fields_of(row, "id", "email", "name", "is_active", "is_service")


def team(row: Row) -> Json:
    return {**fields_of(row, "id", "name"), "members": [str(member.id) for member in row.members.all()]}


def policy(row: Row) -> Json:
    versions = [fields_of(v, "number", "params", "schedule", "criticality", "action_plan", "created_at") for v in row.versions.order_by("number")]
    return {**fields_of(row, "id", "name", "type"), "unit": str(row.unit_id), "versions": versions}


def result(given: Result) -> Json:
    """A figure with its interval, how many rows it is of, and whether it may be judged."""
    return {
        "estimate": finite(given.estimate),
        "low": finite(given.low),
        "high": finite(given.high),
        "n": given.n,
        "validity": given.validity.value,
    }


def estimate(given: Estimate) -> Json:
    """An estimated figure with the standard deviations that its band is made of: the chance of the labels, and what is open about the calibration."""
    return result(given.result) | {"label_sd": finite(given.label_sd), "calibration_sd": finite(given.map_sd)}


def finite(value: float) -> float | None:
    return value if isfinite(value) else None
