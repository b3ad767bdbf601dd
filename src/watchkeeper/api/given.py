"""Base of what callers give: unknown fields are an error, not ignored."""

from __future__ import annotations

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict


class Given(Schema):
    model_config = ConfigDict(extra="forbid", from_attributes=True, populate_by_name=True)


WHOLE = BeforeValidator(int)  # of a query: a Literal of numbers takes no text
