"""What the Labels page shows: how late labels come, how many never do, which days may be judged, and whether they come as they used to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from watchkeeper.analysis.labels import LabelCount, recent_labels
from watchkeeper.analysis.outcomes import OutcomeHistory, SegmentHistory, delay_curve, of_days
from watchkeeper.core.text import N_
from watchkeeper.ingest.outcome_histories import segment_histories
from watchkeeper.monitoring.queries import params_of
from watchkeeper.stats.delay import FAST, SLOW, delay_quantile, label_latency
from watchkeeper.web import charts
from watchkeeper.web.charts import Spec

if TYPE_CHECKING:
    from watchkeeper.monitoring.queries import BoundRisk
    from watchkeeper.registry.models import RegisteredModel

RISK = "labels_late"
SHOWN_DAYS = 90
LEAST_ROWS = 30
CURVE_POINTS = 120
_SHARES = (0.5, 0.9, 0.95)
_WINDOW = 7  # days in which performance is usually judged
_ADVICE = (
    (N_("fast"), N_("judge quality itself: objectives and realised performance")),
    (N_("medium"), N_("objectives on mature days; drift and estimates tell of the time between")),
    (N_("slow"), N_("labels come after the damage: drift, estimates, audit samples and complaints lead")),
)


@dataclass(frozen=True)
class SegmentDelay:
    """How late the labels of one segment come, and for which share of its predictions."""

    field: str
    segment: str
    rows: int
    labelled: int
    usual: timedelta | None
    final: float


@dataclass(frozen=True)
class Speed:
    """Whether labels are soon enough for a model that has used up half of what is tolerated at an age between `since` and `until` (None: no end)."""

    since: timedelta | None
    until: timedelta | None
    verdict: str
    advice: str


@dataclass(frozen=True)
class Page:
    history: OutcomeHistory
    rows: int
    labelled: int
    quantiles: tuple[tuple[float, timedelta | None], ...]
    final: float
    mature: int
    waiting: int
    recent: LabelCount | None
    are_late: bool
    speeds: tuple[Speed, ...]
    segments: tuple[SegmentDelay, ...]
    curve: tuple[SafeString, ...]
    days: tuple[SafeString, ...]

    @property
    def never(self) -> float:
        return 1 - self.final

    @property
    def usual(self) -> timedelta | None:
        """By when nine of ten labels have come, of those that come."""
        return dict(self.quantiles)[0.9]


def page(model: RegisteredModel, risks: Sequence[BoundRisk], *, widths: Sequence[int], whole: Sequence[int], now: datetime) -> Page | None:
    """None while no label ever came. `widths` are those of half a page, `whole` of a whole one."""
    history = segment_histories([model.id], now=now)[model.id]
    if not history.labelled:
        return None
    limits = params_of(risks, RISK).model_dump()
    recent = recent_labels(history, window=limits["window"])
    return Page(
        history=history,
        rows=sum(entry.rows for entry in history.days),
        labelled=history.labelled,
        quantiles=tuple((share, _span(delay_quantile(history.delays, share * history.final_share))) for share in _SHARES),
        final=history.final_share,
        mature=len(history.mature),
        waiting=len(history.by_day) - len(history.mature),
        recent=recent,
        are_late=recent is not None and recent.are_late(alpha=limits["alpha"], tolerance=limits["tolerance"]),
        speeds=tuple(_speeds(history.usual_delay)),
        segments=tuple(_segments(history, now)),
        curve=tuple(
            charts.draw(_curve_spec(history, width), label=gettext("Share of predictions with a label, by age"), width=width) for width in widths
        ),
        days=tuple(
            charts.draw(_days_spec(history, width), label=gettext("Predictions with and without a label, by day"), width=width) for width in whole
        ),
    )


def _speeds(usual_delay: float) -> Iterator[Speed]:
    """Nothing while it is not known when labels come."""
    if not isfinite(usual_delay):
        return
    latency = timedelta(days=label_latency(usual_delay, window=_WINDOW))
    ends = None, latency / FAST, latency / SLOW, None
    for (until, since), (verdict, advice) in zip(pairwise(ends), _ADVICE, strict=True):
        yield Speed(since, until, gettext(verdict), gettext(advice))


def _span(days: float) -> timedelta | None:
    return timedelta(days=days) if isfinite(days) else None


def _segments(history: SegmentHistory, now: datetime) -> list[SegmentDelay]:
    """Slowest first, of each field."""
    found: list[SegmentDelay] = []
    for field, segments in history.segments.items():
        of_field = []
        for segment, by_day in segments.items():
            entries = of_days(by_day, by_day)
            labelled = sum(entry.labelled for entry in entries)
            if labelled >= LEAST_ROWS:
                curve = delay_curve(entries, history.ends, now)
                final = float(curve.share[-1]) if curve.n else float("nan")
                of_field.append(
                    SegmentDelay(field, segment, sum(entry.rows for entry in entries), labelled, _span(delay_quantile(curve, 0.9 * final)), final)
                )
        found += sorted(of_field, key=lambda row: -(row.usual or timedelta(0)))
    return found


def _curve_spec(history: OutcomeHistory, width: int) -> Spec:
    """The Kaplan-Meier curve on a logarithmic scale of hours, with its 95 % band."""
    curve = history.delays
    places = np.unique(np.linspace(0, curve.delays.size - 1, CURVE_POINTS).astype(int))
    rows = [
        {"t": max(float(curve.delays[at]) * 24, 0.02), "v": float(curve.share[at]), "a": float(curve.low[at]), "b": float(curve.high[at])}
        for at in places
    ]
    ticks = [hours for hours in (1, 6, 24, 7 * 24, 30 * 24, 90 * 24, 365 * 24) if rows[0]["t"] <= hours <= rows[-1]["t"]]
    x = {
        "field": "t",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False},
        "axis": {"values": ticks, "labelExpr": _age_words(), "grid": False, "title": None},
    }
    y = {"field": "v", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"format": ".0%", "tickCount": 4, "title": None, "domain": False}}
    band = {"type": "area", "color": "var(--c-ref)", "opacity": 0.55, "interpolate": "step-after", "aria": False}
    line = {"type": "line", "color": "var(--c-now)", "strokeWidth": 1.75, "interpolate": "step-after", "aria": False}
    layers: list[Spec] = [
        {"data": {"values": rows}, "mark": band, "encoding": {"x": x, "y": y | {"field": "a"}, "y2": {"field": "b"}}},
        {"data": {"values": rows}, "mark": line, "encoding": {"x": x, "y": y}},
        _level(history.final_share, y),
    ]
    return charts.plain_frame(layers, width=width, height=200)


def _level(share: float, y: Spec) -> Spec:
    mark = {"type": "rule", "color": "var(--c-limit)", "strokeDash": [1, 4], "aria": False}
    return {"data": {"values": [{"v": share}]}, "mark": mark, "encoding": {"y": y}}


def _age_words() -> str:
    hour, day = gettext("h"), gettext("d")
    return f"datum.value < 24 ? datum.value + ' {hour}' : datum.value / 24 + ' {day}'"


def _days_spec(history: OutcomeHistory, width: int) -> Spec:
    """Predictions of each day: those with a label below, those without above; days that are not mature are paler."""
    mature, days = set(history.mature), tuple(history.by_day)[-SHOWN_DAYS:]
    rows = []
    for day in days:
        entries = history.of([day])
        labelled, total = sum(entry.labelled for entry in entries), sum(entry.rows for entry in entries)
        at = charts.local_time(datetime.combine(day, time(12), UTC))
        rows += [{"t": at, "v": labelled, "p": "now" if day in mature else "soon"}, {"t": at, "v": total - labelled, "p": "none"}]
    colours = {"domain": ["now", "soon", "none"], "range": ["var(--c-now)", "color-mix(in srgb, var(--c-now) 45%, transparent)", "var(--c-ref)"]}
    bar: Spec = {
        "data": {"values": rows},
        "mark": {"type": "bar", "width": {"band": 0.8}, "aria": False},
        "encoding": {
            "x": {
                "field": "t",
                "timeUnit": "utcyearmonthdate",
                "type": "temporal",
                "axis": {"grid": False, "title": None, "tickCount": 5, "format": "%-d %b"},
            },
            "y": {"field": "v", "type": "quantitative", "axis": {"tickCount": 3, "title": None, "domain": False}},
            "color": {"field": "p", "type": "nominal", "scale": colours, "legend": None},
            "order": {"field": "p", "sort": "ascending"},
        },
    }
    return charts.plain_frame([bar], width=width, height=150)
