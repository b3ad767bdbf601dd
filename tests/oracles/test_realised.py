"""Realised performance from our binned counts beside NannyML's, which it takes of the rows."""

from __future__ import annotations

from math import isnan

import pyarrow as pa
import pytest

from tests.oracles.classified import NASTY, SEEDS, TRUTHS, any_rows, of_the_methods, scores_of
from tests.oracles.oracle import Oracle
from tests.oracles.shown import show
from watchkeeper.stats.performance import METRICS, pr_auc_bounds, roc_auc_bounds
from watchkeeper.stats.scores import ScoreTable

THEIR_NAMES = {name: name for name in TRUTHS} | {"pr_auc": "average_precision"}
BOUNDS = {"roc_auc": roc_auc_bounds, "pr_auc": pr_auc_bounds}
CHUNK = 5_000


def test_the_four_chunks_of_the_methods(oracle: Oracle) -> None:
    reference, analysis = of_the_methods()
    theirs = oracle("realised", reference=reference, analysis=analysis, metrics=list(THEIR_NAMES.values()), chunk_size=CHUNK)
    tables = [_of(analysis.slice(place * CHUNK, CHUNK)) for place in range(4)]

    rows = [
        (name, place, METRICS[name].compute(table).estimate, theirs[THEIR_NAMES[name]]["value"][place])
        for name in THEIR_NAMES
        for place, table in enumerate(tables)
    ]
    show("Realised performance, 5,000 rows a chunk", ("metric", "chunk", "ours", "NannyML", "difference"), [(*row, row[2] - row[3]) for row in rows])
    for name, place, estimate, their in rows:
        _assert_same(name, analysis.slice(place * CHUNK, CHUNK), estimate, their)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_rows(oracle: Oracle, seed: int) -> None:
    reference, analysis = any_rows(seed)
    theirs = oracle("realised", reference=reference, analysis=analysis, metrics=list(THEIR_NAMES.values()), chunk_number=1)
    table = _of(analysis)

    apart = {}
    for name, their_name in THEIR_NAMES.items():
        estimate, their = METRICS[name].compute(table).estimate, theirs[their_name]["value"][0]
        apart[name] = estimate - their
        _assert_same(name, analysis, estimate, their)
    told = ", ".join(f"{name} {apart[name]:+.5f} (bounds {BOUNDS[name](table).high - BOUNDS[name](table).low:.5f} apart)" for name in BOUNDS)
    print(f"\n{analysis.num_rows:,} rows, {table.positives:,} positive{', ' + NASTY[seed] if seed in NASTY else ''}: {told}")


def _of(rows: pa.Table) -> ScoreTable:
    return ScoreTable.of(*scores_of(rows))


def _assert_same(name: str, rows: pa.Table, estimate: float, their: float) -> None:
    """Equal to the truth of the rows, and so to NannyML's where it tells one: of rows that are all decided alike it tells none."""
    truth = TRUTHS[name](*scores_of(rows))
    if isnan(estimate):  # nothing to take a share of, or a single row
        assert isnan(truth) or truth in (0, 1)
        return
    assert isnan(their) or their == pytest.approx(truth, abs=1e-12)
    if name in BOUNDS:
        low, high = BOUNDS[name](_of(rows))
        assert low - 1e-9 <= truth <= high + 1e-9
    else:
        assert estimate == pytest.approx(truth, abs=1e-12)
