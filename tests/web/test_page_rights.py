"""Rights of the pages: every address × every role × one's own and somebody else's object, generated from the URL map.

A pattern that is not in the table below fails the first test: nobody adds a page without saying who may see it and who may use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.platform import Platform
from tests.web.reading import browser, said
from tests.worlds import HAS, NOWHERE, World, build, cast
from watchkeeper.accounts import services as accounts
from watchkeeper.accounts.rights import Ability
from watchkeeper.history.actors import PLATFORM
from watchkeeper.history.models import Change
from watchkeeper.wire import Stream

VIEW, WORK, EDIT, GOVERN, ADMINISTER = Ability


@dataclass(frozen=True)
class Need:
    """What one must be able to do on the object; `also` lets in whoever has that ability anywhere."""

    ability: Ability | None = None
    on: str = ""
    also: Ability | None = None


OPEN, EVERYBODY, COMPANY = Need(on="nothing, not even to sign in"), Need(on="nothing, but to sign in"), Need(ADMINISTER, on="the company")
NO = Need(on="nobody: the view refuses this method")


def model(ability: Ability, *, also: Ability | None = None) -> Need:
    return Need(ability, "model", also)


def unit(ability: Ability, *, also: Ability | None = None) -> Need:
    return Need(ability, "unit", also)


def somewhere(ability: Ability) -> Need:
    return Need(also=ability)


def button(need: Need) -> tuple[Need, Need]:
    return NO, need


def fragment(need: Need) -> tuple[Need, Need]:
    return need, NO


# One need for GET and POST, or one for each.
PAGES: dict[str, Need | tuple[Need, Need]] = {
    "healthz": OPEN,
    "metrics": OPEN,
    "preferences/": button(OPEN),
    "sign-in/<str:secret>/": OPEN,
    "account/password/reset/": OPEN,
    "account/welcome/": EVERYBODY,
    "account/email/": EVERYBODY,
    "profile/": EVERYBODY,
    "profile/keys/": button(EVERYBODY),
    "profile/keys/<str:id>/revoke/": button(EVERYBODY),
    # the board, models with their risks, incidents: of a model one sees what it is, and maintainers change it
    "": EVERYBODY,
    "seen/": button(EVERYBODY),
    "models/": EVERYBODY,
    "models/<uuid:id>/": model(VIEW),
    "models/<uuid:id>/chart/": fragment(model(VIEW)),
    "models/<uuid:id>/volume/": fragment(model(VIEW)),
    "models/<uuid:id>/metrics/": model(VIEW),
    "models/<uuid:id>/incidents/": model(VIEW),
    "models/<uuid:id>/data/": model(VIEW),
    "models/<uuid:id>/columns/": model(VIEW),
    "models/<uuid:id>/labels/": model(VIEW),
    "models/<uuid:id>/performance/": model(VIEW),
    "models/<uuid:id>/slo/": model(VIEW),
    "models/<uuid:id>/reference/": button(model(EDIT)),
    "models/<uuid:id>/reference/back/": button(model(EDIT)),
    "models/<uuid:id>/audits/": button(model(EDIT)),
    "models/<uuid:id>/audits/<int:sample>.csv": model(EDIT),
    "models/<uuid:id>/slo/openslo.yaml": model(VIEW),
    "models/<uuid:id>/versions/": model(VIEW),
    "models/<uuid:id>/passport/": model(VIEW),
    "models/<uuid:id>/passport/edit/": model(EDIT),
    "models/<uuid:id>/owners/": model(EDIT),
    "models/<uuid:id>/metrics/declare/": button(model(EDIT)),
    "models/<uuid:id>/metrics/remove/": button(model(EDIT)),
    "models/<uuid:id>/sources/": button(model(EDIT)),
    "models/<uuid:id>/sources/remove/": button(model(EDIT)),
    "models/<uuid:id>/places/": (model(VIEW), model(EDIT)),
    "models/<uuid:id>/places/<uuid:place>/look/": button(model(EDIT)),
    "models/<uuid:id>/places/<uuid:place>/remove/": button(model(EDIT)),
    "models/<uuid:id>/tokens/": model(VIEW),
    "models/<uuid:id>/tokens/rotate/": button(model(EDIT)),
    "models/<uuid:id>/tokens/<str:token>/revoke/": button(model(EDIT)),
    "models/<uuid:id>/changes/": model(VIEW),
    "models/<uuid:id>/retire/": button(model(EDIT)),
    "models/<uuid:id>/restore/": button(model(EDIT)),
    "models/<uuid:id>/risks/": model(VIEW),
    "models/<uuid:id>/risks/add/": model(EDIT),
    "models/<uuid:id>/risks/rehearse/": button(model(EDIT)),
    "models/<uuid:id>/risks/starter/": model(EDIT),
    "models/<uuid:id>/risks/starter/proposals/": fragment(model(EDIT)),
    "models/<uuid:id>/risks/<uuid:binding>/": model(EDIT),
    "models/<uuid:id>/risks/<uuid:binding>/remove/": button(model(EDIT)),
    "models/<uuid:id>/risks/<uuid:binding>/evaluate/": button(model(WORK)),
    "incidents/": EVERYBODY,
    "incidents/<int:number>/": model(VIEW),
    "incidents/<int:number>/acknowledge/": button(model(WORK)),
    "incidents/<int:number>/assign/": button(model(WORK)),
    "incidents/<int:number>/comment/": button(model(WORK)),
    "incidents/<int:number>/resolve/": model(WORK),
    "incidents/<int:number>/cause/": button(model(WORK)),
    "incidents/<int:number>/steps/<int:position>/": button(model(WORK)),
    "incidents/<int:number>/chart/": fragment(model(VIEW)),
    "incidents/<int:number>/why/": fragment(model(VIEW)),
    # registration
    "models/new/": somewhere(EDIT),
    "models/<uuid:id>/setup/": model(EDIT),
    "models/<uuid:id>/setup/waiting/": model(EDIT),
    "models/<uuid:id>/setup/token/": button(model(EDIT)),
    # people, teams, units: who hands out roles somewhere sees everybody, to give them one
    "people/": EVERYBODY,
    "people/invite/": somewhere(ADMINISTER),
    "people/<uuid:id>/": model(VIEW, also=ADMINISTER),
    "people/<uuid:id>/roles/": button(unit(ADMINISTER)),
    "people/<uuid:id>/link/": button(COMPANY),
    "people/<uuid:id>/leave/": COMPANY,
    "roles/<uuid:id>/revoke/": button(unit(ADMINISTER)),
    "teams/new/": somewhere(ADMINISTER),
    "teams/<uuid:id>/": (model(VIEW, also=ADMINISTER), model(ADMINISTER)),
    "units/": EVERYBODY,
    "units/<uuid:id>/": (unit(VIEW), unit(ADMINISTER)),
    "units/<uuid:id>/rename/": button(unit(ADMINISTER)),
    # channels, deliveries, silences, inbox
    "channels/": EVERYBODY,
    "channels/new/": EVERYBODY,
    "channels/kinds/<str:key>/": EVERYBODY,
    "channels/<uuid:id>/": model(EDIT),
    "channels/<uuid:id>/test/": button(model(EDIT)),
    "channels/<uuid:id>/remove/": button(model(EDIT)),
    "deliveries/": EVERYBODY,
    "deliveries/<str:key>/again/": button(model(EDIT)),
    "silences/": EVERYBODY,
    "silences/<uuid:id>/end/": button(model(EDIT)),
    "inbox/": EVERYBODY,
    "inbox/read/": button(EVERYBODY),
    "inbox/<int:id>/read/": button(EVERYBODY),
    # the catalogue, policies, sources, changes
    "sources/": EVERYBODY,
    "sources/canonical/": EVERYBODY,
    "sources/<uuid:id>/": model(VIEW),
    "risks/": EVERYBODY,
    "risks/<str:key>/": EVERYBODY,
    "policies/": EVERYBODY,
    "policies/new/": somewhere(GOVERN),
    "policies/<uuid:id>/": (EVERYBODY, unit(GOVERN)),
    "changes/": EVERYBODY,
}
# allauth's own pages are about whoever asks, and know no other object.
ALLAUTH = "account/"
# The REST interface has its own table, in tests/api/test_rights.py.
REST = "api/v1/"


def addresses(patterns: list[Any], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            yield address


def needs(address: str) -> tuple[Need, Need]:
    row = PAGES[address]
    return (row, row) if isinstance(row, Need) else row


CASES = [(address, method, need) for address in PAGES for method, need in zip(("GET", "POST"), needs(address), strict=True)]
ROLES = ["anonymous", *HAS, "administrator"]


def may(role: str, need: Need, *, is_own: bool) -> bool:
    if role == "administrator" or need is OPEN:
        return True
    if role == "anonymous" or need is COMPANY:
        return False
    on_model = HAS[role]
    on_unit = frozenset() if role == "owner" else on_model  # an owner of a model has no role on its unit
    if need is EVERYBODY or need.also in on_unit:
        return True
    return is_own and need.ability in (on_model if need.on == "model" else on_unit)


def is_hidden(role: str, address: str, *, is_own: bool) -> bool:
    """Whether the role may not even know that the object is there: then it must read as a missing one."""
    match = re.match(r"\w+/<[^>]+>/", address)
    if not match or COMPANY in needs(address):
        return False
    get, post = needs(match[0] if match[0] in PAGES else address)
    return not may(role, replace(post, ability=VIEW) if get is NO else get, is_own=is_own)


@dataclass
class Stage:
    own: World
    other: World
    clients: dict[str, Client]
    keys: dict[str, str]
    missing: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def path(self, address: str, world: World, role: str) -> str:
        ids = {
            "roles": world.grant.id,
            "people": world.grant.person_id,
            "teams": world.team.id,
            "units": world.unit.id,
            "channels": world.channel.id,
            "silences": world.silence.id,
            "sources": world.source.id,
            "policies": world.policy.id,
            "inbox": 1,
            "profile": self.keys["staff" if world is self.other else role],
        }
        values = {
            "id": ids.get(address.split("/")[0], world.model.id),
            "binding": world.risk.id,
            "place": world.place.id,
            "token": world.token_id,
            "number": world.incident.number,
            "position": 1,
            "sample": world.audit.number,
            "secret": "x",
            "key": {"deliveries": world.dead.key, "channels": "email"}.get(address.split("/")[0], "no_owner"),
        }
        return "/" + re.sub(r"<\w+:(\w+)>", lambda match: str(values[match[1]]), address)

    def form(self, address: str, world: World) -> dict[str, str]:
        """What a button sends with its click, where it names a part of its object."""
        sent = {
            "models/<uuid:id>/metrics/remove/": {"name": "mape"},
            "models/<uuid:id>/sources/remove/": {"source": str(world.source.id)},
            "people/<uuid:id>/roles/": {"role": "viewer", "unit": str(world.unit.id)},
        }
        return sent.get(address, {})

    def call(self, role: str, method: str, path: str, form: dict[str, str] | None = None) -> Any:  # Any: the test client's response
        """The answer to one call, whose effects are undone; what is refused changes nothing."""
        client, changes = self.clients[role], Change.objects.count()
        cookies = deepcopy(client.cookies)
        with transaction.atomic():
            answer = client.get(path) if method == "GET" else client.post(path, form or {})
            assert answer.status_code not in (403, 404, 405, 422) or Change.objects.count() == changes, (role, method, path)
            transaction.set_rollback(True)
        client.cookies = cookies
        return answer

    def said_of_missing(self, role: str, method: str, address: str, form: dict[str, str]) -> str:
        path = missing(address)
        if (role, method, path) not in self.missing:
            self.missing[role, method, path] = said(self.call(role, method, path, form))
        return self.missing[role, method, path]


@pytest.fixture
def stage(platform: Platform) -> Stage:
    own, other = build(platform, "own"), build(platform, "other")
    now = platform.clock.now()
    people = cast(platform, own)
    keys = {name: accounts.create_api_key(person, name="test", actor=PLATFORM, now=now).id for name, person in people.items()}
    keys |= {"anonymous": "none", "staff": accounts.create_api_key(other.grant.person, name="test", actor=PLATFORM, now=now).id}
    clients = {"anonymous": browser()} | {name: browser(person) for name, person in people.items()}
    for client in clients.values():
        client.raise_request_exception = False
    return Stage(own, other, clients, keys)


def missing(address: str) -> str:
    """The address of an object that does not exist."""
    fillings = {"uuid": "00000000-0000-4000-8000-000000000000", "int": "999999999", "str": "missing"}
    return "/" + re.sub(r"<(\w+):\w+>", lambda match: fillings[match[1]], address)


def is_sent_to_sign_in(answer: Any) -> bool:  # Any: the test client's response
    return bool(answer.status_code == 302 and answer.headers["Location"].startswith("/account/login/"))


def test_every_page_says_who_may_use_it() -> None:
    found = set(addresses(get_resolver().url_patterns))

    assert {address for address in found if not address.startswith((ALLAUTH, REST))} == {page for page in PAGES if not page.startswith(ALLAUTH)}
    assert {page for page in PAGES if page.startswith(ALLAUTH)} <= found


@pytest.mark.parametrize("role", ROLES)
def test_a_page_is_for_those_who_may_and_is_not_there_for_the_others(stage: Stage, role: str) -> None:
    """What asks for no ability is tried by those who have none, and by one who has some."""
    wrong = []
    for address, method, need in CASES:
        if need in (OPEN, EVERYBODY, NO) and role not in ("anonymous", "outsider", "maintainer"):
            continue
        for world in (stage.own, stage.other) if "<" in address else (stage.own,):
            answer = stage.call(role, method, stage.path(address, world, role), stage.form(address, world))
            is_own = world is stage.own
            if not as_it_should_be(stage, answer, role, address, method, need, is_own=is_own):
                wrong.append(f"{method} /{address} as {role} on {'the own' if is_own else 'the other'} object: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


def as_it_should_be(stage: Stage, answer: Any, role: str, address: str, method: str, need: Need, *, is_own: bool) -> bool:  # Any: a response
    form = stage.form(address, stage.own if is_own else stage.other)
    if need is NO:
        return answer.status_code == 405 or (role == "anonymous" and is_sent_to_sign_in(answer))
    if role == "anonymous" and need is not OPEN:
        return is_sent_to_sign_in(answer)
    if address == "profile/keys/<str:id>/revoke/" and not is_own:
        return answer.status_code == 404
    if may(role, need, is_own=is_own):
        return answer.status_code < 400 or answer.status_code in (422, 503) or (address.startswith("sign-in/") and answer.status_code == 410)
    if is_hidden(role, address, is_own=is_own):
        return answer.status_code == 404 and said(answer) == stage.said_of_missing(role, method, address, form)
    return answer.status_code in (403, 404)


# Forms whose object is named in what is sent, with the need on that object.
FORMS: dict[str, tuple[Need, dict[str, str]]] = {
    "models/new/": (unit(EDIT), {"name": "new", "unit": "{unit.name}", "kind": "model", "stage": "production", "tier": "2"}),
    "people/invite/": (unit(ADMINISTER), {"email": "new@example.com", "role": "viewer", "unit": "{unit.id}"}),
    "people/{mine}/roles/": (unit(ADMINISTER), {"role": "viewer", "unit": "{unit.id}"}),
    "policies/new/": (unit(GOVERN), {"name": "new", "type": "no_owner", "unit": "{unit.id}", "p-require_business": "on"}),
    "channels/new/": (unit(EDIT), {"kind": "webhook", "name": "new", "of": "unit:{unit.id}", "c-url": NOWHERE}),
    "channels/new/?": (model(EDIT), {"kind": "webhook", "name": "new", "of": "model:{model.id}", "c-url": NOWHERE}),
    "silences/": (unit(EDIT), {"about": "unit:{unit.id}", "hours": "24", "reason": "work"}),
    "silences/?": (model(EDIT), {"about": "model:{model.id}", "hours": "24", "reason": "work"}),
}


def test_a_form_does_not_reach_where_its_reader_may_not(stage: Stage) -> None:
    wrong = []
    for role, (address, (need, template)) in product(ROLES, FORMS.items()):
        for world in (stage.own, stage.other):
            form = {name: value.format(unit=world.unit, model=world.model) for name, value in template.items()}
            answer = stage.call(role, "POST", "/" + address.format(mine=stage.own.grant.person_id), form)
            is_done = answer.status_code == 302 and not is_sent_to_sign_in(answer)
            if is_done is not may(role, need, is_own=world is stage.own):
                wrong.append(f"/{address} {form} as {role}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


# Addresses that name two objects: the model one may edit, and something of another model.
MIXED = [address for address in PAGES if address.startswith("models/") and ("<uuid:binding>" in address or "<str:token>" in address)]


def test_a_part_of_another_model_is_not_reached_through_ones_own(stage: Stage) -> None:
    for address in MIXED:
        mixed = stage.path(address, replace(stage.other, model=stage.own.model), "maintainer")
        nothing = missing(address).replace(missing("<uuid:id>")[1:], str(stage.own.model.id), 1)
        method = "POST" if needs(address)[0] is NO else "GET"

        answers = [stage.call("maintainer", method, path) for path in (mixed, nothing)]

        assert [answer.status_code for answer in answers] == [404, 404], address
        assert said(answers[0]) == said(answers[1])


def test_a_click_that_names_nothing_is_refused_in_words(stage: Stage) -> None:
    named = ("unit", "source", "name", "to", "role", "type", "of", "about", "cause", "successor", "members", "next")
    for sent, address in product(("", "nonsense", missing("<uuid:id>")[1:]), PAGES):
        path = stage.path(address, stage.own, "administrator")

        status = stage.call("administrator", "POST", path, dict.fromkeys(named, sent)).status_code

        assert status < 500 or address == "healthz", (address, sent)


def test_refused_rows_are_shown_to_those_who_may_edit_the_model_only(stage: Stage, platform: Platform) -> None:
    now = platform.clock.now().isoformat()
    platform.send(stage.own.model, Stream.PREDICTIONS, [{"id": "good", "timestamp": now}, {"id": "Mrs Miller", "timestamp": "yesterday"}])
    told = {role: "Mrs Miller" in stage.call(role, "GET", f"/models/{stage.own.model.id}/data/").content.decode() for role in HAS}

    assert told == {role: EDIT in HAS[role] for role in HAS}


def test_a_source_of_another_model_is_not_removed_through_ones_own(stage: Stage) -> None:
    answer = stage.call("maintainer", "POST", f"/models/{stage.own.model.id}/sources/remove/", {"source": str(stage.other.source.id)})

    assert answer.status_code == 404


LISTS = [
    *(address for address in PAGES if "<" not in address and needs(address)[0] is EVERYBODY),
    "changes/?model={other.model.id}",
    "changes/?object=model&id={other.model.id}",
    "deliveries/?incident={other.incident.number}",
    "channels/new/?kind=webhook&of=model:{other.model.id}",
    "silences/?about=model:{other.model.id}",
    "sources/?q=dwh",
    "incidents/?state=all&q=Model",
    "?q=Model",
    "?unit={own.unit.id}",
]


def test_no_list_and_no_filter_names_what_belongs_to_others(stage: Stage) -> None:
    told = []
    for role, address in product(HAS, LISTS):
        text = stage.call(role, "GET", "/" + address.format(own=stage.own, other=stage.other)).content.decode()
        told += [f"/{address} as {role} says {name}" for name in ("Model other", "dwh.other") if name in text]
    assert not told, "\n".join(told)
