"""The risks of one model: what is watched, with which parameters from where; add, edit, remove, evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from watchkeeper import risks
from watchkeeper.accounts.rights import Ability
from watchkeeper.alerts import flow
from watchkeeper.core.durations import parse_duration
from watchkeeper.core.errors import InvalidInput, WatchkeeperError
from watchkeeper.incidents.rehearsing import proven
from watchkeeper.monitoring import queries, services
from watchkeeper.monitoring.effective import inherited_params, plan_of, usual_plan
from watchkeeper.monitoring.services import Binding
from watchkeeper.registry import queries as registry
from watchkeeper.web import model_page
from watchkeeper.web.acting import REFUSALS, button, refuse
from watchkeeper.web.model_forms import BindingForm, binding_initial, schedule_initial
from watchkeeper.web.page import actor_of, now, person_of, signed_in
from watchkeeper.web.schema_forms import SchemaForm

if TYPE_CHECKING:
    from watchkeeper.monitoring.models import PolicyVersion, RiskBinding
    from watchkeeper.registry.models import RegisteredModel
    from watchkeeper.risks import RiskType


@dataclass(frozen=True)
class Forms:
    """The two halves of the editor: the parameters of the risk, and what every binding has."""

    rules: SchemaForm
    binding: BindingForm

    @property
    def are_valid(self) -> bool:
        return all([self.rules.is_valid(), self.binding.is_valid()])

    @property
    def status(self) -> int:
        return 422 if self.rules.errors or self.binding.errors else 200

    def refuse(self, problem: WatchkeeperError) -> None:
        """Each message beside its field: schedule and waits belong to the binding, all others to the parameters."""
        if isinstance(problem, InvalidInput) and problem.fields and not set(problem.fields) & {"schedule", "pending_for", "hold"}:
            self.rules.place(problem)
            self.binding.add_error(None, gettext("The parameters are not right yet: see below."))
        else:
            refuse(self.binding, problem)


def editable(request: HttpRequest, id: UUID) -> RegisteredModel:
    model = registry.model_for(person_of(request), id)
    registry.require(person_of(request), Ability.EDIT, model)
    return model


@signed_in
def bound(request: HttpRequest, id: UUID) -> HttpResponse:
    return render(request, "model/risks.html", {"head": model_page.head(person_of(request), id, now=now()), "tab": "risks", "now": now()})


@signed_in
def add(request: HttpRequest, id: UUID) -> HttpResponse:
    """First the risk (or a policy of it), then its parameters."""
    model = editable(request, id)
    kind, policy = chosen(request)
    if kind is None:
        return render(request, "model/risk_choose.html", context_of(request, id, **_offered(request, model)))
    forms = new_forms(request, kind, policy)
    if request.method == "POST" and forms.are_valid and _bind(request, model, kind, policy, forms):
        messages.success(request, gettext("The risk is watched from now on; its first evaluation is due at once."))
        return redirect("model_risks", id)
    context = context_of(request, id, kind=kind, policy=policy, forms=forms, metrics=model_page.named_metrics(model))
    return render(request, "model/risk_edit.html", context, status=forms.status)


def context_of(request: HttpRequest, id: UUID, **more: Any) -> dict[str, Any]:  # Any: template context
    return {"head": model_page.head(person_of(request), id, now=now()), "tab": "risks", "now": now()} | more


def _offered(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:  # Any: template context
    fitting = [kind for kind in risks.catalogue().values() if kind.fits(kind=model.kind, problem_type=model.problem_type)]
    keys = {kind.key for kind in fitting}
    newest = [queries.versions_of(policy)[0] for policy in queries.policies(person_of(request)) if policy.type in keys]
    return {"kinds": fitting, "policies": newest, "bound": {risk.type.key for risk in queries.bound_risks(model.id)}}


def chosen(request: HttpRequest) -> tuple[RiskType | None, PolicyVersion | None]:
    reference, key = request.GET.get("policy", ""), request.GET.get("type", "")
    if reference:
        policy: PolicyVersion = queries.policy_version(reference)
        return risks.get(policy.policy.type), policy
    return (risks.get(key) if key else None), None


def new_forms(request: HttpRequest, kind: RiskType, policy: PolicyVersion | None) -> Forms:
    defaults = kind.defaults
    criticality = policy.criticality if policy and policy.criticality is not None else defaults.criticality
    initial = {
        "criticality": str(criticality),
        "for_": defaults.for_,
        "hold": defaults.hold,
        "n": defaults.n,
        "m": defaults.m,
        "action_plan": "\n".join(gettext(step) for step in usual_plan(kind.key, policy)),
        **schedule_initial((policy.schedule if policy else None) or defaults.schedule),
    }
    given = request.POST or None
    return Forms(SchemaForm(given, schema=kind.params, initial=inherited_params(kind, policy), prefix="p"), BindingForm(given, initial=initial))


def _bind(request: HttpRequest, model: RegisteredModel, kind: RiskType, policy: PolicyVersion | None, forms: Forms) -> bool:
    def bind() -> None:
        wanted = wanted_of(forms, kind, policy)
        rehearsed = proven(request.POST.get("rehearsal", ""), model, wanted)
        services.bind_risk(model, wanted=wanted, actor=actor_of(request), now=now(), rehearsed=rehearsed)

    return _done(forms, bind)


def wanted_of(forms: Forms, kind: RiskType, policy: PolicyVersion | None) -> Binding:
    """What the filled forms ask for."""
    given = forms.binding.cleaned_data
    return Binding(
        type=kind.key,
        policy=policy,
        params=_own_params(forms.rules, kind, policy),
        schedule=forms.binding.schedule_given(),
        for_=given["for_"],
        n=given["n"],
        m=given["m"],
        hold=given["hold"],
        criticality=int(given["criticality"]),
        action_plan=forms.binding.plan([gettext(step) for step in usual_plan(kind.key, policy)]),
        cost_per_day=given["cost_per_day"],
        not_relevant_reason=given["not_relevant_reason"],
    )


def _done(forms: Forms, act: Any) -> bool:  # Any: a service call; its value is not needed
    try:
        act()
    except REFUSALS as problem:
        forms.refuse(problem)
        return False
    return True


def _own_params(rules: SchemaForm, kind: RiskType, policy: PolicyVersion | None) -> dict[str, Any]:  # Any: JSON
    """What differs from the inherited values: only that is the binding's own."""
    inherited = inherited_params(kind, policy)
    return {name: value for name, value in rules.given().items() if name not in inherited or not _same(inherited[name], value)}


