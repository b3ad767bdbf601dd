"""The log holds every batch exactly once, whatever happens around it."""

import multiprocessing
import threading
from datetime import UTC, date, datetime
from uuid import UUID

import pyarrow as pa
import pytest

from watchkeeper.telemetry.decode import decode
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.profiles import seen_schema
from watchkeeper.wire import Stream

MODEL = UUID("00000000-0000-4000-8000-000000000001")
DAY = date(2026, 11, 22)
LATER = date(2026, 11, 25)


def rows_of(batch, count=10, day=DAY, known=None, **features):
    sent = [{"id": f"{batch}-{n}", "timestamp": f"{day}T10:00:{n:02d}Z", "features": features or {"x": n}} for n in range(count)]
    return decode(Stream.PREDICTIONS, sent, known=known or {}, zone=UTC, batch=batch, received_at=datetime(2026, 11, 22, 11, tzinfo=UTC)).table


def append(log, batch, *, lane="worker", **rest):
    return log.append(MODEL, Stream.PREDICTIONS, rows_of(batch, **rest), lane=lane, sequence=batch)


def logged(log, limit=1_000_000):
    return log.rows(MODEL, Stream.PREDICTIONS, date(2026, 1, 1), date(2026, 12, 31), limit)


@pytest.fixture
def log(tmp_path):
    return TelemetryLog(tmp_path)


def test_a_log_that_was_never_written_is_empty(log):
    assert log.last_sequence(MODEL, Stream.LABELS, "worker") is None
    assert log.files(MODEL, Stream.LABELS, DAY, LATER) == []
    assert log.rows(MODEL, Stream.LABELS, DAY, LATER).num_rows == 0
    assert log.compact_due(MODEL, Stream.LABELS) == []
    assert not log.compact_day(MODEL, Stream.LABELS, DAY)
    assert seen_schema(log, MODEL, DAY) == {}


def test_rows_come_back_as_they_were_decoded(log):
    append(log, 0)

    assert logged(log).select(rows_of(0).column_names) == rows_of(0)


def test_a_sequence_is_applied_once_and_zero_is_a_sequence(log):
    assert append(log, 0)
    assert not append(log, 0)
    assert append(log, 2)
    assert not append(log, 1)
    assert append(log, 0, lane="other", count=1)

    assert log.last_sequence(MODEL, Stream.PREDICTIONS, "worker") == 2
    assert logged(log).num_rows == 21


def test_a_batch_without_good_rows_still_counts_as_applied(log):
    assert append(log, 0, count=0)

    assert not append(log, 0)


def test_a_new_column_joins_and_old_rows_have_null(log):
    append(log, 0, count=1, x=1)
    append(log, 1, count=1, **{"odd name;(=)": "é"})

    assert logged(log).select(["f.x", "f.odd name;(=)"]).to_pylist() == [{"f.x": 1.0, "f.odd name;(=)": None}, {"f.x": None, "f.odd name;(=)": "é"}]


def test_many_writers_of_one_lane_apply_each_sequence_once(tmp_path):
    applied = []

    def write(worker):
        log = TelemetryLog(tmp_path)
        applied.extend(batch for batch in range(8) if append(log, batch, **{f"new_{worker}": 1.0}))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ids = logged(TelemetryLog(tmp_path))["id"].to_pylist()
    assert sorted(applied) == list(range(8))
    assert len(ids) == len(set(ids)) == 80


def write_all(folder, batches):
    log = TelemetryLog(folder)
    for batch in range(batches):
        append(log, batch)


def test_kills_in_the_middle_of_appends_lose_and_double_nothing(tmp_path):
    context = multiprocessing.get_context("forkserver")  # forks from a process that has imported everything and opened nothing
    context.set_forkserver_preload([__name__])

    for number in range(9):
        writer = context.Process(target=write_all, args=(tmp_path, 30))
        writer.start()
        if number < 8:
            writer.join(0.05 + 0.02 * number)
            writer.kill()
        writer.join()

    ids = logged(TelemetryLog(tmp_path))["id"].to_pylist()
    assert writer.exitcode == 0
    assert len(ids) == len(set(ids)) == 300


