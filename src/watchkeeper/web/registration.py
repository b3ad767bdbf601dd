"""How far a registration is: its four steps in words, what is missing, and whether the log flows yet. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.urls import reverse
from django.utils.translation import gettext, gettext_noop, ngettext

from watchkeeper.accounts import queries as accounts
from watchkeeper.core.settings import settings
from watchkeeper.ingest import queries as ingest
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.registry import queries
from watchkeeper.web.page import now
from watchkeeper.web.present import span

if TYPE_CHECKING:
    from watchkeeper.registry.models import RegisteredModel

STEPS = (
    ("model", gettext_noop("Model")),
    ("purpose", gettext_noop("What it does")),
    ("risks", gettext_noop("Risks")),
    ("connect", gettext_noop("Connect")),
)
KEYS = tuple(key for key, _title in STEPS)


@dataclass(frozen=True)
class Step:
    """One of the four, as its head shows it."""

    key: str
    title: str
    number: int
    state: str  # done, here or todo
    summary: str = ""
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One thing that must happen, and when it did."""

    words: str
    at: datetime | None
    pending: str = ""


@dataclass(frozen=True)
class Progress:
    """How far the connection is: the log flows from the first event on."""

    checks: tuple[Check, ...]
    flows: bool
    is_complete: bool
    waited: str


def progress(model: RegisteredModel) -> Progress:
    used = max((token.last_used_at for token in model.tokens.all() if token.last_used_at), default=None)
    timers = ingest.timers(model.id)
    first = min(timers, key=lambda timer: timer.first_received_at, default=None)
    columns = ingest.seen_columns([model.id], within=timedelta(days=7)).get(model.id)
    light = monitoring.light_of(model.id)
    lit = light.since if light and light.light != "grey" else None
    count = len(columns[0]) if columns else 0
    arrived = gettext("First event: %(streams)s") % {"streams": ", ".join(gettext(timer.stream) for timer in timers)}
    checks = (
        Check(gettext("Token used"), used, gettext("not yet")),
        Check(arrived if first else gettext("First prediction, metric or event"), first.first_received_at if first else None, gettext("not yet")),
        Check(
            ngettext("Schema learned: %(count)s column", "Schema learned: %(count)s columns", count) % {"count": count}
            if columns
            else gettext("Schema learned"),
            columns[1] if columns else None,
            gettext("after the first predictions with features"),
        ),
        Check(gettext("Light on"), lit, gettext("after the first evaluation")),
    )
    waited = max(0, int((now() - model.created_at).total_seconds()))
    return Progress(
        checks, first is not None, all(check.at for check in checks), f"{waited // 60}:{waited % 60:02}" if waited < 3600 else span(waited)
    )


def steps_of(model: RegisteredModel | None, here: str, furthest: str) -> list[Step]:
    reached = KEYS.index(furthest) if furthest else 0
    steps = []
    for number, (key, title) in enumerate(STEPS):
        state = "here" if key == here else "done" if number < reached or (number == reached and key != here and furthest) else "todo"
        summary, gaps = (_summary(model, key), _gaps(model, key)) if model and state == "done" else ("", ())
        steps.append(Step(key, gettext(title), number + 1, state, summary, gaps))
    return steps


def _summary(model: RegisteredModel, step: str) -> str:
    if step == "model":
        unit = accounts.unit_titles([model.unit])[model.unit_id].replace("/", " / ")
        words = [unit, gettext(model.get_kind_display()), gettext(model.get_problem_type_display()) if model.problem_type else ""]
        owners = [str(entry) for entry in model.ownerships.select_related("person", "team").order_by("side", "id")]
        return " · ".join([*filter(None, words), gettext("tier %(tier)s") % {"tier": model.tier}, *owners])
    if step == "purpose":
        metrics = [metric.name for metric in model.metrics.all()]
        sources = list(model.data_sources.order_by("address").values_list("address", flat=True))
        return " · ".join(filter(None, [model.purpose, ", ".join(metrics), ", ".join(sources)]))
    if step == "risks":
        bound = monitoring.bound_risks(model.id)
        return gettext("%(on)s of %(all)s on") % {"on": sum(risk.binding.criticality > 0 for risk in bound), "all": len(bound)}
    return ""


def _gaps(model: RegisteredModel, step: str) -> tuple[str, ...]:
    """What is missing, in words, and what follows from it."""
    passport = queries.passports([model.id], now=now())[model.id]
    owners = [
        *([] if passport.business_owners else [gettext("business owner")]),
        *([] if passport.technical_owners else [gettext("technical owner")]),
    ]
    missing = {
        "model": {"no_owner": owners},
        "purpose": {
            "no_metrics": [] if passport.metrics else [gettext("metrics")],
            "no_data_sources": [] if passport.data_sources else [gettext("data sources")],
        },
    }
    weights = {risk.type.key: risk.binding.criticality for risk in monitoring.bound_risks(model.id)}
    return tuple(_gap(words, weights.get(key, 0)) for key, words in missing.get(step, {}).items() if words)


def _gap(missing: list[str], criticality: int) -> str:
    said = gettext("Missing: %(what)s.") % {"what": ", ".join(missing)}
    if not criticality:
        return said
    return f"{said} " + gettext("The model starts with this risk fired, criticality %(number)s.") % {"number": criticality}


def ask(model: RegisteredModel | None) -> str:
    """A mail to the model-risk team with the model's address in it."""
    team = accounts.risk_team(model.unit if model else accounts.root_unit())
    subject = gettext("Question about %(model)s") % {"model": model.name if model else gettext("a new model")}
    where = settings().base_url + (reverse("models_setup", args=[model.id]) if model else reverse("models_new"))
    return f"mailto:{','.join(person.email for person in team)}?subject={quote(subject)}&body={quote(where)}"
