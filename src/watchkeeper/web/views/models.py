"""The pages of one model: its light and why, metrics, data quality, versions, passport, tokens, changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts.rights import Ability, units_where
from watchkeeper.alerts import flow
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.settings import settings
from watchkeeper.history import queries as history
from watchkeeper.incidents import queries as incidents
from watchkeeper.ingest import queries as ingest
from watchkeeper.ingest import references
from watchkeeper.ingest.outcomes import has_labels
from watchkeeper.ingest.places import watched_places
from watchkeeper.monitoring import services as monitoring
from watchkeeper.registry import queries as registry
from watchkeeper.registry import services
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.web import charts, column_page, labels_page, model_page, performance_page, relation_page, slo_page
from watchkeeper.web.acting import attempt, button, keep_once, page_of, query_without_page, status_of, take_once
from watchkeeper.web.change_lines import lines_of
from watchkeeper.web.model_forms import DeclareForm, OwnersForm, PassportForm, SourcesForm
from watchkeeper.web.page import actor_of, now, person_of, signed_in

if TYPE_CHECKING:
    from watchkeeper.registry.models import RegisteredModel

RANGES = (30, 60, 365)
TIMELINE_DAYS = 30
SHOWN_CHANGES = 5


def shown(request: HttpRequest, id: UUID, tab: str, **more: Any) -> dict[str, Any]:  # Any: template context
    """What all pages of a model need, and the tab's own."""
    return {"head": model_page.head(person_of(request), id, now=now()), "tab": tab, "now": now()} | more


def editable(request: HttpRequest, id: UUID) -> RegisteredModel:
    model = registry.model_for(person_of(request), id)
    registry.require(person_of(request), Ability.EDIT, model)
    return model


@signed_in
def every(request: HttpRequest) -> HttpResponse:
    return redirect("board")


@signed_in
def overview(request: HttpRequest, id: UUID) -> HttpResponse:
    context = shown(request, id, "overview")
    head, moment = context["head"], now()
    named = model_page.named_metrics(head.model)
    asked = _moment(request.GET.get("at", ""))
    if asked and not head.model.created_at <= asked <= moment:
        messages.warning(request, gettext("Choose a moment between the registration of the model and now."))
        asked = None
    context |= {
        "why": model_page.why(head),
        "main_metrics": _main_metrics(head, named),
        "status": model_page.status(head.model, now=moment),
        "past": model_page.past(head.model, asked) if asked else None,
        "happenings": model_page.happenings(head.model, since=moment - timedelta(days=TIMELINE_DAYS))[:12],
        "changes": lines_of(list(history.changes(model=head.model.id)[:SHOWN_CHANGES]), seen_by=person_of(request)),
    }
    return render(request, "model/overview.html", context | _passport(head.model))


def _main_metrics(head: model_page.Head, named: list[model_page.NamedMetric]) -> list[model_page.NamedMetric]:
    """What fires first, then one technical and one business metric with values: side by side."""
    firing = [risk.effective.get("metric") for risk in head.firing]
    told = [metric for metric in named if metric.has_points]
    first = [metric for metric in told if metric.name in firing] or [metric for metric in told if metric.kind == "technical"] or told
    business = [metric for metric in told if metric.kind == "business" and metric not in first[:1]]
    return [*first[:1], *business[:1]]


def _passport(model: RegisteredModel) -> dict[str, Any]:  # Any: template context
    versions, ownerships = registry.versions_of(model), registry.ownerships_of(model)
    sides = {entry.side for entry in ownerships}
    return {
        "ownerships": ownerships,
        "has_business": "business" in sides,
        "has_technical": "technical" in sides,
        "stakeholders": registry.stakeholders_of(model),
        "sources": registry.sources_of(model),
        "links": registry.link_checks_of(model),
        "places": watched_places(model),
        "versions": versions,
        "current": [version for version in versions if version.is_current],
        "declared": registry.declared_metrics([model.id]).get(model.id, []),
        "tokens": [token for token in registry.tokens_of(model) if not token.revoked_at],
        "timers": ingest.timers(model.id),
    }


