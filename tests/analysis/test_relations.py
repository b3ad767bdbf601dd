"""Means by bins of a feature from packed sums: the checks of METHODS §8, special values, categories, and where a model is off."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.analysis.relations import (
    ENDLESS,
    NOTHING,
    REST,
    UNSEEN,
    BinMeans,
    FeatureSums,
    Relations,
    biases,
    bin_means,
    bins_of,
    inner,
    outcome_by,
)
from watchkeeper.stats.binscatter import FineBins, dots, rule_of_thumb
from watchkeeper.telemetry.bins import Layout, make_bins
from watchkeeper.telemetry.relations import pack_relations, relation_layout, sum_rows, unpack_relations

Column = list[object] | np.ndarray


def related(columns: dict[str, Column], y: Column, said: Column | float = 0.0, *, layout: Layout | None = None) -> Relations:
    """Of rows at hand, through the packed form."""
    table = pa.table({f"f.{name}": cells for name, cells in columns.items()})
    layout = layout or relation_layout(make_bins(table))
    rows = len(table)
    outcome = {"y": np.asarray(y, dtype=float), "said": np.broadcast_to(np.asarray(said, dtype=float), rows)}
    for name, cells in outcome.items():
        table = table.append_column(name, pa.array(cells))
    (sums,) = sum_rows(layout, table, np.zeros(rows, dtype=np.int64), 1)
    return Relations(layout=layout, sums=unpack_relations(layout, pack_relations(sums)))


def feature(columns: dict[str, Column], y: Column, said: Column | float = 0.0, *, layout: Layout | None = None) -> FeatureSums:
    return next(iter(related(columns, y, said, layout=layout).features.values()))


def own_means(sums: FeatureSums) -> list[BinMeans]:
    """In the bins of the same rows."""
    return bin_means(sums, bins_of(sums))


def test_the_checks_of_the_rule_of_thumb_hold_from_256_packed_bins() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=5000)
    first = rule_of_thumb(inner(feature({"x": x}, np.sin(2 * np.pi * x) + 0.5 * rng.normal(size=5000))))
    x = rng.normal(size=5000)
    second = rule_of_thumb(inner(feature({"x": x}, x + 0.5 * x**2 + rng.normal(size=5000))))

    assert (first.bins, second.bins) == (25, 52)
    assert (first.bias, first.variance) == (pytest.approx(0.6785412, rel=2e-4), pytest.approx(0.4496980, rel=2e-4))
    assert (second.bias, second.variance) == (pytest.approx(13.427372, rel=5e-3), pytest.approx(0.9766647, rel=2e-3))


def test_the_dots_are_the_means_of_the_rows_in_their_bins() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=4000)
    y = x**2 + rng.normal(size=4000)
    sums = feature({"x": x}, y, said=x)
    bins = bins_of(sums)

    means = bin_means(sums, bins)

    edges = [entry.place.high for entry in means[:-1]]
    rows = np.searchsorted(np.array(edges, dtype=float), x, side="right")
    assert len(means) > 10
    for index, entry in enumerate(means):
        inside = rows == index
        exact = dots(FineBins.of_rows(x[inside], y[inside]), np.zeros(inside.sum(), dtype=np.intp))[0]
        assert entry.n == inside.sum()
        assert entry.x == pytest.approx(exact.x, abs=1e-6)
        assert (entry.target.low, entry.target.estimate) == (pytest.approx(exact.y.low, abs=1e-6), pytest.approx(exact.y.estimate, abs=1e-6))
        assert entry.prediction == pytest.approx(x[inside].mean(), abs=1e-6)
        assert entry.residual.estimate == pytest.approx((y - x)[inside].mean(), abs=1e-6)


def test_one_absurd_number_does_not_make_one_bin_of_the_others() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=5000)
    y = np.sin(2 * np.pi * x) + 0.5 * rng.normal(size=5000)
    x[7] = 1e30

    assert len(own_means(feature({"x": x}, y))) == 25


def test_what_is_no_number_has_dots_of_its_own() -> None:
    rng = np.random.default_rng(1)
    x: list[object] = [*rng.normal(size=500), *[None] * 50, *[math.inf] * 40]

    means = own_means(feature({"x": x}, [1.0] * 500 + [2.0] * 50 + [3.0] * 40))

    assert [(entry.place.special, entry.n, entry.target.estimate, entry.x) for entry in means[-2:]] == [
        (ENDLESS, 40, 3.0, None),
        (NOTHING, 50, 2.0, None),
    ]
    assert sum(entry.n for entry in means) == 590
    assert sum(entry.share for entry in means) == pytest.approx(1)


def test_frequent_levels_stand_by_themselves_and_the_others_together() -> None:
    kinds: list[object] = [*["a"] * 60, *["b"] * 40, *["rare", "rarer"] * 4, None]
    reference = feature({"kind": kinds}, np.ones(len(kinds)))
    later: list[object] = ["b", "new", "new", None]
    current = feature({"kind": later}, [1.0, 5.0, 7.0, 2.0], layout=Layout((reference.column,)))

    means = outcome_by(reference, current)

    assert [(entry.place.level or entry.place.special, entry.n) for entry in means.reference] == [("a", 60), ("b", 40), (REST, 8), (NOTHING, 1)]
    assert [(entry.place.level or entry.place.special, entry.target.estimate) for entry in means.current] == [
        ("b", 1.0),
        (UNSEEN, 6.0),
        (NOTHING, 2.0),
    ]


@pytest.mark.parametrize("x", [[5.0] * 40, [None] * 40, [1.0], [math.nan] * 40, ["a"] * 40], ids=["constant", "empty", "one row", "NaN", "one level"])
def test_features_that_tell_nothing_have_one_bin_and_no_bias(x: list[object]) -> None:
    found = related({"x": x}, np.arange(len(x)))

    assert [entry.n for entry in own_means(next(iter(found.features.values())))] == [len(x)]
    assert biases(found) == []


def test_without_labels_there_are_no_dots() -> None:
    sums = feature({"x": np.arange(100.0)}, np.full(100, np.nan))

    assert bin_means(sums, bins_of(sums)) == []
    assert math.isnan(sums.mean("y"))


def test_the_feature_by_which_a_model_is_off_is_named_with_the_place() -> None:
    rng = np.random.default_rng(4)
    x, z, noise = rng.normal(size=(3, 8000))
    region = rng.choice(["north", "south"], 8000)
    y = noise + 1.5 * (x > 1)

    found = biases(related({"z": z, "x": x, "region": region}, y))

    assert found[0].feature == "f.x"
    assert sum(bias.is_found for bias in found) == 1
    by_bins = 1.5**2 * np.var(x > 1) / np.mean(y**2)
    assert found[0].part == pytest.approx(by_bins, rel=0.15)  # the bin at the edge is half of each
    assert found[0].worst.place.low is not None
    assert found[0].worst.place.low > 0.9
    assert found[0].worst.residual.estimate == pytest.approx(1.5, abs=0.2)


def test_a_model_that_says_too_little_everywhere_is_off_by_no_feature() -> None:
    rng = np.random.default_rng(6)
    x, noise = rng.normal(size=(2, 5000))

    assert [bias.is_found for bias in biases(related({"x": x}, noise + 2))] == [False]


def test_a_calibrated_model_is_off_nowhere_whatever_its_variance_does() -> None:
    """A hundred features of pure noise, residuals of probabilities: the test holds its level."""
    rng = np.random.default_rng(5)
    score = rng.beta(0.5, 3, 3000)
    y = (rng.uniform(size=3000) < score).astype(float)
    columns: dict[str, Column] = {f"{n}": rng.normal(size=3000) for n in range(99)}

    found = biases(related({"score": score, **columns}, y, score))

    p_values = np.array([bias.test.p_value for bias in found])
    assert not any(bias.is_found for bias in found)
    assert 0.01 < (p_values < 0.1).mean() < 0.2
