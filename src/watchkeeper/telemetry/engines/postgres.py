"""PostgreSQL: the same queries inside a company's own database.

A table is read where it is, in a read-only transaction. Files are copied into temporary tables first, which that transaction drops: that is for
few rows. A text with a NUL byte, which PostgreSQL cannot hold, is copied without it. One engine belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
from psycopg import sql

from watchkeeper.core.errors import InvalidInput, Unavailable
from watchkeeper.telemetry.engines import Engine, FilesGone, Query, Reading, Source, TableSource
from watchkeeper.telemetry.engines._postgres_sql import VIEW, Shape, compiled, quoted
from watchkeeper.telemetry.engines.duckdb import rows_of

_TYPES = {
    "string": "text",
    "float64": "double precision",
    "int64": "bigint",
    "int32": "integer",
    "boolean": "boolean",
    "timestamp": "timestamp",
    "date": "date",
}
_VECTOR = "double precision[]"
_AT_ONCE = 10_000  # rows


def connect(*, address: str, seconds: float = 600) -> Engine:
    """`address` is a connection URI; a query that takes longer than so many seconds is given up. Raises Unavailable."""
    return Postgres(read_only_connection(address, seconds=seconds))


def read_only_connection(address: str, *, seconds: float, **parameters: Any) -> psycopg.Connection:  # Any: parameters of libpq
    """A connection that cannot write by itself and speaks UTC."""
    options = f"-c default_transaction_read_only=on -c statement_timeout={int(seconds * 1000)} -c TimeZone=UTC -c extra_float_digits=1"
    try:
        return psycopg.connect(address, autocommit=True, connect_timeout=10, options=options, client_encoding="utf8", **parameters)
    except psycopg.OperationalError as problem:
        raise Unavailable(f"PostgreSQL does not answer: {first_line(problem)}.", remedy="Check its address, name and password.") from problem


def first_line(problem: Exception) -> str:
    return str(problem).strip().partition("\n")[0].rstrip(".")


class Postgres:
    """Ibis writes the SQL, our own connection runs it: Ibis' connection needs pandas."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    @contextmanager
    def reading(self, *sources: Source | TableSource, moments: Mapping[str, datetime] | None = None) -> Iterator[Reading]:
        """Asks in one transaction, which sees one state of the tables."""
        given = [dict(moments or {}), *({} for _ in sources[1:])]
        with self._transaction(may_copy=any(isinstance(source, Source) for source in sources)):
            views = [self._view(place, source, given[place]) for place, source in enumerate(sources)]
            try:
                yield _Reading(self.connection, ", ".join(views), tuple(_shape(source, names) for source, names in zip(sources, given, strict=True)))
            except psycopg.errors.QueryCanceled as problem:
                raise Unavailable("PostgreSQL gave up a query that took too long.", remedy="Give the time column an index.") from problem

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def _transaction(self, *, may_copy: bool) -> Iterator[None]:
        with self.connection.transaction():
            self.connection.execute("SET TRANSACTION READ WRITE" if may_copy else "SET TRANSACTION READ ONLY")
            yield

    def _view(self, place: int, source: Source | TableSource, moments: Mapping[str, datetime]) -> str:
        """The source as a named part of the query. Not materialized: conditions reach the table's indexes."""
        rows = self._table(source) if isinstance(source, TableSource) else self._copied(f"copied_{place}", source)
        times = [f"TIMESTAMP '{at.astimezone(UTC).replace(tzinfo=None).isoformat()}' AS {quoted(name)}" for name, at in moments.items()]
        return f"{VIEW}_{place} AS NOT MATERIALIZED (SELECT {', '.join([*rows[0], *times])} FROM {rows[1]})"  # noqa: S608 - names are quoted, times are ours

    def _table(self, source: TableSource) -> tuple[list[str], str]:
        table = sql.Identifier(*source.table).as_string(self.connection)
        try:
            described = self.connection.execute(_sql(f"SELECT * FROM {table} LIMIT 0")).description  # noqa: S608 - psycopg quoted the name
        except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege) as problem:
            raise InvalidInput(
                f"The table {'.'.join(source.table)} cannot be read: {first_line(problem)}.", remedy="Check its name and rights."
            ) from problem
        present = {column.name for column in described or ()}
        return [_column(name, kind, source.names.get(name, name), present) for name, kind in source.columns.items()], table

    def _copied(self, name: str, source: Source) -> tuple[list[str], str]:
        columns = [(quoted(column), _type(kind)) for column, kind in source.columns.items()]
        self.connection.execute(_sql(f"CREATE TEMPORARY TABLE {name} ({', '.join(' '.join(column) for column in columns)}) ON COMMIT DROP"))
        with duckdb.connect() as reader:
            reader.execute("SET TimeZone = 'UTC'").fetchall()
            try:
                rows = rows_of(reader, source, {}).to_arrow_table()
            except duckdb.IOException as problem:
                raise FilesGone(str(problem)) from problem
        with self.connection.cursor().copy(_sql(f"COPY {name} FROM STDIN")) as copy:
            for batch in rows.to_batches(max_chunksize=_AT_ONCE):
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    copy.write_row([value.replace("\0", "") if isinstance(value, str) else value for value in row])
        return [column for column, _ in columns], name


@dataclass(frozen=True)
class _Reading:
    connection: psycopg.Connection
    views: str
    shapes: tuple[Shape, ...]

    def run(self, query: Query) -> pa.Table:
        text, schema = self._compiled(query)
        return _arrow(self.connection.execute(text, binary=True).fetchall(), schema)

    def batches(self, query: Query, *, rows: int) -> Generator[pa.RecordBatch, None, None]:
        text, schema = self._compiled(query)
        with self.connection.cursor("batches", binary=True) as cursor:
            cursor.execute(text)
            while fetched := cursor.fetchmany(rows):
                yield from _arrow(fetched, schema).to_batches()

    def _compiled(self, query: Query) -> tuple[sql.SQL, pa.Schema]:
        """The query as SQL over the views, and what its answer looks like."""
        text, schema = compiled(query, self.shapes)
        return _sql(f"WITH {self.views}, {text.removeprefix('WITH ')}" if text.startswith("WITH ") else f"WITH {self.views} {text}"), schema


def _shape(source: Source | TableSource, moments: Mapping[str, datetime]) -> Shape:
    return tuple({**source.columns, **dict.fromkeys(moments, "timestamp")}.items())


def _column(name: str, kind: str, called: str, present: set[str]) -> str:
    if called not in present:
        return f"CAST(NULL AS {_type(kind)}) AS {quoted(name)}"
    cell = '"' + called.replace('"', '""') + '"'
    read = f"CAST({cell} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'" if kind == "timestamp" else f"CAST({cell} AS {_type(kind)})"
    return f"{read} AS {quoted(name)}"


def _type(kind: str) -> str:
    return _VECTOR if kind.startswith("array") else _TYPES[kind]


def _sql(text: str) -> sql.SQL:
    """Names in it are quoted by `quoted` or by psycopg, times are ours, and the rest Ibis wrote."""
    return sql.SQL(text)


def _arrow(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:  # Any: values of a row
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.Table.from_arrays([pa.array(map(_plain, column), field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)


def _plain(value: Any) -> Any:  # Any: what PostgreSQL answered
    """Sums of whole numbers come as decimals."""
    return int(value) if isinstance(value, Decimal) else value
