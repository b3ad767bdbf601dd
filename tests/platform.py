"""A whole platform inside the test: its cast, its ingest and its worker, on a clock the test moves. No server, no sleep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.receiver import Receiver
from watchkeeper.accounts import services as accounts
from watchkeeper.accounts.models import Person, Role, Unit
from watchkeeper.alerts import flow
from watchkeeper.alerts.services import ChannelOf, create_channel
from watchkeeper.core.clock import ManualClock
from watchkeeper.core.durations import parse_duration
from watchkeeper.history.actors import PLATFORM, Actor
from watchkeeper.incidents.models import Incident
from watchkeeper.ingest.border import check_submission
from watchkeeper.ingest.receiving import Arrival, store_group
from watchkeeper.monitoring import services as monitoring
from watchkeeper.monitoring.models import ModelLight, RiskBinding
from watchkeeper.monitoring.queries import bound_risks
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.registry.queries import TokenHolder
from watchkeeper.registry.services import Owners
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.wire import JSON, Stream
from watchkeeper.wire.rows import Receipt
from watchkeeper.worker.loop import cycle
from watchkeeper.worker.steps import Workshop


@dataclass
class Platform:
    """The company of the tests: Travel/Operations with its people."""

    clock: ManualClock
    folder: Path
    company: Unit = field(init=False)
    unit: Unit = field(init=False)
    administrator: Person = field(init=False)
    owner: Person = field(init=False)
    business_owner: Person = field(init=False)
    validator: Person = field(init=False)
    outsider: Person = field(init=False)
    shop: Workshop = field(init=False)
    receiver: Receiver = field(default_factory=Receiver)

    def __post_init__(self) -> None:
        now = self.clock.now()
        self.company = accounts.found_company("Company", actor=PLATFORM, now=now)
        self.unit = accounts.ensure_unit(["Travel", "Operations"], actor=PLATFORM, now=now)
        people = {
            name: accounts.create_person(email=f"{name}@example.com", name=name, actor=PLATFORM, now=now)
            for name in ("administrator", "owner", "business_owner", "validator", "outsider")
        }
        for name, person in people.items():
            setattr(self, name, person)
        accounts.grant_role(self.administrator, role=Role.ADMINISTRATOR, unit=self.company, actor=PLATFORM, now=now)
        accounts.grant_role(self.validator, role=Role.VALIDATOR, unit=self.unit, actor=PLATFORM, now=now)
        self.shop = Workshop(self.clock, telemetry=TelemetryLog(self.folder / "telemetry"))

    @property
    def actor(self) -> Actor:
        return Actor.person(self.administrator.id)

    def register(self, name: str = "Late flights", **fields: Any) -> RegisteredModel:  # Any: fields of the passport
        owners = Owners(business=(self.business_owner,), technical=(self.owner,))
        return flow.connect_model(name, unit=self.unit, actor=self.actor, now=self.clock.now(), fields=fields, owners=owners).model

    def bind(self, model: RegisteredModel, type: str, **wanted: Any) -> RiskBinding:  # Any: fields of a binding
        durations = {name: parse_duration(wanted.pop(name)) for name in ("for_", "hold") if name in wanted}
        binding = monitoring.Binding(type=type, **wanted, **durations)
        return monitoring.bind_risk(model, wanted=binding, actor=self.actor, now=self.clock.now())

    def only(self, model: RegisteredModel, type: str, **wanted: Any) -> RiskBinding:  # Any: fields of a binding
        """Bind one risk and take away all others: what the light shows is this risk alone."""
        for binding in model.bindings.filter(removed_at=None):
            flow.remove_risk(binding, actor=self.actor, now=self.clock.now())
        return self.bind(model, type, **wanted)

    def send(self, model: RegisteredModel, stream: Stream, rows: Sequence[Mapping[str, Any]], *, batch_id: str = "") -> Receipt:  # Any: JSON
        body = json.dumps({"rows": list(rows), "batch_id": batch_id or str(uuid4())}).encode()
        submission = check_submission(stream, body=body, media_type=JSON)
        arrival = Arrival(submission, TokenHolder("test", model.id, False, frozenset({"ingest"})), self.clock.now())
        store_group([arrival])
        if arrival.error:
            raise arrival.error
        assert arrival.receipt
        return arrival.receipt

    def predict(self, model: RegisteredModel, count: int = 1, *, at: datetime | None = None, **fields: Any) -> Receipt:  # Any: JSON
        moment = (at or self.clock.now()).isoformat()
        rows = [{"id": uuid4().hex, "timestamp": moment, "score": 0.5, "features": {"x": 1.0}, **fields} for _ in range(count)]
        return self.send(model, Stream.PREDICTIONS, rows)

    def predict_days(self, model: RegisteredModel, days: Sequence[Sequence[Mapping[str, Any]]]) -> None:  # Any: JSON
        """Rows of days that are over, the last of them yesterday; then the worker does all it finds."""
        for back, rows in enumerate(reversed(days), start=1):
            at = (self.clock.now() - timedelta(days=back)).isoformat()
            self.predict_rows(model, [{"timestamp": at, **row} for row in rows])
        self.work(minutes=1)
        self.work(days=1)

    def measure(self, model: RegisteredModel, name: str, value: float, **fields: Any) -> Receipt:  # Any: JSON
        return self.send(model, Stream.METRICS, [{"name": name, "value": value, **fields}])

    def say(self, model: RegisteredModel, type: str, **fields: Any) -> Receipt:  # Any: JSON
        return self.send(model, Stream.EVENTS, [{"type": type, **fields}])

    def train(
        self,
        model: RegisteredModel,
        schema: Mapping[str, str] | None = None,
        *,
        version: str = "1",
        days_ago: int = 1,
        reference: Sequence[Mapping[str, Any]] | None = None,  # Any: JSON
        **fields: Any,  # Any: JSON
    ) -> Receipt:
        at = (self.clock.now() - timedelta(days=days_ago)).isoformat()
        return self.send(model, Stream.TRAINING, [{"version": version, "trained_at": at, "schema": schema, "reference": reference, **fields}])

    def predict_features(self, model: RegisteredModel, rows: Sequence[Mapping[str, Any]], **fields: Any) -> Receipt:  # Any: JSON
        """One prediction for each row of features, now."""
        return self.predict_rows(model, [{"features": row, **fields} for row in rows])

    def predict_rows(self, model: RegisteredModel, rows: Sequence[Mapping[str, Any]]) -> Receipt:  # Any: JSON
        """One prediction for each row, now."""
        at = self.clock.now().isoformat()
        return self.send(model, Stream.PREDICTIONS, [{"id": uuid4().hex, "timestamp": at, **row} for row in rows])

    def work(self, **span: float) -> None:
        """Let time pass, then let the worker do all it finds."""
        self.clock.advance(timedelta(**span))
        for _ in range(20):
            if not cycle(self.shop):
                return

    def run(self, *, every: timedelta, **span: float) -> None:
        """Let time pass in steps, the worker working at each."""
        end = self.clock.now() + timedelta(**span)
        while self.clock.now() < end:
            self.work(seconds=every.total_seconds())

    def light(self, model: RegisteredModel) -> str:
        return ModelLight.objects.get(model=model).light

    def condition(self, binding: RiskBinding) -> str:
        return next(risk for risk in bound_risks(binding.model_id) if risk.binding.id == binding.id).state

    def explanation(self, binding: RiskBinding) -> str:
        risk = next(risk for risk in bound_risks(binding.model_id) if risk.binding.id == binding.id)
        return risk.explanation.render().replace("\u00a0", " ")

    def incident(self, binding: RiskBinding) -> Incident | None:
        return Incident.objects.filter(binding=binding).order_by("-number").first()

    def reachable(self) -> str:
        """An address that answers for as long as the test runs."""
        return self.receiver.url

    def webhook(self, url: str, *, model: RegisteredModel | None = None) -> Any:  # Any: the channel
        of = ChannelOf(model=model) if model else ChannelOf(unit=self.company)
        return create_channel(kind="webhook", name="duty", config={"url": url}, of=of, actor=self.actor, now=self.clock.now())
