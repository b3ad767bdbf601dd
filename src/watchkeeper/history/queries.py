"""Reads of the change log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
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


def changes_among(  # Any: ids or a QuerySet of them
    models: Iterable[Any] | None, *, model: UUID | None = None, on: str = "", id: str = "", actor: str = "", since: datetime | None = None
) -> QuerySet[Change]:
    """Changes of these models only (None: of everything), newest first; the other filters combine. `models`: ids, or a subquery of ids."""
    found = changes(model=model, object_type=on, object_id=id, since=since)
    if models is not None:
        found = found.filter(model_id__in=models)
    return found.filter(actor_id=actor) if actor else found


def object_types() -> list[str]:
    return sorted(set(Change.objects.values_list("object_type", flat=True).distinct()))


def unsealed() -> int:
    """How long the tail is that the chain does not cover yet."""
    return Change.objects.filter(seal__isnull=True).count()
