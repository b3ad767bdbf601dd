"""What the caller passes arrives the same, whatever it is passed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import watchkeeper
from watchkeeper.client._json import encode, plain
from watchkeeper.telemetry.decode import decode
from watchkeeper.wire import Stream

AT = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
NAMES = {"id": "key", "timestamp": "ts", "prediction": "decision", "score": "probability"}
KINDS = {"dicts": list, "pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table.from_pylist}


def _source(rows: int) -> list[dict[str, Any]]:  # Any: mixed columns
    return [
        {"key": f"p{n}", "ts": AT, "decision": "buy", "probability": 0.5, "income": float("nan") if n == 1 else n * 1.5, "age": n, "region": "EU"}
        for n in range(rows)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_frame_of_any_kind_arrives_as_the_same_json_rows(kind: str, model: watchkeeper.Client, receiver: Any) -> None:
    frame = KINDS[kind](_source(3))

    model.log_predictions(frame, **NAMES, segments=["region"], version="7")
    model.flush()

    row = {"id": "p1", "timestamp": "2026-11-22T14:30:00.000000+00:00", "prediction": "buy", "score": 0.5, "version": "7", "region": "EU"}
    assert receiver.rows("predictions")[1] == row | {"features": {"income": None, "age": 1}}
    assert receiver.accepted[0].media_type == "application/json"


@pytest.mark.parametrize("kind", KINDS)
def test_a_big_frame_of_any_kind_arrives_as_the_same_arrow_table(kind: str, model: watchkeeper.Client, receiver: Any) -> None:
    frame = KINDS[kind](_source(300))

    model.log_predictions(frame, **NAMES, segments=["region"], version="7")
    model.flush()

    row = {"id": "p1", "timestamp": AT, "prediction": "buy", "score": 0.5, "version": "7", "f.income": None, "f.age": 1, "s.region": "EU"}
    assert len(receiver.rows("predictions")) == 300
    assert receiver.rows("predictions")[1] == row
    schema = receiver.accepted[0].table.schema
    assert [schema.field(name).type for name in ("id", "timestamp", "score")] == [pa.string(), pa.timestamp("us", "UTC"), pa.float64()]


def test_a_naive_time_stays_naive_in_arrow(model: watchkeeper.Client, receiver: Any) -> None:
    frame = pd.DataFrame({"id": range(300), "timestamp": pd.date_range("2026-01-01", periods=300, freq="s"), "label": True})

    model.log_labels(frame)
    model.flush()

    assert receiver.accepted[0].table.schema == pa.schema([("id", pa.string()), ("label", pa.bool_()), ("timestamp", pa.timestamp("us"))])


def test_categories_become_texts_and_times_in_text_become_times(model: watchkeeper.Client, receiver: Any) -> None:
    frame = pd.DataFrame(
        {"id": range(300), "timestamp": "2026-11-22T14:30:00Z", "colour": pd.Categorical(["red"] * 300), "vector": [[1.0, 2.0]] * 300}
    )

    model.log_predictions(frame)
    model.flush()

    assert receiver.rows("predictions")[0] == {"id": "0", "timestamp": AT, "f.colour": "red", "f.vector": [1.0, 2.0]}


def test_a_column_of_mixed_types_goes_as_json(model: watchkeeper.Client, receiver: Any) -> None:
    frame = pd.DataFrame({"id": range(300), "x": [1, "one"] * 150})

    model.log_predictions(frame, instance="pump-7")
    model.flush()

    rows = receiver.rows("predictions")
    assert (len(rows), rows[1]["features"]["x"], rows[1]["instance"]) == (300, "one", "pump-7")


def test_one_dict_is_one_row_and_gets_the_time_of_the_call(model: watchkeeper.Client, receiver: Any) -> None:
    model.log_predictions({"id": 1, "prediction": 3.5, "x": 2})
    model.flush()

    [row] = receiver.rows("predictions")
    assert abs(datetime.fromisoformat(row.pop("timestamp")) - datetime.now(UTC)).total_seconds() < 10
    assert row == {"id": 1, "prediction": 3.5, "features": {"x": 2}}


def test_a_row_in_wire_form_passes_through(model: watchkeeper.Client, receiver: Any) -> None:
    row = {"id": "a", "timestamp": "2026-11-22T14:30:00Z", "score": {"yes": 0.9, "no": 0.1}, "features": {"x": 1}, "region": "EU"}

    model.log_predictions(row)
    model.flush()

    assert receiver.rows("predictions") == [row]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [3, 300], ids=["json", "arrow"])
def test_the_times_of_a_forecast_are_fields_and_its_horizon_is_a_segment(kind: str, rows: int, model: watchkeeper.Client, receiver: Any) -> None:
    row = {"timestamp": AT, "prediction": 4.0, "run": AT, "target_time": AT + timedelta(hours=6), "horizon": "near", "x": 1.0}
    frame = KINDS[kind]([{"id": f"p{n}", **row} for n in range(rows)])

    model.log_predictions(frame, issued_at="run", target_time="target_time", segments=["horizon"])
    model.flush()

    sent = decode(
        Stream.PREDICTIONS, receiver.accepted[0].body if rows > 200 else receiver.rows("predictions"), known={}, zone=UTC, batch=1, received_at=AT
    )
    [logged] = sent.table.slice(1, 1).select(["issued_at", "target_time", "s.horizon", "f.x"]).to_pylist()
    assert (len(sent.table), sent.refused) == (rows, ())
    assert logged == {"issued_at": AT, "target_time": AT + timedelta(hours=6), "s.horizon": "near", "f.x": 1.0}
    assert sent.table.column_names.count("f.run") == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [3, 300], ids=["json", "arrow"])
def test_quantiles_beside_a_number_pass_through(kind: str, rows: int, model: watchkeeper.Client, receiver: Any) -> None:
    said = [{"q10": 3.25, "q50": None if n == 1 else 4.0, "q90": 6.25} for n in range(rows)]
    frame = KINDS[kind]([{"id": f"p{n}", "timestamp": AT, "prediction": 4.0, "quantiles": said[n], "x": 1.0} for n in range(rows)])

    model.log_predictions(frame, score="quantiles")
    model.flush()

    assert [row["score"] for row in receiver.rows("predictions")] == said


def test_the_caller_may_change_a_frame_right_after_the_call(model: watchkeeper.Client, receiver: Any) -> None:
    frame = pd.DataFrame({"id": [1], "x": [1.0]})
    row = {"id": 2, "features": {"x": 2.0}, "vector": [1]}

    model.log_predictions(frame)
    model.log_predictions(row)
    frame.loc[0, "x"] = 99.0
    row["features"]["x"] = 99.0  # type: ignore[index] # a dict
    model.flush()

    assert [sent["features"]["x"] for sent in receiver.rows("predictions")] == [1.0, 2.0]


def test_training_brings_its_schema_and_an_even_sample(model: watchkeeper.Client, receiver: Any) -> None:
    reference = pd.DataFrame(
        {"n": range(25_000), "city": "Oslo", "is_new": True, "at": pd.Timestamp("2026-01-01"), "vector": [[1.0]] * 25_000, "empty": np.nan}
    )

    model.log_training(version="2026-11", reference=reference, metrics={"roc_auc": np.float64(0.5)}, data_sources=["postgres://dwh/orders"])
    model.flush()

    [row] = receiver.rows("training")
    assert row["schema"] == {"n": "double", "city": "string", "is_new": "boolean", "at": "timestamp", "vector": "vector", "empty": "double"}
    assert [one["n"] for one in row["reference"][:4]] == [0, 2, 5, 7]
    assert (len(row["reference"]), row["metrics"], row["data_sources"]) == (10_000, {"roc_auc": 0.5}, ["postgres://dwh/orders"])


def test_importances_go_with_the_training_as_they_are(model: watchkeeper.Client, receiver: Any) -> None:
    model.log_training(version="1", importances=pd.Series({"age": 0.31, "income": 2}))
    model.log_training(version="2")
    model.flush()

    told, silent = receiver.rows("training")
    assert told["importances"] == {"age": 0.31, "income": 2.0}
    assert "importances" not in silent


def test_metrics_events_and_heartbeats_arrive(model: watchkeeper.Client, receiver: Any) -> None:
    model.log_metrics({"roc_auc": 0.79}, dataset="validation", timestamp=AT, version="7", segment="EU")
    model.log_event("deployed", version="2026-11", timestamp=AT)
    model.heartbeat()
    model.flush()

    at = "2026-11-22T14:30:00.000000+00:00"
    assert receiver.rows("metrics") == [{"name": "roc_auc", "value": 0.79, "timestamp": at, "dataset": "validation", "version": "7", "segment": "EU"}]
    assert receiver.rows("events")[0] == {"type": "deployed", "version": "2026-11", "timestamp": at}
    assert receiver.rows("events")[1]["type"] == "heartbeat"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (float("inf"), None),
        (np.float64("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([1.0, np.nan]), [1.0, None]),
        (np.datetime64("2026-11-22T14:30:00.123456789", "ns"), "2026-11-22T14:30:00.123456"),
        (np.datetime64("NaT"), None),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Timestamp("2026-11-22", tz="Europe/Oslo"), "2026-11-22T00:00:00.000000+01:00"),
        (datetime(2026, 11, 22).date(), "2026-11-22"),  # noqa: DTZ001 - a naive time is the case
        (Decimal("1.5"), 1.5),
    ],
    ids=repr,
)
def test_every_value_becomes_valid_json(given: object, expected: object) -> None:
    assert plain(given) == expected


def test_half_a_surrogate_pair_does_not_make_a_batch_unreadable() -> None:
    assert encode({"x": "\ud83d"}) == b'{"x":"?"}'
