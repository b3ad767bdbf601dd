"""What the pages of one model show, put together from the slices as typed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils.translation import gettext

from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts.rights import Ability
from watchkeeper.core.text import Text
from watchkeeper.incidents import queries as incidents
from watchkeeper.ingest import queries as ingest
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.monitoring.lights import cutoffs
from watchkeeper.monitoring.queries import BoundRisk
from watchkeeper.registry import queries as registry
from watchkeeper.web import charts, present
from watchkeeper.web.drawing import worst_of_days
from watchkeeper.web.portfolio import unit_ids

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person, Unit
    from watchkeeper.incidents.models import Incident
    from watchkeeper.registry.models import RegisteredModel

STATUS_DAYS = 90
SECOND_LINE = 2
QUIET_EVENTS = ("heartbeat", "self_check", "deployed")  # a deployment is drawn as its version


@dataclass(frozen=True)
class Head:
    """The light, its sum and the way to the model: the head of all its pages."""

    model: RegisteredModel
    light: str
    score: int
    since: datetime
    known: int
    total: int
    red_from: int
    units: tuple[Unit, ...]
    risks: tuple[BoundRisk, ...]
    incident: Incident | None
    opened: tuple[Incident, ...]
    may_edit: bool
    may_work: bool
    may_administer: bool
    quarantined: int

    @property
    def firing(self) -> list[BoundRisk]:
        return [risk for risk in self.risks if risk.is_counted and risk.binding.criticality]

    @property
    def others(self) -> list[BoundRisk]:
        return [risk for risk in self.risks if not risk.is_counted and risk.binding.criticality]

    @property
    def switched_off(self) -> list[BoundRisk]:
        return [risk for risk in self.risks if not risk.binding.criticality]

    @property
    def cost(self) -> Decimal | None:
        known = [risk.binding.cost_per_day for risk in self.firing if risk.binding.cost_per_day is not None]
        return sum(known, Decimal(0)) if known else None

    @property
    def cost_unknown(self) -> int:
        return sum(risk.binding.cost_per_day is None for risk in self.firing)

    @property
    def evaluated_at(self) -> datetime | None:
        return max((risk.binding.evaluated_at for risk in self.risks if risk.binding.evaluated_at), default=None)

    @property
    def next_due_at(self) -> datetime | None:
        return min((risk.binding.next_due_at for risk in self.risks if risk.binding.next_due_at), default=None)


def head(person: Person, id: UUID, *, now: datetime) -> Head:
    model = registry.model_for(person, id)
    light = monitoring.light_of(model.id)
    units = {unit.id: unit for unit in accounts.all_units()}
    opened = tuple(incidents.open_incidents([model.id]).get(model.id, ()))
    return Head(
        model=model,
        light=light.light if light else "grey",
        score=light.score if light else 0,
        since=light.since if light else model.created_at,
        known=light.known if light else 0,
        total=light.total if light else 0,
        red_from=cutoffs(model.tier).red_from,
        units=tuple(units[part] for part in unit_ids(model.unit.path)[1:]) or (model.unit,),
        risks=tuple(monitoring.bound_risks(model.id)),
        incident=opened[0] if opened else None,
        opened=opened,
        may_edit=registry.may(person, Ability.EDIT, model),
        may_work=registry.may(person, Ability.WORK, model),
        may_administer=registry.may(person, Ability.ADMINISTER, model),
        quarantined=ingest.quarantine_size(model.id),
    )


@dataclass(frozen=True)
class Why:
    """One firing risk: value against limit, the next step of its plan, its incident."""

    risk: BoundRisk
    incident: Incident | None
    next_step: str
    steps_done: int
    steps: int
    colour: str


def why(head: Head) -> list[Why]:
    opened = {incident.binding_id: incident for incident in head.opened}
    steps = incidents.steps_of([incident.number for incident in head.opened])
    return [_why(risk, opened.get(risk.binding.id), steps, head.red_from) for risk in head.firing]


def _why(risk: BoundRisk, incident: Incident | None, steps: Mapping[int, Sequence[Any]], red_from: int) -> Why:  # Any: plan steps
    plan = steps.get(incident.number, ()) if incident else ()
    waiting = [step.text for step in plan if not step.done_at]
    planned = list(risk.plan) if not plan else []
    colour = "red" if risk.binding.criticality >= red_from else "yellow"
    return Why(risk, incident, next(iter(waiting or planned), ""), len(plan) - len(waiting), len(plan) or len(planned), colour)


@dataclass(frozen=True)
class Status:
    """The strip of the last days and how many of them had which light."""

    days: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    start: datetime


def status(model: RegisteredModel, *, now: datetime) -> Status:
    start = now - timedelta(days=STATUS_DAYS)
    changes = monitoring.light_changes([model.id], since=start).get(model.id, [])
    days = worst_of_days(changes, now=now, days=STATUS_DAYS)
    return Status(tuple(days), tuple((light, days.count(light)) for light in ("red", "yellow", "green", "grey") if light in days), start)


@dataclass(frozen=True)
class Past:
    """The light of a past moment, with the causes it had then: `(title, criticality, explanation)`."""

    at: datetime
    light: str
    score: int
    causes: tuple[tuple[str, int, Text], ...]


def past(model: RegisteredModel, at: datetime) -> Past:
    found = monitoring.light_at(model.id, at)
    if found is None:
        return Past(at, "grey", 0, ())
    causes = tuple((monitoring.title_of(cause["type"]), cause["criticality"], Text.from_json(cause["explanation"])) for cause in found.causes)
    return Past(at, found.light, found.score, causes)


@dataclass(frozen=True)
class Happening:
    """One line of a model's timeline: a light, an event, a version or a change."""

    at: datetime
    light: str
    words: str
    detail: str = ""


