"""Models that are compared by the hour or by the run."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.ingest import references
from watchkeeper.ingest.columns import column_histories
from watchkeeper.ingest.models import ColumnProfile, ProfileBins
from watchkeeper.registry.services import edit_model
from watchkeeper.telemetry.decode import decode
from watchkeeper.wire import Stream

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


def settle(platform):
    """What was sent is counted, and then long enough ago to be judged."""
    platform.work(minutes=1)
    platform.work(minutes=2)
    platform.work(hours=1)


@pytest.fixture
def hourly(platform):
    """A model with ten days behind it, each hour of which is like that hour of every day."""
    chance, now = np.random.default_rng(4), platform.clock.now().replace(minute=0, second=0, microsecond=0)
    model, binding = by_the(platform, "hour")
    for back in range(8, 0, -1):
        day = [now - timedelta(days=back) + n * AN_HOUR for n in range(24)]
        platform.predict_rows(model, [row for start in day for row in hour_of(chance, start, mean=usual(start.hour))])
    settle(platform)
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
    settle(platform)

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


def test_an_hour_is_judged_when_it_is_over_whatever_the_schedule(platform, hourly):
    model, _ = hourly
    binding = platform.only(model, "feature_drift", params={"least_psi": 0.25})
    assert binding.schedule == {"every": "6h"}
    begin, chance, fired = platform.clock.now().replace(minute=0, second=0, microsecond=0), np.random.default_rng(5), []
    for n in range(6):
        start = begin + n * AN_HOUR
        platform.clock.advance(max(start + timedelta(minutes=30) - platform.clock.now(), timedelta(0)))
        platform.predict_rows(model, hour_of(chance, start, mean=usual(start.hour) + 3 * (n == 3)))
        for _ in range(4):
            platform.work(minutes=12)
        fired.append(platform.condition(binding) == "firing")

    assert any(fired[3:5]), fired
    assert not any(fired[:3])


def test_an_hour_that_is_counted_in_part_is_not_judged(platform, hourly):
    """Twenty minutes of it are counted, then the worker stands still until the hour is long over."""
    model, binding = hourly
    start = platform.clock.now().replace(minute=0, second=0, microsecond=0) + AN_HOUR
    rows = hour_of(np.random.default_rng(5), start, mean=usual(start.hour))
    platform.clock.advance(start + timedelta(minutes=21) - platform.clock.now())
    platform.predict_rows(model, [{**row, "features": {"x": 9.0}} for row in rows[:60]])
    platform.work(minutes=2)
    platform.work(minutes=2)
    platform.clock.advance(timedelta(minutes=30))
    platform.predict_rows(model, rows[60:] * 20)
    platform.clock.advance(timedelta(minutes=40))

    platform.work()

    assert platform.condition(binding) == "ok", platform.explanation(binding)
    assert not history_of(platform, model).names[-1].startswith(f"{start:%Y-%m-%d %H:%M}")
    platform.work(minutes=2)
    platform.work(minutes=15)
    assert history_of(platform, model).names[-1].startswith(f"{start:%Y-%m-%d %H:%M}")
    assert history_of(platform, model).rows[-1] == 60 + 20 * (ROWS - 60)


def test_a_run_is_whole_when_its_rows_have_stopped_coming_whatever_their_times(platform):
    model, _ = by_the(platform, "run")
    chance, now = np.random.default_rng(4), platform.clock.now().replace(minute=0, second=0, microsecond=0)
    for back in range(8, 0, -1):
        platform.predict_rows(model, hour_of(chance, now - timedelta(days=back), mean=0, run_id=f"r{back}"))
    settle(platform)
    midnight = platform.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    rows = [{**row, "timestamp": midnight.isoformat()} for row in hour_of(chance, midnight, mean=0, run_id="today")]
    platform.predict_rows(model, rows[:10])
    platform.work(minutes=2)
    platform.work(minutes=2)
    platform.predict_rows(model, rows[10:])
    platform.work(minutes=2)

    assert history_of(platform, model).parts[-1] == "r1"
    platform.work(minutes=2)
    platform.work(minutes=12)
    history = history_of(platform, model)
    assert (history.parts[-1], history.rows[-1]) == ("today", ROWS)


def test_after_a_period_was_accepted_hours_are_compared_with_its_own(platform):
    chance, now = np.random.default_rng(4), platform.clock.now().replace(minute=0, second=0, microsecond=0)
    model, binding = by_the(platform, "hour")
    for back in range(14, 0, -1):
        day = [now - timedelta(days=back) + n * AN_HOUR for n in range(24)]
        risen = 3 * (back <= 5)
        platform.predict_rows(model, [row for start in day for row in hour_of(chance, start, mean=usual(start.hour) + risen, version="1")])
    settle(platform)
    assert platform.condition(binding) == "firing"

    first, last = (now.date() - timedelta(days=back) for back in (4, 1))
    references.accept_period(model, first=first, last=last, actor=platform.actor, now=platform.clock.now())
    settle(platform)
    start = platform.clock.now().replace(minute=0, second=0, microsecond=0) - AN_HOUR
    platform.predict_rows(model, hour_of(chance, start, mean=usual(start.hour) + 3, version="1"))
    settle(platform)

    history = history_of(platform, model)
    assert history.days[0] >= first
    assert history.of(history.columns["f.x"]).has_reference
    assert "drifted" not in platform.explanation(binding)


def test_runs_of_ids_that_are_too_long_are_refused(platform):
    table = decode(Stream.PREDICTIONS, arrow(["s3://" + "r" * 200, "short"]), known={}, zone=UTC, batch=1, received_at=platform.clock.now())

    [refused] = table.refused
    assert refused.message == "The run_id has 205 characters."
    assert table.table["run_id"].to_pylist() == ["short"]


def test_a_change_of_the_window_keeps_the_first_weeks(platform):
    model, _ = by_the(platform, "run")
    now, chance = platform.clock.now(), np.random.default_rng(0)
    for back in range(110, 0, -1):
        at = (now - timedelta(days=back)).isoformat()
        platform.predict_rows(model, [{"timestamp": at, "features": {"x": float(x)}} for x in chance.normal(0, 1, 20)])
    for _ in range(8):
        platform.work(minutes=2)
    platform.work(minutes=20)
    before = history_of(platform, model).days[0]

    edit_model(model, fields={"window": "day"}, actor=platform.actor, now=platform.clock.now())
    platform.predict_rows(model, [{"features": {"x": 0.0}}])
    for _ in range(8):
        platform.work(minutes=2)

    assert history_of(platform, model).days[0] == before


def arrow(runs):
    """A stream of predictions with these runs."""
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    columns = {"id": [f"{n}" for n in range(len(runs))], "timestamp": pa.array([at] * len(runs), pa.timestamp("us", "UTC")), "run_id": runs}
    table = pa.table({**columns, "f.x": [float(n) for n in range(len(runs))]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_hours_that_are_sent_long_after_are_there_at_once(platform):
    model, _ = by_the(platform, "hour")
    start = platform.clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=10)
    for back in range(9):
        rows = hour_of(np.random.default_rng(back), start + timedelta(days=back), mean=0)
        platform.predict_rows(model, rows)
    platform.work(minutes=1)
    platform.work(minutes=2)

    assert len(history_of(platform, model).days) == 9
