"""Incidents: the list, one incident with its plan and timeline, and what people do with it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from watchkeeper.accounts.rights import Ability
from watchkeeper.alerts import flow
from watchkeeper.alerts import queries as alerts
from watchkeeper.core.errors import InvalidInput
from watchkeeper.incidents import queries, services
from watchkeeper.incidents.causes import Cause
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.registry import queries as registry
from watchkeeper.web import charts, incident_page, model_page, performance_page
from watchkeeper.web.acting import attempt, button, page_of, query_without_page, status_of
from watchkeeper.web.model_forms import AcknowledgeForm, ResolveForm
from watchkeeper.web.page import now, person_of, signed_in, wants_fragment

if TYPE_CHECKING:
    from watchkeeper.incidents.models import Incident

STATES = ("open", "resolved", "all")
BEFORE_CHART = timedelta(days=30)


def workable(request: HttpRequest, number: int) -> Incident:
    """The incident, if the person may work on it."""
    incident = queries.incident_for(person_of(request), number)
    registry.require(person_of(request), Ability.WORK, incident.model)
    return incident


@signed_in
def every(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    state = request.GET.get("state", "open") if request.GET.get("state", "open") in STATES else "open"
    mine, text = request.GET.get("mine") == "1", request.GET.get("q", "").strip()[:200]
    found = queries.incidents_for(person, state="" if state == "all" else state, assignee=person.id if mine else None, text=text)
    context = {"page": page_of(request, found), "state": state, "states": STATES, "mine": mine, "text": text, "query": query_without_page(request)}
    return render(request, "incidents/list.html", context)


@signed_in
def one(request: HttpRequest, number: int) -> HttpResponse:
    incident = queries.incident_for(person_of(request), number)
    return render(request, "incidents/one.html", _context(request, incident))


def _context(request: HttpRequest, incident: Incident, **forms: Any) -> dict[str, Any]:  # Any: template context
    person = person_of(request)
    may_work = registry.may(person, Ability.WORK, incident.model)
    still_fires = queries.is_firing(incident)
    return {
        "incident": incident,
        "title": monitoring.title_of(incident.binding.type),
        "colour": incident_page.colour(incident),
        "units": model_page.head(person, incident.model_id, now=now()).units,
        "plan": incident_page.plan(incident),
        "timeline": incident_page.timeline(incident, seen_by=person),
        "deliveries": list(alerts.deliveries(person, incident=incident)[:50]),
        "seen": queries.seen_before(incident),
        "still_fires": still_fires,
        "cost": incident_page.cost(incident, now=now()),
        "metric": incident_page.metric_of(incident),
        "subject": incident_page.subject_of(incident).value,
        "column": incident_page.column_of(incident),
        "may_work": may_work,
        "people": incident_page.assignable(incident) if may_work else [],
        "causes": [(value, gettext(str(label))) for value, label in Cause.choices],
        "resolve_form": ResolveForm(causes=Cause.choices, still_fires=still_fires),
        "acknowledge_form": AcknowledgeForm(),
        "now": now(),
    } | forms


@button
def acknowledge(request: HttpRequest, number: int) -> HttpResponse:
    incident, form = workable(request, number), AcknowledgeForm(request.POST)
    if not form.is_valid():
        raise InvalidInput(gettext("This is not a date and time."))
    services.acknowledge(incident, by=person_of(request), now=now(), until=form.until_given())
    return redirect("incident", number)


@button
def assign(request: HttpRequest, number: int) -> HttpResponse:
    incident = workable(request, number)
    chosen = request.POST.get("to", "")
    to = next((person for person in incident_page.assignable(incident) if str(person.id) == chosen), None)
    if to is None:
        raise InvalidInput(gettext("Choose somebody who may see this model."))
    flow.assign_incident(incident, to=to, by=person_of(request), now=now())
    return redirect("incident", number)


@button
def comment(request: HttpRequest, number: int) -> HttpResponse:
    services.comment(workable(request, number), text=request.POST.get("text", ""), by=person_of(request), now=now())
    return redirect("incident", number)


@signed_in
def resolve(request: HttpRequest, number: int) -> HttpResponse:
    """The dialog of the page; on its own when something is missing, with what was typed."""
    incident = workable(request, number)
    form = ResolveForm(request.POST or None, causes=Cause.choices, still_fires=queries.is_firing(incident))
    if request.method == "POST" and attempt(form, lambda: _resolve(request, incident, form)):
        messages.success(request, gettext("Resolved. Those who were told are told."))
        return redirect("incident", number)
    return render(request, "incidents/resolve.html", _context(request, incident, resolve_form=form), status=status_of(form))


def _resolve(request: HttpRequest, incident: Incident, form: ResolveForm) -> bool:
    given = form.cleaned_data
    flow.resolve_incident(incident, cause=given["cause"], reason=given["reason"], by=person_of(request), now=now())
    return True


@button
def cause(request: HttpRequest, number: int) -> HttpResponse:
    services.set_cause(workable(request, number), cause=request.POST.get("cause", ""), by=person_of(request), now=now())
    return redirect("incident", number)


@button
def step(request: HttpRequest, number: int, position: int) -> HttpResponse:
    """Tick, skip with a reason, or take back; htmx swaps the plan alone."""
    incident = workable(request, number)
    reason = request.POST.get("reason", "").strip()
    done = request.POST.get("do")
    if done == "skip" and not reason:
        raise InvalidInput(gettext("Skipping a step needs a reason."))
    skipped = reason if done == "skip" else ""
    services.tick_step(queries.step_of(incident, position), is_done=done == "done", by=person_of(request), now=now(), skipped_reason=skipped)
    if not wants_fragment(request):
        return redirect("incident", number)
    return render(request, "incidents/plan.html", {"incident": incident, "plan": incident_page.plan(incident), "may_work": True, "now": now()})


@require_GET
@signed_in
def chart(request: HttpRequest, number: int) -> HttpResponse:
    """A fragment: the metric the incident is about, from a month before it began."""
    incident = queries.incident_for(person_of(request), number)
    end = min(now(), (incident.resolved_at or now()) + timedelta(days=2)).replace(second=0, microsecond=0)
    days = max(1, (end - incident.true_since + BEFORE_CHART).days)
    drawn = model_page.metric_chart(incident.model, monitoring.bound_risks(incident.model_id), incident_page.metric_of(incident), days=days, now=end)
    svgs = [charts.metric_svg(drawn, width=width) for width in charts.WIDTHS[""]] if any(line.points for line in drawn.lines) else []
    return render(request, "incidents/chart.html", {"svgs": svgs})


@require_GET
@signed_in
def why(request: HttpRequest, number: int) -> HttpResponse:
    """A fragment: the performance the incident is about, and why it fell."""
    incident = queries.incident_for(person_of(request), number)
    page = incident_page.outcomes_of(incident, now=now()) if incident_page.subject_of(incident) is incident_page.Subject.OUTCOMES else None
    quality = [risk for risk in monitoring.bound_risks(incident.model_id) if risk.is_counted and risk.binding.type in performance_page.QUALITY]
    return render(request, "incidents/why.html", {"page": page, "quality": quality, "model": incident.model})
