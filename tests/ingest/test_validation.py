"""Validation rows that come with a training: counted as the log would be, by segment, once per version."""

from datetime import timedelta

import numpy as np
import pytest

from tests.platform import Platform
from watchkeeper.core.errors import InvalidInput
from watchkeeper.history.models import Change
from watchkeeper.ingest.models import QuarantinedRow, ValidationOutcome
from watchkeeper.ingest.outcome_histories import segment_histories
from watchkeeper.ingest.validation import validations_of
from watchkeeper.registry.models import Baseline, RegisteredModel
from watchkeeper.telemetry.outcomes import count_decisions
from watchkeeper.wire import Stream

SCORES = (0.0, -0.0, 1.0, -0.1, 1.1, 0.25, 0.75, None, float("inf"))
WORDS = ("yes", " No", True, 0, 1.0, "maybe", None)


@pytest.fixture
def model(platform: Platform) -> RegisteredModel:
    return platform.register()


def rows_of(count: int, **more: object) -> list[dict[str, object]]:
    return [{"label": n % 3 == 0, "score": (n % 100) / 100, "prediction": n % 2 == 0, **more} for n in range(count)]


def trained(platform: Platform, model: RegisteredModel, rows: list[dict[str, object]], version: str = "1") -> None:
    platform.send(model, Stream.TRAINING, [{"version": version, "validation": rows}])
    platform.work()


def test_rows_at_hand_are_counted_as_the_log_counts_them(platform: Platform, model: RegisteredModel) -> None:
    given = [{"score": SCORES[n % 9], "prediction": WORDS[n % 7], "label": WORDS[n % 5]} for n in range(315)]
    at = platform.clock.now() - timedelta(days=1)
    logged = [{"id": f"{n}", "timestamp": at.isoformat(), "score": row["score"], "prediction": str(row["prediction"])} for n, row in enumerate(given)]
    labels = [{"id": f"{n}", "label": str(row["label"]), "prediction_timestamp": at.isoformat()} for n, row in enumerate(given)]
    platform.send(model, Stream.PREDICTIONS, logged)
    platform.send(model, Stream.LABELS, labels)
    platform.work(seconds=1)
    platform.work(minutes=2)

    scores = np.array([np.nan if row["score"] is None else row["score"] for row in given])
    cells = count_decisions(scores, [str(row["prediction"]) for row in given], [str(row["label"]) for row in given])

    (day,) = segment_histories([model.id], now=platform.clock.now() + timedelta(days=1))[model.id].days
    expected = day.cells[np.lexsort(day.cells[:, 2::-1].T)]
    np.testing.assert_allclose(cells, expected)


def test_they_are_counted_by_segment_and_the_rows_are_not_kept(platform: Platform, model: RegisteredModel) -> None:
    trained(platform, model, [*rows_of(60, region="north"), *rows_of(30, region="south"), *rows_of(10, region=None)])

    found = validations_of([model.id])[model.id]["1"]

    assert (found.whole.rows, found.whole.labelled) == (100, 100)
    assert {name: entry.rows for name, (entry,) in found.segments["region"].items()} == {"north": 60, "south": 30}
    baseline = Baseline.objects.get(version__model=model, role="validation")
    assert (baseline.reference_rows, baseline.reference_path) == (100, "")
    assert Change.objects.filter(model_id=model.id, action="trained").get().after["validation_rows"] == 100


def test_a_training_again_replaces_them(platform: Platform, model: RegisteredModel) -> None:
    trained(platform, model, rows_of(60, region="north"))
    trained(platform, model, rows_of(40))
    trained(platform, model, rows_of(20), version="2")

    found = validations_of([model.id])[model.id]

    assert {version: entry.whole.rows for version, entry in found.items()} == {"1": 40, "2": 20}
    assert found["1"].segments == {}
    assert ValidationOutcome.objects.count() == 2


def test_a_training_again_without_them_takes_them_away(platform: Platform, model: RegisteredModel) -> None:
    trained(platform, model, rows_of(60))

    platform.train(model)
    platform.work()

    assert validations_of([model.id]) == {}
    assert not Baseline.objects.filter(role="validation").exists()


def test_a_row_without_a_label_is_refused_with_what_to_do(platform: Platform, model: RegisteredModel) -> None:
    with pytest.raises(InvalidInput):
        platform.send(model, Stream.TRAINING, [{"version": "1", "validation": [{"score": 0.5}]}])

    assert not ValidationOutcome.objects.exists()
    assert "validation.0.label" in QuarantinedRow.objects.get().field


def test_labels_that_are_neither_yes_nor_no_teach_nothing(platform: Platform, model: RegisteredModel) -> None:
    trained(platform, model, [{"label": n / 7, "score": 0.5} for n in range(1, 7)])

    assert validations_of([model.id])[model.id]["1"].whole.labelled == 0