def _moment(text: str) -> datetime | None:
    """A moment as written in an address, in the reader's zone when it names none."""
    try:
        parsed = parse_datetime(text) or (datetime.strptime(text, "%Y-%m-%d").replace(hour=12) if text else None)  # noqa: DTZ007 - made aware below
    except ValueError:
        return None
    if parsed is None:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.get_current_timezone())


@require_GET
@signed_in
def chart(request: HttpRequest, id: UUID) -> HttpResponse:
    """A fragment: one metric, drawn wide and narrow."""
    head = model_page.head(person_of(request), id, now=now())
    days = _days(request)
    drawn = model_page.metric_chart(head.model, head.risks, request.GET.get("metric", ""), days=days, now=_minute())
    svgs = [charts.metric_svg(drawn, width=width) for width in _widths(request)] if any(line.points for line in drawn.lines) else []
    context = {
        "head": head,
        "chart": drawn,
        "svgs": svgs,
        "days": days,
        "ranges": RANGES,
        "metric": request.GET.get("metric", ""),
        "size": request.GET.get("size", ""),
    }
    return render(request, "model/chart.html", context)


@require_GET
@signed_in
def volume(request: HttpRequest, id: UUID) -> HttpResponse:
    """A fragment: predictions per hour or day."""
    model, days = registry.model_for(person_of(request), id), _days(request, default=2)
    drawn = model_page.volume_chart(model, days=days, now=_minute())
    svgs = [charts.volume_svg(drawn, width=width) for width in _widths(request)] if drawn.counts else []
    return render(
        request,
        "model/volume.html",
        {"model": model, "chart": drawn, "svgs": svgs, "days": days, "ranges": (2, 30, 365), "size": request.GET.get("size", "")},
    )


def _widths(request: HttpRequest) -> tuple[int, ...]:
    return charts.WIDTHS.get(request.GET.get("size", ""), charts.WIDTHS[""])


def _days(request: HttpRequest, default: int = 30) -> int:
    given = request.GET.get("days", "")
    return min(int(given), 1826) if given.isdigit() and int(given) else default


def _minute() -> datetime:
    """The full minute: two readers within it see the same, cached drawing."""
    return now().replace(second=0, microsecond=0)


@signed_in
def metrics(request: HttpRequest, id: UUID) -> HttpResponse:
    context = shown(request, id, "metrics")
    named = model_page.named_metrics(context["head"].model)
    context |= {
        "technical": [metric for metric in named if metric.kind != "business"],
        "business": [metric for metric in named if metric.kind == "business"],
        "form": DeclareForm(),
    }
    return render(request, "model/metrics.html", context)


@signed_in
def incidents_of(request: HttpRequest, id: UUID) -> HttpResponse:
    context = shown(request, id, "incidents")
    found = incidents.incidents_for(person_of(request), model=context["head"].model.id)
    return render(request, "model/incidents.html", context | {"page": page_of(request, found), "query": query_without_page(request)})


@signed_in
def data(request: HttpRequest, id: UUID) -> HttpResponse:
    """What arrives. The refused rows themselves are for those who may edit the model: they may hold personal data."""
    context = shown(request, id, "data")
    model, may_edit = context["head"].model, context["head"].may_edit
    context |= {"page": page_of(request, ingest.quarantine(model.id)) if may_edit else None, "query": query_without_page(request)}
    return render(request, "model/data.html", context | {"timers": ingest.timers(model.id)})


@signed_in
def columns(request: HttpRequest, id: UUID) -> HttpResponse:
    """Every column against its reference, one of them in full."""
    context = shown(request, id, "columns")
    head, asked = context["head"], request.GET
    sort, search = asked.get("sort", ""), asked.get("q", "")[:100].replace("\0", "")
    context["page"] = column_page.page(
        head.model,
        head.risks,
        asked_window=asked.get("window", ""),
        sort=sort,
        search=search,
        opened=asked.get("column", ""),
        widths=charts.WIDTHS["two"],
        now=now(),
    )
    context |= {"search": search, "query": urlencode({"window": context["page"].window, "sort": sort, "q": search})}
    context |= {"reference": references.reference_of(head.model), "period": references.usual_period(head.model, now=now())}
    opened, days = context["page"].detail, asked.get("days", "")
    context["relation"] = relation_page.panel_of(head.model, opened, days=days, widths=charts.WIDTHS["two"], now=now()) if opened else None
    return render(request, "model/columns.html", context)


