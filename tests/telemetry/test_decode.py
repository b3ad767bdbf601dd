"""Payloads become tables in log form; what does not fit is refused with a reason, never bent."""

import math
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.telemetry.arrow import check_arrow_schema
from watchkeeper.telemetry.decode import Decoded, decode
from watchkeeper.wire import Stream

RECEIVED = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
NOON = "2026-11-22T12:00:00Z"


def arrow(**columns):
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def predictions(payload, known=None, zone=UTC) -> Decoded:
    return decode(Stream.PREDICTIONS, payload, known=known or {}, zone=zone, batch=7, received_at=RECEIVED)


def row(identity="a", timestamp=NOON, **rest):
    return {"id": identity, "timestamp": timestamp, **rest}


def times(count, start="2026-11-22T12:00"):
    return pa.array(np.datetime64(start, "us") + np.arange(count), pa.timestamp("us", "UTC"))


def test_a_row_becomes_its_log_form():
    sent = row("a", prediction="yes", score={"yes": 0.7, "no": 0.3}, features={"age": 41, "vector": [1, None]}, version="v1", region="north", floor=7)

    decoded = predictions([sent])

    assert decoded.refused == ()
    assert decoded.learned == {
        "prediction": "string",
        "f.age": "double",
        "f.vector": "vector",
        "s.floor": "string",
        "s.region": "string",
        "score.no": "double",
        "score.yes": "double",
    }
    [logged] = decoded.table.to_pylist()
    assert logged == {
        "id": "a", "timestamp": datetime(2026, 11, 22, 12, tzinfo=UTC), "version": "v1", "run_id": None, "instance": None, "received_at": RECEIVED,
        "batch": 7, "row": 0, "prediction": "yes", "f.age": 41.0, "f.vector": [1.0, None], "s.floor": "7", "s.region": "north",
        "score.no": 0.3, "score.yes": 0.7, "date": date(2026, 11, 22),
    }  # fmt: skip


def test_json_and_arrow_give_the_same_table():
    rows = [
        row(
            str(n),
            prediction=n % 2 == 0,
            score=n / 4,
            features={"x": [2.5, math.nan, math.inf, None][n], "c": "é"},
            version="v",
            ratio=[7.0, 7.5, True, None][n],
        )
        for n in range(4)
    ]
    columns = {
        "id": pa.array([0, 1, 2, 3]), "timestamp": pa.array([datetime(2026, 11, 22, 12, tzinfo=UTC)] * 4), "prediction": [True, False, True, False],
        "score": pa.array([0, 0.25, 0.5, 0.75], pa.float32()), "f.x": [2.5, math.nan, math.inf, None], "f.c": pa.array(["é"] * 4).dictionary_encode(),
        "version": pa.array(["v"] * 4, pa.string_view()), "s.ratio": ["7", "7.5", "true", None],
    }  # fmt: skip

    as_json, as_arrow = predictions(rows), predictions(arrow(**columns))

    assert as_json == as_arrow
    assert as_json.table["f.x"].to_pylist() == [2.5, None, math.inf, None]


def test_an_integer_column_that_meets_a_fraction_keeps_the_fraction():
    first = predictions(arrow(id=["a"], timestamp=times(1), **{"f.x": pa.array([2], pa.int64())}))

    second = predictions([row("b", features={"x": 2.5})], known=first.learned)

    assert first.learned == {"f.x": "double"}
    assert second.table["f.x"].to_pylist() == [2.5]


@pytest.mark.parametrize(
    ("known", "value"),
    [
        ("double", "abc"),
        ("double", "7"),
        ("double", True),
        ("string", 7),
        ("boolean", 1),
        ("boolean", "true"),
        ("vector", 1.0),
        ("double", [1.0]),
        ("vector", ["a"]),
        ("double", 10**400),
        ("string", "\ud800"),
    ],
)
def test_a_value_of_another_type_is_refused(known, value):
    decoded = predictions([row("a", features={"x": value}), row("b")], known={"f.x": known})

    [refused] = decoded.refused
    assert (refused.row, refused.field) == (0, "features.x")
    assert "this column holds" in refused.message
    assert refused.remedy.startswith("Send ")
    assert decoded.table["id"].to_pylist() == ["b"]
    assert decoded.learned == {}


def test_a_whole_arrow_column_of_another_type_refuses_the_rows_that_hold_something():
    decoded = predictions(arrow(id=["a", "b", "c"], timestamp=times(3), **{"f.x": ["1", None, "3"]}), known={"f.x": "double"})

    assert [(refused.row, refused.field, refused.payload["f.x"]) for refused in decoded.refused] == [(0, "features.x", "1"), (2, "features.x", "3")]
    assert decoded.refused[0].message == "The column came as strings, but it holds numbers."
    assert decoded.table.select(["id", "row"]).to_pylist() == [{"id": "b", "row": 1}]


