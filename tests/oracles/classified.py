"""Rows of binary models for the oracles: ordinary ones, and those with scores that break things."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import metrics as exact

from watchkeeper.stats.scores import ScoreTable

Floats = NDArray[np.float64]

SEEDS = range(20)
ROWS = 20_000
NASTY = {16: "one score", 17: "only 0 and 1", 18: "many 0 and 1", 19: "few scores"}
TRUTHS: Mapping[str, Callable[[Floats, Floats, Floats], float]] = {  # of scores, labels, decisions
    "accuracy": lambda score, label, decision: exact.accuracy_score(label, decision),
    "precision": lambda score, label, decision: exact.precision_score(label, decision, zero_division=np.nan),
    "recall": lambda score, label, decision: exact.recall_score(label, decision, zero_division=np.nan),
    "f1": lambda score, label, decision: exact.f1_score(label, decision, zero_division=np.nan),
    "specificity": lambda score, label, decision: exact.recall_score(label, decision, pos_label=0, zero_division=np.nan),
    "roc_auc": lambda score, label, decision: exact.roc_auc_score(label, score) if 0 < label.mean() < 1 else np.nan,
    "pr_auc": lambda score, label, decision: exact.average_precision_score(label, score) if label.any() else np.nan,
}


def of_the_methods() -> tuple[pa.Table, pa.Table]:
    """METHODS §1.3 and §2.1: 20,000 rows a side, x normal, its mean rising to 0.5; scores are calibrated."""
    chance = np.random.default_rng(42)
    xs = chance.normal(size=ROWS), chance.normal(size=ROWS) + np.linspace(0, 0.5, ROWS)
    scores = [expit(1.5 * x - 0.5) for x in xs]
    labels = [chance.random(ROWS) < score for score in scores]
    reference, analysis = (_table(score, label, 0.5) for score, label in zip(scores, labels, strict=True))
    return reference, analysis


def any_rows(seed: int) -> tuple[pa.Table, pa.Table]:
    """300 to 30,000 rows a side, 1 to 60 positives of 100, scores distorted or not, their mix shifted or not; and the NASTY."""
    chance = np.random.default_rng([5, seed])
    base, slope = chance.choice([-4.5, -2.0, 0.0]), chance.uniform(0.8, 2.5)
    distortion, threshold = chance.choice([0.6, 1.0, 1.6]), chance.choice([0.5, 0.35])
    sides = []
    for shift in (0.0, chance.choice([0.0, 0.5])):
        x = chance.normal(size=int(np.exp(chance.uniform(np.log(300), np.log(30_000))))) + shift
        truth = expit(base + slope * x)
        sides.append(_table(_spoiled(chance, expit(distortion * (base + slope * x)), seed), chance.random(x.size) < truth, threshold))
    return sides[0], sides[1]


def scores_of(table: pa.Table) -> tuple[Floats, Floats, Floats]:
    """Scores, labels, decisions."""
    score, label, prediction = (table[name].to_numpy() for name in ("score", "label", "prediction"))
    return score, label, prediction


def unlabelled(table: pa.Table) -> ScoreTable:
    score, _, prediction = scores_of(table)
    return ScoreTable.of(score, predictions=prediction)


def _spoiled(chance: np.random.Generator, score: Floats, seed: int) -> Floats:
    match NASTY.get(seed % len(SEEDS)):
        case "one score":
            return np.full_like(score, 0.3)
        case "only 0 and 1":
            return (chance.random(score.size) < score).astype(np.float64)
        case "many 0 and 1":
            return np.where(chance.random(score.size) < 0.2, np.round(score), score)
        case "few scores":
            return np.round(score, 1)
    return score


def _table(score: Floats, label: NDArray[np.bool_], threshold: float) -> pa.Table:
    return pa.table({"score": score, "label": label.astype(np.int64), "prediction": (score >= threshold).astype(np.int64)})
