"""What the processes of a fault test find when they start. Runs inside a forked process, through `Nursery.call`."""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime, timedelta
from socketserver import ThreadingMixIn
from typing import Any
from uuid import UUID
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.management import call_command

from watchkeeper.accounts import services as accounts
from watchkeeper.accounts.models import Person, Role, Unit
from watchkeeper.alerts import flow
from watchkeeper.alerts.models import Channel
from watchkeeper.core.secrets import encrypt
from watchkeeper.history.actors import PLATFORM
from watchkeeper.history.services import verify_history
from watchkeeper.ingest import places
from watchkeeper.ingest.applying import telemetry_log
from watchkeeper.ingest.border import check_submission
from watchkeeper.ingest.receiving import Arrival, store_group
from watchkeeper.monitoring import services as monitoring
from watchkeeper.monitoring.models import ModelLight, RiskBinding
from watchkeeper.registry import services as registry
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.registry.queries import TokenHolder
from watchkeeper.registry.services import Owners
from watchkeeper.wire import JSON, Stream

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
START, END = date(1970, 1, 1), date(2149, 1, 1)


def found(url: str) -> dict[str, str]:
    """The company, an administrator, and one model with a metric risk, a webhook and a token."""
    now = datetime.now(UTC)
    company = accounts.found_company("Company", actor=PLATFORM, now=now)
    administrator = accounts.create_person(email="administrator@example.com", name="administrator", actor=PLATFORM, now=now)
    accounts.grant_role(administrator, role=Role.ADMINISTRATOR, unit=company, actor=PLATFORM, now=now)
    made = registry.register_model("Late flights", unit=company, actor=PLATFORM, now=now, owners=Owners(technical=(administrator,)))
    wanted = monitoring.Binding(type="metric_out_of_bounds", params={"metric": "mape", "upper": 12}, criticality=2)
    binding = monitoring.bind_risk(made.model, wanted=wanted, actor=PLATFORM, now=now)
    _webhooks(url, [made.model.id], now)
    return {"model": str(made.model.id), "token": made.token.text, "binding": str(binding.id)}


def watch(model: str, folder: str) -> None:
    wanted = places.Wanted(kind="folder", address=folder)
    places.watch_place(RegisteredModel.objects.get(id=model), wanted=wanted, actor=PLATFORM, now=datetime.now(UTC))


def silent_models(count: int, url: str) -> None:
    """Models that have been silent for two hours, each with a webhook of its own; all their risks are due now, and then not again: an interval's
    next moment is spread over the hour and could come during the test."""
    now, before = datetime.now(UTC), datetime.now(UTC) - timedelta(hours=2)
    company = Unit.objects.filter(depth=0).first() or accounts.found_company("Company", actor=PLATFORM, now=now)
    if not Person.objects.exists():
        person = accounts.create_person(email="administrator@example.com", name="administrator", actor=PLATFORM, now=now)
        accounts.grant_role(person, role=Role.ADMINISTRATOR, unit=company, actor=PLATFORM, now=now)
    models = RegisteredModel.objects.bulk_create(RegisteredModel(name=f"silent {i}", unit=company, created_at=before) for i in range(count))
    ModelLight.objects.bulk_create(ModelLight(model=model, since=before) for model in models)
    RiskBinding.objects.bulk_create(
        RiskBinding(
            model=model,
            type="no_predictions",
            schedule={"on": "event"},
            pending_for=timedelta(0),
            hold=timedelta(0),
            criticality=3,
            created_at=before,
            next_due_at=before,
        )
        for model in models
    )
    _webhooks(url, [model.id for model in models], before)


def _webhooks(url: str, models: list[UUID], now: datetime) -> None:
    config = encrypt({"url": url, "secret": SECRET, "headers": {}})
    Channel.objects.bulk_create(Channel(kind="webhook", name="duty", config=config, model_id=model, created_at=now) for model in models)


def edit_limit(binding: str, upper: float) -> None:
    found = RiskBinding.objects.get(id=binding)
    flow.edit_risk(found, fields={"params": {"metric": "mape", "upper": upper}}, actor=PLATFORM, now=datetime.now(UTC))


def logged_ids(model: str, stream: str = "predictions") -> list[str]:
    """Every id in the log, in the order received."""
    table = telemetry_log().rows(UUID(model), Stream(stream), START, END, limit=10_000_000)
    return [str(id) for id in table["id"].to_pylist()] if table.num_rows else []


def serve(port: int) -> None:
    """The web process: the same application that granian serves, in a server that forks well."""
    from watchkeeper.cli.server import application

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = 64

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # Any: as in the standard library
            pass

    with make_server("127.0.0.1", port, application, server_class=Server, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        threading.Event().wait()


def send(model: str, stream: str, rows: list[dict[str, Any]], batch_id: str) -> None:  # Any: JSON
    """A batch as the web process stores it."""
    submission = check_submission(Stream(stream), body=json.dumps({"rows": rows, "batch_id": batch_id}).encode(), media_type=JSON)
    arrival = Arrival(submission, TokenHolder("test", UUID(model), False, frozenset({"ingest"})), datetime.now(UTC))
    store_group([arrival])
    assert arrival.receipt


def verify() -> list[Any]:  # Any: JSON
    """Whether the history holds: sealed, unsealed, the first bad record."""
    result = verify_history()
    return [result.sealed, result.unsealed, result.bad_number]


def migrate() -> None:
    call_command("migrate", verbosity=0, interactive=False)
