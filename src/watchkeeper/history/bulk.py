"""Reading and writing many rows, at the speed of the database: what the worker does thousands of times a second.

`@prepared` reads with a statement that Django builds once. Its arguments stand in lookups that take them as one parameter: `Among` is `IN` for
long lists, `Until` and `Since` compare a moment or a day.
`insert_rows` and `update_rows` are one prepared statement each: `bulk_update` builds one CASE per column and row, 20 times slower (`make bench`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache, wraps
from importlib import import_module
from inspect import signature
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Aggregate, AutoField, BigAutoField, DateField, Field, ForeignKey, Lookup, Model, QuerySet, TextField, UUIDField
from django.db.models.query import get_related_populators
from django.db.models.sql.compiler import SQLCompiler
from pydantic_core import to_json


@lru_cache(maxsize=100_000)
def _parsed(stored: bytes) -> datetime:
    """What Django's own converter reads; the same few moments stand in thousands of rows."""
    return datetime.fromisoformat(stored.decode())


@lru_cache(maxsize=100_000)
def _parsed_day(stored: bytes) -> date:
    return date.fromisoformat(stored.decode())


import_module("django.db.backends.sqlite3.base")  # registers its own
sqlite3.register_converter("datetime", _parsed)
sqlite3.register_converter("date", _parsed_day)

Stored = TypeVar("Stored", bound=Model)
Built = TypeVar("Built")
_PLAIN = frozenset({"CharField", "TextField", "FloatField", "BooleanField", "PositiveIntegerField", "PositiveSmallIntegerField", "BigAutoField"})


