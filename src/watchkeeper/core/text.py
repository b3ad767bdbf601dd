"""Sentences that keep their numbers: stored as template and arguments, rendered in the reader's language and time zone.

Does not translate by itself: the caller brings `translate`, so nothing here knows Django.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from babel.dates import format_datetime
from babel.numbers import format_decimal

NO_BREAK = "\u00a0"
Translate = Callable[[str], str]
Argument = str | float | int | bool | None | list[str]


def N_(message: str) -> str:
    """Mark a string for translation without translating it now."""
    return message


@dataclass(frozen=True)
class Text:
    """A translatable template and its arguments.

    Formats: `{x:number}`, `{x:integer}`, `{x:share}` (0.31 -> 31 %), `{x:duration}` (seconds), `{x:time}` (ISO 8601), `{x:list}`.
    A plain `{x}` of a string is itself looked up in the translations only with `{x:word}`.

    >>> Text("silent for {age:duration}, limit {limit:duration}", {"age": 11400, "limit": 1800}).render().replace(NO_BREAK, " ")
    'silent for 3 h 10 min, limit 30 min'
    """

    template: str
    args: Mapping[str, Argument] = field(default_factory=dict)

    def render(self, *, translate: Translate = str, language: str = "en", zone: tzinfo = UTC) -> str:
        return _Formatter(translate, language, zone).format(translate(self.template), **self.args)

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return {"text": self.template, "args": dict(self.args)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> Text:  # Any: JSON
        return cls(stored["text"], stored.get("args", {})) if stored else cls("")


class _Formatter(string.Formatter):
    """`str.format` with the formats of Text; a missing argument shows as its name, so that a bad translation never hides an alert."""

    def __init__(self, translate: Translate, language: str, zone: tzinfo) -> None:
        self.translate, self.language, self.zone = translate, language, zone

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # Any: signature of string.Formatter
        return kwargs.get(str(key), f"{{{key}}}")

    def format_field(self, value: Any, format_spec: str) -> str:  # Any: signature of string.Formatter
        if value is None:
            return "–"
        match format_spec:
            case "number":
                return number(value, language=self.language)
            case "integer":
                return format_decimal(int(value), format="#,##0", locale=self.language)
            case "share":
                return number(100 * value, language=self.language) + NO_BREAK + "%"
            case "duration":
                return duration(value, translate=self.translate)
            case "time":
                return moment(datetime.fromisoformat(value), language=self.language, zone=self.zone)
            case "list":
                return ", ".join(value)
            case "word":
                return self.translate(str(value))
        return str(super().format_field(value, format_spec))


def number(value: float, *, language: str = "en") -> str:
    """A number with four significant digits, as people write it in the language.

    >>> number(0.123456), number(1234567.0), number(18.4), number(1.5e60)
    ('0.1235', '1,234,567', '18.4', '1.5e+60')
    """
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if abs(value) >= 1e15:
        return f"{value:.4g}"
    if abs(value) >= 1000:
        return format_decimal(round(value), format="#,##0", locale=language)
    return format_decimal(float(f"{value:.4g}"), format="#,##0.##########", locale=language)


def duration(seconds: float, *, translate: Translate = str) -> str:
    """Seconds as at most two units.

    >>> duration(11400).replace(NO_BREAK, " "), duration(0), duration(200000).replace(NO_BREAK, " ")
    ('3 h 10 min', '0\\xa0s', '2 d 7 h')
    """
    rest = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in ((86400, N_("d")), (3600, N_("h")), (60, N_("min")), (1, N_("s"))):
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount}{NO_BREAK}{translate(unit)}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return NO_BREAK.join(parts) or f"0{NO_BREAK}{translate(N_('s'))}"


def moment(at: datetime, *, language: str = "en", zone: tzinfo = UTC) -> str:
    """A date and time to the minute in the reader's zone.

    >>> moment(datetime(2026, 11, 22, 14, 32, tzinfo=UTC))
    '22 Nov 2026, 14:32'
    """
    return str(format_datetime(at.astimezone(zone), "d MMM y, HH:mm", locale=language))
