"""Second moments are counted for models somebody asked about, and then follow the rows."""

from datetime import timedelta

import numpy as np
import pytest

from tests.platform import Platform
from watchkeeper.core.settings import settings
from watchkeeper.incidents.rehearsing import NOTHING_KNOWN, rehearse_risk
from watchkeeper.ingest.models import DirtyDay, MomentProfile, MomentScale, WantedMoments
from watchkeeper.ingest.moments import moment_histories, want_moments
from watchkeeper.ingest.retention import expire_points
from watchkeeper.monitoring.services import Binding
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.risks._features import TOO_FEW


def pairs(count: int, *, seed: int = 1, shift: float = 0.0) -> list[dict[str, float | str | None]]:
    chance = np.random.default_rng(seed)
    return [{"x": float(x), "y": float(y), "kind": "a"} for x, y in chance.normal(shift, 1, (count, 2))]


def days_before(platform: Platform, model: RegisteredModel, *days_ago: int, rows: int = 40) -> None:
    for back in days_ago:
        at = (platform.clock.now() - timedelta(days=back)).isoformat()
        platform.predict_rows(model, [{"id": f"{back}-{n}", "timestamp": at, "features": row} for n, row in enumerate(pairs(rows, seed=back))])
    platform.work(minutes=1)
    platform.work(minutes=2)


def trained(platform: Platform, **reference: int) -> RegisteredModel:
    model = platform.register()
    platform.train(model, reference=pairs(reference.get("rows", 300), seed=99))
    return model


def counted(model: RegisteredModel) -> dict[str, int]:
    """Rows by day, of the bins in force."""
    newest = MomentScale.objects.filter(bins__model=model).order_by("-bins__number").first()
    return {str(day): rows for day, rows in MomentProfile.objects.filter(scale=newest).values_list("day", "rows")}


def day(platform: Platform, days_ago: int) -> str:
    return str((platform.clock.now() - timedelta(days=days_ago)).date())


def test_nothing_is_counted_before_somebody_asks(platform: Platform) -> None:
    model = trained(platform)
    days_before(platform, model, 3, 2, 1)

    assert not MomentScale.objects.exists()
    assert not DirtyDay.objects.filter(of="moments").exists()


def test_who_asks_gets_the_last_sixty_days_and_what_comes_after(platform: Platform) -> None:
    model = trained(platform)
    days_before(platform, model, 70, 59, 2)
    want_moments([model.id], now=platform.clock.now())
    platform.work(minutes=1)
    assert counted(model) == {day(platform, 59): 40, day(platform, 2): 40}

    days_before(platform, model, 1, rows=15)

    assert counted(model) == {day(platform, 59): 40, day(platform, 2): 40, day(platform, 1): 15}
    assert not DirtyDay.objects.filter(of="moments").exists()


def test_a_bound_risk_asks_once(platform: Platform) -> None:
    model = trained(platform)
    days_before(platform, model, 2)
    platform.only(model, "multivariate_drift")
    platform.work(minutes=1)
    asked = WantedMoments.objects.get(model=model).since

    platform.work(hours=7)

    assert WantedMoments.objects.get(model=model).since == asked
    assert not DirtyDay.objects.filter(of="moments").exists()
    assert counted(model) == {day(platform, 2): 40}


def test_a_row_that_was_sent_again_counts_once_as_it_was_last(platform: Platform) -> None:
    model = trained(platform)
    days_before(platform, model, 2)
    want_moments([model.id], now=platform.clock.now())
    platform.work(minutes=1)
    at = (platform.clock.now() - timedelta(days=2)).isoformat()
    platform.predict_rows(model, [{"id": "2-0", "timestamp": at, "features": {"x": 5.0, "y": -5.0}}] * 3)
    platform.work(minutes=1)
    platform.work(minutes=2)

    history = moment_histories([model.id], now=platform.clock.now())[model.id]

    scale = [(column["mean"], column["sd"]) for column in MomentScale.objects.get(bins__model=model).columns]
    sent = np.array([[row["x"], row["y"]] for row in pairs(40, seed=2)])
    sent[0] = [5, -5]
    z = np.column_stack([np.ones(40), *((sent[:, place] - mean) / sd for place, (mean, sd) in enumerate(scale))])
    assert history.columns == ("f.x", "f.y")
    assert history.moments[0] == pytest.approx(z.T @ z)


