"""A period of the log that somebody accepts as the reference of a model's columns."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from tests.platform import Platform
from tests.risks.story import normal_rows
from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.history.actors import PLATFORM
from watchkeeper.history.models import Change
from watchkeeper.ingest import references
from watchkeeper.ingest.columns import column_histories
from watchkeeper.ingest.models import ProfileBins
from watchkeeper.monitoring.models import RiskBinding
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.wire import Stream


@pytest.fixture
def moved(platform: Platform) -> RegisteredModel:
    """Trained around 0; for five days its feature lies around 2, on purpose."""
    model = platform.register()
    platform.train(model, reference=normal_rows())
    for day in range(5):
        platform.predict_features(model, normal_rows(2.0, seed=day), version="1")
        platform.work(days=1)
    platform.work(minutes=2)
    return model


def today(platform: Platform) -> date:
    return platform.clock.now().date()


def accept(platform: Platform, model: RegisteredModel, first: int, last: int) -> None:
    """By how many days ago."""
    days = {"first": today(platform) - timedelta(days=first), "last": today(platform) - timedelta(days=last)}
    references.accept_period(model, **days, actor=PLATFORM, now=platform.clock.now())


def mean_of_reference(platform: Platform, model: RegisteredModel) -> float:
    history = column_histories([model.id], now=platform.clock.now())[model.id]
    assert history.reference is not None
    place = [column.name for column in history.layout.columns].index("f.x")
    return float(history.reference.sums[place, 0] / history.reference.rows)


def test_what_was_meant_is_no_drift_any_more(platform: Platform, moved: RegisteredModel) -> None:
    risk: RiskBinding = platform.only(moved, "feature_drift")
    platform.work(hours=7)
    assert platform.condition(risk) == "firing"

    chosen = {"first": str(today(platform) - timedelta(days=4)), "last": str(today(platform) - timedelta(days=2))}
    accept(platform, moved, 4, 2)
    assert references.reference_of(moved).is_waiting
    platform.work(minutes=2)
    platform.work(hours=7)

    assert platform.condition(risk) == "ok"
    assert mean_of_reference(platform, moved) == pytest.approx(2.0, abs=0.1)
    assert not references.reference_of(moved).is_waiting
    change = Change.objects.get(model_id=moved.id, action="accepted a period")
    assert change.after == chosen


def test_taken_back_the_training_counts_again(platform: Platform, moved: RegisteredModel) -> None:
    accept(platform, moved, 4, 2)
    platform.work(minutes=2)

    references.take_back_period(moved, actor=PLATFORM, now=platform.clock.now())
    platform.work(minutes=2)

    assert mean_of_reference(platform, moved) == pytest.approx(0.0, abs=0.1)
    with pytest.raises(Conflict):
        references.take_back_period(moved, actor=PLATFORM, now=platform.clock.now())


def test_taken_back_without_training_rows_the_first_weeks_count_again(platform: Platform) -> None:
    model = platform.register()
    for day in range(9):
        platform.predict_features(model, normal_rows(0.1 * day, seed=day), version="1")
        platform.work(days=1)
    platform.work(minutes=2)
    accept(platform, model, 3, 1)
    platform.work(minutes=2)
    assert mean_of_reference(platform, model) == pytest.approx(0.7, abs=0.15)

    references.take_back_period(model, actor=PLATFORM, now=platform.clock.now())
    platform.work(minutes=2)

    assert column_histories([model.id], now=platform.clock.now())[model.id].reference is None
    assert ProfileBins.objects.filter(model=model).count() == 3


def test_a_training_sent_afterwards_counts_more(platform: Platform, moved: RegisteredModel) -> None:
    accept(platform, moved, 4, 2)
    platform.work(minutes=2)

    platform.train(moved, reference=normal_rows(5.0))
    platform.predict_features(moved, normal_rows(5.0), version="1")
    platform.work(seconds=1)
    platform.work(minutes=2)

    assert mean_of_reference(platform, moved) == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize(
    ("first", "last", "refusal", "says"),
    [
        (1, 3, InvalidInput, "no period that is over"),
        (3, 0, InvalidInput, "no period that is over"),
        (500, 1, InvalidInput, "too long"),
        (90, 60, Conflict, "no predictions"),
    ],
)
def test_what_cannot_be_a_reference_says_why(platform: Platform, moved: RegisteredModel, first: int, last: int, refusal: Any, says: str) -> None:
    with pytest.raises(refusal, match=says):
        accept(platform, moved, first, last)


def test_a_model_without_a_version_is_told_to_send_one(platform: Platform) -> None:
    model = platform.register()
    platform.predict_features(model, normal_rows(seed=1))
    platform.work(days=1)

    with pytest.raises(Conflict, match="no version yet"):
        accept(platform, model, 1, 1)


def test_days_of_another_clock_are_those_of_the_model(platform: Platform) -> None:
    """Rows of the evening in New York lie on the next day of UTC."""
    model = platform.register()
    RegisteredModel.objects.filter(id=model.id).update(timezone="America/New_York")
    model.refresh_from_db()
    evening = platform.clock.now().replace(hour=2) - timedelta(days=3)
    rng = np.random.default_rng(1)
    for offset, mean in ((0, 7.0), (12, 0.0)):
        rows = [
            {"id": f"{offset}-{n}", "timestamp": (evening + timedelta(hours=offset)).isoformat(), "version": "1", "features": {"x": rng.normal(mean)}}
            for n in range(300)
        ]
        platform.send(model, Stream.PREDICTIONS, rows)
    platform.train(model, reference=normal_rows())
    platform.work(minutes=2)
    day = (evening - timedelta(hours=6)).date()

    references.accept_period(model, first=day, last=day, actor=PLATFORM, now=platform.clock.now())
    platform.work(minutes=2)

    assert mean_of_reference(platform, model) == pytest.approx(7.0, abs=0.3)
