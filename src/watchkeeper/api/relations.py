"""Features against the outcome: the numbers of the charts of a feature."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Query, Router

from watchkeeper.analysis.relations import Bias, BinMeans, Relations, biases, outcome_by
from watchkeeper.api.auth import caller, clock
from watchkeeper.api.given import WHOLE
from watchkeeper.api.shapes import finite, result
from watchkeeper.core.errors import NotFound
from watchkeeper.ingest.outcome_histories import outcome_histories
from watchkeeper.ingest.relations import related
from watchkeeper.registry import queries

router = Router(tags=["models"])
Json = dict[str, Any]  # Any: JSON


@router.get("/models/{id}/relations")
def relations(request: HttpRequest, id: str, feature: Query[str], days: Annotated[Literal[7, 28, 90], WHOLE] = 28) -> Json:
    """Mean label, prediction and residual (label - prediction) by bins of a feature, of the reference days and of the last judged ones.

    The first call makes a worker count them: `waiting` says how many days are still to come. `since` is null where there is nothing to relate yet
    (no labels, or classes instead of numbers).
    """
    model = queries.model_for(caller(request).who, id)
    history = outcome_histories([model.id], now=clock.now())[model.id]
    name = f"f.{feature}"
    found = related(model, history, window=days, feature=name, now=clock.now()) if history.labelled else None
    if found is None:
        return {"feature": feature, "since": None, "waiting": 0, "reference": None, "current": None, "bias": None}
    if name not in found.reference.features:
        raise NotFound(f"No feature {feature!r} among those that are counted.", remedy="The page Data of the model names its features.")
    means = outcome_by(found.reference.features[name], found.current.features[name])
    latest = found.current if found.current.features[name].labelled else found.reference
    return {
        "feature": feature,
        "since": found.since.isoformat(),
        "waiting": found.waiting,
        "reference": _side(found.reference, found.reference_days, means.reference, name),
        "current": _side(found.current, found.current_days, means.current, name),
        "bias": next(map(_bias, biases(latest)), None),
    }


def _side(side: Relations, days: Sequence[date], bins: Sequence[BinMeans], name: str) -> Json:
    sums = side.features[name]
    return {
        "first_day": days[0].isoformat() if days else None,
        "last_day": days[-1].isoformat() if days else None,
        "rows": int(sums["rows"].sum()),
        "labelled": sums.labelled,
        "bins": [_bin(entry) for entry in bins],
    }


def _bin(entry: BinMeans) -> Json:
    place = entry.place
    return {
        "low": place.low,
        "high": place.high,
        "level": place.level,
        "special": place.special or None,
        "labelled": entry.n,
        "share": entry.share,
        "mean_x": entry.x,
        "mean_label": result(entry.target),
        "mean_prediction": entry.prediction,
        "mean_residual": result(entry.residual),
    }


def _bias(bias: Bias) -> Json:
    return {
        "is_found": bias.is_found,
        "f": finite(bias.test.statistic),
        "p_value": finite(bias.test.p_value),
        "part_of_squared_error": finite(bias.part),
        "worst": _bin(bias.worst),
    }
