"""The prediction and label log: one Delta table per model and stream, a partition per day. Does not know what the rows mean.

Appends are exactly once per (lane, sequence). Readers get file lists, pruned by day, for DuckDB's `read_parquet`: the dataset reader takes
a thousand times as long.
The caller that appends (the holder of the model's lease) also compacts.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from watchkeeper.telemetry.parquet import parquet
from watchkeeper.wire import Stream

PARTITION = "date"
ROW_GROUP = 122_880  # rows; DuckDB's own
ATTEMPTS = 20  # of one append against others; each round costs the time of opening the table
COMPACT_AT_LEAST = 30
KEEP_OPEN = 200  # tables, for reading
KEEP_HOURS = 24.0  # readers hold file lists for seconds; a day leaves room for a slow one

_CONFIGURATION: Mapping[str, str | None] = {
    "delta.dataSkippingNumIndexedCols": "2"
}  # we prune by day: statistics would only make every commit slower
_IMPOSSIBLE = frozenset("%?*[]^|\\")


class TelemetryLog:
    def __init__(self, root: str | Path, storage_options: dict[str, str] | None = None) -> None:
        self.root = str(root).rstrip("/")
        self._readers: OrderedDict[str, DeltaTable] = OrderedDict()
        if found := _IMPOSSIBLE.intersection(self.root):
            raise ValueError(
                f"The telemetry folder {self.root!r} has {' '.join(sorted(found))} in its name, which Delta Lake cannot read. Choose another."
            )
        self.storage_options = storage_options

    def append(self, model: UUID | str, stream: Stream, table: pa.Table, *, lane: str, sequence: int) -> bool:
        """Add the rows once; False when this lane has applied this sequence number, or a later one, already."""
        for attempt in range(ATTEMPTS):
            handle = self._open(model, stream) or self._create(model, stream, table.schema)
            last = handle.transaction_version(lane)
            if last is not None and sequence <= last:
                return False
            try:
                write_deltalake(
                    handle, table, mode="append", schema_mode="merge", commit_properties=_once(lane, sequence), writer_properties=_layout_of(table)
                )
            except CommitFailedError:  # the handle that checked is stale: somebody appended in this lane or added a column
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return True
        raise AssertionError("unreachable")

    def last_sequence(self, model: UUID | str, stream: Stream, lane: str) -> int | None:
        handle = self._open(model, stream)
        return handle.transaction_version(lane) if handle else None

    def schema(self, model: UUID | str, stream: Stream) -> pa.Schema:
        """Columns and types of the whole log; empty before the first append."""
        handle = self._latest(model, stream)
        return pa.schema(handle.schema().to_arrow()) if handle else pa.schema([])

    def files(self, model: UUID | str, stream: Stream, start: date, end: date) -> list[str]:
        """Parquet files of the days `start` to `end`, both included."""
        handle = self._latest(model, stream)
        found = handle.file_uris(file_pruning_predicate=_days(start, end)) if handle else []
        return found if "://" in self.root else [unquote(name) for name in found]  # local paths come percent-encoded

    def live_files(self, model: UUID | str, stream: Stream) -> int:
        handle = self._latest(model, stream)
        return len(handle.file_uris()) if handle else 0

    def filled_columns(self, model: UUID | str, stream: Stream, since: date) -> set[str]:
        """Columns with at least one value in the files of `since` and later, told by the files' footers."""
        handle = self._latest(model, stream)
        if handle is None:
            return set()
        system = handle.to_pyarrow_dataset(file_pruning_predicate=_days(since, date.max)).filesystem
        actions = pa.table(handle.get_add_actions(flatten=True))
        days, paths = actions[f"partition.{PARTITION}"].to_pylist(), actions["path"].to_pylist()
        filled: set[str] = set()
        for day, path in zip(days, paths, strict=True):
            if day >= since:
                filled |= _filled(pq.read_metadata(path, filesystem=system))
        return filled

    def compact_due(self, model: UUID | str, stream: Stream, at_least: int = COMPACT_AT_LEAST) -> list[date]:
        """Days that have many files: appending and reading slow down with each."""
        handle = self._open(model, stream)
        if handle is None:
            return []
        counts = Counter(pa.table(handle.get_add_actions(flatten=True))[f"partition.{PARTITION}"].to_pylist())
        return sorted(day for day, count in counts.items() if count >= at_least)

    def compact_day(self, model: UUID | str, stream: Stream, day: date) -> bool:
        """Rewrite one day as few files; False when another writer touched the table meanwhile: try again next round.

        An overwrite from the handle that read, because the library's own compaction doubles rows when two run (TELEMETRY.md §0.2).
        """
        handle = self._open(model, stream)
        if handle is None or len(handle.file_uris(file_pruning_predicate=_days(day, day))) < 2:
            return False
        rows = handle.to_pyarrow_dataset(file_pruning_predicate=_days(day, day)).scanner(batch_readahead=1, fragment_readahead=1).to_reader()
        try:
            write_deltalake(
                handle,
                rows,
                mode="overwrite",
                predicate=f"{PARTITION} = '{day}'",
                commit_properties=CommitProperties(max_commit_retries=50),
                writer_properties=_layout_of(rows),
            )
        except CommitFailedError:
            return False
        return True

    def vacuum(self, model: UUID | str, stream: Stream, *, keep_hours: float = KEEP_HOURS) -> int:
        """Delete files that the table left behind more than `keep_hours` ago; how many."""
        handle = self._open(model, stream)
        return len(handle.vacuum(int(keep_hours), dry_run=False, enforce_retention_duration=False)) if handle else 0

    def erase_before(self, model: UUID | str, stream: Stream, day: date) -> int:
        """Take all days before `day` out of the log (`vacuum` deletes their files); how many rows."""
        handle = self._open(model, stream)
        return int(handle.delete(f"{PARTITION} < '{day}'")["num_deleted_rows"] or 0) if handle else 0

    def rows(self, model: UUID | str, stream: Stream, start: date, end: date, limit: int = 1000) -> pa.Table:
        """The first rows of the days `start` to `end` in the order they were received, for exports and tests."""
        files = self.files(model, stream, start, end)
        if not files:
            return self.schema(model, stream).empty_table()
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'").fetchall()
            return connection.sql(f"FROM {parquet(files)}").order('"batch", "row"').limit(limit).to_arrow_table()

    def sample(self, model: UUID | str, stream: Stream, start: date, end: date, rows: int) -> pa.Table:
        """So many rows of the days `start` to `end`, evenly drawn; the same ones each time."""
        files = self.files(model, stream, start, end)
        if not files:
            return self.schema(model, stream).empty_table()
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'").fetchall()
            return connection.sql(f"FROM {parquet(files)} USING SAMPLE reservoir({int(rows)} ROWS) REPEATABLE (1)").to_arrow_table()

    def _path(self, model: UUID | str, stream: Stream) -> str:
        return f"{self.root}/{UUID(str(model))}/{Stream(stream)}"

    def _open(self, model: UUID | str, stream: Stream) -> DeltaTable | None:
        try:
            return DeltaTable(self._path(model, stream), storage_options=self.storage_options)
        except TableNotFoundError:
            return None

    def _latest(self, model: UUID | str, stream: Stream) -> DeltaTable | None:
        """The table as it is now, for reading: reading on from what is known takes a twentieth of opening."""
        path = self._path(model, stream)
        handle = self._readers.pop(path, None)
        if handle is not None:
            try:
                handle.update_incremental()
            except DeltaError:  # its commits were cleaned up meanwhile
                handle = None
        handle = handle or self._open(model, stream)
        if handle is not None:
            self._readers[path] = handle
            if len(self._readers) > KEEP_OPEN:
                self._readers.popitem(last=False)
        return handle

    def _create(self, model: UUID | str, stream: Stream, schema: pa.Schema) -> DeltaTable:
        path = self._path(model, stream)
        try:
            return DeltaTable.create(path, schema, partition_by=[PARTITION], configuration=_CONFIGURATION, storage_options=self.storage_options)
        except DeltaError:  # two writers made the first append
            if (handle := self._open(model, stream)) is None:
                raise
            return handle