def test_compaction_keeps_rows_and_sequences_exactly(log):
    for batch in range(5):
        append(log, batch)
    append(log, 5, day=LATER)
    before = logged(log)

    assert log.compact_due(MODEL, Stream.PREDICTIONS, at_least=5) == [DAY]
    assert log.compact_day(MODEL, Stream.PREDICTIONS, DAY)

    assert log.live_files(MODEL, Stream.PREDICTIONS) == 2
    assert logged(log) == before
    assert log.compact_due(MODEL, Stream.PREDICTIONS, at_least=2) == []
    assert not log.compact_day(MODEL, Stream.PREDICTIONS, DAY)
    assert not append(log, 5)


def test_compactions_and_appends_that_meet_neither_double_nor_lose(tmp_path):
    log = TelemetryLog(tmp_path)
    for batch in range(6):
        append(log, batch)
    wins = []

    def compact():
        wins.extend(TelemetryLog(tmp_path).compact_day(MODEL, Stream.PREDICTIONS, DAY) for _ in range(4))

    threads = [threading.Thread(target=compact) for _ in range(3)]
    for thread in threads:
        thread.start()
    for batch in range(6, 16):
        append(log, batch)
    for thread in threads:
        thread.join()

    ids = logged(log)["id"].to_pylist()
    assert len(wins) == 12
    assert len(ids) == len(set(ids)) == 160


def test_a_compaction_that_was_overtaken_fails_quietly(log, tmp_path):
    class Overtaken(TelemetryLog):
        def _open(self, model, stream):
            handle = super()._open(model, stream)
            append(log, 9)
            return handle

    append(log, 0)
    append(log, 1)

    assert Overtaken(tmp_path).compact_day(MODEL, Stream.PREDICTIONS, DAY) is False
    assert logged(log).num_rows == 30


def test_files_are_pruned_by_day(log):
    append(log, 0)
    append(log, 1, day=LATER)

    assert len(log.files(MODEL, Stream.PREDICTIONS, DAY, DAY)) == 1
    assert len(log.files(MODEL, Stream.PREDICTIONS, DAY, LATER)) == 2
    assert f"date={LATER}" in log.files(MODEL, Stream.PREDICTIONS, LATER, LATER)[0]


def test_old_days_are_erased_and_their_files_vacuumed(log, tmp_path):
    append(log, 0)
    append(log, 1, day=LATER)

    assert log.erase_before(MODEL, Stream.PREDICTIONS, LATER) == 10
    assert log.vacuum(MODEL, Stream.PREDICTIONS) == 0
    assert log.vacuum(MODEL, Stream.PREDICTIONS, keep_hours=0) == 1

    assert logged(log)["batch"].to_pylist() == [1] * 10
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_a_model_name_that_is_no_uuid_reaches_no_path(log):
    with pytest.raises(ValueError, match="badly formed"):
        log.append("../../etc", Stream.PREDICTIONS, rows_of(0), lane="worker", sequence=0)


def test_the_seen_schema_names_features_that_have_values(log):
    known = {"f.gone": "double"}
    append(log, 0, gone=1)
    append(log, 1, day=LATER, known=known, x=1.5, c="a", v=[1.0, 2.0], b=True)
    log.append(MODEL, Stream.PREDICTIONS, rows_of(2, day=LATER, x=1.0).append_column("f.gone", pa.nulls(10, pa.float64())), lane="worker", sequence=2)

    append(log, 3, day=LATER, v=[3.0])

    assert seen_schema(log, MODEL, LATER) == {"x": "double", "c": "string", "v": "vector", "b": "boolean"}
    assert "gone" in seen_schema(log, MODEL, DAY)


@pytest.mark.parametrize("name", ["a b", "ü", "a'b", "a#b;c=d"])
def test_odd_folder_names_work(tmp_path, name):
    log = TelemetryLog(tmp_path / name)
    append(log, 0)
    append(log, 1)

    assert log.compact_day(MODEL, Stream.PREDICTIONS, DAY)
    assert logged(log).num_rows == 20


def test_a_folder_name_that_delta_cannot_read_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has \[ \] in its name"):
        TelemetryLog(tmp_path / "a [b]")
