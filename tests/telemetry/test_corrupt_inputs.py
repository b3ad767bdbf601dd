"""Whatever is logged or checked, profiling ends in a verdict or in a sentence, and in bounded memory. Ten thousand inputs with `--long`, a few always."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Runs
from watchkeeper.analysis import CannotCheck, check_files
from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.drift import DriftLimits, column_drifts
from watchkeeper.analysis.metrics import METRICS
from watchkeeper.analysis.scale import scale_changes
from watchkeeper.analysis.shares import column_shares, nulls, out_of_range, unseen
from watchkeeper.analysis.slow import slow_drifts
from watchkeeper.stats.drift import Verdict
from watchkeeper.telemetry import engines
from watchkeeper.telemetry.bins import Layout, count_rows, make_bins
from watchkeeper.telemetry.columns import column_profiles
from watchkeeper.telemetry.decode import Decoded, decode
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import day_outcomes
from watchkeeper.wire import Stream

MODEL = UUID("00000000-0000-4000-8000-000000000007")
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
ABSURD: list[Any] = [
    None, True, False, 0, -0.0, 1, 2**53 + 1, 2**63, -(2**200), 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf"), "", " ", "NaN", "1,5",
    "\x00", "é", "Ã©", "\u202etxt", "𝔘" * 50, "x" * 5000, "1900-01-01T00:00:00Z", "2200-01-01T00:00:00Z", "2026-02-30", [], [1, None], [1e308] * 40, ["a"], {},
]  # fmt: skip
TIMES: list[Any] = [
    "1900-01-01T00:00:00Z",
    "2200-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
    "2149-06-07",
    "noon",
    0,
    1e18,
    -1,
    None,
    "2026-03-29T02:30:00",
]
MOST_MB = 250  # more than after the first twentieth


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = engines.get("duckdb").connect(memory_mb=400, threads=2)
    yield engine
    engine.close()


def usual(chance: random.Random, kind: str) -> Any:
    """What an honest source sends for a column of this kind."""
    return {
        "number": lambda: chance.gauss(50, 10),
        "whole": lambda: chance.randrange(100),
        "huge": lambda: chance.gauss(0, 1) * 1e300,
        "text": lambda: chance.choice(["north", "south", "Ост"]),
        "distinct": lambda: f"{chance.random()}",
        "flag": lambda: chance.random() < 0.5,
        "time": lambda: (NOON + timedelta(seconds=chance.randrange(10**6))).isoformat(),
        "vector": lambda: [chance.random() for _ in range(4)],
        "constant": lambda: 7,
    }[kind]()


KINDS = ("number", "whole", "huge", "text", "distinct", "flag", "time", "vector", "constant")


def batches(chance: random.Random) -> tuple[list[list[dict[str, Any]]], list[dict[str, Any]]]:
    """A few batches of predictions and their labels; of each batch some cells are absurd, and in some a column has become another kind."""
    kinds = {f"c{n}": chance.choice(KINDS) for n in range(chance.randrange(1, 7))}
    made, labels = [], []
    for batch in range(chance.randrange(1, 4)):
        if batch and chance.random() < 0.4:
            kinds[chance.choice([*kinds])] = chance.choice(KINDS)
        share = chance.choice([0.0, 0.02, 0.3, 1.0])
        rows = [_row(chance, kinds, f"{batch}-{n}", batch, share) for n in range(chance.choice([0, 1, 2, 30, 400]))]
        made.append(rows)
        labels += [{"id": row.get("id"), "label": _or_absurd(chance, share, chance.random() < 0.3)} for row in rows if chance.random() < 0.8]
    return made, labels


def _row(chance: random.Random, kinds: dict[str, str], id: str, day: int, share: float) -> dict[str, Any]:
    at: Any = (NOON + timedelta(days=day, minutes=chance.randrange(600))).isoformat()
    return {
        "id": _or_absurd(chance, share / 20, id),
        "timestamp": chance.choice(TIMES) if chance.random() < share / 5 else at,
        "score": _or_absurd(chance, share, chance.random()),
        "prediction": _or_absurd(chance, share, chance.random() < 0.5),
        "features": {name: _or_absurd(chance, share, usual(chance, kind)) for name, kind in kinds.items()},
        "region": _or_absurd(chance, share, chance.choice("ab")),
    }


def _or_absurd(chance: random.Random, share: float, value: Any) -> Any:
    return chance.choice(ABSURD) if chance.random() < share else value


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_logs_of_anything_end_in_a_verdict(engine: Engine, tmp_path: Path, runs: Runs) -> None:
    tries, ends = runs(15, 9000), Counter[str]()
    first_mb = 0.0
    for seed in range(tries):
        ends.update(_profiled(engine, tmp_path / str(seed), random.Random(seed)))  # noqa: S311 - a test's dice
        first_mb = _memory_mb() if seed == tries // 20 else first_mb

    print(f"{tries:,} logs: {dict(ends.most_common())}; {_memory_mb() - first_mb:+.0f} MB since the first twentieth")
    assert {"no rows", "drift", "no drift", "refused"} <= ends.keys() or tries < 1000
    assert _memory_mb() - first_mb < MOST_MB


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss / 2**20)


def _profiled(engine: Engine, folder: Path, chance: random.Random) -> Counter[str]:
    """Decode, log, count and judge; what it ended in."""
    log, known, ends = TelemetryLog(folder), dict[str, str](), Counter[str]()
    sent, labels = batches(chance)
    for number, rows in enumerate(sent):
        decoded = _logged(log, Stream.PREDICTIONS, rows, known, number)
        ends["refused"] += len(decoded.refused)
    _logged(log, Stream.LABELS, labels, {}, 0)
    days = [NOON.date() + timedelta(days=day) for day in range(-1, 5)]
    reference = _features(log, days)
    if reference is None:
        return ends + Counter(["no rows"])
    layout = make_bins(reference)
    profiles = column_profiles(engine, log, MODEL, layout, days, UTC, last_only=chance.random() < 0.5)
    for profile in profiles:
        for column in layout.columns:
            assert profile.counts.counts[layout.slices[column.name]].sum() == profile.counts.rows, column
    history = _history(layout, reference, [(profile.day, profile.counts) for profile in profiles])
    ends.update(_verdicts(history))
    _judge_outcomes(engine, log, days, chance)
    return ends


def _logged(log: TelemetryLog, stream: Stream, rows: list[dict[str, Any]], known: dict[str, str], number: int) -> Decoded:
    decoded = decode(stream, rows, known=known, zone=UTC, batch=number, received_at=NOON)
    assert len(decoded.table) + len(decoded.refused) == len(rows)
    assert all(refused.message and refused.remedy for refused in decoded.refused)
    known.update(decoded.learned)
    if len(decoded.table):
        log.append(MODEL, stream, decoded.table, lane="test", sequence=number)
    return decoded


def _features(log: TelemetryLog, days: list[date]) -> pa.Table | None:
    rows = log.sample(MODEL, Stream.PREDICTIONS, days[0], days[-1], 1000)
    names = [name for name in rows.column_names if name.startswith(("f.", "score", "prediction")) and rows[name].null_count < len(rows)]
    return rows.select(names) if names else None


def _history(layout: Layout, reference: pa.Table, counted: list[tuple[date, Any]]) -> ColumnHistory:
    """The counted days, after four weeks that look like the reference's halves."""
    usual_days = [count_rows(layout, reference.slice(n % 2, max(1, len(reference) // 2))) for n in range(28)]
    counts = [*usual_days, *(counts for _, counts in counted)]
    days = tuple(NOON.date() + timedelta(days=n) for n in range(len(counts)))
    return ColumnHistory(
        now=NOON + timedelta(days=len(counts)),
        layout=layout,
        reference=count_rows(layout, reference),
        days=days,
        ends=tuple(datetime.combine(day, datetime.max.time(), UTC) for day in days),
        rows=np.array([entry.rows for entry in counts], dtype=np.int64),
        counts=np.array([entry.counts for entry in counts], dtype=np.int64),
        sums=np.array([entry.sums for entry in counts]),
    )


def _verdicts(history: ColumnHistory) -> Iterator[str]:
    names = [*history.columns]
    for window in (1, 7):
        for drift in column_drifts(history, names, DriftLimits(), window=window):
            assert 0 <= drift.adjusted <= 1
            assert drift.test.verdict is Verdict.INSUFFICIENT or np.isfinite(drift.test.psi)
            yield drift.test.verdict.value
    for places in (nulls, unseen, out_of_range):
        assert all(0 <= share.share <= 1 and 0 <= share.p_value <= 1 for share in column_shares(history, names, places))
    assert all(drift.evidence >= 0 for drift in slow_drifts(history, names, days=30))
    scale_changes(history, names)


def _judge_outcomes(engine: Engine, log: TelemetryLog, days: list[date], chance: random.Random) -> None:
    types = {field.name: field.type for stream in (Stream.PREDICTIONS, Stream.LABELS) for field in log.schema(MODEL, stream)}
    are_numbers = types.get("prediction") == types.get("label") == pa.float64()
    kind = chance.choice([kind for kind in OutcomeKind if are_numbers or kind is not OutcomeKind.NUMBERS])
    entries = day_outcomes(engine, log, MODEL, kind, ["region"], days, UTC, label_days=10, last_only=chance.random() < 0.5)
    pooled = [entry for entry in entries if not entry.field]
    assert all(0 <= entry.labelled <= entry.rows for entry in pooled)
    for metric in METRICS[kind]:
        result = metric.compute(pooled)
        assert not result.is_ok or result.low <= result.estimate <= result.high


def test_files_of_anything_end_in_a_verdict_or_a_sentence(tmp_path: Path, runs: Runs) -> None:
    tries, ends = runs(40, 1000), Counter[str]()
    for seed in range(tries):
        chance = random.Random(seed)  # noqa: S311 - a test's dice
        kinds = {f"c{n}": chance.choice([kind for kind in KINDS if kind != "vector"]) for n in range(chance.randrange(1, 5))}
        baseline = _file(chance, tmp_path / f"{seed}-a", kinds)
        if chance.random() < 0.3:
            kinds[chance.choice([*kinds])] = chance.choice([kind for kind in KINDS if kind != "vector"])
        current = _file(chance, tmp_path / f"{seed}-b", kinds)
        try:
            ends[check_files(current, baseline).outcome.value] += 1
        except CannotCheck as problem:
            ends["refused" if problem.detail and problem.remedy else "refused without a word"] += 1

    print(f"{tries:,} pairs of files: {dict(ends.most_common())}")
    assert ends.keys() <= {"fired", "quiet", "unknown", "refused"}
    assert len(ends) == 4 or tries < 1000


def _file(chance: random.Random, path: Path, kinds: dict[str, str]) -> Path:
    """A table as Parquet or CSV; some with bytes that somebody broke, in an encoding of old, or cut off."""
    rows = [{name: usual(chance, kind) for name, kind in kinds.items()} for _ in range(chance.choice([0, 1, 50, 500, 500, 500, 500]))]
    if chance.random() < 0.5:
        path = path.with_suffix(".parquet")
        pq.write_table(pa.Table.from_pylist(rows) if rows else pa.table({name: pa.array([], pa.float64()) for name in kinds}), path)
    else:
        path, share = path.with_suffix(".csv"), chance.choice([0.0, 0.0, 0.02])
        encoding = chance.choice(["utf-8", "utf-8", "utf-8", "utf-16", "cp1251"])
        lines = [",".join(kinds), *(",".join(str(_or_absurd(chance, share, cell)) for cell in row.values()) for row in rows)]
        path.write_bytes("\n".join(lines).encode(encoding, errors="replace"))
    if chance.random() < 0.1:
        whole = bytearray(path.read_bytes())
        for _ in range(chance.randrange(1, 30)):
            whole[chance.randrange(len(whole))] = chance.randrange(256)
        path.write_bytes(whole[: chance.randrange(1, len(whole) + 1)] if chance.random() < 0.5 else whole)
    return path


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("sent", [[5e-324] * 3, [0, 5e-324], [1e308, -1e308], [1.7e308] * 4, [1e-310] * 3, [7] * 3, [1e20] * 3, [float("inf")] * 3])
def test_numbers_at_the_ends_of_what_a_float_holds_have_bins(sent: list[float]) -> None:
    rows = pa.table({"f.x": pa.array(np.array(sent, dtype=np.float64))})
    (column,) = make_bins(rows).columns

    assert column.low < column.high < np.inf
    assert count_rows(make_bins(rows), rows).counts.sum() == len(sent)


def test_five_thousand_columns_are_refused_beyond_what_a_log_holds(tmp_path: Path, runs: Runs) -> None:
    rows = [{"id": f"{n}", "timestamp": NOON.isoformat(), "features": {f"c{c}": n + c for c in range(5000)}} for n in range(3)]
    decoded = decode(Stream.PREDICTIONS, rows, known={}, zone=UTC, batch=0, received_at=NOON)

    assert (len(decoded.table), len(decoded.refused)) == (0, 3)
    assert "at most 2000" in decoded.refused[0].message

    wide = runs(700, 5000)
    table = pa.table({f"c{c}": np.arange(300.0) for c in range(wide)})
    pq.write_table(table, tmp_path / "wide.parquet")
    report = check_files(tmp_path / "wide.parquet", tmp_path / "wide.parquet")
    assert (len(report.columns), len(report.left_out)) == (500, wide - 500)


def test_a_column_of_distinct_strings_is_counted_in_bounded_memory(engine: Engine, tmp_path: Path, runs: Runs) -> None:
    """Ten million with --long: as features of a log and as a file."""
    parts, size = runs(2, 100), 100_000
    log = TelemetryLog(tmp_path / "log")
    for part in range(parts):
        rows = pa.table(
            {
                "id": pa.array([f"{part}-{n}" for n in range(size)]),
                "timestamp": pa.array([NOON] * size, pa.timestamp("us", "UTC")),
                "batch": pa.array(np.full(size, part)),
                "row": pa.array(np.arange(size, dtype=np.int32)),
                "f.name": pa.array([f"customer {part} {n}" for n in range(size)]),
                "date": pa.array([NOON.date()] * size),
            }
        )
        log.append(MODEL, Stream.PREDICTIONS, rows, lane="test", sequence=part)
    few = make_bins(pa.table({"f.name": ["a", "b"] * 50}))
    before = _memory_mb()

    (profile,) = column_profiles(engine, log, MODEL, few, [NOON.date()], UTC, last_only=False)

    print(f"{parts * size:,} distinct strings: {_memory_mb() - before:+.0f} MB")
    assert profile.counts.counts.tolist() == [0, 0, 0, parts * size, 0]
    assert _memory_mb() - before < 900
    kinds = [column.kind for column in make_bins(log.sample(MODEL, Stream.PREDICTIONS, NOON.date(), NOON.date(), 5000).select(["f.name"])).columns]
    assert kinds == ["presence"]
