"""Outcomes from the log equal what plain Python counts from the same rows and labels."""

import math
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from watchkeeper.analysis.metrics import metric_named, metrics_of
from watchkeeper.telemetry.days import local_day
from watchkeeper.telemetry.decode import decode
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import NO_SCORE, NUMBER_SUMS, UNKNOWN, OutcomeKind
from watchkeeper.telemetry.outcomes import MOST_CLASSES, MOST_SEGMENTS, day_outcomes, days_of_labels, delay_bounds
from watchkeeper.wire import Stream

MODEL = UUID("00000000-0000-4000-8000-000000000004")
START = datetime(2026, 3, 27, 1, tzinfo=UTC)
RECEIVED = datetime(2026, 4, 20, tzinfo=UTC)
SCORES = (0.0, 1.0, 0.25, 0.5, 0.995, math.nextafter(1, 2), -0.1, math.inf, 1e200, None)


@pytest.fixture
def log(tmp_path):
    return TelemetryLog(tmp_path)


def write(log, stream, rows, *, batch):
    decoded = decode(stream, rows, known={}, zone=UTC, batch=batch, received_at=RECEIVED)
    assert decoded.refused == ()
    log.append(MODEL, stream, decoded.table, lane="worker", sequence=batch)


def predictions(count, **columns):
    """One every hour and a half, so that days of several zones are touched."""
    rows = [{"id": f"{n}", "timestamp": START + timedelta(minutes=90 * n), "version": "v1" if n % 3 else "v2"} for n in range(count)]
    return [row | {name: of(n) for name, of in columns.items()} for n, row in enumerate(rows)]


def labels(rows, label, *, late=timedelta(hours=5)):
    told = [{"id": row["id"], "timestamp": row["timestamp"] + late, "label": label(n)} for n, row in enumerate(rows)]
    return [row for row in told if row["label"] is not None]


def outcomes(engine, log, kind, *, fields=(), zone=UTC, days=None, last_only=False):
    days = days or [date(2026, 3, 26) + timedelta(days=n) for n in range(12)]
    return day_outcomes(engine, log, MODEL, kind, fields, days, zone, label_days=400, last_only=last_only)


def cells(found):
    return {tuple(cell[:-3]): tuple(cell[-3:]) for cell in found.cells.tolist()}


def code(score):
    if score is None:
        return NO_SCORE
    return 0 if score < 0 else 201 if score > 1 else min(int(score * 200), 199) + 1


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")], ids=str)
def test_decisions_are_counted_by_score_decision_and_label_on_the_days_of_a_zone(engine, log, zone):
    rows = predictions(150, score=lambda n: SCORES[n % 10], prediction=lambda n: [True, False, None][n % 3 if n % 2 else 2])
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows, lambda n: None if n % 4 == 0 else n % 5 == 0), batch=1)

    found = outcomes(engine, log, OutcomeKind.DECISIONS, zone=zone)

    expected = defaultdict(Counter)
    for n, row in enumerate(rows):
        score, said = row["score"], row["prediction"]
        decided = said if said is not None else UNKNOWN if score is None else score >= 0.5
        label = UNKNOWN if n % 4 == 0 else n % 5 == 0
        expected[row["version"], local_day(row["timestamp"], zone)][code(score), int(decided), int(label)] += 1
    assert {(day.version, day.day): {key: n for key, (n, _, _) in cells(day).items()} for day in found} == expected
    usual = [row["score"] for row in rows if row["score"] is not None and abs(row["score"]) < 1e100]
    assert sum(day.cells[:, 4].sum() for day in found) == pytest.approx(sum(usual))
    assert sum(day.cells[:, 5].sum() for day in found) == pytest.approx(sum(s * (1 - s) for s in usual))
    assert sum(day.rows for day in found) == 150
    assert sum(day.labelled for day in found) == sum(n % 4 != 0 for n in range(150))


