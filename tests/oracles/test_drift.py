"""Distances of columns beside NannyML's: equal in its bins, and as near as our own bins promise in those."""

from __future__ import annotations

from math import inf, isnan, nan
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp, wasserstein_distance

from tests.oracles.oracle import Oracle
from tests.oracles.shown import show
from watchkeeper.stats.distances import chi_square, hellinger, js_distance, ks_distance, largest_difference, wasserstein
from watchkeeper.telemetry.bins import OVER_BINS, ColumnBins, count_rows, make_bins

Floats = NDArray[np.float64]

ROWS, CHUNK, FINEST = 20_000, 5_000, 10_000
NUMBERS = ("jensen_shannon", "hellinger", "kolmogorov_smirnov", "wasserstein")
CATEGORIES = ("jensen_shannon", "hellinger", "chi2", "l_infinity")
SEEDS = range(20)


class Binned(NamedTuple):
    """A column in our own bins: KS and W1, and how far these may be from those of the rows."""

    ks: float
    ks_error: float
    w1: float
    w1_error: float


def test_the_four_chunks_of_the_methods(oracle: Oracle) -> None:
    chance = np.random.default_rng(42)
    reference, analysis = chance.normal(size=ROWS), chance.normal(size=ROWS) + np.linspace(0, 0.5, ROWS)
    chunks, usual = analysis.reshape(-1, CHUNK), reference.reshape(-1, CHUNK)

    theirs = oracle("drift", reference=_table(reference), analysis=_table(analysis), columns=["x"], numbers=NUMBERS, chunk_size=CHUNK)["x"]
    edges = np.histogram_bin_edges(reference, bins="doane")
    js, js_usual = (np.array([js_distance(*_in_their_bins(edges, reference, chunk)) for chunk in side]) for side in (chunks, usual))
    in_ours = [_in_our_bins(reference, chunk) for chunk in chunks]
    exact = [(float(ks_2samp(reference, chunk).statistic), float(wasserstein_distance(reference, chunk))) for chunk in chunks]

    threshold = float(js_usual.mean() + 3 * js_usual.std())
    rows = [
        *(("JS, its bins", place, float(js[place]), theirs["jensen_shannon"]["value"][place], "") for place in range(4)),
        *(("KS", place, in_ours[place].ks, theirs["kolmogorov_smirnov"]["value"][place], exact[place][0]) for place in range(4)),
        *(("W1", place, in_ours[place].w1, theirs["wasserstein"]["value"][place], exact[place][1]) for place in range(4)),
        ("JS, threshold", "", threshold, theirs["jensen_shannon"]["upper"][0], ""),
    ]
    show(
        "Drift of the four chunks; ours in 256 bins, NannyML in 10,000, truth of the rows",
        ("distance", "chunk", "ours", "NannyML", "truth", "ours - NannyML", "ours - truth"),
        [(*row, row[2] - row[3], row[2] - row[4] if isinstance(row[4], float) else "") for row in rows],
    )
    assert theirs["jensen_shannon"]["value"] == pytest.approx([0.0402, 0.0821, 0.1296, 0.1713], abs=5e-5)  # METHODS §1.3: the same rows
    assert js == pytest.approx(theirs["jensen_shannon"]["value"], abs=1e-9)
    assert threshold == pytest.approx(theirs["jensen_shannon"]["upper"][0], abs=1e-9)
    for binned, (ks, w1) in zip(in_ours, exact, strict=True):
        assert ks - binned.ks_error <= binned.ks <= ks + 1e-12
        assert abs(binned.w1 - w1) <= binned.w1_error


