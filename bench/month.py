"""A month of ten million rows: drift and quality of 27 columns, performance realised and estimated, each day; a whole process, cold, and peers beside.

The peers get a Parquet file with the labels in it; ours joins them by id from a log of their own. NannyML and Evidently run where `make peers` or
`make oracles` has installed them. WATCHKEEPER_BENCH_SIZE takes another size: 100k, 1m.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench import _generated as generated
from bench._month import MODEL, SENT, TIMES
from bench._processes import Cost, cost_of, ours
from bench._table import Row
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.wire import Stream

SIZE = os.environ.get("WATCHKEEPER_BENCH_SIZE", "10m")
ROWS = generated.SIZES[SIZE]
PEER_SECONDS, OUR_SECONDS = 240.0, 400.0
PEERS = {
    "NannyML, Jensen-Shannon": (".oracles", "nannyml_drift"),
    "NannyML, CBPE": (".oracles", "nannyml_estimated"),
    "NannyML, realised ROC AUC": (".oracles", "nannyml_realised"),
    "Evidently, drift, one value a column": (".peers/evidently", "evidently_drift"),
}
GOAL_SECONDS, GOAL_MB, YEAR = 10.0, 1000.0, 365
PLANTED = len(generated.DRIFTED) * (generated.DAYS - generated.DRIFT_FROM)


def run() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = cost_of([sys.executable, "-m", "bench.month", name], most_seconds=OUR_SECONDS)  # apart: a child's peak counts that of who forks it
        assert written.is_whole
        whole = cost_of(ours("bench._month", name, "all"), most_seconds=OUR_SECONDS)
        yield from _whole(whole)
        yield from _parts(name)
        for peer, (environment, what) in PEERS.items():
            yield _peer(peer, Path(environment) / "bin/python", what, folder, whole)


def _whole(whole: Cost) -> Iterator[Row]:
    what = f"month: {ROWS:,} rows x {len(generated.FEATURES) + 2} columns, all of it, cold"
    if not whole.is_whole:
        yield Row(what, f"failed after {whole.seconds:.0f} s", f"<= {GOAL_SECONDS:.0f} s", met=False)
        return
    told = json.loads(whole.output)
    spent = ", ".join(f"{part} {told[part]:.1f}" for part in ("columns", "outcomes", "judged", "estimated"))
    yield Row(what, f"{whole.seconds:.1f} s: {spent}", f"<= {GOAL_SECONDS:.0f} s", met=whole.seconds <= GOAL_SECONDS)
    yield Row("month: its peak memory", f"{whole.megabytes:,.0f} MB", f"<= {GOAL_MB:,.0f} MB", met=whole.megabytes <= GOAL_MB)
    yield Row("month: planted drifts found; estimate off by", f"{told['found']} of {PLANTED}; {told['apart']:.4f} ROC AUC")


def _parts(name: str) -> Iterator[Row]:
    joined = cost_of(ours("bench._month", name, "joined"), most_seconds=OUR_SECONDS)
    yield Row("month: labels joined by id and counted, by itself", _told(joined, "outcomes"))
    columns = cost_of(ours("bench._month", name, "columns"), most_seconds=OUR_SECONDS)
    told = json.loads(columns.output)
    day, year = told["day"] + told["labelled_day"], YEAR / generated.DAYS * (told["columns"] + json.loads(joined.output)["outcomes"])
    share = year / day
    yield Row("month: one more day, its labels too", f"{day:.2f} s, 1/{share:.0f} of a year of such days", "<= 1/200", met=share >= 200)
    repeated = cost_of(ours("bench._month", name, "repeated"), most_seconds=OUR_SECONDS)
    yield Row(
        f"month: columns of {TIMES * ROWS:,} rows, cold", _told(repeated, "columns"), f"<= {GOAL_MB:,.0f} MB", met=repeated.megabytes <= GOAL_MB
    )


def _told(cost: Cost, part: str) -> str:
    return f"{json.loads(cost.output)[part]:.1f} s, {cost.megabytes:,.0f} MB" if cost.is_whole else f"failed after {cost.seconds:.0f} s"


def _peer(peer: str, python: Path, what: str, folder: Path, whole: Cost) -> Row:
    label = f"month: {peer}"
    if not python.exists():
        return Row(label, "not installed (make peers)")
    cost = cost_of(
        [str(python), "bench/_peers.py", what, *(str(folder / f"{side}_rows.parquet") for side in ("reference", "analysis"))],
        most_seconds=PEER_SECONDS,
    )
    ended = "" if cost.is_whole else "not done after "
    return Row(label, f"{ended}{cost.seconds:.0f} s, {cost.megabytes:,.0f} MB; {cost.seconds / whole.seconds:.1f} times all of ours")


def _write(folder: Path) -> None:
    """The log of the reference month and the one after, their labels an hour later, and the same rows as files for the peers."""
    log, sequence = TelemetryLog(folder), 0
    sent = []
    for side, days in (("reference", generated.reference()), ("analysis", generated.analysis(SIZE))):
        with _Writer(folder / f"{side}_rows.parquet") as file:
            for day, rows in days:
                logged = as_logged(day, rows, sequence)
                log.append(MODEL, Stream.PREDICTIONS, logged, lane="bench", sequence=sequence)
                log.append(MODEL, Stream.LABELS, labels_of(day, rows, sequence), lane="bench", sequence=sequence)
                file.write(rows)
                sequence += 1
                if side == "reference":
                    sent.append(logged.drop_columns(["id", "timestamp", "batch", "row", "date"]).take(np.arange(0, len(rows), 10)))
    pq.write_table(pa.concat_tables(sent), folder / SENT)


class _Writer:
    """A Parquet file, one row group a day."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _Writer:
        return self

    def write(self, rows: pa.Table) -> None:
        self.writer = self.writer or pq.ParquetWriter(self.path, rows.schema)
        self.writer.write_table(rows)

    def __exit__(self, *_: object) -> None:
        if self.writer:
            self.writer.close()


def as_logged(day: date, rows: pa.Table, sequence: int) -> pa.Table:
    features = {f"f.{name}": rows[name] for name in generated.FEATURES}
    own = _own(day, sequence, rows["timestamp"].cast(pa.timestamp("us", "UTC")))
    return pa.table(own | {"prediction": rows["prediction"].cast(pa.float64()), "score": rows["score"]} | features)


def labels_of(day: date, rows: pa.Table, sequence: int) -> pa.Table:
    """In another order than the predictions, an hour after the last of the day."""
    told = pa.array(np.full(len(rows), np.datetime64(day + timedelta(days=1, hours=1), "us"))).cast(pa.timestamp("us", "UTC"))
    given = pa.table(_own(day, sequence, told) | {"label": rows["label"].cast(pa.float64())})
    return given.take(np.random.default_rng(sequence).permutation(len(rows))).set_column(4, "date", pa.array([day + timedelta(days=1)] * len(rows)))


def _own(day: date, sequence: int, timestamps: pa.Array) -> dict[str, pa.Array]:
    count = len(timestamps)
    names = np.char.add(f"{sequence:03d}-", (np.arange(count) * 2654435761 % 2**32).astype(str))  # as long as a ULID's random half
    return {
        "id": pa.array(names),
        "timestamp": timestamps,
        "batch": pa.array(np.full(count, sequence)),
        "row": pa.array(np.arange(count, dtype=np.int32)),
        "date": pa.array([day] * count),
    }


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
