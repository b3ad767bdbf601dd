"""Charts: a Vega-Lite spec becomes SVG that is inlined in the page. Colours are the page's tokens, so a theme switches without redrawing.

One width per call: a panel over the whole column asks for a wide and a narrow drawing and shows one, half a column for one that fits both. Nothing in the SVG carries a style attribute or a script.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import vl_convert
from django.core.cache import cache
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from watchkeeper.web import present

Spec = dict[str, Any]  # Any: JSON of Vega-Lite
WIDE, HALF_WIDE, HALF, NARROW = 800, 540, 372, 340
WIDTHS = {"": (WIDE, NARROW), "two": (HALF_WIDE, NARROW), "half": (HALF,)}  # by the place: a column, half a page, half a column
CACHE_SECONDS = 600
HALO = {"stroke": "var(--panel)", "strokeWidth": 3, "strokeJoin": "round"}  # the style sheet paints it below the letters
EVENTS_NAMED = {WIDE: 6, HALF_WIDE: 3, HALF: 2, NARROW: 2}
SHOWN = {WIDE: "only-wide", HALF_WIDE: "only-wide", HALF: "", NARROW: "only-narrow"}
_FORBIDDEN = re.compile(r'\s(?:style|on\w+)="[^"]*"|<script.*?</script>|<style.*?</style>', re.DOTALL)
_OPENING = re.compile(r"<svg [^>]*?width=\"([\d.]+)\" height=\"([\d.]+)\"[^>]*>")


@dataclass(frozen=True)
class Mark:
    """A dashed line in time, and what it marks."""

    at: datetime
    label: str


@dataclass(frozen=True)
class Limits:
    """Bounds of a metric, and where it counts as repaired; None where there is none."""

    lower: float | None = None
    upper: float | None = None
    clear_lower: float | None = None
    clear_upper: float | None = None

    def breaks(self, value: float) -> bool:
        return (self.upper is not None and value > self.upper) or (self.lower is not None and value < self.lower)


@dataclass(frozen=True)
class Line:
    """Points over time, oldest first. The main line is drawn in the colour of "now", others in that of a reference."""

    name: str
    points: tuple[tuple[datetime, float], ...]


@dataclass(frozen=True)
class MetricChart:
    """One metric over time with its limits and what happened meanwhile."""

    title: str
    start: datetime
    end: datetime
    lines: tuple[Line, ...]
    limits: Limits = field(default_factory=Limits)
    marks: tuple[Mark, ...] = ()
    unit: str = ""


@dataclass(frozen=True)
class VolumeChart:
    """Counts per window, each window `step` long."""

    title: str
    start: datetime
    end: datetime
    counts: tuple[tuple[datetime, int], ...]
    marks: tuple[Mark, ...] = ()


def metric_svg(chart: MetricChart, *, width: int) -> SafeString:
    label = f"{chart.title}: " + ", ".join(present.number(line.points[-1][1]) for line in chart.lines if line.points)
    return draw(_metric_spec(chart, width), label=label, width=width)


def volume_svg(chart: VolumeChart, *, width: int) -> SafeString:
    return draw(_volume_spec(chart, width), label=f"{chart.title}: {present.integer(sum(n for _, n in chart.counts))}", width=width)


def draw(spec: Spec, *, label: str, width: int) -> SafeString:
    """The spec as SVG, from the cache when the same was drawn before."""
    language = present.language()
    key = "chart:" + hashlib.sha256(json.dumps([spec, label, language], sort_keys=True, default=str).encode()).hexdigest()
    svg = cache.get(key)
    if svg is None:
        locale: Literal["ru-RU", "en-US"] = "ru-RU" if language == "ru" else "en-US"
        drawn = vl_convert.vegalite_to_svg(spec, format_locale=locale, time_format_locale=locale, allowed_base_urls=[])
        svg = _for_page(drawn, label=label, width=width)
        cache.set(key, svg, CACHE_SECONDS)
    return SafeString(svg)  # drawn by us: texts are escaped by Vega, the rest is cut out by `_for_page`


def _for_page(svg: str, *, label: str, width: int) -> str:
    """Sized by the page, described for a screen reader, without anything the content security policy would block."""
    opening = _OPENING.search(svg)
    assert opening, "Vega's SVG begins with its size"
    head = f'<svg class="plot {SHOWN[width]}" viewBox="0 0 {opening[1]} {opening[2]}" role="img" aria-label="{escape(label)}">'
    return head + _FORBIDDEN.sub("", svg[opening.end() :])


def thinned(points: Sequence[tuple[datetime, float]], buckets: int = 300) -> tuple[tuple[datetime, float], ...]:
    """At most the lowest and the highest point of each of so many equal parts: no peak is lost."""
    if len(points) <= 2 * buckets:
        return tuple(points)
    size = len(points) / buckets
    kept: dict[datetime, float] = {}
    for index in range(buckets):
        part = points[int(index * size) : int((index + 1) * size)]
        kept |= dict(sorted((min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1]))))
    return tuple(sorted((kept | {points[-1][0]: points[-1][1]}).items()))


def local_time(at: datetime) -> str:
    """The reader's wall clock, told to Vega as if it were UTC: it knows no other zone than its own."""
    return at.astimezone(timezone.get_current_timezone()).strftime("%Y-%m-%dT%H:%M:%SZ")