def _same(one: object, other: object) -> bool:
    """Equal, also when two durations are only written differently."""
    if one == other:
        return True
    try:
        return isinstance(one, str) and isinstance(other, str) and parse_duration(one) == parse_duration(other)
    except ValueError:
        return False


@signed_in
def edit(request: HttpRequest, id: UUID, binding: UUID) -> HttpResponse:
    model = editable(request, id)
    found = queries.binding_of(model, binding)
    kind, policy = risks.get(found.type), found.policy_version
    forms = edit_forms(request, found)
    if request.method == "POST" and forms.are_valid and _change(request, found, kind, forms):
        messages.success(request, gettext("Saved. The risk is evaluated anew at once."))
        return redirect("model_risks", id)
    context = context_of(request, id, kind=kind, policy=policy, binding=found, forms=forms, metrics=model_page.named_metrics(model))
    return render(request, "model/risk_edit.html", context, status=forms.status)


def edit_forms(request: HttpRequest, binding: RiskBinding) -> Forms:
    kind, policy = risks.get(binding.type), binding.policy_version
    initial, given = inherited_params(kind, policy) | binding.params, request.POST or None
    plan = [gettext(step) for step in plan_of(binding)]
    return Forms(SchemaForm(given, schema=kind.params, initial=initial, prefix="p"), BindingForm(given, initial=binding_initial(binding, plan)))


def _change(request: HttpRequest, binding: RiskBinding, kind: RiskType, forms: Forms) -> bool:
    def change() -> None:
        wanted = wanted_of(forms, kind, binding.policy_version)
        rehearsed = proven(request.POST.get("rehearsal", ""), binding.model, wanted)
        flow.edit_risk(
            binding, fields=_fields(wanted), actor=actor_of(request), now=now(), reason=forms.binding.cleaned_data["reason"], rehearsed=rehearsed
        )

    return _done(forms, change)


def _fields(wanted: Binding) -> dict[str, Any]:  # Any: values of fields
    """Those of a binding that its editor sets."""
    same = ("params", "schedule", "n", "m", "hold", "criticality", "not_relevant_reason", "action_plan", "cost_per_day")
    return {name: getattr(wanted, name) for name in same} | {"pending_for": wanted.for_}


@button
def remove(request: HttpRequest, id: UUID, binding: UUID) -> HttpResponse:
    found = queries.binding_of(editable(request, id), binding)
    flow.remove_risk(found, actor=actor_of(request), now=now(), reason=request.POST.get("reason", ""))
    messages.success(request, gettext("Removed: it is not watched any more, and its open incident is closed."))
    return redirect("model_risks", id)


@button
def evaluate(request: HttpRequest, id: UUID, binding: UUID) -> HttpResponse:
    model = registry.model_for(person_of(request), id)
    registry.require(person_of(request), Ability.WORK, model)
    flow.evaluate_now([queries.binding_of(model, binding).id], now=now())
    messages.success(request, gettext("It is due now: the worker evaluates it within seconds."))
    return redirect("model_risks", id)
