"""The four kinds of frame behind one face. Taking one costs a single copy; every conversion happens later. Does not know fields.

pandas, polars and pyarrow are never imported to look at a frame: who passes one has imported its library.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Protocol

from watchkeeper.client._inbox import ArrowTable, Row

Library = Any  # Any: an optional, untyped module or one of its frames
_SMALL = frozenset({int, float, bool, type(None)})
_COLUMN_BYTES = 64  # a guess for one small value with its key; asking Python for each would cost more than all the rest


class Frame(Protocol):
    """A private copy of what the caller passed; `size` in bytes."""

    size: int

    def __len__(self) -> int: ...
    def columns(self) -> list[str]: ...
    def records(self) -> list[Row]: ...
    def table(self, arrow: Library) -> ArrowTable: ...


def take(given: object, *, at_most: int | None = None) -> Frame:
    """A copy of the frame, of `at_most` rows spread evenly over it."""
    if type(given) is dict or isinstance(given, Mapping):  # the first is the hot path: a test for Mapping costs ten times as much
        return Rows([given])
    if isinstance(given, list | tuple):
        return Rows([given[position] for position in spread(len(given), at_most)])
    if _is(given, "pandas"):
        return PandasFrame(given, at_most)
    if _is(given, "polars"):
        return PolarsFrame(given, at_most)
    if _is(given, "pyarrow", "Table"):
        return ArrowFrame(given, at_most)
    raise TypeError(f"Cannot read a {type(given).__name__}. Pass a pandas or polars DataFrame, a pyarrow Table, a list of dicts or one dict.")


def spread(rows: int, at_most: int | None) -> list[int]:
    """Evenly spaced positions.

    >>> spread(10, 4)
    [0, 2, 5, 7]
    """
    if at_most is None or rows <= at_most:
        return list(range(rows))
    return [index * rows // at_most for index in range(at_most)]


def _is(given: object, library: str, kind: str = "DataFrame") -> bool:
    module = sys.modules.get(library)
    return module is not None and isinstance(given, getattr(module, kind))


class Rows:
    """A dict or a list of them."""

    def __init__(self, rows: Iterable[Mapping[str, object]]) -> None:
        self.size = 0
        self._rows: list[Row] = []
        for row in rows:
            copied, size = _detached(row)
            self._rows.append(copied)
            self.size += size

    def __len__(self) -> int:
        return len(self._rows)

    def columns(self) -> list[str]:
        return list(dict.fromkeys(chain.from_iterable(self.records())))

    def records(self) -> list[Row]:
        return [row if all(type(name) is str for name in row) else {str(name): value for name, value in row.items()} for row in self._rows]

    def table(self, arrow: Library) -> ArrowTable:
        rows = self.records()
        return arrow.table({name: arrow.array([row.get(name) for row in rows], from_pandas=True) for name in self.columns()})


class PandasFrame:
    def __init__(self, given: Library, at_most: int | None) -> None:
        self.frame = given.copy() if at_most is None or len(given) <= at_most else given.iloc[spread(len(given), at_most)]
        self.size = int(self.frame.memory_usage(index=False).sum())

    def __len__(self) -> int:
        return len(self.frame)

    def columns(self) -> list[str]:
        return [str(name) for name in self.frame.columns]

    def records(self) -> list[Row]:
        rows: list[Row] = self.frame.rename(columns=str).to_dict("records")
        return rows

    def table(self, arrow: Library) -> ArrowTable:
        return arrow.Table.from_pandas(self.frame.rename(columns=str), preserve_index=False)


class PolarsFrame:
    def __init__(self, given: Library, at_most: int | None) -> None:
        self.frame = given.clone() if at_most is None or len(given) <= at_most else given[spread(len(given), at_most)]
        self.size = int(self.frame.estimated_size())

    def __len__(self) -> int:
        return len(self.frame)

    def columns(self) -> list[str]:
        return list(self.frame.columns)

    def records(self) -> list[Row]:
        rows: list[Row] = self.frame.to_dicts()
        return rows

    def table(self, arrow: Library) -> ArrowTable:
        return self.frame.to_arrow()


class ArrowFrame:
    """Immutable by design: nothing to copy."""

    def __init__(self, given: Library, at_most: int | None) -> None:
        self.frame = given if at_most is None or len(given) <= at_most else given.take(spread(len(given), at_most))
        self.size = int(self.frame.nbytes)

    def __len__(self) -> int:
        return len(self.frame)

    def columns(self) -> list[str]:
        return list(self.frame.column_names)

    def records(self) -> list[Row]:
        rows: list[Row] = self.frame.to_pylist()
        return rows

    def table(self, arrow: Library) -> ArrowTable:
        return self.frame


def _detached(row: Mapping[str, object]) -> tuple[Row, int]:
    """A copy deep enough that the caller may reuse the row, its features and its vectors, and roughly the bytes it holds.

    This is most of what a call costs: one pass, in which plain values are looked at and left alone. Texts and vectors count in full, else one
    huge text could hide.
    """
    copied: Row = row.copy() if type(row) is dict else dict(row.items())
    size = _COLUMN_BYTES * (1 + len(copied))
    for name, value in copied.items():
        kind: type = type(value)
        if kind in _SMALL:
            continue
        if kind is str:
            size += sys.getsizeof(value)
        elif kind is dict or isinstance(value, Mapping):
            copied[name], inner = _detached(value)
            size += inner
        else:
            copied[name] = own = _copied(value)
            size += sys.getsizeof(own)
    return copied, size


def _copied(value: Any) -> object:  # Any: whatever the caller logs
    if isinstance(value, list | tuple):
        return list(value)
    copy = getattr(value, "copy", None)
    return copy() if callable(copy) else value
