"""Relations of features with the outcome: additive sums of label, prediction and residual per version, day, feature and place of its frozen bins.

Computed from the log joined with its labels; not stored here. The label and the prediction are numbers: 0 or 1 and the score (the decision as 0 or 1
where no score is logged) of a binary model, the logged ones of a regression. The residual is label - prediction: above zero the model said too little.
Of a regression the errors are summed by the places of the prediction itself, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from typing import Any
from uuid import UUID

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from watchkeeper.telemetry.bins import ColumnBins, Layout, row_places
from watchkeeper.telemetry.columns import CountRows
from watchkeeper.telemetry.days import RowsOf, Run, Wanted, ask, ibis_kind, logged_kind, runs_of
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OfRows, OutcomeKind, is_positive, joined
from watchkeeper.telemetry.outcomes import label_wanted
from watchkeeper.wire import Stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Key = tuple[str, date]  # version, day

SUMS = (
    "rows",  # all
    "n_predicted", "predicted",  # those with a prediction, and its sum
    "n",  # those with a label and a prediction, over which all that follow are summed
    "x", "x_2", "y", "y_2", "prediction", "residual", "residual_2", "residual_4",
)  # fmt: skip
ERRORS = ("n_predicted", "n", "absolute", "residual_2")  # by place of the prediction: as above, and the absolute residuals
KINDS = frozenset({OutcomeKind.DECISIONS, OutcomeKind.NUMBERS})  # classes are no numbers
MOST_COLUMNS = 100
MOST_LEVELS = 50
FETCH_AT_MOST = 10_000_000  # values: 80 MB
KEPT_BITS = 29
_TOO_LARGE = 1e70  # beyond it the fourth power of a residual is infinite: as good as none
_PLACE_OF_BATCH = 2**31


@dataclass(frozen=True, kw_only=True, eq=False)
class DayRelations:
    """What was summed of one version on one day: of shape (len(SUMS), layout.width), the columns of the layout one after the other.

    `errors` has shape (len(ERRORS), places of the prediction); no place where they were not asked for.
    """

    version: str
    day: date
    sums: Floats
    errors: Floats

    def __add__(self, other: DayRelations) -> DayRelations:
        return replace(self, sums=self.sums + other.sums, errors=self.errors + other.errors)


@dataclass(frozen=True)
class FetchLabelled:
    """Rows of [first, end) with version, day, what was said, label `y` and the features. `place` tells rows apart; an id with two labels has two rows.

    Of the rows only every `parts`-th, beginning with `part`.
    """

    names: tuple[str, ...]
    kind: OutcomeKind
    by_score: bool
    of: OfRows
    part: int = 0
    parts: int = 1

    def __call__(self, log: ir.Table, labels: ir.Table) -> ir.Table:
        said, batch = log.score if self.by_score else log.prediction, log.batch.cast("int64")
        wanted = {name: log[name] for name in self.names}
        rows = joined(log, labels, self.of, said=said, place=batch * _PLACE_OF_BATCH + log.row, part=(batch + log.row) % self.parts, **wanted)
        rows = rows.filter(rows.part == self.part)
        y, said = rows.label, rows.said
        if self.kind is OutcomeKind.DECISIONS:
            y, said = is_positive(y), said if self.by_score else is_positive(said)
        return rows.select("version", "day", "place", *self.names, said=said.cast("float64"), y=y.cast("float64"))


def relation_layout(layout: Layout) -> Layout:
    """The places that are summed: of the first hundred features, of categories the fifty most frequent levels and the rarer ones together."""
    features = [column for column in layout.columns if column.name.startswith("f.")]
    return Layout(tuple(_fewer_levels(column) for column in features[:MOST_COLUMNS]))


def prediction_bins(layout: Layout) -> ColumnBins | None:
    """Those of a prediction that is a number."""
    return next((column for column in layout.columns if column.name == "prediction" and column.kind == "number"), None)


def day_relations(
    engine: Engine,
    log: TelemetryLog,
    model: UUID | str,
    layout: Layout,
    kind: OutcomeKind,
    days: Collection[date],
    zone: tzinfo,
    *,
    label_days: int,
    last_only: bool,
    said: ColumnBins | None = None,
    fetch_at_most: int = FETCH_AT_MOST,
) -> list[DayRelations]:
    """Sums of the days that have rows, by version and day. `last_only` counts each id once, as it was last received; `said` asks for errors.

    The engine joins; the rows are read and summed here, as many days together as have `fetch_at_most` values, a larger day in parts.
    """
    most = max(1, fetch_at_most // (len(layout.columns) + 5))
    fetch = _Fetch(engine, log, model, layout, kind, label_days, OfRows(last_only=last_only), said)
    return [found for whole in runs_of(days, zone) for run, rows in fetch.shares(whole, most, zone) for found in fetch.sums(run, rows, most)]


def sum_rows(layout: Layout, table: pa.Table, groups: Ints, count: int) -> Floats:
    """Sums of rows at hand with columns `said` and `y`, of shape (count, len(SUMS), layout.width); `groups` says of each row which."""
    said, y = _usual(table["said"]), _usual(table["y"])
    is_said, known = np.isfinite(said), np.flatnonzero(np.isfinite(said) & np.isfinite(y))
    residual = y[known] - said[known]
    summed: dict[str, Floats] = {"y": y[known], "y_2": y[known] ** 2, "prediction": said[known]}
    summed |= {"residual": residual, "residual_2": residual**2, "residual_4": residual**4}
    sums = np.zeros((count, len(SUMS), layout.width))
    for column in layout.columns:
        places, numbers = row_places(column, table)
        x = numbers[known] if column.kind == "number" else np.zeros(known.size)
        with np.errstate(over="ignore"):  # as in the counts of columns
            summed |= {"x": x, "x_2": x**2}
        at = groups * column.places + places
        found = _sums(at, {"rows": None}, size := count * column.places)
        found |= _sums(at[is_said], {"n_predicted": None, "predicted": said[is_said]}, size)
        found |= _sums(at[known], {"n": None, **summed}, size)
        for place, name in enumerate(SUMS):
            sums[:, place, layout.slices[column.name]] = found[name].reshape(count, column.places)
    return sums


def sum_errors(column: ColumnBins, table: pa.Table, groups: Ints, count: int) -> Floats:
    """Errors of rows at hand by the place of what was said, of shape (count, len(ERRORS), column.places)."""
    said, y = _usual(table["said"]), _usual(table["y"])
    places, _ = row_places(replace(column, name="said"), table)
    at, size = groups * column.places + places, count * column.places
    known = np.isfinite(said) & np.isfinite(y)
    residual = y[known] - said[known]
    found = _sums(at[np.isfinite(said)], {"n_predicted": None}, size)
    found |= _sums(at[known], {"n": None, "absolute": np.abs(residual), "residual_2": residual**2}, size)
    return np.stack([found[name].reshape(count, column.places) for name in ERRORS], axis=1).astype(np.float64)


def pack_relations(sums: Floats) -> bytes:
    """Sums to 29 binary digits (a relative error of 1e-9; counts up to 500 million are exact), byte by byte of all: zstd halves that."""
    mantissa, exponent = np.frexp(sums)
    kept = np.ldexp(np.round(np.ldexp(mantissa, KEPT_BITS)), exponent - KEPT_BITS)
    numbers = np.ascontiguousarray(kept, dtype="<f8").view(np.uint8).reshape(-1, 8)
    return bytes(pa.compress(np.ascontiguousarray(numbers.T).tobytes(), codec="zstd", asbytes=True))


def unpack_relations(layout: Layout, blob: bytes, *, only: str = "") -> Floats:
    """What `pack_relations` kept, of all columns or of one; the layout is needed to read it."""
    return _unpacked(blob, len(SUMS), layout.width, only=layout.slices[only] if only else slice(None))


def unpack_errors(column: ColumnBins, blob: bytes) -> Floats:
    return _unpacked(blob, len(ERRORS), column.places)


@dataclass(frozen=True)
class _Fetch:
    """How the rows of a model are asked for and summed."""

    engine: Engine
    log: TelemetryLog
    model: UUID | str
    layout: Layout
    kind: OutcomeKind
    label_days: int
    of: OfRows
    said: ColumnBins | None

    def shares(self, run: Run, most: int, zone: tzinfo) -> Iterator[tuple[Run, int]]:
        """The days of a run that are read together, with their rows; a day that has more than `most` stays by itself."""
        counted = ask(self.engine, self.log, self.model, CountRows(RowsOf(self.of.last_only)), run, Wanted(stream=Stream.PREDICTIONS, columns={}))
        rows = dict.fromkeys(run.days, 0)
        for (_, day), n in zip(run.keys(counted), counted["n"].to_pylist(), strict=True) if counted is not None else ():
            rows[day] += n
        share: list[date] = []
        for day in run.days:
            if share and sum(rows[each] for each in share) + rows[day] > most:
                yield from ((part, sum(rows[each] for each in share)) for part in runs_of(share, zone))
                share = []
            share.append(day)
        yield from ((part, sum(rows[each] for each in share)) for part in runs_of(share, zone))

    def sums(self, run: Run, rows: int, most: int) -> Iterator[DayRelations]:
        found: dict[Key, DayRelations] = {}
        parts = -(-rows // most)
        for part in range(parts):
            for entry in self._of_part(run, part, parts):
                key = entry.version, entry.day
                found[key] = found[key] + entry if key in found else entry
        yield from (found[key] for key in sorted(found))

    def _of_part(self, run: Run, part: int, parts: int) -> Iterator[DayRelations]:
        """An id that comes twice has several labels: the rows are asked for again by the last."""
        table = self._rows(run, self.of, part, parts)
        if pc.count_distinct(table["place"]).as_py() < table.num_rows:
            table = self._rows(run, replace(self.of, last_label_only=True), part, parts)
        versions = table["version"].combine_chunks().dictionary_encode()
        days = table["day"].to_numpy().astype(np.int64)
        keys, found = np.unique(versions.indices.to_numpy() * (days.max(initial=0) + 1) + days, return_inverse=True)
        names, groups = versions.dictionary.to_pylist(), found.ravel()
        summed = sum_rows(self.layout, table, groups, len(keys))
        errors = sum_errors(self.said, table, groups, len(keys)) if self.said else np.zeros((len(keys), len(ERRORS), 0))
        for key, of_key, errors_of_key in zip(keys.tolist(), summed, errors, strict=True):
            version, day = divmod(key, int(days.max(initial=0)) + 1)
            yield DayRelations(version=names[version], day=run.day(day), sums=of_key, errors=errors_of_key)

    def _rows(self, run: Run, of: OfRows, part: int, parts: int) -> pa.Table:
        predictions, labels = (self.log.schema(self.model, stream) for stream in (Stream.PREDICTIONS, Stream.LABELS))
        kinds = {name: ibis_kind(predictions.field(name).type) for name in self.layout.slices if name in predictions.names}
        query = FetchLabelled(tuple(kinds), self.kind, "score" in predictions.names and self.kind is OutcomeKind.DECISIONS, of, part, parts)
        said = {"score": "float64", "prediction": logged_kind(predictions, "prediction")}
        wanted = Wanted(stream=Stream.PREDICTIONS, columns=said | kinds)
        table = ask(self.engine, self.log, self.model, query, run, wanted, label_wanted(labels, self.label_days))
        assert table is not None, "days are read that have rows"
        return table


def _sums(at: Ints, weights: Mapping[str, Floats | None], size: int) -> dict[str, NDArray[Any]]:  # Any: whole numbers where nothing is weighed
    return {name: np.bincount(at, weights=of_rows, minlength=size) for name, of_rows in weights.items()}


def _unpacked(blob: bytes, rows: int, width: int, *, only: slice = slice(None)) -> Floats:
    body = pa.decompress(blob, decompressed_size=8 * rows * width, codec="zstd", asbytes=True)
    numbers = np.frombuffer(body, dtype=np.uint8).reshape(8, rows, width)[..., only]
    return np.ascontiguousarray(np.moveaxis(numbers, 0, -1)).view("<f8")[..., 0]


def _fewer_levels(column: ColumnBins) -> ColumnBins:
    if len(column.levels) <= MOST_LEVELS:
        return column
    return replace(column, levels=column.levels[:MOST_LEVELS], has_rest=True)


def _usual(numbers: pa.ChunkedArray) -> Floats:
    """Numbers; NaN for what is null, infinite or absurd."""
    given = np.asarray(numbers.to_numpy(), dtype=np.float64)
    return np.where(np.abs(given) < _TOO_LARGE, given, np.nan)
