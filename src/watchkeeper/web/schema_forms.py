"""A form from a JSON Schema: settings of a channel, parameters of a risk. One declaration is validation, form and documentation.

Knows the shapes that occur there: text, numbers, yes and no, choices, lists of text (one per line), named secrets (one `Name: value` per line).
What it gives back is JSON for the owner of the schema, who validates it and names what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext
from pydantic import BaseModel

from watchkeeper.core.errors import WatchkeeperError
from watchkeeper.web.forms import PlainForm, lines

Json = Any  # Any: JSON and JSON Schema


class SchemaForm(PlainForm):
    """`given()` is what the schema's owner gets; `place` puts what it refuses beside the fields."""

    def __init__(self, *args: Any, schema: type[BaseModel], secrets: Iterable[str] = (), **kwargs: Any) -> None:  # Any: Django's own arguments
        described = schema.model_json_schema()
        self.shapes: dict[str, Json] = {name: _plain(shape) for name, shape in described.get("properties", {}).items()}
        self.needed = set(described.get("required", ()))
        initial = {name: shape["default"] for name, shape in self.shapes.items() if "default" in shape} | (kwargs.pop("initial", None) or {})
        super().__init__(*args, initial={name: _shown(value) for name, value in initial.items() if name in self.shapes}, **kwargs)
        for name, shape in self.shapes.items():
            field = _field(name, shape, is_secret=name in secrets)
            field.required = name in self.needed and not isinstance(field, forms.BooleanField)
            if not isinstance(field.widget, forms.CheckboxInput):
                field.widget.attrs.setdefault("class", "input")
            self.fields[name] = field

    def given(self) -> dict[str, Json]:
        """JSON of what was filled in; an empty field is left out, so that its default holds, or null where null is a value of its own."""
        read = {name: _read(shape, self.cleaned_data.get(name)) for name, shape in self.shapes.items()}
        return {
            name: value for name, value in read.items() if value is not None or (self.shapes[name]["nullable"] and "default" in self.shapes[name])
        }

    def place(self, problem: WatchkeeperError) -> None:
        """Each message beside its field, else above the form."""
        for name, message in problem.fields.items():
            field = name.split(".")[0]
            self.add_error(field if field in self.fields else None, gettext(message.removeprefix("Value error, ")))
        if not problem.fields:
            self.add_error(None, f"{gettext(problem.detail)} {gettext(problem.remedy)}")


def label_of(name: str) -> str:
    """A field's name as a label; the collector of translations knows it too."""
    return name.replace("_", " ").capitalize()


def _plain(shape: Json) -> Json:
    """A shape without its null alternative."""
    choices = [choice for choice in shape.get("anyOf", ()) if choice.get("type") != "null"]
    return {**(choices[0] if choices else {}), **{k: v for k, v in shape.items() if k != "anyOf"}, "nullable": "anyOf" in shape}


def _field(name: str, shape: Json, *, is_secret: bool) -> forms.Field:
    words: dict[str, Any] = {"label": gettext(label_of(name)), "help_text": gettext(shape.get("description", ""))}  # Any: Django's own
    kind = shape.get("type")
    if "enum" in shape:
        return forms.ChoiceField(choices=[(value, value) for value in shape["enum"]], **words)
    if kind == "boolean":
        return forms.BooleanField(**words)
    if kind == "integer":
        return forms.IntegerField(min_value=shape.get("minimum"), max_value=shape.get("maximum"), **words)
    if kind == "number":
        return forms.FloatField(localize=True, **words)
    if kind in ("array", "object"):
        return forms.CharField(widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}), **words)
    if is_secret:
        return forms.CharField(widget=forms.PasswordInput(render_value=True, attrs={"autocomplete": "new-password"}), strip=False, **words)
    return forms.CharField(**words)


def _shown(value: Json) -> Json:
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {part}" for name, part in value.items())
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else value


def _read(shape: Json, value: Json) -> Json:
    kind = shape.get("type")
    if kind == "array":
        return lines(value or "")
    if kind == "object":
        split = [line.partition(":") for line in lines(value or "")]
        return {name.strip(): rest.strip() for name, _colon, rest in split}
    return value if value != "" else None


def as_json(value: Json) -> str:
    """JSON as people read it: without quotes around a single word."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