def _metric_spec(chart: MetricChart, width: int) -> Spec:
    height = 240 if width == WIDE else 180
    layers: list[Spec] = []
    shown = [Line(line.name, thinned(line.points)) for line in chart.lines if line.points]
    values = [value for line in shown for _, value in line.points]
    limits = [value for value in (chart.limits.lower, chart.limits.upper) if value is not None]
    low, high = domain_of(values + limits)
    for first, last in _breaches(shown[0].points if shown else (), chart.limits):
        layers.append(_rect(first, last))
    layers += event_rules(chart.marks)
    layers += _limit_layers(chart.limits)
    for line in reversed(shown):
        layers += _line_layers(line, is_main=line is shown[0], limits=chart.limits, names=len(shown) > 1)
    layers += event_names(chart.marks, width)
    scale = {"domain": [low, high], "nice": False, "zero": False}
    return frame(layers, chart.start, chart.end, scale, width=width, height=height)


def domain_of(values: Sequence[float]) -> tuple[float, float]:
    """A little more than all values, and never one point."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    floor = 0.0 if low >= 0 and low - margin < 0 else low - margin
    return floor, high + margin


def _breaches(points: Sequence[tuple[datetime, float]], limits: Limits) -> list[tuple[datetime, datetime]]:
    """Spans in which the main line was outside its bounds."""
    spans: list[tuple[datetime, datetime]] = []
    start: datetime | None = None
    for at, value in points:
        if limits.breaks(value):
            start = start or at
        elif start:
            spans.append((start, at))
            start = None
    if start:
        spans.append((start, points[-1][0]))
    return spans[-40:]


def _rect(first: datetime, last: datetime) -> Spec:
    return {
        "data": {"values": [{"a": local_time(first), "b": local_time(last)}]},
        "mark": {"type": "rect", "color": "var(--red-soft)", "aria": False},
        "encoding": {"x": {"field": "a", "type": "temporal"}, "x2": {"field": "b"}},
    }


def event_rules(marks: Sequence[Mark]) -> list[Spec]:
    values = [{"t": local_time(mark.at)} for mark in marks]
    mark = {"type": "rule", "color": "var(--ink-3)", "strokeDash": [3, 3], "aria": False}
    return [{"data": {"values": values}, "mark": mark, "encoding": {"x": {"field": "t", "type": "temporal"}}}] if values else []


def event_names(marks: Sequence[Mark], width: int) -> list[Spec]:
    """The newest marks are named, on three heights, so that names do not run into each other; above the lines, so that their halo is."""
    mark = {"type": "text", "align": "right", "dx": -5, "color": "var(--ink-2)", "fontSize": 11, "aria": False, **HALO}
    return [
        {
            "data": {"values": [{"t": local_time(event.at), "l": event.label[:34]}]},
            "mark": mark,
            "encoding": {"x": {"field": "t", "type": "temporal"}, "y": {"value": 8 + 13 * (i % 3)}, "text": {"field": "l"}},
        }
        for i, event in enumerate(marks[-EVENTS_NAMED[width] :])
    ]


def _limit_layers(limits: Limits) -> list[Spec]:
    layers: list[Spec] = []
    for value, clear in ((limits.upper, limits.clear_upper), (limits.lower, limits.clear_lower)):
        if value is None:
            continue
        layers.append(rule(value, dash=None))
        layers.append(end_text(value, gettext("limit %(value)s") % {"value": present.number(value)}, "var(--ink-2)"))
        if clear is not None and clear != value:
            layers.append(rule(clear, dash=[1, 4]))
    return layers


def rule(value: float, dash: list[int] | None) -> Spec:
    mark = {"type": "rule", "color": "var(--c-limit)", "aria": False} | ({"strokeDash": dash} if dash else {})
    return {"data": {"values": [{"v": value}]}, "mark": mark, "encoding": {"y": {"field": "v", "type": "quantitative"}}}


def end_text(value: float, text: str, colour: str, *, weight: str = "normal", offset: int = 0) -> Spec:
    return {
        "data": {"values": [{"v": value, "l": text}]},
        "mark": {
            "type": "text",
            "align": "left",
            "dx": 8,
            "dy": offset,
            "color": colour,
            "fontSize": 11,
            "fontWeight": weight,
            "aria": False,
            **HALO,
        },
        "encoding": {"x": {"value": "width"}, "y": {"field": "v", "type": "quantitative"}, "text": {"field": "l"}},
    }


def _line_layers(line: Line, *, is_main: bool, limits: Limits, names: bool) -> list[Spec]:
    values = [{"t": local_time(at), "v": value} for at, value in line.points]
    x, y = {"field": "t", "type": "temporal"}, {"field": "v", "type": "quantitative"}
    colour = "var(--c-now)" if is_main else "var(--control)"
    is_bad = is_main and limits.breaks(line.points[-1][1])
    mark = {"type": "line", "color": colour, "strokeWidth": 1.75 if is_main else 1.25, "aria": False}
    text = present.number(line.points[-1][1]) + (f" {line.name}" if names and line.name else "")
    last = line.points[-1][1]
    near = any(abs(last - limit) <= 0.04 * (abs(last) + abs(limit)) for limit in (limits.lower, limits.upper) if limit is not None)
    return [
        {"data": {"values": values}, "mark": mark, "encoding": {"x": x, "y": y}},
        {
            "data": {"values": values[-1:]},
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "color": "var(--red)" if is_bad else colour, "aria": False},
            "encoding": {"x": x, "y": y},
        },
        end_text(
            last,
            text,
            "var(--ink)" if is_main else "var(--ink-2)",
            weight="bold" if is_main else "normal",
            offset=(12 if near and not is_bad else -12 if near else 0),
        ),
    ]


def _volume_spec(chart: VolumeChart, width: int) -> Spec:
    values = [{"t": local_time(at), "v": count} for at, count in chart.counts]
    x, y = {"field": "t", "type": "temporal"}, {"field": "v", "type": "quantitative"}
    layers: list[Spec] = [
        {
            "data": {"values": values},
            "mark": {"type": "area", "interpolate": "step-after", "color": "var(--c-now)", "opacity": 0.13, "aria": False},
            "encoding": {"x": x, "y": y},
        },
        {
            "data": {"values": values},
            "mark": {"type": "line", "interpolate": "step-after", "color": "var(--c-now)", "strokeWidth": 1.5, "aria": False},
            "encoding": {"x": x, "y": y},
        },
        *event_rules(chart.marks),
        *event_names(chart.marks, width),
    ]
    top = max((count for _, count in chart.counts), default=1)
    return frame(layers, chart.start, chart.end, {"domain": [0, top * 1.1 or 1], "nice": False}, width=width, height=150)


def frame(layers: list[Spec], start: datetime, end: datetime, scale: Spec, *, width: int, height: int) -> Spec:
    """Axes and sizes that all charts share."""
    days = (end - start).total_seconds() / 86400
    pattern = "%H:%M" if days <= 3 else "%-d %b" if days <= 200 else "%b %Y"
    axis_x = {"format": pattern, "tickCount": 5 if width == WIDE else 3, "grid": False, "labelFlush": True, "title": None, "labelOverlap": "greedy"}
    axis_y = {
        "tickCount": 4,
        "domain": False,
        "ticks": False,
        "labelPadding": 8,
        "title": None,
        "format": "~s" if scale["domain"][1] >= 10000 else "~f",
    }
    base: Spec = {
        "data": {"values": [{"t": local_time(start), "v": scale["domain"][0]}]},
        "mark": {"type": "point", "opacity": 0, "aria": False},
        "encoding": {
            "x": {"field": "t", "type": "temporal", "axis": axis_x, "scale": {"type": "utc", "domain": [local_time(start), local_time(end)]}},
            "y": {"field": "v", "type": "quantitative", "axis": axis_y, "scale": scale},
        },
    }
    return plain_frame([base, *layers], width=width, height=height)


def plain_frame(layers: list[Spec], *, width: int, height: int) -> Spec:
    """Sizes and looks that all charts share, with axes of their own."""
    return {
        "width": width,
        "height": height,
        "background": None,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 0, "top": 6, "right": 8, "bottom": 0},
        "layer": layers,
        "config": {
            "font": "sans-serif",
            "view": {"stroke": None},
            "axis": {
                "gridColor": "var(--c-grid)",
                "domainColor": "var(--line)",
                "tickColor": "var(--line)",
                "labelColor": "var(--ink-3)",
                "labelFontSize": 11,
            },
        },
    }
