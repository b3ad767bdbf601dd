"""Column profiles of a month of three million rows, 20 numbers and 5 categories: daily counts in 256 bins, and the drift of every column from them."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from math import inf
from pathlib import Path
from typing import TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from bench._table import Row
from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.drift import DriftLimits, column_drifts
from watchkeeper.telemetry import engines
from watchkeeper.telemetry.bins import Layout, count_rows, make_bins
from watchkeeper.telemetry.columns import DayProfile, column_profiles
from watchkeeper.telemetry.derived_bins import derived_bins
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.parquet import parquet
from watchkeeper.wire import Stream

DAYS, A_DAY, NUMBERS, LEVELS = 30, 100_000, 20, (10, 50, 100, 500, 1000)
FIRST, MODEL = date(2026, 1, 1), "00000000-0000-4000-8000-000000000001"
YEAR = 365
ROUNDS = 3  # one after the other by turns; the best counts


def run() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        log, chance = TelemetryLog(Path(folder)), np.random.default_rng(1)
        for day in range(DAYS):
            log.append(MODEL, Stream.PREDICTIONS, _rows(chance, day), lane="bench", sequence=day)
        reference = _rows(chance, 0).select([f"f.{n}" for n in range(NUMBERS + len(LEVELS))])
        layout = make_bins(reference)
        derived = Layout((*layout.columns, *derived_bins(reference)))
        engine = engines.get("duckdb").connect(memory_mb=800, threads=2)
        days = [FIRST + timedelta(days=day) for day in range(DAYS)]

        first, profiles = _timed(lambda: column_profiles(engine, log, MODEL, layout, days, UTC, last_only=False))
        whole, bare = inf, inf
        for _ in range(ROUNDS):
            whole = min(whole, _timed(lambda: column_profiles(engine, log, MODEL, layout, days, UTC, last_only=False))[0])
            bare = min(bare, _timed(lambda: _bare(log, layout))[0])
        more = min(_timed(lambda: column_profiles(engine, log, MODEL, derived, days, UTC, last_only=False))[0] for _ in range(ROUNDS))
        one, _ = _timed(lambda: column_profiles(engine, log, MODEL, layout, days[-1:], UTC, last_only=False))
        year = _year(layout, reference, profiles)
        judged, _ = _timed(lambda: column_drifts(year, list(layout.slices), DriftLimits()))
    rows = DAYS * A_DAY
    yield Row(
        f"columns: {rows:,} rows x {NUMBERS + len(LEVELS)} columns counted by the day",
        f"{whole:.2f} s, {rows / whole:,.0f} rows/s; {first:.2f} s the first time",
    )
    yield Row("columns: the same counts by DuckDB's own SQL", f"{bare:.2f} s, ratio {whole / bare:.2f}", "<= 1.3", met=whole / bare <= 1.3)
    yield Row("columns: with the unusual values of each row", f"{more:.1f} s, ratio {more / whole:.2f}", "<= 1.5", met=more / whole <= 1.5)
    yield Row(f"columns: one more day of {A_DAY:,} rows", f"{one:.2f} s")
    yield Row(f"columns: drift of {len(layout.columns)} columns from a year of days", f"{judged * 1000:.0f} ms", "<= 50 ms", met=judged <= 0.05)
    yield Row("columns: peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB", "<= 1,000 MB")


Done = TypeVar("Done")


def _timed(work: Callable[[], Done]) -> tuple[float, Done]:
    start = time.perf_counter()
    done = work()
    return time.perf_counter() - start, done


def _rows(chance: np.random.Generator, day: int) -> pa.Table:
    """A day in log form."""
    start = np.datetime64(FIRST + timedelta(days=day), "us")
    moments = start + chance.integers(0, 86_400_000_000, A_DAY).astype("timedelta64[us]")
    columns: dict[str, pa.Array] = {
        "id": pa.array([f"{day}-{n}" for n in range(A_DAY)]),
        "timestamp": pa.array(moments).cast(pa.timestamp("us", "UTC")),
        "batch": pa.array(np.full(A_DAY, day)),
        "row": pa.array(np.arange(A_DAY, dtype=np.int32)),
        "date": pa.array([FIRST + timedelta(days=day)] * A_DAY),
    }
    for n in range(NUMBERS):
        columns[f"f.{n}"] = pa.array(chance.normal(size=A_DAY) if n % 2 else chance.lognormal(size=A_DAY))
    for n, levels in enumerate(LEVELS, start=NUMBERS):
        columns[f"f.{n}"] = pa.array([f"level {k}" for k in range(levels)]).take(pa.array(chance.integers(0, levels, A_DAY)))
    return pa.table(columns)


def _bare(log: TelemetryLog, layout: Layout) -> None:
    """One grouped count per column, as short as SQL can say it."""
    with duckdb.connect(config={"memory_limit": "800MB", "threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        files = parquet(log.files(MODEL, Stream.PREDICTIONS, FIRST, FIRST + timedelta(days=DAYS)))
        for column in layout.columns:
            name = f'"{column.name}"'
            if column.kind == "number":
                low, high = column.span
                code = f"CAST(floor(({name} - {low}) * {256 / (high - low)}) AS SMALLINT)"
                sql = f"SELECT epoch_us(timestamp) // 86400000000 d, {code} b, count(*), sum({name}), sum({name} * {name}) FROM {files} GROUP BY ALL"  # noqa: S608 - our own names
            else:
                sql = f"SELECT epoch_us(timestamp) // 86400000000 d, {name} b, count(*) FROM {files} GROUP BY ALL"  # noqa: S608 - our own names
            connection.sql(sql).to_arrow_table()


def _year(layout: Layout, reference: pa.Table, profiles: list[DayProfile]) -> ColumnHistory:
    """The month twelve times over."""
    counted = [profiles[day % DAYS].counts for day in range(YEAR)]
    days = tuple(FIRST + timedelta(days=day) for day in range(YEAR))
    return ColumnHistory(
        now=datetime.combine(days[-1], datetime.min.time(), UTC) + timedelta(days=1),
        layout=layout,
        reference=count_rows(layout, reference),
        days=days,
        ends=tuple(datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1) for day in days),
        rows=np.array([counts.rows for counts in counted], dtype=np.int64),
        counts=np.array([counts.counts for counts in counted], dtype=np.int64),
        sums=np.array([counts.sums for counts in counted]),
    )
