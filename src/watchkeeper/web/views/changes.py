"""The change log: who changed what, when and why, with what it was before. Only of models the reader may see; all of it for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext

from watchkeeper.accounts.rights import is_administrator
from watchkeeper.history import queries
from watchkeeper.registry import queries as registry
from watchkeeper.web.acting import page_of, query_without_page
from watchkeeper.web.change_lines import lines_of
from watchkeeper.web.page import person_of, signed_in

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person


@signed_in
def changes(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    entries = page_of(request, _chosen(request, person))
    context = {
        "page": entries,
        "lines": lines_of(list(entries), seen_by=person),
        "query": query_without_page(request),
        "given": request.GET,
        "types": [(name, gettext(name)) for name in queries.object_types()],
        "people": registry.people_visible_to(person),
        "model": registry.model_for(person, request.GET["model"]) if request.GET.get("model") else None,
        "unsealed": queries.unsealed(),
    }
    return render(request, "changes/changes.html", context)


def _chosen(request: HttpRequest, person: Person) -> Any:  # Any: QuerySet[Change]
    given = request.GET
    allowed = None if is_administrator(person) else registry.visible_ids(person)
    model = registry.model_for(person, given["model"]).id if given.get("model") else None
    return queries.changes_among(
        allowed,
        model=model,
        on=given.get("object", ""),
        id=given.get("id", "").strip(),
        actor=given.get("actor", ""),
        since=_since(given.get("since", "")),
    )


def _since(text: str) -> datetime | None:
    """The beginning of a day in the reader's zone."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_current_timezone()) if day else None
