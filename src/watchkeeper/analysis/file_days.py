"""Rows of a file counted by the day, in bins made from a sample of another. Does not judge them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchkeeper.analysis.files import CannotCheck, RowSource, comparable
from watchkeeper.telemetry.arrow import ArrowCells
from watchkeeper.telemetry.bins import ColumnCounts, Layout, count_groups
from watchkeeper.wire import FIRST_YEAR, LAST_YEAR

Ints = NDArray[np.int64]
NO_DAY = -(10**6)
DAY_MICROS = 86_400_000_000
EPOCH = date(1970, 1, 1)


def day_of(number: int) -> date:
    """
    >>> day_of(20_779)
    datetime.date(2026, 11, 22)
    """
    return EPOCH + timedelta(days=number)


def rows_by_day(rows: RowSource, timestamp: str) -> dict[int, int]:
    """How many rows each day has, as days since 1970 in UTC, oldest first; NO_DAY for those whose time is null or outside the years of the log."""
    if rows.kinds[timestamp] not in ("timestamp", "string"):
        raise CannotCheck(f"Column {timestamp!r} of {rows.name} holds no times: {rows.kinds[timestamp]}.", remedy="Name another with --timestamp.")
    found: dict[int, int] = {}
    for table in rows.read([timestamp]):
        days, counts = np.unique(_days(rows, table, timestamp), return_counts=True)
        for day, count in zip(days.tolist(), counts.tolist(), strict=True):
            found[day] = found.get(day, 0) + count
    if not found.keys() - {NO_DAY}:
        raise CannotCheck(
            f"No row of {rows.name} has a time between {FIRST_YEAR} and {LAST_YEAR} in column {timestamp!r}.", remedy="Name another with --timestamp."
        )
    return dict(sorted(found.items()))


def counts_by_day(
    rows: RowSource, layout: Layout, kinds: Mapping[str, str], *, timestamp: str = "", days: Collection[int] = ()
) -> dict[int, ColumnCounts]:
    """The counts of each of the `days` asked for; all other rows together are those of NO_DAY."""
    found: dict[int, ColumnCounts] = {}
    for table in rows.read([*kinds, *([timestamp] if days else [])]):
        given = _days(rows, table, timestamp) if days else np.full(len(table), NO_DAY)
        there, groups = np.unique(np.where(np.isin(given, list(days)), given, NO_DAY), return_inverse=True)
        with np.errstate(over="ignore", invalid="ignore"):  # squares of numbers beyond 1e154: there is no spread to tell then
            counted = count_groups(layout, comparable(table, kinds), groups, len(there))
        for day, counts in zip(there.tolist(), counted, strict=True):
            found[day] = found[day] + counts if day in found else counts
    return found


def _days(rows: RowSource, table: pa.Table, timestamp: str) -> Ints:
    cells = table[timestamp].combine_chunks()
    plain = cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells
    moments = ArrowCells(_times(rows, plain, timestamp), UTC).read("timestamp").array
    micros = moments.cast(pa.int64()).fill_null(NO_DAY * DAY_MICROS).to_numpy(zero_copy_only=False)
    return np.asarray(micros // DAY_MICROS, dtype=np.int64)


def _times(rows: RowSource, cells: pa.Array, timestamp: str) -> pa.Array:
    """Texts as times."""
    if rows.kinds[timestamp] != "string":
        return cells
    for zone in (None, "UTC"):
        try:
            return cells.cast(pa.string()).cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid as problem:
            what = str(problem)
    raise CannotCheck(f"Column {timestamp!r} of {rows.name} holds no times: {what}.", remedy="Write them as 2026-11-22T14:32:00Z.")
