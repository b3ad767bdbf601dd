"""What the frame of every page shows: the tree of units, counts, the platform's pulse."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def context(request: HttpRequest) -> dict[str, Any]:  # Any: template context
    return {}
