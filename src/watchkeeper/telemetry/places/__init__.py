"""Places where rows of a model live outside of us: one file per kind, found by discovery. File name = key; the entry-point group is `watchkeeper.places`.

A file holds its docstring and `open_place(address, …) -> Place`. A place only reads. It knows neither models nor which of its rows were taken.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import ModuleType
from typing import Protocol

import pyarrow as pa

from watchkeeper.core.errors import InvalidInput, NotFound
from watchkeeper.core.plugins import load_catalogue, title_and_page

GROUP = "watchkeeper.places"
ROWS_AT_ONCE = 20_000


class CannotWatch(InvalidInput):
    """The place, or a part of it, cannot be read: what is wrong with it, and what to do."""

    title = "Cannot be watched"


@dataclass(frozen=True, kw_only=True)
class Access:
    """What an installation allows and a person gave. `roots` are folders below which files may be read; `hostaddr` is the address that was checked."""

    roots: Sequence[str] = ()
    password: str = ""
    hostaddr: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was taken before: `parts` are the names of parts with the identity they had then, `mark` is what the place said of it, and `since` the time
    from which rows are looked at again."""

    time_column: str
    parts: Mapping[str, str] = field(default_factory=dict)
    mark: str = ""
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows that are read together: a file, an hour of a table. Another `identity` means that it was changed.

    `read(columns, needed)` yields tables of at most ROWS_AT_ONCE rows, the same ones in the same order as long as the identity holds, with those
    of the columns that are there. Raises CannotWatch, also when one of the needed columns is not.
    """

    name: str
    identity: str
    read: Callable[[Sequence[str], Collection[str]], Iterator[pa.Table]]


class Place(Protocol):
    def schema(self) -> pa.Schema:
        """Columns and types. Raises CannotWatch."""

    def count(self) -> int:
        """How many rows there are."""

    def parts(self, seen: Seen) -> Iterator[Part]:
        """What is new or changed, oldest first."""

    def mark(self, before: str, *, is_read: bool) -> str:
        """What to keep of a look: at its beginning, and when all its parts were read. `before` is what was kept last."""

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class PlaceKind:
    key: str
    title: str
    example: str
    open_place: Callable[[str, Access], Place]
    canonical: Callable[[str], str]


@cache
def catalogue() -> Mapping[str, PlaceKind]:
    """All kinds by key."""
    return load_catalogue(sys.modules[__name__], group=GROUP, build=_build)


def get(key: str) -> PlaceKind:
    found = catalogue().get(key)
    if found is None:
        raise NotFound(f"No kind of place {key!r}.", remedy=f"Known: {', '.join(catalogue())}.")
    return found


def _build(key: str, module: ModuleType) -> PlaceKind:
    title, _ = title_and_page("Place", key, module, parts=("EXAMPLE", "open_place", "canonical"))
    return PlaceKind(key=key, title=title, example=module.EXAMPLE, open_place=module.open_place, canonical=module.canonical)
