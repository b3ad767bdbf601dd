"""Registration in four steps: model, what it does, risks, connect. The model exists after the first; the rest is saved step by step and can wait.

Works without scripts up to the last step, where htmx looks every second whether something arrived.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.forms import BaseFormSet, formset_factory
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext

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
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.monitoring.services import Binding, bind_risk, passport_changed
from watchkeeper.registry import queries, services
from watchkeeper.registry.services import Owners
from watchkeeper.web.acting import REFUSALS, button, keep_once, refuse, status_of, take_once
from watchkeeper.web.forms import MetricForm, ModelForm, PurposeForm, RiskForm
from watchkeeper.web.page import actor_of, now, person_of, signed_in
from watchkeeper.web.present import money, span, translated
from watchkeeper.web.registration import KEYS, ask, progress, steps_of
from watchkeeper.web.views.sources import uses_of

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person, Unit
    from watchkeeper.history.actors import Actor
    from watchkeeper.monitoring.models import RiskBinding
    from watchkeeper.registry.models import RegisteredModel
    from watchkeeper.risks import RiskType

ASKED = ("metric", "lower", "upper", "type")  # parameters the third step has fields for
SPARE_METRICS = 3
YEAR = timedelta(days=365)
Metrics = formset_factory(MetricForm, extra=SPARE_METRICS)


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
    context = {"steps": steps_of(None, "model", ""), "here": "model", "form": form, "ask": ask(None)}
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
    sides = {
        side: tuple(_owner(form, side, part.strip()) for part in form.cleaned_data[side].split(",") if part.strip())
        for side in ("business", "technical")
    }
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


def _show(
    request: HttpRequest, model: RegisteredModel, here: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:  # Any: template context
    furthest = _furthest(request, model)
    common = {"model": model, "here": here, "steps": steps_of(model, here, furthest), "ask": ask(model)}
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
    initial: dict[str, Any] = {
        "is_on": is_on,
        "criticality": str(binding.criticality if binding and is_on else kind.defaults.criticality),
    }  # Any: fields
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
