"""Reads of the change log."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from watchkeeper.history.models import Change


def changes(*, model: UUID | None = None, object_type: str = "", object_id: str = "", since: datetime | None = None) -> QuerySet[Change]:
    """Newest first; the filters combine."""
    found = Change.objects.select_related("seal").order_by("-at", "-id")
    if model:
        found = found.filter(model_id=model)
    if object_type:
        found = found.filter(object_type=object_type)
    if object_id:
        found = found.filter(object_id=object_id)
    if since:
        found = found.filter(at__gte=since)
    return found
