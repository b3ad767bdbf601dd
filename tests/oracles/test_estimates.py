"""Performance before labels (CBPE) beside NannyML's, and both beside what came true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np
import pyarrow as pa
import pytest

from tests.oracles.classified import NASTY, SEEDS, TRUTHS, any_rows, of_the_methods, scores_of, unlabelled
from tests.oracles.oracle import Oracle
from tests.oracles.shown import show
from watchkeeper.stats.estimated import CalibrationMap, Estimate, estimates
from watchkeeper.stats.result import Validity
from watchkeeper.stats.scores import ScoreTable

CHUNK = 5_000
METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc")
MODELS = 100  # twenty tell too little: the ratio for F1 is 1.16 over the first twenty, 1.045 over all
PUBLISHED = {"accuracy": [0.735885, 0.737914, 0.733699, 0.735298], "f1": [0.684211, 0.711420, 0.729565, 0.748840]}  # METHODS §2.1
NO_WORSE = 1.05
RARE = 0.05


@dataclass(frozen=True, kw_only=True)
class Model:
    """Of one model: `values` are our estimate, NannyML's, and what came true."""

    reference: int
    rows: int
    positive: float
    nasty: str
    ours: Mapping[str, Estimate]
    values: Mapping[str, tuple[float, float, float]]

    def errors(self, name: str) -> tuple[float, float]:
        estimate, their, truth = self.values[name]
        return estimate - truth, their - truth

    def told(self, name: str) -> str:
        return " / ".join(f"{value:.3f}" for value in self.values[name])


def test_the_four_chunks_of_the_methods(oracle: Oracle) -> None:
    reference, analysis = of_the_methods()
    chunks = [analysis.slice(place * CHUNK, CHUNK) for place in range(4)]
    theirs = oracle("estimated", reference=reference, analysis=analysis, metrics=METRICS, chunk_size=CHUNK)
    ours, raw = _estimates(reference, chunks), [estimates({"": unlabelled(chunk)}) for chunk in chunks]

    rows = [
        (
            name,
            place,
            ours[place][name].result.estimate,
            raw[place][name].result.estimate,
            theirs[name]["value"][place],
            TRUTHS[name](*scores_of(chunk)),
        )
        for name in METRICS
        for place, chunk in enumerate(chunks)
    ]
    show(
        f"CBPE; NannyML {'calibrated' if theirs['is_calibrated'] else 'took the scores as they are'}",
        ("metric", "chunk", "ours", "ours, scores as they are", "NannyML", "truth", "ours - NannyML"),
        [(*row, row[2] - row[4]) for row in rows],
    )
    for name, values in PUBLISHED.items():
        assert theirs[name]["value"] == pytest.approx(values, abs=1e-6)
    for name, _, estimate, uncalibrated, their, _ in rows:
        assert estimate == pytest.approx(their, abs=0.005)
        if not theirs["is_calibrated"]:
            assert uncalibrated == pytest.approx(their, abs=1e-4 if name == "roc_auc" else 1e-9)


@pytest.fixture(scope="module")
def models(oracle: Oracle) -> list[Model]:
    return [_model(oracle, seed) for seed in range(MODELS)]


def test_nasty_rows_give_an_estimate_or_a_reason(models: list[Model]) -> None:
    show(
        "CBPE of any rows: ours / NannyML / truth",
        ("reference", "rows", "positive", "nasty", *METRICS),
        [
            (f"{model.reference:,}", f"{model.rows:,}", f"{model.positive:.1%}", model.nasty, *map(model.told, METRICS))
            for model in models[: len(SEEDS)]
        ],
    )
    missing = [(model, name) for model in models for name in METRICS if isnan(model.values[name][0])]
    print(f"\nOf {MODELS * len(METRICS)} estimates missing: {Counter(str(model.ours[name].result.validity) for model, name in missing)}")
    for model, name in missing:
        assert model.ours[name].result.validity in (Validity.UNDEFINED, Validity.OUT_OF_SUPPORT)
    assert len(missing) <= 0.05 * MODELS * len(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_over_many_models_ours_is_as_near_to_the_truth(models: list[Model], name: str) -> None:
    groups = {"all": models, "under 5 % positive": [model for model in models if model.positive < RARE]}
    groups["5 % and more"] = [model for model in models if model.positive >= RARE]
    errors = {group: np.array([model.errors(name) for model in some if np.isfinite(model.errors(name)).all()]) for group, some in groups.items()}
    means = {group: np.abs(apart).mean(axis=0) for group, apart in errors.items()}
    show(
        f"CBPE of {name}: mean absolute error, and mean error",
        ("models", "number", "ours", "NannyML", "ratio", "ours, mean error", "NannyML, mean error"),
        [
            (group, len(errors[group]), *map(float, mean), float(mean[0] / mean[1]), *map(float, errors[group].mean(axis=0)))
            for group, mean in means.items()
        ],
    )

    ours, theirs = means["all"]
    assert ours <= NO_WORSE * theirs


def _model(oracle: Oracle, seed: int) -> Model:
    reference, analysis = any_rows(seed)
    theirs = oracle("estimated", reference=reference, analysis=analysis, metrics=METRICS, chunk_number=1)
    (ours,) = _estimates(reference, [analysis])
    values = {name: (ours[name].result.estimate, theirs[name]["value"][0], TRUTHS[name](*scores_of(analysis))) for name in METRICS}
    positive = float(scores_of(reference)[1].mean())
    nasty = NASTY.get(seed % len(SEEDS), "")
    return Model(reference=reference.num_rows, rows=analysis.num_rows, positive=positive, nasty=nasty, ours=ours, values=values)


def _estimates(reference: pa.Table, chunks: list[pa.Table]) -> list[dict[str, Estimate]]:
    score, label, decision = scores_of(reference)
    calibration = CalibrationMap.of({"": ScoreTable.of(score, label, decision)})
    return [estimates({"": unlabelled(chunk)}, calibration) for chunk in chunks]
