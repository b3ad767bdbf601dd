"""Ibis expressions as PostgreSQL's SQL, with the arithmetic of IEEE 754. Connects to nothing.

PostgreSQL raises an error where a double overflows, underflows or is divided by zero; every other engine answers infinity, zero or NaN.
Usual numbers take the first branch of each CASE. A sum with an addend beyond 1e290 is infinite.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.postgres import PostgresCompiler
from ibis.common.exceptions import UnsupportedOperationError

from watchkeeper.telemetry.engines import Query

Shape = tuple[tuple[str, str], ...]  # columns and their Ibis types

MOST_BYTES = 63  # of a name; PostgreSQL cuts longer ones without a word
VIEW = "log"

_LARGEST, _SMALLEST, _INFINITE = "1.797e308", "4.94065645841247e-324", "CAST('Infinity' AS DOUBLE PRECISION)"
_SPECIAL = f"ABS(:a) = {_INFINITE} OR ABS(:b) = {_INFINITE} OR :a = CAST('NaN' AS DOUBLE PRECISION) OR :b = CAST('NaN' AS DOUBLE PRECISION)"
_IS_USUAL = "ABS(:a) BETWEEN 1e-150 AND 1e150 AND ABS(:b) BETWEEN 1e-150 AND 1e150"
_SIGNED = f"SIGN(:a) * SIGN(:b) * {_INFINITE}"
_ADD = f"""CASE WHEN ABS(:a) < 1e307 AND ABS(:b) < 1e307 OR {_SPECIAL} THEN :a + :b
WHEN (:a > 0) = (:b > 0) AND ABS(:a) > {_LARGEST} - ABS(:b) THEN :a * {_INFINITE} ELSE :a + :b END"""
_SUBTRACT = f"""CASE WHEN ABS(:a) < 1e307 AND ABS(:b) < 1e307 OR {_SPECIAL} THEN :a - :b
WHEN (:a > 0) = (:b < 0) AND ABS(:a) > {_LARGEST} - ABS(:b) THEN :a * {_INFINITE} ELSE :a - :b END"""
_MULTIPLY = f"""CASE WHEN {_IS_USUAL} OR :a = 0 OR :b = 0 OR {_SPECIAL} THEN :a * :b
WHEN ABS(:b) > 1 AND ABS(:a) > {_LARGEST} / ABS(:b) THEN {_SIGNED}
WHEN ABS(:b) < 1 AND ABS(:a) < {_SMALLEST} / ABS(:b) THEN 0 ELSE :a * :b END"""
_DIVIDE = f"""CASE WHEN {_IS_USUAL} THEN :a / :b WHEN :b = 0 THEN :a * {_INFINITE} WHEN :a = 0 OR {_SPECIAL} THEN :a / :b
WHEN ABS(:b) < 1 AND ABS(:a) > {_LARGEST} * ABS(:b) THEN {_SIGNED}
WHEN ABS(:b) > 1 AND ABS(:a) < {_SMALLEST} * ABS(:b) THEN 0 ELSE :a / :b END"""
_ADDEND = f"CASE WHEN ABS(:a) > 1e290 THEN :a * {_INFINITE} ELSE :a END"
_TEXT = """CASE WHEN :a::TEXT = '-0' THEN '-0.0' WHEN :a = TRUNC(:a) AND ABS(:a) < 1e15 THEN CAST(:a AS DECIMAL)::TEXT || '.0'
ELSE :a::TEXT END"""  # 1.0 as DuckDB writes it
_MICROSECONDS = "CAST(EXTRACT(EPOCH FROM :a - :b) * 1000000 AS BIGINT)"
_LOG2 = "LN(:a) / LN(CAST(2 AS DOUBLE PRECISION))"  # PostgreSQL's own LOG(2, x) is of decimals, a hundred times as slow


class Compiler(PostgresCompiler):  # type: ignore[misc]  # Ibis has no types
    """Ibis' own, where PostgreSQL would refuse or count otherwise. Nodes are Any: Ibis and sqlglot have no types here."""

    __slots__ = ()

    def visit_Add(self, op: Any, *, left: Any, right: Any) -> Any:
        return _put(_ADD, left, right) if op.dtype.is_floating() else super().visit_Add(op, left=left, right=right)

    def visit_Subtract(self, op: Any, *, left: Any, right: Any) -> Any:
        return _put(_SUBTRACT, left, right) if op.dtype.is_floating() else super().visit_Subtract(op, left=left, right=right)

    def visit_Multiply(self, op: Any, *, left: Any, right: Any) -> Any:
        return _put(_MULTIPLY, left, right) if op.dtype.is_floating() else super().visit_Multiply(op, left=left, right=right)

    def visit_Divide(self, op: Any, *, left: Any, right: Any) -> Any:
        return _put(_DIVIDE, left, right)

    def visit_Sum(self, op: Any, *, arg: Any, where: Any) -> Any:
        return super().visit_Sum(op, arg=_put(_ADDEND, arg) if op.arg.dtype.is_floating() else arg, where=where)

    def visit_Log2(self, op: Any, *, arg: Any) -> Any:
        return _put(_LOG2, arg)

    def visit_TimestampDelta(self, op: Any, *, part: Any, left: Any, right: Any) -> Any:
        if str(part.this) != "us":
            raise UnsupportedOperationError(f"Time differences in {part.this}: ask for microseconds.")
        return _put(_MICROSECONDS, left, right)

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:
        given = op.arg.dtype
        if given.is_boolean() and to.is_numeric():
            return self.cast(self.cast(arg, dt.int32), to)
        if given.is_floating() and to.is_string():
            return _put(_TEXT, arg)
        return super().visit_Cast(op, arg=arg, to=to)


