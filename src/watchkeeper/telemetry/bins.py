"""Frozen bins of a model's columns, made from reference rows, and the counts that fill them. Bins never change: other bins get another number.

A number has places below its reference's minimum, up to the bins, 256 equal bins, from the bins to the maximum, above it, infinite, null. The bins
span all but the outer thousandth of the reference on each side, on a logarithmic scale when they reach over three powers of ten and most rows lie
at the small end; a score's never are.
A category has a place for each level of the reference, for the rarer ones together, for unseen levels, null.
Columns of which only presence can be counted (vectors, texts that hardly repeat) have two places: filled and null.
A derived column is a number that is reckoned from a row (telemetry.derived).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from math import log, sqrt
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from watchkeeper.telemetry.cells import Floats, as_numbers, as_text, column_of, is_category, is_number
from watchkeeper.telemetry.derived import Derived, VectorMeasure, derived_from_json

Ints = NDArray[np.int64]

FINE = 256
UNDER_MINIMUM, UNDER_BINS, FIRST, OVER_BINS, OVER_MAXIMUM, INFINITE, NULL = 0, 1, 2, FINE + 2, FINE + 3, FINE + 4, FINE + 5
NUMBER_PLACES = FINE + 6
MOST_LEVELS = 1000
MOST_COLUMNS = 500
OUTER = 0.001
LOG_FROM = 1000.0
LEAST_SPAN = 1e-300  # of numbers nearer to each other no 256th part can be told
MOST_HALF, LARGEST = 1e307, 1.79e308
MOST_IN_4_BYTES = 2**31
AT_ONCE = 125_000  # rows; DuckDB gives 122,880 in one piece
_LZ4 = pa.Codec("lz4_raw")  # with the bytes shuffled, smaller than what zstd makes of whole numbers and unpacked in half the time


@dataclass(frozen=True, kw_only=True)
class ColumnBins:
    """The places of one column. `low` and `high` bound the bins, `minimum` and `maximum` the reference; `levels` are sorted, most frequent first.

    `is_whole` tells that every number of the reference was whole; `has_rest` that it had more levels than have a place.
    """

    name: str
    kind: Literal["number", "category", "presence"]
    low: float = 0.0
    high: float = 1.0
    minimum: float = 0.0
    maximum: float = 1.0
    is_log: bool = False
    is_whole: bool = False
    levels: tuple[str, ...] = ()
    has_rest: bool = False
    derived: Derived | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of the log that it is counted from."""
        return self.derived.reads if self.derived else (self.name,)

    @property
    def places(self) -> int:
        return {"number": NUMBER_PLACES, "category": len(self.levels) + 3, "presence": 2}[self.kind]

    @property
    def null_place(self) -> int:
        return self.places - 1

    @property
    def edges(self) -> Floats:
        """The 257 edges of the bins, in the column's own unit."""
        steps = np.linspace(*self.span, FINE + 1)
        return np.asarray(np.exp(steps) if self.is_log else steps)

    @property
    def span(self) -> tuple[float, float]:
        """`low` and `high` on the scale of the bins."""
        return (log(self.low), log(self.high)) if self.is_log else (self.low, self.high)

    def place_of(self, levels: pa.Array | pa.ChunkedArray) -> Ints:
        """The places of categories. A level without one is unseen, unless the reference had more than have a place."""
        unknown = len(self.levels) + (0 if self.has_rest else 1)
        known = pc.fill_null(pc.index_in(levels, value_set=self._values), unknown)
        return np.asarray(pc.if_else(pc.is_null(levels), self.null_place, known).to_numpy(), dtype=np.int64)

    @cached_property
    def _values(self) -> pa.Array:
        return pa.array(self.levels, pa.string())

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return asdict(self) | {"levels": list(self.levels), "derived": self.derived.as_json() if self.derived else None}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:  # Any: JSON
        derived = stored.get("derived")
        return cls(**{**stored, "levels": tuple(stored["levels"]), "derived": derived_from_json(derived) if derived else None})


@dataclass(frozen=True, eq=False)
class Layout:
    """All columns of a set of bins one after the other in one row of counts."""

    columns: tuple[ColumnBins, ...]

    @cached_property
    def slices(self) -> Mapping[str, slice]:
        ends = np.cumsum([0, *(column.places for column in self.columns)])
        return {column.name: slice(int(ends[i]), int(ends[i + 1])) for i, column in enumerate(self.columns)}

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place of each column among all."""
        return {column.name: place for place, column in enumerate(self.columns)}

    @cached_property
    def width(self) -> int:
        return sum(column.places for column in self.columns)

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The columns of the log that it is counted from."""
        return tuple(dict.fromkeys(name for column in self.columns for name in column.reads))

    def as_json(self) -> list[dict[str, Any]]:  # Any: JSON
        """The columns; of a vector only the first measure keeps the frame, which the others share."""
        stored = [column.as_json() for column in self.columns]
        seen: set[str] = set()
        for column, entry in zip(self.columns, stored, strict=True):
            if isinstance(column.derived, VectorMeasure):
                if column.derived.column in seen:
                    entry["derived"]["frame"] = None
                seen.add(column.derived.column)
        return stored

    @classmethod
    def from_json(cls, stored: Iterable[Mapping[str, Any]]) -> Self:  # Any: JSON
        frames: dict[str, Any] = {}
        columns = []
        for entry in stored:
            derived = entry.get("derived")
            if derived and derived["kind"] == VectorMeasure.kind:
                entry = {**entry, "derived": {**derived, "frame": frames.setdefault(derived["column"], derived["frame"])}}
            columns.append(ColumnBins.from_json(entry))
        return cls(tuple(columns))


