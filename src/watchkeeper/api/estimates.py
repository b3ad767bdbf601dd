"""Performance as scores, or the predictions of a regression, tell it before labels arrive, beside what came out, and how far such estimates are to be believed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import isfinite
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router

from watchkeeper.analysis.estimates import Estimated, Estimator, NotEstimated, Tested, estimator_for
from watchkeeper.analysis.expected_errors import ErrorEstimator, error_estimator_for
from watchkeeper.analysis.metrics import OutcomeMetric, metric_named, metrics_of
from watchkeeper.analysis.outcomes import SegmentHistory
from watchkeeper.analysis.performance import drawn_windows
from watchkeeper.api.auth import caller, clock
from watchkeeper.api.given import WHOLE
from watchkeeper.api.shapes import estimate, finite, result
from watchkeeper.core.errors import NotFound
from watchkeeper.ingest.outcome_histories import segment_histories
from watchkeeper.ingest.relations import errors_of, want_errors
from watchkeeper.registry import queries
from watchkeeper.telemetry.outcome_queries import OutcomeKind

router = Router(tags=["models"])
Json = dict[str, Any]  # Any: JSON


@router.get("/models/{id}/estimates")
def estimates(
    request: HttpRequest,
    id: str,
    metric: str = "",
    window: Annotated[Literal[1, 7, 28], WHOLE] = 7,
    days: Annotated[Literal[7, 28, 90, 366], WHOLE] = 90,
) -> Json:
    """A metric estimated from the scores alone (CBPE), window by window, beside what came out; `reason` says why there is none.

    Of a regression its errors, from how wrong predictions of their size were (DLE): its first call makes a worker count them, `r_squared` is by how much
    they were foretold better than by a constant. Classes and rankings are not estimated.
    `is_distrusted` once the truth missed two estimates in a row: do not rely on `items` then. `spread` is by how much bands are wider than their two
    parts say, as learned from the reference.
    """
    model = queries.model_for(caller(request).who, id)
    history = segment_histories([model.id], now=clock.now())[model.id]
    chosen = _chosen(history, metric)
    estimator = _estimator(model.id, history, chosen.name if chosen else "")
    told: Json = {"metric": chosen.name if chosen else None, "window": window}
    if isinstance(estimator, NotEstimated):
        return told | {"reason": estimator.value, "is_distrusted": False, "last": None, "record": None, "learned": None, "items": []}
    assert chosen
    found = estimator.latest(chosen.name, window=window)
    windows = drawn_windows(history, window=window, since=clock.now() - timedelta(days=days))
    return told | {"reason": None, **_described(found), "items": [_item(history, estimator, chosen, part) for part in windows]}


def _estimator(model: UUID, history: SegmentHistory, metric: str) -> Estimator | ErrorEstimator | NotEstimated:
    if history.kind is not OutcomeKind.NUMBERS:
        return estimator_for(history, metric)
    want_errors({model: history}, now=clock.now())
    return error_estimator_for(history, errors_of({model: history})[model], metric)


def _chosen(history: SegmentHistory, name: str) -> OutcomeMetric | None:
    """The metric of this name, or the usual one; None where nothing was counted yet."""
    if history.kind is None:
        return None
    found = metric_named(name, history.kind, history.days)
    if name and found is None:
        known = ", ".join(metric.name for metric in metrics_of(history.kind, history.days))
        raise NotFound(f"No metric {name!r} of this model.", remedy=f"Known: {known}.")
    return found


def _described(found: Estimated) -> Json:
    record = found.record
    return {
        "is_distrusted": found.is_distrusted,
        "last": {"first_day": found.first.isoformat(), "last_day": found.last.isoformat(), **result(found.result)},
        "record": {
            "trust": record.trust.value,
            "windows": record.windows,
            "rmse": finite(record.rmse),
            "coverage": finite(record.coverage),
            "tested": [_tested(entry) for entry in found.tested],
        },
        "learned": {
            "from": "validation rows" if found.is_of_validation else "reference days",
            "labelled": found.labels,
            "by_segments_of": found.field or None,
            "spread": finite(found.spread),
            "r_squared": finite(found.r_squared),
            "reference": result(found.reference),
        },
    }


def _tested(entry: Tested) -> Json:
    return {
        "first_day": entry.first.isoformat(),
        "last_day": entry.last.isoformat(),
        "estimated": result(entry.estimate),
        "realised": result(entry.truth),
        "is_hit": entry.is_hit if isfinite(entry.estimate.estimate) and isfinite(entry.truth.estimate) else None,
    }


def _item(history: SegmentHistory, estimator: Estimator | ErrorEstimator, metric: OutcomeMetric, days: Sequence[date]) -> Json:
    return {
        "first_day": days[0].isoformat(),
        "last_day": days[-1].isoformat(),
        "is_mature": set(history.mature).issuperset(days),
        "estimated": estimate(estimator.parts(metric.name, days)),
        "realised": result(metric.compute(history.of(days))),
    }
