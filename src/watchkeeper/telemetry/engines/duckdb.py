"""DuckDB, in this process.

Memory is bounded: what does not fit goes to a temporary folder. One engine belongs to one thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import duckdb
import ibis
import pyarrow as pa
from ibis.backends.sql.datatypes import DuckDBType

from watchkeeper.core.errors import InvalidInput
from watchkeeper.telemetry.engines import Engine, FilesGone, Query, Reading, Source, TableSource
from watchkeeper.telemetry.parquet import parquet

_VIEW = "log"
_NOTHING = "(SELECT 1 AS nothing WHERE false)"
FEW_FILES = (
    8  # of more the footers are kept for the next question: a seventh of the time of a month. They count as memory and give way to what is needed
)


def connect(*, memory_mb: int = 800, threads: int = 2) -> Engine:
    return DuckDB(memory_mb=memory_mb, threads=threads)


class DuckDB:
    """Ibis writes the SQL, once per query; DuckDB's own connection runs it: Ibis' connection needs pandas."""

    def __init__(self, *, memory_mb: int, threads: int) -> None:
        self.connection = duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "threads": threads, "temp_directory": tempfile.gettempdir()})
        self.connection.execute("SET TimeZone = 'UTC'").fetchall()

    @contextmanager
    def reading(self, *sources: Source | TableSource, moments: Mapping[str, datetime] | None = None) -> Iterator[Reading]:
        files = [_readable(source) for source in sources]
        is_long = sum(len(source.files) for source in files) > FEW_FILES
        self.connection.execute(f"SET parquet_metadata_cache = {str(is_long).lower()}").fetchall()
        try:
            for place, source in enumerate(files):
                rows_of(self.connection, source, {} if place else moments or {}).create_view(f"{_VIEW}_{place}")
            yield _Reading(self.connection, tuple(tuple(source.columns.items()) for source in files), tuple(moments or ()))
        except duckdb.IOException as problem:
            raise FilesGone(str(problem)) from problem

    def close(self) -> None:
        self.connection.close()


@dataclass(frozen=True)
class _Reading:
    connection: duckdb.DuckDBPyConnection
    shapes: tuple[tuple[tuple[str, str], ...], ...]
    moments: tuple[str, ...]

    def run(self, query: Query) -> pa.Table:
        return self._asked(query).to_arrow_table()

    def batches(self, query: Query, *, rows: int) -> Generator[pa.RecordBatch, None, None]:
        try:
            yield from self._asked(query).to_arrow_reader(rows)
        except OSError as problem:  # a reader tells DuckDB's errors as Arrow's
            raise FilesGone(str(problem)) from problem

    def _asked(self, query: Query) -> duckdb.DuckDBPyRelation:
        return self.connection.sql(_sql(query, self.shapes, self.moments))


def _readable(source: Source | TableSource) -> Source:
    if isinstance(source, TableSource):
        raise InvalidInput("DuckDB reads files, not tables of a database.", remedy="Ask the engine of that database.")
    return source


def rows_of(connection: duckdb.DuckDBPyConnection, source: Source, moments: Mapping[str, datetime]) -> duckdb.DuckDBPyRelation:
    rows = connection.sql(f"FROM {parquet(source.files) if source.files else _NOTHING}")
    return rows.select(", ".join(_selected(rows.columns, source.columns, moments)))


def _selected(present: Sequence[str], columns: Mapping[str, str], moments: Mapping[str, datetime]) -> list[str]:
    """What the query sees: every column it declares, null where the files lack it, and the moments as columns."""
    sources = [(name, _source(name, kind) if name in present else "NULL", DuckDBType.to_string(ibis.dtype(kind))) for name, kind in columns.items()]
    given = [(name, f"'{at.astimezone(UTC).replace(tzinfo=None).isoformat()}'", "TIMESTAMP") for name, at in moments.items()]
    return [f'CAST({source} AS {kind}) AS "{name}"' for name, source, kind in sources + given]


def _source(name: str, kind: str) -> str:
    """Times lose their zone here, for they are all UTC: arithmetic on times with a zone asks a calendar for each row, ten times as slow."""
    return f'make_timestamp(epoch_us("{name}"))' if kind == "timestamp" else f'"{name}"'


@lru_cache(maxsize=5000)
def _sql(query: Query, shapes: tuple[tuple[tuple[str, str], ...], ...], moments: tuple[str, ...]) -> str:
    """The query as SQL. Writing it takes a hundred times as long as counting a day."""
    first, *others = (dict(shape) for shape in shapes)
    tables = [ibis.table(shape, name=f"{_VIEW}_{place}") for place, shape in enumerate((first | dict.fromkeys(moments, "timestamp"), *others))]
    return str(ibis.to_sql(query(*tables), dialect="duckdb"))
