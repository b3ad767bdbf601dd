"""The ingest calls as a plain WSGI callable, dispatched before Django's handler: four times the requests per second of a Django view.

Knows one kind of caller, an integration token. What it answers is in docs/guide/ingest.md; its part of the OpenAPI document comes from wire.rows.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import structlog
from django.db import DatabaseError, connection

from watchkeeper import wire
from watchkeeper.accounts.tokens import Token, read_token, same_digest
from watchkeeper.api.problems import headers as problem_headers
from watchkeeper.api.problems import problem
from watchkeeper.core.clock import Clock
from watchkeeper.core.errors import Gone, InvalidInput, NotAllowed, NotFound, TooLarge, TooMany, Unauthenticated, Unavailable, WatchkeeperError
from watchkeeper.core.settings import Settings
from watchkeeper.ingest import queries
from watchkeeper.ingest.border import check_submission, inflate
from watchkeeper.ingest.receiving import Receiver, move_timer
from watchkeeper.registry.queries import TokenHolder, holder_of
from watchkeeper.registry.services import touch_tokens
from watchkeeper.wire import Stream

log = structlog.get_logger()
Environ = dict[str, Any]  # Any: the WSGI environment
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
CACHE_SECONDS = 5.0
TOUCH_SECONDS = 30.0
LATE_BEAT_SECONDS = 10.0
STREAMS = {stream.value: stream for stream in Stream if stream is not Stream.HEARTBEAT}
_REASON = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_BATCH = re.compile(r"/batches/(.{1,200})\Z")


class Tokens:
    """Who a token speaks for, remembered for at most five seconds: a revoked token is refused everywhere within that time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._known: dict[str, tuple[str, TokenHolder, float]] = {}
        self._touched: dict[str, float] = {}
        self._lock = threading.Lock()

    def holder(self, authorization: str) -> TokenHolder:
        token = read_token(authorization.removeprefix("Bearer ").strip()) if authorization.startswith("Bearer ") else None
        if token is None or token.prefix != "wk":
            raise Unauthenticated(
                "No valid integration token.", remedy="Send the header `Authorization: Bearer wk_…` with the whole token of the model."
            )
        holder = self._remembered(token) or self._looked_up(token)
        if holder.is_retired:
            raise Gone("This model is retired.", remedy="Stop sending, or ask an owner to restore the model.")
        return holder

    def _remembered(self, token: Token) -> TokenHolder | None:
        found = self._known.get(token.id)
        if found is None or found[2] < time.monotonic() or not same_digest(token, found[0]):
            return None
        return found[1]

    def _looked_up(self, token: Token) -> TokenHolder:
        holder = holder_of(token)
        if holder is None:
            raise Unauthenticated("This token is not known, or it was revoked.", remedy="Ask an owner of the model for its present token.")
        now = time.monotonic()
        with self._lock:
            self._known[token.id] = (token.digest, holder, now + CACHE_SECONDS)
            is_due = now - self._touched.get(token.id, -TOUCH_SECONDS) >= TOUCH_SECONDS
            if is_due:
                self._touched[token.id] = now
        if is_due:
            touch_tokens([token.id], now=self.clock.now())
        return holder


