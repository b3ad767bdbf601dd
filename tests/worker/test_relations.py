"""Relations are counted for models whose pages somebody opened, and then follow the labels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from importlib import import_module

import numpy as np
import pytest
from django.apps import apps

from tests.platform import Platform
from watchkeeper.ingest.models import DirtyDay, RelationProfile, WantedRelations
from watchkeeper.ingest.moments import moment_histories, want_moments
from watchkeeper.ingest.outcome_histories import outcome_histories
from watchkeeper.ingest.relations import errors_of, relations_of, want_relations
from watchkeeper.ingest.retention import expire_points
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.telemetry.relations import Floats
from watchkeeper.wire import Stream

Rows = list[dict[str, object]]


def predict(platform: Platform, model: RegisteredModel, days_ago: int, *, rows: int = 40, **fields: object) -> Rows:
    at = (platform.clock.now() - timedelta(days=days_ago)).isoformat()
    chance = np.random.default_rng(days_ago)
    sent: Rows = [
        {"id": f"{days_ago}-{n}", "timestamp": at, "score": 0.5, "features": {"x": float(x), "kind": "ab"[n % 2]}, **fields}
        for n, x in enumerate(chance.normal(size=rows))
    ]
    platform.predict_rows(model, sent)
    return sent


def label(platform: Platform, model: RegisteredModel, rows: Rows, value: object = True, *, at_once: bool = False) -> None:
    """Labels that become known now, or with their predictions."""
    at = platform.clock.now().isoformat()
    platform.send(model, Stream.LABELS, [{"id": row["id"], "label": value, "timestamp": row["timestamp"] if at_once else at} for row in rows])


def count(platform: Platform) -> None:
    platform.work(seconds=1)
    platform.work(minutes=2)
    platform.work(minutes=2)


def trained(platform: Platform, **fields: object) -> RegisteredModel:
    model = platform.register(**fields)
    platform.train(model, reference=[{"x": float(x), "kind": "ab"[n % 2]} for n, x in enumerate(np.random.default_rng(99).normal(size=300))])
    return model


def day(platform: Platform, days_ago: int) -> date:
    return (platform.clock.now() - timedelta(days=days_ago)).date()


def labelled(platform: Platform, model: RegisteredModel, *days_ago: int) -> dict[int, tuple[int, int]]:
    """Rows and labelled rows of days that are counted."""
    found = {back: relations_of(model.id, [day(platform, back)], feature="f.x") for back in days_ago}
    return {back: (int(of_day.features["f.x"]["rows"].sum()), of_day.features["f.x"].labelled) for back, of_day in found.items() if of_day.days}


def test_nothing_is_counted_before_somebody_looks(platform: Platform) -> None:
    model = trained(platform)
    label(platform, model, predict(platform, model, 3))
    count(platform)

    assert not RelationProfile.objects.exists()
    assert not DirtyDay.objects.filter(of="relations").exists()


def test_who_looks_gets_the_past_days_and_what_comes_after(platform: Platform) -> None:
    model = trained(platform)
    for back in (70, 2):
        label(platform, model, predict(platform, model, back)[:30])
    count(platform)
    assert want_relations(model, now=platform.clock.now()) == platform.clock.now()
    platform.work(minutes=1)
    assert labelled(platform, model, 70, 2, 1) == {70: (40, 30), 2: (40, 30)}

    label(platform, model, predict(platform, model, 1, rows=15))
    count(platform)

    assert labelled(platform, model, 70, 2, 1) == {70: (40, 30), 2: (40, 30), 1: (15, 15)}
    assert not DirtyDay.objects.filter(of="relations").exists()


def test_the_days_of_the_reference_are_counted_however_old(platform: Platform) -> None:
    model = trained(platform)
    for back in (300, 290, 2):
        label(platform, model, predict(platform, model, back), at_once=True)
    count(platform)
    platform.work(days=1)
    want_relations(model, now=platform.clock.now())
    count(platform)

    assert labelled(platform, model, 301, 291, 3) == {301: (40, 40), 291: (40, 40), 3: (40, 40)}


def test_late_labels_and_corrections_count_just_their_days_again(platform: Platform) -> None:
    model = trained(platform)
    days = {back: predict(platform, model, back) for back in (40, 20, 5)}
    for rows in days.values():
        label(platform, model, rows[:10])
    count(platform)
    want_relations(model, now=platform.clock.now())
    platform.work(minutes=1)
    untouched = set(RelationProfile.objects.filter(day=day(platform, 20)).values_list("id", flat=True))

    label(platform, model, days[40][10:30])
    label(platform, model, days[5][:4], value=False)
    count(platform)

    assert labelled(platform, model, 40, 20, 5) == {40: (40, 30), 20: (40, 10), 5: (40, 10)}
    assert set(RelationProfile.objects.filter(day=day(platform, 20)).values_list("id", flat=True)) == untouched
    assert relations_of(model.id, [day(platform, 5)]).features["f.x"]["y"].sum() == 6


def test_all_features_and_one_are_read_from_the_same_sums(platform: Platform) -> None:
    model = trained(platform)
    for back in (3, 2):
        label(platform, model, predict(platform, model, back))
    count(platform)
    want_relations(model, now=platform.clock.now())
    platform.work(minutes=1)
    days = [day(platform, 3), day(platform, 2), day(platform, 1)]

    every = relations_of(model.id, days)

    assert list(every.features) == ["f.x", "f.kind"]
    assert every.days == (day(platform, 3), day(platform, 2))
    assert every.squared_error == pytest.approx(0.25)
    for name, sums in every.features.items():
        alone = relations_of(model.id, days, feature=name).features[name]
        assert {key: values.tolist() for key, values in alone.sums.items()} == {key: values.tolist() for key, values in sums.sums.items()}
    assert relations_of(model.id, days, feature="f.nothing").features == {}


def test_a_new_reference_counts_the_days_again_in_its_bins(platform: Platform) -> None:
    model = trained(platform)
    for back in (3, 2):
        label(platform, model, predict(platform, model, back))
    count(platform)
    want_relations(model, now=platform.clock.now())
    platform.work(minutes=1)
    platform.train(model, reference=[{"x": 9.0 + n / 100, "kind": "c"} for n in range(300)], version="2")
    platform.say(model, "deployed", version="2")
    label(platform, model, predict(platform, model, 1))
    count(platform)

    found = relations_of(model.id, [day(platform, back) for back in (3, 2, 1)])

    assert found.features["f.x"].column.low > 8
    assert len(found.days) == 3
    assert WantedRelations.objects.get().bins == RelationProfile.objects.order_by("-bins__number")[0].bins


def test_classes_are_not_related(platform: Platform) -> None:
    model = trained(platform, problem_type="multiclass")
    label(platform, model, predict(platform, model, 2), value="cat")
    count(platform)

    assert want_relations(model, now=platform.clock.now()) is None
    assert not WantedRelations.objects.exists()


def test_without_labels_nothing_is_asked_for(platform: Platform) -> None:
    model = trained(platform)
    predict(platform, model, 2)
    count(platform)

    assert want_relations(model, now=platform.clock.now()) is None


def test_old_days_expire(platform: Platform) -> None:
    model = trained(platform)
    for back in (20, 2):
        label(platform, model, predict(platform, model, back))
    count(platform)
    want_relations(model, now=platform.clock.now())
    platform.work(minutes=1)

    expire_points(before=platform.clock.now() - timedelta(days=10))

    assert list(RelationProfile.objects.values_list("day", flat=True)) == [day(platform, 2)]


def test_a_model_with_vectors_has_the_relations_and_the_moments_of_its_numbers(platform: Platform) -> None:
    chance, model = np.random.default_rng(1), platform.register()

    def features(count: int) -> list[dict[str, object]]:
        return [
            {"x": float(x), "y": float(y), "embedding": v.tolist()}
            for x, y, v in zip(*chance.normal(size=(2, count)), chance.normal(size=(count, 6)), strict=True)
        ]

    platform.train(model, reference=features(300))
    at = (platform.clock.now() - timedelta(days=2)).isoformat()
    sent: Rows = [{"id": f"{n}", "timestamp": at, "score": 0.5, "features": row} for n, row in enumerate(features(40))]
    platform.predict_rows(model, sent)
    label(platform, model, sent)
    count(platform)
    want_relations(model, now=platform.clock.now())
    want_moments([model.id], now=platform.clock.now())
    count(platform)

    assert labelled(platform, model, 2) == {2: (40, 40)}
    assert moment_histories([model.id], now=platform.clock.now())[model.id].columns == ("f.x", "f.y")


def errors_by_day(platform: Platform, model: RegisteredModel) -> Mapping[date, Floats]:
    return errors_of(outcome_histories([model.id], now=platform.clock.now()))[model.id].sums


def test_what_was_counted_without_errors_is_counted_again_for_regressions(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = (trained(platform, name=f"Model {type}", problem_type=type) for type in ("regression", "binary"))
    for each in (model, other):
        sent = predict(platform, each, 3, prediction=2.5)
        label(platform, each, sent, 1.0)
        count(platform)
        want_relations(each, now=platform.clock.now())
    platform.work(days=1)
    assert RelationProfile.objects.filter(errors=None).get().bins.model == other
    RelationProfile.objects.update(errors=None)
    assert not errors_by_day(platform, model)

    migration = import_module("watchkeeper.ingest.migrations.0014_errors_by_prediction")
    monkeypatch.setattr(migration.timezone, "now", platform.clock.now)  # the border: migrations read the real clock
    migration.mark(apps, None)

    assert list(DirtyDay.objects.values_list("model_id", "of", "day")) == [(model.id, "relations", day(platform, 4))]
    platform.work(minutes=1)
    assert errors_by_day(platform, model)[day(platform, 4)].sum(axis=1).tolist() == [40, 40, pytest.approx(60), pytest.approx(90)]
    assert not DirtyDay.objects.exists()
