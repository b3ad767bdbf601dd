"""What the SLO page shows: each objective of a model (a bound risk `slo_burn`) with its budget, how fast it burns, and its course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING

from django.utils.safestring import SafeString
from django.utils.translation import gettext

from watchkeeper.analysis.openslo import open_slo
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.analysis.service_levels import ServiceLevel, good_and_bad, service_level, target_of, usual_target
from watchkeeper.core.durations import parse_duration
from watchkeeper.ingest.outcome_histories import outcome_histories
from watchkeeper.stats.result import Result
from watchkeeper.stats.scores import share_result
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.web import charts, model_page

if TYPE_CHECKING:
    from watchkeeper.monitoring.queries import BoundRisk
    from watchkeeper.registry.models import RegisteredModel

RISK = "slo_burn"
SHOWN_DAYS = 90


@dataclass(frozen=True)
class Objective:
    """One objective. `level` is None while no mature day can be counted; `is_agreed` is False when the target is what was usual so far."""

    risk: BoundRisk
    target: float
    is_agreed: bool
    budget: timedelta
    level: ServiceLevel | None
    good: Result | None
    charts: tuple[SafeString, ...]

    @property
    def left(self) -> float:
        return self.level.budget.left if self.level else float("nan")

    @property
    def colour(self) -> str:
        if self.risk.state == "firing":
            return "yellow"
        return "green" if self.level and isfinite(self.left) else "grey"

    @property
    def left_width(self) -> float:
        return 128 * min(max(self.left, 0.0), 1.0) if isfinite(self.left) else 0.0


@dataclass(frozen=True)
class Page:
    objectives: tuple[Objective, ...]
    suggested: float | None
    by_interval: bool


def page(model: RegisteredModel, risks: Sequence[BoundRisk], *, widths: Sequence[int], now: datetime) -> Page:
    history = outcome_histories([model.id], now=now)[model.id]
    objectives = tuple(_objective(model, risk, history, widths) for risk in risks if risk.binding.type == RISK)
    usual = usual_target(history)
    return Page(objectives, usual if isfinite(usual) else None, history.kind is OutcomeKind.NUMBERS)


def export(model: RegisteredModel, risks: Sequence[BoundRisk], *, address: str, now: datetime) -> str:
    """OpenSLO documents of the model's objectives; empty without one."""
    return "---\n".join(
        open_slo(
            model=str(model.id),
            name=model.name,
            description=model.purpose,
            target=round(objective.target, 6),
            budget=objective.budget,
            address=address,
        )
        for objective in page(model, risks, widths=(), now=now).objectives
        if isfinite(objective.target)
    )


def _objective(model: RegisteredModel, risk: BoundRisk, history: OutcomeHistory, widths: Sequence[int]) -> Objective:
    agreed, budget = risk.effective["target"], parse_duration(risk.effective["budget"])
    target = target_of(history, agreed)
    level = service_level(history, target=target, budget=budget)
    counts = level.counts if level else None
    return Objective(
        risk=risk,
        target=target,
        is_agreed=agreed is not None,
        budget=budget,
        level=level,
        good=share_result(counts.valid - counts.bad, counts.valid, n=int(counts.valid)) if counts else None,
        charts=_charts(model, history, target, widths),
    )


def _charts(model: RegisteredModel, history: OutcomeHistory, target: float, widths: Sequence[int]) -> tuple[SafeString, ...]:
    """The share of good predictions by mature day against the target."""
    if history.kind is None:
        return ()
    points = []
    for day in history.mature[-SHOWN_DAYS:]:
        counts = good_and_bad(history.kind, history.of([day]))
        if counts.valid:
            points.append((history.ends[day], 1 - counts.bad / counts.valid))
    if len(points) < 2:
        return ()
    line, marks = charts.Line(gettext("good predictions"), tuple(points)), tuple(model_page.marks(model, since=points[0][0]))
    limits = charts.Limits(lower=target if isfinite(target) else None)
    chart = charts.MetricChart(gettext("Good predictions by day"), points[0][0], points[-1][0], (line,), limits, marks)
    return tuple(charts.metric_svg(chart, width=width) for width in widths)
