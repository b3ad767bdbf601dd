"""How much a feature matters, learned from rows of the log: which number of the model it is told by, and when nothing is known."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.analysis.importance import LEAST_ROWS, learned_importances
from watchkeeper.telemetry.bins import make_bins

ROWS = 4000
CHANCE = np.random.default_rng(3)
X, Y, NOISE = CHANCE.normal(size=(3, ROWS))
SAID = X + NOISE


def learned(rows: int = ROWS, **columns: Any) -> dict[str, float]:  # Any: cells
    table = pa.table({"f.x": X, "f.y": Y} | {name.replace("__", "."): cells for name, cells in columns.items()}).slice(0, rows)
    features = [name for name in table.column_names if name.startswith("f.")]
    return learned_importances(make_bins(table.select(features)), table)


@pytest.mark.parametrize(
    "said",
    [
        {"score": SAID},
        {"score": SAID, "prediction": Y},
        {"prediction": SAID},
        {"prediction": np.where(SAID > 0, "yes", "no")},
        {"prediction": SAID > 0},
        {"score__a": 1 / (1 + np.exp(-SAID)), "score__b": 1 / (1 + np.exp(SAID))},
    ],
    ids=["score", "score before prediction", "number", "two words", "true or false", "classes"],
)
def test_a_feature_matters_by_how_much_of_what_the_model_says_goes_with_it(said: dict[str, Any]) -> None:
    found = learned(**said)

    assert found["f.x"] == 1
    assert found["f.y"] < 0.05


@pytest.mark.parametrize(
    "said",
    [{}, {"prediction": np.resize(["a", "b", "c"], ROWS)}, {"score": np.full(ROWS, 0.5)}, {"score": NOISE}, {"score": pa.nulls(ROWS, pa.float64())}],
    ids=["nothing said", "three words", "constant", "goes with nothing", "null"],
)
def test_nothing_is_told_where_nothing_is_known(said: dict[str, Any]) -> None:
    assert learned(**said) == {}


def test_few_rows_tell_nothing() -> None:
    assert learned(LEAST_ROWS, score=SAID)
    assert learned(LEAST_ROWS - 1, score=SAID) == {}


def test_what_is_constant_or_no_number_or_category_is_unknown() -> None:
    vectors = pa.array([[1.0, 2.0]] * ROWS)
    strange = np.where(np.arange(ROWS) % 3 == 0, np.inf, X)

    found = learned(score=SAID, f__one=np.ones(ROWS), f__vector=vectors, f__null=pa.nulls(ROWS, pa.float64()), f__strange=strange)

    assert set(found) == {"f.x", "f.y", "f.strange"}
    assert 0.3 < found["f.strange"] < 1


def test_gaps_and_categories_matter_too() -> None:
    region = np.where(X > 0, "south", "north")
    found = learned(score=SAID, f__region=region, f__gaps=pa.array([None if x > 1 else 5.0 for x in X]))

    assert found["f.region"] > 0.4
    assert found["f.gaps"] > 0.2


def test_a_column_that_the_log_has_as_another_kind_is_unknown() -> None:
    layout = make_bins(pa.table({"f.x": X, "f.y": Y}))

    assert set(learned_importances(layout, pa.table({"f.x": X, "f.y": [str(y) for y in Y], "score": SAID}))) == {"f.x"}
