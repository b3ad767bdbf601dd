"""What the Data page shows: every column as a row, reference against current, and one of them in detail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_noop, ngettext

from watchkeeper.analysis.columns import COARSE_LEVELS, OWN_AFTER, ColumnDays, ColumnHistory, Floats, Ints, short_name
from watchkeeper.analysis.drift import ColumnDrift, DriftLimits, column_drifts, psi_by_day, weighted_drift
from watchkeeper.analysis.scale import scale_changes
from watchkeeper.analysis.shapes import shape
from watchkeeper.ingest.columns import column_histories
from watchkeeper.monitoring.queries import params_of
from watchkeeper.stats.drift import Verdict
from watchkeeper.telemetry.bins import FIRST, INFINITE, NULL, OVER_BINS, ColumnBins
from watchkeeper.telemetry.days import Cut
from watchkeeper.web import charts, drawing, present

if TYPE_CHECKING:
    from watchkeeper.monitoring.queries import BoundRisk
    from watchkeeper.registry.models import RegisteredModel

WINDOWS = {Cut.DAY: (1, 7, 28), Cut.HOUR: (1, 24, 168), Cut.RUN: (1, 7, 28)}
SORTS = {
    "importance": gettext_noop("by what matters"),
    "drift": gettext_noop("by drift"),
    "name": gettext_noop("by name"),
    "nulls": gettext_noop("by empty values"),
}
SHOWN_BINS, WIDE_BINS = 16, 64
PER = {Cut.DAY: gettext_noop("PSI per day"), Cut.HOUR: gettext_noop("PSI per hour"), Cut.RUN: gettext_noop("PSI per run")}
DIFFER = {Cut.DAY: gettext_noop("Days differ by"), Cut.HOUR: gettext_noop("Hours differ by"), Cut.RUN: gettext_noop("Runs differ by")}
SHOWN, CHART_DAYS = 30, 366
BAR = 60
GROUPS = (
    ("drifted", gettext_noop("Drifted"), gettext_noop("above a limit and above chance")),
    ("watch", gettext_noop("Watch"), gettext_noop("above chance, under the limit")),
    ("steady", gettext_noop("Steady"), ""),
    ("unknown", gettext_noop("Not judged"), gettext_noop("too few rows, days that differ too much, or nothing to compare with yet")),
)
DERIVED = gettext_noop("Derived"), gettext_noop("reckoned from each row; counts for no feature’s drift")
COLOURS = {"drifted": "yellow", "watch": "yellow", "steady": "green", "unknown": "grey"}


@dataclass(frozen=True)
class ColumnRow:
    """One column: shapes of reference and current, PSI against noise and limit, its days, its gaps. `importance` is NaN where it is unknown."""

    name: str
    title: str
    is_derived: bool
    kind: str
    group: str
    word: str
    note: str
    reference: str
    current: str
    days: str
    limit_line: str
    drift: ColumnDrift | None
    gauge: drawing.NoisyGauge | None
    usual_nulls: float
    nulls: float
    importance: float

    @property
    def colour(self) -> str:
        return COLOURS[self.group]

    @property
    def has_importance(self) -> bool:
        return not np.isnan(self.importance)

    @property
    def bar(self) -> float:
        """How long the bar of its importance is."""
        return BAR * self.importance


@dataclass(frozen=True)
class BinLine:
    """One coarse bin in the table of a column's detail: shares, what it adds to PSI, and how wide its bars are."""

    label: str
    usual: float
    now: float
    psi: float
    usual_width: float
    now_width: float
    is_most: bool


@dataclass(frozen=True)
class Detail:
    """One column in full."""

    row: ColumnRow
    reference: str
    current: str
    ticks: tuple[tuple[float, str], ...]
    facts: tuple[tuple[str, str], ...]
    bins: tuple[BinLine, ...]
    charts: tuple[SafeString, ...]
    chart_title: str


@dataclass(frozen=True)
class Page:
    history: ColumnHistory
    window: int
    sort: str
    limit: float
    weighted: float
    groups: tuple[tuple[str, str, list[ColumnRow]], ...]
    total: int
    judged: int
    drifted: int
    chance: float
    detail: Detail | None
    has_reference: bool
    learned: int

    @property
    def sorts(self) -> dict[str, str]:
        return sorts_of(self.history)

    @property
    def windows(self) -> list[tuple[int, str]]:
        """What may be compared, and in words."""
        return [(n, _last_closed(self.history.cut, n)) for n in WINDOWS[self.history.cut]]

    @property
    def shown(self) -> str:
        """How much of the past each row shows."""
        return _number_of(self.history.cut, SHOWN)

    @property
    def by_hour(self) -> bool:
        """Whether each hour is compared with the same one of the first week."""
        return self.history.cut is Cut.HOUR and self.learned >= self.history.learned + OWN_AFTER

    @property
    def learning(self) -> str:
        """How much is counted and how much it takes, while nothing is judged; else nothing."""
        cut, needed = self.history.cut, self.history.learned
        if self.judged or self.has_reference or self.learned > needed:
            return ""
        counted = _number_of(cut, self.learned)
        if cut is Cut.RUN:
            return gettext("Counted so far: %(counted)s; without a reference those after the first 28 days are judged.") % {"counted": counted}
        said = {"counted": counted, "needed": _number_of(cut, needed)}
        return gettext("Counted so far: %(counted)s; without a reference they are judged after %(needed)s.") % said

    @property
    def width(self) -> int:
        """How many columns the table has."""
        return 7 if self.history.importances else 6


