"""Pages of lists: `?limit=&offset=`, answered as `{items, count, limit, offset}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from ninja import Field, Schema

Row = TypeVar("Row", bound=Model)


class Paging(Schema):
    limit: int = Field(50, ge=1, le=500)
    offset: int = Field(0, ge=0, le=10_000_000)


def page(found: QuerySet[Row], paging: Paging, show: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:  # Any: JSON
    rows = found[paging.offset : paging.offset + paging.limit]
    return {"items": [show(row) for row in rows], "count": found.count(), "limit": paging.limit, "offset": paging.offset}
