"""The change log: who changed what, when and why, with what it was before. Only of models the reader may see; all of it for administrators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext, gettext_noop

from watchkeeper.accounts.rights import is_administrator
from watchkeeper.history import queries
from watchkeeper.registry import queries as registry
from watchkeeper.web.acting import page_of, query_without_page
from watchkeeper.web.page import person_of, signed_in
from watchkeeper.web.schema_forms import as_json, label_of

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person
    from watchkeeper.history.models import Change

PLATFORM = gettext_noop("the platform")
NOTHING = "–"
FIELDS = (
    gettext_noop("Action plan"),
    gettext_noop("Address"),
    gettext_noop("Business"),
    gettext_noop("Config"),
    gettext_noop("Cost per day"),
    gettext_noop("Criticality"),
    gettext_noop("Current"),
    gettext_noop("Custom fields"),
    gettext_noop("Description"),
    gettext_noop("Direction"),
    gettext_noop("Documentation link"),
    gettext_noop("Expected"),
    gettext_noop("Hold"),
    gettext_noop("Is service"),
    gettext_noop("Language"),
    gettext_noop("Members"),
    gettext_noop("Not relevant reason"),
    gettext_noop("Number"),
    gettext_noop("Params"),
    gettext_noop("Parent"),
    gettext_noop("Person"),
    gettext_noop("Problem type"),
    gettext_noop("Purpose"),
    gettext_noop("Reference rows"),
    gettext_noop("Repository link"),
    gettext_noop("Risk type"),
    gettext_noop("Schedule"),
    gettext_noop("Scopes"),
    gettext_noop("Source"),
    gettext_noop("Stakeholders"),
    gettext_noop("Successor"),
    gettext_noop("Technical"),
    gettext_noop("Timezone"),
    gettext_noop("Trained at"),
)
ACTORS = (gettext_noop("person"), gettext_noop("service"), gettext_noop("model"))


@dataclass(frozen=True)
class Line:
    """One change as it is read: names beside ids, and each field before and after."""

    change: Change
    actor: str
    model: str
    subject: str
    fields: tuple[tuple[str, str, str], ...]
    number: int | None  # its place in the sealed chain

    @property
    def is_model(self) -> bool:
        return self.change.object_type == "model"


@signed_in
def changes(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    entries = page_of(request, _chosen(request, person))
    context = {
        "page": entries,
        "lines": _lines(list(entries), person),
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


def _lines(found: list[Change], person: Person) -> list[Line]:
    ids = {
        id for change in found for id in (change.actor_id, change.object_id, str(change.model_id or ""), *_ids(change.before), *_ids(change.after))
    }
    names = registry.names_of(ids, seen_by=person)
    return [
        Line(
            change=change,
            actor=gettext(PLATFORM) if change.actor_kind == "platform" else names.get(change.actor_id, change.actor_id),
            model=names.get(str(change.model_id), ""),
            subject=names.get(change.object_id, ""),
            fields=tuple(_differences(change.before or {}, change.after or {}, names)),
            number=change.seal.number if hasattr(change, "seal") else None,
        )
        for change in found
    ]


def _ids(value: Any) -> Iterator[str]:  # Any: JSON
    """Texts in a value that may be ids: of people, teams, units."""
    match value:
        case str():
            yield value.rpartition(":")[2]
        case dict():
            yield from _all_ids(value.values())
        case list():
            yield from _all_ids(value)


def _all_ids(values: Iterable[Any]) -> Iterator[str]:  # Any: JSON
    for value in values:
        yield from _ids(value)


def _differences(before: dict[str, Any], after: dict[str, Any], names: dict[str, str]) -> Iterator[tuple[str, str, str]]:  # Any: JSON
    """Fields with both values as text; one that was and stays empty says nothing."""
    for field in dict.fromkeys([*before, *after]):
        was, became = _named(before.get(field), names), _named(after.get(field), names)
        if (was, became) != (NOTHING, NOTHING):
            yield gettext(label_of(field)), was, became


def _named(value: Any, names: dict[str, str]) -> str:  # Any: JSON
    """A value as text, with the name in place of an id that has one."""
    if value in (None, "", [], {}):
        return NOTHING
    if isinstance(value, list):
        return ", ".join(_named(part, names) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_named(part, names)}" for name, part in value.items())
    return names.get(str(value).rpartition(":")[2], as_json(value)) if isinstance(value, str) else as_json(value)
