"""Who and what the demo registers: three models with owners in different units, each through the services people use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from watchkeeper.accounts import services as accounts
from watchkeeper.accounts.models import Person, Role
from watchkeeper.alerts import flow
from watchkeeper.core.durations import parse_duration
from watchkeeper.history.actors import PLATFORM, Actor
from watchkeeper.monitoring import services as monitoring
from watchkeeper.registry import services as registry
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.registry.services import Owners

ZONE = "America/New_York"
WEEKLY = {"cron": "5 7 * * 1", "timezone": ZONE}  # Monday 07:05, with the week's metrics


@dataclass(frozen=True)
class Registered:
    """A model of the demo and its token."""

    id: str
    token: str


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    name: str
    unit: Sequence[str]
    business: str
    technical: str
    fields: Mapping[str, Any]  # Any: fields of the passport
    metrics: Sequence[Mapping[str, str]]
    sources: Sequence[str]
    risks: Sequence[monitoring.Binding]
    tuned: Mapping[str, Mapping[str, Any]]  # Any: fields of base risks to change


def found_company(now: datetime, *, base_url: str) -> dict[str, Registered]:
    """People, units and the three models. The keys are flights, gates, employment."""
    people = {name: accounts.create_person(email=f"{name}@example.com", name=shown, actor=PLATFORM, now=now) for name, shown in PEOPLE.items()}
    officer = people["rita"]
    accounts.grant_role(officer, role=Role.RISK_OFFICER, unit=accounts.found_company("", actor=PLATFORM, now=now), actor=PLATFORM, now=now)
    return {key: _register(plan, people, now, base_url) for key, plan in PLANS.items()}


def _register(plan: ModelPlan, people: Mapping[str, Person], now: datetime, base_url: str) -> Registered:
    actor = Actor.person(people[plan.technical].id)
    unit = accounts.ensure_unit(plan.unit, actor=PLATFORM, now=now)
    owners = Owners((people[plan.business],), (people[plan.technical],))
    fields = {**plan.fields, "documentation_link": f"{base_url}/risks/"}
    made = flow.connect_model(plan.name, unit=unit, actor=actor, now=now, fields=fields, owners=owners)
    for metric in plan.metrics:
        registry.declare_metric(made.model, actor=actor, now=now, **metric)
    registry.link_sources(made.model, addresses=plan.sources, actor=actor, now=now)
    for risk in plan.risks:
        monitoring.bind_risk(made.model, wanted=risk, actor=actor, now=now)
    _tune(made.model, plan.tuned, actor, now)
    return Registered(str(made.model.id), made.token.text)


def _tune(model: RegisteredModel, tuned: Mapping[str, Mapping[str, Any]], actor: Actor, now: datetime) -> None:  # Any: fields of a binding
    for binding in model.bindings.filter(type__in=list(tuned)):
        flow.edit_risk(binding, fields=tuned[binding.type], actor=actor, now=now, reason="as this model works")


PEOPLE = {
    "maya": "Maya Okafor",
    "tom": "Tom Lindqvist",
    "elena": "Elena Petrova",
    "jonas": "Jonas Weber",
    "priya": "Priya Nair",
    "rita": "Rita Alvarez",
}

PLANS: Mapping[str, ModelPlan] = {
    "flights": ModelPlan(
        name="Late flights, New York",
        unit=("Travel", "Operations"),
        business="maya",
        technical="tom",
        fields={
            "purpose": "Announces flights that will land more than 30 minutes late, so that crews and connections are planned in time. "
            "Trained on January and February 2013; the dates shown are those of 2013, moved by whole weeks.",
            "problem_type": "binary",
            "tier": 1,
            "timezone": ZONE,
            "tags": ["crew planning"],
        },
        metrics=(
            {"name": "calibration_gap", "kind": "technical", "direction": "none", "description": "Observed minus predicted share of late flights"},
            {"name": "brier", "kind": "technical", "direction": "lower", "description": "Mean squared error of the probability"},
            {"name": "roc_auc", "kind": "technical", "direction": "higher", "description": "Ranking: its weekly values swing by themselves"},
            {
                "name": "missed_late_per_1000",
                "kind": "business",
                "direction": "lower",
                "unit": "per 1,000 flights",
                "description": "Late flights that were not announced",
            },
        ),
        sources=("postgres://dwh/flights.departures", "postgres://dwh/weather.asos_hourly"),
        risks=(
            monitoring.Binding(
                type="metric_out_of_bounds",
                params={"metric": "calibration_gap", "lower": -0.1, "upper": 0.08, "clear_upper": 0.05, "clear_lower": -0.08},
                schedule=WEEKLY,
                n=2,
                m=3,
                criticality=3,
            ),
            monitoring.Binding(
                type="metric_out_of_bounds",
                params={"metric": "missed_late_per_1000", "upper": 150, "clear_upper": 130},
                schedule=WEEKLY,
                criticality=2,
                cost_per_day=Decimal(14_000),
            ),
            monitoring.Binding(type="quarantine_growing", criticality=1),
        ),
        tuned={"no_predictions": {"params": {"silent_for": "26h"}}},
    ),
    "gates": ModelPlan(
        name="Gate holds, JFK",
        unit=("Travel", "Airports"),
        business="elena",
        technical="jonas",
        fields={
            "purpose": "Suggests which departures of JFK should hold their gate for late connections.",
            "kind": "rule_set",
            "problem_type": "binary",
            "tier": 2,
            "timezone": ZONE,
        },
        metrics=({"name": "holds_per_100", "kind": "proxy", "direction": "none", "unit": "per 100 departures"},),
        sources=("postgres://dwh/flights.departures",),
        risks=(),
        tuned={
            "no_predictions": {"params": {"silent_for": "26h"}, "cost_per_day": Decimal(3_500)},
            "metrics_not_refreshed": {"params": {"older_than": "10d"}},
        },
    ),
    "employment": ModelPlan(
        name="Employment, Massachusetts",
        unit=("Public statistics", "Labour market"),
        business="priya",
        technical="jonas",
        fields={
            "purpose": "Fills gaps of the monthly labour survey: is a person employed? The truth arrives a year later, with the next survey.",
            "problem_type": "binary",
            "tier": 3,
            "timezone": ZONE,
            "expected": {"cron": "0 6 1 * *", "timezone": ZONE, "grace": "2d"},
            "tags": ["slow labels"],
        },
        metrics=({"name": "accuracy", "kind": "technical", "direction": "higher"},),
        sources=("s3://census/acs/massachusetts",),
        risks=(monitoring.Binding(type="estimated_performance_drop", params={"metric": "accuracy", "max_age": "40d"}, criticality=2),),
        tuned={
            "metrics_not_refreshed": {"criticality": 0, "not_relevant_reason": "Labels take a year: there is no metric to refresh in between."},
            "schema_changed": {"params": {"max_age": "40d"}},
        },
    ),
}

SILENT_FOR = parse_duration("3d")  # the gate holds stopped that long before now
