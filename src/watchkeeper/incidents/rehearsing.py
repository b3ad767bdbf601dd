"""Rehearse a risk of a model before it is saved, or one that exists: its stored past against its real incidents. Writes nothing.

A rehearsal that was shown is proved by a receipt: its summary and what was rehearsed, signed. The Change of a save carries only such a summary.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core import signing

from watchkeeper import risks
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.evidence import Evidence
from watchkeeper.core.text import N_, Text
from watchkeeper.history.services import plain
from watchkeeper.incidents.queries import troubles
from watchkeeper.monitoring.conditions import Rule
from watchkeeper.monitoring.due import Due
from watchkeeper.monitoring.evidence import load_evidence
from watchkeeper.monitoring.models import RiskBinding
from watchkeeper.monitoring.rehearsal import Rehearsal, limited, rehearse
from watchkeeper.monitoring.replay import Past, past_of
from watchkeeper.monitoring.services import Binding, checked
from watchkeeper.registry.models import RegisteredModel

DAYS = 92
MOST_DAYS = 366
RECEIPT_LASTS = timedelta(hours=4)
NOTHING_KNOWN = N_("nothing that it looks at has come yet")
_SALT = "rehearsal"
_NOT_SAVED = UUID(int=0)


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What came of it: a rehearsal with its receipt and those of the other limits tried, or why there can be none in untranslated words."""

    rehearsal: Rehearsal | None = None
    why_not: str = ""
    receipt: str = ""
    receipts: tuple[str, ...] = ()


def rehearse_risk(model: RegisteredModel, *, wanted: Binding, now: datetime, days: int = DAYS) -> Rehearsed:
    """Raises InvalidInput when it could not be saved like that either."""
    check_days(days)
    due = due_as(model, wanted)
    kind = risks.get(due.type)
    if kind.needs.forgets:
        return Rehearsed(why_not=kind.needs.forgets)
    past = stored_past(kind.needs, model, now=now, days=days)
    if past is None:
        return Rehearsed(why_not=NOTHING_KNOWN)
    found = rehearse(due, past, troubles(model.id, since=past.start))
    receipts = tuple(receipt_of(limited(due, other.params), other.rehearsal) for other in found.others)
    return Rehearsed(rehearsal=found, receipt=receipt_of(due, found), receipts=receipts)


def check_days(days: int) -> None:
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput(f"{days} days cannot be rehearsed.", remedy=f"Choose 1 to {MOST_DAYS}.", fields={"days": f"1 to {MOST_DAYS}"})


def stored_past(kind: type[Evidence], model: RegisteredModel, *, now: datetime, days: int) -> Past | None:
    """None when it cannot be replayed, or nothing came yet."""
    if kind.forgets:
        return None
    return past_of(load_evidence(kind, [model.id], now=now, back=timedelta(days=days))[model.id], days=days)


def due_as(model: RegisteredModel, wanted: Binding) -> Due:
    """What a worker would hold of it, were it saved."""
    fields = checked(model, wanted)
    inherited = json.dumps(wanted.policy.params) if wanted.policy else None
    rule = Rule(for_=fields["pending_for"], n=fields["n"], m=fields["m"], hold=fields["hold"])
    own = json.dumps(plain(fields["params"]), sort_keys=True)
    return Due(_NOT_SAVED, model.id, fields["type"], own, inherited, fields["schedule"], rule, None, None, 0)


def wanted_as(binding: RiskBinding, **other: Any) -> Binding:  # Any: fields of Binding
    """A binding as it is, but for what is to be changed."""
    fields: dict[str, Any] = {  # Any: the same
        "type": binding.type,
        "policy": binding.policy_version,
        "params": binding.params,
        "schedule": binding.schedule,
        "for_": binding.pending_for,
        "n": binding.n,
        "m": binding.m,
        "hold": binding.hold,
        "criticality": binding.criticality or None,
    }
    return Binding(**fields | other)


def receipt_of(due: Due, found: Rehearsal) -> str:
    return signing.dumps({"of": _digest(due), "summary": found.summary.as_json()}, salt=_SALT)


def proven(receipt: str, model: RegisteredModel, wanted: Binding) -> Text | None:
    """The summary of a rehearsal of just this rule; None when it was of another, is old or is not ours."""
    try:
        said = signing.loads(receipt, salt=_SALT, max_age=RECEIPT_LASTS)
    except signing.BadSignature:
        return None
    return Text.from_json(said["summary"]) if said["of"] == _digest(due_as(model, wanted)) else None


def _digest(due: Due) -> str:
    params = due.params.model_dump(mode="json")
    rule = due.rule
    said = [due.model_id, due.type, params, dict(due.schedule), rule.for_, rule.n, rule.m, rule.hold]
    return hashlib.sha256(json.dumps(plain(said), sort_keys=True).encode()).hexdigest()
