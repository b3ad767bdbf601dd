"""Rights: every endpoint × every role × one's own and somebody else's object, generated from the URL map.

An endpoint that is not in the table below fails the first test: nobody adds one without saying who may use it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from tests.platform import Platform
from tests.worlds import HAS, World, build, cast
from watchkeeper.accounts import services as accounts
from watchkeeper.accounts.models import Person
from watchkeeper.accounts.rights import Ability
from watchkeeper.api.rest import openapi_document
from watchkeeper.history.actors import PLATFORM
from watchkeeper.registry import services as registry

EVERYBODY, ADMINISTRATOR = "everybody signed in", "administrator"

# what the caller needs on the object (or on its unit), per call
NEEDS: dict[tuple[str, str], object] = {
    ("GET", "/models"): EVERYBODY,
    ("POST", "/models"): Ability.EDIT,
    ("GET", "/models/{id}"): Ability.VIEW,
    ("PATCH", "/models/{id}"): Ability.EDIT,
    ("POST", "/models/{id}/retire"): Ability.EDIT,
    ("POST", "/models/{id}/restore"): Ability.EDIT,
    ("GET", "/models/{id}/owners"): Ability.VIEW,
    ("PUT", "/models/{id}/owners"): Ability.EDIT,
    ("GET", "/models/{id}/versions"): Ability.VIEW,
    ("GET", "/models/{id}/metrics"): Ability.VIEW,
    ("POST", "/models/{id}/metrics"): Ability.EDIT,
    ("DELETE", "/models/{id}/metrics/{name}"): Ability.EDIT,
    ("GET", "/models/{id}/points"): Ability.VIEW,
    ("GET", "/models/{id}/performance"): Ability.VIEW,
    ("GET", "/models/{id}/estimates"): Ability.VIEW,
    ("GET", "/models/{id}/relations"): Ability.VIEW,
    ("GET", "/models/{id}/slo"): Ability.VIEW,
    ("GET", "/models/{id}/reference"): Ability.VIEW,
    ("PUT", "/models/{id}/reference"): Ability.EDIT,
    ("DELETE", "/models/{id}/reference"): Ability.EDIT,
    ("GET", "/models/{id}/audits"): Ability.VIEW,
    ("POST", "/models/{id}/audits"): Ability.EDIT,
    ("GET", "/models/{id}/audits/{sample}"): Ability.EDIT,
    ("GET", "/models/{id}/sources"): Ability.VIEW,
    ("POST", "/models/{id}/sources"): Ability.EDIT,
    ("DELETE", "/models/{id}/sources/{source_id}"): Ability.EDIT,
    ("GET", "/models/{id}/places"): Ability.VIEW,
    ("POST", "/models/{id}/places"): Ability.EDIT,
    ("POST", "/models/{id}/places/look"): Ability.EDIT,
    ("POST", "/models/{id}/places/{place_id}/look"): Ability.EDIT,
    ("DELETE", "/models/{id}/places/{place_id}"): Ability.EDIT,
    ("GET", "/models/{id}/quarantine"): Ability.EDIT,
    ("GET", "/models/{id}/history"): Ability.VIEW,
    ("GET", "/models/{id}/tokens"): Ability.EDIT,
    ("POST", "/models/{id}/tokens"): Ability.EDIT,
    ("DELETE", "/models/{id}/tokens/{token_id}"): Ability.EDIT,
    ("GET", "/models/{id}/status"): Ability.VIEW,
    ("POST", "/models/{id}/risks"): Ability.EDIT,
    ("GET", "/models/{id}/risks/{risk_id}"): Ability.VIEW,
    ("PATCH", "/models/{id}/risks/{risk_id}"): Ability.EDIT,
    ("DELETE", "/models/{id}/risks/{risk_id}"): Ability.EDIT,
    ("POST", "/models/{id}/risks/{risk_id}/evaluate"): Ability.EDIT,
    ("POST", "/models/{id}/risks/rehearsal"): Ability.EDIT,
    ("POST", "/models/{id}/risks/{risk_id}/rehearsal"): Ability.EDIT,
    ("GET", "/models/{id}/starter-set"): Ability.EDIT,
    ("POST", "/models/{id}/starter-set"): Ability.EDIT,
    ("GET", "/sources"): EVERYBODY,
    ("GET", "/risk-types"): EVERYBODY,
    ("GET", "/policies"): EVERYBODY,
    ("POST", "/policies"): Ability.GOVERN,
    ("POST", "/policies/{name}/versions"): Ability.GOVERN,
    ("GET", "/incidents"): EVERYBODY,
    ("GET", "/incidents/{number}"): Ability.VIEW,
    ("POST", "/incidents/{number}/acknowledge"): Ability.WORK,
    ("POST", "/incidents/{number}/assign"): Ability.WORK,
    ("POST", "/incidents/{number}/comment"): Ability.WORK,
    ("POST", "/incidents/{number}/resolve"): Ability.WORK,
    ("POST", "/incidents/{number}/steps/{position}"): Ability.WORK,
    ("GET", "/channel-kinds"): EVERYBODY,
    ("GET", "/channels"): EVERYBODY,
    ("POST", "/channels"): Ability.EDIT,
    ("GET", "/channels/{id}"): Ability.EDIT,
    ("PATCH", "/channels/{id}"): Ability.EDIT,
    ("DELETE", "/channels/{id}"): Ability.EDIT,
    ("POST", "/channels/{id}/test"): Ability.EDIT,
    ("GET", "/deliveries"): EVERYBODY,
    ("GET", "/silences"): EVERYBODY,
    ("POST", "/silences"): Ability.EDIT,
    ("DELETE", "/silences/{id}"): Ability.EDIT,
    ("GET", "/units"): EVERYBODY,
    ("POST", "/units"): Ability.ADMINISTER,
    ("GET", "/people"): EVERYBODY,
    ("POST", "/people"): ADMINISTRATOR,
    ("POST", "/people/{id}/deactivate"): ADMINISTRATOR,
    ("GET", "/teams"): EVERYBODY,
    ("POST", "/teams"): ADMINISTRATOR,
    ("GET", "/roles"): EVERYBODY,
    ("POST", "/roles"): Ability.ADMINISTER,
    ("DELETE", "/roles/{id}"): Ability.ADMINISTER,
    ("GET", "/api-keys"): EVERYBODY,
    ("POST", "/api-keys"): EVERYBODY,
    ("DELETE", "/api-keys/{id}"): EVERYBODY,
    ("GET", "/changes"): EVERYBODY,
}

ON_UNITS = (
    "/models",
    "/policies",
    "/units",
    "/roles",
    "/channels",
    "/silences",
)  # POSTs whose object is a unit, which an owner of a model has no role on


def path(world: World, template: str) -> str:
    id = {"/channels": world.channel.id, "/silences": world.silence.id, "/roles": world.grant.id, "/people": world.grant.person_id}
    root = "/" + template.split("/")[1]
    values = {
        "id": id.get(root, world.model.id),
        "name": world.policy.name if root == "/policies" else "mape",
        "source_id": world.source.id,
        "place_id": world.place.id,
        "token_id": world.token_id,
        "risk_id": world.risk.id,
        "number": world.incident.number,
        "position": 1,
        "sample": world.audit.number,
    }
    return template.format(**values)


def body(world: World, method: str, template: str, someone: Person) -> dict[str, Any]:
    unit, model = str(world.unit.id), str(world.model.id)
    bodies: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", "/models"): {"name": "another", "unit": unit},
        ("PATCH", "/models/{id}"): {"purpose": "changed"},
        ("PUT", "/models/{id}/owners"): {"technical": [str(someone.id)]},
        ("PUT", "/models/{id}/reference"): {"first": "2026-10-01", "last": "2026-10-28"},
        ("POST", "/models/{id}/metrics"): {"name": "roc_auc"},
        ("POST", "/models/{id}/sources"): {"addresses": ["dwh.other"]},
        ("POST", "/models/{id}/places"): {"kind": "folder", "address": f"{world.place.address}/more"},
        ("POST", "/models/{id}/places/look"): {"kind": "folder", "address": world.place.address},
        ("POST", "/models/{id}/risks"): {"type": "stale_model"},
        ("PATCH", "/models/{id}/risks/{risk_id}"): {"criticality": 1},
        ("POST", "/models/{id}/risks/rehearsal"): {"type": "stale_model"},
        ("POST", "/models/{id}/starter-set"): {"receipts": []},
        ("POST", "/policies"): {"name": f"new {unit}", "type": "stale_model", "unit": unit},
        ("POST", "/policies/{name}/versions"): {"params": {}},
        ("POST", "/incidents/{number}/assign"): {"to": str(someone.id)},
        ("POST", "/incidents/{number}/comment"): {"text": "seen"},
        ("POST", "/incidents/{number}/resolve"): {"cause": "unknown", "reason": "tried"},
        ("POST", "/incidents/{number}/steps/{position}"): {"is_done": True},
        ("POST", "/channels"): {"kind": "webhook", "name": "new", "unit": unit, "config": {"url": "http://127.0.0.1:9/"}},
        ("PATCH", "/channels/{id}"): {"name": "renamed", "config": {"url": "http://127.0.0.1:9/"}},
        ("POST", "/silences"): {"unit": unit, "ends_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(), "reason": "work"},
        ("POST", "/units"): {"name": "new", "parent": unit},
        ("POST", "/people"): {"email": "new@example.com"},
        ("POST", "/people/{id}/deactivate"): {"successor": str(someone.id)},
        ("POST", "/teams"): {"name": "new"},
        ("POST", "/roles"): {"person": str(someone.id), "unit": unit, "role": "viewer"},
        ("POST", "/api-keys"): {"name": "mine"},
    }
    return bodies.get((method, template), {} if template.startswith("/models") or method != "GET" else {"model": model})


@dataclass
class Stage:
    own: World
    other: World
    keys: dict[str, str]
    tokens: dict[str, str]
    someone: Person


@pytest.fixture
def stage(platform: Platform) -> Stage:
    own, other = build(platform, "own"), build(platform, "other")
    now = platform.clock.now()
    keys = {name: accounts.create_api_key(person, name="test", actor=PLATFORM, now=now).text for name, person in cast(platform, own).items()}
    tokens = {name: registry.rotate_token(world.model, actor=PLATFORM, now=now).text for name, world in (("own", own), ("other", other))}
    return Stage(own, other, keys, tokens, platform.business_owner)


def operations() -> Iterator[tuple[str, str]]:
    for path, methods in openapi_document()["paths"].items():
        if "/ingest/" not in path:
            for method in methods:
                yield method.upper(), path.removeprefix("/api/v1")


def call(stage: Stage, world: World, method: str, template: str, authorization: str) -> int:
    """The status of one call, whose effects are undone."""
    headers = {"Authorization": f"Bearer {authorization}"} if authorization else {}
    queries = {"/models/{id}/points": "?name=mape&since=2026-01-01T00:00:00Z", "/models/{id}/relations": "?feature=x"}
    query = queries.get(template, "")
    with transaction.atomic():
        response = Client().generic(
            method,
            f"/api/v1{path(world, template)}{query}",
            json.dumps(body(world, method, template, stage.someone)) if method != "GET" else "",
            content_type="application/json",
            headers=headers,
        )
        transaction.set_rollback(True)
    assert response.status_code < 500, response.content
    return response.status_code


def test_every_endpoint_says_who_may_use_it() -> None:
    assert set(operations()) == set(NEEDS)


def test_nobody_gets_anywhere_without_signing_in(stage: Stage) -> None:
    for method, template in NEEDS:
        assert call(stage, stage.own, method, template, "") == 401, (method, template)


def test_a_revoked_or_garbled_key_is_refused(stage: Stage) -> None:
    for key in (stage.keys["administrator"][:-1], "wkk_x", stage.keys["administrator"] + "0", "Basic abc"):
        assert call(stage, stage.own, "GET", "/models", key) == 401


@pytest.mark.parametrize("role", sorted(HAS))
def test_a_role_gives_what_it_gives_in_its_unit_and_nothing_elsewhere(stage: Stage, role: str) -> None:
    for (method, template), need in NEEDS.items():
        own = call(stage, stage.own, method, template, stage.keys[role])
        other = call(stage, stage.other, method, template, stage.keys[role])
        where = f"{method} {template} as {role}"
        if need == EVERYBODY:
            assert own < 300 or (template == "/api-keys/{id}" and own == 404), f"{where}: {own}"
            continue
        assert other in (403, 404), f"{where} on somebody else's object: {other}"
        if "{" in template and not template.startswith(("/people", "/policies")):
            assert other == 404, f"{where} on somebody else's object tells that it exists: {other}"
        is_allowed = need in HAS[role] and not (role == "owner" and method == "POST" and template in ON_UNITS)
        if need == ADMINISTRATOR:
            is_allowed = False
        if template in ("/silences/{id}",) and role == "owner":
            is_allowed = True
        assert (own < 300 or own == 409) is is_allowed, f"{where}: {own}, allowed {is_allowed}"


def test_the_administrator_may_do_everything_everywhere(stage: Stage) -> None:
    for method, template in NEEDS:
        for world in (stage.own, stage.other):
            status = call(stage, world, method, template, stage.keys["administrator"])
            assert status < 300 or status == 409 or template == "/api-keys/{id}", (method, template, status)


def test_a_models_token_reads_its_own_status_and_nothing_else(stage: Stage) -> None:
    for method, template in NEEDS:
        own = call(stage, stage.own, method, template, stage.tokens["own"])
        other = call(stage, stage.other, method, template, stage.tokens["own"])
        if (method, template) == ("GET", "/models/{id}/status"):
            assert (own, other) == (200, 404)
        elif template.startswith("/models/{id}"):
            assert (own, other) == (403, 404), (method, template)
        else:
            assert own == other == (404 if "{" in template else 403), (method, template)


def test_another_models_status_and_a_missing_one_read_the_same(stage: Stage) -> None:
    def answer(id: object) -> bytes:
        return Client().get(f"/api/v1/models/{id}/status", headers={"Authorization": f"Bearer {stage.tokens['own']}"}).content

    assert answer(stage.other.model.id) == answer("00000000-0000-4000-8000-000000000000")


def test_lists_hold_only_what_one_may_see(stage: Stage) -> None:
    for path, show in LISTS.items():
        mine = Client().get(f"/api/v1{path}", headers={"Authorization": f"Bearer {stage.keys['viewer']}"}).json()["items"]
        nothing = Client().get(f"/api/v1{path}", headers={"Authorization": f"Bearer {stage.keys['outsider']}"}).json()["items"]
        assert nothing == [], path
        assert {show(item) for item in mine} <= {str(stage.own.model.id)}, path


LISTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "/models": lambda item: item["id"],
    "/incidents": lambda item: item["model"]["id"],
    "/changes": lambda item: item["model_id"],
}
