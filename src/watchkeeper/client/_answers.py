"""What an HTTP answer means for a batch. Does not act on it."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import httpx

MAX_RETRY_AFTER = 3600.0


class Verdict(StrEnum):
    """What becomes of a batch."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # this batch will never be accepted
    BLOCKED = "blocked"  # a person must act: token, address
    RETIRED = "retired"  # the model is: nothing will be accepted any more
    LATER = "later"


def verdict(response: httpx.Response) -> Verdict:
    status = response.status_code
    if response.is_success or (status == 409 and answer(response).get("duplicate") is True):
        return Verdict.DELIVERED
    if status == 410:
        return Verdict.RETIRED
    if status in (401, 403) or status < 400:  # an unfollowed redirect: the address is not quite right
        return Verdict.BLOCKED
    if status in (408, 425, 429) or status >= 500:
        return Verdict.LATER
    return Verdict.REFUSED


def answer(response: httpx.Response) -> dict[str, Any]:  # Any: JSON
    """The answer's JSON object; empty when a proxy or a stranger answered."""
    try:
        told = response.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def reason(response: httpx.Response) -> str:
    """The server's own words: a problem's detail (RFC 9457), or the first row error."""
    told = answer(response)
    words = told.get("detail") or told.get("title") or first_error(told) or response.reason_phrase
    return f"HTTP {response.status_code} {words}"[:500].strip().rstrip(".")


def first_error(told: dict[str, Any]) -> str:  # Any: JSON
    match told.get("errors"):
        case [{"row": row, "field": field, "message": message, **rest}, *_]:
            return f"row {row}, {field}: {message}. {rest.get('remedy', '')}".strip()
    return ""


def retry_after(response: httpx.Response) -> float:
    """Seconds the server asks to wait, given as a number or a date; 0 when it does not ask."""
    asked = response.headers.get("Retry-After", "")
    try:
        seconds = float(asked) if asked.replace(".", "", 1).isdigit() else parsedate_to_datetime(asked).timestamp() - time.time()
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
