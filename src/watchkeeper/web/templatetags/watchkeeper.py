"""Template tags of the pages: lights, criticality, strips and gauges as SVG; stored texts, times and numbers for the reader."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_noop

from watchkeeper import risks
from watchkeeper.analysis.columns import short_name
from watchkeeper.core.durations import parse_duration
from watchkeeper.core.text import Text
from watchkeeper.monitoring.queries import BoundRisk, title_of
from watchkeeper.risks import RiskType
from watchkeeper.web import drawing, page, present
from watchkeeper.web.pages import blocks
from watchkeeper.web.portfolio import Row

register = template.Library()
LIGHTS = {"red": gettext_noop("Red"), "yellow": gettext_noop("Yellow"), "green": gettext_noop("Green"), "grey": gettext_noop("Grey")}
LEAST_SHOWN = 0.001
BARS = ((0, 7, 4), (5, 3.5, 7.5), (10, 0, 11))


@register.simple_tag
def light(colour: str, size: str = "", label: str = "") -> SafeString:
    """A light: its shape says what its colour says."""
    return _light(colour, size, label or gettext(LIGHTS.get(colour, colour)))


@lru_cache(maxsize=200)
def _light(colour: str, size: str, label: str) -> SafeString:
    return format_html('<svg class="light {} {}" role="img" aria-label="{}"><use href="#light-{}"/></svg>', colour, size, label, colour)


@register.filter
def light_word(colour: str) -> str:
    return gettext(LIGHTS.get(colour, colour))


@register.simple_tag
def crit(criticality: int) -> SafeString:
    bars = format_html_join(
        "", '<rect class="{}" x="{}" y="{}" width="3" height="{}"/>', (("on" if i < criticality else "off", *bar) for i, bar in enumerate(BARS))
    )
    title = gettext("criticality %(number)s of 3") % {"number": criticality}
    return format_html('<span class="crit" title="{}"><svg viewBox="0 0 13 11" aria-hidden="true">{}</svg>{}</span>', title, bars, criticality)


@register.simple_tag
def strip(days: Sequence[str], label: str, is_wide: bool = False) -> SafeString:
    """The light of each day; the height repeats the colour."""
    return _strip(tuple(days), label, is_wide)


@lru_cache(maxsize=1000)
def _strip(days: tuple[str, ...], label: str, is_wide: bool) -> SafeString:
    """Most models of a company have the same quiet days."""
    paths = format_html_join("", '<path class="x-{}" d="{}"/>', drawing.strip_paths(days))
    return format_html(
        '<svg class="strip{}" viewBox="0 0 {} 18" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        " wide" if is_wide else "",
        4 * len(days),
        label,
        paths,
    )


@register.simple_tag
def board_row(row: Row) -> SafeString:
    """A row of the board. Most say today what they said a minute ago: those are not rendered again."""
    return _board_row(row, present.language())


@lru_cache(maxsize=2000)
def _board_row(row: Row, language: str) -> SafeString:
    return render_to_string("board/row.html", {"row": row})


@register.simple_tag
def gauge(value: float, limit: float, risk: str, colour: str) -> SafeString:
    """Value against its limit on one line."""
    drawn = drawing.gauge(value, limit)
    label = gettext("%(value)s, limit %(limit)s") % {"value": measured(value, risk), "limit": measured(limit, risk)}
    return format_html(
        '<svg class="gauge {}" viewBox="0 0 132 16" role="img" aria-label="{}"><rect class="track" x="4" y="5" width="124" height="6"/>'
        '<rect class="over" x="{}" y="5" width="{}" height="6"/><path class="lim" d="M{} 1v14"/><circle class="val" cx="{}" cy="8" r="4.5"/></svg>',
        colour,
        label,
        drawn.over_from,
        drawn.over_width,
        drawn.limit_at,
        drawn.value_at,
    )


@register.filter
def words(text: Text | dict[str, Any] | None) -> str:  # Any: a stored Text
    return present.words(text)


@register.filter
def translated(message: str) -> str:
    """A label that was marked where it stands, in the reader's language."""
    return present.translated(str(message))


