"""A binding as a worker holds it while it evaluates: a plain value, read for many at once and without an object per row.

What a rule says is parsed once and remembered by its content: thousands of bindings share a few rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from watchkeeper import risks
from watchkeeper.history.bulk import prepared
from watchkeeper.monitoring.conditions import Rule
from watchkeeper.monitoring.models import RiskBinding
from watchkeeper.monitoring.schedules import Schedule
from watchkeeper.risks import RiskParams

_COLUMNS = (
    "id",
    "model_id",
    "type",
    Cast("params", TextField()),
    Cast("policy_version__params", TextField()),
    Cast("schedule", TextField()),
    "pending_for",
    "n",
    "m",
    "hold",
    "next_due_at",
    "evaluated_at",
    "missed",
)


class Due(NamedTuple):
    """`own` and `policy` are parameters as stored JSON; `params` reads them."""

    id: UUID
    model_id: UUID
    type: str
    own: str
    policy: str | None
    schedule: Schedule
    rule: Rule
    next_due_at: datetime | None
    evaluated_at: datetime | None
    missed: int

    @property
    def params(self) -> RiskParams:
        """The effective parameters. Raises InvalidInput when they do not fit the risk type any more."""
        return _params(self.type, self.own, self.policy)


class Claim(NamedTuple):
    """Bindings one worker asked for, under a key of its own."""

    key: str
    bindings: list[UUID]


def claimed(claim: Claim) -> list[Due]:
    """The bindings held under a claim, those of a model side by side."""
    return [_due(*columns) for columns in _claimed(claim.bindings, claim.key)]


def due_of(binding: UUID) -> Due:
    (columns,) = _by_id([binding])
    return _due(*columns)


@prepared
def _claimed(bindings: list[UUID], claim: str) -> QuerySet[RiskBinding, Any]:  # Any: values of columns
    return RiskBinding.objects.filter(id__among=bindings, claim=claim).order_by("model", "id").values_list(*_COLUMNS)


@prepared
def _by_id(ids: list[UUID]) -> QuerySet[RiskBinding, Any]:  # Any: values of columns
    return RiskBinding.objects.filter(id__among=ids).values_list(*_COLUMNS)


def _due(
    id: UUID,
    model_id: UUID,
    type: str,
    own: str,
    policy: str | None,
    schedule: str,
    pending_for: timedelta,
    n: int,
    m: int,
    hold: timedelta,
    next_due_at: datetime | None,
    evaluated_at: datetime | None,
    missed: int,
) -> Due:
    return Due(id, model_id, type, own, policy, _schedule(schedule), _rule(pending_for, n, m, hold), next_due_at, evaluated_at, missed)


@lru_cache(maxsize=10_000)
def _params(type: str, own: str, policy: str | None) -> RiskParams:
    return risks.get(type).parse_params({**(json.loads(policy) if policy else {}), **json.loads(own)})


@lru_cache(maxsize=10_000)
def _schedule(stored: str) -> Mapping[str, Any]:  # Any: JSON
    found: dict[str, Any] = json.loads(stored)
    return found


@lru_cache(maxsize=10_000)
def _rule(pending_for: timedelta, n: int, m: int, hold: timedelta) -> Rule:
    return Rule(for_=pending_for, n=n, m=m, hold=hold)
