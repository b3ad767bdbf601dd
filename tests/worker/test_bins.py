"""Which reference a model's columns are compared with."""

from datetime import timedelta

import numpy as np
import pytest

from tests.platform import Platform
from tests.risks.story import normal_rows
from watchkeeper.core.errors import InvalidInput
from watchkeeper.ingest.columns import column_histories
from watchkeeper.ingest.models import ColumnProfile, ProfileBins
from watchkeeper.registry.models import RegisteredModel


def bins_of(model: RegisteredModel) -> list[tuple[int, str, int]]:
    found = ProfileBins.objects.filter(model=model).order_by("number")
    return [(bins.number, bins.baseline.version.name if bins.baseline else "", bins.rows) for bins in found]


def a_day(platform: Platform, model: RegisteredModel, version: str = "1") -> None:
    platform.predict_features(model, normal_rows(count=60), version=version)
    platform.work(minutes=1)
    platform.work(days=1)


def test_a_new_version_with_its_own_reference_makes_new_bins_and_counts_again(platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=normal_rows(count=300), version="1")
    for _ in range(3):
        a_day(platform, model)
    platform.train(model, reference=normal_rows(5.0, count=200), version="2")
    platform.say(model, "deployed", version="2")
    a_day(platform, model, version="2")
    platform.work(minutes=2)

    assert bins_of(model) == [(1, "1", 300), (2, "2", 200)]
    counted = ColumnProfile.objects.filter(bins__number=2).values_list("day", flat=True)
    assert len(set(counted)) == 4
    assert column_histories([model.id], now=platform.clock.now())[model.id].reference.rows == 200


def test_a_candidate_without_a_deployment_changes_nothing(platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=normal_rows(count=300), version="1")
    a_day(platform, model)
    platform.train(model, reference=normal_rows(5.0, count=200), version="2")
    a_day(platform, model)

    assert bins_of(model) == [(1, "1", 300)]


def test_a_version_without_reference_rows_keeps_the_bins(platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=normal_rows(count=300), version="1")
    a_day(platform, model)
    platform.train(model, schema={"x": "double"}, version="2")
    platform.say(model, "deployed", version="2")
    a_day(platform, model, version="2")

    assert bins_of(model) == [(1, "1", 300)]


def test_a_week_makes_bins_where_no_reference_was_sent_and_one_that_comes_later_replaces_them(platform: Platform) -> None:
    model = platform.register()
    for _ in range(6):
        a_day(platform, model)
    assert bins_of(model) == []
    for _ in range(3):
        a_day(platform, model)
    assert bins_of(model) == [(1, "", 0)]

    platform.train(model, reference=normal_rows(count=250), version="1")
    a_day(platform, model)

    assert bins_of(model) == [(1, "", 0), (2, "1", 250)]


def test_rows_that_come_late_are_counted_in_their_day(platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=normal_rows(count=300))
    day = platform.clock.now()
    a_day(platform, model)
    platform.predict_rows(model, [{"id": "late", "timestamp": day.isoformat(), "features": {"x": 1.0}, "version": "1"}] * 5)
    platform.work(minutes=1)
    platform.work(minutes=2)

    assert ColumnProfile.objects.get(day=day.date()).rows == 61  # one id five times


def test_what_is_usual_is_learned_from_the_same_days_however_far_back_is_looked(platform: Platform) -> None:
    """A model that predicts once a week: its first 28 days with rows are the first 28 weeks."""
    model = platform.register()
    sundays = [platform.clock.now() - timedelta(weeks=week) for week in range(40, 0, -1)]
    rows = [{"timestamp": at.isoformat(), "features": {"x": float(n % 7)}} for at in sundays for n in range(20)]
    platform.predict_rows(model, rows)
    for _ in range(3):
        platform.work(minutes=2)

    short, whole = (column_histories([model.id], now=platform.clock.now(), back=timedelta(days=days))[model.id] for days in (92, 500))

    assert len(whole.days) == 40
    assert short.days[:28] == whole.days[:28]
    assert len(short.days) == 40
    assert column_histories([model.id], now=platform.clock.now(), back=timedelta(days=20))[model.id].days == (*whole.days[:28], *whole.days[-2:])


def told_rows(day: int, rows: int = 200, *, moved: float = 0.0) -> list[dict[str, object]]:
    """The score goes with x wholly, with half of the spread of y, with z not at all."""
    chance = np.random.default_rng(day)
    x, noise, z = chance.normal(moved, 1, rows), chance.normal(0, 1, rows), chance.normal(moved, 1, rows)
    return [{"score": float(x[n]), "features": {"x": x[n], "y": x[n] + noise[n], "z": z[n]}} for n in range(rows)]


def importances_of(platform: Platform, model: RegisteredModel) -> dict[str, float]:
    return dict(column_histories([model.id], now=platform.clock.now())[model.id].importances)


def test_how_much_features_matter_is_learned_when_there_is_a_week_of_rows(platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=[row["features"] for row in told_rows(99)])
    platform.predict_days(model, [told_rows(day) for day in range(3)])
    assert ProfileBins.objects.get(model=model).importances is None
    assert importances_of(platform, model) == {}

    platform.predict_days(model, [told_rows(10 + day) for day in range(9)])
    learned = importances_of(platform, model)

    assert learned["f.x"] == 1
    assert learned["f.y"] == pytest.approx(0.5, abs=0.1)
    assert learned["f.z"] < 0.05
    assert bins_of(model) == [(1, "1", 200)]


def test_it_is_learned_with_the_bins_of_a_model_without_reference(platform: Platform) -> None:
    model = platform.register()
    platform.predict_days(model, [told_rows(day) for day in range(8)])

    assert importances_of(platform, model)["f.x"] == 1


def test_what_the_training_says_of_features_counts_more_than_what_is_learned(platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=[row["features"] for row in told_rows(99)], importances={"z": 40, "x": 10})
    platform.predict_days(model, [told_rows(day) for day in range(8)])
    history = column_histories([model.id], now=platform.clock.now())[model.id]

    assert (history.importances, history.has_given_importances) == ({"f.z": 1.0, "f.x": 0.25}, True)
    assert history.importance_of("f.y") == 1  # it was not named

    platform.train(model, reference=[row["features"] for row in told_rows(99)], version="2")
    platform.say(model, "deployed", version="2")
    platform.predict_days(model, [told_rows(20)])

    assert importances_of(platform, model)["f.x"] == 1  # the version in use says nothing


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"x": "much"}, "valid number"),
        ({f"x{n}": 1 for n in range(2001)}, "at most 2000"),
    ],
)
def test_importances_that_say_nothing_are_refused(platform: Platform, given: dict[str, object], says: str) -> None:
    model = platform.register()

    with pytest.raises(InvalidInput) as refused:
        platform.train(model, importances=given)

    [error] = refused.value.extra["errors"]
    assert error["field"].startswith("importances")
    assert says in error["message"]
    assert error["remedy"]
