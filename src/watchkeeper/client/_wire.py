"""What the client must know of the wire format. Repeated here because client and wire may not import each other; a test holds them equal."""

from __future__ import annotations

from enum import StrEnum

ARROW_STREAM = "application/vnd.apache.arrow.stream"
JSON = "application/json"
PREFIX = "/api/v1/ingest"
MAX_BATCH_BYTES = 64 * 1024 * 1024


class Stream(StrEnum):
    """The five calls; the value is the last part of the address."""

    PREDICTIONS = "predictions"
    LABELS = "labels"
    METRICS = "metrics"
    EVENTS = "events"
    TRAINING = "training"