def page(
    model: RegisteredModel,
    risks: Sequence[BoundRisk],
    *,
    asked_window: str,
    sort: str,
    search: str,
    opened: str,
    widths: Sequence[int],
    now: datetime,
) -> Page:
    """Every column that matches the search, grouped by verdict; `opened` names the one that is shown in full. Sorted by what matters, if it is known
    and nothing else is asked for."""
    history = column_histories([model.id], now=now, back=timedelta(days=CHART_DAYS))[model.id]
    limits, window = limits_of(risks), next((n for n in WINDOWS[history.cut] if str(n) == asked_window), 1)
    names, derived = ([column.name for column in history.layout.columns if bool(column.derived) == wanted] for wanted in (False, True))
    drifts, beside = ({drift.column: drift for drift in column_drifts(history, chosen, limits, window=window)} for chosen in (names, derived))
    units = {scale.column: scale.change.words for scale in scale_changes(history, names, window=window) if scale.change}
    told = drifts | beside
    rows = [_row(history, column, told.get(column.name), units.get(column.name, ""), limits, window) for column in history.layout.columns]
    sort = sort if sort in sorts_of(history) else next(iter(sorts_of(history)))
    found = [row for row in rows if search.casefold() in row.title.casefold()]
    logged = [row for row in rows if not row.is_derived]
    shown = sorted((row for row in found if not row.is_derived), key=_order(sort))
    detail = next((row for row in rows if row.name == opened), None)
    return Page(
        history=history,
        window=window,
        sort=sort,
        limit=limits.least_psi,
        weighted=weighted_drift(drift for name, drift in drifts.items() if name.startswith("f.")),
        groups=(
            *((title, words, [row for row in shown if row.group == key]) for key, title, words in GROUPS),
            (*DERIVED, [row for row in found if row.is_derived]),
        ),
        total=len(logged),
        judged=sum(row.group != "unknown" for row in logged),
        drifted=sum(row.group == "drifted" for row in logged),
        chance=limits.alpha * len(drifts),
        detail=_detail(history, detail, limits, window, widths) if detail else None,
        has_reference=history.reference is not None,
        learned=len(history.days),
    )


def sorts_of(history: ColumnHistory) -> dict[str, str]:
    """By what columns can be sorted, the usual one first."""
    return {key: words for key, words in SORTS.items() if key != "importance" or history.importances}


def limits_of(risks: Sequence[BoundRisk]) -> DriftLimits:
    """Those of the model's own feature drift risk, else the defaults."""
    params = params_of(risks, "feature_drift").model_dump()
    return DriftLimits(**{name: params[name] for name in ("alpha", "least_psi", "least_distance")})


def _order(sort: str) -> Callable[[ColumnRow], tuple[float, str]]:
    """Largest first; what has no number last."""

    def key(row: ColumnRow) -> tuple[float, str]:
        psi, weighted = (row.drift.test.psi, row.drift.weighted) if row.drift else (np.nan, np.nan)
        value = {"name": 0.0, "nulls": row.nulls, "drift": psi, "importance": weighted}[sort]
        return (-value if np.isfinite(value) else 1.0, row.title.casefold())

    return key


