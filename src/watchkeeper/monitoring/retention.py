"""Delete findings that have been kept long enough."""

from __future__ import annotations

from datetime import datetime

from watchkeeper.monitoring.models import FindingCount, FiredFinding


def expire_findings(*, before: datetime) -> int:
    gone, _ = FiredFinding.objects.filter(at__lt=before).delete()
    return gone + FindingCount.objects.filter(day__lt=before.date()).delete()[0]
