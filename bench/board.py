"""The board of 10,000 models, asked for by an administrator through the real server: latency and number of queries."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING

from bench._installation import memory, set_up, web
from bench._table import Row, at_most, percentiles

if TYPE_CHECKING:
    from django.test import Client

    from watchkeeper.accounts.models import Unit

MODELS, UNITS = 10_000, 40
RISKS = ("no_predictions", "metric_out_of_bounds")
LIGHTS = ("green",) * 90 + ("yellow",) * 6 + ("red",) * 2 + ("grey",) * 2
LOOKS, WARM_UP = 60, 10


def run() -> Iterator[Row]:
    set_up()
    _company(datetime.now(UTC))
    client = _administrator()
    yield Row(f"board of {MODELS:,} models: queries of one page", f"{_queries(client)}")
    with web() as (server, port):
        session = client.cookies["sessionid"].value
        for what, pages in (("", [""] * (WARM_UP + LOOKS)), (", pages nobody saw", [f"?page={n}" for n in range(2, WARM_UP + LOOKS)])):
            p50, p95 = percentiles(list(_looks(port, session, pages))[WARM_UP:], 50, 95)
            yield at_most(f"board of {MODELS:,} models{what}: 95 of 100 answers", p95, 200, unit="ms", also=f" (half: {p50:,.0f} ms)")
        yield memory("board: memory of web", server)


def _looks(port: int, session: str, pages: list[str]) -> Iterator[float]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    for page in pages:
        started = time.perf_counter()
        connection.request("GET", f"/{page}", headers={"Cookie": f"sessionid={session}"})
        answer = connection.getresponse()
        html = answer.read()
        yield (time.perf_counter() - started) * 1000
        if answer.status != 200 or b"Model 0" not in html:
            raise AssertionError(f"Not the board: {answer.status}.")


def _queries(client: Client) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        client.get("/")
    return len(captured)


def _administrator() -> Client:
    from django.test import Client

    from watchkeeper.accounts import queries as accounts
    from watchkeeper.accounts import services as people
    from watchkeeper.accounts.models import Role
    from watchkeeper.history.actors import PLATFORM

    person = people.create_person(email="administrator@example.com", name="Administrator", actor=PLATFORM, now=datetime.now(UTC))
    people.grant_role(person, role=Role.ADMINISTRATOR, unit=accounts.root_unit(), actor=PLATFORM, now=datetime.now(UTC))
    client = Client()
    client.force_login(person)
    return client


def _company(now: datetime) -> None:
    """Models with owners, two risks each, and a light that changed a few times this month; what fires has an open incident."""
    from watchkeeper.accounts import services as people
    from watchkeeper.accounts.models import Person
    from watchkeeper.core.text import Text
    from watchkeeper.history.actors import PLATFORM
    from watchkeeper.incidents.models import Incident
    from watchkeeper.monitoring.models import ConditionRow, LightChange, ModelLight, RiskBinding
    from watchkeeper.registry.models import Ownership, RegisteredModel

    chance, before = random.Random(7), now - timedelta(days=60)  # noqa: S311 - no secret
    units: list[Unit] = [people.ensure_unit([f"Division {n % 8}", f"Team {n}"], actor=PLATFORM, now=now) for n in range(UNITS)]
    owners = Person.objects.bulk_create(Person(email=f"p{n}@example.com", name=f"Person {n}", created_at=before) for n in range(100))
    models = RegisteredModel.objects.bulk_create(
        RegisteredModel(name=f"Model {n:05d}", unit=units[n % UNITS], created_at=before) for n in range(MODELS)
    )
    lights = {model.id: chance.choice(LIGHTS) for model in models}
    scores = {"green": 0, "grey": 0, "yellow": 2, "red": 4}
    Ownership.objects.bulk_create(
        Ownership(model=model, side=side, person=chance.choice(owners)) for model in models for side in ("business", "technical")
    )
    bindings = RiskBinding.objects.bulk_create(
        RiskBinding(
            model=model, type=type, schedule={"every": "1h"}, pending_for=timedelta(0), hold=timedelta(0), criticality=2, created_at=before,
            params={"metric": "mape", "upper": 12} if type == "metric_out_of_bounds" else {}, next_due_at=now + timedelta(hours=1),
        )
        for model in models
        for type in RISKS
    )  # fmt: skip
    firing = {"yellow": 1, "red": 2}
    fires = [number % len(RISKS) < firing.get(lights[binding.model_id], 0) for number, binding in enumerate(bindings)]
    ConditionRow.objects.bulk_create(
        ConditionRow(
            binding=binding, state="firing" if is_firing else "ok", data="fresh",
            since=now, evaluated_at=now, value=14.0, limit=12.0, explanation=Text("Something is not as it should be").as_json(),
        )
        for binding, is_firing in zip(bindings, fires, strict=True)
    )  # fmt: skip
    Incident.objects.bulk_create(
        Incident(binding=binding, model_id=binding.model_id, criticality=2, true_since=now, opened_at=now, value=14.0, limit=12.0)
        for binding, is_firing in zip(bindings, fires, strict=True)
        if is_firing
    )
    ModelLight.objects.bulk_create(
        ModelLight(
            model=model, light=lights[model.id], score=scores[lights[model.id]], known=2, total=2,
            since=now - (timedelta(days=5) if lights[model.id] == "green" else timedelta(hours=2)),
        )
        for model in models
    )  # fmt: skip
    LightChange.objects.bulk_create(
        LightChange(model=model, at=now - timedelta(days=days), light="green", score=0) for model in models for days in (45, 5)
    )
    LightChange.objects.bulk_create(
        LightChange(model=model, at=now - timedelta(hours=2), light=lights[model.id], score=scores[lights[model.id]])
        for model in models
        if lights[model.id] != "green"
    )