def _row(history: ColumnHistory, bins: ColumnBins, drift: ColumnDrift | None, unit: str, limits: DriftLimits, window: int) -> ColumnRow:
    column, group = history.of(bins), _group(drift, limits)
    reference, current = column.compared(window)[0], column.counts[-window:].sum(axis=0) if len(column.days) else np.zeros_like(column.reference)
    usual, now = shape(column, reference, bins=SHOWN_BINS), shape(column, current, bins=SHOWN_BINS)
    top = max([*usual, *now], default=0.0)
    series = psi_by_day(column)[-SHOWN:]
    return ColumnRow(
        name=column.bins.name,
        title=present.words(column.bins.derived.title) if column.bins.derived else short_name(column.bins.name),
        is_derived=bool(column.bins.derived),
        kind=gettext("derived") if column.bins.derived else _kind(column),
        group=group,
        word={"drifted": gettext("Drifted"), "watch": gettext("Watch"), "steady": gettext("Steady"), "unknown": gettext("Not judged")}[group],
        note=_note(drift, unit, limits),
        reference=drawing.step_path(usual, top=top, width=132, height=26, base=29, closed=True),
        current=drawing.step_path(now, top=top, width=132, height=26, base=29),
        days=drawing.line_path([drawing.along(value, limits.least_psi) for value in series], width=132, height=20, base=22),
        limit_line=f"{22 - 20 * drawing.along(limits.least_psi, limits.least_psi):.1f}",
        drift=drift,
        gauge=drawing.noisy_gauge(drift.test.psi, limits.least_psi, drift.test.noise_floor) if drift and np.isfinite(drift.test.psi) else None,
        usual_nulls=_null_share(column, reference),
        nulls=_null_share(column, current),
        importance=history.importances.get(bins.name, np.nan),
    )


def _group(drift: ColumnDrift | None, limits: DriftLimits) -> str:
    if drift is None or drift.test.verdict is Verdict.INSUFFICIENT:
        return "unknown"
    if drift.test.verdict.fires:
        return "drifted"
    return "watch" if drift.adjusted < limits.alpha and drift.test.psi > drift.test.noise_floor else "steady"


def _note(drift: ColumnDrift | None, unit: str, limits: DriftLimits) -> str:
    if unit:
        return gettext("another unit: %(change)s") % {"change": present.translated(unit)}
    if drift and drift.test.verdict is Verdict.DRIFT and drift.test.psi < limits.least_psi:
        return gettext("rows moved by %(distance)s standard deviations") % {"distance": present.number(drift.test.distance)}
    is_preliminary = drift is not None and drift.test.verdict in (Verdict.PRELIMINARY, Verdict.PRELIMINARY_DRIFT)
    return present.translated(Verdict.PRELIMINARY) if is_preliminary else ""


def _kind(column: ColumnDays) -> str:
    if column.bins.kind == "category":
        count = len(column.bins.levels)
        return ngettext("category, %(count)s value", "category, %(count)s values", count) % {"count": present.integer(count)}
    return gettext("number") if column.bins.kind == "number" else gettext("only whether it is filled")


def _null_share(column: ColumnDays, counts: Ints) -> float:
    return float(counts[column.bins.null_place] / counts.sum()) if counts.sum() else float("nan")


def _detail(history: ColumnHistory, row: ColumnRow, limits: DriftLimits, window: int, widths: Sequence[int]) -> Detail:
    column = history.of(history.columns[row.name])
    reference, current = column.compared(window)[0], column.counts[-window:].sum(axis=0) if len(column.days) else np.zeros_like(column.reference)
    usual, now = shape(column, reference, bins=WIDE_BINS), shape(column, current, bins=WIDE_BINS)
    top = max([*usual, *now], default=0.0)
    return Detail(
        row=row,
        reference=drawing.step_path(usual, top=top, width=560, height=170, base=190, closed=True),
        current=drawing.step_path(now, top=top, width=560, height=170, base=190),
        ticks=_ticks(column),
        facts=(*_facts(history.cut, column, row, reference, current, window), *_importance(history, row)),
        bins=tuple(_bin_lines(column, reference, current)),
        charts=_charts(history, column, limits, widths),
        chart_title=present.translated(PER[history.cut]),
    )


def _ticks(column: ColumnDays) -> tuple[tuple[float, str], ...]:
    """Five values along the scale of a number, as places from 0 to 560."""
    if column.bins.kind != "number":
        return ()
    edges = column.bins.edges
    return tuple((560 * place / 256, present.number(float(edges[place]))) for place in (0, 64, 128, 192, 256))


def _facts(cut: Cut, column: ColumnDays, row: ColumnRow, reference: Ints, current: Ints, window: int) -> list[tuple[str, str]]:
    arrow = "%s → %s"
    facts = [(gettext("Rows"), arrow % (present.integer(int(reference.sum())), present.integer(int(current.sum()))))]
    if column.bins.kind == "number":
        means = _mean(column, *column.compared(window)), _mean(column, current, column.sums[-window:].sum(axis=0))
        facts.append((gettext("Median"), arrow % (present.number(column.quantile(reference, 0.5)), present.number(column.quantile(current, 0.5)))))
        facts.append((gettext("Mean"), arrow % tuple(map(present.number, means))))
    facts.append((gettext("Empty"), arrow % (_share(row.usual_nulls), _share(row.nulls))))
    if row.drift:
        if np.isfinite(row.drift.test.distance):
            facts.append(
                (gettext("Rows moved by"), gettext("%(distance)s standard deviations") % {"distance": present.number(row.drift.test.distance)})
            )
        facts.append((gettext("Chance"), gettext("%(p)s, adjusted for all columns") % {"p": present.chance(row.drift.adjusted)}))
        facts.append(
            (present.translated(DIFFER[cut]), gettext("φ = %(phi)s times what rows alone would") % {"phi": present.number(row.drift.test.phi)})
        )
    return facts


