"""Audit samples of a model: ask for one, and take its rows away to label them."""

from __future__ import annotations

import csv
from datetime import date
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext

from watchkeeper.core.errors import InvalidInput
from watchkeeper.ingest import audits
from watchkeeper.web.acting import button
from watchkeeper.web.page import actor_of, now, signed_in
from watchkeeper.web.views.models import editable


@button
def ask(request: HttpRequest, id: UUID) -> HttpResponse:
    model, given = editable(request, id), request.POST
    try:
        size, days = int(given.get("size") or audits.USUAL_SIZE), int(given.get("days") or 28)
        before = date.fromisoformat(given["before"]) if given.get("before") else None
    except ValueError as problem:
        raise InvalidInput(gettext("A sample needs whole numbers of rows and days.")) from problem
    audits.ask_for_sample(model, days=days, size=size, before=before, actor=actor_of(request), now=now())
    messages.success(request, gettext("The sample is being drawn; it is here in a few seconds."))
    return redirect("model_performance", id)


@signed_in
def rows(request: HttpRequest, id: UUID, sample: int) -> HttpResponse:
    """As CSV, with an empty column for the labels that are missing."""
    found = audits.sample_numbered(editable(request, id).id, sample)
    fields = sorted({field for row in audits.drawn(found) for field in row.segments})
    lines = [
        [row.id, row.day, _word(row.said), row.score, *(row.segments.get(field, "") for field in fields), found.labels.get(row.id, "")]
        for row in audits.drawn(found)
    ]
    name = f"audit-{found.first}-{found.last}-{sample}.csv"
    answer = HttpResponse(content_type="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})
    csv.writer(answer).writerows([["id", "day", "prediction", "score", *fields, "label"], *lines])
    return answer


def _word(said: int | None) -> str:
    return "" if said is None else str(said)
