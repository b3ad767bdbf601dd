"""The board: which models are red, and why; what changed since I last looked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts import services as people
from watchkeeper.accounts.rights import Ability, paths_where
from watchkeeper.incidents import queries as incidents
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.monitoring.queries import BoardFilter
from watchkeeper.web import page, portfolio, shell

PAGE_SIZE = 50
LIGHTS = ("red", "yellow", "green", "grey")
TIERS = (1, 2, 3)
TURNS_SHOWN = 8


@page.signed_in
def board(request: HttpRequest) -> HttpResponse:
    person, now, chosen = page.person_of(request), page.now(), asked(request)
    everything = monitoring.board(person, without_light(chosen))
    found = monitoring.board(person, chosen)
    is_plain = not (chosen.owner or chosen.tier or chosen.text or chosen.stage)
    tallies = portfolio.tallies(shell.unit_tallies(request), chosen.unit) if is_plain else monitoring.tallies(everything)
    shown = Paginator(found, PAGE_SIZE)
    if chosen.light:
        shown.count = tallies[chosen.light]  # counted already: saves the paginator its query
    else:
        shown.count = sum(tallies.values())
    here = shown.get_page(request.GET.get("page"))
    parts = {"now": now, "page": here, "groups": portfolio.grouped(portfolio.rows(list(here), now=now)), "standing": incidents.standing(everything)}
    template = "board/fragment.html" if page.wants_fragment(request) else "board/board.html"
    return render(request, template, parts | frame(request, chosen, tallies))


def frame(request: HttpRequest, chosen: BoardFilter, tallies: dict[str, int]) -> dict[str, Any]:  # Any: template context
    """The filters as links, the tally, and what changed since the last look."""
    person, total = page.person_of(request), sum(tallies.values())
    since = person.looked_at or page.now() - timedelta(days=1)
    turns = [] if page.wants_fragment(request) else monitoring.turned_since(person, since=since)
    return {
        "chosen": chosen,
        "is_fragment": page.wants_fragment(request),
        "query": request.GET.urlencode(),
        "total": total,
        "tally": [
            (light, tallies[light], with_(request.GET, light="" if chosen.light == light else light), chosen.light == light) for light in LIGHTS
        ],
        "chips": {
            "mine": with_(request.GET, owner="" if chosen.owner else "me"),
            "tiers": [(tier, with_(request.GET, tier="" if chosen.tier == tier else str(tier)), chosen.tier == tier) for tier in TIERS],
            "retired": with_(request.GET, stage="" if chosen.stage else "retired"),
        },
        "is_filtered": bool(request.GET.keys() - {"page"}),
        "may_register": bool(paths_where(person, Ability.EDIT)),
        "since": since,
        "turns": turns[:TURNS_SHOWN],
        "turns_more": max(0, len(turns) - TURNS_SHOWN),
    }


def asked(request: HttpRequest) -> BoardFilter:
    """The filter of an address; what makes no sense in it is left out."""
    given = request.GET
    tier = given.get("tier", "")
    return BoardFilter(
        unit=accounts.unit_by(given["unit"]) if given.get("unit") else None,
        light=given["light"] if given.get("light") in LIGHTS else "",
        owner=page.person_of(request).id if given.get("owner") == "me" else None,
        tier=int(tier) if tier.isdigit() else None,
        text=given.get("q", "").strip()[:200],
        stage=given.get("stage", "")[:20],
    )


def without_light(chosen: BoardFilter) -> BoardFilter:
    return BoardFilter(unit=chosen.unit, owner=chosen.owner, tier=chosen.tier, text=chosen.text, stage=chosen.stage)


def with_(query: QueryDict, **changed: str) -> str:
    """The address with some parameters changed; empty ones and the page are left out."""
    values = {name: str(value) for name, value in {**query.dict(), **changed}.items() if value and (name != "page" or "page" in changed)}
    made = QueryDict(mutable=True)
    made.update(values)
    return f"?{made.urlencode()}"


@require_POST
@page.signed_in
def seen(request: HttpRequest) -> HttpResponse:
    people.mark_looked(page.person_of(request), now=page.now())
    return redirect("board")
