"""The reference of a model's columns: which one is in force, and accepting a period of the log as one."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from watchkeeper.accounts.rights import Ability
from watchkeeper.api.auth import caller, clock
from watchkeeper.api.given import Given
from watchkeeper.ingest import references
from watchkeeper.registry import queries

router = Router(tags=["models"])
Json = dict[str, Any]  # Any: JSON


class PeriodIn(Given):
    """Days of the model's own clock, both included."""

    first: date
    last: date


@router.get("/models/{id}/reference")
def reference(request: HttpRequest, id: str) -> Json:
    """What columns are compared with: `training` rows of a version, an `accepted` period, or (null) the model's own first weeks."""
    return _described(references.reference_of(queries.model_for(caller(request).who, id)))


@router.put("/models/{id}/reference")
def accept_period(request: HttpRequest, id: str, payload: PeriodIn) -> Json:
    """Compare with these days from now on, until a training sends reference rows. The last three months are counted again, `is_waiting` until then."""
    who = caller(request)
    model = queries.model_for(who.who, id)
    queries.require(who.who, Ability.EDIT, model)
    references.accept_period(model, first=payload.first, last=payload.last, actor=who.actor, now=clock.now())
    return _described(references.reference_of(model))


@router.delete("/models/{id}/reference", response={204: None})
def take_back_period(request: HttpRequest, id: str) -> Status[None]:
    """The reference is again what it was before a period was accepted."""
    who = caller(request)
    model = queries.model_for(who.who, id)
    queries.require(who.who, Ability.EDIT, model)
    references.take_back_period(model, actor=who.actor, now=clock.now())
    return Status(204, None)


def _described(found: references.Reference) -> Json:
    baseline = found.baseline
    told = (
        {"role": baseline.role, "version": baseline.version.name, "first": baseline.first_day, "last": baseline.last_day}
        if baseline
        else {"role": None}
    )
    return told | {"is_waiting": found.is_waiting}
