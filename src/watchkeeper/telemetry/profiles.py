"""Profiles: additive counts per version and hour of the model's own clock, computed from the log. Does not store them; `pack` makes the blob.

Of rows with the same id the last received counts, looked for in all days that the asked windows touch. Rows of one id further apart count each.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from uuid import UUID

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchkeeper.telemetry.arrow import kind_of
from watchkeeper.telemetry.engines import Engine, FilesGone, Source
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import BINS, score_code
from watchkeeper.telemetry.times import HOUR, MICROSECOND, QUARTER, at_micros, to_micros, window_of, window_starts
from watchkeeper.wire import Stream

NULL = BINS + 2  # the code beside those of score_code

_COLUMNS = {"id": "string", "timestamp": "timestamp", "batch": "int64", "row": "int32", "version": "string", "score": "float64"}
_BLOB_VERSION = 1
_HEAD = struct.Struct("<3q2d")
_READS = 3  # a compaction and a vacuum may take the files away between listing and reading


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What is known of some rows. The counts of a day are the sum of its hours'.

    `score_counts`: below 0, 200 equal bins of [0, 1] with 1 in the last, above 1.
    `score_sum` (Σs) and `score_spread` (Σs(1-s)) are of the bins alone: an infinite score would drown them.
    `rows` counts each id once; `duplicates` are rows that a later one replaced.
    """

    rows: int = 0
    duplicates: int = 0
    score_counts: tuple[int, ...] = (0,) * (BINS + 2)
    score_nulls: int = 0
    score_sum: float = 0.0
    score_spread: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            rows=self.rows + other.rows,
            duplicates=self.duplicates + other.duplicates,
            score_counts=tuple(a + b for a, b in zip(self.score_counts, other.score_counts, strict=True)),
            score_nulls=self.score_nulls + other.score_nulls,
            score_sum=self.score_sum + other.score_sum,
            score_spread=self.score_spread + other.score_spread,
        )


@dataclass(frozen=True, kw_only=True)
class WindowProfile:
    """`start` is the UTC time at which the hour began on the model's clock; `version` is empty when the model names none."""

    version: str
    start: datetime
    counts: Counts


def touched_windows(table: pa.Table, zone: tzinfo) -> set[datetime]:
    """The hour windows that the rows of a decoded table lie in."""
    moments = table["timestamp"].cast(pa.int64()).to_numpy()
    return {at_micros(int(start)) for start in np.unique(window_starts(moments, zone))}


def window_profiles(engine: Engine, log: TelemetryLog, model: UUID | str, windows: Collection[datetime], zone: tzinfo) -> list[WindowProfile]:
    """Profiles of the windows that have rows, ordered by version and start; a window without rows is absent."""
    if not windows:
        return []
    first, end = min(windows), max(windows) + 2 * HOUR  # a clock that goes back half an hour makes an hour of ninety minutes
    asked = {to_micros(window_of(window, zone)) for window in windows}
    counted = _count(engine, log, model, first, end)
    return _profiles(counted, asked, zone) if counted is not None else []


def count_scores(log: ir.Table) -> ir.Table:
    """Rows, replaced rows, Σs and Σs(1-s) of [first, end), by version, quarter of an hour (since 1970, UTC) and score code."""
    received = log.batch.cast("int64") * 2**31 + log.row
    log = log.mutate(is_last=(received == received.max().over(group_by=log.id)).cast("int64"))
    in_bins = log.score.between(0, 1) & ~log.score.isnan()
    coded = log.filter((log.timestamp >= log["first"]) & (log.timestamp < log["end"])).mutate(
        version=log.version.fill_null(""),
        quarter=log.timestamp.truncate("m").epoch_seconds() // int(QUARTER.total_seconds()),  # truncated first: the conversion rounds
        code=score_code(log.score, missing=NULL),
        s=ibis.ifelse(in_bins & (log.is_last == 1), log.score, 0.0),
    )
    return coded.group_by("version", "quarter", "code").agg(
        kept=coded.is_last.sum(),
        replaced=(1 - coded.is_last).sum(),
        s=coded.s.sum(),
        spread=(coded.s * (1 - coded.s)).sum(),
    )


def seen_schema(log: TelemetryLog, model: UUID | str, since: date) -> dict[str, str]:
    """Features that have a value in the days since then, and their kinds."""
    filled = log.filled_columns(model, Stream.PREDICTIONS, since)
    features = [field for field in log.schema(model, Stream.PREDICTIONS) if field.name.startswith("f.") and field.name in filled]
    return {field.name.removeprefix("f."): str(kind_of(field.type)) for field in features}


def pack(counts: Counts) -> bytes:
    """A blob of the counts: version byte, then zlib of little-endian numbers."""
    head = _HEAD.pack(counts.rows, counts.duplicates, counts.score_nulls, counts.score_sum, counts.score_spread)
    return bytes([_BLOB_VERSION]) + zlib.compress(head + np.array(counts.score_counts, dtype="<i8").tobytes())


def unpack(blob: bytes) -> Counts:
    """What `pack` was given."""
    if blob[:1] != bytes([_BLOB_VERSION]):
        raise ValueError(f"The profile has format {blob[:1].hex() or 'none'}; this program reads {_BLOB_VERSION:02x}. Recompute the profile.")
    body = zlib.decompress(blob[1:])
    rows, duplicates, nulls, total, spread = _HEAD.unpack_from(body)
    codes = np.frombuffer(body, dtype="<i8", offset=_HEAD.size)
    return Counts(rows=rows, duplicates=duplicates, score_counts=tuple(codes.tolist()), score_nulls=nulls, score_sum=total, score_spread=spread)


def _count(engine: Engine, log: TelemetryLog, model: UUID | str, first: datetime, end: datetime) -> pa.Table | None:
    """The query's answer for the days of `first` to `end`; None when the log has no file there."""
    for attempt in range(_READS):
        files = log.files(model, Stream.PREDICTIONS, first.astimezone(UTC).date(), (end - MICROSECOND).astimezone(UTC).date())
        if not files:
            return None
        try:
            with engine.reading(Source(files=files, columns=_COLUMNS), moments={"first": first, "end": end}) as rows:
                return rows.run(count_scores)
        except FilesGone:
            if attempt == _READS - 1:
                raise
    raise AssertionError("unreachable")


def _profiles(counted: pa.Table, asked: set[int], zone: tzinfo) -> list[WindowProfile]:
    """Quarters of an hour summed into the asked windows."""
    columns = {name: counted[name].to_numpy() for name in counted.column_names if name != "version"}
    starts = window_starts(columns["quarter"].astype(np.int64) * (QUARTER // MICROSECOND), zone)
    groups: dict[tuple[str, int], list[int]] = {}
    for index, key in enumerate(zip(counted["version"].to_pylist(), starts.tolist(), strict=True)):
        if key[1] in asked:
            groups.setdefault(key, []).append(index)
    return [
        WindowProfile(version=version, start=at_micros(start), counts=_sum({name: column[rows] for name, column in columns.items()}))
        for (version, start), rows in sorted(groups.items())
    ]


def _sum(part: dict[str, NDArray[Any]]) -> Counts:  # Any: counts and sums
    codes = np.zeros(NULL + 1, dtype=np.int64)
    np.add.at(codes, part["code"], part["kept"].astype(np.int64))
    return Counts(
        rows=int(codes.sum()),
        duplicates=int(part["replaced"].sum()),
        score_counts=tuple(codes[:NULL].tolist()),
        score_nulls=int(codes[NULL]),
        score_sum=float(part["s"].sum()),
        score_spread=float(part["spread"].sum()),
    )
