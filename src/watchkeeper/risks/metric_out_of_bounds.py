"""Metric out of bounds.

A metric has left the bounds its owner set: the model is no longer as good as was agreed, or the number behind it is wrong.
It judges the newest value by the time it speaks of. A time later than the receipt is read as the receipt, so a date in the future
hides nothing. A value exactly on a limit is still inside. After it fired, it counts as repaired only beyond the clear limits, so a
value that trembles around a limit raises one incident and not ten.

`mode` says what is compared with the limits: the value itself (`absolute`), the value divided by the baseline that the version was accepted
with (`baseline_ratio`), the difference from that baseline (`baseline_diff`), or the value divided by the one before it (`previous_ratio`).

It is unknown while no value came, while the baseline or the previous value is missing, and when the newest value is older than `max_age`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isfinite
from statistics import median
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, FiniteFloat, model_validator

from watchkeeper.core.durations import Duration
from watchkeeper.core.evidence import DeclaredMetric, MetricHistory, Point
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import LOWER_BOUND, UPPER_BOUND, Defaults, Example, RiskParams

NEEDS = MetricHistory

_LEAST_VALUES = 8  # to tell what is usual
Mode = Literal["absolute", "baseline_ratio", "baseline_diff", "previous_ratio"]


class Params(RiskParams):
    metric: str = Field(description=N_("Name of the metric."), min_length=1)
    dataset: str | None = Field(None, description=N_("Only values measured on this dataset; empty = any dataset."))
    segment: str = Field("", description=N_("Only this segment; empty = the whole model."))
    lower: Annotated[FiniteFloat | None, LOWER_BOUND] = Field(None, description=N_("Fires below this limit."))
    upper: Annotated[FiniteFloat | None, UPPER_BOUND] = Field(None, description=N_("Fires above this limit."))
    clear_lower: FiniteFloat | None = Field(None, description=N_("Repaired only from this value up; empty = the lower limit itself."))
    clear_upper: FiniteFloat | None = Field(None, description=N_("Repaired only from this value down; empty = the upper limit itself."))
    mode: Mode = Field(
        "absolute", description=N_("What is compared with the limits: the value itself, or the value against the baseline or the value before.")
    )
    max_age: Duration | None = Field(
        timedelta(days=35), description=N_("A value older than this says nothing any more; empty = values never grow old."), gt=timedelta(0)
    )

    @model_validator(mode="after")
    def _limits_fit_together(self) -> Self:
        if self.lower is None and self.upper is None:
            raise ValueError("give a lower limit, an upper limit or both")
        if self.clear_lower is not None and (self.lower is None or self.clear_lower < self.lower):
            raise ValueError(f"clear_lower {self.clear_lower} must lie inside the bounds: give a lower limit that is not above it")
        if self.clear_upper is not None and (self.upper is None or self.clear_upper > self.upper):
            raise ValueError(f"clear_upper {self.clear_upper} must lie inside the bounds: give an upper limit that is not below it")
        low = self.lower if self.clear_lower is None else self.clear_lower
        high = self.upper if self.clear_upper is None else self.clear_upper
        if low is not None and high is not None and low > high:
            raise ValueError(f"no value can be good: the lower limits end at {low}, the upper limits begin at {high}")
        return self


DEFAULTS = Defaults(schedule={"every": "10m"}, criticality=2)

PLAN = (
    N_("Check the number first: was it computed on complete labels and on enough rows?"),
    N_("Compare with the other metrics and with the volume: did they move at the same hour?"),
    N_("Look what changed just before: a deployment, a data source, a process, a season."),
    N_("Find the segment in which it is worst; one broken segment often explains the whole."),
    N_("Decide with the business owner: keep, roll back, fall back or retrain."),
)

_TEMPLATES: dict[Mode, str] = {
    "absolute": N_("{metric} is {value:number}, {verdict:word} {limit:number}; measured {at:time}"),
    "baseline_ratio": N_(
        "{metric} is {measured:number}, {value:number} times its baseline {reference:number}, {verdict:word} {limit:number}; measured {at:time}"
    ),
    "baseline_diff": N_(
        "{metric} is {measured:number}, {value:number} away from its baseline {reference:number}, {verdict:word} {limit:number}; measured {at:time}"
    ),
    "previous_ratio": N_(
        "{metric} is {measured:number}, {value:number} times the value before, {reference:number}, {verdict:word} {limit:number}; measured {at:time}"
    ),
}


def evaluate(evidence: MetricHistory, params: Params) -> Finding:
    return _judge(evidence, params).in_segment(params.segment)


def propose(evidence: MetricHistory) -> list[dict[str, object]]:
    """For each declared metric that has told what is usual, bounds on its bad side: the median and four robust standard deviations from it."""
    return [params for metric in evidence.declared if (params := _usual_bounds(evidence, metric))]


def _usual_bounds(evidence: MetricHistory, metric: DeclaredMetric) -> dict[str, object]:
    pooled = [point for point in evidence.points_by_metric.get(metric.name, ()) if not point.segment]
    values = [point.value for point in pooled if point.dataset == pooled[-1].dataset and isfinite(point.value)]
    if len(values) < _LEAST_VALUES:
        return {}
    middle = median(values)
    room = 4 * 1.4826 * median(abs(value - middle) for value in values)
    if not room:
        return {}
    bounds = {"lower": float(f"{middle - room:.4g}"), "upper": float(f"{middle + room:.4g}")}
    bad = {"higher": ("lower",), "lower": ("upper",)}.get(metric.direction, ("lower", "upper"))
    dataset = {"dataset": pooled[-1].dataset} if pooled[-1].dataset else {}
    return {"metric": metric.name, **dataset, **{name: bounds[name] for name in bad}}


def _judge(evidence: MetricHistory, params: Params) -> Finding:
    reported = evidence.points_by_metric.get(params.metric, ())
    points = sorted((point for point in reported if _matches(point, params)), key=lambda point: (_spoken_at(point), point.received_at))
    if not points:
        return Finding.unknown(Text(N_("no value of {metric} came yet"), {"metric": params.metric}))
    newest = points[-1]
    at, limit = _spoken_at(newest), params.max_age
    if limit and evidence.now - at > limit:
        facts: dict[str, Argument] = {
            "metric": params.metric,
            "age": (evidence.now - at).total_seconds(),
            "limit": limit.total_seconds(),
            "at": at.isoformat(),
        }
        stale = Text(N_("the newest value of {metric} is {age:duration} old, of {at:time}; limit {limit:duration}"), facts)
        return Finding.unknown(stale, data=DataState.STALE)
    reference = _reference(points, evidence, params)
    if reference is None:
        return _without_reference(params)
    value = _compared(newest.value, reference, params.mode)
    if not isfinite(value):
        return Finding.unknown(Text(N_("{metric} and what it is compared with give no number"), {"metric": params.metric}))
    finding = _grade(newest, value, reference, evidence, params)
    return finding._replace(recheck_at=at + limit) if limit else finding


def _matches(point: Point, params: Params) -> bool:
    return point.segment == params.segment and params.dataset in (None, point.dataset)


def _spoken_at(point: Point) -> datetime:
    """What the point speaks of, but never later than its receipt: a point dated 2099 must not stand before all that follow."""
    return min(point.timestamp, point.received_at)


def _reference(points: list[Point], evidence: MetricHistory, params: Params) -> float | None:
    """What the newest value is compared with; None when it is missing, 0 when nothing is needed."""
    if params.mode == "absolute":
        return 0.0
    if params.mode != "previous_ratio":
        return evidence.baseline.get(params.metric)
    newest = points[-1]
    before = [point.value for point in points if point.dataset == newest.dataset and _spoken_at(point) < _spoken_at(newest)]
    return before[-1] if before else None


def _without_reference(params: Params) -> Finding:
    if params.mode == "previous_ratio":
        return Finding.unknown(Text(N_("only one value of {metric} came; two are compared"), {"metric": params.metric}))
    return Finding.unknown(Text(N_("the current version has no baseline of {metric}; send one with its training"), {"metric": params.metric}))


def _compared(value: float, reference: float, mode: Mode) -> float:
    if mode == "absolute":
        return value
    if mode == "baseline_diff":
        return value - reference
    return value / reference if reference else float("nan")


def _grade(newest: Point, value: float, reference: float, evidence: MetricHistory, params: Params) -> Finding:
    verdict = _verdict(value, params)
    text = Text(
        _TEMPLATES[params.mode],
        {
            "metric": _label(params.metric, evidence.declared),
            "value": value,
            "measured": newest.value,
            "reference": reference,
            "verdict": verdict.words,
            "limit": verdict.limit,
            "at": _spoken_at(newest).isoformat(),
        },
    )
    if verdict.fires:
        return Finding.fired(text, value=value, limit=verdict.limit, since=newest.received_at)
    return Finding.quiet(text, value=value, limit=verdict.limit, is_clear=verdict.is_clear)


class _Verdict(NamedTuple):
    words: str
    limit: float
    fires: bool = False
    is_clear: bool = True


def _verdict(value: float, params: Params) -> _Verdict:
    if params.lower is not None and value < params.lower:
        return _Verdict(N_("below the lower limit"), params.lower, fires=True, is_clear=False)
    if params.upper is not None and value > params.upper:
        return _Verdict(N_("above the upper limit"), params.upper, fires=True, is_clear=False)
    if params.clear_lower is not None and value < params.clear_lower:
        return _Verdict(N_("inside the limits, but not yet up to the clear limit"), params.clear_lower, is_clear=False)
    if params.clear_upper is not None and value > params.clear_upper:
        return _Verdict(N_("inside the limits, but not yet down to the clear limit"), params.clear_upper, is_clear=False)
    if params.upper is None or (params.lower is not None and value - params.lower < params.upper - value):
        assert params.lower is not None
        return _Verdict(N_("not below the lower limit"), params.lower)
    return _Verdict(N_("not above the upper limit"), params.upper)


def _label(metric: str, declared: tuple[DeclaredMetric, ...]) -> str:
    unit = next((known.unit for known in declared if known.name == metric), "")
    return f"{metric} ({unit})" if unit else metric


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _history(*values: float, metric: str = "roc_auc", unit: str = "", baseline: float | None = None) -> MetricHistory:
    """One value a day, the last one an hour ago."""
    times = [_NOW - timedelta(days=len(values) - 1 - day, hours=1) for day in range(len(values))]
    return MetricHistory(
        now=_NOW,
        registered_at=_NOW - timedelta(days=90),
        declared=(DeclaredMetric(name=metric, kind="technical", direction="higher", unit=unit),),
        points=tuple(Point(name=metric, value=value, timestamp=at, received_at=at) for value, at in zip(values, times, strict=True)),
        baseline={} if baseline is None else {metric: baseline},
    )


def examples() -> tuple[Example, ...]:
    return (
        Example(
            title=N_("ROC-AUC is inside its bounds"),
            evidence=_history(0.82, 0.81),
            params={"metric": "roc_auc", "lower": 0.75, "upper": 0.95},
            outcome=Outcome.QUIET,
        ),
        Example(
            title=N_("the saved money fell below what was agreed"),
            evidence=_history(1350.0, 840.0, metric="saved", unit="EUR"),
            params={"metric": "saved", "lower": 1000},
            outcome=Outcome.FIRED,
        ),
        Example(
            title=N_("back inside, but not far enough to count as repaired"),
            evidence=_history(0.71, 0.76),
            params={"metric": "roc_auc", "lower": 0.75, "clear_lower": 0.78},
            outcome=Outcome.QUIET,
        ),
        Example(
            title=N_("the error grew by half against the baseline"),
            evidence=_history(0.21, 0.3, metric="rmse", baseline=0.2),
            params={"metric": "rmse", "upper": 1.2, "mode": "baseline_ratio"},
            outcome=Outcome.FIRED,
        ),
        Example(
            title=N_("compared with a baseline that nobody sent"),
            evidence=_history(0.81),
            params={"metric": "roc_auc", "lower": -0.05, "mode": "baseline_diff"},
            outcome=Outcome.UNKNOWN,
        ),
        Example(
            title=N_("no value came yet"),
            evidence=_history(),
            params={"metric": "roc_auc", "lower": 0.75},
            outcome=Outcome.UNKNOWN,
        ),
    )
