"""The chart of the Performance page: what came out with its interval, what was estimated before with its band, and what is not final yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from django.utils.safestring import SafeString
from django.utils.translation import gettext

from watchkeeper.web import charts, present
from watchkeeper.web.charts import Mark, Spec


@dataclass(frozen=True)
class Value:
    """A metric of the days that ended at `at`, with its interval."""

    at: datetime
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PerformanceChart:
    """`realised` are mature windows, `preliminary` those whose labels are still coming, `estimated` what scores alone said, labelled or not."""

    title: str
    start: datetime
    end: datetime
    realised: tuple[Value, ...]
    preliminary: tuple[Value, ...]
    estimated: tuple[Value, ...]
    reference: float | None = None
    limit: float | None = None
    marks: tuple[Mark, ...] = ()


def performance_svg(chart: PerformanceChart, *, width: int) -> SafeString:
    label = f"{chart.title}: " + ", ".join(present.number(part[-1].value) for part in (chart.realised, chart.estimated) if part)
    return charts.draw(_spec(chart, width), label=label, width=width)


def _spec(chart: PerformanceChart, width: int) -> Spec:
    known = [
        value for part in (chart.realised, chart.estimated) for point in part for value in (point.low, point.value, point.high) if isfinite(value)
    ]
    fixed = [value for value in (chart.reference, chart.limit) if value is not None]
    low, high = charts.domain_of(known + [point.value for point in chart.preliminary] + fixed)
    layers: list[Spec] = [*_band(chart.estimated, "var(--c-ref)", 0.55), *_bars(chart.realised), *charts.event_rules(chart.marks)]
    if chart.reference is not None:
        layers += [charts.rule(chart.reference, dash=[1, 4])]
    if chart.limit is not None:
        words = gettext("limit %(value)s") % {"value": present.number(chart.limit)}
        layers += [charts.rule(chart.limit, dash=None), charts.end_text(chart.limit, words, "var(--ink-2)")]
    layers += _line(chart.estimated, "var(--control)", dash=[4, 3])
    layers += _line((*chart.realised[-1:], *chart.preliminary), "var(--c-now)", dash=[2, 3])
    layers += _line(chart.realised, "var(--c-now)")
    layers += _points(chart.realised, filled=True) + _points(chart.preliminary, filled=False)
    layers += charts.event_names(chart.marks, width)
    height = 280 if width == charts.WIDE else 220
    return charts.frame(layers, chart.start, chart.end, {"domain": [low, high], "nice": False, "zero": False}, width=width, height=height)


def _rows(values: Sequence[Value]) -> list[dict[str, object]]:
    return [{"t": charts.local_time(point.at), "v": point.value, "a": point.low, "b": point.high} for point in values]


def _encoding(y: str = "v") -> Spec:
    return {"x": {"field": "t", "type": "temporal"}, "y": {"field": y, "type": "quantitative"}}


def _band(values: Sequence[Value], colour: str, opacity: float) -> list[Spec]:
    known = [point for point in values if isfinite(point.low) and isfinite(point.high)]
    mark = {"type": "area", "color": colour, "opacity": opacity, "aria": False}
    return [{"data": {"values": _rows(known)}, "mark": mark, "encoding": _encoding("a") | {"y2": {"field": "b"}}}] if len(known) > 1 else []


def _bars(values: Sequence[Value]) -> list[Spec]:
    known = [point for point in values if isfinite(point.low) and isfinite(point.high)]
    mark = {"type": "rule", "color": "var(--c-now)", "strokeWidth": 1, "opacity": 0.45, "aria": False}
    return [{"data": {"values": _rows(known)}, "mark": mark, "encoding": _encoding("a") | {"y2": {"field": "b"}}}] if known else []


def _line(values: Sequence[Value], colour: str, *, dash: list[int] | None = None) -> list[Spec]:
    mark = {"type": "line", "color": colour, "strokeWidth": 1.75 if dash is None else 1.4, "aria": False} | ({"strokeDash": dash} if dash else {})
    return [{"data": {"values": _rows(values)}, "mark": mark, "encoding": _encoding()}] if len(values) > 1 else []


def _points(values: Sequence[Value], *, filled: bool) -> list[Spec]:
    shape = {"type": "point", "filled": True, "size": 34, "opacity": 1, "aria": False, "color": "var(--c-now)" if filled else "var(--panel)"}
    mark = shape | ({} if filled else {"stroke": "var(--c-now)", "strokeWidth": 1.4})
    return [{"data": {"values": _rows(values)}, "mark": mark, "encoding": _encoding()}] if values else []
