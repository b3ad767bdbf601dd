"""Rehearse a risk beside its form, and the starter set of a model."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET

from watchkeeper import risks
from watchkeeper.incidents.rehearsing import rehearse_risk
from watchkeeper.incidents.starter import apply_starter_set, starter_set
from watchkeeper.monitoring import queries
from watchkeeper.web import rehearsal_page
from watchkeeper.web.acting import REFUSALS, button, sentence
from watchkeeper.web.page import actor_of, now, signed_in
from watchkeeper.web.views.risks import chosen, context_of, edit_forms, editable, new_forms, wanted_of


@button
def rehearse(request: HttpRequest, id: UUID) -> HttpResponse:
    """A fragment: what the risk as the form says it would have done on the stored past. Writes nothing."""
    model = editable(request, id)
    if "binding" in request.GET:
        binding = queries.binding_of(model, request.GET["binding"])
        kind, policy, forms = risks.get(binding.type), binding.policy_version, edit_forms(request, binding)
    else:
        asked, policy = chosen(request)
        if asked is None:
            return _refused(request, [gettext("choose a risk first")])
        kind, forms = asked, new_forms(request, asked, policy)
    if not forms.are_valid:
        return _refused(
            request, [str(form.fields[name].label or name) for form in (forms.rules, forms.binding) for name in form.errors if name in form.fields]
        )
    try:
        found = rehearse_risk(model, wanted=wanted_of(forms, kind, policy), now=now())
    except REFUSALS as problem:
        return _refused(request, [sentence(problem)])
    return render(request, "model/rehearsal.html", rehearsal_page.context_of(found))


def _refused(request: HttpRequest, wrong: list[str]) -> HttpResponse:
    return render(request, "model/rehearsal.html", {"wrong": wrong})


@signed_in
def starter(request: HttpRequest, id: UUID) -> HttpResponse:
    """Proposals, which a fragment brings, and one button that binds all that are chosen."""
    model = editable(request, id)
    if request.method != "POST":
        return render(request, "model/starter.html", context_of(request, id))
    try:
        bound = apply_starter_set(model, receipts=request.POST.getlist("receipt"), actor=actor_of(request), now=now())
    except REFUSALS as problem:
        messages.error(request, sentence(problem))
        return redirect("risk_starter", id)
    if not bound:
        messages.error(request, gettext("Nothing was chosen."))
        return redirect("risk_starter", id)
    messages.success(request, ngettext("%(n)s risk is watched from now on.", "%(n)s risks are watched from now on.", len(bound)) % {"n": len(bound)})
    return redirect("model_risks", id)


@require_GET
@signed_in
def proposals(request: HttpRequest, id: UUID) -> HttpResponse:
    model = editable(request, id)
    return render(request, "model/proposals.html", {"model": model, "proposals": starter_set(model, now=now())})
