"""Predictions as Arrow bodies: 27 columns of a binary classifier with a fixed seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

NUMBERS, LEVELS = 18, (10, 50, 100, 500, 1000)
COLUMNS = 4 + NUMBERS + len(LEVELS)  # id, timestamp, prediction, score, features


def body(rows: int, *, seed: int) -> bytes:
    """One batch of the last hour as an Arrow IPC stream, without compression."""
    rng = np.random.default_rng(seed)
    start = datetime.now(UTC) - timedelta(hours=1)
    score = rng.random(rows)
    columns: dict[str, pa.Array] = {
        "id": pa.array([f"{seed}-{n}" for n in range(rows)]),
        "timestamp": pa.array(np.datetime64(start.replace(tzinfo=None), "us") + np.sort(rng.integers(0, 3_000_000_000, rows))).cast(
            pa.timestamp("us", "UTC")
        ),
        "prediction": pa.array(score >= 0.5),
        "score": pa.array(score),
        **{f"f.n{n:02d}": pa.array(rng.normal(size=rows)) for n in range(NUMBERS)},
        **{f"f.c{n}": pa.array([f"level {code:04d}" for code in rng.integers(0, levels, rows)]) for n, levels in enumerate(LEVELS)},
    }
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
