"""The generated log beside NannyML: planted drifts found, false alarms, and performance told before labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from bench import _generated as generated
from bench._generated import DRIFT_FROM, DRIFTED, FEATURES
from tests.oracles.classified import TRUTHS, scores_of, unlabelled
from tests.oracles.oracle import Oracle
from tests.oracles.shown import show
from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.drift import DriftLimits, column_drifts
from watchkeeper.stats.estimated import CalibrationMap, estimates
from watchkeeper.stats.scores import ScoreTable
from watchkeeper.telemetry import engines
from watchkeeper.telemetry.bins import ColumnCounts, Layout, count_rows, make_bins
from watchkeeper.telemetry.columns import DayProfile, column_profiles
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.wire import Stream

MODEL = "00000000-0000-4000-8000-000000000001"
DAY = timedelta(days=1)
DAILY = {"chunk_period": "D", "timestamp_column_name": "timestamp"}
METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc")
BINARY = ["timestamp", "score", "prediction", "label"]
TARGETS = ("prediction", "score")
PLANTED = len(DRIFTED) * (generated.DAYS - DRIFT_FROM)
CLEAN = (len(FEATURES) - len(DRIFTED)) * generated.DAYS
SENT = 10_000  # reference rows at most, as the SDK does
MOST_FALSE = 1
NO_WORSE = 1.05
TOO_LARGE_FOR_NANNYML = 10_000_000  # rows: it takes 11 GB for drift


class Alarms(NamedTuple):
    """Column-days: planted drifts found, alarms of columns that never drift, alarms of the drifted ones before they do."""

    found: int
    false: int
    early: int


class Month(NamedTuple):
    """A size of the log, counted by the day; `before` are the days of the reference."""

    rows: int
    layout: Layout
    reference: ColumnCounts
    before: list[DayProfile]
    days: list[DayProfile]

    def history(self, days: int, *, has_reference: bool, is_logged: bool) -> ColumnHistory:
        """What is known when so many days of the analysis are over."""
        seen = [*(self.before if is_logged else []), *self.days[:days]]
        return ColumnHistory(
            now=_end(seen[-1].day),
            layout=self.layout,
            reference=self.reference if has_reference else None,
            days=tuple(profile.day for profile in seen),
            ends=tuple(_end(profile.day) for profile in seen),
            rows=np.array([profile.counts.rows for profile in seen]),
            counts=np.array([profile.counts.counts for profile in seen]),
            sums=np.array([profile.counts.sums for profile in seen]),
        )


@pytest.fixture(scope="module")
def month(size: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    log, reference = TelemetryLog(tmp_path_factory.mktemp(size)), []
    for sequence, (day, rows) in enumerate(generated.reference()):
        reference.append(_as_logged(day, rows, sequence))
        log.append(MODEL, Stream.PREDICTIONS, reference[-1], lane="test", sequence=sequence)
    for sequence, (day, rows) in enumerate(generated.analysis(size), start=generated.DAYS):
        log.append(MODEL, Stream.PREDICTIONS, _as_logged(day, rows, sequence), lane="test", sequence=sequence)
    sent = pa.concat_tables(reference).select([*(f"f.{name}" for name in FEATURES), *TARGETS])
    sent = sent.take(np.arange(0, sent.num_rows, sent.num_rows // SENT))
    layout = make_bins(sent)
    engine = engines.get("duckdb").connect(memory_mb=1500, threads=2)
    before, days = (
        column_profiles(engine, log, MODEL, layout, [first + n * DAY for n in range(generated.DAYS)], UTC, last_only=False)
        for first in (generated.REFERENCE_FROM, generated.ANALYSIS_FROM)
    )
    yield Month(generated.SIZES[size], layout, count_rows(layout, sent), before, days)
    engine.close()


@pytest.mark.parametrize("has_reference", [True, False], ids=["with reference rows", "own first weeks"])
def test_planted_drifts_are_found_without_false_alarms(month: Month, oracle: Oracle, size: str, has_reference: bool) -> None:
    """As NannyML has it: the days of the reference are known, day by day."""
    ours = _alarms(month, has_reference=has_reference, is_logged=True)
    theirs = _their_alarms(oracle, size) if has_reference and month.rows < TOO_LARGE_FOR_NANNYML else None

    _show(month, f"reference days logged, {'reference rows sent' if has_reference else 'own first weeks'}", ours, theirs)
    assert ours.found == PLANTED
    assert ours.false + ours.early <= MOST_FALSE


def test_planted_drifts_are_found_in_the_first_weeks_after_release(month: Month) -> None:
    """Reference rows are sent, but no day of theirs is in the log: what days usually differ by is learned of those that are judged."""
    ours = _alarms(month, has_reference=True, is_logged=False)

    _show(month, "released with reference rows, drift three weeks later", ours, None)
    assert ours.found == PLANTED
    assert ours.false + ours.early <= MOST_FALSE


def test_performance_is_told_as_well_as_by_nannyml(oracle: Oracle, size: str) -> None:
    reference = pa.concat_tables(rows.select(BINARY) for _, rows in generated.reference())
    days = [rows.select(BINARY) for _, rows in generated.analysis(size)]
    theirs = oracle("estimated", reference=reference, analysis=pa.concat_tables(days), metrics=METRICS, **DAILY)
    score, label, decision = scores_of(reference)
    calibration = CalibrationMap.of({"": ScoreTable.of(score, label, decision)})
    ours = [estimates({"": unlabelled(day)}, calibration) for day in days]

    rows = []
    for name in METRICS:
        truth = np.array([TRUTHS[name](*scores_of(day)) for day in days])
        results = [told[name].result for told in ours]
        apart = float(np.abs([result.estimate for result in results] - truth).mean())
        their = float(np.abs(theirs[name]["value"] - truth).mean())
        held = float(np.mean([result.low <= true <= result.high for result, true in zip(results, truth, strict=True)]))
        rows.append((size, name, apart, their, apart / their, f"{held:.0%}"))
    show("CBPE by the day: mean absolute error against what came true", ("rows", "metric", "ours", "NannyML", "ratio", "our 95 % bands hold"), rows)
    assert max(ratio for *_, ratio, _ in rows) <= NO_WORSE


def _alarms(month: Month, *, has_reference: bool, is_logged: bool) -> Alarms:
    """Each day judged when it was over."""
    fired = set()
    for day in range(generated.DAYS):
        history = month.history(day + 1, has_reference=has_reference, is_logged=is_logged)
        drifts = column_drifts(history, list(history.layout.slices), DriftLimits())
        fired |= {(drift.column.removeprefix("f."), day) for drift in drifts if drift.test.verdict.fires}
    return _counted(fired)


def _their_alarms(oracle: Oracle, size: str) -> Alarms:
    columns = [*FEATURES, *TARGETS]
    tables = {"reference": generated.reference(), "analysis": generated.analysis(size)}
    sides = {name: pa.concat_tables(rows.select(["timestamp", *columns]) for _, rows in days) for name, days in tables.items()}
    told = oracle("drift", **sides, columns=columns, numbers=["jensen_shannon"], categories=["jensen_shannon"], **DAILY)
    return _counted({(column, day) for column in columns for day, alert in enumerate(told[column]["jensen_shannon"]["alert"]) if alert})


def _counted(fired: set[tuple[str, int]]) -> Alarms:
    planted = {(column, day) for column in DRIFTED for day in range(DRIFT_FROM, generated.DAYS)}
    never = {(column, day) for column, day in fired if column in FEATURES and column not in DRIFTED}
    early = {(column, day) for column, day in fired if column in DRIFTED and day < DRIFT_FROM}
    return Alarms(len(fired & planted), len(never), len(early))


def _show(month: Month, case: str, ours: Alarms, theirs: Alarms | None) -> None:
    show(
        f"Drift by the day, {month.rows:,} rows: {case}",
        ("", f"found of {PLANTED}", f"false of {CLEAN}", f"too early of {len(DRIFTED) * DRIFT_FROM}"),
        [("ours", *ours), *([("NannyML, Jensen-Shannon", *theirs)] if theirs else [])],
    )


def _as_logged(day: date, rows: pa.Table, sequence: int) -> pa.Table:
    count = rows.num_rows
    return pa.table(
        {
            "id": pa.array([f"{sequence}-{n}" for n in range(count)]),
            "timestamp": rows["timestamp"].cast(pa.timestamp("us", "UTC")),
            "batch": pa.array(np.full(count, sequence)),
            "row": pa.array(np.arange(count, dtype=np.int32)),
            "date": pa.array([day] * count),
            "prediction": rows["prediction"].cast(pa.float64()),
            "score": rows["score"],
        }
        | {f"f.{name}": rows[name] for name in FEATURES}
    )


def _end(day: date) -> datetime:
    return datetime.combine(day + DAY, time(), UTC)
