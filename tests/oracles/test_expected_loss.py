"""Expected loss of a regression beside NannyML's DLE, which fits gradient boosting to the loss of rows; ours only knows cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench import _generated as generated
from tests.oracles.oracle import Oracle
from tests.oracles.shown import show
from watchkeeper.stats.residuals import LossModel, expected_loss

Floats = NDArray[np.float64]
Cells = Callable[[pa.Table], NDArray[np.int64]]

KNOWN = ("f00", "f01", "f05")  # the spread of the error grows with |f00|
PREDICTION_BINS, SEGMENTS = 20, 8


def test_the_loss_of_the_generated_log(oracle: Oracle) -> None:
    """In the last ten days f00 has moved, and with it the loss. Cells that know f00 follow it most of the way, trees further."""
    reference, analysis = ([_rows(day) for _, day in days] for days in (generated.reference(), generated.analysis("100k")))
    whole = pa.concat_tables(reference)
    prediction = _quantile_codes("prediction", whole, PREDICTION_BINS)
    segment = _quantile_codes("f00", whole, SEGMENTS)

    truth = np.array([_loss(day).mean() for day in analysis])
    by_prediction = _expected(reference, analysis, prediction, PREDICTION_BINS)
    by_segment = _expected(reference, analysis, lambda rows: prediction(rows) * SEGMENTS + segment(rows), PREDICTION_BINS * SEGMENTS)
    daily = {"chunk_period": "D", "timestamp_column_name": "timestamp"}
    theirs = np.array(
        oracle("expected_loss", reference=whole, analysis=pa.concat_tables(analysis), features=KNOWN, metrics=["mae"], **daily)["mae"]["value"]
    )
    constant = np.full(len(truth), _loss(whole).mean())

    named = {"ours, by prediction": by_prediction, "ours, by prediction and segment": by_segment, "NannyML": theirs, "the reference's mean": constant}
    before, after = slice(None, generated.DRIFT_FROM), slice(generated.DRIFT_FROM, None)
    show(
        "Mean absolute error of a regression, told without labels: how far from the truth on average",
        ("by", "20 days as before", "10 days after the drift", "told in those", "truth"),
        [
            (
                name,
                float(abs(told - truth)[before].mean()),
                float(abs(told - truth)[after].mean()),
                float(told[after].mean()),
                float(truth[after].mean()),
            )
            for name, told in named.items()
        ],
    )
    ours, nannyml, none = (abs(told - truth) for told in (by_segment, theirs, constant))
    assert ours[before].mean() <= 1.1 * nannyml[before].mean()  # cells know less of a row than trees do
    assert ours[after].mean() <= none[after].mean() / 2


def _rows(day: pa.Table) -> pa.Table:
    return day.select(["timestamp", *KNOWN]).append_column("prediction", day["amount"]).append_column("label", day["amount_label"])


def _loss(rows: pa.Table) -> Floats:
    return np.asarray(np.abs(rows["prediction"].to_numpy() - rows["label"].to_numpy()))


def _quantile_codes(name: str, reference: pa.Table, bins: int) -> Cells:
    edges = np.quantile(reference[name].to_numpy(), np.arange(1, bins) / bins)
    return lambda rows: np.searchsorted(edges, rows[name].to_numpy())


def _expected(reference: list[pa.Table], analysis: list[pa.Table], cells: Cells, count: int) -> Floats:
    n = [np.bincount(cells(day), minlength=count) for day in reference]
    loss = [np.bincount(cells(day), weights=_loss(day), minlength=count) for day in reference]
    model = LossModel.of(n, loss)
    print(f"\n{count} cells: out-of-time R² {model.r_squared:.3f}")
    return np.array([expected_loss(model, np.bincount(cells(day), minlength=count), least_r_squared=-1).estimate for day in analysis])
