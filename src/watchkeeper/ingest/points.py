"""Reported metrics: stored, and the newest of each series found without reading all that came before them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet, Window
from django.db.models.functions import Least, RowNumber

from watchkeeper.core.evidence import MOMENTS, Point
from watchkeeper.history.bulk import insert_values, prepared
from watchkeeper.ingest.models import MetricPoint

MOST_POINTS = 100_000  # when the past is looked at
EARLIER = 10  # of each series, of what came before that: its newest moments with their corrections
_POINT = Point._fields
_SERIES = ("model", "name", "dataset", "version", "segment")


def store_points(points: Mapping[UUID, Sequence[Point]], *, batch: int | None = None) -> None:
    """Store points of models; what they push out of the newest of their series is not recent any more."""
    rows = [(model, batch, True, *point) for model, of_model in points.items() for point in of_model]
    insert_values(MetricPoint, ("model", "batch", "is_recent", *_POINT), rows)
    forget_older(points.keys())


def forget_older(models: Collection[UUID]) -> None:
    """Keep the last value of each of the newest moments of a series. A point dated in the future speaks of its receipt: it must not
    stand before all that follow."""
    kept: dict[tuple[Any, ...], list[datetime]] = defaultdict(list)  # Any: values of columns
    older: list[int] = []
    for at, id, series in sorted([(min(at, received_at), id, series) for id, at, received_at, *series in _series(models)], reverse=True):
        moments = kept[tuple(series)]
        if at not in moments and len(moments) < MOMENTS:
            moments.append(at)
        else:
            older.append(id)
    if older:
        MetricPoint.objects.filter(id__among=older).update(is_recent=False)


def recent_points(models: Collection[UUID]) -> dict[UUID, list[Point]]:
    """The newest points of each series (metric, dataset, version, segment), oldest first."""
    points: dict[UUID, list[Point]] = defaultdict(list)
    for model_id, *point in _recent(models):
        points[model_id].append(Point(*point))
    for of_model in points.values():
        of_model.sort(key=attrgetter("timestamp"))
    return points


def past_points(models: Collection[UUID], *, since: datetime) -> dict[UUID, list[Point]]:
    """All points received since a moment, and those before it that a series' newest were among; in the order of receipt, the last ones of very many."""
    found = MetricPoint.objects.filter(model__in=models).order_by("-received_at", "-id")
    rank = Window(RowNumber(), partition_by=_SERIES, order_by=[Least("timestamp", "received_at").desc(), F("id").desc()])
    before = found.filter(received_at__lt=since).annotate(rank=rank).filter(rank__lte=EARLIER)
    points: dict[UUID, list[Point]] = defaultdict(list)
    for rows in (before, found.filter(received_at__gte=since)[:MOST_POINTS]):
        for model_id, *point in reversed(rows.values_list("model_id", *_POINT)):
            points[model_id].append(Point(*point))
    return points


@prepared
def _recent(models: Collection[UUID]) -> QuerySet[MetricPoint, Any]:  # Any: values of columns
    return MetricPoint.objects.filter(model__among=models, is_recent=True).values_list("model_id", *_POINT)


@prepared
def _series(models: Collection[UUID]) -> QuerySet[MetricPoint, Any]:  # Any: values of columns
    return MetricPoint.objects.filter(model__among=models, is_recent=True).values_list("id", "timestamp", "received_at", *_SERIES)
