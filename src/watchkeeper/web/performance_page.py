"""What the Performance page shows: a metric as it came out and as it was estimated, all metrics, segments, and why it fell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import isfinite, nan
from typing import TYPE_CHECKING

from django.utils.safestring import SafeString
from django.utils.translation import gettext

from watchkeeper.analysis.audits import Audited, audited
from watchkeeper.analysis.causes import FeatureShift, Why, feature_shifts, why
from watchkeeper.analysis.estimates import Estimated, Estimator, NotEstimated, estimator_of
from watchkeeper.analysis.expected_errors import LOSSES, ErrorEstimator, error_estimator_for
from watchkeeper.analysis.metrics import OutcomeMetric, metric_named, metrics_of
from watchkeeper.analysis.outcomes import SegmentHistory, of_days
from watchkeeper.analysis.performance import Comparison, compare, drawn_windows
from watchkeeper.analysis.relations import Bias, Related, biases
from watchkeeper.ingest import audits
from watchkeeper.ingest.outcome_histories import segment_histories
from watchkeeper.ingest.relations import errors_of, related, relations_of
from watchkeeper.monitoring.queries import params_of
from watchkeeper.stats.estimated import ESTIMATORS, Trust
from watchkeeper.stats.performance import Direction
from watchkeeper.stats.result import Result
from watchkeeper.telemetry.horizons import FIELD as HORIZON
from watchkeeper.telemetry.horizons import horizon_length
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes
from watchkeeper.web import model_page, present
from watchkeeper.web.performance_chart import PerformanceChart, Value, performance_svg
from watchkeeper.web.relation_page import label_of

if TYPE_CHECKING:
    from watchkeeper.monitoring.queries import BoundRisk
    from watchkeeper.registry.models import RegisteredModel

WINDOWS = (1, 7, 28)
SHOWN_DAYS = 180
SHOWN_AUDITS = 3
SHOWN_FEATURES = 3
BIAS_DAYS = 28
MOST_SEGMENTS = 30
LEAST_ROWS = 30
RISK = "performance_drop"
QUALITY = frozenset(
    {"missing_values", "new_categories", "out_of_range", "unit_or_scale_change", "schema_changed", "duplicate_rows", "constant_prediction"}
)
LIGHTS = {"worse": "yellow", "steady": "green", "better": "green", "unknown": "grey"}


@dataclass(frozen=True)
class Limits:
    """What counts as worse: as the model's own risk says, else as its defaults do."""

    alpha: float
    tolerance: float

    @classmethod
    def of(cls, risks: Sequence[BoundRisk]) -> Limits:
        params = params_of(risks, RISK).model_dump()
        return cls(params["alpha"], params["tolerance"])


@dataclass(frozen=True)
class MetricRow:
    """One metric: reference and current with its interval, and what that means."""

    metric: OutcomeMetric
    reference: Result | None
    current: Result | None
    change: float
    verdict: str

    @property
    def colour(self) -> str:
        return LIGHTS[self.verdict]


@dataclass(frozen=True)
class SegmentRow:
    field: str
    segment: str
    rows: int
    reference: Result | None
    current: Result


@dataclass(frozen=True)
class AuditRow:
    """A sample that somebody asked for; `found` is None until it is drawn."""

    number: int
    first: date
    last: date
    size: int
    labelled: int
    found: Audited | None

    @property
    def progress(self) -> int:
        return round(100 * self.labelled / self.size) if self.size else 0


@dataclass(frozen=True)
class BiasRow:
    """A feature by which the model is off, and where most."""

    bias: Bias
    where: str