@dataclass(frozen=True, eq=False)
class ColumnCounts:
    """Counts of some rows in a layout: `counts` of shape (width,), `sums` of shape (columns, 2) with Σx and Σx² of finite numbers. Additive."""

    rows: int
    counts: Ints
    sums: Floats

    @classmethod
    def empty(cls, layout: Layout) -> Self:
        return cls(0, np.zeros(layout.width, dtype=np.int64), np.zeros((len(layout.columns), 2)))

    def __add__(self, other: ColumnCounts) -> ColumnCounts:
        return ColumnCounts(self.rows + other.rows, self.counts + other.counts, self.sums + other.sums)


def make_bins(table: pa.Table) -> Layout:
    """Bins from reference rows; columns as in the log. At most 500 columns: what comes after is left out."""
    made = [_bins_of(name, table[name].combine_chunks()) for name in table.column_names]
    return Layout(tuple(made[:MOST_COLUMNS]))


def count_rows(layout: Layout, table: pa.Table) -> ColumnCounts:
    """What an engine counts in the log, of rows at hand. A column that the table lacks is null."""
    places = np.zeros(len(table), dtype=np.int64)
    (counted,) = count_groups(layout, table, places, 1)
    return counted


def count_groups(layout: Layout, table: pa.Table, groups: Ints, count: int) -> list[ColumnCounts]:
    """The same for each of `count` groups; `groups` says of each row which. Counted piece by piece: what a processor's cache holds is counted faster."""
    if len(table) > AT_ONCE:
        batches = table.to_batches(max_chunksize=AT_ONCE)
        starts = accumulate((batch.num_rows for batch in batches[:-1]), initial=0)
        parts = [
            count_groups(layout, pa.Table.from_batches([batch]), groups[start : start + batch.num_rows], count)
            for start, batch in zip(starts, batches, strict=True)
        ]
        return [sum(of_group[1:], start=of_group[0]) for of_group in zip(*parts, strict=True)]
    counts = np.zeros((count, layout.width), dtype=np.int64)
    sums = np.zeros((count, len(layout.columns), 2))
    measured: dict[str, Floats] = {}
    for index, column in enumerate(layout.columns):
        places, numbers = _placed(column, _derived(column.derived, table, measured)) if column.derived else row_places(column, table)
        flat = np.bincount(places if count == 1 else groups * column.places + places, minlength=count * column.places)
        counts[:, layout.slices[column.name]] = flat.reshape(count, column.places)
        if column.kind == "number":
            sums[:, index] = _sums(numbers, groups, count)
    rows = np.bincount(groups, minlength=count)
    return [ColumnCounts(int(rows[group]), counts[group], sums[group]) for group in range(count)]


def _sums(numbers: Floats, groups: Ints, count: int) -> Floats:
    """Σx and Σx² of each group. Squares of numbers beyond 1e154 are infinite, and sums of such numbers may be none: their spread is not told."""
    with np.errstate(over="ignore", invalid="ignore"):
        if count == 1:
            return np.array([[numbers.sum(), numbers @ numbers]])
        return np.stack([np.bincount(groups, weights=weights, minlength=count) for weights in (numbers, numbers * numbers)], axis=-1)


def pack(counts: ColumnCounts) -> bytes:
    """Counts as little-endian numbers, byte by byte of all, compressed; the layout is needed to read them."""
    numbers = counts.counts.astype(_stored_as(counts.rows))
    shuffled = np.ascontiguousarray(numbers.view(np.uint8).reshape(-1, numbers.itemsize).T).tobytes()
    return bytes(_LZ4.compress(shuffled + counts.sums.astype("<f8").tobytes(), asbytes=True))


def unpack(layout: Layout, rows: int, blob: bytes) -> ColumnCounts:
    """What `pack` was given."""
    counts, sums = unpack_all(layout, [(rows, blob)])
    return ColumnCounts(rows, counts[0], sums[0])


def unpack_all(layout: Layout, packed: Sequence[tuple[int, bytes]]) -> tuple[Ints, Floats]:
    """Counts of shape (packed, width) and sums of shape (packed, columns, 2) of rows and what `pack` made of them."""
    counts = np.zeros((len(packed), layout.width), dtype="<i8")
    sums = np.empty((len(packed), len(layout.columns), 2))
    places = counts.view(np.uint8).reshape(*counts.shape, counts.itemsize)
    for index, (rows, blob) in enumerate(packed):
        size = _stored_as(rows).itemsize
        body = _LZ4.decompress(blob, decompressed_size=size * layout.width + sums[index].nbytes, asbytes=True)
        shuffled = np.frombuffer(body, dtype=np.uint8, count=size * layout.width).reshape(size, -1)
        for place, of_all in enumerate(shuffled):
            places[index, :, place] = of_all
        sums[index] = np.frombuffer(body, dtype="<f8", offset=size * layout.width).reshape(-1, 2)
    return counts, sums


