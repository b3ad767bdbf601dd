"""Second moments of a model's numeric features per version and day, computed from the log: Σ [1, z] [1, z]ᵀ as in stats.moments. Does not store them.

z is a column less the mean of frozen rows, divided by their standard deviation, so that the sums of a column of numbers like 1e9 keep its variance; on
a logarithmic scale where its bins are. Two choices keep the sums additive, one matrix for all columns:

- A null, or a number that is not finite, counts as the mean (z = 0), as NannyML imputes it. Counting pairs where both are there would be additive too,
  and double the sums, but give matrices that no rows have, with errors below zero. Empty values have a risk of their own.
- What is further than ten standard deviations from the mean counts as that far: one absurd number must not be the whole error of a day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, tzinfo
from functools import partial
from itertools import combinations_with_replacement, product
from typing import Any, Self
from uuid import UUID

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchkeeper.telemetry.bins import ColumnBins
from watchkeeper.telemetry.columns import CountRows, FetchRows
from watchkeeper.telemetry.days import RowsOf, Run, Wanted, read, rows_of_days, runs_of
from watchkeeper.telemetry.engines import Engine, Reading
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.wire import Stream

Floats = NDArray[np.float64]

FURTHEST = 10.0
FETCH_AT_MOST = 10_000_000  # numbers: 80 MB
BLOCK = 16  # columns: a query sums at most 16 x 16 products
_LEAST_SPREAD = 1e-12  # of the largest number: below that the digits of a double are no variance


@dataclass(frozen=True, kw_only=True)
class MomentColumn:
    """How a column is shifted and scaled. `log_from` is the number below which all are counted as it, on a logarithmic scale; None on their own."""

    name: str
    mean: float
    sd: float
    log_from: float | None = None

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:  # Any: JSON
        return cls(**stored)


@dataclass(frozen=True, kw_only=True, eq=False)
class DayMoments:
    """Moments of the rows of one version on one day, of shape (columns + 1, columns + 1)."""

    version: str
    day: date
    moments: Floats


@dataclass(frozen=True)
class SumProducts:
    """Number of rows, sums and products of the columns of two blocks, by version and day since `first`: `s0`, …, `p0_3`, … by place."""

    columns: tuple[MomentColumn, ...]
    pairs: tuple[tuple[int, int], ...]
    last_only: bool = False

    def __call__(self, log: ir.Table) -> ir.Table:
        rows = rows_of_days(
            log, RowsOf(self.last_only), **{f"z{place}": _scaled(log[column.name], column) for place, column in enumerate(self.columns)}
        )
        sums = {f"s{place}": rows[f"z{place}"].sum() for place in range(len(self.columns))}
        products = {f"p{i}_{j}": (rows[f"z{i}"] * rows[f"z{j}"]).sum() for i, j in self.pairs}
        return rows.group_by("version", "day").agg(n=rows.count(), **sums, **products)


def day_moments(
    engine: Engine,
    log: TelemetryLog,
    model: UUID | str,
    columns: Sequence[MomentColumn],
    days: Collection[date],
    zone: tzinfo,
    *,
    last_only: bool,
    fetch_at_most: int = FETCH_AT_MOST,
) -> list[DayMoments]:
    """Moments of the days that have rows, by version and day. `last_only` counts each id once, as it was last received.

    A day of up to `fetch_at_most` numbers is read and summed here, five times as fast; a larger one by a query for each pair of blocks of columns.
    """
    if not columns:
        return []
    found: list[DayMoments] = []
    wanted = Wanted(stream=Stream.PREDICTIONS, columns={column.name: "float64" for column in columns})
    for run in (run for day in sorted(days) for run in runs_of([day], zone)):
        summed = read(engine, log, model, run, wanted, take=partial(_summed, columns, run, last_only, fetch_at_most)) or {}
        found += [DayMoments(version=version, day=day, moments=moments) for (version, day), moments in sorted(summed.items())]
    return found


def moment_columns(rows: pa.Table, bins: Sequence[ColumnBins], *, most: int) -> tuple[MomentColumn, ...]:
    """Of the first `most` numbers that vary among these rows: their mean and standard deviation, on the scale of their bins."""
    made = (_measured(rows[column.name], column) for column in bins if column.kind == "number" and column.name in rows.column_names)
    return tuple(column for column in made if column is not None)[:most]


def row_moments(rows: pa.Table, columns: Sequence[MomentColumn]) -> Floats:
    """What an engine sums up in the log, of rows at hand. A column that the table lacks is null."""
    extended = np.ones((len(rows), len(columns) + 1))
    for place, column in enumerate(columns, start=1):
        extended[:, place] = _scaled_cells(rows[column.name], column) if column.name in rows.column_names else 0.0
    return np.asarray(extended.T @ extended)


def pack_moments(moments: Floats) -> bytes:
    """The lower triangles of matrices of shape (…, k, k), as compressed little-endian numbers."""
    lower = moments[..., *np.tril_indices(moments.shape[-1])]
    return bytes(pa.compress(np.ascontiguousarray(lower, dtype="<f8").tobytes(), codec="zstd", asbytes=True))


def unpack_moments(blob: bytes, columns: int, *, parts: int = 1) -> Floats:
    """What `pack_moments` was given, of shape (parts, columns + 1, columns + 1)."""
    size, rows, places = columns + 1, *np.tril_indices(columns + 1)
    body = pa.decompress(blob, decompressed_size=8 * parts * rows.size, codec="zstd", asbytes=True)
    lower = np.frombuffer(body, dtype="<f8").reshape(parts, rows.size)
    moments = np.zeros((parts, size, size))
    moments[:, rows, places] = lower
    moments[:, places, rows] = lower
    return moments


def _summed(columns: Sequence[MomentColumn], run: Run, last_only: bool, fetch_at_most: int, rows: Reading) -> dict[tuple[str, date], Floats]:
    total = int(rows.run(CountRows(RowsOf(last_only)))["n"].to_numpy().sum())
    if not total:
        return {}
    if total * len(columns) > fetch_at_most:
        return _summed_there(rows, columns, run, last_only)
    fetched = rows.run(FetchRows(tuple(column.name for column in columns), RowsOf(last_only)))
    places, groups = run.groups(fetched)
    if len(places) == 1:
        return {key[:2]: row_moments(fetched, columns) for key in places}
    return {key[:2]: row_moments(fetched.take(np.flatnonzero(groups == place)), columns) for key, place in places.items()}


def _summed_there(rows: Reading, columns: Sequence[MomentColumn], run: Run, last_only: bool) -> dict[tuple[str, date], Floats]:
    """One query for each pair of blocks: its memory does not grow with the rows, and its text not with all columns."""
    summed: dict[tuple[str, date], Floats] = {}
    for places, pairs in _blocks(len(columns)):
        chosen = tuple(columns[place] for place in places)
        table = rows.run(SumProducts(chosen, pairs, last_only))
        where = np.array(places) + 1
        for row, key in zip(table.to_pylist(), run.keys(table), strict=True):
            moments = summed.setdefault(key, np.zeros((len(columns) + 1, len(columns) + 1)))
            moments[0, 0] = row["n"]
            moments[0, where] = moments[where, 0] = [row[f"s{place}"] for place in range(len(chosen))]
            for i, j in pairs:
                moments[where[i], where[j]] = moments[where[j], where[i]] = row[f"p{i}_{j}"]
    return summed


def _blocks(columns: int) -> Iterator[tuple[list[int], tuple[tuple[int, int], ...]]]:
    """The places of the columns of each query, and the pairs among them whose products it sums: each pair of columns once."""
    blocks = [list(range(start, min(start + BLOCK, columns))) for start in range(0, columns, BLOCK)]
    for one, other in combinations_with_replacement(blocks, 2):
        if one is other:
            yield one, tuple(combinations_with_replacement(range(len(one)), 2))
        else:
            yield one + other, tuple(product(range(len(one)), range(len(one), len(one) + len(other))))


def _measured(cells: pa.ChunkedArray, column: ColumnBins) -> MomentColumn | None:
    if not pa.types.is_floating(cells.type) and not pa.types.is_integer(cells.type):
        return None
    log_from = column.low if column.is_log else None
    numbers = _on_scale(_doubles(cells), log_from)
    finite = numbers[np.isfinite(numbers)]
    if finite.size < 2:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        mean, sd = float(finite.mean()), float(finite.std())
    return MomentColumn(name=column.name, mean=mean, sd=sd, log_from=log_from) if _LEAST_SPREAD * np.abs(finite).max() < sd < np.inf else None


def _scaled_cells(cells: pa.ChunkedArray, column: MomentColumn) -> Floats:
    numbers = _on_scale(_doubles(cells), column.log_from)
    with np.errstate(over="ignore", invalid="ignore"):
        z = np.clip((numbers - column.mean) / column.sd, -FURTHEST, FURTHEST)
    return np.asarray(np.where(np.isfinite(numbers), z, 0.0))


def _on_scale(numbers: Floats, log_from: float | None) -> Floats:
    """Numbers, or their logarithms; what is not finite is NaN."""
    finite = np.where(np.isfinite(numbers), numbers, np.nan)
    return finite if log_from is None else np.asarray(np.log(np.maximum(finite, log_from)))


def _doubles(cells: pa.ChunkedArray) -> Floats:
    return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _scaled(x: ir.Value, column: MomentColumn) -> ir.Value:
    number = x if column.log_from is None else ibis.greatest(x, column.log_from).ln()
    z = (number - column.mean) / column.sd
    near = ibis.greatest(ibis.least(z, FURTHEST), -FURTHEST)
    return ibis.cases((x.isnull() | x.isnan() | x.isinf(), 0.0), else_=near)