@dataclass(frozen=True)
class Page:
    history: SegmentHistory
    metric: OutcomeMetric
    metrics: tuple[OutcomeMetric, ...]
    window: int
    headline: Comparison | None
    last: Result | None
    last_days: tuple[date, ...]
    rows: tuple[MetricRow, ...]
    segments: tuple[SegmentRow, ...]
    estimated: Estimated | None
    not_estimated: str
    why: Why | None
    shifts: tuple[FeatureShift, ...]
    related: Related | None
    biases: tuple[BiasRow, ...]
    audits: tuple[AuditRow, ...]
    charts: tuple[SafeString, ...]
    waiting: int

    @property
    def verdict(self) -> str:
        return next(row.verdict for row in self.rows if row.metric.name == self.metric.name)

    @property
    def colour(self) -> str:
        return LIGHTS[self.verdict]

    @property
    def is_regression(self) -> bool:
        return self.history.kind is OutcomeKind.NUMBERS

    @property
    def trust(self) -> str:
        """How far the estimate is to be believed."""
        assert self.estimated
        return {
            Trust.TRUSTED: gettext("trusted"),
            Trust.DISTRUSTED: gettext("distrusted"),
            Trust.UNTESTED: gettext("not tested yet"),
        }[self.estimated.record.trust]


def page(
    model: RegisteredModel,
    risks: Sequence[BoundRisk],
    *,
    metric: str,
    window: int,
    widths: Sequence[int],
    now: datetime,
    explains: bool = False,
) -> Page | None:
    """None while no label ever came and no validation rows tell what scores mean. Why it fell is told where a metric is worse, or where `explains` asks for it."""
    history = segment_histories([model.id], now=now)[model.id]
    if history.kind is None or not (history.labelled or history.validations):
        return None
    chosen = metric_named(metric, history.kind, history.days) or metric_named("", history.kind, history.days)
    assert chosen
    known = estimator_of(history)
    found = related(model, history, window=BIAS_DAYS, now=now)
    estimator = _estimator(model, history, chosen, known)
    headline = compare(history, chosen, window=window)
    last_days = history.mature[-window:]
    limits = Limits.of(risks)
    tried = known.learned if known and known.is_of_validation else ()
    rows = tuple(_row(history, each, window, limits, tried) for each in metrics_of(history.kind, history.days))
    has_reason = bool(headline) and (explains or any(row.verdict == "worse" for row in rows))
    judged = history.periods.judged[-window:]
    return Page(
        history=history,
        metric=chosen,
        metrics=tuple(metrics_of(history.kind, history.days)),
        window=window,
        headline=headline,
        last=chosen.compute(history.of(last_days)) if last_days else None,
        last_days=last_days,
        rows=rows,
        segments=tuple(_segment_rows(history, chosen, last_days)),
        estimated=None if isinstance(estimator, NotEstimated) else estimator.latest(chosen.name, window=window),
        not_estimated=_why_not(estimator) if isinstance(estimator, NotEstimated) and chosen.name in LOSSES else "",
        audits=tuple(audit_rows(model, known)),
        why=why(history, judged, history.periods.reference) if has_reason else None,
        shifts=feature_shifts(found.reference, relations_of(model.id, judged))[:SHOWN_FEATURES] if found and has_reason else (),
        related=found if has_reason else None,
        biases=tuple(_bias_rows(found)) if found else (),
        charts=_charts(model, history, chosen, None if isinstance(estimator, NotEstimated) else estimator, headline, window, widths, now),
        waiting=len(history.by_day) - len(history.mature),
    )


def _estimator(
    model: RegisteredModel, history: SegmentHistory, metric: OutcomeMetric, known: Estimator | None
) -> Estimator | ErrorEstimator | NotEstimated:
    """What estimates the metric: scores, of which `known` has learned, or the predictions of a regression."""
    if history.kind is OutcomeKind.NUMBERS:
        return error_estimator_for(history, errors_of({model.id: history})[model.id], metric.name)
    return known if known and metric.name in ESTIMATORS else NotEstimated.NOT_LEARNED


def _why_not(reason: NotEstimated) -> str:
    """Of an error that could be estimated."""
    if reason is NotEstimated.NO_BETTER:
        return gettext("What the model predicts does not tell how wrong it will be: the estimate did no better than a constant.")
    return gettext("How wrong predictions are is not learned yet: it takes 24 mature days to compare with, counted by prediction.")


def _verdict(found: Comparison | None, limits: Limits) -> str:
    if found is None or not (found.current.is_ok and found.reference.is_ok):
        return "unknown"
    if found.p_value < limits.alpha and found.worse >= limits.tolerance * abs(found.reference.estimate):
        return "worse"
    return "better" if found.worse < 0 and found.p_value > 1 - limits.alpha else "steady"


