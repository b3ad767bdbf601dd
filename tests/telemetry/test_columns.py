"""Column profiles from the log equal what plain numpy counts from the same rows."""

import math
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.telemetry.bins import (
    AT_ONCE,
    NULL,
    UNDER_MINIMUM,
    ColumnBins,
    ColumnCounts,
    Layout,
    count_groups,
    count_rows,
    make_bins,
    pack,
    unpack,
)
from watchkeeper.telemetry.columns import column_profiles
from watchkeeper.telemetry.days import Cut, local_day
from watchkeeper.telemetry.decode import decode
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.wire import Stream

MODEL = UUID("00000000-0000-4000-8000-000000000002")
RECEIVED = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(params=[1, 1_000_000], ids=["each column", "fetched"])
def profiles_of(request, engine):
    """Both ways to count: by a query for each column, and of the rows themselves."""
    return partial(column_profiles, engine, fetch_at_most=request.param)


def write(log, rows, batch=0):
    decoded = decode(Stream.PREDICTIONS, rows, known={}, zone=UTC, batch=batch, received_at=RECEIVED)
    assert decoded.refused == ()
    log.append(MODEL, Stream.PREDICTIONS, decoded.table, lane="worker", sequence=batch)
    return decoded.table


def features(rows) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row["features"]))
    return pa.table({f"f.{name}": pa.array([row["features"].get(name) for row in rows]) for name in names})


def assert_same(layout: Layout, actual: ColumnCounts, expected: ColumnCounts) -> None:
    assert actual.rows == expected.rows
    for column in layout.columns:
        places = layout.slices[column.name]
        assert actual.counts[places].tolist() == expected.counts[places].tolist(), column.name
    assert actual.sums == pytest.approx(expected.sums, rel=1e-9)


def some_rows(count, start, step, chance):
    levels = ["north", "south", "", "it's", "Ø\n", None]
    return [
        {
            "id": f"{n}",
            "timestamp": (start + n * step).isoformat(),
            "version": ("v1", "v2", None)[n % 3],
            "features": {
                "age": None if n % 17 == 0 else float(chance.normal(40, 12)),
                "income": float(chance.lognormal(8, 3)),
                "region": levels[n % 6],
                "is_new": bool(n % 2),
                "constant": 7,
                "count": n % 5,
            },
        }
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("UTC", datetime(2026, 3, 1, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 3, 27, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 10, 30, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 6, 1, tzinfo=UTC)),
    ],
)
def test_every_day_of_every_version_is_counted_like_the_rows_at_hand(tmp_path, profiles_of, zone, start):
    log, chance, zone = TelemetryLog(tmp_path), np.random.default_rng(1), ZoneInfo(zone)
    rows = some_rows(600, start, timedelta(minutes=11, microseconds=999_999), chance)
    layout = make_bins(features(rows[:300]))
    write(log, rows)

    expected = defaultdict(list)
    for row in rows:
        expected[row["version"] or "", local_day(datetime.fromisoformat(row["timestamp"]), zone)].append(row)
    found = profiles_of(log, MODEL, layout, {day for _, day in expected}, zone, last_only=False)

    assert {(profile.version, profile.day) for profile in found} == set(expected)
    for profile in found:
        assert_same(layout, profile.counts, count_rows(layout, features(expected[profile.version, profile.day])))


@pytest.mark.parametrize("year", [1970, 2026])
def test_days_of_utc_end_at_midnight(tmp_path, profiles_of, year):
    """They are told by the log's folders, the days of other zones by the time of each row."""
    log, start = TelemetryLog(tmp_path), datetime(year, 12, 31, tzinfo=UTC)
    steps = {-1: 1.0, 0: 2.0, 1: 2.0, 86_399_999_999: 2.0, 86_400_000_000: 3.0}
    write(log, [{"id": f"{at}", "timestamp": (start + timedelta(microseconds=at)).isoformat(), "features": {"x": x}} for at, x in steps.items()])
    layout = make_bins(pa.table({"f.x": [1.0, 2.0, 3.0]}))
    days = [start.date() + timedelta(days=back) for back in (-1, 0, 1)]

    by_zone = [profiles_of(log, MODEL, layout, days, zone, last_only=False) for zone in (UTC, ZoneInfo("Africa/Abidjan"), ZoneInfo("Etc/GMT+1"))]

    assert [(profile.day, profile.counts.rows, profile.counts.sums[0, 0]) for profile in by_zone[0]] == list(
        zip(days, (1, 3, 1), (1.0, 6.0, 3.0), strict=True)
    )
    assert [(profile.day, profile.counts.rows) for profile in by_zone[1]] == [(profile.day, profile.counts.rows) for profile in by_zone[0]]
    assert [profile.counts.rows for profile in by_zone[2]] == [3, 2]  # an hour behind: midnight is the evening before


