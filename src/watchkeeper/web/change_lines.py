"""Changes as they are read, on the page of all changes and on that of a model: names beside ids, sentences in words, each field before and after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext, gettext_noop

from watchkeeper import risks
from watchkeeper.accounts import queries as accounts
from watchkeeper.incidents import queries as incidents
from watchkeeper.registry import queries as registry
from watchkeeper.web import present
from watchkeeper.web.schema_forms import as_json, label_of

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person
    from watchkeeper.history.models import Change

PLATFORM = gettext_noop("the platform")
THE_MODEL = gettext_noop("the model itself")
UNIT_OF_MEASURE = gettext_noop("Unit of measure")
NOTHING = "–"
FIELDS = (
    gettext_noop("Action plan"),
    gettext_noop("Address"),
    gettext_noop("Again"),
    gettext_noop("Assignee"),
    gettext_noop("Business"),
    gettext_noop("Cause"),
    gettext_noop("Columns"),
    gettext_noop("Comment"),
    gettext_noop("Config"),
    gettext_noop("Cost per day"),
    gettext_noop("Criticality"),
    gettext_noop("Current"),
    gettext_noop("Custom fields"),
    gettext_noop("Description"),
    gettext_noop("Direction"),
    gettext_noop("Documentation link"),
    gettext_noop("Expected"),
    gettext_noop("Every"),
    gettext_noop("Explanation"),
    gettext_noop("For"),
    gettext_noop("Hold"),
    gettext_noop("How"),
    gettext_noop("Is done"),
    gettext_noop("Is service"),
    gettext_noop("Language"),
    gettext_noop("Members"),
    gettext_noop("Not relevant reason"),
    gettext_noop("Number"),
    gettext_noop("Params"),
    gettext_noop("Parent"),
    gettext_noop("Person"),
    gettext_noop("Policy"),
    gettext_noop("Problem type"),
    gettext_noop("Purpose"),
    gettext_noop("Reason"),
    gettext_noop("Reference rows"),
    gettext_noop("Rehearsed"),
    gettext_noop("Reopened"),
    gettext_noop("Repository link"),
    gettext_noop("Risk"),
    gettext_noop("Risk type"),
    gettext_noop("Schedule"),
    gettext_noop("Scopes"),
    gettext_noop("Skipped reason"),
    gettext_noop("Source"),
    gettext_noop("Stakeholders"),
    gettext_noop("Step"),
    gettext_noop("Successor"),
    gettext_noop("Technical"),
    gettext_noop("Timezone"),
    gettext_noop("Trained at"),
    gettext_noop("Type"),
    gettext_noop("Until"),
)
OF_PLACES = (gettext_noop("place watched"), gettext_noop("place no longer watched"))  # ingest records them, whose other texts are for programs
ACTORS = (gettext_noop("person"), gettext_noop("service"), gettext_noop("model"))


@dataclass(frozen=True)
class Line:
    """One change; `number` is its place in the sealed chain, None while it is not sealed."""

    change: Change
    actor: str
    model: str
    subject: str
    fields: tuple[tuple[str, str, str], ...]
    number: int | None


def lines_of(found: Sequence[Change], *, seen_by: Person) -> list[Line]:
    ids = {id for change in found for id in (change.actor_id, change.object_id, str(change.model_id or ""), *_ids([change.before, change.after]))}
    names = registry.names_of(ids, seen_by=seen_by)
    return [
        Line(
            change=change,
            actor=_actor(change, names),
            model=names.get(str(change.model_id), ""),
            subject=names.get(change.object_id, ""),
            fields=tuple(_differences(change, names)),
            number=change.seal.number if hasattr(change, "seal") else None,
        )
        for change in found
    ]


def _actor(change: Change, names: Mapping[str, str]) -> str:
    if change.actor_kind == "platform":
        return gettext(PLATFORM)
    return names.get(change.actor_id) or (gettext(THE_MODEL) if change.actor_kind == "model" else change.actor_id)


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


def _differences(change: Change, names: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Fields with both values as text; one that was and stays empty says nothing."""
    before, after = change.before or {}, change.after or {}
    for field in dict.fromkeys([*before, *after]):
        was, became = (_coded(field, side.get(field)) or _shown(side.get(field), names) for side in (before, after))
        if (was, became) != (NOTHING, NOTHING):
            label = UNIT_OF_MEASURE if (change.object_type, field) == ("metric", "unit") else label_of(field)
            yield gettext(label), was, became


def _coded(field: str, value: Any) -> str:  # Any: JSON
    """The words of a stored code: "rule_changed" as an incident's end, "metric_out_of_bounds" as a type."""
    words = _codes().get(field, {}).get(value, "") if isinstance(value, str) else ""
    return gettext(words) if words else ""


@cache
def _codes() -> Mapping[str, Mapping[str, str]]:
    registered = registry.choices()
    return {
        **{field: dict(known) for field, known in {**registered, **incidents.choices()}.items()},
        "kind": dict([*registered["kind"], *registered["metric_kind"]]),
        "role": dict(accounts.role_choices()),
        "type": {key: kind.title for key, kind in risks.catalogue().items()},
    }


def _shown(value: Any, names: Mapping[str, str]) -> str:  # Any: JSON
    """A value as text: a stored sentence in the reader's words, a moment in their zone, a name in place of an id that has one."""
    if value in (None, "", [], {}):
        return NOTHING
    match value:
        case bool():
            return gettext("yes") if value else gettext("no")
        case list():
            return ", ".join(_shown(part, names) for part in value)
        case {"text": str(), "args": dict()}:
            return present.words(value)
        case dict():
            return ", ".join(f"{name}: {_shown(part, names)}" for name, part in value.items())
        case str():
            return _moment(value) or names.get(value.rpartition(":")[2], value)
    return as_json(value)


def _moment(value: str) -> str:
    """A stored moment in the reader's zone; nothing for any other text."""
    try:
        at = datetime.fromisoformat(value) if "T" in value else None
    except ValueError:
        return ""
    return present.moment(at) if at and at.tzinfo else ""
