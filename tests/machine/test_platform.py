"""The whole platform against the oracle: values, silence, errors, people, edits, dead workers and any amount of time between them.

Each example runs in a transaction that is rolled back: the history refuses to be deleted.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from tests.conftest import Runs
from tests.machine.oracle import Case, Docket, Reading, Saw, Seen, Wait, judge, light
from tests.platform import Platform
from watchkeeper import risks
from watchkeeper.alerts import flow
from watchkeeper.alerts import services as alerts
from watchkeeper.alerts.models import Message, Notification
from watchkeeper.channels import Receipt
from watchkeeper.core.clock import ManualClock
from watchkeeper.core.durations import format_duration
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.evidence import MetricHistory
from watchkeeper.core.finding import Finding
from watchkeeper.core.text import Text
from watchkeeper.incidents import services as incidents
from watchkeeper.incidents.models import Incident
from watchkeeper.monitoring import evaluation
from watchkeeper.monitoring.models import ConditionRow, LightChange, ModelLight, RiskBinding
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.worker import steps

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
TYPE = "metric_out_of_bounds"
OLD_AFTER = timedelta(hours=6)
LIMITS = {12.0: 10.0, 15.0: 13.0}  # upper and clear limit before and after an edit
SPANS = some.sampled_from([1, 30, 61, 300, 601, 1200, 1801, 7200, 6 * 3600 + 1, 86_401, 3 * 86_400]).map(lambda s: timedelta(seconds=s))
WAITS = some.builds(
    lambda for_, hold, m, n: Wait(for_=timedelta(seconds=for_), hold=timedelta(seconds=hold), m=m, n=min(n, m)),
    for_=some.sampled_from([0, 0, 0, 300, 1200]),
    hold=some.sampled_from([0, 0, 300, 1200]),
    m=some.integers(1, 3),
    n=some.integers(1, 3),
)
BROKEN: set[str] = set()  # metrics whose evaluation raises


@dataclass
class Watched:
    """One binding as the oracle keeps it."""

    metric: str
    binding: RiskBinding
    wait: Wait
    criticality: int
    upper: float = 12.0
    value: float | None = None
    valued_at: datetime | None = None
    history: list[Reading] = field(default_factory=list)
    docket: Docket = field(default_factory=Docket)
    platform_case: bool = False
    is_removed: bool = False

    @property
    def seen(self) -> Seen | None:
        return judge(self.history, self.wait) if self.history else None

    @property
    def fires(self) -> bool:
        return self.seen is not None and self.seen.counts

    @property
    def params(self) -> dict[str, Any]:  # Any: JSON
        return {"metric": self.metric, "upper": self.upper, "clear_upper": LIMITS[self.upper], "max_age": format_duration(OLD_AFTER)}

    def reading(self, at: datetime, now: datetime) -> Reading:
        """What an evaluation now must see."""
        if self.metric in BROKEN:
            return Reading(at, "error")
        if self.value is None or self.valued_at is None:
            return Reading(at, "unknown")
        if now - self.valued_at > OLD_AFTER:
            return Reading(at, "unknown", data="stale")
        saw: Saw = "fired" if self.value > self.upper else "almost" if self.value > LIMITS[self.upper] else "quiet"
        return Reading(at, saw, self.valued_at)

    def evaluate(self, at: datetime, now: datetime) -> None:
        """Add the reading, and to the docket what follows from it."""
        fired = self.fires
        self.history.append(self.reading(at, now))
        if self.fires and not fired:
            self.docket.fires(at, never_ok_since_change="ok" not in self._known_states())
        elif fired and not self.fires:
            self.docket.ends(at, "auto")
        errors = [reading.saw for reading in self.history]
        if errors[-1] != "error":
            self.platform_case = False
        elif errors[-3:] == ["error"] * 3:
            self.platform_case = True

    def _known_states(self) -> list[str]:
        assert self.seen
        return [state for state, reading in zip(self.seen.states, self.history, strict=True) if reading.saw not in ("unknown", "error")]

    def forget(self, at: datetime, how: str) -> None:
        self.docket.ends(at, how)
        self.history.clear()
        self.platform_case = False


class WholePlatform(RuleBasedStateMachine):
    platform: Platform  # founded once, before all examples: see `stage`

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        self.exits.enter_context(transaction.atomic())
        BROKEN.clear()
        self.platform.clock.at = START
        self.platform.shop = replace(self.platform.shop, name="first worker")
        self.model = RegisteredModel.objects.get(name="Late flights")
        self.is_retired = False
        self.watched: list[Watched] = []
        self.acknowledged: list[tuple[int, datetime, datetime]] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.exits.close()

    @property
    def now(self) -> datetime:
        return self.platform.clock.now()

    @initialize(first=WAITS, second=WAITS, criticality=some.integers(1, 3))
    def begin(self, first: Wait, second: Wait, criticality: int) -> None:
        self._bind("mape", first, 2)
        self._bind("bias", second, criticality)

    def _bind(self, metric: str, wait: Wait, criticality: int) -> None:
        made = Watched(metric, RiskBinding(), wait, criticality)
        made.binding = self.platform.bind(
            self.model,
            TYPE,
            params=made.params,
            criticality=criticality,
            for_=format_duration(wait.for_),
            hold=format_duration(wait.hold),
            n=wait.n,
            m=wait.m,
        )
        self.watched.append(made)

    def _one(self, index: int) -> Watched:
        present = [entry for entry in self.watched if not entry.is_removed]
        return present[index % len(present)]

    def _incident(self, entry: Watched) -> Incident:
        found = Incident.objects.filter(binding=entry.binding, kind=Incident.Kind.RISK).order_by("-number").first()
        assert found
        return found

    # what the world does

    @rule(which=some.integers(0, 1), value=some.sampled_from([9.0, 9.0, 11.0, 14.0, 14.0, 18.0, 18.0]))
    def a_value_comes(self, which: int, value: float) -> None:
        entry = self._one(which)
        self.platform.measure(self.model, entry.metric, value)
        for same in self.watched:
            if same.metric == entry.metric:
                same.value, same.valued_at = value, self.now

    @rule(which=some.integers(0, 1))
    def an_evaluator_breaks(self, which: int) -> None:
        BROKEN.add(self._one(which).metric)

    @precondition(lambda self: BROKEN)
    @rule()
    def it_is_repaired(self) -> None:
        BROKEN.clear()

    # what workers do

    @rule(span=SPANS)
    def time_passes(self, span: timedelta) -> None:
        self.platform.clock.advance(span)
        self._work()

    @rule(span=SPANS, value=some.sampled_from([9.0, 18.0]), times=some.integers(2, 6))
    def values_keep_coming(self, span: timedelta, value: float, times: int) -> None:
        for _ in range(times):
            self.a_value_comes(0, value)
            self.time_passes(min(span, timedelta(hours=2)))

    @rule()
    def the_worker_is_replaced(self) -> None:
        self.platform.shop = replace(self.platform.shop, name=f"worker at {self.now}")

    @rule()
    def a_worker_dies_with_what_it_claimed(self) -> None:
        evaluation.claim_due(now=self.now)
        alerts.claim_messages(now=self.now)

    def _work(self) -> None:
        steps.apply(self.platform.shop)
        due = {binding.id: binding for binding in RiskBinding.objects.filter(next_due_at__lte=self.now)}
        free = {id for id, binding in due.items() if binding.claimed_until is None or binding.claimed_until <= self.now}
        steps.evaluate(self.platform.shop)
        for entry in self.watched:
            if entry.binding.id in free:
                assert not entry.is_removed
                assert entry.criticality
                assert not self.is_retired
                entry.evaluate(due[entry.binding.id].next_due_at or self.now, self.now)
        steps.remind(self.platform.shop)
        for entry in self.watched:
            entry.docket.time_passes(self.now, fires=entry.fires)
        alerts.seal_messages(now=self.now)

    @rule(answers=some.lists(some.sampled_from(["delivered", "retry"]), min_size=1, max_size=5))
    def messages_are_sent(self, answers: Sequence[str]) -> None:
        for message, answer in zip(alerts.claim_messages(now=self.now), answers, strict=False):
            earlier = Message.objects.filter(state="waiting", id__lt=message.id, notifications__incident__in=message.notifications.values("incident"))
            assert not earlier.filter(notifications__recipient__in=message.notifications.values("recipient")).exists(), "overtaken"
            assert alerts.keep_claim(message, now=self.now)
            receipt = Receipt.delivered(Text("")) if answer == "delivered" else Receipt.retry(Text("busy"))
            alerts.acknowledge_delivery(message, receipt, now=self.now)

    # what people do

    @rule(which=some.integers(0, 1), hours=some.sampled_from([1, 24, 100]))
    def somebody_acknowledges(self, which: int, hours: int) -> None:
        entry = self._one(which)
        if entry.docket.open:
            until = self.now + timedelta(hours=hours)
            incident = self._incident(entry)
            incidents.acknowledge(incident, by=self.platform.owner, now=self.now, until=until)
            entry.docket.acknowledge(until)
            earlier = [(number, at, min(end, self.now) if number == incident.number else end) for number, at, end in self.acknowledged]
            self.acknowledged = [*earlier, (incident.number, self.now, until)]

    @rule(which=some.integers(0, 1), reason=some.sampled_from(["", "it is known"]))
    def somebody_resolves(self, which: int, reason: str) -> None:
        entry = self._one(which)
        if entry.docket.open is None:
            return
        try:
            flow.resolve_incident(self._incident(entry), cause="unknown", reason=reason, by=self.platform.owner, now=self.now)
        except InvalidInput:
            assert entry.fires
            assert not reason
        else:
            assert reason or not entry.fires
            entry.docket.resolve(self.now, still_fires=entry.fires)

    @rule(which=some.integers(0, 1))
    def somebody_comments(self, which: int) -> None:
        entry = self._one(which)
        if entry.docket.cases:
            incidents.comment(self._incident(entry), text="I look at it.", by=self.platform.owner, now=self.now)

    def _edit(self, entry: Watched, **fields: Any) -> None:  # Any: fields of a binding
        binding = RiskBinding.objects.get(id=entry.binding.id)
        flow.edit_risk(binding, fields=fields, actor=self.platform.actor, now=self.now)

    @rule(which=some.integers(0, 1))
    def the_limits_are_edited(self, which: int) -> None:
        entry = self._one(which)
        entry.upper = 15.0 if entry.upper == 12.0 else 12.0
        self._edit(entry, params=entry.params)
        entry.forget(self.now, "rule_changed")

    @rule(which=some.integers(0, 1), plan=some.sampled_from([["Look."], ["Look.", "Act."]]))
    def the_plan_is_edited(self, which: int, plan: list[str]) -> None:
        self._edit(self._one(which), action_plan=plan, params=self._one(which).params)

    @rule(which=some.integers(0, 1), criticality=some.integers(0, 3))
    def the_criticality_is_edited(self, which: int, criticality: int) -> None:
        entry = self._one(which)
        if criticality == 0 and entry.criticality:
            entry.forget(self.now, "not_relevant")
        entry.criticality = criticality
        self._edit(entry, criticality=criticality)

    @precondition(lambda self: sum(not entry.is_removed for entry in self.watched) > 1 and len(self.watched) < 5)
    @rule(wait=WAITS)
    def a_risk_is_removed_and_bound_again(self, wait: Wait) -> None:
        entry = self._one(0)
        flow.remove_risk(RiskBinding.objects.get(id=entry.binding.id), actor=self.platform.actor, now=self.now)
        entry.forget(self.now, "deleted")
        entry.is_removed = True
        self._bind(entry.metric, wait, 1)
        self.watched[-1].value, self.watched[-1].valued_at = entry.value, entry.valued_at

    @rule()
    def the_model_is_retired_or_restored(self) -> None:
        self.model.refresh_from_db()
        if self.is_retired:
            flow.restore_model(self.model, actor=self.platform.actor, now=self.now)
        else:
            flow.retire_model(self.model, actor=self.platform.actor, now=self.now)
            for entry in self.watched:
                if not entry.is_removed:
                    entry.forget(self.now, "retired")
        self.is_retired = not self.is_retired

    # what must always be true

    @invariant()
    def conditions_are_what_the_oracle_says(self) -> None:
        rows = {row.binding_id: (row.state, row.data) for row in ConditionRow.objects.all()}
        wanted = {entry.binding.id: (entry.seen.state, entry.seen.data) for entry in self.watched if entry.seen}
        assert rows == wanted

    @invariant()
    def incidents_are_what_the_oracle_says(self) -> None:
        for entry in self.watched:
            found = [
                Case(i.state, i.how, i.resolved_at, i.reopened, i.reopen_at, i.acknowledged_until if i.state == "acknowledged" else None)
                for i in Incident.objects.filter(binding=entry.binding, kind=Incident.Kind.RISK).order_by("number")
            ]
            assert found == entry.docket.cases
            failing = Incident.objects.filter(binding=entry.binding, kind=Incident.Kind.PLATFORM).exclude(state="resolved").count()
            assert failing == entry.platform_case

    @invariant()
    def the_light_is_the_sum(self) -> None:
        if not self.watched:
            return
        present = [] if self.is_retired else [(e.criticality, e.seen) for e in self.watched if not e.is_removed]
        stored = ModelLight.objects.get(model=self.model)
        assert (stored.light, stored.score) == light(present)
        counted = [seen for criticality, seen in present if criticality]
        assert (stored.known, stored.total) == (sum(seen is not None and seen.data == "fresh" for seen in counted), len(counted))

    @invariant()
    def every_change_of_light_is_a_row(self) -> None:
        if not self.watched:
            return
        replayed = list(LightChange.objects.filter(model=self.model).order_by("id").values_list("light", "score"))
        stored = ModelLight.objects.get(model=self.model)
        assert replayed[-1] == (stored.light, stored.score)
        assert all(before != after for before, after in itertools.pairwise(replayed))

    @invariant()
    def the_end_is_told_to_those_who_heard_the_beginning(self) -> None:
        beginnings = ("opened", "reopened", "escalated", "flapping")
        heard = set()
        for incident, recipient, kind in Notification.objects.order_by("id").values_list("incident_id", "recipient", "kind"):
            who, is_dead_letter, _ = recipient.partition(":dead:")  # an administrator hears of what could not be delivered, ends too
            if kind == "resolved" and not is_dead_letter:
                assert (incident, who) in heard, "told of the end of something it never heard of"
            if kind in beginnings:
                heard.add((incident, who))

    @invariant()
    def everybody_is_told_once(self) -> None:
        for incident in Incident.objects.filter(kind=Incident.Kind.RISK):
            told = incident.notifications.filter(recipient=f"inbox:{self.platform.owner.id}")
            assert told.filter(kind="opened").count() == 1
            assert told.filter(kind="reopened").count() == incident.reopened
            ends = incident.reopened + (incident.state == "resolved")
            assert told.filter(kind="resolved").count() == ends

    @invariant()
    def nobody_is_reminded_of_what_is_acknowledged(self) -> None:
        for number, start, until in self.acknowledged:
            reminded = Notification.objects.filter(incident=number, kind__in=("reminder", "escalated"), created_at__gt=start, created_at__lt=until)
            reopened = Notification.objects.filter(incident=number, kind="reopened", created_at__gte=start, created_at__lt=until)
            assert not reminded.exists() or reopened.exists()


@pytest.fixture
def fragile() -> Iterator[None]:
    """The metric risk of every day, but it raises for the metrics in BROKEN."""
    known: Any = risks.catalogue()  # Any: the cached dictionary itself
    kind = known[TYPE]

    def evaluate(evidence: MetricHistory, params: Any) -> Finding:  # Any: the risk's own Params
        if params.metric in BROKEN:
            raise ZeroDivisionError("broken on purpose")
        finding: Finding = kind.evaluate(evidence, params)
        return finding

    known[TYPE] = replace(kind, evaluate=evaluate)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # a traceback a hundred times over is slow
    yield
    structlog.reset_defaults()
    known[TYPE] = kind


@pytest.fixture
def stage(db: None, fragile: None, tmp_path: Path) -> None:
    """A company with one model that has no risks yet and a webhook."""
    WholePlatform.platform = platform = Platform(ManualClock(START), tmp_path)
    model = platform.register()
    for binding in model.bindings.all():
        flow.remove_risk(binding, actor=platform.actor, now=START)
    platform.webhook("http://127.0.0.1:9/", model=model)


@pytest.mark.usefixtures("stage")
def test_the_platform_follows_the_oracle(runs: Runs) -> None:
    chosen = settings(
        max_examples=runs(15, 1000),
        stateful_step_count=runs(25, 50),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    run_state_machine_as_test(WholePlatform, settings=chosen)