@register.filter
def ago(at: datetime | None) -> str:
    """How long since, without "ago"."""
    return present.span(max(page.now() - at, timedelta(0))) if at else ""


@register.filter
def until(at: datetime | None) -> str:
    return present.span(max(at - page.now(), timedelta(0))) if at else ""


@register.filter
def when(at: datetime | None) -> SafeString:
    """Short when young, the whole date in its title."""
    if at is None:
        return SafeString("")
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), present.moment(at), present.short_moment(at, page.now()))


@register.filter
def moment(at: datetime | None) -> str:
    return present.moment(at) if at else ""


@register.filter
def day(at: datetime | None) -> str:
    return present.day(at) if at else ""


@register.filter
def span(length: timedelta | float | None) -> str:
    return present.span(length) if length is not None else ""


@register.filter
def number(value: float | None) -> str:
    return present.number(value)


@register.filter
def figure(value: float) -> str:
    return present.figure(value)


@register.filter
def change(value: float) -> str:
    return present.change(value)


@register.filter
def integer(value: int | None) -> str:
    return present.integer(value) if value is not None else "–"


@register.filter
def part(share: float) -> str:
    """A share of rows; a dash when there are none."""
    return present.share(share) if isfinite(share) else "–"


@register.filter
def whole_part(share: float) -> str:
    return present.whole_share(share)


@register.filter
def index_of(psi: float) -> str:
    """A stability index: three decimals tell apart what matters, two from one on."""
    if not isfinite(psi):
        return "–"
    return present.number(round(psi, 3 if psi < 1 else 2)) if psi >= LEAST_SHOWN else f"<\u00a0{present.number(LEAST_SHOWN)}"


@register.filter
def place(at: float) -> str:
    """A coordinate in a drawing: with a point in every language."""
    return f"{at:.1f}"


@register.filter
def column_name(column: str) -> str:
    """The name that people know a column of the log by."""
    return short_name(column)


@register.filter
def signed(value: int) -> str:
    return present.signed(value)


@register.filter
def share_of(part: int, whole: int) -> str:
    return present.share(part / whole) if whole else "–"


@register.filter
def money(amount: Decimal | float | None) -> str:
    return present.money(amount)


@register.filter
def pretty(content: Any) -> str:  # Any: JSON
    return json.dumps(content, indent=1, ensure_ascii=False)


@register.filter
def schedule(given: Mapping[str, str]) -> str:
    """A binding's schedule in words."""
    if "on" in given:
        return gettext("on each event")
    if "cron" in given:
        return f"{given['cron']} {given.get('timezone', '')}".strip()
    return gettext("every %(interval)s") % {"interval": present.span(parse_duration(given["every"]))}


@register.filter
def parameters(risk: BoundRisk) -> list[tuple[str, str, str]]:
    """Name, value and source of each effective parameter."""
    sources = risk.sources
    return [(name, "–" if value in (None, "") else str(value), _source(sources.get(name, ""))) for name, value in risk.effective.items()]


def _source(source: str) -> str:
    known = {"default": gettext("default"), "binding": gettext("set here")}
    return known.get(source, source)


@register.filter
def measured(value: float | None, risk: str) -> str:
    """A value of a finding as what this type of risk measures; a type that is gone measured numbers."""
    kind = risks.catalogue().get(risk)
    return present.measured(value, kind.measures if kind else "number")


@register.filter
def risk_title(key: str) -> str:
    return gettext(title_of(key))


@register.filter
def first_words(kind: RiskType) -> str:
    """The first sentences of a risk's page: what it is about."""
    words = next((block.words for block in blocks(kind.page) if block.words), "")
    first, _stop, rest = words.partition(". ")
    second = rest.partition(". ")[0].rstrip(".")
    return f"{first.rstrip('.')}. {second}." if second and len(first) + len(second) < 200 else f"{first.rstrip('.')}."
