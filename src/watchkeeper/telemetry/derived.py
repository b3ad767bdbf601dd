"""Derived columns: numbers reckoned from a row, counted in bins like any other. Each is told twice, in Ibis for engines and in numpy for rows at hand.

Measures of vectors are told in numpy only (telemetry.vector_counts reads the rows). Names begin with "d.": no column of the log has such a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.core.text import N_, Text
from watchkeeper.telemetry.cells import Floats, as_numbers, as_text, column_of
from watchkeeper.telemetry.vectors import COSINE, LENGTH, OUTSIDE, VectorFrame

PREFIX = "d."
_MEASURES = {
    LENGTH: N_("{column}: length"),
    COSINE: N_("{column}: similarity to the mean"),
    "direction": N_("{column}: along direction {number}"),
    OUTSIDE: N_("{column}: share outside the directions"),
}


@dataclass(frozen=True)
class Confidence:
    """How sure a model is of a row: max(p, 1 - p) of one probability, the highest of several. What is not within [0, 1] is no probability."""

    kind: ClassVar[str] = "confidence"

    scores: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        return self.scores

    @property
    def title(self) -> Text:
        return Text(N_("confidence"))

    def expression(self, log: ir.Table) -> ir.Value:
        """A double for each row of the log; null where there is none."""
        known = [ibis.ifelse(log[name].between(0.0, 1.0), log[name], None) for name in self.scores]
        return ibis.greatest(known[0], 1.0 - known[0]) if len(known) == 1 else ibis.greatest(*known)

    def numbers(self, table: pa.Table) -> Floats:
        """The same of rows at hand; NaN where there is none. A column that the table lacks is null."""
        given = np.stack([as_numbers(column_of(table, name)) for name in self.scores])
        known = np.where((given >= 0) & (given <= 1), given, np.nan)
        return np.asarray(np.maximum(known[0], 1.0 - known[0]) if len(known) == 1 else np.fmax.reduce(known))

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:  # Any: JSON
        return cls(tuple(stored["scores"]))


@dataclass(frozen=True)
class UnusualValues:
    """How many values of a row are unusual: numbers outside their span, levels that are not among the usual ones. A null is not.

    `spans` are columns with the smallest and largest usual number, `levels` columns with their usual levels.
    """

    kind: ClassVar[str] = "unusual_values"

    spans: tuple[tuple[str, float, float], ...]
    levels: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def reads(self) -> tuple[str, ...]:
        return (*(name for name, _, _ in self.spans), *(name for name, _ in self.levels))

    @property
    def title(self) -> Text:
        return Text(N_("unusual values per row"))

    def expression(self, log: ir.Table) -> ir.Value:
        outside = [_is_outside(log[name].cast("float64"), low, high) for name, low, high in self.spans]
        other = [log[name].cast("string").notin(usual) for name, usual in self.levels]
        return _added([is_unusual.ifelse(1, 0) for is_unusual in (*outside, *other)]).cast("float64")

    def numbers(self, table: pa.Table) -> Floats:
        found = np.zeros(len(table))
        for name, low, high in self.spans:
            cells = as_numbers(column_of(table, name))
            found += (cells < low) | (cells > high)
        for name, usual in self.levels:
            cells = as_text(column_of(table, name))
            found += pc.and_(pc.is_valid(cells), pc.invert(pc.is_in(cells, value_set=pa.array(usual, pa.string())))).to_numpy(zero_copy_only=False)
        return found

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return {"kind": self.kind, "spans": [list(span) for span in self.spans], "levels": [[name, list(usual)] for name, usual in self.levels]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:  # Any: JSON
        return cls(tuple((name, low, high) for name, low, high in stored["spans"]), tuple((name, tuple(usual)) for name, usual in stored["levels"]))


@dataclass(frozen=True)
class VectorMeasure:
    """One measure of a vector column (telemetry.vectors)."""

    kind: ClassVar[str] = "vector_measure"

    column: str
    measure: str
    frame: VectorFrame

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def title(self) -> Text:
        name, _, number = self.measure.partition(" ")
        return Text(_MEASURES[name], {"column": self.column.removeprefix("f."), "number": number})

    def chosen(self, measured: Floats) -> Floats:
        """Its column of what the frame measured."""
        return np.asarray(measured[:, self.frame.measures.index(self.measure)])

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:  # Any: JSON
        return cls(stored["column"], stored["measure"], VectorFrame.from_json(stored["frame"]))


def _is_outside(x: ir.Value, low: float, high: float) -> ir.Value:
    """NaN, which engines hold to be the largest number, is not."""
    return (x < low) | ((x > high) & (x <= float("inf")))


def _added(terms: Sequence[ir.Value]) -> ir.Value:
    """Their sum as a tree of little depth: a chain of hundreds is too deep for compilers."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return _added(terms[:half]) + _added(terms[half:])


def as_double(x: ir.Value) -> ir.Value:
    """Numbers as they are, times as whole seconds since 1970."""
    return x.truncate("s").epoch_seconds().cast("float64") if x.type().is_timestamp() else x.cast("float64")


Derived = Confidence | UnusualValues | VectorMeasure


def derived_from_json(stored: Mapping[str, Any]) -> Derived:  # Any: JSON
    kinds: tuple[type[Derived], ...] = (Confidence, UnusualValues, VectorMeasure)
    return {kind.kind: kind for kind in kinds}[stored["kind"]].from_json(stored)
