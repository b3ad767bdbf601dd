"""Audit samples: random predictions worth labelling, and what their labels say of accuracy."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from watchkeeper.accounts.rights import Ability
from watchkeeper.analysis.audits import Audited, audited
from watchkeeper.analysis.estimates import estimator_of
from watchkeeper.api.auth import caller, clock
from watchkeeper.api.given import Given
from watchkeeper.api.shapes import Row, result
from watchkeeper.ingest import audits
from watchkeeper.ingest.outcome_histories import segment_histories
from watchkeeper.registry import queries

router = Router(tags=["models"])
Json = dict[str, Any]  # Any: JSON


class SampleIn(Given):
    """How many predictions, from how many closed days; those before `before`, else the last ones."""

    size: int = Field(audits.USUAL_SIZE, ge=audits.LEAST_SIZE, le=audits.MOST_SIZE)
    days: int = Field(28, ge=1, le=audits.MOST_DAYS)
    before: date | None = None


@router.post("/models/{id}/audits", response={202: dict})
def ask_for_sample(request: HttpRequest, id: str, payload: SampleIn) -> Status[Json]:
    """Drawn by the worker within seconds: ask for the sample by its number until it has rows. Send their labels as any others, by id."""
    who = caller(request)
    model = queries.model_for(who.who, id)
    queries.require(who.who, Ability.EDIT, model)
    sample = audits.ask_for_sample(model, days=payload.days, size=payload.size, before=payload.before, actor=who.actor, now=clock.now())
    return Status(202, _described(sample))


@router.get("/models/{id}/audits")
def samples(request: HttpRequest, id: str) -> Json:
    """The newest first, each with what its labels say of accuracy so far."""
    model = queries.model_for(caller(request).who, id)
    history = segment_histories([model.id], now=clock.now())[model.id]
    estimator = estimator_of(history)
    return {
        "items": [
            _described(sample) | (_told(audited(audits.audit_of(sample), estimator)) if sample.rows else {}) for sample in audits.samples(model.id)
        ]
    }


@router.get("/models/{id}/audits/{sample}")
def rows(request: HttpRequest, id: str, sample: int) -> Json:
    """The rows to label: id, day, decision (1, 0), score, segments, and the label that came (1, 0, or null)."""
    who = caller(request)
    model = queries.model_for(who.who, id)
    queries.require(who.who, Ability.EDIT, model)
    found = audits.sample_numbered(model.id, sample)
    return _described(found) | {"rows": [row | {"label": found.labels.get(row["id"])} for row in found.rows or ()]}


def _described(sample: Row) -> Json:
    drawn = sample.rows is not None
    return {
        "number": sample.number,
        "first": str(sample.first),
        "last": str(sample.last),
        "size": len(sample.rows or ()) if drawn else sample.size,
        "is_drawn": drawn,
        "population": sample.population,
        "labelled": len(sample.labels),
    }


def _told(found: Audited) -> Json:
    return {
        "accuracy": result(found.accuracy),
        "estimated": result(found.estimated) if found.estimated else None,
        "is_estimate_refuted": found.is_refuted,
    }
