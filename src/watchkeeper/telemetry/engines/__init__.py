"""Query engines: one file each, found by discovery. File name = key. Third parties use the entry-point group `watchkeeper.engines`, the same door.

A file holds its docstring and `connect(**settings) -> Engine`. An engine runs Ibis expressions; it does not know which.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import ModuleType
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa

from watchkeeper.core.errors import NotFound
from watchkeeper.core.plugins import load_catalogue

GROUP = "watchkeeper.engines"

Query = Callable[..., ir.Table]  # of one table for each source


@dataclass(frozen=True, kw_only=True)
class Source:
    """Parquet files of several schemas as one table. `columns` maps those the query needs to Ibis types; where no file has one it is null.

    Times have no zone: they are UTC. Without files the table is empty.
    """

    files: Sequence[str]
    columns: Mapping[str, str]


class FilesGone(Exception):
    """Files of the list were compacted and vacuumed away meanwhile: ask the log for a new list."""


class Engine(Protocol):
    def run(self, query: Query, *sources: Source, moments: Mapping[str, datetime] | None = None) -> pa.Table:
        """The query's answer over its tables, in the order of the sources.

        `moments` are further columns of the first one with one value each, so that a query is the same expression for every window and an
        engine may keep its SQL. Raises FilesGone.
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
    missing = [name for name in ("__doc__", "connect") if not getattr(module, name, None)]
    if missing:
        raise LookupError(f"Engine {key!r} ({module.__name__}) lacks {', '.join(missing)}.")
    return EngineType(key=key, title=(module.__doc__ or "").strip().partition("\n")[0].rstrip("."), connect=module.connect)
