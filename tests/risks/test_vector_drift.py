from collections.abc import Callable

import numpy as np
import pytest

from tests.platform import Platform
from tests.risks.story import Rows, a_bad_day
from watchkeeper.core.finding import Outcome
from watchkeeper.ingest.columns import column_histories
from watchkeeper.risks.feature_drift import Params as FeatureParams
from watchkeeper.risks.feature_drift import evaluate as feature_drift
from watchkeeper.risks.vector_drift import Params, evaluate

DIMENSION = 24
Floats = np.ndarray
SCALES = np.geomspace(3, 0.2, DIMENSION)


def rows(count: int, seed: int, change: Callable[[Floats], Floats] = lambda vectors: vectors) -> Rows:
    vectors = change(np.random.default_rng(seed).normal(1, 1, (count, DIMENSION)) * SCALES)
    return [{"embedding": vector} for vector in vectors.tolist()]


def unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_story_of_another_embedding_model(platform: Platform) -> None:
    a_bad_day(
        platform,
        "vector_drift",
        says="1 of 1 vector columns drifted",
        reference=rows(1500, 1),
        bad=rows(800, 2, lambda vectors: vectors[:, ::-1]),
        good=rows(800, 3),
    )


def test_story_of_vectors_that_cannot_be_measured(platform: Platform) -> None:
    good = rows(800, 3)
    bad = [{"embedding": row["embedding"][: n % 3 and DIMENSION]} for n, row in enumerate(good)]
    a_bad_day(platform, "vector_drift", says="missing 33.38", reference=rows(1500, 1), bad=bad, good=good)


@pytest.mark.parametrize(
    ("change", "is_told"),
    [
        (lambda vectors: vectors, False),
        (lambda vectors: vectors * 1.3, True),
        (lambda vectors: vectors * np.where(np.arange(DIMENSION) < 12, 0, 1), True),
        (lambda vectors: vectors + np.where(np.arange(DIMENSION) == 0, 1.5, 0), True),
        (lambda vectors: vectors * np.where(np.arange(DIMENSION) >= 12, 4, 1), True),
        (lambda vectors: np.full_like(vectors, 7.0), True),
    ],
    ids=["as trained", "longer", "half of it zero", "along one direction", "outside the directions", "constant"],
)
def test_what_happens_to_vectors_is_told(platform: Platform, change: Callable[[Floats], Floats], is_told: bool) -> None:
    model = platform.register()
    platform.train(model, reference=rows(1500, 1))
    platform.predict_days(model, [rows_of_day(rows(150, day)) for day in range(10, 33)] + [rows_of_day(rows(600, 9, change))])

    history = column_histories([model.id], now=platform.clock.now())[model.id]
    finding = evaluate(history, Params())

    assert finding.outcome == (Outcome.FIRED if is_told else Outcome.QUIET), finding.explanation.render()
    assert feature_drift(history, FeatureParams()).outcome == Outcome.UNKNOWN  # nothing derived is a feature


def test_unit_vectors_whose_length_differs_by_rounding_are_quiet(platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=rows(1500, 1, lambda vectors: unit(vectors).astype(np.float32)))
    platform.predict_days(model, [rows_of_day(rows(150, day, unit)) for day in range(10, 34)])

    history = column_histories([model.id], now=platform.clock.now())[model.id]

    assert evaluate(history, Params()).outcome == Outcome.QUIET


def rows_of_day(features: Rows) -> Rows:
    return [{"features": row} for row in features]
