"""What a vector is measured by: its length, its direction, and where it lies along the principal directions of reference vectors. Counts nothing.

A vector of another dimension, without elements, or with an element that is null, NaN or infinite has no measures.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.linalg import eigh

from watchkeeper.telemetry.cells import Floats

DIRECTIONS = 8
MOST_DIMENSIONS = 4096
LEAST_VECTORS = 100  # to make a frame of
LENGTH, COSINE, OUTSIDE = "length", "cosine", "outside"
_MOST_NUMBERS = 20_000_000  # that a frame is made of: 160 MB
_VECTORS_A_DIRECTION = 20  # fewer would find directions in noise
_LARGEST = 1e18  # number: the squares of larger ones overflow in single precision
_LEAST_SPREAD = 1e-6  # of the length: below that a direction is rounding


@dataclass(frozen=True)
class VectorFrame:
    """Mean and principal directions of reference vectors, rows of little-endian single-precision numbers in base64."""

    dimension: int
    packed: str

    @cached_property
    def axes(self) -> Floats:
        """The mean and the directions, of shape (1 + directions, dimension)."""
        return np.frombuffer(b64decode(self.packed), dtype="<f4").astype(np.float64).reshape(-1, self.dimension)

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of what is measured; all that is left outside the directions only where they are not the whole space."""
        directions = len(self.axes) - 1
        return LENGTH, COSINE, *(f"direction {n}" for n in range(1, directions + 1)), *((OUTSIDE,) if 0 < directions < self.dimension else ())

    def measured(self, cells: pa.Array) -> Floats:
        """Of each cell its measures, of shape (cells, measures): Euclidean length, cosine of the angle to the mean vector, projections of the
        difference from the mean on the directions, the share of that difference's squared length outside them. NaN where there is none."""
        found = np.full((len(cells), len(self.measures)), np.nan)
        places, vectors = usable(cells, self.dimension)
        mean, directions = self.axes[0], self.axes[1:]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            apart = vectors - mean
            lengths, along = np.linalg.norm(vectors, axis=1), apart @ directions.T
            cosines = np.clip(vectors @ mean / (lengths * np.linalg.norm(mean)), -1.0, 1.0)
            squared = (apart**2).sum(axis=1)
            outside = np.clip(1 - (along**2).sum(axis=1) / np.where(squared > 0, squared, np.nan), 0.0, 1.0)
        columns = [lengths, cosines, *along.T, *([outside] if OUTSIDE in self.measures else [])]
        is_known = np.isfinite(lengths) & np.isfinite(squared)
        found[places[is_known]] = np.column_stack(columns)[is_known]
        return found

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:  # Any: JSON
        return cls(**stored)


def is_vector(given: pa.DataType) -> bool:
    return bool(pa.types.is_list(given) or pa.types.is_large_list(given) or pa.types.is_fixed_size_list(given))


def frame_of(cells: pa.Array) -> VectorFrame | None:
    """Of the vectors with the most frequent dimension; None when these are too few or too long, or no numbers.

    Up to eight directions of the largest variance (principal component analysis), each turned so that its largest element is positive.
    """
    dimension = _dimension(cells)
    if not 0 < dimension <= MOST_DIMENSIONS:
        return None
    _, vectors = usable(cells.slice(0, max(LEAST_VECTORS, _MOST_NUMBERS // dimension)), dimension)
    if len(vectors) < LEAST_VECTORS or np.abs(vectors).max() > _LARGEST:
        return None
    mean = vectors.mean(axis=0)
    directions = _directions(vectors - mean, float(np.sqrt((vectors**2).sum(axis=1).mean())))
    return VectorFrame(dimension, b64encode(np.vstack([mean, directions]).astype("<f4").tobytes()).decode())


def usable(cells: pa.Array, dimension: int) -> tuple[np.ndarray, Floats]:
    """The places of the vectors that can be measured, and they themselves, of shape (vectors, dimension)."""
    if not is_vector(cells.type) or not len(cells):
        return np.zeros(0, dtype=np.int64), np.zeros((0, dimension))
    fits = pc.fill_null(pc.equal(pc.list_value_length(cells), dimension), False)
    numbers = cells.filter(fits).flatten().cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).reshape(-1, dimension)
    is_finite = np.isfinite(numbers).all(axis=1)
    return np.flatnonzero(fits.to_numpy(zero_copy_only=False))[is_finite], numbers if is_finite.all() else numbers[is_finite]


def _dimension(cells: pa.Array) -> int:
    """The most frequent one; 0 without any."""
    if not is_vector(cells.type) or not (pa.types.is_floating(cells.type.value_type) or pa.types.is_integer(cells.type.value_type)):
        return 0
    counted = pc.value_counts(pc.list_value_length(cells).drop_null())
    found = zip(counted.field("counts").to_pylist(), counted.field("values").to_pylist(), strict=True)
    return max(found, default=(0, 0))[1]


def _directions(apart: Floats, length: float) -> Floats:
    """Eigenvectors of the largest variance, of the smaller of the two matrices of products."""
    rows, dimension = apart.shape
    is_tall = rows >= dimension
    products = apart.T @ apart if is_tall else apart @ apart.T
    most = min(DIRECTIONS, rows // _VECTORS_A_DIRECTION, dimension)
    values, vectors = eigh(products, subset_by_index=[len(products) - most, len(products) - 1])
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > rows * (_LEAST_SPREAD * length) ** 2
    found = (vectors[:, kept] if is_tall else apart.T @ vectors[:, kept]).T
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    signs = np.sign(np.take_along_axis(found, np.abs(found).argmax(axis=1, keepdims=True), axis=1))
    return np.asarray(found * signs)
