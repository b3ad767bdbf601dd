"""Predictions and labels come in any order, late, corrected; the outcomes of a day are what the log says in the end."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from watchkeeper.ingest.models import DirtyDay, NewLabels, OutcomeProfile
from watchkeeper.ingest.outcome_histories import STORED, Stored
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.wire import Stream


def predict(platform, model, count, *, days_ago=0, **fields):
    at = platform.clock.now() - timedelta(days=days_ago)
    rows = [{"id": uuid4().hex, "timestamp": at.isoformat(), "score": 0.7, "prediction": True, **fields} for _ in range(count)]
    platform.send(model, Stream.PREDICTIONS, rows)
    return rows


def label(platform, model, rows, value=True, **fields):
    at = platform.clock.now().isoformat()
    platform.send(model, Stream.LABELS, [{"id": row["id"], "label": value, "timestamp": at, **fields} for row in rows])


def count(platform):
    """What came waits a minute for more; days that are marked by what was counted are counted too."""
    platform.work(seconds=1)
    platform.work(minutes=2)


def counted(model):
    """Rows and labels by day and segment."""
    return {(str(entry.day), entry.segment): (entry.rows, entry.labelled) for entry in OutcomeProfile.objects.filter(model=model)}


def day(platform, days_ago=0):
    return str((platform.clock.now() - timedelta(days=days_ago)).date())


def stored(**which):
    """What one stored row was counted as."""
    return Stored._make(OutcomeProfile.objects.filter(**which).values_list(*STORED).get()).outcomes()


def test_labels_are_counted_with_the_day_of_their_prediction(platform):
    model = platform.register()
    old = predict(platform, model, 20, days_ago=9, region="north")
    predict(platform, model, 5, days_ago=3)
    count(platform)
    assert counted(model) == {}

    label(platform, model, old[:15])
    count(platform)

    expected = {(day(platform, 9), ""): (20, 15), (day(platform, 9), "north"): (20, 15), (day(platform, 3), ""): (5, 0)}
    assert counted(model) == expected
    whole = stored(model=model, labelled=15, segment="")
    assert sorted(cell[:4] for cell in whole.cells.tolist()) == [[141.0, 1.0, -1.0, 5.0], [141.0, 1.0, 1.0, 15.0]]
    assert whole.delays[:, 2].sum() == 15
    assert not DirtyDay.objects.filter(of="outcomes").exists()
    assert not NewLabels.objects.exists()


def test_a_late_label_and_a_correction_count_only_their_days_again(platform):
    model = platform.register()
    days = {ago: predict(platform, model, 10, days_ago=ago) for ago in (40, 20, 5)}
    for rows in days.values():
        label(platform, model, rows[:8])
    count(platform)
    untouched = OutcomeProfile.objects.get(day=day(platform, 20)).id

    label(platform, model, days[40])
    label(platform, model, days[5][:1], value=False)
    count(platform)

    assert counted(model) == {(day(platform, 40), ""): (10, 10), (day(platform, 20), ""): (10, 8), (day(platform, 5), ""): (10, 8)}
    assert OutcomeProfile.objects.get(day=day(platform, 20)).id == untouched
    corrected = stored(day=day(platform, 5))
    assert sorted((cell[2], cell[3]) for cell in corrected.cells.tolist()) == [(-1.0, 2.0), (0.0, 1.0), (1.0, 7.0)]


def test_a_label_that_tells_the_time_of_its_prediction_is_not_looked_for(platform):
    model = platform.register()
    rows = predict(platform, model, 4, days_ago=30)
    label(platform, model, rows[:1])
    count(platform)

    label(platform, model, rows, prediction_timestamp=rows[0]["timestamp"])
    platform.work(seconds=1)

    assert not NewLabels.objects.exists()
    marked = DirtyDay.objects.filter(of="outcomes").values_list("day", flat=True)
    assert list(marked) == [datetime.fromisoformat(rows[0]["timestamp"]).date()]
    count(platform)
    assert counted(model) == {(day(platform, 30), ""): (4, 4)}


def test_predictions_that_come_after_their_labels_are_joined(platform):
    model = platform.register()
    label(platform, model, [{"id": "late"}])
    count(platform)

    predict(platform, model, 1, id="late")
    count(platform)

    assert counted(model) == {(day(platform), ""): (1, 1)}


def test_the_day_is_that_of_the_models_clock(platform):
    model = platform.register(timezone="Asia/Tokyo")
    at = datetime(2026, 11, 20, 16, tzinfo=UTC)  # the 21st in Tokyo
    rows = [{"id": "1", "timestamp": at.isoformat(), "score": 0.5}]
    platform.send(model, Stream.PREDICTIONS, rows)
    label(platform, model, rows, prediction_timestamp=at.isoformat())
    count(platform)

    assert counted(model) == {("2026-11-21", ""): (1, 1)}


@pytest.mark.parametrize(
    ("problem", "prediction", "label_sent", "kind"),
    [
        ("", 12.5, 11.0, "numbers"),
        ("", "cat", "dog", "classes"),
        ("", "yes", True, "decisions"),
        ("regression", "many", 11.0, "classes"),
        ("binary", "yes", "no", "decisions"),
    ],
)
def test_what_is_counted_follows_the_problem_or_else_the_log(platform, problem, prediction, label_sent, kind):
    model = platform.register(problem_type=problem)
    rows = [{"id": "1", "timestamp": platform.clock.now().isoformat(), "prediction": prediction}]
    platform.send(model, Stream.PREDICTIONS, rows)
    label(platform, model, rows, value=label_sent)
    count(platform)

    assert set(OutcomeProfile.objects.values_list("kind", "labelled")) == {(kind, 1)}


def test_another_problem_counts_all_days_again(platform):
    model = platform.register()
    for ago in (3, 1):
        rows = predict(platform, model, 3, days_ago=ago, prediction="dog", score=None)
        label(platform, model, rows, value="dog")
    count(platform)
    RegisteredModel.objects.update(problem_type="multiclass")

    label(platform, model, rows, value="cat")
    count(platform)

    assert set(OutcomeProfile.objects.values_list("kind", "rows")) == {("classes", 3)}
    assert OutcomeProfile.objects.count() == 2


def test_texts_are_no_segments(platform):
    model = platform.register()
    rows = predict(platform, model, 2, comment="long " * 100, region="north")
    label(platform, model, rows)
    count(platform)

    assert {segment for _, segment in counted(model)} == {"", "north"}


def test_a_model_without_labels_has_no_outcomes_and_no_marks(platform):
    model = platform.register()
    predict(platform, model, 2)
    count(platform)

    assert not OutcomeProfile.objects.exists()
    assert not DirtyDay.objects.filter(of="outcomes").exists()
