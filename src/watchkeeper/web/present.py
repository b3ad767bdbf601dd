"""How values of the platform look to a reader: texts, times, numbers and money in their language and zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from babel.dates import format_date
from babel.numbers import format_compact_currency, format_decimal
from django.utils import timezone, translation
from django.utils.translation import gettext

from watchkeeper.core import text as core
from watchkeeper.core.settings import settings
from watchkeeper.core.text import Text

LEAST_CHANCE = 0.0001


def words(text: Text | dict[str, Any] | None) -> str:  # Any: a stored Text
    """A stored sentence in the reader's language and time zone."""
    if not isinstance(text, Text):
        text = Text.from_json(text)
    return text.render(translate=translated, language=language(), zone=timezone.get_current_timezone())


def translated(message: str) -> str:
    return gettext(message) if message else ""


def language() -> str:
    return (translation.get_language() or "en").split("-")[0]


def span(length: timedelta | float) -> str:
    """A duration as at most two units."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    return core.duration(seconds, translate=translated)


def moment(at: datetime) -> str:
    return core.moment(at, language=language(), zone=timezone.get_current_timezone())


def short_moment(at: datetime, now: datetime) -> str:
    """The time alone today, the day and time this year, else the whole date."""
    zone = timezone.get_current_timezone()
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    if local.date() == today:
        return f"{local:%H:%M}"
    pattern = "d MMM" if local.year == today.year else "d MMM y"
    return f"{format_date(local.date(), pattern, locale=language())} {local:%H:%M}"


def day(at: datetime) -> str:
    return str(format_date(at.astimezone(timezone.get_current_timezone()).date(), "d MMM y", locale=language()))


def number(value: float | None) -> str:
    return "–" if value is None else core.number(value, language=language())


def measured(value: float | None, measures: str) -> str:
    """A value of a finding as what it is: a number, a share, a duration."""
    return "–" if value is None else words(Text(f"{{value:{measures}}}", {"value": value}))


def integer(value: int) -> str:
    return str(format_decimal(value, format="#,##0", locale=language()))


def signed(value: int) -> str:
    """A difference: always with its sign."""
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{integer(abs(value))}"


def figure(value: float) -> str:
    """A metric in a column of others: three decimals up to 10, then four digits; a dash when it is not known."""
    if not isfinite(value):
        return "–"
    return str(format_decimal(value, format="0.000", locale=language())) if abs(value) < 10 else number(value)


def change(value: float) -> str:
    """A difference of metrics: always with its sign."""
    if not isfinite(value):
        return "–"
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{figure(abs(value))}"


def share(part: float) -> str:
    """A part of the whole, in per cent with one decimal."""
    return f"{format_decimal(100 * part, format='0.0', locale=language())}{core.NO_BREAK}%"


def whole_share(part: float) -> str:
    """A round part of the whole, in per cent."""
    return f"{integer(round(100 * part))}{core.NO_BREAK}%"


def chance(p_value: float) -> str:
    """A p-value: never 0, which none is; a dash when it is not known."""
    if not isfinite(p_value):
        return "–"
    shown, sign = (p_value, "=") if p_value >= LEAST_CHANCE else (LEAST_CHANCE, "<")
    return f"p{core.NO_BREAK}{sign}{core.NO_BREAK}{number(shown)}"


def money(amount: Decimal | float | None) -> str:
    """An amount in the installation's currency, or that it is unknown: never 0 for unknown."""
    if amount is None:
        return gettext("unknown")
    rounded = Decimal(amount).quantize(Decimal("0.01"))
    return str(format_compact_currency(rounded, settings().currency, locale=language(), fraction_digits=2 if amount < 1000 else 1)).replace(
        ".0\u00a0", "\u00a0"
    )
