"""Where the data lives: the places of a model, a form to look at another one, and what the look found."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from watchkeeper.ingest import places
from watchkeeper.monitoring import services as monitoring
from watchkeeper.web.acting import attempt, button, status_of
from watchkeeper.web.page import actor_of, now, signed_in
from watchkeeper.web.place_form import PlaceForm
from watchkeeper.web.views.models import editable, shown

if TYPE_CHECKING:
    from watchkeeper.registry.models import RegisteredModel


@signed_in
def every(request: HttpRequest, id: UUID) -> HttpResponse:
    """The places; a POST looks at one, or watches it."""
    if request.method != "POST":
        return _page(request, id, PlaceForm())
    model, form = editable(request, id), PlaceForm(request.POST)
    if request.POST.get("do") == "watch":
        if attempt(form, lambda: _watch(request, model, form)):
            messages.success(request, gettext("Watched from now on: the first rows come with the worker's next round."))
            return redirect("model_places", id)
        return _page(request, id, form)
    seen = attempt(form, lambda: places.look(form.wanted()))
    if seen:
        form = PlaceForm(form.after(seen))
        form.is_valid()
    return _page(request, id, form, seen)


def _watch(request: HttpRequest, model: RegisteredModel, form: PlaceForm) -> bool:
    places.watch_place(model, wanted=form.wanted(), actor=actor_of(request), now=now())
    monitoring.passport_changed(model, now=now())
    return True


def _page(request: HttpRequest, id: UUID, form: PlaceForm, seen: places.Look | None = None) -> HttpResponse:
    context = shown(request, id, "passport", form=form, seen=seen)
    context["places"] = places.watched_places(context["head"].model)
    return render(request, "model/places.html", context, status=status_of(form))


@button
def look_soon(request: HttpRequest, id: UUID, place: UUID) -> HttpResponse:
    places.look_soon(places.place_of(editable(request, id), place), now=now())
    messages.success(request, gettext("The worker looks in its next round."))
    return redirect("model_places", id)


@button
def stop(request: HttpRequest, id: UUID, place: UUID) -> HttpResponse:
    model = editable(request, id)
    places.stop_watching(places.place_of(model, place), actor=actor_of(request), now=now(), reason=request.POST.get("reason", ""))
    monitoring.passport_changed(model, now=now())
    messages.success(request, gettext("No longer watched. What was taken stays."))
    return redirect("model_places", id)
