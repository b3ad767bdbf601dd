"""Second moments from the log equal what plain numpy sums up of the same rows."""

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.telemetry.bins import make_bins
from watchkeeper.telemetry.days import local_day
from watchkeeper.telemetry.decode import decode
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.moments import FURTHEST, MomentColumn, day_moments, moment_columns, pack_moments, row_moments, unpack_moments
from watchkeeper.wire import Stream

MODEL = UUID("00000000-0000-4000-8000-000000000004")
START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def engine(each_engine):
    return each_engine


@pytest.fixture(params=[1, 1_000_000], ids=["summed there", "fetched"])
def moments_of(request, engine):
    """Both ways to sum: by queries for blocks of columns, and of the rows themselves."""
    return partial(day_moments, engine, fetch_at_most=request.param)


def write(log, rows, batch=0):
    decoded = decode(Stream.PREDICTIONS, rows, known={}, zone=UTC, batch=batch, received_at=START)
    assert decoded.refused == ()
    log.append(MODEL, Stream.PREDICTIONS, decoded.table, lane="worker", sequence=batch)


def features(rows) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row["features"]))
    return pa.table({f"f.{name}": pa.array([row["features"].get(name) for row in rows], pa.float64()) for name in names})


def columns_of(table: pa.Table, *, most: int = 100) -> tuple[MomentColumn, ...]:
    return moment_columns(table, make_bins(table).columns, most=most)


def some_rows(count, columns, *, step=timedelta(minutes=11)):
    chance = np.random.default_rng(1)
    values = chance.normal(size=(count, columns)) @ chance.normal(size=(columns, columns)) * 10.0 ** (np.arange(columns) % 9)
    return [
        {
            "id": f"{n}",
            "timestamp": (START + n * step).isoformat(),
            "version": ("v1", "v2", None)[n % 3],
            "features": {f"x{place}": None if (n + place) % 17 == 0 else float(values[n, place]) for place in range(columns)},
        }
        for n in range(count)
    ]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("columns", [2, 16, 18])
def test_every_day_of_every_version_is_summed_like_the_rows_at_hand(tmp_path, moments_of, zone, columns):
    log, rows, zone = TelemetryLog(tmp_path), some_rows(500, columns), ZoneInfo(zone)
    write(log, rows)
    scaled = columns_of(features(rows[:300]))
    assert len(scaled) == columns

    expected = defaultdict(list)
    for row in rows:
        expected[row["version"] or "", local_day(datetime.fromisoformat(row["timestamp"]), zone)].append(row)
    found = moments_of(log, MODEL, scaled, {day for _, day in expected}, zone, last_only=False)

    assert {(entry.version, entry.day) for entry in found} == set(expected)
    for entry in found:
        of_day = expected[entry.version, entry.day]
        values = np.array([[row["features"][column.name.removeprefix("f.")] for column in scaled] for row in of_day], dtype=float)
        z = np.nan_to_num((values - [column.mean for column in scaled]) / [column.sd for column in scaled])
        extended = np.column_stack([np.ones(len(z)), z])
        assert entry.moments == pytest.approx(extended.T @ extended, rel=1e-9, abs=1e-9)
        assert entry.moments == pytest.approx(row_moments(features(of_day), scaled), rel=1e-9, abs=1e-9)


def test_of_an_id_that_was_sent_again_the_last_is_summed(tmp_path, moments_of):
    log = TelemetryLog(tmp_path)
    first = [{"id": f"{n}", "timestamp": START.isoformat(), "features": {"x": 1.0, "y": 0.0}} for n in range(10)]
    write(log, first)
    write(log, [{**row, "features": {"x": 3.0, "y": 1.0}} for row in first[:4]], batch=1)
    columns = (MomentColumn(name="f.x", mean=0.0, sd=1.0), MomentColumn(name="f.y", mean=0.0, sd=1.0))

    (once,) = moments_of(log, MODEL, columns, [START.date()], UTC, last_only=True)
    (again,) = moments_of(log, MODEL, columns, [START.date()], UTC, last_only=False)

    assert once.moments.tolist() == [[10, 18, 4], [18, 42, 12], [4, 12, 4]]
    assert again.moments[0, 0] == 14