def test_training_rows_are_the_reference_in_parts_and_measure_the_columns(platform: Platform) -> None:
    model = trained(platform, rows=500)
    days_before(platform, model, 2)
    want_moments([model.id], now=platform.clock.now())
    platform.work(minutes=1)

    history = moment_histories([model.id], now=platform.clock.now())[model.id]

    total = history.reference.sum(axis=0)
    assert history.reference[:, 0, 0].tolist() == [100] * 5
    assert total[0, 1:] == pytest.approx([0, 0], abs=1e-9)
    assert np.diag(total)[1:] == pytest.approx([500, 500])


@pytest.mark.parametrize("rows", [0, 20])
def test_without_training_rows_or_with_a_few_the_first_weeks_measure_the_columns(platform: Platform, rows: int) -> None:
    model = platform.register()
    if rows:
        platform.train(model, reference=pairs(rows, seed=99))
    days_before(platform, model, *range(1, 10))
    want_moments([model.id], now=platform.clock.now())
    platform.work(minutes=1)
    platform.work(hours=2)

    history = moment_histories([model.id], now=platform.clock.now())[model.id]

    assert not history.has_reference
    assert len(history.days) == 9


def test_a_new_reference_measures_anew_and_counts_the_days_again(platform: Platform) -> None:
    model = trained(platform)
    days_before(platform, model, 3, 2)
    want_moments([model.id], now=platform.clock.now())
    platform.work(minutes=1)
    platform.train(model, reference=pairs(400, seed=98, shift=9.0), version="2")
    platform.say(model, "deployed", version="2")
    days_before(platform, model, 1)
    platform.work(minutes=2)

    scales = MomentScale.objects.filter(bins__model=model).order_by("bins__number")
    assert [round(scale.columns[0]["mean"]) for scale in scales] == [0, 9]
    assert len(counted(model)) == 3


def test_features_after_the_first_so_many_are_left_out(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "moment_columns", 2)
    model = platform.register()
    chance = np.random.default_rng(1)
    platform.train(model, reference=[{"a": chance.normal(), "b": chance.normal(), "c": chance.normal()} for _ in range(200)])
    platform.predict_features(model, [{"a": 1.0, "b": 2.0, "c": 3.0}] * 40)
    want_moments([model.id], now=platform.clock.now())
    platform.work(minutes=1)
    platform.work(minutes=2)

    assert [column["name"] for column in MomentScale.objects.get(bins__model=model).columns] == ["f.a", "f.b"]


def test_a_model_without_numbers_is_no_trouble(platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=[{"kind": "a"}, {"kind": "b"}] * 100)
    platform.predict_features(model, [{"kind": "a"}] * 40)
    want_moments([model.id], now=platform.clock.now())
    platform.work(minutes=1)
    platform.work(minutes=2)

    assert moment_histories([model.id], now=platform.clock.now())[model.id].columns == ()
    assert not DirtyDay.objects.filter(of="moments").exists()


def test_they_are_kept_as_long_as_other_profiles(platform: Platform) -> None:
    model = trained(platform)
    days_before(platform, model, 50, 2)
    want_moments([model.id], now=platform.clock.now())
    platform.work(minutes=1)

    expire_points(before=platform.clock.now() - timedelta(days=30))

    assert counted(model) == {day(platform, 2): 40}


def test_a_rehearsal_reads_what_is_counted_and_asks_for_nothing(platform: Platform) -> None:
    model = trained(platform)
    days_before(platform, model, *range(6, 0, -1))
    now = platform.clock.now()

    assert rehearse_risk(model, wanted=Binding(type="multivariate_drift"), now=now).why_not == NOTHING_KNOWN
    assert not WantedMoments.objects.exists()

    want_moments([model.id], now=now)
    platform.work(minutes=1)
    found = rehearse_risk(model, wanted=Binding(type="multivariate_drift"), now=platform.clock.now()).rehearsal
    assert found
    assert (found.replay.days, found.replay.alarms) == (6, ())
    assert {reason.template for reason, _ in found.replay.unknown} == {TOO_FEW}  # the days are there, with forty rows each
