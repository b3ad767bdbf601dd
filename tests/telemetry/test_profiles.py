"""Profiles equal what plain Python counts from the same rows."""

import math
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from watchkeeper.telemetry.decode import decode
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.profiles import BINS, Counts, WindowProfile, pack, touched_windows, unpack, window_profiles
from watchkeeper.telemetry.times import window_of
from watchkeeper.wire import Stream

MODEL = UUID("00000000-0000-4000-8000-000000000002")
RECEIVED = datetime(2026, 11, 22, tzinfo=UTC)


def write(log, rows, batch=0):
    """Append wire rows; the windows they touch in UTC."""
    decoded = decode(Stream.PREDICTIONS, rows, known={}, zone=UTC, batch=batch, received_at=RECEIVED)
    assert decoded.refused == ()
    log.append(MODEL, Stream.PREDICTIONS, decoded.table, lane="worker", sequence=batch)
    return decoded.table


def counted(batches, zone) -> dict[tuple[str, datetime], Counts]:
    """The same profiles, counted row by row."""
    rows = [row for batch in batches for row in batch]
    last = {row["id"]: index for index, row in enumerate(rows)}
    groups = defaultdict(list)
    for index, row in enumerate(rows):
        groups[row.get("version") or "", window_of(datetime.fromisoformat(row["timestamp"]), zone)].append((row, last[row["id"]] == index))
    return {key: count(part) for key, part in groups.items()}


def count(part) -> Counts:
    kept = [row.get("score") for row, is_last in part if is_last]
    scores = np.array([score for score in kept if score is not None and not math.isnan(score)])
    inside = scores[(scores >= 0) & (scores <= 1)]
    bins = np.bincount(np.minimum(np.floor(inside * BINS).astype(int), BINS - 1), minlength=BINS).tolist()
    return Counts(
        rows=len(kept), duplicates=len(part) - len(kept), score_counts=(int((scores < 0).sum()), *bins, int((scores > 1).sum())),
        score_nulls=len(kept) - len(scores), score_sum=float(inside.sum()), score_spread=float((inside * (1 - inside)).sum()),
    )  # fmt: skip


def assert_same(profiles: list[WindowProfile], expected: dict[tuple[str, datetime], Counts]) -> None:
    assert {(profile.version, profile.start) for profile in profiles} == set(expected)
    for profile in profiles:
        right = expected[profile.version, profile.start]
        assert (profile.counts.rows, profile.counts.duplicates, profile.counts.score_nulls) == (right.rows, right.duplicates, right.score_nulls)
        assert profile.counts.score_counts == right.score_counts
        assert profile.counts.score_sum == pytest.approx(right.score_sum, rel=1e-12)
        assert profile.counts.score_spread == pytest.approx(right.score_spread, rel=1e-12)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("start", ["2026-03-08", "2026-11-01", "2026-04-05"])
def test_profiles_of_random_rows_with_duplicates_equal_a_plain_count(tmp_path, engine, zone, start):
    random, place, log = np.random.default_rng(5), ZoneInfo(zone), TelemetryLog(tmp_path)
    batches = []
    for _ in range(3):
        moments = datetime.fromisoformat(start).replace(tzinfo=UTC) + random.integers(0, 36 * 3600 * 10**6, 400) * timedelta(microseconds=1)
        ids, scores, versions = random.integers(0, 600, 400), random.normal(0.5, 0.4, 400).round(3), random.choice(["a", "b", None], 400)
        rows = zip(ids, moments, scores, versions, strict=True)
        batches.append([{"id": str(id_), "timestamp": at.isoformat(), "score": float(score), "version": version} for id_, at, score, version in rows])
    windows = set()
    for number, batch in enumerate(batches):
        windows |= touched_windows(write(log, batch, number), place)

    assert_same(window_profiles(engine, log, MODEL, windows, place), counted(batches, place))


