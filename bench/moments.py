"""Second moments of a week of 700,000 rows with a hundred numeric features: daily sums of every pair, and the drift of all together from them."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from bench._table import Row
from watchkeeper.analysis.multivariate import MomentHistory, drift_together
from watchkeeper.telemetry import engines
from watchkeeper.telemetry.bins import make_bins
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.moments import day_moments, moment_columns, pack_moments, row_moments
from watchkeeper.wire import Stream

DAYS, A_DAY, NUMBERS, HIDDEN, PARTS, REFERENCE = 7, 100_000, 100, 10, 5, 10_000
FIRST, MODEL = date(2026, 1, 1), "00000000-0000-4000-8000-000000000001"
KEPT_DAYS = 88  # 28 that were learned of, and the last 60


def run() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        log, chance = TelemetryLog(Path(folder)), np.random.default_rng(1)
        for day in range(DAYS):
            log.append(MODEL, Stream.PREDICTIONS, _rows(chance, day, A_DAY), lane="bench", sequence=day)
        reference = _rows(chance, 0, REFERENCE)
        columns = moment_columns(reference, make_bins(reference.select([f"f.{n}" for n in range(NUMBERS)])).columns, most=NUMBERS)
        engine = engines.get("duckdb").connect(memory_mb=800, threads=2)
        days = [FIRST + timedelta(days=day) for day in range(DAYS)]

        whole, counted = _timed(lambda: day_moments(engine, log, MODEL, columns, days, UTC, last_only=False))
        one, _ = _timed(lambda: day_moments(engine, log, MODEL, columns, days[-1:], UTC, last_only=False))
        there, _ = _timed(lambda: day_moments(engine, log, MODEL, columns, days[-1:], UTC, last_only=False, fetch_at_most=NUMBERS))
    parts = np.stack([row_moments(reference.slice(part, REFERENCE // PARTS), columns) for part in range(0, REFERENCE, REFERENCE // PARTS)])
    history = _history([entry.moments for entry in counted], parts, tuple(column.name for column in columns))
    judged, _ = _timed(lambda: drift_together(history))
    rows = DAYS * A_DAY
    yield Row(f"moments: {rows:,} rows x {NUMBERS} columns, every pair summed by the day", f"{whole:.1f} s, {rows / whole:,.0f} rows/s")
    yield Row(f"moments: one more day of {A_DAY:,} rows", f"{one:.2f} s")
    yield Row("moments: the same day summed by the engine, as larger days are", f"{there:.2f} s")
    yield Row("moments: a stored day", f"{len(pack_moments(counted[0].moments)) / 1024:.0f} KB")
    yield Row(f"moments: drift of {NUMBERS} columns together from {KEPT_DAYS} days", f"{judged * 1000:.0f} ms", "<= 500 ms", met=judged <= 0.5)
    yield Row("moments: peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB", "<= 1,000 MB")


Done = TypeVar("Done")


def _timed(work: Callable[[], Done]) -> tuple[float, Done]:
    start = time.perf_counter()
    done = work()
    return time.perf_counter() - start, done


def _rows(chance: np.random.Generator, day: int, count: int) -> pa.Table:
    """A day in log form: numbers that a few hidden ones make."""
    start = np.datetime64(FIRST + timedelta(days=day), "us")
    moments = start + chance.integers(0, 86_400_000_000, count).astype("timedelta64[us]")
    weights = np.random.default_rng(0).normal(size=(HIDDEN, NUMBERS))
    values = chance.normal(size=(count, HIDDEN)) @ weights + chance.normal(size=(count, NUMBERS))
    columns: dict[str, pa.Array] = {
        "id": pa.array([f"{day}-{n}" for n in range(count)]),
        "timestamp": pa.array(moments).cast(pa.timestamp("us", "UTC")),
        "batch": pa.array(np.full(count, day)),
        "row": pa.array(np.arange(count, dtype=np.int32)),
        "date": pa.array([FIRST + timedelta(days=day)] * count),
    }
    return pa.table(columns | {f"f.{n}": pa.array(values[:, n]) for n in range(NUMBERS)})


def _history(counted: list[np.ndarray], parts: np.ndarray, names: tuple[str, ...]) -> MomentHistory:
    """The week many times over."""
    days = tuple(FIRST + timedelta(days=day) for day in range(KEPT_DAYS))
    ends = tuple(datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1) for day in days)
    moments = np.stack([counted[day % DAYS] for day in range(KEPT_DAYS)])
    return MomentHistory(now=ends[-1], columns=names, reference=parts, days=days, ends=ends, moments=moments)
