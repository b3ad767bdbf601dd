"""What the frame of every page shows: the tree of units, counts, the platform's pulse, language and theme."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_POST

from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts import services as people
from watchkeeper.accounts.rights import Ability, paths_where
from watchkeeper.alerts import queries as alerts
from watchkeeper.incidents import queries as incidents
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.monitoring.beats import Pulse, pulse
from watchkeeper.registry import queries as registry
from watchkeeper.web import page
from watchkeeper.web.portfolio import unit_ids
from watchkeeper.web.present import span

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from watchkeeper.accounts.models import Person, Unit
    from watchkeeper.registry.models import RegisteredModel

ENTRIES = (
    ("board", gettext_noop("Board")),
    ("incidents", gettext_noop("Incidents")),
    ("models", gettext_noop("Models")),
    ("sources", gettext_noop("Data sources")),
    ("policies", gettext_noop("Risks and policies")),
    ("changes", gettext_noop("Changes")),
    ("channels", gettext_noop("Channels")),
    ("people", gettext_noop("People")),
    ("inbox", gettext_noop("Inbox")),
)
THEMES = (("", gettext_noop("System")), ("light", gettext_noop("Light")), ("dark", gettext_noop("Dark")))
YEAR_SECONDS = 365 * 86400


@dataclass(frozen=True)
class Entry:
    """One line of the navigation."""

    label: str
    url: str
    count: int
    is_current: bool


@dataclass(frozen=True)
class UnitLine:
    """One unit of the tree, with what is red and yellow in it and below it."""

    id: UUID
    name: str
    depth: int
    red: int
    yellow: int
    is_current: bool


@dataclass(frozen=True)
class Shell:
    entries: tuple[Entry, ...]
    units: tuple[UnitLine, ...]
    pulse: Pulse
    pulse_words: str
    section: str
    inbox_url: str
    wizard_url: str
    account_url: str
    languages: tuple[tuple[str, str], ...]
    themes: tuple[tuple[str, str], ...]


def context(request: HttpRequest) -> dict[str, Any]:  # Any: template context
    """The frame is computed when a template asks for it: fragments never do."""
    user = getattr(request, "user", None)
    theme = user.theme if user and user.is_authenticated else request.COOKIES.get("theme", "")
    return {"shell": SimpleLazyObject(partial(frame, request)), "theme": theme if theme in ("light", "dark") else ""}


def frame(request: HttpRequest) -> Shell:
    person = page.person_of(request)
    tallies = unit_tallies(request)
    counts = {
        "incidents": incidents.open_number(visible_models(request)),
        "models": sum(sum(lights.values()) for lights in tallies.values()),
        "inbox": alerts.unread(person),
    }
    section = _section(request)
    beat = pulse(now=page.now())
    return Shell(
        entries=tuple(Entry(gettext(label), url, counts.get(name, 0), name == section) for name, label in ENTRIES if (url := _url(name))),
        units=tuple(_tree(all_units(request), tallies, person, request.GET.get("unit", ""))),
        pulse=beat,
        pulse_words=_pulse_words(beat),
        section=section,
        inbox_url=_url("inbox"),
        wizard_url=_url("models_new"),
        account_url=_url("account"),
        languages=tuple(django_settings.LANGUAGES),
        themes=tuple((code, gettext(label)) for code, label in THEMES),
    )


Asked = TypeVar("Asked")


def once(request: HttpRequest, name: str, ask: Callable[[], Asked]) -> Asked:
    """What the frame and the page in it both need is asked for once per request."""
    if not hasattr(request, name):
        setattr(request, name, ask())
    found: Asked = getattr(request, name)
    return found


def visible_models(request: HttpRequest) -> QuerySet[RegisteredModel]:
    return once(request, "visible_models", lambda: registry.models_visible_to(page.person_of(request)).order_by())


def unit_tallies(request: HttpRequest) -> dict[UUID, dict[str, int]]:
    """Models per unit and light."""
    return once(request, "unit_tallies", lambda: monitoring.unit_tallies(visible_models(request)))


def all_units(request: HttpRequest) -> list[Unit]:
    return once(request, "all_units", accounts.all_units)


def _section(request: HttpRequest) -> str:
    """The line of the navigation a page belongs to: pages are named after it, those of one model or incident after that."""
    first = ((request.resolver_match and request.resolver_match.url_name) or "").split("_")[0]
    return {"model": "models", "risk": "models", "incident": "incidents"}.get(first, first)


def _url(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _pulse_words(beat: Pulse) -> str:
    if beat.beat_at is None:
        return gettext("No worker has run yet.")
    if beat.is_well:
        return gettext("Checks on time, lag %(lag)s") % {"lag": span(beat.lag)}
    return gettext("Last full check %(ago)s ago, lag %(lag)s.") % {"ago": span(page.now() - beat.beat_at), "lag": span(beat.lag)}


def _tree(every: list[Unit], tallies: dict[UUID, dict[str, int]], person: Person, chosen: str) -> list[UnitLine]:
    """Units the person has something in: two levels, and what lies on the way to the chosen one and directly below it."""
    units = {unit.id: unit for unit in every}
    above = {unit.id: unit_ids(unit.path) for unit in every}
    may_see = tuple(paths_where(person, Ability.VIEW))
    seen = {unit.id for unit in every if unit.path.startswith(may_see)} | {id for known in tallies for id in above[known]}
    current = units.get(UUID(chosen)) if _is_uuid(chosen) else None
    path = current.path if current else ""
    shown = [
        unit
        for unit in every
        if unit.id in seen and (unit.depth <= 1 or path.startswith(unit.path) or (unit.parent_id and path.startswith(units[unit.parent_id].path)))
    ]
    sums = {unit.id: [0, 0] for unit in shown}
    for id, lights in tallies.items():
        for part in above[id]:
            if part in sums:
                sums[part][0] += lights.get("red", 0)
                sums[part][1] += lights.get("yellow", 0)
    shown.sort(key=lambda unit: [units[id].name.lower() for id in above[unit.id]])  # parents before children, siblings by name
    return [UnitLine(unit.id, unit.name, min(unit.depth, 4), sums[unit.id][0], sums[unit.id][1], unit == current) for unit in shown]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Language and theme: kept in a cookie, and with the person."""
    target = request.POST.get("next", "/")
    answer = HttpResponseRedirect(target if url_has_allowed_host_and_scheme(target, {request.get_host()}) else "/")
    possible = {"language": {code for code, _ in django_settings.LANGUAGES}, "theme": {code for code, _ in THEMES}}
    chosen = {name: request.POST[name] for name, codes in possible.items() if request.POST.get(name) in codes}
    for name, value in chosen.items():
        answer.set_cookie(name, value, max_age=YEAR_SECONDS, samesite="Lax")
    if request.user.is_authenticated and chosen:
        people.edit_person(request.user, actor=page.actor_of(request), now=page.now(), **chosen)
    return answer
