"""How counted outcomes are stored: tables of doubles, compressed, and what may be the name of a segment."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from watchkeeper.telemetry.outcome_queries import NUMBER_SUMS, RANKING_SUMS, OutcomeKind
from watchkeeper.telemetry.outcomes import Floats

SEGMENT_FIELDS = 10  # at most, in the order in which they were first seen
LONGEST_NAME = 200
WIDTHS = {OutcomeKind.DECISIONS: 6, OutcomeKind.CLASSES: 3, OutcomeKind.NUMBERS: len(NUMBER_SUMS), OutcomeKind.RANKINGS: len(RANKING_SUMS)}
_LZ4 = pa.Codec("lz4_raw")  # unpacked five times as fast as by zlib, a sixth larger: a year of segments is thousands of tables
_LENGTH = 4  # bytes of the unpacked length, which lz4 does not keep


def is_name(text: str) -> bool:
    """Longer segments are texts, of which each is another."""
    return len(text) <= LONGEST_NAME and "\0" not in text


def pack_table(table: Floats) -> bytes:
    """One column after the other."""
    body = np.ascontiguousarray(table.T, dtype="<f8").tobytes()
    return len(body).to_bytes(_LENGTH, "little") + bytes(_LZ4.compress(body, asbytes=True))


def unpack_table(blob: bytes, width: int) -> Floats:
    """What `pack_table` was given. Of sums that were stored before there were as many, the later ones are 0."""
    body = _LZ4.decompress(blob[_LENGTH:], decompressed_size=int.from_bytes(blob[:_LENGTH], "little"), asbytes=True)
    numbers = np.frombuffer(body, dtype="<f8")
    if lacking := -numbers.size % width:
        numbers = np.concatenate([numbers, np.zeros(lacking)])
    return numbers.reshape(width, -1).T


EMPTY = pack_table(np.zeros((0, 1)))
