"""The reference of a model's columns: accept a period as such, and take it back."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext

from watchkeeper.core.errors import InvalidInput
from watchkeeper.ingest import references
from watchkeeper.web.acting import button
from watchkeeper.web.page import actor_of, now
from watchkeeper.web.views.models import editable


@button
def accept(request: HttpRequest, id: UUID) -> HttpResponse:
    model, given = editable(request, id), request.POST
    try:
        first, last = (date.fromisoformat(given.get(name, "")) for name in ("first", "last"))
    except ValueError as problem:
        raise InvalidInput(gettext("A period needs a first and a last day.")) from problem
    references.accept_period(model, first=first, last=last, actor=actor_of(request), now=now())
    messages.success(request, gettext("The period is the reference from now on; its columns are being counted."))
    return redirect("model_columns", id)


@button
def take_back(request: HttpRequest, id: UUID) -> HttpResponse:
    references.take_back_period(editable(request, id), actor=actor_of(request), now=now())
    messages.success(request, gettext("The reference is what it was before; columns are being counted again."))
    return redirect("model_columns", id)
