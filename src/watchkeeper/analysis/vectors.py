"""Drift of vector columns, such as embeddings: of everything that is measured of them (telemetry.vectors), each vector by itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.drift import ColumnDrift, DriftLimits, column_drifts
from watchkeeper.stats.drift import Verdict
from watchkeeper.telemetry.derived import VectorMeasure


@dataclass(frozen=True, kw_only=True)
class VectorDrift:
    """What was judged of one vector column, the measure that moved most first. `missing` is the share of rows without a vector that can be measured."""

    vector: str
    drifts: Sequence[ColumnDrift]
    measure: str
    missing: float
    usually_missing: float

    @property
    def fires(self) -> bool:
        return any(drift.test.verdict.fires for drift in self.drifts)


def vector_columns(history: ColumnHistory) -> list[str]:
    """The vector columns that are measured."""
    return list(dict.fromkeys(column.derived.column for column in history.layout.columns if isinstance(column.derived, VectorMeasure)))


def vector_drifts(history: ColumnHistory, vectors: Collection[str], limits: DriftLimits, *, window: int) -> list[VectorDrift]:
    """The last `window` days of each vector against its reference, those that moved most first; p-values are adjusted for what is measured of it.
    Empty when no day can be judged."""
    found = [drift for name in vectors if (drift := _drift(history, name, limits, window)) is not None]
    return sorted(found, key=lambda drift: (not drift.fires, -drift.drifts[0].test.psi, drift.vector))


def _drift(history: ColumnHistory, name: str, limits: DriftLimits, window: int) -> VectorDrift | None:
    measures = {
        column.name: column.derived
        for column in history.layout.columns
        if isinstance(column.derived, VectorMeasure) and column.derived.column == name
    }
    judged = column_drifts(history, list(measures), limits, window=window)
    told = [drift for drift in judged if drift.test.verdict is not Verdict.INSUFFICIENT] or judged
    if not told:
        return None
    column = history.of(history.columns[told[0].column])
    current, reference = column.counts[-window:].sum(axis=0), column.reference
    return VectorDrift(
        vector=name,
        drifts=told,
        measure=measures[told[0].column].measure,
        missing=float(current[-1] / max(current.sum(), 1)),
        usually_missing=float(reference[-1] / max(reference.sum(), 1)),
    )
