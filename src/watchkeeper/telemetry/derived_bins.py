"""Which derived columns a model has, and their bins: told by its reference rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from watchkeeper.telemetry.bins import FINE, MOST_COLUMNS, MOST_LEVELS, ColumnBins, ColumnCounts, Layout, count_rows, number_bins
from watchkeeper.telemetry.cells import Floats, as_numbers, as_text, column_of, is_category, is_number
from watchkeeper.telemetry.derived import PREFIX, Confidence, UnusualValues, VectorMeasure
from watchkeeper.telemetry.kinds import quantile_of
from watchkeeper.telemetry.vectors import COSINE, OUTSIDE, frame_of, is_vector

Bools = NDArray[np.bool_]

CONFIDENCE = f"{PREFIX}confidence"
UNUSUAL = f"{PREFIX}unusual_values"
TAIL = 0.0005  # of a number's rows at either end, of a category's twice as many: unusual in at most a thousandth of the reference's rows each
MOST_VECTORS = 10  # columns
PARTS = 5  # the reference rows are dealt to: what is unusual in each is told by the others

_LEAST_PROBABLE = 0.99  # of the scores lie within [0, 1] when they are probabilities
_OF_INTERVALS = {"score.naive", "score.low", "score.high"}
_SUM_TO_ONE = 0.01
_LEAST_SPAN = 1e-3  # of the bins of a vector's measure, of its unit


def derived_bins(table: pa.Table) -> Iterator[ColumnBins]:
    """Bins of the derived columns that these rows allow; columns as in the log."""
    scores = probabilities(table)
    if scores:
        lowest = 0.5 if len(scores) == 1 else 0.0
        yield ColumnBins(name=CONFIDENCE, kind="number", low=lowest, minimum=lowest, derived=Confidence(scores))
    yield from unusual_bins(table, [name for name in table.column_names if name.startswith("f.")])
    yield from vector_bins(table)


def unusual_bins(table: pa.Table, names: Collection[str]) -> Iterator[ColumnBins]:
    """Of how many values of a row are unusual, if any of these columns can have one."""
    unusual = _unusual_values(table, names)
    if unusual.reads:
        yield ColumnBins(name=UNUSUAL, kind="number", high=float(FINE), maximum=float(FINE), is_whole=True, derived=unusual)


def count_reference(layout: Layout, rows: pa.Table) -> ColumnCounts:
    """What `count_rows` counts, of rows that the bins were made of: rows never lie outside a span that they made, nor far from directions laid
    through them. So values are unusual by what other rows show, and vectors count that the frame was not made of."""
    counted = count_rows(layout, rows)
    unseen = count_rows(layout, rows.filter(pa.array(~_framed(len(rows)))))
    for index, column in enumerate(layout.columns):
        if isinstance(column.derived, VectorMeasure):
            counted.counts[layout.slices[column.name]] = unseen.counts[layout.slices[column.name]]
            counted.sums[index] = unseen.sums[index]
        if isinstance(column.derived, UnusualValues):
            dealt = np.random.default_rng(0).permutation(len(rows)) % PARTS
            parts = [_by_others(column, column.derived.reads, rows, dealt == part) for part in range(PARTS)]
            counted.counts[layout.slices[column.name]] = sum(part.counts for part in parts)
            counted.sums[index] = sum(part.sums[0] for part in parts)
    return counted


def _by_others(column: ColumnBins, names: Collection[str], rows: pa.Table, chosen: Bools) -> ColumnCounts:
    others = _unusual_values(rows.filter(pa.array(~chosen)), names)
    return count_rows(Layout((replace(column, derived=others),)), rows.filter(pa.array(chosen)))


def _unusual_values(table: pa.Table, names: Collection[str]) -> UnusualValues:
    """Of the numbers and categories among these columns. Times go on by themselves; of a category with too many levels no level is unusual."""
    spans: list[tuple[str, float, float]] = []
    levels: list[tuple[str, tuple[str, ...]]] = []
    for name in [*names][:MOST_COLUMNS]:
        cells = column_of(table, name)
        if is_number(cells.type) and (finite := as_numbers(cells))[np.isfinite(finite)].size:
            low, high = np.quantile(finite[np.isfinite(finite)], (TAIL, 1 - TAIL), method="inverted_cdf")
            spans.append((name, float(low), float(high)))
        elif is_category(cells.type) and (usual := _usual_levels(cells)):
            levels.append((name, usual))
    return UnusualValues(tuple(spans), tuple(levels))


def vector_bins(table: pa.Table) -> Iterator[ColumnBins]:
    """Of each vector column: a frame of half its rows, and bins of its measures of the others."""
    is_framed = pa.array(_framed(len(table)))
    for name in [field.name for field in table.schema if is_vector(field.type)][:MOST_VECTORS]:
        cells = column_of(table, name)
        frame = frame_of(cells.filter(is_framed))
        if frame is None:
            continue
        measured = frame.measured(cells.filter(pc.invert(is_framed)))
        for measure, numbers in zip(frame.measures, measured.T, strict=True):
            bins = _not_narrow(number_bins(f"{PREFIX}{name}.{measure}", numbers), _LEAST_SPAN * _unit(measure, measured))
            yield replace(bins, derived=VectorMeasure(name, measure, frame))


def _framed(rows: int) -> Bools:
    """Half of the rows, by chance and the same each time: a frame is made of them."""
    return np.asarray(np.random.default_rng(0).permutation(rows) % 2 == 0)


def _unit(measure: str, measured: Floats) -> float:
    """What a measure is compared with: cosines and shares with 1, all else with the usual length."""
    lengths = measured[:, 0][np.isfinite(measured[:, 0])]
    return 1.0 if measure in (COSINE, OUTSIDE) or not lengths.size else float(np.median(lengths))


def _not_narrow(bins: ColumnBins, least: float) -> ColumnBins:
    """Bins at least so wide together, a single value in the middle of one: of unit vectors the length differs by rounding alone."""
    if bins.high - bins.low >= least:
        return bins
    low = (bins.low + bins.high - least) / 2 - least / (2 * FINE)
    return replace(bins, low=low, high=low + least, is_log=False)


def _usual_levels(cells: pa.Array) -> tuple[str, ...]:
    """All but the rarest, which together hold at most a thousandth of the rows; none where there are too many."""
    counted = pc.value_counts(as_text(cells).drop_null())
    found = sorted(zip(counted.field("counts").to_pylist(), counted.field("values").to_pylist(), strict=True))
    if len(found) > MOST_LEVELS:
        return ()
    below = np.cumsum([count for count, _ in found])
    rare = int((below <= 2 * TAIL * below[-1]).sum()) if found else 0
    return tuple(sorted(level for _, level in found[rare:]))


def probabilities(table: pa.Table) -> tuple[str, ...]:
    """The score of a binary model or those of several classes; empty where scores are something else, as the bounds of an interval and quantiles are."""
    if "score" in table.column_names:
        return ("score",) if _are_probable(as_numbers(column_of(table, "score"))) else ()
    names = tuple(name for name in table.column_names if name.startswith("score."))
    if len(names) < 2:
        return ()
    given = np.stack([as_numbers(column_of(table, name)) for name in names])
    is_interval = (
        all(name in _OF_INTERVALS or quantile_of(name) for name in names) and not abs(np.nanmedian(np.nansum(given, axis=0)) - 1) < _SUM_TO_ONE
    )
    return names if _are_probable(given) and not is_interval else ()


def _are_probable(given: Floats) -> bool:
    known = given[~np.isnan(given)]
    return bool(known.size) and float(((known >= 0) & (known <= 1)).mean()) >= _LEAST_PROBABLE