@pytest.mark.parametrize("seed", SEEDS)
def test_any_numbers(oracle: Oracle, seed: int) -> None:
    reference, analysis = _numbers(seed)

    theirs = oracle("drift", reference=_table(reference), analysis=_table(analysis), columns=["x"], numbers=NUMBERS, chunk_number=1)["x"]
    told = {method: theirs[method]["value"][0] for method in NUMBERS}
    known = (reference[~np.isnan(reference)], analysis[~np.isnan(analysis)])
    in_theirs = _in_their_bins(np.histogram_bin_edges(known[0], bins="doane"), *known)
    binned, ks, w1 = _in_our_bins(reference, analysis), float(ks_2samp(*known).statistic), float(wasserstein_distance(*known))

    print(f"\nKS {binned.ks:.5f} NannyML {told['kolmogorov_smirnov']:.5f} truth {ks:.5f}; W1 {binned.w1:.5f} {told['wasserstein']:.5f} {w1:.5f}")
    assert float(js_distance(*in_theirs)) == pytest.approx(told["jensen_shannon"], abs=1e-7)
    assert float(hellinger(*in_theirs)) == pytest.approx(told["hellinger"], abs=1e-9)
    assert ks - binned.ks_error - 1e-12 <= binned.ks <= ks + 1e-12
    assert isnan(binned.w1) or abs(binned.w1 - w1) <= binned.w1_error
    if len(known[0]) < FINEST:  # above it counts in bins of its own, with an error that it does not state
        assert told["kolmogorov_smirnov"] == pytest.approx(ks, abs=1e-9)
        assert told["wasserstein"] == pytest.approx(w1, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_categories(oracle: Oracle, seed: int) -> None:
    reference, analysis = _categories(seed)
    theirs = oracle("drift", reference=reference, analysis=analysis, columns=["x"], categories=CATEGORIES, chunk_number=1)["x"]
    levels = sorted({*reference["x"].to_pylist(), *analysis["x"].to_pylist()} - {None})
    sides = [np.array([side["x"].to_pylist().count(level) for level in levels]) for side in (reference, analysis)]
    seen = sides[0] > 0
    merged = [np.append(side[seen], side[~seen].sum()) for side in sides]  # as it does: unseen levels are one

    assert float(js_distance(*merged)) == pytest.approx(theirs["jensen_shannon"]["value"][0], abs=1e-7)
    assert float(hellinger(*merged)) == pytest.approx(theirs["hellinger"]["value"][0], abs=1e-7)
    assert float(largest_difference(*sides)) == pytest.approx(theirs["l_infinity"]["value"][0], abs=1e-9)
    if len(levels) > 2:  # of two, scipy corrects for continuity
        assert float(chi_square(*sides).statistic) == pytest.approx(theirs["chi2"]["value"][0], rel=1e-9)


def _table(x: Floats) -> pa.Table:
    return pa.table({"x": x})


def _in_their_bins(edges: Floats, reference: Floats, current: Floats) -> tuple[Floats, Floats]:
    """Counts in Doane's bins of the reference, and what lies outside of them together."""
    inside = [np.histogram(side, edges)[0] for side in (reference, current)]
    (p, q) = (np.append(counts, len(side) - counts.sum()).astype(np.float64) for counts, side in zip(inside, (reference, current), strict=True))
    return p, q


def _in_our_bins(reference: Floats, current: Floats) -> Binned:
    """From frozen bins and counts alone, with the error these allow.

    KS hides at most the largest bin. For W1 each row stands in the middle of its place: at most half a bin away, but what lies outside of the
    bins is as far from its place as it is. On a logarithmic scale we take no W1.
    """
    layout = make_bins(pa.table({"f.x": reference}))
    bins = layout.columns[0]
    p, q = (count_rows(layout, pa.table({"f.x": side})).counts[: OVER_BINS + 2] for side in (reference, current))
    width = (bins.high - bins.low) / 256
    largest = float(max((side / side.sum()).max() for side in (p, q)))
    if bins.is_log:
        return Binned(float(ks_distance(p, q)), largest, nan, inf)
    error = sum(_displaced(bins, width, side[~np.isnan(side)]) for side in (reference, current))
    return Binned(float(ks_distance(p, q)), largest, float(wasserstein(p, q, width=width)), error + 1e-12)


def _displaced(bins: ColumnBins, width: float, x: Floats) -> float:
    """How far rows are from the middle of their places on average."""
    middle = bins.low + (np.clip(np.floor((x - bins.low) / width), 0, 255) + 0.5) * width
    outside = [x < bins.minimum, x < bins.low, x > bins.maximum, x > bins.high]
    places = [bins.low - 1.5 * width, bins.low - 0.5 * width, bins.high + 1.5 * width, bins.high + 0.5 * width]
    return float(np.abs(x - np.select(outside, places, middle)).mean()) + 1e-9


def _numbers(seed: int) -> tuple[Floats, Floats]:
    """Normal, whole, skewed or even numbers, shifted, wider or unchanged, some missing, some far outside; 500 to 30,000 rows."""
    chance = np.random.default_rng([1, seed])
    sizes = chance.integers(500, 30_000, 2)
    kinds = (chance.normal, lambda size: np.floor(chance.gamma(2, 3, size)), lambda size: np.exp(0.5 * chance.normal(size=size)), chance.random)
    reference, analysis = (np.asarray(kinds[seed % 4](size=size), dtype=np.float64) for size in sizes)
    analysis = analysis * chance.choice([1.0, 1.3]) + chance.choice([0.0, 0.2, 3.0])
    for side in (reference, analysis):
        side[chance.random(side.size) < chance.choice([0.0, 0.05])] = np.nan
    if seed % 5 == 0:
        analysis[:10] = 1e4
    return reference, analysis


def _categories(seed: int) -> tuple[pa.Table, pa.Table]:
    """2 to 60 levels of which some are rare, some missing, in every third case some unseen before."""
    chance = np.random.default_rng([2, seed])
    count = int(chance.integers(2, 60))
    unseen = count // 5 if seed % 3 == 0 else 0
    shares = chance.dirichlet(np.full(count, 0.7), 2)
    shares[0, count - unseen :] = 0
    shares[0] /= shares[0].sum()
    drawn = [chance.choice(count, size=int(chance.integers(400, 20_000)), p=share) for share in shares]
    texts = [[None if missing else f"level {code}" for code, missing in zip(side, chance.random(side.size) < 0.02, strict=True)] for side in drawn]
    reference, analysis = (pa.table({"x": pa.array(side, pa.string())}) for side in texts)
    return reference, analysis
