"""The catalogue of risks, and policies: risks customised once, named, versioned, used by many models."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from watchkeeper import risks
from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts.rights import Ability, may, require, units_where
from watchkeeper.core.errors import InvalidInput
from watchkeeper.monitoring import queries, services
from watchkeeper.monitoring.services import Binding
from watchkeeper.registry import queries as registry
from watchkeeper.web.acting import REFUSALS, refuse, status_of
from watchkeeper.web.forms import PolicyForm, VersionForm
from watchkeeper.web.page import actor_of, now, person_of, signed_in
from watchkeeper.web.pages import blocks, cases, parameters
from watchkeeper.web.present import translated
from watchkeeper.web.schema_forms import SchemaForm

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person
    from watchkeeper.monitoring.models import Policy, PolicyVersion
    from watchkeeper.risks import RiskType


@signed_in
def catalogue(request: HttpRequest) -> HttpResponse:
    return render(request, "policies/risks.html", {"risks": risks.catalogue().values(), "may_govern": _governed(person_of(request))})


@signed_in
def risk(request: HttpRequest, key: str) -> HttpResponse:
    kind = risks.get(key)
    context = {
        "risk": kind,
        "needs": kind.needs.__name__,
        "kinds": _labels("kind", kind.kinds),
        "problem_types": _labels("problem_type", kind.problem_types),
        "blocks": blocks(kind.page),
        "parameters": parameters(kind.params),
        "cases": cases(kind),
        "policies": queries.policies(person_of(request)).filter(type=key),
        "may_govern": _governed(person_of(request)),
    }
    return render(request, "policies/risk.html", context)


def _labels(field: str, wanted: Collection[str]) -> list[str]:
    return [translated(label) for value, label in registry.choices()[field] if value in wanted]


@signed_in
def policies(request: HttpRequest) -> HttpResponse:
    found = [(policy, risks.catalogue().get(policy.type), queries.versions_of(policy)) for policy in queries.policies(person_of(request))]
    return render(request, "policies/policies.html", {"policies": found, "may_govern": _governed(person_of(request))})


@signed_in
def create(request: HttpRequest) -> HttpResponse:
    """First the risk, then its parameters."""
    person = person_of(request)
    units = _governed(person)
    if not units:
        require(person, Ability.GOVERN, accounts.root_unit())
    key = request.POST.get("type") or request.GET.get("type") or ""
    if key not in risks.catalogue():
        return render(request, "policies/choose.html", {"risks": risks.catalogue().values()})
    kind = risks.get(key)
    form = PolicyForm(request.POST or None, units=units, initial={"name": ""})
    rules, version = _forms(request, kind)
    made = _create(request, person, kind, form, rules, version) if request.method == "POST" else None
    if made:
        return redirect("policies_one", made.policy_id)
    context = {"risk": kind, "form": form, "rules": rules, "version": version}
    return render(request, "policies/create.html", context, status=max(map(status_of, (form, rules, version))))


def _create(request: HttpRequest, person: Person, kind: RiskType, form: PolicyForm, rules: SchemaForm, version: VersionForm) -> PolicyVersion | None:
    if not all([form.is_valid(), rules.is_valid(), version.is_valid()]):
        return None
    unit = accounts.unit_for(person, form.cleaned_data["unit"])
    require(person, Ability.GOVERN, unit)
    name, actor = form.cleaned_data["name"], actor_of(request)
    try:
        return services.create_policy(name, type=kind.key, unit=unit, version=_version(rules, version), actor=actor, now=now())
    except REFUSALS as problem:
        _refuse(form, rules, problem)
        return None


@signed_in
def policy(request: HttpRequest, id: UUID) -> HttpResponse:
    """Its versions, who pins them, and a form for the next one."""
    person = person_of(request)
    shown = queries.policy_by(id)
    kind, versions = risks.get(shown.type), queries.versions_of(shown)
    rules, version = _forms(request, kind, versions[0] if versions else None)
    if request.method == "POST" and _add(request, shown, rules, version):
        messages.success(request, gettext("The new version is there. Models stay on the version they pinned until somebody moves them."))
        return redirect("policies_one", shown.id)
    pinned = queries.pins(shown, seen_by=person)
    context = {
        "policy": shown,
        "risk": kind,
        "versions": [(entry, pinned.get(entry.number, [])) for entry in versions],
        "rules": rules,
        "version": version,
        "may_govern": may(person, Ability.GOVERN, shown.unit),
    }
    return render(request, "policies/policy.html", context, status=max(status_of(rules), status_of(version)))


def _add(request: HttpRequest, policy: Policy, rules: SchemaForm, version: VersionForm) -> bool:
    require(person_of(request), Ability.GOVERN, policy.unit)
    if not all([rules.is_valid(), version.is_valid()]):
        return False
    try:
        services.add_policy_version(policy, version=_version(rules, version), actor=actor_of(request), now=now())
    except REFUSALS as problem:
        _refuse(version, rules, problem)
        return False
    return True


def _governed(person: Person) -> list[tuple[str, str]]:
    """Units where the person may set policies, with their names."""
    titles = accounts.unit_titles(units_where(person, Ability.GOVERN))
    return [(str(id), title) for id, title in sorted(titles.items(), key=lambda pair: pair[1])]


def _forms(request: HttpRequest, kind: RiskType, last: PolicyVersion | None = None) -> tuple[SchemaForm, VersionForm]:
    before = {} if last is None else _shown(last)
    rules = SchemaForm(request.POST or None, schema=kind.params, initial=dict(last.params) if last else None, prefix="p")
    return rules, VersionForm(request.POST or None, initial=before)


def _shown(last: PolicyVersion) -> dict[str, str]:
    schedule = last.schedule or {}
    plan = "\n".join(last.action_plan or [])
    criticality = "" if last.criticality is None else str(last.criticality)
    return {"every": schedule.get("every", ""), "cron": schedule.get("cron", ""), "criticality": criticality, "action_plan": plan}


def _version(rules: SchemaForm, version: VersionForm) -> Binding:
    return Binding(params=rules.given(), schedule=version.schedule(), criticality=version.criticality_given(), action_plan=version.plan())


def _refuse(form: PolicyForm | VersionForm, rules: SchemaForm, problem: Exception) -> None:
    if isinstance(problem, InvalidInput) and "schedule" in problem.fields:
        form.add_error("every" if "every" in form.fields else None, f"{problem.detail} {gettext(problem.remedy)}")
    elif isinstance(problem, InvalidInput):
        rules.place(problem)
        form.add_error(None, gettext("The parameters are not right yet: see below."))
    elif isinstance(problem, REFUSALS):
        refuse(form, problem)
