"""The pages of risks and channels as they are read here: their little Markdown as blocks, their parameters as a table. No HTML is made here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext
from pydantic import BaseModel

from watchkeeper.web.schema_forms import as_json


@dataclass(frozen=True)
class Block:
    """A paragraph (`words`), a list (`items`) or a table (`rows`, its heads first)."""

    words: str = ""
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Parameter:
    name: str
    default: str
    meaning: str
    is_required: bool


def paragraphs(page: str) -> list[str]:
    """The parts of a page that are translated as one piece each: separated by empty lines, unwrapped unless they are lists or tables."""
    parts = [part.strip() for part in page.split("\n\n") if part.strip()]
    return [part if part[0] in "|-" else " ".join(part.split()) for part in parts]


def blocks(page: str) -> list[Block]:
    return [_block(gettext(part)) for part in paragraphs(page)]


def _block(part: str) -> Block:
    if part.startswith("|"):
        rows = [tuple(cell.strip() for cell in line.strip("| ").split("|")) for line in part.splitlines() if not set(line) <= set("|- ")]
        return Block(rows=tuple(rows))
    if part.startswith("- "):
        return Block(items=tuple(" ".join(item.split()) for item in part.removeprefix("- ").split("\n- ")))
    return Block(words=part)


def parameters(params: type[BaseModel]) -> list[Parameter]:
    schema = params.model_json_schema()
    needed = set(schema.get("required", ()))
    return list(_parameters(schema.get("properties", {}), needed))


def _parameters(shapes: Mapping[str, Any], needed: set[str]) -> Iterator[Parameter]:  # Any: JSON schema
    for name, shape in shapes.items():
        default = shape.get("default")
        shown = "" if default in (None, "", []) else as_json(default)
        yield Parameter(name, shown, gettext(shape.get("description", "")), name in needed)
