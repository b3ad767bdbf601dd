"""The board: which models are red, and why; what changed since I last looked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
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
from watchkeeper.monitoring.queries import BoardFilter, BoardLine
from watchkeeper.registry import queries as registry
from watchkeeper.web import page, portfolio, shell

PAGE_SIZE = 50
LIGHTS = ("red", "yellow", "green", "grey")
TURNS_SHOWN = 8
DAY = timedelta(days=1)


@page.signed_in
def board(request: HttpRequest) -> HttpResponse:
    now, chosen, units = page.now(), asked(request), shell.all_units(request)
    everything = monitoring.board_of(shell.visible_models(request), without_light(chosen))
    found = monitoring.board_of(shell.visible_models(request), chosen)
    is_plain = not (chosen.owner or chosen.tier or chosen.text or chosen.stage)
    tallies = portfolio.tallies(shell.unit_tallies(request), units, chosen.unit) if is_plain else monitoring.tallies(everything)
    shown = Paginator(monitoring.board_lines(found), PAGE_SIZE)
    if chosen.light:
        shown.count = tallies[chosen.light]  # counted already: saves the paginator its query
    else:
        shown.count = sum(tallies.values())
    here = shown.get_page(request.GET.get("page"))
    rows = portfolio.rows([BoardLine(*row) for row in here], units=units, now=now)
    parts = {"now": now, "page": here, "groups": portfolio.grouped(rows), "standing": incidents.standing(everything)}
    template = "board/fragment.html" if page.wants_fragment(request) else "board/board.html"
    return render(request, template, parts | tally(request, chosen, tallies, now=now) | frame(request, chosen) | changes(request, now=now))


def tally(request: HttpRequest, chosen: BoardFilter, tallies: dict[str, int], *, now: datetime) -> dict[str, Any]:  # Any: template context
    """Models per light, each with how many more or fewer there are than a day ago, as a link that shows them alone."""
    more = {} if chosen.stage else moves(request, without_light(chosen), since=now - DAY).by_light
    return {
        "total": sum(tallies.values()),
        "tally": [
            Tally(light, tallies[light], more.get(light, 0), with_(request.GET, light="" if is_on else light), is_on)
            for light in LIGHTS
            for is_on in [chosen.light == light]
        ],
    }


def moves(request: HttpRequest, chosen: BoardFilter, *, since: datetime) -> monitoring.Moves:
    """Who never pressed "Seen" asks for the same day twice."""
    turned = monitoring.turned_since(shell.visible_models(request), chosen, since=since)
    return shell.once(request, f"moves {chosen} {since}", partial(monitoring.moves, turned, since=since))


@dataclass(frozen=True)
class Tally:
    """The models of one light; `more` than a day ago (fewer when negative)."""

    light: str
    number: int
    more: int
    url: str
    is_on: bool


def changes(request: HttpRequest, *, now: datetime) -> dict[str, Any]:  # Any: template context
    """What turned since the last look. A refresh of the table leaves it as it is."""
    if page.wants_fragment(request):
        return {}
    since = page.person_of(request).looked_at or now - DAY
    count = moves(request, BoardFilter(), since=since).turned
    turned = monitoring.turned_since(shell.visible_models(request), BoardFilter(), since=since)
    shown = monitoring.first_turns(turned, since=since, limit=TURNS_SHOWN) if count else []
    return {"since": since, "turns": shown, "turns_more": count - len(shown)}


def frame(request: HttpRequest, chosen: BoardFilter) -> dict[str, Any]:  # Any: template context
    """The filters as links, and what the person may do."""
    return {
        "chosen": chosen,
        "is_fragment": page.wants_fragment(request),
        "query": request.GET.urlencode(),
        "chips": {
            "mine": with_(request.GET, owner="" if chosen.owner else "me"),
            "tiers": [
                (tier, with_(request.GET, tier="" if chosen.tier == tier else str(tier)), chosen.tier == tier)
                for tier, _words in registry.choices()["tier"]
            ],
            "retired": with_(request.GET, stage="" if chosen.stage else "retired"),
        },
        "is_filtered": bool(request.GET.keys() - {"page"}),
        "may_register": bool(paths_where(page.person_of(request), Ability.EDIT)),
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
