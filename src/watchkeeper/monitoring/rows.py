"""Conditions as rows and back. The only place that knows both forms."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from watchkeeper.core.finding import DataState
from watchkeeper.core.text import Text
from watchkeeper.monitoring.conditions import Condition, State
from watchkeeper.monitoring.models import ConditionRow

_LETTER = {State.OK: "o", State.PENDING: "p", State.FIRING: "f", State.RECOVERING: "r"}
_STATE = {letter: state for state, letter in _LETTER.items()}


def condition_of(row: ConditionRow) -> Condition:
    return Condition(
        state=State(row.state),
        data=DataState(row.data),
        since=row.since,
        true_since=row.true_since,
        elapsed=timedelta(seconds=row.elapsed),
        read_at=row.read_at,
        recent=tuple(mark == "1" for mark in row.recent),
        past=tuple(_STATE[letter] for letter in row.past),
        no_data_since=row.no_data_since,
        value=row.value,
        limit=row.limit,
        peak=row.peak,
        parts=tuple(row.parts),
        errors=row.errors,
        is_flapping=row.is_flapping,
    )


def row_of(
    condition: Condition, binding: UUID, segment: str, *, explanation: Text, evaluated_at: datetime, existing: ConditionRow | None
) -> ConditionRow:
    return ConditionRow(
        pk=existing.pk if existing else None,
        binding_id=binding,
        segment=segment,
        state=condition.state,
        data=condition.data,
        since=condition.since,
        true_since=condition.true_since,
        elapsed=condition.elapsed.total_seconds(),
        read_at=condition.read_at,
        recent="".join("1" if fired else "0" for fired in condition.recent),
        past="".join(_LETTER[state] for state in condition.past),
        no_data_since=condition.no_data_since,
        value=condition.value,
        limit=condition.limit,
        peak=condition.peak,
        parts=list(condition.parts),
        errors=condition.errors,
        is_flapping=condition.is_flapping,
        explanation=explanation.as_json(),
        evaluated_at=evaluated_at,
    )