@pytest.mark.parametrize("kind", [OutcomeKind.DECISIONS, OutcomeKind.NUMBERS], ids=str)
def test_the_late_hours_of_a_day_of_25_are_its_own(engine, log, kind):
    first = datetime(2026, 10, 24, 22, tzinfo=UTC)  # midnight in Berlin; the day has 25 hours
    rows = [{"id": f"{n}", "timestamp": first + timedelta(hours=n), "score": 0.5, "prediction": 1.0} for n in range(26)]
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows, lambda n: 0.0), batch=1)

    days = [date(2026, 10, 24), date(2026, 10, 25), date(2026, 10, 26)]
    found = outcomes(engine, log, kind, zone=ZoneInfo("Europe/Berlin"), days=days)

    assert [(day.day, day.rows, day.labelled) for day in found] == [(days[1], 25, 25), (days[2], 1, 1)]
    counts = [day.cells[:, 3].sum() if kind is OutcomeKind.DECISIONS else day.cells[0, 0] for day in found]
    assert counts == [25, 1]


def test_the_label_known_last_counts_and_a_null_takes_a_label_back(engine, log):
    rows = predictions(4, score=lambda n: 0.5)
    write(log, Stream.PREDICTIONS, rows, batch=1)
    at = START + timedelta(days=1)
    sent = [
        {"id": "0", "label": 0, "timestamp": at},
        {"id": "0", "label": 1, "timestamp": at + timedelta(days=9)},
        {"id": "0", "label": 0, "timestamp": at + timedelta(days=1)},
        {"id": "1", "label": 0, "timestamp": at},
        {"id": "1", "label": 1, "timestamp": at},  # at the same time: received later
        {"id": "2", "label": 1, "timestamp": at},
        {"id": "2", "label": None, "timestamp": at + timedelta(days=1)},
        {"id": "nobody", "label": 1, "timestamp": at},
    ]
    write(log, Stream.LABELS, sent, batch=1)

    found = outcomes(engine, log, OutcomeKind.DECISIONS)

    counted = Counter()
    for day in found:
        for (_, _, label), (n, _, _) in cells(day).items():
            counted[int(label)] += n
    assert counted == {1: 2, UNKNOWN: 2}
    assert [day.labelled for day in found] == [1, 1]


def test_the_delay_is_told_by_the_first_label_of_each_class(engine, log):
    rows = predictions(6, score=lambda n: 0.5)
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows[:4], lambda n: n % 2, late=timedelta(hours=2)), batch=1)
    write(log, Stream.LABELS, labels(rows[:1], lambda n: 1, late=timedelta(days=3)), batch=2)  # a correction
    write(log, Stream.LABELS, labels(rows[4:5], lambda n: 1, late=timedelta(hours=-1)), batch=3)  # a clock that is ahead

    found = outcomes(engine, log, OutcomeKind.DECISIONS)

    by_label = Counter()
    for day in found:
        for label, bucket, n in day.delays.tolist():
            by_label[int(label), float(delay_bounds(np.array(bucket)))] += n
    waited = sorted({bound for _, bound in by_label})
    assert waited[0] < 1
    assert 7200 < waited[1] < 7200 * 2 ** (1 / 16) + 1
    assert by_label == {(1, waited[1]): 3, (0, waited[1]): 1, (1, waited[0]): 1}


def test_segments_are_counted_beside_the_whole(engine, log):
    rows = predictions(100, score=lambda n: 0.5, region=lambda n: ["north", "it's", None, ""][n % 4], channel=lambda n: f"c{n % 2}")
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows, lambda n: n % 2), batch=1)

    found = outcomes(engine, log, OutcomeKind.DECISIONS, fields=("region", "channel"))

    total = Counter()
    for day in found:
        total[day.field, day.segment] += day.rows
        if day.segment == "c1":
            assert {label for _, _, label in cells(day)} == {1}
            assert set(day.delays[:, 0]) == {1}
    assert total == {("", ""): 100, ("region", "north"): 25, ("region", "it's"): 25, ("channel", "c0"): 50, ("channel", "c1"): 50}


def test_of_very_many_segments_the_largest_are_kept(engine, log):
    rows = predictions(3, score=lambda n: 0.5)[:1]
    many = [{**rows[0], "id": f"{n}", "city": f"city {min(n, 249)}"} for n in range(260)]
    write(log, Stream.PREDICTIONS, many, batch=1)
    write(log, Stream.LABELS, labels(many, lambda n: 1), batch=1)

    found = [day for day in outcomes(engine, log, OutcomeKind.DECISIONS, fields=("city",)) if day.field]

    assert len(found) == MOST_SEGMENTS
    assert max(found, key=lambda day: day.rows).segment == "city 249"


