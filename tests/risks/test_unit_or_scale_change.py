import pytest

from tests.platform import Platform
from tests.risks.story import a_bad_day, normal_rows
from watchkeeper.analysis.scale import scale_changes
from watchkeeper.ingest.columns import column_histories
from watchkeeper.registry.models import RegisteredModel


def seen(platform: Platform, mean: float, sd: float) -> tuple[RegisteredModel, list[str]]:
    """A day of this mean and spread after a training around 20 with a spread of 5; and what it looks like."""
    model = platform.register()
    platform.train(model, reference=normal_rows(20, sd=5))
    platform.predict_features(model, normal_rows(mean, sd=sd, seed=8))
    platform.work(days=1)
    platform.work(hours=1)
    history = column_histories([model.id], now=platform.clock.now())[model.id]
    return model, [scale.change.words for scale in scale_changes(history, ["f.x"]) if scale.change]


@pytest.mark.parametrize(
    ("mean", "sd", "words"),
    [
        (20_000, 5000, ["× 1000"]),
        (0.2, 0.05, ["÷ 100"]),
        (-20, 5, ["sign turned"]),
        (68, 9, ["°C → °F"]),
        (32.18688, 8.04672, ["mi → km"]),
        (24, 5, []),  # ordinary drift
        (20, 12, []),
        (60, 15, []),  # three times as much is no unit
    ],
)
def test_a_conversion_is_told_from_drift(platform: Platform, mean: float, sd: float, words: list[str]) -> None:
    assert seen(platform, mean, sd)[1] == words


def test_story_of_euros_that_become_cents(platform: Platform) -> None:
    good = normal_rows(50, sd=10)
    bad = [{"x": row["x"] * 100} for row in good]
    a_bad_day(platform, "unit_or_scale_change", says="x looks like × 100", bad=bad, good=good)
