"""The pages of risks and channels, read from their files: their little Markdown as blocks, parameters and examples as tables. Makes no HTML."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext
from pydantic import BaseModel

from watchkeeper.channels import ChannelKind
from watchkeeper.core.text import N_
from watchkeeper.risks import Example, RiskType
from watchkeeper.web.present import translated, words
from watchkeeper.web.schema_forms import as_json

TYPES = {
    "string": N_("text"),
    "integer": N_("whole number"),
    "number": N_("number"),
    "boolean": N_("yes or no"),
    "array": N_("list"),
    "object": N_("names and values"),
}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


@dataclass(frozen=True)
class Block:
    """A paragraph (`words`), a list (`items`) or a table (`rows`, its heads first)."""

    words: str = ""
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str
    default: str
    meaning: str
    is_required: bool
    is_secret: bool


@dataclass(frozen=True)
class Case:
    """An example of a risk, evaluated for the page: the page cannot promise what the risk does not do."""

    title: str
    params: str
    outcome: str
    says: str


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


def parameters(schema: type[BaseModel], *, secrets: Collection[str] = ()) -> list[Parameter]:
    described = schema.model_json_schema()
    needed = set(described.get("required", ()))
    return [_parameter(name, shape, name in needed, name in secrets) for name, shape in described.get("properties", {}).items()]


def _parameter(name: str, shape: Mapping[str, Any], is_required: bool, is_secret: bool) -> Parameter:  # Any: JSON schema
    default = shape.get("default")
    shown = "" if is_secret or default in (None, "", [], {}) else as_json(default)
    return Parameter(name, _type(shape), shown, translated(shape.get("description", "")), is_required, is_secret)


def _type(shape: Mapping[str, Any]) -> str:  # Any: JSON schema
    """The type in words, with its bounds; that it may be empty, its default says. Nothing for a shape we have no word for."""
    if "anyOf" in shape:
        return ", ".join(filter(None, map(_type, shape["anyOf"])))
    if "enum" in shape:
        return gettext("one of %(values)s") % {"values": ", ".join(f"`{as_json(value)}`" for value in shape["enum"])}
    if shape.get("type") == "string" and "pattern" in shape and "examples" in shape:
        return gettext("duration, e.g. %(example)s") % {"example": f"`{shape['examples'][0]}`"}
    return " ".join([translated(TYPES.get(shape.get("type", ""), "")), *_bounds(shape)]).strip()


def _bounds(shape: Mapping[str, Any]) -> Iterator[str]:  # Any: JSON schema
    return (f"{sign} {shape[name]}" for name, sign in BOUNDS.items() if name in shape)


def cases(risk: RiskType) -> list[Case]:
    return [_case(risk, example) for example in risk.examples]


def _case(risk: RiskType, example: Example) -> Case:
    findings = risk.findings(example.evidence, risk.parse_params(example.params))
    params = json.dumps(dict(example.params), ensure_ascii=False) if example.params else ""
    return Case(translated(example.title), params, translated(example.outcome), "; ".join(words(finding.explanation) for finding in findings))


def calls(kind: ChannelKind) -> list[tuple[str, str]]:
    """The examples of a kind of channel: their titles, and what one sends to make such a channel."""
    return [
        (
            translated(example.title),
            json.dumps({"kind": kind.key, "name": translated(kind.title), "config": example.config}, indent=2, ensure_ascii=False),
        )
        for example in kind.examples
    ]
