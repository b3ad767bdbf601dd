"""Each day judged by how much days usually differ."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.analysis import CannotCheck, CheckReport, check_tables
from watchkeeper.analysis.check import MOST_DAYS
from watchkeeper.core.finding import Outcome
from watchkeeper.stats.drift import Verdict


def days(count: int, first: str, *, seed: int, rows: int = 2000, last: float = 0.0, restless: float = 0.0) -> pa.Table:
    """Normal numbers by the day; on the last day so much higher. Restless days differ by themselves."""
    chance = np.random.default_rng(seed)
    day = np.repeat(np.arange(count), rows)
    moments = np.datetime64(first, "us") + day * np.timedelta64(1, "D") + chance.integers(0, 86_400, day.size) * np.timedelta64(1, "s")
    x = chance.normal(size=day.size) + restless * chance.normal(size=count)[day] + np.where(day == count - 1, last, 0.0)
    return pa.table({"ts": moments.astype("datetime64[us]"), "x": x, "region": chance.choice(["north", "south"], day.size)})


def check(current: pa.Table, baseline: pa.Table) -> CheckReport:
    return check_tables(current, baseline, timestamp="ts")


def test_a_small_shift_of_one_day_is_told_with_its_day() -> None:
    usual = days(40, "2026-01-01", seed=1)

    quiet = check(days(7, "2026-03-01", seed=2), usual)
    fired = check(days(7, "2026-03-01", seed=2, last=0.35), usual)

    assert quiet.outcome == Outcome.QUIET
    assert {column.test.verdict for column in quiet.columns if column.test} == {Verdict.NONE}
    (column,) = fired.with_outcome(Outcome.FIRED)
    (difference,) = column.differences
    assert (column.column, difference.problem, difference.day, difference.days) == ("x", "feature_drift", date(2026, 3, 7), 1)
    assert (column.judged, column.rows, len(fired.days)) == (7, 2000, 7)
    assert column.test is not None
    assert column.test.psi < 0.25  # too small to be told without days


def test_days_that_differ_by_themselves_take_more() -> None:
    restless = days(40, "2026-01-01", seed=1, restless=0.4)

    report = check(days(2, "2026-03-01", seed=3, last=0.35), restless)

    assert report.outcome == Outcome.UNKNOWN or "x" not in {column.column for column in report.with_outcome(Outcome.FIRED)}
    test = next(column.test for column in report.columns if column.column == "x")
    assert test is not None
    assert test.phi > 5


def test_a_baseline_without_time_learns_from_the_days_before() -> None:
    training = days(1, "2026-01-01", seed=1, rows=20_000).drop_columns(["ts"])

    report = check(days(30, "2026-03-01", seed=2, last=0.35), training)

    verdicts = {column.column: column.test.verdict for column in report.columns if column.test}
    assert verdicts["x"] == Verdict.DRIFT  # the thirtieth day: twenty and more are known
    first = check(days(5, "2026-03-01", seed=2, last=0.35), training)
    assert {column.test.verdict for column in first.columns if column.test} == {Verdict.PRELIMINARY}


def test_a_difference_on_several_days_says_on_how_many() -> None:
    current = days(6, "2026-03-01", seed=2)
    changed = current.set_column(1, "x", pa.array(np.where(np.arange(12_000) >= 8000, np.inf, current["x"].to_numpy())))

    report = check(changed, days(40, "2026-01-01", seed=1))

    worst = report.columns[0].differences[0]
    assert (worst.problem, worst.value, worst.days) == ("out_of_range", 1.0, 2)
    assert worst.day in (date(2026, 3, 5), date(2026, 3, 6))


def test_rows_whose_time_no_log_can_hold_belong_to_no_day() -> None:
    current = days(3, "2026-03-01", seed=2)
    stray = pa.table({"ts": pa.array(["1900-01-01", "2200-01-01", None]).cast(pa.timestamp("us")), "x": [0.0] * 3, "region": ["north"] * 3})

    report = check(pa.concat_tables([current, stray]), days(40, "2026-01-01", seed=1))

    assert (report.rows, report.rows_without_day, report.days[0], len(report.days)) == (6003, 3, date(2026, 3, 1), 3)
    with pytest.raises(CannotCheck, match="No row of current has a time between 1970 and 2149 in column 'ts'"):
        check(stray, current)


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
def test_times_may_be_text(form: str) -> None:
    current = days(3, "2026-03-01", seed=2)
    texts = pa.array([moment.strftime(form) for moment in current["ts"].to_pylist()])

    report = check(current.set_column(0, "ts", texts), days(40, "2026-01-01", seed=1))

    assert report.days == (date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3))
    assert report.outcome == Outcome.QUIET


def test_days_are_those_of_utc() -> None:
    late = pa.array(["2026-03-01T23:30:00"] * 2000).cast(pa.timestamp("us")).cast(pa.timestamp("us", "America/New_York"))
    current = days(1, "2026-03-01", seed=2)
    moved = pa.compute.assume_timezone(late.cast(pa.timestamp("us")), "America/New_York")

    report = check(current.set_column(0, "ts", moved), days(40, "2026-01-01", seed=1))

    assert report.days == (date(2026, 3, 2),)


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (None, "current has no column 'ts'"),
        (pa.array([1.0, 2.0]), "Column 'ts' of current holds no times: double"),
        (pa.array(["yesterday", "today"]), "Column 'ts' of current holds no times"),
        (pa.array(np.datetime64("2000-01-01") + np.arange(MOST_DAYS + 1)), "current has rows on 367 days; at most 366 are judged"),
    ],
)
def test_a_time_that_is_none_is_refused(column: pa.Array | None, says: str) -> None:
    rows = pa.table({"x": [0.0] * (len(column) if column is not None else 1)})
    current = rows if column is None else rows.append_column("ts", column)

    with pytest.raises(CannotCheck, match=says):
        check(current, days(3, "2026-01-01", seed=1))
