"""How much each feature matters to a model, learned from what the model says of rows. What matters only together with others is not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.analysis.columns import ColumnDays, Floats, Ints
from watchkeeper.stats.importance import epsilon_squared, scaled
from watchkeeper.telemetry.bins import ColumnBins, Layout, row_places
from watchkeeper.telemetry.cells import as_numbers, as_text, column_of, is_category, is_number
from watchkeeper.telemetry.derived_bins import probabilities

LEAST_ROWS = 1000
LEAST_SHARE = 0.02  # of the spread must go with one feature at least: below, all of it may be chance
MOST_CLASSES = 10


def learned_importances(layout: Layout, rows: pa.Table) -> dict[str, float]:
    """Of each feature: how much of the spread of what the model says goes with it alone, in the bins that drift is told by; the largest is 1.

    `rows` are rows of the log. A feature that is constant in them, or no number or category, is left out: nothing is known of it. Empty when
    too few rows have a number that the model said, or none of it goes with any feature.
    """
    targets = [target for target in _targets(rows) if np.isfinite(target).sum() >= LEAST_ROWS]
    if not targets:
        return {}
    groups = {column.name: _groups(column, rows) for column in layout.columns if _is_told(column, rows)}
    shares = {name: float(np.fmax.reduce([epsilon_squared(of_rows, target) for target in targets])) for name, of_rows in groups.items()}
    known = {name: share for name, share in shares.items() if np.isfinite(share)}
    return scaled(known) if max(known.values(), default=0.0) >= LEAST_SHARE else {}


def _targets(rows: pa.Table) -> Sequence[Floats]:
    """What the model says of each row, as numbers: the score, else those of the first classes, else a prediction that is a number or one of two words."""
    if "score" in rows.column_names:
        return [as_numbers(column_of(rows, "score"))]
    if classes := probabilities(rows):
        return [as_numbers(column_of(rows, name)) for name in classes[:MOST_CLASSES]]
    said = column_of(rows, "prediction")
    if is_number(said.type):
        return [as_numbers(said)]
    words = pc.unique(as_text(said).drop_null()) if is_category(said.type) else []
    return [as_numbers(pc.equal(as_text(said), words[0]))] if len(words) == 2 else []


def _is_told(column: ColumnBins, rows: pa.Table) -> bool:
    """A feature that the rows have as its bins take it."""
    if not column.name.startswith("f.") or column.kind == "presence":
        return False
    cells = column_of(rows, column.name)
    return is_number(cells.type) or (is_category(cells.type) if column.kind == "category" else bool(pa.types.is_timestamp(cells.type)))


def _groups(column: ColumnBins, rows: pa.Table) -> Ints:
    """The coarse bin of each row, as if these rows were the reference."""
    places, _ = row_places(column, rows)
    counts = np.bincount(places, minlength=column.places)
    nothing = np.zeros((0, column.places), dtype=np.int64)
    days = ColumnDays(bins=column, days=(), counts=nothing, sums=np.zeros((0, 2)), sent=counts, sent_sums=np.zeros(2))
    return np.searchsorted(days.groups, places, side="right")