@signed_in
def performance(request: HttpRequest, id: UUID) -> HttpResponse:
    """How right the model was, as labels say, and how right it probably is."""
    context = shown(request, id, "performance")
    asked = request.GET
    window = next((days for days in performance_page.WINDOWS if str(days) == asked.get("window")), 7)
    context["page"] = performance_page.page(
        context["head"].model, context["head"].risks, metric=asked.get("metric", ""), window=window, widths=charts.WIDTHS[""], now=now()
    )
    page, model = context["page"], context["head"].model
    context["has_labels"] = has_labels(model.id)
    context["quality"] = [risk for risk in context["head"].firing if risk.binding.type in performance_page.QUALITY]
    if page.history.kind is OutcomeKind.DECISIONS if page else model.problem_type in ("", "binary"):
        context["audits"] = page.audits if page else list(performance_page.audit_rows(model, None))
    return render(request, "model/performance.html", context | {"windows": performance_page.WINDOWS})


@signed_in
def labels(request: HttpRequest, id: UUID) -> HttpResponse:
    """How late the truth comes."""
    context = shown(request, id, "labels")
    context["page"] = labels_page.page(context["head"].model, context["head"].risks, widths=charts.WIDTHS["two"], whole=charts.WIDTHS[""], now=now())
    context["has_labels"] = has_labels(id)
    return render(request, "model/labels.html", context)


@signed_in
def slo(request: HttpRequest, id: UUID) -> HttpResponse:
    """The objectives of a model, and what is left of their budgets."""
    context = shown(request, id, "slo")
    context["page"] = slo_page.page(context["head"].model, context["head"].risks, widths=charts.WIDTHS[""], now=now())
    return render(request, "model/slo.html", context)


@signed_in
def openslo(request: HttpRequest, id: UUID) -> HttpResponse:
    """The objectives as a file for other tools."""
    head = shown(request, id, "slo")["head"]
    address = f"{settings().base_url}/api/v1/models/{id}/slo"
    document = slo_page.export(head.model, head.risks, address=address, now=now())
    return HttpResponse(document, content_type="application/yaml", headers={"Content-Disposition": f'attachment; filename="openslo-{id}.yaml"'})


@signed_in
def versions(request: HttpRequest, id: UUID) -> HttpResponse:
    context = shown(request, id, "versions")
    return render(request, "model/versions.html", context | {"versions": registry.versions_of(context["head"].model)})


@signed_in
def passport(request: HttpRequest, id: UUID) -> HttpResponse:
    context = shown(request, id, "passport", sources_form=SourcesForm(), metric_form=DeclareForm())
    return render(request, "model/passport.html", context | _passport(context["head"].model))


@signed_in
def edit(request: HttpRequest, id: UUID) -> HttpResponse:
    model, person = editable(request, id), person_of(request)
    titles = accounts.unit_titles(units_where(person, Ability.EDIT)) | accounts.unit_titles([model.unit])
    units = sorted(((str(unit), title) for unit, title in titles.items()), key=lambda pair: pair[1])
    form = PassportForm(request.POST or None, model=model, units=units)
    if request.method == "POST" and attempt(form, lambda: _save(request, model, form)):
        messages.success(request, gettext("Saved. What changed stands in the history."))
        return redirect("model_passport", id)
    return render(request, "model/edit.html", shown(request, id, "passport", form=form), status=status_of(form))


def _save(request: HttpRequest, model: RegisteredModel, form: PassportForm) -> bool:
    """The unit is checked where it changes: one may not give a model to a unit where one may not edit."""
    wanted = form.wanted()
    if form.cleaned_data["unit"] != str(model.unit_id):
        wanted["unit"] = accounts.unit_for(person_of(request), form.cleaned_data["unit"])
    flow.edit_model(model, fields=wanted, actor=actor_of(request), now=now(), reason=form.cleaned_data["reason"])
    return True


