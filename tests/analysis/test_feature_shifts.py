"""A feature whose other values explain a rise of the loss is named with about the right part; one that explains nothing is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator

from tests.analysis.test_relations import Column, related
from watchkeeper.analysis.causes import feature_shifts
from watchkeeper.analysis.relations import Relations

ROWS = 20_000


def days(rng: Generator, *, x: float = 0.0, z: float = 0.0, noise: float = 1.0, layout: Relations | None = None, rows: int = ROWS) -> Relations:
    """The model is three times as uncertain where x > 1, and everywhere alike by z; y is what it says plus chance."""
    at_x, at_z, chance = rng.normal(x, 1, rows), rng.normal(z, 1, rows), rng.normal(0, noise, rows)
    kind = np.where(at_x > 1, "hard", "easy").tolist()
    columns: dict[str, Column] = {"z": at_z, "x": at_x, "kind": kind, "same": np.ones(rows)}
    said = at_z
    return related(columns, said + chance * np.where(at_x > 1, 3, 1), said, layout=layout.layout if layout else None)


def test_a_feature_that_moves_to_where_the_model_is_bad_is_first_with_the_right_part() -> None:
    rng = np.random.default_rng(1)
    reference = days(rng)
    current = days(rng, x=1.0, layout=reference)

    found = feature_shifts(reference, current)

    assert {shift.feature for shift in found} == {"f.x", "f.kind"}
    assert {shift.feature: shift.share for shift in found} == {"f.x": pytest.approx(1, abs=0.12), "f.kind": pytest.approx(1, abs=0.12)}
    assert all(shift.rise.low < current.squared_error - reference.squared_error < shift.rise.high * 1.15 for shift in found)


def test_a_feature_that_moves_where_the_loss_is_flat_explains_nothing() -> None:
    rng = np.random.default_rng(2)
    reference = days(rng)

    assert feature_shifts(reference, days(rng, z=0.8, noise=1.3, layout=reference)) == ()


def test_of_a_rise_with_two_causes_a_feature_explains_its_part() -> None:
    rng = np.random.default_rng(3)
    reference = days(rng)
    current = days(rng, x=1.0, noise=1.5, layout=reference)

    found = {shift.feature: shift.share for shift in feature_shifts(reference, current)}

    mean = [1 + 8 * share for share in (0.1587, 0.5)]  # of the squared error, at the shares of x > 1
    assert found["f.x"] == pytest.approx((mean[1] - mean[0]) / (1.5**2 * mean[1] - mean[0]), abs=0.06)
    assert "f.z" not in found


def test_chance_explains_nothing() -> None:
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        reference = days(rng, rows=4000)
        found += [feature_shifts(reference, days(rng, noise=1.1, layout=reference, rows=700))]

    assert sum(shifts != () for shifts in found) <= 2


def test_a_loss_that_fell_needs_no_reason() -> None:
    rng = np.random.default_rng(4)
    reference = days(rng, x=1.0)

    assert feature_shifts(reference, days(rng, layout=reference)) == ()


def test_values_that_the_reference_never_had_explain_nothing() -> None:
    rng = np.random.default_rng(5)
    reference = days(rng)

    assert "f.x" not in {shift.feature for shift in feature_shifts(reference, days(rng, x=9.0, layout=reference))}


def test_without_labels_on_a_side_nothing_is_told() -> None:
    rng = np.random.default_rng(6)
    reference = days(rng)
    empty = related({"x": np.ones(5), "z": np.ones(5)}, np.full(5, np.nan), layout=reference.layout)

    assert feature_shifts(reference, empty) == feature_shifts(empty, reference) == feature_shifts(Relations(), Relations()) == ()
