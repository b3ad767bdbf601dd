"""Rehearsals of risks on a model's past, and the starter set that comes of them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Status

from watchkeeper.api import shapes
from watchkeeper.api.auth import caller, clock
from watchkeeper.api.given import Given
from watchkeeper.api.monitoring import RiskIn, changed_to, editable, wanted_of
from watchkeeper.history.services import plain
from watchkeeper.incidents.rehearsing import DAYS, Rehearsed, rehearse_risk
from watchkeeper.incidents.starter import apply_starter_set, starter_set
from watchkeeper.monitoring import queries
from watchkeeper.monitoring.rehearsal import Rehearsal
from watchkeeper.monitoring.replay import Alarm

router = Router(tags=["risks"])
Json = dict[str, Any]  # Any: JSON


class RehearsalIn(RiskIn):
    days: int = Field(DAYS, description="How many of the last days are replayed, at most 366.")


class StarterIn(Given):
    receipts: list[str] = Field(description="Those of the proposals that are wanted.")


@router.post("/models/{id}/risks/rehearsal")
def rehearse(request: HttpRequest, id: str, payload: RehearsalIn) -> Json:
    """What a risk would have done on the stored past, before it is bound. Writes nothing."""
    model = editable(caller(request), id)
    return _shown(rehearse_risk(model, wanted=wanted_of(payload), now=clock.now(), days=payload.days))


@router.post("/models/{id}/risks/{risk_id}/rehearsal")
def rehearse_bound(request: HttpRequest, id: str, risk_id: str, payload: RehearsalIn) -> Json:
    """The same of a risk that is bound, as it is or with the changes given."""
    model = editable(caller(request), id)
    wanted = changed_to(queries.binding_of(model, risk_id), payload)
    return _shown(rehearse_risk(model, wanted=wanted, now=clock.now(), days=payload.days))


@router.get("/models/{id}/starter-set")
def propose(request: HttpRequest, id: str, days: int = DAYS) -> Json:
    """Risks that fit what the model sends and are not bound yet, with limits from its own past. Takes some seconds."""
    model = editable(caller(request), id)
    return {
        "items": [
            {
                "type": proposal.kind.key,
                "params": dict(proposal.params),
                "is_recommended": proposal.is_recommended,
                "why": shapes.text(proposal.rehearsal.summary),
                "receipt": proposal.receipt,
            }
            for proposal in starter_set(model, now=clock.now(), days=days)
        ]
    }


@router.post("/models/{id}/starter-set", response={201: Json})
def apply(request: HttpRequest, id: str, payload: StarterIn) -> Status[Json]:
    """Bind the chosen proposals: all of them or none."""
    who = caller(request)
    model = editable(who, id)
    bound = {binding.id for binding in apply_starter_set(model, receipts=payload.receipts, actor=who.actor, now=clock.now())}
    return Status(201, {"items": [shapes.risk(risk) for risk in queries.bound_risks(model.id) if risk.binding.id in bound]})


def _shown(found: Rehearsed) -> Json:
    if found.rehearsal is None:
        return {"can_be_replayed": False, "why_not": found.why_not}
    return {"can_be_replayed": True, **_rehearsal(found.rehearsal), "receipt": found.receipt}


def _rehearsal(found: Rehearsal) -> Json:
    seen = found.replay
    return {
        "summary": shapes.text(found.summary),
        "since": plain(seen.start),
        "until": plain(seen.end),
        "days": seen.days,
        "moments": len(seen.moments),
        "fired": len(seen.alarms),
        "fired_for": plain(seen.total),
        "alarms": [_alarm(alarm) | {"incidents": [trouble.number for trouble in found.caught_by(alarm)]} for alarm in seen.alarms],
        "caught": [
            {"incident": caught.trouble.number, "type": caught.trouble.type, "seconds_earlier": caught.earlier.total_seconds()}
            for caught in found.caught
        ],
        "missed": [{"incident": trouble.number, "type": trouble.type} for trouble in found.missed],
        "not_confirmed": len(found.unconfirmed),
        "unknown": [{"why": shapes.text(reason), "moments": count} for reason, count in seen.unknown],
        "assumes": [shapes.text(assumed) for assumed in found.assumes],
        "other_limits": [
            {
                "params": dict(other.params),
                "fired": len(other.rehearsal.replay.alarms),
                "caught": len(other.rehearsal.caught),
                "not_confirmed": len(other.rehearsal.unconfirmed),
            }
            for other in found.others
        ],
        "suggested": dict(found.suggested.params) if found.suggested else None,
    }


def _alarm(alarm: Alarm) -> Json:
    return {"segment": alarm.segment, "start": plain(alarm.start), "end": plain(alarm.end), "explanation": shapes.text(alarm.explanation)}