def happenings(model: RegisteredModel, *, since: datetime, limit: int = 60) -> list[Happening]:
    """Lights, events and versions together, newest first."""
    entries = [
        Happening(at, light, gettext("the light turned"), "; ".join(present.words(text) for text in causes))
        for at, light, causes in monitoring.light_log(model.id, since=since)
    ]
    entries += [Happening(event.timestamp, "", event.type, _fields(event.fields)) for event in ingest.events_of(model.id, since=since)[:limit]]
    for version in registry.versions_of(model):
        if version.trained_at and version.trained_at >= since:
            entries.append(Happening(version.trained_at, "", gettext("version %(name)s trained") % {"name": version.name}))
        if version.deployed_at and version.deployed_at >= since:
            entries.append(Happening(version.deployed_at, "", gettext("version %(name)s in use") % {"name": version.name}))
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:limit]


def _fields(fields: Mapping[str, Any]) -> str:  # Any: JSON
    return ", ".join(f"{name}: {value}" for name, value in fields.items())[:300]


@dataclass(frozen=True)
class NamedMetric:
    """A metric that was declared or just reported."""

    name: str
    kind: str
    direction: str
    unit: str
    is_declared: bool
    has_points: bool


def named_metrics(model: RegisteredModel) -> list[NamedMetric]:
    """Declared ones first, in their order; then what was reported without being declared."""
    reported = ingest.metric_names(model.id)
    declared = registry.declared_metrics([model.id]).get(model.id, [])
    known = [NamedMetric(entry.name, entry.kind, entry.direction, entry.unit, True, entry.name in reported) for entry in declared]
    names = {entry.name for entry in declared}
    return known + [NamedMetric(name, "", "none", "", False, True) for name in reported if name not in names]


def limits_of(risks: Sequence[BoundRisk], metric: str) -> charts.Limits:
    """Absolute bounds that some risk sets on a metric: read from its parameters, whatever its type."""
    for risk in risks:
        given = risk.effective
        if given.get("metric") == metric and given.get("mode", "absolute") == "absolute" and not given.get("segment"):
            return charts.Limits(*(given.get(name) for name in ("lower", "upper", "clear_lower", "clear_upper")))
    return charts.Limits()


def metric_chart(model: RegisteredModel, risks: Sequence[BoundRisk], metric: str, *, days: int, now: datetime) -> charts.MetricChart:
    start = now - timedelta(days=days)
    series: dict[str, list[tuple[datetime, float]]] = {}
    for at, value, dataset in ingest.pooled_points(model.id, name=metric, since=start):
        series.setdefault(dataset, []).append((at, value))
    lines = sorted((charts.Line(name, tuple(points)) for name, points in series.items()), key=lambda line: -len(line.points))[:4]
    return charts.MetricChart(metric, start, now, tuple(lines), limits_of(risks, metric), tuple(marks(model, since=start)))


def marks(model: RegisteredModel, *, since: datetime) -> list[charts.Mark]:
    """What is drawn as a dashed line over every chart: events and versions taken into use."""
    found = [charts.Mark(event.timestamp, event.type) for event in ingest.events_of(model.id, since=since)[:40] if event.type not in QUIET_EVENTS]
    found += [
        charts.Mark(v.deployed_at, gettext("version %(name)s") % {"name": v.name})
        for v in registry.versions_of(model)
        if v.deployed_at and v.deployed_at >= since
    ]
    return sorted(found, key=lambda mark: mark.at)


def volume_chart(model: RegisteredModel, *, days: int, now: datetime) -> charts.VolumeChart:
    """Per hour over two days, per day over more. Windows without predictions count 0 once the first one arrived."""
    step = timedelta(hours=1) if days <= SECOND_LINE else timedelta(days=1)
    start = now - timedelta(days=days)
    counts: dict[int, int] = {}
    for window in ingest.volumes([model.id], since=start).get(model.id, []):
        place = (window.start - start) // step
        counts[place] = counts.get(place, 0) + window.rows
    first, last = min(counts, default=0), (now - start) // step
    filled = tuple((start + place * step, counts.get(place, 0)) for place in range(first, last)) if counts else ()
    return charts.VolumeChart(gettext("Predictions"), start, now, filled, tuple(marks(model, since=start)))
