"""DuckDB, in this process.

Memory is bounded: what does not fit goes to a temporary folder. One engine belongs to one thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence

import duckdb
import ibis
import pyarrow as pa

from watchkeeper.telemetry.engines import Engine, FilesGone, Query, with_columns
from watchkeeper.telemetry.parquet import parquet

_VIEW = "log"


def connect(*, memory_mb: int = 800, threads: int = 2) -> Engine:
    return DuckDB(memory_mb=memory_mb, threads=threads)


class DuckDB:
    """Ibis writes the SQL, DuckDB's own connection runs it: Ibis' connection needs pandas."""

    def __init__(self, *, memory_mb: int, threads: int) -> None:
        self.connection = duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "threads": threads, "temp_directory": tempfile.gettempdir()})
        self.connection.execute("SET TimeZone = 'UTC'").fetchall()

    def run(self, query: Query, *, files: Sequence[str], columns: Mapping[str, str]) -> pa.Table:
        try:
            log = self.connection.sql(f"FROM {parquet(files)}")
            log.create_view(_VIEW)
            present = ibis.table({name: kind for name, kind in columns.items() if name in log.columns}, name=_VIEW)
            return self.connection.sql(ibis.to_sql(query(with_columns(present, columns)), dialect="duckdb")).to_arrow_table()
        except duckdb.IOException as problem:
            raise FilesGone(str(problem)) from problem

    def close(self) -> None:
        self.connection.close()
