"""What the platform told one person: unread first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from watchkeeper.alerts import queries, services
from watchkeeper.web.acting import button, page_of, query_without_page
from watchkeeper.web.page import now, person_of, signed_in


@signed_in
def inbox(request: HttpRequest) -> HttpResponse:
    entries = page_of(request, queries.inbox_unread_first(person_of(request)))
    context = {"page": entries, "query": query_without_page(request), "unread": queries.unread(person_of(request))}
    return render(request, "inbox/inbox.html", context)


@button
def read(request: HttpRequest, id: int) -> HttpResponse:
    services.mark_read(person_of(request), ids=[id], now=now())
    return redirect("inbox")


@button
def read_all(request: HttpRequest) -> HttpResponse:
    services.mark_read(person_of(request), ids=None, now=now())
    return redirect("inbox")
