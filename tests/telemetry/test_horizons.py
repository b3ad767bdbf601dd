"""A forecast's horizon is told by its two times, unless it is sent; what makes no sense is refused."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from tests.telemetry.test_decode import NOON, arrow, predictions, row, times
from watchkeeper.telemetry.arrow import check_arrow_schema
from watchkeeper.telemetry.horizons import horizon_length, horizon_words
from watchkeeper.wire import Stream

ISSUED = datetime(2026, 11, 22, 6, tzinfo=UTC)
AHEAD = {
    "3 d": timedelta(days=3),
    "6 h": timedelta(hours=6),
    "25 h": timedelta(hours=25),
    "90 min": timedelta(minutes=90),
    "0 d": timedelta(0),
    "36500 d": timedelta(days=36500),
}


def as_json(rows):
    return [row(str(n), **{name: at.isoformat() if isinstance(at, datetime) else at for name, at in given.items()}) for n, given in enumerate(rows)]


def as_arrow(rows):
    moment = pa.timestamp("us", "UTC")
    columns = {name: pa.array([given.get(name) for given in rows], moment) for name in ("issued_at", "target_time")}
    told = {"s.horizon": pa.array([given.get("horizon") for given in rows], pa.string())} if any("horizon" in given for given in rows) else {}
    return arrow(id=[str(n) for n in range(len(rows))], timestamp=times(len(rows)), **columns, **told)


@pytest.fixture(params=[as_json, as_arrow])
def sent(request):
    return request.param


def test_the_horizon_is_told_in_days_hours_or_minutes(sent):
    rows = [{"issued_at": ISSUED, "target_time": ISSUED + ahead} for ahead in AHEAD.values()]

    decoded = predictions(sent(rows))

    assert decoded.refused == ()
    assert decoded.table["s.horizon"].to_pylist() == [*AHEAD]
    assert decoded.table["issued_at"].to_pylist() == [ISSUED] * len(rows)
    assert decoded.learned == {"issued_at": "timestamp", "target_time": "timestamp", "s.horizon": "string"}


def test_a_few_seconds_of_the_issue_make_no_other_horizon(sent):
    rows = [{"issued_at": ISSUED + timedelta(seconds=late), "target_time": ISSUED + timedelta(hours=6)} for late in (0, 3.25, -20)]

    assert predictions(sent(rows)).table["s.horizon"].to_pylist() == ["6 h"] * 3


def test_a_horizon_that_was_sent_stays_as_it_is(sent):
    later, earlier = ISSUED + timedelta(hours=2), ISSUED - timedelta(hours=2)
    rows = [
        {"issued_at": ISSUED, "target_time": later, "horizon": "short"},
        {"issued_at": ISSUED, "target_time": later, "horizon": None},
        {"issued_at": ISSUED, "target_time": earlier, "horizon": "-2"},
        {"issued_at": ISSUED, "horizon": "long"},
    ]

    decoded = predictions(sent(rows))

    assert decoded.refused == ()
    assert decoded.table["s.horizon"].to_pylist() == ["short", "2 h", "-2", "long"]


def test_a_number_is_a_horizon_too():
    assert predictions([row(horizon=24)]).table["s.horizon"].to_pylist() == ["24"]
    assert predictions(arrow(id=["a"], timestamp=times(1), **{"s.horizon": [24]})).table["s.horizon"].to_pylist() == ["24"]


def test_a_target_before_its_issue_is_refused(sent):
    decoded = predictions(sent([{"issued_at": ISSUED, "target_time": ISSUED - timedelta(seconds=1)}, {"issued_at": ISSUED, "target_time": ISSUED}]))

    [refused] = decoded.refused
    assert (refused.row, refused.field, refused.message) == (0, "target_time", "The target lies before the issue.")
    assert decoded.table["s.horizon"].to_pylist() == ["0 d"]


@pytest.mark.parametrize("name", ["issued_at", "target_time"])
def test_one_time_alone_tells_no_horizon(sent, name):
    decoded = predictions(sent([{name: ISSUED}]))

    assert decoded.learned == {name: "timestamp"}


@pytest.mark.parametrize("name", ["issued_at", "target_time"])
def test_what_is_no_time_is_refused(name):
    [refused] = predictions([row(**{"issued_at": NOON, "target_time": NOON} | {name: "soon"})]).refused

    assert (refused.field, refused.message) == (name, '"soon" is not among the times this column holds.')
    assert check_arrow_schema(Stream.PREDICTIONS, pa.schema({"id": pa.string(), "timestamp": pa.timestamp("us"), name: pa.string()})) == [
        f"Column '{name}' has type string. Send times."
    ]


def test_naive_times_are_those_of_the_model():
    sent = row(issued_at="2026-10-24T12:00:00", target_time="2026-10-25T12:00:00")

    decoded = predictions([sent], zone=ZoneInfo("Europe/Berlin"))

    assert decoded.table["s.horizon"].to_pylist() == ["25 h"], "the clocks change in between"
    assert decoded.table["issued_at"].to_pylist() == [datetime(2026, 10, 24, 10, tzinfo=UTC)]


def test_a_log_that_has_a_horizon_in_other_letters_keeps_it():
    sent = row(issued_at=NOON, target_time=NOON, Horizon="near")

    decoded = predictions([sent])

    assert decoded.refused == ()
    assert [name for name in decoded.table.column_names if name.startswith("s.")] == ["s.Horizon"]


def test_horizons_stand_in_the_order_of_their_length():
    minutes = [0, 1, 59, 60, 90, 1440, 1500, 14400]

    assert sorted(map(horizon_words, reversed(minutes)), key=horizon_length) == [horizon_words(each) for each in minutes]
    assert sorted(["10", "soon", "9.5", "nan", "-1", "1w", "90m", "9" * 400 + "d"], key=horizon_length)[:5] == ["-1", "9.5", "10", "90m", "1w"]