def _once(lane: str, sequence: int) -> CommitProperties:
    return CommitProperties(app_transactions=[Transaction(lane, sequence)], max_commit_retries=50)


def _layout_of(table: pa.Table) -> WriterProperties:
    """No dictionaries where values hardly repeat: to build and drop them takes two thirds of an append (measured by `make bench`). Row groups are
    what several threads share, so a large day has some."""
    plain = ColumnProperties(dictionary_enabled=False)
    rare = [field.name for field in table.schema if pa.types.is_floating(field.type) or field.name in ("id", "timestamp")]
    return WriterProperties(max_row_group_size=ROW_GROUP, column_properties=dict.fromkeys(rare, plain))


def _days(start: date, end: date) -> list[tuple[str, str, date]]:
    return [(PARTITION, ">=", start), (PARTITION, "<=", end)]


def _filled(footer: pq.FileMetaData) -> set[str]:
    """Columns of one file with a value; a chunk without statistics counts as filled."""
    names = set(footer.schema.to_arrow_schema().names)
    filled = set()
    for group in range(footer.num_row_groups):
        for column in range(footer.num_columns):
            chunk = footer.row_group(group).column(column)
            if not chunk.is_stats_set or chunk.statistics.null_count < chunk.num_values:
                filled.add(chunk.path_in_schema if chunk.path_in_schema in names else chunk.path_in_schema.rsplit(".", 2)[0])  # x.list.element
    return filled