class Limits:
    """At most so many calls per token and minute in this process. A limited call still moves its dead-man timer, rarely."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._minute, self._counts = 0, dict[str, int]()
        self._late_beats: dict[tuple[object, str], float] = {}

    def is_over(self, token_id: str) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        self._counts[token_id] = self._counts.get(token_id, 0) + 1
        return self._counts[token_id] > self.per_minute

    def may_beat(self, key: tuple[object, str]) -> bool:
        now = time.monotonic()
        if now - self._late_beats.get(key, -LATE_BEAT_SECONDS) < LATE_BEAT_SECONDS:
            return False
        self._late_beats[key] = now
        return True


class IngestApp:
    """The callable: `POST /api/v1/ingest/<stream>`, `GET …/whoami`, `GET …/batches/<id>`."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self.clock, self.settings = clock, settings
        self.tokens = Tokens(clock)
        self.limits = Limits(settings.ingest_requests_per_minute)
        self.receiver = Receiver(settings.data, keeps_files=not settings.postgres_url)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            status, document = self._answer(environ)
            sent = {"Content-Type": wire.JSON}
        except WatchkeeperError as error:
            status, document, sent = error.status, problem(error), problem_headers(error)
        except DatabaseError as trouble:
            log.exception("ingest: the database refused")
            connection.close()
            unavailable = Unavailable(
                f"The database does not answer: {type(trouble).__name__}.", remedy="Send the same batch again, with the same batch_id."
            )
            status, document, sent = unavailable.status, problem(unavailable), problem_headers(unavailable)
        body = json.dumps(document, ensure_ascii=False).encode()
        start_response(_REASON[status], [*sent.items(), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
        return [body]

    def _answer(self, environ: Environ) -> tuple[int, dict[str, Any]]:  # Any: JSON
        holder = self.tokens.holder(environ.get("HTTP_AUTHORIZATION", ""))
        path = environ["PATH_INFO"].removeprefix(wire.PREFIX)
        method = environ["REQUEST_METHOD"]
        if method == "GET":
            return 200, self._look(path, holder)
        stream = STREAMS.get(path.strip("/"))
        if method != "POST" or stream is None:
            raise NotFound(f"{method} {environ['PATH_INFO']} does not exist.", remedy=f"POST to {wire.PREFIX}/ and one of: {', '.join(STREAMS)}.")
        if "ingest" not in holder.scopes:
            raise NotAllowed("This token may not send.", remedy="Use a token with the scope `ingest`.")
        return self._receive(stream, holder, environ)

    def _look(self, path: str, holder: TokenHolder) -> dict[str, Any]:  # Any: JSON
        if path.rstrip("/") == "/whoami":
            return queries.whoami(holder.model_id)
        match = _BATCH.match(path)
        batch = queries.batch_by_key(holder.model_id, match[1]) if match else None
        if batch is None:
            raise NotFound("No such batch of this model.", remedy="Ask for a batch_id that was acknowledged in the last 30 days.")
        return queries.batch_document(batch)

    def _receive(self, stream: Stream, holder: TokenHolder, environ: Environ) -> tuple[int, dict[str, Any]]:  # Any: JSON
        now = self.clock.now()
        if self.limits.is_over(holder.token_id):
            if self.limits.may_beat((holder.model_id, stream.value)):
                move_timer(holder.model_id, stream, now=now)
            raise TooMany(f"More than {self.limits.per_minute} calls a minute with this token.", remedy="Send rows in batches; the SDK does.")
        body = inflate(_body(environ), encoding=environ.get("HTTP_CONTENT_ENCODING", "").lower())
        media_type = environ.get("CONTENT_TYPE", wire.JSON).partition(";")[0].strip().lower() or wire.JSON
        submission = check_submission(stream, body=body, media_type=media_type, header_key=environ.get("HTTP_IDEMPOTENCY_KEY", ""))
        receipt = self.receiver.receive(submission, holder=holder, now=now)
        return (200 if receipt.duplicate else 202), receipt.model_dump()


def _body(environ: Environ) -> bytes:
    """The body, never more than is allowed: what is too large is refused before it is read."""
    length = environ.get("CONTENT_LENGTH") or ""
    if length and not length.isdigit():
        raise InvalidInput("Content-Length is not a number.", remedy="Send the number of bytes.")
    if length and int(length) > wire.MAX_BATCH_BYTES:
        raise _too_large(int(length))
    body: bytes = environ["wsgi.input"].read(int(length) if length else wire.MAX_BATCH_BYTES + 1)
    if len(body) > wire.MAX_BATCH_BYTES:
        raise _too_large(len(body))
    return body


def _too_large(size: int) -> TooLarge:
    return TooLarge(f"The body has {size:,} bytes or more.", remedy=f"Send at most {wire.MAX_BATCH_BYTES // 2**20} MB at a time.")
