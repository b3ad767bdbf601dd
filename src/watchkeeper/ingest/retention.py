"""Delete what has been kept long enough. What is deleted when: docs/guide/operations.md."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from watchkeeper.ingest.models import (
    Batch,
    ColumnProfile,
    Event,
    MetricPoint,
    MomentProfile,
    OutcomeProfile,
    QuarantinedRow,
    RelationProfile,
    StreamTimer,
    WindowProfile,
)

AT_ONCE = 5000


def expire_payloads(*, before: datetime) -> list[str]:
    """Drop payloads of applied batches; returns the files to delete. The batch's own row goes with its last quarantined row, after 30 days."""
    old = Batch.objects.filter(state=Batch.State.APPLIED, received_at__lt=before)
    batches = list(old.exclude(payload=None, payload_path="").values_list("id", "payload_path")[:AT_ONCE])
    Batch.objects.filter(id__in=[id for id, _ in batches]).update(payload=None, payload_path="")
    return [path for _, path in batches if path]


def expire_quarantine(*, before: datetime) -> int:
    """Quarantined rows, and the rows of batches: after that a batch id may be used again."""
    ids = list(QuarantinedRow.objects.filter(received_at__lt=before).values_list("id", flat=True)[:AT_ONCE])
    gone, _ = QuarantinedRow.objects.filter(id__in=ids).delete()
    batches = list(Batch.objects.filter(state=Batch.State.APPLIED, received_at__lt=before).values_list("id", flat=True)[:AT_ONCE])
    gone += Batch.objects.filter(id__in=batches).delete()[0]
    return gone


def expire_points(*, before: datetime) -> int:
    return sum(
        kind.objects.filter(**{f"{field}__lt": before}).delete()[0]
        for kind, field in (
            (MetricPoint, "timestamp"),
            (Event, "timestamp"),
            (WindowProfile, "start"),
            (ColumnProfile, "day"),
            (OutcomeProfile, "day"),
            (MomentProfile, "day"),
            (RelationProfile, "day"),
        )
    )


def models_with_log() -> list[UUID]:
    return list(StreamTimer.objects.filter(stream__in=("predictions", "labels")).values_list("model_id", flat=True).distinct())