def test_empty_and_infinite_numbers_count_as_the_mean_and_absurd_ones_as_ten_standard_deviations(tmp_path, moments_of):
    log = TelemetryLog(tmp_path)
    values = [1.0, None, math.inf, -math.inf, 1e308, -1e308, 1e12, 5.0, -0.0]
    expected = [-1.0, 0, 0, 0, FURTHEST, -FURTHEST, FURTHEST, 1.0, -1.5]
    write(log, [{"id": f"{n}", "timestamp": START.isoformat(), "features": {"x": value, "y": 1.0}} for n, value in enumerate(values)])
    columns = (MomentColumn(name="f.x", mean=3.0, sd=2.0), MomentColumn(name="f.y", mean=0.0, sd=1.0), MomentColumn(name="f.never", mean=3.0, sd=1.0))

    (found,) = moments_of(log, MODEL, columns, [START.date()], UTC, last_only=False)

    z = np.column_stack([np.ones(len(values)), expected, np.ones(len(values)), np.zeros(len(values))])
    assert found.moments == pytest.approx(z.T @ z)


def test_a_long_tail_is_measured_by_its_logarithm(tmp_path, moments_of):
    chance, log = np.random.default_rng(2), TelemetryLog(tmp_path)
    table = pa.table({"f.x": chance.lognormal(3, 2.5, 5000), "f.y": chance.normal(size=5000)})
    (x, y) = columns_of(table)
    assert x.log_from is not None
    assert y.log_from is None
    values = [0.0, -5.0, x.log_from, math.exp(x.mean), math.exp(x.mean + x.sd), None, math.inf]
    write(log, [{"id": f"{n}", "timestamp": START.isoformat(), "features": {"x": value, "y": y.mean}} for n, value in enumerate(values)])

    (found,) = moments_of(log, MODEL, (x, y), [START.date()], UTC, last_only=False)

    lowest = (math.log(x.log_from) - x.mean) / x.sd
    assert found.moments[0].tolist() == pytest.approx([7, 3 * lowest + 1, 0])
    assert found.moments[1, 1] == pytest.approx(3 * lowest**2 + 1)


def test_large_numbers_keep_their_variance_and_their_correlation(tmp_path, moments_of):
    chance, log = np.random.default_rng(3), TelemetryLog(tmp_path)
    x = chance.normal(size=2000)
    y = 0.8 * x + 0.6 * chance.normal(size=2000)
    sent = [{"x": float(1e9 + a), "y": float(-1e9 + 0.01 * b)} for a, b in zip(x, y, strict=True)]
    rows = [{"id": f"{n}", "timestamp": START.isoformat(), "features": row} for n, row in enumerate(sent)]
    write(log, rows)

    (found,) = moments_of(log, MODEL, columns_of(features(rows)), [START.date()], UTC, last_only=False)

    covariance = found.moments[1:, 1:] / 2000
    assert np.diag(covariance) == pytest.approx([1.0, 1.0], abs=1e-6)
    assert covariance[0, 1] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-5)


def test_days_without_rows_have_no_moments(tmp_path, moments_of):
    log = TelemetryLog(tmp_path)
    write(log, some_rows(10, 2))

    assert moments_of(log, MODEL, columns_of(features(some_rows(10, 2))), [START.date() + timedelta(days=40)], UTC, last_only=False) == []
    assert moments_of(log, MODEL, (), [START.date()], UTC, last_only=False) == []


def test_only_numbers_that_vary_are_summed_and_no_more_than_wanted():
    table = pa.table(
        {
            "f.x": [1.0, 2.0, None, 4.0],
            "f.constant": [7.0] * 4,
            "f.huge": [1e308, -1e308, 1e308, -1e308],
            "f.empty": pa.nulls(4, pa.float64()),
            "f.one": [1.0, None, None, None],
            "f.text": ["a", "b", "c", "d"],
            "f.flag": [True, False, True, False],
            "f.time": pa.array([START] * 2 + [START + timedelta(1)] * 2),
            "f.infinite": [math.inf, 1.0, 2.0, math.nan],
            "f.whole": [1, 2, 3, 4],
        }
    )

    assert [column.name for column in columns_of(table)] == ["f.x", "f.infinite", "f.whole"]
    assert [column.name for column in columns_of(table, most=2)] == ["f.x", "f.infinite"]
    assert columns_of(table)[1].mean == 1.5


def test_packed_moments_come_back_as_they_were():
    moments = np.stack([row_moments(features(some_rows(n, 7)), columns_of(features(some_rows(50, 7)))) for n in (50, 3, 1)])

    assert unpack_moments(pack_moments(moments), 7, parts=3).tolist() == moments.tolist()
    assert unpack_moments(pack_moments(moments[0]), 7)[0].tolist() == moments[0].tolist()
