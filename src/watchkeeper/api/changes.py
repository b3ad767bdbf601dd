"""The change log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router

from watchkeeper.accounts.rights import is_administrator
from watchkeeper.api import shapes
from watchkeeper.api.auth import caller
from watchkeeper.api.paging import Paging, page
from watchkeeper.history.queries import changes
from watchkeeper.registry import queries as registry

router = Router(tags=["changes"])


@router.get("/changes")
def list_changes(
    request: HttpRequest, paging: Query[Paging], object: str = "", model: str = "", since: datetime | None = None
) -> dict[str, Any]:  # Any: JSON
    """Changes, newest first. `object` is `type` or `type:id`. Without being an administrator: those of models one may see."""
    person = caller(request).who
    kind, _, id = object.partition(":")
    found = changes(model=registry.model_for(person, model).id if model else None, object_type=kind, object_id=id, since=since)
    if not is_administrator(person):
        found = found.filter(model_id__in=registry.visible_ids(person))
    return page(found, paging, shapes.change)