def test_classes_are_counted_by_prediction_and_label(engine, log):
    names = ["cat", "dog", "it's"]
    rows = predictions(90, prediction=lambda n: names[n % 3])
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows, lambda n: None if n % 5 == 0 else names[n % 2]), batch=1)

    found = outcomes(engine, log, OutcomeKind.CLASSES)

    counted = Counter()
    for day in found:
        for said, label, n in day.cells.astype(int).tolist():
            counted[day.classes[said], day.classes[label] if label != UNKNOWN else None] += n
    assert counted == Counter((names[n % 3], None if n % 5 == 0 else names[n % 2]) for n in range(90))
    assert sum(day.labelled for day in found) == 72


def test_rare_classes_beyond_the_most_are_one(engine, log):
    rows = predictions(80, prediction=lambda n: f"class {n}")
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows, lambda n: "class 0"), batch=1)

    found = outcomes(engine, log, OutcomeKind.CLASSES)

    assert {len(day.classes) for day in found} == {MOST_CLASSES + 1}
    assert sum(day.cells[:, 2].sum() for day in found) == 80


def test_errors_are_summed(engine, log):
    rng = np.random.default_rng(3)
    truth, said = rng.normal(10, 3, 120), rng.normal(10, 3, 120)
    truth[7], said[8], said[9] = 0.0, math.inf, math.nan
    rows = predictions(
        120, prediction=lambda n: float(said[n]), score=lambda n: {"naive": 10.0, "low": float(said[n]) - 2, "high": float(said[n]) + 2}
    )
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows, lambda n: None if n >= 100 else float(truth[n])), batch=1)

    found = outcomes(engine, log, OutcomeKind.NUMBERS)

    sums = dict(zip(NUMBER_SUMS, sum(day.cells[0] for day in found), strict=True))
    known = np.isfinite(said[:100])
    y, e, b = truth[:100][known], (said - truth)[:100][known], (10.0 - truth[:100])[known]
    expected = {
        "n": 98, "error": e.sum(), "error_2": (e**2).sum(), "error_4": (e**4).sum(), "absolute": np.abs(e).sum(),
        "n_relative": 97, "relative": np.abs(e / np.where(y == 0, np.inf, y)).sum(), "relative_2": ((e / np.where(y == 0, np.inf, y)) ** 2).sum(),
        "n_naive": 98, "naive_2": (b**2).sum(), "naive_4": (b**4).sum(), "error_2_naive_2": (e**2 * b**2).sum(),
        "n_interval": 98, "covered": (np.abs(e) <= 2).sum(), "width": 4.0 * 98, "width_2": 16.0 * 98, "observed": y.sum(), "observed_2": (y**2).sum(),
        "n_quantile": 0, "quantile": 0, "quantile_2": 0,
    }  # fmt: skip
    assert sums == pytest.approx(expected)
    assert (sum(day.rows for day in found), sum(day.labelled for day in found)) == (120, 100)


def test_the_loss_of_quantiles_is_that_of_scikit_learn(engine, log):
    rng = np.random.default_rng(4)
    truth = rng.normal(10, 3, 120)
    truth[3], truth[4] = math.nan, math.inf
    q = {"q05": truth + rng.normal(-4, 1, 120), "q50": truth + rng.normal(0, 1, 120), "q90": truth + rng.normal(3, 2, 120)}
    for name, place, value in [("q05", 7, math.inf), ("q05", 8, math.nan), ("q50", 8, -math.inf), ("q90", 8, math.nan), ("q50", 9, truth[9])]:
        q[name][place] = value
    other = {"q00": 1.0, "q5": 1.0, "q100": 1.0, "Q10": 1.0}
    rows = predictions(120, score=lambda n: {name: float(of[n]) for name, of in q.items()} | other if n % 7 else None)
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows, lambda n: None if n >= 100 else float(truth[n])), batch=1)

    found = outcomes(engine, log, OutcomeKind.NUMBERS)

    shares = {"q05": 0.05, "q50": 0.5, "q90": 0.9}
    losses = []
    for n in [n for n in range(100) if n % 7 and np.isfinite(truth[n])]:
        of_row = [mean_pinball_loss([truth[n]], [q[name][n]], alpha=share) for name, share in shares.items() if np.isfinite(q[name][n])]
        losses += [np.mean(of_row)] if of_row else []
    sums = dict(zip(NUMBER_SUMS, sum(day.cells[0] for day in found), strict=True))
    told = (sums["n_quantile"], sums["quantile"], sums["quantile_2"])
    assert told == pytest.approx((len(losses), np.sum(losses), np.square(losses).sum()))
    assert (len(losses), sums["n"], sums["n_interval"]) == (82, 0, 0)
    assert "quantile_loss" in [metric.name for metric in metrics_of(OutcomeKind.NUMBERS, found)]
    assert metric_named("quantile_loss", OutcomeKind.NUMBERS, found).compute(found).estimate == pytest.approx(np.mean(losses))