def test_scores_at_every_edge_are_counted_where_they_belong(tmp_path, engine):
    log = TelemetryLog(tmp_path)
    edges = [
        0.0,
        -0.0,
        1.0,
        0.5,
        0.005,
        0.995,
        *np.nextafter([0, 1, 1, 0.005, 0.995], [-1, 2, 0, 0, 0]).tolist(),
        math.inf,
        -math.inf,
        math.nan,
        None,
        1e308,
        -1e308,
        5e-324,
    ]
    batch = [{"id": str(n), "timestamp": "2026-11-22T23:59:59.999999Z", "score": score} for n, score in enumerate(edges)]
    windows = touched_windows(write(log, batch), UTC)

    profiles = window_profiles(engine, log, MODEL, windows, UTC)

    assert windows == {datetime(2026, 11, 22, 23, tzinfo=UTC)}
    assert_same(profiles, counted([batch], UTC))
    assert profiles[0].counts.score_counts[0] == 3
    assert profiles[0].counts.score_counts[-1] == 3


def test_not_a_number_in_the_files_is_found_although_their_statistics_hide_it(tmp_path, engine):
    log = TelemetryLog(tmp_path)
    table = decode(
        Stream.PREDICTIONS,
        [{"id": str(n), "timestamp": "2026-11-22T10:00:00Z", "score": 0.5} for n in range(3)],
        known={},
        zone=UTC,
        batch=0,
        received_at=RECEIVED,
    ).table
    foreign = table.set_column(table.column_names.index("score"), "score", [[0.5, math.nan, 0.7]])
    log.append(MODEL, Stream.PREDICTIONS, foreign, lane="worker", sequence=0)

    [profile] = window_profiles(engine, log, MODEL, touched_windows(table, UTC), UTC)

    assert (profile.counts.rows, profile.counts.score_nulls, sum(profile.counts.score_counts)) == (3, 1, 2)


def test_only_the_asked_windows_come_back_and_empty_ones_are_absent(tmp_path, engine):
    log = TelemetryLog(tmp_path)
    write(log, [{"id": str(hour), "timestamp": f"2026-11-22T{hour:02d}:30:00Z"} for hour in range(6)])
    asked = [datetime(2026, 11, 22, hour, tzinfo=UTC) for hour in (2, 4, 9)]

    profiles = window_profiles(engine, log, MODEL, asked, UTC)

    assert [profile.start for profile in profiles] == asked[:2]
    assert profiles[0].counts == Counts(rows=1, score_nulls=1)
    assert window_profiles(engine, log, MODEL, [], UTC) == []
    assert window_profiles(engine, log, MODEL, [datetime(2020, 1, 1, tzinfo=UTC)], UTC) == []


def test_a_prediction_sent_again_for_another_hour_leaves_the_first(tmp_path, engine):
    log = TelemetryLog(tmp_path)
    first = write(log, [{"id": "a", "timestamp": "2026-11-22T01:00:00Z", "score": 0.1}], 0)
    again = write(log, [{"id": "a", "timestamp": "2026-11-22T05:00:00Z", "score": 0.9}], 1)

    profiles = window_profiles(engine, log, MODEL, touched_windows(first, UTC) | touched_windows(again, UTC), UTC)

    assert [(profile.counts.rows, profile.counts.duplicates) for profile in profiles] == [(0, 1), (1, 0)]


def test_profiles_survive_a_compaction_between_listing_and_reading(tmp_path, engine):
    class Cleaned(TelemetryLog):
        def files(self, *args):
            listed = super().files(*args)
            if self.compact_day(MODEL, Stream.PREDICTIONS, date(2026, 11, 22)):
                self.vacuum(MODEL, Stream.PREDICTIONS, keep_hours=0)
            return listed

    log = Cleaned(tmp_path)
    for batch in range(3):
        write(log, [{"id": str(batch), "timestamp": "2026-11-22T10:00:00Z"}], batch)

    [profile] = window_profiles(engine, log, MODEL, [datetime(2026, 11, 22, 10, tzinfo=UTC)], UTC)

    assert profile.counts.rows == 3


def test_counts_are_additive_and_survive_packing():
    hour = Counts(rows=3, duplicates=1, score_counts=(1, *range(BINS), 2**40), score_nulls=5, score_sum=0.1, score_spread=-0.0)

    day = hour + Counts() + hour

    assert (day.rows, day.duplicates, day.score_counts[-1], day.score_sum) == (6, 2, 2**41, 0.2)
    assert unpack(pack(day)) == day
    assert len(pack(day)) < 1000


def test_a_blob_of_another_format_is_refused():
    with pytest.raises(ValueError, match="has format 02; this program reads 01"):
        unpack(b"\x02" + pack(Counts())[1:])
