"""The charts of a feature against the outcome: mean label and prediction, mean residual, and a histogram, one below the other on the same scale.

The scale runs from 0 to 1000: numbers by the edges of their bins, then what is no number; categories one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from watchkeeper.analysis.relations import ENDLESS, FILLED, NOTHING, REST, UNSEEN, BinMeans, FeatureSums, OutcomeBy, Place
from watchkeeper.stats.result import Result
from watchkeeper.telemetry.bins import FIRST, INFINITE, OVER_BINS
from watchkeeper.web import charts, present
from watchkeeper.web.charts import Spec

SCALE, GAP = 1000.0, 70.0
BARS = 32
LONGEST = 12  # letters of a level at the axis
EXTENT = {"minExtent": 44, "maxExtent": 44}  # the charts stand below each other
NOW, BEFORE = "var(--c-now)", "var(--control)"


@dataclass(frozen=True)
class RelationChart:
    means: OutcomeBy
    reference: FeatureSums
    current: FeatureSums


@dataclass(frozen=True)
class Bar:
    """Shares of the rows of the reference and of the last days between two places of the scale."""

    start: float
    end: float
    before: float
    now: float


def relation_svgs(chart: RelationChart, *, width: int) -> Iterator[SafeString]:
    axis = _Axis.of(chart)
    labels = (
        gettext("Mean label and prediction by bins of the feature"),
        gettext("Mean residual by bins of the feature"),
        gettext("Share of rows by values of the feature"),
    )
    specs = (_outcome_spec(chart, axis, width), _residual_spec(chart, axis, width), _histogram_spec(chart, axis, width))
    return (charts.draw(spec, label=label, width=width) for label, spec in zip(labels, specs, strict=True))


@dataclass(frozen=True)
class _Axis:
    """Where bins stand on the scale, and what is written there."""

    feature: FeatureSums
    others: tuple[str, ...]  # what is no number or level, in order
    levels: tuple[str, ...]

    @classmethod
    def of(cls, chart: RelationChart) -> _Axis:
        places = [entry.place for side in (chart.means.reference, chart.means.current) for entry in side]
        others = [special for special in (REST, UNSEEN, FILLED, ENDLESS, NOTHING) if any(place.special == special for place in places)]
        levels = dict.fromkeys(place.level for place in places if place.level is not None)
        known = [level for level in chart.reference.column.levels if level in levels]
        return cls(chart.reference, tuple(others), tuple(known))

    @property
    def is_number(self) -> bool:
        return self.feature.column.kind == "number"

    @property
    def room(self) -> float:
        """Of the numbers."""
        return SCALE - GAP * len(self.others)

    def at(self, entry: BinMeans) -> float:
        return self.of_number(entry.x) if entry.x is not None else self.of_place(entry.place)

    def of_number(self, x: float) -> float:
        column = self.feature.column
        low, high = column.span
        scaled = np.log(max(x, column.low)) if column.is_log else x
        return round(float(np.clip((scaled - low) / (high - low), 0, 1)) * self.room, 1)

    def of_place(self, place: Place) -> float:
        if self.is_number:
            return round(self.room + GAP * (self.others.index(place.special) + 0.6), 1)
        order = [*self.levels, *self.others]
        return round(SCALE * (order.index(place.level if place.level is not None else place.special) + 0.5) / len(order), 1)

    def ticks(self, width: int) -> list[tuple[float, str]]:
        words = {REST: gettext("rarer"), UNSEEN: gettext("new"), FILLED: gettext("filled"), ENDLESS: "∞", NOTHING: gettext("empty")}
        others = [(self.of_place(Place(special=special)), words[special]) for special in self.others]
        if not self.is_number:
            return [(self.of_place(Place(level=level)), _short(level)) for level in self.levels] + others
        edges = self.feature.column.edges
        shown = (0, 64, 128, 192, 256) if width != charts.NARROW else (0, 128, 256)
        return [(round(self.room * place / 256, 1), present.number(float(edges[place]))) for place in shown] + others

    def x(self, width: int, *, has_labels: bool) -> Spec:
        ticks = self.ticks(width)
        words = f"({json.dumps([label for _, label in ticks])})[indexof({json.dumps([at for at, _ in ticks])}, datum.value)]"
        axis = {"values": [at for at, _ in ticks], "labelExpr": words, "grid": False, "title": None, "labels": has_labels, "labelOverlap": "greedy"}
        turned = {"labelAngle": -35, "labelOverlap": False} if len(self.levels) > 5 else {}
        return {"field": "x", "type": "quantitative", "scale": {"domain": [0, SCALE], "nice": False}, "axis": axis | turned}


def _short(level: str) -> str:
    return level if len(level) <= LONGEST else level[: LONGEST - 1] + "…"


def _outcome_spec(chart: RelationChart, axis: _Axis, width: int) -> Spec:
    sides = ((chart.means.reference, BEFORE, False), (chart.means.current, NOW, True))
    targets = [(axis.at(entry), entry.target) for entries, _, _ in sides for entry in entries]
    values = [value for _, target in targets for value in _bounds(target)] + [entry.prediction for entries, _, _ in sides for entry in entries]
    x, y = axis.x(width, has_labels=False), _y(values)
    layers: list[Spec] = []
    for entries, colour, is_now in sides:
        dots = [(axis.at(entry), entry.target) for entry in entries]
        along = [{"x": axis.at(entry), "v": entry.prediction} for entry in entries if entry.x is not None]
        steps = [{"x": axis.at(entry), "v": entry.prediction} for entry in entries if entry.x is None]
        line = {"type": "line", "color": colour, "strokeWidth": 1.5, "strokeDash": [4, 3], "aria": False}
        tick = {"type": "tick", "orient": "horizontal", "size": 16, "thickness": 1.5, "color": colour, "aria": False}
        layers += _layer(along, line, x, y) + _layer(steps, tick, x, y) + _dots(dots, colour, x, y, is_now=is_now)
    return charts.plain_frame(layers, width=width, height=190)


def _residual_spec(chart: RelationChart, axis: _Axis, width: int) -> Spec:
    sides = ((chart.means.reference, BEFORE, False), (chart.means.current, NOW, True))
    values = [value for entries, _, _ in sides for entry in entries for value in _bounds(entry.residual)]
    x, y = axis.x(width, has_labels=False), _y([*values, 0.0])
    layers: list[Spec] = [charts.rule(0.0, dash=None)]
    for entries, colour, is_now in sides:
        layers += _dots([(axis.at(entry), entry.residual) for entry in entries], colour, x, y, is_now=is_now)
    return charts.plain_frame(layers, width=width, height=120)


def _histogram_spec(chart: RelationChart, axis: _Axis, width: int) -> Spec:
    rows = [{"x": bar.start, "x2": bar.end, "v": bar.before, "w": bar.now} for bar in _bars(chart, axis)]
    x = axis.x(width, has_labels=True)
    y: Spec = {
        "field": "v",
        "type": "quantitative",
        "axis": {"tickCount": 2, "format": ".0%", "title": None, "domain": False, "ticks": False, **EXTENT},
    }
    bar = {"type": "rect", "color": "var(--c-ref)", "aria": False}
    line = {"type": "rule", "color": NOW, "strokeWidth": 1.75, "aria": False}
    zero = {"y2": {"datum": 0}}
    layers: list[Spec] = [
        {"data": {"values": rows}, "mark": bar, "encoding": {"x": x, "x2": {"field": "x2"}, "y": y, **zero}},
        {"data": {"values": rows}, "mark": line, "encoding": {"x": x, "x2": {"field": "x2"}, "y": y | {"field": "w"}}},
    ]
    return charts.plain_frame(layers, width=width, height=90)


def _bars(chart: RelationChart, axis: _Axis) -> Iterator[Bar]:
    """All rows, labelled or not: numbers in bins of equal width with the tails in the outer ones, the others as their dots stand."""
    before, now = (side["rows"] / max(side["rows"].sum(), 1.0) for side in (chart.reference, chart.current))
    if axis.is_number:
        sides = []
        for shares in (before, now):
            inside = shares[FIRST:OVER_BINS].reshape(BARS, -1).sum(axis=1)
            inside[0] += shares[:FIRST].sum()
            inside[-1] += shares[OVER_BINS:INFINITE].sum()
            sides.append(inside)
        step = axis.room / BARS
        for index in range(BARS):
            yield Bar(round(index * step, 1), round((index + 1) * step, 1), float(sides[0][index]), float(sides[1][index]))
    half = 20.0 if axis.is_number else 0.32 * SCALE / max(1, len(axis.levels) + len(axis.others))
    for index in np.unique(chart.means.bins):
        entry = next((entry for side in (chart.means.reference, chart.means.current) for entry in side if entry.bin == index), None)
        if entry and entry.x is None:
            at, inside = axis.of_place(entry.place), chart.means.bins == index
            yield Bar(at - half, at + half, float(before[inside].sum()), float(now[inside].sum()))


def _dots(entries: Sequence[tuple[float, Result]], colour: str, x: Spec, y: Spec, *, is_now: bool) -> list[Spec]:
    known = [{"x": at, "v": result.estimate} for at, result in entries if isfinite(result.estimate)]
    bars = [{"x": at, "a": result.low, "b": result.high} for at, result in entries if isfinite(result.low) and isfinite(result.high)]
    point: Spec = {"type": "point", "filled": True, "size": 30, "opacity": 1, "color": colour if is_now else "var(--panel)", "aria": False}
    point |= {} if is_now else {"stroke": colour, "strokeWidth": 1.4}
    rule = {"type": "rule", "color": colour, "strokeWidth": 1, "opacity": 0.45, "aria": False}
    between = {"x": x, "y": y | {"field": "a"}, "y2": {"field": "b"}}
    return ([{"data": {"values": bars}, "mark": rule, "encoding": between}] if bars else []) + _layer(known, point, x, y)


def _layer(values: list[dict[str, float]], mark: Spec, x: Spec, y: Spec) -> list[Spec]:
    return [{"data": {"values": values}, "mark": mark, "encoding": {"x": x, "y": y}}] if values else []


def _y(values: Sequence[float]) -> Spec:
    low, high = charts.domain_of([value for value in values if isfinite(value)])
    scale = {"domain": [low, high], "nice": False, "zero": False}
    pattern = "~s" if high >= 10000 else "~f"
    axis = {"tickCount": 4, "domain": False, "ticks": False, "labelPadding": 8, "title": None, "format": pattern, **EXTENT}
    return {"field": "v", "type": "quantitative", "scale": scale, "axis": axis}


def _bounds(result: Result) -> tuple[float, float, float]:
    return result.low, result.estimate, result.high
