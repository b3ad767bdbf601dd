"""Keep each model's light in step with its conditions. Called in the transaction that changed them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from watchkeeper.core.finding import DataState
from watchkeeper.core.settings import settings
from watchkeeper.monitoring.conditions import State
from watchkeeper.monitoring.light import Contribution, Cutoffs, Light, Reading, read_light
from watchkeeper.monitoring.models import ConditionRow, LightChange, ModelLight, RiskBinding


@dataclass(frozen=True)
class LightStep:
    """A light that changed."""

    model_id: UUID
    before: Light
    after: Light
    score: int


def update_lights(models: Collection[UUID], *, now: datetime) -> list[LightStep]:
    """Read the lights anew; a change of light or score leaves a row with its causes.

    The lights are locked before the conditions are read: two workers with risks of the same model each see what the other stored.
    """
    if not models:
        return []
    lights = {light.model_id: light for light in ModelLight.objects.filter(model__in=models).order_by("model").select_for_update()}
    counted = RiskBinding.objects.filter(model__in=models, removed_at=None, criticality__gt=0, model__retired_at=None)
    bindings = list(counted.only("id", "model_id", "type", "criticality"))
    conditions = _conditions(bindings)
    by_model: dict[UUID, list[RiskBinding]] = defaultdict(list)
    for binding in bindings:
        by_model[binding.model_id].append(binding)
    saved: list[ModelLight] = []
    changes: list[LightChange] = []
    steps: list[LightStep] = []
    for model_id in models:
        reading = read_light([_contribution(binding, conditions) for binding in by_model[model_id]], cutoffs())
        stored = lights.get(model_id)
        if stored and (stored.light, stored.score, stored.known, stored.total) == (reading.light, reading.score, reading.known, reading.total):
            continue
        before = Light(stored.light) if stored else Light.GREY
        is_new_light = stored is None or before is not reading.light
        since = now if stored is None or is_new_light else stored.since
        saved.append(ModelLight(model_id, light=reading.light, score=reading.score, known=reading.known, total=reading.total, since=since))
        if is_new_light or (stored and stored.score != reading.score):
            causes = _causes(reading, by_model[model_id], conditions)
            changes.append(LightChange(model_id=model_id, at=now, light=reading.light, score=reading.score, causes=causes))
        if is_new_light:
            steps.append(LightStep(model_id, before, reading.light, reading.score))
    LightChange.objects.bulk_create(changes)
    ModelLight.objects.bulk_create(saved, update_conflicts=True, unique_fields=["model"], update_fields=["light", "score", "known", "total", "since"])
    return steps


def cutoffs() -> Cutoffs:
    return Cutoffs(settings().yellow_from, settings().red_from)


def _conditions(bindings: Collection[RiskBinding]) -> dict[UUID, list[ConditionRow]]:
    rows: dict[UUID, list[ConditionRow]] = defaultdict(list)
    needed = ("binding_id", "segment", "state", "data", "value", "limit", "explanation")
    for row in ConditionRow.objects.filter(binding__in=bindings).only(*needed).order_by("segment"):
        rows[row.binding_id].append(row)
    return rows


def _contribution(binding: RiskBinding, conditions: dict[UUID, list[ConditionRow]]) -> Contribution:
    rows = conditions.get(binding.id, [])
    return Contribution(
        binding=str(binding.id),
        criticality=binding.criticality,
        states=tuple(State(row.state) for row in rows),
        data=tuple(DataState(row.data) for row in rows),
    )


def _causes(reading: Reading, bindings: Collection[RiskBinding], conditions: dict[UUID, list[ConditionRow]]) -> list[dict[str, Any]]:  # Any: JSON
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
                    "explanation": row.explanation,
                }
            )
    return causes
