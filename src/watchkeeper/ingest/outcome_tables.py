"""How counted outcomes are stored: tables of doubles, compressed, and what may be the name of a segment."""

from __future__ import annotations

import zlib

import numpy as np

from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import Floats

SEGMENT_FIELDS = 10  # at most, in the order in which they were first seen
LONGEST_NAME = 200
WIDTHS = {OutcomeKind.DECISIONS: 6, OutcomeKind.CLASSES: 3}


def is_name(text: str) -> bool:
    """Longer segments are texts, of which each is another."""
    return len(text) <= LONGEST_NAME and "\0" not in text


def pack_table(table: Floats) -> bytes:
    return zlib.compress(np.ascontiguousarray(table, dtype="<f8").tobytes())


def unpack_table(blob: bytes, width: int | None) -> Floats:
    """What `pack_table` was given; one row when no width is known."""
    numbers = np.frombuffer(zlib.decompress(blob), dtype="<f8")
    return numbers.reshape(-1, width or numbers.size or 1)