def test_one_row_of_quantiles_counts_and_rows_without_any_do_not(engine, log):
    rows = predictions(3, prediction=lambda n: 1.0)
    rows[1]["score"] = {"q10": 3.0}
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows, lambda n: 5.0), batch=1)

    found = outcomes(engine, log, OutcomeKind.NUMBERS)

    assert sum(day.cells[0] for day in found)[-3:].tolist() == pytest.approx([1, 0.2, 0.04])


def test_without_quantiles_the_loss_is_not_offered(engine, log):
    rows = predictions(3, prediction=lambda n: 1.0)
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows, lambda n: 5.0), batch=1)

    found = outcomes(engine, log, OutcomeKind.NUMBERS)

    assert sum(day.cells[0] for day in found)[-3:].tolist() == [0, 0, 0]
    assert "quantile_loss" not in [metric.name for metric in metrics_of(OutcomeKind.NUMBERS, found)]


def test_a_prediction_sent_again_counts_as_last_received(engine, log):
    rows = predictions(20, score=lambda n: 0.1)
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.PREDICTIONS, [row | {"score": 0.9} for row in rows[:10]], batch=2)
    write(log, Stream.LABELS, labels(rows, lambda n: 1), batch=1)

    found = outcomes(engine, log, OutcomeKind.DECISIONS, last_only=True)

    counted = Counter()
    for day in found:
        for (bin, said, label), (n, _, _) in cells(day).items():
            counted[bin, said, label] += n
    assert counted == {(code(0.1), 0, 1): 10, (code(0.9), 1, 1): 10}


def test_days_without_any_label_have_their_scores(engine, log):
    rows = predictions(20, score=lambda n: 0.1)
    write(log, Stream.PREDICTIONS, rows, batch=1)

    found = outcomes(engine, log, OutcomeKind.DECISIONS)

    assert sum(day.rows for day in found) == 20
    assert all(day.labelled == 0 and day.delays.shape == (0, 3) for day in found)
    assert outcomes(engine, log, OutcomeKind.DECISIONS, days=[date(1999, 1, 1)]) == []


@pytest.mark.parametrize("words", [("yes", "no"), (1, 0), (True, False), (" TRUE", "f")], ids=str)
def test_positive_and_negative_are_told_in_many_words(engine, log, words):
    rows = predictions(30, prediction=lambda n: words[n % 2])
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows, lambda n: words[n % 3 == 0]), batch=1)

    found = outcomes(engine, log, OutcomeKind.DECISIONS)

    counted = Counter()
    for day in found:
        for (bin, said, label), (n, _, _) in cells(day).items():
            counted[bin, said, label] += n
    assert counted == Counter((NO_SCORE, int(n % 2 == 0), int(n % 3 != 0)) for n in range(30))


def test_new_labels_tell_the_days_of_their_predictions(engine, log):
    zone = ZoneInfo("Asia/Tokyo")
    rows = predictions(150, score=lambda n: 0.5)
    write(log, Stream.PREDICTIONS, rows, batch=1)
    write(log, Stream.LABELS, labels(rows[:20], lambda n: 1), batch=5)
    write(log, Stream.LABELS, labels([rows[0], rows[100]], lambda n: 0, late=timedelta(days=30)), batch=8)
    days = sorted({local_day(row["timestamp"], zone) for row in rows})

    found = days_of_labels(engine, log, MODEL, 6, days, zone, label_days=400)

    assert found == {local_day(rows[n]["timestamp"], zone) for n in (0, 100)}
    assert days_of_labels(engine, log, MODEL, 9, days, zone, label_days=400) == set()
