"""What vectors are measured by, against numpy and scikit-learn, and on input that is no vector."""

import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA

from watchkeeper.telemetry.vectors import LEAST_VECTORS, VectorFrame, frame_of, usable

CHANCE = np.random.default_rng(1)


def cells(vectors):
    return pa.array(vectors.tolist(), pa.list_(pa.float64()))


@pytest.mark.parametrize(("rows", "dimension"), [(1000, 12), (300, 12), (400, 500)])
def test_directions_are_the_principal_components(rows, dimension):
    vectors = CHANCE.normal(size=(rows, dimension)) * np.geomspace(5, 0.1, dimension) + 3
    frame = frame_of(cells(vectors))
    expected = PCA(8, svd_solver="full").fit(vectors)

    measured = frame.measured(cells(vectors))

    projections = expected.transform(vectors)
    signs = np.sign((measured[:, 2:10] * projections).sum(axis=0))
    rest = 1 - (projections**2).sum(axis=1) / ((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1)
    mean = vectors.mean(axis=0)
    assert frame.measures == ("length", "cosine", *(f"direction {n}" for n in range(1, 9)), "outside")
    np.testing.assert_allclose(measured[:, 0], np.linalg.norm(vectors, axis=1), rtol=1e-12)
    np.testing.assert_allclose(measured[:, 1], vectors @ mean / np.linalg.norm(vectors, axis=1) / np.linalg.norm(mean), rtol=1e-6)
    np.testing.assert_allclose(measured[:, 2:10] * signs, projections, atol=2e-5)
    np.testing.assert_allclose(measured[:, -1], rest, atol=1e-5)


def test_what_is_no_vector_of_this_dimension_has_no_measures():
    frame = frame_of(cells(CHANCE.normal(size=(200, 3))))
    given = [[1.0, 2.0, 3.0], None, [], [1.0], [1.0] * 4, [1.0, None, 2.0], [math.nan] * 3, [math.inf, 0.0, 0.0], [1e200] * 3, [0.0, 0.0, 0.0]]

    measured = frame.measured(pa.array(given, pa.list_(pa.float64())))

    assert np.isnan(measured).all(axis=1).tolist() == [False, *[True] * 8, False]
    assert np.isnan(measured[-1]).tolist() == [False, True, *[False] * 3]  # a vector of zeros has no direction


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float64(), 4), pa.list_(pa.int64())], ids=lambda kind: str(kind)
)
def test_lists_of_every_kind_are_vectors(kind):
    given = CHANCE.integers(-9, 9, (150, 4))
    frame = frame_of(pa.array(given.tolist(), kind))

    np.testing.assert_array_equal(frame.measured(pa.array(given.tolist(), kind)), frame.measured(cells(given.astype(float))))


@pytest.mark.parametrize(
    "given",
    [
        pa.array([], pa.list_(pa.float64())),
        pa.array([None] * 300, pa.list_(pa.float64())),
        pa.array([[]] * 300, pa.list_(pa.float64())),
        pa.array([[1.0, math.nan]] * 300, pa.list_(pa.float64())),
        pa.array([[1e300, 1.0]] * 300, pa.list_(pa.float64())),
        pa.array([[1.0, 2.0]] * (LEAST_VECTORS - 1), pa.list_(pa.float64())),
        pa.array([[1.0] * 5000] * 100, pa.list_(pa.float64())),
        pa.array([["a"]] * 300, pa.list_(pa.string())),
        pa.array(["a"] * 300),
        pa.nulls(300),
    ],
    ids=["empty", "nulls", "no elements", "not a number", "too large", "too few", "too long", "texts in lists", "texts", "no kind"],
)
def test_no_frame_is_made_of_what_cannot_be_measured(given):
    assert frame_of(given) is None


def test_equal_vectors_have_a_length_and_no_direction():
    frame = frame_of(cells(np.full((200, 5), 0.1)))

    assert frame.measures == ("length", "cosine")
    np.testing.assert_allclose(frame.measured(cells(np.full((3, 5), 0.1))), [[0.1 * 5**0.5, 1.0]] * 3, rtol=1e-9)


def test_vectors_of_few_dimensions_leave_nothing_outside():
    assert frame_of(cells(CHANCE.normal(size=(200, 2)))).measures == ("length", "cosine", "direction 1", "direction 2")


def test_the_dimension_is_the_most_frequent_one():
    frame = frame_of(pa.array([[1.0]] * 150 + CHANCE.normal(size=(200, 3)).tolist(), pa.list_(pa.float64())))

    assert frame.dimension == 3


def test_a_frame_survives_json():
    frame = frame_of(cells(CHANCE.normal(size=(200, 6))))

    again = VectorFrame.from_json(frame.as_json())

    assert again == frame
    np.testing.assert_array_equal(again.axes, frame.axes)


def test_a_slice_of_lists_is_read_from_where_it_begins():
    whole = pa.array([[0.0, 0.0], None, [1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64()))

    places, vectors = usable(whole.slice(1), 2)

    assert (places.tolist(), vectors.tolist()) == ([1, 2], [[1.0, 2.0], [3.0, 4.0]])