def test_many_rows_at_hand_are_counted_in_parts_and_added_up() -> None:
    chance = np.random.default_rng(8)
    rows = 2 * AT_ONCE + 7
    table = pa.table({"f.x": chance.normal(size=rows), "f.word": pa.array(["a", "b", None]).take(pa.array(chance.integers(0, 3, rows)))})
    layout, groups = make_bins(table.slice(0, 1000)), chance.integers(0, 2, rows)

    together = count_groups(layout, table, groups, 2)

    for group, counts in enumerate(together):
        assert_same(layout, counts, count_rows(layout, table.filter(pa.array(groups == group))))
        numbers = table["f.x"].to_numpy()[groups == group]
        assert counts.sums[0] == pytest.approx([numbers.sum(), (numbers**2).sum()])
        assert counts.counts[layout.slices["f.word"]].sum() == counts.rows == (groups == group).sum()


def test_of_an_id_that_was_sent_again_the_last_is_counted(tmp_path, profiles_of):
    log, start = TelemetryLog(tmp_path), datetime(2026, 3, 1, tzinfo=UTC)
    first = [{"id": f"{n}", "timestamp": start.isoformat(), "features": {"x": 1.0}} for n in range(10)]
    second = [{**row, "features": {"x": 3.0}} for row in first[:4]]
    write(log, first)
    write(log, second, batch=1)
    layout = make_bins(pa.table({"f.x": [1.0, 2.0, 3.0]}))

    (profile,) = profiles_of(log, MODEL, layout, [start.date()], UTC, last_only=True)

    assert_same(layout, profile.counts, count_rows(layout, pa.table({"f.x": [1.0] * 6 + [3.0] * 4})))


def test_nasty_numbers_are_counted_where_they_belong(tmp_path, profiles_of):
    log, start = TelemetryLog(tmp_path), datetime(2026, 3, 1, tzinfo=UTC)
    bins = ColumnBins(name="f.x", kind="number", low=0.0, high=1.0, minimum=-1.0, maximum=2.0)
    values = [0.0, -0.0, 1.0, math.nextafter(0, -1), math.nextafter(1, 2), -1.0, 2.0, -1.5, 2.5, math.inf, -math.inf, None, 1e12, -1e12, 0.5]
    write(log, [{"id": f"{n}", "timestamp": start.isoformat(), "features": {"x": value}} for n, value in enumerate(values)])
    layout = Layout((bins,))

    (profile,) = profiles_of(log, MODEL, layout, [start.date()], UTC, last_only=False)

    expected = count_rows(layout, pa.table({"f.x": pa.array(values, pa.float64())}))
    assert_same(layout, profile.counts, expected)
    assert expected.counts[UNDER_MINIMUM] == 2
    assert expected.counts[NULL] == 1
    assert expected.counts.sum() == len(values)


def test_not_a_number_in_the_files_is_null_although_their_statistics_hide_it(tmp_path, profiles_of):
    log, start = TelemetryLog(tmp_path), datetime(2026, 3, 1, tzinfo=UTC)
    table = write(TelemetryLog(tmp_path / "other"), [{"id": f"{n}", "timestamp": start.isoformat(), "features": {"x": 1.0}} for n in range(6)])
    spoiled = table.set_column(table.column_names.index("f.x"), "f.x", pa.array([1.0, 1.0, 1.0, math.nan, math.nan, math.nan]))
    log.append(MODEL, Stream.PREDICTIONS, spoiled, lane="worker", sequence=0)
    layout = make_bins(pa.table({"f.x": [1.0, 2.0, 3.0]}))

    (profile,) = profiles_of(log, MODEL, layout, [start.date()], UTC, last_only=False)

    assert profile.counts.counts[NULL] == 3
    assert profile.counts.sums[0].tolist() == [3.0, 3.0]


def test_a_column_that_the_log_lacks_is_null_and_one_of_another_kind_is_still_counted(tmp_path, profiles_of):
    log, start = TelemetryLog(tmp_path), datetime(2026, 3, 1, tzinfo=UTC)
    write(log, [{"id": f"{n}", "timestamp": start.isoformat(), "features": {"v": [1.0, 2.0] if n % 2 else None}} for n in range(6)])
    layout = make_bins(pa.table({"f.gone": [1.0, 2.0], "f.v": pa.array([[1.0], [2.0]]), "f.t": pa.array([start, start])}))

    (profile,) = profiles_of(log, MODEL, layout, [start.date()], UTC, last_only=False)

    counts = profile.counts.counts
    assert counts[layout.slices["f.gone"]][NULL] == 6
    assert counts[layout.slices["f.v"]].tolist() == [3, 3]
    assert profile.counts.rows == 6


def test_levels_that_the_reference_lacks_are_unseen():
    layout = make_bins(pa.table({"f.region": ["a", "b", "a", None]}))
    counted = count_rows(layout, pa.table({"f.region": ["a", "c", None, "b"]}))

    assert layout.columns[0].levels == ("a", "b")
    assert counted.counts.tolist() == [1, 1, 0, 1, 1]  # a, b, rarer ones, unseen, null


