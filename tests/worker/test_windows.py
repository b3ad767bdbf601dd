"""Models that are compared by the hour or by the run."""

from datetime import timedelta

import numpy as np
import pytest

from watchkeeper.ingest.columns import column_histories
from watchkeeper.ingest.models import ColumnProfile, ProfileBins
from watchkeeper.registry.services import edit_model

AN_HOUR = timedelta(hours=1)
ROWS = 150


def by_the(platform, window):
    """A model with that window, and feature drift alone bound."""
    model = platform.register()
    edit_model(model, fields={"window": window}, actor=platform.actor, now=platform.clock.now())
    return model, platform.only(model, "feature_drift", params={"least_psi": 0.25}, schedule={"every": "1h"})


def hour_of(chance, start, *, mean, **fields):
    """Rows of an hour, of which some come each minute."""
    return [
        {"timestamp": (start + timedelta(seconds=20 * n)).isoformat(), "features": {"x": float(x)}, **fields}
        for n, x in enumerate(chance.normal(mean, 1, ROWS))
    ]


def usual(hour):
    """The clock of a day: numbers at noon are six standard deviations above those of midnight."""
    return 3 * np.sin(2 * np.pi * hour / 24)


def history_of(platform, model):
    return column_histories([model.id], now=platform.clock.now())[model.id]


@pytest.fixture
def hourly(platform):
    """A model with ten days behind it, each hour of which is like that hour of every day."""
    chance, now = np.random.default_rng(4), platform.clock.now().replace(minute=0, second=0, microsecond=0)
    model, binding = by_the(platform, "hour")
    for back in range(8, 0, -1):
        day = [now - timedelta(days=back) + n * AN_HOUR for n in range(24)]
        platform.predict_rows(model, [row for start in day for row in hour_of(chance, start, mean=usual(start.hour))])
    platform.work(minutes=1)
    platform.work(hours=1)
    return model, binding


def test_an_hour_like_the_same_hour_of_other_days_is_no_drift(platform, hourly):
    model, binding = hourly

    history = history_of(platform, model)

    assert len(history.days) == 8 * 24
    assert history.names[0] == f"{history.days[0]} {history.parts[0]}"
    assert history.parts[0].endswith(":00")
    assert platform.condition(binding) == "ok", platform.explanation(binding)


def test_one_hour_that_is_unlike_itself_fires_when_it_is_over(platform, hourly):
    model, binding = hourly
    start = platform.clock.now().replace(minute=0, second=0, microsecond=0)
    platform.clock.advance(start + AN_HOUR - platform.clock.now())
    platform.predict_rows(model, hour_of(np.random.default_rng(5), start, mean=usual(start.hour) + 1.5))

    platform.work(minutes=2)
    before = platform.condition(binding)
    platform.run(every=timedelta(minutes=20), hours=1)

    assert before == "ok"
    assert platform.condition(binding) == "firing", platform.explanation(binding)
    assert f"{start:%Y-%m-%d %H:%M}" in platform.explanation(binding)


def test_each_run_of_a_batch_model_is_a_window(platform):
    chance, now = np.random.default_rng(6), platform.clock.now().replace(minute=0, second=0, microsecond=0)
    model, _ = by_the(platform, "run")
    for back in range(12, 0, -1):
        day = now - timedelta(days=back)
        morning = hour_of(chance, day, mean=0, run_id=f"m{back}")
        evening = hour_of(chance, day + 5 * AN_HOUR, mean=2 if back == 1 else 0, run_id=f"e{back}")
        platform.predict_rows(model, morning + evening)
    platform.work(minutes=1)
    platform.work(hours=2)

    history = history_of(platform, model)

    assert history.parts[-4:] == ("m2", "e2", "m1", "e1")
    assert history.rows.tolist() == [ROWS] * 24
    means = history.of(history.columns["f.x"]).sums[:, 0] / ROWS
    assert means[-1] == pytest.approx(2, abs=0.3)
    assert abs(means[:-1]).max() < 0.4


def test_another_window_counts_the_days_again(platform, hourly):
    model, _ = hourly
    edit_model(model, fields={"window": "day"}, actor=platform.actor, now=platform.clock.now())

    platform.predict_rows(model, hour_of(np.random.default_rng(7), platform.clock.now(), mean=0))
    platform.work(minutes=2)
    platform.work(minutes=2)

    assert ProfileBins.objects.filter(model=model).order_by("number").last().cut == "day"
    assert set(history_of(platform, model).parts) == {""}
    assert ColumnProfile.objects.filter(bins__model=model, bins__cut="day").count() >= 8
