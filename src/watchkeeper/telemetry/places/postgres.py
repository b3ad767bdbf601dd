"""PostgreSQL table.

Its rows are read hour by hour, in read-only transactions. Hours of the last days are looked at again: rows that came late or changed are taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pyarrow as pa
from psycopg import sql

from watchkeeper.core.errors import Unavailable
from watchkeeper.telemetry.engines.postgres import first_line, read_only_connection
from watchkeeper.telemetry.places import ROWS_AT_ONCE, Access, CannotWatch, Part, Place, Seen

EXAMPLE = "postgresql://reader@warehouse:5432/sales/public.scored"
SECONDS = 300  # for a query
_TYPES: dict[str, tuple[str, pa.DataType]] = {
    **dict.fromkeys(("int2", "int4", "int8"), ("int8", pa.int64())),
    **dict.fromkeys(("float4", "float8", "numeric"), ("float8", pa.float64())),
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "uuid"), ("text", pa.string())),
    "bool": ("bool", pa.bool_()),
    "timestamptz": ("timestamptz", pa.timestamp("us", "UTC")),
    "timestamp": ("timestamp", pa.timestamp("us")),
    "date": ("timestamp", pa.timestamp("us")),
}


def canonical(given: str) -> str:
    """One spelling. The password is not part of an address."""
    parts = urlsplit(given.strip())
    path = [unquote(part) for part in parts.path.strip("/").split("/")]
    if parts.scheme not in ("postgres", "postgresql") or not parts.hostname or len(path) != 2 or not all(path) or parts.query:
        raise CannotWatch(f"{_without_password(given)!r} is not the address of a table.", remedy=f"Write it like {EXAMPLE}.")
    if parts.password is not None:
        raise CannotWatch("The address holds a password.", remedy="Give the password in its own field: it is kept encrypted and never shown.")
    user = f"{parts.username}@" if parts.username else ""
    table = path[1] if "." in path[1] else f"public.{path[1]}"
    return f"postgresql://{user}{parts.hostname}:{parts.port or 5432}/{path[0]}/{table}"


def open_place(address: str, access: Access) -> Place:
    parts = urlsplit(canonical(address))
    database, table = parts.path.strip("/").split("/")
    uri = f"postgresql://{parts.netloc}/{database}"
    given = {name: value for name, value in (("password", access.password), ("hostaddr", access.hostaddr)) if value}
    try:
        return Table(read_only_connection(uri, seconds=SECONDS, **given), table)
    except Unavailable as problem:
        raise CannotWatch(
            problem.detail, remedy="Check the address, the name and the password, and that the database lets this machine in."
        ) from problem


class Table:
    def __init__(self, connection: psycopg.Connection, table: str) -> None:
        self.connection, self.title = connection, table
        schema, _, name = table.partition(".")
        self.table = sql.Identifier(schema, name)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")  # the hours that are listed are those that are read
        self.types = self._types()

    def schema(self) -> pa.Schema:
        """Types that cannot be taken stand there as binary."""
        return pa.schema([(name, _arrow_type(kind)) for name, kind in self.types.items()])

    def count(self) -> int:
        return int(self._rows(sql.SQL("SELECT count(*) FROM {}").format(self.table))[0][0])

    def parts(self, seen: Seen) -> Iterator[Part]:
        time = sql.Identifier(seen.time_column)
        kind = _TYPES[self.types[seen.time_column]][0]
        since = (
            sql.SQL("AND {time} >= {since}::{kind}").format(time=time, since=sql.Literal(_text(seen.since)), kind=sql.SQL(kind))
            if seen.since
            else sql.SQL("")
        )
        hours = self._rows(
            sql.SQL(
                "SELECT date_trunc('hour', {time}::{kind}), count(*), sum(hashtextextended(t::text, 0)) FROM {table} t "
                "WHERE isfinite({time}::{kind}) {since} GROUP BY 1 ORDER BY 1"
            ).format(time=time, kind=sql.SQL(kind), table=self.table, since=since)
        )
        for hour, count, digest in hours:
            name, identity = hour.replace(tzinfo=None).isoformat(), f"{count}-{digest}"
            if seen.parts.get(name) != identity:
                yield Part(name=name, identity=identity, read=partial(self._read, seen.time_column, hour))

    def mark(self, before: str, *, is_read: bool) -> str:
        return before

    def close(self) -> None:
        with suppress(psycopg.Error):
            self.connection.close()

    def _read(self, time_column: str, hour: datetime, columns: Sequence[str], needed: Collection[str]) -> Iterator[pa.Table]:
        missing = sorted(set(needed) - set(self.types))
        if missing:
            raise CannotWatch(f"{self.title} has no column {', '.join(missing)}.", remedy="Add it again, or register the table with other columns.")
        kinds = [_TYPES[self.types[name]] for name in columns]
        cells = [sql.SQL("{}::{}").format(sql.Identifier(name), sql.SQL(kind)) for name, (kind, _) in zip(columns, kinds, strict=True)]
        time, kind = sql.Identifier(time_column), sql.SQL(_TYPES[self.types[time_column]][0])
        query = sql.SQL("SELECT {cells} FROM {table} t WHERE {time} >= {start}::{kind} AND {time} < {end}::{kind} ORDER BY {time}, t::text").format(
            cells=sql.SQL(", ").join(cells), table=self.table, time=time, kind=kind, start=sql.Literal(_text(hour)), end=sql.Literal(_text(hour + timedelta(hours=1)))
        )  # fmt: skip
        with self.connection.cursor("rows") as cursor:
            try:
                cursor.execute(query)
                while rows := cursor.fetchmany(ROWS_AT_ONCE):
                    arrays = [pa.array(cells, arrow) for cells, (_, arrow) in zip(zip(*rows, strict=True), kinds, strict=True)]
                    yield pa.table(arrays, names=list(columns))
            except psycopg.Error as problem:
                raise CannotWatch(f"{self.title} cannot be read: {first_line(problem)}.", remedy="Look at the table with its own tools.") from problem

    def _types(self) -> dict[str, str]:
        try:
            described = self.connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(self.table)).description or []
        except psycopg.Error as problem:
            self.connection.execute("ROLLBACK")
            raise CannotWatch(
                f"{self.title} cannot be read: {first_line(problem)}.", remedy="Check its name, and GRANT SELECT on it to this user."
            ) from problem
        return {column.name: _type_name(column.type_code) for column in described}

    def _rows(self, query: sql.Composed) -> list[tuple[Any, ...]]:  # Any: values of rows
        try:
            return self.connection.execute(query).fetchall()
        except psycopg.Error as problem:
            raise CannotWatch(f"{self.title} cannot be read: {first_line(problem)}.", remedy="Look at the table with its own tools.") from problem


def _type_name(oid: int) -> str:
    known = psycopg.adapters.types.get(oid)
    return known.name if known else ""


def _arrow_type(kind: str) -> pa.DataType:
    return _TYPES[kind][1] if kind in _TYPES else pa.binary()


def _text(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _without_password(given: str) -> str:
    head, at, tail = given.rpartition("@")
    return f"{head.rpartition(':')[0]}@{tail}" if at and head.count(":") > 1 else given
