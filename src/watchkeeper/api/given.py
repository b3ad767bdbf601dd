"""Base of what callers give: unknown fields are an error, not ignored."""

from __future__ import annotations

from ninja import Schema
from pydantic import ConfigDict


class Given(Schema):
    model_config = ConfigDict(extra="forbid", from_attributes=True, populate_by_name=True)
