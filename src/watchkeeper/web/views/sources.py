"""Data sources: tables, topics and files, and who uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from watchkeeper.core.errors import InvalidInput
from watchkeeper.monitoring.queries import BoardFilter, board
from watchkeeper.registry import queries
from watchkeeper.registry.addresses import canonical_address
from watchkeeper.web.acting import page_of, query_without_page
from watchkeeper.web.forms import lines
from watchkeeper.web.page import person_of, signed_in

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person


@signed_in
def sources(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    found = queries.data_sources_visible_to(person_of(request))
    found = found.filter(address__icontains=text) if text else found
    return render(request, "sources/sources.html", {"page": page_of(request, found), "query": query_without_page(request), "text": text})


@signed_in
def source(request: HttpRequest, id: UUID) -> HttpResponse:
    person = person_of(request)
    shown = queries.source_for(person, id)
    return render(request, "sources/source.html", {"source": shown, "models": board(person, BoardFilter(stage="")).filter(data_sources=shown)})


@signed_in
def canonical(request: HttpRequest) -> HttpResponse:
    """A fragment while addresses are typed: how each will be written, and who shares it."""
    context = {"uses": uses_of(person_of(request), lines(request.POST.get("data_sources", "")))}
    return render(request, "wizard/addresses.html", context)


def uses_of(person: Person, given: list[str]) -> list[tuple[str, str, int]]:
    """What was typed, its canonical address (empty when it is none), and how many visible models use it."""
    addresses = {text: _canonical(text) for text in given[:100]}
    known = queries.source_uses(person, [address for address in addresses.values() if address])
    return [(text, address, known.get(address, 0)) for text, address in addresses.items()]


def _canonical(text: str) -> str:
    try:
        return canonical_address(text)
    except InvalidInput:
        return ""
