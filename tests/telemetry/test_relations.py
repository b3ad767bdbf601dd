"""Relations from the log equal what plain numpy sums up of the same rows and labels."""

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.telemetry.bins import UNDER_MINIMUM, Layout, make_bins, row_places
from watchkeeper.telemetry.days import local_day
from watchkeeper.telemetry.decode import decode
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.relations import (
    ERRORS,
    MOST_COLUMNS,
    MOST_LEVELS,
    SUMS,
    day_relations,
    pack_relations,
    relation_layout,
    sum_rows,
    unpack_errors,
    unpack_relations,
)
from watchkeeper.wire import Stream

MODEL = UUID("00000000-0000-4000-8000-000000000004")
START = datetime(2026, 3, 27, 1, tzinfo=UTC)
NUMBERS = (0.0, -1.5, 2.25, None, math.nan, math.inf, -math.inf, 1e308, 1e-308, 7.0)
SAID = (0.5, 1.0, None, math.inf, 1e200, 0.25, -3.0)
WORDS = ("a", "it's", None, "ä", "")


@pytest.fixture(params=[40, 200, 10_000_000], ids=["in parts", "some days", "together"])
def relations_of(request, engine):
    """The rows are read in parts of days, some days together, or all."""
    return partial(day_relations, engine, label_days=400, fetch_at_most=request.param)


def write(log, stream, rows, *, batch=0):
    decoded = decode(stream, rows, known={}, zone=UTC, batch=batch, received_at=START)
    assert decoded.refused == ()
    log.append(MODEL, stream, decoded.table, lane="worker", sequence=batch)


def usual(n):
    return {"x": NUMBERS[n % 10], "kind": WORDS[n % 5], "same": 1.0, "flag": (True, False, None)[n % 3]}


def rows_of(count, *, said=lambda n: SAID[n % 7], features=usual):
    return [
        {
            "id": f"{n}",
            "timestamp": START + timedelta(minutes=90 * n),
            "version": ("v1", "v2", None)[n % 3],
            "prediction": said(n),
            "features": features(n),
        }
        for n in range(count)
    ]


def labels_of(rows, label):
    told = [{"id": row["id"], "timestamp": row["timestamp"] + timedelta(hours=5), "label": label(n)} for n, row in enumerate(rows)]
    return [row for row in told if row["label"] is not None]


def days_of(rows, zone=UTC):
    return sorted({local_day(row["timestamp"], zone) for row in rows})


def layout_of(rows) -> Layout:
    names = list(dict.fromkeys(name for row in rows for name in row["features"]))
    return relation_layout(make_bins(pa.table({f"f.{name}": [row["features"].get(name) for row in rows] for name in names})))


def usual(value):
    return value is not None and math.isfinite(value) and abs(value) < 1e70


def finite(value):
    return value if isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value) else 0.0


def by_hand(layout, rows, label, zone=UTC):
    """Row by row: {(version, day): {(column, place): sums}}."""
    found = defaultdict(lambda: np.zeros((len(SUMS), layout.width)))
    for row in rows:
        y, said = label.get(row["id"]), row["prediction"]
        sums = found[row["version"] or "", local_day(row["timestamp"], zone)]
        for column in layout.columns:
            cell = row["features"].get(column.name.removeprefix("f."))
            one = sum_rows(Layout((column,)), pa.table({column.name: pa.array([cell]), "said": [math.nan], "y": [math.nan]}), np.zeros(1, int), 1)[0]
            at = layout.slices[column.name].start + int(one[0].argmax())
            sums[0, at] += 1
            if usual(said):
                sums[1, at] += 1
                sums[2, at] += said
            if usual(said) and usual(y):
                x, e = finite(cell), y - said
                with np.errstate(over="ignore"):
                    sums[3:, at] += [1, x, np.float64(x) ** 2, y, y**2, said, e, e**2, e**4]
    return dict(found)


