"""What a check reads: samples from all over a file, and rows of the other days counted together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from watchkeeper.analysis.file_days import NO_DAY, counts_by_day, rows_by_day
from watchkeeper.analysis.files import RowSource, rows_of, sample
from watchkeeper.telemetry.bins import make_bins


@pytest.fixture
def rows() -> RowSource:
    """Ten thousand numbers in a hundred batches, a hundred a day."""
    moments = np.datetime64("2026-01-01", "us") + np.arange(10_000) // 100 * np.timedelta64(1, "D")
    table = pa.table({"x": np.arange(10_000.0), "ts": moments.astype("datetime64[us]")})
    whole = rows_of(table, name="rows")
    parts = [table.slice(start, 100) for start in range(0, 10_000, 100)]
    return RowSource(name="rows", kinds=whole.kinds, count=10_000, read=lambda columns: (part.select(columns) for part in parts))


def test_a_sample_comes_from_all_over_and_is_the_same_each_time(rows: RowSource) -> None:
    taken = sample(rows, {"x": "double"}, limit=1000)["x"].to_numpy()

    assert len(set(taken)) == 1000
    assert np.histogram(taken, bins=10, range=(0, 10_000))[0].min() > 60
    assert (sample(rows, {"x": "double"}, limit=1000)["x"].to_numpy() == taken).all()
    assert len(sample(rows, {"x": "double"}, limit=10_000)) == 10_000


def test_days_that_nobody_asked_for_are_counted_together(rows: RowSource) -> None:
    days = list(rows_by_day(rows, "ts"))
    layout = make_bins(sample(rows, {"x": "double"}, limit=10_000))

    counted = counts_by_day(rows, layout, {"x": "double"}, timestamp="ts", days=days[:2])

    assert {day: counts.rows for day, counts in counted.items()} == {NO_DAY: 9800, days[0]: 100, days[1]: 100}
    assert sum(counts.counts.sum() for counts in counted.values()) == 10_000