def test_a_text_that_hardly_repeats_is_counted_by_presence():
    layout = make_bins(pa.table({"f.comment": [f"text {n}" for n in range(3000)]}))

    assert layout.columns[0].kind == "presence"


@pytest.mark.parametrize("values", [[], [None], [math.nan], [math.inf, -math.inf], [5.0], [5.0, 5.0], [0.0], [1e308, -1e308], [5e-324, 1e300]])
def test_bins_of_odd_references_count_every_row_once(values):
    table = pa.table({"f.x": pa.array(values, pa.float64())})
    layout = make_bins(table)
    counted = count_rows(layout, table)

    assert counted.counts.sum() == len(values)
    assert np.isfinite(layout.columns[0].edges).all()


def test_counts_survive_packing_and_bins_survive_json():
    table = pa.table({"f.x": np.random.default_rng(1).lognormal(0, 4, 500), "f.c": ["a", "b"] * 250})
    layout = make_bins(table)
    counted = count_rows(layout, table)

    again = unpack(layout, counted.rows, pack(counted))

    assert again.counts.tolist() == counted.counts.tolist()
    assert again.sums.tolist() == counted.sums.tolist()
    assert Layout(tuple(ColumnBins.from_json(column.as_json()) for column in layout.columns)).columns == layout.columns
    assert layout.columns[0].is_log


def test_only_numbers_that_crowd_at_the_small_end_are_binned_on_a_logarithmic_scale():
    """The smallest thousandth of uniform numbers is a thousandth of the largest, or a little less, by chance."""
    chance = np.random.default_rng(1)
    numbers = {
        "f.even": chance.uniform(0, 1, 20_000) * 0.9999 + 1e-9,
        "f.waits": chance.exponential(3.0, 20_000),
        "f.amount": chance.lognormal(3, 2, 20_000),
        "score": chance.lognormal(-8, 2, 20_000),
        "score.fraud": chance.lognormal(-8, 2, 20_000),
        "scores": chance.lognormal(-8, 2, 20_000),
    }
    many = [make_bins(pa.table({"f.x": chance.uniform(0, 1, 2000)})).columns[0] for _ in range(50)]

    assert [column.name for column in make_bins(pa.table(numbers)).columns if column.is_log] == ["f.amount", "scores"]
    assert not any(column.is_log for column in many)


def test_a_day_is_the_models_own():
    assert local_day(datetime(2026, 3, 1, 23, 30, tzinfo=UTC), ZoneInfo("Europe/Berlin")) == date(2026, 3, 2)


def by_part(profiles):
    return {(profile.day.isoformat(), profile.part): (profile.counts.rows, profile.ended_at) for profile in profiles}


def test_hours_of_a_day_that_has_25_are_counted_each(profiles_of, tmp_path):
    log, berlin = TelemetryLog(tmp_path), ZoneInfo("Europe/Berlin")
    midnight = datetime(2026, 10, 25, tzinfo=berlin).astimezone(UTC)
    rows = [{"id": f"{n}", "timestamp": (midnight + timedelta(minutes=20 * n)).isoformat(), "features": {"x": n % 5}} for n in range(76)]
    write(log, rows)
    layout = make_bins(features(rows))

    found = by_part(profiles_of(log, MODEL, layout, [date(2026, 10, 25), date(2026, 10, 26)], berlin, last_only=False, cut=Cut.HOUR))

    assert [part for day, part in found if day == "2026-10-25"] == [
        *(f"{n:02}:00" for n in range(3)),
        "02:00 (2)",
        *(f"{n:02}:00" for n in range(3, 24)),
    ]
    assert {rows for (day, _), (rows, _) in found.items() if day == "2026-10-25"} == {3}
    assert found["2026-10-26", "00:00"] == (1, midnight + timedelta(hours=26))
    assert found["2026-10-25", "02:00 (2)"][1] == midnight + timedelta(hours=4)


def test_runs_of_a_day_are_counted_each_until_they_are_too_many(profiles_of, tmp_path):
    log, noon = TelemetryLog(tmp_path), datetime(2026, 10, 20, 12, tzinfo=UTC)
    rows = [
        {"id": f"{n}", "timestamp": (noon + timedelta(minutes=n)).isoformat(), "run_id": ("night", "it's", None)[n // 10], "features": {"x": n}}
        for n in range(30)
    ]
    many = [
        {"id": f"m{n}", "timestamp": (noon + timedelta(days=1, seconds=n)).isoformat(), "run_id": f"r{n}", "features": {"x": n}} for n in range(150)
    ]
    write(log, rows + many)
    layout = make_bins(features(rows))

    found = by_part(profiles_of(log, MODEL, layout, [date(2026, 10, 20), date(2026, 10, 21)], UTC, last_only=False, cut=Cut.RUN))

    assert found == {
        ("2026-10-20", ""): (10, noon + timedelta(minutes=29)),
        ("2026-10-20", "it's"): (10, noon + timedelta(minutes=19)),
        ("2026-10-20", "night"): (10, noon + timedelta(minutes=9)),
        ("2026-10-21", ""): (150, None),
    }
