"""For the machines that watch this one: is it well, and its figures."""

from __future__ import annotations

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from watchkeeper import __version__
from watchkeeper.alerts.queries import outbox_age
from watchkeeper.core.clock import clock_of
from watchkeeper.core.settings import settings
from watchkeeper.history.services import plain
from watchkeeper.ingest.queries import pending_batches
from watchkeeper.monitoring import beats
from watchkeeper.monitoring.light import Light
from watchkeeper.monitoring.queries import evaluation_totals, lights_by_model

clock = clock_of(settings().data, is_demo=settings().is_demo)
NUMBER = {Light.GREEN: 0, Light.YELLOW: 1, Light.RED: 2, Light.GREY: -1}


def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the database answers and a worker keeps up; 503 otherwise, with the reason."""
    try:
        pulse = beats.pulse(now=clock.now())
        document = {
            "status": "ok" if pulse.is_well else "lagging",
            "version": __version__,
            "worker_beat_at": plain(pulse.beat_at),
            "is_idle": pulse.is_idle,
            "lag_seconds": pulse.lag.total_seconds(),
            "pending_batches": pending_batches(),
            "outbox_age_seconds": outbox_age(now=clock.now()),
        }
    except DatabaseError as problem:
        return JsonResponse({"status": "no database", "detail": type(problem).__name__}, status=503)
    return JsonResponse(document, status=200 if pulse.is_well else 503)


class _Platform(Collector):
    """Read at each scrape from the database, so that every process answers the same."""

    def collect(self) -> list[GaugeMetricFamily]:
        now = clock.now()
        pulse = beats.pulse(now=now)
        totals = evaluation_totals(now.date())
        lights = GaugeMetricFamily("watchkeeper_model_light", "Light of a model: 0 green, 1 yellow, 2 red, -1 grey", labels=["model", "name"])
        for model_id, name, light in lights_by_model():
            lights.add_metric([str(model_id), name], NUMBER[Light(light)])
        evaluations = GaugeMetricFamily("watchkeeper_evaluations_today", "Evaluations today, by outcome", labels=["outcome"])
        for outcome, count in totals.items():
            evaluations.add_metric([outcome], count)
        return [
            GaugeMetricFamily("watchkeeper_worker_lag_seconds", "How late the oldest due evaluation is", value=pulse.lag.total_seconds()),
            GaugeMetricFamily("watchkeeper_outbox_age_seconds", "How long the oldest undelivered message waits", value=outbox_age(now=now)),
            GaugeMetricFamily("watchkeeper_pending_batches", "Acknowledged batches not yet applied", value=pending_batches()),
            GaugeMetricFamily(
                "watchkeeper_missed_evaluations", "Evaluations skipped because one took too long or no worker ran", value=beats.missed()
            ),
            evaluations,
            lights,
        ]


def metrics(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry()
    registry.register(_Platform())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
