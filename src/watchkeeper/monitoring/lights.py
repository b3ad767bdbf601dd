"""Keep each model's light in step with its conditions. Called in the transaction that changed them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from watchkeeper.core.finding import DataState
from watchkeeper.core.settings import settings
from watchkeeper.history.bulk import insert_rows, prepared, update_rows
from watchkeeper.monitoring.conditions import State
from watchkeeper.monitoring.light import Contribution, Cutoffs, Light, Reading, read_light
from watchkeeper.monitoring.models import ConditionRow, LightChange, ModelLight, RiskBinding
from watchkeeper.monitoring.rows import DATA, STATES
from watchkeeper.registry.models import RegisteredModel

_LIGHT = ("light", "score", "known", "total", "since")


@dataclass(frozen=True)
class LightStep:
    """A light that changed."""

    model_id: UUID
    before: Light
    after: Light
    score: int


class _Counted(NamedTuple):
    """A binding of criticality 1-3."""

    id: UUID
    type: str
    criticality: int


class _Shown(NamedTuple):
    """The light as it is."""

    light: str
    score: int
    known: int
    total: int
    since: datetime


class _Stored(NamedTuple):
    """One condition of it; `explanation` is stored JSON."""

    state: State
    data: DataState
    value: float | None
    limit: float | None
    explanation: str


def update_lights(models: Collection[UUID], *, now: datetime) -> list[LightStep]:
    """Read the lights anew; a change of light or score leaves a row with its causes.

    The lights are locked before the conditions are read: two workers with risks of the same model each see what the other stored.
    """
    if not models:
        return []
    lights = {model: _Shown(*shown) for model, *shown in _lights(models)}
    by_model: dict[UUID, list[_Counted]] = defaultdict(list)
    for id, model, type, criticality in _counted(models):
        by_model[model].append(_Counted(id, type, criticality))
    tiers: dict[UUID, int] = dict(_tiers(models))
    conditions = _conditions([binding.id for group in by_model.values() for binding in group])
    new: list[tuple[Any, ...]] = []  # Any: values of `_LIGHT`, and the model
    moved: list[tuple[Any, ...]] = []
    changes: list[LightChange] = []
    steps: list[LightStep] = []
    for model_id in models:
        reading = read_light([_contribution(binding, conditions) for binding in by_model[model_id]], cutoffs(tiers.get(model_id)))
        stored = lights.get(model_id)
        if stored and (stored.light, stored.score, stored.known, stored.total) == (reading.light, reading.score, reading.known, reading.total):
            continue
        before = Light(stored.light) if stored else Light.GREY
        is_new_light = stored is None or before is not reading.light
        since = now if stored is None or is_new_light else stored.since
        (moved if stored else new).append((reading.light, reading.score, reading.known, reading.total, since, model_id))
        if is_new_light or (stored and stored.score != reading.score):
            causes = _causes(reading, by_model[model_id], conditions)
            changes.append(LightChange(model_id=model_id, at=now, light=reading.light, score=reading.score, causes=causes))
        if is_new_light:
            steps.append(LightStep(model_id, before, reading.light, reading.score))
    insert_rows(changes)
    update_rows(ModelLight, _LIGHT, moved)
    insert_rows([ModelLight(model_id=model, **dict(zip(_LIGHT, light, strict=True))) for *light, model in new], ignore_conflicts=True)
    return steps


def cutoffs(tier: int | None) -> Cutoffs:
    """From which score a model of this tier is yellow and red."""
    return Cutoffs(*settings().tier_cutoffs.get(tier or 0, (settings().yellow_from, settings().red_from)))


def _conditions(bindings: Collection[UUID]) -> dict[UUID, list[_Stored]]:
    found: dict[UUID, list[_Stored]] = defaultdict(list)
    for binding, state, data, value, limit, explanation in _stored(bindings):
        found[binding].append(_Stored(STATES[state], DATA[data], value, limit, explanation))
    return found


@prepared
def _lights(models: Collection[UUID]) -> QuerySet[ModelLight, Any]:  # Any: values of columns
    shown = ModelLight.objects.filter(model__among=models).order_by("model").select_for_update()
    return shown.values_list("model_id", *_LIGHT)


@prepared
def _counted(models: Collection[UUID]) -> QuerySet[RiskBinding, Any]:  # Any: values of columns
    counted = RiskBinding.objects.filter(model__among=models, removed_at=None, criticality__gt=0, model__retired_at=None)
    return counted.values_list("id", "model_id", "type", "criticality")


@prepared
def _tiers(models: Collection[UUID]) -> QuerySet[RegisteredModel, Any]:  # Any: values of columns
    return RegisteredModel.objects.filter(id__among=models).values_list("id", "tier")


@prepared
def _stored(bindings: Collection[UUID]) -> QuerySet[ConditionRow, Any]:  # Any: values of columns
    found = ConditionRow.objects.filter(binding__among=bindings).order_by("segment")
    return found.values_list("binding_id", "state", "data", "value", "limit", Cast("explanation", TextField()))


def _contribution(binding: _Counted, conditions: dict[UUID, list[_Stored]]) -> Contribution:
    rows = conditions.get(binding.id, [])
    return Contribution(str(binding.id), binding.criticality, tuple(row.state for row in rows), tuple(row.data for row in rows))


def _causes(reading: Reading, bindings: Collection[_Counted], conditions: dict[UUID, list[_Stored]]) -> list[dict[str, Any]]:  # Any: JSON
    """What fired, in the words it fired with: the light of a past day explains itself."""
    causes = []
    for binding in bindings:
        if str(binding.id) in reading.causes:
            row = max(conditions[binding.id], key=lambda row: row.state in (State.FIRING, State.RECOVERING))
            causes.append(
                {
                    "risk": str(binding.id),
                    "type": binding.type,
                    "criticality": binding.criticality,
                    "value": row.value,
                    "limit": row.limit,
                    "explanation": json.loads(row.explanation),
                }
            )
    return causes