def same(found, expected):
    assert sorted((day.version, day.day) for day in found) == sorted(expected)
    for day in found:
        np.testing.assert_allclose(day.sums, expected[day.version, day.day], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Europe/Berlin")], ids=str)
def test_nasty_rows_are_summed_as_by_hand(tmp_path, relations_of, zone):
    log, rows = TelemetryLog(tmp_path), rows_of(120)
    told = labels_of(rows, lambda n: None if n % 4 == 0 else (1.0, 2.5, math.nan, -3.0, 1e300)[n % 5])
    write(log, Stream.PREDICTIONS, rows)
    write(log, Stream.LABELS, told)
    layout = layout_of(rows)

    found = relations_of(log, MODEL, layout, OutcomeKind.NUMBERS, days_of(rows, zone), zone, last_only=False)

    same(found, by_hand(layout, rows, {row["id"]: row["label"] for row in told}, zone))
    places = layout.slices["f.kind"]
    assert sum(day.sums[0, places].sum() for day in found) == 120
    assert sum(day.sums[3, places].sum() for day in found) == sum(
        usual(row["prediction"]) and usual(label)
        for row, label in zip(rows, [None if n % 4 == 0 else (1.0, 2.5, None, -3.0, None)[n % 5] for n in range(120)], strict=True)
    )


def test_random_rows_are_summed_as_numpy_does(tmp_path, relations_of):
    chance = np.random.default_rng(5)
    x, said, y = chance.normal(size=(3, 400))
    log, rows = TelemetryLog(tmp_path), rows_of(400, said=lambda n: float(said[n]), features=lambda n: {"x": float(x[n])})
    write(log, Stream.PREDICTIONS, rows)
    write(log, Stream.LABELS, labels_of(rows, lambda n: float(y[n])))

    found = relations_of(log, MODEL, layout_of(rows), OutcomeKind.NUMBERS, days_of(rows), UTC, last_only=False)

    total = dict(zip(SUMS, sum(day.sums for day in found).sum(axis=1), strict=True))
    e = y - said
    assert total == pytest.approx(
        {
            "rows": 400, "n_predicted": 400, "predicted": said.sum(), "n": 400, "x": x.sum(), "x_2": (x**2).sum(), "y": y.sum(),
            "y_2": (y**2).sum(), "prediction": said.sum(), "residual": e.sum(), "residual_2": (e**2).sum(), "residual_4": (e**4).sum(),
        }
    )  # fmt: skip


def test_errors_are_summed_by_the_places_of_the_prediction(tmp_path, relations_of):
    chance = np.random.default_rng(5)
    said, y = chance.normal(size=(2, 400))
    said[:4] = math.nan, math.inf, 1e80, -9.0
    log, rows = TelemetryLog(tmp_path), rows_of(400, said=lambda n: float(said[n]), features=lambda n: {"x": 1.0})
    write(log, Stream.PREDICTIONS, rows)
    write(log, Stream.LABELS, labels_of(rows, lambda n: float(y[n]) if n % 2 else None))
    (column,) = make_bins(pa.table({"prediction": said[4:]})).columns

    found = relations_of(log, MODEL, layout_of(rows), OutcomeKind.NUMBERS, days_of(rows), UTC, last_only=False, said=column)

    total = dict(zip(ERRORS, unpack_errors(column, pack_relations(sum(day.errors for day in found))), strict=True))
    places, known = row_places(column, pa.table({"prediction": said}))[0], np.isfinite(said) & (np.abs(said) < 1e70) & (np.arange(400) % 2 == 1)
    assert {name: sums.sum() for name, sums in total.items()} == pytest.approx(
        {"n_predicted": 397, "n": known.sum(), "absolute": np.abs(y - said)[known].sum(), "residual_2": ((y - said)[known] ** 2).sum()}
    )
    assert total["n"].tolist() == np.bincount(places[known], minlength=column.places).tolist()
    assert total["residual_2"] == pytest.approx(np.bincount(places[known], weights=((y - said)[known]) ** 2, minlength=column.places))
    assert total["n_predicted"][UNDER_MINIMUM] == 1


def test_a_binary_model_has_its_score_and_its_label_as_0_or_1(tmp_path, relations_of):
    log = TelemetryLog(tmp_path)
    rows = [row | {"score": n / 10, "prediction": "yes"} for n, row in enumerate(rows_of(10, features=lambda n: {"x": float(n)}))]
    write(log, Stream.PREDICTIONS, rows)
    write(log, Stream.LABELS, labels_of(rows, lambda n: ("yes", "no", "perhaps", "1", None)[n % 5]))

    found = relations_of(log, MODEL, layout_of(rows), OutcomeKind.DECISIONS, days_of(rows), UTC, last_only=False)

    total = dict(zip(SUMS, sum(day.sums for day in found).sum(axis=1), strict=True))
    assert (total["rows"], total["n"], total["y"]) == (10, 6, 4)
    assert total["prediction"] == pytest.approx((0 + 1 + 3 + 5 + 6 + 8) / 10)
    assert total["predicted"] == pytest.approx(4.5)


def test_where_no_score_is_logged_the_decision_is_the_prediction(tmp_path, relations_of):
    log, rows = TelemetryLog(tmp_path), rows_of(9, said=lambda n: ("yes", "no", None)[n % 3], features=lambda n: {"x": float(n)})
    write(log, Stream.PREDICTIONS, rows)
    write(log, Stream.LABELS, labels_of(rows, lambda n: True))

    found = relations_of(log, MODEL, layout_of(rows), OutcomeKind.DECISIONS, days_of(rows), UTC, last_only=False)

    total = dict(zip(SUMS, sum(day.sums for day in found).sum(axis=1), strict=True))
    assert (total["rows"], total["n"], total["prediction"], total["residual_2"]) == (9, 6, 3, 3)


def test_rows_and_labels_that_were_sent_again_count_once_by_the_last(tmp_path, relations_of):
    log, rows = TelemetryLog(tmp_path), rows_of(30, said=lambda n: 1.0, features=lambda n: {"x": float(n)})
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.PREDICTIONS, [row | {"prediction": 5.0} for row in rows[:10]], batch=2)
    write(log, Stream.LABELS, labels_of(rows, lambda n: 2.0), batch=1)
    later = [row | {"timestamp": row["timestamp"] + timedelta(days=1)} for row in labels_of(rows[:5], lambda n: 7.0)]
    write(log, Stream.LABELS, later, batch=2)
    write(log, Stream.LABELS, [row | {"label": None, "timestamp": row["timestamp"] + timedelta(days=2)} for row in later[:2]], batch=3)

    found = relations_of(log, MODEL, layout_of(rows), OutcomeKind.NUMBERS, days_of(rows), UTC, last_only=True)

    total = dict(zip(SUMS, sum(day.sums for day in found).sum(axis=1), strict=True))
    assert (total["rows"], total["predicted"], total["n"]) == (30, 70, 28)
    assert total["y"] == 3 * 7 + 25 * 2
    assert total["prediction"] == 8 * 5 + 20


