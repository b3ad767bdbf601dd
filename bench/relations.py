"""Features related to labels: 3 million labelled rows with twenty numeric features, summed by the day, as the page of a feature reads them."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from bench._table import Row
from watchkeeper.analysis.causes import feature_shifts
from watchkeeper.analysis.relations import Relations, biases, outcome_by
from watchkeeper.telemetry import engines
from watchkeeper.telemetry.bins import make_bins
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.relations import day_relations, pack_relations, relation_layout, unpack_relations
from watchkeeper.wire import Stream

DAYS, A_DAY, NUMBERS, REFERENCE = 30, 100_000, 20, 10_000
FIRST, MODEL = date(2026, 1, 1), "00000000-0000-4000-8000-000000000001"
SHOWN_DAYS = 56  # the reference, and the last four weeks


def run() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        log, chance = TelemetryLog(Path(folder)), np.random.default_rng(1)
        for day in range(DAYS):
            predictions, labels = _rows(chance, day, A_DAY)
            log.append(MODEL, Stream.PREDICTIONS, predictions, lane="bench", sequence=day)
            log.append(MODEL, Stream.LABELS, labels, lane="bench", sequence=day)
        reference, _ = _rows(chance, 0, REFERENCE)
        layout = relation_layout(make_bins(reference.select([f"f.{n}" for n in range(NUMBERS)])))
        engine = engines.get("duckdb").connect(memory_mb=800, threads=2)
        days = [FIRST + timedelta(days=day) for day in range(DAYS)]
        kind = OutcomeKind.NUMBERS

        whole, counted = _timed(lambda: day_relations(engine, log, MODEL, layout, kind, days, UTC, label_days=400, last_only=False))
        one, _ = _timed(lambda: day_relations(engine, log, MODEL, layout, kind, days[:1], UTC, label_days=400, last_only=False))
        most = A_DAY * (NUMBERS + 5) // 4
        parts, _ = _timed(lambda: day_relations(engine, log, MODEL, layout, kind, days[:1], UTC, label_days=400, last_only=False, fetch_at_most=most))
    stored = [pack_relations(entry.sums) for entry in counted]
    every = [stored[day % DAYS] for day in range(SHOWN_DAYS)]
    read, one_feature = _timed(lambda: sum(unpack_relations(layout, blob, only="f.0") for blob in every))
    read_all, sums = _timed(lambda: sum(unpack_relations(layout, blob) for blob in every))
    relations = Relations(layout=layout, days=tuple(days), sums=np.asarray(sums))
    sums_of = relations.features["f.0"]
    shown, _ = _timed(lambda: outcome_by(sums_of, sums_of))
    told, _ = _timed(lambda: (biases(relations), feature_shifts(relations, relations)))
    rows = DAYS * A_DAY
    assert one_feature is not None
    yield Row(f"relations: {rows:,} labelled rows x {NUMBERS} features, summed by the day", f"{whole:.1f} s, {rows / whole:,.0f} rows/s")
    yield Row(f"relations: one more day of {A_DAY:,} rows, labels of all days in reach", f"{one:.2f} s")
    yield Row("relations: the same day in four parts, as larger days are", f"{parts:.2f} s")
    yield Row("relations: a stored day", f"{len(stored[0]) / 1024:.0f} KB")
    yield Row(f"relations: a feature's bins from {SHOWN_DAYS} days, read and reckoned", f"{(read + shown) * 1000:.0f} ms")
    yield Row(f"relations: bias and shifts of {NUMBERS} features from {SHOWN_DAYS} days", f"{(read_all + told) * 1000:.0f} ms")
    yield Row("relations: peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


Done = TypeVar("Done")


def _timed(work: Callable[[], Done]) -> tuple[float, Done]:
    start = time.perf_counter()
    done = work()
    return time.perf_counter() - start, done


def _rows(chance: np.random.Generator, day: int, count: int) -> tuple[pa.Table, pa.Table]:
    """A day in log form, and its labels, which come a day later."""
    start = np.datetime64(FIRST + timedelta(days=day), "us")
    moments = start + chance.integers(0, 86_400_000_000, count).astype("timedelta64[us]")
    values, said = chance.normal(size=(count, NUMBERS)), chance.normal(100, 10, count)
    ids = pa.array([f"{day}-{n}" for n in range(count)])
    own = {"id": ids, "batch": pa.array(np.full(count, day)), "row": pa.array(np.arange(count, dtype=np.int32))}
    predictions = {
        **own,
        "timestamp": pa.array(moments).cast(pa.timestamp("us", "UTC")),
        "date": pa.array([FIRST + timedelta(days=day)] * count),
        "prediction": pa.array(said),
    }
    labels = {
        **own,
        "timestamp": pa.array(moments + np.timedelta64(1, "D")).cast(pa.timestamp("us", "UTC")),
        "date": pa.array([FIRST + timedelta(days=day + 1)] * count),
        "label": pa.array(said + values[:, 0] + chance.normal(size=count)),
    }
    return pa.table(predictions | {f"f.{n}": pa.array(values[:, n]) for n in range(NUMBERS)}), pa.table(labels)