def _importance(history: ColumnHistory, row: ColumnRow) -> list[tuple[str, str]]:
    if not row.has_importance:
        return []
    source = gettext("%(importance)s, given with the training") if history.has_given_importances else gettext("%(importance)s, learned from the log")
    return [(gettext("Importance"), source % {"importance": present.figure(row.importance)})]


def _mean(column: ColumnDays, counts: Ints, sums: Floats) -> float | None:
    n = column.numbers(counts)
    return float(sums[0] / n) if n else None


def _share(part: float) -> str:
    return present.share(part) if np.isfinite(part) else "–"


def _bin_lines(column: ColumnDays, reference: Ints, current: Ints) -> list[BinLine]:
    a, b = column.coarse(reference), column.coarse(current)
    used = np.flatnonzero(a + b)
    if not a.sum() or not b.sum() or not used.size:
        return []
    p, q = (a + 0.5) / (a + 0.5)[used].sum(), (b + 0.5) / (b + 0.5)[used].sum()
    parts = (q - p) * np.log(q / p)
    widest = max(float((a / a.sum()).max()), float((b / b.sum()).max()))
    labels = _labels(column)
    most = used[np.argmax(parts[used])]
    lines = [
        BinLine(
            labels[place],
            float(a[place] / a.sum()),
            float(b[place] / b.sum()),
            float(parts[place]),
            round(84 * float(a[place] / a.sum()) / widest, 1),
            round(84 * float(b[place] / b.sum()) / widest, 1),
            bool(place == most and parts[place] > 0.02),
        )
        for place in used
    ]
    return lines if len(lines) <= 24 else sorted(lines, key=lambda line: -line.psi)[:24]


def _labels(column: ColumnDays) -> list[str]:
    if column.bins.kind == "category":
        return [*column.bins.levels[:COARSE_LEVELS], gettext("rarer ones"), gettext("not in the reference"), gettext("empty")]
    if column.bins.kind == "presence":
        return [gettext("filled"), gettext("empty")]
    labels = []
    starts = [int(start) for start in column.groups]
    for start, end in zip(starts, [*starts[1:], NULL + 1], strict=True):
        if start == NULL:
            labels.append(gettext("empty"))
        elif start == INFINITE:
            labels.append(gettext("infinite"))
        else:
            labels.append(_range(column, start, end))
    return labels


def _range(column: ColumnDays, start: int, end: int) -> str:
    edges = column.bins.edges
    low = present.number(float(edges[start - FIRST])) if start > FIRST else ""
    high = present.number(float(edges[end - FIRST])) if end <= OVER_BINS and end >= FIRST else ""
    if low and high:
        return f"{low} – {high}"
    return gettext("up to %(value)s") % {"value": high} if high else gettext("above %(value)s") % {"value": low} if low else gettext("all")


def _charts(history: ColumnHistory, column: ColumnDays, limits: DriftLimits, widths: Sequence[int]) -> tuple[SafeString, ...]:
    """PSI of each window."""
    at = history.ends if history.cut is not Cut.DAY else [datetime.combine(day, time(12), UTC) for day in column.days]
    moments, series = at[-CHART_DAYS:], np.nan_to_num(psi_by_day(column)[-CHART_DAYS:]).tolist()
    if len(moments) < 2:
        return ()
    drifted = charts.Line(gettext("PSI"), tuple(zip(moments, series, strict=True)))
    drawn = charts.MetricChart(present.translated(PER[history.cut]), moments[0], moments[-1], (drifted,), charts.Limits(upper=limits.least_psi))
    return tuple(charts.metric_svg(drawn, width=width) for width in widths)


def _last_closed(cut: Cut, n: int) -> str:
    if n == 1:
        return {Cut.DAY: gettext("last closed day"), Cut.HOUR: gettext("last closed hour"), Cut.RUN: gettext("last closed run")}[cut]
    return gettext("last %(windows)s") % {"windows": _number_of(cut, n)}


def _number_of(cut: Cut, n: int) -> str:
    if cut is Cut.DAY:
        return ngettext("%(n)s day", "%(n)s days", n) % {"n": n}
    if cut is Cut.HOUR:
        return ngettext("%(n)s hour", "%(n)s hours", n) % {"n": n}
    return ngettext("%(n)s run", "%(n)s runs", n) % {"n": n}