@lru_cache(maxsize=5000)
def compiled(query: Query, shapes: tuple[Shape, ...]) -> tuple[str, pa.Schema]:
    """The query as SQL over tables log_0, log_1, …, and what its answer looks like. Writing it takes longer than counting a small day."""
    answer = query(*(ibis.table(dict(shape), name=f"{VIEW}_{place}") for place, shape in enumerate(shapes)))
    tree = Compiler().to_sqlglot(answer).transform(_shortened)
    return tree.sql(dialect="postgres"), pa.schema([(name, _arrow_type(kind)) for name, kind in answer.schema().items()])


def _arrow_type(kind: Any) -> pa.DataType:  # Any: Ibis has no types; its own conversion needs a package more
    if kind.is_timestamp():
        return pa.timestamp("us")
    if kind.is_array():
        return pa.list_(pa.float64())
    return pa.type_for_alias(str(dt.dtype(kind).copy(nullable=True)))


def short_name(name: str) -> str:
    """A name that PostgreSQL takes whole: long ones end in a digest of the rest."""
    if len(name.encode()) <= MOST_BYTES:
        return name
    return f"{name.encode()[:40].decode(errors='ignore')}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def quoted(name: str) -> str:
    """
    >>> quoted('a "b"')
    '"a ""b""\"'
    """
    return '"' + short_name(name).replace('"', '""') + '"'


def _put(template: str, a: Any, b: Any = None) -> Any:  # Any: nodes of sqlglot, which Ibis hands over untyped
    """The template of one or two operands. What would be written several times is reckoned once, in a query of its own: copies of copies have no
    end."""
    is_short = (
        template.count(":a") == 1 or (_is_plain(a) and (b is None or isinstance(b, sge.Literal))) or (_is_plain(b) and isinstance(a, sge.Literal))
    )
    if is_short:
        return sge.paren(sge.replace_placeholders(_parsed(template), a=sge.paren(a), b=sge.Null() if b is None else sge.paren(b)))
    operands = [sge.alias_(a, "a"), *([] if b is None else [sge.alias_(b, "b")])]
    once = sg.select(*operands).offset(0).subquery("operands")  # an offset keeps the planner from merging them
    return sg.select(sge.replace_placeholders(_parsed(template), a=sg.column("a"), b=sg.column("b"))).from_(once).subquery()


def _is_plain(node: Any) -> bool:  # Any: a node of sqlglot
    return isinstance(node, sge.Column | sge.Literal) or (isinstance(node, sge.Neg | sge.Paren) and _is_plain(node.this))


@lru_cache
def _parsed(template: str) -> Any:  # Any: a node of sqlglot, whose classes its versions name differently
    return sg.parse_one(template, dialect="postgres")


def _shortened(node: Any) -> Any:  # Any: the same
    return sge.to_identifier(short_name(node.name), quoted=node.args.get("quoted")) if isinstance(node, sge.Identifier) else node
