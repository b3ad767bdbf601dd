"""Query engines: one file each, found by discovery. File name = key. Third parties use the entry-point group `watchkeeper.engines`, the same door.

A file holds its docstring and `connect(**settings) -> Engine`. An engine runs Ibis expressions; it does not know which.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import ModuleType
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa

from watchkeeper.core.errors import NotFound
from watchkeeper.core.plugins import load_catalogue, title_and_page

GROUP = "watchkeeper.engines"

Query = Callable[..., ir.Table]  # of one table for each source


@dataclass(frozen=True, kw_only=True)
class Source:
    """Parquet files of several schemas as one table. `columns` maps those the query needs to Ibis types; where no file has one it is null.

    Times have no zone: they are UTC. Without files the table is empty.
    """

    files: Sequence[str]
    columns: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class TableSource:
    """A table of the engine's own database, read where it is.

    `table` is its name, with its schema; `columns` maps those the query needs to Ibis types and `names` to the table's own columns, where they
    are called otherwise. A column that the table lacks is null. Times with a zone become UTC, those without are UTC.
    """

    table: tuple[str, ...]
    columns: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)


class FilesGone(Exception):
    """Files of the list were compacted and vacuumed away meanwhile: ask the log for a new list."""


class Reading(Protocol):
    """Tables that are open to be asked, as often as one likes."""

    def run(self, query: Query) -> pa.Table:
        """The query's answer. Raises FilesGone."""

    def batches(self, query: Query, *, rows: int) -> Generator[pa.RecordBatch, None, None]:
        """The same answer, about so many rows at a time: one of any size in little memory. Read to its end or closed before the next question."""


class Engine(Protocol):
    def reading(self, *sources: Source | TableSource, moments: Mapping[str, datetime] | None = None) -> AbstractContextManager[Reading]:
        """Opens tables, which queries get in the order of the sources. One reading at a time.

        `moments` are further columns of the first one with one value each, so that a query is the same expression for every window and an
        engine may keep its SQL. Raises FilesGone, and InvalidInput for a source that the engine cannot read.
        """

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class EngineType:
    key: str
    title: str
    connect: Callable[..., Engine]


@cache
def catalogue() -> Mapping[str, EngineType]:
    """All engines by key."""
    return load_catalogue(sys.modules[__name__], group=GROUP, build=_build)


def get(key: str) -> EngineType:
    found = catalogue().get(key)
    if found is None:
        raise NotFound(f"No engine {key!r}.", remedy=f"Known: {', '.join(catalogue())}.")
    return found


def _build(key: str, module: ModuleType) -> EngineType:
    title, _ = title_and_page("Engine", key, module, parts=("connect",))
    return EngineType(key=key, title=title, connect=module.connect)