def test_a_refused_row_of_any_arrow_type_is_quoted():
    columns = {
        "s.a": pa.array(["x"], pa.string_view()), "s.b": pa.array(["x"]).dictionary_encode(), "f.t": pa.array([1], pa.timestamp("ns")),
        "f.v": pa.array([[1.0]]), "prediction": pa.array([10**18], pa.timestamp("s")),
    }  # fmt: skip

    [refused] = predictions(arrow(id=["a"], timestamp=times(1), **columns)).refused

    assert (refused.field, refused.payload["s.a"], refused.payload["f.t"]) == ("prediction", "x", "1970-01-01 00:00:00.000000001")


def test_one_odd_first_value_does_not_decide_the_type():
    decoded = predictions([row("a", features={"x": "n/a"}), row("b", features={"x": 1}), row("c", features={"x": 2})])

    assert decoded.learned == {"f.x": "double"}
    assert [refused.row for refused in decoded.refused] == [0]


def test_a_column_without_values_is_left_out_and_not_learned():
    in_json = predictions([row(features={"x": None, "y": math.nan})])
    in_arrow = predictions(arrow(id=["a"], timestamp=times(1), **{"f.x": pa.nulls(1), "f.y": pa.array([math.nan])}))

    assert in_json == in_arrow
    assert in_json.learned == {}
    assert not any(name.startswith("f.") for name in in_json.table.column_names)


def test_a_name_that_differs_only_in_case_is_refused():
    decoded = predictions([row("a", features={"Age": 1}), row("b", features={"age": 1})], known={"f.age": "double"})

    [refused] = decoded.refused
    assert (refused.row, refused.field, refused.remedy) == (0, "features.Age", "Call it 'features.age'.")


def test_two_spellings_in_one_batch_are_one_column():
    decoded = predictions([row("a", features={"age": 1}), row("b", features={"AGE": 1})])

    assert decoded.learned == {"f.age": "double"}
    assert [refused.row for refused in decoded.refused] == [1]


@pytest.mark.parametrize("name", ["", "x" * 300, "a\nb", "\0"])
def test_an_impossible_name_is_refused(name):
    decoded = predictions([row("a", features={name: 1})])

    assert [refused.row for refused in decoded.refused] == [0]
    assert decoded.learned == {}


def test_a_naive_time_is_read_in_the_models_zone_summer_and_winter_gap_and_repeat():
    walls = ["2026-07-01T12:00", "2026-01-01T12:00", "2026-03-08T02:30", "2026-11-01T01:30"]

    in_json = predictions([row(str(n), wall) for n, wall in enumerate(walls)], zone=ZoneInfo("America/New_York"))
    in_arrow = predictions(arrow(id=list("0123"), timestamp=pa.array(np.array(walls, "datetime64[us]"))), zone=ZoneInfo("America/New_York"))

    expected = [
        datetime(2026, 7, 1, 16, tzinfo=UTC),
        datetime(2026, 1, 1, 17, tzinfo=UTC),
        datetime(2026, 3, 8, 7, 30, tzinfo=UTC),
        datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
    ]
    assert in_json.table["timestamp"].to_pylist() == expected
    assert in_json == in_arrow


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_times_outside_the_years_are_refused(unit):
    moments = np.array(["1969-12-31T23:59:59", "1970-01-01", "2149-12-31T23:59:59", "2150-01-01", "9999-01-01", "-9999-01-01"], f"datetime64[{unit}]")

    decoded = predictions(arrow(id=list("abcdef"), timestamp=pa.array(moments, pa.timestamp(unit, "UTC"))))

    assert decoded.table["id"].to_pylist() == ["b", "c"]
    assert {refused.message for refused in decoded.refused} == {"The time is outside the years 1970-2149."}


@pytest.mark.parametrize("given", [pa.timestamp("ns", "Europe/Moscow"), pa.timestamp("s"), pa.date32(), pa.date64()])
def test_times_of_every_arrow_type_are_read(given):
    midnight = pa.array([np.datetime64("2026-11-22", "ns")]).cast(given)

    assert predictions(arrow(id=["a"], timestamp=midnight)).table["timestamp"].to_pylist() == [datetime(2026, 11, 22, tzinfo=UTC)]


def test_a_time_before_1970_in_json_is_refused_after_its_zone_is_applied():
    decoded = predictions([row("a", "1970-01-01T01:00:00+02:00"), row("b", "2149-12-31T23:00:00-02:00"), row("c", "1970-01-01T00:00:00Z")])

    assert decoded.table["id"].to_pylist() == ["c"]