def _stored_as(rows: int) -> np.dtype[np.signedinteger[Any]]:  # Any: of 32 or 64 bits
    """No count is larger than the rows."""
    return np.dtype("<i4" if rows < MOST_IN_4_BYTES else "<i8")


def _bins_of(name: str, cells: pa.Array) -> ColumnBins:
    if pa.types.is_timestamp(cells.type) or is_number(cells.type):
        return number_bins(name, as_numbers(cells))
    if is_category(cells.type):
        return _category_bins(name, cells)
    return ColumnBins(name=name, kind="presence")


def number_bins(name: str, numbers: Floats) -> ColumnBins:
    """Bins of numbers, of which NaN is none."""
    finite = numbers[np.isfinite(numbers)]
    if finite.size == 0:
        return ColumnBins(name=name, kind="number")
    minimum, maximum = float(finite.min()), float(finite.max())
    low, high = (float(edge) for edge in np.quantile(finite, (OUTER, 1 - OUTER), method="inverted_cdf"))
    if low == high:
        low, high = minimum, maximum
    if not LEAST_SPAN < high - low < np.inf:
        half = min(abs(low) / 2 if abs(low) > LEAST_SPAN else 0.5, MOST_HALF)
        low, high = max(low - half, -LARGEST), min(low + half, LARGEST)
    return ColumnBins(
        name=name,
        kind="number",
        low=low,
        high=high,
        minimum=minimum,
        maximum=maximum,
        is_log=not _is_score(name) and low > 0 and high / low > LOG_FROM and _leans_low(float(np.median(finite)), low, high),
        is_whole=bool((finite == np.floor(finite)).all()),
    )


def _is_score(name: str) -> bool:
    return name == "score" or name.startswith("score.")


def _leans_low(median: float, low: float, high: float) -> bool:
    """Whether the median is nearer, as a ratio, to the geometric middle than to the arithmetic one: of uniform numbers `low` alone may be tiny."""
    return median / (sqrt(low) * sqrt(high)) < (low / 2 + high / 2) / median


def _category_bins(name: str, cells: pa.Array) -> ColumnBins:
    counted = pc.value_counts(as_text(cells).drop_null())
    found = sorted(
        zip(counted.field("counts").to_pylist(), counted.field("values").to_pylist(), strict=True), key=lambda entry: (-entry[0], entry[1])
    )
    if len(found) > MOST_LEVELS and len(found) > len(cells) / 2:
        return ColumnBins(name=name, kind="presence")
    return ColumnBins(name=name, kind="category", levels=tuple(level for _, level in found[:MOST_LEVELS]), has_rest=len(found) > MOST_LEVELS)


def row_places(column: ColumnBins, table: pa.Table) -> tuple[Ints, Floats]:
    """The place of each row of a column of the log, and its number where that is finite, else 0."""
    cells = column_of(table, column.name)
    if column.kind == "presence":
        return np.asarray(pc.is_null(cells).to_numpy(zero_copy_only=False), dtype=np.int64), np.zeros(0)
    if column.kind == "category":
        return column.place_of(as_text(cells)), np.zeros(0)
    return _placed(column, as_numbers(cells))


def _derived(derived: Derived, table: pa.Table, measured: dict[str, Floats]) -> Floats:
    """The number of each row. `measured` keeps what was measured of vectors for the next column."""
    if not isinstance(derived, VectorMeasure):
        return derived.numbers(table)
    if derived.column not in measured:
        measured[derived.column] = derived.frame.measured(column_of(table, derived.column))
    return derived.chosen(measured[derived.column])


def _placed(column: ColumnBins, numbers: Floats) -> tuple[Ints, Floats]:
    """Nearly all lie in the bins: what does not is looked at by itself."""
    low, high = column.span
    outside = np.flatnonzero(~((numbers >= column.low) & (numbers <= column.high)))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # outside the bins anything may come out
        bins = np.log(numbers) - low if column.is_log else numbers - low
        bins *= FINE / (high - low)
    bins[outside] = 0
    places = bins.astype(np.int64)
    np.clip(places, 0, FINE - 1, out=places)
    places += FIRST
    if outside.size:
        outer = numbers[outside]
        places[outside] = _outer_places(column, outer)
        if not (is_finite := np.isfinite(outer)).all():
            numbers = numbers.copy()
            numbers[outside[~is_finite]] = 0
    return places, numbers


def _outer_places(column: ColumnBins, numbers: Floats) -> Ints:
    return np.select(
        [np.isnan(numbers), np.isinf(numbers), numbers < column.minimum, numbers < column.low, numbers > column.maximum],
        [NULL, INFINITE, UNDER_MINIMUM, UNDER_BINS, OVER_MAXIMUM],
        OVER_BINS,
    ).astype(np.int64)
