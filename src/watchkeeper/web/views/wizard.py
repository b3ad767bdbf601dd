"""Registration in four steps: model, what it does, risks, connect. The model exists after the first; the rest is saved step by step and can wait.

Works without scripts up to the last step, where htmx looks every second whether something arrived.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

from django.db import transaction
from django.forms import BaseFormSet, formset_factory
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop, ngettext

from watchkeeper import risks
from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts import rights
from watchkeeper.accounts.rights import Ability
from watchkeeper.accounts.services import ensure_unit
from watchkeeper.alerts import flow
from watchkeeper.core.durations import parse_duration
from watchkeeper.core.errors import InvalidInput, NotFound
from watchkeeper.core.settings import settings
from watchkeeper.incidents.queries import models_hit
from watchkeeper.ingest import queries as ingest
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.monitoring.services import Binding, bind_risk, passport_changed
from watchkeeper.registry import queries, services
from watchkeeper.registry.services import Owners
from watchkeeper.web.acting import REFUSALS, button, keep_once, refuse, status_of, take_once
from watchkeeper.web.forms import MetricForm, ModelForm, PurposeForm, RiskForm
from watchkeeper.web.page import actor_of, now, person_of, signed_in
from watchkeeper.web.present import money, span, translated
from watchkeeper.web.views.sources import uses_of

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person, Unit
    from watchkeeper.history.actors import Actor
    from watchkeeper.monitoring.models import RiskBinding
    from watchkeeper.registry.models import RegisteredModel
    from watchkeeper.risks import RiskType

STEPS = (
    ("model", gettext_noop("Model")),
    ("purpose", gettext_noop("What it does")),
    ("risks", gettext_noop("Risks")),
    ("connect", gettext_noop("Connect")),
)
KEYS = tuple(key for key, _title in STEPS)
ASKED = ("metric", "lower", "upper", "type")  # parameters the third step has fields for
SPARE_METRICS = 3
YEAR = timedelta(days=365)
Metrics = formset_factory(MetricForm, extra=SPARE_METRICS)


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
class RiskRow:
    """A risk to be ticked, with what is known about its price."""

    form: RiskForm
    kind: RiskType
    title: str
    about: str
    hint: str
    binding: RiskBinding | None = None


# step 1: the model


@signed_in
def new(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    editable = accounts.unit_titles(rights.units_where(person, Ability.EDIT))
    if not editable:
        return render(request, "wizard/not_allowed.html", {"people": accounts.risk_team(accounts.root_unit())}, status=403)
    initial = {"unit": min(editable.values(), key=len), "technical": person.email, "tier": 2, "stage": "production"}
    form = ModelForm(request.POST or None, choices=queries.choices(), initial=initial)
    model = _register(request, form) if request.method == "POST" and form.is_valid() else None
    if model:
        _reach(request, model, "purpose")
        return redirect(_at(model, "purpose"))
    context = {"steps": _steps(None, "model", ""), "here": "model", "form": form, "ask": _ask(None)}
    return render(request, "wizard/wizard.html", context | _offers(person, editable), status=status_of(form))


@transaction.atomic
def _register(request: HttpRequest, form: ModelForm) -> RegisteredModel | None:
    person, actor, at = person_of(request), actor_of(request), now()
    owners = _owners(form)
    unit = _unit(form, person, actor, at) if owners else None
    if not (owners and unit):
        return None
    try:
        with transaction.atomic():
            made = flow.connect_model(form.cleaned_data["name"], unit=unit, actor=actor, now=at, fields=form.passport(), owners=owners)
    except REFUSALS as problem:
        refuse(form, problem)
        return None
    keep_once(request, f"token {made.model.id}", made.token.text)
    return made.model


def _owners(form: ModelForm) -> Owners | None:
    sides = {side: tuple(_owner(form, side, part.strip()) for part in form.cleaned_data[side].split(",") if part.strip()) for side in ("business", "technical")}
    return None if form.errors else Owners(business=sides["business"], technical=sides["technical"])


def _owner(form: ModelForm, side: str, reference: str) -> Any:  # Any: Person or Team
    try:
        return accounts.person_by(reference) if "@" in reference else accounts.team_by(reference)
    except NotFound:
        form.add_error(side, gettext("%(given)s is neither the e-mail of a person nor the name of a team here.") % {"given": reference})
        return None


def _unit(form: ModelForm, person: Person, actor: Actor, at: datetime, current: Unit | None = None) -> Unit | None:
    """The unit that was written; a new path is created where the person may edit above it."""
    nearest, names = accounts.nearest_unit(form.cleaned_data["unit"])
    if current and accounts.unit_at(names) == current:
        return current
    if not rights.may(person, Ability.EDIT, nearest):
        words = gettext("You may not register models in %(unit)s. Ask an administrator of the unit for the role of maintainer.")
        form.add_error("unit", words % {"unit": nearest.name})
        return None
    try:
        return ensure_unit(names, actor=actor, now=at)
    except REFUSALS as problem:
        form.add_error("unit", problem.detail)
        return None


def _offers(person: Person, editable: Mapping[UUID, str]) -> dict[str, Any]:  # Any: template context
    """What the inputs suggest: units, people and teams."""
    people = queries.people_visible_to(person).filter(is_active=True, is_service=False)
    return {"units": sorted(editable.values()), "people": people, "teams": queries.teams_visible_to(person)}


# steps 2 to 4, and the first again


@signed_in
def setup(request: HttpRequest, id: UUID) -> HttpResponse:
    model = _mine(request, id)
    here = request.GET.get("step", "")
    here = here if here in KEYS else _furthest(request, model)
    _reach(request, model, here)
    return SHOW[here](request, model)


def _mine(request: HttpRequest, id: UUID) -> RegisteredModel:
    model = queries.model_for(person_of(request), id)
    queries.require(person_of(request), Ability.EDIT, model)
    return model


def _show(request: HttpRequest, model: RegisteredModel, here: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:  # Any: template context
    furthest = _furthest(request, model)
    common = {"model": model, "here": here, "steps": _steps(model, here, furthest), "ask": _ask(model)}
    return render(request, "wizard/wizard.html", {**common, **context}, status=status)


def _change(request: HttpRequest, model: RegisteredModel) -> HttpResponse:
    """The first step again."""
    person = person_of(request)
    form = ModelForm(request.POST or None, choices=queries.choices(), initial=_written(model))
    if request.method == "POST" and form.is_valid() and _edit(request, model, form):
        return redirect(_at(model, _furthest(request, model)))
    editable = accounts.unit_titles(rights.units_where(person, Ability.EDIT))
    return _show(request, model, "model", {"form": form} | _offers(person, editable), status=status_of(form))


def _written(model: RegisteredModel) -> dict[str, Any]:  # Any: values of fields
    sides: dict[str, list[str]] = {"business": [], "technical": []}
    for entry in model.ownerships.select_related("person", "team").order_by("id"):
        sides[entry.side].append(entry.person.email if entry.person else str(entry.team))
    fields = {name: getattr(model, name) for name in ("name", "kind", "problem_type", "stage", "tier")}
    return fields | {"unit": accounts.unit_titles([model.unit])[model.unit_id]} | {side: ", ".join(given) for side, given in sides.items()}


def _edit(request: HttpRequest, model: RegisteredModel, form: ModelForm) -> bool:
    actor, at, owners = actor_of(request), now(), _owners(form)
    unit = _unit(form, person_of(request), actor, at, model.unit) if owners else None
    if not (owners and unit):
        return False
    try:
        with transaction.atomic():
            flow.edit_model(model, fields={**form.passport(), "name": form.cleaned_data["name"], "unit": unit}, actor=actor, now=at)
            flow.set_owners(model, owners=owners, actor=actor, now=at)
    except REFUSALS as problem:
        refuse(form, problem)
        return False
    return True


def _purpose(request: HttpRequest, model: RegisteredModel) -> HttpResponse:
    form = PurposeForm(request.POST or None, initial=_told(model))
    known = [{"name": metric.name, "kind": metric.kind, "direction": metric.direction, "unit": metric.unit} for metric in model.metrics.all()]
    metrics = Metrics(request.POST or None, initial=known, prefix="m", form_kwargs={"choices": queries.choices()})
    if request.method == "POST" and all([form.is_valid(), metrics.is_valid()]) and _save_purpose(request, model, form, metrics):
        return redirect(_next(request, model, "risks"))
    written = form["data_sources"].value() or ""
    context = {"form": form, "metrics": metrics, "uses": uses_of(person_of(request), [line for line in written.splitlines() if line.strip()])}
    return _show(request, model, "purpose", context, status=status_of(form))


def _told(model: RegisteredModel) -> dict[str, str]:
    stakeholders = [f"{entry.person or entry.name}, {entry.role}".rstrip(", ") for entry in model.stakeholders.order_by("id")]
    sources = model.data_sources.order_by("address").values_list("address", flat=True)
    fields = {name: str(getattr(model, name)) for name in ("purpose", "repository_link", "documentation_link")}
    return fields | {"data_sources": "\n".join(sources), "stakeholders": "\n".join(stakeholders)}


def _save_purpose(request: HttpRequest, model: RegisteredModel, form: PurposeForm, metrics: BaseFormSet[MetricForm]) -> bool:
    actor, at, given = actor_of(request), now(), form.cleaned_data
    try:
        with transaction.atomic():
            fields = {name: given[name] for name in ("purpose", "repository_link", "documentation_link")}
            flow.edit_model(model, fields=fields, actor=actor, now=at)
            services.set_stakeholders(model, stakeholders=given["stakeholders"], actor=actor, now=at)
            _save_metrics(model, [row.cleaned_data for row in metrics if row.cleaned_data.get("name")], actor, at)
            _save_sources(model, given["data_sources"], actor, at)
            passport_changed(model, now=at)
    except REFUSALS as problem:
        refuse(form, problem)
        return False
    return True


def _save_metrics(model: RegisteredModel, wanted: list[dict[str, str]], actor: Actor, at: datetime) -> None:
    for metric in model.metrics.exclude(name__in=[row["name"] for row in wanted]):
        services.remove_metric(metric, actor=actor, now=at)
    for row in wanted:
        services.declare_metric(model, actor=actor, now=at, **{name: row[name] for name in ("name", "kind", "direction", "unit")})


def _save_sources(model: RegisteredModel, wanted: list[str], actor: Actor, at: datetime) -> None:
    for source in model.data_sources.exclude(address__in=wanted):
        services.unlink_source(model, source=source, actor=actor, now=at)
    services.link_sources(model, addresses=wanted, actor=actor, now=at)


def _risks(request: HttpRequest, model: RegisteredModel) -> HttpResponse:
    rows = list(_risk_rows(request, model))
    checked = [row.form.is_valid() for row in rows]
    if request.method == "POST" and all(checked) and _save_risks(request, model, rows):
        return redirect(_next(request, model, "connect"))
    context = {"rows": [row for row in rows if row.binding], "more": [row for row in rows if not row.binding], "metrics": model.metrics.all()}
    return _show(request, model, "risks", context, status=max((status_of(row.form) for row in rows), default=200))


def _risk_rows(request: HttpRequest, model: RegisteredModel) -> Iterator[RiskRow]:
    """What is bound, then what else fits; a risk that can be bound for several metrics or events is offered again."""
    person, total = person_of(request), queries.models_visible_to(person_of(request)).count()
    hits, costs = models_hit(person, since=now() - YEAR), monitoring.usual_costs(person)
    bound = monitoring.bound_risks(model.id)
    for risk in bound:
        yield _row(request, risk.type, hint=_hint(risk.type, hits, costs, total), binding=risk.binding)
    for kind in risks.catalogue().values():
        is_offered = kind.key not in {risk.type.key for risk in bound} or _asked(kind)
        if is_offered and kind.fits(kind=model.kind, problem_type=model.problem_type) and _needed(kind) <= set(ASKED):
            yield _row(request, kind, hint=_hint(kind, hits, costs, total))


def _row(request: HttpRequest, kind: RiskType, *, hint: str, binding: RiskBinding | None = None) -> RiskRow:
    title = translated(kind.title)
    is_on = bool(binding and binding.criticality)
    initial: dict[str, Any] = {"is_on": is_on, "criticality": str(binding.criticality if binding and is_on else kind.defaults.criticality)}  # Any: fields
    if binding:
        initial |= {"cost_per_day": binding.cost_per_day, **{name: binding.params.get(name) for name in ASKED}}
    prefix = binding.id.hex if binding else kind.key
    form = RiskForm(request.POST or None, title=title, params=_asked(kind), initial=initial, prefix=prefix)
    return RiskRow(form, kind, title, _how_often(binding.schedule if binding else kind.defaults.schedule), hint, binding)


def _needed(kind: RiskType) -> set[str]:
    return {name for name, field in kind.params.model_fields.items() if field.is_required()}


def _asked(kind: RiskType) -> list[str]:
    """Parameters asked for here: only of risks that cannot do without."""
    return [name for name in ASKED if name in kind.params.model_fields] if _needed(kind) else []


def _how_often(schedule: Mapping[str, str]) -> str:
    if "every" in schedule:
        return gettext("every %(interval)s") % {"interval": span(parse_duration(schedule["every"]))}
    return gettext("on each event") if "on" in schedule else gettext("by cron %(line)s") % {"line": schedule["cron"]}


def _hint(kind: RiskType, hits: Mapping[str, int], costs: Mapping[str, Decimal], total: int) -> str:
    """What is known about the possible loss, from the models the reader may see."""
    told = []
    if kind.key in costs:
        told.append(gettext("usually %(cost)s a day") % {"cost": money(costs[kind.key])})
    if kind.key in hits:
        told.append(gettext("hit %(hit)s of %(total)s models in a year") % {"hit": hits[kind.key], "total": total})
    return ", ".join(told)


def _save_risks(request: HttpRequest, model: RegisteredModel, rows: list[RiskRow]) -> bool:
    actor, at, row = actor_of(request), now(), rows[0]
    try:
        with transaction.atomic():
            for row in rows:
                _save_risk(model, row, actor, at)
    except REFUSALS as problem:
        row.form.add_error(None, "; ".join(problem.fields.values()) if isinstance(problem, InvalidInput) and problem.fields else problem.detail)
        return False
    return True


def _save_risk(model: RegisteredModel, row: RiskRow, actor: Actor, at: datetime) -> None:
    given = row.form.cleaned_data
    criticality = int(given["criticality"] or row.kind.defaults.criticality) if given["is_on"] else 0
    if row.binding is None and criticality:
        wanted = Binding(type=row.kind.key, params=row.form.params(), criticality=criticality, cost_per_day=given["cost_per_day"])
        bind_risk(model, wanted=wanted, actor=actor, now=at)
    if row.binding is None:
        return
    kept = {name: value for name, value in row.binding.params.items() if name not in row.form.asked}
    fields = {"criticality": criticality, "cost_per_day": given["cost_per_day"], "params": kept | row.form.params()}
    if any(getattr(row.binding, name) != value for name, value in fields.items()):
        flow.edit_risk(row.binding, fields=fields, actor=actor, now=at)


# step 4: connect


def _connect(request: HttpRequest, model: RegisteredModel) -> HttpResponse:
    token = take_once(request, f"token {model.id}")
    context = {"token": token, "shown": token or "wk_…", "url": settings().base_url, "progress": progress(model)}
    return _show(request, model, "connect", context)


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
            ngettext("Schema learned: %(count)s column", "Schema learned: %(count)s columns", count) % {"count": count} if columns else gettext("Schema learned"),
            columns[1] if columns else None,
            gettext("after the first predictions with features"),
        ),
        Check(gettext("Light on"), lit, gettext("after the first evaluation")),
    )
    waited = max(0, int((now() - model.created_at).total_seconds()))
    return Progress(checks, first is not None, bool(first and lit), f"{waited // 60}:{waited % 60:02}" if waited < 3600 else span(waited))


@signed_in
def waiting(request: HttpRequest, id: UUID) -> HttpResponse:
    """A fragment, asked for every second until all is there."""
    model = _mine(request, id)
    return render(request, "wizard/waiting.html", {"model": model, "progress": progress(model)})


@button
def token(request: HttpRequest, id: UUID) -> HttpResponse:
    """Another token in place of one that was lost before anybody used it; else one beside the first."""
    model = _mine(request, id)
    actor, at = actor_of(request), now()
    for unused in model.tokens.filter(revoked_at=None, last_used_at=None):
        services.revoke_token(unused, actor=actor, now=at, reason="its text was lost")
    keep_once(request, f"token {model.id}", services.rotate_token(model, actor=actor, now=at).text)
    return redirect(_at(model, "connect"))


SHOW = {"model": _change, "purpose": _purpose, "risks": _risks, "connect": _connect}


# the frame of all four


def _at(model: RegisteredModel, step: str) -> str:
    return f"{reverse('models_setup', args=[model.id])}?step={step}"


def _furthest(request: HttpRequest, model: RegisteredModel) -> str:
    """How far this reader came; a model that was set up elsewhere is only to be connected."""
    return str(request.session.get(f"setup {model.id}", KEYS[-1]))


def _reach(request: HttpRequest, model: RegisteredModel, step: str) -> None:
    key = f"setup {model.id}"
    if key not in request.session or KEYS.index(step) > KEYS.index(request.session[key]):
        request.session[key] = step


def _next(request: HttpRequest, model: RegisteredModel, step: str) -> str:
    """The step that follows, or the one the reader came back from."""
    return _at(model, KEYS[max(KEYS.index(step), KEYS.index(_furthest(request, model)))])


def _steps(model: RegisteredModel | None, here: str, furthest: str) -> list[Step]:
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


def _ask(model: RegisteredModel | None) -> str:
    """A mail to the model-risk team with the model's address in it."""
    team = accounts.risk_team(model.unit if model else accounts.root_unit())
    subject = gettext("Question about %(model)s") % {"model": model.name if model else gettext("a new model")}
    where = settings().base_url + (reverse("models_setup", args=[model.id]) if model else reverse("models_new"))
    return f"mailto:{','.join(person.email for person in team)}?subject={quote(subject)}&body={quote(where)}"
