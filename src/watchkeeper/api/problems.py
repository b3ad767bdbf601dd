"""Errors as RFC 9457 problem documents: what is wrong, and what to do."""

from __future__ import annotations

from typing import Any

from watchkeeper.core.errors import TooMany, Unavailable, WatchkeeperError
from watchkeeper.history.services import plain

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5


def problem(error: WatchkeeperError) -> dict[str, Any]:  # Any: JSON
    document: dict[str, Any] = {"type": "about:blank", "title": error.title, "status": error.status, "detail": error.detail}
    if error.remedy:
        document["remedy"] = error.remedy
    if error.fields:
        document["fields"] = error.fields
    return {**document, **plain(error.extra)}


def headers(error: WatchkeeperError) -> dict[str, str]:
    found = {"Content-Type": MEDIA_TYPE}
    if isinstance(error, TooMany | Unavailable):
        found["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if error.status == 401:
        found["WWW-Authenticate"] = "Bearer"
    return found