def test_missing_and_impossible_ids_are_refused():
    decoded = predictions(arrow(id=["a", None, "", "x" * 201], timestamp=times(4)))

    assert decoded.table["id"].to_pylist() == ["a"]
    assert [refused.message for refused in decoded.refused] == ["The id is missing.", "The id has 0 characters.", "The id has 201 characters."]


def test_a_label_without_time_became_known_when_it_came_and_lies_on_its_predictions_day():
    sent = [{"id": "a", "label": 1, "prediction_timestamp": "2026-11-01T10:00:00Z"}, {"id": "b", "label": 0.5, "timestamp": "2026-11-03T10:00:00Z"}]

    table = decode(Stream.LABELS, sent, known={}, zone=UTC, batch=1, received_at=RECEIVED).table

    assert table["timestamp"].to_pylist() == [RECEIVED, datetime(2026, 11, 3, 10, tzinfo=UTC)]
    assert [day.isoformat() for day in table["date"].to_pylist()] == ["2026-11-01", "2026-11-03"]
    assert table["label"].to_pylist() == [1.0, 0.5]


def test_a_refused_payload_fits_into_json():
    decoded = predictions([row("\0\ud800", features={"x": "no", "y": math.inf, "at": datetime(2026, 1, 1, tzinfo=UTC)})], known={"f.x": "double"})

    assert decoded.refused[0].payload["id"] == "\ufffd?"
    assert decoded.refused[0].payload["features"] == {"x": "no", "y": "inf", "at": "2026-01-01T00:00:00+00:00"}


def test_too_many_columns_are_refused():
    decoded = predictions([row("a", features={f"x{n}": 1 for n in range(2100)}), row("b", features={"x1": 1})])

    assert [refused.row for refused in decoded.refused] == [0]
    assert decoded.learned == {"f.x1": "double"}


def test_infinite_and_struct_scores_are_kept():
    decoded = predictions(arrow(id=["a", "b"], timestamp=times(2), score=pa.array([{"yes": math.inf, "no": 0.1}, None])))

    assert decoded.table["score.yes"].to_pylist() == [math.inf, None]


def test_vectors_of_every_arrow_list_are_read():
    for given in (pa.list_(pa.float32()), pa.large_list(pa.int8()), pa.list_(pa.float64(), 2)):
        decoded = predictions(arrow(id=list("abc"), timestamp=times(3), **{"f.v": pa.array([[1, 2], None, [3, None]], given)}))

        assert decoded.table["f.v"].to_pylist() == [[1.0, 2.0], None, [3.0, None]]
    with_nan = pa.array([[0.0, 0.0], [1.0, math.nan], None])
    assert predictions(arrow(id=list("abc"), timestamp=times(3), **{"f.v": with_nan})).table["f.v"].to_pylist() == [[0.0, 0.0], [1.0, None], None]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": pa.string()}, "Column timestamp is missing"),
        ({"id": pa.float64(), "timestamp": pa.timestamp("us")}, "'id' has type double"),
        ({"id": pa.string(), "timestamp": pa.int64()}, "'timestamp' has type int64. Send times"),
        ({"id": pa.string(), "timestamp": pa.timestamp("us"), "F.x": pa.int8()}, "'F.x' is not known. Known: id, timestamp"),
        ({"id": pa.string(), "timestamp": pa.timestamp("us"), "f.x": pa.binary()}, "'f.x' has type binary"),
        ({"id": pa.string(), "timestamp": pa.timestamp("us"), "f.x": pa.int8(), "f.X": pa.int8()}, "'f.X' is there more than once"),
        ({"id": pa.string(), "timestamp": pa.timestamp("us"), "score": pa.string()}, "'score' has type string. Send numbers"),
        ({"id": pa.string(), "timestamp": pa.timestamp("us"), "f." + "x" * 300: pa.int8()}, "at most 200"),
        ({"id": pa.string(), **{f"f.{n}": pa.int8() for n in range(2000)}}, "at most 2000"),
    ],
)
def test_a_wrong_schema_is_named_at_the_border(columns, words):
    assert any(words in problem for problem in check_arrow_schema(Stream.PREDICTIONS, pa.schema(columns)))


def test_a_right_schema_has_no_problems():
    fields = {
        "id": pa.int64(),
        "timestamp": pa.timestamp("ns"),
        "prediction": pa.null(),
        "score": pa.struct({"a": pa.float32()}),
        "f.v": pa.list_(pa.float32()),
        "s.a": pa.bool_(),
    }

    assert check_arrow_schema(Stream.PREDICTIONS, pa.schema(fields)) == []
    assert check_arrow_schema(Stream.LABELS, pa.schema({"id": pa.string(), "label": pa.bool_()})) == []
