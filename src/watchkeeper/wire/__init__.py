"""The event format that client and server share: names, limits, batch digests. Only the standard library; validation is in `wire.rows`."""

from __future__ import annotations

import hashlib
from enum import StrEnum

ARROW_STREAM = "application/vnd.apache.arrow.stream"
JSON = "application/json"
PREFIX = "/api/v1/ingest"

MAX_SINGLE_BYTES = 256 * 1024  # one row
MAX_BATCH_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 32
FIRST_YEAR, LAST_YEAR = 1970, 2149  # beyond them some engines wrap dates around: such rows are quarantined


class Stream(StrEnum):
    """The five calls, and the heartbeat that arrives as an event of type "heartbeat"."""

    PREDICTIONS = "predictions"
    LABELS = "labels"
    METRICS = "metrics"
    EVENTS = "events"
    TRAINING = "training"
    HEARTBEAT = "heartbeat"


def content_digest(body: bytes) -> str:
    """What makes two batches of one id the same: SHA-256 of the bytes as sent (after content decoding)."""
    return hashlib.sha256(body).hexdigest()
