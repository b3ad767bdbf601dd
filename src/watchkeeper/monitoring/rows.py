"""Conditions as rows and back. The only place that knows both forms."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from watchkeeper.core.finding import DataState
from watchkeeper.core.text import Text
from watchkeeper.history.bulk import insert_rows, prepared, update_rows
from watchkeeper.monitoring.conditions import Condition, State
from watchkeeper.monitoring.models import ConditionRow

_LETTER = {State.OK: "o", State.PENDING: "p", State.FIRING: "f", State.RECOVERING: "r"}
_STATE = {letter: state for state, letter in _LETTER.items()}
STATES, DATA = {str(state): state for state in State}, {str(data): data for data in DataState}

_READ = (
    "binding_id",
    "segment",
    "id",
    "state",
    "data",
    "since",
    "true_since",
    "elapsed",
    "read_at",
    "recent",
    "past",
    "no_data_since",
    "value",
    "limit",
    "peak",
    Cast("parts", TextField()),
    "errors",
    "is_flapping",
)
_ALWAYS = ("data", "recent", "past", "value", "limit", "explanation", "evaluated_at")
_SELDOM = ("state", "since", "true_since", "elapsed", "read_at", "no_data_since", "peak", "parts", "errors", "is_flapping")
_seldom = attrgetter(*_SELDOM)


class Reached(NamedTuple):
    """A condition to be stored, and the words of the finding that led to it. `id` is None for one that is new."""

    id: int | None
    binding_id: UUID
    segment: str
    before: Condition
    condition: Condition
    explanation: Text


def stored_conditions(bindings: Collection[UUID]) -> dict[UUID, dict[str, tuple[int, Condition]]]:
    """Row id and condition by binding and segment."""
    found: dict[UUID, dict[str, tuple[int, Condition]]] = defaultdict(dict)
    for binding_id, segment, id, *columns in _stored(bindings):
        found[binding_id][segment] = id, _condition(*columns)
    return found


@prepared
def _stored(bindings: Collection[UUID]) -> QuerySet[ConditionRow, Any]:  # Any: values of columns
    return ConditionRow.objects.filter(binding__among=bindings).values_list(*_READ)


def _condition(
    state: str,
    data: str,
    since: datetime | None,
    true_since: datetime | None,
    elapsed: float,
    read_at: datetime | None,
    recent: str,
    past: str,
    no_data_since: datetime | None,
    value: float | None,
    limit: float | None,
    peak: float | None,
    parts: str,
    errors: int,
    is_flapping: bool,
) -> Condition:
    return Condition(
        state=STATES[state],
        data=DATA[data],
        since=since,
        true_since=true_since,
        elapsed=timedelta(seconds=elapsed),
        read_at=read_at,
        recent=_recent_of(recent),
        past=_past_of(past),
        no_data_since=no_data_since,
        value=value,
        limit=limit,
        peak=peak,
        parts=() if parts == "[]" else tuple(json.loads(parts)),
        errors=errors,
        is_flapping=is_flapping,
    )


def save_conditions(reached: Sequence[Reached], *, now: datetime) -> None:
    """Most evaluations find what was there before: only the columns that always move are written then."""
    new = [entry for entry in reached if entry.id is None]
    moved: list[Reached] = []
    steady: list[Reached] = []
    for entry in reached:
        if entry.id is not None:
            (steady if _seldom(entry.before) == _seldom(entry.condition) else moved).append(entry)
    insert_rows([ConditionRow(binding_id=entry.binding_id, segment=entry.segment, **_fields(entry, now)) for entry in new])
    update_rows(ConditionRow, _ALWAYS, [(*_always(entry, now), entry.id) for entry in steady])
    update_rows(ConditionRow, (*_ALWAYS, *_SELDOM), [(*_fields(entry, now).values(), entry.id) for entry in moved])


def _always(entry: Reached, now: datetime) -> tuple[Any, ...]:  # Any: values of columns
    condition = entry.condition
    marks, letters = _marks(condition.recent), _letters(condition.past)
    return (condition.data, marks, letters, condition.value, condition.limit, entry.explanation.as_json(), now)


def _fields(entry: Reached, now: datetime) -> dict[str, Any]:  # Any: values of columns
    seldom = dict(zip(_SELDOM, _seldom(entry.condition), strict=True))
    stored = {"elapsed": entry.condition.elapsed.total_seconds(), "parts": list(entry.condition.parts)}
    return dict(zip(_ALWAYS, _always(entry, now), strict=True)) | seldom | stored


# The same few histories again and again: each is spelled out once.


@lru_cache(maxsize=10_000)
def _past_of(letters: str) -> tuple[State, ...]:
    return tuple(_STATE[letter] for letter in letters)


@lru_cache(maxsize=10_000)
def _letters(past: tuple[State, ...]) -> str:
    return "".join(_LETTER[state] for state in past)


@lru_cache(maxsize=10_000)
def _recent_of(marks: str) -> tuple[bool, ...]:
    return tuple(mark == "1" for mark in marks)


@lru_cache(maxsize=10_000)
def _marks(recent: tuple[bool, ...]) -> str:
    return "".join("1" if fired else "0" for fired in recent)