@ForeignKey.register_lookup
@UUIDField.register_lookup
@BigAutoField.register_lookup
@DateField.register_lookup
class Among(Lookup):
    """`filter(model__among=ids)`: the same rows as `__in`, for keys that are UUIDs or integers, and for days."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:  # Any: parameters
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", (*params, _as_list(self.rhs))

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:  # Any: parameters
        column, params = self.process_lhs(compiler, connection)
        return f"{column} IN (SELECT value FROM json_each(%s))", (*params, _as_list(self.rhs))  # noqa: S608 - a column of ours


class _Moment(Lookup):
    operator: str
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:  # Any: parameters
        column, params = self.process_lhs(compiler, connection)
        return f"{column} {self.operator} %s", (*params, _parameter(self.rhs))


@DateField.register_lookup
class Until(_Moment):
    """`filter(due_at__until=now)`: the same rows as `__lte`."""

    lookup_name, operator = "until", "<="


@DateField.register_lookup
class Since(_Moment):
    """`filter(at__since=day)`: the same rows as `__gte`."""

    lookup_name, operator = "since", ">="


class Joined(Aggregate):
    """The texts of a group with commas between them, in no order: one row instead of thousands."""

    output_field = TextField()
    template = "%(function)s(%(expressions)s, ',')"
    function = "STRING_AGG"

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:  # Any: parameters
        return self.as_sql(compiler, connection, function="GROUP_CONCAT", **context)


def _parameter(argument: Any) -> Any:  # Any: a text, a moment or a list as the database takes it, or what stands in for it
    if isinstance(argument, datetime):
        return connection.ops.adapt_datetimefield_value(argument)
    if isinstance(argument, date):
        return connection.ops.adapt_datefield_value(argument)
    return argument if isinstance(argument, str) else _as_list(argument)


def _as_list(keys: Any) -> Any:  # Any: a list parameter as the database takes it, or what stands in for it
    if isinstance(keys, _StandIn):
        return keys
    if connection.vendor != "sqlite":
        return list(keys)
    return json.dumps([key.hex if isinstance(key, UUID) else key for key in keys], default=str)


class _StandIn(str):
    """In the place of an argument while the statement is built: a list after `__among`, a moment or day after `__until` or `__since`, or a text."""

    def __new__(cls, place: int) -> _StandIn:
        made = super().__new__(cls, f"argument {place}")
        made.place = place
        return made

    place: int


Rows = list[tuple[Any, ...]]  # Any: values of any column


def prepared(build: Callable[..., QuerySet[Any, Any]]) -> Callable[..., Rows]:  # Any: values of any column
    """A read whose statement Django builds once: building it costs more than a small read itself.

    The function says which rows, as a `values_list`; its arguments are lists after `__among`, moments or days after `__until` and `__since`, or texts.
    Called, it returns the rows.
    """
    statement = _built_once(build, _Statement)

    @wraps(build)
    def read(*arguments: Any) -> Rows:  # Any: lists of keys, moments, texts
        return statement().read(arguments)

    return read


def prepared_objects(build: Callable[..., QuerySet[Stored]]) -> Callable[..., list[Stored]]:
    """The same for objects, with what `select_related` names."""
    statement = _built_once(build, _Objects)

    @wraps(build)
    def read(*arguments: Any) -> list[Stored]:  # Any: lists of keys, moments, texts
        return statement().objects(arguments)

    return read


def _built_once(build: Callable[..., QuerySet[Any, Any]], kind: Callable[[QuerySet[Any, Any]], Built]) -> Callable[[], Built]:  # Any: any row
    """The statement of a read, for the database in use."""
    statements: dict[str, Built] = {}
    arguments = [_StandIn(place) for place in range(len(signature(build).parameters))]

    def statement() -> Built:
        if connection.vendor not in statements:
            statements[connection.vendor] = kind(build(*arguments))
        return statements[connection.vendor]

    return statement


class _Statement:
    """SQL, its parameters with stand-ins among them, and what makes values of columns."""

    def __init__(self, found: QuerySet[Any, Any]) -> None:  # Any: values of any column
        self._compiler = compiler = found.query.get_compiler(connection=connection)
        self._sql, self._params = compiler.as_sql()
        self._converters = {
            index: _converter(steps, expression)
            for index, (steps, expression) in compiler.get_converters([expression for expression, _, _ in compiler.select]).items()
        }

    def read(self, arguments: Sequence[Any]) -> Rows:  # Any: lists of keys, moments, texts
        given = [_parameter(argument) for argument in arguments]
        with connection.cursor() as cursor:
            cursor.execute(self._sql, [given[param.place] if isinstance(param, _StandIn) else param for param in self._params])
            rows: Rows = cursor.fetchall()
        if not rows or not self._converters:
            return rows
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))  # Any: values of any column
        for index, convert in self._converters.items():
            converted = {value: None if value is None else convert(value) for value in set(columns[index])}
            columns[index] = [converted[value] for value in columns[index]]
        return list(zip(*columns, strict=True))


class _Objects(_Statement):
    """Rows made into objects the way Django's own ModelIterable does it."""

    def __init__(self, found: QuerySet[Any, Any]) -> None:  # Any: objects of any model
        super().__init__(found)
        shape = self._compiler.klass_info
        self._model, columns = shape["model"], shape["select_fields"]
        self._first, self._last = columns[0], columns[-1] + 1
        self._names = [entry[0].target.attname for entry in self._compiler.select[self._first : self._last]]
        self._related = get_related_populators(shape, self._compiler.select, connection.alias)  # type: ignore[call-arg]  # stubs of a later Django

    def objects(self, arguments: Sequence[Any]) -> list[Any]:  # Any: objects of any model
        made = []
        for row in self.read(arguments):
            entry = self._model.from_db(connection.alias, self._names, row[self._first : self._last])
            for related in self._related:
                related.populate(row, entry)
            made.append(entry)
        return made


def _converter(steps: Sequence[Any], expression: Any) -> Callable[[Any], Any]:  # Any: values of any column, converters of any field
    """Django's own steps; for the two commonest what they do, without the checks on each value."""
    match [step.__name__ for step in steps]:
        case ["convert_uuidfield_value"]:
            return _uuid
        case ["convert_datetimefield_value"]:
            return _in_utc

    def convert(value: Any) -> Any:  # Any: values of any column
        for step in steps:
            value = step(value, expression, connection)
        return value

    return convert


