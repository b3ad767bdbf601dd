"""Whatever fits or breaks the OpenAPI document is answered in words and never by 5xx: calls made up by schemathesis, on objects that exist and not."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import schemathesis
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from tests.api import test_rights
from tests.api.test_rights import Stage, operations, path
from tests.conftest import Runs
from watchkeeper.api.rest import openapi_document

stage = test_rights.stage
MODES = list(schemathesis.GenerationMode)


def send(stage: Stage, case: schemathesis.Case, template: str, *, is_real: bool) -> Any:  # Any: Django's test response
    """One call of the administrator, whose effects are undone."""
    given = case.as_transport_kwargs(base_url="http://testserver")
    address = f"/api/v1{path(stage.own, template)}" if is_real else given["url"].removeprefix("http://testserver")
    body = json.dumps(given["json"]) if "json" in given else given.get("data") or b""
    headers = {str(name): str(value) for name, value in (case.headers or {}).items() if str(name).isascii() and str(value).isprintable()}
    headers |= {"Authorization": f"Bearer {stage.keys['administrator']}"}
    kind = headers.pop("Content-Type", case.media_type or "application/json")
    with transaction.atomic():
        answer = Client(raise_request_exception=False).generic(
            case.method, address, body, content_type=kind, headers=headers, query_params=_query(given.get("params"))
        )
        transaction.set_rollback(True)
    return answer


def _query(params: Any) -> dict[str, Any]:  # Any: whatever was made up
    return {str(name): value if isinstance(value, list) else str(value) for name, value in (params or {}).items()}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_no_call_is_answered_by_5xx(stage: Stage, runs: Runs, method: str) -> None:
    schema = schemathesis.openapi.from_dict(openapi_document())
    answered: Counter[str] = Counter()

    @settings(
        max_examples=runs(6, 200), derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(some.data(), some.booleans())
    def check(made: some.DataObject, is_real: bool) -> None:
        case = made.draw(strategy)
        answer = send(stage, case, template, is_real=is_real)
        where = f"{case.method} {template}: {case.body!r} {case.query!r}"
        assert answer.status_code < 500, f"{where} -> {answer.content[:500]!r}"
        if answer.status_code >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json", where
            problem = answer.json()
            assert problem["detail"], where
            assert problem["remedy"], where
        answered["in words" if answer.status_code >= 400 else "well"] += 1

    for verb, template in operations():
        if verb == method:
            operation = schema[f"/api/v1{template}"][verb]
            strategy = some.one_of(*(operation.as_strategy(generation_mode=mode) for mode in MODES))
            check()
    print(f"{method}: {dict(answered)}")
    assert answered["well"] or not runs.is_long  # a handful of calls may all be refused
    assert answered["in words"]
