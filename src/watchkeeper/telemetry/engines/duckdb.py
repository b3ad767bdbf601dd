"""DuckDB, in this process.

Memory is bounded: what does not fit goes to a temporary folder. One engine belongs to one thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import duckdb
import ibis
import pyarrow as pa
from ibis.backends.sql.datatypes import DuckDBType

from watchkeeper.telemetry.engines import Engine, FilesGone, Query
from watchkeeper.telemetry.parquet import parquet

_VIEW = "log"


def connect(*, memory_mb: int = 800, threads: int = 2) -> Engine:
    return DuckDB(memory_mb=memory_mb, threads=threads)


class DuckDB:
    """Ibis writes the SQL, once per query; DuckDB's own connection runs it: Ibis' connection needs pandas."""

    def __init__(self, *, memory_mb: int, threads: int) -> None:
        self.connection = duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "threads": threads, "temp_directory": tempfile.gettempdir()})
        self.connection.execute("SET TimeZone = 'UTC'").fetchall()

    def run(self, query: Query, *, files: Sequence[str], columns: Mapping[str, str], moments: Mapping[str, datetime] | None = None) -> pa.Table:
        try:
            log = self.connection.sql(f"FROM {parquet(files)}")
            log.select(", ".join(_selected(log.columns, columns, moments or {}))).create_view(_VIEW)
            return self.connection.sql(_sql(query, tuple(columns.items()), tuple(moments or {}))).to_arrow_table()
        except duckdb.IOException as problem:
            raise FilesGone(str(problem)) from problem

    def close(self) -> None:
        self.connection.close()


def _selected(present: Sequence[str], columns: Mapping[str, str], moments: Mapping[str, datetime]) -> list[str]:
    """What the query sees: every column it declares, null where the files lack it, and the moments as columns."""
    sources = [(name, _source(name, kind) if name in present else "NULL", DuckDBType.to_string(ibis.dtype(kind))) for name, kind in columns.items()]
    given = [(name, f"'{at.astimezone(UTC).replace(tzinfo=None).isoformat()}'", "TIMESTAMP") for name, at in moments.items()]
    return [f'CAST({source} AS {kind}) AS "{name}"' for name, source, kind in sources + given]


def _source(name: str, kind: str) -> str:
    """Times lose their zone here, for they are all UTC: arithmetic on times with a zone asks a calendar for each row, ten times as slow."""
    return f'make_timestamp(epoch_us("{name}"))' if kind == "timestamp" else f'"{name}"'


@lru_cache(maxsize=5000)
def _sql(query: Query, columns: tuple[tuple[str, str], ...], moments: tuple[str, ...]) -> str:
    """The query as SQL. Writing it takes a hundred times as long as counting a day."""
    shape = dict(columns) | dict.fromkeys(moments, "timestamp")
    return str(ibis.to_sql(query(ibis.table(shape, name=_VIEW)), dialect="duckdb"))