@signed_in
def owners(request: HttpRequest, id: UUID) -> HttpResponse:
    model = editable(request, id)
    form = OwnersForm(request.POST or None, model=model, seen_by=person_of(request))
    if request.method == "POST" and attempt(form, lambda: _set_owners(request, model, form)):
        messages.success(request, gettext("Saved. What changed stands in the history."))
        return redirect("model_passport", id)
    return render(request, "model/owners.html", shown(request, id, "passport", form=form), status=status_of(form))


def _set_owners(request: HttpRequest, model: RegisteredModel, form: OwnersForm) -> bool:
    flow.set_owners(model, owners=form.owners(), actor=actor_of(request), now=now(), reason=form.cleaned_data["reason"])
    return True


@button
def declare(request: HttpRequest, id: UUID) -> HttpResponse:
    """Declare a metric, or change its declaration."""
    model, form = editable(request, id), DeclareForm(request.POST)
    if not form.is_valid():
        raise InvalidInput(gettext("A metric needs a name, a kind and a direction."))
    services.declare_metric(model, actor=actor_of(request), now=now(), **form.cleaned_data)
    monitoring.passport_changed(model, now=now())
    return redirect("model_metrics" if request.POST.get("to") == "model_metrics" else "model_passport", id)


@button
def undeclare(request: HttpRequest, id: UUID) -> HttpResponse:
    model = editable(request, id)
    metric = registry.metric_of(model, request.POST.get("name", ""))
    services.remove_metric(metric, actor=actor_of(request), now=now(), reason=request.POST.get("reason", ""))
    monitoring.passport_changed(model, now=now())
    return redirect("model_passport", id)


@button
def sources(request: HttpRequest, id: UUID) -> HttpResponse:
    model, form = editable(request, id), SourcesForm(request.POST)
    if not form.is_valid():
        raise InvalidInput(gettext("Write at least one address."))
    services.link_sources(model, addresses=form.given(), actor=actor_of(request), now=now())
    monitoring.passport_changed(model, now=now())
    return redirect("model_passport", id)


@button
def unlink(request: HttpRequest, id: UUID) -> HttpResponse:
    model = editable(request, id)
    source = registry.source_for(person_of(request), request.POST.get("source", ""))
    services.unlink_source(model, source=source, actor=actor_of(request), now=now(), reason=request.POST.get("reason", ""))
    monitoring.passport_changed(model, now=now())
    return redirect("model_passport", id)


@signed_in
def tokens(request: HttpRequest, id: UUID) -> HttpResponse:
    context = shown(request, id, "tokens", secret=take_once(request, f"token {id}"))
    return render(request, "model/tokens.html", context | {"tokens": registry.tokens_of(context["head"].model)})


@button
def rotate(request: HttpRequest, id: UUID) -> HttpResponse:
    token = services.rotate_token(editable(request, id), actor=actor_of(request), now=now())
    keep_once(request, f"token {id}", token.text)
    return redirect("model_tokens", id)


@button
def revoke(request: HttpRequest, id: UUID, token: str) -> HttpResponse:
    found = registry.token_of(editable(request, id), token)
    services.revoke_token(found, actor=actor_of(request), now=now(), reason=request.POST.get("reason", ""))
    messages.success(request, gettext("The token wk_%(id)s is revoked: calls with it are refused from now on.") % {"id": found.id})
    return redirect("model_tokens", id)


@signed_in
def changes(request: HttpRequest, id: UUID) -> HttpResponse:
    context = shown(request, id, "changes")
    here = page_of(request, history.changes(model=context["head"].model.id))
    lines = lines_of(list(here), seen_by=person_of(request))
    return render(request, "model/changes.html", context | {"page": here, "lines": lines, "query": query_without_page(request)})


@button
def retire(request: HttpRequest, id: UUID) -> HttpResponse:
    flow.retire_model(editable(request, id), actor=actor_of(request), now=now(), reason=request.POST.get("reason", ""))
    messages.success(request, gettext("Retired: its incidents are closed, its tokens are refused, its history stays."))
    return redirect("model", id)


@button
def restore(request: HttpRequest, id: UUID) -> HttpResponse:
    flow.restore_model(editable(request, id), actor=actor_of(request), now=now())
    messages.success(request, gettext("Restored: its risks are evaluated again."))
    return redirect("model", id)