def _row(history: SegmentHistory, metric: OutcomeMetric, window: int, limits: Limits, tried: Sequence[DayOutcomes]) -> MetricRow:
    """The reference is that of `tried`, the validation rows, while there is none of labelled days."""
    found = compare(history, metric, window=window)
    current = found.current if found else metric.compute(history.of(history.mature[-window:])) if history.mature else None
    change = found.current.estimate - found.reference.estimate if found else nan
    reference = found.reference if found else metric.compute(tried) if tried else None
    return MetricRow(metric, reference, current, change, _verdict(found, limits))


def _segment_rows(history: SegmentHistory, metric: OutcomeMetric, days: Sequence[date]) -> list[SegmentRow]:
    """Segments of the last mature days, the worst of each field first, but all horizons from the nearest on; small ones are left out."""
    learned = history.periods.reference if history.periods.is_learned else ()
    found = []
    for field, segments in history.segments.items():
        of_field = []
        for segment, entries in segments.items():
            now, before = of_days(entries, days), of_days(entries, learned)
            rows = sum(entry.labelled for entry in now)
            if rows >= LEAST_ROWS:
                of_field.append(SegmentRow(field, segment, rows, metric.compute(before) if before else None, metric.compute(now)))
        if field == HORIZON:
            found += sorted(of_field, key=lambda row: (horizon_length(row.segment), row.segment))
        else:
            found += sorted(of_field, key=lambda row: _badness(metric, row.current))[:MOST_SEGMENTS]
    return found


def _badness(metric: OutcomeMetric, result: Result) -> float:
    if not isfinite(result.estimate):
        return float("inf")
    if metric.direction is Direction.NEAREST:
        return -abs(result.estimate - metric.ideal)
    return result.estimate if metric.direction is Direction.HIGHER else -result.estimate


def _bias_rows(found: Related) -> Iterator[BiasRow]:
    """Features by which the model is off on the last days, those that explain most of its error first."""
    return (BiasRow(bias, label_of(bias.worst.place)) for bias in biases(found.current)[:SHOWN_FEATURES] if bias.is_found)


def audit_rows(model: RegisteredModel, estimator: Estimator | None) -> Iterator[AuditRow]:
    for sample in audits.samples(model.id)[:SHOWN_AUDITS]:
        found = audited(audits.audit_of(sample), estimator) if sample.rows is not None else None
        size = len(sample.rows) if sample.rows is not None else sample.size
        yield AuditRow(sample.number, sample.first, sample.last, size, len(sample.labels), found)


def _charts(
    model: RegisteredModel,
    history: SegmentHistory,
    metric: OutcomeMetric,
    estimator: Estimator | ErrorEstimator | None,
    headline: Comparison | None,
    window: int,
    widths: Sequence[int],
    now: datetime,
) -> tuple[SafeString, ...]:
    windows = drawn_windows(history, window=window, since=now - timedelta(days=SHOWN_DAYS))
    if len(windows) < 2:
        return ()
    mature = set(history.mature)
    ripe: list[Value] = []
    early: list[Value] = []
    guessed: list[Value] = []
    for part in windows:
        entries = history.of(part)
        result, at = metric.compute(entries), history.ends[part[-1]]
        if isfinite(result.estimate):
            (ripe if mature.issuperset(part) else early).append(_value(at, result))
        if estimator:
            guess = estimator.estimate(metric.name, part)
            guessed += [_value(at, guess)] if isfinite(guess.estimate) else []
    start = history.ends[windows[0][-1]]
    reference = headline.reference.estimate if headline and isfinite(headline.reference.estimate) else None
    chart = PerformanceChart(
        title=present.translated(metric.title),
        start=start,
        end=history.ends[windows[-1][-1]],
        realised=tuple(ripe),
        preliminary=tuple(early),
        estimated=tuple(guessed),
        reference=reference,
        marks=tuple(model_page.marks(model, since=start)),
    )
    return tuple(performance_svg(chart, width=width) for width in widths)


def _value(at: datetime, result: Result) -> Value:
    return Value(at, result.estimate, result.low, result.high)