def test_rows_without_any_label_have_their_predictions(tmp_path, relations_of):
    log, rows = TelemetryLog(tmp_path), rows_of(1, said=lambda n: 3.0, features=lambda n: {"x": 1.0})
    write(log, Stream.PREDICTIONS, rows)

    (found,) = relations_of(log, MODEL, layout_of(rows), OutcomeKind.NUMBERS, days_of(rows), UTC, last_only=False)

    assert found.sums.sum(axis=1).tolist() == [1, 1, 3, *[0] * 9]
    assert relations_of(log, MODEL, layout_of(rows), OutcomeKind.NUMBERS, [START.date() + timedelta(days=40)], UTC, last_only=False) == []


def test_a_feature_that_the_log_lacks_is_null(tmp_path, relations_of):
    log, rows = TelemetryLog(tmp_path), rows_of(3, said=lambda n: 3.0, features=lambda n: {"x": 1.0})
    write(log, Stream.PREDICTIONS, rows)
    layout = Layout((*layout_of(rows).columns, *make_bins(pa.table({"f.gone": [1.0, 2.0, 3.0]})).columns))

    (found,) = [day for day in relations_of(log, MODEL, layout, OutcomeKind.NUMBERS, days_of(rows), UTC, last_only=False) if day.version == "v1"]

    assert found.sums[0, layout.slices["f.gone"]][-1] == 1


def test_the_most_frequent_levels_and_the_first_features_are_kept():
    many = pa.table({"score": [0.1], "f.kind": ["a"], **{f"f.{n}": [1.0] for n in range(MOST_COLUMNS + 5)}})
    kinds = pa.table({"f.kind": [f"level {n}" for n in range(MOST_LEVELS + 7) for _ in range(3)]})

    kept = relation_layout(make_bins(kinds)).columns[0]

    assert len(relation_layout(make_bins(many)).columns) == MOST_COLUMNS
    assert "score" not in relation_layout(make_bins(many)).slices
    assert kept.places == MOST_LEVELS + 3
    assert kept.place_of(pa.array(["level 0", "level 99", "never seen", None])).tolist() == [0, MOST_LEVELS, MOST_LEVELS, MOST_LEVELS + 2]


def test_packed_sums_come_back_to_nine_digits_and_counts_exactly():
    layout = layout_of(rows_of(50))
    sums = np.random.default_rng(2).normal(size=(len(SUMS), layout.width)) * 10.0 ** np.arange(-6, 6)[:, None]
    sums[0] = np.arange(layout.width) * 999_983
    sums[4, 3], sums[5, 3] = math.inf, -math.inf

    stored = unpack_relations(layout, pack_relations(sums))

    np.testing.assert_allclose(stored, sums, rtol=2e-9)
    assert stored[0].tolist() == sums[0].tolist()
