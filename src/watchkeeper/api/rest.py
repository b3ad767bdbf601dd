"""The REST interface for people and services: its authentication, its errors, its routers."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from pydantic import BaseModel

from watchkeeper import __version__, wire
from watchkeeper.api import (
    accounts,
    alerts,
    audits,
    changes,
    estimates,
    incidents,
    models,
    monitoring,
    outcomes,
    places,
    references,
    rehearsals,
    relations,
    risks,
)
from watchkeeper.api.auth import authenticate
from watchkeeper.api.problems import headers, problem
from watchkeeper.core.errors import InvalidInput, Unavailable, WatchkeeperError
from watchkeeper.wire.rows import ROWS, Receipt

log = structlog.get_logger()
api = NinjaAPI(
    title="Watchkeeper",
    version=__version__,
    description="Register models, send their log, work with their risks and incidents. Errors are application/problem+json.",
    auth=authenticate,
    urls_namespace="api",
    docs_url=None,
)
# rehearsals before monitoring: the addresses of single risks look like theirs
for part in (models, outcomes, estimates, relations, references, audits, places, rehearsals, monitoring, risks, incidents, alerts, accounts, changes):
    api.add_router("", part.router)


@api.exception_handler(WatchkeeperError)
def _known(request: HttpRequest, error: WatchkeeperError) -> HttpResponse:
    response = api.create_response(request, problem(error), status=error.status)
    for name, value in headers(error).items():
        response[name] = value
    return response


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    fields = {".".join(str(part) for part in entry["loc"][1:]) or "body": str(entry["msg"]) for entry in error.errors}
    detail = "; ".join(f"{name}: {message}" for name, message in fields.items())
    return _known(request, InvalidInput(detail[:2000], remedy="GET /api/v1/openapi.json says which fields there are.", fields=fields))


@api.exception_handler(HttpError)
def _unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
    return _known(request, InvalidInput(f"{error.message}.", remedy="Send one JSON object, in UTF-8."))


@api.exception_handler(DatabaseError)
def _unavailable(request: HttpRequest, error: DatabaseError) -> HttpResponse:
    log.exception("rest: the database refused")
    return _known(request, Unavailable("The database does not answer.", remedy="Try again in a few seconds."))


def openapi_document() -> dict[str, Any]:  # Any: JSON
    """The whole interface, the ingest calls included, which come from the wire models."""
    document: dict[str, Any] = dict(api.get_openapi_schema(path_prefix="/api/v1/"))
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    reference = "#/components/schemas/{model}"
    shapes: list[type[BaseModel]] = [*ROWS.values(), Receipt]
    for shape in shapes:
        schema = shape.model_json_schema(by_alias=True, ref_template=reference)
        schemas.update(schema.pop("$defs", {}))
        schemas[shape.__name__] = schema
    for stream, row in ROWS.items():
        document["paths"][f"{wire.PREFIX}/{stream}"] = {"post": _ingest_operation(str(stream), row.__name__)}
    document["components"].setdefault("securitySchemes", {})["IntegrationToken"] = {"type": "http", "scheme": "bearer"}
    return document


def _ingest_operation(stream: str, row: str) -> dict[str, Any]:  # Any: JSON
    body = {
        "type": "object",
        "required": ["rows"],
        "additionalProperties": False,
        "properties": {"batch_id": {"type": "string", "maxLength": 200}, "rows": {"type": "array", "items": {"$ref": f"#/components/schemas/{row}"}}},
    }
    receipt = {"content": {wire.JSON: {"schema": {"$ref": "#/components/schemas/Receipt"}}}}
    return {
        "operationId": f"ingest_{stream}",
        "summary": f"Send {stream}",
        "security": [{"IntegrationToken": []}],
        "parameters": [{"in": "header", "name": "Idempotency-Key", "schema": {"type": "string", "maxLength": 200}}],
        "requestBody": {"required": True, "content": {wire.JSON: {"schema": body}}},
        "responses": {
            "202": {"description": "Durable. Rejected rows are in quarantine.", **receipt},
            "200": {"description": "This batch was acknowledged before; nothing was added.", **receipt},
            **{str(status): {"description": text} for status, text in _PROBLEMS.items()},
        },
    }


_PROBLEMS = {
    401: "No valid token",
    409: "The batch id was used with another content",
    410: "The model is retired",
    413: "Too large",
    422: "Not readable, or all rows refused",
    429: "Too many calls",
    503: "Try again with the same batch_id",
}
