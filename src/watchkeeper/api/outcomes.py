"""Performance as labels tell it, day by day, and the objectives of good predictions."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router

from watchkeeper.analysis.metrics import metrics_of
from watchkeeper.analysis.service_levels import ServiceLevel, service_level, target_of
from watchkeeper.api.auth import caller, clock
from watchkeeper.api.given import WHOLE
from watchkeeper.api.shapes import finite, result
from watchkeeper.core.durations import parse_duration
from watchkeeper.ingest.outcome_histories import outcome_histories
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.registry import queries

router = Router(tags=["models"])
Json = dict[str, Any]  # Any: JSON
SLO_RISK = "slo_burn"


@router.get("/models/{id}/performance")
def performance(request: HttpRequest, id: str, days: Annotated[Literal[7, 28, 90, 366], WHOLE] = 28) -> Json:
    """Every metric of each of the last days. Days that are not mature still wait for labels: their metrics are not final."""
    model = queries.model_for(caller(request).who, id)
    history = outcome_histories([model.id], now=clock.now(), back=timedelta(days=days))[model.id]
    mature, items = set(history.mature), []
    for day in tuple(history.by_day)[-days:]:
        entries = history.of([day])
        measured = {metric.name: result(metric.compute(entries)) for metric in metrics_of(history.kind, history.days)} if history.kind else {}
        items.append(
            {
                "day": day.isoformat(),
                "rows": sum(entry.rows for entry in entries),
                "labelled": sum(entry.labelled for entry in entries),
                "is_mature": day in mature,
                "metrics": measured,
            }
        )
    return {"kind": history.kind.value if history.kind else None, "items": items}


@router.get("/models/{id}/slo")
def slo(request: HttpRequest, id: str) -> Json:
    """Each objective of the model with its budget as of the last mature day. `good` and `labelled` count predictions of the budget's time."""
    model = queries.model_for(caller(request).who, id)
    history = outcome_histories([model.id], now=clock.now())[model.id]
    items = []
    for risk in monitoring.bound_risks(UUID(str(model.id))):
        if risk.binding.type == SLO_RISK:
            budget = parse_duration(risk.effective["budget"])
            target = target_of(history, risk.effective["target"])
            level = service_level(history, target=target, budget=budget)
            items.append({"risk_id": str(risk.binding.id), "target": finite(target), "budget_seconds": budget.total_seconds(), **_level(level)})
    return {"items": items}


def _level(level: ServiceLevel | None) -> Json:
    if level is None:
        return {"good": None, "labelled": None, "budget_left": None, "last_day": None, "burns": []}
    return {
        "good": level.counts.valid - level.counts.bad,
        "labelled": level.counts.valid,
        "budget_left": finite(level.budget.left),
        "last_day": level.last.isoformat(),
        "burns": [
            {
                "window_seconds": burn.window.long.total_seconds(),
                "rate": finite(burn.long),
                "limit": burn.window.burn,
                "is_firing": burn.reason.is_firing,
            }
            for burn in level.burns
        ],
    }