def _in_utc(stored: datetime) -> datetime:
    return stored.replace(tzinfo=UTC)


@lru_cache(maxsize=100_000)
def _uuid(stored: str) -> UUID:
    return UUID(stored)


def insert_rows(objects: Sequence[Model], *, ignore_conflicts: bool = False) -> None:
    """INSERT of objects that nobody needs the new keys of."""
    if not objects:
        return
    model = type(objects[0])
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField | BigAutoField)]
    values = attrgetter(*(field.attname for field in fields))
    _insert(model, fields, [values(entry) for entry in objects], " ON CONFLICT DO NOTHING" if ignore_conflicts else "")


def insert_values(model: type[Model], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:  # Any: values of any field
    """INSERT of rows that hold the values of `names` in their order, without an object for each; nothing else gets its default."""
    if rows:
        _insert(model, _fields(model, names), rows)


def _insert(model: type[Model], fields: Sequence[Field[Any, Any]], rows: Sequence[Sequence[Any]], ending: str = "") -> None:  # Any: any field
    names, places = ", ".join(f'"{field.column}"' for field in fields), ", ".join(["%s"] * len(fields))
    execute_many(f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({places}){ending}', fields, rows)  # noqa: S608 - our own columns


def update_rows(model: type[Model], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:  # Any: values of any field
    """UPDATE by primary key: each row holds the values of `names` in their order, and then its key."""
    if not rows:
        return
    fields = _fields(model, names)
    sets = ", ".join(f'"{field.column}" = %s' for field in fields)
    sql = f'UPDATE "{model._meta.db_table}" SET {sets} WHERE "{model._meta.pk.column}" = %s'  # noqa: S608 - names of our own columns
    execute_many(sql, (*fields, model._meta.pk), rows)


def save_rows(objects: Sequence[Model], names: Sequence[str]) -> None:
    """The same for objects."""
    if objects:
        model = type(objects[0])
        keys = [field.attname for field in _fields(model, names)]
        update_rows(model, names, [[*(getattr(entry, key) for key in keys), entry.pk] for entry in objects])


def _fields(model: type[Model], names: Sequence[str]) -> list[Field[Any, Any]]:  # Any: any field
    return [field for name in names if isinstance(field := model._meta.get_field(name), Field)]


def execute_many(sql: str, fields: Sequence[Any], rows: Iterable[Sequence[Any]]) -> None:  # Any: fields and their values
    """One statement for every row; each value is stored the way its field stores it."""
    columns = [_column(field, values) for field, values in zip(fields, zip(*rows, strict=True), strict=True)]
    with connection.cursor() as cursor:
        cursor.executemany(sql, list(zip(*columns, strict=True)))


def _column(field: Any, values: Sequence[Any]) -> Sequence[Any]:  # Any: values of any field
    """What `field.get_db_prep_save` gives, without asking it for each value: that costs more than the statement."""
    kind, ops = (field.target_field if field.is_relation else field).get_internal_type(), connection.ops
    match kind:
        case "DateTimeField" | "DateField":  # the same few moments in thousands of rows
            adapt = ops.adapt_datetimefield_value if kind == "DateTimeField" else ops.adapt_datefield_value
            adapted = {value: value and adapt(value) for value in set(values)}
            return [adapted[value] for value in values]
        case "UUIDField":
            return values if connection.features.has_native_uuid_field else [value and value.hex for value in values]
        case "JSONField" if connection.vendor == "sqlite":  # ten times faster than json
            return [to_json(value).decode() for value in values]
        case "JSONField":
            return [ops.adapt_json_value(value, None) for value in values]
        case _ if kind in _PLAIN:
            return values
    return [None if value is None else field.get_db_prep_save(value, connection) for value in values]
